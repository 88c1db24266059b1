//! The reader's output: one call for each thing in the file, in the file's order.
//!
//! ```text
//! version  aux*  function*  ( select_db  resize_db?  KEY* )*
//!
//! KEY = key_type, then one of:
//!   string │ int │ hash_packed │ zset_packed │ set_packed │ set_intset │ empty_key
//!   begin  ( list_item │ list_chunk │ list_plain │ set_member │ hash_field │ zset_member )+  end
//! ```
//!
//! Packed values are handed over in their final form, already checked to be well-formed, so that keeping them is a move.
//! What only the keyspace can see is the visitor's to check: duplicates, scores inside packed sorted sets.

use alloc::borrow::Cow;
use alloc::vec::Vec;

use base::intset::Intset;
use base::listpack::Listpack;
use base::num::{I64_TEXT_MAX, format_i64};

pub use crate::error::VisitError;

/// A key and what the file says about it besides the value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KeyMeta<'a> {
    /// The key's name. It is empty while a `DUMP` payload is read.
    pub key: &'a [u8],
    /// When the key expires, in milliseconds since 1970. It may be in the past, or negative.
    pub expire_ms: Option<i64>,
    /// For how many seconds the key had not been used.
    pub idle_s: Option<u64>,
    /// The logarithmic counter of the key's uses.
    pub freq: Option<u8>,
}

/// What [`Visitor::begin`] begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// `list_item`, `list_chunk` or `list_plain` follow.
    List,
    /// `set_member` follows.
    Set,
    /// `hash_field` follows.
    Hash,
    /// `zset_member` follows.
    Zset,
}

/// What a visitor answers.
pub type Visit = Result<(), VisitError>;

/// Receives what a [`crate::reader::Reader`] reads. An error stops the reader, which adds offset and key to it.
pub trait Visitor {
    /// The file's version.
    fn version(&mut self, version: u32) -> Visit {
        let _ = version;
        Ok(())
    }

    /// A named fact about the file.
    fn aux(&mut self, name: &[u8], value: &[u8]) -> Visit;

    /// The source of a function library.
    fn function(&mut self, source: &[u8]) -> Visit;

    /// The keys that follow belong to database `index`.
    fn select_db(&mut self, index: u64) -> Visit;

    /// How many keys, and how many with expiry, the database has. These are claims, fit to be hints only.
    fn resize_db(&mut self, keys: u64, expires: u64) -> Visit;

    /// The next value has this type, one of [`crate::format::kind`].
    fn key_type(&mut self, meta: &KeyMeta<'_>, kind: u8) -> Visit {
        let _ = (meta, kind);
        Ok(())
    }

    /// A string. It is owned where the reader had to allocate for it.
    fn string(&mut self, meta: &KeyMeta<'_>, value: Cow<'_, [u8]>) -> Visit;

    /// A string that is stored as the integer that it prints as.
    fn int(&mut self, meta: &KeyMeta<'_>, value: i64) -> Visit {
        self.string(meta, Cow::Borrowed(format_i64(value, &mut [0; I64_TEXT_MAX])))
    }

    /// A hash: field, value, field, value, and so on; at least one pair.
    fn hash_packed(&mut self, meta: &KeyMeta<'_>, pairs: Listpack) -> Visit;

    /// A sorted set: member, score, member, score, and so on; at least one pair. The scores may turn out to be no numbers
    /// and the order may be wrong.
    fn zset_packed(&mut self, meta: &KeyMeta<'_>, pairs: Listpack) -> Visit;

    /// A set with at least one member.
    fn set_packed(&mut self, meta: &KeyMeta<'_>, members: Listpack) -> Visit;

    /// A set with at least one member.
    fn set_intset(&mut self, meta: &KeyMeta<'_>, members: Intset) -> Visit;

    /// A value follows in parts, at least one. `len` is the number of parts that the file announces, for lists
    /// maybe of chunks: a claim, fit to be a hint only.
    fn begin(&mut self, meta: &KeyMeta<'_>, kind: Kind, len: u64) -> Visit;

    /// The list's next element.
    fn list_item(&mut self, item: &[u8]) -> Visit;

    /// The list's next elements, at least one and at most 32768.
    fn list_chunk(&mut self, items: Listpack) -> Visit;

    /// The list's next element, which is big or was stored by itself.
    fn list_plain(&mut self, item: Vec<u8>) -> Visit;

    /// A member of the set.
    fn set_member(&mut self, member: &[u8]) -> Visit;

    /// A field of the hash, its value, and when the field expires in milliseconds since 1970.
    fn hash_field(&mut self, field: &[u8], value: &[u8], expire_ms: Option<i64>) -> Visit;

    /// A member of the sorted set and its score, which is not NaN.
    fn zset_member(&mut self, member: &[u8], score: f64) -> Visit;

    /// The value that [`Visitor::begin`] began is complete.
    fn end(&mut self) -> Visit;

    /// A list, set, hash or sorted set without elements, which must not be kept.
    fn empty_key(&mut self, meta: &KeyMeta<'_>) -> Visit;
}
