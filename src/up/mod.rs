//! `rekindle up`: one primary, its replicas and three sentinels on this machine, shown live, stopped together.
//!
//! Servers and sentinels are ordinary processes of this very program; the view asks each for `INFO` twice a second and shows what
//! an operator wants to know first: who is what, who lags behind, how much is going on, what the sentinels have seen. A key kills
//! the primary, another one brings back who is dead, so that a fail-over can be watched.
//!
//! ```text
//!   nodes.rs   processes: start, ask, kill, restart, stop
//!   events.rs  a thread that listens to the sentinels' events
//!   view.rs    the table on a terminal, or plain lines
//! ```

mod events;
mod nodes;
mod view;

use clap::Parser;
use nodes::Kind;
use std::fs;
use std::io::{self, IsTerminal, Write};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// The name that the sentinels know the primary by.
const NAME: &str = "mymaster";
/// Sentinels' ports are the servers' ports and this, as with Redis's defaults.
const SENTINEL_PORTS: u16 = 20_000;

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
    /// Print plain lines even on a terminal.
    #[arg(long)]
    plain: bool,
    /// Stop by itself after so many seconds.
    #[arg(long, value_name = "SECONDS")]
    seconds: Option<u64>,
}

impl Options {
    /// Who is to be started: what, and its port.
    fn cast(&self) -> Result<Vec<(Kind, u16)>, String> {
        let too_high = |option: &str| format!("the ports would go beyond 65535: choose a lower {option}");
        let range = |first: u16, n: u16, option: &str| {
            first.checked_add(n).map(|end| first..end).ok_or_else(|| too_high(option))
        };
        let count = self.replicas.checked_add(1).ok_or("that many replicas have no ports")?;
        let mut cast: Vec<(Kind, u16)> = range(self.port, count, "--port")?.map(|port| (Kind::Server, port)).collect();
        if self.sentinels > 0 {
            let derived = self.port.checked_add(SENTINEL_PORTS);
            let first = self.sentinel_port.or(derived).ok_or_else(|| too_high("--sentinel-port"))?;
            cast.extend(range(first, self.sentinels, "--sentinel-port")?.map(|port| (Kind::Sentinel, port)));
        }
        Ok(cast)
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
    let cast = options.cast()?;
    for (kind, port) in &cast {
        if TcpListener::bind(("127.0.0.1", *port)).is_err() {
            let option = if *kind == Kind::Server { "--port" } else { "--sentinel-port" };
            return Err(format!("port {port} is in use; choose another one with {option}, or stop what listens there"));
        }
    }
    let (base, temporary) = match &options.dir {
        Some(dir) => (dir.clone(), false),
        None => (std::env::temp_dir().join(format!("rekindle-up-{}", std::process::id())), true),
    };
    let stop = Arc::new(AtomicBool::new(false));
    // The last one comes when the terminal is closed.
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM, signal_hook::consts::SIGHUP] {
        signal_hook::flag::register(signal, stop.clone()).map_err(|e| format!("can't watch for signals: {e}"))?;
    }
    let mut nodes = Vec::new();
    let result = nodes::start_all(options, &cast, &base, &mut nodes).and_then(|()| {
        let sentinels = nodes.iter().filter(|n| n.kind == Kind::Sentinel).map(|n| n.port).collect();
        let events = events::Events::listen(sentinels);
        if options.plain || !io::stdout().is_terminal() {
            view::watch_plain(options, &mut nodes, &events, &stop)
        } else {
            view::watch_screen(options, &mut nodes, &events, &stop)
        }
    });
    nodes::stop_all(&mut nodes);
    if temporary {
        let _ = fs::remove_dir_all(&base);
    }
    result
}

fn done(options: &Options, started: Instant, stop: &AtomicBool) -> bool {
    stop.load(Ordering::Relaxed) || options.seconds.is_some_and(|s| started.elapsed().as_secs() >= s)
}
