//! MEMORY STATS, DOCTOR, MALLOC-STATS, PURGE: where the memory goes.

use super::info::{client_bytes, resident_bytes};
use crate::server::outside::Outside;
use engine::engine::Engine;
use engine::error::{Error, Result};
use std::fmt::Write;

/// Bytes by what they are used for.
struct Figures {
    used: u64,
    peak: u64,
    resident: u64,
    startup: u64,
    backlog: u64,
    replicas: u64,
    clients: u64,
    keys: u64,
}

impl Figures {
    fn of(o: &Outside, e: &Engine) -> Self {
        let used = keyspace::memory::used_memory() as u64;
        let [clients, replicas] = client_bytes(e);
        Self {
            used,
            peak: used.max(e.stats.peak_memory as u64),
            resident: resident_bytes(),
            startup: o.saving.startup_memory as u64,
            backlog: o.log.memory_bytes() as u64,
            replicas: replicas as u64,
            clients: clients as u64,
            keys: e.store.keyspace.iter().map(|db| db.len() as u64).sum(),
        }
    }

    fn overhead(&self) -> u64 {
        self.startup + self.backlog + self.replicas + self.clients
    }

    fn dataset(&self) -> u64 {
        self.used.saturating_sub(self.overhead())
    }
}

fn ratio(a: u64, b: u64) -> f64 {
    if b == 0 { 0.0 } else { a as f64 / b as f64 }
}

/// MEMORY STATS.
pub fn stats(o: &mut Outside, e: &mut Engine) -> Result {
    let f = Figures::of(o, e);
    let whole: Vec<(String, u64)> = [
        ("peak.allocated", f.peak),
        ("total.allocated", f.used),
        ("startup.allocated", f.startup),
        ("replication.backlog", f.backlog),
        ("clients.slaves", f.replicas),
        ("clients.normal", f.clients),
        ("cluster.links", 0),
        ("aof.buffer", 0),
        ("lua.caches", 0),
        ("functions.caches", 0),
        ("overhead.total", f.overhead()),
        ("keys.count", f.keys),
        ("keys.bytes-per-key", f.dataset().checked_div(f.keys).unwrap_or(0)),
        ("dataset.bytes", f.dataset()),
        ("allocator.allocated", f.used),
        ("allocator.active", f.resident),
        ("allocator.resident", f.resident),
    ]
    .map(|(name, n)| (name.to_owned(), n))
    .into();
    let fractions = [
        ("dataset.percentage", 100.0 * ratio(f.dataset(), f.used.saturating_sub(f.startup))),
        ("peak.percentage", 100.0 * ratio(f.used, f.peak)),
        ("allocator-fragmentation.ratio", ratio(f.resident, f.used)),
        ("fragmentation", ratio(f.resident, f.used)),
    ];
    let databases: Vec<(usize, usize)> = e
        .store
        .keyspace
        .iter()
        .enumerate()
        .filter(|(_, db)| !db.is_empty())
        .map(|(i, db)| (i, db.trie().memory_usage()))
        .collect();
    e.out.map(whole.len() + fractions.len() + databases.len());
    for (name, n) in whole {
        e.out.bulk(name.as_bytes());
        e.out.int(n as i64);
    }
    for (i, bytes) in databases {
        e.out.bulk(format!("db.{i}").as_bytes());
        e.out.map(1);
        e.out.bulk(b"overhead.hashtable.main");
        e.out.int(bytes as i64);
    }
    for (name, value) in fractions {
        let mut text = [0; base::num::F64_TEXT_MAX];
        e.out.bulk(name.as_bytes());
        e.out.double(base::num::format_f64(value, &mut text));
    }
    Ok(())
}

/// MEMORY DOCTOR.
pub fn doctor(o: &mut Outside, e: &mut Engine) -> Result {
    /// Below this nothing can be told from ratios.
    const TOO_SMALL: u64 = 5 << 20;
    let f = Figures::of(o, e);
    let mut text = String::new();
    if f.used < TOO_SMALL {
        text.push_str("This instance holds too little data to say anything of its memory.\n");
    } else {
        if f.peak > f.used + f.used / 2 {
            let _ = writeln!(
                text,
                "* At its peak it used {} bytes, now {}: freed memory may not have gone back to the system yet.",
                f.peak, f.used
            );
        }
        if f.resident > f.used + f.used / 2 {
            let _ = writeln!(
                text,
                "* Resident are {} bytes for {} in use: much of it is fragmented or waits to be given back.",
                f.resident, f.used
            );
        }
        if f.clients > f.used / 4 {
            let _ = writeln!(
                text,
                "* Buffers of clients take {} bytes: some send much or read slowly, CLIENT LIST shows them.",
                f.clients
            );
        }
        if f.replicas + f.backlog > f.used / 4 {
            let _ = writeln!(
                text,
                "* Replication takes {} bytes: a replica may be slow, see INFO replication.",
                f.replicas + f.backlog
            );
        }
        if text.is_empty() {
            text.push_str("Nothing is conspicuous.\n");
        }
    }
    e.out.verbatim("txt", text.as_bytes());
    Ok(())
}

/// MEMORY MALLOC-STATS.
pub fn malloc_stats(e: &mut Engine) -> Result {
    e.out.verbatim("txt", keyspace::memory::report().as_bytes());
    Ok(())
}

/// MEMORY PURGE.
pub fn purge(e: &mut Engine) -> Result {
    if !keyspace::memory::purge() {
        return Err(Error::fixed("ERR Error purging dirty pages"));
    }
    e.out.ok();
    Ok(())
}
