//! The configuration file: what the sentinel lines in it mean, and the same file with our state in it.
//!
//! Options may stand before the `monitor` line of the primary that they belong to, so lines are applied in three rounds: options that
//! hold for all, primaries, the rest. See `rewrite.rs` for the way back.

mod rewrite;

pub(crate) use rewrite::{File, level_name};

use crate::addr::{AddrError, is_host, parse_port};
use crate::instance::InstanceId;
use crate::limits::{EPOCH_MAX, NAME_BYTES_MAX};
use crate::state::Sentinel;
use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use base::words::split_args;
use core::fmt;

/// A line that cannot be understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// Its number, from 1.
    pub line: usize,
    /// The line itself.
    pub text: String,
    /// What is wrong with it.
    pub reason: String,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: '{}': {}", self.line, self.text, self.reason)
    }
}

impl core::error::Error for ConfigError {}

/// A sentinel line, split into words, without the word `sentinel`.
#[derive(Debug)]
pub(crate) struct Statement {
    line: usize,
    text: String,
    words: Vec<String>,
}

/// Options that are needed before the first primary is known.
const FIRST: [&str; 9] = [
    "announce-ip",
    "announce-port",
    "deny-scripts-reconfig",
    "sentinel-user",
    "sentinel-pass",
    "current-epoch",
    "myid",
    "resolve-hostnames",
    "announce-hostnames",
];

/// The words of a line if it is a sentinel line.
fn sentinel_words(line: &str) -> Result<Option<Vec<String>>, &'static str> {
    let line = line.trim();
    let ours = line.get(..8).is_some_and(|start| start.eq_ignore_ascii_case("sentinel"));
    if !ours || !line[8..].starts_with([' ', '\t']) && line.len() > 8 {
        return Ok(None);
    }
    let words = split_args(line.as_bytes()).map_err(|_| "Unbalanced quotes in configuration line")?;
    let words: Result<Vec<String>, _> = words.into_iter().skip(1).map(String::from_utf8).collect();
    words.map(Some).map_err(|_| "Not valid UTF-8.")
}

/// Reads a file.
pub(crate) fn parse(text: &str) -> Result<(File, Vec<Statement>), ConfigError> {
    let mut statements = Vec::new();
    for (i, line) in text.lines().enumerate() {
        let fail = |reason: &str| ConfigError { line: i + 1, text: line.trim().to_owned(), reason: reason.to_owned() };
        if let Some(words) = sentinel_words(line).map_err(fail)? {
            if words.is_empty() {
                return Err(fail("Unrecognized sentinel configuration statement."));
            }
            statements.push(Statement { line: i + 1, text: line.trim().to_owned(), words });
        }
    }
    Ok((File::new(text), statements))
}

pub(crate) fn yes_or_no(text: &str) -> Option<bool> {
    match () {
        () if text.eq_ignore_ascii_case("yes") => Some(true),
        () if text.eq_ignore_ascii_case("no") => Some(false),
        () => None,
    }
}

fn positive_ms(text: &str) -> Result<u64, String> {
    let limit = i64::MAX.unsigned_abs() / 1000;
    text.parse().ok().filter(|n| (1..=limit).contains(n)).ok_or_else(|| "negative or zero time parameter.".into())
}

fn epoch(text: &str) -> Result<u64, String> {
    text.parse().ok().filter(|e| *e <= EPOCH_MAX).ok_or_else(|| "Invalid epoch.".into())
}

fn not_empty(text: &str) -> Option<String> {
    Some(text.to_owned()).filter(|t| !t.is_empty())
}

/// Whether `name` can be the name of a primary: it stands in hellos, events and lines.
pub(crate) fn is_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= NAME_BYTES_MAX
        && !name.contains(|c: char| c == ',' || c.is_whitespace() || c.is_control())
}

