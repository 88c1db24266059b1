//! Manual fail-overs that lose nothing: the old primary is told first.
//!
//! Redis promotes the chosen replica while the old primary goes on taking writes, and tells that one ten seconds later; all that
//! it acknowledged since is thrown away. Here, where the old primary is alive:
//!
//! ```text
//!  plain         CLIENT PAUSE ms WRITE ─► INFO until the replica's offset is the primary's ─► SLAVEOF NO ONE
//!                (writers wait, nothing is acknowledged)                                     ─► SLAVEOF the new one, at once
//!  COORDINATED   FAILOVER TO host port TIMEOUT ms ─► INFO until the replica is a primary      (the primary does it all)
//! ```
//!
//! The pause is at most half of `down-after-milliseconds`, since other sentinels' links to the primary stand still with it: their
//! hellos are PUBLISH, which counts as a write. If the replica does not catch up in that time, the pause is lifted and the fail-over
//! given up: the user can try again, but lost writes do not come back. An old server that knows no such pause is failed over
//! as by Redis, but told at once.

use crate::api::{LogLevel, Reply};
use crate::failover::FailoverStep;
use crate::info::Role;
use crate::instance::InstanceId;
use crate::links::Asked;
use crate::state::{NEVER, Sentinel};
use alloc::format;
use alloc::string::{String, ToString};

/// The longest pause.
const PAUSE_MAX_MS: u64 = 5000;
/// The shortest.
const PAUSE_MIN_MS: u64 = 100;
/// How much longer than its time limit a coordinated hand-over is waited for.
const GRACE_MS: u64 = 500;

/// What a hand-over waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HandOver {
    /// That the primary has paused its writers.
    Pausing,
    /// That the replica has all that the primary has.
    CatchingUp,
    /// That the primary accepts `FAILOVER`.
    Accepting,
    /// That the replica is a primary.
    Switching,
}

impl Sentinel {
    /// Whether writes on an instance may be held back by us.
    pub(crate) fn is_paused(&self, id: InstanceId) -> bool {
        let instance = self.at(id);
        instance.is_primary()
            && instance
                .primary()
                .failover
                .as_ref()
                .is_some_and(|f| f.paused_until.is_some_and(|until| self.now < until))
    }

    /// Begins with the old primary, if it is there. The replica is chosen.
    pub(crate) fn begin_handover(&mut self, id: InstanceId) -> bool {
        let Some(manual) = self.failover(id).manual else { return false };
        let (instance, primary) = (self.at(id), self.at(id).primary());
        let alive = !instance.s_down && self.is_open(id) && primary.reports.role == Role::Primary;
        if !alive {
            if manual.coordinated {
                self.abort_failover(
                    id,
                    "-failover-abort-no-good-slave",
                    "the primary does not answer, so it cannot hand over",
                );
            }
            return manual.coordinated;
        }
        let pause = (primary.down_after_ms / 2).clamp(PAUSE_MIN_MS, PAUSE_MAX_MS);
        let until = self.now + pause;
        if manual.coordinated {
            let (host, port) = self.new_primary(id).expect("a replica was chosen");
            let words = ["FAILOVER", "TO", &host, &port.to_string(), "TIMEOUT", &pause.to_string()];
            self.send(id, false, Asked::HandOver(id), &words);
            self.enter(id, FailoverStep::HandOver(HandOver::Accepting));
        } else {
            self.send(id, false, Asked::Pause(id), &["CLIENT", "PAUSE", &pause.to_string(), "WRITE"]);
            self.enter(id, FailoverStep::HandOver(HandOver::Pausing));
        }
        self.at_mut(id).primary_mut().failover.as_mut().expect("under way").paused_until = Some(until);
        true
    }

    /// Goes on with a hand-over.
    pub(crate) fn hand_over(&mut self, id: InstanceId, stage: HandOver) -> u64 {
        let until = self.failover(id).paused_until.expect("set when it began");
        // Time is needed for the promotion, too.
        let pause = until - self.failover(id).step_since.min(until);
        let limit = match stage {
            HandOver::Pausing | HandOver::CatchingUp => until - pause / 4,
            HandOver::Accepting | HandOver::Switching => until + GRACE_MS,
        };
        if !self.is_open(id) && stage != HandOver::Switching {
            self.abort_failover(id, "-failover-abort-slave-timeout", "the link to the primary was lost");
            return NEVER;
        }
        if self.now > limit {
            let why = "the replica could not catch up with the primary in time; try again when its lag is small";
            self.log(LogLevel::Warning, format!("Failover of '{}' given up: {why}", self.at(id).name));
            self.abort_failover(id, "-failover-abort-slave-timeout", why);
            return NEVER;
        }
        if stage == HandOver::CatchingUp && self.has_caught_up(id) {
            self.enter_promotion(id);
            return NEVER;
        }
        limit + 1
    }

