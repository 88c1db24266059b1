//! Walking over a list's elements in either direction, across chunks.

use base::listpack::{self, Elem};

use super::Listpack;
use super::chunk::{Chunk, ChunkRef};
use super::chunks::{self, Chunks};

/// What is left of the chunk that is being read.
#[derive(Clone)]
enum Current<'a> {
    Packed(listpack::Iter<'a>),
    Plain(Option<&'a [u8]>),
}

/// Iterator over a list's elements, forwards or backwards.
#[derive(Clone)]
pub struct Iter<'a> {
    current: Current<'a>,
    chunks: Option<chunks::Iter<'a>>,
    backwards: bool,
}

/// The elements of a listpack from number `index` on in the direction of the walk.
fn part(listpack: &Listpack, index: usize, backwards: bool) -> Current<'_> {
    match listpack.seek(index) {
        Some(position) if backwards => Current::Packed(listpack.iter_to(position)),
        Some(position) => Current::Packed(listpack.iter_from(position)),
        None => Current::Plain(None),
    }
}

impl<'a> Iter<'a> {
    pub(super) fn short(listpack: &'a Listpack, index: usize, backwards: bool) -> Iter<'a> {
        Iter { current: part(listpack, index, backwards), chunks: None, backwards }
    }

    pub(super) fn long(chunks: &'a Chunks, index: usize, backwards: bool) -> Iter<'a> {
        let (mut chunks, inside) = chunks.iter_from(index as u64, backwards);
        let inside = usize::try_from(inside).expect("it is an index in a chunk");
        let current = match chunks.next().map(Chunk::as_ref) {
            Some(ChunkRef::Packed(listpack)) => part(listpack, inside, backwards),
            Some(ChunkRef::Plain(bytes)) => Current::Plain(Some(bytes)),
            None => Current::Plain(None),
        };
        Iter { current, chunks: Some(chunks), backwards }
    }
}

impl<'a> Iterator for Iter<'a> {
    type Item = Elem<'a>;

    #[inline]
    fn next(&mut self) -> Option<Elem<'a>> {
        // Nearly all steps are this one.
        if let (Current::Packed(elems), false) = (&mut self.current, self.backwards)
            && let Some(elem) = elems.next()
        {
            return Some(elem);
        }
        self.next_anywhere()
    }
}

impl<'a> Iter<'a> {
    /// The next element, in either direction, of this chunk or of one that follows.
    fn next_anywhere(&mut self) -> Option<Elem<'a>> {
        loop {
            let elem = match &mut self.current {
                Current::Packed(elems) if self.backwards => elems.next_back(),
                Current::Packed(elems) => elems.next(),
                Current::Plain(bytes) => bytes.take().map(Elem::Bytes),
            };
            if elem.is_some() {
                return elem;
            }
            self.current = match self.chunks.as_mut()?.next()?.as_ref() {
                ChunkRef::Packed(listpack) => Current::Packed(listpack.iter()),
                ChunkRef::Plain(bytes) => Current::Plain(Some(bytes)),
            };
        }
    }
}
