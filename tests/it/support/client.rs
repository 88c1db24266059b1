//! A blocking client, small enough to send anything, also what is wrong.

use resp::Value;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::time::Duration;

/// Bounds waiting for a reply.
const REPLY_LIMIT: Duration = Duration::from_secs(30);

#[derive(Debug)]
enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Socket {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(s) => s.read(buf),
            Self::Unix(s) => s.read(buf),
        }
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Tcp(s) => s.write_all(bytes),
            Self::Unix(s) => s.write_all(bytes),
        }
    }
}

/// A connection.
#[derive(Debug)]
pub struct Client {
    socket: Socket,
    input: Vec<u8>,
    at: usize,
}

/// The text of a reply: of a status, an error (as it came, without the `-`) or a string.
#[track_caller]
pub fn text(value: &Value) -> String {
    match value.as_bytes() {
        Some(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        None => panic!("not a text: {value:?}"),
    }
}

/// The elements of an array, as text.
#[track_caller]
pub fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::Array(items) | Value::Set(items) | Value::Push(items) => items
            .iter()
            .map(|item| match item {
                Value::Int(n) => n.to_string(),
                Value::Null => "(nil)".into(),
                other => text(other),
            })
            .collect(),
        other => panic!("not an array: {other:?}"),
    }
}

/// Whether an error means that the other side has closed the connection.
pub fn is_closing(kind: io::ErrorKind) -> bool {
    matches!(kind, io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe)
}

/// A string reply.
pub fn bulk(text: &str) -> Value {
    Value::Bulk(text.as_bytes().to_vec())
}

/// The bytes of a command.
pub fn encoded(words: &[&[u8]]) -> Vec<u8> {
    let mut out = Vec::new();
    resp::encode_command(&mut out, words.iter().copied());
    out
}

impl Client {
    /// Connects to a port of this machine.
    pub fn tcp(port: u16) -> io::Result<Self> {
        Self::host("127.0.0.1", port)
    }

    /// Connects to a port of an address.
    pub fn host(host: &str, port: u16) -> io::Result<Self> {
        Ok(Self::over(TcpStream::connect((host, port))?))
    }

    /// Over a connection that was made elsewhere.
    pub fn over(socket: TcpStream) -> Self {
        socket.set_nodelay(true).unwrap();
        socket.set_read_timeout(Some(REPLY_LIMIT)).unwrap();
        Self { socket: Socket::Tcp(socket), input: Vec::new(), at: 0 }
    }

    /// Connects to a Unix socket.
    pub fn unix(path: &str) -> io::Result<Self> {
        let socket = UnixStream::connect(path)?;
        socket.set_read_timeout(Some(REPLY_LIMIT))?;
        Ok(Self { socket: Socket::Unix(socket), input: Vec::new(), at: 0 })
    }

    /// A second handle of the socket, to write from another thread.
    pub fn writer(&self) -> TcpStream {
        match &self.socket {
            Socket::Tcp(s) => s.try_clone().unwrap(),
            Socket::Unix(_) => panic!("only of a TCP connection"),
        }
    }

    /// Bounds waiting for replies.
    pub fn set_limit(&self, limit: Duration) {
        match &self.socket {
            Socket::Tcp(s) => s.set_read_timeout(Some(limit)).unwrap(),
            Socket::Unix(s) => s.set_read_timeout(Some(limit)).unwrap(),
        }
    }

    /// Whether the server answers and is not loading.
    pub fn answers(&mut self) -> bool {
        self.try_call(&["PING"]).is_ok_and(|v| !text(&v).starts_with("LOADING"))
    }

    /// Sends bytes as they are.
    pub fn raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.socket.write_all(bytes)
    }

    /// Sends a command.
    #[track_caller]
    pub fn send(&mut self, words: &[&str]) {
        let words: Vec<&[u8]> = words.iter().map(|w| w.as_bytes()).collect();
        self.raw(&encoded(&words)).unwrap();
    }

    fn fill(&mut self) -> io::Result<()> {
        if self.at > 0 {
            self.input.drain(..self.at);
            self.at = 0;
        }
        let start = self.input.len();
        // Large replies are read in large steps, so that parsing does not start anew too often.
        self.input.resize(start + (64 << 10).max(start), 0);
        let result = self.socket.read(&mut self.input[start..]);
        self.input.truncate(start + *result.as_ref().unwrap_or(&0));
        match result? {
            0 => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the server closed the connection")),
            _ => Ok(()),
        }
    }

    /// Reads a reply.
    pub fn try_reply(&mut self) -> io::Result<Value> {
        loop {
            match resp::parse_value(&self.input[self.at..]) {
                Ok(Some((value, len))) => {
                    self.at += len;
                    return Ok(value);
                }
                Ok(None) => self.fill()?,
                Err(error) => return Err(io::Error::new(io::ErrorKind::InvalidData, error.to_string())),
            }
        }
    }

    /// Reads a reply, which must come.
    #[track_caller]
    pub fn reply(&mut self) -> Value {
        match self.try_reply() {
            Ok(value) => value,
            Err(error) => panic!("no reply: {error}"),
        }
    }

    /// Runs a command.
    pub fn try_call(&mut self, words: &[&str]) -> io::Result<Value> {
        let words: Vec<&[u8]> = words.iter().map(|w| w.as_bytes()).collect();
        self.raw(&encoded(&words))?;
        self.try_reply()
    }

    /// Runs a command, which must be answered.
    #[track_caller]
    pub fn call(&mut self, words: &[&str]) -> Value {
        match self.try_call(words) {
            Ok(value) => value,
            Err(error) => panic!("{words:?}: {error}"),
        }
    }

    /// Runs a command whose reply is a text.
    #[track_caller]
    pub fn text(&mut self, words: &[&str]) -> String {
        text(&self.call(words))
    }

    /// Runs a command that answers OK.
    #[track_caller]
    pub fn ok(&mut self, words: &[&str]) {
        assert_eq!(self.call(words), Value::Simple(b"OK".to_vec()), "{words:?}");
    }

    /// Runs commands together and returns their replies.
    #[track_caller]
    pub fn pipeline(&mut self, commands: &[Vec<Vec<u8>>]) -> Vec<Value> {
        let mut out = Vec::new();
        for words in commands {
            resp::encode_command(&mut out, words.iter().map(|w| &w[..]));
        }
        self.raw(&out).unwrap();
        commands.iter().map(|_| self.reply()).collect()
    }

    /// The very bytes of the next reply.
    #[track_caller]
    pub fn reply_bytes(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        loop {
            if let Some((_, len)) = resp::parse_value(&bytes).unwrap() {
                assert_eq!(len, bytes.len(), "more than one reply: {}", bytes.escape_ascii());
                return bytes;
            }
            let mut part = [0; 65536];
            let n = self.socket.read(&mut part).unwrap();
            assert!(n > 0, "closed after {}", bytes.escape_ascii());
            bytes.extend_from_slice(&part[..n]);
        }
    }

    /// Whether the server closes the connection, after replies that are passed over.
    pub fn is_closed(&mut self) -> bool {
        loop {
            match self.try_reply() {
                Ok(_) => {}
                Err(error) => return is_closing(error.kind()),
            }
        }
    }
}
