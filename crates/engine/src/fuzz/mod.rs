//! What the fuzzer calls: any bytes as a data file whose values are then worked with, and any bytes as a program of commands.
//!
//! Both compare instead of only waiting for a panic: what is saved must be what is loaded, and a replica that is given the effects of a
//! program must end with the same data.

mod contents;
mod program;

use crate::client::{ClientFlags, ClientKey};
use crate::config::Config;
use crate::engine::{Engine, Flow, Order};
use crate::error::{Error, Result};
use crate::host::{Host, HostCommand};
use crate::rdb::{LoadOptions, load};
use contents::{contents, survives_a_save};
use keyspace::ValueRef;
use program::{Step, program};
use resp::{Args, Limits, RequestParser, Status, encode_command};

/// When everything begins: Unix milliseconds.
const START_MS: i64 = 1_700_000_000_000;
/// How many clients a program has.
const CLIENTS: usize = 2;

/// An outside that refuses everything but settings.
struct Nowhere;

impl Host for Nowhere {
    fn command(&mut self, _: HostCommand, _: &mut Engine, _: &Args) -> Result {
        Err(Error::fixed("ERR there is no server around this engine"))
    }
}

/// An engine, and clients that are replaced when they are closed.
struct Side {
    engine: Engine,
    clients: Vec<ClientKey>,
}

impl Side {
    fn new() -> Side {
        let mut engine = Engine::new(Config::default(), 1, || 0);
        engine.stream.enabled = true;
        engine.set_time(START_MS);
        let mut side = Side { engine, clients: Vec::new() };
        for _ in 0..CLIENTS {
            let client = side.connect();
            side.clients.push(client);
        }
        side
    }

    /// An engine that follows another one, with its link as the only client.
    fn replica() -> Side {
        let mut side = Side::new();
        side.engine.store.is_replica = true;
        side.clients.truncate(1);
        side.engine.clients[side.clients[0]].flags.set(ClientFlags::PRIMARY, true);
        side
    }

    fn connect(&mut self) -> ClientKey {
        let now_ms = self.engine.store.now_ms;
        self.engine.clients.add("127.0.0.1:1".into(), "127.0.0.1:6379".into(), -1, now_ms)
    }

    /// Runs all requests in `bytes`, which are whole.
    fn feed(&mut self, client: usize, mut bytes: &[u8]) {
        let (mut parser, mut spans) = (RequestParser::default(), Vec::new());
        let limits = Limits { bulk_bytes_max: i64::MAX, authenticated: true };
        while !bytes.is_empty() {
            spans.clear();
            let status = parser.parse(bytes, limits, &mut spans).expect("what we encode is a request");
            let Status::Complete { len } = status else { panic!("what we encode is whole, not {status:?}") };
            self.engine.begin(self.clients[client]);
            let flow = self.engine.execute(&mut Nowhere, &Args::new(&bytes[..len], &spans));
            self.engine.end();
            self.orders();
            bytes = &bytes[len..];
            if flow == Flow::Close {
                self.replace(client);
                return;
            }
        }
    }

    fn send<W: AsRef<[u8]>>(&mut self, client: usize, request: &[W]) {
        if self.engine.clients[self.clients[client]].flags.any(ClientFlags::BLOCKED) {
            return;
        }
        let mut bytes = Vec::new();
        encode_command(&mut bytes, request.iter().map(AsRef::as_ref));
        self.feed(client, &bytes);
    }

    fn replace(&mut self, client: usize) {
        self.engine.remove_client(self.clients[client]);
        self.clients[client] = self.connect();
    }

    fn orders(&mut self) {
        for order in std::mem::take(&mut self.engine.orders) {
            match order {
                Order::StreamBroken(_, what) => panic!("a replica refuses what its primary sends: {what}"),
                Order::Close(key)
                | Order::CloseAfterReply(key)
                | Order::CloseForInput(key)
                | Order::CloseReplica(key, _) => {
                    if let Some(client) = self.clients.iter().position(|&other| other == key) {
                        self.replace(client);
                    }
                }
                Order::Resume(_) | Order::Flushed | Order::ResumePostponed | Order::Warn(_) => {}
            }
        }
        for client in 0..self.clients.len() {
            self.take_output(client);
        }
    }

    fn take_output(&mut self, client: usize) -> Vec<u8> {
        std::mem::take(&mut self.engine.clients[self.clients[client]].out.buf)
    }

    fn pass(&mut self, ms: i64) {
        let now_ms = self.engine.store.now_ms + ms;
        self.engine.set_time(now_ms);
        self.engine.end_waits();
        for db in 0..self.engine.store.keyspace.databases() {
            self.engine.store.db = db;
            self.engine.store.expire_some(db, 20);
            self.engine.settle(db, b"");
        }
        self.orders();
    }
}

/// The entry of the fuzz target `commands`: a program; its effects are given to a replica, which must end with the same data.
///
/// # Panics
/// If a command does, or data differs, or does not survive a save.
pub fn fuzz_commands(data: &[u8]) {
    let mut primary = Side::new();
    let mut replica = Side::replica();
    for step in program(data) {
        match step {
            Step::Send { client, request } => primary.send(client, &request),
            Step::Pass(ms) => primary.pass(ms),
        }
    }
    let effects = std::mem::take(&mut primary.engine.stream.bytes);
    replica.engine.set_time(primary.engine.store.now_ms);
    replica.feed(0, &effects);
    let (ours, theirs) = (contents(&primary.engine.store.keyspace), contents(&replica.engine.store.keyspace));
    assert!(ours == theirs, "the replica has other data: {ours:?}, {theirs:?}, after {}", effects.escape_ascii());
    survives_a_save(&primary.engine.store.keyspace, &primary.engine.config, primary.engine.store.now_ms);
}

