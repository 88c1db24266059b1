//! Looking at the running server: TIME, LOLWUT, MONITOR, SLOWLOG, LATENCY, MEMORY USAGE, MODULE.

use super::options::{int, is};
use crate::client::ClientFlags;
use crate::engine::{Engine, Gates};
use crate::error::{self, Error, Result};
use crate::stats::{BUCKETS, bucket_end};
use crate::table::{Command, Run};
use resp::{Args, Out};
use std::fmt::Write;

/// The handlers of this family.
pub const COMMANDS: super::Family = &[
    ("latency|doctor", Run::Plain(latency_doctor)),
    ("latency|graph", Run::Plain(latency_graph)),
    ("latency|help", Run::Plain(latency_help)),
    ("latency|histogram", Run::Plain(latency_histogram)),
    ("latency|history", Run::Plain(latency_history)),
    ("latency|latest", Run::Plain(latency_latest)),
    ("latency|reset", Run::Plain(latency_reset)),
    ("lolwut", Run::Plain(lolwut)),
    ("memory|help", Run::Plain(memory_help)),
    ("memory|usage", Run::Plain(memory_usage)),
    ("module|help", Run::Plain(module_help)),
    ("module|list", Run::Plain(module_list)),
    ("module|load", Run::Plain(module_load)),
    ("module|loadex", Run::Plain(module_load)),
    ("module|unload", Run::Plain(module_unload)),
    ("monitor", Run::Plain(monitor)),
    ("slowlog|get", Run::Plain(slowlog_get)),
    ("slowlog|help", Run::Plain(slowlog_help)),
    ("slowlog|len", Run::Plain(slowlog_len)),
    ("slowlog|reset", Run::Plain(slowlog_reset)),
    ("time", Run::Plain(time)),
];

fn time(e: &mut Engine, _: &Args) -> Result {
    let us = e.time_us();
    e.out.array(2);
    e.out.bulk_int(us / 1_000_000);
    e.out.bulk_int(us % 1_000_000);
    Ok(())
}

/// Draws a bed of embers: hotter, that is denser, towards the bottom.
fn embers(columns: usize, rows: usize, mut chance: impl FnMut(u64) -> u64) -> String {
    const HEAT: &[u8] = b" .:*oO#@";
    let mut text = String::with_capacity((columns + 1) * rows);
    for row in 0..rows {
        for _ in 0..columns {
            let hottest = (row + 1) * HEAT.len() / rows;
            let heat = chance(hottest.max(1) as u64) as usize;
            text.push(HEAT[heat.min(HEAT.len() - 1)] as char);
        }
        text.push('\n');
    }
    text
}

fn lolwut(e: &mut Engine, a: &Args) -> Result {
    let mut sizes = a.iter_from(1);
    if a.get(1).is_some_and(|word| is(word, "VERSION")) {
        let version = a.get(2).ok_or(error::SYNTAX)?;
        int(version)?;
        sizes = a.iter_from(3);
    }
    let mut size =
        |default: i64, max: i64| -> Result<usize> { Ok(sizes.next().map_or(Ok(default), int)?.clamp(1, max) as usize) };
    let (columns, rows) = (size(60, 1000)?, size(8, 100)?);
    let mut text = embers(columns, rows, |n| e.rng.below(n));
    let _ = writeln!(text, "\nRedis ver. {}", crate::REDIS_VERSION);
    e.out.verbatim("txt", text.as_bytes());
    Ok(())
}

fn monitor(e: &mut Engine, _: &Args) -> Result {
    if e.in_exec {
        return Err(Error::fixed("ERR MONITOR isn't allowed for DENY BLOCKING client"));
    }
    let key = e.current;
    if !e.client().flags.any(ClientFlags::MONITOR | ClientFlags::REPLICA) {
        e.client().flags.set(ClientFlags::MONITOR, true);
        e.monitors.push(key);
        e.gates.set(Gates::MONITORED, true);
    }
    e.out.ok();
    Ok(())
}

fn slowlog_get(e: &mut Engine, a: &Args) -> Result {
    let count = match a.get(2) {
        None => 10,
        Some(_) if a.len() > 3 => return Err(Error::subcommand_use("SLOWLOG", &a[1])),
        Some(word) => match int(word) {
            Ok(-1) => usize::MAX,
            Ok(n) if n >= 0 => n as usize,
            _ => return Err(Error::fixed("ERR count should be greater than or equal to -1")),
        },
    };
    let Engine { out, stats, .. } = e;
    out.array(stats.slow.len().min(count));
    for slow in stats.slow.iter().take(count) {
        out.array(6);
        out.int(slow.id as i64);
        out.int(slow.at_s);
        out.int(slow.took_us as i64);
        out.array(slow.args.len());
        for arg in &slow.args {
            out.bulk(arg);
        }
        out.bulk(slow.addr.as_bytes());
        out.bulk(&slow.name);
    }
    Ok(())
}

fn slowlog_len(e: &mut Engine, _: &Args) -> Result {
    e.out.int(e.stats.slow.len() as i64);
    Ok(())
}

