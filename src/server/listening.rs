//! The sockets that clients come in by: opening them at the start, and changing them while
//! the server runs.
//!
//! Why a change is made in two parts: `CONFIG SET port` and `bind` must not answer OK before the new address takes
//! connections, and must leave everything as it was where it cannot be had. So the command opens the sockets, which lets the
//! kernel accept connections from then on, and the event loop takes them over after the batch.
//!
//! ```text
//! CONFIG SET ─► Sockets::change ─► opened, closed ─► (reply is still held back) ─► Server::take_sockets
//! ```
//!
//! An address that stays is left alone. One that overlaps with another on the same port (`127.0.0.1` and `*`) can only be
//! opened when the other is closed; if it then fails, the other is opened again.

use super::log::log;
use super::{Listening, Server};
use engine::config::Config;
use net::ListenerId;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::os::fd::OwnedFd;
use std::path::Path;

/// How often an address that is in use is tried again.
const LISTEN_ATTEMPTS: u32 = 20;
/// How long to wait in between.
const LISTEN_PAUSE: std::time::Duration = std::time::Duration::from_millis(20);

/// A listening socket of the event loop.
#[derive(Debug)]
pub struct Listener {
    id: ListenerId,
    kind: Listening,
    /// Where it listens, of TCP.
    addr: Option<SocketAddr>,
}

impl Listener {
    /// What it is for.
    pub fn kind(&self) -> Listening {
        self.kind
    }

    /// How the event loop names it.
    pub fn id(&self) -> ListenerId {
        self.id
    }
}

/// An address that the settings ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Wanted {
    addr: SocketAddr,
    /// It may be missing on this machine.
    optional: bool,
}

/// The TCP sockets as commands see them: a second handle of each, and what the event loop has still to take over.
#[derive(Debug, Default)]
pub struct Sockets {
    open: Vec<(SocketAddr, OwnedFd)>,
    opened: Vec<(SocketAddr, OwnedFd)>,
    closed: Vec<SocketAddr>,
}

impl Sockets {
    /// Opens what `config` asks for and closes what it no longer does; where that fails all is as it was.
    pub fn change(&mut self, config: &Config) -> Result<(), String> {
        let wanted = wanted(config)?;
        if wanted.is_empty() && config.unixsocket.get().is_empty() {
            return Err("nobody could connect any more: there is no `unixsocket`".into());
        }
        let backlog = config.tcp_backlog.get() as i32;
        let mut missing: Vec<Wanted> =
            wanted.iter().filter(|w| !self.open.iter().any(|(addr, _)| *addr == w.addr)).cloned().collect();
        let mut fresh = Vec::new();
        // What can be opened beside the old sockets is opened first, so that most failures change nothing.
        let mut refused = None;
        let open = &self.open;
        let own_port = |port: u16| open.iter().any(|(addr, _)| addr.port() == port);
        missing.retain(|w| match net::listen_tcp(w.addr, backlog) {
            Ok(fd) => {
                fresh.push((w.addr, fd));
                false
            }
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && own_port(w.addr.port()) => true,
            Err(error) if w.optional && is_missing(&error) => false,
            Err(error) => {
                refused = Some(refusal(w.addr, &error));
                false
            }
        });
        if let Some(refused) = refused {
            return Err(refused);
        }
        let (stay, go): (Vec<_>, Vec<_>) =
            self.open.drain(..).partition(|(addr, _)| wanted.iter().any(|w| w.addr == *addr));
        self.open = stay;
        // The backend closes a socket some time later; its address must be free now.
        let gone: Vec<SocketAddr> = go.iter().map(|(addr, _)| *addr).collect();
        for (_, fd) in go {
            let _ = rustix::net::shutdown(&fd, rustix::net::Shutdown::Both);
        }
        self.closed.extend(&gone);
        for w in missing {
            match net::listen_tcp(w.addr, backlog) {
                Ok(fd) => fresh.push((w.addr, fd)),
                Err(error) => {
                    drop(fresh);
                    self.reopen(&gone, backlog);
                    return Err(refusal(w.addr, &error));
                }
            }
        }
        if fresh.is_empty() && self.open.is_empty() && config.port.get() > 0 && names_an_address(config) {
            self.reopen(&gone, backlog);
            return Err("none of the addresses of the option `bind` is this machine's".into());
        }
        for (addr, fd) in fresh {
            self.add(addr, fd).map_err(|e| e.to_string())?;
        }
        Ok(())
    }

