//! RESP2 and RESP3 as state machines: the request decoder a server needs, the reply
//! encoder, and the reply parser a client needs.
//!
//! Bytes come in as slices and go out into vectors; nothing here owns a socket or a
//! buffer of its own beyond a partially received request's bookkeeping.
//!
//! Source of the format: the Redis protocol specification (redis.io/docs, "RESP").
#![no_std]
#![forbid(unsafe_code)]
#![cfg_attr(not(test), deny(clippy::wildcard_enum_match_arm))]

extern crate alloc;

mod client;
pub mod fuzz;
mod reply;
mod request;
mod whole;

pub use base::words::{UnbalancedQuotes, split_args};
pub use client::{ParseError, Value, encode_command, parse_value};
pub use reply::{Out, Protocol};
pub use request::{Args, Limits, ProtocolError, RequestParser, Span, Status};
pub use whole::Arrival;
