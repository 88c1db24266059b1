//! Hashes: small ones inside their entry, others as a trie of entries.
//!
//! ```text
//! "listpack"   entry: … key │ number of fields │ field │ value │ field │ value │ …      (base::fields)
//! "hashtable"  entry: … pointer … key;   trie ─► entry: field → value
//! ```
//!
//! A small hash is the commonest object that people keep, and it is most of all its bytes: inside the entry it costs no pointer, no
//! second allocation and no second wait for memory. `OBJECT ENCODING` calls it what Redis calls it, and RDB files get the listpack
//! that Redis would have.
//!
//! As a small hash lives in its entry, and moves with it when it grows, changing a hash ([`HashMut`]) is changing an entry.
//!
//! A clone of a big hash is O(1); a small one is copied. A hash leaves its packed form where Redis 7.2's does (too many
//! fields, or a long field or value) and never returns to it.
//!
//! Limits: packed fields take at most 64 KiB together; with limits that would allow more, a hash becomes a table there.

use base::fields::{self, Edit, FIELDS_MAX_BYTES, Fields, NO_FIELDS};
use base::listpack::{self, Elem, Listpack};

use crate::entry::Entry;
use crate::hasher::hash;
use crate::limits::Limits;
use crate::packed::{PackedError, check_distinct, pick, string_of};
use crate::trie::{self, Slot, Trie};

/// A hash on its way into an entry.
#[derive(Clone)]
pub struct Hash(pub(crate) Form);

/// What a hash is made of.
#[derive(Clone)]
pub(crate) enum Form {
    /// Fields as `base::fields` spells them; without any byte if there are none.
    Packed(Vec<u8>),
    Table(Box<Trie>),
}

impl Form {
    /// The bytes of the fields of a packed hash.
    pub(crate) fn packed(&self) -> Option<&[u8]> {
        match self {
            Form::Packed(bytes) if bytes.is_empty() => Some(NO_FIELDS),
            Form::Packed(bytes) => Some(bytes),
            Form::Table(_) => None,
        }
    }
}

/// A hash to be read.
#[derive(Clone, Copy)]
pub struct HashRef<'a>(pub(crate) Shape<'a>);

/// The form of a hash, borrowed.
#[derive(Clone, Copy)]
pub(crate) enum Shape<'a> {
    Packed(Fields<'a>),
    Table(&'a Trie),
}

/// A hash to be changed, in its entry.
#[derive(Debug)]
pub struct HashMut<'a>(&'a mut Entry);

impl Default for Hash {
    fn default() -> Self {
        Hash::new()
    }
}

impl std::fmt::Debug for Hash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.as_ref().fmt(f)
    }
}

impl std::fmt::Debug for HashRef<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl Hash {
    /// An empty hash.
    pub fn new() -> Hash {
        Hash(Form::Packed(Vec::new()))
    }

    /// The hash of a listpack of fields and values; a table if these are more or longer than a packed one may be.
    ///
    /// # Errors
    /// If a field has no value or is there twice.
    pub fn from_listpack(listpack: &Listpack, limits: &Limits) -> Result<Hash, PackedError> {
        let len = listpack.len();
        if !len.is_multiple_of(2) {
            return Err(PackedError::Odd);
        }
        check_distinct(listpack, 2)?;
        let pairs = Pairs(listpack.iter());
        let packed = if len / 2 > limits.hash_max_listpack_entries { None } else { fields::pack(pairs.clone()) };
        Ok(Hash(packed.map_or_else(|| Form::Table(table_of(pairs)), Form::Packed)))
    }

    /// The hash, to be read.
    pub fn as_ref(&self) -> HashRef<'_> {
        HashRef(match &self.0 {
            Form::Table(table) => Shape::Table(table),
            form => Shape::Packed(Fields::new(form.packed().expect("it is no table"))),
        })
    }
}

/// What the encoding of a short field or value takes beside its text, at most.
const ENCODING_MAX: usize = 5;

/// Whether a hash stays packed with this change.
fn fits(edit: &Edit<'_>, limits: &Limits) -> bool {
    let too_many = edit.adds() && edit.count() > limits.hash_max_listpack_entries;
    !too_many && edit.new_len() <= FIELDS_MAX_BYTES
}

