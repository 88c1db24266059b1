//! Walkthroughs of one primary and its replicas, each named after its id.

use crate::support::client::{bulk, text, texts};
use crate::support::data::{Writer, assert_same, fill};
use crate::support::{
    Client, Folder, PATIENCE, Product, Server, free_port, have, holds_within, missing, ours, program, redis, wait_until,
};
use resp::Value;
use std::process::{Command, Stdio};
use std::time::Duration;

/// A daemon, known by its pid file only; it is killed at the end.
struct Daemon {
    pid: String,
}

impl Daemon {
    fn runs(&self) -> bool {
        // A daemon whose parent has not been told yet is a zombie: it has ended as well.
        std::fs::read_to_string(format!("/proc/{}/stat", self.pid))
            .is_ok_and(|s| !s.rsplit(')').next().unwrap_or("").trim_start().starts_with('Z'))
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if self.runs() {
            let _ = Command::new("sh").args(["-c", &format!("kill -9 {}", self.pid)]).status();
        }
    }
}

#[test]
fn a1_stock_configuration_and_daemon() {
    let Ok(stock) = std::fs::read_to_string("/etc/redis/redis.conf") else { return missing("/etc/redis/redis.conf") };
    let folder = Folder::new();
    let mut daemons = Vec::new();
    let ports: Vec<u16> = (0..3).map(|_| free_port()).collect();
    for port in &ports {
        let dir = folder.file(&port.to_string());
        std::fs::create_dir(&dir).unwrap();
        let (file, pidfile) = (format!("{dir}/redis.conf"), format!("{dir}/redis.pid"));
        let changes = format!(
            "\ndaemonize yes\npidfile {pidfile}\nport {port}\nmaxmemory 200m\nlogfile {dir}/redis.log\ndir {dir}\nbind 0.0.0.0\nprotected-mode no\n"
        );
        std::fs::write(&file, stock.clone() + &changes).unwrap();
        let mut command = Command::new(program());
        command.args(["server", &file]).stdin(Stdio::null()).stdout(Stdio::null());
        assert!(command.status().unwrap().success(), "the daemon detaches");
        wait_until(PATIENCE, || std::fs::read_to_string(&pidfile).is_ok_and(|t| t.ends_with('\n')));
        let pid = std::fs::read_to_string(&pidfile).unwrap().trim().to_owned();
        daemons.push((Daemon { pid }, pidfile, dir));
    }
    for ((daemon, pidfile, dir), port) in daemons.iter().zip(&ports) {
        wait_until(PATIENCE, || Client::tcp(*port).is_ok_and(|mut c| c.answers()));
        let mut client = Client::tcp(*port).unwrap();
        assert_eq!(texts(&client.call(&["CONFIG", "GET", "maxmemory"])), ["maxmemory", "200000000"]);
        assert_eq!(texts(&client.call(&["CONFIG", "GET", "dir"])), ["dir", dir]);
        let info = client.text(&["INFO", "server"]);
        assert!(info.contains(&format!("process_id:{}\r\n", daemon.pid)), "{info}");
        assert!(daemon.runs());
        client.send(&["SHUTDOWN"]);
        wait_until(PATIENCE, || !daemon.runs());
        assert!(!std::path::Path::new(pidfile).exists(), "SHUTDOWN removes the pid file");
        let log = std::fs::read_to_string(format!("{dir}/redis.log")).unwrap();
        assert!(log.contains(&format!("{}:M ", daemon.pid)), "{log}");
    }
}

#[test]
fn a1_stock_file_with_options_over_it() {
    let stock = "/etc/redis/redis.conf";
    if !std::path::Path::new(stock).exists() {
        return missing(stock);
    }
    let folder = Folder::new();
    let (dir, pid, sock) = (folder.path().display().to_string(), folder.file("pid"), folder.file("sock"));
    let options = [
        stock,
        "--dir",
        &dir,
        "--daemonize",
        "no",
        "--logfile",
        "",
        "--pidfile",
        &pid,
        "--unixsocket",
        &sock,
        "--save",
        "",
    ];
    let server = ours(&options);
    server.ok(&["SET", "k", "v"]);
    assert_eq!(Client::unix(&sock).unwrap().call(&["GET", "k"]), bulk("v"));
    assert_eq!(std::fs::read_to_string(&pid).unwrap().trim(), server.pid().to_string());
}

