//! Keys of any type: what commands answer, what they propagate, whom they tell.

mod support;

use support::{START_MS, Server, show, words};

#[test]
fn removing_and_finding() {
    let mut server = Server::new();
    server.check(&[
        ("MSET a 1 b 2 c 3", "+OK"),
        ("ZADD z 1 m", "1"),
        ("EXISTS a a b none", "3"),
        ("TOUCH a none", "1"),
        ("DEL a a none", "1"),
        ("UNLINK b", "1"),
        ("TYPE c", "+string"),
        ("TYPE z", "+zset"),
        ("TYPE none", "+none"),
        ("DBSIZE", "2"),
    ]);
    server.check_unordered(&[("KEYS *", r#"["c", "z"]"#), ("KEYS [a-c]", r#"["c"]"#)]);
    server.check(&[("DEL z", "1"), ("RANDOMKEY", "\"c\""), ("DEL c", "1"), ("RANDOMKEY", "nil"), ("KEYS *", "[]")]);
}

#[test]
fn renaming_copying_moving() {
    let mut server = Server::new();
    server.check(&[
        ("SET a 1 PX 5000", "+OK"),
        ("SET b 2", "+OK"),
        ("RENAME none x", "-ERR no such key"),
        ("RENAME a a", "+OK"),
        ("RENAMENX a a", "0"),
        ("RENAMENX a b", "0"),
        ("RENAME a b", "+OK"),
        ("PTTL b", "5000"),
        ("EXISTS a", "0"),
        ("COPY b c", "1"),
        ("PTTL c", "5000"),
        ("COPY b c", "0"),
        ("COPY b c REPLACE", "1"),
        ("COPY b b", "-ERR source and destination objects are the same"),
        ("COPY b b DB 3", "1"),
        ("COPY b b DB 16", "-ERR DB index is out of range"),
        ("COPY none c", "0"),
        ("COPY b c X", "-ERR syntax error"),
        ("MOVE b 3", "0"),
        ("MOVE b 4", "1"),
        ("MOVE b 4", "0"),
        ("MOVE c 0", "-ERR source and destination objects are the same"),
        ("MOVE c x", "-ERR value is not an integer or out of range"),
        ("MOVE c -1", "-ERR DB index is out of range"),
        ("SWAPDB 0 4", "+OK"),
        ("GET b", "\"1\""),
        ("PTTL b", "5000"),
        ("SWAPDB x 4", "-ERR invalid first DB index"),
        ("SWAPDB 0 x", "-ERR invalid second DB index"),
        ("SWAPDB 0 99", "-ERR DB index is out of range"),
        ("FLUSHDB NOW", "-ERR syntax error"),
        ("FLUSHDB ASYNC", "+OK"),
        ("DBSIZE", "0"),
    ]);
    assert_eq!(server.engine.store.keyspace.db(3).len(), 1);
    server.check(&[("FLUSHALL SYNC", "+OK")]);
    assert!(server.engine.store.keyspace.iter().all(|db| db.is_empty()));
    assert!(server.engine.store.keyspace.has_trash());
    // Three databases had been emptied: 0, then 3 and 4.
    assert_eq!(server.engine.store.keyspace.take_trash().len(), 3);
}

#[test]
fn a_copy_and_its_source_go_their_own_ways() {
    Server::new().check(&[
        ("ZADD z 1 a", "1"),
        ("COPY z y", "1"),
        ("ZADD y 2 b", "1"),
        ("ZREM z a", "1"),
        ("ZRANGE y 0 -1", r#"["a", "b"]"#),
        ("EXISTS z", "0"),
    ]);
}

#[test]
fn expiry_and_its_conditions() {
    let mut server = Server::new();
    server.check(&[
        ("SET k v", "+OK"),
        ("TTL k", "-1"),
        ("TTL none", "-2"),
        ("EXPIRE none 10", "0"),
        ("EXPIRE k 10 XX", "0"),
        ("EXPIRE k 10 GT", "0"),
        ("EXPIRE k 10 NX", "1"),
        ("EXPIRE k 20 NX", "0"),
        ("EXPIRE k 5 GT", "0"),
        ("EXPIRE k 20 GT", "1"),
        ("EXPIRE k 30 LT", "0"),
        ("PEXPIRE k 1600 LT", "1"),
        ("TTL k", "2"),
        ("PTTL k", "1600"),
        ("EXPIRE k 10 NX GT", "-ERR NX and XX, GT or LT options at the same time are not compatible"),
        ("EXPIRE k 10 LT GT", "-ERR GT and LT options at the same time are not compatible"),
        ("EXPIRE k 10 foo", "-ERR Unsupported option foo"),
        ("EXPIRE k x", "-ERR value is not an integer or out of range"),
        ("EXPIRE k 9223372036854775807", "-ERR invalid expire time in 'expire' command"),
        ("PEXPIRE k 9223372036854775807", "-ERR invalid expire time in 'pexpire' command"),
        ("EXPIREAT k 33177117420", "1"),
        ("EXPIRETIME k", "33177117420"),
        ("PEXPIRETIME k", "33177117420000"),
        ("PERSIST k", "1"),
        ("PERSIST k", "0"),
        ("PERSIST none", "0"),
        ("PEXPIREAT k 1", "1"),
        ("EXISTS k", "0"),
        ("SET k v", "+OK"),
        ("EXPIRE k -1", "1"),
        ("GET k", "nil"),
        ("SET k v PX 100", "+OK"),
    ]);
    server.pass(100);
    server.check(&[("KEYS *", "[]"), ("SCAN 0", r#"["0", []]"#), ("TTL k", "-2"), ("DBSIZE", "0")]);
}

#[test]
fn events_effects_and_counts() {
    let mut server = Server::new();
    server.run("MSET a 1 b 2");
    server.events();
    server.effects();
    server.take_dirty();
    server.run("EXPIRE a 10");
    server.run("PEXPIREAT a 1800000000000");
    server.run("EXPIRE a -1");
    server.run("RENAME b c");
    server.run("COPY c d DB 1");
    server.run("MOVE c 2");
    server.run("DEL c");
    server.run("FLUSHDB");
    let expiry = format!("PEXPIREAT a {}", START_MS + 10_000);
    assert_eq!(
        server.effects(),
        [&expiry, "PEXPIREAT a 1800000000000", "UNLINK a", "RENAME b c", "COPY c d DB 1", "MOVE c 2", "FLUSHDB"]
    );
    assert_eq!(
        server.events(),
        [
            "expire a",
            "expire a",
            "del a",
            "new c",
            "rename_from b",
            "rename_to c",
            "new d",
            "copy_to d",
            "new c",
            "move_from c",
            "move_to c"
        ]
    );
    assert_eq!(server.take_dirty(), 6);
}

#[test]
fn watchers_hear_of_flushes_and_swaps() {
    for (change, answer) in
        [("FLUSHALL", "nil"), ("SWAPDB 0 1", "nil"), ("SWAPDB 1 2", "[\"1\"]"), ("PERSIST k", "[\"1\"]")]
    {
        let mut server = Server::new();
        let other = server.client();
        server.check(&[("SET k 1", "+OK"), ("WATCH k", "+OK")]);
        server.run_as(other, change);
        server.check(&[("MULTI", "+OK"), ("GET k", "+QUEUED"), ("EXEC", answer)]);
    }
}

#[test]
fn a_swapped_database_serves_who_waits() {
    let mut server = Server::new();
    let other = server.client();
    server.check(&[("ZADD z 1 a", "1"), ("MOVE z 1", "1")]);
    server.blocks(other, "BZPOPMIN z 0");
    server.check(&[("SWAPDB 0 1", "+OK")]);
    assert_eq!(server.shown_replies(other), [r#"["z", "a", "1"]"#]);
}

#[test]
fn scan_finds_every_key() {
    let mut server = Server::new();
    for i in 0..300 {
        server.run(&format!("SET s{i} v"));
        server.run(&format!("ZADD z{i} 1 m"));
    }
    for (options, expected) in
        [("", 600), ("TYPE zset", 300), ("MATCH s1*", 111), ("MATCH z1 TYPE string", 0), ("TYPE nothing", 0)]
    {
        let (mut cursor, mut found) = ("0".to_owned(), std::collections::BTreeSet::new());
        loop {
            let resp::Value::Array(reply) = server.run(&format!("SCAN {cursor} {options} COUNT 7")) else { panic!() };
            cursor = show(&reply[0]).trim_matches('"').to_owned();
            let resp::Value::Array(keys) = &reply[1] else { panic!() };
            for key in keys {
                assert!(found.insert(show(key)), "{key:?} came twice");
            }
            if cursor == "0" {
                break;
            }
        }
        assert_eq!(found.len(), expected, "{options}");
    }
    server.check(&[
        ("SCAN x", "-ERR invalid cursor"),
        ("SCAN 0 COUNT 0", "-ERR syntax error"),
        ("SCAN 0 NOVALUES", "-ERR syntax error"),
    ]);
}

#[test]
fn object_tells_of_encodings_and_accesses() {
    let mut server = Server::new();
    server.check(&[
        ("SET n 12", "+OK"),
        ("SET s abc", "+OK"),
        ("SET r 012345678901234567890123456789012345678901234", "+OK"),
        ("ZADD z 1 a", "1"),
        ("OBJECT ENCODING n", "\"int\""),
        ("OBJECT ENCODING s", "\"embstr\""),
        ("OBJECT ENCODING r", "\"raw\""),
        ("OBJECT ENCODING z", "\"listpack\""),
        ("OBJECT ENCODING none", "nil"),
        ("OBJECT REFCOUNT s", "1"),
    ]);
    server.pass(7000);
    server.check(&[
        ("OBJECT IDLETIME s", "7"),
        ("OBJECT IDLETIME s", "7"),
        ("TOUCH s", "1"),
        ("OBJECT IDLETIME s", "0"),
    ]);
    assert!(show(&server.run("OBJECT FREQ s")).starts_with("-ERR An LFU maxmemory policy is not selected"));
    server.configure(|c| c.maxmemory_policy = engine::config::values::MaxMemoryPolicy::AllKeysLfu);
    server.check(&[("SET f 1", "+OK"), ("OBJECT FREQ f", "5")]);
    assert!(show(&server.run("OBJECT IDLETIME s")).starts_with("-ERR An LFU maxmemory policy is selected"));
}

#[test]
fn sorting() {
    let mut server = Server::new();
    server.check(&[
        ("ZADD z 1 3 2 1 3 2", "3"),
        ("SORT z", r#"["1", "2", "3"]"#),
        ("SORT z DESC LIMIT 0 2", r#"["3", "2"]"#),
        ("SORT z BY nosort", r#"["3", "1", "2"]"#),
        ("SORT z BY nosort DESC LIMIT 1 1", r#"["1"]"#),
        ("SORT z LIMIT 5 2", "[]"),
        ("MSET w1 30 w2 20 w3 10 o1 one o2 two", "+OK"),
        ("SORT z BY w*", r#"["3", "2", "1"]"#),
        ("SORT z BY w* GET # GET o*", r#"["3", nil, "2", "two", "1", "one"]"#),
        ("SORT z BY o* ALPHA", r#"["3", "1", "2"]"#),
        ("SORT z BY o*", "-ERR One or more scores can't be converted into double"),
        ("SORT_RO z GET o*", r#"["one", "two", nil]"#),
        ("SORT_RO z STORE x", "-ERR syntax error"),
        ("SORT z GET o* STORE l", "3"),
        ("TYPE l", "+list"),
        ("SORT l BY nosort", r#"["one", "two", ""]"#),
        ("SORT l ALPHA DESC", r#"["two", "one", ""]"#),
        ("SORT none STORE l", "0"),
        ("EXISTS l", "0"),
        ("SORT none", "[]"),
        ("SORT o1", "-WRONGTYPE Operation against a key holding the wrong kind of value"),
        ("SORT z LIMIT x 1", "-ERR value is not an integer or out of range"),
    ]);
}

#[test]
fn dump_and_restore() {
    let mut server = Server::new();
    server.check(&[("SET s hello", "+OK"), ("SET n 12", "+OK"), ("ZADD z 1 a 2.5 b", "2")]);
    for key in ["s", "n", "z"] {
        let resp::Value::Bulk(payload) = server.run(&format!("DUMP {key}")) else { panic!("a payload is a string") };
        let mut request = words(&format!("RESTORE copy-{key} 0"));
        request.push(payload.to_vec());
        let first = server.first;
        assert_eq!(show(&server.run_words(first, &request)), "+OK");
        assert_eq!(show(&server.run_words(first, &request)), "-BUSYKEY Target key name already exists.");
        request.push(b"REPLACE".to_vec());
        assert_eq!(show(&server.run_words(first, &request)), "+OK");
        request[3][2] ^= 1;
        assert_eq!(show(&server.run_words(first, &request)), "-ERR DUMP payload version or checksum are wrong");
    }
    server.check(&[
        ("GET copy-s", "\"hello\""),
        ("GET copy-n", "\"12\""),
        ("ZRANGE copy-z 0 -1 WITHSCORES", r#"["a", "1", "b", "2.5"]"#),
    ]);
    // A string in the format of RDB files: its type, its length, its bytes.
    let payload = persist::payload::dump_payload(b"\x00\x05hello".to_vec(), 10);
    let first = server.first;
    server.effects();
    let mut request: Vec<Vec<u8>> = words("RESTORE r 1500");
    request.push(payload);
    assert_eq!(show(&server.run_words(first, &request)), "+OK");
    server.check(&[("GET r", "\"hello\""), ("PTTL r", "1500")]);
    let effect = server.effects().remove(0);
    assert!(effect.starts_with(&format!("RESTORE r {} ", START_MS + 1500)) && effect.ends_with(" ABSTTL"), "{effect}");
    for (options, error) in [
        ("REPLACE IDLETIME -1", "-ERR Invalid IDLETIME value, must be >= 0"),
        ("REPLACE FREQ 256", "-ERR Invalid FREQ value, must be >= 0 and <= 255"),
        ("REPLACE IDLETIME 1 FREQ 1", "-ERR syntax error"),
    ] {
        let mut request = request.clone();
        request.extend(words(options));
        assert_eq!(show(&server.run_words(first, &request)), error);
    }
    request[2] = b"-1".to_vec();
    request.push(b"REPLACE".to_vec());
    assert_eq!(show(&server.run_words(first, &request)), "-ERR Invalid TTL value, must be >= 0");
}
