//! CPU time per request, requests per second and latencies at full speed, for the common commands and three pipelines.
//!
//! All products run at once and are loaded in turn, command by command, so that both sides of a ratio were measured
//! within seconds of each other; the ones that are not loaded sleep. Each round starts them anew.

use super::{Plan, measure, note};
use crate::load::fill;
use crate::server::Server;
use crate::table::{Table, median};
use crate::work::{Number, Work};
use anyhow::{Context, Result};
use std::collections::BTreeMap;

/// Pipelines that are measured.
const PIPELINES: [usize; 3] = [1, 16, 64];
/// Keys of the strings and counters.
const KEYS: u64 = 1_000_000;

/// A command, what it asks, and how many times dearer than a `SET` it may be taken to be.
struct Case {
    name: &'static str,
    work: Work,
    weight: u64,
}

fn cases() -> Vec<Case> {
    use Number::Random;
    let case = |name, words: &str, numbers: &[Number], weight| Case { name, work: Work::new(words, numbers), weight };
    let ten: Vec<String> = (0..10).map(|_| "key:00########## @64".to_owned()).collect();
    vec![
        case("SET", "SET key:00########## @64", &[Random(KEYS)], 1),
        case("GET", "GET key:00##########", &[Random(KEYS)], 1),
        case("INCR", "INCR ctr:00##########", &[Random(KEYS)], 1),
        case("LPUSH", "LPUSH list:########## @64", &[Random(1000)], 1),
        case("RPUSH", "RPUSH list:########## @64", &[Random(1000)], 1),
        case("LPOP", "LPOP list:##########", &[Random(1000)], 1),
        case("SADD", "SADD set:0########## member##########", &[Random(1000), Random(KEYS)], 1),
        case("HSET", "HSET hash:########## field########## @64", &[Random(100_000), Random(10)], 1),
        case(
            "ZADD",
            "ZADD zset:########## ########## member##########",
            &[Random(1000), Random(KEYS), Random(KEYS)],
            2,
        ),
        case("ZPOPMIN", "ZPOPMIN zset:##########", &[Random(1000)], 2),
        case("MSET (10 keys)", &format!("MSET {}", ten.join(" ")), &[Random(KEYS); 10], 5),
        case("LRANGE_100", "LRANGE range:########## 0 99", &[Random(1000)], 8),
    ]
}

fn start(plan: &Plan) -> Result<Vec<Server>> {
    let mut servers = Vec::new();
    for product in &plan.products {
        let server = product.start(&[])?;
        let counted = |words: &str, each, bound| Work::new(words, &[Number::Counted(each, bound)]);
        super::fill_keys(&server, KEYS)?;
        fill(server.port, KEYS, counted("INCR ctr:00##########", 1, KEYS))?;
        fill(server.port, 100_000, counted("RPUSH range:########## @64", 1, 1000))?;
        fill(
            server.port,
            100_000,
            Work::new(
                "ZADD zset:########## ########## member##########",
                &[Number::Counted(1, 1000), Number::Random(KEYS), Number::Random(KEYS)],
            ),
        )?;
        servers.push(server);
    }
    Ok(servers)
}

/// Figures of one command and pipeline: for each product the values of the rounds.
#[derive(Default, Clone)]
struct Figures {
    cpu: Vec<f64>,
    rate: Vec<f64>,
    p50: Vec<f64>,
    p99: Vec<f64>,
    p999: Vec<f64>,
}

/// Measures and prints.
pub fn run(plan: &Plan, only: &[String]) -> Result<()> {
    let mut all: BTreeMap<(usize, usize), Vec<Figures>> = BTreeMap::new();
    let wanted = |name: &str| only.is_empty() || only.iter().any(|o| o.eq_ignore_ascii_case(name));
    for round in 0..plan.rounds {
        note(&format!("throughput, round {} of {}", round + 1, plan.rounds));
        let servers = start(plan)?;
        for (c, case) in cases().into_iter().enumerate().filter(|(_, case)| wanted(case.name)) {
            for (p, &pipeline) in PIPELINES.iter().enumerate() {
                let figures = all.entry((c, p)).or_insert_with(|| vec![Figures::default(); plan.products.len()]);
                for i in plan.order(round + c) {
                    let full = [160_000, 1_000_000, 1_200_000][p];
                    let work = case.work.clone().seeded((round * 100 + c * 10 + p) as u64);
                    let (outcome, cpu) = measure(&servers[i], pipeline, plan.scaled(full) / case.weight, work)
                        .with_context(|| format!("{} on {}", case.name, plan.products[i].name))?;
                    let of = &mut figures[i];
                    let us = |q| outcome.latency.value_at_quantile(q) as f64 / 1000.0;
                    of.cpu.push(cpu);
                    of.rate.push(outcome.ops as f64 / outcome.took.as_secs_f64());
                    of.p50.push(us(0.5));
                    of.p99.push(us(0.99));
                    of.p999.push(us(0.999));
                }
            }
        }
    }
    print(plan, &all);
    Ok(())
}

fn print(plan: &Plan, all: &BTreeMap<(usize, usize), Vec<Figures>>) {
    let mut ratios = plan.ratio_names();
    ratios.push("spread".to_owned());
    let columns = plan.columns(&["command", "pipeline"], &ratios);
    let mut table = Table::new("CPU of the server, µs per request (50 connections)", &columns);
    let cases = cases();
    for (&(c, p), figures) in all {
        let mut row = vec![cases[c].name.to_owned(), PIPELINES[p].to_string()];
        let cpu: Vec<Vec<f64>> = figures.iter().map(|f| f.cpu.clone()).collect();
        row.extend(plan.cells(&cpu, 2));
        table.row(row);
    }
    table.print(plan.csv);
    let columns = ["command", "pipeline", "product", "requests/s", "p50 µs", "p99 µs", "p99.9 µs"];
    let mut table = Table::new("Speed and latency of a batch at full load", &columns);
    for (&(c, p), figures) in all {
        for (product, f) in plan.products.iter().zip(figures) {
            let mut row = vec![cases[c].name.to_owned(), PIPELINES[p].to_string(), product.name.clone()];
            row.extend([&f.rate, &f.p50, &f.p99, &f.p999].map(|v| format!("{:.0}", median(v))));
            table.row(row);
        }
    }
    table.print(plan.csv);
}
