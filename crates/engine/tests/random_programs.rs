//! Random programs over all families beside a real Redis: transactions, keys past their time, hostile words, in RESP2
//! and RESP3. Every reply is the same, but for what Redis leaves to chance or prints with more digits.
//!
//! A share runs with the tests. More of it: `PROGRAMS=200 cargo test -p engine --test random_programs` (a program is
//! 1,000 commands; `SEED=n` begins elsewhere, `COLLECT=1` shows one difference of each command and goes on).

mod support;

use base::rng::Rng;
use resp::{Value, parse_value};
use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime};
use support::peer::Peer;
use support::{Server, show, sorted, values};

/// Commands of a program.
const PROGRAM: usize = 1000;

/// What of a reply must be the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Same {
    /// All of it.
    All,
    /// The elements, in any order.
    Elements,
    /// The pairs of a flat array, of an array of pairs or of a map, in any order.
    Pairs,
    /// The elements of the second part (`SCAN`), in any order.
    Walk,
    /// The shape: which element is chosen is left to chance.
    Shape,
    /// A number, to within two seconds in milliseconds: time passes between the two.
    About,
}
use Same::{About, All, Elements, Pairs, Shape, Walk};

/// Words that are filled in: `$s $l $h $e $z` a key that mostly holds a string, list, hash, set, sorted set; `$k` any key, `$y` a sorted set of one score;
/// `$m` a member, field or element; `$i` an index; `$n` a small count; `$f` a float; `$b` a bound of scores; `$x` a bound of
/// members; `$t` a time far away; `$p` a pattern. Any may be replaced by a hostile word.
const SHAPES: &[(&str, Same)] = &[
    // strings
    ("SET $s $m", All),
    ("SET $s $i", All),
    ("SET $k $m NX", All),
    ("SET $k $m XX GET", All),
    ("SET $s $m EX 100000", All),
    ("SET $s $m PXAT 33177117420000", All),
    ("SET $s $m KEEPTTL GET", All),
    ("SET $s $m $m $m", All),
    ("SETNX $s $m", All),
    ("SETEX $s 100000 $m", All),
    ("PSETEX $s 100000000 $m", All),
    ("GET $s", All),
    ("GET $k", All),
    ("GETSET $s $m", All),
    ("GETDEL $s", All),
    ("GETEX $s PERSIST", All),
    ("GETEX $s EXAT $t", All),
    ("GETEX $s $m $i", All),
    ("MGET $s $k $s", All),
    ("MSET $s $m $s $i", All),
    ("MSETNX $s $m $s $m", All),
    ("MSET $s $m $s", All),
    ("APPEND $s $m", All),
    ("STRLEN $s", All),
    ("SETRANGE $s $n $m", All),
    ("SETRANGE $s $i $m", All),
    ("GETRANGE $s $i $i", All),
    ("SUBSTR $s $i $i", All),
    ("INCR $s", All),
    ("DECR $s", All),
    ("INCRBY $s $i", All),
    ("DECRBY $s $i", All),
    ("INCRBYFLOAT $s $f", All),
    ("LCS $s $s", All),
    ("LCS $s $s LEN", All),
    ("LCS $s $k IDX MINMATCHLEN $n WITHMATCHLEN", All),
    // keys
    ("DEL $k", All),
    ("UNLINK $k $k", All),
    ("EXISTS $k $k", All),
    ("TYPE $k", All),
    ("TOUCH $k $k", All),
    ("PERSIST $k", All),
    ("EXPIRE $k 100000", All),
    ("PEXPIRE $k 100000000 NX", All),
    ("EXPIREAT $k $t GT", All),
    ("EXPIREAT $k $t LT", All),
    ("PEXPIREAT $k 33177117420000 XX", All),
    ("EXPIRE $k $i", All),
    ("EXPIRE $k $i $m", All),
    ("TTL $k", About),
    ("PTTL $k", About),
    ("EXPIRETIME $k", About),
    ("PEXPIRETIME $k", About),
    ("RENAME $k $k", All),
    ("RENAMENX $k $k", All),
    ("COPY $k $k", All),
    ("COPY $k $k REPLACE", All),
    ("COPY $k $k DB $i", All),
    ("MOVE $k 1", All),
    ("MOVE $k $i", All),
    ("DBSIZE", All),
    ("KEYS $p", Elements),
    ("SCAN 0 COUNT 100000", Walk),
    ("SCAN 0 MATCH $p COUNT 100000", Walk),
    ("SCAN 0 TYPE list COUNT 100000", Walk),
    ("SORT $l ALPHA", All),
    ("SORT $e ALPHA DESC LIMIT $i $i", All),
    ("SORT $l", All),
    ("SORT $z BY nosort", Elements),
    ("SORT $l BY $p GET # GET $p", Shape),
    ("SORT $k STORE $l ALPHA", All),
    ("SORT_RO $k $m", All),
    ("OBJECT REFCOUNT none", All),
    ("OBJECT FREQ $k", All),
    ("DUMP none", All),
    ("RESTORE $k $i $m", All),
    ("SWAPDB 0 1", All),
    ("SWAPDB $i $i", All),
    ("SELECT 0", All),
    ("SELECT $i", All),
    ("FLUSHDB", All),
    // lists
    ("LPUSH $l $m $m", All),
    ("RPUSH $l $m $i $f", All),
    ("LPUSHX $l $m", All),
    ("RPUSHX $k $m", All),
    ("LPOP $l", All),
    ("RPOP $l $n", All),
    ("LPOP $l $i", All),
    ("LLEN $l", All),
    ("LINDEX $l $i", All),
    ("LSET $l $i $m", All),
    ("LRANGE $l $i $i", All),
    ("LRANGE $k 0 -1", All),
    ("LREM $l $i $m", All),
    ("LTRIM $l $i $i", All),
    ("LINSERT $l BEFORE $m $m", All),
    ("LINSERT $l $m $m $m", All),
    ("LPOS $l $m RANK $i", All),
    ("LPOS $l $m COUNT $i MAXLEN $i", All),
    ("LMOVE $l $l LEFT RIGHT", All),
    ("LMOVE $k $l RIGHT LEFT", All),
    ("RPOPLPUSH $l $k", All),
    ("LMPOP 2 $l $l LEFT", All),
    ("LMPOP $i $l RIGHT COUNT $i", All),
    // hashes
    ("HSET $h $m $m", All),
    ("HSET $h $m $i $m $f", All),
    ("HMSET $h $m $m $m", All),
    ("HSETNX $h $m $m", All),
    ("HGET $h $m", All),
    ("HMGET $h $m $m $m", All),
    ("HGETALL $h", Pairs),
    ("HKEYS $h", Elements),
    ("HVALS $h", Elements),
    ("HLEN $h", All),
    ("HEXISTS $h $m", All),
    ("HSTRLEN $h $m", All),
    ("HDEL $h $m $m", All),
    ("HINCRBY $h $m $i", All),
    ("HINCRBYFLOAT $h $m $f", All),
    ("HRANDFIELD $h", Shape),
    ("HRANDFIELD $h $i", Shape),
    ("HRANDFIELD $h 100000", Elements),
    ("HRANDFIELD $h 100000 WITHVALUES", Pairs),
    ("HRANDFIELD $h $i $m", Shape),
    ("HSCAN $h 0 COUNT 100000", Walk),
    ("HSCAN $h $i MATCH $p", Shape),
    // sets
    ("SADD $e $m $m", All),
    ("SADD $e $i $i", All),
    ("SREM $e $m $i", All),
    ("SISMEMBER $e $m", All),
    ("SMISMEMBER $e $m $i", All),
    ("SMEMBERS $e", Elements),
    ("SCARD $e", All),
    ("SPOP $e 100000", Elements),
    ("SPOP $e $m", Elements),
    ("SRANDMEMBER $e", Shape),
    ("SRANDMEMBER $e $i", Shape),
    ("SRANDMEMBER $e 100000", Elements),
    ("SMOVE $e $e $m", All),
    ("SMOVE $k $e $m", All),
    ("SINTER $e $e", Elements),
    ("SINTER $e $k", Elements),
    ("SUNION $e $e $k", Elements),
    ("SDIFF $e $e $e", Elements),
    ("SINTERCARD 2 $e $e", All),
    ("SINTERCARD $i $e $e LIMIT $i", All),
    ("SINTERSTORE $e $e $e", All),
    ("SUNIONSTORE $k $e $e", All),
    ("SDIFFSTORE $e $e $k", All),
    ("SSCAN $e 0 COUNT 100000", Walk),
    ("SSCAN $e 0 MATCH $p COUNT 100000", Walk),
    // sorted sets
    ("ZADD $z $f $m", All),
    ("ZADD $z $i $m $i $m", All),
    ("ZADD $z NX $f $m", All),
    ("ZADD $z XX CH $f $m", All),
    ("ZADD $z GT CH $f $m", All),
    ("ZADD $z LT INCR $f $m", All),
    ("ZADD $z $m $m $m", All),
    ("ZINCRBY $z $f $m", All),
    ("ZREM $z $m $m", All),
    ("ZCARD $z", All),
    ("ZADD $y 0 $m 0 $m", All),
    ("ZRANGEBYLEX $y $x $x LIMIT $i $i", All),
    ("ZREVRANGEBYLEX $y $x $x", All),
    ("ZRANGE $y $x $x BYLEX REV", All),
    ("ZREMRANGEBYLEX $y $x $x", All),
    ("ZSCORE $z $m", All),
    ("ZMSCORE $z $m $m", All),
    ("ZRANK $z $m", All),
    ("ZREVRANK $z $m", All),
    ("ZCOUNT $z $b $b", All),
    ("ZLEXCOUNT $y $x $x", All),
    ("ZRANGE $z $i $i WITHSCORES", All),
    ("ZRANGE $z $b $b BYSCORE LIMIT $i $i", All),
    ("ZRANGE $z $b $b BYSCORE REV WITHSCORES", All),
    ("ZRANGE $z $i $i $m", All),
    ("ZREVRANGE $z $i $i", All),
    ("ZRANGEBYSCORE $z $b $b WITHSCORES", All),
    ("ZREVRANGEBYSCORE $z $b $b LIMIT $i $i", All),
    ("ZRANGESTORE $z $z $i $i", All),
    ("ZRANGESTORE $k $z $b $b BYSCORE", All),
    ("ZREMRANGEBYRANK $z $i $i", All),
    ("ZREMRANGEBYSCORE $z $b $b", All),
    ("ZPOPMIN $z", All),
    ("ZPOPMAX $z $n", All),
    ("ZPOPMIN $z $i", All),
    ("ZMPOP 2 $z $z MIN", All),
    ("ZMPOP $i $z MAX COUNT $i", All),
    ("ZUNION 2 $z $e WITHSCORES", All),
    ("ZINTER 2 $z $k", All),
    ("ZINTER 2 $z $z WEIGHTS $i $f AGGREGATE MAX WITHSCORES", All),
    ("ZDIFF 2 $z $z WITHSCORES", All),
    ("ZINTERCARD 2 $z $z LIMIT $i", All),
    ("ZUNIONSTORE $z 2 $z $e", All),
    ("ZUNIONSTORE $z $i $z $e", All),
    ("ZINTERSTORE $z 2 $z $z", All),
    ("ZDIFFSTORE $k 2 $z $z", All),
    ("ZRANDMEMBER $z", Shape),
    ("ZRANDMEMBER $z 100000 WITHSCORES", Pairs),
    ("ZRANDMEMBER $z $m", Shape),
    ("ZSCAN $z 0 COUNT 100000", Walk),
    // the connection
    ("PING", All),
    ("PING $m", All),
    ("ECHO $m", All),
    ("PUBLISH $m $m", All),
    ("PUBSUB NUMSUB $m", All),
    ("PUBSUB CHANNELS $p", All),
    ("CLIENT SETNAME $m", All),
    ("CLIENT GETNAME", All),
    ("CLIENT $m", All),
    ("CLIENT NO-EVICT $m", All),
    ("OBJECT $m $k", All),
    ("COMMAND GETKEYS SORT $k STORE $k", All),
    ("COMMAND GETKEYS ZUNION 2 z1 z2", All),
    ("COMMAND GETKEYS $m $m", All),
    ("$m $m", All),
    ("WATCH $k", All),
    ("UNWATCH", All),
];

