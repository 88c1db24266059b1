//! Keys of any type: removing, renaming, copying, listing them; whole databases; OBJECT.
//!
//! A value moves or is copied by its handle, so RENAME, MOVE and COPY take the same short time
//! for a value of any size.

use super::options::{int, int32, is};
use crate::engine::{Engine, Order};
use crate::error::{self, Error, Result};
use crate::notify::Classes;
use crate::store::KeyKind;
use crate::table::Run;
use base::glob::glob_matches;
use keyspace::{Entry, ValueRef};
use resp::{Args, Out};

/// The handlers of this family.
pub const COMMANDS: super::Family = &[
    ("copy", Run::Plain(copy)),
    ("dbsize", Run::Plain(dbsize)),
    ("del", Run::Plain(del)),
    ("exists", Run::Plain(exists)),
    ("flushall", Run::Plain(flushall)),
    ("flushdb", Run::Plain(flushdb)),
    ("keys", Run::Plain(keys)),
    ("move", Run::Plain(move_key)),
    ("object|encoding", Run::Plain(object_encoding)),
    ("object|freq", Run::Plain(object_freq)),
    ("object|help", Run::Plain(object_help)),
    ("object|idletime", Run::Plain(object_idletime)),
    ("object|refcount", Run::Plain(object_refcount)),
    ("randomkey", Run::Plain(randomkey)),
    ("rename", Run::Plain(rename)),
    ("renamenx", Run::Plain(renamenx)),
    ("swapdb", Run::Plain(swapdb)),
    ("touch", Run::Plain(touch)),
    ("type", Run::Plain(type_of)),
    ("unlink", Run::Plain(del)),
];

/// DEL and UNLINK: what is slow to free is freed elsewhere in both.
fn del(e: &mut Engine, a: &Args) -> Result {
    let mut n = 0;
    for key in a.iter_from(1) {
        if e.store.delete(key) {
            e.store.changed(Classes::GENERIC, "del", key, 1);
            n += 1;
        }
    }
    e.out.int(n);
    Ok(())
}

fn exists(e: &mut Engine, a: &Args) -> Result {
    let n = a.iter_from(1).filter(|key| e.store.look(key).is_some()).count();
    e.out.int(n as i64);
    Ok(())
}

fn touch(e: &mut Engine, a: &Args) -> Result {
    let n = a.iter_from(1).filter(|key| e.store.get(key).is_some()).count();
    e.out.int(n as i64);
    Ok(())
}

fn type_of(e: &mut Engine, a: &Args) -> Result {
    let name = e.store.look(&a[1]).map_or("none", |entry| KeyKind::of(entry).name());
    e.out.simple(name);
    Ok(())
}

fn rename(e: &mut Engine, a: &Args) -> Result {
    rename_key(e, &a[1], &a[2], true)?;
    e.out.ok();
    Ok(())
}

fn renamenx(e: &mut Engine, a: &Args) -> Result {
    let renamed = rename_key(e, &a[1], &a[2], false)?;
    e.out.int(i64::from(renamed));
    Ok(())
}

/// Whether the key has got its new name; a key keeps its own name without a change.
fn rename_key(e: &mut Engine, from: &[u8], to: &[u8], over_existing: bool) -> Result<bool> {
    if !e.store.exists(from) {
        return Err(error::NO_SUCH_KEY);
    }
    if from == to || (!over_existing && e.store.exists(to)) {
        return Ok(false);
    }
    e.store.delete(to);
    let entry = e.store.remove(from).expect("the key was just found");
    e.store.insert_entry(entry.renamed(to));
    e.store.changed(Classes::GENERIC, "rename_from", from, 1);
    e.store.changed(Classes::GENERIC, "rename_to", to, 0);
    Ok(true)
}

/// The number of a database that is there.
fn database(e: &Engine, arg: &[u8]) -> Result<usize> {
    let index = usize::try_from(int32(arg)?).ok().filter(|db| *db < e.store.keyspace.databases());
    index.ok_or(error::DB_OUT_OF_RANGE)
}

