//! Taking members out at either end, at once or when there are some.

use super::super::options::{count, int_in, is, timeout_ms};
use super::{nested, reply_pair, took_out};
use crate::blocking::InVain;
use crate::engine::Engine;
use crate::error::{self, Error, Result};
use crate::store::KeyKind;
use keyspace::ZSet;
use resp::Args;

/// The end at which members are taken out.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Min,
    Max,
}

impl End {
    /// The event; also the command that says the same on a replica.
    fn event(self) -> &'static str {
        if self == Self::Min { "zpopmin" } else { "zpopmax" }
    }

    fn command(self) -> &'static [u8] {
        if self == Self::Min { b"ZPOPMIN" } else { b"ZPOPMAX" }
    }
}

/// How a reply names what was taken out.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shape {
    /// Members and scores in one array (pairs, in RESP3, where a count was given).
    Members { counted: bool },
    /// The key, one member, its score.
    KeyAndOne,
    /// The key and an array of pairs.
    KeyAndPairs,
}

/// Takes up to `wanted` members out and replies with them; how many there were. False for `None`:
/// there is no such key, and nothing is replied.
fn take(e: &mut Engine, key: &[u8], end: End, wanted: usize, shape: Shape) -> Result<Option<usize>> {
    let Some(zset) = e.store.zset_mut(key)? else { return Ok(None) };
    let n = wanted.min(zset.len());
    if n == 0 {
        e.out.array(0);
        return Ok(Some(0));
    }
    let out = &mut e.out;
    let pairs = match shape {
        Shape::Members { counted } => {
            let pairs = counted && nested(out);
            out.array(if pairs { n } else { 2 * n });
            pairs
        }
        Shape::KeyAndOne => {
            out.array(3);
            out.bulk(key);
            false
        }
        Shape::KeyAndPairs => {
            out.array(2);
            out.bulk(key);
            out.array(n);
            true
        }
    };
    let mut reply = |member: base::listpack::Elem<'_>, score| {
        if pairs && !nested(out) {
            out.array(2);
        }
        if pairs {
            reply_pair(out, member, score, true);
        } else {
            super::reply_member(out, member);
            super::reply_score(out, score);
        }
    };
    match end {
        End::Min => {
            zset.remove_ranks(0..n, &mut reply);
        }
        End::Max => {
            for _ in 0..n {
                zset.pop_max(&mut reply);
            }
        }
    }
    let emptied = ZSet::is_empty(zset);
    took_out(e, key, end.event(), n as u64, emptied);
    Ok(Some(n))
}

fn pop(e: &mut Engine, a: &Args, end: End) -> Result {
    if a.len() > 3 {
        return Err(error::SYNTAX);
    }
    let wanted = a.get(2).map_or(Ok(1), count)?;
    if take(e, &a[1], end, wanted, Shape::Members { counted: a.len() == 3 })?.is_none() {
        e.out.array(0);
    }
    Ok(())
}

/// `ZPOPMIN key [count]`
pub fn zpopmin(e: &mut Engine, a: &Args) -> Result {
    pop(e, a, End::Min)
}

/// `ZPOPMAX key [count]`
pub fn zpopmax(e: &mut Engine, a: &Args) -> Result {
    pop(e, a, End::Max)
}

fn blocking_pop(e: &mut Engine, a: &Args, end: End) -> Result {
    let last = a.len() - 1;
    let timeout_ms = timeout_ms(&a[last])?;
    for key in a.iter_from(1).take(last - 1) {
        if take(e, key, end, 1, Shape::KeyAndOne)?.is_some() {
            let db = e.store.db;
            e.store.fx.rewrite(db, &[end.command(), key]);
            return Ok(());
        }
    }
    let keys: Vec<&[u8]> = a.iter_from(1).take(last - 1).collect();
    e.block(a, &keys, KeyKind::ZSet, timeout_ms, InVain::NullArray);
    Ok(())
}

/// `BZPOPMIN key [key …] timeout`
pub fn bzpopmin(e: &mut Engine, a: &Args) -> Result {
    blocking_pop(e, a, End::Min)
}

/// `BZPOPMAX key [key …] timeout`
pub fn bzpopmax(e: &mut Engine, a: &Args) -> Result {
    blocking_pop(e, a, End::Max)
}

/// The arguments of ZMPOP from the number of keys on.
struct Multi {
    /// Arguments before this one, from the one after the number of keys on, are keys.
    keys_end: usize,
    end: End,
    wanted: usize,
}

fn multi(a: &Args, numkeys_at: usize) -> Result<Multi> {
    let too_few = || Error::fixed("ERR numkeys should be greater than 0");
    let numkeys = int_in(&a[numkeys_at], 1..=i64::MAX, too_few()).map_err(|_| too_few())?;
    let keys_end = usize::try_from(numkeys).ok().and_then(|n| n.checked_add(numkeys_at + 1));
    let keys_end = keys_end.filter(|end| *end < a.len()).ok_or(error::SYNTAX)?;
    let end = match () {
        () if is(&a[keys_end], "MIN") => End::Min,
        () if is(&a[keys_end], "MAX") => End::Max,
        () => return Err(error::SYNTAX),
    };
    let mut wanted = None;
    let mut i = keys_end + 1;
    while i < a.len() {
        if wanted.is_some() || !is(&a[i], "COUNT") || i + 1 >= a.len() {
            return Err(error::SYNTAX);
        }
        let too_small = || Error::fixed("ERR count should be greater than 0");
        wanted = Some(int_in(&a[i + 1], 1..=i64::MAX, too_small()).map_err(|_| too_small())?);
        i += 2;
    }
    Ok(Multi { keys_end, end, wanted: wanted.unwrap_or(1) as usize })
}

/// Serves the first key that is there; false where none is.
fn multi_pop(e: &mut Engine, keys: &[&[u8]], m: &Multi) -> Result<bool> {
    for key in keys {
        if let Some(n) = take(e, key, m.end, m.wanted, Shape::KeyAndPairs)? {
            let db = e.store.db;
            e.store.fx.rewrite(db, &[m.end.command(), key, n.to_string().as_bytes()]);
            return Ok(true);
        }
    }
    Ok(false)
}

/// `ZMPOP numkeys key [key …] MIN | MAX [COUNT count]`
pub fn zmpop(e: &mut Engine, a: &Args) -> Result {
    let m = multi(a, 1)?;
    let keys: Vec<&[u8]> = a.iter_from(2).take(m.keys_end - 2).collect();
    if !multi_pop(e, &keys, &m)? {
        e.out.null_array();
    }
    Ok(())
}

/// `BZMPOP timeout numkeys key [key …] MIN | MAX [COUNT count]`
pub fn bzmpop(e: &mut Engine, a: &Args) -> Result {
    let m = multi(a, 2)?;
    let timeout_ms = timeout_ms(&a[1])?;
    let keys: Vec<&[u8]> = a.iter_from(3).take(m.keys_end - 3).collect();
    if !multi_pop(e, &keys, &m)? {
        e.block(a, &keys, KeyKind::ZSet, timeout_ms, InVain::NullArray);
    }
    Ok(())
}
