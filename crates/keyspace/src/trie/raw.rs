//! The memory of nodes and leaves.
//!
//! ```text
//!   leaf:  refs u32 | len u16 | cap u16 | bound i64 | tags, one byte for each entry | entries, one pointer each
//!          0          4         6         8           16                              16 + tag_room(cap)
//!   node:  refs u32 | len u16 | cap u16 | bound i64 | index, 256 bytes              | children, one link each
//!          0          4         6         8           16                              272
//! ```
//! A link is a pointer whose lowest bit tells a node (1) from a leaf (0). `index[byte]` is the number of the child that owns
//! the byte; the bytes of one child are neighbours, and a child that is a node owns exactly one.
//! `bound` is a lower bound of the expiries below (`i64::MAX`: none).
//!
//! A `Leaf` or `Node` here is a bare handle: whoever makes one from a `Link` keeps that link in place while using it.
//! Changing anything but a bound takes a part that nobody else holds (`Link::make_unique`).
//!
//! Limits: more than 65,535 keys with one and the same 63-bit hash are refused by a panic; a keyed hash never gets there.

use crate::entry::Entry;
use crate::size_class::size_class;
use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicI64, AtomicU32, Ordering, fence};

/// The most entries in a leaf that can still be split.
pub(crate) const LEAF_MAX: usize = 64;

/// What leaves and nodes begin with.
#[repr(C)]
pub(crate) struct Head {
    refs: AtomicU32,
    len: u16,
    cap: u16,
    bound: AtomicI64,
}

const HEAD: usize = size_of::<Head>();
const CHILDREN_AT: usize = HEAD + 256;
const _: () = assert!(HEAD == 16);
const _: () = assert!(size_of::<Entry>() == 8 && size_of::<Link>() == 8);

/// An owning, counted link to a leaf or a node.
#[repr(transparent)]
pub(crate) struct Link(NonNull<u8>);

// SAFETY: counts and bounds are atomic, the rest changes only through `&mut` of a sole holder, entries are Send and Sync.
unsafe impl Send for Link {}
// SAFETY: as above.
unsafe impl Sync for Link {}

/// What a link leads to.
#[derive(Clone, Copy)]
pub(crate) enum Part {
    Leaf(Leaf),
    Node(Node),
}

#[derive(Clone, Copy)]
pub(crate) struct Leaf(NonNull<Head>);

#[derive(Clone, Copy)]
pub(crate) struct Node(NonNull<Head>);

fn allocate(layout: Layout, cap: usize) -> NonNull<Head> {
    // SAFETY: the layout holds at least the head.
    let raw = unsafe { alloc_zeroed(layout) };
    let Some(head) = NonNull::new(raw.cast::<Head>()) else { handle_alloc_error(layout) };
    let cap = u16::try_from(cap).expect("fewer than 65,536 keys share a 63-bit hash");
    // SAFETY: the allocation is fresh, aligned and at least as long as the head.
    unsafe { head.write(Head { refs: AtomicU32::new(1), len: 0, cap, bound: AtomicI64::new(i64::MAX) }) };
    head
}

#[inline]
fn lower(bound: &AtomicI64, at: i64) {
    // Only the thread that writes the trie changes bounds, so a load and a store are enough.
    if at < bound.load(Ordering::Relaxed) {
        bound.store(at, Ordering::Relaxed);
    }
}

/// Bytes kept for tags: whole words for the search to load.
#[inline]
fn tag_room(cap: usize) -> usize {
    if cap <= 8 { 8 } else { (cap + 15) & !15 }
}

fn leaf_layout(cap: usize) -> Layout {
    let len = HEAD + tag_room(cap) + cap * 8;
    Layout::from_size_align(size_class(len), 8).expect("a leaf is small")
}

fn node_layout(cap: usize) -> Layout {
    Layout::from_size_align(size_class(CHILDREN_AT + cap * 8), 8).expect("a node is small")
}

/// The smallest leaf capacity that holds `len` entries. The steps fill the allocator's classes well.
pub(crate) fn leaf_cap(len: usize) -> usize {
    const CAPS: [usize; 10] = [2, 4, 8, 12, 16, 24, 32, 40, 48, LEAF_MAX];
    match CAPS.iter().find(|cap| **cap >= len) {
        Some(cap) => *cap,
        // Only leaves of equal hashes get here.
        None => len.next_power_of_two().min(u16::MAX as usize).max(len),
    }
}

