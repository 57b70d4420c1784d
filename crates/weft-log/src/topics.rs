//! Topics: name ↔ id ↔ partitions. The meta log says what exists; the store's folders follow it.
//!
//! A topic is an immutable value behind an `Arc`; a change puts a new value in its place. Making one: folders first,
//! then the meta record (from there on it exists). Deleting one: the meta record first, then the folders. What a crash
//! leaves between the two is removed at the next start.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use parking_lot::RwLock;
use tracing::{info, warn};
use uuid::Uuid;

use crate::config::Options;
use crate::error::TopicError;
use crate::records::{Key, Record, TopicRecord};
use crate::store::{CleanupPolicy, MetaPosition, Partition, PartitionConfig, Store, StoreError, TimestampType};
use crate::topic_config::{self, Configs};

/// One topic.
pub(crate) struct Topic {
    pub(crate) id: Uuid,
    pub(crate) name: String,
    pub(crate) configs: Configs,
    pub(crate) partitions: Vec<Arc<Partition>>,
}

impl Topic {
    pub(crate) fn partition(&self, index: i32) -> Option<&Arc<Partition>> {
        self.partitions.get(usize::try_from(index).ok()?)
    }

    fn record(&self) -> Record {
        let topic = TopicRecord {
            name: self.name.clone(),
            partitions: u32::try_from(self.partitions.len()).expect("bounded by partitions_max"),
            configs: self.configs.clone().into_iter().collect(),
        };
        Record::Topic(self.id, topic)
    }
}

/// A topic to make.
#[derive(Debug, Clone)]
pub(crate) struct NewTopic {
    pub(crate) name: String,
    pub(crate) partitions: u32,
    pub(crate) configs: Configs,
}

#[derive(Default)]
struct Inner {
    by_name: BTreeMap<String, Arc<Topic>>,
    by_id: HashMap<Uuid, Arc<Topic>>,
    /// Names being made right now, so that two requests cannot both make one.
    reserved: BTreeSet<String>,
    partitions: usize,
}

/// All topics.
pub(crate) struct Topics {
    store: Arc<Store>,
    inner: RwLock<Inner>,
    /// What topics fall back to before Kafka's defaults.
    defaults: Configs,
    partitions_max: usize,
    partitions_per_topic_max: u32,
}

impl Topics {
    /// Opens what the meta log lists and removes folders it does not list.
    pub(crate) fn open(
        store: Arc<Store>,
        options: &Options,
        records: Vec<(Uuid, TopicRecord)>,
    ) -> Result<Self, StoreError> {
        let mut defaults = Configs::new();
        let message_bytes_max = options.message_bytes_max.to_string();
        // Only what differs from Kafka's default is a setting of the broker; the rest stays a default to whoever asks.
        let kafkas = topic_config::definition("max.message.bytes").map(|d| d.default);
        if kafkas != Some(message_bytes_max.as_str()) {
            defaults.insert("max.message.bytes".to_owned(), message_bytes_max);
        }
        let topics = Self {
            store,
            inner: RwLock::new(Inner::default()),
            defaults,
            partitions_max: options.partitions_max as usize,
            partitions_per_topic_max: options.partitions_per_topic_max,
        };
        let known: BTreeSet<Uuid> = records.iter().map(|(id, _)| *id).collect();
        for (topic_id, _) in topics.store.topics() {
            if !known.contains(&topic_id) {
                info!(%topic_id, "folder of no topic removed");
                topics.store.delete_topic(topic_id)?;
            }
        }
        for (id, record) in records {
            let configs: Configs = record.configs.into_iter().collect();
            let partitions = topics.make_partitions(id, 0, record.partitions, &configs)?;
            topics.insert(Topic { id, name: record.name, configs, partitions });
        }
        Ok(topics)
    }

    pub(crate) fn get(&self, name: &str) -> Option<Arc<Topic>> {
        self.inner.read().by_name.get(name).cloned()
    }

    pub(crate) fn get_by_id(&self, id: Uuid) -> Option<Arc<Topic>> {
        self.inner.read().by_id.get(&id).cloned()
    }

