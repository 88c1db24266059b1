//! Ending a save that is running: by FLUSHALL, by a stop, by an operator who insists.

use crate::support::{PATIENCE, Server, holds_within, ours, wait_until};
use std::time::{Duration, Instant};

/// A server whose saves take a second a key.
fn slow_to_save(keys: usize, options: &[&str]) -> Server {
    let server = ours(options);
    for i in 0..keys {
        server.ok(&["SET", &format!("key:{i}"), "x"]);
    }
    server.ok(&["CONFIG", "SET", "rdb-key-save-delay", "1000000"]);
    server
}

fn temporary_files(server: &Server) -> usize {
    let is_temporary = |entry: &std::fs::DirEntry| entry.file_name().to_string_lossy().starts_with("temp-");
    std::fs::read_dir(server.folder.path()).unwrap().flatten().filter(is_temporary).count()
}

fn begin_save(server: &Server) {
    assert_eq!(server.text(&["BGSAVE"]), "Background saving started");
    wait_until(PATIENCE, || server.number("rdb_bgsave_in_progress") == 1 && temporary_files(server) == 1);
}

#[test]
fn flushall_ends_a_save_of_the_old_data() {
    let server = slow_to_save(100, &[]);
    begin_save(&server);
    server.ok(&["FLUSHALL"]);
    assert_eq!(server.number("rdb_bgsave_in_progress"), 0);
    assert!(holds_within(Duration::from_secs(5), || temporary_files(&server) == 0));
    assert!(server.number("rdb_changes_since_last_save") >= 100, "nothing was saved");
    assert_eq!(server.info("rdb_last_bgsave_status"), "ok");
    assert!(!server.folder.path().join("dump.rdb").exists());
    // The next save is not disturbed by the end of the old one.
    server.ok(&["CONFIG", "SET", "rdb-key-save-delay", "0"]);
    server.ok(&["SET", "new", "x"]);
    server.text(&["BGSAVE"]);
    wait_until(PATIENCE, || server.number("rdb_bgsave_in_progress") == 0);
    assert_eq!(server.number("rdb_changes_since_last_save"), 0);
    assert!(server.folder.path().join("dump.rdb").exists());
}

#[test]
fn a_save_asked_for_after_flushall_in_one_packet_is_made() {
    let mut server = ours(&[]);
    server.ok(&["SET", "old", "x"]);
    let words = |words: &[&str]| words.iter().map(|w| w.as_bytes().to_vec()).collect::<Vec<_>>();
    let replies = server.client().pipeline(&[words(&["FLUSHALL"]), words(&["SET", "new", "x"]), words(&["BGSAVE"])]);
    assert_eq!(replies.len(), 3);
    wait_until(PATIENCE, || server.number("rdb_saves") == 1);
    server.kill();
    server.restart();
    assert_eq!((server.int(&["EXISTS", "old"]), server.int(&["EXISTS", "new"])), (0, 1));
}

#[test]
fn a_stop_does_not_wait_for_a_save_and_leaves_no_file_behind() {
    let mut server = slow_to_save(100, &[]);
    begin_save(&server);
    let began = Instant::now();
    server.shutdown(&["NOSAVE"]);
    assert!(began.elapsed() < Duration::from_secs(10));
    assert_eq!(temporary_files(&server), 0);
    assert!(!server.folder.path().join("dump.rdb").exists());
}

#[test]
fn a_second_interrupt_ends_the_last_save() {
    let mut server = slow_to_save(100, &["--save", "900 1"]);
    server.signal("INT");
    wait_until(PATIENCE, || temporary_files(&server) == 1);
    let began = Instant::now();
    server.signal("INT");
    assert_eq!(server.wait_for_end().code(), Some(1));
    assert!(began.elapsed() < Duration::from_secs(10));
    assert!(server.log().contains("You insist... exiting now."), "{}", server.log());
    assert_eq!(temporary_files(&server), 0);
    assert!(!server.folder.path().join("dump.rdb").exists());
}

/// What Redis 7.0 writes: the time of the save, the memory in use, and how long keys have not been used where the policy goes by that.
#[test]
fn a_file_says_when_it_was_made_and_how_long_keys_were_idle() {
    let mut server = ours(&["--maxmemory-policy", "allkeys-lru"]);
    server.ok(&["SET", "k", "v"]);
    wait_until(PATIENCE, || server.int(&["OBJECT", "IDLETIME", "k"]) >= 2);
    server.ok(&["SAVE"]);
    let now_s = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let output = std::process::Command::new(crate::support::program())
        .args(["check-rdb", &server.folder.file("dump.rdb")])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let aux = |name: &str| -> u64 {
        let (_, rest) =
            text.split_once(&format!("AUX FIELD {name} = '")).unwrap_or_else(|| panic!("no {name} in {text}"));
        rest.split_once('\'').unwrap().0.parse().unwrap()
    };
    assert!((now_s - 5..=now_s).contains(&aux("ctime")), "{text}");
    assert!(aux("used-mem") > 100_000, "{text}");
    let is_idle = |server: &crate::support::Server| (2..60).contains(&server.int(&["OBJECT", "IDLETIME", "k"]));
    server.kill();
    server.restart();
    assert!(is_idle(&server), "a restart keeps it");
    for diskless in ["yes", "no"] {
        server.ok(&["CONFIG", "SET", "repl-diskless-sync", diskless]);
        server.ok(&["CONFIG", "SET", "repl-diskless-sync-delay", "0"]);
        let replica = ours(&["--maxmemory-policy", "allkeys-lru"]);
        replica.follow(&server);
        assert!(is_idle(&replica), "a full sync keeps it, diskless: {diskless}");
    }
}

/// As [`a_file_says_when_it_was_made_and_how_long_keys_were_idle`], under a policy that counts uses.
#[test]
fn a_file_keeps_how_often_keys_were_used() {
    let mut server = ours(&["--maxmemory-policy", "allkeys-lfu", "--lfu-log-factor", "0"]);
    server.ok(&["SET", "k", "v"]);
    for _ in 0..50 {
        server.text(&["GET", "k"]);
    }
    let count = server.int(&["OBJECT", "FREQ", "k"]);
    assert!(count >= 50, "{count}");
    server.ok(&["SAVE"]);
    server.kill();
    server.restart();
    assert!((count - 1..=count).contains(&server.int(&["OBJECT", "FREQ", "k"])), "a restart keeps it");
    let replica = ours(&["--maxmemory-policy", "allkeys-lfu"]);
    replica.follow(&server);
    assert!((count - 1..=count).contains(&replica.int(&["OBJECT", "FREQ", "k"])), "a full sync keeps it");
}
