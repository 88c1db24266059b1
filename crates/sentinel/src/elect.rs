//! Asking others whether a primary is down, voting, and being elected.
//!
//! An epoch is a number for one attempt at a fail-over. In each, a sentinel gives at most one vote, to whoever asks first. A candidate
//! that has the votes of more than half of all known sentinels, and of `quorum` of them, is the leader of its epoch; two halves
//! cannot both be more than half, so there is at most one. `SENTINEL is-master-down-by-addr ip port epoch runid` asks
//! for a vote, with `*` for the run id only whether the primary is down.
//!
//! # When to stand
//!
//! Candidates that stand at the same moment split the votes, and then nobody is elected for a while. Redis avoids this by a timer
//! whose frequency varies by chance. Here each sentinel knows its place among those it thinks alive, ordered by run id, and
//! waits [`STEP_MS`] for each one before it, plus a little chance. So the first one stands at once, and its request, which takes a
//! round trip and a write to disk, reaches the second before that one stands itself. When the first is dead too, the second
//! stands [`STEP_MS`] later.
//!
//! A candidate that was not elected and has voted for no other tries again soon, each time later, with a new epoch. Redis waits twice
//! `failover-timeout`; we do that only where we voted for another, who may be leading a fail-over now.
//!
//! Redis asks for votes in the epoch that it has heard of last; we ask in the epoch of our candidacy, so that the epoch
//! that elected us is the epoch of the configuration that we make.

use crate::api::{LogLevel, Reply};
use crate::failover::FailoverStep;
use crate::instance::{InstanceId, Vote};
use crate::limits::{EPOCH_LEAP_MAX, EPOCH_LEAP_PERIOD_MS, EPOCH_MAX, EPOCH_STEP_MAX};
use crate::links::Asked;
use crate::state::{NEVER, Sentinel};
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

/// How much later the next one in the order stands.
const STEP_MS: u64 = 100;
/// The most that chance adds.
const CHANCE_MS: u64 = 20;
/// Others are asked this often at first.
const ASK_FAST_MS: u64 = 200;
/// For this long.
const ASK_FAST_FOR_MS: u64 = 5000;
/// The longest wait after the first lost election; it doubles.
const RETRY_MS: u64 = 1000;

/// What the votes say.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Election {
    /// We are the leader.
    Won,
    /// It may still be decided.
    Open,
    /// Everybody who can has voted, and we do not have enough.
    Lost,
}

impl Sentinel {
    /// Asks the other sentinels about a primary that is down for us, or for their votes. Returns when to ask
    /// again.
    pub(crate) fn ask_others(&mut self, id: InstanceId) -> u64 {
        let instance = self.at(id);
        let primary = instance.primary();
        let candidacy = primary.failover.as_ref().filter(|f| f.step == FailoverStep::WaitStart);
        let epoch = candidacy.map_or(0, |f| f.epoch);
        let forced = candidacy.is_some_and(|f| f.manual.is_some());
        let (down, down_since) = (instance.s_down, instance.s_down_since.unwrap_or(0));
        let fast = down && self.now < down_since + ASK_FAST_FOR_MS || epoch != 0;
        let period = if fast { self.periods.ask.min(ASK_FAST_MS) } else { self.periods.ask };
        let others: Vec<InstanceId> = primary.sentinels.values().copied().collect();
        let (stale, now) = (self.periods.ask * 5, self.now);
        let mut next = NEVER;
        for other in others {
            let peer = self.at_mut(other).peer_mut();
            if peer.primary_down || peer.vote.leader.is_some() {
                // What it said long ago does not count.
                if now > peer.answered_at + stale {
                    peer.primary_down = false;
                    peer.vote.leader = None;
                } else {
                    next = next.min(peer.answered_at + stale + 1);
                }
            }
            if !(down || forced) || !self.may_send(other) {
                continue;
            }
            // A candidate's epoch is not shown before it is saved.
            let asks_vote = epoch != 0 && self.epochs_are_saved();
            let peer = self.at(other).peer();
            if asks_vote && peer.answered_epoch == epoch && forced && !down {
                continue;
            }
            // The first request for a vote does not wait for its turn after an earlier question.
            let first = asks_vote && peer.asked_epoch != epoch;
            let due = peer.asked_at.filter(|_| !first).map_or(now, |at| at + period);
            if now < due {
                next = next.min(due);
                continue;
            }
            let (vote_epoch, run_id) = if asks_vote { (epoch, self.my_id.clone()) } else { (0, "*".into()) };
            if vote_epoch == 0 && !down {
                continue;
            }
            // Without a request for a vote nobody looks at the epoch; but it must not tell what is not saved.
            let shown = if vote_epoch == 0 { self.saving.saved_epoch } else { vote_epoch };
            let addr = &self.at(id).addr;
            let address = (self.announced(addr), addr.port.to_string());
            self.send(
                other,
                false,
                Asked::PrimaryDown(other, vote_epoch),
                &["SENTINEL", "is-master-down-by-addr", &address.0, &address.1, &shown.to_string(), &run_id],
            );
            let peer = self.at_mut(other).peer_mut();
            (peer.asked_at, peer.asked_epoch) = (Some(now), vote_epoch);
            next = next.min(now + period);
        }
        next
    }

