//! One hold of the transactional id: from taking it over to the end of the file, or to the first thing that goes wrong.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use weft_model::product::ReplayMode;
use weft_model::progress::{RecordProgress, WATERMARK_COMPLETE, WatermarkMs};

use crate::clock::ClockSeat;
use crate::csv::{BadRow, RowEncoder, error_row};
use crate::error::SourceError;
use crate::handle::{Shared, SourceState};
use crate::kafka::{BrokerError, SendError, Sink, SinkOptions, Slot, Until, ms, read_last};
use crate::position::Position;
use crate::replay::{Due, Feed};
use crate::service::{Job, RunProgress};

/// How a source ended without an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// `complete` is committed.
    Complete,
    /// It was told to stop.
    Drained,
}

/// Who holds a source: the record `<product>/owner` on the sources topic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Owner {
    v: u32,
    /// A random text per run.
    pub(crate) instance: String,
    /// A random text per hold: the record marks how far the topic must be read, so no two may look alike.
    hold: String,
    /// Taken only to begin a new generation.
    pub(crate) restart: bool,
}

/// A producer that holds the transactional id, and the position found with it.
pub(crate) struct Session<'a> {
    job: &'a Job,
    sink: Sink,
    position: Position,
}

/// What one attempt at a transaction came to.
enum Step {
    Committed {
        sent: u64,
        ended: bool,
    },
    /// No row was due and there was nothing else to say; ask again after this time.
    Nothing(Duration),
}

impl<'a> Session<'a> {
    /// Fences whoever had the source, and reads the committed position.
    pub(crate) fn open(job: &'a Job) -> Result<Self, BrokerError> {
        Self::take_over(job, false)
    }

    /// Begins a new generation.
    pub(crate) fn restart(job: &Job) -> Result<u32, BrokerError> {
        let mut session = Session::take_over(job, true)?;
        if !session.position.begun() {
            return Ok(session.position.generation);
        }
        let next = Position::start(session.position.generation + 1, session.sink.offsets());
        session.sink.begin()?;
        session.sink.send_position(&job.product().to_string(), &next.encode())?;
        session.sink.commit()?;
        Ok(next.generation)
    }

    fn take_over(job: &'a Job, restart: bool) -> Result<Self, BrokerError> {
        let options = &job.options;
        let timeout = ms(options.limits.broker_timeout_ms);
        let mut sink = Sink::open(&SinkOptions {
            bootstrap: &options.bootstrap,
            over: &options.client,
            transactional_id: &job.transactional_id,
            topics: job.topics.clone(),
            timeout,
            transaction_bytes_max: options.limits.transaction_bytes_max,
        })?;
        if !job.port.adopted && sink.partitions(Slot::Rows) != job.port.partitions {
            return Err(BrokerError::Fatal(SourceError::Topic {
                reason: format!(
                    "topic \"{}\" has {} partitions, the descriptor says {}",
                    job.port.topic,
                    sink.partitions(Slot::Rows),
                    job.port.partitions
                ),
            }));
        }
        // Our own record is the mark up to which the topic must be read to know the position (see `kafka/control.rs`).
        let hold = format!("{:016x}", rand::random::<u64>());
        let owner = Owner { v: 1, instance: job.instance.clone(), hold, restart };
        let owner = serde_json::to_vec(&owner).expect("plain data");
        let owner_key = owner_key(job);
        sink.begin()?;
        sink.send_position(&owner_key, &owner)?;
        sink.commit()?;
        let key = job.product().to_string();
        let until = Until::Own(&owner_key, &owner);
        let found = read_last(&options.bootstrap, &options.client, &job.topics.sources, &key, &until, timeout)?;
        let position = match found {
            Some(bytes) => Position::decode(&bytes).map_err(BrokerError::Fatal)?,
            None => Position::start(1, sink.offsets()),
        };
        sink.set_offsets(&position.offsets);
        Ok(Self { job, sink, position })
    }

    /// The owner that is visible now.
    pub(crate) fn last_owner(job: &Job) -> Result<Option<Owner>, BrokerError> {
        let found = Self::last_visible(job, &owner_key(job))?;
        Ok(found.and_then(|bytes| serde_json::from_slice(&bytes).ok()))
    }

    /// The generation that is visible now; 0 if there is none.
    pub(crate) fn last_generation(job: &Job) -> Result<u32, BrokerError> {
        let Some(bytes) = Self::last_visible(job, &job.product().to_string())? else { return Ok(0) };
        Ok(Position::decode(&bytes).map_err(BrokerError::Fatal)?.generation)
    }

    fn last_visible(job: &Job, key: &str) -> Result<Option<Vec<u8>>, BrokerError> {
        let options = &job.options;
        let timeout = ms(options.limits.broker_timeout_ms);
        let topic = &job.topics.sources;
        read_last(&options.bootstrap, &options.client, topic, key, &Until::VisibleEnd, timeout)
    }