impl Sentinel {
    /// Applies the sentinel lines of a file.
    pub(crate) fn apply_configuration(&mut self, statements: Vec<Statement>) -> Result<(), ConfigError> {
        let round = |s: &Statement| match s.words[0].to_ascii_lowercase().as_str() {
            "monitor" => 1,
            option if FIRST.contains(&option) => 0,
            _ => 2,
        };
        for number in 0..3 {
            for statement in statements.iter().filter(|s| round(s) == number) {
                self.apply(statement).map_err(|reason| ConfigError {
                    line: statement.line,
                    text: statement.text.clone(),
                    reason,
                })?;
            }
        }
        Ok(())
    }

    /// The scripts that the configuration names, so that the driver can refuse to start if one cannot be executed: path and
    /// what to say.
    pub fn configured_scripts(&self) -> Vec<(String, &'static str)> {
        let mut scripts = Vec::new();
        for id in self.primaries.values() {
            let primary = self.at(*id).primary();
            if let Some(path) = &primary.notification_script {
                scripts.push((path.clone(), "Notification script seems non existing or non executable."));
            }
            if let Some(path) = &primary.client_reconfig_script {
                scripts.push((path.clone(), "Client reconfiguration script seems non existing or non executable."));
            }
        }
        scripts
    }

    fn named(&self, name: &str) -> Result<InstanceId, String> {
        self.primaries.get(name).copied().ok_or_else(|| "No such master with specified name.".into())
    }

    fn apply(&mut self, statement: &Statement) -> Result<(), String> {
        let words: Vec<&str> = statement.words.iter().map(String::as_str).collect();
        let option = words[0].to_ascii_lowercase();
        match (option.as_str(), &words[1..]) {
            ("monitor", [name, host, port, quorum]) => self.apply_monitor(name, host, port, quorum),
            ("current-epoch", [number]) => {
                self.current_epoch = self.current_epoch.max(epoch(number)?);
                Ok(())
            }
            ("myid", [id]) => {
                if id.len() != 40 || !id.bytes().all(|b| b.is_ascii_alphanumeric()) {
                    return Err("Malformed Sentinel id in myid option.".into());
                }
                self.my_id = id.to_string();
                Ok(())
            }
            ("announce-ip", [ip]) => {
                self.options.announce_ip = not_empty(ip);
                Ok(())
            }
            ("announce-port", [port]) => {
                self.options.announce_port = port.parse().map_err(|_| "Invalid port number.")?;
                Ok(())
            }
            ("sentinel-user", [user]) => {
                self.options.auth_user = not_empty(user);
                Ok(())
            }
            ("sentinel-pass", [password]) => {
                self.options.auth_pass = not_empty(password);
                Ok(())
            }
            ("deny-scripts-reconfig", [answer]) => {
                let answer =
                    yes_or_no(answer).ok_or("Please specify yes or no for the deny-scripts-reconfig options.")?;
                self.options.deny_scripts_reconfig = answer;
                Ok(())
            }
            ("resolve-hostnames", [answer]) => {
                let answer = yes_or_no(answer).ok_or("Please specify yes or no for the resolve-hostnames option.")?;
                self.options.resolve_hostnames = answer;
                Ok(())
            }
            ("announce-hostnames", [answer]) => {
                let answer = yes_or_no(answer).ok_or("Please specify yes or no for the announce-hostnames option.")?;
                self.options.announce_hostnames = answer;
                Ok(())
            }
            // The form without run id is of old versions: the sentinel will introduce itself.
            ("known-sentinel", [_, _, _]) => Ok(()),
            (option, [name, values @ ..]) => self.apply_to_primary(option, name, values),
            (_, []) => Err("Unrecognized sentinel configuration statement.".into()),
        }
    }

    fn apply_monitor(&mut self, name: &str, host: &str, port: &str, quorum: &str) -> Result<(), String> {
        let quorum = quorum.parse().ok().filter(|q| *q >= 1).ok_or("Quorum must be 1 or greater.")?;
        if !is_name(name) {
            return Err("Invalid master name.".into());
        }
        let port = parse_port(port).ok_or("Invalid port number.")?;
        if self.primaries.contains_key(name) {
            return Err("Duplicate master name.".into());
        }
        let addr = self.address(host, port).map_err(|e| address_reason(e).to_string())?;
        self.add_primary(name, addr, quorum);
        Ok(())
    }

