//! The way into a container, one memory access at a time, for prefetching.
//!
//! Why: a value that is a container lies several pointers away from its entry. A command that walks there alone waits for memory at
//! each of them; the requests of a batch can walk together and wait together.
//!
//! Idea: each state names what was asked for; its step reads that and asks for what comes next. A list is followed to the end where it
//! is pushed to or popped from, a sorted set to the member that may be popped, a packed value to its bytes; a table of members is gone
//! down by hash.
//!
//! Limits: ranges in the middle of long lists and sorted sets are not followed.

use base::listpack::Listpack;

use crate::btree::Branch;
use crate::hash::{HashRef, Shape};
use crate::hasher::hash;
use crate::list::{self, Chunk, Chunks, ListShape};
use crate::trie::{Trie, prefetch};
use crate::value::ValueRef;
use crate::zset::{Scored, Table};

/// Bytes at the start of a packed value that are asked for: it is searched from there.
const PACKED_BYTES: usize = 512;
const LINE: usize = 64;

/// An end of a list, or of the order of a sorted set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Where the first element, or the lowest score, is.
    Front,
    /// Where the last one is.
    Back,
}

/// What the requests of a batch will do, as far as it can be known before they run.
pub trait Intents {
    /// At which end of its list or sorted set request number `i` is likely to work.
    fn end(&self, i: usize) -> End;

    /// The hash of the member that request number `i` will look up in its container; `scored` says that it is a sorted set.
    fn member(&self, i: usize, scored: bool) -> Option<u64>;
}

/// Nothing is known.
impl Intents for () {
    fn end(&self, _: usize) -> End {
        End::Front
    }

    fn member(&self, _: usize, _: bool) -> Option<u64> {
        None
    }
}

/// Where a walk is. What the variant holds was asked for in the step before, and is read in the next one.
#[derive(Clone, Copy)]
pub(crate) enum Trail<'a> {
    /// There is nothing more to ask for.
    End,
    /// The value, in its entry.
    Value(ValueRef<'a>),
    /// The chunks of a long list.
    List(&'a Chunks),
    /// The tree of those that are not at hand.
    Middle(Branch<'a, Chunk>),
    /// A packed value, of which the first line is there.
    Packed(&'a Listpack),
    /// A short list, or a packed chunk at a list's end, of which the first line is there.
    Chunk(&'a list::Listpack),
    /// The fields of a big hash.
    Fields(&'a Trie),
    /// A big sorted set.
    Scores(&'a Table),
    /// The order of a big sorted set, beside its members.
    Order(Branch<'a, Scored>, &'a Trie),
    /// The first member in the order.
    First(&'a Scored, &'a Trie),
}

/// What is to be looked up in a table of members.
pub(crate) enum Sought {
    /// What the request names as a field or member.
    Member,
    /// What it names as a member with a score.
    Scored,
    /// What has this hash, if the request names nothing: the member that may be popped.
    Hash(u64),
}

/// Asks for a packed value after its first line, which is there.
#[inline]
fn ask_packed(bytes: &[u8]) {
    for line in bytes.chunks(LINE).take(PACKED_BYTES / LINE).skip(1) {
        prefetch(line.as_ptr());
    }
}

impl<'a> Trail<'a> {
    /// Reads what is there and asks for the next part. Gives the table of members where one comes into sight, and what is to be looked
    /// up in it.
    #[inline(always)]
    pub(crate) fn step(&mut self, end: End) -> Option<(&'a Trie, Sought)> {
        match *self {
            Trail::End => {}
            Trail::Value(value) => return self.enter(value),
            Trail::List(chunks) => match chunks.at_hand(end) {
                Some(chunk) => *self = chunk.ask_listpack().map_or(Trail::End, Trail::Chunk),
                None => *self = Trail::Middle(Branch::new(chunks.middle())),
            },
            Trail::Middle(branch) => match branch.step(end) {
                Ok(branch) => *self = Trail::Middle(branch),
                Err(chunk) => *self = chunk.and_then(Chunk::ask_listpack).map_or(Trail::End, Trail::Chunk),
            },
            Trail::Chunk(listpack) => {
                // An element is read before the end, or written beyond it.
                let bytes = listpack.as_bytes().as_ptr_range();
                let at = if end == End::Front { bytes.start } else { bytes.end };
                prefetch(at.wrapping_sub(LINE));
                prefetch(at);
                prefetch(at.wrapping_add(LINE));
                *self = Trail::End;
            }
            Trail::Packed(listpack) => {
                ask_packed(listpack.as_bytes());
                *self = Trail::End;
            }
            Trail::Fields(fields) => {
                *self = Trail::End;
                return Some((fields, Sought::Member));
            }
            Trail::Scores(table) => {
                *self = Trail::Order(Branch::new(table.order()), table.members());
                return Some((table.members(), Sought::Scored));
            }
            Trail::Order(branch, members) => match branch.step(end) {
                Ok(branch) => *self = Trail::Order(branch, members),
                Err(None) => *self = Trail::End,
                Err(Some(first)) => {
                    prefetch(first.address());
                    *self = Trail::First(first, members);
                }
            },
            Trail::First(first, members) => {
                *self = Trail::End;
                return Some((members, Sought::Hash(hash(first.pair().0))));
            }
        }
        None
    }

    /// The first step, from the entry into its value.
    fn enter(&mut self, value: ValueRef<'a>) -> Option<(&'a Trie, Sought)> {
        let packed = match value {
            ValueRef::List(list) => match list.shape() {
                ListShape::Short(listpack) => {
                    prefetch(listpack.address());
                    *self = Trail::Chunk(listpack);
                    return None;
                }
                ListShape::Long(chunks) => {
                    prefetch(std::ptr::from_ref(chunks).cast());
                    *self = Trail::List(chunks);
                    return None;
                }
            },
            ValueRef::Hash(HashRef(Shape::Packed(fields))) => {
                ask_packed(fields.as_bytes());
                *self = Trail::End;
                return None;
            }
            ValueRef::Set(set) => set.as_listpack(),
            ValueRef::ZSet(zset) => zset.as_listpack(),
            ValueRef::Hash(HashRef(Shape::Table(_))) => None,
            ValueRef::None | ValueRef::Bytes(_) | ValueRef::Int(_) | ValueRef::Score(_) => None,
        };
        *self = Trail::End;
        if let Some(listpack) = packed {
            prefetch(listpack.address());
            *self = Trail::Packed(listpack);
            return None;
        }
        match value {
            ValueRef::Set(set) => return set.table().map(|members| (members, Sought::Member)),
            ValueRef::Hash(HashRef(Shape::Table(table))) => {
                prefetch(std::ptr::from_ref(table).cast());
                *self = Trail::Fields(table);
            }
            ValueRef::ZSet(zset) => {
                if let Some(table) = zset.table() {
                    prefetch(std::ptr::from_ref(table).cast());
                    *self = Trail::Scores(table);
                }
            }
            ValueRef::Hash(HashRef(Shape::Packed(_))) | ValueRef::List(_) => {}
            ValueRef::None | ValueRef::Bytes(_) | ValueRef::Int(_) | ValueRef::Score(_) => {}
        }
        None
    }
}
