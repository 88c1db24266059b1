//! CONFIG GET, SET, REWRITE, RESETSTAT.

use crate::server::log::{self, log};
use crate::server::outside::{Outside, Todo};
use base::glob::glob_matches;
use engine::config::{self, OPTIONS, OptionSpec};
use engine::engine::Engine;
use engine::error::{self, Error, Result};
use resp::Args;
use std::collections::BTreeMap;

/// CONFIG GET pattern …
pub fn get(e: &mut Engine, a: &Args) -> Result {
    let mut found: BTreeMap<&str, String> = BTreeMap::new();
    for pattern in a.iter_from(2) {
        let exact = !pattern.iter().any(|b| b"*?[".contains(b));
        for option in OPTIONS {
            for name in option.names() {
                let matches = if exact {
                    name.as_bytes().eq_ignore_ascii_case(pattern)
                } else {
                    glob_matches(pattern, name.as_bytes(), true)
                };
                if matches && (exact || !option.mutability.is_hidden()) {
                    found.insert(name, option.show(&e.config));
                }
            }
        }
    }
    e.out.map(found.len());
    for (name, value) in found {
        e.out.bulk(name.as_bytes());
        e.out.bulk(value.as_bytes());
    }
    Ok(())
}

fn refused(name: &[u8], reason: &str) -> Error {
    Error::quoting("ERR CONFIG SET failed (possibly related to argument '", name, &format!("') - {reason}"))
}

