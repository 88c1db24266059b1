//! Walks in portions: SCAN and ZSCAN, and what HSCAN and SSCAN share with them: the cursor, the options, the shape
//! of the reply.
//!
//! Cursors are positions in the order of hashes, of 63 bits; a reply is written in the order in which it is found, and its
//! head, which holds what is known only then, is put before it.

use super::options::{int, is};
use crate::engine::Engine;
use crate::error::{self, Error, Result};
use crate::store::KeyKind;
use crate::table::Run;
use base::glob::glob_matches;
use base::num::{F64_TEXT_MAX, I64_TEXT_MAX, format_f64};
use resp::{Args, Out};
use std::cell::Cell;

/// The handlers of this family.
pub const COMMANDS: super::Family = &[("scan", Run::Plain(scan)), ("zscan", Run::Plain(zscan))];

/// What is walked over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Over {
    /// The keys of a database, which have types.
    Keys,
    /// The fields of a hash, which have values.
    Fields,
    /// Members.
    Members,
}

/// The options of a walk.
#[derive(Debug, Clone, Copy)]
pub struct Scan<'a> {
    /// About how many elements one call looks at.
    pub count: usize,
    /// Elements that do not match it are left out.
    pub pattern: Option<&'a [u8]>,
    /// The only type of key that is wanted, as the client spells it.
    kind: Option<&'a [u8]>,
    /// Fields are wanted without their values.
    pub no_values: bool,
}

impl<'a> Scan<'a> {
    /// Reads the options from argument `first` on.
    pub fn options(a: &Args<'a>, first: usize, over: Over) -> Result<Self> {
        let mut o = Self { count: 10, pattern: None, kind: None, no_values: false };
        let mut words = a.iter_from(first);
        while let Some(word) = words.next() {
            match () {
                () if is(word, "COUNT") => {
                    let count = int(words.next().ok_or(error::SYNTAX)?)?;
                    o.count = usize::try_from(count).ok().filter(|n| *n > 0).ok_or(error::SYNTAX)?;
                }
                () if is(word, "MATCH") => {
                    // A lone star matches the empty name too, which the pattern alone would not.
                    o.pattern = Some(words.next().ok_or(error::SYNTAX)?).filter(|pattern| *pattern != b"*");
                }
                () if over == Over::Keys && is(word, "TYPE") => o.kind = Some(words.next().ok_or(error::SYNTAX)?),
                () if over == Over::Fields && is(word, "NOVALUES") => o.no_values = true,
                () => return Err(error::SYNTAX),
            }
        }
        Ok(o)
    }

    /// Whether an element is wanted.
    #[inline]
    pub fn wants(&self, text: &[u8]) -> bool {
        self.pattern.is_none_or(|pattern| glob_matches(pattern, text, false))
    }
}

/// The cursor of a walk, as C's `strtoul` reads it: nothing is 0, and a sign is allowed.
pub fn cursor(arg: &[u8]) -> Result<u64> {
    let (negative, digits) = match arg {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] => (false, digits),
        digits => (false, digits),
    };
    if arg.is_empty() {
        return Ok(0);
    }
    let value = match std::str::from_utf8(digits).ok().filter(|d| d.bytes().all(|b| b.is_ascii_digit())) {
        Some(digits) => digits.parse::<u64>().ok(),
        None => None,
    };
    let value = value.ok_or(Error::fixed("ERR invalid cursor"))?;
    Ok(if negative { value.wrapping_neg() } else { value })
}

/// Replies with the next cursor and the elements of one call. `walk` writes the elements and gives the cursor and how
/// many it has written.
pub fn reply(out: &mut Out, walk: impl FnOnce(&mut Out) -> (u64, usize)) {
    let next = Cell::new(0);
    let head = |out: &mut Out, n: usize| {
        out.array(2);
        out.bulk(next.get().to_string().as_bytes());
        out.array(n);
    };
    out.counted(head, |out| {
        let (cursor, n) = walk(out);
        next.set(cursor);
        n
    });
}

/// Replies that there is nothing to walk over.
pub fn reply_empty(out: &mut Out) {
    reply(out, |_| (0, 0));
}

fn scan(e: &mut Engine, a: &Args) -> Result {
    let position = cursor(&a[1])?;
    let o = Scan::options(a, 2, Over::Keys)?;
    let store = &e.store;
    reply(&mut e.out, |out| {
        let mut n = 0;
        let next = store.current().scan(position, o.count, |entry| {
            let wanted = o.wants(entry.key())
                && o.kind.is_none_or(|kind| is(kind, KeyKind::of(entry).name()))
                && !store.is_expired(entry);
            if wanted {
                out.bulk(entry.key());
                n += 1;
            }
        });
        (next, n)
    });
    Ok(())
}

fn zscan(e: &mut Engine, a: &Args) -> Result {
    let position = cursor(&a[2])?;
    let Some(zset) = e.store.zset(&a[1])? else {
        reply_empty(&mut e.out);
        return Ok(());
    };
    let o = Scan::options(a, 3, Over::Members)?;
    reply(&mut e.out, |out| {
        let mut n = 0;
        let next = zset.scan(position, o.count, |member, score| {
            if o.wants(member.as_bytes(&mut [0; I64_TEXT_MAX])) {
                out.bulk(member.as_bytes(&mut [0; I64_TEXT_MAX]));
                out.bulk(format_f64(score, &mut [0; F64_TEXT_MAX]));
                n += 2;
            }
        });
        (next, n)
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_are_read_as_redis_reads_them() {
        for (given, expected) in [
            ("", Some(0)),
            ("0", Some(0)),
            ("17", Some(17)),
            ("+1", Some(1)),
            ("-1", Some(u64::MAX)),
            ("18446744073709551615", Some(u64::MAX)),
            ("18446744073709551616", None),
            (" 1", None),
            ("1 ", None),
            ("x", None),
            ("+", None),
        ] {
            assert_eq!(cursor(given.as_bytes()).ok(), expected, "{given:?}");
        }
    }

    #[test]
    fn the_head_of_a_reply_is_put_before_its_elements() {
        let mut out = Out::default();
        reply(&mut out, |out| {
            out.bulk(b"a");
            (42, 1)
        });
        assert_eq!(out.buf, b"*2\r\n$2\r\n42\r\n*1\r\n$1\r\na\r\n");
    }
}
