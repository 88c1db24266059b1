//! Scenarios A15, A16 and A18, and what sentinels read and do on a server. A17 is in `failover.rs`.

use crate::support::client::{bulk, text, texts};
use crate::support::{Client, PATIENCE, Product, Server, have, holds_within, wait_until};
use resp::Value;
use std::time::{Duration, Instant};

/// Ours, and Redis's where it is installed: both must do as the scenario says.
fn products() -> Vec<Product> {
    if have("redis-server") { vec![Product::Ours, Product::Redis] } else { vec![Product::Ours] }
}

#[test]
fn a15_without_good_replicas_writes_are_refused() {
    for product in products() {
        let primary = Server::start(product, &["--min-replicas-to-write", "1", "--min-slaves-max-lag", "2"]);
        let refused = "NOREPLICAS Not enough good replicas to write.";
        assert_eq!(primary.text(&["SET", "k", "0"]), refused);
        assert_eq!(primary.info("min_slaves_good_slaves"), "0");
        let replica = Server::start(product, &[]);
        replica.follow(&primary);
        let accepted = || primary.text(&["SET", "k", "1"]) == "OK";
        wait_until(PATIENCE, accepted);
        assert_eq!(primary.info("min_slaves_good_slaves"), "1");
        // It is there and does not answer: after the limit it is no good replica.
        replica.signal("STOP");
        let stopped = Instant::now();
        wait_until(PATIENCE, || primary.text(&["SET", "k", "2"]) == refused);
        let took = stopped.elapsed();
        assert!(Duration::from_secs(1) < took && took < Duration::from_secs(6), "{took:?}");
        assert_eq!(primary.info("connected_slaves"), "1");
        // Reads are answered; transactions and scripts of writes are refused whole.
        assert!(primary.call(&["GET", "k"]).as_bytes().is_some());
        let mut client = primary.client();
        client.ok(&["MULTI"]);
        assert_eq!(client.text(&["SET", "k", "3"]), refused);
        assert!(client.text(&["EXEC"]).starts_with("EXECABORT"));
        replica.signal("CONT");
        wait_until(PATIENCE, accepted);
        // The settings hold from the next command on.
        primary.ok(&["CONFIG", "SET", "min-slaves-to-write", "2"]);
        assert_eq!(primary.text(&["SET", "k", "4"]), refused);
        primary.ok(&["CONFIG", "SET", "min-replicas-to-write", "0"]);
        primary.ok(&["SET", "k", "4"]);
    }
}

#[test]
fn a16_wait_counts_as_redis_counts() {
    for product in products() {
        let primary = Server::start(product, &[]);
        let replicas = [Server::start(product, &[]), Server::start(product, &[])];
        replicas.iter().for_each(|r| r.follow(&primary));
        let mut client = primary.client();
        client.ok(&["SET", "k", "1"]);
        assert_eq!(client.call(&["WAIT", "2", "10000"]), Value::Int(2));
        replicas[1].signal("STOP");
        // A client that has written nothing waits for nothing that others have written.
        client.ok(&["SET", "k", "2"]);
        assert_eq!(primary.client().call(&["WAIT", "1", "0"]), Value::Int(2));
        let began = Instant::now();
        assert_eq!(client.call(&["WAIT", "1", "10000"]), Value::Int(1));
        assert!(began.elapsed() < Duration::from_secs(5), "enough have acknowledged: {:?}", began.elapsed());
        let began = Instant::now();
        assert_eq!(client.call(&["WAIT", "2", "300"]), Value::Int(1));
        assert!(began.elapsed() >= Duration::from_millis(290), "{:?}", began.elapsed());
        // In a transaction it does not wait, and counts who is as far as the stream was then: that is further than the write.
        client.ok(&["MULTI"]);
        client.text(&["WAIT", "2", "10000"]);
        let began = Instant::now();
        let counted = client.call(&["EXEC"]);
        assert!([0, 1].map(|n| Value::Array(vec![Value::Int(n)])).contains(&counted), "{counted:?}");
        assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
        assert_eq!(client.text(&["WAIT", "1", "-1"]), "ERR timeout is negative");
        replicas[1].signal("CONT");
        assert_eq!(client.call(&["WAIT", "2", "10000"]), Value::Int(2));
    }
}