    /// Another sentinel answered.
    pub(crate) fn handle_primary_down(&mut self, id: InstanceId, epoch: u64, reply: &Reply) {
        let now = self.now;
        let Reply::Array(items) = reply else { return };
        let [Reply::Int(down), Reply::Bulk(leader), Reply::Int(vote_epoch)] = items.as_slice() else { return };
        let Some(instance) = self.instances.get_mut(&id) else { return };
        let (owner, name) = (instance.owner, instance.name.clone());
        let peer = instance.peer_mut();
        peer.answered_at = now;
        // Unless it was asked about a primary that has been replaced since.
        peer.primary_down = *down == 1 && peer.asked_at.is_some();
        if epoch != 0 {
            peer.answered_epoch = epoch;
        }
        let vote_epoch = u64::try_from(*vote_epoch).unwrap_or(0);
        if leader != b"*"
            && let Ok(leader) = core::str::from_utf8(leader)
            && leader.len() <= 64
        {
            let known = peer.vote.epoch == vote_epoch;
            peer.vote = Vote { leader: Some(leader.to_string()), epoch: vote_epoch };
            if !known {
                self.log(LogLevel::Notice, format!("{name} voted for {leader} {vote_epoch}"));
            }
        }
        self.touch(owner);
    }

    /// Somebody names an epoch. Whether it is ours now, or was already: an impossible one is not, and one that is too far away is
    /// approached only, so that no message ever takes us to an epoch after which there is no next one.
    pub(crate) fn learn_epoch(&mut self, id: InstanceId, epoch: u64) -> bool {
        if epoch <= self.current_epoch {
            return true;
        }
        let explained = epoch - self.current_epoch <= EPOCH_STEP_MAX;
        if epoch > EPOCH_MAX || (!explained && self.now < self.leap_not_before) {
            return false;
        }
        if !explained {
            self.leap_not_before = self.now + EPOCH_LEAP_PERIOD_MS;
        }
        self.current_epoch = epoch.min(self.current_epoch + EPOCH_LEAP_MAX);
        self.epoch_changed();
        self.emit_text(LogLevel::Warning, "+new-epoch", id, self.current_epoch.to_string());
        epoch == self.current_epoch
    }

    /// Votes for `candidate`, or says how we voted before: for whom, in which epoch. The answer must wait until
    /// [`Self::epochs_are_saved`].
    pub(crate) fn vote(&mut self, id: InstanceId, epoch: u64, candidate: &str) -> Vote {
        if !self.learn_epoch(id, epoch) {
            self.log_refusal(format!("request for a vote in the impossible epoch {epoch}"));
            return Vote::default();
        }
        let vote = &mut self.at_mut(id).primary_mut().vote;
        if vote.epoch < epoch && self.current_epoch <= epoch {
            let vote = &mut self.at_mut(id).primary_mut().vote;
            *vote = Vote { leader: Some(candidate.to_string()), epoch };
            self.epoch_changed();
            self.emit_text(LogLevel::Warning, "+vote-for-leader", id, format!("{candidate} {epoch}"));
            if candidate != self.my_id {
                // Whom we voted for may lead a fail-over now: leave it the time. Where the primary is fine for us it is probably a
                // manual one, and if that is given up, a real failure shall not find us waiting.
                let (now, down) = (self.now, self.at(id).s_down);
                let timeout = self.at(id).primary().failover_timeout_ms * 2;
                let wait = if down { timeout } else { timeout.min(self.periods.election_timeout) };
                let primary = self.at_mut(id).primary_mut();
                primary.attempt_at = Some(now);
                primary.attempt_not_before = primary.attempt_not_before.max(now + wait);
                self.touch(id);
            }
        }
        self.at(id).primary().vote.clone()
    }

