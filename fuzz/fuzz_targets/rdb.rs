//! Feeds any bytes to the RDB reader: `.ci/fuzz 60 rdb`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| persist::fuzz::fuzz_rdb(data));
