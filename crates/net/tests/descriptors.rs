//! Running out of descriptors. The limit is the process's, so this test has a process of its own.

use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use net::{Choice, Event, Limits, Net};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

const PATIENCE: Duration = Duration::from_secs(20);

fn check(choice: Choice) {
    let before = getrlimit(Resource::Nofile);
    let mut net = Net::new(choice, Limits::default()).unwrap().0;
    let fd = net::listen_tcp("127.0.0.1:0".parse().unwrap(), 64).unwrap();
    let addr: SocketAddr = net::local_addr(&fd).unwrap().parse().unwrap();
    net.listen(fd);
    let _clients: Vec<_> = (0..20).map(|_| TcpStream::connect(addr).unwrap()).collect();
    // The lowest free descriptor tells how many are in use, as far as they have no holes.
    let free = std::os::fd::AsRawFd::as_raw_fd(&std::fs::File::open("/dev/null").unwrap());
    setrlimit(Resource::Nofile, Rlimit { current: Some(free as u64 + 5), maximum: before.maximum }).unwrap();
    let (mut conns, mut failures, mut polls) = (Vec::new(), 0, 0);
    let mut events = Vec::new();
    let start = Instant::now();
    while failures < 3 {
        assert!(start.elapsed() < PATIENCE, "{} accepted", conns.len());
        net.poll(Some(Duration::from_secs(1)), &mut events).unwrap();
        polls += 1;
        for event in events.drain(..) {
            match event {
                Event::Accepted { conn, .. } => conns.push(conn),
                Event::AcceptFailed { error, .. } => {
                    assert_eq!(error.raw_os_error(), Some(24), "{error}");
                    failures += 1;
                }
                other => panic!("unexpected {other:?}"),
            }
        }
    }
    assert!(start.elapsed() >= net::ACCEPT_REST, "accepting rests");
    assert!(polls < 30, "{polls} polls: the loop must not spin");
    assert!(!conns.is_empty() && conns.len() < 20);
    // Each descriptor that becomes free brings one more connection in.
    let mut total = conns.len();
    while total < 20 {
        assert!(start.elapsed() < PATIENCE, "{total} accepted");
        if let Some(conn) = conns.pop() {
            net.close(conn);
        }
        net.poll(Some(Duration::from_millis(300)), &mut events).unwrap();
        for event in events.drain(..) {
            if let Event::Accepted { conn, .. } = event {
                conns.push(conn);
                total += 1;
            }
        }
    }
    setrlimit(Resource::Nofile, before).unwrap();
}

#[test]
fn accepting_rests_and_goes_on() {
    check(Choice::Epoll);
    if std::env::var_os("NET_TEST_WITHOUT_IO_URING").is_none() {
        check(Choice::IoUring);
    }
}
