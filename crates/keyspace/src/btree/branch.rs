//! The way from a tree to its first or its last item, one memory access at a time, for prefetching.

use triomphe::Arc;

use super::{BTree, Item, Node};
use crate::trail::End;
use crate::trie::prefetch;

/// Where a walk along an edge of a tree is. What it holds was asked for, and is read in the next step.
pub(crate) enum Branch<'a, T: Item> {
    /// The tree's own fields.
    Tree(&'a BTree<T>),
    /// The head of the edge's node.
    Head(&'a Node<T>),
    /// Its first, or its last, child or item.
    Edge(&'a Node<T>),
}

impl<T: Item> Clone for Branch<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T: Item> Copy for Branch<'_, T> {}

fn ask<T>(what: &T) {
    prefetch(std::ptr::from_ref(what).cast());
}

fn ask_edge<E>(items: &Arc<Vec<E>>, end: End) {
    match end {
        End::Front => prefetch(items.as_ptr().cast()),
        End::Back => prefetch(items.as_ptr_range().end.wrapping_sub(1).cast()),
    }
}

fn edge<E>(items: &[E], end: End) -> Option<&E> {
    match end {
        End::Front => items.first(),
        End::Back => items.last(),
    }
}

impl<T: Item> Node<T> {
    fn ask_head(&self) {
        match self {
            Node::Leaf(items) => ask(&**items),
            Node::Inner(children) => ask(&**children),
        }
    }
}

impl<'a, T: Item> Branch<'a, T> {
    /// Asks for a tree.
    pub(crate) fn new(tree: &'a BTree<T>) -> Branch<'a, T> {
        ask(tree);
        Branch::Tree(tree)
    }

    /// Reads what is there and asks for the next part; when the item at the end is there, gives it, or `None` of an empty
    /// tree.
    #[inline(always)]
    pub(crate) fn step(self, end: End) -> Result<Branch<'a, T>, Option<&'a T>> {
        match self {
            Branch::Tree(tree) => {
                tree.root.ask_head();
                Ok(Branch::Head(&tree.root))
            }
            Branch::Head(node) => {
                match node {
                    Node::Leaf(items) => ask_edge(items, end),
                    Node::Inner(children) => ask_edge(children, end),
                }
                Ok(Branch::Edge(node))
            }
            Branch::Edge(Node::Leaf(items)) => Err(edge(items, end)),
            Branch::Edge(Node::Inner(children)) => {
                let child = &edge(children, end).ok_or(None)?.node;
                child.ask_head();
                Ok(Branch::Head(child))
            }
        }
    }
}
