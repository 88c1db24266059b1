//! Threads that are not started, or panic: who waits for their work hears of it, and tries again.

use crate::support::client::bulk;
use crate::support::data::assert_same;
use crate::support::{PATIENCE, Server, ours, wait_until};

const FAULTS: [&str; 2] = ["start", "panic"];

fn server() -> Server {
    ours(&["--enable-debug-command", "yes", "--crash-log-enabled", "no"])
}

#[test]
fn a_save_whose_thread_fails_has_failed_and_the_next_one_runs() {
    let server = server();
    server.ok(&["SET", "k", "v"]);
    for fault in FAULTS {
        server.ok(&["DEBUG", "FAIL-THREAD", "rk-save", fault]);
        assert_eq!(server.text(&["BGSAVE"]), "Background saving started");
        wait_until(PATIENCE, || server.number("rdb_bgsave_in_progress") == 0);
        assert_eq!(server.info("rdb_last_bgsave_status"), "err", "{fault}");
        server.text(&["BGSAVE"]);
        wait_until(PATIENCE, || server.number("rdb_bgsave_in_progress") == 0);
        assert_eq!(server.info("rdb_last_bgsave_status"), "ok", "{fault}");
    }
    let left: Vec<_> =
        std::fs::read_dir(server.folder.path()).unwrap().flatten().map(|file| file.file_name()).collect();
    assert!(!left.iter().any(|name| name.to_string_lossy().starts_with("temp-")), "{left:?}");
}

#[test]
fn a_full_sync_whose_thread_fails_on_either_side_is_made_anew() {
    for diskless in ["yes", "no"] {
        for fault in FAULTS {
            let (primary, replica) = (server(), server());
            primary.ok(&["CONFIG", "SET", "repl-diskless-sync-delay", "0"]);
            primary.ok(&["CONFIG", "SET", "repl-diskless-sync", diskless]);
            primary.ok(&["SET", "k", "v"]);
            primary.ok(&["DEBUG", "FAIL-THREAD", "rk-sync", fault]);
            replica.ok(&["DEBUG", "FAIL-THREAD", "rk-load", fault]);
            replica.follow(&primary);
            assert_eq!(replica.call(&["GET", "k"]), bulk("v"), "{diskless} {fault}");
            assert_same(&primary, &replica);
            assert!(primary.log().contains("Background RDB transfer error"), "{diskless} {fault}");
        }
    }
}

#[test]
fn a_name_whose_look_up_fails_is_looked_up_again() {
    for fault in FAULTS {
        let (primary, replica) = (server(), server());
        replica.ok(&["DEBUG", "FAIL-THREAD", "rk-resolve", fault]);
        replica.ok(&["REPLICAOF", "localhost", &primary.port.to_string()]);
        replica.wait_for_link();
    }
}
