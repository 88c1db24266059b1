//! The facts of all commands: arity, flags, ACL categories, where the keys are, arguments.
//!
//! The facts are data (`commands.jsonl`); the build script turns them into [`SPECS`].
//! `COMMAND` and its subcommands, the arity check, key extraction, later ACL and cluster
//! routing, and the table in `COMPAT.md` all read this one table.

use resp::Args;

/// What a command may do and when it may run; names as in Redis's command JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flags(pub u32);

macro_rules! bits {
    ($type:ident { $($name:ident = $wire:literal),* $(,)? }) => {
        #[allow(missing_docs)]
        impl $type {
            bits!(@consts 0u32; $($name)*);
            /// Each bit with the name that clients see.
            pub const NAMES: &'static [($type, &'static str)] = &[$(($type::$name, $wire)),*];
            /// Whether all bits of `other` are set.
            #[inline]
            pub const fn has(self, other: Self) -> bool {
                self.0 & other.0 == other.0
            }
            /// Whether any bit of `other` is set.
            #[inline]
            pub const fn any(self, other: Self) -> bool {
                self.0 & other.0 != 0
            }
            /// The names of the bits that are set.
            pub fn names(self) -> impl Iterator<Item = &'static str> {
                Self::NAMES.iter().filter(move |(bit, _)| self.has(*bit)).map(|(_, name)| *name)
            }
        }
        impl core::ops::BitOr for $type {
            type Output = Self;
            fn bitor(self, other: Self) -> Self {
                Self(self.0 | other.0)
            }
        }
    };
    (@consts $n:expr; $name:ident $($rest:ident)*) => {
        pub const $name: Self = Self(1 << ($n));
        bits!(@consts $n + 1; $($rest)*);
    };
    (@consts $n:expr;) => {};
}

bits!(Flags {
    WRITE = "write",
    READONLY = "readonly",
    DENYOOM = "denyoom",
    MODULE = "module",
    ADMIN = "admin",
    PUBSUB = "pubsub",
    NOSCRIPT = "noscript",
    BLOCKING = "blocking",
    LOADING = "loading",
    STALE = "stale",
    SKIP_MONITOR = "skip_monitor",
    SKIP_SLOWLOG = "skip_slowlog",
    ASKING = "asking",
    FAST = "fast",
    NO_AUTH = "no_auth",
    MAY_REPLICATE = "may_replicate",
    NO_MANDATORY_KEYS = "no_mandatory_keys",
    PROTECTED = "protected",
    NO_ASYNC_LOADING = "no_async_loading",
    NO_MULTI = "no_multi",
    ALLOW_BUSY = "allow_busy",
    TOUCHES_ARBITRARY_KEYS = "touches_arbitrary_keys",
    SENTINEL = "sentinel",
    ONLY_SENTINEL = "only_sentinel",
    EXPERIMENTAL = "experimental",
});

/// ACL categories that a command is declared in; the ones that follow from its flags are
/// added by [`Spec::acl_categories`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Categories(pub u32);

bits!(Categories {
    KEYSPACE = "keyspace",
    READ = "read",
    WRITE = "write",
    SET = "set",
    SORTEDSET = "sortedset",
    LIST = "list",
    HASH = "hash",
    STRING = "string",
    BITMAP = "bitmap",
    HYPERLOGLOG = "hyperloglog",
    GEO = "geo",
    STREAM = "stream",
    PUBSUB = "pubsub",
    ADMIN = "admin",
    FAST = "fast",
    SLOW = "slow",
    BLOCKING = "blocking",
    DANGEROUS = "dangerous",
    CONNECTION = "connection",
    TRANSACTION = "transaction",
    SCRIPTING = "scripting",
});

