//! Data of all types to write, and comparing what two servers hold.

use super::client::text;
use super::{Client, PATIENCE, Server, holds_within};
use resp::Value;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;

/// The databases that are written to and compared.
const DATABASES: u64 = 4;

/// Everything that a server holds: by database and key its type, its content in an order of its
/// own, and when it expires in Unix milliseconds (-1 for never).
pub type Contents = BTreeMap<(u64, Vec<u8>), (String, Vec<Vec<u8>>, i64)>;

fn words(line: &str) -> Vec<Vec<u8>> {
    line.split(' ').map(|w| w.as_bytes().to_vec()).collect()
}

fn flat(value: &Value) -> Vec<Vec<u8>> {
    match value {
        Value::Array(items) => items.iter().flat_map(flat).collect(),
        Value::Null => Vec::new(),
        other => vec![other.as_bytes().unwrap_or_else(|| panic!("unexpected {other:?}")).to_vec()],
    }
}

/// A score in one spelling.
fn score(text: &[u8]) -> Vec<u8> {
    let score: f64 = std::str::from_utf8(text).unwrap().parse().unwrap();
    format!("{score:?}").into_bytes()
}

fn pairs_sorted(items: Vec<Vec<u8>>, width: usize) -> Vec<Vec<u8>> {
    let mut chunks: Vec<Vec<Vec<u8>>> = items.chunks(width).map(<[Vec<u8>]>::to_vec).collect();
    chunks.sort();
    chunks.concat()
}

fn keys_of(client: &mut Client) -> Vec<Vec<u8>> {
    let (mut keys, mut cursor) = (Vec::new(), "0".to_owned());
    loop {
        let Value::Array(reply) = client.call(&["SCAN", &cursor, "COUNT", "1000"]) else { panic!("SCAN") };
        cursor = text(&reply[0]);
        keys.extend(flat(&reply[1]));
        if cursor == "0" {
            break;
        }
    }
    keys.sort();
    keys.dedup();
    keys
}

/// Walks all databases.
pub fn contents(server: &Server) -> Contents {
    let mut client = server.client();
    let mut all = Contents::new();
    for db in 0..DATABASES {
        client.ok(&["SELECT", &db.to_string()]);
        let keys = keys_of(&mut client);
        for keys in keys.chunks(500) {
            let types: Vec<String> = client
                .pipeline(&keys.iter().map(|k| vec![b"TYPE".to_vec(), k.clone()]).collect::<Vec<_>>())
                .iter()
                .map(text)
                .collect();
            let reads: Vec<Vec<Vec<u8>>> = keys
                .iter()
                .zip(&types)
                .flat_map(|(key, kind)| {
                    let mut read = words(match kind.as_str() {
                        "string" => "GET K",
                        "list" => "LRANGE K 0 -1",
                        "set" => "SMEMBERS K",
                        "hash" => "HGETALL K",
                        "zset" => "ZRANGE K 0 -1 WITHSCORES",
                        "none" => "GET K",
                        other => panic!("unexpected type {other}"),
                    });
                    read[1] = key.clone();
                    [read, vec![b"PEXPIRETIME".to_vec(), key.clone()]]
                })
                .collect();
            let replies = client.pipeline(&reads);
            for ((key, kind), reply) in keys.iter().zip(types).zip(replies.chunks(2)) {
                let Value::Int(expires) = reply[1] else { panic!("{reply:?}") };
                // A key that has expired since the scan is no longer there.
                if kind == "none" || expires == -2 {
                    continue;
                }
                let items = flat(&reply[0]);
                let items = match kind.as_str() {
                    "set" => pairs_sorted(items, 1),
                    "hash" => pairs_sorted(items, 2),
                    // Versions spell the same number differently.
                    "zset" => {
                        items.iter().enumerate().map(|(i, v)| if i % 2 == 1 { score(v) } else { v.clone() }).collect()
                    }
                    _ => items,
                };
                all.insert((db, key.clone()), (kind, items, expires));
            }
        }
    }
    all
}

