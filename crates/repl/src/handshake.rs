//! A replica's side of the handshake: from a fresh connection to the answer to `PSYNC`.
//!
//! ```text
//!   replica                      primary
//!   PING                   ───►
//!                          ◄───  +PONG (or NOAUTH: it speaks, that is enough)
//!   AUTH [user] password   ───►  +OK                      only with masterauth
//!   REPLCONF listening-port, ip-address, capa eof psync2, version
//!                          ───►  +OK each                 an old primary's error is no obstacle
//!   PSYNC id offset | ? -1 ───►
//!                          ◄───  +FULLRESYNC id offset | +CONTINUE [id] | -NOMASTERLINK … | -ERR
//! ```
//!
//! It owns no socket: lines come in, bytes to be sent and the outcome go out.

use crate::history::ReplicationId;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

/// Who the replica is, as it tells its primary.
#[derive(Clone, Debug, Default)]
pub struct Identity {
    /// The port on which clients and sentinels reach it.
    pub port: u16,
    /// The address to announce; empty: the one the primary sees.
    pub announce_ip: String,
    /// The user for `AUTH`; empty: the default user.
    pub user: String,
    /// The password for `AUTH`; empty: none is sent.
    pub password: String,
    /// The version to report.
    pub version: String,
}

/// What a replica can handle, as `REPLCONF capa` tells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Capabilities {
    /// An RDB whose end is a mark and not known by its length.
    pub eof: bool,
    /// `+CONTINUE` with a new id.
    pub psync2: bool,
}

/// What comes of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Send these bytes, then wait for the next line.
    Send(Vec<u8>),
    /// Wait for the next line.
    Wait,
    /// The primary sends everything; its data is named by this id and offset.
    FullResync {
        /// The history's id.
        id: ReplicationId,
        /// The offset at which the stream goes on after the data.
        offset: u64,
    },
    /// The stream goes on where we left it, maybe under a new id.
    Continue {
        /// The id under which it goes on, where the primary names one.
        id: Option<ReplicationId>,
    },
}

/// Why the handshake failed: what was awaited, what came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HandshakeError {
    /// The primary did not answer PING as a Redis server does.
    Ping(String),
    /// It refused our password.
    Auth(String),
    /// It cannot serve replicas now; trying again later may work.
    NotYet(String),
    /// It answered `PSYNC` with something else.
    Psync(String),
    /// It has no command `PSYNC`: it serves no data, as a sentinel.
    NoData(String),
}

impl HandshakeError {
    /// Whether the next attempt will most likely fail alike, until somebody changes something: then it has time.
    pub fn is_lasting(&self) -> bool {
        match self {
            Self::Auth(_) | Self::Psync(_) | Self::NoData(_) => true,
            Self::Ping(_) | Self::NotYet(_) => false,
        }
    }
}

impl fmt::Display for HandshakeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ping(line) => write!(f, "Error reply to PING from master: '{line}'"),
            Self::Auth(line) => write!(f, "Unable to AUTH to MASTER: {line} (check masterauth and masteruser)"),
            Self::NotYet(line) => write!(f, "Master is currently unable to PSYNC but should be in the future: {line}"),
            Self::Psync(line) => write!(f, "Unexpected reply to PSYNC from master: {line}"),
            Self::NoData(line) => {
                write!(f, "Unexpected reply to PSYNC from master: {line} (it serves no data; is it a sentinel?)")
            }
        }
    }
}

impl core::error::Error for HandshakeError {}

/// What is awaited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Await {
    Pong,
    Auth,
    ReplConf { left: u8 },
    Psync,
}

/// A handshake under way.
#[derive(Clone, Debug)]
pub struct Handshake {
    identity: Identity,
    /// What we have: the id of our data and the first offset that we lack.
    have: Option<(ReplicationId, u64)>,
    /// The other side is our replica and is to become the primary.
    failover: bool,
    awaiting: Await,
}

fn command(out: &mut Vec<u8>, words: &[&[u8]]) {
    resp::encode_command(out, words.iter().copied());
}

impl Handshake {
    /// Begins one; the bytes are to be sent first. `have` names the data that we hold: with
    /// it a partial resync is asked for. With `failover` the other side is asked to become a primary first.
    pub fn begin(identity: Identity, have: Option<(ReplicationId, u64)>, failover: bool) -> (Self, Vec<u8>) {
        let mut first = Vec::new();
        command(&mut first, &[b"PING"]);
        (Self { identity, have, failover, awaiting: Await::Pong }, first)
    }

