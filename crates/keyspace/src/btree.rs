//! A persistent counted B+tree: the ordered container of big values (sorted sets, lists of chunks, streams).
//!
//! It does three things that a plain B-tree does not. A clone is O(1), because nodes are shared by reference count and
//! copied on the first write while they are shared: a snapshot costs nothing, and a write after it copies one path. Each
//! child is stored with the sum of the weights below it, so the item at a rank, and the rank of an item, are found on
//! the way down. And the tree can be cut in two in the time of one descent, so throwing half of a huge list away is fast.
//!
//! ```text
//!              ┌──────────────┬──────────────┬────────┐
//!       inner  │ low weight • │ low weight • │ …      │   up to 32 children of 8 + key + 16 bytes
//!              └────────────┼─┴────────────┼─┴────────┘
//!               ┌───────────▼──┐   ┌───────▼──────┐
//!         leaf  │ item item …  │   │ item item …  │       up to 64 items, allocated in steps of 8
//!               └──────────────┘   └──────────────┘
//! ```
//!
//! `low` is a lower bound of the keys below a child, and greater than all keys below the child before it. It may be
//! older than the items (removing the smallest item does not change it), and the first child's is never looked at.
//!
//! Nodes are at least a quarter full, except those on the left and on the right edge, which may hold as little as one
//! item or child. So appending in order leaves full nodes behind, queues do not rebalance, and cutting needs no repair.
//!
//! Limits: 2^64 − 1 of total weight. Iterators hold a path of at most 16 inner nodes, more than any memory can fill.

use core::cmp::Ordering;

use triomphe::Arc;

mod branch;
mod iter;
#[cfg(test)]
mod tests;

pub(crate) use branch::Branch;
pub use iter::Iter;

// Unit tests use small nodes, so that a few thousand items make a deep tree and every kind of repair happens.
const LEAF_MAX: usize = if cfg!(test) { 12 } else { 64 };
const LEAF_MIN: usize = LEAF_MAX / 4;
const LEAF_STEP: usize = if cfg!(test) { 3 } else { 8 };
const INNER_MAX: usize = if cfg!(test) { 8 } else { 32 };
const INNER_MIN: usize = INNER_MAX / 4;

/// What a [`BTree`] holds.
///
/// Items are cloned when a shared leaf is copied, so a clone should be a reference count.
pub trait Item: Clone {
    /// What the tree is ordered by; `()` for trees that are used by position only. Inner nodes hold clones of it.
    type Key: Clone;

    /// The item's key.
    fn key(&self) -> &Self::Key;

    /// How much the item counts in ranks: at least 1.
    fn weight(&self) -> u64;
}

#[derive(Clone)]
pub(crate) struct Child<T: Item> {
    low: T::Key,
    weight: u64,
    node: Node<T>,
}

pub(crate) enum Node<T: Item> {
    Leaf(Arc<Vec<T>>),
    Inner(Arc<Vec<Child<T>>>),
}

impl<T: Item> Clone for Node<T> {
    fn clone(&self) -> Self {
        match self {
            Node::Leaf(items) => Node::Leaf(items.clone()),
            Node::Inner(children) => Node::Inner(children.clone()),
        }
    }
}

/// A persistent B+tree, ordered by key or by position, counted by weight.
///
/// A tree is either *ordered*, and changed only through the `…_by` methods with comparators that agree with the order,
/// or *positional*, and changed only at positions and ends.
pub struct BTree<T: Item> {
    root: Node<T>,
    weight: u64,
    len: usize,
}

impl<T: Item> Clone for BTree<T> {
    fn clone(&self) -> Self {
        BTree { root: self.root.clone(), weight: self.weight, len: self.len }
    }
}

impl<T: Item> Default for BTree<T> {
    fn default() -> Self {
        BTree::new()
    }
}

/// A way down the tree.
trait Seek<T: Item> {
    /// Which child to enter; there is at least one.
    fn child(&mut self, children: &[Child<T>]) -> usize;
    /// Which place in the leaf, and whether the item that is there is the one looked for.
    fn slot(&mut self, items: &[T]) -> (usize, bool);
}

