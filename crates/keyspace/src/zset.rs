//! Sorted sets: small ones in one listpack, others as a trie from member to score beside a counted tree in order.
//!
//! ```text
//! "listpack"   [ member ][ score ][ member ][ score ] …        ordered by score, then by the member's bytes
//! "skiplist"   trie ─► entry: member → score                   finds a member's score
//!              tree ─► (score, the same entry), …              finds ranks and ranges, in the same order
//! ```
//!
//! The entry is shared by both, so a member is stored once. A clone of a big sorted set is O(1); a small one is copied.
//! All ranges, by score or by member, are turned into ranges of ranks first; ranks are counted from 0.
//!
//! A sorted set leaves its packed form where Redis 7.2's does; only [`ZSet::pack`] leads back.
//!
//! Limits: scores are never NaN. In the packed form a score of −0 is stored as 0.

use base::listpack::{Elem, Listpack};
use base::num::{F64_TEXT_MAX, I64_TEXT_MAX, format_f64, parse_f64};
use std::ops::Range;

use crate::limits::Limits;
use crate::packed::{PackedError, check_distinct, pick};

mod iter;
mod packed;
mod range;
mod table;
#[cfg(test)]
mod tests;

pub use iter::Iter;
pub use range::{LexBound, ScoreBound};
pub(crate) use table::{Scored, Table};

#[derive(Clone)]
enum Form {
    Packed(Listpack),
    Table(Box<Table>),
}

/// A sorted set value.
#[derive(Clone)]
pub struct ZSet(Form);

/// What became of a member that was given a score.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It is new.
    Added,
    /// It had another score.
    Updated,
    /// It had this score already.
    Same,
}

impl Default for ZSet {
    fn default() -> Self {
        ZSet::new()
    }
}

impl std::fmt::Debug for ZSet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

/// A score as it is stored in a listpack: an integer if it is one, else the text that clients see.
fn score_elem(score: f64, buffer: &mut [u8; F64_TEXT_MAX]) -> Elem<'_> {
    // Adding zero makes 0 of −0, which an integer cannot say.
    Elem::from(format_f64(score + 0.0, buffer))
}

/// The score that an element of a listpack stands for.
fn score_of(elem: Elem<'_>) -> Option<f64> {
    match elem {
        Elem::Int(value) => Some(value as f64),
        Elem::Bytes(text) => parse_f64(text),
    }
}

impl ZSet {
    /// An empty sorted set.
    pub fn new() -> ZSet {
        ZSet(Form::Packed(Listpack::new()))
    }

    /// Takes over a listpack of members and scores; it becomes big if it has more members than the limit.
    ///
    /// # Errors
    /// If a member has no score or is there twice, or if a score is no number.
    pub fn from_listpack(listpack: Listpack, limits: &Limits) -> Result<ZSet, PackedError> {
        let len = listpack.len();
        if !len.is_multiple_of(2) {
            return Err(PackedError::Odd);
        }
        check_distinct(&listpack, 2)?;
        if let Some(pair) = listpack.iter().skip(1).step_by(2).position(|score| score_of(score).is_none()) {
            return Err(PackedError::Score { index: 2 * pair + 1 });
        }
        let over = len / 2 > limits.zset_max_listpack_entries;
        // What Redis writes is in order; anything else is put in order here, as every search relies on it.
        if !packed::is_ordered(&listpack) {
            let pairs = packed::ordered(&listpack);
            return Ok(ZSet(match packed::from_pairs(&pairs) {
                Some(listpack) if !over => Form::Packed(listpack),
                _ => Form::Table(Box::new(Table::from_sorted(pairs.into_iter()))),
            }));
        }
        let mut zset = ZSet(Form::Packed(listpack));
        if over {
            zset.make_table();
        }
        Ok(zset)
    }

    /// How many members there are.
    pub fn len(&self) -> usize {
        match &self.0 {
            Form::Packed(listpack) => listpack.len() / 2,
            Form::Table(table) => table.len(),
        }
    }

    /// Whether there is no member.
    pub fn is_empty(&self) -> bool {
        match &self.0 {
            Form::Packed(listpack) => listpack.is_empty(),
            Form::Table(table) => table.len() == 0,
        }
    }

