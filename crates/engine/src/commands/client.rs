//! CLIENT: who is connected, how each connection is treated, pausing and unblocking.
//!
//! A client is shown as one line of `name=value` pairs, in the order in which Redis prints
//! them, because tools split that line.

use super::options::{int, is};
use crate::client::{Class, Client, ClientFlags, ClientKey};
use crate::engine::Engine;
use crate::error::{self, Error, Result, up_to_zero};
use crate::pause::Holder;
use crate::prefixes::{Prefixes, overlapping_pair};
use crate::table::Run;
use crate::tracking::{Interest, Mode};
use resp::{Args, Protocol};
use std::collections::BTreeSet;
use std::fmt::Write;

/// The handlers of this family.
pub const COMMANDS: super::Family = &[
    ("client|caching", Run::Plain(caching)),
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
    ("client|tracking", Run::Plain(tracking)),
    ("client|trackinginfo", Run::Plain(trackinginfo)),
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
        (has(ClientFlags::TRACKING), 't'),
        (client.tracking.as_ref().is_some_and(|t| t.broken), 'R'),
        (client.tracking.as_ref().is_some_and(|t| t.mode == Mode::Broadcast), 'B'),
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
    /// `argv_bytes` are those of the running request, where it is this client's.
    pub fn client_line(&self, key: ClientKey, argv_bytes: usize) -> String {
        let client = &self.clients[key];
        // The running client's output and database are with the engine until its requests are done.
        let running = key == self.current;
        let (out, db) = if running { (&self.out, self.store.db) } else { (&client.out, client.db) };
        let name = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let command = client.last_command.and_then(|i| self.table.iter_all().find(|c| c.index == i));
        let multi_bytes = client.queued_bytes;
        let argv_bytes = if running { argv_bytes } else { client.traffic.argument_bytes };
        // Redis shows what fits its fixed buffer as obl and the rest as a list of blocks.
        let waiting = out.buf.len() + client.traffic.sending_bytes;
        let obl = waiting.min(REPLY_BLOCK_BYTES);
        let omem = waiting - obl;
        let total = self.client_memory_bytes(key) + if running { argv_bytes } else { 0 };
        let mut text = String::with_capacity(400);
        let seconds_since = |at_ms: i64| (self.store.now_ms - at_ms).max(0) / 1000;
        let _ = write!(
            text,
            "id={} addr={} laddr={} fd={} name={} age={} idle={} flags={} db={db} sub={} psub={} ssub={} multi={} watch={} qbuf={} qbuf-free={} argv-mem={} multi-mem={multi_bytes} rbs={} rbp={} obl={} oll={} omem={omem} tot-mem={total} events={} cmd={} user={} redir={} resp={} lib-name={} lib-ver={} tot-net-in={} tot-net-out={} tot-cmds={}",
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
            client.traffic.query_capacity.saturating_sub(client.traffic.query_bytes + client.traffic.argument_bytes),
            argv_bytes,
            out.buf.capacity(),
            waiting,
            obl,
            omem.div_ceil(REPLY_BLOCK_BYTES),
            if omem > 0 { "rw" } else { "r" },
            command.map_or("NULL", |c| c.spec.name),
            if client.authenticated { "default" } else { "(superuser)" },
            redirection(client),
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

fn info(e: &mut Engine, a: &Args) -> Result {
    let mut line = e.client_line(e.current, a.raw().len());
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
        () => Err(Error::quoting("ERR Unknown client type '", word, "'")),
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
                // Ids that nobody has are left out, and so are those that nobody can have.
                let id = int(word).map_err(|_| Error::fixed("ERR Invalid client ID"))?;
                keys.extend(u64::try_from(id).ok().and_then(|id| e.clients.key_of(id)));
            }
            keys
        }
        _ => return Err(error::SYNTAX),
    };
    let mut text = String::new();
    for key in keys {
        text.push_str(&e.client_line(key, a.raw().len()));
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
                        return Err(Error::quoting("ERR No such user '", value, "'"));
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
        () => return Err(Error::quoting("ERR Unrecognized option '", option, "'")),
    };
    if !is_plain(value) {
        return Err(Error::quoting("ERR ", option, " cannot contain spaces, newlines or special characters."));
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
    if a.len() > 4 {
        return Err(Error::subcommand_use("CLIENT", &a[1]));
    }
    let writes_only = match a.get(3) {
        None => false,
        Some(word) if is(word, "ALL") => false,
        Some(word) if is(word, "WRITE") => true,
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
    if a.len() > 4 {
        return Err(Error::subcommand_use("CLIENT", &a[1]));
    }
    let with_error = match a.get(3) {
        None => false,
        Some(word) if is(word, "timeout") => false,
        Some(word) if is(word, "error") => true,
        Some(_) => return Err(Error::fixed("ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR")),
    };
    let id = int(&a[2])?;
    let key = u64::try_from(id).ok().and_then(|id| e.clients.key_of(id));
    let done = key
        .filter(|key| e.may_be_unblocked(*key))
        .is_some_and(|key| e.unblock_with(key, with_error.then_some(&UNBLOCKED)));
    e.out.int(i64::from(done));
    Ok(())
}

/// The id of the client that gets a client's invalidation messages; 0 where it is itself, -1 where it does not track.
fn redirection(client: &Client) -> i64 {
    client.tracking.as_ref().map_or(-1, |t| t.redirect.unwrap_or(0) as i64)
}

fn getredir(e: &mut Engine, _: &Args) -> Result {
    let id = redirection(e.client());
    e.out.int(id);
    Ok(())
}

/// The options of CLIENT TRACKING as they were given.
#[derive(Default)]
struct TrackingOptions<'a> {
    redirect: Option<u64>,
    broadcast: bool,
    opt_in: bool,
    opt_out: bool,
    noloop: bool,
    prefixes: Vec<&'a [u8]>,
}

impl<'a> TrackingOptions<'a> {
    fn parse(e: &Engine, a: &'a Args) -> Result<Self> {
        let mut options = Self::default();
        let mut i = 3;
        while i < a.len() {
            let word = &a[i];
            let value = a.get(i + 1);
            match (word, value) {
                (w, Some(id)) if is(w, "REDIRECT") => {
                    if options.redirect.is_some() {
                        return Err(Error::fixed("ERR A client can only redirect to a single other client"));
                    }
                    let id = int(id)?;
                    let there = u64::try_from(id).ok().filter(|id| e.clients.key_of(*id).is_some());
                    options.redirect =
                        Some(there.ok_or(Error::fixed("ERR The client ID you want redirect to does not exist"))?);
                    i += 1;
                }
                (w, Some(prefix)) if is(w, "PREFIX") => {
                    options.prefixes.push(prefix);
                    i += 1;
                }
                (w, _) if is(w, "BCAST") => options.broadcast = true,
                (w, _) if is(w, "OPTIN") => options.opt_in = true,
                (w, _) if is(w, "OPTOUT") => options.opt_out = true,
                (w, _) if is(w, "NOLOOP") => options.noloop = true,
                _ => return Err(error::SYNTAX),
            }
            i += 1;
        }
        Ok(options)
    }

    /// What these options ask for, where they go together and with what the client has.
    fn interest(self, old: Option<&Interest>) -> Result<Interest> {
        if !self.broadcast && !self.prefixes.is_empty() {
            return Err(Error::fixed("ERR PREFIX option requires BCAST mode to be enabled"));
        }
        if old.is_some_and(|old| (old.mode == Mode::Broadcast) != self.broadcast) {
            return Err(Error::fixed(
                "ERR You can't switch BCAST mode on/off before disabling tracking for this client, and then re-enabling it with a different mode.",
            ));
        }
        if self.broadcast && (self.opt_in || self.opt_out) {
            return Err(Error::fixed("ERR OPTIN and OPTOUT are not compatible with BCAST"));
        }
        if self.opt_in && self.opt_out {
            return Err(Error::fixed("ERR You can't specify both OPTIN mode and OPTOUT mode"));
        }
        let old_mode = old.map(|old| old.mode);
        if (self.opt_in && old_mode == Some(Mode::OptOut)) || (self.opt_out && old_mode == Some(Mode::OptIn)) {
            return Err(Error::fixed(
                "ERR You can't switch OPTIN/OPTOUT mode before disabling tracking for this client, and then re-enabling it with a different mode.",
            ));
        }
        let mode = match () {
            () if self.broadcast => Mode::Broadcast,
            () if self.opt_in => Mode::OptIn,
            () if self.opt_out => Mode::OptOut,
            () => Mode::Reads,
        };
        check_prefixes(&self.prefixes, old)?;
        let mut prefixes: BTreeSet<Box<[u8]>> = self.prefixes.into_iter().map(Into::into).collect();
        if self.broadcast && prefixes.is_empty() {
            prefixes.insert(Box::default());
        }
        Ok(Interest { mode, redirect: self.redirect, noloop: self.noloop, caching: false, broken: false, prefixes })
    }
}

/// Up to this many prefixes of one request are compared each with each, so that the error names those that Redis would.
const FEW_PREFIXES: usize = 64;

/// A key must not fall under two prefixes of one client.
fn check_prefixes(new: &[&[u8]], old: Option<&Interest>) -> Result {
    let overlap = |a: &[u8], b: &[u8]| a.starts_with(b) || b.starts_with(a);
    let refuse = |prefix: &[u8], what: &str, other: &[u8]| {
        let before = [b"ERR Prefix '", up_to_zero(prefix), b"' overlaps with ", what.as_bytes(), b" prefix '"].concat();
        let after = b"'. Prefixes for a single client must not overlap.";
        Err(Error::new([&before, up_to_zero(other), after].concat()))
    };
    for (i, prefix) in new.iter().enumerate() {
        if let Some(other) = old.and_then(|old| old.prefixes.overlapping(prefix)) {
            return refuse(prefix, "an existing", other);
        }
        if new.len() <= FEW_PREFIXES
            && let Some(other) = new[i + 1..].iter().find(|other| overlap(prefix, other))
        {
            return refuse(prefix, "another provided", other);
        }
    }
    if new.len() > FEW_PREFIXES
        && let Some((prefix, other)) = overlapping_pair(new)
    {
        return refuse(prefix, "another provided", other);
    }
    Ok(())
}

fn tracking(e: &mut Engine, a: &Args) -> Result {
    let options = TrackingOptions::parse(e, a)?;
    if on_off(&a[2])? {
        let interest = options.interest(e.client().tracking.as_deref())?;
        e.track(interest);
    } else {
        e.untrack(e.current);
    }
    e.out.ok();
    Ok(())
}

fn caching(e: &mut Engine, a: &Args) -> Result {
    let Some(interest) = &mut e.client().tracking else {
        return Err(Error::fixed(
            "ERR CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or OPTOUT mode enabled",
        ));
    };
    match () {
        () if is(&a[2], "yes") && interest.mode == Mode::OptIn => interest.caching = true,
        () if is(&a[2], "no") && interest.mode == Mode::OptOut => interest.caching = true,
        () if is(&a[2], "yes") => {
            return Err(Error::fixed("ERR CLIENT CACHING YES is only valid when tracking is enabled in OPTIN mode."));
        }
        () if is(&a[2], "no") => {
            return Err(Error::fixed("ERR CLIENT CACHING NO is only valid when tracking is enabled in OPTOUT mode."));
        }
        () => return Err(error::SYNTAX),
    }
    e.out.ok();
    Ok(())
}

fn trackinginfo(e: &mut Engine, _: &Args) -> Result {
    let client = e.client();
    let redirect = redirection(client);
    let interest = client.tracking.as_deref().cloned();
    let mut flags = vec![if interest.is_some() { "on" } else { "off" }];
    let mut prefixes = BTreeSet::new();
    if let Some(interest) = interest {
        match interest.mode {
            Mode::Reads => {}
            Mode::Broadcast => flags.push("bcast"),
            Mode::OptIn => flags.push("optin"),
            Mode::OptOut => flags.push("optout"),
        }
        if interest.caching {
            flags.push(if interest.mode == Mode::OptIn { "caching-yes" } else { "caching-no" });
        }
        if interest.noloop {
            flags.push("noloop");
        }
        if interest.broken {
            flags.push("broken_redirect");
        }
        prefixes = interest.prefixes;
    }
    let out = &mut e.out;
    out.map(3);
    out.bulk(b"flags");
    out.set(flags.len());
    for flag in flags {
        out.bulk(flag.as_bytes());
    }
    out.bulk(b"redirect");
    out.int(redirect);
    out.bulk(b"prefixes");
    out.array(prefixes.len());
    for prefix in &prefixes {
        out.bulk(prefix);
    }
    Ok(())
}

fn help(e: &mut Engine, _: &Args) -> Result {
    super::help(
        e,
        "CLIENT",
        &[
            ("CACHING (YES|NO)", "Whether the keys of the next command are tracked (OPTIN, OPTOUT)."),
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
            (
                "TRACKING (ON|OFF) [REDIRECT <id>] [BCAST] [PREFIX <prefix> [...]] [OPTIN] [OPTOUT] [NOLOOP]",
                "Be told when keys that this connection has read change.",
            ),
            ("TRACKINGINFO", "What this connection tracks."),
            ("UNBLOCK <id> [TIMEOUT|ERROR]", "End the waiting of a client in a blocking command."),
            ("UNPAUSE", "End a pause at once."),
        ],
    )
}
