//! Unions, intersections and differences of sorted sets and sets.

use super::super::options::{int, is};
use super::{reply_header, reply_pair, store_result};
use crate::engine::Engine;
use crate::error::{self, Error, Result};
use base::listpack::Elem;
use base::num::{I64_TEXT_MAX, parse_f64, parse_i64};
use keyspace::{Entry, Set, ValueRef, ZSet};
use resp::Args;
use std::cmp::Ordering;
use std::collections::HashMap;

/// What is done with the inputs.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Operation {
    Union,
    Intersection,
    Difference,
}

/// Where the result goes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Purpose {
    Reply,
    Store,
    Count,
}

/// How the scores that one member has in several inputs become one.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Aggregate {
    Sum,
    Min,
    Max,
}

impl Aggregate {
    fn of(self, so_far: f64, next: f64) -> f64 {
        match self {
            Self::Sum => number_or_zero(so_far + next),
            Self::Min if next < so_far => next,
            Self::Max if next > so_far => next,
            Self::Min | Self::Max => so_far,
        }
    }
}

/// Infinity times zero and the sum of opposite infinities count as nothing.
fn number_or_zero(value: f64) -> f64 {
    if value.is_nan() { 0.0 } else { value }
}

/// The members of one key. The handle is a snapshot, so inputs may be one key given twice, or the destination.
enum Members {
    Nothing,
    Set(Set),
    ZSet(ZSet),
}

struct Input {
    members: Members,
    weight: f64,
}

impl Input {
    fn len(&self) -> usize {
        match &self.members {
            Members::Nothing => 0,
            Members::Set(set) => set.len(),
            Members::ZSet(zset) => zset.len(),
        }
    }

    /// The score of a member; a set's members have 1.
    fn score(&self, member: &[u8]) -> Option<f64> {
        match &self.members {
            Members::Nothing => None,
            Members::Set(set) => set.contains(member).then_some(1.0),
            Members::ZSet(zset) => zset.score(member),
        }
    }

    /// Gives each member with its score until `give` says false.
    fn each(&self, mut give: impl FnMut(&[u8], f64) -> bool) {
        let mut give = |member: Elem<'_>, score| give(member.as_bytes(&mut [0; I64_TEXT_MAX]), score);
        match &self.members {
            Members::Nothing => {}
            Members::Set(set) => {
                let _ = set.iter().all(|member| give(member, 1.0));
            }
            Members::ZSet(zset) => {
                let _ = zset.iter().all(|(member, score)| give(member, score));
            }
        }
    }
}

struct Request {
    inputs: Vec<Input>,
    aggregate: Aggregate,
    with_scores: bool,
    /// ZINTERCARD stops here; 0 for never.
    limit: usize,
}

fn read(e: &mut Engine, a: &Args, numkeys_at: usize, operation: Operation, purpose: Purpose) -> Result<Request> {
    let numkeys = int(&a[numkeys_at])?;
    if numkeys < 1 {
        let name = e.running.map_or("", |command| command.spec.name);
        return Err(Error::new(format!("ERR at least 1 input key is needed for '{name}' command")));
    }
    let first = numkeys_at + 1;
    let n = usize::try_from(numkeys).ok().filter(|n| *n <= a.len() - first).ok_or(error::SYNTAX)?;
    let mut inputs = Vec::with_capacity(n);
    for key in a.iter_from(first).take(n) {
        let members = match e.store.get(key).map(Entry::value) {
            None => Members::Nothing,
            Some(ValueRef::Set(set)) => Members::Set(set.clone()),
            Some(ValueRef::ZSet(zset)) => Members::ZSet(zset.clone()),
            Some(_) => return Err(error::WRONG_TYPE),
        };
        inputs.push(Input { members, weight: 1.0 });
    }
    let mut request = Request { inputs, aggregate: Aggregate::Sum, with_scores: false, limit: 0 };
    let weighted = operation != Operation::Difference && purpose != Purpose::Count;
    let mut i = first + n;
    while i < a.len() {
        let left = a.len() - i;
        match () {
            () if weighted && left > n && is(&a[i], "WEIGHTS") => {
                for input in &mut request.inputs {
                    i += 1;
                    input.weight = parse_f64(&a[i]).ok_or(Error::fixed("ERR weight value is not a float"))?;
                }
            }
            () if weighted && left >= 2 && is(&a[i], "AGGREGATE") => {
                i += 1;
                request.aggregate = match () {
                    () if is(&a[i], "SUM") => Aggregate::Sum,
                    () if is(&a[i], "MIN") => Aggregate::Min,
                    () if is(&a[i], "MAX") => Aggregate::Max,
                    () => return Err(error::SYNTAX),
                };
            }
            () if purpose == Purpose::Reply && is(&a[i], "WITHSCORES") => request.with_scores = true,
            () if purpose == Purpose::Count && left >= 2 && is(&a[i], "LIMIT") => {
                i += 1;
                let limit = parse_i64(&a[i]).filter(|limit| *limit >= 0);
                request.limit = limit.ok_or(Error::fixed("ERR LIMIT can't be negative"))? as usize;
            }
            () => return Err(error::SYNTAX),
        }
        i += 1;
    }
    Ok(request)
}

