//! A load of writes, and how many of those that were acknowledged a fail-over has lost.
//!
//! One connection sets a few keys to ever higher numbers, asks the sentinels who the primary is when it fails, as any client does,
//! and first reads there what has arrived:
//!
//! ```text
//!   SET up:load:7 1207 ─► OK        acknowledged for up:load:7:  1007 1107 1207
//!   GET up:load:7      ─► 1107      found on the new primary: all above it are lost, here one
//! ```
//! A write whose answer did not come may be there or not: it counts as neither.

use super::NAME;
use super::nodes::Endpoint;
use super::state::Event;
use super::threads::Sender;
use crate::wire::Connection;
use resp::Value;
use std::collections::VecDeque;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use std::time::{Duration, Instant};

/// How many keys are written.
const KEYS: usize = 100;
/// Numbers that are remembered for each key; the latest ones, since what is lost is at the end.
const REMEMBERED: usize = 10_000;
/// How often a batch of writes is sent.
const BATCH_PERIOD: Duration = Duration::from_millis(10);
/// After this long a silence of the primary the sentinels are asked again.
const SILENCE_MAX: Duration = Duration::from_millis(300);
/// How long a sentinel may take to answer.
const SENTINEL_TIMEOUT: Duration = Duration::from_millis(200);
/// How long the writer waits before it asks for the primary again.
const RETRY_PERIOD: Duration = Duration::from_millis(20);
/// How often a load that is off looks whether it is on.
const OFF_PERIOD: Duration = Duration::from_millis(50);

/// What the rest of the program shares with the load.
#[derive(Debug, Default)]
pub struct Shared {
    /// Whether it is switched on.
    pub is_on: AtomicBool,
    /// The primary's port as it is known here, for where there are no sentinels; 0 where there is none.
    pub primary: AtomicU16,
}

/// Which writes were acknowledged.
#[derive(Debug)]
struct Ledger {
    keys: Vec<VecDeque<u64>>,
}

impl Ledger {
    fn new() -> Self {
        Self { keys: vec![VecDeque::new(); KEYS] }
    }

    fn acknowledge(&mut self, key: usize, number: u64) {
        let numbers = &mut self.keys[key];
        if numbers.len() == REMEMBERED {
            numbers.pop_front();
        }
        numbers.push_back(number);
    }

    /// Forgets the acknowledged writes of a key that are above `found`, which is what it holds, and returns how many they are.
    fn forget_above(&mut self, key: usize, found: u64) -> u64 {
        let numbers = &mut self.keys[key];
        let before = numbers.len();
        numbers.retain(|number| *number <= found);
        (before - numbers.len()) as u64
    }

    fn is_empty(&self) -> bool {
        self.keys.iter().all(VecDeque::is_empty)
    }
}

/// Writes `rate` times a second while it is switched on.
pub fn run(rate: u32, sentinels: &[u16], shared: &Shared, events: &Sender) {
    let mut load = Load { rate, ledger: Ledger::new(), number: 0, port: 0 };
    loop {
        if !shared.is_on.load(Ordering::Relaxed) {
            std::thread::sleep(OFF_PERIOD);
            continue;
        }
        if let Some(port) = ask_for_primary(sentinels, shared) {
            // A primary that refuses, or is gone, may no longer be the primary: the sentinels are asked again.
            let _ = load.write_to(port, shared, events);
        }
        std::thread::sleep(RETRY_PERIOD);
    }
}

/// The writer.
#[derive(Debug)]
struct Load {
    rate: u32,
    ledger: Ledger,
    /// The last number that was sent.
    number: u64,
    /// The port that was written to last.
    port: u16,
}

impl Load {
    /// Writes to the primary on this port until the load is switched off or the connection fails. Where another primary was written
    /// to before, what it has lost is counted first.
    fn write_to(&mut self, port: u16, shared: &Shared, events: &Sender) -> io::Result<()> {
        let mut connection = Endpoint::Port(port).connect(Some(SILENCE_MAX))?;
        if port != self.port && !self.ledger.is_empty() {
            let lost = self.count_lost(&mut connection)?;
            events.send(Event::Counted { port, lost });
        }
        self.port = port;
        let start = Instant::now();
        let (mut due, mut sent) = (0u64, 0u64);
        while shared.is_on.load(Ordering::Relaxed) {
            std::thread::sleep(BATCH_PERIOD);
            due = due.max((start.elapsed().as_secs_f64() * f64::from(self.rate)) as u64);
            // What a pause has left undone is not made up for all at once.
            let count = (due - sent).min(u64::from(self.rate).div_ceil(10));
            sent = due;
            self.write_batch(&mut connection, count)?;
            events.send(Event::Wrote { count });
        }
        Ok(())
    }

