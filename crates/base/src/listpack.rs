//! Listpack: a list of short strings and integers in one flat allocation, in exactly the bytes that Redis uses in
//! memory, in RDB files and in `DUMP`. Small lists, hashes, sets and sorted sets are stored so; writing them out is a copy.
//!
//! ```text
//! ┌────────────┬────────────┬─────────┬─────────┬───┬──────┐      entry:
//! │ total      │ number of  │ entry 0 │ entry 1 │ … │ 0xFF │      ┌──────────┬───────┬─────────┐
//! │ bytes, u32 │ entries,u16│         │         │   │ end  │      │ encoding │ data  │ backlen │
//! └────────────┴────────────┴─────────┴─────────┴───┴──────┘      └──────────┴───────┴─────────┘
//!   all numbers are little-endian; 65535 entries means "count them"
//! ```
//!
//! Encoding and data are those of [`crate::elem`].
//!
//! *Backlen* is the length of encoding and data, in groups of 7 bits, least significant group *last* and the bit 0x80 set
//! in all but the first: read backwards from an entry's end it leads to the entry's start.
//!
//! Limits: a listpack stays below 1 GiB ([`LISTPACK_MAX_BYTES`]); the containers above it convert long before.
//! Finding by index or value is linear, which is what makes it fit for small values only.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;

use crate::elem::{data_size, decode, encode, encoded_len};

mod iter;
mod room;

pub use crate::elem::{Elem, Needle};
pub use iter::Iter;
use room::Room;
pub use room::{Buffer, GAP_MIN};

const HEADER_LEN: usize = 6;
const END: u8 = 0xff;
/// The count in the header that means "more than the header can say".
const COUNT_UNKNOWN: u16 = u16::MAX;

/// The size in bytes that a listpack must not pass.
pub const LISTPACK_MAX_BYTES: usize = 1 << 30;

/// The most that an entry takes beside its text: five bytes of encoding and five of backlen. An integer takes less beside its own.
const ENTRY_OVERHEAD_MAX: usize = 10;

/// What is wrong with bytes that should have been a listpack, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListpackError {
    /// Offset of the fault in bytes from the start of the listpack.
    pub offset: usize,
    /// The fault in words.
    pub reason: &'static str,
}

impl fmt::Display for ListpackError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "listpack is corrupt at byte {}: {}", self.offset, self.reason)
    }
}

impl core::error::Error for ListpackError {}

/// Where an element starts inside a listpack. It is good until the listpack is changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position(usize);

/// A listpack whose bytes are known to be valid.
///
/// Adding and removing at either end costs no more than the element: see [`room`].
pub struct Listpack<B = Box<[u8]>>(Room<B>);

impl<B: Buffer> Clone for Listpack<B> {
    fn clone(&self) -> Self {
        Listpack(self.0.clone())
    }
}

