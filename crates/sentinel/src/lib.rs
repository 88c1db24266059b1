//! Redis Sentinel as a pure state machine, wire-compatible with Redis Sentinel 7.2.
//!
//! A group of sentinels watches a primary and its replicas, agrees that the primary is dead, elects one of its members,
//! and that one makes the best replica the new primary, points the others at it and tells everybody.
//!
//! ```text
//!                 ┌───────────────────────── Sentinel ─────────────────────────┐
//!   Event ───────►│ monitoring half (always)      acting half (not in TILT)    │───────► Action
//!   + the time    │  links, PING, INFO, hello  ─►  sdown ─► odown ─► election  │   connect, send, save,
//!                 │  discovery                      ─► fail-over, repairs      │   answer, emit, run …
//!                 └────────────────────────────────────────────────────────────┘
//! ```
//!
//! It owns no socket, file, process or clock and starts no thread; chance comes in as a seed. The driver calls
//!
//! 1. [`Sentinel::handle`] for everything that happens, with the time;
//! 2. [`Sentinel::poll_action`] until it has nothing more to be done, in this order, after each call of `handle`
//!    (and once after [`Sentinel::new`]);
//! 3. [`Sentinel::next_deadline`], and `handle(now, Event::Tick)` at that moment at the latest.
//!
//! Where it departs from Redis on purpose, without a difference on the wire:
//!
//! - *Epochs are saved before they are shown.* A vote, a hello or a request that reveals an epoch waits until the
//!   configuration file with that epoch is on the disk. Redis writes it too, but goes on when the write fails.
//! - *No 10 Hz timer.* Each instance has its next deadline; what arrives is acted upon at once. A fail-over then takes
//!   a few round trips after the primary is found dead, not a few timer ticks. See [`Sentinel`] for the periods.
//! - *A plain `SENTINEL FAILOVER` loses no acknowledged write*: a reachable primary is paused until the chosen replica has
//!   everything (`handover.rs`). An old primary that comes back is told at once (`repair.rs` says why that is safe).
//! - *What others say is bounded*: known instances per primary, sizes, epochs (`limits.rs`).
//!
//! Limits: names, passwords and paths are UTF-8. TLS is the driver's business.
//!
//! Sources: the Redis documentation ("High availability with Redis Sentinel", "Sentinel client spec") and the behaviour
//! of Redis 7.2; facts were checked against Valkey's BSD-licensed source. For what a majority in one epoch
//! guarantees: Ongaro and Ousterhout, "In Search of an Understandable Consensus Algorithm", 2014.
#![no_std]
#![forbid(unsafe_code)]
#![cfg_attr(not(test), deny(clippy::wildcard_enum_match_arm))]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod addr;
mod api;
mod commands;
mod config;
mod elect;
mod events;
mod failover;
pub mod fuzz;
mod handover;
mod hello;
mod info;
mod instance;
pub mod limits;
mod links;
mod monitor;
mod refresh;
mod repair;
mod saving;
mod scripts;
mod select;
mod state;

pub use api::{Action, ClientId, Event, LinkId, LogLevel, Millis, Reply, SaveId, ScriptEnd, ScriptId, Setup};
pub use config::ConfigError;
pub use hello::{Hello, HelloError};
pub use info::{InfoReport, Role};
pub(crate) use instance::InstanceId;
pub use state::{PrimaryView, Sentinel};
