//! The pieces of a long list: packed chunks of several elements, and plain ones that are a single long string.

use base::listpack::{Buffer, Elem, GAP_MIN, Needle};
use triomphe::Arc;

use super::{Listpack, Shared};
use crate::btree::Item;
use crate::limits::{COUNTED_BYTES_MAX, Limits};
use crate::trie::prefetch;

/// Header and end mark, which go once when two listpacks become one.
const FRAME: usize = 7;

/// The most that an entry takes beside its text.
const ENTRY_MAX: usize = 10;

/// What is reckoned beside an element's text to see whether it still fits into a chunk. Redis reckons 8. We also count what the
/// allocation has beside the listpack and the least room before it there can be, so that a chunk that gets full never outgrows an
/// allocation of the chunk's size.
pub(super) const ENTRY_OVERHEAD: usize = ENTRY_MAX + Shared::OVERHEAD + GAP_MIN;

/// How many bytes of room the chunk at a list's end gets: it will be filled, so its allocation grows in few steps (an eighth, a half,
/// all) up to what a chunk may hold. The list has at least one full chunk besides, so that this is little of it.
fn growth(len: usize, added: usize, limits: &Limits) -> usize {
    let bytes_max = match limits.list_chunk() {
        (usize::MAX, _) => COUNTED_BYTES_MAX,
        (bytes_max, _) => bytes_max,
    };
    let needed = len + added + ENTRY_MAX;
    let steps = [bytes_max / 8, bytes_max / 2, bytes_max];
    let step = steps.into_iter().map(|step| step - Shared::OVERHEAD).find(|step| needed <= *step);
    step.unwrap_or(needed).min(8 * needed) - len
}

