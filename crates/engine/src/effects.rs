//! Effects: what a command changed, as the deterministic commands that make the same change
//! anywhere. They form one stream of bytes with one offset; replicas, the back-log and the
//! append-only file all read that stream.
//!
//! A handler says only *that* it changed something; then its own request is the effect, copied
//! as it came. Where a replay of the request would not give the same result (it depends on
//! time, chance or what had expired) the handler says what to replay in its place.
//!
//! ```text
//! one command                 its effects in the stream
//! SET k v                     SET k v
//! SPOP s                      SREM s m
//! GET k (k had expired)       DEL k
//! SET k v EX 10               SET k v PXAT 1735689600000
//! MULTI … EXEC                MULTI  effects of each command  EXEC
//! ```

use std::ops::Range;

/// The commands of one step, collected while it runs.
#[derive(Debug, Default)]
pub struct Effects {
    /// How many keys or elements were changed; counts towards `save` points.
    pub dirty: u64,
    verbatim: Verbatim,
    bytes: Vec<u8>,
    /// Encoded commands in `bytes`, each with its database; those before the request's own place.
    commands: Vec<(usize, Range<usize>)>,
    /// How many of `commands` come before the request itself.
    before: usize,
}

/// Whether the request itself is an effect.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Verbatim {
    /// If it changed anything.
    #[default]
    IfDirty,
    /// Even if it changed nothing.
    Always,
    /// No: other commands take its place, or nothing does.
    Never,
}

impl Effects {
    /// `n` keys or elements were changed.
    #[inline]
    pub fn changed(&mut self, n: u64) {
        self.dirty += n;
    }

    fn push(&mut self, db: usize, args: &[&[u8]]) {
        let start = self.bytes.len();
        resp::encode_command(&mut self.bytes, args.iter().copied());
        self.commands.push((db, start..self.bytes.len()));
    }

    /// This command takes the request's place; called again, it adds another one.
    pub fn rewrite(&mut self, db: usize, args: &[&[u8]]) {
        self.verbatim = Verbatim::Never;
        self.push(db, args);
    }

    /// This command precedes the request.
    pub fn before(&mut self, db: usize, args: &[&[u8]]) {
        debug_assert!(self.before == self.commands.len(), "what precedes is said before what follows");
        self.push(db, args);
        self.before = self.commands.len();
    }

    /// This command follows the request.
    pub fn after(&mut self, db: usize, args: &[&[u8]]) {
        self.push(db, args);
    }

    /// The request is not replayed, whatever it changed.
    pub fn suppress(&mut self) {
        self.verbatim = Verbatim::Never;
    }

    /// The request is replayed even though it changed no key (`PUBLISH`).
    pub fn always(&mut self) {
        self.verbatim = Verbatim::Always;
    }

    /// Whether there is nothing to propagate.
    #[inline]
    pub(crate) fn is_nothing(&self) -> bool {
        self.commands.is_empty() && !self.takes_request()
    }

    /// Whether there is something to propagate because of a change, and not because the command always is.
    #[cfg(debug_assertions)]
    pub(crate) fn tell_of_change(&self) -> bool {
        self.dirty > 0 || !self.commands.is_empty()
    }

    #[inline]
    fn takes_request(&self) -> bool {
        match self.verbatim {
            Verbatim::IfDirty => self.dirty > 0,
            Verbatim::Always => true,
            Verbatim::Never => false,
        }
    }

    /// Forgets everything; the next step begins.
    #[inline]
    pub fn clear(&mut self) {
        self.dirty = 0;
        self.verbatim = Verbatim::IfDirty;
        if !self.commands.is_empty() {
            self.commands.clear();
            self.bytes.clear();
            self.before = 0;
        }
    }
}

/// The effects that the server has not yet taken into the replication log.
#[derive(Debug, Default)]
pub struct Stream {
    /// Whether anybody reads it; if not, nothing is encoded.
    pub enabled: bool,
    /// Encoded commands.
    pub bytes: Vec<u8>,
    /// The replication offset of the end of `bytes`.
    pub end_offset: u64,
    /// The database that a reader of the stream has selected at its end.
    selected: Option<usize>,
    /// The commands of the transaction that is running: how many, and their bytes with the SELECTs between them.
    transaction: Option<Transaction>,
}

/// A transaction's commands, kept until its end tells whether they are several.
#[derive(Debug, Default)]
struct Transaction {
    commands: usize,
    bytes: Vec<u8>,
}

impl Stream {
    /// The database that a reader at the stream's end has selected, if any.
    pub fn selected(&self) -> Option<usize> {
        self.selected
    }

    /// A reader begins at the end: the next command selects its database first.
    pub fn forget_selected(&mut self) {
        self.selected = None;
    }

    /// EXEC begins: everything until [`Stream::end_transaction`] is one atomic step.
    pub fn begin_transaction(&mut self) {
        self.transaction = Some(Transaction::default());
    }

