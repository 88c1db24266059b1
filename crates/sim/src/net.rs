//! The network: ordered connections over links that delay, lose, cut and reset.
//!
//! A connection is like TCP: what arrives, arrives in order. A lost message is sent again, later; one that is sent into a partition
//! waits, and when the partition heals it either comes through after a retransmission or the connection is found to be dead.

use crate::Time;
use base::rng::Rng;
use sentinel::{LinkId, Reply};
use std::collections::VecDeque;

/// A process in the world: sentinels first, then servers.
pub type NodeId = usize;

/// A connection in the table of connections.
pub type ConnId = usize;

/// What travels on a connection.
#[derive(Clone, Debug)]
pub enum Payload {
    /// Somebody wants to connect.
    Syn,
    /// It is open.
    SynAck,
    /// A command, from the one who connected.
    Command(Vec<Vec<u8>>),
    /// Its reply, or a message.
    Reply(Reply),
    /// It is closed.
    Fin(&'static str),
}

/// A connection from a sentinel to a server or another sentinel.
#[derive(Debug)]
pub struct Conn {
    /// The sentinel that made it, and which run of it.
    pub from: NodeId,
    /// Which run.
    pub from_run: u32,
    /// Whom it reaches.
    pub to: NodeId,
    /// Which run; set when it is accepted.
    pub to_run: Option<u32>,
    /// The sentinel's name for it.
    pub link: LinkId,
    /// The sentinel knows it as open or opening.
    pub alive: bool,
    /// When the last message of each direction arrives: 0 to the server, 1 back.
    last_at: [Time; 2],
    /// Messages that wait for a partition to heal.
    pub stalled: [Vec<Payload>; 2],
    /// The sentinel knows that it is open.
    pub ready: bool,
    /// The server has its subscription to hellos.
    pub subscribed: bool,
    /// The sentinel knows that it has.
    pub listening: bool,
    /// Commands of a transaction.
    pub multi: Option<Vec<Vec<Vec<u8>>>>,
    /// Commands that wait for the end of a pause.
    pub deferred: VecDeque<Vec<Vec<u8>>>,
    /// Replies of a sentinel in the order of the commands; `None`: not known yet.
    pub slots: VecDeque<Option<Reply>>,
}

impl Conn {
    /// A connection that is being made.
    pub fn new(from: NodeId, from_run: u32, to: NodeId, link: LinkId) -> Self {
        Self {
            from,
            from_run,
            to,
            to_run: None,
            link,
            alive: true,
            last_at: [0; 2],
            stalled: [Vec::new(), Vec::new()],
            ready: false,
            subscribed: false,
            listening: false,
            multi: None,
            deferred: VecDeque::new(),
            slots: VecDeque::new(),
        }
    }

    /// When a message sent now arrives, after those before it.
    pub fn arrival(&mut self, back: bool, earliest: Time) -> Time {
        let last = &mut self.last_at[usize::from(back)];
        *last = (*last).max(earliest);
        *last
    }
}

/// Who reaches whom.
#[derive(Debug)]
pub struct Network {
    /// For each node those that its messages do not reach, as bits; a count for each, since partitions overlap.
    blocked: Vec<Vec<u8>>,
    delay_ms: (u64, u64),
    lost_per_mille: u64,
    retransmit_ms: u64,
}

impl Network {
    /// A network where everybody reaches everybody.
    pub fn new(nodes: usize, delay_ms: (u64, u64), lost_per_mille: u64, retransmit_ms: u64) -> Self {
        Self { blocked: vec![vec![0; nodes]; nodes], delay_ms, lost_per_mille, retransmit_ms }
    }

    /// Whether messages get from one node to the other.
    pub fn reaches(&self, from: NodeId, to: NodeId) -> bool {
        self.blocked[from][to] == 0
    }

    /// Whether two nodes can talk.
    pub fn connected(&self, a: NodeId, b: NodeId) -> bool {
        self.reaches(a, b) && self.reaches(b, a)
    }

    /// Cuts, or with `heal` mends, what the mask divides.
    pub fn partition(&mut self, mask: u32, one_way: bool, heal: bool) {
        for from in 0..self.blocked.len() {
            for to in 0..self.blocked.len() {
                let (inside, outside) = (mask >> from & 1 == 1, mask >> to & 1 == 1);
                if inside != outside && (inside || !one_way) {
                    let count = &mut self.blocked[from][to];
                    *count = if heal { count.saturating_sub(1) } else { *count + 1 };
                }
            }
        }
    }

    /// Mends everything.
    pub fn heal(&mut self) {
        for row in &mut self.blocked {
            row.fill(0);
        }
        self.lost_per_mille = 0;
    }

    /// How long a message takes.
    pub fn delay(&self, rng: &mut Rng) -> u64 {
        let (least, most) = self.delay_ms;
        let lost = self.lost_per_mille > 0 && rng.below(1000) < self.lost_per_mille;
        least + rng.below(most - least + 1) + if lost { 200 + rng.below(800) } else { 0 }
    }

    /// How long after a partition has healed a retransmission comes.
    pub fn retransmission(&self, rng: &mut Rng) -> u64 {
        rng.below(self.retransmit_ms + 1)
    }
}
