//! The commands that are implemented: each one's facts and its handler, found by name.
//!
//! A name is looked up as two words, which cover it whole up to 16 bytes (they overlap where it is shorter), through a table
//! of 2,048 slots: no allocation, no loop over its bytes and no lower-casing copy.

use crate::commands;
use crate::engine::Engine;
use crate::error::{Error, Result, up_to_zero};
use crate::host::Host;
use crate::spec::{Flags, SPECS, Spec};
use resp::Args;
use std::collections::BTreeMap;
use std::sync::OnceLock;

/// A handler: it writes its reply to `engine.out` and says its effects to `engine.store`.
pub type Handler = fn(&mut Engine, &Args) -> Result;

/// A handler that also needs what is outside the engine: files, sockets, the replication log.
pub type HostHandler = fn(&mut Engine, &mut dyn Host, &Args) -> Result;

/// How a command is carried out.
#[derive(Clone, Copy)]
pub enum Run {
    /// By the engine alone.
    Plain(Handler),
    /// With the server's help.
    Host(HostHandler),
    /// By one of its subcommands.
    Container,
}

/// One implemented command or subcommand.
pub struct Command {
    /// Its facts.
    pub spec: &'static Spec,
    /// Its handler.
    pub run: Run,
    /// Its place in the table, for statistics.
    pub index: u16,
    /// Subcommands, of a container.
    pub subcommands: Vec<Command>,
    /// `spec.flags`, here to spare a load.
    pub flags: Flags,
    /// Whether a primary sends it to its replicas. Any other command in a replication stream means that the stream is broken.
    pub streamed: bool,
    /// Whether it runs while a full sync is received, so that an operator or a sentinel can always name another primary.
    pub while_receiving: bool,
    /// The fewest arguments that it takes, its name included: from `spec.arity`, here to spare a load.
    args_min: usize,
    /// The most.
    args_max: usize,
    /// The name in lower case.
    words: Words,
    /// The bits of `words` that a request may lack.
    case: Words,
}

impl Command {
    /// The same command with another handler, for tests of what surrounds handlers.
    #[cfg(test)]
    pub(crate) fn with_handler(&self, run: Run) -> Self {
        let Self { spec, index, flags, streamed, while_receiving, args_min, args_max, words, case, .. } = *self;
        let subcommands = Vec::new();
        Self { spec, run, index, subcommands, flags, streamed, while_receiving, args_min, args_max, words, case }
    }

    /// The subcommand with this name.
    pub fn subcommand(&self, name: &[u8]) -> Option<&Command> {
        self.subcommands.iter().find(|c| c.own_name().as_bytes().eq_ignore_ascii_case(name))
    }

    /// The name without the container's.
    pub fn own_name(&self) -> &'static str {
        self.spec.name.rsplit('|').next().unwrap_or(self.spec.name)
    }

    /// Whether `n` arguments, the name included, are as many as it takes.
    #[inline]
    pub fn arity_fits(&self, n: usize) -> bool {
        (self.args_min..=self.args_max).contains(&n)
    }
}

/// All implemented commands.
pub struct CommandTable {
    commands: Vec<Command>,
    slots: Box<[u16; SLOTS]>,
    /// How many indices there are, subcommands included.
    pub indices: usize,
}

const SLOTS: usize = 2048;
const EMPTY: u16 = u16::MAX;

/// What a replication stream holds beside the commands that the data depends on: the primary's heartbeat and its questions,
/// the database, transactions.
const STREAM_FRAME: [&str; 6] = ["ping", "replconf", "select", "multi", "exec", "discard"];

/// The commands that name another primary.
const REPOINT: [&str; 2] = ["replicaof", "slaveof"];

/// Whether a primary sends this command to its replicas. Reads are among them, since they harm nothing.
fn is_streamed(spec: &Spec) -> bool {
    spec.flags.any(Flags::WRITE | Flags::READONLY | Flags::MAY_REPLICATE) || STREAM_FRAME.contains(&spec.name)
}

/// The handlers of all families, by the command's full name.
fn handlers() -> BTreeMap<&'static str, Run> {
    let mut handlers = BTreeMap::new();
    for family in commands::FAMILIES {
        for &(name, run) in *family {
            assert!(handlers.insert(name, run).is_none(), "command {name} is listed twice");
        }
    }
    handlers
}

/// The longest name that [`Words`] cover.
const WORDS_BYTES: usize = 16;

/// A name of up to 16 bytes as two words. Together with the length they are the name.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
struct Words(u64, u64);

