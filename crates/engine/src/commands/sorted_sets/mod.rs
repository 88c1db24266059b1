//! Sorted sets: members ordered by a score, then by their bytes.
//!
//! Every kind of range, by rank, score or member, is first turned into ranks, so that replying,
//! storing, counting and removing are each written once.

use crate::engine::Engine;
use crate::error::{self, Error, Result};
use crate::notify::Classes;
use crate::table::Run;
use base::listpack::Elem;
use base::num::{F64_TEXT_MAX, format_f64};
use keyspace::{Value, ZSet};
use resp::{Args, Out, Protocol};

mod add;
mod combine;
mod pop;
mod random;
mod range;
mod range_args;

/// The handlers of this family.
pub const COMMANDS: super::Family = &[
    ("bzmpop", Run::Plain(pop::bzmpop)),
    ("bzpopmax", Run::Plain(pop::bzpopmax)),
    ("bzpopmin", Run::Plain(pop::bzpopmin)),
    ("zadd", Run::Plain(add::zadd)),
    ("zcard", Run::Plain(zcard)),
    ("zcount", Run::Plain(range::zcount)),
    ("zdiff", Run::Plain(combine::zdiff)),
    ("zdiffstore", Run::Plain(combine::zdiffstore)),
    ("zincrby", Run::Plain(add::zincrby)),
    ("zinter", Run::Plain(combine::zinter)),
    ("zintercard", Run::Plain(combine::zintercard)),
    ("zinterstore", Run::Plain(combine::zinterstore)),
    ("zlexcount", Run::Plain(range::zlexcount)),
    ("zmpop", Run::Plain(pop::zmpop)),
    ("zmscore", Run::Plain(zmscore)),
    ("zpopmax", Run::Plain(pop::zpopmax)),
    ("zpopmin", Run::Plain(pop::zpopmin)),
    ("zrandmember", Run::Plain(random::zrandmember)),
    ("zrange", Run::Plain(range::zrange)),
    ("zrangebylex", Run::Plain(range::zrangebylex)),
    ("zrangebyscore", Run::Plain(range::zrangebyscore)),
    ("zrangestore", Run::Plain(range::zrangestore)),
    ("zrank", Run::Plain(zrank)),
    ("zrem", Run::Plain(zrem)),
    ("zremrangebylex", Run::Plain(range::zremrangebylex)),
    ("zremrangebyrank", Run::Plain(range::zremrangebyrank)),
    ("zremrangebyscore", Run::Plain(range::zremrangebyscore)),
    ("zrevrange", Run::Plain(range::zrevrange)),
    ("zrevrangebylex", Run::Plain(range::zrevrangebylex)),
    ("zrevrangebyscore", Run::Plain(range::zrevrangebyscore)),
    ("zrevrank", Run::Plain(zrevrank)),
    ("zscan", Run::Plain(super::scan::zscan)),
    ("zscore", Run::Plain(zscore)),
    ("zunion", Run::Plain(combine::zunion)),
    ("zunionstore", Run::Plain(combine::zunionstore)),
];

/// Replies with a score: a double of RESP3, its text in RESP2.
#[inline]
fn reply_score(out: &mut Out, score: f64) {
    out.double(format_f64(score, &mut [0; F64_TEXT_MAX]));
}

/// Replies with a member.
#[inline]
fn reply_member(out: &mut Out, member: Elem<'_>) {
    match member {
        Elem::Bytes(bytes) => out.bulk(bytes),
        Elem::Int(n) => out.bulk_int(n),
    }
}

/// Whether members with scores are pairs in an array, as in RESP3, and not one flat array.
#[inline]
fn nested(out: &Out) -> bool {
    out.protocol == Protocol::V3
}

/// The header of an array of `n` members, each with its score if wanted.
fn reply_header(out: &mut Out, n: usize, with_scores: bool) {
    out.array(if with_scores && !nested(out) { 2 * n } else { n });
}

/// One element of such an array.
#[inline]
fn reply_pair(out: &mut Out, member: Elem<'_>, score: f64, with_scores: bool) {
    if with_scores {
        if nested(out) {
            out.array(2);
        }
        reply_member(out, member);
        reply_score(out, score);
    } else {
        reply_member(out, member);
    }
}

/// Stores a result under a key, whatever it held, or deletes the key if the result is empty;
/// replies with the number of members.
fn store_result(e: &mut Engine, destination: &[u8], result: ZSet, event: &'static str) {
    let n = result.len();
    if n > 0 {
        e.store.expire_if_due(destination);
        e.store.insert(destination, Value::ZSet(result), None);
        e.store.changed(Classes::ZSET, event, destination, 1);
    } else if e.store.delete_unread(destination) {
        e.store.changed(Classes::GENERIC, "del", destination, 1);
    }
    e.out.int(n as i64);
}

fn zcard(e: &mut Engine, a: &Args) -> Result {
    let n = e.store.zset(&a[1])?.map_or(0, ZSet::len);
    e.out.int(n as i64);
    Ok(())
}

fn zscore(e: &mut Engine, a: &Args) -> Result {
    match e.store.zset(&a[1])?.and_then(|zset| zset.score(&a[2])) {
        Some(score) => reply_score(&mut e.out, score),
        None => e.out.null(),
    }
    Ok(())
}

fn zmscore(e: &mut Engine, a: &Args) -> Result {
    let zset = e.store.zset(&a[1])?;
    e.out.array(a.len() - 2);
    for member in a.iter_from(2) {
        match zset.and_then(|zset| zset.score(member)) {
            Some(score) => reply_score(&mut e.out, score),
            None => e.out.null(),
        }
    }
    Ok(())
}

fn zrem(e: &mut Engine, a: &Args) -> Result {
    let (mut removed, mut emptied) = (0, false);
    if let Some(zset) = e.store.zset_mut(&a[1])? {
        for member in a.iter_from(2) {
            removed += u64::from(zset.remove(member).is_some());
        }
        emptied = zset.is_empty();
    }
    took_out(e, &a[1], "zrem", removed, emptied);
    e.out.int(removed as i64);
    Ok(())
}

/// What follows when members have been taken out: the event, and the end of an empty key.
fn took_out(e: &mut Engine, key: &[u8], event: &'static str, removed: u64, emptied: bool) {
    if removed > 0 {
        e.store.changed(Classes::ZSET, event, key, removed);
        if emptied {
            e.store.delete_if_empty(key);
        }
    }
}

fn zrank(e: &mut Engine, a: &Args) -> Result {
    rank(e, a, false)
}

fn zrevrank(e: &mut Engine, a: &Args) -> Result {
    rank(e, a, true)
}

fn rank(e: &mut Engine, a: &Args, reverse: bool) -> Result {
    if a.len() > 4 {
        return Err(Error::arity(if reverse { "zrevrank" } else { "zrank" }));
    }
    let with_score = a.len() == 4;
    if with_score && !super::options::is(&a[3], "WITHSCORE") {
        return Err(error::SYNTAX);
    }
    let zset = e.store.zset(&a[1])?;
    match zset.and_then(|zset| Some((zset, zset.rank(&a[2])?))) {
        None if with_score => e.out.null_array(),
        None => e.out.null(),
        Some((zset, rank)) => {
            let shown = if reverse { zset.len() - 1 - rank } else { rank };
            if with_score {
                e.out.array(2);
            }
            e.out.int(shown as i64);
            if with_score {
                let score = zset.score(&a[2]).expect("a member with a rank has a score");
                reply_score(&mut e.out, score);
            }
        }
    }
    Ok(())
}
