//! The processes of `rekindle up`.

use super::{NAME, Options};
use crate::wire::Connection;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long a process may take to start or stop.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a process is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A primary or a replica, as it happens.
    Server,
    /// A sentinel.
    Sentinel,
}

/// One process.
#[derive(Debug)]
pub struct Node {
    pub kind: Kind,
    pub port: u16,
    pub folder: PathBuf,
    process: Child,
    connection: Option<Connection>,
    pub seen: Seen,
}

/// What a process said last.
#[derive(Default, Debug, Clone)]
pub struct Seen {
    /// It answered.
    pub up: bool,
    info: BTreeMap<String, String>,
}

impl Seen {
    /// A field of INFO, empty where there is none.
    pub fn get(&self, field: &str) -> &str {
        self.info.get(field).map_or("", String::as_str)
    }

    /// A number among the fields of INFO, 0 where there is none.
    pub fn number(&self, field: &str) -> i64 {
        self.get(field).parse().unwrap_or(0)
    }

    /// Whether this is the primary.
    pub fn is_primary(&self) -> bool {
        self.up && self.get("role") == "master"
    }

    /// One of the values in a field of the form `name=value,name=value`.
    pub fn part(&self, field: &str, name: &str) -> &str {
        let parts = self.get(field).split(',');
        parts.filter_map(|p| p.split_once('=')).find_map(|(n, v)| (n == name).then_some(v)).unwrap_or("")
    }
}

/// Starts all and waits until they answer: servers, then sentinels, that these find all replicas at the first look.
pub fn start_all(options: &Options, cast: &[(Kind, u16)], base: &Path, nodes: &mut Vec<Node>) -> Result<(), String> {
    for kind in [Kind::Server, Kind::Sentinel] {
        let first = nodes.len();
        for (_, port) in cast.iter().filter(|(k, _)| *k == kind) {
            let folder = base.join(port.to_string());
            let failed =
                |e| format!("can't write to the folder {}: {e}; choose another one with --dir", folder.display());
            fs::create_dir_all(&folder).map_err(failed)?;
            let file = folder.join("conf");
            // What an earlier run has learnt is kept: roles may have changed.
            if !file.exists() {
                fs::write(&file, configuration(options, kind, *port, &folder)).map_err(failed)?;
            }
            let process = spawn(kind, &file)?;
            nodes.push(Node { kind, port: *port, folder, process, connection: None, seen: Seen::default() });
        }
        let deadline = Instant::now() + PATIENCE;
        for node in &mut nodes[first..] {
            while !(node.ask() && node.is_linked()) {
                let late = Instant::now() > deadline;
                if node.is_dead() || (late && !node.seen.up) {
                    return Err(format!("the process on port {} did not start:\n{}", node.port, node.last_words()));
                }
                if late {
                    break;
                }
                std::thread::sleep(Duration::from_millis(20));
            }
        }
    }
    Ok(())
}

fn configuration(options: &Options, kind: Kind, port: u16, folder: &Path) -> String {
    let quoted = |path: &Path| {
        let mut text = Vec::new();
        base::text::quote(path.display().to_string().as_bytes(), &mut text);
        String::from_utf8_lossy(&text).into_owned()
    };
    let (dir, log) = (quoted(folder), quoted(&folder.join("log")));
    let mut text = format!("port {port}\nbind 127.0.0.1\ndir {dir}\nlogfile {log}\n");
    match kind {
        Kind::Server => {
            text += "repl-diskless-sync-delay 0\n";
            if port != options.port {
                text += &format!("replicaof 127.0.0.1 {}\n", options.port);
            }
        }
        Kind::Sentinel => {
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

fn spawn(kind: Kind, file: &Path) -> Result<Child, String> {
    let program = std::env::current_exe().map_err(|e| format!("can't find this program: {e}"))?;
    let mut command = Command::new(program);
    command.arg(if kind == Kind::Server { "server" } else { "sentinel" }).arg(file);
    // A process group of its own: Ctrl-C reaches this program, which then stops the others in order.
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().map_err(|e| format!("can't start a process: {e}"))
}

impl Node {
    /// Asks for INFO; whether it answered.
    pub fn ask(&mut self) -> bool {
        // A fail-over closes the connections of clients, so one that is lost tells nothing yet.
        let had_connection = self.connection.is_some();
        let mut text = self.info();
        if text.is_none() && had_connection {
            text = self.info();
        }
        self.seen.up = text.is_some();
        if let Some(text) = text {
            let pairs = text.lines().filter_map(|l| l.split_once(':')).map(|(k, v)| (k.to_owned(), v.to_owned()));
            self.seen.info = pairs.collect();
        }
        self.seen.up
    }

    fn info(&mut self) -> Option<String> {
        if self.connection.is_none() {
            let connection = Connection::tcp("127.0.0.1", self.port, Duration::from_millis(300)).ok()?;
            connection.set_read_timeout(Some(Duration::from_secs(1))).ok()?;
            self.connection = Some(connection);
        }
        let answer = self.connection.as_mut()?.call(&[b"INFO"]).ok();
        let text = answer.as_ref().and_then(|a| a.as_bytes()).map(|t| String::from_utf8_lossy(t).into_owned());
        if text.is_none() {
            self.connection = None;
        }
        text
    }

    /// Whether it is no replica whose link is down.
    fn is_linked(&self) -> bool {
        self.seen.get("master_link_status") != "down"
    }

    fn is_dead(&mut self) -> bool {
        self.process.try_wait().ok().flatten().is_some()
    }

    /// Kills it as a power cut would.
    pub fn kill(&mut self) {
        // One that has ended by itself needs no killing.
        let _ = self.process.kill();
        let _ = self.process.wait();
        self.connection = None;
        self.seen.up = false;
    }

    /// Starts it again if it is dead.
    pub fn restart(&mut self) -> Result<(), String> {
        if self.is_dead() {
            self.process = spawn(self.kind, &self.folder.join("conf"))?;
        }
        Ok(())
    }

    fn last_words(&self) -> String {
        let log = fs::read_to_string(self.folder.join("log")).unwrap_or_default();
        let mut last: Vec<&str> = log.lines().rev().take(3).collect();
        last.reverse();
        last.join("\n")
    }
}

impl Drop for Node {
    /// Nothing is left behind, whatever happens to this program.
    fn drop(&mut self) {
        if !self.is_dead() {
            self.kill();
        }
    }
}

/// Stops all in order.
pub fn stop_all(nodes: &mut [Node]) {
    // Sentinels first, that they start no fail-over; then replicas, that they do not see their primary vanish.
    let order = |node: &Node| match (node.kind, node.seen.is_primary()) {
        (Kind::Sentinel, _) => 0,
        (Kind::Server, false) => 1,
        (Kind::Server, true) => 2,
    };
    let mut sorted: Vec<&mut Node> = nodes.iter_mut().collect();
    sorted.sort_by_key(|node| order(node));
    for node in sorted {
        if node.is_dead() {
            continue;
        }
        if let Ok(mut connection) = Connection::tcp("127.0.0.1", node.port, Duration::from_millis(300)) {
            let _ = connection.set_read_timeout(Some(Duration::from_secs(2)));
            let _ = connection.call(&[b"SHUTDOWN", b"NOW"]);
        }
        let deadline = Instant::now() + PATIENCE;
        while !node.is_dead() {
            if Instant::now() > deadline {
                node.kill();
                break;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}
