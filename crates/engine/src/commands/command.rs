//! COMMAND: what the server can do, told from the table of facts of [`crate::spec`].

use super::options::is;
use crate::client::Kept;
use crate::engine::Engine;
use crate::error::{self, Error, Result};
use crate::spec::{Arg, Begin, Categories, Find, Flags, KeySpec, Spec};
use crate::table::{Command, Run};
use base::glob::glob_matches;
use resp::{Args, Out};
use std::collections::HashMap;
use std::sync::OnceLock;

/// The handlers of this family.
pub const COMMANDS: super::Family = &[
    ("command", Run::Plain(all)),
    ("command|count", Run::Plain(count)),
    ("command|docs", Run::Plain(docs)),
    ("command|getkeys", Run::Plain(getkeys)),
    ("command|getkeysandflags", Run::Plain(getkeysandflags)),
    ("command|help", Run::Plain(help)),
    ("command|info", Run::Plain(info)),
    ("command|list", Run::Plain(list)),
];

/// What commands do, one sentence each, and what they cost: lines of `name<TAB>sentence<TAB>complexity`.
static SUMMARIES: &str = include_str!("../../summaries.txt");

/// What later versions of Redis changed: lines of `name<TAB>version<TAB>sentence`.
static HISTORY: &str = include_str!("../../history.txt");

/// The line of a command in `SUMMARIES`, after its name.
fn said_of(name: &str) -> &'static str {
    static BY_NAME: OnceLock<HashMap<&'static str, &'static str>> = OnceLock::new();
    BY_NAME
        .get_or_init(|| SUMMARIES.lines().filter_map(|line| line.split_once('\t')).collect())
        .get(name)
        .copied()
        .unwrap_or("")
}

/// The sentence for a command, empty where there is none.
pub fn summary(name: &str) -> &'static str {
    if name.ends_with("|help") {
        return "Lists the subcommands and what they do.";
    }
    said_of(name).split('\t').next().unwrap_or("")
}

/// What a command costs, empty where nothing is said of it.
fn complexity(name: &str) -> &'static str {
    if name.ends_with("|help") {
        return "O(1)";
    }
    said_of(name).split_once('\t').map_or("", |(_, complexity)| complexity)
}

/// Versions that changed a command, and what they changed.
fn history(name: &str) -> impl Iterator<Item = (&'static str, &'static str)> {
    let changes = HISTORY.lines().filter_map(|line| line.split_once('\t'));
    changes.filter(move |(of, _)| *of == name).filter_map(|(_, change)| change.split_once('\t'))
}

/// The first key, the last (from the end if negative) and the step, as clients older than key
/// specifications read them; zeros where there are no keys. The second value tells whether
/// these three do not say everything.
fn legacy_range(spec: &Spec) -> ((i64, i64, i64), bool) {
    let keys: Vec<&KeySpec> = spec.keys.iter().collect();
    let absolute = |first: usize, last: i32| if last < 0 { i64::from(last) } else { first as i64 + i64::from(last) };
    if let [KeySpec { begin: Begin::Index(first), find: Find::Range { last, step, .. }, .. }] = keys[..] {
        return ((*first as i64, absolute(*first, *last), *step as i64), false);
    }
    let (mut first, mut last, mut movable) = (None, 0, false);
    for key in keys {
        // Only ranges that follow each other without a gap can be told as one.
        match (&key.begin, &key.find) {
            (Begin::Index(at), Find::Range { last: end, step: 1, .. }) if first.is_none() || last == *at as i64 - 1 => {
                first = first.or(Some(*at as i64));
                last = absolute(*at, *end);
            }
            (Begin::Index(_), Find::Range { .. }) => {}
            _ => movable = true,
        }
    }
    (first.map_or((0, 0, 0), |first| (first, last, 1)), movable)
}

/// Commands that servers send to each other and people do not.
const SYSTEM: &[&str] = &["asking", "debug", "pfdebug", "pfselftest", "psync", "replconf", "restore-asking", "sync"];

