//! Tests of hashes against a map, with the forms that clients can see.

use super::*;
use crate::value::Value;
use proptest::collection::vec;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

type Model = BTreeMap<Vec<u8>, Vec<u8>>;

/// A key with an empty hash.
fn empty() -> Entry {
    Entry::new_value(b"key", Value::Hash(Hash::new()), None)
}

fn read(entry: &Entry) -> HashRef<'_> {
    entry.hash().unwrap()
}

fn insert(entry: &mut Entry, field: &[u8], value: &[u8], limits: &Limits) -> bool {
    HashMut::new(entry).insert(field, value, limits)
}

fn remove(entry: &mut Entry, field: &[u8]) -> bool {
    HashMut::new(entry).remove(field)
}

fn small_limits() -> Limits {
    Limits { hash_max_listpack_entries: 12, hash_max_listpack_value: 10, ..Limits::default() }
}

fn pairs(hash: HashRef<'_>) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut pairs: Vec<_> = hash.iter().map(|(field, value)| (field.to_vec(), value.to_vec())).collect();
    pairs.sort();
    pairs
}

fn pairs_of(entry: &Entry) -> Vec<(Vec<u8>, Vec<u8>)> {
    pairs(read(entry))
}

fn check_equal(hash: HashRef<'_>, model: &Model) {
    assert_eq!((hash.len(), hash.is_empty()), (model.len(), model.is_empty()));
    assert!(pairs(hash).into_iter().eq(model.clone()));
    for (field, value) in model {
        assert!(hash.contains(field) && hash.get(field).unwrap().is(value));
    }
    let (mut cursor, mut scanned) = (0, Vec::new());
    loop {
        cursor = hash.scan(cursor, 5, |field, value| scanned.push((field.to_vec(), value.to_vec())));
        if cursor == 0 {
            break;
        }
    }
    scanned.sort();
    assert!(scanned.into_iter().eq(model.clone()));
    assert_eq!(hash.to_listpack().is_some(), hash.is_packed());
    if let Some(listpack) = hash.to_listpack() {
        let again = Hash::from_listpack(&listpack, &small_limits()).unwrap();
        assert_eq!(pairs(again.as_ref()), pairs(hash));
    }
}

fn text() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        8 => (0u32..30).prop_map(|number| number.to_string().into_bytes()),
        8 => (0u32..10).prop_map(|number| format!("f{number}").into_bytes()),
        1 => Just(vec![b'x'; 11]),
        1 => Just(vec![b'y'; 2000]),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn many_at_once_are_as_one_by_one(groups in vec(vec((text(), text()), 0..10), 1..8), entries in 0usize..14) {
        let limits = Limits { hash_max_listpack_entries: entries, hash_max_listpack_value: 5000, ..Limits::default() };
        let (mut together, mut alone) = (empty(), empty());
        for group in &groups {
            let pairs = || group.iter().map(|(field, value)| (&field[..], &value[..]));
            let added = HashMut::new(&mut together).insert_all(pairs(), &limits);
            // A group that is larger than a packed hash may be decides before its first field.
            HashMut::new(&mut alone).reserve(group.len(), 0, &limits);
            let one_by_one = pairs().filter(|(field, value)| insert(&mut alone, field, value, &limits)).count();
            prop_assert_eq!(added, one_by_one);
            prop_assert_eq!(pairs_of(&together), pairs_of(&alone));
            prop_assert_eq!(read(&together).encoding(), read(&alone).encoding());
        }
    }

    #[test]
    fn behaves_as_a_map(steps in vec((0u8..8, text(), text()), 1..80)) {
        let limits = small_limits();
        let mut hash = empty();
        let mut model = Model::new();
        let mut clones = Vec::new();
        for (step, field, value) in steps {
            match step {
                0..5 => prop_assert_eq!(insert(&mut hash, &field, &value, &limits), model.insert(field, value).is_none()),
                5..7 => prop_assert_eq!(remove(&mut hash, &field), model.remove(&field).is_some()),
                _ => clones.push((hash.clone(), model.clone())),
            }
            prop_assert_eq!(read(&hash).len(), model.len());
        }
        let renamed = hash.copied(&[b'k'; 300], Some(7)).renamed(b"another");
        prop_assert_eq!((renamed.key(), renamed.expire_at()), (&b"another"[..], Some(7)));
        clones.push((renamed, model.clone()));
        clones.push((hash, model));
        for (hash, model) in &clones {
            check_equal(read(hash), model);
            prop_assert!(read(hash).get(b"absent").is_none());
        }
    }
}

#[test]
fn forms_change_where_those_of_redis_do() {
    let limits = small_limits();
    let with = |count: usize| {
        let mut hash = empty();
        for number in 0..count {
            insert(&mut hash, number.to_string().as_bytes(), b"v", &limits);
        }
        hash
    };
    assert_eq!(read(&with(12)).encoding(), "listpack");
    assert_eq!(read(&with(13)).encoding(), "hashtable");
    let check = |field: &[u8], value: &[u8], expected| {
        let mut hash = with(1);
        insert(&mut hash, field, value, &limits);
        assert_eq!(read(&hash).encoding(), expected);
    };
    check(&[b'f'; 10], &[b'v'; 10], "listpack");
    check(&[b'f'; 11], b"v", "hashtable");
    check(b"0", &[b'v'; 11], "hashtable");
    let mut hash = with(1);
    HashMut::new(&mut hash).reserve(13, 1, &limits);
    assert_eq!(read(&hash).encoding(), "hashtable");
    remove(&mut hash, b"0");
    assert!(read(&hash).is_empty());
}

