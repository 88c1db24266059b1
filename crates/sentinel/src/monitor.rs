//! The monitoring half: keeping links up, PING, INFO and hello at their periods, and judging who is down.
//!
//! | what | how often | tighter |
//! |---|---|---|
//! | PING | 1 s, or `down-after-milliseconds` if that is less | |
//! | INFO | 10 s | 1 s: a primary without replicas, replicas of a primary that is down or failed over, replicas without link, old primaries; 100 ms: the replica being promoted, replicas being pointed at it; 20 ms: both sides of a hand-over; at once: after connecting, when the primary goes down |
//! | hello | 2 s | 1 s during a fail-over; at once: after connecting and with each new configuration |
//! | asking others about a primary that is down | 1 s | at once when it goes down, then 200 ms for five seconds |
//!
//! An instance is *subjectively down* (sdown) when it has not answered PING well for `down-after-milliseconds`, when a primary
//! says that it is a replica for that long and two INFO periods more (without these where the one it follows is a replica of its
//! that says it is the primary: it has handed over by itself), or when it restarted and loads for longer than
//! `master-reboot-down-after-period`. A primary is *objectively down* (odown) when `quorum` sentinels say that it is.

use crate::api::{LogLevel, Reply};
use crate::failover::FailoverStep;
use crate::info::Role;
use crate::instance::{InstanceId, Kind, Reconf};
use crate::links::{Asked, ChannelState, LinkKey};
use crate::state::{NEVER, Sentinel};
use alloc::format;

/// INFO while something about an instance is not as it should be.
const INFO_ATTENTIVE_MS: u64 = 1000;
/// INFO while a fail-over waits for what it says.
const INFO_WAITING_MS: u64 = 100;
/// INFO while clients wait for what it says.
const INFO_PAUSED_MS: u64 = 20;
/// An INFO without reply for this long is asked for again.
const INFO_PATIENCE_MS: u64 = 5000;

impl Sentinel {
    /// Does all that is due for an instance. Returns when to do so again.
    pub(crate) fn tend(&mut self, id: InstanceId) -> u64 {
        // Always:
        let mut next = self.reconnect(id);
        next = next.min(self.send_periodic(id));
        // Only while we trust the clock:
        if self.in_tilt() {
            return next;
        }
        next = next.min(self.check_link(id));
        next = next.min(self.check_subjectively_down(id));
        if self.at(id).is_primary() {
            next = next.min(self.act(id));
        }
        next
    }

    /// PING, INFO and hello.
    fn send_periodic(&mut self, id: InstanceId) -> u64 {
        if !self.may_send(id) {
            return NEVER;
        }
        let mut next = self.ask_info(id);
        let period = self.periods.ping.min(self.owner(id).down_after_ms);
        let link = self.link(id);
        let due = (link.last_pong + period).max(link.last_ping.map_or(0, |at| at + period / 2));
        if self.now > due {
            self.send_ping(id);
            next = next.min(self.now + period / 2 + 1);
        } else {
            next = next.min(due + 1);
        }
        next.min(self.publish_hello(id))
    }

    pub(crate) fn send_ping(&mut self, id: InstanceId) {
        self.send(id, false, Asked::Ping, &["PING"]);
        let now = self.now;
        let link = self.link_mut(id);
        link.last_ping = Some(now);
        link.ping_pending_since.get_or_insert(now);
    }

    /// Asks for INFO as soon as possible.
    pub(crate) fn want_info(&mut self, id: InstanceId) {
        if let Some(reports) = self.instances.get_mut(&id).and_then(|i| i.reports_mut()) {
            reports.wanted = true;
            self.touch(id);
        }
    }

    /// Sends INFO if it is due.
    pub(crate) fn ask_info(&mut self, id: InstanceId) -> u64 {
        let Some(reports) = self.at(id).reports() else { return NEVER };
        if let Some(at) = reports.asked_at
            && self.now < at + INFO_PATIENCE_MS
        {
            return at + INFO_PATIENCE_MS;
        }
        let due = match reports.at {
            Some(at) if !reports.wanted => at + self.info_period(id),
            Some(_) | None => self.now,
        }
        .max(reports.not_before);
        if self.now < due {
            return due;
        }
        self.send(id, false, Asked::Info(id), &["INFO"]);
        let now = self.now;
        let reports = self.at_mut(id).reports_mut().expect("checked above");
        (reports.asked_at, reports.wanted) = (Some(now), false);
        now + INFO_PATIENCE_MS
    }

    fn info_period(&self, id: InstanceId) -> u64 {
        let owner = self.owner(id);
        let step = owner.failover.as_ref().map(|f| &f.step);
        let promoted = owner.failover.as_ref().and_then(|f| f.promoted);
        let tight = match &self.at(id).kind {
            Kind::Primary(_) if self.is_paused(id) => INFO_PAUSED_MS,
            Kind::Primary(p) if p.reports.role != Role::Primary || p.replicas.is_empty() => INFO_ATTENTIVE_MS,
            Kind::Primary(_) | Kind::Sentinel(_) => NEVER,
            Kind::Replica(r) => {
                let promoting = promoted == Some(id);
                if promoting && matches!(step, Some(FailoverStep::HandOver(_))) {
                    INFO_PAUSED_MS
                } else if promoting && matches!(step, Some(FailoverStep::WaitPromotion))
                    || matches!(r.reconf, Reconf::Sent(_) | Reconf::InProgress)
                {
                    INFO_WAITING_MS
                } else if owner.o_down
                    || step.is_some()
                    || r.link_down_ms != 0
                    || r.deposed.is_some()
                    || r.reports.role != Role::Replica
                    || self.at(self.at(id).owner).s_down
                {
                    INFO_ATTENTIVE_MS
                } else {
                    NEVER
                }
            }
        };
        self.periods.info.min(tight)
    }

