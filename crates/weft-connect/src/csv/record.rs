//! Records of a CSV file: where each begins and ends, and where its fields are. RFC 4180: fields may be quoted, a quote
//! inside is doubled, a quoted field may hold line ends; `\r\n` and `\n` end a record; blank lines are no records.
//!
//! A quote that never closes would swallow the rest of the file. So a record that spans lines must close its quotes
//! within `record_bytes_max` and have as many fields as the header; otherwise its first line alone is taken (and found
//! broken), and reading goes on with the next line.

use std::io::{self, Read};

use memchr::{memchr, memchr_iter, memchr2};

/// One record as it stands in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Record<'a> {
    /// Its bytes, without the line end.
    pub(crate) bytes: &'a [u8],
    /// Where it starts in the file.
    pub(crate) offset: u64,
    /// Where the next one starts.
    pub(crate) next_offset: u64,
    /// Line it starts on, from 1.
    pub(crate) line: u64,
    /// Line the next one starts on.
    pub(crate) next_line: u64,
    /// A line end follows: if not, more of it may come.
    pub(crate) terminated: bool,
    /// Longer than the bound: `bytes` is its beginning.
    pub(crate) too_long: bool,
}

/// One field's place in its record, quotes not counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Field {
    /// First byte.
    pub(crate) start: usize,
    /// One past the last.
    pub(crate) end: usize,
    /// Holds doubled quotes.
    pub(crate) escaped: bool,
}

/// Why a record has no fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SplitError {
    /// A quote was opened and not closed.
    #[error("the quote that opens field {field} is not closed")]
    UnclosedQuote {
        /// Which, from 1.
        field: usize,
    },
    /// Text stands between a closing quote and the next comma.
    #[error("text follows the closing quote of field {field}")]
    TextAfterQuote {
        /// Which, from 1.
        field: usize,
    },
}

/// Finds the fields of a record. `fields` is cleared first.
pub(crate) fn split(record: &[u8], fields: &mut Vec<Field>) -> Result<(), SplitError> {
    fields.clear();
    let mut at = 0;
    loop {
        if record.get(at) != Some(&b'"') {
            let end = memchr(b',', &record[at..]).map_or(record.len(), |comma| at + comma);
            fields.push(Field { start: at, end, escaped: false });
            if end == record.len() {
                return Ok(());
            }
            at = end + 1;
            continue;
        }
        let field = fields.len() + 1;
        let start = at + 1;
        let mut escaped = false;
        let mut search = start;
        let end = loop {
            let Some(quote) = memchr(b'"', &record[search..]) else {
                return Err(SplitError::UnclosedQuote { field });
            };
            let quote = search + quote;
            if record.get(quote + 1) != Some(&b'"') {
                break quote;
            }
            escaped = true;
            search = quote + 2;
        };
        fields.push(Field { start, end, escaped });
        match record.get(end + 1) {
            None => return Ok(()),
            Some(b',') => at = end + 2,
            Some(_) => return Err(SplitError::TextAfterQuote { field }),
        }
    }
}

/// Where the record at the start of `buffer` ends.
enum End {
    /// At this line end.
    Newline(usize),
    /// Beyond the buffer, outside quotes.
    Open,
    /// Beyond the buffer, inside quotes.
    InQuotes,
}

fn find_end(buffer: &[u8]) -> End {
    let Some(newline) = memchr(b'\n', buffer) else {
        return if memchr(b'"', buffer).is_none() { End::Open } else { walk(buffer) };
    };
    if memchr(b'"', &buffer[..newline]).is_none() {
        return End::Newline(newline);
    }
    walk(buffer)
}

/// The slow way, for records with quotes.
fn walk(buffer: &[u8]) -> End {
    let mut at = 0;
    let mut field_starts = true;
    while at < buffer.len() {
        if field_starts && buffer[at] == b'"' {
            at += 1;
            loop {
                let Some(quote) = memchr(b'"', &buffer[at..]) else { return End::InQuotes };
                at += quote + 1;
                if buffer.get(at) != Some(&b'"') {
                    break;
                }
                at += 1;
            }
            field_starts = false;
            continue;
        }
        let Some(found) = memchr2(b',', b'\n', &buffer[at..]) else { return End::Open };
        at += found;
        if buffer[at] == b'\n' {
            return End::Newline(at);
        }
        at += 1;
        field_starts = true;
    }
    End::Open
}

/// Reads record after record with one buffer.
#[derive(Debug)]
pub(crate) struct Scanner<R> {
    input: R,
    buffer: Vec<u8>,
    from: usize,
    to: usize,
    /// Offset in the file of `buffer[from]`.
    offset: u64,
    line: u64,
    /// The input had no more when last asked.
    ended: bool,
    record_bytes_max: usize,
    columns: Option<usize>,
    fields: Vec<Field>,
}

impl<R: Read> Scanner<R> {
    /// Starts at `offset` of the file, which is where `input` stands and where `line` begins.
    pub(crate) fn new(input: R, offset: u64, line: u64, record_bytes_max: usize) -> Self {
        Self {
            input,
            buffer: vec![0; 256 << 10],
            from: 0,
            to: 0,
            offset,
            line,
            ended: false,
            record_bytes_max,
            columns: None,
            fields: Vec::new(),
        }
    }

