//! Latency at a load that the server can bear, 20 000 requests per second, and the lag of a replica under it.
//!
//! The lag is seen with `PUBLISH`: a message goes through the same stream as the writes, and a subscriber at the
//! replica sees when it is there. So the lag here includes the way to the primary and from the replica.

use super::{Plan, fill_keys, note, overwrite};
use crate::load::{Load, histogram};
use crate::server::Server;
use crate::table::{Table, median};
use crate::work::{Number, Work};
use anyhow::{Result, anyhow};
use hdrhistogram::Histogram;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Requests per second.
const RATE: f64 = 20_000.0;
const KEYS: u64 = 100_000;
/// What is measured, in the order of the tables.
const KINDS: [&str; 3] = ["SET", "GET", "lag of a replica"];

fn lag(primary: &Server, replica: &Server, seconds: u64) -> Result<Histogram<u64>> {
    replica.follow(primary)?;
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let load = Load {
            port: primary.port,
            clients: 50,
            pipeline: 1,
            rate: Some(RATE),
            ops: u64::MAX,
            work: overwrite(KEYS),
        };
        let writes = scope.spawn(|| load.run(&stop));
        let lags = probe(primary, replica, Duration::from_secs(seconds));
        stop.store(true, Ordering::Relaxed);
        writes.join().map_err(|_| anyhow!("the load failed"))??;
        lags
    })
}

fn probe(primary: &Server, replica: &Server, time: Duration) -> Result<Histogram<u64>> {
    let (mut publisher, mut subscriber) = (primary.control()?, replica.control()?);
    subscriber.ask("SUBSCRIBE lag")?;
    let mut lags = histogram();
    let end = Instant::now() + time;
    while Instant::now() < end {
        let start = Instant::now();
        publisher.ask("PUBLISH lag x")?;
        subscriber.answer()?;
        lags.saturating_record(start.elapsed().as_nanos() as u64);
        std::thread::sleep(Duration::from_millis(1));
    }
    Ok(lags)
}

/// Measures and prints.
pub fn run(plan: &Plan) -> Result<()> {
    let seconds = plan.scaled(6);
    let mut found = vec![vec![Vec::new(); KINDS.len()]; plan.products.len()];
    for round in 0..plan.rounds {
        note(&format!("latency, round {} of {}", round + 1, plan.rounds));
        for i in plan.order(round) {
            let server = plan.products[i].start(&[])?;
            fill_keys(&server, KEYS)?;
            let get = Work::new("GET key:00##########", &[Number::Random(KEYS)]);
            for (kind, work) in [overwrite(KEYS), get].into_iter().enumerate() {
                let ops = RATE as u64 * seconds;
                let load = Load { port: server.port, clients: 50, pipeline: 1, rate: Some(RATE), ops, work };
                found[i][kind].push(load.run(&AtomicBool::new(false))?.latency);
            }
            let replica = plan.products[i].start(&[])?;
            found[i][2].push(lag(&server, &replica, seconds)?);
        }
    }
    let columns = ["what", "product", "p50 µs", "p99 µs", "p99.9 µs", "max µs"];
    let mut table = Table::new("Latency at 20 000 requests per second", &columns);
    for (kind, name) in KINDS.iter().enumerate() {
        for (product, of) in plan.products.iter().zip(&found) {
            let at = |q| {
                let values: Vec<f64> = of[kind].iter().map(|h| h.value_at_quantile(q) as f64 / 1000.0).collect();
                format!("{:.0}", median(&values))
            };
            table.row(vec![(*name).to_owned(), product.name.clone(), at(0.5), at(0.99), at(0.999), at(1.0)]);
        }
    }
    table.print(plan.csv);
    Ok(())
}
