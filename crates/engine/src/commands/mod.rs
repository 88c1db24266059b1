//! The commands, by family. Each family's module lists its handlers by name; the facts of the
//! commands (arity, flags, keys) are in the table of [`crate::spec`].
//!
//! A handler gets the engine and the request. It reads its arguments with the helpers of
//! [`options`], looks and changes through [`crate::store::Store`], writes its reply to
//! `engine.out`, says once what it changed with `store.changed`, and names other effects
//! (`store.fx.rewrite`) where a replay of the request would not give the same. It checks
//! everything before it changes anything.

use crate::engine::Engine;
use crate::error::Result;
use crate::table::Run;

mod client;
mod command;
pub mod connection;
mod dump;
mod expire;
mod hashes;
mod keys;
mod lists;
mod lists_blocking;
pub mod options;
mod outside;
mod pubsub;
mod sampling;
mod scan;
mod server;
mod set_algebra;
mod sets;
mod sort;
mod sorted_sets;
mod strings;
mod transactions;

pub use command::summary;
pub use outside::SENTINEL;

/// Handlers by command name; subcommands as `container|name`.
pub type Family = &'static [(&'static str, Run)];

/// All families.
pub static FAMILIES: &[Family] = &[
    client::COMMANDS,
    command::COMMANDS,
    connection::COMMANDS,
    dump::COMMANDS,
    expire::COMMANDS,
    hashes::COMMANDS,
    keys::COMMANDS,
    lists::COMMANDS,
    lists_blocking::COMMANDS,
    outside::COMMANDS,
    pubsub::COMMANDS,
    scan::COMMANDS,
    server::COMMANDS,
    set_algebra::COMMANDS,
    sets::COMMANDS,
    sort::COMMANDS,
    sorted_sets::COMMANDS,
    strings::COMMANDS,
    transactions::COMMANDS,
];

/// Replies with an element of a container as a string.
#[inline]
fn bulk_elem(out: &mut resp::Out, elem: base::listpack::Elem<'_>) {
    match elem {
        base::listpack::Elem::Bytes(bytes) => out.bulk(bytes),
        base::listpack::Elem::Int(n) => out.bulk_int(n),
    }
}

/// The encoding of an entry's value, as `OBJECT ENCODING` names it.
pub fn encoding_of(entry: &keyspace::Entry) -> &'static str {
    use keyspace::ValueRef::*;
    /// The longest string that Redis embeds in its object.
    const EMBEDDED_MAX: usize = 44;
    match entry.value() {
        Int(_) | Score(_) => "int",
        None => "embstr",
        Bytes(bytes) if bytes.len() <= EMBEDDED_MAX && !entry.is_edited() => "embstr",
        Bytes(_) => "raw",
        List(list) => list.encoding(),
        Set(set) => set.encoding(),
        ZSet(zset) => zset.encoding(),
        Hash(hash) => hash.encoding(),
    }
}

/// Replies with the help of a container command: each subcommand's form and what it does.
pub fn help(e: &mut Engine, container: &str, lines: &[(&str, &str)]) -> Result {
    e.out.array(lines.len() * 2 + 3);
    e.out.simple(&format!("{container} <subcommand> [<arg> [value] [opt] ...]. Subcommands are:"));
    for (form, meaning) in lines.iter().chain(&[("HELP", "Print this help.")]) {
        e.out.simple(form);
        e.out.simple(&format!("    {meaning}"));
    }
    Ok(())
}
