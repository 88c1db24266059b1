//! The event loop: one thread that owns the data.
//!
//! ```text
//!  poll ─► events ─► parse all requests of all ready connections   (in place, into `batch`)
//!   ▲                  │
//!   │                  ▼  by windows of WINDOW requests
//!   │               prefetch the keys' paths ─► run them one after another
//!   │                  │
//!   │                  ▼
//!   │               effects ─► replication log ─► replicas
//!   │               replies ─► one send per connection
//!   └───────────────── timers: expiry, time-outs, saving, heartbeats
//! ```

use super::Server;
use super::conns::Peer;
use super::log::log;
use engine::client::{ClientFlags, ClientKey};
use engine::engine::{Flow, Order};
use engine::eviction::Leaving;
use keyspace::{End, Intents};
use net::{ConnId, DataSlot, Event};
use resp::{Args, Limits, Span, Status};
use std::time::Duration;

/// Requests whose keys are prefetched together.
const WINDOW: usize = 64;
/// Requests that one connection brings to a batch; what it has sent beyond them is left for the next round.
const PART_REQUESTS_MAX: usize = 4096;
/// Room for arguments that is kept from one batch to the next; one request may need much more.
const SPANS_KEPT: usize = 1 << 18;
/// Input of a client above which it is no longer read while it waits, or while whole requests are left for the next round.
const INPUT_PAUSE_BYTES: usize = 1 << 20;
/// Input of a client whose output is full above which it is no longer read. Many clients send a whole pipeline before they
/// read the first reply; they must not wait for us while we wait for them.
const INPUT_HELD_BYTES: usize = 256 << 20;
/// A buffer larger than this is given back to the allocator after use.
pub const SPARE_BYTES_MAX: usize = 256 << 10;

/// One request of a batch.
#[derive(Clone, Copy, Debug)]
struct Request {
    /// Its part of the batch.
    part: usize,
    /// Where in `Batch::owned` it is, if it is not in the connection's bytes: an inline request in multibulk form.
    owned: Option<u32>,
    /// Its place in these bytes.
    start: usize,
    end: usize,
    /// Where the next request begins in the connection's bytes.
    next: usize,
    spans: (u32, u32),
    /// At which end of a list or sorted set it is likely to work.
    end_used: End,
}

/// The bytes of one connection in a batch.
#[derive(Debug)]
struct Part {
    conn: ConnId,
    slot: Option<DataSlot>,
    /// Bytes that were run or refused: what follows is kept.
    consumed: usize,
    /// Requests not run, because the client waits: the parser starts anew.
    cut: bool,
    /// Further requests were left in the connection's bytes.
    more: bool,
    /// Its requests in the batch.
    requests: std::ops::Range<usize>,
    error: Option<resp::ProtocolError>,
}

/// Requests that are parsed and run together. Its vectors are kept from one to the next.
#[derive(Debug, Default)]
pub struct Batch {
    requests: Vec<Request>,
    spans: Vec<Span>,
    parts: Vec<Part>,
    owned: Vec<Vec<u8>>,
    /// Of each request the hash of what follows the command's name, which nearly always is a key.
    hashes: Vec<u64>,
}

impl Batch {
    fn clear(&mut self) {
        self.requests.clear();
        self.spans.clear();
        self.spans.shrink_to(SPANS_KEPT);
        self.parts.clear();
        self.owned.clear();
        self.hashes.clear();
    }

    /// The words of a request, given its connection's bytes.
    #[inline(always)]
    fn args<'a>(&'a self, bytes: &'a [u8], request: &Request) -> Args<'a> {
        let whole = request.owned.map_or(bytes, |i| &self.owned[i as usize]);
        Args::new(&whole[request.start..request.end], &self.spans[request.spans.0 as usize..request.spans.1 as usize])
    }
}

