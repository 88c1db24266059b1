//! What a person has set for the interactive session, by `:set …` or in `~/.redisclirc`, and where such files are.
//!
//! The file has a command a line, as they are typed: `:set hints`, `:set nohints`.

use std::cell::Cell;
use std::path::{Path, PathBuf};

/// What can be set.
#[derive(Debug)]
pub struct Preferences {
    /// Whether hints are shown.
    pub hints: Cell<bool>,
}

impl Default for Preferences {
    fn default() -> Self {
        Self { hints: Cell::new(true) }
    }
}

impl Preferences {
    /// Runs one command for the client itself, which begins with a colon.
    ///
    /// # Errors
    /// There is no such command or preference; in the words of `redis-cli`.
    pub fn run(&self, words: &[Vec<u8>]) -> Result<(), String> {
        let shown = |i: usize| String::from_utf8_lossy(words.get(i).map_or(&[], Vec::as_slice)).into_owned();
        if words.len() < 2 || !words[0].eq_ignore_ascii_case(b":set") {
            return Err(format!("unknown redis-cli internal command '{}'", shown(0)));
        }
        match words[1].to_ascii_lowercase().as_slice() {
            b"hints" => self.hints.set(true),
            b"nohints" => self.hints.set(false),
            _ => return Err(format!("unknown redis-cli preference '{}'", shown(1))),
        }
        Ok(())
    }

    /// Runs the commands of the file that the environment names: `REDISCLI_RCFILE`, or `.redisclirc` in the home folder. What is
    /// wrong there is said, and the rest counts.
    pub fn load(&self) {
        let Some(text) = dot_file("REDISCLI_RCFILE", ".redisclirc").and_then(|path| std::fs::read(path).ok()) else {
            return;
        };
        for error in self.run_all(&text) {
            println!(".redisclirc: {error}");
        }
    }

    /// Runs a command a line; what is wrong with them.
    pub fn run_all(&self, text: &[u8]) -> Vec<String> {
        let mut errors = Vec::new();
        for line in text.split(|b| *b == b'\n') {
            match resp::split_args(line) {
                Ok(words) if words.is_empty() => {}
                Ok(words) => errors.extend(self.run(&words).err()),
                Err(_) => errors.push(format!("quotes do not match in '{}'", String::from_utf8_lossy(line))),
            }
        }
        errors
    }
}

/// The file that a variable names, or else the one of this name in the home folder. `/dev/null` means none.
pub fn dot_file(variable: &str, name: &str) -> Option<PathBuf> {
    match std::env::var_os(variable).filter(|path| !path.is_empty()) {
        Some(path) if path == "/dev/null" => None,
        Some(path) => Some(path.into()),
        None => std::env::var_os("HOME").filter(|home| !home.is_empty()).map(|home| Path::new(&home).join(name)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The words of redis-cli 7.0, but for the open quote, which it passes over.
    #[test]
    fn what_is_wrong_is_said_and_the_rest_counts() {
        let preferences = Preferences::default();
        let errors = preferences
            .run_all(b":set nohints\n\n:set foo\r\nget x\n:bar\n:set\n:set \"open\n:SET Hints\n:set nohints");
        let want = [
            "unknown redis-cli preference 'foo'",
            "unknown redis-cli internal command 'get'",
            "unknown redis-cli internal command ':bar'",
            "unknown redis-cli internal command ':set'",
            "quotes do not match in ':set \"open'",
        ];
        assert_eq!(errors, want);
        assert!(!preferences.hints.get());
        assert_eq!(preferences.run_all(b":SET Hints"), Vec::<String>::new());
        assert!(preferences.hints.get());
    }
}
