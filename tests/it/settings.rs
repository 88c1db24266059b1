//! Settings that change what clients meet: addresses, names of commands, the allocator.

use crate::support::client::{Client, texts};
use crate::support::{Folder, PATIENCE, free_port, holds_within, ours};
use std::net::TcpListener;

#[test]
fn who_is_told_ok_can_connect_to_the_new_address() {
    let server = ours(&["--bind", "127.0.0.1"]);
    let mut client = server.client();
    for _ in 0..5 {
        let port = free_port();
        client.ok(&["CONFIG", "SET", "port", &port.to_string()]);
        Client::tcp(port).expect("the address was confirmed").ok(&["SET", "k", "v"]);
    }
    let port: u16 = texts(&client.call(&["CONFIG", "GET", "port"]))[1].parse().unwrap();
    client.ok(&["CONFIG", "SET", "bind", "127.0.0.1 127.0.0.2"]);
    Client::host("127.0.0.2", port).unwrap().ok(&["SET", "k", "x"]);
    client.ok(&["CONFIG", "SET", "bind", "127.0.0.2"]);
    assert!(holds_within(PATIENCE, || Client::host("127.0.0.1", port).is_err()));
    Client::host("127.0.0.2", port).unwrap().ok(&["SET", "k", "w"]);
}

#[test]
fn an_address_that_cannot_be_had_changes_nothing() {
    let server = ours(&["--bind", "127.0.0.1"]);
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().port().to_string();
    let mut client = server.client();
    let before = texts(&client.call(&["CONFIG", "GET", "port", "bind"]));
    let error = client.text(&["CONFIG", "SET", "port", &taken]);
    assert!(error.contains("(possibly related to argument 'port') - Unable to listen on this port: "), "{error}");
    let error = client.text(&["CONFIG", "SET", "bind", "203.0.113.7"]);
    assert!(error.contains("Failed to bind to specified addresses: 203.0.113.7:"), "{error}");
    // Nor does a command of which another part is refused.
    let error = client.text(&["CONFIG", "SET", "port", &free_port().to_string(), "dir", "/there/is/none"]);
    assert!(error.contains("dir"), "{error}");
    assert_eq!(texts(&client.call(&["CONFIG", "GET", "port", "bind"])), before);
    server.ok(&["SET", "still", "there"]);
}

#[test]
fn commands_are_renamed_and_taken_away() {
    let folder = Folder::new();
    let file = folder.file("a.conf");
    let lines = "rename-command FLUSHALL hush\nrename-command KEYS \"\"\nrename-command SET \"\"\nrename-command GET SET\nrename-command CONFIG settings\n";
    std::fs::write(&file, lines).unwrap();
    let mut server = ours(&[&file]);
    for _ in 0..2 {
        let mut client = server.client();
        assert!(client.text(&["FLUSHALL"]).starts_with("ERR unknown command 'FLUSHALL'"));
        client.ok(&["HUSH"]);
        assert!(client.text(&["keys", "*"]).starts_with("ERR unknown command 'keys'"));
        // A name that another command has lost now means this one.
        assert!(client.text(&["GET", "k"]).starts_with("ERR unknown command 'GET'"));
        client.ok(&["MSET", "k", "v"]);
        assert_eq!(client.text(&["SET", "k"]), "v");
        assert!(client.text(&["SET", "k", "w"]).contains("wrong number of arguments"));
        // Transactions take the new names too.
        client.ok(&["MULTI"]);
        assert_eq!(client.text(&["SET", "k"]), "QUEUED");
        assert!(client.text(&["KEYS", "*"]).starts_with("ERR unknown command"));
        assert!(client.text(&["EXEC"]).starts_with("EXECABORT"));
        // The lines are kept when the file is written anew.
        client.ok(&["SETTINGS", "REWRITE"]);
        let written = std::fs::read_to_string(&file).unwrap();
        assert!(written.starts_with(lines), "{written}");
        server.shutdown(&[]);
        server.restart();
    }
}

#[test]
fn freed_memory_is_given_back() {
    let server = ours(&["--save", ""]);
    let value = "v".repeat(4000);
    let mut client = server.client();
    let sets = (0..20_000).map(|i| vec![b"SET".to_vec(), format!("k{i}").into_bytes(), value.clone().into_bytes()]);
    client.pipeline(&sets.collect::<Vec<_>>());
    let full = server.resident_bytes();
    client.ok(&["FLUSHALL"]);
    assert!(holds_within(PATIENCE, || {
        server.ok(&["MEMORY", "PURGE"]);
        server.resident_bytes() + (40 << 20) < full
    }));
    assert!(server.text(&["MEMORY", "MALLOC-STATS"]).contains("jemalloc"));
}