impl Server {
    /// Runs until the server is told to stop.
    pub fn run(&mut self) -> std::process::ExitCode {
        let mut events = Vec::new();
        loop {
            let timeout = self.timeout();
            super::process::round();
            if let Err(error) = self.net.poll(timeout, &mut events) {
                log!(Warning, "Polling the sockets failed, the server stops: {error}");
                return std::process::ExitCode::FAILURE;
            }
            self.engine.set_time_us(super::clock::unix_us());
            self.take_events(&mut events);
            self.begin_loading();
            // What has come in is counted before it is run: afterwards it would be gone.
            self.evict_clients();
            let commands = self.engine.stats.commands_total;
            self.run_batch();
            // CONFIG RESETSTAT may have set the counter back.
            let commands = self.engine.stats.commands_total.saturating_sub(commands);
            // The engine looks at the clock after each command, so this look costs nothing.
            let ran_ns = if commands > 0 { self.engine.tick_ns - self.engine.time_set_ns } else { 0 };
            let began_ns = self.engine.time_set_ns;
            self.settle();
            if !self.leaving.is_empty() {
                self.see_off();
            }
            self.run_timers();
            let now_ns = super::clock::monotonic_ns();
            let rounds = &mut self.engine.stats.rounds;
            rounds.count += 1;
            rounds.nanos += now_ns.saturating_sub(began_ns);
            rounds.longest_ns = rounds.longest_ns.max(now_ns.saturating_sub(began_ns));
            rounds.command_ns += ran_ns;
            rounds.commands_max = rounds.commands_max.max(commands);
            if let Some(code) = self.exit {
                return code;
            }
        }
    }

    /// How long the loop may sleep.
    fn timeout(&self) -> Option<Duration> {
        if !self.resumed.is_empty() {
            return Some(Duration::ZERO);
        }
        let now = super::clock::unix_ms();
        let mut next = self.next_tick_ms;
        if let Some(at) = self.engine.blocking.next_deadline_ms() {
            next = next.min(at);
        }
        if let Some(driver) = &self.outside.sentinel {
            next = next.min(now + driver.wakes_in_ms());
        }
        let timeout = Duration::from_millis((next - now).clamp(0, 1000) as u64);
        let held_ns = self.outside.replicas.pace.held_ns(self.engine.tick_ns);
        Some(held_ns.map_or(timeout, |held| timeout.min(Duration::from_nanos(held))))
    }

    fn take_events(&mut self, events: &mut Vec<Event>) {
        self.batch.clear();
        for conn in std::mem::take(&mut self.resumed) {
            self.parse(conn, None);
        }
        for event in events.drain(..) {
            match event {
                Event::Data { conn, slot } => self.received(conn, slot),
                Event::Sent { conn, buf } => self.sent(conn, buf),
                Event::Accepted { listener, conn } => self.accepted(listener, conn),
                Event::AcceptFailed { error, .. } => log!(Warning, "Accepting a client connection failed: {error}"),
                Event::Connected { conn, result } => match self.conns.get(conn).map(|c| c.peer) {
                    Some(Peer::Watched) => self.watched_connected(conn, result),
                    _ => self.link_connected(conn, result),
                },
                Event::Eof { conn } => self.leaves(conn, None),
                Event::Error { conn, error } => self.leaves(conn, Some(error)),
                Event::Woken => self.take_notes(),
            }
        }
    }

    fn received(&mut self, id: ConnId, slot: DataSlot) {
        let len = self.net.data(slot).len();
        let Some(conn) = self.conns.get_mut(id) else { return };
        if conn.peer == Peer::Primary && conn.client.is_none() {
            self.link_received(id, slot);
            return;
        }
        if conn.peer == Peer::Watched {
            self.watched_received(id, slot);
            return;
        }
        let Some(key) = conn.client else { return };
        let Some(client) = self.engine.clients.get_mut(key) else { return };
        client.traffic.received_bytes += len as u64;
        self.engine.stats.reads += 1;
        match conn.peer {
            Peer::Client | Peer::Replica | Peer::Watched => self.engine.stats.net_in += len as u64,
            Peer::Primary => {
                self.engine.stats.repl_in += len as u64;
                self.outside.link.heard_ms = self.engine.store.now_ms;
            }
        }
        if conn.in_batch {
            // A second buffer of a connection in one round waits for the first one's requests.
            self.late.push((id, slot));
            return;
        }
        if !conn.input.is_empty() {
            conn.input.extend_towards(conn.parser.bytes_wanted(), self.net.data(slot));
            self.parse(id, None);
        } else {
            self.parse(id, Some(slot));
        }
    }

