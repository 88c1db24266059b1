//! The commands, by family. Each family's module lists its handlers by name; the facts of the
//! commands (arity, flags, keys) are in the table of [`crate::spec`].

use crate::table::Run;

mod options;
mod strings;

/// Handlers by command name; subcommands as `container|name`.
pub type Family = &'static [(&'static str, Run)];

/// All families.
pub static FAMILIES: &[Family] = &[strings::COMMANDS];