/// The smallest node capacity for `len` children; each fills a class of the allocator.
fn node_cap(len: usize) -> usize {
    const CAPS: [usize; 11] = [6, 14, 30, 46, 62, 78, 94, 126, 158, 190, 222];
    CAPS.iter().copied().find(|cap| *cap >= len).unwrap_or(256)
}

impl Leaf {
    pub(crate) fn with_capacity(len: usize) -> Leaf {
        let cap = leaf_cap(len);
        Leaf(allocate(leaf_layout(cap), cap))
    }

    pub(crate) fn into_link(self) -> Link {
        Link(self.0.cast())
    }

    #[inline]
    fn head(&self) -> &Head {
        // SAFETY: the handle's user keeps the part alive; see the module's header.
        unsafe { self.0.as_ref() }
    }

    #[inline]
    pub(crate) fn len(self) -> usize {
        usize::from(self.head().len)
    }

    #[inline]
    pub(crate) fn cap(self) -> usize {
        usize::from(self.head().cap)
    }

    #[inline]
    pub(crate) fn bound(self) -> i64 {
        self.head().bound.load(Ordering::Relaxed)
    }

    pub(crate) fn set_bound(self, at: i64) {
        self.head().bound.store(at, Ordering::Relaxed);
    }

    #[inline]
    pub(crate) fn lower_bound(self, at: i64) {
        lower(&self.head().bound, at);
    }

    fn set_len(self, len: usize) {
        // SAFETY: callers hold the leaf alone.
        unsafe { (*self.0.as_ptr()).len = len as u16 };
    }

    #[inline]
    pub(crate) fn tags(self) -> *mut u8 {
        // SAFETY: the tags follow the head in the same allocation.
        unsafe { self.0.as_ptr().cast::<u8>().add(HEAD) }
    }

    #[inline]
    pub(crate) fn slots(self) -> *mut Entry {
        // SAFETY: the slots follow the room of the tags in the same allocation, aligned to 8.
        unsafe { self.0.as_ptr().cast::<u8>().add(HEAD + tag_room(self.cap())).cast() }
    }

    /// The entries. The caller keeps the link that leads here as long as `'a`.
    #[inline]
    pub(crate) fn entries<'a>(self) -> &'a [Entry] {
        // SAFETY: the first `len` slots are initialised, and the caller keeps the leaf alive and unchanged.
        unsafe { std::slice::from_raw_parts(self.slots(), self.len()) }
    }

    /// Where in the leaf the key is.
    #[inline]
    pub(crate) fn find(self, tag: u8, key: &[u8]) -> Option<usize> {
        let len = self.len();
        let mut start = 0;
        loop {
            let mut matches = self.matches(start, tag);
            if len - start < 64 {
                matches &= (1 << (len - start)) - 1;
            }
            while matches != 0 {
                let at = start + matches.trailing_zeros() as usize;
                // SAFETY: `at` is below `len`, so the slot is initialised.
                if unsafe { (*self.slots().add(at)).key() } == key {
                    return Some(at);
                }
                matches &= matches - 1;
            }
            start += 64;
            if start >= len {
                return None;
            }
        }
    }

    /// A bit for each of the 64 tags from `start` on (as far as the room for tags goes) that equals `tag`.
    #[inline]
    pub(crate) fn matches(self, start: usize, tag: u8) -> u64 {
        let cap = self.cap();
        if cap <= 8 {
            // SAFETY: a leaf of this size has eight initialised bytes of tags.
            let word = unsafe { self.tags().cast::<u64>().read_unaligned() };
            return search::eight(word, tag);
        }
        // SAFETY: each group of sixteen lies inside the room of the tags, which is initialised in full.
        let group = |at: usize| unsafe { search::sixteen(self.tags().add(start + at), tag) << at };
        let room = cap - start;
        let mut matches = group(0);
        if room > 16 {
            matches |= group(16);
            if room > 32 {
                matches |= group(32);
                if room > 48 {
                    matches |= group(48);
                }
            }
        }
        matches
    }

    /// Puts an entry at the end. The caller holds the leaf alone and has seen that there is room.
    #[inline]
    pub(crate) fn push(self, tag: u8, entry: Entry) {
        let len = self.len();
        assert!(len < self.cap(), "a leaf grows before it overflows");
        if let Some(at) = entry.expire_at() {
            self.lower_bound(at);
        }
        // SAFETY: the slot and its tag are inside the allocation; a slot at `len` is not initialised, so nothing is lost.
        unsafe {
            self.tags().add(len).write(tag);
            self.slots().add(len).write(entry);
        }
        self.set_len(len + 1);
    }