    /// Parses what a connection has sent, into the batch.
    fn parse(&mut self, id: ConnId, slot: Option<DataSlot>) {
        let Some(conn) = self.conns.get_mut(id) else { return };
        let Some(key) = conn.client else { return };
        let input_max = self.engine.config.client_query_buffer_limit.get();
        if slot.is_none() && conn.peer != Peer::Primary && conn.input.len() as i64 > input_max {
            self.close_for_input(id);
            return;
        }
        let Some(client) = self.engine.clients.get(key) else { return };
        let waits = client
            .flags
            .any(ClientFlags::BLOCKED | ClientFlags::CLOSING | ClientFlags::CLOSE_AFTER_REPLY | ClientFlags::POSTPONED);
        if waits || conn.held {
            let input_max = if waits { INPUT_PAUSE_BYTES } else { INPUT_HELD_BYTES };
            if let Some(slot) = slot {
                conn.input.extend_from_slice(self.net.data(slot));
                self.note_input(id);
            }
            let Some(conn) = self.conns.get_mut(id) else { return };
            if conn.input.len() > input_max && !conn.paused {
                conn.paused = true;
                self.net.pause(id);
            }
            return;
        }
        let limits =
            Limits { bulk_bytes_max: self.engine.config.proto_max_bulk_len.get(), authenticated: client.authenticated };
        let bytes: &[u8] = match slot {
            Some(slot) => self.net.data(slot),
            None => &conn.input,
        };
        let batch = &mut self.batch;
        let (first, part) = (batch.requests.len(), batch.parts.len());
        let (mut at, mut error) = (0, None);
        let mut more = false;
        while at < bytes.len() {
            if batch.requests.len() - first == PART_REQUESTS_MAX {
                more = true;
                break;
            }
            let spans_start = batch.spans.len();
            let (owned, start, end, len) = match conn.parser.parse(&bytes[at..], limits, &mut batch.spans) {
                Ok(Status::Complete { len }) => (None, at, at + len, len),
                Ok(Status::Inline { len, request }) => {
                    let end = request.len();
                    batch.owned.push(request);
                    (Some(batch.owned.len() as u32 - 1), 0, end, len)
                }
                Ok(Status::Empty { len }) => {
                    at += len;
                    continue;
                }
                Ok(Status::Incomplete) => break,
                Err(e) => {
                    error = Some(e);
                    break;
                }
            };
            at += len;
            let spans = (spans_start as u32, batch.spans.len() as u32);
            let mut request = Request { part, owned, start, end, next: at, spans, end_used: End::Front };
            let args = batch.args(bytes, &request);
            let (end_used, hash) = (end_of(&args[0]), args.get(1).map_or(0, keyspace::hash));
            request.end_used = end_used;
            batch.requests.push(request);
            batch.hashes.push(hash);
        }
        let requests = first..batch.requests.len();
        conn.in_batch = true;
        batch.parts.push(Part { conn: id, slot, consumed: at, cut: false, more, requests, error });
        if slot.is_none() && self.engine.client_memory.is_limited() {
            self.note_input(id);
        }
    }

    /// Runs the batch and keeps what is left of each connection's bytes.
    fn run_batch(&mut self) {
        let total = self.batch.requests.len();
        let mut next = 0;
        let mut open = None;
        while next < total {
            let window_end = (next + WINDOW).min(total);
            if window_end - next > 1 {
                self.prefetch(next..window_end);
            }
            while next < window_end {
                let part = self.batch.requests[next].part;
                if open != Some(part) {
                    if open.take().is_some() {
                        self.engine.end();
                    }
                    let client = self.client_of(part);
                    if let Some(key) = client {
                        self.engine.begin(key);
                        open = Some(part);
                    }
                }
                let end = self.batch.parts[part].requests.end.min(window_end);
                if open.is_some() && !self.batch.parts[part].cut {
                    self.run_part(part, next..end);
                }
                next = end;
            }
        }
        if open.is_some() {
            self.engine.end();
        }
        self.keep_rests();
    }

