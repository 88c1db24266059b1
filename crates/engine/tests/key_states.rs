//! Every command that names keys, over keys in every state: missing, of each type, past their time. The reply, the
//! keyspace events, `expired_keys`, `keyspace_hits` and `keyspace_misses` are those of a real Redis.
//!
//! Another connection of each side listens to the events; the answer to a PING there tells where they end.

mod support;

use engine::client::ClientKey;
use engine::notify::Classes;
use resp::Value;
use std::time::{Duration, Instant};
use support::peer::{Connection, Peer};
use support::{Server, show, sorted, words};

/// Commands on `k`, most of them; `d` is a second key, often a destination.
const LINES: &[&str] = &[
    "SET k v",
    "SET k v EX 100",
    "SET k v PXAT 33177117420000",
    "SET k v PXAT 1000",
    "SET k v EXAT 1",
    "SET k v GET PXAT 1000",
    "SET k v XX PXAT 1000",
    "SET k v KEEPTTL",
    "SET k v NX",
    "SET k v XX",
    "SET k v GET",
    "SET k v NX GET",
    "SETNX k v",
    "SETEX k 10 v",
    "PSETEX k 10000 v",
    "GETSET k v",
    "GETDEL k",
    "GETEX k",
    "GETEX k EX 100",
    "GETEX k PERSIST",
    "GETEX k EXAT 1",
    "GETEX k PXAT 1000",
    "GET k",
    "MGET k d",
    "MSET k v d w",
    "MSETNX k v d w",
    "APPEND k x",
    "STRLEN k",
    "SETRANGE k 1 x",
    "SETRANGE k 1 ",
    "GETRANGE k 0 -1",
    "SUBSTR k 0 1",
    "INCR k",
    "DECRBY k 2",
    "INCRBYFLOAT k 1.5",
    "LCS k d",
    "DEL k",
    "DEL k d",
    "UNLINK k d",
    "EXISTS k k d",
    "TYPE k",
    "TTL k",
    "PTTL none",
    "EXPIRETIME none",
    "TOUCH k d",
    "PERSIST k",
    "EXPIRE k 100",
    "EXPIRE k 100 NX",
    "EXPIRE k 100 XX",
    "EXPIRE k 100 GT",
    "EXPIRE k 100 LT",
    "PEXPIREAT k 1",
    "EXPIRE k -1",
    "RENAME k d",
    "RENAME d k",
    "RENAME k k",
    "RENAMENX k d",
    "RENAMENX d k",
    "COPY k d",
    "COPY d k",
    "COPY k d REPLACE",
    "COPY d k REPLACE",
    "COPY d k DB 1",
    "MOVE k 1",
    "DUMP none",
    "OBJECT ENCODING none",
    "OBJECT REFCOUNT d",
    "OBJECT IDLETIME none",
    "OBJECT REFCOUNT k",
    "MEMORY USAGE none",
    "SORT k ALPHA",
    "SORT k BY nosort GET # STORE d",
    "SORT d ALPHA STORE k",
    "SORT_RO k ALPHA",
    "KEYS *",
    "RANDOMKEY",
    "SCAN 0 COUNT 1000",
    "DBSIZE",
    "LPUSH k a",
    "RPUSH k a b",
    "LPUSHX k a",
    "RPUSHX k a",
    "LPOP k",
    "RPOP k 2",
    "LPOP k 0",
    "LLEN k",
    "LINDEX k 0",
    "LSET k 0 x",
    "LRANGE k 0 -1",
    "LREM k 0 a",
    "LTRIM k 1 -1",
    "LTRIM k 5 9",
    "LINSERT k BEFORE a x",
    "LPOS k a",
    "LMOVE k d LEFT LEFT",
    "LMOVE d k LEFT LEFT",
    "RPOPLPUSH k k",
    "RPOPLPUSH k d",
    "LMPOP 2 k d LEFT",
    "LMPOP 1 k RIGHT COUNT 9",
    "BLPOP k d 0.001",
    "BRPOP d k 0.001",
    "BLMOVE k d LEFT RIGHT 0.001",
    "BLMPOP 0.001 2 k d LEFT",
    "HSET k f v",
    "HSET k f v g w",
    "HMSET k f v",
    "HSETNX k f v",
    "HGET k f",
    "HMGET k f x",
    "HGETALL k",
    "HKEYS k",
    "HVALS k",
    "HLEN k",
    "HEXISTS k f",
    "HSTRLEN k f",
    "HDEL k f",
    "HDEL k f g h",
    "HINCRBY k n 1",
    "HINCRBYFLOAT k n 1.5",
    "HRANDFIELD none",
    "HRANDFIELD k 10",
    "HRANDFIELD k 10 WITHVALUES",
    "HSCAN k 0",
    "SADD k a x",
    "SREM k a",
    "SREM k a b c",
    "SISMEMBER k a",
    "SMISMEMBER k a x",
    "SMEMBERS k",
    "SCARD k",
    "SPOP k 10",
    "SPOP none",
    "SRANDMEMBER none",
    "SRANDMEMBER k 10",
    "SMOVE k d a",
    "SMOVE d k a",
    "SINTER k d",
    "SINTER d k",
    "SINTER k k",
    "SUNION k d",
    "SDIFF k d",
    "SDIFF d k",
    "SINTERCARD 2 k d",
    "SINTERSTORE d k k",
    "SINTERSTORE k d d",
    "SINTERSTORE none k d",
    "SUNIONSTORE d k k",
    "SUNIONSTORE k d d",
    "SUNIONSTORE none k d",
    "SDIFFSTORE d k none",
    "SDIFFSTORE k d none",
    "SSCAN k 0",
    "ZADD k 1 a",
    "ZADD k NX 1 a 2 x",
    "ZADD k XX 5 a",
    "ZADD k INCR 1 a",
    "ZADD k GT CH 9 a",
    "ZINCRBY k 1 a",
    "ZREM k a",
    "ZREM k a b c",
    "ZCARD k",
    "ZSCORE k a",
    "ZMSCORE k a x",
    "ZRANK k a",
    "ZREVRANK k x",
    "ZCOUNT k -inf inf",
    "ZLEXCOUNT k - +",
    "ZRANGE k 0 -1",
    "ZRANGE k 0 -1 WITHSCORES",
    "ZRANGEBYSCORE k 1 2",
    "ZREVRANGE k 0 1",
    "ZRANGEBYLEX k - +",
    "ZRANGESTORE d k 0 -1",
    "ZRANGESTORE k d 0 -1",
    "ZRANGESTORE d k 5 6",
    "ZPOPMIN k",
    "ZPOPMAX k 9",
    "ZMPOP 2 k d MIN",
    "BZPOPMIN k d 0.001",
    "BZPOPMAX d k 0.001",
    "BZMPOP 0.001 1 k MAX",
    "ZREMRANGEBYRANK k 0 0",
    "ZREMRANGEBYSCORE k 0 9",
    "ZREMRANGEBYLEX k - +",
    "ZUNION 2 k d",
    "ZINTER 2 k d WITHSCORES",
    "ZDIFF 2 k d",
    "ZINTERCARD 2 k d",
    "ZUNIONSTORE d 2 k k",
    "ZUNIONSTORE k 2 d d",
    "ZINTERSTORE d 2 k none",
    "ZINTERSTORE k 2 d d",
    "ZDIFFSTORE d 2 k none",
    "ZDIFFSTORE k 1 d",
    "ZRANDMEMBER none",
    "ZRANDMEMBER k 10",
    "ZSCAN k 0",
    "WATCH k d",
    "UNWATCH",
    "COMMAND GETKEYS GET k",
];

