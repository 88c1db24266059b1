//! Settings that change what clients meet: addresses, names of commands, the allocator.

use crate::support::client::{Client, texts};
use crate::support::{Folder, Killed, PATIENCE, Product, Server, free_port, holds_within, ours, program, wait_until};
use crate::unsupported::refused;
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

#[test]
fn a_change_is_refused_where_the_start_would_be() {
    let server = ours(&["--bind", "127.0.0.1"]);
    // Nobody could connect any more.
    for (name, value) in [("port", "0"), ("bind", "")] {
        let error = server.text(&["CONFIG", "SET", name, value]);
        assert!(error.contains("nobody could connect any more: there is no `unixsocket`"), "{error}");
    }
    assert!(refused("server", &["--port", "0"]).contains("Configured to not listen anywhere"));
    let folder = Folder::new();
    let server = ours(&["--bind", "127.0.0.1", "--unixsocket", &folder.file("s")]);
    let mut client = Client::unix(&folder.file("s")).unwrap();
    client.ok(&["CONFIG", "SET", "port", "0"]);
    assert!(holds_within(PATIENCE, || Client::tcp(server.port).is_err()));
    client.ok(&["CONFIG", "SET", "port", &server.port.to_string()]);
    server.ok(&["SET", "still", "there"]);
}

#[test]
fn more_clients_than_descriptors_are_refused() {
    // Who is privileged may raise the limit, so the privilege is taken away.
    let server = Server::prepare(Product::Ours, &[]);
    let line = format!(
        "ulimit -n 80; exec setpriv --bounding-set=-all --inh-caps=-all {} server --port {} --save ''",
        program(),
        server.port
    );
    let child = std::process::Command::new("sh")
        .args(["-c", &line])
        .stdout(std::process::Stdio::null())
        .current_dir(server.folder.path())
        .spawn()
        .unwrap();
    let _child = Killed(child);
    wait_until(PATIENCE, || Client::tcp(server.port).is_ok_and(|mut client| client.answers()));
    let lowered = texts(&server.call(&["CONFIG", "GET", "maxclients"]));
    let answer = server.text(&["CONFIG", "SET", "maxclients", "5000"]);
    let kept = texts(&server.call(&["CONFIG", "GET", "maxclients"]));
    let fits = server.text(&["CONFIG", "SET", "maxclients", "10"]);
    let saved = server.text(&["SAVE"]);
    assert_eq!((lowered[1].as_str(), kept), ("16", lowered.clone()));
    assert!(
        answer.contains("The operating system is not able to handle the specified number of clients, try with 16"),
        "{answer}"
    );
    assert_eq!((fits.as_str(), saved.as_str()), ("OK", "OK"));
}

#[test]
fn the_advice_fits_what_is_wrong_with_an_address() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().port().to_string();
    let error = refused("server", &["--bind", "127.0.0.1", "--port", &taken]);
    assert!(error.contains("Failed listening on port") && error.contains("Choose another port"), "{error}");
    let error = refused("server", &["--bind", "203.0.113.7", "--port", &free_port().to_string()]);
    assert!(error.contains("203.0.113.7") && error.contains("This machine has no such address"), "{error}");
    assert!(!error.contains("Choose another port"), "{error}");
    // What is no socket is not removed for one.
    let folder = Folder::new();
    let file = folder.file("precious");
    std::fs::write(&file, "data").unwrap();
    let error = refused("server", &["--port", "0", "--unixsocket", &file]);
    assert!(error.contains("There is a file of that name which is no socket"), "{error}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "data");
}
