//! Reading arguments: numbers, expiries, timeouts, option words, with the errors that Redis gives.

use crate::error::{self, Error, Result};
use base::num::{parse_f64, parse_i64};
use keyspace::Expiry;

/// Whether an argument is this word, in any case.
#[inline]
pub fn is(arg: &[u8], word: &str) -> bool {
    arg.eq_ignore_ascii_case(word.as_bytes())
}

/// A whole number of 64 bits.
#[inline]
pub fn int(arg: &[u8]) -> Result<i64> {
    parse_i64(arg).ok_or(error::NOT_INTEGER)
}

/// A whole number of 32 bits.
pub fn int32(arg: &[u8]) -> Result<i32> {
    i32::try_from(int(arg)?).map_err(|_| error::OUT_OF_INT)
}

/// A double that C's `strtod` reads: the text ends at its first zero byte, blanks may come before the number, and no
/// text at all is zero. `parse` reads the number, of which nothing may be left.
pub fn c_double(text: &[u8], parse: fn(&[u8]) -> Option<f64>) -> Option<f64> {
    let text = error::up_to_zero(text);
    if text.is_empty() {
        return Some(0.0);
    }
    let blanks = text.iter().take_while(|b| b.is_ascii_whitespace() || **b == b'\x0b').count();
    parse(&text[blanks..])
}

/// A whole number within bounds; outside of them `otherwise`.
pub fn int_in(arg: &[u8], range: std::ops::RangeInclusive<i64>, otherwise: Error) -> Result<i64> {
    let n = int(arg)?;
    if range.contains(&n) { Ok(n) } else { Err(otherwise) }
}

/// A whole number within bounds; anything else is `otherwise`.
pub fn within(arg: &[u8], range: std::ops::RangeInclusive<i64>, otherwise: &'static str) -> Result<i64> {
    parse_i64(arg).filter(|n| range.contains(n)).ok_or(Error::fixed(otherwise))
}

/// A count whose sign has a meaning of its own: any number that can be negated.
pub fn signed_count(arg: &[u8]) -> Result<i64> {
    let otherwise = "ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807";
    int_in(arg, -i64::MAX..=i64::MAX, Error::fixed(otherwise))
}

/// The count of keys at `at` and the keys that follow it; `None` where there are fewer arguments.
pub fn numbered_keys<'a>(a: &resp::Args<'a>, at: usize) -> Result<Option<Vec<&'a [u8]>>> {
    let n = parse_i64(&a[at]).filter(|n| *n > 0).ok_or(error::NUMKEYS_NOT_POSITIVE)?;
    let there = a.len() - at - 1;
    Ok(usize::try_from(n).ok().filter(|n| *n <= there).map(|n| a.iter_from(at + 1).take(n).collect()))
}

/// A double.
pub fn float(arg: &[u8]) -> Result<f64> {
    parse_f64(arg).ok_or(error::NOT_FLOAT)
}

/// A count that must not be negative.
pub fn count(arg: &[u8]) -> Result<usize> {
    match parse_i64(arg) {
        Some(n) if n >= 0 => Ok(n as usize),
        _ => Err(error::NOT_POSITIVE),
    }
}

/// The timeout of a blocking command in seconds, as milliseconds; 0 waits forever.
pub fn timeout_ms(arg: &[u8]) -> Result<i64> {
    let seconds = parse_f64(arg).ok_or(error::TIMEOUT_NOT_FLOAT)?;
    let ms = (seconds * 1000.0).ceil();
    if ms >= i64::MAX as f64 {
        return Err(Error::fixed("ERR timeout is out of range"));
    }
    if ms < 0.0 { Err(error::TIMEOUT_NEGATIVE) } else { Ok(ms as i64) }
}

/// What an expiry's number counts, and from when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unit {
    /// Milliseconds in one.
    pub ms: i64,
    /// Counted from 1970 and not from now.
    pub absolute: bool,
}

impl Unit {
    /// The unit that an option word (`EX`, `PX`, `EXAT`, `PXAT`) stands for.
    pub fn of_word(word: &[u8]) -> Option<Self> {
        let (ms, absolute) = match () {
            () if is(word, "EX") => (1000, false),
            () if is(word, "PX") => (1, false),
            () if is(word, "EXAT") => (1000, true),
            () if is(word, "PXAT") => (1, true),
            () => return None,
        };
        Some(Self { ms, absolute })
    }

    /// The moment that `n` of them mean, Unix milliseconds; nothing where that cannot be kept.
    pub fn moment_ms(self, n: i64, now_ms: i64) -> Option<i64> {
        let ms = n.checked_mul(self.ms)?;
        if self.absolute { Some(ms) } else { ms.checked_add(now_ms) }
    }
}

/// The expiry of SET, GETEX and their like: a number above zero of some unit.
pub fn expiry(arg: &[u8], unit: Unit, now_ms: i64, command: &str) -> Result<Expiry> {
    let n = int(arg)?;
    if n <= 0 {
        return Err(Error::invalid_expire(command));
    }
    unit.moment_ms(n, now_ms).map(Expiry::At).ok_or_else(|| Error::invalid_expire(command))
}

/// The first and last element that a range of indices means in a sequence of `len`
/// (negative: from the end), or nothing where it is empty.
pub fn index_range(start: i64, stop: i64, len: usize) -> Option<(usize, usize)> {
    let len = len as i64;
    let absolute = |i: i64| if i < 0 { i.saturating_add(len) } else { i };
    let (start, stop) = (absolute(start).max(0), absolute(stop).min(len - 1));
    if start > stop || stop < 0 { None } else { Some((start as usize, stop as usize)) }
}
