//! `rekindle up`: one primary and its replicas on this machine, shown live, stopped together.
//!
//! The servers are ordinary processes of this very program; the view asks each for `INFO` twice a
//! second and shows what an operator wants to know first: who is what, who lags behind, how much is going on.

use crate::wire::Connection;
use clap::Parser;
use ratatui::layout::Constraint;
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::Line;
use ratatui::widgets::{Block, Paragraph, Row, Table};
use std::collections::BTreeMap;
use std::fs;
use std::io::{self, IsTerminal};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How often the servers are asked.
const PERIOD: Duration = Duration::from_millis(500);
/// How long a server may take to start or stop.
const PATIENCE: Duration = Duration::from_secs(10);

/// Starts a primary and its replicas on this machine and shows them; Ctrl-C stops them all.
#[derive(Parser, Debug)]
#[command(name = "rekindle up")]
struct Options {
    /// The primary's port; the replicas take the ones after it.
    #[arg(long, default_value_t = 6379)]
    port: u16,
    /// How many replicas.
    #[arg(long, default_value_t = 2)]
    replicas: u16,
    /// The folder for data and logs, one folder in it for each server. Without it a temporary one is used and removed.
    #[arg(long)]
    dir: Option<PathBuf>,
    /// Print plain lines even on a terminal.
    #[arg(long)]
    plain: bool,
    /// Stop by itself after so many seconds.
    #[arg(long, value_name = "SECONDS")]
    seconds: Option<u64>,
}

/// One server.
struct Node {
    port: u16,
    folder: PathBuf,
    process: Child,
    connection: Option<Connection>,
    seen: Seen,
}

/// What a server said last.
#[derive(Default, Clone)]
struct Seen {
    up: bool,
    info: BTreeMap<String, String>,
}

impl Seen {
    fn get(&self, field: &str) -> &str {
        self.info.get(field).map_or("", String::as_str)
    }

    fn number(&self, field: &str) -> i64 {
        self.get(field).parse().unwrap_or(0)
    }
}