    /// How many fields a record has: told once the header is known.
    pub(crate) fn expect_columns(&mut self, columns: usize) {
        self.columns = Some(columns);
    }

    /// Line of the next record.
    pub(crate) fn line(&self) -> u64 {
        self.line
    }

    /// The next record, `None` at the end of the input. With `more_may_come`, a record that the input cuts off is left
    /// for the next call.
    pub(crate) fn next_record(&mut self, more_may_come: bool) -> io::Result<Option<Record<'_>>> {
        self.ended = false;
        loop {
            let buffer = &self.buffer[self.from..self.to];
            let (bytes, taken, lines, terminated, too_long) = match find_end(buffer) {
                End::Newline(end) if end > self.record_bytes_max => {
                    let first = memchr(b'\n', buffer).expect("a line end was found");
                    (first.min(self.record_bytes_max), first + 1, 1, true, first > self.record_bytes_max)
                }
                End::Newline(end) => {
                    let lines = 1 + memchr_iter(b'\n', &buffer[..end]).count() as u64;
                    if lines > 1 && !self.has_all_columns(end) {
                        let first = memchr(b'\n', &self.buffer[self.from..self.to]).expect("more than one line");
                        (first, first + 1, 1, true, false)
                    } else {
                        (end, end + 1, lines, true, false)
                    }
                }
                End::Open | End::InQuotes if !self.ended && buffer.len() <= self.record_bytes_max => {
                    self.refill()?;
                    continue;
                }
                _ if buffer.is_empty() => return Ok(None),
                _ if more_may_come && buffer.len() <= self.record_bytes_max => return Ok(None),
                // The last record, without a line end.
                End::Open if buffer.len() <= self.record_bytes_max => {
                    let (len, lines) = (buffer.len(), memchr_iter(b'\n', buffer).count() as u64);
                    if lines > 0 && !self.has_all_columns(len) {
                        let first = memchr(b'\n', &self.buffer[self.from..self.to]).expect("more than one line");
                        (first, first + 1, 1, true, false)
                    } else {
                        (len, len, lines + 1, false, false)
                    }
                }
                // Over the bound, or a quote that the end of the file leaves open: the first line alone.
                _ => match memchr(b'\n', buffer) {
                    Some(first) => {
                        (first.min(self.record_bytes_max), first + 1, 1, true, first > self.record_bytes_max)
                    }
                    None if buffer.len() > self.record_bytes_max => return self.skip_long_line().map(Some),
                    None => (buffer.len(), buffer.len(), 1, false, false),
                },
            };
            let start = self.from;
            let record_at = (self.offset, self.line);
            self.from += taken;
            self.offset += taken as u64;
            self.line += lines;
            let end = start + bytes;
            let end = if end > start && self.buffer[end - 1] == b'\r' { end - 1 } else { end };
            if start == end {
                continue; // a blank line
            }
            return Ok(Some(Record {
                bytes: &self.buffer[start..end],
                offset: record_at.0,
                next_offset: self.offset,
                line: record_at.1,
                next_line: self.line,
                terminated,
                too_long,
            }));
        }
    }

    fn has_all_columns(&mut self, end: usize) -> bool {
        let Some(columns) = self.columns else { return true };
        let record = &self.buffer[self.from..self.from + end];
        let record = record.strip_suffix(b"\r").unwrap_or(record);
        split(record, &mut self.fields).is_ok() && self.fields.len() == columns
    }

    /// A line longer than the bound: its beginning is kept, the rest is read and dropped up to the line end.
    fn skip_long_line(&mut self) -> io::Result<Record<'_>> {
        let (offset, line) = (self.offset, self.line);
        let kept = self.record_bytes_max;
        self.buffer.copy_within(self.from..self.to, 0);
        self.to -= self.from;
        self.from = 0;
        let mut skipped = self.to as u64;
        let mut rest = vec![0; 64 << 10];
        let terminated = loop {
            let read = self.input.read(&mut rest)?;
            if read == 0 {
                self.to = kept;
                break false;
            }
            if let Some(newline) = memchr(b'\n', &rest[..read]) {
                skipped += newline as u64 + 1;
                let left = &rest[newline + 1..read];
                self.buffer.resize(self.buffer.len().max(kept + left.len()), 0);
                self.buffer[kept..kept + left.len()].copy_from_slice(left);
                self.to = kept + left.len();
                break true;
            }
            skipped += read as u64;
        };
        self.from = kept;
        self.offset = offset + skipped;
        self.line = line + 1;
        Ok(Record {
            bytes: &self.buffer[..kept],
            offset,
            next_offset: self.offset,
            line,
            next_line: self.line,
            terminated,
            too_long: true,
        })
    }

    fn refill(&mut self) -> io::Result<()> {
        if self.from > 0 {
            self.buffer.copy_within(self.from..self.to, 0);
            self.to -= self.from;
            self.from = 0;
        }
        if self.to == self.buffer.len() {
            // Grows to the bound and one read beyond it, never further.
            self.buffer.resize(self.buffer.len() * 2, 0);
        }
        loop {
            match self.input.read(&mut self.buffer[self.to..]) {
                Ok(0) => {
                    self.ended = true;
                    return Ok(());
                }
                Ok(read) => {
                    self.to += read;
                    return Ok(());
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}
