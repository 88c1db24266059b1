//! The measurements. Each starts its servers fresh in every round and measures the products one after the other.

pub mod connections;
pub mod failover;
pub mod growth;
pub mod latency;
pub mod memory;
pub mod replicas;
pub mod sync;
pub mod throughput;

use crate::load::{Load, Outcome};
use crate::server::{Product, Server};
use crate::table::{ratio, spread};
use crate::work::{Number, Work};
use anyhow::{Result, ensure};
use std::sync::atomic::AtomicBool;

/// What all measurements need to know.
#[derive(Debug)]
pub struct Plan {
    /// Rekindle first, then its peers.
    pub products: Vec<Product>,
    /// How often everything is measured.
    pub rounds: usize,
    /// Fewer requests and keys.
    pub quick: bool,
    /// Whether tables are printed as CSV.
    pub csv: bool,
}

impl Plan {
    /// A number of requests or keys, less if it is to be quick.
    pub fn scaled(&self, full: u64) -> u64 {
        if self.quick { full / 2 } else { full }
    }

    /// The products in the order of a round: forth in even rounds, back in odd ones.
    pub fn order(&self, round: usize) -> Vec<usize> {
        let forth = 0..self.products.len();
        if round.is_multiple_of(2) { forth.collect() } else { forth.rev().collect() }
    }

    /// The columns of a table: some of its own, then a name for each product, then ratios to the first.
    pub fn columns<'a>(&'a self, first: &[&'a str], ratios: &'a [String]) -> Vec<&'a str> {
        let names = self.products.iter().map(|p| p.name.as_str());
        first.iter().copied().chain(names).chain(ratios.iter().map(String::as_str)).collect()
    }

    /// Headings of ratios of a peer to us.
    pub fn ratio_names(&self) -> Vec<String> {
        let ours = &self.products[0].name;
        self.products[1..].iter().map(|p| format!("{} / {ours}", p.name)).collect()
    }

    /// Cells of a figure: medians of each product, ratios to the first, the largest spread.
    pub fn cells(&self, values: &[Vec<f64>], digits: usize) -> Vec<String> {
        let mut cells: Vec<String> = values.iter().map(|v| format!("{:.digits$}", crate::table::median(v))).collect();
        cells.extend(values[1..].iter().map(|v| format!("{:.2}", ratio(v, &values[0]))));
        let worst = values.iter().map(|v| spread(v)).fold(0.0, f64::max);
        cells.push(format!("{:.0} %", worst * 100.0));
        cells
    }
}

/// Says on the error stream what is being done.
pub fn note(text: &str) {
    eprintln!("bench: {text}");
}

/// Puts a load of 50 connections at full speed on a server: gives what came of it and the server's CPU µs per request.
pub fn measure(server: &Server, pipeline: usize, ops: u64, work: Work) -> Result<(Outcome, f64)> {
    let before = server.cpu()?;
    let load = Load { port: server.port, clients: 50, pipeline, rate: None, ops, work };
    let outcome = load.run(&AtomicBool::new(false))?;
    let cpu = (server.cpu()? - before) * 1e6 / outcome.ops as f64;
    Ok((outcome, cpu))
}

/// `SET` of 64 bytes to the keys that [`fill_keys`] makes.
pub fn overwrite(keys: u64) -> Work {
    Work::new("SET key:00########## @64", &[Number::Random(keys)])
}

/// Fills a server with keys of 16 bytes and values of 64, and checks that they are there.
pub fn fill_keys(server: &Server, keys: u64) -> Result<()> {
    crate::load::fill(server.port, keys, Work::new("SET key:00########## @64", &[Number::Counted(1, keys)]))?;
    let there: u64 = server.control()?.ask("DBSIZE")?.parse()?;
    ensure!(there == keys, "{there} keys instead of {keys}");
    Ok(())
}
