//! Stopping: waiting for replicas, saving, leaving nothing behind.

use super::Server;
use super::log::log;
use engine::client::ClientKey;
use engine::config::values::ShutdownMode;
use std::process::ExitCode;

/// How the server is to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shutdown {
    /// The words of SHUTDOWN.
    pub mode: ShutdownMode,
    /// Who asked, if it was a client: it is told where stopping fails.
    pub client: Option<(ClientKey, u64)>,
}

/// A stop that waits for replicas to catch up.
#[derive(Debug, Clone, Copy)]
pub struct Pending {
    /// How it is to go on.
    pub shutdown: Shutdown,
    /// When waiting ends, Unix milliseconds.
    pub deadline_ms: i64,
}

impl Server {
    /// A signal has come.
    pub fn signalled(&mut self, signal: i32) {
        let (name, mode) = match signal {
            signal_hook::consts::SIGINT => ("SIGINT", self.engine.config.shutdown_on_sigint),
            _ => ("SIGTERM", self.engine.config.shutdown_on_sigterm),
        };
        if self.outside.shutdown.is_some() && signal == signal_hook::consts::SIGINT {
            log!(Warning, "You insist... exiting now.");
            self.leave(ExitCode::FAILURE);
            return;
        }
        log!(Warning, "Received {name} scheduling shutdown...");
        self.begin_shutdown(Shutdown { mode, client: None });
    }

    /// Begins to stop: replicas get time to catch up first.
    pub fn begin_shutdown(&mut self, shutdown: Shutdown) {
        if self.outside.shutdown.is_some() {
            return;
        }
        log!(Notice, "User requested shutdown...");
        self.outside.take_effects(&mut self.engine);
        let timeout_ms = self.engine.config.shutdown_timeout.get() * 1000;
        let now_ms = self.engine.store.now_ms;
        self.outside.shutdown = Some(Pending { shutdown, deadline_ms: now_ms + timeout_ms });
        if !shutdown.mode.now && timeout_ms > 0 && self.lagging_replicas() > 0 {
            // Writes wait, so that the replicas can reach the end.
            self.engine.pause.begin(now_ms + timeout_ms, true);
            self.engine.gates.set(engine::engine::Gates::PAUSED, true);
            log!(Notice, "Waiting for replicas before shutting down.");
            return;
        }
        self.finish_shutdown();
    }

    fn lagging_replicas(&self) -> usize {
        let end = self.outside.log.end();
        self.outside.replicas.table.values().filter(|r| r.is_online() && r.ack_offset < end).count()
    }

    /// Each tick: whether the replicas have caught up, or the time is up.
    pub fn shutdown_cron(&mut self) {
        let Some(pending) = self.outside.shutdown else { return };
        if self.lagging_replicas() == 0 || self.engine.store.now_ms >= pending.deadline_ms {
            self.finish_shutdown();
        }
    }

    fn finish_shutdown(&mut self) {
        let Some(Pending { shutdown, .. }) = self.outside.shutdown else { return };
        let online = self.outside.replicas.table.values().filter(|r| r.is_online()).count();
        if online > 0 {
            log!(Notice, "{} of {online} replicas are in sync when shutting down.", online - self.lagging_replicas());
        }
        let mode = shutdown.mode;
        let wanted = mode.save || (!self.engine.config.save.0.is_empty() && !mode.nosave);
        if wanted && self.outside.loading_since_ms.is_none() {
            log!(Notice, "Saving the final RDB snapshot before exiting.");
            if super::saving::save_now(&mut self.outside, &mut self.engine).is_err() && !mode.force {
                log!(Warning, "Error trying to save the DB, can't exit.");
                self.cancel_shutdown(shutdown);
                return;
            }
        }
        self.leave(ExitCode::SUCCESS);
    }

    fn cancel_shutdown(&mut self, shutdown: Shutdown) {
        self.outside.shutdown = None;
        self.engine.pause.end();
        self.end_pause();
        if let Some((key, id)) = shutdown.client
            && self.engine.clients.get(key).is_some_and(|c| c.id == id)
        {
            self.engine.output_of(key).error(b"ERR Errors trying to SHUTDOWN. Check logs.");
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
