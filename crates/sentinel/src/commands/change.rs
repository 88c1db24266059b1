//! Commands that change what is watched, or act: `MONITOR`, `REMOVE`, `RESET`, `FAILOVER`, votes, simulated failures.

use super::show::not_an_integer;
use super::{Need, Outcome, bulk, error, ok, shown, text};
use crate::addr::Lookup;
use crate::api::{ClientId, LogLevel, Reply};
use crate::config::is_name;
use crate::failover::Manual;
use crate::instance::InstanceId;
use crate::state::{Sentinel, Simulated};
use alloc::format;
use alloc::vec;
use alloc::vec::Vec;
use base::glob::glob_matches;
use base::num::parse_i64;
use core::net::IpAddr;

impl Sentinel {
    /// `IS-MASTER-DOWN-BY-ADDR ip port epoch runid`.
    pub(super) fn answer_primary_down(&mut self, args: &[&[u8]]) -> Result<Outcome, Reply> {
        let port = parse_i64(args[3]).ok_or_else(not_an_integer)?;
        let epoch = parse_i64(args[4]).ok_or_else(not_an_integer)?;
        let (host, candidate) = (text(args[2])?, text(args[5])?);
        let Some(id) = self.primary_at(host, port) else {
            return Ok(Outcome::Reply(Self::no_vote(false)));
        };
        let down = self.at(id).s_down && !self.in_tilt();
        if candidate == "*" {
            return Ok(Outcome::Reply(Self::no_vote(down)));
        }
        let epoch = u64::try_from(epoch).map_err(|_| error("Invalid epoch"))?;
        if candidate.len() > 64 || !candidate.bytes().all(|b| b.is_ascii_alphanumeric()) {
            return Err(error("Invalid run id"));
        }
        let vote = self.vote(id, epoch, candidate);
        let reply = Self::vote_reply(down, vote.leader, vote.epoch);
        // A vote that a crash could make us forget is none.
        Ok(match self.epochs_are_saved() {
            true => Outcome::Reply(reply),
            false => {
                Outcome::AfterSave { change: self.saving.last_epoch_change, saved: reply, failed: Self::no_vote(down) }
            }
        })
    }

    fn primary_at(&self, host: &str, port: i64) -> Option<InstanceId> {
        let at = |id: &&InstanceId| {
            let addr = &self.at(**id).addr;
            i64::from(addr.port) == port && self.is_host_of(addr, host)
        };
        self.primaries.values().find(at).copied()
    }

    /// `RESET pattern`.
    pub(super) fn reset(&mut self, pattern: &[u8]) -> Result<Reply, Reply> {
        let matching: Vec<InstanceId> = self
            .primaries
            .iter()
            .filter(|(name, _)| glob_matches(pattern, name.as_bytes(), false))
            .map(|(_, id)| *id)
            .collect();
        for id in &matching {
            self.reset_primary(*id, false);
            self.emit_for(LogLevel::Warning, "+reset-master", *id, "");
            self.changed();
        }
        Ok(Reply::Int(matching.len() as i64))
    }

    /// `FAILOVER name [COORDINATED]`.
    pub(super) fn failover_by_hand(&mut self, client: ClientId, args: &[&[u8]]) -> Result<Outcome, Reply> {
        let id = self.named_or_error(args[2])?;
        let coordinated = match args.get(3) {
            None => false,
            Some(word) if word.eq_ignore_ascii_case(b"coordinated") => true,
            Some(word) => return Err(error(format!("Unknown failover option specified: {}", shown(word)))),
        };
        if self.at(id).primary().failover.is_some() {
            return Err(Reply::Error(b"INPROG Failover already in progress".to_vec()));
        }
        if self.select_replica(id).is_none() {
            return Err(Reply::Error(b"NOGOODSLAVE No suitable replica to promote".to_vec()));
        }
        self.log_wish(format!("Executing user requested FAILOVER of '{}'", self.at(id).name));
        self.start_failover(id, Some(Manual { coordinated, client: coordinated.then_some(client), leapt: false }));
        Ok(if coordinated { Outcome::HandOver(id) } else { Outcome::Reply(ok()) })
    }

    /// `MONITOR name ip port quorum`.
    pub(super) fn monitor(&mut self, args: &[&[u8]]) -> Result<Outcome, Reply> {
        let quorum = parse_i64(args[5]).ok_or_else(|| error("Invalid quorum"))?;
        let port = parse_i64(args[4]).ok_or_else(|| error("Invalid port"))?;
        let quorum =
            u32::try_from(quorum).ok().filter(|q| *q > 0).ok_or_else(|| error("Quorum must be 1 or greater."))?;
        let (name, host) = (text(args[2])?, text(args[3])?);
        let bad_host = || error("Invalid IP address or hostname specified");
        let by_name = host.parse::<IpAddr>().is_err();
        if by_name && (!self.options.resolve_hostnames || !crate::addr::is_host(host)) {
            return Err(bad_host());
        }
        match self.look_up(host) {
            Lookup::Address(_) => {}
            Lookup::Nothing => return Err(bad_host()),
            Lookup::Asked => return Ok(Outcome::Needs(Need::Name(host.into()))),
        }
        let port = u16::try_from(port).ok().filter(|p| *p > 0).ok_or_else(|| error("Invalid port number."))?;
        if !is_name(name) {
            return Err(error("Invalid master name."));
        }
        if self.primaries.contains_key(name) {
            return Err(error("Duplicate master name."));
        }
        let addr = self.address(host, port).map_err(|_| bad_host())?;
        let id = self.add_primary(name, addr, quorum);
        self.changed();
        self.emit_for(LogLevel::Warning, "+monitor", id, &format!("quorum {quorum}"));
        Ok(self.after_save())
    }

    /// `REMOVE name`.
    pub(super) fn remove(&mut self, name: &[u8]) -> Result<Outcome, Reply> {
        let id = self.named_or_error(name)?;
        self.emit_for(LogLevel::Warning, "-monitor", id, "");
        self.end_handover(id, Err("the primary was removed".into()));
        self.remove_primary(id);
        self.changed();
        Ok(self.after_save())
    }

    /// `SIMULATE-FAILURE`.
    pub(super) fn simulate_failure(&mut self, words: &[&[u8]]) -> Result<Reply, Reply> {
        self.simulated = Simulated::default();
        for word in words {
            let text = match word.to_ascii_lowercase().as_slice() {
                b"crash-after-election" => {
                    self.simulated.crash_after_election = true;
                    "Failure simulation: this Sentinel will crash after being successfully elected as failover leader"
                }
                b"crash-after-promotion" => {
                    self.simulated.crash_after_promotion = true;
                    "Failure simulation: this Sentinel will crash after promoting the selected replica to master"
                }
                b"help" => {
                    return Ok(Reply::Array(vec![bulk("crash-after-election"), bulk("crash-after-promotion")]));
                }
                _ => return Err(error("Unknown failure simulation specified")),
            };
            self.log(LogLevel::Warning, text.into());
        }
        Ok(ok())
    }
}
