//! Client libraries and stock tools work unchanged.

use crate::support::client::{text, texts};
use crate::support::data::fill;
use crate::support::{Folder, Server, have, missing, ours, redis};
use redis::{AsyncCommands, Commands, RedisResult};
use resp::Value;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::process::Command;

fn url(server: &Server) -> String {
    format!("redis://127.0.0.1:{}/", server.port)
}

#[test]
fn redis_rs_blocking() -> RedisResult<()> {
    let server = ours(&[]);
    for suffix in ["", "?protocol=resp3"] {
        let client = redis::Client::open(url(&server) + suffix)?;
        let mut c = client.get_connection()?;
        let _: () = redis::cmd("FLUSHALL").query(&mut c)?;
        let _: () = c.set("k", "v")?;
        assert_eq!(c.get::<_, String>("k")?, "v");
        assert_eq!(c.get::<_, Option<String>>("none")?, None);
        let (a, b): (i64, i64) = redis::pipe().incr("n", 1).incr("n", 2).query(&mut c)?;
        assert_eq!((a, b), (1, 3));
        let _: () = c.hset_multiple("h", &[("a", 1), ("b", 2)])?;
        assert_eq!(c.hgetall::<_, HashMap<String, i64>>("h")?, HashMap::from([("a".into(), 1), ("b".into(), 2)]));
        let _: () = c.zadd("z", "m", 1.5)?;
        assert_eq!(c.zrange_withscores::<_, Vec<(String, f64)>>("z", 0, -1)?, [("m".into(), 1.5)]);
        // A transaction that another client disturbs once.
        let mut disturbed = false;
        let mut other = client.get_connection()?;
        let (new,): (i64,) = redis::transaction(&mut c, &["n"], |c, pipe| {
            let n: i64 = c.get("n")?;
            if !disturbed {
                disturbed = true;
                let _: () = other.set("n", 10)?;
            }
            pipe.set("n", n + 1).ignore().get("n").query(c)
        })?;
        assert_eq!(new, 11);
        // Publishing, and waiting for an element.
        let mut listener = client.get_connection()?;
        let mut pubsub = listener.as_pubsub();
        pubsub.subscribe("channel")?;
        pubsub.psubscribe("pat*")?;
        assert_eq!(c.publish::<_, _, i64>("channel", "hello")?, 1);
        assert_eq!(pubsub.get_message()?.get_payload::<String>()?, "hello");
        assert_eq!(c.publish::<_, _, i64>("pattern", "there")?, 1);
        assert_eq!(pubsub.get_message()?.get_pattern::<String>()?, "pat*");
        let mut waiting = client.get_connection()?;
        let thread = std::thread::spawn(move || waiting.blpop::<_, (String, String)>("list", 0.0));
        let _: () = c.rpush("list", "x")?;
        assert_eq!(thread.join().unwrap()?, ("list".into(), "x".into()));
        fill(&server, 500, 60);
        let expected: BTreeSet<String> = c.keys("*")?;
        let scanned: BTreeSet<String> = c.scan::<String>()?.collect();
        assert_eq!(scanned, expected);
    }
    Ok(())
}

#[tokio::test]
async fn redis_rs_asynchronous() -> RedisResult<()> {
    let server = ours(&[]);
    let client = redis::Client::open(url(&server))?;
    let mut c = client.get_multiplexed_async_connection().await?;
    let _: () = c.set("k", "v").await?;
    assert_eq!(c.get::<_, String>("k").await?, "v");
    let (a, b): (i64, i64) = redis::pipe().atomic().incr("n", 1).incr("n", 2).query_async(&mut c).await?;
    assert_eq!((a, b), (1, 3));
    let _: () = redis::cmd("WATCH").arg("n").query_async(&mut c).await?;
    let done: Option<(i64,)> = redis::pipe().atomic().incr("n", 1).query_async(&mut c).await?;
    assert_eq!(done, Some((4,)));
    let mut waiting = client.get_multiplexed_async_connection().await?;
    let task = tokio::spawn(async move { waiting.blpop::<_, (String, String)>("list", 0.0).await });
    let _: () = c.rpush("list", "x").await?;
    assert_eq!(task.await.unwrap()?, ("list".into(), "x".into()));
    // Many at once over one connection.
    let tasks: Vec<_> = (0..200)
        .map(|i| {
            let mut c = c.clone();
            tokio::spawn(async move { c.incr::<_, _, i64>(format!("counter:{}", i % 10), 1).await })
        })
        .collect();
    for task in tasks {
        task.await.unwrap()?;
    }
    assert_eq!(c.get::<_, i64>("counter:3").await?, 20);
    let mut scanned = BTreeSet::new();
    let mut keys = c.scan_match::<_, String>("counter:*").await?;
    while let Some(key) = keys.next_item().await {
        scanned.insert(key);
    }
    assert_eq!(scanned.len(), 10);
    Ok(())
}

