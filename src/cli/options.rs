//! The options of `cli`, parsed as `redis-cli` does: up to the first word that is none, which begins the command.

use super::format::{Delimiters, Style};
use crate::uri::Target;
use crate::wire::Prefer;
use std::time::Duration;

/// How long connecting may take where `-t` does not say.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// What to do apart from sending commands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mode {
    /// The command given, or an interactive session.
    Commands,
    /// `--stat`
    Stat,
    /// `--latency`
    Latency,
    /// `--latency-history`
    LatencyHistory,
    /// `--latency-dist`
    LatencyDist,
    /// `--intrinsic-latency` seconds
    Intrinsic(u64),
    /// `--scan`
    Scan,
    /// `--bigkeys`
    BigKeys,
    /// `--memkeys`, with SAMPLES
    MemKeys(Option<u64>),
    /// `--hotkeys`
    HotKeys,
    /// `--pipe`
    Pipe,
    /// `--replica`
    Replica,
    /// `--rdb` file
    Rdb(String),
    /// `--functions-rdb` file
    FunctionsRdb(String),
    /// `--test_hint_file` file
    TestHints(String),
}

/// All options.
#[derive(Clone, Debug)]
pub struct Options {
    /// The server.
    pub target: Target,
    /// How long connecting may take; none: as long as the system tries.
    pub connect_timeout: Option<Duration>,
    /// Which addresses of a name to try first, if it is set.
    pub prefer: Option<Prefer>,
    /// Ask for the password.
    pub ask_password: bool,
    /// Whether the password was an argument.
    pub password_seen: bool,
    /// Whether to warn of a password among the arguments.
    pub auth_warning: bool,
    /// How often the command runs; negative: for ever.
    pub repeat: i64,
    /// The pause between runs.
    pub interval: Duration,
    /// The protocol to begin with, if it is set.
    pub protocol: Option<u8>,
    /// Read the last argument from the standard input.
    pub last_from_stdin: bool,
    /// Read the argument that has this name from the standard input.
    pub tag_from_stdin: Option<String>,
    /// Print how.
    pub style: Style,
    /// Delimiters of the raw style.
    pub delimiters: Delimiters,
    /// Failed commands set the exit status.
    pub error_status: bool,
    /// Arguments are quoted strings.
    pub quoted_input: bool,
    /// Keys to look at.
    pub pattern: Option<Vec<u8>>,
    /// COUNT of SCAN.
    pub count: Option<u64>,
    /// How long `--pipe` waits for the last reply; zero: for ever.
    pub pipe_timeout: Duration,
    /// Follow MOVED and ASK to other nodes of a cluster.
    pub cluster: bool,
    /// Say more.
    pub verbose: bool,
    /// Print out-of-band messages.
    pub show_pushes: Option<bool>,
    /// What to do.
    pub mode: Mode,
    /// The command.
    pub command: Vec<String>,
}

/// `--help` or `--version` was asked for, or the options are wrong.
pub enum Stop {
    /// Print the help.
    Help,
    /// Print the version.
    Version,
    /// Complain, in these words.
    Error(String),
}

