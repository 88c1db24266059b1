//! A world for sentinels to be tested in, in virtual time and from one seed.
//!
//! ```text
//!   seed ─► Plan: sizes, tunables, a list of faults ─► World: sentinels, servers, clients,  ─► trace
//!             (printed, and cut down by shrinking)            network, disks                     │ observations
//!                                                                                               ▼
//!                                                             Checker: safety, at every step; liveness, at the end
//! ```
//!
//! A run has two phases, as TigerBeetle's simulator has: in the *safety* phase anything may fail, and nothing wrong may happen; then
//! everything but perhaps one primary is healed, and in the *liveness* phase all must agree on one primary within a bound that
//! follows from the plan.
//!
//! Real sentinels (`crates/sentinel`) run in it, driven as the binary drives them. Servers are a model (`server.rs`): roles,
//! replication ids and offsets, what Sentinel sends and reads. The checkers (`check.rs`) see what goes over the wire
//! and what was synced, and share no code with Sentinel.
//!
//! - [`explore`] runs seeds and, where one fails, shrinks it and says how to repeat it.
//! - [`world::World`] is also the stage of hand-written scenarios; see `tests/scenarios.rs`.

#![cfg_attr(not(test), deny(clippy::wildcard_enum_match_arm))]

pub mod check;
pub mod explore;
pub mod faults;
pub mod net;
pub mod node;
pub mod plan;
mod serve;
pub mod server;
pub mod world;

pub use check::Violation;
pub use plan::Plan;
pub use world::World;

/// Simulated milliseconds since the beginning.
pub type Time = u64;
