//! When keys cease to be: EXPIRE and its like, TTL and its like, PERSIST.
//!
//! Times are kept as Unix milliseconds and propagated as such, so that a replica or a log read
//! later means the same moment.

use super::options::{Unit, int, is};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::notify::Classes;
use crate::table::Run;
use resp::Args;

/// The handlers of this family.
pub const COMMANDS: super::Family = &[
    ("expire", Run::Plain(expire)),
    ("expireat", Run::Plain(expireat)),
    ("expiretime", Run::Plain(expiretime)),
    ("persist", Run::Plain(persist)),
    ("pexpire", Run::Plain(pexpire)),
    ("pexpireat", Run::Plain(pexpireat)),
    ("pexpiretime", Run::Plain(pexpiretime)),
    ("pttl", Run::Plain(pttl)),
    ("ttl", Run::Plain(ttl)),
];

/// When an expiry is set, by the one that is there.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct Conditions {
    without: bool,
    with: bool,
    later: bool,
    sooner: bool,
}

impl Conditions {
    fn read(a: &Args) -> Result<Self> {
        let mut c = Self::default();
        for word in a.iter_from(3) {
            match () {
                () if is(word, "NX") => c.without = true,
                () if is(word, "XX") => c.with = true,
                () if is(word, "GT") => c.later = true,
                () if is(word, "LT") => c.sooner = true,
                () => return Err(Error::quoting("ERR Unsupported option ", word, "")),
            }
        }
        if c.without && (c.with || c.later || c.sooner) {
            return Err(Error::fixed("ERR NX and XX, GT or LT options at the same time are not compatible"));
        }
        if c.later && c.sooner {
            return Err(Error::fixed("ERR GT and LT options at the same time are not compatible"));
        }
        Ok(c)
    }

    /// Whether `at` may take the place of the present expiry; no expiry is later than any.
    fn allow(self, present: Option<i64>, at: i64) -> bool {
        match present {
            None => !self.with && !self.later,
            Some(present) => !self.without && (!self.later || at > present) && (!self.sooner || at < present),
        }
    }
}

fn set(e: &mut Engine, a: &Args, unit: Unit, command: &str) -> Result {
    let conditions = if a.len() > 3 { Conditions::read(a)? } else { Conditions::default() };
    let n = int(&a[2])?;
    let at = unit.moment_ms(n, e.store.now_ms).ok_or_else(|| Error::invalid_expire(command))?;
    let key = &a[1];
    if conditions != Conditions::default() {
        let allowed = e.store.peek(key).is_some_and(|entry| conditions.allow(entry.expire_at(), at));
        if !allowed {
            e.out.int(0);
            return Ok(());
        }
    }
    let db = e.store.db;
    let changed;
    // Only who decides on expiry may take a time in the past for a deletion.
    if at <= e.store.now_ms && !e.store.is_replica && !e.store.from_primary {
        changed = e.store.delete(key);
        if changed {
            e.store.changed(Classes::GENERIC, "del", key, 1);
            let word = e.store.expire_word;
            e.store.fx.rewrite(db, &[word, key]);
        }
    } else {
        e.store.expire_if_due(key);
        changed = e.store.set_expire(key, Some(at));
        if changed {
            e.store.changed(Classes::GENERIC, "expire", key, 1);
            if unit != (Unit { ms: 1, absolute: true }) {
                e.store.fx.rewrite(db, &[b"PEXPIREAT", key, itoa::Buffer::new().format(at).as_bytes()]);
            }
        }
    }
    e.out.int(i64::from(changed));
    Ok(())
}

fn expire(e: &mut Engine, a: &Args) -> Result {
    set(e, a, Unit { ms: 1000, absolute: false }, "expire")
}

fn pexpire(e: &mut Engine, a: &Args) -> Result {
    set(e, a, Unit { ms: 1, absolute: false }, "pexpire")
}

fn expireat(e: &mut Engine, a: &Args) -> Result {
    set(e, a, Unit { ms: 1000, absolute: true }, "expireat")
}

fn pexpireat(e: &mut Engine, a: &Args) -> Result {
    set(e, a, Unit { ms: 1, absolute: true }, "pexpireat")
}

/// Replies with a key's expiry in some unit: −2 without the key, −1 without an expiry.
fn show(e: &mut Engine, key: &[u8], unit: Unit) -> Result {
    let now_ms = e.store.now_ms;
    let shown = match e.store.look(key).map(keyspace::Entry::expire_at) {
        None => -2,
        Some(None) => -1,
        Some(Some(at)) => {
            let ms = if unit.absolute { at } else { at.saturating_sub(now_ms) }.max(0);
            if unit.ms == 1 { ms } else { ms.saturating_add(unit.ms / 2) / unit.ms }
        }
    };
    e.out.int(shown);
    Ok(())
}

fn ttl(e: &mut Engine, a: &Args) -> Result {
    show(e, &a[1], Unit { ms: 1000, absolute: false })
}

fn pttl(e: &mut Engine, a: &Args) -> Result {
    show(e, &a[1], Unit { ms: 1, absolute: false })
}

fn expiretime(e: &mut Engine, a: &Args) -> Result {
    show(e, &a[1], Unit { ms: 1000, absolute: true })
}

fn pexpiretime(e: &mut Engine, a: &Args) -> Result {
    show(e, &a[1], Unit { ms: 1, absolute: true })
}

fn persist(e: &mut Engine, a: &Args) -> Result {
    let had_expiry = e.store.peek(&a[1]).is_some_and(|entry| entry.expire_at().is_some());
    if had_expiry {
        e.store.set_expire(&a[1], None);
        e.store.changed(Classes::GENERIC, "persist", &a[1], 1);
    }
    e.out.int(i64::from(had_expiry));
    Ok(())
}