    fn reopen(&mut self, gone: &[SocketAddr], backlog: i32) {
        for addr in gone {
            let opened = net::listen_tcp(*addr, backlog).and_then(|fd| self.add(*addr, fd));
            if let Err(error) = opened {
                log!(Warning, "Can't listen on {addr} again: {error}");
            }
        }
    }

    fn add(&mut self, addr: SocketAddr, fd: OwnedFd) -> io::Result<()> {
        self.open.push((addr, fd.try_clone()?));
        self.opened.push((addr, fd));
        Ok(())
    }
}

fn refusal(addr: SocketAddr, error: &io::Error) -> String {
    format!("{addr}: {error}. {}", advice(error))
}

/// What the operator can do where an address cannot be listened on.
#[expect(clippy::wildcard_enum_match_arm, reason = "the standard library may add kinds of errors")]
fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => "Choose another port, or stop what listens there.",
        io::ErrorKind::AddrNotAvailable | io::ErrorKind::Unsupported => {
            "This machine has no such address: correct the option `bind`, or put a `-` before the address to do without it where it is missing."
        }
        io::ErrorKind::PermissionDenied => "Ports below 1024 are for privileged processes: choose a higher one.",
        // What else may happen has no usual cure.
        _ => "Look at the options `bind` and `port`.",
    }
}

fn is_missing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::AddrNotAvailable | io::ErrorKind::Unsupported)
}

/// Whether `bind` names an address at all: `bind ""` asks for none.
fn names_an_address(config: &Config) -> bool {
    !config.bind.0.iter().all(String::is_empty)
}

/// The addresses that the settings ask for.
fn wanted(config: &Config) -> Result<Vec<Wanted>, String> {
    let port = config.port.get() as u16;
    let mut all = Vec::new();
    if port == 0 {
        return Ok(all);
    }
    for bind in config.bind.0.iter().filter(|bind| !bind.is_empty()) {
        let (optional, host) = bind.strip_prefix('-').map_or((false, bind.as_str()), |host| (true, host));
        let addresses = addresses(host, port);
        if addresses.is_empty() && !optional {
            return Err(format!("{host} has no address"));
        }
        for addr in addresses {
            if !all.iter().any(|w: &Wanted| w.addr == addr) {
                all.push(Wanted { addr, optional });
            }
        }
    }
    Ok(all)
}

/// The addresses that a word of `bind` means.
fn addresses(host: &str, port: u16) -> Vec<SocketAddr> {
    match host {
        "*" => vec![(Ipv4Addr::UNSPECIFIED, port).into()],
        "::*" => vec![(Ipv6Addr::UNSPECIFIED, port).into()],
        _ => match host.parse::<IpAddr>() {
            Ok(ip) => vec![(ip, port).into()],
            Err(_) => (host, port).to_socket_addrs().map_or(Vec::new(), Iterator::collect),
        },
    }
}

/// Listens on an address. The kernel closes the sockets of a killed process that used io_uring a
/// moment after the process is gone, so an address in use is tried again before that is an error.
fn listen_patiently(addr: SocketAddr, backlog: i32) -> io::Result<OwnedFd> {
    for _ in 0..LISTEN_ATTEMPTS {
        match net::listen_tcp(addr, backlog) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => std::thread::sleep(LISTEN_PAUSE),
            result => return result,
        }
    }
    net::listen_tcp(addr, backlog)
}

