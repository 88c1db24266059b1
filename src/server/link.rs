//! The link to our primary: finding it, the handshake, receiving everything, following on.
//!
//! ```text
//!   Waiting ─► Resolving ─► Connecting ─► Handshake ─┬─► Loading (a thread reads and builds) ─► Up
//!      ▲                                             └─► Up  (partial resync)                   │
//!      └───────────────────── any failure: try again after a second ◄───────────────────────────┘
//! ```

use super::Server;
use super::conns::Peer;
use super::failover::Stage;
use super::log::log;
use super::notes::{Note, Received};
use super::outside::{Outside, Todo, new_replication_id};
use super::receive::{Failure, Reception};
use super::worker::{self, Teller};
use engine::client::{ClientFlags, ClientKey};
use engine::config::values::DisklessLoad;
use engine::engine::Engine;
use net::{ConnId, DataSlot};
use repl::{Handshake, HandshakeError, Identity, ReplicationId, Step};
use std::fs;
use std::net::{IpAddr, ToSocketAddrs};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// A handshake line longer than this is no handshake.
const LINE_BYTES_MAX: usize = 4096;
/// So much may come from the primary while it has not read what it is asked.
const EARLY_BYTES_MAX: usize = 64 << 10;
/// How long after a failure the next attempt begins.
const RETRY_MS: i64 = 1000;
/// How long it waits at most where attempts fail for a reason that stays.
const RETRY_MS_MAX: i64 = 60_000;

/// How far the link is.
#[derive(Debug, Default)]
pub enum LinkState {
    /// We follow nobody.
    #[default]
    None,
    /// The next attempt begins at this time, Unix milliseconds.
    Waiting(i64),
    /// The primary's name is being looked up.
    Resolving,
    /// The connection is being made.
    Connecting(ConnId),
    /// The handshake is under way.
    Handshake(ConnId, Box<Handshake>, Vec<u8>),
    /// A thread receives and builds the data.
    Loading(Transfer),
    /// The stream flows.
    Up(ConnId, ClientKey),
}

/// What a full sync leaves of the old data while it is under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// The new data goes into a file; the old is there as before.
    Receiving,
    /// The new data is built while the old, which has the same history, is served.
    Beside,
    /// The new data is built while the old is kept and not served.
    Behind,
    /// The old data is gone.
    Alone,
}

/// A full sync that is being received.
#[derive(Debug)]
pub struct Transfer {
    cancel: Arc<AtomicBool>,
    /// Bytes received so far.
    pub received: Arc<AtomicU64>,
    /// When it began, Unix milliseconds.
    pub since_ms: i64,
    /// What becomes of the old data meanwhile.
    phase: Phase,
    id: ReplicationId,
    offset: u64,
}

/// The link.
#[derive(Debug, Default)]
pub struct Link {
    /// How far it is.
    pub state: LinkState,
    /// Whom we follow.
    pub primary: Option<(String, u16)>,
    /// Counts attempts, so that late news of an abandoned one is recognised.
    pub attempt: u64,
    /// When anything was last heard, Unix milliseconds.
    pub heard_ms: i64,
    /// Since when the link is down, Unix milliseconds; 0 if it never was up.
    pub down_since_ms: i64,
    /// Bytes of the stream applied on this link.
    pub applied_bytes: u64,
    /// The database that the stream had selected when the link was last up.
    pub db: usize,
    /// Attempts in a row that failed for a reason that most likely stays; a link that was up for long ends the row.
    refusals: u32,
    /// When it was up last, since when, Unix milliseconds.
    up_since_ms: i64,
    /// A link that was lost has been retried at once. The next time it waits, unless it was up for a while.
    retried_at_once: bool,
    /// A full sync that the primary has announced and that begins when this round's events are taken:
    /// some of them may hold its first bytes.
    announced: Option<(ReplicationId, u64)>,
}

impl Link {
    /// Whether we follow a primary.
    pub fn is_following(&self) -> bool {
        self.primary.is_some()
    }

    /// Whether the stream flows.
    pub fn is_up(&self) -> bool {
        matches!(self.state, LinkState::Up(..))
    }

    /// Whether data is being received.
    pub fn is_loading(&self) -> bool {
        matches!(self.state, LinkState::Loading(_))
    }

