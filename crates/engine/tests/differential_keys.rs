//! The same requests to the engine and to a real `redis-server` 7.0, in random order: sorted sets and keys.
//! Where no such server is installed there is nothing to compare with: see [`support::peer`].

mod support;

use base::rng::Rng;
use resp::{Value, parse_value};
use support::peer::Peer;
use support::{Server, show, sorted, words};

/// Requests with holes: `k` a key, `m` a member, `n` a score, `i` an index, `s` a bound of scores, `l` a bound of members.
const SHAPES: &[&str] = &[
    "ZADD @k @n @m",
    "ZADD @k @n @m @n @m @n @m",
    "ZADD @k NX @n @m",
    "ZADD @k XX CH @n @m",
    "ZADD @k GT CH @n @m @n @m",
    "ZADD @k LT @n @m",
    "ZADD @k INCR @n @m",
    "ZADD @k XX INCR @n @m",
    "ZADD @k @n",
    "ZADD @k NX GT @n @m",
    "ZADD @k NX XX @n @m",
    "ZADD @k INCR @n @m @n @m",
    "ZADD @k foo @m",
    "ZINCRBY @k @n @m",
    "ZREM @k @m @m",
    "ZCARD @k",
    "ZSCORE @k @m",
    "ZMSCORE @k @m @m",
    "ZRANK @k @m",
    "ZREVRANK @k @m",
    "ZRANGE @k @i @i",
    "ZRANGE @k @i @i WITHSCORES",
    "ZRANGE @k @i @i REV",
    "ZREVRANGE @k @i @i WITHSCORES",
    "ZRANGE @k @s @s BYSCORE LIMIT @i @i",
    "ZRANGE @k @s @s BYSCORE REV WITHSCORES",
    "ZRANGEBYSCORE @k @s @s",
    "ZREVRANGEBYSCORE @k @s @s LIMIT @i @i",
    "ZRANGE @q @l @l BYLEX",
    "ZRANGEBYLEX @q @l @l LIMIT @i @i",
    "ZREVRANGEBYLEX @q @l @l",
    "ZLEXCOUNT @q @l @l",
    "ZCOUNT @k @s @s",
    "ZADD @q 0 @m 0 @m",
    "ZREMRANGEBYLEX @q @l @l",
    "ZREMRANGEBYRANK @k @i @i",
    "ZREMRANGEBYSCORE @k @s @s",
    "ZRANGE @k @i @i LIMIT 0 1",
    "ZRANGE @k @i @i BYLEX WITHSCORES",
    "ZRANGESTORE @k @k @i @i",
    "ZRANGESTORE @k @k @s @s BYSCORE REV LIMIT @i @i",
    "ZRANGESTORE @k @k @i @i WITHSCORES",
    "ZPOPMIN @k",
    "ZPOPMAX @k 2",
    "ZPOPMIN @k @i",
    "ZMPOP 2 @k @k MIN",
    "ZMPOP 1 @k MAX COUNT 3",
    "ZMPOP 2 @k MAX",
    "ZMPOP @i @k MAX",
    "BZPOPMIN @k @k foo",
    "ZUNION 2 @k @k WITHSCORES",
    "ZINTER 2 @k @k WITHSCORES",
    "ZDIFF 2 @k @k WITHSCORES",
    "ZINTER 2 @k @k WEIGHTS @n @n AGGREGATE MIN",
    "ZUNION 3 @k @k @k WEIGHTS 1 2 3 AGGREGATE MAX WITHSCORES",
    "ZUNIONSTORE @k 2 @k @k",
    "ZINTERSTORE @k 2 @k @k AGGREGATE MAX",
    "ZDIFFSTORE @k 2 @k @k",
    "ZINTERCARD 2 @k @k",
    "ZINTERCARD 2 @k @k LIMIT @i",
    "ZUNION @i @k",
    "ZINTER 1 @k WEIGHTS",
    "ZUNION 1 @k AGGREGATE foo",
    "ZRANDMEMBER @k 0",
    "ZRANDMEMBER @k foo",
    "ZSCAN @k 0 COUNT 1000",
    "ZSCAN @k foo",
    "OBJECT ENCODING @k",
    "DEL @k",
    "UNLINK @k @k",
    "EXISTS @k @k",
    "TYPE @k",
    "TOUCH @k @k",
    "RENAME @k @k",
    "RENAMENX @k @k",
    "COPY @k @k",
    "COPY @k @k REPLACE",
    "COPY @k @k DB 1",
    "COPY @k @k DB 99",
    "MOVE @k 1",
    "MOVE @k 0",
    "MOVE @k @i",
    "DBSIZE",
    "SWAPDB 0 1",
    "SWAPDB 0 @i",
    "SWAPDB foo 1",
    "EXPIRE @k 1000",
    "EXPIREAT @k 33177117430 GT",
    "EXPIREAT @k 33177117410 LT",
    "EXPIRE @k 1000 NX",
    "EXPIRE @k 1500 XX",
    "EXPIRE @k 1 NX XX",
    "EXPIRE @k 1 GT LT",
    "EXPIRE @k 1 foo",
    "EXPIRE @k @n",
    "PEXPIREAT @k 33177117420000",
    "EXPIREAT @k 33177117420",
    "EXPIRETIME @z",
    "PERSIST @k",
    "EXPIREAT @k 1",
    "EXPIRE @k 9223372036854775807",
    "PEXPIRE @k 9223372036854775807",
    "SET @k @n",
    "SET @k @m",
    "GET @k",
    "SORT @k",
    "SORT @k DESC ALPHA",
    "SORT @k BY nosort LIMIT @i @i",
    "SORT @k BY w* GET # GET w*",
    "SORT @k ALPHA STORE @k",
    "SORT @k BY nosort DESC",
    "SORT @k LIMIT @i @i ALPHA",
    "SORT_RO @k ALPHA",
    "SORT_RO @k STORE x",
    "SET w@m @n",
    "SCAN 0 COUNT 1000",
    "SCAN 0 COUNT 1000 MATCH k*",
    "SCAN 0 TYPE zset COUNT 1000",
    "SCAN 0 foo",
    "KEYS *",
    "KEYS k[0-2]",
    "OBJECT REFCOUNT none",
    "OBJECT FREQ @k",
    "OBJECT foo",
    "RESTORE @k 0 foo",
    "RESTORE @k -1 foo REPLACE",
    "RESTORE @k 0 foo REPLACE FREQ 256",
    "DUMP none",
    "FLUSHDB foo",
    "FLUSHDB",
    "RENAME none @k",
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
            'm' => pick(
                rng,
                &[
                    "a",
                    "b",
                    "c",
                    "dd",
                    "12",
                    "-7",
                    "3.5",
                    "a\u{e9}",
                    "longer-member-of-more-than-sixty-four-bytes-which-is-too-much-for-a-listpack",
                ],
            ),
            // All short in binary too: 7.0 prints other doubles with seventeen digits, 7.2 as short as can be.
            'n' => pick(
                rng,
                &["0", "1", "-1", "2.5", "1e3", "1e20", "-inf", "+inf", "0.125", "3", "17", "nan", "0x10", "x"],
            ),
            'i' => pick(rng, &["0", "1", "-1", "2", "-3", "5", "-100", "100", "x"]),
            's' => pick(rng, &["-inf", "+inf", "1", "(1", "2.5", "(3", "1e3", "x", "(-1"]),
            'l' => pick(rng, &["-", "+", "[a", "(a", "[c", "(dd", "a"]),
            other => panic!("no such hole: {other}"),
        };
    }
    line
}

