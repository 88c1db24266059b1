//! Ziplists and zipmaps, in which Redis before 7.0 kept small values, turned into listpacks.
//!
//! ```text
//! ziplist:  size u32 │ offset of last entry u32 │ count u16, 65535 = count them │ entry … │ 0xFF
//! entry:    length of the entry before, u8 or 0xFE + u32 │ encoding and data
//!   00llllll  string of l bytes          01llllll + 1  string, big-endian length of 14 bits
//!   10______ + 4  string, big-endian length of 32 bits
//!   0xC0 i16   0xD0 i32   0xE0 i64   0xF0 24 bits   0xFE i8   0xF1..=0xFD the integers 0..=12
//!
//! zipmap:   count u8, 254 = count them │ (length │ field │ length │ unused u8 │ value │ unused bytes) … │ 0xFF
//! length:   u8, or 0xFE + u32
//! ```
//!
//! Limits: neither may be longer than 512 MiB, so that the listpack stays within its own limit.

use core::fmt;

use base::listpack::{Elem, LISTPACK_MAX_BYTES, Listpack};

/// What is wrong with a ziplist or zipmap, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LegacyError {
    what: &'static str,
    offset: usize,
    reason: &'static str,
}

impl fmt::Display for LegacyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is corrupt at byte {}: {}", self.what, self.offset, self.reason)
    }
}

const END: u8 = 0xff;
const BIG: u8 = 0xfe;
const HEADER_LEN: usize = 10;

/// The listpack with the same elements.
pub(crate) fn ziplist_to_listpack(bytes: &[u8]) -> Result<Listpack, LegacyError> {
    let fault = |offset, reason| Err(LegacyError { what: "ziplist", offset, reason });
    if bytes.len() < HEADER_LEN + 1 {
        return fault(0, "shorter than header and end mark");
    }
    if bytes.len() > LISTPACK_MAX_BYTES / 2 {
        return fault(0, "longer than 512 MiB");
    }
    let word = |at| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]) as usize;
    if word(0) != bytes.len() {
        return fault(0, "the size in the header is not the real size");
    }
    let end = bytes.len() - 1;
    if bytes[end] != END {
        return fault(end, "no end mark");
    }
    let mut list = Listpack::with_capacity(bytes.len());
    let (mut at, mut before, mut count) = (HEADER_LEN, 0, 0);
    while at < end {
        let body = &bytes[at..end];
        let (previous, header) = match *body {
            [BIG, a, b, c, d, ..] => (u32::from_le_bytes([a, b, c, d]) as usize, 5),
            [BIG | END, ..] => return fault(at, "the length of the entry before is cut"),
            [small, ..] => (usize::from(small), 1),
            [] => return fault(at, "an entry is missing"),
        };
        if previous != before {
            return fault(at, "the length of the entry before is not the real one");
        }
        let Some((elem, len)) = ziplist_elem(&body[header..]) else {
            return fault(at, "entry has an unknown encoding or runs beyond the end");
        };
        list.push_back(elem);
        before = header + len;
        at += before;
        count += 1;
    }
    if word(4) != at - before {
        return fault(4, "the offset of the last entry in the header is not the real one");
    }
    let stated = u16::from_le_bytes([bytes[8], bytes[9]]);
    if stated != u16::MAX && usize::from(stated) != count {
        return fault(8, "the number of entries in the header is not the real number");
    }
    Ok(list)
}

/// The element whose encoding `bytes` begin with, and its length with the encoding.
fn ziplist_elem(bytes: &[u8]) -> Option<(Elem<'_>, usize)> {
    let (&encoding, data) = bytes.split_first()?;
    let string = |header: usize, len: usize| {
        let text = bytes.get(header..header.checked_add(len)?)?;
        Some((Elem::from(text), header + len))
    };
    let int = |value: i64, len: usize| Some((Elem::Int(value), 1 + len));
    match encoding {
        0..=0x3f => string(1, usize::from(encoding)),
        0x40..=0x7f => string(2, usize::from(encoding & 0x3f) << 8 | usize::from(*data.first()?)),
        0x80..=0xbf => string(5, u32::from_be_bytes(*data.first_chunk()?) as usize),
        0xc0 => int(i64::from(i16::from_le_bytes(*data.first_chunk()?)), 2),
        0xd0 => int(i64::from(i32::from_le_bytes(*data.first_chunk()?)), 4),
        0xe0 => int(i64::from_le_bytes(*data.first_chunk()?), 8),
        0xf0 => {
            let [a, b, c] = *data.first_chunk()?;
            int(i64::from(i32::from_le_bytes([0, a, b, c]) >> 8), 3)
        }
        0xfe => int(i64::from(data.first()?.cast_signed()), 1),
        0xf1..=0xfd => int(i64::from(encoding - 0xf1), 0),
        _ => None,
    }
}

/// The listpack of the fields and values.
pub(crate) fn zipmap_to_listpack(bytes: &[u8]) -> Result<Listpack, LegacyError> {
    let fault = |offset, reason| Err(LegacyError { what: "zipmap", offset, reason });
    let [stated, .., END] = *bytes else {
        return fault(0, "shorter than count and end mark, or no end mark");
    };
    if bytes.len() > LISTPACK_MAX_BYTES / 2 {
        return fault(0, "longer than 512 MiB");
    }
    let end = bytes.len() - 1;
    let mut list = Listpack::with_capacity(bytes.len());
    let (mut at, mut count) = (1, 0);
    while at < end {
        for unused_len in [0, 1] {
            let Some((text, next)) = zipmap_text(&bytes[..end], at, unused_len) else {
                return fault(at, "field or value runs beyond the end");
            };
            list.push_back(Elem::from(text));
            at = next;
        }
        count += 1;
    }
    if stated < BIG && usize::from(stated) != count {
        return fault(0, "the number of fields is not the real number");
    }
    Ok(list)
}

/// The text whose length stands at `at`, with `unused_len` bytes between them that say how many unused bytes follow; and where
/// the next one starts.
fn zipmap_text(bytes: &[u8], at: usize, unused_len: usize) -> Option<(&[u8], usize)> {
    let body = bytes.get(at..)?;
    let (len, header) = match *body {
        [BIG, a, b, c, d, ..] => (u32::from_le_bytes([a, b, c, d]) as usize, 5),
        [BIG | END, ..] | [] => return None,
        [small, ..] => (usize::from(small), 1),
    };
    let unused = if unused_len == 1 { usize::from(*body.get(header)?) } else { 0 };
    let start = header + unused_len;
    let text = body.get(start..start.checked_add(len)?)?;
    let next = start + len + unused;
    (next <= body.len()).then_some((text, at + next))
}
