//! A core of its own for the process that is measured, and cores that never halt.
//!
//! Replicas live on other machines than their primary. On one machine with two cores the scheduler moves primary, replica and
//! load to and fro, and on a virtual machine waking a core that has halted costs more than the work for which it is woken:
//! the same load takes 0.6 or 2.0 µs per write, depending on who runs where. Under [`Apart`] the measured process has the
//! first core, everything else shares the second, and a loop that runs when nothing else does keeps both awake.
//!
//! ```text
//!   core 0   primary                      + a loop at the policy SCHED_IDLE
//!   core 1   load, replicas               + a loop at the policy SCHED_IDLE
//! ```

use crate::server::Helper;
use anyhow::{Context, Result};
use rustix::thread::{CpuSet, Pid, sched_getaffinity, sched_setaffinity};
use std::fs;

/// While it lives, this thread and what it starts run on the second core, and no core halts. See the module's description.
#[derive(Debug)]
pub struct Apart {
    /// Where this thread ran before.
    before: CpuSet,
    _loops: Vec<Helper>,
}

impl Apart {
    /// Moves this thread to the second core and keeps both awake.
    ///
    /// # Errors
    /// With fewer than two cores, or without `chrt` (Debian: package util-linux).
    pub fn new() -> Result<Apart> {
        let before = sched_getaffinity(None)?;
        let mut loops = Vec::new();
        for core in 0..2 {
            let spin = Helper::start("chrt", &["--idle", "0", "sh", "-c", "while :; do :; done"])
                .context("keeping a core awake needs chrt, of util-linux")?;
            move_to(spin.id(), core)?;
            loops.push(spin);
        }
        sched_setaffinity(None, &only(1)).context("using the second core")?;
        Ok(Apart { before, _loops: loops })
    }

    /// Gives this process the first core.
    ///
    /// # Errors
    /// When it is gone.
    pub fn give_core_to(&self, process: u32) -> Result<()> {
        move_to(process, 0)
    }
}

impl Drop for Apart {
    fn drop(&mut self) {
        // These cores were allowed before.
        sched_setaffinity(None, &self.before).ok();
    }
}

fn only(core: usize) -> CpuSet {
    let mut set = CpuSet::new();
    set.set(core);
    set
}

/// Moves all threads of a process to a core.
fn move_to(process: u32, core: usize) -> Result<()> {
    for task in fs::read_dir(format!("/proc/{process}/task"))? {
        let task: i32 = task?.file_name().to_string_lossy().parse()?;
        sched_setaffinity(Pid::from_raw(task), &only(core))
            .with_context(|| format!("moving a thread to core {core}"))?;
    }
    Ok(())
}
