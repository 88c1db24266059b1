//! `rekindle up`: one primary, its replicas and three sentinels on this machine, shown live, stopped together.
//!
//! Servers and sentinels are ordinary processes of this very program. Threads ask and hear them; what they tell goes with its time into
//! one state, which says what is to be done, and from which the screen is drawn:
//!
//! ```text
//!   threads.rs ──Event──► state.rs ──Action──► nodes.rs      processes: start, kill, freeze, cut off, restart, stop (error.rs: what fails)
//!   load.rs               │ feed.rs      what has happened, in the words of words.rs
//!   (writes, and counts   │ failover.rs  how long a fail-over took, and where the time went
//!   what is lost)         │ info.rs      answers to INFO
//!                         ▼
//!                view.rs on a terminal, else plain.rs
//! ```

mod error;
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
use error::Error;
use load::Shared;
use nodes::{Node, Service};
use state::{Action, Condition, Event, State};
use std::fs;
use std::io::{self, IsTerminal, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

/// The name that the sentinels know the primary by.
const NAME: &str = "mymaster";
/// Sentinels' ports are the servers' ports and this, as with Redis's defaults.
const SENTINEL_PORTS: u16 = 20_000;
/// Writes a second of the load that a key switches on.
const LOAD_RATE: u32 = 1000;
/// How often plain lines of the processes are printed.
const PERIOD: Duration = Duration::from_secs(1);
/// How often the screen is drawn and processes are looked at where nothing else happens.
const TICK: Duration = Duration::from_millis(100);
/// How often the screen is drawn at most.
const DRAW_PERIOD: Duration = Duration::from_millis(50);
/// How many events are taken in at most before the screen is drawn.
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
    /// Begin with a load of this many writes a second; without it `w` switches one of 1000 on.
    #[arg(long, value_name = "WRITES", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    load: Option<u32>,
    /// Print plain lines even on a terminal.
    #[arg(long)]
    plain: bool,
    /// Stop by itself after this many seconds.
    #[arg(long, value_name = "SECONDS")]
    seconds: Option<u64>,
}

