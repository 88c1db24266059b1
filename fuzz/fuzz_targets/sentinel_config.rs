//! Feeds any bytes to Sentinel as a configuration file: `.ci/fuzz 60 sentinel_config`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sentinel::fuzz::fuzz_config(data));
