//! Walks in portions: SCAN over the keys of a database, ZSCAN over a sorted set; and what HSCAN and SSCAN need.
//!
//! A cursor is a position in the order of hashes, so that what is there from the first call to
//! the last is given, however much changes in between.

use super::options::{int, is};
use crate::engine::Engine;
use crate::error::{self, Error, Result};
use crate::store::KeyKind;
use crate::table::Run;
use base::glob::glob_matches;
use base::num::{F64_TEXT_MAX, I64_TEXT_MAX, format_f64};
use resp::{Args, Out};

/// The handlers of this family.
pub const COMMANDS: super::Family = &[("scan", Run::Plain(scan))];

/// What is walked over; it decides which options there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Over {
    /// The keys of a database, which have types.
    Keys,
    /// The fields of a hash, which have values.
    Fields,
    /// The members of a set or a sorted set.
    Members,
}

/// The options of SCAN and its like.
pub struct ScanOptions<'a> {
    /// About how many elements are looked at.
    pub count: usize,
    /// What names must look like.
    pattern: Option<&'a [u8]>,
    /// The only type of key that is wanted, as a client spells it.
    kind: Option<&'a [u8]>,
    /// Fields are wanted without their values.
    pub no_values: bool,
}

impl<'a> ScanOptions<'a> {
    /// Reads the options from argument `first` on.
    pub fn read(a: &Args<'a>, first: usize, over: Over) -> Result<Self> {
        let mut options = Self { count: 10, pattern: None, kind: None, no_values: false };
        let mut i = first;
        while let Some(word) = a.get(i) {
            if over == Over::Fields && is(word, "NOVALUES") {
                options.no_values = true;
                i += 1;
                continue;
            }
            let value = a.get(i + 1).ok_or(error::SYNTAX)?;
            match () {
                () if is(word, "COUNT") => {
                    let count = int(value)?;
                    if count < 1 {
                        return Err(error::SYNTAX);
                    }
                    options.count = count as usize;
                }
                () if is(word, "MATCH") => options.pattern = (value != b"*").then_some(value),
                () if over == Over::Keys && is(word, "TYPE") => options.kind = Some(value),
                () => return Err(error::SYNTAX),
            }
            i += 2;
        }
        Ok(options)
    }

    /// Whether a name looks as it must.
    #[inline]
    pub fn matches(&self, name: &[u8]) -> bool {
        self.pattern.is_none_or(|pattern| glob_matches(pattern, name, false))
    }
}

/// The cursor of a walk, as C's `strtoul` reads it: nothing is 0, and a sign is allowed.
pub fn cursor(arg: &[u8]) -> Result<u64> {
    let arg = error::up_to_zero(arg);
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

/// Replies with the next cursor and the elements that `fill` writes; it gives both cursor and number.
pub fn reply_portion(out: &mut Out, fill: impl FnOnce(&mut Out) -> (u64, usize)) {
    let mut next = 0;
    let filled = |out: &mut Out| {
        let (cursor, n) = fill(out);
        next = cursor;
        n
    };
    let start = out.buf.len();
    out.counted(Out::array, filled);
    // The cursor is known last and stands first.
    let end = out.buf.len();
    out.array(2);
    out.bulk(next.to_string().as_bytes());
    let header_len = out.buf.len() - end;
    out.buf[start..].rotate_right(header_len);
}

fn scan(e: &mut Engine, a: &Args) -> Result {
    let position = cursor(&a[1])?;
    let options = ScanOptions::read(a, 2, Over::Keys)?;
    let store = &e.store;
    let mut expired: Vec<Box<[u8]>> = Vec::new();
    reply_portion(&mut e.out, |out| {
        let mut n = 0;
        let next = store.current().scan(position, options.count, |entry| {
            if !options.matches(entry.key()) {
                return;
            }
            // Asking for its type is a look, which a key that is past its time does not outlive.
            if store.is_expired(entry) {
                expired.push(entry.key().into());
            } else if options.kind.is_none_or(|kind| is(kind, KeyKind::of(entry).name())) {
                out.bulk(entry.key());
                n += 1;
            }
        });
        (next, n)
    });
    // What a walk comes upon and is past its time goes, as it does when it is looked up.
    for key in expired {
        e.store.expire_seen(&key);
        e.settle_apart();
    }
    Ok(())
}

/// `ZSCAN key cursor [MATCH pattern] [COUNT count]`
pub fn zscan(e: &mut Engine, a: &Args) -> Result {
    let position = cursor(&a[2])?;
    let Some(zset) = e.store.zset(&a[1])? else {
        reply_portion(&mut e.out, |_| (0, 0));
        return Ok(());
    };
    let options = ScanOptions::read(a, 3, Over::Members)?;
    reply_portion(&mut e.out, |out| {
        let mut n = 0;
        let next = zset.scan(position, options.count, |member, score| {
            if options.matches(member.as_bytes(&mut [0; I64_TEXT_MAX])) {
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
            ("\0", Some(0)),
            ("17\0x", Some(17)),
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
}
