//! An entry: a key (or field, or member) with what belongs to it, in one allocation.
//!
//! Why: a key with a small value should cost one allocation and one or two cache lines, and a snapshot must be able to
//! share it. So the handle is one pointer, the reference count sits in the entry, and short values are stored inline.
//!
//! ```text
//!   small:   refs u32 | meta u32 | key_len u8 | key_off u8 | val_len u16 | [expiry i64] | key | payload
//!            0          4          8            9            10            12
//!   large:   refs u32 | meta u32 | 0          | key_off u8 | val_len u16 | key_len u32 | [expiry i64] | key | payload
//!            0          4          8            9            10            12            16
//!   object:  as small or large up to 16, then the container's handle | [expiry i64] | key
//!
//!   meta:    access clock (24 bits) | kind (4) | has expiry (1) | large (1) | edited (1) | unused (1)
//!   payload: None: nothing   Bytes: the bytes   Int: i64   Score: f64   Blob: pointer u64, length u64
//!            Fields: a packed hash
//! ```
//! The expiry, when there is one, always ends where the key begins. Nothing but a container's handle is aligned; the rest is read
//! unaligned. The allocation has the size of its allocator class, so a string can be overwritten in place
//! with one of the same class, and a small hash grows in place up to the next.
//!
//! A 16-byte key with a 64-byte value takes 92 bytes, which is the class of 96; with a list or sorted set it takes 48 beside what
//! these own: the kind tells the container's type, so that its handle needs no more than two words.
//!
//! Limits: keys up to 4 GiB; strings longer than [`INLINE_MAX`] bytes live in a separate buffer with limits of its own.
//! The access clock is meant to be set by one thread; others may read it.

use crate::blob::Blob;
use crate::hash::{Form, HashMut, HashRef, Shape};
use crate::size_class::size_class;
use crate::trie::Trie;
use crate::value::{Value, ValueMut, ValueRef};
use crate::{Hash, List, Set, ZSet};
use base::fields::{Edit, Fields};
use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::fmt;
use std::ops::Range;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering, fence};

/// The longest string, in bytes, that is stored inside its entry.
pub const INLINE_MAX: usize = 1024;

#[repr(C)]
struct Header {
    refs: AtomicU32,
    meta: AtomicU32,
    key_len: u8,
    key_off: u8,
    val_len: u16,
}

const SMALL_HEADER: usize = size_of::<Header>();
const LARGE_HEADER: usize = 16;
/// Where the handle of an object's container is.
const VALUE_AT: usize = 16;
const BLOB_LEN: usize = size_of::<Blob>();
const _: () = assert!(SMALL_HEADER == 12);
const _: () = assert!(align_of::<Value>() <= 8 && Kind::List.handle_len() == 16 && Kind::Table.handle_len() == 8);
const _: () = assert!(Kind::ZSet.handle_len() == 16 && Kind::Set.handle_len() == 24);
const _: () = assert!(SMALL_HEADER + 16 + 64 <= 96);

const ACCESS_MASK: u32 = (1 << 24) - 1;
const KIND_SHIFT: u32 = 24;
const KIND_MASK: u32 = 15;
const HAS_EXPIRY: u32 = 1 << 28;
const LARGE: u32 = 1 << 29;
/// The string was changed in part since it was last set whole.
const EDITED: u32 = 1 << 30;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
enum Kind {
    None = 0,
    Bytes = 1,
    Int = 2,
    Score = 3,
    Blob = 4,
    /// A packed hash.
    Fields = 5,
    List = 6,
    /// A hash that is a table.
    Table = 7,
    Set = 8,
    ZSet = 9,
}

impl Kind {
    fn of(value: &Value) -> Kind {
        match value {
            Value::List(_) => Kind::List,
            Value::Hash(Hash(Form::Packed(_))) => Kind::Fields,
            Value::Hash(Hash(Form::Table(_))) => Kind::Table,
            Value::Set(_) => Kind::Set,
            Value::ZSet(_) => Kind::ZSet,
        }
    }

    /// Whether the value is a container of its own, to which the entry has the handle.
    #[inline]
    fn is_object(self) -> bool {
        self as u32 >= Kind::List as u32
    }

