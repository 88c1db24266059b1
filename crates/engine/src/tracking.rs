//! Client-side caching: the server remembers what a client has read and tells it when that
//! is no longer true.
//!
//! ```text
//! CLIENT TRACKING ON          GET k  ─► readers: k → {client}      SET k ─► "invalidate k" to each reader, k is forgotten
//! … BCAST PREFIX user:        nothing is remembered                SET user:1 ─► all of a batch's keys in one message
//! ```
//!
//! Messages are pushes of RESP3, or Pub/Sub messages of `__redis__:invalidate` to the client that
//! another one's messages are redirected to. A message to the client whose own command caused it
//! follows that command's reply.
//!
//! Readers are remembered by client id, which is never given twice: a client that leaves need not be
//! looked for in the table. The table holds at most `tracking-table-max-keys` keys; a random one gives way, and its
//! readers are told that it changed. Databases are not told apart, as in Redis.

use crate::client::{ClientFlags, ClientKey};
use crate::engine::Engine;
use crate::prefixes::Prefixes;
use crate::spec::Flags;
use crate::table::Command;
use indexmap::IndexMap;
use resp::{Args, Out, Protocol};
use std::collections::{BTreeMap, BTreeSet};

/// The channel of redirected messages.
const CHANNEL: &[u8] = b"__redis__:invalidate";

/// Which keys a tracking client hears of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// All that it has read.
    Reads,
    /// Those that it has read right after `CLIENT CACHING YES`.
    OptIn,
    /// Those that it has read except right after `CLIENT CACHING NO`.
    OptOut,
    /// All that begin with its prefixes.
    Broadcast,
}

/// What a client has asked for.
#[derive(Clone, Debug)]
pub struct Interest {
    /// Which keys.
    pub mode: Mode,
    /// The id of the client that gets the messages in its place.
    pub redirect: Option<u64>,
    /// It does not hear of its own changes.
    pub noloop: bool,
    /// `CLIENT CACHING` was given for the next command.
    pub caching: bool,
    /// The client that should get the messages was gone when one was due.
    pub broken: bool,
    /// In broadcast mode, what its keys begin with.
    pub prefixes: BTreeSet<Box<[u8]>>,
}

/// Keys and who has read them, by client id.
pub type Readers = IndexMap<Box<[u8]>, BTreeSet<u64>>;

/// A prefix that clients in broadcast mode listen to.
#[derive(Debug, Default)]
struct Prefix {
    clients: BTreeSet<ClientKey>,
    /// Keys changed in this batch, and who changed them last; nobody where it was time or memory.
    changed: BTreeMap<Box<[u8]>, Option<ClientKey>>,
}

/// A key that changed: by the running command, or by time or for want of memory.
type Change = (Box<[u8]>, bool);

/// Who tracks what.
#[derive(Debug, Default)]
pub struct Tracking {
    /// How many clients track.
    pub clients: usize,
    /// How many pairs of a key and a reader there are.
    pub items: usize,
    readers: Readers,
    prefixes: BTreeMap<Box<[u8]>, Prefix>,
    /// Those of them with keys changed in this batch.
    changed_prefixes: BTreeSet<Box<[u8]>>,
    /// Keys changed in this step whose readers are to be told.
    stale: Vec<(Change, BTreeSet<u64>)>,
    /// Keys changed in this step, where anybody is in broadcast mode.
    changed: Vec<Change>,
    /// Everything was changed in this step.
    flushed: bool,
    /// Tables that are no longer used, to be freed elsewhere.
    pub discarded: Vec<Readers>,
}

impl Tracking {
    /// How many keys are remembered.
    pub fn keys(&self) -> usize {
        self.readers.len()
    }

    /// How many prefixes are listened to.
    pub fn prefixes(&self) -> usize {
        self.prefixes.len()
    }

    /// A key has changed; whether anybody is to be told.
    pub fn touched(&mut self, key: &[u8], by_command: bool) -> bool {
        let mut told = false;
        if let Some((key, ids)) = self.readers.swap_remove_entry(key) {
            self.items -= ids.len();
            self.stale.push(((key, by_command), ids));
            told = true;
        }
        if self.prefixes.longest_of(key).is_some() {
            self.changed.push((key.into(), by_command));
            told = true;
        }
        told
    }

    /// All keys are gone or others.
    pub fn touched_all(&mut self) {
        self.flushed = true;
    }

