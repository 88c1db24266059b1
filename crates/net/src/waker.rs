//! Wakes the event loop from another thread.
//!
//! Threads that serialise, fsync or free tell the loop through queues of the server; the waker only makes `poll` return.
//! It is an eventfd that the loop watches. A flag beside it folds any number of calls before the loop runs into one write.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::event::{EventfdFlags, eventfd};
use rustix::io::Errno;

struct Inner {
    fd: OwnedFd,
    pending: AtomicBool,
}

/// A handle that makes [`Net::poll`](crate::Net::poll) return with [`Event::Woken`](crate::Event::Woken).
/// It may be cloned and used from any thread, also after the `Net` is gone.
#[derive(Clone)]
pub struct Waker(Arc<Inner>);

impl Waker {
    pub(crate) fn new() -> io::Result<Waker> {
        let fd = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        Ok(Waker(Arc::new(Inner { fd, pending: AtomicBool::new(false) })))
    }

    /// Makes the current or the next `poll` return. What the caller did before is visible to the loop when it sees the event.
    pub fn wake(&self) {
        if !self.0.pending.swap(true, Ordering::AcqRel) {
            // The counter cannot be full, because it is at most 1; an error here could only be a closed descriptor.
            rustix::io::write(&self.0.fd, &1u64.to_ne_bytes()).expect("an eventfd with a small count takes a write");
        }
    }

    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.0.fd.as_fd()
    }

    /// Empties the counter and lets the next `wake` write again. The counter is emptied first: the other way round,
    /// a `wake` in between would be swallowed and leave the flag set, and no later one would ever be heard.
    pub(crate) fn reset(&self) {
        empty(&self.0.fd);
        self.0.pending.swap(false, Ordering::AcqRel);
    }
}

/// Empties the counter of an eventfd or a timerfd, so that it is not readable any more.
pub(crate) fn empty(fd: &OwnedFd) {
    let mut count = [0u8; 8];
    match rustix::io::read(fd, &mut count) {
        Ok(_) | Err(Errno::AGAIN | Errno::INTR) => {}
        Err(error) => panic!("an open counter can be read: {error}"),
    }
}