    /// Whether data is being received and there is nothing to serve meanwhile.
    pub fn is_loading_without_data(&self) -> bool {
        matches!(&self.state, LinkState::Loading(t) if matches!(t.phase, Phase::Behind | Phase::Alone))
    }

    /// Whether data is being received while the old is served.
    pub fn is_loading_beside_data(&self) -> bool {
        matches!(&self.state, LinkState::Loading(t) if t.phase == Phase::Beside)
    }

    /// The database that the stream has selected as far as it is applied.
    pub fn stream_db(&self, engine: &Engine) -> usize {
        let LinkState::Up(_, key) = self.state else { return self.db };
        engine.clients.get(key).map_or(self.db, |c| c.db)
    }

    /// Bytes of the stream that have come and are not applied yet.
    pub fn unapplied_bytes(&self, engine: &Engine) -> u64 {
        let waiting = if let LinkState::Up(_, key) = self.state {
            engine.clients.get(key).map_or(0, |c| c.traffic.query_bytes)
        } else {
            0
        };
        waiting as u64
    }

    /// The state as `ROLE` names it.
    pub fn role_state(&self) -> &'static str {
        match self.state {
            LinkState::None => "none",
            LinkState::Waiting(_) | LinkState::Resolving => "connect",
            LinkState::Connecting(_) => "connecting",
            LinkState::Handshake(..) => "handshake",
            LinkState::Loading(_) => "sync",
            LinkState::Up(..) => "connected",
        }
    }

    /// An attempt has failed for a reason that most likely stays: how long to wait, milliseconds. Each time it is twice as long,
    /// so that a primary is not asked for everything each second in vain.
    fn refused(&mut self) -> i64 {
        let wait_ms = (RETRY_MS << self.refusals.min(10)).min(RETRY_MS_MAX);
        self.refusals += 1;
        if wait_ms > RETRY_MS {
            log!(
                Notice,
                "The next attempt to follow the primary begins in {} s, unless a setting of the link changes",
                wait_ms / 1000
            );
        }
        wait_ms
    }

    /// Whether this is the link's connection.
    pub fn has_conn(&self, id: ConnId) -> bool {
        self.conn() == Some(id)
    }

    fn conn(&self) -> Option<ConnId> {
        match &self.state {
            LinkState::Connecting(id) | LinkState::Handshake(id, ..) | LinkState::Up(id, _) => Some(*id),
            LinkState::None | LinkState::Waiting(_) | LinkState::Resolving | LinkState::Loading(_) => None,
        }
    }
}

impl Outside {
    /// Follows another primary, or begins to follow one: from the next command on this server is its replica.
    /// What needs sockets is left for the event loop, which does it before it sends any reply.
    pub fn follow(&mut self, engine: &mut Engine, host: String, port: u16) {
        self.abandon_link(engine);
        engine.dismiss_blocked();
        self.take_effects(engine);
        self.node.follow();
        self.mirror_node(engine);
        log!(Notice, "Connecting to MASTER {host}:{port}");
        engine.config.replicaof.0 = Some((host.clone(), port));
        self.link.primary = Some((host, port));
        self.link.state = LinkState::Waiting(0);
        (self.link.refusals, self.link.retried_at_once) = (0, false);
        self.link.down_since_ms = 0;
        self.set_gates(engine);
        self.apply_oom_score(engine);
        self.todos.push(Todo::TryLink);
    }

    /// Stops following: this server is a primary with the data that it has, from the next command on.
    pub fn stop_following(&mut self, engine: &mut Engine) {
        if !self.link.is_following() {
            return;
        }
        self.abandon_link(engine);
        engine.config.replicaof.0 = None;
        self.link.primary = None;
        let new = new_replication_id();
        match self.node.promote(new) {
            Some(old) => log!(
                Notice,
                "Setting secondary replication ID to {old}, valid up to offset: {}. New replication ID is {new}",
                self.node.offset() + 1
            ),
            None => log!(Notice, "The data is no part of the primary's history any more. New replication ID is {new}"),
        }
        engine.stream.forget_selected();
        self.mirror_node(engine);
        // Our replicas ask again at once and learn the new id; they go on without a copy.
        self.todos.push(Todo::DisconnectReplicas(self.replicas.table.keys().copied().collect()));
        self.set_gates(engine);
        self.apply_oom_score(engine);
    }

