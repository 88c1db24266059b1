//! What replicas cost the primary: CPU per write with none, one and two of the same product, pipeline 16.
//!
//! The time until the replicas have everything is part of it, since a primary may leave the sending for later.
//! At the given rate, where much of the time is spent with waiting and waking, the primary has a core of its own ([`crate::cores`]).

use super::{Plan, fill_keys, note, overwrite};
use crate::cores::Apart;
use crate::load::Load;
use crate::server::{Product, Server};
use crate::table::{Table, median, ratio};
use anyhow::{Result, bail};
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

const KEYS: u64 = 100_000;
/// Writes that replicas and all else on two cores can follow.
const RATE: f64 = 150_000.0;

/// Waits until a replica has what its primary had at the beginning of the wait.
fn caught_up(primary: &Server, replica: &Server) -> Result<()> {
    let offset: u64 = primary.control()?.info("replication", "master_repl_offset")?.parse()?;
    let mut control = replica.control()?;
    let limit = Instant::now() + Duration::from_secs(60);
    while control.info("replication", "slave_repl_offset")?.parse::<u64>()? < offset {
        if Instant::now() > limit {
            bail!("a replica does not catch up");
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}

fn one(product: &Product, count: usize, rate: Option<f64>, ops: u64) -> Result<f64> {
    let apart = rate.map(|_| Apart::new()).transpose()?;
    let primary = product.start(&[])?;
    // On two cores replicas fall behind at full speed; being cut for it would be another measurement.
    primary.control()?.ask_args(&["CONFIG", "SET", "client-output-buffer-limit", "slave 0 0 0"])?;
    fill_keys(&primary, KEYS)?;
    let replicas = (0..count).map(|_| product.start(&[])).collect::<Result<Vec<Server>>>()?;
    for replica in &replicas {
        replica.follow(&primary)?;
    }
    if let Some(apart) = &apart {
        apart.give_core_to(primary.id())?;
    }
    let syncs = primary.control()?.info("stats", "sync_full")?;
    let before = primary.cpu()?;
    let load = Load { port: primary.port, clients: 50, pipeline: 16, rate, ops, work: overwrite(KEYS) };
    load.run(&AtomicBool::new(false))?;
    for replica in &replicas {
        caught_up(&primary, replica)?;
    }
    let cpu = primary.cpu()? - before;
    if primary.control()?.info("stats", "sync_full")? != syncs {
        bail!("a replica of {} lost its place under the load\n{}", product.name, primary.log());
    }
    Ok(cpu * 1e6 / ops as f64)
}

/// Measures and prints.
pub fn run(plan: &Plan) -> Result<()> {
    let columns = ["product", "load", "0 replicas", "1 replica", "2 replicas", "first costs", "second costs", "spread"];
    let mut table = Table::new("CPU of the primary, µs per SET, pipeline 16", &columns);
    let ops = plan.scaled(1_500_000);
    for (load, rate) in [("full speed", None), ("150 000/s, own core", Some(RATE))] {
        let mut found = vec![vec![Vec::new(); 3]; plan.products.len()];
        for round in 0..plan.rounds {
            note(&format!("replicas, {load}, round {} of {}", round + 1, plan.rounds));
            for (count, i) in (0..3).flat_map(|count| plan.order(round).into_iter().map(move |i| (count, i))) {
                found[i][count].push(one(&plan.products[i], count, rate, ops)?);
            }
        }
        for (product, of) in plan.products.iter().zip(&found) {
            let mut row = vec![product.name.clone(), load.to_owned()];
            row.extend(of.iter().map(|v| format!("{:.2}", median(v))));
            row.push(format!("{:+.0} %", (ratio(&of[1], &of[0]) - 1.0) * 100.0));
            row.push(format!("{:+.0} %", (ratio(&of[2], &of[0]) - ratio(&of[1], &of[0])) * 100.0));
            let worst = of.iter().map(|v| crate::table::spread(v)).fold(0.0, f64::max);
            row.push(format!("{:.0} %", worst * 100.0));
            table.row(row);
        }
    }
    table.print(plan.csv);
    Ok(())
}
