//! Strings: bytes and the numbers written in them.

use super::options::{Unit, expiry, index_range, int, is};
use crate::engine::Engine;
use crate::error::{self, Error, Result};
use crate::notify::Classes;
use crate::table::Run;
use base::num::LongDouble;
use keyspace::{Entry, Expiry, ValueRef};
use resp::Args;

/// The handlers of this family.
pub const COMMANDS: super::Family = &[
    ("append", Run::Plain(append)),
    ("decr", Run::Plain(decr)),
    ("decrby", Run::Plain(decrby)),
    ("get", Run::Plain(get)),
    ("getdel", Run::Plain(getdel)),
    ("getex", Run::Plain(getex)),
    ("getrange", Run::Plain(getrange)),
    ("getset", Run::Plain(getset)),
    ("incr", Run::Plain(incr)),
    ("incrby", Run::Plain(incrby)),
    ("incrbyfloat", Run::Plain(incrbyfloat)),
    ("lcs", Run::Plain(lcs)),
    ("mget", Run::Plain(mget)),
    ("mset", Run::Plain(mset)),
    ("msetnx", Run::Plain(msetnx)),
    ("psetex", Run::Plain(psetex)),
    ("set", Run::Plain(set)),
    ("setex", Run::Plain(setex)),
    ("setnx", Run::Plain(setnx)),
    ("setrange", Run::Plain(setrange)),
    ("strlen", Run::Plain(strlen)),
    ("substr", Run::Plain(getrange)),
];

/// Replies with the string under a key, or null.
#[inline]
fn reply_string(e: &mut Engine, key: &[u8]) -> Result {
    match e.store.get(key).map(Entry::value) {
        None => e.out.null(),
        Some(ValueRef::Bytes(bytes)) => e.out.bulk(bytes),
        Some(ValueRef::Int(n)) => e.out.bulk_int(n),
        Some(_) => return Err(error::WRONG_TYPE),
    }
    Ok(())
}

fn get(e: &mut Engine, a: &Args) -> Result {
    reply_string(e, &a[1])
}

/// The options of SET.
#[derive(Default)]
struct SetOptions {
    only_new: bool,
    only_old: bool,
    get: bool,
    keep_ttl: bool,
    /// What the expiry counts, and where it stands in the request.
    time: Option<(Unit, usize)>,
}

/// Reads the words alone: the expiry's number is looked at when they are known to be right.
fn set_options(a: &Args) -> Result<SetOptions> {
    let mut o = SetOptions::default();
    let mut i = 3;
    while i < a.len() {
        let word = &a[i];
        match () {
            () if is(word, "NX") && !o.only_old => o.only_new = true,
            () if is(word, "XX") && !o.only_new => o.only_old = true,
            () if is(word, "GET") => o.get = true,
            () if is(word, "KEEPTTL") && o.time.is_none() => o.keep_ttl = true,
            () => match Unit::of_word(word) {
                // Given again, the last one counts; two units do not go together.
                Some(unit) if o.time.is_none_or(|(u, _)| u == unit) && !o.keep_ttl && i + 1 < a.len() => {
                    o.time = Some((unit, i + 1));
                    i += 1;
                }
                _ => return Err(error::SYNTAX),
            },
        }
        i += 1;
    }
    Ok(o)
}

fn set(e: &mut Engine, a: &Args) -> Result {
    if a.len() == 3 {
        e.store.set_string(&a[1], &a[2], Expiry::Clear);
        e.store.changed(Classes::STRING, "set", &a[1], 1);
        e.out.ok();
        return Ok(());
    }
    let o = set_options(a)?;
    let wanted = match o.time {
        Some((unit, at)) => expiry(&a[at], unit, e.store.now_ms, "set")?,
        None if o.keep_ttl => Expiry::Keep,
        None => Expiry::Clear,
    };
    // A time in milliseconds means the same later, so the request can be replayed as it is.
    let verbatim = o.time.is_some_and(|(unit, _)| unit == Unit { ms: 1, absolute: true });
    if o.get {
        reply_string(e, &a[1])?;
    }
    if o.only_new || o.only_old {
        let there = e.store.exists(&a[1]);
        if there != o.only_old {
            if !o.get {
                e.out.null();
            }
            return Ok(());
        }
    }
    store_expiring(e, &a[1], &a[2], wanted, o.keep_ttl, verbatim);
    if !o.get {
        e.out.ok();
    }
    Ok(())
}