const BLOCKING: &str = r#"
import redis, sys, threading
for protocol in (2, 3):
    r = redis.Redis(port=int(sys.argv[1]), decode_responses=True, protocol=protocol)
    r.flushall()
    assert r.set("k", "v") and r.get("k") == "v" and r.get("none") is None
    assert r.pipeline().incr("n").incr("n", 2).execute() == [1, 3]
    r.hset("h", mapping={"a": 1, "b": 2})
    assert r.hgetall("h") == {"a": "1", "b": "2"}
    r.zadd("z", {"m": 1.5})
    assert [(m, s) for m, s in r.zrange("z", 0, -1, withscores=True)] == [("m", 1.5)]
    def add(pipe):
        n = int(pipe.get("n"))
        if n == 3:
            r.set("n", 10)
        pipe.multi()
        pipe.set("n", n + 1)
    r.transaction(add, "n")
    assert r.get("n") == "11"
    p = r.pubsub()
    p.subscribe("channel")
    assert p.get_message(timeout=10)["type"] == "subscribe"
    assert r.publish("channel", "hello") == 1
    assert p.get_message(timeout=10)["data"] == "hello"
    p.close()
    got = []
    t = threading.Thread(target=lambda: got.append(r.blpop("list", 10)))
    t.start()
    r.rpush("list", "x")
    t.join()
    assert tuple(got[0]) == ("list", "x")
    r.mset({f"key:{i}": i for i in range(1000)})
    assert set(r.scan_iter("key:*")) == {f"key:{i}" for i in range(1000)}
    assert r.info("replication")["role"] == "master" and r.config_get("port")["port"] == sys.argv[1]
    assert len(r.client_list()) >= 1
"#;

const ASYNCIO: &str = r#"
import asyncio, sys
import redis.asyncio as redis
async def main():
    r = redis.Redis(port=int(sys.argv[1]), decode_responses=True)
    await r.flushall()
    await r.set("k", "v")
    assert await r.get("k") == "v"
    async with r.pipeline(transaction=True) as pipe:
        await pipe.watch("k")
        pipe.multi()
        assert await pipe.set("k", "w").get("k").execute() == [True, "w"]
    async with r.pubsub() as p:
        await p.subscribe("channel")
        assert (await p.get_message(timeout=10))["type"] == "subscribe"
        await r.publish("channel", "hello")
        assert (await p.get_message(timeout=10))["data"] == "hello"
    waiting = asyncio.create_task(r.blpop("list", 10))
    await r.rpush("list", "x")
    assert tuple(await waiting) == ("list", "x")
    assert sorted(await asyncio.gather(*[r.incr("n") for _ in range(100)])) == list(range(1, 101))
    assert {k async for k in r.scan_iter("*")} == {"k", "n"}
    await r.aclose()
asyncio.run(main())
"#;

