//! Whose data this is: replication ids, and whether a replica's data is a prefix of ours.
//!
//! A primary's data at offset `n` is named by the pair (id, n). A promoted replica starts a
//! new id and remembers the old one as its second, valid up to the offset of the change: those
//! who followed the old primary up to there can go on without a full copy.
//!
//! ```text
//!   id A:  ──────────────────────●──────────  (old primary went on, that part is lost)
//!                                │ second_offset: the first byte of B
//!   id B:                        └──────────►
//! ```

use core::fmt;

/// Forty hexadecimal digits that name a history.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ReplicationId([u8; 40]);

impl ReplicationId {
    /// The id that is none: forty zeros.
    pub const NONE: Self = Self([b'0'; 40]);

    /// An id from twenty bytes of chance.
    pub fn from_random(bytes: [u8; 20]) -> Self {
        const HEX: &[u8; 16] = b"0123456789abcdef";
        Self(core::array::from_fn(|i| {
            let byte = bytes[i / 2];
            HEX[usize::from(if i % 2 == 0 { byte >> 4 } else { byte & 15 })]
        }))
    }

    /// Reads an id; nothing unless it has the right length.
    pub fn parse(text: &[u8]) -> Option<Self> {
        text.try_into().ok().map(Self)
    }

    /// Its digits.
    pub fn as_str(&self) -> &str {
        core::str::from_utf8(&self.0).unwrap_or("?")
    }
}

impl fmt::Debug for ReplicationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for ReplicationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The names under which this server's data may be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct History {
    /// The current id.
    pub id: ReplicationId,
    /// The id before the last change of primary.
    pub second_id: ReplicationId,
    /// The first offset that the second id does not cover; -1 where there is none.
    pub second_offset: i64,
}

/// How a `PSYNC` is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// The stream goes on at this log position.
    Continue {
        /// The position of the first byte to send.
        position: u64,
    },
    /// Everything must be copied.
    FullResync(Refusal),
}

/// Why a replica cannot simply go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It did not ask to.
    NotAsked,
    /// Its history is not ours.
    UnknownId,
    /// It has gone beyond the point where our history left the one it names.
    BeyondSecondId,
    /// There is no back-log.
    NoBacklog,
    /// What it lacks is no longer in the back-log, or not in it yet.
    OutsideBacklog,
}

impl History {
    /// A history of our own.
    pub fn new(id: ReplicationId) -> Self {
        Self { id, second_id: ReplicationId::NONE, second_offset: -1 }
    }

    /// The current history ends here at `offset` and a new one goes on from it: a replica is
    /// promoted, or a primary's data gets a new name.
    pub fn shift(&mut self, id: ReplicationId, offset: u64) {
        self.second_id = self.id;
        // The old id's replicas ask for the byte after what they have: with everything that
        // we have, that is offset + 1, which must still be granted.
        self.second_offset = offset as i64 + 1;
        self.id = id;
    }

    /// Answers `PSYNC id offset`. `kept` is the first position and the end of the back-log, if there is one.
    pub fn decide(&self, id: &[u8], offset: i64, kept: Option<(u64, u64)>) -> Decision {
        use Decision::FullResync;
        if id == b"?" {
            return FullResync(Refusal::NotAsked);
        }
        let is = |ours: &ReplicationId| ours.0.eq_ignore_ascii_case(id);
        if !is(&self.id) {
            if self.second_offset < 0 || !is(&self.second_id) {
                return FullResync(Refusal::UnknownId);
            }
            if offset > self.second_offset {
                return FullResync(Refusal::BeyondSecondId);
            }
        }
        let Some((first, end)) = kept else { return FullResync(Refusal::NoBacklog) };
        match u64::try_from(offset - 1) {
            Ok(position) if (first..=end).contains(&position) => Decision::Continue { position },
            _ => FullResync(Refusal::OutsideBacklog),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: ReplicationId = ReplicationId([b'a'; 40]);
    const B: ReplicationId = ReplicationId([b'b'; 40]);

    #[test]
    fn a_replica_goes_on_only_where_its_data_is_a_prefix_of_ours() {
        let mut history = History::new(A);
        let kept = Some((100, 200));
        let decide = |h: &History, id: &[u8], offset| h.decide(id, offset, kept);
        assert_eq!(decide(&history, b"?", -1), Decision::FullResync(Refusal::NotAsked));
        assert_eq!(decide(&history, &B.0, 150), Decision::FullResync(Refusal::UnknownId));
        assert_eq!(decide(&history, &A.0, 101), Decision::Continue { position: 100 });
        assert_eq!(decide(&history, &A.0, 201), Decision::Continue { position: 200 });
        assert_eq!(decide(&history, &A.0, 100), Decision::FullResync(Refusal::OutsideBacklog));
        assert_eq!(decide(&history, &A.0, 202), Decision::FullResync(Refusal::OutsideBacklog));
        assert_eq!(history.decide(&A.0, 101, None), Decision::FullResync(Refusal::NoBacklog));

        history.shift(B, 150);
        assert_eq!(decide(&history, &A.0, 151), Decision::Continue { position: 150 });
        assert_eq!(decide(&history, &A.0, 152), Decision::FullResync(Refusal::BeyondSecondId));
        assert_eq!(decide(&history, &B.0, 190), Decision::Continue { position: 189 });
        assert_eq!(decide(&History::new(B), &A.0, 120), Decision::FullResync(Refusal::UnknownId));
    }

    #[test]
    fn ids_are_forty_hexadecimal_digits() {
        let id = ReplicationId::from_random(core::array::from_fn(|i| i as u8 * 13));
        assert_eq!(ReplicationId::parse(id.as_str().as_bytes()), Some(id));
        assert_eq!(ReplicationId::parse(b"abc"), None);
    }
}
