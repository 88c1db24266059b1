//! A server without sockets for tests of commands: an engine, some clients, a clock that the test moves.
//!
//! Requests are lines of words as a person would type them; replies are parsed from the very bytes that would be
//! sent, and can be shown as short text, so that tests are tables of lines and what they answer:
//!
//! ```text
//! reply         shown          reply           shown
//! +OK           +OK            *2 $1 a :2      ["a", 2]
//! -ERR no       -ERR no        ~1 $1 a         ~["a"]
//! :2            2              %1 $1 a :2      {"a": 2}
//! $1 a          "a"            null            nil
//! ```
//!
//! [`Server::raw`] gives the bytes themselves, for the difference between a null string and a null array.
#![allow(dead_code, reason = "each test program uses its part of it")]

pub mod peer;

use engine::client::ClientKey;
use engine::config::Config;
use engine::engine::{Engine, Flow};
use engine::error::{Error, Result};
use engine::host::{Host, HostCommand};
use engine::notify::Classes;
use keyspace::ValueRef;
use resp::{Args, Limits, Protocol, RequestParser, Status, Value, encode_command, parse_value};

/// When each server begins: Unix milliseconds.
pub const START_MS: i64 = 1_700_000_000_000;

/// An outside that does nothing.
struct Nowhere;

impl Host for Nowhere {
    fn command(&mut self, _: HostCommand, _: &mut Engine, _: &Args) -> Result {
        Err(Error::fixed("ERR there is no server around this engine"))
    }
}

/// An engine with one client, to which more can be added.
pub struct Server {
    /// The engine, for what the tests look at directly.
    pub engine: Engine,
    /// The client that [`Server::run`] speaks for.
    pub first: ClientKey,
    /// The one that hears of keyspace events.
    listener: Option<ClientKey>,
}

impl Default for Server {
    fn default() -> Self {
        Self::new()
    }
}

impl Server {
    /// A server with default settings, empty databases and one client.
    pub fn new() -> Self {
        let mut engine = Engine::new(Config::default(), 1, || 0);
        engine.stream.enabled = true;
        engine.set_time(START_MS);
        let first = engine.clients.add("127.0.0.1:1".into(), "127.0.0.1:6379".into(), -1, START_MS);
        Self { engine, first, listener: None }
    }

    /// A further client.
    pub fn client(&mut self) -> ClientKey {
        let port = self.engine.clients.len() + 1;
        let now_ms = self.engine.store.now_ms;
        self.engine.clients.add(format!("127.0.0.1:{port}"), "127.0.0.1:6379".into(), -1, now_ms)
    }

    /// Lets a client speak RESP3.
    pub fn speak_v3(&mut self, client: ClientKey) {
        self.engine.clients[client].out.protocol = Protocol::V3;
    }

    /// Changes settings and makes the engine take them over.
    pub fn configure(&mut self, change: impl FnOnce(&mut Config)) {
        change(&mut self.engine.config);
        self.engine.apply_config();
    }

    /// Gives a request of a client to the engine; what becomes of it.
    pub fn send<W: AsRef<[u8]>>(&mut self, client: ClientKey, words: &[W]) -> Flow {
        let mut request = Vec::new();
        encode_command(&mut request, words.iter().map(AsRef::as_ref));
        let (mut parser, mut spans) = (RequestParser::default(), Vec::new());
        let limits = Limits { bulk_bytes_max: i64::MAX, authenticated: true };
        let status = parser.parse(&request, limits, &mut spans).expect("the request was just encoded");
        assert_eq!(status, Status::Complete { len: request.len() });
        self.engine.begin(client);
        let flow = self.engine.execute(&mut Nowhere, &Args::new(&request, &spans));
        self.engine.end();
        flow
    }

    /// Takes the bytes that wait for a client.
    pub fn take_output(&mut self, client: ClientKey) -> Vec<u8> {
        std::mem::take(&mut self.engine.clients[client].out.buf)
    }

    /// Takes the replies that wait for a client.
    pub fn take_replies(&mut self, client: ClientKey) -> Vec<Value> {
        values(&self.take_output(client))
    }

    /// Runs a request of a client that must be answered at once, with exactly one reply.
    pub fn run_words<W: AsRef<[u8]>>(&mut self, client: ClientKey, words: &[W]) -> Value {
        let flow = self.send(client, words);
        let mut replies = self.take_replies(client);
        assert_eq!(replies.len(), 1, "one request is answered by one reply, not by {replies:?} ({flow:?})");
        replies.remove(0)
    }

    /// As [`Server::run_words`] for a line of words.
    pub fn run_as(&mut self, client: ClientKey, line: &str) -> Value {
        self.run_words(client, &words(line))
    }

    /// Runs a line of the first client.
    pub fn run(&mut self, line: &str) -> Value {
        self.run_as(self.first, line)
    }

    /// Runs a line of the first client and gives the bytes of the answer, line ends as spaces.
    pub fn raw(&mut self, line: &str) -> String {
        self.send(self.first, &words(line));
        let bytes = self.take_output(self.first);
        String::from_utf8_lossy(&bytes).trim_end().replace("\r\n", " ")
    }

    /// Runs a line of a client that has to wait.
    pub fn blocks(&mut self, client: ClientKey, line: &str) {
        let flow = self.send(client, &words(line));
        let replies = self.take_replies(client);
        assert_eq!((flow, replies.as_slice()), (Flow::Blocked, &[][..]), "{line} has to wait");
    }

    /// What waits for a client, shown.
    pub fn shown_replies(&mut self, client: ClientKey) -> Vec<String> {
        self.take_replies(client).iter().map(show).collect()
    }

    /// Runs lines of the first client one after another and compares what they answer.
    #[track_caller]
    pub fn check(&mut self, table: &[(&str, &str)]) {
        for (line, expected) in table {
            assert_eq!(show(&self.run(line)), *expected, "{line}");
        }
    }