    /// Bytes of the handle of a container of this kind, 0 of other kinds.
    const fn handle_len(self) -> usize {
        match self {
            Kind::List => size_of::<List>(),
            Kind::Table => size_of::<Box<Trie>>(),
            Kind::Set => size_of::<Set>(),
            Kind::ZSet => size_of::<ZSet>(),
            Kind::None | Kind::Bytes | Kind::Int | Kind::Score | Kind::Blob | Kind::Fields => 0,
        }
    }
}

/// An entry's kind is none that we have ever written: memory is damaged, and any guess would read it as something that it is not.
#[cold]
#[inline(never)]
fn unknown_kind() -> ! {
    std::process::abort()
}

/// A counted handle of an entry. A clone shares; a method that takes `&mut self` first makes the entry this handle's own,
/// so no other holder ever sees a change.
#[repr(transparent)]
pub struct Entry(NonNull<Header>);

// SAFETY: counts and the access clock are atomic, everything else changes only through `&mut` of a sole holder,
// and what an entry owns (blobs, values) is Send and Sync itself.
unsafe impl Send for Entry {}
// SAFETY: as above.
unsafe impl Sync for Entry {}

const _: () = {
    const fn shareable<T: Send + Sync>() {}
    shareable::<Value>()
};

#[inline]
fn layout(len: usize) -> Layout {
    Layout::from_size_align(size_class(len), 8).expect("an entry is far shorter than the address space")
}

impl Entry {
    /// An entry that holds a string. `expire` is in Unix milliseconds.
    #[inline]
    pub fn new_bytes(key: &[u8], value: &[u8], expire: Option<i64>) -> Entry {
        if value.len() > INLINE_MAX {
            return Entry::with_blob(key, Blob::new(value), expire, 0);
        }
        Entry::inline_bytes(key, value, expire, 0)
    }

    #[inline]
    fn inline_bytes(key: &[u8], value: &[u8], expire: Option<i64>, access: u32) -> Entry {
        let (entry, payload) = Entry::allocate(Kind::Bytes, key, expire, access, value.len());
        // SAFETY: the fresh entry has `value.len()` bytes of payload, which nobody else sees yet.
        unsafe { payload.copy_from_nonoverlapping(value.as_ptr(), value.len()) };
        entry
    }

    /// An entry that holds a number in the form of a string. `expire` is in Unix milliseconds.
    pub fn new_int(key: &[u8], value: i64, expire: Option<i64>) -> Entry {
        let (entry, payload) = Entry::allocate(Kind::Int, key, expire, 0, 8);
        // SAFETY: the fresh entry has eight bytes of payload.
        unsafe { payload.cast::<i64>().write_unaligned(value) };
        entry
    }

    /// An entry that is only a key: a member of a set.
    pub fn new_member(key: &[u8]) -> Entry {
        Entry::allocate(Kind::None, key, None, 0, 0).0
    }

    /// A member of a sorted set with its score.
    pub fn new_score(key: &[u8], score: f64) -> Entry {
        let (entry, payload) = Entry::allocate(Kind::Score, key, None, 0, 8);
        // SAFETY: the fresh entry has eight bytes of payload.
        unsafe { payload.cast::<f64>().write_unaligned(score) };
        entry
    }

    /// An entry that holds a container. `expire` is in Unix milliseconds.
    pub fn new_value(key: &[u8], value: Value, expire: Option<i64>) -> Entry {
        Entry::object(key, value, expire, 0)
    }

    fn object(key: &[u8], value: Value, expire: Option<i64>, access: u32) -> Entry {
        if let Value::Hash(Hash(form)) = &value
            && let Some(fields) = form.packed()
        {
            let (entry, payload) = Entry::allocate(Kind::Fields, key, expire, access, fields.len());
            // SAFETY: the fresh entry has `fields.len()` bytes of payload, which nobody else sees yet.
            unsafe { payload.copy_from_nonoverlapping(fields.as_ptr(), fields.len()) };
            return entry;
        }
        let entry = Entry::allocate(Kind::of(&value), key, expire, access, 0).0;
        // SAFETY: an object's allocation has room for the aligned handle of its kind there, not yet initialised.
        unsafe {
            match value {
                Value::List(list) => entry.handle::<List>().write(list),
                Value::Hash(Hash(Form::Table(table))) => entry.handle::<Box<Trie>>().write(table),
                Value::Hash(Hash(Form::Packed(_))) => unreachable!("it is a payload, see above"),
                Value::Set(set) => entry.handle::<Set>().write(set),
                Value::ZSet(zset) => entry.handle::<ZSet>().write(zset),
            }
        }
        entry
    }