    /// Whether the chosen replica has the whole of the paused primary's history.
    fn has_caught_up(&self, id: InstanceId) -> bool {
        let replica = self.at(self.promoted(id)).replica();
        let (ours, theirs) = (&self.at(id).primary().reports, &replica.reports);
        let same_history = ours.replid.is_none() || ours.replid == theirs.replid;
        let end = self.failover(id).end_offset;
        replica.link_up && same_history && end.is_some_and(|offset| replica.offset >= offset)
    }

    /// The primary answered to `CLIENT PAUSE`.
    pub(crate) fn handle_paused(&mut self, id: InstanceId, reply: &Reply) {
        if !self.is_in(id, HandOver::Pausing) {
            return;
        }
        if let Reply::Error(error) = reply {
            let error = String::from_utf8_lossy(error);
            let text =
                format!("The primary '{}' cannot pause its writers, failing over without: {error}", self.at(id).name);
            self.log(LogLevel::Warning, text);
            self.at_mut(id).primary_mut().failover.as_mut().expect("checked above").paused_until = None;
            self.enter_promotion(id);
            return;
        }
        self.enter(id, FailoverStep::HandOver(HandOver::CatchingUp));
        self.want_info(id);
        self.want_info(self.promoted(id));
    }

    /// The primary answered to `FAILOVER`.
    pub(crate) fn handle_handover_reply(&mut self, id: InstanceId, reply: &Reply) {
        if !self.is_in(id, HandOver::Accepting) {
            return;
        }
        if let Reply::Error(error) = reply {
            let why = format!("the primary cannot hand over: {}", String::from_utf8_lossy(error));
            self.log(LogLevel::Warning, format!("Failover of '{}' given up: {why}", self.at(id).name));
            self.at_mut(id).primary_mut().failover.as_mut().expect("checked above").paused_until = None;
            self.abort_failover(id, "-failover-abort-slave-timeout", &why);
            return;
        }
        self.end_handover(id, Ok(()));
        self.enter(id, FailoverStep::HandOver(HandOver::Switching));
        let replica = self.promoted(id);
        self.emit_for(LogLevel::Notice, "+failover-state-wait-promotion", replica, "");
        self.want_info(replica);
    }

    /// The primary answered to INFO. Replies come in order, so what it says after its answer to the pause is true during the pause.
    pub(crate) fn note_offset(&mut self, id: InstanceId) {
        if self.is_in(id, HandOver::CatchingUp) {
            let primary = self.at_mut(id).primary_mut();
            let offset = primary.reports.offset;
            primary.failover.as_mut().expect("checked above").end_offset = offset;
        }
    }

    fn is_in(&self, id: InstanceId, stage: HandOver) -> bool {
        self.instances.get(&id).is_some_and(|i| {
            i.is_primary() && i.primary().failover.as_ref().is_some_and(|f| f.step == FailoverStep::HandOver(stage))
        })
    }

    /// The promotion was seen: the old primary follows at once, and lets its clients ask who is the primary.
    pub(crate) fn repoint_old_primary(&mut self, id: InstanceId) {
        let failover = self.failover(id);
        let (Some(manual), paused, replica) = (failover.manual, failover.paused_until.is_some(), self.promoted(id))
        else {
            return;
        };
        if self.send_slaveof(id, self.new_primary(id), paused) {
            let text = format!("The old primary of '{}' was told to follow the new one", self.at(id).name);
            self.log(LogLevel::Notice, text);
        }
        if manual.coordinated {
            // It was promoted by the old primary; its file and its clients are still to be seen to.
            self.send_slaveof(replica, None, false);
        }
        self.at_mut(id).primary_mut().failover.as_mut().expect("under way").paused_until = None;
    }

    /// A fail-over is given up: writers need not wait any longer.
    pub(crate) fn resume_old_primary(&mut self, id: InstanceId) {
        let Some(failover) = &self.at(id).primary().failover else { return };
        let coordinated = failover.manual.is_some_and(|m| m.coordinated);
        if failover.paused_until.is_none() || !self.is_open(id) {
            return;
        }
        let command: &[&str] = if coordinated { &["FAILOVER", "ABORT"] } else { &["CLIENT", "UNPAUSE"] };
        self.send(id, false, Asked::Nothing, command);
    }

    /// Answers the client that waits for a coordinated fail-over, if there is one.
    pub(crate) fn end_handover(&mut self, id: InstanceId, result: Result<(), String>) {
        let primary = self.at_mut(id).primary_mut();
        let manual = primary.failover.as_mut().and_then(|f| f.manual.as_mut());
        let Some(client) = manual.and_then(|m| m.client.take()) else { return };
        let reply = match result {
            Ok(()) => Reply::Status(b"OK".to_vec()),
            Err(why) => Reply::Error(format!("FAILOVERABORTED {why}").into_bytes()),
        };
        self.answer_waiting(client, id, reply);
    }
}