    /// The client of a part, if it is still there.
    fn client_of(&self, part: usize) -> Option<ClientKey> {
        let key = self.conns.get(self.batch.parts[part].conn)?.client?;
        self.engine.clients.get(key).map(|_| key)
    }

    /// Brings what some requests will need into the cache.
    fn prefetch(&self, requests: std::ops::Range<usize>) {
        let db = self.client_of(self.batch.requests[requests.start].part).map_or(0, |key| self.engine.clients[key].db);
        let window = Window { server: self, first: requests.start };
        self.engine.store.keyspace.db(db).prefetch(&self.batch.hashes[requests], &window);
    }

    /// Runs some requests of one part, whose client is the running one, as far as they can be run now.
    fn run_part(&mut self, part_index: usize, requests: std::ops::Range<usize>) {
        let output_pause = self.output_pause();
        let Server { net, conns, engine, outside, batch, .. } = self;
        let part = &batch.parts[part_index];
        let Some(bytes) = bytes_of(net, conns, part) else { return };
        let from_primary = conns.get(part.conn).is_some_and(|conn| conn.peer == Peer::Primary);
        for i in requests {
            let request = &batch.requests[i];
            let args = batch.args(bytes, request);
            if let Some(name) = args.get(1) {
                engine.store.hint(name, batch.hashes[i]);
            }
            let flow = engine.execute(outside, &args);
            engine.store.clear_hint();
            // What was not run is not ours yet: it is asked for again, or comes when the pause is over.
            if from_primary && !matches!(flow, Flow::Dropped | Flow::Postponed) {
                outside.applied(engine, engine.current, args.raw());
            }
            let consumed = match flow {
                Flow::Done if engine.out.buf.len() < output_pause => continue,
                Flow::Done | Flow::Blocked => request.next,
                Flow::Postponed => {
                    engine.client().flags.set(ClientFlags::POSTPONED, true);
                    if i > part.requests.start { batch.requests[i - 1].next } else { 0 }
                }
                Flow::Close | Flow::Dropped => usize::MAX,
            };
            let part = &mut batch.parts[part_index];
            part.consumed = consumed;
            part.cut = true;
            return;
        }
    }

    /// After a batch: bytes that were not run are kept with their connections, protocol errors
    /// are answered, replies are marked to be sent.
    fn keep_rests(&mut self) {
        let output_pause = self.output_pause();
        let parts = std::mem::take(&mut self.batch.parts);
        for part in &parts {
            let id = part.conn;
            let Some(conn) = self.conns.get_mut(id) else { continue };
            conn.in_batch = false;
            let from_primary = conn.peer == Peer::Primary;
            if part.cut {
                conn.parser = resp::RequestParser::default();
            }
            match part.slot {
                Some(slot) => {
                    let bytes = self.net.data(slot);
                    if part.consumed < bytes.len() {
                        conn.input.extend_towards(conn.parser.bytes_wanted(), &bytes[part.consumed..]);
                    }
                }
                None => conn.input.consume(part.consumed),
            }
            let Some(key) = conn.client else { continue };
            let input = conn.input.len();
            if let Some(client) = self.engine.clients.get_mut(key) {
                client.traffic.argument_bytes = conn.parser.bytes_done().min(input);
                client.traffic.query_bytes = input - client.traffic.argument_bytes;
                client.traffic.query_capacity = conn.input.capacity();
                if !client.flags.any(ClientFlags::BLOCKED)
                    && part.cut
                    && !client.flags.any(ClientFlags::POSTPONED)
                    && part.consumed != usize::MAX
                {
                    // Its output is full: it goes on when that has been sent.
                    if client.out.buf.len() >= output_pause {
                        conn.held = true;
                    }
                }
                if !client.out.buf.is_empty() {
                    self.touch(id);
                } else {
                    self.engine.count_client_memory(key);
                }
            }
            self.pace_input(id, part);
            if let Some(error) = &part.error {
                if !part.cut {
                    self.protocol_error(id, error);
                }
            } else if !from_primary && input as i64 > self.engine.config.client_query_buffer_limit.get() {
                self.close_for_input(id);
            }
        }
        self.batch.parts = parts;
        for (id, second) in std::mem::take(&mut self.late) {
            if let Some(conn) = self.conns.get_mut(id) {
                conn.input.extend_towards(conn.parser.bytes_wanted(), self.net.data(second));
                if !self.resumed.contains(&id) {
                    self.resumed.push(id);
                }
                self.note_input(id);
            }
        }
    }

