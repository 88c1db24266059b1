//! Scenario B7: client libraries that find the primary through sentinels ride through many fail-overs in a row.
//!
//! Each client is one process (or thread, redis-rs's) that writes all the time and is never started again. Primaries are
//! killed with `kill -9` and fail-overs are asked for by hand, in turn; after each one every client must have written to
//! the new primary. Fifty fail-overs take less than half a minute; `FAILOVERS` asks for another number.

use crate::support::sentinel::{Group, NAME, Sentinel};
use crate::support::{Folder, PATIENCE, Product, have, holds_within, missing, wait_until};
use redis::sentinel::{SentinelClient, SentinelServerType};
use redis::{AsyncCommands, Commands, RedisResult};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Between two writes of a client, and after an error.
const PAUSE: Duration = Duration::from_millis(5);

/// redis-py, blocking: ports of sentinels, the primary's name, the key.
const PYTHON: &str = r#"
import sys, time, redis
from redis.sentinel import Sentinel
*ports, name, key = sys.argv[1:]
sentinel = Sentinel([("127.0.0.1", int(p)) for p in ports], socket_timeout=0.5)
primary = sentinel.master_for(name, socket_timeout=0.5)
while True:
    try:
        primary.incr(key)
    except redis.RedisError:
        pass
    time.sleep(0.005)
"#;

/// redis-py, asynchronous.
const PYTHON_ASYNC: &str = r#"
import sys, asyncio, redis
from redis.asyncio.sentinel import Sentinel
*ports, name, key = sys.argv[1:]
async def main():
    sentinel = Sentinel([("127.0.0.1", int(p)) for p in ports], socket_timeout=0.5)
    primary = sentinel.master_for(name, socket_timeout=0.5)
    while True:
        try:
            await primary.incr(key)
        except redis.RedisError:
            pass
        await asyncio.sleep(0.005)
asyncio.run(main())
"#;

/// `redis-cli`, which knows no sentinels: it is asked where the primary is before each write.
const SHELL: &str = r#"
port=$1 name=$4 key=$5
while :; do
    set -- $(redis-cli -p "$port" SENTINEL GET-MASTER-ADDR-BY-NAME "$name")
    redis-cli -h "$1" -p "$2" INCR "$key" > /dev/null 2>&1
    sleep 0.05
done
"#;

/// A process of a client; it is killed at the end.
struct Process(Child);

impl Process {
    fn start(command: &mut Command, words: &[String], output: Stdio) -> Self {
        Self(command.args(words).stdin(Stdio::null()).stdout(output).spawn().unwrap())
    }

