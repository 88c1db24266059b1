//! The state of a sentinel and its heart: an event comes in, whatever it touched is looked at, actions come out.
//!
//! Every instance has at most one timer. An event changes an instance and *touches* it; before [`Sentinel::handle`]
//! returns, each touched instance is *tended*: everything that is due is done and its next deadline computed. So nothing waits for
//! a periodic timer, and an idle sentinel with a hundred primaries does nothing between its PINGs.
//!
//! The periods are those of Redis (PING each second, INFO each 10 s, hello each 2 s), tighter where somebody waits for an answer:
//! see `monitor.rs`.

use crate::addr::{Addr, Names};
use crate::api::{Action, Event, LinkId, LogLevel, Millis, Setup};
use crate::commands::Pending;
use crate::config::{self, ConfigError, File};
use crate::failover::FailoverStep;
use crate::info::Role;
use crate::instance::{Instance, InstanceId, Kind, Peer, Primary, Reconf, Replica, Reports, Vote};
use crate::limits::{REPLICAS_MAX, SENTINELS_MAX};
use crate::links::{Link, LinkKey};
use crate::saving::Saving;
use crate::scripts::Scripts;
use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use base::rng::Rng;

/// No deadline.
pub(crate) const NEVER: u64 = u64::MAX;

/// Options that hold for all primaries.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub announce_ip: Option<String>,
    pub announce_port: u16,
    pub auth_user: Option<String>,
    pub auth_pass: Option<String>,
    pub resolve_hostnames: bool,
    pub announce_hostnames: bool,
    pub deny_scripts_reconfig: bool,
    pub log_level: LogLevel,
    pub port: u16,
    pub requirepass: Option<String>,
}

/// Periods and limits in milliseconds, with Redis's defaults; `SENTINEL DEBUG` changes them for tests.
#[derive(Clone, Debug)]
pub(crate) struct Periods {
    pub info: u64,
    pub ping: u64,
    pub ask: u64,
    pub publish: u64,
    pub default_down_after: u64,
    pub default_failover_timeout: u64,
    pub tilt_trigger: u64,
    pub tilt: u64,
    pub slave_reconf_timeout: u64,
    pub min_link_reconnect: u64,
    pub election_timeout: u64,
    pub script_max_runtime: u64,
    pub script_retry_delay: u64,
}

impl Default for Periods {
    fn default() -> Self {
        Self {
            info: 10_000,
            ping: 1000,
            ask: 1000,
            publish: 2000,
            default_down_after: 30_000,
            default_failover_timeout: 180_000,
            tilt_trigger: 2000,
            tilt: 30_000,
            slave_reconf_timeout: 10_000,
            min_link_reconnect: 15_000,
            election_timeout: 10_000,
            script_max_runtime: 60_000,
            script_retry_delay: 30_000,
        }
    }
}

/// Crashes that `SENTINEL SIMULATE-FAILURE` asked for.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Simulated {
    pub crash_after_election: bool,
    pub crash_after_promotion: bool,
}

/// A primary as this sentinel sees it, for displays and checks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrimaryView {
    /// Its name in the configuration.
    pub name: String,
    /// Host of the current primary; during a fail-over that of the promoted replica as soon as it is one.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// The epoch of the fail-over that made it the primary.
    pub config_epoch: u64,
    /// It does not answer this sentinel.
    pub s_down: bool,
    /// Enough sentinels say so.
    pub o_down: bool,
    /// The epoch of the fail-over that this sentinel leads or wants to lead now.
    pub failover_epoch: Option<u64>,
    /// The epoch of this sentinel's last vote.
    pub vote_epoch: u64,
    /// For whom it was, if that is still known.
    pub vote_leader: Option<String>,
    /// Known replicas, with their names and whether they are down.
    pub replicas: Vec<(String, bool)>,
    /// How many other sentinels it knows.
    pub sentinels: usize,
}

