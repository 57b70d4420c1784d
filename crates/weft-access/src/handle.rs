//! The handle: what is true now, what ends, and the way to write.

use std::sync::Arc;

use parking_lot::RwLock;
use rdkafka::producer::FutureProducer;
use tokio::sync::watch;
use weft_model::name::{ClientName, PortId};

use crate::Options;
use crate::error::AccessError;
use crate::key::{Key, KeyRecord};
use crate::record::{Change, Hand, TEXT_BYTES_MAX};
use crate::service;
use crate::state::{State, Taken};

/// How far the topic has been read.
#[derive(Debug, Clone, Default)]
pub(crate) struct Seen {
    /// Counts what changed; wakes whoever waits.
    pub(crate) changes: u64,
    /// The end that was there at the start has been reached.
    pub(crate) ready: bool,
    /// What is in the way of beginning, as it was last.
    pub(crate) trouble: Option<AccessError>,
    /// Why the topic is read no further.
    pub(crate) broken: Option<AccessError>,
}

/// What the follower and the handles share.
pub(crate) struct Shared {
    pub(crate) options: Options,
    pub(crate) state: RwLock<Arc<State>>,
    pub(crate) taken: parking_lot::Mutex<service::Recent>,
    pub(crate) seen: watch::Sender<Seen>,
    /// Writes; made by the first record.
    pub(crate) producer: parking_lot::Mutex<Option<FutureProducer>>,
}

/// The access of one mesh, followed. Cheap to clone; dropping the last one ends the following.
#[derive(Clone)]
pub struct Access {
    shared: Arc<Shared>,
}

impl Access {
    /// Follows the audit topic of the mesh from its beginning, and makes it if it is not there.
    pub fn follow(options: Options) -> Self {
        let shared = Arc::new(Shared {
            options,
            state: RwLock::default(),
            taken: parking_lot::Mutex::default(),
            seen: watch::Sender::new(Seen::default()),
            producer: parking_lot::Mutex::default(),
        });
        service::start(&shared);
        Self { shared }
    }

    /// Who may read what, as far as the topic has been read.
    pub fn state(&self) -> Arc<State> {
        Arc::clone(&self.shared.state.read())
    }

    /// Has everything been read that was there at the start?
    pub fn is_ready(&self) -> bool {
        self.shared.seen.borrow().ready
    }

    /// What is in the way of reading the topic, if something is.
    pub fn trouble(&self) -> Option<AccessError> {
        let seen = self.shared.seen.borrow();
        seen.broken.clone().or_else(|| seen.trouble.clone())
    }

    /// Waits until everything has been read that was there at the start.
    ///
    /// # Errors
    /// The topic cannot be read.
    pub async fn ready(&self) -> Result<(), AccessError> {
        let mut seen = self.shared.seen.subscribe();
        let found = seen.wait_for(|seen| seen.ready || seen.broken.is_some()).await;
        let found = found.expect("the sender lives as long as this handle").clone();
        found.broken.map_or(Ok(()), Err)
    }

    /// Writes a record, waits until it comes back, and says what it came to.
    ///
    /// # Errors
    /// It could not be written, or the fold gave it no effect.
    pub async fn record(&self, hand: &Hand, change: Change) -> Result<Taken, AccessError> {
        check(&change)?;
        self.ready().await?;
        let taken = service::write(&self.shared, hand, change).await?;
        match taken.refused {
            Some(refusal) => Err(refusal.into()),
            None => Ok(taken),
        }
    }

    /// Makes a client, and its key, which nobody will see again.
    ///
    /// # Errors
    /// As [`Access::record`].
    pub async fn create_client(&self, hand: &Hand, client: ClientName) -> Result<Key, AccessError> {
        let key = Key::new();
        self.record(hand, Change::ClientCreated { client, key: record_of(&key).await }).await?;
        Ok(key)
    }

    /// Gives a client a new key; the old one opens nothing any more.
    ///
    /// # Errors
    /// As [`Access::record`].
    pub async fn rotate_key(&self, hand: &Hand, client: ClientName) -> Result<Key, AccessError> {
        let key = Key::new();
        self.record(hand, Change::KeyRotated { client, key: record_of(&key).await }).await?;
        Ok(key)
    }

    /// Ready as soon as something is taken away from this client, counted from this call.
    pub fn shrinks(&self, client: &ClientName) -> Shrinks {
        let seen = self.shared.seen.subscribe();
        let from = shrunk(&self.state(), client);
        Shrinks { access: self.clone(), seen, client: client.clone(), from }
    }
}

async fn record_of(key: &Key) -> KeyRecord {
    let key = key.clone();
    let derived = tokio::task::spawn_blocking(move || key.record()).await;
    derived.expect("deriving a key does not panic")
}

fn check(change: &Change) -> Result<(), AccessError> {
    let what = match change {
        Change::ClientCreated { .. } | Change::KeyRotated { .. } => return Ok(()),
        Change::Requested { .. } => "purpose",
        Change::ClientRemoved { .. } | Change::Approved { .. } | Change::Denied { .. } | Change::Revoked { .. } => {
            "reason"
        }
    };
    let text = change.text().trim();
    if text.is_empty() || text.len() > TEXT_BYTES_MAX {
        return Err(AccessError::Text { what, bytes: text.len().min(TEXT_BYTES_MAX + 1) });
    }
    Ok(())
}

/// `None`: it has no key, so whatever it held is gone.
fn shrunk(state: &State, client: &ClientName) -> Option<u64> {
    let client = state.client(client)?;
    client.key.as_ref().map(|_| client.shrinks)
}

/// Waits for something to be taken away from a client.
pub struct Shrinks {
    access: Access,
    seen: watch::Receiver<Seen>,
    client: ClientName,
    from: Option<u64>,
}

impl Shrinks {
    /// Ready when it happened, at once if it has; also when the topic cannot be read any further.
    pub async fn happened(mut self) {
        let access = self.access;
        let ended = |seen: &Seen| {
            seen.broken.is_some() || self.from.is_none() || shrunk(&access.state(), &self.client) != self.from
        };
        // The sender lives as long as the handle above.
        let _ = self.seen.wait_for(ended).await;
    }

    /// Ready when the client may not read the port any more, at once if it may not.
    pub async fn may_not_read(mut self, port: &PortId) {
        let access = self.access;
        let ended = |seen: &Seen| {
            seen.broken.is_some()
                || shrunk(&access.state(), &self.client).is_none()
                || !access.state().may_read(&self.client, port)
        };
        // The sender lives as long as the handle above.
        let _ = self.seen.wait_for(ended).await;
    }
}
