//! Our replicas: who follows us, how far each one is, full syncs to them.
//!
//! ```text
//!   WaitSync ─► Transfer (a thread writes the snapshot to the socket) ─► Online (fed from the log)
//!      ▲                                                                   ▲
//!      └── PSYNC refused                                PSYNC granted ─────┘
//! ```

use super::Server;
use super::conns::Peer;
use super::failover::Stage;
use super::log::log;
use super::notes::Note;
use super::outside::Outside;
use engine::client::{ClientFlags, ClientKey};
use engine::engine::Engine;
use engine::rdb::{SaveOptions, Ticket, write_snapshot};
use net::{BlockingWriter, ConnId, How, STALLED, Stall};
use repl::Capabilities;
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

/// Bytes of the log that one send to a replica takes.
const FEED_BYTES: usize = 256 << 10;
/// How often replicas acknowledge without being asked.
const ACK_PERIOD_MS: i64 = 1000;
/// The back-log keeps at least so much, whatever `repl-backlog-size` says, as in Redis.
const BACKLOG_BYTES_MIN: u64 = 16 << 10;

/// Where a replica stands.
#[derive(Debug)]
pub enum State {
    /// It has asked for everything and waits for the transfer to begin.
    WaitSync {
        /// Since when, Unix milliseconds.
        since_ms: i64,
        /// It used the old SYNC: no answer line comes before the data.
        old_sync: bool,
    },
    /// A thread is sending it everything.
    Transfer {
        /// Tells the thread to stop.
        cancel: Arc<AtomicBool>,
        /// When it began, Unix milliseconds.
        since_ms: i64,
        /// The transfer that it shares with others.
        group: Arc<Group>,
        /// Whether the end is told by a mark: then the stream begins after its first acknowledgement.
        by_mark: bool,
        /// The file is made and is being sent; always false where the data goes straight to the socket.
        sending: Arc<AtomicBool>,
    },
    /// It gets the stream.
    Online {
        /// The stream begins when it first acknowledges.
        await_ack: bool,
    },
}

/// One replica.
#[derive(Debug)]
pub struct Replica {
    /// Where it stands.
    pub state: State,
    /// The client's id.
    pub id: u64,
    /// The log position of the next byte to send.
    pub cursor: u64,
    /// The kernel may keep back the last bytes that were sent, to let them go with others.
    pub kept_back: bool,
    /// Its socket was told to merge small segments (`repl-disable-tcp-nodelay`), so we do not say when they go.
    pub merged_by_tcp: bool,
    /// What it has acknowledged.
    pub ack_offset: u64,
    /// When it last did, Unix milliseconds.
    pub ack_ms: i64,
    /// Since when it lags behind by more than the soft limit, Unix milliseconds.
    pub soft_limit_since_ms: Option<i64>,
}

impl Replica {
    /// Whether its socket belongs to a thread.
    pub fn is_transferring(&self) -> bool {
        matches!(self.state, State::Transfer { .. })
    }

    /// Whether the stream flows.
    pub fn is_online(&self) -> bool {
        matches!(self.state, State::Online { .. })
    }

    /// Stops the transfer, if one is under way.
    pub fn cancel(&self) {
        if let State::Transfer { cancel, group, .. } = &self.state {
            cancel.store(true, Ordering::Relaxed);
            if group.left.fetch_sub(1, Ordering::Relaxed) == 1 {
                group.ticket.cancel();
            }
        }
    }

    /// The state as `INFO` names it.
    pub fn state_name(&self) -> &'static str {
        match &self.state {
            State::Transfer { sending, .. } if sending.load(Ordering::Relaxed) => "send_bulk",
            State::WaitSync { .. } | State::Transfer { .. } => "wait_bgsave",
            State::Online { .. } => "online",
        }
    }
}

/// The replicas of one transfer.
#[derive(Debug)]
pub struct Group {
    /// How many are left.
    left: AtomicUsize,
    /// When the last has gone, nothing more needs to be written.
    ticket: Arc<Ticket>,
}

/// What a client has said of itself by `REPLCONF`, before and after it becomes a replica.
#[derive(Debug, Default, Clone)]
pub struct About {
    /// The port it listens on.
    pub port: u16,
    /// The address it announces; empty: the one we see.
    pub ip: String,
    /// What it can handle.
    pub capabilities: Capabilities,
    /// It wants the data only and no stream (`redis-cli --rdb`).
    pub rdb_only: bool,
}

