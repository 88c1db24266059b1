//! A connection that is made anew when it breaks, with what the prompt shows of it: the database, an open MULTI, subscriptions.

use super::format::{self, Style};
use super::options::Options;
use crate::wire::{Connection, reason};
use resp::Value;
use std::io::{self, Write};

/// After so many redirections of one command the last answer counts: nodes may disagree for ever.
const REDIRECTIONS_MAX: usize = 16;

/// The session.
pub struct Session {
    /// The options, with the target as it is now.
    pub options: Options,
    /// The connection, while there is one.
    pub connection: Option<Connection>,
    /// Whether MULTI was said.
    pub in_multi: bool,
    /// How many channels and patterns are subscribed.
    pub subscribed: i64,
    /// The database selected now; `options.target.db` is the one to go back to.
    pub db: i64,
    db_before_multi: i64,
    /// How often the running command has been sent on to another node.
    redirections: usize,
}

/// How a command ended.
pub enum Ended {
    /// With a reply; whether it is an error.
    Reply(bool),
    /// The stream of messages has begun.
    Streaming,
}

impl Session {
    /// A session that is not connected yet.
    pub fn new(options: Options) -> Self {
        let db = options.target.db;
        Self { options, connection: None, in_multi: false, subscribed: 0, db, db_before_multi: db, redirections: 0 }
    }

    /// Connects, logs in, selects the database and the protocol.
    ///
    /// # Errors
    /// In words, as `redis-cli` says them.
    pub fn connect(&mut self) -> Result<(), String> {
        self.connection = None;
        (self.in_multi, self.subscribed) = (false, 0);
        let mut connection = Connection::target_with(
            &self.options.target,
            self.options.connect_timeout,
            self.options.prefer.unwrap_or_default(),
        )?;
        let target = &self.options.target;
        let mut warn = |what: &str, words: &[&[u8]]| -> Result<bool, String> {
            match connection.call(words) {
                Ok(Value::Error(text)) => {
                    eprintln!("{what} failed: {}", String::from_utf8_lossy(&text));
                    Ok(false)
                }
                Ok(_) => Ok(true),
                Err(error) => Err(format!("Error: {}", reason(&error))),
            }
        };
        if let Some(password) = &target.password {
            let words = [Some(&b"AUTH"[..]), target.user.as_deref().map(str::as_bytes), Some(password.as_bytes())];
            warn("AUTH", &words.into_iter().flatten().collect::<Vec<_>>())?;
        }
        if self.options.protocol == Some(3) {
            warn("HELLO 3", &[b"HELLO", b"3"])?;
        }
        if target.db != 0 {
            let number = target.db.to_string();
            self.db = if warn(&format!("SELECT {number}"), &[b"SELECT", number.as_bytes()])? { target.db } else { 0 };
        } else {
            self.db = 0;
        }
        self.connection = Some(connection);
        Ok(())
    }

    /// Sends a command and returns the reply, connecting first where that is needed.
    ///
    /// # Errors
    /// The connection failed; in words.
    pub fn call(&mut self, words: &[&[u8]]) -> Result<Value, String> {
        if self.connection.is_none() {
            self.connect()?;
        }
        let connection = self.connection.as_mut().expect("it has just been made");
        connection.call(words).map_err(|error| {
            self.connection = None;
            format!("Error: {}", reason(&error))
        })
    }

    /// Reads one message or reply.
    ///
    /// # Errors
    /// The connection failed; in words.
    pub fn read_next(&mut self) -> Result<Value, String> {
        self.connection.as_mut().ok_or("Error: not connected")?.reply().map_err(|error| {
            self.connection = None;
            format!("Error: {}", reason(&error))
        })
    }

    /// Reads one message or reply and prints it.
    ///
    /// # Errors
    /// The connection failed; in words.
    pub fn print_next(&mut self, verbatim: bool) -> Result<Value, String> {
        let value = self.read_next()?;
        self.print(&value, verbatim);
        Ok(value)
    }

