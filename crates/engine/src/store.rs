//! The databases as command handlers use them, and all that a look or a change sets off:
//! expiry, access clocks, effects, watched keys, waiting clients, keyspace events.
//!
//! Handlers read with [`Store::get`] and the typed readers, change with the typed writers,
//! and then say once what they did with [`Store::changed`].

mod expiry;

use crate::client::ClientKey;
use crate::config::Config;
use crate::config::values::MaxMemoryPolicy;
use crate::effects::Effects;
use crate::error::{Result, WRONG_TYPE};
use crate::notify::{Classes, Event};
use crate::tracking::Tracking;
use base::rng::Rng;
use keyspace::memory::Meter;
use keyspace::{
    Db, Entry, Expiry, Hash, HashMut, HashRef, Keyspace, Limits, List, Set, Value, ValueMut, ValueRef, ZSet,
};
use polonius_the_crab::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

mod observers;

use observers::Queue;
pub use observers::Ticket;

/// The type of what a key holds, as `TYPE` names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum KeyKind {
    String,
    List,
    Set,
    ZSet,
    Hash,
}

impl KeyKind {
    /// The kind of an entry's value.
    pub fn of(entry: &Entry) -> Self {
        match entry.value() {
            ValueRef::List(_) => Self::List,
            ValueRef::Set(_) => Self::Set,
            ValueRef::ZSet(_) => Self::ZSet,
            ValueRef::Hash(_) => Self::Hash,
            ValueRef::None | ValueRef::Bytes(_) | ValueRef::Int(_) | ValueRef::Score(_) => Self::String,
        }
    }

    /// The name that `TYPE` answers.
    pub fn name(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::List => "list",
            Self::Set => "set",
            Self::ZSet => "zset",
            Self::Hash => "hash",
        }
    }
}

/// How accesses are noted in entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Access {
    /// As a clock of seconds (24 bits, wrapping).
    Clock,
    /// As a counter that grows logarithmically and decays: minutes in the upper 16 bits, count in the lower 8.
    Frequency,
}

/// Names by key, in one database.
type ByKey<T> = BTreeMap<Box<[u8]>, T>;

/// Counters of the keyspace.
#[derive(Debug, Default, Clone)]
pub struct StoreStats {
    /// Reads that found a key.
    pub hits: u64,
    /// Reads that found none.
    pub misses: u64,
    /// Keys that expired.
    pub expired: u64,
    /// Keys that were evicted.
    pub evicted: u64,
    /// Rounds of active expiry that ended because their time was up.
    pub expire_cap_reached: u64,
    /// Part of the keys seen by active expiry that were due, in percent.
    pub expired_stale_percent: f64,
}

/// The databases and what surrounds them.
pub struct Store {
    /// The databases.
    pub keyspace: Keyspace,
    /// The running client's database.
    pub db: usize,
    /// The time, Unix milliseconds; the same for all that one batch does.
    pub now_ms: i64,
    /// Whether this server follows a primary: then only the primary expires keys.
    pub is_replica: bool,
    /// Whether the running command came from the primary: then nothing expires under it.
    pub from_primary: bool,
    /// Whether the running client's reads count as accesses.
    pub no_touch: bool,
    /// Expiry and eviction wait (CLIENT PAUSE).
    pub frozen: bool,
    /// On a replica that takes writes: keys that its own clients gave a time, by that time.
    pub own_expiring: BTreeSet<(i64, usize, Box<[u8]>)>,
    /// DEBUG SET-ACTIVE-EXPIRE.
    pub active_expire: bool,
    /// DEBUG SET-SKIP-CHECKSUM-VALIDATION: checksums of payloads and files are not looked at.
    pub skip_checksums: bool,
    /// Effects of the running command.
    pub fx: Effects,
    /// The command that removes a key whose time has come, for replicas: `UNLINK` or `DEL`, by `lazyfree-lazy-expire`.
    pub expire_word: &'static [u8],
    /// The command that removes an evicted key, for replicas: `UNLINK` or `DEL`, by `lazyfree-lazy-eviction`.
    pub evict_word: &'static [u8],
    /// The command that removes a key which another command has emptied, for replicas: `UNLINK` or `DEL`, by
    /// `lazyfree-lazy-server-del`.
    pub remove_word: &'static [u8],
    /// Which keyspace events are wanted.
    pub event_classes: Classes,
    /// Keyspace events to be published.
    pub events: Vec<Event>,
    /// Clients one of whose watched keys was changed.
    pub touched_watchers: Vec<ClientKey>,
    /// Keys that somebody waits for and that have come to be.
    ready: Vec<(usize, Box<[u8]>)>,
    /// When small encodings give way to large ones.
    pub limits: Limits,
    /// Counters.
    pub stats: StoreStats,
    /// Memory in use.
    pub meter: Meter,
    /// Clients that are told when what they have read changes.
    pub tracking: Tracking,
    /// There are events, or clients to be told of changes.
    pub news: bool,
    /// Somebody watches or tracks: changes of keys are of interest.
    observed: bool,
    tracked: bool,
    watched: Vec<ByKey<BTreeSet<ClientKey>>>,
    watch_count: usize,
    waiting: Vec<ByKey<Queue>>,
    wait_count: usize,
    access: Access,
    lfu_log_factor: i64,
    lfu_decay_minutes: i64,
    /// The access value of a key touched now, under [`Access::Clock`].
    clock: u32,
    rng: Rng,
    /// The hash of a key computed while its batch was being prefetched.
    hinted: (usize, usize, u64),
}

