//! One numbered database.
//!
//! Why: commands want keys with expiries, counts and samples, not tries.
//!
//! Idea: a trie and the number of its volatile entries, kept right by every method that can change it. What is replaced or cleared and
//! may take long to free is put on a heap of trash, which the caller takes away to another thread.
//!
//! Limits: it does not know the time, so it never decides that a key has expired; callers compare [`Entry::expire_at`].

use crate::entry::Entry;
use crate::hasher::hash;
use crate::trail::Intents;
use crate::trie::{Slot, Trie};
use crate::value::{Value, parse_canonical_int};

/// What becomes of a key's expiry when its value is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expiry {
    /// The key will not expire.
    Clear,
    /// It stays as it is.
    Keep,
    /// The key expires at this time, in Unix milliseconds.
    At(i64),
}

/// What an expiry estimate looks at.
const TTL_SAMPLES: usize = 16;

/// A database: entries by key.
#[derive(Debug, Default)]
pub struct Db {
    trie: Trie,
    expires: usize,
    trash: Trash,
}

/// What has left a database and may take long to free: it is dropped on another thread.
#[derive(Debug, Default)]
pub struct Trash {
    entries: Vec<Entry>,
    tries: Vec<Trie>,
}

impl Trash {
    /// How many entries and whole databases it holds.
    pub fn len(&self) -> usize {
        self.entries.len() + self.tries.len()
    }

    /// Whether there is nothing in it.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.tries.is_empty()
    }

    /// Adds what is in `other`.
    pub fn append(&mut self, mut other: Trash) {
        self.entries.append(&mut other.entries);
        self.tries.append(&mut other.tries);
    }
}

impl Db {
    /// An empty database.
    pub fn new() -> Db {
        Db::default()
    }

    /// How many keys there are.
    #[inline]
    pub fn len(&self) -> usize {
        self.trie.len()
    }

