//! Random commands on a list, a hash and a set against a `Vec`, a map and a set of the standard library, and a snapshot
//! taken on the way, which must go on showing the data of its moment.

mod support;

use keyspace::{Snapshot, ValueRef};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use support::{Server, show, sorted};

/// What each of the three keys holds.
#[derive(Clone, Debug, Default, PartialEq)]
struct Model {
    list: Vec<String>,
    hash: BTreeMap<String, String>,
    set: BTreeSet<String>,
}

#[derive(Clone, Debug)]
enum Step {
    Push(bool, Vec<String>),
    Pop(bool, usize),
    Set(i64, String),
    Insert(bool, String, String),
    Remove(i64, String),
    Trim(i64, i64),
    Rotate(bool, bool),
    HashSet(Vec<(String, String)>),
    HashDel(Vec<String>),
    Add(Vec<String>),
    Rem(Vec<String>),
    PopMembers(usize),
}

/// Integers, short strings, and now and then one that does not fit a packed form.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        8 => (0..300i32).prop_map(|n| n.to_string()),
        8 => (0..300i32).prop_map(|n| format!("m{n}")),
        1 => (0..9u8).prop_map(|n| format!("{n}").repeat(100)),
        1 => (0..9u8).prop_map(|n| format!("{n}").repeat(5000)),
    ]
}

fn texts() -> impl Strategy<Value = Vec<String>> {
    prop_oneof![4 => prop::collection::vec(text(), 1..6), 1 => prop::collection::vec(text(), 100..300)]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (any::<bool>(), texts()).prop_map(|(left, values)| Step::Push(left, values)),
        (any::<bool>(), 0..40usize).prop_map(|(left, n)| Step::Pop(left, n)),
        (-60..60i64, text()).prop_map(|(i, value)| Step::Set(i, value)),
        (any::<bool>(), text(), text()).prop_map(|(after, pivot, value)| Step::Insert(after, pivot, value)),
        (-3..4i64, text()).prop_map(|(n, value)| Step::Remove(n, value)),
        (-200..20i64, -30..400i64).prop_map(|(start, stop)| Step::Trim(start, stop)),
        (any::<bool>(), any::<bool>()).prop_map(|(from, to)| Step::Rotate(from, to)),
        prop::collection::vec((text(), text()), 1..60).prop_map(Step::HashSet),
        texts().prop_map(Step::HashDel),
        texts().prop_map(Step::Add),
        texts().prop_map(Step::Rem),
        (1..60usize).prop_map(Step::PopMembers),
    ]
}

fn side(left: bool) -> &'static str {
    if left { "LEFT" } else { "RIGHT" }
}

/// Where a range of indices begins and ends (exclusive) in a sequence of this length.
fn range(start: i64, stop: i64, len: usize) -> (usize, usize) {
    let len = len as i64;
    let from_front = |i: i64| if i < 0 { i + len } else { i };
    let (start, end) = (from_front(start).max(0), (from_front(stop) + 1).min(len));
    if start >= end { (0, 0) } else { (start as usize, end as usize) }
}

