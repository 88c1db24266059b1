//! CLIENT: who is connected, how each connection is treated, pausing and unblocking.
//!
//! A client is shown as one line of `name=value` pairs, in the order in which Redis prints
//! them, because tools split that line.

use super::options::{int, is};
use crate::client::{Class, Client, ClientFlags, ClientKey};
use crate::engine::Engine;
use crate::error::{self, Error, Result};
use crate::pause::Holder;
use crate::table::Run;
use resp::{Args, Protocol};
use std::fmt::Write;

/// The handlers of this family.
pub const COMMANDS: super::Family = &[
    ("client|getname", Run::Plain(getname)),
    ("client|getredir", Run::Plain(getredir)),
    ("client|help", Run::Plain(help)),
    ("client|id", Run::Plain(id)),
    ("client|info", Run::Plain(info)),
    ("client|kill", Run::Plain(kill)),
    ("client|list", Run::Plain(list)),
    ("client|no-evict", Run::Plain(no_evict)),
    ("client|no-touch", Run::Plain(no_touch)),
    ("client|pause", Run::Plain(pause)),
    ("client|reply", Run::Plain(reply)),
    ("client|setinfo", Run::Plain(setinfo)),
    ("client|setname", Run::Plain(setname)),
    ("client|unblock", Run::Plain(unblock)),
    ("client|unpause", Run::Plain(unpause)),
];

/// The letters of a client's state, `N` where there is nothing to tell.
fn flag_letters(client: &Client) -> String {
    let has = |flag| client.flags.any(flag);
    let mut text = String::new();
    for (on, letter) in [
        (has(ClientFlags::MONITOR), 'O'),
        (has(ClientFlags::REPLICA) && !has(ClientFlags::MONITOR), 'S'),
        (has(ClientFlags::PRIMARY), 'M'),
        (has(ClientFlags::PUBSUB), 'P'),
        (has(ClientFlags::MULTI), 'x'),
        (has(ClientFlags::BLOCKED | ClientFlags::POSTPONED), 'b'),
        (has(ClientFlags::DIRTY_CAS), 'd'),
        (has(ClientFlags::CLOSE_AFTER_REPLY), 'c'),
        (has(ClientFlags::CLOSING), 'A'),
        (has(ClientFlags::UNIX), 'U'),
        (has(ClientFlags::READONLY), 'r'),
        (has(ClientFlags::NO_EVICT), 'e'),
        (has(ClientFlags::NO_TOUCH), 'T'),
    ] {
        if on {
            text.push(letter);
        }
    }
    if text.is_empty() { "N".into() } else { text }
}

/// Bytes of the fixed buffer, and of each further block, that Redis keeps replies in.
const REPLY_BLOCK_BYTES: usize = 16 << 10;

impl Engine {
    /// A client as `CLIENT LIST` shows it, without a line end.
    pub fn client_line(&self, key: ClientKey) -> String {
        let client = &self.clients[key];
        // The running client's output and database are with the engine until its requests are done.
        let running = key == self.current;
        let (out, db) = if running { (&self.out, self.store.db) } else { (&client.out, client.db) };
        let name = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let command = client.last_command.and_then(|i| self.table.iter_all().find(|c| c.index == i));
        let multi_bytes: usize = client.queued.iter().map(crate::client::Kept::memory_bytes).sum();
        // Redis shows what fits its fixed buffer as obl and the rest as a list of blocks.
        let waiting = out.buf.len() + client.traffic.sending_bytes;
        let obl = waiting.min(REPLY_BLOCK_BYTES);
        let omem = waiting - obl;
        let total = size_of::<Client>()
            + client.traffic.query_capacity
            + out.buf.capacity()
            + client.traffic.sending_bytes
            + multi_bytes;
        let mut text = String::with_capacity(400);
        let seconds_since = |at_ms: i64| (self.store.now_ms - at_ms).max(0) / 1000;
        let _ = write!(
            text,
            "id={} addr={} laddr={} fd={} name={} age={} idle={} flags={} db={db} sub={} psub={} ssub={} multi={} watch={} qbuf={} qbuf-free={} argv-mem={} multi-mem={multi_bytes} rbs={} rbp={} obl={} oll={} omem={omem} tot-mem={total} events={} cmd={} user={} redir=-1 resp={} lib-name={} lib-ver={} tot-net-in={} tot-net-out={} tot-cmds={}",
            client.id,
            client.addr,
            client.laddr,
            client.fd,
            name(&client.name),
            seconds_since(client.created_ms),
            seconds_since(client.active_ms),
            flag_letters(client),
            client.subscriptions.channels.len(),
            client.subscriptions.patterns.len(),
            client.subscriptions.shard.len(),
            if client.flags.any(ClientFlags::MULTI) { client.queued.len() as i64 } else { -1 },
            client.watched.len(),
            client.traffic.query_bytes,
            client.traffic.query_capacity.saturating_sub(client.traffic.query_bytes),
            0,
            out.buf.capacity(),
            waiting,
            obl,
            omem.div_ceil(REPLY_BLOCK_BYTES),
            if omem > 0 { "rw" } else { "r" },
            command.map_or("NULL", |c| c.spec.name),
            if client.authenticated { "default" } else { "(superuser)" },
            if out.protocol == Protocol::V3 { 3 } else { 2 },
            name(&client.lib_name),
            name(&client.lib_version),
            client.traffic.received_bytes,
            client.traffic.sent_bytes,
            client.traffic.commands,
        );
        text
    }
}

