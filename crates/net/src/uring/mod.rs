//! The backend over io_uring.
//!
//! Calls put operations in the submission queue; `poll` hands all of them over and waits, in one system call.
//! Received data lands in slots that the kernel takes from a shared ring ([`ring_buffers`]).
//!
//! ```text
//! user_data  63          32 31   28 27              0
//!           +--------------+-------+-----------------+
//!           |  generation  | kind  |      index      |   the key in the table, with the kind of the operation in it
//!           +--------------+-------+-----------------+
//! ```
//!
//! A socket stays in the table, and so its descriptor stays open and its send buffer alive, until the last of its operations has completed;
//! only then the place is given away. Closing cancels what is outstanding.
//!
//! Limits: `Limits::slots` completions with data per poll, beyond that receives end with `ENOBUFS` and are armed again at the next poll.
//! A connection gets one slot per poll, or with a multishot receive up to 32 (a bound of the kernel's).
//! Needs Linux 5.19; multishot receives need 6.1 here.

mod ring_buffers;
mod setup;
mod state;

use std::collections::VecDeque;
use std::io;
use std::mem;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use io_uring::types::{CancelBuilder, Fd, SubmitArgs, Timespec};
use io_uring::{IoUring, cqueue, opcode, squeue};
use rustix::event::PollFlags;
use rustix::io::Errno;
use rustix::net::{SendFlags, SocketFlags};

use crate::alarm::Alarm;
use crate::slab::{Slab, TAG_SHIFT};
use crate::{ACCEPT_REST, ConnId, DataSlot, Detached, Error, Event, How, Limits, ListenerId, Waker, sock};
use ring_buffers::RingBuffers;
use state::{Completion, Conn, End, Listener, Sending};

/// The group under which our slots are registered.
const GROUP: u16 = 0;
/// The most bytes in one send operation; a longer buffer takes several.
const SEND_BYTES_MAX: usize = 1 << 30;
/// How long dropping waits for the kernel to let go of the buffers.
const DROP_WAIT: Duration = Duration::from_secs(1);
/// The `index` of a [`DataSlot`] from which on it names kept bytes instead of a slot.
const KEPT: u32 = 1 << 16;

const KIND_MASK: u64 = 0xf << TAG_SHIFT;
const RECV: u64 = 0;
const SEND: u64 = 1 << TAG_SHIFT;
const CONNECT: u64 = 2 << TAG_SHIFT;
const ACCEPT: u64 = 3 << TAG_SHIFT;
const WAKE: u64 = 4 << TAG_SHIFT;
const CANCEL: u64 = 5 << TAG_SHIFT;
const ALARM: u64 = 6 << TAG_SHIFT;

/// See the module's description. The order of the fields matters: the ring is dropped before the memory that it uses.
pub(crate) struct Uring {
    ring: IoUring,
    buffers: RingBuffers,
    alarm: Alarm,
    conns: Slab<Conn>,
    listeners: Slab<Listener>,
    waker: Waker,
    multishot: bool,
    /// Operations for which the submission queue had no room.
    waiting: VecDeque<squeue::Entry>,
    /// Completions that were fetched outside of `poll`.
    fetched: VecDeque<Completion>,
    /// Connections that may have something to deliver or a receive to arm.
    noted: Vec<u64>,
    /// Slots that the events of the last poll refer to.
    lent: Vec<u16>,
    /// Bytes outside of slots that the events of the last poll refer to.
    lent_kept: Vec<Vec<u8>>,
    /// Until when accepting rests.
    resting: Option<Instant>,
    /// Operations of sockets that have not completed.
    outstanding: usize,
    /// Quiet sends in the submission queue. The next wait expects their completions beside what it waits for.
    quiet: usize,
    polls: u32,
}

impl Uring {
    pub(crate) fn new(limits: Limits) -> Result<Uring, Error> {
        let (ring, deferred) = setup::ring(limits)?;
        let buffers = RingBuffers::new(limits.slots, limits.slots_at_first, limits.slot_bytes);
        setup::register(&ring, &buffers, limits)?;
        let waker = Waker::new().map_err(setup::failed("eventfd"))?;
        let mut uring = Uring {
            ring,
            buffers,
            alarm: Alarm::new().map_err(setup::failed("timerfd"))?,
            conns: Slab::new(),
            listeners: Slab::new(),
            waker,
            // The kernels that know deferred task work know multishot receives.
            multishot: limits.multishot && deferred,
            waiting: VecDeque::new(),
            fetched: VecDeque::new(),
            noted: Vec::new(),
            lent: Vec::new(),
            lent_kept: Vec::new(),
            resting: None,
            outstanding: 0,
            quiet: 0,
            polls: 0,
        };
        uring.watch_waker();
        uring.watch_alarm();
        Ok(uring)
    }