    /// Leaves the link from within a command: its connection is closed after the batch.
    fn abandon_link(&mut self, engine: &mut Engine) {
        if let LinkState::Up(_, key) = self.link.state {
            // What it has sent and was not run in this batch is asked for again.
            engine.close(key);
        }
        if let Some(id) = self.leave_link(engine) {
            self.todos.push(Todo::CloseLink(id));
        }
    }

    /// Ends the link's attempt or transfer, whatever it is doing: nothing that comes from it counts any more.
    /// Its connection, if there is one, is to be closed.
    fn leave_link(&mut self, engine: &Engine) -> Option<ConnId> {
        let link = &mut self.link;
        link.attempt += 1;
        if link.is_up() {
            let now_ms = engine.store.now_ms;
            link.down_since_ms = now_ms;
            link.db = link.stream_db(engine);
            let was_up_ms = now_ms - link.up_since_ms;
            link.retried_at_once &= was_up_ms < RETRY_MS;
            if was_up_ms >= RETRY_MS_MAX {
                link.refusals = 0;
            }
        }
        link.announced = None;
        self.node.lose_link();
        let conn = link.conn();
        if let LinkState::Loading(transfer) = std::mem::take(&mut link.state) {
            transfer.cancel.store(true, Ordering::Relaxed);
        }
        conn
    }
}

impl Server {
    /// Ends the link's connection or transfer at once.
    fn drop_link(&mut self) {
        if let Some(id) = self.outside.leave_link(&self.engine) {
            self.close(id);
        }
    }

    fn retry_link(&mut self) {
        self.retry_link_in(RETRY_MS);
    }

    fn retry_link_in(&mut self, wait_ms: i64) {
        self.drop_link();
        self.outside.link.state = LinkState::Waiting(self.engine.store.now_ms + wait_ms);
        self.outside.set_gates(&mut self.engine);
    }

    /// The operator has changed what an attempt depends on: one that waits begins at once.
    pub fn hurry_link(&mut self) {
        let now_ms = self.engine.store.now_ms;
        let link = &mut self.outside.link;
        link.refusals = 0;
        if let LinkState::Waiting(at) = &mut link.state {
            *at = now_ms;
        }
    }

    /// Each tick: attempts that are due, time-outs.
    pub fn link_cron(&mut self) {
        let now_ms = self.engine.store.now_ms;
        let timeout_ms = self.engine.config.repl_timeout.get() * 1000;
        let link = &self.outside.link;
        let is_silent = now_ms - link.heard_ms > timeout_ms;
        match &link.state {
            LinkState::Waiting(at) => {
                if *at <= now_ms {
                    self.resolve_primary();
                }
            }
            LinkState::Connecting(_) | LinkState::Handshake(..) | LinkState::Resolving => {
                if is_silent {
                    log!(Warning, "Timeout connecting to the MASTER...");
                    self.retry_link();
                }
            }
            LinkState::Up(..) => {
                if is_silent {
                    log!(Warning, "MASTER timeout: no data nor PING received...");
                    self.retry_link();
                }
            }
            // The thread that receives the data watches the time.
            LinkState::None | LinkState::Loading(_) => {}
        }
    }

    fn resolve_primary(&mut self) {
        let link = &mut self.outside.link;
        let Some((host, port)) = link.primary.clone() else { return };
        link.heard_ms = self.engine.store.now_ms;
        link.attempt += 1;
        let attempt = link.attempt;
        if let Ok(ip) = host.parse::<IpAddr>() {
            self.connect_primary(Ok((ip, port).into()));
            return;
        }
        link.state = LinkState::Resolving;
        let work = move |teller: &Teller| {
            let result = match (host.as_str(), port).to_socket_addrs() {
                Ok(mut all) => all.next().ok_or_else(|| "the name has no address".to_owned()),
                Err(error) => Err(error.to_string()),
            };
            teller.tell(Note::Resolved { attempt, result });
        };
        worker::start("rk-resolve", self.teller(), work, move |why| {
            vec![Note::Resolved { attempt, result: Err(why.to_owned()) }]
        });
    }

