//! What `weft.yaml` says about the node becomes the options of its rooms.
//!
//! ```text
//!   Settings ("http.sqls_max" = 8) ──► slots ──► weft_gateway::Options, ViewsOptions, EngineOptions, …
//! ```
//!
//! A slot is a key with the place of its value. One list per room; writing an option and reading a default go through it.

use std::time::Duration;

use weft_connect::SourceLimits;
use weft_log::FsyncMode;
use weft_model::mesh::Replay;
use weft_model::settings::{Fsync, NodeSettings, Setting, Settings};
use weft_stream::config::{EngineOptions, ViewsOptions};

/// Where the value of a key goes.
enum Slot<'a> {
    Usize(&'a mut usize),
    U64(&'a mut u64),
    U32(&'a mut u32),
    I32(&'a mut i32),
    Millis(&'a mut Duration),
    Flag(&'a mut bool),
    Texts(&'a mut Vec<String>),
    Fsync(&'a mut FsyncMode),
    Address(&'a mut Option<(String, u16)>),
}

type Slots<'a> = Vec<(&'static str, Slot<'a>)>;

/// Options of the doors.
pub(crate) fn http(settings: &Settings) -> weft_gateway::Options {
    let mut options = weft_gateway::Options::default();
    fill(settings, http_slots(&mut options));
    options
}

/// Options of the views, over what the node itself decides.
pub(crate) fn views(settings: &Settings, mut options: ViewsOptions) -> ViewsOptions {
    fill(settings, views_slots(&mut options));
    // One key per bound: the doors let in as many as the views serve. A reader that went away may hold its place in the
    // views a little longer than at the door, so there are twice as many.
    let doors = http(settings);
    options.sql_queries = doors.sqls_max;
    options.streams = doors.streams_max * 2;
    options
}

/// Options of the engine, over what the node itself decides.
pub(crate) fn engine(settings: &Settings, mut options: EngineOptions) -> EngineOptions {
    fill(settings, engine_slots(&mut options));
    options
}

/// Silence after which a node counts as gone.
pub(crate) fn session_timeout_ms(settings: &Settings) -> u32 {
    let unused = weft_stream::config::KafkaOptions::new("unused:1");
    let mesh = "unused".parse().expect("a name");
    engine(settings, EngineOptions::new(unused, mesh, "unused")).session_timeout_ms
}

/// Bounds of every source.
pub(crate) fn sources(settings: &Settings) -> SourceLimits {
    let mut limits = SourceLimits::default();
    fill(settings, source_slots(&mut limits));
    limits
}

/// Options of the embedded log, over what the node itself decides.
pub(crate) fn log(settings: &Settings, mut options: weft_log::Options) -> weft_log::Options {
    fill(settings, log_slots(&mut options));
    options
}

/// As the log takes it.
pub(crate) fn fsync_mode(fsync: Fsync) -> FsyncMode {
    match fsync {
        Fsync::Always => FsyncMode::Always,
        Fsync::Interval(ms) => FsyncMode::Interval(Duration::from_millis(ms)),
        Fsync::Os => FsyncMode::Os,
    }
}

/// What a node reads from its own folder when it starts, and never again.
#[derive(Debug, Clone)]
pub(crate) struct AtStart {
    values: Vec<(&'static str, String)>,
    settings: Settings,
}

impl AtStart {
    /// Of a folder as read now; `overridden` keys are those that the command line decides.
    pub(crate) fn of(node: &NodeSettings, overridden: &[&str]) -> Self {
        let clusters: Vec<String> =
            node.clusters.iter().map(|cluster| format!("{}: {cluster}", cluster.name)).collect();
        let values = [
            ("clusters", format!("[{}]", clusters.join("; "))),
            ("access", node.access.to_string()),
            ("listeners.kafka", node.listeners.kafka.clone()),
            ("listeners.http", node.listeners.http.clone()),
            ("replay.speed", speed(node.replay)),
        ];
        let values = values.into_iter().filter(|(key, _)| !overridden.contains(key)).collect();
        let mut settings = node.settings.clone();
        overridden.iter().for_each(|key| settings.forget(key));
        Self { values, settings }
    }

    /// What the folder says now and a running node does not take up: `http.sqls_max 4 → 8`. Empty: nothing.
    pub(crate) fn differences(&self, now: &Self) -> Vec<String> {
        let pairs = self.values.iter().zip(&now.values).filter(|(before, after)| before != after);
        let mut said: Vec<String> =
            pairs.map(|((key, before), (_, after))| format!("{key} {before} → {after}")).collect();
        let settings = self.settings.differences(&now.settings);
        said.extend(settings.into_iter().map(|(key, before, after)| format!("{key} {before} → {after}")));
        said
    }
}

fn speed(replay: Replay) -> String {
    match replay {
        Replay::Max => "max".to_owned(),
        Replay::Times(times) => times.to_string(),
    }
}

fn http_slots(options: &mut weft_gateway::Options) -> Slots<'_> {
    use Slot::{Millis, Texts, U64, Usize};
    vec![
        ("http.hosts", Texts(&mut options.hosts)),
        ("http.origins", Texts(&mut options.origins)),
        ("http.uri_bytes_max", Usize(&mut options.uri_bytes_max)),
        ("http.header_bytes_max", Usize(&mut options.header_bytes_max)),
        ("http.headers_max", Usize(&mut options.headers_max)),
        ("http.body_bytes_max", Usize(&mut options.body_bytes_max)),
        ("http.connections_max", Usize(&mut options.connections_max)),
        ("http.pulls_max", Usize(&mut options.pulls_max)),
        ("http.sqls_max", Usize(&mut options.sqls_max)),
        ("http.streams_max", Usize(&mut options.streams_max)),
        ("http.queue_wait_ms", Millis(&mut options.queue_wait)),
        ("http.rows_default", Usize(&mut options.rows_default)),
        ("http.pull.rows_max", Usize(&mut options.pull.rows_max)),
        ("http.pull.bytes_max", Usize(&mut options.pull.bytes_max)),
        ("http.pull.time_ms_max", U64(&mut options.pull.time_ms_max)),
        ("http.sql.rows_max", Usize(&mut options.sql.rows_max)),
        ("http.sql.bytes_max", Usize(&mut options.sql.bytes_max)),
        ("http.sql.time_ms_max", U64(&mut options.sql.time_ms_max)),
        ("http.header_read_ms", Millis(&mut options.header_read)),
        ("http.body_read_ms", Millis(&mut options.body_read)),
        ("http.write_stall_ms", Millis(&mut options.write_stall)),
        ("http.heartbeat_ms", Millis(&mut options.heartbeat)),
        ("http.stream_chunk_bytes", Usize(&mut options.stream_chunk_bytes)),
        ("http.drain_ms", Millis(&mut options.drain)),
        ("http.retry_after_ms", Millis(&mut options.retry_after)),
    ]
}

fn views_slots(options: &mut ViewsOptions) -> Slots<'_> {
    use Slot::{U32, U64, Usize};
    vec![
        ("views.index_cache_bytes", U64(&mut options.index_cache_bytes)),
        ("views.feed_queue_kbytes", U32(&mut options.feed_queue_kbytes)),
        ("views.feed_batch_records", Usize(&mut options.feed_batch_records)),
        ("views.readers", Usize(&mut options.readers)),
        ("views.sql_threads", Usize(&mut options.sql_threads)),
        ("views.sql_memory_bytes", Usize(&mut options.sql_memory_bytes)),
        ("views.sql_text_bytes", Usize(&mut options.sql_text_bytes)),
        ("views.wait_ms", U64(&mut options.wait_ms)),
        ("views.stream_events", Usize(&mut options.stream_events)),
        ("views.stream_stall_ms", U64(&mut options.stream_stall_ms)),
    ]
}

fn engine_slots(options: &mut EngineOptions) -> Slots<'_> {
    use Slot::{U32, U64, Usize};
    vec![
        ("engine.commit_interval_ms", U64(&mut options.commit_interval_ms)),
        ("engine.batch_rows", Usize(&mut options.batch_rows)),
        ("engine.commit_rows", Usize(&mut options.commit_rows)),
        ("engine.dirty_bytes", Usize(&mut options.dirty_bytes)),
        ("engine.input_bytes", Usize(&mut options.input_bytes)),
        ("engine.fetch_queue_kbytes", U32(&mut options.fetch_queue_kbytes)),
        ("engine.produce_queue_kbytes", U32(&mut options.produce_queue_kbytes)),
        ("engine.state_cache_bytes", U64(&mut options.state_cache_bytes)),
        ("engine.transaction_timeout_ms", U32(&mut options.transaction_timeout_ms)),
        ("engine.request_timeout_ms", U64(&mut options.request_timeout_ms)),
        ("engine.session_timeout_ms", U32(&mut options.session_timeout_ms)),
    ]
}

fn source_slots(limits: &mut SourceLimits) -> Slots<'_> {
    use Slot::{U64, Usize};
    vec![
        ("sources.transaction_rows_first", Usize(&mut limits.transaction_rows_first)),
        ("sources.transaction_rows_max", Usize(&mut limits.transaction_rows_max)),
        ("sources.transaction_bytes_max", Usize(&mut limits.transaction_bytes_max)),
        ("sources.transaction_ms_max", U64(&mut limits.transaction_ms_max)),
        ("sources.record_bytes_max", Usize(&mut limits.record_bytes_max)),
        ("sources.raw_bytes_max", Usize(&mut limits.raw_bytes_max)),
        ("sources.progress_interval_ms", U64(&mut limits.progress_interval_ms)),
        ("sources.follow_poll_ms", U64(&mut limits.follow_poll_ms)),
        ("sources.broker_timeout_ms", U64(&mut limits.broker_timeout_ms)),
        ("sources.retry_ms_max", U64(&mut limits.retry_ms_max)),
    ]
}

fn log_slots(options: &mut weft_log::Options) -> Slots<'_> {
    use Slot::{Address, Flag, Fsync, I32, Millis, U32, Usize};
    vec![
        ("log.fsync", Fsync(&mut options.fsync)),
        ("log.advertised", Address(&mut options.advertised)),
        ("log.node_id", I32(&mut options.node_id)),
        ("log.auto_create_topics", Flag(&mut options.auto_create_topics)),
        ("log.partitions_default", U32(&mut options.partitions_default)),
        ("log.partitions_per_topic_max", U32(&mut options.partitions_per_topic_max)),
        ("log.partitions_max", U32(&mut options.partitions_max)),
        ("log.clamp_replication_factor", Flag(&mut options.clamp_replication_factor)),
        ("log.message_bytes_max", U32(&mut options.message_bytes_max)),
        ("log.request_bytes_max", U32(&mut options.request_bytes_max)),
        ("log.queued_request_bytes_max", Usize(&mut options.queued_request_bytes_max)),
        ("log.fetch_bytes_max", U32(&mut options.fetch_bytes_max)),
        ("log.fetch_wait_max_ms", Millis(&mut options.fetch_wait_max)),
        ("log.connections_max", Usize(&mut options.connections_max)),
        ("log.connection_idle_max_ms", Millis(&mut options.connection_idle_max)),
        ("log.requests_in_flight_max", Usize(&mut options.requests_in_flight_max)),
        ("log.group_session_timeout_min_ms", Millis(&mut options.group_session_timeout_min)),
        ("log.group_session_timeout_max_ms", Millis(&mut options.group_session_timeout_max)),
        ("log.group_members_max", Usize(&mut options.group_members_max)),
        ("log.group_initial_rebalance_delay_ms", Millis(&mut options.group_initial_rebalance_delay)),
        ("log.groups_max", Usize(&mut options.groups_max)),
        ("log.offset_metadata_bytes_max", Usize(&mut options.offset_metadata_bytes_max)),
        ("log.offsets_retention_ms", Millis(&mut options.offsets_retention)),
        ("log.transaction_timeout_max_ms", Millis(&mut options.transaction_timeout_max)),
        ("log.transactional_id_expiration_ms", Millis(&mut options.transactional_id_expiration)),
        ("log.transactional_ids_max", Usize(&mut options.transactional_ids_max)),
        ("log.retention_check_interval_ms", Millis(&mut options.retention_check_interval)),
        ("log.drain_max_ms", Millis(&mut options.drain_max)),
    ]
}

fn fill(settings: &Settings, slots: Slots<'_>) {
    const FITS: &str = "the range of the key lies in the type of the option";
    for (key, slot) in slots {
        let Some(setting) = settings.said(key) else { continue };
        match (slot, setting) {
            (Slot::Usize(slot), Setting::Number(number)) => *slot = (*number).try_into().expect(FITS),
            (Slot::U64(slot), Setting::Number(number)) => *slot = *number,
            (Slot::U32(slot), Setting::Number(number)) => *slot = (*number).try_into().expect(FITS),
            (Slot::I32(slot), Setting::Number(number)) => *slot = (*number).try_into().expect(FITS),
            (Slot::Millis(slot), Setting::Number(number)) => *slot = Duration::from_millis(*number),
            (Slot::Flag(slot), Setting::Flag(flag)) => *slot = *flag,
            (Slot::Texts(slot), Setting::Texts(texts)) => slot.clone_from(texts),
            (Slot::Fsync(slot), Setting::Fsync(fsync)) => *slot = fsync_mode(*fsync),
            (Slot::Address(slot), Setting::Address(address)) => slot.clone_from(address),
            (_, setting) => unreachable!("key {key} holds {setting:?}; a test goes through all of them"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use weft_model::load::{self, Files};
    use weft_model::settings::{KEYS, Key, Shape};
    use weft_stream::config::KafkaOptions;

    use super::*;

    /// All options of a node.
    struct All {
        http: weft_gateway::Options,
        views: ViewsOptions,
        engine: EngineOptions,
        sources: SourceLimits,
        log: weft_log::Options,
    }

    impl All {
        fn of(settings: &Settings) -> Self {
            let kafka = KafkaOptions::new("127.0.0.1:1");
            Self {
                http: http(settings),
                views: views(settings, ViewsOptions::new(kafka.clone(), "m".parse().unwrap(), "v")),
                engine: engine(settings, EngineOptions::new(kafka, "m".parse().unwrap(), "s")),
                sources: sources(settings),
                log: log(settings, weft_log::Options::new("l")),
            }
        }

        /// What the rooms were given, key by key.
        fn values(&mut self) -> Vec<(&'static str, Setting)> {
            let slots = http_slots(&mut self.http)
                .into_iter()
                .chain(views_slots(&mut self.views))
                .chain(engine_slots(&mut self.engine))
                .chain(source_slots(&mut self.sources))
                .chain(log_slots(&mut self.log));
            slots.map(|(key, slot)| (key, value(&slot))).collect()
        }
    }

    fn value(slot: &Slot<'_>) -> Setting {
        let ms = |duration: &Duration| u64::try_from(duration.as_millis()).unwrap();
        match slot {
            Slot::Usize(number) => Setting::Number(u64::try_from(**number).unwrap()),
            Slot::U64(number) => Setting::Number(**number),
            Slot::U32(number) => Setting::Number(u64::from(**number)),
            Slot::I32(number) => Setting::Number(u64::from(number.unsigned_abs())),
            Slot::Millis(duration) => Setting::Number(ms(duration)),
            Slot::Flag(flag) => Setting::Flag(**flag),
            Slot::Texts(texts) => Setting::Texts(texts.to_vec()),
            Slot::Fsync(FsyncMode::Always) => Setting::Fsync(Fsync::Always),
            Slot::Fsync(FsyncMode::Interval(every)) => Setting::Fsync(Fsync::Interval(ms(every))),
            Slot::Fsync(FsyncMode::Os) => Setting::Fsync(Fsync::Os),
            Slot::Address(address) => Setting::Address((*address).clone()),
        }
    }

    fn node(weft: &str) -> Result<NodeSettings, weft_model::kind::Diagnostics> {
        load::node(&Files([("weft.yaml".to_owned(), format!("mesh: m\n{weft}"))].into()))
    }

    /// A `weft.yaml` that says the least, then the most, that the key takes.
    fn extremes(key: &Key) -> Vec<String> {
        match key.shape {
            Shape::Number { min, max, .. } => vec![min.to_string(), max.to_string()],
            Shape::Flag { default } => vec![(!default).to_string()],
            Shape::Hosts => vec!["[mesh.example]".to_owned()],
            Shape::Origins => vec!["[\"https://portal.example\"]".to_owned()],
            Shape::Fsync => vec!["os".to_owned(), "interval:7".to_owned()],
            Shape::Address => vec!["kafka.example:0".to_owned()],
        }
    }

    #[test]
    fn the_manuals_defaults_are_those_of_the_rooms() {
        let defaults: Vec<(&str, Setting)> = KEYS.iter().map(|key| (key.name, key.shape.default())).collect();
        assert_eq!(All::of(&Settings::default()).values(), defaults);
    }

    #[test]
    fn each_key_reaches_its_room_and_no_other() {
        let mut reached = BTreeSet::new();
        for key in KEYS {
            for text in extremes(key) {
                let words: Vec<&str> = key.name.split('.').collect();
                let weft = format!("{}: {text}{}", words.join(": { "), " }".repeat(words.len() - 1));
                // An extreme that contradicts a neighbour's default is refused, which weft-model's tests look at.
                let Ok(NodeSettings { settings, .. }) = node(&weft) else { continue };
                reached.insert(key.name);
                let (mut given, mut before) = (All::of(&settings), All::of(&Settings::default()));
                let expected: Vec<(&str, Setting)> = before
                    .values()
                    .into_iter()
                    .map(|(name, default)| (name, settings.said(name).cloned().unwrap_or(default)))
                    .collect();
                assert!(settings.said(key.name).is_some(), "{weft}");
                assert_eq!(given.values(), expected, "{weft}");
                given.http.validate().unwrap_or_else(|findings| panic!("{weft}: {findings}"));
                given.log.validate(false).unwrap_or_else(|wrong| panic!("{weft}: {wrong}"));
            }
        }
        assert_eq!(reached.len(), KEYS.len(), "each key was tried with a value of its own");
    }

    #[test]
    fn one_key_bounds_the_door_and_what_is_behind_it() {
        let options = All::of(&node("http: { sqls_max: 9, streams_max: 11 }").unwrap().settings).views;
        assert_eq!((options.sql_queries, options.streams), (9, 22));
        let defaults = All::of(&Settings::default()).views;
        let rooms = ViewsOptions::new(KafkaOptions::new("x"), "m".parse().unwrap(), "v");
        assert_eq!((defaults.sql_queries, defaults.streams), (rooms.sql_queries, rooms.streams));
    }

    #[test]
    fn what_a_running_node_does_not_take_up_is_said() {
        let at_start = |weft: &str, overridden: &[&str]| AtStart::of(&node(weft).unwrap(), overridden);
        let before = "listeners: { http: \"127.0.0.1:1\" }\n";
        let after = "topic_prefix: x.\nreplay: { speed: 60 }\nhttp: { sqls_max: 8 }\nlog: { fsync: os }\n";
        assert_eq!(
            at_start(before, &[]).differences(&at_start(after, &[])),
            [
                "listeners.http 127.0.0.1:1 → 127.0.0.1:8080",
                "replay.speed max → 60",
                "http.sqls_max 4 → 8",
                "log.fsync always → os"
            ]
        );
        let flags = ["listeners.http", "replay.speed", "log.fsync"];
        assert_eq!(at_start(before, &flags).differences(&at_start(after, &flags)), ["http.sqls_max 4 → 8"]);
        assert!(at_start(before, &[]).differences(&at_start(before, &[])).is_empty());
    }
}
