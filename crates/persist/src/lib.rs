//! RDB codec: bytes in, visits out; values in, bytes out. It knows no keyspace.
#![no_std]
#![forbid(unsafe_code)]
extern crate alloc;