    /// The primary's name has been looked up.
    pub fn resolved(&mut self, attempt: u64, result: Result<std::net::SocketAddr, String>) {
        if attempt == self.outside.link.attempt {
            self.connect_primary(result);
        }
    }

    fn connect_primary(&mut self, addr: Result<std::net::SocketAddr, String>) {
        let source = self.engine.config.bind_source_addr.get().parse().ok();
        let name = self.outside.link.primary.as_ref().map_or(String::new(), |(h, p)| format!("{h}:{p}"));
        match addr.and_then(|addr| self.net.connect(addr, source).map_err(|e| e.to_string())) {
            Ok(id) => {
                self.conns.add(id, None, Peer::Primary);
                self.outside.link.state = LinkState::Connecting(id);
                log!(Notice, "MASTER <-> REPLICA sync started");
            }
            Err(error) => {
                log!(Warning, "Unable to connect to MASTER {name}: {error}");
                self.retry_link();
            }
        }
    }

    /// The connection to the primary is made, or could not be.
    pub fn link_connected(&mut self, id: ConnId, result: std::io::Result<()>) {
        if self.outside.link.conn() != Some(id) {
            return;
        }
        if let Err(error) = result {
            log!(Warning, "Error condition on socket for SYNC: {error}");
            self.retry_link();
            return;
        }
        log!(Notice, "Non blocking connect for SYNC fired the event.");
        let config = &self.engine.config;
        let announced = config.replica_announce_port.get();
        let identity = Identity {
            port: if announced > 0 { announced as u16 } else { config.port.get() as u16 },
            announce_ip: config.replica_announce_ip.get().to_owned(),
            user: config.primaryuser.get().to_owned(),
            password: config.primaryauth.get().to_owned(),
            version: super::REDIS_VERSION.to_owned(),
        };
        if let Some(fd) = self.net.fd(id)
            && let Err(error) = net::set_nodelay(fd, true)
        {
            log!(Verbose, "Can't set TCP_NODELAY on the link to the primary: {error}");
        }
        let have = self.outside.node.position().map(|(id, offset)| (id, offset + 1));
        match have {
            Some((history, next)) => log!(Notice, "Trying a partial resynchronization (request {history}:{next})."),
            None => log!(Notice, "Partial resynchronization not possible (no cached master)"),
        }
        let failover = self.outside.failover.stage == Stage::InProgress;
        let (handshake, first) = Handshake::begin(identity, have, failover);
        self.outside.link.heard_ms = self.engine.store.now_ms;
        self.outside.link.state = LinkState::Handshake(id, Box::new(handshake), Vec::new());
        self.net.recv(id);
        self.link_send(id, first);
    }

    fn link_send(&mut self, id: ConnId, bytes: Vec<u8>) {
        if let Some(conn) = self.conns.get_mut(id) {
            conn.sending = self.net.send(id, bytes).is_none();
        }
    }

    /// Bytes of the handshake.
    pub fn link_received(&mut self, id: ConnId, slot: DataSlot) {
        let bytes = self.net.data(slot).to_vec();
        self.outside.link.heard_ms = self.engine.store.now_ms;
        if let LinkState::Handshake(conn, _, input) = &mut self.outside.link.state
            && *conn == id
        {
            input.extend_from_slice(&bytes);
        }
        self.link_lines(id);
    }

    /// The kernel has taken what was sent to the primary: answers that have come meanwhile are read.
    pub fn link_sent(&mut self, id: ConnId) {
        self.link_lines(id);
    }

