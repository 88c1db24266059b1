//! Commands over the keyspace: dispatch, effects, transactions, Pub/Sub, blocking.
//!
//! See [`engine::Engine`] for the way of a request, [`store::Store`] for the data as handlers
//! see it, [`commands`] for the commands by family.
#![forbid(unsafe_code)]
#![cfg_attr(not(test), deny(clippy::wildcard_enum_match_arm))]

#[cfg(debug_assertions)]
mod audit;
pub mod blocking;
pub mod client;
pub mod client_memory;
pub mod commands;
pub mod compat;
pub mod config;
mod divergence;
pub mod effects;
pub mod engine;
pub mod error;
pub mod eviction;
pub mod fuzz;
pub mod host;
pub mod nearest;
pub mod notify;
pub mod pause;
mod prefixes;
pub mod pubsub;
pub mod rdb;
pub mod spec;
pub mod stats;
pub mod store;
pub mod table;
pub mod tracking;

/// The version of Redis that we report and behave as.
pub const REDIS_VERSION: &str = "7.2.4";
