//! Whether what a command costs for each element stays the same, however many elements there are.
//!
//! Each case is a command with `n` arguments, on a value of `n` elements, on a string of `n` bytes, or after `n` other commands.
//! It is measured for sizes from a thousand to a million, from the first byte sent to the last byte answered. A cost for each
//! element that grows with their number is work that grows with the square: one such request stops the server for everybody.
//! Caches make elements of large values several times dearer than those of small ones, so only a growth of more than
//! [`SUSPECT`] times is marked.

use super::{Plan, note};
use crate::resp::{Control, command};
use crate::server::{Product, Server};
use crate::table::Table;
use anyhow::{Context, Result, ensure};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// Growth of the cost of an element, from the cheapest size to the largest one, that is marked.
const SUSPECT: f64 = 8.0;
/// Elements that each size is measured with at least, in as many repetitions as that takes.
const ELEMENTS: usize = 200_000;
/// The sizes.
const SIZES: [usize; 4] = [1_000, 10_000, 100_000, 1_000_000];
/// How long one repetition may take.
const LIMIT: Duration = Duration::from_secs(120);

/// Requests, encoded, and how many answers they have.
#[derive(Default)]
struct Requests {
    bytes: Vec<u8>,
    answers: usize,
}

impl Requests {
    /// Adds a request given as words between spaces.
    fn line(mut self, words: &str) -> Self {
        let words: Vec<&[u8]> = words.split(' ').map(str::as_bytes).collect();
        command(&mut self.bytes, &words);
        self.answers += 1;
        self
    }

    /// Adds one request: these words, then `n` groups of words that `more` makes of a number.
    fn long(mut self, words: &str, n: usize, more: impl Fn(usize) -> String) -> Self {
        let tail: Vec<String> = (0..n).map(more).collect();
        let words: Vec<&[u8]> =
            words.split(' ').chain(tail.iter().flat_map(|w| w.split(' '))).map(str::as_bytes).collect();
        command(&mut self.bytes, &words);
        self.answers += 1;
        self
    }

    /// Adds `n` requests.
    fn many(self, n: usize, words: impl Fn(usize) -> String) -> Self {
        (0..n).fold(self, |all, i| all.line(&words(i)))
    }
}

/// One case: what comes before, and what is measured.
struct Case {
    name: &'static str,
    before: fn(usize) -> Requests,
    measured: fn(usize) -> Requests,
}

fn none(_: usize) -> Requests {
    Requests::default()
}

fn list(n: usize) -> Requests {
    Requests::default().line("DEL k d").long("RPUSH k", n, |i| format!("element:{i}"))
}

fn set(n: usize) -> Requests {
    Requests::default().line("DEL k d").long("SADD k", n, |i| format!("member:{i}"))
}

fn numbers(n: usize) -> Requests {
    Requests::default().line("DEL k d").long("SADD k", n, |i| format!("{}", i * 7919 % 10_000_019))
}

fn hash(n: usize) -> Requests {
    Requests::default().line("DEL k d").long("HSET k", n, |i| format!("field:{i} value:{i}"))
}

fn zset(n: usize) -> Requests {
    Requests::default().line("DEL k d").long("ZADD k", n, |i| format!("{} member:{i}", i * 7919 % 10_000_019))
}

fn keys(n: usize) -> Requests {
    Requests::default().line("FLUSHALL").long("MSET", n, |i| format!("key:{i} value:{i}"))
}

fn string(n: usize) -> Requests {
    Requests::default().line("DEL k d").line(&format!("SETRANGE k {} x", n - 1))
}

macro_rules! cases {
    ($($name:literal: $before:expr => $measured:expr;)*) => {
        vec![$(Case { name: $name, before: $before, measured: $measured },)*]
    };
}

fn one(words: &str) -> Requests {
    Requests::default().line(words)
}

fn of(words: &str, n: usize, more: fn(usize) -> String) -> Requests {
    Requests::default().long(words, n, more)
}