    fn apply_to_primary(&mut self, option: &str, name: &str, values: &[&str]) -> Result<(), String> {
        let unknown = || String::from("Unrecognized sentinel configuration statement.");
        match (option, values) {
            ("known-slave" | "known-replica", [host, port]) => {
                let owner = self.named(name)?;
                let port = parse_port(port).ok_or("Invalid port number.")?;
                let addr = self.address(host, port).map_err(|e| address_reason(e).to_string())?;
                if self.find_replica(owner, &addr).is_some() {
                    return Err("Duplicate hostname and port for replica.".into());
                }
                self.add_replica(owner, addr);
                return Ok(());
            }
            ("known-sentinel", [host, port, run_id]) => {
                let owner = self.named(name)?;
                // A port 0 was written for a sentinel whose address was taken by another.
                let Some(port) = parse_port(port) else {
                    return if *port == "0" { Ok(()) } else { Err("Invalid port number.".into()) };
                };
                let addr = self.address(host, port).map_err(|e| address_reason(e).to_string())?;
                if self.at(owner).primary().sentinels.contains_key(*run_id) {
                    return Err("Duplicate runid for sentinel.".into());
                }
                self.add_sentinel(owner, run_id, addr);
                return Ok(());
            }
            ("rename-command", [from, to]) => {
                let owner = self.named(name)?;
                let renamed = &mut self.at_mut(owner).primary_mut().renamed;
                let entry = (from.to_string(), to.to_string());
                return match renamed.insert(from.to_ascii_uppercase(), entry) {
                    None => Ok(()),
                    Some(_) => Err("Same command renamed multiple times with rename-command.".into()),
                };
            }
            _ => {}
        }
        let [value] = values else { return Err(unknown()) };
        const KNOWN: [&str; 11] = [
            "down-after-milliseconds",
            "failover-timeout",
            "parallel-syncs",
            "notification-script",
            "client-reconfig-script",
            "auth-pass",
            "auth-user",
            "config-epoch",
            "leader-epoch",
            "master-reboot-down-after-period",
            "primary-reboot-down-after-period",
        ];
        if !KNOWN.contains(&option) {
            return Err(unknown());
        }
        let owner = self.named(name)?;
        let primary = self.at_mut(owner).primary_mut();
        match option {
            "down-after-milliseconds" => primary.down_after_ms = positive_ms(value)?,
            "failover-timeout" => primary.failover_timeout_ms = positive_ms(value)?,
            "parallel-syncs" => {
                primary.parallel_syncs = value.parse().map_err(|_| "Invalid number of parallel syncs.")?
            }
            "notification-script" => primary.notification_script = not_empty(value),
            "client-reconfig-script" => primary.client_reconfig_script = not_empty(value),
            "auth-pass" => primary.auth_pass = not_empty(value),
            "auth-user" => primary.auth_user = not_empty(value),
            "leader-epoch" => primary.vote.epoch = epoch(value)?,
            "config-epoch" => {
                primary.config_epoch = epoch(value)?;
                self.current_epoch = self.current_epoch.max(self.at(owner).primary().config_epoch);
            }
            _ => {
                let ms = value.parse().ok().filter(|ms: &i64| *ms >= 0).ok_or("negative time parameter.")?;
                primary.reboot_down_after_ms = ms.unsigned_abs();
            }
        }
        Ok(())
    }
}

/// What to say about an address that cannot be used.
pub(crate) fn address_reason(error: AddrError) -> &'static str {
    match error {
        AddrError::Host => "Can't resolve instance hostname.",
    }
}

/// `word`, quoted if the file would not give it back otherwise.
pub(crate) fn word(text: &str) -> String {
    let plain =
        !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b'"' | b'\'' | b'\\' | b'#'));
    if plain || (is_host(text) && !text.is_empty()) { text.to_owned() } else { base::text::quoted(text.as_bytes()) }
}

/// A sentinel line of the file.
pub(crate) fn line(words: &[&str]) -> String {
    words.iter().fold(String::from("sentinel"), |line, w| format!("{line} {}", word(w)))
}
