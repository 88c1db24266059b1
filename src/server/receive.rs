//! Receiving a full sync, on a thread of its own: straight from the socket into new databases, or
//! through a file where the old data must not be given up for a transfer that may break.
//!
//! ```text
//! from the socket   socket ─► parse and build ─► SyncLoaded
//! through a file    socket ─► temp-TIME.PID.rdb ─► read it once, building nothing ─► SyncReceived ─► build from it ─► SyncLoaded
//!                                                                                       └─ the event loop drops the old data
//! ```
//!
//! The primary hears once a second that we live, whichever part is under way. What it sends is `$length` and so many
//! bytes, or `$EOF:mark`, bytes, and the mark again; the replication stream follows.

use super::notes::{Note, Received};
use engine::rdb::LoadOptions;
use net::BlockingReader;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// A line before the data longer than this is none.
const LINE_BYTES_MAX: usize = 4096;
/// Bytes that are read from the socket, and from the file, at once.
const CHUNK_BYTES: usize = 256 << 10;
/// After so many bytes the file is forced to disk, so that what is held back stays small.
const SYNC_BYTES: usize = 8 << 20;

/// A full sync to be received.
pub struct Reception {
    /// The socket.
    pub fd: OwnedFd,
    /// What has been read from it beyond the handshake.
    pub input: Vec<u8>,
    /// How long the primary may be silent.
    pub stall: Duration,
    /// Set when nobody wants the data any more.
    pub cancel: Arc<AtomicBool>,
    /// Bytes received so far.
    pub received: Arc<AtomicU64>,
    /// How the data is loaded.
    pub options: LoadOptions,
    /// The folder of the file, where it goes through one.
    pub folder: Option<PathBuf>,
    /// Which attempt of the link this is.
    pub attempt: u64,
}

impl Reception {
    /// Receives and builds the data set. `tell` sends a note to the event loop.
    pub fn run(self, tell: &dyn Fn(Note)) -> Result<Received, Failure> {
        let beat = Heartbeat { fd: self.fd.try_clone().map_err(|e| e.to_string())?, at: Instant::now() };
        let reader =
            BlockingReader::new(self.fd.try_clone().map_err(|e| e.to_string())?, self.stall, self.cancel.clone());
        let mut source = SocketSource { input: self.input, at: 0, reader, beat, received: self.received };
        let end = source.header()?;
        let Some(folder) = &self.folder else {
            return from_socket(source, &end, &self.options, self.fd);
        };
        fits_on_disk(&end, folder)?;
        let mut file = TemporaryFile::create(folder)?;
        let rest = to_file(&mut source, &end, &mut file)?;
        let mut beat = source.beat;
        engine::rdb::check(file.source(&mut beat, &self.cancel)?, &self.options)?;
        let path = file.hand_over();
        tell(Note::SyncReceived { attempt: self.attempt, path });
        let (loaded, _, _) = engine::rdb::load(file.source(&mut beat, &self.cancel)?, &self.options)?;
        Ok(Received { loaded, fd: self.fd, rest })
    }
}

/// Why a full sync was not received.
#[derive(Debug, PartialEq, Eq)]
pub enum Failure {
    /// The connection, the disk or a thread failed; the next attempt may succeed.
    Broken(String),
    /// The data is not what this version can load: the next attempt most likely fails alike.
    Lasting(String),
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Broken(text) | Self::Lasting(text) => f.write_str(text),
        }
    }
}

impl From<String> for Failure {
    fn from(text: String) -> Self {
        Self::Broken(text)
    }
}

impl From<Box<persist::RdbError>> for Failure {
    fn from(error: Box<persist::RdbError>) -> Self {
        let text = error.to_string();
        if error.is_lasting() { Self::Lasting(text) } else { Self::Broken(text) }
    }
}

/// How the data ends.
enum End {
    /// After so many bytes.
    Length(u64),
    /// With this mark.
    Mark(Vec<u8>),
}

