//! The interactive session: prompt, history, completion and hints on a terminal, plain lines from a pipe.

use super::format::Style;
use super::hints::Docs;
use super::history::{History, is_secret};
use super::messages::{self, Keys};
use super::preferences::Preferences;
use super::session::{Ended, Session};
use rustyline::completion::Completer;
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::MemHistory;
use rustyline::validate::Validator;
use rustyline::{Config, Context, Editor, Helper};
use std::io::{self, IsTerminal, Write};
use std::rc::Rc;
use std::time::{Duration, Instant};

/// Commands that take longer are shown with their time.
const SLOW: Duration = Duration::from_millis(500);

const HELP: &str = "\
Help about commands:
      \"help COMMAND\" shows the arguments of COMMAND
      \"help @GROUP\" lists the commands of GROUP
      TAB completes a command's name
      \"quit\" leaves

Preferences:
      \":set hints\" shows the arguments of a command while it is typed
      \":set nohints\" does not
They can stand in ~/.redisclirc, too.
";

/// The standard input, line by line, with the rest of what was read kept where it can be asked for.
#[derive(Default)]
struct Lines {
    buffer: Vec<u8>,
    ended: bool,
}

impl Lines {
    fn next(&mut self) -> Option<Vec<u8>> {
        loop {
            if let Some(end) = self.buffer.iter().position(|b| *b == b'\n') {
                let mut line: Vec<u8> = self.buffer.drain(..=end).collect();
                line.pop();
                return Some(line);
            }
            if self.ended {
                let rest = std::mem::take(&mut self.buffer);
                return (!rest.is_empty()).then_some(rest);
            }
            let mut more = [0; 4096];
            match rustix::io::read(io::stdin(), &mut more) {
                Ok(0) => self.ended = true,
                Ok(n) => self.buffer.extend_from_slice(&more[..n]),
                Err(rustix::io::Errno::INTR) => {}
                Err(_) => self.ended = true,
            }
        }
    }

    fn is_ready(&self) -> bool {
        self.buffer.contains(&b'\n')
    }
}

/// Completion and hints.
struct Hints {
    docs: Rc<Docs>,
    preferences: Rc<Preferences>,
}

impl Helper for Hints {}
impl Validator for Hints {}

impl Highlighter for Hints {
    fn highlight_hint<'h>(&self, hint: &'h str) -> std::borrow::Cow<'h, str> {
        format!("\x1b[90m{hint}\x1b[0m").into()
    }
}

impl Completer for Hints {
    type Candidate = String;

    fn complete(&self, line: &str, pos: usize, _: &Context<'_>) -> rustyline::Result<(usize, Vec<String>)> {
        Ok((0, self.docs.completions(&line[..pos])))
    }
}

impl Hinter for Hints {
    type Hint = String;

    fn hint(&self, line: &str, pos: usize, _: &Context<'_>) -> Option<String> {
        if !self.preferences.hints.get() || pos < line.len() || line.trim().is_empty() {
            return None;
        }
        let hint = self.docs.hint(line);
        let gap = if line.ends_with(' ') { "" } else { " " };
        (!hint.is_empty()).then(|| format!("{gap}{hint}"))
    }
}

/// Where lines come from.
enum Input {
    Terminal(Box<Editor<Hints, MemHistory>>),
    Pipe(Lines),
}

/// What there is to know of the input while messages are read.
fn keys(input: &Input) -> Keys {
    match input {
        Input::Terminal(_) => Keys::Terminal,
        Input::Pipe(lines) => Keys::Pipe { has_line: lines.is_ready() },
    }
}

fn prompt(session: &Session) -> String {
    if session.connection.is_none() {
        return "not connected> ".into();
    }
    let mut prompt = session.options.target.shown();
    if session.db != 0 {
        prompt += &format!("[{}]", session.db);
    }
    if session.in_multi {
        prompt += "(TX)";
    }
    if session.subscribed > 0 {
        prompt += "(subscribed mode)";
    }
    prompt + "> "
}

