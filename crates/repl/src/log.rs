//! The replication log: one stream of bytes, kept as far back as a reader may need it.
//!
//! ```text
//!   first                                                      end
//!     │ block 16 KiB │ block │ block │ …            │ block │   │
//!     └──────────────┴───────┴───────┴──────────────┴───────┴───┘
//!            ▲ slow replica's cursor        ▲ back-log begins   ▲ others
//! ```
//!
//! Readers hold a position, not a copy: a slow replica costs the blocks back to its position
//! and nothing else. [`Log::trim`] drops whole blocks that neither the back-log nor a reader needs.
//!
//! The oldest blocks may live elsewhere, on a disk: whoever keeps them there takes full blocks by [`Log::lend`] and says by
//! [`Log::stored`] how far he has come. They stay part of the log, but are read from there.

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;

/// Bytes of a block.
const BLOCK_BYTES: usize = 16 << 10;

/// The stream. See the module's description.
#[derive(Debug, Default)]
pub struct Log {
    /// The blocks in memory, all full but the last.
    blocks: VecDeque<Arc<Vec<u8>>>,
    /// The position of the first byte that is kept.
    first: u64,
    /// The position of the first byte that is kept in memory; what lies before is stored elsewhere.
    held: u64,
    /// The position after the last byte.
    end: u64,
    /// How often it was restarted.
    restarts: u64,
}

impl Log {
    /// An empty log whose next byte has this position.
    pub fn starting_at(position: u64) -> Self {
        Self { blocks: VecDeque::new(), first: position, held: position, end: position, restarts: 0 }
    }

    /// The position after the last byte: the replication offset.
    #[inline]
    pub fn end(&self) -> u64 {
        self.end
    }

    /// The position of the first byte that is still kept.
    pub fn first(&self) -> u64 {
        self.first
    }

    /// The position of the first byte that is in memory.
    pub fn held(&self) -> u64 {
        self.held
    }

    /// How often it was restarted: what was stored elsewhere before that is no part of it.
    pub fn restarts(&self) -> u64 {
        self.restarts
    }

    /// How many bytes are kept.
    pub fn len(&self) -> u64 {
        self.end - self.first
    }

    /// Whether nothing is kept.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes of memory that it takes.
    pub fn memory_bytes(&self) -> usize {
        self.blocks.len() * BLOCK_BYTES
    }

    /// Appends to the stream.
    pub fn push(&mut self, mut bytes: &[u8]) {
        self.end += bytes.len() as u64;
        while !bytes.is_empty() {
            let room = self.blocks.back().map_or(0, |block| BLOCK_BYTES - block.len());
            if room == 0 {
                self.blocks.push_back(Arc::new(Vec::with_capacity(BLOCK_BYTES)));
                continue;
            }
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            if let Some(block) = self.blocks.back_mut().and_then(Arc::get_mut) {
                block.extend_from_slice(now);
            }
            bytes = later;
        }
    }

    /// Bytes from `position` on, as many as lie together; empty at the end.
    ///
    /// # Panics
    /// When `position` is not in memory any more or lies beyond the end.
    pub fn read(&self, position: u64) -> &[u8] {
        assert!((self.held..=self.end).contains(&position), "a reader's position is kept until it has passed");
        let mut skip = (position - self.held) as usize;
        // All blocks but the first are full when they are followed by another one, and the
        // first one is only ever dropped whole.
        let (index, within) = (skip / BLOCK_BYTES, skip % BLOCK_BYTES);
        skip = within;
        self.blocks.get(index).map_or(&[], |block| &block[skip..])
    }

    /// Drops what lies before both `keep_from` and the last `window` bytes.
    pub fn trim(&mut self, keep_from: u64, window: u64) {
        let keep_from = keep_from.min(self.end.saturating_sub(window));
        if self.first < self.held {
            self.first = keep_from.clamp(self.first, self.held);
        }
        if self.first == self.held {
            self.release(keep_from);
            self.first = self.held;
        }
    }