#[test]
fn a18_announced_addresses_are_shown() {
    for product in products() {
        for (ip, port) in
            [("replica-announce-ip", "replica-announce-port"), ("slave-announce-ip", "slave-announce-port")]
        {
            let primary = Server::start(product, &[]);
            let [ip_option, port_option] = [format!("--{ip}"), format!("--{port}")];
            let replica = Server::start(product, &[&ip_option, "192.0.2.33", &port_option, "7777"]);
            replica.follow(&primary);
            wait_until(PATIENCE, || primary.info("slave0").starts_with("ip=192.0.2.33,port=7777,state=online,"));
            let Value::Array(role) = primary.call(&["ROLE"]) else { panic!("ROLE") };
            let Value::Array(replicas) = &role[2] else { panic!("{role:?}") };
            assert_eq!(texts(&replicas[0])[..2], ["192.0.2.33", "7777"]);
            // What is changed is announced with the next link.
            replica.ok(&["CONFIG", "SET", ip, "192.0.2.34", port, "0"]);
            primary.call(&["CLIENT", "KILL", "TYPE", "replica"]);
            let shown = format!("ip=192.0.2.34,port={},", replica.port);
            wait_until(PATIENCE, || primary.info("slave0").starts_with(&shown));
            // FAILOVER knows it by the same address.
            let refused = primary.text(&["FAILOVER", "TO", "127.0.0.1", &replica.port.to_string()]);
            assert_eq!(refused, "ERR FAILOVER target HOST and PORT is not a replica.");
        }
    }
}

/// What a sentinel does to a replica that it promotes: in one transaction.
#[test]
fn a_replica_is_promoted_as_sentinels_do_it() {
    for product in products() {
        let primary = Server::start(product, &[]);
        primary.ok(&["SET", "k", "v"]);
        let folder = crate::support::Folder::new();
        let file = folder.file("server.conf");
        std::fs::write(&file, format!("save \"\"\nreplicaof 127.0.0.1 {}\n", primary.port)).unwrap();
        let replica = Server::start(product, &[&file]);
        replica.wait_for_link();
        let mut subscriber = replica.client();
        subscriber.call(&["SUBSCRIBE", "channel"]);
        let mut other = replica.client();
        assert_eq!(other.call(&["GET", "k"]), bulk("v"));
        let mut sentinel = replica.client();
        for words in [
            &["MULTI"][..],
            &["SLAVEOF", "NO", "ONE"],
            &["CONFIG", "REWRITE"],
            &["CLIENT", "KILL", "TYPE", "normal"],
            &["CLIENT", "KILL", "TYPE", "pubsub"],
        ] {
            sentinel.send(words);
        }
        sentinel.send(&["EXEC"]);
        for expected in ["OK", "QUEUED", "QUEUED", "QUEUED", "QUEUED"] {
            assert_eq!(text(&sentinel.reply()), expected);
        }
        let Value::Array(replies) = sentinel.reply() else { panic!("EXEC") };
        assert_eq!((text(&replies[0]), text(&replies[1])), ("OK".into(), "OK".into()));
        assert!(matches!(replies[2], Value::Int(n) if n >= 1), "{replies:?}");
        assert_eq!(replies[3], Value::Int(1));
        assert!(other.is_closed() && subscriber.is_closed(), "{product:?}");
        let mut client = Client::tcp(replica.port).unwrap();
        client.ok(&["SET", "k", "w"]);
        assert!(client.text(&["INFO", "replication"]).contains("role:master"));
        let text = std::fs::read_to_string(&file).unwrap();
        assert!(!text.contains("replicaof 127"), "{text}");
    }
}

#[test]
fn the_fields_that_sentinels_read_are_there() {
    for product in products() {
        let mut primary = Server::start(product, &[]);
        let replica = Server::start(product, &["--slave-priority", "7"]);
        replica.follow(&primary);
        assert_eq!((primary.info("role"), replica.info("role")), ("master".into(), "slave".into()));
        let run_id = primary.info("run_id");
        assert!(run_id.len() == 40 && run_id.bytes().all(|b| b.is_ascii_hexdigit()), "{run_id}");
        assert_ne!(run_id, replica.info("run_id"));
        assert_eq!(replica.info("slave_priority"), "7");
        replica.ok(&["CONFIG", "SET", "replica-priority", "8", "replica-announced", "no"]);
        assert_eq!((replica.info("slave_priority"), replica.info("replica_announced")), ("8".into(), "0".into()));
        assert_eq!(
            (replica.info("master_host"), replica.info("master_port")),
            ("127.0.0.1".into(), primary.port.to_string())
        );
        primary.ok(&["SET", "k", "v"]);
        let same = || replica.info("slave_repl_offset") == primary.info("master_repl_offset");
        assert!(holds_within(PATIENCE, same));
        assert!(replica.info("master_link_down_since_seconds").is_empty());
        // A restart is another run.
        primary.shutdown(&[]);
        wait_until(PATIENCE, || replica.info("master_link_status") == "down");
        wait_until(PATIENCE, || replica.number("master_link_down_since_seconds") >= 1);
        primary.restart();
        assert_ne!(primary.info("run_id"), run_id);
    }
}