/// All replicas.
#[derive(Debug, Default)]
pub struct Replicas {
    /// By their clients.
    pub table: BTreeMap<ClientKey, Replica>,
    /// What clients have said of themselves.
    pub about: BTreeMap<ClientKey, About>,
    /// Since when a log has been kept and there has been none to read it, Unix milliseconds.
    none_since_ms: Option<i64>,
    /// How often they are sent something.
    pub pace: super::pace::Pace,
    /// How long a replica may take nothing of its transfer: `repl-timeout`.
    pub stall: Stall,
}

impl Replicas {
    /// How many have acknowledged within `max_lag_s` seconds: to the millisecond, since so much can be lost when they are cut off.
    /// Healthy ones acknowledge each second, so a limit of one second leaves them half a second more.
    pub fn good(&self, now_ms: i64, max_lag_s: i64) -> usize {
        let max_lag_ms = (max_lag_s * 1000).max(ACK_PERIOD_MS * 3 / 2);
        self.table.values().filter(|r| r.is_online() && now_ms - r.ack_ms <= max_lag_ms).count()
    }

    /// What those that are fed from the log have acknowledged.
    pub fn acknowledged(&self) -> Vec<u64> {
        self.table.values().filter(|r| r.is_online()).map(|r| r.ack_offset).collect()
    }

    /// Whether data is being written for a replica.
    pub fn writing(&self) -> bool {
        let writes =
            |r: &Replica| matches!(&r.state, State::Transfer { sending, .. } if !sending.load(Ordering::Relaxed));
        self.table.values().any(writes)
    }

    /// How many wait for a transfer to begin.
    pub fn waiting(&self) -> usize {
        self.table.values().filter(|r| matches!(r.state, State::WaitSync { .. })).count()
    }

    /// The addresses by which a client is known as a replica.
    pub fn address(&self, key: ClientKey, engine: &Engine) -> (String, u16) {
        let about = self.about.get(&key);
        let ip = about.map_or("", |a| &a.ip);
        let seen = engine.clients.get(key).map_or("", |c| &c.addr);
        let seen = seen.rsplit_once(':').map_or(seen, |(ip, _)| ip).trim_start_matches('[').trim_end_matches(']');
        (if ip.is_empty() { seen.to_owned() } else { ip.to_owned() }, about.map_or(0, |a| a.port))
    }
}

impl Server {
    /// A client has asked for the stream.
    pub fn replica_attached(&mut self, key: ClientKey) {
        if let Some(id) = self.conns.of_client(key) {
            if let Some(conn) = self.conns.get_mut(id) {
                conn.peer = Peer::Replica;
            }
            let merges = self.engine.config.repl_disable_tcp_nodelay;
            if let Some(fd) = self.net.fd(id).filter(|_| merges)
                && let Err(error) = net::set_nodelay(fd, false)
            {
                log!(Verbose, "Can't turn TCP_NODELAY off for a replica: {error}");
            }
            if let Some(replica) = self.outside.replicas.table.get_mut(&key) {
                replica.merged_by_tcp = merges;
            }
            self.touch(id);
        }
        self.start_transfers();
    }

    /// Begins transfers to replicas that have waited long enough for others to join them.
    pub fn start_transfers(&mut self) {
        let now_ms = self.engine.store.now_ms;
        let config = &self.engine.config;
        let delay_ms = if config.repl_diskless_sync { config.repl_diskless_sync_delay.get() * 1000 } else { 0 };
        let max_waiting = config.repl_diskless_sync_max_replicas.get() as usize;
        let waiting = self.outside.replicas.waiting();
        if waiting == 0 || self.outside.loading_since_ms.is_some() {
            return;
        }
        let due = self
            .outside
            .replicas
            .table
            .values()
            .any(|r| matches!(r.state, State::WaitSync { since_ms, .. } if now_ms - since_ms >= delay_ms));
        if !due && (max_waiting == 0 || waiting < max_waiting) {
            return;
        }
        let keys: Vec<ClientKey> = self
            .outside
            .replicas
            .table
            .iter()
            .filter(|(_, r)| matches!(r.state, State::WaitSync { .. }))
            .map(|(k, _)| *k)
            .collect();
        self.outside.take_effects(&mut self.engine);
        self.engine.stream.forget_selected();
        let mut targets = Vec::new();
        let shared_by_mark = Arc::new(Group { left: AtomicUsize::new(0), ticket: Arc::default() });
        let shared_by_length = Arc::new(Group { left: AtomicUsize::new(0), ticket: Arc::default() });
        for key in keys {
            match self.begin_transfer(key, [&shared_by_length, &shared_by_mark]) {
                Some(target) => targets.push(target),
                // Its answers to REPLCONF are still on their way; the next round takes it along.
                None => continue,
            }
        }
        if targets.is_empty() {
            return;
        }
        let (by_mark, by_length): (Vec<Target>, Vec<Target>) = targets.into_iter().partition(|t| t.by_mark);
        for (group, shared) in [(by_mark, shared_by_mark), (by_length, shared_by_length)] {
            if !group.is_empty() {
                self.spawn_transfer(group, shared.ticket.clone());
            }
        }
    }