#[test]
fn a2_three_ways_to_become_a_replica() {
    let primary = ours(&[]);
    primary.ok(&["SET", "k", "v"]);
    let port = primary.port.to_string();
    let is_replica = |server: &Server| {
        server.wait_for_link();
        assert_eq!(server.info("master_port"), port);
        server.wait_for_offset_of(&primary);
        assert_eq!(server.call(&["GET", "k"]), bulk("v"));
    };
    // In the file, and on the command line, they survive a restart.
    let folder = Folder::new();
    for (i, word) in ["slaveof", "replicaof"].into_iter().enumerate() {
        let file = folder.file(&format!("{i}.conf"));
        std::fs::write(&file, format!("{word} 127.0.0.1 {port}\nsave \"\"\n")).unwrap();
        let mut replica = ours(&[&file]);
        is_replica(&replica);
        replica.shutdown(&[]);
        replica.restart();
        is_replica(&replica);
    }
    let joined = format!("127.0.0.1 {port}");
    for options in [
        &["--slaveof", "127.0.0.1", &port, "--loglevel", "verbose"][..],
        &["--loglevel", "verbose", "--replicaof", "127.0.0.1", &port][..],
        &["--replicaof", &joined][..],
    ] {
        let mut replica = ours(options);
        is_replica(&replica);
        replica.shutdown(&[]);
        replica.restart();
        is_replica(&replica);
    }
    // At run time they do not, unless the file is rewritten.
    let file = folder.file("own.conf");
    std::fs::write(&file, "# mine\nsave \"\"\n").unwrap();
    let mut replica = ours(&[&file]);
    replica.ok(&["SLAVEOF", "127.0.0.1", &port]);
    is_replica(&replica);
    replica.shutdown(&[]);
    replica.restart();
    assert_eq!(replica.info("role"), "master");
    replica.ok(&["REPLICAOF", "127.0.0.1", &port]);
    is_replica(&replica);
    replica.ok(&["CONFIG", "REWRITE"]);
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(text.starts_with("# mine\n") && text.contains(&format!("replicaof 127.0.0.1 {port}\n")), "{text}");
    replica.shutdown(&[]);
    replica.restart();
    is_replica(&replica);
}

/// The names of a section's fields.
fn names(server: &Server, section: &str) -> Vec<String> {
    server.info_lines(section).into_iter().map(|(name, _)| name).collect()
}

const PRIMARY_FIELDS: &str = "role connected_slaves slave0 slave1 master_failover_state master_replid master_replid2 master_repl_offset second_repl_offset repl_backlog_active repl_backlog_size repl_backlog_first_byte_offset repl_backlog_histlen";
const REPLICA_FIELDS: &str = "role master_host master_port master_link_status master_last_io_seconds_ago master_sync_in_progress slave_read_repl_offset slave_repl_offset slave_priority slave_read_only replica_announced connected_slaves master_failover_state master_replid master_replid2 master_repl_offset second_repl_offset repl_backlog_active repl_backlog_size repl_backlog_first_byte_offset repl_backlog_histlen";

/// The first fields of INFO replication are those of Redis, in its order; further ones of ours may stand after them.
fn check_fields(server: &Server, expected: &str) {
    let expected: Vec<&str> = expected.split(' ').collect();
    let names = names(server, "replication");
    assert_eq!(names.iter().take(expected.len()).collect::<Vec<_>>(), expected, "{:?}", server.product);
}

