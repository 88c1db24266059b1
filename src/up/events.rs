//! What the sentinels tell: a thread subscribes to the events of one of them, and of another one when that is gone.

use super::NAME;
use crate::wire::Connection;
use resp::Value;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Events that are kept for the view.
const KEPT: usize = 200;

/// The latest events, oldest first.
#[derive(Debug, Clone, Default)]
pub struct Events(Arc<Mutex<VecDeque<String>>>);

impl Events {
    /// Begins to listen to the sentinels on these ports. The thread ends with the process.
    pub fn listen(ports: Vec<u16>) -> Self {
        let events = Self::default();
        let to = events.clone();
        if !ports.is_empty() {
            std::thread::spawn(move || {
                for port in ports.iter().cycle() {
                    // An error means that this sentinel is gone: the next one is asked.
                    let _ = to.follow(*port);
                    std::thread::sleep(Duration::from_millis(100));
                }
            });
        }
        events
    }

    fn follow(&self, port: u16) -> std::io::Result<()> {
        let mut connection = Connection::tcp("127.0.0.1", port, Duration::from_millis(300))?;
        connection.call(&[b"PSUBSCRIBE", b"*"])?;
        loop {
            let (Value::Array(message) | Value::Push(message)) = connection.reply()? else { continue };
            let text = |i: usize| message.get(i).and_then(Value::as_bytes).map_or("".into(), String::from_utf8_lossy);
            if text(0) == "pmessage" && !text(2).starts_with("__") {
                let now = jiff::Zoned::now().strftime("%H:%M:%S%.3f");
                self.add(format!("{now} {} {}", text(2), short(&text(3))));
            }
        }
    }

    fn add(&self, line: String) {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() == KEPT {
            lines.pop_front();
        }
        lines.push_back(line);
    }

    /// The last `n` of them.
    pub fn last(&self, n: usize) -> Vec<String> {
        let lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lines.iter().skip(lines.len().saturating_sub(n)).cloned().collect()
    }

    /// Takes all that have come since the last call.
    pub fn take(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).drain(..).collect()
    }
}

/// An event without what is the same in all of them here.
fn short(text: &str) -> String {
    let text = text.split(&format!(" @ {NAME} ")).next().unwrap_or(text);
    text.replace("127.0.0.1:", ":").replace(" 127.0.0.1 ", " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_shortened() {
        assert_eq!(short("slave 127.0.0.1:7002 127.0.0.1 7002 @ mymaster 127.0.0.1 7001"), "slave :7002 7002");
        assert_eq!(short("mymaster 127.0.0.1 7001 127.0.0.1 7002"), "mymaster 7001 7002");
    }
}