/// Waits until two servers hold the same, and shows the first differences where they do not.
#[track_caller]
pub fn assert_same(a: &Server, b: &Server) {
    let mut seen = (Contents::new(), Contents::new());
    let same = holds_within(PATIENCE, || {
        seen = (contents(a), contents(b));
        seen.0 == seen.1
    });
    if same {
        return;
    }
    let show = |c: &Contents, key: &(u64, Vec<u8>)| match c.get(key) {
        None => "nothing".to_owned(),
        Some((kind, items, expires)) => {
            let items: Vec<_> = items.iter().take(20).map(|i| String::from_utf8_lossy(&i[..i.len().min(40)])).collect();
            format!("{kind} {items:?} expires {expires}")
        }
    };
    let keys: std::collections::BTreeSet<_> = seen.0.keys().chain(seen.1.keys()).collect();
    let differing: Vec<_> = keys.into_iter().filter(|k| seen.0.get(k) != seen.1.get(k)).collect();
    let first: Vec<String> = differing
        .iter()
        .take(5)
        .map(|k| {
            let name = String::from_utf8_lossy(&k.1);
            format!(
                "db {} {name}:\n  {:?}: {}\n  {:?}: {}",
                k.0,
                a.product,
                show(&seen.0, k),
                b.product,
                show(&seen.1, k)
            )
        })
        .collect();
    panic!("{} keys differ:\n{}", differing.len(), first.join("\n"));
}

/// A small generator of numbers that look random; the same seed gives the same numbers.
#[derive(Debug)]
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// A number below `n`.
    pub fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) % n
    }
}

/// A write to one of the five types or to a key's expiry.
fn write(random: &mut Random) -> Vec<Vec<u8>> {
    let r = &mut *random;
    let (n, m, x) = (r.below(200), r.below(60), r.below(100_000));
    let text = "v".repeat(r.below(120) as usize);
    let line = match r.below(38) {
        0..=2 => format!("SET s:{n} {x}{text}"),
        3 => format!("SET s:{n} {x} EX {}", 1000 + m),
        4 => format!("SET brief:{n} {x} PX {}", 20 + m),
        5 => format!("APPEND s:{n} {m}"),
        6 => format!("INCRBY n:{n} {x}"),
        7 => format!("INCRBYFLOAT f:{n} 0.{x}"),
        8 => format!("SETRANGE s:{n} {m} {x}"),
        9 => format!("GETDEL s:{n}"),
        10..=11 => format!("RPUSH l:{n} {x} {text}b c"),
        12 => format!("LPUSH l:{n} {x}"),
        13 => format!("LPOP l:{n} 2"),
        14 => format!("LMOVE l:{n} l:{m} LEFT RIGHT"),
        15 => format!("LTRIM l:{n} 0 20"),
        16..=17 => format!("SADD t:{n} {m} {x} m{m}"),
        18 => format!("SADD ints:{n} {m} {x}"),
        19 => format!("SPOP t:{n} 2"),
        20 => format!("SREM t:{n} {m}"),
        21 => format!("SUNIONSTORE t:{n} t:{m} ints:{m}"),
        22..=23 => format!("HSET h:{n} f{m} {x}{text} g{x} 1"),
        24 => format!("HINCRBY h:{n} count {x}"),
        25 => format!("HDEL h:{n} f{m}"),
        26..=27 => format!("ZADD z:{n} {x} m{m} {m}.5 n{x}"),
        28 => format!("ZINCRBY z:{n} 0.1 m{m}"),
        29 => format!("ZPOPMIN z:{n}"),
        30 => format!("ZRANGESTORE z:{n} z:{m} 0 5"),
        31 => format!("EXPIRE z:{n} {}", 1000 + x),
        32 => format!("PEXPIRE h:{n} {}", 1_000_000 + x),
        33 => format!("PERSIST z:{n}"),
        34 => format!("PEXPIRE l:{n} {}", 10 + m),
        35 => format!("DEL t:{n} s:{m}"),
        36 => format!("COPY l:{n} l:{} REPLACE", n + 1 + m),
        _ => format!("SELECT {}", r.below(DATABASES)),
    };
    words(&line)
}