impl<B: Buffer> PartialEq for Listpack<B> {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl<B: Buffer> Eq for Listpack<B> {}

impl<B: Buffer> Default for Listpack<B> {
    fn default() -> Self {
        Listpack::with_capacity(0)
    }
}

impl<B: Buffer> fmt::Debug for Listpack<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// How many bytes the backlen of an entry of `len` bytes takes. The uneven limits are part of the format.
#[inline]
pub(crate) fn backlen_size(len: usize) -> usize {
    match len {
        0..=127 => 1,
        128..=16382 => 2,
        16383..=2097150 => 3,
        2097151..=268435454 => 4,
        _ => 5,
    }
}

/// How many bytes an entry takes for `elem`, backlen included.
#[inline]
fn entry_size(elem: Elem<'_>) -> usize {
    let len = data_size(elem);
    len + backlen_size(len)
}

/// Writes an entry into `out`, which has its size.
#[inline]
fn write_entry(elem: Elem<'_>, out: &mut [u8]) {
    let len = encode(elem, out);
    if len < 128 {
        out[len] = len as u8;
        return;
    }
    let groups = backlen_size(len);
    for group in 0..groups {
        let more = if group == 0 { 0 } else { 0x80 };
        out[len + group] = (len >> (7 * (groups - 1 - group)) & 0x7f) as u8 | more;
    }
}

/// Whether `bytes` are the backlen of an entry of `len` bytes, in the one spelling that a walk backwards takes as many bytes of
/// as a walk forwards. A reader that follows continuation bits would also take longer spellings for it, and go on into the data.
fn is_backlen(bytes: &[u8], len: usize) -> bool {
    let groups = bytes.iter().rev().enumerate();
    groups.fold(true, |same, (group, &byte)| {
        let more = if group + 1 == bytes.len() { 0 } else { 0x80 };
        same && byte == (len >> (7 * group) & 0x7f) as u8 | more
    })
}

/// Reads the backlen that ends just before `end`; `None` if it has more than five bytes.
#[inline]
fn read_backlen(bytes: &[u8], end: usize) -> Option<usize> {
    let mut len = 0;
    for group in 0..5 {
        let byte = *bytes.get(end.checked_sub(group + 1)?)?;
        len |= usize::from(byte & 0x7f) << (7 * group);
        if byte & 0x80 == 0 {
            return Some(len);
        }
    }
    None
}

/// Checks that `bytes` are one whole listpack and returns how many elements it has. Nothing is allocated.
///
/// # Errors
/// The first fault, with its offset.
pub fn check_listpack(bytes: &[u8]) -> Result<usize, ListpackError> {
    let fault = |offset, reason| Err(ListpackError { offset, reason });
    if bytes.len() < HEADER_LEN + 1 {
        return fault(0, "shorter than header and end mark");
    }
    let total = u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]) as usize;
    if total != bytes.len() {
        return fault(0, "the size in the header is not the real size");
    }
    if total > LISTPACK_MAX_BYTES {
        return fault(0, "longer than 1 GiB");
    }
    let end = bytes.len() - 1;
    if bytes[end] != END {
        return fault(end, "no end mark");
    }
    let mut at = HEADER_LEN;
    let mut count = 0;
    while at < end {
        let Some(len) = encoded_len(&bytes[at..end]) else {
            return fault(at, "unknown encoding or cut entry");
        };
        let next = at + len + backlen_size(len);
        if next > end {
            return fault(at, "entry reaches past the end");
        }
        if !is_backlen(&bytes[at + len..next], len) {
            return fault(at + len, "backward length differs from the entry's length");
        }
        at = next;
        count += 1;
    }
    let said = u16::from_le_bytes([bytes[4], bytes[5]]);
    if said != COUNT_UNKNOWN && usize::from(said) != count {
        return fault(4, "the number of elements in the header is not the real number");
    }
    Ok(count)
}

impl Listpack {
    /// An empty listpack.
    pub fn new() -> Listpack {
        Listpack::with_capacity(0)
    }

    /// Takes over bytes from outside after checking every entry.
    ///
    /// # Errors
    /// The first fault, with its offset.
    pub fn validate(bytes: impl Into<Vec<u8>>) -> Result<Listpack, ListpackError> {
        let bytes = bytes.into();
        check_listpack(&bytes)?;
        Ok(Listpack(Room::from_bytes(bytes)))
    }

    /// Gives the bytes away.
    pub fn into_bytes(self) -> Vec<u8> {
        self.0.into_bytes()
    }

    /// How many bytes a listpack of these elements takes.
    pub fn size_of<'a>(elems: impl Iterator<Item = Elem<'a>>) -> usize {
        HEADER_LEN + 1 + elems.map(entry_size).sum::<usize>()
    }

    /// How many bytes a listpack would grow by if `elem` was added.
    pub fn entry_size(elem: Elem<'_>) -> usize {
        entry_size(elem)
    }
}

impl<B: Buffer> Listpack<B> {
    /// An empty listpack with room for `bytes` bytes in all.
    pub fn with_capacity(bytes: usize) -> Self {
        Listpack(Room::with_capacity(bytes.min(LISTPACK_MAX_BYTES)))
    }

    /// A copy that is kept in another kind of buffer.
    pub fn copied<C: Buffer>(&self) -> Listpack<C> {
        Listpack(Room::copy_of(self.as_bytes()))
    }

    /// The listpack's bytes, as Redis has them in memory and in RDB.
    #[inline]
    pub fn as_bytes(&self) -> &[u8] {
        self.0.bytes()
    }

