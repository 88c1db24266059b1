//! FAILOVER: handing the role of primary to a replica without losing a write.
//!
//! ```text
//!   NotRunning ─► WaitForSync ─────────────► InProgress ─────────────► NotRunning, as a replica
//!                 writes wait, the replica    we follow the target and
//!                 reads to the stream's end   send PSYNC id offset FAILOVER
//!                     │ time-out or ABORT         │ refused or ABORT
//!                     └──────► NotRunning ◄───────┘  as the primary that we were
//! ```
//!
//! While writes wait the stream grows by nothing but requests for acknowledgements, so a replica that has
//! acknowledged its end has everything. The target becomes a primary when it gets our PSYNC; the two histories
//! join there, and nobody needs a copy.

use super::Server;
use super::log::log;
use super::outside::{Outside, Todo};
use super::replicas::Replica;
use engine::client::ClientKey;
use engine::commands::options::{int, is};
use engine::engine::Engine;
use engine::error::{self, Error};
use engine::pause::Holder;
use resp::Args;

/// How far a failover is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Stage {
    /// There is none.
    #[default]
    None,
    /// A replica is to reach the end of the stream.
    WaitForSync,
    /// The target is told to take over.
    InProgress,
}

impl Stage {
    /// As INFO names it.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "no-failover",
            Self::WaitForSync => "waiting-for-sync",
            Self::InProgress => "failover-in-progress",
        }
    }
}

/// The failover that is under way, if any.
#[derive(Debug, Default)]
pub struct Failover {
    /// How far it is.
    pub stage: Stage,
    /// Who is to take over; nobody in particular until one has caught up.
    target: Option<(String, u16)>,
    /// When waiting ends, Unix milliseconds.
    deadline_ms: Option<i64>,
    /// At that time the target takes over whether it has everything or not.
    force: bool,
}

/// FAILOVER [TO host port [FORCE]] [ABORT] [TIMEOUT milliseconds].
pub fn failover(o: &mut Outside, e: &mut Engine, a: &Args) -> error::Result {
    if a.len() == 2 && is(&a[1], "abort") {
        if o.failover.stage == Stage::None {
            return Err(Error::fixed("ERR No failover in progress."));
        }
        o.abort_failover(e, "Failover manually aborted");
        e.out.ok();
        return Ok(());
    }
    let (mut target, mut timeout_ms, mut force) = (None, None, false);
    let mut i = 1;
    while let Some(word) = a.get(i) {
        if is(word, "timeout") && i + 1 < a.len() && timeout_ms.is_none() {
            let ms = int(&a[i + 1])?;
            if ms <= 0 {
                return Err(Error::fixed("ERR FAILOVER timeout must be greater than 0"));
            }
            timeout_ms = Some(ms);
            i += 2;
        } else if is(word, "to") && i + 2 < a.len() && target.is_none() {
            target = Some((String::from_utf8_lossy(&a[i + 1]).into_owned(), int(&a[i + 2])?));
            i += 3;
        } else if is(word, "force") && !force {
            force = true;
            i += 1;
        } else {
            return Err(error::SYNTAX);
        }
    }
    if o.failover.stage != Stage::None {
        return Err(Error::fixed("ERR FAILOVER already in progress."));
    }
    if o.link.is_following() {
        return Err(Error::fixed("ERR FAILOVER is not valid when server is a replica."));
    }
    if o.replicas.table.is_empty() {
        return Err(Error::fixed("ERR FAILOVER requires connected replicas."));
    }
    if force && (timeout_ms.is_none() || target.is_none()) {
        return Err(Error::fixed("ERR FAILOVER with force option requires both a timeout and target HOST and IP."));
    }
    let target = match target {
        None => None,
        Some((host, port)) => {
            let unknown = Error::fixed("ERR FAILOVER target HOST and PORT is not a replica.");
            let port = u16::try_from(port).map_err(|_| unknown.clone())?;
            let key = find_replica(o, e, &host, port).ok_or(unknown)?;
            if !o.replicas.table[&key].is_online() {
                return Err(Error::fixed("ERR FAILOVER target replica is not online."));
            }
            Some((host, port))
        }
    };
    match &target {
        Some((host, port)) => log!(Notice, "FAILOVER requested to {host}:{port}."),
        None => log!(Notice, "FAILOVER requested to any replica."),
    }
    let deadline_ms = timeout_ms.map(|ms| e.store.now_ms.saturating_add(ms));
    o.begin_failover(e, target, deadline_ms, force);
    e.out.ok();
    Ok(())
}

