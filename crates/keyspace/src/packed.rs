//! What the packed forms of hashes, sets and sorted sets have in common.

use base::listpack::{Elem, Listpack};
use std::fmt;

use crate::entry::Entry;
use crate::value::ValueRef;

/// Up to so many elements are compared each with each when doubles are looked for.
const FEW: usize = 16;

/// Why a valid listpack or intset cannot be the content of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PackedError {
    /// A field without value, or a member without score.
    Odd,
    /// A field or member is there twice.
    Double,
    /// Element number `index` should be a score and is none.
    Score {
        /// The element's index in the listpack.
        index: usize,
    },
}

impl fmt::Display for PackedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PackedError::Odd => write!(f, "the last element of a listpack of pairs has no partner"),
            PackedError::Double => write!(f, "listpack with dup elements: a field or member is there twice"),
            PackedError::Score { index } => {
                write!(f, "element {index} should be a score and is none")
            }
        }
    }
}

impl std::error::Error for PackedError {}

/// Refuses a listpack in which two of the elements numbered 0, `step`, 2 × `step` … have the same text.
pub(crate) fn check_distinct(listpack: &Listpack, step: usize) -> Result<(), PackedError> {
    let mut elems: Vec<Elem<'_>> = listpack.iter().step_by(step).map(Elem::canonical).collect();
    let distinct = if elems.len() <= FEW {
        (1..elems.len()).all(|index| !elems[..index].contains(&elems[index]))
    } else {
        elems.sort_unstable();
        elems.is_sorted_by(|left, right| left != right)
    };
    if distinct { Ok(()) } else { Err(PackedError::Double) }
}

/// An index below `len`, each as likely as any other, from a random number.
pub(crate) fn pick(random: u64, len: usize) -> usize {
    ((u128::from(random) * len as u128) >> 64) as usize
}

/// The string that an entry holds.
pub(crate) fn string_of(entry: &Entry) -> Elem<'_> {
    match entry.value() {
        ValueRef::Bytes(bytes) => Elem::Bytes(bytes),
        ValueRef::Int(number) => Elem::Int(number),
        ValueRef::None
        | ValueRef::Score(_)
        | ValueRef::List(_)
        | ValueRef::Hash(_)
        | ValueRef::Set(_)
        | ValueRef::ZSet(_) => {
            unreachable!("the entries of a hash hold strings")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_are_found_whatever_their_encoding() {
        let check = |elems: &[Elem<'_>], step, expected: Result<(), PackedError>| {
            assert_eq!(check_distinct(&elems.iter().copied().collect(), step), expected, "{elems:?}");
        };
        check(&[], 1, Ok(()));
        check(&[Elem::Int(5), Elem::Bytes(b"5")], 1, Err(PackedError::Double));
        check(&[Elem::Int(5), Elem::Bytes(b"05")], 1, Ok(()));
        check(&[Elem::Bytes(b"a"), Elem::Int(1), Elem::Bytes(b"b"), Elem::Int(1)], 2, Ok(()));
        let mut many: Vec<Elem<'_>> = (0..100).map(Elem::Int).collect();
        check(&many, 1, Ok(()));
        many.push(Elem::Bytes(b"50"));
        check(&many, 1, Err(PackedError::Double));
        check(&many, 2, Err(PackedError::Double));
        check(&many[1..], 2, Ok(()));
    }

    #[test]
    fn picks_cover_the_whole_range() {
        assert_eq!(pick(0, 10), 0);
        assert_eq!(pick(u64::MAX, 10), 9);
        assert_eq!(pick(u64::MAX / 2, 10), 4);
    }
}