/// The limits of small encodings that the settings give.
pub fn limits(config: &Config) -> Limits {
    Limits {
        list_max_listpack_size: config.list_max_listpack_size.get() as i32,
        list_plain_bytes: 0,
        hash_max_listpack_entries: config.hash_max_listpack_entries.get() as usize,
        hash_max_listpack_value: config.hash_max_listpack_value.get() as usize,
        set_max_intset_entries: config.set_max_intset_entries.get() as usize,
        set_max_listpack_entries: config.set_max_listpack_entries.get() as usize,
        set_max_listpack_value: config.set_max_listpack_value.get() as usize,
        zset_max_listpack_entries: config.zset_max_listpack_entries.get() as usize,
        zset_max_listpack_value: config.zset_max_listpack_value.get() as usize,
    }
}

/// The frequency count of a new key.
const LFU_INITIAL: u32 = 5;

impl Store {
    /// Empty databases.
    pub fn new(databases: usize, seed: u64) -> Self {
        Self {
            keyspace: Keyspace::new(databases),
            db: 0,
            now_ms: 0,
            is_replica: false,
            from_primary: false,
            no_touch: false,
            frozen: false,
            own_expiring: BTreeSet::new(),
            active_expire: true,
            skip_checksums: false,
            fx: Effects::default(),
            expire_word: b"UNLINK",
            evict_word: b"UNLINK",
            remove_word: b"UNLINK",
            event_classes: Classes::default(),
            events: Vec::new(),
            touched_watchers: Vec::new(),
            ready: Vec::new(),
            limits: Limits::default(),
            stats: StoreStats::default(),
            meter: Meter::new(),
            tracking: Tracking::default(),
            news: false,
            observed: false,
            tracked: false,
            watched: (0..databases).map(|_| ByKey::new()).collect(),
            watch_count: 0,
            waiting: (0..databases).map(|_| ByKey::new()).collect(),
            wait_count: 0,
            access: Access::Clock,
            lfu_log_factor: 10,
            lfu_decay_minutes: 1,
            clock: 0,
            rng: Rng::new(seed ^ 0x5EED),
            hinted: (0, 0, 0),
        }
    }

    /// Takes over the settings that concern the data.
    pub fn apply_config(&mut self, config: &Config) {
        self.event_classes = config.notify_keyspace_events.0;
        let word = |lazy: bool| -> &'static [u8] { if lazy { b"UNLINK" } else { b"DEL" } };
        self.expire_word = word(config.lazyfree_lazy_expire);
        self.evict_word = word(config.lazyfree_lazy_eviction);
        self.remove_word = word(config.lazyfree_lazy_server_del);
        // DEBUG sets this one; it is no option.
        let list_plain_bytes = self.limits.list_plain_bytes;
        self.limits = Limits { list_plain_bytes, ..limits(config) };
        let counts_uses = matches!(config.maxmemory_policy, MaxMemoryPolicy::AllKeysLfu | MaxMemoryPolicy::VolatileLfu);
        self.access = if counts_uses { Access::Frequency } else { Access::Clock };
        self.lfu_log_factor = config.lfu_log_factor.get();
        self.lfu_decay_minutes = config.lfu_decay_time.get();
        self.set_time(self.now_ms);
    }