    fn remember(&mut self, key: &[u8], id: u64) {
        let added = match self.readers.get_mut(key) {
            Some(ids) => ids.insert(id),
            None => {
                self.readers.insert(key.into(), BTreeSet::from([id]));
                true
            }
        };
        self.items += usize::from(added);
    }

    /// Forgets all readers.
    fn forget_readers(&mut self) {
        self.items = 0;
        if !self.readers.is_empty() {
            self.discarded.push(std::mem::take(&mut self.readers));
        }
    }
}

/// Whether it is a subcommand of CLIENT.
fn is_client(command: &Command) -> bool {
    command.spec.name.starts_with("client|")
}

/// What a message names.
enum Keys<'a> {
    These(&'a [&'a [u8]]),
    All,
}

impl Keys<'_> {
    fn write(&self, out: &mut Out) {
        match self {
            Keys::All => out.null(),
            Keys::These(keys) => {
                out.array(keys.len());
                for key in *keys {
                    out.bulk(key);
                }
            }
        }
    }
}

impl Engine {
    /// The running client begins to track, or changes how it does; prefixes are added to those it has.
    pub fn track(&mut self, mut interest: Interest) {
        let key = self.current;
        let client = &mut self.clients[key];
        let store = &mut self.store;
        if let Some(old) = client.tracking.take() {
            interest.prefixes.extend(old.prefixes);
        } else {
            store.tracking.clients += 1;
        }
        for prefix in &interest.prefixes {
            store.tracking.prefixes.entry(prefix.clone()).or_default().clients.insert(key);
        }
        client.tracking = Some(Box::new(interest));
        client.flags.set(ClientFlags::TRACKING, true);
        store.set_tracked(true);
    }

    /// A client no longer tracks.
    pub fn untrack(&mut self, key: ClientKey) {
        let Some(client) = self.clients.get_mut(key) else { return };
        let Some(interest) = client.tracking.take() else { return };
        client.flags.set(ClientFlags::TRACKING, false);
        let tracking = &mut self.store.tracking;
        for prefix in &interest.prefixes {
            if let Some(listened) = tracking.prefixes.get_mut(prefix) {
                listened.clients.remove(&key);
                if listened.clients.is_empty() {
                    tracking.prefixes.remove(prefix);
                }
            }
        }
        tracking.clients -= 1;
        if tracking.clients == 0 {
            tracking.forget_readers();
            self.store.set_tracked(false);
        }
    }

    /// After a command of a client that tracks: remembers what it has read.
    #[cold]
    pub(crate) fn after_tracked(&mut self, command: &'static Command, args: &Args) {
        let in_exec = self.in_exec;
        let Some(client) = self.clients.get_mut(self.current) else { return };
        let (id, in_multi) = (client.id, client.flags.any(ClientFlags::MULTI));
        let Some(interest) = &mut client.tracking else { return };
        let wanted = match interest.mode {
            Mode::Reads => true,
            Mode::OptIn => interest.caching,
            Mode::OptOut => !interest.caching,
            Mode::Broadcast => false,
        };
        // CLIENT CACHING holds for one command, or for one transaction.
        if !in_exec && !in_multi && !is_client(command) {
            interest.caching = false;
        }
        if !wanted || !command.flags.has(Flags::READONLY) || command.flags.has(Flags::PUBSUB) {
            return;
        }
        let Ok(keys) = command.spec.key_positions(args) else { return };
        for (at, _) in keys {
            self.store.tracking.remember(&args[at], id);
        }
        self.limit_tracked_keys();
    }

    /// After a command of a client that tracks was refused: it was the one that CLIENT CACHING was given for.
    pub(crate) fn refused_tracked(&mut self, command: Option<&Command>) {
        let client = self.client();
        if let Some(interest) = &mut client.tracking
            && !client.flags.any(ClientFlags::MULTI)
            && !command.is_some_and(is_client)
        {
            interest.caching = false;
        }
    }

    /// Forgets keys beyond `tracking-table-max-keys`, and tells their readers.
    pub(crate) fn limit_tracked_keys(&mut self) {
        let max = self.config.tracking_table_max_keys.get() as usize;
        while max > 0 && self.store.tracking.keys() > max {
            let at = self.rng.below(self.store.tracking.keys() as u64) as usize;
            let Some((key, ids)) = self.store.tracking.readers.swap_remove_index(at) else { return };
            self.store.tracking.items -= ids.len();
            self.tell_readers(&key, &ids, false);
        }
    }

