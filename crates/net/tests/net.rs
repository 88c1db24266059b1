//! Every behaviour of `Net`, checked with both backends by the same code. Peers are plain blocking sockets on threads.
//! Where io_uring cannot be had, say so with `NET_TEST_WITHOUT_IO_URING=1`; without it, a missing io_uring is a failure.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use net::{Choice, ConnId, Event, How, Limits, Net};

const PATIENCE: Duration = Duration::from_secs(30);

/// Runs a test body with epoll, with io_uring's single receives and with its multishot receives.
fn each(body: impl Fn(&dyn Fn(Limits) -> Net)) {
    body(&|limits| Net::new(Choice::Epoll, limits).unwrap().0);
    if std::env::var_os("NET_TEST_WITHOUT_IO_URING").is_some() {
        return;
    }
    for multishot in [false, true] {
        body(&|limits| Net::new(Choice::IoUring, Limits { multishot, ..limits }).unwrap().0);
    }
}

/// What is received from `conn` is bytes that differ from place to place.
fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|i| ((i * 31) ^ (i >> 8) ^ (i >> 16)) as u8).collect()
}

/// Polls until `done` says so; gives each event to it.
fn drive(net: &mut Net, mut done: impl FnMut(&mut Net, Event) -> bool) {
    let start = Instant::now();
    let mut events = Vec::new();
    loop {
        assert!(start.elapsed() < PATIENCE, "nothing happened for too long");
        net.poll(Some(Duration::from_millis(200)), &mut events).unwrap();
        let mut finished = false;
        for event in events.drain(..) {
            finished |= done(net, event);
        }
        if finished {
            return;
        }
    }
}

/// Polls for a while and returns what happened.
fn quiet(net: &mut Net, time: Duration) -> Vec<Event> {
    let (start, mut all, mut events) = (Instant::now(), Vec::new(), Vec::new());
    while start.elapsed() < time {
        net.poll(Some(Duration::from_millis(20)), &mut events).unwrap();
        all.append(&mut events);
    }
    all
}

fn tcp_pair() -> (TcpStream, OwnedFd) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    client.set_write_timeout(Some(PATIENCE)).unwrap();
    (client, listener.accept().unwrap().0.into())
}

/// Waits until this holds.
#[track_caller]
fn until(condition: impl Fn() -> bool) {
    let limit = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < limit, "this did not come about within {PATIENCE:?}");
        thread::yield_now();
    }
}

/// Whether all that was written to a socket has reached the other end: nothing is left in its queue (see proc(5)).
fn has_arrived(socket: &TcpStream) -> bool {
    let port = format!(":{:04X}", socket.local_addr().unwrap().port());
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let mut lines = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let line = lines.find(|words| words[1].ends_with(&port) && words[3] == "01").expect("the socket is connected");
    line[4].starts_with("00000000:")
}

/// Whether a thread, named by its place below `/proc`, waits for something.
fn is_asleep(thread: &std::path::Path) -> bool {
    let stat = std::fs::read_to_string(std::path::Path::new("/proc").join(thread).join("stat")).unwrap();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('S'))
}

fn adopt(net: &mut Net) -> (TcpStream, ConnId) {
    let (client, fd) = tcp_pair();
    (client, net.adopt(fd))
}

/// An echo server's state for any number of connections.
#[derive(Default)]
struct Echo {
    out: std::collections::HashMap<ConnId, (Vec<u8>, bool, bool)>,
}

impl Echo {
    /// Handles an event; returns a connection whose stream is over and answered.
    fn on(&mut self, net: &mut Net, event: Event) -> Option<ConnId> {
        let conn = match event {
            Event::Accepted { conn, .. } => {
                net.recv(conn);
                return None;
            }
            Event::Data { conn, slot } => {
                let bytes = net.data(slot).to_vec();
                self.out.entry(conn).or_default().0.extend(bytes);
                conn
            }
            Event::Eof { conn } => {
                self.out.entry(conn).or_default().1 = true;
                conn
            }
            Event::Sent { conn, buf } => {
                assert!(buf.is_empty());
                self.out.entry(conn).or_default().2 = false;
                conn
            }
            other => panic!("unexpected {other:?}"),
        };
        let (pending, eof, sending) = self.out.entry(conn).or_default();
        if !*sending && !pending.is_empty() {
            *sending = net.send(conn, std::mem::take(pending)).is_none();
        }
        if *eof && !*sending && pending.is_empty() {
            net.close(conn);
            return Some(conn);
        }
        None
    }
}

