//! Feeds any bytes to the checks of packed encodings: `cargo +nightly fuzz run listpack`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| base::fuzz::fuzz_packed(data));
