//! The timer that ends a wait of the loop in time.
//!
//! Why: a wait that is itself given a time sets a timer in the kernel and takes it back when something happens before. A busy
//! loop waits many thousand times a second for a moment that hardly changes, such as the next tick, and where that moment is
//! near, each of these timers also has to be told to the hardware, which is dear on a virtual machine. The alarm is a timerfd
//! that the loop watches as it watches its sockets. It is set once and stays until it is due; waits that are to end at about
//! that time or later rely on it.
//!
//! ```text
//!   waits      ├──┤ ├─┤ ├───┤ ├┤ ├──┤ ├─┤          each ends with what happens, and is to end at the tick
//!   the alarm  ├──────────────────────────────►    set by the first of them
//! ```
//!
//! Limits: a wait may end up to [`SLACK`] late, and early at a time that a wait before it was given.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::time::{Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec};

use crate::waker::empty;

/// How much later than wanted the alarm may be due and still do.
const SLACK: Duration = Duration::from_millis(1);

/// See the module's description.
pub(crate) struct Alarm {
    fd: OwnedFd,
    /// When it is due, if it is set.
    due: Option<Instant>,
}

impl Alarm {
    pub(crate) fn new() -> io::Result<Alarm> {
        let flags = TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK;
        Ok(Alarm { fd: rustix::time::timerfd_create(TimerfdClockId::Monotonic, flags)?, due: None })
    }

    /// Sees to it that a wait that begins now ends after `timeout`, which is above zero. One of more than centuries has no end.
    pub(crate) fn set(&mut self, timeout: Duration) {
        let Some(until) = Instant::now().checked_add(timeout) else { return };
        if self.due.is_some_and(|due| due <= until + SLACK) {
            return;
        }
        let time = Timespec { tv_sec: timeout.as_secs() as i64, tv_nsec: timeout.subsec_nanos().into() };
        let once = Itimerspec { it_interval: Timespec::default(), it_value: time };
        rustix::time::timerfd_settime(&self.fd, TimerfdTimerFlags::empty(), &once).expect("a timer takes every time");
        self.due = Some(until);
    }

    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// It was due: it is not set any more, and its descriptor not readable.
    pub(crate) fn over(&mut self) {
        empty(&self.fd);
        self.due = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn left(alarm: &Alarm) -> Duration {
        let left = rustix::time::timerfd_gettime(&alarm.fd).unwrap().it_value;
        Duration::new(left.tv_sec as u64, left.tv_nsec as u32)
    }

    #[test]
    fn it_is_set_anew_only_for_an_earlier_time() {
        let s = Duration::from_secs;
        let mut alarm = Alarm::new().unwrap();
        for (wanted, expected) in [(1000, 1000), (2000, 1000), (1000, 1000), (500, 500), (999, 500)] {
            alarm.set(s(wanted));
            let left = left(&alarm);
            assert!(left <= s(expected) && left > s(expected - 100), "{wanted}: {left:?}");
        }
        alarm.over();
        alarm.set(s(700));
        assert!(left(&alarm) > s(600));
    }
}