    fn begin_transfer(&mut self, key: ClientKey, groups: [&Arc<Group>; 2]) -> Option<Target> {
        let conn_id = self.conns.of_client(key)?;
        let conn = self.conns.get(conn_id)?;
        let client = self.engine.clients.get(key)?;
        if conn.sending || !client.out.buf.is_empty() {
            self.touch(conn_id);
            return None;
        }
        let fd = self.net.fd(conn_id)?.try_clone_to_owned().ok()?;
        let offset = self.outside.node.offset();
        let about = self.outside.replicas.about.get(&key).cloned().unwrap_or_default();
        let replica = self.outside.replicas.table.get_mut(&key)?;
        let State::WaitSync { old_sync, .. } = replica.state else { return None };
        let by_mark = about.capabilities.eof && self.engine.config.repl_diskless_sync;
        let cancel = Arc::new(AtomicBool::new(false));
        let sending = Arc::new(AtomicBool::new(false));
        let since_ms = self.engine.store.now_ms;
        let group = groups[usize::from(by_mark)].clone();
        group.left.fetch_add(1, Ordering::Relaxed);
        replica.state = State::Transfer { cancel: cancel.clone(), since_ms, group, by_mark, sending: sending.clone() };
        replica.cursor = offset;
        let line = if old_sync {
            String::new()
        } else {
            format!("+FULLRESYNC {} {offset}\r\n", self.outside.node.history().id)
        };
        Some(Target { client: key, id: replica.id, fd, cancel, by_mark, sending, line, error: None })
    }

    fn spawn_transfer(&mut self, mut targets: Vec<Target>, ticket: Arc<Ticket>) {
        let by_mark = targets[0].by_mark;
        let names: Vec<String> = targets
            .iter()
            .map(|t| {
                let (ip, port) = self.outside.replicas.address(t.client, &self.engine);
                format!("{ip}:{port}")
            })
            .collect();
        log!(
            Notice,
            "Starting BGSAVE for SYNC with target: {} ({})",
            if by_mark { "replicas sockets" } else { "disk" },
            names.join(", ")
        );
        let begun_ns = super::clock::monotonic_ns();
        let snapshot = self.engine.store.keyspace.snapshot();
        let mut options = super::saving::options(&self.outside, &self.engine);
        options.ticket = Some(ticket);
        self.set_transfer_timeout();
        let stall = self.outside.replicas.stall.clone();
        let waiting: Vec<(ClientKey, u64)> = targets.iter().map(|target| (target.client, target.id)).collect();
        let dir = self.engine.config.dir.get().to_owned();
        log!(Notice, "Background RDB transfer started by thread rk-sync");
        let work = move |teller: &super::worker::Teller| {
            let _registered = keyspace::memory::register_thread();
            let mut outputs =
                Outputs { targets: targets.iter_mut().map(|t| Output::new(t, stall.clone())).collect(), bytes: 0 };
            let result = if by_mark {
                transfer_by_mark(&mut outputs, snapshot, &options)
            } else {
                transfer_by_length(&mut outputs, snapshot, &options, &dir)
            };
            let bytes = outputs.bytes;
            let left = outputs.targets.iter().filter(|t| t.error.is_none()).count();
            match if result.is_ok() { left } else { 0 } {
                _ if !by_mark => {}
                0 => log!(Notice, "Diskless rdb transfer, last replica dropped, killing fork child"),
                _ => log!(Notice, "Diskless rdb transfer, done reading from pipe, {left} replicas still up"),
            }
            drop(outputs);
            for target in targets {
                let error = target.error.or_else(|| result.as_ref().err().cloned());
                teller.tell(Note::Transferred { client: target.client, id: target.id, error, bytes });
            }
        };
        super::worker::start("rk-sync", self.teller(), work, |why| {
            let ended = |(client, id)| Note::Transferred { client, id, error: Some(why.to_owned()), bytes: 0 };
            waiting.into_iter().map(ended).collect()
        });
        self.outside.saving.snapshot_us = (super::clock::monotonic_ns() - begun_ns) / 1000;
    }

