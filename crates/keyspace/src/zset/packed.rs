//! The packed form: searches and insertions in a listpack of members and scores.

use base::listpack::{self, Elem, Listpack, Position};
use base::num::{F64_TEXT_MAX, I64_TEXT_MAX};
use std::cmp::Ordering;

use super::table::compare;
use super::{score_elem, score_of};

/// The members and scores of a listpack, from either end.
#[derive(Clone)]
pub(super) struct Pairs<'a>(pub(super) listpack::Iter<'a>);

/// All members with their scores.
pub(super) fn pairs(listpack: &Listpack) -> Pairs<'_> {
    Pairs(listpack.iter())
}

/// The most that a score takes in a listpack beside its text.
const SCORE_OVERHEAD_MAX: usize = 10;

fn stored_score(elem: Elem<'_>) -> f64 {
    score_of(elem).expect("scores are checked before they are taken over")
}

impl<'a> Iterator for Pairs<'a> {
    type Item = (Elem<'a>, f64);

    fn next(&mut self) -> Option<Self::Item> {
        let member = self.0.next()?;
        Some((member, stored_score(self.0.next()?)))
    }
}

impl DoubleEndedIterator for Pairs<'_> {
    fn next_back(&mut self) -> Option<Self::Item> {
        let score = stored_score(self.0.next_back()?);
        Some((self.0.next_back()?, score))
    }
}

/// Where a member is, and its score.
pub(super) fn find(listpack: &Listpack, member: &[u8]) -> Option<(Position, f64)> {
    let found = listpack.find(member, listpack.first(), 1)?;
    let score = listpack.next(found).expect("every member has a score");
    Some((found, stored_score(listpack.at(score))))
}

/// Inserts a member that is not there yet at its place in the order.
pub(super) fn insert(listpack: &mut Listpack, member: &[u8], score: f64) {
    let mut rest = pairs(listpack);
    let mut at = rest.0.front_position();
    while let Some((other, other_score)) = rest.next() {
        // The bytes of the members are looked at only where scores are equal.
        if other_score > score || (other_score == score && other.as_bytes(&mut [0; I64_TEXT_MAX]) > member) {
            break;
        }
        at = rest.0.front_position();
    }
    let buffer = &mut [0; F64_TEXT_MAX];
    let (member, score) = (Elem::from(member), score_elem(score, buffer));
    match at {
        Some(position) => {
            // The score first: the position then stands for it, and the member goes before it.
            listpack.insert_before(position, score);
            listpack.insert_before(position, member);
        }
        None => {
            listpack.push_back(member);
            listpack.push_back(score);
        }
    }
}

fn compare_pairs(left: &(Elem<'_>, f64), right: &(Elem<'_>, f64)) -> Ordering {
    let (left_buffer, right_buffer) = (&mut [0; I64_TEXT_MAX], &mut [0; I64_TEXT_MAX]);
    compare((left.1, left.0.as_bytes(left_buffer)), (right.1, right.0.as_bytes(right_buffer)))
}

/// Whether members are in the order of their scores, and of their bytes where scores are equal.
pub(super) fn is_ordered(listpack: &Listpack) -> bool {
    pairs(listpack).is_sorted_by(|left, right| compare_pairs(left, right) == Ordering::Less)
}

/// All members with their scores, in order.
pub(super) fn ordered(listpack: &Listpack) -> Vec<(Elem<'_>, f64)> {
    let mut pairs: Vec<(Elem<'_>, f64)> = pairs(listpack).collect();
    pairs.sort_by(compare_pairs);
    pairs
}

/// The listpack of these pairs, unless it would be too long for one: a score may take more bytes here than it came in.
pub(super) fn from_pairs(pairs: &[(Elem<'_>, f64)]) -> Option<Listpack> {
    let mut listpack = Listpack::new();
    for &(member, score) in pairs {
        if !has_room(&listpack, member.text_len()) {
            return None;
        }
        listpack.push_back(member);
        listpack.push_back(score_elem(score, &mut [0; F64_TEXT_MAX]));
    }
    Some(listpack)
}

/// Whether a member of so many bytes can be added with its score, or get another score.
pub(super) fn has_room(listpack: &Listpack, member_len: usize) -> bool {
    listpack.has_room(member_len + F64_TEXT_MAX + SCORE_OVERHEAD_MAX)
}
