//! Links: the connections to each instance, and what was asked on them.
//!
//! Each data server has a command link and a Pub/Sub link, another sentinel a command link alone, shared by all primaries that
//! it watches with us. Whether an instance answers is known of its link, so one PING serves them all.
//!
//! A reply belongs to the oldest command without one; the queue [`Channel::asked`] says what that was.

use crate::addr::Lookup;
use crate::api::{Action, LinkId, LogLevel, Reply};
use crate::instance::{InstanceId, Kind};
use crate::limits::PENDING_MAX;
use crate::state::Sentinel;
use alloc::collections::VecDeque;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;
use core::net::IpAddr;

/// Where sentinels introduce themselves to each other.
pub(crate) const HELLO_CHANNEL: &str = "__sentinel__:hello";

/// A connection that is not open after this long is tried anew: after a partition the system's own retries would come ever
/// more seldom. It doubles up to the maximum for peers that really are that far away.
const CONNECT_LIMIT_MS: u64 = 1000;
const CONNECT_LIMIT_MAX_MS: u64 = 4000;

/// A link in the table of links.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct LinkKey(pub u32);

/// What a reply will answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// Nobody looks at it: its effects are seen otherwise.
    Nothing,
    Ping,
    Subscribe,
    Info(InstanceId),
    Publish(InstanceId),
    /// Whether the primary is down; with a request for a vote in this epoch, or 0.
    PrimaryDown(InstanceId, u64),
    /// `CLIENT PAUSE` before a hand-over.
    Pause(InstanceId),
    /// `FAILOVER TO`.
    HandOver(InstanceId),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ChannelState {
    Closed,
    Opening,
    /// Open; a Pub/Sub link also has its subscription.
    Open,
    /// The Pub/Sub link's subscription is not confirmed yet.
    Subscribing,
}

/// One of the two connections of a link.
#[derive(Debug)]
pub(crate) struct Channel {
    pub id: LinkId,
    pub state: ChannelState,
    /// Since when it is in this state.
    pub since: u64,
    /// Commands sent and not answered, oldest first.
    pub asked: VecDeque<Asked>,
    limit_ms: u64,
}

impl Channel {
    fn new() -> Self {
        Self {
            id: LinkId(u64::MAX),
            state: ChannelState::Closed,
            since: 0,
            asked: VecDeque::new(),
            limit_ms: CONNECT_LIMIT_MS,
        }
    }

    fn enter(&mut self, state: ChannelState, now: u64) {
        (self.state, self.since) = (state, now);
        if state == ChannelState::Closed {
            self.asked.clear();
        }
    }
}

/// How an instance is reached, and whether it answers.
#[derive(Debug)]
pub(crate) struct Link {
    /// The instances that use it; more than one only for sentinels.
    pub users: Vec<InstanceId>,
    pub command: Channel,
    pub pubsub: Channel,
    /// It has a Pub/Sub link.
    pub has_pubsub: bool,
    /// Our own address on the command link.
    pub local: Option<IpAddr>,
    /// When connecting was last tried.
    pub reconnect_at: Option<u64>,
    /// A name is being looked up in order to connect.
    awaits_name: bool,
    /// When the oldest PING without a good reply was sent.
    pub ping_pending_since: Option<u64>,
    pub last_ping: Option<u64>,
    /// When it last answered well.
    pub last_available: u64,
    /// When it last answered anything to a PING.
    pub last_pong: u64,
    pub pubsub_activity: u64,
}

impl Link {
    /// Whether one of its connections is missing.
    pub fn disconnected(&self) -> bool {
        self.command.state != ChannelState::Open || (self.has_pubsub && self.pubsub.state != ChannelState::Open)
    }

    pub fn commands_pending(&self) -> usize {
        self.command.asked.len() + self.pubsub.asked.len()
    }
}

impl Sentinel {
    /// A link that is not connected yet, for an instance that is being made.
    pub(crate) fn new_link(&mut self, user: InstanceId) -> LinkKey {
        let key = LinkKey(self.next_link);
        self.next_link += 1;
        let link = Link {
            users: vec![user],
            command: Channel::new(),
            pubsub: Channel::new(),
            has_pubsub: true,
            local: None,
            reconnect_at: None,
            awaits_name: false,
            ping_pending_since: None,
            last_ping: None,
            last_available: self.now,
            last_pong: self.now,
            pubsub_activity: self.now,
        };
        self.links.insert(key, link);
        key
    }

    pub(crate) fn link(&self, id: InstanceId) -> &Link {
        self.links.get(&self.at(id).link).expect("every instance has a link")
    }

    pub(crate) fn link_mut(&mut self, id: InstanceId) -> &mut Link {
        let key = self.at(id).link;
        self.links.get_mut(&key).expect("every instance has a link")
    }