/// Sends `bytes` in pieces whose lengths vary from 1 to `piece`, half-closes, and expects all of them back.
fn echo_client<S: Read + Write + AsFd + Send + 'static>(
    stream: S,
    bytes: Vec<u8>,
    piece: usize,
    halve: fn(&S),
) -> JoinHandle<()> {
    let second = stream.as_fd().try_clone_to_owned().unwrap();
    thread::spawn(move || {
        let expected = bytes.clone();
        let reader = thread::spawn(move || {
            let mut got = Vec::new();
            std::fs::File::from(second).read_to_end(&mut got).unwrap();
            assert!(got == expected, "{} bytes of {} came back, or others", got.len(), expected.len());
        });
        let mut stream = stream;
        let (mut rest, mut seed) = (&bytes[..], 12345u64);
        while !rest.is_empty() {
            seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            let len = (1 + (seed >> 33) as usize % piece).min(rest.len());
            stream.write_all(&rest[..len]).unwrap();
            rest = &rest[len..];
        }
        halve(&stream);
        reader.join().unwrap();
    })
}

fn halve(stream: &TcpStream) {
    stream.shutdown(Shutdown::Write).unwrap();
}

fn check_echo(net: &mut Net, addr: SocketAddr, lens: &[usize], piece: usize) {
    let clients: Vec<_> =
        lens.iter().map(|&len| echo_client(TcpStream::connect(addr).unwrap(), pattern(len), piece, halve)).collect();
    let (mut echo, mut over) = (Echo::default(), 0);
    drive(net, |net, event| {
        over += usize::from(echo.on(net, event).is_some());
        over == lens.len()
    });
    quiet(net, Duration::from_millis(20));
    for client in clients {
        client.join().unwrap();
    }
}

#[test]
fn bytes_come_back_whatever_their_splits() {
    each(|make| {
        let mut net = make(Limits::default());
        let fd = net::listen_tcp("127.0.0.1:0".parse().unwrap(), 64).unwrap();
        let addr: SocketAddr = net::local_addr(&fd).unwrap().parse().unwrap();
        let listener = net.listen(fd);
        check_echo(&mut net, addr, &[0, 1, 10_000, 300_000], 700);
        check_echo(&mut net, addr, &[10_000; 30], 3000);
        check_echo(&mut net, addr, &[64 << 20], 1 << 20);
        net.unlisten(listener);
        quiet(&mut net, Duration::from_millis(20));
        assert_eq!(TcpStream::connect(addr).unwrap_err().kind(), ErrorKind::ConnectionRefused);
    });
}

#[test]
fn too_few_slots_only_delay() {
    each(|make| {
        let limits = Limits { slots: 2, slots_at_first: 1, slot_bytes: 512, ..Limits::default() };
        let mut net = make(limits);
        let fd = net::listen_tcp("127.0.0.1:0".parse().unwrap(), 64).unwrap();
        let addr = net::local_addr(&fd).unwrap().parse().unwrap();
        net.listen(fd);
        check_echo(&mut net, addr, &[20_000; 40], 5000);
    });
}

#[test]
fn small_queues_only_delay() {
    each(|make| {
        let limits = Limits { submissions: 2, completions: 2, ..Limits::default() };
        let mut net = make(limits);
        let fd = net::listen_tcp("127.0.0.1:0".parse().unwrap(), 64).unwrap();
        let addr = net::local_addr(&fd).unwrap().parse().unwrap();
        net.listen(fd);
        check_echo(&mut net, addr, &[20_000; 40], 5000);
    });
}

