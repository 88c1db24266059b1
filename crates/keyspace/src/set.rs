//! Sets: small ones of integers in an intset, other small ones in a listpack, others as a trie of entries.
//!
//! ```text
//! "intset"     sorted integers of one width
//! "listpack"   [ member ][ member ] …
//! "hashtable"  trie ─► entry: member
//! ```
//!
//! A clone of a big set is O(1); a small one is copied. A set changes its form where Redis 7.2's does: a member that is
//! no integer, too many members, a long member; and only [`Set::pack_ints`] leads back.

use base::intset::{INTSET_MAX_LEN, Intset};
use base::listpack::{self, Elem, Listpack};
use base::num::{I64_TEXT_MAX, i64_text_len, parse_i64};

use crate::entry::Entry;
use crate::hasher::hash;
use crate::limits::Limits;
use crate::packed::{PackedError, check_distinct, pick};
use crate::trie::{self, Slot, Trie};

#[derive(Clone)]
enum Form {
    Ints(Intset),
    Packed(Listpack),
    Table(Trie),
}

/// A set value.
#[derive(Clone)]
pub struct Set(Form);

impl Default for Set {
    fn default() -> Self {
        Set::new()
    }
}

impl std::fmt::Debug for Set {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

/// The most bytes that an integer takes in a listpack.
const INT_ENTRY_MAX: usize = 10;

fn intset_max(limits: &Limits) -> usize {
    limits.set_max_intset_entries.min(INTSET_MAX_LEN - 1)
}

impl Set {
    /// An empty set, for integers as long as nothing else comes.
    pub fn new() -> Set {
        Set(Form::Ints(Intset::new()))
    }

    /// An empty set in the form that suits `first` and about `count` members.
    pub fn for_members(first: &[u8], count: usize, limits: &Limits) -> Set {
        Set(if parse_i64(first).is_some() && count <= limits.set_max_intset_entries {
            Form::Ints(Intset::new())
        } else if count <= limits.set_max_listpack_entries {
            Form::Packed(Listpack::new())
        } else {
            Form::Table(Trie::new())
        })
    }

    /// Takes over an intset; it becomes a table if it has more members than the limit.
    pub fn from_intset(intset: Intset, limits: &Limits) -> Set {
        let over = intset.len() > limits.set_max_intset_entries;
        let mut set = Set(Form::Ints(intset));
        if over {
            set.make_table();
        }
        set
    }

    /// Takes over a listpack of members; it becomes a table if it has more members than the limit.
    ///
    /// # Errors
    /// If a member is there twice.
    pub fn from_listpack(listpack: Listpack, limits: &Limits) -> Result<Set, PackedError> {
        check_distinct(&listpack, 1)?;
        let over = listpack.len() > limits.set_max_listpack_entries;
        let mut set = Set(Form::Packed(listpack));
        if over {
            set.make_table();
        }
        Ok(set)
    }

    /// How many members there are.
    pub fn len(&self) -> usize {
        match &self.0 {
            Form::Ints(intset) => intset.len(),
            Form::Packed(listpack) => listpack.len(),
            Form::Table(table) => table.len(),
        }
    }

    /// Whether there is no member.
    pub fn is_empty(&self) -> bool {
        match &self.0 {
            Form::Ints(intset) => intset.is_empty(),
            Form::Packed(listpack) => listpack.is_empty(),
            Form::Table(table) => table.is_empty(),
        }
    }

    /// The name of the form in `OBJECT ENCODING`.
    pub fn encoding(&self) -> &'static str {
        match &self.0 {
            Form::Ints(_) => "intset",
            Form::Packed(_) => "listpack",
            Form::Table(_) => "hashtable",
        }
    }

    /// The intset, if that is the form.
    pub fn as_intset(&self) -> Option<&Intset> {
        match &self.0 {
            Form::Ints(intset) => Some(intset),
            Form::Packed(_) | Form::Table(_) => None,
        }
    }

    /// The listpack, if that is the form.
    pub fn as_listpack(&self) -> Option<&Listpack> {
        match &self.0 {
            Form::Packed(listpack) => Some(listpack),
            Form::Ints(_) | Form::Table(_) => None,
        }
    }

    /// The table of a big set.
    pub(crate) fn table(&self) -> Option<&Trie> {
        match &self.0 {
            Form::Table(table) => Some(table),
            Form::Ints(_) | Form::Packed(_) => None,
        }
    }

    /// Bytes of heap memory, without this struct itself; estimated where the set is big.
    pub fn memory_usage(&self) -> usize {
        match &self.0 {
            Form::Ints(intset) => intset.capacity(),
            Form::Packed(listpack) => listpack.capacity(),
            Form::Table(table) => table.memory_usage(),
        }
    }

    fn make_table(&mut self) {
        if matches!(self.0, Form::Table(_)) {
            return;
        }
        let mut table = Trie::new();
        for member in self.iter() {
            let buffer = &mut [0; I64_TEXT_MAX];
            let member = member.as_bytes(buffer);
            table.insert(hash(member), Entry::new_member(member));
        }
        self.0 = Form::Table(table);
    }

    /// Decides on the form before about `count` members are added at once to what is there.
    pub fn reserve(&mut self, count: usize, limits: &Limits) {
        let max = match &self.0 {
            Form::Ints(_) => limits.set_max_intset_entries,
            Form::Packed(_) => limits.set_max_listpack_entries,
            Form::Table(_) => return,
        };
        if count > max {
            self.make_table();
        }
    }

