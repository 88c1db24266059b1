//! The tools beside the server, as programs: `cli` against the stock client byte for byte, bulk loading, snapshots, `benchmark`, `check-rdb`.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

const PROGRAM: &str = env!("CARGO_BIN_EXE_rekindle");

/// A server in a folder of its own; both go when it is dropped.
struct Server {
    child: Child,
    port: u16,
    dir: PathBuf,
}

impl Server {
    fn start(program: &str, first: &[&str]) -> Server {
        let port = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
        let dir = std::env::temp_dir().join(format!("rekindle-tools-{}-{port}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let mut command = Command::new(program);
        command
            .args(first)
            .args([
                "--port",
                &port.to_string(),
                "--bind",
                "127.0.0.1",
                "--save",
                "",
                "--repl-diskless-sync-delay",
                "0",
                "--dir",
            ])
            .arg(&dir);
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let server = Server { child, port, dir };
        let deadline = Instant::now() + Duration::from_secs(20);
        while !server.answers() {
            assert!(Instant::now() < deadline, "the server did not start");
            std::thread::yield_now();
        }
        server
    }

    fn ours() -> Server {
        Server::start(PROGRAM, &["server"])
    }

    /// A stock server; nothing where there is none and none is demanded.
    fn stock() -> Option<Server> {
        if Command::new("redis-server").arg("--version").output().is_err() {
            assert!(std::env::var_os("REQUIRE_PEERS").is_none(), "redis-server not found");
            eprintln!("skipped: redis-server not found");
            return None;
        }
        Some(Server::start("redis-server", &[]))
    }

    fn answers(&self) -> bool {
        let Ok(mut stream) = TcpStream::connect(("127.0.0.1", self.port)) else { return false };
        stream.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
        let mut pong = [0; 7];
        stream.write_all(b"PING\r\n").is_ok() && stream.read_exact(&mut pong).is_ok() && &pong == b"+PONG\r\n"
    }

    /// Runs a program with this server's port and an input.
    fn run(&self, program: &str, tool: &[&str], args: &[&str], input: &[u8]) -> Output {
        let mut command = Command::new(program);
        command.args(tool).args(["-p", &self.port.to_string()]).args(args).env_remove("REDISCLI_AUTH");
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let input = input.to_vec();
        let writer = std::thread::spawn(move || {
            let _ = stdin.write_all(&input);
        });
        let output = child.wait_with_output().unwrap();
        writer.join().unwrap();
        output
    }

    fn cli(&self, args: &[&str], input: &[u8]) -> String {
        text(&self.run(PROGRAM, &["cli"], args, input))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Keys of all types.
fn fill(server: &Server) {
    let commands = b"set k \"a\\tb\\n\\x00\\xff\\\"q\"\nrpush l a b c d e f g h i j k\nhset h f v\nsadd s a\nzadd z 1.5 a\nset n 1\n";
    assert_eq!(server.cli(&[], commands), "OK\n11\n1\n1\n1\nOK\n");
}

#[test]
fn output_is_that_of_the_stock_client() {
    let Some(server) = Server::stock() else { return };
    fill(&server);
    let styles: [&[&str]; 8] = [
        &[],
        &["--no-raw"],
        &["--csv"],
        &["--json"],
        &["--quoted-json"],
        &["-3", "--no-raw"],
        &["-3", "--csv"],
        &["-2", "--json"],
    ];
    let commands: [&[&str]; 16] = [
        &["get", "k"],
        &["get", "none"],
        &["lrange", "l", "0", "-1"],
        &["hgetall", "h"],
        &["smembers", "s"],
        &["zrange", "z", "0", "-1", "withscores"],
        &["zscore", "z", "a"],
        &["set", "x", "y"],
        &["llen", "l"],
        &["nosuch"],
        &["-e", "nosuch"],
        &["lrange", "none", "0", "-1"],
        &["hgetall", "none"],
        &["-r", "2", "ping"],
        &["-d", ",", "lrange", "l", "0", "3"],
        &["--quoted-input", "get", "\"\\x6b\""],
    ];
    for style in styles {
        for command in commands {
            let args = [style, command].concat();
            let (ours, stock) = (server.run(PROGRAM, &["cli"], &args, b""), server.run("redis-cli", &[], &args, b""));
            assert_eq!((text(&ours), ours.status.code()), (text(&stock), stock.status.code()), "{args:?}");
        }
    }
}

#[test]
fn a_session_over_a_pipe() {
    let server = Server::ours();
    let out = server.cli(
        &["--no-raw"],
        b"set a \"x y\"\nget a\nget \"a\n2 ping\nselect 3\nmulti\nget a\nexec\nnosuch\nquit\nping\n",
    );
    let want = "OK\n\"x y\"\nInvalid argument(s)\nPONG\nPONG\nOK\nOK\nQUEUED\n1) (nil)\n";
    assert!(
        out.starts_with(want)
            && out[want.len()..].starts_with("(error) ERR unknown command")
            && !out.ends_with("PONG\n"),
        "{out}"
    );
}

#[test]
fn bulk_loading_scanning_and_snapshots() {
    let server = Server::ours();
    let mut load = Vec::new();
    for i in 0..100_000 {
        write!(load, "*3\r\n$3\r\nSET\r\n$9\r\nkey:{i:05}\r\n$1\r\nv\r\n").unwrap();
    }
    let out = server.cli(&["--pipe"], &load);
    assert!(out.contains("errors: 0, replies: 100000"), "{out}");
    assert_eq!(server.cli(&["dbsize"], b""), "100000\n");
    let mut keys: Vec<String> = server.cli(&["--scan"], b"").lines().map(str::to_owned).collect();
    keys.sort();
    keys.dedup();
    assert_eq!(keys.len(), 100_000);
    assert_eq!(server.cli(&["--scan", "--quoted-pattern", "\"*0000\\x32\""], b""), "key:00002\n");
    let out = server.cli(&["--bigkeys"], b"");
    assert!(out.contains("Sampled 100000 keys") && out.contains("100000 strings with 100000 bytes"), "{out}");
    assert_eq!(server.cli(&["-x", "set", "from-stdin"], b"text"), "OK\n");
    assert_eq!(server.cli(&["--json", "get", "from-stdin"], b""), "\"text\"\n");

    let file = server.dir.join("fetched.rdb");
    let path = file.to_str().unwrap();
    let fetched = server.run(PROGRAM, &["cli"], &["--rdb", path], b"");
    assert!(
        fetched.status.success() && String::from_utf8_lossy(&fetched.stderr).contains("Transfer finished with success"),
        "{fetched:?}"
    );
    let check = |expected: bool| {
        let output = Command::new(PROGRAM).args(["check-rdb", path]).output().unwrap();
        assert_eq!(output.status.success(), expected, "{}", text(&output));
        text(&output)
    };
    let good = check(true);
    assert!(good.contains("\\o/ RDB looks OK! \\o/") && good.contains("100001 keys read"), "{good}");
    let whole = std::fs::read(&file).unwrap();
    std::fs::write(&file, &whole[..whole.len() / 2]).unwrap();
    let bad = check(false);
    assert!(bad.contains("--- RDB ERROR DETECTED ---") && bad.contains("While doing: "), "{bad}");
}

/// Each is whole, and has something in it that the server does not take: `check-rdb` says so, with the server's reason.
#[test]
fn what_the_server_refuses_is_not_called_good() {
    let folder = std::env::temp_dir().join(format!("rekindle-check-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let files: [(&str, &[u8], &[&str], &str); 7] = [
        ("good", b"\x00\x01k\x01v", &[], ""),
        ("a function library", b"\xf5\x05#!lua", &[], "functions are not supported"),
        (
            "a field that expires",
            b"\x18\x01k\x01\0\0\0\0\0\0\0\x01\x02\x01f\x01v",
            &[],
            "fields that expire are not supported",
        ),
        ("a database that is not there", b"\xfe\x10\x00\x01k\x01v", &[], "database 16 is beyond"),
        ("a database that is there", b"\xfe\x10\x00\x01k\x01v", &["--databases", "17"], ""),
        ("a key twice", b"\x00\x01k\x01v\x00\x01k\x01v", &[], "the key \"k\" is there twice"),
        ("a member twice", b"\x02\x01k\x02\x01a\x01a", &[], "a member is there twice"),
    ];
    for (name, body, options, error) in files {
        let path = folder.join("it.rdb");
        std::fs::write(&path, [&b"REDIS0012"[..], body, b"\xff\0\0\0\0\0\0\0\0"].concat()).unwrap();
        let output = Command::new(PROGRAM).arg("check-rdb").arg(&path).args(options).output().unwrap();
        let said = text(&output);
        assert_eq!(output.status.success(), error.is_empty(), "{name}: {said}");
        assert!(said.contains(error) && said.contains("RDB looks OK") == error.is_empty(), "{name}: {said}");
    }
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn refused_connections_say_so() {
    let output = Command::new(PROGRAM).args(["cli", "-p", "1", "ping"]).output().unwrap();
    assert_eq!(
        String::from_utf8_lossy(&output.stderr),
        "Could not connect to Redis at 127.0.0.1:1: Connection refused\n"
    );
    assert_eq!(output.status.code(), Some(1));
}

/// The first column of `--csv`, and the header.
fn csv_rows(output: &Output) -> (String, Vec<String>) {
    let out = text(output);
    let mut lines = out.lines();
    let header = lines.next().unwrap_or("").to_owned();
    (header, lines.map(|l| l.split("\",\"").next().unwrap().trim_matches('"').to_owned()).collect())
}

#[test]
fn benchmark_has_the_rows_and_columns_of_the_stock_one() {
    let Some(stock) = Server::stock() else { return };
    let ours = Server::ours();
    let args = ["-n", "1000", "--csv"];
    let by_stock_on_stock = csv_rows(&stock.run("redis-benchmark", &[], &args, b""));
    let by_ours_on_stock = csv_rows(&stock.run(PROGRAM, &["benchmark"], &args, b""));
    let by_stock_on_ours = csv_rows(&ours.run("redis-benchmark", &[], &args, b""));
    let by_ours_on_ours = csv_rows(&ours.run(PROGRAM, &["benchmark"], &args, b""));
    assert_eq!(by_stock_on_stock.1.len(), 20);
    assert_eq!(by_ours_on_stock, by_stock_on_stock);
    assert_eq!(by_stock_on_ours, by_stock_on_stock);
    assert_eq!(by_ours_on_ours, by_stock_on_stock);
}

#[test]
fn benchmark_sends_exactly_what_was_asked_for() {
    let server = Server::ours();
    for args in
        [&["-n", "1003", "-P", "16"][..], &["-n", "1003", "--threads", "2"], &["-n", "103", "-c", "5", "-k", "0"]]
    {
        server.cli(&["del", "n"], b"");
        let output = server.run(PROGRAM, &["benchmark"], &[args, &["-q", "incr", "n"]].concat(), b"");
        assert!(output.status.success(), "{output:?}");
        assert_eq!(server.cli(&["get", "n"], b""), format!("{}\n", args[1]), "{args:?}");
    }
    server.run(PROGRAM, &["benchmark"], &["-r", "50", "-t", "set", "-n", "2000", "-q"], b"");
    assert_eq!(server.cli(&["dbsize"], b""), "51\n");
    let wrong = server.run(PROGRAM, &["benchmark"], &["-n", "10", "set", "a"], b"");
    assert!(
        !wrong.status.success()
            && String::from_utf8_lossy(&wrong.stderr).contains("Error from server: ERR wrong number"),
        "{wrong:?}"
    );
}

/// Answers the commands of one connection after another with the given replies; what was asked.
fn answering(replies: Vec<Vec<u8>>) -> (u16, std::thread::JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let thread = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let (mut asked, mut input) = (Vec::new(), Vec::new());
        for reply in replies {
            let value = loop {
                if let Some((value, len)) = resp::parse_value(&input).unwrap() {
                    input.drain(..len);
                    break value;
                }
                let mut more = [0; 512];
                let n = stream.read(&mut more).unwrap();
                assert!(n > 0, "the client left");
                input.extend_from_slice(&more[..n]);
            };
            let resp::Value::Array(words) = value else { panic!("a command is an array") };
            let words: Vec<_> = words.iter().map(|w| String::from_utf8_lossy(w.as_bytes().unwrap())).collect();
            asked.push(words.join(" "));
            stream.write_all(&reply).unwrap();
        }
        asked
    });
    (port, thread)
}

#[test]
fn the_client_follows_redirections_where_it_is_told_to() {
    for (word, expected) in [("ASK", vec!["ASKING", "SET foo bar"]), ("MOVED", vec!["SET foo bar"])] {
        let (there, second) = answering(vec![b"+OK\r\n".to_vec(); expected.len()]);
        let redirection = format!("-{word} 12182 127.0.0.1:{there}\r\n").into_bytes();
        let (here, first) = answering(vec![redirection.clone()]);
        let cli = |port: u16, args: &[&str]| {
            let output = Command::new(PROGRAM).args(["cli", "-p", &port.to_string()]).args(args).output().unwrap();
            String::from_utf8_lossy(&output.stdout).into_owned()
        };
        assert_eq!(
            cli(here, &["--no-raw", "-c", "SET", "foo", "bar"]),
            format!("-> Redirected to slot [12182] located at 127.0.0.1:{there}\nOK\n")
        );
        assert_eq!(
            (first.join().unwrap(), second.join().unwrap()),
            (vec!["SET foo bar".to_owned()], expected.iter().map(|w| (*w).to_owned()).collect())
        );
        // Without -c the answer is the answer.
        let (here, first) = answering(vec![redirection]);
        assert!(cli(here, &["SET", "foo", "bar"]).starts_with(&format!("{word} 12182 127.0.0.1:{there}")));
        first.join().unwrap();
    }
}

#[test]
fn what_a_server_refuses_is_not_fetched() {
    let server = Server::ours();
    let path = server.dir.join("functions.rdb");
    let output = server.run(PROGRAM, &["cli"], &["--functions-rdb", path.to_str().unwrap()], b"");
    assert!(!output.status.success() && !path.exists());
    assert!(String::from_utf8_lossy(&output.stderr).contains("rdb-filter-only"), "{output:?}");
}

#[test]
fn hints_come_from_a_file_of_examples() {
    let server = Server::ours();
    let path = server.dir.join("hints.txt");
    let run = || server.run(PROGRAM, &["cli"], &["--test_hint_file", path.to_str().unwrap()], b"");
    std::fs::write(&path, "# examples\n\"GET \" \"key\"\n\"SET k v EX \" \"seconds [NX|XX] [GET]\"\n").unwrap();
    let output = run();
    assert!(output.status.success() && output.stdout == b"SUCCESS: 2/2 passed\n", "{output:?}");
    std::fs::write(&path, "\"GET \" \"lock\"\n").unwrap();
    let output = run();
    assert!(!output.status.success() && output.stdout.ends_with(b"FAILURE: 0/1 passed\n"), "{output:?}");
}

/// With the exit status and what is written where: `redis-cli` prints its help, as it does for `--help`.
#[test]
fn help_is_there_for_who_types_h_alone() {
    let (help, h) = (["cli", "--help"], ["cli", "-h"]);
    let run = |args: &[&str]| Command::new(PROGRAM).args(args).output().unwrap();
    let (help, h) = (run(&help), run(&h));
    assert!(h.status.success() && text(&h).starts_with("Usage: rekindle cli"), "{h:?}");
    assert_eq!((h.stdout, h.stderr), (help.stdout, help.stderr));
}

/// A port whose queue is full leaves a client without an answer.
#[test]
fn connecting_takes_no_longer_than_it_may() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    // The queue of a listener is 128 or more long; it is full when a connection is not made at once.
    let mut queue = Vec::new();
    while let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_millis(300)) {
        assert!(queue.len() < 10_000, "the queue does not fill");
        queue.push(stream);
    }
    let started = Instant::now();
    let port = address.port().to_string();
    let output = Command::new(PROGRAM).args(["cli", "-t", "0.2", "-p", &port, "ping"]).output().unwrap();
    let took = started.elapsed();
    assert_eq!(
        String::from_utf8_lossy(&output.stderr),
        format!("Could not connect to Redis at {address}: Connection timed out\n")
    );
    assert!(
        !output.status.success() && took >= Duration::from_millis(200) && took < Duration::from_secs(5),
        "{took:?}"
    );
}

#[test]
fn a_preferred_kind_of_address_is_tried_first() {
    let v4 = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = v4.local_addr().unwrap().port();
    let Ok(v6) = TcpListener::bind(("::1", port)) else {
        // Nothing can be preferred where there is one kind only.
        println!("skipped: IPv6 not found");
        return;
    };
    let answer = |listener: TcpListener, with: &'static [u8]| {
        std::thread::spawn(move || {
            while let Ok((mut stream, _)) = listener.accept() {
                let _ = stream.read(&mut [0; 64]).unwrap();
                stream.write_all(with).unwrap();
            }
        })
    };
    answer(v4, b"+four\r\n");
    answer(v6, b"+six\r\n");
    let ask = |args: &[&str]| {
        let port = port.to_string();
        let args = [&["cli", "-h", "localhost", "-p", &port], args, &["ping"]].concat();
        text(&Command::new(PROGRAM).args(args).output().unwrap())
    };
    let got = [ask(&["-4"]), ask(&["-6"]), ask(&[])];
    assert_eq!(got[0], "four\n");
    assert_eq!(got[2], "four\n", "as hiredis, without an option");
    let six = std::net::ToSocketAddrs::to_socket_addrs(&("localhost", port)).unwrap().any(|a| a.is_ipv6());
    assert_eq!(got[1], if six { "six\n" } else { "four\n" }, "localhost has an IPv6 address: {six}");
    let both = Command::new(PROGRAM).args(["cli", "-4", "-6", "ping"]).output().unwrap();
    assert_eq!(both.status.code(), Some(1));
    assert_eq!(String::from_utf8_lossy(&both.stderr), "Options -4 and -6 are mutually exclusive.\n");
}

#[test]
fn commands_to_the_client_itself_are_answered_as_by_the_stock_one() {
    let Some(server) = Server::stock() else { return };
    let input =
        b":set\n:set hints\n:SET NOHINTS\n:set foo\n:foo bar\n:\n2 :set foo\n:\"set\" foo\n\":set\" bar\nping\n";
    let ours = server.cli(&[], input);
    assert_eq!(ours, text(&server.run("redis-cli", &[], &[], input)));
    assert!(ours.contains("unknown redis-cli preference 'foo'") && ours.ends_with("PONG\n"), "{ours}");
}
