//! The persistent hash trie: the keyspace itself, and the index of big hashes, sets and sorted sets.
//!
//! Why: a hash table pauses to grow, cannot be snapshot without copying, and needs tricks for `SCAN`. A trie ordered by hash grows
//! a leaf at a time, shares what has not changed with any number of snapshots, and has an order that a cursor can stand in.
//!
//! Idea: nodes branch on eight bits of the hash, leaves hold up to 64 entries of a range of hashes. Parts are counted; a writer
//! copies the parts on its way that somebody else holds as well, and changes all others in place.
//!
//! ```text
//!   hash:   | byte 0 | byte 1 | ... | byte 7 |      its lowest bit is ignored: 63 bits order the trie
//!
//!   node 0 (branches on byte 0)
//!     bytes 00-7f -> leaf of 40          one child may own a range of bytes while it is a leaf
//!     bytes 80-bf -> leaf of 33
//!     byte  c0    -> node 1 (branches on byte 1) -> ...
//!     bytes c1-ff -> leaf of 51
//!
//!   leaf full:  owns several bytes -> its range is cut in two
//!               owns one byte      -> a node takes its place and it becomes the node's only child, then is cut in two
//! ```
//! Each part keeps a lower bound of the expiries below it, so that what is due is found without a second dictionary.
//!
//! Limits: keys whose 63-bit hashes are equal share a leaf that cannot be split; it is searched through its tags like any other,
//! up to 65,535 of them.

mod drain;
mod expiry;
mod prefetch;
mod raw;
mod remove;
mod sample;
#[cfg(test)]
mod tests;
mod walk;

pub use drain::Drain;
pub use walk::Iter;

use crate::entry::Entry;
use crate::hasher::{KeyHash, Seeded};
pub(crate) use raw::prefetch;
use raw::{LEAF_MAX, Leaf, Link, Node, Part, Survey};
use std::fmt;
use std::marker::PhantomData;

/// A set of entries by key. A clone is O(1) and shares everything until one side writes.
pub struct Trie<H = Seeded> {
    root: Option<Link>,
    len: usize,
    hash: PhantomData<fn() -> H>,
}

/// The bits of a hash that order the trie.
#[inline]
const fn ordered(hash: u64) -> u64 {
    hash & !1
}

/// The byte on which nodes of this level branch.
#[inline]
const fn byte_at(hash: u64, level: usize) -> u8 {
    (ordered(hash) >> (56 - 8 * level)) as u8
}

/// The byte by which a leaf tells its entries apart: the lowest one of the 63 bits, the last on which nodes would branch.
#[inline]
const fn tag_of(hash: u64) -> u8 {
    (hash >> 1) as u8
}

/// The nodes above a leaf can branch on eight bytes.
const LEVELS: usize = 8;
/// How many entries are looked at to say how much memory all of them take.
const SURVEYED_ENTRIES: usize = 10_000;

/// The way to a leaf, all of it held by this trie alone.
struct Path {
    /// The link of the node above the leaf, null when the leaf is the root.
    parent: *mut Link,
    /// The link of the leaf.
    leaf: *mut Link,
    /// How many nodes are above the leaf.
    level: usize,
}

/// Where a key is, or would be.
#[derive(Debug)]
pub enum Slot<'a, H: KeyHash = Seeded> {
    /// The trie has an entry with the key.
    Occupied(Occupied<'a>),
    /// The trie has none.
    Vacant(Vacant<'a, H>),
}

/// The place of an entry with the key asked for.
#[derive(Debug)]
pub struct Occupied<'a> {
    entry: &'a mut Entry,
    earliest: i64,
}

/// The place where an entry with the key asked for would be.
pub struct Vacant<'a, H: KeyHash = Seeded> {
    trie: &'a mut Trie<H>,
    path: Option<Path>,
    hash: u64,
    earliest: i64,
}

impl<'a> Occupied<'a> {
    /// The entry, which a snapshot may share.
    #[inline]
    pub fn get(&self) -> &Entry {
        self.entry
    }