    /// What the log calls the state.
    pub fn state(&self) -> &'static str {
        match self.awaiting {
            Await::Pong => "receive_ping_reply",
            Await::Auth => "receive_auth_reply",
            Await::ReplConf { .. } => "receive_replconf_reply",
            Await::Psync => "receive_psync_reply",
        }
    }

    /// Takes a line that the primary has sent, without its line break. Empty lines are heartbeats.
    pub fn handle_line(&mut self, line: &[u8]) -> Result<Step, HandshakeError> {
        if line.is_empty() {
            return Ok(Step::Wait);
        }
        let text = || String::from_utf8_lossy(line).to_string();
        match self.awaiting {
            Await::Pong => {
                let speaks = line.starts_with(b"+")
                    || [&b"-NOAUTH"[..], b"-NOPERM", b"-ERR operation not permitted"]
                        .iter()
                        .any(|p| line.starts_with(p));
                if !speaks {
                    return Err(HandshakeError::Ping(text()));
                }
                if self.identity.password.is_empty() {
                    return Ok(Step::Send(self.replconf()));
                }
                self.awaiting = Await::Auth;
                let mut out = Vec::new();
                let (user, password) = (self.identity.user.as_bytes(), self.identity.password.as_bytes());
                if user.is_empty() {
                    command(&mut out, &[b"AUTH", password]);
                } else {
                    command(&mut out, &[b"AUTH", user, password]);
                }
                Ok(Step::Send(out))
            }
            Await::Auth if line.starts_with(b"-") => Err(HandshakeError::Auth(text())),
            Await::Auth => Ok(Step::Send(self.replconf())),
            Await::ReplConf { left } if left > 1 => {
                self.awaiting = Await::ReplConf { left: left - 1 };
                Ok(Step::Wait)
            }
            Await::ReplConf { .. } => {
                self.awaiting = Await::Psync;
                let mut out = Vec::new();
                match &self.have {
                    Some((id, next)) => {
                        let next = next.to_string();
                        let words = [b"PSYNC", id.as_str().as_bytes(), next.as_bytes(), b"FAILOVER"];
                        command(&mut out, if self.failover { &words } else { &words[..3] });
                    }
                    None => command(&mut out, &[b"PSYNC", b"?", b"-1"]),
                }
                Ok(Step::Send(out))
            }
            // Who has asked for everything cannot go on with what it has not.
            Await::Psync => psync_answer(line).filter(|step| self.may_follow(step)).ok_or_else(|| {
                let later = [&b"-NOMASTERLINK"[..], b"-LOADING"].iter().any(|p| line.starts_with(p));
                match line {
                    _ if later => HandshakeError::NotYet(text()),
                    _ if line.starts_with(b"-ERR unknown command") => HandshakeError::NoData(text()),
                    _ => HandshakeError::Psync(text()),
                }
            }),
        }
    }

    /// Whether this can be the answer to what was asked.
    fn may_follow(&self, step: &Step) -> bool {
        match step {
            Step::Continue { .. } => self.have.is_some(),
            Step::FullResync { .. } | Step::Send(_) | Step::Wait => true,
        }
    }

    fn replconf(&mut self) -> Vec<u8> {
        let mut out = Vec::new();
        let mut left = 3;
        command(&mut out, &[b"REPLCONF", b"listening-port", self.identity.port.to_string().as_bytes()]);
        if !self.identity.announce_ip.is_empty() {
            left += 1;
            command(&mut out, &[b"REPLCONF", b"ip-address", self.identity.announce_ip.as_bytes()]);
        }
        command(&mut out, &[b"REPLCONF", b"capa", b"eof", b"capa", b"psync2"]);
        command(&mut out, &[b"REPLCONF", b"version", self.identity.version.as_bytes()]);
        self.awaiting = Await::ReplConf { left };
        out
    }
}

