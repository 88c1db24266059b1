//! Between the RDB codec, which knows no keyspace, and the keyspace, which knows no RDB.
//!
//! Writing reads a snapshot, entry by entry, on whatever thread the caller likes; loading builds
//! a new [`Keyspace`] on whatever thread the caller likes. Neither touches the engine.

use crate::config::Config;
use crate::config::values::MaxMemoryPolicy;
use base::intset::Intset;
use base::listpack::Listpack;
use keyspace::list::ChunkRef;
use keyspace::{Entry, Hash, Keyspace, Limits, List, Set, Snapshot, Value, ValueMut, ValueRef, ZSet};
use persist::reader::{Options, Reader};
use persist::visitor::{KeyMeta, Kind, Visit, VisitError, Visitor};
use persist::writer::{Sink, Writer, WriterOptions};
use persist::{RdbError, SinkError, Source};
use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

/// Where in a replication stream data stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    /// The replication id, forty hexadecimal digits.
    pub id: String,
    /// Bytes of the stream that the data contains.
    pub offset: u64,
    /// The database that the stream has selected there.
    pub db: usize,
}

/// How data is written.
#[derive(Debug, Clone)]
pub struct SaveOptions {
    /// `rdbcompression`.
    pub compress: bool,
    /// `rdbchecksum`.
    pub checksum: bool,
    /// What names the data, for a partial resync after a restart and for replicas of replicas.
    pub replication: Option<Position>,
    /// The time of day, Unix milliseconds.
    now_ms: i64,
    /// Memory in use, bytes, for the file's header.
    used_memory: usize,
    /// Whether accesses are kept as frequencies, seconds, or not written.
    access: AccessKind,
    /// `lfu-decay-time`, minutes.
    decay_minutes: i64,
    /// `rdb-key-save-delay`: microseconds of sleep after each key; negative: one microsecond after each so many keys.
    key_delay: i64,
    /// By which whoever asked for the save can end it.
    pub ticket: Option<Arc<Ticket>>,
}

/// A save that can be cancelled up to the moment when its file takes the old one's place.
#[derive(Debug, Default)]
pub struct Ticket(AtomicU8);

impl Ticket {
    const CANCELLED: u8 = 1;
    const COMMITTED: u8 = 2;

    fn leave_open(&self, to: u8) -> bool {
        self.0.compare_exchange(0, to, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    /// Ends the save; false where it is too late.
    pub fn cancel(&self) -> bool {
        self.leave_open(Self::CANCELLED)
    }

    /// From now on it cannot be cancelled; false where it has been.
    pub fn commit(&self) -> bool {
        self.leave_open(Self::COMMITTED)
    }

    fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed) == Self::CANCELLED
    }
}

/// The bits of an access value.
const ACCESS_MASK: u32 = 0xFF_FFFF;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum AccessKind {
    None,
    Clock,
    Frequency,
}

fn access_kind(policy: MaxMemoryPolicy) -> AccessKind {
    use MaxMemoryPolicy::*;
    match policy {
        AllKeysLru | VolatileLru => AccessKind::Clock,
        AllKeysLfu | VolatileLfu => AccessKind::Frequency,
        NoEviction | AllKeysRandom | VolatileRandom | VolatileTtl => AccessKind::None,
    }
}

impl SaveOptions {
    /// As the settings say, for a save at `now_ms` (Unix milliseconds) with so many bytes of memory in use. `replication` names the data,
    /// where a partial resync is to be possible with it.
    pub fn new(config: &Config, now_ms: i64, used_memory: usize, replication: Option<Position>) -> Self {
        Self {
            compress: config.rdbcompression,
            checksum: config.rdbchecksum,
            replication,
            now_ms,
            used_memory,
            access: access_kind(config.maxmemory_policy),
            decay_minutes: config.lfu_decay_time.get(),
            key_delay: config.rdb_key_save_delay.get(),
            ticket: None,
        }
    }
}