    /// The entry, unshared.
    #[inline]
    pub fn into_mut(self) -> &'a mut Entry {
        self.entry.make_unique();
        self.entry
    }

    /// The entry as it is: its own methods unshare it where they change it, or build a new one where that is cheaper.
    #[inline]
    pub fn into_entry(self) -> &'a mut Entry {
        self.entry
    }

    /// Puts another entry with the same key here. Its expiry must not be earlier than the one given to [`Trie::slot`].
    #[inline]
    pub fn replace(&mut self, entry: Entry) -> Entry {
        assert!(entry.expire_at().is_none_or(|at| at >= self.earliest), "the slot was asked for with a later expiry");
        std::mem::replace(self.entry, entry)
    }

    /// Sets the expiry, not earlier than the one given to [`Trie::slot`].
    #[inline]
    pub fn set_expire(&mut self, expire: Option<i64>) {
        assert!(expire.is_none_or(|at| at >= self.earliest), "the slot was asked for with a later expiry");
        self.entry.set_expire(expire);
    }
}

impl<'a, H: KeyHash> Vacant<'a, H> {
    /// Puts an entry with the key here. Its expiry must not be earlier than the one given to [`Trie::slot`].
    #[inline]
    pub fn insert(self, entry: Entry) -> &'a mut Entry {
        assert!(entry.expire_at().is_none_or(|at| at >= self.earliest), "the slot was asked for with a later expiry");
        debug_assert_eq!(ordered(H::hash(entry.key())), ordered(self.hash), "an entry goes where its hash says");
        self.trie.len += 1;
        let path = match self.path {
            Some(path) => path,
            None => {
                let root = self.trie.root.insert(Leaf::with_capacity(1).into_link());
                Path { parent: std::ptr::null_mut(), leaf: root, level: 0 }
            }
        };
        Trie::<H>::push(path, self.hash, entry)
    }
}

impl<H: KeyHash> fmt::Debug for Vacant<'_, H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Vacant").field("hash", &self.hash).finish_non_exhaustive()
    }
}

impl<H> Trie<H> {
    /// A trie without entries; it allocates nothing.
    pub const fn new() -> Trie<H> {
        Trie { root: None, len: 0, hash: PhantomData }
    }

    /// How many entries there are.
    #[inline]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no entry.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Bytes of all nodes, leaves and entries, with the allocator's rounding. Shared parts count in full. Beyond
    /// [`SURVEYED_ENTRIES`] it is estimated from as many: hashes spread the entries evenly over the trie.
    pub fn memory_usage(&self) -> usize {
        let mut entry_bytes = 0;
        let survey = self.survey(|entry| entry_bytes += entry.memory_usage());
        self.scaled(survey.part_bytes + entry_bytes, survey.entries)
    }

    /// Bytes of all nodes and leaves without the entries, estimated as in [`Trie::memory_usage`].
    pub fn part_bytes(&self) -> usize {
        let survey = self.survey(|_| {});
        self.scaled(survey.part_bytes, survey.entries)
    }

    fn survey(&self, mut visit: impl FnMut(&Entry)) -> Survey {
        let mut survey = Survey::default();
        if let Some(root) = &self.root {
            root.survey(SURVEYED_ENTRIES, &mut survey, &mut visit);
        }
        survey
    }

    /// What `entries` of the entries take, for all of them.
    fn scaled(&self, bytes: usize, entries: usize) -> usize {
        if entries == self.len { bytes } else { (bytes as f64 * self.len as f64 / entries as f64) as usize }
    }

