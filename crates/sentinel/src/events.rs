//! Events: their texts, their log lines and the notification script.

use crate::api::{Action, LogLevel};
use crate::instance::InstanceId;
use crate::state::Sentinel;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;

impl Sentinel {
    /// An event that concerns no instance.
    pub(crate) fn emit(&mut self, level: LogLevel, name: &'static str, text: String) {
        self.push(Action::Emit { level, name, text });
    }

    /// An event about an instance: `<type> <name> <ip> <port>`, for replicas and sentinels also
    /// ` @ <primary's name> <ip> <port>`, then ` <more>`.
    pub(crate) fn emit_for(&mut self, level: LogLevel, name: &'static str, id: InstanceId, more: &str) {
        let mut text = self.describe(id);
        if !more.is_empty() {
            text.push(' ');
            text.push_str(more);
        }
        self.emit_text(level, name, id, text);
    }

    /// An event about an instance with a text of its own.
    pub(crate) fn emit_text(&mut self, level: LogLevel, name: &'static str, id: InstanceId, text: String) {
        let script = self.owner(id).notification_script.clone();
        if let Some(path) = script.filter(|_| level == LogLevel::Warning) {
            self.schedule_script(vec![path, name.to_string(), text.clone()]);
        }
        self.push(Action::Emit { level, name, text });
    }

    /// A line for the log.
    pub(crate) fn log(&mut self, level: LogLevel, text: String) {
        self.push(Action::Log { level, text });
    }

    /// Says that something that others told us is refused; at most once a second, since they may tell it often.
    pub(crate) fn log_refusal(&mut self, reason: String) {
        if self.refusal_logged_at.is_none_or(|at| self.now >= at + 1000) {
            self.refusal_logged_at = Some(self.now);
            self.emit(LogLevel::Warning, "-refused", reason);
        }
    }

    fn describe(&self, id: InstanceId) -> String {
        let instance = self.at(id);
        let one = |i: &crate::instance::Instance| format!("{} {} {}", i.name, self.announced(&i.addr), i.addr.port);
        let own = format!("{} {}", instance.type_name(), one(instance));
        if instance.is_primary() { own } else { format!("{own} @ {}", one(self.at(instance.owner))) }
    }
}

/// Day and time as `ctime` prints them, in UTC: `Wed Jun  5 20:16:50 2024`.
pub(crate) fn utc_text(wall_ms: i64) -> String {
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let seconds = wall_ms.max(0) / 1000;
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    let weekday = DAYS[(days % 7) as usize];
    // Days to a date: count from March of year 0, so that the leap day comes last (Hinnant, "chrono-compatible
    // low-level date algorithms").
    let z = days + 719_468;
    let (era, day_of_era) = (z / 146_097, z % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 2 } else { shifted - 10 };
    let year = year_of_era + era * 400 + i64::from(month < 2);
    let (h, m, s) = (second / 3600, second / 60 % 60, second % 60);
    format!("{weekday} {} {day:>2} {h:02}:{m:02}:{s:02} {year}", MONTHS[month as usize])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_printed_as_ctime_prints_them() {
        // Checked with `date -u -d @N`.
        for (seconds, text) in [
            (0, "Thu Jan  1 00:00:00 1970"),
            (951_782_400, "Tue Feb 29 00:00:00 2000"),
            (1_717_618_610, "Wed Jun  5 20:16:50 2024"),
            (4_107_542_399, "Sun Feb 28 23:59:59 2100"),
        ] {
            assert_eq!(utc_text(seconds * 1000 + 999), text);
        }
    }
}
