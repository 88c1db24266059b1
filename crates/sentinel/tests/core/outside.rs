//! What the driver does for it: names, scripts, files, the clock.

use crate::bench::{Bench, MONITOR, OTHER};
use sentinel::{Action, Event, Reply, ScriptEnd, ScriptId};

fn runs(bench: &Bench) -> Vec<ScriptId> {
    bench
        .actions
        .iter()
        .filter_map(|a| if let Action::RunScript { script, .. } = a { Some(*script) } else { None })
        .collect()
}

#[test]
fn a_command_waits_for_a_name() {
    let mut bench = Bench::new("sentinel resolve-hostnames yes\nsentinel announce-hostnames yes\n");
    let client = bench.send("SENTINEL MONITOR m redis.local 6379 1");
    assert_eq!(bench.answers(client), []);
    assert!(bench.actions.contains(&Action::Resolve { name: "redis.local".into() }));
    bench.give(Event::Resolved { name: "redis.local".into(), address: Some("10.0.0.5".parse().unwrap()) });
    assert_eq!(bench.answers(client), [Reply::Status(b"OK".to_vec())]);
    assert_eq!(Bench::words(&bench.ask("SENTINEL GET-MASTER-ADDR-BY-NAME m")), ["redis.local", "6379"]);
    // Connecting looks the name up once more, since hosts move.
    bench.give(Event::Resolved { name: "redis.local".into(), address: Some("10.0.0.6".parse().unwrap()) });
    assert_eq!(bench.connects()[0].1, "10.0.0.6:6379");
    assert_eq!(Bench::word(&bench.ask("SENTINEL CONFIG SET announce-hostnames no")), "OK");
    assert_eq!(Bench::words(&bench.ask("SENTINEL GET-MASTER-ADDR-BY-NAME m")), ["10.0.0.6", "6379"]);
    let client = bench.send("SENTINEL MONITOR n nowhere.local 6379 1");
    bench.give(Event::Resolved { name: "nowhere.local".into(), address: None });
    assert_eq!(bench.answers(client), [Reply::Error(b"ERR Invalid IP address or hostname specified".to_vec())]);
}

#[test]
fn a_replica_known_by_name_and_by_address_is_one() {
    let mut bench = Bench::new(&format!(
        "sentinel resolve-hostnames yes\n{MONITOR}sentinel known-replica mymaster 10.0.0.2 6379\n"
    ));
    bench.healthy = true;
    for (link, _) in bench.connects() {
        bench.give(Event::LinkOpened { link, local: "10.0.0.9".parse().unwrap() });
    }
    bench.info += "slave0:ip=replica.local,port=6379,state=online\r\n";
    bench.run_for(11_000);
    assert!(bench.actions.contains(&Action::Resolve { name: "replica.local".into() }));
    assert_eq!(bench.sentinel.views()[0].replicas.len(), 1, "not before its address is known");
    bench.give(Event::Resolved { name: "replica.local".into(), address: Some("10.0.0.2".parse().unwrap()) });
    bench.run_for(2000);
    assert_eq!(bench.sentinel.views()[0].replicas.len(), 1);
}

#[test]
fn a_script_must_be_executable() {
    let mut bench = Bench::new(&format!("sentinel deny-scripts-reconfig no\n{MONITOR}"));
    let client = bench.send("SENTINEL SET mymaster notification-script /bin/no");
    assert_eq!(bench.answers(client), []);
    assert!(bench.actions.contains(&Action::CheckExecutable { path: "/bin/no".into() }));
    bench.give(Event::Executable { path: "/bin/no".into(), executable: false });
    let error = "ERR Notification script seems non existing or non executable";
    assert_eq!(Bench::words(&bench.answers(client)[0]), [error]);
    let client = bench.send("SENTINEL SET mymaster client-reconfig-script /bin/yes");
    bench.give(Event::Executable { path: "/bin/yes".into(), executable: true });
    assert_eq!(Bench::words(&bench.answers(client)[0]), ["OK"]);
    assert_eq!(bench.sentinel.configured_scripts().len(), 1);
    assert_eq!(Bench::word(&bench.ask("SENTINEL SET mymaster client-reconfig-script \"\"")), "OK");
    assert_eq!(bench.sentinel.configured_scripts(), []);
}

