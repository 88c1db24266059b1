//! The fail-over, step by step.
//!
//! ```text
//!  odown ─► WaitStart ──► SelectReplica ──► SendSlaveofNoOne ──► WaitPromotion ──► ReconfReplicas ──► UpdateConfig
//!  or a      votes until    the best one       role, file,          INFO says        SLAVEOF for        the promoted one is
//!  user's    elected        (select.rs)        clients              role:master      the others         the primary now
//!  wish                          │                  ▲                    ▲
//!                                └─► HandOver ──────┴────────────────────┘     by hand, old primary alive (handover.rs)
//! ```
//!
//! Until the promotion is seen, a fail-over can be given up. With it the configuration epoch of the primary becomes the
//! epoch of the election, and from then on the new configuration spreads and wins over older ones. A fail-over whose
//! leader dies afterwards is finished by the others, as they learn of it and repair what differs.

use crate::api::{Action, ClientId, LogLevel};
use crate::elect::Election;
use crate::events::utc_text;
use crate::handover::HandOver;
use crate::instance::{InstanceId, Reconf};
use crate::state::{NEVER, Sentinel};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

/// A manual fail-over needs no agreement; but it asks for it this long, so that its epoch is its own.
const MANUAL_ELECTION_MS: u64 = 300;

/// How far such an epoch may be from the last one.
const EPOCH_LEAP: u64 = 1 << 16;

/// What a fail-over waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FailoverStep {
    WaitStart,
    SelectReplica,
    HandOver(HandOver),
    SendSlaveofNoOne,
    WaitPromotion,
    ReconfReplicas,
    UpdateConfig,
}

impl FailoverStep {
    /// `failover-state`; a hand-over is shown as the step that it leads to.
    pub fn name(self) -> &'static str {
        match self {
            FailoverStep::WaitStart => "wait_start",
            FailoverStep::SelectReplica => "select_slave",
            FailoverStep::HandOver(_) | FailoverStep::SendSlaveofNoOne => "send_slaveof_noone",
            FailoverStep::WaitPromotion => "wait_promotion",
            FailoverStep::ReconfReplicas => "reconf_slaves",
            FailoverStep::UpdateConfig => "update_config",
        }
    }
}

/// A fail-over that a user asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Manual {
    /// By the primary's own `FAILOVER`.
    pub coordinated: bool,
    /// Who waits for the answer to that.
    pub client: Option<ClientId>,
    /// It goes on without a majority, in an epoch drawn by chance.
    pub leapt: bool,
}

/// A fail-over that this sentinel leads or wants to lead.
#[derive(Debug)]
pub(crate) struct Failover {
    pub step: FailoverStep,
    /// Of the election, and of the configuration that comes out of it.
    pub epoch: u64,
    pub started_at: u64,
    pub step_since: u64,
    pub manual: Option<Manual>,
    pub promoted: Option<InstanceId>,
    /// Until when the old primary holds its writers back.
    pub paused_until: Option<u64>,
    /// The end of its history during the pause: what the replica must have.
    pub end_offset: Option<u64>,
}

impl Sentinel {
    /// The acting half for a primary. Returns when to look again.
    pub(crate) fn act(&mut self, id: InstanceId) -> u64 {
        self.check_objectively_down(id);
        let mut next = self.start_if_needed(id);
        loop {
            let before = self.at(id).primary().failover.as_ref().map(|f| (f.step, f.epoch));
            let wait = before.map_or(NEVER, |(step, _)| self.advance(id, step));
            if self.at(id).primary().failover.as_ref().map(|f| (f.step, f.epoch)) == before {
                return next.min(wait).min(self.ask_others(id));
            }
            next = next.min(self.now + 1);
        }
    }

