//! Sets: members under one key. What combines several sets is in [`super::set_algebra`].

use super::options::{count, signed_count};
use super::{bulk_elem, sampling, scan};
use crate::engine::Engine;
use crate::error::{self, Result};
use crate::notify::Classes;
use crate::store::KeyKind;
use crate::table::Run;
use base::num::I64_TEXT_MAX;
use keyspace::{Set, Value};
use resp::Args;

/// The handlers of this family.
pub const COMMANDS: super::Family = &[
    ("sadd", Run::Plain(sadd)),
    ("scard", Run::Plain(scard)),
    ("sismember", Run::Plain(sismember)),
    ("smembers", Run::Plain(smembers)),
    ("smismember", Run::Plain(smismember)),
    ("smove", Run::Plain(smove)),
    ("spop", Run::Plain(spop)),
    ("srandmember", Run::Plain(srandmember)),
    ("srem", Run::Plain(srem)),
    ("sscan", Run::Plain(sscan)),
];

fn sadd(e: &mut Engine, a: &Args) -> Result {
    let limits = e.store.limits;
    let n = a.len() - 2;
    let set = e.store.set_or_new_with(&a[1], || Set::for_members(&a[2], n, &limits))?;
    if n > 1 {
        set.reserve(n, &limits);
    }
    let mut added = 0;
    for member in a.iter_from(2) {
        added += u64::from(set.insert(member, &limits));
    }
    if added > 0 {
        e.store.changed(Classes::SET, "sadd", &a[1], added);
    }
    e.out.int(added as i64);
    Ok(())
}

fn srem(e: &mut Engine, a: &Args) -> Result {
    let mut removed = 0;
    if let Some(set) = e.store.set_mut(&a[1])? {
        for member in a.iter_from(2) {
            removed += u64::from(set.remove(member));
        }
        let emptied = set.is_empty();
        if removed > 0 {
            e.store.changed(Classes::SET, "srem", &a[1], removed);
        }
        if emptied {
            e.store.delete_if_empty(&a[1]);
        }
    }
    e.out.int(removed as i64);
    Ok(())
}

fn smove(e: &mut Engine, a: &Args) -> Result {
    let (from, to, member) = (&a[1], &a[2], &a[3]);
    let there = e.store.holds(from, KeyKind::Set);
    // Both are looked at before anything is answered.
    let target = e.store.holds(to, KeyKind::Set);
    if !there? {
        e.out.int(0);
        return Ok(());
    }
    target?;
    let limits = e.store.limits;
    let set = e.store.set_mut(from)?.expect("it was just seen");
    let moved = if from == to { set.contains(member) } else { set.remove(member) };
    let emptied = set.is_empty();
    e.out.int(i64::from(moved));
    if !moved || from == to {
        return Ok(());
    }
    e.store.changed(Classes::SET, "srem", from, 1);
    if emptied {
        e.store.delete_if_empty(from);
    }
    let target = e.store.set_or_new_with(to, || Set::for_members(member, 1, &limits))?;
    if target.insert(member, &limits) {
        e.store.changed(Classes::SET, "sadd", to, 1);
    }
    Ok(())
}

fn sismember(e: &mut Engine, a: &Args) -> Result {
    let there = e.store.set(&a[1])?.is_some_and(|set| set.contains(&a[2]));
    e.out.int(i64::from(there));
    Ok(())
}

fn smismember(e: &mut Engine, a: &Args) -> Result {
    let set = e.store.set(&a[1])?;
    e.out.array(a.len() - 2);
    for member in a.iter_from(2) {
        e.out.int(i64::from(set.is_some_and(|set| set.contains(member))));
    }
    Ok(())
}

fn scard(e: &mut Engine, a: &Args) -> Result {
    let len = e.store.set(&a[1])?.map_or(0, Set::len);
    e.out.int(len as i64);
    Ok(())
}

fn smembers(e: &mut Engine, a: &Args) -> Result {
    let set = e.store.set(&a[1])?;
    e.out.set(set.map_or(0, Set::len));
    set.into_iter().flat_map(Set::iter).for_each(|member| bulk_elem(&mut e.out, member));
    Ok(())
}

fn sscan(e: &mut Engine, a: &Args) -> Result {
    let cursor = scan::cursor(&a[2])?;
    let Some(set) = e.store.set(&a[1])? else {
        scan::reply_portion(&mut e.out, |_| (0, 0));
        return Ok(());
    };
    let o = scan::ScanOptions::read(a, 3, scan::Over::Members)?;
    scan::reply_portion(&mut e.out, |out| {
        let mut n = 0;
        let next = set.scan(cursor, o.count, |member| {
            if o.matches(member.as_bytes(&mut [0; I64_TEXT_MAX])) {
                bulk_elem(out, member);
                n += 1;
            }
        });
        (next, n)
    });
    Ok(())
}

