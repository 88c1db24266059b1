//! Settings: the table of options, reading them from files and commands, showing them.
//!
//! Names, defaults, units and error texts are those of `redis.conf` and `CONFIG` of Redis
//! 7.2, so that files written for it work unchanged; options only other products have are
//! in the table where suites or operators need them.

mod file;
mod options;
pub mod values;

pub use file::{FileError, rewrite};
pub use options::{OPTIONS, Options};

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
}

impl Mutability {
    /// Whether it is left out where names are given by pattern.
    pub fn is_hidden(self) -> bool {
        matches!(self, Self::Hidden | Self::FixedHidden)
    }

    /// Whether it may be changed while the server runs.
    pub fn is_live(self) -> bool {
        matches!(self, Self::Live | Self::Hidden)
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
    /// Options that a file or the command line has set, by name.
    pub given: std::collections::BTreeSet<&'static str>,
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

    /// What the settings ask for and the server does not do yet, with the option that asks for it: it must not be
    /// believed to be there.
    pub fn not_there_yet(&self) -> Vec<(&'static str, &'static str)> {
        let all = [
            (
                self.appendonly,
                "appendonly",
                "there is no append-only file yet: data is saved by RDB files and replicas alone",
            ),
            (self.cluster_enabled, "cluster-enabled", "there is no cluster mode yet: this server is on its own"),
            (self.tls_port.get() > 0, "tls-port", "there is no TLS yet: nothing listens on that port"),
            (
                !self.aclfile.get().is_empty(),
                "aclfile",
                "there are no ACL users yet: only requirepass protects the data",
            ),
        ];
        all.iter().filter(|(asked, ..)| *asked).map(|(_, name, what)| (*name, *what)).collect()
    }
}

/// The entry of the fuzz target `config`: any bytes as a configuration file. What is taken over can be written and read back.
pub fn fuzz_config(data: &[u8]) {
    let mut config = Config::default();
    if config.load(data, &mut |_| Err("no files here".into())).is_ok() {
        let written = rewrite("", &config, false);
        let mut again = Config::default();
        let read = again.load(written.as_bytes(), &mut |_| Err("no files here".into()));
        assert!(read.is_ok(), "what was written must be readable: {read:?}");
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
            b"\"unbalanced\nport\n",
        ] {
            fuzz_config(seed);
        }
    }

    #[test]
    fn what_is_not_there_is_named() {
        let mut config = Config::default();
        assert!(config.not_there_yet().is_empty());
        config.load(b"appendonly yes\ntls-port 7000\n", &mut |_| Err(String::new())).unwrap();
        let names: Vec<&str> = config.not_there_yet().iter().map(|(name, _)| *name).collect();
        assert_eq!(names, ["appendonly", "tls-port"]);
    }

    proptest! {
        #[test]
        fn lines_of_options_and_chance_never_panic(option in 0..OPTIONS.len(), value in "[ -~]{0,20}") {
            fuzz_config(format!("{} {value}\n", OPTIONS[option].name).as_bytes());
        }
    }
}