    pub(crate) fn waker(&self) -> Waker {
        self.waker.clone()
    }

    fn watch_waker(&mut self) {
        let fd = Fd(self.waker.fd().as_raw_fd());
        self.push(opcode::PollAdd::new(fd, u32::from(PollFlags::IN.bits())).build().user_data(WAKE));
    }

    fn watch_alarm(&mut self) {
        let fd = Fd(self.alarm.fd().as_raw_fd());
        self.push(opcode::PollAdd::new(fd, u32::from(PollFlags::IN.bits())).build().user_data(ALARM));
    }

    /// Queues an operation. What it refers to must stay until it completes.
    fn push(&mut self, entry: squeue::Entry) {
        if !self.waiting.is_empty() || !self.try_push(&entry) {
            self.waiting.push_back(entry);
        }
    }

    fn try_push(&mut self, entry: &squeue::Entry) -> bool {
        // SAFETY: descriptors and send buffers are kept in the tables until their operations complete (see `Conn::is_idle`, `settle`, `drop`);
        // receives use the registered slots, which live as long as the ring; other operations refer to no memory.
        unsafe { self.ring.submission().push(entry).is_ok() }
    }

    /// Moves operations that found no room to the submission queue.
    fn refill(&mut self) -> io::Result<()> {
        while let Some(entry) = self.waiting.pop_front() {
            if self.try_push(&entry) {
                continue;
            }
            self.waiting.push_front(entry);
            // What has been submitted is waited for as one by one: some of it may be fetched below.
            self.quiet = 0;
            match self.ring.submit() {
                Ok(_) => {}
                Err(error) if is(&error, Errno::INTR) => {}
                // The kernel holds completions for us and takes nothing more until they are fetched.
                Err(error) if is(&error, Errno::BUSY) || is(&error, Errno::AGAIN) => self.enter(Duration::ZERO)?,
                Err(error) => return Err(error),
            }
            self.fetch();
        }
        Ok(())
    }

    /// Submits, runs what the kernel has deferred to us, and waits for a completion for at most `timeout`.
    fn enter(&mut self, timeout: impl Into<Option<Duration>>) -> io::Result<()> {
        self.quiet = 0;
        self.enter_for(1, timeout.into())
    }