    /// Takes an entry out; the last one takes its place. The caller holds the leaf alone.
    pub(crate) fn swap_remove(self, at: usize) -> Entry {
        let last = self.len() - 1;
        assert!(at <= last, "an entry is taken from where it was found");
        self.set_len(last);
        // SAFETY: both slots are initialised; the one at `last` is not reached any more after the move.
        unsafe {
            let entry = self.slots().add(at).read();
            if at != last {
                self.slots().add(at).copy_from_nonoverlapping(self.slots().add(last), 1);
                *self.tags().add(at) = *self.tags().add(last);
            }
            entry
        }
    }

    /// A leaf with room for `len` entries that takes over the entries of this one, whose memory is given back.
    /// The caller holds this one alone and puts the new one in its place without dropping the old link.
    fn moved(self, len: usize) -> Leaf {
        let new = Leaf::with_capacity(len);
        let count = self.len();
        // SAFETY: the entries and tags are moved bit by bit into a leaf with room for them; the old memory is given back without
        // dropping them, and its handle is not used again.
        unsafe {
            new.tags().copy_from_nonoverlapping(self.tags(), count);
            new.slots().copy_from_nonoverlapping(self.slots(), count);
            new.set_len(count);
            new.set_bound(self.bound());
            dealloc(self.0.as_ptr().cast(), leaf_layout(self.cap()));
        }
        new
    }

    fn copied(self) -> Leaf {
        let new = Leaf::with_capacity(self.len());
        let entries = self.entries();
        for entry in entries {
            // Counting touches every entry; asking for them at once lets the misses overlap.
            prefetch(entry.address());
        }
        for (at, entry) in entries.iter().enumerate() {
            // SAFETY: the new leaf has room for as many.
            unsafe {
                *new.tags().add(at) = *self.tags().add(at);
                new.slots().add(at).write(entry.clone());
            }
        }
        new.set_len(entries.len());
        new.set_bound(self.bound());
        new
    }
}

impl Node {
    /// A node of one child that owns all 256 bytes.
    pub(crate) fn around(child: Link) -> Node {
        let node = Node(allocate(node_layout(6), 6));
        node.lower_bound(child.bound());
        // SAFETY: the fresh node has room for six children.
        unsafe { node.children().write(child) };
        node.set_len(1);
        node
    }

    pub(crate) fn into_link(self) -> Link {
        Link(self.0.cast::<u8>().map_addr(|addr| addr | 1))
    }

    #[inline]
    fn head(&self) -> &Head {
        // SAFETY: the handle's user keeps the part alive; see the module's header.
        unsafe { self.0.as_ref() }
    }

    #[inline]
    pub(crate) fn len(self) -> usize {
        usize::from(self.head().len)
    }

    #[inline]
    pub(crate) fn bound(self) -> i64 {
        self.head().bound.load(Ordering::Relaxed)
    }

    pub(crate) fn set_bound(self, at: i64) {
        self.head().bound.store(at, Ordering::Relaxed);
    }

    #[inline]
    pub(crate) fn lower_bound(self, at: i64) {
        lower(&self.head().bound, at);
    }

    fn set_len(self, len: usize) {
        // SAFETY: callers hold the node alone.
        unsafe { (*self.0.as_ptr()).len = len as u16 };
    }

    #[inline]
    pub(crate) fn index_ptr(self) -> *mut u8 {
        // SAFETY: the index follows the head in the same allocation.
        unsafe { self.0.as_ptr().cast::<u8>().add(HEAD) }
    }

    #[inline]
    pub(crate) fn index(self, byte: u8) -> u8 {
        // SAFETY: the index has 256 bytes.
        unsafe { *self.index_ptr().add(usize::from(byte)) }
    }

    #[inline]
    fn children(self) -> *mut Link {
        // SAFETY: the children follow the index in the same allocation, aligned to 8.
        unsafe { self.0.as_ptr().cast::<u8>().add(CHILDREN_AT).cast() }
    }

    /// Where the link of the child that owns the byte is.
    #[inline]
    pub(crate) fn child(self, byte: u8) -> *mut Link {
        // SAFETY: the index only holds numbers of children.
        unsafe { self.children().add(usize::from(self.index(byte))) }
    }