#[test]
fn ipv6_and_its_addresses() {
    each(|make| {
        let Ok(fd) = net::listen_tcp("[::1]:0".parse().unwrap(), 16) else {
            return;
        };
        let mut net = make(Limits::default());
        let text = net::local_addr(&fd).unwrap();
        assert!(text.starts_with("[::1]:"), "{text}");
        let addr = text.parse().unwrap();
        net.listen(fd);
        check_echo(&mut net, addr, &[100_000], 5000);
    });
}

#[test]
fn unix_sockets() {
    each(|make| {
        let dir = std::env::temp_dir().join(format!("net-test-{}-{:?}", std::process::id(), thread::current().id()));
        std::fs::create_dir_all(&dir).unwrap();
        let path = dir.join("socket");
        // A socket that a dead process left behind is in the way.
        drop(UnixListener::bind(&path).unwrap());
        let mut net = make(Limits::default());
        let fd = net::listen_unix(&path, Some(0o700), 16).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
        net.listen(fd);
        let stream = UnixStream::connect(&path).unwrap();
        let client = echo_client(stream, pattern(500_000), 5000, |s| s.shutdown(Shutdown::Write).unwrap());
        let mut echo = Echo::default();
        drive(&mut net, |net, event| {
            if let Event::Accepted { conn, .. } = &event {
                let expected = format!("{}:0", path.display());
                assert_eq!(net::peer_addr(net.fd(*conn).unwrap()).unwrap(), expected);
                assert_eq!(net::local_addr(net.fd(*conn).unwrap()).unwrap(), expected);
            }
            echo.on(net, event).is_some()
        });
        quiet(&mut net, Duration::from_millis(20));
        client.join().unwrap();
        std::fs::write(dir.join("file"), "data").unwrap();
        net::listen_unix(&dir.join("file"), None, 16).unwrap_err();
        assert_eq!(std::fs::read_to_string(dir.join("file")).unwrap(), "data");
        std::fs::remove_dir_all(&dir).unwrap();
    });
}

#[test]
fn a_peer_that_does_not_read_gets_all_later() {
    for how in [How::default(), How { quiet: true, more: true }] {
        each(|make| gets_all_later(make(Limits::default()), how));
    }
}

fn gets_all_later(mut net: Net, how: How) {
    let (mut client, conn) = adopt(&mut net);
    let bytes = pattern(30 << 20);
    assert!(net.send_with(conn, bytes.clone(), how).is_none(), "no socket takes that much");
    assert!(quiet(&mut net, Duration::from_millis(150)).is_empty());
    let reader = thread::spawn(move || {
        let mut got = vec![0; 30 << 20];
        client.read_exact(&mut got).unwrap();
        (client, got)
    });
    drive(&mut net, |_, event| match event {
        Event::Sent { conn: c, buf } => {
            assert!(c == conn && buf.is_empty() && buf.capacity() >= 30 << 20, "the same buffer comes back");
            true
        }
        other => panic!("unexpected {other:?}"),
    });
    let (_client, got) = reader.join().unwrap();
    assert!(got == bytes);
}

#[test]
fn pausing_loses_nothing_and_slows_the_peer() {
    each(|make| {
        let mut net = make(Limits::default());
        let (mut client, conn) = adopt(&mut net);
        let bytes = pattern(40 << 20);
        let expected = bytes.clone();
        let written = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let counter = written.clone();
        let writer = thread::spawn(move || {
            for part in bytes.chunks(65536) {
                client.write_all(part).unwrap();
                counter.fetch_add(part.len(), std::sync::atomic::Ordering::Relaxed);
            }
        });
        let (mut got, mut rounds) = (Vec::new(), 0);
        let mut eof = false;
        let mut events = Vec::new();
        while !eof {
            rounds += 1;
            net.recv(conn);
            // Some pauses follow at once, others after data, so that receives are caught in every state.
            for poll in 0..rounds % 40 {
                net.poll(Some(Duration::from_millis(500)), &mut events).unwrap();
                for event in events.drain(..) {
                    match event {
                        Event::Data { slot, .. } => got.extend_from_slice(net.data(slot)),
                        Event::Eof { .. } => eof = true,
                        other => panic!("unexpected {other:?}"),
                    }
                }
                if eof || poll == 30 {
                    break;
                }
            }
            net.pause(conn);
            if rounds == 3 {
                let events = quiet(&mut net, Duration::from_millis(150));
                assert!(events.is_empty(), "{events:?}");
                let before = written.load(std::sync::atomic::Ordering::Relaxed);
                assert!(before < 40 << 20, "the peer is held back");
            }
            net.poll(Some(Duration::ZERO), &mut events).unwrap();
            assert!(eof || events.is_empty(), "{events:?}");
        }
        writer.join().unwrap();
        assert!(got == expected);
    });
}

