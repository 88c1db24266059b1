//! Clients that wait: for a key to hold something, up to a deadline.
//!
//! A blocked command is kept and simply run again when one of its keys may serve it; if it
//! still finds nothing it goes on waiting in its old place. Clients that wait for the same
//! key are served in the order in which they came.

use crate::client::{ClientFlags, ClientKey, Kept};
use crate::engine::{Engine, Order};
use crate::host::Host;
use crate::store::{KeyKind, Store, Ticket};
use resp::Args;
use std::collections::{BTreeMap, BTreeSet};

/// What a command answers that finds nothing where it may not wait. One that has waited in vain
/// always answers with no array, as Redis does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InVain {
    /// No array.
    NullArray,
    /// No value.
    Null,
}

/// What WAIT waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Acknowledgements {
    /// The end of the client's own writes in the replication stream.
    pub offset: u64,
    /// How many replicas must have come so far.
    pub replicas: usize,
    /// How many have.
    pub have: usize,
}

/// Why a client waits.
#[derive(Debug)]
struct Wait {
    request: Kept,
    db: usize,
    keys: Vec<Box<[u8]>>,
    /// Its place in the queues of these keys.
    ticket: Ticket,
    kind: Option<KeyKind>,
    acknowledgements: Option<Acknowledgements>,
    deadline_ms: Option<i64>,
    /// What nothing else can end.
    ended_only_by: Option<End>,
}

/// What alone can end some clients' waiting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// The stop of the server, or its being called off.
    Shutdown,
    /// The answer, which comes from outside the engine.
    Answer,
}

/// Everybody who waits.
#[derive(Debug, Default)]
pub struct Blocking {
    waits: BTreeMap<ClientKey, Wait>,
    deadlines: BTreeSet<(i64, ClientKey)>,
    /// The place of the next client that waits for keys.
    next_ticket: Ticket,
    /// The client whose command is being run again.
    retrying: Option<ClientKey>,
    /// It still has to wait.
    still_waiting: bool,
}

impl Blocking {
    /// How many clients wait.
    pub fn len(&self) -> usize {
        self.waits.len()
    }

    /// Whether nobody waits.
    pub fn is_empty(&self) -> bool {
        self.waits.is_empty()
    }

    /// The nearest deadline, Unix milliseconds.
    pub fn next_deadline_ms(&self) -> Option<i64> {
        self.deadlines.first().map(|(at, _)| *at)
    }

    /// Whether this client's command is being run again.
    pub fn retries(&self, client: ClientKey) -> bool {
        self.retrying == Some(client)
    }

    /// Whether a key that somebody waits for may serve him now.
    #[inline]
    pub fn has_ready(&self, store: &Store) -> bool {
        store.has_ready()
    }
}

impl Engine {
    /// The running command finds nothing and waits for one of `keys`; `timeout_ms` 0 waits forever.
    /// Inside a transaction nothing waits: it is answered at once.
    pub fn block(&mut self, args: &Args, keys: &[&[u8]], kind: KeyKind, timeout_ms: i64, in_vain: InVain) {
        if self.blocking.retrying == Some(self.current) {
            self.blocking.still_waiting = true;
            return;
        }
        if self.in_exec || self.clients[self.current].flags.any(ClientFlags::PRIMARY) {
            self.reply_in_vain(in_vain);
            return;
        }
        let key = self.current;
        let deadline_ms = (timeout_ms > 0).then(|| self.store.now_ms.saturating_add(timeout_ms));
        if let Some(at) = deadline_ms {
            self.blocking.deadlines.insert((at, key));
        }
        let mut distinct: Vec<Box<[u8]>> = Vec::with_capacity(keys.len());
        let ticket = self.blocking.next_ticket;
        self.blocking.next_ticket += 1;
        for name in keys {
            if self.store.wait_for(name, ticket, key) {
                distinct.push((*name).into());
            }
        }
        let wait = Wait {
            request: Kept::new(args),
            db: self.store.db,
            keys: distinct,
            ticket,
            kind: Some(kind),
            acknowledgements: None,
            deadline_ms,
            ended_only_by: None,
        };
        self.park(key, wait);
    }