/// A table of some fields.
fn table_of<'a>(pairs: impl Iterator<Item = (Elem<'a>, Elem<'a>)>) -> Box<Trie> {
    let mut table = Trie::new();
    for (field, value) in pairs {
        let (field_buffer, value_buffer) = (&mut [0; 20], &mut [0; 20]);
        let field = field.as_bytes(field_buffer);
        table.insert(hash(field), Entry::new_bytes(field, value.as_bytes(value_buffer), None));
    }
    Box::new(table)
}

impl<'a> HashRef<'a> {
    /// How many fields there are.
    pub fn len(self) -> usize {
        match self.0 {
            Shape::Packed(fields) => fields.len(),
            Shape::Table(table) => table.len(),
        }
    }

    /// Whether there is no field.
    pub fn is_empty(self) -> bool {
        match self.0 {
            Shape::Packed(fields) => fields.is_empty(),
            Shape::Table(table) => table.is_empty(),
        }
    }

    /// The name of the form in `OBJECT ENCODING`.
    pub fn encoding(self) -> &'static str {
        match self.0 {
            Shape::Packed(_) => "listpack",
            Shape::Table(_) => "hashtable",
        }
    }

    /// Whether the hash is small.
    pub fn is_packed(self) -> bool {
        matches!(self.0, Shape::Packed(_))
    }

    /// The listpack that Redis would have for a packed hash.
    pub fn to_listpack(self) -> Option<Listpack> {
        match self.0 {
            Shape::Packed(fields) => Some(fields.to_listpack()),
            Shape::Table(_) => None,
        }
    }

    /// The hash, to be put into another entry.
    pub fn to_hash(self) -> Hash {
        Hash(match self.0 {
            Shape::Packed(fields) => Form::Packed(fields.as_bytes().to_vec()),
            Shape::Table(table) => Form::Table(Box::new(table.clone())),
        })
    }

    /// Bytes of heap memory beside the entry; estimated where the hash is big.
    pub fn memory_usage(self) -> usize {
        match self.0 {
            Shape::Packed(_) => 0,
            Shape::Table(table) => size_of::<Trie>() + table.memory_usage(),
        }
    }

    /// The value of a field.
    #[inline]
    pub fn get(self, field: &[u8]) -> Option<Elem<'a>> {
        match self.0 {
            Shape::Packed(fields) => fields.get(field),
            Shape::Table(table) => table.find(hash(field), field).map(string_of),
        }
    }

    /// Whether there is such a field.
    pub fn contains(self, field: &[u8]) -> bool {
        match self.0 {
            Shape::Packed(fields) => fields.contains(field),
            Shape::Table(table) => table.find(hash(field), field).is_some(),
        }
    }

    /// All fields with their values, in no promised order.
    pub fn iter(self) -> Iter<'a> {
        Iter(match self.0 {
            Shape::Packed(fields) => IterForm::Packed(fields.iter()),
            Shape::Table(table) => IterForm::Table(table.iter()),
        })
    }

    /// Gives fields from a cursor on, about `count` of them; returns the cursor to go on from, 0 at the end.
    ///
    /// A packed hash gives everything at once. Fields that are there from the first call to the last are given.
    pub fn scan(self, cursor: u64, count: usize, mut give: impl FnMut(Elem<'_>, Elem<'_>)) -> u64 {
        match self.0 {
            Shape::Packed(fields) => {
                fields.iter().for_each(|(field, value)| give(field, value));
                0
            }
            Shape::Table(table) => table.scan(cursor, count, |entry| give(Elem::Bytes(entry.key()), string_of(entry))),
        }
    }

    /// A random field with its value, each as likely as any other.
    pub fn random(self, mut random: impl FnMut() -> u64) -> Option<(Elem<'a>, Elem<'a>)> {
        match self.0 {
            Shape::Packed(fields) => fields.iter().nth(pick(random(), fields.len())),
            Shape::Table(table) => {
                let entry = table.random(random)?;
                Some((Elem::Bytes(entry.key()), string_of(entry)))
            }
        }
    }
}

impl<'a> HashMut<'a> {
    /// The hash that an entry holds.
    #[inline]
    pub(crate) fn new(entry: &'a mut Entry) -> HashMut<'a> {
        HashMut(entry)
    }

    /// The hash, to be read.
    #[inline]
    pub fn as_ref(&self) -> HashRef<'_> {
        self.0.hash().expect("the entry holds a hash")
    }

