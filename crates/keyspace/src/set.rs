//! The set container.

/// A set value.
#[derive(Clone, Debug, Default)]
pub struct Set;

impl Set {
    /// Bytes of heap memory held by the container, with the allocator's rounding, without the container struct itself.
    pub fn memory_usage(&self) -> usize {
        0
    }
}
