//! Choosing some of many elements by chance, each choice as likely as any other.
//!
//! Few of many are drawn one after another, with a note of those that were drawn already; otherwise one walk over all
//! decides of each whether it is chosen, with the chance (still wanted) / (still to come), and needs no memory at all.
//! (Knuth, "The Art of Computer Programming", volume 2, 3.4.2, algorithm S.)

use base::listpack::Elem;
use base::rng::Rng;
use std::collections::BTreeSet;

/// How many times as many elements as wanted there must be for drawing to be cheaper than a walk.
const DRAW_FACTOR: usize = 3;

/// Whether `n` of `len` elements are better drawn one by one; a packed container is always walked over.
pub(super) fn draws(n: usize, len: usize, packed: bool) -> bool {
    !packed && n.saturating_mul(DRAW_FACTOR) <= len
}

/// Draws with `random` until `n` have been found that differ in `name`, and gives each.
pub(super) fn distinct<'a, T>(
    n: usize,
    mut random: impl FnMut() -> T,
    name: impl Fn(&T) -> Elem<'a>,
    mut give: impl FnMut(T),
) {
    let mut drawn: BTreeSet<Elem<'a>> = BTreeSet::new();
    while drawn.len() < n {
        let element = random();
        if drawn.insert(name(&element)) {
            give(element);
        }
    }
}

/// Walks over all `len` elements and says of each whether it is among the `n` (at most `len`) that are picked.
pub(super) fn pick<T>(
    n: usize,
    len: usize,
    elements: impl Iterator<Item = T>,
    rng: &mut Rng,
    mut give: impl FnMut(T, bool),
) {
    let (mut wanted, mut to_come) = (n as u64, len as u64);
    for element in elements {
        let picked = wanted > 0 && rng.below(to_come) < wanted;
        wanted -= u64::from(picked);
        to_come -= 1;
        give(element, picked);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_element_is_picked_as_often_as_any_other() {
        let (mut rng, mut times) = (Rng::new(3), [0u32; 10]);
        for _ in 0..10_000 {
            let mut n = 0;
            pick(3, 10, 0..10, &mut rng, |i: usize, picked| {
                times[i] += u32::from(picked);
                n += u32::from(picked);
            });
            assert_eq!(n, 3);
        }
        assert!(times.iter().all(|n| (2800..3200).contains(n)), "{times:?}");
    }

    #[test]
    fn what_is_drawn_differs() {
        let (mut rng, mut drawn) = (Rng::new(4), Vec::new());
        distinct(5, || rng.below(20) as i64, |n| Elem::Int(*n), |n| drawn.push(n));
        drawn.sort_unstable();
        drawn.dedup();
        assert_eq!(drawn.len(), 5);
    }
}
