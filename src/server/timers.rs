//! What happens by time: expiry, time-outs, saving, samples of rates, heartbeats.

use super::Server;
use super::log::log;
use super::notes::Note;
use engine::client::{ClientFlags, ClientKey};
use engine::engine::Gates;

/// How often the timers run, milliseconds.
const TICK_MS: i64 = 100;
/// How soon they run again while more keys are due than one round may remove.
const BUSY_TICK_MS: i64 = 4;
/// How long one round of expiry may take, nanoseconds, times `active-expire-effort`.
const EXPIRE_NS: u64 = 1_000_000;
/// Keys removed between two looks at the clock.
const EXPIRE_PORTION: usize = 32;

impl Server {
    /// Runs the timers that are due.
    pub fn run_timers(&mut self) {
        self.engine.end_waits();
        let now_ms = self.engine.store.now_ms;
        if now_ms < self.next_tick_ms {
            if !self.engine.orders.is_empty() || !self.engine.dirty_clients.is_empty() {
                self.settle();
            }
            return;
        }
        self.next_tick_ms = now_ms + TICK_MS;
        if self.outside.cron_paused {
            self.settle();
            return;
        }
        super::clock::adjust();
        let began_ns = super::clock::monotonic_ns();
        if !self.expire_keys() {
            self.next_tick_ms = now_ms + BUSY_TICK_MS;
        }
        // A limit that was lowered, or memory that others than commands took, is seen here.
        if self.engine.gates.any(Gates::MEMORY) {
            self.engine.make_room();
        }
        self.sample();
        self.end_pause();
        self.failover_cron();
        self.link_cron();
        self.start_transfers();
        self.saving_cron();
        self.shutdown_cron();
        // A primary that has lost its replicas may not take writes for longer than it must.
        if self.engine.config.min_replicas_to_write.get() > 0 {
            self.outside.set_gates(&mut self.engine);
        }
        if now_ms - self.second_ms >= 1000 {
            self.second_ms = now_ms;
            self.seconds += 1;
            self.each_second();
        }
        self.settle();
        self.engine.stats.rounds.timer_ns += super::clock::monotonic_ns().saturating_sub(began_ns);
    }

    fn each_second(&mut self) {
        self.replicas_cron();
        self.acknowledge();
        self.close_idle_clients();
        self.check_soft_limits();
        self.engine.count_all_client_memory();
        self.engine.store.meter.refresh();
        self.outside.set_gates(&mut self.engine);
    }

    /// Removes keys whose time is up, for a bounded time; false where more are due.
    fn expire_keys(&mut self) -> bool {
        if self.engine.store.is_replica && !self.engine.store.frozen {
            self.engine.store.expire_own(EXPIRE_PORTION);
            self.engine.settle(0, b"");
        }
        let store = &self.engine.store;
        if store.is_replica
            || !store.active_expire
            || self.engine.pause.holds_writes(store.now_ms)
            || self.outside.loading_since_ms.is_some()
        {
            return true;
        }
        let effort = self.engine.config.active_expire_effort.get() as u64;
        let started = super::clock::monotonic_ns();
        let mut all_done = true;
        for db in 0..self.engine.store.keyspace.databases() {
            loop {
                let removed = self.engine.store.expire_some(db, EXPIRE_PORTION);
                self.engine.settle(db, b"");
                if removed < EXPIRE_PORTION {
                    break;
                }
                if super::clock::monotonic_ns() - started > EXPIRE_NS * effort {
                    self.engine.store.stats.expire_cap_reached += 1;
                    all_done = false;
                    break;
                }
            }
        }
        let took_ms = (super::clock::monotonic_ns() - started) / 1_000_000;
        self.engine.stats.latency_event("expire-cycle", self.engine.store.now_ms / 1000, took_ms);
        all_done
    }

