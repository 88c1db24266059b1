//! What databases hold, in a form that depends neither on encodings nor on the order of tables: to be compared.

use crate::config::Config;
use crate::rdb::{LoadOptions, SaveOptions, load, write_snapshot};
use base::listpack::Elem;
use keyspace::{Keyspace, ValueRef};
use std::collections::BTreeMap;

/// A value; scores are kept as the bits of the double.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Content {
    String(Vec<u8>),
    List(Vec<Vec<u8>>),
    Set(Vec<Vec<u8>>),
    Hash(Vec<(Vec<u8>, Vec<u8>)>),
    ZSet(Vec<(Vec<u8>, u64)>),
}

/// All keys, by their databases, with their expiries.
pub(super) type Contents = BTreeMap<(usize, Vec<u8>), (Option<i64>, Content)>;

fn sorted<T: Ord>(all: impl Iterator<Item = T>) -> Vec<T> {
    let mut all: Vec<T> = all.collect();
    all.sort();
    all
}

/// −0 is 0 in a packed sorted set.
fn score_bits((member, score): (Elem<'_>, f64)) -> (Vec<u8>, u64) {
    (member.to_vec(), (score + 0.0).to_bits())
}

fn content(value: ValueRef<'_>) -> Content {
    match value {
        ValueRef::None => Content::String(Vec::new()),
        ValueRef::Bytes(bytes) => Content::String(bytes.to_vec()),
        ValueRef::Int(n) => Content::String(n.to_string().into_bytes()),
        ValueRef::Score(score) => Content::String(score.to_string().into_bytes()),
        ValueRef::List(list) => {
            let forwards: Vec<_> = list.iter().map(Elem::to_vec).collect();
            let backwards = list.iter_back_from(list.len().wrapping_sub(1)).map(Elem::to_vec);
            assert!(backwards.eq(forwards.iter().rev().cloned()), "a list reads the same from both ends");
            assert_eq!(forwards.len(), list.len());
            Content::List(forwards)
        }
        ValueRef::Set(set) => {
            let members = sorted(set.iter().map(Elem::to_vec));
            assert!(members.len() == set.len() && members.iter().all(|member| set.contains(member)));
            Content::Set(members)
        }
        ValueRef::Hash(hash) => {
            let fields = sorted(hash.iter().map(|(field, value)| (field.to_vec(), value.to_vec())));
            assert!(fields.len() == hash.len() && fields.iter().all(|(field, _)| hash.contains(field)));
            Content::Hash(fields)
        }
        ValueRef::ZSet(zset) => {
            let forwards: Vec<_> = zset.iter().map(score_bits).collect();
            let backwards = zset.iter_back_from(zset.len().wrapping_sub(1)).map(score_bits);
            assert!(backwards.eq(forwards.iter().rev().cloned()), "a sorted set reads the same from both ends");
            for (rank, (member, _)) in forwards.iter().enumerate() {
                assert_eq!(zset.rank(member), Some(rank), "a member is found where the order has it");
            }
            Content::ZSet(forwards)
        }
    }
}

/// What these databases hold. Each value is walked in every direction that it has.
pub(super) fn contents(keyspace: &Keyspace) -> Contents {
    let mut contents = Contents::new();
    let mut entries = keyspace.snapshot().into_entries();
    while let Some(db) = entries.next_db() {
        let (number, keys, expires) = (db.number, db.keys, db.expires);
        let (mut seen, mut with_expiry) = (0, 0);
        while let Some(entry) = entries.next_entry() {
            seen += 1;
            with_expiry += usize::from(entry.expire_at().is_some());
            contents.insert((number, entry.key().to_vec()), (entry.expire_at(), content(entry.value())));
        }
        assert_eq!((seen, with_expiry), (keys, expires), "a database counts its keys");
    }
    contents
}

/// Saves databases and loads them again: the same must come out.
pub(super) fn survives_a_save(keyspace: &Keyspace, config: &Config, now_ms: i64) {
    let before = contents(keyspace);
    for compress in [false, true] {
        let mut options = SaveOptions::new(config, now_ms, 0, None);
        options.compress = compress;
        let mut file = Vec::new();
        write_snapshot(keyspace.snapshot(), &mut file, &options).expect("a vector takes everything");
        let mut options = LoadOptions::from_config(config, now_ms);
        options.keep_expired = true;
        let (loaded, rest, read_ahead) = load(&file[..], &options).expect("what was saved can be loaded");
        assert!(rest.is_empty() && read_ahead.is_empty(), "a file ends where its data does");
        assert!(contents(&loaded.keyspace) == before, "what was saved is what is loaded");
    }
}
