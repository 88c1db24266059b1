//! Lists: short ones in one listpack, long ones as a tree of chunks.
//!
//! ```text
//! "listpack"   ┌ listpack ────────────────┐
//!              └──────────────────────────┘
//! "quicklist"  [ listpack ][ listpack ][ plain: one long string ][ listpack ] …     (chunks)
//! ```
//!
//! The chunks of a long list are counted, so any index is found in O(log n), not by walking over chunks; the first and the last are at
//! hand. A clone is O(1), and writing after it copies the one chunk that is written and the path to it, or the short list.
//!
//! When a list changes its form, how full a chunk gets, and which elements get a chunk of their own is decided as in
//! Redis 7.2, because clients see it: over the limit of one chunk a list becomes long, and it becomes short again when
//! its only chunk has shrunk to half of that limit.
//!
//! Limits: elements of less than 4 GiB. Removing elements does not join chunks.

use base::listpack::{self, Elem, Needle};

use crate::btree::BTree;
use crate::limits::Limits;

mod chunk;
mod chunks;
mod iter;
mod shared;
#[cfg(test)]
mod tests;

pub(crate) use chunk::Chunk;
pub use chunk::ChunkRef;
pub(crate) use chunks::Chunks;
pub use iter::Iter;
pub use shared::Shared;

/// The listpack of a short list, or of a chunk.
pub type Listpack = listpack::Listpack<Shared>;

/// Chunks looked at to estimate the memory of all.
const SAMPLED_CHUNKS: usize = 16;

#[derive(Clone)]
enum Form {
    Short(Listpack),
    Long(Box<Chunks>),
}

/// A list value.
#[derive(Clone)]
pub struct List(Form);

/// The form of a list, borrowed.
pub(crate) enum ListShape<'a> {
    Short(&'a Listpack),
    Long(&'a Chunks),
}

/// Parts of a list that were cut off and may take long to free: to be dropped where that does not matter.
#[derive(Default)]
pub struct Offcuts(Vec<BTree<Chunk>>);

/// Offcuts of so many chunks are freed in some microseconds.
const QUICK_CHUNKS: usize = 32;

impl Offcuts {
    /// Frees what is quick to free and gives the rest as lists, for whoever frees values elsewhere.
    pub fn into_heavy(self) -> impl Iterator<Item = List> {
        let heavy = |chunks: &BTree<Chunk>| chunks.len() > QUICK_CHUNKS;
        self.0.into_iter().filter(heavy).map(|chunks| List(Form::Long(Box::new(chunks.into()))))
    }
}

impl std::fmt::Debug for Offcuts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Offcuts").finish_non_exhaustive()
    }
}

impl Default for List {
    fn default() -> Self {
        List::new()
    }
}

impl std::fmt::Debug for List {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

fn as_index(position: u64) -> usize {
    usize::try_from(position).expect("positions are made from lengths in memory")
}

impl List {
    /// An empty list.
    pub fn new() -> List {
        List(Form::Short(Listpack::default()))
    }

    /// The list of a listpack's elements; it becomes a long list's only chunk if it is over the limit.
    pub fn from_listpack(listpack: &listpack::Listpack, limits: &Limits) -> List {
        let mut list = List(Form::Short(listpack.copied()));
        list.reserve(0, 0, limits);
        list
    }

    /// How many elements there are.
    pub fn len(&self) -> usize {
        match &self.0 {
            Form::Short(listpack) => listpack.len(),
            Form::Long(chunks) => as_index(chunks.weight()),
        }
    }

    /// Whether there is no element.
    pub fn is_empty(&self) -> bool {
        match &self.0 {
            Form::Short(listpack) => listpack.is_empty(),
            Form::Long(chunks) => chunks.is_empty(),
        }
    }

    /// The name of the form in `OBJECT ENCODING`.
    pub fn encoding(&self) -> &'static str {
        match &self.0 {
            Form::Short(_) => "listpack",
            Form::Long(_) => "quicklist",
        }
    }

