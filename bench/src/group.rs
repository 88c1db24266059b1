//! A primary, two replicas and three sentinels, and a client that writes through whatever happens to them.

use crate::resp::Control;
use crate::server::{Product, Server};
use anyhow::{Context, Result, bail, ensure};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// The name of the primary for the sentinels.
const NAME: &str = "mymaster";
/// How long a group may take to come to rest.
const PATIENCE: Duration = Duration::from_secs(60);

/// The servers and their sentinels, all of one product.
#[derive(Debug)]
pub struct Group {
    /// The servers, in no order.
    pub servers: Vec<Server>,
    /// The sentinels.
    pub sentinels: Vec<Server>,
}

impl Group {
    /// Starts all and waits until everybody knows everybody.
    pub fn start(product: &Product, down_after_ms: u64) -> Result<Group> {
        let mut servers = vec![product.start(&[])?];
        let port = servers[0].port.to_string();
        for _ in 0..2 {
            servers.push(product.start(&["--replicaof", "127.0.0.1", &port])?);
        }
        let lines = format!(
            "sentinel monitor {NAME} 127.0.0.1 {port} 2\nsentinel down-after-milliseconds {NAME} {down_after_ms}\n\
             sentinel failover-timeout {NAME} 10000\n"
        );
        let sentinels = (0..3).map(|_| product.start_sentinel(&lines)).collect::<Result<Vec<_>>>()?;
        let group = Group { servers, sentinels };
        group.settle()?;
        Ok(group)
    }

    /// The port that the sentinels call the primary's.
    pub fn primary_port(&self) -> Result<u16> {
        let answer = self.sentinels[0].control()?.ask(&format!("SENTINEL get-master-addr-by-name {NAME}"))?;
        Ok(answer.lines().nth(1).context("an address")?.parse()?)
    }

    /// The server that is the primary.
    pub fn primary(&mut self) -> Result<&mut Server> {
        let port = self.primary_port()?;
        self.servers.iter_mut().find(|s| s.port == port).context("the primary is one of the group")
    }

