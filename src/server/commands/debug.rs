//! DEBUG, as far as test suites and operators need it.

use crate::server::outside::{Outside, Todo};
use crate::server::saving;
use crate::server::worker::{self, Fault};
use engine::commands::options::{float, int, is};
use engine::config::values::Protected;
use engine::engine::{Engine, Order};
use engine::error::{self, Error, Result};
use engine::rdb::LoadOptions;
use keyspace::{Entry, ValueRef};
use resp::Args;
use sha1::{Digest, Sha1};

/// DEBUG subcommand ….
pub fn debug(o: &mut Outside, e: &mut Engine, a: &Args) -> Result {
    let allowed = match e.config.enable_debug_command {
        Protected::Yes => true,
        Protected::No => false,
        Protected::Local => crate::server::startup::is_local(&e.client().addr),
    };
    if !allowed {
        return Err(Error::fixed(
            "ERR DEBUG command not allowed. If the enable-debug-command option is set to \"local\", you can run it from a local connection, otherwise you need to set this option in the configuration file, and then restart the server.",
        ));
    }
    let word = &a[1];
    match () {
        () if is(word, "sleep") && a.len() == 3 => {
            let seconds = float(&a[2])?;
            let time = std::time::Duration::from_secs_f64(seconds.clamp(0.0, 3600.0));
            // A connection that was ordered to be closed is seen to be closed before we sleep.
            if e.orders.iter().any(|order| matches!(order, Order::Close(_))) {
                o.todos.push(Todo::Sleep(time));
            } else {
                std::thread::sleep(time);
            }
            e.out.ok();
        }
        () if is(word, "jmap") => e.out.ok(),
        () if is(word, "error") && a.len() == 3 => {
            // A line break would end the reply.
            let line: Vec<u8> = a[2].iter().map(|byte| if b"\r\n".contains(byte) { b' ' } else { *byte }).collect();
            return Err(Error::new(line));
        }
        () if is(word, "set-active-expire") && a.len() == 3 => {
            e.store.active_expire = int(&a[2])? != 0;
            e.out.ok();
        }
        () if is(word, "set-skip-checksum-validation") && a.len() == 3 => {
            e.store.skip_checksums = int(&a[2])? != 0;
            e.out.ok();
        }
        () if is(word, "pause-cron") && a.len() == 3 => {
            o.cron_paused = int(&a[2])? != 0;
            e.out.ok();
        }
        () if is(word, "fail-thread") && a.len() == 4 => {
            let fault = match () {
                () if is(&a[3], "start") => Fault::Start,
                () if is(&a[3], "panic") => Fault::Panic,
                () => return Err(error::SYNTAX),
            };
            worker::inject(&String::from_utf8_lossy(&a[2]), fault);
            e.out.ok();
        }
        () if is(word, "config-rewrite-force-all") && a.len() == 2 => {
            o.rewrite_all = true;
            let result = crate::server::commands::config::rewrite(o, e);
            o.rewrite_all = false;
            result?;
        }
        () if is(word, "digest") && a.len() == 2 => e.out.simple(&data_digest(e)),
        () if is(word, "digest-value") => {
            e.out.array(a.len() - 2);
            for key in a.iter_from(2) {
                let text = e.store.peek(key).map_or(hex(&[0; 20]), |entry| hex(&value_digest(entry)));
                e.out.bulk(text.as_bytes());
            }
        }
        () if is(word, "object") && a.len() >= 3 => object(e, &a[2])?,
        () if is(word, "populate") && a.len() >= 3 => populate(e, a)?,
        () if is(word, "reload") => reload(o, e, a)?,
        () if is(word, "log") && a.len() == 3 => {
            crate::server::log::write(
                crate::server::log::Level::Warning,
                &format!("DEBUG LOG: {}", String::from_utf8_lossy(&a[2])),
            );
            e.out.ok();
        }
        () if is(word, "change-repl-id") => {
            o.node.rename(crate::server::outside::new_replication_id());
            e.out.ok();
        }
        () if is(word, "stringmatch-len") && a.len() == 4 => {
            e.out.int(i64::from(base::glob::glob_matches(&a[3], &a[2], false)));
        }
        () if is(word, "protocol") && a.len() == 3 => protocol(e, &a[2])?,
        () if is(word, "htstats") && a.len() >= 3 => {
            let db = usize::try_from(int(&a[2])?)
                .ok()
                .filter(|db| *db < e.store.keyspace.databases())
                .ok_or(error::DB_OUT_OF_RANGE)?;
            let db = e.store.keyspace.db(db);
            let text = format!(
                "[Dictionary HT]\nHash trie of {} entries, {} bytes\n[Expires HT]\n{} entries expire\n",
                db.len(),
                db.trie().memory_usage(),
                db.expires_len()
            );
            e.out.verbatim("txt", text.as_bytes());
        }
        () if is(word, "quicklist-packed-threshold") && a.len() == 3 => {
            let bytes = engine::config::values::parse_bytes(&a[2]).and_then(|n| usize::try_from(n).ok());
            e.store.limits.list_plain_bytes =
                bytes.ok_or(Error::fixed("ERR argument must be a memory value bigger than 1 and smaller than 4gb"))?;
            e.out.ok();
        }
        () if is(word, "htstats-key") && a.len() >= 3 => {
            let entry = e.store.peek(&a[2]).ok_or(error::NO_SUCH_KEY)?;
            let len = match entry.value() {
                ValueRef::Hash(hash) => (!hash.is_packed()).then(|| hash.len()),
                ValueRef::Set(set) => (set.encoding() == "hashtable").then(|| set.len()),
                ValueRef::ZSet(zset) => zset.as_listpack().is_none().then(|| zset.len()),
                ValueRef::None | ValueRef::Bytes(_) | ValueRef::Int(_) | ValueRef::Score(_) | ValueRef::List(_) => None,
            };
            let len = len.ok_or(Error::fixed(
                "ERR The value stored at the specified key is not represented using an hash table",
            ))?;
            let text = format!(
                "Hash table 0 stats (main hash table):\n table size: {len}\n number of elements: {len}\n different slots: {len}\n max chain length: 1\n avg chain length (counted): 1.00\n avg chain length (computed): 1.00\n Chain length distribution:\n   1: {len} (100.00%)\n"
            );
            e.out.verbatim("txt", text.as_bytes());
        }
        () if is(word, "replicate") && a.len() >= 3 => {
            let words: Vec<&[u8]> = a.iter_from(2).collect();
            let db = e.store.db;
            e.store.fx.rewrite(db, &words);
            e.out.ok();
        }
        () if is(word, "segfault") => {
            signal_hook::low_level::raise(signal_hook::consts::SIGSEGV).map_err(|e| Error::new(format!("ERR {e}")))?;
        }
        () if is(word, "panic") || is(word, "assert") => {
            panic!("DEBUG {} was asked for", String::from_utf8_lossy(word))
        }
        () if is(word, "help") => e.out.array(0),
        () => return Err(Error::subcommand_use("DEBUG", word)),
    }
    Ok(())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

type Sum = [u8; 20];

fn sha(parts: &[&[u8]]) -> Sum {
    let mut sha = Sha1::new();
    for part in parts {
        sha.update((part.len() as u64).to_le_bytes());
        sha.update(part);
    }
    sha.finalize().into()
}

fn mix(into: &mut Sum, other: &Sum) {
    into.iter_mut().zip(other).for_each(|(a, b)| *a ^= b);
}

/// A digest of what a key holds that does not depend on its encoding or on the order of what has none.
fn value_digest(entry: &Entry) -> Sum {
    let (mut digits, mut more) = ([0; 20], [0; 20]);
    let mut sum = [0; 20];
    match entry.value() {
        ValueRef::None | ValueRef::Score(_) => {}
        ValueRef::Bytes(bytes) => sum = sha(&[b"string", bytes]),
        ValueRef::Int(n) => sum = sha(&[b"string", base::num::format_i64(n, &mut digits)]),
        ValueRef::List(list) => {
            sum = sha(&[b"list"]);
            for item in list.iter() {
                sum = sha(&[&sum, item.as_bytes(&mut digits)]);
            }
        }
        ValueRef::Set(set) => set.iter().for_each(|m| mix(&mut sum, &sha(&[b"set", m.as_bytes(&mut digits)]))),
        ValueRef::ZSet(zset) => {
            for (member, score) in zset.iter() {
                mix(&mut sum, &sha(&[b"zset", member.as_bytes(&mut digits), &score.to_bits().to_le_bytes()]));
            }
        }
        ValueRef::Hash(hash) => {
            for (field, value) in hash.iter() {
                mix(&mut sum, &sha(&[b"hash", field.as_bytes(&mut digits), value.as_bytes(&mut more)]));
            }
        }
    }
    if let Some(at) = entry.expire_at() {
        mix(&mut sum, &sha(&[b"expire", &at.to_le_bytes()]));
    }
    sum
}

fn data_digest(e: &Engine) -> String {
    let mut sum = [0; 20];
    for (i, db) in e.store.keyspace.iter().enumerate() {
        for entry in db.trie().iter() {
            mix(&mut sum, &sha(&[&i.to_le_bytes(), entry.key(), &value_digest(entry)]));
        }
    }
    hex(&sum)
}

fn object(e: &mut Engine, key: &[u8]) -> Result {
    let idle = |e: &Engine, access| e.store.idle_seconds(access);
    // Also one that is past its time and waits for the primary's word is shown.
    let entry = e.store.current().get(key).ok_or(error::NO_SUCH_KEY)?;
    let (at, access, bytes) = (entry.key().as_ptr() as usize, entry.access(), entry.memory_usage());
    let encoding = engine::commands::encoding_of(entry);
    let text = format!(
        "Value at:0x{at:x} refcount:1 encoding:{encoding} serializedlength:{bytes} lru:{access} lru_seconds_idle:{}",
        idle(e, access)
    );
    e.out.simple(&text);
    Ok(())
}

fn populate(e: &mut Engine, a: &Args) -> Result {
    let count = int(&a[2])?;
    let prefix = a.get(3).unwrap_or(b"key");
    let size = a.get(4).map(int).transpose()?;
    for i in 0..count {
        let mut key = prefix.to_vec();
        key.extend_from_slice(format!(":{i}").as_bytes());
        if e.store.exists(&key) {
            continue;
        }
        let mut value = format!("value:{i}").into_bytes();
        if let Some(size) = size {
            value.resize(size.max(0) as usize, 0);
        }
        e.store.set_string(&key, &value, keyspace::Expiry::Clear);
    }
    e.out.ok();
    Ok(())
}

/// Saves and loads again, on this thread: what comes back must be what was there.
fn reload(o: &mut Outside, e: &mut Engine, a: &Args) -> Result {
    let (mut save, mut flush) = (true, true);
    for word in a.iter_from(2) {
        match () {
            () if is(word, "nosave") => save = false,
            () if is(word, "noflush") => flush = false,
            () if is(word, "merge") => {}
            () => return Err(Error::fixed("ERR DEBUG RELOAD only supports the MERGE, NOFLUSH and NOSAVE options.")),
        }
    }
    if save {
        saving::save_now(o, e).map_err(|error| Error::new(format!("ERR {error}")))?;
    }
    let mut options = LoadOptions::from_config(&e.config, e.store.now_ms);
    options.keep_expired = !flush;
    options.checksum &= !e.store.skip_checksums;
    match saving::load_file(&saving::data_path(e), &options) {
        Ok(loaded) => {
            drop(e.store.keyspace.replace(loaded.keyspace));
            e.stats.loaded_keys = loaded.keys;
            e.stats.load_expired_keys = loaded.expired;
            crate::server::log::write(crate::server::log::Level::Warning, "DB reloaded by DEBUG RELOAD");
            e.out.ok();
            Ok(())
        }
        Err(error) => Err(Error::new(format!("ERR Error trying to load the RDB dump, check server logs: {error}"))),
    }
}

fn protocol(e: &mut Engine, kind: &[u8]) -> Result {
    match kind.to_ascii_lowercase().as_slice() {
        b"string" => e.out.bulk(b"Hello World"),
        b"integer" => e.out.int(12345),
        b"double" => e.out.double(b"3.141"),
        b"null" => e.out.null(),
        b"array" => {
            e.out.array(3);
            (0..3).for_each(|i| e.out.int(i));
        }
        b"set" => {
            e.out.set(3);
            (0..3).for_each(|i| e.out.int(i));
        }
        b"map" => {
            e.out.map(3);
            for i in 0..3 {
                e.out.int(i);
                e.out.boolean(i == 1);
            }
        }
        b"attrib" => {
            if e.out.protocol == resp::Protocol::V3 {
                e.out.attribute(1);
                e.out.bulk(b"key-popularity");
                e.out.array(2);
                e.out.bulk(b"key:123");
                e.out.int(90);
            }
            e.out.bulk(b"Some real reply following the attribute");
        }
        b"push" => {
            e.out.push(2);
            e.out.bulk(b"server-cpu-usage");
            e.out.int(42);
        }
        b"bignum" => e.out.big_number(b"1234567999999999999999999999999999999"),
        b"true" => e.out.boolean(true),
        b"false" => e.out.boolean(false),
        b"verbatim" => e.out.verbatim("txt", b"This is a verbatim\nstring"),
        _ => {
            return Err(Error::fixed(
                "ERR Wrong protocol type name. Please use one of the following: string|integer|double|null|array|set|map|attrib|push|verbatim|true|false",
            ));
        }
    }
    Ok(())
}