    /// Sets the time, Unix milliseconds.
    pub fn set_time(&mut self, now_ms: i64) {
        self.now_ms = now_ms;
        self.clock = (now_ms / 1000) as u32 & 0xFF_FFFF;
    }

    /// Whether accesses are kept as frequencies.
    pub fn counts_frequency(&self) -> bool {
        self.access == Access::Frequency
    }

    /// Hands in the hash of a key whose bytes are about to be looked up from this very place.
    #[inline]
    pub fn hint(&mut self, key: &[u8], hash: u64) {
        self.hinted = (key.as_ptr() as usize, key.len(), hash);
    }

    /// The hash of a key.
    #[inline]
    pub fn hash(&self, key: &[u8]) -> u64 {
        let (at, len, hash) = self.hinted;
        if key.as_ptr() as usize == at && key.len() == len { hash } else { keyspace::hash(key) }
    }

    /// Forgets the hint: the bytes it belonged to are no longer there.
    #[inline]
    pub fn clear_hint(&mut self) {
        self.hinted = (0, 0, 0);
    }

    /// The current database.
    #[inline]
    pub fn current(&self) -> &Db {
        self.keyspace.db(self.db)
    }

    /// The current database.
    #[inline]
    pub fn current_mut(&mut self) -> &mut Db {
        self.keyspace.db_mut(self.db)
    }

    /// Whether an entry is past its time, as commands see it.
    #[inline]
    pub fn is_expired(&self, entry: &Entry) -> bool {
        entry.expire_at().is_some_and(|at| at <= self.now_ms) && !self.from_primary
    }

    // Looking.

