//! Keys whose time has come: when they are removed, and by whom.
//!
//! A primary removes them when it comes upon them or goes looking for them, and tells its replicas. A replica only
//! hides them, unless its own clients write: then it removes what a write stands on, and what they gave a time.

use super::Store;
use crate::notify::Classes;
use keyspace::Entry;

impl Store {
    /// Removes `key` if its time is up, for a command that may write it. A replica that takes writes does so too:
    /// what is written now must not stand on what is no longer there.
    #[inline]
    pub fn expire_if_due(&mut self, key: &[u8]) {
        if self.is_due(key) {
            self.expire(key, true);
        }
    }

    /// Removes `key` if its time is up, for a command that reads it. A replica leaves that to its primary.
    #[inline]
    pub fn expire_seen(&mut self, key: &[u8]) {
        if self.is_due(key) {
            self.expire(key, false);
        }
    }

    #[inline]
    fn is_due(&self, key: &[u8]) -> bool {
        self.current().expires_len() != 0
            && self.current().get_hashed(self.hash(key), key).is_some_and(|entry| self.is_expired(entry))
    }

    #[cold]
    pub(super) fn expire(&mut self, key: &[u8], writes: bool) {
        if self.frozen || (self.is_replica && !writes) {
            return;
        }
        let hash = keyspace::hash(key);
        let db = self.db;
        if let Some(entry) = self.keyspace.db_mut(db).remove_hashed(hash, key) {
            self.gone_by_time(db, entry);
        }
    }

    /// What follows the removal of an expired entry.
    fn gone_by_time(&mut self, db: usize, entry: Entry) {
        self.tell_of_expiry(db, entry.key());
        self.keyspace.db_mut(db).discard(entry);
    }

    /// Says that a key of a database is gone because its time is up.
    fn tell_of_expiry(&mut self, db: usize, key: &[u8]) {
        self.stats.expired += 1;
        self.fx.before(db, &[self.expire_word, key]);
        self.tell_observers(db, key, false);
        self.notify_in(db, Classes::EXPIRED, "expired", key);
    }

    /// A key has a new value that took the place of an expired one: it has gone and come anew.
    #[cold]
    pub(super) fn overwritten_after_its_time(&mut self, key: &[u8]) {
        self.tell_of_expiry(self.db, key);
        self.notify(Classes::NEW, "new", key);
    }

    /// Removes up to `budget` due keys of a database; how many it removed.
    pub fn expire_some(&mut self, db: usize, budget: usize) -> usize {
        let mut due = Vec::new();
        self.keyspace.db_mut(db).expire_due(self.now_ms, budget, |entry| due.push(entry));
        let n = due.len();
        for entry in due {
            self.gone_by_time(db, entry);
        }
        n
    }

    /// A client has changed something on a replica that takes writes: keys of its request that now have a time are
    /// remembered, since no primary will ever say that they are gone.
    #[cold]
    pub fn remember_own_expiring(&mut self, db: usize, request: &[u8]) {
        let Ok(Some((resp::Value::Array(words), _))) = resp::parse_value(request) else { return };
        for key in words.iter().filter_map(resp::Value::as_bytes) {
            let expiry = self.keyspace.db(db).get(key).and_then(Entry::expire_at);
            if let Some(at) = expiry {
                self.own_expiring.insert((at, db, key.into()));
            }
        }
    }

    /// On a replica, removes up to `budget` keys that its own clients gave a time that has come.
    pub fn expire_own(&mut self, budget: usize) {
        for _ in 0..budget {
            let Some((at, _, _)) = self.own_expiring.first() else { return };
            if *at > self.now_ms {
                return;
            }
            let Some((at, db, key)) = self.own_expiring.pop_first() else { return };
            // It may have got another time since, which is remembered as well, or none.
            if self.keyspace.db(db).get(&key).is_some_and(|entry| entry.expire_at() == Some(at))
                && let Some(entry) = self.keyspace.db_mut(db).remove(&key)
            {
                self.gone_by_time(db, entry);
            }
        }
    }
}