    /// A reply as it is printed.
    pub fn printed(&self, value: &Value, verbatim: bool) -> Vec<u8> {
        let mut out = Vec::new();
        format::reply(value, self.options.style, verbatim, &self.options.delimiters, &mut out);
        out
    }

    /// Prints a reply.
    pub fn print(&self, value: &Value, verbatim: bool) {
        let out = self.printed(value, verbatim);
        let mut stdout = io::stdout().lock();
        let _ = stdout.write_all(&out).and_then(|()| stdout.flush());
    }

    /// Runs one command: sends it, prints what comes back, keeps track of the state.
    ///
    /// # Errors
    /// The connection failed; in words.
    pub fn run(&mut self, words: &[Vec<u8>]) -> Result<Ended, String> {
        if self.connection.is_none() {
            self.connect()?;
        }
        let lower: Vec<String> = words.iter().take(2).map(|w| String::from_utf8_lossy(w).to_lowercase()).collect();
        let name = lower[0].as_str();
        let mut out = Vec::new();
        resp::encode_command(&mut out, words.iter().map(Vec::as_slice));
        let connection = self.connection.as_mut().expect("connected above");
        if let Err(error) = connection.write_all(&out) {
            self.connection = None;
            return Err(format!("Error: {}", reason(&error)));
        }
        let subscribing = ["subscribe", "psubscribe", "ssubscribe"].contains(&name);
        let unsubscribing = ["unsubscribe", "punsubscribe", "sunsubscribe"].contains(&name);
        if subscribing || (unsubscribing && self.subscribed > 0) {
            let expected = if words.len() > 1 { words.len() - 1 } else { self.subscribed.max(1) as usize };
            let mut got = 0;
            while got < expected {
                let value = self.print_next(false)?;
                if matches!(value, Value::Error(_)) {
                    return Ok(Ended::Reply(true));
                }
                got += usize::from(self.note(&value));
            }
            return Ok(if self.subscribed > 0 { Ended::Streaming } else { Ended::Reply(false) });
        }
        loop {
            let value = self.connection.as_mut().expect("connected above").reply().map_err(|error| {
                self.connection = None;
                format!("Error: {}", reason(&error))
            })?;
            if matches!(value, Value::Push(_)) {
                self.note(&value);
                let shown =
                    self.options.show_pushes.unwrap_or(self.options.style == Style::People || self.subscribed > 0);
                if shown {
                    self.print(&value, false);
                }
                continue;
            }
            if let Some(redirection) = self.redirection(&value) {
                self.redirections += 1;
                let result = self.redirect(&redirection).and_then(|()| self.run(words));
                self.redirections = 0;
                return result;
            }
            let failed = matches!(value, Value::Error(_));
            if let (Value::Error(text), true) = (&value, self.options.error_status) {
                // With -e an error goes where errors go, whatever the style.
                eprintln!("{}", String::from_utf8_lossy(text));
            } else {
                self.print(&value, is_verbatim(&lower));
            }
            self.follow(name, words, failed);
            if (name == "monitor" || name == "sync" || name == "psync") && !failed {
                return Ok(Ended::Streaming);
            }
            return Ok(if self.subscribed > 0 { Ended::Streaming } else { Ended::Reply(failed) });
        }
    }

    /// Where a reply sends us, if we follow.
    fn redirection(&self, value: &Value) -> Option<Redirection> {
        let Value::Error(text) = value else { return None };
        if !self.options.cluster || self.redirections >= REDIRECTIONS_MAX {
            return None;
        }
        Redirection::parse(text, &self.options.target.host)
    }

