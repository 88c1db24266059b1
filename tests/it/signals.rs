//! What each signal does to a server, a sentinel and a daemon, beside what it does to Redis.

use crate::support::sentinel::Sentinel;
use crate::support::{Killed, PATIENCE, Product, Server, holds_within, ours, products, wait_until};
use std::process::Command;

/// What a signal does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Does {
    /// It goes on.
    Nothing,
    /// It stops as SHUTDOWN does, and saves.
    Stops,
    /// It ends at once.
    Kills,
    /// It stands still until CONT.
    Freezes,
}
use Does::{Freezes, Kills, Nothing, Stops};

/// Signals that not every shell has a name for.
const STKFLT: &str = "16";
const REAL_TIME: &str = "34";

/// Each signal: what it does here, and what to Redis 7.0.
const SIGNALS: [(&str, Does, Does); 25] = [
    ("HUP", Nothing, Nothing),
    ("PIPE", Nothing, Nothing),
    ("ALRM", Nothing, Nothing),
    ("CHLD", Nothing, Nothing),
    ("URG", Nothing, Nothing),
    ("WINCH", Nothing, Nothing),
    ("CONT", Nothing, Nothing),
    ("TSTP", Freezes, Freezes),
    ("TTIN", Freezes, Freezes),
    ("TTOU", Freezes, Freezes),
    ("STOP", Freezes, Freezes),
    ("INT", Stops, Stops),
    ("TERM", Stops, Stops),
    ("QUIT", Stops, Kills),
    ("XCPU", Stops, Kills),
    ("PWR", Stops, Kills),
    ("USR1", Nothing, Kills),
    ("USR2", Nothing, Kills),
    ("VTALRM", Nothing, Kills),
    ("PROF", Nothing, Kills),
    ("IO", Nothing, Kills),
    (STKFLT, Nothing, Kills),
    ("XFSZ", Nothing, Kills),
    (REAL_TIME, Nothing, Kills),
    ("KILL", Kills, Kills),
];

/// Whether this process ignores the signal, and so those that it starts do: a shell has its background processes ignore some.
fn is_ignored_here(signal: &str) -> bool {
    let number = match signal {
        "QUIT" => 3,
        _ => return false,
    };
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).unwrap().trim();
    u64::from_str_radix(mask, 16).unwrap() >> (number - 1) & 1 == 1
}

fn state(pid: u32) -> Option<char> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.chars().next()
}

/// Sends the signal to a running process and sees what comes of it.
#[track_caller]
fn check(server: &mut Server, signal: &str, expected: Does) {
    // A process that bash has started in the background ignores some signals; ours are started without it.
    let pid = server.pid();
    server.signal(signal);
    match expected {
        Nothing => {
            // The next signal in line is seen after this one, so what this one does is done when the other is.
            assert_eq!(server.text(&["PING"]), "PONG", "{signal}");
            assert!(!holds_within(std::time::Duration::from_millis(30), || state(pid) == Some('Z')), "{signal}");
            assert_eq!(server.text(&["PING"]), "PONG", "{signal}");
        }
        Freezes => {
            wait_until(PATIENCE, || state(pid) == Some('T'));
            server.signal("CONT");
            wait_until(PATIENCE, || server.client().answers());
        }
        Stops => assert!(server.wait_for_end().success(), "{signal}: {}", server.log()),
        Kills => assert!(!server.wait_for_end().success(), "{signal}: {}", server.log()),
    }
}

#[test]
fn no_signal_ends_a_server_unsaved_but_kill() {
    for product in products() {
        let mut server = Server::prepare(product, &["--save", "3600 1"]);
        server.own_group = true;
        for (signal, does, redis_does) in SIGNALS {
            if !server.launched() {
                assert!(server.launch(), "{}", server.log());
            }
            server.ok(&["SET", "last", signal]);
            let expected = match product {
                Product::Ours => does,
                // What has no handler and was ignored by whoever started the tests is ignored by Redis.
                _ if redis_does == Kills && is_ignored_here(signal) => Nothing,
                _ => redis_does,
            };
            check(&mut server, signal, expected);
            if expected == Stops {
                server.restart();
                assert_eq!(server.text(&["GET", "last"]), signal, "it was not saved");
            }
        }
    }
    // What is ignored is not ignored in silence.
    let server = ours(&[]);
    server.signal("HUP");
    wait_until(PATIENCE, || server.log().contains("Received SIGHUP. It changes nothing."));
}

#[test]
fn a_sentinel_takes_signals_as_a_server_does() {
    let mut sentinel = Sentinel::prepare(Product::Ours, "sentinel monitor m 127.0.0.1 1 1\n");
    sentinel.own_group = true;
    for (signal, does, _) in SIGNALS {
        if !sentinel.launched() {
            assert!(sentinel.launch(), "{}", sentinel.log());
        }
        check(&mut sentinel, signal, does);
    }
}

/// A process that is nobody's child; it is killed at the end, if it is still there.
struct Daemon(String);

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = Command::new("sh").args(["-c", &format!("kill -KILL {} 2>/dev/null", self.0)]).status();
    }
}

#[test]
fn a_daemon_outlives_its_terminal() {
    let server = Server::prepare(Product::Ours, &["--daemonize", "yes", "--save", ""]);
    let pidfile = server.folder.file("pid");
    let status = server.command().args(["--pidfile", &pidfile]).status().unwrap();
    assert!(status.success());
    wait_until(PATIENCE, || std::fs::read_to_string(&pidfile).is_ok_and(|text| text.ends_with('\n')));
    let pid = std::fs::read_to_string(&pidfile).unwrap().trim().to_owned();
    let _daemon = Daemon(pid.clone());
    let send = |signal: &str| {
        assert!(Command::new("sh").args(["-c", &format!("kill -{signal} {pid}")]).status().unwrap().success());
    };
    wait_until(PATIENCE, || crate::support::Client::tcp(server.port).is_ok_and(|mut client| client.answers()));
    for (signal, ..) in SIGNALS.iter().filter(|(_, does, _)| *does == Nothing) {
        send(signal);
        assert_eq!(server.text(&["PING"]), "PONG", "{signal}");
    }
    send("TERM");
    wait_until(PATIENCE, || !std::path::Path::new(&format!("/proc/{pid}")).exists());
}

#[test]
fn a_file_that_may_not_grow_fails_the_save_and_not_the_server() {
    let server = Server::prepare(Product::Ours, &["--save", ""]);
    let mut command = Command::new("sh");
    // 64 blocks of 512 bytes or of 1024, as the shell likes.
    let line =
        format!("ulimit -f 64; exec {} server --port {} --save '' >/dev/null", crate::support::program(), server.port);
    let child = command.args(["-c", &line]).current_dir(server.folder.path()).spawn().unwrap();
    let _child = Killed(child);
    wait_until(PATIENCE, || crate::support::Client::tcp(server.port).is_ok_and(|mut client| client.answers()));
    server.ok(&["CONFIG", "SET", "rdbcompression", "no"]);
    server.ok(&["SET", "k", &"v".repeat(1 << 20)]);
    let answer = server.text(&["SAVE"]);
    let left: Vec<_> = std::fs::read_dir(server.folder.path()).unwrap().map(|f| f.unwrap().file_name()).collect();
    let alive = server.text(&["PING"]);
    assert!(answer.starts_with("ERR") && alive == "PONG", "{answer}");
    assert!(left.iter().all(|name| name == "log"), "{left:?}");
}
