//! RDB codec: bytes in, visits out; values in, bytes out. It knows no keyspace, and owns no file, socket, clock or thread.
//!
//! - [`reader`] turns a [`source::Source`] of bytes into calls of a [`visitor::Visitor`].
//! - [`writer`] turns values into bytes for a [`writer::Sink`], in the oldest encodings that can carry them.
//! - [`payload`] is the form of one value that `DUMP` gives and `RESTORE` takes.
//! - [`check`] reads a whole file and reports what is in it and what is wrong with it.
#![no_std]
#![forbid(unsafe_code)]
#![cfg_attr(not(test), deny(clippy::wildcard_enum_match_arm))]
extern crate alloc;

pub mod check;
pub mod error;
pub mod format;
pub mod fuzz;
mod legacy;
pub mod lzf;
pub mod payload;
pub mod reader;
pub mod source;
mod value;
pub mod visitor;
pub mod writer;

pub use error::{RdbError, SinkError, SourceError};
pub use source::Source;
pub use writer::Sink;

#[cfg(test)]
extern crate std;
#[cfg(test)]
mod tests;
