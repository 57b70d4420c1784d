//! What a node may be tuned with: the sections `http`, `views`, `engine`, `sources` and `log` of `weft.yaml`.
//!
//! ```text
//!   weft.yaml ── load ──► Settings: what the file says ──► the rooms' options     (in `weft`)
//!                  ▲
//!                 KEYS: name, shape, range, default of everything that can be said
//! ```
//!
//! Settings belong to a node, not to the mesh: they are no part of [`Mesh`](crate::mesh::Mesh), and a node reads them from
//! its own folder when it starts. Keys carry their unit at the end, as in `source.yaml`: `_ms`, `_bytes`, `_kbytes`.
//!
//! Always: the default of every key lies in its range and is the default of the room's own options; tests say so.

mod keys;

use std::collections::BTreeMap;
use std::fmt;

use crate::access::AccessSettings;
use crate::cluster::Cluster;
use crate::mesh::{Listeners, Replay};

pub use keys::{KEYS, ORDERED, SECTIONS, VOID_ABOVE};

/// One thing that can be set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// Section and key, `http.sqls_max`; a limit of a group has three parts, `http.sql.rows_max`.
    pub name: &'static str,
    /// What may be written, and the default.
    pub shape: Shape,
    /// What it is, for people: a sentence fragment without full stop.
    pub what: &'static str,
}

/// What may be written at a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// A whole number, both ends included.
    Number {
        /// Least.
        min: u64,
        /// Most.
        max: u64,
        /// Unless said otherwise.
        default: u64,
    },
    /// `true` or `false`.
    Flag {
        /// Unless said otherwise.
        default: bool,
    },
    /// A list of host names without port; default none.
    Hosts,
    /// A list of web origins, `https://portal.example`; default none.
    Origins,
    /// `always`, `interval:MS` or `os`; default `always`.
    Fsync,
    /// `host:port` that clients are told; default none: the address listened on.
    Address,
}

/// The value of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Setting {
    /// A number, in the unit that ends the key.
    Number(u64),
    /// Yes or no.
    Flag(bool),
    /// Names.
    Texts(Vec<String>),
    /// When an append counts as done.
    Fsync(Fsync),
    /// Host and port; none = the address listened on.
    Address(Option<(String, u16)>),
}

/// When an append to the log counts as done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fsync {
    /// After it is on disk.
    Always,
    /// After the write; synced this often. Milliseconds: what a power cut may cost.
    Interval(u64),
    /// After the write; synced when the kernel likes.
    Os,
}

impl Fsync {
    /// `interval` without a number. Milliseconds.
    const INTERVAL_MS: u64 = 100;
    /// Longest interval: an hour, in milliseconds.
    const INTERVAL_MS_MAX: u64 = 3_600_000;
}

impl std::str::FromStr for Fsync {
    type Err = String;

    /// `always`, `interval`, `interval:MS`, `os`; the error says what to write.
    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            None if text == "always" => Ok(Self::Always),
            None if text == "os" => Ok(Self::Os),
            None if text == "interval" => Ok(Self::Interval(Self::INTERVAL_MS)),
            Some(("interval", ms)) => match ms.parse() {
                Ok(ms) if (1..=Self::INTERVAL_MS_MAX).contains(&ms) => Ok(Self::Interval(ms)),
                _ => Err(format!("\"{ms}\" is not a number of milliseconds from 1 to {}", Self::INTERVAL_MS_MAX)),
            },
            _ => Err("write always, interval:MS or os".to_owned()),
        }
    }
}

impl fmt::Display for Fsync {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Always => f.write_str("always"),
            Self::Interval(ms) => write!(f, "interval:{ms}"),
            Self::Os => f.write_str("os"),
        }
    }
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(f, "{number}"),
            Self::Flag(flag) => write!(f, "{flag}"),
            Self::Texts(texts) => write!(f, "[{}]", texts.join(", ")),
            Self::Fsync(fsync) => write!(f, "{fsync}"),
            Self::Address(Some((host, port))) => write!(f, "{host}:{port}"),
            Self::Address(None) => f.write_str("none"),
        }
    }
}

impl Shape {
    /// What holds when nothing is written.
    pub fn default(&self) -> Setting {
        match self {
            Self::Number { default, .. } => Setting::Number(*default),
            Self::Flag { default } => Setting::Flag(*default),
            Self::Hosts | Self::Origins => Setting::Texts(Vec::new()),
            Self::Fsync => Setting::Fsync(Fsync::Always),
            Self::Address => Setting::Address(None),
        }
    }
}

/// The key of that name.
pub fn key(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.name == name)
}

/// Everything that a node reads from its own `weft.yaml`, once, when it starts.
#[derive(Debug, Clone, PartialEq)]
pub struct NodeSettings {
    /// Where it listens.
    pub listeners: Listeners,
    /// Speed of its replays.
    pub replay: Replay,
    /// Where its mesh may live, in the order of their names.
    pub clusters: Vec<Cluster>,
    /// Whether callers must show a key.
    pub access: AccessSettings,
    /// What tunes its rooms.
    pub settings: Settings,
}

/// What one `weft.yaml` says about its node; everything else has its default.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Settings {
    /// Value and line, by the name of the key.
    said: BTreeMap<&'static str, (Setting, u32)>,
}

impl Settings {
    pub(crate) fn say(&mut self, key: &'static Key, setting: Setting, line: u32) {
        self.said.insert(key.name, (setting, line));
    }

    /// Takes back what the file says about a key, because a command line decides it.
    pub fn forget(&mut self, name: &str) {
        self.said.remove(name);
    }

    /// What the file says; `None` where the default holds.
    pub fn said(&self, name: &str) -> Option<&Setting> {
        self.said.get(name).map(|(setting, _)| setting)
    }

    /// Where the file says it.
    pub fn line(&self, name: &str) -> Option<u32> {
        self.said.get(name).map(|(_, line)| *line)
    }

    /// What holds.
    ///
    /// # Panics
    /// If there is no such key.
    pub fn value(&self, name: &str) -> Setting {
        let of_key = || key(name).expect("only keys of the table are asked for").shape.default();
        self.said(name).cloned().unwrap_or_else(of_key)
    }

    /// First line that speaks about a section.
    pub fn section_line(&self, section: &str) -> Option<u32> {
        let of_section = |name: &&&str| name.split('.').next() == Some(section);
        self.said.keys().filter(of_section).filter_map(|name| self.line(name)).min()
    }

    /// Keys whose value is another one in `later`, with the value here and there.
    pub fn differences(&self, later: &Self) -> Vec<(&'static str, Setting, Setting)> {
        let both = KEYS.iter().map(|key| (key.name, self.value(key.name), later.value(key.name)));
        both.filter(|(_, before, after)| before != after).collect()
    }
}
