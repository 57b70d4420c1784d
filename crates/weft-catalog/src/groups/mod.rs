//! Consumer groups of a Kafka: who is in them, what they have committed. Classic groups and those of KIP-848 alike.

mod native;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};

use crate::Connection;
use crate::error::CatalogError;
use crate::kafka::{DropBeside, QuietContext, blocking, broker_error, client_config};

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
    /// A consumer, though it consumes nothing: where a coordinator has moved, librdkafka 2.12 looks it up through the
    /// client's own group, and a client that has none ends the process.
    client: Arc<DropBeside<BaseConsumer<QuietContext>>>,
}

impl Groups {
    /// A client; it connects when it is first asked.
    pub fn open(connection: &Connection) -> Result<Self, CatalogError> {
        // Never joined.
        let config = client_config(connection, &[("group.id", "__weft.groups"), ("enable.auto.commit", "false")]);
        let client = config.create_with_context(QuietContext).map_err(|error| broker_error(DOING, &error))?;
        Ok(Self { client: Arc::new(DropBeside(Some(client))) })
    }

    /// Who is in one group; nobody, if there is no such group.
    pub async fn members(&self, group: &str) -> Result<Vec<Member>, CatalogError> {
        let (client, id) = (Arc::clone(&self.client), group.to_owned());
        blocking(DOING, move || {
            let mut asked = [Group { id, ..Group::default() }];
            native::describe(client.client(), &mut asked, ANSWER)?;
            let [described] = asked;
            Ok(described.members)
        })
        .await
    }

    /// Groups of these ids, in their order; one that there is not has no members and no commits.
    pub async fn named(&self, ids: &[String]) -> Result<Vec<Group>, CatalogError> {
        let client = Arc::clone(&self.client);
        let mut asked: Vec<Group> = ids.iter().map(|id| Group { id: id.clone(), ..Group::default() }).collect();
        blocking(DOING, move || {
            for some in asked.chunks_mut(AT_ONCE) {
                native::describe(client.client(), some, ANSWER)?;
                native::committed(client.client(), some, ANSWER)?;
            }
            Ok(asked)
        })
        .await
    }

    /// The first `most` groups by name, and how many there are.
    pub async fn all(&self, most: usize) -> Result<(Vec<Group>, usize), CatalogError> {
        let consumer = Arc::clone(&self.client);
        blocking(DOING, move || {
            let client = consumer.client();
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

#[cfg(test)]
mod tests {
    use rdkafka::mocking::MockCluster;
    use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};

    use super::*;

    /// A coordinator that has moved is looked up again; asked through a client without a group, this ended the process.
    #[tokio::test]
    async fn a_coordinator_that_moves_while_it_is_asked() {
        let kafka = MockCluster::new(1).unwrap();
        let moved = [RDKafkaRespErr::RD_KAFKA_RESP_ERR_NOT_COORDINATOR; 2];
        kafka.request_errors(RDKafkaApiKey::OffsetFetch, &moved);
        let groups = Groups::open(&Connection::new(kafka.bootstrap_servers())).unwrap();
        let mut asked = [Group { id: "readers".to_owned(), ..Group::default() }];
        let found = tokio::task::spawn_blocking(move || {
            native::committed(groups.client.client(), &mut asked, Duration::from_secs(3)).map(|()| asked)
        });
        if let Ok([group]) = found.await.unwrap() {
            assert!(group.committed.is_empty(), "{group:?}");
        }
    }
}