/// Sets a string and propagates it, unless its request can be replayed as it is (`verbatim`), as a plain SET with an
/// absolute time, which means the same whenever and wherever it is replayed. A time that has passed already is stored as well: the
/// key then expires like any other, which listeners to `expired` see.
fn store_expiring(e: &mut Engine, key: &[u8], value: &[u8], expiry: Expiry, keep_ttl: bool, verbatim: bool) {
    let db = e.store.db;
    if keep_ttl {
        e.store.expire_if_due(key);
    }
    e.store.set_string(key, value, expiry);
    e.store.changed(Classes::STRING, "set", key, 1);
    match expiry {
        Expiry::At(at) => {
            e.store.notify(Classes::GENERIC, "expire", key);
            if !verbatim {
                let digits = at.to_string();
                e.store.fx.rewrite(db, &[b"SET", key, value, b"PXAT", digits.as_bytes()]);
            }
        }
        Expiry::Keep => e.store.fx.rewrite(db, &[b"SET", key, value, b"KEEPTTL"]),
        Expiry::Clear => {}
    }
}

fn setnx(e: &mut Engine, a: &Args) -> Result {
    if e.store.exists(&a[1]) {
        e.out.int(0);
        return Ok(());
    }
    e.store.set_string(&a[1], &a[2], Expiry::Clear);
    e.store.changed(Classes::STRING, "set", &a[1], 1);
    e.out.int(1);
    Ok(())
}

fn setex(e: &mut Engine, a: &Args) -> Result {
    set_with_time(e, a, Unit { ms: 1000, absolute: false }, "setex")
}

fn psetex(e: &mut Engine, a: &Args) -> Result {
    set_with_time(e, a, Unit { ms: 1, absolute: false }, "psetex")
}

fn set_with_time(e: &mut Engine, a: &Args, unit: Unit, command: &str) -> Result {
    let expiry = expiry(&a[2], unit, e.store.now_ms, command)?;
    store_expiring(e, &a[1], &a[3], expiry, false, false);
    e.out.ok();
    Ok(())
}

fn getset(e: &mut Engine, a: &Args) -> Result {
    reply_string(e, &a[1])?;
    e.store.set_string(&a[1], &a[2], Expiry::Clear);
    e.store.changed(Classes::STRING, "set", &a[1], 1);
    let db = e.store.db;
    e.store.fx.rewrite(db, &[b"SET", &a[1], &a[2]]);
    Ok(())
}

fn getdel(e: &mut Engine, a: &Args) -> Result {
    reply_string(e, &a[1])?;
    if e.store.delete(&a[1]) {
        e.store.changed(Classes::GENERIC, "del", &a[1], 1);
        let db = e.store.db;
        e.store.fx.rewrite(db, &[b"DEL", &a[1]]);
    }
    Ok(())
}