/// A length that the disk cannot take is refused before the disk is full.
fn fits_on_disk(end: &End, folder: &Path) -> Result<(), String> {
    let End::Length(length) = end else { return Ok(()) };
    // Where the room is not known, writing tells.
    let Ok(disk) = rustix::fs::statvfs(folder) else { return Ok(()) };
    let room = disk.f_bavail.saturating_mul(disk.f_frsize);
    if *length <= room {
        return Ok(());
    }
    Err(format!("the primary announces {length} bytes, and the disk of {} has room for {room}", folder.display()))
}

fn from_socket(source: SocketSource, end: &End, options: &LoadOptions, fd: OwnedFd) -> Result<Received, Failure> {
    let (loaded, mut source, mut rest) = engine::rdb::load(source, options)?;
    if let End::Mark(mark) = end {
        while rest.len() < mark.len() {
            let mut more = [0; 64];
            let n = persist::Source::read(&mut source, &mut more).map_err(|e| e.to_string())?;
            if n == 0 {
                return Err(Failure::Broken("the connection ended before the mark after the data".into()));
            }
            rest.extend_from_slice(&more[..n]);
        }
        if !rest.starts_with(mark) {
            return Err(Failure::Broken("Replication stream EOF marker is broken".into()));
        }
        rest.drain(..mark.len());
    }
    rest.extend_from_slice(&source.input[source.at..]);
    Ok(Received { loaded, fd, rest })
}

/// Writes the data to the file; what follows it is given back.
fn to_file(source: &mut SocketSource, end: &End, file: &mut TemporaryFile) -> Result<Vec<u8>, String> {
    let mut chunk = vec![0; CHUNK_BYTES];
    let next = |source: &mut SocketSource, chunk: &mut [u8]| match persist::Source::read(source, chunk) {
        Ok(0) => Err("the connection ended before the data did".to_owned()),
        Ok(n) => Ok(n),
        Err(error) => Err(error.to_string()),
    };
    match end {
        End::Length(length) => {
            let mut left = *length;
            while left > 0 {
                let most = chunk.len().min(usize::try_from(left).unwrap_or(usize::MAX));
                let n = next(source, &mut chunk[..most])?;
                file.write(&chunk[..n])?;
                left -= n as u64;
            }
            Ok(source.input[source.at..].to_vec())
        }
        End::Mark(mark) => {
            // The mark may come in two parts: so many bytes are held back.
            let mut held: Vec<u8> = Vec::new();
            loop {
                let n = next(source, &mut chunk)?;
                held.extend_from_slice(&chunk[..n]);
                if let Some(at) = memchr::memmem::find(&held, mark) {
                    file.write(&held[..at])?;
                    let mut rest = held.split_off(at + mark.len());
                    rest.extend_from_slice(&source.input[source.at..]);
                    return Ok(rest);
                }
                let sure = held.len().saturating_sub(mark.len() - 1);
                file.write(&held[..sure])?;
                held.drain(..sure);
            }
        }
    }
}

/// A file that is removed with this, unless somebody else has taken over its name.
struct TemporaryFile {
    file: File,
    path: PathBuf,
    handed_over: bool,
    since_sync: usize,
}

impl TemporaryFile {
    fn create(folder: &Path) -> Result<Self, String> {
        let now_s = super::clock::unix_ms() / 1000;
        let path = folder.join(format!("temp-{now_s}.{}.rdb", std::process::id()));
        let file = super::files::create_private(&path).map_err(|e| {
            format!("Opening the temp file needed for MASTER <-> REPLICA synchronization, {}: {e}", path.display())
        })?;
        Ok(Self { file, path, handed_over: false, since_sync: 0 })
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), String> {
        self.since_sync += bytes.len();
        let due = self.since_sync >= SYNC_BYTES;
        let write = |file: &mut File| -> io::Result<()> {
            file.write_all(bytes)?;
            if due { file.sync_data() } else { Ok(()) }
        };
        if due {
            self.since_sync = 0;
        }
        write(&mut self.file).map_err(|e| {
            format!("Write error or short write writing to the DB dump file needed for MASTER <-> REPLICA synchronization: {e}")
        })
    }

