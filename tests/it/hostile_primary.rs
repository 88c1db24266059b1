//! What a primary may say and must not: no bytes of a peer stop a replica, freeze it or fill it up.

use crate::support::client::{bulk, encoded};
use crate::support::impostor::{ID, Impostor};
use crate::support::sentinel::Sentinel;
use crate::support::{PATIENCE, Product, Server, missing, ours, redis, wait_until};
use std::io::{Read, Write};
use std::net::TcpStream;

const FAST: [&str; 2] = ["--save", ""];

/// An empty data set, announced by its length.
fn empty_data() -> Vec<u8> {
    let server = ours(&[]);
    server.ok(&["SAVE"]);
    let data = std::fs::read(format!("{}/dump.rdb", server.folder.path().display())).unwrap();
    [format!("${}\r\n", data.len()).into_bytes(), data].concat()
}

/// Grants a full sync of nothing and waits until the link is up.
fn link_up(impostor: &Impostor, replica: &Server, data: &[u8]) -> TcpStream {
    let mut stream = impostor.grant(ID);
    stream.write_all(data).unwrap();
    wait_until(PATIENCE, || replica.info("master_link_status") == "up");
    stream
}

#[test]
fn a_primary_that_answers_before_it_is_asked_stops_nothing() {
    for backend in ["io_uring", "epoll"] {
        let replica = ours(&["--save", "", "--io-backend", backend]);
        let impostor = Impostor::new();
        impostor.be_followed_by(&replica);
        let data = empty_data();
        let full = [format!("+PONG\r\n+OK\r\n+OK\r\n+OK\r\n+FULLRESYNC {ID} 0\r\n").as_bytes(), &data].concat();
        for early in [&b"+PONG\r\n+OK\r\n+OK\r\n+OK\r\n"[..], b"+PONG\r\n+OK\r\n+OK\r\n+OK\r\n+CONTINUE\r\n", &full] {
            let mut stream = impostor.accept();
            stream.write_all(early).unwrap();
            // The replica may take the answers or leave; it does not end.
            let mut first = [0; 14];
            stream.read_exact(&mut first).unwrap();
            assert_eq!(&first, b"*1\r\n$4\r\nPING\r\n");
            assert_eq!(replica.info("role"), "slave", "{backend}");
            if early == full {
                wait_until(PATIENCE, || replica.info("master_link_status") == "up");
                stream.write_all(&encoded(&[b"SET", b"k", b"v"])).unwrap();
                wait_until(PATIENCE, || replica.call(&["GET", "k"]) == bulk("v"));
            }
        }
    }
}

#[test]
fn a_stream_that_cannot_be_one_is_dropped_and_made_anew() {
    let data = empty_data();
    let replica = ours(&FAST);
    let impostor = Impostor::new();
    impostor.be_followed_by(&replica);
    let broken: &[&[u8]] = &[
        b"*blabla\r\n",
        b"*2\r\n$3\r\nGET\r\n$x\r\n",
        b"*1\r\n$4\r\nQUIT\r\n",
        b"*2\r\n$9\r\nSUBSCRIBE\r\n$1\r\nc\r\n",
        b"*2\r\n$10\r\nPSUBSCRIBE\r\n$1\r\nc\r\n",
        b"*3\r\n$5\r\nPSYNC\r\n$1\r\n?\r\n$2\r\n-1\r\n",
        b"*1\r\n$4\r\nSYNC\r\n",
        b"*1\r\n$7\r\nMONITOR\r\n",
        b"*1\r\n$5\r\nRESET\r\n",
        b"*2\r\n$5\r\nHELLO\r\n$1\r\n3\r\n",
        b"*3\r\n$6\r\nCLIENT\r\n$5\r\nREPLY\r\n$3\r\nOFF\r\n",
        b"*1\r\n$8\r\nSHUTDOWN\r\n",
        b"*3\r\n$9\r\nREPLICAOF\r\n$2\r\nNO\r\n$3\r\nONE\r\n",
        b"*3\r\n$4\r\nWAIT\r\n$1\r\n1\r\n$1\r\n0\r\n",
        b"*1\r\n$5\r\nMULTI\r\n*1\r\n$4\r\nQUIT\r\n*1\r\n$4\r\nEXEC\r\n",
        b"QUIT\r\n",
        // What a browser sends to a port.
        b"POST / HTTP/1.1\r\nHost: a\r\n\r\n",
        b"*1\r\n$5\r\nhost:\r\n",
    ];
    for (n, bytes) in broken.iter().enumerate() {
        let name = bytes.escape_ascii();
        let mut stream = link_up(&impostor, &replica, &data);
        stream.write_all(&encoded(&[b"SET", b"before", b"1"])).unwrap();
        stream.write_all(bytes).unwrap();
        let _ = stream.write_all(&encoded(&[b"SET", b"after", b"1"]));
        wait_until(PATIENCE, || replica.log().matches("== CRITICAL ==").count() == n + 1);
        assert_eq!(replica.call(&["EXISTS", "after"]), resp::Value::Int(0), "{name}: nothing after it is run");
        // The link ends, also on the primary's side.
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest);
        // Attempts become seldom; a setting of the link makes the next one begin at once.
        replica.ok(&["CONFIG", "SET", "masterauth", &n.to_string()]);
    }
    assert_eq!(replica.log().matches("SECURITY ATTACK").count(), 0);
    // What belongs to a stream goes on, blocking commands too, which find nothing and do not wait.
    let mut stream = link_up(&impostor, &replica, &data);
    for words in [
        &[&b"PING"[..]][..],
        &[b"BLPOP", b"none", b"0"],
        &[b"GET", b"k"],
        &[b"PUBLISH", b"c", b"m"],
        &[b"SELECT", b"0"],
    ] {
        stream.write_all(&encoded(words)).unwrap();
    }
    stream.write_all(&encoded(&[b"SET", b"after", b"2"])).unwrap();
    wait_until(PATIENCE, || replica.call(&["GET", "after"]) == bulk("2"));
    assert_eq!(replica.log().matches("== CRITICAL ==").count(), broken.len());
}

