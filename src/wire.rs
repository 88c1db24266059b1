//! A blocking client connection, for the tools that come with the server.

use crate::uri::Target;
use resp::Value;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

/// The socket, TCP or Unix.
#[derive(Debug)]
enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// Which addresses of a name are tried first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Prefer {
    /// Those of IPv4.
    #[default]
    V4,
    /// Those of IPv6.
    V6,
}

impl Prefer {
    /// Brings addresses into order; those of one kind keep theirs.
    fn sort(self, addresses: &mut [SocketAddr]) {
        addresses.sort_by_key(|address| match self {
            Self::V4 => address.is_ipv6(),
            Self::V6 => address.is_ipv4(),
        });
    }
}

/// A connection to a server.
#[derive(Debug)]
pub struct Connection {
    socket: Socket,
    input: Vec<u8>,
    at: usize,
}

impl Connection {
    /// Connects over TCP; `timeout` bounds connecting to each address, not waiting for replies.
    pub fn tcp(host: &str, port: u16, timeout: Duration) -> io::Result<Self> {
        Self::tcp_with(host, port, Some(timeout), Prefer::default())
    }

    /// Connects over TCP, to one address of the host after another. Without a timeout the system decides how long to try.
    pub fn tcp_with(host: &str, port: u16, timeout: Option<Duration>, prefer: Prefer) -> io::Result<Self> {
        let mut last = io::Error::new(io::ErrorKind::NotFound, format!("{host} has no address"));
        let mut addresses: Vec<SocketAddr> = (host, port).to_socket_addrs()?.collect();
        prefer.sort(&mut addresses);
        for addr in addresses {
            let connected = match timeout {
                Some(timeout) => TcpStream::connect_timeout(&addr, timeout),
                None => TcpStream::connect(addr),
            };
            match connected {
                Ok(stream) => {
                    stream.set_nodelay(true)?;
                    return Ok(Self { socket: Socket::Tcp(stream), input: Vec::new(), at: 0 });
                }
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// Connects over a Unix socket.
    pub fn unix(path: &str) -> io::Result<Self> {
        Ok(Self { socket: Socket::Unix(UnixStream::connect(path)?), input: Vec::new(), at: 0 })
    }

    /// Connects to a target, with the error as `redis-cli` words it.
    pub fn target(target: &Target, timeout: Duration) -> Result<Self, String> {
        Self::target_with(target, Some(timeout), Prefer::default())
    }

    /// Connects to a target as [`Connection::tcp_with`] does, with the error as `redis-cli` words it.
    pub fn target_with(target: &Target, timeout: Option<Duration>, prefer: Prefer) -> Result<Self, String> {
        let connected = match &target.socket {
            Some(path) => Self::unix(path),
            None => Self::tcp_with(&target.host, target.port, timeout, prefer),
        };
        connected.map_err(|e| format!("Could not connect to Redis at {}: {}", target.shown(), reason(&e)))
    }

    /// The descriptor, to wait on.
    pub fn fd(&self) -> BorrowedFd<'_> {
        match &self.socket {
            Socket::Tcp(s) => s.as_fd(),
            Socket::Unix(s) => s.as_fd(),
        }
    }

    /// Lets reads and writes return at once where they would wait.
    pub fn set_nonblocking(&self, on: bool) -> io::Result<()> {
        match &self.socket {
            Socket::Tcp(s) => s.set_nonblocking(on),
            Socket::Unix(s) => s.set_nonblocking(on),
        }
    }

    /// Whether bytes have been read that were not asked for yet.
    pub fn has_buffered(&self) -> bool {
        self.at < self.input.len()
    }

    /// Sends some bytes; how many.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.socket {
            Socket::Tcp(s) => s.write(bytes),
            Socket::Unix(s) => s.write(bytes),
        }
    }

    /// Bounds waiting for a reply; nothing waits for ever.
    pub fn set_read_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        match &self.socket {
            Socket::Tcp(s) => s.set_read_timeout(timeout),
            Socket::Unix(s) => s.set_read_timeout(timeout),
        }
    }

    /// Sends bytes as they are.
    pub fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.socket {
            Socket::Tcp(s) => s.write_all(bytes),
            Socket::Unix(s) => s.write_all(bytes),
        }
    }

    /// Reads some bytes, those already buffered first; 0 at the end.
    pub fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.at < self.input.len() {
            let n = buf.len().min(self.input.len() - self.at);
            buf[..n].copy_from_slice(&self.input[self.at..self.at + n]);
            self.at += n;
            return Ok(n);
        }
        match &mut self.socket {
            Socket::Tcp(s) => s.read(buf),
            Socket::Unix(s) => s.read(buf),
        }
    }

    /// Gives back bytes that were read too far; they are the next to be read.
    pub fn put_back(&mut self, bytes: &[u8]) {
        self.input.splice(..self.at, bytes.iter().copied());
        self.at = 0;
    }

    /// Reads bytes into the buffer; an error at the end of the stream.
    fn fill(&mut self) -> io::Result<()> {
        if self.at > 0 {
            self.input.drain(..self.at);
            self.at = 0;
        }
        let mut more = [0; 16 << 10];
        let n = match &mut self.socket {
            Socket::Tcp(s) => s.read(&mut more)?,
            Socket::Unix(s) => s.read(&mut more)?,
        };
        if n == 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "Server closed the connection"));
        }
        self.input.extend_from_slice(&more[..n]);
        Ok(())
    }

    /// Reads one reply.
    pub fn reply(&mut self) -> io::Result<Value> {
        let mut arrival = resp::Arrival::default();
        loop {
            // A large reply is parsed once, when it is there.
            while !arrival.is_whole(&self.input[self.at..]) {
                self.fill()?;
            }
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

    /// Reads a line without its line break.
    pub fn line(&mut self) -> io::Result<Vec<u8>> {
        loop {
            if let Some(end) = self.input[self.at..].iter().position(|b| *b == b'\n') {
                let line = self.input[self.at..self.at + end].trim_ascii_end().to_vec();
                self.at += end + 1;
                return Ok(line);
            }
            self.fill()?;
        }
    }

    /// Sends a command and reads its reply.
    pub fn call(&mut self, words: &[&[u8]]) -> io::Result<Value> {
        let mut out = Vec::new();
        resp::encode_command(&mut out, words.iter().copied());
        self.write_all(&out)?;
        self.reply()
    }
}

/// An I/O error in the system's words, without the error number.
pub fn reason(error: &io::Error) -> String {
    if error.kind() == io::ErrorKind::TimedOut {
        return "Connection timed out".into();
    }
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or("").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_preferred_addresses_come_first_and_the_others_are_not_lost() {
        let [a, b, c]: [SocketAddr; 3] = ["[::1]:1", "127.0.0.1:1", "[::2]:1"].map(|a| a.parse().unwrap());
        for (prefer, want) in [(Prefer::V4, [b, a, c]), (Prefer::V6, [a, c, b])] {
            let mut addresses = [a, b, c];
            prefer.sort(&mut addresses);
            assert_eq!(addresses, want, "{prefer:?}");
        }
    }
}
