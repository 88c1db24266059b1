//! A sentinel on the bench: a clock that stands still, and a disk that works at once unless a test wants otherwise.

use sentinel::{Action, ClientId, Event, LinkId, LogLevel, Millis, Reply, Sentinel, Setup};

pub struct Bench {
    pub sentinel: Sentinel,
    pub now: u64,
    pub wall_offset: i64,
    /// Saves are confirmed by themselves.
    pub saves: bool,
    /// Connections are opened by themselves, and PINGs, INFO and the rest answered as by a healthy primary without replicas.
    pub healthy: bool,
    pub info: String,
    pub pong: Reply,
    pub actions: Vec<Action>,
    clients: u64,
}

pub const MONITOR: &str = "sentinel monitor mymaster 10.0.0.1 6379 2\n";
pub const OTHER: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

impl Bench {
    pub fn new(text: &str) -> Self {
        let setup =
            Setup { config_text: text.into(), port: 26379, requirepass: None, log_level: LogLevel::Notice, seed: 7 };
        let sentinel = Sentinel::new(setup, Millis { monotonic: 1000, wall: 1_700_000_001_000 }).expect("a good file");
        let info = format!("# Server\r\nrun_id:{}\r\nrole:master\r\n", "1".repeat(40));
        let mut bench = Self {
            sentinel,
            now: 1000,
            wall_offset: 1_700_000_000_000,
            saves: true,
            healthy: false,
            info,
            pong: Reply::Status(b"PONG".to_vec()),
            actions: Vec::new(),
            clients: 0,
        };
        bench.drain();
        bench
    }

    pub fn give(&mut self, event: Event) {
        let now = Millis { monotonic: self.now, wall: self.now as i64 + self.wall_offset };
        self.sentinel.handle(now, event);
        self.drain();
    }

    fn drain(&mut self) {
        while let Some(action) = self.sentinel.poll_action() {
            self.actions.push(action.clone());
            let event = match action {
                Action::Save { save, .. } if self.saves => Event::Saved { save, error: None },
                Action::Connect { link, .. } if self.healthy => {
                    Event::LinkOpened { link, local: "10.0.0.9".parse().unwrap() }
                }
                Action::Send { link, args } if self.healthy => {
                    let reply = match args[0].as_slice() {
                        b"PING" => self.pong.clone(),
                        b"INFO" => Reply::Bulk(self.info.clone().into_bytes()),
                        b"SUBSCRIBE" => Reply::Array(vec![
                            Reply::Bulk(b"subscribe".to_vec()),
                            Reply::Bulk(args[1].clone()),
                            Reply::Int(1),
                        ]),
                        _ => Reply::Int(1),
                    };
                    Event::Received { link, reply }
                }
                _ => continue,
            };
            let now = Millis { monotonic: self.now, wall: self.now as i64 + self.wall_offset };
            self.sentinel.handle(now, event);
        }
    }

    /// Lets time pass, with a tick at each deadline.
    pub fn run_for(&mut self, ms: u64) {
        let end = self.now + ms;
        loop {
            let at = self.sentinel.next_deadline().max(self.now + 1);
            if at > end {
                break;
            }
            self.now = at;
            self.give(Event::Tick);
        }
        self.now = end;
    }

    /// A command's number; its answer is among the actions.
    pub fn send(&mut self, line: &str) -> ClientId {
        self.clients += 1;
        let client = ClientId(self.clients);
        self.send_as(client, line);
        client
    }

    pub fn send_as(&mut self, client: ClientId, line: &str) {
        let args = line.split(' ').map(|w| w.trim_matches('"').as_bytes().to_vec()).collect();
        self.give(Event::Command { client, args });
    }

    pub fn answers(&self, client: ClientId) -> Vec<Reply> {
        let of = |a: &Action| match a {
            Action::Answer { client: c, reply } if *c == client => Some(reply.clone()),
            _ => None,
        };
        self.actions.iter().filter_map(of).collect()
    }

    /// The answer to a command, which must come at once.
    pub fn ask(&mut self, line: &str) -> Reply {
        let client = self.send(line);
        let mut answers = self.answers(client);
        assert_eq!(answers.len(), 1, "{line}: {answers:?}");
        answers.remove(0)
    }

    /// The names of a map's or the items of an array's fields, as text.
    pub fn words(reply: &Reply) -> Vec<String> {
        match reply {
            Reply::Map(pairs) => pairs.iter().flat_map(|(k, v)| [Self::word(k), Self::word(v)]).collect(),
            Reply::Array(items) => items.iter().map(Self::word).collect(),
            other => vec![Self::word(other)],
        }
    }

    pub fn word(reply: &Reply) -> String {
        match reply {
            Reply::Status(b) | Reply::Error(b) | Reply::Bulk(b) => String::from_utf8_lossy(b).into_owned(),
            Reply::Int(n) => n.to_string(),
            other => format!("{other:?}"),
        }
    }

    pub fn field(reply: &Reply, name: &str) -> Option<String> {
        let Reply::Map(pairs) = reply else { panic!("{reply:?}") };
        pairs.iter().find(|(k, _)| Self::word(k) == name).map(|(_, v)| Self::word(v))
    }

    /// `name text` of all events so far.
    pub fn events(&self) -> Vec<String> {
        let of = |a: &Action| match a {
            Action::Emit { name, text, .. } => Some(format!("{name} {text}")),
            _ => None,
        };
        self.actions.iter().filter_map(of).collect()
    }

    pub fn sent(&self) -> Vec<(LinkId, String)> {
        let of = |a: &Action| match a {
            Action::Send { link, args } => {
                let words: Vec<_> = args.iter().map(|w| String::from_utf8_lossy(w).into_owned()).collect();
                Some((*link, words.join(" ")))
            }
            _ => None,
        };
        self.actions.iter().filter_map(of).collect()
    }

    pub fn saved(&self) -> String {
        let of = |a: &Action| match a {
            Action::Save { text, .. } => Some(text.clone()),
            _ => None,
        };
        self.actions.iter().rev().find_map(of).expect("something was saved")
    }

    pub fn connects(&self) -> Vec<(LinkId, String)> {
        let of = |a: &Action| match a {
            Action::Connect { link, address, port } => Some((*link, format!("{address}:{port}"))),
            _ => None,
        };
        self.actions.iter().filter_map(of).collect()
    }

    /// A hello of another sentinel comes in.
    pub fn hello(&mut self, run_id: &str, host: &str, epoch: u64, primary: &str, config_epoch: u64) -> Reply {
        self.ask(&format!("PUBLISH __sentinel__:hello {host},26379,{run_id},{epoch},mymaster,{primary},{config_epoch}"))
    }
}
