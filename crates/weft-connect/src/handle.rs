//! The only way in to a running source: what it is doing, and the word to stop.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;
use weft_model::kind::Diagnostic;
use weft_model::name::ProductId;
use weft_model::progress::{WATERMARK_NONE, WatermarkMs};

/// What a source is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SourceState {
    /// Unpacks, hashes and indexes the file, and asks the broker for the position.
    Reading,
    /// Sends rows, or waits until the next one is due or appended.
    Replaying,
    /// The broker is away; it tries again by itself.
    Retrying(Diagnostic),
    /// Every row is sent and `complete` is written. The end of `once`.
    Complete,
    /// It will not go on by itself.
    Stopped(Diagnostic),
    /// It was told to stop; it goes on where it was when it is started again.
    Drained,
}

/// Progress of a source, for people and for metrics. Counts are of this run unless they say otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceStatus {
    /// The product.
    pub product: ProductId,
    /// What it is doing.
    pub state: SourceState,
    /// Generation of the replay; `weft source restart` begins a new one.
    pub generation: u32,
    /// Round of `loop`, from 0.
    pub round: u64,
    /// Rows at or before the committed position, in this round, of all runs of this generation.
    pub rows_done: u64,
    /// Rows in the file, when known: `once` and `loop` know after reading it, `follow` never.
    pub rows_total: Option<u64>,
    /// Rows committed to the port.
    pub rows_sent: u64,
    /// Rows committed to the `errors` port.
    pub errors: u64,
    /// Rows produced again because the outcome of their transaction was unknown or it was lost.
    pub rows_resent: u64,
    /// Committed position found at the start: rows below it were not read again.
    pub resumed_at: u64,
    /// Transactions committed.
    pub transactions: u64,
    /// Bytes of keys and values committed to the port.
    pub bytes_sent: u64,
    /// Event-time watermark declared last.
    pub watermark: WatermarkMs,
}

impl SourceStatus {
    fn new(product: ProductId) -> Self {
        Self {
            product,
            state: SourceState::Reading,
            generation: 1,
            round: 0,
            rows_done: 0,
            rows_total: None,
            rows_sent: 0,
            errors: 0,
            rows_resent: 0,
            resumed_at: 0,
            transactions: 0,
            bytes_sent: 0,
            watermark: WATERMARK_NONE,
        }
    }
}

/// A running source. Dropping the handle does not stop it; `stop` does.
#[derive(Debug, Clone)]
pub struct SourceHandle {
    pub(crate) shared: Arc<Shared>,
    pub(crate) ended: watch::Receiver<bool>,
}

impl SourceHandle {
    /// What it is doing now.
    pub fn status(&self) -> SourceStatus {
        self.shared.status()
    }

    /// Ends it after the transaction it is in, and waits until it has.
    pub async fn stop(&self) {
        self.shared.ask_to_stop();
        self.ended().await;
    }

    /// Waits until it has ended by itself: complete, stopped, or drained.
    pub async fn ended(&self) {
        let mut ended = self.ended.clone();
        // An error means that the thread is gone, which is what is waited for.
        let _ = ended.wait_for(|ended| *ended).await;
    }
}

/// What the thread of a source and its handles share.
#[derive(Debug)]
pub(crate) struct Shared {
    status: Mutex<SourceStatus>,
    stop: AtomicBool,
    sleeping: Mutex<()>,
    wake: Condvar,
}

impl Shared {
    pub(crate) fn new(product: ProductId) -> Arc<Self> {
        Arc::new(Self {
            status: Mutex::new(SourceStatus::new(product)),
            stop: AtomicBool::new(false),
            sleeping: Mutex::new(()),
            wake: Condvar::new(),
        })
    }

    pub(crate) fn status(&self) -> SourceStatus {
        self.status.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn update(&self, change: impl FnOnce(&mut SourceStatus)) {
        change(&mut self.status.lock().unwrap_or_else(PoisonError::into_inner));
    }

    pub(crate) fn ask_to_stop(&self) {
        self.stop.store(true, Ordering::SeqCst);
        let _sleeping = self.sleeping.lock().unwrap_or_else(PoisonError::into_inner);
        self.wake.notify_all();
    }

    pub(crate) fn stopping(&self) -> bool {
        self.stop.load(Ordering::SeqCst)
    }

    /// Sleeps until the time is over or `ask_to_stop` was called.
    pub(crate) fn sleep(&self, pause: Duration) {
        let until = Instant::now() + pause;
        let mut sleeping = self.sleeping.lock().unwrap_or_else(PoisonError::into_inner);
        while !self.stopping() {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            (sleeping, _) = self.wake.wait_timeout(sleeping, left).unwrap_or_else(PoisonError::into_inner);
        }
    }
}