    /// The entry with this key.
    #[inline]
    pub fn find(&self, hash: u64, key: &[u8]) -> Option<&Entry> {
        let mut link = self.root.as_ref()?;
        let mut level = 0;
        loop {
            match link.part() {
                Part::Node(node) => {
                    // SAFETY: the child's link lives as long as the node, which `self` keeps.
                    link = unsafe { &*node.child(byte_at(hash, level)) };
                    level += 1;
                }
                Part::Leaf(leaf) => {
                    // SAFETY: `find` returns the number of an initialised slot, and `self` keeps the leaf.
                    return leaf.find(tag_of(hash), key).map(|at| unsafe { &*leaf.slots().add(at) });
                }
            }
        }
    }

    /// Goes down to the leaf for `hash`, unsharing what it passes and lowering bounds to `earliest`.
    #[inline]
    fn descend(root: &mut Link, hash: u64, earliest: i64) -> Path {
        let mut path = Path { parent: std::ptr::null_mut(), leaf: root, level: 0 };
        loop {
            // SAFETY: the link is inside a part that this trie alone holds (or is the root), and no other reference to it is in use.
            let link = unsafe { &mut *path.leaf };
            link.make_unique();
            match link.part() {
                Part::Node(node) => {
                    if earliest != i64::MAX {
                        node.lower_bound(earliest);
                    }
                    path =
                        Path { parent: path.leaf, leaf: node.child(byte_at(hash, path.level)), level: path.level + 1 };
                }
                Part::Leaf(leaf) => {
                    if earliest != i64::MAX {
                        leaf.lower_bound(earliest);
                    }
                    return path;
                }
            }
        }
    }
}

impl<H: KeyHash> Trie<H> {
    /// The entry with this key, unshared from snapshots, with the way to it.
    #[inline]
    pub fn find_mut(&mut self, hash: u64, key: &[u8]) -> Option<&mut Entry> {
        match self.slot(hash, key, None) {
            Slot::Occupied(occupied) => Some(occupied.into_mut()),
            Slot::Vacant(_) => None,
        }
    }

