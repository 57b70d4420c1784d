//! Record batches (format v2) as bytes.
//!
//! ```text
//!  0 base offset i64 │ 8 length i32 │ 12 leader epoch i32 │ 16 magic i8 │ 17 crc u32 │ ◄─ CRC-32C covers all from 21
//! 21 attributes i16 │ 23 last offset delta i32 │ 27 base timestamp i64 │ 35 max timestamp i64
//! 43 producer id i64 │ 51 producer epoch i16 │ 53 base sequence i32 │ 57 record count i32 │ 61 records …
//! ```
//! Attributes: bits 0–2 codec, 3 log append time, 4 transactional, 5 control, 6 delete horizon.
//!
//! A batch is checked here and then stored and sent on as it came: base offset and leader epoch lie outside the CRC,
//! so patching them costs nothing.

mod builder;
mod header;
mod records;

pub use builder::{BatchSpec, NewRecord, build, control_batch};
pub use header::{BatchHeader, HEADER_BYTES, log_append_time, patch, split};
pub use records::{
    Record, RecordRules, RecordSummary, check_records, first_at_or_after, first_with_max_timestamp, records,
};

/// How the records of a batch are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Codec {
    /// Not at all.
    None,
    /// RFC 1952.
    Gzip,
    /// Snappy blocks in Xerial framing, or one bare block.
    Snappy,
    /// LZ4 frame format.
    Lz4,
    /// Zstandard.
    Zstd,
}

impl Codec {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::None, Self::Gzip, Self::Snappy, Self::Lz4, Self::Zstd];

    /// From bits 0–2 of the attributes.
    pub fn from_attributes(attributes: i16) -> Option<Self> {
        Some(match attributes & 7 {
            0 => Self::None,
            1 => Self::Gzip,
            2 => Self::Snappy,
            3 => Self::Lz4,
            4 => Self::Zstd,
            _ => return None,
        })
    }

    /// Its bits in the attributes.
    pub fn bits(self) -> i16 {
        match self {
            Self::None => 0,
            Self::Gzip => 1,
            Self::Snappy => 2,
            Self::Lz4 => 3,
            Self::Zstd => 4,
        }
    }

    /// Its name in Kafka's configs.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Gzip => "gzip",
            Self::Snappy => "snappy",
            Self::Lz4 => "lz4",
            Self::Zstd => "zstd",
        }
    }
}

/// What is wrong with a batch.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BatchError {
    /// Fewer bytes than a header, or than the header says.
    #[error("batch needs {needed} bytes, {available} are there")]
    Truncated {
        /// Bytes needed.
        needed: u64,
        /// Bytes there.
        available: u64,
    },
    /// More bytes than one batch.
    #[error("{extra} bytes follow the batch; one batch per partition and request")]
    Trailing {
        /// How many.
        extra: u64,
    },
    /// The length field is impossible.
    #[error("batch length {length} is impossible")]
    Length {
        /// The field.
        length: i32,
    },
    /// Not format v2.
    #[error("record format v{magic} is not supported, only v2 is")]
    Magic {
        /// The field.
        magic: i8,
    },
    /// The checksum does not match.
    #[error("checksum is {actual:#010x}, the batch says {expected:#010x}")]
    Crc {
        /// In the header.
        expected: u32,
        /// Of the bytes.
        actual: u32,
    },
    /// Codec bits 5–7.
    #[error("compression codec {bits} does not exist")]
    UnknownCodec {
        /// The bits.
        bits: i16,
    },
    /// Record count and offsets disagree, or there are none.
    #[error("batch says {count} records and last offset delta {last_offset_delta}")]
    Count {
        /// Record count.
        count: i32,
        /// Last offset delta.
        last_offset_delta: i32,
    },
    /// A client sent a control batch.
    #[error("clients may not write control records")]
    Control,
    /// A client set the log-append-time or delete-horizon bit.
    #[error("clients may not set attribute bits {bits:#06x}")]
    Attributes {
        /// The offending bits.
        bits: i16,
    },
    /// A producer id without a sequence, or a transactional batch without a producer id.
    #[error("producer id {producer_id}, epoch {producer_epoch} and sequence {base_sequence} do not fit together")]
    Producer {
        /// Producer id.
        producer_id: i64,
        /// Producer epoch.
        producer_epoch: i16,
        /// Base sequence.
        base_sequence: i32,
    },
    /// Outside `message.timestamp.before/after.max.ms`.
    #[error("timestamp {timestamp} is outside {min}..={max}")]
    Timestamp {
        /// The timestamp.
        timestamp: i64,
        /// Least allowed.
        min: i64,
        /// Greatest allowed.
        max: i64,
    },
    /// A record is malformed.
    #[error("record {index}: {what}")]
    Record {
        /// Its place in the batch.
        index: u32,
        /// What is wrong.
        what: &'static str,
    },
    /// A record without a key on a compacted topic.
    #[error("record {index} has no key, and the topic is compacted")]
    NullKey {
        /// Its place in the batch.
        index: u32,
    },
    /// The compressed bytes are malformed.
    #[error("{} data is malformed", .codec.name())]
    Compression {
        /// The codec.
        codec: Codec,
    },
    /// Inflates to more than the limit.
    #[error("batch inflates to more than {limit} bytes")]
    InflatesTooMuch {
        /// The limit.
        limit: u64,
    },
}
