//! Commands' view of a database, against a plain model.

use super::*;
use crate::trail::End;
use crate::value::ValueRef;
use crate::{Hash, HashMut, Limits, List, Set, ZSet};
use proptest::prelude::*;
use std::cell::RefCell;
use std::collections::BTreeMap;

type Model = BTreeMap<Vec<u8>, (Vec<u8>, Option<i64>)>;

fn text(entry: &Entry) -> Vec<u8> {
    match entry.value() {
        ValueRef::Bytes(bytes) => bytes.to_vec(),
        ValueRef::Int(number) => number.to_string().into_bytes(),
        other => panic!("{other:?} is no string"),
    }
}

#[derive(Clone, Debug)]
enum Op {
    Set(u8, Vec<u8>, Option<Option<i64>>),
    Remove(u8),
    Expire(u8, Option<i64>),
    Rename(u8, u8),
    Copy(u8, u8),
    Append(u8, Vec<u8>),
    Due(i64),
    Clear,
}

fn op() -> impl Strategy<Value = Op> {
    let value = prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..40),
        any::<i64>().prop_map(|number| number.to_string().into_bytes()),
        (1000usize..1100).prop_map(|len| vec![b'v'; len]),
        Just(vec![b'b'; 70_000]),
    ];
    let at = proptest::option::of(0i64..100);
    prop_oneof![
        8 => (any::<u8>(), value.clone(), proptest::option::of(at.clone())).prop_map(|(k, v, e)| Op::Set(k, v, e)),
        3 => any::<u8>().prop_map(Op::Remove),
        3 => (any::<u8>(), at).prop_map(|(k, e)| Op::Expire(k, e)),
        2 => (any::<u8>(), any::<u8>()).prop_map(|(a, b)| Op::Rename(a, b)),
        2 => (any::<u8>(), any::<u8>()).prop_map(|(a, b)| Op::Copy(a, b)),
        2 => (any::<u8>(), value).prop_map(|(k, v)| Op::Append(k, v)),
        1 => (0i64..100).prop_map(Op::Due),
        1 => Just(Op::Clear),
    ]
}

fn name(key: u8) -> Vec<u8> {
    format!("key:{}", key % 64).into_bytes()
}

fn apply(db: &mut Db, model: &mut Model, op: Op) {
    match op {
        Op::Set(key, value, expire) => {
            let key = name(key);
            let (how, at) = match expire {
                None => (Expiry::Keep, model.get(&key).and_then(|(_, at)| *at)),
                Some(None) => (Expiry::Clear, None),
                Some(Some(at)) => (Expiry::At(at), Some(at)),
            };
            db.set(&key, &value, how);
            model.insert(key, (value, at));
        }
        Op::Remove(key) => assert_eq!(db.delete(&name(key)), model.remove(&name(key)).is_some()),
        Op::Expire(key, at) => {
            let there = model.get_mut(&name(key)).map(|(_, old)| *old = at).is_some();
            assert_eq!(db.set_expire(&name(key), at), there);
        }
        Op::Rename(from, to) => {
            let entry = model.remove(&name(from));
            assert_eq!(db.rename(&name(from), &name(to)), entry.is_some());
            if let Some(entry) = entry {
                model.insert(name(to), entry);
            }
        }
        Op::Copy(from, to) => {
            let entry = db.copy_of(&name(from), &name(to));
            assert_eq!(entry.is_some(), model.contains_key(&name(from)));
            if let Some(entry) = entry {
                db.insert(entry);
                model.insert(name(to), model[&name(from)].clone());
            }
        }
        Op::Append(key, value) => {
            if let Some(entry) = db.get_mut(&name(key)) {
                entry.append(&value);
                model.get_mut(&name(key)).unwrap().0.extend(&value);
            }
        }
        Op::Due(now) => {
            db.expire_due(now, usize::MAX, |_| {});
            model.retain(|_, (_, at)| at.is_none_or(|at| at > now));
        }
        Op::Clear => {
            drop(db.clear());
            model.clear();
        }
    }
}

fn contents(trie: &Trie) -> Model {
    trie.iter().map(|entry| (entry.key().to_vec(), (text(entry), entry.expire_at()))).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_database_keeps_to_the_model(ops in proptest::collection::vec(op(), 1..200), cut in 0usize..200) {
        let (mut db, mut model) = (Db::new(), Model::new());
        let mut snapshot = None;
        for (step, op) in ops.into_iter().enumerate() {
            if step == cut {
                snapshot = Some((db.snapshot(), model.clone()));
            }
            apply(&mut db, &mut model, op);
            prop_assert_eq!(db.len(), model.len());
            prop_assert_eq!(db.expires_len(), model.values().filter(|(_, at)| at.is_some()).count());
        }
        prop_assert_eq!(contents(db.trie()), model);
        if let Some((snapshot, then)) = snapshot {
            prop_assert_eq!(contents(&snapshot), then);
        }
    }
}