/// Flags that Redis keeps to itself.
const INTERNAL: &[Flags] =
    &[Flags::PROTECTED, Flags::SENTINEL, Flags::ONLY_SENTINEL, Flags::EXPERIMENTAL, Flags::TOUCHES_ARBITRARY_KEYS];

fn simple_set<'a>(out: &mut Out, words: impl Iterator<Item = &'a str>) {
    out.counted(Out::set, |out| words.map(|word| out.simple(word)).count());
}

/// A flag of a key specification as clients see it: the kinds of access in capitals, the rest not.
fn key_flag(word: &str) -> String {
    if matches!(word, "RW" | "RO" | "OW" | "RM") { word.into() } else { word.to_ascii_lowercase() }
}

fn key_flags(out: &mut Out, flags: &[&str]) {
    out.set(flags.len());
    for word in flags {
        out.simple(&key_flag(word));
    }
}

fn key_spec(out: &mut Out, key: &KeySpec) {
    out.map(3);
    out.bulk(b"flags");
    key_flags(out, key.flags);
    let part = |out: &mut Out, title: &str, kind: &str, facts: &[(&str, i64)]| {
        out.bulk(title.as_bytes());
        out.map(2);
        out.bulk(b"type");
        out.bulk(kind.as_bytes());
        out.bulk(b"spec");
        out.map(facts.len());
        for (name, n) in facts {
            out.bulk(name.as_bytes());
            out.int(*n);
        }
    };
    match key.begin {
        Begin::Index(i) => part(out, "begin_search", "index", &[("index", i as i64)]),
        Begin::Keyword(word, from) => {
            out.bulk(b"begin_search");
            out.map(2);
            out.bulk(b"type");
            out.bulk(b"keyword");
            out.bulk(b"spec");
            out.map(2);
            out.bulk(b"keyword");
            out.bulk(word.as_bytes());
            out.bulk(b"startfrom");
            out.int(i64::from(from));
        }
        Begin::Unknown => part(out, "begin_search", "unknown", &[]),
    }
    match key.find {
        Find::Range { last, step, limit } => {
            part(
                out,
                "find_keys",
                "range",
                &[("lastkey", i64::from(last)), ("keystep", step as i64), ("limit", limit as i64)],
            );
        }
        Find::Count { at, first, step } => {
            part(
                out,
                "find_keys",
                "keynum",
                &[("keynumidx", at as i64), ("firstkey", first as i64), ("keystep", step as i64)],
            );
        }
        Find::Unknown => part(out, "find_keys", "unknown", &[]),
    }
}

fn command_info(out: &mut Out, command: &Command) {
    let spec = command.spec;
    let ((first, last, step), movable) = legacy_range(spec);
    out.array(10);
    out.bulk(spec.name.as_bytes());
    out.int(i64::from(spec.arity));
    out.counted(Out::set, |out| {
        let mut n = 0;
        for &(flag, name) in Flags::NAMES {
            if spec.flags.has(flag) && !INTERNAL.contains(&flag) {
                out.simple(name);
                n += 1;
            }
            if flag == Flags::NO_MULTI && movable {
                out.simple("movablekeys");
                n += 1;
            }
        }
        n
    });
    out.int(first);
    out.int(last);
    out.int(step);
    out.counted(Out::set, |out| {
        let categories = spec.acl_categories();
        categories.names().map(|name| out.simple(&format!("@{name}"))).count()
    });
    out.set(spec.tips.len());
    for word in spec.tips {
        out.bulk(word.to_ascii_lowercase().as_bytes());
    }
    out.set(spec.keys.len());
    for key in spec.keys {
        key_spec(out, key);
    }
    if command.subcommands.is_empty() {
        out.set(0);
    } else {
        out.array(command.subcommands.len());
        for sub in &command.subcommands {
            command_info(out, sub);
        }
    }
}

