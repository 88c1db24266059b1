//! The client's side: encoding a command, parsing a reply of either protocol.

use alloc::string::String;
use alloc::vec::Vec;
use base::num::{parse_f64, parse_i64};
use memchr::memchr;

/// How deep replies may nest; `COMMAND DOCS` needs about ten.
const DEPTH_MAX: usize = 128;

/// A reply.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// No value.
    Null,
    /// A status line.
    Simple(Vec<u8>),
    /// An error line, with its code.
    Error(Vec<u8>),
    /// An integer.
    Int(i64),
    /// A double.
    Double(f64),
    /// A boolean.
    Bool(bool),
    /// An integer of any size, in digits.
    BigNumber(Vec<u8>),
    /// A string of bytes.
    Bulk(Vec<u8>),
    /// Text and its three-letter format.
    Verbatim(String, Vec<u8>),
    /// An array.
    Array(Vec<Value>),
    /// A set.
    Set(Vec<Value>),
    /// A map's pairs in the order they came.
    Map(Vec<(Value, Value)>),
    /// An out-of-band message.
    Push(Vec<Value>),
}

impl Value {
    /// The bytes of a string-like reply.
    pub fn as_bytes(&self) -> Option<&[u8]> {
        match self {
            Value::Simple(b) | Value::Error(b) | Value::Bulk(b) | Value::BigNumber(b) | Value::Verbatim(_, b) => {
                Some(b)
            }
            Value::Null | Value::Int(_) | Value::Double(_) | Value::Bool(_) => None,
            Value::Array(_) | Value::Set(_) | Value::Map(_) | Value::Push(_) => None,
        }
    }

    /// The number of an integer reply.
    pub fn as_int(&self) -> Option<i64> {
        if let Value::Int(n) = self { Some(*n) } else { None }
    }

    /// The elements of an array, a set or a message; nothing for any other reply.
    pub fn elements(&self) -> &[Value] {
        match self {
            Value::Array(items) | Value::Set(items) | Value::Push(items) => items,
            Value::Null | Value::Int(_) | Value::Double(_) | Value::Bool(_) | Value::Map(_) => &[],
            Value::Simple(_) | Value::Error(_) | Value::Bulk(_) | Value::BigNumber(_) | Value::Verbatim(..) => &[],
        }
    }

    /// The pairs of a map, which RESP2 gives as an array of names and values in turn; nothing for any other reply.
    pub fn pairs(&self) -> Vec<(&Value, &Value)> {
        match self {
            Value::Map(pairs) => pairs.iter().map(|(name, value)| (name, value)).collect(),
            Value::Array(items) => items.chunks_exact(2).map(|pair| (&pair[0], &pair[1])).collect(),
            Value::Null | Value::Int(_) | Value::Double(_) | Value::Bool(_) | Value::Set(_) | Value::Push(_) => {
                Vec::new()
            }
            Value::Simple(_) | Value::Error(_) | Value::Bulk(_) | Value::BigNumber(_) | Value::Verbatim(..) => {
                Vec::new()
            }
        }
    }
}

/// The bytes are not a reply: what was expected, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseError {
    /// What is wrong.
    pub what: &'static str,
    /// Offset of the offending byte in the buffer.
    pub at: usize,
}

impl core::fmt::Display for ParseError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "bad reply from the server: {} at byte {}", self.what, self.at)
    }
}

impl core::error::Error for ParseError {}

/// Appends a command in multibulk form.
pub fn encode_command<'a>(out: &mut Vec<u8>, args: impl ExactSizeIterator<Item = &'a [u8]>) {
    let mut digits = itoa::Buffer::new();
    let mut number = |out: &mut Vec<u8>, kind: u8, n: usize| {
        out.push(kind);
        out.extend_from_slice(digits.format(n).as_bytes());
        out.extend_from_slice(b"\r\n");
    };
    number(out, b'*', args.len());
    for arg in args {
        number(out, b'$', arg.len());
        out.extend_from_slice(arg);
        out.extend_from_slice(b"\r\n");
    }
}

/// Parses one reply from the start of `buf`: the reply and its length in bytes, or
/// nothing where `buf` ends before it does. Attributes are passed over.
pub fn parse_value(buf: &[u8]) -> Result<Option<(Value, usize)>, ParseError> {
    let mut parser = Parser { buf, at: 0 };
    match parser.value(0) {
        Ok(value) => Ok(Some((value, parser.at))),
        Err(Stop::Incomplete) => Ok(None),
        Err(Stop::Bad(what)) => Err(ParseError { what, at: parser.at }),
    }
}

enum Stop {
    Incomplete,
    Bad(&'static str),
}

struct Parser<'a> {
    buf: &'a [u8],
    at: usize,
}

