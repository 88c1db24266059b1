//! A sentinel's process: drives the state machine of the crate `sentinel` with real sockets, files, processes and clocks.
//!
//! ```text
//!   links: replies, open, closed ─┐                     ┌─► connect, send, close     (links)
//!   clients: SENTINEL, PUBLISH … ─┼─► Sentinel::handle ─┼─► answers, Pub/Sub, log
//!   threads: saved, resolved …   ─┤                     └─► save, resolve, scripts   (threads)
//!   the clock ────────────────────┘
//! ```
//!
//! It is the same event loop, the same connections and the same engine as a server's, with the command table of a sentinel
//! and nothing in its databases: clients, Pub/Sub, AUTH, INFO and so on come from there. Actions are carried out in the order in
//! which they come; whatever may take time is done by a thread, which reports by a note.

mod links;
mod scripts;
mod setup;

pub use setup::read as read_setup;

use super::log::{self, Level, log};
use super::notes::Note;
use super::outside::Outside;
use super::{Server, clock};
use ::sentinel::{Action, ClientId, Event, LinkId, LogLevel, Millis, Reply, SaveId, ScriptId, Sentinel};
use engine::client::ClientKey;
use engine::config::values;
use engine::engine::Engine;
use engine::error::Result;
use net::ConnId;
use resp::{Args, Out};
use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};

/// The clock begins here, so that "long ago" can be told from "never".
const CLOCK_START_MS: u64 = 1_000_000;

/// The state machine and what connects it to the world.
#[derive(Debug)]
pub struct Driver {
    machine: Sentinel,
    /// What it wants done and is not done yet.
    todo: VecDeque<Action>,
    links: BTreeMap<LinkId, links::Link>,
    by_conn: BTreeMap<ConnId, LinkId>,
    /// Clients that wait for an answer, by the ids that the machine knows them by.
    waiting: BTreeMap<u64, ClientKey>,
    scripts: BTreeMap<ScriptId, scripts::Script>,
    /// The configuration file.
    file: PathBuf,
}

/// Writes the configuration file, and tells how that went.
fn saved(save: SaveId, file: &Path, text: &str) -> Event {
    let error = super::files::replace(file, text.as_bytes()).err();
    Event::Saved { save, error: error.map(|e| format!("{}: {e}", file.display())) }
}

/// What time it is.
fn now() -> Millis {
    Millis { monotonic: CLOCK_START_MS + clock::monotonic_ns() / 1_000_000, wall: clock::unix_ms() }
}

impl Driver {
    /// A driver for this machine, whose configuration is kept in `file`.
    pub fn new(machine: Sentinel, file: &Path) -> Self {
        let mut driver = Self {
            machine,
            todo: VecDeque::new(),
            links: BTreeMap::new(),
            by_conn: BTreeMap::new(),
            waiting: BTreeMap::new(),
            scripts: BTreeMap::new(),
            file: file.to_owned(),
        };
        driver.collect();
        driver.save_first();
        driver
    }

    /// A new sentinel writes its id into its file before anybody can ask for it.
    fn save_first(&mut self) {
        let is_save = |action: &Action| matches!(action, Action::Save { .. });
        let at = self.todo.iter().position(is_save);
        if let Some(Action::Save { save, text }) = at.and_then(|at| self.todo.remove(at)) {
            self.handle(saved(save, &self.file, &text));
        }
    }

    fn collect(&mut self) {
        while let Some(action) = self.machine.poll_action() {
            self.todo.push_back(action);
        }
    }

    /// Something happened.
    fn handle(&mut self, event: Event) {
        self.machine.handle(now(), event);
        self.collect();
    }

    /// In how many milliseconds it wants to be woken.
    pub fn wakes_in_ms(&self) -> i64 {
        self.machine.next_deadline().saturating_sub(now().monotonic).min(1000) as i64
    }

    /// The fields of the `Sentinel` section of INFO.
    pub fn info_fields(&self) -> String {
        self.machine.info_fields()
    }
}

/// SENTINEL, PUBLISH and ROLE of a client.
pub fn command(outside: &mut Outside, engine: &mut Engine, args: &Args) -> Result {
    let driver = outside.sentinel.as_mut().expect("only a sentinel's table has these commands");
    let id = ClientId(engine.client().id);
    driver.handle(Event::Command { client: id, args: args.iter().map(<[u8]>::to_vec).collect() });
    let at = driver.todo.iter().position(|action| matches!(action, Action::Answer { client, .. } if *client == id));
    match at.and_then(|at| driver.todo.remove(at)) {
        Some(Action::Answer { reply, .. }) => {
            if let Reply::Error(text) = &reply {
                engine.stats.count_error(text.split(|b| *b == b' ').next().unwrap_or_default());
            }
            write_reply(&mut engine.out, &reply);
        }
        _ => {
            driver.waiting.insert(id.0, engine.current);
            engine.block_for_answer(args);
        }
    }
    Ok(())
}

