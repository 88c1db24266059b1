//! Whether a reply has come as a whole, without reading its beginning again at each arrival.
//!
//! ```text
//!   *3  $1 a  %1  +k :1  :2          values still to come: 1 → 3 → 2 → 1 + 2 → 2 → 1 → 0
//! ```
//!
//! A reply is whole when no value is still to come. An aggregate stands for as many values as it announces, so that nothing but
//! their number has to be kept, however deep they nest. What is malformed counts as whole: the parser says what is wrong with it.

use base::num::parse_i64;
use memchr::memchr;

/// How far the reply at the start of a buffer has been looked at.
#[derive(Clone, Copy, Debug, Default)]
pub struct Arrival {
    at: usize,
    /// Values still to come, but for the first one, which is there from the beginning.
    more: u64,
    begun: bool,
}

impl Arrival {
    /// Whether `buf` has the reply as a whole. It begins with the reply, and with each call it has grown or is the same.
    /// After a whole reply the next one is looked at.
    pub fn is_whole(&mut self, buf: &[u8]) -> bool {
        if !self.begun {
            *self = Self { at: 0, more: 1, begun: true };
        }
        while self.more > 0 {
            let Some(rest) = buf.get(self.at..).filter(|rest| !rest.is_empty()) else { return false };
            let Some(end) = memchr(b'\n', rest) else { return false };
            let line = rest[..end].strip_suffix(b"\r").unwrap_or(&rest[..end]);
            let number = || parse_i64(&line[1..]);
            let (len, values) = match (rest[0], number()) {
                (b'$' | b'!' | b'=', Some(len @ 0..)) => (end + 1 + (len as usize).saturating_add(2), 0),
                (b'*' | b'~' | b'>', Some(n @ 0..)) => (end + 1, n as u64),
                (b'%', Some(n @ 0..)) => (end + 1, (n as u64).saturating_mul(2)),
                // A value follows its attributes.
                (b'|', Some(n @ 0..)) => (end + 1, (n as u64).saturating_mul(2).saturating_add(1)),
                _ => (end + 1, 0),
            };
            if rest.len() < len {
                return false;
            }
            self.at += len;
            self.more = (self.more - 1).saturating_add(values);
        }
        self.begun = false;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse_value;
    use alloc::vec;
    use proptest::prelude::*;

    /// What it says of each beginning of `bytes` is what the parser finds there.
    fn check(bytes: &[u8]) {
        let mut arrival = Arrival::default();
        for end in 0..=bytes.len() {
            match parse_value(&bytes[..end]) {
                Ok(None) => assert!(!arrival.is_whole(&bytes[..end]), "{} cut at {end}", bytes.escape_ascii()),
                Ok(Some(_)) => return assert!(arrival.is_whole(&bytes[..end]), "{}", bytes.escape_ascii()),
                Err(_) => return,
            }
        }
    }

    #[test]
    fn a_reply_is_whole_with_its_last_byte() {
        for bytes in [
            &b"+OK\r\n"[..],
            b"$5\r\nhello\r\n",
            b"$-1\r\n",
            b"*-1\r\n",
            b"*0\r\n",
            b"*3\r\n$1\r\na\r\n%1\r\n+k\r\n:1\r\n:2\r\n",
            b"|1\r\n+ttl\r\n:1\r\n*1\r\n~2\r\n#t\r\n,1.5\r\n",
            b">2\r\n=7\r\ntxt:abc\r\n!5\r\nERR x\r\n",
            b"*4000000000\r\n:1\r\n",
        ] {
            check(bytes);
        }
    }

    #[test]
    fn one_arrival_serves_reply_after_reply() {
        let (mut arrival, replies) = (Arrival::default(), b"+a\r\n*1\r\n:1\r\n$1\r\nx\r\n");
        let mut at = 0;
        while at < replies.len() {
            assert!(arrival.is_whole(&replies[at..]));
            at += parse_value(&replies[at..]).unwrap().unwrap().1;
        }
    }

    proptest! {
        #[test]
        fn it_agrees_with_the_parser_about_any_bytes(
            bytes in prop::collection::vec(prop_oneof![
                Just("*2\r\n"), Just("%1\r\n"), Just("$1\r\nx\r\n"), Just(":5\r\n"), Just("|1\r\n"), Just("~0\r\n"),
                Just("+s\r\n"), Just("$-1\r\n"), Just("\r\n"), Just("$"), Just("9")], 0..20),
        ) {
            check(bytes.concat().as_bytes());
        }
    }
}