    /// Uses the link that another primary's instance of the same sentinel has.
    pub(crate) fn share_link(&mut self, id: InstanceId) {
        self.link_mut(id).has_pubsub = false;
        let instance = self.at(id);
        let own = instance.link;
        let other = self
            .primaries
            .values()
            .filter(|p| **p != instance.owner)
            .find_map(|p| self.at(*p).primary().sentinels.get(&instance.name));
        let Some(shared) = other.map(|o| self.at(*o).link) else { return };
        self.release_link(own, id);
        self.at_mut(id).link = shared;
        self.links.get_mut(&shared).expect("every instance has a link").users.push(id);
    }

    /// One user less; the last one closes it.
    pub(crate) fn release_link(&mut self, key: LinkKey, user: InstanceId) {
        let Some(link) = self.links.get_mut(&key) else { return };
        link.users.retain(|u| *u != user);
        if link.users.is_empty() {
            self.close_channel(key, false);
            self.close_channel(key, true);
            self.links.remove(&key);
        }
    }

    /// Closes both connections and forgets how the instance answered.
    pub(crate) fn reset_link(&mut self, id: InstanceId) {
        self.disconnect(id);
        let now = self.now;
        let link = self.link_mut(id);
        (link.ping_pending_since, link.last_ping, link.reconnect_at) = (None, None, None);
        (link.last_available, link.last_pong, link.pubsub_activity) = (now, now, now);
    }

    /// Closes both connections; they are made anew.
    pub(crate) fn disconnect(&mut self, id: InstanceId) {
        let key = self.at(id).link;
        self.close_channel(key, false);
        self.close_channel(key, true);
        self.touch(id);
    }

    pub(crate) fn close_channel(&mut self, key: LinkKey, pubsub: bool) {
        let now = self.now;
        let Some(link) = self.links.get_mut(&key) else { return };
        let channel = if pubsub { &mut link.pubsub } else { &mut link.command };
        if channel.state == ChannelState::Closed {
            return;
        }
        let id = channel.id;
        channel.enter(ChannelState::Closed, now);
        self.connections.remove(&id);
        self.push(Action::Close { link: id });
        self.lost_channel(key, pubsub);
    }

    /// What was under way on a connection that is gone will not be answered.
    fn lost_channel(&mut self, key: LinkKey, pubsub: bool) {
        if pubsub {
            return;
        }
        let Some(link) = self.links.get(&key) else { return };
        for user in link.users.clone() {
            if let Some(reports) = self.instances.get_mut(&user).and_then(|i| i.reports_mut()) {
                reports.asked_at = None;
            }
        }
    }

    /// Connects what is not connected, as often as PINGs are sent. Returns when to look again.
    pub(crate) fn reconnect(&mut self, id: InstanceId) -> u64 {
        let (now, key) = (self.now, self.at(id).link);
        for pubsub in [false, true] {
            let link = self.link_mut(id);
            let channel = if pubsub { &mut link.pubsub } else { &mut link.command };
            let waiting = matches!(channel.state, ChannelState::Opening | ChannelState::Subscribing);
            if waiting && now >= channel.since + channel.limit_ms {
                channel.limit_ms = (channel.limit_ms * 2).min(CONNECT_LIMIT_MAX_MS);
                self.close_channel(key, pubsub);
            }
        }
        let period = self.periods.ping;
        let port = self.at(id).addr.port;
        let link = self.link_mut(id);
        if port == 0 || !link.disconnected() {
            return crate::state::NEVER;
        }
        let closed = link.command.state == ChannelState::Closed
            || (link.has_pubsub && link.pubsub.state == ChannelState::Closed);
        let due = link.reconnect_at.map_or(now, |at| at + period);
        if closed && now >= due && !link.awaits_name {
            link.reconnect_at = Some(now);
            let host = self.at(id).addr.host.clone();
            if host.parse::<IpAddr>().is_err() && self.options.resolve_hostnames {
                // The host may have moved, so its name is looked up for each try.
                self.link_mut(id).awaits_name = true;
                self.ask_name(&host);
            } else {
                self.connect(id);
            }
        }
        let link = self.link(id);
        let mut next = crate::state::NEVER;
        for channel in [Some(&link.command), Some(&link.pubsub).filter(|_| link.has_pubsub)].into_iter().flatten() {
            let at = match channel.state {
                // A name that is looked up wakes us by itself.
                ChannelState::Closed if link.awaits_name => crate::state::NEVER,
                ChannelState::Closed => link.reconnect_at.map_or(now, |at| at + period),
                ChannelState::Opening | ChannelState::Subscribing => channel.since + channel.limit_ms,
                ChannelState::Open => crate::state::NEVER,
            };
            next = next.min(at);
        }
        next
    }

