//! Giving members their scores: ZADD, ZINCRBY.

use super::super::options::{float, is};
use super::reply_score;
use crate::engine::Engine;
use crate::error::{self, Error, Result};
use crate::notify::Classes;
use base::num::parse_f64;
use keyspace::zset::Change;
use keyspace::{Limits, Value, ZSet};
use resp::Args;

const NOT_A_NUMBER: Error = Error::fixed("ERR resulting score is not a number (NaN)");

/// Which changes ZADD is to make.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct Conditions {
    only_new: bool,
    only_old: bool,
    only_greater: bool,
    only_less: bool,
    /// The score is added to the one that is there.
    increment: bool,
}

/// What became of all members of one command.
#[derive(Default)]
struct Outcome {
    added: u64,
    updated: u64,
    /// The score of the last member, unless the conditions left that member alone.
    last_score: Option<f64>,
}

impl Conditions {
    /// Gives one member its score, as far as the conditions allow.
    #[inline]
    fn apply(self, zset: &mut ZSet, member: &[u8], score: f64, limits: &Limits, outcome: &mut Outcome) -> Result {
        outcome.last_score = None;
        let mut score = score;
        if self != Self::default() {
            match zset.score(member) {
                Some(_) if self.only_new => return Ok(()),
                None if self.only_old => return Ok(()),
                Some(old) => {
                    if self.increment {
                        score += old;
                        if score.is_nan() {
                            return Err(NOT_A_NUMBER);
                        }
                    }
                    if (self.only_less && score >= old) || (self.only_greater && score <= old) {
                        return Ok(());
                    }
                }
                None => {}
            }
        }
        match zset.insert(member, score, limits) {
            Change::Added => outcome.added += 1,
            Change::Updated => outcome.updated += 1,
            Change::Same => {}
        }
        outcome.last_score = Some(score);
        Ok(())
    }
}

/// Gives the members that follow at `first` (score, member, score, member …) their scores.
fn add(e: &mut Engine, a: &Args, first: usize, conditions: Conditions) -> Result<Outcome> {
    // All scores are read before anything is changed; one alone needs no memory for that.
    let (one, many);
    let scores: &[f64] = if a.len() - first == 2 {
        one = [float(&a[first])?];
        &one
    } else {
        let texts = a.iter_from(first).step_by(2);
        many = texts.map(|text| parse_f64(text).ok_or(error::NOT_FLOAT)).collect::<Result<Vec<_>>>()?;
        &many
    };
    let key = &a[1];
    let limits = e.store.limits;
    let mut outcome = Outcome::default();
    let mut fill = |zset: &mut ZSet| -> Result {
        if scores.len() > 1 {
            let longest = a.iter_from(first + 1).step_by(2).map(<[u8]>::len).max().unwrap_or(0);
            zset.reserve(scores.len(), longest, &limits);
        }
        for (score, member) in scores.iter().zip(a.iter_from(first + 1).step_by(2)) {
            conditions.apply(zset, member, *score, &limits, &mut outcome)?;
        }
        Ok(())
    };
    match e.store.zset_mut(key)? {
        Some(zset) => fill(zset)?,
        None if conditions.only_old => {}
        None => {
            // Filled before it is put in: no error and no waiting client ever finds it empty.
            let mut zset = ZSet::new();
            fill(&mut zset)?;
            e.store.insert(key, Value::ZSet(zset), None);
        }
    }
    let changes = outcome.added + outcome.updated;
    if changes > 0 {
        e.store.changed(Classes::ZSET, if conditions.increment { "zincr" } else { "zadd" }, key, changes);
    }
    Ok(outcome)
}

/// `ZADD key [NX | XX] [GT | LT] [CH] [INCR] score member [score member …]`
pub fn zadd(e: &mut Engine, a: &Args) -> Result {
    let mut conditions = Conditions::default();
    let mut count_updates = false;
    let mut first = 2;
    while let Some(word) = a.get(first) {
        // Scores are far more frequent than options, and hardly any begins with a letter.
        if !word.first().is_some_and(u8::is_ascii_alphabetic) {
            break;
        }
        match () {
            () if is(word, "NX") => conditions.only_new = true,
            () if is(word, "XX") => conditions.only_old = true,
            () if is(word, "CH") => count_updates = true,
            () if is(word, "INCR") => conditions.increment = true,
            () if is(word, "GT") => conditions.only_greater = true,
            () if is(word, "LT") => conditions.only_less = true,
            () => break,
        }
        first += 1;
    }
    let rest = a.len() - first;
    if rest == 0 || !rest.is_multiple_of(2) {
        return Err(error::SYNTAX);
    }
    let c = conditions;
    if c.only_new && c.only_old {
        return Err(Error::fixed("ERR XX and NX options at the same time are not compatible"));
    }
    if (c.only_new && (c.only_greater || c.only_less)) || (c.only_greater && c.only_less) {
        return Err(Error::fixed("ERR GT, LT, and/or NX options at the same time are not compatible"));
    }
    if c.increment && rest > 2 {
        return Err(Error::fixed("ERR INCR option supports a single increment-element pair"));
    }
    let outcome = add(e, a, first, conditions)?;
    match outcome.last_score {
        Some(score) if c.increment => reply_score(&mut e.out, score),
        None if c.increment => e.out.null(),
        _ => e.out.int((outcome.added + if count_updates { outcome.updated } else { 0 }) as i64),
    }
    Ok(())
}

/// `ZINCRBY key increment member`
pub fn zincrby(e: &mut Engine, a: &Args) -> Result {
    // As in Redis an option of ZADD in the place of the score is one here as well, and leaves no pair.
    if ["NX", "XX", "GT", "LT", "CH", "INCR"].iter().any(|option| is(&a[2], option)) {
        return Err(error::SYNTAX);
    }
    let outcome = add(e, a, 2, Conditions { increment: true, ..Conditions::default() })?;
    let score = outcome.last_score.expect("without conditions every member gets its score");
    reply_score(&mut e.out, score);
    Ok(())
}
