//! What the fuzzer calls, and the plain model of a file's contents that it and the tests compare.
//!
//! Any bytes must be read without panic. Bytes that are read without error must, when what was read is written again, read as
//! the same contents.

use alloc::borrow::Cow;
use alloc::vec::Vec;
use core::mem;

use base::intset::Intset;
use base::listpack::{Elem, Listpack};
use base::num::{I64_TEXT_MAX, format_i64, parse_f64};

use crate::reader::{Options, Reader};
use crate::visitor::{KeyMeta, Kind, Visit, VisitError, Visitor};
use crate::writer::{SinkError, Writer, WriterOptions};

/// The entry point of the fuzz target `rdb`.
///
/// # Panics
/// The reader or the writer has a fault.
pub fn fuzz_rdb(data: &[u8]) {
    for checksum in [false, true] {
        let mut contents = Contents::default();
        let mut reader = Reader::new(data, Options { checksum, ..Options::default() });
        if reader.read(&mut contents).is_err() {
            assert!(reader.offset() <= data.len() as u64, "no more is consumed than there is");
            continue;
        }
        let consumed = usize::try_from(reader.offset()).expect("the data is in memory");
        let (left, read_ahead) = reader.into_parts();
        assert_eq!(data.len() - consumed, left.len() + read_ahead.len(), "what follows the data is given back");
        for compress in [false, true] {
            let options = WriterOptions { version: 12, compress, checksum: true };
            let bytes = contents.write(options).expect("a vector takes everything");
            let mut again = Contents::default();
            let result = Reader::new(&bytes[..], Options::default()).read(&mut again);
            assert!(result.is_ok(), "what was written can be read: {result:?}");
            assert!(
                again.entries == contents.entries && again.functions == contents.functions,
                "the contents are the same"
            );
        }
    }
}

/// A value in a form that does not depend on its encoding. Scores are kept as the bits of the double.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    String(Vec<u8>),
    List(Vec<Vec<u8>>),
    Set(Vec<Vec<u8>>),
    Hash(Vec<(Vec<u8>, Vec<u8>, Option<i64>)>),
    Zset(Vec<(Vec<u8>, u64)>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) db: u64,
    pub(crate) key: Vec<u8>,
    pub(crate) expire_ms: Option<i64>,
    pub(crate) idle_s: Option<u64>,
    pub(crate) freq: Option<u8>,
    pub(crate) value: Value,
}

/// All of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Contents {
    pub(crate) version: u32,
    pub(crate) aux: Vec<(Vec<u8>, Vec<u8>)>,
    pub(crate) functions: Vec<Vec<u8>>,
    pub(crate) sizes: Vec<(u64, u64)>,
    pub(crate) entries: Vec<Entry>,
    pub(crate) empty: Vec<Vec<u8>>,
    db: u64,
    current: Option<Entry>,
}

impl Contents {
    fn add(&mut self, meta: &KeyMeta<'_>, value: Value) -> Visit {
        assert!(self.current.is_none(), "the value before has ended");
        self.entries.push(self.entry(meta, value));
        Ok(())
    }

    fn entry(&self, meta: &KeyMeta<'_>, value: Value) -> Entry {
        let KeyMeta { key, expire_ms, idle_s, freq } = *meta;
        Entry { db: self.db, key: key.to_vec(), expire_ms, idle_s, freq, value }
    }

    fn current(&mut self) -> &mut Value {
        &mut self.current.as_mut().expect("a value has begun").value
    }

    /// Writes the contents in encodings that may differ from those that they were read from.
    pub(crate) fn write(&self, options: WriterOptions) -> Result<Vec<u8>, SinkError> {
        let mut writer = Writer::new(Vec::new(), options)?;
        for (name, value) in &self.aux {
            writer.aux(name, value)?;
        }
        for source in &self.functions {
            writer.function(source)?;
        }
        let mut db = None;
        for entry in &self.entries {
            if db != Some(entry.db) {
                db = Some(entry.db);
                writer.select_db(entry.db)?;
                writer.resize_db(self.entries.len() as u64, 0)?;
            }
            entry.write(&mut writer)?;
        }
        Ok(writer.finish()?.0)
    }
}

