//! Scenario B8, the options: scripts, passwords, renamed commands, names instead of addresses, restarts of the primary.
//! Where nothing else is said, real sentinels walk the same way over their own servers.

use crate::support::client::{text, texts};
use crate::support::sentinel::{Group, NAME, Published, Sentinel};
use crate::support::{Folder, PATIENCE, Product, Server, have, holds_within, ours, products, wait_until};
use resp::Value;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

/// Soon enough for a test, long enough for a busy machine.
const DOWN_AFTER_MS: u32 = 1000;

/// Makes an executable script that adds its arguments as a line to a file of this name, and then does `more`.
fn script(folder: &Folder, name: &str, more: &str) -> String {
    let (path, out) = (folder.file(name), folder.file(&format!("{name}.out")));
    let body = format!("#!/bin/sh\nIFS='|'\necho \"$*\" >> {out}\n{more}\n");
    std::fs::write(&path, body).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path
}

/// The lines that a script has written, sorted: several may run at a time.
fn written(folder: &Folder, name: &str) -> Vec<String> {
    let text = std::fs::read_to_string(folder.file(&format!("{name}.out"))).unwrap_or_default();
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

/// Kills the primary of a group and waits until its sentinel has made the only replica the new one.
#[track_caller]
fn fails_over(group: &mut Group, sentinel: &Sentinel) {
    group.0[0].kill();
    assert_eq!(sentinel.wait_for_switch_from(group.0[0].port), group.0[1].port);
    let switch = format!("{} {}", group.primary_text(0), group.place(1));
    sentinel.wait_for_event("+switch-master", &switch);
    assert_eq!(group.0[1].info("role"), "master");
}

#[test]
fn b8_scripts_are_told() {
    for product in products() {
        let mut group = Group::start(product, 1, &[]);
        let folder = Folder::new();
        let sentinels: Vec<Sentinel> = ["first", "second"]
            .map(|name| {
                let notify = script(&folder, &format!("{name}-notify"), "exit 0");
                let reconfig = script(&folder, &format!("{name}-reconfig"), "exit 0");
                let lines = format!(
                    "sentinel notification-script {NAME} {notify}\nsentinel client-reconfig-script {NAME} {reconfig}\n"
                );
                Sentinel::start(product, &group.watched(2, DOWN_AFTER_MS, &lines))
            })
            .into();
        sentinels.iter().for_each(Sentinel::hurry);
        sentinels.iter().for_each(|s| s.wait_to_know(1, 1));
        let notify = format!("{}/first-notify", folder.path().display());
        assert_eq!(sentinels[0].primary("notification-script"), notify);
        fails_over(&mut group, &sentinels[0]);
        let switch = format!("{} {}", group.primary_text(0), group.place(1));
        sentinels[1].wait_for_event("+switch-master", &switch);
        let down = group.replica_text(0, 1);
        for (sentinel, name) in sentinels.iter().zip(["first", "second"]) {
            sentinel.wait_for_event("+sdown", &down);
            // All that is logged as a warning was told, and nothing else.
            let warnings = || -> Vec<String> {
                let log = sentinel.log();
                let events = log.lines().filter_map(|line| line.split_once(" # ").map(|(_, event)| event));
                let events = events.filter(|event| event.starts_with(['+', '-']));
                let mut told: Vec<String> = events.map(|event| event.replacen(' ', "|", 1)).collect();
                told.sort();
                told
            };
            let name = format!("{name}-notify");
            let same = holds_within(PATIENCE, || written(&folder, &name) == warnings());
            assert!(same, "{product:?}\n{:#?}\n{:#?}", written(&folder, &name), warnings());
            assert!(written(&folder, &name).contains(&format!("+switch-master|{switch}")));
        }
        // One has led, the other one looked on; clients are told by both.
        let from_to = format!("start|{}|{}", group.place(0), group.place(1)).replace(' ', "|");
        let reconfigured = || [written(&folder, "first-reconfig"), written(&folder, "second-reconfig")].concat();
        let expected = ["leader", "observer"].map(|role| format!("{NAME}|{role}|{from_to}"));
        let complete = holds_within(PATIENCE, || {
            let mut lines = reconfigured();
            lines.sort();
            lines == expected
        });
        assert!(complete, "{product:?} {:?}", reconfigured());
    }
}

#[test]
fn b8_scripts_are_tried_again_and_killed() {
    for product in products() {
        let group = Group::start(product, 1, &[]);
        let folder = Folder::new();
        let sentinel = Sentinel::start(product, &group.watched(1, 30_000, "sentinel deny-scripts-reconfig no\n"));
        sentinel.ok(&["SENTINEL", "DEBUG", "SCRIPT-RETRY-DELAY", "2"]);
        let published = Published::by(&sentinel);
        let set = |option: &str, value: &str| sentinel.ok(&["SENTINEL", "SET", NAME, option, value]);
        let errors = || published.events().iter().filter(|(name, _)| name == "-script-error").count();
        // Status 1 asks for another try, ten in all.
        let again = script(&folder, "again", "exit 1");
        set("notification-script", &again);
        published.wait_for("-script-error", &format!("{again} 0 1"));
        assert_eq!(
            written(&folder, "again"),
            vec![format!("+set|master {} notification-script {again}", group.primary_text(0)); 10]
        );
        // Any other status is final.
        let never = script(&folder, "never", "exit 2");
        set("notification-script", &never);
        published.wait_for("-script-error", &format!("{never} 0 2"));
        assert_eq!(written(&folder, "never").len(), 1);
        assert_eq!(errors(), 2);
        // What takes too long is killed, and tried again as well.
        sentinel.ok(&["SENTINEL", "DEBUG", "SCRIPT-MAX-RUNTIME", "100"]);
        let long = script(&folder, "long", "exec sleep 600");
        set("notification-script", &long);
        wait_until(PATIENCE, || text(&sentinel.call(&["INFO", "sentinel"])).contains("sentinel_running_scripts:1\r\n"));
        published.wait_for("-script-error", &format!("{long} 9 0"));
        let timeouts = published.events().into_iter().filter(|(name, text)| {
            name == "-script-timeout"
                && text.strip_prefix(&format!("{long} ")).is_some_and(|pid| pid.parse::<u32>().is_ok_and(|p| p > 1))
        });
        assert_eq!(timeouts.count(), 10);
        // On a busy machine one may be killed before it has begun to write.
        assert!((1..=10).contains(&written(&folder, "long").len()));
        // Those that wait or run can be seen.
        sentinel.ok(&["SENTINEL", "DEBUG", "SCRIPT-RETRY-DELAY", "30000", "SCRIPT-MAX-RUNTIME", "60000"]);
        set("notification-script", &again);
        let mut shown = Vec::new();
        let scheduled = holds_within(PATIENCE, || {
            let Value::Array(jobs) = sentinel.call(&["SENTINEL", "PENDING-SCRIPTS"]) else { panic!() };
            let Some(Value::Array(job)) = jobs.first() else { return false };
            shown.clone_from(job);
            text(&job[3]) == "scheduled" && text(&job[9]) == "1"
        });
        assert!(scheduled && shown.len() == 10, "{shown:?}");
        let names: Vec<String> = shown.iter().step_by(2).map(text).collect();
        assert_eq!(names, ["argv", "flags", "pid", "run-delay", "retry-num"]);
        let argv = texts(&shown[1]);
        assert_eq!(argv[..2], [again.clone(), "+set".into()]);
        assert_eq!(text(&shown[5]), "0");
        let delay: u32 = text(&shown[7]).parse().unwrap();
        assert!((20_000..=30_000).contains(&delay), "{delay}");
        let file = sentinel.file();
        assert!(
            file.lines().any(|l| l.replace('"', "") == format!("sentinel notification-script {NAME} {again}")),
            "{file}"
        );
    }
}

#[test]
fn b8_the_password_of_the_servers() {
    for product in products() {
        let mut group = Group(
            (0..2).map(|_| Server::start(product, &["--requirepass", "secret", "--masterauth", "secret"])).collect(),
        );
        group.0[1].follow(&group.0[0]);
        group.wait_for_replicas(0);
        let lines = group.watched(
            1,
            DOWN_AFTER_MS,
            &format!("sentinel auth-pass {NAME} wrong\nsentinel failover-timeout {NAME} 1000\n"),
        );
        let sentinel = Sentinel::start(product, &lines);
        sentinel.hurry();
        let primary = format!("master {}", group.primary_text(0));
        // Without the right one it sees nothing: the primary is as good as down.
        sentinel.wait_for_event("+sdown", &primary);
        assert_eq!(sentinel.primary("num-slaves"), "0");
        sentinel.ok(&["SENTINEL", "SET", NAME, "auth-pass", "secret"]);
        sentinel.wait_for_event("-sdown", &primary);
        sentinel.wait_for_event("+set", &format!("{primary} auth-pass ******"));
        assert!(sentinel.file().lines().any(|l| l.replace('"', "") == format!("sentinel auth-pass {NAME} secret")));
        sentinel.wait_to_know(1, 0);
        fails_over(&mut group, &sentinel);
    }
}

/// Users are Redis's, since our servers have none but the default one yet.
#[test]
fn b8_a_user_of_the_servers() {
    if !have("redis-server") {
        return;
    }
    // What the documentation gives to a user of sentinels.
    let rights = "allchannels -@all +multi +slaveof +ping +exec +subscribe +config|rewrite +role +publish +info \
                  +client|setname +client|kill +script|kill";
    for product in products() {
        let mut group = Group::start(Product::Redis, 1, &[]);
        for server in &group.0 {
            let words = format!("ACL SETUSER watcher on >pw {rights}");
            server.ok(&words.split_whitespace().collect::<Vec<_>>());
            server.ok(&["CONFIG", "SET", "masteruser", "default"]);
        }
        let lines = format!("sentinel auth-user {NAME} watcher\nsentinel auth-pass {NAME} pw\n");
        let sentinel = Sentinel::start(product, &group.watched(1, DOWN_AFTER_MS, &lines));
        sentinel.hurry();
        sentinel.wait_to_know(1, 0);
        let users = group.0[1].text(&["CLIENT", "LIST"]);
        assert_eq!(users.lines().filter(|l| l.contains("name=sentinel-") && l.contains(" user=watcher ")).count(), 2);
        fails_over(&mut group, &sentinel);
    }
}

#[test]
fn b8_passwords_of_the_sentinels() {
    for product in products() {
        for own in
            ["", "sentinel sentinel-pass hidden\n", "sentinel sentinel-user default\nsentinel sentinel-pass hidden\n"]
        {
            let mut group = Group::start(product, 1, &[]);
            let lines = group.watched(2, DOWN_AFTER_MS, own);
            let sentinels: Vec<Sentinel> =
                (0..2).map(|_| Sentinel::start(product, &format!("requirepass hidden\n{lines}"))).collect();
            sentinels.iter().for_each(Sentinel::hurry);
            sentinels.iter().for_each(|s| s.wait_to_know(1, 1));
            let mut stranger = crate::support::Client::tcp(sentinels[0].port).unwrap();
            for command in [&["SENTINEL", "MASTERS"][..], &["PING"], &["ROLE"]] {
                assert_eq!(stranger.text(command), "NOAUTH Authentication required.");
            }
            stranger.ok(&["AUTH", "default", "hidden"]);
            assert_eq!(stranger.text(&["PING"]), "PONG");
            // Votes are asked for on the same links.
            fails_over(&mut group, &sentinels[0]);
        }
    }
}

#[test]
fn b8_renamed_commands() {
    let renamed = "SLAVEOF obey CONFIG settings CLIENT visitor INFO news PUBLISH shout";
    let pairs: Vec<(&str, &str)> =
        renamed.split(' ').collect::<Vec<_>>().chunks(2).map(|pair| (pair[0], pair[1])).collect();
    for product in products() {
        let mut options = Vec::new();
        for (from, to) in &pairs {
            options.extend(["--rename-command", from, to]);
        }
        let mut servers: Vec<Server> = (0..2).map(|_| Server::start(product, &options)).collect();
        let mut group_lines = String::new();
        for (from, to) in &pairs {
            group_lines += &format!("sentinel rename-command {NAME} {from} {to}\n");
        }
        servers[1].ok(&["obey", "127.0.0.1", &servers[0].port.to_string()]);
        let news = |server: &Server| server.text(&["news", "replication"]);
        wait_until(PATIENCE, || news(&servers[1]).contains("master_link_status:up"));
        let group = Group(std::mem::take(&mut servers));
        let sentinel = Sentinel::start(product, &group.watched(1, DOWN_AFTER_MS, &group_lines));
        sentinel.hurry();
        sentinel.wait_to_know(1, 0);
        let Group(mut servers) = group;
        servers[0].kill();
        assert_eq!(sentinel.wait_for_switch_from(servers[0].port), servers[1].port);
        assert!(news(&servers[1]).contains("role:master"), "{product:?}");
        wait_until(PATIENCE, || {
            let file = sentinel.file().replace('"', "");
            pairs.iter().all(|(from, to)| file.contains(&format!("sentinel rename-command {NAME} {from} {to}\n")))
        });
    }
}

#[test]
fn b8_names_instead_of_addresses() {
    for product in products() {
        for announce in [false, true] {
            let mut group = Group::start(product, 1, &[]);
            let answer = if announce { "yes" } else { "no" };
            let lines = group.watched(1, DOWN_AFTER_MS, "").replace("127.0.0.1", "localhost");
            let lines = format!("sentinel resolve-hostnames yes\nsentinel announce-hostnames {answer}\n{lines}");
            let sentinel = Sentinel::start(product, &lines);
            sentinel.hurry();
            sentinel.wait_to_know(1, 0);
            let host = if announce { "localhost" } else { "127.0.0.1" };
            let port = group.0[0].port;
            assert_eq!(
                texts(&sentinel.call(&["SENTINEL", "GET-MASTER-ADDR-BY-NAME", NAME])),
                [host.to_owned(), port.to_string()]
            );
            assert_eq!(sentinel.primary("ip"), host);
            let line = format!("sentinel monitor {NAME} {host} {port} 1\n");
            wait_until(PATIENCE, || sentinel.file().contains(&line));
            // A name is found by its address and the other way round.
            let down = |host: &str| {
                let reply = sentinel.call(&["SENTINEL", "IS-MASTER-DOWN-BY-ADDR", host, &port.to_string(), "0", "*"]);
                texts(&reply)
            };
            assert_eq!(down("127.0.0.1"), ["0", "*", "0"]);
            group.0[0].kill();
            assert_eq!(sentinel.wait_for_switch_from(port), group.0[1].port);
            // The replica was heard of by its address.
            let text = format!("{NAME} {host} {port} 127.0.0.1 {}", group.0[1].port);
            sentinel.wait_for_event("+switch-master", &text);
        }
    }
}

#[test]
fn b8_announced_addresses_of_sentinels() {
    for product in products() {
        let group = Group::start(product, 1, &[]);
        let lines = group.watched(2, 30_000, "protected-mode no\n");
        let plain = Sentinel::start(product, &lines);
        // Loopback has more than one address; what is announced must be where it is.
        let mut behind = Sentinel::prepare(product, &lines);
        let file = behind.folder.file("sentinel.conf");
        let more = format!("sentinel announce-ip 127.0.0.2\nsentinel announce-port {}\n", behind.port);
        std::fs::write(&file, behind.file() + &more).unwrap();
        assert!(behind.launch(), "{}", behind.log());
        plain.hurry();
        behind.hurry();
        plain.wait_to_know(1, 1);
        behind.wait_to_know(1, 1);
        let seen = &plain.list("SENTINELS")[0];
        assert_eq!((seen["ip"].as_str(), seen["port"].as_str()), ("127.0.0.2", behind.port.to_string().as_str()));
        assert_eq!(behind.list("SENTINELS")[0]["ip"], "127.0.0.1");
        let id = behind.text(&["SENTINEL", "MYID"]);
        let line = format!("sentinel known-sentinel {NAME} 127.0.0.2 {} {id}\n", behind.port);
        wait_until(PATIENCE, || plain.file().contains(&line));
        assert!(behind.file().replace('"', "").contains("sentinel announce-ip 127.0.0.2\n"));
        // It moves, at run time.
        behind.ok(&["SENTINEL", "CONFIG", "SET", "announce-ip", "127.0.0.3"]);
        wait_until(PATIENCE, || plain.list("SENTINELS").iter().any(|s| s["ip"] == "127.0.0.3"));
        wait_until(PATIENCE, || plain.list("SENTINELS").len() == 1);
        assert!(behind.file().replace('"', "").contains("sentinel announce-ip 127.0.0.3\n"));
    }
}

/// Starts the primary again so that it takes a long while to load, and gives what its sentinel published by then.
fn restart_slowly(product: Product, period_ms: u32) -> (Group, Sentinel, Published, Instant) {
    let mut group = Group::start(product, 1, &[]);
    for i in 0..200 {
        group.0[0].ok(&["SET", &format!("key{i}"), &"x".repeat(1000)]);
    }
    let lines = format!("sentinel master-reboot-down-after-period {NAME} {period_ms}\n");
    let sentinel = Sentinel::start(product, &group.watched(1, 30_000, &lines));
    sentinel.hurry();
    sentinel.wait_to_know(1, 0);
    let published = Published::by(&sentinel);
    group.0[0].ok(&["SAVE"]);
    group.0[0].kill();
    // Each key takes 50 ms.
    group.0[0].spawn_with(&["--key-load-delay", "50000", "--loading-process-events-interval-bytes", "1024"]);
    let restarted = Instant::now();
    published.wait_for("+reboot", &format!("master {}", group.primary_text(0)));
    (group, sentinel, published, restarted)
}

#[test]
fn b8_a_primary_that_loads_for_too_long() {
    for product in products() {
        let (group, sentinel, published, _) = restart_slowly(product, 600);
        let primary = format!("master {}", group.primary_text(0));
        published.wait_for("+sdown", &primary);
        assert_eq!(sentinel.wait_for_switch_from(group.0[0].port), group.0[1].port);
        // Without the option a primary that loads is a primary that answers.
        let (group, sentinel, published, restarted) = restart_slowly(product, 0);
        wait_until(PATIENCE, || restarted.elapsed() > Duration::from_secs(2));
        let loads = text(&group.0[0].client().call(&["GET", "key1"]));
        assert!(loads.starts_with("LOADING "), "{loads}");
        assert!(published.events().iter().all(|(name, _)| name != "+sdown"), "{:?}", published.events());
        assert_eq!(sentinel.primary_port(), group.0[0].port);
    }
}

#[test]
fn b8_a_primary_is_added_and_removed_at_run_time() {
    let sentinel = Sentinel::start(Product::Ours, "");
    assert!(!sentinel.file().contains("monitor"));
    let server = ours(&[]);
    let replica = ours(&[]);
    replica.follow(&server);
    let port = server.port.to_string();
    sentinel.ok(&["SENTINEL", "MONITOR", NAME, "127.0.0.1", &port, "1"]);
    sentinel.wait_for_event("+monitor", &format!("master {NAME} 127.0.0.1 {port} quorum 1"));
    assert!(sentinel.file().contains(&format!("sentinel monitor {NAME} 127.0.0.1 {port} 1\n")));
    sentinel.wait_to_know(1, 0);
    // RESET forgets the replica, and finds it again.
    assert_eq!(sentinel.int(&["SENTINEL", "RESET", "my*"]), 1);
    sentinel.wait_for_event("+reset-master", &format!("master {NAME} 127.0.0.1 {port}"));
    sentinel.wait_to_know(1, 0);
    sentinel.ok(&["SENTINEL", "REMOVE", NAME]);
    sentinel.wait_for_event("-monitor", &format!("master {NAME} 127.0.0.1 {port}"));
    assert!(!sentinel.file().contains(NAME), "{}", sentinel.file());
    // Nobody watches any more: its links are gone.
    wait_until(PATIENCE, || !server.text(&["CLIENT", "LIST"]).contains("name=sentinel-"));
    wait_until(PATIENCE, || !replica.text(&["CLIENT", "LIST"]).contains("name=sentinel-"));
}

#[test]
fn b8_simulated_failures() {
    for product in products() {
        for failure in ["crash-after-election", "crash-after-promotion"] {
            let mut group = Group::start(product, 1, &[]);
            let timeout = format!("sentinel failover-timeout {NAME} 1000\n");
            let mut sentinel = Sentinel::start(product, &group.watched(1, DOWN_AFTER_MS, &timeout));
            sentinel.hurry();
            sentinel.wait_to_know(1, 0);
            sentinel.ok(&["SENTINEL", "SIMULATE-FAILURE", failure]);
            group.0[0].kill();
            assert_eq!(sentinel.wait_for_end().code(), Some(99), "{product:?} {}", sentinel.log());
            let promoted = failure == "crash-after-promotion";
            assert_eq!(group.0[1].info("role"), if promoted { "master" } else { "slave" });
            let events: Vec<String> = sentinel.logged_events().into_iter().map(|(name, _)| name).collect();
            let last = if promoted { "+promoted-slave" } else { "+elected-leader" };
            assert_eq!(events.last().unwrap(), last);
            // Its epoch was saved first, and is not used again.
            let epoch = || {
                let file = sentinel.file();
                let line = file.lines().find_map(|l| l.strip_prefix("sentinel current-epoch ")).unwrap();
                line.parse::<u64>().unwrap()
            };
            assert_eq!(epoch(), 1);
            let old = group.0[0].port;
            if !promoted {
                sentinel.restart();
                sentinel.wait_for_switch_from(old);
                let file = || sentinel.file();
                wait_until(PATIENCE, || file().contains("sentinel current-epoch 2\n"));
            }
        }
    }
}