/// Sleeps as the options for tests say, unless the work is cancelled meanwhile.
fn delay(setting: i64, keys: u64, is_cancelled: impl Fn() -> bool) {
    match setting {
        0 => {}
        us @ 1.. => {
            let mut left = Duration::from_micros(us as u64);
            while !left.is_zero() && !is_cancelled() {
                let nap = left.min(Duration::from_millis(10));
                std::thread::sleep(nap);
                left -= nap;
            }
        }
        each if keys.is_multiple_of(each.unsigned_abs()) => std::thread::sleep(Duration::from_micros(1)),
        _ => {}
    }
}

/// Writes all that a snapshot holds, giving back each part as it passes.
pub fn write_snapshot(snapshot: Snapshot, sink: &mut dyn Sink, options: &SaveOptions) -> Result<(), String> {
    write_all(snapshot, sink, options).map_err(|e| e.to_string())
}

fn write_all(snapshot: Snapshot, sink: &mut dyn Sink, options: &SaveOptions) -> Result<(), SinkError> {
    let writer_options = WriterOptions { version: 10, compress: options.compress, checksum: options.checksum };
    let mut writer = Writer::new(sink, writer_options)?;
    writer.aux(b"redis-ver", b"7.2.4")?;
    writer.aux(b"redis-bits", b"64")?;
    writer.aux(b"ctime", (options.now_ms / 1000).to_string().as_bytes())?;
    writer.aux(b"used-mem", options.used_memory.to_string().as_bytes())?;
    if let Some(Position { id, offset, db }) = &options.replication {
        writer.aux(b"repl-stream-db", db.to_string().as_bytes())?;
        writer.aux(b"repl-id", id.as_bytes())?;
        writer.aux(b"repl-offset", offset.to_string().as_bytes())?;
    }
    writer.aux(b"aof-base", b"0")?;
    let mut entries = snapshot.into_entries();
    let mut keys = 0;
    while let Some(db) = entries.next_db() {
        writer.select_db(db.number as u64)?;
        writer.resize_db(db.keys as u64, db.expires as u64)?;
        while let Some(entry) = entries.next_entry() {
            write_entry(&mut writer, entry, options)?;
            keys += 1;
            let is_cancelled = || options.ticket.as_ref().is_some_and(|ticket| ticket.is_cancelled());
            delay(options.key_delay, keys, is_cancelled);
            if is_cancelled() {
                return Err(SinkError::new("cancelled"));
            }
        }
    }
    writer.finish()?;
    Ok(())
}

fn write_entry<K: Sink>(w: &mut Writer<K>, entry: &Entry, options: &SaveOptions) -> Result<(), SinkError> {
    let (idle_s, freq) = match options.access {
        AccessKind::None => (None, None),
        AccessKind::Clock => {
            let clock = (options.now_ms / 1000) as u32;
            (Some(u64::from(clock.wrapping_sub(entry.access()) & ACCESS_MASK)), None)
        }
        AccessKind::Frequency => {
            let count = crate::store::decayed(entry.access(), options.now_ms, options.decay_minutes);
            (None, Some(u8::try_from(count).unwrap_or(u8::MAX)))
        }
    };
    write_value(w, &KeyMeta { key: entry.key(), expire_ms: entry.expire_at(), idle_s, freq }, entry)
}

