//! The fields of a packed hash with their values, in as few bytes as can be searched: a hash of some short fields is mostly these.
//!
//! ```text
//! ┌────────────────┬─────────┬─────────┬─────────┬─────────┬───┐      each as crate::elem spells it,
//! │ number of      │ field 0 │ value 0 │ field 1 │ value 1 │ … │      one right after the other
//! │ fields, u16 LE │         │         │         │         │   │
//! └────────────────┴─────────┴─────────┴─────────┴─────────┴───┘
//! ```
//!
//! A listpack says the same with five bytes more at its ends and one or two more for each element, so that it can be walked backwards;
//! nobody walks hashes backwards. Whoever needs one (RDB files, `DUMP`) makes it with [`Fields::to_listpack`].
//!
//! This module reads such bytes and plans changes to them ([`Edit`]); whose they are, and how they grow, is their owner's concern.
//!
//! Limits: [`FIELDS_MAX_BYTES`] in all; fields are found by looking at one after the other.

use alloc::vec;
use alloc::vec::Vec;
use core::fmt;
use core::ops::Range;

use crate::elem::{Elem, Needle, data_size, decode, encode, encoded_len};
use crate::listpack::Listpack;

/// The most bytes that fields may take, count included.
pub const FIELDS_MAX_BYTES: usize = u16::MAX as usize;

/// The bytes of no fields.
pub const NO_FIELDS: &[u8] = &[0; COUNT_LEN];

const COUNT_LEN: usize = 2;

/// Fields and values, borrowed.
#[derive(Clone, Copy)]
pub struct Fields<'a>(&'a [u8]);

impl fmt::Debug for Fields<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

/// A change of fields: which bytes are to be replaced by which.
#[derive(Debug)]
pub struct Edit<'a> {
    place: Range<usize>,
    field: Option<Elem<'a>>,
    value: Option<Elem<'a>>,
    count: usize,
    old_len: usize,
}

impl Edit<'_> {
    /// Whether there are more fields after the change.
    pub fn adds(&self) -> bool {
        self.field.is_some()
    }

    /// How many fields there are after the change.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Which bytes are to be replaced.
    pub fn place(&self) -> Range<usize> {
        self.place.clone()
    }

    /// By how many bytes they are to be replaced.
    pub fn size(&self) -> usize {
        self.field.map_or(0, data_size) + self.value.map_or(0, data_size)
    }

    /// How many bytes there are after the change.
    pub fn new_len(&self) -> usize {
        self.old_len - self.place.len() + self.size()
    }

    /// Makes the change in bytes of one's own.
    pub fn apply(&self, bytes: &mut Vec<u8>) {
        let (new_len, tail) = (self.new_len(), self.place.start + self.size());
        bytes.resize(new_len.max(self.old_len), 0);
        bytes.copy_within(self.place.end..self.old_len, tail);
        bytes.truncate(new_len);
        self.write(bytes);
    }

    /// Completes the change in `bytes`, where [`Edit::place`] has [`Edit::size`] bytes by now.
    pub fn write(&self, bytes: &mut [u8]) {
        bytes[..COUNT_LEN].copy_from_slice(&(self.count as u16).to_le_bytes());
        let mut at = self.place.start;
        for elem in [self.field, self.value].into_iter().flatten() {
            at += encode(elem, &mut bytes[at..]);
        }
    }
}

/// The bytes of some fields with their values; `None` if they are too long for this form.
pub fn pack<'a>(pairs: impl Iterator<Item = (Elem<'a>, Elem<'a>)> + Clone) -> Option<Vec<u8>> {
    let (mut count, mut len) = (0usize, COUNT_LEN);
    for (field, value) in pairs.clone() {
        count += 1;
        len += data_size(field) + data_size(value);
    }
    if len > FIELDS_MAX_BYTES {
        return None;
    }
    let mut bytes = vec![0; len];
    bytes[..COUNT_LEN].copy_from_slice(&(count as u16).to_le_bytes());
    let mut at = COUNT_LEN;
    for (field, value) in pairs {
        at += encode(field, &mut bytes[at..]);
        at += encode(value, &mut bytes[at..]);
    }
    Some(bytes)
}

impl<'a> Fields<'a> {
    /// Looks at bytes that were made here.
    #[inline]
    pub fn new(bytes: &'a [u8]) -> Fields<'a> {
        Fields(bytes)
    }

    /// The bytes.
    #[inline]
    pub fn as_bytes(self) -> &'a [u8] {
        self.0
    }

    /// How many fields there are.
    #[inline]
    pub fn len(self) -> usize {
        usize::from(u16::from_le_bytes([self.0[0], self.0[1]]))
    }

    /// Whether there is no field.
    #[inline]
    pub fn is_empty(self) -> bool {
        self.0.len() == COUNT_LEN
    }

