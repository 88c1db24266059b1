//! Long strings, kept outside their entry.
//!
//! Why: an entry is copied when it is written while a snapshot holds it; a long string must not be copied with it.
//! `APPEND` must also be amortised, so a long string owns spare room.
//!
//! Idea: a reference-counted buffer of which each holder knows how many bytes it may see. Bytes behind everybody's
//! end belong to nobody, so a holder may append to a *shared* buffer: it claims the room by moving `filled` from its own
//! length. A second holder that tries the same finds `filled` moved and takes a copy.
//!
//! ```text
//!   buffer:  refs u32 | pad u32 | capacity u64 | filled u64 | bytes ...
//!            0          4         8              16           24        24 + capacity
//!   holder:  pointer to buffer u64 | length u64          (in the payload of the entry)
//!
//!   snapshot sees |#########|
//!   the key sees  |#########+++++|......|                + appended after the snapshot, . free room
//! ```
//!
//! Limits: the bytes are contiguous, so that replies and hashing see one slice. Overwriting bytes in the middle of a blob
//! that a snapshot (or a `COPY`) shares copies it once, and growing past the capacity may copy it: a bound of the length of
//! this one string, about 0.1 ms for each MiB. Overwriting a blob whole never copies the old bytes.

use crate::size_class::size_class;
use std::alloc::{Layout, alloc, alloc_zeroed, dealloc, handle_alloc_error, realloc};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering, fence};

#[repr(C)]
struct Buffer {
    refs: AtomicU32,
    capacity: usize,
    filled: AtomicUsize,
}

const HEADER: usize = size_of::<Buffer>();
const _: () = assert!(HEADER == 24);

/// One holder's view of a shared buffer.
pub(crate) struct Blob {
    buffer: NonNull<Buffer>,
    len: usize,
}

// SAFETY: the count is atomic, bytes below `filled` are written only by a sole holder through `&mut`,
// and bytes above it only by the holder that claimed them atomically, before anybody can see them.
unsafe impl Send for Blob {}
// SAFETY: as above; `&Blob` only reads bytes below its own length.
unsafe impl Sync for Blob {}

fn layout(capacity: usize) -> Layout {
    Layout::from_size_align(HEADER + capacity, 8).expect("a string is far shorter than the address space")
}

/// Room to ask for when a string is about to hold `len` bytes and may go on growing.
fn roomy(len: usize) -> usize {
    let spare = if len < 1 << 20 { len } else { len / 4 };
    size_class(HEADER + len + spare) - HEADER
}

impl Blob {
    /// A blob with room for `capacity` bytes, holding none.
    fn with_capacity(capacity: usize) -> Blob {
        Blob::made_by(alloc, capacity)
    }

    /// A blob of these bytes and zeros behind them, `len` bytes in all. Zeros that come from the kernel cost nothing before they are
    /// written to.
    pub(crate) fn zero_padded(bytes: &[u8], len: usize) -> Blob {
        let mut blob = Blob::made_by(alloc_zeroed, size_class(HEADER + len.max(bytes.len())) - HEADER);
        blob.append(bytes);
        if len > blob.len {
            // All bytes of the buffer are initialised, and this holder is the only one.
            blob.header().filled.store(len, Ordering::Relaxed);
            blob.len = len;
        }
        blob
    }

    /// A blob whose buffer comes from `allocate`, holding no bytes.
    fn made_by(allocate: unsafe fn(Layout) -> *mut u8, capacity: usize) -> Blob {
        let layout = layout(capacity);
        // SAFETY: the layout is never empty, it holds at least the header.
        let raw = unsafe { allocate(layout) };
        let Some(buffer) = NonNull::new(raw.cast::<Buffer>()) else { handle_alloc_error(layout) };
        // SAFETY: the allocation is fresh, aligned to 8 and at least as long as the header.
        unsafe { buffer.write(Buffer { refs: AtomicU32::new(1), capacity, filled: AtomicUsize::new(0) }) };
        Blob { buffer, len: 0 }
    }

    /// A blob of exactly these bytes, without spare room beyond the allocator's rounding.
    pub(crate) fn new(bytes: &[u8]) -> Blob {
        let mut blob = Blob::with_capacity(size_class(HEADER + bytes.len()) - HEADER);
        blob.append(bytes);
        blob
    }

    /// A blob of the two parts with room to grow.
    pub(crate) fn joined(first: &[u8], second: &[u8]) -> Blob {
        let mut blob = Blob::with_capacity(roomy(first.len() + second.len()));
        blob.append(first);
        blob.append(second);
        blob
    }

    fn header(&self) -> &Buffer {
        // SAFETY: the buffer lives as long as one holder does, and only `refs` and `filled`, both atomic, ever change while shared.
        unsafe { self.buffer.as_ref() }
    }

    fn bytes_ptr(&self) -> *mut u8 {
        // SAFETY: the bytes follow the header in the same allocation.
        unsafe { self.buffer.as_ptr().cast::<u8>().add(HEADER) }
    }

    /// Whether nobody else holds the buffer.
    fn is_unique(&self) -> bool {
        self.header().refs.load(Ordering::Acquire) == 1
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        // SAFETY: the first `len` bytes were written before this holder's length came to include them, and change only through `&mut`
        // of a sole holder.
        unsafe { std::slice::from_raw_parts(self.bytes_ptr(), self.len) }
    }

    /// Bytes of the allocation, with the allocator's rounding.
    pub(crate) fn allocated(&self) -> usize {
        size_class(HEADER + self.header().capacity)
    }