/// To the item that compares equal, or to where it would be.
struct ByKey<F>(F);

impl<T: Item, F: FnMut(&T::Key) -> Ordering> Seek<T> for ByKey<F> {
    fn child(&mut self, children: &[Child<T>]) -> usize {
        children[1..].partition_point(|child| (self.0)(&child.low) != Ordering::Greater)
    }

    fn slot(&mut self, items: &[T]) -> (usize, bool) {
        match items.binary_search_by(|item| (self.0)(item.key())) {
            Ok(index) => (index, true),
            Err(index) => (index, false),
        }
    }
}

/// To the item that covers a position; what is left is the offset inside of it.
struct Covering {
    left: u64,
}

impl<T: Item> Seek<T> for Covering {
    fn child(&mut self, children: &[Child<T>]) -> usize {
        for (index, child) in children[..children.len() - 1].iter().enumerate() {
            if self.left < child.weight {
                return index;
            }
            self.left -= child.weight;
        }
        children.len() - 1
    }

    fn slot(&mut self, items: &[T]) -> (usize, bool) {
        for (index, item) in items.iter().enumerate() {
            if self.left < item.weight() {
                return (index, true);
            }
            self.left -= item.weight();
        }
        (items.len(), false)
    }
}

/// To the gap between two items at a position; it prefers the end of a node to the start of the next one.
struct Gap {
    left: u64,
}

impl<T: Item> Seek<T> for Gap {
    fn child(&mut self, children: &[Child<T>]) -> usize {
        for (index, child) in children[..children.len() - 1].iter().enumerate() {
            if self.left <= child.weight {
                return index;
            }
            self.left -= child.weight;
        }
        children.len() - 1
    }

    fn slot(&mut self, items: &[T]) -> (usize, bool) {
        for (index, item) in items.iter().enumerate() {
            if self.left == 0 {
                return (index, false);
            }
            self.left = self.left.checked_sub(item.weight()).expect("the position is between two items");
        }
        assert_eq!(self.left, 0, "the position is inside the tree");
        (items.len(), false)
    }
}

/// To the first item or the gap before it.
struct Front {
    insert: bool,
}

impl<T: Item> Seek<T> for Front {
    fn child(&mut self, _: &[Child<T>]) -> usize {
        0
    }

    fn slot(&mut self, items: &[T]) -> (usize, bool) {
        (0, !self.insert && !items.is_empty())
    }
}

/// To the last item or the gap after it.
struct Back {
    insert: bool,
}

impl<T: Item> Seek<T> for Back {
    fn child(&mut self, children: &[Child<T>]) -> usize {
        children.len() - 1
    }

    fn slot(&mut self, items: &[T]) -> (usize, bool) {
        match items.len().checked_sub(1) {
            Some(last) if !self.insert => (last, true),
            _ => (items.len(), false),
        }
    }
}

/// Whether a node is the first or the last one of its level.
#[derive(Clone, Copy)]
struct Edges {
    first: bool,
    last: bool,
}

impl Edges {
    const ROOT: Edges = Edges { first: true, last: true };

    fn child(self, index: usize, count: usize) -> Edges {
        Edges { first: self.first && index == 0, last: self.last && index + 1 == count }
    }
}

enum Inserted<T: Item> {
    Added,
    Replaced(T),
    Split(Child<T>),
}

impl<T: Item> Node<T> {
    fn len(&self) -> usize {
        match self {
            Node::Leaf(items) => items.len(),
            Node::Inner(children) => children.len(),
        }
    }

    fn min(&self) -> usize {
        match self {
            Node::Leaf(_) => LEAF_MIN,
            Node::Inner(_) => INNER_MIN,
        }
    }

    fn weight(&self) -> u64 {
        match self {
            Node::Leaf(items) => items.iter().map(Item::weight).sum(),
            Node::Inner(children) => children.iter().map(|child| child.weight).sum(),
        }
    }

    fn count(&self) -> usize {
        match self {
            Node::Leaf(items) => items.len(),
            Node::Inner(children) => children.iter().map(|child| child.node.count()).sum(),
        }
    }