    /// All fields with their values.
    pub fn iter(self) -> Iter<'a> {
        Iter(&self.0[COUNT_LEN..])
    }

    /// Where the value of a field is, and where the field begins.
    fn find(self, field: &[u8]) -> Option<(usize, usize)> {
        let needle = Needle::new(field);
        let mut at = COUNT_LEN;
        while at < self.0.len() {
            let (elem, len) = decode(&self.0[at..]);
            if needle.matches(elem) {
                return Some((at + len, at));
            }
            at = self.end_of(at + len);
        }
        None
    }

    /// Where the element ends that begins at `at`.
    #[inline]
    fn end_of(self, at: usize) -> usize {
        at + encoded_len(&self.0[at..]).expect("fields are written here only")
    }

    /// The value of a field.
    #[inline]
    pub fn get(self, field: &[u8]) -> Option<Elem<'a>> {
        let (value, _) = self.find(field)?;
        Some(decode(&self.0[value..]).0)
    }

    /// Whether there is such a field.
    pub fn contains(self, field: &[u8]) -> bool {
        self.find(field).is_some()
    }

    /// How to set a field: its value is replaced, or it is added at the end.
    pub fn set<'b>(self, field: &'b [u8], value: &'b [u8]) -> Edit<'b> {
        let (count, old_len, value) = (self.len(), self.0.len(), Some(Elem::from(value)));
        match self.find(field) {
            Some((at, _)) => Edit { place: at..self.end_of(at), field: None, value, count, old_len },
            None => Edit { place: old_len..old_len, field: Some(Elem::from(field)), value, count: count + 1, old_len },
        }
    }

    /// How to remove a field; `None` if there is none.
    pub fn unset(self, field: &[u8]) -> Option<Edit<'static>> {
        let (value, start) = self.find(field)?;
        let place = start..self.end_of(value);
        Some(Edit { place, field: None, value: None, count: self.len() - 1, old_len: self.0.len() })
    }

    /// The same as a listpack: field, value, field, value ….
    pub fn to_listpack(self) -> Listpack {
        let elems = || self.iter().flat_map(|(field, value)| [field, value]);
        let mut listpack = Listpack::with_capacity(Listpack::size_of(elems()));
        elems().for_each(|elem| listpack.push_back(elem));
        listpack
    }
}

/// Iterator over fields and values.
#[derive(Clone)]
pub struct Iter<'a>(&'a [u8]);

impl<'a> Iterator for Iter<'a> {
    type Item = (Elem<'a>, Elem<'a>);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let (field, len) = decode(self.0);
        let (value, value_len) = decode(&self.0[len..]);
        self.0 = &self.0[len + value_len..];
        Some((field, value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::BTreeMap;
    use alloc::format;
    use alloc::string::ToString;
    use proptest::collection::vec;
    use proptest::prelude::*;

    /// Makes a change in both ways.
    fn apply(bytes: &mut Vec<u8>, edit: &Edit<'_>) {
        let mut other = bytes.clone();
        other.splice(edit.place(), core::iter::repeat_n(0xee, edit.size()));
        edit.write(&mut other);
        edit.apply(bytes);
        assert_eq!((&other, other.len()), (&*bytes, edit.new_len()));
    }

    fn text() -> impl Strategy<Value = Vec<u8>> {
        prop_oneof![
            4 => (0i64..40).prop_map(|number| number.to_string().into_bytes()),
            2 => any::<i64>().prop_map(|number| number.to_string().into_bytes()),
            4 => (0u32..10).prop_map(|number| format!("f{number}").into_bytes()),
            1 => (60usize..70).prop_map(|len| vec![b'x'; len]),
            1 => (4090usize..4100).prop_map(|len| vec![b'y'; len]),
        ]
    }

    proptest! {
        #[test]
        fn edits_make_what_a_map_holds(steps in vec((0u8..4, text(), text()), 1..60)) {
            let mut bytes = NO_FIELDS.to_vec();
            let mut model: BTreeMap<Vec<u8>, Vec<u8>> = BTreeMap::new();
            for (step, field, value) in steps {
                if step > 0 {
                    let edit = Fields::new(&bytes).set(&field, &value);
                    prop_assert_eq!(edit.adds(), !model.contains_key(&field));
                    if edit.new_len() <= FIELDS_MAX_BYTES {
                        apply(&mut bytes, &edit);
                        model.insert(field, value);
                    }
                } else {
                    let edit = Fields::new(&bytes).unset(&field);
                    prop_assert_eq!(edit.is_some(), model.remove(&field).is_some());
                    edit.into_iter().for_each(|edit| apply(&mut bytes, &edit));
                }
                let fields = Fields::new(&bytes);
                prop_assert_eq!((fields.len(), fields.is_empty()), (model.len(), model.is_empty()));
                let mut pairs: Vec<_> = fields.iter().map(|(field, value)| (field.to_vec(), value.to_vec())).collect();
                pairs.sort();
                prop_assert!(pairs.into_iter().eq(model.clone()));
                for (field, value) in &model {
                    prop_assert!(fields.contains(field) && fields.get(field).unwrap().is(value));
                }
                prop_assert!(fields.get(b"absent").is_none() && !fields.contains(b"absent"));
            }
            let fields = Fields::new(&bytes);
            let listpack = fields.to_listpack();
            prop_assert_eq!(listpack.capacity(), listpack.byte_len());
            prop_assert!(listpack.iter().eq(fields.iter().flat_map(|(field, value)| [field, value])));
            prop_assert_eq!(pack(fields.iter()).unwrap(), bytes);
        }
    }

    #[test]
    fn the_bytes_are_those_of_the_picture() {
        let bytes = pack([(Elem::Bytes(b"a"), Elem::Int(5)), (Elem::Bytes(b"bc"), Elem::Bytes(b""))].into_iter());
        assert_eq!(bytes.unwrap(), b"\x02\x00\x81a\x05\x82bc\x80");
        assert_eq!(pack(core::iter::empty()).unwrap(), NO_FIELDS);
        let long = [b'x'; 40_000];
        let pair = (Elem::Bytes(&long[..]), Elem::Bytes(&long[..]));
        assert_eq!(pack(core::iter::once(pair)), None);
    }
}
