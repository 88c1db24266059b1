//! The server: wires the engine to sockets, files, threads, signals and the clock.
//!
//! [`event_loop`] is the heart; [`outside`] is what commands reach beyond the engine;
//! [`replicas`] and [`link`] are the two sides of replication; [`saving`] writes and loads
//! data files; [`settings`] reads the settings, [`startup`] opens the sockets. [`sentinel`] is what makes
//! a sentinel of the same loop.

mod clock;
mod commands;
mod conns;
mod crash;
mod event_loop;
mod failover;
mod files;
mod freer;
mod hint;
mod input;
mod limits;
mod link;
mod listening;
pub mod log;
mod notes;
mod output;
mod outside;
mod pace;
mod process;
mod receive;
mod replicas;
mod saving;
mod sentinel;
mod settings;
mod shutdown;
mod signals;
mod spill;
mod startup;
mod timers;
mod worker;

use conns::Conns;
use engine::engine::Engine;
use freer::Freer;
use net::{ConnId, DataSlot, Net};
use notes::Note;
use outside::Outside;
use std::process::ExitCode;
use std::sync::mpsc::{Receiver, Sender};

pub use startup::{main, sentinel_main};

pub use engine::REDIS_VERSION;

/// The server.
pub struct Server {
    net: Net,
    conns: Conns,
    engine: Engine,
    outside: Outside,
    batch: event_loop::Batch,
    freer: Freer,
    /// Listening sockets.
    listeners: Vec<listening::Listener>,
    /// Connections whose kept input is to be run in the next round.
    resumed: Vec<ConnId>,
    /// Buffers that came for connections already in the batch.
    late: Vec<(ConnId, DataSlot)>,
    /// Connections that ended while requests of theirs were in the batch.
    leaving: Vec<(ConnId, Option<std::io::Error>)>,
    /// Connections that may have something to send.
    touched: Vec<ConnId>,
    notes: Receiver<Note>,
    notes_sender: Sender<Note>,
    /// When the timers run next, Unix milliseconds.
    next_tick_ms: i64,
    /// When they last ran for a whole second, Unix milliseconds, and how many seconds ran.
    second_ms: i64,
    seconds: u64,
    /// DEBUG SLEEP, after connections have been closed and before replies are sent.
    sleep_first: Option<std::time::Duration>,
    /// Set when the loop is to end.
    exit: Option<ExitCode>,
}

/// What a listening socket is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Listening {
    /// TCP clients.
    Tcp,
    /// Clients over a Unix socket.
    Unix,
}

/// Fills `bytes` from the operating system's chance: the one place where randomness comes in.
pub fn fill_random(bytes: &mut [u8]) {
    getrandom::fill(bytes).expect("the operating system gives random bytes");
}
