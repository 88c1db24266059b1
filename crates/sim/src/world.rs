//! The world: virtual time, and everything that lives in it.
//!
//! The heart is a queue of things that will happen, ordered by time and then by the order in which they were decided. Nothing else moves time, so
//! a run depends on its plan alone.

use crate::Time;
use crate::check::{Checker, Choice};
use crate::faults::FaultKind;
use crate::net::{Conn, ConnId, Network, NodeId, Payload};
use crate::node::{Node, sentinel_address};
use crate::plan::{Plan, Sabotage};
use crate::server::{Server, address, server_at};
use base::rng::Rng;
use sentinel::{Action, ClientId, Event, PrimaryView, Reply, SaveId, ScriptEnd};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::net::IpAddr;

/// Clients that are tests, not connections.
const TEST_CLIENT: u64 = 1 << 40;

/// How long after its word a lying disk saves.
const LYING_MS: u64 = 400;

/// What will happen.
#[derive(Debug)]
pub(crate) enum Happening {
    /// A message arrives.
    Arrive { conn: ConnId, back: bool, payload: Payload },
    /// A sentinel's deadline.
    Tick { node: NodeId, run: u32 },
    /// A sentinel's save ends.
    SaveEnds { node: NodeId, run: u32, save: SaveId },
    /// What a lying disk has said to be saved long ago is.
    Flushed { node: NodeId, run: u32 },
    /// A sentinel's script has run.
    ScriptEnds { node: NodeId, run: u32, script: sentinel::ScriptId },
    /// A replica looks at its primary.
    Replicate { server: usize },
    /// The client writes.
    Write,
    /// Paused commands are executed.
    Unpause { server: usize },
    /// A fault of the plan begins, or ends.
    Fault { kind: FaultKind, ms: u64, ends: bool },
    /// A server is started again.
    StartServer { server: usize, lose_data: bool },
    /// A sentinel is started again.
    StartSentinel { node: NodeId },
}

struct Entry {
    at: Time,
    number: u64,
    what: Happening,
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        (self.at, self.number) == (other.at, other.number)
    }
}
impl Eq for Entry {}
impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Entry {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.number).cmp(&(other.at, other.number))
    }
}

/// An event that a sentinel published: when, who, its name and text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Emitted {
    /// When.
    pub at: Time,
    /// Which sentinel.
    pub sentinel: usize,
    /// `+sdown` and so on.
    pub name: &'static str,
    /// The rest.
    pub text: String,
}

/// Everything.
pub struct World {
    /// What it was made from.
    pub plan: Plan,
    /// Now.
    pub now: Time,
    /// Chance within the run.
    pub(crate) rng: Rng,
    queue: BinaryHeap<Reverse<Entry>>,
    numbers: u64,
    /// Who reaches whom; sentinels first, then servers.
    pub net: Network,
    /// The sentinels.
    pub nodes: Vec<Node>,
    /// The servers.
    pub servers: Vec<Server>,
    pub(crate) conns: Vec<Conn>,
    /// Whether each sentinel holds the primary for down.
    down: Vec<bool>,
    /// The newest epoch that each has told of, and that in which it last stood.
    newest_epoch: Vec<u64>,
    candidate_in: Vec<u64>,
    /// Since when it watches this primary.
    watches_since: Vec<Time>,
    /// When each server last answered PONG to each sentinel.
    pongs: BTreeMap<(usize, usize), Time>,
    /// Who judges.
    pub checker: Checker,
    /// What sentinels published.
    pub emitted: Vec<Emitted>,
    /// Answers to commands of tests.
    pub answers: Vec<(usize, u64, Reply)>,
    /// Where the client believes the primary to be.
    pub client_target: usize,
    next_write: u32,
    /// Writes that were acknowledged: number and time.
    pub acknowledged: Vec<(u32, Time)>,
    /// Writes that were answered with an error or not at all.
    pub refused: Vec<Time>,
    next_command: u64,
    /// A hash of all that happened; equal for equal runs.
    pub trace: u64,
    /// Things that happened.
    pub steps: u64,
    /// Print what happens.
    pub verbose: bool,
    crashed: Vec<usize>,
}

