//! What the command line knows of commands: their arguments, for hints and help.
//!
//! The server is asked for it (`COMMAND DOCS`), since it may know commands that we do not; what it leaves out comes from our own
//! table. Hints follow the words typed so far through the tree of arguments:
//!
//! ```text
//! SCAN 0 COUNT ▏            arguments: cursor [MATCH pattern] [COUNT count] [TYPE type]
//!              count [MATCH pattern] [TYPE type]
//! ```
//!
//! Optional arguments that stand together may come in any order; a word that fits nowhere ends the hints.

use engine::spec::{Arg, SPECS, Spec};
use resp::Value;
use std::collections::BTreeMap;

/// An argument, or a group of them.
#[derive(Clone, Debug, Default)]
struct Argument {
    name: String,
    kind: String,
    token: String,
    optional: bool,
    multiple: bool,
    multiple_token: bool,
    inner: Vec<Argument>,
}

/// A command.
#[derive(Clone, Debug, Default)]
struct Command {
    summary: String,
    since: String,
    group: String,
    arguments: Vec<Argument>,
}

/// All commands, by their lower-case names with a space before a subcommand's own.
#[derive(Clone, Debug, Default)]
pub struct Docs {
    commands: BTreeMap<String, Command>,
}

fn own(arg: &Arg) -> Argument {
    Argument {
        name: if arg.display.is_empty() { arg.name } else { arg.display }.to_owned(),
        kind: arg.kind.to_owned(),
        token: arg.token.to_owned(),
        optional: arg.optional,
        multiple: arg.multiple,
        multiple_token: arg.multiple_token,
        inner: arg.args.iter().map(own).collect(),
    }
}

fn own_command(spec: &Spec) -> Command {
    Command {
        summary: engine::commands::summary(spec.name).to_owned(),
        since: spec.since.to_owned(),
        group: spec.group.to_owned(),
        arguments: spec.args.iter().map(own).collect(),
    }
}

fn text(value: &Value) -> String {
    value.as_bytes().map_or_else(String::new, |bytes| String::from_utf8_lossy(bytes).into_owned())
}

/// Groups within groups are read so deep. What may be repeated is shown twice, so that each level can double the length of a hint.
const GROUPS_DEPTH_MAX: usize = 8;

fn told_arguments(value: &Value, depth: usize) -> Vec<Argument> {
    if depth == GROUPS_DEPTH_MAX {
        return Vec::new();
    }
    value.elements().iter().map(|argument| told_argument(argument, depth + 1)).collect()
}

