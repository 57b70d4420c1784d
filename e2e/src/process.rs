//! A process of ours: its output is kept, its waits end, and it dies with the value that holds it.

use std::fs::{self, File};
use std::io::Write;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

const POLL: Duration = Duration::from_millis(5);
const SHOWN_LINES: usize = 40;

/// A running program, and the two files that hold what it prints.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: PathBuf,
    stderr: PathBuf,
}

impl Process {
    /// Starts `command`; what it prints goes to `<folder>/<name>.out` and `.err`.
    pub fn start(name: &str, mut command: Command, folder: &Path) -> Result<Self> {
        fs::create_dir_all(folder)?;
        let stdout = folder.join(format!("{name}.out"));
        let stderr = folder.join(format!("{name}.err"));
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(File::create(&stdout)?)
            .stderr(File::create(&stderr)?)
            .spawn()
            .with_context(|| format!("cannot start {command:?}"))?;
        let stdin = child.stdin.take();
        Ok(Self { name: name.to_owned(), child, stdin, stdout, stderr })
    }

    /// The process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it has printed on standard output so far.
    #[must_use]
    pub fn stdout(&self) -> String {
        read(&self.stdout)
    }

    /// What it has printed on standard error so far.
    #[must_use]
    pub fn stderr(&self) -> String {
        read(&self.stderr)
    }

    /// Tells it that no more input comes.
    pub fn close_stdin(&mut self) {
        self.stdin = None;
    }

    /// Waits until `found` makes something of what was printed; fails when the process ends or time is up.
    pub fn wait_until<T>(
        &mut self,
        what: &str,
        limit: Duration,
        mut found: impl FnMut(&str) -> Option<T>,
    ) -> Result<T> {
        let deadline = Instant::now() + limit;
        loop {
            let ended = self.child.try_wait()?;
            if let Some(value) = found(&self.stdout()) {
                return Ok(value);
            }
            if let Some(status) = ended {
                bail!("{} ended ({status}) before {what}{}", self.name, self.tail());
            }
            if Instant::now() > deadline {
                bail!("{}: {what} did not happen in {limit:?}{}", self.name, self.tail());
            }
            thread::sleep(POLL);
        }
    }

    /// Waits for its end and hands back the status.
    pub fn wait(&mut self, limit: Duration) -> Result<ExitStatus> {
        let deadline = Instant::now() + limit;
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            if Instant::now() > deadline {
                let tail = self.tail();
                self.kill();
                bail!("{} did not end in {limit:?}{tail}", self.name);
            }
            thread::sleep(POLL);
        }
    }

    /// Waits for its end, which must be a success, and hands back what it printed.
    pub fn finish(&mut self, limit: Duration) -> Result<String> {
        let status = self.wait(limit)?;
        if !status.success() {
            bail!("{} failed: {status}{}", self.name, self.tail());
        }
        Ok(self.stdout())
    }

    /// `kill -9`, and waits until it is gone.
    pub fn kill(&mut self) {
        // An error here means that it is gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// SIGINT, what Ctrl-C sends.
    pub fn interrupt(&self) -> Result<()> {
        self.signal(Signal::INT)
    }

    /// Stops its clock, as a machine does that is out of memory or under a debugger.
    pub fn pause(&self) -> Result<()> {
        self.signal(Signal::STOP)
    }

    /// Lets it run on.
    pub fn resume(&self) -> Result<()> {
        self.signal(Signal::CONT)
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        let id = i32::try_from(self.child.id()).context("a process id")?;
        let id = Pid::from_raw(id).context("a process id is not zero")?;
        kill_process(id, signal).with_context(|| format!("cannot send {signal:?} to {}", self.name))
    }

    /// Peak resident memory so far, in bytes.
    pub fn memory_peak_bytes(&self) -> Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.id()))?;
        let line =
            status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("no VmHWM in the process status")?;
        let kib: u64 = line.trim().trim_end_matches("kB").trim().parse()?;
        Ok(kib * 1024)
    }

    /// Processor time used so far by all its threads.
    pub fn cpu(&self) -> Result<Duration> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.id()))?;
        // The second field is the program's name in parentheses and may hold spaces; count from behind it.
        let (_, fields) = stat.rsplit_once(')').context("no name in the process stat")?;
        let fields: Vec<&str> = fields.split_whitespace().collect();
        let ticks = |index: usize| -> Result<u64> { Ok(fields.get(index).context("a short process stat")?.parse()?) };
        // utime and stime are fields 14 and 15 of the whole line; a tick is 10 ms on every Linux we know.
        Ok(Duration::from_millis((ticks(11)? + ticks(12)?) * 10))
    }

    /// The end of what it printed, for a message about a failure.
    #[must_use]
    pub fn tail(&self) -> String {
        let mut text = String::new();
        for (label, content) in [("stdout", self.stdout()), ("stderr", self.stderr())] {
            let lines: Vec<&str> = content.lines().collect();
            let from = lines.len().saturating_sub(SHOWN_LINES);
            if !lines.is_empty() {
                text.push_str(&format!("\n--- {} {label}, last lines\n{}", self.name, lines[from..].join("\n")));
            }
        }
        text
    }

    /// Writes a line to its standard input.
    pub fn say(&mut self, line: &str) -> Result<()> {
        let stdin = self.stdin.as_mut().context("standard input is closed")?;
        writeln!(stdin, "{line}")?;
        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        if thread::panicking() {
            eprintln!("{}", self.tail());
        }
    }
}

/// A port of the loopback address that was free a moment ago.
pub fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

fn read(path: &Path) -> String {
    // A program may print bytes that are no UTF-8, and the file may end in the middle of a character.
    fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
}
