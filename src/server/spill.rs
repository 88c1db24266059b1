//! The part of the replication log that is kept on the disk.
//!
//! Why: during a full sync the log is kept from the snapshot on, since the replica gets it afterwards. When much is written that
//! soon is more than all the data. What lies further back than the back-log is then moved to a file, and costs no memory.
//!
//! ```text
//!   first                      held                      end
//!     │ in the file             │ in memory               │
//!     └─────────────────────────┴─────────────────────────┘
//!           a thread writes full blocks ─►│   the back-log, and SLACK_BYTES
//! ```
//!
//! The file has no name: it is unlinked as soon as it is open, and gone when nobody needs it. Writing is the thread's
//! work; what is read back was written a moment ago and comes from the page cache.
//!
//! Limits: the file is given back as a whole, when the last replica has passed its end. If it cannot be written the log stays in memory.

use super::log::log;
use repl::{Log, Node};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};

/// Bytes beyond the back-log that stay in memory.
const SLACK_BYTES: u64 = 2 << 20;
/// Blocks handed to the thread and not written yet.
const QUEUE_BLOCKS: usize = 256;

/// How far the thread has come.
#[derive(Debug)]
struct Progress {
    /// The log's position up to which the file is written.
    written: AtomicU64,
    failed: AtomicBool,
}

#[derive(Debug)]
struct Open {
    file: Arc<File>,
    /// How often the log had been restarted when the file was made: it holds nothing of a later one.
    restarts: u64,
    /// The log's position at the file's start.
    base: u64,
    /// The position of the next block for the thread.
    next: u64,
    progress: Arc<Progress>,
    blocks: SyncSender<(u64, Arc<Vec<u8>>)>,
}

/// The file, where there is one.
#[derive(Debug, Default)]
pub struct Spill {
    open: Option<Open>,
    /// It has failed; it is tried again when the log was short once.
    refused: bool,
}

fn create(dir: &Path) -> io::Result<File> {
    let path = dir.join(format!("temp-log-{}.spill", std::process::id()));
    let file = super::files::create_private(&path)?;
    std::fs::remove_file(&path)?;
    Ok(file)
}

impl Open {
    fn new(dir: &Path, log: &Log) -> io::Result<Open> {
        let base = log.held();
        let file = Arc::new(create(dir)?);
        let progress = Arc::new(Progress { written: AtomicU64::new(base), failed: AtomicBool::new(false) });
        let (blocks, receiver) = sync_channel::<(u64, Arc<Vec<u8>>)>(QUEUE_BLOCKS);
        let (there, target) = (progress.clone(), file.clone());
        std::thread::Builder::new().name("rk-spill".into()).spawn(move || {
            for (position, block) in receiver {
                if let Err(error) = target.write_all_at(&block, position - base) {
                    log!(Warning, "The replication log cannot be kept on the disk and stays in memory: {error}");
                    there.failed.store(true, Ordering::Release);
                    return;
                }
                there.written.store(position + block.len() as u64, Ordering::Release);
            }
        })?;
        Ok(Open { file, restarts: log.restarts(), base, next: base, progress, blocks })
    }
}

impl Spill {
    /// Bytes of the log that are on the disk only.
    pub fn bytes(log: &Log) -> u64 {
        log.held() - log.first()
    }

    /// Moves what the log holds beyond `window` bytes to the disk. Called after each batch, when the log has been trimmed.
    pub fn move_out(&mut self, node: &mut Node, window: u64, dir: &str) {
        self.follow_log(node.log());
        let keep = window + SLACK_BYTES;
        let log = node.log();
        if self.open.is_none() {
            if log.end() - log.held() <= keep {
                self.refused = false;
                return;
            }
            if self.refused {
                return;
            }
            match Open::new(Path::new(dir), log) {
                Ok(open) => self.open = Some(open),
                Err(error) => {
                    log!(Warning, "No file for the replication log in {dir}, it stays in memory: {error}");
                    self.refused = true;
                    return;
                }
            }
        }
        let Some(open) = &mut self.open else { return };
        let written = open.progress.written.load(Ordering::Acquire);
        if written > log.held() {
            node.stored(written);
        }
        let log = node.log();
        // What was trimmed before it was handed over is not needed in the file.
        open.next = open.next.max(log.held());
        while open.next + keep < log.end()
            && let Some(block) = log.lend(open.next)
        {
            let len = block.len() as u64;
            if open.blocks.try_send((open.next, block)).is_err() {
                break;
            }
            open.next += len;
        }
    }

    /// A log that was restarted has nothing in the file.
    fn follow_log(&mut self, log: &Log) {
        if self.open.as_ref().is_some_and(|open| open.restarts != log.restarts()) {
            *self = Self::default();
        }
    }

    /// Gives the file back if nothing of the log is in it. Called now and then.
    pub fn close_unused(&mut self, log: &Log) {
        self.follow_log(log);
        if let Some(open) = &self.open
            && log.first() == log.held()
            && log.held() >= open.next
        {
            self.refused = open.progress.failed.load(Ordering::Acquire);
            self.open = None;
        }
    }

    /// Appends to `buf` what the log has from `position` on, up to `max` bytes, where that is on the disk.
    ///
    /// # Errors
    /// When the file cannot be read: the reader has to begin anew.
    pub fn read(&self, log: &Log, position: u64, max: usize, buf: &mut Vec<u8>) -> io::Result<usize> {
        let open = self.open.as_ref().ok_or_else(|| io::Error::other("the log's file is gone"))?;
        let len = (log.held() - position).min(max as u64) as usize;
        let start = buf.len();
        buf.resize(start + len, 0);
        open.file.read_exact_at(&mut buf[start..], position - open.base)?;
        Ok(len)
    }
}
