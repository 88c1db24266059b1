//! Streams that arrive in pieces cut at random places, as they do across a network: requests, replies, full syncs, the
//! replication stream, what sentinels hear.

use crate::support::client::Client;
use crate::support::cutter::Cutter;
use crate::support::data::{Writer, assert_same, fill};
use crate::support::sentinel::Sentinel;
use crate::support::{PATIENCE, Product, Server, ours, wait_until};
use resp::Value;

const FAST: [&str; 4] = ["--save", "", "--repl-diskless-sync-delay", "0"];

fn client_through(cutter: &Cutter) -> Client {
    Client::tcp(cutter.port()).unwrap()
}

#[test]
fn requests_in_pieces_are_answered_as_whole_ones_are() {
    for backend in ["io_uring", "epoll"] {
        let (cut, whole) = (ours(&["--io-backend", backend]), ours(&["--io-backend", backend]));
        let cutter = Cutter::before(cut.port, 1);
        let (mut through, mut direct) = (client_through(&cutter), whole.client());
        let word = |text: &str, n: usize| format!("{text}{n}").into_bytes();
        let mut requests: Vec<Vec<Vec<u8>>> = Vec::new();
        // Counts and lengths of one to five digits.
        for n in [1, 9, 10, 99, 100, 499, 500, 999, 1000, 2000, 10_000] {
            let pairs = (0..n).flat_map(|i| [word("key:", i), word("value:", i)]);
            requests.push([b"MSET".to_vec()].into_iter().chain(pairs).collect());
            requests.push([b"MGET".to_vec()].into_iter().chain((0..n).map(|i| word("key:", i))).collect());
            requests.push(vec![b"ECHO".to_vec(), vec![b'x'; n]]);
            requests.push([b"RPUSH".to_vec(), b"l".to_vec()].into_iter().chain((0..n).map(|i| word("", i))).collect());
            requests.push(vec![b"LRANGE".to_vec(), b"l".to_vec(), b"-50".to_vec(), b"-1".to_vec()]);
        }
        for _ in 0..5 {
            assert_eq!(through.pipeline(&requests), direct.pipeline(&requests), "{backend}");
        }
        assert_same(&cut, &whole);
        for line in ["SET inline \"a b\"\r\n", "GET inline\r\n", "ECHO 'x'\n"] {
            through.raw(line.as_bytes()).unwrap();
        }
        let replies = [through.reply(), through.reply(), through.reply()];
        assert_eq!(replies[1..], [Value::Bulk(b"a b".to_vec()), Value::Bulk(b"x".to_vec())]);
    }
}

#[test]
fn a_replica_receives_everything_in_pieces() {
    let primary = ours(&FAST);
    fill(&primary, 3000, 7);
    for (n, (diskless, load)) in
        [("yes", "disabled"), ("no", "disabled"), ("yes", "swapdb"), ("no", "flush-before-load")]
            .into_iter()
            .enumerate()
    {
        primary.ok(&["CONFIG", "SET", "repl-diskless-sync", diskless]);
        let replica = ours(&["--save", "", "--repl-diskless-load", load]);
        replica.ok(&["SET", "old", "data"]);
        let cutter = Cutter::before(primary.port, n as u64);
        let writer = Writer::start(&primary, n as u64);
        replica.ok(&["REPLICAOF", "127.0.0.1", &cutter.port().to_string()]);
        replica.wait_for_link();
        writer.wait_for_more(2000);
        writer.stop();
        replica.wait_for_offset_of(&primary);
        assert_same(&primary, &replica);
        assert!(!replica.log().contains("CRITICAL"), "{}", replica.log());
    }
}

#[test]
fn sentinels_hear_of_everybody_in_pieces() {
    let primary = ours(&FAST);
    let cutter = Cutter::before(primary.port, 3);
    let replica: Server = ours(&FAST);
    replica.ok(&["REPLICAOF", "127.0.0.1", &cutter.port().to_string()]);
    replica.wait_for_link();
    let lines = format!("sentinel monitor mymaster 127.0.0.1 {} 2\n", cutter.port());
    let sentinels: Vec<Sentinel> = (0..2).map(|_| Sentinel::start(Product::Ours, &lines)).collect();
    for sentinel in &sentinels {
        sentinel.hurry();
        sentinel.wait_to_know(1, 1);
        wait_until(PATIENCE, || sentinel.primary("flags") == "master");
    }
}
