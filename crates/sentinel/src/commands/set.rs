//! Commands that change options: `SET` for one primary, `CONFIG` for all, `DEBUG` for periods.
//!
//! All values of a command are checked before the first is changed.

use super::{Need, Outcome, bulk, error, ok, shown, text};
use crate::api::{Action, LogLevel, Reply};
use crate::config::{level_name, yes_or_no};
use crate::instance::InstanceId;
use crate::state::{Periods, Sentinel};
use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use base::glob::glob_matches;
use base::num::parse_i64;

/// The greatest time or count; so that sums of them cannot overflow.
const NUMBER_MAX: i64 = 1 << 40;

/// One option of `SET`, understood.
enum Change {
    DownAfter(u64),
    FailoverTimeout(u64),
    ParallelSyncs(u64),
    RebootDownAfter(u64),
    Quorum(u32),
    NotificationScript(Option<String>),
    ReconfigScript(Option<String>),
    AuthPass(Option<String>),
    AuthUser(Option<String>),
    Rename(String, String),
}

/// Finds a period among all.
type Period = fn(&mut Periods) -> &mut u64;

/// Names of `DEBUG` in its order, and the period of each.
const PERIODS: [(&str, Period); 13] = [
    ("INFO-PERIOD", |p| &mut p.info),
    ("PING-PERIOD", |p| &mut p.ping),
    ("ASK-PERIOD", |p| &mut p.ask),
    ("PUBLISH-PERIOD", |p| &mut p.publish),
    ("DEFAULT-DOWN-AFTER", |p| &mut p.default_down_after),
    ("DEFAULT-FAILOVER-TIMEOUT", |p| &mut p.default_failover_timeout),
    ("TILT-TRIGGER", |p| &mut p.tilt_trigger),
    ("TILT-PERIOD", |p| &mut p.tilt),
    ("SLAVE-RECONF-TIMEOUT", |p| &mut p.slave_reconf_timeout),
    ("MIN-LINK-RECONNECT-PERIOD", |p| &mut p.min_link_reconnect),
    ("ELECTION-TIMEOUT", |p| &mut p.election_timeout),
    ("SCRIPT-MAX-RUNTIME", |p| &mut p.script_max_runtime),
    ("SCRIPT-RETRY-DELAY", |p| &mut p.script_retry_delay),
];

/// Options of `CONFIG`, in the order in which a pattern shows them.
const OPTIONS: [&str; 7] = [
    "resolve-hostnames",
    "announce-hostnames",
    "announce-ip",
    "announce-port",
    "sentinel-user",
    "sentinel-pass",
    "loglevel",
];

fn not_empty(value: &str) -> Option<String> {
    Some(value.to_owned()).filter(|v| !v.is_empty())
}

fn level(text: &str) -> Option<LogLevel> {
    use LogLevel::{Debug, Nothing, Notice, Verbose, Warning};
    [Debug, Verbose, Notice, Warning, Nothing].into_iter().find(|l| level_name(*l).eq_ignore_ascii_case(text))
}

impl Sentinel {
    /// `SET name option value …`.
    pub(super) fn set(&mut self, args: &[&[u8]]) -> Result<Outcome, Reply> {
        let id = self.named_or_error(args[2])?;
        let mut changes = Vec::new();
        let mut rest = &args[3..];
        while let [option, ..] = rest {
            let values = if option.eq_ignore_ascii_case(b"rename-command") { 2 } else { 1 };
            let (used, after) = rest.split_at((1 + values).min(rest.len()));
            match self.understand(used)? {
                Ok(change) => changes.push((change, used)),
                Err(need) => return Ok(Outcome::Needs(need)),
            }
            rest = after;
        }
        for (change, words) in changes {
            self.apply_change(id, change, words);
        }
        self.changed();
        Ok(self.after_save())
    }

