//! The request decoder: multibulk and inline requests, split at any byte.
//!
//! ```text
//! *2\r\n $3\r\n GET\r\n $3\r\n key\r\n        multibulk: what every client library sends
//! GET key\r\n                                 inline: what a person types into telnet
//! ```
//!
//! A request is parsed in place: the decoder yields spans into the caller's buffer and
//! copies nothing. When the buffer ends inside a request, the spans found so far and the
//! position are kept, so that the bytes already seen are not parsed again when more come.
//! The caller keeps the bytes from the start of the unfinished request on.
//!
//! Limits: lengths announced by the peer are checked against [`Limits`] and decide no
//! allocation; memory grows only with bytes that arrived.

use alloc::string::String;
use alloc::vec::Vec;
use base::num::parse_i64;
use memchr::memchr;

/// The longest line (a length line or an inline request), in bytes.
const LINE_BYTES_MAX: usize = 64 * 1024;
/// Room for the arguments of an unfinished request that a connection keeps for the next one.
const SPANS_KEPT: usize = 16;
/// What a client may announce before it has authenticated: arguments in a request.
const UNAUTHENTICATED_ARGS_MAX: i64 = 10;
/// What a client may announce before it has authenticated: bytes in an argument.
const UNAUTHENTICATED_BULK_BYTES_MAX: i64 = 16 * 1024;

/// Where one argument lies, relative to the first byte of its request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Offset of the argument's first byte.
    pub start: u32,
    /// Its length in bytes.
    pub len: u32,
}

/// The arguments of one request: the request's bytes and where its arguments lie in them.
#[derive(Clone, Copy, Debug)]
pub struct Args<'a> {
    bytes: &'a [u8],
    spans: &'a [Span],
}

impl<'a> Args<'a> {
    /// Spans must lie within `bytes`, as the decoder yields them.
    pub fn new(bytes: &'a [u8], spans: &'a [Span]) -> Self {
        Self { bytes, spans }
    }

    /// The number of arguments, the command's name included.
    #[inline]
    pub fn len(&self) -> usize {
        self.spans.len()
    }

    /// Whether there is not even a command name.
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// Argument `i`, if there is one.
    #[inline]
    pub fn get(&self, i: usize) -> Option<&'a [u8]> {
        let span = self.spans.get(i)?;
        Some(&self.bytes[span.start as usize..][..span.len as usize])
    }

    /// The arguments from `first` on.
    pub fn iter_from(&self, first: usize) -> impl DoubleEndedIterator<Item = &'a [u8]> + ExactSizeIterator + use<'a> {
        let (bytes, spans) = (self.bytes, self.spans.get(first..).unwrap_or(&[]));
        spans.iter().map(move |s| &bytes[s.start as usize..][..s.len as usize])
    }

    /// All arguments, the command's name first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &'a [u8]> + ExactSizeIterator + use<'a> {
        self.iter_from(0)
    }

    /// The bytes of the whole request as they came (always multibulk form).
    pub fn raw(&self) -> &'a [u8] {
        self.bytes
    }

    /// The spans, for keeping a request beyond its buffer.
    pub fn spans(&self) -> &'a [Span] {
        self.spans
    }
}

impl core::ops::Index<usize> for Args<'_> {
    type Output = [u8];

    /// Panics when there is no such argument: the arity check has made sure there is.
    #[inline]
    fn index(&self, i: usize) -> &[u8] {
        let span = self.spans[i];
        &self.bytes[span.start as usize..][..span.len as usize]
    }
}

/// What the server allows a request to be.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// `proto-max-bulk-len`: the longest argument, in bytes.
    pub bulk_bytes_max: i64,
    /// Whether the client may send more than a short `AUTH` or `HELLO`.
    pub authenticated: bool,
}

/// What the buffer holds.
#[derive(Debug, PartialEq, Eq)]
pub enum Status {
    /// A whole request, `len` bytes long; its spans are in the caller's vector.
    Complete {
        /// Bytes of the request.
        len: usize,
    },
    /// A whole inline request of `len` bytes, given in multibulk form.
    Inline {
        /// Bytes that the inline request took in the buffer.
        len: usize,
        /// The same request in multibulk form; the spans refer to it.
        request: Vec<u8>,
    },
    /// An empty request (`*0`, an empty line) of `len` bytes: skip them.
    Empty {
        /// Bytes to skip.
        len: usize,
    },
    /// The request goes on beyond the buffer.
    Incomplete,
}

