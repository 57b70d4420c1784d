//! What the log keeps about itself: one record per topic, group, committed offset and transactional id, in the meta log.
//!
//! A key is a kind byte and its fields, a value a version byte and its fields; integers are big-endian, strings and
//! bytes carry a 4-byte length. A value of an unknown version stops the start rather than being guessed at.

use bytes::{BufMut, Bytes, BytesMut};
use uuid::Uuid;

use crate::error::RecordError;
use crate::group::words::{Kept, KeptMember, Protocol};
use crate::txn::core::{State, Txn};

/// Version of every value written today.
const VERSION: u8 = 1;

/// Names one fact.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Key {
    /// The log's own identity.
    Cluster,
    /// The next block of producer ids.
    ProducerIds,
    /// A topic, by id.
    Topic(Uuid),
    /// Members and generation of a group.
    Group(String),
    /// An offset a group committed.
    Offset {
        /// The group.
        group: String,
        /// The topic's name.
        topic: String,
        /// The partition.
        partition: i32,
    },
    /// An offset in an open transaction.
    PendingOffset {
        /// Producer id of the transaction.
        producer_id: i64,
        /// The group.
        group: String,
        /// The topic's name.
        topic: String,
        /// The partition.
        partition: i32,
    },
    /// A transactional id.
    Transaction(String),
}

/// A topic as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TopicRecord {
    /// Its name.
    pub(crate) name: String,
    /// Its partitions, numbered from 0.
    pub(crate) partitions: u32,
    /// Configs set on it; others follow the defaults.
    pub(crate) configs: Vec<(String, String)>,
}

/// A committed offset as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OffsetRecord {
    /// The next offset to read.
    pub(crate) offset: i64,
    /// Leader epoch of the last record read, or -1.
    pub(crate) leader_epoch: i32,
    /// The client's own words.
    pub(crate) metadata: String,
    /// When it was committed, in ms since 1970.
    pub(crate) committed_at: i64,
}

/// A fact.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Record {
    /// The log's own identity, fixed at its first start.
    Cluster(String),
    /// First producer id not handed to any block yet.
    ProducerIds(i64),
    /// A topic.
    Topic(Uuid, TopicRecord),
    /// A group.
    Group(String, Kept),
    /// A committed offset.
    Offset(String, String, i32, OffsetRecord),
    /// A pending offset.
    PendingOffset(i64, String, String, i32, OffsetRecord),
    /// A transactional id.
    Transaction(String, Txn),
}

impl Key {
    /// Bytes in the meta log.
    pub(crate) fn encode(&self) -> Bytes {
        let mut out = BytesMut::new();
        match self {
            Key::Cluster => out.put_u8(b'c'),
            Key::ProducerIds => out.put_u8(b'i'),
            Key::Topic(id) => {
                out.put_u8(b't');
                out.put_slice(id.as_bytes());
            }
            Key::Group(group) => {
                out.put_u8(b'g');
                put_str(&mut out, group);
            }
            Key::Offset { group, topic, partition } => {
                out.put_u8(b'o');
                put_str(&mut out, group);
                put_str(&mut out, topic);
                out.put_i32(*partition);
            }
            Key::PendingOffset { producer_id, group, topic, partition } => {
                out.put_u8(b'p');
                out.put_i64(*producer_id);
                put_str(&mut out, group);
                put_str(&mut out, topic);
                out.put_i32(*partition);
            }
            Key::Transaction(id) => {
                out.put_u8(b'x');
                put_str(&mut out, id);
            }
        }
        out.freeze()
    }
}