fn arguments() -> Vec<Case> {
    cases! {
        "PING, a pipeline of n": none => |n| Requests::default().many(n, |_| "PING".into());
        "ECHO of n bytes": none => |n| one(&format!("ECHO {}", "x".repeat(n)));
        "inline request of n bytes": none => |n| Requests { bytes: [&b"ECHO "[..], &b"x".repeat(n.min(60_000)), b"\r\n"].concat(), answers: 1 };
        "MSET of n keys": |_| one("FLUSHALL") => |n| of("MSET", n, |i| format!("key:{i} v"));
        "MSETNX of n keys": |_| one("FLUSHALL") => |n| of("MSETNX", n, |i| format!("key:{i} v"));
        "MGET of n keys": keys => |n| of("MGET", n, |i| format!("key:{i}"));
        "DEL of n keys": keys => |n| of("DEL", n, |i| format!("key:{i}"));
        "UNLINK of n keys": keys => |n| of("UNLINK", n, |i| format!("key:{i}"));
        "EXISTS of n keys": keys => |n| of("EXISTS", n, |i| format!("key:{i}"));
        "TOUCH of n keys": keys => |n| of("TOUCH", n, |i| format!("key:{i}"));
        "WATCH of n keys, UNWATCH": none => |n| of("WATCH", n, |i| format!("key:{i}")).line("UNWATCH");
        "WATCH of one key n times": none => |n| of("WATCH", n, |_| "key".into()).line("UNWATCH");
        "SUBSCRIBE, UNSUBSCRIBE of n": none => |n| {
            let mut all = of("SUBSCRIBE", n, |i| format!("c:{i}")).line("UNSUBSCRIBE");
            all.answers = 2 * n;
            all
        };
        "CLIENT TRACKING of n prefixes": none => |n| {
            let on = Requests::default().long("CLIENT TRACKING ON BCAST", n, |i| format!("PREFIX p:{i}:"));
            on.line("SET p:7:key x").line("CLIENT TRACKING OFF")
        },
        "PSUBSCRIBE, PUNSUBSCRIBE of n": none => |n| {
            let mut all = of("PSUBSCRIBE", n, |i| format!("c:{i}*")).line("PUNSUBSCRIBE");
            all.answers = 2 * n;
            all
        };
        "BLPOP of n keys that are not there": none => |n| {
            let tail: Vec<String> = (0..n).map(|i| format!("none:{i}")).collect();
            one(&format!("BLPOP {} 0.001", tail.join(" ")))
        };
        "RPUSH of n": |_| one("DEL k") => |n| of("RPUSH k", n, |i| format!("e:{i}"));
        "LPUSH of n": |_| one("DEL k") => |n| of("LPUSH k", n, |i| format!("e:{i}"));
        "SADD of n": |_| one("DEL k") => |n| of("SADD k", n, |i| format!("e:{i}"));
        "SADD of n numbers": |_| one("DEL k") => |n| of("SADD k", n, |i| format!("{}", i * 7919 % 10_000_019));
        "SREM of n": set => |n| of("SREM k", n, |i| format!("member:{i}"));
        "SMISMEMBER of n": set => |n| of("SMISMEMBER k", n, |i| format!("member:{i}"));
        "HSET of n": |_| one("DEL k") => |n| of("HSET k", n, |i| format!("f:{i} v"));
        "HMGET of n": hash => |n| of("HMGET k", n, |i| format!("field:{i}"));
        "HDEL of n": hash => |n| of("HDEL k", n, |i| format!("field:{i}"));
        "ZADD of n": |_| one("DEL k") => |n| of("ZADD k", n, |i| format!("{} m:{i}", i * 7919 % 10_000_019));
        "ZREM of n": zset => |n| of("ZREM k", n, |i| format!("member:{i}"));
        "ZMSCORE of n": zset => |n| of("ZMSCORE k", n, |i| format!("member:{i}"));
        "SUNION of n keys": keys => |n| of("SUNION", n, |i| format!("none:{i}"));
        "SINTER of n keys": set => |n| of("SINTER k", n, |_| "k".into());
        "SDIFF of n keys": |_| one("DEL d").line("SADD d a b c") => |n| of("SDIFF d", n, |i| format!("none:{i}"));
        "ZUNION of n keys": |_| one("DEL d").line("ZADD d 1 a 2 b") => |n| of(&format!("ZUNION {n}"), n, |_| "d".into());
        "COMMAND GETKEYS of n": none => |n| of("COMMAND GETKEYS MSET", n, |i| format!("key:{i} v"));
        "CONFIG GET of n patterns": none => |n| of("CONFIG GET", n, |i| format!("none:{i}"));
        "an unknown command of n words": none => |n| of("NOSUCH", n, |i| format!("w:{i}"));
        "a wrong SET of n words": none => |n| of("SET k v", n, |_| "EX".into());
        "MULTI, n SETs, EXEC": none => |n| one("MULTI").many(n, |i| format!("SET key:{i} v")).line("EXEC");
        "MULTI, n SETs, DISCARD": none => |n| one("MULTI").many(n, |i| format!("SET key:{i} v")).line("DISCARD");
    }
}

