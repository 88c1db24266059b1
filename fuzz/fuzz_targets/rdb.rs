//! Feeds any bytes to the RDB reader: `cargo +nightly fuzz run rdb`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| persist::fuzz::fuzz_rdb(data));
