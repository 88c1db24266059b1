//! Keyspace events: messages on `__keyspace@N__:key` and `__keyevent@N__:event`.

use crate::engine::Engine;

/// Classes of events, as `notify-keyspace-events` names them by letters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Classes(u32);

macro_rules! classes {
    ($($(#[$doc:meta])* $name:ident = $letter:literal;)*) => {
        impl Classes {
            classes!(@consts 0u32; $($(#[$doc])* $name;)*);
            const LETTERS: &'static [(Classes, u8)] = &[$((Classes::$name, $letter)),*];
        }
    };
    (@consts $n:expr; $(#[$doc:meta])* $name:ident; $($rest:tt)*) => {
        $(#[$doc])* pub const $name: Self = Self(1 << ($n));
        classes!(@consts $n + 1; $($rest)*);
    };
    (@consts $n:expr;) => {};
}

classes! {
    /// Commands of no type: DEL, EXPIRE, RENAME.
    GENERIC = b'g';
    /// Commands on strings.
    STRING = b'$';
    /// Commands on lists.
    LIST = b'l';
    /// Commands on sets.
    SET = b's';
    /// Commands on hashes.
    HASH = b'h';
    /// Commands on sorted sets.
    ZSET = b'z';
    /// Keys that expired.
    EXPIRED = b'x';
    /// Keys that were evicted.
    EVICTED = b'e';
    /// Commands on streams.
    STREAM = b't';
    /// Events of modules.
    MODULE = b'd';
    /// Publish by key.
    KEYSPACE = b'K';
    /// Publish by event.
    KEYEVENT = b'E';
    /// Reads of keys that are not there.
    KEY_MISS = b'm';
    /// Keys that are new.
    NEW = b'n';
}

impl Classes {
    /// What `A` stands for: everything but `K`, `E`, `m` and `n`.
    const ALL: Self = Self(
        Self::GENERIC.0
            | Self::STRING.0
            | Self::LIST.0
            | Self::SET.0
            | Self::HASH.0
            | Self::ZSET.0
            | Self::EXPIRED.0
            | Self::EVICTED.0
            | Self::STREAM.0
            | Self::MODULE.0,
    );

    /// Whether any class of `other` is in it.
    #[inline]
    pub fn any(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// Reads the letters; nothing where one is unknown.
    pub fn parse(letters: &[u8]) -> Option<Self> {
        let mut classes = Self::default();
        for &letter in letters {
            let class = match letter {
                b'A' => Self::ALL,
                _ => Self::LETTERS.iter().find(|(_, l)| *l == letter)?.0,
            };
            classes.0 |= class.0;
        }
        Some(classes)
    }

    /// The letters, `A` in the place of all that it stands for.
    pub fn show(self) -> String {
        let mut text = String::new();
        let all = self.0 & Self::ALL.0 == Self::ALL.0;
        if all {
            text.push('A');
        }
        for (class, letter) in Self::LETTERS {
            if self.any(*class) && !(all && Self::ALL.any(*class)) {
                text.push(*letter as char);
            }
        }
        text
    }
}

/// Something that happened to a key.
#[derive(Debug)]
pub struct Event {
    /// The event's name.
    pub name: &'static str,
    /// The key's database.
    pub db: usize,
    /// The key.
    pub key: Box<[u8]>,
}

impl Engine {
    /// Publishes the events that the store has noted.
    pub(crate) fn publish_events(&mut self) {
        let classes = self.store.event_classes;
        for event in std::mem::take(&mut self.store.events) {
            if classes.any(Classes::KEYSPACE) {
                let mut channel = format!("__keyspace@{}__:", event.db).into_bytes();
                channel.extend_from_slice(&event.key);
                self.publish(&channel, event.name.as_bytes());
            }
            if classes.any(Classes::KEYEVENT) {
                let channel = format!("__keyevent@{}__:{}", event.db, event.name);
                self.publish(channel.as_bytes(), &event.key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_are_read_and_shown() {
        for (given, shown) in [("", ""), ("KEA", "AKE"), ("Kg$", "g$K"), ("g$lshzxetdE", "AE"), ("KEm", "KEm")] {
            assert_eq!(Classes::parse(given.as_bytes()).unwrap().show(), shown, "{given}");
        }
        assert_eq!(Classes::parse(b"q"), None);
    }
}
