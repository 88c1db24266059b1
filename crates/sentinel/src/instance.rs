//! What a sentinel knows of each primary, replica and other sentinel.

use crate::addr::Addr;
use crate::failover::Failover;
use crate::info::Role;
use crate::links::LinkKey;
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

/// An instance that we watch. Never used twice: what arrives for one that is gone finds nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct InstanceId(pub u32);

/// One watched process. The same other sentinel is one instance for each primary that it watches with us.
#[derive(Debug)]
pub(crate) struct Instance {
    pub id: InstanceId,
    /// The primary that it belongs to; itself for a primary.
    pub owner: InstanceId,
    /// The primary's name, a replica's address, a sentinel's run id.
    pub name: String,
    pub addr: Addr,
    pub run_id: Option<String>,
    pub link: LinkKey,
    /// Subjectively down: it does not answer us.
    pub s_down: bool,
    /// When it last went down; kept after it is up again.
    pub s_down_since: Option<u64>,
    /// A busy script was killed since it went down.
    pub script_kill_sent: bool,
    /// When the next hello is to be published through it.
    pub hello_at: u64,
    /// When it has something to do next; its key in the table of timers.
    pub wake_at: u64,
    /// It is in the list of those to be looked at before the end of this event.
    pub touched: bool,
    pub kind: Kind,
}

/// What differs.
#[derive(Debug)]
pub(crate) enum Kind {
    Primary(Box<Primary>),
    Replica(Box<Replica>),
    Sentinel(Peer),
}

/// What `INFO` of a data server told us.
#[derive(Debug)]
pub(crate) struct Reports {
    /// The whole text.
    pub text: Option<Vec<u8>>,
    /// When the last one came.
    pub at: Option<u64>,
    /// It shall be asked at once.
    pub wanted: bool,
    /// When the one under way was asked for.
    pub asked_at: Option<u64>,
    /// It refused, and is not asked again before this moment.
    pub not_before: u64,
    pub role: Role,
    /// Since when it reports this role.
    pub role_since: u64,
    /// Replication id of its history.
    pub replid: Option<String>,
    /// It has never been a replica since it started: no second replication id.
    pub never_replica: bool,
    /// `master_repl_offset`.
    pub offset: Option<u64>,
}

impl Reports {
    pub fn new(role: Role, now: u64) -> Self {
        Self {
            text: None,
            at: None,
            wanted: true,
            asked_at: None,
            not_before: 0,
            role,
            role_since: now,
            replid: None,
            never_replica: false,
            offset: None,
        }
    }
}

/// A vote of a sentinel.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Vote {
    /// For whom. The file keeps the epoch alone, so after a restart it is unknown, but it is never given again.
    pub leader: Option<String>,
    /// In which epoch.
    pub epoch: u64,
}

#[derive(Debug)]
pub(crate) struct Primary {
    pub reports: Reports,
    /// Whom it follows by its own word, while it says that it is a replica.
    pub follows: Option<(String, u16)>,
    /// The epoch of the fail-over that made this address the primary.
    pub config_epoch: u64,
    pub quorum: u32,
    pub parallel_syncs: u64,
    pub down_after_ms: u64,
    pub failover_timeout_ms: u64,
    pub reboot_down_after_ms: u64,
    pub auth_user: Option<String>,
    pub auth_pass: Option<String>,
    pub notification_script: Option<String>,
    pub client_reconfig_script: Option<String>,
    /// Original name in capitals to the new one as given, with the original as given.
    pub renamed: BTreeMap<String, (String, String)>,
    pub replicas: Vec<InstanceId>,
    /// By run id.
    pub sentinels: BTreeMap<String, InstanceId>,
    /// Objectively down: enough sentinels say so.
    pub o_down: bool,
    pub o_down_since: Option<u64>,
    /// Since when it is known to have restarted, while it does not answer PONG yet.
    pub rebooted_at: Option<u64>,
    /// What we voted.
    pub vote: Vote,
    pub failover: Option<Failover>,
    /// When the last attempt at a fail-over began, ours or that of the one we voted for.
    pub attempt_at: Option<u64>,
    /// No attempt of ours before this moment.
    pub attempt_not_before: u64,
    /// Elections lost in a row for want of votes.
    pub elections_lost: u32,
    /// The attempt whose delay was logged.
    pub delay_logged: Option<u64>,
    /// The moment drawn for our candidacy once the primary is objectively down.
    pub candidacy_at: Option<u64>,
}