#[test]
fn a3_info_replication() {
    let products = if have("redis-server") { vec![Product::Ours, Product::Redis] } else { vec![Product::Ours] };
    for product in products {
        let primary = Server::start(product, &[]);
        let replicas = [Server::start(product, &[]), Server::start(product, &[])];
        for replica in &replicas {
            replica.follow(&primary);
        }
        primary.ok(&["SET", "k", "v"]);
        replicas.iter().for_each(|r| r.wait_for_offset_of(&primary));
        check_fields(&primary, PRIMARY_FIELDS);
        if product == Product::Ours {
            // Of Valkey's, whose suite asks for it.
            assert_eq!(primary.info("replicas_waiting_psync"), "0");
        }
        let field = |name: &str| primary.info(name);
        assert_eq!(field("connected_slaves"), "2");
        // Both have acknowledged everything within a second or so.
        let end = field("master_repl_offset");
        let expected: Vec<String> =
            replicas.iter().map(|r| format!("ip=127.0.0.1,port={},state=online,offset={end},lag=", r.port)).collect();
        wait_until(PATIENCE, || {
            let shown = [field("slave0"), field("slave1")];
            field("master_repl_offset") != end || expected.iter().all(|e| shown.iter().any(|s| s.starts_with(e)))
        });
        assert_eq!(field("master_failover_state"), "no-failover");
        assert_eq!(field("master_replid").len(), 40);
        assert_eq!(field("master_replid2"), "0".repeat(40));
        assert_eq!((field("second_repl_offset"), field("repl_backlog_active")), ("-1".into(), "1".into()));
        assert_eq!(
            (field("repl_backlog_size"), field("repl_backlog_first_byte_offset")),
            ("1048576".into(), "1".into())
        );
        for replica in &replicas {
            check_fields(replica, REPLICA_FIELDS);
            assert_eq!(replica.info("master_replid"), field("master_replid"));
            for (name, value) in [
                ("role", "slave"),
                ("master_host", "127.0.0.1"),
                ("master_link_status", "up"),
                ("master_sync_in_progress", "0"),
                ("slave_priority", "100"),
                ("slave_read_only", "1"),
                ("replica_announced", "1"),
                ("connected_slaves", "0"),
            ] {
                assert_eq!(replica.info(name), value, "{name}");
            }
        }
        assert_eq!(
            texts(&replicas[0].call(&["ROLE"]))[..4],
            ["slave", "127.0.0.1", &primary.port.to_string(), "connected"]
        );
        let Value::Array(role) = primary.call(&["ROLE"]) else { panic!("ROLE") };
        assert_eq!(text(&role[0]), "master");
        assert!(matches!(&role[2], Value::Array(replicas) if replicas.len() == 2 && texts(&replicas[0]).len() == 3));
    }
}

#[test]
fn a4_writes_reach_the_replicas_and_are_refused_there() {
    let primary = ours(&[]);
    let replicas = [ours(&[]), ours(&[])];
    replicas.iter().for_each(|r| r.follow(&primary));
    primary.ok(&["SET", "k", "1"]);
    for replica in &replicas {
        wait_until(PATIENCE, || replica.call(&["GET", "k"]) == bulk("1"));
        assert_eq!(replica.text(&["SET", "k", "2"]), "READONLY You can't write against a read only replica.");
    }
    // With replica-read-only no, local writes work and go no further.
    let middle = &replicas[0];
    let leaf = ours(&[]);
    leaf.follow(middle);
    middle.ok(&["CONFIG", "SET", "replica-read-only", "no"]);
    let before = middle.number("master_repl_offset");
    middle.ok(&["SET", "local", "x"]);
    assert_eq!(middle.call(&["GET", "local"]), bulk("x"));
    assert_eq!(middle.number("master_repl_offset"), before);
    primary.ok(&["SET", "k", "3"]);
    wait_until(PATIENCE, || leaf.call(&["GET", "k"]) == bulk("3"));
    assert_eq!(leaf.call(&["GET", "local"]), Value::Null);
    assert_eq!(primary.call(&["GET", "local"]), Value::Null);
}

