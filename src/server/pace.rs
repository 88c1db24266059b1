//! When the bytes that replicas are sent leave the machine.
//!
//! What is written goes to the kernel with the batch that wrote it, before that batch is answered: whoever kills the process
//! cannot take it back. But letting it go costs the primary as much as ten small writes: the way through the network stack,
//! waking the replica. While little is written the kernel lets each batch go at once, so that replicas lag by one hop. While
//! much is written it keeps what does not fill a segment (`MSG_MORE`) until the first batch after a fraction of a millisecond:
//! nobody can tell the difference in lag, which queues of such a load hide anyway, but each write gets cheaper. A clock is
//! only needed where no batch follows; waking for that each time would cost more than is saved.
//!
//! ```text
//!   batches  ▪  ▪   ▪      ▪ ▪ ▪ ▪ ▪ ▪ ▪ ▪ ▪ ▪ ▪ ▪ ▪ ▪ ▪
//!   leave    ▲  ▲   ▲      ▲     ▲     ▲     ▲     ▲         ▲
//!            few: at once   many: after HOLD, with a batch   after ALONE, if none follows
//! ```

/// How long what is written may be kept back while much is written, if a batch follows that can take it along; nanoseconds.
const HOLD_NS: u64 = 300_000;
/// How long what is written may be kept back while much is written, if no batch follows; nanoseconds.
const ALONE_NS: u64 = 2_000_000;
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
    /// When what was there was last let go, and the log's end then.
    pushed: (u64, u64),
    /// Something waits until this moment.
    held_until: Option<u64>,
}

impl Pace {
    /// Whether the kernel is to let go now what it gets, the log up to `end`. What it keeps waits until [`Pace::held_ns`] has passed.
    pub fn lets_go(&mut self, now_ns: u64, end: u64) -> bool {
        let passed = now_ns.saturating_sub(self.window.0);
        if passed >= WINDOW_NS {
            let rate = end.saturating_sub(self.window.1).saturating_mul(1_000_000_000) / passed;
            self.much = rate >= MUCH_BYTES_PER_S;
            self.window = (now_ns, end);
        }
        if end == self.pushed.1 {
            // Nothing new: who is behind goes on as fast as it takes it, and the next write does not wait for a send that was none.
            self.held_until = None;
            return true;
        }
        let due = self.pushed.0 + HOLD_NS;
        if self.much && now_ns < due {
            self.held_until = Some(self.pushed.0 + ALONE_NS);
            return false;
        }
        self.pushed = (now_ns, end);
        self.held_until = None;
        true
    }

    /// There is nobody to send to.
    pub fn rest(&mut self) {
        self.held_until = None;
    }

    /// What is in the log is to be let go whatever the pace: somebody waits for it to arrive.
    pub fn hurry(&mut self) {
        self.pushed.0 = 0;
    }

    /// In how many nanoseconds something that waits is to be let go.
    pub fn held_ns(&self, now_ns: u64) -> Option<u64> {
        self.held_until.map(|until| until.saturating_sub(now_ns))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Writes `bytes` each `every_ns` for a second; how often the kernel let something go, how often the clock was needed
    /// for it, and the longest time that a byte waited.
    fn play(bytes: u64, every_ns: u64) -> (usize, usize, u64) {
        let (mut pace, mut times, mut alone, mut longest) = (Pace::default(), 0, 0, 0);
        let (mut end, mut waiting_since, mut next_write, mut now) = (0, None, 1_000_000_000, 1_000_000_000);
        while now < 2_000_000_000 {
            let writes = now == next_write;
            if writes {
                end += bytes;
                next_write += every_ns;
                waiting_since.get_or_insert(now);
            }
            if let Some(since) = waiting_since
                && pace.lets_go(now, end)
            {
                times += 1;
                alone += usize::from(!writes);
                longest = longest.max(now - since);
                waiting_since = None;
            }
            now = pace.held_ns(now).map_or(next_write, |held| next_write.min(now + held));
        }
        (times, alone, longest)
    }

    #[test]
    fn few_writes_leave_at_once() {
        assert_eq!(play(100, 50_000), (20_000, 0, 0));
    }

    #[test]
    fn many_writes_leave_together() {
        let (times, alone, longest) = play(100, 5_000);
        // The first window is not known to be busy yet.
        assert!((3_200..5_500).contains(&times), "{times}");
        assert_eq!(alone, 0, "a batch always follows soon enough");
        assert!(longest <= HOLD_NS + 5_000);
    }

    #[test]
    fn what_no_batch_follows_leaves_by_the_clock() {
        let at = 10_000_000_000;
        let mut pace = Pace { much: true, window: (at, 0), pushed: (at, 500), held_until: None };
        assert!(!pace.lets_go(at + 100, 600));
        assert_eq!(pace.held_ns(at + 100), Some(ALONE_NS - 100));
        assert!(pace.lets_go(at + ALONE_NS, 600) && pace.held_ns(at + ALONE_NS).is_none());
    }

    #[test]
    fn what_was_let_go_before_is_not_held() {
        let at = 10_000_000_000;
        let mut pace = Pace { much: true, window: (at, 0), pushed: (at, 500), held_until: None };
        assert!(pace.lets_go(at + 100, 500) && pace.held_ns(at + 100).is_none());
        assert!(!pace.lets_go(at + 200, 600), "the last time still counts");
        assert!(pace.lets_go(at + HOLD_NS, 600));
        assert!(!pace.lets_go(at + HOLD_NS + 100, 700));
    }

    #[test]
    fn a_hurry_ends_the_waiting() {
        let mut pace = Pace { much: true, window: (10_000_000_000, 0), pushed: (10_000_000_000, 0), held_until: None };
        assert!(!pace.lets_go(10_000_000_100, 100));
        pace.hurry();
        assert!(pace.lets_go(10_000_000_200, 200));
    }
}
