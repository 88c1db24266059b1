//! The wire: what is malformed, cut anywhere, huge, too much, too many, too slow, and the ways to connect.

use crate::support::client::{bulk, encoded, text, texts};
use crate::support::{Client, Folder, PATIENCE, holds_within, ours, wait_until};
use resp::Value;
use std::io::Write;
use std::net::{Ipv6Addr, TcpListener, UdpSocket};
use std::time::{Duration, Instant};

#[test]
fn malformed_requests_close_their_connection_only() {
    let server = ours(&[]);
    let mut bystander = server.client();
    for (bytes, error) in [
        (&b"*x\r\n"[..], "ERR Protocol error: invalid multibulk length"),
        (b"*2147483648\r\n", "ERR Protocol error: invalid multibulk length"),
        (b"*1\r\n+PING\r\n", "ERR Protocol error: expected '$', got '+'"),
        (b"*1\r\n$x\r\n", "ERR Protocol error: invalid bulk length"),
        (b"*1\r\n$-2\r\n", "ERR Protocol error: invalid bulk length"),
        (b"*1\r\n$536870913\r\n", "ERR Protocol error: invalid bulk length"),
        (b"SET \"a\r\n", "ERR Protocol error: unbalanced quotes in request"),
        (&[b'a'; 70_000], "ERR Protocol error: too big inline request"),
        (&[&b"*"[..], &[b'1'; 70_000]].concat(), "ERR Protocol error: too big mbulk count string"),
        (&[&b"*1\r\n$"[..], &[b'1'; 70_000]].concat(), "ERR Protocol error: too big bulk count string"),
    ] {
        let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(30)]).into_owned();
        let mut client = server.client();
        // What came before is answered.
        client.raw(&[&encoded(&[b"SET", b"k", b"v"])[..], bytes].concat()).unwrap();
        assert_eq!(client.reply(), Value::Simple(b"OK".to_vec()), "{shown}");
        assert_eq!(text(&client.reply()), error, "{shown}");
        assert!(client.is_closed(), "{shown}");
        assert_eq!(bystander.call(&["GET", "k"]), bulk("v"), "{shown}");
    }
    // Nothing but empty requests is no error.
    bystander.raw(b"\r\n*0\r\n*-1\r\n").unwrap();
    assert_eq!(bystander.text(&["PING"]), "PONG");
}

#[test]
fn requests_may_be_cut_anywhere() {
    for backend in ["io_uring", "epoll"] {
        let server = ours(&["--io-backend", backend]);
        let mut bytes = encoded(&[b"SET", b"k", b"a\r\nb"]);
        bytes.extend(encoded(&[b"GET", b"k"]));
        bytes.extend(b"ECHO \"in line\"\r\n");
        bytes.extend(encoded(&[b"INCR", b"n"]));
        for cut in 1..bytes.len() {
            let mut client = server.client();
            client.raw(&bytes[..cut]).unwrap();
            // What is complete is answered before the rest is sent.
            client.raw(&bytes[cut..]).unwrap();
            assert_eq!(client.reply(), Value::Simple(b"OK".to_vec()));
            assert_eq!(client.reply(), bulk("a\r\nb"));
            assert_eq!(client.reply(), bulk("in line"));
            assert_eq!(client.reply(), Value::Int(cut as i64));
        }
        let mut client = server.client();
        for byte in &bytes {
            client.raw(&[*byte]).unwrap();
        }
        for _ in 0..4 {
            client.reply();
        }
        assert_eq!(server.text(&["GET", "n"]), bytes.len().to_string());
    }
}

#[test]
fn inline_requests() {
    let server = ours(&[]);
    let mut client = server.client();
    for (line, reply) in [
        ("PING\r\n", Value::Simple(b"PONG".to_vec())),
        ("PING\n", Value::Simple(b"PONG".to_vec())),
        ("  set   k  'a b'\r\n", Value::Simple(b"OK".to_vec())),
        ("get k\r\n", bulk("a b")),
        ("echo \"\\x41\\n\"\r\n", bulk("A\n")),
    ] {
        client.raw(line.as_bytes()).unwrap();
        assert_eq!(client.reply(), reply, "{line:?}");
    }
    client.raw(b"nonsense a b\r\n").unwrap();
    assert_eq!(text(&client.reply()), "ERR unknown command 'nonsense', with args beginning with: 'a' 'b' ");
    client.raw(b"QUIT\r\n").unwrap();
    assert_eq!(client.reply(), Value::Simple(b"OK".to_vec()));
    assert!(client.is_closed());
}

