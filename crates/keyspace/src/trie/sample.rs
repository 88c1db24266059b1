//! Random entries: `RANDOMKEY`, `SRANDMEMBER`, and candidates for eviction.
//!
//! Why: a trie has no array to index. Picking a random hash and taking what is near would favour entries behind wide gaps.
//!
//! Idea: a random position finds a leaf with a chance proportional to its range. It is accepted with a chance proportional to its
//! density (entries for its range), so that every entry is as likely as any other; about two tries are needed.
//!
//! ```text
//!   range  |<---- 1/2 ---->|<- 1/4 ->|<- 1/4 ->|
//!   len            40           24        16        density / mean, halved: 0.5, 0.6, 0.4
//! ```
//! Limits: a leaf with more than twice the mean density is accepted always, so its entries come a little too seldom. Candidates for
//! eviction are neighbours in the order of hashes, which is no order to anybody outside. This module has no random
//! source; it asks the caller's for 64-bit numbers.

use super::Trie;
use crate::entry::Entry;

/// After so many refusals the next entry found is taken.
const TRIES: usize = 128;

impl<H> Trie<H> {
    /// An entry, each with the same chance.
    pub fn random(&self, mut random: impl FnMut() -> u64) -> Option<&Entry> {
        if self.is_empty() {
            return None;
        }
        let mut last = None;
        for _ in 0..TRIES {
            let found = self.leaf_at(random() >> 1)?;
            if found.entries.is_empty() {
                continue;
            }
            let pick = random();
            // The upper half decides about the leaf, the lower one about the entry.
            let entry = &found.entries[(((pick & 0xffff_ffff) * found.entries.len() as u64) >> 32) as usize];
            let end = if found.end == 0 { 1u64 << 63 } else { found.end };
            let share = (end - found.start) as f64 / (1u64 << 63) as f64;
            let density = found.entries.len() as f64 / (share * self.len() as f64);
            if ((pick >> 32) as f64 / (1u64 << 32) as f64) < density / 2.0 {
                return Some(entry);
            }
            last = Some(entry);
        }
        last.or_else(|| self.iter().next())
    }

    /// Gives about `count` random entries (there may be doubles) to `f`, only volatile ones if asked for; returns how many.
    /// Zero means that there are none.
    pub fn sample(
        &self,
        count: usize,
        volatile_only: bool,
        mut random: impl FnMut() -> u64,
        mut f: impl FnMut(&Entry),
    ) -> usize {
        let mut given = 0;
        for _ in 0..count.max(1) * 4 {
            if given >= count || self.is_empty() {
                break;
            }
            let position = random() >> 1;
            let entries = if volatile_only {
                match self.volatile_leaf(position) {
                    Some(entries) => entries,
                    None => break,
                }
            } else {
                match self.leaf_at(position) {
                    Some(found) => found.entries,
                    None => break,
                }
            };
            if entries.is_empty() {
                continue;
            }
            let first = (random() % entries.len() as u64) as usize;
            let (before, from) = entries.split_at(first);
            for entry in from.iter().chain(before) {
                if given < count && (!volatile_only || entry.expire_at().is_some()) {
                    f(entry);
                    given += 1;
                }
            }
        }
        if given == 0 && !volatile_only {
            // Every draw met an empty leaf.
            for entry in self.iter().take(count) {
                f(entry);
                given += 1;
            }
        }
        given
    }
}
