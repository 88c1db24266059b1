//! Commands that are put off for a while: all of them, or only those that may write.
//!
//! Three hold commands back, each on its own account: `CLIENT PAUSE`, a shutdown that waits for its
//! replicas, and a failover. One of them ending does not end the others' pause.

/// Who holds commands back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holder {
    /// `CLIENT PAUSE`.
    Client = 0,
    /// A shutdown that waits for replicas.
    Shutdown = 1,
    /// A failover.
    Failover = 2,
}

/// Until when one holder holds what back, Unix milliseconds.
#[derive(Debug, Default, Clone, Copy)]
struct Hold {
    all_until_ms: i64,
    writes_until_ms: i64,
}

/// The pauses that are in force, if any.
#[derive(Debug, Default, Clone, Copy)]
pub struct Pause {
    holds: [Hold; 3],
    /// What was held back when [`Pause::lifted`] was last asked: nothing, writes, or everything.
    level: u8,
}

impl Pause {
    /// Holds commands back until `until_ms`; a holder's pause never gets shorter by a later one of its kind.
    pub fn begin(&mut self, holder: Holder, until_ms: i64, writes_only: bool) {
        let hold = &mut self.holds[holder as usize];
        let slot = if writes_only { &mut hold.writes_until_ms } else { &mut hold.all_until_ms };
        *slot = (*slot).max(until_ms);
    }

    /// Ends what one holder holds back.
    pub fn end(&mut self, holder: Holder) {
        self.holds[holder as usize] = Hold::default();
    }

    /// Whether a command must wait.
    pub fn holds(&self, now_ms: i64, may_write: bool) -> bool {
        self.holds.iter().any(|h| now_ms < h.all_until_ms || (may_write && now_ms < h.writes_until_ms))
    }

    /// Whether less is held back than when this was last asked.
    pub fn lifted(&mut self, now_ms: i64) -> bool {
        let level = u8::from(self.holds(now_ms, false)) + u8::from(self.holds(now_ms, true));
        level < std::mem::replace(&mut self.level, level)
    }

    /// Whether expiry and eviction, which write, must wait too.
    pub fn holds_writes(&self, now_ms: i64) -> bool {
        self.holds(now_ms, true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_holder_ends_only_its_own_pause() {
        let mut pause = Pause::default();
        pause.begin(Holder::Client, 100, false);
        pause.begin(Holder::Failover, 300, true);
        assert!(pause.holds(50, false) && pause.holds(50, true));
        assert!(!pause.holds(150, false) && pause.holds(150, true));
        pause.end(Holder::Client);
        assert!(!pause.holds(50, false) && pause.holds(50, true));
        assert!(!pause.lifted(50));
        pause.end(Holder::Failover);
        assert!(!pause.holds_writes(50) && pause.lifted(50) && !pause.lifted(50));
    }

    #[test]
    fn a_shorter_pause_does_not_shorten_one_of_its_kind() {
        let mut pause = Pause::default();
        pause.begin(Holder::Client, 100, true);
        pause.begin(Holder::Client, 50, true);
        assert!(pause.holds_writes(99) && !pause.holds_writes(100));
    }
}
