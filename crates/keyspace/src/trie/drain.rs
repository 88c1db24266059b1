//! Reading a trie to its end while giving it back.
//!
//! Why: while a snapshot holds a part, the first write to it copies it. A reader that lets go of each part as soon as it has passed
//! keeps that cost to the parts still ahead.
//!
//! Idea: the way down is the reader's own: a stack of links that are still to be visited. A shared node is replaced by links to
//! its children, a node that is the reader's alone by its children themselves.
//!
//! Limits: the leaf being read, and whatever entries the caller has cloned, stay held.

use super::Trie;
use super::raw::{Link, Part, prefetch};
use crate::entry::Entry;
use std::fmt;

/// Reads all entries of a trie, in the order of their hashes leaf by leaf, and gives back each leaf once it has been passed.
pub struct Drain {
    ahead: Vec<Link>,
    leaf: Option<Link>,
    next: usize,
    left: usize,
}

impl Drain {
    /// The next entry, good until the next call.
    ///
    /// Not an `Iterator`, as entries are lent: counting every one of them would cost more than reading it.
    #[expect(clippy::should_implement_trait, reason = "entries are lent, which Iterator cannot say")]
    pub fn next(&mut self) -> Option<&Entry> {
        loop {
            if let Some(link) = &self.leaf {
                let Part::Leaf(leaf) = link.part() else { unreachable!("nodes are unpacked") };
                if self.next < leaf.len() {
                    self.next += 1;
                    self.left -= 1;
                    break;
                }
            }
            self.leaf = None;
            let link = self.ahead.pop()?;
            match link.part() {
                Part::Node(_) => link.unpack(&mut self.ahead),
                Part::Leaf(leaf) => {
                    for entry in leaf.entries() {
                        prefetch(entry.address());
                    }
                    self.next = 0;
                    self.leaf = Some(link);
                }
            }
        }
        let Part::Leaf(leaf) = self.leaf.as_ref()?.part() else { unreachable!("nodes are unpacked") };
        leaf.entries().get(self.next - 1)
    }

    /// How many entries are still to come.
    pub fn left(&self) -> usize {
        self.left
    }
}

impl fmt::Debug for Drain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Drain").field("left", &self.left).finish_non_exhaustive()
    }
}

impl<H> Trie<H> {
    /// Reads all entries and gives back each part once it has been passed.
    pub fn into_drain(self) -> Drain {
        Drain { ahead: self.root.into_iter().collect(), leaf: None, next: 0, left: self.len }
    }
}
