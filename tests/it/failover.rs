//! FAILOVER between our servers and with Redis on the other side: the role moves, no write is lost, nobody copies.

use crate::support::client::{bulk, text};
use crate::support::data::{assert_same, fill};
use crate::support::{Client, PATIENCE, Product, Server, have, holds_within, ours, wait_until};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

fn wait_for_end(server: &Server) {
    let ended = holds_within(PATIENCE, || server.info("master_failover_state") == "no-failover");
    assert!(ended, "the failover does not end:\n{}", server.log());
}

fn is_online(primary: &Server, replica: &Server) -> bool {
    primary
        .info_lines("replication")
        .iter()
        .any(|(_, v)| v.contains(&format!("port={},", replica.port)) && v.contains("state=online"))
}

/// A primary and its replica, of these makers.
fn pair(primary: Product, replica: Product) -> (Server, Server) {
    let options = ["--save", "", "--repl-diskless-sync-delay", "0", "--enable-debug-command", "yes"];
    let (primary, replica) = (Server::start(primary, &options), Server::start(replica, &options));
    fill(&primary, 200, 7);
    replica.follow(&primary);
    wait_until(PATIENCE, || is_online(&primary, &replica));
    (primary, replica)
}

/// Counts up as fast as it can, going to the other server when it is told that this one is a replica now.
/// Gives the last number that was acknowledged.
fn count_up(ports: [u16; 2], stop: &AtomicBool) -> i64 {
    let (mut at, mut last) = (0, 0);
    let mut client = Client::tcp(ports[0]).unwrap();
    while !stop.load(Ordering::Relaxed) {
        match client.try_call(&["INCR", "counter"]) {
            Ok(resp::Value::Int(n)) => last = n,
            _ => {
                at = 1 - at;
                client = Client::tcp(ports[at]).unwrap();
                std::thread::sleep(Duration::from_millis(2));
            }
        }
    }
    last
}

fn counter(server: &Server) -> i64 {
    server.call(&["GET", "counter"]).as_bytes().map_or(0, |b| String::from_utf8_lossy(b).parse().unwrap())
}

fn no_acknowledged_write_is_lost(first: Product, second: Product) {
    if [first, second].contains(&Product::Redis) && !have("redis-server") {
        return;
    }
    let (a, b) = pair(first, second);
    let stop = Arc::new(AtomicBool::new(false));
    let (ports, stop_too) = ([a.port, b.port], stop.clone());
    let writer = std::thread::spawn(move || count_up(ports, &stop_too));
    wait_until(PATIENCE, || counter(&a) > 100);
    let syncs = b.number("sync_full");
    a.ok(&["FAILOVER", "TO", "127.0.0.1", &b.port.to_string(), "TIMEOUT", "10000"]);
    wait_for_end(&a);
    assert_eq!(a.info("role"), "slave", "{}", a.log());
    assert_eq!(b.info("role"), "master", "{}", b.log());
    a.wait_for_link();
    let seen = counter(&b);
    wait_until(PATIENCE, || counter(&b) > seen);
    stop.store(true, Ordering::Relaxed);
    let last = writer.join().unwrap();
    assert_eq!(b.call(&["GET", "counter"]), bulk(&last.to_string()), "a number that was acknowledged is lost");
    assert_eq!(b.number("sync_full"), syncs, "the old primary needs no copy");
    assert!(b.number("sync_partial_ok") >= 1);
    a.wait_for_offset_of(&b);
    assert_same(&a, &b);
}

#[test]
fn the_role_moves_under_writes_and_loses_none() {
    no_acknowledged_write_is_lost(Product::Ours, Product::Ours);
}

#[test]
fn the_role_moves_from_us_to_redis() {
    no_acknowledged_write_is_lost(Product::Ours, Product::Redis);
}

#[test]
fn the_role_moves_from_redis_to_us() {
    no_acknowledged_write_is_lost(Product::Redis, Product::Ours);
}