impl Record {
    /// The key it is kept under.
    pub(crate) fn key(&self) -> Key {
        match self {
            Record::Cluster(_) => Key::Cluster,
            Record::ProducerIds(_) => Key::ProducerIds,
            Record::Topic(id, _) => Key::Topic(*id),
            Record::Group(group, _) => Key::Group(group.clone()),
            Record::Offset(group, topic, partition, _) => {
                Key::Offset { group: group.clone(), topic: topic.clone(), partition: *partition }
            }
            Record::PendingOffset(producer_id, group, topic, partition, _) => Key::PendingOffset {
                producer_id: *producer_id,
                group: group.clone(),
                topic: topic.clone(),
                partition: *partition,
            },
            Record::Transaction(id, _) => Key::Transaction(id.clone()),
        }
    }

    /// Key and value for the meta log.
    pub(crate) fn put(&self) -> (Bytes, Option<Bytes>) {
        (self.key().encode(), Some(self.encode_value()))
    }

    fn encode_value(&self) -> Bytes {
        let mut out = BytesMut::new();
        out.put_u8(VERSION);
        match self {
            Record::Cluster(id) => put_str(&mut out, id),
            Record::ProducerIds(next) => out.put_i64(*next),
            Record::Topic(_, topic) => {
                put_str(&mut out, &topic.name);
                out.put_u32(topic.partitions);
                put_pairs(&mut out, &topic.configs);
            }
            Record::Group(_, kept) => put_group(&mut out, kept),
            Record::Offset(.., offset) | Record::PendingOffset(.., offset) => {
                out.put_i64(offset.offset);
                out.put_i32(offset.leader_epoch);
                put_str(&mut out, &offset.metadata);
                out.put_i64(offset.committed_at);
            }
            Record::Transaction(_, txn) => put_txn(&mut out, txn),
        }
        out.freeze()
    }

    /// The fact behind a key and value of the meta log.
    pub(crate) fn decode(key: &[u8], value: &[u8]) -> Result<Self, RecordError> {
        let mut k = Reader(key);
        let mut v = Reader(value);
        let kind = k.u8()?;
        let version = v.u8()?;
        if version != VERSION {
            return Err(RecordError::Version { kind, version });
        }
        let record = match kind {
            b'c' => Record::Cluster(v.str()?),
            b'i' => Record::ProducerIds(v.i64()?),
            b't' => {
                let id = Uuid::from_slice(k.take(16)?).map_err(|_| RecordError::Truncated)?;
                let topic = TopicRecord { name: v.str()?, partitions: v.u32()?, configs: v.pairs()? };
                Record::Topic(id, topic)
            }
            b'g' => Record::Group(k.str()?, get_group(&mut v)?),
            b'o' => Record::Offset(k.str()?, k.str()?, k.i32()?, get_offset(&mut v)?),
            b'p' => Record::PendingOffset(k.i64()?, k.str()?, k.str()?, k.i32()?, get_offset(&mut v)?),
            b'x' => Record::Transaction(k.str()?, get_txn(&mut v)?),
            kind => return Err(RecordError::Kind { kind }),
        };
        if !k.0.is_empty() || !v.0.is_empty() {
            return Err(RecordError::Trailing { kind });
        }
        Ok(record)
    }
}

fn put_group(out: &mut BytesMut, kept: &Kept) {
    out.put_i32(kept.generation);
    put_str(out, &kept.protocol_type);
    put_str(out, &kept.protocol);
    put_str(out, &kept.leader);
    put_len(out, kept.members.len());
    for member in &kept.members {
        put_str(out, &member.member_id);
        put_optional(out, member.instance_id.as_deref());
        put_str(out, &member.client_id);
        put_str(out, &member.client_host);
        out.put_u64(member.session_timeout);
        out.put_u64(member.rebalance_timeout);
        put_len(out, member.protocols.len());
        for protocol in &member.protocols {
            put_str(out, &protocol.name);
            put_bytes(out, &protocol.metadata);
        }
        put_bytes(out, &member.assignment);
    }
}

