//! Hashes: fields with values under one key.

use super::options::{int, is, signed_count};
use super::{bulk_elem, sampling, scan};
use crate::engine::Engine;
use crate::error::{self, Error, Result};
use crate::notify::Classes;
use crate::table::Run;
use base::listpack::Elem;
use base::num::{I64_TEXT_MAX, LongDouble, format_i64};
use keyspace::HashRef;
use resp::{Args, Out, Protocol};

/// The handlers of this family.
pub const COMMANDS: super::Family = &[
    ("hdel", Run::Plain(hdel)),
    ("hexists", Run::Plain(hexists)),
    ("hget", Run::Plain(hget)),
    ("hgetall", Run::Plain(hgetall)),
    ("hincrby", Run::Plain(hincrby)),
    ("hincrbyfloat", Run::Plain(hincrbyfloat)),
    ("hkeys", Run::Plain(hkeys)),
    ("hlen", Run::Plain(hlen)),
    ("hmget", Run::Plain(hmget)),
    ("hmset", Run::Plain(hmset)),
    ("hrandfield", Run::Plain(hrandfield)),
    ("hscan", Run::Plain(hscan)),
    ("hset", Run::Plain(hset)),
    ("hsetnx", Run::Plain(hsetnx)),
    ("hstrlen", Run::Plain(hstrlen)),
    ("hvals", Run::Plain(hvals)),
];

fn hset(e: &mut Engine, a: &Args) -> Result {
    let added = set_fields(e, a, "hset")?;
    e.out.int(added);
    Ok(())
}

fn hmset(e: &mut Engine, a: &Args) -> Result {
    set_fields(e, a, "hmset")?;
    e.out.ok();
    Ok(())
}

/// Sets all fields of a request; how many are new.
fn set_fields(e: &mut Engine, a: &Args, command: &str) -> Result<i64> {
    if !a.len().is_multiple_of(2) {
        return Err(Error::arity(command));
    }
    let limits = e.store.limits;
    let mut hash = e.store.hash_or_new(&a[1])?;
    let n = (a.len() - 2) / 2;
    let added = if n == 1 {
        usize::from(hash.insert(&a[2], &a[3], &limits))
    } else {
        hash.insert_all((2..a.len()).step_by(2).map(|i| (&a[i], &a[i + 1])), &limits)
    };
    e.store.changed(Classes::HASH, "hset", &a[1], n as u64);
    Ok(added as i64)
}

fn hsetnx(e: &mut Engine, a: &Args) -> Result {
    let limits = e.store.limits;
    let mut hash = e.store.hash_or_new(&a[1])?;
    let new = !hash.as_ref().contains(&a[2]);
    if new {
        hash.insert(&a[2], &a[3], &limits);
        e.store.changed(Classes::HASH, "hset", &a[1], 1);
    }
    e.out.int(i64::from(new));
    Ok(())
}

fn hincrby(e: &mut Engine, a: &Args) -> Result {
    let by = int(&a[3])?;
    let limits = e.store.limits;
    // Nothing below fails where the hash is new: only a value that is there can be no number or too large.
    let mut hash = e.store.hash_or_new(&a[1])?;
    let old = match hash.as_ref().get(&a[2]) {
        Some(value) => value.as_int().ok_or(Error::fixed("ERR hash value is not an integer"))?,
        None => 0,
    };
    let sum = old.checked_add(by).ok_or(error::OVERFLOW)?;
    hash.insert(&a[2], format_i64(sum, &mut [0; I64_TEXT_MAX]), &limits);
    e.store.changed(Classes::HASH, "hincrby", &a[1], 1);
    e.out.int(sum);
    Ok(())
}

fn hincrbyfloat(e: &mut Engine, a: &Args) -> Result {
    let by = LongDouble::parse(&a[3]).ok_or(error::NOT_FLOAT)?;
    let zero = LongDouble::from_i64(0);
    // Only what is infinite stays so when nothing is added to it.
    by.checked_add(zero).ok_or(Error::fixed("ERR value is NaN or Infinity"))?;
    let limits = e.store.limits;
    // As above: where the hash is new the sum is `by`, which is finite.
    let mut hash = e.store.hash_or_new(&a[1])?;
    let not_float = Error::fixed("ERR hash value is not a float");
    let old = match hash.as_ref().get(&a[2]) {
        Some(Elem::Bytes(bytes)) => LongDouble::parse(bytes).ok_or(not_float)?,
        Some(Elem::Int(n)) => LongDouble::from_i64(n),
        None => zero,
    };
    let sum = old.checked_add(by).ok_or(error::NAN_OR_INFINITY)?.text();
    hash.insert(&a[2], &sum, &limits);
    e.store.changed(Classes::HASH, "hincrbyfloat", &a[1], 1);
    // Another machine's floating point may differ, so the result is what is replayed.
    let db = e.store.db;
    e.store.fx.rewrite(db, &[b"HSET", &a[1], &a[2], &sum]);
    e.out.bulk(&sum);
    Ok(())
}

fn reply_value(out: &mut Out, value: Option<Elem<'_>>) {
    match value {
        Some(value) => bulk_elem(out, value),
        None => out.null(),
    }
}

fn hget(e: &mut Engine, a: &Args) -> Result {
    let value = e.store.hash_value(&a[1])?.and_then(|hash| hash.get(&a[2]));
    reply_value(&mut e.out, value);
    Ok(())
}

