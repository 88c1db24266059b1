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
//! Then the values: an entry that holds a container is followed to an end, and to one of its members (see [`Trail`]).

use super::raw::{Leaf, Link, Part, prefetch};
use super::{Trie, byte_at, tag_of};
use crate::entry::Entry;
use crate::trail::{End, Intents, Sought, Trail};

/// How many lookups go down together: about as many as a core can have under way, with room to spare.
const WIDTH: usize = 32;

impl<H> Trie<H> {
    /// Brings the way to these hashes, and the entries there, into the cache. It changes nothing and may be left out.
    /// `intents` are asked about the hashes whose entries are containers.
    pub fn prefetch(&self, hashes: &[u64], intents: &impl Intents) {
        let Some(root) = &self.root else { return };
        for (i, hashes) in hashes.chunks(WIDTH).enumerate() {
            let mut entries = [None; WIDTH];
            prefetch_entries(&mut [root; WIDTH], hashes, &mut entries);
            if entries.iter().any(|entry| entry.is_some_and(Entry::is_container)) {
                prefetch_values(&entries, i * WIDTH, intents);
            }
        }
    }
}

/// Follows the entries that hold containers, all of them one step further in each turn.
fn prefetch_values(entries: &[Option<&Entry>; WIDTH], first: usize, intents: &impl Intents) {
    let mut trails = [(End::Front, Trail::End); WIDTH];
    // Only those that are still under way are looked at in a turn.
    let mut under_way = [0u8; WIDTH];
    let mut count = 0;
    for (at, entry) in entries.iter().enumerate() {
        if let Some(entry) = entry.filter(|entry| entry.is_container()) {
            trails[at] = (intents.end(first + at), Trail::Value(entry.value()));
            under_way[count] = at as u8;
            count += 1;
        }
    }
    let mut roots: [Option<(&Link, u64)>; WIDTH] = [None; WIDTH];
    let mut tables = false;
    while count > 0 {
        let mut left = 0;
        for turn in 0..count {
            let at = usize::from(under_way[turn]);
            let (end, trail) = &mut trails[at];
            if let Some((members, sought)) = trail.step(*end)
                && let Some(root) = &members.root
                && let Some(hash) = match sought {
                    Sought::Member => intents.member(first + at, false),
                    Sought::Scored => intents.member(first + at, true),
                    Sought::Hash(hash) => Some(hash).filter(|_| roots[at].is_none()),
                }
            {
                prefetch(root.address());
                roots[at] = Some((root, hash));
                tables = true;
            }
            under_way[left] = at as u8;
            left += usize::from(!matches!(trail, Trail::End));
        }
        count = left;
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
    let mut leaves: [Option<(Leaf, u32)>; WIDTH] = [None; WIDTH];
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
            let first = found.matches(0, tag_of(*hash)).trailing_zeros();
            *leaf = Some((found, first));
            prefetch(found.slots().wrapping_add(first as usize).cast());
        }
    }
    for (leaf, found) in leaves[..hashes.len()].iter().zip(found) {
        let Some((leaf, first)) = leaf else { continue };
        // SAFETY: the link that the leaf was reached by is borrowed for `'a`, so the leaf keeps its entries.
        let entries: &'a [Entry] = unsafe { &*std::ptr::from_ref(leaf.entries()) };
        if let Some(entry) = entries.get(*first as usize) {
            *found = Some(entry);
            prefetch(entry.address());
            prefetch(entry.address().wrapping_add(64));
        }
    }
}
