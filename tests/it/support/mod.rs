//! What the black-box tests share: processes that end with their test, a client, a writer, and a
//! way to compare two servers key by key.

pub mod client;
pub mod cutter;
pub mod data;
pub mod impostor;
pub mod sentinel;

pub use client::Client;
use resp::Value;
use std::collections::BTreeMap;
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock};
use std::time::{Duration, Instant};

/// How long anything may take that takes a moment on an idle machine.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Looks every few milliseconds whether `condition` holds, for `limit` at most; whether it came to hold.
pub fn holds_within(limit: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + limit;
    while !condition() {
        if Instant::now() > deadline {
            return false;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    true
}

/// Waits until `condition` holds; panics where it does not within `limit`.
#[track_caller]
pub fn wait_until(limit: Duration, condition: impl FnMut() -> bool) {
    assert!(holds_within(limit, condition), "this did not come about within {limit:?}");
}

/// A port of this machine that nobody listens on. They lie below those that the system gives to
/// outgoing connections, so that a server finds its port free again after a restart.
pub fn free_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    loop {
        let n = NEXT.fetch_add(1, Ordering::Relaxed);
        let port = 10_000 + ((std::process::id().wrapping_mul(211)).wrapping_add(n) % 20_000) as u16;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() && TcpListener::bind(("0.0.0.0", port)).is_ok() {
            return port;
        }
    }
}

/// A folder that is removed at the end.
#[derive(Debug)]
pub struct Folder(PathBuf);

impl Folder {
    pub fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let n = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("rekindle-it-{}-{n}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The path of a file in it, as text.
    pub fn file(&self, name: &str) -> String {
        self.0.join(name).display().to_string()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Our program.
pub fn program() -> &'static str {
    env!("CARGO_BIN_EXE_rekindle")
}

/// Whether `name` can be started; where it is missing but required, the test fails.
pub fn have(name: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    if std::env::split_paths(&path).any(|dir| dir.join(name).is_file()) {
        return true;
    }
    missing(name);
    false
}

/// Says that a test is skipped for want of `what`; panics where it is required.
pub fn missing(what: &str) {
    assert!(std::env::var("REQUIRE_PEERS").as_deref() != Ok("1"), "{what} not found, and REQUIRE_PEERS is 1");
    println!("skipped: {what} not found");
}

/// Whose server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Product {
    /// Ours.
    Ours,
    /// The installed `redis-server`.
    Redis,
}

impl Product {
    /// The command that starts it, without arguments.
    pub fn command(self) -> Command {
        match self {
            Self::Ours => {
                let mut command = Command::new(program());
                command.arg("server");
                command
            }
            Self::Redis => Command::new("redis-server"),
        }
    }

    /// The command that starts a sentinel of the same maker.
    fn sentinel_command(self) -> Command {
        match self {
            Self::Ours => {
                let mut command = Command::new(program());
                command.arg("sentinel");
                command
            }
            Self::Redis => Command::new("redis-sentinel"),
        }
    }
}

/// Those of the makers that are here: ours, and Redis where it is installed.
pub fn products() -> Vec<Product> {
    if have("redis-server") { vec![Product::Ours, Product::Redis] } else { vec![Product::Ours] }
}

/// A process that a test has started by itself; it is killed at the end.
#[derive(Debug)]
pub struct Killed(pub Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A running server. It is killed at the end, and its folder removed.
#[derive(Debug)]
pub struct Server {
    pub product: Product,
    pub port: u16,
    pub folder: Folder,
    /// It is a sentinel: its options are those of its command line and nothing else.
    is_sentinel: bool,
    /// It has a process group of its own, whose parent is this process: the kernel does not stop processes of an orphaned group by
    /// TSTP, TTIN and TTOU, and that of the tests may be one.
    pub own_group: bool,
    child: Option<Child>,
    client: Mutex<Option<Client>>,
    /// What clients go through where `CUT_STREAMS` is set.
    cutter: OnceLock<cutter::Cutter>,
    /// How to log in, if that is needed.
    password: Option<String>,
    /// The options of the last start.
    options: Vec<String>,
}

/// Starts one of ours.
#[track_caller]
pub fn ours(options: &[&str]) -> Server {
    Server::start(Product::Ours, options)
}

/// Starts a real Redis, where there is one.
#[track_caller]
pub fn redis(options: &[&str]) -> Option<Server> {
    have("redis-server").then(|| Server::start(Product::Redis, options))
}

impl Server {
    /// Starts a server on a free port and waits until it answers.
    #[track_caller]
    pub fn start(product: Product, options: &[&str]) -> Self {
        let mut last = String::new();
        for _ in 0..5 {
            let mut server = Self::prepare(product, options);
            if server.launch() {
                return server;
            }
            last = server.log();
            if !last.contains("in use") {
                break;
            }
        }
        panic!("the server {product:?} {options:?} did not start:\n{last}");
    }

    /// A server that is not started yet.
    pub fn prepare(product: Product, options: &[&str]) -> Self {
        let password = options.windows(2).find(|w| w[0] == "--requirepass").map(|w| w[1].to_owned());
        let options = options.iter().map(|o| (*o).to_owned()).collect();
        let (port, folder) = (free_port(), Folder::new());
        let (client, cutter) = (Mutex::new(None), OnceLock::new());
        let (is_sentinel, own_group, child) = (false, false, None);
        Self { product, port, folder, is_sentinel, own_group, child, client, cutter, password, options }
    }

    /// The command that starts it: a configuration file stands first where the options begin with one.
    pub fn command(&self) -> Command {
        let mut command = if self.is_sentinel { self.sentinel_command() } else { self.server_command() };
        let log = std::fs::OpenOptions::new().create(true).append(true).open(self.folder.path().join("log")).unwrap();
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log).current_dir(self.folder.path());
        if self.own_group {
            command.process_group(0);
        }
        command
    }

    fn sentinel_command(&self) -> Command {
        // Either the sentinel's own name, or the server's with a word that says so.
        let by_option = self.options.iter().any(|o| o == "--sentinel");
        let mut command = if by_option { self.product.command() } else { self.product.sentinel_command() };
        command.args(&self.options);
        command
    }

    fn server_command(&self) -> Command {
        let mut command = self.product.command();
        let file = self.options.first().filter(|o| !o.starts_with("--"));
        command.args(file);
        let given = |name: &str| self.options.iter().any(|o| o == name);
        if !given("--port") {
            command.args(["--port", &self.port.to_string()]);
        }
        if !given("--save") && file.is_none() {
            command.args(["--save", ""]);
        }
        // Theirs waits for five seconds by default.
        if self.product != Product::Ours && !given("--repl-diskless-sync-delay") {
            command.args(["--repl-diskless-sync-delay", "0"]);
        }
        command.args(&self.options[usize::from(file.is_some())..]);
        command
    }

    /// Starts the process; whether it came to answer.
    pub fn launch(&mut self) -> bool {
        self.child = Some(self.command().spawn().unwrap());
        let up = holds_within(PATIENCE, || self.has_ended() || self.connect().is_ok_and(|mut c| c.answers()));
        up && !self.has_ended()
    }

    /// Starts it again, with the same options.
    #[track_caller]
    pub fn restart(&mut self) {
        assert!(self.child.is_none(), "it still runs");
        assert!(self.launch(), "the server did not start again:\n{}", self.log());
    }

    /// Starts it again with other options, without waiting until it has loaded.
    pub fn spawn_with(&mut self, options: &[&str]) {
        self.options = options.iter().map(|o| (*o).to_owned()).collect();
        self.child = Some(self.command().spawn().unwrap());
    }

    /// Starts it again with other options.
    #[track_caller]
    pub fn restart_with(&mut self, options: &[&str]) {
        self.options = options.iter().map(|o| (*o).to_owned()).collect();
        self.restart();
    }

    /// Whether it has been started and not waited for.
    pub fn launched(&self) -> bool {
        self.child.is_some()
    }

    fn has_ended(&mut self) -> bool {
        self.child.as_mut().is_none_or(|c| c.try_wait().unwrap().is_some())
    }

    /// Waits until it has ended by itself.
    #[track_caller]
    pub fn wait_for_end(&mut self) -> ExitStatus {
        wait_until(PATIENCE, || self.has_ended());
        *self.client.lock().unwrap() = None;
        self.child.take().unwrap().wait().unwrap()
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.as_ref().unwrap().id()
    }

    /// Sends a signal by its name (`TERM`, `STOP`, …).
    pub fn signal(&self, name: &str) {
        let status = Command::new("sh").args(["-c", &format!("kill -{name} {}", self.pid())]).status().unwrap();
        assert!(status.success());
    }

    /// Kills it at once, as `kill -9` does.
    pub fn kill(&mut self) {
        *self.client.lock().unwrap() = None;
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Stops it by SHUTDOWN with these words and waits.
    #[track_caller]
    pub fn shutdown(&mut self, words: &[&str]) {
        let mut client = self.client();
        client.send(&[&["SHUTDOWN"], words].concat());
        assert!(self.wait_for_end().success(), "{}", self.log());
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        std::fs::read(self.folder.path().join("log"))
            .map_or(String::new(), |b| String::from_utf8_lossy(&b).into_owned())
    }

    fn connect(&self) -> std::io::Result<Client> {
        let cut = std::env::var_os("CUT_STREAMS").is_some();
        let before = || cutter::Cutter::before(self.port, u64::from(self.port));
        let port = if cut { self.cutter.get_or_init(before).port() } else { self.port };
        let mut client = Client::tcp(port)?;
        if let Some(password) = &self.password {
            client.try_call(&["AUTH", password])?;
        }
        Ok(client)
    }

    /// A new connection, logged in.
    #[track_caller]
    pub fn client(&self) -> Client {
        match self.connect() {
            Ok(client) => client,
            Err(error) => panic!("can't connect to port {}: {error}\n{}", self.port, self.log()),
        }
    }

    fn shared(&self) -> MutexGuard<'_, Option<Client>> {
        let mut guard = self.client.lock().unwrap_or_else(|e| e.into_inner());
        if guard.is_none() {
            *guard = Some(self.client());
        }
        guard
    }

    /// Runs a command on a connection that is kept for this. Where the server has closed it, as a sentinel has it do
    /// when its role changes, the command is sent on another one.
    #[track_caller]
    pub fn call(&self, words: &[&str]) -> Value {
        let mut guard = self.shared();
        let mut result = guard.as_mut().unwrap().try_call(words);
        if result.is_err() {
            *guard = None;
        }
        drop(guard);
        let closed = |error: &std::io::Error| client::is_closing(error.kind());
        if result.as_ref().is_err_and(closed) {
            result = self.shared().as_mut().unwrap().try_call(words);
        }
        match result {
            Ok(value) => value,
            Err(error) => panic!("{words:?} on port {}: {error}\n{}", self.port, self.log()),
        }
    }

    /// Runs a command whose reply is a string, a status or an error.
    #[track_caller]
    pub fn text(&self, words: &[&str]) -> String {
        client::text(&self.call(words))
    }

    /// Runs a command whose reply is an integer.
    #[track_caller]
    pub fn int(&self, words: &[&str]) -> i64 {
        match self.call(words) {
            Value::Int(n) => n,
            other => panic!("{words:?} gave {other:?}"),
        }
    }

    /// Runs a command that answers OK.
    #[track_caller]
    pub fn ok(&self, words: &[&str]) {
        assert_eq!(self.call(words), Value::Simple(b"OK".to_vec()), "{words:?}");
    }

    /// The lines of a section of INFO.
    #[track_caller]
    pub fn info_lines(&self, section: &str) -> Vec<(String, String)> {
        let text = self.text(&["INFO", section]);
        text.lines().filter_map(|l| l.split_once(':')).map(|(k, v)| (k.to_owned(), v.to_owned())).collect()
    }

    /// A field of INFO; empty where there is none.
    #[track_caller]
    pub fn info(&self, field: &str) -> String {
        let fields: BTreeMap<String, String> = self.info_lines("everything").into_iter().collect();
        fields.get(field).cloned().unwrap_or_default()
    }

    /// A numeric field of INFO.
    #[track_caller]
    pub fn number(&self, field: &str) -> i64 {
        let text = self.info(field);
        text.parse().unwrap_or_else(|_| panic!("{field} is '{text}'"))
    }

    /// Makes it a replica of another one, and waits until the link is up.
    #[track_caller]
    pub fn follow(&self, primary: &Server) {
        self.ok(&["REPLICAOF", "127.0.0.1", &primary.port.to_string()]);
        self.wait_for_link();
    }

    /// Waits until its link to its primary is up.
    #[track_caller]
    pub fn wait_for_link(&self) {
        let up = holds_within(PATIENCE, || self.info("master_link_status") == "up");
        assert!(up, "the link is not up:\n{}", self.log());
    }

    /// Waits until it has all that its primary has written.
    #[track_caller]
    pub fn wait_for_offset_of(&self, primary: &Server) {
        let same = holds_within(PATIENCE, || {
            self.info("master_link_status") == "up"
                && self.number("master_repl_offset") == primary.number("master_repl_offset")
        });
        assert!(
            same,
            "the offsets differ: {:?} {:?}",
            primary.info_lines("replication"),
            self.info_lines("replication")
        );
    }

    /// Whether its main thread, which is the one that runs commands, sleeps in a function of the kernel whose name contains this.
    pub fn waits_in(&self, name: &str) -> bool {
        std::fs::read_to_string(format!("/proc/{}/wchan", self.pid())).is_ok_and(|at| at.contains(name))
    }

    /// The bytes of memory that its process uses.
    pub fn resident_bytes(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status.lines().find(|l| l.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- log of {:?} on port {} ---\n{}", self.product, self.port, self.log());
        }
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