#[test]
fn numbers_are_kept_as_numbers() {
    let mut db = Db::new();
    assert!(matches!(db.set(b"k", b"-42", Expiry::Clear).value(), ValueRef::Int(-42)));
    assert!(matches!(db.set(b"k", b"042", Expiry::Clear).value(), ValueRef::Bytes(b"042")));
    assert!(matches!(db.set_int(b"k", 7, Expiry::At(5)).value(), ValueRef::Int(7)));
    assert_eq!((db.expires_len(), db.get(b"k").and_then(Entry::expire_at)), (1, Some(5)));
}

#[test]
fn large_values_go_to_the_trash_when_they_are_replaced() {
    let mut db = Db::new();
    db.set(b"k", &[1; 200_000], Expiry::At(5)).set_access(77);
    assert_eq!(db.set(b"k", b"small", Expiry::Keep).access(), 77);
    assert_eq!(db.take_trash().len(), 1);
    db.set(b"k", &[1; 200_000], Expiry::Clear);
    assert!(!db.has_trash() && db.delete(b"k"));
    assert_eq!(db.take_trash().len(), 1);
    assert_eq!((db.len(), db.expires_len()), (0, 0));
}

#[test]
fn the_mean_time_to_live_is_near() {
    let mut db = Db::new();
    assert_eq!(db.avg_ttl(0, || 1), 0);
    for at in 0..1000 {
        db.set(format!("k{at}").as_bytes(), b"v", Expiry::At(5000 + at % 10));
    }
    let mut state = 1u64;
    let ttl = db.avg_ttl(1000, || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state
    });
    assert!((4000..4010).contains(&ttl), "{ttl}");
}

/// What a prefetch has asked for: of which requests the end, and the member with or without score.
#[derive(Default)]
struct Asked {
    ends: RefCell<Vec<usize>>,
    members: RefCell<Vec<(usize, bool)>>,
}

impl Intents for Asked {
    fn end(&self, i: usize) -> End {
        self.ends.borrow_mut().push(i);
        if i.is_multiple_of(2) { End::Front } else { End::Back }
    }

    fn member(&self, i: usize, scored: bool) -> Option<u64> {
        self.members.borrow_mut().push((i, scored));
        (!scored || i.is_multiple_of(2)).then_some(7)
    }
}

#[test]
fn prefetching_goes_into_containers_and_changes_nothing() {
    let limits = Limits::default();
    let text = |i: usize| format!("member {i}").into_bytes();
    for (small, large) in [(3, 3), (3, 5000)] {
        let mut db = Db::new();
        let mut keys: Vec<Vec<u8>> = Vec::new();
        for copy in 0..2 {
            for (kind, count) in [("list", large), ("hash", large), ("set", large), ("zset", large), ("short", small)] {
                let value = match kind {
                    "list" | "short" => {
                        let mut list = List::new();
                        (0..count).for_each(|i| list.push_back(&text(i), &limits));
                        Value::List(list)
                    }
                    "hash" => {
                        let mut entry = Entry::new_value(b"", Value::Hash(Hash::new()), None);
                        let mut hash = HashMut::new(&mut entry);
                        (0..count).for_each(|i| assert!(hash.insert(&text(i), b"value", &limits)));
                        Value::Hash(hash.as_ref().to_hash())
                    }
                    "set" => {
                        let mut set = Set::new();
                        (0..count).for_each(|i| assert!(set.insert(&text(i), &limits)));
                        Value::Set(set)
                    }
                    _ => {
                        let mut zset = ZSet::new();
                        for i in 0..count {
                            zset.insert(&text(i), i as f64, &limits);
                        }
                        Value::ZSet(zset)
                    }
                };
                let key = format!("{kind}:{copy}").into_bytes();
                db.insert_value(&key, value, None);
                keys.push(key);
            }
        }
        db.set(b"string", b"text", Expiry::Clear);
        keys.extend([b"string".to_vec(), b"not there".to_vec()]);
        let hashes: Vec<u64> = keys.iter().map(|key| hash(key)).collect();
        let before: Vec<String> = db.trie().iter().map(|entry| format!("{:?}", entry.value())).collect();
        let asked = Asked::default();
        db.prefetch(&hashes, &asked);
        let (mut ends, mut members) = (asked.ends.into_inner(), asked.members.into_inner());
        ends.sort_unstable();
        members.sort_unstable();
        assert_eq!(ends, (0..10).collect::<Vec<_>>(), "only containers have ends");
        let tables = [(1, false), (2, false), (3, true), (6, false), (7, false), (8, true)];
        assert_eq!(members, if large > small { &tables[..] } else { &[] });
        let after: Vec<String> = db.trie().iter().map(|entry| format!("{:?}", entry.value())).collect();
        assert_eq!(before, after);
    }
}
