//! The big form: a trie of members and a tree in order, which share their entries.

use base::listpack::Elem;
use base::num::I64_TEXT_MAX;
use std::cmp::Ordering;

use super::Change;
use crate::btree::{BTree, Item};
use crate::entry::Entry;
use crate::hasher::hash;
use crate::trie::Trie;

/// Orders by score, then by the member's bytes. Scores are never NaN, and −0 equals 0.
pub(super) fn compare(left: (f64, &[u8]), right: (f64, &[u8])) -> Ordering {
    let scores = left.0.partial_cmp(&right.0).expect("scores are numbers");
    scores.then_with(|| left.1.cmp(right.1))
}

/// A member at its place in the order; the score is repeated here so that most comparisons need not look at the entry.
#[derive(Clone)]
pub(crate) struct Scored {
    score: f64,
    entry: Entry,
}

impl Scored {
    pub(crate) fn address(&self) -> *const u8 {
        self.entry.address()
    }

    pub(crate) fn pair(&self) -> (&[u8], f64) {
        (self.entry.key(), self.score)
    }

    fn compare(&self, score: f64, member: &[u8]) -> Ordering {
        let scores = self.score.partial_cmp(&score).expect("scores are numbers");
        scores.then_with(|| self.entry.key().cmp(member))
    }
}

impl Item for Scored {
    type Key = Scored;

    fn key(&self) -> &Scored {
        self
    }

    fn weight(&self) -> u64 {
        1
    }
}

/// A sorted set of many members.
#[derive(Clone)]
pub(crate) struct Table {
    members: Trie,
    order: BTree<Scored>,
}

fn score_in(entry: &Entry) -> f64 {
    entry.score().expect("the members of a sorted set have scores")
}

impl Table {
    /// Builds a table of different members that are in order.
    pub(super) fn from_sorted<'a>(pairs: impl Iterator<Item = (Elem<'a>, f64)>) -> Table {
        let mut members = Trie::new();
        let order = BTree::from_sorted(pairs.map(|(member, score)| {
            let buffer = &mut [0; I64_TEXT_MAX];
            let member = member.as_bytes(buffer);
            let entry = Entry::new_score(member, score);
            let double = members.insert(hash(member), entry.clone());
            assert!(double.is_none(), "members are different");
            Scored { score, entry }
        }));
        Table { members, order }
    }

    pub(super) fn len(&self) -> usize {
        self.members.len()
    }

    pub(crate) fn members(&self) -> &Trie {
        &self.members
    }

    pub(crate) fn order(&self) -> &BTree<Scored> {
        &self.order
    }

    pub(super) fn memory_usage(&self) -> usize {
        self.members.memory_usage() + self.order.node_bytes()
    }

    pub(super) fn score(&self, member: &[u8]) -> Option<f64> {
        self.members.find(hash(member), member).map(score_in)
    }

    pub(super) fn insert(&mut self, member: &[u8], score: f64) -> Change {
        let hash = hash(member);
        let (entry, change) = match self.members.find(hash, member).map(score_in) {
            Some(old) if old == score => return Change::Same,
            Some(old) => {
                let taken = self.order.take_by(|other| other.compare(old, member));
                assert!(taken.is_some(), "a member is in the trie and in the tree");
                // With the tree's handle gone, an entry that no snapshot holds is changed in place.
                drop(taken);
                let entry = self.members.find_mut(hash, member).expect("the member was just found");
                entry.set_score(score);
                (entry.clone(), Change::Updated)
            }
            None => {
                let entry = Entry::new_score(member, score);
                self.members.insert(hash, entry.clone());
                (entry, Change::Added)
            }
        };
        let double = self.order.insert_by(Scored { score, entry }, |other| other.compare(score, member));
        assert!(double.is_none(), "a member is in the tree once");
        change
    }

    pub(super) fn remove(&mut self, member: &[u8]) -> Option<f64> {
        let entry = self.members.remove(hash(member), member)?;
        let score = score_in(&entry);
        let taken = self.order.take_by(|other| other.compare(score, member));
        assert!(taken.is_some(), "a member is in the trie and in the tree");
        Some(score)
    }

    pub(super) fn rank(&self, member: &[u8]) -> Option<usize> {
        let score = self.score(member)?;
        Some(self.partition_by(|other| other.compare(score, member) == Ordering::Less))
    }

    fn partition_by(&self, before: impl FnMut(&Scored) -> bool) -> usize {
        usize::try_from(self.order.position_by(before)).expect("a rank is below the number of members")
    }

    /// How many members are in front of the first one for which `before` fails.
    pub(super) fn partition(&self, mut before: impl FnMut(&[u8], f64) -> bool) -> usize {
        self.partition_by(|scored| before(scored.entry.key(), scored.score))
    }

    pub(super) fn remove_ranks(&mut self, start: usize, count: usize, mut take: impl FnMut(&[u8], f64)) {
        for _ in 0..count {
            let scored = self.order.remove_at(start as u64).expect("the ranks are below the number of members");
            let (member, score) = scored.pair();
            let entry = self.members.remove(hash(member), member);
            assert!(entry.is_some(), "a member is in the tree and in the trie");
            take(member, score);
        }
    }

    pub(super) fn scan(&self, cursor: u64, count: usize, mut give: impl FnMut(&[u8], f64)) -> u64 {
        self.members.scan(cursor, count, |entry| give(entry.key(), score_in(entry)))
    }
}