    fn with_blob(key: &[u8], blob: Blob, expire: Option<i64>, access: u32) -> Entry {
        let (entry, payload) = Entry::allocate(Kind::Blob, key, expire, access, BLOB_LEN);
        // SAFETY: the fresh entry has room for the blob's handle.
        unsafe { payload.cast::<Blob>().write_unaligned(blob) };
        entry
    }

    /// A fresh entry whose payload (returned) or handle is still to be written.
    #[inline]
    fn allocate(kind: Kind, key: &[u8], expire: Option<i64>, access: u32, val_len: usize) -> (Entry, *mut u8) {
        let large = key.len() > usize::from(u8::MAX);
        debug_assert!(val_len <= usize::from(u16::MAX), "payloads are limited by those who make them");
        assert!(key.len() <= u32::MAX as usize, "keys are limited to 4 GiB");
        let base = if kind.is_object() {
            VALUE_AT + kind.handle_len()
        } else if large {
            LARGE_HEADER
        } else {
            SMALL_HEADER
        };
        let key_off = base + if expire.is_some() { 8 } else { 0 };
        let layout = layout(key_off + key.len() + val_len);
        // SAFETY: the layout holds at least the header, so it is not empty.
        let raw = unsafe { alloc(layout) };
        let Some(header) = NonNull::new(raw.cast::<Header>()) else { handle_alloc_error(layout) };
        let mut meta = (access & ACCESS_MASK) | ((kind as u32) << KIND_SHIFT);
        meta |= if expire.is_some() { HAS_EXPIRY } else { 0 };
        meta |= if large { LARGE } else { 0 };
        // SAFETY: the allocation is fresh, aligned to 8 and at least `key_off + key.len() + val_len` bytes long; every write
        // below stays inside, as `key_off` covers the header, the long key length and the expiry.
        unsafe {
            header.write(Header {
                refs: AtomicU32::new(1),
                meta: AtomicU32::new(meta),
                key_len: if large { 0 } else { key.len() as u8 },
                key_off: key_off as u8,
                val_len: val_len as u16,
            });
            if large {
                raw.add(SMALL_HEADER).cast::<u32>().write(key.len() as u32);
            }
            if let Some(at) = expire {
                raw.add(key_off - 8).cast::<i64>().write_unaligned(at);
            }
            raw.add(key_off).copy_from_nonoverlapping(key.as_ptr(), key.len());
            (Entry(header), raw.add(key_off + key.len()))
        }
    }

    #[inline]
    fn header(&self) -> &Header {
        // SAFETY: the handle holds a count, so the header is alive; while others hold one too, only its atomics change.
        unsafe { self.0.as_ref() }
    }

    #[inline]
    fn meta(&self) -> u32 {
        self.header().meta.load(Ordering::Relaxed)
    }

    #[inline]
    fn kind(&self) -> Kind {
        match (self.meta() >> KIND_SHIFT) & KIND_MASK {
            0 => Kind::None,
            1 => Kind::Bytes,
            2 => Kind::Int,
            3 => Kind::Score,
            4 => Kind::Blob,
            5 => Kind::Fields,
            6 => Kind::List,
            7 => Kind::Table,
            8 => Kind::Set,
            9 => Kind::ZSet,
            _ => unknown_kind(),
        }
    }

    #[inline]
    fn byte(&self, at: usize) -> *mut u8 {
        // SAFETY: callers pass offsets inside the allocation.
        unsafe { self.0.as_ptr().cast::<u8>().add(at) }
    }

