//! Any bytes as the lines of a primary's handshake: whatever it says, and whenever, there is an answer or an error that says why.

use alloc::string::String;
use alloc::vec::Vec;

use crate::{Handshake, Identity, ReplicationId, Step};

/// A handshake has no more steps than these, whatever is said.
const STEPS_MAX: usize = 8;

/// The entry of the fuzz target `handshake`: a byte that chooses what the replica brings along, and the lines that it hears.
///
/// # Panics
/// If a handshake does not end, or sends what is no request.
pub fn fuzz_handshake(data: &[u8]) {
    let Some((&how, lines)) = data.split_first() else { return };
    let text = |on: bool, text: &str| if on { String::from(text) } else { String::new() };
    let identity = Identity {
        port: 6379,
        announce_ip: text(how & 1 != 0, "10.0.0.1"),
        user: text(how & 2 != 0, "someone"),
        password: text(how & 4 != 0, "secret"),
        version: String::from("7.2.4"),
    };
    let id = ReplicationId::parse(b"0123456789abcdef0123456789abcdef01234567").expect("it has forty digits");
    let have = (how & 8 != 0).then_some((id, 1000));
    let (mut handshake, first) = Handshake::begin(identity, have, how & 16 != 0);
    assert_requests(&first);
    let mut steps = 0;
    for line in lines.split(|&byte| byte == b'\n') {
        let before = handshake.state();
        match handshake.handle_line(line.trim_ascii_end()) {
            Ok(Step::Wait) => {}
            Ok(Step::Send(bytes)) => {
                assert_requests(&bytes);
                assert!(handshake.state() != before, "what is sent leads on");
                steps += 1;
                assert!(steps <= STEPS_MAX);
            }
            Ok(Step::FullResync { .. } | Step::Continue { .. }) | Err(_) => return,
        }
    }
}

/// Whole requests, at least one.
fn assert_requests(mut bytes: &[u8]) {
    assert!(!bytes.is_empty());
    while !bytes.is_empty() {
        let Ok(Some((resp::Value::Array(words), len))) = resp::parse_value(bytes) else {
            panic!("no request: {bytes:?}")
        };
        assert!(
            words.iter().map(resp::Value::as_bytes).collect::<Option<Vec<_>>>().is_some_and(|words| !words.is_empty())
        );
        bytes = &bytes[len..];
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use super::*;
    use std::format;

    #[test]
    fn the_corpus_runs() {
        let folder = format!("{}/../../fuzz/corpus/handshake", env!("CARGO_MANIFEST_DIR"));
        let mut files = 0;
        for file in std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{folder}: {error}")) {
            fuzz_handshake(&std::fs::read(file.unwrap().path()).unwrap());
            files += 1;
        }
        assert!(files > 0, "{folder} is empty");
    }

    #[test]
    fn a_primary_that_answers_before_it_is_asked_is_no_trouble() {
        for how in 0..32 {
            let answers = b"+PONG\n+OK\n+OK\n+OK\n+OK\n+FULLRESYNC 0123456789abcdef0123456789abcdef01234567 5\n+PONG";
            fuzz_handshake(&[&[how], &answers[..]].concat());
        }
    }
}