    /// Whether the command that has just run, for the first time or again, has to wait.
    pub(crate) fn waits(&self) -> bool {
        if self.blocking.retrying == Some(self.current) {
            return self.blocking.still_waiting;
        }
        self.clients.get(self.current).is_some_and(|c| c.flags.any(ClientFlags::BLOCKED))
    }

    fn reply_in_vain(&mut self, in_vain: InVain) {
        match in_vain {
            InVain::NullArray => self.out.null_array(),
            InVain::Null => self.out.null(),
        }
    }

    /// The running client waits until enough replicas have its writes.
    /// `timeout_ms` 0 waits forever.
    pub fn block_for_replicas(&mut self, args: &Args, wanted: Acknowledgements, timeout_ms: i64) {
        let key = self.current;
        let deadline_ms = (timeout_ms > 0).then(|| self.store.now_ms.saturating_add(timeout_ms));
        if let Some(at) = deadline_ms {
            self.blocking.deadlines.insert((at, key));
        }
        let wait = Wait {
            request: Kept::new(args),
            db: self.store.db,
            keys: Vec::new(),
            ticket: 0,
            kind: None,
            acknowledgements: Some(wanted),
            deadline_ms,
            ended_only_by: None,
        };
        self.park(key, wait);
    }

    /// The running client waits for the server to stop.
    pub fn block_for_shutdown(&mut self, args: &Args) {
        self.block_until(args, End::Shutdown);
    }

    /// The running client waits for an answer that comes from outside, by [`Engine::answer`].
    pub fn block_for_answer(&mut self, args: &Args) {
        self.block_until(args, End::Answer);
    }

    /// Makes a client wait. Its request counts among those that it has had executed when the wait is over.
    fn park(&mut self, key: ClientKey, wait: Wait) {
        self.blocking.waits.insert(key, wait);
        let client = &mut self.clients[key];
        client.flags.set(ClientFlags::BLOCKED, true);
        client.traffic.commands -= 1;
    }

    fn block_until(&mut self, args: &Args, end: End) {
        let key = self.current;
        let wait = Wait {
            request: Kept::new(args),
            db: self.store.db,
            keys: Vec::new(),
            ticket: 0,
            kind: None,
            acknowledgements: None,
            deadline_ms: None,
            ended_only_by: Some(end),
        };
        self.park(key, wait);
    }

    /// Answers a client that waits for that, and lets it go on.
    pub fn answer(&mut self, key: ClientKey, write: impl FnOnce(&mut resp::Out)) {
        let Some(wait) = self.blocking.waits.get(&key) else { return };
        if let Ok(command) = self.resolve(&wait.request.args()) {
            // It was not counted when it began to wait.
            self.stats.command_ran(command.index, 0, false);
        }
        write(self.output_of(key));
        self.unblock(key);
    }

    /// The clients that wait for the server to stop.
    pub fn clients_in_shutdown(&self) -> Vec<ClientKey> {
        let waits = self.blocking.waits.iter();
        waits.filter(|(_, wait)| wait.ended_only_by == Some(End::Shutdown)).map(|(key, _)| *key).collect()
    }

    /// Whether CLIENT UNBLOCK may end a client's waiting.
    pub fn may_be_unblocked(&self, key: ClientKey) -> bool {
        self.blocking.waits.get(&key).is_some_and(|wait| wait.ended_only_by.is_none())
    }

    /// Replicas have acknowledged these offsets: answers the clients that waited for them.
    pub fn replicas_acknowledged(&mut self, offsets: &[u64]) {
        let mut served = Vec::new();
        for (key, wait) in &mut self.blocking.waits {
            let Some(wanted) = &mut wait.acknowledgements else { continue };
            wanted.have = offsets.iter().filter(|offset| **offset >= wanted.offset).count();
            if wanted.have >= wanted.replicas {
                served.push(*key);
            }
        }
        for key in served {
            self.unblock_with(key, None);
        }
    }

