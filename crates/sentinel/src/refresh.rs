//! Taking over what `INFO` says, and what follows from it.

use crate::api::{LogLevel, Reply};
use crate::failover::FailoverStep;
use crate::handover::HandOver;
use crate::info::{InfoReport, Role};
use crate::instance::{InstanceId, Kind, Reconf};
use crate::limits::INFO_BYTES_MAX;
use crate::state::Sentinel;
use alloc::format;
use alloc::vec::Vec;

/// INFO that was refused is asked for again after this long.
const REFUSED_MS: u64 = 1000;

impl Sentinel {
    /// A data server answered to INFO.
    pub(crate) fn handle_info(&mut self, id: InstanceId, reply: Reply) {
        let now = self.now;
        let Some(instance) = self.instances.get_mut(&id) else { return };
        let owner = instance.owner;
        let Some(reports) = instance.reports_mut() else { return };
        reports.asked_at = None;
        let Reply::Bulk(mut text) = reply else {
            // Loading, a wrong password: ask again, but not at once.
            reports.not_before = now + REFUSED_MS;
            self.touch(id);
            return;
        };
        text.truncate(INFO_BYTES_MAX);
        let report = InfoReport::parse(&text);
        reports.text = Some(text);
        reports.at = Some(now);
        reports.replid.clone_from(&report.replid);
        (reports.never_replica, reports.offset) = (report.never_replica, report.offset);
        self.note_run_id(id, &report);
        if self.at(id).is_primary() {
            self.learn_replicas(id, &report);
            self.note_offset(id);
            self.note_whom_it_follows(id, &report);
        } else {
            self.note_replica(id, &report);
        }
        self.note_role(id, report.role);
        if !self.in_tilt() {
            self.act_on_info(id, report.role);
        }
        self.touch(id);
        self.touch(owner);
    }

    fn note_run_id(&mut self, id: InstanceId, report: &InfoReport) {
        let now = self.now;
        let instance = self.at_mut(id);
        if report.run_id.is_none() || instance.run_id == report.run_id {
            return;
        }
        let known = core::mem::replace(&mut instance.run_id, report.run_id.clone());
        if known.is_some() {
            if let Kind::Primary(primary) = &mut instance.kind
                && primary.reboot_down_after_ms != 0
            {
                primary.rebooted_at = Some(now);
            }
            self.emit_for(LogLevel::Notice, "+reboot", id, "");
        }
    }

    /// A primary lists its replicas: that is how we find them.
    fn learn_replicas(&mut self, id: InstanceId, report: &InfoReport) {
        for (host, port) in &report.replicas {
            let Ok(addr) = self.address(host, *port) else {
                self.log_refusal(format!("a replica with an impossible address: {host:?}"));
                continue;
            };
            if addr.ip.is_none() && self.look_up(host) == crate::addr::Lookup::Asked {
                // Ask again when its address is known: two names may mean one place.
                self.names.waiting.insert(id);
                continue;
            }
            if let Some(replica) = self.add_replica(id, addr) {
                self.emit_for(LogLevel::Notice, "+slave", replica, "");
                self.changed();
            }
        }
    }

    /// A primary that says it is a replica has been told so by somebody else than us, or has handed over by itself.
    fn note_whom_it_follows(&mut self, id: InstanceId, report: &InfoReport) {
        let to = report.primary_host.clone().zip(report.primary_port).filter(|_| report.role == Role::Replica);
        self.at_mut(id).primary_mut().follows = to;
        // Only both of them together can tell that.
        if let Some(replica) = self.followed_replica(id)
            && self.at(replica).reports().is_some_and(|r| r.role != Role::Primary)
        {
            self.want_info(replica);
        }
    }

