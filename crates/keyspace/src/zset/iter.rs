//! Walking over a sorted set in either direction.

use base::listpack::{Elem, Listpack};

use super::packed::Pairs;
use super::table::Scored;
use crate::btree::{self, BTree};

#[expect(
    clippy::large_enum_variant,
    reason = "iterators live on the stack, and a path of nodes there saves an allocation for each range"
)]
#[derive(Clone)]
enum Form<'a> {
    Nothing,
    Upwards(Pairs<'a>),
    Downwards(Pairs<'a>),
    Ordered(btree::Iter<'a, Scored>),
}

/// Iterator over members and scores, upwards or downwards.
#[derive(Clone)]
pub struct Iter<'a>(Form<'a>);

impl<'a> Iter<'a> {
    pub(super) fn packed(listpack: &'a Listpack, rank: usize, backwards: bool) -> Iter<'a> {
        // Downwards the walk begins with the score, which is behind its member.
        let index = rank.checked_mul(2).and_then(|index| index.checked_add(usize::from(backwards)));
        Iter(match index.and_then(|index| listpack.seek(index)) {
            Some(position) if backwards => Form::Downwards(Pairs(listpack.iter_to(position))),
            Some(position) => Form::Upwards(Pairs(listpack.iter_from(position))),
            None => Form::Nothing,
        })
    }

    pub(super) fn ordered(order: &'a BTree<Scored>, rank: usize, backwards: bool) -> Iter<'a> {
        let rank = rank as u64;
        let (members, _) = if backwards { order.iter_back_from(rank) } else { order.iter_from(rank) };
        Iter(Form::Ordered(members))
    }
}

impl<'a> Iterator for Iter<'a> {
    type Item = (Elem<'a>, f64);

    fn next(&mut self) -> Option<Self::Item> {
        match &mut self.0 {
            Form::Nothing => None,
            Form::Upwards(pairs) => pairs.next(),
            Form::Downwards(pairs) => pairs.next_back(),
            Form::Ordered(members) => {
                let (member, score) = members.next()?.pair();
                Some((Elem::Bytes(member), score))
            }
        }
    }
}
