//! Walking the records of a batch, compressed or not, without keeping them.
//!
//! Compressed bytes are inflated through one fixed window, so a check costs that window and what the codec itself
//! keeps, however much the batch inflates to; how much it may inflate to is bounded as well, for the time it takes.

use bytes::Bytes;

use super::{BatchError, BatchHeader, Codec, HEADER_BYTES};
use crate::compression::Inflate;
use crate::varint::Cursor;

/// What records must look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordRules {
    /// Refuse records without a key.
    pub key_required: bool,
    /// Least timestamp allowed.
    pub timestamp_min: i64,
    /// Greatest timestamp allowed.
    pub timestamp_max: i64,
    /// Most bytes the records may inflate to.
    pub inflated_bytes_max: u64,
}

impl RecordRules {
    /// Anything well-formed.
    pub const ANY: Self =
        Self { key_required: false, timestamp_min: i64::MIN, timestamp_max: i64::MAX, inflated_bytes_max: 128 << 20 };
}

/// What a check found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordSummary {
    /// Greatest timestamp of a record.
    pub max_timestamp: i64,
    /// Bytes of the records, inflated.
    pub inflated_bytes: u64,
}

/// A record with its bytes, for tools and tests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Its offset.
    pub offset: i64,
    /// Its timestamp (the append time, where the batch says so).
    pub timestamp: i64,
    /// Key.
    pub key: Option<Bytes>,
    /// Value.
    pub value: Option<Bytes>,
    /// Headers in order.
    pub headers: Vec<(Bytes, Option<Bytes>)>,
}

/// Where the inflated bytes of records come from.
trait Source {
    fn u8(&mut self) -> Result<u8, BatchError>;
    /// Passes over `n` bytes, keeping them in `keep` if there is one.
    fn pass(&mut self, n: u64, keep: Option<&mut Vec<u8>>) -> Result<(), BatchError>;
    fn position(&self) -> u64;
    fn at_end(&mut self) -> Result<bool, BatchError>;
}

const SHORT: BatchError = BatchError::Record { index: 0, what: "records end early" };

struct Plain<'a> {
    cursor: Cursor<'a>,
    whole: usize,
}

impl Source for Plain<'_> {
    fn u8(&mut self) -> Result<u8, BatchError> {
        self.cursor.u8().ok_or(SHORT)
    }

    fn pass(&mut self, n: u64, keep: Option<&mut Vec<u8>>) -> Result<(), BatchError> {
        let bytes = usize::try_from(n).ok().and_then(|n| self.cursor.take(n)).ok_or(SHORT)?;
        if let Some(keep) = keep {
            keep.extend_from_slice(bytes);
        }
        Ok(())
    }

    fn position(&self) -> u64 {
        (self.whole - self.cursor.remaining()) as u64
    }

    fn at_end(&mut self) -> Result<bool, BatchError> {
        Ok(self.cursor.remaining() == 0)
    }
}

const WINDOW: usize = 32 << 10;

struct Inflated<'a> {
    inflate: Inflate<'a>,
    codec: Codec,
    window: Box<[u8]>,
    start: usize,
    end: usize,
    before: u64,
    limit: u64,
}

impl<'a> Inflated<'a> {
    fn new(codec: Codec, bytes: &'a [u8], limit: u64) -> Result<Self, BatchError> {
        let inflate = Inflate::new(codec, bytes).map_err(|_| BatchError::Compression { codec })?;
        Ok(Self { inflate, codec, window: vec![0; WINDOW].into(), start: 0, end: 0, before: 0, limit })
    }

    /// False at the end.
    fn fill(&mut self) -> Result<bool, BatchError> {
        if self.start < self.end {
            return Ok(true);
        }
        self.before += self.end as u64;
        self.start = 0;
        self.end = 0;
        let read = self.inflate.read(&mut self.window).map_err(|_| BatchError::Compression { codec: self.codec })?;
        self.end = read;
        if self.before + self.end as u64 > self.limit {
            return Err(BatchError::InflatesTooMuch { limit: self.limit });
        }
        Ok(read > 0)
    }
}