/// What a key holds before a line, as the command that makes it.
const STATES: &[&str] =
    &["", "SET @ 12", "SET @ hello", "RPUSH @ a b a", "HSET @ f v g w n 1", "SADD @ a b", "ZADD @ 1 a 2 b"];

/// The two sides, and who listens to the events of each.
struct Sides {
    ours: Server,
    our_listener: ClientKey,
    theirs: Peer,
    their_listener: Connection,
}

/// What is compared: the reply, the events, and how far the counters have moved.
type Seen = (String, Vec<String>, [u64; 3]);

impl Sides {
    fn start() -> Option<Self> {
        let mut theirs = Peer::start("states")?;
        let mut ours = Server::new();
        ours.configure(|c| c.notify_keyspace_events.0 = Classes::parse(b"KEAnm").expect("these are letters"));
        ours.speak_v3(ours.first);
        let our_listener = ours.client();
        ours.speak_v3(our_listener);
        let mut their_listener = theirs.another();
        for line in ["HELLO 3", "CONFIG SET notify-keyspace-events KEAnm", "DEBUG SET-ACTIVE-EXPIRE 0"] {
            theirs.run(&words(line));
        }
        their_listener.run(&words("HELLO 3"));
        their_listener.run(&words("PSUBSCRIBE __keyevent@*"));
        ours.send(our_listener, &words("PSUBSCRIBE __keyevent@*"));
        ours.take_output(our_listener);
        Some(Self { ours, our_listener, theirs, their_listener })
    }

    /// Runs a line on both and gives what each has shown.
    fn run(&mut self, line: &str) -> [(String, Vec<String>); 2] {
        let words = words(line);
        let first = self.ours.first;
        self.ours.send(first, &words);
        let mut replies = self.ours.take_replies(first);
        if replies.is_empty() {
            self.ours.pass(10);
            replies = self.ours.take_replies(first);
        }
        let ours = (essence(&words, replies), events(self.ours.take_replies(self.our_listener)));
        let reply = support::values(&self.theirs.run(&words));
        let theirs = (essence(&words, reply), self.their_events());
        [ours, theirs]
    }