#[test]
fn a5_passwords_between_primary_and_replica() {
    let primary = ours(&["--requirepass", "root"]);
    let port = primary.port.to_string();
    let mut stranger = Client::tcp(primary.port).unwrap();
    assert_eq!(stranger.text(&["GET", "k"]), "NOAUTH Authentication required.");
    assert!(stranger.text(&["AUTH", "wrong"]).starts_with("WRONGPASS invalid username-password pair"));
    primary.ok(&["SET", "k", "v"]);
    for user in [&[][..], &["--masteruser", "default"][..]] {
        let options =
            [&["--requirepass", "root", "--masterauth", "root", "--replicaof", "127.0.0.1", &port][..], user].concat();
        let replica = ours(&options);
        replica.wait_for_link();
        assert_eq!(replica.call(&["GET", "k"]), bulk("v"));
    }
    // A wrong or missing one: the link stays down, the log says why, and it goes on trying.
    for (auth, word) in [(&["--masterauth", "wrong"][..], "WRONGPASS"), (&[][..], "NOAUTH")] {
        let replica = ours(&[&["--replicaof", "127.0.0.1", &port][..], auth].concat());
        wait_until(PATIENCE, || replica.log().matches(word).count() >= 2);
        assert_eq!(replica.info("master_link_status"), "down");
        replica.ok(&["CONFIG", "SET", "masterauth", "root"]);
        replica.wait_for_link();
        assert_eq!(replica.call(&["GET", "k"]), bulk("v"));
    }
}

#[test]
fn a6_a_replica_that_was_away() {
    let primary = ours(&[]);
    fill(&primary, 1000, 6);
    let port = primary.port.to_string();
    let mut kept = ours(&["--save", "3600 1", "--replicaof", "127.0.0.1", &port]);
    let mut bare = ours(&["--replicaof", "127.0.0.1", &port]);
    for replica in [&kept, &bare] {
        replica.wait_for_offset_of(&primary);
    }
    kept.shutdown(&[]);
    bare.kill();
    let full = primary.number("sync_full");
    primary.ok(&["SET", "while-away", "1"]);
    kept.restart();
    kept.wait_for_offset_of(&primary);
    assert_eq!((primary.number("sync_full"), primary.number("sync_partial_ok")), (full, 1), "{}", kept.log());
    bare.restart();
    bare.wait_for_offset_of(&primary);
    assert_eq!(primary.number("sync_full"), full + 1);
    assert_same(&primary, &kept);
    assert_same(&primary, &bare);
}

/// A primary that saves when it stops, and two replicas, with the key `k` of value `v`.
fn with_two_replicas() -> (Server, [Server; 2]) {
    let primary = ours(&["--save", "3600 1"]);
    primary.ok(&["SET", "k", "v"]);
    let port = primary.port.to_string();
    let replicas = [(); 2].map(|()| ours(&["--replicaof", "127.0.0.1", &port]));
    replicas.iter().for_each(|r| r.wait_for_offset_of(&primary));
    (primary, replicas)
}

#[test]
fn a7_the_primary_goes() {
    let (mut primary, replicas) = with_two_replicas();
    primary.shutdown(&[]);
    for replica in &replicas {
        wait_until(PATIENCE, || replica.info("master_link_status") == "down");
        assert_eq!(replica.info("role"), "slave");
        assert_eq!(replica.call(&["GET", "k"]), bulk("v"));
        let since = replica.number("master_link_down_since_seconds");
        wait_until(PATIENCE, || replica.number("master_link_down_since_seconds") > since);
    }
    replicas[0].ok(&["CONFIG", "SET", "replica-serve-stale-data", "no"]);
    assert_eq!(
        replicas[0].text(&["GET", "k"]),
        "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'."
    );
    assert!(replicas[0].text(&["INFO", "replication"]).contains("role:slave"));
}

#[test]
fn a8_the_primary_comes_back() {
    let (mut primary, replicas) = with_two_replicas();
    let id = primary.info("master_replid");
    primary.shutdown(&[]);
    // It comes back with its history, so that nothing is copied again.
    primary.restart();
    primary.ok(&["SET", "k", "w"]);
    for replica in &replicas {
        replica.wait_for_offset_of(&primary);
        assert_eq!(replica.call(&["GET", "k"]), bulk("w"));
        assert!(replica.info("master_link_down_since_seconds").is_empty());
    }
    assert_eq!(primary.number("sync_full"), 0, "{}", primary.log());
    assert_eq!(primary.number("sync_partial_ok"), 2);
    assert!([primary.info("master_replid"), primary.info("master_replid2")].contains(&id));
    // Without its history they are copied anew.
    primary.kill();
    std::fs::remove_file(primary.folder.file("dump.rdb")).unwrap();
    primary.restart();
    primary.ok(&["SET", "new", "1"]);
    for replica in &replicas {
        wait_until(PATIENCE, || replica.call(&["GET", "new"]) == bulk("1"));
        assert_eq!(replica.call(&["GET", "k"]), Value::Null);
    }
    assert_eq!(primary.number("sync_full"), 2);
}

