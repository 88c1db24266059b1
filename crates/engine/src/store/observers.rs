//! Those who want to know of keys: clients that watch them, track them, or wait for them.
//!
//! They are looked for at each change, so one flag says whether there is anybody at all.

use super::Store;
use crate::client::ClientKey;
use std::collections::BTreeMap;

impl Store {
    // Watching.

    /// A client watches a key of the current database.
    pub fn watch(&mut self, key: &[u8], client: ClientKey) {
        self.watched[self.db].entry(key.into()).or_default().push(client);
        self.watch_count += 1;
        self.observed = true;
    }

    /// A client no longer watches a key.
    pub fn unwatch(&mut self, db: usize, key: &[u8], client: ClientKey) {
        if let Some(watchers) = self.watched[db].get_mut(key) {
            let before = watchers.len();
            watchers.retain(|w| *w != client);
            self.watch_count -= before - watchers.len();
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
            self.touched_watchers.extend_from_slice(watchers);
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
                told.extend_from_slice(watchers);
            }
        }
        self.touched_watchers.append(&mut told);
        if other.is_none() {
            self.tracking.touched_all();
        }
        self.news = true;
    }

    // Waiting.

    /// A client waits for a key of the current database; false where it does so already.
    pub fn wait_for(&mut self, key: &[u8], client: ClientKey) -> bool {
        let queue = self.waiting[self.db].entry(key.into()).or_default();
        if queue.contains(&client) {
            return false;
        }
        queue.push_back(client);
        self.wait_count += 1;
        true
    }

    /// A client no longer waits for a key.
    pub fn no_longer_wait_for(&mut self, db: usize, key: &[u8], client: ClientKey) {
        if let Some(queue) = self.waiting[db].get_mut(key) {
            let before = queue.len();
            queue.retain(|c| *c != client);
            self.wait_count -= before - queue.len();
            if queue.is_empty() {
                self.waiting[db].remove(key);
            }
        }
    }

    /// Who waits for a key, the first to be served first.
    pub fn waiting_for(&self, db: usize, key: &[u8]) -> Vec<ClientKey> {
        self.waiting[db].get(key).map_or(Vec::new(), |queue| queue.iter().copied().collect())
    }

    /// How many keys somebody waits for.
    pub fn awaited_keys(&self) -> usize {
        self.waiting.iter().map(BTreeMap::len).sum()
    }

    /// A key may serve those who wait for it.
    pub fn signal(&mut self, db: usize, key: &[u8]) {
        if self.wait_count > 0
            && self.waiting[db].contains_key(key)
            && !self.ready.iter().any(|(d, k)| *d == db && **k == *key)
        {
            self.ready.push((db, key.into()));
        }
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
