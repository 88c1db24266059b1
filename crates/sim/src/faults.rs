//! Faults: what can befall a world. They are data, so that shrinking can leave some out.

use crate::Time;
use crate::plan::Plan;
use base::rng::Rng;

/// One fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// When it happens.
    pub at: Time,
    /// For how long; what is over after that is undone.
    pub ms: u64,
    /// What happens.
    pub kind: FaultKind,
}

/// What can happen. Numbers are indices of sentinels or servers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// A server dies and comes back; connections are reset, or just silent (`reset: false`).
    CrashServer {
        /// Which; `None`: whoever is the primary then.
        server: Option<usize>,
        /// Its connections are reset.
        reset: bool,
        /// Its data is lost.
        lose_data: bool,
    },
    /// A server does not run for a while.
    HangServer {
        /// Which; `None`: whoever is the primary then.
        server: Option<usize>,
    },
    /// A sentinel dies, loses what was not synced, and comes back.
    CrashSentinel {
        /// Which.
        sentinel: usize,
        /// Its connections are reset.
        reset: bool,
    },
    /// A sentinel does not run for a while.
    HangSentinel {
        /// Which.
        sentinel: usize,
    },
    /// Nodes with a bit in the mask cannot reach those without; one way only, or both.
    Partition {
        /// Sentinels first, then servers.
        mask: u32,
        /// Only from those in the mask to the others.
        one_way: bool,
    },
    /// A sentinel's saves take this long.
    SlowDisk {
        /// Which.
        sentinel: usize,
        /// Milliseconds for each save.
        save_ms: u64,
    },
    /// A sentinel's saves fail.
    FailingDisk {
        /// Which.
        sentinel: usize,
    },
    /// A sentinel's wall clock is set.
    ClockJump {
        /// Which.
        sentinel: usize,
        /// By so much.
        by_ms: i64,
    },
    /// A sentinel's wall clock stands still.
    ClockStop {
        /// Which.
        sentinel: usize,
    },
    /// Connections of a sentinel are reset.
    ResetLinks {
        /// Which.
        sentinel: usize,
    },
    /// Somebody calls `SENTINEL FAILOVER`.
    Failover {
        /// Of which sentinel.
        sentinel: usize,
        /// With `COORDINATED`.
        coordinated: bool,
    },
    /// Somebody points a server at another by hand, or makes it a primary.
    Meddle {
        /// Which server.
        server: usize,
        /// At whom.
        follows: Option<usize>,
    },
}

/// The faults of a plan, in order.
pub fn draw_faults(rng: &mut Rng, plan: &Plan, begin: Time, end: Time) -> Vec<Fault> {
    let count = rng.below(9);
    // Some runs have only a few kinds: then these meet each other more often.
    let kinds = 1 << rng.below(14) | 1 << rng.below(14) | if rng.below(2) == 0 { 0x3FFF } else { 0 };
    let mut faults = Vec::new();
    while (faults.len() as u64) < count {
        let number = rng.below(14);
        if kinds & (1 << number) == 0 {
            continue;
        }
        let sentinel = rng.below(plan.sentinels as u64) as usize;
        let server = Some(rng.below(plan.servers as u64) as usize);
        let nodes = plan.sentinels + plan.servers;
        let kind = match number {
            0 => FaultKind::CrashServer { server: None, reset: rng.below(3) > 0, lose_data: rng.below(3) == 0 },
            1 => FaultKind::CrashServer { server, reset: rng.below(3) > 0, lose_data: rng.below(3) == 0 },
            2 => FaultKind::HangServer { server: if rng.below(2) == 0 { None } else { server } },
            3 | 4 => FaultKind::CrashSentinel { sentinel, reset: rng.below(3) > 0 },
            5 => FaultKind::HangSentinel { sentinel },
            6 | 7 => FaultKind::Partition { mask: rng.below(1 << nodes) as u32, one_way: false },
            8 => FaultKind::Partition { mask: rng.below(1 << nodes) as u32, one_way: true },
            9 => FaultKind::SlowDisk { sentinel, save_ms: 200 + rng.below(3000) },
            10 => match rng.below(3) {
                0 => FaultKind::FailingDisk { sentinel },
                1 => FaultKind::ClockStop { sentinel },
                _ => FaultKind::ClockJump { sentinel, by_ms: rng.below(20_000) as i64 - 10_000 },
            },
            11 => FaultKind::ResetLinks { sentinel },
            12 => FaultKind::Failover { sentinel, coordinated: rng.below(2) == 0 },
            _ => {
                let follows = rng.below(plan.servers as u64 + 1) as usize;
                let server = rng.below(plan.servers as u64) as usize;
                FaultKind::Meddle { server, follows: (follows < plan.servers && follows != server).then_some(follows) }
            }
        };
        let at = begin + rng.below(end - begin);
        faults.push(Fault { at, ms: 100 + rng.below(8000), kind });
    }
    faults.sort_by_key(|f| f.at);
    faults
}
