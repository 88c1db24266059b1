//! Running plans: the two phases, doublecheck, shrinking, many seeds on several threads.

use crate::Time;
use crate::check::Violation;
use crate::faults::{Fault, FaultKind};
use crate::plan::Plan;
use crate::world::World;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

/// One run in so many is repeated, and must be the same.
const DOUBLECHECK_EVERY: u64 = 16;

/// How a run ended well.
#[derive(Clone, Copy, Debug)]
pub struct Outcome {
    /// A hash of all that happened.
    pub trace: u64,
    /// Things that happened.
    pub steps: u64,
    /// How long it took to agree after everything was healed.
    pub agreed_after_ms: Time,
}

/// A seed that failed, with the smallest plan that still does.
#[derive(Debug)]
pub struct Failure {
    /// The plan, with as few faults as possible.
    pub plan: Plan,
    /// What is wrong.
    pub violation: Violation,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "seed {}: at {} ms: {}", self.plan.seed, self.violation.at, self.violation.what)?;
        writeln!(
            f,
            "repeat it with SIM_SEED={} cargo test -p sim --test simulation one_seed -- --nocapture",
            self.plan.seed
        )?;
        write!(f, "the smallest plan that fails: {:#?}", self.plan)
    }
}

/// Whether all agree: live sentinels on one primary that is one, and every live server follows it.
pub fn agreement(world: &World) -> Result<usize, String> {
    let mut primary: Option<(usize, u64)> = None;
    for node in 0..world.nodes.len() {
        let Some(view) = world.view(node) else { continue };
        let server = crate::server::server_at(&view.host).ok_or("a primary that does not exist")?;
        if view.failover_epoch.is_some() || view.s_down || view.o_down {
            return Err(format!("sentinel {node} is not content: {view:?}"));
        }
        match primary {
            None => primary = Some((server, view.config_epoch)),
            Some(first) if first != (server, view.config_epoch) => {
                return Err(format!("sentinel {node} has server {server} in {}, another {first:?}", view.config_epoch));
            }
            Some(_) => {}
        }
    }
    let (primary, _) = primary.ok_or("no sentinel runs")?;
    if !world.servers[primary].runs(world.now) {
        return Err(format!("the primary {primary} is dead"));
    }
    for (i, server) in world.servers.iter().enumerate().filter(|(_, s)| s.alive) {
        if i == primary {
            if server.follows.is_some() {
                return Err(format!("the primary {i} is a replica of {:?}", server.follows));
            }
            continue;
        }
        // Nobody can repair a replica of a replica that somebody made a primary before any sentinel heard of it.
        let name = format!("{}:6379", crate::server::address(i));
        let known = |n: usize| world.view(n).is_some_and(|v| v.replicas.iter().any(|(r, _)| *r == name));
        if !(0..world.nodes.len()).any(known) {
            continue;
        }
        // Through a chain is fine, too.
        let mut at = i;
        for _ in 0..world.servers.len() {
            match world.servers[at].follows {
                Some(next) if world.servers[at].link_up => at = next,
                _ => break,
            }
        }
        if at != primary {
            return Err(format!("server {i} does not follow the primary {primary} but ends at {at}"));
        }
    }
    Ok(primary)
}

/// Runs a plan.
pub fn run(plan: &Plan, verbose: bool) -> Result<Outcome, Violation> {
    let mut world = World::new(plan.clone());
    world.verbose = verbose;
    // First they must all have found each other: who knows few others needs few votes.
    let (sentinels, known) = (plan.sentinels - 1, known_replicas(plan));
    let settled = world.run_until_so(6000, |w| {
        (0..w.nodes.len()).all(|n| w.view(n).is_some_and(|v| v.sentinels == sentinels && v.replicas.len() >= known))
    });
    let first = |world: &World| world.checker.violations.first().cloned();
    if !settled {
        let what = "the sentinels did not find each other in six seconds of peace".to_owned();
        return Err(first(&world).unwrap_or(Violation { at: world.now, what }));
    }
    world.run_until(plan.heal_at);
    let victim = plan.kill_primary.then(|| world.believed_primary()).filter(|p| another_is_good(&world, *p));
    world.heal(victim);
    let healed_at = world.now;
    let mut since = None;
    // All must agree for a while, not in passing.
    let agreed = world.run_until_so(plan.bound_ms(), |w| match agreement(w) {
        Ok(_) => w.now > *since.get_or_insert(w.now) + 3 * w.plan.down_after_ms.min(1000),
        Err(_) => {
            since = None;
            false
        }
    });
    if let Some(violation) = first(&world) {
        return Err(violation);
    }
    if !agreed {
        let what = format!(
            "no agreement within {} ms: {}",
            plan.bound_ms(),
            agreement(&world).err().unwrap_or_else(|| "it does not last".into())
        );
        return Err(Violation { at: world.now, what });
    }
    Ok(Outcome { trace: world.trace, steps: world.steps, agreed_after_ms: world.now - healed_at })
}

