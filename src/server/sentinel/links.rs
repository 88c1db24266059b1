//! A sentinel's own connections: to the servers that it watches and to other sentinels.

use crate::server::Server;
use crate::server::conns::Peer;
use ::sentinel::{Event, LinkId, Reply};
use net::{ConnId, DataSlot};
use resp::Value;
use std::net::{IpAddr, SocketAddr};

/// A reply that is longer is none that a sentinel has asked for: the link is closed.
const REPLY_BYTES_MAX: usize = 2 << 20;
/// A link whose peer does not read is closed when more than this waits to be sent to it.
const OUTPUT_BYTES_MAX: usize = 1 << 20;

/// One connection.
#[derive(Debug)]
pub struct Link {
    conn: ConnId,
    /// Received and not a whole reply yet.
    input: Vec<u8>,
    /// To be sent when the kernel has taken what came before.
    output: Vec<u8>,
}

impl Server {
    /// Begins to connect.
    pub(super) fn open_link(&mut self, link: LinkId, address: IpAddr, port: u16) {
        match self.net.connect(SocketAddr::new(address, port), None) {
            Ok(conn) => {
                self.conns.add(conn, None, Peer::Watched);
                let Some(driver) = &mut self.outside.sentinel else { return };
                driver.links.insert(link, Link { conn, input: Vec::new(), output: Vec::new() });
                driver.by_conn.insert(conn, link);
            }
            Err(error) => self.tell_sentinel(Event::LinkClosed { link, reason: error.to_string() }),
        }
    }

    /// A connection is made, or could not be.
    pub fn watched_connected(&mut self, id: ConnId, result: std::io::Result<()>) {
        let Some(link) = self.link_of(id) else { return };
        let local = result.and_then(|()| self.local_ip(id).ok_or_else(|| std::io::ErrorKind::NotConnected.into()));
        match local {
            Ok(local) => {
                if let Some(fd) = self.net.fd(id)
                    && let Err(error) = net::set_nodelay(fd, true)
                {
                    crate::server::log::log!(Verbose, "Can't set TCP_NODELAY on a link: {error}");
                }
                self.net.recv(id);
                self.tell_sentinel(Event::LinkOpened { link, local });
            }
            Err(error) => self.lose_link(link, error.to_string()),
        }
    }

    /// Bytes have come.
    pub fn watched_received(&mut self, id: ConnId, slot: DataSlot) {
        let Some(link) = self.link_of(id) else { return };
        let bytes = self.net.data(slot);
        let Some(entry) = self.outside.sentinel.as_mut().and_then(|driver| driver.links.get_mut(&link)) else { return };
        entry.input.extend_from_slice(bytes);
        let mut at = 0;
        loop {
            // What the machine does about one reply may close the link.
            let Some(driver) = &mut self.outside.sentinel else { return };
            let Some(entry) = driver.links.get_mut(&link) else { return };
            match resp::parse_value(&entry.input[at..]) {
                Ok(Some((value, len))) => {
                    at += len;
                    driver.handle(Event::Received { link, reply: reply(value) });
                }
                Ok(None) => {
                    entry.input.drain(..at);
                    if entry.input.len() > REPLY_BYTES_MAX {
                        self.lose_link(link, "a reply is longer than any that a sentinel asks for".into());
                    }
                    return;
                }
                Err(error) => {
                    self.lose_link(link, error.to_string());
                    return;
                }
            }
        }
    }

    /// The other side has closed a connection, or it broke.
    pub fn watched_lost(&mut self, id: ConnId, error: Option<std::io::Error>) {
        let Some(link) = self.link_of(id) else { return };
        self.lose_link(link, error.map_or_else(|| "Connection closed".into(), |e| e.to_string()));
    }

    /// The kernel has taken what was sent.
    pub fn watched_sent(&mut self, id: ConnId) {
        if let Some(link) = self.link_of(id) {
            self.flush_link(link);
        }
    }

    pub(super) fn send_on_link(&mut self, link: LinkId, args: &[Vec<u8>]) {
        let Some(entry) = self.outside.sentinel.as_mut().and_then(|driver| driver.links.get_mut(&link)) else { return };
        resp::encode_command(&mut entry.output, args.iter().map(Vec::as_slice));
        if entry.output.len() > OUTPUT_BYTES_MAX {
            self.lose_link(link, "it does not read what is sent to it".into());
            return;
        }
        self.flush_link(link);
    }

    fn flush_link(&mut self, link: LinkId) {
        let Some(entry) = self.outside.sentinel.as_mut().and_then(|driver| driver.links.get_mut(&link)) else { return };
        let Some(conn) = self.conns.get_mut(entry.conn) else { return };
        if conn.sending || entry.output.is_empty() {
            return;
        }
        self.engine.stats.net_out += entry.output.len() as u64;
        let sent = self.net.send(entry.conn, std::mem::take(&mut entry.output));
        conn.sending = sent.is_none();
        if let Some(buffer) = sent {
            entry.output = buffer;
        }
    }

    /// Closes a connection at the machine's wish.
    pub(super) fn close_link(&mut self, link: LinkId) {
        let Some(driver) = &mut self.outside.sentinel else { return };
        if let Some(entry) = driver.links.remove(&link) {
            driver.by_conn.remove(&entry.conn);
            self.close(entry.conn);
        }
    }

    fn lose_link(&mut self, link: LinkId, reason: String) {
        self.close_link(link);
        self.tell_sentinel(Event::LinkClosed { link, reason });
    }

    fn link_of(&self, id: ConnId) -> Option<LinkId> {
        self.outside.sentinel.as_ref()?.by_conn.get(&id).copied()
    }
}

/// What came, as the machine knows it.
fn reply(value: Value) -> Reply {
    match value {
        Value::Null => Reply::Null,
        Value::Simple(text) => Reply::Status(text),
        Value::Error(text) => Reply::Error(text),
        Value::Int(n) => Reply::Int(n),
        Value::Bool(b) => Reply::Int(i64::from(b)),
        Value::Double(x) => Reply::Bulk(x.to_string().into_bytes()),
        Value::Bulk(bytes) | Value::BigNumber(bytes) | Value::Verbatim(_, bytes) => Reply::Bulk(bytes),
        Value::Array(values) | Value::Set(values) | Value::Push(values) => {
            Reply::Array(values.into_iter().map(reply).collect())
        }
        Value::Map(pairs) => Reply::Map(pairs.into_iter().map(|(name, value)| (reply(name), reply(value))).collect()),
    }
}
