//! Bytes that a connection has sent and that are not run yet.
//!
//! ```text
//!   |··· run ···|··· still to be run ···|
//!   0           start                   bytes.len()
//! ```
//!
//! A long argument comes in many pieces. The buffer grows in steps of four times what has come, so the announced length decides no
//! allocation, and its last size is what the request needs: a third of the argument is copied from one buffer to the next in all.
//!
//! A client may send a pipeline of hundreds of megabytes while its replies wait, and then it is run piece by piece. What has
//! been run is therefore not moved out at once, but when it is the larger half: each byte is moved once at most.

use std::ops::Deref;

/// A buffer larger than this is given back to the allocator when it is empty.
const KEPT_BYTES_MAX: usize = super::event_loop::SPARE_BYTES_MAX;

/// The sizes of the buffer of an unfinished request: what the request needs, divided by a power of this. The smallest one that holds
/// what has come is taken, so the buffer is never larger than this many times that.
const GROWTH: usize = 4;

/// The bytes, in the order in which they came.
#[derive(Debug, Default)]
pub struct Input {
    bytes: Vec<u8>,
    start: usize,
}

impl Input {
    /// Adds what has come.
    pub fn extend_from_slice(&mut self, more: &[u8]) {
        self.bytes.extend_from_slice(more);
    }

    /// Adds what has come to an unfinished request that is known to need `wanted` bytes at least.
    pub fn extend_towards(&mut self, wanted: usize, more: &[u8]) {
        let len = self.len() + more.len();
        if len < wanted && self.start + len > self.bytes.capacity() {
            let mut room = wanted;
            while room / GROWTH >= len {
                room /= GROWTH;
            }
            self.bytes.reserve_exact(room - self.len());
        }
        self.bytes.extend_from_slice(more);
    }

    /// The first `len` bytes have been run, or all where there are not so many.
    pub fn consume(&mut self, len: usize) {
        self.start = self.start.saturating_add(len).min(self.bytes.len());
        if self.start == self.bytes.len() {
            self.clear();
        } else if self.start > self.bytes.len() / 2 {
            self.bytes.drain(..self.start);
            self.start = 0;
        }
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.start = 0;
        self.bytes.clear();
        if self.bytes.capacity() > KEPT_BYTES_MAX {
            self.bytes = Vec::new();
        }
    }

    /// Bytes of memory that it takes.
    pub fn capacity(&self) -> usize {
        self.bytes.capacity()
    }
}

impl From<Vec<u8>> for Input {
    fn from(bytes: Vec<u8>) -> Self {
        Self { bytes, start: 0 }
    }
}

impl Deref for Input {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        &self.bytes[self.start..]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_is_what_was_not_consumed() {
        let all: Vec<u8> = (0..200_000u32).flat_map(u32::to_le_bytes).collect();
        let (mut input, mut at, mut end) = (Input::default(), 0, 0);
        for step in (1..2000).cycle() {
            let more = (end + 3 * step).min(all.len());
            input.extend_from_slice(&all[end..more]);
            end = more;
            assert_eq!(input[..], all[at..end]);
            at = (at + 2 * step).min(end);
            input.consume(2 * step);
            if at == all.len() {
                break;
            }
        }
        assert!(input.is_empty() && input.capacity() <= KEPT_BYTES_MAX);
    }

    #[test]
    fn the_buffer_of_a_long_argument_grows_with_what_has_come_and_no_further_than_it_needs() {
        let (wanted, piece) = (100_000_000, vec![1; 10_000]);
        let (mut input, mut copied, mut capacity) = (Input::default(), 0, 0);
        while input.len() < wanted {
            let before = input.len();
            input.extend_towards(wanted, &piece);
            if input.capacity() != capacity {
                capacity = input.capacity();
                copied += before;
            }
            let allowed = (input.len() + piece.len()) * GROWTH;
            assert!(capacity <= allowed, "{capacity} for {}", input.len());
        }
        assert!(capacity <= wanted + piece.len(), "{capacity}");
        assert!(copied <= wanted / 3 + wanted / 10, "{copied} bytes were copied");
    }

    #[test]
    fn a_long_pipeline_is_not_moved_for_each_piece_of_it() {
        let mut input = Input::from(vec![1; 1 << 20]);
        let mut moved = 0;
        while !input.is_empty() {
            let before = input.start;
            input.consume(100);
            if input.start < before {
                moved += input.len();
            }
        }
        assert!(moved <= 1 << 20, "{moved}");
    }
}