    fn start_if_needed(&mut self, id: InstanceId) -> u64 {
        let primary = self.at(id).primary();
        if !primary.o_down || primary.failover.is_some() {
            return NEVER;
        }
        // Without replicas nothing can come of it. And who knows none has just been set up and may not know the other sentinels
        // either: it would elect itself.
        if primary.replicas.is_empty() {
            return NEVER;
        }
        let not_before = primary.attempt_not_before;
        if self.now < not_before {
            if primary.delay_logged != primary.attempt_at {
                let when = utc_text(self.wall.saturating_add_unsigned(not_before - self.now));
                let primary = self.at_mut(id).primary_mut();
                primary.delay_logged = primary.attempt_at;
                self.log(
                    LogLevel::Notice,
                    format!("Next failover delay: I will not start a failover before {when} UTC"),
                );
            }
            return not_before;
        }
        let at = self.candidacy_at(id);
        if self.now < at {
            return at;
        }
        self.start_failover(id, None);
        NEVER
    }

    /// Begins an attempt in a new epoch.
    pub(crate) fn start_failover(&mut self, id: InstanceId, manual: Option<Manual>) {
        self.current_epoch += 1;
        self.epoch_changed();
        let (now, epoch) = (self.now, self.current_epoch);
        let primary = self.at_mut(id).primary_mut();
        primary.candidacy_at = None;
        primary.attempt_at = Some(now);
        primary.attempt_not_before = now + primary.failover_timeout_ms * 2;
        primary.failover = Some(Failover {
            step: FailoverStep::WaitStart,
            epoch,
            started_at: now,
            step_since: now,
            manual,
            promoted: None,
            paused_until: None,
            end_offset: None,
        });
        self.emit_text(LogLevel::Warning, "+new-epoch", id, epoch.to_string());
        self.emit_for(LogLevel::Warning, "+try-failover", id, "");
        self.touch(id);
    }

    fn advance(&mut self, id: InstanceId, step: FailoverStep) -> u64 {
        match step {
            FailoverStep::WaitStart => self.wait_start(id),
            FailoverStep::SelectReplica => self.choose_replica(id),
            FailoverStep::HandOver(stage) => self.hand_over(id, stage),
            FailoverStep::SendSlaveofNoOne => self.promote(id),
            FailoverStep::WaitPromotion => self.wait_promotion(id),
            FailoverStep::ReconfReplicas => self.reconf_replicas(id),
            FailoverStep::UpdateConfig => self.update_config(id),
        }
    }

    /// The fail-over under way.
    pub(crate) fn failover(&self, id: InstanceId) -> &Failover {
        self.at(id).primary().failover.as_ref().expect("called in a step of a fail-over")
    }

    fn failover_mut(&mut self, id: InstanceId) -> &mut Failover {
        self.at_mut(id).primary_mut().failover.as_mut().expect("called in a step of a fail-over")
    }

    /// Goes on to the next step.
    pub(crate) fn enter(&mut self, id: InstanceId, step: FailoverStep) {
        let now = self.now;
        let failover = self.failover_mut(id);
        (failover.step, failover.step_since) = (step, now);
        self.touch(id);
    }

    fn wait_start(&mut self, id: InstanceId) -> u64 {
        let failover = self.failover(id);
        let (epoch, manual, since) = (failover.epoch, failover.manual, failover.started_at);
        if manual.is_none() && !self.at(id).s_down {
            // It answers again, so there is nothing to be done. (Redis would go on.)
            self.abort_failover(id, "-failover-abort-not-elected", "the primary is back");
            self.at_mut(id).primary_mut().attempt_not_before = self.now;
            return NEVER;
        }
        let election = self.count_votes(id, epoch);
        let limit = match manual {
            Some(_) => MANUAL_ELECTION_MS,
            None => self.periods.election_timeout.min(self.at(id).primary().failover_timeout_ms),
        };
        let over = self.now > since + limit;
        match (election, manual) {
            (Election::Won, _) => {}
            (Election::Open, _) if !over => return since + limit + 1,
            // The user has decided, without a majority. Nobody vouches for this epoch to be ours alone, so we take one by chance, far
            // from those that elections count up to.
            (_, Some(Manual { leapt: false, .. })) => {
                self.current_epoch += 1 + self.rng.below(EPOCH_LEAP);
                self.epoch_changed();
                let epoch = self.current_epoch;
                let failover = self.failover_mut(id);
                failover.epoch = epoch;
                failover.manual = manual.map(|m| Manual { leapt: true, ..m });
                self.emit_text(LogLevel::Warning, "+new-epoch", id, epoch.to_string());
                return NEVER;
            }
            (_, Some(_)) if self.epochs_are_saved() => {}
            // An epoch that is not saved could be used again after a crash.
            (_, Some(_)) if self.now <= since + self.periods.election_timeout => {
                return since + self.periods.election_timeout + 1;
            }
            (_, _) => {
                self.note_lost_election(id, epoch);
                self.abort_failover(id, "-failover-abort-not-elected", "this sentinel was not elected");
                return NEVER;
            }
        }
        self.at_mut(id).primary_mut().elections_lost = 0;
        self.emit_for(LogLevel::Warning, "+elected-leader", id, "");
        if self.simulated.crash_after_election {
            self.crash();
        }
        self.enter(id, FailoverStep::SelectReplica);
        self.emit_for(LogLevel::Warning, "+failover-state-select-slave", id, "");
        NEVER
    }