impl Source for Inflated<'_> {
    fn u8(&mut self) -> Result<u8, BatchError> {
        if !self.fill()? {
            return Err(SHORT);
        }
        let byte = *self.window.get(self.start).ok_or(SHORT)?;
        self.start += 1;
        Ok(byte)
    }

    fn pass(&mut self, mut n: u64, mut keep: Option<&mut Vec<u8>>) -> Result<(), BatchError> {
        while n > 0 {
            if !self.fill()? {
                return Err(SHORT);
            }
            let here = (self.end - self.start).min(usize::try_from(n).unwrap_or(usize::MAX));
            if let Some(keep) = &mut keep {
                keep.extend_from_slice(self.window.get(self.start..self.start + here).unwrap_or_default());
            }
            self.start += here;
            n -= here as u64;
        }
        Ok(())
    }

    fn position(&self) -> u64 {
        self.before + self.start as u64
    }

    fn at_end(&mut self) -> Result<bool, BatchError> {
        Ok(!self.fill()?)
    }
}

fn varlong(source: &mut impl Source) -> Result<i64, BatchError> {
    let mut value = 0u64;
    for index in 0..10u32 {
        let byte = source.u8()?;
        if index == 9 && byte > 1 {
            break;
        }
        value |= u64::from(byte & 0x7f) << (index * 7);
        if byte < 0x80 {
            return Ok((value >> 1).cast_signed() ^ -(value & 1).cast_signed());
        }
    }
    Err(BatchError::Record { index: 0, what: "number is longer than its type" })
}

fn varint(source: &mut impl Source) -> Result<i32, BatchError> {
    i32::try_from(varlong(source)?).map_err(|_| BatchError::Record { index: 0, what: "number is longer than its type" })
}

/// What the walk shows of each record; byte ranges only if asked to keep.
struct Seen<'k> {
    index: u32,
    offset_delta: i32,
    timestamp_delta: i64,
    has_key: bool,
    kept: Option<&'k mut Kept>,
}

#[derive(Default)]
struct Kept {
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    headers: Vec<(Vec<u8>, Option<Vec<u8>>)>,
}

/// A length-prefixed field: −1 is null. It must end within the record.
fn bytes_field(source: &mut impl Source, record_end: u64, keep: bool) -> Result<Option<Vec<u8>>, BatchError> {
    let length = varint(source)?;
    if length == -1 {
        return Ok(None);
    }
    let length = u64::try_from(length).map_err(|_| BatchError::Record { index: 0, what: "negative length" })?;
    if source.position().saturating_add(length) > record_end {
        return Err(BatchError::Record { index: 0, what: "field is longer than its record" });
    }
    let mut kept = Vec::new();
    source.pass(length, keep.then_some(&mut kept))?;
    Ok(Some(kept))
}