impl Words {
    #[inline(always)]
    fn of(name: &[u8]) -> Words {
        let eight = |bytes: Option<&[u8; 8]>| bytes.map_or(0, |b| u64::from_le_bytes(*b));
        let four = |bytes: Option<&[u8; 4]>| bytes.map_or(0, |b| u64::from(u32::from_le_bytes(*b)));
        match *name {
            [] => Words(0, 0),
            [.., last] if name.len() < 4 => {
                Words(u64::from(name[0]), u64::from(name[name.len() / 2]) << 8 | u64::from(last))
            }
            _ if name.len() < 8 => Words(four(name.first_chunk()), four(name.last_chunk())),
            _ => Words(eight(name.first_chunk()), eight(name.last_chunk())),
        }
    }

    /// The bits that tell upper from lower case in a name.
    fn case_of(name: &[u8]) -> Words {
        let bits: Vec<u8> = name.iter().map(|b| if b.is_ascii_alphabetic() { 0x20 } else { 0 }).collect();
        Words::of(&bits)
    }

    #[inline(always)]
    fn with(self, bits: Words) -> Words {
        Words(self.0 | bits.0, self.1 | bits.1)
    }

    /// Where in the table the search for this name begins; the same whatever its case.
    #[inline(always)]
    fn slot(self, len: usize) -> usize {
        let lower = self.with(Words(0x2020_2020_2020_2020, 0x2020_2020_2020_2020));
        let mixed = lower.0 ^ lower.1.rotate_left(29) ^ (len as u64) << 59;
        (mixed.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 53) as usize
    }
}

impl CommandTable {
    /// The table of a server.
    pub fn get() -> &'static CommandTable {
        static TABLE: OnceLock<CommandTable> = OnceLock::new();
        TABLE.get_or_init(|| Self::build(handlers(), |spec| !spec.flags.has(Flags::ONLY_SENTINEL)))
    }

    /// The table of a sentinel: its own commands, and those of a server's that make sense without data.
    pub fn of_sentinel() -> &'static CommandTable {
        static TABLE: OnceLock<CommandTable> = OnceLock::new();
        TABLE.get_or_init(|| {
            let mut handlers = handlers();
            handlers.extend(commands::SENTINEL.iter().copied());
            // Redis's table does not mark it, but its sentinels know it as well.
            Self::build(handlers, |spec| spec.flags.has(Flags::SENTINEL) || spec.name == "quit")
        })
    }

    fn build(mut handlers: BTreeMap<&'static str, Run>, belongs: fn(&Spec) -> bool) -> CommandTable {
        let mut table = CommandTable { commands: Vec::new(), slots: Box::new([EMPTY; SLOTS]), indices: 0 };
        let mut index = 0u16;
        let mut make = |spec: &'static Spec, run: Run| {
            index += 1;
            let flags = spec.flags;
            let args_min = spec.arity.unsigned_abs() as usize;
            let args_max = if spec.arity < 0 { usize::MAX } else { args_min };
            let (words, case) = (Words::of(spec.name.as_bytes()), Words::case_of(spec.name.as_bytes()));
            let streamed = is_streamed(spec);
            let while_receiving = REPOINT.contains(&spec.name);
            let (index, subcommands) = (index - 1, Vec::new());
            Command { spec, run, index, subcommands, flags, streamed, while_receiving, args_min, args_max, words, case }
        };
        for name in handlers.keys() {
            assert!(SPECS.iter().any(|s| s.name == *name), "the handler of {name} has no facts");
        }
        let belonging = || SPECS.iter().filter(|s| belongs(s));
        for spec in belonging().filter(|s| !s.name.contains('|')) {
            let prefix = format!("{}|", spec.name);
            let mut subcommands = Vec::new();
            for sub in belonging().filter(|s| s.name.starts_with(&prefix)) {
                if let Some(run) = handlers.remove(sub.name) {
                    subcommands.push(make(sub, run));
                }
            }
            let run = match handlers.remove(spec.name) {
                Some(run) => run,
                None if !subcommands.is_empty() => Run::Container,
                None => continue,
            };
            let mut command = make(spec, run);
            command.subcommands = subcommands;
            table.commands.push(command);
        }
        table.indices = usize::from(index);
        for (i, command) in table.commands.iter().enumerate() {
            let name = command.spec.name.as_bytes();
            let mut slot = Words::of(name).slot(name.len());
            while table.slots[slot] != EMPTY {
                slot = (slot + 1) % SLOTS;
            }
            table.slots[slot] = i as u16;
        }
        table
    }

    /// The command with this name, in any case.
    #[inline(always)]
    pub fn find(&self, name: &[u8]) -> Option<&Command> {
        let words = Words::of(name);
        let mut slot = words.slot(name.len());
        loop {
            let command = self.commands.get(usize::from(self.slots[slot]))?;
            if command.spec.name.len() == name.len()
                && words.with(command.case) == command.words
                && (name.len() <= WORDS_BYTES || command.spec.name.as_bytes().eq_ignore_ascii_case(name))
            {
                return Some(command);
            }
            slot = (slot + 1) % SLOTS;
        }
    }

    /// The command or subcommand with this full name (`config|get`), in any case.
    pub fn find_full(&self, name: &[u8]) -> Option<&Command> {
        match name.iter().position(|b| *b == b'|') {
            None => self.find(name),
            Some(at) => self.find(&name[..at])?.subcommand(&name[at + 1..]),
        }
    }

    /// All commands, containers with their subcommands inside.
    pub fn iter(&self) -> impl Iterator<Item = &Command> {
        self.commands.iter()
    }

    /// All commands and subcommands.
    pub fn iter_all(&self) -> impl Iterator<Item = &Command> {
        self.commands.iter().flat_map(|c| std::iter::once(c).chain(&c.subcommands))
    }

    /// The command that a request names, where it has no subcommands and the number of arguments is right.
    #[inline(always)]
    pub fn resolve_plain(&self, args: &Args) -> Option<&Command> {
        self.find(&args[0]).filter(|command| command.subcommands.is_empty() && command.arity_fits(args.len()))
    }

    /// The command or subcommand that a request names, with the errors that Redis gives, and the command that they
    /// are about where there is one.
    pub fn resolve(&self, args: &Args) -> std::result::Result<&Command, (Option<&Command>, Error)> {
        let Some(command) = self.find(&args[0]) else { return Err((None, unknown(args))) };
        fits(command, args)
    }

    /// The command or subcommand that a request names where `rename-command` has given commands other names, with the errors
    /// that Redis gives, and the command that they are about where there is one.
    pub fn resolve_renamed(
        &self,
        args: &Args,
        renamed: &BTreeMap<Box<[u8]>, Option<Box<[u8]>>>,
    ) -> std::result::Result<&Command, (Option<&Command>, Error)> {
        let name = args[0].to_ascii_lowercase();
        let found = match renamed.get(&name[..]) {
            None => self.find(&name),
            Some(None) => None,
            Some(Some(original)) => self.find(original),
        };
        let Some(command) = found else { return Err((None, unknown(args))) };
        fits(command, args)
    }
}