/// Words that programs do not expect.
const HOSTILE: &[&[u8]] = &[
    b"",
    b"\0",
    b"\xff\xfe\x80",
    b"-0",
    b"00",
    b"+1",
    b" 1",
    b"1 ",
    b"1e5",
    b"0x10",
    b"inf",
    b"-inf",
    b"nan",
    b"9223372036854775807",
    b"-9223372036854775808",
    b"9223372036854775808",
    b"18446744073709551616",
    b"2147483648",
    b"-2147483649",
    b"1e400",
    b"1e-400",
    b"-1e400",
    b"99999999999999999999999999999999999999999",
    b"0.1",
    b"1.",
    b".5",
    b"3.0e-2",
    b"a\r\nb",
    b"a\0b",
    b"*",
    b"[",
    b"(",
    b"-",
    b"+",
    b"[a",
    b"(a",
    b"(1",
    b"(inf",
    b"''",
    b"\"",
    b"NX",
    b"XX",
    b"GET",
    b"WITHSCORES",
    b"LIMIT",
    b"COUNT",
    b"MATCH",
    b"STORE",
    b"LEFT",
    b"HELP",
    b"EX",
    b"KEEPTTL",
    b"REPLACE",
    b"MIN",
    b"$-1",
    b"abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz",
];

