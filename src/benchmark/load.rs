//! The load: connections that send a prepared batch, wait for its replies, and send the next, on one epoll per thread.
//!
//! Replies are counted without being kept: a scanner walks over them as they arrive, so the tool spends less on a reply
//! than the server that made it. Batches are claimed from one shared counter, so that exactly the number of requests
//! asked for is sent, whatever the threads do.

use crate::uri::Target;
use crate::wire::{Connection, reason};
use base::rng::Rng;
use hdrhistogram::Histogram;
use rustix::event::epoll;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// The longest latency that is told apart, in microseconds.
pub const LATENCY_MAX_US: u64 = 3_000_000;
const PLACEHOLDER: &[u8] = b"__rand_int__";

/// What all threads of one test share.
pub struct Shared {
    /// Requests that a connection has taken on.
    pub issued: AtomicU64,
    /// Replies that have come.
    pub finished: AtomicU64,
    /// The sum of all latencies, in microseconds.
    pub latency_us: AtomicU64,
}

/// What is to be sent, and how.
pub struct Plan {
    /// Where to.
    pub target: Target,
    /// Commands that each new connection sends first.
    pub prefix: Vec<Vec<Vec<u8>>>,
    /// One request.
    pub request: Vec<u8>,
    /// How many requests in all.
    pub requests: u64,
    /// How many requests are sent before their replies are waited for.
    pub pipeline: usize,
    /// The range of random numbers, if there is one.
    pub random: Option<u64>,
    /// Whether connections are used again.
    pub keep_alive: bool,
    /// Significant figures of the latencies.
    pub figures: u8,
}

/// Counts replies in a stream of bytes without keeping them.
#[derive(Default)]
pub struct Scanner {
    line: Vec<u8>,
    skip: usize,
    pending: u64,
}

/// The server answered with an error; its text.
#[derive(Debug, PartialEq, Eq)]
pub struct ErrorReply(pub String);

impl Scanner {
    /// Takes bytes in and returns how many replies ended in them.
    ///
    /// # Errors
    /// A reply is an error, or not a reply at all.
    pub fn feed(&mut self, mut bytes: &[u8]) -> Result<u64, ErrorReply> {
        let mut done = 0;
        while !bytes.is_empty() {
            if self.skip > 0 {
                let n = self.skip.min(bytes.len());
                self.skip -= n;
                bytes = &bytes[n..];
                continue;
            }
            let Some(end) = memchr::memchr(b'\n', bytes) else {
                self.line.extend_from_slice(bytes);
                break;
            };
            let (head, rest) = bytes.split_at(end + 1);
            bytes = rest;
            let whole;
            let line = if self.line.is_empty() {
                head
            } else {
                self.line.extend_from_slice(head);
                whole = std::mem::take(&mut self.line);
                &whole
            };
            if self.value(line)? && self.pending == 0 {
                done += 1;
            }
        }
        Ok(done)
    }

    /// Takes in the first line of a value; whether it may be the end of a reply.
    fn value(&mut self, line: &[u8]) -> Result<bool, ErrorReply> {
        let number = || {
            let digits = line[1..].trim_ascii();
            base::num::parse_i64(digits)
                .ok_or_else(|| ErrorReply(format!("bad reply: {}", String::from_utf8_lossy(line).trim_end())))
        };
        self.pending = self.pending.saturating_sub(1);
        match line[0] {
            b'-' => return Err(ErrorReply(String::from_utf8_lossy(&line[1..]).trim_end().to_owned())),
            b'$' | b'=' | b'!' => self.skip = usize::try_from(number()?).map_or(0, |n| n.saturating_add(2)),
            b'*' | b'~' | b'>' => self.pending = self.pending.saturating_add(u64::try_from(number()?).unwrap_or(0)),
            b'%' => self.pending = self.pending.saturating_add(u64::try_from(number()?).unwrap_or(0).saturating_mul(2)),
            b'+' | b':' | b'_' | b',' | b'#' | b'(' => {}
            _ => return Err(ErrorReply(format!("bad reply: {}", String::from_utf8_lossy(line).trim_end()))),
        }
        Ok(true)
    }
}

/// One connection and its batch.
struct Client {
    connection: Connection,
    out: Vec<u8>,
    out_len: usize,
    written: usize,
    waiting: u64,
    started: Instant,
    scanner: Scanner,
    watches_writing: bool,
}

/// Opens a connection and sends the prefix on it.
///
/// # Errors
/// It can't be opened, or the server refuses; in words.
pub fn open(target: &Target, prefix: &[Vec<Vec<u8>>]) -> Result<Connection, String> {
    let mut connection = Connection::target(target, Duration::from_secs(10))?;
    for command in prefix {
        let words: Vec<&[u8]> = command.iter().map(Vec::as_slice).collect();
        match connection.call(&words) {
            Ok(resp::Value::Error(text)) => {
                return Err(format!("Error from server: {}", String::from_utf8_lossy(&text)));
            }
            Ok(_) => {}
            Err(error) => return Err(format!("Error: {}", reason(&error))),
        }
    }
    Ok(connection)
}

/// The offsets of the placeholders in a batch.
fn placeholders(batch: &[u8]) -> Vec<usize> {
    memchr::memmem::find_iter(batch, PLACEHOLDER).collect()
}

