//! The 61 bytes in front of the records.

use super::{BatchError, Codec};

/// Bytes before the first record.
pub const HEADER_BYTES: usize = 61;

/// Bytes that the length field does not count: base offset and the length itself.
const BEFORE_LENGTH: usize = 12;

/// The CRC covers everything from here.
const CRC_FROM: usize = 21;

const LOG_APPEND_TIME: i16 = 1 << 3;
const TRANSACTIONAL: i16 = 1 << 4;
const CONTROL: i16 = 1 << 5;
const KNOWN_FROM_CLIENTS: i16 = 0b111 | TRANSACTIONAL;

/// The header's fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchHeader {
    /// Offset of the first record.
    pub base_offset: i64,
    /// Whole size of the batch in bytes, header included.
    pub size: u64,
    /// Leader epoch.
    pub leader_epoch: i32,
    /// CRC-32C as stored.
    pub crc: u32,
    /// Attribute bits.
    pub attributes: i16,
    /// Offset of the last record minus base offset.
    pub last_offset_delta: i32,
    /// Base of the records' timestamps; the delete horizon if that bit is set.
    pub base_timestamp: i64,
    /// Greatest timestamp, or the append time.
    pub max_timestamp: i64,
    /// −1 if none.
    pub producer_id: i64,
    /// −1 if none.
    pub producer_epoch: i16,
    /// −1 if none.
    pub base_sequence: i32,
    /// Number of records.
    pub record_count: i32,
}

fn field<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut out = [0; N];
    if let Some(found) = bytes.get(at..at + N) {
        out.copy_from_slice(found);
    }
    out
}

impl BatchHeader {
    /// Reads the header of a batch that may be longer than `bytes` (at least the 61 bytes must be there). Checks
    /// magic, length and signs, not the CRC.
    pub fn parse(bytes: &[u8]) -> Result<Self, BatchError> {
        if bytes.len() < HEADER_BYTES {
            return Err(BatchError::Truncated { needed: HEADER_BYTES as u64, available: bytes.len() as u64 });
        }
        let magic = i8::from_be_bytes(field(bytes, 16));
        if magic != 2 {
            return Err(BatchError::Magic { magic });
        }
        let length = i32::from_be_bytes(field(bytes, 8));
        let size = u64::try_from(length).unwrap_or(0) + BEFORE_LENGTH as u64;
        if size < HEADER_BYTES as u64 {
            return Err(BatchError::Length { length });
        }
        let header = Self {
            base_offset: i64::from_be_bytes(field(bytes, 0)),
            size,
            leader_epoch: i32::from_be_bytes(field(bytes, 12)),
            crc: u32::from_be_bytes(field(bytes, 17)),
            attributes: i16::from_be_bytes(field(bytes, 21)),
            last_offset_delta: i32::from_be_bytes(field(bytes, 23)),
            base_timestamp: i64::from_be_bytes(field(bytes, 27)),
            max_timestamp: i64::from_be_bytes(field(bytes, 35)),
            producer_id: i64::from_be_bytes(field(bytes, 43)),
            producer_epoch: i16::from_be_bytes(field(bytes, 51)),
            base_sequence: i32::from_be_bytes(field(bytes, 53)),
            record_count: i32::from_be_bytes(field(bytes, 57)),
        };
        if header.last_offset_delta < 0 || header.record_count < 0 {
            return Err(BatchError::Count { count: header.record_count, last_offset_delta: header.last_offset_delta });
        }
        Ok(header)
    }

    /// Checks that `bytes` is exactly this batch and that the CRC matches.
    pub fn check_crc(&self, bytes: &[u8]) -> Result<(), BatchError> {
        let available = bytes.len() as u64;
        if available < self.size {
            return Err(BatchError::Truncated { needed: self.size, available });
        }
        if available > self.size {
            return Err(BatchError::Trailing { extra: available - self.size });
        }
        let actual = crc32c::crc32c(bytes.get(CRC_FROM..).unwrap_or_default());
        if actual != self.crc {
            return Err(BatchError::Crc { expected: self.crc, actual });
        }
        Ok(())
    }