/// Where a replica is in being pointed at the new primary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reconf {
    None,
    /// `SLAVEOF` was sent then.
    Sent(u64),
    /// It says that it follows the new primary.
    InProgress,
    /// Its link to the new primary is up, or we gave up.
    Done,
}

/// What a primary was when it lost its role; see `repair.rs`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Deposed {
    /// Its replication id then.
    pub replid: Option<String>,
}

#[derive(Debug)]
pub(crate) struct Replica {
    pub reports: Reports,
    pub priority: i64,
    /// Whether it wants to be listed.
    pub announced: bool,
    /// How long it says that its link to the primary is down.
    pub link_down_ms: u64,
    pub primary_host: Option<String>,
    pub primary_port: u16,
    pub link_up: bool,
    /// `slave_repl_offset`: how much of the primary's history it has.
    pub offset: u64,
    /// When the address that it follows last changed.
    pub conf_changed_at: u64,
    pub reconf: Reconf,
    /// It was the primary until a fail-over, and has not been seen as a replica since.
    pub deposed: Option<Deposed>,
    /// When it was last told whom to follow, outside a fail-over.
    pub repaired_at: Option<u64>,
}

#[derive(Debug)]
pub(crate) struct Peer {
    /// It says that the primary is down.
    pub primary_down: bool,
    /// When it last answered whether the primary is down.
    pub answered_at: u64,
    /// When it was last asked.
    pub asked_at: Option<u64>,
    /// The epoch of the vote that it was last asked for, or 0.
    pub asked_epoch: u64,
    /// The epoch of our candidacy to which it has answered, with a vote or without.
    pub answered_epoch: u64,
    /// Its vote.
    pub vote: Vote,
    pub last_hello: u64,
    /// The configuration epoch that it last told for this primary, and when. For knowing whether we are up to date.
    pub told: Option<(u64, u64)>,
}

impl Instance {
    /// What only a primary has.
    pub fn primary(&self) -> &Primary {
        match &self.kind {
            Kind::Primary(p) => p,
            Kind::Replica(_) | Kind::Sentinel(_) => unreachable!("asked for a primary"),
        }
    }

    pub fn primary_mut(&mut self) -> &mut Primary {
        match &mut self.kind {
            Kind::Primary(p) => p,
            Kind::Replica(_) | Kind::Sentinel(_) => unreachable!("asked for a primary"),
        }
    }

    /// What only a replica has.
    pub fn replica(&self) -> &Replica {
        match &self.kind {
            Kind::Replica(r) => r,
            Kind::Primary(_) | Kind::Sentinel(_) => unreachable!("asked for a replica"),
        }
    }

    pub fn replica_mut(&mut self) -> &mut Replica {
        match &mut self.kind {
            Kind::Replica(r) => r,
            Kind::Primary(_) | Kind::Sentinel(_) => unreachable!("asked for a replica"),
        }
    }

    /// What only another sentinel has.
    pub fn peer(&self) -> &Peer {
        match &self.kind {
            Kind::Sentinel(s) => s,
            Kind::Primary(_) | Kind::Replica(_) => unreachable!("asked for a sentinel"),
        }
    }

    pub fn peer_mut(&mut self) -> &mut Peer {
        match &mut self.kind {
            Kind::Sentinel(s) => s,
            Kind::Primary(_) | Kind::Replica(_) => unreachable!("asked for a sentinel"),
        }
    }

    /// What a data server reported; a sentinel reports nothing.
    pub fn reports(&self) -> Option<&Reports> {
        match &self.kind {
            Kind::Primary(p) => Some(&p.reports),
            Kind::Replica(r) => Some(&r.reports),
            Kind::Sentinel(_) => None,
        }
    }

    pub fn reports_mut(&mut self) -> Option<&mut Reports> {
        match &mut self.kind {
            Kind::Primary(p) => Some(&mut p.reports),
            Kind::Replica(r) => Some(&mut r.reports),
            Kind::Sentinel(_) => None,
        }
    }

    pub fn is_primary(&self) -> bool {
        matches!(self.kind, Kind::Primary(_))
    }

    /// The word for it on the wire.
    pub fn type_name(&self) -> &'static str {
        match self.kind {
            Kind::Primary(_) => "master",
            Kind::Replica(_) => "slave",
            Kind::Sentinel(_) => "sentinel",
        }
    }
}