    /// Reads the primary's answers, one for each step of the handshake. A primary may answer before it is asked, so no
    /// answer is read while our last words are still on their way.
    fn link_lines(&mut self, id: ConnId) {
        loop {
            let sending = self.conns.get(id).is_some_and(|conn| conn.sending);
            let announced = self.outside.link.announced.is_some();
            let LinkState::Handshake(conn, handshake, input) = &mut self.outside.link.state else { return };
            if *conn != id || announced {
                return;
            }
            if sending {
                if input.len() > EARLY_BYTES_MAX {
                    log!(Warning, "The primary sends without reading what it is asked: it is no Redis server");
                    self.retry_link();
                }
                return;
            }
            let Some(end) = input.iter().position(|b| *b == b'\n') else {
                if input.len() > LINE_BYTES_MAX {
                    log!(Warning, "The primary's answer in the handshake does not end: it is no Redis server");
                    self.retry_link();
                }
                return;
            };
            let line: Vec<u8> = input.drain(..=end).collect();
            let line = line.trim_ascii_end();
            match handshake.handle_line(line) {
                Ok(Step::Wait) => {}
                Ok(Step::Send(bytes)) => self.link_send(id, bytes),
                Ok(Step::FullResync { id: history, offset }) => {
                    self.outside.clear_failover(&mut self.engine);
                    log!(Notice, "Full resync from master: {history}:{offset}");
                    self.outside.link.announced = Some((history, offset));
                    return;
                }
                Ok(Step::Continue { id: history }) => {
                    self.outside.clear_failover(&mut self.engine);
                    self.continue_link(id, history);
                    return;
                }
                Err(error) => {
                    log!(Warning, "{error}");
                    let refused = matches!(
                        error,
                        HandshakeError::Psync(_) | HandshakeError::NoData(_) | HandshakeError::NotYet(_)
                    );
                    if refused && self.outside.failover.stage == Stage::InProgress {
                        self.outside.abort_failover(&mut self.engine, "Failover target rejected psync request");
                        self.do_todos();
                        return;
                    }
                    let wait_ms = if error.is_lasting() { self.outside.link.refused() } else { RETRY_MS };
                    self.retry_link_in(wait_ms);
                    return;
                }
            }
        }
    }

    /// The primary grants a partial resync.
    fn continue_link(&mut self, id: ConnId, history: Option<ReplicationId>) {
        log!(Notice, "Successful partial resynchronization with master.");
        if self.outside.node.continue_as(history) {
            log!(Notice, "Master replication ID changed to {}", self.outside.node.history().id);
            self.disconnect_replicas();
        }
        let rest = if let LinkState::Handshake(_, _, input) = &mut self.outside.link.state {
            std::mem::take(input)
        } else {
            Vec::new()
        };
        self.link_up(id, rest, None);
        log!(Notice, "MASTER <-> REPLICA sync: Master accepted a Partial Resynchronization.");
    }

    /// The stream flows from here on; `db` is the database it begins in, where that is known.
    fn link_up(&mut self, id: ConnId, rest: Vec<u8>, db: Option<usize>) {
        let now_ms = self.engine.store.now_ms;
        let (addr, laddr) = self.addresses(id);
        let key = self.engine.clients.add(addr, laddr, -1, now_ms);
        let client = &mut self.engine.clients[key];
        client.flags.set(ClientFlags::PRIMARY, true);
        client.authenticated = true;
        client.db = db.unwrap_or(self.outside.link.db);
        self.conns.bind(id, key);
        if let Some(conn) = self.conns.get_mut(id) {
            conn.input = rest.into();
        }
        let link = &mut self.outside.link;
        link.state = LinkState::Up(id, key);
        link.heard_ms = now_ms;
        link.applied_bytes = 0;
        link.up_since_ms = now_ms;
        self.outside.set_gates(&mut self.engine);
        self.resumed.push(id);
        self.acknowledge();
    }

    /// Tells the primary how far we are.
    pub fn acknowledge(&mut self) {
        let LinkState::Up(id, key) = self.outside.link.state else { return };
        let offset = self.outside.node.offset().to_string();
        if let Some(client) = self.engine.clients.get_mut(key) {
            resp::encode_command(&mut client.out.buf, [&b"REPLCONF"[..], b"ACK", offset.as_bytes()].into_iter());
            self.touch(id);
        }
    }

    /// The link's connection has ended.
    pub fn link_lost(&mut self, id: ConnId, error: Option<std::io::Error>) {
        if self.outside.link.conn() != Some(id) {
            self.close(id);
            return;
        }
        match error {
            Some(error) => log!(Warning, "Connection with master lost: {error}"),
            None => log!(Warning, "Connection with master lost."),
        }
        self.retry_link();
        let link = &mut self.outside.link;
        if let LinkState::Waiting(at) = &mut link.state
            && !std::mem::replace(&mut link.retried_at_once, true)
        {
            *at = self.engine.store.now_ms;
        }
        log!(
            Notice,
            "Reconnecting to MASTER {}",
            self.outside.link.primary.as_ref().map_or(String::new(), |(h, p)| format!("{h}:{p}"))
        );
    }

