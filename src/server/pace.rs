//! How often replicas are sent what the log holds for them.
//!
//! A send costs the primary about as much as ten small writes: the system call, the way through the network stack, waking the
//! replica. While little is written each batch is sent at once, so that replicas lag by one hop. While much is written, what
//! comes within a fraction of a millisecond goes out together: nobody can tell the difference in lag, which queues of such a load
//! hide anyway, but each write gets cheaper.
//!
//! ```text
//!   writes   ▪  ▪   ▪      ▪▪▪▪▪▪▪▪▪▪▪▪▪▪▪▪▪▪▪▪▪▪▪▪▪▪▪
//!   sends    ▲  ▲   ▲      ▲     ▲     ▲     ▲     ▲     ▲
//!            few: at once   many: each HOLD, or each FULL_BYTES
//! ```

/// How long what is written may wait while much is written, nanoseconds.
const HOLD_NS: u64 = 300_000;
/// So much is sent without waiting.
const FULL_BYTES: u64 = 64 << 10;
/// From this rate on, "much" is written: bytes per second.
const MUCH_BYTES_PER_S: u64 = 6 << 20;
/// Over how long the rate is measured, nanoseconds.
const WINDOW_NS: u64 = 10_000_000;

/// See the module's description.
#[derive(Debug, Default)]
pub struct Pace {
    /// When the rate began to be measured, and the log's end then.
    window: (u64, u64),
    much: bool,
    /// When something was last sent, and the log's end then.
    sent: (u64, u64),
    /// Something waits until this moment.
    held_until: Option<u64>,
}

impl Pace {
    /// Whether the log up to `end` is to be sent now. What is not waits until [`Pace::held_ns`] has passed.
    pub fn allows(&mut self, now_ns: u64, end: u64) -> bool {
        let passed = now_ns.saturating_sub(self.window.0);
        if passed >= WINDOW_NS {
            let rate = end.saturating_sub(self.window.1).saturating_mul(1_000_000_000) / passed;
            self.much = rate >= MUCH_BYTES_PER_S;
            self.window = (now_ns, end);
        }
        if end == self.sent.1 {
            // Nothing new: who is behind goes on as fast as it takes it, and the next write does not wait for a send that was none.
            self.held_until = None;
            return true;
        }
        let due = self.sent.0 + HOLD_NS;
        if self.much && now_ns < due && end.saturating_sub(self.sent.1) < FULL_BYTES {
            self.held_until = Some(due);
            return false;
        }
        self.sent = (now_ns, end);
        self.held_until = None;
        true
    }

    /// There is nobody to send to.
    pub fn rest(&mut self) {
        self.held_until = None;
    }

    /// What is in the log is to be sent whatever the pace: somebody waits for it to arrive.
    pub fn hurry(&mut self) {
        self.sent.0 = 0;
    }

    /// In how many nanoseconds something that waits is to be sent.
    pub fn held_ns(&self, now_ns: u64) -> Option<u64> {
        self.held_until.map(|until| until.saturating_sub(now_ns))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Writes `bytes` each `every_ns` for a second; how many sends came of it, and the longest time that a byte waited.
    fn play(bytes: u64, every_ns: u64) -> (usize, u64) {
        let (mut pace, mut sends, mut longest) = (Pace::default(), 0, 0);
        let (mut end, mut waiting_since, mut next_write, mut now) = (0, None, 1_000_000_000, 1_000_000_000);
        while now < 2_000_000_000 {
            if now == next_write {
                end += bytes;
                next_write += every_ns;
                waiting_since.get_or_insert(now);
            }
            if let Some(since) = waiting_since
                && pace.allows(now, end)
            {
                sends += 1;
                longest = longest.max(now - since);
                waiting_since = None;
            }
            now = pace.held_ns(now).map_or(next_write, |held| next_write.min(now + held));
        }
        (sends, longest)
    }

    #[test]
    fn few_writes_are_sent_at_once() {
        assert_eq!(play(100, 50_000), (20_000, 0));
    }

    #[test]
    fn many_writes_share_sends() {
        let (sends, longest) = play(100, 5_000);
        // The first window is not known to be busy yet.
        assert!((3_300..5_500).contains(&sends), "{sends}");
        assert!(longest <= HOLD_NS);
    }

    #[test]
    fn a_full_portion_waits_for_nothing() {
        let (sends, _) = play(100_000, 20_000);
        assert_eq!(sends, 50_000);
    }

    #[test]
    fn what_was_allowed_before_is_not_held() {
        let at = 10_000_000_000;
        let mut pace = Pace { much: true, window: (at, 0), sent: (at, 500), held_until: None };
        assert!(pace.allows(at + 100, 500) && pace.held_ns(at + 100).is_none());
        assert!(!pace.allows(at + 200, 600), "the last send still counts");
        assert!(pace.allows(at + HOLD_NS, 600));
        assert!(pace.allows(at + HOLD_NS + 100, 600), "a replica that lags takes more");
    }

    #[test]
    fn a_hurry_ends_the_waiting() {
        let mut pace = Pace { much: true, window: (10_000_000_000, 0), sent: (10_000_000_000, 0), held_until: None };
        assert!(!pace.allows(10_000_000_100, 100));
        pace.hurry();
        assert!(pace.allows(10_000_000_200, 200));
    }
}
