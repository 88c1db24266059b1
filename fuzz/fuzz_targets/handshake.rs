//! Feeds any bytes as the lines that a replica hears from its primary: `.ci/fuzz 60 handshake`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| repl::fuzz::fuzz_handshake(data));