#[test]
fn a9_chains_of_three_and_four() {
    let chain = [ours(&[]), ours(&[]), ours(&[]), ours(&[])];
    fill(&chain[0], 500, 9);
    let writer = Writer::start(&chain[0], 90);
    for pair in chain.windows(2) {
        pair[1].follow(&pair[0]);
    }
    writer.wait_for_more(500);
    writer.stop();
    assert_eq!(chain[0].info("connected_slaves"), "1");
    assert!(chain[0].info("slave0").contains(&format!("port={},", chain[1].port)));
    for server in &chain[1..] {
        assert_eq!(server.info("role"), "slave");
        assert!(server.text(&["SET", "k", "v"]).starts_with("READONLY"));
    }
    chain[0].ok(&["SET", "top", "1"]);
    wait_until(PATIENCE, || chain[3].call(&["GET", "top"]) == bulk("1"));
    wait_until(PATIENCE, || {
        let offsets: Vec<i64> = chain.iter().map(|s| s.number("master_repl_offset")).collect();
        offsets.iter().all(|o| *o == offsets[0])
    });
    for server in &chain[1..] {
        assert_eq!(server.info("master_replid"), chain[0].info("master_replid"));
        assert_same(&chain[0], server);
    }
}

#[test]
fn a11_a_promoted_replica_keeps_its_own_replicas() {
    let chain = [ours(&[]), ours(&[]), ours(&[])];
    // No expiring keys: what expires after the split is a write of the old primary's own.
    for i in 0..500 {
        chain[0].ok(&["SET", &format!("key:{i}"), &"v".repeat(i)]);
    }
    chain[1].follow(&chain[0]);
    chain[2].follow(&chain[1]);
    chain[2].wait_for_offset_of(&chain[0]);
    let (middle, leaf) = (&chain[1], &chain[2]);
    let (full, id) = (middle.number("sync_full"), chain[0].info("master_replid"));
    middle.ok(&["SLAVEOF", "NO", "ONE"]);
    assert_eq!(middle.info("role"), "master");
    assert_eq!(middle.info("master_replid2"), id);
    assert_ne!(middle.info("master_replid"), id);
    middle.ok(&["SET", "after", "1"]);
    wait_until(PATIENCE, || leaf.call(&["GET", "after"]) == bulk("1"));
    wait_until(PATIENCE, || leaf.info("master_replid") == middle.info("master_replid"));
    leaf.wait_for_offset_of(middle);
    assert_eq!(middle.number("sync_full"), full);
    assert_same(middle, leaf);
    // The old primary becomes its replica without being copied, since it has written nothing of its own.
    chain[0].follow(middle);
    chain[0].wait_for_offset_of(middle);
    assert_eq!(middle.number("sync_full"), full, "{}", middle.log());
    assert_same(middle, &chain[0]);
}

/// The `lag` of the first replica in seconds.
fn lag(primary: &Server) -> i64 {
    primary.info("slave0").rsplit("lag=").next().and_then(|l| l.split(',').next()?.parse().ok()).unwrap_or(-1)
}

#[test]
fn a12_heartbeats_and_dead_links() {
    let primary = ours(&["--repl-timeout", "4", "--repl-ping-replica-period", "1"]);
    let replica = ours(&["--repl-timeout", "4"]);
    replica.follow(&primary);
    wait_until(PATIENCE, || (0..=1).contains(&lag(&primary)));
    // PING goes down each second, and is acknowledged.
    let before = primary.number("master_repl_offset");
    wait_until(PATIENCE, || primary.number("master_repl_offset") >= before + 14);
    wait_until(PATIENCE, || {
        primary.info("slave0").contains(&format!("offset={},", primary.number("master_repl_offset")))
    });
    assert!((0..=1).contains(&lag(&primary)));
    // A frozen replica: the lag grows, then the primary drops it.
    replica.signal("STOP");
    wait_until(PATIENCE, || lag(&primary) >= 2);
    wait_until(PATIENCE, || primary.info("connected_slaves") == "0");
    replica.signal("CONT");
    replica.wait_for_link();
    wait_until(PATIENCE, || (0..=1).contains(&lag(&primary)));
    // A frozen primary: the replica drops the link, and finds it again.
    primary.signal("STOP");
    wait_until(PATIENCE, || replica.info("master_link_status") == "down");
    primary.signal("CONT");
    replica.wait_for_link();
    assert_eq!(primary.number("sync_full"), 1, "each time the rest was enough");
}