    /// A lower bound of the keys below this node, which is not empty.
    fn low(&self) -> T::Key {
        match self {
            Node::Leaf(items) => items[0].key().clone(),
            Node::Inner(children) => children[0].low.clone(),
        }
    }

    fn into_child(self) -> Child<T> {
        Child { low: self.low(), weight: self.weight(), node: self }
    }

    fn insert<S: Seek<T>>(&mut self, item: T, seek: &mut S, edges: Edges) -> Inserted<T> {
        match self {
            Node::Leaf(items) => insert_into_leaf(Arc::make_mut(items), item, seek, edges),
            Node::Inner(children) => {
                let children = Arc::make_mut(children);
                let index = seek.child(children);
                let below = edges.child(index, children.len());
                let added = item.weight();
                let child = &mut children[index];
                match child.node.insert(item, seek, below) {
                    Inserted::Added => {
                        child.weight += added;
                        Inserted::Added
                    }
                    Inserted::Replaced(old) => {
                        child.weight = child.weight + added - old.weight();
                        Inserted::Replaced(old)
                    }
                    Inserted::Split(right) => {
                        child.weight = child.weight + added - right.weight;
                        children.insert(index + 1, right);
                        split_inner(children, index, below)
                    }
                }
            }
        }
    }

    fn remove<S: Seek<T>>(&mut self, seek: &mut S, edges: Edges) -> Option<T> {
        match self {
            Node::Leaf(items) => {
                let (index, found) = seek.slot(items);
                if !found {
                    return None;
                }
                let items = Arc::make_mut(items);
                let item = items.remove(index);
                if items.capacity() > items.len() + 3 * LEAF_STEP {
                    items.shrink_to(items.len() + LEAF_STEP);
                }
                Some(item)
            }
            Node::Inner(children) => {
                let children = Arc::make_mut(children);
                let index = seek.child(children);
                let below = edges.child(index, children.len());
                let child = &mut children[index];
                let item = child.node.remove(seek, below)?;
                child.weight -= item.weight();
                if child.node.len() == 0 {
                    children.remove(index);
                } else if child.node.len() < child.node.min() && !below.first && !below.last {
                    balance(children, index);
                }
                Some(item)
            }
        }
    }

    /// Changes one item; also returns by how much its weight was changed.
    fn update<S: Seek<T>, R>(&mut self, seek: &mut S, change: impl FnOnce(&mut T) -> R) -> Option<(R, i64)> {
        match self {
            Node::Leaf(items) => {
                let (index, found) = seek.slot(items);
                if !found {
                    return None;
                }
                let item = &mut Arc::make_mut(items)[index];
                let before = item.weight();
                let result = change(item);
                assert!(item.weight() > 0, "an item without weight would be lost to ranks");
                Some((result, item.weight().wrapping_sub(before).cast_signed()))
            }
            Node::Inner(children) => {
                let children = Arc::make_mut(children);
                let child_index = seek.child(children);
                let child = &mut children[child_index];
                let (result, delta) = child.node.update(seek, change)?;
                child.weight = child.weight.wrapping_add_signed(delta);
                Some((result, delta))
            }
        }
    }

    /// Cuts everything from a gap on off into a node of the same height; both may end up empty.
    fn split_off<S: Seek<T>>(&mut self, seek: &mut S) -> Node<T> {
        match self {
            Node::Leaf(items) => {
                let (index, _) = seek.slot(items);
                Node::Leaf(Arc::new(Arc::make_mut(items).split_off(index)))
            }
            Node::Inner(children) => {
                let children = Arc::make_mut(children);
                let index = seek.child(children);
                let mut right = children.split_off(index + 1);
                let child = &mut children[index];
                let cut = child.node.split_off(seek);
                if cut.len() > 0 {
                    let cut = cut.into_child();
                    child.weight -= cut.weight;
                    right.insert(0, cut);
                }
                if child.node.len() == 0 {
                    children.pop();
                }
                Node::Inner(Arc::new(right))
            }
        }
    }
}

