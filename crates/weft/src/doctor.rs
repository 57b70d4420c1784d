//! `weft doctor`: is this machine one that Weft can run on? Every check says what it found, by trying it.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use weft_log::Log;
use weft_model::access::AccessSettings;
use weft_model::load::{self, Files, LoadOptions};
use weft_wire::env::Env;

use crate::access;
use crate::kafka::KafkaArgs;
use crate::kafka_check;

/// What to look at.
#[derive(Debug, Clone)]
pub(crate) struct DoctorOptions {
    /// A mesh folder to load.
    pub(crate) folder: Option<PathBuf>,
    /// Where data would lie; default `.weft` in the folder.
    pub(crate) data: Option<PathBuf>,
    /// Where the log would listen, in place of `weft.yaml`.
    pub(crate) kafka_listen: Option<SocketAddr>,
    /// Where HTTP would listen, in place of `weft.yaml`.
    pub(crate) http_listen: Option<String>,
    /// The Kafka that would carry the mesh, in place of those of `weft.yaml`.
    pub(crate) kafka: KafkaArgs,
}

/// How one check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// As it should be.
    Good,
    /// It works, and something about it should be known.
    Note,
    /// `weft up` would fail.
    Bad,
}

/// One check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Check {
    /// What was looked at.
    pub(crate) name: &'static str,
    /// How it ended.
    pub(crate) outcome: Outcome,
    /// What was found.
    pub(crate) found: String,
    /// What to do about it; empty when there is nothing to do.
    pub(crate) try_: String,
}

impl Check {
    pub(crate) fn good(name: &'static str, found: String) -> Self {
        Self { name, outcome: Outcome::Good, found, try_: String::new() }
    }

    fn note(name: &'static str, found: String, try_: &str) -> Self {
        Self { name, outcome: Outcome::Note, found, try_: try_.to_owned() }
    }

    pub(crate) fn bad(name: &'static str, found: String, try_: &str) -> Self {
        Self { name, outcome: Outcome::Bad, found, try_: try_.to_owned() }
    }
}

/// Makes every check; none stops the others.
pub(crate) async fn run(options: &DoctorOptions) -> Vec<Check> {
    let folder = options.folder.clone().or_else(|| Path::new("weft.yaml").exists().then(|| ".".into()));
    // Where weft.yaml is not there or wrong, the check of the mesh says so; the others go by the defaults.
    let node = folder.as_ref().and_then(|folder| load::node(&Files::read_folder(folder).ok()?).ok());
    let (listeners, clusters, access) =
        node.map_or_else(Default::default, |node| (node.listeners, node.clusters, node.access));
    let here = folder.as_deref().unwrap_or_else(|| Path::new("."));
    let outside = kafka_check::all(&options.kafka, &clusters, here).await;
    let kafka = options.kafka_listen.map_or(listeners.kafka, |addr| addr.to_string());
    let http = options.http_listen.clone().unwrap_or(listeners.http);
    let data = options.data.clone().unwrap_or_else(|| here.join(".weft"));
    let (is_embedded, is_safe) = (outside.is_empty(), access.enabled && access.tls.is_some());
    let mut checks = outside;
    if is_embedded {
        checks.push(port("kafka port", &kafka, "kafka", is_safe));
    }
    checks.push(port("http port", &http, "http", is_safe));
    checks.push(keys(&access, here));
    checks.extend(data_dir(&data));
    if is_embedded {
        checks.extend(log_dir(&data.join("log")));
    }
    checks.push(open_files());
    checks.push(memory());
    checks.push(clock(SystemTime::now()));
    checks.push(mesh(folder.as_deref()));
    checks
}

/// Did all checks end well enough for `weft up`?
pub(crate) fn healthy(checks: &[Check]) -> bool {
    checks.iter().all(|check| check.outcome != Outcome::Bad)
}

/// A line per check, and one in sum.
pub(crate) fn render(checks: &[Check], colour: bool) -> String {
    let mut out = String::new();
    let mut line = |text: String| writeln!(out, "{text}").expect("writing to a String does not fail");
    for check in checks {
        let (word, style) = match check.outcome {
            Outcome::Good => ("ok  ", "\x1b[32m"),
            Outcome::Note => ("note", "\x1b[33m"),
            Outcome::Bad => ("BAD ", "\x1b[1;31m"),
        };
        let word = if colour { format!("{style}{word}\x1b[0m") } else { word.to_owned() };
        line(format!("{word}  {:<12} {}", check.name, check.found));
        if !check.try_.is_empty() {
            line(format!("                   try {}", check.try_));
        }
    }
    let bad = checks.iter().filter(|check| check.outcome == Outcome::Bad).count();
    line(if bad == 0 {
        "\n`weft up` should run here".to_owned()
    } else {
        format!("\n{bad} of {} checks are bad", checks.len())
    });
    out
}

