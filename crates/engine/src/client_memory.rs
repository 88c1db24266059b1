//! What clients take of the memory, and who has to go when all together take more than
//! `maxmemory-clients`.
//!
//! Each client's bytes are counted when a batch has used its connection, and only while there is a limit. Clients stand
//! in buckets by the power of two of their bytes, so that one of the largest is found without comparing all:
//!
//! ```text
//! bucket   0        1        2               18
//! bytes    ..32 KB  ..64 KB  ..128 KB   …    above 4 GB     ◄─ eviction begins here
//! ```
//!
//! Replicas and the link to our primary have limits of their own and are not counted. What CLIENT NO-EVICT protects is
//! counted, but stands in no bucket.

use crate::client::{Class, Client, ClientFlags, ClientKey, Watched};
use crate::engine::Engine;
use std::collections::BTreeSet;

const BUCKET_MIN_LOG: u32 = 15;
const BUCKET_MAX_LOG: u32 = 33;
const BUCKETS: usize = (BUCKET_MAX_LOG - BUCKET_MIN_LOG + 1) as usize;
/// A lower limit would leave nobody to talk to.
const LIMIT_MIN: usize = 128 << 10;
/// What an entry in a table of names costs beside the name.
const NAME_BYTES: usize = 64;

/// The sum and the buckets.
#[derive(Debug, Default)]
pub struct ClientMemory {
    /// The limit in bytes, if there is one.
    pub limit: Option<usize>,
    total: usize,
    buckets: [BTreeSet<ClientKey>; BUCKETS],
}

impl ClientMemory {
    /// Whether clients are counted.
    #[inline]
    pub fn is_limited(&self) -> bool {
        self.limit.is_some()
    }

    fn forget(&mut self, key: ClientKey, bytes: usize) {
        self.total -= bytes;
        self.buckets[bucket(bytes)].remove(&key);
    }
}

fn bucket(bytes: usize) -> usize {
    let log = usize::BITS - bytes.leading_zeros();
    (log.clamp(BUCKET_MIN_LOG, BUCKET_MAX_LOG) - BUCKET_MIN_LOG) as usize
}

impl Client {
    /// Bytes that it takes, but for the buffer of its waiting replies.
    fn memory_beside_output(&self) -> usize {
        let traffic = &self.traffic;
        // Of a buffer that is filling, only what has been written to takes memory.
        let filled = traffic.argument_bytes + traffic.query_bytes;
        let query = if filled > 0 { filled } else { traffic.query_capacity };
        let subscriptions = &self.subscriptions;
        let names = subscriptions.channels.len() + subscriptions.patterns.len() + subscriptions.shard.len();
        let prefixes = self.tracking.as_ref().map_or(0, |t| t.prefixes.len());
        size_of::<Self>()
            + query
            + self.send_buffers()
            + self.queued_bytes
            + self.watched.len() * (size_of::<Watched>() + NAME_BYTES)
            + (names + prefixes) * NAME_BYTES
    }
}

impl Engine {
    /// Bytes that a client takes.
    pub fn client_memory_bytes(&self, key: ClientKey) -> usize {
        let client = &self.clients[key];
        // The running client's output is with the engine until its requests are done.
        let out = if key == self.current { &self.out } else { &client.out };
        client.memory_beside_output() + out.buf.capacity()
    }

    /// Takes the limit from the settings; all clients are counted anew.
    pub(crate) fn limit_client_memory(&mut self) {
        let (given, maxmemory) = (self.config.maxmemory_clients.0, self.config.maxmemory.get());
        let limit = match given {
            0 => None,
            bytes @ 1.. => Some(bytes as usize),
            // A part of a memory that has no bound has none either.
            _ if maxmemory == 0 => None,
            percent => Some((maxmemory as f64 * -percent as f64 / 100.0) as usize),
        };
        let limit = limit.map(|bytes| bytes.max(LIMIT_MIN));
        if limit == self.client_memory.limit {
            return;
        }
        self.client_memory = ClientMemory { limit, ..ClientMemory::default() };
        for key in self.clients.keys() {
            self.clients[key].counted_bytes = 0;
            self.count_client_memory(key);
        }
    }

    /// Counts a client anew, where there is a limit.
    pub fn count_client_memory(&mut self, key: ClientKey) {
        if !self.client_memory.is_limited() || self.clients.get(key).is_none() {
            return;
        }
        let bytes = match self.clients[key].class() {
            Class::Normal | Class::PubSub => self.client_memory_bytes(key),
            Class::Replica | Class::Primary => 0,
        };
        let client = &mut self.clients[key];
        let before = std::mem::replace(&mut client.counted_bytes, bytes);
        let memory = &mut self.client_memory;
        memory.forget(key, before);
        memory.total += bytes;
        if bytes > 0 && !client.flags.any(ClientFlags::NO_EVICT) {
            memory.buckets[bucket(bytes)].insert(key);
        }
    }

    /// Counts all clients anew, where there is a limit: their state changes also between their requests.
    pub fn count_all_client_memory(&mut self) {
        if self.client_memory.is_limited() {
            for key in self.clients.keys() {
                self.count_client_memory(key);
            }
        }
    }

    pub(crate) fn forget_client_memory(&mut self, key: ClientKey) {
        if let Some(client) = self.clients.get_mut(key) {
            let before = std::mem::take(&mut client.counted_bytes);
            self.client_memory.forget(key, before);
        }
    }

    /// The next client to be closed, while all together take more than they may.
    pub fn next_evicted_client(&self) -> Option<ClientKey> {
        if self.client_memory.limit.is_none_or(|limit| self.client_memory.total < limit) {
            return None;
        }
        self.client_memory.buckets.iter().rev().find_map(|bucket| bucket.first().copied())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_powers_of_two() {
        for (bytes, expected) in
            [(0, 0), (1, 0), (32 << 10, 1), ((32 << 10) - 1, 0), (1 << 20, 6), (usize::MAX, BUCKETS - 1)]
        {
            assert_eq!(bucket(bytes), expected, "{bytes}");
        }
    }
}
