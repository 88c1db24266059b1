//! Feeds any bytes to the configuration file reader: `cargo +nightly fuzz run config`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| engine::config::fuzz_config(data));
