//! Feeds any bytes to Sentinel as a hello message, read alone and taken by a sentinel: `.ci/fuzz 60 hello`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sentinel::fuzz::fuzz_hello(data));
