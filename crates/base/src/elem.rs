//! Elements of packed values: short strings and integers, in the encoding that Redis's listpacks have for them.
//!
//! Why: packed lists, sets and sorted sets are listpacks, packed hashes only nearly ([`crate::fields`]); they spell their elements alike.
//!
//! ```text
//! encoding byte   data                               encoding byte   data
//! 0vvvvvvv        integer 0..=127                    0xF1 … 0xF4     integer of 16, 24, 32, 64 bits
//! 10llllll        string of up to 63 bytes           1110llll + 1    string of up to 4095 bytes
//! 110vvvvv + 1    integer of 13 bits, signed         0xF0 + 4        string of up to 2^32-1 bytes
//! ```
//!
//! Numbers are little-endian, but for the upper bits in an encoding byte.

use alloc::vec::Vec;

use crate::num::{I64_TEXT_MAX, format_i64, parse_i64};

/// One element: a string, or an integer that stands for its decimal text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Elem<'a> {
    /// A string that is not the canonical text of an integer, or one that is stored as it came.
    Bytes(&'a [u8]),
    /// The string that this integer prints as.
    Int(i64),
}

impl<'a> Elem<'a> {
    /// The element's text; integers are printed into `buffer`.
    #[inline]
    pub fn as_bytes<'b>(self, buffer: &'b mut [u8; I64_TEXT_MAX]) -> &'b [u8]
    where
        'a: 'b,
    {
        match self {
            Elem::Bytes(bytes) => bytes,
            Elem::Int(value) => format_i64(value, buffer),
        }
    }

    /// The element's text in its own allocation.
    pub fn to_vec(self) -> Vec<u8> {
        self.as_bytes(&mut [0; I64_TEXT_MAX]).to_vec()
    }

    /// The length of the element's text in bytes.
    pub fn text_len(self) -> usize {
        match self {
            Elem::Bytes(bytes) => bytes.len(),
            Elem::Int(value) => crate::num::i64_text_len(value),
        }
    }

    /// The element's value if its text is a canonical integer.
    pub fn as_int(self) -> Option<i64> {
        match self {
            Elem::Bytes(bytes) => parse_i64(bytes),
            Elem::Int(value) => Some(value),
        }
    }

    /// The element as it would be stored: two elements with the same text have the same canonical form.
    pub fn canonical(self) -> Elem<'a> {
        self.as_int().map_or(self, Elem::Int)
    }

    /// Whether the element's text is `text`.
    #[inline]
    pub fn is(self, text: &[u8]) -> bool {
        match self {
            Elem::Bytes(bytes) => bytes == text,
            Elem::Int(value) => parse_i64(text) == Some(value),
        }
    }
}

impl<'a> From<&'a [u8]> for Elem<'a> {
    /// The element as it would be stored: canonical integers become [`Elem::Int`].
    fn from(text: &'a [u8]) -> Elem<'a> {
        match parse_i64(text) {
            Some(value) => Elem::Int(value),
            None => Elem::Bytes(text),
        }
    }
}

/// A text to compare elements with, parsed once.
#[derive(Clone, Copy, Debug)]
pub struct Needle<'a> {
    text: &'a [u8],
    number: Option<i64>,
}

impl<'a> Needle<'a> {
    /// Prepares `text` for comparing.
    pub fn new(text: &'a [u8]) -> Needle<'a> {
        Needle { text, number: parse_i64(text) }
    }

    /// Whether the element's text is this one.
    #[inline]
    pub fn matches(&self, elem: Elem<'_>) -> bool {
        match elem {
            Elem::Bytes(bytes) => bytes == self.text,
            Elem::Int(value) => self.number == Some(value),
        }
    }

    /// The element as it would be stored.
    pub fn elem(&self) -> Elem<'a> {
        self.number.map_or(Elem::Bytes(self.text), Elem::Int)
    }
}