/// A chunk of a list, as it is written to RDB.
#[derive(Clone, Copy, Debug)]
pub enum ChunkRef<'a> {
    /// Some elements.
    Packed(&'a Listpack),
    /// One long element.
    Plain(&'a [u8]),
}

#[derive(Clone)]
enum Data {
    Packed(Listpack),
    Plain(Arc<Vec<u8>>),
}

/// A chunk and the number of its elements, which a listpack with many cannot tell quickly.
#[derive(Clone)]
pub(crate) struct Chunk {
    len: usize,
    data: Data,
}

impl Item for Chunk {
    type Key = ();

    fn key(&self) -> &() {
        &()
    }

    fn weight(&self) -> u64 {
        self.len as u64
    }
}

impl Chunk {
    /// A chunk of all elements of a listpack, which has some.
    pub(super) fn packed(listpack: Listpack) -> Chunk {
        let len = listpack.len();
        assert!(len > 0, "a chunk has elements");
        Chunk { len, data: Data::Packed(listpack) }
    }

    /// A chunk of one element that is too long to share a chunk.
    pub(super) fn plain(bytes: Vec<u8>) -> Chunk {
        Chunk { len: 1, data: Data::Plain(Arc::new(bytes)) }
    }

    /// A chunk of one element, of the kind that fits its length.
    pub(super) fn single(value: &[u8], limits: &Limits) -> Chunk {
        if limits.is_large_in_list(value.len()) {
            Chunk::plain(value.to_vec())
        } else {
            Chunk::packed(Listpack::from_iter([Elem::from(value)]))
        }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn as_ref(&self) -> ChunkRef<'_> {
        match &self.data {
            Data::Packed(listpack) => ChunkRef::Packed(listpack),
            Data::Plain(bytes) => ChunkRef::Plain(bytes),
        }
    }

    /// The chunk as a listpack of its own, if it is packed.
    pub(super) fn into_listpack(self) -> Option<Listpack> {
        match self.data {
            Data::Packed(listpack) => Some(listpack),
            Data::Plain(_) => None,
        }
    }

    /// Asks for the start of a packed chunk's listpack.
    pub(crate) fn ask_listpack(&self) -> Option<&Listpack> {
        match &self.data {
            Data::Packed(listpack) => {
                prefetch(listpack.address());
                Some(listpack)
            }
            Data::Plain(_) => None,
        }
    }

    /// Bytes of heap memory.
    pub(super) fn memory_usage(&self) -> usize {
        match &self.data {
            Data::Packed(listpack) => listpack.allocated(),
            Data::Plain(bytes) => size_of::<usize>() + size_of::<Vec<u8>>() + bytes.capacity(),
        }
    }

    pub(super) fn get(&self, index: usize) -> Elem<'_> {
        match self.as_ref() {
            ChunkRef::Packed(listpack) => listpack.get(index).expect("the index is inside the chunk"),
            ChunkRef::Plain(bytes) => Elem::Bytes(bytes),
        }
    }

    /// Whether one more element of this length may go into this chunk.
    pub(super) fn allows(&self, value: &[u8], limits: &Limits) -> bool {
        match &self.data {
            Data::Packed(listpack) => {
                !limits.is_large_in_list(value.len())
                    && !limits.exceeds_list_chunk(listpack.byte_len() + value.len() + ENTRY_OVERHEAD, self.len + 1)
            }
            Data::Plain(_) => false,
        }
    }

    /// Whether all elements of `other` may go into this chunk.
    pub(super) fn allows_all(&self, other: &Chunk, limits: &Limits) -> bool {
        match (&self.data, &other.data) {
            (Data::Packed(left), Data::Packed(right)) => {
                let bytes = left.byte_len() + right.byte_len() - FRAME;
                !limits.exceeds_list_chunk(bytes, self.len + other.len)
            }
            _ => false,
        }
    }

    /// The listpack, to be changed.
    fn listpack_mut(&mut self) -> &mut Listpack {
        match &mut self.data {
            Data::Packed(listpack) => listpack,
            Data::Plain(_) => unreachable!("a plain chunk is replaced as a whole"),
        }
    }

    /// Adds an element at the front if the chunk allows it.
    #[inline]
    pub(super) fn push_front(&mut self, value: &[u8], limits: &Limits) -> bool {
        if !self.allows(value, limits) {
            return false;
        }
        let listpack = self.listpack_mut();
        let elem = Elem::from(value);
        if !listpack.try_push_front(elem) {
            listpack.reserve_front(growth(listpack.byte_len(), value.len(), limits));
            listpack.push_front(elem);
        }
        self.len += 1;
        true
    }

    /// Adds an element at the end if the chunk allows it.
    #[inline]
    pub(super) fn push_back(&mut self, value: &[u8], limits: &Limits) -> bool {
        if !self.allows(value, limits) {
            return false;
        }
        let listpack = self.listpack_mut();
        let elem = Elem::from(value);
        if !listpack.try_push_back(elem) {
            listpack.reserve_back(growth(listpack.byte_len(), value.len(), limits));
            listpack.push_back(elem);
        }
        self.len += 1;
        true
    }

    /// Removes the first element, which is not the only one, after `take` has seen it.
    #[inline]
    pub(super) fn pop_front<R>(&mut self, take: impl FnOnce(Elem<'_>) -> R) -> R {
        assert!(self.len > 1, "a chunk without elements is removed as a whole");
        self.len -= 1;
        self.listpack_mut().pop_front(take).expect("the chunk has elements")
    }

    /// Removes the last element, which is not the only one, after `take` has seen it.
    #[inline]
    pub(super) fn pop_back<R>(&mut self, take: impl FnOnce(Elem<'_>) -> R) -> R {
        assert!(self.len > 1, "a chunk without elements is removed as a whole");
        self.len -= 1;
        self.listpack_mut().pop_back(take).expect("the chunk has elements")
    }

    /// Whether much of the allocation is unused.
    pub(super) fn is_loose(&self) -> bool {
        match &self.data {
            Data::Packed(listpack) => listpack.capacity() > listpack.byte_len() + listpack.byte_len() / 8,
            Data::Plain(_) => false,
        }
    }

    /// Gives unused room back: nothing will be pushed to this chunk soon.
    pub(super) fn tighten(&mut self) {
        self.listpack_mut().shrink_to_fit();
    }

    /// Inserts an element so that it gets number `index` in this chunk, which allows it.
    pub(super) fn insert(&mut self, index: usize, value: &[u8]) {
        let (len, listpack) = (self.len, self.listpack_mut());
        if index == len {
            listpack.push_back(Elem::from(value));
        } else {
            listpack.insert(index, Elem::from(value));
        }
        self.len += 1;
    }

    /// Replaces an element if it and the new one are of the kind that this chunk holds.
    pub(super) fn replace(&mut self, index: usize, value: &[u8], limits: &Limits) -> bool {
        let large = limits.is_large_in_list(value.len());
        match &mut self.data {
            Data::Packed(listpack) if !large && listpack.has_room(value.len()) => {
                let position = listpack.seek(index).expect("the index is inside the chunk");
                listpack.replace(position, Elem::from(value));
                true
            }
            Data::Plain(bytes) if large => {
                *bytes = Arc::new(value.to_vec());
                true
            }
            Data::Packed(_) | Data::Plain(_) => false,
        }
    }

    /// Removes elements; some remain.
    pub(super) fn remove_range(&mut self, index: usize, count: usize) {
        assert!(count < self.len, "a chunk without elements is removed as a whole");
        self.len -= self.listpack_mut().remove_range(index, count);
    }

    /// Cuts off the elements from number `index` on, which is inside the chunk and not its start.
    pub(super) fn split_off(&mut self, index: usize) -> Chunk {
        assert!(0 < index && index < self.len, "both halves have elements");
        let tail = self.listpack_mut().split_off(index);
        let len = self.len - index;
        self.len = index;
        Chunk { len, data: Data::Packed(tail) }
    }

    /// Adds all elements of `other`, which this chunk allows.
    pub(super) fn append(&mut self, other: &Chunk) {
        let ChunkRef::Packed(tail) = other.as_ref() else { unreachable!("plain chunks are not joined") };
        self.listpack_mut().append(tail);
        self.len += other.len;
    }

    /// How many elements match.
    pub(super) fn count(&self, needle: Needle<'_>) -> usize {
        match self.as_ref() {
            ChunkRef::Packed(listpack) => listpack.iter().filter(|&elem| needle.matches(elem)).count(),
            ChunkRef::Plain(bytes) => usize::from(needle.matches(Elem::Bytes(bytes))),
        }
    }

    /// Removes the matching elements after the first `skip` of them, at most `take`; some elements remain.
    pub(super) fn remove_matching(&mut self, needle: Needle<'_>, skip: usize, take: usize) {
        assert!(take < self.len, "a chunk without elements is removed as a whole");
        self.len -= remove_matching(self.listpack_mut(), needle, skip, take);
    }
}

/// Removes the matching elements after the first `skip` of them, at most `take`; returns how many went.
pub(super) fn remove_matching(listpack: &mut Listpack, needle: Needle<'_>, skip: usize, take: usize) -> usize {
    let mut seen = 0;
    listpack.retain(|elem| {
        let matches = needle.matches(elem);
        let removed = matches && (skip..skip + take).contains(&seen);
        seen += usize::from(matches);
        !removed
    })
}