    /// Drops full blocks that end at `position` or before.
    fn release(&mut self, position: u64) {
        while let Some(block) = self.blocks.front() {
            let block_end = self.held + block.len() as u64;
            if block_end > position || self.blocks.len() == 1 {
                break;
            }
            self.held = block_end;
            self.blocks.pop_front();
        }
    }

    /// The full block that begins at `position`, to be stored elsewhere; `None` where no full block begins.
    pub fn lend(&self, position: u64) -> Option<Arc<Vec<u8>>> {
        let skip = position.checked_sub(self.held)?;
        let block = self.blocks.get((skip / BLOCK_BYTES as u64) as usize)?;
        (skip.is_multiple_of(BLOCK_BYTES as u64) && block.len() == BLOCK_BYTES).then(|| block.clone())
    }

    /// What lies before `position` has been stored elsewhere and leaves the memory.
    pub fn stored(&mut self, position: u64) {
        self.release(position);
    }

    /// Forgets everything and goes on at `position`: another history begins.
    pub fn restart(&mut self, position: u64) {
        *self = Self { restarts: self.restarts + 1, ..Self::starting_at(position) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    #[test]
    fn readers_see_the_stream_whatever_is_trimmed_behind_them() {
        let mut log = Log::starting_at(1000);
        let mut model: Vec<u8> = vec![];
        let mut cursor = 1000;
        for step in 0u32..4000 {
            let bytes: Vec<u8> = (0..step % 311).map(|i| (step + i) as u8).collect();
            log.push(&bytes);
            model.extend_from_slice(&bytes);
            if step % 7 == 0 {
                while cursor < log.end() {
                    let chunk = log.read(cursor);
                    let at = (cursor - 1000) as usize;
                    assert_eq!(chunk, &model[at..at + chunk.len()]);
                    cursor += chunk.len() as u64;
                }
                log.trim(cursor, 100_000);
            }
        }
        assert_eq!(log.end(), 1000 + model.len() as u64);
        assert!(log.len() >= 100_000 && log.len() < 100_000 + 2 * BLOCK_BYTES as u64);
        assert!(log.read(log.end()).is_empty());
    }

    #[test]
    fn stored_blocks_leave_the_memory_and_stay_in_the_log() {
        let block = BLOCK_BYTES as u64;
        let mut log = Log::starting_at(500);
        log.push(&vec![7; 10 * BLOCK_BYTES + 9]);
        assert_eq!(log.lend(500).map(|b| b.len()), Some(BLOCK_BYTES));
        assert!(log.lend(501).is_none() && log.lend(500 + 10 * block).is_none() && log.lend(499).is_none());
        log.stored(500 + 3 * block + 1);
        assert_eq!((log.first(), log.held()), (500, 500 + 3 * block));
        assert_eq!(log.memory_bytes(), 8 * BLOCK_BYTES);
        log.trim(500 + block, 1);
        assert_eq!((log.first(), log.held()), (500 + block, 500 + 3 * block));
        log.trim(500 + 5 * block, 1);
        assert_eq!((log.first(), log.held()), (500 + 5 * block, 500 + 5 * block));
        // A block that was lent is still written whole by whoever has it.
        let lent = log.lend(log.held()).unwrap();
        log.push(&[1, 2, 3]);
        assert_eq!(lent.len(), BLOCK_BYTES);
        assert_eq!(log.read(500 + 10 * block), [7, 7, 7, 7, 7, 7, 7, 7, 7, 1, 2, 3]);
    }

    #[test]
    fn a_slow_reader_holds_the_log_back() {
        let mut log = Log::default();
        log.push(&vec![7; 10 * BLOCK_BYTES]);
        log.trim(BLOCK_BYTES as u64 * 3, 1);
        assert_eq!(log.first(), BLOCK_BYTES as u64 * 3);
        log.trim(u64::MAX, 1);
        assert_eq!(log.first(), BLOCK_BYTES as u64 * 9);
    }
}
