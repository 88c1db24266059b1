//! Sentinels as processes, ours or the installed `redis-sentinel`, what they report, and groups of servers for them to watch.

use super::client::{text, texts};
use super::{Client, PATIENCE, Product, Server, holds_within, wait_until};
use resp::Value;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

/// The name under which the primary of a [`Group`] is watched.
pub const NAME: &str = "mymaster";

/// One primary and its replicas, in this order.
#[derive(Debug)]
pub struct Group(pub Vec<Server>);

impl Group {
    /// Starts a primary with this many replicas, and waits until they follow it.
    #[track_caller]
    pub fn start(product: Product, replicas: usize, options: &[&str]) -> Self {
        let servers: Vec<Server> = (0..=replicas).map(|_| Server::start(product, options)).collect();
        for replica in &servers[1..] {
            replica.follow(&servers[0]);
        }
        let group = Self(servers);
        group.wait_for_replicas(0);
        group
    }

    /// Waits until all others follow the server with this number and are online there.
    #[track_caller]
    pub fn wait_for_replicas(&self, primary: usize) {
        let expected = self.0.len() - 1;
        let all = holds_within(PATIENCE, || {
            let lines = self.0[primary].info_lines("replication");
            lines.iter().filter(|(_, v)| v.contains("state=online")).count() == expected
        });
        assert!(all, "{:?}\n{}", self.0[primary].info_lines("replication"), self.0[primary].log());
    }

    /// Which server listens on a port.
    #[track_caller]
    pub fn number_of(&self, port: u16) -> usize {
        self.0.iter().position(|s| s.port == port).unwrap_or_else(|| panic!("no server on port {port}"))
    }

    /// How events name a server: `127.0.0.1 6379`.
    pub fn place(&self, number: usize) -> String {
        format!("127.0.0.1 {}", self.0[number].port)
    }

    /// How events name the primary of these: `mymaster 127.0.0.1 6379`.
    pub fn primary_text(&self, number: usize) -> String {
        format!("{NAME} {}", self.place(number))
    }

    /// How events name a replica: `slave 127.0.0.1:6380 127.0.0.1 6380 @ mymaster 127.0.0.1 6379`.
    pub fn replica_text(&self, number: usize, primary: usize) -> String {
        let port = self.0[number].port;
        format!("slave 127.0.0.1:{port} 127.0.0.1 {port} @ {}", self.primary_text(primary))
    }

    /// The lines of a sentinel's file that watch the first of these.
    pub fn watched(&self, quorum: u32, down_after_ms: u32, more: &str) -> String {
        let mut lines = format!("sentinel monitor {NAME} {} {quorum}\n", self.place(0));
        let _ = write!(lines, "sentinel down-after-milliseconds {NAME} {down_after_ms}\n{more}");
        lines
    }
}

/// A running sentinel: a [`Server`] with a file of its own.
#[derive(Debug)]
pub struct Sentinel(Server);

impl Deref for Sentinel {
    type Target = Server;

    fn deref(&self) -> &Server {
        &self.0
    }
}

impl DerefMut for Sentinel {
    fn deref_mut(&mut self) -> &mut Server {
        &mut self.0
    }
}

impl Sentinel {
    /// Starts one with these lines in its file, and waits until it answers.
    #[track_caller]
    pub fn start(product: Product, lines: &str) -> Self {
        Self::start_with(product, lines, &[])
    }

    /// Starts one with these lines in its file and further words on the command line behind it, and waits until it answers.
    #[track_caller]
    pub fn start_with(product: Product, lines: &str, options: &[&str]) -> Self {
        let mut sentinel = Self::prepare(product, lines);
        sentinel.0.options.extend(options.iter().map(|o| (*o).to_owned()));
        assert!(sentinel.launch(), "the sentinel did not start:\n{}", sentinel.log());
        sentinel
    }