#[test]
fn a_primary_whose_stream_breaks_each_time_is_asked_ever_more_seldom() {
    let replica = ours(&FAST);
    let impostor = Impostor::new();
    impostor.be_followed_by(&replica);
    for n in 0..3 {
        let mut stream = link_up(&impostor, &replica, &empty_data());
        stream.write_all(b"*blabla\r\n").unwrap();
        wait_until(PATIENCE, || replica.log().matches("== CRITICAL ==").count() == n + 1);
    }
    let log = replica.log();
    assert!(log.contains("begins in 2 s") && log.contains("begins in 4 s"), "{log}");
}

#[test]
fn a_primary_that_closes_the_link_each_time_is_not_asked_in_a_loop() {
    let closed = |close: fn(&Impostor, &crate::support::Server)| {
        let (replica, impostor) = (ours(&FAST), Impostor::new());
        impostor.be_followed_by(&replica);
        let start = std::time::Instant::now();
        (0..5).for_each(|_| close(&impostor, &replica));
        start.elapsed()
    };
    // Two of the five attempts are made at once.
    let limit = std::time::Duration::from_millis(2500);
    assert!(closed(|impostor, _| drop(impostor.accept())) > limit);
    assert!(closed(|impostor, replica| drop(link_up(impostor, replica, &empty_data()))) > limit);
}

#[test]
fn a_transaction_without_an_end_does_not_fill_a_replica_or_a_primary() {
    let replica = ours(&["--save", "", "--client-query-buffer-limit", "1mb"]);
    let impostor = Impostor::new();
    impostor.be_followed_by(&replica);
    let mut stream = link_up(&impostor, &replica, &empty_data());
    stream.write_all(b"*1\r\n$5\r\nMULTI\r\n").unwrap();
    let value = vec![b'x'; 10_000];
    let request = encoded(&[b"SET", b"k", &value]);
    while stream.write_all(&request).is_ok() {}
    assert!(replica.log().contains("a transaction that exceeds client-query-buffer-limit"));

    replica.ok(&["REPLICAOF", "NO", "ONE"]);
    let mut client = replica.client();
    client.ok(&["MULTI"]);
    while client.raw(&request).is_ok() {}
    wait_until(PATIENCE, || replica.log().contains("Closing client that reached max query buffer length"));
    assert_eq!(replica.text(&["PING"]), "PONG");
}

#[test]
fn a_replica_that_must_not_diverge_ends_at_an_error_in_the_stream() {
    let data = empty_data();
    for (behavior, read_only, ends) in [
        ("ignore", "yes", false),
        ("panic", "yes", true),
        ("panic-on-replicas", "yes", true),
        // Where clients write to a replica, its data differs anyhow.
        ("panic", "no", false),
    ] {
        let options = ["--propagation-error-behavior", behavior, "--replica-read-only", read_only];
        let mut replica = ours(&[&FAST[..], &options].concat());
        let impostor = Impostor::new();
        impostor.be_followed_by(&replica);
        let mut stream = link_up(&impostor, &replica, &data);
        stream.write_all(&encoded(&[b"SET", b"k", b"text"])).unwrap();
        stream.write_all(&encoded(&[b"INCR", b"k"])).unwrap();
        if ends {
            assert!(!replica.wait_for_end().success(), "{behavior}");
            assert!(replica.log().contains("This replica panicked sending an error to its master"), "{behavior}");
        } else {
            stream.write_all(&encoded(&[b"SET", b"after", b"1"])).unwrap();
            wait_until(PATIENCE, || replica.call(&["GET", "after"]) == bulk("1"));
            assert!(replica.log().contains("This replica is sending an error to its master"), "{behavior}");
        }
    }
}