/// The facts of one command or subcommand (`client|list`).
#[derive(Debug)]
pub struct Spec {
    /// Lower case, with `container|` before a subcommand's own name.
    pub name: &'static str,
    /// The family it belongs to, as in the documentation.
    pub group: &'static str,
    /// The Redis version that brought it.
    pub since: &'static str,
    /// The number of arguments with the name; negative: at least that many.
    pub arity: i32,
    /// What it may do and when.
    pub flags: Flags,
    /// Declared ACL categories.
    pub categories: Categories,
    /// Hints for proxies and cluster clients.
    pub tips: &'static [&'static str],
    /// Versions that changed its arguments or behaviour.
    pub changed_in: &'static [&'static str],
    /// Empty where it is not deprecated.
    pub deprecated_since: &'static str,
    /// What to use in its place.
    pub replaced_by: &'static str,
    /// Where its keys are.
    pub keys: &'static [KeySpec],
    /// Its arguments.
    pub args: &'static [Arg],
}

/// Where some of a command's keys are.
#[derive(Debug)]
pub struct KeySpec {
    /// What is done with them (`RO`, `RW`, `ACCESS`, …).
    pub flags: &'static [&'static str],
    /// Where to begin.
    pub begin: Begin,
    /// How to go on from there.
    pub find: Find,
}

/// Where a key specification begins.
#[derive(Debug, PartialEq, Eq)]
pub enum Begin {
    /// At this argument.
    Index(usize),
    /// After this word, searched from this argument on (from the end if negative).
    Keyword(&'static str, i32),
    /// It cannot be told from the arguments alone.
    Unknown,
}

/// How the keys follow from where a key specification begins.
#[derive(Debug, PartialEq, Eq)]
pub enum Find {
    /// Up to `last` (relative to the beginning; negative: from the end), every `step`th;
    /// with `limit` > 1 only that fraction of what is left.
    Range {
        /// The last key's position.
        last: i32,
        /// The distance from key to key.
        step: usize,
        /// What fraction of the remaining arguments are keys.
        limit: usize,
    },
    /// As many as the argument `at` says, from `first` on, every `step`th.
    Count {
        /// Where the number is.
        at: usize,
        /// Where the first key is.
        first: usize,
        /// The distance from key to key.
        step: usize,
    },
    /// It cannot be told from the arguments alone.
    Unknown,
}

/// One argument in a command's documentation; empty strings mean absent.
#[derive(Debug)]
#[allow(missing_docs)]
pub struct Arg {
    pub name: &'static str,
    pub display: &'static str,
    pub kind: &'static str,
    pub token: &'static str,
    pub since: &'static str,
    pub deprecated_since: &'static str,
    pub key_spec: Option<usize>,
    pub optional: bool,
    pub multiple: bool,
    pub multiple_token: bool,
    pub args: &'static [Arg],
}

include!(concat!(env!("OUT_DIR"), "/specs.rs"));

impl Spec {
    /// Whether `n` arguments (name included) are as many as the command takes.
    #[inline]
    pub fn arity_fits(&self, n: usize) -> bool {
        if self.arity >= 0 { n == self.arity as usize } else { n >= (-self.arity) as usize }
    }

    /// Declared categories and those that follow from the flags.
    pub fn acl_categories(&self) -> Categories {
        let mut all = self.categories;
        let mut add = |yes: bool, category| {
            if yes {
                all = all | category;
            }
        };
        add(self.flags.has(Flags::WRITE), Categories::WRITE);
        add(self.flags.has(Flags::READONLY) && self.group != "scripting", Categories::READ);
        add(self.flags.has(Flags::ADMIN), Categories::ADMIN | Categories::DANGEROUS);
        add(self.flags.has(Flags::PUBSUB), Categories::PUBSUB);
        add(self.flags.has(Flags::FAST), Categories::FAST);
        add(self.flags.has(Flags::BLOCKING), Categories::BLOCKING);
        add(!self.flags.has(Flags::FAST), Categories::SLOW);
        all
    }