/// Fills a shape in.
fn fill(shape: &str, same: Same, rng: &mut Rng) -> Vec<Vec<u8>> {
    let pick = |rng: &mut Rng, of: &[&str]| of[rng.below(of.len() as u64) as usize].as_bytes().to_vec();
    let key = |rng: &mut Rng, family: char| {
        let family = if rng.below(12) == 0 { b"slhez"[rng.below(5) as usize] as char } else { family };
        format!("{family}{}", rng.below(4)).into_bytes()
    };
    let mut words: Vec<Vec<u8>> = shape
        .split(' ')
        .map(|word| {
            let Some(hole) = word.strip_prefix('$') else { return word.as_bytes().to_vec() };
            // How often chance picks is bounded by the count alone: two thousand million answers are no test.
            let is_picking = shape.contains("RANDMEMBER") || shape.contains("RANDFIELD");
            if rng.below(30) == 0 && !is_picking {
                return HOSTILE[rng.below(HOSTILE.len() as u64) as usize].to_vec();
            }
            match hole {
                "k" => {
                    let family = b"slhez"[rng.below(5) as usize] as char;
                    key(rng, family)
                }
                "s" | "l" | "h" | "e" | "z" => key(rng, hole.chars().next().expect("it has one")),
                "m" => match rng.below(12) {
                    0 => (rng.below(400) as i64 - 200).to_string().into_bytes(),
                    1 => vec![b'y'; rng.below(200) as usize],
                    _ => format!("m{}", rng.below(12)).into_bytes(),
                },
                // All of its members have one score.
                "y" => format!("lex{}", rng.below(2)).into_bytes(),
                "i" => (rng.below(16) as i64 - 6).to_string().into_bytes(),
                "n" => rng.below(6).to_string().into_bytes(),
                "f" => format!("{}.{}", rng.below(20) as i64 - 10, ["0", "5", "25", "125"][rng.below(4) as usize])
                    .into_bytes(),
                "b" => pick(rng, &["-inf", "+inf", "0", "1", "(1", "2.5", "(3", "-4", "(-1"]),
                "x" => pick(rng, &["-", "+", "[m1", "(m2", "[m5", "(m9"]),
                "t" => pick(rng, &["33177117420", "33177117421", "33177117420000"]),
                "p" => pick(rng, &["*", "s*", "?1", "[sl][0-2]", "m*", "none", "*1*", "\\*", "[^s]*"]),
                other => panic!("no such hole: {other}"),
            }
        })
        .collect();
    // 7.2 lets these have more words, or fewer, than 7.0.
    let is_newer = ["ZRANK", "ZREVRANK", "COMMAND"].iter().any(|name| shape.starts_with(name));
    match rng.below(100) {
        _ if is_newer || shape.contains("RANDMEMBER") || shape.contains("RANDFIELD") => {}
        // What chance picks has another form without its count.
        0 if same != All => {}
        0 => drop(words.pop()),
        1 => words.push(HOSTILE[rng.below(HOSTILE.len() as u64) as usize].to_vec()),
        2 => words[0].make_ascii_lowercase(),
        _ => {}
    }
    if words.is_empty() { vec![b"PING".to_vec()] } else { words }
}

