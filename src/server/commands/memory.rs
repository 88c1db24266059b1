//! MEMORY STATS, DOCTOR, MALLOC-STATS, PURGE: where the memory goes.

use super::info::{client_bytes, resident_bytes};
use crate::server::outside::Outside;
use engine::client::Class;
use engine::engine::Engine;
use engine::error::{Error, Result};
use keyspace::memory::Allocator;
use std::fmt::Write;

/// Bytes by what they are used for.
pub struct Figures {
    /// In use, as `maxmemory` counts it.
    pub used: u64,
    /// The most that ever was in use.
    pub peak: u64,
    /// Resident memory of the process.
    pub resident: u64,
    /// In use when the server had started.
    pub startup: u64,
    /// The part of the replication log that is kept whether a replica needs it or not.
    pub backlog: u64,
    /// What replicas take, the log that they have not read yet included.
    pub replicas: u64,
    /// What other clients take.
    pub clients: u64,
    /// Keys in all databases.
    pub keys: u64,
    /// What the allocator counts.
    pub allocator: Allocator,
}

impl Figures {
    /// Takes them.
    pub fn of(o: &Outside, e: &Engine) -> Self {
        let used = keyspace::memory::used_memory() as u64;
        let [clients, mut replicas] = client_bytes(e);
        let beyond = o.log_beyond_backlog(e);
        if e.count_class(Class::Replica) > 0 {
            replicas += beyond;
        }
        Self {
            used,
            peak: used.max(e.stats.peak_memory as u64),
            resident: resident_bytes(),
            startup: o.saving.startup_memory as u64,
            backlog: (o.node.log().memory_bytes() - beyond) as u64,
            replicas: replicas as u64,
            clients: clients as u64,
            keys: e.store.keyspace.iter().map(|db| db.len() as u64).sum(),
            allocator: keyspace::memory::allocator(),
        }
    }

    /// What is not data.
    pub fn overhead(&self) -> u64 {
        self.startup + self.backlog + self.replicas + self.clients
    }

    /// What is data.
    pub fn dataset(&self) -> u64 {
        self.used.saturating_sub(self.overhead())
    }

    /// The data's part of what is in use since the start, in percent.
    pub fn dataset_percentage(&self) -> f64 {
        100.0 * ratio(self.dataset(), self.used.saturating_sub(self.startup))
    }
}

/// How many times as large as `b` `a` is; 0 where `b` is.
pub fn ratio(a: u64, b: u64) -> f64 {
    if b == 0 { 0.0 } else { a as f64 / b as f64 }
}

/// By how much `a` is larger than `b`; negative where it is smaller.
pub fn more(a: u64, b: u64) -> i64 {
    a.cast_signed().saturating_sub(b.cast_signed())
}

/// One line of MEMORY STATS.
enum Line {
    Bytes(u64),
    Difference(i64),
    Fraction(f64),
}

fn write_lines(out: &mut resp::Out, lines: &[(&str, Line)]) {
    for (name, line) in lines {
        out.bulk(name.as_bytes());
        match line {
            Line::Bytes(n) => out.int(n.cast_signed()),
            Line::Difference(n) => out.int(*n),
            Line::Fraction(value) => {
                let mut text = [0; base::num::F64_TEXT_MAX];
                out.double(base::num::format_f64(*value, &mut text));
            }
        }
    }
}

/// MEMORY STATS.
pub fn stats(o: &mut Outside, e: &mut Engine) -> Result {
    use Line::{Bytes, Difference, Fraction};
    let f = Figures::of(o, e);
    let a = f.allocator;
    let before = [
        ("peak.allocated", Bytes(f.peak)),
        ("total.allocated", Bytes(f.used)),
        ("startup.allocated", Bytes(f.startup)),
        ("replication.backlog", Bytes(f.backlog)),
        ("clients.slaves", Bytes(f.replicas)),
        ("clients.normal", Bytes(f.clients)),
        ("cluster.links", Bytes(0)),
        ("aof.buffer", Bytes(0)),
        ("lua.caches", Bytes(0)),
        ("functions.caches", Bytes(0)),
    ];
    let databases: Vec<(usize, usize)> = e
        .store
        .keyspace
        .iter()
        .enumerate()
        .filter(|(_, db)| !db.is_empty())
        .map(|(i, db)| (i, db.trie().part_bytes()))
        .collect();
    let after = [
        ("overhead.total", Bytes(f.overhead())),
        ("keys.count", Bytes(f.keys)),
        ("keys.bytes-per-key", Bytes(f.used.saturating_sub(f.startup).checked_div(f.keys).unwrap_or(0))),
        ("dataset.bytes", Bytes(f.dataset())),
        ("dataset.percentage", Fraction(f.dataset_percentage())),
        ("peak.percentage", Fraction(100.0 * ratio(f.used, f.peak))),
        ("allocator.allocated", Bytes(a.allocated)),
        ("allocator.active", Bytes(a.active)),
        ("allocator.resident", Bytes(a.resident)),
        ("allocator-fragmentation.ratio", Fraction(ratio(a.active, a.allocated))),
        ("allocator-fragmentation.bytes", Difference(more(a.active, a.allocated))),
        ("allocator-rss.ratio", Fraction(ratio(a.resident, a.active))),
        ("allocator-rss.bytes", Difference(more(a.resident, a.active))),
        ("rss-overhead.ratio", Fraction(ratio(f.resident, a.resident))),
        ("rss-overhead.bytes", Difference(more(f.resident, a.resident))),
        ("fragmentation", Fraction(ratio(f.resident, f.used))),
        ("fragmentation.bytes", Difference(more(f.resident, f.used))),
    ];
    e.out.map(before.len() + databases.len() + after.len());
    write_lines(&mut e.out, &before);
    for (i, bytes) in databases {
        e.out.bulk(format!("db.{i}").as_bytes());
        e.out.map(3);
        // Times are kept in the entries, and there are no slots: both take nothing of their own.
        let tables = [
            ("overhead.hashtable.main", Bytes(bytes as u64)),
            ("overhead.hashtable.expires", Bytes(0)),
            ("overhead.hashtable.slot-to-keys", Bytes(0)),
        ];
        write_lines(&mut e.out, &tables);
    }
    write_lines(&mut e.out, &after);
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
