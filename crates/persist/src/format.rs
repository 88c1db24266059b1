//! The numbers of the RDB format, and the table of what each value type is called.
//!
//! ```text
//! "REDIS" 4 digits │ (opcode …)* │ 255 │ checksum, u64 (since version 5; 0 means "none was made")
//!
//! a key:  [252 expiry, i64 ms] [248 idle seconds, length] [249 frequency, u8]  type, u8 │ key, string │ value
//! ```
//!
//! A *length* is 6 bits (`00llllll`), 14 bits (`01llllll` + 1 byte), 32 bits (`0x80` + 4 bytes) or 64 bits (`0x81` + 8 bytes),
//! most significant byte first; everything else in the format is little-endian. A *string* is a length and so many
//! bytes, or `0xC0`, `0xC1`, `0xC2` and an integer of 8, 16 or 32 bits whose decimal text is meant, or `0xC3`, the compressed length,
//! the plain length, and bytes compressed with LZF.

/// Opcodes: what may stand where a key's type may stand.
pub mod opcode {
    /// A slot that a cluster node is importing (Valkey 9).
    pub const SLOT_IMPORT: u8 = 243;
    /// Sizes of a cluster slot's tables; a hint.
    pub const SLOT_INFO: u8 = 244;
    /// The source of a function library.
    pub const FUNCTION2: u8 = 245;
    /// A function library as release candidates of Redis 7.0 wrote it.
    pub const FUNCTION_PRE_GA: u8 = 246;
    /// A module's data that belongs to no key.
    pub const MODULE_AUX: u8 = 247;
    /// Seconds since the next key was used.
    pub const IDLE: u8 = 248;
    /// How often the next key is used, on a logarithmic scale.
    pub const FREQ: u8 = 249;
    /// A named fact about the file.
    pub const AUX: u8 = 250;
    /// How many keys and expiries the database has; a hint.
    pub const RESIZE_DB: u8 = 251;
    /// The next key's expiry in milliseconds since 1970.
    pub const EXPIRE_MS: u8 = 252;
    /// The next key's expiry in seconds since 1970.
    pub const EXPIRE_S: u8 = 253;
    /// The number of the database that the next keys belong to.
    pub const SELECT_DB: u8 = 254;
    /// The end.
    pub const EOF: u8 = 255;
}

/// Types: how the value of a key is laid out.
pub mod kind {
    /// A string.
    pub const STRING: u8 = 0;
    /// A list, element by element.
    pub const LIST: u8 = 1;
    /// A set, member by member.
    pub const SET: u8 = 2;
    /// A sorted set with scores as text.
    pub const ZSET: u8 = 3;
    /// A hash, field by field.
    pub const HASH: u8 = 4;
    /// A sorted set with scores as doubles.
    pub const ZSET_2: u8 = 5;
    /// A module's value without annotations.
    pub const MODULE_PRE_GA: u8 = 6;
    /// A module's value.
    pub const MODULE_2: u8 = 7;
    /// A hash in a zipmap (Redis 2.4).
    pub const HASH_ZIPMAP: u8 = 9;
    /// A list in a ziplist.
    pub const LIST_ZIPLIST: u8 = 10;
    /// A set in an intset.
    pub const SET_INTSET: u8 = 11;
    /// A sorted set in a ziplist.
    pub const ZSET_ZIPLIST: u8 = 12;
    /// A hash in a ziplist.
    pub const HASH_ZIPLIST: u8 = 13;
    /// A list of ziplists.
    pub const LIST_QUICKLIST: u8 = 14;
    /// A stream (Redis 5).
    pub const STREAM_LISTPACKS: u8 = 15;
    /// A hash in a listpack.
    pub const HASH_LISTPACK: u8 = 16;
    /// A sorted set in a listpack.
    pub const ZSET_LISTPACK: u8 = 17;
    /// A list of listpacks and single big elements.
    pub const LIST_QUICKLIST_2: u8 = 18;
    /// A stream (Redis 7.0).
    pub const STREAM_LISTPACKS_2: u8 = 19;
    /// A set in a listpack (version 11).
    pub const SET_LISTPACK: u8 = 20;
    /// A stream (Redis 7.2).
    pub const STREAM_LISTPACKS_3: u8 = 21;
    /// A hash with expiries: of Valkey 9 if the version is 80, else of the candidates of Redis 7.4.
    pub const HASH_2: u8 = 22;
    /// A hash with expiries in a listpack, of the candidates of Redis 7.4.
    pub const HASH_LISTPACK_EX_PRE_GA: u8 = 23;
    /// A hash with expiries (version 12).
    pub const HASH_METADATA: u8 = 24;
    /// A hash with expiries in a listpack (version 12).
    pub const HASH_LISTPACK_EX: u8 = 25;
}

/// The newest version of the numbering shared with Redis that can be read.
pub const VERSION_MAX: u32 = 12;
/// The version that Valkey 9 writes, with a numbering of its own.
pub const VERSION_VALKEY: u32 = 80;
/// The oldest version that has a checksum at its end.
pub const VERSION_WITH_CHECKSUM: u32 = 5;

/// What a value type is called in reports.
pub fn kind_name(kind: u8) -> &'static str {
    match kind {
        kind::STRING => "string",
        kind::LIST => "list",
        kind::SET => "set",
        kind::ZSET => "zset",
        kind::HASH => "hash",
        kind::ZSET_2 => "zset-v2",
        kind::MODULE_PRE_GA => "module-pre-release",
        kind::MODULE_2 => "module-value",
        kind::HASH_ZIPMAP => "hash-zipmap",
        kind::LIST_ZIPLIST => "list-ziplist",
        kind::SET_INTSET => "set-intset",
        kind::ZSET_ZIPLIST => "zset-ziplist",
        kind::HASH_ZIPLIST => "hash-ziplist",
        kind::LIST_QUICKLIST => "quicklist",
        kind::STREAM_LISTPACKS => "stream",
        kind::HASH_LISTPACK => "hash-listpack",
        kind::ZSET_LISTPACK => "zset-listpack",
        kind::LIST_QUICKLIST_2 => "quicklist-v2",
        kind::STREAM_LISTPACKS_2 => "stream-v2",
        kind::SET_LISTPACK => "set-listpack",
        kind::STREAM_LISTPACKS_3 => "stream-v3",
        kind::HASH_2 => "hash-with-expiries",
        kind::HASH_LISTPACK_EX_PRE_GA => "hash-listpack-with-expiries-pre-release",
        kind::HASH_METADATA => "hash-with-expiries-v2",
        kind::HASH_LISTPACK_EX => "hash-listpack-with-expiries",
        _ => "unknown",
    }
}