#[test]
fn scripts_are_tried_again_later_and_given_up_in_the_end() {
    let mut bench = Bench::new(&format!("{MONITOR}sentinel notification-script mymaster /n\n"));
    // +monitor is a warning, so there is a first run already.
    let first = runs(&bench);
    assert_eq!(first.len(), 1);
    bench.give(Event::ScriptStarted { script: first[0], pid: 4711 });
    let Reply::Array(jobs) = bench.ask("SENTINEL PENDING-SCRIPTS") else { panic!("an array") };
    assert_eq!(Bench::field(&jobs[0], "flags").as_deref(), Some("running"));
    assert_eq!(Bench::field(&jobs[0], "pid").as_deref(), Some("4711"));
    bench.ask("SENTINEL DEBUG script-retry-delay 300");
    let mut delay = 300;
    for n in 1..10 {
        let script = *runs(&bench).last().unwrap();
        bench.give(Event::ScriptEnded { script, end: ScriptEnd::Exited(1) });
        bench.run_for(delay - 1);
        // Other runs are of other events; this one is the first job's.
        let count = |b: &Bench| {
            b.actions.iter().filter(|a| matches!(a, Action::RunScript { argv, .. } if argv[1] == "+monitor")).count()
        };
        assert_eq!(count(&bench), n, "not before its time");
        bench.run_for(2);
        assert_eq!(count(&bench), n + 1);
        // Those of +sdown and the like that came meanwhile are done with.
        for other in runs(&bench) {
            let of_first = bench
                .actions
                .iter()
                .any(|a| matches!(a, Action::RunScript { script, argv } if *script == other && argv[1] == "+monitor"));
            if !of_first {
                bench.give(Event::ScriptEnded { script: other, end: ScriptEnd::Exited(0) });
            }
        }
        bench.actions.retain(|a| !matches!(a, Action::RunScript { argv, .. } if argv[1] != "+monitor"));
        delay *= 2;
    }
    let script = *runs(&bench).last().unwrap();
    bench.give(Event::ScriptEnded { script, end: ScriptEnd::Signalled(9) });
    assert!(bench.events().contains(&"-script-error /n 9 0".into()), "{:?}", bench.events());
    assert_eq!(bench.ask("SENTINEL PENDING-SCRIPTS"), Reply::Array(vec![]));
}

#[test]
fn a_script_that_hangs_is_killed_and_few_run_at_a_time() {
    let mut bench = Bench::new(&format!("{MONITOR}sentinel notification-script mymaster /n\n"));
    for quorum in 1..40 {
        bench.ask(&format!("SENTINEL SET mymaster quorum {quorum}"));
    }
    assert_eq!(runs(&bench).len(), 16);
    bench.run_for(60_001);
    let killed = bench.actions.iter().filter(|a| matches!(a, Action::KillScript { .. })).count();
    assert_eq!(killed, 16);
    assert!(bench.events().contains(&"-script-timeout /n 0".into()));
    for quorum in 1..300 {
        bench.ask(&format!("SENTINEL SET mymaster quorum {quorum}"));
    }
    let Reply::Array(jobs) = bench.ask("SENTINEL PENDING-SCRIPTS") else { panic!("an array") };
    assert_eq!(jobs.len(), 256);
}

#[test]
fn a_jump_of_either_clock_is_tilt() {
    for (stand_still, jump) in [(5000, 0), (0, 5000), (0, -5000)] {
        let mut bench = Bench::new(MONITOR);
        bench.run_for(500);
        bench.now += stand_still + 1;
        bench.wall_offset += jump;
        bench.give(Event::Tick);
        assert!(bench.sentinel.in_tilt(), "{stand_still} {jump}");
        assert!(bench.events().contains(&"+tilt #tilt mode entered".into()));
        bench.run_for(31_000);
        assert!(!bench.sentinel.in_tilt());
        assert!(bench.events().contains(&"-tilt #tilt mode exited".into()));
    }
    let mut calm = Bench::new(MONITOR);
    calm.run_for(120_000);
    assert!(!calm.events().iter().any(|e| e.starts_with("+tilt")));
}

#[test]
fn hellos_wait_for_the_disk() {
    let mut bench = Bench::new(MONITOR);
    bench.healthy = true;
    for (link, _) in bench.connects() {
        bench.give(Event::LinkOpened { link, local: "10.0.0.9".parse().unwrap() });
    }
    bench.saves = false;
    bench.hello(OTHER, "10.0.1.2", 9, "10.0.0.1,6379", 0);
    bench.actions.retain(|a| !matches!(a, Action::Send { .. }));
    bench.run_for(10_000);
    assert!(!bench.sent().iter().any(|(_, c)| c.starts_with("PUBLISH")), "epoch 9 is not saved");
    let save =
        bench.actions.iter().rev().find_map(|a| if let Action::Save { save, .. } = a { Some(*save) } else { None });
    bench.give(Event::Saved { save: save.unwrap(), error: Some("No space left on device".into()) });
    assert!(!bench.sent().iter().any(|(_, c)| c.starts_with("PUBLISH")));
    bench.saves = true;
    bench.run_for(1100);
    assert!(bench.sent().iter().any(|(_, c)| c.contains(",9,mymaster,10.0.0.1,6379,0")), "tried again, and told");
}

#[test]
fn waiting_costs_nothing() {
    // For a name that is never answered, for connections that never open, for subscriptions that are never confirmed.
    let mut bench =
        Bench::new(&format!("sentinel resolve-hostnames yes\n{MONITOR}sentinel monitor n redis.local 6379 1\n"));
    let ticks = |bench: &mut Bench| {
        let (end, mut ticks) = (bench.now + 60_000, 0);
        while bench.now < end {
            bench.now = bench.sentinel.next_deadline().max(bench.now + 1);
            bench.give(Event::Tick);
            ticks += 1;
        }
        ticks
    };
    let waiting = ticks(&mut bench);
    assert!(waiting < 60 * 8, "{waiting} ticks in a minute");
    for (link, _) in bench.connects() {
        bench.give(Event::LinkOpened { link, local: "10.0.0.9".parse().unwrap() });
    }
    let silent = ticks(&mut bench);
    assert!(silent < 60 * 10, "{silent} ticks in a minute");
}
