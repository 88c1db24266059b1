//! ZRANDMEMBER.

use super::super::options::{int_in, is};
use super::{reply_header, reply_member, reply_pair};
use crate::engine::Engine;
use crate::error::{self, Error, Result};
use base::rng::Rng;
use resp::Args;
use std::collections::BTreeSet;

/// Members that one reply may repeat: a larger count would only be a way to exhaust the memory.
const REPEATED_MAX: usize = 1 << 28;

/// Part of the members above which walking over all of them is cheaper than finding each by its rank.
const WALK_RATIO: usize = 16;

/// `count` different numbers below `len`, each choice as likely as any other (Floyd's method).
fn distinct_ranks(rng: &mut Rng, count: usize, len: usize) -> BTreeSet<usize> {
    let mut chosen = BTreeSet::new();
    for top in len - count..len {
        let picked = rng.below(top as u64 + 1) as usize;
        if !chosen.insert(picked) {
            chosen.insert(top);
        }
    }
    chosen
}

/// `ZRANDMEMBER key [count [WITHSCORES]]`
pub fn zrandmember(e: &mut Engine, a: &Args) -> Result {
    let Some(count) = a.get(2) else {
        let rng = &mut e.rng;
        match e.store.zset(&a[1])?.and_then(|zset| zset.random(|| rng.next_u64())) {
            Some((member, _)) => reply_member(&mut e.out, member),
            None => e.out.null(),
        }
        return Ok(());
    };
    let bounds = format!("ERR value is out of range, value must between {} and {}", -i64::MAX, i64::MAX);
    let count = int_in(count, -i64::MAX..=i64::MAX, Error::new(bounds))?;
    let with_scores = a.len() == 4;
    if a.len() > 4 || (with_scores && !is(&a[3], "WITHSCORES")) {
        return Err(error::SYNTAX);
    }
    if with_scores && count.unsigned_abs() > i64::MAX as u64 / 2 {
        return Err(error::OUT_OF_RANGE);
    }
    let wanted = count.unsigned_abs() as usize;
    let cap = e.reply_cap();
    let zset = match e.store.zset(&a[1])? {
        Some(zset) if wanted > 0 => zset,
        _ => {
            e.out.array(0);
            return Ok(());
        }
    };
    let (out, rng, len) = (&mut e.out, &mut e.rng, zset.len());
    if count < 0 {
        if wanted > REPEATED_MAX {
            return Err(error::OUT_OF_RANGE);
        }
        reply_header(out, wanted, with_scores);
        for _ in 0..wanted {
            if out.buf.len() > cap {
                break;
            }
            let (member, score) = zset.random(|| rng.next_u64()).expect("a key's sorted set has members");
            reply_pair(out, member, score, with_scores);
        }
    } else if wanted >= len {
        reply_header(out, len, with_scores);
        for (member, score) in zset.iter() {
            reply_pair(out, member, score, with_scores);
        }
    } else if zset.as_listpack().is_some() || wanted > len / WALK_RATIO {
        // Each member is taken with the chance that is left to it; so exactly `wanted` are.
        reply_header(out, wanted, with_scores);
        let mut missing = wanted;
        for (i, (member, score)) in zset.iter().enumerate() {
            if rng.below((len - i) as u64) < missing as u64 {
                reply_pair(out, member, score, with_scores);
                missing -= 1;
            }
        }
    } else {
        reply_header(out, wanted, with_scores);
        for rank in distinct_ranks(rng, wanted, len) {
            let (member, score) = zset.get(rank).expect("the ranks are below the number of members");
            reply_pair(out, member, score, with_scores);
        }
    }
    Ok(())
}
