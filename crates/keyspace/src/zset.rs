//! The zset container.

/// A zset value.
#[derive(Clone, Debug, Default)]
pub struct ZSet;

impl ZSet {
    /// Bytes of heap memory held by the container, with the allocator's rounding, without the container struct itself.
    pub fn memory_usage(&self) -> usize {
        0
    }
}
