//! The chunks of a long list: those at its ends at hand, all others in a counted tree.
//!
//! Why: nearly all that is done to a long list is done at its ends. In a tree, the way to the last chunk is two waits for memory at
//! each level, and each push writes the new count to all nodes on the way.
//!
//! ```text
//!   front ─► [ listpack ]     middle ─► counted tree ─► [ listpack ] [ plain ] [ listpack ] …     back ─► [ listpack ]
//! ```
//!
//! Idea: pushing and popping take a chunk out of the tree and keep it as `front` or `back`. What works at positions
//! ([`Chunks::gathered`]) first puts both back into the tree, and then has only the tree to think of.
//!
//! Limits: a list that is pushed to and written in its middle by turns moves a chunk in and out each time (some tenths of a
//! microsecond).

use super::chunk::Chunk;
use crate::btree::{self, BTree};
use crate::trail::End;

/// The chunks of a long list, in order. Their clone costs O(1).
#[derive(Clone, Default)]
#[repr(C)]
pub(crate) struct Chunks {
    back: Option<Chunk>,
    front: Option<Chunk>,
    middle: BTree<Chunk>,
}

impl From<BTree<Chunk>> for Chunks {
    fn from(middle: BTree<Chunk>) -> Chunks {
        Chunks { back: None, front: None, middle }
    }
}

/// How many elements a chunk at an end has.
fn weight(end: &Option<Chunk>) -> u64 {
    end.as_ref().map_or(0, |chunk| chunk.len() as u64)
}

impl Chunks {
    /// How many elements there are.
    pub(super) fn weight(&self) -> u64 {
        weight(&self.front) + self.middle.weight() + weight(&self.back)
    }

    /// How many chunks there are.
    pub(super) fn len(&self) -> usize {
        usize::from(self.front.is_some()) + self.middle.len() + usize::from(self.back.is_some())
    }

    /// Whether there is no chunk.
    pub(super) fn is_empty(&self) -> bool {
        self.front.is_none() && self.back.is_none() && self.middle.is_empty()
    }

    /// The chunk that is kept at hand for an end.
    #[inline]
    pub(crate) fn at_hand(&self, end: End) -> Option<&Chunk> {
        match end {
            End::Front => self.front.as_ref(),
            End::Back => self.back.as_ref(),
        }
    }

    /// The tree of those that are not at hand.
    pub(crate) fn middle(&self) -> &BTree<Chunk> {
        &self.middle
    }

    /// The first chunk.
    pub(super) fn first(&self) -> Option<&Chunk> {
        self.front.as_ref().or_else(|| self.middle.first()).or(self.back.as_ref())
    }

    /// The first chunk, at hand to be changed.
    #[inline]
    pub(super) fn front_mut(&mut self) -> Option<&mut Chunk> {
        if self.front.is_none() {
            self.front = self.pop_front();
        }
        self.front.as_mut()
    }

    /// The last chunk, at hand to be changed.
    #[inline]
    pub(super) fn back_mut(&mut self) -> Option<&mut Chunk> {
        if self.back.is_none() {
            self.back = self.pop_back();
        }
        self.back.as_mut()
    }

    /// Adds a chunk before all others.
    pub(super) fn push_front(&mut self, chunk: Chunk) {
        if let Some(second) = self.front.replace(chunk) {
            self.middle.push_front(second);
        }
    }

    /// Adds a chunk after all others.
    pub(super) fn push_back(&mut self, chunk: Chunk) {
        if let Some(second) = self.back.replace(chunk) {
            self.middle.push_back(second);
        }
    }

    /// Removes the first chunk.
    #[cold]
    pub(super) fn pop_front(&mut self) -> Option<Chunk> {
        self.front.take().or_else(|| self.middle.pop_front()).or_else(|| self.back.take())
    }

    /// Removes the last chunk.
    #[cold]
    pub(super) fn pop_back(&mut self) -> Option<Chunk> {
        self.back.take().or_else(|| self.middle.pop_back()).or_else(|| self.front.take())
    }

    /// All chunks in one tree, to be changed at positions.
    pub(super) fn gathered(&mut self) -> &mut BTree<Chunk> {
        if let Some(front) = self.front.take() {
            self.middle.push_front(front);
        }
        if let Some(back) = self.back.take() {
            self.middle.push_back(back);
        }
        &mut self.middle
    }

    /// The chunk that covers a position, and how far into it the position is.
    pub(super) fn get(&self, position: u64) -> Option<(&Chunk, u64)> {
        let Some(position) = position.checked_sub(weight(&self.front)) else {
            return Some((self.front.as_ref()?, position));
        };
        let Some(position) = position.checked_sub(self.middle.weight()) else {
            return self.middle.get(position);
        };
        self.back.as_ref().filter(|chunk| position < chunk.len() as u64).map(|chunk| (chunk, position))
    }

    /// About how many bytes the nodes of the tree take.
    pub(super) fn node_bytes(&self) -> usize {
        self.middle.node_bytes()
    }

    /// All chunks in order.
    pub(super) fn iter(&self) -> Iter<'_> {
        self.iter_from(0, false).0
    }

    /// The chunks from the one that covers a position on, in order or backwards, and how far into that chunk the position is.
    pub(super) fn iter_from(&self, position: u64, backwards: bool) -> (Iter<'_>, u64) {
        let (front, middle) = (weight(&self.front), self.middle.weight());
        let mut iter = Iter { ahead: None, tree: None, middle: None, behind: None, backwards };
        let (first, last) = (self.front.as_ref(), self.back.as_ref());
        (iter.ahead, iter.behind) = if backwards { (last, first) } else { (first, last) };
        if position >= self.weight() {
            (iter.ahead, iter.behind) = (None, None);
            return (iter, 0);
        }
        if position < front {
            if backwards {
                iter.ahead = None;
            } else {
                iter.tree = Some(&self.middle);
            }
            return (iter, position);
        }
        let inside = position - front;
        if inside < middle {
            iter.ahead = None;
            let (chunks, inside) =
                if backwards { self.middle.iter_back_from(inside) } else { self.middle.iter_from(inside) };
            iter.middle = Some(chunks);
            return (iter, inside);
        }
        if backwards {
            iter.tree = Some(&self.middle);
        } else {
            iter.ahead = None;
        }
        (iter, inside - middle)
    }
}

/// Iterator over chunks, forwards or backwards.
#[derive(Clone)]
pub(super) struct Iter<'a> {
    ahead: Option<&'a Chunk>,
    /// The tree, as long as nothing of it was given.
    tree: Option<&'a BTree<Chunk>>,
    /// The walk in it, which is made late because it is large.
    middle: Option<btree::Iter<'a, Chunk>>,
    behind: Option<&'a Chunk>,
    backwards: bool,
}

impl<'a> Iterator for Iter<'a> {
    type Item = &'a Chunk;

    fn next(&mut self) -> Option<&'a Chunk> {
        if let Some(chunk) = self.ahead.take() {
            return Some(chunk);
        }
        if let Some(tree) = self.tree.take() {
            let last = tree.weight().saturating_sub(1);
            self.middle = Some(if self.backwards { tree.iter_back_from(last).0 } else { tree.iter() });
        }
        if let Some(chunk) = self.middle.as_mut().and_then(Iterator::next) {
            return Some(chunk);
        }
        self.behind.take()
    }
}
