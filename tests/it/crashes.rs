//! What the log says when the process is hit by a signal that ends it, or panics; and of threads, on demand.

use crate::support::{PATIENCE, ours, wait_until};
use std::os::unix::process::ExitStatusExt;

const DONE: &str = "------ STACK TRACE DONE ------";

#[test]
fn a_signal_of_a_crash_is_reported_with_all_stacks() {
    for (name, number) in [("SEGV", 11), ("BUS", 7), ("ABRT", 6)] {
        let mut server = ours(&[]);
        server.signal(name);
        let status = server.wait_for_end();
        assert_eq!(status.signal(), Some(number), "{status}");
        let log = server.log();
        assert!(log.contains("=== REDIS BUG REPORT START"), "{log}");
        assert!(log.contains(&format!("crashed by signal: {number}, si_code: 0")), "{log}");
        assert!(log.contains("Killed by PID: "), "{log}");
        assert_eq!(log.matches(DONE).count(), 1, "{log}");
        // The event loop was polling; another thread waited for signals.
        let (main, others) = log.split_once("rk-signals").expect("all threads are listed");
        assert!(main.contains("src/server/event_loop.rs"), "{main}");
        assert!(others.contains("=== REDIS BUG REPORT END"), "{others}");
    }
}

#[test]
fn a_crash_of_its_own_names_the_command_that_ran() {
    let mut server = ours(&["--enable-debug-command", "yes"]);
    let mut client = server.client();
    client.send(&["DEBUG", "SEGFAULT"]);
    assert_eq!(server.wait_for_end().signal(), Some(11));
    let log = server.log();
    assert!(log.contains("crashed by signal: 11"), "{log}");
    assert!(log.contains("src/server/commands/debug.rs"), "{log}");
}

#[test]
fn crashes_are_not_reported_where_that_is_switched_off() {
    let mut server = ours(&[]);
    server.ok(&["CONFIG", "SET", "crash-log-enabled", "no"]);
    server.signal("SEGV");
    assert_eq!(server.wait_for_end().signal(), Some(11));
    assert!(!server.log().contains("BUG REPORT"), "{}", server.log());
}

#[test]
fn a_panic_is_reported() {
    let mut server = ours(&["--enable-debug-command", "yes"]);
    let mut client = server.client();
    client.send(&["DEBUG", "ASSERT"]);
    assert_eq!(server.wait_for_end().code(), Some(101));
    let log = server.log();
    assert!(log.contains("=== ASSERTION FAILED ==="), "{log}");
    assert!(log.contains("src/server/commands/debug.rs"), "{log}");
    assert!(log.contains("=== REDIS BUG REPORT END"), "{log}");
}

#[test]
fn stacks_on_demand_do_no_harm() {
    let server = ours(&["--enable-debug-command", "yes"]);
    let mut sleeper = server.client();
    sleeper.send(&["DEBUG", "SLEEP", "2"]);
    // Only a server that sleeps leaves a PING without an answer for so long. The first PING may overtake the sleep.
    let mut other = server.client();
    other.set_limit(std::time::Duration::from_millis(300));
    wait_until(PATIENCE, || other.try_call(&["PING"]).is_err());
    server.signal("ALRM");
    wait_until(PATIENCE, || server.log().contains(DONE));
    let log = server.log();
    assert!(log.contains("Received SIGALRM"), "{log}");
    assert!(log.contains("src/server/commands/debug.rs"), "{log}");
    assert_eq!(crate::support::client::text(&sleeper.reply()), "OK");
    assert_eq!(server.text(&["PING"]), "PONG");
}
