//! The backend over epoll: readiness made to look like completion.
//!
//! Level-triggered. Interest is changed lazily: calls only note what they want, and `poll` tells the kernel the difference,
//! so pausing and resuming within a batch costs nothing. A socket that nothing is wanted of is taken out of the epoll set,
//! because the kernel reports a hang-up whether it is asked for or not, and would do so for ever.
//! A send is written at once; only what the socket does not take waits for it to become writable.
//!
//! Slots are taken from the start of the pool at each poll, so a few busy connections use the same few cached pages.
//! Limits: `Limits::slots` events per poll, one slot per connection and poll, [`ACCEPTS_PER_POLL`] per listener and poll.

use std::io;
use std::mem;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::Timespec;
use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, SocketFlags};

use crate::alarm::Alarm;
use crate::slab::{Slab, TAG_SHIFT};
use crate::{ACCEPT_REST, ConnId, DataSlot, Detached, Error, Event, How, Limits, ListenerId, Waker, sock};

/// The most connections that one listener brings in per poll.
const ACCEPTS_PER_POLL: usize = 1000;

/// Marks the epoll data of a listener; that of a connection has no mark.
const LISTENER: u64 = 1 << TAG_SHIFT;
/// The epoll data of the waker.
const WAKER: u64 = 2 << TAG_SHIFT;
/// The epoll data of the alarm.
const ALARM: u64 = 4 << TAG_SHIFT;

/// A buffer that the socket has not yet taken entirely.
struct Sending {
    buf: Vec<u8>,
    done: usize,
    flags: SendFlags,
}

struct Conn {
    fd: OwnedFd,
    /// What the kernel watches; empty: the socket is not in the epoll set.
    watched: EventFlags,
    /// The connection is in the list of those whose interest may have changed.
    noted: bool,
    receiving: bool,
    connecting: bool,
    /// The end of the stream or an error was delivered: nothing more is read.
    ended: bool,
    /// An error was delivered or is about to be: nothing more is sent either.
    broken: bool,
    sending: Option<Sending>,
}

impl Conn {
    fn new(fd: OwnedFd, connecting: bool) -> Conn {
        let watched = EventFlags::empty();
        Conn { fd, watched, noted: false, receiving: false, connecting, ended: false, broken: false, sending: None }
    }

    fn wanted(&self) -> EventFlags {
        let mut flags = EventFlags::empty();
        flags.set(EventFlags::IN, self.receiving && !self.ended && !self.connecting);
        flags.set(EventFlags::OUT, self.sending.is_some() || self.connecting);
        flags
    }
}

struct Listener {
    fd: OwnedFd,
    watched: bool,
}

/// See the module's description.
pub(crate) struct Epoll {
    limits: Limits,
    epoll: OwnedFd,
    waker: Waker,
    alarm: Alarm,
    conns: Slab<Conn>,
    listeners: Slab<Listener>,
    /// Connections whose interest may differ from what the kernel watches.
    noted: Vec<u64>,
    /// Errors of sends that were tried at once, to be delivered at the next poll.
    broken: Vec<(u64, io::Error)>,
    /// Until when accepting rests.
    resting: Option<Instant>,
    ready: Vec<epoll::Event>,
    pool: Vec<u8>,
    used: u32,
    polls: u32,
}