    /// As [`Uring::enter`], for so many completions.
    fn enter_for(&mut self, completions: usize, timeout: Option<Duration>) -> io::Result<()> {
        let outcome = match timeout {
            Some(timeout) => {
                let time = Timespec::from(timeout);
                self.ring.submitter().submit_with_args(completions, &SubmitArgs::new().timespec(&time))
            }
            None => self.ring.submitter().submit_and_wait(completions),
        };
        match outcome {
            Ok(_) => Ok(()),
            Err(e) if [Errno::TIME, Errno::INTR, Errno::BUSY, Errno::AGAIN].iter().any(|&errno| is(&e, errno)) => {
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// Takes over all completions that are there, to be looked at later.
    fn fetch(&mut self) {
        let copy = |e: cqueue::Entry| Completion { user_data: e.user_data(), result: e.result(), flags: e.flags() };
        self.fetched.extend(self.ring.completion().map(copy));
    }

    pub(crate) fn listen(&mut self, fd: OwnedFd) -> u64 {
        let key = self.listeners.insert(Listener { fd, armed: false, closing: false });
        self.arm_accept(key);
        key
    }

    fn arm_accept(&mut self, key: u64) {
        let Some(listener) = self.listeners.get_mut(key) else {
            return;
        };
        if !listener.armed && !listener.closing {
            listener.armed = true;
            self.outstanding += 1;
            let flags = (SocketFlags::CLOEXEC | SocketFlags::NONBLOCK).bits() as i32;
            let accept = opcode::AcceptMulti::new(Fd(listener.fd.as_raw_fd())).flags(flags);
            self.push(accept.build().user_data(key | ACCEPT));
        }
    }

    pub(crate) fn unlisten(&mut self, key: u64) {
        let Some(listener) = self.listeners.get_mut(key) else {
            return;
        };
        if listener.armed {
            listener.closing = true;
            self.cancel(key | ACCEPT);
        } else {
            self.listeners.remove(key);
        }
    }

    fn cancel(&mut self, user_data: u64) {
        let cancel = opcode::AsyncCancel::new(user_data).build().user_data(CANCEL);
        self.push(cancel);
    }

    pub(crate) fn adopt(&mut self, fd: OwnedFd) -> u64 {
        self.conns.insert(Conn::new(fd, false))
    }

    pub(crate) fn connecting(&mut self, fd: OwnedFd) -> u64 {
        let raw = Fd(fd.as_raw_fd());
        let key = self.conns.insert(Conn::new(fd, true));
        self.outstanding += 1;
        self.push(opcode::PollAdd::new(raw, u32::from(PollFlags::OUT.bits())).build().user_data(key | CONNECT));
        key
    }

    /// The connection, unless the caller has closed it.
    fn open(&mut self, key: u64) -> Option<&mut Conn> {
        self.conns.get_mut(key).filter(|conn| !conn.closing)
    }

    fn note(&mut self, key: u64) {
        if let Some(conn) = self.conns.get_mut(key)
            && !conn.noted
        {
            conn.noted = true;
            self.noted.push(key);
        }
    }

    pub(crate) fn recv(&mut self, key: u64) {
        let Some(conn) = self.open(key) else { return };
        conn.receiving = true;
        if !conn.armed || !conn.kept.is_empty() || conn.kept_end.is_some() {
            self.note(key);
        }
    }

    pub(crate) fn pause(&mut self, key: u64) {
        let Some(conn) = self.open(key) else { return };
        conn.receiving = false;
        self.cancel_recv(key);
    }

    fn cancel_recv(&mut self, key: u64) {
        if let Some(conn) = self.conns.get_mut(key)
            && conn.armed
            && !conn.cancelling
        {
            conn.cancelling = true;
            self.cancel(key | RECV);
        }
    }

    fn arm_recv(&mut self, key: u64) {
        let multishot = self.multishot;
        let Some(conn) = self.open(key) else { return };
        assert!(!conn.armed, "one receive at a time keeps the order");
        conn.armed = true;
        let fd = Fd(conn.fd.as_raw_fd());
        self.outstanding += 1;
        let entry = if multishot {
            opcode::RecvMulti::new(fd, GROUP).build()
        } else {
            opcode::Recv::new(fd, std::ptr::null_mut(), 0).buf_group(GROUP).build().flags(squeue::Flags::BUFFER_SELECT)
        };
        self.push(entry.user_data(key | RECV));
    }

    pub(crate) fn send(&mut self, key: u64, mut buf: Vec<u8>, how: How) -> Option<Vec<u8>> {
        let conn = self.open(key).expect("looked up before");
        if conn.broken {
            buf.clear();
            return Some(buf);
        }
        assert!(conn.sending.is_none(), "one buffer is sent at a time");
        assert!(!conn.connecting, "a connection sends after it is connected");
        conn.sending = Some(Sending { buf, done: 0, how });
        self.outstanding += 1;
        self.push_send(key, how.quiet);
        None
    }

    pub(crate) fn hasten(&mut self) {
        self.quiet = 0;
    }

    /// Queues what is left of the buffer.
    ///
    /// A quiet send must not wait for room in the socket: only because it always completes while it is being submitted can
    /// a wait count on its completion. What it leaves over follows as an ordinary one.
    fn push_send(&mut self, key: u64, quiet: bool) {
        let Some(conn) = self.conns.get(key) else {
            return;
        };
        let sending = conn.sending.as_ref().expect("called while sending");
        let left = &sending.buf[sending.done..];
        let len = left.len().min(SEND_BYTES_MAX) as u32;
        // With MSG_WAITALL the kernel itself goes on after it could send only a part.
        let wait = if quiet { SendFlags::DONTWAIT.bits() } else { WAITALL };
        let more = if sending.how.more { SendFlags::MORE } else { SendFlags::empty() };
        let flags = (SendFlags::NOSIGNAL.union(more).bits() | wait) as i32;
        self.quiet += usize::from(quiet);
        let send = opcode::Send::new(Fd(conn.fd.as_raw_fd()), left.as_ptr(), len).flags(flags);
        self.push(send.build().user_data(key | SEND));
    }

    pub(crate) fn detach(&mut self, key: u64) -> Option<Detached> {
        let conn = self.open(key)?;
        assert!(conn.sending.is_none(), "a connection is given away when nothing is being sent");
        conn.receiving = false;
        // As after a pause, bytes that still come in are kept.
        if conn.connecting {
            self.cancel(key | CONNECT);
        }
        self.cancel_recv(key);
        while self.conns.get(key).is_some_and(|conn| !conn.is_idle()) {
            self.fetch();
            let mut rest = VecDeque::new();
            for completion in mem::take(&mut self.fetched) {
                match completion.user_data & !KIND_MASK == key {
                    true if completion.user_data & KIND_MASK == RECV => self.on_recv(key, &completion, &mut Vec::new()),
                    true if completion.user_data & KIND_MASK == CONNECT => {
                        self.conns.get_mut(key).expect("it is there").connecting = false;
                        self.outstanding -= 1;
                    }
                    _ => rest.push_back(completion),
                }
            }
            self.fetched = rest;
            if self.conns.get(key).is_some_and(|conn| !conn.is_idle()) {
                let entered = self.refill().and_then(|()| self.enter(DROP_WAIT));
                entered.expect("the kernel cancels what it was given");
            }
        }
        let conn = self.conns.remove(key).expect("it is there");
        Some(Detached { fd: conn.fd, received: conn.kept })
    }

    pub(crate) fn fd(&self, key: u64) -> Option<BorrowedFd<'_>> {
        self.conns.get(key).filter(|conn| !conn.closing).map(|conn| conn.fd.as_fd())
    }

    pub(crate) fn close(&mut self, key: u64) {
        let Some(conn) = self.open(key) else { return };
        conn.closing = true;
        conn.kept = Vec::new();
        let (sending, connecting) = (conn.sending.is_some(), conn.connecting);
        self.cancel_recv(key);
        if sending {
            self.cancel(key | SEND);
        }
        if connecting {
            self.cancel(key | CONNECT);
        }
        self.settle(key);
    }

    /// Drops a closed connection when its last operation has completed.
    fn settle(&mut self, key: u64) {
        if self.conns.get(key).is_some_and(|conn| conn.closing && conn.is_idle()) {
            self.conns.remove(key);
            if self.resting.is_some() {
                // A descriptor is free again, so accepting need not rest any longer.
                self.resting = Some(Instant::now());
            }
        }
    }

    pub(crate) fn data(&self, slot: DataSlot) -> &[u8] {
        assert_eq!(slot.poll, self.polls, "data is used before the next poll");
        match slot.index.checked_sub(KEPT) {
            Some(index) => &self.lent_kept[index as usize],
            None => self.buffers.bytes(slot.index as u16, slot.len),
        }
    }

    pub(crate) fn poll(&mut self, timeout: Option<Duration>, events: &mut Vec<Event>) -> io::Result<()> {
        self.polls = self.polls.wrapping_add(1);
        self.lent_kept.clear();
        // The slot used last goes back first, because it is still in the cache.
        while let Some(slot) = self.lent.pop() {
            self.buffers.put_back(slot);
        }
        self.look_at_noted(events);
        let at_once = !events.is_empty() || !self.fetched.is_empty();
        let timeout = if at_once { Some(Duration::ZERO) } else { self.rest(timeout) };
        self.refill()?;
        if timeout.is_some_and(|t| t.is_zero()) || !self.fetched.is_empty() {
            self.enter(Duration::ZERO)?;
        } else {
            if let Some(timeout) = timeout {
                self.alarm.set(timeout);
            }
            let quiet = mem::take(&mut self.quiet);
            self.enter_for(1 + quiet, None)?;
        }
        while let Some(completion) = self.fetched.pop_front() {
            self.on_completion(&completion, events);
        }
        loop {
            // A block of its own, because handling a completion may queue operations.
            let next = self.ring.completion().next();
            let Some(e) = next else { break };
            let completion = Completion { user_data: e.user_data(), result: e.result(), flags: e.flags() };
            self.on_completion(&completion, events);
        }
        Ok(())
    }

    /// Delivers what was kept during pauses and arms the receives that are wanted.
    fn look_at_noted(&mut self, events: &mut Vec<Event>) {
        let mut noted = mem::take(&mut self.noted);
        for key in noted.drain(..) {
            let Some(conn) = self.conns.get_mut(key) else {
                continue;
            };
            conn.noted = false;
            if conn.closing || !conn.receiving {
                continue;
            }
            if !conn.kept.is_empty() {
                let bytes = mem::take(&mut conn.kept);
                let index = KEPT + self.lent_kept.len() as u32;
                let slot = DataSlot { index, len: bytes.len() as u32, poll: self.polls };
                self.lent_kept.push(bytes);
                events.push(Event::Data { conn: ConnId(key), slot });
            }
            if let Some(end) = conn.kept_end.take() {
                self.deliver_end(key, end, events);
            } else if !conn.armed && !conn.ended && !conn.connecting {
                self.arm_recv(key);
            }
        }
        self.noted = noted;
    }

    /// Ends the rest of accepting when it is over, and else shortens the time to wait.
    fn rest(&mut self, timeout: Option<Duration>) -> Option<Duration> {
        let Some(until) = self.resting else {
            return timeout;
        };
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            self.resting = None;
            for key in self.listeners.keys() {
                self.arm_accept(key);
            }
            return timeout;
        }
        Some(timeout.map_or(left, |t| t.min(left)))
    }

    fn on_completion(&mut self, completion: &Completion, events: &mut Vec<Event>) {
        let key = completion.user_data & !KIND_MASK;
        match completion.user_data & KIND_MASK {
            RECV => self.on_recv(key, completion, events),
            SEND => self.on_send(key, completion.result, events),
            ACCEPT => self.on_accept(key, completion, events),
            CONNECT => self.on_connect(key, events),
            WAKE => {
                self.waker.reset();
                events.push(Event::Woken);
                self.watch_waker();
            }
            CANCEL => {}
            ALARM => {
                self.alarm.over();
                self.watch_alarm();
            }
            other => unreachable!("no operation has the kind {other:x}"),
        }
    }

    fn on_recv(&mut self, key: u64, completion: &Completion, events: &mut Vec<Event>) {
        let slot = cqueue::buffer_select(completion.flags);
        let conn = self.conns.get_mut(key).expect("a connection stays until its operations have completed");
        if !cqueue::more(completion.flags) {
            conn.armed = false;
            conn.cancelling = false;
            self.outstanding -= 1;
        }
        let len = completion.result;
        let (wanted, dropped) = (conn.receiving && !conn.ended, conn.closing || conn.ended);
        match slot {
            Some(slot) if len > 0 && wanted && !conn.closing => {
                self.lent.push(slot);
                let slot = DataSlot { index: u32::from(slot), len: len as u32, poll: self.polls };
                events.push(Event::Data { conn: ConnId(key), slot });
            }
            Some(slot) => {
                if len > 0 && !dropped {
                    conn.kept.extend_from_slice(self.buffers.bytes(slot, len as u32));
                }
                self.buffers.put_back(slot);
            }
            None => assert!(len <= 0, "received bytes are in a slot"),
        }
        if len <= 0 {
            self.on_recv_end(key, len, events);
        }
        let conn = self.conns.get(key).expect("it is there");
        if conn.receiving && !conn.armed && !conn.closing && !conn.ended {
            self.note(key);
        }
        self.settle(key);
    }

    /// A receive brought no bytes.
    fn on_recv_end(&mut self, key: u64, result: i32, events: &mut Vec<Event>) {
        let conn = self.conns.get_mut(key).expect("it is there");
        let end = match -result {
            0 => End::Eof,
            e if e == Errno::NOBUFS.raw_os_error() => {
                self.buffers.grow();
                return;
            }
            e if [Errno::CANCELED, Errno::INTR, Errno::AGAIN].iter().any(|errno| errno.raw_os_error() == e) => {
                return;
            }
            e => End::Error(io::Error::from_raw_os_error(e)),
        };
        if conn.closing || conn.ended {
            return;
        }
        if conn.receiving {
            self.deliver_end(key, end, events);
        } else {
            conn.kept_end = Some(end);
        }
    }

    fn deliver_end(&mut self, key: u64, end: End, events: &mut Vec<Event>) {
        match end {
            End::Eof => {
                let conn = self.conns.get_mut(key).expect("it is there");
                conn.ended = true;
                events.push(Event::Eof { conn: ConnId(key) });
            }
            End::Error(error) => self.fail(key, error, events),
        }
    }

    /// Reports a broken connection, once, and ends its operations.
    fn fail(&mut self, key: u64, error: io::Error, events: &mut Vec<Event>) {
        let conn = self.conns.get_mut(key).expect("it is there");
        if conn.closing || conn.broken {
            return;
        }
        conn.ended = true;
        conn.broken = true;
        conn.receiving = false;
        conn.kept = Vec::new();
        conn.kept_end = None;
        let sending = conn.sending.is_some();
        events.push(Event::Error { conn: ConnId(key), error });
        self.cancel_recv(key);
        if sending {
            self.cancel(key | SEND);
        }
    }

    fn on_send(&mut self, key: u64, result: i32, events: &mut Vec<Event>) {
        let conn = self.conns.get_mut(key).expect("a connection stays until its operations have completed");
        let sending = conn.sending.as_mut().expect("a send has a buffer");
        let again = [Errno::INTR, Errno::AGAIN].iter().any(|errno| errno.raw_os_error() == -result);
        if result > 0 {
            sending.done += result as usize;
        }
        let unfinished = sending.done < sending.buf.len();
        if unfinished && (result > 0 || again) && !conn.closing && !conn.broken {
            self.push_send(key, false);
            return;
        }
        let mut buf = conn.sending.take().expect("it is there").buf;
        self.outstanding -= 1;
        if conn.closing {
            self.settle(key);
        } else if conn.broken {
            // The error has been reported; the buffer went with it.
        } else if unfinished {
            let error = match result {
                0 => io::ErrorKind::WriteZero.into(),
                _ => io::Error::from_raw_os_error(-result),
            };
            self.fail(key, error, events);
        } else {
            buf.clear();
            events.push(Event::Sent { conn: ConnId(key), buf });
        }
    }

    fn on_connect(&mut self, key: u64, events: &mut Vec<Event>) {
        let conn = self.conns.get_mut(key).expect("a connection stays until its operations have completed");
        conn.connecting = false;
        self.outstanding -= 1;
        if conn.closing {
            self.settle(key);
            return;
        }
        let result = sock::take_error(&conn.fd);
        conn.ended = result.is_err();
        conn.broken = result.is_err();
        let receiving = conn.receiving;
        events.push(Event::Connected { conn: ConnId(key), result });
        if receiving {
            self.note(key);
        }
    }

    fn on_accept(&mut self, key: u64, completion: &Completion, events: &mut Vec<Event>) {
        // A descriptor is taken over before anything else, so that it is closed if nobody wants it.
        let accepted = setup::accepted(completion.result);
        let listener = self.listeners.get_mut(key).expect("a listener stays until its operation has completed");
        let closing = listener.closing;
        if !cqueue::more(completion.flags) {
            listener.armed = false;
            self.outstanding -= 1;
        }
        let armed = listener.armed;
        if closing {
            if !armed {
                self.listeners.remove(key);
            }
            return;
        }
        match accepted {
            Ok(fd) => {
                let conn = ConnId(self.adopt(fd));
                events.push(Event::Accepted { listener: ListenerId(key), conn });
            }
            Err(error) if crate::accept_is_transient(&error) => {}
            Err(error) => {
                // Whatever it is, it will be the same at once: accepting rests for a while.
                self.resting = Some(Instant::now() + ACCEPT_REST);
                events.push(Event::AcceptFailed { listener: ListenerId(key), error });
                return;
            }
        }
        if !armed {
            self.arm_accept(key);
        }
    }
}

/// `MSG_WAITALL`, which rustix does not name for sending.
const WAITALL: u32 = 0x100;

fn is(error: &io::Error, errno: Errno) -> bool {
    error.raw_os_error() == Some(errno.raw_os_error())
}

impl Drop for Uring {
    /// Waits until the kernel has let go of all buffers. Should it not do so, they are left to it for ever rather than freed.
    fn drop(&mut self) {
        let until = Instant::now() + DROP_WAIT;
        for entry in mem::take(&mut self.waiting) {
            // These never reach the kernel.
            let of_socket = ![WAKE, CANCEL, ALARM].contains(&(entry.get_user_data() & KIND_MASK));
            self.outstanding -= usize::from(of_socket);
        }
        let any = opcode::AsyncCancel2::new(CancelBuilder::any()).build().user_data(CANCEL);
        while self.outstanding > 0 && Instant::now() < until {
            // An operation that completes partly may be cancelled only in its next step, hence again and again.
            self.try_push(&any);
            if self.enter(Duration::from_millis(10)).is_err() {
                break;
            }
            self.fetch();
            for completion in mem::take(&mut self.fetched) {
                let kind = completion.user_data & KIND_MASK;
                let done = match kind {
                    RECV | ACCEPT => !cqueue::more(completion.flags),
                    SEND | CONNECT => true,
                    _ => false,
                };
                if kind == ACCEPT {
                    drop(setup::accepted(completion.result));
                }
                self.outstanding -= usize::from(done);
            }
        }
        if self.outstanding > 0 {
            mem::forget(mem::replace(&mut self.conns, Slab::new()));
            mem::forget(mem::replace(&mut self.buffers, RingBuffers::new(1, 0, 1)));
        }
    }
}
