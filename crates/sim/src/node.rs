//! A sentinel's process: the state machine, its disk and its clock.

use crate::Time;
use crate::plan::Plan;
use crate::server::address;
use base::rng::Rng;
use sentinel::{LogLevel, Millis, Sentinel, Setup};

/// One sentinel.
#[derive(Debug)]
pub struct Node {
    /// The state machine, while the process runs.
    pub sentinel: Option<Sentinel>,
    /// Counts its starts.
    pub run: u32,
    /// It is stopped until then.
    pub hung_until: Time,
    /// The file as it is on the disk.
    pub durable: String,
    /// The file as it will be when the save under way ends.
    pub unsynced: Option<String>,
    /// Each save takes this long, if not as the plan says.
    pub slow_disk_ms: Option<u64>,
    /// Saves fail.
    pub disk_fails: bool,
    /// Wall clock less simulated time.
    pub wall_offset: i64,
    /// The wall clock shows this.
    pub wall_stopped: Option<i64>,
    /// When the next tick is scheduled.
    pub tick_at: Time,
    /// The connections that it made, by link.
    pub links: Vec<(u64, usize)>,
}

impl Node {
    /// A sentinel with its first configuration.
    pub fn new(plan: &Plan, rng: &mut Rng) -> Self {
        let durable = format!(
            "port 26379\nsentinel monitor mymaster {} 6379 {}\nsentinel down-after-milliseconds mymaster {}\n\
             sentinel failover-timeout mymaster {}\nsentinel parallel-syncs mymaster {}\n",
            address(0),
            plan.quorum,
            plan.down_after_ms,
            plan.failover_timeout_ms,
            plan.parallel_syncs
        );
        Self {
            sentinel: None,
            run: 0,
            hung_until: 0,
            durable,
            unsynced: None,
            slow_disk_ms: None,
            disk_fails: false,
            wall_offset: 1_700_000_000_000 + rng.below(10_000) as i64,
            wall_stopped: None,
            tick_at: Time::MAX,
            links: Vec::new(),
        }
    }

    /// Starts the process with what is on the disk.
    pub fn start(&mut self, now: Time, seed: u64) {
        let setup = Setup {
            config_text: self.durable.clone(),
            port: 26379,
            requirepass: None,
            log_level: LogLevel::Notice,
            seed,
        };
        let millis = self.millis(now);
        self.sentinel = Some(Sentinel::new(setup, millis).expect("a sentinel reads its own file"));
        self.tick_at = Time::MAX;
    }

    /// Its clocks.
    pub fn millis(&self, now: Time) -> Millis {
        let wall = self.wall_stopped.unwrap_or(now as i64 + self.wall_offset);
        Millis { monotonic: now + 1_000_000, wall }
    }

    /// Whether it does anything now.
    pub fn runs(&self, now: Time) -> bool {
        self.sentinel.is_some() && now >= self.hung_until
    }
}

/// A sentinel's address.
pub fn sentinel_address(node: usize) -> String {
    format!("10.0.1.{}", node + 1)
}
