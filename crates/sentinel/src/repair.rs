//! Repairs: servers whose role is not what our configuration says are set right.
//!
//! A *replica that says it is a primary* may be an old primary that came back, which has to follow the new one, or one that
//! another sentinel has just promoted, of which we have not heard yet. Demoting the second kind would undo a fail-over. Redis waits
//! eight seconds in both cases, for the news to arrive; an old primary takes writes all the time, and they are lost.
//!
//! The configuration epoch says who is right: a newer promotion has a greater epoch than ours. Two facts prove, without waiting,
//! that a claim to be the primary is *older* than our configuration:
//!
//! 1. It has the replication id that it had as the primary that we replaced. A server that becomes a replica takes the id of its new
//!    primary, and one that is promoted makes a new id. So it has been a primary without a break since before our epoch.
//! 2. It has no second replication id: it has not been a replica since it started, so nobody has promoted it since. It could have
//!    been promoted in a newer epoch and then have restarted, though; so we also need to know that our epoch is the newest: a majority
//!    of the sentinels, which any newer election would have needed, has told us within a hello period that it knows none newer.
//!
//! With one of them, for an instance that we know as the old primary, it is told as soon as it answers PING and INFO (`-sdown` comes
//! first, as people know it). Otherwise Redis's rule holds. In both cases the new primary must look sane: up, a primary by its own word, heard of lately.
//!
//! A *replica of another primary* is set right after `failover-timeout`, as in Redis: the leader of a fail-over may just be at it, and it may
//! do so for `parallel-syncs` replicas at a time only.

use crate::api::LogLevel;
use crate::info::Role;
use crate::instance::InstanceId;
use crate::state::Sentinel;

/// How many publish periods a promotion of unknown origin may last until it is undone.
const PERIODS: u64 = 4;
/// The same repair is not tried more often.
const AGAIN_MS: u64 = 1000;

impl Sentinel {
    /// A replica says that it is a primary.
    pub(crate) fn convert_if_astray(&mut self, id: InstanceId) {
        let wait = self.periods.publish * PERIODS;
        let role_since = self.at(id).reports().expect("a replica reports").role_since;
        let slow = self.not_down_for(id, wait) && self.now > role_since + wait;
        let soon = !self.at(id).s_down && self.claim_is_old(id);
        if self.may_repair(id) && (slow || soon) {
            self.repair(id, "+convert-to-slave");
        }
    }

    /// Whether it provably claims to be the primary since before our configuration.
    fn claim_is_old(&self, id: InstanceId) -> bool {
        let replica = self.at(id).replica();
        let Some(deposed) = &replica.deposed else { return false };
        let same_history = deposed.replid.is_some() && deposed.replid == replica.reports.replid;
        same_history || (replica.reports.never_replica && self.majority_agrees(self.at(id).owner))
    }

    /// Whether more than half of the sentinels have told lately that they know no newer configuration.
    fn majority_agrees(&self, primary: InstanceId) -> bool {
        let (epoch, lately) = (self.at(primary).primary().config_epoch, self.periods.publish + 1000);
        let sentinels = &self.at(primary).primary().sentinels;
        let told = |s: &&InstanceId| {
            self.at(**s).peer().told.is_some_and(|(at, theirs)| self.now <= at + lately && theirs <= epoch)
        };
        1 + sentinels.values().filter(told).count() > sentinels.len().div_ceil(2)
    }

    /// A replica follows somebody; is it our primary?
    pub(crate) fn fix_if_astray(&mut self, id: InstanceId) {
        let owner = self.at(id).owner;
        let (instance, replica) = (self.at(owner), self.at(id).replica());
        let right = replica.primary_port == instance.addr.port
            && replica.primary_host.as_ref().is_some_and(|host| self.is_host_of(&instance.addr, host));
        let wait = instance.primary().failover_timeout_ms;
        if !right && self.may_repair(id) && self.not_down_for(id, wait) && self.now > replica.conf_changed_at + wait {
            self.repair(id, "+fix-slave-config");
        }
    }

    fn may_repair(&self, id: InstanceId) -> bool {
        let owner = self.at(self.at(id).owner);
        let recently = self.at(id).replica().repaired_at.is_some_and(|at| self.now < at + AGAIN_MS);
        let primary = owner.primary();
        let heard = primary.reports.at.is_some_and(|at| self.now < at + self.periods.info * 2);
        !recently
            && primary.failover.is_none()
            && primary.reports.role == Role::Primary
            && !owner.s_down
            && !primary.o_down
            && heard
    }

    fn not_down_for(&self, id: InstanceId, ms: u64) -> bool {
        let instance = self.at(id);
        !instance.s_down && instance.s_down_since.is_none_or(|at| self.now > at + ms)
    }

    fn repair(&mut self, id: InstanceId, event: &'static str) {
        let addr = self.at(self.at(id).owner).addr.clone();
        if self.send_slaveof(id, Some((self.announced(&addr), addr.port)), false) {
            self.at_mut(id).replica_mut().repaired_at = Some(self.now);
            self.emit_for(LogLevel::Notice, event, id, "");
            self.want_info(id);
        }
    }
}