impl<'a> Parser<'a> {
    fn line(&mut self) -> Result<&'a [u8], Stop> {
        let rest = &self.buf[self.at..];
        let end = memchr(b'\n', rest).ok_or(Stop::Incomplete)?;
        let line = rest[..end].strip_suffix(b"\r").ok_or(Stop::Bad("line without CR"))?;
        self.at += end + 1;
        Ok(line)
    }

    fn number(&mut self) -> Result<i64, Stop> {
        let line = self.line()?;
        parse_i64(line.strip_prefix(b"+").unwrap_or(line)).ok_or(Stop::Bad("number expected"))
    }

    /// A length; -1 is the null of RESP2.
    fn length(&mut self) -> Result<Option<usize>, Stop> {
        match self.number()? {
            -1 => Ok(None),
            n => usize::try_from(n).map(Some).map_err(|_| Stop::Bad("negative length")),
        }
    }

    fn bytes(&mut self, len: usize) -> Result<&'a [u8], Stop> {
        let rest = &self.buf[self.at..];
        if rest.len() < len.saturating_add(2) {
            return Err(Stop::Incomplete);
        }
        if &rest[len..len + 2] != b"\r\n" {
            return Err(Stop::Bad("string does not end in CR LF"));
        }
        self.at += len + 2;
        Ok(&rest[..len])
    }

    fn values(&mut self, n: usize, depth: usize) -> Result<Vec<Value>, Stop> {
        // The announced number decides no allocation: each element takes three bytes at least.
        let mut values = Vec::with_capacity(n.min((self.buf.len() - self.at) / 3));
        for _ in 0..n {
            values.push(self.value(depth + 1)?);
        }
        Ok(values)
    }

    fn value(&mut self, depth: usize) -> Result<Value, Stop> {
        if depth > DEPTH_MAX {
            return Err(Stop::Bad("reply nested too deep"));
        }
        let kind = *self.buf.get(self.at).ok_or(Stop::Incomplete)?;
        self.at += 1;
        Ok(match kind {
            b'+' => Value::Simple(self.line()?.to_vec()),
            b'-' => Value::Error(self.line()?.to_vec()),
            b':' => Value::Int(self.number()?),
            b'_' => {
                self.line()?;
                Value::Null
            }
            b'#' => Value::Bool(self.line()? == b"t"),
            b',' => Value::Double(match self.line()? {
                b"nan" | b"-nan" => f64::NAN,
                line => parse_f64(line).ok_or(Stop::Bad("double expected"))?,
            }),
            b'(' => {
                let line = self.line()?;
                let digits = line.strip_prefix(b"-").or(line.strip_prefix(b"+")).unwrap_or(line);
                if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
                    return Err(Stop::Bad("big number expected"));
                }
                Value::BigNumber(line.to_vec())
            }
            b'$' => match self.length()? {
                None => Value::Null,
                Some(len) => Value::Bulk(self.bytes(len)?.to_vec()),
            },
            b'!' => {
                let len = self.length()?.ok_or(Stop::Bad("negative length"))?;
                Value::Error(self.bytes(len)?.to_vec())
            }
            b'=' => {
                let len = self.length()?.ok_or(Stop::Bad("negative length"))?;
                let bytes = self.bytes(len)?;
                if bytes.len() < 4 || bytes[3] != b':' {
                    return Err(Stop::Bad("verbatim string without a format"));
                }
                Value::Verbatim(String::from_utf8_lossy(&bytes[..3]).into_owned(), bytes[4..].to_vec())
            }
            b'*' => match self.length()? {
                None => Value::Null,
                Some(n) => Value::Array(self.values(n, depth)?),
            },
            b'~' => {
                let n = self.length()?.ok_or(Stop::Bad("negative length"))?;
                Value::Set(self.values(n, depth)?)
            }
            b'>' => {
                let n = self.length()?.ok_or(Stop::Bad("negative length"))?;
                Value::Push(self.values(n, depth)?)
            }
            b'%' | b'|' => {
                let n = self.length()?.ok_or(Stop::Bad("negative length"))?;
                let mut pairs = Vec::with_capacity(n.min((self.buf.len() - self.at) / 6));
                for _ in 0..n {
                    pairs.push((self.value(depth + 1)?, self.value(depth + 1)?));
                }
                if kind == b'|' {
                    return self.value(depth + 1);
                }
                Value::Map(pairs)
            }
            _ => {
                self.at -= 1;
                return Err(Stop::Bad("unknown reply type"));
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    #[test]
    fn replies_of_both_protocols() {
        let bulk = |s: &str| Value::Bulk(s.as_bytes().to_vec());
        for (bytes, expected) in [
            ("+OK\r\n", Value::Simple(b"OK".to_vec())),
            ("-ERR x\r\n", Value::Error(b"ERR x".to_vec())),
            (":-5\r\n", Value::Int(-5)),
            ("$-1\r\n", Value::Null),
            ("*-1\r\n", Value::Null),
            ("_\r\n", Value::Null),
            ("$3\r\na\r\n\r\n", bulk("a\r\n")),
            (",1.5\r\n", Value::Double(1.5)),
            (",inf\r\n", Value::Double(f64::INFINITY)),
            ("#t\r\n", Value::Bool(true)),
            ("=7\r\ntxt:abc\r\n", Value::Verbatim("txt".into(), b"abc".to_vec())),
            ("*2\r\n$1\r\na\r\n*1\r\n:1\r\n", Value::Array(vec![bulk("a"), Value::Array(vec![Value::Int(1)])])),
            ("%1\r\n+a\r\n:1\r\n", Value::Map(vec![(Value::Simple(b"a".to_vec()), Value::Int(1))])),
            ("|1\r\n+ttl\r\n:1\r\n:9\r\n", Value::Int(9)),
            (">1\r\n+x\r\n", Value::Push(vec![Value::Simple(b"x".to_vec())])),
        ] {
            assert_eq!(parse_value(bytes.as_bytes()), Ok(Some((expected, bytes.len()))), "{bytes:?}");
            for cut in 0..bytes.len() {
                assert_eq!(parse_value(&bytes.as_bytes()[..cut]), Ok(None), "{bytes:?} cut at {cut}");
            }
        }
    }

    #[test]
    fn hostile_replies_are_refused_without_allocating() {
        for bytes in ["?\r\n", "$-2\r\n", "$1\r\nabc", ":x\r\n", "=2\r\nab\r\n"] {
            assert!(parse_value(bytes.as_bytes()).is_err(), "{bytes:?}");
        }
        assert_eq!(parse_value(b"*4000000000\r\n"), Ok(None));
        let deep = b"*1\r\n".repeat(1000);
        assert!(parse_value(&deep).is_err());
    }
}
