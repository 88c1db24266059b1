//! A real `redis-server` on a socket of its own, to compare with.

use resp::{encode_command, parse_value};
use std::io::{Read, Write};
use std::ops::{Deref, DerefMut};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long the server may take until it listens.
const PATIENCE: Duration = Duration::from_secs(20);

/// A running server and a connection to it; it is stopped at the end.
pub struct Peer {
    process: Child,
    folder: PathBuf,
    connection: Connection,
}

/// A connection to it.
pub struct Connection(UnixStream);

impl Deref for Peer {
    type Target = Connection;
    fn deref(&self) -> &Connection {
        &self.connection
    }
}

impl DerefMut for Peer {
    fn deref_mut(&mut self) -> &mut Connection {
        &mut self.connection
    }
}

impl Peer {
    /// Starts one whose folder has this name in its own. Where none is installed it says so and gives nothing, or fails where
    /// `REQUIRE_PEERS=1`.
    pub fn start(name: &str) -> Option<Self> {
        let folder = std::env::temp_dir().join(format!("rekindle-peer-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("the temporary folder can be written");
        let socket = folder.join("socket");
        let process = Command::new("redis-server")
            .args(["--port", "0", "--save", "", "--appendonly", "no", "--enable-debug-command", "yes", "--dir"])
            .arg(&folder)
            .arg("--unixsocket")
            .arg(&socket)
            .stdout(Stdio::null())
            .spawn();
        let Ok(process) = process else {
            assert_ne!(std::env::var("REQUIRE_PEERS").as_deref(), Ok("1"), "redis-server not found");
            eprintln!("skipped: redis-server not found");
            std::fs::remove_dir_all(&folder).expect("the folder was just made");
            return None;
        };
        Some(Self { process, folder, connection: Connection(connect(&socket)) })
    }

    /// A further connection.
    pub fn another(&self) -> Connection {
        Connection(connect(&self.folder.join("socket")))
    }
}

impl Connection {
    /// Sends a request without waiting for its reply.
    pub fn send<W: AsRef<[u8]>>(&mut self, words: &[W]) {
        let mut request = Vec::new();
        encode_command(&mut request, words.iter().map(AsRef::as_ref));
        self.write(&request);
    }

    /// Sends bytes as they are.
    pub fn write(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).expect("the peer reads");
    }

    /// Waits for bytes and adds them to `input`.
    pub fn receive(&mut self, input: &mut Vec<u8>) {
        let mut part = [0; 65536];
        let n = self.0.read(&mut part).expect("the peer answers");
        assert!(n > 0, "the peer has closed the connection");
        input.extend_from_slice(&part[..n]);
    }

    /// The bytes of the reply to a request.
    pub fn run<W: AsRef<[u8]>>(&mut self, words: &[W]) -> Vec<u8> {
        self.send(words);
        let mut reply = Vec::new();
        loop {
            self.receive(&mut reply);
            if parse_value(&reply).expect("the peer's replies are well-formed").is_some() {
                return reply;
            }
        }
    }
}

/// Connects as soon as the server listens.
fn connect(socket: &Path) -> UnixStream {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match UnixStream::connect(socket) {
            Ok(stream) => return stream,
            Err(error) => assert!(Instant::now() < deadline, "the peer does not listen on its socket: {error}"),
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}