    /// One option with its values.
    fn understand(&mut self, words: &[&[u8]]) -> Result<Result<Change, Need>, Reply> {
        let option = shown(words[0]);
        let unknown = || error(format!("Unknown option or number of arguments for SENTINEL SET '{option}'"));
        let invalid = |value: &[u8]| error(format!("Invalid argument '{}' for SENTINEL SET '{option}'", shown(value)));
        let number = |value: &[u8], least: i64| {
            let n = parse_i64(value).filter(|n| (least..=NUMBER_MAX).contains(n));
            n.map(i64::unsigned_abs).ok_or_else(|| invalid(value))
        };
        let change = match (option.to_ascii_lowercase().as_str(), &words[1..]) {
            ("down-after-milliseconds", [n]) => Change::DownAfter(number(n, 1)?),
            ("failover-timeout", [n]) => Change::FailoverTimeout(number(n, 1)?),
            ("parallel-syncs", [n]) => Change::ParallelSyncs(number(n, 1)?),
            ("master-reboot-down-after-period" | "primary-reboot-down-after-period", [n]) => {
                Change::RebootDownAfter(number(n, 0)?)
            }
            ("quorum", [n]) => Change::Quorum(u32::try_from(number(n, 1)?).map_err(|_| invalid(n))?),
            ("auth-pass", [value]) => Change::AuthPass(not_empty(text(value)?)),
            ("auth-user", [value]) => Change::AuthUser(not_empty(text(value)?)),
            ("rename-command", [from, to]) => {
                if from.is_empty() || to.is_empty() {
                    return Err(invalid(b""));
                }
                Change::Rename(text(from)?.to_owned(), text(to)?.to_owned())
            }
            (script @ ("notification-script" | "client-reconfig-script"), [path]) => {
                if self.options.deny_scripts_reconfig {
                    return Err(error(
                        "Reconfiguration of scripts path is denied for security reasons. Check the \
                         deny-scripts-reconfig configuration directive in your Sentinel configuration",
                    ));
                }
                let path = text(path)?;
                let notification = script == "notification-script";
                if !path.is_empty() {
                    match self.executables.get(path) {
                        Some(true) => {}
                        Some(false) if notification => {
                            return Err(error("Notification script seems non existing or non executable"));
                        }
                        Some(false) => {
                            return Err(error("Client reconfiguration script seems non existing or non executable"));
                        }
                        None => {
                            self.push(Action::CheckExecutable { path: path.to_owned() });
                            return Ok(Err(Need::Path(path.to_owned())));
                        }
                    }
                }
                let path = not_empty(path);
                if notification { Change::NotificationScript(path) } else { Change::ReconfigScript(path) }
            }
            _ => return Err(unknown()),
        };
        Ok(Ok(change))
    }

    fn apply_change(&mut self, id: InstanceId, change: Change, words: &[&[u8]]) {
        let secret = matches!(change, Change::AuthPass(_));
        let reconnect = secret || matches!(change, Change::AuthUser(_));
        let primary = self.at_mut(id).primary_mut();
        match change {
            Change::DownAfter(ms) => primary.down_after_ms = ms,
            Change::FailoverTimeout(ms) => primary.failover_timeout_ms = ms,
            Change::ParallelSyncs(n) => primary.parallel_syncs = n,
            Change::RebootDownAfter(ms) => primary.reboot_down_after_ms = ms,
            Change::Quorum(n) => primary.quorum = n,
            Change::NotificationScript(path) => primary.notification_script = path,
            Change::ReconfigScript(path) => primary.client_reconfig_script = path,
            Change::AuthPass(password) => primary.auth_pass = password,
            Change::AuthUser(user) => primary.auth_user = user,
            Change::Rename(from, to) => {
                let key = from.to_ascii_uppercase();
                // A name for itself is no renaming.
                match from.eq_ignore_ascii_case(&to) {
                    true => primary.renamed.remove(&key),
                    false => primary.renamed.insert(key, (from, to)),
                };
            }
        }
        if reconnect {
            self.disconnect(id);
            for replica in self.at(id).primary().replicas.clone() {
                self.disconnect(replica);
            }
        }
        self.touch(id);
        self.touch_others(id);
        let mut shown_words: Vec<String> = words.iter().map(|w| shown(w)).collect();
        if secret {
            shown_words[1] = "******".into();
        }
        self.emit_for(LogLevel::Warning, "+set", id, &shown_words.join(" "));
    }

    /// `CONFIG GET` and `CONFIG SET`.
    pub(super) fn config(&mut self, args: &[&[u8]]) -> Result<Outcome, Reply> {
        if args[2].eq_ignore_ascii_case(b"get") {
            return Ok(Outcome::Reply(self.config_get(&args[3..])));
        }
        if args[2].eq_ignore_ascii_case(b"set") && args.len() >= 5 {
            return self.config_set(&args[3..]);
        }
        Err(error(
            "Only SENTINEL CONFIG GET <param> [<param> <param> ...] / SET <param> <value> [<param> <value> ...] are \
             supported.",
        ))
    }

