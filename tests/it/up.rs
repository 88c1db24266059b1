//! `rekindle up`: a primary, its replicas and sentinels with one command (scenario D5).

use crate::support::client::{bulk, text};
use crate::support::{Client, Folder, PATIENCE, free_port, have, holds_within, program, wait_until};
use resp::Value;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// A port from which on `count` ports are free.
fn free_range(count: u16) -> u16 {
    loop {
        // No other test of this process is given the same ones.
        let ports: Vec<u16> = (0..count).map(|_| free_port()).collect();
        if ports.windows(2).all(|pair| pair[1] == pair[0] + 1) {
            return ports[0];
        }
    }
}

/// Starts `rekindle up` with its six processes on the ports from `first` on.
fn up(first: u16, options: &[&str]) -> Command {
    let mut command = Command::new(program());
    command.args(["up", "--port", &first.to_string(), "--sentinel-port", &(first + 3).to_string()]).args(options);
    command
}

/// `rekindle up`, or what runs it: told to stop at the end of the test, however that comes, so that it stops all others.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        if self.0.try_wait().is_ok_and(|end| end.is_none()) {
            let _ = Command::new("kill").arg(self.0.id().to_string()).status();
            let _ = self.0.wait();
        }
    }
}

/// Runs a line of the shell in a terminal, whose keys come from a pipe; what it shows is in the file `screen`.
fn in_terminal(line: &str, folder: &Folder) -> Running {
    let mut command = Command::new("script");
    command.args(["-q", "-f", "-c", line]).arg(folder.file("screen")).env("TERM", "xterm");
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    Running(command.spawn().unwrap())
}

fn process_id(port: u16) -> String {
    let info = Client::tcp(port).unwrap().text(&["INFO", "server"]);
    info.lines().find_map(|l| l.strip_prefix("process_id:")).unwrap().trim().to_owned()
}

#[test]
fn d5_one_command_starts_a_primary_its_replicas_and_sentinels() {
    let (folder, port) = (Folder::new(), free_range(6));
    let mut command = up(port, &["--plain", "--down-after", "300", "--seconds", "60", "--dir"]);
    let child = command.arg(folder.path()).stdin(Stdio::null()).stdout(Stdio::piped());
    let mut running = Running(child.spawn().unwrap());
    let mut pids = Vec::new();
    for port in port..port + 6 {
        wait_until(PATIENCE, || Client::tcp(port).is_ok_and(|mut c| c.answers()));
        pids.push(process_id(port));
    }
    Client::tcp(port).unwrap().ok(&["SET", "greeting", "hello"]);
    wait_until(PATIENCE, || Client::tcp(port + 2).unwrap().call(&["GET", "greeting"]) == bulk("hello"));
    let mut lines = BufReader::new(running.0.stdout.take().unwrap()).lines().map(Result::unwrap);
    let mut out = String::new();
    // When all have been shown to be well, the primary dies.
    let shown = |out: &str, needles: &[&str]| out.lines().any(|line| needles.iter().all(|n| line.contains(n)));
    let well = |out: &str| {
        let primary = format!("primary=127.0.0.1:{port} ");
        let replica =
            |port: u16| shown(out, &[&format!("port={port} "), "role=replica", "link=up", "bytes_behind=0", "keys=1"]);
        let sentinel = |port: u16| {
            shown(out, &[&format!("sentinel port={port} "), "sees=ok", &primary, "replicas=2", "sentinels=3"])
        };
        shown(out, &[&format!("port={port} "), "role=primary_of_2", "keys=1"])
            && (port + 1..port + 3).all(replica)
            && (port + 3..port + 6).all(sentinel)
    };
    for line in lines.by_ref() {
        out += &format!("{line}\n");
        if well(&out) {
            break;
        }
    }
    assert!(well(&out), "{out}");
    Command::new("kill").args(["-9", &pids[0]]).status().unwrap();
    for line in lines.by_ref() {
        out += &format!("{line}\n");
        if line.starts_with("event ") && line.contains(" sees the primary move from ") {
            break;
        }
    }
    Command::new("kill").arg(running.0.id().to_string()).status().unwrap();
    lines.for_each(|line| out += &format!("{line}\n"));
    assert!(running.0.wait().unwrap().success(), "{out}");
    assert!(shown(&out, &["event ", &format!(" sees the primary move from 127.0.0.1:{port} to ")]), "{out}");
    for pid in pids {
        let command = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        assert!(!command.contains("rekindle"), "process {pid} is still there");
    }
    // A port in use is named, and what to do.
    let _taken = TcpListener::bind(("127.0.0.1", port + 1)).unwrap();
    let output = up(port, &["--plain", "--seconds", "1"]).output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    assert!(error.contains(&format!("port {} is in use", port + 1)) && error.contains("--port"), "{error}");
}