fn all(e: &mut Engine, _: &Args) -> Result {
    let Engine { out, table, .. } = e;
    out.array(table.iter().count());
    for command in table.iter() {
        command_info(out, command);
    }
    Ok(())
}

fn count(e: &mut Engine, _: &Args) -> Result {
    let n = e.table.iter().count();
    e.out.int(n as i64);
    Ok(())
}

fn info(e: &mut Engine, a: &Args) -> Result {
    if a.len() == 2 {
        return all(e, a);
    }
    let Engine { out, table, .. } = e;
    out.array(a.len() - 2);
    for name in a.iter_from(2) {
        match table.find_full(name) {
            Some(command) => command_info(out, command),
            None => out.null(),
        }
    }
    Ok(())
}

/// The facts of a command that its documentation shows.
fn doc(out: &mut Out, command: &Command) {
    let spec = command.spec;
    out.counted(Out::map, |out| {
        let mut n = 0;
        let mut text = |out: &mut Out, name: &str, value: &str| {
            if !value.is_empty() {
                out.bulk(name.as_bytes());
                out.bulk(value.as_bytes());
                n += 1;
            }
        };
        text(out, "summary", summary(spec.name));
        text(out, "since", spec.since);
        // Where it is said on the wire, the words of a family's name are joined by a hyphen.
        text(out, "group", &spec.group.replace('_', "-"));
        text(out, "complexity", complexity(spec.name));
        let flags = [(!spec.deprecated_since.is_empty(), "deprecated"), (SYSTEM.contains(&spec.name), "syscmd")];
        if flags.iter().any(|(on, _)| *on) {
            out.bulk(b"doc_flags");
            simple_set(out, flags.into_iter().filter(|(on, _)| *on).map(|(_, name)| name));
            n += 1;
        }
        let mut text = |out: &mut Out, name: &str, value: &str| {
            if !value.is_empty() {
                out.bulk(name.as_bytes());
                out.bulk(value.as_bytes());
                n += 1;
            }
        };
        text(out, "deprecated_since", spec.deprecated_since);
        text(out, "replaced_by", spec.replaced_by);
        let changes = history(spec.name).count();
        if changes > 0 {
            out.bulk(b"history");
            out.set(changes);
            for (version, change) in history(spec.name) {
                out.array(2);
                out.bulk(version.as_bytes());
                out.bulk(change.as_bytes());
            }
            n += 1;
        }
        if !spec.args.is_empty() {
            out.bulk(b"arguments");
            arguments(out, spec.args);
            n += 1;
        }
        if !command.subcommands.is_empty() {
            out.bulk(b"subcommands");
            out.map(command.subcommands.len());
            for sub in &command.subcommands {
                out.bulk(sub.spec.name.as_bytes());
                doc(out, sub);
            }
            n += 1;
        }
        n
    });
}

fn arguments(out: &mut Out, args: &[Arg]) {
    out.array(args.len());
    for arg in args {
        out.counted(Out::map, |out| {
            let mut n = 2;
            out.bulk(b"name");
            out.bulk(arg.name.as_bytes());
            out.bulk(b"type");
            out.bulk(arg.kind.as_bytes());
            // A group of arguments has no text of its own to be shown.
            let display = match (arg.display, arg.kind) {
                (_, "block" | "oneof") => "",
                ("", _) => arg.name,
                (display, _) => display,
            };
            for (name, value) in [
                ("display_text", display),
                ("token", arg.token),
                ("since", arg.since),
                ("deprecated_since", arg.deprecated_since),
            ] {
                if !value.is_empty() {
                    out.bulk(name.as_bytes());
                    out.bulk(value.as_bytes());
                    n += 1;
                }
                if let (Some(index), "display_text") = (arg.key_spec, name) {
                    out.bulk(b"key_spec_index");
                    out.int(index as i64);
                    n += 1;
                }
            }
            if arg.optional || arg.multiple || arg.multiple_token {
                out.bulk(b"flags");
                let flags =
                    [(arg.optional, "optional"), (arg.multiple, "multiple"), (arg.multiple_token, "multiple_token")];
                simple_set(out, flags.into_iter().filter(|(on, _)| *on).map(|(_, name)| name));
                n += 1;
            }
            if !arg.args.is_empty() {
                out.bulk(b"arguments");
                arguments(out, arg.args);
                n += 1;
            }
            n
        });
    }
}

