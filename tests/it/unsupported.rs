//! Options that protect data or access and are not there: no start, no `CONFIG SET`, no `yes` from `CONFIG GET`.

use crate::support::client::{text, texts};
use crate::support::{Folder, PATIENCE, Product, Server, have, ours, redis, wait_until};
use engine::config::{Config, OPTIONS, OptionSpec};
use std::process::{Command, Output, Stdio};

/// What operators rely on and is not there: an option, a value that asks for it, a value that does not.
const ASKS: [(&str, &str, &str); 11] = [
    ("appendonly", "yes", "no"),
    ("cluster-enabled", "yes", "no"),
    ("aclfile", "users.acl", ""),
    ("tls-port", "7000", "0"),
    ("tls-replication", "yes", "no"),
    ("tls-cluster", "yes", "no"),
    ("tls-auth-clients-user", "CN", "off"),
    ("socket-mark-id", "7", "0"),
    ("import-mode", "yes", "no"),
    ("rdma-port", "7000", "0"),
    ("rdma-bind", "127.0.0.1", ""),
];

/// Other lines that ask for it.
const LINES: [&str; 4] =
    ["user alice on >secret ~* +@all", "user default on nopass ~cache:* +get", "user default off", "loadmodule /x.so"];

/// Runs the server with these arguments until it ends by itself, which it must.
#[track_caller]
pub fn refused(command: &str, args: &[&str]) -> String {
    let mut child = Command::new(crate::support::program())
        .arg(command)
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    wait_until(PATIENCE, || child.try_wait().unwrap().is_some());
    let Output { status, stderr, .. } = child.wait_with_output().unwrap();
    assert!(!status.success(), "{args:?}");
    String::from_utf8_lossy(&stderr).into_owned()
}

#[track_caller]
fn names_what_to_do(error: &str, line: &str) {
    for part in [line, "Not supported: ", ". Take the line out", "unsupported-options warn"] {
        assert!(error.contains(part), "{part}: {error}");
    }
}

#[test]
fn what_is_not_there_ends_the_start() {
    let folder = Folder::new();
    let file = folder.file("a.conf");
    let marked: Vec<&str> = OPTIONS.iter().filter(|o| o.lacks.is_some()).map(|o| o.name).collect();
    assert!(marked.iter().all(|name| ASKS.iter().any(|(n, ..)| n == name)), "say of each how it asks: {marked:?}");
    for (name, asks, _) in ASKS {
        std::fs::write(&file, format!("port 0\n\n{name} {asks}\n")).unwrap();
        let error = refused("server", &[&file]);
        names_what_to_do(
            &error,
            &format!("In {file}:\nReading the configuration file, at line 3\n>>> '{name} {asks}'\n"),
        );
        let error = refused("server", &["--port", "0", &format!("--{name}"), asks]);
        names_what_to_do(&error, &format!("the options of the command line\n>>> '{name} \"{asks}\"'\n"));
        // What an included file asks for is asked for.
        let included = folder.file("b.conf");
        std::fs::write(&included, format!("{name} {asks}\n")).unwrap();
        std::fs::write(&file, format!("include {included}\n")).unwrap();
        names_what_to_do(
            &refused("server", &[&file]),
            &format!("In {included}:\nReading the configuration file, at line 1\n"),
        );
    }
    for line in LINES {
        std::fs::write(&file, format!("port 0\n{line}\n")).unwrap();
        let error = refused("server", &[&file]);
        names_what_to_do(&error, &format!("In {file}:\nReading the configuration file, at line 2\n"));
        assert!(!error.contains("secret"), "{error}");
    }
}

#[test]
fn a_sentinel_is_held_to_the_same() {
    let folder = Folder::new();
    let file = folder.file("s.conf");
    for line in ["aclfile x", "user a on", "user default off", "tls-port 7000", "tls-replication yes"] {
        std::fs::write(&file, format!("port 0\nsentinel monitor m 127.0.0.1 1 1\n{line}\n")).unwrap();
        names_what_to_do(
            &refused("sentinel", &[&file]),
            &format!("In {file}:\nReading the configuration file, at line 3\n"),
        );
    }
}

