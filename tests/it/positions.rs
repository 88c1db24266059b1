//! A partial resync is granted only where the data is what its position says: files and replicas that had one by mistake.

use crate::support::client::bulk;
use crate::support::impostor::{ID, Impostor};
use crate::support::{PATIENCE, Server, ours, wait_until};
use resp::Value;

/// How many partial resyncs a server has granted.
fn granted(server: &Server) -> i64 {
    server.number("sync_partial_ok")
}

/// Replicas are often seeded with a copy of the primary's file. What the primary writes afterwards, before anybody follows it, is in no
/// log.
#[test]
fn a_copy_of_the_file_of_a_primary_that_nobody_followed_is_not_gone_on_with() {
    let (mut primary, mut replica) = (ours(&[]), ours(&[]));
    primary.ok(&["SET", "before", "1"]);
    primary.ok(&["SAVE"]);
    replica.kill();
    std::fs::copy(primary.folder.file("dump.rdb"), replica.folder.file("dump.rdb")).unwrap();
    primary.ok(&["SET", "after", "1"]);
    primary.shutdown(&["SAVE"]);
    primary.restart();
    replica.restart_with(&["--replicaof", "127.0.0.1", &primary.port.to_string()]);
    replica.wait_for_link();
    assert_eq!(replica.call(&["GET", "after"]), bulk("1"));
    assert_eq!(granted(&primary), 0);
}

/// Both files say where they are in the same history.
#[test]
fn a_replica_goes_on_with_a_primary_that_was_followed_when_both_are_restarted() {
    let (mut primary, mut replica) = (ours(&[]), ours(&[]));
    replica.follow(&primary);
    primary.ok(&["SET", "k", "1"]);
    replica.wait_for_offset_of(&primary);
    replica.shutdown(&["SAVE"]);
    primary.shutdown(&["SAVE"]);
    primary.restart();
    replica.restart_with(&["--replicaof", "127.0.0.1", &primary.port.to_string()]);
    replica.wait_for_link();
    assert_eq!((granted(&primary), primary.number("sync_full")), (1, 0));
    assert_eq!(replica.call(&["GET", "k"]), bulk("1"));
}

/// What it holds is neither the old history's data nor a part of it, whatever its offset says.
#[test]
fn nobody_goes_on_with_a_replica_that_has_given_up_its_data() {
    let (mut primary, sibling) = (ours(&[]), ours(&[]));
    let mut replica = ours(&["--repl-diskless-load", "flush-before-load"]);
    sibling.follow(&primary);
    replica.follow(&primary);
    primary.ok(&["SET", "k", "1"]);
    sibling.wait_for_offset_of(&primary);
    replica.wait_for_offset_of(&primary);
    primary.kill();
    // A full sync begins, and the old data goes before the new has come.
    let impostor = Impostor::new();
    impostor.be_followed_by(&replica);
    let _link = impostor.grant(ID);
    wait_until(PATIENCE, || replica.log().contains("Flushing old data"));
    replica.ok(&["REPLICAOF", "NO", "ONE"]);
    assert_eq!(replica.call(&["DBSIZE"]), Value::Int(0));
    sibling.follow(&replica);
    assert_eq!(granted(&replica), 0);
    assert_eq!(sibling.call(&["DBSIZE"]), Value::Int(0), "it has what its primary has");
    // Its file has no position in the history either.
    replica.ok(&["SET", "new", "1"]);
    replica.shutdown(&["SAVE"]);
    replica.restart();
    wait_until(PATIENCE, || sibling.call(&["GET", "new"]) == bulk("1"));
    assert_eq!(granted(&replica), 0);
}
