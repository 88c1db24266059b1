//! Walking over a tree in either direction: a stack of inner nodes above the leaf that is being read.

use super::{BTree, Child, Covering, Item, Node, Seek};

/// With at least 8 children in nearly all inner nodes, memory ends long before this depth is reached.
const DEPTH_MAX: usize = 16;

/// Iterator over a tree's items, forwards or backwards.
pub struct Iter<'a, T: Item> {
    path: [(&'a [Child<T>], usize); DEPTH_MAX],
    depth: usize,
    items: &'a [T],
    backwards: bool,
}

impl<T: Item> Clone for Iter<'_, T> {
    fn clone(&self) -> Self {
        Iter { path: self.path, depth: self.depth, items: self.items, backwards: self.backwards }
    }
}

impl<'a, T: Item> Iter<'a, T> {
    pub(super) fn new(tree: &'a BTree<T>, position: u64, backwards: bool) -> (Self, u64) {
        let mut iter = Iter { path: [(&[], 0); DEPTH_MAX], depth: 0, items: &[], backwards };
        if position >= tree.weight() {
            return (iter, 0);
        }
        let mut seek = Covering { left: position };
        let mut node = &tree.root;
        loop {
            match node {
                Node::Leaf(items) => {
                    let (index, found) = seek.slot(items);
                    assert!(found, "the position is inside the tree");
                    iter.items = if backwards { &items[..=index] } else { &items[index..] };
                    return (iter, seek.left);
                }
                Node::Inner(children) => {
                    let index = seek.child(children);
                    node = iter.enter(children, index);
                }
            }
        }
    }

    fn enter(&mut self, children: &'a [Child<T>], index: usize) -> &'a Node<T> {
        self.path[self.depth] = (children, index);
        self.depth += 1;
        &children[index].node
    }

    /// Moves to the next leaf in the direction of the walk; false at the end.
    fn next_leaf(&mut self) -> bool {
        let mut node = loop {
            let Some(depth) = self.depth.checked_sub(1) else {
                return false;
            };
            let (children, index) = self.path[depth];
            let next = if self.backwards { index.checked_sub(1) } else { Some(index + 1) };
            self.depth = depth;
            if let Some(next) = next.filter(|&next| next < children.len()) {
                break self.enter(children, next);
            }
        };
        loop {
            match node {
                Node::Leaf(items) => {
                    self.items = items;
                    return true;
                }
                Node::Inner(children) => {
                    let index = if self.backwards { children.len() - 1 } else { 0 };
                    node = self.enter(children, index);
                }
            }
        }
    }
}

impl<'a, T: Item> Iterator for Iter<'a, T> {
    type Item = &'a T;

    fn next(&mut self) -> Option<&'a T> {
        loop {
            let split = if self.backwards { self.items.split_last() } else { self.items.split_first() };
            if let Some((item, rest)) = split {
                self.items = rest;
                return Some(item);
            }
            if !self.next_leaf() {
                return None;
            }
        }
    }
}
