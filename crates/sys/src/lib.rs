//! What the server asks of the operating system that safe Rust has no words for: handlers of the signals of a crash
//! with the stacks of all threads ([`stacks`]), the name under which `ps` shows the process ([`title`]), and the
//! processor's counter ([`counter`]).
//!
//! Linux only, like the server. Nothing here knows what the server does.

#![cfg_attr(not(test), deny(clippy::wildcard_enum_match_arm))]

pub mod counter;
pub mod stacks;
pub mod title;