/// Writes an entry's value, under the name that `meta` gives.
pub fn write_value<K: Sink>(w: &mut Writer<K>, meta: &KeyMeta<'_>, entry: &Entry) -> Result<(), SinkError> {
    let mut digits = [0; 20];
    match entry.value() {
        ValueRef::None => w.string(meta, b""),
        ValueRef::Score(score) => w.string(meta, score.to_string().as_bytes()),
        ValueRef::Bytes(bytes) => w.string(meta, bytes),
        ValueRef::Int(n) => w.int(meta, n),
        ValueRef::List(list) => {
            w.list_begin(meta, list.chunk_count() as u64)?;
            for chunk in list.chunks() {
                match chunk {
                    ChunkRef::Packed(listpack) => w.list_packed_node(listpack.as_bytes())?,
                    ChunkRef::Plain(bytes) => w.list_plain_node(bytes)?,
                }
            }
            Ok(())
        }
        ValueRef::Set(set) => match set.as_intset() {
            Some(intset) => w.set_intset(meta, intset.as_bytes()),
            None => {
                w.set_begin(meta, set.len() as u64)?;
                for member in set.iter() {
                    w.set_member(member.as_bytes(&mut digits))?;
                }
                Ok(())
            }
        },
        ValueRef::Hash(hash) => match hash.to_listpack() {
            Some(listpack) => w.hash_listpack(meta, listpack.as_bytes()),
            None => {
                w.hash_begin(meta, hash.len() as u64)?;
                let mut more_digits = [0; 20];
                for (field, value) in hash.iter() {
                    w.hash_field(field.as_bytes(&mut digits), value.as_bytes(&mut more_digits))?;
                }
                Ok(())
            }
        },
        ValueRef::ZSet(zset) => match zset.as_listpack() {
            Some(listpack) => w.zset_listpack(meta, listpack.as_bytes()),
            None => {
                w.zset_begin(meta, zset.len() as u64)?;
                // Highest first, as Redis writes it: its loader inserts at the head of its list.
                for (member, score) in zset.iter_back_from(zset.len() - 1) {
                    w.zset_member(member.as_bytes(&mut digits), score)?;
                }
                Ok(())
            }
        },
    }
}

/// What a load is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Keep {
    /// The data is wanted.
    All,
    /// It is only to be seen whether all could be loaded, and each key is there once.
    Names,
    /// It is only to be seen whether all could be loaded.
    Nothing,
}

/// How a data set is loaded.
#[derive(Debug, Clone)]
pub struct LoadOptions {
    /// How many databases there are.
    pub databases: usize,
    /// The time, Unix milliseconds: keys that are past theirs are left out.
    pub now_ms: i64,
    /// Keys past their time are kept: the primary decides (a replica's full sync).
    pub keep_expired: bool,
    /// The names of keys that are left out for their time are wanted.
    pub name_expired: bool,
    /// `rdbchecksum`.
    pub checksum: bool,
    /// When small encodings give way to large ones.
    pub limits: Limits,
    /// How the access values of keys are made.
    access: AccessKind,
    /// `key-load-delay`, as [`SaveOptions`]'s delay.
    key_delay: i64,
    keep: Keep,
}

impl LoadOptions {
    /// As the settings say.
    pub fn from_config(config: &Config, now_ms: i64) -> Self {
        Self {
            databases: config.databases.get() as usize,
            now_ms,
            keep_expired: false,
            name_expired: false,
            checksum: config.rdbchecksum,
            limits: crate::store::limits(config),
            access: access_kind(config.maxmemory_policy),
            key_delay: config.key_load_delay.get(),
            keep: Keep::All,
        }
    }
}

/// How many keys that held nothing are named.
const EMPTY_NAMES_MAX: usize = 10;

/// A data set that has been loaded.
#[derive(Debug)]
pub struct Loaded {
    /// The databases.
    pub keyspace: Keyspace,
    /// Keys loaded.
    pub keys: u64,
    /// Keys left out because their time was past.
    pub expired: u64,
    /// Their databases and names, where [`LoadOptions::name_expired`] asked for them.
    pub expired_names: Vec<(usize, Box<[u8]>)>,
    /// Keys left out because they held nothing.
    pub empty: u64,
    /// The names of the first of them.
    pub empty_names: Vec<Box<[u8]>>,
    /// What the data goes by, if it says so.
    pub replication: Option<Position>,
    /// The database that the replication stream has selected after the data.
    pub stream_db: usize,
    /// Facts that the header states.
    pub aux: Vec<(String, String)>,
    /// How long it took, milliseconds.
    pub took_ms: u64,
}

