//! What HSCAN, SSCAN and their like have in common: the cursor, the options and the shape of the reply.
//!
//! Cursors are positions in the order of hashes, of 63 bits; a reply is written in the order in which it is found, and its
//! head, which holds what is known only then, is put before it.

use super::options::{int, is};
use crate::error::{self, Error, Result};
use base::glob::glob_matches;
use resp::{Args, Out};
use std::cell::Cell;

/// The options of a walk over a container.
#[derive(Debug, Clone, Copy)]
pub struct Scan<'a> {
    /// About how many elements one call looks at.
    pub count: usize,
    /// Elements that do not match it are left out.
    pub pattern: Option<&'a [u8]>,
    /// Fields are wanted without their values.
    pub no_values: bool,
}

impl<'a> Scan<'a> {
    /// Reads the options from argument `first` on. `NOVALUES` is one only where `values` is true.
    pub fn options(a: &Args<'a>, first: usize, values: bool) -> Result<Self> {
        let mut o = Self { count: 10, pattern: None, no_values: false };
        let mut words = a.iter_from(first);
        while let Some(word) = words.next() {
            match () {
                () if is(word, "COUNT") => {
                    let count = int(words.next().ok_or(error::SYNTAX)?)?;
                    o.count = usize::try_from(count).ok().filter(|n| *n > 0).ok_or(error::SYNTAX)?;
                }
                () if is(word, "MATCH") => o.pattern = Some(words.next().ok_or(error::SYNTAX)?),
                () if values && is(word, "NOVALUES") => o.no_values = true,
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
