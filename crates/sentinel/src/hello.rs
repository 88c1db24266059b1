//! Hello messages: how sentinels find each other and how a new configuration spreads.
//!
//! ```text
//! ip,port,runid,current_epoch,name,primary_ip,primary_port,primary_config_epoch
//! └── the sender ───────────┘ └── its configuration of one primary ───────────┘
//! ```
//!
//! Published every two seconds on `__sentinel__:hello` of the primary and each replica, and sent to each other sentinel. The
//! configuration with the greater epoch wins, everywhere, whoever tells it: that is the whole of how a group agrees.

use crate::addr::{Addr, is_host, parse_port};
use crate::api::{LogLevel, Reply};
use crate::instance::InstanceId;
use crate::limits::{EPOCH_MAX, HELLO_BYTES_MAX, NAME_BYTES_MAX};
use crate::links::{Asked, HELLO_CHANNEL};
use crate::state::{NEVER, Sentinel};
use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::{String, ToString};

/// A hello that was not taken by the server is tried again after this long.
const RETRY_MS: u64 = 500;

/// A hello message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello {
    /// The sender's host.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Its run id.
    pub run_id: String,
    /// The greatest epoch that it knows.
    pub current_epoch: u64,
    /// The primary's name.
    pub name: String,
    /// Its host.
    pub primary_host: String,
    /// Its port.
    pub primary_port: u16,
    /// The epoch of this configuration.
    pub config_epoch: u64,
}

/// Why a hello is not believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HelloError {
    /// It is not of the form of a hello: another version's, perhaps.
    Malformed,
    /// A part of it cannot be true; which one, and its value.
    Impossible(&'static str, String),
}

impl Hello {
    /// Reads a message.
    pub fn parse(message: &[u8]) -> Result<Self, HelloError> {
        let text = core::str::from_utf8(message).ok().filter(|m| m.len() <= HELLO_BYTES_MAX);
        let mut parts = text.ok_or(HelloError::Malformed)?.split(',');
        let mut next = || parts.next().ok_or(HelloError::Malformed);
        let [host, port, run_id, current_epoch, name, primary_host, primary_port, config_epoch] =
            [next()?, next()?, next()?, next()?, next()?, next()?, next()?, next()?];
        if parts.next().is_some() {
            return Err(HelloError::Malformed);
        }
        let bad = |what, value: &str| HelloError::Impossible(what, value.to_owned());
        let a_host = |what, h: &str| if is_host(h) { Ok(h.to_owned()) } else { Err(bad(what, h)) };
        let a_port = |what, p: &str| parse_port(p).ok_or_else(|| bad(what, p));
        let an_epoch = |what, e: &str| e.parse().ok().filter(|e| *e <= EPOCH_MAX).ok_or_else(|| bad(what, e));
        if run_id.len() != 40 || !run_id.bytes().all(|b| b.is_ascii_alphanumeric()) {
            return Err(bad("run id", run_id));
        }
        if name.is_empty() || name.len() > NAME_BYTES_MAX {
            return Err(bad("name", name));
        }
        let hello = Self {
            host: a_host("address", host)?,
            port: a_port("port", port)?,
            run_id: run_id.to_owned(),
            current_epoch: an_epoch("epoch", current_epoch)?,
            name: name.to_owned(),
            primary_host: a_host("address of the primary", primary_host)?,
            primary_port: a_port("port of the primary", primary_port)?,
            config_epoch: an_epoch("configuration epoch", config_epoch)?,
        };
        if hello.config_epoch > hello.current_epoch {
            // A configuration is made in an epoch that its maker knows.
            return Err(bad("configuration epoch", config_epoch));
        }
        Ok(hello)
    }
}