/// Does a step on both sides and compares the replies.
fn apply(server: &mut Server, model: &mut Model, step: &Step) {
    let list = &mut model.list;
    let run = |server: &mut Server, words: &[&str]| server.run_words(server.first, words);
    let shown =
        |values: &[String]| format!("[{}]", values.iter().map(|v| format!("{v:?}")).collect::<Vec<_>>().join(", "));
    let with = |head: &[&'static str], values: &[String]| -> Vec<String> {
        head.iter().map(|s| (*s).to_owned()).chain(values.iter().cloned()).collect()
    };
    let (reply, expected) = match step {
        Step::Push(left, values) => {
            for value in values {
                list.insert(if *left { 0 } else { list.len() }, value.clone());
            }
            let command = if *left { "LPUSH" } else { "RPUSH" };
            (server.run_words(server.first, &with(&[command, "l"], values)), list.len().to_string())
        }
        Step::Pop(left, n) => {
            let there = !list.is_empty();
            let taken = (*n).min(list.len());
            let popped: Vec<String> = match left {
                true => list.drain(..taken).collect(),
                false => list.drain(list.len() - taken..).rev().collect(),
            };
            let reply = run(server, &[if *left { "LPOP" } else { "RPOP" }, "l", &n.to_string()]);
            (reply, if there { shown(&popped) } else { "nil".into() })
        }
        Step::Set(i, value) => {
            let empty = list.is_empty();
            let index = if *i < 0 { i + list.len() as i64 } else { *i };
            let expected = match usize::try_from(index).ok().and_then(|index| list.get_mut(index)) {
                Some(slot) => {
                    slot.clone_from(value);
                    "+OK"
                }
                None if empty => "-ERR no such key",
                None => "-ERR index out of range",
            };
            (run(server, &["LSET", "l", &i.to_string(), value]), expected.into())
        }
        Step::Insert(after, pivot, value) => {
            let there = !list.is_empty();
            let found = list.iter().position(|v| v == pivot);
            if let Some(at) = found {
                list.insert(at + usize::from(*after), value.clone());
            }
            let expected = match (there, found) {
                (false, _) => "0".into(),
                (true, None) => "-1".into(),
                (true, Some(_)) => list.len().to_string(),
            };
            (run(server, &["LINSERT", "l", if *after { "AFTER" } else { "BEFORE" }, pivot, value]), expected)
        }
        Step::Remove(n, value) => {
            let quota = if *n == 0 { usize::MAX } else { n.unsigned_abs() as usize };
            let mut at: Vec<usize> = (0..list.len()).filter(|&i| list[i] == *value).collect();
            if *n < 0 {
                at.reverse();
            }
            at.truncate(quota);
            at.sort_unstable_by(|a, b| b.cmp(a));
            at.iter().for_each(|&i| {
                list.remove(i);
            });
            (run(server, &["LREM", "l", &n.to_string(), value]), at.len().to_string())
        }
        Step::Trim(start, stop) => {
            let (from, to) = range(*start, *stop, list.len());
            *list = list[from..to].to_vec();
            (run(server, &["LTRIM", "l", &start.to_string(), &stop.to_string()]), "+OK".into())
        }
        Step::Rotate(from, to) => {
            let taken = (!list.is_empty()).then(|| list.remove(if *from { 0 } else { list.len() - 1 }));
            let expected = taken.as_ref().map_or("nil".into(), |value| format!("{value:?}"));
            if let Some(value) = taken {
                list.insert(if *to { 0 } else { list.len() }, value);
            }
            (run(server, &["LMOVE", "l", "l", side(*from), side(*to)]), expected)
        }
        Step::HashSet(pairs) => {
            let before = model.hash.len();
            model.hash.extend(pairs.iter().cloned());
            let words: Vec<String> = pairs.iter().flat_map(|(field, value)| [field.clone(), value.clone()]).collect();
            let reply = server.run_words(server.first, &with(&["HSET", "h"], &words));
            (reply, (model.hash.len() - before).to_string())
        }
        Step::HashDel(fields) => {
            let n = fields.iter().filter(|field| model.hash.remove(*field).is_some()).count();
            (server.run_words(server.first, &with(&["HDEL", "h"], fields)), n.to_string())
        }
        Step::Add(members) => {
            let n = members.iter().filter(|member| model.set.insert((*member).clone())).count();
            (server.run_words(server.first, &with(&["SADD", "s"], members)), n.to_string())
        }
        Step::Rem(members) => {
            let n = members.iter().filter(|member| model.set.remove(*member)).count();
            (server.run_words(server.first, &with(&["SREM", "s"], members)), n.to_string())
        }
        Step::PopMembers(n) => {
            // Which ones is left to chance, so the model learns it from the reply.
            let reply = run(server, &["SPOP", "s", &n.to_string()]);
            let resp::Value::Array(popped) = reply else { panic!("SPOP answers {reply:?}") };
            let expected = (*n).min(model.set.len());
            for member in &popped {
                let member = String::from_utf8(member.as_bytes().unwrap().to_vec()).unwrap();
                assert!(model.set.remove(&member), "{member} was popped and was not there");
            }
            (resp::Value::Int(popped.len() as i64), expected.to_string())
        }
    };
    assert_eq!(show(&reply), expected, "{step:?}");
}

/// What commands read.
fn read(server: &mut Server) -> Model {
    let strings = |value: resp::Value| -> Vec<String> {
        let resp::Value::Array(values) = value else { panic!("{value:?} is no array") };
        values.iter().map(|v| String::from_utf8(v.as_bytes().unwrap().to_vec()).unwrap()).collect()
    };
    let list = strings(server.run("LRANGE l 0 -1"));
    let flat = strings(server.run("HGETALL h"));
    let hash = flat.chunks(2).map(|pair| (pair[0].clone(), pair[1].clone())).collect();
    let set = strings(sorted(server.run("SMEMBERS s"))).into_iter().collect();
    Model { list, hash, set }
}

/// What a snapshot shows.
fn frozen(snapshot: &Snapshot) -> Model {
    let mut model = Model::default();
    let text = |elem: base::listpack::Elem<'_>| String::from_utf8(elem.to_vec()).unwrap();
    for entry in snapshot.dbs().iter().flat_map(|db| db.trie.iter()) {
        match entry.value() {
            ValueRef::List(list) => model.list = list.iter().map(text).collect(),
            ValueRef::Hash(hash) => model.hash = hash.iter().map(|(f, v)| (text(f), text(v))).collect(),
            ValueRef::Set(set) => model.set = set.iter().map(text).collect(),
            other => panic!("{other:?} is under a key"),
        }
    }
    model
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn commands_do_what_the_models_do(before in prop::collection::vec(step(), 0..40), after in prop::collection::vec(step(), 0..40)) {
        let (mut server, mut model) = (Server::new(), Model::default());
        for step in &before {
            apply(&mut server, &mut model, step);
        }
        prop_assert_eq!(&read(&mut server), &model);
        let (snapshot, then) = (server.engine.store.keyspace.snapshot(), model.clone());
        for step in &after {
            apply(&mut server, &mut model, step);
        }
        prop_assert_eq!(&read(&mut server), &model);
        prop_assert_eq!(&frozen(&snapshot), &then);
        let held = [!model.list.is_empty(), !model.hash.is_empty(), !model.set.is_empty()];
        let keys = held.iter().filter(|held| **held).count();
        prop_assert_eq!(server.engine.store.current().len(), keys, "an emptied key is gone");
    }
}