    /// Appends in place where there is room, even when the buffer is shared; grows or copies otherwise.
    pub(crate) fn append(&mut self, more: &[u8]) {
        let end = self.len + more.len();
        if !self.claim(end) {
            if self.is_unique() {
                self.grow(end);
            } else {
                *self = Blob::joined(self.bytes(), more);
                return;
            }
        }
        // SAFETY: `len..end` is within the capacity and was claimed for this holder alone; `more` cannot overlap bytes that nobody sees.
        unsafe { self.bytes_ptr().add(self.len).copy_from_nonoverlapping(more.as_ptr(), more.len()) };
        self.len = end;
    }

    /// Takes the bytes from the own length up to `end` for this holder; false when they do not fit or are somebody else's.
    fn claim(&self, end: usize) -> bool {
        let header = self.header();
        end <= header.capacity
            && header.filled.compare_exchange(self.len, end, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }

    /// Makes room for `end` bytes in a buffer that this holder alone has, and claims them.
    fn grow(&mut self, end: usize) {
        let old = self.header().capacity;
        if end > old {
            let capacity = roomy(end);
            // SAFETY: the buffer was allocated with this layout and nobody else holds it; the new size is not zero and does not overflow.
            let raw = unsafe { realloc(self.buffer.as_ptr().cast(), layout(old), HEADER + capacity) };
            let Some(buffer) = NonNull::new(raw.cast::<Buffer>()) else { handle_alloc_error(layout(capacity)) };
            self.buffer = buffer;
            // SAFETY: this holder is the only one, so a plain write to the header is not a race.
            unsafe { (*self.buffer.as_ptr()).capacity = capacity };
        }
        self.header().filled.store(end, Ordering::Relaxed);
    }

    /// The bytes to be changed in place, at least `min_len` of them (new ones are zero).
    pub(crate) fn bytes_mut(&mut self, min_len: usize) -> &mut [u8] {
        let end = self.len.max(min_len);
        if !self.is_unique() {
            let mut copy = Blob::with_capacity(size_class(HEADER + end) - HEADER);
            copy.append(self.bytes());
            *self = copy;
        }
        if end > self.len {
            self.grow(end);
            // SAFETY: `grow` made room up to `end`, and this holder is the only one.
            unsafe { self.bytes_ptr().add(self.len).write_bytes(0, end - self.len) };
            self.len = end;
        }
        // SAFETY: the first `len` bytes are initialised and this holder is the only one.
        unsafe { std::slice::from_raw_parts_mut(self.bytes_ptr(), self.len) }
    }
}

impl Clone for Blob {
    fn clone(&self) -> Blob {
        self.header().refs.fetch_add(1, Ordering::Relaxed);
        Blob { buffer: self.buffer, len: self.len }
    }
}

impl Drop for Blob {
    fn drop(&mut self) {
        if self.header().refs.fetch_sub(1, Ordering::Release) != 1 {
            return;
        }
        fence(Ordering::Acquire);
        let layout = layout(self.header().capacity);
        // SAFETY: this was the last holder, and the buffer was allocated with this layout.
        unsafe { dealloc(self.buffer.as_ptr().cast(), layout) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn append_to_a_shared_blob_copies_nothing_and_hides_from_the_other() {
        let mut live = Blob::joined(&[b'a'; 2000], b"");
        let snapshot = live.clone();
        live.append(b"xyz");
        assert_eq!(live.bytes_ptr(), snapshot.bytes_ptr());
        assert_eq!(snapshot.bytes(), [b'a'; 2000]);
        assert_eq!(&live.bytes()[2000..], b"xyz");
        // A second holder that appends from the same point must not see or destroy the first one's bytes.
        let mut other = snapshot.clone();
        other.append(b"Q");
        assert_ne!(other.bytes_ptr(), live.bytes_ptr());
        assert_eq!(&other.bytes()[2000..], b"Q");
        assert_eq!(&live.bytes()[2000..], b"xyz");
    }

    #[test]
    fn a_sole_holder_may_append_again_after_a_longer_one_is_gone() {
        let mut short = Blob::joined(&[1; 1500], b"");
        let mut long = short.clone();
        long.append(&[2; 100]);
        drop(long);
        short.append(&[3; 50]);
        assert_eq!(short.len(), 1550);
        assert_eq!(&short.bytes()[1500..], [3; 50]);
    }

    #[test]
    fn changing_bytes_of_a_shared_blob_takes_a_copy() {
        let mut live = Blob::new(&[0; 3000]);
        let snapshot = live.clone();
        live.bytes_mut(4000)[10] = 7;
        assert_eq!(live.len(), 4000);
        assert_eq!(snapshot.bytes(), [0; 3000]);
        assert_eq!((live.bytes()[10], live.bytes()[3999]), (7, 0));
    }

    #[test]
    fn padding_is_zero_and_can_be_appended_to() {
        let mut blob = Blob::zero_padded(b"ab", 5000);
        assert_eq!((blob.len(), &blob.bytes()[..4]), (5000, &b"ab\0\0"[..]));
        assert!(blob.bytes()[2..].iter().all(|&byte| byte == 0));
        blob.append(b"c");
        assert_eq!(&blob.bytes()[4999..], b"\0c");
        assert_eq!(Blob::zero_padded(b"abc", 1).bytes(), b"abc");
    }

    #[test]
    fn appending_is_amortised() {
        let mut blob = Blob::new(&[0; 1025]);
        let mut moves = 0;
        for _ in 0..100_000 {
            let capacity = blob.header().capacity;
            blob.append(&[1; 10]);
            moves += usize::from(blob.header().capacity != capacity);
        }
        assert_eq!(blob.len(), 1025 + 1_000_000);
        assert!(moves < 16, "{moves} reallocations");
    }
}