    /// Requests that the next rounds will run are not read faster than that. A request that has not come whole is read on, and so is a
    /// client whose output is full: it may write all of its pipeline before it reads.
    fn pace_input(&mut self, id: ConnId, part: &Part) {
        let Some(conn) = self.conns.get_mut(id) else { return };
        if part.more && !part.cut {
            if !self.resumed.contains(&id) {
                self.resumed.push(id);
            }
            if conn.input.len() > INPUT_PAUSE_BYTES && !conn.paused {
                conn.paused = true;
                self.net.pause(id);
            }
        } else if conn.paused && (conn.held || !part.cut) {
            conn.paused = false;
            self.net.recv(id);
        }
    }

    fn close_for_input(&mut self, id: ConnId) {
        log!(Warning, "Closing client that reached max query buffer length: {}", self.client_text(id));
        self.engine.stats.query_limit_closes += 1;
        self.close(id);
    }

    fn protocol_error(&mut self, id: ConnId, error: &resp::ProtocolError) {
        let Some(conn) = self.conns.get(id) else { return };
        if conn.peer == Peer::Primary {
            return self.stream_broken(id, &error.to_string());
        }
        let Some(key) = conn.client else { return };
        log!(Verbose, "Protocol error ({}) from client: {}", error.0, self.client_text(id));
        self.engine.stats.count_error(b"ERR");
        self.engine.output_of(key).error(format!("ERR {error}").as_bytes());
        self.engine.close_after_reply(key);
    }

    /// Puts a connection on the list of those to be flushed.
    pub fn touch(&mut self, id: ConnId) {
        if let Some(conn) = self.conns.get_mut(id)
            && !conn.touched
        {
            conn.touched = true;
            self.touched.push(id);
        }
    }

    /// After each batch: orders of the engine, effects to the log, replies to the sockets.
    pub fn settle(&mut self) {
        let freed = !self.engine.store.keyspace.has_trash() && self.freer.counts.pending() == 0;
        if freed && self.engine.leaving != Leaving::default() {
            self.engine.store.meter.refresh();
            self.engine.leaving = Leaving::default();
        }
        self.engine.broadcast_invalidations();
        self.outside.take_effects(&mut self.engine);
        self.do_todos();
        self.drive_sentinel();
        self.failover_cron();
        while !self.engine.orders.is_empty() || !self.engine.dirty_clients.is_empty() {
            for key in std::mem::take(&mut self.engine.dirty_clients) {
                if let Some(client) = self.engine.clients.get_mut(key) {
                    client.in_dirty_list = false;
                }
                if let Some(id) = self.conns.of_client(key) {
                    self.touch(id);
                }
            }
            for order in std::mem::take(&mut self.engine.orders) {
                self.obey(order);
            }
        }
        if let Some(time) = self.sleep_first.take() {
            std::thread::sleep(time);
        }
        // The stream goes before the replies: who has been answered finds the write on its way, even if the process is killed.
        self.feed_replicas();
        for id in std::mem::take(&mut self.touched) {
            if let Some(conn) = self.conns.get_mut(id) {
                conn.touched = false;
            }
            self.flush(id);
            self.count_memory(id);
        }
        self.evict_clients();
        self.trim_log();
        self.engine.uncounted_bytes = self.outside.uncounted_bytes(&self.engine);
        if self.engine.store.keyspace.has_trash() {
            let trash = self.engine.store.keyspace.take_trash();
            self.freer.free(trash);
        }
        for readers in self.engine.store.tracking.discarded.drain(..) {
            self.freer.free(readers);
        }
    }