    /// An answer to PING.
    pub(crate) fn handle_pong(&mut self, key: LinkKey, reply: &Reply) {
        let now = self.now;
        let Some(link) = self.links.get_mut(&key) else { return };
        let (Reply::Status(text) | Reply::Error(text)) = reply else { return };
        link.last_pong = now;
        let good = [&b"PONG"[..], b"LOADING", b"MASTERDOWN"].iter().any(|good| text.starts_with(good));
        if good {
            link.last_available = now;
            link.ping_pending_since = None;
        }
        let users = link.users.clone();
        for id in users {
            let Some(instance) = self.instances.get_mut(&id) else { continue };
            if let Kind::Primary(primary) = &mut instance.kind
                && text.starts_with(b"PONG")
            {
                primary.rebooted_at = None;
            }
            // A script that never ends makes a server as good as dead; the best that we can do is to end it.
            if text.starts_with(b"BUSY") && instance.s_down && !instance.script_kill_sent {
                instance.script_kill_sent = true;
                self.send(id, false, Asked::Nothing, &["SCRIPT", "KILL"]);
            }
            self.touch(id);
        }
    }

    /// Closes connections that seem open but carry nothing: the network may have forgotten them.
    fn check_link(&mut self, id: InstanceId) -> u64 {
        let (now, key) = (self.now, self.at(id).link);
        let half = self.owner(id).down_after_ms / 2;
        let silent = self.periods.publish * 3;
        let young = self.periods.min_link_reconnect;
        let link = self.link(id);
        let mut next = NEVER;
        let mut close = [false; 2];
        if let (ChannelState::Open, Some(pending)) = (link.command.state, link.ping_pending_since) {
            let due = (link.command.since + young).max(pending + half).max(link.last_pong + half);
            close[0] = now > due;
            next = next.min(due + 1);
        }
        if link.pubsub.state == ChannelState::Open {
            let due = (link.pubsub.since + young).max(link.pubsub_activity + silent);
            close[1] = now > due;
            next = next.min(due + 1);
        }
        for (pubsub, close) in [(false, close[0]), (true, close[1])] {
            if close {
                self.close_channel(key, pubsub);
                self.touch(id);
            }
        }
        next
    }

    /// Is this instance down for us?
    fn check_subjectively_down(&mut self, id: InstanceId) -> u64 {
        let down_after = self.owner(id).down_after_ms;
        let link = self.link(id);
        let silent_since = match link.ping_pending_since {
            Some(since) => Some(since),
            None if link.disconnected() => Some(link.last_available),
            None => None,
        };
        let mut moments = [NEVER; 3];
        moments[0] = silent_since.map_or(NEVER, |since| since + down_after);
        if let Kind::Primary(primary) = &self.at(id).kind {
            if primary.reports.role == Role::Replica {
                // With the one that it has handed over to, there is nothing more to be waited for.
                let wait = if self.handed_over_to(id).is_some() { 0 } else { self.periods.info * 2 };
                moments[1] = primary.reports.role_since + down_after + wait;
            }
            if let Some(rebooted) = primary.rebooted_at {
                moments[2] = rebooted + primary.reboot_down_after_ms;
            }
        }
        let down_at = moments.into_iter().min().unwrap_or(NEVER);
        let down = self.now > down_at;
        let now = self.now;
        let instance = self.at_mut(id);
        if down != instance.s_down {
            instance.s_down = down;
            if down {
                instance.s_down_since = Some(now);
            } else {
                instance.script_kill_sent = false;
            }
            self.emit_for(LogLevel::Warning, if down { "+sdown" } else { "-sdown" }, id, "");
            let owner = self.at(id).owner;
            self.touch(owner);
            if !down && matches!(&self.at(id).kind, Kind::Replica(r) if r.reports.role != Role::Replica) {
                // Its INFO said what it should not be while it was still down for us: now that can be mended.
                self.want_info(id);
            }
            if down && owner == id {
                // Whoever is promoted is chosen by what replicas say now, not what they said ten seconds ago.
                for replica in self.at(id).primary().replicas.clone() {
                    self.want_info(replica);
                }
            }
        }
        if down { NEVER } else { down_at.saturating_add(1) }
    }

    /// Do enough sentinels say that the primary is down?
    pub(crate) fn check_objectively_down(&mut self, id: InstanceId) {
        let instance = self.at(id);
        let primary = instance.primary();
        let others = primary.sentinels.values().filter(|s| self.at(**s).peer().primary_down).count();
        let votes = 1 + others;
        let down = instance.s_down && votes >= primary.quorum as usize;
        if down == primary.o_down {
            return;
        }
        let (quorum, now) = (primary.quorum, self.now);
        let primary = self.at_mut(id).primary_mut();
        primary.o_down = down;
        if down {
            primary.o_down_since = Some(now);
            self.emit_for(LogLevel::Warning, "+odown", id, &format!("#quorum {votes}/{quorum}"));
        } else {
            primary.candidacy_at = None;
            self.emit_for(LogLevel::Warning, "-odown", id, "");
        }
    }
}
