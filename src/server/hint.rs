//! `sentinel-hint`: a restarted primary asks its sentinels for its role before it serves.
//!
//! Why: while it was away its sentinels may have made another the primary. Until they reach it and tell it so, it would take
//! writes that are thrown away when it becomes a replica.
//!
//! The sentinels are asked at once, each by a thread of its own, while the data is being loaded. Until they have answered the
//! start is not over: the server answers as one that loads, which clients wait out. More than half of those that name a
//! primary decide; where they disagree evenly, or none answers within [`LIMIT`], it serves as it was configured, since no
//! sentinel may ever be needed to start a server.
//!
//! Limits: it does not log in to sentinels with a password; such a one counts as silent.

use super::Server;
use super::log::log;
use super::notes::Note;
use super::worker::{self, Teller};
use engine::rdb::Loaded;
use resp::Value;
use std::io::{Read, Write};
use std::net::{IpAddr, TcpStream, ToSocketAddrs, UdpSocket};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

/// How long the sentinels have to answer.
const LIMIT: Duration = Duration::from_secs(3);
/// How long one that could not be reached is left alone.
const RETRY: Duration = Duration::from_millis(100);
/// An answer longer than this is none.
const ANSWER_BYTES_MAX: usize = 4096;

/// What is kept while the sentinels are asked.
#[derive(Default)]
pub struct Asking {
    /// The data set of the start, once it is there: `Some(None)` where there is none.
    data: Option<Option<Box<Loaded>>>,
}

/// What a sentinel has said.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Answer {
    /// This server is the primary.
    Ours,
    /// Another one is.
    Other(String, u16),
    /// It names none, and why.
    Nobody(String),
}

/// What the answers come to.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Verdict {
    /// Serve as a primary.
    Primary,
    /// Follow this one.
    Follow(String, u16),
}

/// By what addresses this server may be known.
#[derive(Debug, Clone)]
struct Own {
    ports: Vec<u16>,
    announced: String,
}

impl Own {
    fn is_named_by(&self, host: &str, port: u16) -> bool {
        let same_name = || !self.announced.is_empty() && self.announced.eq_ignore_ascii_case(host);
        self.ports.contains(&port) && (same_name() || addresses(host).into_iter().any(|ip| self.has(ip)))
    }

    /// Whether it is one of this machine's, or what the announced name stands for.
    fn has(&self, ip: IpAddr) -> bool {
        // The system binds a socket to its own addresses only.
        UdpSocket::bind((ip, 0)).is_ok() || addresses(&self.announced).contains(&ip)
    }
}

fn addresses(host: &str) -> Vec<IpAddr> {
    if host.is_empty() {
        return Vec::new();
    }
    (host, 0).to_socket_addrs().map_or(Vec::new(), |all| all.map(|addr| addr.ip()).collect())
}

/// What more than half of `from` sentinels say alike, of those that name anybody.
fn majority(answers: &[Answer], from: usize) -> Option<Answer> {
    let count = |wanted: &Answer| answers.iter().filter(|a| *a == wanted).count();
    let named = |a: &&Answer| !matches!(a, Answer::Nobody(_));
    answers.iter().filter(named).find(|a| count(a) > from / 2).cloned()
}

/// Asks one sentinel, again and again until it answers or the time is up.
fn ask(sentinel: &(String, u16), name: &str, own: &Own, until: Instant) -> Option<Answer> {
    loop {
        match ask_once(sentinel, name, own, until) {
            Ok(answer) => return Some(answer),
            Err(_) if Instant::now() + RETRY < until => thread::sleep(RETRY),
            Err(_) => return None,
        }
    }
}

fn ask_once((host, port): &(String, u16), name: &str, own: &Own, until: Instant) -> Result<Answer, String> {
    let rest = || until.checked_duration_since(Instant::now()).filter(|d| !d.is_zero()).ok_or("the time is up");
    let addr = (host.as_str(), *port).to_socket_addrs().map_err(|e| e.to_string())?.next().ok_or("no address")?;
    // A packet that is lost is not waited for until the end.
    let patience = rest()?.min(Duration::from_millis(500));
    let mut socket = TcpStream::connect_timeout(&addr, patience).map_err(|e| e.to_string())?;
    let mut request = Vec::new();
    let words = [&b"SENTINEL"[..], b"get-master-addr-by-name", name.as_bytes()];
    resp::encode_command(&mut request, words.into_iter());
    socket.write_all(&request).map_err(|e| e.to_string())?;
    let (mut input, mut part) = (Vec::new(), [0; 512]);
    loop {
        match resp::parse_value(&input) {
            Ok(Some((value, _))) => return Ok(read_answer(&value, own)),
            Ok(None) if input.len() <= ANSWER_BYTES_MAX => {}
            Ok(None) => return Ok(Answer::Nobody("its answer does not end".into())),
            Err(error) => return Ok(Answer::Nobody(error.to_string())),
        }
        socket.set_read_timeout(Some(rest()?)).map_err(|e| e.to_string())?;
        match socket.read(&mut part).map_err(|e| e.to_string())? {
            0 => return Err("it closed the connection".into()),
            n => input.extend_from_slice(&part[..n]),
        }
    }
}

