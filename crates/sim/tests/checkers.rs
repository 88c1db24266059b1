//! The checkers can fail: for each property something is broken, and they must notice.

use sim::check::{Checker, Choice};
use sim::explore::run;
use sim::faults::{Fault, FaultKind};
use sim::plan::{Plan, Sabotage};

/// Runs worlds with something broken until one is found out in words that begin so.
fn must_be_found(sabotage: Sabotage, words: &[&str], change: impl Fn(&mut Plan)) {
    let mut others = Vec::new();
    for seed in 1..500 {
        let mut plan = Plan::from_seed(seed);
        plan.sabotage = Some(sabotage);
        change(&mut plan);
        match run(&plan, false) {
            Err(violation) if words.iter().any(|w| violation.what.starts_with(w)) => return,
            Err(violation) => others.push(violation.what),
            Ok(_) => {}
        }
    }
    panic!("{sabotage:?} was not noticed, only: {others:#?}");
}

fn crash(sentinel: usize, at: u64) -> Fault {
    Fault { at, ms: 150, kind: FaultKind::CrashSentinel { sentinel, reset: true } }
}

#[test]
fn a_vote_forgotten_in_a_crash_is_noticed() {
    // Disks say that they have saved what they have not. Candidates that cannot win at once ask again and again for votes in the
    // same epoch, while voters crash and come back without memory.
    must_be_found(Sabotage::LyingDisk, &["two votes in epoch"], |plan| {
        plan.heal_at = 20_000;
        plan.quorum = 1;
        plan.faults = vec![Fault {
            at: 6500,
            ms: 13_000,
            kind: FaultKind::CrashServer { server: Some(0), reset: true, lose_data: false },
        }];
        let (at, sentinels) = (6500 + plan.down_after_ms, plan.sentinels);
        plan.faults.extend((0..12).map(|i| crash(i % sentinels, at + 60 * i as u64)));
    });
}

#[test]
fn two_leaders_in_an_epoch_are_noticed() {
    // Whoever asks is told that it is voted for, and all ask at once.
    must_be_found(Sabotage::YesMen, &["two leaders in epoch"], |plan| plan.quorum = 1);
    must_be_found(Sabotage::YesMenUnseen, &["two primaries with configuration epoch"], |plan| plan.quorum = 1);
}

#[test]
fn a_replica_that_must_not_be_promoted_is_noticed() {
    let words = ["wrong replica chosen: its priority is 0"];
    must_be_found(Sabotage::FalsePriority, &words, |plan| plan.kill_primary = true);
}

#[test]
fn a_fail_over_that_never_ends_is_noticed() {
    must_be_found(Sabotage::DeafServers, &["no agreement"], |plan| plan.kill_primary = true);
}

#[test]
fn every_safety_property_has_its_words() {
    let words = |observe: fn(&mut Checker)| {
        let mut checker = Checker::default();
        observe(&mut checker);
        checker.violations.first().map_or_else(String::new, |v| v.what.clone())
    };
    let twice = words(|c| {
        c.vote(1, "s", 3, "a");
        c.vote(2, "s", 3, "a");
        c.vote(3, "t", 3, "b");
        assert!(c.violations.is_empty());
        c.vote(4, "s", 3, "b");
    });
    assert!(twice.starts_with("two votes"), "{twice}");
    let leaders = words(|c| {
        c.elected(1, "a", 3);
        c.elected(2, "a", 3);
        c.elected(3, "b", 4);
        assert!(c.violations.is_empty());
        c.elected(4, "b", 3);
    });
    assert!(leaders.starts_with("two leaders"), "{leaders}");
    let primaries = words(|c| {
        c.configuration(1, 0, "x");
        c.configuration(1, 0, "y");
        c.configuration(1, 2, "x");
        assert!(c.violations.is_empty());
        c.configuration(1, 2, "y");
    });
    assert!(primaries.starts_with("two primaries"), "{primaries}");
    let durable = "sentinel config-epoch m 1\nsentinel leader-epoch m 2\nsentinel current-epoch 2\n";
    let hello = |epoch: u64, config: u64| format!("h,1,id,{epoch},m,h,1,{config}");
    let mut checker = Checker::default();
    checker.synced(0, durable);
    checker.hello(1, 0, &hello(2, 1));
    checker.shown_vote(1, 0, 2);
    checker.shown_epoch(1, 0, 2);
    assert!(checker.violations.is_empty(), "{:?}", checker.violations);
    checker.hello(1, 0, &hello(3, 1));
    checker.hello(1, 0, &hello(2, 2));
    checker.shown_vote(1, 0, 3);
    checker.shown_epoch(1, 0, 3);
    assert_eq!(checker.violations.len(), 4, "{:?}", checker.violations);
}

#[test]
fn every_rule_of_selection_is_judged() {
    let info = |priority: i64, offset: u64, run_id: &str, down: i64| {
        let down = if down == 0 { String::new() } else { format!("master_link_down_since_seconds:{down}\r\n") };
        format!("run_id:{run_id}\r\nrole:slave\r\nslave_priority:{priority}\r\nslave_repl_offset:{offset}\r\n{down}")
    };
    let check = |chosen: String, other: Option<String>, at: u64, expected: &str| {
        let mut checker = Checker::default();
        checker.info(1000, 0, 1, &chosen);
        if let Some(other) = &other {
            checker.info(1000, 0, 2, other);
        }
        let others: &[usize] = if other.is_some() { &[2] } else { &[] };
        let choice =
            Choice { sentinel: 0, chosen: 1, down_after_ms: 1000, down_for_ms: Some(500), info_age_ms: 5000, others };
        checker.selected(at, &choice);
        let what = checker.violations.first().map_or("fine", |v| v.what.as_str());
        assert!(what.contains(expected), "{what}: expected {expected}");
    };
    check(info(100, 5, "b", 0), None, 1000, "fine");
    check(info(0, 5, "b", 0), None, 1000, "priority is 0");
    check(info(100, 5, "b", 0), None, 6001, "INFO is 5001 ms old");
    check(info(100, 5, "b", 10), None, 1000, "fine");
    check(info(100, 5, "b", 11), None, 1000, "disconnected for 11000 ms");
    check(info(100, 5, "b", 0), Some(info(50, 1, "c", 0)), 1000, "better");
    check(info(100, 5, "b", 0), Some(info(100, 6, "c", 0)), 1000, "better");
    check(info(100, 5, "b", 0), Some(info(100, 5, "a", 0)), 1000, "better");
    check(info(100, 5, "b", 0), Some(info(100, 5, "c", 0)), 1000, "fine");
    check(info(100, 5, "b", 0), Some(info(0, 9, "a", 0)), 1000, "fine");
    check(info(100, 5, "b", 0), Some(info(50, 9, "a", 30)), 1000, "fine");
}
