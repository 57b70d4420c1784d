//! The four codecs, read as a stream. What a codec allocates is bounded by its own format, except where a length
//! stands in the bytes (snappy): there it is checked against what the bytes can hold at most.

use std::io::{self, Read, Write};

use crate::batch::Codec;

/// First bytes of Xerial's snappy framing: magic, then two version numbers of four bytes.
const XERIAL_MAGIC: [u8; 8] = [0x82, b'S', b'N', b'A', b'P', b'P', b'Y', 0];
const XERIAL_HEADER: usize = 16;

/// Snappy's densest element copies 64 bytes for 3, so a block never holds more than this times its size.
const SNAPPY_RATIO_MAX: usize = 22;

/// Largest window of a zstd frame that is accepted: that of level 22, 128 MiB.
const ZSTD_WINDOW_LOG_MAX: u32 = 27;

/// A reader of inflated bytes.
pub(crate) enum Inflate<'a> {
    Gzip(Box<flate2::bufread::MultiGzDecoder<&'a [u8]>>),
    Snappy(SnappyReader<'a>),
    Lz4(Box<lz4_flex::frame::FrameDecoder<&'a [u8]>>),
    Zstd(Box<zstd::stream::read::Decoder<'static, &'a [u8]>>),
    Plain(&'a [u8]),
}

impl<'a> Inflate<'a> {
    pub(crate) fn new(codec: Codec, bytes: &'a [u8]) -> io::Result<Self> {
        Ok(match codec {
            Codec::None => Self::Plain(bytes),
            Codec::Gzip => Self::Gzip(Box::new(flate2::bufread::MultiGzDecoder::new(bytes))),
            Codec::Snappy => Self::Snappy(SnappyReader::new(bytes)),
            Codec::Lz4 => Self::Lz4(Box::new(lz4_flex::frame::FrameDecoder::new(bytes))),
            Codec::Zstd => {
                let mut decoder = zstd::stream::read::Decoder::with_buffer(bytes)?;
                decoder.window_log_max(ZSTD_WINDOW_LOG_MAX)?;
                Self::Zstd(Box::new(decoder))
            }
        })
    }

    /// 0 at the end.
    pub(crate) fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Gzip(reader) => reader.read(buf),
            Self::Snappy(reader) => reader.read(buf),
            Self::Lz4(reader) => reader.read(buf),
            Self::Zstd(reader) => reader.read(buf),
            Self::Plain(reader) => reader.read(buf),
        }
    }
}

/// Snappy block by block.
pub(crate) struct SnappyReader<'a> {
    rest: &'a [u8],
    xerial: bool,
    block: Vec<u8>,
    position: usize,
}

impl<'a> SnappyReader<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        let xerial = bytes.starts_with(&XERIAL_MAGIC);
        let rest = if xerial { bytes.get(XERIAL_HEADER..).unwrap_or_default() } else { bytes };
        Self { rest, xerial, block: Vec::new(), position: 0 }
    }

    fn next_block(&mut self) -> io::Result<bool> {
        let malformed = || io::Error::from(io::ErrorKind::InvalidData);
        if self.rest.is_empty() {
            return Ok(false);
        }
        let compressed = if self.xerial {
            let (length, rest) = self.rest.split_first_chunk::<4>().ok_or_else(malformed)?;
            let length = usize::try_from(i32::from_be_bytes(*length)).map_err(|_| malformed())?;
            let (block, rest) = rest.split_at_checked(length).ok_or_else(malformed)?;
            self.rest = rest;
            block
        } else {
            std::mem::take(&mut self.rest)
        };
        let length = snap::raw::decompress_len(compressed)?;
        if length > compressed.len().saturating_mul(SNAPPY_RATIO_MAX) {
            return Err(malformed());
        }
        self.block.resize(length, 0);
        let written = snap::raw::Decoder::new().decompress(compressed, &mut self.block)?;
        self.block.truncate(written);
        self.position = 0;
        Ok(true)
    }

    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        while self.position == self.block.len() {
            if !self.next_block()? {
                return Ok(0);
            }
        }
        let mut here = self.block.get(self.position..).unwrap_or_default();
        let read = here.read(buf)?;
        self.position += read;
        Ok(read)
    }
}

/// Compresses, for batches that we build ourselves. Writing to memory does not fail.
pub(crate) fn deflate(codec: Codec, bytes: Vec<u8>) -> Vec<u8> {
    const MEMORY: &str = "writing to memory does not fail";
    match codec {
        Codec::None => bytes,
        Codec::Gzip => {
            let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
            writer.write_all(&bytes).expect(MEMORY);
            writer.finish().expect(MEMORY)
        }
        Codec::Snappy => {
            let mut out = XERIAL_MAGIC.to_vec();
            out.extend_from_slice(&1i32.to_be_bytes());
            out.extend_from_slice(&1i32.to_be_bytes());
            for chunk in bytes.chunks(32 << 10) {
                let block = snap::raw::Encoder::new().compress_vec(chunk).expect("32 KiB is within snappy's limit");
                out.extend_from_slice(&(block.len() as u32).to_be_bytes());
                out.extend_from_slice(&block);
            }
            out
        }
        Codec::Lz4 => {
            let mut writer = lz4_flex::frame::FrameEncoder::new(Vec::new());
            writer.write_all(&bytes).expect(MEMORY);
            writer.finish().expect(MEMORY)
        }
        Codec::Zstd => zstd::stream::encode_all(bytes.as_slice(), 0).expect(MEMORY),
    }
}
