//! The connections of the event loop: each one's socket, unread input and client.

use super::input::Input;
use engine::client::ClientKey;
use net::ConnId;
use resp::RequestParser;

/// What is on the other end of a connection.
#[derive(Debug, PartialEq, Eq, Clone, Copy)]
pub enum Peer {
    /// A client; also a replica until it asks for the stream.
    Client,
    /// A replica that is fed from the replication log.
    Replica,
    /// The primary that we follow.
    Primary,
    /// A server or sentinel that this sentinel watches.
    Watched,
}

/// One connection.
#[derive(Debug)]
pub struct Conn {
    /// Its socket.
    pub id: ConnId,
    /// Its client in the engine; nothing for a link to a primary that is still in its handshake, and for
    /// those that a sentinel watches.
    pub client: Option<ClientKey>,
    /// Who it is.
    pub peer: Peer,
    /// State of an unfinished request.
    pub parser: RequestParser,
    /// Bytes received and not run yet; empty unless a request is unfinished or its client waits.
    pub input: Input,
    /// A buffer is with the kernel.
    pub sending: bool,
    /// Bytes of that buffer.
    pub sending_bytes: usize,
    /// The last send was a large one.
    pub sent_much: bool,
    /// An empty buffer to be used for the next send.
    pub spare: Vec<u8>,
    /// Receiving is stopped until the output has drained or the client goes on.
    pub paused: bool,
    /// Its requests wait until the output has drained.
    pub held: bool,
    /// Close it when everything has been sent.
    pub close_when_sent: bool,
    /// It is on the list of connections to be flushed.
    pub touched: bool,
    /// Bytes of it are in the batch that is being made or run.
    pub in_batch: bool,
}

/// All connections, by socket and by client.
#[derive(Debug, Default)]
pub struct Conns {
    by_index: Vec<Option<Box<Conn>>>,
    by_client: Vec<Option<ConnId>>,
    count: usize,
}

impl Conns {
    /// Adds a connection.
    pub fn add(&mut self, id: ConnId, client: Option<ClientKey>, peer: Peer) -> &mut Conn {
        let index = id.index();
        if self.by_index.len() <= index {
            self.by_index.resize_with(index + 1, || None);
        }
        self.count += 1;
        let slot = &mut self.by_index[index];
        debug_assert!(slot.is_none(), "a connection's index is free again only after it was removed");
        let conn = Conn {
            id,
            client,
            peer,
            parser: RequestParser::default(),
            input: Input::default(),
            sending: false,
            sending_bytes: 0,
            sent_much: false,
            spare: Vec::new(),
            paused: false,
            held: false,
            close_when_sent: false,
            touched: false,
            in_batch: false,
        };
        *slot = Some(Box::new(conn));
        if let Some(client) = client {
            self.bind(id, client);
        }
        self.by_index[index].as_mut().expect("just put there")
    }

    /// Notes which client a connection belongs to.
    pub fn bind(&mut self, id: ConnId, client: ClientKey) {
        let at = client.0 as usize;
        if self.by_client.len() <= at {
            self.by_client.resize(at + 1, None);
        }
        self.by_client[at] = Some(id);
        if let Some(conn) = self.get_mut(id) {
            conn.client = Some(client);
        }
    }

    /// The connection, if it is still open.
    #[inline]
    pub fn get(&self, id: ConnId) -> Option<&Conn> {
        self.by_index.get(id.index())?.as_deref().filter(|c| c.id == id)
    }

    /// The connection, if it is still open.
    #[inline]
    pub fn get_mut(&mut self, id: ConnId) -> Option<&mut Conn> {
        self.by_index.get_mut(id.index())?.as_deref_mut().filter(|c| c.id == id)
    }

    /// The connection of a client.
    pub fn of_client(&self, client: ClientKey) -> Option<ConnId> {
        self.by_client.get(client.0 as usize).copied().flatten()
    }

    /// Takes a connection out.
    pub fn remove(&mut self, id: ConnId) -> Option<Box<Conn>> {
        let slot = self.by_index.get_mut(id.index())?;
        if slot.as_ref().is_none_or(|c| c.id != id) {
            return None;
        }
        let conn = slot.take()?;
        self.count -= 1;
        if let Some(client) = conn.client {
            self.by_client[client.0 as usize] = None;
        }
        Some(conn)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.count
    }
}
