//! What happens around commands: requests that are none, waiting clients at a change of role, how time is counted, what
//! wrong words are answered. Each test runs against our server and against a real Redis, which says what is right.

use crate::support::client::{encoded, text};
use crate::support::{Client, PATIENCE, Product, Server, free_port, products, wait_until};
use resp::Value;
use std::time::Duration;

/// Sends a browser's bytes on a new connection, which is to be closed before anything after them runs.
fn check_attack(server: &Server, before: &[u8], request: &[u8]) {
    let shown = request.escape_ascii().to_string();
    let mut client = server.client();
    client.raw(before).unwrap();
    client.raw(request).unwrap();
    // The other side may have closed it already.
    let _ = client.raw(b"SET hacked 1\r\n*3\r\n$3\r\nSET\r\n$6\r\nhacked\r\n$1\r\n1\r\n");
    assert!(client.is_closed(), "{:?}: {shown} leaves the connection open", server.product);
    assert_eq!(server.call(&["EXISTS", "hacked"]), Value::Int(0), "{:?}: what follows {shown} was run", server.product);
}

#[test]
fn a_web_page_cannot_post_commands() {
    for product in products() {
        let server = Server::start(product, &[]);
        for request in [
            &b"POST / HTTP/1.1\r\nHost: a\r\n\r\n"[..],
            b"post /\r\n",
            b"PoSt\r\n",
            b"Host: 127.0.0.1:6379\r\n",
            b"hOST:\r\n",
            b"GET / HTTP/1.1\r\nHost: a\r\nSET hacked 1\r\n",
            b"PUT / HTTP/1.1\r\nhost: a\r\n\r\n",
            &encoded(&[b"POST"]),
            &encoded(&[b"pOsT", b"/", b"HTTP/1.1"]),
            &encoded(&[b"Host:", b"a"]),
        ] {
            check_attack(&server, b"", request);
            check_attack(&server, b"MULTI\r\nSET hacked 1\r\n", request);
            check_attack(&server, b"SUBSCRIBE a\r\n", request);
            check_attack(&server, b"CLIENT REPLY OFF\r\n", request);
        }
        // These are words like others where they are not the command.
        server.ok(&["SET", "POST", "Host:"]);
        assert_eq!(server.text(&["GET", "POST"]), "Host:");
        let told = server.log().matches("Possible SECURITY ATTACK detected").count();
        assert_eq!(told, 1, "once a minute is enough:\n{}", server.log());
    }
}

#[test]
fn a_web_page_cannot_post_commands_before_the_password() {
    for product in products() {
        let server = Server::start(product, &["--requirepass", "secret"]);
        let mut client = Client::tcp(server.port).unwrap();
        client.raw(b"POST / HTTP/1.1\r\nHost: a\r\n\r\nAUTH secret\r\nSET hacked 1\r\n").unwrap();
        assert!(client.is_closed());
        assert_eq!(server.call(&["EXISTS", "hacked"]), Value::Int(0));
    }
}

/// Every command that waits, where there is nothing to be had.
const WAITING: &[&str] = &[
    "BLPOP list 0",
    "BRPOP list other 0",
    "BLMOVE list to LEFT RIGHT 0",
    "BRPOPLPUSH list to 0",
    "BLMPOP 0 2 list other LEFT",
    "BZPOPMIN zset 0",
    "BZPOPMAX zset 0",
    "BZMPOP 0 1 zset MIN",
    "WAIT 9 0",
];

/// A client for each waiting command, which waits when this returns.
fn waiting_clients(server: &Server) -> Vec<Client> {
    let clients: Vec<Client> = WAITING
        .iter()
        .map(|line| {
            let mut client = server.client();
            client.send(&line.split(' ').collect::<Vec<_>>());
            client
        })
        .collect();
    wait_until(PATIENCE, || server.number("blocked_clients") == WAITING.len() as i64);
    clients
}

fn check_dismissed(product: Product, clients: Vec<Client>) {
    for (line, mut client) in WAITING.iter().zip(clients) {
        client.set_limit(Duration::from_secs(5));
        let reply = client.reply();
        assert!(matches!(&reply, Value::Error(e) if e.starts_with(b"UNBLOCKED ")), "{product:?} {line}: {reply:?}");
        assert!(client.is_closed(), "{product:?} {line} is left on a server that has become a replica");
    }
}