    /// The entry of a live key, without counting the look.
    pub fn peek(&mut self, key: &[u8]) -> Option<&Entry> {
        let mut this = self;
        let hash = this.hash(key);
        polonius!(|this| -> Option<&'polonius Entry> {
            match this.current().get_hashed(hash, key) {
                Some(entry) => {
                    if !this.is_expired(entry) {
                        polonius_return!(Some(entry));
                    }
                }
                None => polonius_return!(None),
            }
        });
        this.expire(key, false);
        None
    }

    /// The entry of a live key, for a command that reads it.
    #[inline]
    pub fn get(&mut self, key: &[u8]) -> Option<&Entry> {
        let mut this = self;
        let hash = this.hash(key);
        polonius!(|this| -> Option<&'polonius Entry> {
            if let Some(entry) = this.keyspace.db(this.db).get_hashed(hash, key)
                && !this.is_expired(entry)
            {
                this.stats.hits += 1;
                let next = if this.no_touch {
                    entry.access()
                } else {
                    match this.access {
                        Access::Clock => this.clock,
                        Access::Frequency => next_frequency(
                            entry.access(),
                            this.now_ms,
                            this.lfu_log_factor,
                            this.lfu_decay_minutes,
                            &mut this.rng,
                        ),
                    }
                };
                if entry.access() != next {
                    entry.set_access(next);
                }
                polonius_return!(Some(entry));
            }
        });
        this.missed(key);
        None
    }

    /// The entry of a live key, for a command that looks at the key without using it: the look
    /// counts, but is no access.
    pub fn look(&mut self, key: &[u8]) -> Option<&Entry> {
        let mut this = self;
        let hash = this.hash(key);
        polonius!(|this| -> Option<&'polonius Entry> {
            if let Some(entry) = this.keyspace.db(this.db).get_hashed(hash, key).filter(|entry| !this.is_expired(entry))
            {
                this.stats.hits += 1;
                polonius_return!(Some(entry));
            }
        });
        this.missed(key);
        None
    }

    /// As [`Store::look`], for a command that looks at how a key is kept: nobody is told of a miss.
    pub fn look_quietly(&mut self, key: &[u8]) -> Option<&Entry> {
        match self.exists(key) {
            true => self.stats.hits += 1,
            false => self.stats.misses += 1,
        }
        self.peek(key)
    }

    #[cold]
    fn missed(&mut self, key: &[u8]) {
        self.stats.misses += 1;
        self.expire_seen(key);
        self.notify(Classes::KEY_MISS, "keymiss", key);
    }

    /// The entry of a live key, to be changed.
    #[inline]
    pub fn get_mut(&mut self, key: &[u8]) -> Option<&mut Entry> {
        self.expire_if_due(key);
        let (hash, clock, counts) = (self.hash(key), self.clock, self.counts_frequency());
        let db = self.db;
        let entry = self.keyspace.db_mut(db).get_mut_hashed(hash, key)?;
        if !self.no_touch {
            let next = if counts {
                next_frequency(entry.access(), self.now_ms, self.lfu_log_factor, self.lfu_decay_minutes, &mut self.rng)
            } else {
                clock
            };
            if entry.access() != next {
                entry.set_access(next);
            }
        }
        Some(entry)
    }

    /// The entry of a key, to be changed; one with the container that `make` gives where there is none.
    #[inline]
    fn entry_or_new(&mut self, key: &[u8], make: impl FnOnce() -> Value) -> &mut Entry {
        self.expire_if_due(key);
        let (hash, fresh) = (self.hash(key), self.fresh_access());
        if self.wait_count > 0 || self.event_classes.any(Classes::NEW) {
            self.announce_if_new(hash, key);
        }
        let counts = self.counts_frequency();
        let mut is_new = false;
        let entry = self.keyspace.db_mut(self.db).get_or_insert_hashed(hash, key, || {
            is_new = true;
            Entry::new_value(key, make(), None)
        });
        if is_new {
            entry.set_access(fresh);
        } else if !self.no_touch {
            let next = if counts {
                next_frequency(entry.access(), self.now_ms, self.lfu_log_factor, self.lfu_decay_minutes, &mut self.rng)
            } else {
                self.clock
            };
            if entry.access() != next {
                entry.set_access(next);
            }
        }
        entry
    }

    /// What the making of a key sets off, where it is not there yet and is about to be made.
    #[cold]
    fn announce_if_new(&mut self, hash: u64, key: &[u8]) {
        if self.current().get_hashed(hash, key).is_none() {
            self.signal(self.db, key);
            self.notify(Classes::NEW, "new", key);
        }
    }

    /// As [`Store::set_or_new`]; `make` gives the set where there is none, in the form that suits its members.
    #[inline]
    pub fn set_or_new_with(&mut self, key: &[u8], make: impl FnOnce() -> Set) -> Result<&mut Set> {
        match self.entry_or_new(key, || Value::Set(make())).value_mut() {
            Some(ValueMut::Set(set)) => Ok(set),
            _ => Err(WRONG_TYPE),
        }
    }

    /// The set under a key, to be read beside others: nothing is counted, and a key whose time is up is not there.
    pub fn set_at(&self, key: &[u8]) -> Option<&Set> {
        let entry = self.current().get_hashed(self.hash(key), key).filter(|entry| !self.is_expired(entry))?;
        if let ValueRef::Set(set) = entry.value() { Some(set) } else { None }
    }

    /// Whether a live key is there, without counting the look; an error where it holds another type.
    pub fn holds(&mut self, key: &[u8], kind: KeyKind) -> Result<bool> {
        match self.peek(key).map(KeyKind::of) {
            None => Ok(false),
            Some(found) if found == kind => Ok(true),
            Some(_) => Err(WRONG_TYPE),
        }
    }

    /// Frees a value that is under no key, elsewhere if there is much of it.
    pub fn discard_value(&mut self, value: Value) {
        self.current_mut().discard(Entry::new_value(b"", value, None));
    }

    /// Whether a live key is there.
    pub fn exists(&mut self, key: &[u8]) -> bool {
        self.peek(key).is_some()
    }

    /// The type of what a live key of any database holds. Looking does not remove it if its time has come.
    pub fn kind_of(&self, db: usize, key: &[u8]) -> Option<KeyKind> {
        self.keyspace.db(db).get(key).filter(|entry| !self.is_expired(entry)).map(KeyKind::of)
    }

    // Typed looks.

    /// The bytes of a string; digits of an integer go to `digits`.
    #[inline]
    pub fn string<'a>(&'a mut self, key: &[u8], digits: &'a mut [u8; 20]) -> Result<Option<&'a [u8]>> {
        match self.get(key).map(Entry::value) {
            None => Ok(None),
            Some(ValueRef::Bytes(bytes)) => Ok(Some(bytes)),
            Some(ValueRef::Int(n)) => Ok(Some(base::num::format_i64(n, digits))),
            Some(_) => Err(WRONG_TYPE),
        }
    }

    /// As [`Store::string`] for a command that is going to change the key: the look is no read, so nothing is counted.
    pub fn string_to_change<'a>(&'a mut self, key: &[u8], digits: &'a mut [u8; 20]) -> Result<Option<&'a [u8]>> {
        match self.get_mut(key).map(|entry| entry.value()) {
            None => Ok(None),
            Some(ValueRef::Bytes(bytes)) => Ok(Some(bytes)),
            Some(ValueRef::Int(n)) => Ok(Some(base::num::format_i64(n, digits))),
            Some(_) => Err(WRONG_TYPE),
        }
    }

    // Changing.

    /// Sets a string, whatever the key held. A value whose time was up is removed by its time first, as everywhere.
    #[inline]
    pub fn set_string(&mut self, key: &[u8], value: &[u8], expiry: Expiry) {
        let hash = self.hash(key);
        let access = self.fresh_access();
        let db = self.current_mut();
        let before = db.len();
        let (entry, old_at) = db.set_hashed(hash, key, value, expiry);
        entry.set_access(access);
        let is_new = db.len() > before;
        if let Some(at) = old_at
            && at <= self.now_ms
            && !self.from_primary
        {
            self.overwritten_after_its_time(key);
        } else if is_new {
            self.notify(Classes::NEW, "new", key);
        }
    }

    /// The access value of an entry that is made now.
    #[inline]
    pub fn fresh_access(&self) -> u32 {
        match self.access {
            Access::Clock => self.clock,
            Access::Frequency => minutes(self.now_ms) << 8 | LFU_INITIAL,
        }
    }

    /// Puts a value under a key, replacing what was there.
    pub fn insert(&mut self, key: &[u8], value: Value, expire_ms: Option<i64>) {
        self.insert_entry(Entry::new_value(key, value, expire_ms));
    }

    /// Puts an entry into the current database, replacing what was under its key.
    pub fn insert_entry(&mut self, entry: Entry) {
        entry.set_access(self.fresh_access());
        if self.wait_count > 0 {
            self.signal(self.db, entry.key());
        }
        let key: Option<Box<[u8]>> = self.event_classes.any(Classes::NEW).then(|| entry.key().into());
        let db = self.current_mut();
        let before = db.len();
        db.insert(entry);
        if let Some(key) = key.filter(|_| self.current().len() > before) {
            self.notify(Classes::NEW, "new", &key);
        }
    }

    /// Takes a key out, live or not.
    pub fn remove(&mut self, key: &[u8]) -> Option<Entry> {
        let hash = self.hash(key);
        self.current_mut().remove_hashed(hash, key)
    }

    /// Removes a live key; whether there was one. Its memory is freed elsewhere if there is much of it.
    pub fn delete(&mut self, key: &[u8]) -> bool {
        self.expire_if_due(key);
        match self.remove(key) {
            Some(entry) => {
                self.current_mut().discard(entry);
                true
            }
            None => false,
        }
    }

    /// Removes a key, live or past its time, whose place nothing takes: that it has expired is not told apart. Whether
    /// there was one.
    pub fn delete_unread(&mut self, key: &[u8]) -> bool {
        let removed = self.remove(key);
        removed.map(|entry| self.current_mut().discard(entry)).is_some()
    }

    /// Removes a key whose container has become empty, and says so.
    pub fn delete_if_empty(&mut self, key: &[u8]) -> bool {
        let hash = self.hash(key);
        let empty = self.current().get_hashed(hash, key).is_some_and(|entry| match entry.value() {
            ValueRef::List(v) => v.is_empty(),
            ValueRef::Set(v) => v.is_empty(),
            ValueRef::ZSet(v) => v.is_empty(),
            ValueRef::Hash(v) => v.is_empty(),
            ValueRef::None | ValueRef::Bytes(_) | ValueRef::Int(_) | ValueRef::Score(_) => false,
        });
        if empty {
            self.remove(key);
            self.notify(Classes::GENERIC, "del", key);
        }
        empty
    }

    /// Sets or clears a key's expiry; false where there is no such key.
    pub fn set_expire(&mut self, key: &[u8], at_ms: Option<i64>) -> bool {
        let hash = self.hash(key);
        self.current_mut().set_expire_hashed(hash, key, at_ms)
    }

    /// Says that the running command has changed `n` things of a key: it will be propagated,
    /// watchers and subscribers are told.
    #[inline]
    pub fn changed(&mut self, class: Classes, event: &'static str, key: &[u8], n: u64) {
        self.fx.changed(n);
        self.touch(key);
        self.notify(class, event, key);
    }

    /// Tells those who watch a key of the current database, or have read it and track it.
    #[inline]
    pub fn touch(&mut self, key: &[u8]) {
        if self.observed {
            self.tell_observers(self.db, key, true);
        }
    }

    /// Tells those who watch an evicted key of the current database, or have read it and track it.
    pub fn touch_evicted(&mut self, key: &[u8]) {
        self.tell_observers(self.db, key, false);
    }

    /// Notes a keyspace event, if anybody may want it.
    #[inline]
    pub fn notify(&mut self, class: Classes, event: &'static str, key: &[u8]) {
        if self.event_classes.any(class) {
            self.notify_in(self.db, class, event, key);
        }
    }

    /// Notes a keyspace event about a key of any database, if anybody may want it.
    #[cold]
    pub fn notify_in(&mut self, db: usize, class: Classes, event: &'static str, key: &[u8]) {
        if self.event_classes.any(class) {
            self.events.push(Event { name: event, db, key: key.into() });
            self.news = true;
        }
    }

    /// A source of chance.
    pub fn rng(&mut self) -> &mut Rng {
        &mut self.rng
    }

    /// The frequency count of an access value as of now.
    pub fn frequency(&self, access: u32) -> u32 {
        decayed(access, self.now_ms, self.lfu_decay_minutes)
    }

    /// Seconds since the access that a clock value tells of.
    pub fn idle_seconds(&self, access: u32) -> u32 {
        self.clock.wrapping_sub(access) & 0xFF_FFFF
    }
}

