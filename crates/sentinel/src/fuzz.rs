//! Any bytes from servers, from other sentinels and from the configuration file: nothing may panic, and what is accepted
//! must make sense.

use crate::api::{Action, ClientId, Event, LogLevel, Millis, Reply, Setup};
use crate::{Hello, InfoReport, Sentinel, limits};
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr};

const BASE: &str =
    "sentinel myid 0123456789abcdef0123456789abcdef01234567\nsentinel monitor mymaster 10.0.0.1 6379 2\n";

fn sentinel(text: &str) -> Result<Sentinel, crate::ConfigError> {
    let setup =
        Setup { config_text: text.into(), port: 26379, requirepass: None, log_level: LogLevel::Notice, seed: 1 };
    Sentinel::new(setup, Millis { monotonic: 1, wall: 1 })
}

fn drain(sentinel: &mut Sentinel) -> Vec<Action> {
    core::iter::from_fn(|| sentinel.poll_action()).collect()
}

/// The entry of the fuzz target `hello`: a message, read alone and taken by a sentinel.
pub fn fuzz_hello(data: &[u8]) {
    if let Ok(hello) = Hello::parse(data) {
        assert!(hello.config_epoch <= hello.current_epoch && hello.current_epoch <= limits::EPOCH_MAX);
        assert!(hello.port != 0 && hello.primary_port != 0);
    }
    let mut sentinel = sentinel(BASE).expect("our own configuration");
    for now in 2..4 {
        let args = [&b"PUBLISH"[..], b"__sentinel__:hello", data].map(<[u8]>::to_vec).to_vec();
        sentinel.handle(Millis { monotonic: now, wall: now as i64 }, Event::Command { client: ClientId(1), args });
        let actions = drain(&mut sentinel);
        for action in &actions {
            if let Action::Save { save, .. } = action {
                let now = Millis { monotonic: now, wall: now as i64 };
                sentinel.handle(now, Event::Saved { save: *save, error: None });
            }
        }
        let actions: Vec<Action> = actions.into_iter().chain(drain(&mut sentinel)).collect();
        let answers = actions.iter().filter(|a| matches!(a, Action::Answer { .. })).count();
        assert_eq!(answers, 1, "every command has one answer");
    }
    assert_alive(&mut sentinel);
    let view = &sentinel.views()[0];
    assert!(view.sentinels <= limits::SENTINELS_MAX && view.config_epoch <= sentinel.current_epoch());
}

/// The entry of the fuzz target `info`: a reply, read alone and taken by a sentinel from its primary.
pub fn fuzz_info(data: &[u8]) {
    assert!(InfoReport::parse(data).replicas.len() <= limits::REPLICAS_MAX);
    let mut sentinel = sentinel(BASE).expect("our own configuration");
    let mut now = 1;
    // Whatever it connects to and asks, it gets this answer.
    for _ in 0..4 {
        for action in drain(&mut sentinel) {
            let event = match action {
                Action::Connect { link, .. } => Event::LinkOpened { link, local: IpAddr::V4(Ipv4Addr::LOCALHOST) },
                Action::Send { link, .. } => Event::Received { link, reply: Reply::Bulk(data.to_vec()) },
                Action::Save { save, .. } => Event::Saved { save, error: None },
                Action::Close { .. }
                | Action::Answer { .. }
                | Action::Emit { .. }
                | Action::Log { .. }
                | Action::SetLogLevel(_)
                | Action::RunScript { .. }
                | Action::KillScript { .. }
                | Action::Resolve { .. }
                | Action::CheckExecutable { .. }
                | Action::Exit { .. } => continue,
            };
            now += 1;
            sentinel.handle(Millis { monotonic: now, wall: now as i64 }, event);
        }
    }
    assert!(sentinel.views()[0].replicas.len() <= limits::REPLICAS_MAX);
    assert_alive(&mut sentinel);
}

/// Whatever it was told, a sentinel can start again from its file, know as much as before, and have a part in elections: another one
/// with the same file votes in the next epoch, and in the one after.
fn assert_alive(first: &mut Sentinel) {
    let text = saved(first);
    let mut second = sentinel(&text).expect("a sentinel starts again with what it has saved");
    assert_eq!(second.current_epoch(), first.current_epoch());
    drain(&mut second);
    let view = &second.views()[0];
    let (host, port) = (view.host.clone(), view.port.to_string());
    for _ in 0..2 {
        let epoch = second.current_epoch() + 1;
        let candidate = "cccccccccccccccccccccccccccccccccccccccc";
        let words = ["SENTINEL", "is-master-down-by-addr", &host, &port, &epoch.to_string(), candidate];
        let args = words.map(|word| word.as_bytes().to_vec()).to_vec();
        second.handle(Millis { monotonic: 3, wall: 3 }, Event::Command { client: ClientId(2), args });
        assert_eq!(second.current_epoch(), epoch, "there is always a next epoch");
        assert_eq!(second.views()[0].vote_epoch, epoch, "and a vote in it");
    }
}

