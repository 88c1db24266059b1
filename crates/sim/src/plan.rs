//! What a seed means: the sizes and tunables of a world and the faults that befall it, all drawn before the run.

use crate::Time;
use crate::faults::{Fault, draw_faults};
use base::rng::Rng;

/// Ways to break the world so that a checker must notice: they show that the checkers can fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sabotage {
    /// Saves are reported before they are durable, so that a crash forgets votes.
    LyingDisk,
    /// Whoever asks for a vote is told that it got it.
    YesMen,
    /// The same, and leaders are not judged, so that what comes of two leaders is seen.
    YesMenUnseen,
    /// Sentinels are told that replicas with priority 0 have another.
    FalsePriority,
    /// Servers ignore `SLAVEOF`.
    DeafServers,
}

/// A world and what happens in it.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The seed that it was drawn from, and of the chance within the run.
    pub seed: u64,
    /// How many sentinels.
    pub sentinels: usize,
    /// How many servers; the first is the primary.
    pub servers: usize,
    /// Whom each server follows at first.
    pub follows: Vec<Option<usize>>,
    /// `replica-priority` of each server.
    pub priorities: Vec<i64>,
    /// Of the primary.
    pub quorum: usize,
    /// `down-after-milliseconds`.
    pub down_after_ms: u64,
    /// `failover-timeout`.
    pub failover_timeout_ms: u64,
    /// `parallel-syncs`.
    pub parallel_syncs: u64,
    /// INFO period.
    pub info_ms: u64,
    /// TILT period.
    pub tilt_ms: u64,
    /// Least and most one-way delay of a message.
    pub delay_ms: (u64, u64),
    /// Messages of a thousand that are lost and sent again, later.
    pub lost_per_mille: u64,
    /// The longest wait for a retransmission.
    pub retransmit_ms: u64,
    /// Least and most time of a save.
    pub save_ms: (u64, u64),
    /// How often a replica takes over what is new.
    pub replication_ms: u64,
    /// When a silent replication link counts as broken.
    pub replication_timeout_ms: u64,
    /// How long a full sync takes.
    pub full_sync_ms: u64,
    /// How often the client writes; 0 for never.
    pub write_ms: u64,
    /// Servers know neither `FAILOVER` nor `CLIENT PAUSE … WRITE`.
    pub old_servers: bool,
    /// `min-replicas-to-write` (0: off) and `min-replicas-max-lag`.
    pub min_replicas: (usize, u64),
    /// The faults, in the order of their times.
    pub faults: Vec<Fault>,
    /// When the safety phase ends and everything is healed.
    pub heal_at: Time,
    /// The current primary is killed for good when the rest is healed.
    pub kill_primary: bool,
    /// For tests of the checkers.
    pub sabotage: Option<Sabotage>,
}

impl Plan {
    /// A quiet world: what a scenario begins with.
    pub fn quiet(sentinels: usize, servers: usize) -> Self {
        Self {
            seed: 1,
            sentinels,
            servers,
            follows: (0..servers).map(|i| (i > 0).then_some(0)).collect(),
            priorities: vec![100; servers],
            quorum: sentinels / 2 + 1,
            down_after_ms: 1000,
            failover_timeout_ms: 10_000,
            parallel_syncs: 1,
            info_ms: 10_000,
            tilt_ms: 30_000,
            delay_ms: (1, 2),
            lost_per_mille: 0,
            retransmit_ms: 1000,
            save_ms: (2, 5),
            replication_ms: 10,
            replication_timeout_ms: 5000,
            full_sync_ms: 200,
            write_ms: 0,
            old_servers: false,
            min_replicas: (0, 0),
            faults: Vec::new(),
            heal_at: Time::MAX,
            kill_primary: false,
            sabotage: None,
        }
    }

    /// The world of a seed.
    pub fn from_seed(seed: u64) -> Self {
        let mut rng = Rng::new(seed ^ 0x005E_ED0F_9E17);
        let mut between = |least: u64, most: u64| least + rng.below(most - least + 1);
        let sentinels = between(3, 5) as usize;
        let servers = 1 + between(1, 4) as usize;
        let mut plan = Self::quiet(sentinels, servers);
        plan.seed = seed;
        for i in 2..servers {
            // One in eight follows another replica.
            if between(0, 7) == 0 {
                plan.follows[i] = Some(between(1, i as u64 - 1) as usize);
            }
        }
        for priority in &mut plan.priorities {
            *priority = [100, 100, 100, 50, 200, 0][between(0, 5) as usize];
        }
        // One good replica there must be, also when the one that is primary now has died.
        plan.priorities[1] = plan.priorities[1].max(1);
        plan.priorities[0] = plan.priorities[0].max(1);
        plan.quorum = match between(0, 5) {
            0 => 1,
            1 => sentinels,
            _ => sentinels / 2 + 1,
        };
        plan.down_after_ms = between(400, 4000);
        plan.failover_timeout_ms = between(2000, 8000);
        plan.parallel_syncs = between(1, 3);
        plan.info_ms = between(500, 10_000);
        plan.tilt_ms = between(1000, 5000);
        let fastest = between(0, 10);
        plan.delay_ms = (fastest, fastest + between(0, 40));
        plan.lost_per_mille = if between(0, 1) == 0 { 0 } else { between(1, 30) };
        plan.retransmit_ms = between(200, 3000);
        let save = between(0, 20);
        plan.save_ms = (save, save + between(0, 100));
        plan.replication_ms = between(30, 200);
        plan.replication_timeout_ms = between(1000, 6000);
        plan.full_sync_ms = between(50, 2000);
        plan.write_ms = if between(0, 2) == 0 { 0 } else { between(50, 300) };
        plan.old_servers = between(0, 5) == 0;
        let begin = 6000;
        plan.heal_at = begin + between(3000, 20_000);
        plan.kill_primary = between(0, 1) == 0;
        let (begin, end) = (begin, plan.heal_at);
        plan.faults = draw_faults(&mut rng, &plan, begin, end);
        plan
    }

    /// How long everybody may take to agree once healed. Generous: what matters is that it ends.
    pub fn bound_ms(&self) -> u64 {
        let detect = self.down_after_ms + 2 * self.info_ms + 3000;
        let tilt = self.tilt_ms + 3000;
        // A vote for a leader that failed is waited out, a fail-over may run into its limit, and replicas that are left behind are
        // repaired after it.
        let attempt = 2 * self.failover_timeout_ms + self.failover_timeout_ms + 10_000;
        tilt + 3 * (detect + attempt) + 2 * self.failover_timeout_ms + self.full_sync_ms * 4 + 60_000
    }
}