    fn runs(&mut self) -> bool {
        self.0.try_wait().unwrap().is_none()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn new_client(sentinels: &[String]) -> SentinelClient {
    let urls: Vec<String> = sentinels.iter().map(|port| format!("redis://127.0.0.1:{port}/")).collect();
    SentinelClient::build(urls, NAME.to_owned(), None, SentinelServerType::Master).unwrap()
}

fn redis_rs(sentinels: &[String], stop: &AtomicBool) {
    let mut client = new_client(sentinels);
    while !stop.load(Ordering::Relaxed) {
        if let Ok(mut connection) = client.get_connection() {
            while !stop.load(Ordering::Relaxed) && connection.incr::<_, _, i64>("redis-rs", 1).is_ok() {
                std::thread::sleep(PAUSE);
            }
        }
        std::thread::sleep(PAUSE);
    }
}

async fn redis_rs_async(sentinels: &[String], stop: &AtomicBool) {
    let mut client = new_client(sentinels);
    while !stop.load(Ordering::Relaxed) {
        if let Ok(mut connection) = client.get_async_connection().await {
            while !stop.load(Ordering::Relaxed) {
                let written: RedisResult<i64> = connection.incr("redis-rs-async", 1).await;
                if written.is_err() {
                    break;
                }
                tokio::time::sleep(PAUSE).await;
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// One fail-over: the primary dies, or is told to go. Gives the number of the new one.
fn fail_over(group: &mut Group, sentinels: &[Sentinel], kill: bool) -> usize {
    let old = group.number_of(sentinels[0].primary_port());
    let port = group.0[old].port;
    if kill {
        group.0[old].kill();
    } else {
        let asked = holds_within(PATIENCE, || sentinels[1].text(&["SENTINEL", "FAILOVER", NAME]) == "OK");
        assert!(asked, "{}", sentinels[1].log());
    }
    let new = sentinels.iter().map(|s| s.wait_for_switch_from(port)).last().unwrap();
    if kill {
        group.0[old].restart();
    }
    group.number_of(new)
}

#[test]
fn b7_clients_ride_through_fail_overs() {
    let has_redis_py = Command::new("python3").args(["-c", "import redis"]).stderr(Stdio::null()).status();
    if !has_redis_py.is_ok_and(|status| status.success()) {
        return missing("redis-py");
    }
    if !have("redis-cli") {
        return;
    }
    let rounds: usize = std::env::var("FAILOVERS").map_or(50, |n| n.parse().unwrap());
    let mut group = Group::start(Product::Ours, 2, &[]);
    let lines = group.watched(2, 300, &format!("sentinel failover-timeout {NAME} 2000\n"));
    let sentinels: Vec<Sentinel> = (0..3).map(|_| Sentinel::start(Product::Ours, &lines)).collect();
    for sentinel in &sentinels {
        sentinel.hurry();
        sentinel.ok(&["SENTINEL", "DEBUG", "INFO-PERIOD", "100", "PUBLISH-PERIOD", "100", "PING-PERIOD", "100"]);
    }
    sentinels.iter().for_each(|s| s.wait_to_know(2, 2));

    let ports: Vec<String> = sentinels.iter().map(|s| s.port.to_string()).collect();
    let words = |key: &str| [&ports[..], &[NAME.to_owned(), key.to_owned()]].concat();
    let folder = Folder::new();
    let heard = std::fs::File::create(folder.file("heard")).unwrap();
    let mut processes = [
        Process::start(Command::new("python3").args(["-c", PYTHON]), &words("redis-py"), Stdio::inherit()),
        Process::start(Command::new("python3").args(["-c", PYTHON_ASYNC]), &words("redis-py-async"), Stdio::inherit()),
        Process::start(Command::new("sh").args(["-c", SHELL, "sh"]), &words("redis-cli"), Stdio::inherit()),
        Process::start(
            Command::new("redis-cli").args(["-p", &ports[2], "SUBSCRIBE", "+switch-master"]),
            &[],
            heard.into(),
        ),
    ];
    let keys = ["redis-py", "redis-py-async", "redis-cli", "redis-rs", "redis-rs-async"];
    let stop = AtomicBool::new(false);
    let began = Instant::now();
    std::thread::scope(|scope| {
        // However this ends, the threads end as well.
        let _stop = StopAtEnd(&stop);
        scope.spawn(|| redis_rs(&ports, &stop));
        scope.spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(redis_rs_async(&ports, &stop));
        });
        let writes = |group: &Group, primary: usize, key: &str| -> i64 {
            let value = group.0[primary].call(&["GET", key]);
            value.as_bytes().map_or(0, |n| String::from_utf8_lossy(n).parse().unwrap())
        };
        let all_write = |group: &Group, primary: usize, round: usize| {
            for key in keys {
                let before = writes(group, primary, key);
                let goes_on = holds_within(PATIENCE, || writes(group, primary, key) > before);
                assert!(goes_on, "{key} does not write after fail-over {round}");
            }
        };
        all_write(&group, 0, 0);
        for round in 1..=rounds {
            let primary = fail_over(&mut group, &sentinels, round % 2 == 1);
            all_write(&group, primary, round);
            group.wait_for_replicas(primary);
            wait_until(PATIENCE, || sentinels.iter().all(|s| s.primary("flags") == "master"));
            sentinels.iter().for_each(|s| s.wait_to_know(2, 2));
        }
    });
    println!("{rounds} fail-overs in {:.1} s", began.elapsed().as_secs_f64());
    assert!(processes.iter_mut().all(Process::runs), "a client has ended");
    // One subscription heard of all of them.
    let switches = || {
        let heard = std::fs::read_to_string(folder.file("heard")).unwrap();
        heard.lines().filter(|line| line.starts_with(&format!("{NAME} "))).count()
    };
    wait_until(PATIENCE, || switches() == rounds);
    for sentinel in &sentinels {
        assert_eq!(sentinel.logged_events().iter().filter(|(name, _)| name == "+switch-master").count(), rounds);
    }
}

struct StopAtEnd<'a>(&'a AtomicBool);

impl Drop for StopAtEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
