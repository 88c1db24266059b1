//! What goes in and what comes out: the whole interface between Sentinel and the world.
//!
//! The driver owns sockets, files, processes, names and clocks. It tells what happened with [`Event`]s and does what
//! [`Action`]s say. Everything that can wake Sentinel or that it can do to the world is on this page.
//!
//! A *link* is one connection, made by [`Action::Connect`]. Its id is never used again, so what still arrives for a link
//! that Sentinel has closed is ignored, and the driver needs no care for such races.

use alloc::string::String;
use alloc::vec::Vec;
use core::net::IpAddr;

/// The moment of an event, in milliseconds. All periods and time limits are measured on the monotonic clock; the wall
/// clock is compared with it to find jumps (TILT) and printed in one log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Millis {
    /// A clock that never goes back.
    pub monotonic: u64,
    /// Time since 1970.
    pub wall: i64,
}

/// A connection to a server or to another sentinel. Never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkId(pub u64);

/// A client of this sentinel, as the driver numbers them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClientId(pub u64);

/// One save of the configuration; later ones have greater ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SaveId(pub u64);

/// One run of a script. Never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ScriptId(pub u64);

/// How important a log line is, as in `loglevel`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    /// For developers; such events are logged only, not published.
    Debug,
    /// Details.
    Verbose,
    /// What happens in normal operation.
    Notice,
    /// What an operator should see; such events also run the notification script.
    Warning,
    /// Only as a setting: log nothing.
    Nothing,
}

/// A value of the protocol: what a server answered, or what a client is to be answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// A status line.
    Status(Vec<u8>),
    /// An error line, with its code (`ERR …`), without the leading `-`.
    Error(Vec<u8>),
    /// An integer.
    Int(i64),
    /// A string of bytes; RESP3's verbatim strings as well.
    Bulk(Vec<u8>),
    /// No value: `$-1` in RESP2, `_` in RESP3.
    Null,
    /// No array: `*-1` in RESP2, `_` in RESP3.
    NullArray,
    /// An array; RESP3's sets and pushes as well.
    Array(Vec<Reply>),
    /// Names and values: a flat array in RESP2.
    Map(Vec<(Reply, Reply)>),
}

/// How a script ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScriptEnd {
    /// It exited by itself.
    Exited(i32),
    /// A signal killed it.
    Signalled(i32),
    /// The process could not be made. (A path that cannot be executed is `Exited(2)`: it is not tried again.)
    NotStarted,
}

/// What happened outside.
#[derive(Clone, Debug)]
pub enum Event {
    /// The deadline of [`crate::Sentinel::next_deadline`] has come. Harmless at any time.
    Tick,
    /// A link asked for by [`Action::Connect`] is open; `local` is our own address on it.
    LinkOpened {
        /// Which one.
        link: LinkId,
        /// Our end of it, told to the others where no `announce-ip` is set.
        local: IpAddr,
    },
    /// A link could not be made or is gone, by the other side or by an error. Not sent for links that
    /// [`Action::Close`] closed.
    LinkClosed {
        /// Which one.
        link: LinkId,
        /// Why, for the log.
        reason: String,
    },
    /// A complete value came in on a link: the reply to the oldest unanswered command of the link or, on a Pub/Sub
    /// link, anything that the server pushes.
    Received {
        /// Where.
        link: LinkId,
        /// What.
        reply: Reply,
    },
    /// A client sent `SENTINEL …`, `PUBLISH …` or `ROLE`. Every one is answered by exactly one [`Action::Answer`], in
    /// order for each client, though perhaps later. Meanwhile the driver holds back its own answers to that client (to a
    /// PING, say), since the protocol knows answers by their order alone.
    Command {
        /// Who.
        client: ClientId,
        /// The command's name and arguments.
        args: Vec<Vec<u8>>,
    },
    /// A client is gone; answers that it still waits for are dropped.
    ClientGone {
        /// Who.
        client: ClientId,
    },
    /// A save has ended. Without error the text is on the disk, *synced*, with the directory entry: votes depend on it.
    Saved {
        /// Which one.
        save: SaveId,
        /// Why it failed.
        error: Option<String>,
    },
    /// A script runs as this process.
    ScriptStarted {
        /// Which one.
        script: ScriptId,
        /// Its process, for people.
        pid: i64,
    },
    /// A script has ended.
    ScriptEnded {
        /// Which one.
        script: ScriptId,
        /// How.
        end: ScriptEnd,
    },
    /// The answer to [`Action::Resolve`].
    Resolved {
        /// The name as it was asked for.
        name: String,
        /// Its address, if it has one.
        address: Option<IpAddr>,
    },
    /// The answer to [`Action::CheckExecutable`].
    Executable {
        /// The path as it was asked for.
        path: String,
        /// Whether this process may execute it.
        executable: bool,
    },
}

/// What is to be done outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Open a connection, without blocking; report it opened or closed.
    Connect {
        /// The name of the connection from now on.
        link: LinkId,
        /// Where to.
        address: IpAddr,
        /// The port there.
        port: u16,
    },
    /// Close a connection and forget it. What it still sends is of no interest.
    Close {
        /// Which one.
        link: LinkId,
    },
    /// Send a command on an open link.
    Send {
        /// Where.
        link: LinkId,
        /// Its name and arguments.
        args: Vec<Vec<u8>>,
    },
    /// Replace the configuration file by this text: write a temporary file beside it, sync it, rename it, sync the
    /// directory; then report. There is never more than one save under way.
    Save {
        /// To be named in the report.
        save: SaveId,
        /// The whole file.
        text: String,
    },
    /// Answer a client's command.
    Answer {
        /// Whom.
        client: ClientId,
        /// What.
        reply: Reply,
    },
    /// Something happened that people and programs watch for: log `"{name} {text}"` at `level` if that is logged, and, unless
    /// the level is `Debug`, publish `text` on the channel `name`.
    Emit {
        /// How important.
        level: LogLevel,
        /// `+sdown` and so on.
        name: &'static str,
        /// The rest of the line.
        text: String,
    },
    /// A line for the log only.
    Log {
        /// How important.
        level: LogLevel,
        /// The line.
        text: String,
    },
    /// Log only from this level on.
    SetLogLevel(LogLevel),
    /// Start a process with these arguments (the first is the path), our environment and no descriptors beyond 0–2; report
    /// that it started, and how it ended.
    RunScript {
        /// To be named in the reports.
        script: ScriptId,
        /// Path and arguments.
        argv: Vec<String>,
    },
    /// Kill a script's process (SIGKILL); its end is reported as usual.
    KillScript {
        /// Which one.
        script: ScriptId,
    },
    /// Find the address of a host name, without blocking; report it.
    Resolve {
        /// The name.
        name: String,
    },
    /// Find out whether a path may be executed; report it.
    CheckExecutable {
        /// The path.
        path: String,
    },
    /// End the process at once, as after a crash (`SENTINEL SIMULATE-FAILURE`).
    Exit {
        /// The exit status.
        status: i32,
    },
}

/// What Sentinel has to know of the process it runs in.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The configuration file as it is now: all of it, not only the sentinel lines. It may be empty.
    pub config_text: String,
    /// The port that the others shall reach us on, unless `announce-port` says otherwise.
    pub port: u16,
    /// `requirepass` of this sentinel; also the password for other sentinels if there is no `sentinel-pass`.
    pub requirepass: Option<String>,
    /// The log level in force, for `SENTINEL CONFIG GET loglevel`.
    pub log_level: LogLevel,
    /// Chance, for a new sentinel's id and for delays. Runs with the same seed and events are the same.
    pub seed: u64,
}
