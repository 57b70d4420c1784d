//! Pull: rows of one port, page by page.
//!
//! `upsert` answers from one snapshot of the index, in key order; each page speaks for the position of its own snapshot.
//! `append` answers from the topic itself, partition by partition in offset order, up to the end that the first page saw.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use weft_model::json::Scalar;
use weft_model::query::{Answer, Bound, Position, PullQuery, QueryLimits, RowJson};

use super::bounds::{KeyBound, KeyRange, key_bounds, ordered_bound};
use super::error::QueryError;
use super::port::{PortView, TailChange};
use super::reader::{Flow, Lease};
use super::token::{PageToken, bytes_text, text_bytes};
use super::{Shared, cell, index};

/// Rows per page when the query does not say.
const PAGE_ROWS: usize = 1000;

/// Counts what an answer may hold.
pub(crate) struct Budget {
    limits: QueryLimits,
    started: Instant,
    bytes: usize,
}

impl Budget {
    pub(crate) fn new(limits: QueryLimits) -> Self {
        Self { limits, started: Instant::now(), bytes: 0 }
    }

    pub(crate) fn deadline(&self) -> Instant {
        self.started + Duration::from_millis(self.limits.time_ms_max)
    }

    pub(crate) fn in_time(&self) -> Result<(), QueryError> {
        if Instant::now() > self.deadline() {
            return Err(QueryError::TooSlow { time_ms_max: self.limits.time_ms_max });
        }
        Ok(())
    }

    pub(crate) fn take(&mut self, row: &str) -> Result<(), QueryError> {
        self.bytes += row.len() + 1;
        if self.bytes > self.limits.bytes_max {
            return Err(QueryError::TooManyBytes { bytes_max: self.limits.bytes_max });
        }
        Ok(())
    }
}

fn page_rows(query: &PullQuery, limits: QueryLimits) -> usize {
    let asked = if query.rows_max == 0 { PAGE_ROWS } else { query.rows_max };
    asked.min(limits.rows_max).max(1)
}

fn token_of(view: &PortView, digest: u64) -> PageToken {
    PageToken::new(view.port.id.to_string(), view.topic_id.clone(), view.generation, digest)
}

fn read_token(query: &PullQuery, expected: &PageToken) -> Result<Option<PageToken>, QueryError> {
    query
        .page
        .as_deref()
        .map(|text| PageToken::read(text, expected).map_err(|because| QueryError::BadPageToken { because }))
        .transpose()
}

pub(crate) fn position(shared: &Shared, view: &PortView, offsets: BTreeMap<u32, i64>) -> Position {
    let watermark = shared.progress.lock().watermark(&view.port.topic, &offsets);
    Position {
        port: view.port.id.clone(),
        generation: view.generation,
        topic_id: view.topic_id.clone(),
        offsets,
        watermark,
    }
}

/// Rows of an upsert port. Blocks on the disk for as long as the limits allow.
pub(crate) fn upsert(
    shared: &Shared,
    view: &PortView,
    query: &PullQuery,
    limits: QueryLimits,
) -> Result<Answer, QueryError> {
    let stored = view.index.as_ref().expect("an upsert port has an index");
    if let Some(column) = (!query.from_offsets.is_empty() || !query.to_offsets.is_empty()).then_some("offset") {
        return Err(QueryError::BadBound {
            port: view.port.id.to_string(),
            column: column.to_owned(),
            because: "offsets bound append ports; this one answers by key".to_owned(),
        });
    }
    let bounds = key_bounds(view, &query.bounds)?;
    let columns: Vec<_> = view.key_columns().collect();
    let mut range = KeyRange::new(&columns, &bounds);
    let expected = token_of(view, index::digest(&bounds));
    if let Some(token) = read_token(query, &expected)? {
        let last = token.k.as_deref().and_then(text_bytes);
        let mut after = last.ok_or_else(|| QueryError::BadPageToken { because: "it holds no key".to_owned() })?;
        after.push(0);
        range.from = range.from.max(after);
    }
    let rows_max = page_rows(query, limits);
    let mut budget = Budget::new(limits);
    let snapshot = shared.database.snapshot();
    let stamp = stored.stamp(&snapshot)?;
    let mut rows: Vec<RowJson> = Vec::new();
    let mut last = Vec::new();
    let mut next = None;
    for (at, entry) in stored.scan(&snapshot, &range.from, range.to.as_deref()).enumerate() {
        if at % 256 == 0 {
            budget.in_time()?;
        }
        let (key, row) = entry?;
        if !range.holds(&key) {
            continue;
        }
        if rows.len() == rows_max {
            next = Some(PageToken { k: Some(bytes_text(&last)), ..expected }.write());
            break;
        }
        let row = row_text(&row)?;
        budget.take(&row)?;
        rows.push(row);
        last = key;
    }
    Ok(Answer { rows, position: vec![position(shared, view, stamp.offsets)], next })
}

pub(crate) fn row_text(bytes: &[u8]) -> Result<String, QueryError> {
    String::from_utf8(bytes.to_vec()).map_err(|_| QueryError::Index { because: "a row is not UTF-8".to_owned() })
}

/// The event-time bound of an append query.
struct TimeBound {
    /// Place of the column in the row.
    column: usize,
    bound: KeyBound,
    /// Records with an earlier timestamp need not be read. Milliseconds.
    from_ms: Option<i64>,
}