/// Parses the arguments; `terminal` tells whether the output goes to one.
///
/// # Errors
/// See [`Stop`].
pub fn parse(args: &[String], terminal: bool) -> Result<Options, Stop> {
    let newline = || b"\n".to_vec();
    let mut o = Options {
        target: Target::default(),
        connect_timeout: Some(CONNECT_TIMEOUT),
        prefer: None,
        ask_password: false,
        password_seen: false,
        auth_warning: true,
        repeat: 1,
        interval: Duration::ZERO,
        protocol: None,
        last_from_stdin: false,
        tag_from_stdin: None,
        style: if terminal { Style::People } else { Style::Raw },
        delimiters: Delimiters { element: newline(), reply: newline() },
        error_status: false,
        quoted_input: false,
        pattern: None,
        count: None,
        pipe_timeout: Duration::from_secs(30),
        cluster: false,
        verbose: false,
        show_pushes: None,
        mode: Mode::Commands,
        command: Vec::new(),
    };
    o.target.password = std::env::var("REDISCLI_AUTH").ok();
    let mut i = 0;
    let (mut v4, mut v6) = (false, false);
    while let Some(word) = args.get(i) {
        let bad = || Stop::Error(format!("Unrecognized option or bad number of args for: '{word}'"));
        let mut value = || {
            i += 1;
            args.get(i).cloned().ok_or_else(bad)
        };
        let number =
            |text: String| text.parse::<u64>().map_err(|_| Stop::Error(format!("{word}: '{text}' is not a number")));
        match word.as_str() {
            // Without a host it is what people type for help.
            "-h" => o.target.host = value().map_err(|_| Stop::Help)?,
            "-p" => {
                let text = value()?;
                o.target.port = text.parse().map_err(|_| Stop::Error("Invalid server port.".into()))?;
            }
            "-t" => o.connect_timeout = timeout(&value()?)?,
            "-4" => v4 = true,
            "-6" => v6 = true,
            "-s" => o.target.socket = Some(value()?),
            "-a" | "--pass" => {
                o.target.password = Some(value()?);
                o.password_seen = true;
            }
            "--askpass" => o.ask_password = true,
            "--user" => o.target.user = Some(value()?),
            "-u" => {
                let uri = value()?;
                o.target.apply_uri(&uri).map_err(Stop::Error)?;
            }
            "-n" => {
                let text = value()?;
                o.target.db = text.parse().map_err(|_| Stop::Error(format!("-n: '{text}' is not a number")))?;
            }
            "-r" => {
                let text = value()?;
                o.repeat = text.parse().map_err(|_| Stop::Error(format!("-r: '{text}' is not a number")))?;
            }
            "-i" => {
                let text = value()?;
                let seconds: f64 = text.parse().map_err(|_| Stop::Error(format!("-i: '{text}' is not a number")))?;
                o.interval = Duration::try_from_secs_f64(seconds)
                    .map_err(|_| Stop::Error(format!("-i: '{text}' is no time")))?;
            }
            "-d" => o.delimiters.element = value()?.into_bytes(),
            "-D" => o.delimiters.reply = value()?.into_bytes(),
            "-2" => o.protocol = Some(2),
            "-3" => o.protocol = Some(3),
            "-x" => o.last_from_stdin = true,
            "-X" => o.tag_from_stdin = Some(value()?),
            "-c" => o.cluster = true,
            "-e" => o.error_status = true,
            "--verbose" => o.verbose = true,
            "--no-auth-warning" => o.auth_warning = false,
            "--raw" => o.style = Style::Raw,
            "--no-raw" => o.style = Style::People,
            "--csv" => o.style = Style::Csv,
            "--json" | "--quoted-json" => {
                o.style = if word == "--json" { Style::Json } else { Style::QuotedJson };
                o.protocol = o.protocol.or(Some(3));
            }
            "--quoted-input" => o.quoted_input = true,
            "--show-pushes" => o.show_pushes = Some(value()?.to_lowercase().starts_with('y')),
            "--stat" => o.mode = Mode::Stat,
            "--latency" => o.mode = Mode::Latency,
            "--latency-history" => o.mode = Mode::LatencyHistory,
            "--latency-dist" => o.mode = Mode::LatencyDist,
            "--intrinsic-latency" => o.mode = Mode::Intrinsic(number(value()?)?),
            "--scan" => o.mode = Mode::Scan,
            "--bigkeys" => o.mode = Mode::BigKeys,
            "--memkeys" => o.mode = Mode::MemKeys(None),
            "--memkeys-samples" => o.mode = Mode::MemKeys(Some(number(value()?)?)),
            "--hotkeys" => o.mode = Mode::HotKeys,
            "--pattern" => o.pattern = Some(value()?.into_bytes()),
            "--quoted-pattern" => o.pattern = Some(unquoted(&value()?)?),
            "--count" => o.count = Some(number(value()?)?),
            "--pipe" => o.mode = Mode::Pipe,
            "--pipe-timeout" => o.pipe_timeout = Duration::from_secs(number(value()?)?),
            "--replica" | "--slave" => o.mode = Mode::Replica,
            "--rdb" => o.mode = Mode::Rdb(value()?),
            "--functions-rdb" => o.mode = Mode::FunctionsRdb(value()?),
            "--test_hint_file" => o.mode = Mode::TestHints(value()?),
            "--help" => return Err(Stop::Help),
            "-v" | "--version" => return Err(Stop::Version),
            other if other.starts_with('-') => return Err(bad()),
            _ => {
                o.command = args[i..].to_vec();
                break;
            }
        }
        i += 1;
    }
    o.prefer = match (v4, v6) {
        (true, true) => return Err(Stop::Error("Options -4 and -6 are mutually exclusive.".into())),
        (true, false) => Some(Prefer::V4),
        (false, true) => Some(Prefer::V6),
        (false, false) => None,
    };
    if o.last_from_stdin && o.tag_from_stdin.is_some() {
        return Err(Stop::Error("Options -x and -X are mutually exclusive.".into()));
    }
    Ok(o)
}

