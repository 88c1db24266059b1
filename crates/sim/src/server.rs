//! The model of a data server: a role, a history, and the commands that Sentinel sends.
//!
//! A history is a list of write numbers, a replication id, and the second id that a promoted replica keeps; the offset is the length of
//! the list. So "which acknowledged writes are lost" is a comparison of lists, and partial resyncs follow the same rule as in Redis.

use crate::Time;
use base::rng::Rng;
use std::fmt::Write;

/// A server.
#[derive(Debug)]
pub struct Server {
    /// The process runs.
    pub alive: bool,
    /// It is stopped until then.
    pub hung_until: Time,
    /// Counts its starts.
    pub run: u32,
    /// It must stay down.
    pub dead_for_good: bool,
    /// `run_id`.
    pub run_id: String,
    /// Whom it follows.
    pub follows: Option<usize>,
    /// What its file says of that.
    pub file_follows: Option<usize>,
    /// Numbers of the writes that it has.
    pub log: Vec<u32>,
    /// `master_replid`.
    pub replid: String,
    /// `master_replid2` and up to which offset it holds.
    pub second: Option<(String, usize)>,
    /// Its link to its primary works.
    pub link_up: bool,
    /// Since when it does not; `None`: it never did.
    pub link_down_since: Option<Time>,
    /// When it last heard from its primary.
    pub heard_at: Time,
    /// A full sync is under way until then.
    pub syncing_until: Option<Time>,
    /// `replica-priority`.
    pub priority: i64,
    /// Writes are held back until then.
    pub paused_until: Time,
    /// `FAILOVER` to that server, until then.
    pub handing_over: Option<(usize, Time)>,
    /// When each replica last took something over.
    pub replica_seen: Vec<Option<Time>>,
    /// Knows neither `FAILOVER` nor paused writes.
    pub old: bool,
    /// `min-replicas-to-write` and `min-replicas-max-lag`.
    pub min_replicas: (usize, u64),
    /// Ignores `SLAVEOF`.
    pub deaf: bool,
    /// How many times a replica had to copy everything.
    pub full_syncs: u32,
    /// How many times it could go on where it was.
    pub partial_syncs: u32,
}

fn hex(rng: &mut Rng) -> String {
    (0..40).map(|_| char::from(b"0123456789abcdef"[rng.below(16) as usize])).collect()
}

impl Server {
    /// A server that has just been set up.
    pub fn new(rng: &mut Rng, follows: Option<usize>, priority: i64, servers: usize) -> Self {
        Self {
            alive: true,
            hung_until: 0,
            run: 0,
            dead_for_good: false,
            run_id: hex(rng),
            follows,
            file_follows: follows,
            log: Vec::new(),
            replid: hex(rng),
            second: None,
            link_up: false,
            link_down_since: None,
            heard_at: 0,
            syncing_until: None,
            priority,
            paused_until: 0,
            handing_over: None,
            replica_seen: vec![None; servers],
            old: false,
            min_replicas: (0, 0),
            deaf: false,
            full_syncs: 0,
            partial_syncs: 0,
        }
    }

    /// Whether it does anything now.
    pub fn runs(&self, now: Time) -> bool {
        self.alive && now >= self.hung_until
    }

    /// The process starts again.
    pub fn restart(&mut self, rng: &mut Rng, lose_data: bool) {
        self.alive = true;
        self.hung_until = 0;
        self.run += 1;
        self.run_id = hex(rng);
        self.follows = self.file_follows;
        if lose_data {
            self.log.clear();
        }
        if lose_data || self.follows.is_none() {
            // A primary that starts has a history of its own; what it loaded is the beginning of it.
            self.replid = hex(rng);
            self.second = None;
        }
        (self.link_up, self.link_down_since, self.syncing_until) = (false, None, None);
        (self.paused_until, self.handing_over) = (0, None);
        self.replica_seen.fill(None);
    }

    /// `SLAVEOF`.
    pub fn slaveof(&mut self, to: Option<usize>, now: Time, rng: &mut Rng) {
        if self.deaf || to == self.follows {
            return;
        }
        match to {
            None => {
                // A promoted replica begins a new history, and remembers up to where it was the old one.
                let old = std::mem::replace(&mut self.replid, hex(rng));
                self.second = Some((old, self.log.len()));
            }
            Some(_) => {
                self.link_down_since = Some(now);
                self.handing_over = None;
            }
        }
        self.follows = to;
        self.link_up = false;
        self.syncing_until = None;
        self.replica_seen.fill(None);
    }

