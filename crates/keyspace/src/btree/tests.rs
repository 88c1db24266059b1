//! Tests of the tree against plain vectors and maps, with its inner rules checked after each step.

use super::*;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use std::collections::BTreeMap;

/// An item with a key, and a weight for the positional tests.
#[derive(Clone, Debug, PartialEq)]
struct Entry {
    key: u32,
    weight: u64,
}

impl Item for Entry {
    type Key = u32;

    fn key(&self) -> &u32 {
        &self.key
    }

    fn weight(&self) -> u64 {
        self.weight
    }
}

/// Checks fill, depth, weights and bounds below `node` and returns its depth.
fn check_node(node: &Node<Entry>, edges: Edges, ordered: bool) -> usize {
    let root = edges.first && edges.last;
    match node {
        Node::Leaf(items) => {
            assert!(root || !items.is_empty());
            assert!(items.len() <= LEAF_MAX && (edges.first || edges.last || items.len() >= LEAF_MIN));
            assert!(!ordered || items.is_sorted_by(|left, right| left.key < right.key));
            1
        }
        Node::Inner(children) => {
            assert!(!children.is_empty());
            assert!(children.len() <= INNER_MAX && (edges.first || edges.last || children.len() >= INNER_MIN));
            let mut depth = None;
            for (index, child) in children.iter().enumerate() {
                let below = check_node(&child.node, edges.child(index, children.len()), ordered);
                assert_eq!(*depth.get_or_insert(below), below, "all leaves are at the same depth");
                assert_eq!(child.weight, child.node.weight());
                if ordered && index > 0 {
                    assert!(child.low <= first_key(&child.node));
                    assert!(last_key(&children[index - 1].node) < child.low);
                }
            }
            depth.expect("there is a child") + 1
        }
    }
}

fn first_key(node: &Node<Entry>) -> u32 {
    match node {
        Node::Leaf(items) => items[0].key,
        Node::Inner(children) => first_key(&children[0].node),
    }
}

fn last_key(node: &Node<Entry>) -> u32 {
    match node {
        Node::Leaf(items) => items[items.len() - 1].key,
        Node::Inner(children) => last_key(&children[children.len() - 1].node),
    }
}

fn check_tree(tree: &BTree<Entry>, ordered: bool) {
    check_node(&tree.root, Edges::ROOT, ordered);
    assert_eq!(tree.weight, tree.root.weight());
    assert_eq!(tree.len, tree.root.count());
    if let Node::Inner(children) = &tree.root {
        assert!(children.len() > 1, "a root with one child is replaced by it");
    }
}

fn check_equal(tree: &BTree<Entry>, model: &[Entry]) {
    assert!(tree.iter().eq(model));
    assert!(tree.iter_back_from(tree.weight().saturating_sub(1)).0.eq(model.iter().rev()));
    assert_eq!((tree.first(), tree.last(), tree.len()), (model.first(), model.last(), model.len()));
    assert_eq!(tree.weight(), model.iter().map(|item| item.weight).sum::<u64>());
}

/// A positional model with the searches that the tree does by descending.
fn covering(model: &[Entry], position: u64) -> Option<(usize, u64)> {
    let mut left = position;
    for (index, item) in model.iter().enumerate() {
        if left < item.weight {
            return Some((index, left));
        }
        left -= item.weight;
    }
    None
}

fn insert(tree: &mut BTree<Entry>, key: u32, weight: u64) -> Option<Entry> {
    tree.insert_by(Entry { key, weight }, |other| other.cmp(&key))
}

fn remove(tree: &mut BTree<Entry>, key: u32) -> Option<Entry> {
    tree.remove_by(|other| other.cmp(&key))
}

#[derive(Clone, Debug)]
enum Ordered {
    /// Inserts this many keys, starting at the first and going on by the step.
    Insert(u32, i32, usize),
    /// Removes in the same way.
    Remove(u32, i32, usize),
    PopFront(usize),
    PopBack(usize),
    Clone,
}

fn ordered_steps() -> impl Strategy<Value = Vec<Ordered>> {
    let key = || prop_oneof![0u32..3_000, Just(0), Just(2_999)];
    let step = prop_oneof![
        4 => (key(), -7i32..7, 1usize..300).prop_map(|(key, step, count)| Ordered::Insert(key, step, count)),
        3 => (key(), -7i32..7, 1usize..300).prop_map(|(key, step, count)| Ordered::Remove(key, step, count)),
        1 => (1usize..100).prop_map(Ordered::PopFront),
        1 => (1usize..100).prop_map(Ordered::PopBack),
        1 => Just(Ordered::Clone),
    ];
    vec(step, 1..60)
}