fn hmget(e: &mut Engine, a: &Args) -> Result {
    let hash = e.store.hash_value(&a[1])?;
    e.out.array(a.len() - 2);
    for field in a.iter_from(2) {
        reply_value(&mut e.out, hash.and_then(|hash| hash.get(field)));
    }
    Ok(())
}

fn hdel(e: &mut Engine, a: &Args) -> Result {
    let mut removed = 0;
    if let Some(mut hash) = e.store.hash_mut(&a[1])? {
        for field in a.iter_from(2) {
            removed += u64::from(hash.remove(field));
        }
        let emptied = hash.as_ref().is_empty();
        if removed > 0 {
            e.store.changed(Classes::HASH, "hdel", &a[1], removed);
        }
        if emptied {
            e.store.delete_if_empty(&a[1]);
        }
    }
    e.out.int(removed as i64);
    Ok(())
}

fn hlen(e: &mut Engine, a: &Args) -> Result {
    let len = e.store.hash_value(&a[1])?.map_or(0, HashRef::len);
    e.out.int(len as i64);
    Ok(())
}

fn hstrlen(e: &mut Engine, a: &Args) -> Result {
    let value = e.store.hash_value(&a[1])?.and_then(|hash| hash.get(&a[2]));
    e.out.int(value.map_or(0, Elem::text_len) as i64);
    Ok(())
}

fn hexists(e: &mut Engine, a: &Args) -> Result {
    let there = e.store.hash_value(&a[1])?.is_some_and(|hash| hash.contains(&a[2]));
    e.out.int(i64::from(there));
    Ok(())
}

fn hgetall(e: &mut Engine, a: &Args) -> Result {
    let hash = e.store.hash_value(&a[1])?;
    e.out.map(hash.map_or(0, HashRef::len));
    for (field, value) in hash.into_iter().flat_map(HashRef::iter) {
        bulk_elem(&mut e.out, field);
        bulk_elem(&mut e.out, value);
    }
    Ok(())
}

fn hkeys(e: &mut Engine, a: &Args) -> Result {
    let hash = e.store.hash_value(&a[1])?;
    e.out.array(hash.map_or(0, HashRef::len));
    hash.into_iter().flat_map(HashRef::iter).for_each(|(field, _)| bulk_elem(&mut e.out, field));
    Ok(())
}

fn hvals(e: &mut Engine, a: &Args) -> Result {
    let hash = e.store.hash_value(&a[1])?;
    e.out.array(hash.map_or(0, HashRef::len));
    hash.into_iter().flat_map(HashRef::iter).for_each(|(_, value)| bulk_elem(&mut e.out, value));
    Ok(())
}

fn hscan(e: &mut Engine, a: &Args) -> Result {
    let cursor = scan::cursor(&a[2])?;
    let Some(hash) = e.store.hash_value(&a[1])? else {
        scan::reply_portion(&mut e.out, |_| (0, 0));
        return Ok(());
    };
    let o = scan::ScanOptions::read(a, 3, scan::Over::Fields)?;
    scan::reply_portion(&mut e.out, |out| {
        let mut n = 0;
        let next = hash.scan(cursor, o.count, |field, value| {
            if o.matches(field.as_bytes(&mut [0; I64_TEXT_MAX])) {
                bulk_elem(out, field);
                n += 1;
                if !o.no_values {
                    bulk_elem(out, value);
                    n += 1;
                }
            }
        });
        (next, n)
    });
    Ok(())
}

fn hrandfield(e: &mut Engine, a: &Args) -> Result {
    let Some(count) = a.get(2) else {
        let rng = &mut e.rng;
        let field = e.store.hash_value(&a[1])?.and_then(|hash| hash.random(|| rng.next_u64()));
        reply_value(&mut e.out, field.map(|(field, _)| field));
        return Ok(());
    };
    let count = signed_count(count)?;
    let with_values = match a.get(3) {
        None => false,
        Some(word) if a.len() == 4 && is(word, "WITHVALUES") => true,
        Some(_) => return Err(error::SYNTAX),
    };
    if with_values && count.unsigned_abs() > i64::MAX as u64 / 2 {
        return Err(error::OUT_OF_RANGE);
    }
    let cap = e.reply_cap();
    let hash = match e.store.hash_value(&a[1])? {
        Some(hash) if count != 0 => hash,
        _ => {
            e.out.array(0);
            return Ok(());
        }
    };
    let (out, rng) = (&mut e.out, &mut e.rng);
    let nested = with_values && out.protocol == Protocol::V3;
    let n = if count < 0 { count.unsigned_abs() as usize } else { hash.len().min(count as usize) };
    out.array(if with_values && !nested { 2 * n } else { n });
    let mut give = |(field, value): (Elem<'_>, Elem<'_>)| {
        if out.buf.len() > cap {
            return false;
        }
        if nested {
            out.array(2);
        }
        bulk_elem(out, field);
        if with_values {
            bulk_elem(out, value);
        }
        true
    };
    if count < 0 {
        for _ in 0..n {
            if !give(hash.random(|| rng.next_u64()).expect("a hash under a key has a field")) {
                break;
            }
        }
    } else if sampling::draws(n, hash.len(), hash.is_packed()) {
        let random = || hash.random(|| rng.next_u64()).expect("a hash under a key has a field");
        sampling::distinct(
            n,
            random,
            |(field, _)| *field,
            |pair| {
                give(pair);
            },
        );
    } else {
        sampling::pick(n, hash.len(), hash.iter(), rng, |pair, picked| {
            if picked {
                give(pair);
            }
        });
    }
    Ok(())
}