    /// As [`Server::check`] where the order of an array, set or map is open: its elements are sorted before.
    #[track_caller]
    pub fn check_unordered(&mut self, table: &[(&str, &str)]) {
        for (line, expected) in table {
            assert_eq!(show(&sorted(self.run(line))), *expected, "{line}");
        }
    }

    /// Lets time pass: milliseconds. Waits whose time is up end.
    pub fn pass(&mut self, ms: i64) {
        let now_ms = self.engine.store.now_ms + ms;
        self.engine.set_time(now_ms);
        self.engine.end_waits();
    }

    /// The commands propagated since the last call, as lines; `SELECT` is left out.
    pub fn effects(&mut self) -> Vec<String> {
        let bytes = std::mem::take(&mut self.engine.stream.bytes);
        let lines = values(&bytes).into_iter().map(|command| {
            let Value::Array(words) = command else { panic!("the stream holds commands, not {command:?}") };
            let words: Vec<_> = words.iter().map(|w| w.as_bytes().expect("words are strings")).collect();
            String::from_utf8_lossy(&words.join(&b' ')).into_owned()
        });
        lines.filter(|line| !line.starts_with("SELECT ")).collect()
    }

    /// Keyspace events since the last call (the first call begins to listen): `name key`.
    pub fn events(&mut self) -> Vec<String> {
        let Some(listener) = self.listener else {
            let listener = self.client();
            self.listener = Some(listener);
            self.configure(|c| c.notify_keyspace_events.0 = Classes::parse(b"AEn").expect("these are letters"));
            self.send(listener, &["PSUBSCRIBE", "__keyevent@*"]);
            self.take_output(listener);
            return Vec::new();
        };
        let messages = self.take_replies(listener).into_iter().map(|message| {
            let (Value::Array(parts) | Value::Push(parts)) = message else { panic!("a message is {message:?}") };
            let text = |i: usize| String::from_utf8_lossy(parts[i].as_bytes().expect("a string")).into_owned();
            let event = text(2).rsplit(':').next().expect("a channel has a name").to_owned();
            format!("{event} {}", text(3))
        });
        messages.collect()
    }

    /// How many changes have been counted since the last call.
    pub fn take_dirty(&mut self) -> u64 {
        std::mem::take(&mut self.engine.stats.dirty)
    }

    /// What `OBJECT ENCODING` says of a container in the first database; nothing for strings and missing keys.
    pub fn encoding(&self, key: &str) -> Option<&'static str> {
        let entry = self.engine.store.keyspace.db(0).get(key.as_bytes())?;
        match entry.value() {
            ValueRef::List(list) => Some(list.encoding()),
            ValueRef::Hash(hash) => Some(hash.encoding()),
            ValueRef::Set(set) => Some(set.encoding()),
            ValueRef::ZSet(zset) => Some(zset.encoding()),
            _ => None,
        }
    }
}

/// The words of a line; double quotes make one word of what is between them.
pub fn words(line: &str) -> Vec<Vec<u8>> {
    let (mut words, mut word, mut quoted, mut begun) = (Vec::new(), Vec::new(), false, false);
    for byte in line.bytes() {
        match byte {
            b'"' => (quoted, begun) = (!quoted, true),
            b' ' if !quoted => {
                if begun {
                    words.push(std::mem::take(&mut word));
                }
                begun = false;
            }
            _ => {
                word.push(byte);
                begun = true;
            }
        }
    }
    if begun {
        words.push(word);
    }
    words
}

/// All replies in a row of bytes.
pub fn values(mut bytes: &[u8]) -> Vec<Value> {
    let mut values = Vec::new();
    while let Some((value, len)) = parse_value(bytes).expect("replies are well-formed") {
        values.push(value);
        bytes = &bytes[len..];
    }
    assert!(bytes.is_empty(), "a reply ends in its middle: {:?}", bytes.escape_ascii().to_string());
    values
}

/// A reply as text; see the head of this module.
pub fn show(value: &Value) -> String {
    let list = |values: &[Value]| values.iter().map(show).collect::<Vec<_>>().join(", ");
    let text = |bytes: &[u8]| bytes.escape_ascii().to_string();
    match value {
        Value::Null => "nil".into(),
        Value::Simple(line) => format!("+{}", text(line)),
        Value::Error(line) => format!("-{}", String::from_utf8_lossy(line)),
        Value::Int(n) => n.to_string(),
        Value::Double(n) => format!(",{n}"),
        Value::Bool(yes) => yes.to_string(),
        Value::BigNumber(digits) => format!("({}", text(digits)),
        Value::Bulk(bytes) => format!("\"{}\"", text(bytes)),
        Value::Verbatim(format, bytes) => format!("{format}:\"{}\"", text(bytes)),
        Value::Array(values) => format!("[{}]", list(values)),
        Value::Set(values) => format!("~[{}]", list(values)),
        Value::Push(values) => format!(">[{}]", list(values)),
        Value::Map(pairs) => {
            let pairs: Vec<_> = pairs.iter().map(|(key, value)| format!("{}: {}", show(key), show(value))).collect();
            format!("{{{}}}", pairs.join(", "))
        }
    }
}

/// The same reply with the elements of its outermost array, set or map in the order of their text.
pub fn sorted(value: Value) -> Value {
    match value {
        Value::Array(mut values) => {
            values.sort_by_key(show);
            Value::Array(values)
        }
        Value::Set(mut values) => {
            values.sort_by_key(show);
            Value::Set(values)
        }
        Value::Map(mut pairs) => {
            pairs.sort_by_key(|(key, _)| show(key));
            Value::Map(pairs)
        }
        other => other,
    }
}