#[test]
fn a_data_set_that_cannot_fit_on_the_disk_is_refused_at_once() {
    let replica = ours(&FAST);
    replica.ok(&["SET", "old", "data"]);
    let impostor = Impostor::new();
    impostor.be_followed_by(&replica);
    let mut stream = impostor.grant(ID);
    stream.write_all(b"$9000000000000000000\r\nREDIS0010").unwrap();
    wait_until(PATIENCE, || replica.log().contains("announces 9000000000000000000 bytes"));
    assert_eq!(replica.text(&["GET", "old"]), "data");
}

#[test]
fn a_replica_can_be_given_another_primary_while_it_receives_everything() {
    for mode in ["swapdb", "disabled", "flush-before-load"] {
        let replica = ours(&["--save", "", "--repl-diskless-load", mode]);
        let impostor = Impostor::new();
        impostor.be_followed_by(&replica);
        let mut stream = link_up(&impostor, &replica, &empty_data());
        stream.write_all(&encoded(&[b"SET", b"old", b"1"])).unwrap();
        wait_until(PATIENCE, || replica.call(&["GET", "old"]) == bulk("1"));
        drop(stream);
        // The same history once more, so that swapdb serves the old data meanwhile.
        let mut stream = impostor.grant(ID);
        stream.write_all(b"$100000\r\nREDIS0010").unwrap();
        wait_until(PATIENCE, || replica.number("master_sync_in_progress") == 1);
        let good = ours(&FAST);
        good.ok(&["SET", "new", "1"]);
        let mut sentinel = replica.client();
        sentinel.ok(&["MULTI"]);
        let port = good.port.to_string();
        assert_eq!(sentinel.text(&["SLAVEOF", "127.0.0.1", &port]), "QUEUED", "{mode}");
        assert_eq!(sentinel.call(&["EXEC"]), resp::Value::Array(vec![resp::Value::Simple("OK".into())]), "{mode}");
        wait_until(PATIENCE, || replica.call(&["GET", "new"]) == bulk("1"));
    }
}

#[test]
fn a_refusal_that_stays_is_named_and_attempts_slow_down() {
    let slows_down = |replica: &Server, reason: &str| {
        wait_until(PATIENCE, || replica.log().contains("The next attempt to follow the primary begins in 2 s"));
        assert!(replica.log().contains(reason), "{}", replica.log());
    };
    // A wrong password, and at once the right one.
    let primary = ours(&["--requirepass", "secret"]);
    let replica = ours(&["--save", "", "--masterauth", "wrong"]);
    replica.ok(&["REPLICAOF", "127.0.0.1", &primary.port.to_string()]);
    slows_down(&replica, "Unable to AUTH to MASTER");
    replica.ok(&["CONFIG", "SET", "masterauth", "secret"]);
    replica.wait_for_link();
    // A sentinel is nobody's primary.
    let sentinel = Sentinel::start(Product::Ours, "");
    let replica = ours(&FAST);
    replica.ok(&["REPLICAOF", "127.0.0.1", &sentinel.port.to_string()]);
    slows_down(&replica, "Unexpected reply to PSYNC from master: -ERR unknown command");
    // Data that this version cannot load: the key, or what it is, and the type.
    let Some(primary) = redis(&FAST) else { return missing("redis-server") };
    assert!(!primary.text(&["XADD", "a-stream", "*", "field", "value"]).starts_with("ERR"));
    for load in ["disabled", "swapdb"] {
        let replica = ours(&["--save", "", "--repl-diskless-load", load]);
        replica.ok(&["SET", "old", "data"]);
        replica.ok(&["REPLICAOF", "127.0.0.1", &primary.port.to_string()]);
        slows_down(&replica, "in the value of key \"a-stream\": unsupported type");
        assert_eq!(replica.text(&["GET", "old"]), "data", "{load}");
    }
    assert_eq!(primary.int(&["DEL", "a-stream"]), 1);
    let library = "#!lua name=l\nredis.register_function('f', function() return 1 end)";
    assert_eq!(primary.text(&["FUNCTION", "LOAD", library]), "l");
    let replica = ours(&FAST);
    replica.ok(&["REPLICAOF", "127.0.0.1", &primary.port.to_string()]);
    slows_down(&replica, "function");
}
