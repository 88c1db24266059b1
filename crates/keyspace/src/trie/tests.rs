//! Random operations against plain models, with hashes of every kind.

use super::Trie;
use crate::entry::Entry;
use crate::hasher::{KeyHash, Seeded};
use crate::value::ValueRef;
use proptest::prelude::*;
use std::collections::BTreeMap;

/// Hashes of which only three bits, at both ends, differ: deep chains and crowded leaves.
struct Colliding;

impl KeyHash for Colliding {
    fn hash(key: &[u8]) -> u64 {
        let hash = Seeded::hash(key);
        (hash & 3) << 62 | (hash & 4) >> 1 | hash & 1
    }
}

/// All keys have the same hash.
struct Constant;

impl KeyHash for Constant {
    fn hash(_: &[u8]) -> u64 {
        0xffff_ffff_ffff_ffff
    }
}

/// Keys are numbers and hash to themselves, in the lowest bits: one chain of nodes to the last level.
struct Low;

impl KeyHash for Low {
    fn hash(key: &[u8]) -> u64 {
        std::str::from_utf8(key).unwrap().parse().unwrap()
    }
}

/// A small generator for choices inside tests (xorshift).
fn numbers(seed: u64) -> impl FnMut() -> u64 {
    let mut state = seed | 1;
    move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }
}

type Model = BTreeMap<Vec<u8>, (Vec<u8>, Option<i64>)>;

fn contents<'a>(entries: impl Iterator<Item = &'a Entry>) -> Model {
    let mut model = Model::new();
    for entry in entries {
        let ValueRef::Bytes(bytes) = entry.value() else {
            panic!("only strings were put in")
        };
        let old = model.insert(entry.key().to_vec(), (bytes.to_vec(), entry.expire_at()));
        assert!(old.is_none(), "the walk gives {entry:?} twice");
    }
    model
}

fn key(number: u64) -> Vec<u8> {
    number.to_string().into_bytes()
}

/// One random change to both.
fn change<H: KeyHash>(
    trie: &mut Trie<H>,
    model: &mut Model,
    keys: u64,
    next: &mut impl FnMut() -> u64,
) {
    let key = key(next() % keys);
    let hash = H::hash(&key);
    let value = vec![b'v'; (next() % 100) as usize];
    let expire = (next() % 3 == 0).then(|| (next() % 1000) as i64);
    match next() % 6 {
        0 | 1 => {
            let old = trie.insert(hash, Entry::new_bytes(&key, &value, expire));
            let want = model.insert(key, (value, expire));
            assert_eq!(old.is_some(), want.is_some());
        }
        2 => match (trie.find_mut(hash, &key), model.get_mut(&key)) {
            (Some(entry), Some((bytes, _))) => {
                entry.set_bytes(&value);
                *bytes = value;
            }
            (None, None) => {}
            (entry, want) => panic!("{entry:?} instead of {want:?}"),
        },
        3 => {
            let there = trie.set_expire(hash, &key, expire).is_some();
            assert_eq!(
                there,
                model.get_mut(&key).map(|(_, at)| *at = expire).is_some()
            );
        }
        _ => {
            let gone = trie.remove(hash, &key);
            assert_eq!(gone.is_some(), model.remove(&key).is_some());
        }
    }
}

/// Random changes, with snapshots taken on the way that are compared at the end of their life.
fn check_model<H: KeyHash>(seed: u64, keys: u64, steps: usize) {
    let mut next = numbers(seed);
    let (mut trie, mut model) = (Trie::<H>::new(), Model::new());
    let mut snapshots: Vec<(Trie<H>, Model)> = Vec::new();
    for step in 0..steps {
        change(&mut trie, &mut model, keys, &mut next);
        if next() % 64 == 0 {
            snapshots.push((trie.clone(), model.clone()));
        }
        if snapshots.len() > 4 {
            let (snapshot, then) = snapshots.swap_remove((next() % 5) as usize);
            if next() % 2 == 0 {
                let mut drain = snapshot.into_drain();
                let mut seen = Model::new();
                while let Some(entry) = drain.next() {
                    let ValueRef::Bytes(bytes) = entry.value() else {
                        panic!("only strings were put in")
                    };
                    seen.insert(entry.key().to_vec(), (bytes.to_vec(), entry.expire_at()));
                }
                assert_eq!((seen, drain.left()), (then, 0));
            } else {
                assert_eq!(contents(snapshot.iter()), then);
            }
        }
        if step % 16 == 0 {
            let probe = key(next() % keys);
            let found = trie
                .find(H::hash(&probe), &probe)
                .map(|entry| entry.expire_at());
            assert_eq!(found, model.get(&probe).map(|(_, at)| *at));
            trie.prefetch(&[H::hash(&probe), next()]);
        }
        if step % 256 == 0 {
            assert_eq!(
                (contents(trie.iter()), trie.len()),
                (model.clone(), model.len())
            );
            let bound = model
                .values()
                .filter_map(|(_, at)| *at)
                .min()
                .unwrap_or(i64::MAX);
            assert!(trie.expiry_bound() <= bound);
        }
    }
    assert_eq!(contents(trie.iter()), model);
    for (snapshot, then) in snapshots {
        assert_eq!(contents(snapshot.iter()), then);
    }
    // Everything can be taken out again, and nothing is left behind.
    for key in model.keys() {
        assert!(trie.remove(H::hash(key), key).is_some());
    }
    assert!(trie.is_empty() && trie.memory_usage() == 0);
}

const CASES: u32 = if cfg!(miri) { 1 } else { 24 };
const STEPS: usize = if cfg!(miri) { 300 } else { 4000 };

proptest! {
    #![proptest_config(ProptestConfig { cases: CASES, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_operations_keep_to_the_model(seed: u64, keys in 1u64..3000) {
        check_model::<Seeded>(seed, keys, STEPS);
    }

    #[test]
    fn colliding_hashes_keep_to_the_model(seed: u64, keys in 1u64..1500) {
        check_model::<Colliding>(seed, keys, STEPS / 2);
    }

    #[test]
    fn equal_hashes_keep_to_the_model(seed: u64, keys in 1u64..500) {
        check_model::<Constant>(seed, keys, STEPS / 4);
    }

    #[test]
    fn neighbouring_hashes_keep_to_the_model(seed: u64, keys in 1u64..1500) {
        check_model::<Low>(seed, keys, STEPS / 2);
    }
}
