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
//! A frozen process keeps only its own threads waiting. All threads end with the program; that one panics is an event (`ThreadFailed`).

use super::error::Error;
use super::info::Info;
use super::load::{self, Shared};
use super::nodes::{Endpoint, Node, Service};
use super::state::{BEAT_PERIOD, Event};
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
/// How long a thread waits before it reconnects.
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

    /// Starts a thread; `what` says what it does. A panic is sent as [`Event::ThreadFailed`].
    fn spawn(&self, what: String, run: impl FnOnce(&Sender) + Send + 'static) -> Result<(), Error> {
        let sender = self.clone();
        let thread = what.clone();
        std::thread::Builder::new()
            .name("rk-up".into())
            .spawn(move || {
                if std::panic::catch_unwind(AssertUnwindSafe(|| run(&sender))).is_err() {
                    sender.send(Event::ThreadFailed { what });
                }
            })
            .map(drop)
            .map_err(|error| Error::Thread { what: thread, error })
    }
}

/// Starts all of them. Times are counted from `start`.
pub fn start(
    nodes: &[Node],
    start: Instant,
    rate: u32,
    shared: &Arc<Shared>,
    with_keys: bool,
) -> Result<mpsc::Receiver<Event>, Error> {
    let (sender, receiver) = mpsc::channel();
    let sender = Sender(sender);
    let mut servers = Vec::new();
    let mut sentinels = Vec::new();
    for (index, node) in nodes.iter().enumerate() {
        let (endpoint, port) = (node.endpoint(), node.port);
        sender.spawn(format!("asks {port}"), move |events| ask(index, &endpoint, events))?;
        let endpoint = node.endpoint();
        match node.service {
            Service::Server => {
                servers.push((port, node.endpoint()));
                sender.spawn(format!("hears {port}"), move |events| {
                    listen(&endpoint, b"SUBSCRIBE", CHANNEL, |parts| {
                        if let Some(sent) = parts.last().and_then(|text| text.parse().ok()).map(Duration::from_micros) {
                            let delay = start.elapsed().saturating_sub(sent);
                            events.send(Event::Beat { node: index, sent, delay });
                        }
                    });
                })?;
            }
            Service::Sentinel => {
                sentinels.push(port);
                sender.spawn(format!("hears {port}"), move |events| {
                    listen(&endpoint, b"PSUBSCRIBE", b"*", |parts| {
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

fn ask(node: usize, endpoint: &Endpoint, events: &Sender) {
    let mut connection: Option<Connection> = None;
    loop {
        // A fail-over closes the connections of clients, so one that is lost tells nothing yet.
        let mut info = None;
        for _ in 0..2 {
            if connection.is_none() {
                connection = endpoint.connect(Some(ANSWER_TIMEOUT)).ok();
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

/// Subscribes, gives the parts of each message as texts, and reconnects for ever.
fn listen(endpoint: &Endpoint, command: &[u8], channel: &[u8], mut take: impl FnMut(Vec<String>)) {
    loop {
        // An error means that the process is gone or has closed the connection: the next round retries.
        let _ = listen_once(endpoint, command, channel, &mut take);
        std::thread::sleep(RETRY_PERIOD);
    }
}

fn listen_once(
    endpoint: &Endpoint,
    command: &[u8],
    channel: &[u8],
    take: &mut impl FnMut(Vec<String>),
) -> io::Result<()> {
    let mut connection = endpoint.connect(None)?;
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
fn publish(servers: &[(u16, Endpoint)], start: Instant, shared: &Shared, events: &Sender) {
    let mut connection: Option<(u16, Connection)> = None;
    loop {
        std::thread::sleep(BEAT_PERIOD);
        let port = shared.primary.load(Ordering::Relaxed);
        let Some((_, endpoint)) = servers.iter().find(|(server, _)| *server == port) else { continue };
        if connection.as_ref().is_none_or(|(connected, _)| *connected != port) {
            connection = endpoint.connect(Some(ANSWER_TIMEOUT)).ok().map(|connection| (port, connection));
        }
        let Some((_, open)) = &mut connection else { continue };
        let sent = Duration::from_micros(start.elapsed().as_micros() as u64);
        match open.call(&[b"PUBLISH", CHANNEL, sent.as_micros().to_string().as_bytes()]) {
            Ok(Value::Int(_)) => events.send(Event::Published { sent }),
            // A primary that refuses or does not answer writes nothing that a replica could lag behind.
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
