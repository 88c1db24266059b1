//! Links between primaries and replicas that break, change and are held up: what each side has afterwards.

use crate::support::client::{bulk, text, texts};
use crate::support::data::assert_same;
use crate::support::{PATIENCE, Server, holds_within, ours, wait_until};
use resp::Value;
use std::time::{Duration, Instant};

const FAST: [&str; 6] = ["--save", "", "--repl-diskless-sync-delay", "0", "--enable-debug-command", "yes"];

#[test]
fn a_link_that_is_killed_again_and_again_loses_no_command() {
    let (a, b, c) = (ours(&FAST), ours(&FAST), ours(&FAST));
    a.ok(&["CONFIG", "SET", "repl-backlog-size", "64mb"]);
    b.follow(&a);
    c.follow(&b);
    let requests: Vec<Vec<Vec<u8>>> = (0..500).map(|_| vec![b"INCR".to_vec(), b"n".to_vec()]).collect();
    let (mut client, mut sleeper, mut killer) = (a.client(), b.client(), b.client());
    let mut count = 0;
    for _ in 0..20 {
        // While the replica sleeps, the order to kill its link and then commands of the link come in: it finds both in
        // one round, and commands that are no longer run.
        sleeper.send(&["DEBUG", "SLEEP", "0.05"]);
        // Where the machine is so busy that this is missed, the round tests less.
        holds_within(Duration::from_millis(50), || b.waits_in("nanosleep"));
        killer.send(&["CLIENT", "KILL", "TYPE", "master"]);
        client.pipeline(&requests);
        count += requests.len();
        assert_eq!(killer.reply(), Value::Int(1));
        sleeper.reply();
        b.wait_for_link();
    }
    b.wait_for_offset_of(&a);
    c.wait_for_offset_of(&a);
    assert_eq!(a.call(&["GET", "n"]), bulk(&count.to_string()));
    assert_same(&a, &b);
    assert_same(&a, &c);
    assert_eq!(a.number("sync_full"), 1, "each time the stream goes on where it was");
}

#[test]
fn replicaof_holds_for_the_very_next_command() {
    let (a, b) = (ours(&FAST), ours(&FAST));
    let port = a.port.to_string();
    let words = |line: &str| line.split(' ').map(|w| w.as_bytes().to_vec()).collect::<Vec<_>>();
    let replies =
        b.client().pipeline(&[words(&format!("REPLICAOF 127.0.0.1 {port}")), words("SET k v"), words("ROLE")]);
    assert_eq!(text(&replies[0]), "OK");
    assert!(text(&replies[1]).starts_with("READONLY"), "{replies:?}");
    assert!(matches!(&replies[2], Value::Array(role) if role[0] == bulk("slave")), "{replies:?}");
    b.wait_for_link();
    let replies = b.client().pipeline(&[words("REPLICAOF NO ONE"), words("SET k v"), words("GET k")]);
    assert_eq!(replies[2], bulk("v"), "{replies:?}");
    assert_eq!(b.info("role"), "master");
}

#[test]
fn a_paused_replica_puts_its_primary_off() {
    let (a, b) = (ours(&FAST), ours(&FAST));
    a.ok(&["CONFIG", "SET", "repl-ping-replica-period", "3600"]);
    b.follow(&a);
    a.ok(&["SET", "k", "1"]);
    b.wait_for_offset_of(&a);
    let before = b.number("slave_repl_offset");
    b.ok(&["CLIENT", "PAUSE", "60000", "WRITE"]);
    a.ok(&["SET", "k", "2"]);
    wait_until(PATIENCE, || b.number("blocked_clients") == 1);
    assert_eq!(b.number("slave_repl_offset"), before);
    assert_eq!(b.call(&["GET", "k"]), bulk("1"));
    b.ok(&["CLIENT", "UNPAUSE"]);
    b.wait_for_offset_of(&a);
    assert_eq!(b.call(&["GET", "k"]), bulk("2"));
}

#[test]
fn a_primary_in_a_pause_asks_for_no_acknowledgement() {
    let (a, b) = (ours(&FAST), ours(&FAST));
    a.ok(&["CONFIG", "SET", "repl-ping-replica-period", "3600"]);
    b.follow(&a);
    a.ok(&["SET", "k", "1"]);
    b.wait_for_offset_of(&a);
    b.signal("STOP");
    let mut client = a.client();
    client.ok(&["SET", "k", "2"]);
    client.ok(&["CLIENT", "PAUSE", "60000", "WRITE"]);
    let offset = a.number("master_repl_offset");
    assert_eq!(client.call(&["WAIT", "1", "200"]), Value::Int(0));
    assert_eq!(a.number("master_repl_offset"), offset, "the stream does not grow");
    client.ok(&["CLIENT", "UNPAUSE"]);
    b.signal("CONT");
    assert_eq!(client.call(&["WAIT", "1", "20000"]), Value::Int(1));
    assert!(text(&client.call(&["WAIT", "1", "9223372036854775807"])).starts_with("ERR timeout is out of range"));
    assert!(text(&client.call(&["WAIT", "1", "9223372036854775808"])).contains("not an integer or out of range"));
    assert!(text(&client.call(&["WAIT", "1", "-1"])).starts_with("ERR timeout is negative"));
}

