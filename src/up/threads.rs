//! The threads that watch, and what each of them sends to the main one.
//!
//! ```text
//!   for each process    asks INFO twice a second                              ─► Info
//!   for each sentinel   listens to its events                                 ─► Sentinel
//!   for each server     listens to the heartbeats that another thread
//!                       publishes on the primary: they come through the
//!                       replication stream, so their age is the lag           ─► Beat
//!   one                 reads the keys, one writes the load                   ─► Key, Wrote, Counted
//! ```
//! A process that is frozen keeps only its own threads waiting. All end with the program; one that panics ends it.

use super::info::Info;
use super::load::{self, Shared};
use super::nodes::{Door, Kind, Node};
use super::state::Event;
use crate::wire::Connection;
use ratatui::crossterm::event::{self, Event as TerminalEvent};
use resp::Value;
use std::io;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// How often a process is asked for INFO.
const ASK_PERIOD: Duration = Duration::from_millis(500);
/// How often the primary publishes a heartbeat.
const BEAT_PERIOD: Duration = Duration::from_millis(100);
/// How long a thread waits before it connects anew.
const RETRY_PERIOD: Duration = Duration::from_millis(100);
/// How long a process may take to answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(1);
/// The channel of the heartbeats.
const CHANNEL: &[u8] = b"rekindle:up:heartbeat";

/// Where the threads send to. What is sent when nobody listens any more is dropped: the program ends.
#[derive(Debug, Clone)]
pub struct Sender(mpsc::Sender<Event>);

impl Sender {
    /// Sends an event.
    pub fn send(&self, event: Event) {
        let _ = self.0.send(event);
    }

    /// Starts a thread. That it panics is sent as well.
    fn spawn(&self, what: String, run: impl FnOnce(&Sender) + Send + 'static) -> Result<(), String> {
        let sender = self.clone();
        let name = what.clone();
        std::thread::Builder::new()
            .name("rk-up".into())
            .spawn(move || {
                if std::panic::catch_unwind(AssertUnwindSafe(|| run(&sender))).is_err() {
                    sender.send(Event::ThreadFailed { what });
                }
            })
            .map(drop)
            .map_err(|error| format!("can't start the thread that {name}: {error}"))
    }
}

/// Starts all of them. Times are counted from `start`.
pub fn start(
    nodes: &[Node],
    start: Instant,
    rate: u32,
    shared: &Arc<Shared>,
    with_keys: bool,
) -> Result<mpsc::Receiver<Event>, String> {
    let (sender, receiver) = mpsc::channel();
    let sender = Sender(sender);
    let mut servers = Vec::new();
    let mut sentinels = Vec::new();
    for (index, node) in nodes.iter().enumerate() {
        let (door, port) = (node.door(), node.port);
        sender.spawn(format!("asks {port}"), move |events| ask(index, &door, events))?;
        let door = node.door();
        match node.kind {
            Kind::Server => {
                servers.push((port, node.door()));
                sender.spawn(format!("hears {port}"), move |events| {
                    listen(&door, b"SUBSCRIBE", CHANNEL, |parts| {
                        if let Some(sent) = parts.last().and_then(|text| text.parse().ok()).map(Duration::from_micros) {
                            let delay = start.elapsed().saturating_sub(sent);
                            events.send(Event::Beat { node: index, sent, delay });
                        }
                    });
                })?;
            }
            Kind::Sentinel => {
                sentinels.push(port);
                sender.spawn(format!("hears {port}"), move |events| {
                    listen(&door, b"PSUBSCRIBE", b"*", |parts| {
                        if let [_, _, name, text] = &parts[..]
                            && !name.starts_with("__")
                        {
                            events.send(Event::Sentinel { by: port, name: name.clone(), text: text.clone() });
                        }
                    });
                })?;
            }
        }
    }
    let primary = shared.clone();
    sender.spawn("publishes heartbeats".into(), move |events| publish(&servers, start, &primary, events))?;
    let shared = shared.clone();
    sender.spawn("writes the load".into(), move |events| load::run(rate, &sentinels, &shared, events))?;
    if with_keys {
        sender.spawn("reads the keys".into(), read_keys)?;
    }
    Ok(receiver)
}

fn ask(node: usize, door: &Door, events: &Sender) {
    let mut connection: Option<Connection> = None;
    loop {
        // A fail-over closes the connections of clients, so one that is lost tells nothing yet.
        let mut info = None;
        for _ in 0..2 {
            if connection.is_none() {
                connection = door.connect(Some(ANSWER_TIMEOUT)).ok();
            }
            let Some(open) = &mut connection else { break };
            let reply = open.call(&[b"INFO", b"all"]).ok();
            info = reply.as_ref().and_then(Value::as_bytes).map(|text| Info::parse(&String::from_utf8_lossy(text)));
            if info.is_some() {
                break;
            }
            connection = None;
        }
        events.send(Event::Info { node, info });
        std::thread::sleep(ASK_PERIOD);
    }
}

/// Subscribes, and gives the parts of each message as texts; connects anew for ever.
fn listen(door: &Door, command: &[u8], channel: &[u8], mut take: impl FnMut(Vec<String>)) {
    loop {
        // An error means that the process is gone or has closed the connection: it is tried again.
        let _ = listen_once(door, command, channel, &mut take);
        std::thread::sleep(RETRY_PERIOD);
    }
}

fn listen_once(door: &Door, command: &[u8], channel: &[u8], take: &mut impl FnMut(Vec<String>)) -> io::Result<()> {
    let mut connection = door.connect(None)?;
    connection.call(&[command, channel])?;
    loop {
        let message = connection.reply()?;
        let text = |part: &Value| part.as_bytes().map_or_else(String::new, |text| String::from_utf8_lossy(text).into());
        let parts: Vec<String> = message.elements().iter().map(text).collect();
        if parts.first().is_some_and(|first| first.ends_with("message")) {
            take(parts);
        }
    }
}

/// Publishes the time on the primary, whichever that is.
fn publish(servers: &[(u16, Door)], start: Instant, shared: &Shared, events: &Sender) {
    let mut connection: Option<(u16, Connection)> = None;
    loop {
        std::thread::sleep(BEAT_PERIOD);
        let port = shared.primary.load(Ordering::Relaxed);
        let Some((_, door)) = servers.iter().find(|(server, _)| *server == port) else { continue };
        if connection.as_ref().is_none_or(|(connected, _)| *connected != port) {
            connection = door.connect(Some(ANSWER_TIMEOUT)).ok().map(|connection| (port, connection));
        }
        let Some((_, open)) = &mut connection else { continue };
        let sent = Duration::from_micros(start.elapsed().as_micros() as u64);
        match open.call(&[b"PUBLISH", CHANNEL, sent.as_micros().to_string().as_bytes()]) {
            Ok(Value::Int(_)) => events.send(Event::Published { sent }),
            // A primary that refuses or does not answer has nothing to be behind of.
            Ok(_) | Err(_) => connection = None,
        }
    }
}

/// The keys that are pressed; reading from a terminal that has been closed may never come back.
fn read_keys(events: &Sender) {
    while let Ok(event) = event::read() {
        if let TerminalEvent::Key(key) = event {
            events.send(Event::Key(key));
        } else if let TerminalEvent::Resize(..) = event {
            events.send(Event::Redraw);
        }
    }
}