fn walk<S: Source>(
    source: &mut S,
    header: &BatchHeader,
    keep: bool,
    seen: &mut dyn FnMut(Seen<'_>) -> Result<bool, BatchError>,
) -> Result<(), BatchError> {
    let count = u32::try_from(header.record_count).unwrap_or(0);
    for index in 0..count {
        let go_on = walk_one(source, index, keep, seen).map_err(|error| at(index, error))?;
        if !go_on {
            return Ok(());
        }
    }
    if !source.at_end()? {
        return Err(BatchError::Record { index: count, what: "bytes follow the last record" });
    }
    Ok(())
}

fn at(index: u32, error: BatchError) -> BatchError {
    match error {
        BatchError::Record { what, .. } => BatchError::Record { index, what },
        other => other,
    }
}

fn walk_one<S: Source>(
    source: &mut S,
    index: u32,
    keep: bool,
    seen: &mut dyn FnMut(Seen<'_>) -> Result<bool, BatchError>,
) -> Result<bool, BatchError> {
    let wrong = |what| BatchError::Record { index, what };
    let length = u64::try_from(varint(source)?).map_err(|_| wrong("negative length"))?;
    let end = source.position() + length;
    source.u8()?; // attributes: none defined
    let timestamp_delta = varlong(source)?;
    let offset_delta = varint(source)?;
    let mut kept = Kept::default();
    // A null field and an empty one both come back without bytes, so presence is what the Option says.
    let key = bytes_field(source, end, keep)?;
    let has_key = key.is_some();
    let value = bytes_field(source, end, keep)?;
    let headers = varint(source)?;
    if headers < 0 {
        return Err(wrong("negative header count"));
    }
    if u64::try_from(headers).unwrap_or(0) > length {
        return Err(wrong("more headers than bytes"));
    }
    for _ in 0..headers {
        let name = bytes_field(source, end, keep)?.ok_or_else(|| wrong("header without a name"))?;
        let header_value = bytes_field(source, end, keep)?;
        if keep {
            kept.headers.push((name, header_value));
        }
    }
    if source.position() != end {
        return Err(wrong("fields and length disagree"));
    }
    kept.key = key;
    kept.value = value;
    seen(Seen { index, offset_delta, timestamp_delta, has_key, kept: keep.then_some(&mut kept) })
}

fn visit(
    bytes: &[u8],
    header: &BatchHeader,
    limit: u64,
    keep: bool,
    seen: &mut dyn FnMut(Seen<'_>) -> Result<bool, BatchError>,
) -> Result<u64, BatchError> {
    let body = bytes
        .get(HEADER_BYTES..usize::try_from(header.size).unwrap_or(usize::MAX))
        .ok_or(BatchError::Truncated { needed: header.size, available: bytes.len() as u64 })?;
    match header.codec()? {
        Codec::None => {
            let mut source = Plain { cursor: Cursor::new(body), whole: body.len() };
            walk(&mut source, header, keep, seen)?;
            Ok(body.len() as u64)
        }
        codec => {
            let mut source = Inflated::new(codec, body, limit)?;
            walk(&mut source, header, keep, seen)?;
            Ok(source.position())
        }
    }
}

/// Checks every record: shape, consecutive offset deltas, keys and timestamps as the rules say. Allocates nothing
/// per record.
pub fn check_records(bytes: &[u8], header: &BatchHeader, rules: &RecordRules) -> Result<RecordSummary, BatchError> {
    let mut max_timestamp = -1;
    let inflated_bytes = visit(bytes, header, rules.inflated_bytes_max, false, &mut |seen| {
        if i64::from(seen.offset_delta) != i64::from(seen.index) {
            return Err(BatchError::Record { index: seen.index, what: "offset deltas are not consecutive" });
        }
        if rules.key_required && !seen.has_key {
            return Err(BatchError::NullKey { index: seen.index });
        }
        let timestamp = header.base_timestamp.saturating_add(seen.timestamp_delta);
        // −1 is "no timestamp" and always allowed.
        if timestamp != -1 && !(rules.timestamp_min..=rules.timestamp_max).contains(&timestamp) {
            return Err(BatchError::Timestamp { timestamp, min: rules.timestamp_min, max: rules.timestamp_max });
        }
        max_timestamp = max_timestamp.max(timestamp);
        Ok(true)
    })?;
    Ok(RecordSummary { max_timestamp, inflated_bytes })
}

fn timestamp_of(header: &BatchHeader, delta: i64) -> i64 {
    if header.is_log_append_time() { header.max_timestamp } else { header.base_timestamp.saturating_add(delta) }
}

/// Offset and timestamp of the first record at or above `from_offset` that is dated `timestamp` or later.
pub fn first_at_or_after(
    bytes: &[u8],
    header: &BatchHeader,
    timestamp: i64,
    from_offset: i64,
    limit: u64,
) -> Result<Option<(i64, i64)>, BatchError> {
    let mut found = None;
    visit(bytes, header, limit, false, &mut |seen| {
        let of_record = timestamp_of(header, seen.timestamp_delta);
        let offset = header.base_offset.saturating_add(i64::from(seen.offset_delta));
        if of_record >= timestamp && offset >= from_offset {
            found = Some((offset, of_record));
        }
        Ok(found.is_none())
    })?;
    Ok(found)
}

/// Offset and timestamp of the first record that carries the batch's greatest timestamp.
pub fn first_with_max_timestamp(
    bytes: &[u8],
    header: &BatchHeader,
    limit: u64,
) -> Result<Option<(i64, i64)>, BatchError> {
    let mut found: Option<(i64, i64)> = None;
    visit(bytes, header, limit, false, &mut |seen| {
        let of_record = timestamp_of(header, seen.timestamp_delta);
        if found.is_none_or(|(_, best)| of_record > best) {
            found = Some((header.base_offset.saturating_add(i64::from(seen.offset_delta)), of_record));
        }
        Ok(true)
    })?;
    Ok(found)
}

/// All records with their bytes. `limit` bounds what they inflate to.
pub fn records(bytes: &[u8], limit: u64) -> Result<Vec<Record>, BatchError> {
    let header = BatchHeader::parse(bytes)?;
    let mut out = Vec::new();
    visit(bytes, &header, limit, true, &mut |seen| {
        let kept = seen.kept.map(std::mem::take).unwrap_or_default();
        out.push(Record {
            offset: header.base_offset.saturating_add(i64::from(seen.offset_delta)),
            timestamp: timestamp_of(&header, seen.timestamp_delta),
            key: kept.key.map(Bytes::from),
            value: kept.value.map(Bytes::from),
            headers: kept.headers.into_iter().map(|(name, value)| (name.into(), value.map(Bytes::from))).collect(),
        });
        Ok(true)
    })?;
    Ok(out)
}
