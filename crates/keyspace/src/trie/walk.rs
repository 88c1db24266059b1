//! Walking a trie: all of it, or some of it from a cursor on.
//!
//! Why: `SCAN` promises that what is there all the time is given, and gives the place where it stopped to somebody who may come back
//! after any number of writes.
//!
//! Idea: the cursor is a position in the order of hashes: everything before it has been given. Nothing that a write does to
//! nodes and leaves moves an entry to another position, so entries that are there throughout are given exactly once.
//!
//! Limits: entries with equal 63-bit hashes are given in one call, even beyond the count asked for.

use super::raw::{Link, Node, Part, prefetch};
use super::{Trie, byte_at, ordered};
use crate::entry::Entry;
use crate::hasher::KeyHash;
use std::marker::PhantomData;

/// All entries of a trie, in no promised order.
pub struct Iter<'a> {
    /// Nodes on the way, each with the first byte not yet visited.
    nodes: Vec<(Node, usize)>,
    leaf: std::slice::Iter<'a, Entry>,
    left: usize,
    trie: PhantomData<&'a Link>,
}

impl std::fmt::Debug for Iter<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Iter").field("left", &self.left).finish_non_exhaustive()
    }
}

impl<'a> Iter<'a> {
    fn enter(&mut self, link: &Link) {
        match link.part() {
            Part::Node(node) => self.nodes.push((node, 0)),
            Part::Leaf(leaf) => {
                let entries: &'a [Entry] = leaf.entries();
                for entry in entries {
                    prefetch(entry.address());
                }
                self.leaf = entries.iter();
            }
        }
    }
}

impl<'a> Iterator for Iter<'a> {
    type Item = &'a Entry;

    #[inline]
    fn next(&mut self) -> Option<&'a Entry> {
        loop {
            if let Some(entry) = self.leaf.next() {
                self.left -= 1;
                return Some(entry);
            }
            let (node, byte) = self.nodes.last_mut()?;
            if *byte == 256 {
                self.nodes.pop();
                continue;
            }
            let (node, first) = (*node, *byte as u8);
            *byte = node.range(first).1;
            // SAFETY: the trie is borrowed as long as the iterator lives, so the child's link stays.
            self.enter(unsafe { &*node.child(first) });
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for Iter<'_> {}

impl<H> Trie<H> {
    /// All entries, in no promised order.
    pub fn iter(&self) -> Iter<'_> {
        let mut iter = Iter { nodes: Vec::new(), leaf: [].iter(), left: self.len(), trie: PhantomData };
        if let Some(root) = &self.root {
            iter.enter(root);
        }
        iter
    }
}

impl<'a, H> IntoIterator for &'a Trie<H> {
    type Item = &'a Entry;
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

/// A leaf found by a position, with the first position behind its range (0 when the range is the last).
pub(super) struct Found<'a> {
    pub(super) entries: &'a [Entry],
    pub(super) start: u64,
    pub(super) end: u64,
}

impl<H> Trie<H> {
    /// The leaf whose range holds the position.
    pub(super) fn leaf_at(&self, position: u64) -> Option<Found<'_>> {
        let mut link = self.root.as_ref()?;
        let hash = position << 1;
        let (mut level, mut start, mut end) = (0, 0u64, 0u64);
        loop {
            match link.part() {
                Part::Leaf(leaf) => {
                    return Some(Found { entries: leaf.entries(), start, end });
                }
                Part::Node(node) => {
                    let byte = byte_at(hash, level);
                    let (lo, hi) = node.range(byte);
                    let shift = 56 - 8 * level;
                    let above = if level == 0 { 0 } else { hash >> (shift + 8) << (shift + 8) };
                    // Halved upwards: a hash with an odd lowest bit belongs to no position. The end of the last range of all is 2^64,
                    // which wraps to 0.
                    start = (above | (lo as u64) << shift).wrapping_add(1) >> 1;
                    let behind = if level == 0 && hi == 256 { 0 } else { above.wrapping_add((hi as u64) << shift) };
                    end = behind.wrapping_add(1) >> 1;
                    // SAFETY: `self` keeps the node and so the child's link.
                    link = unsafe { &*node.child(byte) };
                    level += 1;
                }
            }
        }
    }
}

impl<H: KeyHash> Trie<H> {
    /// Gives entries from the cursor on, in the order of their hashes, until `count` (at least one) were given; returns the cursor to
    /// go on from, 0 when all have been given. A walk begins with cursor 0.
    pub fn scan(&self, cursor: u64, count: usize, mut f: impl FnMut(&Entry)) -> u64 {
        // A cursor comes from outside; positions have 63 bits.
        let mut position = cursor & (u64::MAX >> 1);
        let mut given = 0;
        let mut sorted: Vec<(u64, &Entry)> = Vec::new();
        while let Some(found) = self.leaf_at(position) {
            for entry in found.entries {
                prefetch(entry.address());
            }
            sorted.clear();
            sorted.extend(
                found
                    .entries
                    .iter()
                    .map(|entry| (ordered(H::hash(entry.key())) >> 1, entry))
                    .filter(|(at, _)| *at >= position),
            );
            sorted.sort_unstable_by_key(|(at, _)| *at);
            for (at, entry) in &sorted {
                if given >= count.max(1) && *at != position {
                    return *at;
                }
                f(entry);
                given += 1;
                position = *at;
            }
            position = found.end;
            if position == 0 || given >= count.max(1) {
                return position;
            }
        }
        0
    }
}