/// CONFIG SET name value … : all of them or none.
pub fn set(o: &mut Outside, e: &mut Engine, a: &Args) -> Result {
    if !a.len().is_multiple_of(2) {
        return Err(error::SYNTAX);
    }
    let mut chosen: Vec<(&'static OptionSpec, &[u8])> = Vec::new();
    for i in (2..a.len()).step_by(2) {
        let name = &a[i];
        let Some(option) = config::find(name) else {
            return Err(Error::quoting("ERR Unknown option or number of arguments for CONFIG SET - '", name, "'"));
        };
        if !option.mutability.is_live() {
            return Err(refused(name, "can't set immutable config"));
        }
        let loading = o.loading_since_ms.is_some() || o.link.is_loading();
        if loading && matches!(option.name, "dir" | "dbfilename" | "appendonly") {
            return Err(error::LOADING);
        }
        if is_protected(option.name) && !protected_allowed(e) {
            return Err(refused(name, "can't set protected config"));
        }
        if chosen.iter().any(|(o, _)| std::ptr::eq(*o, option)) {
            return Err(refused(name, "duplicate parameter"));
        }
        chosen.push((option, name));
    }
    let mut next = e.config.clone();
    for (n, (option, name)) in chosen.iter().enumerate() {
        let value = &a[3 + 2 * n];
        let words: Vec<Vec<u8>> = if option.takes_many() {
            resp::split_args(value).map_err(|_| refused(name, "unbalanced quotes"))?
        } else {
            vec![value.to_vec()]
        };
        let words: Vec<&[u8]> = words.iter().map(|w| &w[..]).collect();
        option.parse(&mut next, &words).map_err(|reason| refused(name, &reason))?;
    }
    for (option, name) in &chosen {
        if let Some(missing) = next.lacking(option.name) {
            return Err(refused(name, &format!("{}. {}.", missing.reason(), missing.advice())));
        }
    }
    // Sockets come last: what else is refused then leaves them alone.
    let (sockets, others): (Vec<_>, Vec<_>) = chosen.iter().partition(|(o, _)| matches!(o.name, "port" | "bind"));
    let mut applied = Vec::new();
    for (option, name) in others.into_iter().chain(sockets) {
        // What already is as asked for needs nothing done.
        if option.show(&next) == option.show(&e.config) {
            continue;
        }
        if let Err(reason) = apply_outside(o, option.name, &mut next) {
            // All of them or none: what has been applied is taken back.
            let mut old = e.config.clone();
            for name in applied {
                if let Err(error) = apply_outside(o, name, &mut old) {
                    log!(Warning, "{name} could not be set back: {error}");
                }
            }
            return Err(refused(name, &reason));
        }
        applied.push(option.name);
    }
    for (option, _) in &chosen {
        e.config.take(option, &next);
        o.todos.push(Todo::SettingChanged(option.name));
    }
    e.apply_config();
    o.set_gates(e);
    e.out.ok();
    Ok(())
}

fn is_protected(name: &str) -> bool {
    matches!(name, "dir" | "dbfilename")
}

fn protected_allowed(e: &mut Engine) -> bool {
    use engine::config::values::Protected;
    match e.config.enable_protected_configs {
        Protected::Yes => true,
        Protected::No => false,
        Protected::Local => crate::server::startup::is_local(&e.client().addr),
    }
}

/// What a change does at once, and may fail at.
fn apply_outside(o: &mut Outside, name: &str, next: &mut config::Config) -> std::result::Result<(), String> {
    match name {
        "loglevel" => log::set_level(next.loglevel),
        "dir" => {
            std::env::set_current_dir(next.dir.get()).map_err(|e| format!("Changing directory: {e}"))?;
            let absolute = std::env::current_dir().map_err(|e| format!("Changing directory: {e}"))?;
            next.dir.0 = absolute.display().to_string();
        }
        // Both in one command are one change: the second finds what it wants.
        "oom-score-adj" | "oom-score-adj-values" => {
            let is_replica = o.link.is_following();
            o.oom_score.apply(next, is_replica).map_err(|e| format!("Failed to set oom_score_adj: {e}"))?;
        }
        "port" => o.sockets.change(next).map_err(|e| format!("Unable to listen on this port: {e}"))?,
        "bind" => o.sockets.change(next).map_err(|e| format!("Failed to bind to specified addresses: {e}"))?,
        "maxclients" => crate::server::process::make_room_for_clients(next.maxclients.get()).map_err(|clients| {
            format!(
                "The operating system is not able to handle the specified number of clients, try with {clients}. Raise the limit of open files (ulimit -n) to serve more."
            )
        })?,
        _ => {}
    }
    Ok(())
}

/// CONFIG REWRITE.
pub fn rewrite(o: &Outside, e: &mut Engine) -> Result {
    rewrite_file(o, e)?;
    e.out.ok();
    Ok(())
}

/// Writes the present settings into the configuration file.
pub fn rewrite_file(o: &Outside, e: &Engine) -> Result {
    let Some(path) = e.config.file.clone() else {
        return Err(Error::fixed("ERR The server is running without a config file"));
    };
    if let Some(other) = e.config.password_is_overruled_by() {
        return Err(Error::new(format!(
            "ERR Rewriting config file: the line `user default` in {other} would count more than the present requirepass. Take it out first"
        )));
    }
    let failed = |error: std::io::Error| Error::new(format!("ERR Rewriting config file: {error}"));
    let old = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(failed(error)),
    };
    crate::server::files::replace(
        std::path::Path::new(&path),
        config::rewrite(&old, &e.config, o.rewrite_all).as_bytes(),
    )
    .map_err(failed)?;
    log!(Notice, "CONFIG REWRITE executed with success.");
    Ok(())
}

/// CONFIG HELP.
pub fn help(e: &mut Engine) -> Result {
    engine::commands::help(
        e,
        "CONFIG",
        &[
            ("GET <pattern> [<pattern> ...]", "The options whose names fit, and their values."),
            ("SET <option> <value> [<option> <value> ...]", "Change options: all of these or none."),
            ("RESETSTAT", "Set the counters of INFO back."),
            ("REWRITE", "Write the present settings into the configuration file."),
        ],
    )
}

/// CONFIG RESETSTAT.
pub fn reset_stat(_: &mut Outside, e: &mut Engine) -> Result {
    e.stats.reset();
    e.store.stats = engine::store::StoreStats::default();
    e.out.ok();
    Ok(())
}
