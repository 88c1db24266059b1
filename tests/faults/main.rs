//! Real faults: servers and sentinels, ours and Redis's, on hosts that are network namespaces, with partitions, `kill -9`, frozen
//! processes and restarts, and clients that count what was acknowledged and what of it is lost.
//!
//! Needs root and `ip`; without them the tests print `skipped: …` and pass, or fail where the environment has
//! `REQUIRE_PEERS=1`. Each test has a network of its own, so that all may run at once.

mod net;
#[allow(dead_code)] // The black-box tests use the rest.
#[path = "../it/support/mod.rs"]
mod support;
mod tests;
mod world;
mod writer;
