//! Walkthroughs with sentinels, each named after its id. Those that a real Redis can walk, it walks too: what is
//! expected here is what it does.

use crate::support::client::{bulk, text};
use crate::support::data::fill;
use crate::support::sentinel::{Group, NAME, Published, Sentinel, event_of_line};
use crate::support::{Folder, PATIENCE, Product, Server, holds_within, ours, products, program, wait_until};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Soon enough for a test, and long enough for a machine that halts all of them for a second: who was down for so long would be
/// replaced, and then nothing is as expected.
const DOWN_AFTER_MS: u32 = 2000;

type Events = Vec<(String, String)>;

fn event(name: &str, text: impl Into<String>) -> (String, String) {
    (name.to_owned(), text.into())
}

/// The lines of a sentinel's file that begin so, sorted.
fn lines(file: &str, start: &str) -> Vec<String> {
    let mut lines: Vec<String> = file.lines().filter(|l| l.starts_with(start)).map(str::to_owned).collect();
    lines.sort();
    lines
}

#[test]
fn b1_one_sentinel_finds_the_replicas_and_keeps_its_file() {
    for product in products() {
        let group = Group::start(product, 2, &[]);
        let comment = "# mine\n";
        for by_option in [&[][..], &["--sentinel"]] {
            let lines_given = format!("{comment}{}", group.watched(1, 30_000, ""));
            let mut sentinel = Sentinel::start_with(product, &lines_given, by_option);
            sentinel.wait_to_know(2, 0);
            let id = sentinel.text(&["SENTINEL", "MYID"]);
            assert_eq!(id.len(), 40);
            assert!(sentinel.log().contains(&format!(" Sentinel ID is {id}\n")), "{}", sentinel.log());
            assert!(
                sentinel
                    .logged_events()
                    .contains(&event("+monitor", format!("master {} quorum 1", group.primary_text(0)))),
                "{}",
                sentinel.log()
            );
            for replica in [1, 2] {
                sentinel.wait_for_event("+slave", &group.replica_text(replica, 0));
            }
            let mut replicas: Vec<String> =
                [1, 2].map(|r| format!("sentinel known-replica {NAME} {}", group.place(r))).into();
            replicas.sort();
            let mut file = String::new();
            let complete = holds_within(PATIENCE, || {
                file = sentinel.file();
                lines(&file, "sentinel known-replica ") == replicas
            });
            assert!(complete, "{file}");
            for line in [
                format!("sentinel monitor {NAME} {} 1", group.place(0)),
                format!("sentinel myid {id}"),
                "sentinel current-epoch 0".into(),
                format!("sentinel config-epoch {NAME} 0"),
                format!("sentinel leader-epoch {NAME} 0"),
                comment.trim_end().into(),
            ] {
                assert!(file.lines().any(|l| l == line), "{line} is not in\n{file}");
            }
            // It is the same sentinel after a restart, and knows at once what it knew.
            sentinel.kill();
            sentinel.restart();
            assert_eq!(sentinel.text(&["SENTINEL", "MYID"]), id);
            assert_eq!(sentinel.list("REPLICAS").len(), 2);
        }
    }
}

#[test]
fn b1_the_file_is_whole_at_every_moment() {
    let group = Group::start(Product::Ours, 1, &[]);
    let sentinel = Sentinel::start(Product::Ours, &group.watched(1, 30_000, ""));
    sentinel.wait_to_know(1, 0);
    sentinel.ok(&["SENTINEL", "FLUSHCONFIG"]);
    let (done, path) = (AtomicBool::new(false), sentinel.folder.file("sentinel.conf"));
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut reads = 0;
            while !done.load(Ordering::Relaxed) {
                let file = std::fs::read_to_string(&path).unwrap();
                let whole = file.starts_with("port ") && file.contains("sentinel known-replica ");
                assert!(whole && file.contains("sentinel current-epoch 0\n"), "{file}");
                reads += 1;
            }
            reads
        });
        for i in 0..200 {
            sentinel.ok(&["SENTINEL", "SET", NAME, "parallel-syncs", &(i % 7 + 1).to_string()]);
            sentinel.ok(&["SENTINEL", "FLUSHCONFIG"]);
        }
        done.store(true, Ordering::Relaxed);
        assert!(reader.join().unwrap() > 0);
    });
    let mut names: Vec<String> = std::fs::read_dir(sentinel.folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    assert_eq!(names, ["log", "sentinel.conf"], "nothing is left behind");
}

