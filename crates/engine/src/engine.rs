//! The engine: it runs commands one after another on the data, for the clients it knows.
//!
//! Everything between a parsed request and its encoded reply happens here:
//!
//! ```text
//! begin(client) ─► execute(args) ─► resolve ─► admit ─► handler ─► effects ─► stream
//!                       ▲                                 │  └────► events, watchers
//!                       └── more requests of the client   └───────► out (replies)
//! end() ◄── the client's replies are in its `out`, to be sent in one go
//! ```
//!
//! The engine owns no socket, file or clock: the server sets the time before each batch,
//! takes replies from the clients, effects from [`Engine::stream`] and work it must do from
//! [`Engine::orders`].

use crate::blocking::Blocking;
use crate::client::{Class, Client, ClientFlags, ClientKey, Clients, Kept, OUTPUT_LIMIT_BYTES_MIN};
use crate::client_memory::ClientMemory;
use crate::config::Config;
use crate::effects::Stream;
use crate::error::{self, Error};
use crate::host::Host;
use crate::pause::{Holder, Pause};
use crate::pubsub::PubSub;
use crate::spec::Flags;
use crate::stats::Stats;
use crate::store::Store;
use crate::table::{Command, CommandTable, Run};
use base::rng::Rng;
use resp::{Args, Out, Protocol};
use std::collections::BTreeMap;

/// What became of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flow {
    /// It was run, queued or refused; the next one may follow.
    Done,
    /// It waits; the client's next requests wait with it.
    Blocked,
    /// It was not run and must be given again when clients are no longer paused.
    Postponed,
    /// The client is to be closed; its further requests are not run.
    Close,
    /// It was not run: the client is being closed.
    Dropped,
}

/// Conditions of the whole server under which some commands are refused or need a check first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Gates(u32);

