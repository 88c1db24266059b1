//! The scripts that a sentinel runs for its events: each in a process of its own, watched by a thread.
//!
//! A process is killed by its number, which the system may give to another one as soon as its end has been asked for. So the thread
//! waits without asking, and asks under the same lock that a kill takes.

use crate::server::Server;
use crate::server::notes::Note;
use ::sentinel::{Event, ScriptEnd, ScriptId};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command};
use std::sync::{Arc, Mutex, PoisonError};

/// The exit status of a shell for what it cannot execute; with it a script is not tried again.
const NOT_EXECUTABLE: i32 = 2;

/// A script on its way.
#[derive(Debug, Clone, Default)]
pub struct Script(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    /// The process, from its start to its end.
    process: Option<Pid>,
    /// It was to be killed before it had begun.
    killed: bool,
}

impl Script {
    /// Ends it, in whatever state it is.
    pub fn kill(&self) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.killed = true;
        if let Some(pid) = state.process {
            // A process that has just ended needs no killing.
            let _ = kill_process(pid, Signal::KILL);
        }
    }

    /// Starts it; nothing where it was to be killed already.
    fn start(&self, argv: &[String]) -> io::Result<Option<Child>> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if state.killed {
            return Ok(None);
        }
        let Some((path, args)) = argv.split_first() else { return Ok(None) };
        let child = Command::new(path).args(args).spawn()?;
        state.process = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        Ok(Some(child))
    }

    /// Waits for its end.
    fn wait(&self, mut child: Child) -> ScriptEnd {
        if let Some(pid) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
            while waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT)
                .is_err_and(|e| e == rustix::io::Errno::INTR)
            {}
        }
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.process = None;
        match child.wait() {
            Ok(status) => match (status.code(), status.signal()) {
                (Some(code), _) => ScriptEnd::Exited(code),
                (None, signal) => ScriptEnd::Signalled(signal.unwrap_or(0)),
            },
            Err(_) => ScriptEnd::NotStarted,
        }
    }
}

impl Server {
    /// Starts a script; notes tell when it runs and how it ended.
    pub(super) fn run_script(&mut self, id: ScriptId, argv: Vec<String>) {
        let script = Script::default();
        let Some(driver) = &mut self.outside.sentinel else { return };
        driver.scripts.insert(id, script.clone());
        let (sender, waker) = (self.notes_sender.clone(), self.net.waker());
        self.in_background(move || {
            let end = match script.start(&argv) {
                Ok(Some(child)) => {
                    let started = Event::ScriptStarted { script: id, pid: i64::from(child.id()) };
                    if sender.send(Note::Sentinel(started)).is_ok() {
                        waker.wake();
                    }
                    script.wait(child)
                }
                Ok(None) => ScriptEnd::Signalled(Signal::KILL.as_raw()),
                Err(error) if matches!(error.kind(), io::ErrorKind::OutOfMemory | io::ErrorKind::WouldBlock) => {
                    ScriptEnd::NotStarted
                }
                Err(_) => ScriptEnd::Exited(NOT_EXECUTABLE),
            };
            Event::ScriptEnded { script: id, end }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(script: &Script, argv: &[&str]) -> io::Result<Option<ScriptEnd>> {
        let argv: Vec<String> = argv.iter().map(|&a| a.into()).collect();
        Ok(script.start(&argv)?.map(|child| script.wait(child)))
    }

    #[test]
    fn ends_are_told_apart() {
        assert_eq!(run(&Script::default(), &["/bin/sh", "-c", "exit 3"]).unwrap(), Some(ScriptEnd::Exited(3)));
        assert_eq!(run(&Script::default(), &["/bin/sh", "-c", "kill -9 $$"]).unwrap(), Some(ScriptEnd::Signalled(9)));
        assert!(run(&Script::default(), &["/no/such/file"]).is_err());
    }

    #[test]
    fn a_script_is_killed_whenever_that_is_asked_for() {
        let early = Script::default();
        early.kill();
        assert_eq!(run(&early, &["/bin/sh", "-c", "exit 0"]).unwrap(), None);
        let late = Script::default();
        let child = late.start(&["/bin/sleep".into(), "600".into()]).unwrap().unwrap();
        late.kill();
        assert_eq!(late.wait(child), ScriptEnd::Signalled(9));
        // Nothing is left to be killed.
        late.kill();
    }
}
