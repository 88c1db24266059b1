//! Commands that show: the fields of instances, addresses, help, the `INFO` section.

use super::{bulk, bulk_number, error};
use crate::api::Reply;
use crate::info::Role;
use crate::instance::{Instance, InstanceId, Kind, Peer, Primary, Reconf, Replica, Reports};
use crate::state::Sentinel;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;
use core::fmt::Write;

type Fields = Vec<(Reply, Reply)>;

fn field(fields: &mut Fields, name: &str, value: impl AsRef<str>) {
    fields.push((bulk(name), bulk(value.as_ref())));
}

fn number(fields: &mut Fields, name: &str, value: u64) {
    fields.push((bulk(name), bulk_number(value)));
}

impl Sentinel {
    pub(super) fn show_primaries(&self) -> Reply {
        Reply::Array(self.primaries.values().map(|id| self.show(*id)).collect())
    }

    pub(super) fn show_replicas(&self, id: InstanceId) -> Reply {
        let listed = self.at(id).primary().replicas.iter().filter(|r| self.at(**r).replica().announced);
        Reply::Array(listed.map(|r| self.show(*r)).collect())
    }

    pub(super) fn show_sentinels(&self, id: InstanceId) -> Reply {
        Reply::Array(self.at(id).primary().sentinels.values().map(|s| self.show(*s)).collect())
    }

    /// All that we know of an instance, in Redis's order.
    pub(super) fn show(&self, id: InstanceId) -> Reply {
        let (instance, link) = (self.at(id), self.link(id));
        let since = |at: u64| self.now.saturating_sub(at);
        let mut fields = Fields::new();
        let f = &mut fields;
        field(f, "name", &instance.name);
        field(f, "ip", self.announced(&instance.addr));
        number(f, "port", u64::from(instance.addr.port));
        field(f, "runid", instance.run_id.as_deref().unwrap_or(""));
        field(f, "flags", self.flags(instance));
        number(f, "link-pending-commands", link.commands_pending() as u64);
        number(f, "link-refcount", link.users.len() as u64);
        if let Kind::Primary(primary) = &instance.kind
            && let Some(failover) = &primary.failover
        {
            field(f, "failover-state", failover.step.name());
        }
        number(f, "last-ping-sent", link.ping_pending_since.map_or(0, since));
        number(f, "last-ok-ping-reply", since(link.last_available));
        number(f, "last-ping-reply", since(link.last_pong));
        if instance.s_down {
            number(f, "s-down-time", instance.s_down_since.map_or(0, since));
        }
        if let Kind::Primary(primary) = &instance.kind
            && primary.o_down
        {
            number(f, "o-down-time", primary.o_down_since.map_or(0, since));
        }
        number(f, "down-after-milliseconds", self.owner(id).down_after_ms);
        if let Some(reports) = instance.reports() {
            self.show_reports(f, reports);
        }
        match &instance.kind {
            Kind::Primary(primary) => show_primary(f, primary),
            Kind::Replica(replica) => show_replica(f, replica),
            Kind::Sentinel(peer) => self.show_peer(f, peer),
        }
        Reply::Map(fields)
    }

