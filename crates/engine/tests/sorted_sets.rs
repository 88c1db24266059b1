//! Sorted sets: what commands answer, what they propagate, whom they tell and wake.

mod support;

use proptest::prelude::*;
use std::collections::BTreeMap;
use support::{START_MS, Server, show};

#[test]
fn zadd_and_its_options() {
    Server::new().check(&[
        ("ZADD z 1 a 2 b", "2"),
        ("ZADD z 1 a 3 b 4 c", "1"),
        ("ZADD z CH 1 a 4 b 5 c", "2"),
        ("ZADD z NX 9 a 6 d", "1"),
        ("ZADD z XX CH 9 a 9 new", "1"),
        ("ZADD z GT CH 8 a 10 b", "1"),
        ("ZADD z LT CH 8 a 11 b", "1"),
        ("ZADD z INCR 2 a", "\"10\""),
        ("ZADD z NX INCR 2 a", "nil"),
        ("ZADD z XX INCR 2 none", "nil"),
        ("ZADD z GT INCR -2 a", "nil"),
        ("ZADD none XX 1 a", "0"),
        ("EXISTS none", "0"),
        ("ZRANGE z 0 -1 WITHSCORES", r#"["c", "5", "d", "6", "a", "10", "b", "10"]"#),
        ("ZADD z 1", "-ERR wrong number of arguments for 'zadd' command"),
        ("ZADD z 1 a 2", "-ERR syntax error"),
        ("ZADD z NX XX 1 a", "-ERR XX and NX options at the same time are not compatible"),
        ("ZADD z GT NX 1 a", "-ERR GT, LT, and/or NX options at the same time are not compatible"),
        ("ZADD z INCR 1 a 2 b", "-ERR INCR option supports a single increment-element pair"),
        ("ZADD none x a", "-ERR value is not a valid float"),
        ("ZADD none 1 a nan b", "-ERR value is not a valid float"),
        ("EXISTS none", "0"),
        ("ZADD inf +inf a", "1"),
        ("ZINCRBY inf -inf a", "-ERR resulting score is not a number (NaN)"),
        ("ZINCRBY z 1.5 a", "\"11.5\""),
        ("SET s 1", "+OK"),
        ("ZADD s 1 a", "-WRONGTYPE Operation against a key holding the wrong kind of value"),
    ]);
}

#[test]
fn looking_at_members() {
    Server::new().check(&[
        ("ZADD z 1 a 2 b 3.25 c", "3"),
        ("ZCARD z", "3"),
        ("ZCARD none", "0"),
        ("ZSCORE z c", "\"3.25\""),
        ("ZSCORE z x", "nil"),
        ("ZMSCORE z a x b", r#"["1", nil, "2"]"#),
        ("ZMSCORE none a b", "[nil, nil]"),
        ("ZRANK z a", "0"),
        ("ZREVRANK z a", "2"),
        ("ZRANK z x", "nil"),
        ("ZRANK z b WITHSCORE", r#"[1, "2"]"#),
        ("ZRANK z x WITHSCORE", "nil"),
        ("ZRANK z b WITHSCORES", "-ERR syntax error"),
        ("ZREM z a x", "1"),
        ("ZREM z b c", "2"),
        ("EXISTS z", "0"),
    ]);
}

#[test]
fn ranges() {
    Server::new().check(&[
        ("ZADD z 1 a 2 b 3 c 4 d", "4"),
        ("ZRANGE z 1 2", r#"["b", "c"]"#),
        ("ZRANGE z -2 -1 REV", r#"["b", "a"]"#),
        ("ZREVRANGE z 0 1 WITHSCORES", r#"["d", "4", "c", "3"]"#),
        ("ZRANGE z 5 9", "[]"),
        ("ZRANGE z (1 3 BYSCORE", r#"["b", "c"]"#),
        ("ZRANGE z 3 (1 BYSCORE REV", r#"["c", "b"]"#),
        ("ZRANGEBYSCORE z -inf +inf LIMIT 1 2", r#"["b", "c"]"#),
        ("ZRANGEBYSCORE z -inf +inf LIMIT -1 2", "[]"),
        ("ZRANGEBYSCORE z -inf +inf LIMIT 1 -5", r#"["b", "c", "d"]"#),
        ("ZREVRANGEBYSCORE z +inf 2 WITHSCORES LIMIT 1 1", r#"["c", "3"]"#),
        ("ZRANGEBYSCORE z x 2", "-ERR min or max is not a float"),
        (
            "ZRANGE z 0 -1 LIMIT 0 1",
            "-ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX",
        ),
        ("ZRANGE z - + BYLEX WITHSCORES", "-ERR syntax error, WITHSCORES not supported in combination with BYLEX"),
        ("ZADD l 0 a 0 b 0 c 0 d", "4"),
        ("ZRANGEBYLEX l - (c", r#"["a", "b"]"#),
        ("ZREVRANGEBYLEX l + [b LIMIT 1 2", r#"["c", "b"]"#),
        ("ZRANGE l [b [c BYLEX", r#"["b", "c"]"#),
        ("ZRANGEBYLEX l b c", "-ERR min or max not valid string range item"),
        ("ZLEXCOUNT l (a +", "3"),
        ("ZCOUNT z 2 (4", "2"),
        ("ZCOUNT z 4 2", "0"),
        ("ZRANGESTORE dst z 1 2", "2"),
        ("ZRANGE dst 0 -1 WITHSCORES", r#"["b", "2", "c", "3"]"#),
        ("ZRANGESTORE dst z (1 +inf BYSCORE REV LIMIT 0 1", "0"),
        ("EXISTS dst", "0"),
        ("ZREMRANGEBYRANK z 0 0", "1"),
        ("ZREMRANGEBYSCORE z (2 3", "1"),
        ("ZREMRANGEBYLEX l [b [c", "2"),
        ("ZREMRANGEBYLEX l - +", "2"),
        ("EXISTS l", "0"),
        ("ZRANGE z 0 -1", r#"["b", "d"]"#),
    ]);
}

#[test]
fn combining() {
    Server::new().check(&[
        ("ZADD a 1 x 2 y 3 z", "3"),
        ("ZADD b 10 y 20 z 30 w", "3"),
        ("ZUNION 2 a b WITHSCORES", r#"["x", "1", "y", "12", "z", "23", "w", "30"]"#),
        ("ZINTER 2 a b WEIGHTS 2 1 AGGREGATE MAX WITHSCORES", r#"["y", "10", "z", "20"]"#),
        ("ZINTER 2 a a WITHSCORES", r#"["x", "2", "y", "4", "z", "6"]"#),
        ("ZDIFF 2 a b WITHSCORES", r#"["x", "1"]"#),
        ("ZUNIONSTORE a 2 a b AGGREGATE MIN", "4"),
        ("ZRANGE a 0 -1 WITHSCORES", r#"["x", "1", "y", "2", "z", "3", "w", "30"]"#),
        ("ZINTERSTORE dst 2 a none", "0"),
        ("ZDIFFSTORE dst 2 a b", "1"),
        ("ZINTERCARD 2 a b", "3"),
        ("ZINTERCARD 2 a b LIMIT 2", "2"),
        ("ZINTERCARD 2 a b LIMIT -1", "-ERR LIMIT can't be negative"),
        ("ZUNION 0 a", "-ERR at least 1 input key is needed for 'zunion' command"),
        ("ZUNION 3 a b", "-ERR syntax error"),
        ("ZUNION 2 a b WEIGHTS 1 x", "-ERR weight value is not a float"),
        ("ZUNIONSTORE d 2 a b WITHSCORES", "-ERR syntax error"),
        ("ZDIFF 2 a b WEIGHTS 1 1", "-ERR syntax error"),
        ("SET s 1", "+OK"),
        ("ZUNION 2 a s", "-WRONGTYPE Operation against a key holding the wrong kind of value"),
    ]);
}

#[test]
fn pops() {
    Server::new().check(&[
        ("ZADD z 1 a 2 b 3 c 4 d 5 e", "5"),
        ("ZPOPMIN z", r#"["a", "1"]"#),
        ("ZPOPMAX z 2", r#"["e", "5", "d", "4"]"#),
        ("ZPOPMIN z 0", "[]"),
        ("ZPOPMIN z -1", "-ERR value is out of range, must be positive"),
        ("ZPOPMIN none 3", "[]"),
        ("ZMPOP 2 none z MAX COUNT 9", r#"["z", [["c", "3"], ["b", "2"]]]"#),
        ("EXISTS z", "0"),
        ("ZMPOP 1 z MIN", "nil"),
        ("ZMPOP 0 z MIN", "-ERR numkeys should be greater than 0"),
        ("ZMPOP 1 z MIN COUNT 0", "-ERR count should be greater than 0"),
        ("ZMPOP 2 z MIN", "-ERR syntax error"),
        ("ZMPOP 1 z LEFT", "-ERR syntax error"),
        ("BZPOPMIN z x", "-ERR timeout is not a float or out of range"),
        ("BZPOPMIN z -1", "-ERR timeout is negative"),
    ]);
}

#[test]
fn resp3_gives_doubles_and_pairs() {
    let mut server = Server::new();
    server.speak_v3(server.first);
    server.check(&[
        ("ZADD z 1.5 a 2 b", "2"),
        ("ZSCORE z a", ",1.5"),
        ("ZRANGE z 0 -1 WITHSCORES", r#"[["a", ,1.5], ["b", ,2]]"#),
        ("ZRANGE z 0 -1", r#"["a", "b"]"#),
        ("ZUNION 1 z WITHSCORES", r#"[["a", ,1.5], ["b", ,2]]"#),
        ("ZADD z INCR 1 a", ",2.5"),
        ("ZRANK z a WITHSCORE", "[1, ,2.5]"),
        ("ZPOPMIN z 1", r#"[["b", ,2]]"#),
        ("ZPOPMIN z", r#"["a", ,2.5]"#),
        ("ZADD z 1 a", "1"),
        ("BZPOPMIN z 0", r#"["z", "a", ,1]"#),
        ("ZADD z 1 a", "1"),
        ("BZMPOP 0 1 z MAX", r#"["z", [["a", ,1]]]"#),
    ]);
}

#[test]
fn blocked_pops_are_served_in_turn_and_propagate_as_pops() {
    let mut server = Server::new();
    let (second, third) = (server.client(), server.client());
    server.blocks(second, "BZPOPMAX none z 0");
    server.blocks(third, "BZMPOP 1 1 z MIN COUNT 5");
    server.effects();
    server.check(&[("ZADD z 1 a 2 b 3 c", "3")]);
    assert_eq!(server.shown_replies(second), [r#"["z", "c", "3"]"#]);
    assert_eq!(server.shown_replies(third), [r#"["z", [["a", "1"], ["b", "2"]]]"#]);
    assert_eq!(server.effects(), ["ZADD z 1 a 2 b 3 c", "ZPOPMAX z", "ZPOPMIN z 2"]);
    server.check(&[("EXISTS z", "0")]);
    server.blocks(second, "BZPOPMIN z 0.5");
    server.pass(501);
    assert_eq!(server.shown_replies(second), ["nil"]);
    // A renamed key serves whoever waits for its new name.
    server.blocks(second, "BZPOPMIN z 0");
    server.check(&[("ZADD other 7 m", "1"), ("RENAME other z", "+OK")]);
    assert_eq!(server.shown_replies(second), [r#"["z", "m", "7"]"#]);
}

#[test]
fn events_effects_and_counts() {
    let mut server = Server::new();
    server.events();
    server.effects();
    server.take_dirty();
    server.run("ZADD z 1 a 2 b");
    server.run("ZINCRBY z 1 a");
    server.run("ZADD z 2 a");
    server.run("ZMPOP 1 z MIN COUNT 9");
    server.run("ZADD x 1 a");
    server.run("ZUNIONSTORE y 1 x");
    server.run("ZREMRANGEBYRANK y 0 -1");
    assert_eq!(
        server.events(),
        [
            "new z",
            "zadd z",
            "zincr z",
            "zpopmin z",
            "del z",
            "new x",
            "zadd x",
            "new y",
            "zunionstore y",
            "zremrangebyrank y",
            "del y"
        ]
    );
    assert_eq!(
        server.effects(),
        ["ZADD z 1 a 2 b", "ZINCRBY z 1 a", "ZPOPMIN z 2", "ZADD x 1 a", "ZUNIONSTORE y 1 x", "ZREMRANGEBYRANK y 0 -1"]
    );
    assert_eq!(server.take_dirty(), 8);
}

#[test]
fn random_members() {
    let mut server = Server::new();
    for (n, expected) in [(5, "listpack"), (500, "skiplist")] {
        for i in 0..n {
            server.run(&format!("ZADD z {i} m{i}"));
        }
        assert_eq!(server.encoding("z"), Some(expected));
        for (wanted, distinct) in [(3, true), (n / 2, true), (n + 9, true), (-20, false)] {
            let resp::Value::Array(pairs) = server.run(&format!("ZRANDMEMBER z {wanted} WITHSCORES")) else { panic!() };
            let members: Vec<_> = pairs.chunks(2).map(|pair| (show(&pair[0]), show(&pair[1]))).collect();
            assert!(members.iter().all(|(m, s)| *m == format!("\"m{}", &s[1..])), "{members:?}");
            let unlike: std::collections::BTreeSet<_> = members.iter().collect();
            let expected = if distinct { wanted.min(n) } else { -wanted };
            assert_eq!((members.len() as i32, !distinct || unlike.len() == members.len()), (expected, true));
        }
    }
    server.check(&[
        ("ZRANDMEMBER none", "nil"),
        ("ZRANDMEMBER none 3", "[]"),
        ("ZRANDMEMBER z 0", "[]"),
        ("ZRANDMEMBER z x", "-ERR value is not an integer or out of range"),
        ("ZRANDMEMBER z 1 X", "-ERR syntax error"),
    ]);
}

#[test]
fn zscan_gives_everything_once() {
    let mut server = Server::new();
    for i in 0..1000 {
        server.run(&format!("ZADD z {i} m{i}"));
    }
    let (mut cursor, mut found) = ("0".to_owned(), BTreeMap::new());
    loop {
        let resp::Value::Array(reply) = server.run(&format!("ZSCAN z {cursor} MATCH m*5 COUNT 50")) else { panic!() };
        cursor = show(&reply[0]).trim_matches('"').to_owned();
        let resp::Value::Array(pairs) = &reply[1] else { panic!() };
        for pair in pairs.chunks(2) {
            assert!(found.insert(show(&pair[0]), show(&pair[1])).is_none());
        }
        if cursor == "0" {
            break;
        }
    }
    let expected: BTreeMap<_, _> =
        (0..1000).filter(|i| i % 10 == 5).map(|i| (format!("\"m{i}\""), format!("\"{i}\""))).collect();
    assert_eq!(found, expected);
    server.check(&[
        ("ZSCAN none 0", r#"["0", []]"#),
        ("ZSCAN z x", "-ERR invalid cursor"),
        ("ZSCAN z 0 COUNT 0", "-ERR syntax error"),
    ]);
}

/// All members in order, as `ZRANGE z 0 -1 WITHSCORES` shows them.
fn shown_model(model: &BTreeMap<u8, i32>) -> String {
    let mut pairs: Vec<_> = model.iter().map(|(m, s)| (*s, format!("m{m:03}"))).collect();
    pairs.sort();
    let parts: Vec<_> = pairs.iter().map(|(s, m)| format!("\"{m}\", \"{s}\"")).collect();
    format!("[{}]", parts.join(", "))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn random_writes_agree_with_a_map_and_leave_snapshots_alone(
        steps in proptest::collection::vec((0u8..6, any::<u8>(), -50i32..50), 1..400),
        snapshot_at in 0usize..400,
    ) {
        let mut server = Server::new();
        let mut model: BTreeMap<u8, i32> = BTreeMap::new();
        let mut kept = None;
        for (i, (kind, member, score)) in steps.iter().enumerate() {
            if i == snapshot_at {
                kept = Some((server.engine.store.keyspace.snapshot(), model.clone()));
            }
            match kind {
                0 | 1 => {
                    server.run(&format!("ZADD z {score} m{member:03}"));
                    model.insert(*member, *score);
                }
                2 | 3 => {
                    server.run(&format!("ZINCRBY z {score} m{member:03}"));
                    *model.entry(*member).or_default() += score;
                }
                4 => {
                    server.run(&format!("ZREM z m{member:03}"));
                    model.remove(member);
                }
                _ => {
                    server.run(&format!("ZREMRANGEBYSCORE z {score} {}", score + 3));
                    model.retain(|_, s| !(*score..=*score + 3).contains(s));
                }
            }
            prop_assert_eq!(show(&server.run("ZCARD z")), model.len().to_string());
        }
        prop_assert_eq!(show(&server.run("ZRANGE z 0 -1 WITHSCORES")), shown_model(&model));
        prop_assert_eq!(server.engine.store.keyspace.db(0).len(), usize::from(!model.is_empty()));
        if let Some((snapshot, then)) = kept {
            let mut entries = snapshot.into_entries();
            let mut found = BTreeMap::new();
            while entries.next_db().is_some() {
                while let Some(entry) = entries.next_entry() {
                    let keyspace::ValueRef::ZSet(zset) = entry.value() else { panic!("only sorted sets were written") };
                    for (member, score) in zset.iter() {
                        let name = String::from_utf8(member.to_vec()).unwrap();
                        found.insert(name[1..].parse::<u8>().unwrap(), score as i32);
                    }
                }
            }
            prop_assert_eq!(found, then);
        }
        prop_assert_eq!(server.engine.store.now_ms, START_MS);
    }
}