fn get_group(v: &mut Reader<'_>) -> Result<Kept, RecordError> {
    let mut kept = Kept {
        generation: v.i32()?,
        protocol_type: v.str()?,
        protocol: v.str()?,
        leader: v.str()?,
        members: Vec::new(),
    };
    for _ in 0..v.u32()? {
        let mut member = KeptMember {
            member_id: v.str()?,
            instance_id: v.optional()?,
            client_id: v.str()?,
            client_host: v.str()?,
            session_timeout: v.u64()?,
            rebalance_timeout: v.u64()?,
            protocols: Vec::new(),
            assignment: Bytes::new(),
        };
        for _ in 0..v.u32()? {
            member.protocols.push(Protocol { name: v.str()?, metadata: v.bytes()? });
        }
        member.assignment = v.bytes()?;
        kept.members.push(member);
    }
    Ok(kept)
}

fn get_offset(v: &mut Reader<'_>) -> Result<OffsetRecord, RecordError> {
    Ok(OffsetRecord { offset: v.i64()?, leader_epoch: v.i32()?, metadata: v.str()?, committed_at: v.i64()? })
}

fn put_txn(out: &mut BytesMut, txn: &Txn) {
    out.put_i64(txn.producer_id);
    out.put_i64(txn.previous_producer_id);
    out.put_i64(txn.next_producer_id);
    out.put_i16(txn.producer_epoch);
    out.put_i16(txn.last_producer_epoch);
    out.put_i32(txn.timeout_ms);
    out.put_u8(txn.state.to_byte());
    out.put_i64(txn.started_at);
    out.put_i64(txn.updated_at);
    put_len(out, txn.partitions.len());
    for (topic_id, partition) in &txn.partitions {
        out.put_slice(topic_id.as_bytes());
        out.put_i32(*partition);
    }
    put_len(out, txn.groups.len());
    for group in &txn.groups {
        put_str(out, group);
    }
}

fn get_txn(v: &mut Reader<'_>) -> Result<Txn, RecordError> {
    let mut txn = Txn::new(v.i64()?, 0, 0);
    txn.previous_producer_id = v.i64()?;
    txn.next_producer_id = v.i64()?;
    txn.producer_epoch = v.i16()?;
    txn.last_producer_epoch = v.i16()?;
    txn.timeout_ms = v.i32()?;
    let state = v.u8()?;
    txn.state = State::from_byte(state).ok_or(RecordError::Kind { kind: state })?;
    txn.started_at = v.i64()?;
    txn.updated_at = v.i64()?;
    for _ in 0..v.u32()? {
        let id = Uuid::from_slice(v.take(16)?).map_err(|_| RecordError::Truncated)?;
        txn.partitions.insert((id, v.i32()?));
    }
    for _ in 0..v.u32()? {
        txn.groups.insert(v.str()?);
    }
    Ok(txn)
}

fn put_len(out: &mut BytesMut, len: usize) {
    out.put_u32(u32::try_from(len).expect("lengths come from requests of at most 2 GiB"));
}

fn put_bytes(out: &mut BytesMut, bytes: &[u8]) {
    put_len(out, bytes.len());
    out.put_slice(bytes);
}

fn put_str(out: &mut BytesMut, text: &str) {
    put_bytes(out, text.as_bytes());
}

fn put_optional(out: &mut BytesMut, text: Option<&str>) {
    out.put_u8(u8::from(text.is_some()));
    put_str(out, text.unwrap_or_default());
}

fn put_pairs(out: &mut BytesMut, pairs: &[(String, String)]) {
    put_len(out, pairs.len());
    for (name, value) in pairs {
        put_str(out, name);
        put_str(out, value);
    }
}

