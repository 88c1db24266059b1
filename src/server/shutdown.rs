//! Stopping: handing over, waiting for replicas, saving, leaving nothing behind.
//!
//! ```text
//!   asked ─► hand over to a replica (`failover`) ─► wait until replicas have everything ─► save ─► gone
//!                └── nobody takes over ──────────────┘      both: `shutdown-timeout` at most
//! ```
//!
//! While a stop hands over or waits, writes wait with it; they are never acknowledged and then lost.

use super::Server;
use super::failover::Stage;
use super::log::log;
use super::outside::Outside;
use super::saving::{data_path, save_now, temporary_path};
use engine::config::values::ShutdownMode;
use engine::engine::Engine;
use engine::error::Error;
use engine::pause::Holder;
use std::process::ExitCode;
use std::sync::Mutex;

/// The temporary file of the last save, while that keeps the event loop busy.
static LAST_SAVE: Mutex<Option<std::path::PathBuf>> = Mutex::new(None);

fn set_last_save(path: Option<std::path::PathBuf>) {
    *LAST_SAVE.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = path;
}

/// SIGINT has come, on the thread that waits for signals: during the last save it means to leave without it.
pub fn insist() {
    let path = LAST_SAVE.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
    if let Some(path) = path {
        log!(Warning, "You insist... exiting now.");
        let _ = std::fs::remove_file(path);
        std::process::exit(1);
    }
}

/// How the server is to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shutdown {
    /// The words of SHUTDOWN.
    pub mode: ShutdownMode,
}

/// How far a stop has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// A replica is to take over.
    HandOver,
    /// One has. Those whose writes waited hear that this is a replica now before their connections end.
    HandedOver,
    /// Replicas are to reach the end.
    CatchUp,
}

/// A stop that waits for replicas.
#[derive(Debug, Clone, Copy)]
pub struct Pending {
    /// How it is to go on.
    pub shutdown: Shutdown,
    /// When waiting ends, Unix milliseconds.
    pub deadline_ms: i64,
    /// How far it has come.
    pub step: Step,
}

impl Outside {
    /// The server goes on after all: those who have asked for the stop are told so.
    pub fn cancel_shutdown(&mut self, engine: &mut Engine) {
        if self.shutdown.take().is_some_and(|pending| pending.step == Step::HandOver) {
            self.abort_failover(engine, "the shutdown is aborted");
        }
        engine.pause_end(Holder::Shutdown);
        let error = Error::fixed("ERR Errors trying to SHUTDOWN. Check logs.");
        for key in engine.clients_in_shutdown() {
            engine.unblock_with(key, Some(&error));
        }
    }
}

impl Server {
    /// A signal has come.
    pub fn signalled(&mut self, signal: i32) {
        let name = super::signals::name_of_stop(signal);
        let mode = match signal {
            signal_hook::consts::SIGINT => self.engine.config.shutdown_on_sigint,
            _ => self.engine.config.shutdown_on_sigterm,
        };
        if self.outside.shutdown.is_some() && signal == signal_hook::consts::SIGINT {
            log!(Warning, "You insist... exiting now.");
            self.leave(ExitCode::FAILURE);
            return;
        }
        log!(Warning, "Received {name} scheduling shutdown...");
        let shutdown = Shutdown { mode };
        if self.outside.cron_paused {
            // What a signal asks for is done by the timers.
            self.outside.shutdown = Some(Pending { shutdown, deadline_ms: i64::MAX, step: Step::CatchUp });
            return;
        }
        self.begin_shutdown(shutdown);
    }

    /// Begins to stop: replicas get time to catch up first.
    pub fn begin_shutdown(&mut self, shutdown: Shutdown) {
        if self.outside.shutdown.is_some() {
            return;
        }
        log!(Notice, "User requested shutdown...");
        self.outside.take_effects(&mut self.engine);
        let timeout_ms = self.engine.config.shutdown_timeout.get() * 1000;
        let deadline_ms = self.engine.store.now_ms + timeout_ms;
        if shutdown.mode.failover {
            match self.outside.hand_over_before_stop(&mut self.engine, deadline_ms) {
                Ok(()) => {
                    self.outside.shutdown = Some(Pending { shutdown, deadline_ms, step: Step::HandOver });
                    self.do_todos();
                    return;
                }
                Err(why) => log!(Warning, "Shutting down without handing over: {why}."),
            }
        }
        self.catch_up(shutdown, deadline_ms);
    }

    /// Stops as soon as the replicas have everything.
    fn catch_up(&mut self, shutdown: Shutdown, deadline_ms: i64) {
        self.outside.shutdown = Some(Pending { shutdown, deadline_ms, step: Step::CatchUp });
        if !shutdown.mode.now && self.engine.store.now_ms < deadline_ms && self.lagging_replicas() > 0 {
            // Writes wait, so that the replicas can reach the end.
            self.engine.pause_begin(Holder::Shutdown, i64::MAX, true);
            self.ask_replicas();
            log!(Notice, "Waiting for replicas before shutting down.");
            return;
        }
        self.finish_shutdown();
    }

