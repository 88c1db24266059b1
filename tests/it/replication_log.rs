//! The replication log when a replica is far behind: it goes to the disk, and nothing is lost or sent anew.

use crate::support::client::{Client, texts};
use crate::support::data::assert_same;
use crate::support::{PATIENCE, Server, ours, redis, wait_until};
use resp::Value;
use std::time::{Duration, Instant};

const VALUE_BYTES: usize = 100_000;

fn write_much(primary: &Server, rounds: usize) {
    let mut client = primary.client();
    for round in 0..rounds {
        let value = format!("{round:06}").repeat(VALUE_BYTES / 6);
        client.ok(&["SET", &format!("key:{}", round % 10), &value]);
    }
}

fn a_sleeping_replica(primary: Server, replica: Server) {
    replica.ok(&["REPLICAOF", "127.0.0.1", &primary.port.to_string()]);
    replica.wait_for_link();
    write_much(&primary, 10);
    replica.wait_for_offset_of(&primary);
    let before = primary.number("used_memory");
    replica.signal("STOP");
    write_much(&primary, 600);
    // The replica's socket has taken some of the 60 MB, and the back-log keeps some.
    wait_until(PATIENCE, || primary.number("repl_log_spilled_bytes") > 40_000_000);
    wait_until(PATIENCE, || primary.number("used_memory") - before < 15_000_000);
    replica.signal("CONT");
    replica.wait_for_offset_of(&primary);
    wait_until(PATIENCE, || primary.number("repl_log_spilled_bytes") == 0);
    assert_same(&primary, &replica);
    // And again, now that the file has been given back.
    replica.signal("STOP");
    write_much(&primary, 300);
    wait_until(PATIENCE, || primary.number("repl_log_spilled_bytes") > 10_000_000);
    replica.signal("CONT");
    replica.wait_for_offset_of(&primary);
    assert_same(&primary, &replica);
    assert_eq!(primary.number("sync_full"), 1, "{}", primary.log());
}

#[test]
fn a_replica_far_behind_costs_no_memory() {
    a_sleeping_replica(ours(&[]), ours(&[]));
}

#[test]
fn a_redis_replica_far_behind_costs_no_memory() {
    let Some(replica) = redis(&[]) else { return };
    a_sleeping_replica(ours(&[]), replica);
}

#[test]
fn a_link_that_broke_meanwhile_goes_on_from_the_disk() {
    let (primary, replica, slow) = (ours(&[]), ours(&[]), ours(&[]));
    for of in [&replica, &slow] {
        of.ok(&["REPLICAOF", "127.0.0.1", &primary.port.to_string()]);
        of.wait_for_link();
    }
    slow.signal("STOP");
    write_much(&primary, 200);
    replica.wait_for_offset_of(&primary);
    replica.signal("STOP");
    write_much(&primary, 300);
    wait_until(PATIENCE, || primary.number("repl_log_spilled_bytes") > 30_000_000);
    // While one replica holds the log, the other one can still continue where its link broke.
    primary.call(&["CLIENT", "KILL", "ID", &replica_id(&primary, replica.port)]);
    replica.signal("CONT");
    replica.wait_for_offset_of(&primary);
    assert_same(&primary, &replica);
    assert_eq!((primary.number("sync_full"), primary.number("sync_partial_ok")), (2, 1), "{}", primary.log());
    slow.signal("CONT");
    slow.wait_for_offset_of(&primary);
    assert_same(&primary, &slow);
}

/// A client that writes many requests at once, 2 MB/s; how many of them were answered when the connection ended.
fn write_until_killed(port: u16, name: &str) -> usize {
    /// A replica on a busy machine must not fall behind by more than the kernel's buffers hold: nobody could send it more.
    const PAUSE: Duration = Duration::from_millis(10);
    let mut client = Client::tcp(port).unwrap();
    let value = "x".repeat(1000);
    for written in (0..).step_by(20) {
        std::thread::sleep(PAUSE);
        let requests = (written..written + 20).map(|n| format!("SET {name}:{n} {value}\r\n")).collect::<String>();
        if client.raw(requests.as_bytes()).is_err() {
            return written;
        }
        if let Some(answered) = (0..20).find(|_| client.try_reply().is_err()) {
            return written + answered;
        }
    }
    unreachable!("the server is killed")
}

/// Under much load the stream is sent in larger portions; no write that was answered waits for that inside the process.
#[test]
fn what_was_acknowledged_survives_the_killing_of_the_process() {
    for round in 0..6 {
        let (mut primary, replica) = (ours(&["--repl-diskless-sync-delay", "0"]), ours(&[]));
        replica.ok(&["REPLICAOF", "127.0.0.1", &primary.port.to_string()]);
        replica.wait_for_link();
        let names = ["a", "b", "c", "d", "e", "f", "g", "h"];
        let port = primary.port;
        let writers = names.map(|name| std::thread::spawn(move || write_until_killed(port, name)));
        // The rate is known after some hundredths of a second.
        wait_until(PATIENCE, || primary.number("master_repl_offset") > 10_000_000 + round * 1_000_003);
        primary.kill();
        let answered = writers.map(|writer| writer.join().unwrap());
        wait_until(PATIENCE, || replica.info("master_link_status") == "down");
        let mut client = replica.client();
        for (name, answered) in names.iter().zip(answered) {
            for n in answered.saturating_sub(300)..answered {
                assert_eq!(client.call(&["EXISTS", &format!("{name}:{n}")]), Value::Int(1), "{n} of {answered}");
            }
        }
    }
}

