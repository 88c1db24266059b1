//! The replication log and both roles of PSYNC as state machines.
#![no_std]
#![forbid(unsafe_code)]
extern crate alloc;
