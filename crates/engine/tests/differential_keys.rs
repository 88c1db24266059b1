//! The same requests to the engine and to a real `redis-server` 7.0, in random order: sorted sets and keys.
//! Where no such server is installed there is nothing to compare with, and the test says so.

mod support;

use base::rng::Rng;
use resp::{Value, encode_command, parse_value};
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use support::{Server, show, sorted, words};

struct Redis {
    process: Child,
    stream: UnixStream,
    folder: std::path::PathBuf,
}

impl Redis {
    fn start() -> Option<Redis> {
        let folder = std::env::temp_dir().join(format!("rekindle-differential-keys-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let socket = folder.join("redis.sock");
        let process = Command::new("redis-server")
            .args(["--port", "0", "--save", "", "--appendonly", "no", "--dir"])
            .arg(&folder)
            .arg("--unixsocket")
            .arg(&socket)
            .stdout(Stdio::null())
            .spawn()
            .ok()?;
        for _ in 0..200 {
            if let Ok(stream) = UnixStream::connect(&socket) {
                return Some(Redis { process, stream, folder });
            }
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        panic!("the real server does not answer");
    }

    fn run(&mut self, line: &str) -> Value {
        let mut request = Vec::new();
        let words = words(line);
        encode_command(&mut request, words.iter().map(Vec::as_slice));
        self.stream.write_all(&request).unwrap();
        let (mut reply, mut part) = (Vec::new(), [0; 65536]);
        loop {
            let n = self.stream.read(&mut part).unwrap();
            assert!(n > 0, "the real server hung up at {line}");
            reply.extend_from_slice(&part[..n]);
            if let Some((value, _)) = parse_value(&reply).unwrap() {
                return value;
            }
        }
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// Requests with holes: `k` a key, `m` a member, `n` a score, `i` an index, `s` a bound of scores, `l` a bound of members.
const SHAPES: &[&str] = &[
    "ZADD @k @n @m", "ZADD @k @n @m @n @m @n @m", "ZADD @k NX @n @m", "ZADD @k XX CH @n @m", "ZADD @k GT CH @n @m @n @m",
    "ZADD @k LT @n @m", "ZADD @k INCR @n @m", "ZADD @k XX INCR @n @m", "ZADD @k @n", "ZADD @k NX GT @n @m", "ZADD @k NX XX @n @m",
    "ZADD @k INCR @n @m @n @m", "ZADD @k foo @m", "ZINCRBY @k @n @m", "ZREM @k @m @m", "ZCARD @k", "ZSCORE @k @m", "ZMSCORE @k @m @m",
    "ZRANK @k @m", "ZREVRANK @k @m", "ZRANGE @k @i @i", "ZRANGE @k @i @i WITHSCORES", "ZRANGE @k @i @i REV", "ZREVRANGE @k @i @i WITHSCORES",
    "ZRANGE @k @s @s BYSCORE LIMIT @i @i", "ZRANGE @k @s @s BYSCORE REV WITHSCORES", "ZRANGEBYSCORE @k @s @s", "ZREVRANGEBYSCORE @k @s @s LIMIT @i @i",
    "ZRANGE @k @l @l BYLEX", "ZRANGEBYLEX @q @l @l LIMIT @i @i", "ZREVRANGEBYLEX @q @l @l", "ZLEXCOUNT @q @l @l", "ZCOUNT @k @s @s",
    "ZADD @q 0 @m 0 @m", "ZREMRANGEBYLEX @q @l @l", "ZREMRANGEBYRANK @k @i @i", "ZREMRANGEBYSCORE @k @s @s", "ZRANGE @k @i @i LIMIT 0 1",
    "ZRANGE @k @i @i BYLEX WITHSCORES", "ZRANGESTORE @k @k @i @i", "ZRANGESTORE @k @k @s @s BYSCORE REV LIMIT @i @i", "ZRANGESTORE @k @k @i @i WITHSCORES",
    "ZPOPMIN @k", "ZPOPMAX @k 2", "ZPOPMIN @k @i", "ZMPOP 2 @k @k MIN", "ZMPOP 1 @k MAX COUNT 3", "ZMPOP 2 @k MAX", "ZMPOP @i @k MAX",
    "BZPOPMIN @k @k foo", "ZUNION 2 @k @k WITHSCORES", "ZINTER 2 @k @k WITHSCORES", "ZDIFF 2 @k @k WITHSCORES", "ZINTER 2 @k @k WEIGHTS @n @n AGGREGATE MIN",
    "ZUNION 3 @k @k @k WEIGHTS 1 2 3 AGGREGATE MAX WITHSCORES", "ZUNIONSTORE @k 2 @k @k", "ZINTERSTORE @k 2 @k @k AGGREGATE MAX", "ZDIFFSTORE @k 2 @k @k",
    "ZINTERCARD 2 @k @k", "ZINTERCARD 2 @k @k LIMIT @i", "ZUNION @i @k", "ZINTER 1 @k WEIGHTS", "ZUNION 1 @k AGGREGATE foo", "ZRANDMEMBER @k 0",
    "ZRANDMEMBER @k foo", "ZSCAN @k 0 COUNT 1000", "ZSCAN @k foo", "OBJECT ENCODING @k", "DEL @k", "UNLINK @k @k", "EXISTS @k @k", "TYPE @k", "TOUCH @k @k",
    "RENAME @k @k", "RENAMENX @k @k", "COPY @k @k", "COPY @k @k REPLACE", "COPY @k @k DB 1", "COPY @k @k DB 99", "MOVE @k 1", "MOVE @k 0", "MOVE @k @i",
    "DBSIZE", "SWAPDB 0 1", "SWAPDB 0 @i", "SWAPDB foo 1", "EXPIRE @k 1000", "EXPIRE @k 2000 GT", "EXPIRE @k 500 LT", "EXPIRE @k 1000 NX", "EXPIRE @k 1500 XX",
    "EXPIRE @k 1 NX XX", "EXPIRE @k 1 GT LT", "EXPIRE @k 1 foo", "EXPIRE @k @n", "PEXPIREAT @k 33177117420000", "EXPIREAT @k 33177117420", "EXPIRETIME @z", "PERSIST @k",
    "EXPIREAT @k 1", "EXPIRE @k 9223372036854775807", "PEXPIRE @k 9223372036854775807", "SET @k @n", "SET @k @m", "GET @k", "SORT @k", "SORT @k DESC ALPHA",
    "SORT @k BY nosort LIMIT @i @i", "SORT @k BY w* GET # GET w*", "SORT @k ALPHA STORE @k", "SORT @k BY nosort DESC", "SORT @k LIMIT @i @i ALPHA", "SORT_RO @k ALPHA",
    "SORT_RO @k STORE x", "SET w@m @n", "SCAN 0 COUNT 1000", "SCAN 0 COUNT 1000 MATCH k*", "SCAN 0 TYPE zset COUNT 1000", "SCAN 0 foo", "KEYS *", "KEYS k[0-2]",
    "OBJECT REFCOUNT none", "OBJECT FREQ @k", "OBJECT foo", "RESTORE @k 0 foo", "RESTORE @k -1 foo REPLACE", "RESTORE @k 0 foo REPLACE FREQ 256", "DUMP none", "FLUSHDB foo",
    "FLUSHDB", "RENAME none @k",
];

fn fill(shape: &str, rng: &mut Rng) -> String {
    let mut line = String::new();
    let mut chars = shape.chars();
    while let Some(c) = chars.next() {
        if c != '@' {
            line.push(c);
            continue;
        }
        let pick = |rng: &mut Rng, of: &[&str]| of[rng.below(of.len() as u64) as usize].to_owned();
        line += &match chars.next().unwrap() {
            'k' => pick(rng, &["k0", "k1", "k2", "k3", "k4"]),
            'q' => pick(rng, &["lex0", "lex1"]),
            'z' => pick(rng, &["none", "nothing"]),
            'm' => pick(rng, &["a", "b", "c", "dd", "12", "-7", "3.5", "a\u{e9}", "longer-member-of-more-than-sixty-four-bytes-which-is-too-much-for-a-listpack"]),
            'n' => pick(rng, &["0", "1", "-1", "2.5", "1e3", "1e20", "-inf", "+inf", "0.1", "3", "17", "nan", "1e-7", "x"]),
            'i' => pick(rng, &["0", "1", "-1", "2", "-3", "5", "-100", "100", "x"]),
            's' => pick(rng, &["-inf", "+inf", "1", "(1", "2.5", "(3", "1e3", "x", "(-1"]),
            'l' => pick(rng, &["-", "+", "[a", "(a", "[c", "(dd", "a"]),
            other => panic!("no such hole: {other}"),
        };
    }
    line
}

#[test]
fn random_requests_are_answered_alike() {
    let Some(mut redis) = Redis::start() else {
        eprintln!("redis-server is not installed: nothing to compare with");
        return;
    };
    let mut server = Server::new();
    for seed in 0..40 {
        let mut rng = Rng::new(seed);
        let mut history = Vec::new();
        for line in ["FLUSHALL", "ZADD k0 1 a 2 b 3 c", "ZADD k1 2 b 3.5 dd 1 12"] {
            redis.run(line);
            server.run(line);
        }
        for _ in 0..400 {
            let line = fill(SHAPES[rng.below(SHAPES.len() as u64) as usize], &mut rng);
            let (theirs, ours) = (redis.run(&line), server.run(&line));
            // The order of keys is nobody's business; that of SCAN's keys is one level down.
            let plain = |value: Value| match (line.split(' ').next().unwrap(), value) {
                ("KEYS", value) => show(&sorted(value)),
                ("SCAN", Value::Array(mut parts)) if parts.len() == 2 => show(&sorted(parts.remove(1))),
                ("ZSCAN", Value::Array(mut parts)) if parts.len() == 2 => show(&sorted(parts.remove(1))),
                (_, value) => show(&value),
            };
            history.push(line.clone());
            let recent = history[history.len().saturating_sub(12)..].join("\n");
            assert_eq!(plain(ours), plain(theirs), "seed {seed}, ours and theirs at the end of:\n{recent}");
        }
    }
}
