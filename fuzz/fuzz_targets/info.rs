//! Feeds any bytes to Sentinel as an INFO reply, read alone and taken by a sentinel: `.ci/fuzz 60 info`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sentinel::fuzz::fuzz_info(data));