/// The entry of the fuzz target `data`: bytes as a data file, and as the type and value of one key in one. What can be loaded is read and
/// changed by the commands of its types, and must survive a save before and after.
///
/// # Panics
/// If what was accepted cannot be worked with.
pub fn fuzz_data(data: &[u8]) {
    work_with(data);
    if let Some((kind, value)) = data.split_first() {
        work_with(&[&b"REDIS0012"[..], &[*kind], b"\x01k", value, b"\xff\0\0\0\0\0\0\0\0"].concat());
    }
}

fn work_with(file: &[u8]) {
    let mut side = Side::new();
    let mut options = LoadOptions::from_config(&side.engine.config, START_MS);
    options.keep_expired = true;
    let Ok((loaded, _, _)) = load(file, &options) else { return };
    drop(side.engine.store.keyspace.replace(loaded.keyspace));
    survives_a_save(&side.engine.store.keyspace, &side.engine.config, START_MS);
    let keys: Vec<_> = contents(&side.engine.store.keyspace).into_keys().take(20).collect();
    for (db, key) in keys {
        side.send(0, &[b"SELECT", db.to_string().as_bytes()]);
        let Some(entry) = side.engine.store.keyspace.db(db).get(&key) else { continue };
        // Words with the key as `K`; the elements are those that packed encodings spell in a special way, and long ones.
        let requests: &[&str] = match entry.value() {
            ValueRef::None | ValueRef::Bytes(_) | ValueRef::Int(_) | ValueRef::Score(_) => {
                &["GETRANGE K 0 -1", "INCR K", "APPEND K 5", "SETRANGE K 3 a", "STRLEN K", "INCRBYFLOAT K 1.5"]
            }
            ValueRef::List(_) => &[
                "LRANGE K 0 -1",
                "LPUSH K L 5",
                "LRANGE K -3 -1",
                "LINSERT K BEFORE 5 L",
                "LSET K 1 300",
                "LSET K -1 L",
                "LPOS K 5 RANK -1",
                "RPUSH K 0",
                "LREM K -1 5",
                "RPOP K 2",
                "LTRIM K 0 20",
                "LPOP K",
            ],
            ValueRef::Set(_) => &[
                "SMEMBERS K",
                "SADD K 5",
                "SADD K L",
                "SISMEMBER K 5",
                "SREM K 5",
                "SPOP K 1",
                "SRANDMEMBER K -3",
                "SADD K -70000 a",
            ],
            ValueRef::Hash(_) => &[
                "HGETALL K",
                "HSET K 5 L",
                "HGET K 5",
                "HSET K L 5",
                "HINCRBY K 5 1",
                "HDEL K L",
                "HRANDFIELD K -3 WITHVALUES",
                "HSET K a b c d",
            ],
            ValueRef::ZSet(_) => &[
                "ZREVRANGE K 0 -1 WITHSCORES",
                "ZADD K -inf L",
                "ZREVRANGE K 0 -1",
                "ZADD K 1.5 5",
                "ZADD K 0 5 7 a",
                "ZRANGEBYLEX K - +",
                "ZREVRANGEBYSCORE K +inf -inf",
                "ZRANK K 5",
                "ZPOPMIN K",
                "ZINCRBY K 1 a",
                "ZREM K L",
                "ZREMRANGEBYRANK K 0 1",
            ],
        };
        let general = [
            "OBJECT ENCODING K",
            "MEMORY USAGE K SAMPLES 0",
            "DUMP K",
            "COPY K copy",
            "SORT K BY nosort",
            "RENAME copy K",
        ];
        for line in requests.iter().chain(&general) {
            let long = vec![b'L'; 40];
            let word = |word: &str| match word {
                "K" => key.clone(),
                "L" => long.clone(),
                word => word.as_bytes().to_vec(),
            };
            let words: Vec<Vec<u8>> = line.split(' ').map(word).collect();
            side.send(0, &words);
        }
    }
    survives_a_save(&side.engine.store.keyspace, &side.engine.config, START_MS);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Runs all files of a target's corpus; there are some.
    fn run_corpus(target: &str, run: fn(&[u8])) {
        let folder = format!("{}/../../fuzz/corpus/{target}", env!("CARGO_MANIFEST_DIR"));
        let mut files = 0;
        for file in std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{folder}: {error}")) {
            run(&std::fs::read(file.unwrap().path()).unwrap());
            files += 1;
        }
        assert!(files > 0, "{folder} is empty");
    }

    #[test]
    fn the_corpora_run() {
        run_corpus("commands", fuzz_commands);
        run_corpus("data", fuzz_data);
        run_corpus("rdb", fuzz_data);
    }

    proptest! {
        #[test]
        fn a_replica_of_any_program_has_the_same_data(program in prop::collection::vec(any::<u8>(), 0..300)) {
            fuzz_commands(&program);
        }
    }
}