impl Server {
    /// Opens all sockets, at the start.
    pub fn open_sockets(&mut self) -> Result<(), String> {
        let config = &self.engine.config;
        let backlog = config.tcp_backlog.get() as i32;
        let port = config.port.get();
        for Wanted { addr, optional } in wanted(config)? {
            match listen_patiently(addr, backlog) {
                Ok(fd) => self.outside.sockets.add(addr, fd).map_err(|e| e.to_string())?,
                Err(error) => {
                    log!(Warning, "Warning: Could not create server TCP listening socket {addr}: bind: {error}");
                    if !(optional && is_missing(&error)) {
                        return Err(format!(
                            "Failed listening on port {port} (tcp), aborting: {}",
                            refusal(addr, &error)
                        ));
                    }
                }
            }
        }
        self.take_sockets();
        if port > 0 && self.listeners.is_empty() && names_an_address(&self.engine.config) {
            return Err(format!(
                "Failed listening on port {port} (tcp), aborting: none of the addresses of the option `bind` is this machine's."
            ));
        }
        let socket = self.engine.config.unixsocket.get().to_owned();
        if !socket.is_empty() {
            let perm = self.engine.config.unixsocketperm.0;
            let fd = net::listen_unix(Path::new(&socket), (perm > 0).then_some(perm), backlog)
                .map_err(|e| {
                    let is_file = e.kind() == io::ErrorKind::AddrInUse;
                    let advice = if is_file { ". There is a file of that name which is no socket: move it away, or choose another path with `unixsocket`" } else { "" };
                    format!("Failed opening Unix socket {socket}: bind: {e}{advice}")
                })?;
            let group = self.engine.config.unixsocketgroup.get();
            if !group.is_empty() {
                let id = super::process::group_id(group)
                    .ok_or_else(|| format!("unixsocketgroup: there is no group {group}"))?;
                std::os::unix::fs::chown(&socket, None, Some(id))
                    .map_err(|e| format!("Can't give the Unix socket {socket} to the group {group}: {e}"))?;
            }
            let id = self.net.listen(fd);
            self.listeners.push(Listener { id, kind: Listening::Unix, addr: None });
        }
        if self.listeners.is_empty() {
            return Err("Configured to not listen anywhere, exiting: set `port` or `unixsocket`.".into());
        }
        Ok(())
    }

    /// Takes over the sockets that a command has opened, and gives up those that it has closed.
    pub fn take_sockets(&mut self) {
        let (opened, closed) =
            (std::mem::take(&mut self.outside.sockets.opened), std::mem::take(&mut self.outside.sockets.closed));
        let net = &mut self.net;
        self.listeners.retain(|listener| {
            let goes = listener.addr.is_some_and(|addr| closed.contains(&addr));
            if goes {
                net.unlisten(listener.id);
            }
            !goes
        });
        for (addr, fd) in opened {
            let id = self.net.listen(fd);
            self.listeners.push(Listener { id, kind: Listening::Tcp, addr: Some(addr) });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, TcpStream};

    fn config(lines: &str) -> Config {
        let mut config = Config::default();
        config.load(lines.as_bytes(), &mut |_| Err(String::new())).unwrap();
        config
    }

    fn free_port() -> u16 {
        TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
    }

    fn answers(host: &str, port: u16) -> bool {
        TcpStream::connect((host, port)).is_ok()
    }

    #[test]
    fn a_changed_address_takes_connections_at_once() {
        let (first, second) = (free_port(), free_port());
        let mut sockets = Sockets::default();
        sockets.change(&config(&format!("port {first}\nbind 127.0.0.1\n"))).unwrap();
        assert!(answers("127.0.0.1", first));
        sockets.change(&config(&format!("port {second}\nbind 127.0.0.1\n"))).unwrap();
        assert!(answers("127.0.0.1", second) && !answers("127.0.0.1", first));
        // An address that overlaps with the old one takes its place.
        sockets.change(&config(&format!("port {second}\nbind *\n"))).unwrap();
        assert!(answers("127.0.0.1", second) && answers("127.0.0.2", second));
    }

    #[test]
    fn a_change_that_fails_leaves_what_was() {
        let (port, taken) = (free_port(), TcpListener::bind("127.0.0.1:0").unwrap());
        let taken_port = taken.local_addr().unwrap().port();
        let mut sockets = Sockets::default();
        sockets.change(&config(&format!("port {port}\nbind 127.0.0.1\n"))).unwrap();
        for lines in [
            format!("port {taken_port}\nbind 127.0.0.1\n"),
            format!("port {port}\nbind 127.0.0.2 203.0.113.7\n"),
            format!("port {port}\nbind -203.0.113.7\n"),
        ] {
            let error = sockets.change(&config(&lines)).unwrap_err();
            assert!(!error.is_empty() && answers("127.0.0.1", port), "{lines}: {error}");
        }
    }
}
