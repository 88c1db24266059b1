//! What the server knows of each connection: who it is, what it has asked for, what is to
//! be sent to it. Sockets are elsewhere; a client is known to them by its [`ClientKey`].

use crate::pubsub::Subscriptions;
use crate::tracking::Interest;
use resp::{Args, Out, Span};
use slab::Slab;
use std::collections::BTreeMap;

/// Where a client is in the table. A key may be given to another client after the first is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClientKey(pub u32);

/// Facts of a client that change how its commands are treated; see [`Client::flags`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct ClientFlags(u32);

macro_rules! client_flags {
    ($($(#[$doc:meta])* $name:ident = $bit:literal;)*) => {
        impl ClientFlags {
            $($(#[$doc])* pub const $name: Self = Self(1 << $bit);)*
        }
    };
}

client_flags! {
    /// It is inside MULTI: commands are queued.
    MULTI = 0;
    /// A watched key was changed: EXEC will fail.
    DIRTY_CAS = 1;
    /// A queued command was refused: EXEC will fail.
    DIRTY_EXEC = 2;
    /// It waits in a blocking command.
    BLOCKED = 3;
    /// It has subscriptions.
    PUBSUB = 4;
    /// It gets a copy of every command (MONITOR).
    MONITOR = 5;
    /// It is a replica of ours: it asked for the replication stream.
    REPLICA = 6;
    /// It is our primary's link: its commands are the replication stream.
    PRIMARY = 7;
    /// It is closed when its replies have been sent.
    CLOSE_AFTER_REPLY = 8;
    /// CLIENT REPLY OFF.
    REPLY_OFF = 9;
    /// CLIENT REPLY SKIP: the reply of the running command is dropped.
    REPLY_SKIP = 10;
    /// CLIENT REPLY SKIP was just asked for: the next command's reply is dropped.
    REPLY_SKIP_NEXT = 11;
    /// CLIENT NO-EVICT.
    NO_EVICT = 12;
    /// CLIENT NO-TOUCH: its reads do not count as accesses.
    NO_TOUCH = 13;
    /// It came over a Unix socket.
    UNIX = 14;
    /// It is being closed; nothing more is run for it.
    CLOSING = 15;
    /// It has been put off by CLIENT PAUSE.
    POSTPONED = 16;
    /// READONLY was asked for (cluster mode).
    READONLY = 17;
    /// It is told when what it has read changes (CLIENT TRACKING).
    TRACKING = 18;
}

impl ClientFlags {
    /// Flags that take a command off the short way through dispatch.
    pub const SPECIAL: Self = Self(
        Self::MULTI.0
            | Self::BLOCKED.0
            | Self::PUBSUB.0
            | Self::MONITOR.0
            | Self::REPLICA.0
            | Self::PRIMARY.0
            | Self::REPLY_OFF.0
            | Self::REPLY_SKIP.0
            | Self::REPLY_SKIP_NEXT.0
            | Self::NO_TOUCH.0
            | Self::TRACKING.0
            | Self::CLOSING.0
            | Self::CLOSE_AFTER_REPLY.0,
    );

    /// Whether any flag of `other` is set.
    #[inline]
    pub fn any(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// Sets or clears the flags of `other`.
    #[inline]
    pub fn set(&mut self, other: Self, on: bool) {
        if on { self.0 |= other.0 } else { self.0 &= !other.0 }
    }
}

impl core::ops::BitOr for ClientFlags {
    type Output = Self;
    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// A request kept beyond its buffer: queued by MULTI, or waiting in a blocking command.
#[derive(Clone, Debug)]
pub struct Kept {
    bytes: Box<[u8]>,
    spans: Box<[Span]>,
}

impl Kept {
    /// Copies a request.
    pub fn new(args: &Args) -> Self {
        Self { bytes: args.raw().into(), spans: args.spans().into() }
    }

    /// The request as it was.
    pub fn args(&self) -> Args<'_> {
        Args::new(&self.bytes, &self.spans)
    }

    /// Bytes that it takes.
    pub fn memory_bytes(&self) -> usize {
        self.bytes.len() + size_of_val(&*self.spans) + size_of::<Self>()
    }
}

/// A key that a client watches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Watched {
    /// Its database.
    pub db: usize,
    /// The key.
    pub key: Box<[u8]>,
    /// Whether it was there when watching began.
    pub was_there: bool,
}

/// Where the bytes of a connection stand; kept up by the server for `CLIENT LIST` and limits.
#[derive(Clone, Copy, Debug, Default)]
pub struct Traffic {
    /// Bytes waiting in the query buffer; of an unfinished request, from the unfinished argument on.
    pub query_bytes: usize,
    /// Bytes of an unfinished request's finished arguments.
    pub argument_bytes: usize,
    /// The query buffer's capacity.
    pub query_capacity: usize,
    /// Bytes handed to the socket and not sent yet.
    pub sending_bytes: usize,
    /// The capacity of the buffer that holds these.
    pub sending_capacity: usize,
    /// The capacity of the buffer kept for the next send.
    pub spare_bytes: usize,
    /// All bytes received.
    pub received_bytes: u64,
    /// All bytes sent.
    pub sent_bytes: u64,
    /// Commands run.
    pub commands: u64,
}

/// So much a client may always leave unread, as in Redis, which keeps the first replies in a buffer of this size: the
/// smallest limit still lets small replies through.
pub const OUTPUT_LIMIT_BYTES_MIN: usize = 16 << 10;

/// The class that output limits and `CLIENT KILL TYPE` go by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// An ordinary client.
    Normal,
    /// A replica.
    Replica,
    /// A client with subscriptions.
    PubSub,
    /// The link to our primary.
    Primary,
}

/// One connection.
#[derive(Debug)]
pub struct Client {
    /// Unique for the life of the process; rises with each connection.
    pub id: u64,
    /// The peer, `ip:port` or `path:0`.
    pub addr: String,
    /// Our end of it.
    pub laddr: String,
    /// The socket's descriptor, for `CLIENT LIST`; -1 where there is none.
    pub fd: i32,
    /// `CLIENT SETNAME`.
    pub name: Box<[u8]>,
    /// `CLIENT SETINFO LIB-NAME`.
    pub lib_name: Box<[u8]>,
    /// `CLIENT SETINFO LIB-VER`.
    pub lib_version: Box<[u8]>,
    /// The selected database.
    pub db: usize,
    /// State that changes how commands are treated.
    pub flags: ClientFlags,
    /// Whether it may run commands that need authentication.
    pub authenticated: bool,
    /// Replies waiting to be sent.
    pub out: Out,
    /// Commands queued by MULTI.
    pub queued: Vec<Kept>,
    /// Bytes that these take.
    pub queued_bytes: usize,
    /// Keys watched.
    pub watched: Vec<Watched>,
    /// What it is subscribed to.
    pub subscriptions: Subscriptions,
    /// What it tracks; there while it has the flag `TRACKING`.
    pub tracking: Option<Box<Interest>>,
    /// When it connected, Unix milliseconds.
    pub created_ms: i64,
    /// When it last sent a command, Unix milliseconds.
    pub active_ms: i64,
    /// Its last command, an index into the command table.
    pub last_command: Option<u16>,
    /// The end of the replication stream after its last write, for WAIT.
    pub write_offset: u64,
    /// Byte counts of its connection.
    pub traffic: Traffic,
    /// When its output first passed the soft limit, Unix milliseconds.
    pub soft_limit_since_ms: Option<i64>,
    /// What it takes of the memory of clients, where that is limited.
    pub counted_bytes: usize,
    /// Whether the server has been told that `out` holds something.
    pub in_dirty_list: bool,
}

impl Client {
    /// The class that limits and filters go by.
    pub fn class(&self) -> Class {
        if self.flags.any(ClientFlags::PRIMARY) {
            Class::Primary
        } else if self.flags.any(ClientFlags::REPLICA) && !self.flags.any(ClientFlags::MONITOR) {
            Class::Replica
        } else if self.flags.any(ClientFlags::PUBSUB) {
            Class::PubSub
        } else {
            Class::Normal
        }
    }

    /// Bytes of the buffers of a send that is under way and of the next one.
    pub fn send_buffers(&self) -> usize {
        self.traffic.sending_capacity + self.traffic.spare_bytes
    }

    /// Bytes of memory that waiting replies take.
    pub fn output_bytes(&self) -> usize {
        self.out.buf.len() + self.traffic.sending_bytes
    }
}

/// All connections.
#[derive(Debug, Default)]
pub struct Clients {
    slab: Slab<Box<Client>>,
    by_id: BTreeMap<u64, ClientKey>,
    last_id: u64,
}

impl Clients {
    /// Adds a client that has just connected.
    pub fn add(&mut self, addr: String, laddr: String, fd: i32, now_ms: i64) -> ClientKey {
        self.last_id += 1;
        let key = self.slab.insert(Box::new(Client {
            id: self.last_id,
            addr,
            laddr,
            fd,
            name: Box::default(),
            lib_name: Box::default(),
            lib_version: Box::default(),
            db: 0,
            flags: ClientFlags::default(),
            authenticated: true,
            out: Out::default(),
            queued: Vec::new(),
            queued_bytes: 0,
            watched: Vec::new(),
            subscriptions: Subscriptions::default(),
            tracking: None,
            created_ms: now_ms,
            active_ms: now_ms,
            last_command: None,
            write_offset: 0,
            traffic: Traffic::default(),
            soft_limit_since_ms: None,
            counted_bytes: 0,
            in_dirty_list: false,
        }));
        let key = ClientKey(u32::try_from(key).expect("maxclients keeps the table far below 2^32"));
        self.by_id.insert(self.last_id, key);
        key
    }

    /// Takes a client out of the table.
    pub fn remove(&mut self, key: ClientKey) -> Option<Box<Client>> {
        let client = self.slab.try_remove(key.0 as usize)?;
        self.by_id.remove(&client.id);
        Some(client)
    }

    /// The client at `key`, if it is still there.
    pub fn get(&self, key: ClientKey) -> Option<&Client> {
        self.slab.get(key.0 as usize).map(|c| &**c)
    }

    /// The client at `key`, if it is still there.
    pub fn get_mut(&mut self, key: ClientKey) -> Option<&mut Client> {
        self.slab.get_mut(key.0 as usize).map(|c| &mut **c)
    }

    /// The client with this id.
    pub fn key_of(&self, id: u64) -> Option<ClientKey> {
        self.by_id.get(&id).copied()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.slab.len()
    }

    /// Whether nobody is connected.
    pub fn is_empty(&self) -> bool {
        self.slab.is_empty()
    }

    /// All clients, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = (ClientKey, &Client)> {
        self.by_id.values().map(|&key| (key, &*self.slab[key.0 as usize]))
    }

    /// The keys of all clients, oldest first.
    pub fn keys(&self) -> Vec<ClientKey> {
        self.by_id.values().copied().collect()
    }
}

impl core::ops::Index<ClientKey> for Clients {
    type Output = Client;

    /// Panics when the client is gone.
    #[inline]
    fn index(&self, key: ClientKey) -> &Client {
        &self.slab[key.0 as usize]
    }
}

impl core::ops::IndexMut<ClientKey> for Clients {
    #[inline]
    fn index_mut(&mut self, key: ClientKey) -> &mut Client {
        &mut self.slab[key.0 as usize]
    }
}