    /// Lets the transfers know of `repl-timeout`, those too that are under way.
    pub fn set_transfer_timeout(&self) {
        let seconds = self.engine.config.repl_timeout.get().max(1) as u64;
        self.outside.replicas.stall.set(Duration::from_secs(seconds));
    }

    /// A transfer thread has ended.
    pub fn transferred(&mut self, key: ClientKey, id: u64, error: Option<String>, bytes: u64) {
        let Some(replica) = self.outside.replicas.table.get_mut(&key).filter(|r| r.id == id) else { return };
        let State::Transfer { since_ms, by_mark, .. } = &replica.state else { return };
        let (since_ms, by_mark) = (*since_ms, *by_mark);
        let now_ms = self.engine.store.now_ms;
        let (ip, port) = self.outside.replicas.address(key, &self.engine);
        if let Some(error) = error {
            if error.contains(STALLED) {
                log!(Warning, "Disconnecting timedout replica (full sync): {ip}:{port}");
            }
            log!(Warning, "Background RDB transfer error with replica {ip}:{port}: {error}");
            if let Some(conn) = self.conns.of_client(key) {
                self.close(conn);
            }
            return;
        }
        let Some(replica) = self.outside.replicas.table.get_mut(&key) else { return };
        replica.state = State::Online { await_ack: by_mark };
        replica.ack_ms = now_ms;
        log!(Notice, "Background RDB transfer terminated with success: {bytes} bytes in {} ms", now_ms - since_ms);
        log!(Notice, "Synchronization with replica {ip}:{port} succeeded");
        let rdb_only = self.outside.replicas.about.get(&key).is_some_and(|a| a.rdb_only);
        if rdb_only {
            log!(Notice, "Close the connection with replica {ip}:{port} as RDB transfer is complete");
            if let Some(conn) = self.conns.of_client(key) {
                self.close(conn);
            }
        }
    }

    /// Sends each replica what the log holds for it.
    pub fn feed_replicas(&mut self) {
        if self.outside.replicas.table.is_empty() {
            self.outside.replicas.pace.rest();
            return;
        }
        self.check_lags();
        let end = self.outside.node.offset();
        let lets_go = self.outside.replicas.pace.lets_go(self.engine.tick_ns, end);
        let keys: Vec<ClientKey> = self
            .outside
            .replicas
            .table
            .iter()
            .filter(|(_, r)| matches!(r.state, State::Online { await_ack: false }))
            .filter(|(_, r)| r.cursor < end || (lets_go && r.kept_back))
            .map(|(k, _)| *k)
            .collect();
        for key in keys {
            self.feed_replica(key, lets_go);
        }
    }

    /// Closes replicas that are further behind than the output limits allow. A hard limit below the back-log's size
    /// would cut off those who have just been granted a partial resync, so that size takes its place.
    fn check_lags(&mut self) {
        let mut limit = self.engine.config.client_output_buffer_limit.0[1];
        if limit.hard_bytes > 0 {
            limit.hard_bytes = limit.hard_bytes.max(self.engine.config.repl_backlog_size.get());
        }
        let (end, now_ms) = (self.outside.node.offset(), self.engine.store.now_ms);
        let mut over = Vec::new();
        for (key, replica) in &mut self.outside.replicas.table {
            if matches!(replica.state, State::WaitSync { .. }) {
                continue;
            }
            let lag = (end - replica.cursor) as i64;
            if limit.soft_bytes == 0 || lag < limit.soft_bytes {
                replica.soft_limit_since_ms = None;
            } else {
                replica.soft_limit_since_ms.get_or_insert(now_ms);
            }
            let soft = replica.soft_limit_since_ms.is_some_and(|since| now_ms - since > limit.soft_seconds * 1000);
            if soft || (limit.hard_bytes > 0 && lag >= limit.hard_bytes) {
                over.push(*key);
            }
        }
        for key in over {
            let Some(id) = self.conns.of_client(key) else { continue };
            let text = self.client_text(id);
            log!(Warning, "Client {text} scheduled to be closed ASAP for overcoming of output buffer limits.");
            self.engine.stats.output_limit_closes += 1;
            self.close(id);
        }
    }

