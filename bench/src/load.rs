//! The load generator: one thread, one epoll, many connections with a pipeline each.
//!
//! A connection is given a batch of requests, and gets its next one when all answers have come. At full speed that
//! is at once. At a given rate batches fall due at fixed times, whether or not the server keeps up, and a batch's
//! latency counts from when it was due, so that a stall is seen by all the requests that it delays:
//!
//! ```text
//! due   |----|----|----|----|----|      every pipeline / rate seconds
//! sent  |    |         |||  |    |      later while all connections are busy
//! ```
//!
//! Limits: requests of one batch count with the latency of the whole batch.

use crate::resp::Counter;
use crate::work::Work;
use anyhow::{Context, Result, bail};
use hdrhistogram::Histogram;
use rustix::event::{Timespec, epoll};
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How long no answer at all may come before the run fails.
const STALL: Duration = Duration::from_secs(30);

/// A load to put on a server.
#[derive(Debug)]
pub struct Load {
    /// Port of the server on the loopback.
    pub port: u16,
    /// Number of connections.
    pub clients: usize,
    /// Requests of a batch.
    pub pipeline: usize,
    /// Requests per second in all, or as many as possible.
    pub rate: Option<f64>,
    /// Requests after which it ends.
    pub ops: u64,
    /// What is asked.
    pub work: Work,
}

/// What came of a load.
#[derive(Debug)]
pub struct Outcome {
    /// Requests answered.
    pub ops: u64,
    /// Time from the first request to the last answer.
    pub took: Duration,
    /// Latencies of the batches in nanoseconds.
    pub latency: Histogram<u64>,
}

/// An empty histogram of nanoseconds.
pub fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 60_000_000_000, 3).expect("the bounds are valid")
}

struct Client {
    stream: TcpStream,
    counter: Counter,
    /// Answers of the batch that are still to come.
    waiting: usize,
    /// When the batch was due.
    due: Instant,
    /// The batch and how much of it has been sent.
    out: Vec<u8>,
    sent: usize,
}

impl Client {
    /// Sends what is left of the batch; tells whether some is still left.
    fn send(&mut self) -> Result<bool> {
        while self.sent < self.out.len() {
            match self.stream.write(&self.out[self.sent..]) {
                Ok(n) => self.sent += n,
                Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(true),
                Err(e) => return Err(e).context("sending requests"),
            }
        }
        Ok(false)
    }
}

impl Load {
    /// Runs it to its end or until `stop` is set.
    pub fn run(mut self, stop: &AtomicBool) -> Result<Outcome> {
        let poll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let mut clients = Vec::with_capacity(self.clients);
        for i in 0..self.clients {
            let stream = TcpStream::connect(("127.0.0.1", self.port))?;
            stream.set_nodelay(true)?;
            stream.set_nonblocking(true)?;
            epoll::add(&poll, &stream, epoll::EventData::new_u64(i as u64), epoll::EventFlags::IN)?;
            let (counter, due) = (Counter::default(), Instant::now());
            clients.push(Client { stream, counter, waiting: 0, due, out: Vec::new(), sent: 0 });
        }
        let mut idle: Vec<usize> = (0..self.clients).rev().collect();
        let step = self.rate.map(|rate| Duration::from_secs_f64(self.pipeline as f64 / rate));
        let mut latency = histogram();
        let mut events: Vec<epoll::Event> = Vec::with_capacity(1024);
        let mut answers = vec![0; 256 * 1024];
        let start = Instant::now();
        let (mut next_due, mut last_answer) = (start, start);
        let (mut begun, mut done) = (0u64, 0u64);
        let mut ending = false;
        loop {
            ending = ending || begun >= self.ops || stop.load(Ordering::Relaxed);
            let now = Instant::now();
            while !ending && begun < self.ops && !idle.is_empty() && (step.is_none() || next_due <= now) {
                let i = idle.pop().expect("the list is not empty");
                let n = (self.ops - begun).min(self.pipeline as u64) as usize;
                begin(&mut clients[i], &mut self.work, n, step.map_or(now, |_| next_due));
                begun += n as u64;
                next_due += step.unwrap_or_default();
                dispatch(&poll, &mut clients[i], i)?;
            }
            if ending && idle.len() == self.clients {
                break;
            }
            let wait = match step {
                Some(_) if !ending && !idle.is_empty() => next_due.saturating_duration_since(Instant::now()),
                _ => Duration::from_secs(1),
            };
            let wait = wait.min(Duration::from_secs(1));
            let timeout = Timespec { tv_sec: wait.as_secs() as i64, tv_nsec: wait.subsec_nanos().into() };
            events.clear();
            match epoll::wait(&poll, rustix::buffer::spare_capacity(&mut events), Some(&timeout)) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(e) => return Err(e).context("waiting for answers"),
            }
            if events.is_empty() && last_answer.elapsed() > STALL && idle.len() < self.clients {
                bail!("no answer for {} s", STALL.as_secs());
            }
            for event in &events {
                let i = event.data.u64() as usize;
                let client = &mut clients[i];
                let flags = event.flags;
                if flags.contains(epoll::EventFlags::OUT) && !client.send()? {
                    epoll::modify(&poll, &client.stream, epoll::EventData::new_u64(i as u64), epoll::EventFlags::IN)?;
                }
                let n = match client.stream.read(&mut answers) {
                    Ok(0) => bail!("the server closed a connection"),
                    Ok(n) => client.counter.feed(&answers[..n]),
                    Err(e) if e.kind() == ErrorKind::WouldBlock => 0,
                    Err(e) => return Err(e).context("receiving answers"),
                };
                if n == 0 {
                    continue;
                }
                if let Some(error) = &client.counter.error {
                    bail!("the server answered {error}");
                }
                client.waiting = client.waiting.checked_sub(n).context("more answers than requests")?;
                done += n as u64;
                last_answer = Instant::now();
                if client.waiting == 0 {
                    latency.saturating_record((last_answer - client.due).as_nanos() as u64);
                    let n = (self.ops - begun).min(self.pipeline as u64) as usize;
                    if step.is_some() || n == 0 || ending {
                        idle.push(i);
                        continue;
                    }
                    begin(client, &mut self.work, n, last_answer);
                    begun += n as u64;
                    dispatch(&poll, client, i)?;
                }
            }
        }
        Ok(Outcome { ops: done, took: start.elapsed(), latency })
    }
}

/// Writes a batch of `n` requests.
fn begin(client: &mut Client, work: &mut Work, n: usize, due: Instant) {
    client.out.clear();
    client.sent = 0;
    for _ in 0..n {
        work.write(&mut client.out);
    }
    client.waiting = n;
    client.due = due;
}

/// Sends a batch, and asks to be told when there is room for the rest.
fn dispatch(poll: &OwnedFd, client: &mut Client, i: usize) -> Result<()> {
    if client.send()? {
        let both = epoll::EventFlags::IN | epoll::EventFlags::OUT;
        epoll::modify(poll, &client.stream, epoll::EventData::new_u64(i as u64), both)?;
    }
    Ok(())
}

/// Sends `ops` requests as fast as they go, over few connections: for filling a server.
pub fn fill(port: u16, ops: u64, work: Work) -> Result<Outcome> {
    Load { port, clients: 4, pipeline: 64, rate: None, ops, work }.run(&AtomicBool::new(false))
}
