//! The reply encoder: one vector of bytes and the protocol version its reader speaks.
//!
//! A handler says what a reply *means* (a map, a double, a null); this module decides how
//! the client's protocol version spells it. RESP2 has no maps, sets, doubles, booleans or
//! pushes and gets arrays and strings instead.

use alloc::vec::Vec;

/// The protocol version of a connection, chosen by `HELLO`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Protocol {
    /// RESP2, what a connection begins with.
    #[default]
    V2,
    /// RESP3.
    V3,
}

/// Replies that are waiting to be sent, encoded.
#[derive(Debug, Default)]
pub struct Out {
    /// The encoded bytes.
    pub buf: Vec<u8>,
    /// How to spell them.
    pub protocol: Protocol,
}

impl Out {
    /// An empty output for a reader of `protocol`.
    pub fn new(protocol: Protocol) -> Self {
        Self { buf: Vec::new(), protocol }
    }

    #[inline]
    fn v3(&self) -> bool {
        self.protocol == Protocol::V3
    }

    /// Bytes that are encoded already (a shared fragment).
    #[inline]
    pub fn raw(&mut self, bytes: &[u8]) {
        self.buf.extend_from_slice(bytes);
    }

    /// `+OK`.
    #[inline]
    pub fn ok(&mut self) {
        self.raw(b"+OK\r\n");
    }

    /// A status line; `text` holds no line break.
    pub fn simple(&mut self, text: &str) {
        self.buf.push(b'+');
        self.raw(text.as_bytes());
        self.raw(b"\r\n");
    }

    /// An error line: the code and the text, without the `-`. Line breaks become spaces.
    pub fn error(&mut self, text: &[u8]) {
        self.buf.push(b'-');
        self.buf.extend(text.iter().map(|&b| if b == b'\r' || b == b'\n' { b' ' } else { b }));
        self.raw(b"\r\n");
    }

