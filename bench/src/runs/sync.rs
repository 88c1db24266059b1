//! Pauses and memory while the whole of the data is being written out: `BGSAVE` and full syncs.
//!
//! `snapshot` overwrites all keys at full speed meanwhile; `fullsync` writes 20 000 times a second, and its time is
//! from `REPLICAOF` until the replica's link is up and it has the offset that the primary had at that moment.

use super::{Plan, fill_keys, note, overwrite};
use crate::load::Load;
use crate::server::{Product, Server};
use crate::table::{Table, median};
use crate::watch::{Seen, Watch};
use anyhow::{Result, anyhow, bail};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How long any of it may take.
const LIMIT: Duration = Duration::from_secs(180);

/// Runs `what` while a load runs, and ends the load with it.
fn under_load<T>(load: Load, what: impl FnOnce() -> Result<T>) -> Result<(T, f64)> {
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let writes = scope.spawn(|| load.run(&stop));
        let found = what();
        stop.store(true, Ordering::Relaxed);
        let outcome = writes.join().map_err(|_| anyhow!("the load failed"))??;
        Ok((found?, outcome.ops as f64 / outcome.took.as_secs_f64()))
    })
}

fn until(what: &str, mut done: impl FnMut() -> Result<bool>) -> Result<()> {
    let limit = Instant::now() + LIMIT;
    while !done()? {
        if Instant::now() > limit {
            bail!("{what} did not end");
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}

/// Waits until `replica` is in sync with `primary`.
fn in_sync(primary: &Server, replica: &Server) -> Result<()> {
    let mut control = replica.control()?;
    until("the full sync", || Ok(control.info("replication", "master_link_status")? == "up"))?;
    let offset: u64 = primary.control()?.info("replication", "master_repl_offset")?.parse()?;
    until("catching up", || Ok(control.info("replication", "slave_repl_offset")?.parse::<u64>()? >= offset))
}

fn growth(of: &Seen, before: &Seen) -> f64 {
    (of.peak as f64 / before.peak as f64 - 1.0) * 100.0
}

/// The figures of one phase, a list of rounds each.
#[derive(Default, Clone)]
struct Phase {
    seconds: Vec<f64>,
    max_ms: Vec<f64>,
    p999_ms: Vec<f64>,
    growth: Vec<f64>,
    rate: Vec<f64>,
}

impl Phase {
    fn add(&mut self, seen: &Seen, before: &Seen, rate: f64) {
        self.seconds.push(seen.took.as_secs_f64());
        self.max_ms.push(seen.max_ms());
        self.p999_ms.push(seen.p999_ms());
        self.growth.push(growth(seen, before));
        self.rate.push(rate);
    }

    fn row(&self, what: &str, product: &Product) -> Vec<String> {
        let worst = self.max_ms.iter().copied().fold(0.0, f64::max);
        vec![
            what.to_owned(),
            product.name.clone(),
            format!("{:.2}", median(&self.seconds)),
            format!("{:.2}", median(&self.max_ms)),
            format!("{worst:.2}"),
            format!("{:.2}", median(&self.p999_ms)),
            format!("{:+.1}", median(&self.growth)),
            format!("{:.0}", median(&self.rate)),
        ]
    }
}

const COLUMNS: [&str; 8] =
    ["phase", "product", "seconds", "longest ping ms", "worst round ms", "p99.9 ping ms", "memory %", "writes/s"];

/// Measures `BGSAVE` and a full sync under overwriting at full speed, and prints.
pub fn snapshot(plan: &Plan) -> Result<()> {
    let keys = plan.scaled(2_000_000);
    let names = ["overwriting only", "BGSAVE", "full sync"];
    let mut found = vec![vec![Phase::default(); names.len()]; plan.products.len()];
    for round in 0..plan.rounds {
        note(&format!("snapshot, round {} of {}", round + 1, plan.rounds));
        for i in plan.order(round) {
            let server = plan.products[i].start(&[])?;
            // At full speed a replica would otherwise be cut before it has read the snapshot.
            server.control()?.ask_args(&["CONFIG", "SET", "client-output-buffer-limit", "slave 0 0 0"])?;
            fill_keys(&server, keys)?;
            server.rss_at_rest()?;
            let load = || Load {
                port: server.port,
                clients: 50,
                pipeline: 16,
                rate: None,
                ops: u64::MAX,
                work: overwrite(keys),
            };
            let watch = Watch::start(&server)?;
            let ((before, during), rate) = under_load(load(), || {
                std::thread::sleep(Duration::from_secs(1));
                watch.cut()?;
                std::thread::sleep(Duration::from_secs(3));
                let before = watch.cut()?;
                let mut control = server.control()?;
                control.ask("BGSAVE")?;
                until("BGSAVE", || Ok(control.info("persistence", "rdb_bgsave_in_progress")? == "0"))?;
                if control.info("persistence", "rdb_last_bgsave_status")? != "ok" {
                    bail!("BGSAVE of {} failed", plan.products[i].name);
                }
                Ok((before, watch.cut()?))
            })?;
            found[i][0].add(&before, &before, rate);
            found[i][1].add(&during, &before, rate);
            let replica = plan.products[i].start(&[])?;
            server.rss_at_rest()?;
            let ((before, during), rate) = under_load(load(), || {
                std::thread::sleep(Duration::from_secs(1));
                watch.cut()?;
                std::thread::sleep(Duration::from_secs(1));
                let before = watch.cut()?;
                replica.control()?.ask(&format!("REPLICAOF 127.0.0.1 {}", server.port))?;
                let mut control = replica.control()?;
                until("the full sync", || Ok(control.info("replication", "master_link_status")? == "up"))?;
                Ok((before, watch.cut()?))
            })?;
            found[i][2].add(&during, &before, rate);
        }
    }
    let title = format!("Overwriting {keys} keys at full speed, pipeline 16");
    let mut table = Table::new(&title, &COLUMNS);
    for (phase, name) in names.iter().enumerate() {
        for (product, of) in plan.products.iter().zip(&found) {
            table.row(of[phase].row(name, product));
        }
    }
    table.print(plan.csv);
    Ok(())
}

/// Measures a full sync under 20 000 writes a second, and prints.
pub fn full(plan: &Plan) -> Result<()> {
    let keys = plan.scaled(2_000_000);
    let mut found = vec![vec![Phase::default(); 2]; plan.products.len()];
    for round in 0..plan.rounds {
        note(&format!("fullsync, round {} of {}", round + 1, plan.rounds));
        for i in plan.order(round) {
            let (server, replica) = (plan.products[i].start(&[])?, plan.products[i].start(&[])?);
            fill_keys(&server, keys)?;
            server.rss_at_rest()?;
            let load = Load {
                port: server.port,
                clients: 50,
                pipeline: 1,
                rate: Some(20_000.0),
                ops: u64::MAX,
                work: overwrite(keys),
            };
            let watch = Watch::start(&server)?;
            let ((before, during), rate) = under_load(load, || {
                std::thread::sleep(Duration::from_secs(2));
                let before = watch.cut()?;
                replica.control()?.ask(&format!("REPLICAOF 127.0.0.1 {}", server.port))?;
                in_sync(&server, &replica)?;
                Ok((before, watch.cut()?))
            })?;
            found[i][0].add(&before, &before, rate);
            found[i][1].add(&during, &before, rate);
        }
    }
    let title = format!("Full sync of {keys} keys under 20 000 writes/s");
    let mut table = Table::new(&title, &COLUMNS);
    for (phase, name) in ["writes only", "full sync"].iter().enumerate() {
        for (product, of) in plan.products.iter().zip(&found) {
            table.row(of[phase].row(name, product));
        }
    }
    table.print(plan.csv);
    Ok(())
}
