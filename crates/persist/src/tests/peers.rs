//! Files written here, loaded by the `redis-server` that is on the path. It shows its contents through `contents.lua`.
//!
//! Without such a server these tests print a line and pass; with `REQUIRE_PEERS=1` in the environment they fail.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use std::{env, fs, println, thread};

use base::intset::Intset;
use base::listpack::{Elem, Listpack};

use super::{check_same, expected_lines, fixture, lines, read};
use crate::fuzz::{Contents, Entry, Value, listpack};
use crate::payload::{dump_payload, encode_value};
use crate::visitor::KeyMeta;
use crate::writer::{Writer, WriterOptions};

/// A server that has loaded a file. It is stopped, and its directory removed, when this is dropped.
struct Peer {
    child: Child,
    port: String,
    directory: PathBuf,
}

impl Peer {
    fn cli(&self, arguments: &[&str]) -> Option<String> {
        let output = Command::new("redis-cli").args(["-p", &self.port, "--raw"]).args(arguments).output().unwrap();
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim_end().to_owned())
    }

    fn start(bytes: &[u8]) -> Peer {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string();
        let directory = env::temp_dir().join(format!("persist-peer-{}-{port}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        fs::write(directory.join("dump.rdb"), bytes).unwrap();
        let child = Command::new("redis-server")
            .args(["--port", &port, "--bind", "127.0.0.1", "--save", "", "--dir"])
            .arg(&directory)
            // The server looks into every packed value, as this crate's reader does.
            .args(["--sanitize-dump-payload", "yes", "--maxmemory-policy", "allkeys-lru", "--logfile", "log"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut peer = Peer { child, port, directory };
        let limit = Instant::now() + Duration::from_secs(20);
        while peer.cli(&["PING"]).as_deref() != Some("PONG") {
            let stopped = peer.child.try_wait().unwrap().is_some();
            if stopped || Instant::now() > limit {
                panic!(
                    "the server does not load the file:\n{}",
                    fs::read_to_string(peer.directory.join("log")).unwrap()
                );
            }
            thread::sleep(Duration::from_millis(20));
        }
        peer
    }

    fn contents(&self, mode: &str) -> Vec<String> {
        let script = String::from_utf8(fixture("contents.lua")).unwrap();
        let of_db = |db: &str| self.cli(&["-n", db, "EVAL", &script, "0", db, mode]).unwrap();
        let text = ["0", "1", "3"].map(of_db).join("\n");
        expected_lines(&text.lines().filter(|line| !line.is_empty()).collect::<Vec<_>>().join("\n"))
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // A server that has stopped by itself cannot be killed, and both are fine here.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.directory);
    }
}

/// The major version and the minor version of the server on the path.
fn peer_version() -> Option<(u32, u32)> {
    let Ok(output) = Command::new("redis-server").arg("--version").output() else {
        assert!(env::var_os("REQUIRE_PEERS").is_none_or(|value| value != "1"), "redis-server not found");
        println!("skipped: redis-server not found");
        return None;
    };
    let text = String::from_utf8(output.stdout).unwrap();
    let mut numbers = text.split_once("v=").unwrap().1.split('.').map(|number| number.parse().unwrap());
    Some((numbers.next().unwrap(), numbers.next().unwrap()))
}

#[test]
fn contents_of_all_types_load() {
    if peer_version().is_none() {
        return;
    }
    let (_, contents) = read(&fixture("redis-7.0-plain.rdb")).unwrap();
    for (compress, checksum) in [(true, true), (false, true), (true, false)] {
        let options = WriterOptions { compress, checksum, ..WriterOptions::default() };
        let peer = Peer::start(&contents.write(options).unwrap());
        check_same(&peer.contents("plain"), &lines(&contents));
        assert!(peer.cli(&["FUNCTION", "LIST"]).unwrap().contains("mylib"));
    }
}

#[test]
fn packed_values_integers_and_idle_times_load() {
    let Some(version) = peer_version() else { return };
    let new = version >= (7, 2);
    let options = WriterOptions { version: if new { 11 } else { 10 }, ..WriterOptions::default() };
    let mut writer = Writer::new(Vec::new(), options).unwrap();
    let mut expected = Contents::default();
    let mut expect = |key: &[u8], value| {
        expected.entries.push(Entry { db: 1, key: key.to_vec(), expire_ms: None, idle_s: None, freq: None, value });
    };
    fn meta(key: &[u8]) -> KeyMeta<'_> {
        KeyMeta { key, ..KeyMeta::default() }
    }
    writer.aux(b"redis-ver", b"7.0.0").unwrap();
    writer.select_db(1).unwrap();
    writer.resize_db(70, 1).unwrap();
    for shift in 0..63 {
        let (key, value) = (format!("int:{shift}"), -(1_i64 << shift) - i64::from(shift % 2));
        writer.int(&meta(key.as_bytes()), value).unwrap();
        expect(key.as_bytes(), Value::String(value.to_string().into_bytes()));
    }
    writer.string(&KeyMeta { idle_s: Some(1000), ..meta(b"idle") }, b"v").unwrap();
    expect(b"idle", Value::String(b"v".to_vec()));
    let mut members = Intset::new();
    for value in [5, -1, 1 << 40] {
        members.insert(value);
    }
    writer.set_intset(&meta(b"intset"), members.as_bytes()).unwrap();
    expect(b"intset", Value::Set(members.iter().map(|value| value.to_string().into_bytes()).collect()));
    let mut pairs = Listpack::new();
    for (member, score) in [(&b"a"[..], &b"-inf"[..]), (b"b", b"-2.5"), (b"c", b"17")] {
        pairs.push_back(Elem::from(member));
        pairs.push_back(Elem::from(score));
    }
    writer.zset_listpack(&meta(b"zset"), pairs.as_bytes()).unwrap();
    let scored = |member: &[u8], score: f64| (member.to_vec(), score.to_bits());
    expect(b"zset", Value::Zset([scored(b"a", f64::NEG_INFINITY), scored(b"b", -2.5), scored(b"c", 17.0)].to_vec()));
    // A listpack with nearly as many elements as a node may have, which is longer than the writer's buffer.
    let numbers: Vec<Vec<u8>> = (0..65_534).map(|number: i32| number.to_string().into_bytes()).collect();
    writer.list_begin(&meta(b"list"), 2).unwrap();
    writer.list_packed_node(listpack(numbers.iter().map(Vec::as_slice)).as_bytes()).unwrap();
    writer.list_plain_node(b"12345").unwrap();
    expect(b"list", Value::List([numbers, [b"12345".to_vec()].to_vec()].concat()));
    if new {
        writer.set_listpack(&meta(b"set"), listpack([&b"x"[..], b"7"].into_iter()).as_bytes()).unwrap();
        expect(b"set", Value::Set([b"x".to_vec(), b"7".to_vec()].to_vec()));
    }
    let (bytes, written) = writer.finish().unwrap();
    assert_eq!(written.bytes, bytes.len() as u64);
    assert_eq!(lines(&read(&bytes).unwrap().1), lines(&expected));
    let peer = Peer::start(&bytes);
    // To be asked before the contents, since showing them uses the keys.
    let idle: u64 = peer.cli(&["-n", "1", "OBJECT", "IDLETIME", "idle"]).unwrap().parse().unwrap();
    assert!((1000..1100).contains(&idle), "{idle}");
    check_same(&peer.contents("plain"), &lines(&expected));
}

#[test]
fn payloads_are_restored() {
    if peer_version().is_none() {
        return;
    }
    let (_, mut contents) = read(&fixture("redis-7.0-plain.rdb")).unwrap();
    contents.entries.retain(|entry| entry.db == 0);
    let peer = Peer::start(&Contents::default().write(WriterOptions::default()).unwrap());
    let mut commands = Vec::new();
    for entry in &contents.entries {
        let value = encode_value(WriterOptions::default(), |writer| entry.write(writer)).unwrap();
        let payload = dump_payload(value, 10);
        let expire_ms = entry.expire_ms.unwrap_or(0).to_string();
        let arguments = [b"RESTORE", &entry.key[..], expire_ms.as_bytes(), &payload, b"ABSTTL"];
        commands.extend_from_slice(format!("*{}\r\n", arguments.len()).as_bytes());
        for argument in arguments {
            commands.extend_from_slice(format!("${}\r\n", argument.len()).as_bytes());
            commands.extend_from_slice(argument);
            commands.extend_from_slice(b"\r\n");
        }
    }
    let mut connection = TcpStream::connect(format!("127.0.0.1:{}", peer.port)).unwrap();
    connection.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    connection.write_all(&commands).unwrap();
    let mut replies = vec![0; contents.entries.len() * b"+OK\r\n".len()];
    connection.read_exact(&mut replies).unwrap();
    let replies = String::from_utf8_lossy(&replies).into_owned();
    assert!(replies.split_inclusive("\r\n").all(|reply| reply == "+OK\r\n"), "{replies}");
    check_same(&peer.contents("plain"), &lines(&contents));
}

#[test]
fn expiries_of_fields_load() {
    let Some(version) = peer_version() else { return };
    if version < (7, 4) {
        println!("skipped: the redis-server on the path has no expiries of fields");
        return;
    }
    let (_, contents) = read(&fixture("redis-8.0-fields.rdb")).unwrap();
    let peer = Peer::start(&contents.write(WriterOptions { version: 12, ..WriterOptions::default() }).unwrap());
    check_same(&peer.contents("fields"), &lines(&contents));
}

#[test]
fn the_servers_own_check_finds_nothing() {
    if peer_version().is_none() {
        return;
    }
    let (_, contents) = read(&fixture("redis-7.0-lfu.rdb")).unwrap();
    let path = env::temp_dir().join(format!("persist-check-{}.rdb", std::process::id()));
    fs::write(&path, contents.write(WriterOptions::default()).unwrap()).unwrap();
    let output = Command::new("redis-check-rdb").arg(&path).output();
    fs::remove_file(&path).unwrap();
    match output {
        Ok(output) => {
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            assert!(output.status.success() && text.contains("RDB looks OK"), "{text}");
            assert!(text.contains("41 keys read"), "{text}");
        }
        Err(_) => println!("skipped: redis-check-rdb not found"),
    }
}