fn values() -> Vec<Case> {
    cases! {
        "KEYS *": keys => |_| one("KEYS *");
        "KEYS, a long pattern on a key of n bytes": |n| one("FLUSHALL").line(&format!("SET {} v", "a".repeat(n)))
            => |n| one(&format!("KEYS {}*{}b", "a", "a".repeat(n / 4)));
        "KEYS, a long class on a key of n bytes": |n| one("FLUSHALL").line(&format!("SET {} v", "a".repeat(n)))
            => |n| one(&format!("KEYS {}*[{}]b", "a", "a".repeat(n / 4)));
        "SCAN COUNT n": keys => |n| one(&format!("SCAN 0 COUNT {n}"));
        "FLUSHALL of n keys": keys => |_| one("FLUSHALL");
        "SET of n bytes": none => |n| one(&format!("SET k {}", "x".repeat(n)));
        "GET of n bytes": string => |_| one("GET k");
        "SETRANGE at n": |_| one("DEL k") => |n| one(&format!("SETRANGE k {} x", n - 1));
        "SETRANGE of n bytes": |_| one("DEL k") => |n| one(&format!("SETRANGE k 5 {}", "x".repeat(n)));
        "APPEND of n bytes": |_| one("DEL k") => |n| one(&format!("APPEND k {}", "x".repeat(n)));
        "APPEND n times": |_| one("DEL k") => |n| Requests::default().many(n, |_| "APPEND k x".into());
        "LPUSH of n bytes": |_| one("DEL k") => |n| one(&format!("LPUSH k {}", "x".repeat(n)));
        "COPY of a string": string => |_| one("COPY k d REPLACE");
        "DUMP of a string": string => |_| one("DUMP k");
        "LRANGE of n": list => |_| one("LRANGE k 0 -1");
        "LREM of n": |n| one("DEL k").long("RPUSH k", n, |_| "e".into()) => |_| one("LREM k 0 e");
        "LTRIM of n": list => |_| one("LTRIM k 1 0");
        "LPOS in n": list => |_| one("LPOS k none");
        "LPOP of n": list => |n| one(&format!("LPOP k {n}"));
        "RPOP one by one": list => |n| Requests::default().many(n, |_| "RPOP k".into());
        "LINSERT in the middle of n, 100 times": list => |n| Requests::default().many(100, |_| format!("LINSERT k BEFORE element:{} x", n / 2));
        "SORT of n": numbers => |_| one("SORT k");
        "SORT ALPHA STORE of n": set => |_| one("SORT k ALPHA STORE d");
        "SMEMBERS of n": set => |_| one("SMEMBERS k");
        "SPOP of n": set => |n| one(&format!("SPOP k {n}"));
        "SPOP of half": set => |n| one(&format!("SPOP k {}", n / 2));
        "SRANDMEMBER of half": set => |n| one(&format!("SRANDMEMBER k {}", n / 2));
        "SRANDMEMBER of -n": set => |n| one(&format!("SRANDMEMBER k -{n}"));
        "SUNIONSTORE of n": set => |_| one("SUNIONSTORE d k");
        "SINTERSTORE of n": set => |_| one("SINTERSTORE d k k");
        "SDIFFSTORE of n": set => |_| one("SDIFFSTORE d k none");
        "HGETALL of n": hash => |_| one("HGETALL k");
        "HRANDFIELD of half": hash => |n| one(&format!("HRANDFIELD k {}", n / 2));
        "HSCAN COUNT n": hash => |n| one(&format!("HSCAN k 0 COUNT {n}"));
        "ZRANGE of n": zset => |_| one("ZRANGE k 0 -1 WITHSCORES");
        "ZRANGESTORE of n": zset => |_| one("ZRANGESTORE d k 0 -1");
        "ZUNIONSTORE of n": zset => |_| one("ZUNIONSTORE d 1 k");
        "ZINTERSTORE of n": zset => |_| one("ZINTERSTORE d 2 k k");
        "ZDIFFSTORE of n": zset => |_| one("ZDIFFSTORE d 2 k none");
        "ZREMRANGEBYRANK of n": zset => |_| one("ZREMRANGEBYRANK k 0 -1");
        "ZPOPMIN of n": zset => |n| one(&format!("ZPOPMIN k {n}"));
        "ZRANDMEMBER of half": zset => |n| one(&format!("ZRANDMEMBER k {}", n / 2));
        "ZCOUNT, 100 times": zset => |n| Requests::default().many(100, |_| format!("ZCOUNT k 0 {n}"));
        "COPY of a sorted set": zset => |_| one("COPY k d REPLACE");
        "DUMP of a hash": hash => |_| one("DUMP k");
        "DEL of a hash of n": hash => |_| one("DEL k");
        "MEMORY USAGE of n": hash => |_| one("MEMORY USAGE k SAMPLES 0");
        "RENAME of n": hash => |_| one("RENAME k d");
        "OBJECT ENCODING of n": hash => |_| one("OBJECT ENCODING k");
    }
}

