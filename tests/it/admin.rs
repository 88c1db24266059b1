//! What operators do: looking at and steering clients, settings, statistics; and what a server says that cannot start.

use crate::support::client::{bulk, text, texts};
use crate::support::data::fill;
use crate::support::{Folder, PATIENCE, Product, Server, ours, program, wait_until};
use resp::Value;
use std::net::TcpListener;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

/// The value of a field of a line of CLIENT LIST.
fn field<'a>(line: &'a str, name: &str) -> &'a str {
    line.split_whitespace().find_map(|f| f.strip_prefix(name)?.strip_prefix('=')).unwrap_or("")
}

#[test]
fn clients_are_listed_and_killed() {
    let server = ours(&[]);
    let (mut a, mut b) = (server.client(), server.client());
    a.ok(&["CLIENT", "SETNAME", "one"]);
    a.ok(&["CLIENT", "SETINFO", "LIB-NAME", "mine"]);
    a.ok(&["CLIENT", "SETINFO", "lib-ver", "1.2"]);
    a.ok(&["SELECT", "3"]);
    let info = a.text(&["CLIENT", "INFO"]);
    for (name, value) in [
        ("name", "one"),
        ("db", "3"),
        ("flags", "N"),
        ("cmd", "client|info"),
        ("lib-name", "mine"),
        ("lib-ver", "1.2"),
        ("resp", "2"),
    ] {
        assert_eq!(field(&info, name), value, "{info}");
    }
    let Value::Int(id) = a.call(&["CLIENT", "ID"]) else { panic!("CLIENT ID") };
    assert_eq!(field(&info, "id"), id.to_string());
    let list = b.text(&["CLIENT", "LIST", "ID", &id.to_string()]);
    assert_eq!((list.lines().count(), field(&list, "name")), (1, "one"));
    assert_eq!(b.call(&["CLIENT", "KILL", "ID", &id.to_string()]), Value::Int(1));
    assert!(a.is_closed());
    assert_eq!(b.call(&["CLIENT", "KILL", "ID", &id.to_string()]), Value::Int(0));
    assert_eq!(b.text(&["CLIENT", "KILL", "1.2.3.4:5"]), "ERR No such client");
    let address = field(&b.text(&["CLIENT", "INFO"]), "addr").to_owned();
    b.ok(&["CLIENT", "NO-EVICT", "on"]);
    assert!(field(&b.text(&["CLIENT", "INFO"]), "flags").contains('e'));
    b.ok(&["CLIENT", "KILL", &address]);
    assert!(b.is_closed());
}

#[test]
fn clients_are_paused_unblocked_and_silenced() {
    let server = ours(&[]);
    let (mut a, mut b) = (server.client(), server.client());
    b.ok(&["CLIENT", "PAUSE", "60000", "WRITE"]);
    a.send(&["SET", "k", "v"]);
    wait_until(PATIENCE, || !server.info("blocked_clients").is_empty() && server.call(&["GET", "k"]) == Value::Null);
    a.set_limit(Duration::from_millis(100));
    assert!(a.try_reply().is_err(), "the write waits");
    a.set_limit(PATIENCE);
    b.ok(&["CLIENT", "UNPAUSE"]);
    assert_eq!(a.reply(), Value::Simple(b"OK".to_vec()));
    assert_eq!(b.call(&["GET", "k"]), bulk("v"));
    // A pause ends by itself.
    b.ok(&["CLIENT", "PAUSE", "150"]);
    let started = Instant::now();
    assert_eq!(a.text(&["PING"]), "PONG");
    assert!(started.elapsed() >= Duration::from_millis(100));
    // Blocked clients.
    let Value::Int(id) = a.call(&["CLIENT", "ID"]) else { panic!("CLIENT ID") };
    for (how, reply) in [
        (None, Value::Null),
        (Some("TIMEOUT"), Value::Null),
        (Some("ERROR"), Value::Error(b"UNBLOCKED client unblocked via CLIENT UNBLOCK".to_vec())),
    ] {
        a.send(&["BLPOP", "list", "0"]);
        wait_until(PATIENCE, || server.info("blocked_clients") == "1");
        let id = id.to_string();
        let words = [&["CLIENT", "UNBLOCK", &id][..], &how.into_iter().collect::<Vec<_>>()].concat();
        assert_eq!(b.call(&words), Value::Int(1));
        assert_eq!(a.reply(), reply);
    }
    assert_eq!(b.call(&["CLIENT", "UNBLOCK", &id.to_string()]), Value::Int(0));
    // Without replies.
    a.send(&["CLIENT", "REPLY", "OFF"]);
    a.send(&["SET", "quiet", "1"]);
    a.send(&["CLIENT", "REPLY", "ON"]);
    assert_eq!(a.reply(), Value::Simple(b"OK".to_vec()));
    a.send(&["CLIENT", "REPLY", "SKIP"]);
    a.send(&["SET", "quiet", "2"]);
    assert_eq!(a.call(&["GET", "quiet"]), bulk("2"));
}

