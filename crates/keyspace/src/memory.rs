//! How much memory is in use, asked before each write.
//!
//! Why: `maxmemory` has to be compared with the truth for every write; asking the allocator for its statistics costs microseconds.
//!
//! Idea: jemalloc counts the bytes that each thread has ever allocated and freed. A thread may read its own two counters at the
//! price of two loads. Those of the other threads are summed by [`Meter::refresh`], which the event loop calls once
//! for a batch, and a thread that ends leaves its sum behind.
//!
//! ```text
//!   used = own (allocated - freed)  +  last seen of others (allocated - freed)  +  left behind by ended threads
//!          exact, two loads            as of the last refresh
//! ```
//! Limits: threads that never register are not seen; they must not keep or free much. With another allocator all figures are 0.

use std::cell::Cell;
use std::marker::PhantomData;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tikv_jemalloc_ctl::raw;

/// The two counters of a thread, inside its own storage.
#[derive(Clone, Copy)]
struct Counters {
    allocated: NonNull<AtomicU64>,
    deallocated: NonNull<AtomicU64>,
}

// SAFETY: the counters are read under the registry's lock only while their thread is registered, which ends before its storage does,
// or by the thread itself.
unsafe impl Send for Counters {}

impl Counters {
    /// The counters of the calling thread, if jemalloc keeps any.
    fn own() -> Option<Counters> {
        let pointer = |name: &[u8]| {
            // SAFETY: both names are of statistics that are pointers to 64-bit counters.
            let counter = unsafe { raw::read::<*mut u64>(name) }.ok()?;
            NonNull::new(counter.cast::<AtomicU64>())
        };
        Some(Counters { allocated: pointer(b"thread.allocatedp\0")?, deallocated: pointer(b"thread.deallocatedp\0")? })
    }

    #[inline]
    fn sum(self) -> i64 {
        // SAFETY: see `Send`: the thread is registered, so its counters exist. jemalloc writes them as whole aligned words, so a
        // relaxed load sees one value or the other.
        let (allocated, deallocated) = unsafe {
            (self.allocated.as_ref().load(Ordering::Relaxed), self.deallocated.as_ref().load(Ordering::Relaxed))
        };
        allocated.wrapping_sub(deallocated) as i64
    }
}

struct Registry {
    threads: Vec<(u64, Counters)>,
    next_id: u64,
    /// What ended threads left behind: their sums, negative if they freed what others had allocated. Less what is left out.
    ended: i64,
}

static REGISTRY: Mutex<Registry> = Mutex::new(Registry { threads: Vec::new(), next_id: 0, ended: 0 });

fn registry() -> MutexGuard<'static, Registry> {
    // Nothing in here can panic halfway through a change.
    REGISTRY.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Keeps the calling thread's memory counted; to be held as long as the thread runs.
#[derive(Debug)]
pub struct Registered {
    id: u64,
    /// The guard must be dropped by the thread that it registered.
    thread: PhantomData<*const ()>,
}

/// Registers the calling thread, once, at its start.
pub fn register_thread() -> Registered {
    let mut registry = registry();
    let id = registry.next_id;
    registry.next_id += 1;
    if let Some(counters) = Counters::own() {
        registry.threads.push((id, counters));
    }
    Registered { id, thread: PhantomData }
}

impl Drop for Registered {
    fn drop(&mut self) {
        let mut registry = registry();
        if let Some(at) = registry.threads.iter().position(|(id, _)| *id == self.id) {
            let (_, counters) = registry.threads.swap_remove(at);
            registry.ended += counters.sum();
        }
    }
}

/// Bytes in use by all registered threads, counted now. Takes a lock; for the event loop there is [`Meter`].
pub fn used_memory() -> usize {
    let registry = registry();
    let sum: i64 = registry.ended + registry.threads.iter().map(|(_, counters)| counters.sum()).sum::<i64>();
    usize::try_from(sum).unwrap_or(0)
}

/// Leaves bytes out of all figures that are there whatever the data is, and mostly untouched.
pub fn leave_out(bytes: usize) {
    registry().ended -= bytes as i64;
}

/// Gives freed memory that the allocator keeps back to the system; whether it could.
pub fn purge() -> bool {
    let call = |name: &std::ffi::CStr| {
        // SAFETY: the name ends in a zero byte, and both controls take nothing and give nothing.
        let result = unsafe {
            tikv_jemalloc_sys::mallctl(
                name.as_ptr(),
                std::ptr::null_mut(),
                std::ptr::null_mut(),
                std::ptr::null_mut(),
                0,
            )
        };
        result == 0
    };
    // 4096 stands for all arenas.
    call(c"thread.tcache.flush") && call(c"arena.4096.purge")
}

/// Whether the allocator gives memory back from a thread of its own, or while it is asked for other memory.
pub fn free_in_background(on: bool) {
    // Where the system forbids it the allocator goes on without.
    let _ = tikv_jemalloc_ctl::background_thread::write(on);
}

/// Bytes as the allocator sees them.
#[derive(Clone, Copy, Debug, Default)]
pub struct Allocator {
    /// Handed out.
    pub allocated: u64,
    /// In pages that hold something that was handed out.
    pub active: u64,
    /// In pages that the system has given it memory for.
    pub resident: u64,
}

/// What the allocator counts now; zeros where it counts nothing.
pub fn allocator() -> Allocator {
    // Its figures are those of the moment when they were last brought up to date.
    let _ = tikv_jemalloc_ctl::epoch::advance();
    let bytes = |read: Result<usize, tikv_jemalloc_ctl::Error>| read.map_or(0, |n| n as u64);
    Allocator {
        allocated: bytes(tikv_jemalloc_ctl::stats::allocated::read()),
        active: bytes(tikv_jemalloc_ctl::stats::active::read()),
        resident: bytes(tikv_jemalloc_ctl::stats::resident::read()),
    }
}

/// The allocator's own report of all that it holds.
pub fn report() -> String {
    let mut text = Vec::new();
    match tikv_jemalloc_ctl::stats_print::stats_print(&mut text, tikv_jemalloc_ctl::stats_print::Options::default()) {
        Ok(()) => String::from_utf8_lossy(&text).into_owned(),
        Err(error) => format!("The allocator gives no report: {error}"),
    }
}

/// The event loop's view of the memory in use.
#[derive(Debug)]
pub struct Meter {
    registered: Registered,
    own: Option<OwnCounters>,
    others: Cell<i64>,
}

struct OwnCounters(Counters);

impl std::fmt::Debug for OwnCounters {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("OwnCounters").field(&self.0.sum()).finish()
    }
}

impl Meter {
    /// Registers the calling thread and meters from it.
    pub fn new() -> Meter {
        let meter =
            Meter { registered: register_thread(), own: Counters::own().map(OwnCounters), others: Cell::new(0) };
        meter.refresh();
        meter
    }

    /// Bytes in use: this thread's to the moment, the others' as of the last [`Meter::refresh`].
    #[inline]
    pub fn used(&self) -> usize {
        let own = self.own.as_ref().map_or(0, |own| own.0.sum());
        usize::try_from(own + self.others.get()).unwrap_or(0)
    }

    /// Looks at the other threads.
    pub fn refresh(&self) {
        let registry = registry();
        let others = registry.threads.iter().filter(|(id, _)| *id != self.registered.id);
        self.others.set(registry.ended + others.map(|(_, counters)| counters.sum()).sum::<i64>());
    }
}

impl Default for Meter {
    fn default() -> Self {
        Meter::new()
    }
}