impl Sentinel {
    /// A message came in, from a server's channel or from another sentinel directly.
    pub(crate) fn handle_hello(&mut self, message: &[u8]) {
        let hello = match Hello::parse(message) {
            Ok(hello) => hello,
            Err(HelloError::Malformed) => return,
            Err(HelloError::Impossible(what, value)) => {
                let value: String = value.chars().take(64).collect();
                return self.log_refusal(format!("hello with an impossible {what}: {value:?}"));
            }
        };
        if hello.run_id == self.my_id {
            return;
        }
        let Some(&primary) = self.primaries.get(&hello.name) else { return };
        let sender = self.sender_of(primary, &hello);
        if !self.learn_epoch(primary, hello.current_epoch) {
            return self.log_refusal(format!("hello with an impossible epoch: {:?}", hello.current_epoch.to_string()));
        }
        let Some(sender) = sender else { return };
        if self.at(primary).primary().config_epoch < hello.config_epoch {
            self.take_configuration(primary, sender, &hello);
        }
        let now = self.now;
        let peer = self.at_mut(sender).peer_mut();
        peer.last_hello = now;
        peer.told = Some((now, hello.config_epoch));
    }

    /// The instance of the sender, made if we hear of it for the first time or from a new address.
    fn sender_of(&mut self, primary: InstanceId, hello: &Hello) -> Option<InstanceId> {
        let addr = match self.address(&hello.host, hello.port) {
            Ok(addr) => addr,
            Err(_) => {
                self.log_refusal(format!("hello with an impossible address: {:?}", hello.host));
                return None;
            }
        };
        let known = self.at(primary).primary().sentinels.get(&hello.run_id).copied();
        if let Some(id) = known {
            if self.at(id).addr.same(&addr) {
                return Some(id);
            }
            // It moved: forget the old address, everywhere.
            self.remove_sentinel(primary, &hello.run_id);
            let more = format!("ip {} port {} for {}", hello.host, hello.port, hello.run_id);
            self.emit_for(LogLevel::Notice, "+sentinel-address-switch", primary, &more);
            self.move_sentinel(primary, &hello.run_id, &addr);
        } else if let Some(other) = self.sentinel_at(primary, &addr) {
            // Two cannot be at one address: the one that we knew there is gone.
            self.emit_for(LogLevel::Notice, "+sentinel-invalid-addr", other, "");
            let gone = self.at(other).name.clone();
            for id in self.primary_ids() {
                self.remove_sentinel(id, &gone);
            }
        }
        let id = self.add_sentinel(primary, &hello.run_id, addr)?;
        if known.is_none() {
            self.emit_for(LogLevel::Notice, "+sentinel", id, "");
        }
        self.changed();
        Some(id)
    }

    fn sentinel_at(&self, primary: InstanceId, addr: &Addr) -> Option<InstanceId> {
        self.at(primary).primary().sentinels.values().copied().find(|id| self.at(*id).addr.same(addr))
    }

    /// Changes a sentinel's address where other primaries know it, and connects anew.
    fn move_sentinel(&mut self, but: InstanceId, run_id: &str, addr: &Addr) {
        let mut moved = 0;
        let mut last = None;
        for primary in self.primary_ids() {
            let Some(id) = self.at(primary).primary().sentinels.get(run_id).copied().filter(|_| primary != but) else {
                continue;
            };
            self.at_mut(id).addr = addr.clone();
            self.disconnect(id);
            moved += 1;
            last = Some(id);
        }
        if let Some(id) = last {
            let more = format!("{moved} additional matching instances");
            self.emit_for(LogLevel::Notice, "+sentinel-address-update", id, &more);
        }
    }

    /// Somebody has a newer configuration of the primary: it holds.
    fn take_configuration(&mut self, primary: InstanceId, sender: InstanceId, hello: &Hello) {
        let Ok(to) = self.address(&hello.primary_host, hello.primary_port) else {
            return self
                .log_refusal(format!("hello with an impossible address of the primary: {:?}", hello.primary_host));
        };
        self.at_mut(primary).primary_mut().config_epoch = hello.config_epoch;
        self.epoch_changed();
        let from = self.current_address(primary).clone();
        if from.same(&to) || (from.port == to.port && self.is_host_of(&from, &hello.primary_host)) {
            return;
        }
        self.emit_for(LogLevel::Warning, "+config-update-from", sender, "");
        self.emit_switch(primary, &from, &to);
        self.switch_primary(primary, to.clone());
        self.call_reconfig_script(primary, "observer", &from, &to);
        self.touch_others(primary);
    }

    /// `+switch-master`, which clients wait for.
    pub(crate) fn emit_switch(&mut self, primary: InstanceId, from: &Addr, to: &Addr) {
        let name = &self.at(primary).name;
        let text = format!("{name} {} {} {} {}", self.announced(from), from.port, self.announced(to), to.port);
        self.emit_text(LogLevel::Warning, "+switch-master", primary, text);
    }