fn keys(first: u32, step: i32, count: usize) -> impl Iterator<Item = u32> {
    (0..count as i32).map(move |index| first.wrapping_add_signed(step * index) % 4_096)
}

#[derive(Clone, Debug)]
enum Positional {
    Insert(Index, u64, usize),
    Remove(Index, usize),
    Reweigh(Index, u64),
    Push(bool, usize),
    Pop(bool, usize),
    Cut(Index, bool),
    Clone,
}

fn positional_steps() -> impl Strategy<Value = Vec<Positional>> {
    let step = prop_oneof![
        4 => (any::<Index>(), 1u64..9, 1usize..200).prop_map(|(at, weight, count)| Positional::Insert(at, weight, count)),
        3 => (any::<Index>(), 1usize..200).prop_map(|(at, count)| Positional::Remove(at, count)),
        2 => (any::<Index>(), 1u64..9).prop_map(|(at, weight)| Positional::Reweigh(at, weight)),
        2 => (any::<bool>(), 1usize..400).prop_map(|(front, count)| Positional::Push(front, count)),
        1 => (any::<bool>(), 1usize..200).prop_map(|(front, count)| Positional::Pop(front, count)),
        1 => (any::<Index>(), any::<bool>()).prop_map(|(at, keep_left)| Positional::Cut(at, keep_left)),
        1 => Just(Positional::Clone),
    ];
    vec(step, 1..40)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn an_ordered_tree_behaves_as_a_map(steps in ordered_steps()) {
        let mut tree = BTree::new();
        let mut model: BTreeMap<u32, Entry> = BTreeMap::new();
        let mut clones = Vec::new();
        for (number, step) in steps.into_iter().enumerate() {
            match step {
                Ordered::Insert(first, step, count) => {
                    for key in keys(first, step, count) {
                        let weight = 1 + number as u64 % 3;
                        prop_assert_eq!(insert(&mut tree, key, weight), model.insert(key, Entry { key, weight }));
                    }
                }
                Ordered::Remove(first, step, count) => {
                    for key in keys(first, step, count) {
                        prop_assert_eq!(remove(&mut tree, key), model.remove(&key));
                    }
                }
                Ordered::PopFront(count) => {
                    for _ in 0..count {
                        prop_assert_eq!(tree.pop_front(), model.pop_first().map(|(_, item)| item));
                    }
                }
                Ordered::PopBack(count) => {
                    for _ in 0..count {
                        prop_assert_eq!(tree.pop_back(), model.pop_last().map(|(_, item)| item));
                    }
                }
                Ordered::Clone => clones.push((tree.clone(), model.clone())),
            }
            check_tree(&tree, true);
        }
        clones.push((tree, model));
        for (tree, model) in clones {
            check_tree(&tree, true);
            let items: Vec<Entry> = model.values().cloned().collect();
            check_equal(&tree, &items);
            let mut position = 0;
            for (index, item) in items.iter().enumerate() {
                prop_assert_eq!(tree.get_by(|key| key.cmp(&item.key)), Some(item));
                prop_assert_eq!(tree.position_by(|key| *key < item.key), position);
                prop_assert_eq!(tree.position_by(|key| *key <= item.key), position + item.weight);
                if index % 50 == 0 {
                    prop_assert!(tree.iter_from(position).0.eq(&items[index..]));
                    prop_assert!(tree.iter_back_from(position).0.eq(items[..=index].iter().rev()));
                }
                position += item.weight;
            }
            prop_assert_eq!(tree.get_by(|key| key.cmp(&5_000)), None);
            check_equal(&BTree::from_sorted(items.iter().cloned()), &items);
            check_tree(&BTree::from_sorted(items.iter().cloned()), true);
        }
    }

    #[test]
    fn a_positional_tree_behaves_as_a_vector(steps in positional_steps()) {
        let mut tree = BTree::new();
        let mut model: Vec<Entry> = Vec::new();
        let mut clones = Vec::new();
        let mut key = 0;
        for step in steps {
            match step {
                Positional::Insert(at, weight, count) => {
                    let at = at.index(model.len() + 1);
                    let position: u64 = model[..at].iter().map(|item| item.weight).sum();
                    for _ in 0..count {
                        key += 1;
                        tree.insert_at(position, Entry { key, weight });
                        model.insert(at, Entry { key, weight });
                    }
                }
                Positional::Remove(at, count) if !model.is_empty() => {
                    let position = at.index(tree.weight() as usize) as u64;
                    let (at, inside) = covering(&model, position).unwrap();
                    for _ in 0..count.min(model.len() - at) {
                        // All others start at the position of the first once that one is gone.
                        let start = position - inside;
                        prop_assert_eq!(tree.remove_at(start), Some(model.remove(at)));
                    }
                }
                Positional::Reweigh(at, weight) if !model.is_empty() => {
                    let position = at.index(tree.weight() as usize) as u64;
                    let (at, inside) = covering(&model, position).unwrap();
                    prop_assert_eq!(tree.get(position), Some((&model[at], inside)));
                    let old = tree.update_at(position, |item| core::mem::replace(&mut item.weight, weight));
                    prop_assert_eq!(old, Some(core::mem::replace(&mut model[at].weight, weight)));
                }
                Positional::Push(front, count) => {
                    for _ in 0..count {
                        key += 1;
                        let item = Entry { key, weight: 1 + u64::from(key % 5) };
                        if front {
                            tree.push_front(item.clone());
                            model.insert(0, item);
                        } else {
                            tree.push_back(item.clone());
                            model.push(item);
                        }
                    }
                    tree.update_at(tree.weight() - 1, |item| item.weight += 1);
                    tree.update_at(0, |item| item.weight += 1);
                    model.last_mut().unwrap().weight += 1;
                    model.first_mut().unwrap().weight += 1;
                }
                Positional::Pop(front, count) => {
                    for _ in 0..count {
                        if front {
                            prop_assert_eq!(tree.pop_front(), (!model.is_empty()).then(|| model.remove(0)));
                        } else {
                            prop_assert_eq!(tree.pop_back(), model.pop());
                        }
                    }
                }
                Positional::Cut(at, keep_left) => {
                    let at = at.index(model.len() + 1);
                    let right = tree.split_off(model[..at].iter().map(|item| item.weight).sum());
                    let right_model = model.split_off(at);
                    check_tree(&right, false);
                    check_equal(&right, &right_model);
                    if !keep_left {
                        tree = right;
                        model = right_model;
                    }
                }
                Positional::Clone => clones.push((tree.clone(), model.clone())),
                Positional::Remove(..) | Positional::Reweigh(..) => {}
            }
            check_tree(&tree, false);
        }
        check_equal(&tree, &model);
        prop_assert_eq!(tree.get(tree.weight()), None);
        for (tree, model) in clones {
            check_equal(&tree, &model);
        }
    }
}

