//! Feeds any bytes to the checks of packed encodings: `.ci/fuzz 60 listpack`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| base::fuzz::fuzz_packed(data));
