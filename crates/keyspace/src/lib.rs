//! The persistent store: entries, the hash trie, the databases made of it, O(1) snapshots.
//!
//! Why: snapshots for replicas and disks must cost nothing when they are taken, whatever the size of the data, and little while
//! they are read. So everything that a snapshot sees is shared by reference count and copied by the writer, a small part at a time, only
//! where both still hold it.
//!
//! Idea: see the modules; from the outside in:
//!
//! ```text
//!   Keyspace (all databases) ──► Db ──► Trie ──► Entry (key, expiry, short value) ──► Value (List, Hash, Set, ZSet)
//!        │ snapshot(): one count for each database                                        └─ own tries, trees, chunks
//!        ▼
//!   Snapshot ──► Drain: reads on another thread, gives back what it has passed
//! ```
//! Limits: one thread writes. It owns no socket, file, clock or random source: times and random numbers come in from outside.

#![cfg_attr(not(test), deny(clippy::wildcard_enum_match_arm))]

mod blob;
pub mod btree;
pub mod db;
pub mod entry;
pub mod hash;
mod hasher;
pub mod limits;
pub mod list;
pub mod memory;
mod packed;
pub mod set;
mod size_class;
pub mod snapshot;
mod trail;
pub mod trie;
mod value;
pub mod zset;

pub use db::{Db, Expiry, Trash};
pub use entry::{Entry, INLINE_MAX};
pub use hash::{Hash, HashMut, HashRef};
pub use hasher::{KeyHash, Seeded, hash, seed};
pub use limits::Limits;
pub use list::List;
pub use packed::PackedError;
pub use set::Set;
pub use size_class::size_class;
pub use snapshot::{Keyspace, Snapshot};
pub use trail::{End, Intents};
pub use trie::{Drain, Slot, Trie};
pub use value::{Value, ValueMut, ValueRef, parse_canonical_int};
pub use zset::ZSet;