/// Loads a data set: it, the source, and the bytes read beyond its end. The error says where and what.
pub fn load<S: Source>(source: S, options: &LoadOptions) -> Result<(Loaded, S, Vec<u8>), Box<RdbError>> {
    let started = Instant::now();
    let reader_options = Options { checksum: options.checksum, ..Options::default() };
    let mut reader = Reader::new(source, reader_options);
    let mut loader = Loader::new(Keyspace::new(options.databases), options.clone());
    reader.read(&mut loader)?;
    let (source, rest) = reader.into_parts();
    let mut loaded = loader.finish();
    loaded.took_ms = started.elapsed().as_millis() as u64;
    Ok((loaded, source, rest))
}

/// Reads a data set as [`load`] does and keeps nothing: whether it could be loaded.
pub fn check<S: Source>(source: S, options: &LoadOptions) -> Result<(), Box<RdbError>> {
    load(source, &LoadOptions { keep: Keep::Nothing, ..options.clone() }).map(|_| ())
}

/// As [`check`], and whether no key is there twice, for which the keys are kept, without their values.
pub fn check_names<S: Source>(source: S, options: &LoadOptions) -> Result<(), Box<RdbError>> {
    load(source, &LoadOptions { keep: Keep::Names, ..options.clone() }).map(|_| ())
}

/// A value that comes in parts.
#[derive(Debug)]
struct Partial {
    entry: Entry,
    access: u32,
    skip: bool,
}

/// Builds databases from what a reader finds.
#[derive(Debug)]
pub struct Loader {
    keyspace: Keyspace,
    db: usize,
    options: LoadOptions,
    partial: Option<Partial>,
    loaded: (u64, u64, u64),
    expired_names: Vec<(usize, Box<[u8]>)>,
    empty_names: Vec<Box<[u8]>>,
    replication: (Option<String>, Option<u64>),
    stream_db: usize,
    aux: Vec<(String, String)>,
}

impl Loader {
    /// A loader into these databases.
    pub fn new(keyspace: Keyspace, options: LoadOptions) -> Self {
        Self {
            keyspace,
            db: 0,
            options,
            partial: None,
            loaded: (0, 0, 0),
            expired_names: Vec::new(),
            empty_names: Vec::new(),
            replication: (None, None),
            stream_db: 0,
            aux: Vec::new(),
        }
    }

    /// The entry that was loaded under a key of the first database.
    pub fn into_entry(mut self, key: &[u8]) -> Option<Entry> {
        self.keyspace.db_mut(0).remove(key)
    }

    fn finish(self) -> Loaded {
        let (keys, expired, empty) = self.loaded;
        let replication = match self.replication {
            (Some(id), Some(offset)) => Some(Position { id, offset, db: self.stream_db }),
            _ => None,
        };
        let stream_db = self.stream_db;
        Loaded {
            keyspace: self.keyspace,
            keys,
            expired,
            expired_names: self.expired_names,
            empty,
            empty_names: self.empty_names,
            replication,
            stream_db,
            aux: self.aux,
            took_ms: 0,
        }
    }

    fn access_of(&self, meta: &KeyMeta<'_>) -> u32 {
        let now_s = (self.options.now_ms / 1000) as u32;
        match self.options.access {
            AccessKind::Frequency => {
                let minutes = (self.options.now_ms / 60_000) as u32 & 0xFFFF;
                minutes << 8 | u32::from(meta.freq.unwrap_or(5))
            }
            AccessKind::Clock | AccessKind::None => {
                let idle_s = meta.idle_s.unwrap_or(0).min(u64::from(ACCESS_MASK));
                now_s.wrapping_sub(idle_s as u32) & ACCESS_MASK
            }
        }
    }

    /// Whether a key is past its time and to be left out.
    fn skips(&mut self, meta: &KeyMeta<'_>) -> bool {
        let skip = !self.options.keep_expired && meta.expire_ms.is_some_and(|at| at <= self.options.now_ms);
        self.loaded.1 += u64::from(skip);
        if skip && self.options.name_expired {
            self.expired_names.push((self.db, meta.key.into()));
        }
        skip
    }