    /// Makes a set whose members are all integers an intset, if it is small enough for one.
    pub fn pack_ints(&mut self, limits: &Limits) {
        if matches!(self.0, Form::Ints(_)) || self.len() > intset_max(limits) {
            return;
        }
        let mut intset = Intset::new();
        for member in self.iter() {
            let Some(value) = member.as_int() else { return };
            intset.insert(value);
        }
        self.0 = Form::Ints(intset);
    }

    /// Whether `member` is in the set.
    pub fn contains(&self, member: &[u8]) -> bool {
        match &self.0 {
            Form::Ints(intset) => parse_i64(member).is_some_and(|value| intset.contains(value)),
            Form::Packed(listpack) => listpack.find(member, listpack.first(), 0).is_some(),
            Form::Table(table) => table.find(hash(member), member).is_some(),
        }
    }

    /// Adds a member; false if it was there before.
    pub fn insert(&mut self, member: &[u8], limits: &Limits) -> bool {
        if let Form::Ints(intset) = &mut self.0 {
            if let Some(value) = parse_i64(member) {
                let added = intset.insert(value);
                if added && intset.len() > intset_max(limits) {
                    self.make_table();
                }
                return added;
            }
            // The first member that is no integer. The longest integer is the smallest or the largest one.
            let longest = [intset.min(), intset.max()].into_iter().flatten().map(i64_text_len).max();
            if intset.len() < limits.set_max_listpack_entries
                && member.len().max(longest.unwrap_or(0)) <= limits.set_max_listpack_value
                && Listpack::new().has_room(intset.len() * INT_ENTRY_MAX + member.len())
            {
                let mut listpack: Listpack = intset.iter().map(Elem::Int).collect();
                listpack.push_back(Elem::Bytes(member));
                self.0 = Form::Packed(listpack);
                return true;
            }
            self.make_table();
        }
        if let Form::Packed(listpack) = &mut self.0 {
            if listpack.find(member, listpack.first(), 0).is_some() {
                return false;
            }
            if listpack.len() < limits.set_max_listpack_entries
                && member.len() <= limits.set_max_listpack_value
                && listpack.has_room(member.len())
            {
                listpack.push_back(Elem::from(member));
                return true;
            }
            self.make_table();
        }
        let Form::Table(table) = &mut self.0 else { unreachable!("the other forms were left above") };
        match table.slot(hash(member), member, None) {
            Slot::Occupied(_) => false,
            Slot::Vacant(vacant) => {
                vacant.insert(Entry::new_member(member));
                true
            }
        }
    }

    /// Removes a member; false if it was not there.
    pub fn remove(&mut self, member: &[u8]) -> bool {
        match &mut self.0 {
            Form::Ints(intset) => parse_i64(member).is_some_and(|value| intset.remove(value)),
            Form::Packed(listpack) => match listpack.find(member, listpack.first(), 0) {
                Some(found) => listpack.remove(found, 1) == 1,
                None => false,
            },
            Form::Table(table) => table.remove(hash(member), member).is_some(),
        }
    }

    /// All members; integers of an intset in ascending order, else in no promised order.
    pub fn iter(&self) -> Iter<'_> {
        Iter(match &self.0 {
            Form::Ints(intset) => IterForm::Ints(intset, 0),
            Form::Packed(listpack) => IterForm::Packed(listpack.iter()),
            Form::Table(table) => IterForm::Table(table.iter()),
        })
    }

    /// Gives members from a cursor on, about `count` of them; returns the cursor to go on from, 0 at the end.
    ///
    /// A small set gives everything at once. Members that are there from the first call to the last are given.
    pub fn scan(&self, cursor: u64, count: usize, mut give: impl FnMut(Elem<'_>)) -> u64 {
        match &self.0 {
            Form::Ints(_) | Form::Packed(_) => {
                self.iter().for_each(give);
                0
            }
            Form::Table(table) => table.scan(cursor, count, |entry| give(Elem::Bytes(entry.key()))),
        }
    }

    /// A random member, each as likely as any other.
    pub fn random(&self, mut random: impl FnMut() -> u64) -> Option<Elem<'_>> {
        match &self.0 {
            Form::Ints(intset) => intset.get(pick(random(), intset.len())).map(Elem::Int),
            Form::Packed(listpack) => listpack.get(pick(random(), listpack.len())),
            Form::Table(table) => table.random(random).map(|entry| Elem::Bytes(entry.key())),
        }
    }

    /// Removes a random member after `take` has seen it.
    pub fn pop<R>(&mut self, random: impl FnMut() -> u64, take: impl FnOnce(Elem<'_>) -> R) -> Option<R> {
        let member = self.random(random)?;
        let text = member.to_vec();
        let result = take(member);
        let removed = self.remove(&text);
        assert!(removed, "the member was just found");
        Some(result)
    }
}

enum IterForm<'a> {
    Ints(&'a Intset, usize),
    Packed(listpack::Iter<'a>),
    Table(trie::Iter<'a>),
}

/// Iterator over a set's members.
pub struct Iter<'a>(IterForm<'a>);

impl<'a> Iterator for Iter<'a> {
    type Item = Elem<'a>;

    fn next(&mut self) -> Option<Elem<'a>> {
        match &mut self.0 {
            IterForm::Ints(intset, index) => {
                let value = intset.get(*index)?;
                *index += 1;
                Some(Elem::Int(value))
            }
            IterForm::Packed(members) => members.next(),
            IterForm::Table(entries) => entries.next().map(|entry| Elem::Bytes(entry.key())),
        }
    }
}

#[cfg(test)]
#[path = "set_tests.rs"]
mod tests;
