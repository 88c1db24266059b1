//! Any bytes as packed encodings: what the checks accept must be readable to the end and survive changes.

use crate::intset::Intset;
use crate::listpack::{Elem, Listpack};

/// The entry of the fuzz target `listpack`.
pub fn fuzz_packed(data: &[u8]) {
    if let Ok(mut listpack) = Listpack::validate(data) {
        let n = listpack.iter().count();
        assert_eq!(n, listpack.len());
        assert_eq!(listpack.iter().rev().count(), n);
        listpack.push_front(Elem::Int(-7));
        listpack.push_back(Elem::Bytes(b"end"));
        assert_eq!(listpack.len(), n + 2);
        assert!(listpack.get(0).is_some_and(|e| e.is(b"-7")));
        assert!(Listpack::validate(listpack.as_bytes()).is_ok());
    }
    if let Ok(mut intset) = Intset::validate(data) {
        let n = intset.iter().count();
        assert_eq!(n, intset.len());
        let added = intset.insert(i64::MIN);
        assert_eq!(intset.len(), n + usize::from(added));
        assert!(intset.contains(i64::MIN));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;
    use proptest::prelude::*;

    #[test]
    fn the_corpus_runs() {
        let mut listpack = Listpack::new();
        for elem in [Elem::Int(1), Elem::Int(-70_000), Elem::Bytes(b"text"), Elem::Bytes(&[7; 5000])] {
            listpack.push_back(elem);
        }
        let mut intset = Intset::new();
        for n in [1, -40_000, 1 << 40] {
            intset.insert(n);
        }
        for seed in [&b""[..], listpack.as_bytes(), intset.as_bytes(), &[7, 0, 0, 0, 0, 0, 0xFF]] {
            fuzz_packed(seed);
        }
    }

    proptest! {
        #[test]
        fn damaged_encodings_never_panic(at in 0usize..60, byte in any::<u8>(), cut in 0usize..60) {
            let mut listpack = Listpack::new();
            for n in 0..8 {
                listpack.push_back(Elem::Int(1 << (n * 7)));
                listpack.push_back(Elem::Bytes(&[b'x'; 3]));
            }
            let mut bytes: Vec<u8> = listpack.as_bytes().to_vec();
            let at = at % bytes.len();
            bytes[at] = byte;
            fuzz_packed(&bytes);
            bytes.truncate(bytes.len().saturating_sub(cut));
            fuzz_packed(&bytes);
        }
    }
}
