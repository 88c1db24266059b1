//! Completion-shaped network I/O over io_uring or epoll.
//!
//! The event loop of the server gives buffers away and gets completions back; it never asks whether a socket is ready.
//! That is what io_uring does by itself, and epoll can be made to look like it, so one concrete type, [`Net`], has both inside.
//! Containers often forbid io_uring; [`Choice::Auto`] then takes epoll and says why.
//!
//! ```text
//!             send(buf) ──► kernel owns the buffer ──► Sent{buf}
//!  server ──► recv(conn) ─► armed, no buffer yet ────► Data{slot}  ──► data(slot): &[u8], until the next poll
//!             listen(fd) ──► ...                     ► Accepted{conn}
//!                 └───────────── one system call per poll ──────────────┘   (io_uring)
//! ```
//!
//! - A connection that waits for data holds no buffer: received bytes land in *slots* of one pool, which is refilled at each poll.
//! - A buffer given to [`Net::send`] belongs to `Net` until its completion, also when the connection is closed in between.
//! - Ids carry a generation, so an id that is kept too long finds nothing; calls with a stale id do nothing.
//! - A connection gets one slot per poll, or a few with io_uring's multishot receives, so a fast sender cannot starve the others.
//!
//! A `Net` stays on the thread that made it. All limits are in [`Limits`] or named constants of the backends.
//! It knows nothing of what the bytes mean.

#![cfg_attr(not(test), deny(clippy::wildcard_enum_match_arm))]

mod alarm;
mod blocking;
mod epoll;
mod slab;
mod sock;
mod uring;
mod waker;

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::time::Duration;

pub use blocking::{BlockingReader, BlockingWriter, STALLED, Stall};
pub use sock::{listen_tcp, listen_unix, local_addr, peer_addr, raise_nofile, set_keepalive, set_nodelay};
pub use waker::Waker;

/// How long accepting rests after it failed, mostly for want of descriptors, unless a connection is closed before.
pub const ACCEPT_REST: Duration = Duration::from_millis(100);

/// Which backend [`Net::new`] takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// io_uring, or epoll where io_uring is not to be had.
    Auto,
    /// io_uring or an error.
    IoUring,
    /// epoll.
    Epoll,
}

/// Sizes that are fixed when a [`Net`] is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The most receive slots there are, a power of two up to 32768. So many events can carry data in one poll.
    pub slots: u16,
    /// How many of them io_uring starts with; it doubles them each time that they were too few. A power of two.
    /// Few slots stay in the processor's cache.
    pub slots_at_first: u16,
    /// Bytes of one slot: the most that one [`Event::Data`] carries.
    pub slot_bytes: u32,
    /// Entries of io_uring's submission queue, a power of two; more operations than that between two polls cost a system call.
    pub submissions: u32,
    /// Entries of io_uring's completion queue, a power of two; more completions than that wait inside the kernel.
    pub completions: u32,
    /// Whether io_uring keeps a receive armed over many completions (kernel 6.1 or newer) instead of arming one after each.
    /// That costs about a tenth less processor time per small request, and up to 32 slots per connection and poll.
    pub multishot: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            slots: 1024,
            slots_at_first: 64,
            slot_bytes: 16 * 1024,
            submissions: 1024,
            completions: 8192,
            multishot: true,
        }
    }
}

impl Limits {
    fn check(&self) {
        assert!(self.slots.is_power_of_two() && self.slots <= 1 << 15, "slots: a power of two up to 32768");
        assert!(
            self.slots_at_first.is_power_of_two() && self.slots_at_first <= self.slots,
            "slots_at_first: a power of two, not above slots"
        );
        assert!((1..=1 << 30).contains(&self.slot_bytes), "slot_bytes: 1 to 2^30");
        assert!(self.submissions.is_power_of_two() && self.completions.is_power_of_two(), "queues: powers of two");
        assert!(self.completions >= self.submissions, "completions: not below submissions");
    }
}

/// Names a connection of one [`Net`]. It is never given to another connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnId(u64);

impl ConnId {
    /// A small number, unique among the connections that are open now: fit to index a table.
    pub fn index(self) -> usize {
        (self.0 & 0xffff_ffff) as usize
    }
}

/// Names a listening socket of one [`Net`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ListenerId(u64);

/// Where the bytes of an [`Event::Data`] are; see [`Net::data`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DataSlot {
    index: u32,
    len: u32,
    poll: u32,
}

