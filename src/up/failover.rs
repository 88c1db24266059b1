//! How long a fail-over took, and where the time went, from what is seen of it.
//!
//! ```text
//!   primary lost ──► +odown ──► +elected-leader ──► +switch-master
//!        │ found dead   │   elected    │    promoted      │
//!        └──────────────┴──────────────┴──────────────────┘ total
//! ```
//! All times are those at which this program heard of an event. The loss is the moment at which the primary was killed, frozen or cut
//! off here, or seen to have ended; where none of that is known it is the last time that the primary answered. A hand-over on
//! request begins with the request and has no parts.

use std::fmt;
use std::time::Duration;

/// What happens, as far as it matters here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step<'a> {
    /// The primary on this port cannot be reached from now on.
    Lost(u16),
    /// The server on this port can be reached again.
    Back(u16),
    /// The primary on this port has answered.
    Answered(u16),
    /// A hand-over was asked for.
    Asked,
    /// Sentinels agree that the primary is down.
    Odown,
    /// A sentinel may fail over.
    Elected,
    /// A fail-over was given up.
    Aborted,
    /// The primary has moved from one port to another one.
    Switched(u16, u16),
    /// The number of acknowledged writes that are missing on the new primary, on this port.
    Counted(u16, u64),
    /// An event that says nothing here.
    Other(&'a str),
}

impl<'a> Step<'a> {
    /// Reads an event of a sentinel.
    pub fn of(name: &'a str, text: &str) -> Self {
        let port = |address: &str| address.rsplit(':').next().and_then(|port| port.parse().ok());
        match name {
            "+odown" => Self::Odown,
            "+elected-leader" => Self::Elected,
            "+switch-master" => super::words::moved(text)
                .and_then(|(old, new)| Some(Self::Switched(port(&old)?, port(&new)?)))
                .unwrap_or(Self::Other(name)),
            _ if name.starts_with("-failover-abort") => Self::Aborted,
            _ => Self::Other(name),
        }
    }
}

/// A fail-over that has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The port of the old primary.
    pub from: u16,
    /// The port of the new primary.
    pub to: u16,
    /// From the loss, or the request, to the new primary.
    pub total: Duration,
    /// What it consists of; none where it was asked for.
    pub parts: Option<Parts>,
    /// Acknowledged writes that are lost, where some were made and have been counted.
    pub lost: Option<u64>,
}

/// Where the time went. They add up to the total.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parts {
    /// Until sentinels agreed that the primary is down.
    pub found_dead: Duration,
    /// Until one of them was elected to fail over.
    pub elected: Duration,
    /// Until a replica was the primary.
    pub promoted: Duration,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hundredths = |time: Duration| time.as_millis() / 10;
        let shown = |hundredths: u128| format!("{}.{:02}", hundredths / 100, hundredths % 100);
        write!(f, "{} → {} in {} s", self.from, self.to, shown(hundredths(self.total)))?;
        match self.parts {
            Some(Parts { found_dead, elected, promoted: _ }) => {
                // The moments are rounded, not the parts, so that the parts as shown add up to the total as shown.
                let (found_at, elected_at) = (hundredths(found_dead), hundredths(found_dead + elected));
                let [found, elected, promoted] =
                    [found_at, elected_at - found_at, hundredths(self.total) - elected_at].map(shown);
                write!(f, ": found dead {found}, elected {elected}, promoted {promoted}")?;
            }
            None => write!(f, ", handed over")?,
        }
        match self.lost {
            Some(1) => write!(f, "; 1 acknowledged write lost"),
            Some(lost) => write!(f, "; {lost} acknowledged writes lost"),
            None => Ok(()),
        }
    }
}

/// Follows fail-overs. At most one is under way.
#[derive(Debug, Default)]
pub struct Tracker {
    /// When a server was lost; it is a loss of the primary if the primary then moves away from it.
    losses: Vec<(u16, Duration)>,
    answered: Option<(u16, Duration)>,
    asked: Option<Duration>,
    odown: Option<Duration>,
    elected: Option<Duration>,
    last: Option<Report>,
}

impl Tracker {
    /// The last one that has ended.
    pub fn last(&self) -> Option<&Report> {
        self.last.as_ref()
    }

    /// Takes a step at a time since the start of the program; whether there is a new report, or one that has become fuller.
    pub fn apply(&mut self, now: Duration, step: Step<'_>) -> bool {
        match step {
            Step::Lost(port) => {
                self.losses.retain(|(lost, _)| *lost != port);
                self.losses.push((port, now));
            }
            Step::Back(port) => self.losses.retain(|(lost, _)| *lost != port),
            Step::Answered(port) => self.answered = Some((port, now)),
            Step::Asked => self.asked = Some(now),
            // Each sentinel tells it; the first one counts.
            Step::Odown => self.odown = self.odown.or(Some(now)),
            Step::Elected => self.elected = self.elected.or(Some(now)),
            // The next attempt has its own election.
            Step::Aborted => (self.elected, self.asked) = (None, None),
            Step::Switched(from, to) => return self.finish(now, from, to),
            Step::Counted(to, lost) => {
                if let Some(last) = self.last.as_mut().filter(|last| last.to == to && last.lost.is_none()) {
                    last.lost = Some(lost);
                    return true;
                }
            }
            Step::Other(_) => {}
        }
        false
    }