    /// The name of the form in `OBJECT ENCODING`.
    pub fn encoding(&self) -> &'static str {
        match &self.0 {
            Form::Packed(_) => "listpack",
            Form::Table(_) => "skiplist",
        }
    }

    /// The listpack of a packed sorted set.
    pub fn as_listpack(&self) -> Option<&Listpack> {
        match &self.0 {
            Form::Packed(listpack) => Some(listpack),
            Form::Table(_) => None,
        }
    }

    /// The table of a big sorted set.
    pub(crate) fn table(&self) -> Option<&Table> {
        match &self.0 {
            Form::Packed(_) => None,
            Form::Table(table) => Some(table),
        }
    }

    /// Bytes of heap memory, without this struct itself; estimated where the sorted set is big.
    pub fn memory_usage(&self) -> usize {
        match &self.0 {
            Form::Packed(listpack) => listpack.capacity(),
            Form::Table(table) => size_of::<Table>() + table.memory_usage(),
        }
    }

    fn make_table(&mut self) {
        if let Form::Packed(listpack) = &self.0 {
            self.0 = Form::Table(Box::new(Table::from_sorted(packed::pairs(listpack))));
        }
    }

    /// Decides on the form before about `count` members are added at once, the longest of them being `longest` bytes.
    pub fn reserve(&mut self, count: usize, longest: usize, limits: &Limits) {
        if count > limits.zset_max_listpack_entries || longest > limits.zset_max_listpack_value {
            self.make_table();
        }
    }

    /// Packs a big sorted set, as commands do with a result that they have built, if it is within the limits.
    pub fn pack(&mut self, limits: &Limits) {
        let Form::Table(table) = &self.0 else { return };
        if table.len() > limits.zset_max_listpack_entries {
            return;
        }
        let mut listpack = Listpack::new();
        for (member, score) in self.iter() {
            if member.text_len() > limits.zset_max_listpack_value || !packed::has_room(&listpack, member.text_len()) {
                return;
            }
            listpack.push_back(member.canonical());
            listpack.push_back(score_elem(score, &mut [0; F64_TEXT_MAX]));
        }
        self.0 = Form::Packed(listpack);
    }

    /// The score of a member.
    pub fn score(&self, member: &[u8]) -> Option<f64> {
        match &self.0 {
            Form::Packed(listpack) => packed::find(listpack, member).map(|(_, score)| score),
            Form::Table(table) => table.score(member),
        }
    }

    /// Gives a member a score, which is not NaN; the member is added if it is not there.
    pub fn insert(&mut self, member: &[u8], score: f64, limits: &Limits) -> Change {
        assert!(!score.is_nan(), "the caller refuses a score that is no number");
        if let Form::Packed(listpack) = &mut self.0 {
            let has_room = packed::has_room(listpack, member.len());
            if let Some((found, old)) = packed::find(listpack, member)
                && has_room
            {
                if old == score {
                    return Change::Same;
                }
                listpack.remove(found, 2);
                packed::insert(listpack, member, score);
                return Change::Updated;
            }
            if listpack.len() / 2 < limits.zset_max_listpack_entries
                && member.len() <= limits.zset_max_listpack_value
                && has_room
            {
                packed::insert(listpack, member, score);
                return Change::Added;
            }
            self.make_table();
        }
        match &mut self.0 {
            Form::Table(table) => table.insert(member, score),
            Form::Packed(_) => unreachable!("the packed form was left above"),
        }
    }

    /// Removes a member; its score if it was there.
    pub fn remove(&mut self, member: &[u8]) -> Option<f64> {
        match &mut self.0 {
            Form::Packed(listpack) => {
                let (found, score) = packed::find(listpack, member)?;
                listpack.remove(found, 2);
                Some(score)
            }
            Form::Table(table) => table.remove(member),
        }
    }

    /// The rank of a member, counted from 0 at the lowest score; from the highest it is `len - 1 - rank`.
    pub fn rank(&self, member: &[u8]) -> Option<usize> {
        match &self.0 {
            Form::Packed(listpack) => {
                let (found, _) = packed::find(listpack, member)?;
                Some(listpack.iter_to(found).count() / 2)
            }
            Form::Table(table) => table.rank(member),
        }
    }

    /// The member at a rank, with its score.
    pub fn get(&self, rank: usize) -> Option<(Elem<'_>, f64)> {
        self.iter_from(rank).next()
    }

    /// All members with their scores, from the lowest to the highest.
    pub fn iter(&self) -> Iter<'_> {
        self.iter_from(0)
    }

    /// Members with their scores from a rank upwards.
    pub fn iter_from(&self, rank: usize) -> Iter<'_> {
        match &self.0 {
            Form::Packed(listpack) => Iter::packed(listpack, rank, false),
            Form::Table(table) => Iter::ordered(table.order(), rank, false),
        }
    }

    /// Members with their scores from a rank *downwards* to the lowest; none if there is no such rank.
    pub fn iter_back_from(&self, rank: usize) -> Iter<'_> {
        match &self.0 {
            Form::Packed(listpack) => Iter::packed(listpack, rank, true),
            Form::Table(table) => Iter::ordered(table.order(), rank, true),
        }
    }

    /// How many members are in front of the first one for which `before` fails.
    fn partition(&self, mut before: impl FnMut(Elem<'_>, f64) -> bool) -> usize {
        match &self.0 {
            Form::Packed(listpack) => {
                packed::pairs(listpack).take_while(|&(member, score)| before(member, score)).count()
            }
            Form::Table(table) => table.partition(|member, score| before(Elem::Bytes(member), score)),
        }
    }

    /// The ranks of the members with scores between two bounds; empty if there are none.
    pub fn ranks_by_score(&self, min: ScoreBound, max: ScoreBound) -> Range<usize> {
        let start = self.partition(|_, score| min.is_above(score));
        let end = self.partition(|_, score| !max.is_below(score));
        start..end.max(start)
    }

    /// The ranks of the members between two bounds; empty if there are none. All scores have to be equal.
    pub fn ranks_by_lex(&self, min: LexBound<'_>, max: LexBound<'_>) -> Range<usize> {
        let start = self.partition(|member, _| min.is_above(member.as_bytes(&mut [0; I64_TEXT_MAX])));
        let end = self.partition(|member, _| !max.is_below(member.as_bytes(&mut [0; I64_TEXT_MAX])));
        start..end.max(start)
    }

    /// Removes the members at these ranks, as far as there are any, after `take` has seen each; returns how many.
    pub fn remove_ranks(&mut self, ranks: Range<usize>, mut take: impl FnMut(Elem<'_>, f64)) -> usize {
        let end = ranks.end.min(self.len());
        let count = end.saturating_sub(ranks.start);
        if count == 0 {
            return 0;
        }
        match &mut self.0 {
            Form::Packed(listpack) => {
                packed::pairs(listpack).skip(ranks.start).take(count).for_each(|(member, score)| take(member, score));
                listpack.remove_range(2 * ranks.start, 2 * count);
            }
            Form::Table(table) => {
                table.remove_ranks(ranks.start, count, |member, score| take(Elem::Bytes(member), score));
            }
        }
        count
    }

    /// Removes the member with the lowest score after `take` has seen it.
    pub fn pop_min<R>(&mut self, take: impl FnOnce(Elem<'_>, f64) -> R) -> Option<R> {
        self.pop(0, take)
    }

    /// Removes the member with the highest score after `take` has seen it.
    pub fn pop_max<R>(&mut self, take: impl FnOnce(Elem<'_>, f64) -> R) -> Option<R> {
        self.pop(self.len().checked_sub(1)?, take)
    }

    fn pop<R>(&mut self, rank: usize, take: impl FnOnce(Elem<'_>, f64) -> R) -> Option<R> {
        let mut take = Some(take);
        let mut result = None;
        self.remove_ranks(rank..rank + 1, |member, score| {
            result = take.take().map(|take| take(member, score));
        });
        result
    }

    /// Gives members from a cursor on, about `count` of them; returns the cursor to go on from, 0 at the end.
    ///
    /// A small sorted set gives everything at once. Members that are there from the first call to the last are given.
    pub fn scan(&self, cursor: u64, count: usize, mut give: impl FnMut(Elem<'_>, f64)) -> u64 {
        match &self.0 {
            Form::Packed(listpack) => {
                packed::pairs(listpack).for_each(|(member, score)| give(member, score));
                0
            }
            Form::Table(table) => table.scan(cursor, count, |member, score| give(Elem::Bytes(member), score)),
        }
    }

    /// A random member with its score, each as likely as any other.
    pub fn random(&self, mut random: impl FnMut() -> u64) -> Option<(Elem<'_>, f64)> {
        self.get(pick(random(), self.len()))
    }
}