#[test]
fn a_hundred_thousand_pipelined_commands() {
    for backend in ["io_uring", "epoll"] {
        let server = ours(&["--io-backend", backend]);
        let mut client = server.client();
        let mut writer = client.writer();
        let bytes = encoded(&[b"INCR", b"n"]).repeat(100_000);
        let thread = std::thread::spawn(move || writer.write_all(&bytes).unwrap());
        for i in 1..=100_000 {
            assert_eq!(client.reply(), Value::Int(i));
        }
        thread.join().unwrap();
    }
}

#[test]
fn a_value_of_64_mib() {
    for backend in ["io_uring", "epoll"] {
        let server = ours(&["--io-backend", backend]);
        let mut client = server.client();
        let value: Vec<u8> = (0..64u32 << 20).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        client.raw(&encoded(&[b"SET", b"k", &value])).unwrap();
        assert_eq!(client.reply(), Value::Simple(b"OK".to_vec()));
        assert_eq!(client.call(&["STRLEN", "k"]), Value::Int(64 << 20));
        assert!(client.call(&["GET", "k"]).as_bytes() == Some(&value[..]));
    }
}

#[test]
fn a_client_that_does_not_read_takes_no_memory() {
    for backend in ["io_uring", "epoll"] {
        let server = ours(&["--io-backend", backend]);
        let mut client = server.client();
        client.ok(&["SET", "k", &"v".repeat(100_000)]);
        let before = server.resident_bytes();
        let mut writer = client.writer();
        let bytes = encoded(&[b"GET", b"k"]).repeat(2000);
        writer.write_all(&bytes).unwrap();
        // The server has run what it wanted to when its counter rests (but for the answers to INFO).
        let (mut last, mut since) = (-1, Instant::now());
        wait_until(PATIENCE, || {
            let now = server.number("total_net_output_bytes");
            if now > last + 10_000_000 {
                (last, since) = (now, Instant::now());
            }
            since.elapsed() > Duration::from_millis(200)
        });
        let grown = server.resident_bytes().saturating_sub(before);
        assert!(grown < 64 << 20, "{backend}: {} MiB more for 200 MB of replies that nobody reads", grown >> 20);
        // Others are served, and nothing is lost.
        server.ok(&["SET", "other", "1"]);
        for _ in 0..2000 {
            assert_eq!(client.reply().as_bytes().map(<[u8]>::len), Some(100_000));
        }
        assert_eq!(client.text(&["PING"]), "PONG");
    }
}

#[test]
fn too_many_clients() {
    let server = ours(&["--maxclients", "4"]);
    let mut clients: Vec<Client> = Vec::new();
    // Connections of the start, or of the round before, may not be closed yet.
    let is_served = |client: &mut Client| client.try_call(&["PING"]).is_ok_and(|reply| text(&reply) == "PONG");
    wait_until(PATIENCE, || {
        clients.clear();
        clients.extend((0..4).map(|_| server.client()));
        clients.iter_mut().all(is_served)
    });
    let mut fifth = Client::tcp(server.port).unwrap();
    assert_eq!(text(&fifth.reply()), "ERR max number of clients reached");
    assert!(fifth.is_closed());
    drop(clients.pop());
    wait_until(PATIENCE, || Client::tcp(server.port).is_ok_and(|mut client| is_served(&mut client)));
    assert_eq!(clients[0].call(&["CONFIG", "SET", "maxclients", "100"]), Value::Simple(b"OK".to_vec()));
    assert!(server.number("rejected_connections") >= 1);
}

#[test]
fn idle_clients_are_closed_but_not_those_that_wait() {
    let server = ours(&["--timeout", "1"]);
    let (mut idle, mut blocked, mut subscribed) = (server.client(), server.client(), server.client());
    idle.call(&["PING"]);
    blocked.send(&["BLPOP", "list", "0"]);
    subscribed.call(&["SUBSCRIBE", "channel"]);
    let started = Instant::now();
    assert!(idle.is_closed());
    assert!(started.elapsed() >= Duration::from_millis(900));
    let mut other = server.client();
    assert_eq!(other.call(&["RPUSH", "list", "x"]), Value::Int(1));
    assert_eq!(texts(&blocked.reply()), ["list", "x"]);
    assert_eq!(other.call(&["PUBLISH", "channel", "m"]), Value::Int(1));
    assert_eq!(texts(&subscribed.reply()), ["message", "channel", "m"]);
}

