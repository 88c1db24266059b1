//! Feeds any bytes as a data file, whose values are then worked with and saved: `.ci/fuzz 60 data`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| engine::fuzz::fuzz_data(data));
