//! The start: settings from file and command line, sockets, the first lines of the log.

use super::conns::{Conns, Peer};
use super::freer::Freer;
use super::log::{self, log};
use super::outside::{Facts, Outside};
use super::process::{self, Syslog};
use super::settings;
use super::{Listening, REDIS_VERSION, Server, clock, fill_random};
use engine::config::Config;
use engine::config::values::{IoBackend, Supervised};
use engine::engine::Engine;
use net::{Choice, ConnId, ListenerId, Net};
use std::fs;
use std::net::IpAddr;
use std::process::ExitCode;
use std::sync::mpsc::channel;

const USAGE: &str = "Usage: rekindle server [/path/to/rekindle.conf] [options] [-]
       rekindle server - (read config from stdin)
       rekindle server -v or --version
       rekindle server -h or --help

Examples:
       rekindle server (run the server with default conf)
       rekindle server /etc/redis/6379.conf
       rekindle server --port 7777
       rekindle server --port 7777 --replicaof 127.0.0.1 8888
       rekindle server /etc/redis.conf --loglevel verbose -
";

const SENTINEL_USAGE: &str = "Usage: rekindle sentinel /path/to/sentinel.conf [options]
       rekindle sentinel -v or --version
       rekindle sentinel -h or --help

The file must be writable: the sentinel keeps in it what it learns. It needs at least a line such as
       sentinel monitor mymaster 192.0.2.1 6379 2
which names a primary, its address, and how many sentinels must agree that it is down.

Examples:
       rekindle sentinel /etc/redis/sentinel.conf
       rekindle sentinel ./sentinel.conf --port 26380
";

/// Runs a sentinel with these arguments (the program's name left out).
pub fn sentinel_main(args: &[String]) -> ExitCode {
    run(args, true)
}

/// Runs the server with these arguments (the program's name left out); with `--sentinel` among them, a sentinel.
pub fn main(args: &[String]) -> ExitCode {
    run(args, args.iter().any(|arg| arg == "--sentinel"))
}

fn run(args: &[String], sentinel: bool) -> ExitCode {
    if let Some(first) = args.first() {
        match first.as_str() {
            "-v" | "--version" => {
                println!(
                    "Redis server v={REDIS_VERSION} sha=00000000:0 malloc=jemalloc bits=64 build=rekindle-{}",
                    env!("CARGO_PKG_VERSION")
                );
                return ExitCode::SUCCESS;
            }
            "-h" | "--help" => {
                print!("{}", if sentinel { SENTINEL_USAGE } else { USAGE });
                return ExitCode::SUCCESS;
            }
            _ => {}
        }
    }
    let settings = settings::read(args, if sentinel { Config::of_sentinel() } else { Config::default() });
    let settings = settings.and_then(|config| {
        let driver = if sentinel { Some(super::sentinel::read_setup(&config)?) } else { None };
        Ok((config, driver))
    });
    let (config, driver) = match settings {
        Ok(settings) => settings,
        Err(error) => {
            eprintln!("\n*** FATAL CONFIG FILE ERROR (Redis {REDIS_VERSION}) ***\n{error}");
            return ExitCode::FAILURE;
        }
    };
    match start(config, driver) {
        Ok(mut server) => server.run(),
        Err(error) => {
            log!(Warning, "{error}");
            if !error.is_empty() {
                eprintln!("{error}");
            }
            ExitCode::FAILURE
        }
    }
}

/// Whether a client's address is this machine's loopback or a Unix socket.
pub fn is_local(addr: &str) -> bool {
    let Some((ip, port)) = addr.rsplit_once(':') else { return false };
    let ip = ip.trim_start_matches('[').trim_end_matches(']');
    ip.parse::<IpAddr>().map_or(port == "0", |ip| ip.is_loopback())
}

/// The program as it was called: by a link of its own, or by its name and a word.
fn program() -> String {
    let mut args = std::env::args_os().map(|arg| arg.to_string_lossy().into_owned());
    let name = args.next().unwrap_or_default();
    match args.next() {
        Some(role) if role == "server" || role == "sentinel" => format!("{name} {role}"),
        _ => name,
    }
}

