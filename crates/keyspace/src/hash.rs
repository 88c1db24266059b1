//! Hashes: small ones in one listpack of field, value, field, value …, others as a trie of entries.
//!
//! ```text
//! "listpack"   [ field ][ value ][ field ][ value ] …
//! "hashtable"  trie ─► entry: field → value
//! ```
//!
//! A clone of a big hash is O(1); a small one is copied. A hash leaves its packed form where Redis 7.2's does (too many
//! fields, or a long field or value) and never returns to it.

use base::listpack::{self, Elem, Listpack};

use crate::entry::Entry;
use crate::hasher::hash;
use crate::limits::Limits;
use crate::packed::{PackedError, check_distinct, pick, string_of};
use crate::trie::{self, Slot, Trie};

#[derive(Clone)]
enum Form {
    Packed(Listpack),
    Table(Box<Trie>),
}

/// A hash value.
#[derive(Clone)]
pub struct Hash(Form);

impl Default for Hash {
    fn default() -> Self {
        Hash::new()
    }
}

impl std::fmt::Debug for Hash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl Hash {
    /// An empty hash.
    pub fn new() -> Hash {
        Hash(Form::Packed(Listpack::new()))
    }

    /// Takes over a listpack of fields and values; it becomes a table if it has more fields than the limit.
    ///
    /// # Errors
    /// If a field has no value or is there twice.
    pub fn from_listpack(listpack: Listpack, limits: &Limits) -> Result<Hash, PackedError> {
        let len = listpack.len();
        if !len.is_multiple_of(2) {
            return Err(PackedError::Odd);
        }
        check_distinct(&listpack, 2)?;
        let mut hash = Hash(Form::Packed(listpack));
        if len / 2 > limits.hash_max_listpack_entries {
            hash.make_table();
        }
        Ok(hash)
    }

    /// How many fields there are.
    pub fn len(&self) -> usize {
        match &self.0 {
            Form::Packed(listpack) => listpack.len() / 2,
            Form::Table(table) => table.len(),
        }
    }

    /// Whether there is no field.
    pub fn is_empty(&self) -> bool {
        match &self.0 {
            Form::Packed(listpack) => listpack.is_empty(),
            Form::Table(table) => table.is_empty(),
        }
    }

