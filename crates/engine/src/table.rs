//! The commands that are implemented: each one's facts and its handler, found by name.
//!
//! Looking up is a hash of the name's first and last bytes into a table of 2,048 slots, no
//! allocation and no lower-casing copy.

use crate::commands;
use crate::engine::Engine;
use crate::error::{Error, Result};
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
    /// `spec.arity`, likewise.
    arity: i32,
    /// The position of the first key, 0 where there is none, for prefetching.
    pub first_key: u8,
}

impl Command {
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
        if self.arity >= 0 { n == self.arity as usize } else { n >= (-self.arity) as usize }
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

/// A hash that does not tell upper from lower case.
#[inline]
fn slot_of(name: &[u8]) -> usize {
    let byte = |i: usize| u64::from(name.get(i).copied().unwrap_or(0) | 0x20);
    let n = name.len();
    let mixed = byte(0)
        | byte(1) << 8
        | byte(2) << 16
        | byte(n.wrapping_sub(1)) << 24
        | byte(n.wrapping_sub(2)) << 32
        | byte(n.wrapping_sub(3)) << 40
        | byte(n / 2) << 48
        | (n as u64) << 56;
    (mixed.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 53) as usize
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
            let first_key = match spec.keys.first() {
                Some(crate::spec::KeySpec { begin: crate::spec::Begin::Index(i), .. }) => *i as u8,
                _ => 0,
            };
            index += 1;
            let (flags, arity) = (spec.flags, spec.arity);
            Command { spec, run, index: index - 1, subcommands: Vec::new(), flags, arity, first_key }
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
            let mut slot = slot_of(command.spec.name.as_bytes());
            while table.slots[slot] != EMPTY {
                slot = (slot + 1) % SLOTS;
            }
            table.slots[slot] = i as u16;
        }
        table
    }

    /// The command with this name, in any case.
    #[inline]
    pub fn find(&self, name: &[u8]) -> Option<&Command> {
        let mut slot = slot_of(name);
        loop {
            let i = self.slots[slot];
            if i == EMPTY {
                return None;
            }
            let command = &self.commands[usize::from(i)];
            if command.spec.name.as_bytes().eq_ignore_ascii_case(name) {
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

    /// The command or subcommand that a request names, with the errors that Redis gives, and the command that they
    /// are about where there is one.
    #[inline]
    pub fn resolve(&self, args: &Args) -> std::result::Result<&Command, (Option<&Command>, Error)> {
        let Some(command) = self.find(&args[0]) else { return Err((None, unknown(args))) };
        fits(command, args)
    }

    /// Likewise, where `rename-command` has given commands other names.
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
#[inline]
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
    let cut = |bytes: &[u8]| String::from_utf8_lossy(&bytes[..bytes.len().min(128)]).into_owned();
    let mut text = format!("ERR unknown command '{}', with args beginning with: ", cut(&args[0]));
    let mut shown = 0;
    for arg in args.iter_from(1) {
        if shown >= 128 {
            break;
        }
        let arg = cut(&arg[..arg.len().min(128 - shown)]);
        shown += arg.len();
        text.push_str(&format!("'{arg}' "));
    }
    Error::new(text)
}
