//! CLIENT PAUSE: for a while commands, or only those that may write, are put off.

/// The pause that is in force, if any.
#[derive(Debug, Default, Clone, Copy)]
pub struct Pause {
    /// Until when all commands wait, Unix milliseconds.
    all_until_ms: i64,
    /// Until when commands that may write wait, Unix milliseconds.
    writes_until_ms: i64,
}

impl Pause {
    /// Holds commands back until `until_ms`; a pause never gets shorter by a later one of its kind.
    pub fn begin(&mut self, until_ms: i64, writes_only: bool) {
        let slot = if writes_only { &mut self.writes_until_ms } else { &mut self.all_until_ms };
        *slot = (*slot).max(until_ms);
    }

    /// Ends it.
    pub fn end(&mut self) {
        *self = Self::default();
    }

    /// Whether a command must wait.
    pub fn holds(&self, now_ms: i64, may_write: bool) -> bool {
        now_ms < self.all_until_ms || (may_write && now_ms < self.writes_until_ms)
    }

    /// Whether expiry and eviction, which write, must wait too.
    pub fn holds_writes(&self, now_ms: i64) -> bool {
        self.holds(now_ms, true)
    }

    /// When the pause ends, Unix milliseconds; in the past where there is none.
    pub fn until_ms(&self) -> i64 {
        self.all_until_ms.max(self.writes_until_ms)
    }

    /// The actions that are held back, as INFO names them.
    pub fn actions(&self, now_ms: i64) -> &'static str {
        match (now_ms < self.all_until_ms, now_ms < self.writes_until_ms) {
            (true, _) => "all",
            (_, true) => "write",
            _ => "none",
        }
    }
}
