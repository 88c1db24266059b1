//! MULTI, EXEC, DISCARD, WATCH, UNWATCH.
//!
//! Dispatch does the queueing; here is what begins and ends it. Watched keys are kept by the
//! store, which tells of each change; a client one of whose keys was changed fails its EXEC.

use crate::client::{ClientFlags, ClientKey, Watched};
use crate::engine::Engine;
use crate::error::{self, Error, Result};
use crate::host::Host;
use crate::table::Run;
use resp::Args;

/// The handlers of this family.
pub const COMMANDS: super::Family = &[
    ("discard", Run::Plain(discard)),
    ("exec", Run::Host(exec)),
    ("multi", Run::Plain(multi)),
    ("unwatch", Run::Plain(unwatch)),
    ("watch", Run::Plain(watch)),
];

fn multi(e: &mut Engine, _: &Args) -> Result {
    let flags = &mut e.client().flags;
    if flags.any(ClientFlags::MULTI) {
        return Err(Error::fixed("ERR MULTI calls can not be nested"));
    }
    flags.set(ClientFlags::MULTI, true);
    e.out.ok();
    Ok(())
}

fn discard(e: &mut Engine, _: &Args) -> Result {
    if !e.client().flags.any(ClientFlags::MULTI) {
        return Err(Error::fixed("ERR DISCARD without MULTI"));
    }
    e.discard_transaction();
    e.out.ok();
    Ok(())
}

fn exec(e: &mut Engine, host: &mut dyn Host, _: &Args) -> Result {
    let key = e.current;
    let flags = e.client().flags;
    if !flags.any(ClientFlags::MULTI) {
        return Err(Error::fixed("ERR EXEC without MULTI"));
    }
    if flags.any(ClientFlags::DIRTY_EXEC) {
        e.discard_transaction();
        return Err(error::EXEC_ABORT);
    }
    if flags.any(ClientFlags::DIRTY_CAS) || e.watches_expired(key) {
        e.discard_transaction();
        e.out.null_array();
        return Ok(());
    }
    let queued = std::mem::take(&mut e.client().queued);
    e.discard_transaction();
    e.out.array(queued.len());
    let db = e.store.db;
    e.settle(db, b"");
    e.stream.begin_transaction();
    e.in_exec = true;
    for request in &queued {
        let args = request.args();
        match e.resolve(&args) {
            Ok(command) => e.call(host, command, &args),
            Err((_, error)) => e.fail(&error),
        }
    }
    e.in_exec = false;
    e.stream.end_transaction();
    if let Some(client) = e.clients.get_mut(key)
        && client.write_offset > 0
    {
        client.write_offset = e.stream.end_offset;
    }
    Ok(())
}

fn watch(e: &mut Engine, a: &Args) -> Result {
    if e.client().flags.any(ClientFlags::MULTI) {
        return Err(Error::fixed("ERR WATCH inside MULTI is not allowed"));
    }
    let (key, db) = (e.current, e.store.db);
    for name in a.iter_from(1) {
        if e.store.watches(name, key) {
            continue;
        }
        // Watching is no look: a key that is past its time is not there, and stays to be found by somebody who reads.
        let was_there = e.store.kind_of(db, name).is_some();
        e.client().watched.push(Watched { db, key: name.into(), was_there });
        e.store.watch(name, key);
    }
    e.out.ok();
    Ok(())
}

fn unwatch(e: &mut Engine, _: &Args) -> Result {
    e.unwatch_all(e.current);
    e.out.ok();
    Ok(())
}

impl Engine {
    /// Forgets the running client's transaction and what it watches.
    pub fn discard_transaction(&mut self) {
        let key = self.current;
        let client = self.client();
        client.queued.clear();
        client.queued_bytes = 0;
        client.flags.set(ClientFlags::MULTI | ClientFlags::DIRTY_CAS | ClientFlags::DIRTY_EXEC, false);
        self.unwatch_all(key);
    }

    /// Forgets what a client watches.
    pub fn unwatch_all(&mut self, key: ClientKey) {
        let Some(client) = self.clients.get_mut(key) else { return };
        client.flags.set(ClientFlags::DIRTY_CAS, false);
        for watched in std::mem::take(&mut client.watched) {
            self.store.unwatch(watched.db, &watched.key, key);
        }
    }

    /// Whether a watched key's time has come since it was watched. One that was missing or past its time then is
    /// missing still.
    fn watches_expired(&self, key: ClientKey) -> bool {
        let is_past = |w: &Watched| {
            let entry = self.store.keyspace.db(w.db).get(&w.key);
            entry.is_some_and(|entry| self.store.is_expired(entry))
        };
        self.clients[key].watched.iter().any(|w| w.was_there && is_past(w))
    }
}