fn read_answer(value: &Value, own: &Own) -> Answer {
    let no_address = || Answer::Nobody("its answer is no address".into());
    let text = |value: &Value| value.as_bytes().map(|b| String::from_utf8_lossy(b).into_owned());
    match value {
        Value::Array(parts) => {
            let host = parts.first().and_then(text).filter(|host| !host.is_empty());
            let port = parts.get(1).and_then(text).and_then(|port| port.parse().ok()).filter(|port| *port != 0);
            match (host, port) {
                (Some(host), Some(port)) if own.is_named_by(&host, port) => Answer::Ours,
                (Some(host), Some(port)) => Answer::Other(host, port),
                _ => no_address(),
            }
        }
        Value::Null => Answer::Nobody("it watches no primary of this name".into()),
        Value::Error(error) => Answer::Nobody(String::from_utf8_lossy(error).into_owned()),
        Value::Simple(_) | Value::Bulk(_) | Value::BigNumber(_) | Value::Verbatim(..) | Value::Int(_) => no_address(),
        Value::Double(_) | Value::Bool(_) | Value::Set(_) | Value::Map(_) | Value::Push(_) => no_address(),
    }
}

/// Asks all sentinels and waits until they have decided or the time is up.
fn find_role(name: &str, sentinels: &[(String, u16)], own: &Own) -> Verdict {
    let until = Instant::now() + LIMIT;
    let (sender, answers) = channel();
    for sentinel in sentinels {
        let (sentinel, name, own, sender) = (sentinel.clone(), name.to_owned(), own.clone(), sender.clone());
        let body = move || {
            if let Some(answer) = ask(&sentinel, &name, &own, until) {
                // Nobody listens any more once the others have decided.
                let _ = sender.send((sentinel, answer));
            }
        };
        if let Err(error) = thread::Builder::new().name("rk-hint".into()).spawn(body) {
            log!(Warning, "sentinel-hint: can't start a thread to ask a sentinel: {error}");
        }
    }
    drop(sender);
    let mut heard = Vec::new();
    let decided = loop {
        let rest = until.saturating_duration_since(Instant::now());
        match answers.recv_timeout(rest) {
            Ok(((host, port), answer)) => {
                if let Answer::Nobody(why) = &answer {
                    log!(Warning, "sentinel-hint: the sentinel {host}:{port} names no primary: {why}");
                }
                heard.push(answer);
            }
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => break None,
        }
        let decided = majority(&heard, sentinels.len());
        if decided.is_some() {
            break decided;
        }
    };
    let named = heard.iter().filter(|a| !matches!(a, Answer::Nobody(_))).count();
    let of = format!("{named} of {} sentinels have answered", sentinels.len());
    match decided.or_else(|| majority(&heard, named)) {
        Some(Answer::Other(host, port)) => {
            log!(Warning, "sentinel-hint: the primary of '{name}' is {host}:{port} now ({of}): becoming its replica");
            Verdict::Follow(host, port)
        }
        Some(_) => {
            log!(Notice, "sentinel-hint: this server is the primary of '{name}' ({of})");
            Verdict::Primary
        }
        None if named > 0 => {
            log!(
                Warning,
                "sentinel-hint: the sentinels do not agree on the primary of '{name}' ({of}): serving as one"
            );
            Verdict::Primary
        }
        None => {
            log!(
                Warning,
                "sentinel-hint: no sentinel named the primary of '{name}' within {} s: serving as one",
                LIMIT.as_secs()
            );
            Verdict::Primary
        }
    }
}

