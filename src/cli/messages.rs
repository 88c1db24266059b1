//! Messages of subscriptions in the interactive session, until somebody wants to type.
//!
//! On a terminal, keys are not echoed meanwhile: the first one stays unread for the prompt, which draws it where it belongs.
//! That holds for Ctrl-C, too.

use super::format::Style;
use super::session::Session;
use ratatui::crossterm::terminal;
use resp::Value;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::io::{self, Write};

const READING: &str = "Reading messages... (press Ctrl-C to quit or any key to type command)";
const ERASE: &str = "\x1b[K";

/// Where commands come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keys {
    /// A person.
    Terminal,
    /// A program; whether a line of it has been read already.
    Pipe {
        /// Whether one has.
        has_line: bool,
    },
}

/// A terminal that gives each key at once and shows none, until this is dropped.
struct Quiet;

impl Quiet {
    fn new(keys: Keys) -> Option<Self> {
        (keys == Keys::Terminal && terminal::enable_raw_mode().is_ok()).then_some(Self)
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        let _ = terminal::disable_raw_mode();
    }
}

/// A quiet terminal does not return to the first column at a line feed.
fn with_returns(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() + text.len() / 8);
    for byte in text {
        if *byte == b'\n' {
            out.push(b'\r');
        }
        out.push(*byte);
    }
    out
}

/// What is shown while no message comes; the next text is written over it.
fn status(keys: Keys) -> String {
    let coloured = keys == Keys::Terminal && std::env::var("TERM").is_ok_and(|term| term.contains("xterm"));
    if coloured { format!("\x1b[1;90m{READING}\r\x1b[0m") } else { format!("{READING}\r") }
}

/// Prints messages until a command can be read or typed.
///
/// # Errors
/// The connection failed; in words.
pub fn follow(session: &mut Session, keys: Keys) -> Result<(), String> {
    let quiet = Quiet::new(keys);
    let people = session.options.style == Style::People;
    let show = |text: &str| {
        if people {
            print!("{text}");
            let _ = io::stdout().flush();
        }
    };
    let status = status(keys);
    show(&status);
    while let Some(connection) = session.connection.as_ref() {
        let buffered = connection.has_buffered();
        let person = keys == Keys::Terminal;
        if !buffered && keys == (Keys::Pipe { has_line: true }) {
            break;
        }
        if !buffered || person {
            let stdin = io::stdin();
            let mut fds =
                [PollFd::new(&stdin, PollFlags::IN), PollFd::from_borrowed_fd(connection.fd(), PollFlags::IN)];
            let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
            if poll(&mut fds, buffered.then_some(&at_once)).is_err() {
                continue;
            }
            let [typed, came] = [0, 1].map(|i: usize| !fds[i].revents().is_empty());
            // A person is heard in a flood of messages as well; a program has all of them before its next line.
            if typed && (person || !came) {
                break;
            }
            if !buffered && !came {
                continue;
            }
        }
        let message = match session.read_next() {
            Ok(message) => message,
            Err(error) => {
                show(ERASE);
                session.subscribed = 0;
                return Err(error);
            }
        };
        show(ERASE);
        let text = session.printed(&message, false);
        let mut stdout = io::stdout().lock();
        let _ = match &quiet {
            Some(Quiet) => stdout.write_all(&with_returns(&text)),
            None => stdout.write_all(&text),
        };
        let _ = stdout.flush();
        drop(stdout);
        if matches!(message, Value::Array(_) | Value::Push(_)) {
            session.note(&message);
        }
        if !session.connection.as_ref().is_some_and(|c| c.has_buffered()) {
            show(&status);
        }
    }
    show(ERASE);
    Ok(())
}