    fn note_replica(&mut self, id: InstanceId, report: &InfoReport) {
        let now = self.now;
        let replica = self.at_mut(id).replica_mut();
        replica.link_down_ms = report.link_down_ms;
        if report.role != Role::Replica {
            return;
        }
        if let Some(host) = &report.primary_host
            && replica.primary_host.as_ref().is_none_or(|known| !known.eq_ignore_ascii_case(host))
        {
            replica.primary_host = Some(host.clone());
            replica.conf_changed_at = now;
        }
        if let Some(port) = report.primary_port
            && replica.primary_port != port
        {
            replica.primary_port = port;
            replica.conf_changed_at = now;
        }
        replica.link_up = report.link_up.unwrap_or(replica.link_up);
        replica.priority = report.priority.unwrap_or(replica.priority);
        replica.offset = report.replica_offset.unwrap_or(replica.offset);
        replica.announced = report.announced.unwrap_or(replica.announced);
        // Whatever it was before, now it follows somebody.
        replica.deposed = None;
    }

    fn note_role(&mut self, id: InstanceId, role: Role) {
        let now = self.now;
        let instance = self.at_mut(id);
        let reports = instance.reports_mut().expect("only data servers are asked for INFO");
        if reports.role == role || role == Role::Unknown {
            return;
        }
        (reports.role, reports.role_since) = (role, now);
        if let (Kind::Replica(replica), Role::Replica) = (&mut instance.kind, role) {
            replica.conf_changed_at = now;
        }
        let expected = if instance.is_primary() { Role::Primary } else { Role::Replica };
        let event = if role == expected { "+role-change" } else { "-role-change" };
        if role == Role::Primary && !instance.is_primary() {
            // Has the primary handed over to it? What that said last may be ten seconds old.
            let owner = instance.owner;
            self.want_info(owner);
        }
        let word = if role == Role::Primary { "master" } else { "slave" };
        self.emit_for(LogLevel::Verbose, event, id, &format!("new reported role is {word}"));
    }

    fn act_on_info(&mut self, id: InstanceId, role: Role) {
        // A primary that says it is a replica is not repaired: it counts as down after a while.
        if self.at(id).is_primary() {
            return;
        }
        let owner = self.at(id).owner;
        let failover = self.at(owner).primary().failover.as_ref();
        let promoting = failover.is_some_and(|f| {
            f.promoted == Some(id)
                && matches!(f.step, FailoverStep::WaitPromotion | FailoverStep::HandOver(HandOver::Switching))
        });
        match role {
            Role::Primary if promoting => self.handle_promoted(owner),
            Role::Primary => self.convert_if_astray(id),
            Role::Replica => {
                self.follow_reconf(id);
                self.fix_if_astray(id);
            }
            Role::Unknown => {}
        }
    }

    /// A replica that was pointed at the new primary got on.
    fn follow_reconf(&mut self, id: InstanceId) {
        let owner = self.at(id).owner;
        let Some(promoted) = self.at(owner).primary().failover.as_ref().and_then(|f| f.promoted) else { return };
        let to = self.at(promoted).addr.clone();
        let replica = self.at(id).replica();
        let follows = replica.primary_port == to.port
            && replica.primary_host.as_ref().is_some_and(|host| self.is_host_of(&to, host));
        if matches!(replica.reconf, Reconf::Sent(_)) && follows {
            self.at_mut(id).replica_mut().reconf = Reconf::InProgress;
            self.emit_for(LogLevel::Notice, "+slave-reconf-inprog", id, "");
        }
        if self.at(id).replica().reconf == Reconf::InProgress && self.at(id).replica().link_up {
            self.at_mut(id).replica_mut().reconf = Reconf::Done;
            self.emit_for(LogLevel::Notice, "+slave-reconf-done", id, "");
        }
    }

    /// The cached INFO of a primary and its replicas, with its age.
    pub(crate) fn info_cache(&self, id: InstanceId) -> Vec<(u64, Option<&Vec<u8>>)> {
        let replicas = self.at(id).primary().replicas.iter().copied();
        let reports = core::iter::once(id).chain(replicas).filter_map(|i| self.at(i).reports());
        reports.map(|r| (r.at.map_or(0, |at| self.now - at), r.text.as_ref())).collect()
    }
}