    /// All topics in order of name.
    pub(crate) fn all(&self) -> Vec<Arc<Topic>> {
        self.inner.read().by_name.values().cloned().collect()
    }

    pub(crate) fn defaults(&self) -> &Configs {
        &self.defaults
    }

    /// Would [`Topics::create`] accept it?
    pub(crate) fn check_new(&self, new: &NewTopic) -> Result<(), TopicError> {
        check_name(&new.name)?;
        let inner = self.inner.read();
        let exists = inner.by_name.contains_key(&new.name) || inner.reserved.contains(&new.name);
        if exists {
            return Err(TopicError::Exists { name: new.name.clone() });
        }
        let folded = new.name.replace('.', "_");
        if inner.by_name.keys().any(|n| n.replace('.', "_") == folded) {
            return Err(TopicError::InvalidName {
                name: new.name.clone(),
                because: "another topic differs from it only in '.' and '_', which metrics cannot tell apart",
            });
        }
        self.check_count(&inner, 0, new.partitions)?;
        for (name, value) in &new.configs {
            topic_config::validate(name, value)?;
        }
        Ok(())
    }

    fn check_count(&self, inner: &Inner, now: u32, count: u32) -> Result<(), TopicError> {
        let asked = i32::try_from(count).unwrap_or(i32::MAX);
        let refuse = |because: String| Err(TopicError::InvalidPartitions { asked, because });
        if count == 0 {
            return refuse("a topic has at least one".to_owned());
        }
        if count > self.partitions_per_topic_max {
            let limit = self.partitions_per_topic_max;
            return refuse(format!("a topic has at most {limit} (partitions_per_topic_max)"));
        }
        if inner.partitions + (count.saturating_sub(now)) as usize > self.partitions_max {
            let limit = self.partitions_max;
            return refuse(format!("all topics together have at most {limit} (partitions_max)"));
        }
        Ok(())
    }

    /// Makes a topic under a fresh id. It exists for others once this returns; wait for the position before saying so.
    pub(crate) fn create(&self, id: Uuid, new: NewTopic) -> Result<(Arc<Topic>, MetaPosition), TopicError> {
        self.check_new(&new)?;
        if !self.inner.write().reserved.insert(new.name.clone()) {
            return Err(TopicError::Exists { name: new.name });
        }
        let made = self.make(id, &new);
        self.inner.write().reserved.remove(&new.name);
        made.map_err(|error| {
            warn!(topic = new.name, %error, "could not create the topic");
            TopicError::Storage
        })
    }

    fn make(&self, id: Uuid, new: &NewTopic) -> Result<(Arc<Topic>, MetaPosition), StoreError> {
        let partitions = self.make_partitions(id, 0, new.partitions, &new.configs)?;
        let topic = Topic { id, name: new.name.clone(), configs: new.configs.clone(), partitions };
        let position = self.store.meta().put(vec![topic.record().put()])?;
        Ok((self.insert(topic), position))
    }

    /// Adds partitions up to `count`.
    pub(crate) fn grow(&self, name: &str, count: i32, validate_only: bool) -> Result<Option<MetaPosition>, TopicError> {
        let topic = self.get(name).ok_or(TopicError::Unknown)?;
        let now = u32::try_from(topic.partitions.len()).expect("bounded by partitions_max");
        let asked = u32::try_from(count).unwrap_or(0);
        if asked <= now {
            return Err(TopicError::InvalidPartitions {
                asked: count,
                because: format!("the topic has {now} already, and partitions are only ever added"),
            });
        }
        self.check_count(&self.inner.read(), now, asked)?;
        if validate_only {
            return Ok(None);
        }
        let grown = || -> Result<MetaPosition, StoreError> {
            let mut partitions = topic.partitions.clone();
            partitions.extend(self.make_partitions(topic.id, now, asked, &topic.configs)?);
            self.replace(Topic { id: topic.id, name: topic.name.clone(), configs: topic.configs.clone(), partitions })
        };
        grown().map(Some).map_err(|error| {
            warn!(topic = name, %error, "could not add partitions");
            TopicError::Storage
        })
    }

