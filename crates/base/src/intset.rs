//! Intset: a sorted set of integers in one flat allocation, in exactly the bytes that Redis uses in memory and in RDB.
//!
//! ```text
//! ┌─────────────────┬────────────┬──────┬──────┬───┐
//! │ width: 2, 4, 8  │ count, u32 │ int  │ int  │ … │   little-endian, ascending, no duplicates,
//! │ bytes, u32      │            │      │      │   │   all of the width in the header
//! └─────────────────┴────────────┴──────┴──────┴───┘
//! ```
//!
//! A value that does not fit the width makes all integers wider; they never become narrower again. Such a value is smaller
//! or larger than all the others, so it goes to one of the ends.
//!
//! Limits: 2^30 integers ([`INTSET_MAX_LEN`]); inserting and removing move the bytes behind, so it is fit for small sets only.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;

const HEADER_LEN: usize = 8;

/// How many integers a set must not pass.
pub const INTSET_MAX_LEN: usize = 1 << 30;

/// What is wrong with bytes that should have been an intset, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IntsetError {
    /// Offset of the fault in bytes from the start of the intset.
    pub offset: usize,
    /// The fault in words.
    pub reason: &'static str,
}

impl fmt::Display for IntsetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "intset is corrupt at byte {}: {}", self.offset, self.reason)
    }
}

impl core::error::Error for IntsetError {}

/// An owned intset whose bytes are known to be valid.
///
/// The handle is two words; behind the integers that the header counts there may be unused room.
pub struct Intset(Box<[u8]>);

impl Clone for Intset {
    /// The copy has no unused room.
    fn clone(&self) -> Intset {
        Intset(self.as_bytes().into())
    }
}

impl PartialEq for Intset {
    fn eq(&self, other: &Intset) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Eq for Intset {}

impl Default for Intset {
    fn default() -> Self {
        Intset::new()
    }
}

impl fmt::Debug for Intset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

/// The narrowest width in bytes that holds `value`.
fn width_of(value: i64) -> usize {
    if i16::try_from(value).is_ok() {
        2
    } else if i32::try_from(value).is_ok() {
        4
    } else {
        8
    }
}

/// Reads integer number `index` of the given width.
fn read(bytes: &[u8], width: usize, index: usize) -> i64 {
    let at = HEADER_LEN + index * width;
    let mut raw = [0; 8];
    raw[8 - width..].copy_from_slice(&bytes[at..at + width]);
    i64::from_le_bytes(raw) >> (64 - 8 * width)
}

impl Intset {
    /// An empty intset.
    pub fn new() -> Intset {
        Intset(Box::new([2, 0, 0, 0, 0, 0, 0, 0]))
    }