/// What happened, in the order in which it did for each connection.
#[derive(Debug)]
pub enum Event {
    /// A connection came in and has been taken over, as by [`Net::adopt`].
    Accepted {
        /// Where it came in.
        listener: ListenerId,
        /// The new connection; close it if it is not wanted.
        conn: ConnId,
    },
    /// Accepting failed. It is tried again after [`ACCEPT_REST`].
    AcceptFailed {
        /// Which listener.
        listener: ListenerId,
        /// Why.
        error: io::Error,
    },
    /// [`Net::connect`] came to an end. After an error the connection has still to be closed.
    Connected {
        /// Which connection.
        conn: ConnId,
        /// Whether it is connected.
        result: io::Result<()>,
    },
    /// Bytes were received.
    Data {
        /// From which connection.
        conn: ConnId,
        /// Where they are.
        slot: DataSlot,
    },
    /// The peer sends nothing more; sending to it may still work.
    Eof {
        /// Which connection.
        conn: ConnId,
    },
    /// The connection is broken. This is its last event; a buffer that it was sending is gone. It has still to be closed.
    Error {
        /// Which connection.
        conn: ConnId,
        /// Why.
        error: io::Error,
    },
    /// The kernel has taken over all bytes of a buffer.
    Sent {
        /// Which connection.
        conn: ConnId,
        /// The buffer, emptied, to be used again.
        buf: Vec<u8>,
    },
    /// A [`Waker`] was used.
    Woken,
}

/// How [`Net::send_with`] goes about it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct How {
    /// Nobody waits for [`Event::Sent`]: it comes with whatever happens next, and a poll need not return for it alone.
    /// With io_uring that saves a round of the caller's loop. [`Net::hasten`] takes it back.
    pub quiet: bool,
    /// More will be sent soon: what does not fill a segment stays with the kernel until then, or until [`Net::push`].
    /// The kernel sends it in any case when the process ends, or after a fifth of a second.
    pub more: bool,
}

/// A socket given away by [`Net::detach`].
#[derive(Debug)]
pub struct Detached {
    /// The socket, still non-blocking; no operation of `Net` is outstanding on it.
    pub fd: OwnedFd,
    /// Bytes that were received and not yet delivered; they come before all that is still to be read from the socket.
    pub received: Vec<u8>,
}

/// Why a backend cannot be had.
#[derive(Debug)]
pub struct Error {
    backend: &'static str,
    step: &'static str,
    source: io::Error,
    hint: String,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} cannot be used: {}: {}. {}", self.backend, self.step, self.source, self.hint)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}

enum Backend {
    Uring(Box<uring::Uring>),
    Epoll(Box<epoll::Epoll>),
}

/// All sockets of one event loop. See the crate's description.
pub struct Net {
    backend: Backend,
    slot_bytes: usize,
}

/// Calls the method of whichever backend is in use.
macro_rules! backend {
    ($net:expr, $b:ident => $call:expr) => {
        match &mut $net.backend {
            Backend::Uring($b) => $call,
            Backend::Epoll($b) => $call,
        }
    };
}

impl Net {
    /// Sets a backend up. Beside it comes, where [`Choice::Auto`] had to take epoll, the reason with the likely cause and its cure,
    /// for the log.
    ///
    /// # Errors
    /// When the chosen backend, or with `Auto` both, cannot be had.
    ///
    /// # Panics
    /// When `limits` break the rules that their fields state.
    pub fn new(choice: Choice, limits: Limits) -> Result<(Net, Option<String>), Error> {
        limits.check();
        let uring = || uring::Uring::new(limits).map(|b| Backend::Uring(Box::new(b)));
        let epoll = || epoll::Epoll::new(limits).map(|b| Backend::Epoll(Box::new(b)));
        let (backend, why) = match choice {
            Choice::IoUring => (uring()?, None),
            Choice::Epoll => (epoll()?, None),
            Choice::Auto => match uring() {
                Ok(backend) => (backend, None),
                Err(error) => (epoll()?, Some(error.to_string())),
            },
        };
        let slot_bytes = usize::from(limits.slots) * limits.slot_bytes as usize;
        Ok((Net { backend, slot_bytes }, why))
    }

    /// Bytes of the receive slots, which are there whatever the load.
    pub fn slot_bytes(&self) -> usize {
        self.slot_bytes
    }