    /// Drops what neither the back-log nor a replica needs; called after each batch, so that a flood of writes leaves
    /// no more behind than that.
    pub fn trim_log(&mut self) {
        let window = (self.engine.config.repl_backlog_size.get() as u64).max(BACKLOG_BYTES_MIN);
        let Outside { node, replicas, spill, .. } = &mut self.outside;
        if node.log().len() <= window {
            return;
        }
        let readers = replicas.table.values().filter(|r| !matches!(r.state, State::WaitSync { .. }));
        node.trim(readers.map(|r| r.cursor).min().unwrap_or(u64::MAX), window);
        spill.move_out(node, window, self.engine.config.dir.get());
    }

    fn feed_replica(&mut self, key: ClientKey, lets_go: bool) {
        let Some(id) = self.conns.of_client(key) else { return };
        if self.engine.clients.get(key).is_some_and(|client| !client.out.buf.is_empty()) {
            // What it was answered comes before the stream.
            self.flush(id);
        }
        loop {
            let Some(conn) = self.conns.get_mut(id) else { return };
            let Some(client) = self.engine.clients.get_mut(key) else { return };
            let Some(replica) = self.outside.replicas.table.get_mut(&key) else { return };
            if conn.sending || !client.out.buf.is_empty() {
                return;
            }
            if replica.cursor >= self.outside.node.offset() {
                if lets_go && std::mem::take(&mut replica.kept_back) {
                    self.net.push(id);
                }
                return;
            }
            let mut buf = std::mem::take(&mut conn.spare);
            let log = self.outside.node.log();
            if replica.cursor < log.held() {
                match self.outside.spill.read(log, replica.cursor, FEED_BYTES, &mut buf) {
                    Ok(len) => replica.cursor += len as u64,
                    Err(error) => {
                        log!(
                            Warning,
                            "The replication log cannot be read back from the disk, a replica must begin anew: {error}"
                        );
                        self.close(id);
                        return;
                    }
                }
            }
            while buf.len() < FEED_BYTES {
                let bytes = self.outside.node.log().read(replica.cursor);
                if bytes.is_empty() {
                    break;
                }
                buf.extend_from_slice(bytes);
                replica.cursor += bytes.len() as u64;
            }
            let len = buf.len();
            self.engine.stats.repl_out += len as u64;
            client.traffic.sent_bytes += len as u64;
            client.traffic.sending_bytes = len;
            client.traffic.sending_capacity = buf.capacity();
            client.traffic.spare_bytes = 0;
            conn.sending = true;
            conn.sending_bytes = len;
            let behind = replica.cursor < self.outside.node.offset();
            replica.kept_back = (behind || !lets_go) && !replica.merged_by_tcp;
            match self.net.send_with(id, buf, How { quiet: !behind, more: replica.kept_back }) {
                Some(buf) => self.sent_now(id, buf),
                None => return,
            }
        }
    }

    /// Asks the replicas to acknowledge, if somebody waits for that and the stream may grow.
    pub fn ask_replicas_if_wanted(&mut self) {
        if self.outside.ask_later && !self.engine.pause.holds_writes(self.engine.store.now_ms) {
            self.outside.ask_later = false;
            self.ask_replicas();
        }
    }

    /// Asks all replicas to acknowledge at once.
    pub fn ask_replicas(&mut self) {
        if self.engine.stream.enabled && !self.outside.replicas.table.is_empty() {
            self.engine.stream.append_raw(b"*3\r\n$8\r\nREPLCONF\r\n$6\r\nGETACK\r\n$1\r\n*\r\n");
            self.outside.take_effects(&mut self.engine);
            self.outside.replicas.pace.hurry();
        }
    }