impl Options {
    /// What is to be started, and its port.
    fn planned(&self) -> Result<Vec<(Service, u16)>, Error> {
        let range = |first: u16, n: u16, option: &'static str| {
            first.checked_add(n).map(|end| first..end).ok_or(Error::PortsTooHigh { option })
        };
        let count = self.replicas.checked_add(1).ok_or(Error::TooManyReplicas)?;
        let mut planned: Vec<(Service, u16)> =
            range(self.port, count, "--port")?.map(|port| (Service::Server, port)).collect();
        if self.sentinels > 0 {
            let derived = self.port.checked_add(SENTINEL_PORTS);
            let first = self.sentinel_port.or(derived).ok_or(Error::PortsTooHigh { option: "--sentinel-port" })?;
            planned.extend(range(first, self.sentinels, "--sentinel-port")?.map(|port| (Service::Sentinel, port)));
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

fn run(options: &Options) -> Result<(), Error> {
    let planned = options.planned()?;
    for (service, port) in &planned {
        if TcpListener::bind(("127.0.0.1", *port)).is_err() {
            let option = if *service == Service::Server { "--port" } else { "--sentinel-port" };
            return Err(Error::PortInUse { port: *port, option });
        }
    }
    // Sockets have short paths, so they are not in the folder that was asked for.
    let scratch = std::env::temp_dir().join(format!("rekindle-up-{}", std::process::id()));
    fs::create_dir_all(&scratch).map_err(|error| Error::Folder { path: scratch.clone(), error })?;
    let base = options.dir.clone().unwrap_or_else(|| scratch.clone());
    let stop = Arc::new(AtomicBool::new(false));
    // The last one comes when the terminal is closed.
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM, signal_hook::consts::SIGHUP] {
        signal_hook::flag::register(signal, stop.clone()).map_err(Error::Signals)?;
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
) -> Result<(), Error> {
    let on_terminal = !options.plain && io::stdout().is_terminal();
    let mut display = if on_terminal { Display::Screen(Screen::open(base)?) } else { Display::plain(options)? };
    let shared = Arc::new(Shared::default());
    shared.is_on.store(options.load.is_some(), Ordering::Relaxed);
    let start = Instant::now();
    let rate = options.load.unwrap_or(LOAD_RATE);
    let events = threads::start(nodes, start, rate, &shared, on_terminal)?;
    let is_over =
        |now: Duration| stop.load(Ordering::Relaxed) || options.seconds.is_some_and(|seconds| now.as_secs() >= seconds);
    let mut result = Ok(true);
    while matches!(result, Ok(true)) && !is_over(start.elapsed()) {
        for (node, process) in nodes.iter_mut().enumerate() {
            if state.nodes[node].condition != Condition::Ended && process.has_ended() {
                state.apply(start.elapsed(), Event::Ended { node });
            }
        }
        let goes_on = take_events(&events, start, nodes, state, &shared);
        shared.primary.store(state.primary().unwrap_or(0), Ordering::Relaxed);
        result = display.show(state, start.elapsed()).map(|()| goes_on);
    }
    display.close(result.is_err());
    result.map(drop)
}

/// Takes in the events that have come, after a wait for the first one, and does what they ask for. Says whether the program goes on.
fn take_events(
    events: &mpsc::Receiver<Event>,
    start: Instant,
    nodes: &mut [Node],
    state: &mut State,
    shared: &Shared,
) -> bool {
    let Ok(first) = events.recv_timeout(TICK) else { return true };
    for event in std::iter::once(first).chain(events.try_iter().take(EVENTS_AT_ONCE)) {
        let Some(action) = state.apply(start.elapsed(), event) else { continue };
        if action == Action::Quit {
            return false;
        }
        let result = perform(action, nodes, state, shared);
        state.done(start.elapsed(), action, result);
    }
    true
}

/// Where the state is shown.
enum Display {
    Screen(Screen),
    /// The lines of the processes are due at `next`.
    Plain {
        next: Duration,
    },
}

impl Display {
    fn plain(options: &Options) -> Result<Self, Error> {
        plain::print(&format!(
            "primary 127.0.0.1:{}, {} replicas, {} sentinels; Ctrl-C stops them",
            options.port, options.replicas, options.sentinels
        ))?;
        Ok(Self::Plain { next: PERIOD })
    }

    fn show(&mut self, state: &mut State, now: Duration) -> Result<(), Error> {
        match self {
            Self::Screen(screen) => screen.draw(state, now),
            Self::Plain { next } => {
                plain::print_events(state)?;
                if now < *next {
                    return Ok(());
                }
                *next += PERIOD;
                plain::print_nodes(state, now)
            }
        }
    }

    fn close(self, has_failed: bool) {
        match self {
            Self::Screen(screen) => screen.close(has_failed),
            Self::Plain { .. } => {}
        }
    }
}

/// Does what was asked for.
fn perform(action: Action, nodes: &mut [Node], state: &State, shared: &Shared) -> Result<(), Error> {
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

/// Has the primary hand over to a replica: the sentinels choose it, and where there are none the primary hands over to `to`.
fn hand_over(to: Option<usize>, nodes: &[Node], state: &State) -> Result<(), Error> {
    let is_running = |node: &usize| state.nodes[*node].condition == Condition::Running;
    let of_service = |service: Service| (0..nodes.len()).filter(move |node| nodes[*node].service == service);
    if of_service(Service::Sentinel).next().is_some() {
        let sentinel = of_service(Service::Sentinel).find(is_running).ok_or(Error::NoSentinel)?;
        return nodes[sentinel].endpoint().call(&[b"SENTINEL", b"FAILOVER", NAME.as_bytes()]).map(drop);
    }
    let primary = of_service(Service::Server).find(|node| Some(nodes[*node].port) == state.primary());
    let endpoint = nodes[primary.ok_or(Error::NoPrimary)?].endpoint();
    let port = to.map(|node| nodes[node].port.to_string());
    let mut words: Vec<&[u8]> = vec![b"FAILOVER"];
    if let Some(port) = &port {
        words.extend([&b"TO"[..], b"127.0.0.1", port.as_bytes()]);
    }
    words.extend([&b"TIMEOUT"[..], b"5000"]);
    endpoint.call(&words).map(drop)
}

/// The terminal.
struct Screen {
    terminal: ratatui::DefaultTerminal,
    folder: String,
    /// When it was drawn last.
    drawn: Option<Duration>,
}

impl Screen {
    fn open(base: &Path) -> Result<Self, Error> {
        let terminal = ratatui::try_init().map_err(Error::Terminal)?;
        Ok(Self { terminal, folder: base.display().to_string(), drawn: None })
    }

    fn draw(&mut self, state: &State, now: Duration) -> Result<(), Error> {
        if self.drawn.is_some_and(|at| now < at + DRAW_PERIOD) {
            return Ok(());
        }
        self.drawn = Some(now);
        let drawn = self.terminal.draw(|frame| view::draw(frame, state, &self.folder, now));
        drawn.map(drop).map_err(Error::Terminal)
    }

    fn close(self, has_failed: bool) {
        if ratatui::try_restore().is_err() || has_failed {
            // The terminal is gone. Its end would complain of that to the same terminal, and panic.
            std::mem::forget(self.terminal);
        }
    }
}
