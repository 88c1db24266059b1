//! Bounds of ranges of scores and of members.

/// One end of a range of scores, like `5`, `(5` or `+inf` in `ZRANGEBYSCORE`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ScoreBound {
    /// The score itself is in the range.
    Included(f64),
    /// The score itself is not in the range.
    Excluded(f64),
}

impl ScoreBound {
    /// As a lower bound: whether `score` is too low.
    pub(super) fn is_above(self, score: f64) -> bool {
        match self {
            ScoreBound::Included(min) => score < min,
            ScoreBound::Excluded(min) => score <= min,
        }
    }

    /// As an upper bound: whether `score` is too high.
    pub(super) fn is_below(self, score: f64) -> bool {
        match self {
            ScoreBound::Included(max) => score > max,
            ScoreBound::Excluded(max) => score >= max,
        }
    }
}

/// One end of a range of members, like `-`, `[abc`, `(abc` or `+` in `ZRANGEBYLEX`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LexBound<'a> {
    /// Before all members.
    Min,
    /// The member itself is in the range.
    Included(&'a [u8]),
    /// The member itself is not in the range.
    Excluded(&'a [u8]),
    /// After all members.
    Max,
}

impl LexBound<'_> {
    /// As a lower bound: whether `member` is too low.
    pub(super) fn is_above(self, member: &[u8]) -> bool {
        match self {
            LexBound::Min => false,
            LexBound::Included(min) => member < min,
            LexBound::Excluded(min) => member <= min,
            LexBound::Max => true,
        }
    }

    /// As an upper bound: whether `member` is too high.
    pub(super) fn is_below(self, member: &[u8]) -> bool {
        match self {
            LexBound::Min => true,
            LexBound::Included(max) => member > max,
            LexBound::Excluded(max) => member >= max,
            LexBound::Max => false,
        }
    }
}