    /// The positions of the keys among `args`, and the specification each comes from;
    /// an error where the arguments do not tell.
    pub fn key_positions(&'static self, args: &Args) -> Result<Vec<(usize, &'static KeySpec)>, NoKeys> {
        let mut found = Vec::new();
        for spec in self.keys {
            // A channel of sharded Pub/Sub is declared as a key for routing only.
            if spec.flags.contains(&"NOT_KEY") {
                continue;
            }
            spec.positions(args, &mut found)?;
        }
        Ok(found)
    }
}

/// The keys cannot be told from these arguments.
#[derive(Debug, PartialEq, Eq)]
pub struct NoKeys;

impl KeySpec {
    fn positions(&'static self, args: &Args, found: &mut Vec<(usize, &'static KeySpec)>) -> Result<(), NoKeys> {
        let n = args.len();
        let first = match self.begin {
            Begin::Index(i) => i,
            Begin::Keyword(word, from) => {
                let matches = |&i: &usize| args[i].eq_ignore_ascii_case(word.as_bytes());
                let at = if from >= 0 {
                    (from as usize..n).find(matches)
                } else {
                    (1..=n.saturating_sub(from.unsigned_abs() as usize)).rev().find(matches)
                };
                match at {
                    Some(i) => i + 1,
                    None => return Ok(()),
                }
            }
            Begin::Unknown => return Ok(()),
        };
        let (first, last, step) = match self.find {
            Find::Range { last, step, limit } => {
                let last = match (last, limit) {
                    (last, _) if last >= 0 => first + last as usize,
                    (-1, limit) if limit > 1 => first + (n.saturating_sub(first)) / limit - 1,
                    (last, _) => n.checked_sub(last.unsigned_abs() as usize).ok_or(NoKeys)?,
                };
                (first, last, step)
            }
            Find::Count { at, first: offset, step } => {
                let count = args.get(first + at).and_then(base::num::parse_i64).ok_or(NoKeys)?;
                let count = usize::try_from(count).map_err(|_| NoKeys)?;
                if count == 0 {
                    return Ok(());
                }
                let start = first + offset;
                if count > n {
                    return Err(NoKeys);
                }
                (start, start + (count - 1) * step, step)
            }
            Find::Unknown => return Ok(()),
        };
        if last >= n {
            return Err(NoKeys);
        }
        found.extend((first..=last).step_by(step).map(|i| (i, self)));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(words: &str, keys: &[&str]) {
        let words: Vec<&[u8]> = words.split(' ').map(str::as_bytes).collect();
        let mut bytes = Vec::new();
        resp::encode_command(&mut bytes, words.iter().copied());
        let mut spans = Vec::new();
        let limits = resp::Limits { bulk_bytes_max: 1 << 20, authenticated: true };
        resp::RequestParser::default().parse(&bytes, limits, &mut spans).unwrap();
        let args = Args::new(&bytes, &spans);
        let spec = SPECS.iter().find(|s| s.name.as_bytes() == words[0]).unwrap();
        let found = spec.key_positions(&args).unwrap();
        let found: Vec<&str> = found.iter().map(|(i, _)| std::str::from_utf8(&args[*i]).unwrap()).collect();
        assert_eq!(found, keys);
    }

    #[test]
    fn keys_are_found_where_the_specs_say() {
        check("get a", &["a"]);
        check("mset a 1 b 2", &["a", "b"]);
        check("del a b c", &["a", "b", "c"]);
        check("zunionstore d 2 a b weights 1 2", &["d", "a", "b"]);
        check("xread count 2 streams a b 0 0", &["a", "b"]);
        check("blpop a b 0", &["a", "b"]);
        check("sintercard 2 a b limit 1", &["a", "b"]);
        check("spublish ch m", &[]);
    }

    #[test]
    fn a_count_beyond_the_arguments_is_an_error() {
        let words: Vec<&[u8]> = vec![b"sintercard", b"9", b"a"];
        let mut bytes = Vec::new();
        resp::encode_command(&mut bytes, words.into_iter());
        let mut spans = Vec::new();
        let limits = resp::Limits { bulk_bytes_max: 1 << 20, authenticated: true };
        resp::RequestParser::default().parse(&bytes, limits, &mut spans).unwrap();
        let spec = SPECS.iter().find(|s| s.name == "sintercard").unwrap();
        assert!(spec.key_positions(&Args::new(&bytes, &spans)).is_err());
    }
}