    /// What a client may send: exactly one batch, CRC right, offsets dense, no control records, no bits that are
    /// ours to set, producer fields that fit together (rules of Kafka's `LogValidator`).
    pub fn check_from_client(bytes: &[u8]) -> Result<Self, BatchError> {
        let header = Self::parse(bytes)?;
        header.check_crc(bytes)?;
        header.codec()?;
        if header.is_control() {
            return Err(BatchError::Control);
        }
        let ours = header.attributes & !KNOWN_FROM_CLIENTS;
        if ours != 0 {
            return Err(BatchError::Attributes { bits: ours });
        }
        if header.record_count == 0 || i64::from(header.record_count) != i64::from(header.last_offset_delta) + 1 {
            return Err(BatchError::Count { count: header.record_count, last_offset_delta: header.last_offset_delta });
        }
        let has_producer = header.has_producer_id();
        if has_producer && (header.base_sequence < 0 || header.producer_epoch < 0)
            || !has_producer && header.is_transactional()
        {
            return Err(BatchError::Producer {
                producer_id: header.producer_id,
                producer_epoch: header.producer_epoch,
                base_sequence: header.base_sequence,
            });
        }
        Ok(header)
    }

    /// The codec.
    pub fn codec(&self) -> Result<Codec, BatchError> {
        Codec::from_attributes(self.attributes).ok_or(BatchError::UnknownCodec { bits: self.attributes & 7 })
    }

    /// Offset of the last record.
    pub fn last_offset(&self) -> i64 {
        self.base_offset.saturating_add(i64::from(self.last_offset_delta))
    }

    /// Sequence of the last record; wraps from 2³¹−1 to 0.
    pub fn last_sequence(&self) -> i32 {
        let sum = i64::from(self.base_sequence) + i64::from(self.last_offset_delta);
        i32::try_from(sum & i64::from(i32::MAX)).unwrap_or(0)
    }

    /// Was it sent by an idempotent producer?
    pub fn has_producer_id(&self) -> bool {
        self.producer_id >= 0
    }

    /// Is it part of a transaction?
    pub fn is_transactional(&self) -> bool {
        self.attributes & TRANSACTIONAL != 0
    }

    /// Does it hold markers instead of records?
    pub fn is_control(&self) -> bool {
        self.attributes & CONTROL != 0
    }

    /// Do all records carry the append time?
    pub fn is_log_append_time(&self) -> bool {
        self.attributes & LOG_APPEND_TIME != 0
    }

    /// For a control batch held in full by `bytes`: is it a commit? `None` if it is not a transaction marker.
    pub fn marker(&self, bytes: &[u8]) -> Option<bool> {
        if !self.is_control() {
            return None;
        }
        let record = super::records(bytes, HEADER_BYTES as u64 * 4).ok()?.into_iter().next()?;
        let key = record.key?;
        match i16::from_be_bytes(key.get(2..4)?.try_into().ok()?) {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }
}

/// Attribute bits of a control batch in a transaction.
pub(super) const MARKER_ATTRIBUTES: i16 = TRANSACTIONAL | CONTROL;

/// Attribute bit of a transactional batch.
pub(super) const TRANSACTIONAL_ATTRIBUTE: i16 = TRANSACTIONAL;

/// Sets base offset and leader epoch, which lie outside the CRC. `header` holds at least the header's bytes.
pub fn patch(header: &mut [u8], base_offset: i64, leader_epoch: i32) {
    put(header, 0, &base_offset.to_be_bytes());
    put(header, 12, &leader_epoch.to_be_bytes());
}

/// Dates a whole batch: sets the log-append-time bit and the max timestamp, and makes a new CRC.
pub fn log_append_time(batch: &mut [u8], now_ms: i64) {
    let attributes = i16::from_be_bytes(field(batch, 21)) | LOG_APPEND_TIME;
    put(batch, 21, &attributes.to_be_bytes());
    put(batch, 35, &now_ms.to_be_bytes());
    seal(batch);
}

/// Computes the CRC anew.
pub(super) fn seal(batch: &mut [u8]) {
    let crc = crc32c::crc32c(batch.get(CRC_FROM..).unwrap_or_default());
    put(batch, 17, &crc.to_be_bytes());
}

fn put(bytes: &mut [u8], at: usize, value: &[u8]) {
    if let Some(place) = bytes.get_mut(at..at + value.len()) {
        place.copy_from_slice(value);
    }
}

/// Cuts a run of batches into batches, without checking CRCs. Stops at the first that is not whole or not a batch,
/// and says how many bytes were good.
pub fn split(bytes: &[u8]) -> (Vec<(BatchHeader, &[u8])>, usize) {
    let mut batches = Vec::new();
    let mut good = 0;
    while let Some(rest) = bytes.get(good..) {
        let Ok(header) = BatchHeader::parse(rest) else { break };
        let Some(batch) = usize::try_from(header.size).ok().and_then(|size| rest.get(..size)) else { break };
        good += batch.len();
        batches.push((header, batch));
    }
    (batches, good)
}
