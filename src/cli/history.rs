//! The history of the interactive session, in the file and the form that `redis-cli` reads and writes: one entry a line, as typed.
//!
//! Each entry is appended on its own, so that sessions beside each other keep each other's. Commands with a password in them
//! stay out of the file.

use std::fs::{OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// How many entries are kept, which is as many as `redis-cli` keeps.
const ENTRIES_MAX: usize = 100;
/// How many entries a file may grow to before a new session shortens it to [`ENTRIES_MAX`].
const ENTRIES_MAX_IN_FILE: usize = 2 * ENTRIES_MAX;
/// The first line of a file in rustyline's form, where `\\` stands for a backslash.
const ESCAPED_MARK: &str = "#V2";

/// The file, if there is to be one.
#[derive(Debug)]
pub struct History {
    path: Option<PathBuf>,
    last: String,
}

impl History {
    /// The file that the environment names: `REDISCLI_HISTFILE`, or `.rediscli_history` in the home folder.
    pub fn from_environment() -> Self {
        Self::at(super::preferences::dot_file("REDISCLI_HISTFILE", ".rediscli_history"))
    }

    fn at(path: Option<PathBuf>) -> Self {
        Self { path, last: String::new() }
    }

    /// The entries of the file, the oldest first. A long file is shortened, one in another form is brought into this one.
    pub fn load(&mut self) -> Vec<String> {
        let Some(path) = &self.path else { return Vec::new() };
        // A missing file is an empty one; one that cannot be read must not keep anybody from working.
        let Ok(bytes) = std::fs::read(path) else { return Vec::new() };
        let (mut entries, escaped) = entries(&bytes);
        let count = entries.len();
        entries.drain(..count.saturating_sub(ENTRIES_MAX));
        if escaped || count > ENTRIES_MAX_IN_FILE {
            let _ = rewrite(path, &entries);
        }
        self.last = entries.last().cloned().unwrap_or_default();
        entries
    }

    /// Appends an entry, unless it repeats the last one. One with a line break in it would be several to a reader, and stays out.
    pub fn append(&mut self, entry: &str) {
        let Some(path) = &self.path else { return };
        if entry == self.last || entry.contains(['\n', '\r']) {
            return;
        }
        entry.clone_into(&mut self.last);
        let _ = OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o600)
            .open(path)
            .and_then(|mut file| file.write_all(format!("{entry}\n").as_bytes()));
    }
}

/// The entries in a file's bytes, the oldest first, and whether they were in rustyline's form.
pub fn entries(bytes: &[u8]) -> (Vec<String>, bool) {
    let text = String::from_utf8_lossy(bytes);
    let escaped = text.lines().next() == Some(ESCAPED_MARK);
    let entries = text
        .lines()
        .skip(usize::from(escaped))
        .filter(|line| !line.is_empty())
        .map(|line| if escaped { line.replace("\\\\", "\\") } else { line.to_owned() })
        .collect();
    (entries, escaped)
}

/// Replaces a file's entries; at every moment there is a whole file at the path.
fn rewrite(path: &Path, entries: &[String]) -> io::Result<()> {
    // Where the path is a link, the file that it leads to is replaced, not the link.
    let path = path.canonicalize()?;
    let mut beside = path.clone().into_os_string();
    beside.push(format!(".{}", std::process::id()));
    let written = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside).and_then(|mut file| {
        file.set_permissions(Permissions::from_mode(0o600))?;
        file.write_all(entries.iter().map(|e| format!("{e}\n")).collect::<String>().as_bytes())?;
        std::fs::rename(&beside, &path)
    });
    if written.is_err() {
        let _ = std::fs::remove_file(&beside);
    }
    written
}

/// Whether a command must not be written to the history: it has a password in it, or may have.
pub fn is_secret(words: &[Vec<u8>]) -> bool {
    let lower: Vec<Vec<u8>> = words.iter().map(|w| w.to_ascii_lowercase()).collect();
    // A count of repetitions may stand before the command.
    let counted = lower.len() > 1 && base::num::parse_i64(&lower[0]).is_some();
    let lower = &lower[usize::from(counted)..];
    let word = |i: usize| lower.get(i).map_or(&b""[..], Vec::as_slice);
    let any = |secret: fn(&[u8]) -> bool| lower.iter().skip(1).any(|w| secret(w));
    match word(0) {
        b"auth" => true,
        b"acl" => [&b"setuser"[..], b"getuser", b"deluser"].contains(&word(1)),
        b"hello" | b"migrate" => any(|w| w == b"auth" || w == b"auth2"),
        b"config" => word(1) == b"set" && any(is_secret_option),
        b"sentinel" => [&b"set"[..], b"config"].contains(&word(1)) && any(is_secret_option),
        _ => false,
    }
}

