//! `rename-command OLD NEW`: names that commands get and lose, in the order of the lines.
//!
//! As in Redis a line sees what the lines before it have left: a name that was given away is free again. Names of commands that exist in
//! Redis and are not there yet can be renamed and taken away as well, so that files which guard against them start.

use super::Config;
use crate::spec::{Flags, SPECS};
use std::collections::BTreeMap;

/// For each name in lower case that a line has changed: the original name of its command; none where it has lost it.
pub type Renames = BTreeMap<Box<[u8]>, Option<Box<[u8]>>>;

impl Config {
    /// What all lines together come to.
    pub fn renames(&self) -> Renames {
        let mut all = Renames::new();
        for (old, new) in &self.renamed {
            let old: Box<[u8]> = old.to_ascii_lowercase().into_bytes().into();
            let original = all.insert(old.clone(), None).unwrap_or(Some(old));
            if !new.is_empty() {
                all.insert(new.to_ascii_lowercase().into_bytes().into(), original);
            }
        }
        all
    }

    /// Takes over a line.
    pub(super) fn rename_command(&mut self, old: &[u8], new: &[u8]) -> Result<(), String> {
        let name = |word: &[u8]| {
            String::from_utf8(word.to_vec()).map_err(|_| "the name of a command must be valid UTF-8".to_owned())
        };
        let (old, new) = (name(old)?, name(new)?);
        let renames = self.renames();
        if !self.is_command(&renames, &old) {
            return Err(format!("No such command in rename-command: '{old}' is not the name of a command (any more)"));
        }
        if !new.is_empty() && !new.eq_ignore_ascii_case(&old) && self.is_command(&renames, &new) {
            return Err(format!(
                "Target command name already exists: '{new}' is a command. Choose a name that is free, or rename that one first"
            ));
        }
        self.renamed.push((old, new));
        Ok(())
    }

    fn is_command(&self, renames: &Renames, name: &str) -> bool {
        match renames.get(name.to_ascii_lowercase().as_bytes()) {
            Some(command) => command.is_some(),
            None => SPECS.iter().any(|spec| {
                let belongs = if self.sentinel {
                    spec.flags.has(Flags::SENTINEL) || spec.name == "quit"
                } else {
                    !spec.flags.has(Flags::ONLY_SENTINEL)
                };
                belongs && !spec.name.contains('|') && spec.name.eq_ignore_ascii_case(name)
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(text: &str) -> Result<Renames, String> {
        let mut config = Config::default();
        config.load(text.as_bytes(), &mut |_| Err(String::new())).map_err(|e| e.reason)?;
        Ok(config.renames())
    }

    /// What Redis 7.0 takes and refuses.
    #[test]
    fn names_are_given_in_the_order_of_the_lines() {
        let no_such =
            |name| Err(format!("No such command in rename-command: '{name}' is not the name of a command (any more)"));
        let exists = |name| {
            Err(format!(
                "Target command name already exists: '{name}' is a command. Choose a name that is free, or rename that one first"
            ))
        };
        let map = |pairs: &[(&str, Option<&str>)]| {
            Ok(pairs
                .iter()
                .map(|(name, command)| (name.as_bytes().into(), command.map(|c| c.as_bytes().into())))
                .collect::<Renames>())
        };
        for (text, expected) in [
            ("rename-command GET SET", exists("SET")),
            ("rename-command GET set", exists("set")),
            ("rename-command NOSUCH x", no_such("NOSUCH")),
            ("rename-command NOSUCH \"\"", no_such("NOSUCH")),
            ("rename-command \"\" x", no_such("")),
            ("rename-command config|get x", no_such("config|get")),
            ("rename-command sentinel x", no_such("sentinel")),
            ("rename-command GET a\nrename-command GET b", no_such("GET")),
            ("rename-command GET a\nrename-command SET A", exists("A")),
            ("rename-command GET \"\"\nrename-command SET get", map(&[("get", Some("set")), ("set", None)])),
            ("rename-command GET a\nrename-command a b", map(&[("a", None), ("b", Some("get")), ("get", None)])),
            ("rename-command GET Get", map(&[("get", Some("get"))])),
            ("rename-command EVAL \"\"\nrename-command MODULE \"\"", map(&[("eval", None), ("module", None)])),
        ] {
            assert_eq!(load(text), expected, "{text}");
        }
    }
}
