//! Clients' commands: `SENTINEL`, `PUBLISH`, `ROLE`, and the order of their answers.
//!
//! Some answers have to wait: for a save (votes, `FLUSHCONFIG`), for a name or a file to be looked at (`MONITOR`, `SET`), for a primary to
//! hand over. A client's later answers wait behind them, since the protocol knows answers by their order alone.

mod change;
mod set;
mod show;

use crate::api::{Action, ClientId, LogLevel, Reply};
use crate::instance::InstanceId;
use crate::links::HELLO_CHANNEL;
use crate::state::Sentinel;
use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

/// What has to be known before a command can be executed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Need {
    /// The address of a host.
    Name(String),
    /// Whether a file can be executed.
    Path(String),
}

/// What comes of a command.
#[derive(Debug)]
pub(crate) enum Outcome {
    Reply(Reply),
    /// One of two answers, when this change is saved or could not be.
    AfterSave {
        change: u64,
        saved: Reply,
        failed: Reply,
    },
    /// It is to be executed again when this is known.
    Needs(Need),
    /// The primary's answer to `FAILOVER` is awaited.
    HandOver(InstanceId),
}

/// An answer that a client waits for.
#[derive(Debug)]
pub(crate) struct Pending {
    pub client: ClientId,
    state: State,
}

#[derive(Debug)]
enum State {
    Ready(Reply),
    Saving { change: u64, saved: Reply, failed: Reply },
    Parked { need: Need, args: Vec<Vec<u8>> },
    HandOver(InstanceId),
}

pub(crate) fn ok() -> Reply {
    Reply::Status(b"OK".to_vec())
}

pub(crate) fn bulk(text: &str) -> Reply {
    Reply::Bulk(text.as_bytes().to_vec())
}

pub(crate) fn bulk_number(n: u64) -> Reply {
    Reply::Bulk(n.to_string().into_bytes())
}

pub(crate) fn error(text: impl AsRef<str>) -> Reply {
    Reply::Error(format!("ERR {}", text.as_ref()).into_bytes())
}

fn arity(command: &str) -> Reply {
    error(format!("wrong number of arguments for '{command}' command"))
}

/// Text of an argument, for messages: what is not UTF-8 is shown as such.
pub(crate) fn shown(arg: &[u8]) -> String {
    String::from_utf8_lossy(arg).chars().take(128).collect()
}

/// An argument that must be text.
pub(crate) fn text(arg: &[u8]) -> Result<&str, Reply> {
    core::str::from_utf8(arg).map_err(|_| error(format!("Invalid UTF-8 in argument '{}'", shown(arg))))
}

/// Subcommands with the least and the most arguments, the two names included.
const SUBCOMMANDS: &[(&str, usize, usize)] = &[
    ("ckquorum", 3, 3),
    ("config", 4, usize::MAX),
    ("debug", 2, usize::MAX),
    ("failover", 3, 4),
    ("flushconfig", 2, 2),
    ("get-master-addr-by-name", 3, 3),
    ("get-primary-addr-by-name", 3, 3),
    ("help", 2, 2),
    ("info-cache", 3, usize::MAX),
    ("is-master-down-by-addr", 6, 6),
    ("is-primary-down-by-addr", 6, 6),
    ("master", 3, 3),
    ("masters", 2, 2),
    ("monitor", 6, 6),
    ("myid", 2, 2),
    ("pending-scripts", 2, 2),
    ("primaries", 2, 2),
    ("primary", 3, 3),
    ("remove", 3, 3),
    ("replicas", 3, 3),
    ("reset", 3, 3),
    ("sentinels", 3, 3),
    ("set", 5, usize::MAX),
    ("simulate-failure", 3, usize::MAX),
    ("slaves", 3, 3),
];

impl Sentinel {
    /// A client sent a command.
    pub(crate) fn handle_command(&mut self, client: ClientId, args: Vec<Vec<u8>>) {
        let outcome = self.execute(client, &args);
        if self.pending.iter().all(|p| p.client != client)
            && let Outcome::Reply(reply) = outcome
        {
            self.push(Action::Answer { client, reply });
            return;
        }
        let state = Self::waiting(outcome, args);
        self.pending.push(Pending { client, state });
    }

    fn waiting(outcome: Outcome, args: Vec<Vec<u8>>) -> State {
        match outcome {
            Outcome::Reply(reply) => State::Ready(reply),
            Outcome::AfterSave { change, saved, failed } => State::Saving { change, saved, failed },
            Outcome::Needs(need) => State::Parked { need, args },
            Outcome::HandOver(id) => State::HandOver(id),
        }
    }

    /// Executes the commands that waited for this.
    pub(crate) fn run_parked(&mut self, known: &Need) {
        for i in 0..self.pending.len() {
            if matches!(&self.pending[i].state, State::Parked { need, .. } if need == known) {
                let taken = core::mem::replace(&mut self.pending[i].state, State::Ready(Reply::Null));
                let State::Parked { args, .. } = taken else { unreachable!("matched above") };
                let outcome = self.execute(self.pending[i].client, &args);
                self.pending[i].state = Self::waiting(outcome, args);
            }
        }
        self.release_answers();
    }

    /// Settles the answers that waited for a save of all changes up to this one.
    pub(crate) fn finish_saved_answers(&mut self, changes: u64, success: bool) {
        for pending in &mut self.pending {
            if let State::Saving { change, saved, failed } = &mut pending.state
                && *change <= changes
            {
                let reply = if success { saved } else { failed };
                pending.state = State::Ready(core::mem::replace(reply, Reply::Null));
            }
        }
        self.release_answers();
    }

