//! Sentinel by its interface alone: events in, actions out. What whole groups of them do is in `crates/sim`.
//!
//! Expected texts were taken from Debian's redis-sentinel 7.0.15 (`SENTINEL …` by redis-cli, its log, its file), not from our output.

mod bench;
mod commands;
mod config;
mod monitoring;
mod outside;
