//! What a peer sends is not read faster than it is run: pipelines and streams of many short commands take little memory.

use crate::support::client::encoded;
use crate::support::impostor::{ID, Impostor};
use crate::support::{PATIENCE, Server, ours, wait_until};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Bytes of commands that are sent.
const SENT: usize = 150 << 20;
/// What they may cost meanwhile: some are on their way through the kernel and the receive slots.
const COST_MAX: u64 = 48 << 20;

/// Short commands, about 1 MB of them.
fn commands() -> Vec<u8> {
    encoded(&[b"DEL", b"k"]).repeat(40_000)
}

/// Does something and gives by how much the server's memory grew at most meanwhile.
fn growth(server: &Server, act: impl FnOnce() + Send) -> u64 {
    let before = server.resident_bytes();
    let (done, most) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            act();
            done.store(true, Ordering::Relaxed);
        });
        wait_until(PATIENCE, || {
            most.fetch_max(server.resident_bytes().saturating_sub(before), Ordering::Relaxed);
            done.load(Ordering::Relaxed)
        });
    });
    most.into_inner()
}

#[test]
fn a_pipeline_of_short_commands_is_not_read_faster_than_it_is_run() {
    for backend in ["io_uring", "epoll"] {
        let server = ours(&["--io-backend", backend]);
        let mut writer = TcpStream::connect(("127.0.0.1", server.port)).unwrap();
        let mut reader = writer.try_clone().unwrap();
        let chunk = commands();
        let chunks = SENT / chunk.len();
        let grown = growth(&server, move || {
            let reading = std::thread::spawn(move || {
                // Each command is answered with four bytes.
                let (mut left, mut replies) = (chunks * 40_000 * 4, vec![0; 1 << 20]);
                while left > 0 {
                    let n = reader.read(&mut replies).unwrap();
                    assert!(n > 0, "the server has closed the connection");
                    left -= n;
                }
            });
            (0..chunks).for_each(|_| writer.write_all(&chunk).unwrap());
            reading.join().unwrap();
        });
        assert!(grown < COST_MAX, "{backend}: {} MiB for {} MiB of commands", grown >> 20, SENT >> 20);
    }
}

#[test]
fn a_stream_of_short_commands_is_not_read_faster_than_it_is_run() {
    for backend in ["io_uring", "epoll"] {
        let replica = ours(&["--io-backend", backend, "--save", "", "--repl-diskless-load", "swapdb"]);
        let other = ours(&["--save", ""]);
        other.ok(&["SAVE"]);
        let data = std::fs::read(other.folder.file("dump.rdb")).unwrap();
        let impostor = Impostor::new();
        impostor.be_followed_by(&replica);
        let mut stream = impostor.grant(ID);
        stream.write_all(format!("${}\r\n", data.len()).as_bytes()).unwrap();
        stream.write_all(&data).unwrap();
        wait_until(PATIENCE, || replica.info("master_link_status") == "up");
        let mut acknowledgements = stream.try_clone().unwrap();
        std::thread::spawn(move || while acknowledgements.read(&mut [0; 4096]).is_ok_and(|n| n > 0) {});
        let chunk = commands();
        let chunks = SENT / chunk.len();
        let total = (chunks * chunk.len()) as i64;
        // The back-log takes what it may.
        let grown = growth(&replica, || {
            (0..chunks).for_each(|_| stream.write_all(&chunk).unwrap());
            wait_until(PATIENCE, || replica.number("slave_repl_offset") >= total);
        });
        assert!(grown < COST_MAX, "{backend}: {} MiB for {} MiB of stream", grown >> 20, SENT >> 20);
    }
}