/// The seconds of `-t`; zero means no limit, and so does more than a clock can count.
fn timeout(text: &str) -> Result<Option<Duration>, Stop> {
    let seconds = text.parse::<f64>().ok().filter(|seconds| *seconds >= 0.0);
    let Some(seconds) = seconds else { return Err(Stop::Error("Invalid connection timeout for -t.".into())) };
    // Less than the socket's clock can tell is still a limit.
    let least = Duration::from_micros(1);
    Ok(Duration::try_from_secs_f64(seconds).ok().filter(|_| seconds > 0.0).map(|timeout| timeout.max(least)))
}

/// What one quoted word says.
///
/// # Errors
/// The quotes do not match, or it is not one word.
pub fn unquoted(text: &str) -> Result<Vec<u8>, Stop> {
    match resp::split_args(text.as_bytes()) {
        Ok(mut words) if words.len() == 1 => Ok(words.remove(0)),
        _ => Err(Stop::Error("Invalid quoted string".into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Standard error's words of valkey-cli 9.1 and redis-cli 8.0 for the refused ones.
    #[test]
    fn a_connection_timeout_is_a_number_of_seconds() {
        let parsed = |text: &str| {
            let args = ["-t".to_owned(), text.to_owned()];
            match parse(&args, false) {
                Ok(options) => Ok(options.connect_timeout),
                Err(Stop::Error(error)) => Err(error),
                Err(Stop::Help | Stop::Version) => Err(String::new()),
            }
        };
        assert_eq!(parsed("0.25"), Ok(Some(Duration::from_millis(250))));
        assert_eq!(parsed("3"), Ok(Some(Duration::from_secs(3))));
        assert_eq!(parsed("1e-12"), Ok(Some(Duration::from_micros(1))));
        for unlimited in ["0", "0.0", "1e300", "inf"] {
            assert_eq!(parsed(unlimited), Ok(None), "{unlimited}");
        }
        for bad in ["", "x", "-1", "nan", "1s"] {
            assert_eq!(parsed(bad), Err("Invalid connection timeout for -t.".to_owned()), "{bad}");
        }
    }

    #[test]
    fn a_host_option_without_a_host_asks_for_help() {
        let parsed = |words: &[&str]| parse(&words.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>(), false);
        assert!(matches!(parsed(&["-h"]), Err(Stop::Help)) && matches!(parsed(&["-p", "1", "-h"]), Err(Stop::Help)));
        assert!(parsed(&["-h", "host"]).is_ok_and(|options| options.target.host == "host"));
        assert!(matches!(parsed(&["-p"]), Err(Stop::Error(_))));
    }
}