/// The entry of the fuzz target `sentinel_config`: a file. What is accepted can be written and read again, with the same meaning.
pub fn fuzz_config(data: &[u8]) {
    let Ok(text) = core::str::from_utf8(data) else { return };
    let Ok(mut first) = sentinel(text) else { return };
    let written = saved(&mut first);
    let mut second = sentinel(&written).expect("what we write we can read");
    assert_eq!(first.views(), second.views());
    assert_eq!(saved(&mut second), written, "writing again changes nothing");
}

/// The file as a sentinel writes it.
fn saved(sentinel: &mut Sentinel) -> String {
    let args = [b"SENTINEL".to_vec(), b"FLUSHCONFIG".to_vec()].to_vec();
    sentinel.handle(Millis { monotonic: 2, wall: 2 }, Event::Command { client: ClientId(1), args });
    let mut text = None;
    loop {
        let actions = drain(sentinel);
        let Some(save) =
            actions.iter().find_map(|a| if let Action::Save { save, .. } = a { Some(*save) } else { None })
        else {
            return text.expect("FLUSHCONFIG saves");
        };
        for action in actions {
            if let Action::Save { text: t, .. } = action {
                text = Some(t);
            }
        }
        sentinel.handle(Millis { monotonic: 2, wall: 2 }, Event::Saved { save, error: None });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::{fs, path::PathBuf, vec};

    fn corpus(name: &str) -> Vec<Vec<u8>> {
        let folder: PathBuf = [env!("CARGO_MANIFEST_DIR"), "../../fuzz/corpus", name].iter().collect();
        let files = fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
        files.map(|f| fs::read(f.unwrap().path()).unwrap()).collect()
    }

    #[test]
    fn the_corpora_run() {
        for (name, run) in [("hello", fuzz_hello as fn(&[u8])), ("info", fuzz_info), ("sentinel_config", fuzz_config)] {
            let seeds = corpus(name);
            assert!(seeds.len() >= 3, "the corpus of {name} is missing");
            for seed in seeds {
                run(&seed);
                for cut in 0..seed.len().min(200) {
                    run(&seed[..cut]);
                }
            }
        }
    }

    const ID: &str = "aaaaaaaaaabbbbbbbbbbccccccccccdddddddddd";

    proptest! {
        #[test]
        fn hellos_of_any_parts_never_panic(
            parts in prop::collection::vec(prop_oneof![
                Just(String::new()), Just(ID.into()), Just("mymaster".into()), Just("10.0.0.1".into()), Just("::1".into()),
                any::<u64>().prop_map(|n| std::format!("{n}")), (0u32..64, -1i64..2).prop_map(|(bit, more)| std::format!("{}", (1i128 << bit) + i128::from(more))), any::<i16>().prop_map(|n| std::format!("{n}")), "\\PC{0,8}"], 6..10)) {
            fuzz_hello(parts.join(",").as_bytes());
        }

        #[test]
        fn info_of_any_lines_never_panics(
            lines in prop::collection::vec((prop_oneof![Just("role"), Just("slave0"), Just("slave7"), Just("run_id"), Just("master_host"),
                Just("master_port"), Just("master_link_down_since_seconds"), Just("slave_priority"), Just("slave_repl_offset")],
                prop_oneof![Just("master".to_string()), Just("slave".into()), Just("ip=10.0.0.9,port=1,state=online".into()), Just(ID.into()),
                any::<i64>().prop_map(|n| std::format!("{n}")), "\\PC{0,12}"]), 0..12)) {
            let text: String = lines.iter().map(|(n, v)| std::format!("{n}:{v}\r\n")).collect();
            fuzz_info(text.as_bytes());
        }

        #[test]
        fn files_of_any_lines_are_read_or_refused(
            lines in prop::collection::vec((prop_oneof![Just("monitor"), Just("auth-pass"), Just("quorum"), Just("known-replica"), Just("known-slave"),
                Just("known-sentinel"), Just("rename-command"), Just("announce-ip"), Just("current-epoch"), Just("config-epoch"),
                Just("leader-epoch"), Just("parallel-syncs"), Just("failover-timeout"), Just("notification-script"), Just("resolve-hostnames")],
                prop::collection::vec(prop_oneof![Just("a"), Just("b"), Just("10.0.0.1"), Just("10.0.0.2"), Just("1"), Just("6379"), Just("yes"),
                Just(ID), Just("\"x y\""), Just("'q'"), Just("\"")], 0..5)), 0..10)) {
            let text: String = lines.iter().map(|(o, v)| std::format!("sentinel {o} {}\n", v.join(" "))).collect();
            fuzz_config(text.as_bytes());
        }
    }
}