    /// Whether clients' writes are held back.
    pub fn paused(&self, now: Time) -> bool {
        now < self.paused_until || self.handing_over.is_some()
    }

    /// A client's write: `None` while paused, otherwise whether it was acknowledged.
    pub fn write(&mut self, number: u32, now: Time) -> Option<bool> {
        if self.follows.is_some() {
            return Some(false);
        }
        let (needed, lag) = self.min_replicas;
        let good = self.replica_seen.iter().flatten().filter(|at| now <= **at + lag).count();
        if good < needed {
            return Some(false);
        }
        if self.paused(now) {
            return None;
        }
        self.log.push(number);
        Some(true)
    }

    /// What `INFO` says.
    pub fn info(&self, me: usize, now: Time) -> Vec<u8> {
        let mut text = String::with_capacity(900);
        let role = if self.follows.is_some() { "slave" } else { "master" };
        let _ = write!(
            text,
            "# Server\r\nredis_version:7.2.4\r\nrun_id:{}\r\n\r\n# Replication\r\nrole:{role}\r\n",
            self.run_id
        );
        if let Some(primary) = self.follows {
            let status = if self.link_up { "up" } else { "down" };
            let _ = write!(
                text,
                "master_host:{}\r\nmaster_port:6379\r\nmaster_link_status:{status}\r\nslave_repl_offset:{}\r\n",
                address(primary),
                self.log.len()
            );
            if !self.link_up {
                let seconds = self.link_down_since.map_or(-1, |at| ((now - at) / 1000) as i64);
                let _ = write!(text, "master_link_down_since_seconds:{seconds}\r\n");
            }
            let _ = write!(text, "slave_priority:{}\r\nreplica_announced:1\r\n", self.priority);
        }
        let replicas = self.replica_seen.iter().enumerate().filter(|(i, at)| at.is_some() && *i != me);
        for (n, (i, _)) in replicas.enumerate() {
            let _ = write!(text, "slave{n}:ip={},port=6379,state=online,offset=0,lag=0\r\n", address(i));
        }
        let (second, end) = match &self.second {
            Some((id, end)) => (id.as_str(), *end as i64 + 1),
            None => ("0000000000000000000000000000000000000000", -1),
        };
        let _ = write!(
            text,
            "master_replid:{}\r\nmaster_replid2:{second}\r\nmaster_repl_offset:{}\r\nsecond_repl_offset:{end}\r\n",
            self.replid,
            self.log.len()
        );
        text.into_bytes()
    }

    /// Takes over what the primary has; `now` it can be reached.
    pub fn replicate(&mut self, primary: &mut Server, me: usize, now: Time, full_sync_ms: u64) {
        self.heard_at = now;
        if self.link_up && self.replid == primary.replid && self.log.len() <= primary.log.len() {
            self.log.extend_from_slice(&primary.log[self.log.len()..]);
        } else {
            let same = self.replid == primary.replid && self.log.len() <= primary.log.len();
            let before = primary.second.as_ref().is_some_and(|(id, end)| *id == self.replid && self.log.len() <= *end);
            if same || before {
                if self.replid != primary.replid {
                    let old = std::mem::replace(&mut self.replid, primary.replid.clone());
                    self.second = Some((old, self.log.len()));
                }
                self.log.extend_from_slice(&primary.log[self.log.len()..]);
                self.syncing_until = None;
                self.partial_syncs += 1;
            } else {
                self.link_up = false;
                match self.syncing_until {
                    None => {
                        self.syncing_until = Some(now + full_sync_ms);
                        return;
                    }
                    Some(until) if now < until => return,
                    Some(_) => {}
                }
                self.log.clone_from(&primary.log);
                self.replid.clone_from(&primary.replid);
                self.second = None;
                self.syncing_until = None;
                self.full_syncs += 1;
            }
        }
        (self.link_up, self.link_down_since) = (true, None);
        primary.replica_seen[me] = Some(now);
    }

    /// The link to the primary broke.
    pub fn lose_link(&mut self, now: Time) {
        if self.link_up {
            (self.link_up, self.link_down_since) = (false, Some(now));
        }
        self.syncing_until = None;
    }
}

/// A server's address.
pub fn address(server: usize) -> String {
    format!("10.0.0.{}", server + 1)
}

/// The server at an address.
pub fn server_at(host: &str) -> Option<usize> {
    host.strip_prefix("10.0.0.").and_then(|n| n.parse::<usize>().ok()).and_then(|n| n.checked_sub(1))
}
