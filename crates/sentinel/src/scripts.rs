//! Scripts: `notification-script` for every warning, `client-reconfig-script` when the primary changes.
//!
//! They run one process each, at most 16 at a time, oldest first. One that runs longer than a minute is killed. Exit status 1, or a
//! signal, means "try again", after 30 s, then twice as long each time, ten times in all; any other status is final.

use crate::addr::Addr;
use crate::api::{Action, LogLevel, Reply, ScriptEnd, ScriptId};
use crate::instance::InstanceId;
use crate::limits::{SCRIPT_QUEUE_MAX, SCRIPT_TRIES_MAX, SCRIPTS_RUNNING_MAX};
use crate::state::{NEVER, Sentinel};
use alloc::collections::VecDeque;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

#[derive(Debug, PartialEq, Eq)]
enum State {
    /// Since it was put into the queue or failed; not before that moment.
    Waiting(u64),
    Running {
        script: ScriptId,
        since: u64,
        killed: bool,
    },
}

#[derive(Debug)]
struct Job {
    argv: Vec<String>,
    state: State,
    tries: u32,
    pid: i64,
}

/// Scripts that run or wait.
#[derive(Debug, Default)]
pub(crate) struct Scripts {
    queue: VecDeque<Job>,
    next: u64,
}

impl Scripts {
    /// How many run, and how many there are.
    pub fn counts(&self) -> (usize, usize) {
        (self.queue.iter().filter(|j| matches!(j.state, State::Running { .. })).count(), self.queue.len())
    }
}

impl Sentinel {
    /// Puts a script into the queue.
    pub(crate) fn schedule_script(&mut self, argv: Vec<String>) {
        let queue = &mut self.scripts.queue;
        if queue.len() >= SCRIPT_QUEUE_MAX
            && let Some(oldest) = queue.iter().position(|j| matches!(j.state, State::Waiting(_)))
        {
            queue.remove(oldest);
        }
        queue.push_back(Job { argv, state: State::Waiting(self.now), tries: 0, pid: 0 });
    }

    /// The script that tells clients where the primary is now.
    pub(crate) fn call_reconfig_script(&mut self, id: InstanceId, role: &str, from: &Addr, to: &Addr) {
        let Some(path) = self.at(id).primary().client_reconfig_script.clone() else { return };
        let name = self.at(id).name.clone();
        let port = |addr: &Addr| addr.port.to_string();
        let argv = vec![
            path,
            name,
            role.to_string(),
            "start".to_string(),
            self.announced(from),
            port(from),
            self.announced(to),
            port(to),
        ];
        self.schedule_script(argv);
    }

    /// Starts what is due and kills what takes too long.
    pub(crate) fn run_scripts(&mut self) {
        let (now, limit) = (self.now, self.periods.script_max_runtime);
        let mut room = SCRIPTS_RUNNING_MAX - self.scripts.counts().0.min(SCRIPTS_RUNNING_MAX);
        let mut actions = Vec::new();
        let mut timed_out = Vec::new();
        for job in &mut self.scripts.queue {
            match &mut job.state {
                State::Waiting(at) if *at <= now && room > 0 => {
                    room -= 1;
                    let script = ScriptId(self.scripts.next);
                    self.scripts.next += 1;
                    job.tries += 1;
                    job.state = State::Running { script, since: now, killed: false };
                    actions.push(Action::RunScript { script, argv: job.argv.clone() });
                }
                State::Running { script, since, killed } if now > *since + limit && !*killed => {
                    *killed = true;
                    timed_out.push(format!("{} {}", job.argv[0], job.pid));
                    actions.push(Action::KillScript { script: *script });
                }
                State::Waiting(_) | State::Running { .. } => {}
            }
        }
        for text in timed_out {
            self.emit(LogLevel::Warning, "-script-timeout", text);
        }
        for action in actions {
            self.push(action);
        }
    }

    /// When [`Self::run_scripts`] has something to do.
    pub(crate) fn scripts_deadline(&self) -> u64 {
        let limit = self.periods.script_max_runtime;
        let full = self.scripts.counts().0 >= SCRIPTS_RUNNING_MAX;
        let due = self.scripts.queue.iter().map(|job| match job.state {
            State::Waiting(at) if !full => at,
            State::Running { since, killed: false, .. } => since + limit + 1,
            State::Waiting(_) | State::Running { .. } => NEVER,
        });
        due.min().unwrap_or(NEVER)
    }

    fn job(&mut self, script: ScriptId) -> Option<usize> {
        self.scripts.queue.iter().position(|j| matches!(j.state, State::Running { script: s, .. } if s == script))
    }

    pub(crate) fn handle_script_started(&mut self, script: ScriptId, pid: i64) {
        if let Some(i) = self.job(script) {
            self.scripts.queue[i].pid = pid;
            self.emit(LogLevel::Debug, "+script-child", pid.to_string());
        }
    }

    pub(crate) fn handle_script_ended(&mut self, script: ScriptId, end: ScriptEnd) {
        let Some(i) = self.job(script) else { return };
        let (status, signal) = match end {
            ScriptEnd::Exited(status) => (status, 0),
            ScriptEnd::Signalled(signal) => (0, signal),
            // As Redis reports a failed fork: signal 99.
            ScriptEnd::NotStarted => (0, 99),
        };
        let (now, delay) = (self.now, self.periods.script_retry_delay);
        let job = &mut self.scripts.queue[i];
        let (pid, path) = (core::mem::take(&mut job.pid), job.argv[0].clone());
        let retry = (signal != 0 || status == 1) && job.tries < SCRIPT_TRIES_MAX;
        if retry {
            job.state = State::Waiting(now + (delay << (job.tries - 1).min(16)));
        } else {
            self.scripts.queue.remove(i);
        }
        if end != ScriptEnd::NotStarted {
            self.emit(LogLevel::Debug, "-script-child", format!("{pid} {status} {signal}"));
        }
        if end == ScriptEnd::NotStarted || (!retry && (signal != 0 || status != 0)) {
            self.emit(LogLevel::Warning, "-script-error", format!("{path} {signal} {status}"));
        }
    }

    /// `SENTINEL PENDING-SCRIPTS`.
    pub(crate) fn pending_scripts(&self) -> Reply {
        let text = |t: &str| Reply::Bulk(t.as_bytes().to_vec());
        let number = |n: u64| Reply::Bulk(n.to_string().into_bytes());
        let jobs = self.scripts.queue.iter().map(|job| {
            let (flags, time) = match job.state {
                State::Running { since, .. } => ("running", ("run-time", self.now - since)),
                State::Waiting(at) => ("scheduled", ("run-delay", at.saturating_sub(self.now))),
            };
            Reply::Map(vec![
                (text("argv"), Reply::Array(job.argv.iter().map(|a| text(a)).collect())),
                (text("flags"), text(flags)),
                (text("pid"), Reply::Bulk(job.pid.to_string().into_bytes())),
                (text(time.0), number(time.1)),
                (text("retry-num"), number(u64::from(job.tries))),
            ])
        });
        Reply::Array(jobs.collect())
    }
}