    /// Publishes our hello through an instance if it is time. Returns when to look again.
    pub(crate) fn publish_hello(&mut self, id: InstanceId) -> u64 {
        let at = self.at(id).hello_at;
        if self.now < at {
            return at;
        }
        // While the primary's writes are paused for a hand-over, so would be our link: PUBLISH counts as a write.
        if !self.epochs_are_saved() || !self.may_send(id) || self.is_paused(id) {
            return NEVER;
        }
        let Some(local) = self.link(id).local else { return NEVER };
        let owner = self.at(id).owner;
        let addr = self.current_address(owner);
        let host = match &self.options.announce_ip {
            Some(ip) => ip.clone(),
            None => local.to_string(),
        };
        let port = if self.options.announce_port != 0 { self.options.announce_port } else { self.options.port };
        let message = format!(
            "{host},{port},{},{},{},{},{},{}",
            self.my_id,
            self.current_epoch,
            self.at(owner).name,
            self.announced(addr),
            addr.port,
            self.at(owner).primary().config_epoch
        );
        self.send(id, false, Asked::Publish(id), &["PUBLISH", HELLO_CHANNEL, &message]);
        let failing_over = self.at(owner).primary().failover.is_some();
        let period = if failing_over { self.periods.publish.min(1000) } else { self.periods.publish };
        self.at_mut(id).hello_at = self.now + period;
        self.now + period
    }

    /// The answer to our hello.
    pub(crate) fn handle_published(&mut self, id: InstanceId, reply: &Reply) {
        if let (Reply::Error(_), Some(instance)) = (reply, self.instances.get(&id)) {
            let soon = instance.hello_at.min(self.now + RETRY_MS);
            self.at_mut(id).hello_at = soon;
            self.touch(id);
        }
    }

    /// Tells our configuration of a primary to everybody at once.
    pub(crate) fn spread(&mut self, primary: InstanceId) {
        let now = self.now;
        self.at_mut(primary).hello_at = now;
        self.touch(primary);
        let known = self.at(primary).primary();
        let others: alloc::vec::Vec<_> = known.replicas.iter().chain(known.sentinels.values()).copied().collect();
        for id in others {
            self.at_mut(id).hello_at = now;
            self.touch(id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0123456789abcdef0123456789abcdef01234567";

    #[test]
    fn a_hello_is_read() {
        let hello = Hello::parse(format!("10.0.0.1,26379,{ID},3,mymaster,10.0.0.2,6379,2").as_bytes()).unwrap();
        assert_eq!(
            (hello.host.as_str(), hello.port, hello.current_epoch, hello.config_epoch),
            ("10.0.0.1", 26379, 3, 2)
        );
        assert_eq!(
            (hello.name.as_str(), hello.primary_host.as_str(), hello.primary_port),
            ("mymaster", "10.0.0.2", 6379)
        );
    }

    #[test]
    fn what_cannot_be_true_is_named() {
        let check = |message: String, what: &str| match Hello::parse(message.as_bytes()) {
            Err(HelloError::Impossible(found, _)) => assert_eq!(found, what, "{message}"),
            other => panic!("{message}: {other:?}"),
        };
        check(format!("a b,1,{ID},1,m,h,1,1"), "address");
        check(format!("h,0,{ID},1,m,h,1,1"), "port");
        check("h,1,short,1,m,h,1,1".into(), "run id");
        check(format!("h,1,{ID},-1,m,h,1,1"), "epoch");
        check(format!("h,1,{ID},18446744073709551615,m,h,1,1"), "epoch");
        check(format!("h,1,{ID},1,,h,1,1"), "name");
        check(format!("h,1,{ID},1,m,,1,1"), "address of the primary");
        check(format!("h,1,{ID},1,m,h,99999,1"), "port of the primary");
        check(format!("h,1,{ID},1,m,h,1,2"), "configuration epoch");
        for malformed in ["", "a,b", "1,2,3,4,5,6,7,8,9"] {
            assert_eq!(Hello::parse(malformed.as_bytes()), Err(HelloError::Malformed));
        }
    }
}