#[test]
fn packed_bytes_from_outside_are_checked() {
    let limits = small_limits();
    let check = |elems: &[&str], expected: Result<&str, PackedError>| {
        let listpack = elems.iter().map(|text| Elem::from(text.as_bytes())).collect();
        let hash = Hash::from_listpack(&listpack, &limits);
        assert_eq!(hash.as_ref().map(|hash| hash.as_ref().encoding()).map_err(|&error| error), expected);
    };
    check(&["f", "v", "g", "v"], Ok("listpack"));
    check(&["f", "v", "g"], Err(PackedError::Odd));
    check(&["f", "v", "f", "w"], Err(PackedError::Double));
    let many: Vec<String> = (0..26).map(|number| number.to_string()).collect();
    check(&many.iter().map(String::as_str).collect::<Vec<_>>(), Ok("hashtable"));
}

#[test]
fn random_fields_reach_all() {
    let limits = small_limits();
    for count in [5u32, 400] {
        let mut hash = empty();
        for number in 0..count {
            insert(&mut hash, format!("f{number}").as_bytes(), number.to_string().as_bytes(), &limits);
        }
        let mut state = 1u64;
        let mut random = || {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            state ^ (state >> 29)
        };
        let mut seen = BTreeSet::new();
        for _ in 0..count * 20 {
            let (field, value) = read(&hash).random(&mut random).unwrap();
            assert_eq!(field.to_vec(), [b"f", &value.to_vec()[..]].concat());
            seen.insert(value.as_int().unwrap());
        }
        assert_eq!(seen.len(), count as usize);
    }
    assert!(read(&empty()).random(|| 7).is_none());
}

#[test]
fn a_clone_keeps_the_old_values_through_thousands_of_writes() {
    let limits = Limits::default();
    let mut hash = empty();
    for number in 0..10_000 {
        insert(&mut hash, format!("field:{number}").as_bytes(), b"old", &limits);
    }
    let snapshot = hash.clone();
    for number in 0..10_000 {
        let field = format!("field:{number}");
        if number % 3 == 0 {
            remove(&mut hash, field.as_bytes());
        } else {
            insert(&mut hash, field.as_bytes(), b"new", &limits);
        }
    }
    let (snapshot, hash) = (read(&snapshot), read(&hash));
    assert_eq!((snapshot.len(), hash.len()), (10_000, 6_666));
    assert!(snapshot.iter().all(|(_, value)| value.is(b"old")));
    assert!(hash.iter().all(|(_, value)| value.is(b"new")));
    assert!(hash.memory_usage() > 6_666 * 16);
}

#[test]
fn a_packed_hash_becomes_a_table_before_it_outgrows_its_entry() {
    let limits = Limits { hash_max_listpack_entries: 1 << 20, hash_max_listpack_value: 1 << 20, ..Limits::default() };
    let mut hash = empty();
    let value = |number: u32| vec![number as u8; 1000];
    for number in 0..64u32 {
        insert(&mut hash, &number.to_le_bytes(), &value(number), &limits);
    }
    assert!(read(&hash).is_packed());
    let before = hash.clone();
    for number in 64..70u32 {
        insert(&mut hash, &number.to_le_bytes(), &value(number), &limits);
    }
    assert!(!read(&hash).is_packed() && read(&before).is_packed());
    assert_eq!((read(&hash).len(), read(&before).len()), (70, 64));
    for number in 0..70u32 {
        assert!(read(&hash).get(&number.to_le_bytes()).unwrap().is(&value(number)));
    }
    let long = vec![b'x'; 70_000];
    let mut hash = empty();
    insert(&mut hash, b"f", &long, &limits);
    assert!(read(&hash).get(b"f").unwrap().is(&long) && !read(&hash).is_packed());
    let listpack = [Elem::Bytes(b"f"), Elem::Bytes(&long)].into_iter().collect();
    let hash = Hash::from_listpack(&listpack, &limits).unwrap();
    assert!(hash.as_ref().get(b"f").unwrap().is(&long) && !hash.as_ref().is_packed());
}

#[test]
fn fields_change_in_place_within_the_allocation() {
    let limits = Limits::default();
    let mut hash = empty();
    insert(&mut hash, b"field", &[b'x'; 60], &limits);
    let (address, size) = (hash.address(), hash.memory_usage());
    assert_eq!(size, 96, "12 of header, 3 of key, 2 of count, 6 and 61 of pair");
    insert(&mut hash, b"n", b"1", &limits);
    insert(&mut hash, b"n", b"200000", &limits);
    remove(&mut hash, b"n");
    assert_eq!(hash.address(), address);
    let shared = hash.clone();
    insert(&mut hash, b"n", b"1", &limits);
    assert_ne!(hash.address(), shared.address());
    assert_eq!((read(&hash).len(), read(&shared).len()), (2, 1));
}
