//! The same random requests to the engine and to a real `redis-server`: the same replies, the same encodings.
//!
//! Needs `redis-server` (7.0 or later); without it the tests say so and pass, or fail where `REQUIRE_PEERS=1`.
//! A family joins by a row in [`FAMILIES`]: each command is a template whose words in capitals after `$` are filled in at
//! random, and says how far Redis promises the reply.

mod support;

use base::rng::Rng;
use resp::{Value, parse_value};
use support::peer::Peer;
use support::{Server, show, sorted};

/// What of a reply must be the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Same {
    /// All of it.
    All,
    /// The elements, in any order.
    Elements,
    /// The pairs of a flat array or a map, in any order.
    Pairs,
    /// The shape: which element is chosen is left to chance.
    Shape,
    /// The elements of the second part (`SCAN`), in any order.
    Walk,
}

/// A template and what of its reply must be the same.
type Row = (&'static str, Same);

/// `$K` a key of the family, `$O` a key of any family, `$F` a field or member, `$V` a value, `$N` a small number, `$I` an index, `$R` floats.
const FAMILIES: &[(&str, &[Row])] = &[("list", LISTS), ("hash", HASHES), ("set", SETS)];

const LISTS: &[Row] = &[
    ("LPUSH $K $V", Same::All),
    ("RPUSH $K $V $V $V", Same::All),
    ("LPUSH $K $V $V $F $F $F $F", Same::All),
    ("LPUSHX $K $V $V", Same::All),
    ("RPUSHX $K $V", Same::All),
    ("LPOP $K", Same::All),
    ("RPOP $K", Same::All),
    ("LPOP $K $N", Same::All),
    ("RPOP $K $N", Same::All),
    ("LLEN $O", Same::All),
    ("LINDEX $O $I", Same::All),
    ("LSET $O $I $V", Same::All),
    ("LINSERT $K BEFORE $V $V", Same::All),
    ("LINSERT $K AFTER $F $V", Same::All),
    ("LRANGE $K 0 -1", Same::All),
    ("LRANGE $O $I $I", Same::All),
    ("LTRIM $K $I $I", Same::All),
    ("LREM $K $I $F", Same::All),
    ("LPOS $K $F", Same::All),
    ("LPOS $K $F RANK $I", Same::All),
    ("LPOS $K $F RANK $I COUNT $N MAXLEN $N", Same::All),
    ("LMOVE $O $K LEFT RIGHT", Same::All),
    ("LMOVE $K $K RIGHT LEFT", Same::All),
    ("RPOPLPUSH $K $O", Same::All),
    ("LMPOP 2 $K $K LEFT COUNT $N", Same::All),
    ("LMPOP 1 $O RIGHT", Same::All),
    ("BLPOP $K $K 0.001", Same::All),
    ("BRPOP $O $K 0.001", Same::All),
    ("BLMOVE $K $K LEFT LEFT 0.001", Same::All),
    ("BRPOPLPUSH $K $K 0.001", Same::All),
    ("BLMPOP 0.001 2 $K $K RIGHT COUNT $N", Same::All),
    ("LMPOP $N $K LEFT", Same::All),
    ("LPOS $K $F COUNT $I", Same::All),
];

const HASHES: &[Row] = &[
    ("HSET $K $F $V", Same::All),
    ("HSET $K $F $V $F $V $F $V", Same::All),
    ("HSET $K $F $V $F", Same::All),
    ("HSET $K $F $R", Same::All),
    ("HMSET $O $F $V $F $V", Same::All),
    ("HSETNX $K $F $V", Same::All),
    ("HGET $O $F", Same::All),
    ("HMGET $K $F $F $F", Same::All),
    ("HGETALL $K", Same::Pairs),
    ("HKEYS $K", Same::Elements),
    ("HVALS $O", Same::Elements),
    ("HLEN $K", Same::All),
    ("HEXISTS $K $F", Same::All),
    ("HDEL $K $F", Same::All),
    ("HDEL $K $F $F $F", Same::All),
    ("HSTRLEN $K $F", Same::All),
    ("HINCRBY $K $F $I", Same::All),
    ("HINCRBY $K $F 9223372036854775807", Same::All),
    ("HINCRBYFLOAT $K $F $R", Same::All),
    ("HRANDFIELD $O", Same::Shape),
    ("HRANDFIELD $K $I", Same::Shape),
    ("HRANDFIELD $K 1000", Same::Elements),
    ("HRANDFIELD $K 1000 WITHVALUES", Same::Pairs),
    ("HRANDFIELD $K $I WITHVALUES", Same::Shape),
    ("HRANDFIELD $K $I WRONG", Same::All),
    ("HSCAN $K 0 COUNT 100000", Same::Walk),
    ("HSCAN $K 0 COUNT 100000 MATCH f*1", Same::Walk),
    ("HSCAN $O $I COUNT $I TYPE x", Same::All),
];

const SETS: &[Row] = &[
    ("SADD $K $F", Same::All),
    ("SADD $K $F $F $F $V", Same::All),
    ("SADD $K $I $I $I $I", Same::All),
    ("SREM $K $F", Same::All),
    ("SREM $O $F $F $I $I", Same::All),
    ("SISMEMBER $K $F", Same::All),
    ("SMISMEMBER $O $F $I $F", Same::All),
    ("SMEMBERS $K", Same::Elements),
    ("SCARD $O", Same::All),
    ("SPOP $K 1000", Same::Elements),
    ("SPOP $K -1", Same::All),
    ("SRANDMEMBER $K", Same::Shape),
    ("SRANDMEMBER $O $I", Same::Shape),
    ("SRANDMEMBER $K 1000", Same::Elements),
    ("SMOVE $O $K $F", Same::All),
    ("SMOVE $K $O $I", Same::All),
    ("SINTER $K $K", Same::Elements),
    ("SINTER $K $O $K", Same::Elements),
    ("SINTERCARD 2 $K $K", Same::All),
    ("SINTERCARD 2 $K $O LIMIT $I", Same::All),
    ("SINTERCARD $N $K", Same::All),
    ("SINTERSTORE $O $K $K", Same::All),
    ("SUNION $K $O", Same::Elements),
    ("SUNION $K $K $K $K $K $K", Same::Elements),
    ("SUNIONSTORE $K $K $K", Same::All),
    ("SDIFF $K $K", Same::Elements),
    ("SDIFF $K $O $K $K", Same::Elements),
    ("SDIFFSTORE $K $K $K", Same::All),
    ("SSCAN $K 0 COUNT 100000", Same::Walk),
    ("SSCAN $K 0 COUNT 100000 MATCH *1*", Same::Walk),
];

/// The reply of the real server.
fn ask<W: AsRef<[u8]>>(peer: &mut Peer, words: &[W]) -> Value {
    let (value, _) = parse_value(&peer.run(words)).expect("it is well-formed").expect("it is whole");
    value
}

/// Fills in a template.
fn fill(template: &str, family: &str, fields: u64, rng: &mut Rng) -> Vec<Vec<u8>> {
    let mut word = |word: &str| -> Vec<u8> {
        let text = match word {
            "$K" => format!("{family}:{}", rng.below(4)),
            "$O" if rng.below(4) == 0 => format!("{}:{}", FAMILIES[rng.below(3) as usize].0, rng.below(4)),
            "$O" => format!("{family}:{}", rng.below(4)),
            "$F" => format!("f{}", rng.below(fields)),
            "$V" => match rng.below(40) {
                0 => "x".repeat(100),
                1 => String::new(),
                2 => "y".repeat(9000),
                n if n < 20 => format!("f{}", rng.below(fields)),
                _ => (rng.below(2000) as i64 - 1000).to_string(),
            },
            "$N" => rng.below(5).to_string(),
            "$I" => (rng.below(21) as i64 - 10).to_string(),
            "$R" => format!("{}.{}", rng.below(20) as i64 - 10, rng.below(1000)),
            _ => word.to_owned(),
        };
        text.into_bytes()
    };
    template.split(' ').map(&mut word).collect()
}

/// What of a reply is compared, as text.
fn essence(value: Value, same: Same) -> String {
    let is_error = matches!(value, Value::Error(_));
    match same {
        _ if is_error => show(&value),
        Same::All => show(&value),
        Same::Elements => show(&sorted(value)),
        Same::Pairs => match value {
            Value::Map(_) => show(&sorted(value)),
            Value::Array(flat) if flat.first().is_some_and(|first| !matches!(first, Value::Array(_))) => {
                let pairs = flat.chunks(2).map(|pair| Value::Array(pair.to_vec())).collect();
                show(&sorted(Value::Array(pairs)))
            }
            other => show(&sorted(other)),
        },
        Same::Walk => match value {
            Value::Array(mut parts) => {
                let elements = parts.remove(1);
                show(&parts[0]) + &show(&sorted(elements))
            }
            other => show(&other),
        },
        Same::Shape => match value {
            Value::Array(values) => values.iter().map(|v| essence(v.clone(), Same::Shape)).collect(),
            Value::Bulk(_) => "string ".into(),
            other => show(&other),
        },
    }
}

/// Our encoding in the words of a server of before 7.2, which has no listpacks for lists and sets.
fn known_to_peer(encoding: &str, kind: &str, old: bool) -> &'static str {
    match (encoding, kind) {
        ("listpack", "list") if old => "quicklist",
        ("listpack", "set") if old => "hashtable",
        ("listpack", _) => "listpack",
        ("quicklist", _) => "quicklist",
        ("intset", _) => "intset",
        _ => "hashtable",
    }
}

