//! Feeds any bytes as a pattern and a subject: `.ci/fuzz 60 glob`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| base::fuzz::fuzz_glob(data));
