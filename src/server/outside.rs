//! What surrounds the engine and is not a socket: the replication log and its readers, the
//! link to a primary, saving, the configuration file. Commands reach it through [`Host`].

use super::link::Link;
use super::log::log;
use super::replicas::{Replica, Replicas};
use super::saving::Saving;
use super::spill::Spill;
use engine::client::{ClientFlags, ClientKey};
use engine::engine::{Engine, Gates};
use engine::error::Result;
use engine::host::{Host, HostCommand};
use engine::rdb::Position;
use net::ConnId;
use repl::{Node, ReplicationId};
use resp::Args;

/// Work that a command leaves for the event loop, which owns the sockets and threads.
#[derive(Debug, PartialEq)]
pub enum Todo {
    /// A client has become a replica: its connection is fed from the log now.
    ReplicaAttached(ClientKey),
    /// The primary has changed: the first attempt to reach it is due.
    TryLink,
    /// Close the connection of a link that was left.
    CloseLink(ConnId),
    /// Cut these replicas off, so that they ask again under the new history.
    DisconnectReplicas(Vec<ClientKey>),
    /// Sleep: DEBUG SLEEP, where connections are to be closed before it.
    Sleep(std::time::Duration),
    /// Tell the primary at once how far we are.
    Acknowledge,
    /// Ask the replicas how far they are; while writes wait, that waits too.
    AskReplicas,
    /// Ask them at once, because something waits for them to reach the end.
    AskReplicasNow,
    /// Save in the background.
    BackgroundSave,
    /// Stop the server.
    Shutdown(super::shutdown::Shutdown),
    /// A setting has changed that the event loop acts on.
    SettingChanged(&'static str),
}

/// The surroundings.
pub struct Outside {
    /// Our role, our data's history and the replication log.
    pub node: Node,
    /// The part of the log that is on the disk.
    pub spill: Spill,
    /// Replicas of ours.
    pub replicas: Replicas,
    /// Our primary, if we follow one.
    pub link: Link,
    /// Saving.
    pub saving: Saving,
    /// Work for the event loop.
    pub todos: Vec<Todo>,
    /// Facts that do not change while the server runs.
    pub facts: Facts,
    /// The data set of the start is being loaded.
    pub loading_since_ms: Option<i64>,
    /// The sentinels are asked for our role before the start is over.
    pub asking: Option<super::hint::Asking>,
    /// Where clients come in.
    pub sockets: super::listening::Sockets,
    /// Our place in the kernel's choice of victims.
    pub oom_score: super::process::OomScore,
    /// The stop that is under way, if any.
    pub shutdown: Option<super::shutdown::Pending>,
    /// DEBUG PAUSE-CRON: nothing happens by time.
    pub cron_paused: bool,
    /// DEBUG CONFIG-REWRITE-FORCE-ALL: also options that have their defaults are written.
    pub rewrite_all: bool,
    /// Handing the role of primary over.
    pub failover: super::failover::Failover,
    /// Replicas are to be asked how far they are as soon as writes no longer wait.
    pub ask_later: bool,
    /// This process is a sentinel.
    pub sentinel: Option<Box<super::sentinel::Driver>>,
}

/// Facts that do not change while the server runs.
#[derive(Debug)]
pub struct Facts {
    /// When it started, Unix milliseconds.
    pub started_ms: i64,
    /// Forty hexadecimal digits, new at each start.
    pub run_id: String,
    /// The I/O backend.
    pub backend: &'static str,
    /// The program's path.
    pub executable: String,
    /// The program as it was called, for the process's title.
    pub program: String,
}

impl Outside {
    /// What kind of process this is, as INFO names it.
    pub fn mode(&self) -> &'static str {
        if self.sentinel.is_some() { "sentinel" } else { "standalone" }
    }

    /// Takes our place in the kernel's choice of victims, which depends on the role.
    pub fn apply_oom_score(&mut self, engine: &Engine) {
        let is_replica = self.link.is_following();
        if let Err(error) = self.oom_score.apply(&engine.config, is_replica) {
            log!(Warning, "Unable to write oom_score_adj: {error}");
        }
    }

    /// Tells the engine whether its effects are recorded, and at which offset the next one begins. Called after every transition of the
    /// node.
    pub fn mirror_node(&self, engine: &mut Engine) {
        engine.stream.enabled = self.node.is_recording();
        engine.stream.end_offset = self.node.offset();
    }

    /// Moves the engine's effects into the log.
    pub fn take_effects(&mut self, engine: &mut Engine) {
        if !engine.stream.bytes.is_empty() {
            self.node.record(&engine.stream.bytes);
            debug_assert_eq!(self.node.offset(), engine.stream.end_offset);
            engine.stream.bytes.clear();
            if engine.stream.bytes.capacity() > 1 << 20 {
                engine.stream.bytes = Vec::new();
            }
        }
    }

    /// Bytes that the log takes beyond the back-log's size: what slow replicas have still to read.
    pub fn log_beyond_backlog(&self, engine: &Engine) -> usize {
        let size = engine.config.repl_backlog_size.get() as usize;
        self.node.log().memory_bytes().saturating_sub(size)
    }

    /// Memory that `maxmemory` does not count: what slow replicas have still to read, here and in their send buffers.
    pub fn uncounted_bytes(&self, engine: &Engine) -> usize {
        let buffers = self.replicas.table.keys().filter_map(|key| engine.clients.get(*key));
        self.log_beyond_backlog(engine) + buffers.map(|client| client.send_buffers()).sum::<usize>()
    }

