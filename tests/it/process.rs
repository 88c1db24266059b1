//! What the process tells the system that runs it, and asks of it.

use crate::support::{Folder, PATIENCE, Product, Server, holds_within, ours, wait_until};
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixDatagram;

fn proc_file(server: &Server, name: &str) -> String {
    std::fs::read_to_string(format!("/proc/{}/{name}", server.pid())).unwrap().trim().to_owned()
}

#[test]
fn systemd_hears_of_the_start_and_the_stop() {
    let folder = Folder::new();
    let path = folder.file("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let hear = || {
        let mut buf = [0; 200];
        let n = socket.recv(&mut buf).expect("a message comes");
        String::from_utf8_lossy(&buf[..n]).into_owned()
    };
    let server = Server::prepare(Product::Ours, &["--supervised", "auto"]);
    let mut child = server.command().env("NOTIFY_SOCKET", &path).spawn().unwrap();
    assert_eq!(hear(), "STATUS=Ready to accept connections\nREADY=1\n");
    assert_eq!(server.info("process_supervised"), "systemd");
    let mut client = server.client();
    client.send(&["SHUTDOWN", "NOSAVE"]);
    assert_eq!(hear(), "STOPPING=1\n");
    assert!(child.wait().unwrap().success());
}

#[test]
fn the_oom_score_follows_the_role() {
    let server = ours(&[]);
    let base: i64 = proc_file(&server, "oom_score_adj").parse().unwrap();
    server.ok(&["CONFIG", "SET", "oom-score-adj", "relative", "oom-score-adj-values", "10 200 800"]);
    let expected = |n: i64| (base + n).min(1000).to_string();
    assert!(holds_within(PATIENCE, || proc_file(&server, "oom_score_adj") == expected(10)));
    let primary = ours(&[]);
    server.follow(&primary);
    assert!(holds_within(PATIENCE, || proc_file(&server, "oom_score_adj") == expected(200)));
    server.ok(&["CONFIG", "SET", "oom-score-adj", "absolute", "oom-score-adj-values", "10 300 800"]);
    assert!(holds_within(PATIENCE, || proc_file(&server, "oom_score_adj") == "300"));
}

#[test]
fn the_watchdog_reports_a_standstill_once() {
    let server = ours(&["--enable-debug-command", "yes"]);
    server.ok(&["CONFIG", "SET", "watchdog-period", "200"]);
    server.ok(&["DEBUG", "SLEEP", "1"]);
    wait_until(PATIENCE, || server.log().contains("WATCHDOG TIMER EXPIRED"));
    assert_eq!(server.log().matches("WATCHDOG TIMER EXPIRED").count(), 1);
    server.ok(&["CONFIG", "SET", "watchdog-period", "0"]);
}

#[test]
fn threads_keep_to_their_processors_and_sockets_to_their_group() {
    let folder = Folder::new();
    let path = folder.file("socket");
    let gid = std::fs::metadata(folder.path()).unwrap().gid().to_string();
    let server = ours(&["--server-cpulist", "0", "--unixsocket", &path, "--unixsocketgroup", &gid]);
    let allowed = proc_file(&server, "status");
    assert!(allowed.lines().any(|line| line == "Cpus_allowed_list:\t0"), "{allowed}");
    assert_eq!(std::fs::metadata(&path).unwrap().gid().to_string(), gid);
}

#[test]
fn the_title_says_where_it_listens() {
    let server = ours(&["--bind", "127.0.0.1"]);
    let title = || proc_file(&server, "cmdline").trim_end_matches('\0').to_owned();
    let program = crate::support::program();
    let port = server.port;
    assert_eq!(title(), format!("{program} server 127.0.0.1:{port}"));
    server.ok(&[
        "CONFIG",
        "SET",
        "proc-title-template",
        "store {port} {tls-port} {unixsocket}{config-file}. {server-mode}",
    ]);
    assert!(holds_within(PATIENCE, || title() == format!("store {port} 0 .")), "{}", title());
    let error = server.text(&["CONFIG", "SET", "proc-title-template", "{nothing}"]);
    assert!(error.contains("template format is invalid"), "{error}");
    let plain = ours(&["--set-proc-title", "no"]);
    assert!(proc_file(&plain, "cmdline").contains("--set-proc-title"));
}