    pub(crate) fn shape(&self) -> ListShape<'_> {
        match &self.0 {
            Form::Short(listpack) => ListShape::Short(listpack),
            Form::Long(chunks) => ListShape::Long(chunks),
        }
    }

    /// The list in chunks; a short list is one chunk, an empty one none.
    pub fn chunks(&self) -> impl Iterator<Item = ChunkRef<'_>> {
        let (short, long) = match &self.0 {
            Form::Short(listpack) => ((!listpack.is_empty()).then_some(ChunkRef::Packed(listpack)), None),
            Form::Long(chunks) => (None, Some(chunks.iter().map(Chunk::as_ref))),
        };
        short.into_iter().chain(long.into_iter().flatten())
    }

    /// How many chunks [`List::chunks`] gives.
    pub fn chunk_count(&self) -> usize {
        match &self.0 {
            Form::Short(listpack) => usize::from(!listpack.is_empty()),
            Form::Long(chunks) => chunks.len(),
        }
    }

    /// Bytes of heap memory, without this struct itself; for long lists estimated from some of the chunks.
    pub fn memory_usage(&self) -> usize {
        match &self.0 {
            Form::Short(listpack) => listpack.allocated(),
            Form::Long(chunks) => {
                let sampled = chunks.len().clamp(1, SAMPLED_CHUNKS);
                let bytes: usize = chunks.iter().take(sampled).map(Chunk::memory_usage).sum();
                size_of::<Chunks>() + chunks.node_bytes() + bytes * chunks.len() / sampled
            }
        }
    }

    /// Decides on the form before `count` elements of together `bytes` bytes are added.
    ///
    /// Commands call it once with all their elements, so that a list that will be long is so from the start; adding a
    /// single element does the same by itself.
    #[inline]
    pub fn reserve(&mut self, count: usize, bytes: usize, limits: &Limits) {
        if let Form::Short(listpack) = &mut self.0
            && limits.exceeds_list_chunk(listpack.byte_len() + bytes, listpack.len() + count)
        {
            self.chunks_mut();
        }
    }

    /// Makes a long list short if its only chunk is within the limit divided by `divisor`.
    fn pack(&mut self, divisor: usize, limits: &Limits) {
        let Form::Long(chunks) = &mut self.0 else { return };
        if chunks.len() != 1 {
            return;
        }
        let Some(chunk) = chunks.first() else { return };
        let ChunkRef::Packed(listpack) = chunk.as_ref() else { return };
        let (bytes_max, count_max) = limits.list_chunk();
        if listpack.byte_len() <= bytes_max / divisor && chunk.len() <= count_max / divisor {
            let chunk = chunks.pop_front().expect("there is one chunk");
            self.0 = Form::Short(chunk.into_listpack().expect("the chunk is packed"));
        }
    }

    /// Removing lowers the limit to half, so that a list at the limit does not change its form with every command.
    fn shrunk(&mut self, limits: &Limits) {
        if self.is_empty() {
            self.0 = Form::Short(Listpack::default());
        } else {
            self.pack(2, limits);
        }
    }

    /// Adds a whole chunk of elements at the end, as read from RDB. Call [`List::loaded`] after the last one.
    pub fn push_chunk(&mut self, listpack: &listpack::Listpack) {
        if !listpack.is_empty() {
            self.chunks_mut().push_back(Chunk::packed(listpack.copied()));
        }
    }

    /// Adds one long element as a chunk of its own at the end, as read from RDB. Call [`List::loaded`] after the last one.
    pub fn push_plain(&mut self, bytes: Vec<u8>) {
        self.chunks_mut().push_back(Chunk::plain(bytes));
    }

    /// Chooses the form that fits a list that was just built.
    pub fn loaded(&mut self, limits: &Limits) {
        self.pack(1, limits);
        self.reserve(0, 0, limits);
    }

    /// The chunks; a short list becomes long.
    fn chunks_mut(&mut self) -> &mut Chunks {
        if let Form::Short(listpack) = &mut self.0 {
            let mut chunks = Box::new(Chunks::default());
            if !listpack.is_empty() {
                chunks.push_back(Chunk::packed(std::mem::take(listpack)));
            }
            self.0 = Form::Long(chunks);
        }
        match &mut self.0 {
            Form::Long(chunks) => chunks,
            Form::Short(_) => unreachable!("it was made long above"),
        }
    }

    /// Adds an element at the front.
    #[inline]
    pub fn push_front(&mut self, value: &[u8], limits: &Limits) {
        self.reserve(1, value.len(), limits);
        match &mut self.0 {
            Form::Short(listpack) => listpack.push_front(Elem::from(value)),
            Form::Long(chunks) => {
                if !chunks.front_mut().is_some_and(|chunk| chunk.push_front(value, limits)) {
                    push_front_chunk(chunks, Chunk::single(value, limits));
                }
            }
        }
    }

    /// Adds an element at the end.
    #[inline]
    pub fn push_back(&mut self, value: &[u8], limits: &Limits) {
        self.reserve(1, value.len(), limits);
        match &mut self.0 {
            Form::Short(listpack) => listpack.push_back(Elem::from(value)),
            Form::Long(chunks) => {
                if !chunks.back_mut().is_some_and(|chunk| chunk.push_back(value, limits)) {
                    push_back_chunk(chunks, Chunk::single(value, limits));
                }
            }
        }
    }

    /// Removes the first element after `take` has seen it.
    #[inline]
    pub fn pop_front<R>(&mut self, limits: &Limits, take: impl FnOnce(Elem<'_>) -> R) -> Option<R> {
        let chunks = match &mut self.0 {
            Form::Short(listpack) => return listpack.pop_front(take),
            Form::Long(chunks) => chunks,
        };
        let chunk = chunks.front_mut()?;
        let result = if chunk.len() > 1 { chunk.pop_front(take) } else { take(chunks.pop_front()?.get(0)) };
        self.shrunk(limits);
        Some(result)
    }

    /// Removes the last element after `take` has seen it.
    #[inline]
    pub fn pop_back<R>(&mut self, limits: &Limits, take: impl FnOnce(Elem<'_>) -> R) -> Option<R> {
        let chunks = match &mut self.0 {
            Form::Short(listpack) => return listpack.pop_back(take),
            Form::Long(chunks) => chunks,
        };
        let chunk = chunks.back_mut()?;
        let result = if chunk.len() > 1 { chunk.pop_back(take) } else { take(chunks.pop_back()?.get(0)) };
        self.shrunk(limits);
        Some(result)
    }

    /// Element number `index`.
    pub fn get(&self, index: usize) -> Option<Elem<'_>> {
        match &self.0 {
            Form::Short(listpack) => listpack.get(index),
            Form::Long(chunks) => {
                let (chunk, inside) = chunks.get(index as u64)?;
                Some(chunk.get(as_index(inside)))
            }
        }
    }

    /// Replaces element number `index`; false if there is none.
    pub fn set(&mut self, index: usize, value: &[u8], limits: &Limits) -> bool {
        if index >= self.len() {
            return false;
        }
        self.reserve(1, value.len(), limits);
        match &mut self.0 {
            Form::Short(listpack) => {
                let position = listpack.seek(index).expect("the index is below the length");
                listpack.replace(position, Elem::from(value));
            }
            Form::Long(chunks) => {
                let tree = chunks.gathered();
                let (_, inside) = tree.get(index as u64).expect("the index is below the length");
                let replaced = tree.update_at(index as u64, |chunk| chunk.replace(as_index(inside), value, limits));
                if replaced != Some(true) {
                    remove_one(tree, index);
                    insert_one(tree, index, value, limits);
                }
                self.pack(2, limits);
            }
        }
        true
    }

    /// Inserts an element so that it gets number `index`, which is at most the length.
    pub fn insert(&mut self, index: usize, value: &[u8], limits: &Limits) {
        assert!(index <= self.len(), "the index is inside the list");
        self.reserve(1, value.len(), limits);
        match &mut self.0 {
            Form::Short(listpack) => listpack.insert(index, Elem::from(value)),
            Form::Long(chunks) => insert_one(chunks.gathered(), index, value, limits),
        }
    }

    /// Inserts an element before the first one that is `pivot`; false if there is none.
    pub fn insert_before(&mut self, pivot: &[u8], value: &[u8], limits: &Limits) -> bool {
        self.insert_beside(pivot, 0, value, limits)
    }

    /// Inserts an element after the first one that is `pivot`; false if there is none.
    pub fn insert_after(&mut self, pivot: &[u8], value: &[u8], limits: &Limits) -> bool {
        self.insert_beside(pivot, 1, value, limits)
    }

    fn insert_beside(&mut self, pivot: &[u8], offset: usize, value: &[u8], limits: &Limits) -> bool {
        // The form is chosen before the pivot is looked for, as Redis does, so a failed insertion can be seen in it.
        self.reserve(1, value.len(), limits);
        let needle = Needle::new(pivot);
        match self.iter().position(|elem| needle.matches(elem)) {
            Some(index) => {
                self.insert(index + offset, value, limits);
                true
            }
            None => false,
        }
    }

    /// Removes elements that are `value`: the first `count`, or the last `-count`, or all if it is 0. Returns how many.
    pub fn remove_matching(&mut self, count: i64, value: &[u8], limits: &Limits) -> usize {
        let needle = Needle::new(value);
        let quota = match count {
            0 => usize::MAX,
            _ => usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX),
        };
        let removed = match &mut self.0 {
            Form::Short(listpack) => {
                let found = listpack.iter().filter(|&elem| needle.matches(elem)).count();
                let take = found.min(quota);
                let skip = if count < 0 { found - take } else { 0 };
                if take > 0 { chunk::remove_matching(listpack, needle, skip, take) } else { 0 }
            }
            Form::Long(chunks) => remove_from_chunks(chunks.gathered(), needle, quota, count < 0),
        };
        if removed > 0 {
            self.shrunk(limits);
        }
        removed
    }

    /// Removes the elements numbered `index..index + count`, as far as there are any.
    ///
    /// What was cut off is returned, to be dropped where it does not matter how long that takes.
    pub fn remove_range(&mut self, index: usize, count: usize, limits: &Limits) -> Offcuts {
        let len = self.len();
        let start = index.min(len);
        let end = index.saturating_add(count).min(len);
        let offcuts = match &mut self.0 {
            Form::Short(listpack) => {
                listpack.remove_range(start, end - start);
                Offcuts::default()
            }
            Form::Long(chunks) if end - start == 1 => {
                remove_one(chunks.gathered(), start);
                Offcuts::default()
            }
            Form::Long(chunks) => Offcuts(cut_range(chunks.gathered(), start, end)),
        };
        self.shrunk(limits);
        offcuts
    }

    /// Keeps only the elements numbered `start..end`, as far as there are any.
    ///
    /// What was cut off is returned, to be dropped where it does not matter how long that takes.
    pub fn trim(&mut self, start: usize, end: usize, limits: &Limits) -> Offcuts {
        let len = self.len();
        let end = end.min(len);
        let start = start.min(end);
        let offcuts = match &mut self.0 {
            Form::Short(listpack) => {
                listpack.remove_range(end, len - end);
                listpack.remove_range(0, start);
                Offcuts::default()
            }
            Form::Long(chunks) => {
                let mut offcuts = cut_back(chunks, len - end);
                offcuts.extend(cut_front(chunks, start));
                Offcuts(offcuts)
            }
        };
        self.shrunk(limits);
        offcuts
    }

    /// All elements in order.
    pub fn iter(&self) -> Iter<'_> {
        self.iter_from(0)
    }

    /// The elements from number `index` on, in order.
    pub fn iter_from(&self, index: usize) -> Iter<'_> {
        match &self.0 {
            Form::Short(listpack) => Iter::short(listpack, index, false),
            Form::Long(chunks) => Iter::long(chunks, index, false),
        }
    }

    /// The elements from number `index` on *backwards* to the first one; none if there is no such element.
    pub fn iter_back_from(&self, index: usize) -> Iter<'_> {
        match &self.0 {
            Form::Short(listpack) => Iter::short(listpack, index, true),
            Form::Long(chunks) => Iter::long(chunks, index, true),
        }
    }

    /// Indexes of elements that are `value`, as `LPOS` gives them.
    ///
    /// `rank` is the number of the first match to give, counted from 1 from the front, or from −1 from the end (matches
    /// are then given from the end on); at most `count` indexes are given, after looking at no more than `looked_at`
    /// elements. `rank` is not 0.
    pub fn positions(&self, value: &[u8], rank: i64, count: usize, looked_at: usize) -> Vec<usize> {
        assert_ne!(rank, 0, "the caller refuses a rank of zero");
        let needle = Needle::new(value);
        let len = self.len();
        let skip = usize::try_from(rank.unsigned_abs() - 1).unwrap_or(usize::MAX);
        let elems = match len.checked_sub(1) {
            Some(last) if rank < 0 => self.iter_back_from(last),
            _ => self.iter(),
        };
        let matching = elems.take(looked_at).enumerate().filter(|&(_, elem)| needle.matches(elem));
        matching.map(|(index, _)| if rank < 0 { len - 1 - index } else { index }).skip(skip).take(count).collect()
    }
}

