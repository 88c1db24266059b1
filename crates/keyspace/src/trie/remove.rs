//! Removal, and giving back the room that it leaves.
//!
//! Why: a trie that has been much larger must not keep its leaves at a few entries each.
//!
//! Idea: a leaf that has become small takes in its neighbours if they are small leaves as well; a node whose only child is
//! a leaf gives way to it. Leaves split at 65 entries and join at 32, so that coming and going around a size costs nothing.
//!
//! Limits: only the neighbourhood of the removed entry is looked at, so an empty leaf between two nodes stays until one of them shrinks.

use super::raw::{Link, Node, Part};
use super::{LEVELS, Trie, byte_at, tag_of};
use crate::entry::Entry;
use crate::hasher::KeyHash;

/// A leaf of this size or smaller looks at its neighbours.
const SMALL: usize = 16;
/// The most entries of a leaf that takes the place of its node. Leaves that cannot be split stay where they are.
const GIVES_WAY: usize = 48;
/// The most entries of two leaves that are joined.
const JOINED: usize = 32;

impl<H: KeyHash> Trie<H> {
    /// Takes out the entry with this key.
    pub fn remove(&mut self, hash: u64, key: &[u8]) -> Option<Entry> {
        // A key that is not there must not unshare anything.
        self.find(hash, key)?;
        let root = self.root.as_mut()?;
        let mut links: [*mut Link; LEVELS + 1] = [std::ptr::null_mut(); LEVELS + 1];
        let mut depth = 0;
        links[0] = root;
        let entry = loop {
            // SAFETY: the link is inside a part that this trie alone holds (or is the root), and no other reference to it is in use.
            let link = unsafe { &mut *links[depth] };
            link.make_unique();
            match link.part() {
                Part::Node(node) => {
                    depth += 1;
                    links[depth] = node.child(byte_at(hash, depth - 1));
                }
                Part::Leaf(leaf) => break leaf.swap_remove(leaf.find(tag_of(hash), key)?),
            }
        };
        self.len -= 1;
        if self.len == 0 {
            self.root = None;
            return Some(entry);
        }
        while depth > 0 {
            // SAFETY: all links on the way are inside parts that this trie alone holds; a turn changes only the two lowest ones
            // still in use, and the next one looks at the parts anew.
            let parent = unsafe { &mut *links[depth - 1] };
            let byte = byte_at(hash, depth - 1);
            if !join_neighbours(parent, byte) {
                // The leaf may have another place in the node now.
                let Part::Node(node) = parent.part() else { unreachable!("a link above another leads to a node") };
                links[depth] = node.child(byte);
                break;
            }
            depth -= 1;
        }
        // SAFETY: as above.
        shrink(unsafe { &mut *links[depth] });
        Some(entry)
    }
}

/// Joins the small leaf that owns `byte` with its neighbours; true if it has taken the place of the node.
fn join_neighbours(parent: &mut Link, byte: u8) -> bool {
    let Part::Node(node) = parent.part() else { unreachable!("a link above another leads to a node") };
    // SAFETY: the caller holds the node alone.
    let own_len = match unsafe { (*node.child(byte)).part() } {
        Part::Leaf(leaf) => leaf.len(),
        Part::Node(_) => return false,
    };
    if own_len <= SMALL {
        let (lo, _) = node.range(byte);
        if lo > 0 {
            join(node, byte, (lo - 1) as u8);
        }
        let (_, hi) = node.range(byte);
        if hi < 256 {
            join(node, byte, hi as u8);
        }
    }
    // SAFETY: the caller holds the node alone.
    let only_and_small =
        node.len() == 1 && matches!(unsafe { (*node.child(byte)).part() }, Part::Leaf(leaf) if leaf.len() <= GIVES_WAY);
    if !only_and_small {
        return false;
    }
    let child = Node::take_only_child(parent);
    *parent = child;
    true
}

/// Moves the entries of a neighbouring leaf into the leaf of `byte`, if both fit.
fn join(node: Node, byte: u8, neighbour: u8) {
    // SAFETY: the caller holds the node alone, and no other reference to its links is in use.
    unsafe {
        let (Part::Leaf(own), Part::Leaf(other)) = ((*node.child(byte)).part(), (*node.child(neighbour)).part()) else {
            return;
        };
        let len = own.len() + other.len();
        if len > JOINED {
            return;
        }
        (*node.child(neighbour)).make_unique();
        let gone = node.remove_child(neighbour, byte);
        // Only now is the place of the own link settled.
        let link = &mut *node.child(byte);
        let own = if own.cap() < len { link.resize_leaf(len) } else { own };
        let Part::Leaf(other) = gone.part() else { unreachable!("it was a leaf above") };
        own.lower_bound(other.bound());
        while other.len() > 0 {
            let last = other.len() - 1;
            let tag = *other.tags().add(last);
            own.push(tag, other.swap_remove(last));
        }
    }
}

/// Gives back room when more than half of a leaf is empty.
fn shrink(link: &mut Link) {
    if let Part::Leaf(leaf) = link.part()
        && leaf.cap() >= 8
        && leaf.len() <= leaf.cap() / 2
    {
        link.resize_leaf(leaf.len() + 1);
    }
}
