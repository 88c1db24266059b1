//! The little of RESP that a load generator needs.
//!
//! [`Control`] is a blocking connection for single commands, whose answers are wanted.
//! [`Counter`] only counts answers, because at full load nobody reads them: it walks over the
//! bytes once, keeps no copy, and jumps over the contents of strings:
//!
//! ```text
//! bytes  $64\r\n xxxx…xxxx\r\n  *2\r\n $1\r\n a\r\n :5\r\n  +OK\r\n
//!        head    skip           open=2 skip        done    done
//! ```
//!
//! Limits: RESP2 as servers send it to these commands; maps and attributes do not occur.

use anyhow::{Context, Result, bail};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// Appends a command in its wire form.
pub fn command(out: &mut Vec<u8>, args: &[&[u8]]) {
    out.extend_from_slice(format!("*{}\r\n", args.len()).as_bytes());
    for arg in args {
        out.extend_from_slice(format!("${}\r\n", arg.len()).as_bytes());
        out.extend_from_slice(arg);
        out.extend_from_slice(b"\r\n");
    }
}

/// Counts complete answers in a stream of bytes.
#[derive(Debug, Default)]
pub struct Counter {
    /// Bytes of a string and its line end that are still to come.
    skip: usize,
    /// Elements of the current answer that are still to come; 0 outside arrays.
    open: usize,
    /// The beginning of a line whose end has not come yet.
    line: Vec<u8>,
    /// The first error answer, if there was one.
    pub error: Option<String>,
}

impl Counter {
    /// Takes the next bytes and tells how many answers were completed by them.
    pub fn feed(&mut self, mut bytes: &[u8]) -> usize {
        let mut done = 0;
        loop {
            if self.skip > 0 {
                let n = self.skip.min(bytes.len());
                self.skip -= n;
                bytes = &bytes[n..];
                if self.skip > 0 {
                    return done;
                }
                done += self.element();
            }
            let Some(end) = memchr::memchr(b'\n', bytes) else {
                self.line.extend_from_slice(bytes);
                return done;
            };
            let (head, rest) = bytes.split_at(end + 1);
            bytes = rest;
            if self.line.is_empty() {
                done += self.head(head);
            } else {
                let mut line = std::mem::take(&mut self.line);
                line.extend_from_slice(head);
                done += self.head(&line);
            }
        }
    }

    /// Takes one line and gives the number of answers that end with it, 0 or 1.
    fn head(&mut self, line: &[u8]) -> usize {
        match line[0] {
            b'$' => match number(line) {
                n if n < 0 => self.element(),
                n => {
                    self.skip = n as usize + 2;
                    0
                }
            },
            b'*' => match number(line) {
                n if n <= 0 => self.element(),
                n => {
                    self.open = self.open.saturating_sub(1) + n as usize;
                    0
                }
            },
            b'-' => {
                if self.error.is_none() {
                    self.error = Some(String::from_utf8_lossy(line).trim().to_owned());
                }
                self.element()
            }
            _ => self.element(),
        }
    }

    fn element(&mut self) -> usize {
        self.open = self.open.saturating_sub(1);
        usize::from(self.open == 0)
    }
}

/// The number after the first byte of a line.
fn number(line: &[u8]) -> i64 {
    let digits = line[1..].iter().take_while(|b| !matches!(b, b'\r' | b'\n'));
    let mut n = 0i64;
    let mut negative = false;
    for &b in digits {
        match b {
            b'-' => negative = true,
            _ => n = n.wrapping_mul(10).wrapping_add(i64::from(b.wrapping_sub(b'0'))),
        }
    }
    if negative { -n } else { n }
}

/// A blocking connection for commands one at a time.
#[derive(Debug)]
pub struct Control {
    stream: BufReader<TcpStream>,
    /// The wire form of the command being sent.
    out: Vec<u8>,
}

impl Control {
    /// Connects to a server on this machine. No answer may take longer than a minute.
    pub fn connect(port: u16) -> Result<Control> {
        let stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(60)))?;
        Ok(Control { stream: BufReader::new(stream), out: Vec::new() })
    }

    /// Sends a command of words between spaces and gives the answer's text: a status, a number or a string as
    /// it is, an array as its elements in lines. An error answer is an error.
    pub fn ask(&mut self, words: &str) -> Result<String> {
        self.ask_args(&words.split(' ').collect::<Vec<_>>())
    }

    /// The same with the arguments given one by one.
    pub fn ask_args(&mut self, args: &[&str]) -> Result<String> {
        let bytes: Vec<&[u8]> = args.iter().map(|a| a.as_bytes()).collect();
        self.out.clear();
        command(&mut self.out, &bytes);
        self.stream.get_mut().write_all(&self.out)?;
        self.answer().with_context(|| args.join(" "))
    }

    /// Waits for an answer or a message, as [`Control::ask`] gives it.
    pub fn answer(&mut self) -> Result<String> {
        let mut line = String::new();
        if self.stream.read_line(&mut line)? == 0 {
            bail!("the server closed the connection");
        }
        let text = line[1..].trim_end();
        match line.as_bytes()[0] {
            b'-' => bail!("{text}"),
            b'$' => {
                let len: i64 = text.parse()?;
                if len < 0 {
                    return Ok(String::new());
                }
                let mut body = Vec::new();
                (&mut self.stream).take(len as u64 + 2).read_to_end(&mut body)?;
                body.truncate(len as usize);
                Ok(String::from_utf8_lossy(&body).into_owned())
            }
            b'*' => {
                let n: i64 = text.parse()?;
                let mut all = String::new();
                for _ in 0..n {
                    all.push_str(&self.answer()?);
                    all.push('\n');
                }
                Ok(all)
            }
            _ => Ok(text.to_owned()),
        }
    }

    /// One field of `INFO`, for example `info("replication", "master_link_status")`; empty if it is not there.
    pub fn info(&mut self, section: &str, field: &str) -> Result<String> {
        let text = self.ask(&format!("INFO {section}"))?;
        let found = text.lines().find_map(|l| l.strip_prefix(field)?.strip_prefix(':'));
        Ok(found.unwrap_or("").to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_counted_however_they_are_cut() {
        let stream =
            b"+OK\r\n:12\r\n$3\r\na\nb\r\n$-1\r\n*2\r\n*2\r\n$1\r\nx\r\n:1\r\n$0\r\n\r\n*0\r\n-ERR no\r\n*-1\r\n";
        for size in 1..stream.len() {
            let mut counter = Counter::default();
            let n: usize = stream.chunks(size).map(|part| counter.feed(part)).sum();
            assert_eq!(n, 8, "in parts of {size} bytes");
            assert_eq!(counter.error.as_deref(), Some("-ERR no"));
            assert_eq!((counter.skip, counter.open, counter.line.len()), (0, 0, 0));
        }
    }

    #[test]
    fn commands_have_their_wire_form() {
        let mut out = Vec::new();
        command(&mut out, &[b"SET", b"k", b""]);
        assert_eq!(out, b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$0\r\n\r\n");
    }
}