fn insert_into_leaf<T: Item, S: Seek<T>>(items: &mut Vec<T>, item: T, seek: &mut S, edges: Edges) -> Inserted<T> {
    let (index, found) = seek.slot(items);
    if found {
        return Inserted::Replaced(core::mem::replace(&mut items[index], item));
    }
    let mut right = if items.len() < LEAF_MAX {
        insert_growing(items, index, item);
        return Inserted::Added;
    } else if edges.last && index == items.len() {
        // Items that come in order leave full leaves behind.
        Vec::new()
    } else if edges.first && index == 0 {
        core::mem::take(items)
    } else {
        let right = items.split_off(LEAF_MAX / 2);
        items.shrink_to(LEAF_MAX / 2 + LEAF_STEP);
        right
    };
    if index <= items.len() && items.len() < LEAF_MAX {
        insert_growing(items, index, item);
    } else {
        insert_growing(&mut right, index - items.len(), item);
    }
    Inserted::Split(Node::Leaf(Arc::new(right)).into_child())
}

fn insert_growing<T>(items: &mut Vec<T>, index: usize, item: T) {
    if items.len() == items.capacity() {
        items.reserve_exact(LEAF_STEP);
    }
    items.insert(index, item);
}

/// Splits an inner node if it has too many children now that the child at `index` was split.
fn split_inner<T: Item>(children: &mut Vec<Child<T>>, index: usize, below: Edges) -> Inserted<T> {
    if children.len() <= INNER_MAX {
        return Inserted::Added;
    }
    let at = if below.last && index + 2 == children.len() {
        children.len() - 1
    } else if below.first && index == 0 {
        1
    } else {
        children.len() / 2
    };
    let right = children.split_off(at);
    Inserted::Split(Node::Inner(Arc::new(right)).into_child())
}

/// Joins the underfull child at `index` with a neighbour, or evens the two out if they are too many for one node.
fn balance<T: Item>(children: &mut Vec<Child<T>>, index: usize) {
    if children.len() < 2 {
        return;
    }
    let left_index = index.saturating_sub(1);
    let (head, tail) = children.split_at_mut(left_index + 1);
    let (left, right) = (&mut head[left_index], &mut tail[0]);
    let emptied = match (&mut left.node, &mut right.node) {
        (Node::Leaf(left_items), Node::Leaf(right_items)) => {
            let (left_items, right_items) = (Arc::make_mut(left_items), Arc::make_mut(right_items));
            even_out(left_items, right_items, LEAF_MAX)
        }
        (Node::Inner(left_children), Node::Inner(right_children)) => {
            let (left_children, right_children) = (Arc::make_mut(left_children), Arc::make_mut(right_children));
            // The first child's bound was not kept up to date, and it is about to be no longer the first.
            right_children[0].low = right.low.clone();
            even_out(left_children, right_children, INNER_MAX)
        }
        _ => unreachable!("all leaves of a tree are at the same depth"),
    };
    if emptied {
        left.weight += right.weight;
        children.remove(left_index + 1);
    } else {
        left.weight = left.node.weight();
        right.weight = right.node.weight();
        right.low = right.node.low();
    }
}

/// Moves everything to the left if it fits, else half; whether the right one is empty now.
fn even_out<E>(left: &mut Vec<E>, right: &mut Vec<E>, max: usize) -> bool {
    let total = left.len() + right.len();
    if total <= max {
        left.reserve_exact(right.len());
        left.append(right);
        return true;
    }
    let half = total / 2;
    if left.len() < half {
        let missing = half - left.len();
        left.reserve_exact(missing);
        left.extend(right.drain(..missing));
        right.shrink_to(right.len() + LEAF_STEP);
    } else {
        let surplus: Vec<E> = left.drain(half..).collect();
        right.reserve_exact(surplus.len());
        right.splice(0..0, surplus);
        left.shrink_to(left.len() + LEAF_STEP);
    }
    false
}

impl<T: Item> BTree<T> {
    /// An empty tree.
    pub fn new() -> BTree<T> {
        BTree { root: Node::Leaf(Arc::new(Vec::new())), weight: 0, len: 0 }
    }