    /// The name that an instance's link waited for is known, or known to be unknown.
    pub(crate) fn connect_resolved(&mut self, id: InstanceId) {
        if self.instances.contains_key(&id) && core::mem::take(&mut self.link_mut(id).awaits_name) {
            self.connect(id);
        }
    }

    fn connect(&mut self, id: InstanceId) {
        let (key, addr) = (self.at(id).link, self.at(id).addr.clone());
        let address = addr.ip.or_else(|| match self.look_up(&addr.host) {
            Lookup::Address(ip) => Some(ip),
            Lookup::Nothing | Lookup::Asked => None,
        });
        let Some(address) = address else { return };
        for pubsub in [false, true] {
            let (now, connection) = (self.now, LinkId(self.next_connection));
            let link = self.link_mut(id);
            if pubsub && !link.has_pubsub {
                continue;
            }
            let channel = if pubsub { &mut link.pubsub } else { &mut link.command };
            if channel.state == ChannelState::Closed {
                channel.id = connection;
                channel.enter(ChannelState::Opening, now);
                self.next_connection += 1;
                self.connections.insert(connection, key);
                self.push(Action::Connect { link: connection, address, port: addr.port });
            }
        }
    }

    /// A connection is open: introduce ourselves, and ask what we want to know.
    pub(crate) fn handle_opened(&mut self, connection: LinkId, local: IpAddr) {
        let Some(&key) = self.connections.get(&connection) else { return };
        let now = self.now;
        let link = self.links.get_mut(&key).expect("connections belong to links");
        let pubsub = link.pubsub.id == connection;
        let users = link.users.clone();
        let channel = if pubsub { &mut link.pubsub } else { &mut link.command };
        channel.enter(if pubsub { ChannelState::Subscribing } else { ChannelState::Open }, now);
        if !pubsub {
            // A subscription is what shows that the other side really accepts us, so the Pub/Sub link keeps its limit until then.
            channel.limit_ms = CONNECT_LIMIT_MS;
            link.local = Some(local);
            // That a connection was accepted is no answer: it has been silent since it last answered.
            link.ping_pending_since.get_or_insert(link.last_available);
        }
        let Some(&user) = users.first() else { return };
        self.send_auth(user, pubsub);
        let kind = if pubsub { "pubsub" } else { "cmd" };
        let name = format!("sentinel-{}-{kind}", &self.my_id[..8.min(self.my_id.len())]);
        self.send(user, pubsub, Asked::Nothing, &["CLIENT", "SETNAME", &name]);
        if pubsub {
            self.send(user, true, Asked::Subscribe, &["SUBSCRIBE", HELLO_CHANNEL]);
        } else {
            for user in users {
                self.at_mut(user).hello_at = now;
                self.want_info(user);
                self.touch(user);
            }
            // INFO goes first: that a server was restarted is told before that it is up again.
            self.ask_info(user);
            self.send_ping(user);
        }
    }

    fn send_auth(&mut self, id: InstanceId, pubsub: bool) {
        let (user, password) = match &self.at(id).kind {
            Kind::Primary(_) | Kind::Replica(_) => {
                let primary = self.owner(id);
                (primary.auth_user.clone(), primary.auth_pass.clone())
            }
            Kind::Sentinel(_) if self.options.auth_pass.is_some() => {
                (self.options.auth_user.clone(), self.options.auth_pass.clone())
            }
            // Without an option of its own, all sentinels are taken to have the same `requirepass`.
            Kind::Sentinel(_) => (None, self.options.requirepass.clone()),
        };
        match (user, password) {
            (Some(user), Some(password)) => self.send(id, pubsub, Asked::Nothing, &["AUTH", &user, &password]),
            (None, Some(password)) => self.send(id, pubsub, Asked::Nothing, &["AUTH", &password]),
            (_, None) => {}
        }
    }

    /// Sends a command on an open link; its name as the instance knows it.
    pub(crate) fn send(&mut self, id: InstanceId, pubsub: bool, asked: Asked, command: &[&str]) {
        let renamed = &self.owner(id).renamed;
        let name = match renamed.is_empty() {
            true => command[0],
            false => renamed.get(&command[0].to_ascii_uppercase()).map_or(command[0], |(_, to)| to.as_str()),
        };
        let mut args: Vec<Vec<u8>> = Vec::with_capacity(command.len());
        args.push(name.as_bytes().to_vec());
        args.extend(command[1..].iter().map(|word| word.as_bytes().to_vec()));
        let link = self.link_mut(id);
        let channel = if pubsub { &mut link.pubsub } else { &mut link.command };
        debug_assert!(matches!(channel.state, ChannelState::Open | ChannelState::Subscribing));
        channel.asked.push_back(asked);
        let link = channel.id;
        self.push(Action::Send { link, args });
    }