    fn choose_replica(&mut self, id: InstanceId) -> u64 {
        let Some(replica) = self.select_replica(id) else {
            self.abort_failover(id, "-failover-abort-no-good-slave", "no replica is fit to be promoted");
            return NEVER;
        };
        self.emit_for(LogLevel::Warning, "+selected-slave", replica, "");
        self.failover_mut(id).promoted = Some(replica);
        if !self.begin_handover(id) {
            self.enter_promotion(id);
        }
        NEVER
    }

    /// The chosen replica may be promoted now.
    pub(crate) fn enter_promotion(&mut self, id: InstanceId) {
        let replica = self.promoted(id);
        self.enter(id, FailoverStep::SendSlaveofNoOne);
        self.emit_for(LogLevel::Notice, "+failover-state-send-slaveof-noone", replica, "");
    }

    pub(crate) fn promoted(&self, id: InstanceId) -> InstanceId {
        self.failover(id).promoted.expect("chosen in an earlier step")
    }

    fn promote(&mut self, id: InstanceId) -> u64 {
        let replica = self.promoted(id);
        if !self.send_slaveof(replica, None, false) {
            return self.give_up_late(id);
        }
        self.emit_for(LogLevel::Notice, "+failover-state-wait-promotion", replica, "");
        self.enter(id, FailoverStep::WaitPromotion);
        // Its answer comes right behind that to SLAVEOF.
        self.want_info(replica);
        NEVER
    }

    fn wait_promotion(&mut self, id: InstanceId) -> u64 {
        self.give_up_late(id)
    }

    fn give_up_late(&mut self, id: InstanceId) -> u64 {
        let limit = self.failover(id).step_since + self.at(id).primary().failover_timeout_ms;
        if self.now > limit {
            self.abort_failover(id, "-failover-abort-slave-timeout", "the chosen replica was not promoted in time");
            return NEVER;
        }
        limit + 1
    }

    /// The chosen replica says that it is a primary.
    pub(crate) fn handle_promoted(&mut self, id: InstanceId) {
        let (epoch, replica) = (self.failover(id).epoch, self.promoted(id));
        if self.at(id).primary().config_epoch >= epoch {
            // Another fail-over has come out in the meantime, in a later epoch.
            return self.abort_failover(id, "-failover-abort-not-elected", "a newer configuration is known");
        }
        self.at_mut(id).primary_mut().config_epoch = epoch;
        self.epoch_changed();
        self.enter(id, FailoverStep::ReconfReplicas);
        self.emit_for(LogLevel::Warning, "+promoted-slave", replica, "");
        if self.simulated.crash_after_promotion {
            self.crash();
        }
        self.emit_for(LogLevel::Warning, "+failover-state-reconf-slaves", id, "");
        let (from, to) = (self.at(id).addr.clone(), self.at(replica).addr.clone());
        self.call_reconfig_script(id, "leader", &from, &to);
        self.repoint_old_primary(id);
        self.spread(id);
    }

