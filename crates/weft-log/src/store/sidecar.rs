//! The small files beside the log: a magic, a version, a checksum, then fields in big-endian order.

use std::path::Path;

use super::StoreError;

/// Newest version that we write and read, for all sidecar files.
const VERSION: u32 = 1;

/// Magic 4, version 4, CRC-32C 4.
const PREFIX: usize = 12;

/// Collects fields.
pub(super) struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    pub(super) fn new(magic: [u8; 4]) -> Self {
        let mut bytes = magic.to_vec();
        bytes.extend_from_slice(&VERSION.to_be_bytes());
        bytes.extend_from_slice(&[0; 4]);
        Self { bytes }
    }

    pub(super) fn i16(&mut self, value: i16) {
        self.bytes.extend_from_slice(&value.to_be_bytes());
    }

    pub(super) fn i32(&mut self, value: i32) {
        self.bytes.extend_from_slice(&value.to_be_bytes());
    }

    pub(super) fn i64(&mut self, value: i64) {
        self.bytes.extend_from_slice(&value.to_be_bytes());
    }

    pub(super) fn u64(&mut self, value: u64) {
        self.bytes.extend_from_slice(&value.to_be_bytes());
    }

    pub(super) fn count(&mut self, count: usize) {
        self.u64(count as u64);
    }

    /// Sets the checksum over everything so far; what is appended later is not covered.
    pub(super) fn seal(mut self) -> Vec<u8> {
        let (prefix, body) = self.bytes.split_at_mut(PREFIX);
        prefix.get_mut(8..).expect("prefix has 12 bytes").copy_from_slice(&crc32c::crc32c(body).to_be_bytes());
        self.bytes
    }
}

/// Why a sidecar file is not used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unusable {
    /// Checksum or shape.
    Damaged,
    /// Of a newer version.
    Newer(u32),
}

impl Unusable {
    /// For files that are no caches.
    pub(super) fn at(self, path: &Path) -> StoreError {
        match self {
            Self::Damaged => {
                StoreError::Damaged { path: path.to_path_buf(), position: 0, what: "checksum does not match" }
            }
            Self::Newer(found) => StoreError::NewerFormat { path: path.to_path_buf(), found, known: VERSION },
        }
    }
}

/// Reads fields; every read past the end is `Damaged`.
pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Checks magic, version and checksum. `sealed` is how many of the bytes the checksum covers.
    pub(super) fn open(magic: [u8; 4], bytes: &'a [u8]) -> Result<Self, Unusable> {
        let (prefix, body) = bytes.split_at_checked(PREFIX).ok_or(Unusable::Damaged)?;
        let mut reader = Self { rest: prefix };
        if reader.take(4)? != magic {
            return Err(Unusable::Damaged);
        }
        let version = reader.i32()?.cast_unsigned();
        if version > VERSION {
            return Err(Unusable::Newer(version));
        }
        if reader.i32()?.cast_unsigned() != crc32c::crc32c(body) {
            return Err(Unusable::Damaged);
        }
        Ok(Self { rest: body })
    }

    fn take(&mut self, n: usize) -> Result<&'a [u8], Unusable> {
        let (head, tail) = self.rest.split_at_checked(n).ok_or(Unusable::Damaged)?;
        self.rest = tail;
        Ok(head)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Unusable> {
        self.take(N)?.try_into().map_err(|_| Unusable::Damaged)
    }

    pub(super) fn i16(&mut self) -> Result<i16, Unusable> {
        Ok(i16::from_be_bytes(self.array()?))
    }

    pub(super) fn i32(&mut self) -> Result<i32, Unusable> {
        Ok(i32::from_be_bytes(self.array()?))
    }

    pub(super) fn i64(&mut self) -> Result<i64, Unusable> {
        Ok(i64::from_be_bytes(self.array()?))
    }

    pub(super) fn u64(&mut self) -> Result<u64, Unusable> {
        Ok(u64::from_be_bytes(self.array()?))
    }

    /// A count of things of at least `least` bytes each.
    pub(super) fn count(&mut self, least: usize) -> Result<usize, Unusable> {
        let count = usize::try_from(self.u64()?).map_err(|_| Unusable::Damaged)?;
        if count.saturating_mul(least) > self.rest.len() {
            return Err(Unusable::Damaged);
        }
        Ok(count)
    }
}