impl Entry {
    pub(crate) fn write(&self, writer: &mut Writer<Vec<u8>>) -> Result<(), SinkError> {
        let Entry { key, expire_ms, idle_s, freq, value, .. } = self;
        let meta = KeyMeta { key, expire_ms: *expire_ms, idle_s: *idle_s, freq: *freq };
        match value {
            Value::String(text) => writer.string(&meta, text),
            Value::List(items) => {
                // Every tenth element becomes a node by itself.
                let nodes = items.chunks(10).map(|items| items.split_last().expect("chunks are not empty"));
                let count: usize = nodes.clone().map(|(_, packed)| 1 + usize::from(!packed.is_empty())).sum();
                writer.list_begin(&meta, count as u64)?;
                for (plain, packed) in nodes {
                    if !packed.is_empty() {
                        writer.list_packed_node(listpack(packed.iter().map(Vec::as_slice)).as_bytes())?;
                    }
                    writer.list_plain_node(plain)?;
                }
                Ok(())
            }
            Value::Set(members) => {
                writer.set_begin(&meta, members.len() as u64)?;
                members.iter().try_for_each(|member| writer.set_member(member))
            }
            Value::Hash(fields) if fields.iter().all(|(_, _, expire_ms)| expire_ms.is_none()) => {
                if fields.len() < 100 {
                    let texts = fields.iter().flat_map(|(field, value, _)| [&field[..], &value[..]]);
                    return writer.hash_listpack(&meta, listpack(texts).as_bytes());
                }
                writer.hash_begin(&meta, fields.len() as u64)?;
                fields.iter().try_for_each(|(field, value, _)| writer.hash_field(field, value))
            }
            Value::Hash(fields) => {
                let least = fields.iter().filter_map(|(_, _, expire_ms)| *expire_ms).min().unwrap_or(0);
                writer.expiring_hash_begin(&meta, fields.len() as u64, least)?;
                fields.iter().try_for_each(|(field, value, expire_ms)| writer.expiring_field(field, value, *expire_ms))
            }
            Value::Zset(members) => {
                writer.zset_begin(&meta, members.len() as u64)?;
                members.iter().try_for_each(|(member, score)| writer.zset_member(member, f64::from_bits(*score)))
            }
        }
    }
}

/// A listpack of these elements.
pub(crate) fn listpack<'a>(items: impl Iterator<Item = &'a [u8]>) -> Listpack {
    let mut list = Listpack::new();
    items.for_each(|item| list.push_back(Elem::from(item)));
    list
}

fn texts(items: &Listpack) -> Vec<Vec<u8>> {
    items.iter().map(Elem::to_vec).collect()
}

impl Visitor for Contents {
    fn version(&mut self, version: u32) -> Visit {
        self.version = version;
        Ok(())
    }

    fn aux(&mut self, name: &[u8], value: &[u8]) -> Visit {
        self.aux.push((name.to_vec(), value.to_vec()));
        Ok(())
    }

    fn function(&mut self, source: &[u8]) -> Visit {
        self.functions.push(source.to_vec());
        Ok(())
    }

    fn select_db(&mut self, index: u64) -> Visit {
        self.db = index;
        Ok(())
    }

    fn resize_db(&mut self, keys: u64, expires: u64) -> Visit {
        self.sizes.push((keys, expires));
        Ok(())
    }

    fn string(&mut self, meta: &KeyMeta<'_>, value: Cow<'_, [u8]>) -> Visit {
        self.add(meta, Value::String(value.into_owned()))
    }