#[test]
fn what_is_refused_is_refused_in_redis_words() {
    let servers = |product| {
        let alone = Server::start(product, &["--save", ""]);
        let (primary, replica) = pair(product, product);
        let port = replica.port.to_string();
        let asks = |server: &Server, words: &[&str]| server.text(words).replace(&port, "PORT");
        vec![
            asks(&alone, &["FAILOVER"]),
            asks(&alone, &["FAILOVER", "ABORT"]),
            asks(&replica, &["FAILOVER"]),
            asks(&primary, &["FAILOVER", "TO", "127.0.0.1", "1"]),
            asks(&primary, &["FAILOVER", "TO", "127.0.0.1", "x"]),
            asks(&primary, &["FAILOVER", "TO", "nobody", &port]),
            asks(&primary, &["FAILOVER", "TO", "127.0.0.1"]),
            asks(&primary, &["FAILOVER", "TO", "127.0.0.1", &port, "FORCE"]),
            asks(&primary, &["FAILOVER", "FORCE", "TIMEOUT", "100"]),
            asks(&primary, &["FAILOVER", "TIMEOUT", "0"]),
            asks(&primary, &["FAILOVER", "TIMEOUT", "-1"]),
            asks(&primary, &["FAILOVER", "TIMEOUT", "x"]),
            asks(&primary, &["FAILOVER", "ABORT", "NOW"]),
            asks(&primary, &["FAILOVER", "SOON"]),
            asks(&primary, &["PSYNC", "0123456789012345678901234567890123456789", "1", "FAILOVER"]),
            primary.info("master_failover_state"),
        ]
    };
    if have("redis-server") {
        assert_eq!(servers(Product::Ours), servers(Product::Redis));
    }
}

#[test]
fn a_replica_that_never_catches_up_ends_it_and_writes_go_on() {
    let (primary, replica) = pair(Product::Ours, Product::Ours);
    let port = replica.port.to_string();
    replica.signal("STOP");
    primary.ok(&["SET", "k", "1"]);
    primary.ok(&["FAILOVER", "TO", "127.0.0.1", &port, "TIMEOUT", "300"]);
    assert_eq!(primary.info("master_failover_state"), "waiting-for-sync");
    assert!(primary.text(&["FAILOVER"]).starts_with("ERR FAILOVER already in progress"));
    assert!(
        primary.text(&["REPLICAOF", "127.0.0.1", &port]).starts_with("ERR REPLICAOF not allowed while failing over")
    );
    // Reads are answered; a write waits, and is run when it is over.
    let mut writer = primary.client();
    writer.send(&["SET", "k", "2"]);
    assert_eq!(primary.call(&["GET", "k"]), bulk("1"));
    assert_eq!(text(&writer.reply()), "OK");
    assert_eq!(primary.info("master_failover_state"), "no-failover");
    assert_eq!(primary.info("role"), "master");
    assert!(primary.log().contains("while waiting-for-sync: Replica never caught up before timeout"));

    primary.ok(&["FAILOVER", "TO", "127.0.0.1", &port, "TIMEOUT", "60000"]);
    primary.ok(&["FAILOVER", "ABORT"]);
    assert_eq!(primary.info("master_failover_state"), "no-failover");
    assert!(primary.text(&["FAILOVER", "ABORT"]).starts_with("ERR No failover in progress"));
    primary.ok(&["SET", "k", "3"]);
    replica.signal("CONT");
    replica.wait_for_offset_of(&primary);
    assert_same(&primary, &replica);
}

#[test]
fn force_gives_the_role_away_when_the_time_is_over() {
    let (primary, replica) = pair(Product::Ours, Product::Ours);
    replica.signal("STOP");
    primary.ok(&["SET", "k", "1"]);
    primary.ok(&["FAILOVER", "TO", "127.0.0.1", &replica.port.to_string(), "TIMEOUT", "100", "FORCE"]);
    wait_until(PATIENCE, || primary.info("master_failover_state") == "failover-in-progress");
    assert_eq!(primary.info("role"), "slave");
    replica.signal("CONT");
    wait_for_end(&primary);
    primary.wait_for_link();
    assert_eq!(replica.info("role"), "master");
    assert!(primary.log().contains("time out exceeded, failing over."));
    // The kernel had the write for the replica: it has it, though it had not said so.
    assert_eq!(replica.call(&["GET", "k"]), bulk("1"));
    primary.wait_for_offset_of(&replica);
    assert_same(&primary, &replica);
}

#[test]
fn a_failover_to_any_replica_takes_one_that_has_everything() {
    let (primary, replica) = pair(Product::Ours, Product::Ours);
    let stopped = ours(&["--save", ""]);
    stopped.follow(&primary);
    wait_until(PATIENCE, || is_online(&primary, &stopped));
    stopped.signal("STOP");
    primary.ok(&["SET", "k", "1"]);
    primary.ok(&["FAILOVER"]);
    wait_for_end(&primary);
    assert_eq!(replica.info("role"), "master");
    assert_eq!(primary.info("master_port"), replica.port.to_string());
    stopped.signal("CONT");
    stopped.ok(&["REPLICAOF", "127.0.0.1", &replica.port.to_string()]);
    stopped.wait_for_offset_of(&replica);
    assert_eq!(replica.number("sync_full"), 0, "{}", replica.log());
    assert_same(&stopped, &replica);
}
