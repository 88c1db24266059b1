//! Sentinels over our servers: what they read and do there, fail-overs, and a restarted primary that asks them for its role.

use crate::support::client::{bulk, text, texts};
use crate::support::sentinel::{NAME, Sentinel};
use crate::support::{Client, PATIENCE, Product, Server, free_port, have, holds_within, ours, wait_until};
use std::io::{Read, Write};
use std::net::TcpListener;
use std::time::{Duration, Instant};

/// How long a fail-over may take, an election that has to be repeated included.
const FAILOVER: Duration = Duration::from_secs(40);

/// A primary, its two replicas, and three sentinels that watch them.
fn watched(sentinels: Product) -> Option<(Vec<Server>, Vec<Sentinel>)> {
    if sentinels == Product::Redis && !have("redis-sentinel") {
        return None;
    }
    let servers = vec![ours(&["--save", ""]), ours(&["--save", ""]), ours(&["--save", ""])];
    servers[0].ok(&["SET", "k", "0"]);
    servers[1..].iter().for_each(|r| r.follow(&servers[0]));
    let sentinels = Sentinel::group(&[sentinels; 3], &servers[0], 2);
    Some((servers, sentinels))
}

/// Waits until all sentinels name the same new primary, that it is one, and that the other replica follows it; gives its place.
#[track_caller]
fn wait_for_failover(servers: &[Server], sentinels: &[Sentinel]) -> usize {
    let old = servers[0].port;
    let moved = holds_within(FAILOVER, || {
        let named = sentinels[0].primary_port();
        named != old && sentinels.iter().all(|s| s.primary_port() == named)
    });
    assert!(moved, "no fail-over");
    let new = servers.iter().position(|s| s.port == sentinels[0].primary_port()).unwrap();
    wait_until(PATIENCE, || servers[new].info("role") == "master");
    let other = &servers[3 - new];
    wait_until(FAILOVER, || other.info("master_port") == servers[new].port.to_string());
    other.wait_for_link();
    servers[new].ok(&["SET", "k", "1"]);
    wait_until(PATIENCE, || other.call(&["GET", "k"]) == bulk("1"));
    new
}

/// The old primary ends as a replica of the new one.
#[track_caller]
fn wait_for_return(old: &Server, new: &Server) {
    wait_until(FAILOVER, || old.info("role") == "slave" && old.info("master_port") == new.port.to_string());
    old.wait_for_link();
    old.wait_for_offset_of(new);
    assert_eq!(old.call(&["GET", "k"]), bulk("1"));
}

fn a_killed_primary(sentinels: Product) {
    let Some((mut servers, sentinels)) = watched(sentinels) else { return };
    servers[0].kill();
    let new = wait_for_failover(&servers, &sentinels);
    assert_eq!(servers[new].number("sync_full"), 0, "the other replica goes on without a copy");
    servers[0].restart();
    wait_for_return(&servers[0], &servers[new]);
}

fn a_stopped_primary(sentinels: Product) {
    let Some((servers, sentinels)) = watched(sentinels) else { return };
    servers[0].signal("STOP");
    let new = wait_for_failover(&servers, &sentinels);
    assert_eq!(servers[new].number("sync_full"), 0, "the other replica goes on without a copy");
    servers[0].signal("CONT");
    wait_for_return(&servers[0], &servers[new]);
}

fn a_failover_by_hand(sentinels: Product) {
    let Some((servers, sentinels)) = watched(sentinels) else { return };
    sentinels[1].client().ok(&["SENTINEL", "FAILOVER", NAME]);
    let new = wait_for_failover(&servers, &sentinels);
    wait_for_return(&servers[0], &servers[new]);
    if sentinels[0].product == Product::Ours {
        // The old primary is told at once. Redis's sentinels leave it alone for seconds, in which their own hellos make
        // its history another one, and perhaps that of the replica which still follows it.
        assert_eq!(servers[new].number("sync_full"), 0, "{}", servers[new].log());
    }
}

#[test]
fn redis_sentinels_fail_over_from_a_killed_primary() {
    a_killed_primary(Product::Redis);
}

#[test]
fn redis_sentinels_fail_over_from_a_stopped_primary() {
    a_stopped_primary(Product::Redis);
}

#[test]
fn redis_sentinels_fail_over_by_hand() {
    a_failover_by_hand(Product::Redis);
}

#[test]
fn our_sentinels_fail_over_from_a_killed_primary() {
    a_killed_primary(Product::Ours);
}

#[test]
fn our_sentinels_fail_over_from_a_stopped_primary() {
    a_stopped_primary(Product::Ours);
}