/// A sentinel. See the crate's documentation for the order of calls.
#[derive(Debug)]
pub struct Sentinel {
    pub(crate) now: u64,
    pub(crate) wall: i64,
    pub(crate) rng: Rng,
    pub(crate) my_id: String,
    pub(crate) options: Options,
    pub(crate) periods: Periods,
    pub(crate) current_epoch: u64,
    /// When a message may next take the epoch further than fail-overs explain.
    pub(crate) leap_not_before: u64,
    pub(crate) instances: BTreeMap<InstanceId, Instance>,
    pub(crate) primaries: BTreeMap<String, InstanceId>,
    pub(crate) links: BTreeMap<LinkKey, Link>,
    /// Which link a connection belongs to.
    pub(crate) connections: BTreeMap<LinkId, LinkKey>,
    pub(crate) names: Names,
    /// Since when we do not act.
    pub(crate) tilt_since: Option<u64>,
    pub(crate) file: File,
    pub(crate) saving: Saving,
    pub(crate) scripts: Scripts,
    pub(crate) pending: Vec<Pending>,
    pub(crate) simulated: Simulated,
    /// Paths that have just been looked at.
    pub(crate) executables: BTreeMap<String, bool>,
    /// When a refused message was last logged.
    pub(crate) refusal_logged_at: Option<u64>,
    timers: BTreeSet<(u64, InstanceId)>,
    touched: VecDeque<InstanceId>,
    /// Primaries among them come last: what is decided for them depends on how the others are.
    touched_primaries: VecDeque<InstanceId>,
    actions: VecDeque<Action>,
    next_instance: u32,
    pub(crate) next_link: u32,
    pub(crate) next_connection: u64,
}

impl Sentinel {
    /// A sentinel with this configuration. It may have actions at once.
    pub fn new(setup: Setup, now: Millis) -> Result<Self, ConfigError> {
        let (file, statements) = config::parse(&setup.config_text)?;
        let mut sentinel = Self {
            now: now.monotonic,
            wall: now.wall,
            rng: Rng::new(setup.seed),
            my_id: String::new(),
            options: Options {
                announce_ip: None,
                announce_port: 0,
                auth_user: None,
                auth_pass: None,
                resolve_hostnames: false,
                announce_hostnames: false,
                deny_scripts_reconfig: true,
                log_level: setup.log_level,
                port: setup.port,
                requirepass: setup.requirepass,
            },
            periods: Periods::default(),
            current_epoch: 0,
            leap_not_before: 0,
            instances: BTreeMap::new(),
            primaries: BTreeMap::new(),
            links: BTreeMap::new(),
            connections: BTreeMap::new(),
            names: Names::default(),
            tilt_since: None,
            file,
            saving: Saving::default(),
            scripts: Scripts::default(),
            pending: Vec::new(),
            simulated: Simulated::default(),
            executables: BTreeMap::new(),
            refusal_logged_at: None,
            timers: BTreeSet::new(),
            touched: VecDeque::new(),
            touched_primaries: VecDeque::new(),
            actions: VecDeque::new(),
            next_instance: 0,
            next_link: 0,
            next_connection: 0,
        };
        sentinel.apply_configuration(statements)?;
        sentinel.saving.saved_epoch = sentinel.current_epoch;
        if sentinel.my_id.is_empty() {
            sentinel.my_id =
                (0..40).map(|_| char::from(b"0123456789abcdef"[sentinel.rng.below(16) as usize])).collect();
            sentinel.changed();
        }
        let id = sentinel.my_id.clone();
        sentinel.log(LogLevel::Notice, format!("Sentinel ID is {id}"));
        for id in sentinel.primary_ids() {
            let quorum = sentinel.at(id).primary().quorum;
            sentinel.emit_for(LogLevel::Warning, "+monitor", id, &format!("quorum {quorum}"));
        }
        sentinel.settle();
        Ok(sentinel)
    }

    /// Something happened. Afterwards [`Self::poll_action`] says what is to be done.
    pub fn handle(&mut self, now: Millis, event: Event) {
        self.look_at_clock(now);
        match event {
            Event::Tick => {}
            Event::LinkOpened { link, local } => self.handle_opened(link, local),
            Event::LinkClosed { link, reason } => self.handle_closed(link, &reason),
            Event::Received { link, reply } => self.handle_received(link, reply),
            Event::Command { client, args } => self.handle_command(client, args),
            Event::ClientGone { client } => self.pending.retain(|p| p.client != client),
            Event::Saved { save, error } => self.handle_saved(save, error),
            Event::ScriptStarted { script, pid } => self.handle_script_started(script, pid),
            Event::ScriptEnded { script, end } => self.handle_script_ended(script, end),
            Event::Resolved { name, address } => self.handle_resolved(&name, address),
            Event::Executable { path, executable } => self.handle_executable(&path, executable),
        }
        self.settle();
    }

    /// The next thing to be done, if any.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// When [`Event::Tick`] is due, in milliseconds of the monotonic clock.
    pub fn next_deadline(&self) -> u64 {
        // Also without anything to do we want to notice when time jumps or the process stood still.
        let heartbeat = self.now + (self.periods.tilt_trigger / 2).clamp(1, 1000);
        let first = self.timers.first().map_or(NEVER, |(at, _)| *at);
        heartbeat.min(first).min(self.scripts_deadline()).min(self.saving.retry_at()).min(self.tilt_end())
    }

