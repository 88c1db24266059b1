//! Timers that end a wait in time and outlive it.
//!
//! Why: a wait that is given a time sets a timer in the kernel and takes it back when something happens before. A busy loop
//! waits many thousand times a second for a moment that hardly changes, such as the next tick, and where that moment is near,
//! each of these timers also has to be told to the hardware, which is dear on a virtual machine. An alarm is set once and
//! stays until it is due; waits that want to end at about that time or later set none of their own.
//!
//! ```text
//!   waits      ├──┤ ├─┤ ├───┤ ├┤ ├──┤ ├─┤          each ends with what happens, wants to end at the tick
//!   an alarm   ├──────────────────────────────►    set by the first of them
//! ```
//!
//! Limits: a wait may end up to [`SLACK`] after the time it was given, and at an alarm that an earlier one has set. At most
//! [`COUNT`] alarms are set at once.

use std::time::{Duration, Instant};

use io_uring::types::Timespec;
use io_uring::{opcode, squeue};

/// How many alarms there may be at once: the tick, something that waits for less, and a few that are not wanted any more.
const COUNT: usize = 8;
/// How much later than wanted an alarm may be due and still do.
const SLACK: Duration = Duration::from_millis(1);

/// See the module's description.
pub(super) struct Alarms {
    /// When those that are set are due.
    due: [Option<Instant>; COUNT],
    /// How long they take: the kernel reads it when the operation is submitted, so it stays in its place until that completes.
    times: Box<[Timespec; COUNT]>,
}

/// What is to be done that a wait ends in time.
pub(super) enum Need {
    /// An alarm will end it.
    Nothing,
    /// An operation sets an alarm; its completion is to carry this number.
    Submit(squeue::Entry, u64),
    /// There are too many alarms: the wait has to be given the time.
    Wait,
}

impl Alarms {
    pub(super) fn new() -> Alarms {
        Alarms { due: [None; COUNT], times: Box::new([Timespec::new(); COUNT]) }
    }

    /// What a wait needs that begins `now` and is to end after `timeout`.
    pub(super) fn need(&mut self, now: Instant, timeout: Duration) -> Need {
        let until = now + timeout;
        if self.due.iter().flatten().any(|&due| due <= until + SLACK) {
            return Need::Nothing;
        }
        let Some(free) = self.due.iter().position(Option::is_none) else { return Need::Wait };
        self.due[free] = Some(until);
        self.times[free] = Timespec::from(timeout);
        Need::Submit(opcode::Timeout::new(&raw const self.times[free]).build(), free as u64)
    }

    /// An alarm was due, or the kernel has given it up.
    pub(super) fn over(&mut self, number: u64) {
        self.due[number as usize] = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_alarm_serves_many_waits_until_it_is_over() {
        let (mut alarms, start) = (Alarms::new(), Instant::now());
        let ms = Duration::from_millis;
        assert!(matches!(alarms.need(start, ms(100)), Need::Submit(_, 0)));
        for passed in 0..100 {
            assert!(matches!(alarms.need(start + ms(passed), ms(100 - passed)), Need::Nothing));
        }
        assert!(matches!(alarms.need(start, ms(500)), Need::Nothing), "it may end earlier");
        assert!(matches!(alarms.need(start + ms(50), ms(2)), Need::Submit(_, 1)), "but not much later");
        alarms.over(1);
        assert!(matches!(alarms.need(start + ms(52), ms(48)), Need::Nothing));
        alarms.over(0);
        assert!(matches!(alarms.need(start + ms(100), ms(100)), Need::Submit(_, 0)));
    }

    #[test]
    fn with_too_many_alarms_the_wait_gets_the_time() {
        let (mut alarms, start) = (Alarms::new(), Instant::now());
        for number in 0..COUNT as u64 {
            let timeout = Duration::from_secs(100 - number);
            assert!(matches!(alarms.need(start, timeout), Need::Submit(_, n) if n == number));
        }
        assert!(matches!(alarms.need(start, Duration::from_secs(1)), Need::Wait));
        assert!(matches!(alarms.need(start, Duration::from_secs(93)), Need::Nothing));
    }
}
