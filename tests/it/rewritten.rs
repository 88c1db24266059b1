//! Files that Redis, Valkey and their sentinels have rewritten start ours, and mean the same here.

use crate::support::client::{Client, text, texts};
use crate::support::sentinel::Sentinel;
use crate::support::{Folder, PATIENCE, Product, Server, free_port, have, program, wait_until};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// The servers of others that are here: those in the path, and further ones in the folder that `NEWEST_PEERS` names.
fn peers(tool: &str) -> Vec<PathBuf> {
    let further = std::env::var_os("NEWEST_PEERS").map(PathBuf::from).or_else(|| {
        std::env::var_os("HOME").map(|home| Path::new(&home).join(".cache").join("newest-peers").join("bin"))
    });
    let mut found = Vec::new();
    if have(&format!("redis-{tool}")) {
        found.push(PathBuf::from(format!("redis-{tool}")));
    }
    for maker in ["redis", "valkey"] {
        let path = further.as_ref().map(|folder| folder.join(format!("{maker}-{tool}")));
        match path.filter(|path| path.is_file()) {
            Some(path) => found.push(path),
            None => println!("skipped: no further {maker}-{tool} (NEWEST_PEERS names the folder)"),
        }
    }
    found
}

/// A process that is killed at the end.
struct Running(Child);