/// Why a client's bytes are not a request; `Display` is what it is told, after `ERR `.
#[derive(Debug, PartialEq, Eq, Clone)]
pub struct ProtocolError(pub String);

impl core::fmt::Display for ProtocolError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Protocol error: {}", self.0)
    }
}

impl core::error::Error for ProtocolError {}

fn error<T>(text: &str) -> Result<T, ProtocolError> {
    Err(ProtocolError(text.into()))
}

/// The decoder of one connection. It holds something only while a request is unfinished.
#[derive(Debug, Default)]
pub struct RequestParser {
    /// Where to go on, relative to the start of the unfinished request.
    position: usize,
    /// Arguments of the unfinished request that are still to come; 0 outside a request.
    args_left: usize,
    /// The length of the argument whose bytes are being waited for.
    bulk_len: Option<usize>,
    /// Spans of the unfinished request.
    spans: Vec<Span>,
}

impl RequestParser {
    /// Whether a request has begun and not ended.
    pub fn in_request(&self) -> bool {
        self.args_left > 0
    }

    /// Bytes that the unfinished request needs in the buffer at least, to make progress.
    pub fn bytes_wanted(&self) -> usize {
        self.bulk_len.map_or(0, |len| self.position + len + 2)
    }

    /// Bytes of the unfinished request before the argument that is being waited for.
    pub fn bytes_done(&self) -> usize {
        if self.in_request() { self.position } else { 0 }
    }

    /// Reads one request from `buf`, which begins at the request's first byte (also when
    /// it goes on with an unfinished one). The spans of a finished request are appended to `spans`.
    #[inline]
    pub fn parse(&mut self, buf: &[u8], limits: Limits, spans: &mut Vec<Span>) -> Result<Status, ProtocolError> {
        if self.args_left == 0
            && limits.authenticated
            && let Some(len) = plain_request(buf, limits, spans)
        {
            return Ok(Status::Complete { len });
        }
        let found = self.parse_slowly(buf, limits, spans);
        if found.is_err() {
            // Nothing of a malformed request may be taken for a part of the next one.
            *self = Self::default();
        }
        found
    }

    /// Any request, whole or not.
    fn parse_slowly(&mut self, buf: &[u8], limits: Limits, spans: &mut Vec<Span>) -> Result<Status, ProtocolError> {
        let resumed = self.args_left > 0;
        if !resumed {
            match buf.first() {
                None => return Ok(Status::Incomplete),
                Some(b'*') => {}
                Some(_) => return inline(buf, spans),
            }
            let Some((count, next)) = length_line(buf, 1, "too big mbulk count string", "invalid multibulk length")?
            else {
                return Ok(Status::Incomplete);
            };
            if count > i64::from(i32::MAX) {
                return error("invalid multibulk length");
            }
            if count > UNAUTHENTICATED_ARGS_MAX && !limits.authenticated {
                return error("unauthenticated multibulk length");
            }
            if count <= 0 {
                return Ok(Status::Empty { len: next });
            }
            self.args_left = count as usize;
            self.position = next;
            let first_span = spans.len();
            let whole = self.arguments(buf, limits, spans)?;
            if !whole {
                self.spans.extend_from_slice(&spans[first_span..]);
                spans.truncate(first_span);
                return Ok(Status::Incomplete);
            }
            return Ok(Status::Complete { len: self.position });
        }
        // What an unfinished request has is moved once, at its end: each arrival costs what it brings.
        let mut found = core::mem::take(&mut self.spans);
        let whole = self.arguments(buf, limits, &mut found)?;
        if whole {
            spans.extend_from_slice(&found);
            found.clear();
            found.shrink_to(SPANS_KEPT);
        }
        self.spans = found;
        Ok(if whole { Status::Complete { len: self.position } } else { Status::Incomplete })
    }

    /// Reads the arguments that are still to come, as far as `buf` has them; false where it ends before the request does.
    #[inline]
    fn arguments(&mut self, buf: &[u8], limits: Limits, spans: &mut Vec<Span>) -> Result<bool, ProtocolError> {
        while self.args_left > 0 {
            let len = match self.bulk_len {
                Some(len) => len,
                None => match self.bulk_header(buf, limits)? {
                    Some(len) => len,
                    None => return Ok(false),
                },
            };
            if buf.len() < self.position + len + 2 {
                self.bulk_len = Some(len);
                return Ok(false);
            }
            if self.position + len > u32::MAX as usize {
                return error("invalid bulk length");
            }
            spans.push(Span { start: self.position as u32, len: len as u32 });
            self.position += len + 2;
            self.bulk_len = None;
            self.args_left -= 1;
        }
        Ok(true)
    }

