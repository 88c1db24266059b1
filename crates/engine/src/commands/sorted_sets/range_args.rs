//! How requests name ranges of a sorted set, and which ranks those are.

use super::super::options::{c_double, index_range, int, is};
use crate::error::{self, Error, Result};
use base::num::parse_f64_saturating;
use keyspace::ZSet;
use keyspace::zset::{LexBound, ScoreBound};
use resp::Args;
use std::ops::Range;

/// What the two ends of a range are.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// Ranks, negative ones counted from the end.
    Rank,
    /// Scores.
    Score,
    /// Members.
    Lex,
}

/// A range of members.
#[derive(Clone, Copy)]
pub enum Span<'a> {
    /// By rank, in the order of the walk.
    Rank(i64, i64),
    /// By score, the lower end first.
    Score(ScoreBound, ScoreBound),
    /// By member, the lower end first.
    Lex(LexBound<'a>, LexBound<'a>),
}

fn score_bound(text: &[u8]) -> Result<ScoreBound> {
    let (number, excluded) = match text {
        [b'(', number @ ..] => (number, true),
        number => (number, false),
    };
    let value = c_double(number, parse_f64_saturating).ok_or(Error::fixed("ERR min or max is not a float"))?;
    Ok(if excluded { ScoreBound::Excluded(value) } else { ScoreBound::Included(value) })
}

fn lex_bound(text: &[u8]) -> Result<LexBound<'_>> {
    match text {
        b"-" => Ok(LexBound::Min),
        b"+" => Ok(LexBound::Max),
        [b'(', member @ ..] => Ok(LexBound::Excluded(member)),
        [b'[', member @ ..] => Ok(LexBound::Included(member)),
        _ => Err(Error::fixed("ERR min or max not valid string range item")),
    }
}

impl<'a> Span<'a> {
    /// Reads the two ends of a range, the lower one first.
    pub fn read(by: By, min: &'a [u8], max: &'a [u8]) -> Result<Self> {
        Ok(match by {
            By::Rank => Self::Rank(int(min)?, int(max)?),
            By::Score => Self::Score(score_bound(min)?, score_bound(max)?),
            By::Lex => Self::Lex(lex_bound(min)?, lex_bound(max)?),
        })
    }

    /// The ranks it covers, counted from the lowest score; empty where it covers none.
    pub fn ranks(self, zset: &ZSet, reverse: bool) -> Range<usize> {
        match self {
            Self::Score(min, max) => zset.ranks_by_score(min, max),
            Self::Lex(min, max) => zset.ranks_by_lex(min, max),
            Self::Rank(start, stop) => match index_range(start, stop, zset.len()) {
                None => 0..0,
                Some((first, last)) if reverse => zset.len() - 1 - last..zset.len() - first,
                Some((first, last)) => first..last + 1,
            },
        }
    }
}

/// A range with all options of ZRANGE and its like.
pub struct Query<'a> {
    /// What is wanted.
    pub span: Span<'a>,
    /// From the highest to the lowest.
    pub reverse: bool,
    /// Each member with its score.
    pub with_scores: bool,
    offset: i64,
    limit: i64,
}

impl<'a> Query<'a> {
    /// Reads `key min max [options]`, with the key at `key_at`. What the command's name has
    /// decided (`by`, `reverse`) is no longer an option; a result that is stored has no WITHSCORES.
    pub fn read(a: &Args<'a>, key_at: usize, by: Option<By>, reverse: Option<bool>, stored: bool) -> Result<Self> {
        let (mut chosen, mut backwards, mut with_scores) = (by, reverse.unwrap_or(false), false);
        let (mut offset, mut limit) = (0, -1);
        let mut i = key_at + 3;
        while let Some(word) = a.get(i) {
            match () {
                () if !stored && is(word, "WITHSCORES") => with_scores = true,
                () if is(word, "LIMIT") && i + 2 < a.len() => {
                    (offset, limit) = (int(&a[i + 1])?, int(&a[i + 2])?);
                    i += 2;
                }
                () if reverse.is_none() && is(word, "REV") => backwards = true,
                () if chosen.is_none() && is(word, "BYLEX") => chosen = Some(By::Lex),
                () if chosen.is_none() && is(word, "BYSCORE") => chosen = Some(By::Score),
                () => return Err(error::SYNTAX),
            }
            i += 1;
        }
        let by = chosen.unwrap_or(By::Rank);
        if limit != -1 && by == By::Rank {
            return Err(Error::fixed(
                "ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX",
            ));
        }
        if with_scores && by == By::Lex {
            return Err(Error::fixed("ERR syntax error, WITHSCORES not supported in combination with BYLEX"));
        }
        let (mut min, mut max) = (a.get(key_at + 1).unwrap_or(b""), a.get(key_at + 2).unwrap_or(b""));
        if backwards && by != By::Rank {
            (min, max) = (max, min);
        }
        Ok(Self { span: Span::read(by, min, max)?, reverse: backwards, with_scores, offset, limit })
    }

    /// The ranks that it selects, LIMIT applied.
    pub fn ranks(&self, zset: &ZSet) -> Range<usize> {
        let Range { start, end } = self.span.ranks(zset, self.reverse);
        if matches!(self.span, Span::Rank(..)) {
            return start..end;
        }
        // A negative offset lies beyond every range.
        let skipped = usize::try_from(self.offset).unwrap_or(usize::MAX).min(end - start);
        let taken = usize::try_from(self.limit).unwrap_or(usize::MAX).min(end - start - skipped);
        if self.reverse { end - skipped - taken..end - skipped } else { start + skipped..start + skipped + taken }
    }
}
