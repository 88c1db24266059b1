//! The way from a tree to its first and last item, one memory access at a time, for prefetching.

use triomphe::Arc;

use super::{BTree, Child, Item, Node};
use crate::trie::prefetch;

/// Where a walk along both edges of a tree is. What it holds was asked for, and is read in the next step.
pub(crate) enum Branch<'a, T: Item> {
    /// The tree's own fields.
    Tree(&'a BTree<T>),
    /// The heads of the edges' nodes.
    Heads(&'a Node<T>, &'a Node<T>),
    /// The first child or item of one, the last of the other.
    Ends(&'a Node<T>, &'a Node<T>),
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

impl<T: Item> Node<T> {
    fn ask_head(&self) {
        match self {
            Node::Leaf(items) => ask(&**items),
            Node::Inner(children) => ask(&**children),
        }
    }
}

fn ask_ends<E>(first: &Arc<Vec<E>>, last: &Arc<Vec<E>>) {
    let end = last.as_ptr_range().end;
    prefetch(first.as_ptr().cast());
    prefetch(end.wrapping_sub(1).cast());
}

fn edges<'a, T: Item>(first: &'a [Child<T>], last: &'a [Child<T>]) -> Option<(&'a Node<T>, &'a Node<T>)> {
    Some((&first.first()?.node, &last.last()?.node))
}

impl<'a, T: Item> Branch<'a, T> {
    /// Asks for a tree.
    pub(crate) fn new(tree: &'a BTree<T>) -> Branch<'a, T> {
        ask(tree);
        Branch::Tree(tree)
    }

    /// Reads what is there and asks for the next part; at the end gives the first and the last item, which are there; `None` of an
    /// empty tree.
    pub(crate) fn step(self) -> Result<Branch<'a, T>, Option<(&'a T, &'a T)>> {
        match self {
            Branch::Tree(tree) => {
                tree.root.ask_head();
                Ok(Branch::Heads(&tree.root, &tree.root))
            }
            Branch::Heads(first, last) => {
                match (first, last) {
                    (Node::Leaf(first), Node::Leaf(last)) => ask_ends(first, last),
                    (Node::Inner(first), Node::Inner(last)) => ask_ends(first, last),
                    _ => return Err(None),
                }
                Ok(Branch::Ends(first, last))
            }
            Branch::Ends(Node::Inner(first), Node::Inner(last)) => {
                let (first, last) = edges(first, last).ok_or(None)?;
                first.ask_head();
                last.ask_head();
                Ok(Branch::Heads(first, last))
            }
            Branch::Ends(Node::Leaf(first), Node::Leaf(last)) => Err(first.first().zip(last.last())),
            Branch::Ends(..) => Err(None),
        }
    }
}