    /// The bytes that the child of `byte` owns: from the first to one behind the last.
    pub(crate) fn range(self, byte: u8) -> (usize, usize) {
        // SAFETY: the index has 256 bytes, and the caller keeps the node alive and unchanged meanwhile.
        let index = unsafe { &*self.index_ptr().cast::<[u8; 256]>() };
        let owner = index[usize::from(byte)];
        let (mut lo, mut hi) = (usize::from(byte), usize::from(byte) + 1);
        while lo > 0 && index[lo - 1] == owner {
            lo -= 1;
        }
        while hi < 256 && index[hi] == owner {
            hi += 1;
        }
        (lo, hi)
    }

    /// Hands the bytes `lo..hi` to a new child. The caller holds the node alone; the node may move, so it is given by its link.
    pub(crate) fn add_child(link: &mut Link, lo: usize, hi: usize, child: Link) {
        let Part::Node(mut node) = link.part() else { unreachable!("only nodes have children") };
        let count = node.len();
        if count == usize::from(node.head().cap) {
            node = node.moved(count + 1);
            // SAFETY: the old memory was given back by `moved`, so its link must not be dropped.
            unsafe { std::ptr::write(link, node.into_link()) };
        }
        // SAFETY: there is room for one more child, `lo..hi` is inside the index, and nobody else holds the node.
        unsafe {
            node.children().add(count).write(child);
            node.index_ptr().add(lo).write_bytes(count as u8, hi - lo);
        }
        node.set_len(count + 1);
    }

    /// Takes out the child that owns `byte`; the child that owns `heir` gets its bytes. The caller holds the node alone.
    pub(crate) fn remove_child(self, byte: u8, heir: u8) -> Link {
        let (gone, heir, last) = (self.index(byte), self.index(heir), self.len() - 1);
        assert!(gone != heir, "a child cannot inherit from itself");
        // SAFETY: nobody else holds the node; the index has 256 bytes, and both child numbers are below `len`.
        unsafe {
            for slot in std::slice::from_raw_parts_mut(self.index_ptr(), 256) {
                if *slot == gone {
                    *slot = heir;
                }
                if usize::from(*slot) == last {
                    *slot = gone;
                }
            }
            let link = self.children().add(usize::from(gone)).read();
            if usize::from(gone) != last {
                self.children().add(usize::from(gone)).copy_from_nonoverlapping(self.children().add(last), 1);
            }
            self.set_len(last);
            link
        }
    }

    /// Takes the only child out of the node at `link`, leaving an empty leaf in the place of the node.
    pub(crate) fn take_only_child(link: &mut Link) -> Link {
        let Part::Node(node) = link.part() else { unreachable!("only nodes have children") };
        assert!(node.len() == 1 && link.is_unique(), "the node has one child and one holder");
        // SAFETY: the child's link is moved out, and the node's length says so before the node is dropped.
        unsafe {
            let child = node.children().read();
            node.set_len(0);
            *link = Leaf::with_capacity(0).into_link();
            child
        }
    }

    /// The children by number. The caller keeps the link that leads here, and the node unchanged, as long as `'a`.
    #[inline]
    pub(crate) fn all<'a>(self) -> &'a [Link] {
        // SAFETY: the first `len` children are initialised, and the caller keeps the node alive and unchanged.
        unsafe { std::slice::from_raw_parts(self.children(), self.len()) }
    }

    /// The smallest bound of the children.
    pub(crate) fn children_bound(self) -> i64 {
        self.all().iter().map(Link::bound).min().unwrap_or(i64::MAX)
    }

    fn moved(self, len: usize) -> Node {
        let cap = node_cap(len);
        let new = Node(allocate(node_layout(cap), cap));
        // SAFETY: links and index are moved bit by bit into a node with room for them; the old memory is given back without
        // dropping them, and its handle is not used again.
        unsafe {
            new.index_ptr().copy_from_nonoverlapping(self.index_ptr(), 256);
            new.children().copy_from_nonoverlapping(self.children(), self.len());
            new.set_len(self.len());
            new.set_bound(self.bound());
            dealloc(self.0.as_ptr().cast(), node_layout(usize::from(self.head().cap)));
        }
        new
    }

    fn copied(self) -> Node {
        let cap = node_cap(self.len());
        let new = Node(allocate(node_layout(cap), cap));
        // SAFETY: the new node has room for the index and as many children; the old one is not changed while it is shared.
        unsafe {
            new.index_ptr().copy_from_nonoverlapping(self.index_ptr(), 256);
            for at in 0..self.len() {
                prefetch((*self.children().add(at)).0.as_ptr());
            }
            for at in 0..self.len() {
                new.children().add(at).write((*self.children().add(at)).clone());
            }
        }
        new.set_len(self.len());
        new.set_bound(self.bound());
        new
    }
}