#[test]
fn the_end_is_kept_during_a_pause() {
    each(|make| {
        let mut net = make(Limits::default());
        let (mut client, conn) = adopt(&mut net);
        net.recv(conn);
        assert!(quiet(&mut net, Duration::from_millis(30)).is_empty());
        client.write_all(b"last").unwrap();
        drop(client);
        net.pause(conn);
        assert!(quiet(&mut net, Duration::from_millis(60)).is_empty());
        net.recv(conn);
        let mut got = Vec::new();
        drive(&mut net, |net, event| match event {
            Event::Data { slot, .. } => {
                got.extend_from_slice(net.data(slot));
                false
            }
            Event::Eof { conn: c } => c == conn,
            other => panic!("unexpected {other:?}"),
        });
        assert_eq!(got, b"last");
        assert!(quiet(&mut net, Duration::from_millis(30)).is_empty(), "the end is told once");
    });
}

#[test]
fn a_half_closed_peer_still_gets_its_answer() {
    each(|make| {
        let mut net = make(Limits::default());
        let (mut client, conn) = adopt(&mut net);
        net.recv(conn);
        client.write_all(b"ask").unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        drive(&mut net, |_, event| matches!(event, Event::Eof { .. }));
        let sent = net.send(conn, b"answer".to_vec());
        if sent.is_none() {
            drive(&mut net, |_, event| matches!(event, Event::Sent { .. }));
        }
        net.close(conn);
        let mut got = String::new();
        client.read_to_string(&mut got).unwrap();
        assert_eq!(got, "answer");
    });
}

#[test]
fn closing_while_sending_gives_no_more_events() {
    each(|make| {
        let mut net = make(Limits::default());
        let (mut client, conn) = adopt(&mut net);
        net.recv(conn);
        assert!(net.send(conn, pattern(30 << 20)).is_none());
        quiet(&mut net, Duration::from_millis(30));
        client.write_all(b"more").unwrap();
        net.close(conn);
        assert!(!net.is_open(conn) && net.fd(conn).is_none());
        let (_second_client, second) = adopt(&mut net);
        assert_ne!(second, conn);
        assert!(quiet(&mut net, Duration::from_millis(60)).is_empty());
        // The kernel lets go of the socket: the peer sees the end, or a reset because of the unread bytes.
        let mut sink = Vec::new();
        let _ = client.read_to_end(&mut sink).map_err(|e| assert_eq!(e.kind(), ErrorKind::ConnectionReset));
        assert!(sink.len() < 30 << 20);
        // Closing with a send that was never handed to the kernel, and dropping everything with one outstanding.
        let (_c, third) = adopt(&mut net);
        net.send(third, pattern(1 << 20));
        net.close(third);
        net.send(second, pattern(30 << 20));
        net.recv(second);
        drop(net);
    });
}

#[test]
fn stale_ids_do_nothing() {
    each(|make| {
        let mut net = make(Limits::default());
        let (_a, old) = adopt(&mut net);
        net.close(old);
        let (mut client, new) = adopt(&mut net);
        assert_eq!(old.index(), new.index(), "the place is used again");
        net.recv(old);
        net.pause(old);
        net.close(old);
        assert!(net.detach(old).is_none());
        assert_eq!(net.send(old, b"x".to_vec()), Some(Vec::new()));
        net.recv(new);
        client.write_all(b"hello").unwrap();
        drive(&mut net, |net, event| match event {
            Event::Data { conn, slot } => {
                assert_eq!((conn, net.data(slot)), (new, &b"hello"[..]));
                true
            }
            other => panic!("unexpected {other:?}"),
        });
    });
}

