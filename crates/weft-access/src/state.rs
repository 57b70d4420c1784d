//! What the records mean: a fold without clock, socket or chance.
//!
//! ```text
//!   requested ─► Pending ─┬─ approved ─► Approved ─ revoked, or the client removed ─► Revoked
//!                         └─ denied ───► Denied     (asking again is a new request)
//! ```

use std::collections::{BTreeMap, HashSet};

use uuid::Uuid;
use weft_model::name::{ClientName, PortId};

use crate::key::{Key, KeyRecord};
use crate::record::{Change, Event};

/// Who may read what, after so many records.
#[derive(Debug, Clone, Default)]
pub struct State {
    clients: BTreeMap<ClientName, Client>,
    /// Request 1 comes first.
    requests: Vec<Request>,
    /// Ids of all records: one that a retry wrote twice counts once.
    known: HashSet<Uuid>,
}

/// An application with a key.
#[derive(Debug, Clone)]
pub struct Client {
    /// Its name.
    pub name: ClientName,
    /// What checks its key; `None` once it is removed.
    pub key: Option<KeyRecord>,
    /// Counts what took something away from it: a key, a port, everything. What was opened before ends when it grows.
    pub shrinks: u64,
    /// Its own records, oldest first.
    pub happened: Vec<Happened>,
}

/// A client's wish to read a port, and what became of it.
#[derive(Debug, Clone)]
pub struct Request {
    /// Counts from 1.
    pub number: u64,
    /// Who.
    pub client: ClientName,
    /// What.
    pub port: PortId,
    /// The topic behind the port.
    pub topic: String,
    /// How it stands.
    pub standing: Standing,
    /// Its records, oldest first; also those that came too late to count.
    pub happened: Vec<Happened>,
}

/// How a request stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Nobody has decided.
    Pending,
    /// The client may read.
    Approved,
    /// It may not.
    Denied,
    /// It may not any more.
    Revoked,
}

impl Standing {
    /// For people.
    pub fn word(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Approved => "approved",
            Self::Denied => "denied",
            Self::Revoked => "revoked",
        }
    }
}

/// A record, as a person is told about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Happened {
    /// Its offset on the audit topic.
    pub offset: i64,
    /// When.
    pub at: String,
    /// Who.
    pub by: String,
    /// From where.
    pub via: String,
    /// What, in one word.
    pub what: &'static str,
    /// Purpose or reason.
    pub text: String,
    /// Why it had no effect, if it had none.
    pub void: Option<Refusal>,
}

/// What a record came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    /// Number of the request it made or changed, if it is about one.
    pub request: Option<u64>,
    /// Why it had no effect, if it had none.
    pub refused: Option<Refusal>,
}

/// Why a record has no effect.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The name is taken.
    #[error("there is a client \"{client}\" already, since {at}, by {by}")]
    ClientExists {
        /// Which.
        client: ClientName,
        /// Since when.
        at: String,
        /// Who made it.
        by: String,
    },
    /// The name was taken once.
    #[error("client \"{client}\" was removed; its name stands in the audit topic and is not given out again")]
    ClientRemoved {
        /// Which.
        client: ClientName,
    },
    /// Nobody has that name.
    #[error("nobody has made a client \"{client}\"")]
    NoClient {
        /// As asked for.
        client: ClientName,
    },
    /// No request has that number.
    #[error("nobody has made a request {request}")]
    NoRequest {
        /// As asked for.
        request: u64,
    },
    /// The client asked for the port before, and nobody has decided.
    #[error("request {request} of client \"{client}\" for port \"{port}\" waits for a decision")]
    Waits {
        /// The earlier one.
        request: u64,
        /// Who.
        client: ClientName,
        /// What.
        port: PortId,
    },
    /// The client may read it.
    #[error("client \"{client}\" may read port \"{port}\" by request {request}")]
    MayAlready {
        /// The one that was approved.
        request: u64,
        /// Who.
        client: ClientName,
        /// What.
        port: PortId,
    },
    /// Somebody was first.
    #[error("request {request} was {} by {by} at {at}", standing.word())]
    Decided {
        /// Which.
        request: u64,
        /// How it stands.
        standing: Standing,
        /// Who decided.
        by: String,
        /// When.
        at: String,
    },
    /// The same record again.
    #[error("the record is on the topic twice")]
    Twice,
    /// Only what was approved can be taken back.
    #[error("request {request} is {}, so there is nothing to take back", standing.word())]
    NothingToRevoke {
        /// Which.
        request: u64,
        /// How it stands.
        standing: Standing,
    },
}

