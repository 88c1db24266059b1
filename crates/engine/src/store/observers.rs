//! Those who want to know of keys: clients that watch them, track them, or wait for them.
//!
//! They are looked for at each change, so one flag says whether there is anybody at all.

use super::Store;
use crate::client::ClientKey;
use std::collections::BTreeMap;
use std::ops::Bound;

/// A place in the order of those who wait: who comes later has a greater one.
pub type Ticket = u64;

/// Those who wait for one key.
#[derive(Debug, Default)]
pub(super) struct Queue {
    clients: BTreeMap<Ticket, ClientKey>,
    /// The key is among those that may serve somebody.
    is_ready: bool,
}

impl Store {
    // Watching.

    /// Whether a client watches a key of the current database.
    pub fn watches(&self, key: &[u8], client: ClientKey) -> bool {
        self.watched[self.db].get(key).is_some_and(|watchers| watchers.contains(&client))
    }

    /// A client watches a key of the current database.
    pub fn watch(&mut self, key: &[u8], client: ClientKey) {
        if self.watched[self.db].entry(key.into()).or_default().insert(client) {
            self.watch_count += 1;
        }
        self.observed = true;
    }

    /// A client no longer watches a key.
    pub fn unwatch(&mut self, db: usize, key: &[u8], client: ClientKey) {
        if let Some(watchers) = self.watched[db].get_mut(key) {
            self.watch_count -= usize::from(watchers.remove(&client));
            if watchers.is_empty() {
                self.watched[db].remove(key);
            }
            self.observed = self.tracked || self.watch_count > 0;
        }
    }

    /// How many keys are watched.
    pub fn watched_keys(&self) -> usize {
        self.watched.iter().map(BTreeMap::len).sum()
    }

    /// Whether any client tracks.
    pub fn set_tracked(&mut self, tracked: bool) {
        self.tracked = tracked;
        self.observed = tracked || self.watch_count > 0;
    }

    #[cold]
    pub(super) fn tell_observers(&mut self, db: usize, key: &[u8], by_command: bool) {
        if let Some(watchers) = self.watched[db].get(key) {
            self.touched_watchers.extend(watchers);
            self.news = true;
        }
        if self.tracked && self.tracking.touched(key, by_command) {
            self.news = true;
        }
    }

    /// Tells all who watch a key of a database that is emptied or exchanged; `other` is what takes
    /// its place. A watched key that is in neither has not changed. Those who track hear of an emptied one only,
    /// as in Redis.
    pub fn touch_all_watchers(&mut self, db: usize, other: Option<usize>) {
        let there = |db: usize, key: &[u8]| self.kind_of(db, key).is_some();
        let touched = |key: &[u8]| there(db, key) || other.is_some_and(|o| there(o, key));
        let mut told: Vec<ClientKey> = Vec::new();
        for (key, watchers) in &self.watched[db] {
            if touched(key) {
                told.extend(watchers);
            }
        }
        self.touched_watchers.append(&mut told);
        if other.is_none() {
            self.tracking.touched_all();
        }
        self.news = true;
    }

    // Waiting.

    /// A client waits for a key of the current database; false where it does so already. Those with smaller tickets are served first.
    pub fn wait_for(&mut self, key: &[u8], ticket: Ticket, client: ClientKey) -> bool {
        let queue = self.waiting[self.db].entry(key.into()).or_default();
        let is_new = queue.clients.insert(ticket, client).is_none();
        self.wait_count += usize::from(is_new);
        is_new
    }

    /// A client no longer waits for a key.
    pub fn no_longer_wait_for(&mut self, db: usize, key: &[u8], ticket: Ticket) {
        if let Some(queue) = self.waiting[db].get_mut(key) {
            self.wait_count -= usize::from(queue.clients.remove(&ticket).is_some());
            if queue.clients.is_empty() {
                self.waiting[db].remove(key);
            }
        }
    }

    /// Who waits for a key and comes next after a ticket; with none, who comes first.
    pub fn next_waiting(&self, db: usize, key: &[u8], after: Option<Ticket>) -> Option<(Ticket, ClientKey)> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let mut rest = self.waiting[db].get(key)?.clients.range((from, Bound::Unbounded));
        rest.next().map(|(ticket, client)| (*ticket, *client))
    }

    /// How many keys somebody waits for.
    pub fn awaited_keys(&self) -> usize {
        self.waiting.iter().map(BTreeMap::len).sum()
    }

    /// A key may serve those who wait for it.
    pub fn signal(&mut self, db: usize, key: &[u8]) {
        if self.wait_count > 0
            && let Some(queue) = self.waiting[db].get_mut(key)
            && !queue.is_ready
        {
            queue.is_ready = true;
            self.ready.push((db, key.into()));
        }
    }

    /// Whether there are keys that may serve somebody.
    #[inline]
    pub fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// The keys that may serve somebody. A key that is signalled from now on is among the next ones.
    pub fn take_ready(&mut self) -> Vec<(usize, Box<[u8]>)> {
        for (db, key) in &self.ready {
            if let Some(queue) = self.waiting[*db].get_mut(key) {
                queue.is_ready = false;
            }
        }
        std::mem::take(&mut self.ready)
    }

    /// Every awaited key of a database may have come to be (SWAPDB, a new data set).
    pub fn signal_all(&mut self, db: usize) {
        let keys: Vec<Box<[u8]>> = self.waiting[db].keys().cloned().collect();
        for key in keys {
            if self.kind_of(db, &key).is_some() {
                self.signal(db, &key);
            }
        }
    }
}
