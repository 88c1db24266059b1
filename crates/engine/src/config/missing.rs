//! What an operator may ask for and is not there yet, and what becomes of a start that asks for it.
//!
//! Durability, access, encryption and membership are relied upon without being looked at: a server that is told `appendonly yes`
//! and has no append-only file loses data on the day when it is needed. So a setting that asks for such a thing ends the start,
//! and `CONFIG SET` refuses it. `unsupported-options warn` starts all the same: the settings are then as if nobody had asked, so that
//! `CONFIG GET` tells the truth, and `CONFIG REWRITE` leaves the lines alone.
//!
//! The options carry a mark (`lacks` in [`super::options`]); a feature that arrives takes its marks and its variant here along.

use super::values::Unsupported;
use super::{Config, OPTIONS, Place};
use std::fmt;

/// Something that settings ask for and that is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// The append-only file.
    AppendOnlyFile,
    /// Cluster mode.
    Cluster,
    /// Connections over TLS.
    Tls,
    /// Users with rights of their own.
    Users,
    /// Modules.
    Modules,
    /// Connections over RDMA.
    Rdma,
    /// Marks on sockets, for rules of firewalls and routes.
    SocketMarks,
    /// A mode in which keys of an import do not expire.
    ImportMode,
}

impl Missing {
    /// What is not there, and what that means.
    pub fn reason(self) -> &'static str {
        match self {
            Self::AppendOnlyFile => {
                "there is no append-only file yet: data is kept by RDB files and replicas alone, and an existing append-only file is not loaded"
            }
            Self::Cluster => {
                "there is no cluster mode yet: this server would hold all slots alone and know no other node"
            }
            Self::Tls => {
                "there is no TLS yet: connections would not be encrypted, and nothing would listen on a TLS port"
            }
            Self::Users => "there are no ACL users yet: only the default user with all rights, and its passwords",
            Self::Modules => "modules are not supported",
            Self::Rdma => "RDMA is not supported: nothing would listen there",
            Self::SocketMarks => {
                "sockets are not marked yet: a firewall or a route that goes by the mark would not see them"
            }
            Self::ImportMode => "there is no import mode yet: keys would expire and be evicted during the import",
        }
    }

    /// What the operator can do about it.
    pub fn advice(self) -> &'static str {
        match self {
            Self::AppendOnlyFile => {
                "Take the line out, or say `appendonly no`, and choose save points, such as `save 60 1`"
            }
            Self::Cluster => "Take the line out, and use replicas with Sentinel",
            Self::Tls => "Take the line out, and encrypt by a proxy or in the network",
            Self::Users => {
                "Take the line out and set `requirepass`, or keep a line `user default on #<SHA-256 of the password> ~* &* +@all`"
            }
            Self::Modules | Self::Rdma | Self::SocketMarks | Self::ImportMode => "Take the line out",
        }
    }
}

/// A line that asks for what is not there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask {
    /// Where it stands.
    pub place: Place,
    /// The option, where it is one.
    pub option: Option<&'static str>,
    /// What it asks for.
    pub missing: Missing,
}

impl fmt::Display for Ask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { place, missing, .. } = self;
        write!(f, "{place}\nNot supported: {}. {}.", missing.reason(), missing.advice())
    }
}

/// A start that is refused for what its settings ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal(pub Vec<Ask>);

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for ask in &self.0 {
            writeln!(f, "{ask}")?;
        }
        f.write_str("To start all the same, without what is not supported: unsupported-options warn")
    }
}

impl std::error::Error for Refusal {}

impl Config {
    /// The feature that an option asks for with its present value, unless it is there.
    pub fn lacking(&self, option: &str) -> Option<Missing> {
        let option = OPTIONS.iter().find(|o| o.name == option)?;
        option.lacks.filter(|_| option.show(self) != option.show(&Self::default()))
    }

    /// To be called when all settings have been read. With `unsupported-options warn` the settings are afterwards as if nobody had
    /// asked for what is not there, and [`Config::ignored`] has what was asked for.
    ///
    /// # Errors
    /// All that was asked for and is not there.
    pub fn settle(&mut self) -> Result<(), Refusal> {
        let mut asks = std::mem::take(&mut self.asks);
        for option in OPTIONS {
            if let Some(missing) = self.lacking(option.name) {
                let place = self.given.get(option.name).cloned().unwrap_or_default();
                asks.push(Ask { place, option: Some(option.name), missing });
            }
        }
        if self.options.unsupported_options == Unsupported::Refuse && !asks.is_empty() {
            return Err(Refusal(asks));
        }
        let defaults = Self::default();
        for option in OPTIONS {
            if asks.iter().any(|ask| ask.option == Some(option.name)) {
                option.copy(&defaults, self);
            }
        }
        self.ignored = asks;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(text: &str) -> Config {
        let mut config = Config::default();
        config.load(text.as_bytes(), &mut |_| Err(String::new())).unwrap();
        config
    }

    #[test]
    fn all_that_is_missing_is_named_with_its_place() {
        assert_eq!(load("appendonly no\ntls-port 0\naclfile ''\n").settle(), Ok(()));
        let mut config = load("port 1\nappendonly yes\ntls-port 7000\nuser a on +get\nloadmodule x.so\n");
        let Refusal(asks) = config.settle().unwrap_err();
        let found: Vec<_> = asks.iter().map(|ask| (ask.place.line, ask.missing)).collect();
        let expected = [(4, Missing::Users), (5, Missing::Modules), (2, Missing::AppendOnlyFile), (3, Missing::Tls)];
        assert_eq!(found, expected);
    }

    #[test]
    fn a_later_line_takes_the_question_back() {
        assert_eq!(load("appendonly yes\nappendonly no\n").settle(), Ok(()));
    }

    #[test]
    fn who_starts_all_the_same_is_not_told_that_it_is_there() {
        let text = "appendonly yes\nunsupported-options warn\nuser a on +get\n";
        let mut config = load(text);
        config.settle().unwrap();
        assert!(!config.appendonly);
        assert_eq!(config.ignored.len(), 2);
        assert_eq!(super::super::rewrite(text, &config, false), text);
    }
}