    #[inline]
    fn bulk_header(&mut self, buf: &[u8], limits: Limits) -> Result<Option<usize>, ProtocolError> {
        match buf.get(self.position) {
            None => return Ok(None),
            Some(b'$') => {}
            Some(&other) => {
                let mut text = String::from("expected '$', got '");
                text.push(other as char);
                text.push('\'');
                return Err(ProtocolError(text));
            }
        }
        let Some((len, next)) =
            length_line(buf, self.position + 1, "too big bulk count string", "invalid bulk length")?
        else {
            return Ok(None);
        };
        if !(0..=limits.bulk_bytes_max).contains(&len) {
            return error("invalid bulk length");
        }
        if len > UNAUTHENTICATED_BULK_BYTES_MAX && !limits.authenticated {
            return error("unauthenticated bulk length");
        }
        self.position = next;
        Ok(Some(len as usize))
    }
}

/// Reads a whole request whose lengths have one to four digits, as nearly all have, and gives its length. It decides nothing
/// about other ones, and leaves `spans` as it was.
#[inline]
fn plain_request(buf: &[u8], limits: Limits, spans: &mut Vec<Span>) -> Option<usize> {
    let (count, mut at) = plain_length(buf, b'*')?;
    if count == 0 || limits.bulk_bytes_max < 10_000 {
        return None;
    }
    let first = spans.len();
    for _ in 0..count {
        // The line of the count may end one byte beyond the buffer: see `plain_length`.
        let line =
            buf.get(at..).and_then(|rest| plain_length(rest, b'$').filter(|(len, line)| rest.len() >= line + len + 2));
        let Some((len, line)) = line else {
            spans.truncate(first);
            return None;
        };
        spans.push(Span { start: (at + line) as u32, len: len as u32 });
        at += line + len + 2;
    }
    Some(at)
}

/// A length of one to four digits after its mark: the length, and that of its line. Of a length of four digits it has not seen
/// the line feed, so that the line's end may lie one byte beyond `buf`.
#[inline(always)]
fn plain_length(buf: &[u8], mark: u8) -> Option<(usize, usize)> {
    // The shortest argument is `$0\r\n\r\n`, so six bytes are there unless the request goes on beyond the buffer.
    let line: &[u8; 6] = buf.first_chunk()?;
    let digit = |at: usize| Some(usize::from(line[at].wrapping_sub(b'0'))).filter(|&digit| digit < 10);
    let mut len = digit(1).filter(|_| line[0] == mark)?;
    if line[2] == b'\r' {
        return Some((len, 4));
    }
    // A length has no leading zeros.
    len = len * 10 + digit(2).filter(|_| len > 0)?;
    if line[3] == b'\r' {
        return Some((len, 5));
    }
    len = len * 10 + digit(3)?;
    if line[4] == b'\r' {
        return Some((len, 6));
    }
    len = len * 10 + digit(4)?;
    (line[5] == b'\r').then_some((len, 7))
}

/// Reads a decimal length that begins at `start` and ends in CR LF; yields it and the
/// position after the line, or nothing where the line is unfinished.
#[inline]
fn length_line(buf: &[u8], start: usize, too_long: &str, invalid: &str) -> Result<Option<(i64, usize)>, ProtocolError> {
    let Some(at) = memchr(b'\r', &buf[start..]) else {
        return if buf.len() - start > LINE_BYTES_MAX { error(too_long) } else { Ok(None) };
    };
    if start + at + 1 >= buf.len() {
        return Ok(None);
    }
    match parse_i64(&buf[start..start + at]) {
        Some(value) => Ok(Some((value, start + at + 2))),
        None => error(invalid),
    }
}