/// Texts of doubles that have the same value, as one.
fn number(text: &[u8]) -> Option<String> {
    let is_fraction =
        text.len() > 15 && text.iter().all(|b| b.is_ascii_digit() || b".-+e".contains(b)) && text.contains(&b'.');
    is_fraction.then(|| base::num::parse_f64(text)).flatten().map(|n| n.to_string())
}

/// A reply with all fractions as their values.
fn normal(value: Value) -> Value {
    let all = |values: Vec<Value>| values.into_iter().map(normal).collect();
    match value {
        Value::Bulk(text) => Value::Bulk(number(&text).map_or(text, String::into_bytes)),
        Value::Array(values) => Value::Array(all(values)),
        Value::Set(values) => Value::Set(all(values)),
        Value::Map(pairs) => Value::Map(pairs.into_iter().map(|(key, value)| (normal(key), normal(value))).collect()),
        other => other,
    }
}

/// What of a reply is compared, as text.
fn essence(value: Value, same: Same) -> String {
    let value = normal(value);
    if matches!(value, Value::Error(_)) {
        return show(&value);
    }
    match same {
        All | About => show(&value),
        Elements => show(&sorted(value)),
        Pairs => match value {
            Value::Array(flat) if flat.first().is_some_and(|first| !matches!(first, Value::Array(_))) => {
                show(&sorted(Value::Array(flat.chunks(2).map(|pair| Value::Array(pair.to_vec())).collect())))
            }
            other => show(&sorted(other)),
        },
        Walk => match value {
            Value::Array(mut parts) if parts.len() == 2 => {
                let elements = sorted(parts.remove(1));
                format!("{} {}", show(&parts[0]), show(&elements))
            }
            other => show(&other),
        },
        Shape => match value {
            Value::Array(_) | Value::Map(_) | Value::Set(_) => "several".into(),
            Value::Bulk(_) => "string".into(),
            other => show(&other),
        },
    }
}