    /// Events of the peer so far: those that come before the answer to a PING.
    fn their_events(&mut self) -> Vec<String> {
        self.their_listener.send(&["PING", "end"]);
        let end = b"$3\r\nend\r\n";
        let mut bytes = Vec::new();
        while !bytes.ends_with(end) {
            self.their_listener.receive(&mut bytes);
        }
        bytes.truncate(bytes.len() - end.len());
        events(support::values(&bytes))
    }

    /// `expired_keys`, `keyspace_hits` and `keyspace_misses` of both.
    fn counters(&mut self) -> [[u64; 3]; 2] {
        let stats = &self.ours.engine.store.stats;
        let ours = [stats.expired, stats.hits, stats.misses];
        let info = String::from_utf8_lossy(&self.theirs.run(&["INFO", "stats"])).into_owned();
        let theirs = ["expired_keys:", "keyspace_hits:", "keyspace_misses:"].map(|name| {
            let value = info.lines().find_map(|line| line.strip_prefix(name)).expect("INFO names it");
            value.parse().expect("it is a number")
        });
        [ours, theirs]
    }

    /// Makes a key on both sides; one that is to be past its time is so when this returns.
    fn make(&mut self, key: &str, state: &str, expired: bool) {
        if !state.is_empty() {
            self.run(&state.replace('@', key));
        }
        if expired {
            self.run(&format!("PEXPIRE {key} 3"));
            self.ours.pass(5);
            // The peer's own clock has to pass the time.
            let start = Instant::now();
            while start.elapsed() < Duration::from_millis(5) {
                self.theirs.run(&["TIME"]);
            }
        }
    }
}

/// A reply without what is left to chance.
fn essence(words: &[Vec<u8>], values: Vec<Value>) -> String {
    const UNORDERED: &[&str] =
        &["SMEMBERS", "SPOP", "SRANDMEMBER", "SINTER", "SUNION", "SDIFF", "KEYS", "HRANDFIELD", "ZRANDMEMBER"];
    let name = String::from_utf8_lossy(&words[0]).into_owned();
    let shown = values.into_iter().map(|value| match value {
        Value::Array(parts) if ["SCAN", "SSCAN"].contains(&name.as_str()) => show(&sorted(parts[1].clone())),
        other if UNORDERED.contains(&name.as_str()) => show(&sorted(other)),
        other => show(&other),
    });
    shown.collect()
}

/// Event and key of each message.
fn events(messages: Vec<Value>) -> Vec<String> {
    let text = |message: Value| match message {
        Value::Push(parts) => show(&parts[2]) + &show(&parts[3]),
        other => panic!("a message is {other:?}"),
    };
    messages.into_iter().map(text).collect()
}

/// A key's state: what makes it, and whether it is past its time.
type State = (&'static str, bool);

/// The states of `k`, and for each those of `d`.
fn states(two: bool) -> Vec<(State, State)> {
    let others = [
        ("", false),
        ("SET @ x", true),
        ("SADD @ a z", false),
        ("SET @ x", false),
        ("RPUSH @ a", false),
        ("ZADD @ 3 a 4 z", false),
    ];
    let keys = STATES
        .iter()
        .flat_map(|key| [(*key, false), (*key, true)])
        .filter(|(key, expired)| !(key.is_empty() && *expired));
    keys.flat_map(|key| {
        let others = &others[..if !two {
            1
        } else if key.1 {
            3
        } else {
            6
        }];
        others.iter().map(move |other| (key, *other)).collect::<Vec<_>>()
    })
    .collect()
}

#[test]
fn every_command_does_to_a_key_in_any_state_what_redis_does() {
    let Some(mut sides) = Sides::start() else { return };
    let only = std::env::var("LINE").ok();
    let mut wrong = Vec::new();
    for line in LINES.iter().filter(|line| only.as_ref().is_none_or(|only| line.contains(only.as_str()))) {
        let mut told = 0;
        for (key, other) in states(line.split(' ').any(|word| word == "d")) {
            for line in ["UNWATCH", "FLUSHALL"] {
                sides.run(line);
            }
            sides.make("k", key.0, key.1);
            sides.make("d", other.0, other.1);
            let before = sides.counters();
            let [ours, theirs] = sides.run(line);
            let after = sides.counters();
            let moved = |i: usize| std::array::from_fn(|n| after[i][n] - before[i][n]);
            let ours: Seen = (ours.0, ours.1, moved(0));
            let theirs: Seen = (theirs.0, theirs.1, moved(1));
            if ours != theirs && told < 2 {
                told += 1;
                wrong.push(format!("{line} where k is {key:?}, d {other:?}\n  ours   {ours:?}\n  theirs {theirs:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "replies, events, and expired, hits and misses differ:\n{}", wrong.join("\n"));
}