/// Reply bytes as text, with what has no order put in order.
fn plain(line: &str, reply: &[u8]) -> String {
    let value = parse_value(reply).unwrap().expect("a whole reply").0;
    match (line.split(' ').next().unwrap(), value) {
        ("KEYS", value) => show(&sorted(value)),
        ("SCAN" | "ZSCAN", Value::Array(mut parts)) if parts.len() == 2 => show(&sorted(parts.remove(1))),
        _ => String::from_utf8_lossy(reply).into_owned(),
    }
}

/// Runs random requests of some seeds on both sides; their replies have to be the same bytes.
fn compare(seeds: std::ops::Range<u64>, v3: bool) {
    let Some(mut redis) = Peer::start(if v3 { "v3" } else { "v2" }) else { return };
    let mut server = Server::new();
    if v3 {
        redis.run(&words("HELLO 3"));
        server.speak_v3(server.first);
    }
    for seed in seeds {
        let mut rng = Rng::new(seed);
        // SORT unpacks the sorted set that it reads in Redis, so encodings are compared where there is no SORT.
        let left_out = if seed % 2 == 0 { "SORT" } else { "OBJECT ENCODING" };
        let shapes: Vec<_> = SHAPES.iter().filter(|shape| !shape.starts_with(left_out)).collect();
        let mut history = Vec::new();
        for line in ["FLUSHALL", "ZADD k0 1 a 2 b 3 c", "ZADD k1 2 b 3.5 dd 1 12"] {
            redis.run(&words(line));
            server.run(line);
        }
        for _ in 0..400 {
            let line = fill(shapes[rng.below(shapes.len() as u64) as usize], &mut rng);
            let theirs = redis.run(&words(&line));
            server.send(server.first, &words(&line));
            let ours = server.take_output(server.first);
            history.push(line.clone());
            let recent = history[history.len().saturating_sub(12)..].join("\n");
            assert_eq!(
                plain(&line, &ours),
                plain(&line, &theirs),
                "seed {seed}, ours and theirs at the end of:\n{recent}"
            );
        }
    }
}