impl Server {
    /// At the start of a server that is configured as a primary: asks the sentinels, if there are any to ask.
    pub fn ask_for_role(&mut self) {
        let config = &self.engine.config;
        let Some((name, sentinels)) = config.sentinel_hint.0.clone() else { return };
        let ports = [config.port.get(), config.replica_announce_port.get()];
        let ports = ports.into_iter().filter(|port| *port > 0).map(|port| port as u16).collect();
        let own = Own { ports, announced: config.replica_announce_ip.get().to_owned() };
        log!(Notice, "sentinel-hint: asking {} sentinels for the primary of '{name}'", sentinels.len());
        let work = move |teller: &Teller| {
            let primary = match find_role(&name, &sentinels, &own) {
                Verdict::Primary => None,
                Verdict::Follow(host, port) => Some((host, port)),
            };
            teller.tell(Note::Role { primary });
        };
        self.outside.loading_since_ms = Some(self.engine.store.now_ms);
        self.outside.asking = Some(Asking::default());
        self.outside.set_gates(&mut self.engine);
        worker::start("rk-hint", self.teller(), work, |why| {
            log!(Warning, "sentinel-hint: the sentinels are not asked, {why}: serving as a primary");
            vec![Note::Role { primary: None }]
        });
    }

    /// The sentinels have said whom to follow, if anybody.
    pub fn role_told(&mut self, primary: Option<(String, u16)>) {
        let Some(asking) = self.outside.asking.take() else { return };
        if primary.is_some() {
            self.engine.config.replicaof.0 = primary.clone();
            self.outside.link.primary = primary;
            self.outside.node.follow();
            self.outside.apply_oom_score(&self.engine);
        }
        self.outside.set_gates(&mut self.engine);
        if let Some(data) = asking.data {
            self.begin_to_serve(data);
        }
    }

    /// The data set of the start is there, or there is none: it is served as soon as the role is known.
    pub fn start_data(&mut self, data: Option<Box<Loaded>>) {
        match &mut self.outside.asking {
            Some(asking) => {
                asking.data = Some(data);
                self.outside.set_gates(&mut self.engine);
            }
            None => self.begin_to_serve(data),
        }
    }
}

impl Asking {
    /// Whether nothing but the sentinels' answers is waited for.
    pub fn is_last(&self) -> bool {
        self.data.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn other(port: u16) -> Answer {
        Answer::Other("192.0.2.1".into(), port)
    }

    #[test]
    fn more_than_half_decide() {
        let nobody = || Answer::Nobody(String::new());
        for (answers, from, expected) in [
            (vec![], 0, None),
            (vec![nobody()], 0, None),
            (vec![other(1)], 1, Some(other(1))),
            (vec![other(1)], 3, None),
            (vec![other(1), other(1)], 3, Some(other(1))),
            (vec![other(1), other(2)], 2, None),
            (vec![other(1), Answer::Ours], 2, None),
            (vec![other(1), Answer::Ours, Answer::Ours], 3, Some(Answer::Ours)),
            (vec![nobody(), nobody(), other(1)], 1, Some(other(1))),
        ] {
            assert_eq!(majority(&answers, from), expected, "{answers:?} of {from}");
        }
    }

    #[test]
    fn a_server_knows_its_own_addresses() {
        let own = Own { ports: vec![6379, 7000], announced: "192.0.2.7".into() };
        for (host, port, expected) in [
            ("127.0.0.1", 6379, true),
            ("127.0.0.1", 6380, false),
            ("localhost", 6379, true),
            ("192.0.2.7", 7000, true),
            ("192.0.2.8", 7000, false),
        ] {
            assert_eq!(own.is_named_by(host, port), expected, "{host}:{port}");
        }
    }

    #[test]
    fn whatever_a_sentinel_says_is_read() {
        let own = Own { ports: vec![6379], announced: "192.0.2.7".into() };
        let bulk = |text: &str| Value::Bulk(text.into());
        let read = |value| read_answer(&value, &own);
        assert_eq!(read(Value::Array(vec![bulk("192.0.2.7"), bulk("6379")])), Answer::Ours);
        assert_eq!(read(Value::Array(vec![bulk("192.0.2.1"), bulk("1")])), other(1));
        for value in [
            Value::Null,
            Value::Int(1),
            Value::Error(b"NOAUTH".to_vec()),
            Value::Array(vec![]),
            Value::Array(vec![bulk("192.0.2.1")]),
            Value::Array(vec![bulk("192.0.2.1"), bulk("70000")]),
            Value::Array(vec![bulk(""), bulk("1")]),
            Value::Array(vec![bulk("192.0.2.1"), Value::Array(vec![])]),
        ] {
            assert!(matches!(read(value.clone()), Answer::Nobody(_)), "{value:?}");
        }
    }
}
