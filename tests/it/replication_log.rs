//! The replication log when a replica is far behind: it goes to the disk, and nothing is lost or sent anew.

use crate::support::data::assert_same;
use crate::support::{PATIENCE, Server, ours, redis, wait_until};

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

/// The client id of the replica that listens on this port: the order of `slaveN` is that of the clients.
fn replica_id(primary: &Server, port: u16) -> String {
    let position = (0..2).find(|i| primary.info(&format!("slave{i}")).contains(&format!("port={port},"))).unwrap();
    let list = primary.text(&["CLIENT", "LIST", "TYPE", "replica"]);
    let line = list.lines().nth(position).unwrap();
    line.strip_prefix("id=").and_then(|rest| rest.split(' ').next()).unwrap().to_owned()
}