/// Replicas of replicas are not in the primary's INFO.
fn known_replicas(plan: &Plan) -> usize {
    plan.follows.iter().filter(|f| **f == Some(0)).count()
}

/// Whether the group could go on without this server: another that may be promoted has been heard of, by all.
fn another_is_good(world: &World, victim: usize) -> bool {
    (0..world.servers.len()).any(|i| {
        let server = &world.servers[i];
        let name = format!("{}:6379", crate::server::address(i));
        let known = |n: usize| world.view(n).is_none_or(|v| v.replicas.iter().any(|(r, _)| *r == name));
        i != victim
            && server.alive
            && server.priority != 0
            && server.follows == Some(victim)
            && server.link_up
            && (0..world.nodes.len()).all(known)
    })
}

/// Runs a seed, now and then twice, and shrinks it if it fails.
pub fn run_seed(seed: u64) -> Result<Outcome, Box<Failure>> {
    let plan = Plan::from_seed(seed);
    let result = run(&plan, false);
    if seed.is_multiple_of(DOUBLECHECK_EVERY) {
        let again = run(&plan, false);
        let trace = |r: &Result<Outcome, Violation>| r.as_ref().map(|o| (o.trace, o.steps)).map_err(Clone::clone);
        if trace(&result) != trace(&again) {
            let what = format!("the same plan runs in two ways: {result:?} and {again:?}");
            return Err(Box::new(Failure { plan, violation: Violation { at: 0, what } }));
        }
    }
    result.map_err(|violation| Box::new(shrink(plan, violation)))
}

/// Leaves out faults, as long as the plan fails without them.
pub fn shrink(mut plan: Plan, mut violation: Violation) -> Failure {
    let still_fails = |plan: &Plan| run(plan, false).err();
    let mut try_it = |plan: &mut Plan, changed: Plan| {
        if let Some(found) = still_fails(&changed) {
            (*plan, violation) = (changed, found);
            return true;
        }
        false
    };
    let mut i = 0;
    while i < plan.faults.len() {
        let mut fewer = plan.clone();
        fewer.faults.remove(i);
        if !try_it(&mut plan, fewer) {
            i += 1;
        }
    }
    for simpler in [
        (|p: &mut Plan| p.write_ms = 0) as fn(&mut Plan),
        |p| p.kill_primary = false,
        |p| p.lost_per_mille = 0,
        |p| p.delay_ms = (1, 1),
        |p| p.save_ms = (1, 1),
        |p| p.heal_at = p.faults.last().map_or(p.heal_at, |f| f.at + f.ms + 1000),
    ] {
        let mut changed = plan.clone();
        simpler(&mut changed);
        try_it(&mut plan, changed);
    }
    Failure { plan, violation }
}

/// Runs seeds from `first` on, `count` of them, on `threads` threads. All failures, at most a few.
pub fn explore(first: u64, count: u64, threads: usize) -> (u64, Vec<Failure>) {
    let next = AtomicU64::new(first);
    let steps = AtomicU64::new(0);
    let end = first.saturating_add(count);
    let failures = std::sync::Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    let enough = failures.lock().expect("no thread panics with it").len() >= 3;
                    if seed >= end || enough {
                        return;
                    }
                    match run_seed(seed) {
                        Ok(outcome) => _ = steps.fetch_add(outcome.steps, Ordering::Relaxed),
                        Err(failure) => failures.lock().expect("no thread panics with it").push(*failure),
                    }
                }
            });
        }
    });
    (steps.into_inner(), failures.into_inner().expect("no thread panics with it"))
}

/// A fault at a time, for scenarios.
pub fn fault(at: Time, ms: u64, kind: FaultKind) -> Fault {
    Fault { at, ms, kind }
}