    /// Points the remaining replicas at the new primary, `parallel-syncs` at a time.
    fn reconf_replicas(&mut self, id: InstanceId) -> u64 {
        let (now, promoted) = (self.now, self.promoted(id));
        let primary = self.at(id).primary();
        let at_a_time = primary.parallel_syncs;
        let replicas: Vec<InstanceId> = primary.replicas.iter().copied().filter(|r| *r != promoted).collect();
        let under_way = |r: &&InstanceId| matches!(self.at(**r).replica().reconf, Reconf::Sent(_) | Reconf::InProgress);
        let mut in_progress = replicas.iter().filter(under_way).count() as u64;
        let mut next = NEVER;
        for replica in &replicas {
            // A replica that does not get on is not waited for: others find its wrong configuration later.
            if let Reconf::Sent(at) = self.at(*replica).replica().reconf {
                let limit = at + self.periods.slave_reconf_timeout;
                if now > limit {
                    self.emit_for(LogLevel::Notice, "-slave-reconf-sent-timeout", *replica, "");
                    self.at_mut(*replica).replica_mut().reconf = Reconf::Done;
                    in_progress -= 1;
                } else {
                    next = next.min(limit + 1);
                }
            }
            if self.at(*replica).replica().reconf == Reconf::None
                && in_progress < at_a_time
                && self.send_slaveof(*replica, self.new_primary(id), false)
            {
                self.at_mut(*replica).replica_mut().reconf = Reconf::Sent(now);
                self.emit_for(LogLevel::Notice, "+slave-reconf-sent", *replica, "");
                self.want_info(*replica);
                in_progress += 1;
            }
        }
        next.min(self.detect_end(id, &replicas))
    }

    /// The address of the promoted replica as it is told to servers.
    pub(crate) fn new_primary(&self, id: InstanceId) -> Option<(String, u16)> {
        let addr = &self.at(self.promoted(id)).addr;
        Some((self.announced(addr), addr.port))
    }

    fn detect_end(&mut self, id: InstanceId, replicas: &[InstanceId]) -> u64 {
        let limit = self.failover(id).step_since + self.at(id).primary().failover_timeout_ms;
        let left = replicas.iter().filter(|r| !self.at(**r).s_down && self.at(**r).replica().reconf != Reconf::Done);
        // When the new primary is down already, there is no time to lose: everybody has its configuration, and whether it is to be
        // replaced is a matter of votes again, of ours too. (Redis waits here for as long as it is down.)
        let over = self.now > limit || self.at(self.promoted(id)).s_down;
        if left.count() > 0 && !over {
            return limit + 1;
        }
        if over {
            self.emit_for(LogLevel::Warning, "+failover-end-for-timeout", id, "");
        }
        self.emit_for(LogLevel::Warning, "+failover-end", id, "");
        if over {
            for replica in replicas {
                if self.at(*replica).replica().reconf == Reconf::None
                    && self.send_slaveof(*replica, self.new_primary(id), false)
                {
                    self.emit_for(LogLevel::Notice, "+slave-reconf-sent-be", *replica, "");
                }
            }
        }
        self.enter(id, FailoverStep::UpdateConfig);
        NEVER
    }

    /// The promoted replica is the primary from now on.
    fn update_config(&mut self, id: InstanceId) -> u64 {
        let (from, to) = (self.at(id).addr.clone(), self.at(self.promoted(id)).addr.clone());
        self.emit_switch(id, &from, &to);
        self.switch_primary(id, to);
        self.spread(id);
        NEVER
    }

    /// Gives up a fail-over, which is possible as long as no promotion was seen.
    pub(crate) fn abort_failover(&mut self, id: InstanceId, event: &'static str, why: &str) {
        self.emit_for(LogLevel::Warning, event, id, "");
        self.end_handover(id, Err(why.into()));
        self.resume_old_primary(id);
        let now = self.now;
        let primary = self.at_mut(id).primary_mut();
        let manual = primary.failover.take().is_some_and(|f| f.manual.is_some());
        if manual {
            // What a user tried must not delay what a failure needs.
            primary.attempt_not_before = now;
        }
        self.touch(id);
    }

    /// Ends this process because `SENTINEL SIMULATE-FAILURE` asked for it.
    fn crash(&mut self) {
        self.log(LogLevel::Warning, "Sentinel CRASH because of SENTINEL simulate-failure".into());
        self.push(Action::Exit { status: 99 });
    }
}
