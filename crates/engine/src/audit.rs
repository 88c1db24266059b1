//! In debug builds, a second look at each command: who changes data says so, and who says so has changed data.
//!
//! A handler that forgets `store.changed` answers rightly and is never noticed, except that replicas and data files
//! lack the change. So the data is compared before and after, as long as there is little of it:
//!
//! ```text
//! data differs, nothing propagated     the handler forgot to say what it changed
//! something propagated, no access      the handler says that it changed what it has not touched
//! ```
//!
//! The same value set again is propagated, as in Redis, so equal data alone proves nothing of the second kind: there the
//! question is whether any database was lent to be changed. Release builds have none of this.

use crate::effects::Effects;
use crate::engine::Engine;
use crate::spec::Flags;
use crate::table::{Command, Run};
use keyspace::{Entry, Keyspace, ValueRef};
use std::hash::{DefaultHasher, Hash, Hasher};

/// Keys and elements up to which data is compared.
const ELEMENTS_MAX: usize = 256;
/// Bytes of strings up to which data is compared.
const BYTES_MAX: usize = 64 << 10;

/// What the steps of a command have propagated.
#[derive(Debug, Default)]
pub(crate) struct Said {
    /// Anything.
    anything: bool,
    /// Because of a change.
    change: bool,
    /// A change that the command itself made, and not time.
    own_change: bool,
}

impl Said {
    /// A step ends with these effects.
    pub(crate) fn note(&mut self, effects: &Effects) {
        self.anything |= !effects.is_nothing();
        self.change |= effects.tell_of_change();
        self.own_change |= effects.dirty > 0;
    }
}

/// How things were before a command.
pub(crate) struct Audit(Option<Before>);

struct Before {
    data: Option<u64>,
    lent: u64,
}

impl Audit {
    /// A command begins.
    pub(crate) fn begin(e: &mut Engine, command: &Command) -> Self {
        // What the server does for a command (loading a file, taking a role) and what EXEC runs is looked at elsewhere.
        // Names without a change to data: SWAPDB of a database with itself counts as one, as in Redis.
        let is_plain = matches!(command.run, Run::Plain(_)) && !matches!(command.spec.name, "swapdb");
        if !is_plain || !e.store.fx.is_nothing() {
            return Self(None);
        }
        e.audited = Said::default();
        Self(Some(Before { data: fingerprint(&e.store.keyspace), lent: e.store.keyspace.lent() }))
    }

    /// It has ended, and its effects are written.
    pub(crate) fn end(self, e: &Engine, command: &Command) {
        let Some(before) = self.0 else { return };
        let name = command.spec.name;
        let lent = e.store.keyspace.lent() > before.lent;
        assert!(lent || !e.audited.change, "{name} propagates a change of data that it has not touched");
        if !lent || before.data.is_none() {
            return;
        }
        let after = fingerprint(&e.store.keyspace);
        assert!(
            after.is_none() || after == before.data || e.audited.anything,
            "{name} changed data without saying so: no replica and no data file would know"
        );
        let may_write = command.flags.any(Flags::WRITE | Flags::MAY_REPLICATE);
        assert!(may_write || !e.audited.own_change, "{name} writes, and its facts do not say so");
    }
}

/// A number for all data, whatever the order and the encoding of what has none; nothing where there is too much.
fn fingerprint(keyspace: &Keyspace) -> Option<u64> {
    let (mut elements, mut bytes, mut sum) = (0, 0, 0u64);
    for (number, db) in keyspace.iter().enumerate() {
        if elements + db.len() > ELEMENTS_MAX {
            return None;
        }
        for entry in db.trie().iter() {
            let (len, size) = extent(entry);
            elements += len;
            bytes += size;
            if elements > ELEMENTS_MAX || bytes > BYTES_MAX {
                return None;
            }
            sum = sum.wrapping_add(hash((number, entry.key(), entry.expire_at(), content(entry))));
        }
    }
    Some(sum)
}