fn psync_answer(line: &[u8]) -> Option<Step> {
    let mut words = line.split(|b| *b == b' ').filter(|w| !w.is_empty());
    let first = words.next()?;
    if first == b"+FULLRESYNC" {
        let id = ReplicationId::parse(words.next()?)?;
        let offset = u64::try_from(base::num::parse_i64(words.next()?)?).ok()?;
        return Some(Step::FullResync { id, offset });
    }
    if first == b"+CONTINUE" {
        let id = match words.next() {
            Some(id) => Some(ReplicationId::parse(id)?),
            None => None,
        };
        return Some(Step::Continue { id });
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    fn words(bytes: &[u8]) -> Vec<String> {
        let (mut at, mut found) = (0, vec![]);
        while let Some((resp::Value::Array(words), len)) = resp::parse_value(&bytes[at..]).unwrap() {
            let words: Vec<_> =
                words.iter().map(|w| String::from_utf8_lossy(w.as_bytes().unwrap()).to_string()).collect();
            found.push(words.join(" "));
            at += len;
        }
        found
    }

    fn sent(step: Result<Step, HandshakeError>) -> Vec<String> {
        match step {
            Ok(Step::Send(bytes)) => words(&bytes),
            other => panic!("expected bytes to send, got {other:?}"),
        }
    }

    fn identity(password: &str) -> Identity {
        Identity { port: 6380, password: password.into(), version: "7.2.4".into(), ..Identity::default() }
    }

    #[test]
    fn a_new_replica_asks_for_everything() {
        let (mut h, first) = Handshake::begin(identity(""), None, false);
        assert_eq!(words(&first), ["PING"]);
        assert_eq!(
            sent(h.handle_line(b"+PONG")),
            ["REPLCONF listening-port 6380", "REPLCONF capa eof capa psync2", "REPLCONF version 7.2.4"]
        );
        assert_eq!(h.handle_line(b"+OK"), Ok(Step::Wait));
        assert_eq!(h.handle_line(b"+OK"), Ok(Step::Wait));
        assert_eq!(sent(h.handle_line(b"-ERR Unrecognized REPLCONF option: version")), ["PSYNC ? -1"]);
        assert_eq!(h.handle_line(b""), Ok(Step::Wait));
        let id = ReplicationId::from_random([7; 20]);
        let line = alloc::format!("+FULLRESYNC {id} 1234");
        assert_eq!(h.handle_line(line.as_bytes()), Ok(Step::FullResync { id, offset: 1234 }));
    }

    #[test]
    fn a_known_history_is_continued() {
        let id = ReplicationId::from_random([9; 20]);
        let (mut h, _) = Handshake::begin(
            Identity { user: "repl".into(), announce_ip: "10.0.0.9".into(), ..identity("pw") },
            Some((id, 51)),
            false,
        );
        assert_eq!(sent(h.handle_line(b"-NOAUTH Authentication required.")), ["AUTH repl pw"]);
        assert_eq!(sent(h.handle_line(b"+OK")).len(), 4);
        for _ in 0..3 {
            assert_eq!(h.handle_line(b"+OK"), Ok(Step::Wait));
        }
        assert_eq!(sent(h.handle_line(b"+OK")), [alloc::format!("PSYNC {id} 51")]);
        assert_eq!(h.handle_line(b"+CONTINUE"), Ok(Step::Continue { id: None }));
    }

    #[test]
    fn a_failover_asks_the_target_to_take_over() {
        let id = ReplicationId::from_random([9; 20]);
        let (mut h, _) = Handshake::begin(identity(""), Some((id, 51)), true);
        for _ in 0..3 {
            let _ = h.handle_line(b"+OK");
        }
        assert_eq!(sent(h.handle_line(b"+OK")), [alloc::format!("PSYNC {id} 51 FAILOVER")]);
    }

    #[test]
    fn nothing_is_continued_by_a_replica_that_holds_nothing() {
        let (mut h, _) = Handshake::begin(identity(""), None, false);
        for _ in 0..4 {
            let _ = h.handle_line(b"+OK");
        }
        assert!(matches!(h.handle_line(b"+CONTINUE"), Err(HandshakeError::Psync(_))));
    }

    #[test]
    fn a_primary_that_serves_no_data_is_named() {
        let (mut h, _) = Handshake::begin(identity(""), None, false);
        let answers = [
            &b"+PONG"[..],
            b"+OK",
            b"+OK",
            b"+OK",
            b"-ERR unknown command 'PSYNC', with args beginning with: '?' '-1' ",
        ];
        let error = answers.iter().find_map(|line| h.handle_line(line).err()).unwrap();
        assert!(matches!(error, HandshakeError::NoData(_)) && error.is_lasting(), "{error}");
        assert!(alloc::format!("{error}").ends_with("is it a sentinel?)"), "{error}");
    }

    #[test]
    fn failures_say_what_came() {
        let (mut h, _) = Handshake::begin(identity(""), None, false);
        assert!(matches!(h.handle_line(b"-DENIED no"), Err(HandshakeError::Ping(_))));
        let (mut h, _) = Handshake::begin(identity("x"), None, false);
        let _ = h.handle_line(b"+PONG");
        assert!(matches!(h.handle_line(b"-WRONGPASS no"), Err(HandshakeError::Auth(_))));
        for (line, later) in
            [(&b"-NOMASTERLINK x"[..], true), (b"-LOADING x", true), (b"-ERR x", false), (b"+FULLRESYNC x y", false)]
        {
            let (mut h, _) = Handshake::begin(identity(""), None, false);
            for _ in 0..4 {
                let _ = h.handle_line(b"+OK");
            }
            let error = h.handle_line(line).unwrap_err();
            assert_eq!(matches!(error, HandshakeError::NotYet(_)), later, "{error}");
        }
    }
}
