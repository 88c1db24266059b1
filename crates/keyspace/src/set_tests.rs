//! Tests of sets against a plain set, with the forms that clients can see.

use super::*;
use proptest::collection::vec;
use proptest::prelude::*;
use std::collections::BTreeSet;

type Model = BTreeSet<Vec<u8>>;

fn small_limits() -> Limits {
    Limits { set_max_intset_entries: 16, set_max_listpack_entries: 12, set_max_listpack_value: 10, ..Limits::default() }
}

fn members(set: &Set) -> Vec<Vec<u8>> {
    let mut members: Vec<_> = set.iter().map(Elem::to_vec).collect();
    members.sort();
    members
}

fn check_equal(set: &Set, model: &Model) {
    assert_eq!((set.len(), set.is_empty()), (model.len(), model.is_empty()));
    assert!(members(set).iter().eq(model));
    assert!(model.iter().all(|member| set.contains(member)));
    let (mut cursor, mut scanned) = (0, Vec::new());
    loop {
        cursor = set.scan(cursor, 5, |member| scanned.push(member.to_vec()));
        if cursor == 0 {
            break;
        }
    }
    scanned.sort();
    assert!(scanned.iter().eq(model));
    let limits = small_limits();
    let again = match (set.as_intset(), set.as_listpack()) {
        (Some(intset), None) => Set::from_intset(intset.clone(), &limits),
        (None, Some(listpack)) => Set::from_listpack(listpack.clone(), &limits).unwrap(),
        (None, None) => return,
        (Some(_), Some(_)) => panic!("a set has one form"),
    };
    assert_eq!((members(&again), again.encoding()), (members(set), set.encoding()));
}

fn member() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        20 => (-20i32..20).prop_map(|number| number.to_string().into_bytes()),
        2 => any::<i64>().prop_map(|number| number.to_string().into_bytes()),
        1 => (0u32..10).prop_map(|number| format!("m{number}").into_bytes()),
        1 => Just(b"05".to_vec()),
        1 => Just(vec![b'x'; 11]),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn behaves_as_a_set(steps in vec((0u8..10, member(), any::<u64>()), 1..80)) {
        let limits = small_limits();
        let mut set = Set::new();
        let mut model = Model::new();
        let mut clones = Vec::new();
        for (step, member, random) in steps {
            match step {
                0..5 => prop_assert_eq!(set.insert(&member, &limits), model.insert(member)),
                5..7 => prop_assert_eq!(set.remove(&member), model.remove(&member)),
                7 => {
                    let popped = set.pop(|| random, |member| member.to_vec());
                    prop_assert_eq!(popped.is_none(), model.is_empty());
                    prop_assert!(popped.is_none_or(|member| model.remove(&member)));
                }
                8 => {
                    set.pack_ints(&limits);
                    let ints = model.iter().all(|member| parse_i64(member).is_some());
                    prop_assert!(!ints || set.encoding() == "intset" || model.len() > 16);
                }
                _ => clones.push((set.clone(), model.clone())),
            }
            prop_assert_eq!(set.len(), model.len());
        }
        clones.push((set, model));
        for (set, model) in &clones {
            check_equal(set, model);
        }
    }
}

#[test]
fn forms_change_where_those_of_redis_do() {
    let limits = small_limits();
    let check = |ints: i64, others: &[&[u8]], expected: &str| {
        let mut set = Set::new();
        for value in 0..ints {
            set.insert(value.to_string().as_bytes(), &limits);
        }
        for member in others {
            set.insert(member, &limits);
        }
        assert_eq!(set.encoding(), expected, "{ints} {others:?}");
    };
    check(16, &[], "intset");
    check(17, &[], "hashtable");
    check(11, &[b"a"], "listpack");
    check(12, &[b"a"], "hashtable");
    check(11, &[b"a", b"b"], "hashtable");
    check(10, &[b"a", b"7"], "listpack");
    check(1, &[b"aaaaaaaaaa"], "listpack");
    check(1, &[b"aaaaaaaaaaa"], "hashtable");
    check(0, &[b"a", b"aaaaaaaaaaa"], "hashtable");
    // An integer that is too long for a listpack.
    check(0, &[b"12345678901", b"a"], "hashtable");
    check(0, &[b"-123456789", b"a"], "listpack");
    let create = |first: &[u8], count| Set::for_members(first, count, &limits).encoding();
    assert_eq!(create(b"1", 16), "intset");
    assert_eq!(create(b"1", 17), "hashtable");
    assert_eq!(create(b"a", 12), "listpack");
    assert_eq!(create(b"a", 13), "hashtable");
    let mut set = Set::for_members(b"1", 1, &limits);
    set.reserve(16, &limits);
    assert_eq!(set.encoding(), "intset");
    set.reserve(17, &limits);
    assert_eq!(set.encoding(), "hashtable");
}

#[test]
fn packed_bytes_from_outside_are_checked() {
    let limits = small_limits();
    let check = |elems: &[&str], expected: Result<&str, PackedError>| {
        let listpack = elems.iter().map(|text| Elem::from(text.as_bytes())).collect();
        let set = Set::from_listpack(listpack, &limits);
        assert_eq!(set.as_ref().map(Set::encoding).map_err(|&error| error), expected);
    };
    check(&["a", "b", "5"], Ok("listpack"));
    check(&["a", "b", "a"], Err(PackedError::Double));
    let many: Vec<String> = (0..13).map(|number| number.to_string()).collect();
    check(&many.iter().map(String::as_str).collect::<Vec<_>>(), Ok("hashtable"));
    let mut intset = Intset::new();
    (0..17).for_each(|value| assert!(intset.insert(value)));
    assert_eq!(Set::from_intset(intset, &limits).encoding(), "hashtable");
}

#[test]
fn a_clone_keeps_the_old_members_through_thousands_of_writes() {
    let limits = Limits::default();
    let mut set = Set::new();
    for number in 0..10_000 {
        assert!(set.insert(format!("member:{number}").as_bytes(), &limits));
    }
    let before = members(&set);
    let snapshot = set.clone();
    for number in 0..10_000 {
        assert!(set.remove(format!("member:{number}").as_bytes()));
        assert!(set.insert(format!("new:{number}").as_bytes(), &limits));
    }
    assert_eq!(members(&snapshot), before);
    assert!(set.iter().all(|member| member.to_vec().starts_with(b"new:")));
    assert!(set.memory_usage() > 10_000 * 8);
}