#[test]
fn a_clone_keeps_the_old_items_through_a_hundred_thousand_writes() {
    let mut tree = BTree::new();
    for key in 0..50_000 {
        insert(&mut tree, key * 7919 % 50_000, 1);
    }
    let before: Vec<Entry> = tree.iter().cloned().collect();
    let snapshot = tree.clone();
    for key in 0..50_000 {
        remove(&mut tree, key * 7907 % 50_000).expect("each key is met once");
        insert(&mut tree, 50_000 + key, 2);
    }
    check_equal(&snapshot, &before);
    check_tree(&tree, true);
    assert_eq!(tree.first().map(|item| item.key), Some(50_000));
    assert_eq!(tree.weight(), 100_000);
}

#[test]
fn a_write_after_a_clone_copies_one_path_only() {
    let mut tree = BTree::from_sorted((0..100_000).map(|key| Entry { key, weight: 1 }));
    let snapshot = tree.clone();
    remove(&mut tree, 77_777);
    let shared = |left: &BTree<Entry>, right: &BTree<Entry>| {
        let leaves = |tree: &BTree<Entry>| {
            let mut found = Vec::new();
            let mut nodes = vec![tree.root.clone()];
            while let Some(node) = nodes.pop() {
                match node {
                    Node::Leaf(items) => found.push(items.as_ptr()),
                    Node::Inner(children) => nodes.extend(children.iter().map(|child| child.node.clone())),
                }
            }
            found
        };
        let right = leaves(right);
        leaves(left).iter().filter(|leaf| !right.contains(leaf)).count()
    };
    assert_eq!(shared(&tree, &snapshot), 1);
    let untouched = tree.clone();
    remove(&mut tree, 77_777);
    assert_eq!(shared(&tree, &untouched), 0, "removing what is not there copies nothing");
}

#[test]
fn appending_in_order_leaves_full_leaves() {
    let mut tree = BTree::new();
    let count = 100 * LEAF_MAX as u32;
    for key in 0..count {
        insert(&mut tree, key, 1);
    }
    for key in 0..count {
        tree.push_front(Entry { key, weight: 1 });
    }
    let mut fills = Vec::new();
    let mut nodes = vec![tree.root.clone()];
    while let Some(node) = nodes.pop() {
        match node {
            Node::Leaf(items) => fills.push(items.len()),
            Node::Inner(children) => nodes.extend(children.iter().map(|child| child.node.clone())),
        }
    }
    assert!(fills.iter().filter(|&&fill| fill == LEAF_MAX).count() >= 199, "{fills:?}");
}

#[test]
fn trees_can_be_sent_to_other_threads() {
    fn check<T: Send + Sync>() {}
    check::<BTree<Entry>>();
}