    /// Settles the answer of a client that waits for a primary to hand over.
    pub(crate) fn answer_waiting(&mut self, client: ClientId, id: InstanceId, reply: Reply) {
        for pending in &mut self.pending {
            if pending.client == client && matches!(pending.state, State::HandOver(waits_for) if waits_for == id) {
                pending.state = State::Ready(reply);
                break;
            }
        }
        self.release_answers();
    }

    /// Sends all answers that are ready and have no other before them.
    fn release_answers(&mut self) {
        let mut blocked = BTreeSet::new();
        let mut i = 0;
        while i < self.pending.len() {
            let client = self.pending[i].client;
            if matches!(self.pending[i].state, State::Ready(_)) && !blocked.contains(&client) {
                let State::Ready(reply) = self.pending.remove(i).state else { unreachable!("matched above") };
                self.push(Action::Answer { client, reply });
            } else {
                blocked.insert(client);
                i += 1;
            }
        }
    }

    fn execute(&mut self, client: ClientId, args: &[Vec<u8>]) -> Outcome {
        let words: Vec<&[u8]> = args.iter().map(Vec::as_slice).collect();
        let result = match words.as_slice() {
            [name] if name.eq_ignore_ascii_case(b"role") => Ok(Outcome::Reply(self.role())),
            [name, ..] if name.eq_ignore_ascii_case(b"role") => Err(arity("role")),
            [name, channel, message] if name.eq_ignore_ascii_case(b"publish") => self.publish(channel, message),
            [name, ..] if name.eq_ignore_ascii_case(b"publish") => Err(arity("publish")),
            [name, subcommand, ..] if name.eq_ignore_ascii_case(b"sentinel") => {
                self.execute_sentinel(client, &subcommand.to_ascii_lowercase(), &words)
            }
            [name, ..] => Err(arity(&shown(name).to_ascii_lowercase())),
            [] => Err(error("unknown command ''")),
        };
        result.unwrap_or_else(Outcome::Reply)
    }

    fn execute_sentinel(&mut self, client: ClientId, subcommand: &[u8], args: &[&[u8]]) -> Result<Outcome, Reply> {
        let Some((name, least, most)) = SUBCOMMANDS.iter().find(|(n, _, _)| n.as_bytes() == subcommand) else {
            return Err(error(format!("unknown subcommand '{}'. Try SENTINEL HELP.", shown(args[1]))));
        };
        if args.len() < *least || args.len() > *most {
            return Err(arity(&format!("sentinel|{name}")));
        }
        let reply = match *name {
            "masters" | "primaries" => self.show_primaries(),
            "master" | "primary" => self.show(self.named_or_error(args[2])?),
            "slaves" | "replicas" => self.show_replicas(self.named_or_error(args[2])?),
            "sentinels" => self.show_sentinels(self.named_or_error(args[2])?),
            "myid" => bulk(&self.my_id),
            "get-master-addr-by-name" | "get-primary-addr-by-name" => self.show_address(args[2]),
            "info-cache" => self.show_info_cache(&args[2..]),
            "pending-scripts" => self.pending_scripts(),
            "ckquorum" => self.show_quorum(self.named_or_error(args[2])?),
            "help" => show::help(),
            "is-master-down-by-addr" | "is-primary-down-by-addr" => return self.answer_primary_down(args),
            "reset" => self.reset(args[2])?,
            "failover" => return self.failover_by_hand(client, args),
            "monitor" => return self.monitor(args),
            "remove" => return self.remove(args[2]),
            "flushconfig" => {
                self.changed();
                return Ok(self.after_save());
            }
            "set" => return self.set(args),
            "config" => return self.config(args),
            "simulate-failure" => self.simulate_failure(&args[2..])?,
            "debug" => self.debug(&args[2..])?,
            _ => unreachable!("every subcommand of the table is here"),
        };
        Ok(Outcome::Reply(reply))
    }

    /// `OK` when all changes so far are saved.
    pub(crate) fn after_save(&self) -> Outcome {
        Outcome::AfterSave {
            change: self.saving.changes,
            saved: ok(),
            failed: error("Failed to save config file. Check server logs."),
        }
    }

    /// The primary of a name.
    pub(crate) fn named_or_error(&self, name: &[u8]) -> Result<InstanceId, Reply> {
        let known = core::str::from_utf8(name).ok().and_then(|name| self.primaries.get(name));
        known.copied().ok_or_else(|| error("No such master with that name"))
    }

    fn role(&self) -> Reply {
        Reply::Array(vec![bulk("sentinel"), Reply::Array(self.primaries.keys().map(|name| bulk(name)).collect())])
    }

    /// Other sentinels send their hellos by `PUBLISH`, as to a server.
    fn publish(&mut self, channel: &[u8], message: &[u8]) -> Result<Outcome, Reply> {
        if channel != HELLO_CHANNEL.as_bytes() {
            return Err(error("Only HELLO messages are accepted by Sentinel instances."));
        }
        self.handle_hello(message);
        Ok(Outcome::Reply(Reply::Int(1)))
    }

    /// A path was looked at.
    pub(crate) fn handle_executable(&mut self, path: &str, executable: bool) {
        self.executables.insert(path.to_string(), executable);
        self.run_parked(&Need::Path(path.to_string()));
        // A file may change, so it is looked at again each time.
        self.executables.clear();
    }

    /// Logs that something happened at a user's wish.
    pub(crate) fn log_wish(&mut self, text: String) {
        self.log(LogLevel::Notice, text);
    }
}
