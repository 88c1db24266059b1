//! What 10 000 connections that say nothing cost those 50 that do, in CPU per request and in memory.

use super::{Plan, fill_keys, measure, note, overwrite};
use crate::table::Table;
use anyhow::{Context, Result};
use std::net::TcpStream;

const IDLE: usize = 10_000;
const KEYS: u64 = 100_000;
/// What is measured: the pipeline and whether the idle connections are there.
const KINDS: [(usize, bool); 4] = [(1, false), (1, true), (16, false), (16, true)];

/// Measures and prints.
pub fn run(plan: &Plan) -> Result<()> {
    let mut cpu = vec![vec![Vec::new(); plan.products.len()]; KINDS.len()];
    let mut rate = cpu.clone();
    let mut memory = vec![Vec::new(); plan.products.len()];
    for round in 0..plan.rounds {
        note(&format!("connections, round {} of {}", round + 1, plan.rounds));
        for i in plan.order(round) {
            let server = plan.products[i].start(&["--maxclients", "12000"])?;
            fill_keys(&server, KEYS)?;
            for with in [false, true] {
                let before = server.rss_at_rest()?;
                let mut idle = Vec::new();
                while with && idle.len() < IDLE {
                    let stream = TcpStream::connect(("127.0.0.1", server.port));
                    idle.push(stream.context("opening idle connections; see ulimit -n")?);
                }
                if with {
                    let open: usize = server.control()?.info("clients", "connected_clients")?.parse()?;
                    anyhow::ensure!(open > IDLE, "{} holds {open} connections only", plan.products[i].name);
                    memory[i].push((server.rss()? as f64 - before as f64) / IDLE as f64);
                }
                for (kind, (pipeline, _)) in KINDS.iter().enumerate().filter(|(_, (_, w))| *w == with) {
                    let ops = plan.scaled(if *pipeline == 1 { 160_000 } else { 1_000_000 });
                    let (outcome, us) = measure(&server, *pipeline, ops, overwrite(KEYS))?;
                    cpu[kind][i].push(us);
                    rate[kind][i].push(outcome.ops as f64 / outcome.took.as_secs_f64());
                }
            }
        }
    }
    let mut ratios = plan.ratio_names();
    ratios.push("spread".to_owned());
    let columns = plan.columns(&["figure", "pipeline", "idle connections"], &ratios);
    let mut table = Table::new("50 connections with SET beside idle ones", &columns);
    for (name, values, digits) in [("CPU µs/op", &cpu, 2), ("requests/s", &rate, 0)] {
        for (kind, (pipeline, with)) in KINDS.iter().enumerate() {
            let idle = if *with { IDLE } else { 0 };
            let mut row = vec![name.to_owned(), pipeline.to_string(), idle.to_string()];
            row.extend(plan.cells(&values[kind], digits));
            table.row(row);
        }
    }
    let mut row = vec!["bytes per idle connection".to_owned(), "-".to_owned(), IDLE.to_string()];
    row.extend(plan.cells(&memory, 0));
    table.row(row);
    table.print(plan.csv);
    Ok(())
}