/// Runs `clients` connections until all requests have been claimed and answered; the latencies in microseconds.
///
/// # Errors
/// A connection failed or the server answered with an error; in words.
pub fn run(plan: &Plan, shared: &Shared, clients: Vec<Connection>, seed: u64) -> Result<Histogram<u64>, String> {
    let mut histogram = Histogram::new_with_bounds(10, LATENCY_MAX_US, plan.figures).expect("the bounds are in order");
    let epoll = epoll::create(epoll::CreateFlags::CLOEXEC).map_err(|e| format!("Error: {e}"))?;
    let batch = plan.request.repeat(plan.pipeline);
    let spots = if plan.random.is_some() { placeholders(&batch) } else { Vec::new() };
    let mut rng = Rng::new(seed);
    let mut slots = Vec::new();
    let mut live = 0;
    let fail = |e: io::Error| format!("Error: {}", reason(&e));
    for (i, connection) in clients.into_iter().enumerate() {
        connection.set_nonblocking(true).map_err(fail)?;
        epoll::add(&epoll, connection.fd(), epoll::EventData::new_u64(i as u64), epoll::EventFlags::IN)
            .map_err(|e| fail(e.into()))?;
        let mut client = Client {
            connection,
            out: batch.clone(),
            out_len: 0,
            written: 0,
            waiting: 0,
            started: Instant::now(),
            scanner: Scanner::default(),
            watches_writing: false,
        };
        if next_batch(plan, shared, &mut client, &spots, &mut rng) {
            push_out(&epoll, &mut client, i).map_err(fail)?;
            live += 1;
            slots.push(Some(client));
        } else {
            slots.push(None);
        }
    }
    let mut events = Vec::with_capacity(256);
    let mut input = vec![0; 64 << 10];
    while live > 0 {
        events.clear();
        match epoll::wait(&epoll, rustix::buffer::spare_capacity(&mut events), None) {
            Err(rustix::io::Errno::INTR) => continue,
            result => result.map_err(|e| fail(e.into()))?,
        };
        for event in &events {
            let i = event.data.u64() as usize;
            let Some(client) = slots[i].as_mut() else { continue };
            let flags = event.flags;
            if flags.contains(epoll::EventFlags::OUT) {
                push_out(&epoll, client, i).map_err(fail)?;
            }
            if !flags.intersects(epoll::EventFlags::IN | epoll::EventFlags::HUP | epoll::EventFlags::ERR) {
                continue;
            }
            let n = match client.connection.read(&mut input) {
                Ok(0) => return Err("Error: Server closed the connection".into()),
                Ok(n) => n,
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => continue,
                Err(e) => return Err(fail(e)),
            };
            let done = client
                .scanner
                .feed(&input[..n])
                .map_err(|e| format!("Error from server: {}", e.0))?
                .min(client.waiting);
            if done > 0 {
                let us = u64::try_from(client.started.elapsed().as_micros()).unwrap_or(u64::MAX).min(LATENCY_MAX_US);
                histogram.saturating_record_n(us, done);
                shared.latency_us.fetch_add(us * done, Ordering::Relaxed);
                shared.finished.fetch_add(done, Ordering::Relaxed);
            }
            client.waiting -= done;
            if client.waiting > 0 {
                continue;
            }
            if !next_batch(plan, shared, client, &spots, &mut rng) {
                slots[i] = None;
                live -= 1;
                continue;
            }
            if !plan.keep_alive {
                let fresh = open(&plan.target, &plan.prefix)?;
                fresh.set_nonblocking(true).map_err(fail)?;
                client.connection = fresh;
                client.watches_writing = false;
                let data = epoll::EventData::new_u64(i as u64);
                epoll::add(&epoll, client.connection.fd(), data, epoll::EventFlags::IN).map_err(|e| fail(e.into()))?;
            }
            push_out(&epoll, client, i).map_err(fail)?;
        }
    }
    Ok(histogram)
}

/// Claims the next batch and fills in its random numbers; nothing is left if it returns false.
fn next_batch(plan: &Plan, shared: &Shared, client: &mut Client, spots: &[usize], rng: &mut Rng) -> bool {
    let claimed = shared.issued.fetch_add(plan.pipeline as u64, Ordering::Relaxed);
    let n = plan.requests.saturating_sub(claimed).min(plan.pipeline as u64);
    if n == 0 {
        return false;
    }
    if let Some(range) = plan.random {
        for spot in spots {
            let mut value = if range == 0 { 0 } else { rng.below(range) };
            for digit in client.out[*spot..*spot + PLACEHOLDER.len()].iter_mut().rev() {
                *digit = b'0' + (value % 10) as u8;
                value /= 10;
            }
        }
    }
    client.out_len = plan.request.len() * n as usize;
    client.waiting = n;
    client.written = 0;
    client.started = Instant::now();
    true
}

/// Sends what can be sent, and watches for room if something is left.
fn push_out(epoll: &impl std::os::fd::AsFd, client: &mut Client, i: usize) -> io::Result<()> {
    while client.written < client.out_len {
        match client.connection.write(&client.out[client.written..client.out_len]) {
            Ok(n) => client.written += n,
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => break,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    let wants = client.written < client.out_len;
    if wants != client.watches_writing {
        client.watches_writing = wants;
        let flags = if wants { epoll::EventFlags::IN | epoll::EventFlags::OUT } else { epoll::EventFlags::IN };
        epoll::modify(epoll, client.connection.fd(), epoll::EventData::new_u64(i as u64), flags)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies_are_counted_wherever_the_stream_is_cut() {
        let stream = b"+OK\r\n$5\r\na\r\nbc\r\n*2\r\n$-1\r\n*1\r\n:1\r\n%1\r\n+a\r\n_\r\n*0\r\n*-1\r\n";
        for cut in 0..=stream.len() {
            let mut scanner = Scanner::default();
            let n = scanner.feed(&stream[..cut]).unwrap() + scanner.feed(&stream[cut..]).unwrap();
            assert_eq!(n, 5 + 1, "cut at {cut}");
        }
        assert_eq!(Scanner::default().feed(b"-ERR no\r\n"), Err(ErrorReply("ERR no".into())));
        assert!(Scanner::default().feed(b"hello\r\n").is_err());
    }
}
