//! Files that are mounted by themselves, as containers do it: a rename over them is refused, and they are saved all the same.
//!
//! The mounts are made in a namespace of the process; the file is mounted over itself, so that the test sees from outside what it holds.

use crate::support::{Client, Folder, PATIENCE, free_port, missing, program, wait_until};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// A process in a namespace of its own; it is killed at the end.
struct Running {
    child: Child,
    port: u16,
}

impl Running {
    /// Starts `command` with the file mounted over itself; nothing where this machine does not allow that.
    fn start(mounted: &str, args: &[&str], port: u16, folder: &Folder) -> Option<Self> {
        let mount = format!("mount --bind {mounted} {mounted} && exec \"$@\"");
        let allowed =
            Command::new("unshare").args(["-m", "sh", "-c", &mount, "sh", "true"]).stderr(Stdio::null()).status();
        if !allowed.is_ok_and(|status| status.success()) {
            missing("a namespace to mount files in");
            return None;
        }
        let log = std::fs::OpenOptions::new().create(true).append(true).open(folder.file("log")).unwrap();
        let child = Command::new("unshare")
            .args(["-m", "sh", "-c", &mount, "sh", program()])
            .args(args)
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .current_dir(folder.path())
            .spawn()
            .unwrap();
        let running = Self { child, port };
        wait_until(PATIENCE, || Client::tcp(port).is_ok_and(|mut client| client.answers()));
        Some(running)
    }

    fn client(&self) -> Client {
        Client::tcp(self.port).unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn names(folder: &Folder) -> Vec<String> {
    let mut names: Vec<_> =
        std::fs::read_dir(folder.path()).unwrap().map(|f| f.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn mode(path: &str) -> u32 {
    std::fs::metadata(path).unwrap().mode() & 0o777
}

#[test]
fn a_sentinel_saves_a_file_that_cannot_be_replaced() {
    let (folder, port) = (Folder::new(), free_port());
    let file = folder.file("sentinel.conf");
    let long = "# a comment that goes\n".repeat(40);
    std::fs::write(&file, format!("port {port}\n{long}sentinel monitor first 127.0.0.1 1 1\n")).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o640)).unwrap();
    let Some(running) = Running::start(&file, &["sentinel", &file], port, &folder) else { return };
    let held = || std::fs::read_to_string(&file).unwrap();
    wait_until(PATIENCE, || held().contains("sentinel myid "));
    let mut client = running.client();
    client.ok(&["SENTINEL", "MONITOR", "second", "127.0.0.1", "2", "1"]);
    wait_until(PATIENCE, || held().contains("sentinel monitor second 127.0.0.1 2 1\n"));
    client.ok(&["SENTINEL", "SET", "second", "auth-pass", "secret"]);
    wait_until(PATIENCE, || held().contains("sentinel auth-pass second secret\n"));
    client.ok(&["SENTINEL", "REMOVE", "second"]);
    wait_until(PATIENCE, || !held().contains("second"));
    client.ok(&["SENTINEL", "FLUSHCONFIG"]);
    assert!(held().ends_with('\n') && !held().ends_with("\n\n\n"), "{}", held());
    assert_eq!((names(&folder), mode(&file)), (vec!["log".into(), "sentinel.conf".into()], 0o640));
    drop(running);
    // It starts again from what it has saved.
    let again = Running::start(&file, &["sentinel", &file], port, &folder).unwrap();
    assert!(again.client().text(&["PING"]) == "PONG");
}

#[test]
fn a_server_saves_its_settings_and_data_in_files_that_cannot_be_replaced() {
    let (folder, port) = (Folder::new(), free_port());
    let file = folder.file("a.conf");
    std::fs::write(&file, format!("port {port}\nsave ''\n")).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    let Some(running) = Running::start(&file, &["server", &file], port, &folder) else { return };
    let mut client = running.client();
    client.ok(&["CONFIG", "SET", "masterauth", "secret", "maxmemory", "1gb"]);
    client.ok(&["CONFIG", "REWRITE"]);
    assert!(std::fs::read_to_string(&file).unwrap().contains("masterauth secret\n"));
    assert_eq!((names(&folder), mode(&file)), (vec!["a.conf".into(), "log".into()], 0o600));
    client.ok(&["SAVE"]);
    drop(running);
    let data = folder.file("dump.rdb");
    assert!(Path::new(&data).exists());
    let Some(running) = Running::start(&data, &["server", &file], port, &folder) else { return };
    let mut client = running.client();
    client.ok(&["SET", "k", &"v".repeat(3 << 20)]);
    client.ok(&["CONFIG", "SET", "rdbcompression", "no"]);
    client.ok(&["SAVE"]);
    client.ok(&["SET", "k", "short"]);
    client.text(&["BGSAVE"]);
    wait_until(PATIENCE, || client.text(&["INFO", "persistence"]).contains("rdb_bgsave_in_progress:0"));
    assert!(client.text(&["INFO", "persistence"]).contains("rdb_last_bgsave_status:ok"));
    assert_eq!(names(&folder), ["a.conf", "dump.rdb", "log"]);
    drop(running);
    let again = Running::start(&data, &["server", &file], port, &folder).unwrap();
    assert_eq!(again.client().text(&["GET", "k"]), "short");
}
