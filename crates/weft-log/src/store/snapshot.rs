//! `.snap`: what cannot be seen from the end of the log alone, as of one offset.

use std::path::Path;
use std::sync::Arc;

use weft_wire::env::Disk;

use super::DiskError;
use super::producers::Producers;
use super::segment::file_name;
use super::sidecar::{Reader, Unusable, Writer};
use super::transactions::Aborted;

const MAGIC: [u8; 4] = *b"WSNP";

/// More than a million producers would be needed to reach this.
const BYTES_MAX: u64 = 512 << 20;

/// State of a partition at an offset.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Snapshot {
    pub(super) offset: i64,
    pub(super) producers: Producers,
    /// (leader epoch, first offset), ascending.
    pub(super) epochs: Vec<(i32, i64)>,
    /// Aborted transactions whose marker lies in the segment that holds `offset`, below `offset`.
    pub(super) aborted: Vec<Aborted>,
}

impl Snapshot {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Writer::new(MAGIC);
        out.i64(self.offset);
        out.count(self.epochs.len());
        for &(epoch, start) in &self.epochs {
            out.i32(epoch);
            out.i64(start);
        }
        out.count(self.aborted.len());
        for aborted in &self.aborted {
            aborted.write(&mut out);
        }
        self.producers.write(&mut out);
        out.seal()
    }

    fn decode(bytes: &[u8]) -> Result<Self, Unusable> {
        let mut input = Reader::open(MAGIC, bytes)?;
        let offset = input.i64()?;
        let mut epochs = Vec::new();
        for _ in 0..input.count(12)? {
            epochs.push((input.i32()?, input.i64()?));
        }
        let mut aborted = Vec::new();
        for _ in 0..input.count(Aborted::BYTES)? {
            aborted.push(Aborted::read(&mut input)?);
        }
        let producers = Producers::read(&mut input)?;
        Ok(Self { offset, producers, epochs, aborted })
    }

    /// `None` if it is damaged, of another offset or not there: it is a cache.
    pub(super) fn read(disk: &Arc<dyn Disk>, dir: &Path, offset: i64) -> Option<Self> {
        let path = dir.join(file_name(offset, "snap"));
        let bytes = disk.read(&path, BYTES_MAX).ok()?;
        Self::decode(&bytes).ok().filter(|snapshot| snapshot.offset == offset)
    }
}

/// Writes an encoded snapshot. The log below its offset must be durable.
pub(super) fn write(disk: &Arc<dyn Disk>, dir: &Path, offset: i64, bytes: &[u8]) -> Result<(), DiskError> {
    let path = dir.join(file_name(offset, "snap"));
    disk.replace(&path, bytes).map_err(|error| DiskError::new("writing", &path, &error))
}