fn id(e: &mut Engine, _: &Args) -> Result {
    let id = e.client().id;
    e.out.int(id as i64);
    Ok(())
}

fn info(e: &mut Engine, _: &Args) -> Result {
    let mut line = e.client_line(e.current);
    line.push('\n');
    e.out.verbatim("txt", line.as_bytes());
    Ok(())
}

fn class_of(word: &[u8]) -> Result<Class> {
    match () {
        () if is(word, "normal") => Ok(Class::Normal),
        () if is(word, "replica") || is(word, "slave") => Ok(Class::Replica),
        () if is(word, "pubsub") => Ok(Class::PubSub),
        () if is(word, "master") || is(word, "primary") => Ok(Class::Primary),
        () => Err(Error::new(format!("ERR Unknown client type '{}'", String::from_utf8_lossy(word)))),
    }
}

fn list(e: &mut Engine, a: &Args) -> Result {
    let keys: Vec<ClientKey> = match a.len() {
        2 => e.clients.keys(),
        4 if is(&a[2], "TYPE") => {
            let class = class_of(&a[3])?;
            e.clients.iter().filter(|(_, c)| c.class() == class).map(|(k, _)| k).collect()
        }
        n if n >= 4 && is(&a[2], "ID") => {
            let mut keys = Vec::new();
            for word in a.iter_from(3) {
                let id = int(word).ok().filter(|id| *id > 0).ok_or(Error::fixed("ERR Invalid client ID"))?;
                keys.extend(e.clients.key_of(id as u64));
            }
            keys
        }
        _ => return Err(error::SYNTAX),
    };
    let mut text = String::new();
    for key in keys {
        text.push_str(&e.client_line(key));
        text.push('\n');
    }
    e.out.verbatim("txt", text.as_bytes());
    Ok(())
}

/// Which clients CLIENT KILL means.
#[derive(Default)]
struct Filter<'a> {
    id: Option<u64>,
    class: Option<Class>,
    addr: Option<&'a [u8]>,
    laddr: Option<&'a [u8]>,
    min_age_s: Option<i64>,
}

impl Filter<'_> {
    fn fits(&self, client: &Client, now_ms: i64) -> bool {
        self.id.is_none_or(|id| client.id == id)
            && self.class.is_none_or(|class| client.class() == class)
            && self.addr.is_none_or(|addr| client.addr.as_bytes() == addr)
            && self.laddr.is_none_or(|laddr| client.laddr.as_bytes() == laddr)
            && self.min_age_s.is_none_or(|age| (now_ms - client.created_ms) / 1000 >= age)
    }
}