#[test]
fn settings() {
    let folder = Folder::new();
    let file = folder.file("a.conf");
    std::fs::write(&file, "# a comment\nmaxmemory 10mb\nsave \"\"\n").unwrap();
    let mut server = ours(&[&file]);
    assert_eq!(texts(&server.call(&["CONFIG", "GET", "maxmemory"])), ["maxmemory", "10485760"]);
    server.ok(&["CONFIG", "SET", "maxmemory", "20mb", "hz", "50"]);
    let error = server.text(&["CONFIG", "SET", "maxmemory", "1mb", "hz", "many"]);
    assert!(error.starts_with("ERR CONFIG SET failed (possibly related to argument 'hz') - "), "{error}");
    assert_eq!(texts(&server.call(&["CONFIG", "GET", "maxmemory"])), ["maxmemory", "20971520"], "all or none");
    let error = server.text(&["CONFIG", "SET", "nonsense", "1"]);
    assert_eq!(error, "ERR Unknown option or number of arguments for CONFIG SET - 'nonsense'");
    assert!(server.text(&["CONFIG", "SET", "databases", "1"]).contains("can't set immutable config"));
    server.ok(&["CONFIG", "REWRITE"]);
    let written = std::fs::read_to_string(&file).unwrap();
    assert!(written.starts_with("# a comment\nmaxmemory 20mb\n") && written.contains("\nhz 50\n"), "{written}");
    server.shutdown(&[]);
    server.restart();
    assert_eq!(texts(&server.call(&["CONFIG", "GET", "hz"])), ["hz", "50"]);
    assert_ne!(server.number("total_commands_processed"), 0);
    server.call(&["GET", "none"]);
    server.ok(&["CONFIG", "RESETSTAT"]);
    assert_eq!((server.number("keyspace_misses"), server.info("cmdstat_get")), (0, String::new()));
    assert_eq!(ours(&[]).text(&["CONFIG", "REWRITE"]), "ERR The server is running without a config file");
}

#[test]
fn sections_of_info() {
    let server = ours(&[]);
    fill(&server, 500, 70);
    for (section, field) in [
        ("server", "redis_version"),
        ("clients", "connected_clients"),
        ("memory", "used_memory"),
        ("persistence", "rdb_last_save_time"),
        ("stats", "total_commands_processed"),
        ("replication", "role"),
        ("cpu", "used_cpu_user"),
        ("commandstats", "cmdstat_set"),
        ("errorstats", ""),
        ("cluster", "cluster_enabled"),
        ("keyspace", "db0"),
    ] {
        let text = server.text(&["INFO", section]);
        let title = text.lines().next().unwrap_or("").to_lowercase();
        assert_eq!(title, format!("# {section}"), "{text}");
        assert!(text.contains(&format!("\r\n{field}")), "{section}: {text}");
    }
    assert!(server.info("db0").starts_with("keys="));
    assert_eq!(server.text(&["INFO", "nonsense"]), "");
}

