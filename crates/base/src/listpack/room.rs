//! The allocation of a listpack: the listpack's bytes with unused room before or after them.
//!
//! Why: lists are pushed to and popped from at both ends. Without room at the front each of these would move the whole
//! listpack; with it only the six bytes of the header move.
//!
//! ```text
//!   start 0:   ┌ listpack ──────────────┬ unused ─┐     the first word is the listpack's size, below 2^31
//!              └────────────────────────┴─────────┘
//!   start ≥ 4: ┌ 1<<31 | start ┬ unused ┬ listpack ────────┬ unused ┐
//!              └───────────────┴────────┴──────────────────┴────────┘
//! ```
//!
//! The handle is two words and knows nothing of its own: size and start are read from the bytes. These are the listpack's own, or
//! shared with others until one of them writes ([`Buffer`]).
//!
//! Limits: an unused room of one to three bytes at the front cannot be told; such a start is not chosen.

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;

use core::ops::Deref;

use super::{COUNT_UNKNOWN, END, HEADER_LEN};

/// What a listpack's bytes are kept in.
pub trait Buffer: Deref<Target = [u8]> {
    /// How many bytes its allocation has beside them.
    const OVERHEAD: usize;

    /// So many bytes, all of them zero.
    fn zeroed(len: usize) -> Self;

    /// A copy of these bytes.
    fn copy_of(bytes: &[u8]) -> Self;

    /// The bytes, to be changed. Whoever shared them keeps them as they are.
    fn bytes_mut(&mut self) -> &mut [u8];

    /// Makes it longer or shorter at its end; new bytes are zero.
    fn resize(&mut self, len: usize);

    /// Another handle of the same bytes; `None` if they cannot be shared.
    fn shared(&self) -> Option<Self>
    where
        Self: Sized;
}

impl Buffer for Box<[u8]> {
    const OVERHEAD: usize = 0;

    fn zeroed(len: usize) -> Self {
        vec![0; len].into_boxed_slice()
    }

    fn copy_of(bytes: &[u8]) -> Self {
        bytes.into()
    }

    #[inline]
    fn bytes_mut(&mut self) -> &mut [u8] {
        self
    }

    fn resize(&mut self, len: usize) {
        let mut bytes = core::mem::take(self).into_vec();
        bytes.reserve_exact(len.saturating_sub(bytes.len()));
        bytes.resize(len, 0);
        *self = bytes.into_boxed_slice();
    }

    fn shared(&self) -> Option<Self> {
        None
    }
}

/// Set in the first word if it gives the start and not the size.
const GAP: u32 = 1 << 31;
/// The bytes of the word that gives the start, and so the least unused room there can be before a listpack.
pub const GAP_MIN: usize = 4;
/// Rooms smaller than this are not given back in part.
const SHRINK_MIN: usize = 128;

/// A listpack's bytes and the unused room around them.
pub(super) struct Room<B>(B);

impl<B: Buffer> Clone for Room<B> {
    /// A copy, where it has to be one, has no unused room.
    fn clone(&self) -> Self {
        Room(self.0.shared().unwrap_or_else(|| B::copy_of(self.bytes())))
    }
}

/// Rounds a capacity up so that the allocation has one of eight sizes per doubling: growing byte by byte moves it seldom and wastes
/// at most an eighth.
fn roomy<B: Buffer>(len: usize) -> usize {
    let size = len + B::OVERHEAD;
    let step = (size.next_power_of_two() / 16).max(8);
    size.next_multiple_of(step) - B::OVERHEAD
}

impl Room<Box<[u8]>> {
    /// Takes over a listpack's bytes, whose header gives their size.
    pub(super) fn from_bytes(bytes: Vec<u8>) -> Self {
        Room(bytes.into_boxed_slice())
    }

    /// Gives the listpack's bytes away.
    pub(super) fn into_bytes(self) -> Vec<u8> {
        if self.start() > 0 {
            return self.bytes().to_vec();
        }
        let len = self.len();
        let mut bytes = self.0.into_vec();
        bytes.truncate(len);
        bytes
    }
}

impl<B: Buffer> Room<B> {
    /// Room of at least `capacity` bytes with an empty listpack in it.
    pub(super) fn with_capacity(capacity: usize) -> Self {
        let mut room = B::zeroed(capacity.max(HEADER_LEN + 1));
        let bytes = room.bytes_mut();
        bytes[0] = HEADER_LEN as u8 + 1;
        bytes[HEADER_LEN] = END;
        Room(room)
    }