    /// The place of a key, found in one descent. `earliest` is the earliest expiry that will be given to the entry
    /// there (in Unix milliseconds); entries without expiry need none.
    #[inline]
    pub fn slot(&mut self, hash: u64, key: &[u8], earliest: Option<i64>) -> Slot<'_, H> {
        let earliest = earliest.unwrap_or(i64::MAX);
        let Some(root) = &mut self.root else {
            return Slot::Vacant(Vacant { trie: self, path: None, hash, earliest });
        };
        let path = Self::descend(root, hash, earliest);
        // SAFETY: the path was just made and nothing has changed since.
        let Part::Leaf(leaf) = (unsafe { (*path.leaf).part() }) else { unreachable!("a path ends in a leaf") };
        match leaf.find(tag_of(hash), key) {
            Some(at) => {
                // SAFETY: the slot is initialised, inside a leaf that this trie alone holds, and `self` stays borrowed as long as the entry.
                let entry = unsafe { &mut *leaf.slots().add(at) };
                Slot::Occupied(Occupied { entry, earliest })
            }
            None => Slot::Vacant(Vacant { trie: self, path: Some(path), hash, earliest }),
        }
    }

    /// Puts an entry in, under the hash of its key; returns the one with the same key that it replaces.
    pub fn insert(&mut self, hash: u64, entry: Entry) -> Option<Entry> {
        let expire = entry.expire_at();
        match self.slot(hash, entry.key(), expire) {
            Slot::Occupied(mut occupied) => Some(occupied.replace(entry)),
            Slot::Vacant(vacant) => {
                vacant.insert(entry);
                None
            }
        }
    }

    /// Sets (or takes away) the expiry of an entry, in Unix milliseconds; returns the entry.
    pub fn set_expire(&mut self, hash: u64, key: &[u8], expire: Option<i64>) -> Option<&mut Entry> {
        match self.slot(hash, key, expire) {
            Slot::Occupied(mut occupied) => {
                occupied.set_expire(expire);
                Some(occupied.into_entry())
            }
            Slot::Vacant(_) => None,
        }
    }

    /// Puts an entry into the leaf at the end of the path, growing or splitting it as needed.
    #[inline]
    fn push<'a>(mut path: Path, hash: u64, entry: Entry) -> &'a mut Entry {
        loop {
            // SAFETY: the path leads to a leaf that the trie alone holds, and no other reference to its link is in use.
            let link = unsafe { &mut *path.leaf };
            let Part::Leaf(mut leaf) = link.part() else { unreachable!("a path ends in a leaf") };
            let len = leaf.len();
            if len == leaf.cap() {
                if len >= LEAF_MAX && Self::split(&mut path, hash) {
                    continue;
                }
                leaf = link.resize_leaf(len + 1);
            }
            leaf.push(tag_of(hash), entry);
            // SAFETY: the slot was just initialised.
            return unsafe { &mut *leaf.slots().add(len) };
        }
    }

    /// Cuts the range of the full leaf at the end of the path in two, and lets the path lead to the half for `hash`.
    /// False when the range is a single hash.
    #[cold]
    #[inline(never)]
    fn split(path: &mut Path, hash: u64) -> bool {
        // SAFETY: every link on the path is inside a part that the trie alone holds, and no other reference to them is in use here.
        unsafe {
            let owned = |path: &Path| match (!path.parent.is_null()).then(|| (*path.parent).part()) {
                Some(Part::Node(node)) => node.range(byte_at(hash, path.level - 1)),
                _ => (0, 1),
            };
            let (mut lo, mut hi) = owned(path);
            if hi - lo == 1 {
                if path.level == LEVELS {
                    return false;
                }
                let node = Node::around(path.leaf.read());
                path.leaf.write(node.into_link());
                *path = Path { parent: path.leaf, leaf: node.child(0), level: path.level + 1 };
                (lo, hi) = (0, 256);
            }
            let middle = (lo + hi) / 2;
            let right = Self::cut(&mut *path.leaf, path.level - 1, middle);
            Node::add_child(&mut *path.parent, middle, hi, right.into_link());
            // The node may have moved, and the entry to come may belong to the new half.
            let Part::Node(node) = (*path.parent).part() else { unreachable!("a parent is a node") };
            path.leaf = node.child(byte_at(hash, path.level - 1));
            true
        }
    }

    /// Moves the entries whose byte at `level` is `middle` or above into a new leaf.
    fn cut(link: &mut Link, level: usize, middle: usize) -> Leaf {
        let Part::Leaf(leaf) = link.part() else { unreachable!("only leaves are cut") };
        let entries = leaf.entries();
        for entry in entries {
            prefetch(entry.address());
        }
        assert!(entries.len() <= LEAF_MAX, "a leaf with more than one hash never holds more");
        let mut to_right = [false; LEAF_MAX];
        let (mut bound, mut count) = (i64::MAX, 0);
        for (entry, right) in entries.iter().zip(&mut to_right) {
            *right = usize::from(byte_at(H::hash(entry.key()), level)) >= middle;
            if *right {
                count += 1;
            } else {
                bound = bound.min(entry.expire_at().unwrap_or(i64::MAX));
            }
        }
        // Never room for more than can be split: all entries may have gone to one side, which is then cut again.
        let right = Leaf::with_capacity((count + 1).min(LEAF_MAX));
        // From the end, so that the entry that fills a gap is one that stays.
        for at in (0..leaf.len()).rev() {
            if to_right[at] {
                // SAFETY: `at` is below the length, and tags are read before the entry leaves.
                let tag = unsafe { *leaf.tags().add(at) };
                right.push(tag, leaf.swap_remove(at));
            }
        }
        leaf.set_bound(bound);
        link.resize_leaf((leaf.len() + 1).min(LEAF_MAX));
        right
    }
}

impl<H> Default for Trie<H> {
    fn default() -> Self {
        Trie::new()
    }
}

impl<H> Clone for Trie<H> {
    fn clone(&self) -> Self {
        Trie { root: self.root.clone(), len: self.len, hash: PhantomData }
    }
}

impl<H> fmt::Debug for Trie<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}