#[test]
fn waiting_clients_are_closed_when_their_server_begins_to_follow_another() {
    for product in products() {
        let server = Server::start(product, &[]);
        let clients = waiting_clients(&server);
        server.ok(&["REPLICAOF", "127.0.0.1", &free_port().to_string()]);
        check_dismissed(product, clients);
        assert_eq!(server.info("blocked_clients"), "0");
        assert_eq!(server.info("errorstat_UNBLOCKED"), format!("count={}", WAITING.len()), "{product:?}");
        // A replica that takes writes has waiting clients as well, and may be pointed elsewhere.
        server.ok(&["CONFIG", "SET", "replica-read-only", "no"]);
        let mut client = server.client();
        client.send(&["BLPOP", "list", "0"]);
        wait_until(PATIENCE, || server.number("blocked_clients") == 1);
        server.ok(&["REPLICAOF", "127.0.0.1", &free_port().to_string()]);
        assert!(text(&client.reply()).starts_with("UNBLOCKED "));
        assert!(client.is_closed());
    }
}

#[test]
fn waiting_clients_are_closed_when_the_role_is_given_away() {
    for product in products() {
        let (primary, replica) = (Server::start(product, &[]), Server::start(product, &[]));
        replica.follow(&primary);
        wait_until(PATIENCE, || primary.info("slave0").contains("state=online"));
        let clients = waiting_clients(&primary);
        primary.ok(&["FAILOVER"]);
        check_dismissed(product, clients);
        wait_until(PATIENCE, || replica.info("role") == "master");
    }
}

/// The microseconds that calls of a command took, and how many calls there were.
fn spent(server: &Server, command: &str) -> (u64, u64) {
    let fields = server.info(&format!("cmdstat_{command}"));
    let field = |name: &str| {
        let value =
            fields.split(',').find_map(|f| f.strip_prefix(name)).unwrap_or_else(|| panic!("{command}: {fields}"));
        value.parse().unwrap()
    };
    (field("usec="), field("calls="))
}

