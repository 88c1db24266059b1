//! Strings in an entry: set whole, appended to, written into.
//!
//! Why: short ones lie in the entry, long ones in a [`Blob`], numbers as such; whoever changes a string needs not know.
//!
//! Limits: the caller sees to it that strings stay below `proto-max-bulk-len`.

use super::{EDITED, Entry, INLINE_MAX, Kind};
use crate::blob::Blob;
use crate::size_class::size_class;
use crate::value::ValueRef;
use std::sync::atomic::Ordering;

impl Entry {
    /// Makes the entry hold this string; key, expiry and access clock stay. In place where the allocation's class allows it.
    #[inline]
    pub fn set_bytes(&mut self, value: &[u8]) {
        if !self.overwrite_bytes(value) {
            *self = if value.len() > INLINE_MAX {
                Entry::with_blob(self.key(), Blob::new(value), self.expire_at(), self.access())
            } else {
                Entry::inline_bytes(self.key(), value, self.expire_at(), self.access())
            };
        }
    }

    #[inline]
    fn overwrite_bytes(&mut self, value: &[u8]) -> bool {
        if self.kind() != Kind::Bytes || value.len() > INLINE_MAX || !self.is_unique() {
            return false;
        }
        if value.len() != self.val_len() {
            let fixed = self.key_off() + self.key_len();
            if size_class(fixed + value.len()) != size_class(fixed + self.val_len()) {
                return false;
            }
        }
        // SAFETY: this handle is the only one, and the allocation, having the size of its class, has room for the new payload.
        unsafe {
            self.payload().copy_from_nonoverlapping(value.as_ptr(), value.len());
            (*self.0.as_ptr()).val_len = value.len() as u16;
        }
        self.mark_edited(false);
        true
    }

    /// Whether the string was changed in part (appended to, written into) since it was last set whole: Redis shows such strings
    /// as `raw`, however short.
    pub fn is_edited(&self) -> bool {
        self.header().meta.load(Ordering::Relaxed) & EDITED != 0
    }

    #[inline]
    fn mark_edited(&self, edited: bool) {
        let meta = self.header().meta.load(Ordering::Relaxed);
        if (meta & EDITED != 0) != edited {
            self.header().meta.store(meta ^ EDITED, Ordering::Relaxed);
        }
    }

    /// Makes the entry hold this number; key, expiry and access clock stay.
    pub fn set_int(&mut self, value: i64) {
        if self.kind() != Kind::Int || !self.is_unique() {
            let entry = Entry::new_int(self.key(), value, self.expire_at());
            entry.set_access(self.access());
            *self = entry;
            return;
        }
        // SAFETY: this handle is the only one and an integer's payload has eight bytes.
        unsafe { self.payload().cast::<i64>().write_unaligned(value) };
    }

    /// Turns a number into its decimal string, so that bytes can be worked on; false if the entry holds no string.
    fn make_bytes(&mut self) -> bool {
        match self.value() {
            ValueRef::Bytes(_) => true,
            ValueRef::Int(number) => {
                self.set_bytes(itoa::Buffer::new().format(number).as_bytes());
                true
            }
            ValueRef::None | ValueRef::Score(_) => false,
            ValueRef::List(_) | ValueRef::Hash(_) | ValueRef::Set(_) | ValueRef::ZSet(_) => false,
        }
    }

    /// Appends to a string and returns its new length in bytes; `None` if the entry holds no string.
    pub fn append(&mut self, more: &[u8]) -> Option<usize> {
        let len = self.append_bytes(more)?;
        self.mark_edited(true);
        Some(len)
    }

    fn append_bytes(&mut self, more: &[u8]) -> Option<usize> {
        if !self.make_bytes() {
            return None;
        }
        if self.kind() == Kind::Blob {
            self.make_unique();
            return Some(self.with_blob_mut(|blob| {
                blob.append(more);
                blob.len()
            }));
        }
        let old_len = self.val_len();
        let len = old_len + more.len();
        if len > INLINE_MAX {
            let ValueRef::Bytes(bytes) = self.value() else {
                return None;
            };
            *self = Entry::with_blob(self.key(), Blob::joined(bytes, more), self.expire_at(), self.access());
            return Some(len);
        }
        self.resize_inline(len);
        // SAFETY: the payload has `len` bytes now and this handle is the only one.
        unsafe { self.payload().add(old_len).copy_from_nonoverlapping(more.as_ptr(), more.len()) };
        Some(len)
    }

    /// Gives an inline string this length and this handle sole hold of it; new bytes are zero.
    fn resize_inline(&mut self, len: usize) {
        let old_len = self.val_len();
        let fixed = self.key_off() + self.key_len();
        if self.is_unique() && size_class(fixed + len) == size_class(fixed + old_len) {
            // SAFETY: this handle is the only one and the allocation has room for its class.
            unsafe { (*self.0.as_ptr()).val_len = len as u16 };
        } else {
            let (entry, payload) = Entry::allocate(Kind::Bytes, self.key(), self.expire_at(), self.access(), len);
            // SAFETY: both payloads have at least the shorter one's bytes, and the fresh one is nobody else's.
            unsafe { payload.copy_from_nonoverlapping(self.payload(), old_len.min(len)) };
            *self = entry;
        }
        if len > old_len {
            // SAFETY: the payload has `len` bytes now and this handle is the only one.
            unsafe { self.payload().add(old_len).write_bytes(0, len - old_len) };
        }
    }

    /// The bytes of a string, to be changed in place, at least `min_len` of them (new ones are zero).
    /// `None` if the entry holds no string. A number becomes its decimal string.
    pub fn bytes_mut(&mut self, min_len: usize) -> Option<&mut [u8]> {
        if !self.make_bytes() {
            return None;
        }
        if self.kind() == Kind::Bytes {
            let len = self.val_len().max(min_len);
            if len <= INLINE_MAX {
                self.resize_inline(len);
                // SAFETY: the payload has `len` initialised bytes and this handle is the only one while it is borrowed.
                return Some(unsafe { std::slice::from_raw_parts_mut(self.payload(), len) });
            }
            let ValueRef::Bytes(bytes) = self.value() else {
                return None;
            };
            *self = Entry::with_blob(self.key(), Blob::zero_padded(bytes, len), self.expire_at(), self.access());
        }
        self.make_unique();
        let bytes: *mut [u8] = self.with_blob_mut(|blob| blob.bytes_mut(min_len) as *mut [u8]);
        // SAFETY: the buffer is held by this handle alone, which stays borrowed as long as the slice.
        Some(unsafe { &mut *bytes })
    }

    /// Writes into a string at an offset in bytes, padding with zeros; returns its new length, `None` if the entry holds no string.
    pub fn set_range(&mut self, offset: usize, bytes: &[u8]) -> Option<usize> {
        let end = offset.checked_add(bytes.len()).expect("strings are far shorter than the address space");
        let target = self.bytes_mut(if bytes.is_empty() { 0 } else { end })?;
        if !bytes.is_empty() {
            target[offset..end].copy_from_slice(bytes);
        }
        let len = target.len();
        self.mark_edited(true);
        Some(len)
    }
}
