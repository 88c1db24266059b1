//! The commands whose work is outside the engine.

pub mod config;
pub mod debug;
pub mod info;
pub mod memory;
pub mod persistence;
pub mod replication;
