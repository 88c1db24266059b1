//! Reading, counting, storing and removing ranges.

use super::range_args::{By, Query, Span};
use super::{reply_header, reply_pair, store_result, took_out};
use crate::engine::Engine;
use crate::error::Result;
use base::num::I64_TEXT_MAX;
use keyspace::ZSet;
use keyspace::zset::Iter;
use resp::Args;
use std::ops::Range;

/// The members at these ranks, in the order wanted; `ranks` is not empty.
fn walk(zset: &ZSet, ranks: Range<usize>, reverse: bool) -> std::iter::Take<Iter<'_>> {
    let from = if reverse { zset.iter_back_from(ranks.end - 1) } else { zset.iter_from(ranks.start) };
    from.take(ranks.len())
}

fn reply_range(e: &mut Engine, a: &Args, by: Option<By>, reverse: Option<bool>) -> Result {
    let query = Query::read(a, 1, by, reverse, false)?;
    let Some(zset) = e.store.zset(&a[1])? else {
        e.out.array(0);
        return Ok(());
    };
    let ranks = query.ranks(zset);
    reply_header(&mut e.out, ranks.len(), query.with_scores);
    if !ranks.is_empty() {
        for (member, score) in walk(zset, ranks, query.reverse) {
            reply_pair(&mut e.out, member, score, query.with_scores);
        }
    }
    Ok(())
}

/// `ZRANGE key start stop [BYSCORE | BYLEX] [REV] [LIMIT offset count] [WITHSCORES]`
pub fn zrange(e: &mut Engine, a: &Args) -> Result {
    reply_range(e, a, None, None)
}

/// `ZREVRANGE key start stop [WITHSCORES]`
pub fn zrevrange(e: &mut Engine, a: &Args) -> Result {
    reply_range(e, a, Some(By::Rank), Some(true))
}

/// `ZRANGEBYSCORE key min max [WITHSCORES] [LIMIT offset count]`
pub fn zrangebyscore(e: &mut Engine, a: &Args) -> Result {
    reply_range(e, a, Some(By::Score), Some(false))
}

/// `ZREVRANGEBYSCORE key max min [WITHSCORES] [LIMIT offset count]`
pub fn zrevrangebyscore(e: &mut Engine, a: &Args) -> Result {
    reply_range(e, a, Some(By::Score), Some(true))
}

/// `ZRANGEBYLEX key min max [LIMIT offset count]`
pub fn zrangebylex(e: &mut Engine, a: &Args) -> Result {
    reply_range(e, a, Some(By::Lex), Some(false))
}

/// `ZREVRANGEBYLEX key max min [LIMIT offset count]`
pub fn zrevrangebylex(e: &mut Engine, a: &Args) -> Result {
    reply_range(e, a, Some(By::Lex), Some(true))
}

/// `ZRANGESTORE destination source min max [BYSCORE | BYLEX] [REV] [LIMIT offset count]`
pub fn zrangestore(e: &mut Engine, a: &Args) -> Result {
    let query = Query::read(a, 2, None, None, true)?;
    let limits = e.store.limits;
    let mut result = ZSet::new();
    if let Some(zset) = e.store.zset(&a[2])? {
        let ranks = query.ranks(zset);
        result.reserve(ranks.len(), 0, &limits);
        if !ranks.is_empty() {
            // In ascending order each member goes to the end, whatever the order asked for.
            for (member, score) in walk(zset, ranks, false) {
                result.insert(member.as_bytes(&mut [0; I64_TEXT_MAX]), score, &limits);
            }
        }
    }
    store_result(e, &a[1], result, "zrangestore");
    Ok(())
}

fn count(e: &mut Engine, a: &Args, by: By) -> Result {
    let span = Span::read(by, &a[2], &a[3])?;
    let n = e.store.zset(&a[1])?.map_or(0, |zset| span.ranks(zset, false).len());
    e.out.int(n as i64);
    Ok(())
}

/// `ZCOUNT key min max`
pub fn zcount(e: &mut Engine, a: &Args) -> Result {
    count(e, a, By::Score)
}

/// `ZLEXCOUNT key min max`
pub fn zlexcount(e: &mut Engine, a: &Args) -> Result {
    count(e, a, By::Lex)
}

fn remove(e: &mut Engine, a: &Args, by: By, event: &'static str) -> Result {
    let span = Span::read(by, &a[2], &a[3])?;
    let (mut removed, mut emptied) = (0, false);
    if let Some(zset) = e.store.zset_mut(&a[1])? {
        let ranks = span.ranks(zset, false);
        removed = zset.remove_ranks(ranks, |_, _| {});
        emptied = zset.is_empty();
    }
    took_out(e, &a[1], event, removed as u64, emptied);
    e.out.int(removed as i64);
    Ok(())
}

/// `ZREMRANGEBYRANK key start stop`
pub fn zremrangebyrank(e: &mut Engine, a: &Args) -> Result {
    remove(e, a, By::Rank, "zremrangebyrank")
}

/// `ZREMRANGEBYSCORE key min max`
pub fn zremrangebyscore(e: &mut Engine, a: &Args) -> Result {
    remove(e, a, By::Score, "zremrangebyscore")
}

/// `ZREMRANGEBYLEX key min max`
pub fn zremrangebylex(e: &mut Engine, a: &Args) -> Result {
    remove(e, a, By::Lex, "zremrangebylex")
}