    fn sample(&mut self) {
        let stats = &mut self.engine.stats;
        let rounds = stats.rounds;
        let counters = [
            stats.commands_total,
            stats.net_in,
            stats.net_out,
            stats.repl_in,
            stats.repl_out,
            rounds.count,
            rounds.nanos,
        ];
        stats.rates.sample(self.engine.store.now_ms, counters);
        let used = self.engine.store.meter.used();
        if used > stats.peak_memory {
            stats.peak_memory = used;
            stats.peak_memory_at_s = self.engine.store.now_ms / 1000;
        }
    }

    /// Lets postponed clients go on when the pause is over.
    pub fn end_pause(&mut self) {
        if self.engine.gates.any(Gates::PAUSED) {
            self.engine.pause_changed();
        }
        self.ask_replicas_if_wanted();
    }

    /// Gives postponed clients' requests to the engine again.
    pub fn resume_postponed(&mut self) {
        let keys: Vec<ClientKey> =
            self.engine.clients.iter().filter(|(_, c)| c.flags.any(ClientFlags::POSTPONED)).map(|(k, _)| k).collect();
        for key in keys {
            self.engine.clients[key].flags.set(ClientFlags::POSTPONED, false);
            if let Some(id) = self.conns.of_client(key) {
                self.resume(id);
            }
        }
    }

    /// A client may go over its soft limit and be sent nothing more, so that no send sees how long it has been there.
    fn check_soft_limits(&mut self) {
        let over: Vec<ClientKey> =
            self.engine.clients.iter().filter(|(_, c)| c.soft_limit_since_ms.is_some()).map(|(k, _)| k).collect();
        for key in over {
            if let Some(id) = self.conns.of_client(key) {
                self.check_output_limit(id);
            }
        }
    }

    fn close_idle_clients(&mut self) {
        let limit_ms = self.engine.config.timeout.get() * 1000;
        if limit_ms == 0 {
            return;
        }
        let now_ms = self.engine.store.now_ms;
        let exempt = ClientFlags::REPLICA | ClientFlags::PRIMARY | ClientFlags::BLOCKED | ClientFlags::PUBSUB;
        let idle: Vec<ClientKey> = self
            .engine
            .clients
            .iter()
            .filter(|(_, c)| !c.flags.any(exempt) && now_ms - c.active_ms > limit_ms)
            .map(|(k, _)| k)
            .collect();
        for key in idle {
            log!(Verbose, "Closing idle client");
            self.engine.close(key);
        }
    }

    /// Takes what other threads have sent.
    pub fn take_notes(&mut self) {
        while let Ok(note) = self.notes.try_recv() {
            match note {
                Note::Signal(signal) => self.signalled(signal),
                Note::Saved { number, error, took_ms } => self.saved(number, error, took_ms),
                Note::Role { primary } => self.role_told(primary),
                Note::StartLoaded(result) => self.start_loaded(result),
                Note::Transferred { client, id, error, bytes } => self.transferred(client, id, error, bytes),
                Note::SyncReceived { attempt, path } => self.sync_received(attempt, &path),
                Note::SyncLoaded { attempt, result } => self.sync_loaded(attempt, result),
                Note::Sentinel(event) => self.tell_sentinel(event),
                Note::Resolved { attempt, result } => self.resolved(attempt, result),
            }
        }
    }

    /// Does what commands have left to the event loop.
    pub fn do_todos(&mut self) {
        use super::outside::Todo;
        for todo in std::mem::take(&mut self.outside.todos) {
            match todo {
                Todo::ReplicaAttached(key) => self.replica_attached(key),
                Todo::TryLink => self.link_cron(),
                Todo::CloseLink(id) => self.close(id),
                Todo::DisconnectReplicas(keys) => self.disconnect(&keys),
                Todo::Acknowledge => self.acknowledge(),
                Todo::AskReplicas => {
                    self.outside.ask_later = true;
                    self.ask_replicas_if_wanted();
                }
                Todo::AskReplicasNow => self.ask_replicas(),
                Todo::Sleep(time) => self.sleep_first = Some(time),
                Todo::BackgroundSave => self.begin_save(),
                Todo::Shutdown(shutdown) => self.begin_shutdown(shutdown),
                Todo::SettingChanged(name) => self.setting_changed(name),
            }
        }
    }
}
