//! Finding what has expired, and what will next.
//!
//! Why: a second dictionary of volatile keys costs memory for each of them and a write for each expiry.
//!
//! Idea: each part has a lower bound of the expiries below. Writes only lower it, on their way down; it is raised here, where the walk
//! sees the entries anyway. So a walk goes only where something is due, or where it learns that nothing is.
//!
//! ```text
//!   node 300 ──┬─ leaf 300: a@300 b@900      at 400: goes to the first leaf only, takes a out, raises the leaf to 900 and
//!              ├─ leaf max: c d              the node to 700
//!              └─ leaf 700: e@700
//! ```
//! Limits: a bound may be too low, never too high, so a walk may look at a leaf in vain, once. Bounds of shared parts are raised as well:
//! what is below a shared part does not change, so it is right for every holder.

use super::Trie;
use super::raw::{Link, Part, prefetch};
use crate::entry::Entry;
use crate::hasher::KeyHash;

/// How often the search for the nearest expiry follows another bound before it is content with what it has.
const NEAREST_TRIES: usize = 8;

impl<H> Trie<H> {
    /// A time (Unix milliseconds) before which no entry expires; `i64::MAX` if none ever does.
    #[inline]
    pub fn expiry_bound(&self) -> i64 {
        self.root.as_ref().map_or(i64::MAX, Link::bound)
    }

    /// The entry that expires next, or (rarely) one that expires soon after.
    pub fn nearest_expiry(&self) -> Option<&Entry> {
        nearest(self.root.as_ref()?)
    }

    /// A leaf with volatile entries, near the position if there is one.
    pub(super) fn volatile_leaf(&self, position: u64) -> Option<&[Entry]> {
        volatile(self.root.as_ref()?, position << 1, 0)
    }
}

impl<H: KeyHash> Trie<H> {
    /// Takes out up to `limit` entries whose expiry is `now` (Unix milliseconds) or earlier and gives them to `f`; returns how many.
    /// Fewer than `limit` means that none is left.
    pub fn expire_due(&mut self, now: i64, limit: usize, mut f: impl FnMut(Entry)) -> usize {
        let Some(root) = &self.root else { return 0 };
        if root.bound() > now {
            return 0;
        }
        let mut due = Vec::new();
        collect_due(root, now, limit, &mut due);
        let count = due.len();
        for entry in due {
            let key = entry.key();
            let removed = self.remove(H::hash(key), key).expect("an entry just seen in the trie is there");
            drop(entry);
            f(removed);
        }
        count
    }
}

/// Collects due entries, and raises bounds to what they will be once those are gone.
fn collect_due(link: &Link, now: i64, limit: usize, due: &mut Vec<Entry>) {
    match link.part() {
        Part::Leaf(leaf) => {
            for entry in leaf.entries() {
                prefetch(entry.address());
            }
            let mut bound = i64::MAX;
            for entry in leaf.entries() {
                let Some(at) = entry.expire_at() else {
                    continue;
                };
                if at <= now && due.len() < limit {
                    due.push(entry.clone());
                } else {
                    bound = bound.min(at);
                }
            }
            leaf.set_bound(bound);
        }
        Part::Node(node) => {
            for child in node.all() {
                if due.len() >= limit {
                    break;
                }
                if child.bound() <= now {
                    collect_due(child, now, limit, due);
                }
            }
            node.set_bound(node.children_bound());
        }
    }
}

fn nearest(link: &Link) -> Option<&Entry> {
    match link.part() {
        Part::Leaf(leaf) => {
            let first = leaf
                .entries()
                .iter()
                .filter_map(|entry| entry.expire_at().map(|at| (at, entry)))
                .min_by_key(|(at, _)| *at);
            leaf.set_bound(first.map_or(i64::MAX, |(at, _)| at));
            first.map(|(_, entry)| entry)
        }
        Part::Node(node) => {
            let mut tries = NEAREST_TRIES;
            loop {
                let child = node.all().iter().min_by_key(|child| child.bound())?;
                let promised = child.bound();
                node.set_bound(promised);
                if promised == i64::MAX {
                    return None;
                }
                let found = nearest(child);
                tries = tries.saturating_sub(1);
                // Where nothing was found the child's bound has become `MAX`, so the loop comes to an end.
                if found.is_some() && (child.bound() == promised || tries == 0) {
                    return found;
                }
            }
        }
    }
}

fn volatile(link: &Link, hash: u64, level: usize) -> Option<&[Entry]> {
    match link.part() {
        Part::Leaf(leaf) => {
            if leaf.entries().iter().any(|entry| entry.expire_at().is_some()) {
                return Some(leaf.entries());
            }
            leaf.set_bound(i64::MAX);
            None
        }
        Part::Node(node) => {
            let children = node.all();
            let first = usize::from(node.index(super::byte_at(hash, level)));
            for step in 0..children.len() {
                let child = &children[(first + step) % children.len()];
                if child.bound() != i64::MAX
                    && let Some(entries) = volatile(child, hash, level + 1)
                {
                    return Some(entries);
                }
            }
            node.set_bound(i64::MAX);
            None
        }
    }
}