/// Puts a new chunk before all others; the one that was first will not be pushed to soon.
#[cold]
fn push_front_chunk(chunks: &mut Chunks, chunk: Chunk) {
    if let Some(first) = chunks.front_mut().filter(|first| first.is_loose()) {
        first.tighten();
    }
    chunks.push_front(chunk);
}

/// Puts a new chunk behind all others; the one that was last will not be pushed to soon.
#[cold]
fn push_back_chunk(chunks: &mut Chunks, chunk: Chunk) {
    if let Some(last) = chunks.back_mut().filter(|last| last.is_loose()) {
        last.tighten();
    }
    chunks.push_back(chunk);
}

/// Cuts the first `count` elements off a long list and returns the whole chunks among them. Few of them, as where a list is
/// trimmed after each push, are taken out of the chunk at hand.
fn cut_front(chunks: &mut Chunks, count: usize) -> Vec<BTree<Chunk>> {
    if count == 0 {
        return Vec::new();
    }
    match chunks.front_mut() {
        Some(first) if count < first.len() => {
            first.remove_range(0, count);
            Vec::new()
        }
        _ => cut_range(chunks.gathered(), 0, count),
    }
}

/// Cuts the last `count` elements off a long list and returns the whole chunks among them. Few of them are taken out of the chunk
/// at hand.
fn cut_back(chunks: &mut Chunks, count: usize) -> Vec<BTree<Chunk>> {
    if count == 0 {
        return Vec::new();
    }
    match chunks.back_mut() {
        Some(last) if count < last.len() => {
            last.remove_range(last.len() - count, count);
            Vec::new()
        }
        _ => {
            let len = as_index(chunks.weight());
            cut_range(chunks.gathered(), len - count, len)
        }
    }
}