/// How many bytes encoding and data of an element take.
#[inline]
pub(crate) fn data_size(elem: Elem<'_>) -> usize {
    match elem {
        Elem::Bytes(bytes) => match bytes.len() {
            len @ 0..=63 => 1 + len,
            len @ 64..=4095 => 2 + len,
            len => 5 + len,
        },
        Elem::Int(value) => match value {
            0..=127 => 1,
            -4096..=4095 => 2,
            -0x8000..=0x7fff => 3,
            -0x80_0000..=0x7f_ffff => 4,
            -0x8000_0000..=0x7fff_ffff => 5,
            _ => 9,
        },
    }
}

/// Writes encoding and data of an element to the start of `out` and returns their size.
#[inline]
pub(crate) fn encode(elem: Elem<'_>, out: &mut [u8]) -> usize {
    let len = data_size(elem);
    match elem {
        Elem::Bytes(bytes) => {
            let text = match bytes.len() {
                text_len @ 0..=63 => {
                    out[0] = 0x80 | text_len as u8;
                    1
                }
                text_len @ 64..=4095 => {
                    out[0] = 0xe0 | (text_len >> 8) as u8;
                    out[1] = text_len as u8;
                    2
                }
                text_len => {
                    let text_len = u32::try_from(text_len).expect("a listpack stays below 1 GiB");
                    out[0] = 0xf0;
                    out[1..5].copy_from_slice(&text_len.to_le_bytes());
                    5
                }
            };
            out[text..len].copy_from_slice(bytes);
        }
        Elem::Int(value) => {
            let bytes = value.to_le_bytes();
            match len {
                1 => out[0] = bytes[0],
                2 => out[..2].copy_from_slice(&[0xc0 | (bytes[1] & 0x1f), bytes[0]]),
                _ => {
                    out[0] = if len == 9 { 0xf4 } else { 0xf1 + (len - 3) as u8 };
                    out[1..len].copy_from_slice(&bytes[..len - 1]);
                }
            }
        }
    }
    len
}

/// The size of encoding and data of the element at the start of `bytes`; `None` if the bytes end before it is known, or are none.
pub(crate) fn encoded_len(bytes: &[u8]) -> Option<usize> {
    let byte = |index: usize| bytes.get(index).map(|&byte| usize::from(byte));
    let first = byte(0)?;
    Some(match first {
        0..=0x7f => 1,
        0x80..=0xbf => 1 + (first & 0x3f),
        0xc0..=0xdf => 2,
        0xe0..=0xef => 2 + ((first & 0x0f) << 8 | byte(1)?),
        0xf0 => 5 + (byte(1)? | byte(2)? << 8 | byte(3)? << 16 | byte(4)? << 24),
        0xf1 => 3,
        0xf2 => 4,
        0xf3 => 5,
        0xf4 => 9,
        _ => return None,
    })
}

/// Decodes the valid element at the start of `bytes`; also returns the size of encoding and data.
#[inline]
pub(crate) fn decode(bytes: &[u8]) -> (Elem<'_>, usize) {
    let first = bytes[0];
    // Shifting up and down again extends the sign.
    let signed = |width: usize| {
        let mut raw = [0; 8];
        raw[8 - width..].copy_from_slice(&bytes[1..=width]);
        (Elem::Int(i64::from_le_bytes(raw) >> (64 - 8 * width)), 1 + width)
    };
    match first {
        0..=0x7f => (Elem::Int(i64::from(first)), 1),
        0x80..=0xbf => {
            let end = 1 + usize::from(first & 0x3f);
            (Elem::Bytes(&bytes[1..end]), end)
        }
        0xc0..=0xdf => {
            let raw = i64::from(first & 0x1f) << 8 | i64::from(bytes[1]);
            (Elem::Int(if raw >= 1 << 12 { raw - (1 << 13) } else { raw }), 2)
        }
        0xe0..=0xef => {
            let end = 2 + (usize::from(first & 0x0f) << 8 | usize::from(bytes[1]));
            (Elem::Bytes(&bytes[2..end]), end)
        }
        0xf0 => {
            let len = u32::from_le_bytes([bytes[1], bytes[2], bytes[3], bytes[4]]) as usize;
            (Elem::Bytes(&bytes[5..5 + len]), 5 + len)
        }
        0xf1 => signed(2),
        0xf2 => signed(3),
        0xf3 => signed(4),
        0xf4 => signed(8),
        _ => unreachable!("packed bytes are validated or written here"),
    }
}