/// `key` is that of `listeners` in weft.yaml, and of the flag `--<key>-listen`.
/// With `is_safe`, TLS and keys, others may come.
fn port(name: &'static str, addr: &str, key: &str, is_safe: bool) -> Check {
    let another = format!("choose another with `listeners.{key}` in weft.yaml or --{key}-listen");
    let beyond = || addr.to_socket_addrs().ok()?.find(|addr| !addr.ip().is_loopback());
    if let Some(beyond) = beyond().filter(|_| !is_safe) {
        let found = format!("{beyond} is beyond loopback, and without TLS and keys everybody there could come in");
        return Check::bad(name, found, "switch both on in section `access` of weft.yaml, or listen on 127.0.0.1");
    }
    match TcpListener::bind(addr) {
        Ok(_) => Check::good(name, format!("{addr} is free")),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            let try_ = format!("stop what listens there (`ss -ltnp` names it), or {another}; port 0 takes any");
            Check::bad(name, format!("{addr} is taken"), &try_)
        }
        Err(error) => Check::bad(name, format!("cannot listen on {addr}: {error}"), &another),
    }
}

/// Whether callers need keys, and whether the certificate can be served with.
fn keys(access: &AccessSettings, folder: &Path) -> Check {
    const NAME: &str = "access";
    match &access.tls {
        _ if !access.enabled => Check::good(NAME, "off: whoever uses this machine reads every port".to_owned()),
        None => Check::good(NAME, "on, without TLS: on loopback only".to_owned()),
        Some(files) => match access::check_tls(files, folder) {
            Ok(()) => Check::good(NAME, format!("on, and {} can be served with", files.certificate)),
            Err(findings) => {
                let found = findings.0.into_iter().next().expect("an error has a finding");
                Check::bad(NAME, format!("{}: {}", found.what, found.because), &found.try_)
            }
        },
    }
}

/// Whether the log could open its directory: nobody holds it, and this version knows its format. Nothing is changed.
fn log_dir(dir: &Path) -> Option<Check> {
    const NAME: &str = "log";
    if !dir.exists() {
        return None;
    }
    Some(match Log::inspect(&Env::real(), dir) {
        Ok(()) => Check::good(NAME, format!("{} is free, of a format that this version reads", dir.display())),
        Err(error) => {
            let found = error.diagnostic();
            Check::bad(NAME, found.because, &found.try_)
        }
    })
}

/// Writable, by writing; room; and how long the disk takes to promise.
fn data_dir(data: &Path) -> Vec<Check> {
    const NAME: &str = "data";
    let there = match existing(data) {
        Some(there) => there,
        None => {
            return vec![Check::bad(
                NAME,
                format!("nothing of {} exists", data.display()),
                "choose another with --data",
            )];
        }
    };
    let probe = there.join(format!(".weft-doctor-{}", std::process::id()));
    let times = time_syncs(&probe);
    let removed = fs::remove_file(&probe);
    let times = match times.and_then(|times| removed.map(|()| times)) {
        Ok(times) => times,
        Err(error) => {
            let try_ = "give this user the right to write there, make room, or choose another with --data";
            return vec![Check::bad(NAME, format!("cannot write in {}: {error}", there.display()), try_)];
        }
    };
    let will_be_made = if there == data { "" } else { " (it will be made)" };
    let written = Check::good(NAME, format!("{} can be written{will_be_made}", data.display()));
    vec![written, room(&there), sync_time(times)]
}

/// The directory, or the nearest one above it that is there.
fn existing(path: &Path) -> Option<PathBuf> {
    let path = std::path::absolute(path).ok()?;
    path.ancestors().find(|one| one.exists()).map(Path::to_path_buf)
}

/// Times of small writes with `fdatasync`, sorted.
fn time_syncs(probe: &Path) -> io::Result<Vec<Duration>> {
    const SYNCS: usize = 16;
    let mut file = File::create(probe)?;
    let mut times = Vec::with_capacity(SYNCS);
    for _ in 0..SYNCS {
        let started = Instant::now();
        file.write_all(&[0; 4096])?;
        file.sync_data()?;
        times.push(started.elapsed());
    }
    times.sort();
    Ok(times)
}