/// A connection that sends everything while it reads the answers.
struct Connection {
    socket: TcpStream,
    counter: crate::resp::Counter,
}

impl Connection {
    fn open(server: &Server) -> Result<Self> {
        let socket = TcpStream::connect(("127.0.0.1", server.port))?;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(LIMIT))?;
        Ok(Self { socket, counter: crate::resp::Counter::default() })
    }

    /// Sends the requests and waits for all answers.
    fn run(&mut self, requests: Requests) -> Result<Duration> {
        let began = Instant::now();
        let mut writer = self.socket.try_clone()?;
        let (bytes, mut left) = (requests.bytes, requests.answers);
        let sending = std::thread::spawn(move || writer.write_all(&bytes));
        let mut chunk = vec![0; 1 << 20];
        while left > 0 {
            let n = self.socket.read(&mut chunk)?;
            ensure!(n > 0, "the server has closed the connection");
            left = left.saturating_sub(self.counter.feed(&chunk[..n]));
        }
        let took = began.elapsed();
        sending.join().ok().context("the sender panicked")??;
        Ok(took)
    }
}

/// Nanoseconds for each element, for each size.
fn costs(server: &Server, case: &Case, sizes: &[usize]) -> Result<Vec<f64>> {
    let mut found = Vec::new();
    for &n in sizes {
        let mut connection = Connection::open(server)?;
        let (mut took, mut elements) = (Duration::ZERO, 0);
        while elements < ELEMENTS && took < LIMIT {
            connection.run((case.before)(n))?;
            took += connection.run((case.measured)(n))?;
            elements += n;
        }
        found.push(took.as_nanos() as f64 / elements as f64);
        Control::connect(server.port)?.ask("FLUSHALL")?;
    }
    Ok(found)
}