#[test]
fn random_requests_are_answered_alike_in_resp2() {
    compare(0..40, false);
}

#[test]
fn random_requests_are_answered_alike_in_resp3() {
    compare(1000..1040, true);
}

#[test]
fn dumps_of_either_side_are_restored_by_the_other() {
    let Some(mut redis) = Peer::start("dump") else { return };
    let mut server = Server::new();
    let all = |command: &str, items: &dyn Fn(usize) -> String, n: usize| {
        (0..n).fold(command.to_owned(), |line, i| line + " " + &items(i))
    };
    let long = "x".repeat(300);
    for (line, look) in [
        ("SET k hello".to_owned(), "GET k"),
        ("SET k -12345".to_owned(), "GET k"),
        (format!("SET k {long}"), "GET k"),
        (all("ZADD k", &|i| format!("{i}.5 m{i}"), 5), "ZRANGE k 0 -1 WITHSCORES"),
        (all("ZADD k", &|i| format!("{} m{i}", i % 7), 900), "ZRANGE k 0 -1 WITHSCORES"),
        (all("RPUSH k", &|i| format!("e{i}"), 5), "LRANGE k 0 -1"),
        (all("RPUSH k", &|i| format!("element-{i}-{long}"), 900), "LRANGE k 0 -1"),
        (all("SADD k", &|i| i.to_string(), 20), "SORT k"),
        (all("SADD k", &|i| format!("m{i}"), 900), "SORT k ALPHA"),
        (all("HSET k", &|i| format!("f{i} v{i}"), 5), "HGETALL k"),
        (all("HSET k", &|i| format!("f{i} v{i}"), 900), "HMGET k f0 f899 f1000"),
    ] {
        redis.run(&words("DEL k"));
        redis.run(&words(&line));
        let looked = redis.run(&words(look));
        let payload = |reply: Vec<u8>| {
            let Some((Value::Bulk(payload), _)) = parse_value(&reply).unwrap() else { panic!("a payload is a string") };
            payload.to_vec()
        };
        let restore =
            |payload: Vec<u8>| vec![b"RESTORE".to_vec(), b"k".to_vec(), b"0".to_vec(), payload, b"REPLACE".to_vec()];
        let theirs = payload(redis.run(&words("DUMP k")));
        assert_eq!(show(&server.run_words(server.first, &restore(theirs))), "+OK", "{line:.40}");
        server.send(server.first, &words("DUMP k"));
        let ours = payload(server.take_output(server.first));
        redis.run(&words("DEL k"));
        assert_eq!(redis.run(&restore(ours)), b"+OK\r\n", "{line:.40}");
        assert!(redis.run(&words(look)) == looked, "{line:.40} comes back as another value");
    }
}
