//! `rekindle cli`: commands from a terminal or a script, with redis-cli's options and, byte for byte, its output.
//!
//! [`options`] are parsed by hand, since they end where the command begins; [`session`] keeps the connection;
//! [`format`] prints; [`hints`] knows commands; [`repl`] is the interactive part, with [`history`], [`preferences`] and [`messages`]; [`scan`] and [`modes`] are the special modes.
//! Limits: no TLS, no scripts, none of the `--cluster` commands.

mod format;
#[cfg(test)]
mod fuzz;
mod hints;
mod history;
mod messages;
mod modes;
mod options;
mod preferences;
mod repl;
mod scan;
mod session;

use format::Style;
use options::{Mode, Options, Stop};
use session::{Ended, Session};
use std::io::{IsTerminal, Read};
use std::process::ExitCode;

const HELP: &str = "\
Usage: rekindle cli [options] [COMMAND [argument ...]]

Without a command: an interactive session. Options come before the command.

The server
  -h HOST, -p PORT        where it is (127.0.0.1, 6379); -h alone prints this help
  -4, -6                  try its IPv4 or its IPv6 addresses first (-4)
  -t SECONDS              how long connecting may take (10; 0: as long as the system tries)
  -s PATH                 its Unix socket instead
  -u URI                  redis://user:password@host:port/db
  -a PASSWORD, --pass     log in; the variable REDISCLI_AUTH keeps the password out of the process list
  --user NAME             as this ACL user
  --askpass               ask for the password
  --no-auth-warning       do not warn of a password among the arguments
  -n DB                   the database
  -2, -3                  the protocol
  -c                      follow MOVED and ASK to other nodes of a cluster

The command
  -r N, -i SECONDS        run it N times (-1: for ever), with pauses
  -x                      its last argument is the standard input
  -X TAG                  the argument TAG is the standard input
  --quoted-input          arguments are quoted strings
  -e                      exit with status 1 if it fails

The output
  --raw, --no-raw         bare values, or with types (the default on a terminal)
  --csv, --json, --quoted-json
  -d TEXT, -D TEXT        what stands between values, and after a reply, in raw output
  --show-pushes YN        whether to print out-of-band messages

Instead of a command
  --stat                  a line of figures every -i seconds
  --latency, --latency-history, --latency-dist
  --intrinsic-latency S   how long this machine itself stalls a process
  --scan                  list keys (--pattern P, --quoted-pattern P, --count N)
  --bigkeys, --memkeys, --memkeys-samples N, --hotkeys
  --pipe                  send the standard input as it is (--pipe-timeout S)
  --rdb FILE              fetch a snapshot (- for the standard output)
  --functions-rdb FILE    fetch a snapshot of the functions only
  --replica               print the commands that a replica gets
  --verbose, --help, --version
";

/// Runs the command with these arguments.
pub fn main(args: &[String]) -> ExitCode {
    let terminal = std::io::stdout().is_terminal() || std::env::var_os("FAKETTY").is_some();
    let mut options = match options::parse(args, terminal) {
        Ok(options) => options,
        Err(Stop::Help) => {
            print!("{HELP}");
            return ExitCode::SUCCESS;
        }
        Err(Stop::Version) => {
            println!("redis-cli 7.2.4 (rekindle {})", env!("CARGO_PKG_VERSION"));
            return ExitCode::SUCCESS;
        }
        Err(Stop::Error(error)) => {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    };
    if options.ask_password {
        match rustyline::DefaultEditor::new().and_then(|mut e| e.readline("Please input password: ")) {
            Ok(password) => options.target.password = Some(password),
            Err(error) => {
                eprintln!("Error: {error}");
                return ExitCode::FAILURE;
            }
        }
    } else if options.password_seen && options.auth_warning {
        eprintln!("Warning: Using a password with '-a' or '-u' option on the command line interface may not be safe.");
    }
    match run(options) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            if !error.is_empty() {
                eprintln!("{error}");
            }
            ExitCode::FAILURE
        }
    }
}

fn run(options: Options) -> Result<bool, String> {
    let mode = options.mode.clone();
    if let Mode::Intrinsic(seconds) = mode {
        return modes::intrinsic(seconds).map(|()| true);
    }
    if let Mode::TestHints(file) = &mode {
        let mut docs = hints::Docs::own();
        let mut session = Session::new(options);
        // Without a server our own table has to do.
        if session.connect().is_ok()
            && let Ok(reply) = session.call(&[b"COMMAND", b"DOCS"])
        {
            docs.learn(&reply);
        }
        return hints::test_file(&docs, file);
    }
    if mode == Mode::Commands
        && options.command.is_empty()
        && !options.last_from_stdin
        && options.tag_from_stdin.is_none()
    {
        repl::run(&mut Session::new(options));
        return Ok(true);
    }
    if mode == Mode::Commands {
        return one_shot(options);
    }
    let mut session = Session::new(options);
    session.connect()?;
    match mode {
        Mode::Stat => modes::stat(&mut session),
        Mode::Latency => modes::latency(&mut session, false),
        Mode::LatencyHistory => modes::latency(&mut session, true),
        Mode::LatencyDist => modes::latency_dist(&mut session),
        Mode::Scan => scan::scan(&mut session),
        Mode::BigKeys => scan::big_keys(&mut session, false, None),
        Mode::MemKeys(samples) => scan::big_keys(&mut session, true, samples),
        Mode::HotKeys => scan::hot_keys(&mut session),
        Mode::Pipe => modes::pipe(&mut session),
        Mode::Rdb(file) => modes::rdb(&mut session, &file, false),
        Mode::FunctionsRdb(file) => modes::rdb(&mut session, &file, true),
        Mode::Replica => modes::replica(&mut session),
        Mode::Commands | Mode::Intrinsic(_) | Mode::TestHints(_) => Ok(()),
    }
    .map(|()| true)
}

fn one_shot(options: Options) -> Result<bool, String> {
    let mut words = Vec::new();
    for word in &options.command {
        let word = if options.quoted_input {
            match options::unquoted(word) {
                Ok(word) => word,
                Err(_) => {
                    // On the standard output, as scripts expect it from the stock client.
                    println!("Invalid quoted string");
                    return Ok(false);
                }
            }
        } else {
            word.clone().into_bytes()
        };
        words.push(word);
    }
    if options.last_from_stdin || options.tag_from_stdin.is_some() {
        let mut text = Vec::new();
        std::io::stdin().read_to_end(&mut text).map_err(|e| format!("Error reading from stdin: {e}"))?;
        match &options.tag_from_stdin {
            None => words.push(text),
            Some(tag) => match words.iter_mut().find(|w| w.as_slice() == tag.as_bytes()) {
                Some(word) => *word = text,
                None => return Err("Using -X option but stdin tag not match.".into()),
            },
        }
    }
    let (repeat, interval, error_status, style) =
        (options.repeat, options.interval, options.error_status, options.style);
    let mut session = Session::new(options);
    session.connect()?;
    let mut done = 0;
    while repeat < 0 || done < repeat {
        match session.run(&words)? {
            Ended::Reply(true) if error_status => return Ok(false),
            Ended::Reply(_) => {}
            Ended::Streaming => {
                if style == Style::People && session.subscribed > 0 {
                    println!("Reading messages... (press Ctrl-C to quit)");
                }
                loop {
                    session.print_next(false)?;
                }
            }
        }
        done += 1;
        if (repeat < 0 || done < repeat) && !interval.is_zero() {
            std::thread::sleep(interval);
        }
    }
    Ok(true)
}