    /// Builds a tree of items that are already in order, with full nodes.
    pub fn from_sorted(items: impl IntoIterator<Item = T>) -> BTree<T> {
        let mut items = items.into_iter();
        let mut level: Vec<Child<T>> = Vec::new();
        let mut len = 0;
        loop {
            let mut leaf = Vec::with_capacity(items.size_hint().0.clamp(1, LEAF_MAX));
            leaf.extend(items.by_ref().take(LEAF_MAX));
            if leaf.is_empty() {
                break;
            }
            len += leaf.len();
            level.push(Node::Leaf(Arc::new(leaf)).into_child());
        }
        while level.len() > 1 {
            let mut children = level.into_iter();
            let mut above = Vec::with_capacity(children.len().div_ceil(INNER_MAX));
            loop {
                let group: Vec<Child<T>> = children.by_ref().take(INNER_MAX).collect();
                if group.is_empty() {
                    break;
                }
                above.push(Node::Inner(Arc::new(group)).into_child());
            }
            level = above;
        }
        match level.pop() {
            Some(top) => BTree { root: top.node, weight: top.weight, len },
            None => BTree::new(),
        }
    }

    /// How many items there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no item.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The sum of the items' weights.
    pub fn weight(&self) -> u64 {
        self.weight
    }

    fn find<S: Seek<T>>(&self, seek: &mut S) -> Option<&T> {
        let mut node = &self.root;
        loop {
            match node {
                Node::Leaf(items) => {
                    let (index, found) = seek.slot(items);
                    return found.then(|| &items[index]);
                }
                Node::Inner(children) => node = &children[seek.child(children)].node,
            }
        }
    }

    fn insert<S: Seek<T>>(&mut self, item: T, seek: &mut S) -> Option<T> {
        self.weight += item.weight();
        match self.root.insert(item, seek, Edges::ROOT) {
            Inserted::Added => self.len += 1,
            Inserted::Replaced(old) => {
                self.weight -= old.weight();
                return Some(old);
            }
            Inserted::Split(right) => {
                self.len += 1;
                let left = core::mem::replace(&mut self.root, Node::Leaf(Arc::new(Vec::new())));
                self.root = Node::Inner(Arc::new(vec![left.into_child(), right]));
            }
        }
        None
    }

    fn remove<S: Seek<T>>(&mut self, seek: &mut S) -> Option<T> {
        let item = self.root.remove(seek, Edges::ROOT)?;
        self.weight -= item.weight();
        self.len -= 1;
        self.lower_root();
        Some(item)
    }

    /// Takes away levels that have become a single child, or nothing.
    fn lower_root(&mut self) {
        while let Node::Inner(children) = &mut self.root {
            if children.len() > 1 {
                return;
            }
            self.root = match Arc::make_mut(children).pop() {
                Some(only) => only.node,
                None => Node::Leaf(Arc::new(Vec::new())),
            };
        }
    }

    /// The item for whose key `compare` answers `Equal`; it compares a key with what is looked for.
    pub fn get_by(&self, compare: impl FnMut(&T::Key) -> Ordering) -> Option<&T> {
        self.find(&mut ByKey(compare))
    }

    /// Inserts an item in order, or puts it in place of the one that compares equal, which is returned.
    ///
    /// `compare` compares a key of the tree with that of `item`.
    pub fn insert_by(&mut self, item: T, compare: impl FnMut(&T::Key) -> Ordering) -> Option<T> {
        self.insert(item, &mut ByKey(compare))
    }

    /// Removes the item for whose key `compare` answers `Equal`. Nothing is copied if there is none.
    pub fn remove_by(&mut self, mut compare: impl FnMut(&T::Key) -> Ordering) -> Option<T> {
        self.get_by(&mut compare)?;
        self.remove(&mut ByKey(compare))
    }

    /// As [`BTree::remove_by`] for an item that is known to be there, which saves looking for it first.
    pub fn take_by(&mut self, compare: impl FnMut(&T::Key) -> Ordering) -> Option<T> {
        self.remove(&mut ByKey(compare))
    }