fn kill(e: &mut Engine, a: &Args) -> Result {
    let mut filter = Filter::default();
    let mut skip_me = true;
    let old_form = a.len() == 3;
    if old_form {
        filter.addr = Some(&a[2]);
        skip_me = false;
    } else {
        if !a.len().is_multiple_of(2) {
            return Err(error::SYNTAX);
        }
        for i in (2..a.len()).step_by(2) {
            let (word, value) = (&a[i], &a[i + 1]);
            match () {
                () if is(word, "ID") => {
                    let wrong = Error::fixed("ERR client-id should be greater than 0");
                    filter.id = Some(int(value).ok().filter(|id| *id > 0).ok_or(wrong)? as u64);
                }
                () if is(word, "TYPE") => filter.class = Some(class_of(value)?),
                () if is(word, "ADDR") => filter.addr = Some(value),
                () if is(word, "LADDR") => filter.laddr = Some(value),
                () if is(word, "USER") => {
                    if value != b"default" {
                        return Err(Error::new(format!("ERR No such user '{}'", String::from_utf8_lossy(value))));
                    }
                }
                () if is(word, "MAXAGE") => {
                    let wrong = Error::fixed("ERR maxage is not an integer or out of range");
                    filter.min_age_s = Some(int(value).map_err(|_| wrong.clone())?).filter(|age| *age > 0);
                    if filter.min_age_s.is_none() {
                        return Err(Error::fixed("ERR maxage should be greater than 0"));
                    }
                }
                () if is(word, "SKIPME") && is(value, "yes") => skip_me = true,
                () if is(word, "SKIPME") && is(value, "no") => skip_me = false,
                () => return Err(error::SYNTAX),
            }
        }
    }
    let now_ms = e.store.now_ms;
    let me = e.current;
    let chosen: Vec<ClientKey> =
        e.clients.iter().filter(|(k, c)| filter.fits(c, now_ms) && !(skip_me && *k == me)).map(|(k, _)| k).collect();
    for &key in &chosen {
        // The one who asks still gets the answer.
        if key == me { e.close_after_reply(key) } else { e.close(key) }
    }
    match (old_form, chosen.is_empty()) {
        (true, true) => return Err(Error::fixed("ERR No such client")),
        (true, false) => e.out.ok(),
        (false, _) => e.out.int(chosen.len() as i64),
    }
    Ok(())
}

fn getname(e: &mut Engine, _: &Args) -> Result {
    let name = e.client().name.clone();
    if name.is_empty() {
        e.out.null()
    } else {
        e.out.bulk(&name)
    }
    Ok(())
}

/// Names stand in lines that are split at spaces: only visible ASCII will do.
fn is_plain(name: &[u8]) -> bool {
    name.iter().all(|b| (b'!'..=b'~').contains(b))
}

fn setname(e: &mut Engine, a: &Args) -> Result {
    if !is_plain(&a[2]) {
        return Err(Error::fixed("ERR Client names cannot contain spaces, newlines or special characters."));
    }
    e.client().name = a[2].into();
    e.out.ok();
    Ok(())
}

fn setinfo(e: &mut Engine, a: &Args) -> Result {
    let (option, value) = (&a[2], &a[3]);
    let client = e.client();
    let slot = match () {
        () if is(option, "lib-name") => &mut client.lib_name,
        () if is(option, "lib-ver") => &mut client.lib_version,
        () => return Err(Error::new(format!("ERR Unrecognized option '{}'", String::from_utf8_lossy(option)))),
    };
    if !is_plain(value) {
        let option = String::from_utf8_lossy(option);
        return Err(Error::new(format!("ERR {option} cannot contain spaces, newlines or special characters.")));
    }
    *slot = value.into();
    e.out.ok();
    Ok(())
}

fn on_off(word: &[u8]) -> Result<bool> {
    match () {
        () if is(word, "on") => Ok(true),
        () if is(word, "off") => Ok(false),
        () => Err(error::SYNTAX),
    }
}

fn no_evict(e: &mut Engine, a: &Args) -> Result {
    let on = on_off(&a[2])?;
    e.client().flags.set(ClientFlags::NO_EVICT, on);
    e.out.ok();
    Ok(())
}

fn no_touch(e: &mut Engine, a: &Args) -> Result {
    let on = on_off(&a[2])?;
    e.client().flags.set(ClientFlags::NO_TOUCH, on);
    e.store.no_touch = on;
    e.out.ok();
    Ok(())
}

