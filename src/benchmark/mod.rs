//! `rekindle benchmark`: throughput and latency of any server that speaks the protocol, with redis-benchmark's options,
//! tests and output.
//!
//! This file holds the options and the tests; [`load`] drives the connections, [`report`] prints.
//! Limits: no TLS and no cluster mode yet.

mod load;
mod report;

use crate::uri::Target;
use crate::wire::Connection;
use clap::Parser;
use hdrhistogram::Histogram;
use load::{Plan, Shared};
use report::{CSV_HEADER, Outcome};
use std::io::{Read, Write};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How often the progress line is renewed.
const PROGRESS_PERIOD: Duration = Duration::from_millis(250);

/// Measures a server's throughput and latency.
#[derive(Parser, Debug)]
#[command(name = "rekindle benchmark", disable_help_flag = true, version)]
struct Options {
    /// The server's name or address.
    #[arg(short = 'h', default_value = "127.0.0.1")]
    host: String,
    /// The server's port.
    #[arg(short = 'p', default_value_t = 6379)]
    port: u16,
    /// The server's Unix socket, in place of host and port.
    #[arg(short = 's')]
    socket: Option<String>,
    /// The password.
    #[arg(short = 'a')]
    password: Option<String>,
    /// The ACL user that the password belongs to.
    #[arg(long)]
    user: Option<String>,
    /// Everything about the server as a URI: redis://user:password@host:port/db.
    #[arg(short = 'u')]
    uri: Option<String>,
    /// How many connections.
    #[arg(short = 'c', default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    clients: u32,
    /// How many requests in each test.
    #[arg(short = 'n', default_value_t = 100_000)]
    requests: u64,
    /// How many bytes a value has.
    #[arg(short = 'd', default_value_t = 3)]
    size: usize,
    /// The database.
    #[arg(long, default_value_t = 0)]
    dbnum: i64,
    /// Speak RESP3.
    #[arg(short = '3')]
    resp3: bool,
    /// How many threads drive the connections.
    #[arg(long, default_value_t = 0)]
    threads: usize,
    /// Turn CLIENT TRACKING on first.
    #[arg(long)]
    enable_tracking: bool,
    /// 1: use connections again; 0: connect anew for each batch.
    #[arg(short = 'k', default_value_t = 1)]
    keep_alive: u8,
    /// Put random numbers below this one in place of __rand_int__, which the tests use in keys and members.
    #[arg(short = 'r')]
    random: Option<u64>,
    /// How many requests are sent before their replies are waited for.
    #[arg(short = 'P', default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pipeline: u32,
    /// Print one line for each test.
    #[arg(short = 'q')]
    quiet: bool,
    /// Accepted for compatibility: an error always stops the run and is shown.
    #[arg(short = 'e')]
    show_errors: bool,
    /// Significant figures of the latencies.
    #[arg(long, default_value_t = 3)]
    precision: u8,
    /// Print CSV.
    #[arg(long)]
    csv: bool,
    /// Run the tests for ever.
    #[arg(short = 'l')]
    forever: bool,
    /// The tests to run, separated by commas.
    #[arg(short = 't')]
    tests: Option<String>,
    /// Only open the connections and wait.
    #[arg(short = 'I')]
    idle: bool,
    /// Take the command's last argument from the standard input.
    #[arg(short = 'x')]
    stdin: bool,
    /// Print this help.
    #[arg(long, action = clap::ArgAction::Help)]
    help: Option<bool>,
    /// A command to measure in place of the tests.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    command: Vec<String>,
}