    /// The size in bytes, header and end mark included.
    #[inline]
    pub fn byte_len(&self) -> usize {
        self.0.len()
    }

    /// How many bytes there is room for, those that are used included.
    pub fn capacity(&self) -> usize {
        self.0.capacity()
    }

    /// The allocation's size in bytes.
    pub fn allocated(&self) -> usize {
        self.0.capacity() + B::OVERHEAD
    }

    /// Where the allocation is, for prefetching: the first thing that any other method reads.
    #[inline]
    pub fn address(&self) -> *const u8 {
        self.0.address()
    }

    /// Makes `bytes` bytes of room for elements that are pushed to the front.
    pub fn reserve_front(&mut self, bytes: usize) {
        self.0.reserve_front(bytes);
    }

    /// Makes `bytes` bytes of room for elements that are pushed to the end.
    pub fn reserve_back(&mut self, bytes: usize) {
        self.0.reserve_back(bytes);
    }

    /// Gives unused room back.
    pub fn shrink_to_fit(&mut self) {
        self.0.shrink_to_fit();
    }

    /// Whether an element whose text has `len` bytes can be added, or take another one's place, without passing [`LISTPACK_MAX_BYTES`].
    #[inline]
    pub fn has_room(&self, len: usize) -> bool {
        self.byte_len() + len <= LISTPACK_MAX_BYTES - ENTRY_OVERHEAD_MAX
    }

    fn count(&self) -> u16 {
        let bytes = self.as_bytes();
        u16::from_le_bytes([bytes[4], bytes[5]])
    }

    /// How many elements there are. From 65535 elements on they have to be counted one by one.
    pub fn len(&self) -> usize {
        match self.count() {
            COUNT_UNKNOWN => self.iter().count(),
            count => usize::from(count),
        }
    }