/// Removes one element of a long list.
fn remove_one(chunks: &mut BTree<Chunk>, index: usize) {
    let position = index as u64;
    let (chunk, inside) = chunks.get(position).expect("the index is below the length");
    if chunk.len() == 1 {
        chunks.remove_at(position);
    } else {
        chunks.update_at(position, |chunk| chunk.remove_range(as_index(inside), 1));
    }
}

/// Inserts one element into a long list.
fn insert_one(chunks: &mut BTree<Chunk>, index: usize, value: &[u8], limits: &Limits) {
    let position = index as u64;
    let (covering, inside) = match chunks.get(position) {
        Some((chunk, inside)) => (Some(chunk), as_index(inside)),
        None => (None, 0),
    };
    if covering.is_some_and(|chunk| chunk.allows(value, limits)) {
        chunks.update_at(position, |chunk| chunk.insert(inside, value));
        return;
    }
    if inside > 0 {
        // The chunk is full, or the element needs one of its own: make room between two halves.
        let tail = chunks.update_at(position, |chunk| chunk.split_off(inside)).expect("the chunk is there");
        chunks.insert_at(position, tail);
    }
    // The element goes to the end of the chunk before, or gets a new one.
    let before = position.checked_sub(1);
    match before.filter(|&last| chunks.get(last).is_some_and(|(chunk, _)| chunk.allows(value, limits))) {
        Some(last) => {
            chunks.update_at(last, |chunk| chunk.insert(chunk.len(), value));
        }
        None => chunks.insert_at(position, Chunk::single(value, limits)),
    }
    if inside > 0 {
        join_at(chunks, position + 1, limits);
        let (_, into) = chunks.get(position).expect("an element was inserted there");
        join_at(chunks, position - into, limits);
    }
}