    #[inline]
    fn key_len(&self) -> usize {
        if self.meta() & LARGE == 0 {
            usize::from(self.header().key_len)
        } else {
            // SAFETY: a large entry has its key length there, aligned to 4.
            unsafe { self.byte(SMALL_HEADER).cast::<u32>().read() as usize }
        }
    }

    #[inline]
    fn key_off(&self) -> usize {
        usize::from(self.header().key_off)
    }

    #[inline]
    fn val_len(&self) -> usize {
        usize::from(self.header().val_len)
    }

    #[inline]
    fn payload(&self) -> *mut u8 {
        self.byte(self.key_off() + self.key_len())
    }

    /// Where the handle of an object's container is; `T` is the type that the kind tells.
    #[inline]
    fn handle<T>(&self) -> *mut T {
        self.byte(VALUE_AT).cast()
    }

    fn total_len(&self) -> usize {
        self.key_off() + self.key_len() + self.val_len()
    }

    /// The address of the entry, for prefetching.
    #[inline]
    pub(crate) fn address(&self) -> *const u8 {
        self.0.as_ptr().cast()
    }

    /// Whether the entry holds a container, a packed one included.
    #[inline]
    pub(crate) fn is_container(&self) -> bool {
        self.kind() as u32 >= Kind::Fields as u32
    }

    /// The key (or field, or member).
    #[inline]
    pub fn key(&self) -> &[u8] {
        // SAFETY: the key's bytes are initialised and never change while the entry lives.
        unsafe { std::slice::from_raw_parts(self.byte(self.key_off()), self.key_len()) }
    }

    /// When the entry expires, in Unix milliseconds.
    #[inline]
    pub fn expire_at(&self) -> Option<i64> {
        if self.meta() & HAS_EXPIRY == 0 {
            return None;
        }
        // SAFETY: an entry with the flag has its expiry in the eight bytes before the key.
        Some(unsafe { self.byte(self.key_off() - 8).cast::<i64>().read_unaligned() })
    }

    /// The 24-bit access clock (LRU time or LFU counter, as the eviction policy uses it).
    #[inline]
    pub fn access(&self) -> u32 {
        self.meta() & ACCESS_MASK
    }

    /// Sets the access clock; bits above the 24th are cut off. All holders of the entry see it.
    #[inline]
    pub fn set_access(&self, access: u32) {
        let meta = self.meta();
        let new = (meta & !ACCESS_MASK) | (access & ACCESS_MASK);
        // Kind and flags never change while the entry is shared, so a load and a store lose at most another clock value.
        if new != meta {
            self.header().meta.store(new, Ordering::Relaxed);
        }
    }

