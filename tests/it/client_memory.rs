//! `maxmemory-clients`: which clients go when all together take too much, and tracking over real connections.

use crate::support::client::Client;
use crate::support::{PATIENCE, Server, ours, wait_until};
use resp::Value;

/// The value of a field of the client with this name, if it is there.
fn field(server: &Server, name: &str, field: &str) -> Option<String> {
    let list = server.text(&["CLIENT", "LIST"]);
    let line = list.lines().find(|line| line.contains(&format!(" name={name} ")))?;
    let value = line.split(' ').find_map(|pair| pair.strip_prefix(&format!("{field}=")))?;
    Some(value.to_owned())
}

fn named(server: &Server, name: &str) -> Client {
    let mut client = server.client();
    client.ok(&["CLIENT", "SETNAME", name]);
    client
}

/// Sends the beginning of a request, and waits until the server has taken it.
fn send_half(server: &Server, client: &mut Client, name: &str, bytes: usize) {
    let mut request = format!("*2\r\n${bytes}\r\n").into_bytes();
    request.extend(vec![b'x'; bytes]);
    client.raw(&request).unwrap();
    wait_until(PATIENCE, || field(server, name, "tot-mem").is_none_or(|text| text.parse::<usize>().unwrap() >= bytes));
}

#[test]
fn the_largest_clients_go_first_until_the_rest_fits() {
    let server = ours(&["--maxmemory-clients", "0"]);
    let mut clients = Vec::new();
    for (name, bytes) in [("small", 200_000), ("middle", 1_500_000), ("large", 6_000_000), ("spared", 6_000_000)] {
        let mut client = named(&server, name);
        if name == "spared" {
            client.ok(&["CLIENT", "NO-EVICT", "on"]);
        }
        send_half(&server, &mut client, name, bytes);
        clients.push((name, client));
    }
    let there = |name| field(&server, name, "tot-mem").is_some();
    server.ok(&["CONFIG", "SET", "maxmemory-clients", "9mb"]);
    wait_until(PATIENCE, || !there("large"));
    assert!(there("small") && there("middle") && there("spared"));
    assert_eq!(server.number("evicted_clients"), 1);
    server.ok(&["CONFIG", "SET", "maxmemory-clients", "7mb"]);
    wait_until(PATIENCE, || !there("middle"));
    assert!(there("small") && there("spared"));
    assert_eq!(server.number("evicted_clients"), 2);
    assert!(server.log().contains("Evicting client: id="));
    assert!(server.number("mem_clients_normal") > 6_000_000);
    drop(clients);
}

