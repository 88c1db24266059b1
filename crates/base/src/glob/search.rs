//! Long patterns on long texts: each part between two stars is searched for, and not tried at each place.
//!
//! ```text
//!   L * aaa?[xy]a * end        head "L", parts ["aaa?[xy]a"], tail "end"
//! ```
//!
//! A part of plain bytes is found by a substring search, whose cost is the sum of both lengths. A part with `?` or `[...]` is
//! found by a bit set of all its prefixes that end at the present byte (Shift-And): the text's length times one 64th of the part's.
//! The first place where a part matches is always a good one, since the rest of the pattern has the most text left there.

use super::{match_class, match_one};
use alloc::vec;
use alloc::vec::Vec;
use memchr::memmem;

/// Bytes of text and of pattern from which on this way is worth its preparation.
pub(super) const TEXT_BYTES_MIN: usize = 1024;
/// See [`TEXT_BYTES_MIN`].
pub(super) const PATTERN_BYTES_MIN: usize = 32;

/// A part of a pattern between two stars: each item matches one byte.
struct Part<'a> {
    pattern: &'a [u8],
    /// Where each item begins.
    items: Vec<usize>,
    /// The bytes, in lower case where case is ignored, if every item is one plain byte.
    plain: Option<Vec<u8>>,
}

impl Part<'_> {
    /// Whether the part matches at the beginning of `text`.
    fn matches_at_start(&self, text: &[u8], ignore_case: bool) -> bool {
        text.len() >= self.items.len()
            && self
                .items
                .iter()
                .zip(text)
                .all(|(&at, &byte)| match_one(&self.pattern[at..], byte, ignore_case).is_some())
    }

    /// The first place in `text` where the part matches. `folded` is the text as the plain bytes are compared with it.
    fn find(&self, text: &[u8], folded: &[u8], ignore_case: bool) -> Option<usize> {
        match &self.plain {
            Some(plain) => memmem::find(folded, plain),
            None => self.find_by_bits(text, ignore_case),
        }
    }

    fn find_by_bits(&self, text: &[u8], ignore_case: bool) -> Option<usize> {
        let len = self.items.len();
        let words = len.div_ceil(64);
        // For each byte the items that match it. Bytes that the text lacks need no row.
        let mut rows: [Option<Vec<u64>>; 256] = [const { None }; 256];
        let mut prefixes = vec![0u64; words];
        for (position, &byte) in text.iter().enumerate() {
            let row = rows[usize::from(byte)].get_or_insert_with(|| {
                let mut row = vec![0u64; words];
                for (i, &at) in self.items.iter().enumerate() {
                    if match_one(&self.pattern[at..], byte, ignore_case).is_some() {
                        row[i / 64] |= 1 << (i % 64);
                    }
                }
                row
            });
            let mut carry = 1;
            for (prefix, matching) in prefixes.iter_mut().zip(row.iter()) {
                let next = *prefix >> 63;
                *prefix = (*prefix << 1 | carry) & matching;
                carry = next;
            }
            if prefixes[(len - 1) / 64] >> ((len - 1) % 64) & 1 == 1 {
                return Some(position + 1 - len);
            }
        }
        None
    }
}

/// The parts of a pattern between its stars; there is one more than there are groups of stars.
fn parts(pattern: &[u8], ignore_case: bool) -> Vec<Part<'_>> {
    let mut all = vec![];
    let mut part = Part { pattern, items: vec![], plain: Some(vec![]) };
    let mut at = 0;
    while at < pattern.len() {
        let (len, byte) = match pattern[at..] {
            [b'*', ..] => {
                all.push(core::mem::replace(&mut part, Part { pattern, items: vec![], plain: Some(vec![]) }));
                at += 1;
                continue;
            }
            [b'?', ..] => (1, None),
            [b'[', ref class @ ..] => (1 + match_class(class, 0, ignore_case).1, None),
            [b'\\', escaped, ..] => (2, Some(escaped)),
            [plain, ..] => (1, Some(plain)),
            [] => break,
        };
        part.items.push(at);
        part.plain = part.plain.zip(byte).map(|(mut plain, byte)| {
            plain.push(if ignore_case { byte.to_ascii_lowercase() } else { byte });
            plain
        });
        at += len;
    }
    all.push(part);
    all
}

/// Whether the whole of `text`, which is not empty, matches `pattern`.
pub(super) fn matches(pattern: &[u8], text: &[u8], ignore_case: bool) -> bool {
    let mut parts = parts(pattern, ignore_case);
    let tail = parts.pop().expect("a pattern has a part at least");
    if parts.is_empty() {
        return tail.items.len() == text.len() && tail.matches_at_start(text, ignore_case);
    }
    let head = parts.remove(0);
    let middle: usize = head.items.len() + tail.items.len();
    if text.len() < middle || !head.matches_at_start(text, ignore_case) {
        return false;
    }
    let tail_at = text.len() - tail.items.len();
    if !tail.matches_at_start(&text[tail_at..], ignore_case) {
        return false;
    }
    let folded = if ignore_case { text.to_ascii_lowercase() } else { vec![] };
    let folded = if ignore_case { &folded[..] } else { text };
    let mut at = head.items.len();
    for part in parts.iter().filter(|part| !part.items.is_empty()) {
        match part.find(&text[at..tail_at], &folded[at..tail_at], ignore_case) {
            Some(found) => at += found + part.items.len(),
            None => return false,
        }
    }
    true
}
