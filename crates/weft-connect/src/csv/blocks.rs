//! Reads records at any offset, through a small cache of blocks: rows in event-time order lie near each other in the
//! file, though not in order.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

const BLOCK_BYTES: usize = 64 << 10;
/// 4 MiB in all.
const SLOTS: usize = 64;

/// Cached access to a file by offset.
#[derive(Debug)]
pub(crate) struct BlockReader {
    file: File,
    /// Block `n` may be in slot `n % SLOTS`.
    slots: Vec<Option<Slot>>,
    /// A record that crosses blocks is put together here.
    crossing: Vec<u8>,
}

#[derive(Debug)]
struct Slot {
    block: u64,
    bytes: Vec<u8>,
}

impl BlockReader {
    /// Reads `file` from wherever it is asked.
    pub(crate) fn new(file: File) -> Self {
        Self { file, slots: (0..SLOTS).map(|_| None).collect(), crossing: Vec::new() }
    }

    /// The bytes at `offset`.
    pub(crate) fn read(&mut self, offset: u64, len: usize) -> io::Result<&[u8]> {
        let block = offset / BLOCK_BYTES as u64;
        let within = usize::try_from(offset % BLOCK_BYTES as u64).expect("less than a block");
        if within + len <= BLOCK_BYTES {
            let bytes = self.block(block)?;
            return bytes.get(within..within + len).ok_or_else(|| io::Error::from(io::ErrorKind::UnexpectedEof));
        }
        let mut crossing = std::mem::take(&mut self.crossing);
        crossing.resize(len, 0);
        let read = self.file.read_exact_at(&mut crossing, offset);
        self.crossing = crossing;
        read?;
        Ok(&self.crossing)
    }

    fn block(&mut self, block: u64) -> io::Result<&[u8]> {
        let at = usize::try_from(block % SLOTS as u64).expect("less than the slots");
        let cached = matches!(&self.slots[at], Some(slot) if slot.block == block);
        if !cached {
            let mut bytes = self.slots[at].take().map_or_else(|| vec![0; BLOCK_BYTES], |slot| slot.bytes);
            bytes.resize(BLOCK_BYTES, 0);
            let mut filled = 0;
            while filled < BLOCK_BYTES {
                let read = self.file.read_at(&mut bytes[filled..], block * BLOCK_BYTES as u64 + filled as u64)?;
                if read == 0 {
                    break;
                }
                filled += read;
            }
            bytes.truncate(filled);
            self.slots[at] = Some(Slot { block, bytes });
        }
        Ok(&self.slots[at].as_ref().expect("filled above").bytes)
    }
}
