//! The connection itself: greeting, authentication, the selected database, leaving.

use super::options::{int32, is};
use crate::client::{Class, ClientFlags};
use crate::engine::Engine;
use crate::error::{self, Error, Result};
use crate::table::Run;
use resp::{Args, Protocol};

/// The handlers of this family.
pub const COMMANDS: super::Family = &[
    ("auth", Run::Plain(auth)),
    ("echo", Run::Plain(echo)),
    ("hello", Run::Plain(hello)),
    ("ping", Run::Plain(ping)),
    ("quit", Run::Plain(quit)),
    ("reset", Run::Plain(reset)),
    ("select", Run::Plain(select)),
];

fn ping(e: &mut Engine, a: &Args) -> Result {
    if a.len() > 2 {
        return Err(Error::arity("ping"));
    }
    let subscribed = e.clients.get(e.current).is_some_and(|c| c.flags.any(ClientFlags::PUBSUB));
    if subscribed && e.out.protocol == Protocol::V2 {
        e.out.array(2);
        e.out.bulk(b"pong");
        e.out.bulk(a.get(1).unwrap_or(b""));
        return Ok(());
    }
    match a.get(1) {
        Some(text) => e.out.bulk(text),
        None => e.out.raw(b"+PONG\r\n"),
    }
    Ok(())
}

fn echo(e: &mut Engine, a: &Args) -> Result {
    e.out.bulk(&a[1]);
    Ok(())
}

fn quit(e: &mut Engine, _: &Args) -> Result {
    e.out.ok();
    e.close_after_reply(e.current);
    Ok(())
}

fn select(e: &mut Engine, a: &Args) -> Result {
    let db = int32(&a[1])?;
    match usize::try_from(db) {
        Ok(db) if db < e.store.keyspace.databases() => {
            e.store.db = db;
            e.client().db = db;
            e.out.ok();
            Ok(())
        }
        _ => Err(error::DB_OUT_OF_RANGE),
    }
}

impl Engine {
    /// Checks a user and a password; the running client is authenticated if they are right.
    fn authenticate(&mut self, user: &[u8], password: &[u8]) -> Result {
        if user != b"default" || !self.config.password_fits(password) {
            return Err(error::WRONG_PASS);
        }
        self.client().authenticated = true;
        Ok(())
    }
}

fn auth(e: &mut Engine, a: &Args) -> Result {
    match a.len() {
        2 => {
            if e.config.is_open() {
                return Err(Error::fixed(
                    "ERR AUTH <password> called without any password configured for the default user. Are you sure your configuration is correct?",
                ));
            }
            e.authenticate(b"default", &a[1])?;
        }
        3 => e.authenticate(&a[1], &a[2])?,
        _ => return Err(error::SYNTAX),
    }
    e.out.ok();
    Ok(())
}

/// Whether a client's name is one that `CLIENT LIST` can show.
pub fn check_name(name: &[u8]) -> Result {
    if name.iter().all(|b| (b'!'..=b'~').contains(b)) {
        Ok(())
    } else {
        Err(Error::fixed("ERR Client names cannot contain spaces, newlines or special characters."))
    }
}

fn hello(e: &mut Engine, a: &Args) -> Result {
    let mut protocol = e.out.protocol;
    let mut i = 1;
    if let Some(version) = a.get(1) {
        protocol = match base::num::parse_i64(version) {
            Some(2) => Protocol::V2,
            Some(3) => Protocol::V3,
            Some(_) => return Err(Error::fixed("NOPROTO unsupported protocol version")),
            None => return Err(Error::fixed("ERR Protocol version is not an integer or out of range")),
        };
        i = 2;
    }
    let (mut credentials, mut name) = (None, None);
    while i < a.len() {
        if is(&a[i], "AUTH") && i + 2 < a.len() {
            credentials = Some((a[i + 1].to_vec(), a[i + 2].to_vec()));
            i += 3;
        } else if is(&a[i], "SETNAME") && i + 1 < a.len() {
            check_name(&a[i + 1])?;
            name = Some(&a[i + 1]);
            i += 2;
        } else {
            return Err(Error::quoting("ERR Syntax error in HELLO option '", &a[i], "'"));
        }
    }
    if let Some((user, password)) = credentials {
        e.authenticate(&user, &password)?;
    }
    if !e.client().authenticated {
        return Err(Error::fixed(
            "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO <proto> AUTH <user> <pass> option can be used to authenticate the client and select the RESP protocol version at the same time",
        ));
    }
    if let Some(name) = name {
        e.client().name = name.into();
    }
    e.out.protocol = protocol;
    let id = e.client().id;
    let sentinel = e.config.sentinel;
    let role = if e.store.is_replica { "replica" } else { "master" };
    e.out.map(if sentinel { 6 } else { 7 });
    e.out.bulk(b"server");
    e.out.bulk(b"redis");
    e.out.bulk(b"version");
    e.out.bulk(crate::REDIS_VERSION.as_bytes());
    e.out.bulk(b"proto");
    e.out.int(if protocol == Protocol::V3 { 3 } else { 2 });
    e.out.bulk(b"id");
    e.out.int(id as i64);
    e.out.bulk(b"mode");
    e.out.bulk(if sentinel { b"sentinel" } else { b"standalone" });
    if !sentinel {
        e.out.bulk(b"role");
        e.out.bulk(role.as_bytes());
    }
    e.out.bulk(b"modules");
    e.out.array(0);
    Ok(())
}

fn reset(e: &mut Engine, _: &Args) -> Result {
    let key = e.current;
    if matches!(e.client().class(), Class::Primary | Class::Replica) {
        return Err(Error::fixed("ERR can only reset normal client connections"));
    }
    e.discard_transaction();
    e.forget_subscriptions(key);
    e.untrack(key);
    e.monitors.retain(|m| *m != key);
    e.gates.set(crate::engine::Gates::MONITORED, !e.monitors.is_empty());
    e.store.db = 0;
    e.store.no_touch = false;
    e.out.protocol = Protocol::V2;
    let open = e.config.is_open();
    let client = e.client();
    client.db = 0;
    client.name = Box::default();
    client.authenticated = open;
    let gone = ClientFlags::MONITOR
        | ClientFlags::REPLY_OFF
        | ClientFlags::REPLY_SKIP
        | ClientFlags::REPLY_SKIP_NEXT
        | ClientFlags::NO_TOUCH
        | ClientFlags::NO_EVICT
        | ClientFlags::READONLY;
    client.flags.set(gone, false);
    e.out.simple("RESET");
    Ok(())
}