/// Gives each member of the intersection with its score until `give` says false.
fn intersect(request: &mut Request, mut give: impl FnMut(&[u8], f64) -> bool) {
    // From the smallest input on, as few members as possible are looked up in the others.
    request.inputs.sort_by_key(Input::len);
    let (first, others) = request.inputs.split_first().expect("there is at least one input");
    first.each(|member, score| {
        let mut sum = number_or_zero(score * first.weight);
        for other in others {
            match other.score(member) {
                Some(score) => sum = request.aggregate.of(sum, score * other.weight),
                None => return true,
            }
        }
        give(member, sum)
    });
}

/// The members of the result with their scores, in order.
fn evaluate(request: &mut Request, operation: Operation) -> Vec<(Vec<u8>, f64)> {
    let mut result: Vec<(Vec<u8>, f64)> = Vec::new();
    match operation {
        Operation::Intersection => intersect(request, |member, score| {
            result.push((member.to_vec(), score));
            true
        }),
        Operation::Union => {
            request.inputs.sort_by_key(Input::len);
            let mut scores: HashMap<Vec<u8>, f64> = HashMap::new();
            for input in &request.inputs {
                input.each(|member, score| {
                    let score = number_or_zero(score * input.weight);
                    match scores.get_mut(member) {
                        Some(sum) => *sum = request.aggregate.of(*sum, score),
                        None => {
                            scores.insert(member.to_vec(), score);
                        }
                    }
                    true
                });
            }
            result.extend(scores);
        }
        Operation::Difference => {
            let (first, others) = request.inputs.split_first().expect("there is at least one input");
            first.each(|member, score| {
                if !others.iter().any(|other| other.score(member).is_some()) {
                    result.push((member.to_vec(), score));
                }
                true
            });
        }
    }
    let by_score_then_member = |x: &(Vec<u8>, f64), y: &(Vec<u8>, f64)| {
        x.1.partial_cmp(&y.1).unwrap_or(Ordering::Equal).then_with(|| x.0.cmp(&y.0))
    };
    result.sort_unstable_by(by_score_then_member);
    result
}

fn reply(e: &mut Engine, a: &Args, operation: Operation) -> Result {
    let mut request = read(e, a, 1, operation, Purpose::Reply)?;
    let result = evaluate(&mut request, operation);
    reply_header(&mut e.out, result.len(), request.with_scores);
    for (member, score) in &result {
        reply_pair(&mut e.out, Elem::Bytes(member), *score, request.with_scores);
    }
    Ok(())
}

fn store(e: &mut Engine, a: &Args, operation: Operation, event: &'static str) -> Result {
    let mut request = read(e, a, 2, operation, Purpose::Store)?;
    let result = evaluate(&mut request, operation);
    drop(request);
    let limits = e.store.limits;
    let mut zset = ZSet::new();
    let longest = result.iter().map(|(member, _)| member.len()).max().unwrap_or(0);
    zset.reserve(result.len(), longest, &limits);
    for (member, score) in &result {
        zset.insert(member, *score, &limits);
    }
    store_result(e, &a[1], zset, event);
    Ok(())
}

/// `ZUNION numkeys key [key …] [WEIGHTS weight …] [AGGREGATE SUM | MIN | MAX] [WITHSCORES]`
pub fn zunion(e: &mut Engine, a: &Args) -> Result {
    reply(e, a, Operation::Union)
}

/// `ZINTER numkeys key [key …] [WEIGHTS weight …] [AGGREGATE SUM | MIN | MAX] [WITHSCORES]`
pub fn zinter(e: &mut Engine, a: &Args) -> Result {
    reply(e, a, Operation::Intersection)
}

/// `ZDIFF numkeys key [key …] [WITHSCORES]`
pub fn zdiff(e: &mut Engine, a: &Args) -> Result {
    reply(e, a, Operation::Difference)
}

/// `ZUNIONSTORE destination numkeys key [key …] [WEIGHTS weight …] [AGGREGATE SUM | MIN | MAX]`
pub fn zunionstore(e: &mut Engine, a: &Args) -> Result {
    store(e, a, Operation::Union, "zunionstore")
}

/// `ZINTERSTORE destination numkeys key [key …] [WEIGHTS weight …] [AGGREGATE SUM | MIN | MAX]`
pub fn zinterstore(e: &mut Engine, a: &Args) -> Result {
    store(e, a, Operation::Intersection, "zinterstore")
}

/// `ZDIFFSTORE destination numkeys key [key …]`
pub fn zdiffstore(e: &mut Engine, a: &Args) -> Result {
    store(e, a, Operation::Difference, "zdiffstore")
}

/// `ZINTERCARD numkeys key [key …] [LIMIT limit]`
pub fn zintercard(e: &mut Engine, a: &Args) -> Result {
    let mut request = read(e, a, 1, Operation::Intersection, Purpose::Count)?;
    let (mut n, limit) = (0, request.limit);
    intersect(&mut request, |_, _| {
        n += 1;
        limit == 0 || n < limit
    });
    e.out.int(n as i64);
    Ok(())
}