    /// `io_uring` or `epoll`.
    pub fn backend(&self) -> &'static str {
        match &self.backend {
            Backend::Uring(_) => "io_uring",
            Backend::Epoll(_) => "epoll",
        }
    }

    /// A handle by which other threads make [`Net::poll`] return.
    pub fn waker(&self) -> Waker {
        match &self.backend {
            Backend::Uring(b) => b.waker(),
            Backend::Epoll(b) => b.waker(),
        }
    }

    /// Accepts connections on a listening socket (see [`listen_tcp`] and [`listen_unix`]) from the next poll on.
    pub fn listen(&mut self, fd: OwnedFd) -> ListenerId {
        ListenerId(backend!(self, b => b.listen(fd)))
    }

    /// Ends accepting and closes the socket, at the latest at the next poll.
    pub fn unlisten(&mut self, listener: ListenerId) {
        backend!(self, b => b.unlisten(listener.0));
    }

    /// Takes over a connected stream socket and makes it non-blocking. Nothing is received from it before [`Net::recv`].
    pub fn adopt(&mut self, fd: OwnedFd) -> ConnId {
        rustix::io::ioctl_fionbio(&fd, true).expect("an open socket can be made non-blocking");
        ConnId(backend!(self, b => b.adopt(fd)))
    }

    /// Starts connecting, from the address `source` if given. [`Event::Connected`] tells the end; nothing may be sent or received before.
    ///
    /// # Errors
    /// What can be told at once: no descriptors left, no route, a `source` that is not ours.
    pub fn connect(&mut self, addr: SocketAddr, source: Option<IpAddr>) -> io::Result<ConnId> {
        let fd = sock::start_connect(addr, source)?;
        Ok(ConnId(backend!(self, b => b.connecting(fd))))
    }

    /// Whether the connection is there: neither closed nor given away.
    pub fn is_open(&self, conn: ConnId) -> bool {
        self.fd(conn).is_some()
    }

    /// Starts receiving; data keeps coming as [`Event::Data`] until [`Net::pause`].
    pub fn recv(&mut self, conn: ConnId) {
        backend!(self, b => b.recv(conn.0));
    }

    /// Stops the delivery of data, of the end of the stream and of errors of receiving: polls after this call give none.
    /// What arrives meanwhile is kept, most of it in the kernel, so that the peer is slowed down.
    pub fn pause(&mut self, conn: ConnId) {
        backend!(self, b => b.pause(conn.0));
    }

    /// Sends all of `buf`. If that is already done, the buffer comes back emptied; if not, it comes with [`Event::Sent`],
    /// or [`Event::Error`] tells that it is lost. A stale id counts as done, and so do a broken connection and an empty buffer.
    ///
    /// # Panics
    /// When a buffer of this connection is still being sent, or it is not connected yet.
    pub fn send(&mut self, conn: ConnId, buf: Vec<u8>) -> Option<Vec<u8>> {
        self.send_with(conn, buf, How::default())
    }

    /// As [`Net::send`], in the way that `how` tells.
    ///
    /// # Panics
    /// As [`Net::send`].
    pub fn send_with(&mut self, conn: ConnId, mut buf: Vec<u8>, how: How) -> Option<Vec<u8>> {
        if buf.is_empty() || !self.is_open(conn) {
            buf.clear();
            return Some(buf);
        }
        backend!(self, b => b.send(conn.0, buf, how))
    }

    /// Somebody has come to wait for a buffer that is being sent quietly: the next poll returns as soon as it is sent.
    pub fn hasten(&mut self) {
        match &mut self.backend {
            Backend::Uring(b) => b.hasten(),
            Backend::Epoll(_) => {}
        }
    }

    /// Lets the kernel send what it keeps back of a connection on which more was to follow ([`How::more`]). To be called
    /// when nothing is being sent on it. A stale id is ignored, and so is a socket that keeps nothing back.
    pub fn push(&mut self, conn: ConnId) {
        if let Some(fd) = self.fd(conn) {
            // Setting this option again is what makes TCP send at once (see tcp(7)); a Unix socket does not know it.
            let _ = set_nodelay(fd, true);
        }
    }

    /// Gives the socket away; the id is stale afterwards. Events of the last poll are not taken back.
    /// `None` for a stale id.
    ///
    /// # Panics
    /// When a buffer is still being sent: wait for its [`Event::Sent`], or part of it may be lost.
    pub fn detach(&mut self, conn: ConnId) -> Option<Detached> {
        backend!(self, b => b.detach(conn.0))
    }

    /// The socket, to ask or set its options or to duplicate it. `None` for a stale id.
    pub fn fd(&self, conn: ConnId) -> Option<BorrowedFd<'_>> {
        match &self.backend {
            Backend::Uring(b) => b.fd(conn.0),
            Backend::Epoll(b) => b.fd(conn.0),
        }
    }

    /// Closes the connection. No later poll delivers an event of it. The kernel still sends what it has taken over;
    /// of a buffer that is being sent, the rest is dropped, and the socket is closed as soon as the kernel is done with it.
    pub fn close(&mut self, conn: ConnId) {
        backend!(self, b => b.close(conn.0));
    }

    /// Hands everything queued to the kernel, waits until something happens or `timeout` is over (`None`: for ever),
    /// and puts what happened in `events`, which is emptied before. A signal also ends the wait, without an event.
    /// It may end up to a millisecond late, and without an event at a time that an earlier poll was given.
    /// Data of the poll before is gone.
    ///
    /// # Errors
    /// When the kernel refuses to wait; the `Net` is then of no more use.
    pub fn poll(&mut self, timeout: Option<Duration>, events: &mut Vec<Event>) -> io::Result<()> {
        events.clear();
        backend!(self, b => b.poll(timeout, events))
    }

    /// The bytes of an [`Event::Data`].
    ///
    /// # Panics
    /// When there was a poll since.
    pub fn data(&self, slot: DataSlot) -> &[u8] {
        match &self.backend {
            Backend::Uring(b) => b.data(slot),
            Backend::Epoll(b) => b.data(slot),
        }
    }
}

/// Whether this error of accepting only tells that one peer went away before it was accepted.
fn accept_is_transient(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let passing = [Errno::CONNABORTED, Errno::INTR, Errno::AGAIN, Errno::PROTO, Errno::PERM];
    passing.iter().any(|e| error.raw_os_error() == Some(e.raw_os_error()))
}