    /// Tells who has read what the step that ends here has changed.
    pub(crate) fn tell_tracking(&mut self) {
        if std::mem::take(&mut self.store.tracking.flushed) && self.store.tracking.clients > 0 {
            for key in self.clients.keys() {
                self.invalidate(key, &Keys::All);
            }
            self.store.tracking.forget_readers();
        }
        for ((key, by_command), ids) in std::mem::take(&mut self.store.tracking.stale) {
            self.tell_readers(&key, &ids, by_command);
        }
        let current = (self.current != ClientKey(u32::MAX)).then_some(self.current);
        let tracking = &mut self.store.tracking;
        for (key, by_command) in std::mem::take(&mut tracking.changed) {
            let names: Vec<Box<[u8]>> = tracking.prefixes.all_of(&key).map(Into::into).collect();
            for name in names {
                let prefix = tracking.prefixes.get_mut(&name).expect("it was just found");
                prefix.changed.insert(key.clone(), current.filter(|_| by_command));
                tracking.changed_prefixes.insert(name);
            }
        }
    }

    fn tell_readers(&mut self, key: &[u8], ids: &BTreeSet<u64>, by_command: bool) {
        for id in ids {
            let Some(reader) = self.clients.key_of(*id) else { continue };
            let Some(interest) = &self.clients[reader].tracking else { continue };
            let own = by_command && reader == self.current && interest.noloop;
            // What it read before it went over to broadcasts is no longer of interest.
            if !own && interest.mode != Mode::Broadcast {
                self.invalidate(reader, &Keys::These(&[key]));
            }
        }
    }

    /// At the end of a batch: one message a prefix for each client in broadcast mode.
    pub fn broadcast_invalidations(&mut self) {
        let tracking = &mut self.store.tracking;
        if tracking.changed_prefixes.is_empty() {
            return;
        }
        let mut due = Vec::new();
        for name in std::mem::take(&mut tracking.changed_prefixes) {
            // Its last listener may have left meanwhile.
            if let Some(prefix) = tracking.prefixes.get_mut(&name) {
                due.push((prefix.clients.clone(), std::mem::take(&mut prefix.changed)));
            }
        }
        for (clients, changed) in due {
            for key in clients {
                let noloop = self.clients.get(key).and_then(|c| c.tracking.as_ref()).is_some_and(|t| t.noloop);
                let keys = changed.iter().filter(|(_, by)| !noloop || **by != Some(key));
                let keys: Vec<&[u8]> = keys.map(|(name, _)| &**name).collect();
                if !keys.is_empty() {
                    self.invalidate(key, &Keys::These(&keys));
                }
            }
        }
    }

    /// Sends one client's message to where it wants it; nothing happens for a client that does not track.
    fn invalidate(&mut self, key: ClientKey, keys: &Keys) {
        let Some(interest) = self.clients.get_mut(key).and_then(|c| c.tracking.as_mut()) else { return };
        let Some(id) = interest.redirect else {
            self.tell(key, |out| {
                if out.protocol == Protocol::V3 {
                    write_push(out, keys);
                }
            });
            return;
        };
        let Some(target) = self.clients.key_of(id) else {
            self.clients[key].tracking.as_mut().expect("it was just there").broken = true;
            self.tell(key, |out| {
                if out.protocol == Protocol::V3 {
                    out.push(2);
                    out.bulk(b"tracking-redir-broken");
                    out.int(id as i64);
                }
            });
            return;
        };
        let subscribed = self.clients[target].flags.any(ClientFlags::PUBSUB);
        self.tell(target, |out| match out.protocol {
            Protocol::V3 => write_push(out, keys),
            Protocol::V2 if subscribed => {
                out.array(3);
                out.bulk(b"message");
                out.bulk(CHANNEL);
                keys.write(out);
            }
            Protocol::V2 => {}
        });
    }

    /// Writes a message: at once, except that one to the running client follows its command's reply.
    fn tell(&mut self, key: ClientKey, write: impl FnOnce(&mut Out)) {
        if key == self.current && self.running.is_none() {
            write(&mut self.out);
        } else {
            self.send_message(key, write);
        }
    }
}

fn write_push(out: &mut Out, keys: &Keys) {
    out.push(2);
    out.bulk(b"invalidate");
    keys.write(out);
}