fn srandmember(e: &mut Engine, a: &Args) -> Result {
    if a.len() > 3 {
        return Err(error::SYNTAX);
    }
    let Some(count) = a.get(2) else {
        let rng = &mut e.rng;
        match e.store.set(&a[1])?.and_then(|set| set.random(|| rng.next_u64())) {
            Some(member) => bulk_elem(&mut e.out, member),
            None => e.out.null(),
        }
        return Ok(());
    };
    let count = signed_count(count)?;
    let cap = e.reply_cap();
    let set = match e.store.set(&a[1])? {
        Some(set) if count != 0 => set,
        _ => {
            e.out.array(0);
            return Ok(());
        }
    };
    let (out, rng) = (&mut e.out, &mut e.rng);
    let n = if count < 0 { count.unsigned_abs() as usize } else { set.len().min(count as usize) };
    out.array(n);
    if count < 0 {
        for _ in 0..n {
            if out.buf.len() > cap {
                break;
            }
            bulk_elem(out, set.random(|| rng.next_u64()).expect("a set under a key has a member"));
        }
    } else if sampling::draws(n, set.len(), set.as_listpack().is_some()) {
        let random = || set.random(|| rng.next_u64()).expect("a set under a key has a member");
        sampling::distinct(n, random, |member| *member, |member| bulk_elem(out, member));
    } else {
        sampling::pick(n, set.len(), set.iter(), rng, |member, picked| {
            if picked {
                bulk_elem(out, member);
            }
        });
    }
    Ok(())
}

fn spop(e: &mut Engine, a: &Args) -> Result {
    match a.len() {
        2 => spop_one(e, &a[1]),
        3 => {
            let n = count(&a[2])?;
            spop_many(e, &a[1], n)
        }
        _ => Err(error::SYNTAX),
    }
}

fn spop_one(e: &mut Engine, key: &[u8]) -> Result {
    let rng = &mut e.rng;
    let Some(set) = e.store.set_mut(key)? else {
        e.out.null();
        return Ok(());
    };
    let member = set.pop(|| rng.next_u64(), |member| member.to_vec()).expect("a set under a key has a member");
    let emptied = set.is_empty();
    e.store.changed(Classes::SET, "spop", key, 1);
    if emptied {
        e.store.delete_if_empty(key);
    }
    let db = e.store.db;
    e.store.fx.rewrite(db, &[b"SREM", key, &member]);
    e.out.bulk(&member);
    Ok(())
}

/// As long as at least one of so many members stays, members are drawn one by one; else those that stay are picked.
const POP_FACTOR: usize = 5;

/// How many members one SREM takes away on replicas.
const SREM_BATCH: usize = 1024;

fn spop_many(e: &mut Engine, key: &[u8], n: usize) -> Result {
    let (limits, db) = (e.store.limits, e.store.db);
    let set = match e.store.set_mut(key)? {
        Some(set) if n > 0 => set,
        _ => {
            e.out.set(0);
            return Ok(());
        }
    };
    let len = set.len();
    if n >= len {
        e.out.set(len);
        set.iter().for_each(|member| bulk_elem(&mut e.out, member));
        // Redis reads the whole set as SMEMBERS does, and counts it.
        e.store.stats.hits += 1;
        e.store.changed(Classes::SET, "spop", key, len as u64);
        e.store.delete(key);
        e.store.notify(Classes::GENERIC, "del", key);
        let word = e.store.remove_word;
        e.store.fx.rewrite(db, &[word, key]);
        return Ok(());
    }
    let rng = &mut e.rng;
    let mut popped: Vec<Vec<u8>> = Vec::new();
    if (len - n).saturating_mul(POP_FACTOR) > n {
        for _ in 0..n {
            popped.push(set.pop(|| rng.next_u64(), |member| member.to_vec()).expect("fewer are popped than there are"));
        }
    } else {
        // What stays is the smaller part: it moves to a new set, small until it proves large, of integers if all were.
        let mut kept = match set.as_intset() {
            Some(_) => Set::new(),
            None => Set::for_members(b"no integer", 0, &limits),
        };
        sampling::pick(len - n, len, set.iter(), rng, |member, stays| {
            if stays {
                kept.insert(member.as_bytes(&mut [0; I64_TEXT_MAX]), &limits);
            } else {
                popped.push(member.to_vec());
            }
        });
        let old = std::mem::replace(set, kept);
        e.store.discard_value(Value::Set(old));
    }
    e.store.changed(Classes::SET, "spop", key, n as u64);
    e.out.set(n);
    popped.iter().for_each(|member| e.out.bulk(member));
    for batch in popped.chunks(SREM_BATCH) {
        let words: Vec<&[u8]> = [b"SREM", key].into_iter().chain(batch.iter().map(Vec::as_slice)).collect();
        e.store.fx.rewrite(db, &words);
    }
    Ok(())
}
