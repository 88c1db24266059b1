//! What goes out to clients: one send per connection and batch.

use super::Server;
use super::conns::Peer;
use super::event_loop::SPARE_BYTES_MAX;
use engine::client::ClientFlags;
use net::{ConnId, How};

/// Unsent replies above which a client's further requests wait until it has read some.
const OUTPUT_PAUSE_BYTES: usize = 1 << 20;
/// Unsent replies above which a client's further requests wait where `maxmemory-clients` is set, which may close the client before.
const OUTPUT_PAUSE_BYTES_LIMITED: usize = 64 << 20;
/// A send buffer up to this size is kept for the next send.
const SPARE_BYTES: usize = 16 << 10;

impl Server {
    /// Unsent replies above which a client's further requests wait.
    pub fn output_pause(&self) -> usize {
        if self.engine.client_memory.is_limited() { OUTPUT_PAUSE_BYTES_LIMITED } else { OUTPUT_PAUSE_BYTES }
    }

    /// Sends what waits for a connection, unless a send is under way.
    pub fn flush(&mut self, id: ConnId) {
        loop {
            let Some(conn) = self.conns.get_mut(id) else { return };
            if conn.sending {
                self.net.hasten();
                self.check_output_limit(id);
                return;
            }
            let Some(key) = conn.client else { return };
            let Some(client) = self.engine.clients.get_mut(key) else { return };
            if client.out.buf.is_empty() {
                if conn.close_when_sent {
                    self.close(id);
                } else if (conn.paused || conn.held) && !client.flags.any(ClientFlags::BLOCKED | ClientFlags::POSTPONED)
                {
                    self.resume(id);
                }
                return;
            }
            if conn.peer == Peer::Replica && self.outside.is_transferring(key) {
                return;
            }
            if self.exceeds_hard_limit(id) {
                return;
            }
            let (Some(conn), Some(client)) = (self.conns.get_mut(id), self.engine.clients.get_mut(key)) else { return };
            let buf = std::mem::replace(&mut client.out.buf, std::mem::take(&mut conn.spare));
            let len = buf.len();
            client.traffic.sent_bytes += len as u64;
            client.traffic.sending_bytes = len;
            client.traffic.sending_capacity = buf.capacity();
            client.traffic.spare_bytes = 0;
            self.engine.stats.net_out += len as u64;
            self.engine.stats.writes += 1;
            conn.sending = true;
            conn.sending_bytes = len;
            // After an answer to a replica its stream goes on, so its end is waited for.
            let quiet = conn.peer == Peer::Client && !(conn.close_when_sent || conn.paused || conn.held);
            match self.net.send_with(id, buf, How { quiet, more: false }) {
                Some(buf) => self.sent_now(id, buf),
                None => {
                    self.check_output_limit(id);
                    return;
                }
            }
        }
    }

    /// The kernel has taken a buffer: it is kept for the next send.
    pub fn sent_now(&mut self, id: ConnId, buf: Vec<u8>) {
        let Some(conn) = self.conns.get_mut(id) else { return };
        conn.sending = false;
        // A large buffer is kept where one was needed twice in a row.
        let large = std::mem::take(&mut conn.sending_bytes) > SPARE_BYTES;
        let twice = std::mem::replace(&mut conn.sent_much, large) && large;
        if buf.capacity() <= SPARE_BYTES || (twice && buf.capacity() <= SPARE_BYTES_MAX) {
            conn.spare = buf;
            conn.spare.clear();
        }
        let spare_bytes = conn.spare.capacity();
        if let Some(client) = conn.client.and_then(|k| self.engine.clients.get_mut(k)) {
            client.traffic.sending_bytes = 0;
            client.traffic.sending_capacity = 0;
            client.traffic.spare_bytes = spare_bytes;
        }
    }

    pub fn sent(&mut self, id: ConnId, buf: Vec<u8>) {
        self.sent_now(id, buf);
        self.count_memory(id);
        let Some(conn) = self.conns.get(id) else { return };
        match conn.peer {
            Peer::Watched => return self.watched_sent(id),
            Peer::Primary if conn.client.is_none() => return self.link_sent(id),
            Peer::Primary | Peer::Replica | Peer::Client => {}
        }
        let more = conn.client.and_then(|k| self.engine.clients.get(k)).is_some_and(|c| !c.out.buf.is_empty());
        if more || conn.close_when_sent || conn.paused || conn.held {
            self.touch(id);
        }
    }
}
