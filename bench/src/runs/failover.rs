//! Fail-overs: how long writes stop, how many acknowledged ones are lost, how the others come into sync again; and what watching costs.

use super::{Plan, note};
use crate::group::{Acknowledged, Group, Writer, longest_gap};
use crate::server::Server;
use crate::table::{Table, median};
use anyhow::{Context, Result, ensure};
use std::time::{Duration, Instant};

/// Writes per second while a primary is killed, and while one hands over.
const KILL_RATE: u64 = 1200;
const MANUAL_RATE: u64 = 5000;
const DOWN_AFTER_MS: u64 = 1000;
/// Primaries of one sentinel, and for how long it is watched.
const PRIMARIES: usize = 100;
const WATCH: Duration = Duration::from_secs(30);

/// The figures of one kind of fail-over and one product.
#[derive(Debug, Default, Clone)]
struct Figures {
    gap_ms: Vec<f64>,
    lost: Vec<f64>,
    /// Resyncs of the replica that stays one.
    full: u64,
    partial: u64,
    /// Resyncs of the old primary.
    old_full: u64,
    old_partial: u64,
}

/// A kind of fail-over: its name, the words after SENTINEL FAILOVER (none where the primary is killed), whether peers have it.
const KINDS: [(&str, Option<&str>, bool); 3] =
    [("kill -9", None, true), ("by hand", Some(""), true), ("by hand, COORDINATED", Some("COORDINATED"), false)];

/// Measures and prints.
pub fn run(plan: &Plan) -> Result<()> {
    let mut figures = vec![vec![Figures::default(); plan.products.len()]; KINDS.len()];
    let mut groups = plan.products.iter().map(|p| Group::start(p, DOWN_AFTER_MS)).collect::<Result<Vec<_>>>()?;
    let mut first = vec![1; plan.products.len()];
    for round in 0..plan.rounds {
        note(&format!("failover, round {} of {}", round + 1, plan.rounds));
        for i in plan.order(round) {
            for (kind, (_, words, for_peers)) in KINDS.iter().enumerate() {
                if i > 0 && !for_peers {
                    continue;
                }
                // The moment of a fault lies anywhere between two PINGs.
                let phase = Duration::from_millis((round * 377 % 1000) as u64);
                let acknowledged = match words {
                    None => kill(&mut groups[i], first[i], phase, &mut figures[kind][i]),
                    Some(words) => by_hand(&groups[i], words, first[i], phase, &mut figures[kind][i]),
                };
                let acknowledged =
                    acknowledged.with_context(|| format!("{}, {}", plan.products[i].name, KINDS[kind].0))?;
                first[i] += acknowledged.len() as u64 + 1;
            }
        }
    }
    let columns = [
        "fail-over",
        "product",
        "writes stop, ms: median",
        "worst",
        "lost: median",
        "worst",
        "full resyncs",
        "partial",
        "old primary: full",
        "partial",
    ];
    let mut table = Table::new("Fail-overs with three sentinels and two replicas", &columns);
    for (kind, (name, _, _)) in KINDS.iter().enumerate() {
        for (i, product) in plan.products.iter().enumerate() {
            let f = &figures[kind][i];
            if f.gap_ms.is_empty() {
                continue;
            }
            let worst = |values: &[f64]| values.iter().copied().fold(0.0, f64::max);
            table.row(vec![
                (*name).to_owned(),
                product.name.clone(),
                format!("{:.0}", median(&f.gap_ms)),
                format!("{:.0}", worst(&f.gap_ms)),
                format!("{:.0}", median(&f.lost)),
                format!("{:.0}", worst(&f.lost)),
                f.full.to_string(),
                f.partial.to_string(),
                f.old_full.to_string(),
                f.old_partial.to_string(),
            ]);
        }
    }
    table.print(plan.csv);
    Ok(())
}

/// Kills the primary while somebody writes, and brings it back afterwards.
fn kill(group: &mut Group, first: u64, phase: Duration, figures: &mut Figures) -> Result<Vec<Acknowledged>> {
    let old = group.primary_port()?;
    let writer = Writer::start(group, KILL_RATE, first);
    std::thread::sleep(Duration::from_secs(1) + phase);
    let before = syncs_of(group)?;
    group.primary()?.kill()?;
    let killed = Instant::now();
    let limit = killed + Duration::from_secs(30);
    let again = loop {
        if let Some(at) = writer.first_elsewhere(killed, old) {
            break at;
        }
        ensure!(Instant::now() < limit, "nobody took over");
        std::thread::sleep(Duration::from_millis(5));
    };
    figures.gap_ms.push((again - killed).as_secs_f64() * 1000.0);
    std::thread::sleep(Duration::from_secs(2));
    let acknowledged = writer.finish();
    figures.lost.push(group.lost(&acknowledged)? as f64);
    let new = group.primary_port()?;
    let then = count_resyncs(new, &before, figures)?;
    let dead = group.servers.iter_mut().find(|s| s.port == old).context("the old primary")?;
    dead.restart()?;
    group.settle()?;
    let last = Group::resyncs(new)?;
    figures.old_full += last.0 - then.0;
    figures.old_partial += last.1 - then.1;
    Ok(acknowledged)
}