    /// Takes a client out of every queue; false where it did not wait.
    pub fn forget_blocked(&mut self, key: ClientKey) -> bool {
        let Some(wait) = self.blocking.waits.remove(&key) else { return false };
        if let Some(at) = wait.deadline_ms {
            self.blocking.deadlines.remove(&(at, key));
        }
        for name in &wait.keys {
            self.store.no_longer_wait_for(wait.db, name, wait.ticket);
        }
        true
    }

    fn unblock(&mut self, key: ClientKey) {
        self.forget_blocked(key);
        if let Some(client) = self.clients.get_mut(key) {
            client.flags.set(ClientFlags::BLOCKED, false);
            client.traffic.commands += 1;
            self.orders.push(Order::Resume(key));
        }
    }

    /// Ends a client's waiting from outside: as if its time were up, or with an error.
    /// False where it does not wait.
    pub fn unblock_with(&mut self, key: ClientKey, error: Option<&crate::error::Error>) -> bool {
        let Some(wait) = self.blocking.waits.get(&key) else { return false };
        let replicas = wait.acknowledgements.map(|a| a.have);
        if let Ok(command) = self.resolve(&wait.request.args()) {
            // It was not counted when it began to wait.
            self.stats.command_ran(command.index, 0, error.is_some());
        }
        if let Some(error) = error {
            self.stats.count_error(error.code());
        }
        let out = self.output_of(key);
        match (error, replicas) {
            (Some(error), _) => out.error(error.text()),
            (None, Some(n)) => out.int(n as i64),
            (None, None) => out.null_array(),
        }
        self.unblock(key);
        true
    }

    /// Begins to follow a primary: clients that wait would wait in the wrong place. They are told, and closed, since
    /// only then do their libraries look for the new primary.
    pub fn dismiss_blocked(&mut self) {
        const ROLE_CHANGED: crate::error::Error = crate::error::Error::fixed(
            "UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)",
        );
        let waiting = self.blocking.waits.iter().filter(|(_, wait)| wait.ended_only_by.is_none());
        for key in waiting.map(|(key, _)| *key).collect::<Vec<_>>() {
            self.unblock_with(key, Some(&ROLE_CHANGED));
            self.close_after_reply(key);
        }
    }

    /// Answers those whose time is up.
    pub fn end_waits(&mut self) {
        while let Some(&(at, key)) = self.blocking.deadlines.first() {
            if at > self.store.now_ms {
                break;
            }
            self.unblock_with(key, None);
        }
    }

    /// Runs the commands of waiting clients whose keys have got something.
    #[cold]
    pub fn serve_blocked(&mut self, host: &mut dyn Host) {
        self.catch_up_time();
        // Serving one client may make another key ready (BLMOVE), hence the outer loop.
        while self.store.has_ready() {
            for (db, name) in self.store.take_ready() {
                let mut last = None;
                while let Some(kind) = self.store.kind_of(db, &name) {
                    let Some((ticket, key)) = self.store.next_waiting(db, &name, last) else { break };
                    last = Some(ticket);
                    if self.blocking.waits.get(&key).is_some_and(|w| w.kind == Some(kind)) {
                        self.retry(host, key);
                    }
                }
            }
        }
    }

    fn retry(&mut self, host: &mut dyn Host, key: ClientKey) {
        let (current, db) = (self.current, self.store.db);
        let outer_from_primary = self.store.from_primary;
        let outer_out = std::mem::take(&mut self.out);
        let outer_retrying = self.blocking.retrying.replace(key);
        let request = self.blocking.waits[&key].request.clone();
        let wait_db = self.blocking.waits[&key].db;
        self.blocking.still_waiting = false;

        self.begin(key);
        self.store.db = wait_db;
        let args = request.args();
        if let Ok(command) = self.resolve(&args) {
            self.call(host, command, &args);
        }
        let served = !self.blocking.still_waiting;
        self.end();
        if served {
            if !self.clients[key].in_dirty_list {
                self.clients[key].in_dirty_list = true;
                self.dirty_clients.push(key);
            }
            self.unblock(key);
        }
        self.blocking.retrying = outer_retrying;
        self.current = current;
        self.out = outer_out;
        self.store.db = db;
        self.store.from_primary = outer_from_primary;
    }
}
