//! Feeds any bytes to the configuration file reader: `.ci/fuzz 60 config`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| engine::config::fuzz_config(data));