    /// Leaves the packed form.
    fn make_table(&mut self) {
        if let Shape::Packed(fields) = self.as_ref().0 {
            let table = table_of(fields.iter());
            self.0.set_hash(Hash(Form::Table(table)));
        }
    }

    /// Decides on the form before `count` fields are set, the longest of all fields and values being `longest` bytes.
    ///
    /// Commands call it once with all their arguments, so that a hash that will be big is so from the start; setting a
    /// single field does the same by itself.
    #[inline]
    pub fn reserve(&mut self, count: usize, longest: usize, limits: &Limits) {
        if count > limits.hash_max_listpack_entries || longest > limits.hash_max_listpack_value {
            self.make_table();
        }
    }

    /// Sets some fields, one after the other; how many are new.
    pub fn insert_all<'b>(
        &mut self,
        mut pairs: impl Iterator<Item = (&'b [u8], &'b [u8])> + Clone,
        limits: &Limits,
    ) -> usize {
        let (mut count, mut bytes, mut longest) = (0, 0, 0);
        for (field, value) in pairs.clone() {
            count += 1;
            bytes += field.len() + value.len() + 2 * ENCODING_MAX;
            longest = longest.max(field.len()).max(value.len());
        }
        self.reserve(count, longest, limits);
        let mut added = 0;
        if let Shape::Packed(fields) = self.as_ref().0 {
            // They are set in a copy, so that the entry grows but once.
            let mut copy = Vec::with_capacity(fields.as_bytes().len() + bytes);
            copy.extend_from_slice(fields.as_bytes());
            let mut left = pairs.clone();
            while let Some((field, value)) = left.next() {
                let edit = Fields::new(&copy).set(field, value);
                if !fits(&edit, limits) {
                    break;
                }
                edit.apply(&mut copy);
                added += usize::from(edit.adds());
                pairs = left.clone();
            }
            self.0.set_fields(&copy);
        }
        added + pairs.filter(|(field, value)| self.insert(field, value, limits)).count()
    }

    /// Sets a field; true if it is new.
    #[inline]
    pub fn insert(&mut self, field: &[u8], value: &[u8], limits: &Limits) -> bool {
        self.reserve(1, field.len().max(value.len()), limits);
        if let Shape::Packed(fields) = self.as_ref().0 {
            let edit = fields.set(field, value);
            if fits(&edit, limits) {
                self.0.edit_fields(&edit);
                return edit.adds();
            }
            self.make_table();
        }
        match self.0.table_mut().slot(hash(field), field, None) {
            Slot::Occupied(occupied) => {
                occupied.into_entry().set_bytes(value);
                false
            }
            Slot::Vacant(vacant) => {
                vacant.insert(Entry::new_bytes(field, value, None));
                true
            }
        }
    }

    /// Removes a field; false if there is none.
    pub fn remove(&mut self, field: &[u8]) -> bool {
        match self.as_ref().0 {
            Shape::Packed(fields) => match fields.unset(field) {
                Some(edit) => {
                    self.0.edit_fields(&edit);
                    true
                }
                None => false,
            },
            Shape::Table(_) => self.0.table_mut().remove(hash(field), field).is_some(),
        }
    }
}

/// The pairs of a listpack of fields and values.
#[derive(Clone)]
struct Pairs<'a>(listpack::Iter<'a>);

impl<'a> Iterator for Pairs<'a> {
    type Item = (Elem<'a>, Elem<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        Some((self.0.next()?, self.0.next()?))
    }
}

enum IterForm<'a> {
    Packed(fields::Iter<'a>),
    Table(trie::Iter<'a>),
}

/// Iterator over a hash's fields and values.
pub struct Iter<'a>(IterForm<'a>);

impl<'a> Iterator for Iter<'a> {
    type Item = (Elem<'a>, Elem<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        match &mut self.0 {
            IterForm::Packed(pairs) => pairs.next(),
            IterForm::Table(entries) => entries.next().map(|entry| (Elem::Bytes(entry.key()), string_of(entry))),
        }
    }
}

#[cfg(test)]
#[path = "hash_tests.rs"]
mod tests;