/// Full sync of a chain in which a writer writes at the top, and then comparing all.
fn replicate_under_writes(chain: &[Server], seed: u64) {
    fill(&chain[0], 4000, seed);
    let writer = Writer::start(&chain[0], seed + 1);
    writer.wait_for_more(100);
    for pair in chain.windows(2) {
        pair[1].ok(&["REPLICAOF", "127.0.0.1", &pair[0].port.to_string()]);
        writer.wait_for_more(100);
    }
    chain[1..].iter().for_each(Server::wait_for_link);
    writer.wait_for_more(300);
    // A link that breaks goes on where it stopped.
    chain[0].call(&["CLIENT", "KILL", "TYPE", "replica"]);
    writer.wait_for_more(300);
    writer.stop();
    for server in &chain[1..] {
        server.wait_for_offset_of(&chain[0]);
        assert_same(&chain[0], server);
    }
    assert_eq!(chain[0].number("sync_full"), 1, "{}", chain[0].log());
    assert_eq!(chain[0].number("sync_partial_ok"), 1, "{}", chain[0].log());
}

#[test]
fn a19_ours_follows_ours() {
    for (i, diskless) in ["yes", "no"].into_iter().enumerate() {
        let primary = ours(&["--repl-diskless-sync", diskless]);
        replicate_under_writes(&[primary, ours(&[])], 190 + i as u64);
    }
}

#[test]
fn a19_ours_follows_redis() {
    for (i, diskless) in ["yes", "no"].into_iter().enumerate() {
        let Some(primary) = redis(&["--repl-diskless-sync", diskless]) else { return };
        replicate_under_writes(&[primary, ours(&[])], 200 + i as u64);
    }
}

#[test]
fn a19_redis_follows_ours() {
    for (i, load) in ["disabled", "swapdb"].into_iter().enumerate() {
        let Some(replica) = redis(&["--repl-diskless-load", load]) else { return };
        replicate_under_writes(&[ours(&[]), replica], 210 + i as u64);
    }
}

#[test]
fn a19_chain_redis_ours_redis() {
    let (Some(top), Some(leaf)) = (redis(&[]), redis(&[])) else { return };
    replicate_under_writes(&[top, ours(&[]), leaf], 220);
}

#[test]
fn a19_chain_ours_redis_ours() {
    let Some(middle) = redis(&[]) else { return };
    replicate_under_writes(&[ours(&[]), middle, ours(&[])], 230);
}

#[test]
fn a20_moving_from_redis_to_ours_and_back() {
    let Some(old) = redis(&[]) else { return };
    fill(&old, 2000, 20);
    let new = ours(&[]);
    let writer = Writer::start(&old, 21);
    new.follow(&old);
    writer.wait_for_more(300);
    writer.stop();
    new.wait_for_offset_of(&old);
    new.ok(&["REPLICAOF", "NO", "ONE"]);
    // The clients have moved; the old one follows without a copy.
    let writer = Writer::start(&new, 22);
    old.follow(&new);
    writer.wait_for_more(300);
    writer.stop();
    old.wait_for_offset_of(&new);
    assert_same(&new, &old);
    assert!(holds_within(Duration::from_secs(1), || new.number("sync_partial_ok") == 1), "{}", new.log());
    old.ok(&["REPLICAOF", "NO", "ONE"]);
    let writer = Writer::start(&old, 23);
    new.follow(&old);
    writer.wait_for_more(300);
    writer.stop();
    new.wait_for_offset_of(&old);
    assert_same(&old, &new);
}
