//! Hosts as network namespaces on a switch of their own, whose links can be cut, whole or one way.
//!
//! ```text
//!   namespace rkfaults-PID-N-0   10.77.0.1 ─┐
//!   namespace rkfaults-PID-N-1   10.77.0.2 ─┼─ bridge in the namespace rkfaults-PID-N-switch
//!   …                                       ┘
//! ```
//!
//! Every host knows the others' hardware addresses by static entries. A cut gives one host a wrong entry for another: what it
//! sends there vanishes without an error, as in a real partition, and needs no packet filter. Two cuts make a whole one.
//!
//! Everything goes with the namespaces, which are deleted at the end of a test, also one that fails. What a test process that
//! was killed has left is swept up by the next one.

use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

const PREFIX: &str = "rkfaults-";

/// The hosts and their switch.
#[derive(Debug)]
pub struct Net {
    name: String,
    hosts: usize,
}

/// Runs `ip` with these lines as a batch in a namespace, or in none.
fn batch(namespace: Option<&str>, lines: &[String]) -> Result<(), String> {
    let mut command = Command::new("ip");
    if let Some(name) = namespace {
        command.args(["-n", name]);
    }
    command.args(["-batch", "-"]).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|e| e.to_string())?;
    let text = lines.join("\n") + "\n";
    child.stdin.take().expect("it is piped").write_all(text.as_bytes()).map_err(|e| e.to_string())?;
    let output = child.wait_with_output().map_err(|e| e.to_string())?;
    if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).into_owned()) }
}

/// Deletes the namespaces of test processes that are gone, and ends what still runs in them.
fn sweep() {
    let Ok(entries) = std::fs::read_dir("/run/netns") else { return };
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let owner = name.strip_prefix(PREFIX).and_then(|rest| rest.split('-').next());
        let Some(owner) = owner.filter(|pid| !std::path::Path::new("/proc").join(pid).exists()) else { continue };
        println!("sweeping up after process {owner}: {name}");
        let pids = Command::new("ip").args(["netns", "pids", &name]).output();
        for pid in pids.map_or(String::new(), |o| String::from_utf8_lossy(&o.stdout).into_owned()).split_whitespace() {
            let _ = Command::new("kill").args(["-9", pid]).status();
        }
        // Another test may be sweeping too.
        let _ = Command::new("ip").args(["netns", "del", &name]).stderr(Stdio::null()).status();
    }
}

impl Net {
    /// So many hosts, all connected; the error says why this machine cannot have them.
    pub fn new(hosts: usize) -> Result<Self, String> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        sweep();
        let n = NEXT.fetch_add(1, Ordering::Relaxed);
        let net = Self { name: format!("{PREFIX}{}-{n}", std::process::id()), hosts };
        let switch = format!("{}-switch", net.name);
        let mut lines = vec![format!("netns add {switch}")];
        lines.extend((0..hosts).map(|host| format!("netns add {}", net.namespace(host))));
        batch(None, &lines)?;
        let mut lines = vec!["link add name switch type bridge".into(), "link set dev switch up".into()];
        for host in 0..hosts {
            let name = net.namespace(host);
            lines.push(format!("link add v{host} type veth peer name eth0 netns {name}"));
            lines.push(format!("link set v{host} master switch"));
            lines.push(format!("link set v{host} up"));
        }
        batch(Some(&switch), &lines)?;
        for host in 0..hosts {
            let mut lines = vec![
                "link set lo up".into(),
                format!("link set eth0 address {}", mac(host)),
                format!("address add {}/24 dev eth0", ip(host)),
                "link set eth0 up".to_owned(),
            ];
            lines.extend((0..hosts).filter(|to| *to != host).map(|to| entry(to, &mac(to))));
            batch(Some(&net.namespace(host)), &lines)?;
        }
        Ok(net)
    }

    /// The name of a host's namespace.
    pub fn namespace(&self, host: usize) -> String {
        format!("{}-{host}", self.name)
    }

    /// From now on nothing that one of `from` sends to one of `to` arrives.
    pub fn cut_one_way(&self, from: &[usize], to: &[usize]) {
        for host in from {
            let lines: Vec<String> = to.iter().map(|to| entry(*to, "02:00:00:00:ff:ff")).collect();
            batch(Some(&self.namespace(*host)), &lines).unwrap();
        }
    }

    /// From now on nothing goes between these two sides.
    pub fn cut(&self, a: &[usize], b: &[usize]) {
        self.cut_one_way(a, b);
        self.cut_one_way(b, a);
    }

    /// All is connected again.
    pub fn heal(&self) {
        for host in 0..self.hosts {
            let lines: Vec<String> = (0..self.hosts).filter(|to| *to != host).map(|to| entry(to, &mac(to))).collect();
            batch(Some(&self.namespace(host)), &lines).unwrap();
        }
    }

    /// Moves the calling thread to a host: sockets that it makes from now on are that host's.
    pub fn enter(&self, host: usize) {
        let file = std::fs::File::open(format!("/run/netns/{}", self.namespace(host))).unwrap();
        let kind = rustix::thread::LinkNameSpaceType::Network;
        rustix::thread::move_into_link_name_space(std::os::fd::AsFd::as_fd(&file), Some(kind)).unwrap();
    }

    /// A connection from a host to itself, which no cut concerns.
    pub fn connect(&self, host: usize, port: u16) -> io::Result<TcpStream> {
        std::thread::scope(|scope| {
            let connecting = scope.spawn(|| {
                self.enter(host);
                let addr = SocketAddr::from((ip(host), port));
                TcpStream::connect_timeout(&addr, Duration::from_secs(1))
            });
            connecting.join().unwrap()
        })
    }
}

/// The address of a host.
pub fn ip(host: usize) -> Ipv4Addr {
    Ipv4Addr::new(10, 77, 0, host as u8 + 1)
}

fn mac(host: usize) -> String {
    format!("02:00:00:00:00:{:02x}", host + 1)
}

fn entry(to: usize, mac: &str) -> String {
    format!("neighbour replace {} lladdr {mac} nud permanent dev eth0", ip(to))
}

impl Drop for Net {
    fn drop(&mut self) {
        for host in 0..self.hosts {
            let _ = Command::new("ip").args(["netns", "del", &self.namespace(host)]).stderr(Stdio::null()).status();
        }
        let switch = format!("{}-switch", self.name);
        let _ = Command::new("ip").args(["netns", "del", &switch]).stderr(Stdio::null()).status();
    }
}