#[test]
fn nothing_claims_to_be_there_while_the_server_runs() {
    let folder = Folder::new();
    let file = folder.file("a.conf");
    let lines: String = ASKS.iter().map(|(name, asks, _)| format!("{name} {asks}\n")).collect();
    let lines = format!("{lines}user alice on >secret ~* +@all\nunsupported-options warn\n");
    std::fs::write(&file, &lines).unwrap();
    let mut server = ours(&[&file]);
    assert!(!server.log().contains("secret"), "{}", server.log());
    let mut client = server.client();
    for (name, asks, other) in ASKS {
        assert!(server.log().contains(&format!(">>> '{name} {asks}' Not supported: ")), "{}", server.log());
        assert_eq!(texts(&client.call(&["CONFIG", "GET", name])), [name, other]);
        let answer = text(&client.call(&["CONFIG", "SET", name, asks]));
        let is_fixed = OPTIONS.iter().any(|o| o.name == name && !o.mutability.is_live());
        if is_fixed {
            assert!(answer.ends_with("can't set immutable config"), "{answer}");
        } else {
            assert!(answer.contains(&format!("argument '{name}') - ")), "{answer}");
            assert!(answer.contains(". Take the line out"), "{answer}");
        }
    }
    // The file keeps what was asked for.
    client.ok(&["CONFIG", "SET", "maxclients", "77"]);
    client.ok(&["CONFIG", "REWRITE"]);
    let written = std::fs::read_to_string(&file).unwrap();
    assert!(written.starts_with(&lines) && written.contains("\nmaxclients 77\n"), "{written}");
    // Until the operator gives it up.
    client.ok(&["CONFIG", "SET", "appendonly", "no"]);
    client.ok(&["CONFIG", "REWRITE"]);
    let written = std::fs::read_to_string(&file).unwrap();
    assert!(written.contains("appendonly no\n") && !written.contains("appendonly yes\n"), "{written}");
    server.shutdown(&["NOSAVE"]);
    server.restart();
    assert!(!server.log().rsplit("just started").next().unwrap().contains("'appendonly yes'"));
}

#[test]
fn an_append_only_file_that_is_not_loaded_is_spoken_of() {
    let Some(mut peer) = redis(&["--appendonly", "yes"]) else { return };
    peer.ok(&["SET", "k", "v"]);
    peer.shutdown(&[]);
    let data = peer.folder.path().join("appendonlydir");
    let dir = peer.folder.path().display().to_string();
    let unread = format!("The data in {} is NOT loaded", data.display());
    let error = refused("server", &["--port", "0", "--appendonly", "yes", "--dir", &dir]);
    assert!(error.contains(&unread) && error.contains("CONFIG SET appendonly no"), "{error}");
    for options in [&["--unsupported-options", "warn", "--appendonly", "yes"][..], &["--appendonly", "no"]] {
        let server = ours(&[options, &["--dir", &dir]].concat());
        assert!(server.log().contains("is NOT loaded"), "{}", server.log());
        let wanted = options.contains(&"yes");
        assert_eq!(server.log().contains("nothing is kept on disk"), wanted, "{}", server.log());
    }
    // The way that the message names.
    peer.restart();
    peer.ok(&["CONFIG", "SET", "appendonly", "no"]);
    peer.ok(&["SAVE"]);
    peer.kill();
    let server = ours(&["--dir", &dir]);
    assert_eq!(server.text(&["GET", "k"]), "v");
}

