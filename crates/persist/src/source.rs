//! Where the reader's bytes come from, and the buffer between.
//!
//! ```text
//! buffer:  │ summed │ consumed, not summed │ delivered, not consumed │ room │
//!          0        summed                 start                     end    BUFFER_LEN
//! ```
//!
//! The checksum is taken over what was consumed, lazily in big pieces. Long strings are read past the buffer, straight to where they
//! are wanted, in steps: memory is only ever allocated in proportion to what has arrived.

use alloc::vec;
use alloc::vec::Vec;

use crc_fast::{CrcAlgorithm, Digest};

pub use crate::error::SourceError;
use crate::error::{Fault, RdbError};

/// How many bytes are asked of the source at once, at least.
pub const BUFFER_LEN: usize = 64 * 1024;
/// The first step of reading a long string; each further step may double what there is.
const STEP_LEN: usize = 1 << 20;

/// A stream of bytes that blocks until there are some.
pub trait Source {
    /// Reads at least one byte into `buffer`, which is not empty, and returns how many. 0 means that the stream has ended.
    ///
    /// # Errors
    /// The stream failed.
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, SourceError>;
}

impl Source for &[u8] {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, SourceError> {
        let (now, later) = self.split_at(self.len().min(buffer.len()));
        buffer[..now.len()].copy_from_slice(now);
        *self = later;
        Ok(now.len())
    }
}

impl<S: Source + ?Sized> Source for &mut S {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, SourceError> {
        (**self).read(buffer)
    }
}

pub(crate) struct Input<S> {
    source: S,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    summed: usize,
    /// The offset in the stream of the buffer's first byte.
    base: u64,
    digest: Option<Digest>,
}

impl<S: Source> Input<S> {
    pub(crate) fn new(source: S, checksum: bool) -> Input<S> {
        let digest = checksum.then(|| Digest::new(CrcAlgorithm::Crc64Redis));
        Input { source, buffer: vec![0; BUFFER_LEN], start: 0, end: 0, summed: 0, base: 0, digest }
    }

    /// How many bytes have been consumed.
    pub(crate) fn offset(&self) -> u64 {
        self.base + self.start as u64
    }

    pub(crate) fn fault(&self, fault: Fault) -> RdbError {
        RdbError { offset: self.offset(), key: None, fault }
    }

    /// The checksum of all bytes consumed, or nothing if it is not wanted.
    pub(crate) fn checksum(&mut self) -> Option<u64> {
        self.settle();
        self.digest.as_ref().map(Digest::finalize)
    }

    pub(crate) fn into_parts(mut self) -> (S, Vec<u8>) {
        self.buffer.truncate(self.end);
        self.buffer.drain(..self.start);
        (self.source, self.buffer)
    }

    fn settle(&mut self) {
        if let Some(digest) = &mut self.digest {
            digest.update(&self.buffer[self.summed..self.start]);
        }
        self.summed = self.start;
    }

    fn deliver(&mut self, from: usize, expected: &'static str) -> Result<(), RdbError> {
        let got = self.source.read(&mut self.buffer[from..]);
        match got {
            Ok(0) => {
                Err(RdbError { offset: self.base + self.end as u64, key: None, fault: Fault::Truncated { expected } })
            }
            Ok(count) => {
                assert!(count <= self.buffer.len() - from, "a source reads no more than it is asked for");
                self.end = from + count;
                Ok(())
            }
            Err(error) => Err(self.fault(Fault::Source(error))),
        }
    }

    /// Makes the next `len` bytes, at most [`BUFFER_LEN`], stand in the buffer.
    #[inline]
    fn fill(&mut self, len: usize, expected: &'static str) -> Result<(), RdbError> {
        if self.end - self.start >= len { Ok(()) } else { self.fill_slowly(len, expected) }
    }

    #[cold]
    fn fill_slowly(&mut self, len: usize, expected: &'static str) -> Result<(), RdbError> {
        self.settle();
        self.buffer.copy_within(self.start..self.end, 0);
        self.base += self.start as u64;
        self.end -= self.start;
        self.start = 0;
        self.summed = 0;
        while self.end < len {
            self.deliver(self.end, expected)?;
        }
        Ok(())
    }

    /// Consumes `len` bytes, at most [`BUFFER_LEN`].
    #[inline]
    pub(crate) fn take(&mut self, len: usize, expected: &'static str) -> Result<&[u8], RdbError> {
        self.fill(len, expected)?;
        self.start += len;
        Ok(&self.buffer[self.start - len..self.start])
    }

    #[inline]
    pub(crate) fn array<const N: usize>(&mut self, expected: &'static str) -> Result<[u8; N], RdbError> {
        Ok(self.take(N, expected)?.try_into().expect("as many bytes as asked for are taken"))
    }

    /// Consumes `len` bytes and appends them to `out`.
    pub(crate) fn append(&mut self, len: usize, expected: &'static str, out: &mut Vec<u8>) -> Result<(), RdbError> {
        let buffered = len.min(self.end - self.start);
        let mut left = len - buffered;
        out.reserve_exact(buffered + left.min(STEP_LEN));
        out.extend_from_slice(&self.buffer[self.start..self.start + buffered]);
        self.start += buffered;
        if left >= BUFFER_LEN {
            self.settle();
            while left >= BUFFER_LEN {
                let room = left.min(out.len().max(STEP_LEN));
                let filled = out.len();
                out.reserve_exact(room);
                // Steps that stay in the cache are summed while they are there.
                out.resize(filled + room.min(STEP_LEN), 0);
                let got = self.source.read(&mut out[filled..]);
                out.truncate(filled + *got.as_ref().unwrap_or(&0));
                match got {
                    Ok(0) => return Err(self.fault(Fault::Truncated { expected })),
                    Ok(count) => {
                        if let Some(digest) = &mut self.digest {
                            digest.update(&out[filled..]);
                        }
                        self.base += count as u64;
                        left -= count;
                    }
                    Err(error) => return Err(self.fault(Fault::Source(error))),
                }
            }
        }
        out.reserve_exact(left);
        let tail = self.take(left, expected)?;
        out.extend_from_slice(tail);
        Ok(())
    }

    /// Consumes `len` bytes.
    pub(crate) fn skip(&mut self, mut len: u64, expected: &'static str) -> Result<(), RdbError> {
        while len > 0 {
            let part = len.min(BUFFER_LEN as u64);
            self.take(part as usize, expected)?;
            len -= part;
        }
        Ok(())
    }
}