fn compare(family: &'static str, rows: &[Row], v3: bool, seed: u64, fields: u64, steps: usize) {
    let name = format!("{family}-{v3}-{seed}");
    let Some(mut peer) = Peer::start(&name) else { return };
    let mut ours = Server::new();
    if v3 {
        ask(&mut peer, &["HELLO", "3"]);
        ours.speak_v3(ours.first);
    }
    let info = show(&ask(&mut peer, &["INFO", "server"]));
    let old = info.contains("redis_version:7.0");
    let mut rng = Rng::new(seed);
    for step in 0..steps {
        // Now and then something of another type, and a clean table.
        let (template, same) = match rng.below(200) {
            0 => ("SET $K v", Same::All),
            1 => ("GETDEL $O", Same::All),
            _ => rows[rng.below(rows.len() as u64) as usize],
        };
        let words = fill(template, family, fields, &mut rng);
        let line = String::from_utf8_lossy(&words.join(&b' ')).into_owned();
        ours.send(ours.first, &words);
        let mut replies = ours.take_replies(ours.first);
        if replies.is_empty() {
            ours.pass(10);
            replies = ours.take_replies(ours.first);
            // A real server takes a tenth of a second to notice that a wait is over; a few are enough.
            if rng.below(30) > 0 {
                continue;
            }
        }
        let theirs = ask(&mut peer, &words);
        assert_eq!(replies.len(), 1, "{line} (step {step})");
        let replied = replies.remove(0);
        assert_eq!(essence(replied, same), essence(theirs, same), "{line} (step {step}, seed {seed})");
        let key = format!("{family}:{}", rng.below(4));
        let Some(encoding) = ours.encoding(&key) else { continue };
        let theirs = ask(&mut peer, &["OBJECT", "ENCODING", &key]);
        let known = known_to_peer(encoding, family, old);
        assert_eq!(show(&theirs), format!("\"{known}\""), "encoding of {key} after {line} (step {step}, seed {seed})");
    }
}

#[test]
fn replies_are_those_of_a_real_server() {
    for (family, rows) in FAMILIES {
        for (v3, seed, fields) in [(false, 1, 8), (true, 2, 8), (false, 3, 300), (true, 4, 300)] {
            compare(family, rows, v3, seed, fields, 3000);
        }
    }
}
