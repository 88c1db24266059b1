//! The hash of keys, fields and members.
//!
//! Why: the tries are ordered by hash, and a hash that strangers can predict lets them fill one leaf. So it is keyed, once
//! for the process, with numbers that the caller draws from a real random source; this crate has none.
//!
//! Limits: before [`seed`] is called (in tests) a fixed key is used. Hashes differ between processes and must not be stored.

use ahash::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::sync::OnceLock;

static STATE: OnceLock<RandomState> = OnceLock::new();

/// Sets the key of the hash for this process. Returns false, and changes nothing, when a key was set or a hash was already taken.
pub fn seed(seeds: [u64; 4]) -> bool {
    STATE.set(RandomState::with_seeds(seeds[0], seeds[1], seeds[2], seeds[3])).is_ok()
}

#[cold]
fn default_state() -> RandomState {
    RandomState::with_seeds(0x243f_6a88_85a3_08d3, 0x1319_8a2e_0370_7344, 0xa409_3822_299f_31d0, 0x082e_fa98_ec4e_6c89)
}

/// The 64-bit hash of a key; all tries use it.
#[inline]
pub fn hash(key: &[u8]) -> u64 {
    let mut hasher = STATE.get_or_init(default_state).build_hasher();
    hasher.write(key);
    hasher.finish()
}

/// How a trie finds the hash of an entry that it holds already (when a leaf splits or is scanned).
///
/// Tries outside tests use [`Seeded`]; tests put in hashes that collide.
pub trait KeyHash {
    /// The hash of the key. It must be the one with which the entry was inserted.
    fn hash(key: &[u8]) -> u64;
}

/// The process-wide keyed hash.
#[derive(Clone, Copy, Debug)]
pub struct Seeded;

impl KeyHash for Seeded {
    #[inline]
    fn hash(key: &[u8]) -> u64 {
        hash(key)
    }
}