#[test]
fn our_sentinels_fail_over_by_hand() {
    a_failover_by_hand(Product::Ours);
}

fn priorities_and_announcements(sentinels: Product) {
    if sentinels == Product::Redis && !have("redis-sentinel") {
        return;
    }
    let mut primary = ours(&[]);
    // The whole of 127.0.0.0/8 is this machine: another address for the same server, as behind NAT.
    let never = ours(&["--slave-priority", "0"]);
    let hidden = ours(&["--replica-announced", "no"]);
    let last = ours(&["--replica-priority", "50", "--slave-announce-ip", "127.0.0.2"]);
    for replica in [&never, &hidden, &last] {
        replica.follow(&primary);
    }
    assert_eq!(
        (never.info("slave_priority"), hidden.info("replica_announced"), last.info("slave_priority")),
        ("0".into(), "0".into(), "50".into())
    );
    let sentinels = Sentinel::group(&[sentinels; 3], &primary, 2);
    for sentinel in &sentinels {
        let mut seen: Vec<(String, String, String)> = sentinel
            .list("REPLICAS")
            .into_iter()
            .map(|r| (r["ip"].clone(), r["port"].clone(), r["slave-priority"].clone()))
            .collect();
        let mut expected = vec![
            ("127.0.0.1".to_owned(), never.port.to_string(), "0".to_owned()),
            ("127.0.0.2".to_owned(), last.port.to_string(), "50".to_owned()),
        ];
        seen.sort();
        expected.sort();
        assert_eq!(seen, expected);
        assert_eq!(sentinel.primary("runid"), primary.info("run_id"));
    }
    primary.kill();
    for sentinel in &sentinels {
        wait_until(FAILOVER, || sentinel.primary_port() == last.port);
        let addr = sentinel.client().call(&["SENTINEL", "get-master-addr-by-name", NAME]);
        assert_eq!(texts(&addr)[0], "127.0.0.2");
    }
    wait_until(FAILOVER, || never.info("master_host") == "127.0.0.2" && never.info("master_link_status") == "up");
    assert_eq!((never.info("role"), hidden.info("role")), ("slave".into(), "slave".into()));
}

#[test]
fn redis_sentinels_heed_priorities_and_announced_addresses() {
    priorities_and_announcements(Product::Redis);
}

#[test]
fn our_sentinels_heed_priorities_and_announced_addresses() {
    priorities_and_announcements(Product::Ours);
}

/// What `sentinel-hint` is given for these sentinels.
fn hint(ports: &[u16]) -> String {
    ports.iter().fold(NAME.to_owned(), |text, port| format!("{text} 127.0.0.1:{port}"))
}

fn a_primary_that_comes_back_asks(sentinels: Product) {
    let Some((mut servers, sentinels)) = watched(sentinels) else { return };
    let hint = hint(&sentinels.iter().map(|s| s.port).collect::<Vec<_>>());
    servers[0].kill();
    let new = wait_for_failover(&servers, &sentinels);
    // It is configured as a primary, and never answers as one.
    let port = servers[0].port.to_string();
    servers[0].restart_with(&["--port", &port, "--save", "", "--sentinel-hint", &hint]);
    assert_eq!(servers[0].text(&["SET", "k", "2"]), "READONLY You can't write against a read only replica.");
    wait_for_return(&servers[0], &servers[new]);
    let told = format!("is 127.0.0.1:{} now (", servers[new].port);
    assert!(servers[0].log().contains(&told), "{}", servers[0].log());
    // The present primary is told that it is one.
    let port = servers[new].port.to_string();
    servers[new].kill();
    servers[new].restart_with(&["--port", &port, "--save", "", "--sentinel-hint", &hint]);
    assert!(servers[new].log().contains("this server is the primary of 'mymaster'"), "{}", servers[new].log());
}

#[test]
fn a_primary_that_comes_back_asks_redis_sentinels() {
    a_primary_that_comes_back_asks(Product::Redis);
}

#[test]
fn a_primary_that_comes_back_asks_our_sentinels() {
    a_primary_that_comes_back_asks(Product::Ours);
}

/// Something on a port that answers each request with the same bytes.
fn impostor(answer: &'static [u8]) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for socket in listener.incoming() {
            let Ok(mut socket) = socket else { continue };
            let _ = socket.read(&mut [0; 256]);
            let _ = socket.write_all(answer);
        }
    });
    port
}

