//! Settings: the table of options, reading them from files and commands, showing them.
//!
//! Names, defaults, units and error texts are those of `redis.conf` and `CONFIG` of Redis
//! 7.2, so that files written for it work unchanged; options only other products have are
//! in the table where suites or operators need them.

mod access;
mod file;
pub mod missing;
mod options;
mod renames;
pub mod values;

pub use access::DefaultUser;
pub use file::{FileError, Place, Source, rewrite};
pub use options::{OPTIONS, Options};
pub use renames::Renames;

use std::collections::BTreeMap;

/// When an option may be changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutability {
    /// By `CONFIG SET` at any time.
    Live,
    /// Only at the start.
    Fixed,
    /// At any time, but only shown when asked for by its exact name.
    Hidden,
    /// Only at the start, and only shown when asked for by its exact name.
    FixedHidden,
    /// By `CONFIG SET` at any time; its value is a secret or says who knows one, and stands in no log.
    Secret,
}

impl Mutability {
    /// Whether it is left out where names are given by pattern.
    pub fn is_hidden(self) -> bool {
        matches!(self, Self::Hidden | Self::FixedHidden)
    }

    /// Whether its value may be shown to nobody but those who ask for it with `CONFIG GET`.
    pub fn is_secret(self) -> bool {
        matches!(self, Self::Secret)
    }

    /// Whether it may be changed while the server runs.
    pub fn is_live(self) -> bool {
        matches!(self, Self::Live | Self::Hidden | Self::Secret)
    }
}

/// One option.
pub struct OptionSpec {
    /// Its name.
    pub name: &'static str,
    /// Older names that mean the same.
    pub aliases: &'static [&'static str],
    /// When it may be changed.
    pub mutability: Mutability,
    /// What it asks for with any value but its default, where that is not there.
    pub lacks: Option<missing::Missing>,
    show: fn(&Config) -> String,
    parse: fn(&mut Config, &[&[u8]]) -> Result<(), String>,
    lines: fn(&Config, &str) -> Vec<String>,
    takes_many: fn() -> bool,
    copy: fn(&Config, &mut Config),
}

impl OptionSpec {
    /// Its value as `CONFIG GET` shows it.
    pub fn show(&self, config: &Config) -> String {
        (self.show)(config)
    }

    /// Sets it from words; the error says what was expected.
    pub fn parse(&self, config: &mut Config, words: &[&[u8]]) -> Result<(), String> {
        (self.parse)(config, words)
    }

    /// The lines of a configuration file that set it to its value.
    pub fn lines(&self, config: &Config, name: &str) -> Vec<String> {
        (self.lines)(config, name)
    }

    /// Whether it is given as several words.
    pub fn takes_many(&self) -> bool {
        (self.takes_many)()
    }

    /// Gives `to` the value that `from` has.
    pub fn copy(&self, from: &Config, to: &mut Config) {
        (self.copy)(from, to)
    }

    /// All its names.
    pub fn names(&self) -> impl Iterator<Item = &'static str> + use<> {
        std::iter::once(self.name).chain(self.aliases.iter().copied())
    }
}

/// The option with this name, in any case.
pub fn find(name: &[u8]) -> Option<&'static OptionSpec> {
    OPTIONS.iter().find(|o| o.names().any(|n| n.as_bytes().eq_ignore_ascii_case(name)))
}

/// All settings, and what else a configuration file may hold.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// The options.
    pub options: Options,
    /// `rename-command OLD NEW`, in the order given; an empty new name takes the command away.
    pub renamed: Vec<(String, String)>,
    /// This process is a sentinel: the `sentinel` lines of files are its own to read, and it serves no data.
    pub sentinel: bool,
    /// The file the settings came from, as an absolute path.
    pub file: Option<String>,
    /// Options that a file or the command line has set, by name, with the last line that did.
    pub given: BTreeMap<&'static str, Place>,
    /// Where the lines come from that are loaded next.
    pub source: Source,
    /// What `user default …` says of logging in; it counts more than `requirepass`.
    pub default_user: Option<DefaultUser>,
    /// Where that line stands.
    default_user_place: Option<Place>,
    /// What was asked for in vain, and is started without.
    pub ignored: Vec<missing::Ask>,
    /// Lines, other than options, that ask for what is not there.
    asks: Vec<missing::Ask>,
    /// A `save` line has taken the place of the defaults: those of the command line add to the file's.
    saves_given: bool,
}