    /// A command of our primary has been run: its bytes go on to our own replicas as they came. Those of
    /// a transaction wait for its end: the log's end is always a place where a snapshot or a new link may begin.
    pub fn applied(&mut self, engine: &mut Engine, key: ClientKey, raw: &[u8]) {
        let queueing = engine.clients.get(key).is_some_and(|c| c.flags.any(ClientFlags::MULTI));
        self.node.receive(raw, queueing);
        if !queueing {
            engine.stream.end_offset = self.node.offset();
            self.link.applied_bytes += raw.len() as u64;
        }
    }

    /// Where in the replication stream the data stands, if that is known.
    pub fn position(&self, engine: &Engine) -> Option<Position> {
        let (id, offset) = self.node.position()?;
        let db =
            if self.link.is_following() { self.link.stream_db(engine) } else { engine.stream.selected().unwrap_or(0) };
        Some(Position { id: id.to_string(), offset, db })
    }

    /// Makes the back-log, before the first replica is served.
    pub fn create_backlog(&mut self, engine: &mut Engine) {
        if self.node.begin_recording(new_replication_id()) {
            engine.stream.forget_selected();
            self.mirror_node(engine);
        }
    }

    /// A replica's connection is gone.
    pub fn forget_replica(&mut self, key: ClientKey) {
        // The key may be given to another client, of whom nothing is known yet.
        self.replicas.about.remove(&key);
        if let Some(replica) = self.replicas.table.remove(&key) {
            replica.cancel();
        }
    }

    /// Whether a replica's socket belongs to a transfer thread now.
    pub fn is_transferring(&self, key: ClientKey) -> bool {
        self.replicas.table.get(&key).is_some_and(Replica::is_transferring)
    }

    /// Sets the conditions under which the engine refuses commands.
    pub fn set_gates(&self, engine: &mut Engine) {
        if self.sentinel.is_some() {
            return;
        }
        let following = self.link.is_following();
        assert_eq!(following, self.node.is_replica(), "whoever has a primary is a replica");
        let config = &engine.config;
        let read_only = following && config.replica_read_only;
        let stale = following && !self.link.is_up() && !config.replica_serve_stale_data;
        let misconf = self.saving.blocks_writes(engine);
        let wanted = config.min_replicas_to_write.get();
        let few = wanted > 0
            && !following
            && self.replicas.good(engine.store.now_ms, config.min_replicas_max_lag.get()) < wanted as usize;
        engine.gates.set(Gates::READ_ONLY, read_only);
        engine.gates.set(Gates::STALE, stale);
        engine.gates.set(Gates::MISCONF, misconf);
        engine.gates.set(Gates::FEW_REPLICAS, few);
        engine.gates.set(Gates::LOADING, self.loading_since_ms.is_some() || self.link.is_loading_without_data());
        engine.gates.set(Gates::ASKING, self.asking.as_ref().is_some_and(|asking| asking.is_last()));
        engine.gates.set(Gates::RECEIVING, self.link.is_loading());
        engine.gates.set(Gates::ASYNC_LOADING, self.link.is_loading_beside_data());
        engine.store.is_replica = following;
        super::log::set_role(if following { b'S' } else { b'M' });
    }
}

/// A replication id from the operating system's chance.
pub fn new_replication_id() -> ReplicationId {
    let mut bytes = [0; 20];
    super::fill_random(&mut bytes);
    ReplicationId::from_random(bytes)
}

impl Host for Outside {
    fn command(&mut self, command: HostCommand, engine: &mut Engine, args: &Args) -> Result {
        use super::commands::{config, debug, info, memory, persistence, replication};
        match command {
            HostCommand::BgSave => persistence::bgsave(self, engine, args),
            HostCommand::ConfigGet => config::get(engine, args),
            HostCommand::ConfigHelp => config::help(engine),
            HostCommand::ConfigSet => config::set(self, engine, args),
            HostCommand::ConfigRewrite => config::rewrite(self, engine),
            HostCommand::ConfigResetStat => config::reset_stat(self, engine),
            HostCommand::Debug => debug::debug(self, engine, args),
            HostCommand::Failover => super::failover::failover(self, engine, args),
            HostCommand::Info => info::info(self, engine, args),
            HostCommand::LastSave => persistence::lastsave(self, engine),
            HostCommand::MemoryDoctor => memory::doctor(self, engine),
            HostCommand::MemoryMallocStats => memory::malloc_stats(engine),
            HostCommand::MemoryPurge => memory::purge(engine),
            HostCommand::MemoryStats => memory::stats(self, engine),
            HostCommand::Psync => replication::psync(self, engine, args),
            HostCommand::ReplConf => replication::replconf(self, engine, args),
            HostCommand::ReplicaOf => replication::replicaof(self, engine, args),
            HostCommand::Role => replication::role(self, engine),
            HostCommand::Save => persistence::save(self, engine),
            HostCommand::Sentinel => super::sentinel::command(self, engine, args),
            HostCommand::Shutdown => persistence::shutdown(self, engine, args),
            HostCommand::Sync => replication::sync(self, engine),
            HostCommand::Wait => replication::wait(self, engine, args),
        }
    }
}
