//! Publish and subscribe: channels, patterns, shard channels.
//!
//! A message is encoded once per protocol version and copied to each subscriber's output.
//! Shard channels are a name space of their own; without cluster mode they need no routing.

use crate::client::{ClientFlags, ClientKey};
use crate::engine::Engine;
use base::glob::glob_matches;
use indexmap::{IndexMap, IndexSet};
use resp::{Out, Protocol};

type Names = IndexSet<Box<[u8]>>;
type Table = IndexMap<Box<[u8]>, IndexSet<ClientKey>>;

/// What one client is subscribed to.
#[derive(Debug, Default)]
pub struct Subscriptions {
    /// Channels by name.
    pub channels: Names,
    /// Patterns.
    pub patterns: Names,
    /// Shard channels.
    pub shard: Names,
}

/// Which of the three name spaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `SUBSCRIBE`.
    Channel,
    /// `PSUBSCRIBE`.
    Pattern,
    /// `SSUBSCRIBE`.
    Shard,
}

impl Kind {
    fn words(self) -> (&'static [u8], &'static [u8]) {
        match self {
            Kind::Channel => (b"subscribe", b"unsubscribe"),
            Kind::Pattern => (b"psubscribe", b"punsubscribe"),
            Kind::Shard => (b"ssubscribe", b"sunsubscribe"),
        }
    }
}

impl Subscriptions {
    fn of(&mut self, kind: Kind) -> &mut Names {
        match kind {
            Kind::Channel => &mut self.channels,
            Kind::Pattern => &mut self.patterns,
            Kind::Shard => &mut self.shard,
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.channels.is_empty() && self.patterns.is_empty() && self.shard.is_empty()
    }

    /// The number that a confirmation of `kind` reports: shard channels are counted apart.
    fn count(&self, kind: Kind) -> usize {
        match kind {
            Kind::Shard => self.shard.len(),
            Kind::Channel | Kind::Pattern => self.channels.len() + self.patterns.len(),
        }
    }
}

/// Who is subscribed to what.
#[derive(Debug, Default)]
pub struct PubSub {
    /// Subscribers by channel.
    pub channels: Table,
    /// Subscribers by pattern.
    pub patterns: Table,
    /// Subscribers by shard channel.
    pub shard: Table,
}

impl PubSub {
    fn of(&mut self, kind: Kind) -> &mut Table {
        match kind {
            Kind::Channel => &mut self.channels,
            Kind::Pattern => &mut self.patterns,
            Kind::Shard => &mut self.shard,
        }
    }

    fn remove(&mut self, kind: Kind, name: &[u8], client: ClientKey) {
        let table = self.of(kind);
        if let Some(subscribers) = table.get_mut(name) {
            subscribers.swap_remove(&client);
            if subscribers.is_empty() {
                table.swap_remove(name);
            }
        }
    }
}

fn message(out: &mut Out, parts: &[&[u8]]) {
    out.push(parts.len());
    for part in parts {
        out.bulk(part);
    }
}

fn confirm(out: &mut Out, word: &[u8], name: Option<&[u8]>, count: usize) {
    out.push(3);
    out.bulk(word);
    match name {
        Some(name) => out.bulk(name),
        None => out.null(),
    }
    out.int(count as i64);
}

impl Engine {
    /// Subscribes the running client and confirms it.
    pub fn subscribe(&mut self, kind: Kind, name: &[u8]) {
        let key = self.current;
        let client = &mut self.clients[key];
        if client.subscriptions.of(kind).insert(name.into()) {
            self.pubsub.of(kind).entry(name.into()).or_default().insert(key);
        }
        client.flags.set(ClientFlags::PUBSUB, true);
        let count = client.subscriptions.count(kind);
        self.confirm_to_self(|out| confirm(out, kind.words().0, Some(name), count));
    }

    /// Unsubscribes the running client from `name` and confirms it.
    pub fn unsubscribe(&mut self, kind: Kind, name: &[u8]) {
        let key = self.current;
        let client = &mut self.clients[key];
        if client.subscriptions.of(kind).swap_remove(name) {
            self.pubsub.remove(kind, name, key);
        }
        let count = client.subscriptions.count(kind);
        if client.subscriptions.is_empty() {
            client.flags.set(ClientFlags::PUBSUB, false);
        }
        self.confirm_to_self(|out| confirm(out, kind.words().1, Some(name), count));
    }

