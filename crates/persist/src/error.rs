//! What can go wrong while reading, with the place and the key it went wrong at.

use alloc::borrow::Cow;
use alloc::vec::Vec;
use core::fmt;

use base::text::quoted;

/// A source could not deliver, in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceError {
    /// The cause in words.
    pub text: Cow<'static, str>,
}

/// A sink could not take what was written, in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SinkError {
    /// The cause in words.
    pub text: Cow<'static, str>,
}

/// A visitor refuses what it was given, in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VisitError {
    /// The reason in words.
    pub text: Cow<'static, str>,
}

macro_rules! error_in_words {
    ($name:ident) => {
        impl $name {
            /// The error that says `text`.
            pub fn new(text: impl Into<Cow<'static, str>>) -> Self {
                Self { text: text.into() }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.text)
            }
        }

        impl core::error::Error for $name {}
    };
}

error_in_words!(SourceError);
error_in_words!(SinkError);
error_in_words!(VisitError);

/// What is wrong. The writer of the data is at fault, unless stated otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The source failed; the data may be good.
    Source(SourceError),
    /// The source ended where `expected` had to come.
    Truncated {
        /// What had to come.
        expected: &'static str,
    },
    /// The data does not begin like an RDB file.
    Magic([u8; 9]),
    /// The version is newer than what can be read, or 0.
    Version(u32),
    /// The type or opcode is known, and not supported.
    Unsupported {
        /// What it is called.
        name: &'static str,
        /// Its number.
        number: u8,
    },
    /// Neither a type nor an opcode.
    UnknownType(u8),
    /// The bytes contradict the format, in words.
    Corrupt(Cow<'static, str>),
    /// A length is beyond what is allowed.
    TooLong {
        /// What is too long.
        what: &'static str,
        /// The announced length in bytes.
        len: u64,
        /// The longest allowed length in bytes.
        max: u64,
    },
    /// The checksum at the end is not the checksum of the data.
    Checksum {
        /// The checksum that the data states.
        stated: u64,
        /// The checksum of the data.
        real: u64,
    },
    /// The data is well-formed and the visitor does not take it.
    Refused(VisitError),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Source(error) => write!(f, "cannot read: {error}"),
            Fault::Truncated { expected } => write!(f, "the data ends where {expected} had to come"),
            Fault::Magic(bytes) => write!(f, "not an RDB file: it begins with {}", quoted(bytes)),
            Fault::Version(version) => write!(f, "cannot read RDB version {version}"),
            Fault::Unsupported { name, number } => write!(f, "unsupported type {number} ({name})"),
            Fault::UnknownType(number) => write!(f, "{number} is neither a type nor an opcode"),
            Fault::Corrupt(text) => f.write_str(text),
            Fault::TooLong { what, len, max } => write!(f, "{what} of {len} bytes is longer than {max} bytes"),
            Fault::Checksum { stated, real } => {
                write!(f, "RDB CRC error: the checksum is {real:016x} and not {stated:016x} as the data says")
            }
            Fault::Refused(error) => write!(f, "{error}"),
        }
    }
}

/// Why reading stopped, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RdbError {
    /// Offset in bytes from the start of what the reader read: where the faulty item starts, or where the data ends.
    pub offset: u64,
    /// The key whose value was being read.
    pub key: Option<Vec<u8>>,
    /// What is wrong.
    pub fault: Fault,
}

impl RdbError {
    /// Whether the data itself is at fault, so that reading it once more fails alike.
    pub fn is_lasting(&self) -> bool {
        match &self.fault {
            Fault::Source(_) | Fault::Truncated { .. } => false,
            Fault::Magic(_)
            | Fault::Version(_)
            | Fault::Unsupported { .. }
            | Fault::UnknownType(_)
            | Fault::Corrupt(_)
            | Fault::TooLong { .. }
            | Fault::Checksum { .. }
            | Fault::Refused(_) => true,
        }
    }
}

impl fmt::Display for RdbError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at byte {}", self.offset)?;
        if let Some(key) = &self.key {
            write!(f, ", in the value of key {}", quoted(key))?;
        }
        write!(f, ": {}", self.fault)
    }
}

impl core::error::Error for RdbError {}
