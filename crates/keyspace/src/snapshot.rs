//! All databases together, and snapshots of them.
//!
//! Why: a full sync, a save to disk and a rewrite each need the data of one moment while writes go on.
//!
//! Idea: a snapshot clones the root of each trie, which is one count each. From then on writer and snapshot share everything; the writer
//! copies what it changes, and the snapshot's reader gives back what it has passed.
//!
//! ```text
//!   before   db ──► root ──► ...
//!   snapshot db ──► root (2) ◄── snapshot
//!   write    db ──► root' ──► node' ──► leaf' ──► entry'       the way to one entry is copied
//!                     └──────► all other parts of root, shared
//! ```
//! Limits: any number of snapshots may be alive; each costs what has been written since, up to where its reader has come.

use crate::db::{Db, Trash};
use crate::entry::Entry;
use crate::trie::{Drain, Trie};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The databases of a server.
#[derive(Debug)]
pub struct Keyspace {
    dbs: Vec<Db>,
    alive: Arc<AtomicUsize>,
    #[cfg(debug_assertions)]
    lent: u64,
}

impl Keyspace {
    /// So many empty databases.
    pub fn new(databases: usize) -> Keyspace {
        Keyspace {
            dbs: (0..databases).map(|_| Db::new()).collect(),
            alive: Arc::default(),
            #[cfg(debug_assertions)]
            lent: 0,
        }
    }

    /// How many databases there are.
    pub fn databases(&self) -> usize {
        self.dbs.len()
    }

    /// A database; panics when there is none with that number.
    #[inline]
    pub fn db(&self, number: usize) -> &Db {
        &self.dbs[number]
    }

    /// How often a database was lent to be changed, or exchanged: where this stands still, nothing has changed.
    #[cfg(debug_assertions)]
    pub fn lent(&self) -> u64 {
        self.lent
    }

    /// A database, to be changed; panics when there is none with that number.
    #[inline]
    pub fn db_mut(&mut self, number: usize) -> &mut Db {
        #[cfg(debug_assertions)]
        {
            self.lent += 1;
        }
        &mut self.dbs[number]
    }

    /// All databases in the order of their numbers.
    pub fn iter(&self) -> impl Iterator<Item = &Db> {
        self.dbs.iter()
    }

    /// All databases in the order of their numbers, to be changed.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Db> {
        self.dbs.iter_mut()
    }

    /// Exchanges two databases (`SWAPDB`).
    pub fn swap(&mut self, first: usize, second: usize) {
        self.dbs.swap(first, second);
    }

    /// How many snapshots (or readers of one) are alive.
    #[inline]
    pub fn snapshots_alive(&self) -> usize {
        self.alive.load(Ordering::Relaxed)
    }

    /// All databases as they are now; one count for each database that is not empty.
    pub fn snapshot(&self) -> Snapshot {
        let dbs = self
            .dbs
            .iter()
            .enumerate()
            .filter(|(_, db)| !db.is_empty())
            .map(|(number, db)| DbSnapshot { number, expires: db.expires_len(), trie: db.snapshot() })
            .collect();
        Snapshot { dbs, alive: Alive::new(&self.alive) }
    }

    /// Replaces the contents of all databases at once (a full sync has been loaded beside them), and returns the old contents, to be
    /// dropped wherever that may take its time.
    pub fn replace(&mut self, other: Keyspace) -> Vec<Db> {
        assert!(other.dbs.len() == self.dbs.len(), "both sides have the configured number of databases");
        std::mem::replace(&mut self.dbs, other.dbs)
    }

    /// Whether anything waits to be freed elsewhere.
    pub fn has_trash(&self) -> bool {
        self.dbs.iter().any(Db::has_trash)
    }

    /// What was replaced in any database and may take long to free. The caller drops it on another thread.
    pub fn take_trash(&mut self) -> Trash {
        let mut trash = Trash::default();
        for db in self.dbs.iter_mut().filter(|db| db.has_trash()) {
            trash.append(db.take_trash());
        }
        trash
    }
}

/// Counts itself among the living.
struct Alive(Arc<AtomicUsize>);

impl Alive {
    fn new(count: &Arc<AtomicUsize>) -> Alive {
        count.fetch_add(1, Ordering::Relaxed);
        Alive(Arc::clone(count))
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// One database as it was.
#[derive(Debug)]
pub struct DbSnapshot {
    /// The number of the database.
    pub number: usize,
    /// How many of its keys had an expiry.
    pub expires: usize,
    /// Its entries.
    pub trie: Trie,
}

/// All databases that held anything, as they were at one moment. It may be read on any thread.
pub struct Snapshot {
    dbs: Vec<DbSnapshot>,
    alive: Alive,
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshot").field("databases", &self.dbs.len()).field("keys", &self.len()).finish()
    }
}

impl Snapshot {
    /// The databases that are not empty, in the order of their numbers.
    pub fn dbs(&self) -> &[DbSnapshot] {
        &self.dbs
    }

    /// How many keys there are in all databases.
    pub fn len(&self) -> usize {
        self.dbs.iter().map(|db| db.trie.len()).sum()
    }

    /// Whether there is no key at all.
    pub fn is_empty(&self) -> bool {
        self.dbs.is_empty()
    }

    /// Reads everything once, giving back each part as soon as it has been passed.
    pub fn into_entries(self) -> Entries {
        let mut dbs = self.dbs;
        dbs.reverse();
        Entries { dbs, current: None, _alive: self.alive }
    }
}

/// The reader of a snapshot: database after database, entry after entry.
pub struct Entries {
    dbs: Vec<DbSnapshot>,
    current: Option<Drain>,
    _alive: Alive,
}

/// A database that a reader has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DbHeader {
    /// The number of the database.
    pub number: usize,
    /// How many keys it has.
    pub keys: usize,
    /// How many of them have an expiry.
    pub expires: usize,
}

impl Entries {
    /// Goes on to the next database (what is left of the present one is given back); `None` after the last.
    pub fn next_db(&mut self) -> Option<DbHeader> {
        self.current = None;
        let db = self.dbs.pop()?;
        let header = DbHeader { number: db.number, keys: db.trie.len(), expires: db.expires };
        self.current = Some(db.trie.into_drain());
        Some(header)
    }

    /// The next entry of the present database, good until the next call; `None` at its end and before the first [`Entries::next_db`].
    pub fn next_entry(&mut self) -> Option<&Entry> {
        self.current.as_mut()?.next()
    }
}

impl fmt::Debug for Entries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entries").field("databases_left", &self.dbs.len()).field("current", &self.current).finish()
    }
}

#[cfg(test)]
mod tests;
