//! Bytes behind one pointer with a count of their holders: what the listpacks of lists are kept in.
//!
//! Why: a chunk of a list is shared with snapshots until it is written, and lies one wait for memory away from whoever has its handle.
//!
//! ```text
//!   handle: pointer, length ─► ┌ count ┬ bytes ──────┐
//!                              └───────┴─────────────┘
//! ```

use base::listpack::Buffer;
use std::mem::MaybeUninit;
use std::ops::Deref;
use triomphe::{Arc, UniqueArc};

/// Counted bytes; a holder that writes while there are others gets a copy of its own.
#[derive(Clone)]
pub struct Shared(Arc<[u8]>);

impl Shared {
    /// The first of `bytes` that fit into `len` bytes, then zeros.
    fn filled(len: usize, bytes: &[u8]) -> Shared {
        let mut room = UniqueArc::<[MaybeUninit<u8>]>::new_uninit_slice(len);
        let (head, tail) = room.split_at_mut(bytes.len().min(len));
        for (to, from) in head.iter_mut().zip(bytes) {
            to.write(*from);
        }
        tail.fill(MaybeUninit::new(0));
        // SAFETY: head and tail are all of it, and both have just been written.
        Shared(unsafe { UniqueArc::assume_init_slice(room) }.shareable())
    }
}

impl Deref for Shared {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl Buffer for Shared {
    const OVERHEAD: usize = size_of::<usize>();

    fn zeroed(len: usize) -> Shared {
        Shared::filled(len, &[])
    }

    fn copy_of(bytes: &[u8]) -> Shared {
        Shared::filled(bytes.len(), bytes)
    }

    #[inline]
    fn bytes_mut(&mut self) -> &mut [u8] {
        if !self.0.is_unique() {
            *self = Shared::copy_of(self);
        }
        Arc::get_mut(&mut self.0).expect("nobody else holds it now")
    }

    fn resize(&mut self, len: usize) {
        *self = Shared::filled(len, self);
    }

    fn shared(&self) -> Option<Shared> {
        Some(self.clone())
    }
}
