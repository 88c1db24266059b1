//! Tests of hashes against a map, with the forms that clients can see.

use super::*;
use proptest::collection::vec;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

type Model = BTreeMap<Vec<u8>, Vec<u8>>;

fn small_limits() -> Limits {
    Limits { hash_max_listpack_entries: 12, hash_max_listpack_value: 10, ..Limits::default() }
}

fn pairs(hash: &Hash) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut pairs: Vec<_> = hash.iter().map(|(field, value)| (field.to_vec(), value.to_vec())).collect();
    pairs.sort();
    pairs
}

fn check_equal(hash: &Hash, model: &Model) {
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
    if let Some(listpack) = hash.as_listpack() {
        let again = Hash::from_listpack(listpack.clone(), &small_limits()).unwrap();
        assert_eq!(pairs(&again), pairs(hash));
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
    fn behaves_as_a_map(steps in vec((0u8..8, text(), text()), 1..80)) {
        let limits = small_limits();
        let mut hash = Hash::new();
        let mut model = Model::new();
        let mut clones = Vec::new();
        for (step, field, value) in steps {
            match step {
                0..5 => prop_assert_eq!(hash.insert(&field, &value, &limits), model.insert(field, value).is_none()),
                5..7 => prop_assert_eq!(hash.remove(&field), model.remove(&field).is_some()),
                _ => clones.push((hash.clone(), model.clone())),
            }
            prop_assert_eq!(hash.len(), model.len());
        }
        clones.push((hash, model));
        for (hash, model) in &clones {
            check_equal(hash, model);
            prop_assert!(hash.get(b"absent").is_none());
        }
    }
}

#[test]
fn forms_change_where_those_of_redis_do() {
    let limits = small_limits();
    let with = |count: usize| {
        let mut hash = Hash::new();
        for number in 0..count {
            hash.insert(number.to_string().as_bytes(), b"v", &limits);
        }
        hash
    };
    assert_eq!(with(12).encoding(), "listpack");
    assert_eq!(with(13).encoding(), "hashtable");
    let check = |field: &[u8], value: &[u8], expected| {
        let mut hash = with(1);
        hash.insert(field, value, &limits);
        assert_eq!(hash.encoding(), expected);
    };
    check(&[b'f'; 10], &[b'v'; 10], "listpack");
    check(&[b'f'; 11], b"v", "hashtable");
    check(b"0", &[b'v'; 11], "hashtable");
    let mut hash = with(1);
    hash.reserve(13, 1, &limits);
    assert_eq!(hash.encoding(), "hashtable");
    hash.remove(b"0");
    assert!(hash.is_empty());
}

#[test]
fn packed_bytes_from_outside_are_checked() {
    let limits = small_limits();
    let check = |elems: &[&str], expected: Result<&str, PackedError>| {
        let listpack = elems.iter().map(|text| Elem::from(text.as_bytes())).collect();
        let hash = Hash::from_listpack(listpack, &limits);
        assert_eq!(hash.as_ref().map(Hash::encoding).map_err(|&error| error), expected);
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
        let mut hash = Hash::new();
        for number in 0..count {
            hash.insert(format!("f{number}").as_bytes(), number.to_string().as_bytes(), &limits);
        }
        let mut state = 1u64;
        let mut random = || {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            state ^ (state >> 29)
        };
        let mut seen = BTreeSet::new();
        for _ in 0..count * 20 {
            let (field, value) = hash.random(&mut random).unwrap();
            assert_eq!(field.to_vec(), [b"f", &value.to_vec()[..]].concat());
            seen.insert(value.as_int().unwrap());
        }
        assert_eq!(seen.len(), count as usize);
    }
    assert!(Hash::new().random(|| 7).is_none());
}

#[test]
fn a_clone_keeps_the_old_values_through_thousands_of_writes() {
    let limits = Limits::default();
    let mut hash = Hash::new();
    for number in 0..10_000 {
        hash.insert(format!("field:{number}").as_bytes(), b"old", &limits);
    }
    let snapshot = hash.clone();
    for number in 0..10_000 {
        let field = format!("field:{number}");
        if number % 3 == 0 {
            hash.remove(field.as_bytes());
        } else {
            hash.insert(field.as_bytes(), b"new", &limits);
        }
    }
    assert_eq!((snapshot.len(), hash.len()), (10_000, 6_666));
    assert!(snapshot.iter().all(|(_, value)| value.is(b"old")));
    assert!(hash.iter().all(|(_, value)| value.is(b"new")));
    assert!(hash.memory_usage() > 6_666 * 16);
}
