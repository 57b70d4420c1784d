//! How a transaction ends: what was decided is durable, then the markers are, then the offsets and the end itself.

use std::sync::Arc;

use parking_lot::Mutex;
use tracing::{error, info, warn};

use super::core::{End, Ending, Producer};
use super::{Entry, Transactions};
use crate::error::TxnError;
use crate::records::Record;
use crate::store::{AppendError, MetaPosition, Offline, Partition};

impl Transactions {
    /// EndTxn. `raises_epoch` is TV2.
    pub(crate) async fn end(
        self: &Arc<Self>,
        id: &str,
        producer: Producer,
        commit: bool,
        raises_epoch: bool,
    ) -> Result<Producer, TxnError> {
        let fresh_id = if raises_epoch && producer.epoch >= i16::MAX - 2 {
            self.producer_ids.allocate().await.map_err(|_| TxnError::Storage)?
        } else {
            -1
        };
        let found = self.find(id).ok_or(TxnError::UnknownProducerId)?;
        let step = self.with(id, |entry| {
            let now = self.env.clock.wall_ms();
            match entry.txn.end(now, producer, commit, raises_epoch, fresh_id)? {
                End::Already(producer) => Ok(Err(producer)),
                End::Start(ending) => Ok(Ok((ending, self.keep(id, &entry.txn)?))),
            }
        })?;
        match step {
            Err(producer) => Ok(producer),
            Ok((ending, position)) => {
                self.finish(id, found.clone(), ending, position).await?;
                let ended = found.lock().txn.producer();
                Ok(if raises_epoch { ended } else { producer })
            }
        }
    }

    pub(super) fn expire_locked(self: &Arc<Self>, id: &str, entry: &mut Entry) {
        let before = entry.txn.clone();
        let Some(ending) = entry.txn.expire(self.env.clock.wall_ms()) else {
            return;
        };
        info!(transactional_id = id, "transaction timed out");
        match self.keep(id, &entry.txn) {
            Ok(position) => {
                let (this, id) = (self.clone(), id.to_owned());
                tokio::spawn(async move {
                    let Some(entry) = this.find(&id) else {
                        return;
                    };
                    if let Err(error) = this.drive(&id, &entry, ending, Some(position), false).await {
                        error!(transactional_id = id, %error, "could not abort a transaction that timed out; the next start tries again");
                    }
                });
            }
            Err(_) => entry.txn = before,
        }
    }

    /// Drives an end to completion even if whoever asked goes away.
    pub(super) async fn finish(
        self: &Arc<Self>,
        id: &str,
        entry: Arc<Mutex<Entry>>,
        ending: Ending,
        position: MetaPosition,
    ) -> Result<(), TxnError> {
        let (this, id) = (self.clone(), id.to_owned());
        let driven = tokio::spawn(async move {
            let ended = this.drive(&id, &entry, ending, Some(position), false).await;
            if let Err(error) = &ended {
                error!(transactional_id = id, %error, "could not end a prepared transaction; the next start tries again");
            }
            ended
        });
        driven.await.unwrap_or(Err(TxnError::Storage))
    }

    pub(super) async fn drive(
        &self,
        id: &str,
        entry: &Mutex<Entry>,
        ending: Ending,
        position: Option<MetaPosition>,
        is_recovery: bool,
    ) -> Result<(), TxnError> {
        if let Some(position) = position {
            self.wait(position).await?;
        }
        self.write_markers(&ending, is_recovery).await?;
        // Prepared, so every other request is refused: the state cannot change under us.
        let mut ended = entry.lock().txn.clone();
        ended.complete(self.env.clock.wall_ms());
        let mut puts = vec![Record::Transaction(id.to_owned(), ended.clone()).put()];
        for group in &ending.groups {
            puts.extend(self.groups.pending_puts(group, ending.marker.id, ending.commit));
        }
        let position = self.meta.put(puts).map_err(|_| TxnError::Storage)?;
        // Waited for: the next transaction may not have records on disk while this one is not known to have ended.
        self.wait(position).await?;
        for group in &ending.groups {
            self.groups.end_pending(group, ending.marker.id, ending.commit);
        }
        entry.lock().txn = ended;
        Ok(())
    }

    async fn write_markers(&self, ending: &Ending, is_recovery: bool) -> Result<(), TxnError> {
        let mut written: Vec<(Arc<Partition>, i64)> = Vec::with_capacity(ending.partitions.len());
        for (topic_id, index) in &ending.partitions {
            let topic = self.topics.get_by_id(*topic_id);
            let Some(partition) = topic.as_ref().and_then(|t| t.partition(*index)) else {
                continue; // Deleted meanwhile, and the transaction's records with it.
            };
            let open = partition.producer(ending.marker.id);
            let is_open = open.is_some_and(|p| p.transaction_start_offset.is_some());
            if is_recovery && !is_open {
                continue; // Its marker was written before the crash.
            }
            let Producer { id, epoch } = ending.marker;
            match partition.end_transaction(id, epoch, 0, ending.commit) {
                Ok(appended) => written.push((partition.clone(), appended.last_offset)),
                Err(AppendError::Offline(Offline::Deleted)) => {}
                Err(error) => {
                    warn!(partition = index, %error, "could not write a transaction marker");
                    return Err(TxnError::Storage);
                }
            }
        }
        for (partition, offset) in written {
            match partition.wait_durable(offset).await {
                Ok(()) | Err(AppendError::Offline(Offline::Deleted)) => {}
                Err(error) => {
                    warn!(%error, "could not make a transaction marker durable");
                    return Err(TxnError::Storage);
                }
            }
        }
        Ok(())
    }
}