#[test]
#[should_panic(expected = "before the next poll")]
fn data_of_an_earlier_poll_is_refused() {
    let mut net = Net::new(Choice::Epoll, Limits::default()).unwrap().0;
    let (mut client, conn) = adopt(&mut net);
    net.recv(conn);
    client.write_all(b"x").unwrap();
    let mut kept = None;
    drive(&mut net, |_, event| match event {
        Event::Data { slot, .. } => kept.replace(slot).is_none(),
        _ => false,
    });
    net.poll(Some(Duration::ZERO), &mut Vec::new()).unwrap();
    net.data(kept.unwrap());
}

#[test]
fn connecting_succeeds_or_is_refused() {
    each(|make| {
        let mut net = make(Limits::default());
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let conn = net.connect(addr, Some("127.0.0.1".parse().unwrap())).unwrap();
        drive(&mut net, |_, event| match event {
            Event::Connected { conn: c, result } => {
                result.unwrap();
                c == conn
            }
            other => panic!("unexpected {other:?}"),
        });
        let (mut peer, from) = listener.accept().unwrap();
        assert_eq!(net::local_addr(net.fd(conn).unwrap()).unwrap(), from.to_string());
        assert_eq!(net::peer_addr(net.fd(conn).unwrap()).unwrap(), addr.to_string());
        let sent = net.send(conn, b"hi".to_vec());
        if sent.is_none() {
            drive(&mut net, |_, event| matches!(event, Event::Sent { .. }));
        }
        let mut got = [0; 2];
        peer.read_exact(&mut got).unwrap();
        assert_eq!(&got, b"hi");
        drop((listener, peer));
        match net.connect(addr, None) {
            Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionRefused),
            Ok(refused) => {
                drive(&mut net, |_, event| match event {
                    Event::Connected { conn, result } => {
                        assert_eq!(result.unwrap_err().kind(), ErrorKind::ConnectionRefused);
                        conn == refused
                    }
                    other => panic!("unexpected {other:?}"),
                });
                net.close(refused);
            }
        }
    });
}

#[test]
fn a_reset_is_an_error_told_once() {
    each(|make| {
        let mut net = make(Limits::default());
        let (client, conn) = adopt(&mut net);
        // Unread bytes make closing a reset.
        net.send(conn, b"unread".to_vec());
        quiet(&mut net, Duration::from_millis(30));
        net.recv(conn);
        drop(client);
        let mut errors = 0;
        drive(&mut net, |_, event| match event {
            Event::Error { conn: c, error } => {
                assert_eq!((c, error.kind()), (conn, ErrorKind::ConnectionReset));
                errors += 1;
                true
            }
            other => panic!("unexpected {other:?}"),
        });
        assert!(quiet(&mut net, Duration::from_millis(30)).is_empty());
        assert_eq!(net.send(conn, b"x".to_vec()), Some(Vec::new()), "a broken connection sends nothing");
        net.close(conn);
    });
}

#[test]
fn sending_to_a_gone_peer_is_an_error_and_no_signal() {
    each(|make| {
        let mut net = make(Limits::default());
        let (a, b) = UnixStream::pair().unwrap();
        let conn = net.adopt(a.into());
        drop(b);
        assert!(net.send(conn, b"x".to_vec()).is_none());
        drive(&mut net, |_, event| match event {
            Event::Error { conn: c, error } => {
                assert_eq!((c, error.kind()), (conn, ErrorKind::BrokenPipe));
                true
            }
            other => panic!("unexpected {other:?}"),
        });
        assert!(quiet(&mut net, Duration::from_millis(30)).is_empty());
    });
}

