//! Bytes in pieces that are sent without being joined.

use std::collections::VecDeque;
use std::io::IoSlice;

use bytes::{Buf, Bytes};

/// An answer in pieces: what was read from a file goes to the socket from the buffer it was read into.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Parts {
    /// None of them is empty.
    parts: VecDeque<Bytes>,
    bytes: usize,
}

impl Parts {
    /// Adds a piece at the end.
    pub fn push(&mut self, part: Bytes) {
        if !part.is_empty() {
            self.bytes += part.len();
            self.parts.push_back(part);
        }
    }

    /// Size of all pieces together, in bytes.
    pub fn len(&self) -> usize {
        self.bytes
    }

    /// Is there nothing?
    pub fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    /// Everything in one piece. Copies, if there are several.
    pub fn joined(mut self) -> Bytes {
        match self.parts.len() {
            0 | 1 => self.parts.pop_front().unwrap_or_default(),
            _ => self.copy_to_bytes(self.bytes),
        }
    }
}

impl From<Bytes> for Parts {
    fn from(bytes: Bytes) -> Self {
        let mut parts = Self::default();
        parts.push(bytes);
        parts
    }
}

impl Buf for Parts {
    fn remaining(&self) -> usize {
        self.bytes
    }

    fn chunk(&self) -> &[u8] {
        self.parts.front().map_or(&[], |part| part)
    }

    fn chunks_vectored<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let mut used = 0;
        for (slice, part) in slices.iter_mut().zip(&self.parts) {
            *slice = IoSlice::new(part);
            used += 1;
        }
        used
    }

    fn advance(&mut self, mut count: usize) {
        assert!(count <= self.bytes, "advanced by {count}, {} bytes remain", self.bytes);
        self.bytes -= count;
        while let Some(front) = self.parts.front_mut() {
            if count < front.len() {
                front.advance(count);
                return;
            }
            count -= front.len();
            self.parts.pop_front();
        }
    }
}