    /// A type byte, a number and the line's end.
    #[inline]
    fn header(&mut self, kind: u8, n: i64) {
        // Small numbers are by far the most frequent lengths.
        let digit = |n: u32| b'0' + (n % 10) as u8;
        let small = n as u32;
        match n {
            0..10 => return self.raw(&[kind, digit(small), b'\r', b'\n']),
            10..100 => return self.raw(&[kind, digit(small / 10), digit(small), b'\r', b'\n']),
            100..1000 => {
                return self.raw(&[kind, digit(small / 100), digit(small / 10), digit(small), b'\r', b'\n']);
            }
            1000..10_000 => {
                let (high, low) = (small / 100, small % 100);
                return self.raw(&[kind, digit(high / 10), digit(high), digit(low / 10), digit(low), b'\r', b'\n']);
            }
            _ => {}
        }
        // The line is written from its end, and copied once.
        let mut line = *b"+-00000000000000000000\r\n";
        let mut at = line.len() - 2;
        let mut rest = n.unsigned_abs();
        while rest > 0 {
            at -= 1;
            line[at] = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
        if n < 0 {
            at -= 1;
            line[at] = b'-';
        }
        line[at - 1] = kind;
        self.raw(&line[at - 1..]);
    }

    /// An integer.
    #[inline]
    pub fn int(&mut self, n: i64) {
        self.header(b':', n);
    }

    /// A string of bytes.
    #[inline]
    pub fn bulk(&mut self, bytes: &[u8]) {
        self.buf.reserve(bytes.len() + 16);
        self.header(b'$', bytes.len() as i64);
        self.raw(bytes);
        self.raw(b"\r\n");
    }

    /// The decimal digits of `n` as a string.
    pub fn bulk_int(&mut self, n: i64) {
        self.bulk(itoa::Buffer::new().format(n).as_bytes());
    }

    /// No value: the null of RESP3, the null string of RESP2.
    #[inline]
    pub fn null(&mut self) {
        if self.v3() { self.raw(b"_\r\n") } else { self.raw(b"$-1\r\n") }
    }

    /// No value where an array would be.
    pub fn null_array(&mut self) {
        if self.v3() { self.raw(b"_\r\n") } else { self.raw(b"*-1\r\n") }
    }

    /// The header of an array of `n` elements.
    #[inline]
    pub fn array(&mut self, n: usize) {
        self.header(b'*', n as i64);
    }

    /// The header of a map of `n` pairs (RESP2: an array of twice as many).
    pub fn map(&mut self, n: usize) {
        if self.v3() { self.header(b'%', n as i64) } else { self.header(b'*', 2 * n as i64) }
    }

    /// The header of a set of `n` members.
    pub fn set(&mut self, n: usize) {
        self.header(if self.v3() { b'~' } else { b'*' }, n as i64);
    }

    /// The header of an out-of-band message of `n` elements.
    pub fn push(&mut self, n: usize) {
        self.header(if self.v3() { b'>' } else { b'*' }, n as i64);
    }

    /// The header of an attribute of `n` pairs; RESP3 only.
    pub fn attribute(&mut self, n: usize) {
        debug_assert!(self.v3());
        self.header(b'|', n as i64);
    }

    /// A double, given with its decimal spelling.
    pub fn double(&mut self, spelling: &[u8]) {
        if self.v3() {
            self.buf.push(b',');
            self.raw(spelling);
            self.raw(b"\r\n");
        } else {
            self.bulk(spelling);
        }
    }

    /// A boolean (RESP2: 1 or 0).
    pub fn boolean(&mut self, value: bool) {
        match (self.v3(), value) {
            (true, true) => self.raw(b"#t\r\n"),
            (true, false) => self.raw(b"#f\r\n"),
            (false, value) => self.int(i64::from(value)),
        }
    }

    /// An integer of any size, in digits.
    pub fn big_number(&mut self, digits: &[u8]) {
        if self.v3() {
            self.buf.push(b'(');
            self.raw(digits);
            self.raw(b"\r\n");
        } else {
            self.bulk(digits);
        }
    }

    /// Text with a three-letter format such as `txt`.
    pub fn verbatim(&mut self, format: &str, text: &[u8]) {
        if self.v3() {
            self.header(b'=', text.len() as i64 + 4);
            self.raw(format.as_bytes());
            self.buf.push(b':');
            self.raw(text);
            self.raw(b"\r\n");
        } else {
            self.bulk(text);
        }
    }

    /// Writes elements whose number is not known beforehand, then puts the header before
    /// them: `fill` gives the number, `header` writes it.
    pub fn counted(&mut self, header: impl FnOnce(&mut Self, usize), fill: impl FnOnce(&mut Self) -> usize) {
        let start = self.buf.len();
        let n = fill(self);
        let end = self.buf.len();
        header(self, n);
        let header_len = self.buf.len() - end;
        self.buf[start..].rotate_right(header_len);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(write: impl Fn(&mut Out), v2: &str, v3: &str) {
        for (protocol, expected) in [(Protocol::V2, v2), (Protocol::V3, v3)] {
            let mut out = Out::new(protocol);
            write(&mut out);
            assert_eq!(core::str::from_utf8(&out.buf).unwrap(), expected);
        }
    }

    #[test]
    fn each_kind_in_both_protocols() {
        check(|o| o.int(-12), ":-12\r\n", ":-12\r\n");
        check(|o| o.bulk(b"hello world"), "$11\r\nhello world\r\n", "$11\r\nhello world\r\n");
        check(|o| o.null(), "$-1\r\n", "_\r\n");
        check(|o| o.null_array(), "*-1\r\n", "_\r\n");
        check(|o| o.map(2), "*4\r\n", "%2\r\n");
        check(|o| o.set(12), "*12\r\n", "~12\r\n");
        check(|o| o.push(3), "*3\r\n", ">3\r\n");
        check(|o| o.double(b"1.5"), "$3\r\n1.5\r\n", ",1.5\r\n");
        check(|o| o.boolean(true), ":1\r\n", "#t\r\n");
        check(|o| o.big_number(b"123"), "$3\r\n123\r\n", "(123\r\n");
        check(|o| o.verbatim("txt", b"abc"), "$3\r\nabc\r\n", "=7\r\ntxt:abc\r\n");
        check(|o| o.error(b"ERR a\r\nb"), "-ERR a  b\r\n", "-ERR a  b\r\n");
    }

    #[test]
    fn integers_of_any_length_are_spelled_in_full() {
        let powers = (0..19).map(|exponent| 10i64.pow(exponent));
        let near = powers.flat_map(|power| [power - 1, power, power + 1, power * 7 / 3, -power, 1 - power]);
        for n in near.chain([i64::MIN, i64::MAX]) {
            let text = alloc::format!(":{n}\r\n");
            check(|o| o.int(n), &text, &text);
        }
    }

    #[test]
    fn a_header_is_put_before_elements_counted_later() {
        let write = |o: &mut Out| {
            o.int(7);
            o.counted(Out::array, |o| {
                (0..12).for_each(|i| o.int(i));
                12
            });
        };
        let mut expected = alloc::string::String::from(":7\r\n*12\r\n");
        (0..12).for_each(|i| expected.push_str(&alloc::format!(":{i}\r\n")));
        check(write, &expected, &expected);
    }
}