fn sync_time(times: Vec<Duration>) -> Check {
    const NAME: &str = "fsync";
    let (median, slowest) = (times[times.len() / 2], times[times.len() - 1]);
    let found = format!("{:.2} ms for 4 kB, slowest of {} {:.2} ms", ms(median), times.len(), ms(slowest));
    if median < Duration::from_micros(10) {
        let try_ =
            "this is memory, or a disk that does not keep its word: after a power cut acknowledged data may be gone";
        return Check::note(NAME, found, try_);
    }
    if median > Duration::from_millis(20) {
        let try_ = "`--fsync interval:100` waits less, and may cost that much after a power cut";
        return Check::note(NAME, found, try_);
    }
    Check::good(NAME, found)
}

fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

fn room(there: &Path) -> Check {
    const NAME: &str = "disk";
    const GIB: u64 = 1 << 30;
    let free = match rustix::fs::statvfs(there) {
        Ok(stat) => stat.f_bavail * stat.f_frsize,
        Err(error) => return Check::note(NAME, format!("cannot tell how much is free: {error}"), ""),
    };
    let found = format!("{} free", gib(free));
    match free {
        0..GIB => Check::bad(NAME, found, "make room: the log and its indexes want 1 GiB at least"),
        _ if free < 5 * GIB => Check::note(NAME, found, "the example takes 1 GiB with a year of flights; watch it"),
        _ => Check::good(NAME, found),
    }
}

fn gib(bytes: u64) -> String {
    const MIB: u64 = 1 << 20;
    let mib = bytes / MIB;
    format!("{}.{} GiB", mib / 1024, mib % 1024 * 10 / 1024)
}

fn open_files() -> Check {
    const NAME: &str = "open files";
    const ENOUGH: u64 = 4096;
    const LEAST: u64 = 512;
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    let try_ = "`ulimit -n 65536` in this shell, or LimitNOFILE= of the service: each connection and segment takes one";
    match limit {
        None => Check::good(NAME, "no limit".to_owned()),
        Some(limit) if limit < LEAST => Check::bad(NAME, format!("at most {limit}"), try_),
        Some(limit) if limit < ENOUGH => Check::note(NAME, format!("at most {limit}"), try_),
        Some(limit) => Check::good(NAME, format!("at most {limit}")),
    }
}

fn memory() -> Check {
    const NAME: &str = "memory";
    const ENOUGH: u64 = 1 << 30;
    let available = fs::read_to_string("/proc/meminfo").ok().and_then(|text| available_bytes(&text));
    match available {
        None => Check::note(NAME, "cannot tell how much is available".to_owned(), ""),
        Some(bytes) if bytes < ENOUGH => Check::note(
            NAME,
            format!("{} available", gib(bytes)),
            "close something: joins over a year of flights want 1 GiB",
        ),
        Some(bytes) => Check::good(NAME, format!("{} available", gib(bytes))),
    }
}