/// Runs the command with these arguments.
pub fn main(args: &[String]) -> ExitCode {
    let options = match Options::try_parse_from(std::iter::once("rekindle up".to_owned()).chain(args.iter().cloned())) {
        Ok(options) => options,
        Err(error) => {
            let _ = error.print();
            return if error.use_stderr() { ExitCode::FAILURE } else { ExitCode::SUCCESS };
        }
    };
    match run(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("rekindle up: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<(), String> {
    let last =
        options.port.checked_add(options.replicas).ok_or("the ports would go beyond 65535: choose a lower --port")?;
    for port in options.port..=last {
        if TcpListener::bind(("127.0.0.1", port)).is_err() {
            return Err(format!("port {port} is in use; choose another one with --port, or stop what listens there"));
        }
    }
    let (base, temporary) = match &options.dir {
        Some(dir) => (dir.clone(), false),
        None => (std::env::temp_dir().join(format!("rekindle-up-{}", std::process::id())), true),
    };
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        signal_hook::flag::register(signal, stop.clone()).map_err(|e| format!("can't watch for signals: {e}"))?;
    }
    let mut nodes = Vec::new();
    let result = start_all(options, &base, &mut nodes).and_then(|()| {
        if options.plain || !io::stdout().is_terminal() {
            watch_plain(options, &mut nodes, &stop)
        } else {
            watch_screen(options, &mut nodes, &stop)
        }
    });
    stop_all(&mut nodes);
    if temporary {
        let _ = fs::remove_dir_all(&base);
    }
    result
}

fn start_all(options: &Options, base: &Path, nodes: &mut Vec<Node>) -> Result<(), String> {
    for i in 0..=options.replicas {
        let port = options.port + i;
        let folder = base.join(port.to_string());
        fs::create_dir_all(&folder)
            .map_err(|e| format!("can't make the folder {}: {e}; choose another one with --dir", folder.display()))?;
        nodes.push(start(port, &folder, (i > 0).then_some(options.port))?);
    }
    let deadline = Instant::now() + PATIENCE;
    for node in nodes.iter_mut() {
        while !node.ask() {
            if node.process.try_wait().ok().flatten().is_some() || Instant::now() > deadline {
                let log = fs::read_to_string(node.folder.join("log")).unwrap_or_default();
                let last: Vec<&str> = log.lines().rev().take(3).collect();
                return Err(format!(
                    "the server on port {} did not start:\n{}",
                    node.port,
                    last.into_iter().rev().collect::<Vec<_>>().join("\n")
                ));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
    Ok(())
}

fn start(port: u16, folder: &Path, primary: Option<u16>) -> Result<Node, String> {
    let program = std::env::current_exe().map_err(|e| format!("can't find this program: {e}"))?;
    let mut command = Command::new(program);
    command.arg("server").args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--repl-diskless-sync-delay", "0"]);
    command.arg("--dir").arg(folder).arg("--logfile").arg(folder.join("log"));
    if let Some(primary) = primary {
        command.args(["--replicaof", "127.0.0.1", &primary.to_string()]);
    }
    // A process group of its own: Ctrl-C reaches this program, which then stops the servers in order.
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    let process =
        command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().map_err(|e| format!("can't start a server: {e}"))?;
    Ok(Node { port, folder: folder.to_owned(), process, connection: None, seen: Seen::default() })
}

impl Node {
    /// Asks for INFO; whether it answered.
    fn ask(&mut self) -> bool {
        if self.connection.is_none() {
            self.connection = Connection::tcp("127.0.0.1", self.port, Duration::from_millis(300)).ok();
            if let Some(connection) = &self.connection {
                let _ = connection.set_read_timeout(Some(Duration::from_secs(1)));
            }
        }
        let answer = self.connection.as_mut().and_then(|c| c.call(&[b"INFO"]).ok());
        let text = answer.as_ref().and_then(|a| a.as_bytes()).map(String::from_utf8_lossy);
        match text {
            Some(text) => {
                let pairs = text.lines().filter_map(|l| l.split_once(':')).map(|(k, v)| (k.to_owned(), v.to_owned()));
                self.seen = Seen { up: true, info: pairs.collect() };
            }
            None => {
                self.connection = None;
                self.seen.up = false;
            }
        }
        self.seen.up
    }
}

fn stop_all(nodes: &mut [Node]) {
    // Replicas first, so that they do not see their primary vanish.
    for node in nodes.iter_mut().rev() {
        if let Ok(mut connection) = Connection::tcp("127.0.0.1", node.port, Duration::from_millis(300)) {
            let _ = connection.set_read_timeout(Some(Duration::from_secs(2)));
            let _ = connection.call(&[b"SHUTDOWN", b"NOW"]);
        }
        let deadline = Instant::now() + PATIENCE;
        while node.process.try_wait().ok().flatten().is_none() {
            if Instant::now() > deadline {
                let _ = node.process.kill();
                let _ = node.process.wait();
                break;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

/// What is shown of a node: its cells, and whether all is well with it.
fn cells(node: &Node, primary_offset: i64) -> ([String; 8], bool) {
    let seen = &node.seen;
    if !seen.up {
        return (
            [
                node.port.to_string(),
                "down".into(),
                String::new(),
                String::new(),
                String::new(),
                String::new(),
                String::new(),
                String::new(),
            ],
            false,
        );
    }
    let replica = seen.get("role") == "slave";
    let offset = seen.number("master_repl_offset");
    let link = if replica { seen.get("master_link_status") } else { "-" };
    let behind = if replica { (primary_offset - offset).max(0).to_string() } else { "-".into() };
    let keys = seen.get("db0").split(',').find_map(|f| f.strip_prefix("keys=")).unwrap_or("0");
    let row = [
        node.port.to_string(),
        if replica { "replica".into() } else { format!("primary of {}", seen.get("connected_slaves")) },
        link.to_owned(),
        offset.to_string(),
        behind,
        seen.get("instantaneous_ops_per_sec").to_owned(),
        keys.to_owned(),
        seen.get("used_memory_human").to_owned(),
    ];
    (row, !replica || link == "up")
}

const TITLES: [&str; 8] = ["port", "role", "link", "offset", "bytes behind", "ops/s", "keys", "memory"];

fn primary_offset(nodes: &[Node]) -> i64 {
    nodes
        .iter()
        .filter(|n| n.seen.get("role") == "master")
        .map(|n| n.seen.number("master_repl_offset"))
        .max()
        .unwrap_or(0)
}

fn done(options: &Options, started: Instant, stop: &AtomicBool) -> bool {
    stop.load(Ordering::Relaxed) || options.seconds.is_some_and(|s| started.elapsed().as_secs() >= s)
}

fn watch_plain(options: &Options, nodes: &mut [Node], stop: &AtomicBool) -> Result<(), String> {
    let started = Instant::now();
    println!("primary 127.0.0.1:{}, {} replicas; Ctrl-C stops them", options.port, options.replicas);
    let mut next = Instant::now();
    while !done(options, started, stop) {
        if Instant::now() < next {
            std::thread::sleep(Duration::from_millis(50));
            continue;
        }
        next += PERIOD * 2;
        nodes.iter_mut().for_each(|n| {
            n.ask();
        });
        let end = primary_offset(nodes);
        for node in nodes.iter() {
            let (row, _) = cells(node, end);
            let pairs: Vec<String> = TITLES
                .iter()
                .zip(&row)
                .map(|(t, c)| format!("{}={}", t.replace(' ', "_"), c.replace(' ', "_")))
                .collect();
            println!("{}", pairs.join(" "));
        }
    }
    Ok(())
}

fn watch_screen(options: &Options, nodes: &mut [Node], stop: &AtomicBool) -> Result<(), String> {
    use ratatui::crossterm::event::{self, Event, KeyCode, KeyModifiers};
    let mut terminal = ratatui::try_init().map_err(|e| format!("can't use the terminal: {e}; try --plain"))?;
    let started = Instant::now();
    let mut result = Ok(());
    while !done(options, started, stop) {
        nodes.iter_mut().for_each(|n| {
            n.ask();
        });
        if let Err(error) = terminal.draw(|frame| draw(frame, options, nodes, started)) {
            result = Err(format!("can't draw on the terminal: {error}; try --plain"));
            break;
        }
        let next = Instant::now() + PERIOD;
        let mut leave = false;
        while let Some(left) = next.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) {
            if event::poll(left.min(Duration::from_millis(100))).unwrap_or(false)
                && let Ok(Event::Key(key)) = event::read()
            {
                let ctrl_c = key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL);
                leave |= ctrl_c || key.code == KeyCode::Char('q') || key.code == KeyCode::Esc;
            }
            if leave || stop.load(Ordering::Relaxed) {
                break;
            }
        }
        if leave {
            break;
        }
    }
    ratatui::restore();
    result
}

fn draw(frame: &mut ratatui::Frame, options: &Options, nodes: &[Node], started: Instant) {
    let end = primary_offset(nodes);
    let rows = nodes.iter().map(|node| {
        let (row, well) = cells(node, end);
        let color = match (node.seen.up, well) {
            (true, true) => Color::Reset,
            (true, false) => Color::Yellow,
            (false, _) => Color::Red,
        };
        Row::new(row).style(Style::new().fg(color))
    });
    let widths = [7, 14, 6, 16, 14, 10, 12, 10].map(Constraint::Length);
    let title = format!(" Rekindle: a primary and {} replicas, {} s ", options.replicas, started.elapsed().as_secs());
    let header = Row::new(TITLES).style(Style::new().add_modifier(Modifier::BOLD));
    let table = Table::new(rows, widths).header(header).block(Block::bordered().title(title));
    let [top, bottom] =
        ratatui::layout::Layout::vertical([Constraint::Length(nodes.len() as u16 + 3), Constraint::Min(4)])
            .areas(frame.area());
    frame.render_widget(table, top);
    let folder = nodes.first().and_then(|n| n.folder.parent()).map_or(String::new(), |p| p.display().to_string());
    let help = vec![
        Line::from(format!("write to the primary:   redis-cli -p {} set greeting hello", options.port)),
        Line::from(format!("read from a replica:    redis-cli -p {} get greeting", options.port + 1)),
        Line::from(format!("logs and data are in:   {folder}")),
        Line::from("Ctrl-C or q stops all"),
    ];
    frame.render_widget(Paragraph::new(help), bottom);
}
