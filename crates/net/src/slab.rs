//! A table of values under keys that are never valid twice.
//!
//! A completion may arrive after its connection is gone and after the place in the table has been given to another one.
//! So a key carries, beside the index, the generation of the place, which is raised each time the place is emptied:
//! a stale key finds nothing.
//!
//! ```text
//! key   63          32 31   28 27              0
//!      +--------------+-------+-----------------+
//!      |  generation  |   0   |      index      |
//!      +--------------+-------+-----------------+
//!                         └ free for the user of the key (the kind of an operation)
//! ```
//!
//! Limits: 2^28 values at once; a key repeats after its place has been used 2^32 times.

/// Bits 28 to 31 of a key are always zero: a user of the table may keep a tag there.
pub(crate) const TAG_SHIFT: u32 = 28;
const INDEX_MASK: u64 = (1 << TAG_SHIFT) - 1;

struct Place<T> {
    generation: u32,
    value: Option<T>,
}

/// See the module's description.
pub(crate) struct Slab<T> {
    places: Vec<Place<T>>,
    free: Vec<u32>,
}

impl<T> Slab<T> {
    /// An empty table.
    pub(crate) fn new() -> Self {
        Slab { places: Vec::new(), free: Vec::new() }
    }

    /// Puts `value` in and returns its key.
    pub(crate) fn insert(&mut self, value: T) -> u64 {
        let index = match self.free.pop() {
            Some(index) => index,
            None => {
                let index = self.places.len();
                assert!((index as u64) < INDEX_MASK, "no more than 2^28 sockets");
                self.places.push(Place { generation: 1, value: None });
                index as u32
            }
        };
        let place = &mut self.places[index as usize];
        assert!(place.value.is_none(), "a free place is empty");
        place.value = Some(value);
        u64::from(place.generation) << 32 | u64::from(index)
    }

    /// The value of `key`, unless it is gone.
    pub(crate) fn get(&self, key: u64) -> Option<&T> {
        let place = self.places.get((key & INDEX_MASK) as usize)?;
        if place.generation == (key >> 32) as u32 { place.value.as_ref() } else { None }
    }

    /// The value of `key`, unless it is gone.
    pub(crate) fn get_mut(&mut self, key: u64) -> Option<&mut T> {
        let place = self.places.get_mut((key & INDEX_MASK) as usize)?;
        if place.generation == (key >> 32) as u32 { place.value.as_mut() } else { None }
    }

    /// Takes the value of `key` out; from now on the key finds nothing.
    pub(crate) fn remove(&mut self, key: u64) -> Option<T> {
        let index = (key & INDEX_MASK) as usize;
        let place = self.places.get_mut(index)?;
        if place.generation != (key >> 32) as u32 {
            return None;
        }
        let value = place.value.take()?;
        place.generation = place.generation.wrapping_add(1);
        self.free.push(index as u32);
        Some(value)
    }

    /// The keys of all values, in the order of their places.
    pub(crate) fn keys(&self) -> Vec<u64> {
        let key = |(index, place): (usize, &Place<T>)| {
            place.value.as_ref().map(|_| u64::from(place.generation) << 32 | index as u64)
        };
        self.places.iter().enumerate().filter_map(key).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_valid_once() {
        let mut slab = Slab::new();
        let first = slab.insert("first");
        let other = slab.insert("other");
        assert_eq!(slab.get(first), Some(&"first"));
        assert_eq!(slab.remove(first), Some("first"));
        assert_eq!(slab.remove(first), None);
        let second = slab.insert("second");
        assert_eq!(second as u32, first as u32, "the place is used again");
        assert_ne!(second, first);
        assert_eq!(slab.get(first), None);
        assert_eq!(slab.get_mut(first), None);
        assert_eq!(slab.get_mut(second), Some(&mut "second"));
        assert_eq!(slab.keys(), vec![second, other]);
        assert_eq!(second >> TAG_SHIFT & 0xf, 0);
    }
}