impl State {
    /// Takes in one record, in the order of the topic.
    pub fn take(&mut self, offset: i64, event: &Event) -> Taken {
        if !self.known.insert(event.id) {
            return Taken { request: None, refused: Some(Refusal::Twice) };
        }
        let result = self.change(&event.change);
        let (request, refused) = match result {
            Ok(request) => (request, None),
            Err(refusal) => (None, Some(refusal)),
        };
        let happened = Happened {
            offset,
            at: event.at.clone(),
            by: event.hand.by.clone(),
            via: event.hand.via.clone(),
            what: event.change.word(),
            text: event.change.text().to_owned(),
            void: refused.clone(),
        };
        match &event.change {
            Change::ClientCreated { client, .. }
            | Change::KeyRotated { client, .. }
            | Change::ClientRemoved { client, .. } => {
                if let Some(client) = self.clients.get_mut(client) {
                    client.happened.push(happened.clone());
                }
            }
            Change::Requested { .. } => {
                if let Some(request) = request.and_then(|number| self.request_mut(number)) {
                    request.happened.push(happened.clone());
                }
            }
            Change::Approved { request, .. } | Change::Denied { request, .. } | Change::Revoked { request, .. } => {
                if let Some(request) = self.request_mut(*request) {
                    request.happened.push(happened.clone());
                }
            }
        }
        if let Change::ClientRemoved { client, .. } = &event.change
            && refused.is_none()
        {
            self.revoke_all(client, &happened);
        }
        Taken { request, refused }
    }

    fn change(&mut self, change: &Change) -> Result<Option<u64>, Refusal> {
        match change {
            Change::ClientCreated { client, key } => {
                if let Some(there) = self.clients.get(client) {
                    return Err(there.taken());
                }
                let new = Client { name: client.clone(), key: Some(key.clone()), shrinks: 0, happened: Vec::new() };
                self.clients.insert(client.clone(), new);
                Ok(None)
            }
            Change::KeyRotated { client, key } => {
                let client = self.active_mut(client)?;
                client.key = Some(key.clone());
                client.shrinks += 1;
                Ok(None)
            }
            Change::ClientRemoved { client, .. } => {
                let client = self.active_mut(client)?;
                client.key = None;
                client.shrinks += 1;
                Ok(None)
            }
            Change::Requested { client, port, topic, .. } => {
                self.active_mut(client)?;
                self.may_ask(client, port)?;
                let number = self.requests.len() as u64 + 1;
                self.requests.push(Request {
                    number,
                    client: client.clone(),
                    port: port.clone(),
                    topic: topic.clone(),
                    standing: Standing::Pending,
                    happened: Vec::new(),
                });
                Ok(Some(number))
            }
            Change::Approved { request, .. } => self.decide(*request, Standing::Approved),
            Change::Denied { request, .. } => self.decide(*request, Standing::Denied),
            Change::Revoked { request, .. } => {
                let found = self.request_mut(*request).ok_or(Refusal::NoRequest { request: *request })?;
                if found.standing != Standing::Approved {
                    return Err(Refusal::NothingToRevoke { request: *request, standing: found.standing });
                }
                found.standing = Standing::Revoked;
                let client = found.client.clone();
                self.active_mut(&client)?.shrinks += 1;
                Ok(Some(*request))
            }
        }
    }

