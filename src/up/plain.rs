//! Plain lines, for a pipe or a log: `name=value` pairs for each process once a second, and what happens when it happens.

use super::error::Error;
use super::nodes::Service;
use super::state::{Seen, State};
use std::io::{self, Write};
use std::time::Duration;

/// Prints one line.
///
/// # Errors
/// Whoever read the lines may be gone: that ends the watching, and is no panic that would leave the processes behind.
pub fn print(line: &str) -> Result<(), Error> {
    writeln!(io::stdout(), "{line}").map_err(Error::Output)
}

/// Prints what has happened since the last call.
pub fn print_events(state: &mut State) -> Result<(), Error> {
    for line in state.feed.take() {
        let word = if line.is_report { "failover" } else { "event" };
        print(&format!("{word} {}", line.shown(true)))?;
    }
    Ok(())
}

/// Prints a line for each process.
pub fn print_nodes(state: &State, now: Duration) -> Result<(), Error> {
    let primary = state.nodes.iter().find(|seen| seen.service == Service::Server && Some(seen.port) == state.primary());
    let end = primary.and_then(|seen| seen.info.as_ref()).map_or(0, |info| info.number("master_repl_offset"));
    for (node, seen) in state.nodes.iter().enumerate() {
        match seen.service {
            Service::Server => print(&server(state, node, seen, end, now))?,
            Service::Sentinel => print(&sentinel(seen))?,
        }
    }
    Ok(())
}

fn server(state: &State, node: usize, seen: &Seen, end: i64, now: Duration) -> String {
    let Some(info) = &seen.info else { return format!("port={} role=down", seen.port) };
    let offset = info.number("master_repl_offset");
    let keys = Some(info.part("db0", "keys")).filter(|k| !k.is_empty()).unwrap_or("0");
    let (role, link, behind) = if info.get("role") == "master" {
        (format!("primary_of_{}", info.get("connected_slaves")), "-", "-".to_owned())
    } else {
        ("replica".to_owned(), info.get("master_link_status"), (end - offset).max(0).to_string())
    };
    let lag = state.lag(node, now).map_or("-".to_owned(), |lag| format!("{:.1}", lag.as_secs_f64() * 1000.0));
    let ops = seen.ops.back().copied().unwrap_or(0);
    let memory = info.get("used_memory_human");
    let port = seen.port;
    format!(
        "port={port} role={role} link={link} offset={offset} bytes_behind={behind} lag_ms={lag} ops/s={ops} keys={keys} memory={memory}"
    )
}

fn sentinel(seen: &Seen) -> String {
    let port = seen.port;
    let Some(info) = &seen.info else { return format!("sentinel port={port} sees=down") };
    let part = |name: &str| info.part("master0", name);
    let sees = if info.get("sentinel_tilt") == "1" { "tilt" } else { part("status") };
    let (primary, replicas, sentinels) = (part("address"), part("slaves"), part("sentinels"));
    format!("sentinel port={port} sees={sees} primary={primary} replicas={replicas} sentinels={sentinels}")
}