#[test]
fn a_writable_replica_lets_its_own_keys_expire_and_builds_on_nothing_that_has() {
    let (a, b) = (ours(&FAST), ours(&FAST));
    b.follow(&a);
    b.ok(&["CONFIG", "SET", "replica-read-only", "no"]);
    b.ok(&["SET", "own", "1", "PX", "50"]);
    assert!(holds_within(PATIENCE, || b.call(&["DBSIZE"]) == Value::Int(0)), "the replica's own key stays");

    a.ok(&["DEBUG", "SET-ACTIVE-EXPIRE", "0"]);
    a.ok(&["SET", "n", "5", "PX", "30"]);
    a.ok(&["SET", "other", "5", "PX", "30"]);
    wait_until(PATIENCE, || b.call(&["DBSIZE"]) == Value::Int(2) && b.call(&["EXISTS", "n", "other"]) == Value::Int(0));
    assert_eq!(b.call(&["INCR", "n"]), Value::Int(1), "the old value is past its time");
    assert_eq!(b.call(&["TTL", "n"]), Value::Int(-1));
    assert_eq!(b.call(&["GET", "other"]), Value::Null);
    assert_eq!(b.call(&["DBSIZE"]), Value::Int(2), "what is only read is left to the primary");
}

/// The server's clock.
fn microseconds(server: &Server) -> u64 {
    let time = texts(&server.call(&["TIME"]));
    time[0].parse::<u64>().unwrap() * 1_000_000 + time[1].parse::<u64>().unwrap()
}

#[test]
fn keys_that_expire_before_a_restart_are_gone_on_the_replica_too() {
    let mut a = ours(&["--repl-diskless-sync-delay", "0", "--enable-debug-command", "yes", "--save", "900 1"]);
    let b = ours(&FAST);
    b.follow(&a);
    a.ok(&["DEBUG", "SET-ACTIVE-EXPIRE", "0"]);
    for i in 0..100 {
        a.ok(&["SET", &format!("k{i}"), "v", "PX", "20"]);
    }
    a.ok(&["SET", "stays", "v"]);
    b.wait_for_offset_of(&a);
    let set_by = microseconds(&a);
    wait_until(PATIENCE, || microseconds(&a) > set_by + 20_000);
    a.shutdown(&["SAVE"]);
    a.restart();
    wait_until(PATIENCE, || a.number("rdb_last_load_keys_expired") == 100);
    b.wait_for_offset_of(&a);
    assert_eq!(a.number("sync_full"), 0, "the replica goes on: {}", a.log());
    assert_eq!(b.call(&["DBSIZE"]), Value::Int(1));
    assert_same(&a, &b);
}

#[test]
fn a_command_longer_than_the_input_limit_reaches_the_replica() {
    let (a, b) = (ours(&FAST), ours(&FAST));
    b.follow(&a);
    b.ok(&["CONFIG", "SET", "client-query-buffer-limit", "1mb"]);
    let value = "x".repeat(3 << 20);
    a.ok(&["SET", "k", &value]);
    b.wait_for_offset_of(&a);
    assert_eq!(b.int(&["STRLEN", "k"]), 3 << 20);
    assert!(b.client().try_call(&["SET", "k", &value]).is_err(), "a client is held to the limit");
}

#[test]
fn a_back_log_survives_a_replica_that_leaves_in_the_first_second() {
    let (a, b) = (ours(&FAST), ours(&FAST));
    b.follow(&a);
    a.ok(&["SET", "k", "1"]);
    b.wait_for_offset_of(&a);
    b.signal("STOP");
    assert_eq!(a.call(&["CLIENT", "KILL", "TYPE", "replica"]), Value::Int(1));
    let id = a.info("master_replid");
    let uptime = || a.number("uptime_in_seconds");
    let start = uptime();
    wait_until(PATIENCE, || uptime() >= start + 3);
    assert_eq!(a.info("master_replid"), id);
    b.signal("CONT");
    b.wait_for_offset_of(&a);
    assert_eq!((a.number("sync_full"), a.number("sync_partial_ok")), (1, 1));
}

