//! Asking for the cache lines of many lookups at once.
//!
//! Why: in a big trie a lookup waits for memory several times, one step after the other. The requests of a batch are known before the first
//! is run, and their waits can overlap.
//!
//! Idea: all lookups go down together, one step each in turn; a step reads what the turn before has asked for and asks for the next line.
//!
//! ```text
//!   turn:        ask for
//!   at a node    the index byte's line -> the child's link -> the child's head and tags
//!   at a leaf    head and tags -> the entry's slot -> the entry's first two lines
//! ```
//! Limits: containers inside entries are not followed.

use super::raw::{Leaf, Link, Part, prefetch};
use super::{Trie, byte_at, tag_of};

/// How many lookups go down together: about as many as a core can have under way, with room to spare.
const WIDTH: usize = 32;

impl<H> Trie<H> {
    /// Brings the way to these hashes, and the entries there, into the cache. It changes nothing and may be left out.
    pub fn prefetch(&self, hashes: &[u64]) {
        let Some(root) = &self.root else { return };
        for chunk in hashes.chunks(WIDTH) {
            prefetch_chunk(root, chunk);
        }
    }
}

fn prefetch_chunk(root: &Link, hashes: &[u64]) {
    let mut links: [&Link; WIDTH] = [root; WIDTH];
    let mut leaves: [Option<Leaf>; WIDTH] = [None; WIDTH];
    for level in 0.. {
        let mut going = false;
        for (link, hash) in links.iter().zip(hashes) {
            if let Part::Node(node) = link.part() {
                going = true;
                prefetch(node.index_ptr().wrapping_add(usize::from(byte_at(*hash, level))));
            }
        }
        if !going {
            break;
        }
        for (link, hash) in links.iter_mut().zip(hashes) {
            if let Part::Node(node) = link.part() {
                let child = node.child(byte_at(*hash, level));
                prefetch(child.cast());
                // SAFETY: the trie is borrowed, so the node keeps its children.
                *link = unsafe { &*child };
            }
        }
        for link in &links[..hashes.len()] {
            prefetch(link.address());
        }
    }
    for ((link, leaf), hash) in links.iter().zip(&mut leaves).zip(hashes) {
        if let Part::Leaf(found) = link.part() {
            *leaf = Some(found);
            let matches = found.matches(0, tag_of(*hash));
            if matches != 0 {
                prefetch(found.slots().wrapping_add(matches.trailing_zeros() as usize).cast());
            }
        }
    }
    for (leaf, hash) in leaves.iter().zip(hashes) {
        let Some(leaf) = leaf else { continue };
        let matches = leaf.matches(0, tag_of(*hash));
        if let Some(entry) = leaf.entries().get(matches.trailing_zeros() as usize) {
            prefetch(entry.address());
            prefetch(entry.address().wrapping_add(64));
        }
    }
}