    /// The primary's stream is not one. Where it went wrong cannot be known, so that what we hold is not asked to be continued:
    /// the next link begins with a full sync.
    pub fn stream_broken(&mut self, id: ConnId, what: &str) {
        if !self.outside.link.has_conn(id) {
            return;
        }
        let name = self.outside.link.primary.as_ref().map_or(String::new(), |(h, p)| format!("{h}:{p}"));
        log!(
            Warning,
            "== CRITICAL == The stream of the primary {name} is broken at offset {}: {what}. The link is dropped, a full resync follows",
            self.outside.node.offset() + 1
        );
        self.outside.node.lose_data();
        self.drop_link();
        let wait_ms = self.outside.link.refused();
        self.retry_link_in(wait_ms);
    }

    /// The primary sends everything, if it has said so in this round: a thread takes the socket over and builds the data.
    pub fn begin_loading(&mut self) {
        let Some((history, offset)) = self.outside.link.announced.take() else { return };
        let LinkState::Handshake(id, _, input) = &mut self.outside.link.state else { return };
        let (id, mut input) = (*id, std::mem::take(input));
        self.outside.link.state = LinkState::None;
        self.conns.remove(id);
        let Some(detached) = self.net.detach(id) else {
            self.retry_link();
            return;
        };
        input.extend_from_slice(&detached.received);
        let same_history = self.outside.node.is_of(history);
        let empty = self.engine.store.keyspace.iter().all(keyspace::Db::is_empty);
        let phase = match self.engine.config.repl_diskless_load {
            DisklessLoad::SwapDb if same_history => Phase::Beside,
            DisklessLoad::SwapDb => Phase::Behind,
            // Where there is no old data, a file would protect nothing.
            DisklessLoad::FlushBeforeLoad => Phase::Alone,
            _ if empty => Phase::Alone,
            DisklessLoad::OnEmptyDb | DisklessLoad::Disabled => Phase::Receiving,
        };
        let folder = (phase == Phase::Receiving).then(|| self.engine.config.dir.get().into());
        let target = if folder.is_some() { "disk" } else { "parser" };
        log!(Notice, "MASTER <-> REPLICA sync: receiving the data set to {target}");
        if phase == Phase::Alone {
            self.give_up_data();
        }
        let cancel = Arc::new(AtomicBool::new(false));
        let received = Arc::new(AtomicU64::new(0));
        self.outside.link.state = LinkState::Loading(Transfer {
            cancel: cancel.clone(),
            received: received.clone(),
            since_ms: self.engine.store.now_ms,
            phase,
            id: history,
            offset,
        });
        self.outside.set_gates(&mut self.engine);
        log!(Notice, "MASTER <-> REPLICA sync: Loading DB in memory");
        let attempt = self.outside.link.attempt;
        let mut options = engine::rdb::LoadOptions::from_config(&self.engine.config, self.engine.store.now_ms);
        // The primary decides what has expired.
        options.keep_expired = true;
        let stall = Duration::from_secs(self.engine.config.repl_timeout.get().max(1) as u64);
        let work = move |teller: &Teller| {
            let _registered = keyspace::memory::register_thread();
            let reception = Reception { fd: detached.fd, input, stall, cancel, received, options, folder, attempt };
            let result = reception.run(&|note| teller.tell(note)).map(Box::new);
            teller.tell(Note::SyncLoaded { attempt, result });
        };
        worker::start("rk-load", self.teller(), work, move |why| {
            vec![Note::SyncLoaded { attempt, result: Err(Failure::Broken(why.to_owned())) }]
        });
    }

    /// The data goes, and with it the history that it had a part in.
    fn give_up_data(&mut self) {
        self.disconnect_replicas();
        self.outside.node.lose_data();
        self.drop_data();
    }