/// A replica that comes back gets what it has missed with the answer, not when something else happens on the primary.
#[test]
fn a_partial_resync_begins_at_once() {
    /// Whoever waits for the primary's clock waits for its next turn, and the turns are 100 ms apart.
    const AT_ONCE: Duration = Duration::from_millis(50);
    for backend in ["io_uring", "epoll"] {
        let primary = ours(&["--io-backend", backend]);
        let mut replica = ours(&[]);
        replica.follow(&primary);
        let (history, have) = (primary.info("master_replid"), primary.number("master_repl_offset"));
        primary.ok(&["SET", "missed", "1"]);
        replica.kill();
        let quick = (0..30).filter(|_| {
            let mut link = primary.client();
            let start = Instant::now();
            link.send(&["PSYNC", &history, &(have + 1).to_string()]);
            assert!(matches!(link.reply(), Value::Simple(answer) if answer.starts_with(b"CONTINUE")));
            while !texts(&link.reply()).contains(&"missed".to_owned()) {}
            start.elapsed() < AT_ONCE
        });
        let quick = quick.count();
        assert!(quick > 15, "only {quick} of 30 with {backend}");
    }
}

/// With `repl-disable-tcp-nodelay` TCP itself says when small segments leave; much or little, all of it arrives.
#[test]
fn a_replica_whose_segments_tcp_merges_gets_all_of_them() {
    let (primary, replica) = (ours(&["--repl-disable-tcp-nodelay", "yes"]), ours(&[]));
    replica.follow(&primary);
    write_much(&primary, 100);
    replica.wait_for_offset_of(&primary);
    for n in 0..20 {
        primary.ok(&["SET", "few", &n.to_string()]);
        replica.wait_for_offset_of(&primary);
    }
    assert_same(&primary, &replica);
    assert_eq!(primary.number("sync_full"), 1, "{}", primary.log());
}

/// The client id of the replica that listens on this port: the order of `slaveN` is that of the clients.
fn replica_id(primary: &Server, port: u16) -> String {
    let position = (0..2).find(|i| primary.info(&format!("slave{i}")).contains(&format!("port={port},"))).unwrap();
    let list = primary.text(&["CLIENT", "LIST", "TYPE", "replica"]);
    let line = list.lines().nth(position).unwrap();
    line.strip_prefix("id=").and_then(|rest| rest.split(' ').next()).unwrap().to_owned()
}

#[test]
fn a_hard_limit_below_the_backlogs_size_cuts_nobody_off_within_it() {
    let options = ["--client-output-buffer-limit", "replica 1mb 0 0", "--repl-backlog-size", "30mb"];
    let (primary, replica) = (ours(&options), ours(&[]));
    replica.follow(&primary);
    replica.signal("STOP");
    // More than the limit and what sockets take, less than the back-log.
    write_much(&primary, 200);
    replica.signal("CONT");
    replica.wait_for_offset_of(&primary);
    assert_eq!(primary.number("client_output_buffer_limit_disconnections"), 0, "{}", primary.log());
    assert_eq!(primary.number("sync_full"), 1);
    // Beyond that the limit holds.
    replica.signal("STOP");
    write_much(&primary, 600);
    wait_until(PATIENCE, || primary.number("client_output_buffer_limit_disconnections") == 1);
    replica.signal("CONT");
    replica.wait_for_offset_of(&primary);
    assert_same(&primary, &replica);
}

#[test]
fn the_log_shrinks_when_the_replica_that_held_it_goes() {
    let (primary, mut replica) = (ours(&[]), ours(&[]));
    replica.follow(&primary);
    let before = primary.number("mem_total_replication_buffers");
    replica.signal("STOP");
    write_much(&primary, 300);
    wait_until(PATIENCE, || primary.number("repl_log_spilled_bytes") > 10_000_000);
    replica.kill();
    // Nothing is written any more: the loss alone must set it free.
    let backlog = primary.number("repl_backlog_size");
    wait_until(PATIENCE, || {
        primary.number("repl_log_spilled_bytes") == 0
            && primary.number("mem_total_replication_buffers") <= before + 2 * backlog
    });
    assert_eq!(primary.number("connected_slaves"), 0);
}

#[test]
fn what_a_connection_said_of_itself_is_forgotten_with_it() {
    let primary = ours(&[]);
    let clients = primary.number("connected_clients");
    let mut first = primary.client();
    first.ok(&["REPLCONF", "listening-port", "7777", "ip-address", "192.0.2.1", "capa", "eof"]);
    drop(first);
    wait_until(PATIENCE, || primary.number("connected_clients") == clients);
    // The next connection is given the place of the one that went; it says nothing of itself.
    let mut second = primary.client();
    second.send(&["PSYNC", "?", "-1"]);
    wait_until(PATIENCE, || primary.number("connected_slaves") == 1);
    let line = primary.info("slave0");
    assert!(line.starts_with("ip=127.0.0.1,port=0,"), "{line}");
}