/// Whether an option, in lower case, has a password or a user's name for its value.
fn is_secret_option(name: &[u8]) -> bool {
    [
        &b"requirepass"[..],
        b"masterauth",
        b"masteruser",
        b"primaryauth",
        b"primaryuser",
        b"tls-key-file-pass",
        b"tls-client-key-file-pass",
        b"auth-pass",
        b"auth-user",
        b"sentinel-pass",
        b"sentinel-user",
    ]
    .contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_stay_out_of_the_history() {
        let secret = |line: &str| is_secret(&resp::split_args(line.as_bytes()).unwrap());
        for line in [
            "AUTH x",
            "3 auth x",
            "acl setuser a on >x",
            "ACL GETUSER a",
            "config set requirepass x",
            "CONFIG SET maxmemory 1 PrimaryAuth x",
            "config set tls-key-file-pass x",
            "hello 3 auth a b",
            "migrate h 1 k 0 9 AUTH2 a b",
            "sentinel set m auth-pass x",
            "SENTINEL CONFIG SET sentinel-pass x",
        ] {
            assert!(secret(line), "{line}");
        }
        for line in ["get auth", "config get requirepass", "acl whoami", "hello 3", "3 ping", "7", "sentinel masters"] {
            assert!(!secret(line), "{line}");
        }
    }

    fn in_folder(name: &str, test: impl FnOnce(&Path)) {
        let folder = std::env::temp_dir().join(format!("rekindle-history-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        test(&folder.join("history"));
        std::fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn the_file_has_a_line_for_each_entry() {
        in_folder("plain", |path| {
            let mut history = History::at(Some(path.to_owned()));
            assert_eq!(history.load(), Vec::<String>::new());
            for entry in ["set k \"a\\n\\\\\"", "get k", "get k", "set k \"a\nb\"", "#V2"] {
                history.append(entry);
            }
            assert_eq!(std::fs::read_to_string(path).unwrap(), "set k \"a\\n\\\\\"\nget k\n#V2\n");
            assert_eq!(std::fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600);
            assert_eq!(History::at(Some(path.to_owned())).load(), ["set k \"a\\n\\\\\"", "get k", "#V2"]);
        });
    }

    #[test]
    fn sessions_beside_each_other_keep_each_others_entries() {
        in_folder("two", |path| {
            let (mut one, mut two) = (History::at(Some(path.to_owned())), History::at(Some(path.to_owned())));
            one.load();
            two.load();
            one.append("get one");
            two.append("get two");
            one.append("get three");
            assert_eq!(std::fs::read_to_string(path).unwrap(), "get one\nget two\nget three\n");
        });
    }

    #[test]
    fn a_file_in_the_escaped_form_becomes_plain() {
        in_folder("escaped", |path| {
            std::fs::write(path, "#V2\nset k \"a\\\\n\"\nget k\n").unwrap();
            assert_eq!(History::at(Some(path.to_owned())).load(), ["set k \"a\\n\"", "get k"]);
            assert_eq!(std::fs::read_to_string(path).unwrap(), "set k \"a\\n\"\nget k\n");
        });
    }

    #[test]
    fn a_long_file_is_shortened_and_a_link_stays_one() {
        in_folder("long", |path| {
            let behind = path.with_extension("behind");
            let lines: String = (0..=ENTRIES_MAX_IN_FILE).map(|i| format!("get {i}\n")).collect();
            std::fs::write(&behind, &lines).unwrap();
            std::os::unix::fs::symlink(&behind, path).unwrap();
            let entries = History::at(Some(path.to_owned())).load();
            assert_eq!((entries.len(), entries[0].as_str()), (ENTRIES_MAX, "get 101"));
            assert_eq!(std::fs::read_to_string(&behind).unwrap().lines().count(), ENTRIES_MAX);
            assert!(std::fs::symlink_metadata(path).unwrap().is_symlink());
            assert_eq!(std::fs::read_dir(path.parent().unwrap()).unwrap().count(), 2);
        });
    }
}