fn start(config: Config, sentinel: Option<Box<super::sentinel::Driver>>) -> Result<Server, String> {
    if sentinel.is_some() {
        log::set_role(b'X');
    }
    log::set_level(config.loglevel);
    match Syslog::open(&config) {
        Some(Ok(syslog)) => log::set_syslog(syslog),
        Some(Err(error)) => log!(Warning, "Can't reach syslog at /dev/log: {error}"),
        None => {}
    }
    std::env::set_current_dir(config.dir.get()).map_err(|e| {
        format!("Can't chdir to '{}': {e}. Choose a folder that exists with the option `dir`.", config.dir.get())
    })?;
    let mut config = config;
    // Relative paths are from this folder now, so the option must not be one itself.
    config.dir.0 = std::env::current_dir().map_err(|e| e.to_string())?.display().to_string();
    // Its name, too, is meant from there.
    let logfile = config.logfile.get();
    if !logfile.is_empty() {
        fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(logfile)
            .map_err(|e| format!("Can't open the log file: {logfile}: {e}"))?;
        let absolute = fs::canonicalize(logfile).map_or_else(|_| logfile.to_owned(), |p| p.display().to_string());
        log::set_file(&absolute);
    }
    if let Some(driver) = &sentinel {
        driver.check_scripts()?;
    }
    process::stop_for_upstart(&config);
    // A supervisor watches the process that it has started.
    let supervised = process::supervisor(&config) != Supervised::No;
    if config.daemonize && !supervised {
        daemonize::Daemonize::new()
            .working_directory(std::env::current_dir().map_err(|e| e.to_string())?)
            .umask(0o022)
            .start()
            .map_err(|e| format!("Can't go into the background: {e}"))?;
    }
    let signals = super::signals::take()?;
    let program = program();
    // Both want the thread that stays, and before there are others.
    if config.set_proc_title && !sys::title::prepare() {
        log!(Verbose, "There is no room for the process's title");
    }
    super::crash::prepare(config.crash_log_enabled);
    let pidfile = config.pidfile.get().to_owned();
    let default_pidfile = if sentinel.is_some() { "/var/run/redis-sentinel.pid" } else { "/var/run/redis.pid" };
    let pidfile = if pidfile.is_empty() && config.daemonize { default_pidfile.to_owned() } else { pidfile };
    if !pidfile.is_empty()
        && let Err(error) = fs::write(&pidfile, format!("{}\n", std::process::id()))
    {
        log!(Warning, "Failed to write PID file {pidfile}: {error}");
    }
    process::bind_to_processors(config.server_cpulist.get());
    keyspace::memory::free_in_background(config.jemalloc_bg_thread);
    log!(Warning, "oO0OoO0OoO0Oo Redis is starting oO0OoO0OoO0Oo");
    log!(
        Warning,
        "Redis version={REDIS_VERSION}, bits=64, commit=00000000, modified=0, pid={}, just started",
        std::process::id()
    );
    log!(Warning, "Rekindle version={}", env!("CARGO_PKG_VERSION"));
    match &config.file {
        Some(_) => log!(Warning, "Configuration loaded"),
        None => log!(
            Warning,
            "Warning: no config file specified, using the default config. In order to specify a config file use rekindle server /path/to/rekindle.conf"
        ),
    }
    settings::warn(&config);
    let wanted = config.maxclients.get() + process::OWN_FILES;
    if let Err(clients) = process::make_room_for_clients(config.maxclients.get()) {
        log!(
            Warning,
            "Only {} files may be open: maxclients is lowered to {clients}. Raise the limit (ulimit -n {wanted}) to serve more.",
            clients + process::OWN_FILES
        );
        config.maxclients.0 = clients;
    }
    let choice = match config.io_backend {
        IoBackend::Auto => Choice::Auto,
        IoBackend::IoUring => Choice::IoUring,
        IoBackend::Epoll => Choice::Epoll,
    };
    let (net, fallback) =
        Net::new(choice, net::Limits { slots: 256, ..net::Limits::default() }).map_err(|e| e.to_string())?;
    if let Some(why) = fallback {
        log!(Notice, "{why}");
    }
    log!(Notice, "I/O backend: {}", net.backend());
    keyspace::memory::leave_out(net.slot_bytes());

    let mut seeds = [0u8; 40];
    fill_random(&mut seeds);
    let word = |i: usize| u64::from_le_bytes(seeds[8 * i..8 * i + 8].try_into().expect("eight bytes"));
    keyspace::seed([word(0), word(1), word(2), word(3)]);
    let mut run_id = [0; 20];
    fill_random(&mut run_id);
    let mut engine = Engine::new(config, word(4), clock::monotonic_ns);
    engine.set_time(clock::unix_ms());
    let started_ms = engine.store.now_ms;
    let freer = Freer::start(engine.config.bio_cpulist.get()).map_err(|e| format!("Can't start a thread: {e}"))?;
    let outside = Outside {
        node: repl::Node::new(super::outside::new_replication_id()),
        spill: super::spill::Spill::default(),
        replicas: super::replicas::Replicas::default(),
        link: super::link::Link::default(),
        saving: super::saving::Saving {
            last_save_s: started_ms / 1000,
            last_took_s: -1,
            snapshot_us: 0,
            startup_memory: keyspace::memory::used_memory(),
            freed: Some(freer.counts.clone()),
            ..Default::default()
        },
        todos: Vec::new(),
        facts: Facts {
            started_ms,
            run_id: repl::ReplicationId::from_random(run_id).to_string(),
            backend: net.backend(),
            executable: std::env::current_exe().map_or(String::new(), |p| p.display().to_string()),
            program,
        },
        loading_since_ms: None,
        asking: None,
        shutdown: None,
        cron_paused: false,
        rewrite_all: false,
        failover: super::failover::Failover::default(),
        ask_later: false,
        sockets: super::listening::Sockets::default(),
        oom_score: process::OomScore::default(),
        sentinel,
    };
    let (notes_sender, notes) = channel();
    let mut server = Server {
        net,
        conns: Conns::default(),
        engine,
        outside,
        batch: super::event_loop::Batch::default(),
        freer,
        listeners: Vec::new(),
        resumed: Vec::new(),
        late: Vec::new(),
        leaving: Vec::new(),
        touched: Vec::new(),
        notes,
        notes_sender,
        next_tick_ms: 0,
        second_ms: started_ms,
        seconds: 0,
        sleep_first: None,
        exit: None,
    };
    server.banner();
    server.open_sockets()?;
    server.watch_signals(signals)?;
    process::set_title(&server.engine.config, &server.outside.facts.program);
    server.outside.apply_oom_score(&server.engine);
    process::set_watchdog(server.engine.config.watchdog_period.get());
    log!(Warning, "Server initialized");
    if server.outside.sentinel.is_some() {
        server.drive_sentinel();
        server.ready();
        return Ok(server);
    }
    if let Some((host, port)) = server.engine.config.replicaof.0.clone() {
        server.outside.link.primary = Some((host, port));
        server.outside.node.follow();
        server.outside.set_gates(&mut server.engine);
    } else {
        server.ask_for_role();
    }
    server.begin_start_load();
    Ok(server)
}

