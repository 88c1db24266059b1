//! Reading and writing a non-blocking socket from a background thread.
//!
//! A full sync is written to a replica's socket by the thread that walks the snapshot. The socket is (a duplicate of) one of the event loop's
//! and stays non-blocking, so these types wait for it themselves. A wait ends with an error when the peer has not taken or given a single byte
//! for the stall time, or soon after a shared flag was set ([`CANCEL_CHECK`]).

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags};

use crate::sock;

/// What the error says when the peer has taken or given nothing for too long.
pub const STALLED: &str = "the peer made no progress in time";

/// The longest time that a set cancel flag goes unnoticed.
pub const CANCEL_CHECK: Duration = Duration::from_millis(50);

/// How long the peer may do nothing; it may be changed while somebody waits.
#[derive(Clone, Debug, Default)]
pub struct Stall(Arc<AtomicU64>);

impl Stall {
    /// Sets it, also for those who wait already.
    pub fn set(&self, time: Duration) {
        self.0.store(u64::try_from(time.as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    fn get(&self) -> Duration {
        Duration::from_millis(self.0.load(Ordering::Relaxed))
    }
}

impl From<Duration> for Stall {
    fn from(time: Duration) -> Self {
        let stall = Self::default();
        stall.set(time);
        stall
    }
}

/// What both directions share: the socket and when to give up.
struct Patient {
    fd: OwnedFd,
    stall: Stall,
    cancel: Arc<AtomicBool>,
}

impl Patient {
    fn check_cancel(&self) -> io::Result<()> {
        if self.cancel.load(Ordering::Acquire) {
            return Err(io::Error::new(io::ErrorKind::ConnectionAborted, "cancelled"));
        }
        Ok(())
    }

    /// Calls `step` until it does not ask to wait, waiting for `flags` in between.
    fn run(&self, flags: PollFlags, mut step: impl FnMut(&OwnedFd) -> Result<usize, Errno>) -> io::Result<usize> {
        let mut since = None;
        loop {
            self.check_cancel()?;
            match step(&self.fd) {
                Ok(len) => return Ok(len),
                Err(Errno::INTR) => continue,
                Err(Errno::AGAIN) => {}
                Err(error) => return Err(error.into()),
            }
            let waited = since.get_or_insert_with(Instant::now).elapsed();
            let left = self.stall.get().saturating_sub(waited);
            if left.is_zero() {
                return Err(io::Error::new(io::ErrorKind::TimedOut, STALLED));
            }
            let timeout = sock::whole_millis(left.min(CANCEL_CHECK));
            match rustix::event::poll(&mut [PollFd::new(&self.fd, flags)], Some(&timeout)) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// Writes to a non-blocking socket and waits where needed. It does not buffer. See the module's description.
pub struct BlockingWriter(Patient);

impl BlockingWriter {
    /// A writer over `fd`. A write fails when the peer takes nothing for `stall`, or soon after `cancel` is set.
    pub fn new(fd: OwnedFd, stall: impl Into<Stall>, cancel: Arc<AtomicBool>) -> BlockingWriter {
        BlockingWriter(Patient { fd, stall: stall.into(), cancel })
    }

    /// The socket.
    pub fn into_fd(self) -> OwnedFd {
        self.0.fd
    }
}

impl io::Write for BlockingWriter {
    /// Writes at least one byte of a `buf` that is not empty. Errors: `TimedOut`, `ConnectionAborted` when cancelled, those of the socket.
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        if buf.is_empty() {
            return Ok(0);
        }
        self.0.run(PollFlags::OUT, |fd| rustix::net::send(fd, buf, SendFlags::NOSIGNAL | SendFlags::DONTWAIT))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Reads from a non-blocking socket and waits where needed. It does not buffer. See the module's description.
pub struct BlockingReader(Patient);

impl BlockingReader {
    /// A reader over `fd`. A read fails when the peer sends nothing for `stall`, or soon after `cancel` is set.
    pub fn new(fd: OwnedFd, stall: impl Into<Stall>, cancel: Arc<AtomicBool>) -> BlockingReader {
        BlockingReader(Patient { fd, stall: stall.into(), cancel })
    }

    /// The socket.
    pub fn into_fd(self) -> OwnedFd {
        self.0.fd
    }
}

impl io::Read for BlockingReader {
    /// Reads at least one byte, or 0 at the end of the stream. Errors: `TimedOut`, `ConnectionAborted` when cancelled, those of the socket.
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.0.run(PollFlags::IN, |fd| rustix::net::recv(fd, &mut *buf, RecvFlags::DONTWAIT).map(|(len, _)| len))
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream;
    use std::thread;

    use super::*;

    const SHORT: Duration = Duration::from_millis(120);
    const LONG: Duration = Duration::from_secs(20);

    fn pair() -> (OwnedFd, OwnedFd) {
        let (a, b) = UnixStream::pair().unwrap();
        a.set_nonblocking(true).unwrap();
        b.set_nonblocking(true).unwrap();
        (a.into(), b.into())
    }

    #[test]
    fn a_slow_peer_gets_everything() {
        let (a, b) = pair();
        let flag = Arc::new(AtomicBool::new(false));
        let bytes: Vec<u8> = (0..3_000_000u32).map(|i| ((i * 7) >> 3) as u8).collect();
        let expected = bytes.clone();
        let mut writer = BlockingWriter::new(a, LONG, flag.clone());
        let thread = thread::spawn(move || writer.write_all(&bytes));
        let mut got = Vec::new();
        BlockingReader::new(b, LONG, flag).read_to_end(&mut got).unwrap();
        thread.join().unwrap().unwrap();
        assert!(got == expected);
    }

    #[test]
    fn a_stalled_peer_is_given_up() {
        let (a, b) = pair();
        let flag = Arc::new(AtomicBool::new(false));
        let start = Instant::now();
        let error = BlockingWriter::new(a, SHORT, flag.clone()).write_all(&vec![1; 10_000_000]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(start.elapsed() >= SHORT);
        let (_silent, b2) = (b, pair());
        let error = BlockingReader::new(b2.0, SHORT, flag).read(&mut [0]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }

    #[test]
    fn the_time_can_be_shortened_while_somebody_waits() {
        let (a, _b) = pair();
        let stall = Stall::from(LONG);
        let shorter = stall.clone();
        let thread = thread::spawn(move || {
            thread::sleep(SHORT);
            shorter.set(SHORT);
        });
        let start = Instant::now();
        let error = BlockingReader::new(a, stall, Arc::default()).read(&mut [0]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(start.elapsed() < LONG / 2);
        thread.join().unwrap();
    }

    #[test]
    fn a_set_flag_ends_the_wait() {
        let (a, _b) = pair();
        let flag = Arc::new(AtomicBool::new(false));
        let setter = flag.clone();
        let thread = thread::spawn(move || {
            thread::sleep(SHORT);
            setter.store(true, Ordering::Release);
        });
        let start = Instant::now();
        let error = BlockingReader::new(a, LONG, flag).read(&mut [0]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionAborted);
        assert!(start.elapsed() < LONG / 2);
        thread.join().unwrap();
    }

    #[test]
    fn a_gone_peer_is_an_error_and_no_signal() {
        let (a, b) = pair();
        drop(b);
        let flag = Arc::new(AtomicBool::new(false));
        let error = BlockingWriter::new(a, LONG, flag).write_all(b"x").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
    }
}