fn find_replica(o: &Outside, e: &Engine, host: &str, port: u16) -> Option<ClientKey> {
    o.replicas.table.keys().copied().find(|key| {
        let (ip, its_port) = o.replicas.address(*key, e);
        ip == host && its_port == port
    })
}

impl Outside {
    /// Ends a failover that cannot or shall not go on; a server that has already given its role away takes it back.
    pub fn abort_failover(&mut self, engine: &mut Engine, why: &str) {
        let stage = self.failover.stage;
        if stage == Stage::None {
            return;
        }
        match &self.failover.target {
            Some((host, port)) => log!(Notice, "Aborting failover to {host}:{port} while {}: {why}", stage.name()),
            None => log!(Notice, "Aborting failover while {}: {why}", stage.name()),
        }
        if stage == Stage::InProgress {
            self.stop_following(engine);
        }
        self.clear_failover(engine);
    }

    /// Before the server stops: hands the role to the first replica that has everything, by `deadline_ms`.
    /// A failover that is under way already serves as well. The error says why there is nobody to hand over to.
    pub fn hand_over_before_stop(&mut self, engine: &mut Engine, deadline_ms: i64) -> Result<(), &'static str> {
        if self.failover.stage != Stage::None {
            return Ok(());
        }
        if self.link.is_following() {
            return Err("this server is a replica");
        }
        if deadline_ms <= engine.store.now_ms {
            return Err("shutdown-timeout leaves no time for it");
        }
        if !self.replicas.table.values().any(Replica::is_online) {
            return Err("no replica is online");
        }
        log!(Notice, "Handing over to a replica before shutting down.");
        self.begin_failover(engine, None, Some(deadline_ms), false);
        Ok(())
    }

    fn begin_failover(
        &mut self,
        engine: &mut Engine,
        target: Option<(String, u16)>,
        deadline_ms: Option<i64>,
        force: bool,
    ) {
        self.failover = Failover { stage: Stage::WaitForSync, target, deadline_ms, force };
        engine.pause_begin(Holder::Failover, i64::MAX, true);
        self.todos.push(Todo::AskReplicasNow);
    }

    /// The failover is over: commands that waited are run.
    pub fn clear_failover(&mut self, engine: &mut Engine) {
        self.failover = Failover::default();
        engine.pause_end(Holder::Failover);
    }

    /// Whether a replica has caught up, or the time for that is over.
    fn advance_failover(&mut self, engine: &mut Engine) {
        if self.failover.stage != Stage::WaitForSync {
            return;
        }
        self.take_effects(engine);
        let now_ms = engine.store.now_ms;
        if self.failover.deadline_ms.is_some_and(|at| now_ms >= at) {
            match self.failover.target.clone() {
                Some((host, port)) if self.failover.force => {
                    log!(Notice, "FAILOVER to {host}:{port} time out exceeded, failing over.");
                    self.hand_over(engine, host, port);
                }
                _ => self.abort_failover(engine, "Replica never caught up before timeout"),
            }
            return;
        }
        let end = self.node.offset();
        let has_all = |key: &ClientKey| {
            self.replicas.table.get(key).is_some_and(|replica| replica.is_online() && replica.ack_offset == end)
        };
        let ready = match &self.failover.target {
            Some((host, port)) => find_replica(self, engine, host, *port).filter(has_all),
            None => self.replicas.table.keys().copied().find(has_all),
        };
        let Some(key) = ready else { return };
        let (host, port) = self.failover.target.clone().unwrap_or_else(|| self.replicas.address(key, engine));
        log!(Notice, "Failover target {host}:{port} is synced, failing over.");
        self.hand_over(engine, host, port);
    }

    fn hand_over(&mut self, engine: &mut Engine, host: String, port: u16) {
        self.failover.stage = Stage::InProgress;
        self.failover.target = Some((host.clone(), port));
        self.follow(engine, host, port);
    }
}

impl Server {
    /// After each batch and each tick: whether the failover can go on.
    pub fn failover_cron(&mut self) {
        if self.outside.failover.stage == Stage::WaitForSync {
            self.outside.advance_failover(&mut self.engine);
            self.do_todos();
        }
    }
}