    /// Whether commands that can wait may be sent now.
    pub(crate) fn may_send(&self, id: InstanceId) -> bool {
        let link = self.link(id);
        link.command.state == ChannelState::Open && link.command.asked.len() < PENDING_MAX * link.users.len()
    }

    /// Whether a command can be sent at all.
    pub(crate) fn is_open(&self, id: InstanceId) -> bool {
        self.link(id).command.state == ChannelState::Open
    }

    /// Points a server at a primary, or makes it one; see `slaveof_commands`.
    pub(crate) fn send_slaveof(&mut self, id: InstanceId, to: Option<(String, u16)>, resume: bool) -> bool {
        if !self.is_open(id) {
            return false;
        }
        let (host, port) = to.map_or(("NO".into(), "ONE".into()), |(host, port)| (host, port.to_string()));
        // All of it or nothing: the new role, the same in its file, and clients that have to ask again who is the primary.
        self.send(id, false, Asked::Nothing, &["MULTI"]);
        self.send(id, false, Asked::Nothing, &["SLAVEOF", &host, &port]);
        self.send(id, false, Asked::Nothing, &["CONFIG", "REWRITE"]);
        self.send(id, false, Asked::Nothing, &["CLIENT", "KILL", "TYPE", "normal"]);
        self.send(id, false, Asked::Nothing, &["CLIENT", "KILL", "TYPE", "pubsub"]);
        if resume {
            self.send(id, false, Asked::Nothing, &["CLIENT", "UNPAUSE"]);
        }
        self.send(id, false, Asked::Nothing, &["EXEC"]);
        true
    }

    /// A connection is gone.
    pub(crate) fn handle_closed(&mut self, connection: LinkId, reason: &str) {
        let Some(key) = self.connections.remove(&connection) else { return };
        let now = self.now;
        let link = self.links.get_mut(&key).expect("connections belong to links");
        let pubsub = link.pubsub.id == connection;
        let channel = if pubsub { &mut link.pubsub } else { &mut link.command };
        let failed = channel.state == ChannelState::Opening;
        channel.enter(ChannelState::Closed, now);
        let users = link.users.clone();
        self.lost_channel(key, pubsub);
        if let (true, Some(user)) = (failed, users.first()) {
            let name = if pubsub { "-pubsub-link-reconnection" } else { "-cmd-link-reconnection" };
            self.emit_for(LogLevel::Debug, name, *user, &format!("#{reason}"));
        }
        for user in users {
            self.touch(user);
        }
    }

    /// A value came in.
    pub(crate) fn handle_received(&mut self, connection: LinkId, reply: Reply) {
        let Some(&key) = self.connections.get(&connection) else { return };
        let link = self.links.get_mut(&key).expect("connections belong to links");
        if link.pubsub.id == connection {
            return self.handle_pubsub(key, reply);
        }
        let Some(asked) = link.command.asked.pop_front() else { return };
        let Some(&user) = link.users.first() else { return };
        match asked {
            Asked::Nothing | Asked::Subscribe => {}
            Asked::Ping => self.handle_pong(key, &reply),
            Asked::Info(id) => self.handle_info(id, reply),
            Asked::Publish(id) => self.handle_published(id, &reply),
            Asked::PrimaryDown(id, epoch) => self.handle_primary_down(id, epoch, &reply),
            Asked::Pause(id) => self.handle_paused(id, &reply),
            Asked::HandOver(id) => self.handle_handover_reply(id, &reply),
        }
        self.touch(user);
    }

    fn handle_pubsub(&mut self, key: LinkKey, reply: Reply) {
        let now = self.now;
        let link = self.links.get_mut(&key).expect("connections belong to links");
        link.pubsub_activity = now;
        let users = link.users.clone();
        let Reply::Array(items) = &reply else {
            // An answer to AUTH or CLIENT SETNAME, or a refusal to let us subscribe.
            let asked = link.pubsub.asked.pop_front();
            if asked == Some(Asked::Subscribe) {
                self.close_channel(key, true);
            }
            return;
        };
        match items.as_slice() {
            [Reply::Bulk(kind), _, _] if kind == b"subscribe" => {
                link.pubsub.asked.clear();
                link.pubsub.enter(ChannelState::Open, now);
                link.pubsub.limit_ms = CONNECT_LIMIT_MS;
                for user in users {
                    self.touch(user);
                }
            }
            [Reply::Bulk(kind), _, Reply::Bulk(message)] if kind == b"message" => self.handle_hello(message),
            _ => {}
        }
    }
}