fn available_bytes(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

/// Records carry the time of this clock; one that stands in 1970 would make retention delete them.
fn clock(now: SystemTime) -> Check {
    const NAME: &str = "clock";
    /// 2026-01-01T00:00:00Z: this version was made later.
    const EARLIEST_MS: i64 = 1_767_225_600_000;
    /// 2100-01-01T00:00:00Z.
    const LATEST_MS: i64 = 4_102_444_800_000;
    let now_ms = now.duration_since(UNIX_EPOCH).ok().and_then(|since| i64::try_from(since.as_millis()).ok());
    let found = now_ms.map_or_else(|| "before 1970".to_owned(), weft_model::json::format_timestamp_ms);
    match now_ms {
        Some(now_ms) if (EARLIEST_MS..LATEST_MS).contains(&now_ms) => Check::good(NAME, found),
        _ => Check::bad(NAME, found, "set the clock (`timedatectl set-ntp true`): records are stamped with it"),
    }
}

fn mesh(folder: Option<&Path>) -> Check {
    const NAME: &str = "mesh";
    let folder = match folder {
        Some(folder) => folder,
        None => return Check::note(NAME, "no folder given, and no weft.yaml here".to_owned(), "weft doctor FOLDER"),
    };
    match Files::read_folder(folder).and_then(|files| load::load(&files, &LoadOptions::default())) {
        Ok(mesh) => Check::good(NAME, format!("\"{}\" loads: {} products", mesh.id, mesh.products.len())),
        Err(findings) => {
            let first = findings.0.first().map_or_else(String::new, |first| first.what.clone());
            let try_ = format!("weft validate {}", folder.display());
            Check::bad(NAME, format!("{} findings, the first: {first}", findings.0.len()), &try_)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_is_bad_and_a_free_one_good() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = taken.local_addr().unwrap();
        let addr = addr.to_string();
        let check = port("kafka port", &addr, "kafka", false);
        assert_eq!((check.outcome, check.found), (Outcome::Bad, format!("{addr} is taken")));
        assert!(check.try_.contains("--kafka-listen") && check.try_.contains("listeners.kafka"));
        drop(taken);
        assert_eq!(port("kafka port", &addr, "kafka", false).outcome, Outcome::Good);
        for addr in ["192.0.2.1:80", "0.0.0.0:0", "no address"] {
            assert_eq!(port("http port", addr, "http", false).outcome, Outcome::Bad, "{addr}");
        }
    }

    #[test]
    fn listeners_and_data_are_those_of_the_folder() {
        let dir = tempfile::tempdir().unwrap();
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = taken.local_addr().unwrap();
        fs::write(
            dir.path().join("weft.yaml"),
            format!("mesh: m\nlisteners: {{ kafka: \"127.0.0.1:0\", http: \"{addr}\" }}\n"),
        )
        .unwrap();
        let options = DoctorOptions {
            folder: Some(dir.path().to_path_buf()),
            data: None,
            kafka_listen: None,
            http_listen: None,
            kafka: KafkaArgs::default(),
        };
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let found = |options: &DoctorOptions, name: &str| {
            runtime.block_on(run(options)).into_iter().find(|check| check.name == name).unwrap()
        };
        assert_eq!(found(&options, "kafka port").found, "127.0.0.1:0 is free");
        assert_eq!(found(&options, "http port").found, format!("{addr} is taken"));
        assert!(found(&options, "data").found.starts_with(&dir.path().join(".weft").display().to_string()));
        let flag = DoctorOptions { http_listen: Some("127.0.0.1:0".to_owned()), ..options };
        assert_eq!(found(&flag, "http port").found, "127.0.0.1:0 is free");
    }

    #[test]
    fn the_data_directory_is_tried_and_left_as_it_was() {
        let dir = tempfile::tempdir().unwrap();
        let checks = data_dir(&dir.path().join("a/b"));
        assert_eq!(checks.iter().map(|check| check.name).collect::<Vec<_>>(), ["data", "disk", "fsync"]);
        assert!(checks[0].found.ends_with("can be written (it will be made)"), "{:?}", checks[0]);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0, "nothing is left behind");
        let file = dir.path().join("file");
        fs::write(&file, "").unwrap();
        let under_a_file = data_dir(&file.join("data"));
        assert_eq!((under_a_file.len(), under_a_file[0].outcome), (1, Outcome::Bad), "{under_a_file:?}");
    }

    #[test]
    fn what_times_of_fsync_mean() {
        let outcome = |micros: u64| sync_time(vec![Duration::from_micros(micros); 3]).outcome;
        assert_eq!([1, 500, 19_000, 30_000].map(outcome), [Outcome::Note, Outcome::Good, Outcome::Good, Outcome::Note]);
    }

    #[test]
    fn a_clock_in_1970_is_bad() {
        assert_eq!(clock(UNIX_EPOCH).outcome, Outcome::Bad);
        assert_eq!(clock(UNIX_EPOCH - Duration::from_secs(1)).found, "before 1970");
        assert_eq!(clock(UNIX_EPOCH + Duration::from_secs(1_800_000_000)).outcome, Outcome::Good);
    }

    #[test]
    fn a_folder_that_does_not_load_is_bad() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("weft.yaml"), "mehs: flights\n").unwrap();
        let check = mesh(Some(dir.path()));
        assert_eq!(check.outcome, Outcome::Bad);
        assert!(check.try_.starts_with("weft validate "), "{check:?}");
    }

    #[test]
    fn memory_is_read_from_the_kernels_words() {
        let text = "MemTotal:       32612344 kB\nMemFree:  1 kB\nMemAvailable:    2048 kB\n";
        assert_eq!(available_bytes(text), Some(2 << 20));
        assert_eq!(available_bytes("nothing"), None);
        assert_eq!(gib(5 << 29), "2.5 GiB");
    }

    #[test]
    fn the_report_says_all_and_sums_up() {
        let checks = [
            Check::good("clock", "2026".to_owned()),
            Check::bad("http port", "127.0.0.1:8080 is taken".to_owned(), "another"),
        ];
        let expected = "ok    clock        2026\nBAD   http port    127.0.0.1:8080 is taken\n                   try another\n\n\
                        1 of 2 checks are bad\n";
        assert_eq!(render(&checks, false), expected);
        assert!(!healthy(&checks) && healthy(&checks[..1]));
        assert!(render(&checks, true).contains("\x1b[1;31mBAD"));
    }
}