    fn hash_packed(&mut self, meta: &KeyMeta<'_>, pairs: Listpack) -> Visit {
        let mut texts = texts(&pairs).into_iter();
        let mut fields = Vec::new();
        while let (Some(field), Some(value)) = (texts.next(), texts.next()) {
            fields.push((field, value, None));
        }
        self.add(meta, Value::Hash(fields))
    }

    fn zset_packed(&mut self, meta: &KeyMeta<'_>, pairs: Listpack) -> Visit {
        let mut texts = texts(&pairs).into_iter();
        let mut members = Vec::new();
        while let (Some(member), Some(score)) = (texts.next(), texts.next()) {
            let score = parse_f64(&score).ok_or_else(|| VisitError::new("a score is not a number"))?;
            members.push((member, score.to_bits()));
        }
        self.add(meta, Value::Zset(members))
    }

    fn set_packed(&mut self, meta: &KeyMeta<'_>, members: Listpack) -> Visit {
        self.add(meta, Value::Set(texts(&members)))
    }

    fn set_intset(&mut self, meta: &KeyMeta<'_>, members: Intset) -> Visit {
        let text = |value| format_i64(value, &mut [0; I64_TEXT_MAX]).to_vec();
        self.add(meta, Value::Set(members.iter().map(text).collect()))
    }

    fn begin(&mut self, meta: &KeyMeta<'_>, kind: Kind, _len: u64) -> Visit {
        assert!(self.current.is_none(), "the value before has ended");
        let value = match kind {
            Kind::List => Value::List(Vec::new()),
            Kind::Set => Value::Set(Vec::new()),
            Kind::Hash => Value::Hash(Vec::new()),
            Kind::Zset => Value::Zset(Vec::new()),
        };
        self.current = Some(self.entry(meta, value));
        Ok(())
    }

    fn list_item(&mut self, item: &[u8]) -> Visit {
        self.list_plain(item.to_vec())
    }

    fn list_chunk(&mut self, items: Listpack) -> Visit {
        assert!((1..=1 << 15).contains(&items.len()), "chunks have elements, and not too many");
        texts(&items).into_iter().try_for_each(|item| self.list_plain(item))
    }

    fn list_plain(&mut self, item: Vec<u8>) -> Visit {
        let current = self.current();
        let Value::List(items) = current else { panic!("an element of a list in {current:?}") };
        items.push(item);
        Ok(())
    }

    fn set_member(&mut self, member: &[u8]) -> Visit {
        let current = self.current();
        let Value::Set(members) = current else { panic!("a member of a set in {current:?}") };
        members.push(member.to_vec());
        Ok(())
    }

    fn hash_field(&mut self, field: &[u8], value: &[u8], expire_ms: Option<i64>) -> Visit {
        let current = self.current();
        let Value::Hash(fields) = current else { panic!("a field of a hash in {current:?}") };
        fields.push((field.to_vec(), value.to_vec(), expire_ms));
        Ok(())
    }

    fn zset_member(&mut self, member: &[u8], score: f64) -> Visit {
        let current = self.current();
        let Value::Zset(members) = current else { panic!("a member of a sorted set in {current:?}") };
        members.push((member.to_vec(), score.to_bits()));
        Ok(())
    }

    fn end(&mut self) -> Visit {
        let entry = self.current.take().expect("a value has begun");
        let empty = match &entry.value {
            Value::String(_) => false,
            Value::List(items) | Value::Set(items) => items.is_empty(),
            Value::Hash(fields) => fields.is_empty(),
            Value::Zset(members) => members.is_empty(),
        };
        assert!(!empty, "a value in parts has parts");
        self.entries.push(entry);
        Ok(())
    }

    fn empty_key(&mut self, meta: &KeyMeta<'_>) -> Visit {
        let before = mem::take(&mut self.current);
        assert!(before.is_none(), "the value before has ended");
        self.empty.push(meta.key.to_vec());
        Ok(())
    }
}