impl World {
    /// The world of a plan at its beginning, with its faults to come.
    pub fn new(plan: Plan) -> Self {
        let mut rng = Rng::new(plan.seed.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let mut servers: Vec<Server> = (0..plan.servers)
            .map(|i| Server::new(&mut rng, plan.follows[i], plan.priorities[i], plan.servers))
            .collect();
        for server in &mut servers {
            (server.old, server.min_replicas) = (plan.old_servers, plan.min_replicas);
            server.deaf = plan.sabotage == Some(Sabotage::DeafServers);
        }
        // They have been in sync for long.
        for i in 0..servers.len() {
            if let Some(primary) = plan.follows[i] {
                servers[i].replid = servers[0].replid.clone();
                servers[i].link_up = true;
                servers[primary].replica_seen[i] = Some(0);
            }
        }
        let nodes = (0..plan.sentinels).map(|_| Node::new(&plan, &mut rng)).collect();
        let net = Network::new(plan.sentinels + plan.servers, plan.delay_ms, plan.lost_per_mille, plan.retransmit_ms);
        let mut checker = Checker::default();
        checker.allow_two_leaders = plan.sabotage == Some(Sabotage::YesMenUnseen);
        checker.allow_unsynced = plan.sabotage == Some(Sabotage::LyingDisk);
        let mut world = Self {
            now: 0,
            rng,
            queue: BinaryHeap::new(),
            numbers: 0,
            net,
            nodes,
            servers,
            conns: Vec::new(),
            down: vec![false; plan.sentinels],
            newest_epoch: vec![0; plan.sentinels],
            candidate_in: vec![0; plan.sentinels],
            watches_since: vec![0; plan.sentinels],
            pongs: BTreeMap::new(),
            checker,
            emitted: Vec::new(),
            answers: Vec::new(),
            client_target: 0,
            next_write: 0,
            acknowledged: Vec::new(),
            refused: Vec::new(),
            next_command: TEST_CLIENT,
            trace: 0xCBF2_9CE4_8422_2325,
            steps: 0,
            verbose: false,
            crashed: Vec::new(),
            plan,
        };
        for server in 0..world.plan.servers {
            let at = world.rng.below(world.plan.replication_ms);
            world.plan_at(at, Happening::Replicate { server });
        }
        if world.plan.write_ms > 0 {
            world.plan_at(500, Happening::Write);
        }
        for fault in world.plan.faults.clone() {
            world.plan_at(fault.at, Happening::Fault { kind: fault.kind, ms: fault.ms, ends: false });
        }
        for node in 0..world.plan.sentinels {
            world.start_sentinel(node);
        }
        world
    }

    pub(crate) fn plan_at(&mut self, at: Time, what: Happening) {
        self.numbers += 1;
        self.queue.push(Reverse(Entry { at: at.max(self.now), number: self.numbers, what }));
    }

    fn mix(&mut self, value: u64) {
        self.trace = (self.trace ^ value).wrapping_mul(0x0100_0000_01B3);
    }

    /// Says what happens, if somebody wants to know.
    pub(crate) fn tell(&self, text: impl FnOnce() -> String) {
        if self.verbose {
            eprintln!("{:>7} {}", self.now, text());
        }
    }

    /// Lets time pass until `end`, or until a checker is not content.
    pub fn run_until(&mut self, end: Time) {
        while self.checker.violations.is_empty() && self.step(end) {}
        self.now = self.now.max(end.min(Time::MAX / 2));
    }

    /// Lets time pass.
    pub fn run_for(&mut self, ms: u64) {
        self.run_until(self.now + ms);
    }

    /// Lets time pass until something is so, for at most so long. Whether it is.
    pub fn run_until_so(&mut self, ms: u64, mut so: impl FnMut(&World) -> bool) -> bool {
        let end = self.now + ms;
        while !so(self) {
            if !self.checker.violations.is_empty() || !self.step(end) {
                return so(self);
            }
        }
        true
    }

    /// The next thing happens, if it is before `end`.
    fn step(&mut self, end: Time) -> bool {
        let Some(Reverse(first)) = self.queue.peek() else { return false };
        if first.at > end {
            return false;
        }
        let Reverse(Entry { at, what, .. }) = self.queue.pop().expect("just seen");
        self.now = at;
        self.steps += 1;
        self.mix(at);
        match what {
            Happening::Arrive { conn, back, payload } => self.arrive(conn, back, payload),
            Happening::Tick { node, run } => self.tick(node, run),
            Happening::SaveEnds { node, run, save } => self.save_ends(node, run, save),
            Happening::Flushed { node, run } => {
                if self.nodes[node].run == run
                    && let Some(text) = self.nodes[node].unsynced.take()
                {
                    self.nodes[node].durable = text;
                }
            }
            Happening::ScriptEnds { node, run, script } => {
                if self.nodes[node].run == run {
                    self.give(node, Event::ScriptEnded { script, end: ScriptEnd::Exited(0) });
                }
            }
            Happening::Replicate { server } => self.replicate(server),
            Happening::Write => self.client_writes(),
            Happening::Unpause { server } => self.unpause(server),
            Happening::Fault { kind, ms, ends } => self.fault(kind, ms, ends),
            Happening::StartServer { server, lose_data } => self.start_server(server, lose_data),
            Happening::StartSentinel { node } => self.start_sentinel(node),
        }
        while let Some(node) = self.crashed.pop() {
            self.crash_sentinel(node, true);
            self.plan_at(self.now + 1000, Happening::StartSentinel { node });
        }
        true
    }

    // Connections.

    /// Sends on a connection: `back` is towards the sentinel that made it.
    pub(crate) fn send(&mut self, conn: ConnId, back: bool, payload: Payload) {
        let c = &self.conns[conn];
        let (from, to) = if back { (c.to, c.from) } else { (c.from, c.to) };
        if !self.net.reaches(from, to) || !self.conns[conn].stalled[usize::from(back)].is_empty() {
            self.conns[conn].stalled[usize::from(back)].push(payload);
            return;
        }
        let earliest = self.now + self.net.delay(&mut self.rng);
        let at = self.conns[conn].arrival(back, earliest);
        self.plan_at(at, Happening::Arrive { conn, back, payload });
    }

    /// After a partition has healed: what waited comes through, or the connection is dead.
    pub fn flush(&mut self) {
        for conn in 0..self.conns.len() {
            for back in [false, true] {
                let c = &self.conns[conn];
                let (from, to) = if back { (c.to, c.from) } else { (c.from, c.to) };
                if c.stalled[usize::from(back)].is_empty() || !self.net.reaches(from, to) {
                    continue;
                }
                let waiting = std::mem::take(&mut self.conns[conn].stalled[usize::from(back)]);
                if self.rng.below(4) == 0 {
                    self.send(conn, true, Payload::Fin("reset after a partition"));
                    continue;
                }
                let earliest = self.now + self.net.retransmission(&mut self.rng);
                let at = self.conns[conn].arrival(back, earliest);
                for payload in waiting {
                    self.plan_at(at, Happening::Arrive { conn, back, payload });
                }
            }
        }
    }

    fn arrive(&mut self, conn: ConnId, back: bool, payload: Payload) {
        let c = &self.conns[conn];
        let (node, sentinels) = (if back { c.from } else { c.to }, self.nodes.len());
        let hung_until =
            if node < sentinels { self.nodes[node].hung_until } else { self.servers[node - sentinels].hung_until };
        // The system of a stopped process still opens connections.
        if self.now < hung_until && !matches!(payload, Payload::Syn) {
            self.plan_at(hung_until, Happening::Arrive { conn, back, payload });
            return;
        }
        if back { self.arrive_at_sentinel(conn, payload) } else { self.arrive_at_server(conn, payload) }
    }

    fn arrive_at_sentinel(&mut self, conn: ConnId, payload: Payload) {
        let c = &mut self.conns[conn];
        let (node, link) = (c.from, c.link);
        if !c.alive || self.nodes[node].run != c.from_run || self.nodes[node].sentinel.is_none() {
            return;
        }
        let (to, sentinels) = (c.to, self.nodes.len());
        let event = match payload {
            Payload::SynAck => {
                c.ready = true;
                let local = sentinel_address(node).parse().expect("an address");
                Event::LinkOpened { link, local }
            }
            Payload::Reply(reply) => {
                if to >= sentinels {
                    self.observe_reply(conn, &reply);
                }
                Event::Received { link, reply: self.sabotage(node, reply) }
            }
            Payload::Fin(reason) => {
                c.alive = false;
                Event::LinkClosed { link, reason: reason.into() }
            }
            Payload::Syn | Payload::Command(_) => unreachable!("these go the other way"),
        };
        self.give(node, event);
    }

    /// What a sentinel learns from a server, for the checkers.
    fn observe_reply(&mut self, conn: ConnId, reply: &Reply) {
        let (sentinel, server) = (self.conns[conn].from, self.conns[conn].to - self.nodes.len());
        match reply {
            Reply::Bulk(text) => self.checker.info(self.now, sentinel, server, &String::from_utf8_lossy(text)),
            Reply::Status(text) if text == b"PONG" => {
                self.pongs.insert((sentinel, server), self.now);
            }
            Reply::Array(items) if items.first() == Some(&Reply::Bulk(b"subscribe".to_vec())) => {
                self.conns[conn].listening = true;
            }
            Reply::Status(_) | Reply::Error(_) | Reply::Int(_) | Reply::Null | Reply::NullArray => {}
            Reply::Array(_) | Reply::Map(_) => {}
        }
    }

    fn sabotage(&self, node: usize, reply: Reply) -> Reply {
        match (self.plan.sabotage, reply) {
            (Some(Sabotage::FalsePriority), Reply::Bulk(text)) => {
                let text = String::from_utf8_lossy(&text).replace("slave_priority:0\r\n", "slave_priority:1\r\n");
                Reply::Bulk(text.into_bytes())
            }
            (Some(Sabotage::YesMen | Sabotage::YesMenUnseen), Reply::Array(mut items)) if items.len() == 3 => {
                if let (Reply::Int(_), Reply::Bulk(leader)) = (&items[0], &items[1])
                    && leader != b"*"
                {
                    let me = self.nodes[node].sentinel.as_ref().expect("it runs").id().as_bytes().to_vec();
                    items[1] = Reply::Bulk(me);
                }
                Reply::Array(items)
            }
            (_, reply) => reply,
        }
    }

    fn arrive_at_server(&mut self, conn: ConnId, payload: Payload) {
        let (to, sentinels) = (self.conns[conn].to, self.nodes.len());
        let (alive, run) = match to < sentinels {
            true => (self.nodes[to].sentinel.is_some(), self.nodes[to].run),
            false => (self.servers[to - sentinels].alive, self.servers[to - sentinels].run),
        };
        let c = &mut self.conns[conn];
        if matches!(payload, Payload::Syn) {
            let answer = if alive {
                c.to_run = Some(run);
                Payload::SynAck
            } else {
                Payload::Fin("connection refused")
            };
            return self.send(conn, true, answer);
        }
        if !alive || c.to_run != Some(run) {
            return self.send(conn, true, Payload::Fin("connection reset"));
        }
        let Payload::Command(args) = payload else { return };
        if to < sentinels { self.serve_as_sentinel(to, conn, args) } else { self.serve(to - sentinels, conn, args) }
    }

    /// What a sentinel's driver answers itself, and what it passes on.
    fn serve_as_sentinel(&mut self, node: NodeId, conn: ConnId, args: Vec<Vec<u8>>) {
        let own = match args[0].as_slice() {
            b"PING" => Some(Reply::Status(b"PONG".to_vec())),
            b"SENTINEL" | b"PUBLISH" => None,
            _ => Some(Reply::Status(b"OK".to_vec())),
        };
        let passed_on = own.is_none();
        self.conns[conn].slots.push_back(own);
        if passed_on {
            self.give(node, Event::Command { client: ClientId(conn as u64), args });
        }
        self.send_slots(conn);
    }

    /// Sends the answers that are ready, in order.
    fn send_slots(&mut self, conn: ConnId) {
        while let Some(Some(_)) = self.conns[conn].slots.front() {
            if let Some(Some(reply)) = self.conns[conn].slots.pop_front() {
                self.send(conn, true, Payload::Reply(reply));
            }
        }
    }

    // Sentinels.

    pub(crate) fn start_sentinel(&mut self, node: NodeId) {
        if self.nodes[node].sentinel.is_some() {
            return;
        }
        let seed = self.rng.next_u64();
        let now = self.now;
        self.nodes[node].start(now, seed);
        self.watches_since[node] = now;
        self.tell(|| format!("sentinel {node} starts"));
        self.checker.synced(node, &self.nodes[node].durable.clone());
        let (info, tilt) = (self.plan.info_ms.to_string(), self.plan.tilt_ms.to_string());
        self.command(node, &["SENTINEL", "DEBUG", "info-period", &info, "tilt-period", &tilt]);
    }

    /// The process dies; what was not synced is lost, and what was being saved may or may not be there.
    pub fn crash_sentinel(&mut self, node: NodeId, reset: bool) {
        if self.nodes[node].sentinel.take().is_none() {
            return;
        }
        self.tell(|| format!("sentinel {node} crashes"));
        let torn = self.rng.below(2) == 0 && self.plan.sabotage != Some(Sabotage::LyingDisk);
        let n = &mut self.nodes[node];
        n.run += 1;
        n.links.clear();
        if let (Some(text), true) = (n.unsynced.take(), torn) {
            n.durable = text;
        }
        self.down[node] = false;
        self.checker.forget(node);
        self.pongs.retain(|(s, _), _| *s != node);
        for conn in 0..self.conns.len() {
            if self.conns[conn].from == node {
                self.conns[conn].alive = false;
            } else if self.conns[conn].to == node && self.conns[conn].alive && reset {
                self.send(conn, true, Payload::Fin("connection reset by a crash"));
            }
        }
    }

    /// Sends a command to a sentinel as a client; its number, to find the answer.
    pub fn command(&mut self, node: NodeId, args: &[&str]) -> u64 {
        self.next_command += 1;
        let client = ClientId(self.next_command);
        let args = args.iter().map(|a| a.as_bytes().to_vec()).collect();
        self.give(node, Event::Command { client, args });
        client.0
    }

    /// The answer to a command, if there is one.
    pub fn answer(&self, command: u64) -> Option<&Reply> {
        self.answers.iter().find(|(_, c, _)| *c == command).map(|(_, _, reply)| reply)
    }

    /// What a sentinel thinks of the primary.
    pub fn view(&self, node: NodeId) -> Option<PrimaryView> {
        self.nodes[node].sentinel.as_ref().and_then(|s| s.views().into_iter().next())
    }

    fn tick(&mut self, node: NodeId, run: u32) {
        let n = &mut self.nodes[node];
        if n.run != run || n.sentinel.is_none() || n.tick_at != self.now {
            return;
        }
        if self.now < n.hung_until {
            n.tick_at = n.hung_until;
            let at = n.hung_until;
            return self.plan_at(at, Happening::Tick { node, run });
        }
        n.tick_at = Time::MAX;
        self.give(node, Event::Tick);
    }

    /// Gives an event to a sentinel and does what it wants done.
    pub(crate) fn give(&mut self, node: NodeId, event: Event) {
        let now = self.now;
        let n = &mut self.nodes[node];
        let millis = n.millis(now);
        let Some(sentinel) = &mut n.sentinel else { return };
        sentinel.handle(millis, event);
        let mut changed = false;
        while let Some(action) = self.nodes[node].sentinel.as_mut().and_then(sentinel::Sentinel::poll_action) {
            // A configuration does not change without being saved or told.
            changed |= matches!(action, Action::Save { .. } | Action::Emit { .. });
            self.act(node, action);
        }
        let n = &mut self.nodes[node];
        let Some(sentinel) = &n.sentinel else { return };
        if changed && let Some(view) = sentinel.views().first() {
            self.checker.configuration(now, view.config_epoch, &format!("{}:{}", view.host, view.port));
        }
        let n = &mut self.nodes[node];
        let Some(sentinel) = &n.sentinel else { return };
        let at = sentinel.next_deadline().saturating_sub(1_000_000).max(now);
        if at < n.tick_at {
            n.tick_at = at;
            let run = n.run;
            self.plan_at(at, Happening::Tick { node, run });
        }
    }

    fn act(&mut self, node: NodeId, action: Action) {
        match action {
            Action::Connect { link, address, .. } => {
                let to = self.node_at(address);
                let conn = self.conns.len();
                let mut c = Conn::new(node, self.nodes[node].run, to.unwrap_or(node), link);
                c.alive = to.is_some();
                self.conns.push(c);
                self.nodes[node].links.push((link.0, conn));
                if to.is_some() {
                    self.send(conn, false, Payload::Syn);
                }
            }
            Action::Close { link } => {
                if let Some(conn) = self.take_conn(node, link.0) {
                    self.conns[conn].alive = false;
                    self.conns[conn].stalled[1].clear();
                }
            }
            Action::Send { link, args } => {
                if let Some(conn) = self.conn_of(node, link.0) {
                    self.observe_command(node, &args);
                    self.send(conn, false, Payload::Command(args));
                }
            }
            Action::Save { save, text } => self.save(node, save, text),
            Action::Answer { client, reply } => self.answer_client(node, client.0, reply),
            Action::Emit { level: _, name, text } => self.emitted(node, name, text),
            Action::Log { .. } | Action::SetLogLevel(_) => {}
            Action::RunScript { script, .. } => {
                let run = self.nodes[node].run;
                self.plan_at(self.now + 10, Happening::ScriptEnds { node, run, script });
            }
            Action::Exit { .. } => self.crashed.push(node),
            Action::KillScript { .. } | Action::Resolve { .. } | Action::CheckExecutable { .. } => {
                unreachable!("nothing in this world leads to it")
            }
        }
    }

    fn node_at(&self, address: IpAddr) -> Option<NodeId> {
        let IpAddr::V4(ip) = address else { return None };
        let [10, 0, kind, n] = ip.octets() else { return None };
        let index = usize::from(n).checked_sub(1)?;
        match kind {
            0 if index < self.servers.len() => Some(self.nodes.len() + index),
            1 if index < self.nodes.len() => Some(index),
            _ => None,
        }
    }

    fn conn_of(&self, node: NodeId, link: u64) -> Option<ConnId> {
        self.nodes[node].links.iter().find(|(l, _)| *l == link).map(|(_, c)| *c)
    }

    fn take_conn(&mut self, node: NodeId, link: u64) -> Option<ConnId> {
        let links = &mut self.nodes[node].links;
        let at = links.iter().position(|(l, _)| *l == link)?;
        Some(links.swap_remove(at).1)
    }

    /// What a sentinel shows to others, for the checkers.
    fn observe_command(&mut self, node: NodeId, args: &[Vec<u8>]) {
        let text = |i: usize| String::from_utf8_lossy(&args[i]).into_owned();
        match args[0].as_slice() {
            b"PUBLISH" => self.checker.hello(self.now, node, &text(2)),
            b"SENTINEL" => self.checker.shown_epoch(self.now, node, text(4).parse().unwrap_or(u64::MAX)),
            _ => {}
        }
    }

    fn answer_client(&mut self, node: NodeId, client: u64, reply: Reply) {
        if client >= TEST_CLIENT {
            return self.answers.push((node, client, reply));
        }
        if let Reply::Array(items) = &reply
            && let [Reply::Int(_), Reply::Bulk(leader), Reply::Int(epoch)] = items.as_slice()
            && leader != b"*"
        {
            let voter = self.nodes[node].sentinel.as_ref().expect("it answers").id().to_owned();
            let epoch = u64::try_from(*epoch).unwrap_or(u64::MAX);
            self.checker.vote(self.now, &voter, epoch, &String::from_utf8_lossy(leader));
            self.checker.shown_vote(self.now, node, epoch);
        }
        let conn = client as usize;
        if let Some(slot) = self.conns[conn].slots.iter_mut().find(|s| s.is_none()) {
            *slot = Some(reply);
        }
        self.send_slots(conn);
    }

    fn save(&mut self, node: NodeId, save: SaveId, text: String) {
        let (least, most) = self.plan.save_ms;
        let ms = self.nodes[node].slow_disk_ms.unwrap_or(least + self.rng.below(most - least + 1));
        let run = self.nodes[node].run;
        self.nodes[node].unsynced = Some(text);
        if self.plan.sabotage == Some(Sabotage::LyingDisk) {
            // It says at once that it is done.
            self.plan_at(self.now + 1, Happening::SaveEnds { node, run, save });
            self.plan_at(self.now + LYING_MS, Happening::Flushed { node, run });
        } else {
            self.plan_at(self.now + ms, Happening::SaveEnds { node, run, save });
        }
    }

    fn save_ends(&mut self, node: NodeId, run: u32, save: SaveId) {
        let n = &mut self.nodes[node];
        if n.run != run || n.sentinel.is_none() {
            return;
        }
        if self.now < n.hung_until {
            let at = n.hung_until;
            return self.plan_at(at, Happening::SaveEnds { node, run, save });
        }
        let error = n.disk_fails.then(|| "No space left on device".to_owned());
        if error.is_none() && self.plan.sabotage != Some(Sabotage::LyingDisk) {
            if let Some(text) = n.unsynced.take() {
                n.durable = text;
            }
            self.checker.synced(node, &self.nodes[node].durable.clone());
        }
        self.give(node, Event::Saved { save, error });
    }

    fn emitted(&mut self, node: NodeId, name: &'static str, text: String) {
        self.mix(node as u64 + text.len() as u64 * 31);
        self.tell(|| format!("sentinel {node}: {name} {text}"));
        let me = self.nodes[node].sentinel.as_ref().expect("it speaks").id().to_owned();
        match name {
            "+sdown" if text.starts_with("master ") => self.down[node] = true,
            "-sdown" if text.starts_with("master ") => self.down[node] = false,
            "+switch-master" => {
                // It looks at all of them anew.
                (self.down[node], self.watches_since[node]) = (false, self.now);
                self.checker.forget(node);
            }
            "+elected-leader" => {
                let epoch = self.candidate_in[node];
                self.checker.elected(self.now, &me, epoch);
                self.checker.vote(self.now, &me, epoch, &me);
            }
            // The view may be several steps further already, so the epoch of a candidacy is taken from what is told.
            "+new-epoch" => self.newest_epoch[node] = text.parse().unwrap_or(0),
            "+try-failover" => self.candidate_in[node] = self.newest_epoch[node],
            "+vote-for-leader" => {
                if let Some(epoch) = text.strip_prefix(&me).and_then(|e| e.trim().parse().ok()) {
                    self.candidate_in[node] = epoch;
                }
            }
            "+selected-slave" => {
                let host = text.split(' ').nth(2).and_then(server_at);
                if let Some(chosen) = host {
                    self.observe_choice(node, chosen);
                }
            }
            _ => {}
        }
        self.emitted.push(Emitted { at: self.now, sentinel: node, name, text });
    }

    fn observe_choice(&mut self, node: NodeId, chosen: usize) {
        let view = self.view(node).expect("it chose");
        let primary = server_at(&view.host).unwrap_or(0);
        let answered = self.pongs.get(&(node, primary)).copied().unwrap_or(0).max(self.watches_since[node]);
        let down_for_ms = self.down[node].then(|| self.now - answered);
        let up = |server: &usize| {
            let name = format!("{}:6379", address(*server));
            let known_up = view.replicas.iter().any(|(n, down)| *n == name && !down);
            let to = self.nodes.len() + server;
            let open = |listening: bool| {
                self.conns.iter().any(|c| {
                    c.from == node
                        && c.to == to
                        && c.alive
                        && c.ready
                        && c.listening == listening
                        && c.subscribed == listening
                })
            };
            let answered = self.pongs.get(&(node, *server)).is_some_and(|at| self.now - at < 1500);
            known_up && open(false) && open(true) && answered
        };
        let others: Vec<usize> = (0..self.servers.len()).filter(|s| *s != chosen && up(s)).collect();
        let choice = Choice {
            sentinel: node,
            chosen,
            down_after_ms: self.plan.down_after_ms,
            down_for_ms,
            info_age_ms: if down_for_ms.is_some() { 5000 } else { self.plan.info_ms * 3 },
            others: &others,
        };
        self.checker.selected(self.now, &choice);
    }

    // The client.

    fn client_writes(&mut self) {
        let every = self.plan.write_ms;
        self.plan_at(self.now + every, Happening::Write);
        let (now, target) = (self.now, self.client_target);
        let server = &mut self.servers[target];
        let number = self.next_write;
        let outcome = if server.runs(now) { server.write(number, now) } else { Some(false) };
        match outcome {
            Some(true) => {
                self.next_write += 1;
                self.acknowledged.push((number, now));
            }
            // It waits for the end of the pause.
            None => {}
            Some(false) => {
                self.refused.push(now);
                // Ask a sentinel who is the primary.
                let node = self.rng.below(self.nodes.len() as u64) as usize;
                if let (true, Some(view)) = (self.nodes[node].runs(now), self.view(node)) {
                    self.client_target = server_at(&view.host).unwrap_or(self.client_target);
                }
            }
        }
    }

    /// Acknowledged writes that a server does not have.
    pub fn lost_on(&self, server: usize) -> usize {
        let has: std::collections::BTreeSet<u32> = self.servers[server].log.iter().copied().collect();
        self.acknowledged.iter().filter(|(number, _)| !has.contains(number)).count()
    }
}
