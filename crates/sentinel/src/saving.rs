//! Saving the configuration, and holding back what must not be said before it is saved.
//!
//! A sentinel that votes and forgets its vote in a crash may vote again in the same epoch, and two leaders may be elected. So what
//! reveals an epoch or a vote waits until the file that has it is on the disk:
//!
//! ```text
//!   changes 1 2 3 4 5 6          every change of what the file holds is counted
//!   save        ├─┘   ├─┘        one save at a time takes all changes so far
//!   saved         3       6      answers wait for the number they depend on
//! ```
//!
//! When a save fails it is tried again each second; until then this sentinel asks for no votes, gives none, and publishes no
//! hello with a new epoch. It still watches, answers clients and follows the configuration of others.

use crate::api::{Action, LogLevel, SaveId};
use crate::state::{NEVER, Sentinel};
use alloc::format;
use alloc::string::String;

/// A failed save is tried again after this long.
const RETRY_MS: u64 = 1000;

/// Which changes are on the disk.
#[derive(Debug, Default)]
pub(crate) struct Saving {
    /// Changes so far.
    pub changes: u64,
    /// The last one that is an epoch or a vote.
    pub last_epoch_change: u64,
    /// Changes on the disk.
    pub saved: u64,
    /// The current epoch as it is on the disk.
    pub saved_epoch: u64,
    /// The save under way, the changes in it, and the current epoch.
    under_way: Option<(SaveId, u64, u64)>,
    next: u64,
    retry_at: Option<u64>,
}

impl Saving {
    pub fn retry_at(&self) -> u64 {
        self.retry_at.unwrap_or(NEVER)
    }
}

impl Sentinel {
    /// Something changed that the file holds. Returns the number of the change.
    pub(crate) fn changed(&mut self) -> u64 {
        self.saving.changes += 1;
        self.saving.changes
    }

    /// An epoch or a vote changed: nothing that reveals it may leave before it is saved.
    pub(crate) fn epoch_changed(&mut self) -> u64 {
        let change = self.changed();
        self.saving.last_epoch_change = change;
        change
    }

    /// Whether our epochs and votes are on the disk and may be shown.
    pub(crate) fn epochs_are_saved(&self) -> bool {
        self.saving.saved >= self.saving.last_epoch_change
    }

    /// Starts a save if there are changes and none is under way.
    pub(crate) fn save_if_needed(&mut self) {
        let saving = &mut self.saving;
        if saving.changes <= saving.saved
            || saving.under_way.is_some()
            || saving.retry_at.is_some_and(|at| at > self.now)
        {
            return;
        }
        let save = SaveId(saving.next);
        saving.next += 1;
        saving.under_way = Some((save, saving.changes, self.current_epoch));
        saving.retry_at = None;
        let text = self.configuration_text();
        self.push(Action::Save { save, text });
    }

    /// A save has ended.
    pub(crate) fn handle_saved(&mut self, save: SaveId, error: Option<String>) {
        let Some((_, changes, epoch)) = self.saving.under_way.take_if(|(id, _, _)| *id == save) else { return };
        match error {
            None => {
                (self.saving.saved, self.saving.saved_epoch) = (changes, epoch);
                self.log(LogLevel::Notice, "Sentinel new configuration saved on disk".into());
                self.finish_saved_answers(changes, true);
                for id in self.primary_ids() {
                    self.touch(id);
                    self.touch_others(id);
                }
            }
            Some(error) => {
                self.saving.retry_at = Some(self.now + RETRY_MS);
                self.log(
                    LogLevel::Warning,
                    format!("WARNING: Sentinel was not able to save the new configuration on disk!!!: {error}"),
                );
                self.finish_saved_answers(changes, false);
            }
        }
    }

    /// Has replicas and sentinels of a primary looked at: their hellos may have waited.
    pub(crate) fn touch_others(&mut self, id: crate::instance::InstanceId) {
        let primary = self.at(id).primary();
        let others: alloc::vec::Vec<_> = primary.replicas.iter().chain(primary.sentinels.values()).copied().collect();
        for other in others {
            self.touch(other);
        }
    }
}