impl Link {
    #[inline]
    fn head_ptr(&self) -> NonNull<Head> {
        // SAFETY: clearing the lowest bit of a pointer to an aligned allocation leaves it non-null.
        unsafe { NonNull::new_unchecked(self.0.as_ptr().map_addr(|addr| addr & !1).cast()) }
    }

    #[inline]
    fn head(&self) -> &Head {
        // SAFETY: the link holds a count, so the part is alive.
        unsafe { self.head_ptr().as_ref() }
    }

    #[inline]
    pub(crate) fn address(&self) -> *const u8 {
        self.head_ptr().as_ptr().cast()
    }

    #[inline]
    pub(crate) fn is_node(&self) -> bool {
        self.0.addr().get() & 1 == 1
    }

    /// A bare handle of what the link leads to.
    #[inline]
    pub(crate) fn part(&self) -> Part {
        if self.is_node() { Part::Node(Node(self.head_ptr())) } else { Part::Leaf(Leaf(self.head_ptr())) }
    }

    #[inline]
    pub(crate) fn bound(&self) -> i64 {
        self.head().bound.load(Ordering::Relaxed)
    }

    #[inline]
    pub(crate) fn is_unique(&self) -> bool {
        self.head().refs.load(Ordering::Acquire) == 1
    }

    /// Makes this link the only one to its part, by a copy if it is not.
    #[inline]
    pub(crate) fn make_unique(&mut self) {
        if !self.is_unique() {
            self.unshare();
        }
    }

    #[cold]
    #[inline(never)]
    fn unshare(&mut self) {
        *self = match self.part() {
            Part::Leaf(leaf) => leaf.copied().into_link(),
            Part::Node(node) => node.copied().into_link(),
        };
    }

    /// Gives the leaf here, which nobody else holds, room for `len` entries.
    pub(crate) fn resize_leaf(&mut self, len: usize) -> Leaf {
        let Part::Leaf(leaf) = self.part() else { unreachable!("only leaves are resized") };
        let leaf = leaf.moved(len);
        // SAFETY: the old memory was given back by `moved`, so its link must not be dropped.
        unsafe { std::ptr::write(self, leaf.into_link()) };
        leaf
    }

    /// Pushes the children onto `stack`, the first last. A sole holder's links are moved, otherwise they are shared.
    pub(crate) fn unpack(self, stack: &mut Vec<Link>) {
        let Part::Node(node) = self.part() else { unreachable!("only nodes have children") };
        let unique = self.is_unique();
        let mut byte = 256;
        while byte > 0 {
            byte = node.range((byte - 1) as u8).0;
            // SAFETY: `byte` is the first one of a child; a child is read bit by bit only if the node is given up below.
            let child =
                unsafe { if unique { node.child(byte as u8).read() } else { (*node.child(byte as u8)).clone() } };
            stack.push(child);
        }
        if unique {
            // SAFETY: every child has moved to the stack, so only the node's own memory is left to give back.
            unsafe { dealloc(node.0.as_ptr().cast(), node_layout(usize::from(node.head().cap))) };
            std::mem::forget(self);
        }
    }

    /// Walks parts in the order of their hashes until `entries_max` entries or a few more have been met.
    pub(crate) fn survey(&self, entries_max: usize, survey: &mut Survey, visit: &mut impl FnMut(&Entry)) {
        if survey.entries >= entries_max {
            return;
        }
        match self.part() {
            Part::Leaf(leaf) => {
                survey.part_bytes += leaf_layout(leaf.cap()).size();
                survey.entries += leaf.len();
                leaf.entries().iter().for_each(visit);
            }
            Part::Node(node) => {
                survey.part_bytes += node_layout(usize::from(node.head().cap)).size();
                for child in node.all() {
                    child.survey(entries_max, survey, visit);
                }
            }
        }
    }
}

/// What a walk over some of the parts has met.
#[derive(Debug, Default)]
pub(crate) struct Survey {
    /// Bytes of the nodes and leaves.
    pub(crate) part_bytes: usize,
    /// How many entries.
    pub(crate) entries: usize,
}

