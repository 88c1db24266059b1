//! The processes of `rekindle up`, and what can be done to each.
//!
//! Servers are controlled through a Unix socket of their own, so that one that is cut off from the network still obeys:
//!
//! ```text
//!   kill      SIGKILL                          restart    the process anew, with the file that it has rewritten
//!   freeze    SIGSTOP                          thaw       SIGCONT
//!   cut off   no TCP port is listened on,      reconnect  both as before
//!             outgoing connections come from an address that this machine does not have,
//!             and the connections that there are are closed
//! ```
//! Limits: a sentinel has no such socket. Freezing one has the same effect on the others.

use super::error::Error;
use super::{NAME, Options};
use crate::wire::Connection;
use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long a process may take to start or stop.
const TIMEOUT: Duration = Duration::from_secs(10);
/// How long a command may take.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(2);
/// An address for documentation (RFC 5737), which no machine has.
const NOWHERE: &[u8] = b"192.0.2.1";

/// What a process is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    /// A primary or a replica, as it happens.
    Server,
    /// A sentinel.
    Sentinel,
}

/// One process.
#[derive(Debug)]
pub struct Node {
    pub service: Service,
    pub port: u16,
    folder: PathBuf,
    socket: PathBuf,
    process: Child,
}

/// Where a process listens.
#[derive(Debug, Clone)]
pub enum Endpoint {
    /// A Unix socket.
    Socket(PathBuf),
    /// A port on this machine.
    Port(u16),
}

impl Endpoint {
    /// Connects; replies may take `timeout`.
    pub fn connect(&self, timeout: Option<Duration>) -> std::io::Result<Connection> {
        let connection = match self {
            Self::Socket(path) => Connection::unix(&path.to_string_lossy())?,
            Self::Port(port) => Connection::tcp("127.0.0.1", *port, Duration::from_millis(300))?,
        };
        connection.set_read_timeout(timeout)?;
        Ok(connection)
    }

    /// Runs one command on a connection of its own.
    ///
    /// # Errors
    /// [`Error::Unreachable`], or [`Error::Refused`] with the error that it answers.
    pub fn call(&self, words: &[&[u8]]) -> Result<resp::Value, Error> {
        let reply = self.connect(Some(COMMAND_TIMEOUT)).and_then(|mut connection| connection.call(words));
        let reply = reply.map_err(Error::Unreachable)?;
        if let resp::Value::Error(error) = reply {
            return Err(Error::Refused(String::from_utf8_lossy(&error).into_owned()));
        }
        Ok(reply)
    }
}

/// Starts all and waits until they answer: servers, then sentinels, which then find all replicas at once.
pub fn start_all(
    options: &Options,
    planned: &[(Service, u16)],
    base: &Path,
    sockets: &Path,
    nodes: &mut Vec<Node>,
) -> Result<(), Error> {
    for service in [Service::Server, Service::Sentinel] {
        let first = nodes.len();
        for (_, port) in planned.iter().filter(|(k, _)| *k == service) {
            let folder = base.join(port.to_string());
            let failed = |error| Error::Folder { path: folder.clone(), error };
            fs::create_dir_all(&folder).map_err(failed)?;
            let file = folder.join("conf");
            // What an earlier run has learnt is kept: roles may have changed.
            if !file.exists() {
                fs::write(&file, configuration(options, service, *port, &folder)).map_err(failed)?;
            }
            let socket = sockets.join(format!("{port}.sock"));
            let process = spawn(service, &file, &socket)?;
            nodes.push(Node { service, port: *port, folder, socket, process });
        }
        let deadline = Instant::now() + TIMEOUT;
        for node in &mut nodes[first..] {
            node.wait_until_ready(deadline)?;
        }
    }
    Ok(())
}

fn configuration(options: &Options, service: Service, port: u16, folder: &Path) -> String {
    let quoted = |path: &Path| {
        let mut text = Vec::new();
        base::text::quote(path.display().to_string().as_bytes(), &mut text);
        String::from_utf8_lossy(&text).into_owned()
    };
    let (dir, log) = (quoted(folder), quoted(&folder.join("log")));
    let mut text = format!("port {port}\nbind 127.0.0.1\ndir {dir}\nlogfile {log}\n");
    match service {
        Service::Server => {
            text += "repl-diskless-sync-delay 0\n";
            if port != options.port {
                text += &format!("replicaof 127.0.0.1 {}\n", options.port);
            }
        }
        Service::Sentinel => {
            text += &format!(
                "sentinel monitor {NAME} 127.0.0.1 {} {}\nsentinel down-after-milliseconds {NAME} {}\n\
                 sentinel failover-timeout {NAME} 10000\n",
                options.port,
                options.quorum(),
                options.down_after
            );
        }
    }
    text
}

