//! The checkers: what must never be, judged by what went over the wire, what was synced and what sentinels said they did.
//!
//! They share no code with Sentinel: `INFO`, hellos and the configuration are read here by simpler means.
//!
//! | property | how it is seen |
//! |---|---|
//! | one vote in an epoch, whatever crashes | votes answered on the wire; a leader's own vote |
//! | one leader in an epoch | `+elected-leader` with the epoch of the fail-over |
//! | one primary for a configuration epoch | every sentinel's view after every event, every hello |
//! | nothing is shown before it is synced | epochs in hellos, votes and requests, against the durable file |
//! | a promoted replica follows the rules | `+selected-slave`, against what `INFO` told that sentinel |

use crate::Time;
use std::collections::BTreeMap;

/// A property that does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// When.
    pub at: Time,
    /// Which property, and what was seen.
    pub what: String,
}

/// What a sentinel was told of a server by `INFO`.
#[derive(Clone, Debug)]
struct Told {
    at: Time,
    role: String,
    priority: i64,
    offset: u64,
    run_id: String,
    link_down_ms: u64,
}

/// What a sentinel's file says, as far as it is synced.
#[derive(Clone, Copy, Debug, Default)]
struct Durable {
    current_epoch: u64,
    config_epoch: u64,
    leader_epoch: u64,
}

/// A choice of a replica, as seen from outside.
#[derive(Clone, Debug)]
pub struct Choice<'a> {
    /// The sentinel that chose.
    pub sentinel: usize,
    /// The server that it chose.
    pub chosen: usize,
    /// `down-after-milliseconds`.
    pub down_after_ms: u64,
    /// How long the primary, which it holds for down, has not answered it; `None`: it is up.
    pub down_for_ms: Option<u64>,
    /// How old an `INFO` may be.
    pub info_age_ms: u64,
    /// Servers that were surely fit, too: up and connected for this sentinel.
    pub others: &'a [usize],
}

/// Collects observations and finds contradictions.
#[derive(Debug, Default)]
pub struct Checker {
    votes: BTreeMap<(String, u64), String>,
    leaders: BTreeMap<u64, String>,
    primaries: BTreeMap<u64, String>,
    told: BTreeMap<(usize, usize), Told>,
    durable: BTreeMap<usize, Durable>,
    /// What was found.
    pub violations: Vec<Violation>,
    /// Not to be judged in tests of other properties.
    pub allow_unsynced: bool,
    /// The same.
    pub allow_two_leaders: bool,
}

impl Checker {
    fn fail(&mut self, at: Time, what: String) {
        self.violations.push(Violation { at, what });
    }

    /// A sentinel was seen to vote.
    pub fn vote(&mut self, at: Time, voter: &str, epoch: u64, leader: &str) {
        let first = self.votes.entry((voter.into(), epoch)).or_insert_with(|| leader.into());
        if first != leader {
            let what = format!("two votes in epoch {epoch}: {voter} voted for {first} and for {leader}");
            self.fail(at, what);
        }
    }

    /// A sentinel says that it was elected.
    pub fn elected(&mut self, at: Time, leader: &str, epoch: u64) {
        let first = self.leaders.entry(epoch).or_insert_with(|| leader.into());
        if first != leader && !self.allow_two_leaders {
            let what = format!("two leaders in epoch {epoch}: {first} and {leader}");
            self.fail(at, what);
        }
    }

    /// A sentinel has, or tells, this configuration. Epoch 0 is what users wrote.
    pub fn configuration(&mut self, at: Time, epoch: u64, primary: &str) {
        if epoch == 0 {
            return;
        }
        let first = self.primaries.entry(epoch).or_insert_with(|| primary.into());
        if first != primary {
            let what = format!("two primaries with configuration epoch {epoch}: {first} and {primary}");
            self.fail(at, what);
        }
    }

    /// A sentinel's file is on the disk.
    pub fn synced(&mut self, sentinel: usize, text: &str) {
        let value = |option: &str| {
            let line = text.lines().find_map(|l| l.strip_prefix("sentinel ").and_then(|l| l.strip_prefix(option)));
            line.and_then(|l| l.split(' ').next_back()).and_then(|v| v.parse().ok()).unwrap_or(0)
        };
        let durable = Durable {
            current_epoch: value("current-epoch"),
            config_epoch: value("config-epoch"),
            leader_epoch: value("leader-epoch"),
        };
        self.durable.insert(sentinel, durable);
    }