    /// The data of a full sync lies in a file and is whole: the old data gives way to it.
    pub fn sync_received(&mut self, attempt: u64, path: &Path) {
        let LinkState::Loading(transfer) = &mut self.outside.link.state else {
            let _ = fs::remove_file(path);
            return;
        };
        if attempt != self.outside.link.attempt {
            let _ = fs::remove_file(path);
            return;
        }
        transfer.phase = Phase::Alone;
        self.give_up_data();
        self.outside.set_gates(&mut self.engine);
        log!(Notice, "MASTER <-> REPLICA sync: Loading DB in memory");
        // The file is our newest data file; where none is wanted, or one is just being written, it goes.
        let config = &self.engine.config;
        let unwanted = config.rdb_del_sync_files && config.save.0.is_empty();
        let result = if unwanted || self.outside.saving.running_since_ms.is_some() {
            fs::remove_file(path)
        } else {
            fs::rename(path, super::saving::data_path(&self.engine))
        };
        if let Err(error) = result {
            log!(Warning, "Can't put the received data file {} in its place: {error}", path.display());
            let _ = fs::remove_file(path);
        }
    }

    /// Empties all databases; what was in them is freed elsewhere.
    pub fn drop_data(&mut self) {
        log!(Notice, "MASTER <-> REPLICA sync: Flushing old data");
        let databases = self.engine.store.keyspace.databases();
        for db in 0..databases {
            self.engine.store.touch_all_watchers(db, None);
        }
        let old = self.engine.store.keyspace.replace(keyspace::Keyspace::new(databases));
        self.freer.free(old);
        self.engine.spread_news();
    }

    /// The data of a full sync has been received and built, or that failed.
    pub fn sync_loaded(&mut self, attempt: u64, result: Result<Box<Received>, Failure>) {
        if attempt != self.outside.link.attempt {
            return;
        }
        let LinkState::Loading(transfer) = std::mem::take(&mut self.outside.link.state) else { return };
        let received = match result {
            Ok(received) => received,
            Err(error) => {
                log!(Warning, "Failed trying to load the MASTER synchronization DB: {error}");
                let wait_ms = match error {
                    Failure::Broken(_) => RETRY_MS,
                    Failure::Lasting(_) => self.outside.link.refused(),
                };
                self.outside.link.state = LinkState::Waiting(self.engine.store.now_ms + wait_ms);
                self.outside.set_gates(&mut self.engine);
                return;
            }
        };
        let Received { loaded, fd, rest } = *received;
        let db = loaded.stream_db;
        // Those who followed the old data begin anew.
        self.disconnect_replicas();
        self.take_over(loaded);
        self.outside.node.adopt(transfer.id, transfer.offset);
        self.outside.mirror_node(&mut self.engine);
        let id = self.net.adopt(fd);
        self.conns.add(id, None, Peer::Primary);
        self.net.recv(id);
        self.link_up(id, rest, Some(db));
        log!(Notice, "MASTER <-> REPLICA sync: Finished with success");
    }

    /// Puts a loaded data set in the place of the present one.
    pub fn take_over(&mut self, loaded: engine::rdb::Loaded) {
        for db in 0..self.engine.store.keyspace.databases() {
            self.engine.store.touch_all_watchers(db, None);
        }
        let took_ms = loaded.took_ms.max(1);
        for name in &loaded.empty_names {
            log!(Notice, "skipping empty key: {}", String::from_utf8_lossy(name));
        }
        log!(
            Notice,
            "Done loading RDB, keys loaded: {}, keys expired: {}, empty keys skipped: {}.",
            loaded.keys,
            loaded.expired,
            loaded.empty
        );
        log!(
            Notice,
            "DB loaded from disk: {}.{:03} seconds, {} keys/s",
            took_ms / 1000,
            took_ms % 1000,
            loaded.keys * 1000 / took_ms
        );
        self.engine.stats.loaded_keys = loaded.keys;
        self.engine.stats.load_expired_keys = loaded.expired;
        self.engine.store.own_expiring.clear();
        let old = self.engine.store.keyspace.replace(loaded.keyspace);
        self.freer.free(old);
        for db in 0..self.engine.store.keyspace.databases() {
            self.engine.store.touch_all_watchers(db, None);
            self.engine.store.signal_all(db);
        }
        self.engine.spread_news();
    }
}