impl Running {
    fn start(program: &Path, args: &[&str], folder: &Folder, port: u16) -> Self {
        let log = std::fs::OpenOptions::new().create(true).append(true).open(folder.file("log")).unwrap();
        let child = Command::new(program)
            .args(args)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .current_dir(folder.path())
            .spawn()
            .unwrap();
        let mut running = Self(child);
        wait_until(PATIENCE, || {
            let ended = running.0.try_wait().unwrap().is_some();
            assert!(!ended, "{}", std::fs::read_to_string(folder.file("log")).unwrap());
            Client::tcp(port).is_ok_and(|mut client| client.try_call(&["PING"]).is_ok())
        });
        running
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Options that are not changed: what they ask for ends our start (see `unsupported`), or would end the test.
fn is_left_alone(name: &str) -> bool {
    name.starts_with("tls-")
        || name.starts_with("rdma-")
        || [
            "port",
            "bind",
            "dir",
            "requirepass",
            "appendonly",
            "import-mode",
            "oom-score-adj",
            "maxclients",
            "unixsocket",
            "dbfilename",
            "bind-source-addr",
        ]
        .contains(&name)
}

/// Gives each option of a running peer another value than it has; the names of those that took one.
fn change_all(client: &mut Client) -> Vec<String> {
    let pairs = texts(&client.call(&["CONFIG", "GET", "*"]));
    let mut changed = Vec::new();
    for pair in pairs.chunks_exact(2) {
        let (name, old) = (&pair[0], &pair[1]);
        if is_left_alone(name) {
            continue;
        }
        let mut candidates: Vec<String> = match old.as_str() {
            "yes" => vec!["no".into()],
            "no" => vec!["yes".into()],
            number if number.parse::<i64>().is_ok_and(|n| n >= 0) => {
                let n: i64 = number.parse().unwrap();
                vec![(n + 1).to_string(), (n + 1024).to_string(), (n - 1).to_string()]
            }
            _ => vec!["7".into(), "60 1 7 3".into(), "10 20 30".into(), "a b\"c".into(), "word".into(), "KEA".into()],
        };
        // An enumeration names its words.
        if let Some((_, words)) =
            text(&client.call(&["CONFIG", "SET", name, "no such word"])).split_once("one of the following: ")
        {
            candidates = words.split(", ").map(str::to_owned).collect();
        }
        for value in candidates.iter().filter(|value| *value != old) {
            if text(&client.call(&["CONFIG", "SET", name, value])) == "OK" {
                changed.push(name.clone());
                break;
            }
        }
    }
    changed
}

#[test]
fn a_file_rewritten_by_a_peer_starts_ours() {
    for peer in peers("server") {
        for password in ["", "p\"w x"] {
            let (folder, port) = (Folder::new(), free_port());
            let file = folder.file("r.conf");
            std::fs::write(&file, format!("port {port}\nenable-protected-configs yes\n")).unwrap();
            let theirs = Running::start(&peer, &[&file], &folder, port);
            let mut client = Client::tcp(port).unwrap();
            let changed = change_all(&mut client);
            assert!(changed.len() > 110, "{}: {}", peer.display(), changed.len());
            client.ok(&["CONFIG", "SET", "requirepass", password]);
            if !password.is_empty() {
                client.ok(&["AUTH", password]);
            }
            client.ok(&["CONFIG", "REWRITE"]);
            let expected: Vec<Vec<String>> =
                changed.iter().map(|name| texts(&client.call(&["CONFIG", "GET", name]))).collect();
            drop(theirs);
            let written = std::fs::read_to_string(&file).unwrap();
            assert!(written.contains("\nuser default on "), "{written}");
            let ours = Running::start(Path::new(program()), &["server", &file], &folder, port);
            let mut client = Client::tcp(port).unwrap();
            if !password.is_empty() {
                assert!(client.text(&["PING"]).starts_with("NOAUTH"));
                assert!(client.text(&["AUTH", "p"]).starts_with("WRONGPASS"));
                client.ok(&["AUTH", password]);
            }
            let mut differing = Vec::new();
            for pair in &expected {
                let shown = texts(&client.call(&["CONFIG", "GET", &pair[0]]));
                if shown != *pair {
                    differing.push(format!("{pair:?}, here {shown:?}"));
                }
            }
            assert!(differing.is_empty(), "{}:\n{}", peer.display(), differing.join("\n"));
            // And what ours makes of it, ours can read.
            client.ok(&["CONFIG", "SET", "requirepass", "new"]);
            client.ok(&["CONFIG", "REWRITE"]);
            drop(ours);
            let _again = Running::start(Path::new(program()), &["server", &file], &folder, port);
            let mut client = Client::tcp(port).unwrap();
            assert!(client.text(&["AUTH", "old"]).starts_with("WRONGPASS"));
            client.ok(&["AUTH", "new"]);
        }
    }
}

#[test]
fn a_file_rewritten_by_a_peers_sentinel_starts_ours() {
    for peer in peers("sentinel") {
        for password in ["", "requirepass secret\n"] {
            let (folder, port) = (Folder::new(), free_port());
            let file = folder.file("s.conf");
            let lines = format!("port {port}\n{password}sentinel monitor m 127.0.0.1 1 1\n");
            std::fs::write(&file, lines).unwrap();
            let log_in = |client: &mut Client| {
                if !password.is_empty() {
                    client.ok(&["AUTH", "secret"]);
                }
            };
            let theirs = Running::start(&peer, &[&file], &folder, port);
            let mut client = Client::tcp(port).unwrap();
            log_in(&mut client);
            client.ok(&["SENTINEL", "SET", "m", "auth-pass", "a#b", "down-after-milliseconds", "1234"]);
            client.ok(&["SENTINEL", "CONFIG", "SET", "resolve-hostnames", "yes"]);
            client.ok(&["SENTINEL", "FLUSHCONFIG"]);
            let id = client.text(&["SENTINEL", "MYID"]);
            drop(theirs);
            let written = std::fs::read_to_string(&file).unwrap();
            assert!(written.contains("\nuser default on "), "{written}");
            let _ours = Running::start(Path::new(program()), &["sentinel", &file], &folder, port);
            let mut client = Client::tcp(port).unwrap();
            if !password.is_empty() {
                assert!(client.text(&["PING"]).starts_with("NOAUTH"));
            }
            log_in(&mut client);
            assert_eq!(client.text(&["SENTINEL", "MYID"]), id);
            let fields = client.call(&["SENTINEL", "MASTER", "m"]);
            let fields = texts(&fields);
            let at = fields.iter().position(|field| field == "down-after-milliseconds").unwrap();
            assert_eq!(fields[at + 1], "1234");
        }
    }
}

#[test]
fn what_both_write_is_what_both_read() {
    // The other way: a file that ours has rewritten starts Redis.
    if !have("redis-server") {
        return;
    }
    let folder = Folder::new();
    let file = folder.file("a.conf");
    std::fs::write(&file, "save 60 1\nbind 127.0.0.1 -::1\nmasterauth \"-a'b\"\nrequirepass \"p'w\"\nlogfile ''\n")
        .unwrap();
    let mut ours = Server::prepare(Product::Ours, &[&file]);
    assert!(ours.launch(), "{}", ours.log());
    let mut client = ours.client();
    client.ok(&["AUTH", "p'w"]);
    client.ok(&["CONFIG", "SET", "maxmemory", "1537kb", "proc-title-template", "{title} x"]);
    client.ok(&["CONFIG", "REWRITE"]);
    // Its folder stands in the file.
    ours.kill();
    for product in [Product::Ours, Product::Redis] {
        let mut server = Server::prepare(product, &[&file]);
        assert!(server.launch(), "{product:?}: {}", server.log());
        let mut client = server.client();
        client.ok(&["AUTH", "p'w"]);
        assert_eq!(texts(&client.call(&["CONFIG", "GET", "bind"]))[1], "127.0.0.1 -::1", "{product:?}");
        assert_eq!(texts(&client.call(&["CONFIG", "GET", "masterauth"]))[1], "-a'b", "{product:?}");
        assert_eq!(texts(&client.call(&["CONFIG", "GET", "maxmemory"]))[1], (1537 << 10).to_string());
    }
}

#[test]
fn a_password_that_another_file_overrules_is_not_written() {
    let folder = Folder::new();
    let (file, users) = (folder.file("a.conf"), folder.file("users.conf"));
    std::fs::write(&users, "user default on >old ~* &* +@all\n").unwrap();
    std::fs::write(&file, format!("include {users}\n")).unwrap();
    let mut server = Server::prepare(Product::Ours, &[&file]);
    server.launch();
    let mut client = server.client();
    client.ok(&["AUTH", "old"]);
    client.ok(&["CONFIG", "REWRITE"]);
    client.ok(&["CONFIG", "SET", "requirepass", "new"]);
    let answer = client.text(&["CONFIG", "REWRITE"]);
    assert!(answer.contains(&format!("the line `user default` in {users} would count more")), "{answer}");
    assert!(!std::fs::read_to_string(&file).unwrap().contains("requirepass"));
}

#[test]
fn a_sentinel_keeps_words_that_need_quotes() {
    let sentinel = Sentinel::start(Product::Ours, "sentinel monitor m 127.0.0.1 1 1\n");
    let password = "a b\"c'd#\\";
    sentinel.ok(&["SENTINEL", "SET", "m", "auth-pass", password, "auth-user", "x y"]);
    let mut sentinel = sentinel;
    sentinel.kill();
    sentinel.restart();
    let written = std::fs::read_to_string(sentinel.folder.file("sentinel.conf")).unwrap();
    let quoted = String::from_utf8(password.as_bytes().to_vec()).unwrap().replace('\\', "\\\\").replace('"', "\\\"");
    assert!(written.contains(&format!("sentinel auth-pass m \"{quoted}\"\n")), "{written}");
}
