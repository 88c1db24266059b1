//! DUMP and RESTORE: one value as bytes, in the format of RDB files with a version and a checksum.

use super::options::{int, is};
use crate::engine::{Engine, Order};
use crate::error::{self, Error, Result};
use crate::notify::Classes;
use crate::rdb::{LoadOptions, Loader, write_value};
use crate::table::Run;
use keyspace::{Entry, Keyspace};
use persist::error::Fault;
use persist::payload::{check_payload, decode_value, dump_payload, encode_value, split_payload};
use persist::reader::Options;
use persist::visitor::KeyMeta;
use persist::writer::WriterOptions;
use resp::Args;

/// The handlers of this family.
pub const COMMANDS: super::Family =
    &[("dump", Run::Plain(dump)), ("restore", Run::Plain(restore)), ("restore-asking", Run::Plain(restore))];

/// The RDB version of what DUMP gives, which every Redis from 7.0 on reads.
const VERSION: u32 = 10;

fn dump(e: &mut Engine, a: &Args) -> Result {
    let options = WriterOptions { version: VERSION, compress: e.config.rdbcompression, checksum: false };
    let Some(entry) = e.store.get(&a[1]) else {
        e.out.null();
        return Ok(());
    };
    let value = encode_value(options, |writer| write_value(writer, &KeyMeta::default(), entry));
    let value = value.map_err(|error| Error::new(format!("ERR {error}")))?;
    e.out.bulk(&dump_payload(value, VERSION));
    Ok(())
}

/// What RESTORE is told about the key besides its value.
#[derive(Default)]
struct RestoreOptions {
    replace: bool,
    absolute: bool,
    idle_s: Option<i64>,
    frequency: Option<i64>,
}

fn restore_options(a: &Args) -> Result<RestoreOptions> {
    let mut o = RestoreOptions::default();
    let mut i = 4;
    while let Some(word) = a.get(i) {
        match a.get(i + 1) {
            _ if is(word, "REPLACE") => o.replace = true,
            _ if is(word, "ABSTTL") => o.absolute = true,
            Some(seconds) if is(word, "IDLETIME") && o.frequency.is_none() => {
                let idle_s = int(seconds)?;
                if idle_s < 0 {
                    return Err(Error::fixed("ERR Invalid IDLETIME value, must be >= 0"));
                }
                o.idle_s = Some(idle_s);
                i += 1;
            }
            Some(count) if is(word, "FREQ") && o.idle_s.is_none() => {
                let frequency = int(count)?;
                if !(0..=255).contains(&frequency) {
                    return Err(Error::fixed("ERR Invalid FREQ value, must be >= 0 and <= 255"));
                }
                o.frequency = Some(frequency);
                i += 1;
            }
            _ => return Err(error::SYNTAX),
        }
        i += 1;
    }
    Ok(o)
}

/// What the type of a payload says of its form, in the words of Redis's log.
fn form(body: &[u8]) -> &'static str {
    match body.first() {
        Some(9) => "Zipmap",
        Some(10) => "Ziplist",
        Some(11) => "Intset",
        Some(12) => "Zset ziplist",
        Some(13) => "Hash ziplist",
        Some(14 | 18) => "Quicklist",
        Some(16) => "Hash listpack",
        Some(17) => "Zset listpack",
        Some(20) => "Set listpack",
        _ => "Value",
    }
}

/// Reads the value of a payload into an entry without expiry.
fn decode(e: &mut Engine, key: &[u8], payload: &[u8]) -> Result<Entry> {
    let payload = if e.store.skip_checksums { split_payload(payload) } else { check_payload(payload) };
    let payload = payload.map_err(|_| Error::fixed("ERR DUMP payload version or checksum are wrong"))?;
    let bad = Error::fixed("ERR Bad data format");
    let options = LoadOptions::from_config(&e.config, e.store.now_ms);
    let mut loader = Loader::new(Keyspace::new(1), options);
    let meta = KeyMeta { key, ..KeyMeta::default() };
    if let Err(error) = decode_value(payload, &meta, Options::default(), &mut loader) {
        // The client may have put it together itself, or it was damaged on its way: the operator is to know.
        let what = form(payload.body);
        let warning = if matches!(error.fault, Fault::Unsupported { .. }) {
            format!("RESTORE refused a payload: {error}")
        } else {
            format!("RESTORE refused a payload. {what} integrity check failed: {error}")
        };
        e.orders.push(Order::Warn(warning));
        return Err(bad);
    }
    let entry = loader.into_entry(key);
    if entry.is_none() {
        let what = form(payload.body);
        e.orders.push(Order::Warn(format!("RESTORE refused a payload. {what} integrity check failed: it is empty")));
    }
    entry.ok_or(bad)
}

fn restore(e: &mut Engine, a: &Args) -> Result {
    let o = restore_options(a)?;
    let key = &a[1];
    if !o.replace && e.store.exists(key) {
        return Err(Error::fixed("BUSYKEY Target key name already exists."));
    }
    let ttl = int(&a[2])?;
    if ttl < 0 {
        return Err(Error::fixed("ERR Invalid TTL value, must be >= 0"));
    }
    let entry = decode(e, key, &a[3])?;
    let db = e.store.db;
    let at = (ttl > 0).then(|| if o.absolute { ttl } else { ttl.saturating_add(e.store.now_ms) });
    let decides = !e.store.is_replica && !e.store.from_primary;
    if at.is_some_and(|at| at <= e.store.now_ms && decides) {
        if e.store.delete(key) {
            e.store.changed(Classes::GENERIC, "del", key, 1);
            let word = e.store.remove_word;
            e.store.fx.rewrite(db, &[word, key]);
        }
        e.out.ok();
        return Ok(());
    }
    e.store.delete(key);
    e.store.insert_entry(entry);
    if at.is_some() {
        e.store.set_expire(key, at);
    }
    let access = match (o.idle_s, o.frequency) {
        (Some(idle_s), _) if !e.store.counts_frequency() => {
            Some(e.store.fresh_access().wrapping_sub(idle_s.min(0xFF_FFFF) as u32) & 0xFF_FFFF)
        }
        (_, Some(frequency)) if e.store.counts_frequency() => {
            Some(e.store.fresh_access() & 0xFF_FF00 | frequency as u32)
        }
        _ => None,
    };
    if let (Some(access), Some(entry)) = (access, e.store.peek(key)) {
        entry.set_access(access);
    }
    e.store.changed(Classes::GENERIC, "restore", key, 1);
    if let Some(at) = at.filter(|_| !o.absolute) {
        // The time that is left means another moment wherever it is replayed later.
        let at = at.to_string();
        let mut words: Vec<&[u8]> = a.iter().collect();
        words[2] = at.as_bytes();
        words.push(b"ABSTTL");
        e.store.fx.rewrite(db, &words);
    }
    e.out.ok();
    Ok(())
}
