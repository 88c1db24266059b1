//! Many random worlds. `SIM_SEEDS=n` runs n of them, from seed `SIM_FIRST` on; `SIM_SEED=s` runs one and shows it.

use sim::explore::{explore, run, run_seed};
use sim::plan::Plan;
use std::env;

/// How many seeds a plain `cargo test` runs; CI runs 20,000.
const SEEDS: u64 = 2000;

fn from_env(name: &str) -> Option<u64> {
    env::var(name).ok().map(|v| v.parse().unwrap_or_else(|_| panic!("{name} must be a number, not {v:?}")))
}

fn threads() -> usize {
    std::thread::available_parallelism().map_or(2, usize::from)
}

fn must_hold(first: u64, count: u64) {
    let begin = std::time::Instant::now();
    let (steps, failures) = explore(first, count, threads());
    for failure in &failures {
        eprintln!("{failure}");
    }
    assert!(failures.is_empty(), "{} of the seeds from {first} on failed; see above", failures.len());
    eprintln!("{count} seeds from {first} on: {steps} steps in {:?}", begin.elapsed());
}

#[test]
fn seeds_of_past_bugs_hold() {
    let seeds: Vec<u64> = include_str!("past_bugs.txt")
        .lines()
        .filter_map(|line| line.split('#').next().map(str::trim).filter(|l| !l.is_empty()))
        .map(|seed| seed.parse().expect("a seed on each line"))
        .collect();
    for seed in seeds {
        if let Err(failure) = run_seed(seed) {
            panic!("{failure}");
        }
    }
}

#[test]
fn random_worlds_hold() {
    must_hold(from_env("SIM_FIRST").unwrap_or(1), from_env("SIM_SEEDS").unwrap_or(SEEDS));
}

/// Prints a world and what happens in it.
#[test]
fn one_seed() {
    let Some(seed) = from_env("SIM_SEED") else { return };
    let plan = Plan::from_seed(seed);
    eprintln!("{plan:#?}");
    if let Err(violation) = run(&plan, true) {
        panic!("seed {seed}: at {} ms: {}", violation.at, violation.what);
    }
}