fn slowlog_reset(e: &mut Engine, _: &Args) -> Result {
    e.stats.slow.clear();
    e.out.ok();
    Ok(())
}

fn slowlog_help(e: &mut Engine, _: &Args) -> Result {
    super::help(
        e,
        "SLOWLOG",
        &[
            (
                "GET [<count>]",
                "The latest slow commands (10 by default, -1 for all): id, time, microseconds, arguments, address, name.",
            ),
            ("LEN", "How many slow commands are kept."),
            ("RESET", "Forget them."),
        ],
    )
}

fn latency_latest(e: &mut Engine, _: &Args) -> Result {
    let Engine { out, stats, .. } = e;
    let known: Vec<_> =
        stats.latency.iter().filter_map(|(name, events)| Some((name, events.samples.back()?, events.max_ms))).collect();
    out.array(known.len());
    for (name, &(at_s, ms), max_ms) in known {
        out.array(4);
        out.bulk(name.as_bytes());
        out.int(at_s);
        out.int(ms as i64);
        out.int(max_ms as i64);
    }
    Ok(())
}

fn latency_history(e: &mut Engine, a: &Args) -> Result {
    let Engine { out, stats, .. } = e;
    let samples = stats.latency.iter().find(|(name, _)| name.as_bytes() == &a[2]).map(|(_, events)| &events.samples);
    out.array(samples.map_or(0, |s| s.len()));
    for &(at_s, ms) in samples.into_iter().flatten() {
        out.array(2);
        out.int(at_s);
        out.int(ms as i64);
    }
    Ok(())
}

fn latency_reset(e: &mut Engine, a: &Args) -> Result {
    let before = e.stats.latency.len();
    if a.len() == 2 {
        e.stats.latency.clear();
    } else {
        e.stats.latency.retain(|name, _| !a.iter_from(2).any(|word| is(word, name)));
    }
    e.out.int((before - e.stats.latency.len()) as i64);
    Ok(())
}

fn latency_graph(e: &mut Engine, a: &Args) -> Result {
    /// Lines of the picture.
    const ROWS: u64 = 4;
    let found = e
        .stats
        .latency
        .iter()
        .find(|(name, events)| name.as_bytes().eq_ignore_ascii_case(&a[2]) && !events.samples.is_empty());
    let Some((name, events)) = found else {
        return Err(Error::quoting("ERR No samples available for event '", &a[2], "'"));
    };
    let (low, high) = events.samples.iter().fold((u64::MAX, 0), |(low, high), (_, ms)| (low.min(*ms), high.max(*ms)));
    let mut text = format!("{name} - high {high} ms, low {low} ms (all time high {} ms)\n", events.max_ms);
    text.push_str(&"-".repeat(80));
    text.push('\n');
    for row in (0..ROWS).rev() {
        for (_, ms) in &events.samples {
            // The smallest sample still has one mark, the largest fills all rows.
            let height = 1 + (ms - low) * (ROWS - 1) / (high - low).max(1);
            text.push(if height > row { '#' } else { ' ' });
        }
        text.push('\n');
    }
    e.out.verbatim("txt", text.as_bytes());
    Ok(())
}

fn latency_doctor(e: &mut Engine, _: &Args) -> Result {
    let mut text = String::new();
    let threshold = e.config.latency_monitor_threshold.get();
    if threshold == 0 {
        text.push_str("Latency events are not recorded. To record those that take T milliseconds and more: CONFIG SET latency-monitor-threshold T\n");
    } else if e.stats.latency.is_empty() {
        let _ = writeln!(text, "No event has taken {threshold} ms or more so far.");
    }
    for (name, events) in &e.stats.latency {
        let n = events.samples.len().max(1) as u64;
        let mean = events.samples.iter().map(|(_, ms)| ms).sum::<u64>() / n;
        let span_s = events.samples.back().zip(events.samples.front()).map_or(0, |(last, first)| last.0 - first.0);
        let _ =
            writeln!(text, "{name}: {n} peaks within {span_s} s, {mean} ms on average, {} ms at worst.", events.max_ms);
        let advice = match *name {
            "command" => "Commands that walk over many elements are slow: SLOWLOG GET names them.",
            "fast-command" => "Commands that do little took long: the machine may be short of CPU time, or swapping.",
            "expire-cycle" => "Many keys expire in the same moment: spread their times.",
            _ => "Compare with what else the machine does at that time.",
        };
        let _ = writeln!(text, "  {advice}");
    }
    e.out.verbatim("txt", text.as_bytes());
    Ok(())
}

/// Upper bounds of the histogram that clients see, microseconds: 1, 2, 4 … 2^24.
const HISTOGRAM_BOUNDS: u32 = 25;