/// The seconds behind a word of a line.
fn seconds(line: &str, word: &str) -> f64 {
    let after = line.split(word).nth(1).unwrap_or_else(|| panic!("{word:?} is not in {line}"));
    after.split([' ', ',', ';', ':']).next().unwrap().parse().unwrap()
}

#[test]
fn a_fail_over_tells_where_its_time_went_and_how_many_writes_it_lost() {
    let (folder, port) = (Folder::new(), free_range(6));
    let mut command = up(port, &["--plain", "--down-after", "300", "--seconds", "60", "--load", "500", "--dir"]);
    let child = command.arg(folder.path()).stdin(Stdio::null()).stdout(Stdio::piped());
    let mut running = Running(child.spawn().unwrap());
    let mut lines = BufReader::new(running.0.stdout.take().unwrap()).lines().map(Result::unwrap);
    // Under load all three have work, and the replicas' lag is known.
    let mut busy = [false; 3];
    for line in lines.by_ref() {
        let at = (0..3).find(|n| line.starts_with(&format!("port={} ", port + n)));
        if let Some(at) = at.filter(|_| line.contains("keys=100") && !line.contains("ops/s=0 ")) {
            busy[usize::from(at)] = at == 0 || !line.contains("lag_ms=- ");
        }
        if busy == [true; 3] {
            break;
        }
    }
    assert_eq!(busy, [true; 3]);
    // It does not answer, so that it has to be found dead.
    let pid = process_id(port);
    Command::new("kill").args(["-STOP", &pid]).status().unwrap();
    let line = lines.by_ref().find(|line| line.contains("acknowledged write")).expect("the fail-over is reported");
    Command::new("kill").args(["-CONT", &pid]).status().unwrap();
    assert!(line.starts_with("failover ") && line.contains(&format!(" {port} → ")), "{line}");
    let parts = ["found dead ", "elected ", "promoted "].map(|word| seconds(&line, word));
    assert!((parts.iter().sum::<f64>() - seconds(&line, " in ")).abs() < 0.001, "{line}");
    assert!(parts[0] >= 0.2, "down-after-milliseconds is 300, and the last answer was at most a while before: {line}");
    assert!(seconds(&line, "; ") >= 0.0, "{line}");
}

#[test]
fn without_a_load_no_server_shows_any() {
    let (folder, port) = (Folder::new(), free_range(6));
    let mut command = up(port, &["--plain", "--seconds", "4", "--dir"]);
    let output = command.arg(folder.path()).stdin(Stdio::null()).output().unwrap();
    let out = String::from_utf8_lossy(&output.stdout);
    let servers: Vec<&str> = out.lines().filter(|line| line.starts_with("port=")).collect();
    assert!(servers.len() >= 6, "{out}");
    assert!(servers.iter().all(|line| line.contains(" ops/s=0 ")), "{out}");
}

#[test]
fn d5_a_key_kills_the_primary_and_the_sentinels_fail_over() {
    if !have("script") {
        return;
    }
    let (folder, port) = (Folder::new(), free_range(6));
    let line = format!(
        "stty rows 40 cols 120; exec {} up --port {port} --sentinel-port {} --down-after 300 --dir {}",
        program(),
        port + 3,
        folder.path().display()
    );
    let mut terminal = in_terminal(&line, &folder);
    let mut keys = terminal.0.stdin.take().unwrap();
    let role = |port: u16| match Client::tcp(port).ok()?.try_call(&["ROLE"]).ok()? {
        Value::Array(items) => Some(text(&items[0])),
        _ => None,
    };
    let is = |port: u16, expected: &str| role(port).as_deref() == Some(expected);
    let screen = || std::fs::read_to_string(folder.file("screen")).unwrap_or_default();
    let knows_all = |port: u16| {
        let masters = Client::tcp(port).and_then(|mut c| c.try_call(&["INFO", "sentinel"]));
        masters.is_ok_and(|info| text(&info).contains("slaves=2,sentinels=3"))
    };
    wait_until(PATIENCE, || (port + 3..port + 6).all(knows_all) && screen().contains("kill"));
    keys.write_all(b"k").unwrap();
    wait_until(PATIENCE, || is(port + 1, "master") || is(port + 2, "master"));
    assert!(role(port).is_none(), "the old primary is dead");
    keys.write_all(b"r").unwrap();
    wait_until(PATIENCE, || is(port, "slave"));
    keys.write_all(b"q").unwrap();
    assert!(terminal.0.wait().unwrap().success());
    assert!((port..port + 6).all(|port| Client::tcp(port).is_err()), "all have been stopped");
}

