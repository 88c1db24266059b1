//! LZF, the compression of strings in RDB files.
//!
//! ```text
//! 000lllll                      l + 1 literal bytes follow
//! lllooooo oooooooo             copy l + 2 bytes (l = 1..=6) from o + 1 bytes back
//! 111ooooo llllllll oooooooo    copy l + 9 bytes from o + 1 bytes back
//! ```
//!
//! So a copy reaches 8192 bytes back and is 3 to 264 bytes long; three bytes become 264 at most, which
//! bounds what an announced length may be. The compressor finds copies through a table of the last place where each hash of
//! three bytes was seen. The table outlives the call and is never cleared: places are numbered on from call to call, so
//! that what an earlier call left is recognised as being too far back. That makes compressing many short strings cheap.

use alloc::vec::Vec;

const HASH_BITS: u32 = 14;
const DISTANCE_MAX: usize = 1 << 13;
const COPY_MIN: usize = 3;
const COPY_MAX: usize = 264;
const LITERALS_MAX: usize = 32;

/// No LZF data expands to more than this multiple of its length.
pub const EXPANSION_MAX: u64 = COPY_MAX as u64 / 3;

/// Compresses strings. It holds a table of 64 KiB, made on first use.
#[derive(Default)]
pub struct Compressor {
    table: Vec<u32>,
    /// The number of the next string's first place.
    base: u32,
}

impl Compressor {
    /// A compressor.
    pub fn new() -> Compressor {
        Compressor::default()
    }

    /// Replaces `out` by `data` compressed if that takes at most `max` bytes, and says whether it did.
    /// After `false` the contents of `out` are of no use.
    pub fn compress(&mut self, data: &[u8], max: usize, out: &mut Vec<u8>) -> bool {
        out.clear();
        let Ok(len) = u32::try_from(data.len()) else { return false };
        if self.table.is_empty() {
            self.table.resize(1 << HASH_BITS, 0);
            self.base = DISTANCE_MAX as u32 + 1;
        }
        if self.base.checked_add(len).is_none_or(|end| end > u32::MAX - 2 * DISTANCE_MAX as u32) {
            if len > u32::MAX / 2 {
                return false;
            }
            self.table.fill(0);
            self.base = DISTANCE_MAX as u32 + 1;
        }
        let base = self.base;
        // Places of the next string are too far from all places of this one.
        self.base = base + len + DISTANCE_MAX as u32 + 1;
        let mut at = 0;
        let mut literals = 0;
        while at + COPY_MIN <= data.len() {
            let slot = &mut self.table[hash(&data[at..at + 3])];
            let place = base + at as u32;
            let distance = (place - *slot) as usize;
            *slot = place;
            if distance > DISTANCE_MAX || distance > at || data[at - distance..][..3] != data[at..at + 3] {
                at += 1;
                continue;
            }
            let longest = (data.len() - at).min(COPY_MAX);
            let (before, here) = (&data[at - distance..], &data[at..at + longest]);
            let copy = here.iter().zip(before).take_while(|(a, b)| a == b).count();
            push_literals(&data[literals..at], out);
            push_copy(distance - 1, copy, out);
            if out.len() > max {
                return false;
            }
            let end = at + copy;
            // The last places inside the copy are worth remembering, all of them are not.
            for inside in [end - 2, end - 1] {
                if inside + COPY_MIN <= data.len() {
                    self.table[hash(&data[inside..inside + 3])] = base + inside as u32;
                }
            }
            at = end;
            literals = end;
        }
        if out.len() + (data.len() - literals) > max {
            return false;
        }
        push_literals(&data[literals..], out);
        out.len() <= max
    }
}

fn hash(three: &[u8]) -> usize {
    let value = u32::from(three[0]) << 16 | u32::from(three[1]) << 8 | u32::from(three[2]);
    (value.wrapping_mul(0x9E37_79B1) >> (32 - HASH_BITS)) as usize
}

fn push_literals(literals: &[u8], out: &mut Vec<u8>) {
    for run in literals.chunks(LITERALS_MAX) {
        out.push(run.len() as u8 - 1);
        out.extend_from_slice(run);
    }
}

fn push_copy(offset: usize, copy: usize, out: &mut Vec<u8>) {
    let len = copy - 2;
    let high = (offset >> 8) as u8;
    if len < 7 {
        out.push((len as u8) << 5 | high);
    } else {
        out.push(7 << 5 | high);
        out.push((len - 7) as u8);
    }
    out.push(offset as u8);
}

