//! The list container.

/// A list value.
#[derive(Clone, Debug, Default)]
pub struct List;

impl List {
    /// Bytes of heap memory held by the container, with the allocator's rounding, without the container struct itself.
    pub fn memory_usage(&self) -> usize {
        0
    }
}