/// Reads what `put_…` wrote; never allocates more than the bytes it has.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, n: usize) -> Result<&'a [u8], RecordError> {
        let (head, tail) = self.0.split_at_checked(n).ok_or(RecordError::Truncated)?;
        self.0 = tail;
        Ok(head)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], RecordError> {
        let bytes = self.take(N)?;
        Ok(bytes.try_into().expect("take gives N bytes"))
    }

    fn u8(&mut self) -> Result<u8, RecordError> {
        Ok(u8::from_be_bytes(self.array()?))
    }

    fn i16(&mut self) -> Result<i16, RecordError> {
        Ok(i16::from_be_bytes(self.array()?))
    }

    fn i32(&mut self) -> Result<i32, RecordError> {
        Ok(i32::from_be_bytes(self.array()?))
    }

    fn u32(&mut self) -> Result<u32, RecordError> {
        Ok(u32::from_be_bytes(self.array()?))
    }

    fn i64(&mut self) -> Result<i64, RecordError> {
        Ok(i64::from_be_bytes(self.array()?))
    }

    fn u64(&mut self) -> Result<u64, RecordError> {
        Ok(u64::from_be_bytes(self.array()?))
    }

    fn bytes(&mut self) -> Result<Bytes, RecordError> {
        let len = self.u32()? as usize;
        Ok(Bytes::copy_from_slice(self.take(len)?))
    }

    fn str(&mut self) -> Result<String, RecordError> {
        let len = self.u32()? as usize;
        let bytes = self.take(len)?;
        String::from_utf8(bytes.to_vec()).map_err(|_| RecordError::Utf8)
    }

    fn optional(&mut self) -> Result<Option<String>, RecordError> {
        let present = self.u8()? != 0;
        let text = self.str()?;
        Ok(present.then_some(text))
    }

    fn pairs(&mut self) -> Result<Vec<(String, String)>, RecordError> {
        let mut pairs = Vec::new();
        for _ in 0..self.u32()? {
            pairs.push((self.str()?, self.str()?));
        }
        Ok(pairs)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn examples() -> Vec<Record> {
        let offset = OffsetRecord { offset: 7, leader_epoch: 2, metadata: "é".to_owned(), committed_at: 9 };
        let member = KeptMember {
            member_id: "m".to_owned(),
            instance_id: Some("i".to_owned()),
            client_id: "c".to_owned(),
            client_host: "/h".to_owned(),
            session_timeout: 1,
            rebalance_timeout: 2,
            protocols: vec![Protocol { name: "range".to_owned(), metadata: Bytes::from_static(b"\0\x01") }],
            assignment: Bytes::from_static(b"a"),
        };
        let kept = Kept {
            generation: 3,
            protocol_type: "consumer".to_owned(),
            protocol: "range".to_owned(),
            leader: "m".to_owned(),
            members: vec![member],
        };
        let topic = TopicRecord {
            name: "t".to_owned(),
            partitions: 4,
            configs: vec![("retention.ms".to_owned(), "-1".to_owned())],
        };
        vec![
            Record::Cluster("id".to_owned()),
            Record::ProducerIds(1_000),
            Record::Topic(Uuid::from_u128(1), topic),
            Record::Group("g".to_owned(), kept),
            Record::Offset("g".to_owned(), "t".to_owned(), 1, offset.clone()),
            Record::PendingOffset(5, "g".to_owned(), "t".to_owned(), 1, offset),
            Record::Transaction("x".to_owned(), Txn::new(5, 6, 7)),
        ]
    }

    #[test]
    fn every_record_comes_back_as_it_was() {
        for record in examples() {
            let (key, value) = record.put();
            assert_eq!(Record::decode(&key, &value.unwrap()), Ok(record));
        }
    }

    #[test]
    fn a_record_cut_anywhere_is_refused() {
        for record in examples() {
            let (key, value) = record.put();
            let value = value.unwrap();
            for cut in 0..value.len() {
                assert!(Record::decode(&key, &value[..cut]).is_err(), "{record:?} cut at {cut}");
            }
            let longer = [&value[..], b"x"].concat();
            assert!(matches!(Record::decode(&key, &longer), Err(RecordError::Trailing { .. })));
            let mut newer = value.to_vec();
            newer[0] = VERSION + 1;
            assert!(matches!(Record::decode(&key, &newer), Err(RecordError::Version { .. })));
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(key: Vec<u8>, value: Vec<u8>) {
            let _ = Record::decode(&key, &value);
        }
    }
}