    /// Nothing of the same may wait or hold.
    fn may_ask(&self, client: &ClientName, port: &PortId) -> Result<(), Refusal> {
        let same = self.requests.iter().rev().find(|one| one.client == *client && one.port == *port);
        let Some(Request { number, standing, .. }) = same else { return Ok(()) };
        let (request, client, port) = (*number, client.clone(), port.clone());
        match standing {
            Standing::Pending => Err(Refusal::Waits { request, client, port }),
            Standing::Approved => Err(Refusal::MayAlready { request, client, port }),
            Standing::Denied | Standing::Revoked => Ok(()),
        }
    }

    fn decide(&mut self, number: u64, standing: Standing) -> Result<Option<u64>, Refusal> {
        let request = self.request_mut(number).ok_or(Refusal::NoRequest { request: number })?;
        if request.standing != Standing::Pending {
            let decision = request.happened.iter().rev().find(|one| one.void.is_none());
            let (by, at) = decision.map_or_else(Default::default, |one| (one.by.clone(), one.at.clone()));
            return Err(Refusal::Decided { request: number, standing: request.standing, by, at });
        }
        request.standing = standing;
        Ok(Some(number))
    }

    fn revoke_all(&mut self, client: &ClientName, because: &Happened) {
        for request in self.requests.iter_mut().filter(|request| request.client == *client) {
            let becomes = match request.standing {
                Standing::Pending => Standing::Denied,
                Standing::Approved => Standing::Revoked,
                Standing::Denied | Standing::Revoked => continue,
            };
            request.standing = becomes;
            request.happened.push(Happened { what: "client removed", ..because.clone() });
        }
    }

    fn active_mut(&mut self, name: &ClientName) -> Result<&mut Client, Refusal> {
        match self.clients.get_mut(name) {
            None => Err(Refusal::NoClient { client: name.clone() }),
            Some(Client { key: None, .. }) => Err(Refusal::ClientRemoved { client: name.clone() }),
            Some(client) => Ok(client),
        }
    }

    fn request_mut(&mut self, number: u64) -> Option<&mut Request> {
        let at = usize::try_from(number).ok()?.checked_sub(1)?;
        self.requests.get_mut(at)
    }

    /// Every client that is or was, by name.
    pub fn clients(&self) -> impl Iterator<Item = &Client> {
        self.clients.values()
    }

    /// A client, removed or not.
    pub fn client(&self, name: &ClientName) -> Option<&Client> {
        self.clients.get(name)
    }

    /// Every request, oldest first.
    pub fn requests(&self) -> &[Request] {
        &self.requests
    }

    /// A request by its number.
    pub fn request(&self, number: u64) -> Option<&Request> {
        self.requests.get(usize::try_from(number).ok()?.checked_sub(1)?)
    }

    /// What a client may read now.
    pub fn grants<'a>(&'a self, client: &'a ClientName) -> impl Iterator<Item = &'a Request> {
        self.requests.iter().filter(move |one| one.standing == Standing::Approved && one.client == *client)
    }

    /// May this client read this port?
    pub fn may_read(&self, client: &ClientName, port: &PortId) -> bool {
        self.grants(client).any(|grant| grant.port == *port)
    }

    /// May this client read this topic?
    pub fn may_read_topic(&self, client: &ClientName, topic: &str) -> bool {
        self.grants(client).any(|grant| grant.topic == topic)
    }

    /// Whose key is this? `None` for one that was guessed, rotated or removed.
    pub fn holder(&self, presented: &str) -> Option<&Client> {
        let key = Key::parse(presented)?;
        let is_its = |client: &&Client| client.key.as_ref().is_some_and(|kept| kept.id == key.id());
        let client = self.clients.values().find(is_its)?;
        client.key.as_ref().is_some_and(|kept| kept.matches(presented)).then_some(client)
    }
}

impl Client {
    fn taken(&self) -> Refusal {
        let client = self.name.clone();
        if self.key.is_none() {
            return Refusal::ClientRemoved { client };
        }
        let (at, by) = self.happened.first().map_or_else(Default::default, |one| (one.at.clone(), one.by.clone()));
        Refusal::ClientExists { client, at, by }
    }
}