#[test]
fn redis_py() {
    let python = Command::new("python3").args(["-c", "import redis"]).output();
    if !python.is_ok_and(|o| o.status.success()) {
        return missing("the redis module of python3");
    }
    let server = ours(&[]);
    for script in [BLOCKING, ASYNCIO] {
        let output = Command::new("python3").args(["-c", script, &server.port.to_string()]).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn stock_benchmark() {
    if !have("redis-benchmark") {
        return;
    }
    let server = ours(&[]);
    let port = server.port.to_string();
    let output = Command::new("redis-benchmark").args(["-p", &port, "-q", "-n", "2000"]).output().unwrap();
    let (out, error) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{out}{error}");
    for test in [
        "PING_INLINE",
        "PING_MBULK",
        "SET",
        "GET",
        "INCR",
        "LPUSH",
        "RPUSH",
        "LPOP",
        "RPOP",
        "SADD",
        "HSET",
        "SPOP",
        "ZADD",
        "ZPOPMIN",
        "LRANGE_100 ",
        "LRANGE_600 ",
        "MSET (10 keys)",
    ] {
        assert!(
            out.replace('\r', "\n").lines().any(|l| l.starts_with(test) && l.contains("requests per second, p50=")),
            "{test}: {out}"
        );
    }
    assert!(!out.contains("Error") && !error.contains("Error"), "{out}{error}");
}

#[test]
fn stock_cli() {
    if !have("redis-cli") {
        return;
    }
    let server = ours(&[]);
    let port = server.port.to_string();
    let cli = |args: &[&str]| {
        let output = Command::new("redis-cli").args(["-p", &port]).args(args).output().unwrap();
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    assert_eq!(cli(&["SET", "k", "v"]), "OK\n");
    assert_eq!(cli(&["-3", "GET", "k"]), "v\n");
    fill(&server, 1000, 61);
    assert!(cli(&["--bigkeys"]).contains("Biggest string found"));
    assert_eq!(cli(&["--scan", "--pattern", "big:*"]).lines().count(), 4);
    // The data as a replica would get it.
    let folder = Folder::new();
    let file = folder.file("copy.rdb");
    cli(&["--rdb", &file]);
    let bytes = std::fs::read(&file).unwrap();
    assert!(bytes.starts_with(b"REDIS00"));
    let mut copy = Server::prepare(crate::support::Product::Ours, &[]);
    std::fs::rename(&file, copy.folder.file("dump.rdb")).unwrap();
    copy.restart();
    assert_eq!(copy.text(&["GET", "k"]), "v");
}

/// What `COMMAND DOCS` says of each command and subcommand, apart from sentences.
fn docs(server: &Server) -> BTreeMap<String, BTreeMap<String, Vec<String>>> {
    fn add(all: &mut BTreeMap<String, BTreeMap<String, Vec<String>>>, reply: &Value) {
        let Value::Array(commands) = reply else { panic!("no array: {reply:?}") };
        for pair in commands.chunks(2) {
            let Value::Array(facts) = &pair[1] else { panic!("no array: {:?}", pair[1]) };
            let mut said = BTreeMap::new();
            for fact in facts.chunks(2) {
                let versions = |value: &Value| match value {
                    Value::Array(changes) => changes.iter().map(|change| texts(change)[0].clone()).collect(),
                    other => panic!("no array: {other:?}"),
                };
                match text(&fact[0]).as_str() {
                    "subcommands" => add(all, &fact[1]),
                    name @ ("since" | "group") => {
                        said.insert(name.to_owned(), vec![text(&fact[1])]);
                    }
                    "history" => drop(said.insert("history".into(), versions(&fact[1]))),
                    "complexity" => drop(said.insert("complexity".into(), Vec::new())),
                    _ => {}
                }
            }
            all.insert(text(&pair[0]), said);
        }
    }
    let mut all = BTreeMap::new();
    add(&mut all, &server.call(&["COMMAND", "DOCS"]));
    all
}

#[test]
fn commands_are_documented_as_redis_documents_them() {
    let Some(redis) = redis(&[]) else { return };
    let (ours, theirs) = (docs(&ours(&[])), docs(&redis));
    let mut compared = 0;
    for (name, said) in &ours {
        let Some(expected) = theirs.get(name) else { continue };
        compared += 1;
        for fact in ["since", "group", "complexity", "history"] {
            let mut said = said.get(fact).cloned();
            // What came after the version of the peer.
            if let Some(versions) = said.as_mut().filter(|_| fact == "history") {
                versions.retain(|version| version.as_str() < "7.1");
            }
            let said = said.filter(|versions| fact != "history" || !versions.is_empty());
            // CLIENT PAUSE was said to be of a version that nobody had.
            if (&name[..], fact) != ("client|pause", "since") {
                assert_eq!(said.as_ref(), expected.get(fact), "{fact} of {name}");
            }
        }
    }
    assert!(compared > 200, "{compared}");
}
