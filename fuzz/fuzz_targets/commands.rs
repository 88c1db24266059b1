//! Feeds any bytes as a program of commands, whose effects a replica must understand: `.ci/fuzz 60 commands`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| engine::fuzz::fuzz_commands(data));
