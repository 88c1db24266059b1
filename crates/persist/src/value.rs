//! Decodes lengths, strings and values. See [`crate::format`] for the layout of lengths and strings.
//!
//! ```text
//! list, set          count │ string …            hash               count │ (field, value) …
//! zset               count │ (string, text score: length byte, or 253 NaN, 254 +inf, 255 -inf) …
//! zset-v2            count │ (string, f64) …
//! quicklist          count │ string holding a ziplist …
//! quicklist-v2       count │ (1, string holding an element  or  2, string holding a listpack) …
//! 22, version 80     count │ (field, value, expiry i64 ms or -1) …
//! 22, other versions count │ (expiry ms as length or 0, field, value) …
//! 24                 least expiry u64 ms │ count │ (expiry - least + 1 as length or 0, field, value) …
//! 23, 25             [25: least expiry u64 ms] │ string holding a listpack of field, value, expiry ms or 0
//! the others         string holding the packed value
//! ```

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::format;
use alloc::vec::Vec;
use core::mem;

use base::intset::Intset;
use base::listpack::{LISTPACK_MAX_BYTES, Listpack};
use base::num::{I64_TEXT_MAX, format_i64, parse_f64};

use crate::error::{Fault, RdbError};
use crate::format::{VERSION_VALKEY, kind, kind_name};
use crate::legacy::{ziplist_to_listpack, zipmap_to_listpack};
use crate::lzf;
use crate::reader::{BUFFER_LEN, Options, Source};
use crate::source::Input;
use crate::visitor::{KeyMeta, Kind, Visit, Visitor};

/// The most elements of a list that are handed over at once. Redis counts the elements of a node with 16 bits.
const CHUNK_LEN_MAX: usize = 1 << 15;

type Result<T> = core::result::Result<T, Box<RdbError>>;

/// What stands where a string begins.
enum Start {
    Plain(u64),
    Int(i64),
    Lzf,
}

pub(crate) struct Decoder<S> {
    pub(crate) input: Input<S>,
    /// The allocation for the current key, kept from key to key.
    pub(crate) key: Vec<u8>,
    options: Options,
    int_text: [u8; I64_TEXT_MAX],
    /// Compressed bytes that do not stand in the buffer as a whole.
    packed: Vec<u8>,
}

impl<S: Source> Decoder<S> {
    pub(crate) fn new(source: S, options: Options) -> Decoder<S> {
        Decoder {
            input: Input::new(source, options.checksum),
            key: Vec::new(),
            options,
            int_text: [0; I64_TEXT_MAX],
            packed: Vec::new(),
        }
    }

    pub(crate) fn visited(&self, answer: Visit) -> Result<()> {
        answer.map_err(|error| self.input.fault(Fault::Refused(error)).into())
    }

    fn corrupt<T>(&self, at: u64, text: impl Into<Cow<'static, str>>) -> Result<T> {
        Err(Box::new(RdbError { offset: at, key: None, fault: Fault::Corrupt(text.into()) }))
    }

    #[inline]
    pub(crate) fn byte(&mut self, expected: &'static str) -> Result<u8> {
        Ok(self.input.array::<1>(expected)?[0])
    }

    /// The length that begins with `first`, or the encoding's number.
    fn len_or_encoding(&mut self, first: u8, expected: &'static str) -> Result<core::result::Result<u64, u8>> {
        Ok(Ok(match (first >> 6, first) {
            (0, _) => u64::from(first),
            (1, _) => u64::from(first & 0x3f) << 8 | u64::from(self.byte(expected)?),
            (_, 0x80) => u64::from(u32::from_be_bytes(self.input.array(expected)?)),
            (_, 0x81) => u64::from_be_bytes(self.input.array(expected)?),
            (3, _) => return Ok(Err(first & 0x3f)),
            _ => return self.corrupt(self.input.offset() - 1, format!("{first:#04x} begins no length")),
        }))
    }

    pub(crate) fn len(&mut self, expected: &'static str) -> Result<u64> {
        let at = self.input.offset();
        let first = self.byte(expected)?;
        match self.len_or_encoding(first, expected)? {
            Ok(len) => Ok(len),
            Err(_) => self.corrupt(at, format!("an encoded string instead of {expected}")),
        }
    }