/// How many elements an entry has, and how many bytes if it is a string.
fn extent(entry: &Entry) -> (usize, usize) {
    match entry.value() {
        ValueRef::None | ValueRef::Int(_) | ValueRef::Score(_) => (1, 0),
        ValueRef::Bytes(bytes) => (1, bytes.len()),
        ValueRef::List(list) => (list.len(), 0),
        ValueRef::Set(set) => (set.len(), 0),
        ValueRef::ZSet(zset) => (zset.len(), 0),
        ValueRef::Hash(hash) => (hash.len(), 0),
    }
}

fn content(entry: &Entry) -> u64 {
    let (mut digits, mut more) = ([0; 20], [0; 20]);
    match entry.value() {
        ValueRef::None | ValueRef::Score(_) => 0,
        ValueRef::Bytes(bytes) => hash(bytes),
        ValueRef::Int(n) => hash(base::num::format_i64(n, &mut digits)),
        ValueRef::List(list) => list.iter().fold(1, |sum, item| hash((sum, item.as_bytes(&mut digits)))),
        ValueRef::Set(set) => set.iter().fold(2, |sum, m| sum.wrapping_add(hash(m.as_bytes(&mut digits)))),
        ValueRef::ZSet(zset) => zset
            .iter()
            .fold(3, |sum, (member, score)| sum.wrapping_add(hash((member.as_bytes(&mut digits), score.to_bits())))),
        ValueRef::Hash(pairs) => pairs.iter().fold(4, |sum, (field, value)| {
            sum.wrapping_add(hash((field.as_bytes(&mut digits), value.as_bytes(&mut more))))
        }),
    }
}

fn hash(value: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::options::int;
    use crate::config::Config;
    use crate::error::Result;
    use crate::host::{Host, HostCommand};
    use crate::notify::Classes;
    use crate::table::CommandTable;
    use keyspace::Expiry;
    use resp::Args;

    struct Nowhere;

    impl Host for Nowhere {
        fn command(&mut self, _: HostCommand, _: &mut Engine, _: &Args) -> Result {
            unreachable!("these commands need no server")
        }
    }

    /// Runs a handler in the place of a command's own, on a request of three words.
    fn run(name: &str, handler: fn(&mut Engine, &Args) -> Result) {
        let mut e = Engine::new(Config::default(), 1, || 0);
        let client = e.clients.add("a:1".into(), "a:2".into(), -1, 0);
        e.begin(client);
        let mut bytes = Vec::new();
        resp::encode_command(&mut bytes, [name.as_bytes(), b"k", b"1"].into_iter());
        let mut spans = Vec::new();
        let limits = resp::Limits { bulk_bytes_max: 1 << 20, authenticated: true };
        resp::RequestParser::default().parse(&bytes, limits, &mut spans).unwrap();
        let command = CommandTable::get().find(name.as_bytes()).unwrap().with_handler(Run::Plain(handler));
        e.call(&mut Nowhere, Box::leak(Box::new(command)), &Args::new(&bytes, &spans));
    }

    #[test]
    fn who_says_what_was_changed_passes() {
        run("set", |e, a| {
            e.store.set_string(&a[1], &a[2], Expiry::Clear);
            e.store.changed(Classes::STRING, "set", &a[1], 1);
            Ok(())
        });
        run("get", |e, a| int(&a[2]).map(|n| e.out.int(n)));
    }

    #[test]
    #[should_panic(expected = "set changed data without saying so")]
    fn a_change_that_nobody_is_told_of_is_noticed() {
        run("set", |e, a| {
            e.store.set_string(&a[1], &a[2], Expiry::Clear);
            Ok(())
        });
    }

    #[test]
    #[should_panic(expected = "set propagates a change of data that it has not touched")]
    fn a_change_that_was_not_made_is_noticed() {
        run("set", |e, a| {
            e.store.changed(Classes::STRING, "set", &a[1], 1);
            Ok(())
        });
    }

    #[test]
    #[should_panic(expected = "get writes, and its facts do not say so")]
    fn a_reading_command_that_writes_is_noticed() {
        run("get", |e, a| {
            e.store.set_string(&a[1], &a[2], Expiry::Clear);
            e.store.changed(Classes::STRING, "set", &a[1], 1);
            Ok(())
        });
    }
}
