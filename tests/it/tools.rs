//! The program's own words: versions, help, and what is said to who has mistyped a command.

use crate::support::program;
use std::process::{Command, Output};

fn run(args: &[&str]) -> (bool, String, String) {
    let Output { status, stdout, stderr } = Command::new(program()).args(args).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (status.success(), text(stdout), text(stderr))
}

#[test]
fn the_version_is_told_in_each_form() {
    let version = format!("rekindle {} (compatible with Redis 7.2.4)\n", env!("CARGO_PKG_VERSION"));
    for word in ["--version", "-V", "-v", "version"] {
        assert_eq!(run(&[word]), (true, version.clone(), String::new()), "{word}");
    }
    for command in ["server", "sentinel", "cli", "benchmark", "check-rdb"] {
        let (good, out, _) = run(&[command, "--version"]);
        assert!(good && out.contains(env!("CARGO_PKG_VERSION")), "{command}: {out}");
    }
}

#[test]
fn each_command_has_help_of_its_own() {
    for (command, words) in [
        ("server", "Usage: rekindle server"),
        ("sentinel", "Usage: rekindle sentinel"),
        ("cli", "Usage: rekindle cli"),
        ("benchmark", "Usage: rekindle benchmark"),
        ("check-rdb", "Usage: rekindle check-rdb"),
        ("up", "Usage: rekindle up"),
    ] {
        let (good, out, _) = run(&[command, "--help"]);
        assert!(good && out.contains(words), "{command}: {out}");
        assert_eq!(run(&["help", command]), (true, out, String::new()), "{command}");
    }
    assert!(run(&["help"]).1.starts_with("Usage: rekindle COMMAND"));
}

#[test]
fn who_mistypes_is_told_what_there_is() {
    for (typed, meant) in
        [("sever", "server"), ("sentinal", "sentinel"), ("--verison", "version"), ("benchmrak", "benchmark")]
    {
        let (good, _, err) = run(&[typed]);
        assert!(!good && err.contains(&format!("'{typed}' is not a command. Did you mean '{meant}'?")), "{err}");
    }
    let (good, _, err) = run(&["frobnicate"]);
    assert!(!good && err.contains("Usage: rekindle COMMAND"), "{err}");
    let (good, _, err) = run(&["server", "--maxmemroy", "1gb"]);
    assert!(!good && err.contains("Did you mean 'maxmemory'?"), "{err}");
}
