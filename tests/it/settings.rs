//! Settings that change what clients meet: addresses, names of commands, the allocator.

use crate::support::client::{Client, text, texts};
use crate::support::{
    Folder, Killed, PATIENCE, Product, Server, free_port, holds_within, ours, program, redis, wait_until,
};
use crate::unsupported::refused;
use std::collections::BTreeMap;
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

/// Values that are wrong for most options, or at the edge of what they take.
const EDGES: &[&str] = &[
    "",
    "-1",
    "0",
    "1",
    "2",
    "-5",
    "-1k",
    "1k",
    "1kb",
    "1mb",
    "5%",
    "-5%",
    "101%",
    "abc",
    "yes",
    "no",
    "1.5",
    "0x10",
    "+1",
    "00",
    "01",
    "9223372036854775807",
    "9223372036854775808",
    "-9223372036854775808",
    "4294967296",
    "65536",
    "1e3",
    "1g",
    "1GB",
    "1 1",
    "a b",
];

/// Values of options that are several words.
const WORDS: &[(&str, &[&str])] = &[
    (
        "client-output-buffer-limit",
        &[
            "normal -1 0 0",
            "normal 0 -1 0",
            "normal 0 0 -1",
            "normal 0 -1k 0",
            "normal 1k 0 0",
            "normal 0 0 1k",
            "normal 0 0",
            "normal",
            "x 0 0 0",
            "normal 0 0 0 slave",
            "slave 1 2 3",
            "NORMAL 0 0 0",
            "normal 1 2 3 pubsub 1 2 3",
            "normal 1.5 0 0",
            "normal +1 0 0",
            "normal 01 0 0",
        ],
    ),
    ("save", &["1", "-1 1", "1 -1", "0 1", "1 0", "1 1 1", "a 1", "1 1 2 2"]),
    ("oom-score-adj-values", &["1 2", "1 2 3", "1 2 3 4", "-2001 0 0", "3 2 1", "0 200 2001", "a b c", "-1 0 1"]),
    ("notify-keyspace-events", &["KEA", "kea", "x", "AKE", "Z", "K E", "mKE"]),
    ("proc-title-template", &["{title", "{}", "{nope}", "x", "{title} {port}"]),
    ("maxmemory-policy", &["LRU", "ALLKEYS-LRU"]),
    ("latency-tracking-info-percentiles", &["50", "50 99", "101", "-1", "50,99", "100", "99.99999"]),
    ("shutdown-on-sigterm", &["save nosave", "now", "force now", "x", "default", "SAVE", "now now"]),
];

/// Options that are not compared, or not with some values, and why.
const APART: &[(&str, &[&str], &str)] = &[
    ("dir", &[], "a folder of the test"),
    ("port", &[], "clients would lose it"),
    ("bind", &[], "clients would lose it"),
    ("unixsocket", &[], "a file of the test"),
    ("maxclients", &[], "both depend on the limit of open files, which they raise differently"),
    ("requirepass", &[], "the test would be locked out"),
    ("io-threads-do-reads", &[], "can be changed here, without effect"),
    ("activedefrag", &["yes"], "some builds of Redis cannot"),
    ("appendonly", &["yes"], "there is none yet"),
    ("cluster-announce-hostname", &[], "there is no cluster yet"),
    ("tls-port", &[], "there is no TLS yet"),
    ("tls-replication", &[], "there is no TLS yet"),
    ("tls-cluster", &[], "there is no TLS yet"),
    ("maxmemory-samples", &["65536"], "Redis 7.2 takes 64 at most"),
    ("maxmemory", &["", "9223372036854775808"], "an empty word or too large a number is no amount of memory"),
    ("cluster-link-sendbuf-limit", &["9223372036854775808"], "too large a number is no amount of memory"),
    ("save", &["", "01 1"], "an empty word is another case; zeros before a number of seconds are a slip"),
    ("client-output-buffer-limit", &[""], "an empty word changes nothing in Redis and is a slip"),
];

/// An empty word is no amount of memory here; in Redis it is 0, which for limits means none.
const EMPTY_IS_REFUSED: &str = "argument must be a memory";

#[test]
fn values_at_the_edges_are_taken_or_refused_as_redis_does() {
    let Some(theirs) = redis(&[]) else { return };
    let ours = ours(&[]);
    let options = |server: &Server| -> BTreeMap<String, String> {
        let words = texts(&server.call(&["CONFIG", "GET", "*"]));
        words.chunks_exact(2).map(|pair| (pair[0].clone(), pair[1].clone())).collect()
    };
    let (mine, other) = (options(&ours), options(&theirs));
    let mut differences = String::new();
    let mut compared = 0;
    for (name, default) in mine.iter().filter(|(name, _)| other.contains_key(*name)) {
        let apart = APART.iter().find(|(option, ..)| option == name);
        if apart.is_some_and(|(_, values, _)| values.is_empty()) {
            continue;
        }
        let more = WORDS.iter().find(|(option, _)| option == name).map_or(&[][..], |(_, values)| values);
        for value in
            EDGES.iter().chain(more).filter(|value| !apart.is_some_and(|(_, values, _)| values.contains(value)))
        {
            let set = |server: &Server| text(&server.call(&["CONFIG", "SET", name, value]));
            let (our_reply, their_reply) = (set(&ours), set(&theirs));
            compared += 1;
            let named = value.is_empty() && our_reply.contains(EMPTY_IS_REFUSED);
            if (our_reply == "OK") != (their_reply == "OK") && !named {
                differences += &format!("{name} {value:?}: {our_reply} / Redis: {their_reply}\n");
            }
        }
        ours.call(&["CONFIG", "SET", name, default]);
        theirs.call(&["CONFIG", "SET", name, &other[name]]);
    }
    assert!(differences.is_empty(), "{differences}");
    assert!(compared > 3000, "{compared}");
}