    /// One that is not started yet.
    pub fn prepare(product: Product, lines: &str) -> Self {
        let mut server = Server::prepare(product, &[]);
        let file = server.folder.file("sentinel.conf");
        let (port, dir) = (server.port, server.folder.path().display().to_string());
        std::fs::write(&file, format!("port {port}\ndir {dir}\n{lines}")).unwrap();
        server.is_sentinel = true;
        server.password = lines.lines().find_map(|l| l.strip_prefix("requirepass ")).map(str::to_owned);
        server.options = vec![file];
        Self(server)
    }

    /// Starts one of each product over this primary, quorum a majority, and waits until each knows all others and the replicas.
    #[track_caller]
    pub fn group(products: &[Product], primary: &Server, replicas: usize) -> Vec<Self> {
        let quorum = products.len() / 2 + 1;
        let lines = |product: Product| {
            // Redis's ask once a second: less than two would be one late answer on a busy machine.
            let down_after = if product == Product::Redis { 2000 } else { 1000 };
            format!(
                "sentinel monitor {NAME} 127.0.0.1 {} {quorum}\nsentinel down-after-milliseconds {NAME} {down_after}\n\
                 sentinel failover-timeout {NAME} 3000\n",
                primary.port
            )
        };
        let all: Vec<Self> = products.iter().map(|product| Self::start(*product, &lines(*product))).collect();
        all.iter().for_each(|sentinel| sentinel.wait_to_know(replicas, products.len() - 1));
        all
    }

    /// Its file as it is now.
    pub fn file(&self) -> String {
        std::fs::read_to_string(self.folder.file("sentinel.conf")).unwrap()
    }

    /// Changes its periods, so that what takes seconds elsewhere takes less in a test. When a busy machine has stopped it for
    /// two seconds, it does not trust its clock for a while (TILT); that one is short, too.
    #[track_caller]
    pub fn hurry(&self) {
        self.ok(&["SENTINEL", "DEBUG", "INFO-PERIOD", "500", "PUBLISH-PERIOD", "200", "TILT-PERIOD", "500"]);
    }

    /// The fields of a map, or of a flat array of names and values, by name.
    #[track_caller]
    pub fn fields(&self, words: &[&str]) -> BTreeMap<String, String> {
        fields(&self.call(words))
    }

    /// What it knows of the primary.
    #[track_caller]
    pub fn primary(&self, field: &str) -> String {
        self.fields(&["SENTINEL", "MASTER", NAME]).remove(field).unwrap_or_default()
    }

    /// The fields of each replica that it knows, or each sentinel (`REPLICAS`, `SENTINELS`).
    #[track_caller]
    pub fn list(&self, what: &str) -> Vec<BTreeMap<String, String>> {
        match self.call(&["SENTINEL", what, NAME]) {
            Value::Array(items) => items.iter().map(fields).collect(),
            other => panic!("{other:?}"),
        }
    }

    /// The port of the primary, as it tells clients.
    #[track_caller]
    pub fn primary_port(&self) -> u16 {
        texts(&self.call(&["SENTINEL", "GET-MASTER-ADDR-BY-NAME", NAME]))[1].parse().unwrap()
    }

    /// Waits until it knows this many replicas and other sentinels, and has heard of all of them.
    #[track_caller]
    pub fn wait_to_know(&self, replicas: usize, sentinels: usize) {
        let known = holds_within(PATIENCE, || {
            let up = |what: &str, plain: &str| {
                let list = self.list(what);
                (list.len(), list.iter().all(|i| i["flags"] == plain))
            };
            up("REPLICAS", "slave") == (replicas, true)
                && up("SENTINELS", "sentinel") == (sentinels, true)
                && self.list("REPLICAS").iter().all(|r| r["master-link-status"] == "ok")
        });
        assert!(known, "{:?} {:?}\n{}", self.list("REPLICAS"), self.list("SENTINELS"), self.log());
    }

    /// Waits until it has made another server the primary, and gives its port.
    #[track_caller]
    pub fn wait_for_switch_from(&self, port: u16) -> u16 {
        let switched = holds_within(PATIENCE, || self.primary_port() != port);
        assert!(switched, "no fail-over:\n{}", self.log());
        self.primary_port()
    }