    /// Puts new configs in place; they have been validated.
    pub(crate) fn set_configs(&self, name: &str, configs: Configs) -> Result<MetaPosition, TopicError> {
        let topic = self.get(name).ok_or(TopicError::Unknown)?;
        let partition_config = self.partition_config(&configs);
        let changed = Topic { id: topic.id, name: topic.name.clone(), configs, partitions: topic.partitions.clone() };
        let position = self.replace(changed).map_err(|error| {
            warn!(topic = name, %error, "could not keep the topic's configs");
            TopicError::Storage
        })?;
        for partition in &topic.partitions {
            partition.set_config(partition_config.clone());
        }
        Ok(position)
    }

    /// Forgets a topic, with `also` in the same put, then removes its folders.
    pub(crate) fn delete(
        &self,
        topic: &Topic,
        mut also: Vec<(bytes::Bytes, Option<bytes::Bytes>)>,
    ) -> Result<MetaPosition, TopicError> {
        also.push((Key::Topic(topic.id).encode(), None));
        let position = self.store.meta().put(also).map_err(|error| {
            warn!(topic = topic.name, %error, "could not delete the topic");
            TopicError::Storage
        })?;
        {
            let mut inner = self.inner.write();
            inner.by_name.remove(&topic.name);
            inner.by_id.remove(&topic.id);
            inner.partitions = inner.partitions.saturating_sub(topic.partitions.len());
        }
        if let Err(error) = self.store.delete_topic(topic.id) {
            warn!(topic = topic.name, %error, "could not remove the topic's files; the next start will");
        }
        Ok(position)
    }

    fn make_partitions(
        &self,
        id: Uuid,
        from: u32,
        to: u32,
        configs: &Configs,
    ) -> Result<Vec<Arc<Partition>>, StoreError> {
        let config = self.partition_config(configs);
        (from..to).map(|p| self.store.create_partition(id, p, config.clone())).collect()
    }

    fn replace(&self, topic: Topic) -> Result<MetaPosition, StoreError> {
        let position = self.store.meta().put(vec![topic.record().put()])?;
        self.insert(topic);
        Ok(position)
    }

    fn insert(&self, topic: Topic) -> Arc<Topic> {
        let topic = Arc::new(topic);
        let mut inner = self.inner.write();
        inner.partitions += topic.partitions.len();
        inner.by_id.insert(topic.id, topic.clone());
        if let Some(old) = inner.by_name.insert(topic.name.clone(), topic.clone()) {
            inner.partitions = inner.partitions.saturating_sub(old.partitions.len());
        }
        topic
    }

    fn partition_config(&self, configs: &Configs) -> PartitionConfig {
        let number = |name| topic_config::number(configs, &self.defaults, name);
        let append_time = configs.get("message.timestamp.type").is_some_and(|v| v == "LogAppendTime");
        PartitionConfig {
            cleanup: CleanupPolicy {
                delete: topic_config::cleanup_has(configs, &self.defaults, "delete"),
                compact: topic_config::cleanup_has(configs, &self.defaults, "compact"),
            },
            segment_bytes: number("segment.bytes").unsigned_abs(),
            segment_ms: number("segment.ms"),
            retention_ms: number("retention.ms"),
            retention_bytes: number("retention.bytes"),
            max_message_bytes: number("max.message.bytes").unsigned_abs(),
            timestamp_type: if append_time { TimestampType::LogAppendTime } else { TimestampType::CreateTime },
            timestamp_before_max_ms: number("message.timestamp.before.max.ms"),
            timestamp_after_max_ms: number("message.timestamp.after.max.ms"),
        }
    }
}

/// Kafka's rules for a topic's name.
pub(crate) fn check_name(name: &str) -> Result<(), TopicError> {
    let because = if name.is_empty() {
        "it is empty"
    } else if name == "." || name == ".." {
        "'.' and '..' are no names"
    } else if name.len() > 249 {
        "it is longer than 249 bytes"
    } else if !name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-')) {
        "only ASCII letters, digits, '.', '_' and '-' may be in it"
    } else {
        return Ok(());
    };
    Err(TopicError::InvalidName { name: name.chars().take(249).collect(), because })
}
