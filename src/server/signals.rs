//! Signals: what each of them does. None but SIGKILL ends the server without a word and unsaved.
//!
//! ```text
//!   INT, TERM ─► stop, as `shutdown-on-sigint` and `shutdown-on-sigterm` say
//!   QUIT, XCPU, PWR ─► stop, as SIGTERM
//!   ALRM ─► the stacks of all threads in the log
//!   HUP, USR1, VTALRM, PROF, IO, STKFLT, XFSZ, those of real time ─► a line in the log, nothing else
//!   SEGV, BUS, FPE, ILL, ABRT, SYS, TRAP ─► a report in the log, and the end (`crash`)
//!   PIPE ─► nothing at all: Rust's runtime ignores it
//!   USR2 ─► asks a thread for its stack (`sys::stacks`); from outside nothing
//! ```
//!
//! Redis ignores HUP, PIPE and ALRM; the others that only report here end it at once. XFSZ comes where a file grows beyond a
//! limit: in Redis it hits the child that saves, here it would hit the server. TSTP, TTIN and TTOU stop the process until CONT, as
//! everywhere.

use super::Server;
use super::log::log;
use super::notes::Note;
use signal_hook::consts::{
    SIGALRM, SIGHUP, SIGINT, SIGIO, SIGPROF, SIGQUIT, SIGTERM, SIGUSR1, SIGVTALRM, SIGXCPU, SIGXFSZ,
};
use signal_hook::iterator::Signals;

/// Not among those that signal-hook names; the same on all processors that Linux has but MIPS, SPARC and Alpha.
const SIGSTKFLT: i32 = 16;
const SIGPWR: i32 = 30;
/// The signals of real time that the C library leaves to programs.
const REAL_TIME: std::ops::RangeInclusive<i32> = 34..=64;

/// Those that stop the server, and their names.
const STOPS: [(i32, &str); 5] =
    [(SIGINT, "SIGINT"), (SIGTERM, "SIGTERM"), (SIGQUIT, "SIGQUIT"), (SIGXCPU, "SIGXCPU"), (SIGPWR, "SIGPWR")];

/// Those that only leave a line in the log, and their names.
const IGNORED: [(i32, &str); 7] = [
    (SIGHUP, "SIGHUP"),
    (SIGUSR1, "SIGUSR1"),
    (SIGVTALRM, "SIGVTALRM"),
    (SIGPROF, "SIGPROF"),
    (SIGIO, "SIGIO"),
    (SIGSTKFLT, "SIGSTKFLT"),
    (SIGXFSZ, "SIGXFSZ: a file has reached the limit of its size (ulimit -f)"),
];

/// Takes the signals over. They wait until [`Server::watch_signals`].
///
/// # Errors
/// As of the operating system.
pub fn take() -> Result<Signals, String> {
    let named = STOPS.iter().chain(&IGNORED).map(|(signal, _)| *signal);
    let signals = Signals::new(named.chain([SIGALRM])).map_err(|e| format!("Can't watch for signals: {e}"))?;
    for signal in REAL_TIME {
        // A program that runs this one, as valgrind does, may keep some of them for itself.
        if let Err(error) = signals.add_signal(signal) {
            log!(Debug, "Can't watch for signal {signal}: {error}");
        }
    }
    Ok(signals)
}

/// The name of a signal that stops the server.
pub fn name_of_stop(signal: i32) -> &'static str {
    STOPS.iter().find(|(number, _)| *number == signal).map_or("a signal", |(_, name)| name)
}

impl Server {
    /// Acts upon signals from now on, by a thread of its own.
    pub fn watch_signals(&mut self, mut signals: Signals) -> Result<(), String> {
        let (sender, waker) = (self.notes_sender.clone(), self.net.waker());
        let body = move || {
            for signal in signals.forever() {
                if signal == SIGALRM {
                    super::crash::show_stacks("Received SIGALRM");
                    continue;
                }
                if !STOPS.iter().any(|(number, _)| *number == signal) {
                    let name = IGNORED.iter().find(|(number, _)| *number == signal).map(|(_, name)| *name);
                    match name {
                        Some(name) => log!(Notice, "Received {name}. It changes nothing."),
                        None => log!(Notice, "Received signal {signal}. It changes nothing."),
                    }
                    continue;
                }
                if signal == SIGINT {
                    super::shutdown::insist();
                }
                if sender.send(Note::Signal(signal)).is_err() {
                    return;
                }
                waker.wake();
            }
        };
        std::thread::Builder::new()
            .name("rk-signals".into())
            .spawn(body)
            .map_err(|e| format!("Can't start a thread: {e}"))?;
        Ok(())
    }
}