    fn obey(&mut self, order: Order) {
        match order {
            Order::Close(key) => {
                let Some(id) = self.conns.of_client(key) else { return };
                self.close(id);
            }
            Order::CloseReplica(key, command) => {
                let Some(id) = self.conns.of_client(key) else { return };
                let text = self.client_text(id);
                log!(Warning, "Replica generated a reply to command '{command}', disconnecting it: {text}");
                self.close(id);
            }
            Order::StreamBroken(key, what) => {
                if let Some(id) = self.conns.of_client(key) {
                    self.stream_broken(id, &what);
                }
            }
            Order::CloseForInput(key) => {
                if let Some(id) = self.conns.of_client(key) {
                    self.close_for_input(id);
                }
            }
            Order::Flushed => self.flushed(),
            Order::Warn(text) => log!(Warning, "{text}"),
            Order::ResumePostponed => self.resume_postponed(),
            Order::CloseAfterReply(key) => {
                if let Some(id) = self.conns.of_client(key) {
                    if let Some(conn) = self.conns.get_mut(id) {
                        conn.close_when_sent = true;
                        conn.input.clear();
                    }
                    self.touch(id);
                }
            }
            Order::Resume(key) => {
                if let Some(id) = self.conns.of_client(key) {
                    self.resume(id);
                }
            }
        }
    }

    /// A connection's client may go on: what it has sent meanwhile is run in the next round.
    pub fn resume(&mut self, id: ConnId) {
        let Some(conn) = self.conns.get_mut(id) else { return };
        conn.held = false;
        // A round that runs what there is reads on by itself.
        if conn.paused && !conn.sending && conn.input.len() <= INPUT_PAUSE_BYTES {
            conn.paused = false;
            self.net.recv(id);
        }
        if !conn.input.is_empty() && !self.resumed.contains(&id) {
            self.resumed.push(id);
        }
    }

    /// Tells the engine how much a client has sent that has not been run.
    fn note_input(&mut self, id: ConnId) {
        let Some(conn) = self.conns.get(id) else { return };
        let Some(key) = conn.client else { return };
        let Some(client) = self.engine.clients.get_mut(key) else { return };
        let (len, done) = (conn.input.len(), conn.parser.bytes_done().min(conn.input.len()));
        client.traffic.argument_bytes = done;
        client.traffic.query_bytes = len - done;
        client.traffic.query_capacity = conn.input.capacity();
        self.engine.count_client_memory(key);
    }

    /// Counts what a connection's client takes of the memory, where that is limited.
    #[inline]
    pub fn count_memory(&mut self, id: ConnId) {
        if self.engine.client_memory.is_limited()
            && let Some(key) = self.conns.get(id).and_then(|c| c.client)
        {
            self.engine.count_client_memory(key);
        }
    }

    /// Closes clients, large ones first, while all together take more memory than they may.
    fn evict_clients(&mut self) {
        while let Some(key) = self.engine.next_evicted_client() {
            log!(Notice, "Evicting client: {}", self.engine.client_line(key, 0));
            self.engine.stats.evicted_clients += 1;
            match self.conns.of_client(key) {
                Some(id) => self.close(id),
                None => self.engine.remove_client(key),
            }
        }
    }

    /// A connection has ended. What it sent before is run all the same.
    fn leaves(&mut self, id: ConnId, error: Option<std::io::Error>) {
        match self.conns.get(id) {
            Some(conn) if conn.in_batch => self.leaving.push((id, error)),
            _ => self.ended(id, error),
        }
    }