    /// Writes the next `count` numbers, and remembers those that are acknowledged.
    fn write_batch(&mut self, connection: &mut Connection, count: u64) -> io::Result<()> {
        let numbers = self.number + 1..self.number + 1 + count;
        self.number += count;
        let mut batch = Vec::new();
        for number in numbers.clone() {
            let (key, digits) = (key(number as usize % KEYS), number.to_string());
            resp::encode_command(&mut batch, [&b"SET"[..], &key, digits.as_bytes()].into_iter());
        }
        connection.write_all(&batch)?;
        for number in numbers {
            let reply = connection.reply()?;
            if reply.as_bytes() != Some(b"OK") {
                return Err(refused(&reply));
            }
            self.ledger.acknowledge(number as usize % KEYS, number);
        }
        Ok(())
    }

    /// Reads all keys and counts the acknowledged writes that are missing.
    fn count_lost(&mut self, connection: &mut Connection) -> io::Result<u64> {
        let keys: Vec<Vec<u8>> = (0..KEYS).map(key).collect();
        let words: Vec<&[u8]> = std::iter::once(&b"MGET"[..]).chain(keys.iter().map(Vec::as_slice)).collect();
        let reply = connection.call(&words)?;
        let values = reply.elements();
        if values.len() != KEYS {
            return Err(refused(&reply));
        }
        let number = |value: &Value| std::str::from_utf8(value.as_bytes()?).ok()?.parse().ok();
        let found = values.iter().map(|value| number(value).unwrap_or(0));
        Ok(found.enumerate().map(|(index, found)| self.ledger.forget_above(index, found)).sum())
    }
}

/// The primary's port, as the first sentinel says that answers.
fn ask_for_primary(sentinels: &[u16], shared: &Shared) -> Option<u16> {
    if sentinels.is_empty() {
        return Some(shared.primary.load(Ordering::Relaxed)).filter(|port| *port != 0);
    }
    sentinels.iter().find_map(|sentinel| {
        let mut connection = Endpoint::Port(*sentinel).connect(Some(SENTINEL_TIMEOUT)).ok()?;
        let reply = connection.call(&[b"SENTINEL", b"GET-MASTER-ADDR-BY-NAME", NAME.as_bytes()]).ok()?;
        let port = reply.elements().get(1)?.as_bytes()?;
        std::str::from_utf8(port).ok()?.parse().ok()
    })
}

fn key(index: usize) -> Vec<u8> {
    format!("up:load:{index}").into_bytes()
}

fn refused(reply: &Value) -> io::Error {
    io::Error::other(format!("the primary answers {reply:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn acknowledged_writes_that_are_not_there_are_counted_once() {
        let mut ledger = Ledger::new();
        assert!(ledger.is_empty());
        for number in [7, 107, 307, 407] {
            ledger.acknowledge(7, number);
        }
        ledger.acknowledge(8, 8);
        // 207 was not acknowledged and is there: it hides nothing.
        assert_eq!(ledger.forget_above(7, 207), 2);
        assert_eq!(ledger.forget_above(7, 207), 0);
        assert_eq!(ledger.forget_above(8, 8), 0);
        assert_eq!(ledger.forget_above(8, 0), 1, "a key that is gone has lost all of them");
        assert_eq!(ledger.forget_above(9, 0), 0);
    }

    #[test]
    fn only_the_latest_writes_are_remembered() {
        let mut ledger = Ledger::new();
        for number in 0..2 * REMEMBERED as u64 {
            ledger.acknowledge(0, number);
        }
        assert_eq!(ledger.keys[0].len(), REMEMBERED);
        assert_eq!(ledger.forget_above(0, 2 * REMEMBERED as u64 - 3), 2);
    }
}
