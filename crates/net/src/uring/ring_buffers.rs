//! The receive slots that the kernel fills by its own choice (`IORING_REGISTER_PBUF_RING`, Linux 5.19).
//!
//! A ring of entries in memory shared with the kernel names the free slots. We add at its tail; the kernel takes from its head
//! when data for some connection is there, so a waiting connection needs no slot.
//!
//! ```text
//! ring, page-aligned:  | addr u64 | len u32 | bid u16 | tail u16 |   entry 0; its last two bytes are the ring's tail
//!                      | addr u64 | len u32 | bid u16 |  unused  |   entry 1, ...
//! slots, page-aligned: | slot 0: slot_bytes | gap | slot 1 | ...  bid = number of the slot
//! ```
//!
//! The gap keeps the beginnings of the slots, which is all that small requests use, from sharing the same few lines of the processor's cache.
//!
//! The kernel goes round all slots that it is given, so only as many are in circulation as were needed at once so far:
//! their number starts small and doubles when the kernel finds none.
//! A slot is at any time in one place: in the ring (kernel may write), lent to the caller (nobody writes), or not yet in circulation.

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU16, Ordering};

use io_uring::types::BufRingEntry;

/// Alignment of what is shared with the kernel.
const PAGE: usize = 4096;

/// Bytes between two slots: nine cache lines, an odd number, so that beginnings spread over all sets of a cache.
const GAP: usize = 576;

/// Zeroed memory that starts at a page.
struct Pages {
    start: NonNull<u8>,
    layout: Layout,
}

impl Pages {
    fn new(bytes: usize) -> Pages {
        let layout = Layout::from_size_align(bytes, PAGE).expect("a few GiB at most");
        assert!(bytes > 0, "a ring has entries and a slot has bytes");
        // SAFETY: the layout's size is not zero.
        let start = unsafe { alloc_zeroed(layout) };
        let Some(start) = NonNull::new(start) else { handle_alloc_error(layout) };
        Pages { start, layout }
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        // SAFETY: it was allocated with this layout and is freed only here.
        unsafe { dealloc(self.start.as_ptr(), self.layout) }
    }
}

/// See the module's description.
pub(super) struct RingBuffers {
    ring: Pages,
    slots: Pages,
    entries: u16,
    slot_bytes: u32,
    tail: u16,
    /// Slots in circulation: those below this number.
    circulating: u16,
}

impl RingBuffers {
    /// Makes the memory; the kernel does not know of it yet. `at_first` slots are put in circulation.
    pub(super) fn new(entries: u16, at_first: u16, slot_bytes: u32) -> RingBuffers {
        assert_eq!(size_of::<BufRingEntry>(), 16, "the kernel's layout");
        assert!(entries.is_power_of_two() && at_first <= entries, "checked with the limits");
        let mut buffers = RingBuffers {
            ring: Pages::new(usize::from(entries) * size_of::<BufRingEntry>()),
            slots: Pages::new(usize::from(entries) * (slot_bytes as usize + GAP)),
            entries,
            slot_bytes,
            tail: 0,
            circulating: 0,
        };
        buffers.circulate(at_first);
        buffers
    }

    /// Address of the ring, for registering it.
    pub(super) fn ring_addr(&self) -> u64 {
        self.ring.start.as_ptr() as u64
    }

    fn offset(&self, slot: u16) -> usize {
        usize::from(slot) * (self.slot_bytes as usize + GAP)
    }

    fn circulate(&mut self, count: u16) {
        let from = self.circulating;
        self.circulating = count;
        for slot in from..count {
            self.put_back(slot);
        }
    }

    /// Puts more slots in circulation because the kernel found none; returns whether there were more.
    pub(super) fn grow(&mut self) -> bool {
        let before = self.circulating;
        self.circulate(before.saturating_mul(2).clamp(1, self.entries));
        self.circulating > before
    }

    /// Gives a slot to the kernel. It must not be in the ring already.
    pub(super) fn put_back(&mut self, slot: u16) {
        assert!(slot < self.circulating, "the kernel only knows slots in circulation");
        let index = usize::from(self.tail & (self.entries - 1));
        let addr = self.slots.start.as_ptr() as u64 + self.offset(slot) as u64;
        // SAFETY: the index is below `entries`, for which the ring was allocated, zeroed, which is valid for an entry.
        // The kernel does not read this entry before the tail has passed it, and nobody else holds a reference to the ring.
        let entry = unsafe { &mut *self.ring.start.as_ptr().cast::<BufRingEntry>().add(index) };
        entry.set_addr(addr);
        entry.set_len(self.slot_bytes);
        entry.set_bid(slot);
        self.tail = self.tail.wrapping_add(1);
        // SAFETY: the argument is the first entry of the ring. The tail is two bytes, aligned to two, that only the kernel reads beside us,
        // and no reference to the entry is used any more.
        let tail = unsafe { &*BufRingEntry::tail(self.ring.start.as_ptr().cast()).cast::<AtomicU16>() };
        // The entry must be visible before the tail says that it is there.
        tail.store(self.tail, Ordering::Release);
    }

    /// The first `len` bytes of a slot that is not in the ring.
    pub(super) fn bytes(&self, slot: u16, len: u32) -> &[u8] {
        assert!(slot < self.circulating && len <= self.slot_bytes, "the kernel filled a slot of ours");
        let offset = self.offset(slot);
        // SAFETY: slot and length are inside the allocation, which was zeroed, so all bytes are initialised. The kernel writes only into slots
        // in the ring; the callers hold a slot outside of it from its completion until they put it back, which needs `&mut self`.
        unsafe { std::slice::from_raw_parts(self.slots.start.as_ptr().add(offset), len as usize) }
    }
}