fn pause(e: &mut Engine, a: &Args) -> Result {
    let writes_only = match a.get(3) {
        None => false,
        Some(word) if is(word, "ALL") && a.len() == 4 => false,
        Some(word) if is(word, "WRITE") && a.len() == 4 => true,
        Some(_) => return Err(Error::fixed("ERR CLIENT PAUSE mode must be WRITE or ALL")),
    };
    let ms = int(&a[2]).map_err(|_| error::TIMEOUT_NOT_INTEGER)?;
    if ms < 0 {
        return Err(error::TIMEOUT_NEGATIVE);
    }
    let until_ms = e.store.now_ms.checked_add(ms).ok_or(error::TIMEOUT_NOT_INTEGER)?;
    e.pause_begin(Holder::Client, until_ms, writes_only);
    e.out.ok();
    Ok(())
}

fn unpause(e: &mut Engine, _: &Args) -> Result {
    e.pause_end(Holder::Client);
    e.out.ok();
    Ok(())
}

fn reply(e: &mut Engine, a: &Args) -> Result {
    let flags = &mut e.client().flags;
    match () {
        () if is(&a[2], "on") => {
            flags.set(ClientFlags::REPLY_OFF | ClientFlags::REPLY_SKIP | ClientFlags::REPLY_SKIP_NEXT, false);
            e.out.ok();
        }
        () if is(&a[2], "off") => flags.set(ClientFlags::REPLY_OFF, true),
        () if is(&a[2], "skip") => {
            if !flags.any(ClientFlags::REPLY_OFF) {
                flags.set(ClientFlags::REPLY_SKIP_NEXT, true);
            }
        }
        () => return Err(error::SYNTAX),
    }
    Ok(())
}

fn unblock(e: &mut Engine, a: &Args) -> Result {
    const UNBLOCKED: Error = Error::fixed("UNBLOCKED client unblocked via CLIENT UNBLOCK");
    let with_error = match a.get(3) {
        None => false,
        Some(word) if is(word, "timeout") && a.len() == 4 => false,
        Some(word) if is(word, "error") && a.len() == 4 => true,
        Some(_) => return Err(Error::fixed("ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR")),
    };
    let id = int(&a[2])?;
    let key = u64::try_from(id).ok().and_then(|id| e.clients.key_of(id));
    let done = key.filter(|key| e.may_be_unblocked(*key)).is_some_and(|key| {
        if with_error {
            e.stats.count_error(UNBLOCKED.code());
        }
        e.unblock_with(key, with_error.then_some(&UNBLOCKED))
    });
    e.out.int(i64::from(done));
    Ok(())
}

fn getredir(e: &mut Engine, _: &Args) -> Result {
    e.out.int(-1);
    Ok(())
}

fn help(e: &mut Engine, _: &Args) -> Result {
    super::help(
        e,
        "CLIENT",
        &[
            ("GETNAME", "The name of this connection."),
            ("GETREDIR", "The client that gets the invalidation messages of this one, -1 for none."),
            ("ID", "The id of this connection."),
            ("INFO", "The facts of this connection."),
            ("KILL <ip:port>", "Close the connection from this address."),
            (
                "KILL <option> <value> [<option> <value> ...]",
                "Close the connections that fit all of ID, TYPE, USER, ADDR, LADDR, MAXAGE; SKIPME (yes|no) spares this one.",
            ),
            ("LIST [TYPE (NORMAL|MASTER|REPLICA|PUBSUB) | ID <id> ...]", "The facts of all connections or of some."),
            ("NO-EVICT (ON|OFF)", "Keep this connection from being closed for its memory."),
            ("NO-TOUCH (ON|OFF)", "Let reads of this connection not count as accesses to keys."),
            ("PAUSE <milliseconds> [WRITE|ALL]", "Put off all commands, or those that may write."),
            ("REPLY (ON|OFF|SKIP)", "Send replies, send none, or leave out the next one."),
            ("SETINFO (LIB-NAME|LIB-VER) <value>", "Tell which client library this is."),
            ("SETNAME <name>", "Give this connection a name."),
            ("UNBLOCK <id> [TIMEOUT|ERROR]", "End the waiting of a client in a blocking command."),
            ("UNPAUSE", "End a pause at once."),
        ],
    )
}
