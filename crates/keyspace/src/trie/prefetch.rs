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
//! Then the values: an entry that holds a container is followed to its ends, and to one of its members (see [`Trail`]).

use super::raw::{Leaf, Link, Part, prefetch};
use super::{Trie, byte_at, tag_of};
use crate::entry::Entry;
use crate::trail::Trail;

/// How many lookups go down together: about as many as a core can have under way, with room to spare.
const WIDTH: usize = 32;

impl<H> Trie<H> {
    /// Brings the way to these hashes, and the entries there, into the cache. It changes nothing and may be left out.
    ///
    /// Where the entry of hash number `i` is a container of members, `member(i, scored)` is asked for the hash of the member that
    /// will be looked up in it (`scored`: in a sorted set).
    pub fn prefetch(&self, hashes: &[u64], member: impl Fn(usize, bool) -> Option<u64>) {
        let Some(root) = &self.root else { return };
        for (i, hashes) in hashes.chunks(WIDTH).enumerate() {
            let mut entries = [None; WIDTH];
            prefetch_entries(&mut [root; WIDTH], hashes, &mut entries);
            if entries.iter().any(|entry| entry.is_some_and(Entry::is_object)) {
                prefetch_values(&entries, |at, scored| member(i * WIDTH + at, scored));
            }
        }
    }
}

/// Follows the entries that hold containers, all of them one step further in each turn.
fn prefetch_values(entries: &[Option<&Entry>; WIDTH], member: impl Fn(usize, bool) -> Option<u64>) {
    let mut trails = entries.map(|entry| entry.and_then(Entry::object).map_or(Trail::End, Trail::Value));
    let mut roots: [Option<(&Link, u64)>; WIDTH] = [None; WIDTH];
    let mut tables = false;
    let mut going = true;
    while going {
        going = false;
        for (at, trail) in trails.iter_mut().enumerate() {
            if let Trail::End = trail {
                continue;
            }
            going = true;
            if let Some((members, scored)) = trail.step()
                && let Some(root) = &members.root
                && let Some(hash) = member(at, scored)
            {
                prefetch(root.address());
                roots[at] = Some((root, hash));
                tables = true;
            }
        }
    }
    if tables {
        let mut found = roots.iter().flatten();
        if let Some(&(first, _)) = found.clone().next() {
            let mut links = [first; WIDTH];
            let mut hashes = [0; WIDTH];
            let count = found.clone().count();
            for (link, hash) in links.iter_mut().zip(&mut hashes) {
                if let Some(&(root, of)) = found.next() {
                    (*link, *hash) = (root, of);
                }
            }
            prefetch_entries(&mut links, &hashes[..count], &mut [None; WIDTH]);
        }
    }
}

/// Goes down from each link with its hash and gives the entries that are likely the ones looked for.
fn prefetch_entries<'a>(links: &mut [&'a Link; WIDTH], hashes: &[u64], found: &mut [Option<&'a Entry>; WIDTH]) {
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
    for ((leaf, hash), found) in leaves.iter().zip(hashes).zip(found) {
        let Some(leaf) = leaf else { continue };
        let matches = leaf.matches(0, tag_of(*hash));
        // SAFETY: the link that the leaf was reached by is borrowed for `'a`, so the leaf keeps its entries.
        let entries: &'a [Entry] = unsafe { &*std::ptr::from_ref(leaf.entries()) };
        if let Some(entry) = entries.get(matches.trailing_zeros() as usize) {
            *found = Some(entry);
            prefetch(entry.address());
            prefetch(entry.address().wrapping_add(64));
        }
    }
}