    /// Unsubscribes the running client from all of a kind; confirms each, or once where there was none.
    pub fn unsubscribe_all(&mut self, kind: Kind) {
        let names: Vec<Box<[u8]>> = self.clients[self.current].subscriptions.of(kind).iter().cloned().collect();
        if names.is_empty() {
            let count = self.clients[self.current].subscriptions.count(kind);
            self.confirm_to_self(|out| confirm(out, kind.words().1, None, count));
        }
        for name in names {
            self.unsubscribe(kind, &name);
        }
    }

    /// Drops a leaving client's subscriptions, telling it nothing.
    pub fn forget_subscriptions(&mut self, key: ClientKey) {
        let Some(client) = self.clients.get_mut(key) else { return };
        let mut gone = std::mem::take(&mut client.subscriptions);
        client.flags.set(ClientFlags::PUBSUB, false);
        for kind in [Kind::Channel, Kind::Pattern, Kind::Shard] {
            for name in gone.of(kind).drain(..) {
                self.pubsub.remove(kind, &name, key);
            }
        }
    }

    /// Delivers a message; the number of clients that got it.
    pub fn publish(&mut self, channel: &[u8], payload: &[u8]) -> usize {
        let mut receivers = 0;
        if let Some(subscribers) = self.pubsub.channels.get(channel) {
            let to: Vec<ClientKey> = subscribers.iter().copied().collect();
            receivers += to.len();
            self.deliver(&to, &[b"message", channel, payload]);
        }
        if !self.pubsub.patterns.is_empty() {
            let matching: Vec<(Box<[u8]>, Vec<ClientKey>)> = self
                .pubsub
                .patterns
                .iter()
                .filter(|(pattern, _)| glob_matches(pattern, channel, false))
                .map(|(pattern, to)| (pattern.clone(), to.iter().copied().collect()))
                .collect();
            for (pattern, to) in matching {
                receivers += to.len();
                self.deliver(&to, &[b"pmessage", &pattern, channel, payload]);
            }
        }
        receivers
    }

    /// Delivers a message on a shard channel; the number of clients that got it.
    pub fn publish_sharded(&mut self, channel: &[u8], payload: &[u8]) -> usize {
        let Some(subscribers) = self.pubsub.shard.get(channel) else { return 0 };
        let to: Vec<ClientKey> = subscribers.iter().copied().collect();
        self.deliver(&to, &[b"smessage", channel, payload]);
        to.len()
    }

    fn deliver(&mut self, to: &[ClientKey], parts: &[&[u8]]) {
        let mut encoded: [Option<Vec<u8>>; 2] = [None, None];
        for &key in to {
            self.send_message(key, |out| {
                let slot = &mut encoded[usize::from(out.protocol == Protocol::V3)];
                let bytes = slot.get_or_insert_with(|| {
                    let mut fresh = Out::new(out.protocol);
                    message(&mut fresh, parts);
                    fresh.buf
                });
                out.raw(bytes);
            });
        }
    }

    /// Confirms a subscription to the running client, also where it wants no replies.
    fn confirm_to_self(&mut self, write: impl FnOnce(&mut Out)) {
        let unwanted = ClientFlags::REPLY_OFF | ClientFlags::REPLY_SKIP;
        if self.client().flags.any(unwanted) {
            self.defer(write);
        } else {
            write(&mut self.out);
        }
    }

    /// Writes a message to a client. One to the running client itself follows its command's reply.
    pub(crate) fn send_message(&mut self, key: ClientKey, write: impl FnOnce(&mut Out)) {
        if key == self.current {
            self.defer(write);
        } else {
            write(self.output_of(key));
        }
    }

    fn defer(&mut self, write: impl FnOnce(&mut Out)) {
        let mut deferred = Out { buf: std::mem::take(&mut self.deferred), protocol: self.out.protocol };
        write(&mut deferred);
        self.deferred = deferred.buf;
    }
}