#[test]
fn a_detached_socket_loses_no_byte() {
    each(|make| {
        for wait in [false, true] {
            let mut net = make(Limits::default());
            let (mut client, conn) = adopt(&mut net);
            let (mut other_client, other) = adopt(&mut net);
            net.recv(conn);
            net.recv(other);
            quiet(&mut net, Duration::from_millis(20));
            client.write_all(b"received and not delivered").unwrap();
            other_client.write_all(b"other").unwrap();
            if wait {
                until(|| has_arrived(&client) && has_arrived(&other_client));
            }
            let detached = net.detach(conn).unwrap();
            assert!(!net.is_open(conn));
            client.write_all(b" later").unwrap();
            drop(client);
            let mut got = detached.received;
            let cancel = Default::default();
            net::BlockingReader::new(detached.fd, PATIENCE, cancel).read_to_end(&mut got).unwrap();
            assert_eq!(String::from_utf8_lossy(&got), "received and not delivered later");
            // The events of the others that were met on the way are delivered.
            drive(&mut net, |net, event| match event {
                Event::Data { conn, slot } => {
                    assert_eq!((conn, net.data(slot)), (other, &b"other"[..]));
                    true
                }
                other => panic!("unexpected {other:?}"),
            });
        }
    });
}

#[test]
fn a_thread_wakes_the_loop() {
    each(|make| {
        let mut net = make(Limits::default());
        for _ in 0..3 {
            let waker = net.waker();
            let start = Instant::now();
            let looping = std::fs::read_link("/proc/thread-self").unwrap();
            let thread = thread::spawn(move || {
                until(|| is_asleep(&looping));
                for _ in 0..1000 {
                    waker.wake();
                }
            });
            let mut events = Vec::new();
            net.poll(Some(PATIENCE), &mut events).unwrap();
            assert!(matches!(events[..], [Event::Woken]), "{events:?}");
            assert!(start.elapsed() < PATIENCE / 2);
            thread.join().unwrap();
            quiet(&mut net, Duration::from_millis(10));
        }
        let mut events = Vec::new();
        let start = Instant::now();
        net.poll(Some(Duration::from_millis(40)), &mut events).unwrap();
        assert!(events.is_empty(), "wakes are not repeated: {events:?}");
        assert!(start.elapsed() >= Duration::from_millis(40));
    });
}

#[test]
fn a_wait_ends_in_time_whatever_was_waited_for_before() {
    each(|make| {
        let mut net = make(Limits::default());
        let waker = net.waker();
        let mut events = Vec::new();
        // Waits that end early, each of them given an earlier end than the one before.
        for ms in (20..200).rev() {
            waker.wake();
            net.poll(Some(Duration::from_millis(ms * 100)), &mut events).unwrap();
            assert!(matches!(events[..], [Event::Woken]));
            events.clear();
        }
        for ms in [50, 5, 20] {
            let (start, time) = (Instant::now(), Duration::from_millis(ms));
            while start.elapsed() < time {
                net.poll(Some(time), &mut events).unwrap();
                assert!(events.is_empty());
            }
            // The shortest of the waits before would end after two seconds.
            assert!(start.elapsed() < Duration::from_secs(1));
        }
    });
}

#[test]
fn idle_connections_cost_the_busy_ones_nothing() {
    net::raise_nofile(10_000);
    each(|make| {
        let mut net = make(Limits { slots: 64, slots_at_first: 16, ..Limits::default() });
        let fd = net::listen_tcp("127.0.0.1:0".parse().unwrap(), 512).unwrap();
        let addr: SocketAddr = net::local_addr(&fd).unwrap().parse().unwrap();
        net.listen(fd);
        let mut idle = Vec::new();
        let mut conns = Vec::new();
        while idle.len() < 2000 {
            idle.extend((0..100).map(|_| TcpStream::connect(addr).unwrap()));
            drive(&mut net, |net, event| {
                let Event::Accepted { conn, .. } = event else { panic!("unexpected {event:?}") };
                net.recv(conn);
                conns.push(conn);
                conns.len() == idle.len()
            });
        }
        check_echo(&mut net, addr, &[100_000; 20], 5000);
        // All of them speak at once, with far fewer slots than connections.
        for client in &mut idle {
            client.write_all(b"now").unwrap();
        }
        let mut heard = std::collections::HashSet::new();
        drive(&mut net, |net, event| {
            let Event::Data { conn, slot } = event else { panic!("unexpected {event:?}") };
            assert_eq!(net.data(slot), b"now");
            assert!(heard.insert(conn));
            heard.len() == conns.len()
        });
    });
}