/// Whether these differ because 7.2 takes arguments that 7.0 does not, or because help is in words of our own.
fn is_newer(ours: &Value, theirs: &Value) -> bool {
    if matches!(show(theirs).as_str(), "0" | "nil" | "[]")
        && show(ours).contains("value must between -9223372036854775807 and")
    {
        // The smallest number, which has no counterpart above zero, as LREM's count or LPOS's rank.
        return true;
    }
    const COMMANDS: &[&str] = &["zrank", "zrevrank", "command|getkeys", "command|getkeysandflags"];
    let text = show(theirs);
    // Help is in our own words.
    let is_help =
        matches!(theirs, Value::Array(lines) if lines.first().is_some_and(|line| show(line).contains("<subcommand>")));
    is_help || COMMANDS.iter().any(|name| text == format!("-ERR wrong number of arguments for '{name}' command"))
}

fn agree(ours: &Value, theirs: &Value, same: Same) -> bool {
    // Once it has met a weight that is out of range, Redis 7.0 takes all later ones for unreadable.
    if show(theirs) == "-ERR One or more scores can't be converted into double" {
        return true;
    }
    if let (About, Value::Int(ours), Value::Int(theirs)) = (same, ours, theirs) {
        return ours.abs_diff(*theirs) <= 2000 && (*ours < 0) == (*theirs < 0);
    }
    ours == theirs || is_newer(ours, theirs) || essence(ours.clone(), same) == essence(theirs.clone(), same)
}

/// Both sides and what is queued.
struct Run {
    ours: Server,
    theirs: Peer,
    queued: Option<Vec<Same>>,
    history: Vec<String>,
}

