//! What a sentinel needs before it starts: a configuration file that it may write, and sense in its lines.

use super::{Driver, now};
use crate::server::{files, fill_random};
use ::sentinel::{LogLevel, Sentinel, Setup};
use engine::config::{Config, values};
use std::path::Path;

/// Reads the `sentinel` lines of the file that the settings came from.
///
/// # Errors
/// Text for the operator: no file, a file that cannot be rewritten, a line that makes no sense.
pub fn read(config: &Config) -> Result<Box<Driver>, String> {
    let Some(file) = config.file.as_deref().map(Path::new) else {
        return Err("Sentinel needs a config file on disk, since it keeps what it learns there: \
                    start it as `rekindle sentinel /path/to/sentinel.conf`."
            .into());
    };
    let shown = file.display();
    let text = std::fs::read_to_string(file).map_err(|e| format!("Can't read the config file {shown}: {e}"))?;
    std::fs::OpenOptions::new()
        .append(true)
        .open(file)
        .map_err(|e| format!("Sentinel config file {shown} is not writable: {e}. Sentinel keeps its state there."))?;
    // Without it there are no votes, so whether it can be saved is tried, and not concluded from permissions.
    files::replace(file, text.as_bytes()).map_err(|e| {
        format!("Sentinel config file {shown} cannot be replaced: {e}. Sentinel keeps its state there, and writes a new file beside it first.")
    })?;
    let mut seed = [0; 8];
    fill_random(&mut seed);
    let password = config.requirepass.get();
    let setup = Setup {
        config_text: text,
        port: config.port.get() as u16,
        requirepass: Some(password.to_owned()).filter(|p| !p.is_empty()),
        log_level: level(config.loglevel),
        seed: u64::from_le_bytes(seed),
    };
    let machine = Sentinel::new(setup, now()).map_err(|e| {
        format!("In {shown}:\nReading the configuration file, at line {}\n>>> '{}'\n{}", e.line, e.text, e.reason)
    })?;
    Ok(Box::new(Driver::new(machine, file)))
}

impl Driver {
    /// Whether the scripts that the file names can be executed. Their paths are meant from the folder of the option `dir`, so this is
    /// for when we are there.
    ///
    /// # Errors
    /// Says which one cannot.
    pub fn check_scripts(&self) -> Result<(), String> {
        let all = self.machine.configured_scripts();
        match all.iter().find(|(path, _)| !is_executable(path)) {
            Some((path, complaint)) => Err(format!("{complaint} It is {path}.")),
            None => Ok(()),
        }
    }
}

/// Whether this process may execute a file.
pub fn is_executable(path: &str) -> bool {
    rustix::fs::access(path, rustix::fs::Access::EXEC_OK).is_ok()
}

fn level(setting: values::LogLevel) -> LogLevel {
    match setting {
        values::LogLevel::Debug => LogLevel::Debug,
        values::LogLevel::Verbose => LogLevel::Verbose,
        values::LogLevel::Notice => LogLevel::Notice,
        values::LogLevel::Warning => LogLevel::Warning,
        values::LogLevel::Nothing => LogLevel::Nothing,
    }
}