    pub(crate) fn position(&self) -> &Position {
        &self.position
    }

    pub(crate) fn partitions(&self, slot: Slot) -> u32 {
        self.sink.partitions(slot)
    }

    pub(crate) fn abort(&mut self) {
        self.sink.abort();
    }

    /// Transaction after transaction, from the position on. The feed stands there.
    pub(crate) fn run(
        &mut self,
        feed: &mut dyn Feed,
        mut encoder: RowEncoder,
        shared: &Shared,
        seat: &ClockSeat,
        progress: &mut RunProgress,
    ) -> Result<End, BrokerError> {
        self.note_start(shared, progress);
        if self.position.complete {
            seat.join(None);
            return Ok(End::Complete);
        }
        // What is followed, and a table, has no time to wait for.
        let timed = self.job.port.event_time.is_some() && self.job.spec.mode != ReplayMode::Follow;
        seat.join(feed.next_event_ms().filter(|_| timed));
        let limits = self.job.options.limits;
        let paced = seat.clock().paced() && timed;
        let mut rows_limit = limits.transaction_rows_first.clamp(1, limits.transaction_rows_max);
        let mut said_at = Instant::now();
        loop {
            if shared.stopping() {
                return Ok(End::Drained);
            }
            self.check_reserve()?;
            let started = Instant::now();
            let may_only_say = said_at.elapsed() >= ms(limits.progress_interval_ms);
            match self.transaction(feed, &mut encoder, rows_limit, paced, may_only_say, seat, progress)? {
                Step::Committed { sent, ended } => {
                    said_at = Instant::now();
                    progress.commits += 1;
                    self.note_commit(shared, progress, sent);
                    if ended {
                        return Ok(End::Complete);
                    }
                    rows_limit = (rows_limit * 2).min(limits.transaction_rows_max);
                    if paced {
                        shared.sleep(ms(limits.transaction_ms_max).saturating_sub(started.elapsed()));
                    }
                }
                Step::Nothing(pause) => shared.sleep(pause),
            }
        }
    }

    #[expect(clippy::too_many_arguments, reason = "one call site; a struct would only rename them")]
    fn transaction(
        &mut self,
        feed: &mut dyn Feed,
        encoder: &mut RowEncoder,
        rows_limit: usize,
        paced: bool,
        may_only_say: bool,
        seat: &ClockSeat,
        progress: &mut RunProgress,
    ) -> Result<Step, BrokerError> {
        let Self { job, sink, position } = self;
        let limits = &job.options.limits;
        let now_ms = if paced { seat.clock().now_ms() } else { Some(i64::MAX) };
        let declared = position.watermark;
        let mut row_watermark = declared;
        let (mut rows, mut errors, mut bytes) = (0_u64, 0_u64, 0_usize);
        let started = Instant::now();
        let mut last_due = Due::Nothing;
        for taken_rows in 0..rows_limit {
            if bytes >= limits.transaction_bytes_max {
                break;
            }
            if taken_rows % 64 == 63 && started.elapsed() >= ms(limits.transaction_ms_max) {
                break;
            }
            last_due = feed.due().map_err(BrokerError::Fatal)?;
            match last_due {
                Due::Row(None) => {}
                Due::Row(Some(at)) if now_ms.is_some_and(|now| at <= now) => {}
                Due::Row(Some(_)) | Due::Nothing | Due::End => break,
            }
            if rows + errors == 0 {
                sink.begin()?;
            }
            let taken = feed.take().map_err(BrokerError::Fatal)?;
            if let Some(watermark) = taken.watermark {
                row_watermark = row_watermark.max(watermark);
            }
            let header = RecordProgress { writer: 0, writer_watermark: row_watermark, row_watermark };
            let encoded = match taken.fault {
                Some(reason) => Err(BadRow { column: None, reason }),
                None => encoder.encode(taken.record, taken.line, taken.shift_ms),
            };
            let mut event_ms = None;
            let bad = match encoded {
                Err(bad) => Some(bad),
                Ok(row) => {
                    match sink.send(
                        Slot::Rows,
                        row.partition,
                        row.key.as_deref(),
                        row.value,
                        Some(row.event_ms),
                        header,
                    ) {
                        Ok(()) => {
                            bytes += row.value.len() + row.key.as_ref().map_or(0, |key| key.len());
                            rows += 1;
                            event_ms = Some(row.event_ms);
                            None
                        }
                        Err(SendError::TooLarge) => Some(BadRow {
                            column: None,
                            reason: format!(
                                "the row has {} bytes as JSON, more than `message.max.bytes`",
                                row.value.len()
                            ),
                        }),
                        Err(SendError::Broker(error)) => return Err(error),
                    }
                }
            };
            if let Some(bad) = bad {
                let (file, line) = (&job.spec.file, taken.line);
                let value = error_row(job.product(), file, line, &bad, taken.record, limits.raw_bytes_max);
                bytes += value.len();
                errors += 1;
                match sink.send(Slot::Errors, 0, None, &value, None, header) {
                    Ok(()) => {}
                    Err(SendError::Broker(error)) => return Err(error),
                    Err(SendError::TooLarge) => {
                        return Err(BrokerError::Fatal(SourceError::Kafka {
                            doing: "sending a row to the errors port",
                            reason: "it is larger than `message.max.bytes` of the producer".to_owned(),
                            retriable: false,
                        }));
                    }
                }
            }
            if let Some(event_ms) = event_ms {
                feed.sent(event_ms);
            }
        }
        let ended = last_due == Due::End && job.spec.mode == ReplayMode::Once;
        let watermark = if ended { WATERMARK_COMPLETE } else { reached(feed.watermark(), now_ms).max(row_watermark) };
        if rows + errors == 0 {
            let news = watermark > declared && may_only_say;
            if !ended && !news {
                feed.verify(position).map_err(BrokerError::Fatal)?;
                return Ok(Step::Nothing(pause(last_due, limits.progress_interval_ms, limits.follow_poll_ms, seat)));
            }
            sink.begin()?;
        }
        progress.handed = position.rows + position.errors + rows + errors;
        feed.verify(position).map_err(BrokerError::Fatal)?;
        sink.flush()?;
        let mut next = position.clone();
        feed.fill(&mut next).map_err(BrokerError::Fatal)?;
        next.watermark = watermark;
        next.complete = ended;
        next.rows += rows;
        next.errors += errors;
        next.offsets = sink.offsets();
        sink.send_progress(watermark, ended)?;
        sink.send_position(&job.product().to_string(), &next.encode())?;
        sink.commit()?;
        *position = next;
        Ok(Step::Committed { sent: bytes as u64, ended })
    }