fn told_argument(value: &Value, depth: usize) -> Argument {
    let mut argument = Argument::default();
    let mut display = String::new();
    for (name, value) in value.pairs() {
        match text(name).as_str() {
            "name" => argument.name = text(value),
            "display_text" => display = text(value),
            "type" => argument.kind = text(value),
            "token" => argument.token = text(value),
            "arguments" => argument.inner = told_arguments(value, depth),
            "flags" => {
                for flag in value.elements() {
                    match text(flag).as_str() {
                        "optional" => argument.optional = true,
                        "multiple" => argument.multiple = true,
                        "multiple_token" => argument.multiple_token = true,
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
    if !display.is_empty() {
        argument.name = display;
    }
    argument
}

impl Docs {
    /// What our own table says.
    pub fn own() -> Self {
        let commands = SPECS.iter().map(|spec| (spec.name.replace('|', " "), own_command(spec))).collect();
        Self { commands }
    }

    /// Takes over what a server has answered to `COMMAND DOCS`; an error changes nothing.
    pub fn learn(&mut self, reply: &Value) {
        for (name, doc) in reply.pairs() {
            self.learn_command(&text(name), doc);
        }
    }

    fn learn_command(&mut self, name: &str, doc: &Value) {
        let mut command = Command::default();
        for (field, value) in doc.pairs() {
            match text(field).as_str() {
                "summary" => command.summary = text(value),
                "since" => command.since = text(value),
                "group" => command.group = text(value),
                "arguments" => command.arguments = told_arguments(value, 0),
                "subcommands" => {
                    for (name, doc) in value.pairs() {
                        self.learn_command(&text(name), doc);
                    }
                }
                _ => {}
            }
        }
        let name = name.to_lowercase().replace('|', " ");
        if !name.is_empty() && !command.group.is_empty() {
            self.commands.insert(name, command);
        }
    }

    /// Names of commands that begin so, in upper case.
    pub fn completions(&self, typed: &str) -> Vec<String> {
        let typed = typed.to_lowercase();
        self.commands.keys().filter(|name| name.starts_with(&typed)).map(|name| name.to_uppercase()).collect()
    }

    /// The command that the words begin with, and how many words its name has.
    fn find(&self, words: &[String]) -> Option<(&Command, usize)> {
        let first = words.first()?.to_lowercase();
        if let Some(second) = words.get(1)
            && let Some(command) = self.commands.get(&format!("{first} {}", second.to_lowercase()))
        {
            return Some((command, 2));
        }
        self.commands.get(&first).map(|command| (command, 1))
    }

    /// What may follow the line typed so far; empty where nothing may, or nothing is known.
    pub fn hint(&self, line: &str) -> String {
        let Ok(words) = resp::split_args(line.as_bytes()) else { return String::new() };
        let mut words: Vec<String> = words.iter().map(|w| String::from_utf8_lossy(w).into_owned()).collect();
        let Some((_, used)) = self.find(&words) else { return String::new() };
        // A word that is still being typed may become any.
        if !line.ends_with(char::is_whitespace) && words.len() > used {
            words.pop();
        }
        let Some((command, used)) = self.find(&words) else { return String::new() };
        match follow(&command.arguments, &words[used..]) {
            Some((taken, rest)) if taken == words.len() - used => rest,
            _ => String::new(),
        }
    }

    /// The help for a command, its subcommands, or with `@` before it a group.
    pub fn help(&self, wanted: &str) -> String {
        let wanted = wanted.to_lowercase();
        let mut out = String::new();
        for (name, command) in &self.commands {
            let matches = match wanted.strip_prefix('@') {
                Some(group) => command.group == group || command.group.replace('_', "-") == group,
                None => *name == wanted || name.strip_prefix(&wanted).is_some_and(|rest| rest.starts_with(' ')),
            };
            if matches {
                let arguments: Vec<String> = command.arguments.iter().map(syntax).collect();
                out += &format!("\n  {} {}\n", name.to_uppercase(), arguments.join(" "));
                for (title, value) in
                    [("summary", &command.summary), ("since", &command.since), ("group", &command.group)]
                {
                    if !value.is_empty() {
                        out += &format!("  {title}: {value}\n");
                    }
                }
            }
        }
        out
    }
}

/// An argument without what says that it is optional or may be repeated.
fn once(arg: &Argument) -> String {
    let join = |separator: &str| arg.inner.iter().map(syntax).collect::<Vec<_>>().join(separator);
    let inner = match arg.kind.as_str() {
        "oneof" => join("|"),
        "block" => join(" "),
        "pure-token" => String::new(),
        _ => arg.name.clone(),
    };
    match (arg.token.is_empty(), inner.is_empty()) {
        (true, _) => inner,
        // Words are written large, whatever form the facts have: `M|KM`.
        (false, true) => arg.token.to_uppercase(),
        (false, false) => format!("{} {inner}", arg.token.to_uppercase()),
    }
}

/// What an argument that may be repeated looks like the next time.
fn again(arg: &Argument) -> String {
    let whole = once(arg);
    let bare = arg.token.is_empty() || arg.multiple_token;
    let text = if bare { whole.as_str() } else { whole[arg.token.len()..].trim_start() };
    format!("[{text} ...]")
}

/// An argument as documentation writes it: `[EX seconds|PX milliseconds]`.
fn syntax(arg: &Argument) -> String {
    let mut text = once(arg);
    if arg.multiple {
        text = format!("{text} {}", again(arg));
    }
    if arg.optional { format!("[{text}]") } else { text }
}

/// Follows the words through a row of arguments: how many were taken, and what is still to come.
fn follow(args: &[Argument], words: &[String]) -> Option<(usize, String)> {
    let (mut taken, mut index) = (0, 0);
    // What the argument that took the last word still wants.
    let mut open = String::new();
    let mut used = vec![false; args.len()];
    while taken < words.len() && index < args.len() {
        let rest = &words[taken..];
        if !args[index].optional {
            let (n, more) = follow_repeated(&args[index], rest)?;
            (taken, open) = (taken + n, more);
            used[index] = true;
            index += 1;
            continue;
        }
        let end = (index..args.len()).find(|i| !args[*i].optional).unwrap_or(args.len());
        let found = (index..end)
            .filter(|i| !used[*i])
            .find_map(|i| follow_repeated(&args[i], rest).map(|(n, more)| (i, n, more)));
        match found {
            Some((i, n, more)) => {
                (taken, open) = (taken + n, more);
                used[i] = true;
            }
            // None of them is meant: what follows them comes next.
            None => {
                open.clear();
                index = end;
            }
        }
    }
    let later = (index..args.len()).filter(|i| !used[*i]).map(|i| syntax(&args[i]));
    let parts: Vec<String> = std::iter::once(open).chain(later).filter(|part| !part.is_empty()).collect();
    Some((taken, parts.join(" ")))
}

/// One argument as often as it may come; at least one word is taken.
fn follow_repeated(arg: &Argument, words: &[String]) -> Option<(usize, String)> {
    let (mut taken, mut open) = follow_once(arg, words, true)?;
    if !arg.multiple {
        return Some((taken, open));
    }
    while taken < words.len() {
        match follow_once(arg, &words[taken..], arg.multiple_token) {
            Some((n, more)) => (taken, open) = (taken + n, more),
            None => break,
        }
    }
    let mut parts = vec![open, again(arg)];
    parts.retain(|part| !part.is_empty());
    let closing = if arg.optional { "]" } else { "" };
    Some((taken, parts.join(" ") + closing))
}

fn follow_once(arg: &Argument, words: &[String], with_token: bool) -> Option<(usize, String)> {
    let mut taken = 0;
    if with_token && !arg.token.is_empty() {
        if !words.first()?.eq_ignore_ascii_case(&arg.token) {
            return None;
        }
        taken = 1;
    }
    let rest = &words[taken..];
    if arg.kind == "pure-token" {
        return (taken > 0).then(|| (taken, String::new()));
    }
    let Some(word) = rest.first() else {
        let whole = once(arg);
        return Some((taken, whole[arg.token.len()..].trim_start().to_owned()));
    };
    let (n, more) = match arg.kind.as_str() {
        "oneof" => arg.inner.iter().find_map(|choice| follow_repeated(choice, rest))?,
        "block" => follow(&arg.inner, rest).filter(|(n, _)| *n > 0)?,
        "integer" | "unix-time" => word.parse::<i64>().ok().map(|_| (1, String::new()))?,
        "double" => word.parse::<f64>().ok().map(|_| (1, String::new()))?,
        _ => (1, String::new()),
    };
    Some((taken + n, more))
}

/// The quoted string that a text begins with, and what follows it; what follows may touch it.
fn quoted_string(text: &str) -> Option<(String, &str)> {
    let inner = text.trim_start().strip_prefix('"')?;
    let mut escaped = false;
    let end = inner.find(|c| {
        let ends = c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
        ends
    })?;
    let words = resp::split_args(format!("\"{}\"", &inner[..end]).as_bytes()).ok()?;
    Some((String::from_utf8_lossy(words.first()?).into_owned(), &inner[end + 1..]))
}

/// `--test_hint_file`: each line of a file holds what is typed and the hint for it, both quoted. Whether all are right.
pub fn test_file(docs: &Docs, path: &str) -> Result<bool, String> {
    let file = std::fs::read_to_string(path).map_err(|e| format!("Can't open file '{path}': {e}"))?;
    let (mut right, mut all) = (0, 0);
    for line in file.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let bad = || format!("The line must begin with two quoted strings: {line}");
        let (typed, rest) = quoted_string(line).ok_or_else(bad)?;
        let (expected, _) = quoted_string(rest).ok_or_else(bad)?;
        let hint = docs.hint(&typed);
        all += 1;
        if hint == expected {
            right += 1;
        } else {
            println!("Test case '{typed}' FAILED: expected '{expected}', got '{hint}'");
        }
    }
    println!("{}: {right}/{all} passed", if right == all { "SUCCESS" } else { "FAILURE" });
    Ok(right == all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hints_follow_the_arguments() {
        let docs = Docs::own();
        for (line, expected) in [
            ("GET", "key"),
            ("get k ", ""),
            ("LPOP k ", "[count]"),
            ("MGET k ", "[key ...]"),
            ("config set a ", "value [parameter value ...]"),
            ("SCAN 2 COUNT ", "count [MATCH pattern] [TYPE type]"),
            ("SET k v EX ", "seconds [NX|XX] [GET]"),
            ("SET k v EX x ", ""),
            ("SET k v FOO ", ""),
            ("ZADD k CH LT ", "[NX|XX] [INCR] score member [score member ...]"),
            ("ZADD k 0 ", "member [score member ...]"),
            ("BLMOVE a b LEFT ", "LEFT|RIGHT timeout"),
            (
                "GEORADIUS k 1 2 3 M COUNT 12 ",
                "[ANY] [WITHCOORD] [WITHDIST] [WITHHASH] [ASC|DESC] [STORE key|STOREDIST key]",
            ),
            ("GEORADIUS k 1 X ", ""),
            ("nothing ", ""),
        ] {
            assert_eq!(docs.hint(line), expected, "{line}");
        }
    }

    #[test]
    fn quoted_strings_may_touch() {
        assert_eq!(quoted_string(r#""a \" b"" c""#), Some(("a \" b".into(), "\" c\"")));
        assert_eq!(quoted_string("bare"), None);
    }

    #[test]
    fn a_server_may_know_more() {
        let mut docs = Docs::own();
        let bulk = |text: &str| Value::Bulk(text.as_bytes().to_vec());
        let argument = Value::Array(vec![bulk("name"), bulk("colour"), bulk("type"), bulk("string")]);
        let doc = Value::Array(vec![bulk("group"), bulk("module"), bulk("arguments"), Value::Array(vec![argument])]);
        docs.learn(&Value::Array(vec![bulk("paint"), doc]));
        assert_eq!(docs.hint("PAINT "), "colour");
        assert!(docs.help("@module").contains("PAINT colour"));
        docs.learn(&Value::Error(b"NOPERM".to_vec()));
        assert_eq!(docs.hint("GET "), "key");
    }
}