    fn put(&mut self, entry: Entry, access: u32) -> Visit {
        let entry = match self.options.keep {
            Keep::Nothing => return Ok(()),
            Keep::Names => Entry::new_member(entry.key()),
            Keep::All => entry,
        };
        entry.set_access(access);
        let db = self.keyspace.db_mut(self.db);
        let before = db.len();
        if db.get(entry.key()).is_some() {
            return Err(VisitError::new(format!("the key {} is there twice", base::text::quoted(entry.key()))));
        }
        db.insert(entry);
        debug_assert!(db.len() > before);
        self.loaded.0 += 1;
        delay(self.options.key_delay, self.loaded.0, || false);
        Ok(())
    }

    fn put_value(&mut self, meta: &KeyMeta<'_>, value: Value) -> Visit {
        if self.skips(meta) {
            return Ok(());
        }
        let access = self.access_of(meta);
        self.put(Entry::new_value(meta.key, value, meta.expire_ms), access)
    }

    fn partial(&mut self) -> Result<&mut Partial, VisitError> {
        self.partial.as_mut().ok_or_else(|| VisitError::new("a part of a value outside of one"))
    }
}

fn refused(error: keyspace::PackedError) -> VisitError {
    VisitError::new(error.to_string())
}

impl Visitor for Loader {
    fn aux(&mut self, name: &[u8], value: &[u8]) -> Visit {
        let text = |b: &[u8]| String::from_utf8_lossy(b).into_owned();
        match name {
            b"repl-id" => self.replication.0 = Some(text(value)),
            // A number that is no database of ours is that of a stream which has selected none yet.
            b"repl-stream-db" => {
                self.stream_db = base::num::parse_i64(value)
                    .and_then(|db| usize::try_from(db).ok())
                    .filter(|db| *db < self.options.databases)
                    .unwrap_or(0);
            }
            b"repl-offset" => self.replication.1 = base::num::parse_i64(value).and_then(|n| u64::try_from(n).ok()),
            _ => {}
        }
        if self.aux.len() < 64 {
            self.aux.push((text(name), text(value)));
        }
        Ok(())
    }

    fn function(&mut self, _: &[u8]) -> Visit {
        Err(VisitError::new(
            "functions are not supported: take them out with FUNCTION FLUSH on the server that made the data",
        ))
    }

    fn select_db(&mut self, index: u64) -> Visit {
        match usize::try_from(index) {
            Ok(db) if db < self.keyspace.databases() => {
                self.db = db;
                Ok(())
            }
            _ => Err(VisitError::new(format!(
                "database {index} is beyond the {} that there are: raise the option `databases`",
                self.keyspace.databases()
            ))),
        }
    }

    fn resize_db(&mut self, _: u64, _: u64) -> Visit {
        Ok(())
    }

    fn string(&mut self, meta: &KeyMeta<'_>, value: Cow<'_, [u8]>) -> Visit {
        if self.skips(meta) {
            return Ok(());
        }
        let access = self.access_of(meta);
        let entry = match keyspace::parse_canonical_int(&value) {
            Some(n) => Entry::new_int(meta.key, n, meta.expire_ms),
            None => Entry::new_bytes(meta.key, &value, meta.expire_ms),
        };
        self.put(entry, access)
    }

    fn int(&mut self, meta: &KeyMeta<'_>, value: i64) -> Visit {
        if self.skips(meta) {
            return Ok(());
        }
        let access = self.access_of(meta);
        self.put(Entry::new_int(meta.key, value, meta.expire_ms), access)
    }

    fn hash_packed(&mut self, meta: &KeyMeta<'_>, pairs: Listpack) -> Visit {
        let hash = Hash::from_listpack(&pairs, &self.options.limits).map_err(refused)?;
        self.put_value(meta, Value::Hash(hash))
    }

