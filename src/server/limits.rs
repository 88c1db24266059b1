//! What clients may leave unread: `client-output-buffer-limit`. Replicas have a rule of their own, see [`super::replicas`].

use super::Server;
use super::log::log;
use engine::client::{Class, ClientFlags, OUTPUT_LIMIT_BYTES_MIN};
use net::ConnId;

impl Server {
    /// A reply that is longer than its client may leave unread is not begun to be sent.
    pub fn exceeds_hard_limit(&mut self, id: ConnId) -> bool {
        let limits = &self.engine.config.client_output_buffer_limit.0;
        if limits[0].hard_bytes == 0 && limits[2].hard_bytes == 0 {
            return false;
        }
        self.check_output_limit(id);
        self.conns.get(id).is_none()
    }

    /// Closes a client that leaves more unread than its class may.
    pub fn check_output_limit(&mut self, id: ConnId) {
        let Some(key) = self.conns.get(id).and_then(|c| c.client) else { return };
        let now_ms = self.engine.store.now_ms;
        let limits = self.engine.config.client_output_buffer_limit.0;
        let Some(client) = self.engine.clients.get_mut(key) else { return };
        let unlimited = limits[0].hard_bytes == 0 && limits[0].soft_bytes == 0;
        let limit = match client.class() {
            // What a monitor leaves unread grows by itself, as what a subscriber leaves does.
            Class::Normal if unlimited && client.flags.any(ClientFlags::MONITOR) => limits[2],
            Class::Normal => limits[0],
            Class::Replica => limits[1],
            Class::PubSub => limits[2],
            Class::Primary => return,
        };
        let bytes = client.output_bytes() as i64;
        let counts = client.class() == Class::Replica || bytes > OUTPUT_LIMIT_BYTES_MIN as i64;
        let hard = counts && limit.hard_bytes > 0 && bytes >= limit.hard_bytes;
        let mut soft = counts && limit.soft_bytes > 0 && bytes >= limit.soft_bytes;
        if soft {
            let since = *client.soft_limit_since_ms.get_or_insert(now_ms);
            // Whole seconds, as in Redis: nobody is closed before the time is over.
            soft = now_ms / 1000 - since / 1000 > limit.soft_seconds;
        } else {
            client.soft_limit_since_ms = None;
        }
        if hard || soft {
            let text = self.client_text(id);
            log!(Warning, "Client {text} scheduled to be closed ASAP for overcoming of output buffer limits.");
            self.engine.stats.output_limit_closes += 1;
            self.close(id);
        }
    }
}
