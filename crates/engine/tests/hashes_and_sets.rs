//! What the commands on hashes and sets answer, propagate and announce, as Redis documents it.

mod support;

use support::{Server, show, sorted};

const WRONG_TYPE: &str = "-WRONGTYPE Operation against a key holding the wrong kind of value";

#[test]
fn fields_are_set_and_read() {
    let mut s = Server::new();
    s.events();
    s.check(&[
        ("HSET h a 1 b 2", "2"),
        ("HSET h a 3 c x", "1"),
        ("HSET h a", "-ERR wrong number of arguments for 'hset' command"),
        ("HMSET h a 1 b", "-ERR wrong number of arguments for 'hmset' command"),
        ("HMSET h d 4", "+OK"),
        ("HSETNX h d 5", "0"),
        ("HSETNX h e 5", "1"),
        ("HGET h d", r#""4""#),
        ("HMGET h a none c", r#"["3", nil, "x"]"#),
        ("HMGET none a b", "[nil, nil]"),
        ("HSTRLEN h c", "1"),
        ("HEXISTS h none", "0"),
        ("HLEN h", "5"),
        ("HINCRBY h a -5", "-2"),
        ("HINCRBY h c 1", "-ERR hash value is not an integer"),
        ("HINCRBY h a -9223372036854775807", "-ERR increment or decrement would overflow"),
        ("HINCRBYFLOAT h a 10.5", r#""8.5""#),
        ("HINCRBYFLOAT h c 1", "-ERR hash value is not a float"),
        ("HINCRBYFLOAT none c inf", "-ERR value is NaN or Infinity"),
        ("HDEL h a b c d none", "4"),
        ("HDEL h e", "1"),
        ("HGETALL h", "[]"),
    ]);
    assert_eq!(
        s.effects(),
        [
            "HSET h a 1 b 2",
            "HSET h a 3 c x",
            "HMSET h d 4",
            "HSETNX h e 5",
            "HINCRBY h a -5",
            "HSET h a 8.5",
            "HDEL h a b c d none",
            "HDEL h e"
        ]
    );
    assert_eq!(
        s.events(),
        ["new h", "hset h", "hset h", "hset h", "hset h", "hincrby h", "hincrbyfloat h", "hdel h", "hdel h", "del h"]
    );
    assert_eq!(s.take_dirty(), 2 + 2 + 1 + 1 + 1 + 1 + 4 + 1);
    assert!(s.engine.store.current().is_empty(), "no failed command leaves an empty hash");
}

#[test]
fn whole_hashes_in_both_protocols() {
    let mut s = Server::new();
    s.check(&[("HSET h a 1", "1"), ("HGETALL h", r#"["a", "1"]"#), ("HRANDFIELD h 5 WITHVALUES", r#"["a", "1"]"#)]);
    s.check(&[
        ("HRANDFIELD h -2 WITHVALUES", r#"["a", "1", "a", "1"]"#),
        ("HRANDFIELD h 0", "[]"),
        ("HRANDFIELD none", "nil"),
    ]);
    s.check(&[
        ("HSCAN h 0", r#"["0", ["a", "1"]]"#),
        ("HSCAN h 0 NOVALUES", r#"["0", ["a"]]"#),
        ("HSCAN none 7", r#"["0", []]"#),
    ]);
    s.check(&[("HSCAN h x", "-ERR invalid cursor"), ("HSCAN h 0 COUNT 0", "-ERR syntax error")]);
    s.speak_v3(s.first);
    s.check(&[
        ("HGETALL h", r#"{"a": "1"}"#),
        ("HKEYS h", r#"["a"]"#),
        ("HVALS h", r#"["1"]"#),
        ("HGETALL none", "{}"),
    ]);
    s.check(&[("HRANDFIELD h 5 WITHVALUES", r#"[["a", "1"]]"#), ("HRANDFIELD h -1", r#"["a"]"#)]);
}

#[test]
fn members_come_and_go() {
    let mut s = Server::new();
    s.events();
    s.check(&[
        ("SADD a 1 2 3", "3"),
        ("SADD a 2 4", "1"),
        ("SADD a 2", "0"),
        ("SISMEMBER a 4", "1"),
        ("SMISMEMBER a 4 5", "[1, 0]"),
        ("SCARD a", "4"),
        ("SREM a 1 7", "1"),
        ("SMOVE a b 2", "1"),
        ("SMOVE a b 9", "0"),
        ("SMOVE a a 3", "1"),
        ("SMOVE none a 3", "0"),
        ("SREM a 3 4", "2"),
        ("SPOP b", r#""2""#),
        ("SPOP b", "nil"),
        ("SPOP b 1", "[]"),
        ("SPOP b 1 1", "-ERR syntax error"),
        ("SRANDMEMBER b", "nil"),
        ("SRANDMEMBER b 3", "[]"),
    ]);
    assert_eq!(s.effects(), ["SADD a 1 2 3", "SADD a 2 4", "SREM a 1 7", "SMOVE a b 2", "SREM a 3 4", "SREM b 2"]);
    assert_eq!(
        s.events(),
        ["new a", "sadd a", "sadd a", "srem a", "srem a", "new b", "sadd b", "srem a", "del a", "spop b", "del b"]
    );
    assert_eq!(s.take_dirty(), 3 + 1 + 1 + 2 + 2 + 1);
}

#[test]
fn popping_many_is_replayed_as_removals() {
    let mut s = Server::new();
    s.check(&[("SADD s a b c", "3"), ("SADD other x", "1")]);
    s.effects();
    let popped = show(&sorted(s.run("SPOP s 2")));
    let effects = s.effects();
    assert_eq!(effects.len(), 1);
    let mut members: Vec<&str> = effects[0].strip_prefix("SREM s ").expect("a removal").split(' ').collect();
    members.sort_unstable();
    assert_eq!(popped, format!("{members:?}"));
    assert_eq!(s.take_dirty(), 3 + 1 + 2);
    s.check(&[("SCARD s", "1"), ("SPOP other 5", r#"["x"]"#)]);
    assert_eq!(s.effects(), ["UNLINK other"]);

    // A large pop is split, and is one atomic step.
    let members: Vec<String> = (0..5000).map(|i| format!("m{i}")).collect();
    for members in members.chunks(1000) {
        s.run(&format!("SADD big {}", members.join(" ")));
    }
    s.effects();
    s.run("SPOP big 4900");
    let effects = s.effects();
    assert_eq!(
        (effects.first().map(String::as_str), effects.last().map(String::as_str)),
        (Some("MULTI"), Some("EXEC"))
    );
    let words: Vec<usize> = effects[1..effects.len() - 1].iter().map(|line| line.split(' ').count() - 2).collect();
    assert_eq!(words, [1024, 1024, 1024, 1024, 804]);
    s.check(&[("SCARD big", "100")]);
    assert_eq!(s.encoding("big"), Some("listpack"));
}

#[test]
fn several_sets_at_once() {
    let mut s = Server::new();
    s.check(&[("SADD a 1 2 3 4", "4"), ("SADD b 3 4 5", "3"), ("SADD c 4 x", "2"), ("SET str v", "+OK")]);
    s.check_unordered(&[
        ("SINTER a b", r#"["3", "4"]"#),
        ("SINTER a b c", r#"["4"]"#),
        ("SINTER a none", "[]"),
        ("SUNION a b c", r#"["1", "2", "3", "4", "5", "x"]"#),
        ("SDIFF a b c", r#"["1", "2"]"#),
        ("SDIFF a none", r#"["1", "2", "3", "4"]"#),
        ("SDIFF a a", "[]"),
        ("SINTERCARD 2 a b", "2"),
        ("SINTERCARD 2 a b LIMIT 1", "1"),
        ("SINTERCARD 3 a b", "-ERR Number of keys can't be greater than number of args"),
        ("SINTERCARD 1 a LIMIT -1", "-ERR LIMIT can't be negative"),
        ("SINTER none str", WRONG_TYPE),
        ("SUNIONSTORE str a str", WRONG_TYPE),
        ("SINTERSTORE str a b", "2"),
        ("SMEMBERS str", r#"["3", "4"]"#),
        ("SDIFFSTORE str a a", "0"),
        ("SDIFFSTORE str a a", "0"),
    ]);
    assert_eq!(s.effects().split_off(4), ["SINTERSTORE str a b", "SDIFFSTORE str a a"]);
    s.speak_v3(s.first);
    s.check_unordered(&[("SINTER a b", r#"~["3", "4"]"#), ("SMEMBERS none", "~[]"), ("SPOP c 9", r#"~["4", "x"]"#)]);
    s.check(&[("SRANDMEMBER a -1000000000000000000000", "-ERR value is not an integer or out of range")]);
}

#[test]
fn encodings_change_where_those_of_redis_do() {
    let mut s = Server::new();
    s.check(&[("SADD s 1 2", "2"), ("HSET h f v", "1")]);
    assert_eq!((s.encoding("s"), s.encoding("h")), (Some("intset"), Some("listpack")));
    s.check(&[("SADD s x", "1")]);
    assert_eq!(s.encoding("s"), Some("listpack"));
    let long = "x".repeat(65);
    s.run(&format!("SADD s {long}"));
    s.run(&format!("HSET h f {long}"));
    assert_eq!((s.encoding("s"), s.encoding("h")), (Some("hashtable"), Some("hashtable")));
}
