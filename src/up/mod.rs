//! `rekindle up`: one primary, its replicas and three sentinels on this machine, shown live, stopped together.
//!
//! Servers and sentinels are ordinary processes of this very program. Threads ask and hear them; what they tell goes with its time into
//! one state, which says what is to be done, and from which the screen is drawn:
//!
//! ```text
//!   threads.rs ──Event──► state.rs ──Action──► nodes.rs      processes: start, kill, freeze, cut off, restart, stop
//!   load.rs               │ feed.rs      what has happened, in the words of words.rs
//!   (writes, and counts   │ failover.rs  how long a fail-over took, and where the time went
//!   what is lost)         │ info.rs      answers to INFO
//!                         ▼
//!                view.rs on a terminal, else plain.rs
//! ```

mod failover;
mod feed;
mod info;
mod load;
mod nodes;
mod plain;
mod state;
mod threads;
mod view;
mod words;

use clap::Parser;
use load::Shared;
use nodes::{Kind, Node};
use state::{Action, Condition, Event, State};
use std::fs;
use std::io::{self, IsTerminal, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// The name that the sentinels know the primary by.
const NAME: &str = "mymaster";
/// Sentinels' ports are the servers' ports and this, as with Redis's defaults.
const SENTINEL_PORTS: u16 = 20_000;
/// Writes a second of the load that a key switches on.
const LOAD_RATE: u32 = 1000;
/// How often plain lines of the processes are printed.
const PERIOD: Duration = Duration::from_secs(1);
/// The screen is drawn and processes are looked at so often where nothing else happens.
const TICK: Duration = Duration::from_millis(100);
/// The screen is drawn this often at most.
const DRAW_PERIOD: Duration = Duration::from_millis(50);
/// So many events are taken in before the screen is drawn.
const EVENTS_AT_ONCE: usize = 100;

/// Starts a primary, its replicas and sentinels on this machine and shows them; Ctrl-C stops them all.
#[derive(Parser, Debug)]
#[command(name = "rekindle up")]
struct Options {
    /// The first primary's port; the replicas take the ones after it.
    #[arg(long, default_value_t = 6379)]
    port: u16,
    /// How many replicas.
    #[arg(long, default_value_t = 2)]
    replicas: u16,
    /// How many sentinels; they need a majority of them to fail over.
    #[arg(long, default_value_t = 3)]
    sentinels: u16,
    /// The first sentinel's port; the others take the ones after it. Without it: the primary's and 20000.
    #[arg(long, value_name = "PORT")]
    sentinel_port: Option<u16>,
    /// How long the primary does not answer before the sentinels take it for dead.
    #[arg(long, value_name = "MILLISECONDS", default_value_t = 1000)]
    down_after: u64,
    /// The folder for data and logs, one folder in it for each process. Without it a temporary one is used and removed.
    #[arg(long)]
    dir: Option<PathBuf>,
    /// Begin with a load of so many writes a second; without it `w` switches one of 1000 on.
    #[arg(long, value_name = "WRITES", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    load: Option<u32>,
    /// Print plain lines even on a terminal.
    #[arg(long)]
    plain: bool,
    /// Stop by itself after so many seconds.
    #[arg(long, value_name = "SECONDS")]
    seconds: Option<u64>,
}

impl Options {
    /// What is to be started, and its port.
    fn planned(&self) -> Result<Vec<(Kind, u16)>, String> {
        let too_high = |option: &str| format!("the ports would go beyond 65535: choose a lower {option}");
        let range = |first: u16, n: u16, option: &str| {
            first.checked_add(n).map(|end| first..end).ok_or_else(|| too_high(option))
        };
        let count = self.replicas.checked_add(1).ok_or("that many replicas have no ports")?;
        let mut planned: Vec<(Kind, u16)> =
            range(self.port, count, "--port")?.map(|port| (Kind::Server, port)).collect();
        if self.sentinels > 0 {
            let derived = self.port.checked_add(SENTINEL_PORTS);
            let first = self.sentinel_port.or(derived).ok_or_else(|| too_high("--sentinel-port"))?;
            planned.extend(range(first, self.sentinels, "--sentinel-port")?.map(|port| (Kind::Sentinel, port)));
        }
        Ok(planned)
    }

    /// How many sentinels must agree that the primary is dead.
    fn quorum(&self) -> u16 {
        self.sentinels / 2 + 1
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
            // Where there is no terminal any more, nobody reads it.
            let _ = writeln!(io::stderr(), "rekindle up: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<(), String> {
    let planned = options.planned()?;
    for (kind, port) in &planned {
        if TcpListener::bind(("127.0.0.1", *port)).is_err() {
            let option = if *kind == Kind::Server { "--port" } else { "--sentinel-port" };
            return Err(format!("port {port} is in use; choose another one with {option}, or stop what listens there"));
        }
    }
    // Sockets have short paths, so they are not in the folder that was asked for.
    let scratch = std::env::temp_dir().join(format!("rekindle-up-{}", std::process::id()));
    fs::create_dir_all(&scratch).map_err(|e| format!("can't write to the folder {}: {e}", scratch.display()))?;
    let base = options.dir.clone().unwrap_or_else(|| scratch.clone());
    let stop = Arc::new(AtomicBool::new(false));
    // The last one comes when the terminal is closed.
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM, signal_hook::consts::SIGHUP] {
        signal_hook::flag::register(signal, stop.clone()).map_err(|e| format!("can't watch for signals: {e}"))?;
    }
    let mut nodes = Vec::new();
    let mut state = State::new(&planned, options.load.unwrap_or(LOAD_RATE), options.load.is_some());
    let result = nodes::start_all(options, &planned, &base, &scratch, &mut nodes)
        .and_then(|()| watch(options, &mut nodes, &mut state, &base, &stop));
    nodes::stop_all(&mut nodes, state.primary());
    let _ = fs::remove_dir_all(&scratch);
    result
}

/// Shows all until it is to end.
fn watch(
    options: &Options,
    nodes: &mut [Node],
    state: &mut State,
    base: &Path,
    stop: &AtomicBool,
) -> Result<(), String> {
    let on_terminal = !options.plain && io::stdout().is_terminal();
    let mut screen = if on_terminal { Some(Screen::open(base)?) } else { None };
    let shared = Arc::new(Shared::default());
    shared.is_on.store(options.load.is_some(), Ordering::Relaxed);
    let start = Instant::now();
    let rate = options.load.unwrap_or(LOAD_RATE);
    let events = threads::start(nodes, start, rate, &shared, on_terminal)?;
    if !on_terminal {
        plain::print(&format!(
            "primary 127.0.0.1:{}, {} replicas, {} sentinels; Ctrl-C stops them",
            options.port, options.replicas, options.sentinels
        ))?;
    }
    let mut next_lines = PERIOD;
    let mut drawn = None;
    let result = loop {
        let now = start.elapsed();
        if stop.load(Ordering::Relaxed) || options.seconds.is_some_and(|seconds| now.as_secs() >= seconds) {
            break Ok(());
        }
        for (node, process) in nodes.iter_mut().enumerate() {
            if state.nodes[node].condition != Condition::Ended && process.has_ended() {
                state.apply(now, Event::Ended { node });
            }
        }
        if let Ok(event) = events.recv_timeout(TICK) {
            let mut is_over = false;
            for event in std::iter::once(event).chain(events.try_iter().take(EVENTS_AT_ONCE)) {
                let now = start.elapsed();
                let Some(action) = state.apply(now, event) else { continue };
                is_over |= action == Action::Quit;
                let result = perform(action, nodes, state, &shared);
                state.done(start.elapsed(), action, result);
            }
            if is_over {
                break Ok(());
            }
        }
        shared.primary.store(state.primary().unwrap_or(0), Ordering::Relaxed);
        let shown = match &mut screen {
            Some(_) if drawn.is_some_and(|at: Instant| at.elapsed() < DRAW_PERIOD) => Ok(()),
            Some(screen) => {
                drawn = Some(Instant::now());
                screen.draw(state, start.elapsed())
            }
            None => plain::print_events(state).and_then(|()| {
                if start.elapsed() < next_lines {
                    return Ok(());
                }
                next_lines += PERIOD;
                plain::print_nodes(state, start.elapsed())
            }),
        };
        if let Err(error) = shown {
            break Err(error);
        }
    };
    if let Some(screen) = screen {
        screen.close(result.is_err());
    }
    result
}

/// Does what was asked for.
fn perform(action: Action, nodes: &mut [Node], state: &State, shared: &Shared) -> Result<(), String> {
    match action {
        Action::Kill(node) => {
            nodes[node].kill();
            Ok(())
        }
        Action::Freeze(node) => nodes[node].freeze(),
        Action::Thaw(node) => nodes[node].thaw(),
        Action::CutOff(node) => nodes[node].cut_off(),
        Action::Reconnect(node) => nodes[node].reconnect(),
        Action::Restart(node) => nodes[node].restart(),
        Action::HandOver(to) => hand_over(to, nodes, state),
        Action::Load(on) => {
            shared.is_on.store(on, Ordering::Relaxed);
            Ok(())
        }
        Action::Quit => Ok(()),
    }
}

/// Sentinels choose the replica and have the primary wait for it; where there are none the primary itself hands over.
fn hand_over(to: Option<usize>, nodes: &[Node], state: &State) -> Result<(), String> {
    let is_running = |node: &usize| state.nodes[*node].condition == Condition::Running;
    let of_kind = |kind: Kind| (0..nodes.len()).filter(move |node| nodes[*node].kind == kind);
    if of_kind(Kind::Sentinel).next().is_some() {
        let sentinel = of_kind(Kind::Sentinel).find(is_running).ok_or("no sentinel is running")?;
        return nodes[sentinel].door().call(&[b"SENTINEL", b"FAILOVER", NAME.as_bytes()]).map(drop);
    }
    let primary = of_kind(Kind::Server).find(|node| Some(nodes[*node].port) == state.primary());
    let door = nodes[primary.ok_or("there is no primary")?].door();
    let port = to.map(|node| nodes[node].port.to_string());
    let mut words: Vec<&[u8]> = vec![b"FAILOVER"];
    if let Some(port) = &port {
        words.extend([&b"TO"[..], b"127.0.0.1", port.as_bytes()]);
    }
    words.extend([&b"TIMEOUT"[..], b"5000"]);
    door.call(&words).map(drop)
}

/// The terminal.
struct Screen {
    terminal: ratatui::DefaultTerminal,
    folder: String,
}

impl Screen {
    fn open(base: &Path) -> Result<Self, String> {
        let terminal = ratatui::try_init().map_err(|e| format!("can't use the terminal: {e}; try --plain"))?;
        Ok(Self { terminal, folder: base.display().to_string() })
    }

    fn draw(&mut self, state: &State, now: Duration) -> Result<(), String> {
        let drawn = self.terminal.draw(|frame| view::draw(frame, state, &self.folder, now));
        drawn.map(drop).map_err(|e| format!("can't draw on the terminal: {e}; try --plain"))
    }

    fn close(self, has_failed: bool) {
        if ratatui::try_restore().is_err() || has_failed {
            // The terminal is gone. Its end would complain of that to the same terminal, and panic.
            std::mem::forget(self.terminal);
        }
    }
}