/// Does something with another database as the current one.
fn within<R>(e: &mut Engine, db: usize, work: impl FnOnce(&mut Engine) -> R) -> R {
    let outer = std::mem::replace(&mut e.store.db, db);
    let result = work(e);
    e.store.db = outer;
    result
}

fn move_key(e: &mut Engine, a: &Args) -> Result {
    let to = database(e, &a[2])?;
    if to == e.store.db {
        return Err(error::SAME_OBJECT);
    }
    let key = &a[1];
    if !e.store.exists(key) || within(e, to, |e| e.store.exists(key)) {
        e.out.int(0);
        return Ok(());
    }
    let entry = e.store.remove(key).expect("the key was just found");
    within(e, to, |e| {
        // A replica's own clock may hide an entry that only the primary may remove.
        e.store.delete(key);
        e.store.insert_entry(entry);
    });
    e.store.changed(Classes::GENERIC, "move_from", key, 1);
    within(e, to, |e| e.store.changed(Classes::GENERIC, "move_to", key, 0));
    e.out.int(1);
    Ok(())
}

fn copy(e: &mut Engine, a: &Args) -> Result {
    let (mut to, mut replace) = (e.store.db, false);
    let mut i = 3;
    while i < a.len() {
        match () {
            () if is(&a[i], "REPLACE") => replace = true,
            () if is(&a[i], "DB") && i + 1 < a.len() => {
                to = database(e, &a[i + 1])?;
                i += 1;
            }
            () => return Err(error::SYNTAX),
        }
        i += 1;
    }
    let (from_key, to_key) = (&a[1], &a[2]);
    if to == e.store.db && *from_key == *to_key {
        return Err(error::SAME_OBJECT);
    }
    let entry = e.store.get(from_key).map(|entry| entry.copied(to_key, entry.expire_at()));
    let copied = entry.is_some_and(|entry| {
        within(e, to, |e| {
            if !replace && e.store.exists(to_key) {
                return false;
            }
            e.store.delete(to_key);
            e.store.insert_entry(entry);
            e.store.changed(Classes::GENERIC, "copy_to", to_key, 1);
            true
        })
    });
    e.out.int(i64::from(copied));
    Ok(())
}

fn keys(e: &mut Engine, a: &Args) -> Result {
    let pattern = &a[1];
    let all = *pattern == *b"*";
    let cap = e.reply_cap();
    let store = &e.store;
    e.out.counted(Out::array, |out| {
        let mut n = 0;
        for entry in store.current().trie().iter() {
            if out.buf.len() > cap {
                break;
            }
            if (all || glob_matches(pattern, entry.key(), false)) && !store.is_expired(entry) {
                out.bulk(entry.key());
                n += 1;
            }
        }
        n
    });
    Ok(())
}

/// Tries of RANDOMKEY where every key it comes upon has expired and may not be removed.
const RANDOM_TRIES: usize = 100;

fn randomkey(e: &mut Engine, _: &Args) -> Result {
    for tried in 1.. {
        let rng = &mut e.rng;
        let Some(entry) = e.store.current().random(|| rng.next_u64()) else { break };
        let kept = e.store.is_replica || e.store.frozen;
        if !e.store.is_expired(entry) || (kept && tried >= RANDOM_TRIES) {
            e.out.bulk(entry.key());
            return Ok(());
        }
        let key = entry.key().to_vec();
        e.store.expire_seen(&key);
        e.settle_apart();
    }
    e.out.null();
    Ok(())
}

fn dbsize(e: &mut Engine, _: &Args) -> Result {
    e.out.int(e.store.current().len() as i64);
    Ok(())
}

fn swapdb(e: &mut Engine, a: &Args) -> Result {
    let number = |arg: &[u8], which: &str| {
        let n = int(arg).ok().and_then(|n| i32::try_from(n).ok());
        n.ok_or_else(|| Error::new(format!("ERR invalid {which} DB index")))
    };
    let (first, second) = (number(&a[1], "first")?, number(&a[2], "second")?);
    let index = |n: i32| usize::try_from(n).ok().filter(|db| *db < e.store.keyspace.databases());
    let (Some(first), Some(second)) = (index(first), index(second)) else {
        return Err(error::DB_OUT_OF_RANGE);
    };
    if first != second {
        e.store.touch_all_watchers(first, Some(second));
        e.store.touch_all_watchers(second, Some(first));
        e.store.keyspace.swap(first, second);
        e.store.signal_all(first);
        e.store.signal_all(second);
    }
    e.store.fx.changed(1);
    e.out.ok();
    Ok(())
}

