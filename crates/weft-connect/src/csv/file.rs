//! The file behind a source: found, hashed, unpacked if need be.
//!
//! A compressed file cannot be read at an offset, so it is unpacked once into the data directory, under the hash of the
//! compressed bytes: `sources/<domain>.<product>/<sha256>.csv`. A restart finds it there. If the compressed file ends
//! early or fails its checksum, what came out of it is kept, and `<sha256>.broken` says why: the replay ends with that
//! as an error.

use std::fs::{self, File};
use std::io::{self, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use flate2::read::MultiGzDecoder;
use sha2::{Digest, Sha256};
use weft_model::name::ProductId;

use crate::error::SourceError;

/// What makes a file the same file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Identity {
    /// Bytes, as they lie on disk (compressed ones for a compressed file).
    pub(crate) size: u64,
    /// SHA-256 of these bytes, in hexadecimal.
    pub(crate) sha256: String,
}

impl Identity {
    /// For messages: `8258905 bytes, sha256 1f2e3d4c…`.
    pub(crate) fn short(&self) -> String {
        format!("{} bytes, sha256 {}…", self.size, self.sha256.get(..8).unwrap_or_default())
    }
}

/// An open file of plain CSV.
#[derive(Debug)]
pub(crate) struct CsvFile {
    /// The plain bytes.
    pub(crate) plain: File,
    /// The file as the user knows it.
    pub(crate) path: PathBuf,
    /// What it was when it was opened.
    pub(crate) identity: Identity,
    /// Why unpacking ended early.
    pub(crate) broken: Option<String>,
    /// To see a change while it is read; `None` for a copy of our own.
    changed: Option<SystemTime>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Packing {
    None,
    Gzip,
    Zip,
}

fn packing(path: &Path) -> Packing {
    match path.extension().and_then(|extension| extension.to_str()) {
        Some(extension) if extension.eq_ignore_ascii_case("gz") => Packing::Gzip,
        Some(extension) if extension.eq_ignore_ascii_case("zip") => Packing::Zip,
        _ => Packing::None,
    }
}

/// Where `file` of a `source.yaml` is.
pub(crate) fn resolve(root: &Path, file: &str) -> PathBuf {
    root.join(file)
}

impl CsvFile {
    /// Opens, hashes and, if need be, unpacks it.
    pub(crate) fn open(path: &Path, data_dir: &Path, product: &ProductId) -> Result<Self, SourceError> {
        let file_error = |source| SourceError::File { path: path.to_owned(), source };
        let file = File::open(path).map_err(file_error)?;
        let metadata = file.metadata().map_err(file_error)?;
        if metadata.is_dir() {
            return Err(file_error(io::Error::from(io::ErrorKind::IsADirectory)));
        }
        let identity =
            Identity { size: metadata.len(), sha256: sha256_of_prefix(&file, metadata.len()).map_err(file_error)? };
        let changed = metadata.modified().ok();
        let (plain, broken, changed) = match packing(path) {
            Packing::None => (file, None, changed),
            packing => {
                let spool = Spool::of(data_dir, product, &identity);
                if !spool.plain.exists() {
                    spool.unpack(path, packing)?;
                }
                let (plain, broken) = spool.open()?;
                (plain, broken, None) // the copy stays what it is
            }
        };
        Ok(Self { plain, path: path.to_owned(), identity, broken, changed })
    }

    /// Opens a plain file to follow: it need not stay as it is.
    pub(crate) fn open_plain(path: &Path) -> Result<File, SourceError> {
        if packing(path) != Packing::None {
            return Err(SourceError::Spec {
                reason: format!("mode `follow` reads plain files, and \"{}\" is compressed", path.display()),
            });
        }
        File::open(path).map_err(|source| SourceError::File { path: path.to_owned(), source })
    }

    /// Is the file on disk no longer the one that was opened? A guess by size and time, made often; the hash is taken at starts.
    pub(crate) fn was_changed(&self) -> bool {
        if self.changed.is_none() {
            return false;
        }
        match fs::metadata(&self.path) {
            Ok(metadata) => metadata.len() != self.identity.size || metadata.modified().ok() != self.changed,
            Err(_) => true,
        }
    }
}

/// SHA-256 of the first `bytes` bytes, in hexadecimal.
pub(crate) fn sha256_of_prefix(file: &File, bytes: u64) -> io::Result<String> {
    use std::os::unix::fs::FileExt;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 256 << 10];
    let mut at = 0;
    while at < bytes {
        let want = usize::try_from(bytes - at).unwrap_or(usize::MAX).min(buffer.len());
        let read = file.read_at(&mut buffer[..want], at)?;
        if read == 0 {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof));
        }
        hash.update(&buffer[..read]);
        at += read as u64;
    }
    Ok(hex(&hash.finalize()))
}

/// Lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("writing to a String does not fail");
        text
    })
}

struct Spool {
    folder: PathBuf,
    plain: PathBuf,
    broken: PathBuf,
    part: PathBuf,
}

impl Spool {
    fn of(data_dir: &Path, product: &ProductId, identity: &Identity) -> Self {
        let folder = data_dir.join("sources").join(product.to_string());
        let name = |extension: &str| folder.join(format!("{}.{extension}", identity.sha256));
        Self { plain: name("csv"), broken: name("broken"), part: name("part"), folder }
    }

    fn open(&self) -> Result<(File, Option<String>), SourceError> {
        let plain =
            File::open(&self.plain).map_err(|source| SourceError::Spool { path: self.plain.clone(), source })?;
        match fs::read_to_string(&self.broken) {
            Ok(reason) => Ok((plain, Some(reason))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok((plain, None)),
            Err(source) => Err(SourceError::Spool { path: self.broken.clone(), source }),
        }
    }

    /// Unpacks under another name, syncs, renames: a copy under its final name is whole.
    fn unpack(&self, from: &Path, packing: Packing) -> Result<(), SourceError> {
        let spool = |path: &Path| {
            let path = path.to_owned();
            move |source| SourceError::Spool { path, source }
        };
        // Copies of older versions of the file are of no use to anybody.
        if self.folder.exists() {
            fs::remove_dir_all(&self.folder).map_err(spool(&self.folder))?;
        }
        fs::create_dir_all(&self.folder).map_err(spool(&self.folder))?;
        let file = File::open(from).map_err(|source| SourceError::File { path: from.to_owned(), source })?;
        let mut part = File::create(&self.part).map_err(spool(&self.part))?;
        let broken = match packing {
            Packing::Gzip => {
                let mut unpacked = MultiGzDecoder::new(BufReader::with_capacity(64 << 10, file));
                if unpacked.header().is_none() {
                    return Err(SourceError::Archive {
                        path: from.to_owned(),
                        reason: "it does not start as gzip does".to_owned(),
                    });
                }
                copy(&mut unpacked, &mut part).map_err(spool(&self.part))?
            }
            Packing::Zip => {
                let archive = |reason: String| SourceError::Archive { path: from.to_owned(), reason };
                let mut zip = zip::ZipArchive::new(BufReader::new(file))
                    .map_err(|error| archive(format!("it is no whole zip: {error}")))?;
                let members: Vec<usize> = (0..zip.len())
                    .filter(|&at| zip.name_for_index(at).is_some_and(|name| !name.ends_with('/')))
                    .collect();
                let [member] = members[..] else {
                    return Err(archive(format!("it holds {} files, a source has one", members.len())));
                };
                let mut unpacked = zip.by_index(member).map_err(|error| archive(error.to_string()))?;
                copy(&mut unpacked, &mut part).map_err(spool(&self.part))?
            }
            Packing::None => unreachable!("plain files are read where they are"),
        };
        if let Some(reason) = broken {
            let mut note = File::create(&self.broken).map_err(spool(&self.broken))?;
            note.write_all(reason.as_bytes()).and_then(|()| note.sync_all()).map_err(spool(&self.broken))?;
        }
        part.sync_all().map_err(spool(&self.part))?;
        fs::rename(&self.part, &self.plain).map_err(spool(&self.plain))
    }
}

/// Copies until the end. `Ok(Some(reason))` if the reader failed before it; `Err` if the writer did.
fn copy(from: &mut impl Read, to: &mut impl Write) -> io::Result<Option<String>> {
    let mut buffer = vec![0; 256 << 10];
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return Ok(None),
            Ok(read) => to.write_all(&buffer[..read])?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                return Ok(Some("the compressed file ends early".to_owned()));
            }
            Err(error) => return Ok(Some(format!("the compressed file is damaged: {error}"))),
        }
    }
}
