//! MetaLog: keyed records of the broker itself.

use super::StoreError;
use bytes::Bytes;

/// Where a put stands; later puts are greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct MetaPosition(pub u64);

/// Keyed records with atomic puts.
pub struct MetaLog {}

impl MetaLog {
    /// Writes the records as one: after a crash all are there or none. `None` deletes the key. Durable (as the fsync
    /// mode has it) once [`MetaLog::wait_durable`] of the answer is done. Blocking write of a few bytes.
    pub fn put(&self, records: Vec<(Bytes, Option<Bytes>)>) -> Result<MetaPosition, StoreError> { let _ = records; todo!() }
    /// Done when everything up to `position` is durable as configured.
    pub fn wait_durable(&self, position: MetaPosition) -> impl Future<Output = Result<(), StoreError>> + Send + 'static { let _ = position; async { todo!() } }
}
