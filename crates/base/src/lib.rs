//! What every other crate shares: numbers, ids, glob patterns, packed encodings. It owns no socket, file, clock or random source.
#![no_std]
#![forbid(unsafe_code)]
#![cfg_attr(not(test), deny(clippy::wildcard_enum_match_arm))]
extern crate alloc;

pub mod elem;
pub mod fields;
pub mod fuzz;
pub mod glob;
pub mod intset;
pub mod listpack;
pub mod num;
pub mod rng;
pub mod text;
pub mod words;
