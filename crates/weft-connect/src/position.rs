//! Where a source stands: one record per product on `__weft.<mesh>.sources`, in the transaction of the rows before it.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use weft_model::product::{OutputPort, ReplayMode, SourceSpec};
use weft_model::progress::{WATERMARK_NONE, WatermarkMs};

use crate::csv::Identity;
use crate::error::SourceError;

const VERSION: u32 = 1;

/// Everything a restart needs to go on, and to see that it may.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Position {
    /// Version of this shape.
    pub(crate) v: u32,
    /// Begun anew by `weft source restart`.
    pub(crate) generation: u32,
    /// `Replay digest`: mode, order and reading of the rows; empty until the generation has begun.
    pub(crate) replay: String,
    /// Bytes of the file; with `follow`, of the prefix that was read.
    pub(crate) size: u64,
    /// Its SHA-256; with `follow`, of the prefix.
    pub(crate) sha256: String,
    /// Round of `loop`.
    pub(crate) round: u64,
    /// Rows before the next one: in the order of the replay, with `follow` in that of the file.
    pub(crate) next: u64,
    /// `follow`: where the next line starts. Bytes.
    pub(crate) byte: u64,
    /// `follow`: its number.
    pub(crate) line: u64,
    /// Declared with this position.
    pub(crate) watermark: WatermarkMs,
    /// Next offset by port (declared, errors, late) and partition.
    pub(crate) offsets: [Vec<i64>; 3],
    /// Rows sent in this generation.
    pub(crate) rows: u64,
    /// Rows on the `errors` port in this generation.
    pub(crate) errors: u64,
    /// `once` has ended.
    pub(crate) complete: bool,
}

impl Position {
    /// The beginning of a generation.
    pub(crate) fn start(generation: u32, offsets: [Vec<i64>; 3]) -> Self {
        Self {
            v: VERSION,
            generation,
            replay: String::new(),
            size: 0,
            sha256: String::new(),
            round: 0,
            next: 0,
            byte: 0,
            line: 1,
            watermark: WATERMARK_NONE,
            offsets,
            rows: 0,
            errors: 0,
            complete: false,
        }
    }

    /// Has a row of this generation been looked at?
    pub(crate) fn begun(&self) -> bool {
        !self.replay.is_empty()
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("plain data")
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, SourceError> {
        #[derive(Deserialize)]
        struct Versioned {
            v: u32,
        }
        let unreadable = |error: serde_json::Error| SourceError::Position {
            reason: format!("the position record cannot be read: {error}"),
        };
        let Versioned { v } = serde_json::from_slice(bytes).map_err(unreadable)?;
        if v > VERSION {
            return Err(SourceError::Position {
                reason: format!("the position record has version {v}, this weft knows versions up to {VERSION}"),
            });
        }
        serde_json::from_slice(bytes).map_err(unreadable)
    }

    /// May a source with this file and this way of reading it go on from here?
    pub(crate) fn check(&self, file: &str, identity: &Identity, replay: &str) -> Result<(), SourceError> {
        if !self.begun() {
            return Ok(());
        }
        let was = Identity { size: self.size, sha256: self.sha256.clone() };
        if was != *identity {
            return Err(SourceError::FileChanged {
                file: file.to_owned(),
                position: self.next,
                generation: self.generation,
                was: was.short(),
                is: identity.short(),
            });
        }
        self.check_replay(replay)
    }

    /// The second half of `check`.
    pub(crate) fn check_replay(&self, replay: &str) -> Result<(), SourceError> {
        if self.begun() && self.replay != replay {
            return Err(SourceError::ReplayChanged { position: self.next, generation: self.generation });
        }
        Ok(())
    }
}

/// Digest of all that decides which row is the n-th, and what it holds of time. What only formats rows is left out: a
/// contract may grow a column without a new generation.
pub(crate) fn replay_digest(spec: &SourceSpec, port: &OutputPort) -> String {
    let mode = match spec.mode {
        ReplayMode::Once => "once",
        ReplayMode::Loop => "loop",
        ReplayMode::Follow => "follow",
    };
    let derive: Vec<_> = port
        .event_time
        .iter()
        .flat_map(|name| spec.derive.iter().filter(move |derived| derived.name == *name))
        .map(|derived| (&derived.timestamp, &derived.plus_minutes))
        .collect();
    let disorder = spec.disorder.as_ref().map(|disorder| (disorder.rows, disorder.seconds, disorder.seed));
    let all = serde_json::json!([mode, port.event_time, port.event_time_offset_ms, derive, disorder]);
    let digest = Sha256::digest(all.to_string().as_bytes());
    digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}