impl Server {
    fn banner(&self) {
        let port = self.engine.config.port.get();
        let mode = self.outside.mode();
        if self.engine.config.always_show_logo {
            log::raw(&format!(
                "\n    Rekindle {} (Redis {REDIS_VERSION}) 64 bit\n    Running in {mode} mode\n    Port: {port}\n    PID: {}\n\n",
                env!("CARGO_PKG_VERSION"),
                std::process::id()
            ));
        } else {
            log!(Notice, "Running mode={mode}, port={port}.");
        }
    }

    /// The data is loaded: clients are served, a primary is followed.
    pub fn ready(&mut self) {
        if let Some((host, port)) = self.outside.link.primary.clone() {
            log!(Notice, "Ready to accept connections in read-only mode.");
            self.follow_at_start(&host, port);
        }
        process::tell_systemd(&self.engine.config, "STATUS=Ready to accept connections\nREADY=1\n");
        for (kind, name) in [(Listening::Tcp, "tcp"), (Listening::Unix, "unix")] {
            if self.listeners.iter().any(|l| l.kind() == kind) {
                log!(Notice, "Ready to accept connections {name}");
            }
        }
    }

    fn follow_at_start(&mut self, host: &str, port: u16) {
        log!(Notice, "Connecting to MASTER {host}:{port}");
        self.outside.link.state = super::link::LinkState::Waiting(0);
        self.outside.set_gates(&mut self.engine);
        self.link_cron();
    }

