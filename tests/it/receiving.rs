//! Full syncs that break, and what is left of the replica's old data, by `repl-diskless-load`.

use crate::support::client::{bulk, texts};
use crate::support::impostor::{ID, Impostor};
use crate::support::{PATIENCE, Server, holds_within, ours, wait_until};
use std::io::Write;

fn replica_with_data(mode: &str) -> Server {
    let replica = ours(&["--repl-diskless-load", mode, "--repl-timeout", "20"]);
    replica.ok(&["SET", "old", "data"]);
    replica
}

fn folder_of(server: &Server) -> String {
    texts(&server.call(&["CONFIG", "GET", "dir"]))[1].clone()
}

fn temporary_files(server: &Server) -> usize {
    let names = std::fs::read_dir(folder_of(server)).unwrap().map(|f| f.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.starts_with("temp-")).count()
}

/// A data file with one key, as a server of ours writes it.
fn data_file() -> Vec<u8> {
    let server = ours(&[]);
    server.ok(&["SET", "new", "data"]);
    server.ok(&["SAVE"]);
    std::fs::read(format!("{}/dump.rdb", folder_of(&server))).unwrap()
}

#[test]
fn a_full_sync_that_breaks_leaves_the_old_data() {
    let impostor = Impostor::new();
    for mode in ["disabled", "on-empty-db"] {
        let replica = replica_with_data(mode);
        impostor.be_followed_by(&replica);
        // Half of what was announced, for both ways of saying how much there is.
        for header in ["$100000\r\n", "$EOF:abcdefghijabcdefghijabcdefghijabcdefghij\r\n"] {
            let mut stream = impostor.grant(ID);
            stream.write_all(header.as_bytes()).unwrap();
            stream.write_all(&[b'x'; 50_000]).unwrap();
            wait_until(PATIENCE, || temporary_files(&replica) == 1);
            assert_eq!((replica.number("master_sync_in_progress"), replica.number("loading")), (1, 0));
            assert_eq!(replica.text(&["GET", "old"]), "data", "{mode}: served while the new data comes in");
            drop(stream);
            wait_until(PATIENCE, || temporary_files(&replica) == 0);
            assert_eq!(replica.text(&["GET", "old"]), "data", "{mode}");
        }
        // All of it, but damaged.
        let mut damaged = data_file();
        let middle = damaged.len() - 20;
        damaged[middle] ^= 0x55;
        let mut stream = impostor.grant(ID);
        stream.write_all(format!("${}\r\n", damaged.len()).as_bytes()).unwrap();
        stream.write_all(&damaged).unwrap();
        wait_until(PATIENCE, || {
            replica.log().matches("Failed trying to load the MASTER synchronization DB").count() == 3
        });
        assert_eq!(replica.text(&["GET", "old"]), "data", "{mode}");
        // And all of it: the file is the data file from then on.
        let good = data_file();
        for (header, end) in [(format!("${}\r\n", good.len()), ""), (format!("$EOF:{ID}\r\n"), ID)] {
            replica.ok(&["REPLICAOF", "NO", "ONE"]);
            replica.ok(&["FLUSHALL"]);
            replica.ok(&["SET", "old", "data"]);
            impostor.be_followed_by(&replica);
            let mut stream = impostor.grant(ID);
            stream.write_all(header.as_bytes()).unwrap();
            // The mark comes in two parts, with the stream behind it.
            stream.write_all(&good).unwrap();
            stream.write_all(&end.as_bytes()[..end.len() / 2]).unwrap();
            std::thread::yield_now();
            stream.write_all(&end.as_bytes()[end.len() / 2..]).unwrap();
            stream.write_all(b"*3\r\n$3\r\nSET\r\n$4\r\nmore\r\n$4\r\ndata\r\n").unwrap();
            wait_until(PATIENCE, || replica.call(&["GET", "more"]) == bulk("data"));
            assert_eq!((replica.text(&["GET", "new"]), replica.int(&["DBSIZE"])), ("data".into(), 2), "{mode}");
            assert_eq!(temporary_files(&replica), 0);
            let file = std::fs::read(format!("{}/dump.rdb", folder_of(&replica))).unwrap();
            assert_eq!(file, good);
        }
    }
}

#[test]
fn swapdb_keeps_the_old_data_and_serves_it_only_with_the_same_history() {
    let impostor = Impostor::new();
    let replica = replica_with_data("swapdb");
    impostor.be_followed_by(&replica);
    let good = data_file();
    // An unknown history: the old data is kept but not shown.
    let mut stream = impostor.grant(ID);
    stream.write_all(format!("${}\r\n", good.len()).as_bytes()).unwrap();
    wait_until(PATIENCE, || replica.number("loading") == 1);
    assert!(replica.text(&["GET", "old"]).starts_with("LOADING"));
    drop(stream);
    wait_until(PATIENCE, || replica.call(&["GET", "old"]) == bulk("data"));
    let mut stream = impostor.grant(ID);
    stream.write_all(format!("${}\r\n", good.len()).as_bytes()).unwrap();
    stream.write_all(&good).unwrap();
    wait_until(PATIENCE, || replica.call(&["GET", "new"]) == bulk("data"));
    // The same history again: it is served until the new is there.
    drop(stream);
    let mut stream = impostor.grant(ID);
    stream.write_all(format!("${}\r\n", good.len()).as_bytes()).unwrap();
    wait_until(PATIENCE, || replica.number("async_loading") == 1);
    assert_eq!(replica.text(&["GET", "new"]), "data");
    assert_eq!(replica.number("loading"), 0);
    stream.write_all(&good).unwrap();
    wait_until(PATIENCE, || replica.info("master_link_status") == "up");
    assert_eq!(temporary_files(&replica), 0);
}

#[test]
fn an_empty_replica_needs_no_file() {
    for mode in ["disabled", "on-empty-db", "flush-before-load"] {
        let impostor = Impostor::new();
        let replica = ours(&["--repl-diskless-load", mode]);
        impostor.be_followed_by(&replica);
        let mut stream = impostor.grant(ID);
        stream.write_all(b"$100000\r\nREDIS0010").unwrap();
        wait_until(PATIENCE, || replica.number("loading") == 1);
        assert_eq!(temporary_files(&replica), 0, "{mode}");
        drop(stream);
        assert!(holds_within(PATIENCE, || replica.number("loading") == 0));
    }
}
