//! Full syncs that break, and what is left of the replica's old data, by `repl-diskless-load`.

use crate::support::client::{bulk, texts};
use crate::support::{PATIENCE, Server, holds_within, ours, wait_until};
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};

/// A primary that is none: it grants a full sync and then sends what it is told to.
struct Impostor {
    listener: TcpListener,
}

impl Impostor {
    fn new() -> Self {
        Self { listener: TcpListener::bind("127.0.0.1:0").unwrap() }
    }

    fn port(&self) -> u16 {
        self.listener.local_addr().unwrap().port()
    }

    /// Takes the replica's next connection up to the grant of a full sync under this replication id. A replica that is
    /// told to follow anew leaves the connection that it had just begun, so that one such is passed over.
    fn grant(&self, id: &str) -> TcpStream {
        let mut attempts = (0..2).map(|_| self.handshake(id));
        let granted = attempts.find(|attempt| !matches!(attempt, Err(e) if left(e)));
        granted.expect("the replica left twice in the handshake").unwrap()
    }

    fn handshake(&self, id: &str) -> io::Result<TcpStream> {
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

const ID: &str = "0123456789abcdef0123456789abcdef01234567";

fn replica_with_data(mode: &str) -> Server {
    let replica = ours(&["--repl-diskless-load", mode, "--repl-timeout", "20"]);
    replica.ok(&["SET", "old", "data"]);
    replica
}

fn follow(replica: &Server, impostor: &Impostor) {
    replica.ok(&["REPLICAOF", "127.0.0.1", &impostor.port().to_string()]);
}

fn folder_of(server: &Server) -> String {
    texts(&server.call(&["CONFIG", "GET", "dir"]))[1].clone()
}

fn temporary_files(server: &Server) -> usize {
    let names = std::fs::read_dir(folder_of(server)).unwrap().map(|f| f.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.starts_with("temp-")).count()
}

/// A data file with one key, as a server of ours writes it.
fn data_file() -> Vec<u8> {
    let server = ours(&[]);
    server.ok(&["SET", "new", "data"]);
    server.ok(&["SAVE"]);
    std::fs::read(format!("{}/dump.rdb", folder_of(&server))).unwrap()
}

#[test]
fn a_full_sync_that_breaks_leaves_the_old_data() {
    let impostor = Impostor::new();
    for mode in ["disabled", "on-empty-db"] {
        let replica = replica_with_data(mode);
        follow(&replica, &impostor);
        // Half of what was announced, for both ways of saying how much there is.
        for header in ["$100000\r\n", "$EOF:abcdefghijabcdefghijabcdefghijabcdefghij\r\n"] {
            let mut stream = impostor.grant(ID);
            stream.write_all(header.as_bytes()).unwrap();
            stream.write_all(&[b'x'; 50_000]).unwrap();
            wait_until(PATIENCE, || temporary_files(&replica) == 1);
            assert_eq!((replica.number("master_sync_in_progress"), replica.number("loading")), (1, 0));
            assert_eq!(replica.text(&["GET", "old"]), "data", "{mode}: served while the new data comes in");
            drop(stream);
            wait_until(PATIENCE, || temporary_files(&replica) == 0);
            assert_eq!(replica.text(&["GET", "old"]), "data", "{mode}");
        }
        // All of it, but damaged.
        let mut damaged = data_file();
        let middle = damaged.len() - 20;
        damaged[middle] ^= 0x55;
        let mut stream = impostor.grant(ID);
        stream.write_all(format!("${}\r\n", damaged.len()).as_bytes()).unwrap();
        stream.write_all(&damaged).unwrap();
        wait_until(PATIENCE, || {
            replica.log().matches("Failed trying to load the MASTER synchronization DB").count() == 3
        });
        assert_eq!(replica.text(&["GET", "old"]), "data", "{mode}");
        // And all of it: the file is the data file from then on.
        let good = data_file();
        for (header, end) in [(format!("${}\r\n", good.len()), ""), (format!("$EOF:{ID}\r\n"), ID)] {
            replica.ok(&["REPLICAOF", "NO", "ONE"]);
            replica.ok(&["FLUSHALL"]);
            replica.ok(&["SET", "old", "data"]);
            follow(&replica, &impostor);
            let mut stream = impostor.grant(ID);
            stream.write_all(header.as_bytes()).unwrap();
            // The mark comes in two parts, with the stream behind it.
            stream.write_all(&good).unwrap();
            stream.write_all(&end.as_bytes()[..end.len() / 2]).unwrap();
            std::thread::yield_now();
            stream.write_all(&end.as_bytes()[end.len() / 2..]).unwrap();
            stream.write_all(b"*3\r\n$3\r\nSET\r\n$4\r\nmore\r\n$4\r\ndata\r\n").unwrap();
            wait_until(PATIENCE, || replica.call(&["GET", "more"]) == bulk("data"));
            assert_eq!((replica.text(&["GET", "new"]), replica.int(&["DBSIZE"])), ("data".into(), 2), "{mode}");
            assert_eq!(temporary_files(&replica), 0);
            let file = std::fs::read(format!("{}/dump.rdb", folder_of(&replica))).unwrap();
            assert_eq!(file, good);
        }
    }
}

#[test]
fn swapdb_keeps_the_old_data_and_serves_it_only_with_the_same_history() {
    let impostor = Impostor::new();
    let replica = replica_with_data("swapdb");
    follow(&replica, &impostor);
    let good = data_file();
    // An unknown history: the old data is kept but not shown.
    let mut stream = impostor.grant(ID);
    stream.write_all(format!("${}\r\n", good.len()).as_bytes()).unwrap();
    wait_until(PATIENCE, || replica.number("loading") == 1);
    assert!(replica.text(&["GET", "old"]).starts_with("LOADING"));
    drop(stream);
    wait_until(PATIENCE, || replica.call(&["GET", "old"]) == bulk("data"));
    let mut stream = impostor.grant(ID);
    stream.write_all(format!("${}\r\n", good.len()).as_bytes()).unwrap();
    stream.write_all(&good).unwrap();
    wait_until(PATIENCE, || replica.call(&["GET", "new"]) == bulk("data"));
    // The same history again: it is served until the new is there.
    drop(stream);
    let mut stream = impostor.grant(ID);
    stream.write_all(format!("${}\r\n", good.len()).as_bytes()).unwrap();
    wait_until(PATIENCE, || replica.number("async_loading") == 1);
    assert_eq!(replica.text(&["GET", "new"]), "data");
    assert_eq!(replica.number("loading"), 0);
    stream.write_all(&good).unwrap();
    wait_until(PATIENCE, || replica.info("master_link_status") == "up");
    assert_eq!(temporary_files(&replica), 0);
}

#[test]
fn an_empty_replica_needs_no_file() {
    for mode in ["disabled", "on-empty-db", "flush-before-load"] {
        let impostor = Impostor::new();
        let replica = ours(&["--repl-diskless-load", mode]);
        follow(&replica, &impostor);
        let mut stream = impostor.grant(ID);
        stream.write_all(b"$100000\r\nREDIS0010").unwrap();
        wait_until(PATIENCE, || replica.number("loading") == 1);
        assert_eq!(temporary_files(&replica), 0, "{mode}");
        drop(stream);
        assert!(holds_within(PATIENCE, || replica.number("loading") == 0));
    }
}