/// Starts our program with these words; its exit status and what it said.
fn start_in_vain(mut command: Command) -> (i32, String) {
    let output = command.stdin(Stdio::null()).output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.code().unwrap(), String::from_utf8_lossy(&said).into_owned())
}

fn our_sentinel(words: &[&str]) -> Command {
    let mut command = Command::new(program());
    command.arg("sentinel").args(words);
    command
}

#[test]
fn b1_a_sentinel_that_cannot_keep_its_state_does_not_start() {
    let (status, said) = start_in_vain(our_sentinel(&[]));
    assert!(status == 1 && said.contains("Sentinel needs a config file on disk"), "{status} {said}");
    let folder = Folder::new();
    let missing = folder.file("missing.conf");
    let (status, said) = start_in_vain(our_sentinel(&[&missing]));
    assert!(status == 1 && said.contains(&format!("can't open config file '{missing}'")), "{status} {said}");
    // A file, or its folder, that may be read only. What root may do says nothing, so somebody else tries.
    let file = folder.file("sentinel.conf");
    std::fs::write(&file, "port 26379\nsentinel monitor mymaster 127.0.0.1 1 1\n").unwrap();
    let mode = |path: &std::path::Path, mode: u32| {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    for (file_mode, folder_mode, complaint) in
        [(0o444, 0o777, "sentinel.conf is not writable"), (0o666, 0o555, "cannot be replaced")]
    {
        mode(std::path::Path::new(&file), file_mode);
        mode(folder.path(), folder_mode);
        let mut command = Command::new("setpriv");
        command.args(["--reuid", "65534", "--clear-groups", program(), "sentinel", &file]);
        let (status, said) = start_in_vain(command);
        mode(folder.path(), 0o777);
        assert!(status == 1 && said.contains(complaint), "{status} {said}");
    }
}

#[test]
fn b1_a_line_that_makes_no_sense_is_named_with_its_reason() {
    let folder = Folder::new();
    let script = folder.file("script");
    std::fs::write(&script, "#!/bin/sh\n").unwrap();
    let file = folder.file("sentinel.conf");
    let monitor = "sentinel monitor mymaster 127.0.0.1 6379 1";
    for (line, reason) in [
        ("sentinel monitor other 127.0.0.1 6379 0", "Quorum must be 1 or greater."),
        ("sentinel monitor other 127.0.0.1 70000 1", "Invalid port number"),
        ("sentinel monitor other no.such.host.invalid 6379 1", "Can't resolve instance hostname."),
        (monitor, "Duplicate master name."),
        ("sentinel down-after-milliseconds nobody 1000", "No such master with specified name."),
        ("sentinel down-after-milliseconds mymaster 0", "negative or zero time parameter."),
        ("sentinel parallel-syncs mymaster many", "Invalid number of parallel syncs"),
        ("sentinel frobnicate mymaster 1", "Unrecognized sentinel configuration statement."),
        ("sentinel myid short", "Malformed Sentinel id in myid option."),
        ("sentinel deny-scripts-reconfig maybe", "Please specify yes or no for the deny-scripts-reconfig options."),
        ("sentinel resolve-hostnames maybe", "Please specify yes or no for the resolve-hostnames option."),
        ("sentinel auth-pass mymaster \"open", "Unbalanced quotes in configuration line"),
        ("frobnicate yes", "Bad directive or wrong number of arguments"),
    ] {
        std::fs::write(&file, format!("port 26379\n{monitor}\n# a comment\n{line}\n")).unwrap();
        let (status, said) = start_in_vain(our_sentinel(&[&file]));
        let named = said.contains("at line 4\n") && said.contains(&format!(">>> '{line}'\n"));
        assert!(status == 1 && named && said.contains(reason), "{line}: {status} {said}");
    }
    for (option, complaint) in [
        ("notification-script", "Notification script seems non existing or non executable"),
        ("client-reconfig-script", "Client reconfiguration script seems non existing or non executable"),
    ] {
        for path in [&script, "/no/such/script"] {
            std::fs::write(&file, format!("port 26379\n{monitor}\nsentinel {option} mymaster {path}\n")).unwrap();
            let (status, said) = start_in_vain(our_sentinel(&[&file]));
            assert!(status == 1 && said.contains(complaint) && said.contains(path), "{option}: {status} {said}");
        }
    }
}

#[test]
fn b2_a_replica_dies_and_comes_back() {
    for product in products() {
        let mut group = Group::start(product, 2, &[]);
        let sentinel = Sentinel::start(product, &group.watched(1, DOWN_AFTER_MS, ""));
        sentinel.hurry();
        sentinel.wait_to_know(2, 0);
        let published = Published::by(&sentinel);
        let text = group.replica_text(1, 0);
        let killed = Instant::now();
        group.0[1].kill();
        published.wait_for("+sdown", &text);
        // The last answer to a PING may be as old as the time between two of them.
        assert!(killed.elapsed() > Duration::from_millis(u64::from(DOWN_AFTER_MS) / 2), "{:?}", killed.elapsed());
        let primary_port = group.0[0].port.to_string();
        group.0[1].restart_with(&["--replicaof", "127.0.0.1", &primary_port]);
        published.wait_for("-sdown", &text);
        let seen: Events = published.events().into_iter().filter(|(_, t)| *t == text).collect();
        assert_eq!(
            seen,
            [event("+sdown", &text), event("+reboot", &text), event("-sdown", &text)],
            "{product:?} {}",
            sentinel.log()
        );
        let logged: Events =
            sentinel.logged_events().into_iter().filter(|(n, t)| n != "+slave" && *t == text).collect();
        assert_eq!(logged, seen, "{product:?}");
    }
}

/// A fail-over of a dead primary by one sentinel.
struct Failover {
    group: Group,
    sentinel: Sentinel,
    published: Published,
    /// Which server is the primary now.
    promoted: usize,
}

fn fail_over(product: Product) -> Failover {
    let mut group = Group::start(product, 2, &[]);
    fill(&group.0[0], 100, 3);
    group.0[1].wait_for_offset_of(&group.0[0]);
    group.0[2].wait_for_offset_of(&group.0[0]);
    let sentinel = Sentinel::start(product, &group.watched(1, DOWN_AFTER_MS, ""));
    sentinel.hurry();
    sentinel.wait_to_know(2, 0);
    let published = Published::by(&sentinel);
    group.0[0].kill();
    let promoted = group.number_of(sentinel.wait_for_switch_from(group.0[0].port));
    published.wait_for("+sdown", &group.replica_text(0, promoted));
    Failover { group, sentinel, published, promoted }
}

#[test]
fn b3_the_primary_dies() {
    for product in products() {
        let Failover { group, sentinel, published, promoted } = fail_over(product);
        let other = 3 - promoted;
        let primary = format!("master {}", group.primary_text(0));
        let (chosen, rest) = (group.replica_text(promoted, 0), group.replica_text(other, 0));
        let id = sentinel.text(&["SENTINEL", "MYID"]);
        let expected = [
            event("+sdown", &primary),
            event("+odown", format!("{primary} #quorum 1/1")),
            event("+new-epoch", "1"),
            event("+try-failover", &primary),
            event("+vote-for-leader", format!("{id} 1")),
            event("+elected-leader", &primary),
            event("+failover-state-select-slave", &primary),
            event("+selected-slave", &chosen),
            event("+failover-state-send-slaveof-noone", &chosen),
            event("+failover-state-wait-promotion", &chosen),
            event("+promoted-slave", &chosen),
            event("+failover-state-reconf-slaves", &primary),
            event("+slave-reconf-sent", &rest),
            event("+slave-reconf-inprog", &rest),
            event("+slave-reconf-done", &rest),
            event("+failover-end", &primary),
            event("+switch-master", format!("{} {}", group.primary_text(0), group.place(promoted))),
            event("+slave", group.replica_text(other, promoted)),
            event("+slave", group.replica_text(0, promoted)),
            event("+sdown", group.replica_text(0, promoted)),
        ];
        // What is logged by the level `verbose` only is published nevertheless.
        let mut all = expected.to_vec();
        all.insert(10, event("-role-change", format!("{chosen} new reported role is master")));
        assert_eq!(published.events(), all, "{product:?}\n{}", sentinel.log());
        // The log says the same: from +sdown on, since before it stands how the replicas were found.
        let logged: Events = sentinel.logged_events().into_iter().skip_while(|(name, _)| name != "+sdown").collect();
        assert_eq!(logged, expected, "{product:?}");
        let log = sentinel.log();
        let (pid, mark) = (format!("{}:X ", sentinel.pid()), format!(" # +odown {primary} #quorum 1/1"));
        let line = log.lines().find(|l| l.contains("+odown")).unwrap();
        assert!(line.starts_with(&pid) && line.ends_with(&mark), "{line}");
        assert_eq!(event_of_line(line), Some(expected[1].clone()));
        // Notices are marked as such.
        assert!(log.lines().any(|l| l.ends_with(&format!(" * +slave {}", group.replica_text(0, promoted)))), "{log}");
        // And so says its file.
        let file = sentinel.file();
        for line in [
            format!("sentinel monitor {NAME} {} 1", group.place(promoted)),
            "sentinel current-epoch 1".into(),
            format!("sentinel config-epoch {NAME} 1"),
            format!("sentinel leader-epoch {NAME} 1"),
            format!("sentinel known-replica {NAME} {}", group.place(0)),
            format!("sentinel known-replica {NAME} {}", group.place(other)),
        ] {
            assert!(file.lines().any(|l| l == line), "{product:?}: {line} is not in\n{file}");
        }
        group.0[promoted].ok(&["SET", "after", "yes"]);
        group.0[other].wait_for_offset_of(&group.0[promoted]);
        assert_eq!(group.0[other].call(&["GET", "after"]), bulk("yes"));
        if product == Product::Ours {
            // Its data is that of the new primary: nothing had to be copied.
            assert_eq!(group.0[promoted].info("sync_full"), "0");
            assert_eq!(group.0[promoted].info("sync_partial_ok"), "1");
        }
    }
}

#[test]
fn b4_the_old_primary_comes_back() {
    for product in products() {
        let Failover { mut group, sentinel, published, promoted } = fail_over(product);
        group.0[promoted].ok(&["SET", "after", "yes"]);
        let seen = published.events().len();
        group.0[0].restart();
        let old = group.replica_text(0, promoted);
        published.wait_for("+convert-to-slave", &old);
        let events = published.events().split_off(seen);
        let events: Events = events.into_iter().filter(|(name, _)| !name.ends_with("role-change")).collect();
        assert_eq!(events, [event("-sdown", &old), event("+convert-to-slave", &old)], "{product:?}");
        group.wait_for_replicas(promoted);
        group.0[0].wait_for_offset_of(&group.0[promoted]);
        assert_eq!(group.0[0].call(&["GET", "after"]), bulk("yes"));
        assert_eq!(group.0[0].call(&["DBSIZE"]), group.0[promoted].call(&["DBSIZE"]));
        assert!(text(&group.0[0].call(&["SET", "k", "v"])).starts_with("READONLY "));
        sentinel.wait_to_know(2, 0);
    }
}

/// Sentinels that watch the same group and know each other.
fn sentinels(product: Product, group: &Group, count: usize, quorum: u32) -> Vec<Sentinel> {
    let lines = group.watched(quorum, DOWN_AFTER_MS, &format!("sentinel failover-timeout {NAME} 5000\n"));
    let sentinels: Vec<Sentinel> = (0..count).map(|_| Sentinel::start(product, &lines)).collect();
    sentinels.iter().for_each(Sentinel::hurry);
    sentinels.iter().for_each(|s| s.wait_to_know(group.0.len() - 1, count - 1));
    sentinels
}

#[test]
fn b5_three_sentinels_agree() {
    for product in products() {
        let mut group = Group::start(product, 2, &[]);
        let mut sentinels = sentinels(product, &group, 3, 2);
        // They have found each other, and know so after a restart.
        for sentinel in &sentinels {
            let ids: Vec<String> = sentinels.iter().map(|s| s.text(&["SENTINEL", "MYID"])).collect();
            let own = sentinel.text(&["SENTINEL", "MYID"]);
            for (other, id) in sentinels.iter().zip(&ids).filter(|(_, id)| **id != own) {
                let line = format!("sentinel known-sentinel {NAME} 127.0.0.1 {} {id}\n", other.port);
                wait_until(PATIENCE, || sentinel.file().contains(&line));
                let text = format!("sentinel {id} 127.0.0.1 {} @ {}", other.port, group.primary_text(0));
                sentinel.wait_for_event("+sentinel", &text);
            }
            assert!(sentinel.text(&["SENTINEL", "CKQUORUM", NAME]).starts_with("OK 3 usable Sentinels."));
        }
        // The primary and a sentinel die together.
        sentinels.pop();
        group.0[0].kill();
        let promoted = sentinels[0].wait_for_switch_from(group.0[0].port);
        assert_eq!(sentinels[1].wait_for_switch_from(group.0[0].port), promoted);
        let number = group.number_of(promoted);
        wait_until(PATIENCE, || {
            group.0[3 - number].info("master_port") == promoted.to_string()
                && group.0[3 - number].info("master_link_status") == "up"
        });
        let count = |name: &str| -> usize {
            sentinels.iter().map(|s| s.logged_events().iter().filter(|(n, _)| n == name).count()).sum()
        };
        // One of them led, the other one followed; both agree on the epoch.
        wait_until(PATIENCE, || count("+switch-master") == 2);
        assert_eq!(count("+elected-leader"), 1, "{product:?}");
        if product == Product::Ours {
            // What they told each other about the old primary is not held against the new one; with Redis it is, for a while.
            for sentinel in &sentinels {
                assert!(sentinel.list("SENTINELS").iter().all(|s| !s["flags"].contains("master_down")));
            }
        }
        assert_eq!(sentinels[0].primary("config-epoch"), sentinels[1].primary("config-epoch"));
        assert_eq!(group.0[number].info("role"), "master");
        // Nobody voted twice in an epoch.
        for sentinel in &sentinels {
            let mut epochs: Vec<String> = sentinel
                .logged_events()
                .into_iter()
                .filter(|(name, _)| name == "+vote-for-leader")
                .map(|(_, text)| text.split(' ').nth(1).unwrap().to_owned())
                .collect();
            let votes = epochs.len();
            epochs.sort();
            epochs.dedup();
            assert_eq!(epochs.len(), votes, "{}", sentinel.log());
        }
    }
}

#[test]
fn b5_without_a_majority_nothing_happens() {
    let mut group = Group::start(Product::Ours, 1, &[]);
    // Even if the quorum is so small that it alone finds the primary dead.
    let mut all = sentinels(Product::Ours, &group, 3, 1);
    all[1].kill();
    all[2].kill();
    let sentinel = &all[0];
    sentinel.ok(&["SENTINEL", "DEBUG", "ELECTION-TIMEOUT", "500"]);
    wait_until(PATIENCE, || sentinel.list("SENTINELS").iter().all(|s| s["flags"].contains("s_down")));
    let said = sentinel.text(&["SENTINEL", "CKQUORUM", NAME]);
    assert_eq!(
        said,
        "NOQUORUM 1 usable Sentinels. Not enough available Sentinels to reach the majority and authorize a failover"
    );
    group.0[0].kill();
    // It tries, and is not elected, twice.
    let failed = || sentinel.logged_events().iter().filter(|(n, _)| n == "-failover-abort-not-elected").count();
    wait_until(PATIENCE, || failed() >= 2);
    assert_eq!(sentinel.primary_port(), group.0[0].port);
    assert_eq!(group.0[1].info("role"), "slave");
    assert!(sentinel.logged_events().iter().all(|(name, _)| name != "+elected-leader"));
    // Two of three are a majority.
    all[1].restart();
    assert_eq!(all[0].wait_for_switch_from(group.0[0].port), group.0[1].port);
}

#[test]
fn b6_one_sentinel_watches_several_primaries() {
    let mut pairs: Vec<(Server, Server)> = (0..3)
        .map(|_| {
            let (primary, replica) = (ours(&[]), ours(&[]));
            replica.follow(&primary);
            (primary, replica)
        })
        .collect();
    let lines: String = pairs
        .iter()
        .enumerate()
        .map(|(i, (primary, _))| {
            let port = primary.port;
            format!(
                "sentinel monitor group{i} 127.0.0.1 {port} 1\nsentinel down-after-milliseconds group{i} {DOWN_AFTER_MS}\n"
            )
        })
        .collect();
    let sentinel = Sentinel::start(Product::Ours, &lines);
    sentinel.hurry();
    let master = |i: usize, field: &str| -> String {
        sentinel.fields(&["SENTINEL", "MASTER", &format!("group{i}")])[field].clone()
    };
    wait_until(PATIENCE, || (0..3).all(|i| master(i, "num-slaves") == "1"));
    pairs[0].0.kill();
    pairs[2].0.kill();
    for i in [0, 2] {
        wait_until(PATIENCE, || master(i, "port") == pairs[i].1.port.to_string());
        assert_eq!(pairs[i].1.info("role"), "master");
    }
    assert_eq!(master(1, "port"), pairs[1].0.port.to_string());
    assert_eq!((master(1, "flags").as_str(), master(1, "config-epoch").as_str()), ("master", "0"));
    let of_the_healthy = |(name, text): (String, String)| text.contains("group1").then_some(name);
    let names: Vec<String> = sentinel.logged_events().into_iter().filter_map(of_the_healthy).collect();
    assert_eq!(names, ["+monitor", "+slave"]);
    let info = sentinel.text(&["INFO", "sentinel"]);
    assert!(info.contains("sentinel_masters:3\r\n"), "{info}");
    for (i, (_, replica)) in pairs.iter().enumerate() {
        let (address, count) = if i == 1 { (pairs[1].0.port, 1) } else { (replica.port, 1) };
        let line = format!("name=group{i},status=ok,address=127.0.0.1:{address},slaves={count},sentinels=1\r\n");
        assert!(info.contains(&line), "{line}\n{info}");
    }
}
