//! The size classes of the allocator.
//!
//! Why: jemalloc rounds every request up to a class. An allocation that is asked for with the size of its class
//! can be refilled in place with anything of the same class, without the entry having to remember a capacity,
//! and `MEMORY USAGE` can be answered without asking the allocator.
//!
//! Idea: 8, then multiples of 16 up to 128, then four classes for each doubling.
//!
//! ```text
//!   8 16 32 48 64 80 96 112 128 | 160 192 224 256 | 320 384 448 512 | 640 ...
//! ```
//!
//! Limits: it mirrors jemalloc with 16-byte quantum (64-bit machines). With another allocator everything still works;
//! only the memory figures are then estimates.

/// The number of bytes the allocator really sets aside for a request of `len_bytes`.
#[inline]
pub const fn size_class(len_bytes: usize) -> usize {
    if len_bytes <= 128 {
        if len_bytes <= 8 {
            return 8;
        }
        return (len_bytes + 15) & !15;
    }
    let bits = usize::BITS - (len_bytes - 1).leading_zeros();
    let step = 1usize << (bits - 3);
    (len_bytes + step - 1) & !(step - 1)
}

#[cfg(test)]
mod tests {
    use super::size_class;

    #[track_caller]
    fn check(len: usize, want: usize) {
        assert_eq!(size_class(len), want, "class of {len}");
    }

    #[test]
    fn classes_are_those_of_jemalloc() {
        check(0, 8);
        check(8, 8);
        check(9, 16);
        check(16, 16);
        check(17, 32);
        check(92, 96);
        check(128, 128);
        check(129, 160);
        check(256, 256);
        check(257, 320);
        check(592, 640);
        check(1025, 1280);
        check(1 << 20, 1 << 20);
        check((1 << 20) + 1, (1 << 20) + (1 << 18));
    }
}