fn inline(buf: &[u8], spans: &mut Vec<Span>) -> Result<Status, ProtocolError> {
    let Some(newline) = memchr(b'\n', buf) else {
        return if buf.len() > LINE_BYTES_MAX { error("too big inline request") } else { Ok(Status::Incomplete) };
    };
    let line = &buf[..newline];
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let Ok(args) = crate::split_args(line) else {
        return error("unbalanced quotes in request");
    };
    let len = newline + 1;
    if args.is_empty() {
        return Ok(Status::Empty { len });
    }
    let mut request = Vec::with_capacity(line.len() + 16 * args.len());
    crate::encode_command(&mut request, args.iter().map(|a| &a[..]));
    let limits = Limits { bulk_bytes_max: i64::MAX, authenticated: true };
    let status = RequestParser::default().parse(&request, limits, spans);
    debug_assert!(matches!(status, Ok(Status::Complete { .. })));
    Ok(Status::Inline { len, request })
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use proptest::prelude::*;

    const LIMITS: Limits = Limits { bulk_bytes_max: 512 << 20, authenticated: true };

    /// Feeds `input` in pieces that end at `cuts` and gives the requests found.
    fn decode(input: &[u8], cuts: &[usize], limits: Limits) -> Result<Vec<Vec<Vec<u8>>>, ProtocolError> {
        let mut parser = RequestParser::default();
        let (mut found, mut start, mut spans) = (vec![], 0, vec![]);
        for end in cuts.iter().copied().chain([input.len()]) {
            loop {
                spans.clear();
                let buf = &input[start..end.max(start)];
                match parser.parse(buf, limits, &mut spans)? {
                    Status::Complete { len } => {
                        found.push(Args::new(&buf[..len], &spans).iter().map(<[u8]>::to_vec).collect());
                        start += len;
                    }
                    Status::Inline { len, request } => {
                        found.push(Args::new(&request, &spans).iter().map(<[u8]>::to_vec).collect());
                        start += len;
                    }
                    Status::Empty { len } => start += len,
                    Status::Incomplete => break,
                }
            }
        }
        Ok(found)
    }

    fn check_error(input: &[u8], text: &str) {
        let error = decode(input, &[], LIMITS).unwrap_err();
        assert_eq!(alloc::format!("{error}"), alloc::format!("Protocol error: {text}"));
    }

    #[test]
    fn requests_of_both_forms_follow_each_other() {
        let found =
            decode(b"*1\r\n$4\r\nPING\r\nset a \"b c\"\r\n\r\n*0\r\n*2\r\n$3\r\nGET\r\n$0\r\n\r\n", &[], LIMITS)
                .unwrap();
        let words: Vec<Vec<&[u8]>> = found.iter().map(|r| r.iter().map(|a| &a[..]).collect()).collect();
        assert_eq!(words, [vec![&b"PING"[..]], vec![b"set", b"a", b"b c"], vec![b"GET", b""]]);
    }

    #[test]
    fn a_request_may_be_cut_at_any_byte() {
        let word = |len: usize| vec![b'x'; len];
        let mut requests: Vec<Vec<Vec<u8>>> = vec![];
        for digits in [1, 9, 10, 99, 100, 999, 1000, 1001] {
            requests.push(vec![vec![]; digits]);
            requests.push(vec![word(digits)]);
            requests.push(vec![word(1), word(digits), word(3)]);
        }
        for request in requests {
            let mut input = vec![];
            crate::encode_command(&mut input, request.iter().map(|a| &a[..]));
            crate::encode_command(&mut input, [&b"PING"[..]].into_iter());
            let expected = vec![request, vec![b"PING".to_vec()]];
            for cut in 0..=input.len() {
                assert_eq!(decode(&input, &[cut], LIMITS).unwrap(), expected, "cut at {cut}");
                assert_eq!(decode(&input[..cut], &[], LIMITS).map(|found| found.len() <= 2), Ok(true));
            }
        }
    }

    #[test]
    fn an_arrival_costs_what_it_brings_and_not_what_came_before() {
        let count = 5000;
        let mut input = vec![];
        crate::encode_command(&mut input, vec![&b"ab"[..]; count].into_iter());
        let (mut parser, mut spans) = (RequestParser::default(), vec![]);
        for end in (0..input.len()).step_by(100) {
            assert_eq!(parser.parse(&input[..end], LIMITS, &mut spans), Ok(Status::Incomplete));
            assert!(spans.is_empty(), "what has come stays with the parser");
        }
        assert_eq!(parser.parse(&input, LIMITS, &mut spans), Ok(Status::Complete { len: input.len() }));
        assert_eq!(spans.len(), count);
        assert!(parser.spans.capacity() <= SPANS_KEPT, "a long request leaves no room behind with its connection");
    }

    #[test]
    fn a_malformed_request_leaves_nothing_to_the_next() {
        let (mut parser, mut spans) = (RequestParser::default(), vec![]);
        assert_eq!(parser.parse(b"*3\r\n$1\r\na\r\n", LIMITS, &mut spans), Ok(Status::Incomplete));
        assert!(parser.parse(b"*3\r\n$1\r\na\r\nx", LIMITS, &mut spans).is_err());
        spans.clear();
        assert_eq!(parser.parse(b"*1\r\n$4\r\nPING\r\n", LIMITS, &mut spans), Ok(Status::Complete { len: 14 }));
        assert_eq!(spans.len(), 1);
    }

    #[test]
    fn malformed_requests_are_told_what_is_wrong() {
        check_error(b"*3\r\n$3\r\nSET\r\n$1\r\nx\r\nfooz\r\n", "expected '$', got 'f'");
        check_error(b"*3\r\n$3\r\nSET\r\n$-10\r\n", "invalid bulk length");
        check_error(b"*3\r\n$3\r\nSET\r\n$2000000000\r\n", "invalid bulk length");
        check_error(b"*1\r\n$04\r\nPING\r\n", "invalid bulk length");
        check_error(b"*3000000000\r\n", "invalid multibulk length");
        check_error(b"*blabla\r\n", "invalid multibulk length");
        check_error(b"set \"a\r\n", "unbalanced quotes in request");
        check_error(&[b'a'; 70_000], "too big inline request");
        check_error(&[&b"*"[..], &[b'1'; 70_000]].concat(), "too big mbulk count string");
        check_error(&[&b"*1\r\n$"[..], &[b'1'; 70_000]].concat(), "too big bulk count string");
    }

    #[test]
    fn a_stranger_may_not_announce_much() {
        let limits = Limits { authenticated: false, ..LIMITS };
        let text = |input| alloc::format!("{}", decode(input, &[], limits).unwrap_err());
        assert_eq!(text(b"*100\r\n"), "Protocol error: unauthenticated multibulk length");
        assert_eq!(text(b"*1\r\n$20000\r\n"), "Protocol error: unauthenticated bulk length");
    }

    proptest! {
        #[test]
        fn any_split_gives_the_same_requests(
            requests in prop::collection::vec(prop_oneof![
                8 => prop::collection::vec(prop::collection::vec(any::<u8>(), 0..20), 1..6),
                1 => prop::collection::vec(prop::collection::vec(any::<u8>(), 0..20), 98..103),
                1 => prop::collection::vec(prop::collection::vec(any::<u8>(), 0..20), 998..1003),
            ], 1..8),
            mut cuts in prop::collection::vec(prop_oneof![0usize..400, 0usize..40_000], 0..30),
        ) {
            let mut input = vec![];
            for request in &requests {
                crate::encode_command(&mut input, request.iter().map(|a| &a[..]));
            }
            cuts.retain(|&c| c <= input.len());
            cuts.sort_unstable();
            prop_assert_eq!(decode(&input, &cuts, LIMITS).unwrap(), requests);
        }

        #[test]
        fn the_short_way_finds_what_the_long_one_does(
            words in prop::collection::vec(prop_oneof![8 => 0usize..20, 1 => 90usize..110, 1 => 990usize..1010, 1 => 9990usize..10_010], 1..12),
            change in any::<prop::sample::Index>(),
            byte in prop_oneof![Just(None), prop_oneof![b'0'..=b'9', Just(b'\r'), Just(b'$'), Just(b'-'), any::<u8>()].prop_map(Some)],
            cut in any::<prop::sample::Index>(),
        ) {
            let texts: Vec<Vec<u8>> = words.iter().map(|&len| vec![b'x'; len]).collect();
            let mut input = vec![];
            crate::encode_command(&mut input, texts.iter().map(|text| &text[..]));
            let whole = input.len();
            input.extend_from_slice(b"*1\r\n$4\r\nPING\r\n");
            if let Some(byte) = byte {
                let at = change.index(whole.min(60));
                input[at] = byte;
            }
            for input in [&input[..], &input[..cut.index(input.len())]] {
                let (mut short, mut long) = (vec![], vec![]);
                let found = plain_request(input, LIMITS, &mut short);
                let expected = RequestParser::default().parse_slowly(input, LIMITS, &mut long);
                match found {
                    Some(len) => {
                        prop_assert_eq!(expected, Ok(Status::Complete { len }));
                        prop_assert_eq!(short, long);
                    }
                    None => prop_assert!(short.is_empty()),
                }
            }
            if byte.is_none() && words.iter().all(|&len| len < 10_000) {
                prop_assert_eq!(plain_request(&input, LIMITS, &mut vec![]), Some(whole));
            }
        }

        #[test]
        fn hostile_bytes_never_panic(input in prop::collection::vec(prop_oneof![Just(b'*'), Just(b'$'), Just(b'\r'), Just(b'\n'), b'0'..=b'9', any::<u8>()], 0..200)) {
            let _ = decode(&input, &[input.len() / 2], LIMITS);
        }
    }
}
