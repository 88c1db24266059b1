//! The table of commands in `COMPAT.md`, made from the facts and from what is implemented.

use crate::spec::{Flags, SPECS};
use crate::table::CommandTable;
use std::collections::BTreeMap;
use std::fmt::Write;

/// The table as Markdown: each family with the commands that are there and those that are not yet.
pub fn command_table() -> String {
    let table = CommandTable::get();
    let done: Vec<&str> = table.iter_all().map(|c| c.spec.name).collect();
    let mut families: BTreeMap<&str, (Vec<String>, Vec<String>)> = BTreeMap::new();
    for spec in SPECS.iter().filter(|s| !s.flags.has(Flags::ONLY_SENTINEL)) {
        let (there, not_yet) = families.entry(spec.group).or_default();
        let container = SPECS.iter().any(|s| s.name.split('|').next() == Some(spec.name) && s.name.contains('|'));
        if container {
            continue;
        }
        let name = spec.name.replace('|', " ");
        if done.contains(&spec.name) { there.push(name) } else { not_yet.push(name) }
    }
    let mut text = String::from("| family | done | not yet |\n|---|---|---|\n");
    for (family, (there, not_yet)) in families {
        let _ = writeln!(text, "| {family} | {} | {} |", there.join(", "), not_yet.join(", "));
    }
    text
}