    fn zset_packed(&mut self, meta: &KeyMeta<'_>, pairs: Listpack) -> Visit {
        let zset = ZSet::from_listpack(pairs, &self.options.limits).map_err(refused)?;
        self.put_value(meta, Value::ZSet(zset))
    }

    fn set_packed(&mut self, meta: &KeyMeta<'_>, members: Listpack) -> Visit {
        let set = Set::from_listpack(members, &self.options.limits).map_err(refused)?;
        self.put_value(meta, Value::Set(set))
    }

    fn set_intset(&mut self, meta: &KeyMeta<'_>, members: Intset) -> Visit {
        let set = Set::from_intset(members, &self.options.limits);
        self.put_value(meta, Value::Set(set))
    }

    fn begin(&mut self, meta: &KeyMeta<'_>, kind: Kind, _: u64) -> Visit {
        let value = match kind {
            Kind::List => Value::List(List::new()),
            Kind::Set => Value::Set(Set::new()),
            Kind::Hash => Value::Hash(Hash::new()),
            Kind::Zset => Value::ZSet(ZSet::new()),
        };
        let skip = self.skips(meta);
        let access = self.access_of(meta);
        self.partial = Some(Partial { entry: Entry::new_value(meta.key, value, meta.expire_ms), access, skip });
        Ok(())
    }

    fn list_item(&mut self, item: &[u8]) -> Visit {
        let limits = self.options.limits;
        if let Some(ValueMut::List(list)) = self.partial()?.entry.value_mut() {
            list.push_back(item, &limits);
        }
        Ok(())
    }

    fn list_chunk(&mut self, items: Listpack) -> Visit {
        if let Some(ValueMut::List(list)) = self.partial()?.entry.value_mut() {
            list.push_chunk(&items);
        }
        Ok(())
    }

    fn list_plain(&mut self, item: Vec<u8>) -> Visit {
        if let Some(ValueMut::List(list)) = self.partial()?.entry.value_mut() {
            list.push_plain(item);
        }
        Ok(())
    }

    fn set_member(&mut self, member: &[u8]) -> Visit {
        let limits = self.options.limits;
        let fresh = match self.partial()?.entry.value_mut() {
            Some(ValueMut::Set(set)) => set.insert(member, &limits),
            _ => true,
        };
        if fresh { Ok(()) } else { Err(VisitError::new("a member is there twice")) }
    }

    fn hash_field(&mut self, field: &[u8], value: &[u8], expire_ms: Option<i64>) -> Visit {
        let limits = self.options.limits;
        if expire_ms.is_some() {
            return Err(VisitError::new(
                "fields that expire are not supported: HPERSIST them on the server that made the data",
            ));
        }
        let fresh = match self.partial()?.entry.value_mut() {
            Some(ValueMut::Hash(mut hash)) => hash.insert(field, value, &limits),
            _ => true,
        };
        if fresh { Ok(()) } else { Err(VisitError::new("a field is there twice")) }
    }

    fn zset_member(&mut self, member: &[u8], score: f64) -> Visit {
        let limits = self.options.limits;
        let fresh = match self.partial()?.entry.value_mut() {
            Some(ValueMut::ZSet(zset)) => zset.insert(member, score, &limits) == keyspace::zset::Change::Added,
            _ => true,
        };
        if fresh { Ok(()) } else { Err(VisitError::new("a member is there twice")) }
    }

    fn end(&mut self) -> Visit {
        let limits = self.options.limits;
        let Some(mut partial) = self.partial.take() else { return Ok(()) };
        if let Some(ValueMut::List(list)) = partial.entry.value_mut() {
            list.loaded(&limits);
        }
        if partial.skip {
            return Ok(());
        }
        self.put(partial.entry, partial.access)
    }

    fn empty_key(&mut self, meta: &KeyMeta<'_>) -> Visit {
        self.loaded.2 += 1;
        if self.empty_names.len() < EMPTY_NAMES_MAX {
            self.empty_names.push(meta.key.into());
        }
        Ok(())
    }
}