    fn config_get(&self, patterns: &[&[u8]]) -> Reply {
        let mut found: Vec<&str> = Vec::new();
        for pattern in patterns {
            for option in OPTIONS {
                if glob_matches(pattern, option.as_bytes(), true) && !found.contains(&option) {
                    found.push(option);
                }
            }
        }
        let yes = |b: bool| if b { "yes" } else { "no" }.to_owned();
        let o = &self.options;
        let value = |option: &str| match option {
            "resolve-hostnames" => yes(o.resolve_hostnames),
            "announce-hostnames" => yes(o.announce_hostnames),
            "announce-ip" => o.announce_ip.clone().unwrap_or_default(),
            "announce-port" => o.announce_port.to_string(),
            "sentinel-user" => o.auth_user.clone().unwrap_or_default(),
            "sentinel-pass" => o.auth_pass.clone().unwrap_or_default(),
            _ => level_name(o.log_level).to_owned(),
        };
        Reply::Map(found.into_iter().map(|option| (bulk(option), bulk(&value(option)))).collect())
    }

    fn config_set(&mut self, args: &[&[u8]]) -> Result<Outcome, Reply> {
        let mut seen: Vec<&str> = Vec::new();
        let mut options = self.options.clone();
        for pair in args.chunks(2) {
            let given = shown(pair[0]);
            let Some(option) = OPTIONS.into_iter().find(|o| o.eq_ignore_ascii_case(&given)) else {
                return Err(error(format!("Invalid argument '{given}' to SENTINEL CONFIG SET")));
            };
            if seen.contains(&option) {
                return Err(error(format!("Duplicate argument '{given}' to SENTINEL CONFIG SET")));
            }
            seen.push(option);
            let Some(value) = pair.get(1) else {
                return Err(error(format!("Missing argument '{given}' value")));
            };
            let invalid = || error(format!("Invalid value '{}' to SENTINEL CONFIG SET '{given}'", shown(value)));
            let value = text(value)?;
            match option {
                "resolve-hostnames" => options.resolve_hostnames = yes_or_no(value).ok_or_else(invalid)?,
                "announce-hostnames" => options.announce_hostnames = yes_or_no(value).ok_or_else(invalid)?,
                "announce-ip" => options.announce_ip = not_empty(value),
                "announce-port" => options.announce_port = value.parse().map_err(|_| invalid())?,
                "sentinel-user" => options.auth_user = not_empty(value),
                "sentinel-pass" => options.auth_pass = not_empty(value),
                _ => options.log_level = level(value).ok_or_else(invalid)?,
            }
        }
        if seen.contains(&"loglevel") {
            self.file.log_level_changed = true;
            self.push(Action::SetLogLevel(options.log_level));
        }
        self.options = options;
        self.changed();
        if seen.iter().any(|o| o.starts_with("sentinel-")) {
            // The others have to see us with the new name and password.
            for id in self.primary_ids() {
                for other in self.at(id).primary().sentinels.values().copied().collect::<Vec<_>>() {
                    self.disconnect(other);
                }
            }
        }
        Ok(self.after_save())
    }

    /// `DEBUG`: shows the periods, or changes some.
    pub(super) fn debug(&mut self, args: &[&[u8]]) -> Result<Reply, Reply> {
        let mut periods = self.periods.clone();
        if args.is_empty() {
            let shown = PERIODS.map(|(name, period)| (bulk(name), bulk(&period(&mut periods).to_string())));
            return Ok(Reply::Map(shown.into()));
        }
        for pair in args.chunks(2) {
            let given = shown(pair[0]);
            let known = PERIODS.iter().find(|(name, _)| name.eq_ignore_ascii_case(&given));
            let (Some((_, period)), [_, value]) = (known, pair) else {
                let text = format!("Unknown option or number of arguments for SENTINEL DEBUG '{given}'");
                return Err(error(text));
            };
            let ms = parse_i64(value).filter(|ms| (1..=NUMBER_MAX).contains(ms));
            let Some(ms) = ms else {
                return Err(error(format!("Invalid argument '{}' for SENTINEL DEBUG '{given}'", shown(value))));
            };
            *period(&mut periods) = ms.unsigned_abs();
        }
        self.periods = periods;
        for id in self.primary_ids() {
            self.touch(id);
            self.touch_others(id);
        }
        Ok(ok())
    }
}