#[test]
fn looking_into_a_running_server() {
    let server =
        ours(&["--slowlog-log-slower-than", "0", "--latency-monitor-threshold", "1", "--enable-debug-command", "yes"]);
    let mut c = server.client();
    // MONITOR.
    let mut monitor = server.client();
    monitor.ok(&["MONITOR"]);
    c.ok(&["SET", "k", "a\nb"]);
    let line = text(&monitor.reply());
    assert!(line.contains(" [0 127.0.0.1:") && line.ends_with("] \"SET\" \"k\" \"a\\nb\""), "{line}");
    // SLOWLOG and LATENCY.
    c.ok(&["DEBUG", "SLEEP", "0.02"]);
    let Value::Array(entries) = c.call(&["SLOWLOG", "GET", "10"]) else { panic!("SLOWLOG") };
    let slow = entries.iter().find_map(|e| match e {
        Value::Array(e) if texts(&e[3])[0].eq_ignore_ascii_case("debug") => Some(e[2].clone()),
        _ => None,
    });
    assert!(matches!(slow, Some(Value::Int(us)) if us >= 20_000), "{slow:?}");
    assert!(matches!(c.call(&["SLOWLOG", "LEN"]), Value::Int(n) if n >= 2));
    c.ok(&["SLOWLOG", "RESET"]);
    let Value::Array(latest) = c.call(&["LATENCY", "LATEST"]) else { panic!("LATENCY") };
    assert!(!latest.is_empty());
    assert!(matches!(c.call(&["LATENCY", "RESET"]), Value::Int(n) if n >= 1));
    // MEMORY, OBJECT, TIME, COMMAND, LOLWUT.
    assert!(matches!(c.call(&["MEMORY", "USAGE", "k"]), Value::Int(n) if n > 3));
    assert!(texts_len(&c.call(&["MEMORY", "STATS"])) > 20);
    assert!(!c.text(&["MEMORY", "DOCTOR"]).is_empty());
    c.call(&["RPUSH", "l", "1"]);
    assert_eq!(c.text(&["OBJECT", "ENCODING", "l"]), "listpack");
    assert_eq!(c.call(&["OBJECT", "REFCOUNT", "l"]), Value::Int(1));
    assert_eq!(texts(&c.call(&["TIME"])).len(), 2);
    assert!(matches!(c.call(&["COMMAND", "COUNT"]), Value::Int(n) if n > 150));
    assert_eq!(texts(&c.call(&["COMMAND", "GETKEYS", "MSET", "a", "1", "b", "2"])), ["a", "b"]);
    assert!(c.text(&["LOLWUT"]).contains("ver"));
}

fn texts_len(value: &Value) -> usize {
    match value {
        Value::Array(items) => items.len(),
        other => panic!("not an array: {other:?}"),
    }
}

#[test]
fn waiting_for_replicas() {
    let server = ours(&[]);
    server.ok(&["SET", "k", "1"]);
    assert_eq!(server.int(&["WAIT", "1", "10"]), 0);
    let replicas = [ours(&[]), ours(&[])];
    replicas.iter().for_each(|r| r.follow(&server));
    server.ok(&["SET", "k", "2"]);
    assert_eq!(server.int(&["WAIT", "2", "10000"]), 2);
    replicas.iter().for_each(|r| assert_eq!(r.text(&["GET", "k"]), "2"));
    replicas[1].signal("STOP");
    server.ok(&["SET", "k", "3"]);
    assert_eq!(server.int(&["WAIT", "2", "300"]), 1);
    replicas[1].signal("CONT");
    assert_eq!(server.int(&["WAIT", "2", "10000"]), 2);
    assert!(replicas[0].text(&["WAIT", "1", "1"]).starts_with("ERR WAIT cannot be used with replica instances."));
}

#[test]
fn debugging() {
    let server = ours(&["--enable-debug-command", "yes"]);
    assert_eq!(server.text(&["DEBUG", "DIGEST"]), "0".repeat(40));
    for i in 0..300 {
        server.ok(&["SET", &format!("k{i}"), "v", "EX", "1000"]);
        server.call(&["ZADD", "z", &i.to_string(), &format!("m{i}")]);
    }
    let digest = server.text(&["DEBUG", "DIGEST"]);
    server.ok(&["DEBUG", "RELOAD"]);
    assert_eq!(server.text(&["DEBUG", "DIGEST"]), digest);
    let replica = ours(&["--enable-debug-command", "local"]);
    replica.follow(&server);
    replica.wait_for_offset_of(&server);
    assert_eq!(replica.text(&["DEBUG", "DIGEST"]), digest);
    server.ok(&["SET", "k0", "w"]);
    assert_ne!(server.text(&["DEBUG", "DIGEST"]), digest);
    let started = Instant::now();
    server.ok(&["DEBUG", "SLEEP", "0.1"]);
    assert!(started.elapsed() >= Duration::from_millis(100));
    let closed = ours(&[]);
    assert!(closed.text(&["DEBUG", "SLEEP", "0"]).starts_with("ERR DEBUG command not allowed."));
}

/// Starts our server with these arguments, which must fail: what it says.
fn refusal(arguments: &[&str]) -> String {
    let Output { status, stdout, stderr } = Command::new(program()).arg("server").args(arguments).output().unwrap();
    assert!(!status.success(), "{arguments:?} was accepted");
    format!("{}{}", String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr))
}

