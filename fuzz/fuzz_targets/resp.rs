//! Feeds any bytes to the RESP request decoder and reply parser: `.ci/fuzz 60 resp`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| resp::fuzz::fuzz_resp(data));