/// The state of a process as the kernel names it: `S`, `T`, …
fn process_state(pid: &str) -> Option<char> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit(") ").next()?.chars().next()
}

#[test]
fn keys_freeze_cut_off_hand_over_kill_restart_and_load() {
    if !have("script") {
        return;
    }
    let (folder, port) = (Folder::new(), free_range(6));
    let (dir, sentinels) = (folder.path().display(), port + 3);
    let line = format!(
        "stty rows 20 cols 60; exec {} up --port {port} --sentinel-port {sentinels} --down-after 300 --dir {dir}",
        program()
    );
    let mut terminal = in_terminal(&line, &folder);
    let mut keys = terminal.0.stdin.take().unwrap();
    let mut press = |text: &str| keys.write_all(text.as_bytes()).unwrap();
    let role = |port: u16| match Client::tcp(port).ok()?.try_call(&["ROLE"]).ok()? {
        Value::Array(items) => Some(text(&items[0])),
        _ => None,
    };
    let is = |port: u16, expected: &str| role(port).as_deref() == Some(expected);
    let follows = |port: u16| {
        let info = Client::tcp(port).and_then(|mut c| c.try_call(&["INFO", "replication"]));
        info.is_ok_and(|info| text(&info).contains("master_link_status:up"))
    };
    let screen = || std::fs::read_to_string(folder.file("screen")).unwrap_or_default();
    let all_agree = || {
        (sentinels..sentinels + 3).all(|port| {
            let info = Client::tcp(port).and_then(|mut c| c.try_call(&["INFO", "sentinel"]));
            info.is_ok_and(|info| text(&info).contains("status=ok") && text(&info).contains("slaves=2,sentinels=3"))
        })
    };
    wait_until(PATIENCE, || all_agree() && screen().contains("kill"));
    // The first server stays the chosen one, whoever is the primary.
    press("\x1b[B\x1b[A");
    let pid = process_id(port);
    press("f");
    wait_until(PATIENCE, || process_state(&pid) == Some('T'));
    wait_until(PATIENCE, || is(port + 1, "master") || is(port + 2, "master"));
    press("f");
    wait_until(PATIENCE, || process_state(&pid) != Some('T') && follows(port) && all_agree());

    press("c");
    wait_until(PATIENCE, || Client::tcp(port).is_err());
    assert!(process_state(&pid).is_some_and(|state| "RSD".contains(state)), "it runs on");
    press("c");
    wait_until(PATIENCE, || follows(port) && all_agree());

    let primary = || (port..port + 3).find(|port| is(*port, "master"));
    let before = primary();
    // Sentinels refuse while they have not looked at all replicas; one presses it again then.
    let handed_over = (0..10).any(|_| {
        press("h");
        holds_within(Duration::from_secs(2), || primary().is_some_and(|now| Some(now) != before))
    });
    assert!(handed_over, "{}", screen());
    wait_until(PATIENCE, || (port..port + 3).filter(|port| follows(*port)).count() == 2 && all_agree());

    press("w");
    let count = |port: u16| Client::tcp(port).and_then(|mut c| c.try_call(&["DBSIZE"])).ok();
    wait_until(PATIENCE, || (port..port + 3).all(|port| count(port) == Some(Value::Int(100))));
    press("w");

    press("k");
    wait_until(PATIENCE, || Client::tcp(port).is_err() && process_state(&pid).is_none());
    press("r");
    wait_until(PATIENCE, || follows(port) || is(port, "master"));
    press("q");
    assert!(terminal.0.wait().unwrap().success());
    assert!((port..port + 6).all(|port| Client::tcp(port).is_err()), "all have been stopped");
}

#[test]
fn d5_a_terminal_that_is_closed_stops_all() {
    if !have("script") {
        return;
    }
    let (folder, port) = (Folder::new(), free_range(6));
    let (dir, sentinels) = (folder.path().display(), port + 3);
    let line = format!("exec {} up --port {port} --sentinel-port {sentinels} --dir {dir}", program());
    let mut terminal = in_terminal(&line, &folder);
    wait_until(PATIENCE, || (port..port + 6).all(|port| Client::tcp(port).is_ok_and(|mut c| c.answers())));
    terminal.0.kill().unwrap();
    wait_until(PATIENCE, || (port..port + 6).all(|port| Client::tcp(port).is_err()));
}