    fn finish(&mut self, now: Duration, from: u16, to: u16) -> bool {
        let repeated = self.last.as_ref().is_some_and(|last| (last.from, last.to) == (from, to));
        let (asked, odown, elected) = (self.asked.take(), self.odown.take(), self.elected.take());
        if repeated && asked.is_none() && elected.is_none() {
            // Another sentinel tells the same.
            return false;
        }
        let lost = self.losses.iter().find(|(port, _)| *port == from).map(|(_, at)| *at);
        let answered = self.answered.filter(|(port, _)| *port == from).map(|(_, at)| at);
        let parts = match (asked, odown) {
            (Some(_), _) => None,
            (None, odown) => {
                let start = lost.or(answered).or(odown).or(elected).unwrap_or(now);
                let found = odown.or(elected).unwrap_or(now).clamp(start, now);
                let elected = elected.unwrap_or(found).clamp(found, now);
                Some((start, Parts { found_dead: found - start, elected: elected - found, promoted: now - elected }))
            }
        };
        let start = asked.or(parts.map(|(start, _)| start)).unwrap_or(now);
        let parts = parts.map(|(_, parts)| parts);
        self.last = Some(Report { from, to, total: now.saturating_sub(start), parts, lost: None });
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn run(tracker: &mut Tracker, steps: &[(u64, Step<'_>)]) -> Vec<String> {
        let mut lines = Vec::new();
        for (at, step) in steps {
            if tracker.apply(ms(*at), *step) {
                lines.push(tracker.last().unwrap().to_string());
            }
        }
        lines
    }

    #[test]
    fn a_fail_over_tells_where_its_time_went() {
        let odown = Step::of("+odown", "master mymaster 127.0.0.1 6379 #quorum 2/2");
        let elected = Step::of("+elected-leader", "master mymaster 127.0.0.1 6379");
        let switched = Step::of("+switch-master", "mymaster 127.0.0.1 6379 127.0.0.1 6380");
        let steps = [
            (4000, Step::Answered(6379)),
            (5000, Step::Lost(6379)),
            (6000, odown),
            (6005, odown),
            (6020, elected),
            (6130, switched),
            (6180, switched),
            (6200, Step::Counted(6380, 0)),
            (6210, switched),
            (6300, Step::Counted(6380, 7)),
        ];
        let line = "6379 → 6380 in 1.13 s: found dead 1.00, elected 0.02, promoted 0.11";
        let full = format!("{line}; 0 acknowledged writes lost");
        let mut tracker = Tracker::default();
        assert_eq!(run(&mut tracker, &steps), [line.to_owned(), full]);
        // Back again, and once more back: each has its line.
        let again = [
            (9000, Step::Back(6379)),
            (10_000, Step::Lost(6380)),
            (11_000, Step::Odown),
            (11_000, Step::Elected),
            (11_500, Step::Switched(6380, 6379)),
            (20_000, Step::Lost(6379)),
            (21_000, Step::Odown),
            (21_200, Step::Elected),
            (21_500, Step::Switched(6379, 6380)),
        ];
        assert_eq!(
            run(&mut tracker, &again),
            [
                "6380 → 6379 in 1.50 s: found dead 1.00, elected 0.00, promoted 0.50",
                "6379 → 6380 in 1.50 s: found dead 1.00, elected 0.20, promoted 0.30",
            ]
        );
    }

    #[test]
    fn a_loss_that_nobody_here_has_made_counts_from_the_last_answer() {
        let steps =
            [(700, Step::Answered(1)), (1800, Step::Odown), (1900, Step::Elected), (2000, Step::Switched(1, 2))];
        assert_eq!(
            run(&mut Tracker::default(), &steps),
            ["1 → 2 in 1.30 s: found dead 1.10, elected 0.10, promoted 0.10"]
        );
    }

    #[test]
    fn a_hand_over_has_no_parts() {
        let steps = [
            (100, Step::Lost(9)),
            (1000, Step::Asked),
            (1010, Step::Elected),
            (1250, Step::Switched(1, 2)),
            (1260, Step::Switched(1, 2)),
            (1300, Step::Counted(2, 1)),
        ];
        assert_eq!(
            run(&mut Tracker::default(), &steps),
            ["1 → 2 in 0.25 s, handed over", "1 → 2 in 0.25 s, handed over; 1 acknowledged write lost"]
        );
    }

    #[test]
    fn an_attempt_that_is_given_up_belongs_to_the_time_of_election() {
        let steps = [
            (0, Step::Lost(1)),
            (1000, Step::Odown),
            (1100, Step::Elected),
            (1200, Step::of("-failover-abort-no-good-slave", "")),
            (3000, Step::Elected),
            (3100, Step::Switched(1, 2)),
        ];
        assert_eq!(
            run(&mut Tracker::default(), &steps),
            ["1 → 2 in 3.10 s: found dead 1.00, elected 2.00, promoted 0.10"]
        );
    }

    #[test]
    fn parts_as_shown_add_up_to_the_total_as_shown() {
        let steps = [(0, Step::Lost(1)), (1009, Step::Odown), (1018, Step::Elected), (1027, Step::Switched(1, 2))];
        assert_eq!(
            run(&mut Tracker::default(), &steps),
            ["1 → 2 in 1.02 s: found dead 1.00, elected 0.01, promoted 0.01"]
        );
    }
}