    /// The name of the form in `OBJECT ENCODING`.
    pub fn encoding(&self) -> &'static str {
        match &self.0 {
            Form::Packed(_) => "listpack",
            Form::Table(_) => "hashtable",
        }
    }

    /// The listpack of a packed hash.
    pub fn as_listpack(&self) -> Option<&Listpack> {
        match &self.0 {
            Form::Packed(listpack) => Some(listpack),
            Form::Table(_) => None,
        }
    }

    /// The table of a big hash.
    pub(crate) fn table(&self) -> Option<&Trie> {
        match &self.0 {
            Form::Packed(_) => None,
            Form::Table(table) => Some(table),
        }
    }

    /// Bytes of heap memory, without this struct itself. Walks the whole table of a big hash.
    pub fn memory_usage(&self) -> usize {
        match &self.0 {
            Form::Packed(listpack) => listpack.capacity(),
            Form::Table(table) => size_of::<Trie>() + table.memory_usage(),
        }
    }

    /// Leaves the packed form.
    fn make_table(&mut self) {
        if let Form::Packed(listpack) = &self.0 {
            let mut table = Trie::new();
            for (field, value) in Pairs(listpack.iter()) {
                let (field_buffer, value_buffer) = (&mut [0; 20], &mut [0; 20]);
                let field = field.as_bytes(field_buffer);
                table.insert(hash(field), Entry::new_bytes(field, value.as_bytes(value_buffer), None));
            }
            self.0 = Form::Table(Box::new(table));
        }
    }

    /// Decides on the form before `count` fields are set, the longest of all fields and values being `longest` bytes.
    ///
    /// Commands call it once with all their arguments, so that a hash that will be big is so from the start; setting a
    /// single field does the same by itself.
    pub fn reserve(&mut self, count: usize, longest: usize, limits: &Limits) {
        if count > limits.hash_max_listpack_entries || longest > limits.hash_max_listpack_value {
            self.make_table();
        }
    }

    /// The value of a field.
    pub fn get(&self, field: &[u8]) -> Option<Elem<'_>> {
        match &self.0 {
            Form::Packed(listpack) => {
                let found = listpack.find(field, listpack.first(), 1)?;
                let value = listpack.next(found).expect("every field has a value");
                Some(listpack.at(value))
            }
            Form::Table(table) => table.find(hash(field), field).map(string_of),
        }
    }

    /// Whether there is such a field.
    pub fn contains(&self, field: &[u8]) -> bool {
        match &self.0 {
            Form::Packed(listpack) => listpack.find(field, listpack.first(), 1).is_some(),
            Form::Table(table) => table.find(hash(field), field).is_some(),
        }
    }

    /// Sets a field; true if it is new.
    pub fn insert(&mut self, field: &[u8], value: &[u8], limits: &Limits) -> bool {
        self.reserve(1, field.len().max(value.len()), limits);
        match &mut self.0 {
            Form::Packed(listpack) => {
                if let Some(found) = listpack.find(field, listpack.first(), 1) {
                    let old = listpack.next(found).expect("every field has a value");
                    listpack.replace(old, Elem::from(value));
                    return false;
                }
                listpack.push_back(Elem::from(field));
                listpack.push_back(Elem::from(value));
                if listpack.len() / 2 > limits.hash_max_listpack_entries {
                    self.make_table();
                }
                true
            }
            Form::Table(table) => match table.slot(hash(field), field, None) {
                Slot::Occupied(occupied) => {
                    occupied.into_entry().set_bytes(value);
                    false
                }
                Slot::Vacant(vacant) => {
                    vacant.insert(Entry::new_bytes(field, value, None));
                    true
                }
            },
        }
    }

    /// Removes a field; false if there is none.
    pub fn remove(&mut self, field: &[u8]) -> bool {
        match &mut self.0 {
            Form::Packed(listpack) => match listpack.find(field, listpack.first(), 1) {
                Some(found) => listpack.remove(found, 2) == 2,
                None => false,
            },
            Form::Table(table) => table.remove(hash(field), field).is_some(),
        }
    }

    /// All fields with their values, in no promised order.
    pub fn iter(&self) -> Iter<'_> {
        Iter(match &self.0 {
            Form::Packed(listpack) => IterForm::Packed(Pairs(listpack.iter())),
            Form::Table(table) => IterForm::Table(table.iter()),
        })
    }

    /// Gives fields from a cursor on, about `count` of them; returns the cursor to go on from, 0 at the end.
    ///
    /// A packed hash gives everything at once. Fields that are there from the first call to the last are given.
    pub fn scan(&self, cursor: u64, count: usize, mut give: impl FnMut(Elem<'_>, Elem<'_>)) -> u64 {
        match &self.0 {
            Form::Packed(listpack) => {
                Pairs(listpack.iter()).for_each(|(field, value)| give(field, value));
                0
            }
            Form::Table(table) => table.scan(cursor, count, |entry| give(Elem::Bytes(entry.key()), string_of(entry))),
        }
    }

    /// A random field with its value, each as likely as any other.
    pub fn random(&self, mut random: impl FnMut() -> u64) -> Option<(Elem<'_>, Elem<'_>)> {
        match &self.0 {
            Form::Packed(listpack) => {
                let len = listpack.len() / 2;
                let field = listpack.seek(2 * pick(random(), len))?;
                let value = listpack.next(field).expect("every field has a value");
                Some((listpack.at(field), listpack.at(value)))
            }
            Form::Table(table) => {
                let entry = table.random(random)?;
                Some((Elem::Bytes(entry.key()), string_of(entry)))
            }
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
    Packed(Pairs<'a>),
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