    /// The weight of all items at the front for which `before` holds: the position of the first one for which it fails.
    ///
    /// `before` must hold for a number of items at the front and for none after them.
    pub fn position_by(&self, mut before: impl FnMut(&T::Key) -> bool) -> u64 {
        let mut node = &self.root;
        let mut position = 0;
        loop {
            match node {
                Node::Leaf(items) => {
                    let count = items.partition_point(|item| before(item.key()));
                    return position + items[..count].iter().map(Item::weight).sum::<u64>();
                }
                Node::Inner(children) => {
                    let index = children[1..].partition_point(|child| before(&child.low));
                    position += children[..index].iter().map(|child| child.weight).sum::<u64>();
                    node = &children[index].node;
                }
            }
        }
    }

    /// The item that covers `position`, and how far into the item's weight the position is.
    pub fn get(&self, position: u64) -> Option<(&T, u64)> {
        let mut seek = Covering { left: position };
        let item = self.find(&mut seek)?;
        Some((item, seek.left))
    }

    /// Inserts an item so that it starts at `position`, which must be the start of an item or the end of the tree.
    pub fn insert_at(&mut self, position: u64, item: T) {
        assert!(position <= self.weight, "the position is inside the tree");
        self.insert(item, &mut Gap { left: position });
    }

    /// Removes the item that covers `position`.
    pub fn remove_at(&mut self, position: u64) -> Option<T> {
        if position >= self.weight {
            return None;
        }
        self.remove(&mut Covering { left: position })
    }

    /// Changes the item that covers `position` in place. Its order among the others must not change, its weight may.
    pub fn update_at<R>(&mut self, position: u64, change: impl FnOnce(&mut T) -> R) -> Option<R> {
        if position >= self.weight {
            return None;
        }
        let (result, delta) = self.root.update(&mut Covering { left: position }, change)?;
        self.weight = self.weight.wrapping_add_signed(delta);
        Some(result)
    }

    /// The first item.
    pub fn first(&self) -> Option<&T> {
        self.find(&mut Front { insert: false })
    }

    /// The last item.
    pub fn last(&self) -> Option<&T> {
        self.find(&mut Back { insert: false })
    }

    /// Adds an item before all others.
    pub fn push_front(&mut self, item: T) {
        self.insert(item, &mut Front { insert: true });
    }

    /// Adds an item after all others.
    pub fn push_back(&mut self, item: T) {
        self.insert(item, &mut Back { insert: true });
    }

    /// Removes the first item.
    pub fn pop_front(&mut self) -> Option<T> {
        self.remove(&mut Front { insert: false })
    }

    /// Removes the last item.
    pub fn pop_back(&mut self) -> Option<T> {
        self.remove(&mut Back { insert: false })
    }

    /// Cuts off everything from `position` on, which must be the start of an item or the end of the tree.
    ///
    /// It takes the time of a descent, plus that of counting the items of the inner nodes on one side.
    pub fn split_off(&mut self, position: u64) -> BTree<T> {
        assert!(position <= self.weight, "the position is inside the tree");
        let root = self.root.split_off(&mut Gap { left: position });
        let mut right = BTree { len: root.count(), weight: self.weight - position, root };
        self.weight = position;
        self.len -= right.len;
        self.lower_root();
        right.lower_root();
        right
    }

    /// About how many bytes the nodes take, not counting what items own elsewhere.
    pub fn node_bytes(&self) -> usize {
        // Leaves are allocated in steps, so they waste a few slots each; a node costs a count, a vector and the
        // allocator's rounding.
        let leaves = self.len.div_ceil(LEAF_MAX * 3 / 4);
        self.len * size_of::<T>() + leaves * (LEAF_STEP / 2 * size_of::<T>() + 48 + size_of::<Child<T>>())
    }

    /// All items in order.
    pub fn iter(&self) -> Iter<'_, T> {
        self.iter_from(0).0
    }

    /// The items from the one that covers `position` on, in order, and how far into that item the position is.
    pub fn iter_from(&self, position: u64) -> (Iter<'_, T>, u64) {
        Iter::new(self, position, false)
    }

    /// The items from the one that covers `position` on *backwards*, and how far into that item the position is.
    pub fn iter_back_from(&self, position: u64) -> (Iter<'_, T>, u64) {
        Iter::new(self, position, true)
    }
}