#[test]
fn each_command_is_charged_with_its_own_time() {
    for product in products() {
        let server = Server::start(product, &["--enable-debug-command", "yes", "--slowlog-log-slower-than", "50000"]);
        let mut client = server.client();
        client.raw(b"MULTI\r\nSET k 1\r\nDEBUG SLEEP 0.1\r\nGET k\r\nDEBUG SLEEP 0.1\r\nAPPEND k 2\r\nEXEC\r\nSTRLEN k\r\n").unwrap();
        let replies: Vec<Value> = (0..8).map(|_| client.reply()).collect();
        assert!(matches!(&replies[6], Value::Array(all) if all.len() == 5), "{replies:?}");
        assert!(spent(&server, "exec").0 >= 200_000, "{product:?}: EXEC lasts as long as what it runs");
        for quick in ["multi", "set", "get", "append", "strlen"] {
            assert!(spent(&server, quick).0 < 50_000, "{product:?}: {quick} took {:?}", spent(&server, quick));
        }
        let (us, calls) = spent(&server, "debug");
        assert!(calls == 2 && (200_000..400_000).contains(&us), "{product:?}: {us} {calls}");
        let Value::Array(slow) = server.call(&["SLOWLOG", "GET"]) else { panic!("the slow log is an array") };
        let commands: Vec<String> = slow
            .iter()
            .map(|entry| match entry {
                Value::Array(parts) => crate::support::client::texts(&parts[3]).join(" "),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(commands, ["DEBUG SLEEP 0.1", "DEBUG SLEEP 0.1"], "{product:?}");
    }
}

#[test]
fn monitor_names_the_unix_socket_that_a_client_came_over() {
    for product in products() {
        let folder = crate::support::Folder::new();
        let path = folder.file("s");
        let server = Server::start(product, &["--unixsocket", &path]);
        let mut monitor = server.client();
        monitor.ok(&["MONITOR"]);
        let mut client = Client::unix(&path).unwrap();
        client.ok(&["SELECT", "3"]);
        client.ok(&["SET", "k", "a\"b\u{1}\u{e9}"]);
        let first = text(&monitor.reply());
        let (time, rest) = first.split_once(' ').unwrap();
        assert_eq!(rest, format!("[3 unix:{path}] \"SELECT\" \"3\""), "{product:?}");
        assert!(time.split_once('.').is_some_and(|(s, us)| s.len() == 10 && us.len() == 6), "{product:?}: {time}");
        let second = text(&monitor.reply());
        assert!(second.ends_with(&format!("[3 unix:{path}] \"SET\" \"k\" \"a\\\"b\\x01\\xc3\\xa9\"")), "{second}");
    }
}

#[test]
fn a_save_that_is_scheduled_beside_a_save_is_refused() {
    for product in products() {
        let server = Server::start(product, &["--rdb-key-save-delay", "10000000"]);
        server.ok(&["SET", "k", "v"]);
        assert_eq!(server.text(&["BGSAVE", "SCHEDULE"]), "Background saving started");
        wait_until(PATIENCE, || server.info("rdb_bgsave_in_progress") == "1");
        for again in [&["BGSAVE"][..], &["BGSAVE", "SCHEDULE"]] {
            assert_eq!(server.text(again), "ERR Background save already in progress", "{product:?} {again:?}");
        }
        assert_eq!(server.text(&["BGSAVE", "x"]), "ERR syntax error");
    }
}

/// Requests one after another on one connection, and the bytes that answer each.
type Dialogue<'a> = &'a [(&'a [&'a [u8]], &'a [u8])];

const DIALOGUES: &[Dialogue] = &[
    &[
        (&[b"SELECT", b"abc"], b"-ERR value is not an integer or out of range\r\n"),
        (&[b"SELECT", b"-1"], b"-ERR DB index is out of range\r\n"),
        (&[b"SELECT", b"16"], b"-ERR DB index is out of range\r\n"),
        (
            &[b"SELECT", b"99999999999"],
            b"-ERR value is out of range, value must between -2147483648 and 2147483647\r\n",
        ),
        (&[b"CLIENT", b"LIST", b"ID", b"0"], b"$0\r\n\r\n"),
        (&[b"CLIENT", b"LIST", b"ID", b"-1", b"99999"], b"$0\r\n\r\n"),
        (&[b"CLIENT", b"LIST", b"ID", b"x"], b"-ERR Invalid client ID\r\n"),
    ],
    // What was wrong is shown byte by byte, up to a zero byte, line ends as blanks.
    &[
        (
            &[b"\xff\xfe", b"a\r\nb", b"\0"],
            b"-ERR unknown command '\xff\xfe', with args beginning with: 'a  b' '' \r\n",
        ),
        (&[b"foo\0bar", b"x\0y"], b"-ERR unknown command 'foo', with args beginning with: 'x' \r\n"),
        (&[b"CLIENT", b"\xff\0x"], b"-ERR unknown subcommand '\xff'. Try CLIENT HELP.\r\n"),
        (&[b"HELLO", b"3", b"\xff\r\n"], b"-ERR Syntax error in HELLO option '\xff  '\r\n"),
        (&[b"CLIENT", b"KILL", b"TYPE", b"\xfe"], b"-ERR Unknown client type '\xfe'\r\n"),
        (&[b"CLIENT", b"KILL", b"USER", b"\xfe"], b"-ERR No such user '\xfe'\r\n"),
        (&[b"LATENCY", b"GRAPH", b"\xfe"], b"-ERR No samples available for event '\xfe'\r\n"),
        (
            &[b"CLIENT", b"TRACKING", b"on", b"BCAST", b"PREFIX", b"\xfea", b"PREFIX", b"\xfe"],
            b"-ERR Prefix '\xfea' overlaps with another provided prefix '\xfe'. Prefixes for a single client must not overlap.\r\n",
        ),
        (
            &[b"CONFIG", b"SET", b"\xffa", b"1"],
            b"-ERR Unknown option or number of arguments for CONFIG SET - '\xffa'\r\n",
        ),
        (&[b"REPLCONF", b"\xff", b"1"], b"-ERR Unrecognized REPLCONF option: \xff\r\n"),
    ],
    // Too many words for a subcommand.
    &[
        (
            &[b"PUBSUB", b"channels", b"a", b"b"],
            b"-ERR unknown subcommand or wrong number of arguments for 'channels'. Try PUBSUB HELP.\r\n",
        ),
        (
            &[b"PUBSUB", b"SHARDCHANNELS", b"a", b"b"],
            b"-ERR unknown subcommand or wrong number of arguments for 'SHARDCHANNELS'. Try PUBSUB HELP.\r\n",
        ),
        (
            &[b"SLOWLOG", b"GET", b"1", b"b"],
            b"-ERR unknown subcommand or wrong number of arguments for 'GET'. Try SLOWLOG HELP.\r\n",
        ),
        (
            &[b"CLIENT", b"PAUSE", b"1", b"ALL", b"x"],
            b"-ERR unknown subcommand or wrong number of arguments for 'PAUSE'. Try CLIENT HELP.\r\n",
        ),
        (
            &[b"CLIENT", b"UNBLOCK", b"1", b"ERROR", b"x"],
            b"-ERR unknown subcommand or wrong number of arguments for 'UNBLOCK'. Try CLIENT HELP.\r\n",
        ),
        (&[b"CONFIG", b"SET", b"maxmemory", b"0", b"x"], b"-ERR syntax error\r\n"),
    ],
    // The words are looked at before the time.
    &[
        (&[b"SET", b"k", b"v", b"EX", b"abc", b"foo"], b"-ERR syntax error\r\n"),
        (&[b"SET", b"k", b"v", b"EX", b"0", b"foo"], b"-ERR syntax error\r\n"),
        (&[b"SET", b"k", b"v", b"EX", b"0", b"NX", b"XX"], b"-ERR syntax error\r\n"),
        (&[b"SET", b"k", b"v", b"PX", b"0", b"EX", b"1"], b"-ERR syntax error\r\n"),
        (&[b"SET", b"k", b"v", b"PX", b"0", b"KEEPTTL"], b"-ERR syntax error\r\n"),
        (&[b"SET", b"k", b"v", b"PX"], b"-ERR syntax error\r\n"),
        (&[b"SET", b"k", b"v", b"EX", b"0", b"EX", b"100"], b"+OK\r\n"),
        (&[b"TTL", b"k"], b":100\r\n"),
        (&[b"SET", b"k", b"v", b"EX", b"abc"], b"-ERR value is not an integer or out of range\r\n"),
        (&[b"SET", b"k", b"v", b"EX", b"0"], b"-ERR invalid expire time in 'set' command\r\n"),
        (&[b"SET", b"k", b"v", b"KEEPTTL", b"NX", b"NX", b"KEEPTTL"], b"$-1\r\n"),
        (&[b"GETEX", b"k", b"EX", b"0", b"foo"], b"-ERR syntax error\r\n"),
        (&[b"GETEX", b"k", b"EX", b"0", b"PERSIST"], b"-ERR syntax error\r\n"),
        (&[b"GETEX", b"k", b"EX", b"0"], b"-ERR invalid expire time in 'getex' command\r\n"),
        (&[b"GETEX", b"missing", b"EX", b"0"], b"$-1\r\n"),
        (&[b"RPUSH", b"l", b"a"], b":1\r\n"),
        (
            &[b"GETEX", b"l", b"EX", b"0"],
            b"-WRONGTYPE Operation against a key holding the wrong kind of value\r\n",
        ),
        (&[b"GETEX", b"k", b"PERSIST", b"PERSIST"], b"$1\r\nv\r\n"),
        (&[b"TTL", b"k"], b":-1\r\n"),
        (&[b"GETEX", b"k", b"PX", b"0", b"PX", b"100000"], b"$1\r\nv\r\n"),
        (&[b"TTL", b"k"], b":100\r\n"),
    ],
    // So are weights to sort by; in Redis one that is out of range makes all later ones unreadable.
    &[
        (&[b"RPUSH", b"l", b"2", b" 1\0x"], b":2\r\n"),
        (&[b"SORT", b"l"], b"*2\r\n$4\r\n 1\0x\r\n$1\r\n2\r\n"),
    ],
    // Bounds are read as C's strtod reads them.
    &[
        (&[b"ZADD", b"z", b"1", b"a", b"-inf", b"b", b"inf", b"c", b"0", b"d"], b":4\r\n"),
        (&[b"ZCOUNT", b"z", b"-1e400", b"1e400"], b":4\r\n"),
        (&[b"ZCOUNT", b"z", b"(-1e400", b"(1e400"], b":2\r\n"),
        (&[b"ZCOUNT", b"z", b"1e-400", b"(0x1p5000"], b":2\r\n"),
        (&[b"ZCOUNT", b"z", b"", b"("], b":0\r\n"),
        (&[b"ZCOUNT", b"z", b"\t 1\0foo", b"0x10"], b":1\r\n"),
        (&[b"ZCOUNT", b"z", b"1 ", b"2"], b"-ERR min or max is not a float\r\n"),
        (&[b"ZCOUNT", b"z", b" ", b"2"], b"-ERR min or max is not a float\r\n"),
        (&[b"ZCOUNT", b"z", b"nan", b"2"], b"-ERR min or max is not a float\r\n"),
        (&[b"ZRANGEBYSCORE", b"z", b"-1e400", b"0"], b"*2\r\n$1\r\nb\r\n$1\r\nd\r\n"),
        (&[b"ZRANGE", b"z", b"1e400", b"1", b"BYSCORE", b"REV"], b"*2\r\n$1\r\nc\r\n$1\r\na\r\n"),
        (&[b"ZADD", b"z", b"1e400", b"a"], b"-ERR value is not a valid float\r\n"),
        (&[b"ZADD", b"z", b" 1", b"a"], b"-ERR value is not a valid float\r\n"),
        (&[b"ZINCRBY", b"z", b"1e-400", b"a"], b"-ERR value is not a valid float\r\n"),
        (&[b"ZREMRANGEBYSCORE", b"z", b"1e400", b"+1e999"], b":1\r\n"),
    ],
    // Neither MULTI nor WATCH spoils a transaction; another refusal does.
    &[
        (&[b"MULTI"], b"+OK\r\n"),
        (&[b"MULTI"], b"-ERR MULTI calls can not be nested\r\n"),
        (&[b"WATCH", b"k"], b"-ERR WATCH inside MULTI is not allowed\r\n"),
        (&[b"INCR", b"n"], b"+QUEUED\r\n"),
        (&[b"EXEC"], b"*1\r\n:1\r\n"),
        (&[b"EXEC"], b"-ERR EXEC without MULTI\r\n"),
        (&[b"MULTI"], b"+OK\r\n"),
        (&[b"MULTI", b"x"], b"-ERR wrong number of arguments for 'multi' command\r\n"),
        (&[b"EXEC"], b"-EXECABORT Transaction discarded because of previous errors.\r\n"),
        (&[b"MULTI"], b"+OK\r\n"),
        (&[b"WATCH"], b"-ERR wrong number of arguments for 'watch' command\r\n"),
        (&[b"INCR", b"n"], b"+QUEUED\r\n"),
        (
            &[b"EXEC", b"foo"],
            b"-EXECABORT Transaction discarded because of: wrong number of arguments for 'exec' command\r\n",
        ),
        (&[b"EXEC"], b"-ERR EXEC without MULTI\r\n"),
        (
            &[b"EXEC", b"foo"],
            b"-EXECABORT Transaction discarded because of: wrong number of arguments for 'exec' command\r\n",
        ),
        (&[b"GET", b"n"], b"$1\r\n1\r\n"),
        (&[b"SUBSCRIBE", b"c"], b"*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n"),
        (
            &[b"EXEC"],
            b"-EXECABORT Transaction discarded because of: Can't execute 'exec': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context\r\n",
        ),
    ],
    // CLIENT CACHING is for the next command, be it refused or none at all.
    &[
        (&[b"CLIENT", b"TRACKING", b"on", b"OPTIN"], b"+OK\r\n"),
        (&[b"CLIENT", b"CACHING", b"yes"], b"+OK\r\n"),
        (&[b"GET"], b"-ERR wrong number of arguments for 'get' command\r\n"),
        (&[b"CLIENT", b"TRACKINGINFO"], b"*6\r\n$5\r\nflags\r\n*2\r\n$2\r\non\r\n$5\r\noptin\r\n$8\r\nredirect\r\n:0\r\n$8\r\nprefixes\r\n*0\r\n"),
        (&[b"CLIENT", b"CACHING", b"yes"], b"+OK\r\n"),
        (&[b"CLIENT", b"GETNAME", b"x"], b"-ERR wrong number of arguments for 'client|getname' command\r\n"),
        (&[b"CLIENT", b"TRACKINGINFO"], b"*6\r\n$5\r\nflags\r\n*3\r\n$2\r\non\r\n$5\r\noptin\r\n$11\r\ncaching-yes\r\n$8\r\nredirect\r\n:0\r\n$8\r\nprefixes\r\n*0\r\n"),
        (&[b"CLIENT", b"x"], b"-ERR unknown subcommand 'x'. Try CLIENT HELP.\r\n"),
        (&[b"CLIENT", b"TRACKINGINFO"], b"*6\r\n$5\r\nflags\r\n*2\r\n$2\r\non\r\n$5\r\noptin\r\n$8\r\nredirect\r\n:0\r\n$8\r\nprefixes\r\n*0\r\n"),
        (&[b"CLIENT", b"CACHING", b"yes"], b"+OK\r\n"),
        (&[b"MULTI"], b"+OK\r\n"),
        (&[b"NOSUCH"], b"-ERR unknown command 'NOSUCH', with args beginning with: \r\n"),
        (&[b"DISCARD"], b"+OK\r\n"),
        (&[b"CLIENT", b"TRACKINGINFO"], b"*6\r\n$5\r\nflags\r\n*2\r\n$2\r\non\r\n$5\r\noptin\r\n$8\r\nredirect\r\n:0\r\n$8\r\nprefixes\r\n*0\r\n"),
    ],
];

#[test]
fn wrong_words_and_odd_moments_are_answered_as_by_redis() {
    for product in products() {
        let server = Server::start(product, &[]);
        for dialogue in DIALOGUES {
            server.ok(&["FLUSHALL"]);
            let mut client = server.client();
            for (words, expected) in *dialogue {
                client.raw(&encoded(words)).unwrap();
                let shown = words.join(&b' ').escape_ascii().to_string();
                let bytes = client.reply_bytes();
                assert_eq!(
                    bytes.escape_ascii().to_string(),
                    expected.escape_ascii().to_string(),
                    "{product:?}: {shown}"
                );
            }
        }
    }
}

#[test]
fn exec_before_the_password_is_refused_as_a_transaction() {
    for product in products() {
        let server = Server::start(product, &["--requirepass", "secret"]);
        let mut client = Client::tcp(server.port).unwrap();
        let expected = "EXECABORT Transaction discarded because of: NOAUTH Authentication required.";
        assert_eq!(text(&client.call(&["EXEC"])), expected, "{product:?}");
        assert_eq!(text(&client.call(&["MULTI"])), "NOAUTH Authentication required.", "{product:?}");
    }
}

#[test]
fn secrets_stand_neither_in_the_slow_log_nor_before_monitors() {
    const SECRET: &str = "s3cret";
    for product in products() {
        let options = ["--slowlog-log-slower-than", "0", "--rename-command", "AUTH", "LOGIN"];
        let server = Server::start(product, &options);
        let mut monitor = server.client();
        monitor.ok(&["MONITOR"]);
        let mut client = server.client();
        for line in [
            "CONFIG SET masteruser s3cret",
            "CONFIG SET masterauth s3cret maxmemory 0",
            "CONFIG SET maxmemory 0 MasterUser s3cret",
            "CONFIG SET requirepass s3cret",
            "LOGIN s3cret",
            "LOGIN default s3cret",
            "HELLO 2 AUTH default s3cret SETNAME me",
            "CONFIG SET tls-key-file-pass s3cret",
            "CONFIG SET tls-client-key-file-pass s3cret",
            "CONFIG SET primaryuser s3cret primaryauth s3cret",
            "PING end",
        ] {
            // A server without TLS, or of older names, refuses some.
            client.call(&line.split(' ').collect::<Vec<_>>());
        }
        let Value::Array(slow) = client.call(&["SLOWLOG", "GET", "-1"]) else { panic!("the slow log is an array") };
        let shown: Vec<String> = slow.iter().map(|entry| format!("{entry:?}")).collect();
        assert!(slow.len() > 8, "{product:?}: {shown:?}");
        for entry in &slow {
            let Value::Array(parts) = entry else { panic!("{entry:?}") };
            let words = crate::support::client::texts(&parts[3]).join(" ");
            let known = product == Product::Ours || !(words.contains("tls-") || words.contains("primary"));
            assert!(!words.contains(SECRET) || !known, "{product:?}: {words}");
        }
        loop {
            let line = text(&monitor.reply());
            assert!(!line.contains(SECRET), "{product:?}: {line}");
            if line.ends_with("\"PING\" \"end\"") {
                break;
            }
        }
    }
}
