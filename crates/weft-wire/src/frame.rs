//! Length-prefixed frames: four bytes of length (big-endian, signed), then that many bytes.
//!
//! A claimed length allocates nothing: memory grows with the bytes that have arrived. Large frames also take their
//! size from a budget that all connections of a listener share, and must be complete before a deadline, so slow or
//! malicious senders cannot hold it.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

/// Frames up to this size are free; larger ones wait for the budget.
const FREE_BYTES: usize = 64 << 10;

/// A connection goes on with the memory of its last frame, unless the frame was larger than this.
const KEPT_BYTES_MAX: usize = 2 << 20;

/// Unit of the budget, since a semaphore counts in 32 bits.
const UNIT: usize = 1024;

/// Bytes of requests that may be in memory at once, shared by the connections of a listener.
#[derive(Debug, Clone)]
pub struct ByteBudget {
    units: Arc<Semaphore>,
    whole: usize,
}

impl ByteBudget {
    /// A budget of so many bytes (at least one frame is always let through).
    pub fn new(bytes: usize) -> Self {
        let whole = (bytes / UNIT).clamp(1, Semaphore::MAX_PERMITS);
        Self { units: Arc::new(Semaphore::new(whole)), whole }
    }

    async fn take(&self, bytes: usize) -> Option<OwnedSemaphorePermit> {
        let units = bytes.div_ceil(UNIT).min(self.whole);
        Arc::clone(&self.units).acquire_many_owned(u32::try_from(units).unwrap_or(u32::MAX)).await.ok()
    }
}

/// What a reader of frames puts up with.
#[derive(Debug, Clone, Copy)]
pub struct FrameLimits {
    /// Largest frame. Kafka's `socket.request.max.bytes`.
    pub frame_bytes_max: usize,
    /// From the length to the last byte.
    pub frame_timeout: Duration,
}

/// Why reading frames ended, other than by a close between frames.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// Negative, or above the limit. Also what a TLS hello or an HTTP request looks like here.
    #[error("frame length {length} is not between 0 and {limit}")]
    Length {
        /// The claimed length.
        length: i32,
        /// The limit.
        limit: usize,
    },
    /// The peer closed in the middle of a frame.
    #[error("closed after {received} bytes of a frame of {expected}")]
    HalfFrame {
        /// Bytes that arrived, the length included.
        received: usize,
        /// Bytes announced, the length included.
        expected: usize,
    },
    /// The frame took too long.
    #[error("frame of {expected} bytes was not complete in time; {received} arrived")]
    Slow {
        /// Bytes that arrived.
        received: usize,
        /// Bytes announced.
        expected: usize,
    },
    /// The socket failed.
    #[error("connection failed: {0}")]
    Io(#[from] std::io::Error),
}

/// The bytes of a large frame. Their share of the budget goes back when nothing refers to them any more.
struct Held {
    bytes: Bytes,
    _share: OwnedSemaphorePermit,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// Reads frames from a byte stream. [`FrameReader::next`] may be dropped and called again at any point.
#[derive(Debug)]
pub struct FrameReader<R> {
    stream: R,
    buffer: BytesMut,
    limits: FrameLimits,
    budget: ByteBudget,
    permit: Option<OwnedSemaphorePermit>,
    deadline: Option<Instant>,
}

impl<R: AsyncRead + Unpin> FrameReader<R> {
    /// Frames that begin from now on may have so many bytes.
    pub fn bound(&mut self, frame_bytes_max: usize) {
        self.limits.frame_bytes_max = frame_bytes_max;
    }

    /// Reads from `stream`.
    pub fn new(stream: R, limits: FrameLimits, budget: ByteBudget) -> Self {
        Self { stream, buffer: BytesMut::new(), limits, budget, permit: None, deadline: None }
    }

    /// The next frame without its length; `None` when the peer closed between frames.
    pub async fn next(&mut self) -> Result<Option<Bytes>, FrameError> {
        loop {
            let expected = self.expected()?;
            if let Some(expected) = expected {
                if self.buffer.len() >= expected {
                    let mut whole = self.buffer.split_to(expected);
                    let bytes = whole.split_off(4).freeze();
                    self.deadline = None;
                    if self.buffer.is_empty() && expected > KEPT_BYTES_MAX {
                        self.buffer = BytesMut::new();
                    }
                    return Ok(Some(match self.permit.take() {
                        Some(share) => Bytes::from_owner(Held { bytes, _share: share }),
                        None => bytes,
                    }));
                }
                if expected > FREE_BYTES && self.permit.is_none() {
                    self.permit = self.budget.take(expected).await;
                }
                let deadline = *self.deadline.get_or_insert_with(|| Instant::now() + self.limits.frame_timeout);
                let read = tokio::time::timeout_at(deadline, self.read(expected)).await;
                let received = self.buffer.len();
                match read {
                    Err(_) => return Err(FrameError::Slow { received, expected }),
                    Ok(read) => {
                        if read? == 0 {
                            return Err(FrameError::HalfFrame { received, expected });
                        }
                    }
                }
            } else if self.read(0).await? == 0 {
                if self.buffer.is_empty() {
                    return Ok(None);
                }
                return Err(FrameError::HalfFrame { received: self.buffer.len(), expected: 4 });
            }
        }
    }

    /// Whole size of the frame at the head of the buffer, if its length is there.
    fn expected(&self) -> Result<Option<usize>, FrameError> {
        let Some(length) = self.buffer.first_chunk::<4>() else { return Ok(None) };
        let length = i32::from_be_bytes(*length);
        let limit = self.limits.frame_bytes_max;
        match usize::try_from(length) {
            Ok(size) if size <= limit => Ok(Some(size + 4)),
            _ => Err(FrameError::Length { length, limit }),
        }
    }

    /// Makes room for what is missing, at most as much again as has arrived, then reads once.
    async fn read(&mut self, expected: usize) -> std::io::Result<usize> {
        let missing = expected.saturating_sub(self.buffer.len());
        let room = missing.min(self.buffer.len().max(FREE_BYTES)).max(4096);
        if self.buffer.capacity() - self.buffer.len() < room.min(4096) || missing > 0 {
            self.buffer.reserve(room);
        }
        self.stream.read_buf(&mut self.buffer).await
    }
}
