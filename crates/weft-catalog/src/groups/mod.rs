//! Consumer groups of a Kafka: who is in them, what they have committed. Classic groups and those of KIP-848 alike.

mod native;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use crate::Connection;
use crate::error::CatalogError;
use crate::kafka::{Admin, blocking, open_admin};

/// Longest wait for one answer.
const ANSWER: Duration = Duration::from_secs(10);
/// Groups described by one question.
const AT_ONCE: usize = 100;
const DOING: &str = "asking for consumer groups";

/// One group.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Group {
    /// Its id.
    pub id: String,
    /// Its protocol, in Kafka's word: `Classic`, `Consumer` (KIP-848), or another.
    pub kind: String,
    /// What it does, in Kafka's word: `Stable`, `Empty`, `PreparingRebalance`.
    pub state: String,
    /// Who is in it.
    pub members: Vec<Member>,
    /// Next offset by topic and partition. A partition that is not here has no commit.
    pub committed: BTreeMap<(String, u32), i64>,
    /// Why it could not be looked at, if it could not.
    pub error: Option<String>,
}

/// One member of a group.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Member {
    /// What it calls itself.
    pub client_id: String,
    /// Where it is.
    pub host: String,
    /// Topic and partition of all that it reads.
    pub assigned: BTreeSet<(String, u32)>,
}

/// Asks for groups over one connection that stays open. Cheap to clone.
#[derive(Clone)]
pub struct Groups {
    admin: Arc<Admin>,
}

impl Groups {
    /// A client; it connects when it is first asked.
    pub fn open(connection: &Connection) -> Result<Self, CatalogError> {
        Ok(Self { admin: Arc::new(open_admin(connection)?) })
    }

    /// Who is in one group; nobody, if there is no such group.
    pub async fn members(&self, group: &str) -> Result<Vec<Member>, CatalogError> {
        let (admin, id) = (Arc::clone(&self.admin), group.to_owned());
        blocking(DOING, move || {
            let mut asked = [Group { id, ..Group::default() }];
            native::describe(admin.inner(), &mut asked, ANSWER)?;
            let [described] = asked;
            Ok(described.members)
        })
        .await
    }

    /// Groups of these ids, in their order; one that there is not has no members and no commits.
    pub async fn named(&self, ids: &[String]) -> Result<Vec<Group>, CatalogError> {
        let admin = Arc::clone(&self.admin);
        let mut asked: Vec<Group> = ids.iter().map(|id| Group { id: id.clone(), ..Group::default() }).collect();
        blocking(DOING, move || {
            for some in asked.chunks_mut(AT_ONCE) {
                native::describe(admin.inner(), some, ANSWER)?;
                native::committed(admin.inner(), some, ANSWER)?;
            }
            Ok(asked)
        })
        .await
    }

    /// The first `most` groups by name, and how many there are.
    pub async fn all(&self, most: usize) -> Result<(Vec<Group>, usize), CatalogError> {
        let admin = Arc::clone(&self.admin);
        blocking(DOING, move || {
            let client = admin.inner();
            let mut listed = native::list(client, ANSWER)?;
            listed.sort_by(|a, b| a.id.cmp(&b.id));
            let count = listed.len();
            listed.truncate(most);
            for some in listed.chunks_mut(AT_ONCE) {
                native::describe(client, some, ANSWER)?;
                native::committed(client, some, ANSWER)?;
            }
            Ok((listed, count))
        })
        .await
    }
}
