//! Which replica becomes the primary.
//!
//! Not fit are replicas that are down or not connected, have not answered PING for five PING periods, have priority 0, whose last
//! INFO is too old (five PING periods if the primary is down, three INFO periods otherwise), or that have been without the primary for
//! longer than it has not answered us plus ten times `down-after-milliseconds`. (Redis counts from when it found the primary down, which
//! may be much later than when it died: after TILT, say. Then no replica is ever fit again.)
//!
//! A replica that already is the primary, by its own word and by that of the primary, which follows it, goes before all others: the
//! primary has handed over to it by itself (`FAILOVER`, or before a stop), and what was written since is there alone.
//!
//! Of the others, the first by: lower priority, greater offset (more of the primary's history), smaller run id.

use crate::info::Role;
use crate::instance::InstanceId;
use crate::state::Sentinel;
use core::cmp::Reverse;

/// How many PING periods old what a replica says may be.
const PINGS: u64 = 5;
/// How many INFO periods old while the primary is up.
const INFOS: u64 = 3;
/// How many times `down-after-milliseconds` it may have been without its primary.
const DOWN_AFTERS: u64 = 10;

impl Sentinel {
    /// The best replica of a primary, if one is fit.
    pub(crate) fn select_replica(&self, id: InstanceId) -> Option<InstanceId> {
        if let Some(taker) = self.handed_over_to(id) {
            return Some(taker);
        }
        let fit = self.at(id).primary().replicas.iter().copied().filter(|r| self.is_fit(id, *r));
        fit.min_by_key(|r| {
            let (instance, replica) = (self.at(*r), self.at(*r).replica());
            // Old servers have no run id; they come last.
            let run_id = instance.run_id.as_ref();
            (replica.priority, Reverse(replica.offset), run_id.is_none(), run_id)
        })
    }

    /// The replica that the primary says it follows.
    pub(crate) fn followed_replica(&self, id: InstanceId) -> Option<InstanceId> {
        let primary = self.at(id).primary();
        let (host, port) = primary.follows.as_ref()?;
        let is_it = |r: &InstanceId| self.at(*r).addr.port == *port && self.is_host_of(&self.at(*r).addr, host);
        primary.replicas.iter().copied().find(is_it)
    }

    /// The replica to which the primary has handed over by itself, if both say so and it is up.
    pub(crate) fn handed_over_to(&self, id: InstanceId) -> Option<InstanceId> {
        let taker = self.followed_replica(id)?;
        let (instance, link) = (self.at(taker), self.link(taker));
        let (reports, patience) = (&instance.replica().reports, self.periods.ping * PINGS);
        let is_primary = reports.role == Role::Primary && reports.at.is_some_and(|at| self.now <= at + patience);
        (is_primary && !instance.s_down && !link.disconnected()).then_some(taker)
    }

    fn is_fit(&self, id: InstanceId, replica: InstanceId) -> bool {
        let (primary, instance, link) = (self.at(id), self.at(replica), self.link(replica));
        let down_for = if primary.s_down { self.now - self.link(id).last_available } else { 0 };
        let patience = if primary.s_down { self.periods.ping * PINGS } else { self.periods.info * INFOS };
        let heard = instance.replica().reports.at.is_some_and(|at| self.now <= at + patience);
        !instance.s_down
            && !link.disconnected()
            && self.now <= link.last_available + self.periods.ping * PINGS
            && instance.replica().priority != 0
            && heard
            && instance.replica().link_down_ms <= down_for + primary.primary().down_after_ms * DOWN_AFTERS
    }
}