#[test]
fn starts_that_fail_say_why() {
    let folder = Folder::new();
    let file = folder.file("bad.conf");
    for (line, reason) in [
        ("nonsense 1", "Bad directive or wrong number of arguments"),
        ("port x", "argument couldn't be parsed into an integer"),
        ("maxmemory lots", "argument must be a memory value"),
        ("daemonize maybe", "argument must be 'yes' or 'no'"),
        ("replicaof a b", "Invalid master port"),
    ] {
        std::fs::write(&file, format!("# first\nhz 10\n{line}\n")).unwrap();
        let said = refusal(&[&file]);
        assert!(said.contains("line 3") && said.contains(line) && said.contains(reason), "{said}");
        assert!(said.contains("FATAL CONFIG FILE ERROR"), "{said}");
    }
    assert!(refusal(&["/nonexistent.conf"]).contains("/nonexistent.conf"));
    assert!(refusal(&["--nonsense", "1"]).contains("nonsense"));
    assert!(refusal(&["--replicaof", "", "1"]).contains("replicaof"));
    assert!(refusal(&["--port", "0"]).contains("not listen anywhere"));
    assert!(refusal(&["--dir", "/nonexistent"]).contains("/nonexistent"));
    let taken = TcpListener::bind("0.0.0.0:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let said = refusal(&["--port", &port]);
    assert!(said.contains(&format!("Failed listening on port {port}")) && said.contains("in use"), "{said}");
}

#[test]
fn saving_into_a_folder_that_is_gone_stops_writes_until_it_is_back() {
    let server = ours(&["--save", "3600 1000000", "--enable-protected-configs", "yes"]);
    let gone = Folder::new();
    server.ok(&["CONFIG", "SET", "dir", &gone.path().display().to_string()]);
    std::fs::remove_dir(gone.path()).unwrap();
    server.ok(&["SET", "k", "v"]);
    assert_eq!(server.text(&["BGSAVE"]), "Background saving started");
    wait_until(PATIENCE, || server.info("rdb_last_bgsave_status") == "err");
    assert!(server.text(&["SET", "k", "w"]).starts_with("MISCONF "));
    assert_eq!(server.text(&["GET", "k"]), "v");
    assert!(server.text(&["SAVE"]).starts_with("ERR"));
    server.ok(&["CONFIG", "SET", "dir", &server.folder.path().display().to_string()]);
    server.ok(&["SAVE"]);
    wait_until(PATIENCE, || server.call(&["SET", "k", "w"]) == Value::Simple(b"OK".to_vec()));
}

#[test]
fn a_damaged_file_is_refused_and_left_alone() {
    let mut server = ours(&[]);
    fill(&server, 500, 71);
    server.ok(&["SAVE"]);
    server.kill();
    let path = server.folder.path().join("dump.rdb");
    let good = std::fs::read(&path).unwrap();
    let mut flipped = good.clone();
    flipped[good.len() / 2] ^= 0x10;
    for bad in [&good[..good.len() / 2], &flipped, b"REDIS9999", b"nonsense"] {
        std::fs::write(&path, bad).unwrap();
        let mut command = server.command();
        let mut child = command.spawn().unwrap();
        wait_until(PATIENCE, || child.try_wait().unwrap().is_some());
        assert!(!child.wait().unwrap().success());
        let log = server.log();
        let last: Vec<&str> = log.lines().rev().take(6).collect();
        assert!(last.iter().any(|l| l.contains("Fatal error loading the DB") && l.contains("byte")), "{last:?}");
        assert!(std::fs::read(&path).unwrap() == bad, "the file was changed");
    }
    std::fs::write(&path, &good).unwrap();
    server.restart();
    assert_eq!(server.text(&["TYPE", "big:l"]), "list");
}

#[test]
fn replicas_of_nothing_keep_trying() {
    let server = ours(&[]);
    assert_eq!(server.text(&["REPLICAOF", "localhost", "x"]), "ERR Invalid master port");
    assert_eq!(server.text(&["REPLICAOF", "localhost", "70000"]), "ERR Invalid master port");
    // Nobody listens there yet.
    let mut late = Server::prepare(Product::Ours, &[]);
    server.ok(&["REPLICAOF", "127.0.0.1", &late.port.to_string()]);
    wait_until(PATIENCE, || server.log().matches("Error condition on socket for SYNC").count() >= 2);
    assert!(late.launch());
    server.wait_for_link();
    server.ok(&["REPLICAOF", "NO", "ONE"]);
    assert_eq!(server.info("role"), "master");
}

#[test]
fn time_never_goes_back() {
    let server = ours(&[]);
    let mut client = server.client();
    let mut last = 0;
    for _ in 0..200 {
        let Value::Array(parts) = client.call(&["TIME"]) else { panic!("TIME answers two numbers") };
        let parts: Vec<i64> = parts.iter().map(|part| text(part).parse().unwrap()).collect();
        let now = parts[0] * 1_000_000 + parts[1];
        assert!(now >= last, "{now} after {last}");
        last = now;
    }
}