    /// This sentinel's run id.
    pub fn id(&self) -> &str {
        &self.my_id
    }

    /// The greatest epoch it has heard of.
    pub fn current_epoch(&self) -> u64 {
        self.current_epoch
    }

    /// Whether it does not trust the clock and only watches.
    pub fn in_tilt(&self) -> bool {
        self.tilt_since.is_some()
    }

    /// The primaries that it watches.
    pub fn views(&self) -> Vec<PrimaryView> {
        self.primaries.values().map(|id| self.view(*id)).collect()
    }

    fn view(&self, id: InstanceId) -> PrimaryView {
        let (instance, primary) = (self.at(id), self.at(id).primary());
        let addr = self.current_address(id);
        PrimaryView {
            name: instance.name.clone(),
            host: self.announced(addr),
            port: addr.port,
            config_epoch: primary.config_epoch,
            s_down: instance.s_down,
            o_down: primary.o_down,
            failover_epoch: primary.failover.as_ref().map(|f| f.epoch),
            vote_epoch: primary.vote.epoch,
            vote_leader: primary.vote.leader.clone(),
            replicas: primary.replicas.iter().map(|r| (self.at(*r).name.clone(), self.at(*r).s_down)).collect(),
            sentinels: primary.sentinels.len(),
        }
    }

    pub(crate) fn push(&mut self, action: Action) {
        self.actions.push_back(action);
    }

    // Time.

    /// Takes the time over and enters TILT when it did not pass as expected: we were stopped for long, or somebody set the clock. What
    /// looks overdue then may only be unread.
    fn look_at_clock(&mut self, now: Millis) {
        let passed = now.monotonic.saturating_sub(self.now);
        let passed_on_wall = now.wall.saturating_sub(self.wall);
        let jump = passed_on_wall.saturating_sub_unsigned(passed).unsigned_abs();
        self.now = self.now.max(now.monotonic);
        self.wall = now.wall;
        if passed > self.periods.tilt_trigger || jump > self.periods.tilt_trigger {
            self.tilt_since = Some(self.now);
            self.emit(LogLevel::Warning, "+tilt", "#tilt mode entered".into());
        }
    }

    fn tilt_end(&self) -> u64 {
        self.tilt_since.map_or(NEVER, |since| since + self.periods.tilt)
    }

    /// Does everything that is due, for what was touched and for whose time has come.
    fn settle(&mut self) {
        if self.now >= self.tilt_end() {
            self.tilt_since = None;
            self.emit(LogLevel::Warning, "-tilt", "#tilt mode exited".into());
            for id in self.instances.keys().copied().collect::<Vec<_>>() {
                self.touch(id);
            }
        }
        while let Some(&(at, id)) = self.timers.first() {
            if at > self.now {
                break;
            }
            self.timers.pop_first();
            if let Some(instance) = self.instances.get_mut(&id) {
                instance.wake_at = NEVER;
            }
            self.touch(id);
        }
        while let Some(id) = self.touched.pop_front().or_else(|| self.touched_primaries.pop_front()) {
            let Some(instance) = self.instances.get_mut(&id) else { continue };
            instance.touched = false;
            let wake_at = self.tend(id);
            self.schedule(id, wake_at);
        }
        self.run_scripts();
        self.save_if_needed();
    }

    /// Has the instance tended before this event is over.
    pub(crate) fn touch(&mut self, id: InstanceId) {
        if let Some(instance) = self.instances.get_mut(&id)
            && !instance.touched
        {
            instance.touched = true;
            let queue = if instance.is_primary() { &mut self.touched_primaries } else { &mut self.touched };
            queue.push_back(id);
        }
    }

    fn schedule(&mut self, id: InstanceId, wake_at: u64) {
        let Some(instance) = self.instances.get_mut(&id) else { return };
        // What is overdue and could not be done now is tried again soon, not in a busy loop.
        let wake_at = wake_at.max(self.now + 1);
        if instance.wake_at != wake_at {
            self.timers.remove(&(instance.wake_at, id));
            self.timers.insert((wake_at, id));
            instance.wake_at = wake_at;
        }
    }

    // Instances.

    /// An instance that exists.
    pub(crate) fn at(&self, id: InstanceId) -> &Instance {
        self.instances.get(&id).expect("ids are kept only of instances that exist")
    }