    /// What the entry holds.
    #[inline]
    pub fn value(&self) -> ValueRef<'_> {
        // SAFETY: the kind says what the payload is, and it stays as it is while `self` is borrowed.
        unsafe {
            match self.kind() {
                Kind::None => ValueRef::None,
                Kind::Bytes => ValueRef::Bytes(std::slice::from_raw_parts(self.payload(), self.val_len())),
                Kind::Int => ValueRef::Int(self.payload().cast::<i64>().read_unaligned()),
                Kind::Score => ValueRef::Score(self.payload().cast::<f64>().read_unaligned()),
                Kind::Blob => {
                    // The handle may be unaligned, so it is copied out; what it points to outlives the borrow of `self`.
                    let blob = self.blob_bits();
                    let bytes: *const [u8] = blob.bytes();
                    ValueRef::Bytes(&*bytes)
                }
                Kind::List => ValueRef::List(&*self.handle()),
                Kind::Fields => ValueRef::Hash(HashRef(Shape::Packed(self.fields()))),
                Kind::Table => ValueRef::Hash(HashRef(Shape::Table(&*self.handle::<Box<Trie>>()))),
                Kind::Set => ValueRef::Set(&*self.handle()),
                Kind::ZSet => ValueRef::ZSet(&*self.handle()),
            }
        }
    }

    /// The score, if the entry is a member of a sorted set.
    #[inline]
    pub fn score(&self) -> Option<f64> {
        match self.value() {
            ValueRef::Score(score) => Some(score),
            ValueRef::None | ValueRef::Bytes(_) | ValueRef::Int(_) => None,
            ValueRef::List(_) | ValueRef::Hash(_) | ValueRef::Set(_) | ValueRef::ZSet(_) => None,
        }
    }

    /// The fields of a packed hash.
    #[inline]
    fn fields(&self) -> Fields<'_> {
        debug_assert_eq!(self.kind(), Kind::Fields);
        // SAFETY: the payload has `val_len` initialised bytes, which stay as they are while `self` is borrowed.
        Fields::new(unsafe { std::slice::from_raw_parts(self.payload(), self.val_len()) })
    }

    /// The hash that the entry holds.
    #[inline]
    pub(crate) fn hash(&self) -> Option<HashRef<'_>> {
        match self.value() {
            ValueRef::Hash(hash) => Some(hash),
            ValueRef::None | ValueRef::Bytes(_) | ValueRef::Int(_) | ValueRef::Score(_) => None,
            ValueRef::List(_) | ValueRef::Set(_) | ValueRef::ZSet(_) => None,
        }
    }

    /// The handle of the blob without a count of its own.
    fn blob_bits(&self) -> std::mem::ManuallyDrop<Blob> {
        debug_assert_eq!(self.kind(), Kind::Blob);
        // SAFETY: a blob entry has an initialised handle there; `ManuallyDrop` keeps this second copy from giving back the count.
        unsafe { std::mem::ManuallyDrop::new(self.payload().cast::<Blob>().read_unaligned()) }
    }

    /// Lets `change` work on the blob of an entry that this handle alone has.
    fn with_blob_mut<R>(&mut self, change: impl FnOnce(&mut Blob) -> R) -> R {
        assert!(self.is_unique() && self.kind() == Kind::Blob, "only the sole holder may change a blob's handle");
        let mut blob = self.blob_bits();
        let result = change(&mut blob);
        // SAFETY: the old handle's count has passed to `blob` (whatever `change` made of it), which moves back here.
        unsafe { self.payload().cast::<std::mem::ManuallyDrop<Blob>>().write_unaligned(blob) };
        result
    }

    /// Whether this handle is the only one.
    #[inline]
    pub fn is_unique(&self) -> bool {
        self.header().refs.load(Ordering::Acquire) == 1
    }

    /// Makes this handle the only one, by a copy if it is not. O(1) in the size of the value.
    #[inline]
    pub(crate) fn make_unique(&mut self) {
        if !self.is_unique() {
            *self = self.rebuilt(self.key(), self.expire_at());
        }
    }

    /// A new entry with the same value (shared where it is big) under the given key and expiry.
    fn rebuilt(&self, key: &[u8], expire: Option<i64>) -> Entry {
        let access = self.access();
        match self.kind() {
            Kind::List | Kind::Table | Kind::Set | Kind::ZSet => {
                let value = self.value().to_value().expect("an object's value is a container");
                Entry::object(key, value, expire, access)
            }
            Kind::Blob => Entry::with_blob(key, Blob::clone(&self.blob_bits()), expire, access),
            kind @ (Kind::None | Kind::Bytes | Kind::Int | Kind::Score | Kind::Fields) => {
                let (entry, payload) = Entry::allocate(kind, key, expire, access, self.val_len());
                // SAFETY: both payloads have `val_len` bytes, the fresh one is nobody else's.
                unsafe { payload.copy_from_nonoverlapping(self.payload(), self.val_len()) };
                entry
            }
        }
    }

    /// As `rebuilt`, in place of `self`, but a sole holder's container or blob is moved and not cloned, so it stays unshared.
    fn rebuild(&mut self, new_key: Option<&[u8]>, expire: Option<i64>) {
        let key = new_key.unwrap_or(self.key());
        if !self.is_unique() {
            *self = self.rebuilt(key, expire);
            return;
        }
        let kind = self.kind();
        let (entry, payload) = Entry::allocate(kind, key, expire, self.access(), self.val_len());
        // SAFETY: payload and container handle are moved bit by bit into room of the same size; the old allocation is then freed without
        // dropping them, and its own handle is overwritten at once.
        unsafe {
            payload.copy_from_nonoverlapping(self.payload(), self.val_len());
            entry.handle::<u8>().copy_from_nonoverlapping(self.handle(), kind.handle_len());
            dealloc(self.0.as_ptr().cast(), layout(self.total_len()));
            std::ptr::write(self, entry);
        }
    }

    /// The same entry under another key; the value is not copied.
    pub fn renamed(mut self, key: &[u8]) -> Entry {
        let expire = self.expire_at();
        self.rebuild(Some(key), expire);
        self
    }

    /// An entry under another key that shares this one's value. The access clock comes along.
    pub fn copied(&self, key: &[u8], expire: Option<i64>) -> Entry {
        self.rebuilt(key, expire)
    }

    /// Sets, changes or takes away the expiry.
    ///
    /// Only a trie calls it for entries inside: the expiry bounds of the nodes above have to know of it.
    pub(crate) fn set_expire(&mut self, expire: Option<i64>) {
        match (expire, self.expire_at()) {
            (None, None) => {}
            (Some(at), Some(_)) if self.is_unique() => {
                // SAFETY: the flag says that the eight bytes before the key are the expiry; this handle is the only one.
                unsafe { self.byte(self.key_off() - 8).cast::<i64>().write_unaligned(at) };
            }
            _ => self.rebuild(None, expire),
        }
    }

    /// Sets the score of a sorted set's member; an entry of another kind becomes one.
    pub fn set_score(&mut self, score: f64) {
        if self.kind() != Kind::Score || !self.is_unique() {
            *self = Entry::new_score(self.key(), score);
            return;
        }
        // SAFETY: this handle is the only one and a score's payload has eight bytes.
        unsafe { self.payload().cast::<f64>().write_unaligned(score) };
    }

    /// Changes a packed hash: in place where the allocation's class allows it.
    pub(crate) fn edit_fields(&mut self, edit: &Edit<'_>) {
        debug_assert_eq!(self.kind(), Kind::Fields);
        edit.write(self.splice_payload(edit.place(), edit.size()));
    }

    /// Replaces all fields of a packed hash.
    pub(crate) fn set_fields(&mut self, fields: &[u8]) {
        debug_assert_eq!(self.kind(), Kind::Fields);
        self.splice_payload(0..self.val_len(), fields.len()).copy_from_slice(fields);
    }

    /// Makes the part `place` of the payload `size` bytes long, whose content is still to be written, and this handle the only one.
    fn splice_payload(&mut self, place: Range<usize>, size: usize) -> &mut [u8] {
        let old_len = self.val_len();
        assert!(place.start <= place.end && place.end <= old_len, "the part is inside the payload");
        let (head, tail) = (place.start, old_len - place.end);
        let len = head + size + tail;
        let fixed = self.key_off() + self.key_len();
        if self.is_unique() && size_class(fixed + len) == size_class(fixed + old_len) {
            // SAFETY: this handle is the only one, and the allocation, having the size of its class, has room for both payloads.
            unsafe {
                self.payload().add(head + size).copy_from(self.payload().add(place.end), tail);
                (*self.0.as_ptr()).val_len = len as u16;
            }
        } else {
            let (entry, payload) = Entry::allocate(self.kind(), self.key(), self.expire_at(), self.access(), len);
            // SAFETY: `head` and `tail` bytes are in both payloads at these places, and the fresh one is nobody else's.
            unsafe {
                payload.copy_from_nonoverlapping(self.payload(), head);
                payload.add(head + size).copy_from_nonoverlapping(self.payload().add(place.end), tail);
            }
            *self = entry;
        }
        // SAFETY: the payload has `len` bytes, all of them initialised when the new ones are, and this handle is the only one while it
        // is borrowed.
        unsafe {
            self.payload().add(head).write_bytes(0, size);
            std::slice::from_raw_parts_mut(self.payload(), len)
        }
    }

    /// Puts another hash in the place of the one that the entry holds; key, expiry and access clock stay.
    pub(crate) fn set_hash(&mut self, hash: Hash) {
        *self = Entry::object(self.key(), Value::Hash(hash), self.expire_at(), self.access());
    }

    /// The table of a big hash, to be changed. Unshares the entry.
    pub(crate) fn table_mut(&mut self) -> &mut Trie {
        assert!(self.kind() == Kind::Table, "only a big hash has a table");
        self.make_unique();
        // SAFETY: the kind says that the initialised handle of a table is there, and this entry's handle is the only one.
        unsafe { &mut *self.handle::<Box<Trie>>() }
    }

    /// The container, to be changed; `None` if the entry holds none. Unshares the entry; the container unshares its own parts.
    #[inline]
    pub fn value_mut(&mut self) -> Option<ValueMut<'_>> {
        match self.kind() {
            Kind::Fields | Kind::Table => return Some(ValueMut::Hash(HashMut::new(self))),
            Kind::None | Kind::Bytes | Kind::Int | Kind::Score | Kind::Blob => return None,
            Kind::List | Kind::Set | Kind::ZSet => self.make_unique(),
        }
        // SAFETY: an object has the initialised handle of its kind there, and this entry's handle is the only one.
        unsafe {
            Some(match self.kind() {
                Kind::List => ValueMut::List(&mut *self.handle()),
                Kind::Set => ValueMut::Set(&mut *self.handle()),
                Kind::ZSet => ValueMut::ZSet(&mut *self.handle()),
                Kind::None | Kind::Bytes | Kind::Int | Kind::Score | Kind::Blob | Kind::Fields | Kind::Table => {
                    unreachable!("these have returned above")
                }
            })
        }
    }

    /// Bytes of memory that the entry and all it holds take, with the allocator's rounding. Shared parts count in full.
    pub fn memory_usage(&self) -> usize {
        let own = size_class(self.total_len());
        match self.kind() {
            Kind::Blob => own + self.blob_bits().allocated(),
            Kind::None | Kind::Bytes | Kind::Int | Kind::Score | Kind::Fields => own,
            Kind::List | Kind::Table | Kind::Set | Kind::ZSet => own + self.value().memory_usage(),
        }
    }

    /// Whether freeing it may take long enough (more than some microseconds) to be left to a background thread.
    #[inline]
    pub fn is_heavy(&self) -> bool {
        match self.kind() {
            Kind::Blob => self.blob_bits().allocated() > 64 << 10,
            Kind::List | Kind::Table | Kind::Set | Kind::ZSet => true,
            Kind::None | Kind::Bytes | Kind::Int | Kind::Score | Kind::Fields => false,
        }
    }
}