fn getex(e: &mut Engine, a: &Args) -> Result {
    let (mut persist, mut time) = (false, None);
    let mut i = 2;
    while i < a.len() {
        match Unit::of_word(&a[i]) {
            None if is(&a[i], "PERSIST") && time.is_none() => persist = true,
            Some(unit) if time.is_none_or(|(u, _)| u == unit) && !persist && i + 1 < a.len() => {
                time = Some((unit, i + 1));
                i += 1;
            }
            _ => return Err(error::SYNTAX),
        }
        i += 1;
    }
    let Some(entry) = e.store.peek(&a[1]) else {
        return reply_string(e, &a[1]);
    };
    let had_expiry = entry.expire_at().is_some();
    // A wrong time is an error only where the key holds a string.
    let reply_start = e.out.buf.len();
    reply_string(e, &a[1])?;
    let expiry_wanted = match time.map(|(unit, at)| expiry(&a[at], unit, e.store.now_ms, "getex")) {
        Some(Ok(expiry)) => Some(expiry),
        Some(Err(error)) => {
            e.out.buf.truncate(reply_start);
            return Err(error);
        }
        None => persist.then_some(Expiry::Clear),
    };
    let db = e.store.db;
    match expiry_wanted {
        Some(Expiry::At(at)) if at <= e.store.now_ms && !e.store.is_replica => {
            e.store.delete(&a[1]);
            e.store.changed(Classes::GENERIC, "del", &a[1], 1);
            let word = e.store.expire_word;
            e.store.fx.rewrite(db, &[word, &a[1]]);
        }
        Some(Expiry::At(at)) => {
            e.store.set_expire(&a[1], Some(at));
            e.store.changed(Classes::GENERIC, "expire", &a[1], 1);
            e.store.fx.rewrite(db, &[b"PEXPIREAT", &a[1], at.to_string().as_bytes()]);
        }
        Some(Expiry::Clear) if had_expiry => {
            e.store.set_expire(&a[1], None);
            e.store.changed(Classes::GENERIC, "persist", &a[1], 1);
            e.store.fx.rewrite(db, &[b"PERSIST", &a[1]]);
        }
        _ => {}
    }
    Ok(())
}

fn strlen(e: &mut Engine, a: &Args) -> Result {
    let mut digits = [0; 20];
    let len = e.store.string(&a[1], &mut digits)?.map_or(0, <[u8]>::len);
    e.out.int(len as i64);
    Ok(())
}

/// Refuses a string that would become longer than `proto-max-bulk-len`.
fn check_length(e: &Engine, len: Option<usize>) -> Result {
    match len {
        Some(len) if len as u64 <= e.config.proto_max_bulk_len.get() as u64 => Ok(()),
        _ => Err(error::STRING_TOO_LONG),
    }
}

fn append(e: &mut Engine, a: &Args) -> Result {
    let mut digits = [0; 20];
    let old = e.store.string_to_change(&a[1], &mut digits)?.map(<[u8]>::len);
    check_length(e, old.unwrap_or(0).checked_add(a[2].len()))?;
    let len = match old {
        None => {
            e.store.set_string(&a[1], &a[2], Expiry::Clear);
            a[2].len()
        }
        Some(_) => {
            let entry = e.store.get_mut(&a[1]).expect("the key was just read");
            entry.append(&a[2]).expect("the key holds a string")
        }
    };
    e.store.changed(Classes::STRING, "append", &a[1], 1);
    e.out.int(len as i64);
    Ok(())
}

fn setrange(e: &mut Engine, a: &Args) -> Result {
    let offset = int(&a[2])?;
    let offset = usize::try_from(offset).map_err(|_| error::OFFSET_OUT_OF_RANGE)?;
    let mut digits = [0; 20];
    let old = e.store.string_to_change(&a[1], &mut digits)?.map(<[u8]>::len);
    if a[3].is_empty() {
        e.out.int(old.unwrap_or(0) as i64);
        return Ok(());
    }
    check_length(e, offset.checked_add(a[3].len()))?;
    if old.is_none() {
        e.store.set_string(&a[1], b"", Expiry::Clear);
    }
    let entry = e.store.get_mut(&a[1]).expect("the key was just read or made");
    let len = entry.set_range(offset, &a[3]).expect("the key holds a string");
    e.store.changed(Classes::STRING, "setrange", &a[1], 1);
    e.out.int(len as i64);
    Ok(())
}

