//! Writes RDB, in the oldest version and encodings that can carry the data; the layout is in [`crate::format`].
//!
//! ```text
//!   values ──► buffer of 64 KiB ──► checksum ──► sink
//!   long strings and packed values ──►┘            (they skip the buffer, and are not copied)
//! ```
//!
//! Packed values are written as they stand in memory. The caller calls the methods in the order of
//! `aux* function* (select_db resize_db KEY*)* finish`. A value in parts is begun with the number of its parts, and exactly so many must follow; that is asserted,
//! since the data would be unreadable otherwise.
//!
//! Limits: streams and modules' values cannot be written.

use alloc::format;
use alloc::vec::Vec;

use base::num::{I64_TEXT_MAX, format_i64, parse_i64};
use crc_fast::{CrcAlgorithm, Digest};

pub use crate::error::SinkError;
use crate::format::{VERSION_MAX, kind, opcode};
use crate::lzf::Compressor;
use crate::visitor::KeyMeta;

/// The size of the buffer in bytes.
const BUFFER_LEN: usize = 64 * 1024;
/// From this length in bytes on, copying into the buffer costs more than an additional call of the sink.
const DIRECT_LEN: usize = 16 * 1024;
/// Strings up to this length in bytes are not compressed.
const COMPRESS_MIN: usize = 20;
/// The first version with sets in listpacks.
pub const VERSION_SET_LISTPACK: u32 = 11;
/// The first version with expiries of fields.
pub const VERSION_FIELD_EXPIRY: u32 = 12;

/// Takes what is written.
pub trait Sink {
    /// Takes all of `bytes`, which are not empty.
    ///
    /// # Errors
    /// They could not be taken; what has been written is then incomplete.
    fn write(&mut self, bytes: &[u8]) -> Result;
}

impl Sink for Vec<u8> {
    fn write(&mut self, bytes: &[u8]) -> Result {
        self.extend_from_slice(bytes);
        Ok(())
    }
}

impl<K: Sink + ?Sized> Sink for &mut K {
    fn write(&mut self, bytes: &[u8]) -> Result {
        (**self).write(bytes)
    }
}

/// How to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WriterOptions {
    /// The version in the header, from 10 to 12.
    pub version: u32,
    /// Whether strings of more than 20 bytes are compressed where that makes them shorter.
    pub compress: bool,
    /// Whether a checksum is made.
    pub checksum: bool,
}

impl Default for WriterOptions {
    /// Version 10, which Redis 7.0 reads, compressed and with checksum.
    fn default() -> WriterOptions {
        WriterOptions { version: 10, compress: true, checksum: true }
    }
}

/// What a writer knows at the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    /// How many bytes were written, checksum included.
    pub bytes: u64,
    /// The checksum, or 0 if none was to be made.
    pub checksum: u64,
}

type Result<T = ()> = core::result::Result<T, SinkError>;

/// Writes one RDB file or stream.
pub struct Writer<K> {
    sink: K,
    options: WriterOptions,
    buffer: Vec<u8>,
    digest: Option<Digest>,
    sent: u64,
    compressor: Compressor,
    compressed: Vec<u8>,
    /// How many parts of the current value are to come.
    parts: u64,
    /// The base of the expiries of the current hash.
    least_expire_ms: i64,
    /// Whether names, expiries, header and end are left out, as for a `DUMP` payload.
    bare: bool,
}

impl<K: Sink> Writer<K> {
    /// Begins a file: the header.
    ///
    /// # Errors
    /// Those of the sink, here and in all other methods.
    pub fn new(sink: K, options: WriterOptions) -> Result<Writer<K>> {
        let mut writer = Writer::bare(sink, options);
        writer.bare = false;
        writer.put(format!("REDIS{:04}", options.version).as_bytes())?;
        Ok(writer)
    }