    fn flags(&self, instance: &Instance) -> String {
        let mut flags = Vec::new();
        let mut flag = |on: bool, name: &'static str| {
            if on {
                flags.push(name);
            }
        };
        let primary = match &instance.kind {
            Kind::Primary(p) => Some(p),
            Kind::Replica(_) | Kind::Sentinel(_) => None,
        };
        flag(instance.s_down, "s_down");
        flag(primary.is_some_and(|p| p.o_down), "o_down");
        flag(true, instance.type_name());
        flag(self.link(instance.id).disconnected(), "disconnected");
        flag(matches!(&instance.kind, Kind::Sentinel(Peer { primary_down: true, .. })), "master_down");
        flag(primary.is_some_and(|p| p.failover.is_some()), "failover_in_progress");
        let promoted = self.owner(instance.id).failover.as_ref().and_then(|f| f.promoted);
        flag(promoted == Some(instance.id), "promoted");
        if let Kind::Replica(replica) = &instance.kind {
            flag(matches!(replica.reconf, Reconf::Sent(_)), "reconf_sent");
            flag(replica.reconf == Reconf::InProgress, "reconf_inprog");
            flag(replica.reconf == Reconf::Done, "reconf_done");
        }
        let forced = primary.is_some_and(|p| p.failover.as_ref().is_some_and(|f| f.manual.is_some()));
        flag(forced, "force_failover");
        flag(instance.script_kill_sent, "script_kill_sent");
        flag(primary.is_some_and(|p| p.rebooted_at.is_some()), "master_reboot");
        flags.join(",")
    }

    fn show_reports(&self, f: &mut Fields, reports: &Reports) {
        number(f, "info-refresh", reports.at.map_or(0, |at| self.now - at));
        field(f, "role-reported", if reports.role == Role::Primary { "master" } else { "slave" });
        number(f, "role-reported-time", self.now - reports.role_since);
    }

    fn show_peer(&self, f: &mut Fields, peer: &Peer) {
        number(f, "last-hello-message", self.now - peer.last_hello);
        field(f, "voted-leader", peer.vote.leader.as_deref().unwrap_or("?"));
        number(f, "voted-leader-epoch", peer.vote.epoch);
    }

    pub(super) fn show_address(&self, name: &[u8]) -> Reply {
        let Ok(id) = self.named_or_error(name) else { return Reply::NullArray };
        let addr = self.current_address(id);
        Reply::Array(vec![bulk(&self.announced(addr)), bulk_number(u64::from(addr.port))])
    }

    pub(super) fn show_info_cache(&self, names: &[&[u8]]) -> Reply {
        let mut ids: Vec<InstanceId> = names.iter().filter_map(|name| self.named_or_error(name).ok()).collect();
        ids.sort();
        ids.dedup();
        let mut items = Vec::new();
        for id in ids {
            items.push(bulk(&self.at(id).name));
            let cached = self.info_cache(id).into_iter().map(|(age, text)| {
                let text = text.map_or(Reply::Null, |t| Reply::Bulk(t.clone()));
                Reply::Array(vec![Reply::Int(age as i64), text])
            });
            items.push(Reply::Array(cached.collect()));
        }
        Reply::Array(items)
    }

    pub(super) fn show_quorum(&self, id: InstanceId) -> Reply {
        let (usable, quorum, majority) = self.check_quorum(id);
        let mut problems = Vec::new();
        if !quorum {
            problems.push("Not enough available Sentinels to reach the specified quorum for this master");
        }
        if !majority {
            problems.push("Not enough available Sentinels to reach the majority and authorize a failover");
        }
        if problems.is_empty() {
            let text = format!("OK {usable} usable Sentinels. Quorum and failover authorization can be reached");
            return Reply::Status(text.into_bytes());
        }
        Reply::Error(format!("NOQUORUM {usable} usable Sentinels. {}", problems.join(". ")).into_bytes())
    }

    /// The fields of the `Sentinel` section of `INFO`.
    pub fn info_fields(&self) -> String {
        let (running, queued) = self.scripts.counts();
        let tilt_seconds = self.tilt_since.map_or("-1".to_string(), |since| ((self.now - since) / 1000).to_string());
        let simulated =
            u8::from(self.simulated.crash_after_election) | u8::from(self.simulated.crash_after_promotion) << 1;
        let mut text = format!(
            "sentinel_masters:{}\r\nsentinel_tilt:{}\r\nsentinel_tilt_since_seconds:{tilt_seconds}\r\n\
             sentinel_running_scripts:{running}\r\nsentinel_scripts_queue_length:{queued}\r\n\
             sentinel_simulate_failure_flags:{simulated}\r\n",
            self.primaries.len(),
            u8::from(self.in_tilt()),
        );
        for (i, id) in self.primaries.values().enumerate() {
            let (instance, primary) = (self.at(*id), self.at(*id).primary());
            let status = match (primary.o_down, instance.s_down) {
                (true, _) => "odown",
                (false, true) => "sdown",
                (false, false) => "ok",
            };
            let _ = write!(
                text,
                "master{i}:name={},status={status},address={}:{},slaves={},sentinels={}\r\n",
                instance.name,
                self.announced(&instance.addr),
                instance.addr.port,
                primary.replicas.len(),
                primary.sentinels.len() + 1,
            );
        }
        text
    }
}