impl Run {
    /// Runs a request on both; what they answered if that differs.
    fn step(&mut self, words: &[Vec<u8>], same: Same) -> Option<(String, String)> {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("it is after 1970");
        self.ours.engine.set_time(now.as_millis() as i64);
        self.ours.send(self.ours.first, words);
        let ours = self.ours.take_output(self.ours.first);
        let theirs = self.theirs.run(words);
        let line = words.iter().map(|w| w.escape_ascii().to_string()).collect::<Vec<_>>().join(" ");
        self.history.push(line);
        let name = words[0].to_ascii_uppercase();
        if ours == theirs && name != b"MULTI" && name != b"EXEC" && name != b"DISCARD" && self.queued.is_none() {
            return None;
        }
        let value = |bytes: &[u8]| parse_value(bytes).expect("replies are well-formed").expect("there is one").0;
        let (ours, theirs) = (values(&ours).first().cloned().unwrap_or(Value::Null), value(&theirs));
        let is_queued = theirs == Value::Simple(b"QUEUED".to_vec());
        let alike = match (&ours, &theirs, &mut self.queued) {
            // What one side did not even queue, the other may have spoilt or not.
            (_, _, Some(_)) if is_newer(&ours, &theirs) => true,
            (Value::Array(a), Value::Array(b), Some(queued)) if name == b"EXEC" => {
                a.len() == b.len() && a.iter().zip(b).zip(queued.iter()).all(|((a, b), same)| agree(a, b, *same))
            }
            _ => agree(&ours, &theirs, same),
        };
        match (&name[..], &mut self.queued) {
            (b"MULTI", queued @ None) if theirs == Value::Simple(b"OK".to_vec()) => *queued = Some(Vec::new()),
            (b"EXEC" | b"DISCARD", queued) if !is_queued && (words.len() == 1 || name == b"EXEC") => *queued = None,
            (_, Some(queued)) if is_queued => queued.push(same),
            _ => {}
        }
        (!alike).then(|| (show(&ours), show(&theirs)))
    }

    /// Lets a key's time pass on both.
    fn expire(&mut self, rng: &mut Rng) {
        let key = format!("{}{}", b"slhez"[rng.below(5) as usize] as char, rng.below(4)).into_bytes();
        self.step(&[b"PEXPIRE".to_vec(), key, b"2".to_vec()], All);
        let start = Instant::now();
        while start.elapsed() < Duration::from_millis(5) {
            self.theirs.run(&["TIME"]);
        }
    }
}

/// Runs programs; the differences, one of each command.
fn run(v3: bool, first_seed: u64, programs: u64) -> BTreeMap<String, String> {
    let mut differences = BTreeMap::new();
    let collect = std::env::var("COLLECT").is_ok();
    let Some(theirs) = Peer::start(&format!("programs-{v3}")) else { return differences };
    let mut run = Run { ours: Server::new(), theirs, queued: None, history: Vec::new() };
    run.theirs.run(&["DEBUG", "SET-ACTIVE-EXPIRE", "0"]);
    if v3 {
        run.theirs.run(&["HELLO", "3"]);
        run.ours.speak_v3(run.ours.first);
    }
    let fixed = |line: &str| line.split(' ').map(|w| w.as_bytes().to_vec()).collect::<Vec<_>>();
    for seed in first_seed..first_seed + programs {
        let mut rng = Rng::new(seed);
        for line in ["DISCARD", "UNWATCH", "FLUSHALL", "SELECT 0"] {
            run.step(&fixed(line), All);
        }
        run.history.clear();
        for _ in 0..PROGRAM {
            let (words, same) = match rng.below(100) {
                0..=1 => (fixed("MULTI"), All),
                2..=4 => (fixed("EXEC"), All),
                5 => (fixed(["DISCARD", "EXEC x", "MULTI x", "SELECT 0"][rng.below(4) as usize]), All),
                6 if run.queued.is_none() && rng.below(4) == 0 => {
                    run.expire(&mut rng);
                    continue;
                }
                _ => {
                    let (shape, same) = SHAPES[rng.below(SHAPES.len() as u64) as usize];
                    (fill(shape, same, &mut rng), same)
                }
            };
            if let Some((ours, theirs)) = run.step(&words, same) {
                let recent = run.history[run.history.len().saturating_sub(8)..].join("\n    ");
                let text = format!("v3 {v3}, seed {seed}:\n    {recent}\n  ours   {ours}\n  theirs {theirs}");
                differences.entry(String::from_utf8_lossy(&words[0]).to_uppercase()).or_insert(text);
                if !collect {
                    return differences;
                }
                break;
            }
        }
    }
    differences
}

#[test]
fn random_programs_are_answered_as_by_redis() {
    let of = |name: &str, otherwise| std::env::var(name).ok().and_then(|n| n.parse().ok()).unwrap_or(otherwise);
    let (first_seed, programs) = (of("SEED", 1), of("PROGRAMS", 20));
    for v3 in [false, true] {
        let differences = run(v3, first_seed, programs);
        let text: Vec<String> = differences.into_values().collect();
        assert!(text.is_empty(), "{}", text.join("\n"));
    }
}