    /// The events in its log, with their texts, oldest first.
    pub fn logged_events(&self) -> Vec<(String, String)> {
        self.log().lines().filter_map(event_of_line).collect()
    }

    /// Waits until an event with this text stands in its log.
    #[track_caller]
    pub fn wait_for_event(&self, name: &str, text: &str) {
        let is_it = |(n, t): &(String, String)| n == name && t == text;
        let came = holds_within(PATIENCE, || self.logged_events().iter().any(is_it));
        assert!(came, "{name} {text} did not come:\n{}", self.log());
    }
}

#[track_caller]
fn fields(value: &Value) -> BTreeMap<String, String> {
    match value {
        Value::Map(pairs) => pairs.iter().map(|(k, v)| (text(k), text(v))).collect(),
        Value::Array(items) => items.chunks(2).map(|pair| (text(&pair[0]), text(&pair[1]))).collect(),
        other => panic!("no fields: {other:?}"),
    }
}

/// The event of a log line such as `2989:X 05 Jun 2024 20:16:50.300 # +odown master mymaster 127.0.0.1 6379 #quorum 1/1`.
pub fn event_of_line(line: &str) -> Option<(String, String)> {
    let mut words = line.splitn(7, ' ');
    let (pid, role) = words.next()?.split_once(':')?;
    let (day, month, year) = (words.next()?, words.next()?, words.next()?);
    let (clock, mark) = (words.next()?, words.next()?);
    let rest = words.next()?;
    let number = |text: &str, len: usize| text.len() == len && text.bytes().all(|b| b.is_ascii_digit());
    let is_clock = clock.len() == 12
        && clock.bytes().enumerate().all(|(i, b)| match i {
            2 | 5 => b == b':',
            8 => b == b'.',
            _ => b.is_ascii_digit(),
        });
    let is_line = pid.bytes().all(|b| b.is_ascii_digit())
        && role == "X"
        && number(day, 2)
        && month.len() == 3
        && number(year, 4)
        && is_clock
        && matches!(mark, "#" | "*" | "-" | ".");
    // The initial `+monitor` is one as well; other lines begin with a capital letter.
    (is_line && rest.starts_with(['+', '-'])).then(|| {
        let (name, text) = rest.split_once(' ').unwrap_or((rest, ""));
        (name.to_owned(), text.to_owned())
    })
}

/// Everything that a sentinel publishes, from the moment on at which this was made.
#[derive(Debug)]
pub struct Published {
    seen: Arc<Mutex<Vec<(String, String)>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Published {
    /// Subscribes to all channels.
    #[track_caller]
    pub fn by(sentinel: &Sentinel) -> Self {
        let mut client = sentinel.client();
        client.call(&["PSUBSCRIBE", "*"]);
        let (seen, stop) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
        let (out, ends) = (seen.clone(), stop.clone());
        let thread = std::thread::spawn(move || listen(&mut client, &out, &ends));
        Self { seen, stop, thread: Some(thread) }
    }

    /// What came so far: channels and texts.
    pub fn events(&self) -> Vec<(String, String)> {
        self.seen.lock().unwrap().clone()
    }

    /// Waits until this has come.
    #[track_caller]
    pub fn wait_for(&self, name: &str, text: &str) {
        wait_until(PATIENCE, || self.events().iter().any(|(n, t)| n == name && t == text));
    }
}

fn listen(client: &mut Client, out: &Mutex<Vec<(String, String)>>, stop: &AtomicBool) {
    while !stop.load(Ordering::Relaxed) {
        let Ok(message) = client.try_reply() else { return };
        if let [kind, _, channel, message] = texts(&message).as_slice()
            && kind == "pmessage"
        {
            out.lock().unwrap().push((channel.clone(), message.clone()));
        }
    }
}

impl Drop for Published {
    fn drop(&mut self) {
        // The thread ends by itself when the sentinel does; a test need not wait for that.
        self.stop.store(true, Ordering::Relaxed);
        drop(self.thread.take());
    }
}