fn getrange(e: &mut Engine, a: &Args) -> Result {
    let (start, end) = (int(&a[2])?, int(&a[3])?);
    let mut digits = [0; 20];
    let bytes = e.store.string(&a[1], &mut digits)?.unwrap_or(b"");
    // Both ends before the start of the string, and in the wrong order, is empty even where
    // clamping would make it one byte.
    let reversed = start < 0 && end < 0 && start > end;
    let absolute_end = if end < 0 { end.saturating_add(bytes.len() as i64).max(0) } else { end };
    match index_range(start, absolute_end, bytes.len()) {
        Some((first, last)) if !reversed => e.out.bulk(&bytes[first..=last]),
        _ => e.out.bulk(b""),
    }
    Ok(())
}

fn mget(e: &mut Engine, a: &Args) -> Result {
    e.out.array(a.len() - 1);
    for key in a.iter_from(1) {
        match e.store.get(key).map(Entry::value) {
            Some(ValueRef::Bytes(bytes)) => e.out.bulk(bytes),
            Some(ValueRef::Int(n)) => e.out.bulk_int(n),
            _ => e.out.null(),
        }
    }
    Ok(())
}

fn pairs(a: &Args, command: &str) -> Result {
    if a.len().is_multiple_of(2) { Err(Error::arity(command)) } else { Ok(()) }
}

fn set_all(e: &mut Engine, a: &Args) {
    for i in (1..a.len()).step_by(2) {
        e.store.set_string(&a[i], &a[i + 1], Expiry::Clear);
        e.store.changed(Classes::STRING, "set", &a[i], 1);
    }
}

fn mset(e: &mut Engine, a: &Args) -> Result {
    pairs(a, "mset")?;
    set_all(e, a);
    e.out.ok();
    Ok(())
}

fn msetnx(e: &mut Engine, a: &Args) -> Result {
    pairs(a, "msetnx")?;
    let any = a.iter_from(1).step_by(2).any(|key| e.store.exists(key));
    if !any {
        set_all(e, a);
    }
    e.out.int(i64::from(!any));
    Ok(())
}

fn incr(e: &mut Engine, a: &Args) -> Result {
    increment(e, &a[1], 1)
}

fn decr(e: &mut Engine, a: &Args) -> Result {
    increment(e, &a[1], -1)
}

fn incrby(e: &mut Engine, a: &Args) -> Result {
    increment(e, &a[1], int(&a[2])?)
}

fn decrby(e: &mut Engine, a: &Args) -> Result {
    let by = int(&a[2])?.checked_neg().ok_or(Error::fixed("ERR decrement would overflow"))?;
    increment(e, &a[1], by)
}

fn increment(e: &mut Engine, key: &[u8], by: i64) -> Result {
    let sum = match e.store.get_mut(key) {
        None => {
            e.store.set_string(key, by.to_string().as_bytes(), Expiry::Clear);
            by
        }
        Some(entry) => {
            let old = match entry.value() {
                ValueRef::Int(n) => n,
                ValueRef::Bytes(bytes) => int(bytes)?,
                ValueRef::None
                | ValueRef::Score(_)
                | ValueRef::List(_)
                | ValueRef::Hash(_)
                | ValueRef::Set(_)
                | ValueRef::ZSet(_) => return Err(error::WRONG_TYPE),
            };
            let sum = old.checked_add(by).ok_or(error::OVERFLOW)?;
            entry.set_int(sum);
            sum
        }
    };
    e.store.changed(Classes::STRING, "incrby", key, 1);
    e.out.int(sum);
    Ok(())
}

fn incrbyfloat(e: &mut Engine, a: &Args) -> Result {
    let mut digits = [0; 20];
    let old = match e.store.string_to_change(&a[1], &mut digits)? {
        Some(bytes) => LongDouble::parse(bytes).ok_or(error::NOT_FLOAT)?,
        None => LongDouble::from_i64(0),
    };
    let by = LongDouble::parse(&a[2]).ok_or(error::NOT_FLOAT)?;
    let sum = old.checked_add(by).ok_or(error::NAN_OR_INFINITY)?.text();
    e.store.expire_if_due(&a[1]);
    e.store.set_string(&a[1], &sum, Expiry::Keep);
    e.store.changed(Classes::STRING, "incrbyfloat", &a[1], 1);
    // Another machine's floating point may differ, so the result is what is replayed.
    let db = e.store.db;
    e.store.fx.rewrite(db, &[b"SET", &a[1], &sum, b"KEEPTTL"]);
    e.out.bulk(&sum);
    Ok(())
}