/// Waiting clients: a push to each of `n` keys that somebody waits for, in one transaction.
fn waiting(server: &Server, sizes: &[usize]) -> Result<Vec<f64>> {
    let mut found = Vec::new();
    for &n in sizes {
        let mut waiter = Connection::open(server)?;
        let names: Vec<String> = (0..n).map(|i| format!("w:{i}")).collect();
        let request = one(&format!("BLPOP {} 0", names.join(" ")));
        waiter.socket.write_all(&request.bytes)?;
        let mut control = server.control()?;
        while control.info("clients", "blocked_clients")? != "1" {
            std::thread::sleep(Duration::from_millis(1));
        }
        let mut pusher = Connection::open(server)?;
        let pushes = one("MULTI").many(n, |i| format!("RPUSH w:{i} x")).line("EXEC");
        found.push(pusher.run(pushes)?.as_nanos() as f64 / n as f64);
        control.ask("FLUSHALL")?;
    }
    Ok(found)
}

fn cells(costs: &[f64]) -> Vec<String> {
    let mut cells: Vec<String> = costs.iter().map(|c| format!("{c:.1}")).collect();
    let cheapest = costs.iter().copied().fold(f64::INFINITY, f64::min);
    let growth = costs.last().copied().unwrap_or(0.0) / cheapest;
    let mark = if growth > SUSPECT { " (!)" } else { "" };
    cells.push(format!("{growth:.1}{mark}"));
    cells
}

fn measure_one(product: &Product, case: Option<&Case>, sizes: &[usize]) -> Result<Vec<f64>> {
    // A million channels are confirmed in more bytes than a subscriber may leave unread by default.
    let server = product.start(&["--client-output-buffer-limit", "pubsub 0 0 0"])?;
    match case {
        Some(case) => costs(&server, case, sizes),
        None => waiting(&server, sizes),
    }
}

/// Measures and prints: of the first product each size, of the others the largest one.
pub fn run(plan: &Plan, only: &[String]) -> Result<()> {
    let sizes = if plan.quick { &SIZES[..3] } else { &SIZES[..] };
    let names: Vec<String> = sizes.iter().map(|n| format!("{n}")).collect();
    let mut columns = vec!["case"];
    columns.extend(names.iter().map(String::as_str));
    columns.push("growth");
    columns.extend(plan.products[1..].iter().map(|p| p.name.as_str()));
    let mut table =
        Table::new("Nanoseconds for each element, by the number of elements; peers at the largest", &columns);
    let mut suspects = Vec::new();
    let all: Vec<Case> = arguments().into_iter().chain(values()).collect();
    let waits = "MULTI, RPUSH to n awaited keys, EXEC";
    let cases = all.iter().map(|case| (case.name, Some(case))).chain([(waits, None)]);
    for (name, case) in cases.filter(|(name, _)| only.is_empty() || only.iter().any(|o| name.contains(o.as_str()))) {
        note(&format!("growth, {name}"));
        let ours = measure_one(&plan.products[0], case, sizes).with_context(|| name.to_owned())?;
        let mut row = vec![name.to_owned()];
        row.extend(cells(&ours));
        if row.last().is_some_and(|cell| cell.ends_with("(!)")) {
            suspects.push(name);
        }
        for product in &plan.products[1..] {
            let peer = measure_one(product, case, &sizes[sizes.len() - 1..]);
            row.push(peer.map_or_else(|e| format!("{e}"), |costs| format!("{:.1}", costs[0])));
        }
        table.row(row);
    }
    table.print(plan.csv);
    ensure!(suspects.is_empty(), "the cost of an element grows with their number: {}", suspects.join("; "));
    Ok(())
}
