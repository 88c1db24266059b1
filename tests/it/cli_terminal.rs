//! `cli` on a terminal: the history, preferences, and what is on the screen while messages are read.
//!
//! The terminal is a pseudo-terminal that `script` makes.

use crate::support::{Folder, PATIENCE, Server, have, holds_within, ours, program};
use std::io::{Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex};

/// A client on a terminal of 100 columns, with a home folder of its own.
struct Terminal {
    child: Child,
    keys: ChildStdin,
    screen: Arc<Mutex<Vec<u8>>>,
    seen: usize,
}

impl Terminal {
    /// Starts a client for a server and waits for its prompt.
    fn start(client: &str, server: &Server, home: &Folder) -> Self {
        let line = format!("stty rows 24 cols 100; exec {client} -p {}", server.port);
        let mut command = Command::new("script");
        command.args(["-qec", &line, "/dev/null"]);
        command.env("HOME", home.path()).env("TERM", "xterm").env("SHELL", "/bin/sh");
        for variable in ["REDISCLI_HISTFILE", "REDISCLI_RCFILE", "REDISCLI_AUTH"] {
            command.env_remove(variable);
        }
        let mut child = command
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let (keys, mut output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let screen = Arc::new(Mutex::new(Vec::new()));
        let shared = screen.clone();
        std::thread::spawn(move || {
            let mut more = [0; 4096];
            while let Ok(n @ 1..) = output.read(&mut more) {
                shared.lock().unwrap().extend_from_slice(&more[..n]);
            }
        });
        let mut terminal = Self { child, keys, screen, seen: 0 };
        terminal.expect(&format!("127.0.0.1:{}> ", server.port));
        terminal
    }

    fn ours(server: &Server, home: &Folder) -> Self {
        Self::start(&format!("{} cli", program()), server, home)
    }

    /// What has been written since the last text that was waited for.
    fn shown(&self) -> String {
        String::from_utf8_lossy(&self.screen.lock().unwrap()[self.seen..]).into_owned()
    }

    /// Waits until a text is written after the last one that was waited for; what came before it.
    #[track_caller]
    fn expect(&mut self, text: &str) -> String {
        let mut before = None;
        let came = holds_within(PATIENCE, || {
            let screen = self.screen.lock().unwrap();
            let rest = &screen[self.seen..];
            before = rest.windows(text.len()).position(|w| w == text.as_bytes()).map(|at| rest[..at].to_vec());
            before.is_some()
        });
        assert!(came, "{text:?} does not come after {:?}", self.shown());
        let before = before.unwrap();
        self.seen += before.len() + text.len();
        String::from_utf8(before).unwrap()
    }

    fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
        self.keys.flush().unwrap();
    }

    /// Types a command and waits for its answer.
    #[track_caller]
    fn call(&mut self, command: &str, answer: &str) {
        self.press(&format!("{command}\r"));
        self.expect(&format!("\n{answer}\r\n"));
        self.expect("> ");
    }

    /// Types a command that is not answered, and waits for the next prompt. For our client only: it ends each line so.
    #[track_caller]
    fn tell(&mut self, command: &str) {
        self.press(&format!("{command}\r"));
        self.expect("\x1b[?2004l\r\n");
        self.expect("> ");
    }

