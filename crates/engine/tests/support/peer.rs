//! A real `redis-server` on a socket of its own, to compare with.

use resp::{encode_command, parse_value};
use std::io::{Read, Write};
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
    stream: UnixStream,
}

impl Peer {
    /// Starts one whose folder has this name in its own. Where none is installed it says so and gives nothing, or fails where
    /// `REQUIRE_PEERS=1`.
    pub fn start(name: &str) -> Option<Self> {
        let folder = std::env::temp_dir().join(format!("rekindle-peer-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("the temporary folder can be written");
        let socket = folder.join("socket");
        let process = Command::new("redis-server")
            .args(["--port", "0", "--save", "", "--appendonly", "no", "--dir"])
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
        Some(Self { process, folder, stream: connect(&socket) })
    }

    /// The bytes of the reply to a request.
    pub fn run<W: AsRef<[u8]>>(&mut self, words: &[W]) -> Vec<u8> {
        let mut request = Vec::new();
        encode_command(&mut request, words.iter().map(AsRef::as_ref));
        self.stream.write_all(&request).expect("the peer reads");
        let (mut reply, mut part) = (Vec::new(), [0; 65536]);
        loop {
            let n = self.stream.read(&mut part).expect("the peer answers");
            assert!(n > 0, "the peer has closed the connection");
            reply.extend_from_slice(&part[..n]);
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
