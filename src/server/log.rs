//! The server's log, line for line in the form that operators and tools know from Redis:
//! `PID:ROLE DD Mon YYYY HH:MM:SS.mmm LEVEL text`.
//!
//! Lines go to standard output or to a file that is opened anew for each line, so that it can
//! be moved away while the server runs.

use engine::config::values::LogLevel;
use std::fs::OpenOptions;
use std::io::Write;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Mutex, OnceLock};

static MINIMUM: AtomicU8 = AtomicU8::new(2);
static ROLE: AtomicU8 = AtomicU8::new(b'M');
static FILE: Mutex<Option<String>> = Mutex::new(None);
static SYSLOG: OnceLock<super::process::Syslog> = OnceLock::new();

/// How much a line matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// For developers.
    Debug,
    /// For those who look closely.
    Verbose,
    /// What an operator wants to know.
    Notice,
    /// What an operator must know.
    Warning,
}

/// Sets the least level that is logged.
pub fn set_level(level: LogLevel) {
    let minimum = match level {
        LogLevel::Debug => 0,
        LogLevel::Verbose => 1,
        LogLevel::Notice => 2,
        LogLevel::Warning => 3,
        LogLevel::Nothing => 4,
    };
    MINIMUM.store(minimum, Ordering::Relaxed);
}

/// Sets the file; an empty name means standard output.
pub fn set_file(path: &str) {
    let mut file = FILE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    *file = (!path.is_empty()).then(|| path.to_owned());
}

/// From now on lines go to syslog too.
pub fn set_syslog(syslog: super::process::Syslog) {
    // It is opened once, at the start.
    let _ = SYSLOG.set(syslog);
}

/// Sets the letter that tells the process's role: `M` primary, `S` replica, `X` sentinel.
pub fn set_role(role: u8) {
    ROLE.store(role, Ordering::Relaxed);
}

/// Whether lines of this level are written.
pub fn enabled(level: Level) -> bool {
    level as u8 >= MINIMUM.load(Ordering::Relaxed)
}

/// Writes a line.
pub fn write(level: Level, text: &str) {
    if !enabled(level) {
        return;
    }
    let mark = [".", "-", "*", "#"][level as usize];
    let now = jiff::Zoned::now();
    let role = ROLE.load(Ordering::Relaxed) as char;
    let line = format!("{}:{role} {} {mark} {text}\n", std::process::id(), now.strftime("%d %b %Y %H:%M:%S%.3f"));
    raw(&line);
    if let Some(syslog) = SYSLOG.get() {
        syslog.send([7, 6, 5, 4][level as usize], text);
    }
}

/// Writes text as it is (the banner at the start).
pub fn raw(text: &str) {
    let file = FILE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    // A log that cannot be written must not stop the server.
    let _ = match &*file {
        None => std::io::stdout().write_all(text.as_bytes()),
        Some(path) => {
            OpenOptions::new().create(true).append(true).open(path).and_then(|mut f| f.write_all(text.as_bytes()))
        }
    };
}

/// `log!(Level::Notice, "text {}", value)`.
macro_rules! log {
    ($level:ident, $($arg:tt)*) => {
        if $crate::server::log::enabled($crate::server::log::Level::$level) {
            $crate::server::log::write($crate::server::log::Level::$level, &format!($($arg)*));
        }
    };
}
pub(crate) use log;
