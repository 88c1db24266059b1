//! Where a server's data stands: its role, the history that the data is part of, and the stream of that history.
//!
//! Why: role, replication ids, offset, backlog and "is this data what the offset says" are one fact. Kept in separate fields that
//! every caller sets by hand, one forgotten assignment lets a replica go on from data that it does not have.
//!
//! ```text
//!   transition        from                                  to
//!   new                                                     Unrecorded
//!   begin_recording   Unrecorded                            Primary
//!   stop_recording    Primary                               Unrecorded
//!   follow            Unrecorded                            Replica, unknown
//!                     Primary                               Replica, known
//!   restore, adopt    Unrecorded, Replica; Replica          Replica, known
//!   continue_as       Replica, known                        Replica, known
//!   lose_data         Replica                               Replica, unknown
//!   promote           Replica                               Primary
//! ```
//! Data is *known* if it is exactly what the first `offset` bytes of the history made. Only known data has a [position], which goes into
//! data files and into `PSYNC`, and only known data is continued by others.
//!
//! Limits: a replica passes on what it receives, so whoever follows a replica whose data is unknown is refused by the link's state, not
//! here.
//!
//! [position]: Node::position

use crate::history::{Decision, History, ReplicationId};
use crate::log::Log;
use alloc::vec::Vec;

/// What becomes of changes to the data, and what the data is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    /// A primary whose changes are not recorded, since nobody follows it: the data has no position.
    Unrecorded,
    /// A primary whose changes are recorded in the log.
    Primary,
    /// A replica: the log holds what its primary has sent.
    Replica {
        /// Whether the data is what the first `offset` bytes of the history made.
        known: bool,
    },
}

/// The state. See the module's description.
#[derive(Debug)]
pub struct Node {
    role: Role,
    history: History,
    log: Log,
    /// What a replica has received of a transaction that has not ended: neither in the data nor in the log.
    transaction: Vec<u8>,
}

impl Node {
    /// A primary whose data nobody has followed yet. Its history has this name until one is recorded.
    pub fn new(id: ReplicationId) -> Self {
        Self { role: Role::Unrecorded, history: History::new(id), log: Log::default(), transaction: Vec::new() }
    }

    /// The names of the history.
    pub fn history(&self) -> &History {
        &self.history
    }

    /// The stream of the history as far back as it is kept.
    pub fn log(&self) -> &Log {
        &self.log
    }

    /// The replication offset: the bytes of the stream that the data has behind it.
    #[inline]
    pub fn offset(&self) -> u64 {
        self.log.end()
    }

    /// Whether it follows a primary.
    pub fn is_replica(&self) -> bool {
        matches!(self.role, Role::Replica { .. })
    }

    /// Whether changes by clients are to be recorded: [`Node::record`] takes them.
    pub fn is_recording(&self) -> bool {
        self.role == Role::Primary
    }

    /// Whether there is a backlog: others may be granted a partial resync.
    pub fn has_backlog(&self) -> bool {
        match self.role {
            Role::Unrecorded => false,
            Role::Primary => true,
            Role::Replica { known } => known,
        }
    }

    /// The name of the history and the offset in it that the data stands at; nothing where the data is not known to be that.
    pub fn position(&self) -> Option<(ReplicationId, u64)> {
        self.has_backlog().then(|| (self.history.id, self.offset()))
    }

    /// Whether the data is known to be part of the history `id`.
    pub fn is_of(&self, id: ReplicationId) -> bool {
        self.position().is_some_and(|(own, _)| own == id)
    }

    /// Answers `PSYNC id offset`.
    pub fn decide(&self, id: &[u8], offset: i64) -> Decision {
        self.history.decide(id, offset, self.has_backlog().then(|| (self.log.first(), self.log.end())))
    }

    /// Bytes of a transaction that has not ended.
    pub fn transaction_len(&self) -> usize {
        self.transaction.len()
    }

    /// A data file with a position has been loaded: the data is that of a replica that has gone so far. What the server is to be, a replica or
    /// a primary, is told next, by [`Node::follow`] or [`Node::promote`].
    pub fn restore(&mut self, id: ReplicationId, offset: u64) {
        assert!(self.role != Role::Primary, "a primary whose changes are recorded takes no data from a file");
        self.become_replica_at(id, offset);
        self.check();
    }

    /// A primary begins to record, before the first replica is served. The earlier changes are in no log, so the data gets a new name.
    /// Says whether it has begun now.
    pub fn begin_recording(&mut self, id: ReplicationId) -> bool {
        if self.role != Role::Unrecorded {
            return false;
        }
        self.role = Role::Primary;
        self.history = History::new(id);
        self.log.restart(self.log.end());
        self.check();
        true
    }