    /// A writer of a single value, without its key.
    pub(crate) fn bare(sink: K, options: WriterOptions) -> Writer<K> {
        assert!((10..=VERSION_MAX).contains(&options.version), "only versions 10 to 12 can be written");
        Writer {
            sink,
            options,
            buffer: Vec::new(),
            digest: options.checksum.then(|| Digest::new(CrcAlgorithm::Crc64Redis)),
            sent: 0,
            compressor: Compressor::new(),
            compressed: Vec::new(),
            parts: 0,
            least_expire_ms: 0,
            bare: true,
        }
    }

    /// How many bytes have been written, buffered ones included.
    pub fn bytes(&self) -> u64 {
        self.sent + self.buffer.len() as u64
    }

    /// The version that is being written.
    pub fn version(&self) -> u32 {
        self.options.version
    }

    /// A named fact about the file.
    pub fn aux(&mut self, name: &[u8], value: &[u8]) -> Result {
        self.opcode(opcode::AUX)?;
        self.text(name)?;
        self.text(value)
    }

    /// The source of a function library.
    pub fn function(&mut self, source: &[u8]) -> Result {
        self.opcode(opcode::FUNCTION2)?;
        self.text(source)
    }

    /// The keys that follow belong to database `index`.
    pub fn select_db(&mut self, index: u64) -> Result {
        self.opcode(opcode::SELECT_DB)?;
        self.len(index)
    }

    /// How many keys, and how many with expiry, the database has: a hint for the reader.
    pub fn resize_db(&mut self, keys: u64, expires: u64) -> Result {
        self.opcode(opcode::RESIZE_DB)?;
        self.len(keys)?;
        self.len(expires)
    }

    /// A string.
    pub fn string(&mut self, meta: &KeyMeta<'_>, value: &[u8]) -> Result {
        self.head(meta, kind::STRING)?;
        self.text(value)
    }

    /// A string that is the text of an integer.
    pub fn int(&mut self, meta: &KeyMeta<'_>, value: i64) -> Result {
        self.head(meta, kind::STRING)?;
        self.int_text(value)
    }

    /// A hash in a listpack: field, value, field, value, and so on.
    pub fn hash_listpack(&mut self, meta: &KeyMeta<'_>, listpack: &[u8]) -> Result {
        self.head(meta, kind::HASH_LISTPACK)?;
        self.text(listpack)
    }

    /// A sorted set in a listpack: member, score, member, score, and so on, in order.
    pub fn zset_listpack(&mut self, meta: &KeyMeta<'_>, listpack: &[u8]) -> Result {
        self.head(meta, kind::ZSET_LISTPACK)?;
        self.text(listpack)
    }

    /// A set in an intset.
    pub fn set_intset(&mut self, meta: &KeyMeta<'_>, intset: &[u8]) -> Result {
        self.head(meta, kind::SET_INTSET)?;
        self.text(intset)
    }

    /// A set in a listpack. It needs version 11; for older ones use [`Writer::set_begin`].
    pub fn set_listpack(&mut self, meta: &KeyMeta<'_>, listpack: &[u8]) -> Result {
        assert!(self.options.version >= VERSION_SET_LISTPACK, "sets in listpacks came with version 11");
        self.head(meta, kind::SET_LISTPACK)?;
        self.text(listpack)
    }

    /// A list of so many nodes, which [`Writer::list_packed_node`] and [`Writer::list_plain_node`] write.
    pub fn list_begin(&mut self, meta: &KeyMeta<'_>, nodes: u64) -> Result {
        self.begin(meta, kind::LIST_QUICKLIST_2, nodes)
    }

    /// A node of the list: a listpack of less than 65535 elements, since Redis counts those of a node with 16 bits and would
    /// lose the others; a longer one is an error.
    pub fn list_packed_node(&mut self, listpack: &[u8]) -> Result {
        if listpack.get(4..6) == Some(&[0xff, 0xff]) {
            return Err(SinkError::new("a node of a list has more than 65534 elements"));
        }
        self.part();
        self.put(&[2])?;
        self.text(listpack)
    }

