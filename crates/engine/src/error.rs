//! The errors that clients are told, worded as Redis words them: clients match on these texts.

use std::borrow::Cow;
use std::fmt;

/// An error reply without its leading `-`: a code in capitals, a space, a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error(Cow<'static, [u8]>);

/// What a command handler gives back: its reply is written already, or it failed.
pub type Result<T = ()> = std::result::Result<T, Error>;

impl Error {
    /// An error whose text never varies.
    pub const fn fixed(text: &'static str) -> Self {
        Self(Cow::Borrowed(text.as_bytes()))
    }

    /// An error that names what was wrong.
    pub fn new(text: impl Into<Vec<u8>>) -> Self {
        Self(Cow::Owned(text.into()))
    }

    /// The bytes after the `-`.
    pub fn text(&self) -> &[u8] {
        &self.0
    }

    /// The code: the text up to the first space.
    pub fn code(&self) -> &[u8] {
        self.0.split(|&b| b == b' ').next().unwrap_or(&[])
    }

    /// `ERR wrong number of arguments…` for a command or subcommand.
    pub fn arity(name: &str) -> Self {
        Self::new(format!("ERR wrong number of arguments for '{name}' command"))
    }

    /// An expiry that lies outside what can be kept.
    pub fn invalid_expire(command: &str) -> Self {
        Self::new(format!("ERR invalid expire time in '{command}' command"))
    }

    /// A subcommand that its container does not have, or given with wrong arguments.
    pub fn unknown_subcommand(container: &str, given: &[u8]) -> Self {
        let after = format!("'. Try {} HELP.", container.to_ascii_uppercase());
        Self::quoting("ERR unknown subcommand '", &given[..given.len().min(128)], &after)
    }

    /// A subcommand that is there, with arguments that it does not take.
    pub fn subcommand_use(container: &str, given: &[u8]) -> Self {
        let after = format!("'. Try {container} HELP.");
        Self::quoting("ERR unknown subcommand or wrong number of arguments for '", given, &after)
    }

    /// An error that shows, between two texts, what was given: its bytes as they are, whatever their encoding.
    pub fn quoting(before: &str, given: &[u8], after: &str) -> Self {
        Self::new([before.as_bytes(), up_to_zero(given), after.as_bytes()].concat())
    }

    /// The text without the code `ERR`, as it stands in errors that have a code of their own; other codes stay.
    pub fn reason(&self) -> &[u8] {
        self.0.strip_prefix(b"ERR ").unwrap_or(&self.0)
    }
}

/// The bytes before the first zero byte: what Redis, where a text ends there, shows and reads of them.
pub fn up_to_zero(bytes: &[u8]) -> &[u8] {
    bytes.split(|b| *b == 0).next().unwrap_or(bytes)
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.0))
    }
}

impl std::error::Error for Error {}

macro_rules! texts {
    ($($(#[$doc:meta])* $name:ident = $text:literal;)*) => {
        $($(#[$doc])* pub const $name: Error = Error::fixed($text);)*
    };
}

texts! {
    /// The key holds another type.
    WRONG_TYPE = "WRONGTYPE Operation against a key holding the wrong kind of value";
    /// Options that do not fit together.
    SYNTAX = "ERR syntax error";
    /// A number was wanted.
    NOT_INTEGER = "ERR value is not an integer or out of range";
    /// A double was wanted.
    NOT_FLOAT = "ERR value is not a valid float";
    /// A count or index below zero, or too large.
    OUT_OF_RANGE = "ERR value is out of range";
    /// A count that must be above zero.
    NOT_POSITIVE = "ERR value is out of range, must be positive";
    /// An index beyond the list.
    INDEX_OUT_OF_RANGE = "ERR index out of range";
    /// The key must be there.
    NO_SUCH_KEY = "ERR no such key";
    /// Source and destination are one.
    SAME_OBJECT = "ERR source and destination objects are the same";
    /// An addition leaves the range of 64 bits.
    OVERFLOW = "ERR increment or decrement would overflow";
    /// A float operation gave no number.
    NAN_OR_INFINITY = "ERR increment would produce NaN or Infinity";
    /// A string would be longer than is allowed.
    STRING_TOO_LONG = "ERR string exceeds maximum allowed size (proto-max-bulk-len)";
    /// A negative offset into a string.
    OFFSET_OUT_OF_RANGE = "ERR offset is out of range";
    /// A database that is not there.
    DB_OUT_OF_RANGE = "ERR DB index is out of range";
    /// A number that does not fit into 32 bits.
    OUT_OF_INT = "ERR value is out of range, value must between -2147483648 and 2147483647";
    /// A timeout that is no number.
    TIMEOUT_NOT_FLOAT = "ERR timeout is not a float or out of range";
    /// A timeout below zero.
    TIMEOUT_NEGATIVE = "ERR timeout is negative";
    /// A timeout of whole milliseconds that is no number.
    TIMEOUT_NOT_INTEGER = "ERR timeout is not an integer or out of range";
    /// The client must say its password first.
    NO_AUTH = "NOAUTH Authentication required.";
    /// A wrong password or user.
    WRONG_PASS = "WRONGPASS invalid username-password pair or user is disabled.";
    /// Memory is used up and nothing may be evicted.
    OOM = "OOM command not allowed when used memory > 'maxmemory'.";
    /// A write to a read-only replica.
    READ_ONLY = "READONLY You can't write against a read only replica.";
    /// A replica without its primary that may not serve old data.
    MASTER_DOWN = "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.";
    /// The data set is being loaded.
    LOADING = "LOADING Redis is loading the dataset in memory";
    /// The server does not know yet whether it is a primary. The code is one that clients wait out.
    ASKING = "LOADING Redis is asking its sentinels which server is the primary (sentinel-hint)";
    /// Too few good replicas for a write.
    NO_REPLICAS = "NOREPLICAS Not enough good replicas to write.";
    /// Saving failed and writes are refused until it works again.
    MISCONF = "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk. Commands that may modify the data set are disabled, because this instance is configured to report errors during writes if RDB snapshotting fails (stop-writes-on-bgsave-error option). Please check the Redis logs for details about the RDB error.";
    /// A queued command was refused.
    EXEC_ABORT = "EXECABORT Transaction discarded because of previous errors.";
    /// The count of keys is no positive number.
    NUMKEYS_NOT_POSITIVE = "ERR numkeys should be greater than 0";
    /// The count of keys exceeds the arguments.
    NUMKEYS_TOO_LARGE = "ERR Number of keys can't be greater than number of args";
}