/// The subcommand of a container that a request names; checks the number of arguments.
fn fits<'a>(command: &'a Command, args: &Args) -> std::result::Result<&'a Command, (Option<&'a Command>, Error)> {
    let command = if !command.subcommands.is_empty() && args.len() > 1 {
        match command.subcommand(&args[1]) {
            Some(sub) => sub,
            None => return Err((Some(command), Error::unknown_subcommand(command.spec.name, &args[1]))),
        }
    } else {
        command
    };
    if !command.arity_fits(args.len()) {
        return Err((Some(command), Error::arity(command.spec.name)));
    }
    Ok(command)
}

#[cold]
fn unknown(args: &Args) -> Error {
    /// Bytes of the name, and of the arguments with their quotes, that are shown.
    const SHOWN_MAX: usize = 128;
    let name = &args[0][..args[0].len().min(SHOWN_MAX)];
    let mut text = [b"ERR unknown command '", up_to_zero(name), b"', with args beginning with: "].concat();
    let arguments_at = text.len();
    for arg in args.iter_from(1) {
        let shown = text.len() - arguments_at;
        if shown >= SHOWN_MAX {
            break;
        }
        let arg = up_to_zero(&arg[..arg.len().min(SHOWN_MAX - shown)]);
        text.extend_from_slice(&[b"'", arg, b"' "].concat());
    }
    Error::new(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `find` gives is what a look at every name gives.
    fn check(name: &[u8]) {
        for table in [CommandTable::get(), CommandTable::of_sentinel()] {
            let expected = table.iter().find(|c| c.spec.name.as_bytes().eq_ignore_ascii_case(name));
            let found = table.find(name);
            assert_eq!(found.map(|c| c.spec.name), expected.map(|c| c.spec.name), "{}", name.escape_ascii());
        }
    }

    #[test]
    fn names_are_found_in_any_case_and_nothing_else_is() {
        for name in CommandTable::get().iter().map(|c| c.spec.name.as_bytes()) {
            check(name);
            check(&name.to_ascii_uppercase());
            for at in 0..name.len() {
                for bit in 0..8 {
                    let mut changed = name.to_vec();
                    changed[at] ^= 1 << bit;
                    check(&changed);
                }
                check(&name[..at]);
                check(&[&name[..at], b"\0", &name[at..]].concat());
            }
        }
        check(&[b'x'; 100]);
    }
}