    fn lagging_replicas(&self) -> usize {
        let end = self.outside.node.offset();
        self.outside.replicas.table.values().filter(|r| r.is_online() && r.ack_offset < end).count()
    }

    /// Each tick: whether the stop can go on, or the time is up.
    pub fn shutdown_cron(&mut self) {
        let Some(pending) = self.outside.shutdown else { return };
        let time_is_up = self.engine.store.now_ms >= pending.deadline_ms;
        match pending.step {
            Step::HandOver => self.watch_hand_over(pending, time_is_up),
            Step::HandedOver => self.finish_shutdown(),
            Step::CatchUp if time_is_up || self.lagging_replicas() == 0 => self.finish_shutdown(),
            Step::CatchUp => {}
        }
    }

    fn watch_hand_over(&mut self, pending: Pending, time_is_up: bool) {
        match self.outside.failover.stage {
            Stage::None => match self.outside.link.primary.clone() {
                Some((host, port)) => {
                    log!(Notice, "The replica {host}:{port} has taken over: shutting down.");
                    // Started again as the primary that its file makes of it, there would be two of them.
                    if self.engine.config.file.is_some()
                        && let Err(error) = super::commands::config::rewrite_file(&self.outside, &self.engine)
                    {
                        log!(Warning, "The configuration file still makes a primary of this server: {error}");
                    }
                    self.outside.shutdown = Some(Pending { step: Step::HandedOver, ..pending });
                }
                None => {
                    log!(Warning, "No replica has taken over: shutting down all the same.");
                    self.catch_up(pending.shutdown, pending.deadline_ms);
                }
            },
            // The target may have become the primary already. Taking the role back would make two of them, so the
            // writes that wait are left unanswered.
            Stage::InProgress if time_is_up => {
                log!(Warning, "The replica has not confirmed in time that it took over: shutting down all the same.");
                self.finish_shutdown();
            }
            Stage::WaitForSync if time_is_up => {
                self.outside.abort_failover(&mut self.engine, "the time to shut down is over");
                log!(Warning, "No replica has taken over in time: shutting down all the same.");
                self.finish_shutdown();
            }
            Stage::InProgress | Stage::WaitForSync => {}
        }
    }

    fn finish_shutdown(&mut self) {
        let Some(Pending { shutdown, .. }) = self.outside.shutdown else { return };
        self.tell_of_replicas();
        let mode = shutdown.mode;
        if self.outside.saving.running_since_ms.is_some() {
            log!(Warning, "A save is running in the background. Cancelling it.");
            self.cancel_save();
        }
        let has_data = self.outside.sentinel.is_none();
        let wanted = has_data && (mode.save || (!self.engine.config.save.0.is_empty() && !mode.nosave));
        if wanted && self.outside.loading_since_ms.is_none() {
            log!(Notice, "Saving the final RDB snapshot before exiting.");
            set_last_save(Some(temporary_path(&data_path(&self.engine), None)));
            let saved = save_now(&mut self.outside, &mut self.engine);
            set_last_save(None);
            if saved.is_err() && !mode.force {
                log!(Warning, "Error trying to save the DB, can't exit.");
                log!(Warning, "Errors trying to shut down the server. Check the logs for more information.");
                self.outside.cancel_shutdown(&mut self.engine);
                return;
            }
        }
        self.leave(ExitCode::SUCCESS);
    }

    fn tell_of_replicas(&self) {
        let end = self.outside.node.offset();
        let replicas = &self.outside.replicas;
        for (key, replica) in replicas.table.iter().filter(|(_, r)| r.ack_offset < end || !r.is_online()) {
            let (ip, port) = replicas.address(*key, &self.engine);
            log!(
                Notice,
                "Lagging replica {ip}:{port} reported offset {} behind master, lag={}, state={}.",
                end - replica.ack_offset.min(end),
                (self.engine.store.now_ms - replica.ack_ms) / 1000,
                replica.state_name()
            );
        }
        let all = replicas.table.len();
        if all > 0 {
            let in_sync = replicas.table.values().filter(|r| r.is_online() && r.ack_offset >= end).count();
            log!(Notice, "{in_sync} of {all} replicas are in sync when shutting down.");
        }
    }

    fn leave(&mut self, code: ExitCode) {
        super::process::tell_systemd(&self.engine.config, "STOPPING=1\n");
        let pidfile = self.engine.config.pidfile.get();
        if !pidfile.is_empty() {
            log!(Notice, "Removing the pid file.");
            let _ = std::fs::remove_file(pidfile);
        }
        let socket = self.engine.config.unixsocket.get();
        if !socket.is_empty() {
            log!(Notice, "Removing the unix socket file.");
            let _ = std::fs::remove_file(socket);
        }
        log!(Warning, "Redis is now ready to exit, bye bye...");
        self.exit = Some(code);
    }
}