    /// A node of the list: one element by itself.
    pub fn list_plain_node(&mut self, item: &[u8]) -> Result {
        self.part();
        self.put(&[1])?;
        // Redis expects the bytes here even where they are the text of an integer.
        self.bytes_text(item)
    }

    /// A set of so many members, which [`Writer::set_member`] writes.
    pub fn set_begin(&mut self, meta: &KeyMeta<'_>, members: u64) -> Result {
        self.begin(meta, kind::SET, members)
    }

    /// A member of the set.
    pub fn set_member(&mut self, member: &[u8]) -> Result {
        self.part();
        self.text(member)
    }

    /// A hash of so many fields, which [`Writer::hash_field`] writes.
    pub fn hash_begin(&mut self, meta: &KeyMeta<'_>, fields: u64) -> Result {
        self.begin(meta, kind::HASH, fields)
    }

    /// A field of the hash and its value.
    pub fn hash_field(&mut self, field: &[u8], value: &[u8]) -> Result {
        self.part();
        self.text(field)?;
        self.text(value)
    }

    /// A hash of so many fields, some of which expire, at `least_expire_ms` the first. [`Writer::expiring_field`] writes them.
    /// It needs version 12.
    pub fn expiring_hash_begin(&mut self, meta: &KeyMeta<'_>, fields: u64, least_expire_ms: i64) -> Result {
        assert!(self.options.version >= VERSION_FIELD_EXPIRY, "expiries of fields came with version 12");
        assert!(least_expire_ms >= 0, "fields expire after 1970");
        self.head(meta, kind::HASH_METADATA)?;
        self.put(&least_expire_ms.to_le_bytes())?;
        self.least_expire_ms = least_expire_ms;
        self.parts = fields;
        self.len(fields)
    }

    /// A field of the hash, its value, and when it expires in milliseconds since 1970.
    pub fn expiring_field(&mut self, field: &[u8], value: &[u8], expire_ms: Option<i64>) -> Result {
        self.part();
        let after = expire_ms.map_or(0, |expire_ms| {
            let after = expire_ms.checked_sub(self.least_expire_ms).and_then(|after| u64::try_from(after).ok());
            after.expect("no field expires before the least expiry") + 1
        });
        self.len(after)?;
        self.text(field)?;
        self.text(value)
    }

    /// A sorted set of so many members, which [`Writer::zset_member`] writes.
    pub fn zset_begin(&mut self, meta: &KeyMeta<'_>, members: u64) -> Result {
        self.begin(meta, kind::ZSET_2, members)
    }

    /// A member of the sorted set and its score, which is not NaN. Redis reads fastest from the greatest to the least.
    pub fn zset_member(&mut self, member: &[u8], score: f64) -> Result {
        assert!(!score.is_nan(), "a score is a number");
        self.part();
        self.text(member)?;
        self.put(&score.to_le_bytes())
    }

    /// Ends the file: the end mark and the checksum.
    pub fn finish(mut self) -> Result<(K, Written)> {
        self.opcode(opcode::EOF)?;
        self.flush()?;
        let checksum = self.digest.take().map_or(0, |digest| digest.finalize());
        self.put(&checksum.to_le_bytes())?;
        self.flush()?;
        Ok((self.sink, Written { bytes: self.sent, checksum }))
    }

    /// Ends a single value.
    pub(crate) fn finish_bare(mut self) -> Result<K> {
        assert_eq!(self.parts, 0, "all parts of the value have been written");
        self.flush()?;
        Ok(self.sink)
    }

    fn opcode(&mut self, opcode: u8) -> Result {
        assert_eq!(self.parts, 0, "all parts of the value before have been written");
        self.put(&[opcode])
    }

    fn head(&mut self, meta: &KeyMeta<'_>, kind: u8) -> Result {
        assert_eq!(self.parts, 0, "all parts of the value before have been written");
        if self.bare {
            return self.put(&[kind]);
        }
        if let Some(expire_ms) = meta.expire_ms {
            let [a, b, c, d, e, f, g, h] = expire_ms.to_le_bytes();
            self.put(&[opcode::EXPIRE_MS, a, b, c, d, e, f, g, h])?;
        }
        if let Some(idle_s) = meta.idle_s {
            self.put(&[opcode::IDLE])?;
            self.len(idle_s)?;
        }
        if let Some(freq) = meta.freq {
            self.put(&[opcode::FREQ, freq])?;
        }
        self.put(&[kind])?;
        self.text(meta.key)
    }