/// Runs the command with these arguments.
pub fn main(args: &[String]) -> ExitCode {
    let options =
        match Options::try_parse_from(std::iter::once("rekindle benchmark".to_owned()).chain(args.iter().cloned())) {
            Ok(options) => options,
            Err(error) => {
                let _ = error.print();
                return if error.use_stderr() { ExitCode::FAILURE } else { ExitCode::SUCCESS };
            }
        };
    match Bench::new(options).and_then(|b| b.run()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn encoded(words: &[&[u8]]) -> Vec<u8> {
    let mut out = Vec::new();
    resp::encode_command(&mut out, words.iter().copied());
    out
}

/// The tests: the names that select them (the last also selects a group), the title, the request.
fn tests(data: &[u8], random: bool) -> Vec<(&'static [&'static str], &'static str, Vec<u8>)> {
    let key: &[u8] = b"key:__rand_int__";
    let element: &[u8] = b"element:__rand_int__";
    let score: &[u8] = if random { b"__rand_int__" } else { b"0" };
    let mut mset: Vec<&[u8]> = vec![b"MSET"];
    for _ in 0..10 {
        mset.extend([key, data]);
    }
    vec![
        (&["ping_inline", "ping"], "PING_INLINE", b"PING\r\n".to_vec()),
        (&["ping_mbulk", "ping"], "PING_MBULK", encoded(&[b"PING"])),
        (&["set"], "SET", encoded(&[b"SET", key, data])),
        (&["get"], "GET", encoded(&[b"GET", key])),
        (&["incr"], "INCR", encoded(&[b"INCR", b"counter:__rand_int__"])),
        (&["lpush"], "LPUSH", encoded(&[b"LPUSH", b"mylist", data])),
        (&["rpush"], "RPUSH", encoded(&[b"RPUSH", b"mylist", data])),
        (&["lpop"], "LPOP", encoded(&[b"LPOP", b"mylist"])),
        (&["rpop"], "RPOP", encoded(&[b"RPOP", b"mylist"])),
        (&["sadd"], "SADD", encoded(&[b"SADD", b"myset", element])),
        (&["hset"], "HSET", encoded(&[b"HSET", b"myhash", element, data])),
        (&["spop"], "SPOP", encoded(&[b"SPOP", b"myset"])),
        (&["zadd"], "ZADD", encoded(&[b"ZADD", b"myzset", score, element])),
        (&["zpopmin"], "ZPOPMIN", encoded(&[b"ZPOPMIN", b"myzset"])),
        (
            &["lrange", "lrange_100", "lrange_300", "lrange_500", "lrange_600"],
            "LPUSH (needed to benchmark LRANGE)",
            encoded(&[b"LPUSH", b"mylist", data]),
        ),
        (&["lrange_100", "lrange"], "LRANGE_100 (first 100 elements)", encoded(&[b"LRANGE", b"mylist", b"0", b"99"])),
        (&["lrange_300", "lrange"], "LRANGE_300 (first 300 elements)", encoded(&[b"LRANGE", b"mylist", b"0", b"299"])),
        (&["lrange_500", "lrange"], "LRANGE_500 (first 500 elements)", encoded(&[b"LRANGE", b"mylist", b"0", b"499"])),
        (&["lrange_600", "lrange"], "LRANGE_600 (first 600 elements)", encoded(&[b"LRANGE", b"mylist", b"0", b"599"])),
        (&["mset"], "MSET (10 keys)", encoded(&mset)),
    ]
}

/// A run: the options, and what follows from them.
struct Bench {
    options: Options,
    target: Target,
    prefix: Vec<Vec<Vec<u8>>>,
    /// The server's `save` and `appendonly`, where it tells.
    config: Option<(String, String)>,
}

impl Bench {
    fn new(options: Options) -> Result<Self, String> {
        let mut target = Target {
            host: options.host.clone(),
            port: options.port,
            socket: options.socket.clone(),
            user: options.user.clone(),
            password: options.password.clone(),
            db: options.dbnum,
        };
        if let Some(uri) = &options.uri {
            target.apply_uri(uri)?;
        }
        let mut prefix: Vec<Vec<Vec<u8>>> = Vec::new();
        if let Some(password) = &target.password {
            let words = [Some("AUTH"), target.user.as_deref(), Some(password)];
            prefix.push(words.into_iter().flatten().map(|w| w.as_bytes().to_vec()).collect());
        }
        if options.enable_tracking {
            prefix.push([&b"CLIENT"[..], b"TRACKING", b"on"].map(<[u8]>::to_vec).to_vec());
        }
        if target.db != 0 {
            prefix.push(vec![b"SELECT".to_vec(), target.db.to_string().into_bytes()]);
        }
        if options.resp3 {
            prefix.insert(prefix.len(), vec![b"HELLO".to_vec(), b"3".to_vec()]);
        }
        Ok(Self { options, target, prefix, config: None })
    }

    fn run(mut self) -> Result<(), String> {
        if self.options.idle {
            return self.idle();
        }
        let mut connection = load::open(&self.target, &self.prefix)?;
        self.config = fetch_config(&mut connection);
        if self.config.is_none() {
            eprintln!("WARNING: Could not fetch server CONFIG");
        }
        drop(connection);
        if self.options.csv {
            println!("{CSV_HEADER}");
        }
        let mut command: Vec<Vec<u8>> = self.options.command.iter().map(|w| w.as_bytes().to_vec()).collect();
        if !command.is_empty() {
            let title = self.options.command.join(" ");
            if self.options.stdin {
                let mut last = Vec::new();
                std::io::stdin()
                    .read_to_end(&mut last)
                    .map_err(|e| format!("Error: can't read the standard input: {e}"))?;
                command.push(last);
            }
            let request = encoded(&command.iter().map(Vec::as_slice).collect::<Vec<_>>());
            loop {
                self.measure(&title, request.clone(), request.len())?;
                if !self.options.forever {
                    return Ok(());
                }
            }
        }
        let mut seed = base::rng::Rng::new(1234);
        let data: Vec<u8> = (0..self.options.size).map(|_| b'A' + seed.below(26) as u8).collect();
        let chosen: Option<Vec<String>> =
            self.options.tests.as_ref().map(|t| t.split(',').map(|t| t.trim().to_lowercase()).collect());
        loop {
            for (names, title, request) in tests(&data, self.options.random.is_some()) {
                if chosen.as_ref().is_none_or(|chosen| names.iter().any(|n| chosen.iter().any(|c| c == n))) {
                    self.measure(title, request, self.options.size)?;
                }
            }
            if !self.options.csv {
                println!();
            }
            if !self.options.forever {
                return Ok(());
            }
        }
    }

    fn idle(&self) -> Result<(), String> {
        println!("Creating {} idle connections and waiting forever (Ctrl+C when done)", self.options.clients);
        let mut connections = self.connect(self.options.clients as usize)?;
        for connection in &connections {
            connection.set_nonblocking(true).map_err(|e| format!("Error: {e}"))?;
        }
        loop {
            let mut fds: Vec<_> = connections
                .iter()
                .map(|c| rustix::event::PollFd::from_borrowed_fd(c.fd(), rustix::event::PollFlags::IN))
                .collect();
            let _ = rustix::event::poll(&mut fds, None);
            let ready: Vec<bool> = fds.iter().map(|f| !f.revents().is_empty()).collect();
            for (connection, _) in connections.iter_mut().zip(ready).filter(|(_, ready)| *ready) {
                let mut more = [0; 512];
                match connection.read(&mut more) {
                    Ok(0) => return Err("Error: Server closed the connection".into()),
                    Ok(n) if more[0] == b'-' => {
                        return Err(format!("Error from server: {}", String::from_utf8_lossy(&more[1..n]).trim_end()));
                    }
                    Ok(_) => {}
                    Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                    Err(error) => return Err(format!("Error: {error}")),
                }
            }
        }
    }

    fn connect(&self, n: usize) -> Result<Vec<Connection>, String> {
        (0..n).map(|_| load::open(&self.target, &self.prefix)).collect()
    }

    fn measure(&self, title: &str, request: Vec<u8>, payload: usize) -> Result<(), String> {
        let options = &self.options;
        let plan = Plan {
            target: self.target.clone(),
            prefix: self.prefix.clone(),
            request,
            requests: options.requests,
            pipeline: options.pipeline as usize,
            random: options.random,
            keep_alive: options.keep_alive != 0,
            figures: options.precision.clamp(1, 3),
        };
        let shared = Shared { issued: AtomicU64::new(0), finished: AtomicU64::new(0), latency_us: AtomicU64::new(0) };
        let threads = options.threads.max(1);
        let mut shares: Vec<Vec<Connection>> = (0..threads).map(|_| Vec::new()).collect();
        for (i, connection) in self.connect(options.clients as usize)?.into_iter().enumerate() {
            shares[i % threads].push(connection);
        }
        let latencies = Mutex::new(
            Histogram::<u64>::new_with_bounds(10, load::LATENCY_MAX_US, plan.figures).expect("the bounds are in order"),
        );
        let failure: Mutex<Option<String>> = Mutex::new(None);
        let started = Instant::now();
        let mut finished_at = started;
        let mut printed = 0;
        std::thread::scope(|scope| {
            let (done, finished) = std::sync::mpsc::channel::<()>();
            for (i, share) in shares.into_iter().enumerate() {
                let (plan, shared, latencies, failure, done) = (&plan, &shared, &latencies, &failure, done.clone());
                let seed = u64::from(std::process::id()) << 16 | i as u64;
                scope.spawn(move || {
                    match load::run(plan, shared, share, seed) {
                        Ok(histogram) => latencies
                            .lock()
                            .expect("no thread panics with the lock")
                            .add(&histogram)
                            .expect("same bounds"),
                        Err(error) => {
                            failure.lock().expect("no thread panics with the lock").get_or_insert(error);
                            // The others would wait for ever for a share of the work that is lost.
                            shared.issued.store(plan.requests, Ordering::Relaxed);
                        }
                    }
                    let _ = done.send(());
                });
            }
            drop(done);
            let mut progress = Progress { title, started, at: started, finished: 0, latency_us: 0 };
            loop {
                match finished.recv_timeout(PROGRESS_PERIOD) {
                    Ok(()) => finished_at = Instant::now(),
                    Err(std::sync::mpsc::RecvTimeoutError::Timeout) => {
                        if !options.csv {
                            printed = progress.show(&shared, printed);
                        }
                    }
                    Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => break,
                }
            }
        });
        if let Some(error) = failure.into_inner().expect("the threads have ended") {
            return Err(error);
        }
        let latencies = latencies.into_inner().expect("the threads have ended");
        let elapsed_ms = u64::try_from((finished_at - started).as_millis()).unwrap_or(u64::MAX);
        let outcome =
            Outcome { title, finished: shared.finished.load(Ordering::Relaxed), elapsed_ms, latencies: &latencies };
        if options.csv {
            println!("{}", outcome.csv());
        } else {
            print!("{:printed$}\r", " ");
            if options.quiet {
                println!("{}", outcome.line())
            } else {
                print!("{}", outcome.text(&self.setup(payload)))
            }
        }
        let _ = std::io::stdout().flush();
        Ok(())
    }

    /// The lines that describe a test.
    fn setup(&self, payload: usize) -> Vec<String> {
        let mut lines = vec![
            format!("{} parallel clients", self.options.clients),
            format!("{payload} bytes payload"),
            format!("keep alive: {}", self.options.keep_alive),
        ];
        if let Some((save, appendonly)) = &self.config {
            lines.push(format!("host configuration \"save\": {save}"));
            lines.push(format!("host configuration \"appendonly\": {appendonly}"));
        }
        lines.push(format!("multi-thread: {}", if self.options.threads > 0 { "yes" } else { "no" }));
        if self.options.threads > 0 {
            lines.push(format!("threads: {}", self.options.threads));
        }
        lines
    }
}

fn fetch_config(connection: &mut Connection) -> Option<(String, String)> {
    let mut get = |name: &str| {
        let reply = connection.call(&[b"CONFIG", b"GET", name.as_bytes()]).ok()?;
        reply.pairs().first()?.1.as_bytes().map(|b| String::from_utf8_lossy(b).into_owned())
    };
    Some((get("save")?, get("appendonly")?))
}

/// The line that is renewed while a test runs.
struct Progress<'a> {
    title: &'a str,
    started: Instant,
    at: Instant,
    finished: u64,
    latency_us: u64,
}

impl Progress<'_> {
    /// Prints it over the `before` characters there; how many it has now.
    fn show(&mut self, shared: &Shared, before: usize) -> usize {
        let (finished, latency_us) =
            (shared.finished.load(Ordering::Relaxed), shared.latency_us.load(Ordering::Relaxed));
        let now = Instant::now();
        let rate = |n: u64, time: Duration| n as f64 / time.as_secs_f64().max(0.001);
        let average = |us: u64, n: u64| us as f64 / n.max(1) as f64 / 1000.0;
        let (new, new_us) = (finished - self.finished, latency_us - self.latency_us);
        let line = format!(
            "{}: rps={:.1} (overall: {:.1}) avg_msec={:.3} (overall: {:.3})",
            self.title,
            rate(new, now - self.at),
            rate(finished, now - self.started),
            average(new_us, new),
            average(latency_us, finished)
        );
        print!("{:before$}\r{line}\r", " ");
        let _ = std::io::stdout().flush();
        (self.at, self.finished, self.latency_us) = (now, finished, latency_us);
        line.len() + 1
    }
}
