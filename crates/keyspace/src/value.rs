//! The value of a key: what kinds there are and how a reader sees them.

use crate::hash::{Hash, HashMut, HashRef};
use crate::{list::List, set::Set, zset::ZSet};

/// A container value. Its clone costs O(1) (or one small packed allocation) whatever the number of elements.
#[derive(Clone, Debug)]
pub enum Value {
    /// A list.
    List(List),
    /// A hash.
    Hash(Hash),
    /// A set.
    Set(Set),
    /// A sorted set.
    ZSet(ZSet),
}

/// What an entry holds, borrowed.
#[derive(Clone, Copy, Debug)]
pub enum ValueRef<'a> {
    /// Nothing but the key: a member of a set.
    None,
    /// A string.
    Bytes(&'a [u8]),
    /// A string that is the decimal form of this number.
    Int(i64),
    /// The score of a sorted set's member.
    Score(f64),
    /// A list.
    List(&'a List),
    /// A hash.
    Hash(HashRef<'a>),
    /// A set.
    Set(&'a Set),
    /// A sorted set.
    ZSet(&'a ZSet),
}

/// A container that an entry holds, to be changed.
#[derive(Debug)]
pub enum ValueMut<'a> {
    /// A list.
    List(&'a mut List),
    /// A hash.
    Hash(HashMut<'a>),
    /// A set.
    Set(&'a mut Set),
    /// A sorted set.
    ZSet(&'a mut ZSet),
}

impl ValueRef<'_> {
    /// A clone of the container; nothing of a string, a score or a bare key.
    pub fn to_value(self) -> Option<Value> {
        match self {
            ValueRef::List(list) => Some(Value::List(list.clone())),
            ValueRef::Hash(hash) => Some(Value::Hash(hash.to_hash())),
            ValueRef::Set(set) => Some(Value::Set(set.clone())),
            ValueRef::ZSet(zset) => Some(Value::ZSet(zset.clone())),
            ValueRef::None | ValueRef::Bytes(_) | ValueRef::Int(_) | ValueRef::Score(_) => None,
        }
    }

    /// Bytes of heap memory held by a container, with the allocator's rounding, beside its entry; 0 of all else.
    pub fn memory_usage(self) -> usize {
        match self {
            ValueRef::List(list) => list.memory_usage(),
            ValueRef::Hash(hash) => hash.memory_usage(),
            ValueRef::Set(set) => set.memory_usage(),
            ValueRef::ZSet(zset) => zset.memory_usage(),
            ValueRef::None | ValueRef::Bytes(_) | ValueRef::Int(_) | ValueRef::Score(_) => 0,
        }
    }
}

/// Reads the canonical decimal form of a number: no plus sign, no leading zero, no "-0", nothing around it.
#[inline]
pub fn parse_canonical_int(bytes: &[u8]) -> Option<i64> {
    let (negative, digits) = match bytes {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    let (first, rest) = digits.split_first()?;
    if digits.len() > 19 || !first.is_ascii_digit() || (*first == b'0' && (negative || !rest.is_empty())) {
        return None;
    }
    // Nineteen digits fit 64 bits without a sign, so only the last step has to look at the range.
    let mut magnitude = u64::from(first - b'0');
    for digit in rest {
        if !digit.is_ascii_digit() {
            return None;
        }
        magnitude = magnitude * 10 + u64::from(digit - b'0');
    }
    if negative { 0i64.checked_sub_unsigned(magnitude) } else { i64::try_from(magnitude).ok() }
}

#[cfg(test)]
mod tests {
    use super::parse_canonical_int;

    #[track_caller]
    fn check(text: &str, want: Option<i64>) {
        assert_eq!(parse_canonical_int(text.as_bytes()), want, "{text:?}");
    }

    #[test]
    fn only_canonical_numbers_are_numbers() {
        check("0", Some(0));
        check("-1", Some(-1));
        check("9223372036854775807", Some(i64::MAX));
        check("-9223372036854775808", Some(i64::MIN));
        check("9223372036854775808", None);
        check("-9223372036854775809", None);
        check("99999999999999999999", None);
        check("", None);
        check("-", None);
        check("-0", None);
        check("+1", None);
        check("01", None);
        check("1 ", None);
        check("1x", None);
    }
}