fn write_reply(out: &mut Out, reply: &Reply) {
    match reply {
        Reply::Status(text) => out.simple(&String::from_utf8_lossy(text)),
        Reply::Error(text) => out.error(text),
        Reply::Int(n) => out.int(*n),
        Reply::Bulk(bytes) => out.bulk(bytes),
        Reply::Null => out.null(),
        Reply::NullArray => out.null_array(),
        Reply::Array(values) => {
            out.array(values.len());
            values.iter().for_each(|value| write_reply(out, value));
        }
        Reply::Map(pairs) => {
            out.map(pairs.len());
            for (name, value) in pairs {
                write_reply(out, name);
                write_reply(out, value);
            }
        }
    }
}

impl Server {
    /// Each round: what is due by time, and everything that the machine wants done.
    pub fn drive_sentinel(&mut self) {
        let Some(driver) = &mut self.outside.sentinel else { return };
        if driver.wakes_in_ms() == 0 {
            driver.handle(Event::Tick);
        }
        while let Some(action) = self.outside.sentinel.as_mut().and_then(|driver| driver.todo.pop_front()) {
            self.act(action);
        }
    }

    /// A thread reports.
    pub fn tell_sentinel(&mut self, event: Event) {
        let Some(driver) = &mut self.outside.sentinel else { return };
        if let Event::ScriptEnded { script, .. } = &event {
            driver.scripts.remove(script);
        }
        driver.handle(event);
    }

    /// A client is gone.
    pub fn forget_sentinel_client(&mut self, id: u64) {
        if let Some(driver) = &mut self.outside.sentinel
            && driver.waiting.remove(&id).is_some()
        {
            driver.handle(Event::ClientGone { client: ClientId(id) });
        }
    }

    fn act(&mut self, action: Action) {
        let Some(driver) = &mut self.outside.sentinel else { return };
        match action {
            Action::Connect { link, address, port } => self.open_link(link, address, port),
            Action::Close { link } => self.close_link(link),
            Action::Send { link, args } => self.send_on_link(link, &args),
            Action::Save { save, text } => {
                let file = driver.file.clone();
                self.in_background(move || saved(save, &file, &text));
            }
            Action::Answer { client, reply } => {
                if let Some(key) = driver.waiting.remove(&client.0) {
                    self.engine.answer(key, |out| write_reply(out, &reply));
                }
            }
            Action::Emit { level, name, text } => {
                let line = format!("{name} {text}");
                self.write_log(level, line.trim_end());
                if level > LogLevel::Debug {
                    self.engine.publish(name.as_bytes(), text.as_bytes());
                }
            }
            Action::Log { level, text } => self.write_log(level, &text),
            Action::SetLogLevel(level) => {
                self.engine.config.loglevel = log_setting(level);
                log::set_level(self.engine.config.loglevel);
            }
            Action::RunScript { script, argv } => self.run_script(script, argv),
            Action::KillScript { script } => {
                if let Some(script) = driver.scripts.get(&script) {
                    script.kill();
                }
            }
            Action::Resolve { name } => self.in_background(move || {
                let address = (name.as_str(), 0).to_socket_addrs().ok().and_then(|mut all| all.next());
                Event::Resolved { address: address.map(|a| a.ip()), name }
            }),
            Action::CheckExecutable { path } => self.in_background(move || {
                let executable = setup::is_executable(&path);
                Event::Executable { path, executable }
            }),
            Action::Exit { status } => std::process::exit(status),
        }
    }

    fn write_log(&self, level: LogLevel, line: &str) {
        match level {
            LogLevel::Debug => log::write(Level::Debug, line),
            LogLevel::Verbose => log::write(Level::Verbose, line),
            LogLevel::Notice => log::write(Level::Notice, line),
            LogLevel::Warning => log::write(Level::Warning, line),
            LogLevel::Nothing => {}
        }
    }

    /// Does something that may take time, and tells the machine what came of it.
    fn in_background(&mut self, work: impl FnOnce() -> Event + Send + 'static) {
        let (sender, waker) = (self.notes_sender.clone(), self.net.waker());
        let thread = std::thread::Builder::new().name("rk-sentinel".into()).spawn(move || {
            // Without a receiver the process is ending.
            if sender.send(Note::Sentinel(work())).is_ok() {
                waker.wake();
            }
        });
        if let Err(error) = thread {
            log!(Warning, "Can't start a thread: {error}");
            std::process::abort();
        }
    }

    /// Our own end of a connection.
    fn local_ip(&self, id: ConnId) -> Option<IpAddr> {
        let (_, local) = self.addresses(id);
        let (ip, _) = local.rsplit_once(':')?;
        ip.trim_start_matches('[').trim_end_matches(']').parse().ok()
    }
}

/// The setting that means this level.
fn log_setting(level: LogLevel) -> values::LogLevel {
    match level {
        LogLevel::Debug => values::LogLevel::Debug,
        LogLevel::Verbose => values::LogLevel::Verbose,
        LogLevel::Notice => values::LogLevel::Notice,
        LogLevel::Warning => values::LogLevel::Warning,
        LogLevel::Nothing => values::LogLevel::Nothing,
    }
}