    fn begin(&mut self, meta: &KeyMeta<'_>, kind: u8, parts: u64) -> Result {
        self.head(meta, kind)?;
        self.parts = parts;
        self.len(parts)
    }

    fn part(&mut self) {
        self.parts = self.parts.checked_sub(1).expect("no more parts are written than were begun");
    }

    fn len(&mut self, len: u64) -> Result {
        if len < 1 << 6 {
            self.put(&[len as u8])
        } else if len < 1 << 14 {
            self.put(&[0x40 | (len >> 8) as u8, len as u8])
        } else if let Ok(len) = u32::try_from(len) {
            let [a, b, c, d] = len.to_be_bytes();
            self.put(&[0x80, a, b, c, d])
        } else {
            self.put(&[0x81])?;
            self.put(&len.to_be_bytes())
        }
    }

    /// A string in its shortest encoding.
    fn text(&mut self, text: &[u8]) -> Result {
        // No integer of 32 bits has more than 11 characters.
        if text.len() <= 11
            && let Some(value) = parse_i64(text)
            && i32::try_from(value).is_ok()
        {
            return self.int_text(value);
        }
        self.bytes_text(text)
    }

    fn bytes_text(&mut self, text: &[u8]) -> Result {
        if self.options.compress && text.len() > COMPRESS_MIN {
            let mut compressed = core::mem::take(&mut self.compressed);
            let shorter = self.compressor.compress(text, text.len() - 4, &mut compressed);
            if shorter {
                self.put(&[0xc3])?;
                self.len(compressed.len() as u64)?;
                self.len(text.len() as u64)?;
                self.put(&compressed)?;
            }
            // One long string must not cost memory until the end of the file.
            if compressed.capacity() <= 16 * BUFFER_LEN {
                self.compressed = compressed;
            }
            if shorter {
                return Ok(());
            }
        }
        self.len(text.len() as u64)?;
        self.put(text)
    }

    fn int_text(&mut self, value: i64) -> Result {
        if let Ok(value) = i8::try_from(value) {
            self.put(&[0xc0, value.cast_unsigned()])
        } else if let Ok(value) = i16::try_from(value) {
            let [a, b] = value.to_le_bytes();
            self.put(&[0xc1, a, b])
        } else if let Ok(value) = i32::try_from(value) {
            let [a, b, c, d] = value.to_le_bytes();
            self.put(&[0xc2, a, b, c, d])
        } else {
            let mut buffer = [0; I64_TEXT_MAX];
            let text = format_i64(value, &mut buffer);
            self.len(text.len() as u64)?;
            self.put(text)
        }
    }

    #[inline]
    fn put(&mut self, bytes: &[u8]) -> Result {
        if self.buffer.len() + bytes.len() > BUFFER_LEN || bytes.len() >= DIRECT_LEN {
            return self.put_slowly(bytes);
        }
        self.buffer.extend_from_slice(bytes);
        Ok(())
    }

    #[cold]
    fn put_slowly(&mut self, bytes: &[u8]) -> Result {
        self.flush()?;
        if bytes.len() < DIRECT_LEN {
            self.buffer.extend_from_slice(bytes);
            return Ok(());
        }
        self.send(bytes)
    }

    fn send(&mut self, bytes: &[u8]) -> Result {
        if let Some(digest) = &mut self.digest {
            digest.update(bytes);
        }
        self.sent += bytes.len() as u64;
        self.sink.write(bytes)
    }

    fn flush(&mut self) -> Result {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let mut buffer = core::mem::take(&mut self.buffer);
        self.send(&buffer)?;
        buffer.clear();
        self.buffer = buffer;
        Ok(())
    }
}