    /// A copy of a listpack's bytes.
    pub(super) fn copy_of(bytes: &[u8]) -> Self {
        Room(B::copy_of(bytes))
    }

    #[inline]
    fn word(&self, at: usize) -> u32 {
        u32::from_le_bytes(*self.0[at..].first_chunk().expect("a listpack has a header"))
    }

    #[inline]
    fn start(&self) -> usize {
        let word = self.word(0);
        if word & GAP == 0 { 0 } else { (word & !GAP) as usize }
    }

    /// The size of the listpack in bytes.
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.word(self.start()) as usize
    }

    /// The size of the room in bytes.
    #[inline]
    pub(super) fn capacity(&self) -> usize {
        self.0.len()
    }

    /// Where the allocation is.
    #[inline]
    pub(super) fn address(&self) -> *const u8 {
        self.0.as_ptr()
    }

    /// The listpack's bytes.
    #[inline]
    pub(super) fn bytes(&self) -> &[u8] {
        let start = self.start();
        &self.0[start..start + self.word(start) as usize]
    }

    /// The listpack's bytes to be changed; the size in the header is not to be.
    #[inline]
    pub(super) fn bytes_mut(&mut self) -> &mut [u8] {
        let (start, len) = (self.start(), self.len());
        &mut self.0.bytes_mut()[start..start + len]
    }

    /// Makes `bytes` bytes of room before the listpack, and none behind it.
    pub(super) fn reserve_front(&mut self, bytes: usize) {
        let (start, len) = (bytes.max(GAP_MIN), self.len());
        let mut larger = B::zeroed(start + len);
        larger.bytes_mut()[start..].copy_from_slice(self.bytes());
        self.0 = larger;
        set_size(self.0.bytes_mut(), start, len);
    }

    /// Makes `bytes` bytes of room behind the listpack, and none before it.
    pub(super) fn reserve_back(&mut self, bytes: usize) {
        let (start, len) = (self.start(), self.len());
        if start > 0 {
            self.0.bytes_mut().copy_within(start..start + len, 0);
        }
        self.0.resize(len + bytes);
    }

    /// Gives unused room back.
    pub(super) fn shrink_to_fit(&mut self) {
        if self.capacity() > self.len() {
            self.0 = B::copy_of(self.bytes());
        }
    }

    /// The listpack's size and the number of its entries, as its header gives them.
    #[inline]
    fn header(&self, start: usize) -> (usize, u16) {
        let header: &[u8; HEADER_LEN] = self.0[start..].first_chunk().expect("a listpack has a header");
        let [a, b, c, d, e, f] = *header;
        (u32::from_le_bytes([a, b, c, d]) as usize, u16::from_le_bytes([e, f]))
    }

    /// Makes one more entry of `size` bytes at the end, within the unused room, and gives its place to be written.
    /// Nothing where that room is too small, or the header cannot count the entry.
    #[inline]
    pub(super) fn add_back(&mut self, size: usize) -> Option<&mut [u8]> {
        let start = self.start();
        let (len, count) = self.header(start);
        if start + len + size > self.capacity() || count >= COUNT_UNKNOWN - 1 {
            return None;
        }
        let room = self.0.bytes_mut();
        set_header(room, start, len + size, count + 1);
        let place = &mut room[start + len - 1..start + len + size];
        place[size] = END;
        Some(&mut place[..size])
    }

    /// Makes one more entry of `size` bytes at the front, within the unused room, and gives its place to be written.
    /// Nothing where that room is too small, or the header cannot count the entry.
    #[inline]
    pub(super) fn add_front(&mut self, size: usize) -> Option<&mut [u8]> {
        let start = self.start();
        let new_start = start.checked_sub(size).filter(|&start| start == 0 || start >= GAP_MIN)?;
        let (len, count) = self.header(start);
        if count >= COUNT_UNKNOWN - 1 {
            return None;
        }
        let room = self.0.bytes_mut();
        set_header(room, new_start, len + size, count + 1);
        Some(&mut room[new_start + HEADER_LEN..][..size])
    }

    /// Takes away the first entry, whose size is given, where that is no more than a new header. Says whether it did.
    #[inline]
    pub(super) fn take_front(&mut self, size: usize) -> bool {
        let start = self.start();
        let (len, count) = self.header(start);
        if start + size < GAP_MIN || count == COUNT_UNKNOWN || self.is_wasteful(len - size) {
            return false;
        }
        set_header(self.0.bytes_mut(), start + size, len - size, count - 1);
        true
    }

    /// Takes away the last entry, whose size is given, where that is no more than a new header. Says whether it did.
    #[inline]
    pub(super) fn take_back(&mut self, size: usize) -> bool {
        let start = self.start();
        let (len, count) = self.header(start);
        if count == COUNT_UNKNOWN || self.is_wasteful(len - size) {
            return false;
        }
        let room = self.0.bytes_mut();
        set_header(room, start, len - size, count - 1);
        room[start + len - size - 1] = END;
        true
    }

    /// Whether the allocation is much too large for a listpack of so many bytes.
    #[inline]
    fn is_wasteful(&self, len: usize) -> bool {
        self.capacity() >= SHRINK_MIN && len < self.capacity() / 2
    }

    /// Replaces the bytes `from..to` by `size` bytes whose content is still to be written, and sets the size in the
    /// header. Moves what is shorter: the header, if the place is right behind it, or everything from `to` on.
    pub(super) fn splice(&mut self, from: usize, to: usize, size: usize) {
        let (start, old_len) = (self.start(), self.len());
        let new_len = old_len - (to - from) + size;
        if from == HEADER_LEN
            && let Some(new_start) = (start + to - from).checked_sub(size)
            && (new_start == 0 || new_start >= GAP_MIN)
        {
            let room = self.0.bytes_mut();
            room.copy_within(start + 4..start + HEADER_LEN, new_start + 4);
            set_size(room, new_start, new_len);
        } else if start + new_len <= self.capacity() {
            let room = self.0.bytes_mut();
            room.copy_within(start + to..start + old_len, start + from + size);
            set_size(room, start, new_len);
        } else {
            self.grow(from, to, size, new_len);
        }
        if size < to - from && self.is_wasteful(new_len) {
            let mut smaller = B::zeroed(roomy::<B>(new_len));
            smaller.bytes_mut()[..new_len].copy_from_slice(self.bytes());
            self.0 = smaller;
        }
    }

    /// A splice for which there is no room at the end; it is found at the other end, or in a larger allocation.
    fn grow(&mut self, from: usize, to: usize, size: usize, new_len: usize) {
        let (start, old_len) = (self.start(), self.len());
        if from > HEADER_LEN && start > old_len / 8 && new_len <= self.capacity() {
            // The head goes first: it moves to where nothing is needed, and the tail may then move over its old place.
            let room = self.0.bytes_mut();
            room.copy_within(start..start + from, 0);
            room.copy_within(start + to..start + old_len, from + size);
            set_size(room, 0, new_len);
            return;
        }
        let capacity = roomy::<B>(new_len);
        let spare = capacity - new_len;
        if start == 0 && from > HEADER_LEN {
            self.0.resize(capacity);
            let room = self.0.bytes_mut();
            room.copy_within(to..old_len, from + size);
            set_size(room, 0, new_len);
            return;
        }
        // What grows at the front gets its room there.
        let new_start = if from == HEADER_LEN && spare >= GAP_MIN { spare } else { 0 };
        let mut larger = B::zeroed(capacity);
        let room = larger.bytes_mut();
        let old = &self.0[start..start + old_len];
        room[new_start..new_start + from].copy_from_slice(&old[..from]);
        room[new_start + from + size..new_start + new_len].copy_from_slice(&old[to..]);
        set_size(room, new_start, new_len);
        self.0 = larger;
    }
}

/// Puts a header where the listpack begins now.
#[inline]
fn set_header(room: &mut [u8], start: usize, len: usize, count: u16) {
    set_size(room, start, len);
    room[start + 4..start + HEADER_LEN].copy_from_slice(&count.to_le_bytes());
}

/// Says where the listpack begins now and how long it is.
#[inline]
fn set_size(room: &mut [u8], start: usize, len: usize) {
    if start > 0 {
        room[..GAP_MIN].copy_from_slice(&(GAP | start as u32).to_le_bytes());
    }
    let total = u32::try_from(len).expect("a listpack stays below 1 GiB");
    room[start..start + 4].copy_from_slice(&total.to_le_bytes());
}