    fn check_reserve(&self) -> Result<(), BrokerError> {
        if self.job.spec.mode != ReplayMode::Loop {
            return Ok(());
        }
        let (path, reserve) = (&self.job.options.data_dir, self.job.spec.disk_reserve_bytes);
        let free = rustix::fs::statvfs(path)
            .map(|disk| disk.f_bavail.saturating_mul(disk.f_frsize))
            .map_err(|error| BrokerError::Fatal(SourceError::File { path: path.clone(), source: error.into() }))?;
        if free < reserve {
            return Err(BrokerError::Fatal(SourceError::DiskReserve { path: path.clone(), free, reserve }));
        }
        Ok(())
    }

    fn note_start(&self, shared: &Shared, progress: &mut RunProgress) {
        let position = &self.position;
        let done = position.rows + position.errors;
        let new_generation = progress.generation != position.generation;
        if new_generation {
            progress.generation = position.generation;
            progress.began = Some((position.rows, position.errors));
            progress.handed = done;
        }
        let again = progress.handed.saturating_sub(done);
        progress.handed = done;
        shared.update(|status| {
            status.state = SourceState::Replaying;
            status.rows_resent += again;
            if new_generation {
                status.resumed_at = position.next;
            }
            copy_position(status, position, progress);
        });
    }

    fn note_commit(&self, shared: &Shared, progress: &RunProgress, bytes: u64) {
        shared.update(|status| {
            status.state = SourceState::Replaying;
            status.transactions += 1;
            status.bytes_sent += bytes;
            copy_position(status, &self.position, progress);
        });
    }
}

fn copy_position(status: &mut crate::handle::SourceStatus, position: &Position, progress: &RunProgress) {
    let (rows, errors) = progress.began.unwrap_or_default();
    status.generation = position.generation;
    status.round = position.round;
    status.rows_done = position.next;
    status.rows_sent = position.rows - rows;
    status.errors = position.errors - errors;
    status.watermark = position.watermark;
}

fn owner_key(job: &Job) -> String {
    format!("{}/owner", job.product())
}

/// With a replay clock, time has come no further than the clock, though the next row may be far.
fn reached(next_row_ms: WatermarkMs, now_ms: Option<i64>) -> WatermarkMs {
    match now_ms {
        Some(now) => next_row_ms.min(now),
        None => WatermarkMs::MIN,
    }
}

fn pause(due: Due, progress_interval_ms: u64, follow_poll_ms: u64, seat: &ClockSeat) -> Duration {
    let pause = match due {
        Due::Row(Some(at)) => seat.clock().until(at).min(ms(progress_interval_ms)),
        Due::Row(None) => Duration::ZERO,
        Due::Nothing => ms(follow_poll_ms),
        Due::End => ms(progress_interval_ms),
    };
    pause.max(Duration::from_millis(1))
}
