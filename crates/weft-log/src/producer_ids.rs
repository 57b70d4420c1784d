//! Producer ids, handed out in blocks: an id is never given twice, not even over a crash.
//!
//! A new log starts at a random high block, so ids of two logs hardly ever meet in a mirrored topic.

use std::sync::Arc;

use tokio::sync::Mutex;
use weft_wire::env::Env;

use crate::records::Record;
use crate::store::{MetaLog, StoreError};

/// Ids per record of the meta log.
const BLOCK: i64 = 1_000;

struct Block {
    next: i64,
    end: i64,
}

/// The allocator.
pub(crate) struct ProducerIds {
    meta: Arc<MetaLog>,
    block: Mutex<Block>,
}

impl ProducerIds {
    /// `next` is what the meta log says nobody has yet.
    pub(crate) fn open(env: &Env, meta: Arc<MetaLog>, next: Option<i64>) -> Self {
        // 2^40 blocks of a thousand stay below 2^53, the largest integer that JavaScript clients count exactly.
        let random = || i64::try_from(env.rng.next_u64() % (1 << 40)).expect("below 2^40") * BLOCK;
        let next = next.unwrap_or_else(random);
        Self { meta, block: Mutex::new(Block { next, end: next }) }
    }

    /// An id that nobody had before, durably so.
    pub(crate) async fn allocate(&self) -> Result<i64, StoreError> {
        let mut block = self.block.lock().await;
        if block.next >= block.end {
            let end = block.next + BLOCK;
            let position = self.meta.put(vec![Record::ProducerIds(end).put()])?;
            self.meta.wait_durable(position).await?;
            block.end = end;
        }
        let id = block.next;
        block.next += 1;
        Ok(id)
    }
}