    /// Whether there is no element.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.byte_len() == HEADER_LEN + 1
    }

    fn end(&self) -> usize {
        self.byte_len() - 1
    }

    fn entry_end(&self, at: usize) -> usize {
        let len = encoded_len(&self.as_bytes()[at..]).expect("the listpack is valid");
        at + len + backlen_size(len)
    }

    /// The first element's position.
    pub fn first(&self) -> Option<Position> {
        (!self.is_empty()).then_some(Position(HEADER_LEN))
    }

    /// The last element's position.
    pub fn last(&self) -> Option<Position> {
        self.before(self.end())
    }

    fn before(&self, at: usize) -> Option<Position> {
        if at == HEADER_LEN {
            return None;
        }
        let len = read_backlen(self.as_bytes(), at).expect("the listpack is valid");
        Some(Position(at - len - backlen_size(len)))
    }

    /// The position after `position`.
    pub fn next(&self, position: Position) -> Option<Position> {
        let at = self.entry_end(position.0);
        (at < self.end()).then_some(Position(at))
    }

    /// The position before `position`.
    pub fn prev(&self, position: Position) -> Option<Position> {
        self.before(position.0)
    }

    /// The element at `position`.
    #[inline]
    pub fn at(&self, position: Position) -> Elem<'_> {
        decode(&self.as_bytes()[position.0..]).0
    }

    /// The position of element number `index`, walking from the nearer end.
    pub fn seek(&self, index: usize) -> Option<Position> {
        let len = self.len();
        if index >= len {
            return None;
        }
        if index <= len / 2 {
            let mut at = HEADER_LEN;
            for _ in 0..index {
                at = self.entry_end(at);
            }
            return Some(Position(at));
        }
        let mut position = self.last()?;
        for _ in index + 1..len {
            position = self.prev(position).expect("the index is below the length");
        }
        Some(position)
    }

    /// Element number `index`.
    pub fn get(&self, index: usize) -> Option<Elem<'_>> {
        self.seek(index).map(|position| self.at(position))
    }

    /// The first element at or after `from` whose text is `text`, looking only at every (`skip` + 1)-th element.
    ///
    /// With `skip` 1, only fields are compared in a listpack of fields and values.
    pub fn find(&self, text: &[u8], from: Option<Position>, skip: usize) -> Option<Position> {
        let mut at = from?.0;
        let bytes = self.as_bytes();
        let end = bytes.len() - 1;
        let needle = Needle::new(text);
        while at < end {
            let (elem, len) = decode(&bytes[at..]);
            if needle.matches(elem) {
                return Some(Position(at));
            }
            at += len + backlen_size(len);
            for _ in 0..skip {
                if at < end {
                    at = self.entry_end(at);
                }
            }
        }
        None
    }

    /// Replaces the bytes `from..to` by entries that `write` puts into `size` bytes.
    fn splice(&mut self, from: usize, to: usize, size: usize, added: isize, write: impl FnOnce(&mut [u8])) {
        let grown = self.byte_len() - (to - from) + size;
        assert!(grown <= LISTPACK_MAX_BYTES, "callers convert values before they grow to a gigabyte");
        self.0.splice(from, to, size);
        write(&mut self.0.bytes_mut()[from..from + size]);
        // A count once unknown stays so until it is counted again, as in Redis.
        let count = match self.count() {
            COUNT_UNKNOWN => u16::try_from(self.iter().count()).unwrap_or(COUNT_UNKNOWN),
            count => u16::try_from(isize::try_from(count).expect("16 bits") + added).unwrap_or(COUNT_UNKNOWN),
        };
        self.write_count(count);
    }

    fn write_count(&mut self, count: u16) {
        self.0.bytes_mut()[4..6].copy_from_slice(&count.to_le_bytes());
    }

    fn insert_at(&mut self, at: usize, elem: Elem<'_>) {
        self.splice(at, at, entry_size(elem), 1, |out| write_entry(elem, out));
    }

    /// Adds an element at the end. Text that is a canonical integer is to be passed as such: see [`Elem::from`].
    #[inline]
    pub fn push_back(&mut self, elem: Elem<'_>) {
        if !self.try_push_back(elem) {
            self.insert_at(self.end(), elem);
        }
    }

    /// Adds an element at the end if there is unused room for it behind the last one.
    #[inline]
    pub fn try_push_back(&mut self, elem: Elem<'_>) -> bool {
        match self.0.add_back(entry_size(elem)) {
            Some(place) => write_entry(elem, place),
            None => return false,
        }
        true
    }

    /// Adds an element at the front.
    #[inline]
    pub fn push_front(&mut self, elem: Elem<'_>) {
        if !self.try_push_front(elem) {
            self.insert_at(HEADER_LEN, elem);
        }
    }

    /// Adds an element at the front if there is unused room for it before the first one.
    #[inline]
    pub fn try_push_front(&mut self, elem: Elem<'_>) -> bool {
        match self.0.add_front(entry_size(elem)) {
            Some(place) => write_entry(elem, place),
            None => return false,
        }
        true
    }

    /// Removes the first element after `take` has seen it.
    #[inline]
    pub fn pop_front<R>(&mut self, take: impl FnOnce(Elem<'_>) -> R) -> Option<R> {
        if self.is_empty() {
            return None;
        }
        let (elem, len) = decode(&self.as_bytes()[HEADER_LEN..]);
        let result = take(elem);
        let size = len + backlen_size(len);
        if !self.0.take_front(size) {
            self.splice(HEADER_LEN, HEADER_LEN + size, 0, -1, |_| {});
        }
        Some(result)
    }

    /// Removes the last element after `take` has seen it.
    #[inline]
    pub fn pop_back<R>(&mut self, take: impl FnOnce(Elem<'_>) -> R) -> Option<R> {
        let at = self.last()?.0;
        let (elem, len) = decode(&self.as_bytes()[at..]);
        let result = take(elem);
        let size = len + backlen_size(len);
        if !self.0.take_back(size) {
            self.splice(at, at + size, 0, -1, |_| {});
        }
        Some(result)
    }

    /// Inserts an element before the one at `position`, which then stands for the new one.
    pub fn insert_before(&mut self, position: Position, elem: Elem<'_>) {
        self.insert_at(position.0, elem);
    }

    /// Inserts an element after the one at `position`.
    pub fn insert_after(&mut self, position: Position, elem: Elem<'_>) {
        self.insert_at(self.entry_end(position.0), elem);
    }

    /// Inserts an element so that it gets number `index`; an index past the end appends.
    pub fn insert(&mut self, index: usize, elem: Elem<'_>) {
        match self.seek(index) {
            Some(position) => self.insert_before(position, elem),
            None => self.push_back(elem),
        }
    }

    /// Replaces the element at `position`.
    pub fn replace(&mut self, position: Position, elem: Elem<'_>) {
        let end = self.entry_end(position.0);
        self.splice(position.0, end, entry_size(elem), 0, |out| write_entry(elem, out));
    }

    /// Removes `count` elements from the one at `position` on, or as many as there are; returns how many were removed.
    pub fn remove(&mut self, position: Position, count: usize) -> usize {
        let mut end = position.0;
        let mut removed = 0;
        while removed < count && end < self.end() {
            end = self.entry_end(end);
            removed += 1;
        }
        self.splice(position.0, end, 0, -removed.cast_signed(), |_| {});
        removed
    }

    /// Removes the elements numbered `index..index + count`, as far as there are any; returns how many were removed.
    pub fn remove_range(&mut self, index: usize, count: usize) -> usize {
        match self.seek(index) {
            Some(position) if count > 0 => self.remove(position, count),
            _ => 0,
        }
    }

    /// Keeps only the elements for which `keep` is true; it is called with each element in order. Returns how many went.
    pub fn retain(&mut self, mut keep: impl FnMut(Elem<'_>) -> bool) -> usize {
        let bytes = self.0.bytes_mut();
        let end = bytes.len() - 1;
        let mut out = HEADER_LEN;
        let mut at = HEADER_LEN;
        let mut removed = 0usize;
        while at < end {
            let (elem, len) = decode(&bytes[at..]);
            let next = at + len + backlen_size(len);
            if keep(elem) {
                bytes.copy_within(at..next, out);
                out += next - at;
            } else {
                removed += 1;
            }
            at = next;
        }
        self.splice(out, end, 0, -removed.cast_signed(), |_| {});
        removed
    }

    /// Moves the elements from number `index` on into a listpack of their own.
    pub fn split_off(&mut self, index: usize) -> Self {
        let Some(Position(at)) = self.seek(index) else { return Listpack::default() };
        let moved = self.len() - index;
        let mut tail = Listpack::default();
        tail.append_entries(&self.as_bytes()[at..self.end()], moved);
        self.splice(at, self.end(), 0, -moved.cast_signed(), |_| {});
        tail
    }

    /// Adds all elements of `other` at the end.
    pub fn append(&mut self, other: &Self) {
        self.append_entries(&other.as_bytes()[HEADER_LEN..other.end()], other.len());
    }

    fn append_entries(&mut self, entries: &[u8], count: usize) {
        let end = self.end();
        self.splice(end, end, entries.len(), count.cast_signed(), |out| out.copy_from_slice(entries));
    }

    /// All elements in order; the iterator also runs backwards.
    pub fn iter(&self) -> Iter<'_> {
        Iter { bytes: self.as_bytes(), front: HEADER_LEN, back: self.end() }
    }

    /// The elements from `position` on, in order; run backwards, it starts at the end.
    pub fn iter_from(&self, position: Position) -> Iter<'_> {
        Iter { bytes: self.as_bytes(), front: position.0, back: self.end() }
    }

    /// The elements from the first up to the one at `position`, that one included.
    pub fn iter_to(&self, position: Position) -> Iter<'_> {
        Iter { bytes: self.as_bytes(), front: HEADER_LEN, back: self.entry_end(position.0) }
    }
}

impl<'a, B: Buffer> FromIterator<Elem<'a>> for Listpack<B> {
    fn from_iter<I: IntoIterator<Item = Elem<'a>>>(elems: I) -> Self {
        let mut listpack = Listpack::default();
        for elem in elems {
            listpack.push_back(elem);
        }
        listpack
    }
}

impl<'a, B: Buffer> IntoIterator for &'a Listpack<B> {
    type Item = Elem<'a>;
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

#[cfg(test)]
#[path = "listpack_tests.rs"]
mod tests;
