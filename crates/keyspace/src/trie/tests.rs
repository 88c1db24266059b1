//! Random operations against plain models, with hashes of every kind.

use super::{SURVEYED_ENTRIES, Survey, Trie};
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
        let ValueRef::Bytes(bytes) = entry.value() else { panic!("only strings were put in") };
        let old = model.insert(entry.key().to_vec(), (bytes.to_vec(), entry.expire_at()));
        assert!(old.is_none(), "the walk gives {entry:?} twice");
    }
    model
}

fn key(number: u64) -> Vec<u8> {
    number.to_string().into_bytes()
}

/// One random change to both.
fn change<H: KeyHash>(trie: &mut Trie<H>, model: &mut Model, keys: u64, next: &mut impl FnMut() -> u64) {
    let key = key(next() % keys);
    let hash = H::hash(&key);
    let value = vec![b'v'; (next() % 100) as usize];
    let expire = (next().is_multiple_of(3)).then(|| (next() % 1000) as i64);
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
            assert_eq!(there, model.get_mut(&key).map(|(_, at)| *at = expire).is_some());
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
        if next().is_multiple_of(64) {
            snapshots.push((trie.clone(), model.clone()));
        }
        if snapshots.len() > 4 {
            let (snapshot, then) = snapshots.swap_remove((next() % 5) as usize);
            if next().is_multiple_of(2) {
                let mut drain = snapshot.into_drain();
                let mut seen = Model::new();
                while let Some(entry) = drain.next() {
                    let ValueRef::Bytes(bytes) = entry.value() else { panic!("only strings were put in") };
                    seen.insert(entry.key().to_vec(), (bytes.to_vec(), entry.expire_at()));
                }
                assert_eq!((seen, drain.left()), (then, 0));
            } else {
                assert_eq!(contents(snapshot.iter()), then);
            }
        }
        if step.is_multiple_of(16) {
            let probe = key(next() % keys);
            let found = trie.find(H::hash(&probe), &probe).map(|entry| entry.expire_at());
            assert_eq!(found, model.get(&probe).map(|(_, at)| *at));
            trie.prefetch(&[H::hash(&probe), next()], &());
        }
        if step.is_multiple_of(256) {
            assert_eq!((contents(trie.iter()), trie.len()), (model.clone(), model.len()));
            let bound = model.values().filter_map(|(_, at)| *at).min().unwrap_or(i64::MAX);
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

#[test]
fn the_memory_of_many_entries_is_estimated_from_some() {
    let mut trie: Trie<Seeded> = Trie::new();
    let mut next = numbers(7);
    for i in 0..20 * SURVEYED_ENTRIES {
        let value = vec![b'x'; (next() % 200) as usize];
        let key = format!("key:{i}").into_bytes();
        trie.insert(Seeded::hash(&key), Entry::new_bytes(&key, &value, None));
        if i == SURVEYED_ENTRIES / 2 {
            let entries: usize = trie.iter().map(Entry::memory_usage).sum();
            assert_eq!(trie.memory_usage(), trie.part_bytes() + entries, "few entries are counted exactly");
        }
    }
    let (mut all, mut entry_bytes) = (Survey::default(), 0);
    trie.root.as_ref().unwrap().survey(usize::MAX, &mut all, &mut |entry| entry_bytes += entry.memory_usage());
    assert_eq!(all.entries, trie.len());
    for (estimate, exact) in [(trie.part_bytes(), all.part_bytes), (trie.memory_usage(), all.part_bytes + entry_bytes)]
    {
        let ratio = estimate as f64 / exact as f64;
        assert!((0.95..1.05).contains(&ratio), "{estimate} for {exact}");
    }
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

#[track_caller]
fn filled<H: KeyHash>(keys: u64, expire: impl Fn(u64) -> Option<i64>) -> Trie<H> {
    let mut trie = Trie::new();
    for number in 0..keys {
        let key = key(number);
        trie.insert(H::hash(&key), Entry::new_bytes(&key, b"v", expire(number)));
    }
    trie
}

/// A walk by cursor while keys come and go gives each key that stays exactly once.
fn check_scan<H: KeyHash>(seed: u64, staying: u64, passing: u64, count: usize) {
    let mut next = numbers(seed);
    let mut trie = filled::<H>(staying, |_| None);
    let mut seen: BTreeMap<Vec<u8>, usize> = BTreeMap::new();
    let mut cursor = 0;
    loop {
        cursor = trie.scan(cursor, count, |entry| *seen.entry(entry.key().to_vec()).or_default() += 1);
        if cursor == 0 {
            break;
        }
        for _ in 0..next() % 100 {
            let key = key(staying + next() % passing);
            if next().is_multiple_of(2) {
                trie.insert(H::hash(&key), Entry::new_member(&key));
            } else {
                trie.remove(H::hash(&key), &key);
            }
        }
    }
    for number in 0..staying {
        assert_eq!(seen.get(&key(number)), Some(&1), "key {number} of {staying}");
    }
}

#[test]
fn a_scan_gives_exactly_as_many_as_asked_for() {
    let trie = filled::<Seeded>(1000, |_| None);
    let (mut cursor, mut calls, mut all) = (0, 0, 0);
    loop {
        let mut given = 0;
        cursor = trie.scan(cursor, 10, |_| given += 1);
        calls += 1;
        all += given;
        assert!(given == 10 || cursor == 0, "{given} at call {calls}");
        if cursor == 0 {
            break;
        }
        assert!(cursor <= i64::MAX as u64, "clients may keep cursors in signed numbers");
    }
    assert_eq!((all, calls), (1000, 100));
    assert_eq!(trie.scan(u64::MAX, 10, |_| {}), 0, "a cursor that was never given is harmless");
}

#[test]
fn equal_hashes_come_in_one_call_of_scan() {
    let trie = filled::<Constant>(200, |_| None);
    let mut given = 0;
    assert_eq!(trie.scan(0, 10, |_| given += 1), 0);
    assert_eq!(given, 200);
}

/// What is due comes out, in portions, and nothing else does; bounds stay below what is there.
fn check_expiry<H: KeyHash>(seed: u64, keys: u64) {
    let mut next = numbers(seed);
    let (mut trie, mut model) = (Trie::<H>::new(), Model::new());
    for now in (0..1100).step_by(50) {
        for _ in 0..keys / 4 {
            change(&mut trie, &mut model, keys, &mut next);
        }
        let snapshot = (next().is_multiple_of(4)).then(|| (trie.clone(), model.clone()));
        loop {
            let limit = 1 + (next() % 40) as usize;
            let count = trie.expire_due(now, limit, |entry| {
                let (_, at) = model.remove(entry.key()).unwrap();
                assert!(at == entry.expire_at() && at.unwrap() <= now);
            });
            if count < limit {
                break;
            }
        }
        let earliest = model.values().filter_map(|(_, at)| *at).min();
        assert!(earliest.is_none_or(|at| at > now), "{earliest:?} is left at {now}");
        assert_eq!(trie.expire_due(now, 1, |entry| panic!("{entry:?} comes late")), 0);
        assert!(trie.expiry_bound() > now && trie.expiry_bound() <= earliest.unwrap_or(i64::MAX));
        let nearest = trie.nearest_expiry().and_then(Entry::expire_at);
        assert_eq!(nearest.is_some(), earliest.is_some());
        if model.len() < 60 {
            assert_eq!(nearest, earliest, "with few bounds to follow the nearest is exact");
        }
        let mut volatile = 0;
        let given = trie.sample(5, true, &mut next, |entry| {
            assert!(entry.expire_at().is_some());
            volatile += 1;
        });
        assert_eq!((given, given > 0), (volatile, earliest.is_some()));
        if let Some((snapshot, then)) = snapshot {
            assert_eq!(contents(snapshot.iter()), then);
        }
        assert_eq!(contents(trie.iter()), model);
    }
}

#[test]
fn bounds_do_not_survive_what_they_were_for() {
    let mut trie = filled::<Seeded>(5000, |number| Some(if number == 77 { 10 } else { 1_000_000 }));
    let victim = key(77);
    trie.set_expire(Seeded::hash(&victim), &victim, None).unwrap();
    assert_eq!(trie.expiry_bound(), 10, "writes only lower bounds");
    assert_eq!(trie.expire_due(10, 100, |_| panic!("nothing is due")), 0);
    assert_eq!(trie.expiry_bound(), 1_000_000);
}

#[test]
fn random_entries_are_drawn_evenly() {
    const KEYS: u64 = 300;
    let rounds = if cfg!(miri) { 20 } else { 2000 };
    let trie = filled::<Seeded>(KEYS, |_| None);
    let mut next = numbers(42);
    let mut drawn: BTreeMap<Vec<u8>, i64> = BTreeMap::new();
    for _ in 0..KEYS * rounds {
        *drawn.entry(trie.random(&mut next).unwrap().key().to_vec()).or_default() += 1;
    }
    assert_eq!(drawn.len() as u64, KEYS);
    // 2000 draws for each key vary by 45 (one sigma); six sigmas are 13 %.
    if !cfg!(miri) {
        for (key, count) in drawn {
            assert!((count - 2000).abs() < 270, "{} was drawn {count} times", key.escape_ascii());
        }
    }
    assert!(Trie::<Seeded>::new().random(next).is_none());
}

#[test]
fn skewed_hashes_still_give_random_entries() {
    let trie = filled::<Low>(500, |_| None);
    let mut next = numbers(7);
    // Nearly all positions belong to empty leaves here, so this is about what happens when draws run out.
    assert!(trie.random(&mut next).is_some());
    let mut given = 0;
    assert_eq!(trie.sample(5, false, &mut next, |_| given += 1), 5);
    assert_eq!(given, 5);
}

#[test]
fn a_snapshot_read_on_another_thread_shows_its_moment() {
    let keys = if cfg!(miri) { 200 } else { 20_000 };
    let writes = if cfg!(miri) { 400 } else { 200_000 };
    let mut trie = filled::<Seeded>(keys, |_| None);
    let mut model = contents(trie.iter());
    let mut next = numbers(99);
    for _ in 0..3 {
        let (snapshot, then) = (trie.clone(), model.clone());
        let reader = std::thread::spawn(move || {
            let mut drain = snapshot.into_drain();
            let mut seen = Model::new();
            while let Some(entry) = drain.next() {
                let ValueRef::Bytes(bytes) = entry.value() else { panic!("only strings were put in") };
                seen.insert(entry.key().to_vec(), (bytes.to_vec(), entry.expire_at()));
            }
            assert!(seen == then, "the snapshot differs from its moment");
        });
        for _ in 0..writes {
            change(&mut trie, &mut model, keys, &mut next);
        }
        reader.join().unwrap();
        assert!(contents(trie.iter()) == model);
    }
}

#[test]
fn a_passed_part_is_not_copied_any_more() {
    let mut trie = filled::<Seeded>(5000, |_| None);
    let probe = key(1);
    let address = |trie: &Trie| trie.find(Seeded::hash(&probe), &probe).unwrap().address() as usize;
    let before = address(&trie);
    let snapshot = trie.clone();
    let mut drain = snapshot.into_drain();
    while drain.next().is_some() {}
    trie.find_mut(Seeded::hash(&probe), &probe).unwrap().set_bytes(b"w");
    assert_eq!(address(&trie), before, "nobody shares it, so it is changed in place");
    let held = trie.clone();
    trie.find_mut(Seeded::hash(&probe), &probe).unwrap().set_bytes(b"x");
    assert_ne!(address(&trie), before, "it is shared, so it is copied");
    drop(held);
}

#[test]
fn a_trie_that_shrinks_gives_its_memory_back() {
    let mut trie = filled::<Seeded>(20_000, |_| None);
    for number in 100..20_000 {
        let key = key(number);
        assert!(trie.remove(Seeded::hash(&key), &key).is_some());
    }
    let entries: usize = trie.iter().map(Entry::memory_usage).sum();
    let parts = trie.memory_usage() - entries;
    assert!(parts < 100 * 64, "{parts} bytes of nodes and leaves for 100 entries");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: CASES, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn scans_keep_their_promise(seed: u64, staying in 1u64..2000, passing in 1u64..5000, count in 1usize..200) {
        check_scan::<Seeded>(seed, staying, passing, count);
        check_scan::<Low>(seed, staying.min(600), passing.min(600), count);
        check_scan::<Colliding>(seed, staying.min(300), passing.min(300), count);
    }

    #[test]
    fn what_is_due_comes_out(seed: u64, keys in 4u64..2000) {
        check_expiry::<Seeded>(seed, keys);
        check_expiry::<Colliding>(seed, keys.min(200));
    }
}
