//! Any bytes as requests and as replies: nothing may panic, and what is found may not depend on how the bytes arrive.

use crate::{Args, Limits, RequestParser, Status, parse_value};
use alloc::vec::Vec;

/// The requests in `data` up to the first error, when it arrives in pieces of `step` bytes.
fn requests(data: &[u8], step: usize) -> Vec<Vec<Vec<u8>>> {
    let limits = Limits { bulk_bytes_max: 1 << 20, authenticated: true };
    let (mut parser, mut spans, mut found) = (RequestParser::default(), Vec::new(), Vec::new());
    let (mut start, mut end) = (0, 0);
    while end < data.len() {
        end = (end + step).min(data.len());
        loop {
            spans.clear();
            let buf = &data[start..end];
            let words =
                |bytes: &[u8], spans: &[crate::Span]| Args::new(bytes, spans).iter().map(<[u8]>::to_vec).collect();
            match parser.parse(buf, limits, &mut spans) {
                Ok(Status::Complete { len }) => {
                    found.push(words(&buf[..len], &spans));
                    start += len;
                }
                Ok(Status::Inline { len, request }) => {
                    found.push(words(&request, &spans));
                    start += len;
                }
                Ok(Status::Empty { len }) => start += len,
                Ok(Status::Incomplete) => break,
                Err(_) => return found,
            }
        }
    }
    found
}

/// The entry of the fuzz target `resp`.
pub fn fuzz_resp(data: &[u8]) {
    let whole = requests(data, usize::MAX / 2);
    for step in [1, 7] {
        assert_eq!(requests(data, step), whole, "requests must not depend on how their bytes arrive");
    }
    if let Ok(Some((_, len))) = parse_value(data) {
        assert!(len <= data.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_corpus_runs() {
        for seed in [
            &b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\n"[..],
            b"set \"a b\" 'c'\r\nPING\r\n",
            b"*1\r\n$-1\r\n",
            b"*2147483648\r\n",
            b"$5\r\nhello\r\n",
            b"%1\r\n+a\r\n*2\r\n:1\r\n,1.5\r\n",
            b"*3\r\n*1\r\n$1\r\na\r\n_\r\n#t\r\n",
            b"\r\n\r\n*0\r\n",
        ] {
            fuzz_resp(seed);
        }
    }

    proptest! {
        #[test]
        fn bytes_like_the_protocol_never_panic(data in prop::collection::vec(prop_oneof![Just(b'*'), Just(b'$'), Just(b'\r'), Just(b'\n'), Just(b'"'), b'0'..=b'9', any::<u8>()], 0..120)) {
            fuzz_resp(&data);
        }
    }
}