/// A value of this option that is not its default.
fn another_value(option: &OptionSpec) -> Option<String> {
    let default = Config::default();
    let mut candidates: Vec<String> = [
        "yes",
        "no",
        "3",
        "5",
        "7",
        "70",
        "3000",
        "2mb",
        "60 1",
        "1 2 3",
        "127.0.0.1 7",
        "m h:1",
        "normal 1mb 2mb 3",
        "x",
    ]
    .map(str::to_owned)
    .to_vec();
    // An enumeration names its words.
    if let Err(error) = option.parse(&mut default.clone(), &[b"no such word"])
        && let Some((_, words)) = error.split_once("one of the following: ")
    {
        candidates.extend(words.split(", ").map(str::to_owned));
    }
    candidates.into_iter().find(|value| {
        let mut config = default.clone();
        let words: Vec<&[u8]> =
            if option.takes_many() { value.split(' ').map(str::as_bytes).collect() } else { vec![value.as_bytes()] };
        option.parse(&mut config, &words).is_ok() && option.show(&config) != option.show(&default)
    })
}

/// Options whose values must fit this machine or the test.
const NOT_TRIED: [&str; 15] = [
    "port",
    "bind",
    "dir",
    "unixsocket",
    "unixsocketgroup",
    "unixsocketperm",
    "logfile",
    "pidfile",
    "daemonize",
    "supervised",
    "replicaof",
    "requirepass",
    "io-backend",
    "sentinel-hint",
    "repl-diskless-sync-delay",
];

#[test]
fn an_option_means_the_same_wherever_it_stands() {
    let folder = Folder::new();
    let file = folder.file("a.conf");
    let tried: Vec<(&OptionSpec, String)> = OPTIONS
        .iter()
        .filter(|o| o.lacks.is_none() && !NOT_TRIED.contains(&o.name))
        .map(|o| (o, another_value(o).unwrap_or_else(|| panic!("{} has no other value", o.name))))
        .collect();
    assert!(tried.len() > 180, "{}", tried.len());
    let lines: String = tried.iter().map(|(o, value)| format!("{} {value}\n", o.name)).collect();
    std::fs::write(&file, lines).unwrap();
    let by_file = ours(&[&file]);
    let args: Vec<String> = tried.iter().flat_map(|(o, value)| [format!("--{}", o.name), value.clone()]).collect();
    let by_args = ours(&args.iter().map(String::as_str).collect::<Vec<_>>());
    let by_command = ours(&["--enable-protected-configs", "yes", "--maxclients", "100"]);
    let shown = |server: &Server, name: &str| texts(&server.call(&["CONFIG", "GET", name]));
    for (option, value) in &tried {
        let name = option.name;
        let expected = shown(&by_file, name);
        assert_eq!(shown(&by_args, name), expected, "{name} {value}");
        let answer = text(&by_command.call(&["CONFIG", "SET", name, value]));
        if !option.mutability.is_live() {
            assert!(answer.ends_with("can't set immutable config"), "{name}: {answer}");
        } else if name == "oom-score-adj-values" || name == "oom-score-adj" {
            assert!(answer == "OK" || answer.contains("Failed to set oom_score_adj"), "{name}: {answer}");
        } else {
            assert_eq!(answer, "OK", "{name} {value}");
            assert_eq!(shown(&by_command, name), expected, "{name} {value}");
        }
    }
}

#[test]
fn names_are_given_to_commands_as_in_redis() {
    for product in [Product::Ours, Product::Redis] {
        if product == Product::Redis && !have("redis-server") {
            continue;
        }
        for (lines, starts) in [
            ("rename-command GET SET\n", false),
            ("rename-command NOSUCH x\n", false),
            ("rename-command NOSUCH \"\"\n", false),
            ("rename-command config|get x\n", false),
            ("rename-command sentinel x\n", false),
            ("rename-command GET a\nrename-command GET b\n", false),
            ("rename-command GET a\nrename-command SET A\n", false),
            ("rename-command GET Get\n", true),
            ("rename-command GET a\nrename-command a b\n", true),
            ("rename-command GET \"\"\nrename-command SET get\n", true),
            ("rename-command EVAL \"\"\nrename-command BGREWRITEAOF x\n", true),
        ] {
            let folder = Folder::new();
            let file = folder.file("a.conf");
            std::fs::write(&file, lines).unwrap();
            let mut server = Server::prepare(product, &[&file]);
            assert_eq!(server.launch(), starts, "{product:?} {lines}: {}", server.log());
        }
    }
}
