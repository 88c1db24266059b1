//! What the io_uring backend remembers of each socket.
//!
//! A socket is dropped only when none of its operations is queued or in the kernel any more: its descriptor and the buffer it sends
//! are the kernel's until then, whatever the caller has done in between.

use std::io;
use std::os::fd::OwnedFd;

use crate::How;

/// A buffer that belongs to the kernel until the completion of the send.
pub(super) struct Sending {
    pub(super) buf: Vec<u8>,
    pub(super) done: usize,
    pub(super) how: How,
}

/// How receiving ended, kept while the connection is paused.
pub(super) enum End {
    Eof,
    Error(io::Error),
}

/// A connection and what is under way on it.
pub(super) struct Conn {
    pub(super) fd: OwnedFd,
    /// The caller wants data.
    pub(super) receiving: bool,
    /// A receive is queued or in the kernel.
    pub(super) armed: bool,
    /// That receive is being cancelled.
    pub(super) cancelling: bool,
    /// The connection is in the list of those to look at before the next wait.
    pub(super) noted: bool,
    pub(super) connecting: bool,
    /// The end or an error was delivered: nothing more is received.
    pub(super) ended: bool,
    /// An error was delivered: nothing more is sent either.
    pub(super) broken: bool,
    /// Closed by the caller; it only waits for its operations.
    pub(super) closing: bool,
    pub(super) sending: Option<Sending>,
    /// Bytes that came in after a pause.
    pub(super) kept: Vec<u8>,
    /// The end that came in after a pause.
    pub(super) kept_end: Option<End>,
}

impl Conn {
    /// Nothing is armed yet; `connecting` tells that the end of connecting is being watched for.
    pub(super) fn new(fd: OwnedFd, connecting: bool) -> Conn {
        Conn {
            fd,
            receiving: false,
            armed: false,
            cancelling: false,
            noted: false,
            connecting,
            ended: false,
            broken: false,
            closing: false,
            sending: None,
            kept: Vec::new(),
            kept_end: None,
        }
    }

    /// Whether no operation of this socket is queued or in the kernel.
    pub(super) fn is_idle(&self) -> bool {
        !self.armed && self.sending.is_none() && !self.connecting
    }
}

/// A listening socket and whether an accept is under way on it.
pub(super) struct Listener {
    pub(super) fd: OwnedFd,
    pub(super) armed: bool,
    pub(super) closing: bool,
}

/// What a completion says.
pub(super) struct Completion {
    pub(super) user_data: u64,
    pub(super) result: i32,
    pub(super) flags: u32,
}