    /// Waits until all sentinels agree on a primary with two replicas that are in sync, and see nobody down.
    pub fn settle(&self) -> Result<()> {
        let limit = Instant::now() + PATIENCE;
        while !self.is_settled().unwrap_or(false) {
            ensure!(Instant::now() < limit, "the group did not come to rest");
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    fn is_settled(&self) -> Result<bool> {
        let port = self.primary_port()?;
        for sentinel in &self.sentinels {
            let line = sentinel.control()?.info("sentinel", "master0")?;
            if !line.ends_with(&format!("status=ok,address=127.0.0.1:{port},slaves=2,sentinels=3")) {
                return Ok(false);
            }
            let replicas = sentinel.control()?.ask(&format!("SENTINEL REPLICAS {NAME}"))?;
            if replicas.contains("s_down") || replicas.matches("master-link-status\nok").count() != 2 {
                return Ok(false);
            }
        }
        let mut primary = Control::connect(port)?;
        let online = (0..2)
            .all(|i| primary.info("replication", &format!("slave{i}")).is_ok_and(|line| line.contains("state=online")));
        Ok(online && primary.info("replication", "role")? == "master")
    }

    /// Begins a fail-over by hand; words are those after the name.
    pub fn fail_over(&self, words: &str) -> Result<()> {
        self.sentinels[0].control()?.ask(format!("SENTINEL FAILOVER {NAME} {words}").trim_end())?;
        Ok(())
    }

    /// Full and partial resyncs that a server has served.
    pub fn resyncs(port: u16) -> Result<(u64, u64)> {
        let mut control = Control::connect(port)?;
        Ok((control.info("stats", "sync_full")?.parse()?, control.info("stats", "sync_partial_ok")?.parse()?))
    }

    /// How many of the keys that were acknowledged are not there.
    pub fn lost(&self, acknowledged: &[Acknowledged]) -> Result<usize> {
        let mut control = Control::connect(self.primary_port()?)?;
        let mut there = 0;
        for chunk in acknowledged.chunks(500) {
            let keys: Vec<String> = chunk.iter().map(|a| format!(" w:{}", a.number)).collect();
            there += control.ask(&format!("EXISTS{}", keys.concat()))?.parse::<usize>()?;
        }
        Ok(acknowledged.len() - there)
    }
}

/// A write that was answered with OK.
#[derive(Debug, Clone, Copy)]
pub struct Acknowledged {
    /// Which one.
    pub number: u64,
    /// When the answer came.
    pub at: Instant,
    /// Who gave it.
    pub port: u16,
}

/// A client that writes at a steady rate, one write after the other, and asks the sentinels for the primary when one fails.
#[derive(Debug)]
pub struct Writer {
    stop: Arc<AtomicBool>,
    log: Arc<Mutex<Vec<Acknowledged>>>,
    thread: JoinHandle<()>,
}

impl Writer {
    /// Begins to write numbers from `first` on.
    pub fn start(group: &Group, per_second: u64, first: u64) -> Writer {
        let stop = Arc::new(AtomicBool::new(false));
        let log = Arc::new(Mutex::new(Vec::new()));
        let sentinels: Vec<u16> = group.sentinels.iter().map(|s| s.port).collect();
        let (stopped, to) = (stop.clone(), log.clone());
        let thread = std::thread::spawn(move || {
            let begin = Instant::now();
            let mut connection: Option<Connection> = None;
            let mut number = first;
            while !stopped.load(Ordering::Relaxed) {
                let due = begin + Duration::from_nanos((number - first) * 1_000_000_000 / per_second);
                if let Some(wait) = due.checked_duration_since(Instant::now()) {
                    std::thread::sleep(wait);
                }
                if connection.is_none() {
                    connection = sentinels.iter().find_map(|port| Connection::by_sentinel(*port).ok());
                }
                match connection.as_mut().map(|c| c.write(number).map(|()| c.port)) {
                    Some(Ok(port)) => {
                        let write = Acknowledged { number, at: Instant::now(), port };
                        to.lock().unwrap_or_else(PoisonError::into_inner).push(write);
                        number += 1;
                    }
                    _ => {
                        // The same number is written again, to whom the sentinels name then.
                        connection = None;
                        std::thread::sleep(Duration::from_millis(5));
                    }
                }
            }
        });
        Writer { stop, log, thread }
    }

    /// The first write after `moment` that another server than `not` has acknowledged.
    pub fn first_elsewhere(&self, moment: Instant, not: u16) -> Option<Instant> {
        let log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        log.iter().rev().take_while(|a| a.at > moment).filter(|a| a.port != not).last().map(|a| a.at)
    }

    /// Ends it; what was acknowledged.
    pub fn finish(self) -> Vec<Acknowledged> {
        self.stop.store(true, Ordering::Relaxed);
        // It holds no lock that a panic could leave behind.
        let _ = self.thread.join();
        std::mem::take(&mut self.log.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The longest time between two acknowledged writes.
pub fn longest_gap(acknowledged: &[Acknowledged]) -> Duration {
    acknowledged.windows(2).map(|w| w[1].at - w[0].at).max().unwrap_or_default()
}

/// A connection whose answers are awaited for a short time only.
#[derive(Debug)]
struct Connection {
    stream: TcpStream,
    port: u16,
}

impl Connection {
    fn by_sentinel(sentinel: u16) -> Result<Connection> {
        let mut asked = Connection::open(sentinel)?;
        let answer = asked.call(&format!("SENTINEL get-master-addr-by-name {NAME}"))?;
        let port = answer.lines().nth(4).context("an address")?.trim().parse()?;
        Connection::open(port)
    }

    fn open(port: u16) -> Result<Connection> {
        let address = ([127, 0, 0, 1], port).into();
        let stream = TcpStream::connect_timeout(&address, Duration::from_millis(200))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_millis(500)))?;
        Ok(Connection { stream, port })
    }

    /// The answer as it came: short ones come whole.
    fn call(&mut self, words: &str) -> Result<String> {
        self.stream.write_all(format!("{words}\r\n").as_bytes())?;
        let mut buffer = [0; 512];
        let n = self.stream.read(&mut buffer)?;
        ensure!(n > 0, "closed");
        Ok(String::from_utf8_lossy(&buffer[..n]).into_owned())
    }

    fn write(&mut self, number: u64) -> Result<()> {
        match self.call(&format!("SET w:{number} {number}"))?.as_str() {
            "+OK\r\n" => Ok(()),
            other => bail!("{other}"),
        }
    }
}