#[test]
fn whatever_a_client_piles_up_counts() {
    let server = ours(&["--maxmemory-clients", "1mb"]);
    server.ok(&["SET", "k", &"v".repeat(100_000)]);
    let long = "x".repeat(200_000);
    type Pile = Box<dyn Fn(&mut Client) -> bool>;
    let piles: [(&str, Pile); 4] = [
        // Replies that are not read.
        ("replies", Box::new(|c| (0..200).all(|_| c.raw(b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\n").is_ok()))),
        // Commands of a transaction.
        ("queued", Box::new(move |c| c.try_call(&["SET", "q", &long]).is_ok())),
        // Keys watched and channels subscribed to.
        ("watched", Box::new(|c| c.try_call(&["WATCH", &unused_name()]).is_ok())),
        ("channels", Box::new(|c| c.try_call(&["SUBSCRIBE", &unused_name()]).is_ok())),
    ];
    for (name, pile) in piles {
        let mut client = named(&server, name);
        if name == "queued" {
            client.ok(&["MULTI"]);
        }
        let before = server.number("evicted_clients");
        let mut rounds = 0;
        while pile(&mut client) && server.number("evicted_clients") == before {
            rounds += 1;
            assert!(rounds < 20_000, "{name}: {:?}", field(&server, name, "tot-mem"));
        }
        wait_until(PATIENCE, || field(&server, name, "tot-mem").is_none());
        assert!(server.number("evicted_clients") > before, "{name}");
    }
}

/// A name that has not been used yet.
fn unused_name() -> String {
    use std::sync::atomic::{AtomicUsize, Ordering};
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    format!("name:{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

#[test]
fn a_percentage_is_one_of_maxmemory() {
    let server = ours(&["--maxmemory", "100mb", "--maxmemory-clients", "2%"]);
    let mut client = named(&server, "half");
    send_half(&server, &mut client, "half", 1_000_000);
    assert!(field(&server, "half", "qbuf").is_some_and(|bytes| bytes == "1000000"));
    let mut second = named(&server, "whole");
    send_half(&server, &mut second, "whole", 3_000_000);
    assert!(field(&server, "whole", "qbuf").is_none());
    assert!(field(&server, "half", "qbuf").is_some());
}

#[test]
fn tracking_tells_of_expiry_and_flushes_over_the_wire() {
    let server = ours(&[]);
    let mut client = server.client();
    client.call(&["HELLO", "3"]);
    client.ok(&["CLIENT", "TRACKING", "ON"]);
    server.ok(&["SET", "brief", "v", "PX", "50"]);
    client.call(&["GET", "brief"]);
    let push = |words: &[&str]| {
        Value::Push(vec![
            Value::Bulk(b"invalidate".to_vec()),
            Value::Array(words.iter().map(|w| Value::Bulk(w.as_bytes().to_vec())).collect()),
        ])
    };
    assert_eq!(client.reply(), push(&["brief"]), "nobody asked for the key: the server removes it by itself");
    server.ok(&["SET", "k", "v"]);
    client.call(&["GET", "k"]);
    assert_eq!((server.number("tracking_clients"), server.number("tracking_total_keys")), (1, 1));
    server.ok(&["FLUSHALL"]);
    assert_eq!(client.reply(), Value::Push(vec![Value::Bulk(b"invalidate".to_vec()), Value::Null]));
    // A data set that takes the place of the old one invalidates everything too.
    client.ok(&["CLIENT", "TRACKING", "OFF"]);
    let primary = ours(&[]);
    client.ok(&["CLIENT", "TRACKING", "ON"]);
    server.ok(&["SET", "k", "v"]);
    client.call(&["GET", "k"]);
    server.follow(&primary);
    server.wait_for_link();
    assert_eq!(client.reply(), Value::Push(vec![Value::Bulk(b"invalidate".to_vec()), Value::Null]));
}

#[test]
fn evicting_large_values_stops_at_the_limit() {
    let server = ours(&["--maxmemory-policy", "allkeys-lru", "--save", ""]);
    let value = "v".repeat(200_000);
    for i in 0..100 {
        server.ok(&["SET", &format!("k{i}"), &value]);
    }
    let limit = server.number("used_memory") - 1_000_000;
    server.ok(&["CONFIG", "SET", "maxmemory", &limit.to_string()]);
    server.ok(&["SET", "one", "more"]);
    // About five of them make the room that is wanted.
    let evicted = server.number("evicted_keys");
    assert!((4..=10).contains(&evicted), "{evicted}");
}

#[test]
fn a_monitor_that_does_not_read_is_cut_off_at_the_limits_of_subscribers() {
    let server = ours(&["--client-output-buffer-limit", "pubsub 2mb 0 0"]);
    let mut monitor = server.client();
    monitor.ok(&["MONITOR"]);
    let value = "x".repeat(100_000);
    let mut client = server.client();
    for _ in 0..400 {
        client.ok(&["SET", "k", &value]);
    }
    wait_until(PATIENCE, || server.number("client_output_buffer_limit_disconnections") == 1);
    // One that reads sees everything, however much there is.
    let mut monitor = server.client();
    monitor.ok(&["MONITOR"]);
    for _ in 0..400 {
        client.ok(&["SET", "k", &value]);
        assert!(monitor.reply() != resp::Value::Null);
    }
    assert_eq!(server.number("client_output_buffer_limit_disconnections"), 1);
}