/// Runs the session to its end.
pub fn run(session: &mut Session) {
    if let Err(error) = session.connect() {
        eprintln!("{error}");
    }
    let mut docs = Docs::own();
    // Only a terminal shows hints, so only there they are worth a question.
    if io::stdin().is_terminal()
        && session.connection.is_some()
        && let Ok(reply) = session.call(&[b"COMMAND", b"DOCS"])
    {
        docs.learn(&reply);
    }
    let docs = Rc::new(docs);
    let preferences = Rc::new(Preferences::default());
    let mut history = History::from_environment();
    let editor = || Editor::with_history(Config::default(), MemHistory::new());
    let mut input = match io::stdin().is_terminal().then(editor) {
        Some(Ok(mut editor)) => {
            preferences.load();
            editor.set_helper(Some(Hints { docs: docs.clone(), preferences: preferences.clone() }));
            for entry in history.load() {
                let _ = editor.add_history_entry(entry);
            }
            Input::Terminal(Box::new(editor))
        }
        _ => Input::Pipe(Lines::default()),
    };
    loop {
        if session.subscribed > 0
            && let Err(error) = messages::follow(session, keys(&input))
        {
            eprintln!("{error}");
        }
        let line = match &mut input {
            Input::Terminal(editor) => match editor.readline(&prompt(session)) {
                Ok(line) => Some(line.into_bytes()),
                // Who is subscribed leaves that first, on a new connection.
                Err(ReadlineError::Interrupted | ReadlineError::Eof) if session.subscribed > 0 => {
                    if let Err(error) = session.connect() {
                        eprintln!("{error}");
                    }
                    continue;
                }
                Err(ReadlineError::Interrupted | ReadlineError::Eof) => None,
                Err(error) => {
                    eprintln!("Error: {error}");
                    None
                }
            },
            Input::Pipe(lines) => lines.next(),
        };
        let Some(line) = line else { break };
        let Ok(mut words) = resp::split_args(&line) else {
            // It can be called back and mended, but nobody knows whether it has a password in it.
            if let Input::Terminal(editor) = &mut input {
                let _ = editor.add_history_entry(String::from_utf8_lossy(&line).as_ref());
            }
            println!("Invalid argument(s)");
            let _ = io::stdout().flush();
            continue;
        };
        if words.is_empty() {
            continue;
        }
        if let Input::Terminal(editor) = &mut input
            && !is_secret(&words)
        {
            let entry = String::from_utf8_lossy(&line);
            let _ = editor.add_history_entry(entry.as_ref());
            history.append(&entry);
        }
        if words[0].starts_with(b":") {
            if let Err(error) = preferences.run(&words) {
                println!("{error}");
                let _ = io::stdout().flush();
            }
            continue;
        }
        let mut times = 1;
        if let Some(n) = base::num::parse_i64(&words[0]).filter(|_| words.len() > 1) {
            if n <= 0 {
                println!("Invalid redis-cli repeat command option value.");
                continue;
            }
            times = n;
            words.remove(0);
        }
        match words[0].to_ascii_lowercase().as_slice() {
            b"quit" | b"exit" => break,
            b"clear" => print!("\x1b[H\x1b[2J"),
            b"help" | b"?" => help(&docs, &words[1..]),
            b"connect" if words.len() == 3 => {
                session.options.target.host = String::from_utf8_lossy(&words[1]).into_owned();
                match base::num::parse_i64(&words[2]).and_then(|p| u16::try_from(p).ok()) {
                    Some(port) => session.options.target.port = port,
                    None => println!("Invalid server port."),
                }
                if let Err(error) = session.connect() {
                    eprintln!("{error}");
                }
            }
            _ => execute(session, &words, times),
        }
        let _ = io::stdout().flush();
    }
}

/// Runs a command so many times; once more after connecting anew where the connection was lost.
fn execute(session: &mut Session, words: &[Vec<u8>], times: i64) {
    let started = Instant::now();
    for i in 0..times {
        if i > 0 && !session.options.interval.is_zero() {
            std::thread::sleep(session.options.interval);
        }
        let had_connection = session.connection.is_some();
        let mut result = session.run(words);
        if result.is_err() && had_connection && session.connection.is_none() {
            result = session.run(words);
        }
        match result {
            Ok(Ended::Reply(_)) => {}
            Ok(Ended::Streaming) if session.subscribed > 0 => {}
            Ok(Ended::Streaming) => while session.print_next(false).is_ok() {},
            Err(error) => {
                eprintln!("{error}");
                return;
            }
        }
    }
    if started.elapsed() > SLOW && session.options.style == Style::People {
        println!("({:.2}s)", started.elapsed().as_secs_f64());
    }
}

/// `help`, `help COMMAND`, `help @GROUP`.
fn help(docs: &Docs, words: &[Vec<u8>]) {
    let wanted = words.iter().map(|w| String::from_utf8_lossy(w)).collect::<Vec<_>>().join(" ");
    if wanted.is_empty() {
        print!("{HELP}");
        return;
    }
    println!("{}", docs.help(&wanted));
}