impl Epoll {
    pub(crate) fn new(limits: Limits) -> Result<Epoll, Error> {
        let failed = |step| {
            move |source: io::Error| Error {
                backend: "epoll",
                step,
                source,
                hint: "Probably no file descriptors are left; raise the limit with `ulimit -n`.".to_owned(),
            }
        };
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC).map_err(|e| failed("epoll_create")(e.into()))?;
        let waker = Waker::new().map_err(failed("eventfd"))?;
        let alarm = Alarm::new().map_err(failed("timerfd"))?;
        for (fd, data) in [(waker.fd(), WAKER), (alarm.fd(), ALARM)] {
            epoll::add(&epoll, fd, EventData::new_u64(data), EventFlags::IN)
                .map_err(|e| failed("epoll_ctl")(e.into()))?;
        }
        Ok(Epoll {
            limits,
            epoll,
            waker,
            alarm,
            conns: Slab::new(),
            listeners: Slab::new(),
            noted: Vec::new(),
            broken: Vec::new(),
            resting: None,
            ready: Vec::with_capacity(usize::from(limits.slots)),
            // Zeroed memory comes from the kernel page by page as it is used, so a big pool costs only what is in use.
            pool: vec![0; usize::from(limits.slots) * limits.slot_bytes as usize],
            used: 0,
            polls: 0,
        })
    }

    pub(crate) fn waker(&self) -> Waker {
        self.waker.clone()
    }

    pub(crate) fn listen(&mut self, fd: OwnedFd) -> u64 {
        rustix::io::ioctl_fionbio(&fd, true).expect("an open socket can be made non-blocking");
        let key = self.listeners.insert(Listener { fd, watched: false });
        self.watch_listener(key);
        key
    }

    fn watch_listener(&mut self, key: u64) {
        if let Some(listener) = self.listeners.get_mut(key)
            && !listener.watched
        {
            let data = EventData::new_u64(key | LISTENER);
            epoll::add(&self.epoll, &listener.fd, data, EventFlags::IN).expect("a listening socket can be watched");
            listener.watched = true;
        }
    }

    pub(crate) fn unlisten(&mut self, key: u64) {
        if let Some(listener) = self.listeners.remove(key)
            && listener.watched
        {
            epoll::delete(&self.epoll, &listener.fd).expect("a watched listener is in the set");
        }
    }

    pub(crate) fn adopt(&mut self, fd: OwnedFd) -> u64 {
        self.conns.insert(Conn::new(fd, false))
    }

    pub(crate) fn connecting(&mut self, fd: OwnedFd) -> u64 {
        let key = self.conns.insert(Conn::new(fd, true));
        self.note(key);
        key
    }

    fn note(&mut self, key: u64) {
        if let Some(conn) = self.conns.get_mut(key)
            && !conn.noted
            && conn.wanted() != conn.watched
        {
            conn.noted = true;
            self.noted.push(key);
        }
    }

    pub(crate) fn recv(&mut self, key: u64) {
        if let Some(conn) = self.conns.get_mut(key) {
            conn.receiving = true;
            self.note(key);
        }
    }

    pub(crate) fn pause(&mut self, key: u64) {
        if let Some(conn) = self.conns.get_mut(key) {
            conn.receiving = false;
            self.note(key);
        }
    }

    pub(crate) fn send(&mut self, key: u64, mut buf: Vec<u8>, how: How) -> Option<Vec<u8>> {
        let conn = self.conns.get_mut(key).expect("looked up before");
        if conn.broken {
            buf.clear();
            return Some(buf);
        }
        assert!(conn.sending.is_none(), "one buffer is sent at a time");
        assert!(!conn.connecting, "a connection sends after it is connected");
        let more = if how.more { SendFlags::MORE } else { SendFlags::empty() };
        let mut sending = Sending { buf, done: 0, flags: SendFlags::NOSIGNAL | SendFlags::DONTWAIT | more };
        match write_on(&conn.fd, &mut sending) {
            Ok(true) => {
                sending.buf.clear();
                return Some(sending.buf);
            }
            Ok(false) => {
                conn.sending = Some(sending);
                self.note(key);
            }
            Err(error) => {
                conn.broken = true;
                self.broken.push((key, error));
            }
        }
        None
    }

    pub(crate) fn detach(&mut self, key: u64) -> Option<Detached> {
        let sending = self.conns.get(key)?.sending.is_some();
        assert!(!sending, "a connection is given away when nothing is being sent");
        let conn = self.forget(key)?;
        Some(Detached { fd: conn.fd, received: Vec::new() })
    }

    pub(crate) fn fd(&self, key: u64) -> Option<BorrowedFd<'_>> {
        self.conns.get(key).map(|conn| conn.fd.as_fd())
    }

    pub(crate) fn close(&mut self, key: u64) {
        if self.forget(key).is_some() && self.resting.is_some() {
            // A descriptor is free again, so accepting need not rest any longer.
            self.resting = Some(Instant::now());
        }
    }

    /// Takes a connection out. Its socket leaves the set explicitly, because closing the descriptor does not do that
    /// when the socket has been duplicated.
    fn forget(&mut self, key: u64) -> Option<Conn> {
        let conn = self.conns.remove(key)?;
        if !conn.watched.is_empty() {
            epoll::delete(&self.epoll, &conn.fd).expect("a watched connection is in the set");
        }
        Some(conn)
    }

    pub(crate) fn data(&self, slot: DataSlot) -> &[u8] {
        assert_eq!(slot.poll, self.polls, "data is used before the next poll");
        let start = slot.index as usize * self.limits.slot_bytes as usize;
        &self.pool[start..start + slot.len as usize]
    }

    pub(crate) fn poll(&mut self, timeout: Option<Duration>, events: &mut Vec<Event>) -> io::Result<()> {
        self.polls = self.polls.wrapping_add(1);
        self.used = 0;
        for (key, error) in mem::take(&mut self.broken) {
            self.fail(key, error, events);
        }
        self.tell_interest()?;
        let timeout = if events.is_empty() { self.rest(timeout) } else { Some(Duration::ZERO) };
        let at_once = timeout.is_some_and(|t| t.is_zero());
        if let Some(timeout) = timeout.filter(|_| !at_once) {
            self.alarm.set(timeout);
        }
        let timeout = at_once.then(Timespec::default);
        let mut ready = mem::take(&mut self.ready);
        ready.clear();
        let outcome = epoll::wait(&self.epoll, rustix::buffer::spare_capacity(&mut ready), timeout.as_ref());
        match outcome {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        for event in &ready {
            let (data, flags) = (event.data.u64(), event.flags);
            if data == WAKER {
                self.waker.reset();
                events.push(Event::Woken);
            } else if data == ALARM {
                self.alarm.over();
            } else if data & LISTENER != 0 {
                self.accept(data & !LISTENER, events);
            } else {
                self.on_ready(data, flags, events);
            }
        }
        self.ready = ready;
        Ok(())
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
                self.watch_listener(key);
            }
            return timeout;
        }
        Some(timeout.map_or(left, |t| t.min(left)))
    }

    /// Tells the kernel what is wanted of the connections for which that has changed.
    fn tell_interest(&mut self) -> io::Result<()> {
        let mut noted = mem::take(&mut self.noted);
        for key in noted.drain(..) {
            let Some(conn) = self.conns.get_mut(key) else {
                continue;
            };
            conn.noted = false;
            let wanted = conn.wanted();
            if wanted == conn.watched {
                continue;
            }
            let data = EventData::new_u64(key);
            if wanted.is_empty() {
                epoll::delete(&self.epoll, &conn.fd)?;
            } else if conn.watched.is_empty() {
                epoll::add(&self.epoll, &conn.fd, data, wanted)?;
            } else {
                epoll::modify(&self.epoll, &conn.fd, data, wanted)?;
            }
            conn.watched = wanted;
        }
        self.noted = noted;
        Ok(())
    }

    fn on_ready(&mut self, key: u64, flags: EventFlags, events: &mut Vec<Event>) {
        let Some(conn) = self.conns.get_mut(key) else {
            return;
        };
        let hung_up = flags.intersects(EventFlags::HUP | EventFlags::ERR);
        if conn.connecting {
            conn.connecting = false;
            let result = sock::take_error(&conn.fd);
            conn.ended = result.is_err();
            conn.broken = result.is_err();
            events.push(Event::Connected { conn: ConnId(key), result });
            self.note(key);
            return;
        }
        // Receiving comes first: bytes that arrived before a reset are still to be had.
        if conn.receiving && !conn.ended && (hung_up || flags.contains(EventFlags::IN)) {
            self.read(key, events);
        }
        let Some(conn) = self.conns.get_mut(key) else {
            return;
        };
        if (hung_up || flags.contains(EventFlags::OUT))
            && let Some(sending) = &mut conn.sending
        {
            match write_on(&conn.fd, sending) {
                Ok(true) => {
                    let mut buf = conn.sending.take().expect("it was there above").buf;
                    buf.clear();
                    events.push(Event::Sent { conn: ConnId(key), buf });
                    self.note(key);
                }
                Ok(false) => {}
                Err(error) => self.fail(key, error, events),
            }
        }
    }

    fn read(&mut self, key: u64, events: &mut Vec<Event>) {
        let Some(conn) = self.conns.get_mut(key) else {
            return;
        };
        let bytes = self.limits.slot_bytes as usize;
        let start = self.used as usize * bytes;
        match rustix::net::recv(&conn.fd, &mut self.pool[start..start + bytes], RecvFlags::DONTWAIT) {
            Ok((0, _)) => {
                conn.ended = true;
                events.push(Event::Eof { conn: ConnId(key) });
                self.note(key);
            }
            Ok((len, _)) => {
                let slot = DataSlot { index: self.used, len: len as u32, poll: self.polls };
                self.used += 1;
                events.push(Event::Data { conn: ConnId(key), slot });
            }
            Err(Errno::AGAIN | Errno::INTR) => {}
            Err(error) => self.fail(key, error.into(), events),
        }
    }

    /// Reports a broken connection, once.
    fn fail(&mut self, key: u64, error: io::Error, events: &mut Vec<Event>) {
        let Some(conn) = self.conns.get_mut(key) else {
            return;
        };
        conn.sending = None;
        conn.ended = true;
        conn.broken = true;
        conn.receiving = false;
        events.push(Event::Error { conn: ConnId(key), error });
        self.note(key);
    }

    fn accept(&mut self, key: u64, events: &mut Vec<Event>) {
        for _ in 0..ACCEPTS_PER_POLL {
            let Some(listener) = self.listeners.get_mut(key) else {
                return;
            };
            match rustix::net::accept_with(&listener.fd, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK) {
                Ok(fd) => {
                    let conn = ConnId(self.adopt(fd));
                    events.push(Event::Accepted { listener: ListenerId(key), conn });
                }
                Err(Errno::AGAIN) => return,
                Err(error) => {
                    let error = io::Error::from(error);
                    if crate::accept_is_transient(&error) {
                        continue;
                    }
                    // Whatever it is, it will be the same at once: the listener leaves the set for a while.
                    epoll::delete(&self.epoll, &listener.fd).expect("a watched listener is in the set");
                    listener.watched = false;
                    self.resting = Some(Instant::now() + ACCEPT_REST);
                    events.push(Event::AcceptFailed { listener: ListenerId(key), error });
                    return;
                }
            }
        }
    }
}

/// Writes what is left of a buffer; `true` when nothing is.
fn write_on(fd: &OwnedFd, sending: &mut Sending) -> io::Result<bool> {
    while sending.done < sending.buf.len() {
        match rustix::net::send(fd, &sending.buf[sending.done..], sending.flags) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(len) => sending.done += len,
            Err(Errno::AGAIN) => return Ok(false),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(true)
}
