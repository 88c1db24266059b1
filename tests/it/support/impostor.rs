//! A primary that is none: what a replica does with a peer that says anything at all.

use super::{PATIENCE, Server};
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};

/// A replication id.
pub const ID: &str = "0123456789abcdef0123456789abcdef01234567";

/// A primary that is none: it grants a full sync and then sends what it is told to.
#[derive(Debug)]
pub struct Impostor {
    listener: TcpListener,
}

impl Impostor {
    pub fn new() -> Self {
        Self { listener: TcpListener::bind("127.0.0.1:0").unwrap() }
    }

    pub fn port(&self) -> u16 {
        self.listener.local_addr().unwrap().port()
    }

    /// Tells a replica to follow this.
    pub fn be_followed_by(&self, replica: &Server) {
        replica.ok(&["REPLICAOF", "127.0.0.1", &self.port().to_string()]);
    }

    /// The next connection that comes in, before anything is said on it.
    pub fn accept(&self) -> TcpStream {
        let (stream, _) = self.listener.accept().unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// Takes the replica's next connection up to the grant of a full sync under this replication id. A replica that is
    /// told to follow anew leaves the connection that it had just begun, so that one such is passed over.
    pub fn grant(&self, id: &str) -> TcpStream {
        let mut attempts = (0..2).map(|_| self.handshake(id));
        let granted = attempts.find(|attempt| !matches!(attempt, Err(e) if left(e)));
        granted.expect("the replica left twice in the handshake").unwrap()
    }

    pub fn handshake(&self, id: &str) -> io::Result<TcpStream> {
        let (mut stream, _) = self.listener.accept()?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let mut input = Vec::new();
        loop {
            while let Some((value, len)) = resp::parse_value(&input).unwrap() {
                let resp::Value::Array(words) = value else { panic!("a replica sends commands") };
                input.drain(..len);
                match words[0].as_bytes().unwrap() {
                    b"PING" => stream.write_all(b"+PONG\r\n")?,
                    b"PSYNC" => {
                        stream.write_all(format!("+FULLRESYNC {id} 0\r\n").as_bytes())?;
                        return Ok(stream);
                    }
                    _ => stream.write_all(b"+OK\r\n")?,
                }
            }
            let mut chunk = [0; 1024];
            let n = stream.read(&mut chunk)?;
            if n == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            input.extend_from_slice(&chunk[..n]);
        }
    }
}

/// Whether the other end closed the connection.
fn left(e: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionReset, UnexpectedEof};
    matches!(e.kind(), UnexpectedEof | ConnectionReset | BrokenPipe)
}
