//! What can go wrong in `rekindle up`, as whoever runs it reads it.

use std::fmt;
use std::io;
use std::path::PathBuf;

/// Why something could not be done. The first ones end the program, what an [`Action`](super::state::Action) meets is shown on the screen.
#[derive(Debug)]
pub enum Error {
    /// The ports do not fit below 65536.
    PortsTooHigh { option: &'static str },
    /// More replicas than there are ports.
    TooManyReplicas,
    /// Somebody else listens on a port.
    PortInUse { port: u16, option: &'static str },
    /// A folder or a file in it can't be written.
    Folder { path: PathBuf, error: io::Error },
    /// Signals can't be watched for.
    Signals(io::Error),
    /// A thread can't be started; `what` says what it does.
    Thread { what: String, error: io::Error },
    /// The terminal can't be used, or no longer.
    Terminal(io::Error),
    /// Plain lines can't be written, as where their reader is gone.
    Output(io::Error),
    /// A process has ended, or does not answer, while all are being started. `log` is the end of what it has logged.
    NotStarted { port: u16, log: String },
    /// A process can't be started.
    Spawn(io::Error),
    /// A process can't be asked.
    Unreachable(io::Error),
    /// A process answers with an error.
    Refused(String),
    /// A signal can't be sent.
    Signal(io::Error),
    /// The process has ended.
    HasEnded,
    /// No sentinel runs that could be asked.
    NoSentinel,
    /// There is no primary.
    NoPrimary,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PortsTooHigh { option } => write!(f, "the ports would go beyond 65535: choose a lower {option}"),
            Self::TooManyReplicas => write!(f, "that many replicas have no ports: choose fewer with --replicas"),
            Self::PortInUse { port, option } => {
                write!(f, "port {port} is in use; choose another one with {option}, or stop what listens there")
            }
            Self::Folder { path, error } => {
                write!(f, "can't write to the folder {}: {error}; choose another one with --dir", path.display())
            }
            Self::Signals(error) => write!(f, "can't watch for signals: {error}"),
            Self::Thread { what, error } => write!(f, "can't start the thread that {what}: {error}"),
            Self::Terminal(error) => write!(f, "can't use the terminal: {error}; try --plain"),
            Self::Output(error) => write!(f, "can't write to the output: {error}"),
            Self::NotStarted { port, log } => write!(f, "the process on port {port} did not start:\n{log}"),
            Self::Spawn(error) => write!(f, "can't start a process: {error}"),
            Self::Unreachable(error) | Self::Signal(error) => write!(f, "{error}"),
            Self::Refused(error) => write!(f, "{error}"),
            Self::HasEnded => write!(f, "the process has ended"),
            Self::NoSentinel => write!(f, "no sentinel is running"),
            Self::NoPrimary => write!(f, "there is no primary"),
        }
    }
}

impl std::error::Error for Error {}