    /// A replica's connection has ended.
    pub fn replica_lost(&mut self, id: ConnId, error: Option<&std::io::Error>) {
        let Some(key) = self.conns.get(id).and_then(|c| c.client) else { return };
        let (ip, port) = self.outside.replicas.address(key, &self.engine);
        match error {
            Some(error) => log!(Notice, "Connection with replica {ip}:{port} lost: {error}"),
            None => log!(Notice, "Connection with replica {ip}:{port} lost."),
        }
    }

    /// Cuts all replicas off, so that they ask again and learn of a new history.
    pub fn disconnect_replicas(&mut self) {
        self.disconnect(&self.outside.replicas.table.keys().copied().collect::<Vec<_>>());
    }

    /// Closes the connections of these clients.
    pub fn disconnect(&mut self, keys: &[ClientKey]) {
        for key in keys {
            if let Some(id) = self.conns.of_client(*key) {
                self.close(id);
            }
        }
    }

    /// Once a second: heartbeats, time-outs, how far the log must be kept.
    pub fn replicas_cron(&mut self) {
        let now_ms = self.engine.store.now_ms;
        let following = self.outside.link.is_following();
        let period = self.engine.config.repl_ping_replica_period.get();
        // A heartbeat would be one more thing for the target of a failover to catch up with.
        let quiet = following || self.outside.failover.stage != Stage::None;
        if !quiet && !self.outside.replicas.table.is_empty() && self.seconds.is_multiple_of(period as u64) {
            self.engine.stream.append_raw(b"*1\r\n$4\r\nPING\r\n");
            self.outside.take_effects(&mut self.engine);
        }
        let timeout_ms = self.engine.config.repl_timeout.get() * 1000;
        let mut late = Vec::new();
        for (key, replica) in &self.outside.replicas.table {
            let is_old = self.engine.clients.get(*key).is_none();
            let is_online = matches!(replica.state, State::Online { .. });
            if is_online && now_ms - replica.ack_ms > timeout_ms {
                late.push((*key, "Disconnecting timedout replica (streaming sync)"));
            } else if is_old {
                late.push((*key, "Forgetting replica without a connection"));
            }
        }
        for (key, why) in late {
            let (ip, port) = self.outside.replicas.address(key, &self.engine);
            log!(Warning, "{why}: {ip}:{port}");
            match self.conns.of_client(key) {
                Some(id) => self.close(id),
                None => self.outside.forget_replica(key),
            }
        }
        self.outside.spill.close_unused(self.outside.node.log());
        self.outside.replicas.about.retain(|key, _| self.engine.clients.get(*key).is_some());
        self.free_backlog_if_unused(now_ms);
        // Replicas that wait for their transfer must see that we live.
        for (key, replica) in &self.outside.replicas.table {
            if matches!(replica.state, State::WaitSync { .. }) {
                if let Some(client) = self.engine.clients.get_mut(*key).filter(|c| c.out.buf.is_empty()) {
                    client.out.raw(b"\n");
                }
                if let Some(id) = self.conns.of_client(*key)
                    && let Some(conn) = self.conns.get_mut(id).filter(|c| !c.touched)
                {
                    conn.touched = true;
                    self.touched.push(id);
                }
            }
        }
    }

    fn free_backlog_if_unused(&mut self, now_ms: i64) {
        let replicas = &mut self.outside.replicas;
        if !replicas.table.is_empty() || !self.outside.node.is_recording() {
            replicas.none_since_ms = None;
            return;
        }
        let since_ms = *replicas.none_since_ms.get_or_insert(now_ms);
        let ttl_ms = self.engine.config.repl_backlog_ttl.get() * 1000;
        if ttl_ms > 0 && now_ms - since_ms > ttl_ms {
            replicas.none_since_ms = None;
            self.outside.node.stop_recording(super::outside::new_replication_id());
            self.outside.mirror_node(&mut self.engine);
            log!(Notice, "Replication backlog freed after {} seconds without connected replicas.", ttl_ms / 1000);
        }
    }
}

/// One replica of a transfer.
#[derive(Debug)]
struct Target {
    client: ClientKey,
    id: u64,
    fd: OwnedFd,
    cancel: Arc<AtomicBool>,
    by_mark: bool,
    sending: Arc<AtomicBool>,
    line: String,
    error: Option<String>,
}