    /// Leaves, and waits until the client has ended.
    fn leave(mut self) {
        self.press("quit\r");
        let ended = holds_within(PATIENCE, || self.child.try_wait().unwrap().is_some());
        assert!(ended, "the client does not leave: {:?}", self.shown());
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const UP: &str = "\x1b[A";

#[test]
fn the_history_is_shared_with_the_stock_client() {
    if !have("script") || !have("redis-cli") {
        return;
    }
    let (server, home) = (ours(&[]), Folder::new());
    let file = home.file(".rediscli_history");
    let mut terminal = Terminal::ours(&server, &home);
    terminal.call("set k \"a\\\\b\"", "OK");
    terminal.call("3 auth s3cret", "(error) ERR AUTH <password> called without any password configured for the default user. Are you sure your configuration is correct?");
    terminal.call("echo \"unfinished", "Invalid argument(s)");
    terminal.call("get k", "\"a\\\\b\"");
    terminal.leave();
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "set k \"a\\\\b\"\nget k\nquit\n");

    // The stock client calls back what we have written, and writes what we call back.
    let mut terminal = Terminal::start("redis-cli", &server, &home);
    terminal.press(&UP.repeat(3));
    terminal.expect("set k \"a\\\\b\"");
    terminal.call("", "OK");
    terminal.call("echo stock", "\"stock\"");
    terminal.leave();
    let mut terminal = Terminal::ours(&server, &home);
    terminal.press(&UP.repeat(2));
    terminal.expect("echo stock");
    terminal.call("", "\"stock\"");
    terminal.leave();
    let written = std::fs::read_to_string(&file).unwrap();
    assert!(written.ends_with("set k \"a\\\\b\"\necho stock\nquit\necho stock\nquit\n"), "{written}");
}

#[test]
fn hints_are_shown_unless_a_person_says_no() {
    if !have("script") {
        return;
    }
    let (server, home) = (ours(&[]), Folder::new());
    // The hint of GET is there before the command ends, or it is not there at all.
    let hinted = |terminal: &mut Terminal| {
        terminal.press("get k\x7f\x7f \x7f\r");
        let shown = terminal.expect("wrong number of arguments");
        terminal.expect("> ");
        shown.contains("\x1b[90mkey") || shown.contains("\x1b[90m key")
    };
    let mut terminal = Terminal::ours(&server, &home);
    assert!(hinted(&mut terminal));
    terminal.tell(":set nohints");
    assert!(!hinted(&mut terminal));
    terminal.call(":set foo", "unknown redis-cli preference 'foo'");
    terminal.call(":foo", "unknown redis-cli internal command ':foo'");
    terminal.tell(":set hints");
    assert!(hinted(&mut terminal));
    terminal.leave();

    std::fs::write(home.file(".redisclirc"), ":set nohints\n:set foo\n").unwrap();
    let mut terminal = Terminal::ours(&server, &home);
    let screen = String::from_utf8_lossy(&terminal.screen.lock().unwrap()).into_owned();
    assert!(screen.starts_with(".redisclirc: unknown redis-cli preference 'foo'\r\n"), "{screen}");
    assert!(!hinted(&mut terminal));
    terminal.leave();
}

/// The status line and the prompt are those of valkey-cli 9.1 and redis-cli 8.0, byte for byte.
const STATUS: &str = "\x1b[1;90mReading messages... (press Ctrl-C to quit or any key to type command)\r\x1b[0m";

#[test]
fn keys_open_a_prompt_while_messages_are_read() {
    if !have("script") {
        return;
    }
    let (server, home) = (ours(&[]), Folder::new());
    let prompt = format!("127.0.0.1:{}(subscribed mode)> ", server.port);
    let mut terminal = Terminal::ours(&server, &home);
    terminal.press("subscribe ch\r");
    terminal.expect("1) \"subscribe\"\r\n2) \"ch\"\r\n3) (integer) 1\r\n");
    assert_eq!(terminal.expect(STATUS), "");
    let message = |text: &str| format!("\x1b[K1) \"message\"\r\n2) \"ch\"\r\n3) \"{text}\"\r\n{STATUS}");
    server.call(&["PUBLISH", "ch", "one"]);
    assert_eq!(terminal.expect(&message("one")), "");

    // An arrow calls back the last line in the prompt; nothing of it is on the line of the status.
    terminal.press(UP);
    assert!(terminal.expect(&prompt).starts_with("\x1b[K"));
    terminal.expect("subscribe ch");
    assert!(!String::from_utf8_lossy(&terminal.screen.lock().unwrap()).contains("^["));
    terminal.press("2\r");
    terminal.expect("1) \"subscribe\"\r\n2) \"ch2\"\r\n3) (integer) 2\r\n");
    assert_eq!(terminal.expect(STATUS), "");

    // What comes while somebody types waits, and is there afterwards.
    terminal.press("p");
    assert!(terminal.expect(&prompt).starts_with("\x1b[K"));
    terminal.expect("p");
    server.call(&["PUBLISH", "ch", "two"]);
    terminal.press("ing\r");
    terminal.expect("3) \"two\"\r\n");
    terminal.expect("1) \"pong\"\r\n2) \"\"\r\n");
    terminal.expect(STATUS);

    // Ctrl-C leaves the subscriptions, not the client.
    terminal.press("\x03");
    terminal.expect(&format!("\r\x1b[K127.0.0.1:{}> ", server.port));
    terminal.call("ping", "PONG");
    assert_eq!(server.int(&["PUBLISH", "ch", "nobody"]), 0);
    terminal.leave();
}

#[test]
fn the_end_of_a_subscription_is_the_plain_prompt() {
    if !have("script") {
        return;
    }
    let (server, home) = (ours(&[]), Folder::new());
    let mut terminal = Terminal::ours(&server, &home);
    terminal.press("subscribe ch\r");
    terminal.expect(STATUS);
    terminal.press("u");
    terminal.expect("(subscribed mode)> ");
    terminal.press("nsubscribe\r");
    terminal.expect("3) (integer) 0\r\n");
    terminal.expect(&format!("\r\x1b[K127.0.0.1:{}> ", server.port));
    terminal.call("ping", "PONG");
    terminal.leave();
}