    fn start(&mut self, expected: &'static str) -> Result<Start> {
        let at = self.input.offset();
        let first = self.byte(expected)?;
        Ok(match self.len_or_encoding(first, expected)? {
            Ok(len) => Start::Plain(len),
            Err(0) => Start::Int(i64::from(i8::from_le_bytes(self.input.array(expected)?))),
            Err(1) => Start::Int(i64::from(i16::from_le_bytes(self.input.array(expected)?))),
            Err(2) => Start::Int(i64::from(i32::from_le_bytes(self.input.array(expected)?))),
            Err(3) => Start::Lzf,
            Err(other) => return self.corrupt(at, format!("unknown string encoding {other}")),
        })
    }

    fn checked_len(&self, len: u64, what: &'static str) -> Result<usize> {
        let max = self.options.string_bytes_max;
        match usize::try_from(len) {
            Ok(fitting) if len <= max && fitting <= isize::MAX as usize => Ok(fitting),
            _ => Err(self.input.fault(Fault::TooLong { what, len, max }).into()),
        }
    }

    /// Replaces `out` by the expansion of a compressed string, whose encoding byte has been consumed.
    fn expand(&mut self, out: &mut Vec<u8>, what: &'static str) -> Result<()> {
        let at = self.input.offset() - 1;
        let packed_len = self.len("the compressed length of a string")?;
        let len = self.len("the length of a compressed string")?;
        let packed_len = self.checked_len(packed_len, what)?;
        let len = self.checked_len(len, what)?;
        let answer = if packed_len <= BUFFER_LEN {
            lzf::decompress(self.input.take(packed_len, what)?, len, out)
        } else {
            let mut packed = mem::take(&mut self.packed);
            packed.clear();
            self.input.append(packed_len, what, &mut packed)?;
            let answer = lzf::decompress(&packed, len, out);
            // One long string must not cost memory for the rest of the file.
            if packed.capacity() <= 16 * BUFFER_LEN {
                self.packed = packed;
            }
            answer
        };
        answer.or_else(|text| self.corrupt(at, text))
    }

    /// Replaces `out` by a string. Its allocation is replaced where it is much too big.
    pub(crate) fn string_into(&mut self, out: &mut Vec<u8>, what: &'static str) -> Result<()> {
        out.clear();
        if out.capacity() > BUFFER_LEN {
            *out = Vec::new();
        }
        match self.start(what)? {
            Start::Plain(len) => {
                let len = self.checked_len(len, what)?;
                Ok(self.input.append(len, what, out)?)
            }
            Start::Int(value) => {
                out.extend_from_slice(format_i64(value, &mut self.int_text));
                Ok(())
            }
            Start::Lzf => self.expand(out, what),
        }
    }