/// The thread's end of a target.
struct Output<'a> {
    writer: BlockingWriter,
    line: String,
    sending: Arc<AtomicBool>,
    error: &'a mut Option<String>,
}

impl<'a> Output<'a> {
    fn new(target: &'a mut Target, stall: Stall) -> Self {
        let fd = target.fd.try_clone().expect("duplicating a descriptor fails only at the process's limit");
        Self {
            writer: BlockingWriter::new(fd, stall, target.cancel.clone()),
            line: std::mem::take(&mut target.line),
            sending: target.sending.clone(),
            error: &mut target.error,
        }
    }
}

/// All replicas of a transfer, written to alike. One that fails is left out; when all have, the transfer ends.
struct Outputs<'a> {
    targets: Vec<Output<'a>>,
    bytes: u64,
}

impl Outputs<'_> {
    fn write_all(&mut self, bytes: &[u8]) -> Result<(), String> {
        let mut any = false;
        for target in self.targets.iter_mut().filter(|t| t.error.is_none()) {
            match target.writer.write_all(bytes) {
                Ok(()) => any = true,
                Err(error) => *target.error = Some(error.to_string()),
            }
        }
        self.bytes += bytes.len() as u64;
        if any { Ok(()) } else { Err("no replica is left to send to".into()) }
    }

    fn write_lines(&mut self, after: &str) -> Result<(), String> {
        for target in self.targets.iter_mut() {
            let text = format!("{}{after}", target.line);
            if let Err(error) = target.writer.write_all(text.as_bytes()) {
                *target.error = Some(error.to_string());
            }
        }
        Ok(())
    }
}

impl persist::Sink for Outputs<'_> {
    fn write(&mut self, bytes: &[u8]) -> Result<(), persist::SinkError> {
        self.write_all(bytes).map_err(persist::SinkError::new)
    }
}

fn transfer_by_mark(outputs: &mut Outputs, snapshot: keyspace::Snapshot, options: &SaveOptions) -> Result<(), String> {
    let mut mark = [0; 20];
    super::fill_random(&mut mark);
    let mark = repl::ReplicationId::from_random(mark);
    outputs.write_lines(&format!("$EOF:{mark}\r\n"))?;
    write_snapshot(snapshot, outputs, options)?;
    outputs.write_all(mark.as_str().as_bytes())
}

fn transfer_by_length(
    outputs: &mut Outputs,
    snapshot: keyspace::Snapshot,
    options: &SaveOptions,
    dir: &str,
) -> Result<(), String> {
    let path = std::path::Path::new(dir).join(format!(
        "temp-sync-{}-{:?}.rdb",
        std::process::id(),
        std::thread::current().id()
    ));
    let result = send_file(outputs, snapshot, options, &path);
    let _ = std::fs::remove_file(&path);
    result
}

fn send_file(
    outputs: &mut Outputs,
    snapshot: keyspace::Snapshot,
    options: &SaveOptions,
    path: &std::path::Path,
) -> Result<(), String> {
    let text = |error: std::io::Error| format!("temporary file {}: {error}", path.display());
    super::saving::write_file(snapshot, options, path)?;
    let mut file = std::fs::File::open(path).map_err(text)?;
    let len = file.metadata().map_err(text)?.len();
    outputs.targets.iter().for_each(|target| target.sending.store(true, Ordering::Relaxed));
    outputs.write_lines(&format!("${len}\r\n"))?;
    let mut buf = vec![0; 64 << 10];
    loop {
        let n = file.read(&mut buf).map_err(text)?;
        if n == 0 {
            return Ok(());
        }
        outputs.write_all(&buf[..n])?;
    }
}

/// Makes the running client a replica.
pub fn attach(outside: &mut super::outside::Outside, engine: &mut Engine, state: State, cursor: u64) {
    let key = engine.current;
    let now_ms = engine.store.now_ms;
    let client = engine.client();
    client.flags.set(ClientFlags::REPLICA, true);
    let replica = Replica {
        state,
        id: client.id,
        cursor,
        kept_back: false,
        merged_by_tcp: false,
        ack_offset: cursor,
        ack_ms: now_ms,
        soft_limit_since_ms: None,
    };
    outside.replicas.table.insert(key, replica);
    outside.todos.push(super::outside::Todo::ReplicaAttached(key));
}
