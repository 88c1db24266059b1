//! Measures Rekindle and its peers side by side: CPU time per request, latency, what replicas cost, memory, and what
//! snapshots and full syncs do to clients. `README.md` says how to read it, `RESULTS.md` holds what was found.

mod cores;
mod group;
mod load;
mod resp;
mod runs;
mod server;
mod table;
mod watch;
mod work;

use anyhow::{Context, Result};
use clap::{Args, Parser, Subcommand};
use runs::Plan;
use server::Product;
use std::path::PathBuf;
use std::process::ExitCode;

/// Measures Rekindle side by side with its peers.
#[derive(Debug, Parser)]
#[command(version, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    run: Run,
}

#[derive(Debug, Subcommand)]
enum Run {
    /// CPU per request, requests per second and latency at full speed, per command and pipeline
    Throughput {
        #[command(flatten)]
        common: Common,
        /// Only these commands, for example SET,GET
        #[arg(long, value_delimiter = ',')]
        only: Vec<String>,
    },
    /// Latency and replication lag at 20 000 requests per second
    Latency(Common),
    /// What one and two replicas cost the primary per write
    Replicas(Common),
    /// Resident memory per key or element, in twelve shapes
    Memory(Common),
    /// Pauses and memory during BGSAVE and a full sync while all keys are overwritten at full speed
    Snapshot(Common),
    /// Time, pauses and memory of a full sync under 20 000 writes per second
    Fullsync(Common),
    /// What 10 000 idle connections cost
    Connections(Common),
    /// How long writes stop when the primary dies or hands over, and what is lost
    Failover(Common),
    /// What it costs a sentinel to watch 100 primaries
    Watching(Common),
    /// Whether the cost of an element stays the same from a thousand elements to a million, for each command
    Growth {
        #[command(flatten)]
        common: Common,
        /// Only the cases whose names contain one of these, for example KEYS,SORT
        #[arg(long, value_delimiter = ',')]
        only: Vec<String>,
    },
    /// All of them but growth
    All(Common),
}

#[derive(Debug, Args)]
struct Common {
    /// The Rekindle to measure: the binary `rekindle`
    #[arg(long)]
    ours: PathBuf,
    /// A peer, as NAME=PATH; may be given several times
    #[arg(long, value_parser = peer)]
    peer: Vec<Product>,
    /// How often everything is measured; the medians are printed
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=99))]
    rounds: u16,
    /// Half of the requests and keys
    #[arg(long)]
    quick: bool,
    /// Print comma-separated values instead of Markdown tables
    #[arg(long)]
    csv: bool,
}

fn peer(text: &str) -> Result<Product, String> {
    let (name, path) = text.split_once('=').ok_or("a peer is given as NAME=PATH")?;
    Ok(Product { name: name.to_owned(), path: path.into() })
}

fn plan(common: Common) -> Result<Plan> {
    let path = common.ours.canonicalize().with_context(|| common.ours.display().to_string())?;
    let mut products = vec![Product { name: "rekindle".to_owned(), path }];
    products.extend(common.peer);
    Ok(Plan { products, rounds: usize::from(common.rounds), quick: common.quick, csv: common.csv })
}

type Measurement = fn(&Plan) -> Result<()>;

fn measure(run: Run) -> Result<()> {
    match run {
        Run::Throughput { common, only } => runs::throughput::run(&plan(common)?, &only),
        Run::Latency(common) => runs::latency::run(&plan(common)?),
        Run::Replicas(common) => runs::replicas::run(&plan(common)?),
        Run::Memory(common) => runs::memory::run(&plan(common)?),
        Run::Snapshot(common) => runs::sync::snapshot(&plan(common)?),
        Run::Fullsync(common) => runs::sync::full(&plan(common)?),
        Run::Connections(common) => runs::connections::run(&plan(common)?),
        Run::Failover(common) => runs::failover::run(&plan(common)?),
        Run::Growth { common, only } => runs::growth::run(&plan(common)?, &only),
        Run::Watching(common) => runs::failover::watching(&plan(common)?),
        Run::All(common) => {
            let plan = plan(common)?;
            let all: [(&str, Measurement); 9] = [
                ("throughput", |plan| runs::throughput::run(plan, &[])),
                ("latency", runs::latency::run),
                ("replicas", runs::replicas::run),
                ("memory", runs::memory::run),
                ("snapshot", runs::sync::snapshot),
                ("fullsync", runs::sync::full),
                ("connections", runs::connections::run),
                ("failover", runs::failover::run),
                ("watching", runs::failover::watching),
            ];
            // One measurement that fails does not take the others with it.
            let mut failed = Vec::new();
            for (name, run) in all {
                if let Err(e) = run(&plan) {
                    eprintln!("bench: {name}: {e:#}");
                    failed.push(name);
                }
            }
            anyhow::ensure!(failed.is_empty(), "not measured: {}", failed.join(", "));
            Ok(())
        }
    }
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let signals = signal_hook::iterator::Signals::new([signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM]);
    match signals {
        Ok(mut signals) => {
            std::thread::spawn(move || {
                if signals.forever().next().is_some() {
                    server::end_all();
                    std::process::exit(130);
                }
            });
        }
        Err(e) => {
            eprintln!("bench: cannot catch Ctrl-C: {e}");
            return ExitCode::FAILURE;
        }
    }
    match measure(cli.run) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("bench: {e:#}");
            ExitCode::FAILURE
        }
    }
}