fn minutes(now_ms: i64) -> u32 {
    (now_ms / 60_000) as u32 & 0xFFFF
}

/// The frequency count of an access value, lowered by one for each `decay_minutes` that have passed since.
pub(crate) fn decayed(access: u32, now_ms: i64, decay_minutes: i64) -> u32 {
    let (then, count) = (access >> 8, access & 0xFF);
    let passed = minutes(now_ms).wrapping_sub(then) & 0xFFFF;
    let periods = if decay_minutes > 0 { passed / decay_minutes as u32 } else { 0 };
    count.saturating_sub(periods)
}

/// The access value after one more access: the larger the count, the less likely it grows.
fn next_frequency(access: u32, now_ms: i64, log_factor: i64, decay_minutes: i64, rng: &mut Rng) -> u32 {
    let mut count = decayed(access, now_ms, decay_minutes);
    if count < 255 {
        let base = f64::from(count.saturating_sub(LFU_INITIAL));
        if rng.unit() < 1.0 / (base * log_factor as f64 + 1.0) {
            count += 1;
        }
    }
    minutes(now_ms) << 8 | count
}

macro_rules! containers {
    ($($variant:ident: $read:ty, $change:ty, $get:ident, $get_mut:ident, $make:ident;)*) => {
        impl Store {
            $(
                /// Reads the container under a key; an error where the key holds another type.
                #[inline]
                pub fn $get(&mut self, key: &[u8]) -> Result<Option<$read>> {
                    match self.get(key).map(Entry::value) {
                        None => Ok(None),
                        Some(ValueRef::$variant(value)) => Ok(Some(value)),
                        Some(_) => Err(WRONG_TYPE),
                    }
                }

                /// The container under a key, to be changed; an error where the key holds another type.
                #[inline]
                pub fn $get_mut(&mut self, key: &[u8]) -> Result<Option<$change>> {
                    match self.get_mut(key) {
                        None => Ok(None),
                        Some(entry) => match entry.value_mut() {
                            Some(ValueMut::$variant(value)) => Ok(Some(value)),
                            _ => Err(WRONG_TYPE),
                        },
                    }
                }

                /// The container under a key, to be changed; a new one where there is none. The caller puts
                /// something into it: no key may be left with an empty container.
                #[inline]
                pub fn $make(&mut self, key: &[u8]) -> Result<$change> {
                    match self.entry_or_new(key, || Value::$variant($variant::new())).value_mut() {
                        Some(ValueMut::$variant(value)) => Ok(value),
                        _ => Err(WRONG_TYPE),
                    }
                }
            )*
        }
    };
}

containers! {
    List: &List, &mut List, list, list_mut, list_or_new;
    Hash: HashRef<'_>, HashMut<'_>, hash_value, hash_mut, hash_or_new;
    Set: &Set, &mut Set, set, set_mut, set_or_new;
    ZSet: &ZSet, &mut ZSet, zset, zset_mut, zset_or_new;
}