    /// Closes the connections that ended with requests in the batch. Who has only ended its own side still reads the replies.
    fn see_off(&mut self) {
        for (id, error) in std::mem::take(&mut self.leaving) {
            if self.resumed.contains(&id) {
                self.leaving.push((id, error));
                continue;
            }
            let Some(conn) = self.conns.get_mut(id) else { continue };
            let client = conn.client.and_then(|key| self.engine.clients.get(key));
            let waits = ClientFlags::BLOCKED | ClientFlags::POSTPONED;
            let unsent = client.is_some_and(|c| !c.flags.any(waits) && (conn.sending || !c.out.buf.is_empty()));
            if unsent && error.is_none() && conn.peer == Peer::Client {
                conn.close_when_sent = true;
                self.net.hasten();
            } else {
                self.ended(id, error);
            }
        }
    }

    fn ended(&mut self, id: ConnId, error: Option<std::io::Error>) {
        let Some(conn) = self.conns.get(id) else { return };
        match conn.peer {
            Peer::Primary => self.link_lost(id, error),
            Peer::Watched => self.watched_lost(id, error),
            Peer::Replica => {
                self.replica_lost(id, error.as_ref());
                self.close(id);
            }
            Peer::Client => {
                match error {
                    Some(error) => log!(Verbose, "Reading from client: {error}"),
                    None => log!(Verbose, "Client closed connection {}", self.client_text(id)),
                }
                self.close(id);
            }
        }
    }

    /// Closes a connection and forgets its client. Where it is the link to our primary, the link is made anew, whatever the
    /// reason is.
    pub fn close(&mut self, id: ConnId) {
        if self.outside.link.has_conn(id) {
            // It comes back here when the link has let go of the connection.
            return self.link_lost(id, None);
        }
        let Some(conn) = self.conns.remove(id) else { return };
        if self.sleep_first.is_some()
            && let Some(fd) = self.net.fd(id)
        {
            // The backend closes the socket when it is polled next; the other side is to see it before we sleep. One
            // that is gone already needs nothing.
            let _ = rustix::net::shutdown(fd, rustix::net::Shutdown::Both);
        }
        self.net.close(id);
        if let Some(key) = conn.client {
            self.outside.forget_replica(key);
            if self.outside.sentinel.is_some()
                && let Some(client) = self.engine.clients.get(key)
            {
                self.forget_sentinel_client(client.id);
            }
            self.engine.remove_client(key);
        }
    }

    /// A client as the log shows it.
    pub fn client_text(&self, id: ConnId) -> String {
        let client = self.conns.get(id).and_then(|c| c.client).and_then(|k| self.engine.clients.get(k));
        client.map_or_else(
            || "(unknown)".into(),
            |c| format!("id={} addr={} laddr={} name={}", c.id, c.addr, c.laddr, String::from_utf8_lossy(&c.name)),
        )
    }
}

/// Some requests of the batch. What they say of themselves before they run are guesses that cost little where they are wrong.
struct Window<'a> {
    server: &'a Server,
    /// The number of the first one.
    first: usize,
}

impl Window<'_> {
    #[inline]
    fn args(&self, i: usize) -> Option<Args<'_>> {
        let Server { net, conns, batch, .. } = self.server;
        let request = &batch.requests[self.first + i];
        Some(batch.args(bytes_of(net, conns, &batch.parts[request.part])?, request))
    }
}

impl Intents for Window<'_> {
    #[inline]
    fn end(&self, i: usize) -> End {
        self.server.batch.requests[self.first + i].end_used
    }

    /// A member follows its key, or its score.
    #[inline]
    fn member(&self, i: usize, scored: bool) -> Option<u64> {
        let args = self.args(i)?;
        args.get(if scored && args.len() > 3 { 3 } else { 2 }).map(keyspace::hash)
    }
}

/// Many commands are named for the end that they work at: RPUSH, ZPOPMAX.
#[inline]
fn end_of(command: &[u8]) -> End {
    match command {
        [b'R' | b'r', ..] | [b'Z' | b'z', .., b'X' | b'x'] => End::Back,
        _ => End::Front,
    }
}

/// The bytes of a connection while its batch runs.
#[inline]
fn bytes_of<'a>(net: &'a net::Net, conns: &'a super::conns::Conns, part: &Part) -> Option<&'a [u8]> {
    match part.slot {
        Some(slot) => Some(net.data(slot)),
        None => conns.get(part.conn).map(|conn| &conn.input[..]),
    }
}
