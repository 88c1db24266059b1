//! What other threads tell the event loop.

use engine::client::ClientKey;
use engine::rdb::Loaded;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

/// A message to the event loop.
#[derive(Debug)]
pub enum Note {
    /// A signal to stop.
    Signal(i32),
    /// A save has ended.
    Saved {
        /// Which one it was: the end of a cancelled one is of no interest.
        number: u64,
        /// What went wrong, if anything.
        error: Option<String>,
        /// How long it took, milliseconds.
        took_ms: u64,
    },
    /// The sentinels have said whom to follow, if anybody.
    Role {
        /// Where it is.
        primary: Option<(String, u16)>,
    },
    /// The data set of the start has been read.
    StartLoaded(Result<Box<Loaded>, String>),
    /// A full sync to a replica has ended.
    Transferred {
        /// The replica.
        client: ClientKey,
        /// The client's id, since a key may be given to another client.
        id: u64,
        /// What went wrong, if anything.
        error: Option<String>,
        /// Bytes sent.
        bytes: u64,
    },
    /// A full sync from our primary has been received into a file and is whole; its data is being built now.
    SyncReceived {
        /// Which attempt it was.
        attempt: u64,
        /// The file.
        path: PathBuf,
    },
    /// A full sync from our primary has ended.
    SyncLoaded {
        /// Which attempt it was: an abandoned one's end is of no interest.
        attempt: u64,
        /// The data, or what went wrong.
        result: Result<Box<Received>, super::receive::Failure>,
    },
    /// Something that a sentinel has asked for.
    Sentinel(::sentinel::Event),
    /// The name of the primary has been looked up.
    Resolved {
        /// Which attempt it was.
        attempt: u64,
        /// Its address, or what went wrong.
        result: Result<std::net::SocketAddr, String>,
    },
}

/// A data set received from a primary, and the socket that the stream goes on over.
#[derive(Debug)]
pub struct Received {
    /// The data.
    pub loaded: Loaded,
    /// The socket.
    pub fd: OwnedFd,
    /// Bytes read beyond the data set.
    pub rest: Vec<u8>,
}
