//! Which of many prefixes a key begins with.
//!
//! Clients may listen to hundreds of thousands of prefixes, and each key that is written is looked for among them. In a sorted set the
//! prefixes of a key lie before it, and what lies between them begins with one of them or tells how far a shorter one can go:
//!
//! ```text
//!   key   user:7:name        greatest entry up to it: user:5   is no prefix; both begin with "user:",
//!                            so no longer one is: look again from "user:"
//! ```
//! A look-up costs as many searches as the key has such branches, at most its length.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

/// Sorted prefixes.
pub(crate) trait Prefixes {
    /// The greatest one that is not above `key`.
    fn up_to(&self, key: &[u8]) -> Option<&[u8]>;

    /// The smallest one that is not below `key`.
    fn not_below(&self, key: &[u8]) -> Option<&[u8]>;

    /// The longest one that `key` begins with.
    fn longest_of(&self, key: &[u8]) -> Option<&[u8]> {
        let mut bound = key;
        loop {
            let found = self.up_to(bound)?;
            let common = key.iter().zip(found).take_while(|(a, b)| a == b).count();
            if common == found.len() {
                return Some(found);
            }
            bound = &key[..common];
        }
    }

    /// All that `key` begins with, the longest first.
    fn all_of<'a>(&'a self, key: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
        std::iter::successors(self.longest_of(key), move |found| self.longest_of(&key[..found.len().checked_sub(1)?]))
    }

    /// The smallest one that `prefix` begins with, or that begins with it.
    fn overlapping<'a>(&'a self, prefix: &'a [u8]) -> Option<&'a [u8]> {
        self.all_of(prefix).last().or_else(|| self.not_below(prefix).filter(|found| found.starts_with(prefix)))
    }
}

impl<V> Prefixes for BTreeMap<Box<[u8]>, V> {
    fn up_to(&self, key: &[u8]) -> Option<&[u8]> {
        self.range::<[u8], _>((Bound::Unbounded, Bound::Included(key))).next_back().map(|(found, _)| &**found)
    }

    fn not_below(&self, key: &[u8]) -> Option<&[u8]> {
        self.range::<[u8], _>((Bound::Included(key), Bound::Unbounded)).next().map(|(found, _)| &**found)
    }
}

impl Prefixes for BTreeSet<Box<[u8]>> {
    fn up_to(&self, key: &[u8]) -> Option<&[u8]> {
        self.range::<[u8], _>((Bound::Unbounded, Bound::Included(key))).next_back().map(|found| &**found)
    }

    fn not_below(&self, key: &[u8]) -> Option<&[u8]> {
        self.range::<[u8], _>((Bound::Included(key), Bound::Unbounded)).next().map(|found| &**found)
    }
}

/// Two of these of which one begins with the other, if there are any.
pub(crate) fn overlapping_pair<'a>(prefixes: &[&'a [u8]]) -> Option<(&'a [u8], &'a [u8])> {
    let mut sorted = prefixes.to_vec();
    sorted.sort_unstable();
    // Whatever lies between a prefix and a longer one begins with it, too.
    sorted.windows(2).find(|pair| pair[1].starts_with(pair[0])).map(|pair| (pair[0], pair[1]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn word() -> impl Strategy<Value = Vec<u8>> {
        prop::collection::vec(prop::sample::select(b"ab".to_vec()), 0..6)
    }

    proptest! {
        #[test]
        fn all_prefixes_of_a_key_are_found(words in prop::collection::vec(word(), 0..20), key in word()) {
            let set: BTreeSet<Box<[u8]>> = words.iter().map(|word| word.clone().into()).collect();
            let found: Vec<&[u8]> = set.all_of(&key).collect();
            let mut expected: Vec<&[u8]> = set.iter().map(|p| &**p).filter(|p| key.starts_with(p)).collect();
            expected.reverse();
            prop_assert_eq!(&found, &expected);
            prop_assert_eq!(set.longest_of(&key), expected.first().copied());
            let overlap = |p: &&[u8]| key.starts_with(p) || p.starts_with(&key);
            prop_assert_eq!(set.overlapping(&key), set.iter().map(|p| &**p).find(overlap));
        }

        #[test]
        fn prefixes_that_overlap_are_found(words in prop::collection::vec(word(), 0..6)) {
            let words: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
            let any = (0..words.len())
                .any(|i| words[i + 1..].iter().any(|other| words[i].starts_with(other) || other.starts_with(words[i])));
            let found = overlapping_pair(&words);
            prop_assert_eq!(found.is_some(), any);
            prop_assert!(found.is_none_or(|(short, long)| long.starts_with(short)));
        }
    }
}