impl Config {
    /// The settings that a sentinel starts with.
    pub fn of_sentinel() -> Self {
        let mut config = Self { sentinel: true, ..Self::default() };
        config.options.port.0 = 26379;
        config.options.protected_mode = false;
        config
    }

    /// Another file than the one that is rewritten, whose line `user default` would count more, at the next start, than the password that has
    /// been set since.
    pub fn password_is_overruled_by(&self) -> Option<&str> {
        let place = self.default_user_place.as_ref().filter(|_| self.default_user.is_none())?;
        match &place.source {
            Source::File(name) if Some(name) != self.file.as_ref() => Some(name),
            Source::File(_) | Source::Unnamed => None,
            Source::StandardInput => Some("the standard input"),
            Source::CommandLine => Some("the command line"),
        }
    }

    /// Takes over the value that an option has in `from`, and what goes with it.
    pub fn take(&mut self, option: &'static OptionSpec, from: &Self) {
        option.copy(from, self);
        if option.name == "requirepass" {
            self.default_user = None;
        }
        // What the file asks for in vain is no longer what is wanted.
        self.ignored.retain(|ask| ask.option != Some(option.name));
    }
}

/// The entry of the fuzz target `config`: any bytes as a configuration file. What is taken over can be written and read back.
pub fn fuzz_config(data: &[u8]) {
    let mut config = Config::default();
    if config.load(data, &mut |_| Err("no files here".into())).is_ok() {
        let written = rewrite("", &config, false);
        let mut again = Config::default();
        let read = again.load(written.as_bytes(), &mut |_| Err("no files here".into()));
        assert!(read.is_ok(), "what was written must be readable: {read:?}\n{written}");
        for option in OPTIONS {
            assert_eq!(option.show(&again), option.show(&config), "{}\n{written}", option.name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_corpus_runs() {
        for seed in [
            &b"port 7000\nsave 1 2\nsave\nbind 127.0.0.1 -::1\n"[..],
            b"requirepass \"a \\x00 b\"\nlogfile ''\n",
            b"client-output-buffer-limit replica 1mb 2 3\nmaxmemory 10gb\n",
            b"include x\n",
            b"rename-command a \"\"\nnotify-keyspace-events KEA\n",
            b"replicaof no one\nmaxmemory-clients 5%\n",
            b"bind 127.0.0.1 \"-a'b\"\nreplicaof \"a'b\" 1\n",
            b"user default on >a ~* &* +@all\nuser x\nrequirepass \"\\xff\"\n",
            b"\"unbalanced\nport\n",
        ] {
            fuzz_config(seed);
        }
        // The corpus has options with their defaults, so that a fuzzer need not find their names.
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/corpus/config");
        let files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
        let mut seen = Vec::new();
        for file in files {
            let seed = std::fs::read(file).unwrap();
            fuzz_config(&seed);
            seen.extend(seed.split(|byte| *byte == b'\n').filter_map(|line| find(line.split(|b| *b == b' ').next()?)));
        }
        assert!(seen.len() > OPTIONS.len() / 2, "the corpus names {} of {} options", seen.len(), OPTIONS.len());
    }

    proptest! {
        #[test]
        fn lines_of_options_and_chance_are_read_as_they_are_written(option in 0..OPTIONS.len(), value in "[ -~]{0,20}") {
            fuzz_config(format!("{} {value}\n", OPTIONS[option].name).as_bytes());
        }

        #[test]
        fn any_text_is_read_as_it_is_written(option in 0..OPTIONS.len(), words in prop::collection::vec("\\PC{1,6}", 1..4)) {
            let words: Vec<String> = words.iter().map(|word| base::text::quoted(word.as_bytes())).collect();
            fuzz_config(format!("{} {}\n", OPTIONS[option].name, words.join(" ")).as_bytes());
        }
    }
}