impl Clone for Entry {
    #[inline]
    fn clone(&self) -> Entry {
        // Relaxed is enough: whoever clones holds a count already.
        self.header().refs.fetch_add(1, Ordering::Relaxed);
        Entry(self.0)
    }
}

impl Drop for Entry {
    #[inline]
    fn drop(&mut self) {
        let refs = &self.header().refs;
        // A sole holder needs no read-modify-write.
        if refs.load(Ordering::Acquire) != 1 {
            if refs.fetch_sub(1, Ordering::Release) != 1 {
                return;
            }
            fence(Ordering::Acquire);
        }
        // SAFETY: this was the last handle; blob and container are initialised if the kind says so and are dropped once;
        // the allocation was made with the layout of the same total length.
        unsafe {
            match self.kind() {
                Kind::Blob => drop(self.payload().cast::<Blob>().read_unaligned()),
                Kind::List => std::ptr::drop_in_place(self.handle::<List>()),
                Kind::Table => std::ptr::drop_in_place(self.handle::<Box<Trie>>()),
                Kind::Set => std::ptr::drop_in_place(self.handle::<Set>()),
                Kind::ZSet => std::ptr::drop_in_place(self.handle::<ZSet>()),
                Kind::None | Kind::Bytes | Kind::Int | Kind::Score | Kind::Fields => {}
            }
            dealloc(self.0.as_ptr().cast(), layout(self.total_len()));
        }
    }
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entry")
            .field("key", &self.key().escape_ascii().to_string())
            .field("expire_at", &self.expire_at())
            .field("value", &self.value())
            .finish()
    }
}

mod strings;
#[cfg(test)]
mod tests;