    /// Whether there is no key.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.trie.is_empty()
    }

    /// How many keys have an expiry.
    #[inline]
    pub fn expires_len(&self) -> usize {
        self.expires
    }

    /// The trie, to read.
    #[inline]
    pub fn trie(&self) -> &Trie {
        &self.trie
    }

    /// The entry of a key.
    #[inline]
    pub fn get(&self, key: &[u8]) -> Option<&Entry> {
        self.trie.find(hash(key), key)
    }

    /// The entry of a key whose [`hash`](crate::hash()) is known.
    #[inline]
    pub fn get_hashed(&self, hash: u64, key: &[u8]) -> Option<&Entry> {
        self.trie.find(hash, key)
    }

    /// The entry of a key, to be changed (its value, not its expiry).
    #[inline]
    pub fn get_mut(&mut self, key: &[u8]) -> Option<&mut Entry> {
        self.trie.find_mut(hash(key), key)
    }

    /// As [`Db::get_mut`] for a key whose hash is known.
    #[inline]
    pub fn get_mut_hashed(&mut self, hash: u64, key: &[u8]) -> Option<&mut Entry> {
        self.trie.find_mut(hash, key)
    }

    /// The entry of a key whose hash is known, to be changed (its value, not its expiry), found or made in one descent.
    /// `create` gives the entry where there is none; it has this key and no expiry.
    #[inline]
    pub fn get_or_insert_hashed(&mut self, hash: u64, key: &[u8], create: impl FnOnce() -> Entry) -> &mut Entry {
        match self.trie.slot(hash, key, None) {
            Slot::Vacant(vacant) => vacant.insert(create()),
            Slot::Occupied(occupied) => occupied.into_mut(),
        }
    }

    /// Brings what lookups of these hashes will need into the cache; `intents` tell what will be done with the containers among them.
    #[inline]
    pub fn prefetch(&self, hashes: &[u64], intents: &impl Intents) {
        self.trie.prefetch(hashes, intents);
    }

    /// Sets a key to a string (kept as a number if it is the canonical form of one) and returns its entry.
    #[inline]
    pub fn set(&mut self, key: &[u8], value: &[u8], expire: Expiry) -> &mut Entry {
        self.set_hashed(hash(key), key, value, expire).0
    }

    /// As [`Db::set`] for a key whose hash is known; gives also the expiry of what was there before.
    #[inline]
    pub fn set_hashed(&mut self, hash: u64, key: &[u8], value: &[u8], expire: Expiry) -> (&mut Entry, Option<i64>) {
        match parse_canonical_int(value) {
            Some(number) => {
                self.put(hash, key, expire, |at| Entry::new_int(key, number, at), |entry| entry.set_int(number))
            }
            None => self.put(hash, key, expire, |at| Entry::new_bytes(key, value, at), |entry| entry.set_bytes(value)),
        }
    }

    /// Sets a key to a number.
    pub fn set_int(&mut self, key: &[u8], value: i64, expire: Expiry) -> &mut Entry {
        self.put(hash(key), key, expire, |at| Entry::new_int(key, value, at), |entry| entry.set_int(value)).0
    }

    /// One descent: a new entry where there is none, a new one in the place of one that is heavy or changes whether it
    /// has an expiry, and a change in place otherwise. Gives also the expiry of what was there before.
    #[inline]
    fn put(
        &mut self,
        hash: u64,
        key: &[u8],
        expire: Expiry,
        create: impl FnOnce(Option<i64>) -> Entry,
        change: impl FnOnce(&mut Entry),
    ) -> (&mut Entry, Option<i64>) {
        let earliest = if let Expiry::At(at) = expire { Some(at) } else { None };
        match self.trie.slot(hash, key, earliest) {
            Slot::Vacant(vacant) => {
                self.expires += usize::from(earliest.is_some());
                (vacant.insert(create(earliest)), None)
            }
            Slot::Occupied(mut occupied) => {
                let old = occupied.get();
                let old_at = old.expire_at();
                let at = if expire == Expiry::Keep { old_at } else { earliest };
                if old.is_heavy() || old_at.is_some() != at.is_some() {
                    let access = old.access();
                    let fresh = create(at);
                    fresh.set_access(access);
                    // Its expiry is either the one announced or the one that the bounds know of already.
                    let entry = occupied.into_entry();
                    let old = std::mem::replace(entry, fresh);
                    self.expires = self.expires + usize::from(at.is_some()) - usize::from(old_at.is_some());
                    if old.is_heavy() {
                        self.trash.entries.push(old);
                    }
                    return (entry, old_at);
                }
                if let Expiry::At(_) = expire {
                    occupied.set_expire(at);
                }
                let entry = occupied.into_entry();
                change(entry);
                (entry, old_at)
            }
        }
    }

    /// Sets a key to a container.
    pub fn insert_value(&mut self, key: &[u8], value: Value, expire: Option<i64>) -> &mut Entry {
        self.insert(Entry::new_value(key, value, expire))
    }

    /// Puts a whole entry in, under its own key; what it replaces becomes trash.
    pub fn insert(&mut self, entry: Entry) -> &mut Entry {
        let expire = entry.expire_at();
        self.expires += usize::from(expire.is_some());
        let hash = hash(entry.key());
        // The key is inside the entry that moves into the slot, so another handle lends it meanwhile.
        let lender = entry.clone();
        match self.trie.slot(hash, lender.key(), expire) {
            Slot::Vacant(vacant) => vacant.insert(entry),
            Slot::Occupied(mut occupied) => {
                let old = occupied.replace(entry);
                self.expires -= usize::from(old.expire_at().is_some());
                if old.is_heavy() {
                    self.trash.entries.push(old);
                }
                occupied.into_entry()
            }
        }
    }

    /// Takes a key out.
    #[inline]
    pub fn remove(&mut self, key: &[u8]) -> Option<Entry> {
        self.remove_hashed(hash(key), key)
    }

    /// As [`Db::remove`] for a key whose hash is known.
    pub fn remove_hashed(&mut self, hash: u64, key: &[u8]) -> Option<Entry> {
        let entry = self.trie.remove(hash, key)?;
        self.expires -= usize::from(entry.expire_at().is_some());
        Some(entry)
    }

    /// Takes a key out and leaves what is slow to free to the trash; whether it was there.
    pub fn delete(&mut self, key: &[u8]) -> bool {
        match self.remove(key) {
            Some(entry) => {
                self.discard(entry);
                true
            }
            None => false,
        }
    }

    /// Frees an entry, here if that is quick, as trash otherwise.
    #[inline]
    pub fn discard(&mut self, entry: Entry) {
        if entry.is_heavy() {
            self.trash.entries.push(entry);
        }
    }

    /// Sets (or takes away) the expiry of a key, in Unix milliseconds; whether the key is there.
    pub fn set_expire(&mut self, key: &[u8], expire: Option<i64>) -> bool {
        self.set_expire_hashed(hash(key), key, expire)
    }

    /// As [`Db::set_expire`] for a key whose hash is known.
    pub fn set_expire_hashed(&mut self, hash: u64, key: &[u8], expire: Option<i64>) -> bool {
        match self.trie.slot(hash, key, expire) {
            Slot::Vacant(_) => false,
            Slot::Occupied(mut occupied) => {
                let had = occupied.get().expire_at().is_some();
                occupied.set_expire(expire);
                self.expires = self.expires + usize::from(expire.is_some()) - usize::from(had);
                true
            }
        }
    }

    /// Moves the entry of `from` to the key `to`, over whatever is there; whether `from` was there. The value is not copied.
    pub fn rename(&mut self, from: &[u8], to: &[u8]) -> bool {
        match self.remove(from) {
            Some(entry) => {
                self.insert(entry.renamed(to));
                true
            }
            None => false,
        }
    }

    /// An entry for the key `to` (of any database) that shares the value of `from`.
    pub fn copy_of(&self, from: &[u8], to: &[u8]) -> Option<Entry> {
        let entry = self.get(from)?;
        Some(entry.copied(to, entry.expire_at()))
    }

    /// Gives entries from the cursor on, in the order of their hashes, until `count` were given; returns the next cursor, 0 at the end.
    pub fn scan(&self, cursor: u64, count: usize, f: impl FnMut(&Entry)) -> u64 {
        self.trie.scan(cursor, count, f)
    }

    /// An entry, each with the same chance. `random` gives 64-bit random numbers.
    pub fn random(&self, random: impl FnMut() -> u64) -> Option<&Entry> {
        self.trie.random(random)
    }

    /// Gives about `count` candidates for eviction to `f`; returns how many.
    pub fn sample_for_eviction(
        &self,
        count: usize,
        volatile_only: bool,
        random: impl FnMut() -> u64,
        f: impl FnMut(&Entry),
    ) -> usize {
        if volatile_only && self.expires == 0 {
            return 0;
        }
        self.trie.sample(count, volatile_only, random, f)
    }

    /// The entry that expires next, or one that expires soon after.
    pub fn nearest_expiry(&self) -> Option<&Entry> {
        if self.expires == 0 {
            return None;
        }
        self.trie.nearest_expiry()
    }

    /// Takes out up to `limit` entries whose expiry is `now` (Unix milliseconds) or earlier and gives them to `f`; returns how many.
    /// Fewer than `limit` means that none is left.
    pub fn expire_due(&mut self, now: i64, limit: usize, f: impl FnMut(Entry)) -> usize {
        let count = self.trie.expire_due(now, limit, f);
        self.expires -= count;
        count
    }

    /// An estimate of the mean time to live of volatile keys, in milliseconds; 0 if there are none.
    pub fn avg_ttl(&self, now: i64, random: impl FnMut() -> u64) -> i64 {
        let (mut sum, mut count) = (0i128, 0i128);
        self.sample_for_eviction(TTL_SAMPLES, true, random, |entry| {
            if let Some(at) = entry.expire_at() {
                sum += i128::from(at).saturating_sub(i128::from(now)).max(0);
                count += 1;
            }
        });
        if count == 0 { 0 } else { i64::try_from(sum / count).unwrap_or(i64::MAX) }
    }

    /// All entries as they are now; O(1).
    pub fn snapshot(&self) -> Trie {
        self.trie.clone()
    }

    /// Empties the database and returns what was in it, to be dropped wherever that may take its time.
    pub fn clear(&mut self) -> Trie {
        self.expires = 0;
        std::mem::take(&mut self.trie)
    }

    /// Empties the database and leaves what was in it to the trash; returns how many keys there were.
    pub fn flush(&mut self) -> usize {
        let trie = self.clear();
        let len = trie.len();
        if len > 0 {
            self.trash.tries.push(trie);
        }
        len
    }

    /// What was replaced and may take long to free. The caller drops it on another thread.
    pub fn take_trash(&mut self) -> Trash {
        std::mem::take(&mut self.trash)
    }

    /// Whether there is trash to take.
    #[inline]
    pub fn has_trash(&self) -> bool {
        !self.trash.is_empty()
    }
}

#[cfg(test)]
mod tests;