/// Cells of the table that LCS may fill: 4 bytes each.
const LCS_CELLS_MAX: usize = 1 << 28;

fn lcs(e: &mut Engine, a: &Args) -> Result {
    let wrong = |_| Error::fixed("ERR The specified keys must contain string values");
    let mut digits = [0; 20];
    // Both keys are read before either is found wrong, and before the options.
    let mut read = |key: &[u8]| e.store.string(key, &mut digits).map(|text| text.unwrap_or(b"").to_vec());
    let (x, y) = (read(&a[1]), read(&a[2]));
    let (x, y) = (x.map_err(wrong)?, y.map_err(wrong)?);
    let (mut want_len, mut want_idx, mut with_match_len, mut min_match_len) = (false, false, false, 0);
    let mut i = 3;
    while i < a.len() {
        match () {
            () if is(&a[i], "LEN") => want_len = true,
            () if is(&a[i], "IDX") => want_idx = true,
            () if is(&a[i], "WITHMATCHLEN") => with_match_len = true,
            () if is(&a[i], "MINMATCHLEN") && i + 1 < a.len() => {
                min_match_len = int(&a[i + 1])?.max(0) as usize;
                i += 1;
            }
            () => return Err(error::SYNTAX),
        }
        i += 1;
    }
    if want_len && want_idx {
        return Err(Error::fixed("ERR If you want both the length and indexes, please just use IDX."));
    }
    let (rows, columns) = (x.len() + 1, y.len() + 1);
    if rows.checked_mul(columns).is_none_or(|cells| cells > LCS_CELLS_MAX) {
        return Err(Error::fixed("ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len"));
    }
    let mut table = vec![0u32; rows * columns];
    for i in 1..rows {
        for j in 1..columns {
            table[i * columns + j] = if x[i - 1] == y[j - 1] {
                table[(i - 1) * columns + j - 1] + 1
            } else {
                table[(i - 1) * columns + j].max(table[i * columns + j - 1])
            };
        }
    }
    let total = table[rows * columns - 1] as usize;
    if want_len {
        e.out.int(total as i64);
        return Ok(());
    }
    // Back from the far corner; matches come out last first, as Redis gives them.
    let (mut i, mut j) = (x.len(), y.len());
    let mut common = Vec::with_capacity(total);
    let mut matches: Vec<(usize, usize, usize)> = Vec::new();
    while i > 0 && j > 0 {
        if x[i - 1] == y[j - 1] {
            common.push(x[i - 1]);
            match matches.last_mut() {
                Some((start_x, start_y, len)) if *start_x == i && *start_y == j => {
                    (*start_x, *start_y) = (i - 1, j - 1);
                    *len += 1;
                }
                _ => matches.push((i - 1, j - 1, 1)),
            }
            (i, j) = (i - 1, j - 1);
        } else if table[(i - 1) * columns + j] > table[i * columns + j - 1] {
            i -= 1;
        } else {
            j -= 1;
        }
    }
    if !want_idx {
        common.reverse();
        e.out.bulk(&common);
        return Ok(());
    }
    matches.retain(|(_, _, len)| *len >= min_match_len);
    e.out.map(2);
    e.out.bulk(b"matches");
    e.out.array(matches.len());
    for (start_x, start_y, len) in matches {
        e.out.array(2 + usize::from(with_match_len));
        for start in [start_x, start_y] {
            e.out.array(2);
            e.out.int(start as i64);
            e.out.int((start + len - 1) as i64);
        }
        if with_match_len {
            e.out.int(len as i64);
        }
    }
    e.out.bulk(b"len");
    e.out.int(total as i64);
    Ok(())
}
