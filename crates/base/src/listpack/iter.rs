//! Walking over a listpack from either end.

use super::{Elem, Position, backlen_size, decode, read_backlen};

/// Iterator over a listpack's elements.
#[derive(Clone)]
pub struct Iter<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) front: usize,
    pub(super) back: usize,
}

impl Iter<'_> {
    /// Where the next element is; good as long as the listpack is not changed.
    pub fn front_position(&self) -> Option<Position> {
        (self.front < self.back).then_some(Position(self.front))
    }
}

impl<'a> Iterator for Iter<'a> {
    type Item = Elem<'a>;

    #[inline]
    fn next(&mut self) -> Option<Elem<'a>> {
        if self.front >= self.back {
            return None;
        }
        let (elem, len) = decode(&self.bytes[self.front..]);
        self.front += len + backlen_size(len);
        Some(elem)
    }
}

impl<'a> DoubleEndedIterator for Iter<'a> {
    #[inline]
    fn next_back(&mut self) -> Option<Elem<'a>> {
        if self.front >= self.back {
            return None;
        }
        let len = read_backlen(self.bytes, self.back).expect("the listpack is valid");
        self.back -= len + backlen_size(len);
        Some(decode(&self.bytes[self.back..]).0)
    }
}
