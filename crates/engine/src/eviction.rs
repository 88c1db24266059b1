//! Eviction: when memory is used up, keys give way by the policy of `maxmemory-policy`.
//!
//! As in Redis the least recently or least often used key is found by sampling: each round
//! looks at a few random keys and keeps the best candidates in a pool, so that good ones
//! seen earlier are not forgotten. `volatile-ttl` needs no sample: the store finds the key
//! that expires next.

use crate::config::values::MaxMemoryPolicy::{self, *};
use crate::engine::Engine;
use crate::notify::Classes;
use keyspace::{Entry, ValueRef};

/// Candidates remembered between rounds.
const POOL_MAX: usize = 16;
/// Elements of a container whose memory is counted one by one.
const COUNTED_ELEMENTS_MAX: usize = 4096;
/// Keys evicted between two looks at the clock.
const ROUNDS: usize = 16;

/// How long one check may evict before it lets clients go on, nanoseconds; the next check continues. As Redis has it,
/// `maxmemory-eviction-tenacity` is linear up to its default, 10, then grows by 15 % a step, and 100 has no bound.
fn time_limit_ns(tenacity: i64) -> u64 {
    match tenacity {
        0..=10 => 50_000 * tenacity as u64,
        11..=99 => (500_000.0 * 1.15_f64.powi(tenacity as i32 - 10)) as u64,
        _ => u64::MAX,
    }
}

/// Candidates, the best last.
#[derive(Debug, Default)]
pub struct Pool(Vec<(u64, usize, Box<[u8]>)>);

impl Pool {
    fn offer(&mut self, score: u64, db: usize, entry: &Entry) {
        if self.0.len() == POOL_MAX && self.0[0].0 >= score {
            return;
        }
        if self.0.iter().any(|(_, d, key)| *d == db && **key == *entry.key()) {
            return;
        }
        let at = self.0.partition_point(|(s, ..)| *s < score);
        self.0.insert(at, (score, db, entry.key().into()));
        if self.0.len() > POOL_MAX {
            self.0.remove(0);
        }
    }
}

/// What was evicted and waits to be freed on another thread: until it is, memory in use looks too large.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Leaving {
    bytes: usize,
    /// There is more of it, and counting it would take too long.
    more: bool,
}

impl Leaving {
    fn add(&mut self, entry: &Entry) {
        if !entry.is_heavy() {
            return;
        }
        let elements = match entry.value() {
            ValueRef::List(v) => v.len(),
            ValueRef::Set(v) => v.len(),
            ValueRef::ZSet(v) => v.len(),
            ValueRef::Hash(v) => v.len(),
            ValueRef::None | ValueRef::Bytes(_) | ValueRef::Int(_) | ValueRef::Score(_) => 0,
        };
        if elements <= COUNTED_ELEMENTS_MAX {
            self.bytes += entry.memory_usage();
        } else {
            self.more = true;
        }
    }
}

impl Engine {
    /// Evicts until memory in use is below `maxmemory`; whether it is.
    pub fn make_room(&mut self) -> bool {
        let limit = self.config.maxmemory.get() as usize;
        if limit == 0 || self.counted_memory() <= limit {
            return true;
        }
        self.store.meter.refresh();
        if self.store.is_replica && self.config.replica_ignore_maxmemory {
            return true;
        }
        let policy = self.config.maxmemory_policy;
        let started_ns = (self.monotonic_ns)();
        // Telling clients and replicas of evicted keys takes memory too; that must not make more keys go.
        let (mut evicted, mut told, mut timed_out) = (0, 0, false);
        let limit_ns = time_limit_ns(self.config.maxmemory_eviction_tenacity.get());
        for round in 1.. {
            if self.counted_memory().saturating_sub(told) <= limit || self.leaving.more {
                break;
            }
            if policy == NoEviction || self.store.frozen {
                break;
            }
            let Some(took) = self.evict_one(policy) else { break };
            told += took;
            evicted += 1;
            if round % ROUNDS == 0 && (self.monotonic_ns)().saturating_sub(started_ns) > limit_ns {
                timed_out = true;
                break;
            }
        }
        if evicted > 0 {
            let took_ms = (self.monotonic_ns)().saturating_sub(started_ns) / 1_000_000;
            self.stats.latency_event("eviction-cycle", self.store.now_ms / 1000, took_ms);
            // The command that needs the room begins now.
            self.tick_ns = (self.monotonic_ns)();
        }
        self.counted_memory().saturating_sub(told) <= limit || self.leaving.more || timed_out
    }

