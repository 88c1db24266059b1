//! A primary that is told to stop hands over first (`shutdown-on-sigterm failover`): no write that was acknowledged is lost, and
//! where nobody can take over it stops all the same and says why.

use crate::support::client::text;
use crate::support::{Client, PATIENCE, Product, Server, have, holds_within, ours, wait_until};
use resp::Value;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Writes key after key to whichever of the servers takes writes. Gives the keys that were acknowledged and the longest time
/// between two of them.
struct Keys {
    stop: Arc<AtomicBool>,
    count: Arc<AtomicU64>,
    thread: std::thread::JoinHandle<(Vec<u64>, Duration)>,
}

impl Keys {
    fn start(ports: Vec<u16>) -> Self {
        let (stop, count) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (stop_too, count_too) = (stop.clone(), count.clone());
        let thread = std::thread::spawn(move || {
            let (mut written, mut longest, mut last) = (Vec::new(), Duration::ZERO, Instant::now());
            let (mut at, mut client) = (0, Client::tcp(ports[0]).ok());
            for n in 0.. {
                if stop_too.load(Ordering::Relaxed) {
                    break;
                }
                let key = format!("key:{n}");
                let reply = client.as_mut().and_then(|c| c.try_call(&["SET", &key, "1"]).ok());
                if reply == Some(Value::Simple(b"OK".to_vec())) {
                    written.push(n);
                    count_too.fetch_add(1, Ordering::Relaxed);
                    longest = longest.max(last.elapsed());
                    last = Instant::now();
                } else {
                    at = (at + 1) % ports.len();
                    client = Client::tcp(ports[at]).ok();
                    std::thread::sleep(Duration::from_millis(1));
                }
            }
            (written, longest)
        });
        Self { stop, count, thread }
    }

    fn wait_for_more(&self, more: u64) {
        let until = self.count.load(Ordering::Relaxed) + more;
        wait_until(PATIENCE, || self.count.load(Ordering::Relaxed) >= until);
    }