/// Joins the chunk that starts at `position`, if one does, with the one before it, if the limit allows it.
fn join_at(chunks: &mut BTree<Chunk>, position: u64, limits: &Limits) {
    let Some(last) = position.checked_sub(1) else {
        return;
    };
    let (Some((left, _)), Some((right, 0))) = (chunks.get(last), chunks.get(position)) else {
        return;
    };
    if left.allows_all(right, limits) {
        let right = chunks.remove_at(position).expect("the chunk is there");
        chunks.update_at(last, |left| left.append(&right));
    }
}

/// Removes up to `quota` matching elements from the front, or from the end.
fn remove_from_chunks(chunks: &mut BTree<Chunk>, needle: Needle<'_>, quota: usize, from_end: bool) -> usize {
    // First find what to remove: start of the chunk, matches to skip, matches to take.
    let mut plan: Vec<(u64, usize, usize)> = Vec::new();
    let mut left = quota;
    let mut edge = if from_end { chunks.weight() } else { 0 };
    let (walk, _) = if from_end { chunks.iter_back_from(edge.saturating_sub(1)) } else { chunks.iter_from(0) };
    for chunk in walk {
        let len = chunk.len() as u64;
        let start = if from_end { edge - len } else { edge };
        edge = if from_end { start } else { start + len };
        let found = chunk.count(needle);
        let take = found.min(left);
        if take > 0 {
            plan.push((start, if from_end { found - take } else { 0 }, take));
            left -= take;
        }
        if left == 0 {
            break;
        }
    }
    if !from_end {
        plan.reverse();
    }
    // From the end on, so that the starts of the others stay where they are.
    for &(start, skip, take) in &plan {
        let (chunk, _) = chunks.get(start).expect("the chunk is there");
        if take == chunk.len() {
            chunks.remove_at(start);
        } else {
            chunks.update_at(start, |chunk| chunk.remove_matching(needle, skip, take));
        }
    }
    quota - left
}

/// Cuts the elements `start..end` out of a long list and returns the whole chunks among them.
fn cut_range(chunks: &mut BTree<Chunk>, start: usize, end: usize) -> Vec<BTree<Chunk>> {
    if start >= end {
        return Vec::new();
    }
    // Make both ends of the range starts of chunks, then cut.
    for at in [end, start] {
        if let Some((_, inside @ 1..)) = chunks.get(at as u64) {
            let tail =
                chunks.update_at(at as u64, |chunk| chunk.split_off(as_index(inside))).expect("the chunk is there");
            chunks.insert_at(at as u64, tail);
        }
    }
    let mut middle = chunks.split_off(start as u64);
    let mut rest = middle.split_off((end - start) as u64);
    if chunks.is_empty() {
        *chunks = rest;
    } else if rest.len() <= chunks.len() {
        while let Some(chunk) = rest.pop_front() {
            chunks.push_back(chunk);
        }
    } else {
        while let Some(chunk) = chunks.pop_back() {
            rest.push_front(chunk);
        }
        *chunks = rest;
    }
    vec![middle]
}