fn docs(e: &mut Engine, a: &Args) -> Result {
    let Engine { out, table, .. } = e;
    let wanted: Vec<&Command> = if a.len() == 2 {
        table.iter().collect()
    } else {
        a.iter_from(2).filter_map(|name| table.find_full(name)).collect()
    };
    out.map(wanted.len());
    for command in wanted {
        out.bulk(command.spec.name.as_bytes());
        doc(out, command);
    }
    Ok(())
}

fn list(e: &mut Engine, a: &Args) -> Result {
    let fits: Box<dyn Fn(&Command) -> bool> = match a.len() {
        2 => Box::new(|_| true),
        5 if is(&a[2], "FILTERBY") => {
            let value = &a[4];
            match () {
                // No module is ever loaded here.
                () if is(&a[3], "MODULE") => Box::new(|_| false),
                () if is(&a[3], "ACLCAT") => {
                    let category = Categories::NAMES.iter().find(|(_, name)| is(value, name)).map(|(bit, _)| *bit);
                    Box::new(move |command| category.is_some_and(|c| command.spec.acl_categories().has(c)))
                }
                () if is(&a[3], "PATTERN") => {
                    Box::new(move |command| glob_matches(value, command.spec.name.as_bytes(), true))
                }
                () => return Err(error::SYNTAX),
            }
        }
        _ => return Err(error::SYNTAX),
    };
    let Engine { out, table, .. } = e;
    out.counted(Out::array, |out| {
        let mut n = 0;
        for command in table.iter_all().filter(|c| fits(c)) {
            out.bulk(command.spec.name.as_bytes());
            n += 1;
        }
        n
    });
    Ok(())
}

/// The request that is an argument of COMMAND GETKEYS, and its keys.
fn keys_of(e: &Engine, a: &Args) -> Result<Vec<(Vec<u8>, &'static [&'static str])>> {
    let words: Vec<&[u8]> = a.iter_from(2).collect();
    let mut bytes = Vec::new();
    resp::encode_command(&mut bytes, words.iter().copied());
    let mut spans = Vec::new();
    let limits = resp::Limits { bulk_bytes_max: i64::MAX, authenticated: true };
    let invalid = || Error::fixed("ERR Invalid command specified");
    resp::RequestParser::default().parse(&bytes, limits, &mut spans).map_err(|_| invalid())?;
    let request = Kept::new(&Args::new(&bytes, &spans));
    let args = request.args();
    let command = e.table.find(&args[0]).ok_or_else(invalid)?;
    let command = match args.get(1) {
        Some(sub) if !command.subcommands.is_empty() => command.subcommand(sub).ok_or_else(invalid)?,
        _ => command,
    };
    if command.spec.keys.is_empty() {
        return Err(Error::fixed("ERR The command has no key arguments"));
    }
    if !command.spec.arity_fits(args.len()) {
        return Err(Error::fixed("ERR Invalid number of arguments specified for command"));
    }
    let found =
        command.spec.key_positions(&args).map_err(|_| Error::fixed("ERR Invalid arguments specified for command"))?;
    let mut found = found;
    if command.spec.name == "sort" {
        // Its destination follows a word that may be anywhere, and the last one counts.
        let store = (2..args.len() - 1).rev().find(|i| is(&args[*i], "STORE"));
        if let (Some(i), Some(spec)) = (store, command.spec.keys.last()) {
            found.push((i + 1, spec));
        }
    }
    if found.is_empty() && !command.flags.has(Flags::NO_MANDATORY_KEYS) {
        return Err(Error::fixed("ERR Invalid arguments specified for command"));
    }
    let flags = |spec: &KeySpec| match command.spec.name {
        // SET reads the old value only where that is asked for.
        "set" if args.iter_from(3).any(|word| is(word, "GET")) => &["RW", "ACCESS", "UPDATE"][..],
        "set" => &["OW", "UPDATE"][..],
        _ => spec.flags,
    };
    Ok(found.into_iter().map(|(i, spec)| (args[i].to_vec(), flags(spec))).collect())
}

