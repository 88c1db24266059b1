//! The one place where time comes in.
//!
//! The thread that owns the data looks at the clock after each command. Where the kernel itself keeps time by the
//! processor's counter, that thread does so too: the timers [`adjust`] it by the system's clock, ten times a second, and
//! between them a look is one instruction, a multiplication and an addition.
//!
//! ```text
//! nanoseconds ▲        ╱ rate of the last interval
//!             │    ●──╱   ● = adjust(): base and rate are set anew
//!             │ ●──╱
//!             └────────────► counter
//! ```
//!
//! Limits: two looks that stand on either side of an adjustment may differ by some nanoseconds too much or too few, even
//! in their order.

use std::cell::Cell;
use std::sync::OnceLock;
use std::time::{Instant, SystemTime, UNIX_EPOCH};
use sys::counter;

/// The time of day, Unix milliseconds.
pub fn unix_ms() -> i64 {
    unix_us() / 1000
}

/// The time of day, Unix microseconds.
pub fn unix_us() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_micros() as i64)
}

/// A clock for durations, nanoseconds since the first call.
#[inline]
pub fn monotonic_ns() -> u64 {
    match FROM_COUNTER.get() {
        Some(line) => line.at(counter::read()),
        None => system_ns(),
    }
}

fn system_ns() -> u64 {
    static START: OnceLock<Instant> = OnceLock::new();
    START.get_or_init(Instant::now).elapsed().as_nanos() as u64
}

thread_local! {
    /// How this thread makes nanoseconds of the counter, if it does.
    static FROM_COUNTER: Cell<Option<Line>> = const { Cell::new(None) };
    /// When this thread adjusted it last.
    static LAST: Cell<Option<Sample>> = const { Cell::new(None) };
}

/// The counter and the system's clock at one moment.
#[derive(Clone, Copy, Debug)]
struct Sample {
    count: u64,
    nanos: u64,
}

impl Sample {
    /// The closest of some tries: a thread can be stopped between its looks at the two clocks.
    fn take() -> Sample {
        let tries = (0..4).map(|_| {
            let before = counter::read();
            let nanos = system_ns();
            let width = counter::read().saturating_sub(before);
            (width, Sample { count: before + width / 2, nanos })
        });
        tries.min_by_key(|(width, _)| *width).map(|(_, sample)| sample).expect("there are four tries")
    }
}

/// Nanoseconds as a line over the counter.
#[derive(Clone, Copy, Debug)]
struct Line {
    from: Sample,
    /// Nanoseconds of one count, times 2^32.
    rate: u64,
}

/// Samples closer than this say little about the rate.
const INTERVAL_NS_MIN: u64 = 20_000_000;

impl Line {
    /// The line through two samples; nothing where they are too close, or the counter has gone back.
    fn through(first: Sample, second: Sample) -> Option<Line> {
        let counts = second.count.checked_sub(first.count).filter(|&counts| counts > 0)?;
        let nanos = second.nanos.checked_sub(first.nanos).filter(|&nanos| nanos >= INTERVAL_NS_MIN)?;
        let rate = u64::try_from((u128::from(nanos) << 32) / u128::from(counts)).ok()?;
        Some(Line { from: second, rate })
    }

    #[inline]
    fn at(self, count: u64) -> u64 {
        let counts = count.saturating_sub(self.from.count);
        self.from.nanos + ((u128::from(counts) * u128::from(self.rate)) >> 32) as u64
    }

    /// Whether another line rises as fast, within a thousandth.
    fn agrees(self, other: Line) -> bool {
        self.rate.abs_diff(other.rate) <= self.rate / 1000
    }
}

/// Sets this thread's clock right; to be called now and then by a thread that often looks at it.
pub fn adjust() {
    if !kernel_uses_counter() {
        return;
    }
    let now = Sample::take();
    let Some(last) = LAST.get() else {
        LAST.set(Some(now));
        return;
    };
    if now.nanos.saturating_sub(last.nanos) < INTERVAL_NS_MIN {
        return;
    }
    LAST.set(Some(now));
    // A rate that has changed means that one of the two clocks has jumped: the system's is believed until they agree again.
    let line = Line::through(last, now);
    let jumped = FROM_COUNTER.get().is_some_and(|old| line.is_none_or(|new| !old.agrees(new)));
    FROM_COUNTER.set(line.filter(|_| !jumped));
}

/// Whether the counter is good enough for the kernel.
fn kernel_uses_counter() -> bool {
    static USES: OnceLock<bool> = OnceLock::new();
    *USES.get_or_init(|| {
        let source = std::fs::read_to_string("/sys/devices/system/clocksource/clocksource0/current_clocksource");
        counter::is_steady() && source.is_ok_and(|name| name.trim() == "tsc")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: u64 = 1_000_000_000;

    #[test]
    fn a_line_goes_on_as_fast_as_its_samples() {
        let at = |count, nanos| Sample { count, nanos };
        let line = Line::through(at(1000, 5 * S), at(1000 + 3 * S, 6 * S)).unwrap();
        assert_eq!(line.at(1000 + 3 * S), 6 * S);
        assert!(line.at(1000 + 9 * S).abs_diff(8 * S) < 10);
        assert_eq!(line.at(1000), 6 * S, "what was counted before the base gives the base");
        assert!(Line::through(at(0, 0), at(S, 1000)).is_none(), "too close");
        assert!(Line::through(at(S, 0), at(0, S)).is_none(), "the counter has gone back");
        let slower = Line::through(at(0, 0), at(3 * S + S / 100, S)).unwrap();
        assert!(line.agrees(line) && !line.agrees(slower));
    }

    #[test]
    fn the_adjusted_clock_follows_the_systems() {
        for _ in 0..3 {
            adjust();
            std::thread::sleep(std::time::Duration::from_millis(25));
        }
        let (before, ours, after) = (system_ns(), monotonic_ns(), system_ns());
        // A machine's clocks may drift apart a little in 25 ms, but not by so much.
        let slack = 1_000_000;
        assert!(before.saturating_sub(slack) <= ours && ours <= after + slack, "{before} {ours} {after}");
    }
}