    /// Takes over bytes from outside after checking all of them. A set of no integers is valid.
    ///
    /// # Errors
    /// The first fault, with its offset.
    pub fn validate(bytes: impl Into<Vec<u8>>) -> Result<Intset, IntsetError> {
        let bytes: Vec<u8> = bytes.into();
        let fault = |offset, reason| Err(IntsetError { offset, reason });
        if bytes.len() < HEADER_LEN {
            return fault(0, "shorter than its header");
        }
        let width = u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]) as usize;
        if !matches!(width, 2 | 4 | 8) {
            return fault(0, "integers are neither 2, 4 nor 8 bytes wide");
        }
        let count = u32::from_le_bytes([bytes[4], bytes[5], bytes[6], bytes[7]]) as usize;
        let body = bytes.len() - HEADER_LEN;
        if !body.is_multiple_of(width) || body / width != count {
            return fault(4, "the number of integers in the header is not the real number");
        }
        for index in 1..count {
            if read(&bytes, width, index - 1) >= read(&bytes, width, index) {
                return fault(HEADER_LEN + index * width, "integers do not ascend");
            }
        }
        Ok(Intset(bytes.into_boxed_slice()))
    }

    /// The intset's bytes, as Redis has them in memory and in RDB.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0[..HEADER_LEN + self.len() * self.width()]
    }

    /// The allocation's size in bytes.
    pub fn capacity(&self) -> usize {
        self.0.len()
    }

    fn width(&self) -> usize {
        usize::from(self.0[0])
    }

    /// How many integers there are.
    pub fn len(&self) -> usize {
        u32::from_le_bytes([self.0[4], self.0[5], self.0[6], self.0[7]]) as usize
    }

    /// Whether there is no integer.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Integer number `index` in ascending order.
    pub fn get(&self, index: usize) -> Option<i64> {
        (index < self.len()).then(|| read(&self.0, self.width(), index))
    }

    /// The smallest integer.
    pub fn min(&self) -> Option<i64> {
        self.get(0)
    }

    /// The largest integer.
    pub fn max(&self) -> Option<i64> {
        self.len().checked_sub(1).and_then(|index| self.get(index))
    }

    /// The index of `value`, or the index where it would be inserted.
    fn search(&self, value: i64) -> Result<usize, usize> {
        let width = self.width();
        let (mut low, mut high) = (0, self.len());
        // Sets are often filled in ascending order: look at the end first.
        if high > 0 && read(&self.0, width, high - 1) < value {
            return Err(high);
        }
        while low < high {
            let middle = low.midpoint(high);
            match read(&self.0, width, middle).cmp(&value) {
                core::cmp::Ordering::Less => low = middle + 1,
                core::cmp::Ordering::Greater => high = middle,
                core::cmp::Ordering::Equal => return Ok(middle),
            }
        }
        Err(low)
    }

    /// Whether `value` is in the set.
    pub fn contains(&self, value: i64) -> bool {
        width_of(value) <= self.width() && self.search(value).is_ok()
    }

    /// Adds `value`; false if it was there before.
    pub fn insert(&mut self, value: i64) -> bool {
        let needed = width_of(value);
        if needed > self.width() {
            self.widen(needed, value);
            return true;
        }
        let Err(index) = self.search(value) else {
            return false;
        };
        let width = self.width();
        let at = HEADER_LEN + index * width;
        let old_len = self.as_bytes().len();
        if old_len + width > self.0.len() {
            // Room for an eighth more keeps the moves few and the waste small.
            self.resize(old_len + (old_len / 8).next_multiple_of(8).max(8));
        }
        self.0.copy_within(at..old_len, at + width);
        self.0[at..at + width].copy_from_slice(&value.to_le_bytes()[..width]);
        self.write_len(self.len() + 1);
        true
    }

    /// Makes all integers `width` bytes wide and adds `value`, which did not fit before and so belongs to an end.
    fn widen(&mut self, width: usize, value: i64) {
        let len = self.len();
        let mut wide = Vec::with_capacity(HEADER_LEN + (len + 1) * width);
        wide.extend_from_slice(&[width as u8, 0, 0, 0, 0, 0, 0, 0]);
        let mut put = |value: i64| wide.extend_from_slice(&value.to_le_bytes()[..width]);
        if value < 0 {
            put(value);
        }
        for old in self.iter() {
            put(old);
        }
        if value >= 0 {
            put(value);
        }
        self.0 = wide.into_boxed_slice();
        self.write_len(len + 1);
    }

    fn resize(&mut self, capacity: usize) {
        let mut bytes = core::mem::take(&mut self.0).into_vec();
        bytes.reserve_exact(capacity.saturating_sub(bytes.len()));
        bytes.resize(capacity, 0);
        self.0 = bytes.into_boxed_slice();
    }

    fn write_len(&mut self, len: usize) {
        assert!(len <= INTSET_MAX_LEN, "callers convert sets long before");
        let len = u32::try_from(len).expect("checked above");
        self.0[4..8].copy_from_slice(&len.to_le_bytes());
    }

    /// Removes `value`; false if it was not there.
    pub fn remove(&mut self, value: i64) -> bool {
        if width_of(value) > self.width() {
            return false;
        }
        let Ok(index) = self.search(value) else {
            return false;
        };
        let width = self.width();
        let at = HEADER_LEN + index * width;
        let old_len = self.as_bytes().len();
        self.0.copy_within(at + width..old_len, at);
        self.write_len(self.len() - 1);
        if old_len < self.0.len() / 2 {
            self.resize(old_len);
        }
        true
    }

    /// All integers in ascending order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = i64> + ExactSizeIterator + Clone + '_ {
        let width = self.width();
        (0..self.len()).map(move |index| read(&self.0, width, index))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::BTreeSet;
    use proptest::prelude::*;

    fn hex(text: &str) -> Vec<u8> {
        text.as_bytes()
            .chunks(2)
            .map(|pair| u8::from_str_radix(core::str::from_utf8(pair).unwrap(), 16).unwrap())
            .collect()
    }

    /// Made with Redis 7.0.15: `SADD s …` in the order given, then the string inside `DUMP s`.
    #[test]
    fn bytes_are_those_of_redis() {
        let check = |inserted: &[i64], expected: &str| {
            let mut set = Intset::new();
            for &value in inserted {
                assert!(set.insert(value));
            }
            assert_eq!(set.as_bytes(), hex(expected));
            assert_eq!(Intset::validate(hex(expected)).unwrap(), set);
        };
        check(&[5, 1, 3], "0200000003000000010003000500");
        check(&[1, -2, 40000], "0400000003000000feffffff01000000409c0000");
        check(&[40000, 1, -5000000000], "0800000003000000000efad5feffffff0100000000000000409c000000000000");
        check(&[-32768, 32767, -32769], "0400000003000000ff7fffff0080ffffff7f0000");
        check(&[7], "02000000010000000700");
    }

    #[test]
    fn faults_are_found_with_their_place() {
        let check = |bytes: &str, offset: usize| assert_eq!(Intset::validate(hex(bytes)).unwrap_err().offset, offset);
        check("", 0);
        check("02000000000000", 0);
        check("0300000000000000", 0);
        check("0200000001000000", 4);
        check("020000000100000001", 4);
        check("0200000002000000010001ff0000", 4);
        check("020000000200000001000100", 10);
        check("02000000020000000100ffff", 10);
        check("0200000003000000010002000200", 12);
    }

    fn values() -> impl Strategy<Value = i64> {
        prop_oneof![-50i64..50, -40_000i64..40_000, -3_000_000_000i64..3_000_000_000, any::<i64>()]
    }

    proptest! {
        #[test]
        fn behaves_as_a_sorted_set(steps in proptest::collection::vec((values(), any::<bool>()), 0..200)) {
            let mut model = BTreeSet::new();
            let mut set = Intset::new();
            for (value, insert) in steps {
                if insert {
                    prop_assert_eq!(set.insert(value), model.insert(value));
                } else {
                    prop_assert_eq!(set.remove(value), model.remove(&value));
                }
                prop_assert!(set.contains(value) == model.contains(&value));
                prop_assert_eq!(set.len(), model.len());
            }
            prop_assert!(set.iter().eq(model.iter().copied()));
            prop_assert!(set.iter().rev().eq(model.iter().rev().copied()));
            prop_assert_eq!(set.min(), model.first().copied());
            prop_assert_eq!(set.max(), model.last().copied());
            prop_assert_eq!(set.get(set.len()), None);
            prop_assert_eq!(Intset::validate(set.as_bytes()).unwrap(), set);
        }

        #[test]
        fn changed_bytes_never_panic(
            values in proptest::collection::btree_set(values(), 0..20),
            changes in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..4),
            cut in any::<proptest::sample::Index>(),
        ) {
            let mut set = Intset::new();
            for value in values {
                set.insert(value);
            }
            let mut bytes = set.as_bytes().to_vec();
            for (index, byte) in changes {
                let index = index.index(bytes.len());
                bytes[index] = byte;
            }
            for bytes in [&bytes[..], &bytes[..cut.index(bytes.len())]] {
                if let Ok(mut set) = Intset::validate(bytes) {
                    prop_assert_eq!(set.iter().count(), set.len());
                    set.insert(7);
                    prop_assert!(set.contains(7));
                }
            }
        }
    }
}
