//! Mode `follow`: a growing file, line by line in its own order. Its watermark is the latest event time sent, so a line
//! that comes with an earlier one may be late: the file's order is what happened.

use std::fs::File;
use std::io::{BufReader, Seek, SeekFrom};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use weft_model::product::{OutputPort, SourceSpec};
use weft_model::progress::{WATERMARK_NONE, WatermarkMs};

use crate::csv::{CsvFile, Identity, Layout, Scanner, hex, sha256_of_prefix};
use crate::error::SourceError;
use crate::position::Position;
use crate::replay::{Due, Feed, Taken};

/// A growing file, read from its end as it was left.
pub(crate) struct Follow {
    path: PathBuf,
    file_name: String,
    digest: String,
    record_bytes_max: usize,
    columns: usize,
    scanner: Scanner<BufReader<File>>,
    /// The same file again, for the hash of what was taken.
    file: File,
    /// Where the first row starts, and its line.
    first: (u64, u64),
    /// The record found by `due`, kept until it is taken.
    found: Option<Found>,
    /// Bytes of it.
    record: Vec<u8>,
    /// SHA-256 of everything before `hashed`.
    prefix: Sha256,
    hashed: u64,
    byte: u64,
    line: u64,
    rows: u64,
    watermark: WatermarkMs,
}

#[derive(Debug, Clone, Copy)]
struct Found {
    line: u64,
    next_byte: u64,
    next_line: u64,
    too_long: bool,
}

impl Follow {
    /// Opens the file and reads its header row, which must be there.
    pub(crate) fn open(
        path: &Path,
        spec: &SourceSpec,
        port: &OutputPort,
        digest: String,
        record_bytes_max: usize,
    ) -> Result<(Layout, Self), SourceError> {
        let file_error = |source| SourceError::File { path: path.to_owned(), source };
        let file = CsvFile::open_plain(path)?;
        let mut scanner = Scanner::new(BufReader::new(file), 0, 1, record_bytes_max);
        let no_header =
            || SourceError::Header { file: spec.file.clone(), reason: "the file has no header row yet".to_owned() };
        let header = scanner.next_record(true).map_err(file_error)?.ok_or_else(no_header)?;
        if !header.terminated {
            return Err(no_header());
        }
        let layout = Layout::new(header.bytes, spec, port)?;
        let first = (header.next_offset, header.next_line);
        let mut follow = Self {
            path: path.to_owned(),
            file: CsvFile::open_plain(path)?,
            first,
            hashed: 0,
            file_name: spec.file.clone(),
            digest,
            record_bytes_max,
            columns: layout.fields,
            scanner,
            found: None,
            record: Vec::new(),
            prefix: Sha256::new(),
            byte: 0,
            line: 1,
            rows: 0,
            watermark: WATERMARK_NONE,
        };
        follow.go_to(first.0, first.1)?;
        Ok((layout, follow))
    }

    /// Reads on at the start of a line.
    fn go_to(&mut self, byte: u64, line: u64) -> Result<(), SourceError> {
        self.file = CsvFile::open_plain(&self.path)?;
        let mut file = CsvFile::open_plain(&self.path)?;
        file.seek(SeekFrom::Start(byte)).map_err(|source| self.file_error(source))?;
        self.scanner = Scanner::new(BufReader::new(file), byte, line, self.record_bytes_max);
        self.scanner.expect_columns(self.columns);
        self.found = None;
        (self.byte, self.line) = (byte, line);
        (self.prefix, self.hashed) = (Sha256::new(), 0);
        Ok(())
    }

    fn file_error(&self, source: std::io::Error) -> SourceError {
        SourceError::File { path: self.path.clone(), source }
    }

    /// Hashes what was taken since the last time.
    fn hash_on(&mut self) -> std::io::Result<()> {
        let mut buffer = vec![0; 64 << 10];
        while self.hashed < self.byte {
            let want = usize::try_from(self.byte - self.hashed).unwrap_or(usize::MAX).min(buffer.len());
            self.file.read_exact_at(&mut buffer[..want], self.hashed)?;
            self.prefix.update(&buffer[..want]);
            self.hashed += want as u64;
        }
        Ok(())
    }
}

impl Feed for Follow {
    fn seek(&mut self, position: &Position) -> Result<(), SourceError> {
        position.check_replay(&self.digest)?;
        if !position.begun() {
            (self.rows, self.watermark) = (0, WATERMARK_NONE);
            return self.go_to(self.first.0, self.first.1);
        }
        let file = CsvFile::open_plain(&self.path)?;
        let size = file.metadata().map_err(|source| SourceError::File { path: self.path.clone(), source })?.len();
        let is = if size < position.size {
            Identity { size, sha256: "shorter than the prefix".to_owned() }
        } else {
            let sha256 = sha256_of_prefix(&file, position.size)
                .map_err(|source| SourceError::File { path: self.path.clone(), source })?;
            Identity { size: position.size, sha256 }
        };
        position.check(&self.file_name, &is, &self.digest)?;
        self.go_to(position.byte, position.line)?;
        self.rows = position.next;
        self.watermark = position.watermark;
        Ok(())
    }

    fn due(&mut self) -> Result<Due, SourceError> {
        if self.found.is_some() {
            return Ok(Due::Row(None));
        }
        let path = &self.path;
        let found =
            self.scanner.next_record(true).map_err(|source| SourceError::File { path: path.clone(), source })?.map(
                |record| {
                    self.record.clear();
                    self.record.extend_from_slice(record.bytes);
                    Found {
                        line: record.line,
                        next_byte: record.next_offset,
                        next_line: record.next_line,
                        too_long: record.too_long,
                    }
                },
            );
        self.found = found;
        Ok(if found.is_some() { Due::Row(None) } else { Due::Nothing })
    }

    fn take(&mut self) -> Result<Taken<'_>, SourceError> {
        let found = self.found.take().expect("`due` said that there is a row");
        (self.byte, self.line) = (found.next_byte, found.next_line);
        self.rows += 1;
        Ok(Taken {
            record: &self.record,
            line: found.line,
            shift_ms: 0,
            watermark: None,
            fault: found
                .too_long
                .then(|| "the record is longer than `record_bytes_max`, or a quote in it never closes".to_owned()),
        })
    }

    fn sent(&mut self, event_ms: i64) {
        self.watermark = self.watermark.max(event_ms);
    }

    fn watermark(&self) -> WatermarkMs {
        self.watermark
    }

    fn fill(&mut self, position: &mut Position) -> Result<(), SourceError> {
        self.hash_on().map_err(|source| self.file_error(source))?;
        position.replay.clone_from(&self.digest);
        position.size = self.byte;
        position.sha256 = hex(&self.prefix.clone().finalize());
        position.next = self.rows;
        position.byte = self.byte;
        position.line = self.line;
        Ok(())
    }

    fn next_event_ms(&self) -> Option<i64> {
        None
    }

    fn total(&self) -> Option<u64> {
        None
    }

    fn verify(&self, position: &Position) -> Result<(), SourceError> {
        let opened = self.file.metadata().map_err(|source| self.file_error(source))?;
        let named = std::fs::metadata(&self.path).map_err(|source| self.file_error(source))?;
        if opened.ino() == named.ino() && named.len() >= self.byte {
            return Ok(());
        }
        Err(SourceError::FileChanged {
            file: self.file_name.clone(),
            position: position.next,
            generation: position.generation,
            was: format!("{} bytes read from it", self.byte),
            is: "been cut or replaced by another file of that name".to_owned(),
        })
    }
}