fn show_primary(f: &mut Fields, primary: &Primary) {
    number(f, "config-epoch", primary.config_epoch);
    number(f, "num-slaves", primary.replicas.len() as u64);
    number(f, "num-other-sentinels", primary.sentinels.len() as u64);
    number(f, "quorum", u64::from(primary.quorum));
    number(f, "failover-timeout", primary.failover_timeout_ms);
    number(f, "parallel-syncs", primary.parallel_syncs);
    if let Some(path) = &primary.notification_script {
        field(f, "notification-script", path);
    }
    if let Some(path) = &primary.client_reconfig_script {
        field(f, "client-reconfig-script", path);
    }
}

fn show_replica(f: &mut Fields, replica: &Replica) {
    number(f, "master-link-down-time", replica.link_down_ms);
    field(f, "master-link-status", if replica.link_up { "ok" } else { "err" });
    field(f, "master-host", replica.primary_host.as_deref().unwrap_or("?"));
    number(f, "master-port", u64::from(replica.primary_port));
    number(f, "slave-priority", replica.priority.unsigned_abs());
    number(f, "slave-repl-offset", replica.offset);
    number(f, "replica-announced", u64::from(replica.announced));
}

/// `SENTINEL HELP`.
pub(super) fn help() -> Reply {
    const LINES: &[&str] = &[
        "SENTINEL <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
        "CKQUORUM <master-name>",
        "    Say whether enough Sentinels are reachable for the quorum and for a majority.",
        "CONFIG SET param value [param value ...]",
        "    Change options of this Sentinel.",
        "CONFIG GET <param> [param param param ...]",
        "    Show options of this Sentinel; patterns are allowed.",
        "DEBUG [<param> <value> ...]",
        "    Show or change periods and time limits, in milliseconds.",
        "FAILOVER <master-name> [COORDINATED]",
        "    Make a replica the master without asking other Sentinels to agree. With COORDINATED",
        "    the master hands over by itself.",
        "FLUSHCONFIG",
        "    Write the configuration file with the state of this Sentinel.",
        "GET-MASTER-ADDR-BY-NAME <master-name>",
        "    Show address and port of the master.",
        "INFO-CACHE <master-name>",
        "    Show the last INFO of the master and its replicas.",
        "IS-MASTER-DOWN-BY-ADDR <ip> <port> <current-epoch> <runid>",
        "    For other Sentinels: is this master down, and who gets the vote?",
        "MASTER <master-name>",
        "    Show a master.",
        "MASTERS",
        "    Show all masters.",
        "MONITOR <name> <ip> <port> <quorum>",
        "    Watch another master.",
        "MYID",
        "    Show the ID of this Sentinel.",
        "PENDING-SCRIPTS",
        "    Show scripts that run or wait.",
        "REMOVE <master-name>",
        "    Stop watching a master.",
        "REPLICAS <master-name>",
        "    Show the replicas of a master.",
        "RESET <pattern>",
        "    Forget replicas and Sentinels of the masters whose names match.",
        "SENTINELS <master-name>",
        "    Show the other Sentinels of a master.",
        "SET <master-name> <option> <value> [<option> <value> ...]",
        "    Change options of a master.",
        "SIMULATE-FAILURE [CRASH-AFTER-ELECTION] [CRASH-AFTER-PROMOTION] [HELP]",
        "    Crash at such a moment, for tests.",
        "HELP",
        "    Print this help.",
    ];
    Reply::Array(LINES.iter().map(|line| Reply::Status(line.as_bytes().to_vec())).collect())
}

/// An answer that a value is not a number.
pub(super) fn not_an_integer() -> Reply {
    error("value is not an integer or out of range")
}