    /// Both ends of a connection, as clients see them.
    pub fn addresses(&self, id: ConnId) -> (String, String) {
        match self.net.fd(id) {
            Some(fd) => (net::peer_addr(fd).unwrap_or_default(), net::local_addr(fd).unwrap_or_default()),
            None => Default::default(),
        }
    }

    /// A connection has come in.
    pub fn accepted(&mut self, listener: ListenerId, id: ConnId) {
        let unix = self.listeners.iter().any(|l| l.id() == listener && l.kind() == Listening::Unix);
        self.engine.stats.connections += 1;
        let (mut addr, laddr) = self.addresses(id);
        if unix {
            addr = format!("{}:0", self.engine.config.unixsocket.get());
        }
        if self.conns.len() as i64 >= self.engine.config.maxclients.get() {
            self.engine.stats.refused_connections += 1;
            self.refuse(id, b"-ERR max number of clients reached\r\n");
            return;
        }
        if self.engine.config.protected_mode && self.engine.config.is_open() && !unix && !is_local(&addr) {
            self.engine.stats.refused_connections += 1;
            self.refuse(id, b"-DENIED Redis is running in protected mode because protected mode is enabled and no password is set for the default user. In this mode connections are only accepted from the loopback interface. If you want to connect from external computers to Redis you may adopt one of the following solutions: 1) Just disable protected mode sending the command 'CONFIG SET protected-mode no' from the loopback interface by connecting to Redis from the same host the server is running, however MAKE SURE Redis is not publicly accessible from internet if you do so. Use CONFIG REWRITE to make this change permanent. 2) Alternatively you can just disable the protected mode by editing the Redis configuration file, and setting the protected mode option to 'no', and then restarting the server. 3) If you started the server manually just for testing, restart it with the '--protected-mode no' option. 4) Set up an authentication password for the default user. NOTE: You only need to do one of the above things in order for the server to start accepting connections from the outside.\r\n");
            return;
        }
        let mut raw_fd = -1;
        if let Some(fd) = self.net.fd(id) {
            raw_fd = std::os::fd::AsRawFd::as_raw_fd(&fd);
            if !unix {
                let keepalive = self.engine.config.tcp_keepalive.get();
                let set = net::set_nodelay(fd, true)
                    .and_then(|()| if keepalive > 0 { net::set_keepalive(fd, keepalive as u64) } else { Ok(()) });
                if let Err(error) = set {
                    log!(Verbose, "Can't set options of a client's socket: {error}");
                }
            }
        }
        log!(Verbose, "Accepted {addr}");
        let key = self.engine.clients.add(addr, laddr, raw_fd, self.engine.store.now_ms);
        let client = &mut self.engine.clients[key];
        client.authenticated = self.engine.config.is_open();
        client.flags.set(engine::client::ClientFlags::UNIX, unix);
        self.conns.add(id, Some(key), Peer::Client);
        self.net.recv(id);
    }

    fn refuse(&mut self, id: ConnId, text: &[u8]) {
        // The text is small and the socket new: it fits, and the close follows it.
        if let Some(fd) = self.net.fd(id) {
            let _ = rustix::net::send(fd, text, rustix::net::SendFlags::NOSIGNAL | rustix::net::SendFlags::DONTWAIT);
        }
        self.net.close(id);
    }

    /// A setting has changed while the server runs.
    pub fn setting_changed(&mut self, name: &str) {
        match name {
            "port" | "bind" => {
                self.take_sockets();
                process::set_title(&self.engine.config, &self.outside.facts.program);
            }
            "proc-title-template" => process::set_title(&self.engine.config, &self.outside.facts.program),
            "masterauth" | "masteruser" => self.hurry_link(),
            "repl-timeout" => self.set_transfer_timeout(),
            "crash-log-enabled" => sys::stacks::enable(self.engine.config.crash_log_enabled),
            "maxmemory" | "maxmemory-policy" => {
                self.engine.make_room();
            }
            "watchdog-period" => process::set_watchdog(self.engine.config.watchdog_period.get()),
            "jemalloc-bg-thread" => keyspace::memory::free_in_background(self.engine.config.jemalloc_bg_thread),
            "requirepass" => {
                log!(Notice, "The password of the default user has changed");
            }
            _ => {}
        }
    }
}