fn spawn(service: Service, file: &Path, socket: &Path) -> Result<Child, Error> {
    let program = std::env::current_exe().map_err(Error::Spawn)?;
    let mut command = Command::new(program);
    match service {
        Service::Server => command.arg("server").arg(file).arg("--unixsocket").arg(socket),
        Service::Sentinel => command.arg("sentinel").arg(file),
    };
    // A process group of its own: Ctrl-C reaches this program, which then stops the others in order.
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().map_err(Error::Spawn)
}

impl Node {
    /// Where it is asked.
    pub fn endpoint(&self) -> Endpoint {
        match self.service {
            Service::Server => Endpoint::Socket(self.socket.clone()),
            Service::Sentinel => Endpoint::Port(self.port),
        }
    }

    fn wait_until_ready(&mut self, deadline: Instant) -> Result<(), Error> {
        loop {
            let info = self.endpoint().call(&[b"INFO", b"replication"]).ok();
            let is_up = info.is_some();
            let is_linked = info.and_then(|info| {
                info.as_bytes().map(|text| !String::from_utf8_lossy(text).contains("link_status:down"))
            });
            if is_linked == Some(true) {
                return Ok(());
            }
            let late = Instant::now() > deadline;
            if self.has_ended() || (late && !is_up) {
                return Err(Error::NotStarted { port: self.port, log: self.last_words() });
            }
            if late {
                // It answers, and what keeps it from its primary can be seen.
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Whether the process has ended.
    pub fn has_ended(&mut self) -> bool {
        self.process.try_wait().ok().flatten().is_some()
    }

    /// Kills it as a power cut would.
    pub fn kill(&mut self) {
        // One that has ended by itself needs no killing.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }

    fn signal(&mut self, signal: Signal) -> Result<(), Error> {
        if self.has_ended() {
            return Err(Error::HasEnded);
        }
        let pid = i32::try_from(self.process.id()).ok().and_then(Pid::from_raw).ok_or(Error::HasEnded)?;
        kill_process(pid, signal).map_err(|error| Error::Signal(error.into()))
    }

    /// Stops the process where it is.
    pub fn freeze(&mut self) -> Result<(), Error> {
        self.signal(Signal::STOP)
    }

    /// Lets it go on.
    pub fn thaw(&mut self) -> Result<(), Error> {
        self.signal(Signal::CONT)
    }

    /// Takes a server off the network, in both directions.
    pub fn cut_off(&self) -> Result<(), Error> {
        let endpoint = self.endpoint();
        endpoint.call(&[b"CONFIG", b"SET", b"bind", b"", b"bind-source-addr", NOWHERE])?;
        let own = format!("127.0.0.1:{}", self.port);
        endpoint.call(&[b"CLIENT", b"KILL", b"LADDR", own.as_bytes()])?;
        endpoint.call(&[b"CLIENT", b"KILL", b"TYPE", b"master"])?;
        Ok(())
    }

    /// Brings a server back into the network.
    pub fn reconnect(&self) -> Result<(), Error> {
        self.endpoint().call(&[b"CONFIG", b"SET", b"bind", b"127.0.0.1", b"bind-source-addr", b""]).map(drop)
    }

    /// Starts it again if it has ended.
    pub fn restart(&mut self) -> Result<(), Error> {
        if self.has_ended() {
            self.process = spawn(self.service, &self.folder.join("conf"), &self.socket)?;
        }
        Ok(())
    }

    fn last_words(&self) -> String {
        let log = fs::read_to_string(self.folder.join("log")).unwrap_or_default();
        let mut last: Vec<&str> = log.lines().rev().take(3).collect();
        last.reverse();
        last.join("\n")
    }

    fn stop(&mut self) {
        if self.has_ended() {
            return;
        }
        // A frozen process would not hear that it is to stop. One that has just ended needs neither.
        let _ = self.thaw();
        let _ = self.endpoint().call(&[b"SHUTDOWN", b"NOW"]);
        let deadline = Instant::now() + TIMEOUT;
        while !self.has_ended() {
            if Instant::now() > deadline {
                self.kill();
                break;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Node {
    /// Nothing is left behind, whatever happens to this program.
    fn drop(&mut self) {
        if !self.has_ended() {
            self.kill();
        }
    }
}

/// Stops all in order: sentinels first, that they start no fail-over; then replicas, that they do not see their primary vanish.
pub fn stop_all(nodes: &mut [Node], primary: Option<u16>) {
    let order = |node: &Node| match node.service {
        Service::Sentinel => 0,
        Service::Server => 1 + u8::from(primary == Some(node.port)),
    };
    let mut sorted: Vec<&mut Node> = nodes.iter_mut().collect();
    sorted.sort_by_key(|node| order(node));
    sorted.into_iter().for_each(Node::stop);
}