#[test]
fn unix_sockets() {
    let folder = Folder::new();
    let path = folder.file("socket");
    for backend in ["io_uring", "epoll"] {
        let mut server = ours(&["--unixsocket", &path, "--unixsocketperm", "700", "--io-backend", backend]);
        let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&path).unwrap().permissions());
        assert_eq!(mode & 0o777, 0o700);
        let mut client = Client::unix(&path).unwrap();
        client.ok(&["SET", "k", "v"]);
        assert_eq!(server.text(&["GET", "k"]), "v");
        let info = client.text(&["CLIENT", "INFO"]);
        assert!(info.contains(&format!("addr={path}:0 ")) && info.contains("flags=U "), "{info}");
        server.shutdown(&[]);
        assert!(!std::path::Path::new(&path).exists());
    }
    let none = ours(&["--unixsocket", &path]);
    assert_eq!(Client::unix(&path).unwrap().text(&["PING"]), "PONG");
    drop(none);
    // The socket that a killed server has left is no obstacle.
    let again = ours(&["--unixsocket", &path]);
    assert_eq!(Client::unix(&path).unwrap().text(&["PING"]), "PONG");
    drop(again);
}

#[test]
fn ipv6() {
    if TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_err() {
        println!("skipped: this machine has no IPv6");
        return;
    }
    let server = ours(&["--bind", "127.0.0.1", "-::1"]);
    let mut client = Client::host("::1", server.port).unwrap();
    let info = client.text(&["CLIENT", "INFO"]);
    assert!(info.contains("addr=[::1]:"), "{info}");
    assert_eq!(server.text(&["PING"]), "PONG");
    // A replica over IPv6.
    let replica = ours(&["--replicaof", "::1", &server.port.to_string()]);
    replica.wait_for_link();
}

/// An address of this machine that is not its loopback.
fn outer_address() -> Option<String> {
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    // Nothing is sent: this only chooses a route.
    socket.connect("192.0.2.1:9").ok()?;
    let ip = socket.local_addr().ok()?.ip();
    (!ip.is_loopback() && !ip.is_unspecified()).then(|| ip.to_string())
}

#[test]
fn protected_mode() {
    let Some(outer) = outer_address() else {
        println!("skipped: there is only the loopback interface");
        return;
    };
    let server = ours(&[]);
    let mut client = Client::host(&outer, server.port).unwrap();
    // Coming from the machine's own outer address is coming from outside.
    let reply = text(&client.reply());
    assert!(
        reply.starts_with("DENIED Redis is running in protected mode because protected mode is enabled"),
        "{reply}"
    );
    assert!(client.is_closed());
    server.ok(&["CONFIG", "SET", "protected-mode", "no"]);
    assert_eq!(Client::host(&outer, server.port).unwrap().text(&["PING"]), "PONG");
    server.ok(&["CONFIG", "SET", "protected-mode", "yes"]);
    server.ok(&["CONFIG", "SET", "requirepass", "p"]);
    let mut client = Client::host(&outer, server.port).unwrap();
    assert_eq!(client.text(&["PING"]), "NOAUTH Authentication required.");
    client.ok(&["AUTH", "p"]);
}

#[test]
fn backends_are_shown_and_do_the_same() {
    for (backend, shown) in [("io_uring", "io_uring"), ("epoll", "epoll")] {
        let server = ours(&["--io-backend", backend]);
        let info = server.text(&["INFO", "server"]);
        assert!(info.contains(shown), "{info}");
        let replica = ours(&["--io-backend", backend]);
        crate::support::data::fill(&server, 1000, 50);
        replica.follow(&server);
        replica.wait_for_offset_of(&server);
        crate::support::data::assert_same(&server, &replica);
    }
}

#[test]
fn subscribers_that_do_not_read_are_cut_off() {
    for (limit, sent) in [("pubsub 4mb 0 0", 100), ("pubsub 0 1mb 1", 30)] {
        let server = ours(&["--client-output-buffer-limit", limit]);
        let mut slow = server.client();
        slow.call(&["SUBSCRIBE", "c"]);
        let id = server.text(&["CLIENT", "LIST", "TYPE", "pubsub"]);
        assert!(id.contains("sub=1 "), "{id}");
        let mut publisher = server.client();
        let message = "m".repeat(500_000);
        for _ in 0..sent {
            publisher.call(&["PUBLISH", "c", &message]);
        }
        let gone = holds_within(PATIENCE, || publisher.call(&["PUBLISH", "c", &message]) == Value::Int(0));
        assert!(gone, "{limit}: {}", server.text(&["CLIENT", "LIST"]));
        assert!(slow.is_closed());
        assert!(
            server.log().contains("scheduled to be closed ASAP for overcoming of output buffer limits"),
            "{}",
            server.log()
        );
        assert_eq!(server.number("client_output_buffer_limit_disconnections"), 1);
    }
}