#[test]
fn a_replica_that_asks_for_an_answer_is_closed() {
    let a = ours(&FAST);
    a.ok(&["SET", "k", "v"]);
    for request in [["GET", "k"], ["CLIENT", "ID"]] {
        let mut replica = a.client();
        replica.send(&["SYNC"]);
        wait_until(PATIENCE, || a.number("connected_slaves") == 1);
        replica.send(&request);
        wait_until(PATIENCE, || a.number("connected_slaves") == 0);
    }
    assert!(a.log().contains("Replica generated a reply to command 'get', disconnecting it"));
    assert!(a.log().contains("Replica generated a reply to command 'client|id', disconnecting it"));
}

#[test]
fn every_client_that_asks_for_a_shutdown_waits_and_hears_of_its_end() {
    let (mut a, b) = (ours(&FAST), ours(&FAST));
    b.follow(&a);
    b.wait_for_offset_of(&a);
    b.signal("STOP");
    a.ok(&["SET", "k", "1"]);
    let mut askers = [a.client(), a.client()];
    askers.iter_mut().for_each(|client| client.send(&["SHUTDOWN"]));
    wait_until(PATIENCE, || a.number("blocked_clients") == 2);
    assert!(a.number("shutdown_in_milliseconds") > 0);
    let mut writer = a.client();
    writer.send(&["SET", "k", "2"]);
    assert_eq!(a.call(&["GET", "k"]), bulk("1"), "writes wait");
    a.ok(&["SHUTDOWN", "ABORT"]);
    for client in &mut askers {
        assert_eq!(text(&client.reply()), "ERR Errors trying to SHUTDOWN. Check logs.");
    }
    assert_eq!(text(&writer.reply()), "OK");
    assert!(a.log().contains("Shutdown manually aborted"));
    b.signal("CONT");
    b.wait_for_offset_of(&a);
    a.shutdown(&[]);
    assert_eq!(b.call(&["GET", "k"]), bulk("2"));
    assert!(a.log().contains("1 of 1 replicas are in sync when shutting down"));
}

#[test]
fn an_error_on_the_link_is_told_to_the_operator() {
    let primary = ours(&["--enable-debug-command", "yes"]);
    let replica = ours(&["--replica-read-only", "no"]);
    replica.follow(&primary);
    assert_eq!(replica.number("unexpected_error_replies"), 0);
    primary.ok(&["DEBUG", "REPLICATE", "no-such-command", "x"]);
    replica.ok(&["SET", "n", "text"]);
    assert_eq!(primary.int(&["INCR", "n"]), 1);
    replica.wait_for_offset_of(&primary);
    assert_eq!(replica.number("unexpected_error_replies"), 2);
    let log = replica.log();
    let told: Vec<&str> =
        log.lines().filter(|l| l.contains("== CRITICAL == This replica is sending an error")).collect();
    assert_eq!(told.len(), 2, "{log}");
    assert!(told[0].contains("unknown command 'no-such-command'") && told[0].ends_with("command '<unknown>'"), "{log}");
    assert!(told[1].contains("not an integer") && told[1].ends_with("command 'incr'"), "{log}");
}

#[test]
fn a_shorter_timeout_reaches_a_transfer_that_is_under_way() {
    let primary = ours(&["--rdbcompression", "no", "--repl-timeout", "3600"]);
    let value = "v".repeat(1 << 20);
    for i in 0..40 {
        primary.ok(&["SET", &format!("key:{i}"), &value]);
    }
    // A replica that reads nothing: the sockets take some megabytes.
    let mut replica = primary.client();
    replica.ok(&["REPLCONF", "capa", "eof", "capa", "psync2"]);
    replica.send(&["PSYNC", "?", "-1"]);
    wait_until(PATIENCE, || primary.log().contains("Background RDB transfer started"));
    primary.ok(&["CONFIG", "SET", "repl-timeout", "1"]);
    wait_until(PATIENCE, || primary.log().contains("Disconnecting timedout replica (full sync)"));
    wait_until(PATIENCE, || primary.number("connected_slaves") == 0);
}

/// Transfers run side by side and cost little, so none waits for others unless it is told to, as by the stock configuration file.
#[test]
fn a_full_sync_begins_at_once_unless_a_delay_is_set() {
    let took = |options: &[&str]| {
        let (primary, replica) = (ours(options), ours(&[]));
        let start = Instant::now();
        replica.ok(&["REPLICAOF", "127.0.0.1", &primary.port.to_string()]);
        wait_until(PATIENCE, || replica.info("master_link_status") == "up");
        start.elapsed()
    };
    let second = Duration::from_secs(1);
    assert!((0..3).any(|_| took(&[]) < second), "in none of three attempts");
    assert!(took(&["--repl-diskless-sync-delay", "1"]) >= second);
}