/// Writes `count` random commands, which all must be accepted.
#[track_caller]
pub fn fill(server: &Server, count: usize, seed: u64) {
    let mut random = Random::new(seed);
    let mut client = server.client();
    for _ in 0..count.div_ceil(500) {
        write_batch(&mut client, &mut random, 500).unwrap();
    }
    // A few values that need more than one packet, and that no packed encoding holds.
    for db in 0..2 {
        client.ok(&["SELECT", &db.to_string()]);
        client.ok(&["SET", "big", &"0123456789".repeat(30_000)]);
        for i in 0..40 {
            for command in ["RPUSH big:l", "SADD big:t", "ZADD big:z", "HSET big:h"] {
                let mut command = words(command);
                for j in 0..25 {
                    if !command[0].ends_with(b"PUSH") && command[0] != b"SADD" {
                        command.push((i * 25 + j).to_string().into_bytes());
                    }
                    command.push(format!("element {i} {j}").into_bytes());
                }
                client.pipeline(&[command]);
            }
        }
    }
}

fn write_batch(client: &mut Client, random: &mut Random, count: usize) -> Result<(), String> {
    let mut commands: Vec<Vec<Vec<u8>>> = (0..count).map(|_| write(random)).collect();
    // Some of them as a transaction.
    if random.below(4) == 0 {
        commands.insert(0, words("MULTI"));
        commands.insert(8.min(commands.len()), words("EXEC"));
    }
    let mut out = Vec::new();
    commands.iter().for_each(|c| resp::encode_command(&mut out, c.iter().map(|w| &w[..])));
    client.raw(&out).map_err(|e| e.to_string())?;
    for command in &commands {
        let reply = client.try_reply().map_err(|e| e.to_string())?;
        let refused = match &reply {
            Value::Error(_) => true,
            Value::Array(items) => items.iter().any(|i| matches!(i, Value::Error(_))),
            _ => false,
        };
        if refused {
            let command: Vec<_> = command.iter().map(|w| String::from_utf8_lossy(w)).collect();
            return Err(format!("{} gave {reply:?}", command.join(" ")));
        }
    }
    Ok(())
}

/// A thread that writes until it is stopped.
#[derive(Debug)]
pub struct Writer {
    stop: Arc<AtomicBool>,
    written: Arc<AtomicU64>,
    thread: Option<JoinHandle<Result<(), String>>>,
}

impl Writer {
    /// Begins to write.
    pub fn start(server: &Server, seed: u64) -> Self {
        let mut client = server.client();
        let stop = Arc::new(AtomicBool::new(false));
        let written = Arc::new(AtomicU64::new(0));
        let thread = {
            let (stop, written) = (stop.clone(), written.clone());
            std::thread::spawn(move || {
                let mut random = Random::new(seed);
                while !stop.load(Ordering::Relaxed) {
                    write_batch(&mut client, &mut random, 20)?;
                    written.fetch_add(20, Ordering::Relaxed);
                    // Leaves the other processes of a small machine some time.
                    std::thread::sleep(std::time::Duration::from_millis(1));
                }
                Ok(())
            })
        };
        Self { stop, written, thread: Some(thread) }
    }

    /// Waits until it has written `count` more commands.
    #[track_caller]
    pub fn wait_for_more(&self, count: u64) {
        let before = self.written.load(Ordering::Relaxed);
        let enough = holds_within(PATIENCE, || {
            self.written.load(Ordering::Relaxed) >= before + count || self.thread.as_ref().unwrap().is_finished()
        });
        assert!(enough && !self.thread.as_ref().unwrap().is_finished(), "the writer is stuck");
    }

    /// Stops it; all its writes must have been accepted.
    #[track_caller]
    pub fn stop(mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Err(error) = self.thread.take().unwrap().join().unwrap() {
            panic!("the writer was refused: {error}");
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}