    /// An instance that exists.
    pub(crate) fn at_mut(&mut self, id: InstanceId) -> &mut Instance {
        self.instances.get_mut(&id).expect("ids are kept only of instances that exist")
    }

    pub(crate) fn primary_ids(&self) -> Vec<InstanceId> {
        self.primaries.values().copied().collect()
    }

    /// The primary that an instance belongs to.
    pub(crate) fn owner(&self, id: InstanceId) -> &Primary {
        self.at(self.at(id).owner).primary()
    }

    fn insert(&mut self, owner: Option<InstanceId>, name: String, addr: Addr, kind: Kind) -> InstanceId {
        let id = InstanceId(self.next_instance);
        self.next_instance += 1;
        let link = self.new_link(id);
        let instance = Instance {
            id,
            owner: owner.unwrap_or(id),
            name,
            addr,
            run_id: None,
            link,
            s_down: false,
            s_down_since: None,
            script_kill_sent: false,
            hello_at: self.now,
            wake_at: NEVER,
            touched: false,
            kind,
        };
        self.instances.insert(id, instance);
        self.touch(id);
        id
    }

    /// Begins to watch a primary whose name is free.
    pub(crate) fn add_primary(&mut self, name: &str, addr: Addr, quorum: u32) -> InstanceId {
        let kind = Kind::Primary(Box::new(Primary {
            reports: Reports::new(Role::Primary, self.now),
            follows: None,
            config_epoch: 0,
            quorum,
            parallel_syncs: 1,
            down_after_ms: self.periods.default_down_after,
            failover_timeout_ms: self.periods.default_failover_timeout,
            reboot_down_after_ms: 0,
            auth_user: None,
            auth_pass: None,
            notification_script: None,
            client_reconfig_script: None,
            renamed: BTreeMap::new(),
            replicas: Vec::new(),
            sentinels: BTreeMap::new(),
            o_down: false,
            o_down_since: None,
            rebooted_at: None,
            vote: Vote::default(),
            failover: None,
            attempt_at: None,
            attempt_not_before: 0,
            elections_lost: 0,
            delay_logged: None,
            candidacy_at: None,
        }));
        let id = self.insert(None, name.to_string(), addr, kind);
        self.primaries.insert(name.to_string(), id);
        id
    }

    /// The replica of a primary at an address.
    pub(crate) fn find_replica(&self, owner: InstanceId, addr: &Addr) -> Option<InstanceId> {
        self.at(owner).primary().replicas.iter().copied().find(|r| self.at(*r).addr.same(addr))
    }

    /// Begins to watch a replica, unless there is one at that address or there are too many.
    pub(crate) fn add_replica(&mut self, owner: InstanceId, addr: Addr) -> Option<InstanceId> {
        if self.find_replica(owner, &addr).is_some() {
            return None;
        }
        if self.at(owner).primary().replicas.len() >= REPLICAS_MAX {
            self.log_refusal(format!("more than {REPLICAS_MAX} replicas of one primary"));
            return None;
        }
        let name = self.address_name(&addr);
        let kind = Kind::Replica(Box::new(Replica {
            reports: Reports::new(Role::Replica, self.now),
            priority: 100,
            announced: true,
            link_down_ms: 0,
            primary_host: None,
            primary_port: 0,
            link_up: false,
            offset: 0,
            conf_changed_at: self.now,
            reconf: Reconf::None,
            deposed: None,
            repaired_at: None,
        }));
        let id = self.insert(Some(owner), name, addr, kind);
        self.at_mut(owner).primary_mut().replicas.push(id);
        Some(id)
    }

    /// Begins to share a primary with another sentinel, unless it is known or there are too many.
    pub(crate) fn add_sentinel(&mut self, owner: InstanceId, run_id: &str, addr: Addr) -> Option<InstanceId> {
        let known = &self.at(owner).primary().sentinels;
        if known.contains_key(run_id) {
            return None;
        }
        if known.len() >= SENTINELS_MAX {
            self.log_refusal(format!("more than {SENTINELS_MAX} sentinels of one primary"));
            return None;
        }
        let kind = Kind::Sentinel(Peer {
            primary_down: false,
            answered_at: self.now,
            asked_at: None,
            asked_epoch: 0,
            answered_epoch: 0,
            vote: Vote::default(),
            last_hello: self.now,
            told: None,
        });
        let id = self.insert(Some(owner), run_id.to_string(), addr, kind);
        self.at_mut(id).run_id = Some(run_id.to_string());
        self.at_mut(owner).primary_mut().sentinels.insert(run_id.to_string(), id);
        self.share_link(id);
        Some(id)
    }