fn histogram(out: &mut Out, calls: u64, buckets: &[u64; BUCKETS]) {
    out.map(2);
    out.bulk(b"calls");
    out.int(calls as i64);
    out.bulk(b"histogram_usec");
    out.counted(Out::map, |out| {
        let (mut shown, mut before) = (0, 0);
        for log in 0..HISTOGRAM_BOUNDS {
            let bound_us = 1u64 << log;
            // A bucket ends within 25 % of where it begins; what ends above all bounds falls under the last.
            let fits = |i: usize| bucket_end(i) <= bound_us * 1024 || log + 1 == HISTOGRAM_BOUNDS;
            let upto: u64 = buckets.iter().enumerate().filter(|(i, _)| fits(*i)).map(|(_, n)| n).sum();
            if upto > before {
                out.int(bound_us as i64);
                out.int(upto as i64);
                shown += 1;
                before = upto;
            }
        }
        shown
    });
}

fn latency_histogram(e: &mut Engine, a: &Args) -> Result {
    let Engine { out, stats, table, .. } = e;
    let named: Vec<&Command> = if a.len() == 2 {
        table.iter_all().collect()
    } else {
        let mut named = Vec::new();
        for word in a.iter_from(2) {
            let command = table.find_full(word);
            named.extend(command);
            named.extend(command.into_iter().flat_map(|c| &c.subcommands));
        }
        named
    };
    out.counted(Out::map, |out| {
        let mut shown = 0;
        for command in named {
            let stats = &stats.commands[usize::from(command.index)];
            if let (Some(buckets), true) = (&stats.histogram, stats.calls > 0) {
                out.bulk(command.spec.name.as_bytes());
                histogram(out, stats.calls, buckets);
                shown += 1;
            }
        }
        shown
    });
    Ok(())
}

fn latency_help(e: &mut Engine, _: &Args) -> Result {
    super::help(
        e,
        "LATENCY",
        &[
            ("DOCTOR", "What the recorded peaks suggest."),
            ("GRAPH <event>", "A picture of an event's peaks."),
            (
                "HISTOGRAM [COMMAND ...]",
                "How long calls of commands took, as counts up to each power of two of microseconds.",
            ),
            ("HISTORY <event>", "An event's peaks: time and milliseconds."),
            ("LATEST", "The latest and the worst peak of each event."),
            ("RESET [<event> ...]", "Forget the peaks of these events, or of all."),
        ],
    )
}

fn module_help(e: &mut Engine, _: &Args) -> Result {
    super::help(
        e,
        "MODULE",
        &[
            ("LIST", "The loaded modules: none."),
            ("LOAD <path> [<arg> ...]", "Refused: this server has no modules."),
            ("LOADEX <path> [CONFIG <name> <value> ...] [ARGS <arg> ...]", "Refused: this server has no modules."),
            ("UNLOAD <name>", "Refused: no module is loaded."),
        ],
    )
}

fn module_list(e: &mut Engine, _: &Args) -> Result {
    e.out.array(0);
    Ok(())
}

fn module_load(_: &mut Engine, _: &Args) -> Result {
    Err(Error::fixed("ERR Error loading the extension: this server has no modules"))
}

fn module_unload(_: &mut Engine, _: &Args) -> Result {
    Err(Error::fixed("ERR Error unloading module: no such module with that name"))
}

fn memory_usage(e: &mut Engine, a: &Args) -> Result {
    // How much of a big value is looked at is bounded whatever the option says; it is checked all the same.
    for i in (3..a.len()).step_by(2) {
        if !is(&a[i], "SAMPLES") || i + 1 >= a.len() {
            return Err(error::SYNTAX);
        }
        if int(&a[i + 1])? < 0 {
            return Err(error::SYNTAX);
        }
    }
    match e.store.peek(&a[2]).map(keyspace::Entry::memory_usage) {
        Some(bytes) => e.out.int(bytes as i64),
        None => e.out.null(),
    }
    Ok(())
}

fn memory_help(e: &mut Engine, _: &Args) -> Result {
    super::help(
        e,
        "MEMORY",
        &[
            ("DOCTOR", "What the figures suggest."),
            ("MALLOC-STATS", "What the allocator counts."),
            ("PURGE", "Give freed memory back to the system."),
            ("STATS", "Where the memory goes, in bytes."),
            ("USAGE <key> [SAMPLES <count>]", "The bytes that a key and its value take."),
        ],
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_histogram_counts_every_call_once() {
        let mut buckets = [0; BUCKETS];
        for nanos in [10, 900, 1500, 3_000_000, u64::MAX] {
            buckets[crate::stats::bucket_of(nanos)] += 1;
        }
        let mut out = Out::new(resp::Protocol::V3);
        histogram(&mut out, 5, &buckets);
        let Ok(Some((resp::Value::Map(pairs), _))) = resp::parse_value(&out.buf) else { panic!("a map") };
        let resp::Value::Map(bounds) = &pairs[1].1 else { panic!("a map of bounds") };
        let numbers: Vec<(i64, i64)> = bounds
            .iter()
            .map(|(k, v)| match (k, v) {
                (resp::Value::Int(k), resp::Value::Int(v)) => (*k, *v),
                _ => panic!("numbers"),
            })
            .collect();
        assert_eq!(numbers, [(1, 2), (2, 3), (4096, 4), (1 << 24, 5)]);
    }
}