    /// A primary that nobody follows no longer records its changes. Nobody can go on from here, so the data gets a new name.
    pub fn stop_recording(&mut self, id: ReplicationId) {
        assert!(self.role == Role::Primary, "only a primary records");
        self.role = Role::Unrecorded;
        self.history = History::new(id);
        self.log.restart(self.log.end());
        self.check();
    }

    /// A primary's changes, encoded as its replicas get them.
    pub fn record(&mut self, bytes: &[u8]) {
        assert!(self.role == Role::Primary, "only a primary whose changes are recorded has a stream of its own");
        self.log.push(bytes);
    }

    /// The server follows a primary from now on, this or another one. Data that was recorded stays known: it may be a part of the primary's.
    pub fn follow(&mut self) {
        self.role = match self.role {
            Role::Unrecorded => Role::Replica { known: false },
            Role::Primary => Role::Replica { known: true },
            Role::Replica { known } => Role::Replica { known },
        };
        self.transaction.clear();
        self.check();
    }

    /// The bytes of a command of the primary that has been run, or, within a transaction, that waits for its end.
    #[inline]
    pub fn receive(&mut self, bytes: &[u8], in_transaction: bool) {
        assert!(self.role == Role::Replica { known: true }, "a stream continues known data");
        if in_transaction {
            self.transaction.extend_from_slice(bytes);
            return;
        }
        if !self.transaction.is_empty() {
            self.log.push(&self.transaction);
            self.transaction.clear();
        }
        self.log.push(bytes);
    }

    /// The link to the primary is gone. A transaction that has not ended will be sent again.
    pub fn lose_link(&mut self) {
        self.transaction.clear();
    }

    /// The data of a replica is given up, or the stream turned out not to be one: what it holds is not what the offset says.
    pub fn lose_data(&mut self) {
        assert!(self.is_replica(), "a primary's data is what it says it is");
        self.role = Role::Replica { known: false };
        self.transaction.clear();
        self.check();
    }

    /// The primary has sent everything: the data is that of `id` at `offset`.
    pub fn adopt(&mut self, id: ReplicationId, offset: u64) {
        assert!(self.is_replica(), "only a replica takes another server's data");
        self.become_replica_at(id, offset);
        self.check();
    }

    /// The primary grants a partial resync, and names the history where that has got a new name. Says whether it has.
    pub fn continue_as(&mut self, id: Option<ReplicationId>) -> bool {
        assert!(self.role == Role::Replica { known: true }, "a partial resync continues known data");
        let renamed = id.filter(|new| *new != self.history.id);
        if let Some(new) = renamed {
            self.history.shift(new, self.log.end());
        }
        self.check();
        renamed.is_some()
    }

    /// The replica is a primary from now on, and its data the beginning of a history `id`. Where the data was known, those who have no more of
    /// it than this server may go on under its old name, which is returned.
    pub fn promote(&mut self, id: ReplicationId) -> Option<ReplicationId> {
        let Role::Replica { known } = self.role else { panic!("only a replica can be promoted") };
        let old = known.then_some(self.history.id);
        if known {
            self.history.shift(id, self.log.end());
        } else {
            self.history = History::new(id);
        }
        self.role = Role::Primary;
        self.transaction.clear();
        self.check();
        old
    }

    /// The history gets another name, and its old ones are forgotten: nobody can go on.
    pub fn rename(&mut self, id: ReplicationId) {
        self.history = History::new(id);
        self.check();
    }

    /// Drops what lies before both `keep_from` and the last `window` bytes of the log.
    pub fn trim(&mut self, keep_from: u64, window: u64) {
        self.log.trim(keep_from, window);
    }

    /// What lies before `position` is stored elsewhere and leaves the memory.
    pub fn stored(&mut self, position: u64) {
        self.log.stored(position);
    }

    fn become_replica_at(&mut self, id: ReplicationId, offset: u64) {
        self.role = Role::Replica { known: true };
        self.history = History::new(id);
        self.log.restart(offset);
        self.transaction.clear();
    }

    /// What holds after every transition.
    fn check(&self) {
        assert!(self.transaction.is_empty() || self.is_replica(), "only a replica has a transaction of its primary");
        let second = self.history.second_offset;
        assert!(
            second <= self.log.end() as i64 + 1,
            "the second id covers {second} bytes of a stream of {}",
            self.log.end()
        );
        assert!(
            (second < 0) == (self.history.second_id == ReplicationId::NONE),
            "a second id and its end come together"
        );
    }
}

#[cfg(test)]
#[path = "node_tests.rs"]
mod tests;