/// Replaces `out` by what `data` expands to, which must be exactly `len` bytes.
///
/// # Errors
/// What is wrong with `data`, in words. The contents of `out` are then of no use. Nothing is allocated beyond
/// [`EXPANSION_MAX`] times the length of `data`.
pub fn decompress(data: &[u8], len: usize, out: &mut Vec<u8>) -> Result<(), &'static str> {
    const CUT: &str = "compressed string ends in the middle of an item";
    const LONGER: &str = "compressed string is longer than announced";
    out.clear();
    if len as u64 > data.len() as u64 * EXPANSION_MAX {
        return Err("compressed string cannot be as long as announced");
    }
    out.reserve_exact(len);
    let mut rest = data;
    while let [control, tail @ ..] = rest {
        rest = tail;
        let control = usize::from(*control);
        if control < LITERALS_MAX {
            let (literals, tail) = rest.split_at_checked(control + 1).ok_or(CUT)?;
            if literals.len() > len - out.len() {
                return Err(LONGER);
            }
            out.extend_from_slice(literals);
            rest = tail;
            continue;
        }
        let mut copy = (control >> 5) + 2;
        if copy == 9 {
            let (more, tail) = rest.split_first().ok_or(CUT)?;
            copy += usize::from(*more);
            rest = tail;
        }
        let (low, tail) = rest.split_first().ok_or(CUT)?;
        rest = tail;
        let distance = ((control & 0x1f) << 8 | usize::from(*low)) + 1;
        if distance > out.len() {
            return Err("compressed string refers to before its start");
        }
        if copy > len - out.len() {
            return Err(LONGER);
        }
        // A copy may overlap itself: what it has written so far is then a whole number of periods, so it can be doubled.
        let start = out.len() - distance;
        while copy > 0 {
            let part = copy.min(out.len() - start);
            out.extend_from_within(start..start + part);
            copy -= part;
        }
    }
    if out.len() == len { Ok(()) } else { Err("compressed string is shorter than announced") }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use proptest::prelude::*;

    use super::*;

    fn check_round(compressor: &mut Compressor, data: &[u8]) -> Option<usize> {
        let mut packed = Vec::new();
        if !compressor.compress(data, usize::MAX, &mut packed) {
            return None;
        }
        let mut plain = vec![1, 2, 3];
        decompress(&packed, data.len(), &mut plain).unwrap();
        assert_eq!(plain, data);
        Some(packed.len())
    }

    #[test]
    fn repetitive_text_shrinks() {
        let mut compressor = Compressor::new();
        assert_eq!(check_round(&mut compressor, &[b'a'; 10_000]), Some(2 + 3 * 10_000usize.div_ceil(264)));
        assert!(check_round(&mut compressor, &b"hello world, ".repeat(50)).unwrap() < 40);
        // The same text again, which must not refer to the string of the call before.
        assert!(check_round(&mut compressor, &b"hello world, ".repeat(50)).unwrap() < 40);
    }

    #[test]
    fn a_limit_is_kept() {
        let mut out = Vec::new();
        assert!(!Compressor::new().compress(b"abcdefghijklmnopqrstuvwxyz", 22, &mut out));
        assert!(Compressor::new().compress(&[b'x'; 100], 96, &mut out));
        assert!(out.len() < 10);
    }

    #[test]
    fn places_start_again_before_they_run_out() {
        let mut compressor = Compressor::new();
        check_round(&mut compressor, b"abcabcabcabc");
        compressor.base = u32::MAX - 3 * DISTANCE_MAX as u32;
        for _ in 0..10 {
            assert!(check_round(&mut compressor, &b"abcabcabc".repeat(300)).unwrap() < 100);
        }
        assert!(compressor.base < 1 << 20);
    }

    #[test]
    fn faults_are_found() {
        let check = |data: &[u8], len| decompress(data, len, &mut Vec::new()).unwrap_err();
        assert!(check(&[2, b'a'], 3).contains("middle"));
        assert!(check(&[0, b'a', 0x20], 4).contains("middle"));
        assert!(check(&[0, b'a', 0xE0, 1], 4).contains("middle"));
        assert!(check(&[0, b'a', 0x20, 1], 4).contains("before its start"));
        assert!(check(&[0, b'a', 0x20, 0], 3).contains("longer"));
        assert!(check(&[0, b'a', 0x20, 0], 5).contains("shorter"));
        assert!(check(&[0, b'a'], usize::MAX).contains("cannot be"));
    }

    proptest! {
        #[test]
        fn all_data_comes_back(strings in prop::collection::vec(prop_oneof![
            prop::collection::vec(any::<u8>(), 0..300),
            prop::collection::vec(0u8..3, 0..2000),
        ], 1..5)) {
            let mut compressor = Compressor::new();
            for data in &strings {
                check_round(&mut compressor, data);
            }
        }

        #[test]
        fn any_input_is_survived(data in prop::collection::vec(any::<u8>(), 0..200), len in 0usize..5000) {
            let mut out = Vec::new();
            let _ = decompress(&data, len, &mut out);
            prop_assert!(out.len() <= len);
        }
    }
}