#[test]
fn the_choice_is_obeyed() {
    assert_eq!(Net::new(Choice::Epoll, Limits::default()).unwrap().0.backend(), "epoll");
    let (net, why) = Net::new(Choice::Auto, Limits::default()).unwrap();
    assert_eq!(net.backend() == "epoll", why.is_some(), "{why:?}");
    if std::env::var_os("NET_TEST_WITHOUT_IO_URING").is_none() {
        assert_eq!(net.backend(), "io_uring", "{why:?}");
    }
}

#[test]
fn a_quiet_send_is_told_with_what_comes_next() {
    each(|make| {
        let mut net = make(Limits::default());
        let (mut client, conn) = adopt(&mut net);
        let (mut other, second) = adopt(&mut net);
        net.recv(second);
        assert!(quiet(&mut net, Duration::from_millis(30)).is_empty());
        let how = How { quiet: true, ..How::default() };
        // What epoll has sent at once is never told later.
        let told_later = net.send_with(conn, b"answer".to_vec(), how).is_none();
        let mut events = Vec::new();
        let writer = thread::spawn(move || {
            let mut got = [0; 6];
            client.read_exact(&mut got).unwrap();
            assert_eq!(&got, b"answer");
            other.write_all(b"next").unwrap();
            (client, other)
        });
        let (mut sent, mut heard, mut polls) = (!told_later, false, 0);
        while !(sent && heard) {
            net.poll(Some(PATIENCE), &mut events).unwrap();
            polls += 1;
            for event in events.drain(..) {
                match event {
                    Event::Sent { conn: c, .. } => sent |= c == conn,
                    Event::Data { conn: c, .. } => heard |= c == second,
                    other => panic!("unexpected {other:?}"),
                }
            }
        }
        assert_eq!(polls, 1, "sending quietly ends no wait");
        // The peers stay open: their end would be something that comes next.
        let _peers = writer.join().unwrap();
        if told_later {
            assert!(net.send_with(conn, b"x".to_vec(), how).is_none());
            net.hasten();
            net.poll(Some(PATIENCE), &mut events).unwrap();
            assert!(matches!(events[..], [Event::Sent { .. }]), "{events:?}");
        }
    });
}

#[test]
fn what_is_kept_back_leaves_when_pushed() {
    /// The kernel lets go by itself after a fifth of a second.
    const BY_ITSELF: Duration = Duration::from_millis(150);
    each(|make| {
        let mut net = make(Limits::default());
        let (mut client, conn) = adopt(&mut net);
        net::set_nodelay(net.fd(conn).unwrap(), true).unwrap();
        let send = |net: &mut Net, bytes: &[u8], more: bool| {
            if net.send_with(conn, bytes.to_vec(), How { quiet: false, more }).is_none() {
                drive(net, |_, event| matches!(event, Event::Sent { .. }));
            }
        };
        let mut wait_for = |expected: &[u8]| {
            let mut got = vec![0; expected.len()];
            client.read_exact(&mut got).unwrap();
            assert_eq!(got, expected);
        };
        // A machine that stops for a moment can make one attempt look as if nobody had pushed.
        let pushed = (0..20).any(|_| {
            let start = Instant::now();
            send(&mut net, b"kept ", true);
            net.push(conn);
            wait_for(b"kept ");
            start.elapsed() < BY_ITSELF
        });
        assert!(pushed, "pushing lets go");
        let kept = (0..20).any(|_| {
            let start = Instant::now();
            send(&mut net, b"kept ", true);
            wait_for(b"kept ");
            start.elapsed() > BY_ITSELF
        });
        assert!(kept, "without a push it stays");
        send(&mut net, b"kept ", true);
        send(&mut net, b"and more ", false);
        wait_for(b"kept and more ");
        send(&mut net, b"and the last", true);
        net.close(conn);
        wait_for(b"and the last");
    });
}