    /// Goes to another node of the cluster.
    fn redirect(&mut self, to: &Redirection) -> Result<(), String> {
        if self.options.style == Style::People {
            println!("-> Redirected to slot [{}] located at {}:{}", to.slot, to.host, to.port);
        }
        self.options.target.socket = None;
        self.options.target.host.clone_from(&to.host);
        self.options.target.port = to.port;
        self.connect()?;
        if to.asking
            && let Value::Error(text) = self.call(&[b"ASKING"])?
        {
            return Err(format!("ASKING failed: {}", String::from_utf8_lossy(&text)));
        }
        Ok(())
    }

    /// Takes in a subscription message; whether it was one.
    pub fn note(&mut self, value: &Value) -> bool {
        let (Value::Array(items) | Value::Push(items)) = value else { return false };
        let kind = items.first().and_then(|v| v.as_bytes()).unwrap_or(b"");
        if let (true, Some(Value::Int(n))) = (kind.ends_with(b"subscribe"), items.get(2)) {
            self.subscribed = *n;
            return true;
        }
        false
    }

    /// What a command that has succeeded changes for the prompt.
    fn follow(&mut self, name: &str, words: &[Vec<u8>], failed: bool) {
        if failed {
            if name == "exec" {
                (self.in_multi, self.db) = (false, self.db_before_multi);
            }
            return;
        }
        match name {
            "select" => {
                if let Some(db) = words.get(1).and_then(|w| base::num::parse_i64(w)) {
                    self.db = db;
                    self.options.target.db = db;
                }
            }
            "multi" => (self.in_multi, self.db_before_multi) = (true, self.db),
            "exec" => self.in_multi = false,
            "discard" => {
                (self.in_multi, self.db) = (false, self.db_before_multi);
                self.options.target.db = self.db;
            }
            "reset" => {
                (self.in_multi, self.subscribed, self.db) = (false, 0, 0);
                self.options.target.db = 0;
            }
            "hello" => {
                if let Some(version) = words.get(1).and_then(|w| base::num::parse_i64(w)) {
                    self.options.protocol = u8::try_from(version).ok();
                }
            }
            _ => {}
        }
    }
}

/// `MOVED slot host:port` or `ASK slot host:port`.
#[derive(Debug, PartialEq, Eq)]
struct Redirection {
    asking: bool,
    slot: u16,
    host: String,
    port: u16,
}

impl Redirection {
    /// An empty host means the one that said so, `here`.
    fn parse(text: &[u8], here: &str) -> Option<Self> {
        let mut words = std::str::from_utf8(text).ok()?.split(' ');
        let asking = match words.next()? {
            "MOVED" => false,
            "ASK" => true,
            _ => return None,
        };
        let slot = words.next()?.parse().ok()?;
        let (host, port) = words.next()?.rsplit_once(':')?;
        let host = if host.is_empty() { here } else { host };
        Some(Self { asking, slot, host: host.to_owned(), port: port.parse().ok()? })
    }
}

/// Whether the reply is text for people already.
fn is_verbatim(lower: &[String]) -> bool {
    let second = lower.get(1).map_or("", String::as_str);
    match lower[0].as_str() {
        "info" | "lolwut" => true,
        "debug" => second.starts_with("htstats"),
        "memory" => second == "malloc-stats" || second == "doctor",
        "cluster" => second == "nodes" || second == "info",
        "client" => second == "list" || second == "info",
        "latency" => second == "graph" || second == "doctor",
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirections() {
        let parse = |text: &str| Redirection::parse(text.as_bytes(), "here");
        let to = |asking, slot, host: &str, port| Some(Redirection { asking, slot, host: host.into(), port });
        assert_eq!(parse("MOVED 3999 10.0.0.1:6381"), to(false, 3999, "10.0.0.1", 6381));
        assert_eq!(parse("ASK 12 ::1:7000"), to(true, 12, "::1", 7000));
        assert_eq!(parse("MOVED 1 :7000"), to(false, 1, "here", 7000));
        for other in ["ERR MOVED 1 a:1", "MOVED x a:1", "MOVED 1 a", "ASK 1 a:99999"] {
            assert_eq!(parse(other), None, "{other}");
        }
    }
}
