//! Quoting bytes for people: MONITOR, the slow log, configuration files, the client.

use alloc::string::String;
use alloc::vec::Vec;

/// Appends `bytes` in double quotes, with escapes for all that is not printable ASCII, so
/// that the inline request syntax reads it back.
pub fn quote(bytes: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    for &byte in bytes {
        match byte {
            b'\\' | b'"' => out.extend_from_slice(&[b'\\', byte]),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            7 => out.extend_from_slice(b"\\a"),
            8 => out.extend_from_slice(b"\\b"),
            0x20..=0x7E => out.push(byte),
            _ => {
                const HEX: &[u8; 16] = b"0123456789abcdef";
                out.extend_from_slice(&[b'\\', b'x', HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
            }
        }
    }
    out.push(b'"');
}

/// `bytes` in double quotes; see [`quote`].
pub fn quoted(bytes: &[u8]) -> String {
    let mut out = Vec::with_capacity(bytes.len() + 2);
    quote(bytes, &mut out);
    out.into_iter().map(char::from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_unprintable_is_escaped() {
        assert_eq!(quoted(b"a\"\\\n\r\t\x07\x08\x00\xff z"), r#""a\"\\\n\r\t\a\b\x00\xff z""#);
    }
}