    /// EXEC has ended. A single command is atomic by itself and gets no MULTI.
    pub fn end_transaction(&mut self) {
        let Some(transaction) = self.transaction.take() else { return };
        match transaction.commands {
            0 => {}
            1 => self.append(&transaction.bytes),
            _ => {
                self.append(b"*1\r\n$5\r\nMULTI\r\n");
                self.append(&transaction.bytes);
                self.append(b"*1\r\n$4\r\nEXEC\r\n");
            }
        }
    }

    #[inline]
    fn append(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        self.end_offset += bytes.len() as u64;
    }

    /// Bytes that are no command of ours: a heartbeat to replicas.
    pub fn append_raw(&mut self, bytes: &[u8]) {
        self.append(bytes);
    }

    #[inline]
    fn command(&mut self, db: usize, bytes: &[u8]) {
        if self.selected != Some(db) {
            self.select(db);
        }
        match &mut self.transaction {
            None => self.append(bytes),
            Some(transaction) => {
                transaction.commands += 1;
                transaction.bytes.extend_from_slice(bytes);
            }
        }
    }

    #[cold]
    fn select(&mut self, db: usize) {
        let mut select = Vec::with_capacity(32);
        let digits = db.to_string();
        resp::encode_command(&mut select, [&b"SELECT"[..], digits.as_bytes()].into_iter());
        match &mut self.transaction {
            None => self.append(&select),
            Some(transaction) => transaction.bytes.extend_from_slice(&select),
        }
        self.selected = Some(db);
    }

    /// Writes a step's effects; `request` is the request as it came. Says whether any byte was written.
    #[inline]
    pub fn record(&mut self, effects: &Effects, db: usize, request: &[u8]) -> bool {
        if !self.enabled || effects.is_nothing() {
            return false;
        }
        let takes_request = effects.takes_request();
        if effects.commands.is_empty() && self.transaction.is_none() {
            self.command(db, request);
            return true;
        }
        self.record_many(effects, db, request, takes_request);
        true
    }

    #[cold]
    fn record_many(&mut self, effects: &Effects, db: usize, request: &[u8], takes_request: bool) {
        let several = effects.commands.len() + usize::from(takes_request) > 1;
        let wrap = several && self.transaction.is_none();
        if wrap {
            self.begin_transaction();
        }
        let (before, after) = effects.commands.split_at(effects.before);
        for (db, range) in before {
            self.command(*db, &effects.bytes[range.clone()]);
        }
        if takes_request {
            self.command(db, request);
        }
        for (db, range) in after {
            self.command(*db, &effects.bytes[range.clone()]);
        }
        if wrap {
            self.end_transaction();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs steps on a stream and gives the words of each command in it.
    fn check(steps: impl FnOnce(&mut Stream), expected: &[&str]) {
        let mut stream = Stream { enabled: true, ..Stream::default() };
        steps(&mut stream);
        assert_eq!(stream.end_offset, stream.bytes.len() as u64);
        let (mut found, mut at) = (vec![], 0);
        while let Some((resp::Value::Array(words), len)) = resp::parse_value(&stream.bytes[at..]).unwrap() {
            let words: Vec<_> =
                words.iter().map(|w| String::from_utf8_lossy(w.as_bytes().unwrap()).into_owned()).collect();
            found.push(words.join(" "));
            at += len;
        }
        assert_eq!(found, expected);
    }

    fn step(stream: &mut Stream, db: usize, fill: impl FnOnce(&mut Effects)) {
        let mut effects = Effects::default();
        fill(&mut effects);
        stream.record(&effects, db, b"*2\r\n$3\r\nREQ\r\n$1\r\nk\r\n");
    }

    #[test]
    fn a_request_that_changed_something_is_its_own_effect() {
        check(
            |s| {
                step(s, 0, |e| e.changed(1));
                step(s, 0, |_| {});
                step(s, 3, |e| e.changed(2));
                step(s, 3, |e| e.always());
            },
            &["SELECT 0", "REQ k", "SELECT 3", "REQ k", "REQ k"],
        );
    }

    #[test]
    fn several_effects_are_one_atomic_step() {
        check(
            |s| {
                step(s, 0, |e| {
                    e.before(0, &[b"DEL", b"old"]);
                    e.changed(1);
                });
                step(s, 0, |e| e.rewrite(0, &[b"SREM", b"s", b"m"]));
                step(s, 0, |e| {
                    e.changed(1);
                    e.suppress();
                });
            },
            &["MULTI", "SELECT 0", "DEL old", "REQ k", "EXEC", "SREM s m"],
        );
    }

    #[test]
    fn a_transaction_is_written_only_if_it_had_effects() {
        check(
            |s| {
                s.begin_transaction();
                step(s, 1, |_| {});
                s.end_transaction();
                s.begin_transaction();
                step(s, 1, |e| e.changed(1));
                s.end_transaction();
                s.begin_transaction();
                step(s, 1, |e| e.changed(1));
                step(s, 2, |e| e.rewrite(2, &[b"A"]));
                s.end_transaction();
            },
            &["SELECT 1", "REQ k", "MULTI", "REQ k", "SELECT 2", "A", "EXEC"],
        );
    }
}