    fn text(&mut self, start: Start, what: &'static str) -> Result<Cow<'_, [u8]>> {
        Ok(match start {
            Start::Int(value) => Cow::Borrowed(format_i64(value, &mut self.int_text)),
            Start::Plain(len) => match self.checked_len(len, what)? {
                len @ ..=BUFFER_LEN => Cow::Borrowed(self.input.take(len, what)?),
                len => {
                    let mut out = Vec::new();
                    self.input.append(len, what, &mut out)?;
                    Cow::Owned(out)
                }
            },
            Start::Lzf => {
                let mut out = Vec::new();
                self.expand(&mut out, what)?;
                Cow::Owned(out)
            }
        })
    }

    /// A string, borrowed from the buffer where it fits in.
    pub(crate) fn string(&mut self, what: &'static str) -> Result<Cow<'_, [u8]>> {
        let start = self.start(what)?;
        self.text(start, what)
    }

    fn skip_string(&mut self, what: &'static str) -> Result<()> {
        match self.start(what)? {
            Start::Plain(len) => Ok(self.input.skip(len, what)?),
            Start::Int(_) => Ok(()),
            Start::Lzf => {
                let packed_len = self.len(what)?;
                self.len(what)?;
                Ok(self.input.skip(packed_len, what)?)
            }
        }
    }

    pub(crate) fn skip_module_aux(&mut self) -> Result<()> {
        self.len("a module's id")?;
        loop {
            let at = self.input.offset();
            match self.len("an annotation of module data")? {
                0 => return Ok(()),
                1 | 2 => {
                    self.len("an integer of a module")?;
                }
                3 => self.input.skip(4, "a float of a module")?,
                4 => self.input.skip(8, "a double of a module")?,
                5 => self.skip_string("a string of a module")?,
                other => return self.corrupt(at, format!("unknown annotation {other} of module data")),
            }
        }
    }

    /// A string that holds a listpack.
    fn listpack(&mut self, what: &'static str) -> Result<Listpack> {
        let at = self.input.offset();
        let bytes = self.string(what)?;
        if bytes.len() >= LISTPACK_MAX_BYTES {
            let fault = Fault::TooLong { what, len: bytes.len() as u64, max: LISTPACK_MAX_BYTES as u64 };
            return Err(Box::new(RdbError { offset: at, key: None, fault }));
        }
        match Listpack::validate(bytes) {
            Ok(listpack) => Ok(listpack),
            Err(error) => self.corrupt(at, format!("{error}")),
        }
    }

    fn ziplist(&mut self) -> Result<Listpack> {
        let at = self.input.offset();
        let bytes = self.string("a ziplist")?;
        match ziplist_to_listpack(&bytes) {
            Ok(listpack) => Ok(listpack),
            Err(error) => self.corrupt(at, format!("{error}")),
        }
    }

    fn intset(&mut self) -> Result<Intset> {
        let at = self.input.offset();
        let bytes = self.string("an intset")?;
        match Intset::validate(bytes) {
            Ok(intset) => Ok(intset),
            Err(error) => self.corrupt(at, format!("{error}")),
        }
    }

    fn score_text(&mut self) -> Result<f64> {
        let at = self.input.offset();
        match self.byte("a score")? {
            253 => self.corrupt(at, "a score is not a number"),
            254 => Ok(f64::INFINITY),
            255 => Ok(f64::NEG_INFINITY),
            len => match parse_f64(self.input.take(usize::from(len), "a score")?) {
                Some(score) => Ok(score),
                None => self.corrupt(at, "the text of a score is not a number"),
            },
        }
    }

    fn score(&mut self) -> Result<f64> {
        let at = self.input.offset();
        let score = f64::from_le_bytes(self.input.array("a score")?);
        if score.is_nan() {
            return self.corrupt(at, "a score is not a number");
        }
        Ok(score)
    }

    /// An expiry in milliseconds as unsigned numbers give it.
    fn expiry(&self, at: u64, value: u64) -> Result<i64> {
        match i64::try_from(value) {
            Ok(value) => Ok(value),
            Err(_) => self.corrupt(at, "a field's expiry is out of range"),
        }
    }

    /// Decodes the value of a key whose type stands at `at`.
    pub(crate) fn value(
        &mut self,
        at: u64,
        number: u8,
        version: u32,
        meta: &KeyMeta<'_>,
        visitor: &mut impl Visitor,
    ) -> Result<()> {
        match number {
            kind::STRING => {
                let answer = match self.start("a string")? {
                    Start::Int(value) => visitor.int(meta, value),
                    start @ (Start::Plain(_) | Start::Lzf) => visitor.string(meta, self.text(start, "a string")?),
                };
                self.visited(answer)
            }
            kind::LIST | kind::SET => {
                let len = self.len("the number of elements")?;
                let list = number == kind::LIST;
                self.parts(meta, if list { Kind::List } else { Kind::Set }, len, visitor, |decoder, visitor| {
                    let item = decoder.string("an element")?;
                    let answer = if list { visitor.list_item(&item) } else { visitor.set_member(&item) };
                    decoder.visited(answer)
                })
            }
            kind::ZSET | kind::ZSET_2 => {
                let len = self.len("the number of members")?;
                let mut member = Vec::new();
                self.parts(meta, Kind::Zset, len, visitor, |decoder, visitor| {
                    decoder.string_into(&mut member, "a member")?;
                    let score = if number == kind::ZSET { decoder.score_text()? } else { decoder.score()? };
                    decoder.visited(visitor.zset_member(&member, score))
                })
            }
            kind::HASH | kind::HASH_2 | kind::HASH_METADATA => self.hash(number, version, meta, visitor),
            kind::HASH_LISTPACK_EX | kind::HASH_LISTPACK_EX_PRE_GA => self.hash_triples(number, meta, visitor),
            kind::LIST_QUICKLIST | kind::LIST_QUICKLIST_2 => self.quicklist(number, meta, visitor),
            kind::LIST_ZIPLIST => {
                let items = self.ziplist()?;
                if items.is_empty() {
                    return self.visited(visitor.empty_key(meta));
                }
                self.visited(visitor.begin(meta, Kind::List, 1))?;
                self.list_chunk(items, visitor)?;
                self.visited(visitor.end())
            }
            kind::SET_INTSET => {
                let members = self.intset()?;
                let empty = members.is_empty();
                self.visited(if empty { visitor.empty_key(meta) } else { visitor.set_intset(meta, members) })
            }
            kind::SET_LISTPACK => {
                let members = self.listpack("a set's listpack")?;
                let empty = members.is_empty();
                self.visited(if empty { visitor.empty_key(meta) } else { visitor.set_packed(meta, members) })
            }
            kind::HASH_ZIPMAP | kind::HASH_ZIPLIST | kind::HASH_LISTPACK | kind::ZSET_ZIPLIST | kind::ZSET_LISTPACK => {
                self.pairs(number, meta, visitor)
            }
            _ => {
                let fault = Fault::Unsupported { name: kind_name(number), number };
                Err(Box::new(RdbError { offset: at, key: None, fault }))
            }
        }
    }

    /// A value of `len` parts, each of which `part` reads.
    fn parts<V: Visitor>(
        &mut self,
        meta: &KeyMeta<'_>,
        kind: Kind,
        len: u64,
        visitor: &mut V,
        mut part: impl FnMut(&mut Self, &mut V) -> Result<()>,
    ) -> Result<()> {
        if len == 0 {
            return self.visited(visitor.empty_key(meta));
        }
        self.visited(visitor.begin(meta, kind, len))?;
        for _ in 0..len {
            part(self, visitor)?;
        }
        self.visited(visitor.end())
    }

    fn pairs(&mut self, number: u8, meta: &KeyMeta<'_>, visitor: &mut impl Visitor) -> Result<()> {
        let at = self.input.offset();
        let pairs = match number {
            kind::HASH_ZIPMAP => {
                let bytes = self.string("a zipmap")?;
                match zipmap_to_listpack(&bytes) {
                    Ok(pairs) => pairs,
                    Err(error) => return self.corrupt(at, format!("{error}")),
                }
            }
            kind::HASH_ZIPLIST | kind::ZSET_ZIPLIST => self.ziplist()?,
            _ => self.listpack("a listpack of pairs")?,
        };
        let len = pairs.len();
        if !len.is_multiple_of(2) {
            return self.corrupt(at, format!("{len} elements do not make pairs"));
        }
        // Whether a zipmap, the oldest of the packed forms, may stay packed depends on the length of its values too, as
        // in Redis: its fields come one by one.
        if number == kind::HASH_ZIPMAP && len > 0 {
            self.visited(visitor.begin(meta, Kind::Hash, len as u64 / 2))?;
            let (mut field_digits, mut value_digits) = ([0; I64_TEXT_MAX], [0; I64_TEXT_MAX]);
            let mut elems = pairs.iter();
            while let (Some(field), Some(value)) = (elems.next(), elems.next()) {
                let (field, value) = (field.as_bytes(&mut field_digits), value.as_bytes(&mut value_digits));
                self.visited(visitor.hash_field(field, value, None))?;
            }
            return self.visited(visitor.end());
        }
        self.visited(match number {
            _ if len == 0 => visitor.empty_key(meta),
            kind::ZSET_ZIPLIST | kind::ZSET_LISTPACK => visitor.zset_packed(meta, pairs),
            _ => visitor.hash_packed(meta, pairs),
        })
    }

    fn hash(&mut self, number: u8, version: u32, meta: &KeyMeta<'_>, visitor: &mut impl Visitor) -> Result<()> {
        let least = match number {
            kind::HASH_METADATA => u64::from_le_bytes(self.input.array("the least expiry")?),
            _ => 0,
        };
        let len = self.len("the number of fields")?;
        let mut field = Vec::new();
        self.parts(meta, Kind::Hash, len, visitor, |decoder, visitor| {
            let mut expire_ms = None;
            if number != kind::HASH && version < VERSION_VALKEY {
                let at = decoder.input.offset();
                let stated = decoder.len("a field's expiry")?;
                if stated != 0 {
                    let offset = if number == kind::HASH_METADATA { stated - 1 } else { stated };
                    expire_ms = Some(decoder.expiry(at, least.saturating_add(offset))?);
                }
            }
            decoder.string_into(&mut field, "a field")?;
            if number == kind::HASH_2 && version >= VERSION_VALKEY {
                let mut value = mem::take(&mut decoder.packed);
                decoder.string_into(&mut value, "a field's value")?;
                let at = decoder.input.offset();
                let stated = i64::from_le_bytes(decoder.input.array("a field's expiry")?);
                if stated < -1 {
                    return decoder.corrupt(at, "a field's expiry is out of range");
                }
                let expire_ms = (stated != -1).then_some(stated);
                decoder.visited(visitor.hash_field(&field, &value, expire_ms))?;
                decoder.packed = value;
                return Ok(());
            }
            let value = decoder.string("a field's value")?;
            let answer = visitor.hash_field(&field, &value, expire_ms);
            decoder.visited(answer)
        })
    }

    fn hash_triples(&mut self, number: u8, meta: &KeyMeta<'_>, visitor: &mut impl Visitor) -> Result<()> {
        if number == kind::HASH_LISTPACK_EX {
            self.input.skip(8, "the least expiry")?;
        }
        let at = self.input.offset();
        let triples = self.listpack("a listpack of fields with expiries")?;
        let len = triples.len();
        if !len.is_multiple_of(3) {
            return self.corrupt(at, format!("{len} elements do not make fields with values and expiries"));
        }
        let (mut field_text, mut value_text) = ([0; I64_TEXT_MAX], [0; I64_TEXT_MAX]);
        let mut items = triples.iter();
        self.parts(meta, Kind::Hash, len as u64 / 3, visitor, |decoder, visitor| {
            let mut next = || items.next().expect("as many elements as were counted");
            let (field, value, expiry) = (next(), next(), next());
            let expire_ms = match expiry.as_int() {
                Some(0) => None,
                Some(expire_ms @ 1..) => Some(expire_ms),
                _ => return decoder.corrupt(at, "a field's expiry is not a positive number"),
            };
            let answer =
                visitor.hash_field(field.as_bytes(&mut field_text), value.as_bytes(&mut value_text), expire_ms);
            decoder.visited(answer)
        })
    }

    /// Hands over the elements of a list in chunks that can be written again.
    fn list_chunk(&self, mut items: Listpack, visitor: &mut impl Visitor) -> Result<()> {
        while items.len() > CHUNK_LEN_MAX {
            let rest = items.split_off(CHUNK_LEN_MAX);
            self.visited(visitor.list_chunk(items))?;
            items = rest;
        }
        self.visited(visitor.list_chunk(items))
    }

    fn quicklist(&mut self, number: u8, meta: &KeyMeta<'_>, visitor: &mut impl Visitor) -> Result<()> {
        let len = self.len("the number of chunks")?;
        let mut begun = false;
        for _ in 0..len {
            let at = self.input.offset();
            let container = match number {
                kind::LIST_QUICKLIST_2 => self.len("a chunk's kind")?,
                _ => 0,
            };
            let chunk = match container {
                0 if number == kind::LIST_QUICKLIST => Ok(self.ziplist()?),
                2 => Ok(self.listpack("a chunk's listpack")?),
                1 => Err(self.string("an element")?.into_owned()),
                _ => return self.corrupt(at, format!("unknown kind {container} of a list's chunk")),
            };
            // Chunks without elements are left out, as they may come from writers with a fault that is known.
            if matches!(&chunk, Ok(items) if items.is_empty()) {
                continue;
            }
            if !begun {
                self.visited(visitor.begin(meta, Kind::List, len))?;
                begun = true;
            }
            match chunk {
                Ok(items) => self.list_chunk(items, visitor)?,
                Err(item) => self.visited(visitor.list_plain(item))?,
            }
        }
        self.visited(if begun { visitor.end() } else { visitor.empty_key(meta) })
    }
}
