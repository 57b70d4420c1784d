//! The outside world as values: clock, disk, randomness.
//!
//! Whatever stores or times something gets an [`Env`] and never asks the operating system itself, so the same code
//! runs on real files ([`Env::real`]) and on a simulated disk that loses power ([`sim::SimDisk`]).

mod real;
pub mod sim;

pub use real::{RealClock, RealDisk, RealRng};

use std::fmt;
use std::future::Future;
use std::io;
use std::ops::Add;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

/// The world a room runs in. Cheap to clone.
#[derive(Clone)]
pub struct Env {
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Files.
    pub disk: Arc<dyn Disk>,
    /// Randomness.
    pub rng: Arc<dyn Rng>,
}

impl Env {
    /// The operating system's clock, files and randomness.
    pub fn real() -> Self {
        Self { clock: Arc::new(RealClock::new()), disk: Arc::new(RealDisk::new()), rng: Arc::new(RealRng) }
    }

    /// A random (version 4) id drawn from this world's randomness.
    pub fn random_uuid(&self) -> Uuid {
        let (high, low) = (self.rng.next_u64(), self.rng.next_u64());
        uuid::Builder::from_random_bytes(((u128::from(high) << 64) | u128::from(low)).to_be_bytes()).into_uuid()
    }
}

impl fmt::Debug for Env {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Env")
    }
}

/// A point of monotonic time: nanoseconds since this clock's own start. Not comparable between clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Moment(pub u64);

impl Moment {
    /// Time from `earlier` to `self`; zero if `earlier` is later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Moment {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)))
    }
}

/// A future that a clock hands out.
pub type Sleep = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Where time comes from.
pub trait Clock: Send + Sync + 'static {
    /// Monotonic now.
    fn now(&self) -> Moment;
    /// Wall clock: milliseconds since the Unix epoch. May jump.
    fn wall_ms(&self) -> i64;
    /// Ready at `deadline`, at once if that is past.
    fn sleep_until(&self, deadline: Moment) -> Sleep;

    /// Ready after `duration`.
    fn sleep(&self, duration: Duration) -> Sleep {
        self.sleep_until(self.now() + duration)
    }
}

/// Where randomness comes from.
pub trait Rng: Send + Sync + 'static {
    /// 64 random bits.
    fn next_u64(&self) -> u64;
}

/// How a file is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OpenMode {
    /// It must exist; read only.
    Read,
    /// It must exist; read and write.
    ReadWrite,
    /// It must not exist; created, read and write.
    CreateNew,
}

/// One entry of a directory.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct DirEntry {
    /// Name without path.
    pub name: String,
    /// Is it a directory?
    pub is_dir: bool,
}

/// A held lock on a file; dropping it releases the lock.
pub trait DiskLock: Send + Sync {}

/// All file I/O of the log. Blocking; paths are absolute or relative to the process.
///
/// What survives a power cut: bytes after [`DiskFile::fdatasync`], names after [`Disk::sync_dir`] of their directory.
pub trait Disk: Send + Sync + 'static {
    /// Opens a file.
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn DiskFile>>;
    /// Renames within a file system, replacing `to`.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file.
    fn unlink(&self, path: &Path) -> io::Result<()>;
    /// Creates a directory and its parents; fine if it exists.
    fn create_dir(&self, path: &Path) -> io::Result<()>;
    /// Removes a directory with everything in it.
    fn remove_dir_all(&self, path: &Path) -> io::Result<()>;
    /// Makes the names in a directory durable.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;
    /// Lists a directory, sorted by name.
    fn list(&self, path: &Path) -> io::Result<Vec<DirEntry>>;
    /// Is there a file or directory of that name?
    fn exists(&self, path: &Path) -> bool;
    /// Bytes an unprivileged process may still write on the file system that holds `path`.
    fn free_space(&self, path: &Path) -> io::Result<u64>;
    /// Takes an exclusive lock on a file (created if needed); `WouldBlock` if someone else holds it.
    fn lock(&self, path: &Path) -> io::Result<Box<dyn DiskLock>>;

    /// A new, empty file. One that has the name already loses it and is not emptied: after a crash in the middle of a
    /// rename it may be known by the other name too.
    fn create_anew(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        match self.open(path, OpenMode::CreateNew) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                self.unlink(path)?;
                self.open(path, OpenMode::CreateNew)
            }
            opened => opened,
        }
    }

    /// The whole content of a file that may not be longer than `limit` bytes.
    fn read(&self, path: &Path, limit: u64) -> io::Result<Vec<u8>> {
        let file = self.open(path, OpenMode::Read)?;
        let length = file.len()?;
        if length > limit {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!("file has {length} bytes, expected at most {limit}"),
            ));
        }
        let mut bytes = vec![0; usize::try_from(length).unwrap_or(usize::MAX)];
        file.read_exact_at(&mut bytes, 0)?;
        Ok(bytes)
    }

    /// Writes `bytes` to a new file, syncs it and moves it over `path`, durably: after a crash the file holds the
    /// old bytes or the new ones.
    fn replace(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let mut temporary = path.as_os_str().to_owned();
        temporary.push(".tmp");
        let temporary = Path::new(&temporary);
        let file = self.create_anew(temporary)?;
        file.write_all_at(&[bytes], 0)?;
        file.fdatasync()?;
        drop(file);
        self.rename(temporary, path)?;
        match path.parent() {
            Some(parent) => self.sync_dir(parent),
            None => Ok(()),
        }
    }
}

/// An open file. Positions are explicit; concurrent use is fine.
pub trait DiskFile: Send + Sync {
    /// Reads up to `buf.len()` bytes at `position`; 0 at the end.
    fn read_at(&self, buf: &mut [u8], position: u64) -> io::Result<usize>;
    /// Writes the parts, one after the other, at `position`. On an error any prefix may have been written.
    fn write_all_at(&self, parts: &[&[u8]], position: u64) -> io::Result<()>;
    /// Makes content and size durable.
    fn fdatasync(&self) -> io::Result<()>;
    /// Cuts or extends (with zeros).
    fn truncate(&self, length: u64) -> io::Result<()>;
    /// Current size.
    fn len(&self) -> io::Result<u64>;

    /// Is it empty?
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }

    /// Fills `buf` or fails with `UnexpectedEof`.
    fn read_exact_at(&self, buf: &mut [u8], position: u64) -> io::Result<()> {
        let mut done = 0;
        while let Some(rest) = buf.get_mut(done..).filter(|rest| !rest.is_empty()) {
            match self.read_at(rest, position + done as u64)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                n => done += n,
            }
        }
        Ok(())
    }

    /// Exactly `length` bytes from `position`, or `UnexpectedEof`.
    fn read_vec(&self, position: u64, length: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; length];
        self.read_exact_at(&mut bytes, position)?;
        Ok(bytes)
    }
}