fn time_bound(view: &PortView, bounds: &BTreeMap<String, Bound>) -> Result<Option<TimeBound>, QueryError> {
    let mut found = None;
    for (name, bound) in bounds {
        let bad =
            |because: String| QueryError::BadBound { port: view.port.id.to_string(), column: name.clone(), because };
        let Some(event_time) = &view.port.event_time else {
            return Err(bad("the port has no event time; bound its offsets".to_owned()));
        };
        if name != event_time {
            return Err(bad(format!("an append port is bounded by its event time \"{event_time}\" or by offsets")));
        }
        let column = view.port.schema.columns.iter().position(|column| column.name == *name);
        let column = column.ok_or_else(|| bad("the contract does not list it".to_owned()))?;
        let column_type = view.port.schema.columns[column].column_type;
        let first = match bound {
            Bound::Equal(value) => Some(value),
            Bound::Range { from, .. } => from.as_ref(),
        };
        let from_ms = match first.map(|value| cell::from_bound(value, column_type)).transpose().map_err(bad)? {
            // Record timestamps may stand off from the column: a window's last instant, for its exclusive end.
            Some(Scalar::Timestamp(ms)) => Some(ms.saturating_add(view.port.event_time_offset_ms)),
            _ => None,
        };
        let bound = ordered_bound(bound, column_type).map_err(bad)?;
        found = Some(TimeBound { column, bound, from_ms });
    }
    Ok(found)
}

/// Rows of an append port. Blocks on the network for as long as the limits allow.
pub(crate) fn append(
    shared: &Shared,
    view: &Arc<PortView>,
    lease: &Lease,
    query: &PullQuery,
    limits: QueryLimits,
) -> Result<Answer, QueryError> {
    let time = time_bound(view, &query.bounds)?;
    let topic = &view.port.topic;
    let digest = index::digest(&(time.as_ref().map(|t| &t.bound), &query.from_offsets, &query.to_offsets));
    let expected = token_of(view, digest);
    let mut budget = Budget::new(limits);
    let mut ranges: BTreeMap<u32, (i64, i64)> = match read_token(query, &expected)? {
        Some(token) => token.o,
        None => first_ranges(view, lease, query, time.as_ref())?,
    };
    let ends: BTreeMap<u32, i64> = ranges.iter().map(|(partition, (_, to))| (*partition, *to)).collect();
    let rows_max = page_rows(query, limits);
    let mut rows: Vec<RowJson> = Vec::new();
    let mut full = false;
    let deadline = budget.deadline();
    for (partition, range) in &mut ranges {
        if full || range.0 >= range.1 {
            continue;
        }
        let mut each = |record: super::reader::Record<'_>| {
            let decoded = match view.decode(record.key, record.value) {
                Ok(decoded) => decoded,
                Err(because) => {
                    view.count_bad(record.partition, record.offset, &because);
                    return Ok(Flow::More);
                }
            };
            if let Some(time) = &time {
                let cells = cell::cells(record.value.unwrap_or_default(), &view.port.schema).unwrap_or_default();
                let held = cells.get(time.column).is_some_and(|cell| time.bound.holds(&cell::ordered(cell)));
                if !held {
                    return Ok(Flow::More);
                }
            }
            if let TailChange::Row(row) = decoded.change {
                budget.take(&row)?;
                rows.push(row);
            }
            full = rows.len() == rows_max;
            Ok(if full { Flow::Enough } else { Flow::More })
        };
        range.0 = lease.read(topic, *partition, *range, deadline, limits.time_ms_max, &mut each)?;
    }
    budget.in_time()?;
    let more = ranges.values().any(|(from, to)| from < to);
    let next = more.then(|| PageToken { o: ranges, ..expected }.write());
    Ok(Answer { rows, position: vec![position(shared, view, ends)], next })
}

fn first_ranges(
    view: &PortView,
    lease: &Lease,
    query: &PullQuery,
    time: Option<&TimeBound>,
) -> Result<BTreeMap<u32, (i64, i64)>, QueryError> {
    let topic = &view.port.topic;
    let mut ranges = lease.bounds(topic, view.partitions)?;
    if let Some(from_ms) = time.and_then(|time| time.from_ms) {
        // Record timestamps are event times where Weft wrote the topic; an adopted topic's may not be.
        let from = if view.port.adopted { None } else { Some(lease.offsets_at(topic, view.partitions, from_ms)?) };
        for (partition, range) in &mut ranges {
            if let Some(from) = &from {
                range.0 = from.get(partition).map_or(range.1, |offset| range.0.max(*offset));
            }
        }
    }
    let known = |partition: &u32| {
        if *partition < view.partitions {
            return Ok(());
        }
        Err(QueryError::BadBound {
            port: view.port.id.to_string(),
            column: "offset".to_owned(),
            because: format!("there is no partition {partition}; the port has {}", view.partitions),
        })
    };
    for (partition, from) in &query.from_offsets {
        known(partition)?;
        let range = ranges.entry(*partition).or_default();
        range.0 = range.0.max(*from);
    }
    for (partition, to) in &query.to_offsets {
        known(partition)?;
        let range = ranges.entry(*partition).or_default();
        range.1 = range.1.min(*to);
    }
    Ok(ranges)
}