#[test]
fn a_hint_that_nobody_answers_holds_the_start_up_for_its_limit_only() {
    // Two that are not there, one that accepts and is silent.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let ports = [free_port(), free_port(), silent.local_addr().unwrap().port()];
    let mut server = Server::prepare(Product::Ours, &["--sentinel-hint", &hint(&ports)]);
    let began = Instant::now();
    let port = server.port;
    let asking = std::thread::spawn(move || {
        let refused = |words: &[&str]| {
            let mut reply = String::new();
            wait_until(PATIENCE, || match Client::tcp(port).and_then(|mut c| c.try_call(words)) {
                Ok(value) => {
                    reply = text(&value);
                    true
                }
                Err(_) => false,
            });
            reply
        };
        (refused(&["SET", "k", "1"]), refused(&["INFO", "persistence"]))
    });
    assert!(server.launch(), "{}", server.log());
    let took = began.elapsed();
    let (write, info) = asking.join().unwrap();
    assert_eq!(write, "LOADING Redis is asking its sentinels which server is the primary (sentinel-hint)");
    assert!(info.contains("loading:1"), "{info}");
    assert!(Duration::from_secs(3) <= took && took < Duration::from_secs(8), "{took:?}");
    server.ok(&["SET", "k", "1"]);
    assert!(server.log().contains("no sentinel named the primary of 'mymaster' within 3 s"), "{}", server.log());
}

#[test]
fn the_majority_of_those_that_answer_decides() {
    let here = |answer| impostor(answer);
    let other = || here(b"*2\r\n$9\r\n127.0.0.1\r\n$1\r\n7\r\n");
    let unknown = || here(b"*-1\r\n");
    let refusing = || here(b"-NOAUTH Authentication required.\r\n");
    let garbage = || here(b"HTTP/1.1 400 Bad Request\r\n");
    let endless = || here(b"*99999999\r\n");
    for (ports, follows) in [
        (vec![other()], true),
        (vec![other(), other(), unknown()], true),
        (vec![other(), refusing(), garbage(), unknown()], true),
        (vec![unknown(), refusing(), garbage()], false),
        (vec![other(), here(b"*2\r\n$9\r\n127.0.0.1\r\n$1\r\n8\r\n")], false),
        (vec![endless()], false),
    ] {
        let server = ours(&["--sentinel-hint", &hint(&ports)]);
        let role = if follows { "slave" } else { "master" };
        assert_eq!(server.info("role"), role, "{}", server.log());
        if follows {
            assert_eq!((server.info("master_host"), server.info("master_port")), ("127.0.0.1".into(), "7".into()));
        } else {
            server.ok(&["SET", "k", "1"]);
        }
    }
}

#[test]
fn a_server_knows_itself_by_what_it_announces() {
    let sentinel = impostor(b"*2\r\n$11\r\n203.0.113.9\r\n$4\r\n7001\r\n");
    let hint = hint(&[sentinel]);
    let announced =
        ours(&["--sentinel-hint", &hint, "--replica-announce-ip", "203.0.113.9", "--replica-announce-port", "7001"]);
    assert_eq!(announced.info("role"), "master", "{}", announced.log());
    let another = ours(&["--sentinel-hint", &hint, "--replica-announce-ip", "203.0.113.8"]);
    assert_eq!(another.info("role"), "slave", "{}", another.log());
    // A replica knows its role: it asks nobody.
    let replica = ours(&["--sentinel-hint", &hint, "--replicaof", "127.0.0.1", &announced.port.to_string()]);
    assert_eq!(replica.info("master_port"), announced.port.to_string());
    assert!(!replica.log().contains("sentinel-hint"), "{}", replica.log());
}

#[test]
fn a_hint_is_an_option_like_the_others() {
    let server = ours(&[]);
    let get = || texts(&server.call(&["CONFIG", "GET", "sentinel-hint"]))[1].clone();
    assert_eq!(get(), "");
    server.ok(&["CONFIG", "SET", "sentinel-hint", "mymaster 10.0.0.1:26379 [::1]:26380"]);
    assert_eq!(get(), "mymaster 10.0.0.1:26379 [::1]:26380");
    for (value, reason) in [
        ("mymaster", "a primary's name and one or more sentinels as host:port are needed"),
        ("my,master h:1", "the primary's name may hold letters, digits and .-_ only"),
        ("mymaster h", "a sentinel's address must be host:port, not 'h'"),
        ("mymaster h:x", "the port of the sentinel 'h:x' must be between 1 and 65535"),
    ] {
        let refused = server.text(&["CONFIG", "SET", "sentinel-hint", value]);
        assert!(refused.ends_with(reason), "{value}: {refused}");
    }
    assert_eq!(get(), "mymaster 10.0.0.1:26379 [::1]:26380");
    server.ok(&["CONFIG", "SET", "sentinel-hint", ""]);
    assert_eq!(get(), "");
}
