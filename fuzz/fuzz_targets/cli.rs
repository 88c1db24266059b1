//! Feeds any bytes as what the command line reads: `.ci/fuzz 60 cli`.
#![no_main]
#![allow(dead_code)]

#[path = "../../src/cli/format.rs"]
mod format;
#[path = "../../src/cli/fuzz.rs"]
mod fuzz;
#[path = "../../src/cli/hints.rs"]
mod hints;
#[path = "../../src/cli/history.rs"]
mod history;
#[path = "../../src/cli/preferences.rs"]
mod preferences;
#[path = "../../src/uri.rs"]
mod uri;

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::fuzz_cli(data));