/// Empties databases. Their contents are freed elsewhere, whether ASYNC was said or not.
fn flush(e: &mut Engine, a: &Args, databases: std::ops::Range<usize>) -> Result {
    if a.len() > 2 || a.get(1).is_some_and(|mode| !is(mode, "ASYNC") && !is(mode, "SYNC")) {
        return Err(error::SYNTAX);
    }
    for db in databases {
        e.store.touch_all_watchers(db, None);
        let n = e.store.keyspace.db_mut(db).flush();
        e.store.fx.changed(n as u64);
    }
    // Also what was empty here is flushed downstream, where it may not be.
    e.store.fx.always();
    e.out.ok();
    Ok(())
}

fn flushdb(e: &mut Engine, a: &Args) -> Result {
    let db = e.store.db;
    flush(e, a, db..db + 1)
}

fn flushall(e: &mut Engine, a: &Args) -> Result {
    let all = 0..e.store.keyspace.databases();
    flush(e, a, all)?;
    e.orders.push(Order::Flushed);
    Ok(())
}

fn object_encoding(e: &mut Engine, a: &Args) -> Result {
    match e.store.look_quietly(&a[2]).map(super::encoding_of) {
        Some(name) => e.out.bulk(name.as_bytes()),
        None => e.out.null(),
    }
    Ok(())
}

/// Numbers below this are shared objects in Redis, which shows them with the largest count.
const SHARED_INTEGERS: i64 = 10_000;

fn object_refcount(e: &mut Engine, a: &Args) -> Result {
    use crate::config::values::MaxMemoryPolicy::{AllKeysRandom, NoEviction, VolatileRandom, VolatileTtl};
    let keeps_accesses =
        !matches!(e.config.maxmemory_policy, NoEviction | VolatileRandom | VolatileTtl | AllKeysRandom);
    let shares = !(e.config.maxmemory.get() > 0 && keeps_accesses);
    match e.store.look_quietly(&a[2]).map(Entry::value) {
        Some(ValueRef::Int(n)) if shares && (0..SHARED_INTEGERS).contains(&n) => e.out.int(i64::from(i32::MAX)),
        Some(_) => e.out.int(1),
        None => e.out.null(),
    }
    Ok(())
}

fn object_idletime(e: &mut Engine, a: &Args) -> Result {
    let Some(access) = e.store.look_quietly(&a[2]).map(Entry::access) else {
        e.out.null();
        return Ok(());
    };
    if e.store.counts_frequency() {
        return Err(Error::fixed(
            "ERR An LFU maxmemory policy is selected, idle time not tracked. Please note that when switching between policies at runtime LRU and LFU data will take some time to adjust.",
        ));
    }
    e.out.int(i64::from(e.store.idle_seconds(access)));
    Ok(())
}

fn object_freq(e: &mut Engine, a: &Args) -> Result {
    let Some(access) = e.store.look_quietly(&a[2]).map(Entry::access) else {
        e.out.null();
        return Ok(());
    };
    if !e.store.counts_frequency() {
        return Err(Error::fixed(
            "ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note that when switching between policies at runtime LRU and LFU data will take some time to adjust.",
        ));
    }
    e.out.int(i64::from(e.store.frequency(access)));
    Ok(())
}

fn object_help(e: &mut Engine, _: &Args) -> Result {
    super::help(
        e,
        "OBJECT",
        &[
            ("ENCODING <key>", "The form in which the value of <key> is kept."),
            ("FREQ <key>", "How often <key> is accessed: a counter that grows logarithmically and decays."),
            ("IDLETIME <key>", "Seconds since <key> was last accessed."),
            ("REFCOUNT <key>", "The number of references to the value of <key>."),
        ],
    )
}