#[test]
fn requests_that_are_too_large_are_cut_off() {
    let server = ours(&["--client-query-buffer-limit", "1mb"]);
    let mut client = server.client();
    let value = vec![b'v'; 3 << 20];
    let _ = client.raw(&encoded(&[b"SET", b"k", &value]));
    assert!(client.is_closed());
    assert_eq!(server.call(&["GET", "k"]), Value::Null);
    assert_eq!(server.number("client_query_buffer_limit_disconnections"), 1);
    let server = ours(&["--proto-max-bulk-len", "1mb"]);
    let mut client = server.client();
    client.raw(b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1048577\r\n").unwrap();
    assert_eq!(text(&client.reply()), "ERR Protocol error: invalid bulk length");
}

#[test]
fn strangers_may_not_announce_much() {
    let server = ours(&["--requirepass", "p"]);
    let mut client = Client::tcp(server.port).unwrap();
    client.raw(b"*11\r\n").unwrap();
    assert_eq!(text(&client.reply()), "ERR Protocol error: unauthenticated multibulk length");
    let mut client = Client::tcp(server.port).unwrap();
    client.raw(b"*1\r\n$16385\r\n").unwrap();
    assert_eq!(text(&client.reply()), "ERR Protocol error: unauthenticated bulk length");
}

#[test]
fn a_pipeline_that_is_sent_before_any_reply_is_read() {
    // More requests and more replies than all the buffers of both kernels hold.
    const REQUESTS: usize = 400_000;
    for backend in ["io_uring", "epoll"] {
        let server = ours(&["--io-backend", backend]);
        let mut client = server.client();
        client.ok(&["SET", "k", &"v".repeat(200)]);
        let mut writer = client.writer();
        let request =
            encoded(&[b"MGET", b"k", b"a long name of a key that is not there, to make the requests long as well"]);
        writer.write_all(&request.repeat(REQUESTS)).unwrap();
        for _ in 0..REQUESTS {
            let Value::Array(values) = client.reply() else { panic!("an array is expected") };
            assert_eq!(values.len(), 2);
        }
        assert_eq!(client.text(&["PING"]), "PONG");
    }
}

#[test]
fn the_output_limit_ends_a_reply_without_end_and_lets_small_ones_through() {
    let server = ours(&["--client-output-buffer-limit", "normal 10 0 0"]);
    for words in
        [["HRANDFIELD", "h", "-999999999"], ["SRANDMEMBER", "s", "-999999999"], ["ZRANDMEMBER", "z", "-99999999"]]
    {
        let mut client = server.client();
        client.call(&["HSET", "h", "f", "v"]);
        client.call(&["SADD", "s", "m"]);
        client.call(&["ZADD", "z", "1", "m"]);
        assert!(client.text(&["INFO", "server"]).len() > 100);
        let before = server.number("used_memory_peak");
        client.send(&words);
        assert!(client.is_closed(), "{words:?}");
        assert!(server.number("used_memory_peak") - before < 1_000_000, "{words:?}");
    }
    assert_eq!(server.number("client_output_buffer_limit_disconnections"), 3);
}

#[test]
fn what_a_client_sent_before_it_left_is_run() {
    use std::io::{Read, Write};
    use std::net::{Shutdown, TcpStream};
    let server = ours(&[]);
    let connect = || TcpStream::connect(("127.0.0.1", server.port)).unwrap();
    for _ in 0..100 {
        // Gone at once, without waiting for the reply.
        connect().write_all(b"INCR closed\r\n").unwrap();
        // Only its own side is ended, as by `printf … | nc`: the reply is still read.
        let mut stream = connect();
        stream.write_all(b"INCR halved\r\nPING\r\n").unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let mut reply = String::new();
        stream.read_to_string(&mut reply).unwrap();
        assert!(reply.starts_with(':') && reply.ends_with("\r\n+PONG\r\n"), "{reply:?}");
    }
    let many = b"INCR many\r\n".repeat(20_000);
    let mut stream = connect();
    stream.write_all(&many).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let mut replies = String::new();
    stream.read_to_string(&mut replies).unwrap();
    assert_eq!(replies.lines().next_back(), Some(":20000"));
    for (key, count) in [("closed", "100"), ("halved", "100"), ("many", "20000")] {
        wait_until(PATIENCE, || server.text(&["GET", key]) == count);
    }
    // A client that waits for something and leaves is forgotten.
    connect().write_all(b"BLPOP list 0\r\n").unwrap();
    wait_until(PATIENCE, || server.info("blocked_clients") == "0" && server.info("connected_clients") == "1");
    assert_eq!(server.int(&["RPUSH", "list", "x"]), 1);
    assert_eq!(server.int(&["LLEN", "list"]), 1);
}