fn getkeys(e: &mut Engine, a: &Args) -> Result {
    let keys = keys_of(e, a)?;
    e.out.array(keys.len());
    for (key, _) in keys {
        e.out.bulk(&key);
    }
    Ok(())
}

fn getkeysandflags(e: &mut Engine, a: &Args) -> Result {
    let keys = keys_of(e, a)?;
    e.out.array(keys.len());
    for (key, flags) in keys {
        e.out.array(2);
        e.out.bulk(&key);
        key_flags(&mut e.out, flags);
    }
    Ok(())
}

fn help(e: &mut Engine, _: &Args) -> Result {
    super::help(
        e,
        "COMMAND",
        &[
            ("(no subcommand)", "The facts of all commands."),
            ("COUNT", "How many commands there are."),
            ("DOCS [<command> ...]", "What commands do and which arguments they take."),
            ("GETKEYS <command> [<arg> ...]", "The keys in a request."),
            ("GETKEYSANDFLAGS <command> [<arg> ...]", "The keys in a request and what is done with each."),
            ("INFO [<command> ...]", "The facts of some commands."),
            ("LIST [FILTERBY (MODULE <name>|ACLCAT <category>|PATTERN <pattern>)]", "The names of commands."),
        ],
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::CommandTable;

    #[test]
    fn every_implemented_command_has_a_summary() {
        let all = CommandTable::get().iter_all().chain(CommandTable::of_sentinel().iter_all());
        let missing: Vec<&str> = all.map(|c| c.spec.name).filter(|name| summary(name).is_empty()).collect();
        assert_eq!(missing, Vec::<&str>::new());
    }

    #[test]
    fn costs_and_changes_are_told_of() {
        // What these cost depends on what others do; Redis says nothing of it either.
        const OPEN: &[&str] = &["lolwut", "monitor", "psync", "sync"];
        let all = || CommandTable::get().iter_all().chain(CommandTable::of_sentinel().iter_all()).map(|c| c.spec);
        let missing: Vec<&str> = all().map(|s| s.name).filter(|name| complexity(name).is_empty()).collect();
        assert!(missing.iter().all(|name| OPEN.contains(name)), "{missing:?}");
        for line in HISTORY.lines() {
            let Some((name, (version, change))) =
                line.split_once('\t').and_then(|(n, c)| Some((n, c.split_once('\t')?)))
            else {
                panic!("{line:?} has no three parts")
            };
            let spec = all().find(|spec| spec.name == name).unwrap_or_else(|| panic!("there is no {name}"));
            assert!(spec.changed_in.contains(&version) && change.ends_with('.'), "{line}");
        }
    }

    #[test]
    fn the_old_way_to_tell_keys() {
        let check = |name: &str, expected: (i64, i64, i64), movable: bool| {
            let spec = crate::spec::SPECS.iter().find(|s| s.name == name).unwrap();
            assert_eq!(legacy_range(spec), (expected, movable), "{name}");
        };
        check("get", (1, 1, 1), false);
        check("mset", (1, -1, 2), false);
        check("ping", (0, 0, 0), false);
        check("rename", (1, 2, 1), false);
        check("zunionstore", (1, 1, 1), true);
        check("blpop", (1, -2, 1), false);
    }
}
