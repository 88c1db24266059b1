//! Walkthroughs of durability and of the ways people run it, each named after its id.

use crate::support::client::{bulk, texts};
use crate::support::data::{Contents, contents, fill};
use crate::support::{PATIENCE, Product, Server, have, ours, wait_until};
use resp::Value;
use std::time::{SystemTime, UNIX_EPOCH};

fn unix_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as i64
}

/// What a server holds, without the keys that are about to expire.
fn lasting(server: &Server) -> Contents {
    let soon = unix_ms() + 60_000;
    let mut all = contents(server);
    all.retain(|_, (_, _, expires)| *expires < 0 || *expires > soon);
    assert!(all.len() > 500, "only {} keys", all.len());
    assert!(all.keys().any(|(db, _)| *db == 3), "all databases have keys");
    for kind in ["string", "list", "set", "hash", "zset"] {
        assert!(all.values().any(|(k, _, _)| k == kind), "there is no {kind}");
    }
    assert!(all.values().any(|(_, _, expires)| *expires > 0), "some keys expire");
    all
}

#[test]
fn c1_saving() {
    let mut server = ours(&["--save", "3600 1 300 100 60 10000"]);
    assert_eq!(texts(&server.call(&["CONFIG", "GET", "save"])), ["save", "3600 1 300 100 60 10000"]);
    fill(&server, 3000, 1);
    let before = lasting(&server);
    assert_ne!(server.number("rdb_changes_since_last_save"), 0);
    server.ok(&["SAVE"]);
    assert_eq!(server.number("rdb_changes_since_last_save"), 0);
    server.kill();
    server.restart();
    assert!(lasting(&server) == before, "what was saved is not what came back");
    // BGSAVE, LASTSAVE.
    server.ok(&["SET", "k", "v"]);
    let last = server.int(&["LASTSAVE"]);
    wait_until(PATIENCE, || unix_ms() / 1000 > last);
    assert_eq!(server.text(&["BGSAVE"]), "Background saving started");
    wait_until(PATIENCE, || server.info("rdb_bgsave_in_progress") == "0" && server.int(&["LASTSAVE"]) > last);
    assert_eq!(server.info("rdb_last_bgsave_status"), "ok");
    server.kill();
    server.restart();
    assert_eq!(server.call(&["GET", "k"]), bulk("v"));
    // A save point.
    server.ok(&["CONFIG", "SET", "save", "1 2"]);
    server.ok(&["SET", "a", "1"]);
    server.ok(&["SET", "b", "2"]);
    wait_until(PATIENCE, || server.number("rdb_changes_since_last_save") == 0);
    // SHUTDOWN saves where there are save points, SHUTDOWN NOSAVE does not.
    server.ok(&["SET", "c", "3"]);
    server.shutdown(&[]);
    server.restart();
    assert_eq!(server.call(&["GET", "c"]), bulk("3"));
    server.ok(&["SET", "d", "4"]);
    server.shutdown(&["NOSAVE"]);
    server.restart();
    assert_eq!(server.call(&["GET", "d"]), Value::Null);
    assert_eq!(server.call(&["GET", "b"]), bulk("2"));
}

#[test]
fn c1_save_without_save_points_and_other_options() {
    let mut server = ours(&["--dbfilename", "other.rdb", "--rdbcompression", "no", "--rdbchecksum", "no"]);
    server.ok(&["SET", "k", &"a".repeat(5000)]);
    server.shutdown(&["SAVE"]);
    let bytes = std::fs::read(server.folder.file("other.rdb")).unwrap();
    assert!(bytes.len() > 5000, "it is not compressed");
    assert!(bytes.ends_with(&[0; 8]), "the checksum is left out");
    server.restart_with(&["--dbfilename", "other.rdb"]);
    assert_eq!(server.int(&["STRLEN", "k"]), 5000);
    server.ok(&["SAVE"]);
    let bytes = std::fs::read(server.folder.file("other.rdb")).unwrap();
    assert!(bytes.len() < 1000 && !bytes.ends_with(&[0; 8]));
    server.signal("TERM");
    assert!(server.wait_for_end().success());
}

#[test]
fn c1_files_exchanged_with_redis() {
    if !have("redis-server") {
        return;
    }
    for (writer, reader, seed) in [(Product::Ours, Product::Redis, 31), (Product::Redis, Product::Ours, 32)] {
        let mut first = Server::start(writer, &[]);
        fill(&first, 3000, seed);
        let before = lasting(&first);
        first.ok(&["SAVE"]);
        first.kill();
        let mut second = Server::prepare(reader, &[]);
        std::fs::copy(first.folder.file("dump.rdb"), second.folder.file("dump.rdb")).unwrap();
        second.restart();
        assert!(lasting(&second) == before, "{reader:?} reads something else from the file of {writer:?}");
    }
}