    /// Counts the votes of our candidacy. Our own vote counts once it is saved.
    pub(crate) fn count_votes(&mut self, id: InstanceId, epoch: u64) -> Election {
        let primary = self.at(id).primary();
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        let mut may_still_vote = 0;
        for other in primary.sentinels.values() {
            let (instance, peer) = (self.at(*other), self.at(*other).peer());
            match &peer.vote {
                Vote { leader: Some(leader), epoch: e } if *e == epoch => {
                    *counts.entry(leader.as_str()).or_default() += 1
                }
                _ if !instance.s_down && peer.answered_epoch != epoch => may_still_vote += 1,
                _ => {}
            }
        }
        // Whoever has most votes so far gets ours, if we have not voted in this epoch; without any, we stand ourselves.
        let favourite = counts.iter().max_by_key(|(_, n)| **n).map_or(self.my_id.clone(), |(l, _)| (*l).to_string());
        let mut ours = counts.get(self.my_id.as_str()).copied().unwrap_or(0);
        let vote = self.vote(id, epoch, &favourite);
        if !self.epochs_are_saved() {
            return Election::Open;
        }
        if vote.epoch == epoch && vote.leader.as_deref() == Some(&self.my_id) {
            ours += 1;
        }
        let needed = self.votes_needed(id);
        if ours >= needed {
            Election::Won
        } else if ours + may_still_vote < needed {
            Election::Lost
        } else {
            Election::Open
        }
    }

    /// More than half of all sentinels that we know, ourselves included, and not fewer than the quorum.
    fn votes_needed(&self, id: InstanceId) -> usize {
        let primary = self.at(id).primary();
        let voters = primary.sentinels.len() + 1;
        (voters / 2 + 1).max(primary.quorum as usize)
    }

    /// When we stand for election now that the primary is objectively down; drawn once.
    pub(crate) fn candidacy_at(&mut self, id: InstanceId) -> u64 {
        if let Some(at) = self.at(id).primary().candidacy_at {
            return at;
        }
        let primary = self.at(id).primary();
        let before: u64 = primary
            .sentinels
            .iter()
            .filter(|(run_id, other)| **run_id < self.my_id && !self.at(**other).s_down)
            .count() as u64;
        let at = match before {
            0 => self.now,
            places => self.now + places * STEP_MS + self.rng.below(CHANCE_MS),
        };
        self.at_mut(id).primary_mut().candidacy_at = Some(at);
        at
    }

    /// Our candidacy found no majority: when may we stand again?
    pub(crate) fn note_lost_election(&mut self, id: InstanceId, epoch: u64) {
        let lost = self.at(id).primary().elections_lost.min(16);
        let longest = (RETRY_MS << lost).min(self.at(id).primary().failover_timeout_ms * 2);
        // Half of it by chance, at any length: whoever lost with us must not stand again with us.
        let wait = longest / 2 + self.rng.below(longest / 2 + 1);
        let (now, my_id) = (self.now, self.my_id.clone());
        let primary = self.at_mut(id).primary_mut();
        primary.candidacy_at = None;
        let voted_for_us = primary.vote.epoch == epoch && primary.vote.leader.as_deref() == Some(&my_id);
        if voted_for_us {
            primary.elections_lost += 1;
            primary.attempt_not_before = now + wait;
        } else {
            primary.elections_lost = 0;
        }
    }

    /// Whether we can reach enough sentinels, for `SENTINEL CKQUORUM`: how many there are with us, whether they are enough for the
    /// quorum, and for a majority.
    pub(crate) fn check_quorum(&self, id: InstanceId) -> (usize, bool, bool) {
        let primary = self.at(id).primary();
        let usable = 1 + primary.sentinels.values().filter(|s| !self.at(**s).s_down).count();
        let voters = primary.sentinels.len() + 1;
        (usable, usable >= primary.quorum as usize, usable > voters / 2)
    }

    /// The answer to a request for a vote while the vote could not be saved: none.
    pub(crate) fn no_vote(down: bool) -> Reply {
        Self::vote_reply(down, None, 0)
    }

    /// `is-master-down-by-addr`'s answer.
    pub(crate) fn vote_reply(down: bool, leader: Option<String>, epoch: u64) -> Reply {
        let leader = leader.unwrap_or_else(|| "*".into());
        Reply::Array([Reply::Int(i64::from(down)), Reply::Bulk(leader.into_bytes()), Reply::Int(epoch as i64)].into())
    }
}