    /// The file from its beginning.
    fn source<'a>(&'a mut self, beat: &'a mut Heartbeat, cancel: &'a AtomicBool) -> Result<FileSource<'a>, String> {
        self.file.sync_data().and_then(|()| self.file.seek(SeekFrom::Start(0))).map_err(|e| e.to_string())?;
        Ok(FileSource { file: &mut self.file, beat, cancel })
    }

    /// From now on its name is somebody else's business.
    fn hand_over(&mut self) -> PathBuf {
        self.handed_over = true;
        self.path.clone()
    }
}

impl Drop for TemporaryFile {
    fn drop(&mut self) {
        if !self.handed_over {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// The received file as a source of bytes. The primary still hears of us.
struct FileSource<'a> {
    file: &'a mut File,
    beat: &'a mut Heartbeat,
    cancel: &'a AtomicBool,
}

impl persist::Source for FileSource<'_> {
    fn read(&mut self, buf: &mut [u8]) -> Result<usize, persist::SourceError> {
        if self.cancel.load(Ordering::Relaxed) {
            return Err(persist::SourceError::new("cancelled"));
        }
        self.beat.give();
        self.file.read(buf).map_err(|e| persist::SourceError::new(e.to_string()))
    }
}

/// Tells the primary once a second that we live.
struct Heartbeat {
    fd: OwnedFd,
    at: Instant,
}

impl Heartbeat {
    fn give(&mut self) {
        if self.at.elapsed() >= Duration::from_secs(1) {
            self.at = Instant::now();
            // A full send buffer means that the primary has our earlier signs of life to read.
            let _ = rustix::io::write(self.fd.as_fd(), b"\n");
        }
    }
}

/// The socket of a full sync as a source of bytes.
struct SocketSource {
    input: Vec<u8>,
    at: usize,
    reader: BlockingReader,
    beat: Heartbeat,
    received: Arc<AtomicU64>,
}

impl SocketSource {
    /// A line; empty ones are the primary's heartbeats.
    fn line(&mut self) -> Result<Vec<u8>, String> {
        let mut line = Vec::new();
        loop {
            let mut byte = [0];
            if persist::Source::read(self, &mut byte).map_err(|e| e.to_string())? == 0 {
                return Err("the connection ended before the data".into());
            }
            if byte[0] != b'\n' {
                line.push(byte[0]);
            } else if !line.trim_ascii().is_empty() {
                return Ok(line.trim_ascii_end().to_vec());
            }
            if line.len() > LINE_BYTES_MAX {
                return Err("the line before the data does not end".into());
            }
        }
    }

    /// What is said before the data: how it ends.
    fn header(&mut self) -> Result<End, String> {
        let header = self.line()?;
        if let Some(mark) = header.strip_prefix(b"$EOF:").filter(|mark| !mark.is_empty()) {
            return Ok(End::Mark(mark.to_vec()));
        }
        let length = header.strip_prefix(b"$").and_then(base::num::parse_i64).and_then(|n| u64::try_from(n).ok());
        length.map(End::Length).ok_or_else(|| {
            format!(
                "Bad protocol from MASTER, the first byte is not '$' (we received '{}'), are you sure the host and port are right?",
                String::from_utf8_lossy(&header)
            )
        })
    }
}

impl persist::Source for SocketSource {
    fn read(&mut self, buf: &mut [u8]) -> Result<usize, persist::SourceError> {
        if self.at < self.input.len() {
            let n = buf.len().min(self.input.len() - self.at);
            buf[..n].copy_from_slice(&self.input[self.at..self.at + n]);
            self.at += n;
            return Ok(n);
        }
        self.beat.give();
        let n = self.reader.read(buf).map_err(|e| persist::SourceError::new(e.to_string()))?;
        self.received.fetch_add(n as u64, Ordering::Relaxed);
        Ok(n)
    }
}