    /// Memory in use as `maxmemory` counts it.
    #[inline]
    fn counted_memory(&self) -> usize {
        self.store.meter.used().saturating_sub(self.uncounted_bytes + self.leaving.bytes)
    }

    /// Evicts a key, if there is one; the bytes that telling of it took.
    fn evict_one(&mut self, policy: MaxMemoryPolicy) -> Option<usize> {
        let (db, key) = self.pick_victim(policy)?;
        let mut told = 0;
        let outer_db = std::mem::replace(&mut self.store.db, db);
        if let Some(entry) = self.store.remove(&key) {
            self.leaving.add(&entry);
            self.store.keyspace.db_mut(db).discard(entry);
            self.store.stats.evicted += 1;
            self.store.touch_evicted(&key);
            self.store.notify(Classes::EVICTED, "evicted", &key);
            let word = self.store.evict_word;
            self.store.fx.rewrite(db, &[word, &key]);
            let before = self.store.meter.used();
            self.settle(db, b"");
            told = self.store.meter.used().saturating_sub(before);
        }
        self.store.db = outer_db;
        Some(told)
    }

    fn pick_victim(&mut self, policy: MaxMemoryPolicy) -> Option<(usize, Box<[u8]>)> {
        let volatile = matches!(policy, VolatileLru | VolatileLfu | VolatileRandom | VolatileTtl);
        let databases = self.store.keyspace.databases();
        match policy {
            VolatileTtl => {
                let all = (0..databases).filter_map(|db| {
                    let entry = self.store.keyspace.db(db).nearest_expiry()?;
                    Some((entry.expire_at()?, db, entry))
                });
                all.min_by_key(|(at, ..)| *at).map(|(_, db, entry)| (db, entry.key().into()))
            }
            AllKeysRandom | VolatileRandom => {
                let start = self.evict_next_db;
                for i in 0..databases {
                    let db = (start + i) % databases;
                    let mut found = None;
                    let rng = &mut self.rng;
                    let sample = self.store.keyspace.db(db).sample_for_eviction(
                        1,
                        volatile,
                        || rng.next_u64(),
                        |entry| found = Some(entry.key().into()),
                    );
                    if sample > 0 {
                        self.evict_next_db = (db + 1) % databases;
                        return found.map(|key| (db, key));
                    }
                }
                None
            }
            AllKeysLru | VolatileLru | AllKeysLfu | VolatileLfu | NoEviction => self.pick_from_pool(policy, volatile),
        }
    }

    fn pick_from_pool(&mut self, policy: MaxMemoryPolicy, volatile: bool) -> Option<(usize, Box<[u8]>)> {
        let samples = self.config.maxmemory_samples.get() as usize;
        for _ in 0..64 {
            let mut any = 0;
            for db in 0..self.store.keyspace.databases() {
                let (rng, pool, store) = (&mut self.rng, &mut self.evict_pool, &self.store);
                any += store.keyspace.db(db).sample_for_eviction(
                    samples,
                    volatile,
                    || rng.next_u64(),
                    |entry| {
                        let score = match policy {
                            AllKeysLfu | VolatileLfu => 255 - u64::from(store.frequency(entry.access())),
                            AllKeysLru | VolatileLru | AllKeysRandom | VolatileRandom | VolatileTtl | NoEviction => {
                                u64::from(store.idle_seconds(entry.access()))
                            }
                        };
                        pool.offer(score, db, entry);
                    },
                );
            }
            if any == 0 {
                return None;
            }
            while let Some((_, db, key)) = self.evict_pool.0.pop() {
                let there =
                    self.store.keyspace.db(db).get(&key).is_some_and(|entry| !volatile || entry.expire_at().is_some());
                if there {
                    return Some((db, key));
                }
            }
        }
        None
    }
}
