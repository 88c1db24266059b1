//! The sizes up to which values stay packed: one place for the options that clients tune and `OBJECT ENCODING` shows.

/// When values leave their packed encodings. The defaults are those of Redis 7.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// `list-max-listpack-size`: elements per chunk if positive (0 counts as 1), else −1 … −5 for 4, 8, 16, 32, 64 KiB.
    pub list_max_listpack_size: i32,
    /// An element of a list from so many bytes on gets a chunk of its own, whatever its chunks' limit; 0 where only that counts.
    pub list_plain_bytes: usize,
    /// `hash-max-listpack-entries`, in fields.
    pub hash_max_listpack_entries: usize,
    /// `hash-max-listpack-value`, in bytes of a field or a value.
    pub hash_max_listpack_value: usize,
    /// `set-max-intset-entries`, in members.
    pub set_max_intset_entries: usize,
    /// `set-max-listpack-entries`, in members.
    pub set_max_listpack_entries: usize,
    /// `set-max-listpack-value`, in bytes of a member.
    pub set_max_listpack_value: usize,
    /// `zset-max-listpack-entries`, in members.
    pub zset_max_listpack_entries: usize,
    /// `zset-max-listpack-value`, in bytes of a member.
    pub zset_max_listpack_value: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            list_max_listpack_size: -2,
            list_plain_bytes: 0,
            hash_max_listpack_entries: 512,
            hash_max_listpack_value: 64,
            set_max_intset_entries: 512,
            set_max_listpack_entries: 128,
            set_max_listpack_value: 64,
            zset_max_listpack_entries: 128,
            zset_max_listpack_value: 64,
        }
    }
}

/// How large a chunk of a list may be when elements are counted and not bytes.
pub(crate) const COUNTED_BYTES_MAX: usize = 8192;

impl Limits {
    /// The limits of a list's chunk in bytes and in elements; the one that does not apply is `usize::MAX`.
    pub(crate) fn list_chunk(&self) -> (usize, usize) {
        match self.list_max_listpack_size {
            0 => (usize::MAX, 1),
            count @ 1.. => (usize::MAX, count.unsigned_abs() as usize),
            level => (4096 << (level.unsigned_abs() - 1).min(4), usize::MAX),
        }
    }

    /// Whether a chunk of a list with so many bytes and elements is over the limit.
    pub(crate) fn exceeds_list_chunk(&self, bytes: usize, count: usize) -> bool {
        match self.list_chunk() {
            (usize::MAX, count_max) => bytes > COUNTED_BYTES_MAX || count > count_max,
            (bytes_max, _) => bytes > bytes_max,
        }
    }

    /// Whether an element of a list is so long that it gets a chunk of its own, without encoding.
    pub(crate) fn is_large_in_list(&self, bytes: usize) -> bool {
        if self.list_plain_bytes > 0 {
            return bytes >= self.list_plain_bytes;
        }
        match self.list_chunk() {
            (usize::MAX, _) => bytes > COUNTED_BYTES_MAX,
            (bytes_max, _) => bytes > bytes_max,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunk_limits_of_both_kinds() {
        let check = |size, bytes, count, expected| {
            let limits = Limits { list_max_listpack_size: size, ..Limits::default() };
            assert_eq!(limits.exceeds_list_chunk(bytes, count), expected, "{size} {bytes} {count}");
        };
        check(-1, 4096, 100_000, false);
        check(-1, 4097, 1, true);
        check(-2, 8192, 1, false);
        check(-5, 65536, 1, false);
        check(-5, 65537, 1, true);
        check(-100, 65536, 1, false);
        check(i32::MIN, 65536, 1, false);
        check(3, 100, 3, false);
        check(3, 100, 4, true);
        check(3, 8193, 1, true);
        check(0, 100, 1, false);
        check(0, 100, 2, true);
    }
}
