//! Where a server's data stands, the replication log, and both roles of `PSYNC` as state machines.
//!
//! ```text
//!   effects ─► Log ─┬─► replica A (cursor)        one stream of bytes, one offset,
//!                   ├─► replica B (cursor)        many readers
//!                   └─► back-log window: what a partial resync can still be given
//!
//!   Node:     role, history and log as one state: follow, promote, adopt, record, receive, …
//!   primary:  Node::decide(PSYNC id offset) ─► Continue | FullResync
//!   replica:  Handshake: PING, AUTH, REPLCONF …, PSYNC ─► FullResync | Continue
//! ```
//!
//! Positions count the bytes written before them; Redis's offsets are the same number: the
//! offset of a primary is the position after its last byte. A replica that has applied
//! everything up to offset `n` asks for `n + 1`, the first byte that it lacks.
//!
//! Source: the Redis documentation, "Redis replication"; the exchange as Redis 7.2 speaks it.
#![no_std]
#![forbid(unsafe_code)]
#![cfg_attr(not(test), deny(clippy::wildcard_enum_match_arm))]

extern crate alloc;

pub mod fuzz;
mod handshake;
mod history;
mod log;
mod node;

pub use handshake::{Capabilities, Handshake, HandshakeError, Identity, Step};
pub use history::{Decision, History, Refusal, ReplicationId};
pub use log::Log;
pub use node::Node;