    fn finish(self) -> (Vec<u64>, Duration) {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}

fn online(primary: &Server) -> usize {
    primary.info_lines("replication").iter().filter(|(_, v)| v.contains("state=online")).count()
}

fn hands_over(replica: Product, signal: &str, option: &str, words: &str) {
    let mut primary = ours(&[option, words]);
    let replicas = [Server::start(replica, &[]), Server::start(replica, &[])];
    replicas.iter().for_each(|r| r.follow(&primary));
    wait_until(PATIENCE, || online(&primary) == 2);
    let keys = Keys::start(vec![primary.port, replicas[0].port, replicas[1].port]);
    keys.wait_for_more(500);
    primary.signal(signal);
    assert!(primary.wait_for_end().success(), "{}", primary.log());
    keys.wait_for_more(500);
    let (written, longest) = keys.finish();
    let new = replicas.iter().find(|r| r.info("role") == "master").expect("one has taken over");
    let lost = written.iter().filter(|n| new.int(&["EXISTS", &format!("key:{n}")]) == 0).count();
    println!("{} writes acknowledged, {lost} lost, at most {longest:?} between two", written.len());
    assert_eq!(lost, 0, "{}", primary.log());
    // Had nobody taken over, it would have been ten seconds, the default of shutdown-timeout.
    assert!(longest < Duration::from_secs(8), "writes were refused for {longest:?}");
    let log = primary.log();
    for line in ["Handing over to a replica before shutting down.", "has taken over: shutting down."] {
        assert!(log.contains(line), "{line}: {log}");
    }
    assert_eq!(new.number("sync_full"), 0);
}

#[test]
fn a_primary_hands_over_before_it_stops() {
    hands_over(Product::Ours, "TERM", "--shutdown-on-sigterm", "failover");
}

#[test]
fn a_primary_hands_over_to_redis_before_it_stops() {
    if have("redis-server") {
        hands_over(Product::Redis, "INT", "--shutdown-on-sigint", "nosave failover");
    }
}

#[test]
fn without_a_replica_it_stops_at_once_and_says_why() {
    let mut primary = ours(&["--shutdown-on-sigterm", "nosave failover"]);
    primary.signal("TERM");
    assert!(primary.wait_for_end().success());
    assert!(primary.log().contains("Shutting down without handing over: no replica is online."), "{}", primary.log());

    let primary = ours(&[]);
    let mut replica = ours(&["--shutdown-on-sigterm", "failover"]);
    replica.follow(&primary);
    replica.signal("TERM");
    assert!(replica.wait_for_end().success());
    assert!(replica.log().contains("without handing over: this server is a replica."), "{}", replica.log());
}

#[test]
fn a_replica_that_does_not_answer_is_waited_for_within_the_limit() {
    let mut primary = ours(&["--shutdown-on-sigterm", "failover", "--shutdown-timeout", "2"]);
    let replica = ours(&[]);
    replica.follow(&primary);
    wait_until(PATIENCE, || online(&primary) == 1);
    replica.signal("STOP");
    let mut writer = primary.client();
    let began = Instant::now();
    primary.signal("TERM");
    wait_until(PATIENCE, || primary.info("master_failover_state") == "waiting-for-sync");
    // The write is never acknowledged: nobody could take it over.
    writer.send(&["SET", "late", "1"]);
    assert!(primary.wait_for_end().success());
    assert!(began.elapsed() >= Duration::from_secs(2), "{:?}", began.elapsed());
    assert!(writer.try_reply().is_err());
    assert!(primary.log().contains("No replica has taken over: shutting down all the same."), "{}", primary.log());
    replica.signal("CONT");
    assert_eq!(replica.int(&["EXISTS", "late"]), 0);
}

#[test]
fn an_aborted_stop_keeps_the_role() {
    let primary = ours(&["--shutdown-on-sigterm", "failover", "--shutdown-timeout", "60"]);
    let replica = ours(&[]);
    replica.follow(&primary);
    wait_until(PATIENCE, || online(&primary) == 1);
    replica.signal("STOP");
    primary.signal("TERM");
    wait_until(PATIENCE, || primary.info("master_failover_state") == "waiting-for-sync");
    let mut writer = primary.client();
    writer.send(&["SET", "k", "1"]);
    primary.ok(&["SHUTDOWN", "ABORT"]);
    assert_eq!(text(&writer.reply()), "OK");
    assert_eq!((primary.info("master_failover_state"), primary.info("role")), ("no-failover".into(), "master".into()));
    replica.signal("CONT");
    wait_until(PATIENCE, || replica.text(&["GET", "k"]) == "1");
}

#[test]
fn the_word_is_an_option_like_the_others() {
    let folder = crate::support::Folder::new();
    let file = folder.file("rekindle.conf");
    std::fs::write(&file, "save \"\"\nshutdown-on-sigint nosave failover\n").unwrap();
    let server = ours(&[&file]);
    let get = |name: &str| crate::support::client::texts(&server.call(&["CONFIG", "GET", name]))[1].clone();
    assert_eq!(get("shutdown-on-sigint"), "nosave failover");
    assert_eq!(get("shutdown-on-sigterm"), "default");
    server.ok(&["CONFIG", "SET", "shutdown-on-sigterm", "force failover"]);
    assert_eq!(get("shutdown-on-sigterm"), "force failover");
    let refused = server.text(&["CONFIG", "SET", "shutdown-on-sigterm", "now failover"]);
    assert!(refused.contains("now and failover cannot be combined"), "{refused}");
    assert_eq!(get("shutdown-on-sigterm"), "force failover");
    server.ok(&["CONFIG", "REWRITE"]);
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(text.contains("shutdown-on-sigint nosave failover\n"), "{text}");
    assert!(text.contains("shutdown-on-sigterm force failover\n"), "{text}");
    assert!(holds_within(PATIENCE, || server.text(&["PING"]) == "PONG"));
}