/// Hands over while somebody writes.
fn by_hand(
    group: &Group,
    words: &str,
    first: u64,
    phase: Duration,
    figures: &mut Figures,
) -> Result<Vec<Acknowledged>> {
    let old = group.primary_port()?;
    let writer = Writer::start(group, MANUAL_RATE, first);
    std::thread::sleep(Duration::from_secs(1) + phase);
    let before = syncs_of(group)?;
    let began = Instant::now();
    group.fail_over(words)?;
    let limit = began + Duration::from_secs(30);
    while writer.first_elsewhere(began, old).is_none() {
        ensure!(Instant::now() < limit, "nobody took over");
        std::thread::sleep(Duration::from_millis(5));
    }
    std::thread::sleep(Duration::from_secs(2));
    group.settle()?;
    let acknowledged = writer.finish();
    figures.gap_ms.push(longest_gap(&acknowledged).as_secs_f64() * 1000.0);
    figures.lost.push(group.lost(&acknowledged)? as f64);
    count_resyncs(group.primary_port()?, &before, figures)?;
    Ok(acknowledged)
}

/// Counts the resyncs that the new primary has served since `before`; what it has served so far, full and partial.
fn count_resyncs(new: u16, before: &[(u16, u64, u64)], figures: &mut Figures) -> Result<(u64, u64)> {
    let then = Group::resyncs(new)?;
    let base = before.iter().find(|(port, _, _)| *port == new).map_or((0, 0), |(_, f, p)| (*f, *p));
    figures.full += then.0 - base.0;
    figures.partial += then.1 - base.1;
    Ok(then)
}

/// What each server that answers has served so far: its port, full and partial resyncs.
fn syncs_of(group: &Group) -> Result<Vec<(u16, u64, u64)>> {
    group.servers.iter().map(|s| Group::resyncs(s.port).map(|(full, partial)| (s.port, full, partial))).collect()
}

/// What it costs a sentinel of each product to watch many primaries (all Rekindle's): CPU and commands.
pub fn watching(plan: &Plan) -> Result<()> {
    note(&format!("watching: starting {PRIMARIES} primaries"));
    let primaries = (0..PRIMARIES).map(|_| plan.products[0].start(&[])).collect::<Result<Vec<Server>>>()?;
    let lines: String =
        primaries.iter().enumerate().map(|(i, p)| format!("sentinel monitor p{i} 127.0.0.1 {} 2\n", p.port)).collect();
    let mut cpu = vec![Vec::new(); plan.products.len()];
    let mut commands = cpu.clone();
    let mut memory = cpu.clone();
    for round in 0..plan.rounds {
        note(&format!("watching, round {} of {}", round + 1, plan.rounds));
        for i in plan.order(round) {
            let sentinel = plan.products[i].start_sentinel(&lines)?;
            // The first seconds are spent on getting to know them.
            std::thread::sleep(Duration::from_secs(12));
            let counted = |server: &Server| -> Result<f64> {
                Ok(server.control()?.info("stats", "total_commands_processed")?.parse::<f64>()?)
            };
            let (began, used, sent) = (Instant::now(), sentinel.cpu()?, counted(&primaries[0])?);
            std::thread::sleep(WATCH);
            let seconds = began.elapsed().as_secs_f64();
            cpu[i].push((sentinel.cpu()? - used) / seconds * 1000.0);
            // The two questions were ours.
            commands[i].push((counted(&primaries[0])? - sent - 1.0) / seconds);
            memory[i].push(sentinel.rss()? as f64 / (1 << 20) as f64);
        }
    }
    let mut ratios = plan.ratio_names();
    ratios.push("spread".to_owned());
    let columns = plan.columns(&["figure"], &ratios);
    let mut table = Table::new(&format!("One sentinel that watches {PRIMARIES} primaries"), &columns);
    for (name, values) in
        [("CPU, ms per second", &cpu), ("commands per second to each", &commands), ("resident memory, MB", &memory)]
    {
        let mut row = vec![name.to_owned()];
        row.extend(plan.cells(values, 2));
        table.row(row);
    }
    table.print(plan.csv);
    Ok(())
}