impl Clone for Link {
    #[inline]
    fn clone(&self) -> Link {
        // Relaxed is enough: whoever clones holds a count already.
        self.head().refs.fetch_add(1, Ordering::Relaxed);
        Link(self.0)
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        let refs = &self.head().refs;
        if refs.load(Ordering::Acquire) != 1 {
            if refs.fetch_sub(1, Ordering::Release) != 1 {
                return;
            }
            fence(Ordering::Acquire);
        }
        // SAFETY: this was the last holder; the first `len` slots or children are initialised and are dropped once, and the memory
        // was allocated with the layout of the capacity.
        unsafe {
            match self.part() {
                Part::Leaf(leaf) => {
                    for entry in leaf.entries() {
                        prefetch(entry.address());
                    }
                    std::ptr::drop_in_place(std::ptr::slice_from_raw_parts_mut(leaf.slots(), leaf.len()));
                    dealloc(leaf.0.as_ptr().cast(), leaf_layout(leaf.cap()));
                }
                Part::Node(node) => {
                    std::ptr::drop_in_place(std::ptr::slice_from_raw_parts_mut(node.children(), node.len()));
                    dealloc(node.0.as_ptr().cast(), node_layout(usize::from(node.head().cap)));
                }
            }
        }
    }
}

/// Asks for a cache line without waiting for it.
#[inline]
pub(crate) fn prefetch(address: *const u8) {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    // SAFETY: prefetching has no effect on memory, whatever the address.
    unsafe {
        std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T0 }>(address.cast());
    }
    #[cfg(not(all(target_arch = "x86_64", not(miri))))]
    let _ = address;
}

/// The search for a byte among tags.
mod search {
    /// A bit for each byte of the word that equals `tag`.
    #[inline]
    pub(super) fn eight(word: u64, tag: u8) -> u64 {
        const LOW: u64 = 0x0101_0101_0101_0101;
        const LOW7: u64 = 0x7f7f_7f7f_7f7f_7f7f;
        let differs = word ^ (u64::from(tag) * LOW);
        // The top bit of each byte becomes 1 exactly where the byte is zero; no carry crosses bytes.
        let zero = !(((differs & LOW7) + LOW7) | differs | LOW7);
        // Gathers the eight top bits into the lowest byte.
        (zero >> 7).wrapping_mul(0x0102_0408_1020_4080) >> 56
    }

    /// A bit for each of the sixteen bytes at `tags` that equals `tag`.
    ///
    /// # Safety
    /// Sixteen initialised bytes must be readable at `tags`.
    #[inline]
    #[cfg(target_arch = "x86_64")]
    pub(super) unsafe fn sixteen(tags: *const u8, tag: u8) -> u64 {
        use std::arch::x86_64::{__m128i, _mm_cmpeq_epi8, _mm_loadu_si128, _mm_movemask_epi8, _mm_set1_epi8};
        // SAFETY: SSE2 is part of x86_64, and the caller vouches for the bytes.
        unsafe {
            let group = _mm_loadu_si128(tags.cast::<__m128i>());
            u64::from(_mm_movemask_epi8(_mm_cmpeq_epi8(group, _mm_set1_epi8(tag as i8))) as u16)
        }
    }

    /// A bit for each of the sixteen bytes at `tags` that equals `tag`.
    ///
    /// # Safety
    /// Sixteen initialised bytes must be readable at `tags`.
    #[inline]
    #[cfg(not(target_arch = "x86_64"))]
    pub(super) unsafe fn sixteen(tags: *const u8, tag: u8) -> u64 {
        // SAFETY: the caller vouches for the bytes.
        let (low, high) = unsafe { (tags.cast::<u64>().read_unaligned(), tags.add(8).cast::<u64>().read_unaligned()) };
        eight(u64::from_le(low), tag) | eight(u64::from_le(high), tag) << 8
    }

    #[cfg(test)]
    mod tests {
        #[test]
        fn both_searches_find_exactly_the_equal_bytes() {
            let mut bytes = [0u8; 16];
            for round in 0..4096u32 {
                for (at, byte) in bytes.iter_mut().enumerate() {
                    *byte = (round.wrapping_mul(2_654_435_761).rotate_left(at as u32 * 3) & 0x83) as u8;
                }
                for tag in [0, 1, 2, 3, 0x80, 0x81, 0x83, 0xff] {
                    let want = bytes.iter().rev().fold(0, |bits, byte| bits << 1 | u64::from(*byte == tag));
                    let word = u64::from_le_bytes(bytes[..8].try_into().unwrap());
                    assert_eq!(super::eight(word, tag), want & 0xff, "{bytes:x?} {tag:x}");
                    // SAFETY: the array has sixteen bytes.
                    assert_eq!(unsafe { super::sixteen(bytes.as_ptr(), tag) }, want);
                }
            }
        }
    }
}