macro_rules! gates {
    ($($(#[$doc:meta])* $name:ident = $bit:literal;)*) => {
        impl Gates {
            $($(#[$doc])* pub const $name: Self = Self(1 << $bit);)*
        }
    };
}

gates! {
    /// The data set is being loaded and may not be read.
    LOADING = 0;
    /// We are a replica that takes no writes of its own.
    READ_ONLY = 1;
    /// The link to the primary is down and old data may not be served.
    STALE = 2;
    /// `maxmemory` is set.
    MEMORY = 3;
    /// The last save failed and `stop-writes-on-bgsave-error` is set.
    MISCONF = 4;
    /// Fewer good replicas than `min-replicas-to-write`.
    FEW_REPLICAS = 5;
    /// Clients are paused.
    PAUSED = 6;
    /// Somebody is watching with MONITOR.
    MONITORED = 7;
    /// A new data set is being loaded while the old one is still served.
    ASYNC_LOADING = 8;
    /// Set beside `LOADING`: the data is there, and sentinels are asked for our role.
    ASKING = 9;
    /// A full sync is being received, whatever is served meanwhile.
    RECEIVING = 10;
}

impl Gates {
    /// Whether any of `other` holds.
    #[inline]
    pub fn any(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// Sets or lifts a condition.
    pub fn set(&mut self, other: Self, on: bool) {
        if on { self.0 |= other.0 } else { self.0 &= !other.0 }
    }
}

/// Work that a command leaves for the server to do after the batch.
#[derive(Debug, PartialEq, Eq)]
pub enum Order {
    /// Close this client at once.
    Close(ClientKey),
    /// Send this client's replies, then close it.
    CloseAfterReply(ClientKey),
    /// This client is no longer blocked: go on with the requests it has sent meanwhile.
    Resume(ClientKey),
    /// This replica has sent a command that is answered, and an answer would spoil its stream: close it.
    CloseReplica(ClientKey, &'static str),
    /// The primary's stream holds what no replication stream may hold: the link cannot go on. The text says what it is.
    StreamBroken(ClientKey, String),
    /// This client has sent more than `client-query-buffer-limit` without having it run: close it.
    CloseForInput(ClientKey),
    /// All data is gone by FLUSHALL: the file that is there is out of date.
    Flushed,
    /// A pause has ended: go on with all clients that it put off.
    ResumePostponed,
    /// Tell the operator this.
    Warn(String),
}

/// The state of the server as commands see it.
pub struct Engine {
    /// The data, and what a change to it sets off.
    pub store: Store,
    /// Replies of the running client.
    pub out: Out,
    /// Messages for the running client that follow its command's reply.
    pub(crate) deferred: Vec<u8>,
    /// The client whose command runs.
    pub current: ClientKey,
    /// All connections.
    pub clients: Clients,
    /// What they take of the memory.
    pub client_memory: ClientMemory,
    /// Effects for replicas and disk.
    pub stream: Stream,
    /// Settings.
    pub config: Config,
    /// The commands.
    pub table: &'static CommandTable,
    /// `rename-command`: the table's name by the name that clients use; nothing where the name is taken away.
    pub renamed: BTreeMap<Box<[u8]>, Option<Box<[u8]>>>,
    /// Conditions under which commands are refused.
    pub gates: Gates,
    /// Subscriptions.
    pub pubsub: PubSub,
    /// Clients that wait.
    pub blocking: Blocking,
    /// CLIENT PAUSE.
    pub pause: Pause,
    /// Counters, slow log, latency events.
    pub stats: Stats,
    /// Work for the server.
    pub orders: Vec<Order>,
    /// Clients, other than the running one, whose `out` has got something.
    pub dirty_clients: Vec<ClientKey>,
    /// Clients in MONITOR mode.
    pub monitors: Vec<ClientKey>,
    /// A source of chance for commands that pick at random; seeded by the server.
    pub rng: Rng,
    /// A monotonic clock in nanoseconds, for durations.
    pub monotonic_ns: fn() -> u64,
    /// When the running command began, on that clock.
    pub tick_ns: u64,
    /// The time that was last set, Unix microseconds.
    time_set_us: i64,
    /// When the time was last set, on that clock.
    pub time_set_ns: u64,
    /// Commands run inside EXEC: they may not block.
    pub in_exec: bool,
    /// Candidates for eviction.
    pub evict_pool: crate::eviction::Pool,
    /// The database that random eviction looks at next.
    pub evict_next_db: usize,
    /// Memory in use that `maxmemory` does not count: what slow replicas have not read yet.
    pub uncounted_bytes: usize,
    /// What was evicted and waits to be freed.
    pub leaving: crate::eviction::Leaving,
    /// The command that runs.
    pub running: Option<&'static Command>,
    /// When the operator was last told of a client that speaks HTTP, Unix milliseconds.
    attack_told_ms: Option<i64>,
    /// What the running command has said of its changes so far.
    #[cfg(debug_assertions)]
    pub(crate) audited: crate::audit::Said,
}

/// So long the operator is not told again of clients that speak HTTP.
const ATTACK_PERIOD_MS: i64 = 60_000;

impl Engine {
    /// An engine with empty databases.
    pub fn new(config: Config, seed: u64, monotonic_ns: fn() -> u64) -> Self {
        let table = if config.sentinel { CommandTable::of_sentinel() } else { CommandTable::get() };
        let mut engine = Self {
            store: Store::new(config.databases.get() as usize, seed),
            out: Out::default(),
            deferred: Vec::new(),
            current: ClientKey(u32::MAX),
            clients: Clients::default(),
            client_memory: ClientMemory::default(),
            stream: Stream::default(),
            table,
            renamed: BTreeMap::new(),
            gates: Gates::default(),
            pubsub: PubSub::default(),
            blocking: Blocking::default(),
            pause: Pause::default(),
            stats: Stats::new(table.indices),
            orders: Vec::new(),
            dirty_clients: Vec::new(),
            monitors: Vec::new(),
            rng: Rng::new(seed),
            monotonic_ns,
            tick_ns: monotonic_ns(),
            time_set_us: 0,
            time_set_ns: monotonic_ns(),
            in_exec: false,
            evict_pool: crate::eviction::Pool::default(),
            evict_next_db: 0,
            uncounted_bytes: 0,
            leaving: crate::eviction::Leaving::default(),
            running: None,
            attack_told_ms: None,
            #[cfg(debug_assertions)]
            audited: crate::audit::Said::default(),
            config,
        };
        engine.renamed = engine.config.renames();
        engine.apply_config();
        engine
    }

    /// Takes over those settings that are kept elsewhere in a faster form; to be called
    /// after each change of `config`.
    pub fn apply_config(&mut self) {
        self.gates.set(Gates::MEMORY, self.config.maxmemory.get() > 0);
        self.stats.apply_config(&self.config);
        self.store.apply_config(&self.config);
        self.limit_tracked_keys();
        self.limit_client_memory();
    }

    /// Sets the time of the following commands: Unix milliseconds.
    pub fn set_time(&mut self, now_ms: i64) {
        self.set_time_us(now_ms * 1000);
    }

    /// Sets the time of the following commands: Unix microseconds.
    pub fn set_time_us(&mut self, now_us: i64) {
        self.store.set_time(now_us / 1000);
        self.time_set_us = now_us;
        self.tick_ns = (self.monotonic_ns)();
        self.time_set_ns = self.tick_ns;
    }

    /// The time of day now, Unix microseconds: the batch's time and what has passed since it was set.
    pub fn time_us(&self) -> i64 {
        self.time_set_us + ((self.monotonic_ns)().saturating_sub(self.time_set_ns) / 1000) as i64
    }

    /// Moves the time on by what the last command took, where that was long: a client that has waited
    /// must not be served what expired meanwhile.
    pub fn catch_up_time(&mut self) {
        let passed_ms = self.tick_ns.saturating_sub(self.time_set_ns) / 1_000_000;
        if passed_ms > 0 {
            self.time_set_ns += passed_ms * 1_000_000;
            self.time_set_us += passed_ms as i64 * 1000;
            self.store.set_time(self.store.now_ms + passed_ms as i64);
        }
    }

    /// Makes `key` the running client.
    #[inline]
    pub fn begin(&mut self, key: ClientKey) {
        self.current = key;
        let client = &mut self.clients[key];
        client.active_ms = self.store.now_ms;
        self.out = std::mem::take(&mut client.out);
        self.store.db = client.db;
        self.store.from_primary = client.flags.any(ClientFlags::PRIMARY);
        self.store.no_touch = client.flags.any(ClientFlags::NO_TOUCH);
    }

    /// The running client's requests are done for now; its replies go back to it.
    #[inline]
    pub fn end(&mut self) {
        if let Some(client) = self.clients.get_mut(self.current) {
            client.out = std::mem::take(&mut self.out);
            client.db = self.store.db;
        }
        self.current = ClientKey(u32::MAX);
        self.store.from_primary = false;
    }

    /// The running client.
    #[inline]
    pub fn client(&mut self) -> &mut crate::client::Client {
        &mut self.clients[self.current]
    }

    /// Where output for `key` goes, be it the running client or another one.
    pub fn output_of(&mut self, key: ClientKey) -> &mut Out {
        if key == self.current {
            return &mut self.out;
        }
        let client = &mut self.clients[key];
        if !client.in_dirty_list {
            client.in_dirty_list = true;
            self.dirty_clients.push(key);
        }
        &mut client.out
    }

    /// Runs one request of the running client.
    #[inline]
    pub fn execute(&mut self, host: &mut dyn Host, args: &Args) -> Flow {
        let table = self.table;
        let command = match table.resolve_plain(args).filter(|_| self.renamed.is_empty()) {
            Some(command) => command,
            None => match self.resolve(args) {
                Ok(command) => command,
                Err((command, error)) => return self.refuse_unresolved(args, command, error),
            },
        };
        let client = &mut self.clients[self.current];
        client.last_command = Some(command.index);
        client.traffic.commands += 1;
        if !client.authenticated && !command.flags.has(Flags::NO_AUTH) {
            return self.refuse(Some(command), error::NO_AUTH);
        }
        if (self.gates != Gates::default() || client.flags.any(ClientFlags::SPECIAL))
            && let Some(flow) = self.admit(command, args)
        {
            return flow;
        }
        self.call(host, command, args);
        self.after_command(host)
    }

    /// The command that a request names, by the names that `rename-command` gives.
    pub(crate) fn resolve(
        &self,
        args: &Args,
    ) -> std::result::Result<&'static Command, (Option<&'static Command>, Error)> {
        if self.renamed.is_empty() { self.table.resolve(args) } else { self.table.resolve_renamed(args, &self.renamed) }
    }

    /// No command can be run: there is none of this name, or not with these arguments.
    #[cold]
    fn refuse_unresolved(&mut self, args: &Args, command: Option<&'static Command>, error: Error) -> Flow {
        let is_http = ["post", "host:"].iter().any(|word| args[0].eq_ignore_ascii_case(word.as_bytes()));
        if command.is_some() || !is_http {
            return self.refuse(command, error);
        }
        if self.client().flags.any(ClientFlags::PRIMARY) {
            self.break_stream("POST or Host: as a command, as a browser sends".into());
            return Flow::Dropped;
        }
        // A browser was made to send this by some web page; what follows may be commands in the request's body.
        let key = self.current;
        if self.attack_told_ms.is_none_or(|then| (self.store.now_ms - then).abs() >= ATTACK_PERIOD_MS) {
            self.attack_told_ms = Some(self.store.now_ms);
            let addr = self.clients.get(key).map_or("?", |client| &client.addr);
            self.orders.push(Order::Warn(format!(
                "Possible SECURITY ATTACK detected. The client {addr} sent POST or Host: as a command, as a browser does when a web page sends requests to this port (Cross Protocol Scripting). Its connection is closed; others like it within a minute are closed without a word."
            )));
        }
        self.close(key);
        Flow::Close
    }

    /// Errors before a command runs: they spoil a transaction that is being queued.
    #[cold]
    fn refuse(&mut self, command: Option<&'static Command>, error: Error) -> Flow {
        if let Some(command) = command {
            self.stats.commands[usize::from(command.index)].rejected += 1;
        }
        let client = &mut self.clients[self.current];
        let reply_start = self.out.buf.len();
        if command.is_some_and(|c| c.spec.name == "exec") {
            self.discard_transaction();
            self.fail(&Error::new([b"EXECABORT Transaction discarded because of: ", error.reason()].concat()));
        } else {
            client.flags.set(ClientFlags::DIRTY_EXEC, client.flags.any(ClientFlags::MULTI));
            self.fail(&error);
        }
        self.end_reply_skip(reply_start);
        self.refused_tracked(command);
        self.tell_of_divergence(&error, command.map_or("<unknown>", |c| c.spec.name));
        Flow::Done
    }

    /// Writes an error reply and counts it.
    pub fn fail(&mut self, error: &Error) {
        self.stats.count_error(error.code());
        self.out.error(error.text());
    }

    /// The checks that most commands never need. `Some` where the command does not run now.
    #[cold]
    fn admit(&mut self, command: &'static Command, args: &Args) -> Option<Flow> {
        let flags = self.clients[self.current].flags;
        if flags.any(ClientFlags::CLOSING | ClientFlags::CLOSE_AFTER_REPLY) {
            return Some(Flow::Dropped);
        }
        if flags.any(ClientFlags::REPLICA)
            && !flags.any(ClientFlags::MONITOR)
            && command.flags.any(Flags::WRITE | Flags::READONLY)
        {
            return Some(self.refuse(Some(command), Error::fixed("ERR Replica can't interact with the keyspace")));
        }
        let from_primary = flags.any(ClientFlags::PRIMARY);
        if from_primary && !command.streamed {
            self.break_stream(format!("unexpected command '{}'", command.spec.name));
            return Some(Flow::Dropped);
        }
        let is_exec = command.spec.name == "exec";
        // EXEC counts as what it has queued.
        let queued_any = |engine: &Self, wanted: Flags| {
            let queued = &engine.clients[engine.current].queued;
            queued.iter().any(|k| engine.resolve(&k.args()).is_ok_and(|c| c.flags.any(wanted)))
        };
        let queued_all = |engine: &Self, allowed: &dyn Fn(&Command) -> bool| {
            let queued = &engine.clients[engine.current].queued;
            queued.iter().all(|k| engine.resolve(&k.args()).map_or(true, allowed))
        };
        let is_write = command.flags.any(Flags::WRITE) || (is_exec && queued_any(self, Flags::WRITE));
        if self.gates.any(Gates::MEMORY) && !from_primary {
            let fits = self.make_room();
            let needs_memory = command.flags.has(Flags::DENYOOM) || (is_exec && queued_any(self, Flags::DENYOOM));
            let queueing = flags.any(ClientFlags::MULTI)
                && !matches!(command.spec.name, "exec" | "discard" | "multi" | "watch" | "unwatch" | "quit" | "reset");
            if !fits && (needs_memory || (queueing && command.flags.has(Flags::DENYOOM))) {
                return Some(self.refuse(Some(command), error::OOM));
            }
        }
        // PING, too, so that a sentinel takes a primary that cannot save for a dead one.
        if (is_write || command.spec.name == "ping") && !from_primary && self.gates.any(Gates::MISCONF) {
            return Some(self.refuse(Some(command), error::MISCONF));
        }
        if is_write && !from_primary {
            if self.gates.any(Gates::FEW_REPLICAS) {
                return Some(self.refuse(Some(command), error::NO_REPLICAS));
            }
            if self.gates.any(Gates::READ_ONLY) {
                return Some(self.refuse(Some(command), error::READ_ONLY));
            }
        }
        let v2_subscriber = flags.any(ClientFlags::PUBSUB) && self.out.protocol == Protocol::V2;
        if v2_subscriber
            && !matches!(
                command.spec.name,
                "ping"
                    | "subscribe"
                    | "ssubscribe"
                    | "sunsubscribe"
                    | "unsubscribe"
                    | "psubscribe"
                    | "punsubscribe"
                    | "quit"
                    | "reset"
            )
        {
            return Some(self.refuse(
                Some(command),
                Error::new(format!(
                    "ERR Can't execute '{}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context",
                    command.spec.name
                )),
            ));
        }
        let is_stale = |c: &Command| c.flags.has(Flags::STALE);
        let stale_allowed = is_stale(command) && (!is_exec || queued_all(self, &is_stale));
        if self.gates.any(Gates::STALE) && !from_primary && !stale_allowed {
            return Some(self.refuse(Some(command), error::MASTER_DOWN));
        }
        let receiving = self.gates.any(Gates::RECEIVING);
        let loading_allowed = |c: &Command| c.flags.has(Flags::LOADING) || (receiving && c.while_receiving);
        let loading_allowed = loading_allowed(command) && (!is_exec || queued_all(self, &loading_allowed));
        if self.gates.any(Gates::LOADING) && !from_primary && !loading_allowed {
            let asking = self.gates.any(Gates::ASKING);
            return Some(self.refuse(Some(command), if asking { error::ASKING } else { error::LOADING }));
        }
        if self.gates.any(Gates::ASYNC_LOADING)
            && command.flags.has(Flags::NO_ASYNC_LOADING)
            && !command.while_receiving
            && !from_primary
        {
            return Some(self.refuse(Some(command), error::LOADING));
        }
        if flags.any(ClientFlags::MULTI) && command.flags.has(Flags::NO_MULTI) {
            return Some(self.refuse(Some(command), Error::fixed("ERR Command not allowed inside a transaction")));
        }
        let may_replicate = is_write || command.flags.has(Flags::MAY_REPLICATE);
        if self.gates.any(Gates::PAUSED)
            && !flags.any(ClientFlags::REPLICA)
            && self.pause.holds(self.store.now_ms, may_replicate || (is_exec && queued_any(self, Flags::MAY_REPLICATE)))
        {
            return Some(Flow::Postponed);
        }
        if flags.any(ClientFlags::MULTI)
            && !matches!(command.spec.name, "exec" | "discard" | "multi" | "watch" | "quit" | "reset")
        {
            let kept = Kept::new(args);
            let queued_bytes = self.clients[self.current].queued_bytes + kept.memory_bytes();
            if queued_bytes as i64 > self.config.client_query_buffer_limit.get() {
                return Some(self.refuse_endless_transaction(from_primary));
            }
            let client = &mut self.clients[self.current];
            client.queued_bytes = queued_bytes;
            client.queued.push(kept);
            let reply_start = self.out.buf.len();
            self.out.simple("QUEUED");
            self.end_reply_skip(reply_start);
            return Some(Flow::Done);
        }
        None
    }

    /// A transaction has queued more than `client-query-buffer-limit`: whoever sends it does not end it, and is cut off.
    #[cold]
    fn refuse_endless_transaction(&mut self, from_primary: bool) -> Flow {
        if from_primary {
            self.break_stream("a transaction that exceeds client-query-buffer-limit".into());
        } else {
            self.orders.push(Order::CloseForInput(self.current));
            self.client().flags.set(ClientFlags::CLOSING, true);
        }
        Flow::Dropped
    }

    /// Runs a command that has passed all checks, and sends its effects on their way.
    #[inline]
    pub fn call(&mut self, host: &mut dyn Host, command: &'static Command, args: &Args) {
        let outer = self.running.replace(command);
        // Of EXEC, too, whose commands move the tick on.
        let began_ns = self.tick_ns;
        #[cfg(debug_assertions)]
        let audit = crate::audit::Audit::begin(self, command);
        let reply_start = self.out.buf.len();
        let db = self.store.db;
        let result = match command.run {
            Run::Plain(handler) => handler(self, args),
            Run::Host(handler) => handler(self, host, args),
            Run::Container => Err(Error::arity(command.spec.name)),
        };
        let mut failed = false;
        if let Err(error) = result {
            failed = true;
            self.fail(&error);
            self.tell_of_divergence(&error, command.spec.name);
        }
        let now_ns = (self.monotonic_ns)();
        let took_ns = now_ns.saturating_sub(began_ns);
        self.tick_ns = now_ns;
        let special = self.clients.get(self.current).is_some_and(|c| c.flags.any(ClientFlags::SPECIAL));
        // A command that waits is counted when it has been served.
        if !(special && self.waits()) {
            self.stats.command_ran(command.index, took_ns, failed);
            if took_ns >= self.stats.slow_ns {
                self.command_was_slow(command, args, took_ns);
            }
        }
        // It is shown when it first comes, and not again when it is tried again.
        if self.gates.any(Gates::MONITORED)
            && !command.flags.any(Flags::SKIP_MONITOR | Flags::ADMIN)
            && !self.blocking.retries(self.current)
        {
            self.feed_monitors(command, args);
        }
        self.settle(db, args.raw());
        #[cfg(debug_assertions)]
        audit.end(self, command);
        if special {
            self.end_reply_skip(reply_start);
            self.after_tracked(command, args);
        }
        if !self.deferred.is_empty() && !self.in_exec {
            self.out.buf.append(&mut self.deferred);
        }
        self.running = outer;
    }

    /// Propagates what the step that ends here has changed.
    #[inline]
    pub fn settle(&mut self, db: usize, request: &[u8]) {
        #[cfg(debug_assertions)]
        self.audited.note(&self.store.fx);
        let store = &mut self.store;
        if store.fx.dirty > 0 {
            self.stats.dirty += store.fx.dirty;
            if store.is_replica && !store.from_primary {
                store.remember_own_expiring(db, request);
            }
        }
        if !store.from_primary
            && self.stream.record(&store.fx, db, request)
            && let Some(client) = self.clients.get_mut(self.current)
        {
            client.write_offset = self.stream.end_offset;
        }
        store.fx.clear();
        if store.news {
            self.spread_news();
        }
    }

    /// Propagates what has been changed so far by itself: keys that a walk has found to be expired are no
    /// transaction, however many they are.
    pub fn settle_apart(&mut self) {
        let db = self.store.db;
        self.settle(db, b"");
    }

    /// Tells watchers, subscribers of keyspace events and clients that track what has happened.
    #[cold]
    pub fn spread_news(&mut self) {
        self.store.news = false;
        for key in std::mem::take(&mut self.store.touched_watchers) {
            if let Some(client) = self.clients.get_mut(key) {
                client.flags.set(ClientFlags::DIRTY_CAS, true);
            }
        }
        self.tell_tracking();
        self.publish_events();
        // What this took is not the next command's time.
        self.tick_ns = (self.monotonic_ns)();
    }

    /// What follows a command outside a transaction: blocked clients that can now be served,
    /// and whether this client goes on.
    #[inline]
    fn after_command(&mut self, host: &mut dyn Host) -> Flow {
        if self.blocking.has_ready(&self.store) {
            self.serve_blocked(host);
        }
        match self.clients.get(self.current) {
            None => Flow::Close,
            Some(client) if client.flags.any(ClientFlags::SPECIAL) => {
                if client.flags.any(ClientFlags::CLOSING | ClientFlags::CLOSE_AFTER_REPLY) {
                    Flow::Close
                } else if client.flags.any(ClientFlags::BLOCKED) {
                    Flow::Blocked
                } else {
                    Flow::Done
                }
            }
            Some(_) => Flow::Done,
        }
    }

    /// Drops the reply written since `start` where the client does not want it, and
    /// everything that would be answered to our primary.
    #[cold]
    fn end_reply_skip(&mut self, start: usize) {
        let Some(client) = self.clients.get_mut(self.current) else { return };
        let flags = client.flags;
        if flags.any(ClientFlags::REPLICA)
            && self.out.buf.len() > start
            && let Some(command) = client.last_command.and_then(|i| self.table.iter_all().find(|c| c.index == i))
            && !matches!(command.spec.name, "psync" | "sync")
        {
            self.out.buf.truncate(start);
            client.flags.set(ClientFlags::CLOSING, true);
            self.orders.push(Order::CloseReplica(self.current, command.spec.name));
            return;
        }
        let unwanted = ClientFlags::REPLY_OFF | ClientFlags::REPLY_SKIP | ClientFlags::PRIMARY;
        if flags.any(unwanted) && !self.in_exec {
            self.out.buf.truncate(start);
        }
        if !self.in_exec {
            client.flags.set(ClientFlags::REPLY_SKIP, flags.any(ClientFlags::REPLY_SKIP_NEXT));
            client.flags.set(ClientFlags::REPLY_SKIP_NEXT, false);
        }
    }

    /// Holds commands back until `until_ms`: all, or those that may write. Expiry and eviction write, and wait too.
    pub fn pause_begin(&mut self, holder: Holder, until_ms: i64, writes_only: bool) {
        self.pause.begin(holder, until_ms, writes_only);
        self.pause_changed();
    }

    /// Ends what one holder holds back.
    pub fn pause_end(&mut self, holder: Holder) {
        self.pause.end(holder);
        self.pause_changed();
    }

    /// A pause has begun or ended, maybe because its time is up: those it put off go on.
    pub fn pause_changed(&mut self) {
        if self.pause.lifted(self.store.now_ms) {
            // What still has to wait is put off again.
            self.orders.push(Order::ResumePostponed);
        }
        let paused = self.pause.holds_writes(self.store.now_ms);
        self.gates.set(Gates::PAUSED, paused);
        self.store.frozen = paused;
    }

    /// Bytes of replies from which on the running client will be closed for its output limit: what would come
    /// after them need not be made.
    pub fn reply_cap(&self) -> usize {
        let limits = &self.config.client_output_buffer_limit.0;
        let hard = match self.clients.get(self.current).map(Client::class) {
            Some(Class::Normal) => limits[0].hard_bytes,
            Some(Class::PubSub) => limits[2].hard_bytes,
            _ => 0,
        };
        match hard {
            1.. if !self.in_exec => (hard as usize).max(OUTPUT_LIMIT_BYTES_MIN),
            _ => usize::MAX,
        }
    }

    /// The running client is our primary, and its stream cannot be what a primary sends: nothing more of it is run.
    #[cold]
    fn break_stream(&mut self, what: String) {
        let key = self.current;
        self.client().flags.set(ClientFlags::CLOSING, true);
        self.orders.push(Order::StreamBroken(key, what));
    }

    /// Asks the server to close a client; it runs no more commands.
    pub fn close(&mut self, key: ClientKey) {
        if let Some(client) = self.clients.get_mut(key)
            && !client.flags.any(ClientFlags::CLOSING)
        {
            client.flags.set(ClientFlags::CLOSING, true);
            self.orders.push(Order::Close(key));
        }
    }

    /// Asks the server to close a client when its replies have been sent.
    pub fn close_after_reply(&mut self, key: ClientKey) {
        if let Some(client) = self.clients.get_mut(key) {
            client.flags.set(ClientFlags::CLOSE_AFTER_REPLY, true);
            self.orders.push(Order::CloseAfterReply(key));
        }
    }

    /// A connection is gone: everything that refers to its client is cleared away.
    pub fn remove_client(&mut self, key: ClientKey) {
        self.forget_subscriptions(key);
        self.unwatch_all(key);
        self.untrack(key);
        self.forget_client_memory(key);
        self.forget_blocked(key);
        self.monitors.retain(|&m| m != key);
        self.gates.set(Gates::MONITORED, !self.monitors.is_empty());
        self.clients.remove(key);
        self.dirty_clients.retain(|&k| k != key);
    }

    /// How many clients are of a class.
    pub fn count_class(&self, class: Class) -> usize {
        self.clients.iter().filter(|(_, c)| c.class() == class).count()
    }

    /// Sends a copy of a request to the clients in MONITOR mode.
    #[cold]
    fn feed_monitors(&mut self, command: &Command, args: &Args) {
        let db = self.store.db;
        let now_us = self.time_us();
        let from = match self.clients.get(self.current) {
            None => "?".into(),
            Some(client) if client.flags.any(ClientFlags::UNIX) => format!("unix:{}", self.config.unixsocket.get()),
            Some(client) => client.addr.clone(),
        };
        let mut line = format!("{}.{:06} [{db} {from}]", now_us / 1_000_000, now_us % 1_000_000).into_bytes();
        for arg in crate::stats::without_secrets(command, args) {
            line.push(b' ');
            base::text::quote(arg, &mut line);
        }
        for key in self.monitors.clone() {
            let out = self.output_of(key);
            out.buf.push(b'+');
            out.raw(&line);
            out.raw(b"\r\n");
        }
    }
}
