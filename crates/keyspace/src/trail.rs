//! The way into a container, one memory access at a time, for prefetching.
//!
//! Why: a value that is a container lies several pointers away from its entry. A command that walks there alone waits for memory at
//! each of them; the requests of a batch can walk together and wait together.
//!
//! Idea: each state names what was asked for; its step reads that and asks for what comes next. A list is followed to both of its
//! ends, where it is pushed to and popped from, a sorted set to its smallest member, a packed value to its bytes; a table of members
//! ends the trail and is gone down by hash.
//!
//! Limits: ranges in the middle of long lists and sorted sets are not followed.

use base::listpack::Listpack;

use crate::btree::Branch;
use crate::list::{Chunk, ListShape};
use crate::trie::{Trie, prefetch};
use crate::value::Value;
use crate::zset::{Scored, Table};

/// Bytes at the start of a packed value that are asked for: it is searched from there.
const PACKED_BYTES: usize = 512;
const LINE: usize = 64;

/// Where a walk is. What the variant holds was asked for in the step before, and is read in the next one.
#[derive(Clone, Copy)]
pub(crate) enum Trail<'a> {
    /// There is nothing more to ask for.
    End,
    /// The value, in its entry.
    Value(&'a Value),
    /// The tree of a long list.
    List(Branch<'a, Chunk>),
    /// The packed chunks at a list's ends.
    Chunks(Option<&'a Listpack>, Option<&'a Listpack>),
    /// A packed value, of which the first line is there.
    Packed(&'a Listpack),
    /// Two packed chunks, of which the first lines are there.
    Ends(Option<&'a Listpack>, Option<&'a Listpack>),
    /// The fields of a big hash.
    Fields(&'a Trie),
    /// A big sorted set.
    Scores(&'a Table),
    /// The order of a big sorted set.
    Order(Branch<'a, Scored>),
}

fn ask_packed<'a>(listpack: &'a Listpack) -> Trail<'a> {
    prefetch(listpack.address());
    Trail::Packed(listpack)
}

impl<'a> Trail<'a> {
    /// Reads what is there and asks for the next part. Also gives the table of members where there is one, and whether they have scores.
    pub(crate) fn step(self) -> (Trail<'a>, Option<(&'a Trie, bool)>) {
        let next = match self {
            Trail::End => Trail::End,
            Trail::Value(Value::List(list)) => match list.shape() {
                ListShape::Short(listpack) => ask_packed(listpack),
                ListShape::Long(tree) => Trail::List(Branch::new(tree)),
            },
            Trail::Value(Value::Hash(hash)) => match (hash.as_listpack(), hash.table()) {
                (Some(listpack), _) => ask_packed(listpack),
                (None, Some(table)) => {
                    prefetch(std::ptr::from_ref(table).cast());
                    Trail::Fields(table)
                }
                (None, None) => Trail::End,
            },
            Trail::Value(Value::Set(set)) => match (set.as_listpack(), set.table()) {
                (Some(listpack), _) => ask_packed(listpack),
                (None, members) => return (Trail::End, members.map(|members| (members, false))),
            },
            Trail::Value(Value::ZSet(zset)) => match (zset.as_listpack(), zset.table()) {
                (Some(listpack), _) => ask_packed(listpack),
                (None, Some(table)) => {
                    prefetch(std::ptr::from_ref(table).cast());
                    Trail::Scores(table)
                }
                (None, None) => Trail::End,
            },
            Trail::List(branch) => match branch.step() {
                Ok(branch) => Trail::List(branch),
                Err(Some((first, last))) => Trail::Chunks(first.ask_listpack(), last.ask_listpack()),
                Err(None) => Trail::End,
            },
            Trail::Chunks(first, last) => {
                for listpack in [first, last].into_iter().flatten() {
                    prefetch(listpack.address());
                }
                Trail::Ends(first, last)
            }
            Trail::Packed(listpack) => {
                let bytes = listpack.as_bytes();
                for line in bytes.chunks(LINE).take(PACKED_BYTES / LINE).skip(1) {
                    prefetch(line.as_ptr());
                }
                Trail::End
            }
            Trail::Ends(first, last) => {
                if let Some(first) = first {
                    prefetch(first.as_bytes().as_ptr());
                    prefetch(first.as_bytes().as_ptr().wrapping_add(LINE));
                }
                if let Some(last) = last {
                    let end = last.as_bytes().as_ptr_range().end;
                    prefetch(end.wrapping_sub(1));
                    prefetch(end.wrapping_add(LINE));
                }
                Trail::End
            }
            Trail::Fields(fields) => return (Trail::End, Some((fields, false))),
            Trail::Scores(table) => {
                return (Trail::Order(Branch::new(table.order())), Some((table.members(), true)));
            }
            Trail::Order(branch) => match branch.step() {
                Ok(branch) => Trail::Order(branch),
                Err(ends) => {
                    if let Some((first, _)) = ends {
                        prefetch(first.address());
                    }
                    Trail::End
                }
            },
        };
        (next, None)
    }
}
