//! A proxy that cuts streams at random places: what crosses it arrives in pieces of a few bytes to a segment.
//!
//! With `CUT_STREAMS` set, every client of every black-box test goes through one.

use super::data::Random;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// The longest piece: what a segment of Ethernet carries.
const PIECE_BYTES_MAX: u64 = 1448;

/// A proxy before one port. It ends with this, and its connections with their ends.
#[derive(Debug)]
pub struct Cutter {
    port: u16,
    ended: Arc<AtomicBool>,
}

impl Cutter {
    /// Begins to listen on a free port, for `port` of this machine.
    pub fn before(port: u16, seed: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let here = listener.local_addr().unwrap().port();
        let ended = Arc::new(AtomicBool::new(false));
        let stop = ended.clone();
        std::thread::spawn(move || {
            for (n, client) in listener.incoming().flatten().enumerate() {
                if stop.load(Ordering::Relaxed) {
                    return;
                }
                let Ok(server) = TcpStream::connect(("127.0.0.1", port)) else { continue };
                let ends = [(&client, &server, 0), (&server, &client, 1)];
                for (from, to, direction) in ends {
                    let (from, to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
                    let random = Random::new(seed ^ ((2 * n as u64 + direction) << 32));
                    std::thread::spawn(move || pass(from, to, random));
                }
            }
        });
        Self { port: here, ended }
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }
}

impl Drop for Cutter {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        // The listener looks when somebody comes.
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

/// Passes bytes on in pieces, until one end is closed. Half of the pieces are short, so that lines are cut, too.
fn pass(mut from: TcpStream, mut to: TcpStream, mut random: Random) {
    let _ = to.set_nodelay(true);
    let mut chunk = vec![0; 64 << 10];
    'passing: while let Ok(n @ 1..) = from.read(&mut chunk) {
        let mut rest = &chunk[..n];
        while !rest.is_empty() {
            let most = if random.below(2) == 0 { 12 } else { PIECE_BYTES_MAX };
            let piece = rest.len().min(1 + random.below(most) as usize);
            if to.write_all(&rest[..piece]).is_err() {
                break 'passing;
            }
            rest = &rest[piece..];
            std::thread::yield_now();
        }
    }
    let _ = to.shutdown(Shutdown::Write);
    let _ = from.shutdown(Shutdown::Read);
}
