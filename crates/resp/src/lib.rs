//! RESP2 and RESP3: request decoder, reply encoder, client-side reply parser.
#![no_std]
#![forbid(unsafe_code)]
extern crate alloc;
