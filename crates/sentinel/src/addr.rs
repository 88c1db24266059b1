//! Addresses: a host as it was named, its IP address as far as it is known, and a port.

use crate::limits::HOST_BYTES_MAX;
use crate::state::Sentinel;
use crate::{Action, InstanceId};
use alloc::borrow::ToOwned;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::{String, ToString};
use core::net::IpAddr;

/// Where an instance is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Addr {
    /// The name or address as it was given.
    pub host: String,
    /// The address; unknown for a name that has not been resolved.
    pub ip: Option<IpAddr>,
    /// 0 means that there is nothing to connect to.
    pub port: u16,
}

impl Addr {
    /// Whether both mean the same place: by address, or by name while addresses are unknown.
    pub fn same(&self, other: &Addr) -> bool {
        self.port == other.port
            && ((self.ip.is_some() && self.ip == other.ip) || self.host.eq_ignore_ascii_case(&other.host))
    }
}

/// Why there is no address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AddrError {
    /// Not an IP address, and names are not resolved; or no host name at all.
    Host,
}

/// What is known of host names.
#[derive(Debug, Default)]
pub(crate) struct Names {
    /// The last answer for each.
    known: BTreeMap<String, Option<IpAddr>>,
    /// Asked for and not answered yet.
    asked: BTreeSet<String>,
    /// Instances whose `INFO` named an unknown host; they are asked again once it is known.
    pub waiting: BTreeSet<InstanceId>,
}

/// A host, looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lookup {
    /// It has this address.
    Address(IpAddr),
    /// It is a name without an address.
    Nothing,
    /// It is a name that is being asked for.
    Asked,
}

/// Whether `host` can be a host name or an IP address at all.
pub(crate) fn is_host(host: &str) -> bool {
    !host.is_empty()
        && host.len() <= HOST_BYTES_MAX
        && host.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b':' | b'%'))
}

/// A port from text: 1 to 65535.
pub(crate) fn parse_port(text: &str) -> Option<u16> {
    (!text.starts_with('+')).then(|| text.parse().ok()).flatten().filter(|port| *port != 0)
}

impl Sentinel {
    /// Looks a host up, and asks for it if it is a name that we do not know yet.
    pub(crate) fn look_up(&mut self, host: &str) -> Lookup {
        if let Ok(ip) = host.parse() {
            return Lookup::Address(ip);
        }
        if !self.options.resolve_hostnames {
            return Lookup::Nothing;
        }
        match self.names.known.get(host) {
            Some(Some(ip)) => Lookup::Address(*ip),
            Some(None) => Lookup::Nothing,
            None => {
                self.ask_name(host);
                Lookup::Asked
            }
        }
    }

    /// Asks for the address of a name, again if it is known already.
    pub(crate) fn ask_name(&mut self, host: &str) {
        if self.names.asked.len() < crate::limits::NAMES_MAX && self.names.asked.insert(host.to_owned()) {
            self.push(Action::Resolve { name: host.to_owned() });
        }
    }

    /// The address of a host that may not be known yet.
    pub(crate) fn address(&mut self, host: &str, port: u16) -> Result<Addr, AddrError> {
        let ip = match host.parse() {
            Ok(ip) => Some(ip),
            Err(_) if !self.options.resolve_hostnames || !is_host(host) => return Err(AddrError::Host),
            Err(_) => match self.look_up(host) {
                Lookup::Address(ip) => Some(ip),
                Lookup::Nothing | Lookup::Asked => None,
            },
        };
        Ok(Addr { host: host.to_owned(), ip, port })
    }

    /// How an address is told to others.
    pub(crate) fn announced(&self, addr: &Addr) -> String {
        match addr.ip {
            Some(ip) if !self.options.announce_hostnames => ip.to_string(),
            Some(_) | None => addr.host.clone(),
        }
    }

    /// The name of the replica at an address: `ip:port`, `[ipv6]:port`.
    pub(crate) fn address_name(&self, addr: &Addr) -> String {
        let host = self.announced(addr);
        if host.contains(':') { format!("[{host}]:{}", addr.port) } else { format!("{host}:{}", addr.port) }
    }

    /// Whether `host`, as a server reported it, is the host of `addr`.
    pub(crate) fn is_host_of(&self, addr: &Addr, host: &str) -> bool {
        let ip = host.parse().ok().or_else(|| self.names.known.get(host).copied().flatten());
        match (ip, addr.ip) {
            (Some(a), Some(b)) if a == b => true,
            _ => addr.host.eq_ignore_ascii_case(host),
        }
    }

    /// A name was looked up.
    pub(crate) fn handle_resolved(&mut self, name: &str, address: Option<IpAddr>) {
        if !self.names.asked.remove(name) {
            return;
        }
        if self.names.known.len() >= crate::limits::NAMES_MAX {
            self.names.known.clear();
        }
        self.names.known.insert(name.to_owned(), address);
        let named: alloc::vec::Vec<InstanceId> =
            self.instances.values().filter(|i| i.addr.host == name).map(|i| i.id).collect();
        for id in named {
            if let (Some(instance), Some(_)) = (self.instances.get_mut(&id), address) {
                instance.addr.ip = address;
            }
            self.connect_resolved(id);
            self.touch(id);
        }
        for id in core::mem::take(&mut self.names.waiting) {
            self.want_info(id);
        }
        self.run_parked(&crate::commands::Need::Name(name.to_owned()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_and_hosts_are_checked() {
        for (text, port) in [("1", Some(1)), ("65535", Some(65535)), ("0", None), ("65536", None), ("+5", None)] {
            assert_eq!(parse_port(text), port, "{text}");
        }
        for (text, fine) in
            [("a.b-c_d", true), ("::1", true), ("", false), ("a b", false), ("a,b", false), ("a\n", false)]
        {
            assert_eq!(is_host(text), fine, "{text}");
        }
    }
}