    /// A hello leaves a sentinel.
    pub fn hello(&mut self, at: Time, sentinel: usize, message: &str) {
        let parts: Vec<&str> = message.split(',').collect();
        let number = |i: usize| parts.get(i).and_then(|p| p.parse::<u64>().ok()).unwrap_or(u64::MAX);
        let (epoch, config_epoch) = (number(3), number(7));
        self.configuration(at, config_epoch, &format!("{}:{}", parts[5], parts[6]));
        let durable = self.durable.get(&sentinel).copied().unwrap_or_default();
        if !self.allow_unsynced && (epoch > durable.current_epoch || config_epoch > durable.config_epoch) {
            self.fail(at, format!("sentinel {sentinel} shows an epoch before it is synced: {message}, {durable:?}"));
        }
    }

    /// A vote leaves a sentinel.
    pub fn shown_vote(&mut self, at: Time, sentinel: usize, epoch: u64) {
        let durable = self.durable.get(&sentinel).copied().unwrap_or_default();
        if !self.allow_unsynced && epoch > durable.leader_epoch {
            self.fail(
                at,
                format!("sentinel {sentinel} shows its vote in epoch {epoch} before it is synced, {durable:?}"),
            );
        }
    }

    /// A request for a vote, or a question, leaves a sentinel.
    pub fn shown_epoch(&mut self, at: Time, sentinel: usize, epoch: u64) {
        let durable = self.durable.get(&sentinel).copied().unwrap_or_default();
        if !self.allow_unsynced && epoch > durable.current_epoch {
            self.fail(at, format!("sentinel {sentinel} shows epoch {epoch} before it is synced, {durable:?}"));
        }
    }

    /// A sentinel was told `INFO` of a server.
    pub fn info(&mut self, at: Time, sentinel: usize, server: usize, text: &str) {
        let value = |name: &str| {
            text.split("\r\n").find_map(|l| l.strip_prefix(name).and_then(|l| l.strip_prefix(':'))).unwrap_or("")
        };
        let seconds: i64 = value("master_link_down_since_seconds").parse().unwrap_or(0);
        let told = Told {
            at,
            role: value("role").into(),
            priority: value("slave_priority").parse().unwrap_or(100),
            offset: value("slave_repl_offset").parse().unwrap_or(0),
            run_id: value("run_id").into(),
            link_down_ms: u64::try_from(seconds).map_or(u64::MAX, |s| s * 1000),
        };
        self.told.insert((sentinel, server), told);
    }

    /// A sentinel was restarted: it knows nothing of what it was told.
    pub fn forget(&mut self, sentinel: usize) {
        self.told.retain(|(s, _), _| *s != sentinel);
    }

    /// A sentinel chose a replica.
    pub fn selected(&mut self, at: Time, choice: &Choice) {
        let told = |server: usize| self.told.get(&(choice.sentinel, server));
        let Some(chosen) = told(choice.chosen).cloned() else {
            return self.fail(at, format!("chose a replica that it knows nothing of: {choice:?}"));
        };
        let link_limit = choice.down_after_ms * 10 + choice.down_for_ms.unwrap_or(0);
        let mut wrong = Vec::new();
        if chosen.priority == 0 {
            wrong.push("its priority is 0".to_owned());
        }
        if at - chosen.at > choice.info_age_ms {
            wrong.push(format!("its INFO is {} ms old", at - chosen.at));
        }
        if chosen.link_down_ms > link_limit {
            wrong.push(format!("it was disconnected for {} ms", chosen.link_down_ms));
        }
        for other in choice.others {
            let Some(other) = told(*other).filter(|o| o.role == "slave" && o.priority != 0) else { continue };
            let fresh = at - other.at <= choice.info_age_ms && other.link_down_ms <= link_limit;
            let key = |t: &Told| (t.priority, std::cmp::Reverse(t.offset), t.run_id.clone());
            if fresh && chosen.role == "slave" && key(other) < key(&chosen) {
                wrong.push(format!("a better one was there: {other:?}"));
            }
        }
        if !wrong.is_empty() {
            self.fail(at, format!("wrong replica chosen: {}; {chosen:?}, {choice:?}", wrong.join(", ")));
        }
    }
}