    /// Forgets an instance that no table names any more.
    fn drop_instance(&mut self, id: InstanceId) {
        let Some(instance) = self.instances.remove(&id) else { return };
        self.timers.remove(&(instance.wake_at, id));
        self.release_link(instance.link, id);
    }

    /// Stops sharing a primary with another sentinel.
    pub(crate) fn remove_sentinel(&mut self, owner: InstanceId, run_id: &str) -> bool {
        let Some(id) = self.at_mut(owner).primary_mut().sentinels.remove(run_id) else { return false };
        self.drop_instance(id);
        self.touch(owner);
        true
    }

    /// Stops watching a primary.
    pub(crate) fn remove_primary(&mut self, id: InstanceId) {
        self.drop_replicas(id);
        self.drop_sentinels(id);
        let name = self.at(id).name.clone();
        self.primaries.remove(&name);
        self.drop_instance(id);
    }

    fn drop_replicas(&mut self, id: InstanceId) {
        for replica in core::mem::take(&mut self.at_mut(id).primary_mut().replicas) {
            self.drop_instance(replica);
        }
    }

    fn drop_sentinels(&mut self, id: InstanceId) {
        for (_, sentinel) in core::mem::take(&mut self.at_mut(id).primary_mut().sentinels) {
            self.drop_instance(sentinel);
        }
    }

    /// Forgets what was learnt of a primary at run time, its replicas and, unless they are kept, the other sentinels; a
    /// fail-over under way is undone. It may be failed over again at once.
    pub(crate) fn reset_primary(&mut self, id: InstanceId, keep_sentinels: bool) {
        self.end_handover(id, Err("the primary was reset".into()));
        self.drop_replicas(id);
        if !keep_sentinels {
            self.drop_sentinels(id);
        }
        // What the others said was about the primary as it was; its successor must not be found down by that.
        for other in self.at(id).primary().sentinels.values().copied().collect::<Vec<_>>() {
            let peer = self.at_mut(other).peer_mut();
            (peer.primary_down, peer.asked_at) = (false, None);
        }
        let now = self.now;
        let instance = self.at_mut(id);
        (instance.s_down, instance.script_kill_sent, instance.run_id) = (false, false, None);
        instance.hello_at = now;
        let primary = instance.primary_mut();
        primary.reports = Reports::new(Role::Primary, now);
        (primary.o_down, primary.rebooted_at) = (false, None);
        // The vote's epoch stays: a vote is never given twice.
        primary.vote.leader = None;
        (primary.failover, primary.candidacy_at) = (None, None);
        (primary.attempt_at, primary.attempt_not_before, primary.elections_lost) = (None, 0, 0);
        self.reset_link(id);
        self.touch(id);
    }

    /// The primary is now at `to`. Its replicas are those that we knew, without that one, and the old primary.
    pub(crate) fn switch_primary(&mut self, id: InstanceId, to: Addr) {
        let old = self.at(id).addr.clone();
        let deposed = self.at(id).primary().reports.replid.clone();
        let mut replicas: Vec<(Addr, Option<crate::instance::Deposed>)> = Vec::new();
        for replica in &self.at(id).primary().replicas {
            let replica = self.at(*replica);
            if !replica.addr.same(&to) {
                replicas.push((replica.addr.clone(), replica.replica().deposed.clone()));
            }
        }
        if !old.same(&to) {
            replicas.push((old, Some(crate::instance::Deposed { replid: deposed })));
        }
        self.reset_primary(id, true);
        let instance = self.at_mut(id);
        instance.addr = to;
        instance.s_down_since = None;
        instance.primary_mut().o_down_since = None;
        for (addr, deposed) in replicas {
            if let Some(replica) = self.add_replica(id, addr) {
                self.at_mut(replica).replica_mut().deposed = deposed;
                self.emit_for(LogLevel::Notice, "+slave", replica, "");
            }
        }
        self.changed();
    }

    /// Where clients find the primary: as soon as the promoted replica is one, that is it.
    pub(crate) fn current_address(&self, id: InstanceId) -> &Addr {
        let promoted = self
            .at(id)
            .primary()
            .failover
            .as_ref()
            .filter(|f| matches!(f.step, FailoverStep::ReconfReplicas | FailoverStep::UpdateConfig))
            .and_then(|f| f.promoted);
        promoted.map_or(&self.at(id).addr, |replica| &self.at(replica).addr)
    }
}
