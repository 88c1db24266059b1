//! What goes when memory is full: each policy, by what it leaves.

use crate::support::{PATIENCE, Server, ours, wait_until};
use resp::Value;

/// Keys with and without an expiry, then `maxmemory` a little above what is used, then more of both until keys go.
fn squeezed(policy: &str) -> Server {
    let server = ours(&["--maxmemory-policy", policy, "--maxmemory-samples", "10"]);
    let value = "v".repeat(1000);
    for i in 0..500 {
        server.ok(&["SET", &format!("stay:{i}"), &value]);
        // The later ones expire sooner.
        server.ok(&["SET", &format!("brief:{i}"), &value, "EX", &(100_000 - 100 * i).to_string()]);
    }
    server
}

fn limit_memory(server: &Server, spare: i64) {
    let used = server.number("used_memory");
    server.ok(&["CONFIG", "SET", "maxmemory", &(used + spare).to_string()]);
}

fn count(server: &Server, prefix: &str) -> usize {
    let Value::Array(keys) = server.call(&["KEYS", &format!("{prefix}*")]) else { panic!("KEYS") };
    keys.len()
}

/// Writes until at least `wanted` keys have been evicted.
fn press(server: &Server, wanted: i64) {
    let value = "n".repeat(1000);
    let mut i = 0;
    wait_until(PATIENCE, || {
        for _ in 0..50 {
            server.ok(&["SET", &format!("new:{i}"), &value]);
            i += 1;
        }
        server.number("evicted_keys") >= wanted
    });
}

#[test]
fn noeviction_refuses_writes() {
    let server = squeezed("noeviction");
    server.ok(&["CONFIG", "SET", "maxmemory", "100kb"]);
    let oom = "OOM command not allowed when used memory > 'maxmemory'.";
    assert_eq!(server.text(&["SET", "new", "1"]), oom);
    assert_eq!(server.text(&["RPUSH", "l", "1"]), oom);
    assert_eq!(server.int(&["DEL", "stay:0"]), 1);
    assert_eq!(server.int(&["STRLEN", "stay:1"]), 1000);
    assert_eq!((count(&server, "stay:"), count(&server, "brief:")), (499, 500));
    assert_eq!(server.number("evicted_keys"), 0);
    // In a transaction the refused command spoils it.
    let mut client = server.client();
    client.ok(&["MULTI"]);
    assert_eq!(client.text(&["SET", "a", "1"]), oom);
    assert!(client.text(&["EXEC"]).starts_with("EXECABORT"));
    server.ok(&["CONFIG", "SET", "maxmemory", "0"]);
    server.ok(&["SET", "new", "1"]);
}

#[test]
fn allkeys_policies_take_any_key() {
    for policy in ["allkeys-lru", "allkeys-lfu", "allkeys-random"] {
        let server = squeezed(policy);
        limit_memory(&server, 50_000);
        press(&server, 400);
        let (stay, brief) = (count(&server, "stay:"), count(&server, "brief:"));
        assert!(stay < 500 && brief < 500, "{policy}: {stay} {brief}");
        assert!(server.number("used_memory") <= server.number("maxmemory") + (1 << 20), "{policy}");
    }
}

#[test]
fn volatile_policies_take_only_keys_that_expire() {
    for policy in ["volatile-lru", "volatile-lfu", "volatile-random", "volatile-ttl"] {
        let server = squeezed(policy);
        limit_memory(&server, 50_000);
        press(&server, 200);
        assert_eq!(count(&server, "stay:"), 500, "{policy}");
        let left = count(&server, "brief:");
        assert!(left <= 300, "{policy}: {left}");
        if policy == "volatile-ttl" {
            // Those that would have gone first anyway: nearly all of the last hundred, few of the first.
            let in_range = |from: usize, to: usize| {
                (from..to).filter(|i| server.int(&["EXISTS", &format!("brief:{i}")]) == 1).count()
            };
            assert!(in_range(0, 100) > 2 * in_range(400, 500) + 20, "{} {}", in_range(0, 100), in_range(400, 500));
        }
        // When no such key is left, writes are refused.
        let value = "n".repeat(1000);
        wait_until(PATIENCE, || {
            (0..100).any(|i| {
                server.call(&["SET", &format!("more:{}:{i}", server.number("evicted_keys")), &value])
                    != Value::Simple(b"OK".to_vec())
            })
        });
        assert_eq!((count(&server, "stay:"), count(&server, "brief:")), (500, 0), "{policy}");
    }
}

#[test]
fn lfu_keeps_what_is_used_often() {
    let server = squeezed("allkeys-lfu");
    let often: Vec<String> = (0..20).map(|i| format!("stay:{i}")).collect();
    let mut client = server.client();
    for _ in 0..200 {
        for key in &often {
            client.send(&["GET", key]);
        }
        for _ in &often {
            client.reply();
        }
    }
    assert!(server.int(&["OBJECT", "FREQ", "stay:0"]) > server.int(&["OBJECT", "FREQ", "stay:400"]));
    limit_memory(&server, 0);
    press(&server, 500);
    let kept = often.iter().filter(|k| server.int(&["EXISTS", k]) == 1).count();
    assert!(kept >= 18, "{kept} of 20 were kept");
}

#[test]
fn lru_keeps_what_was_used_last() {
    let server = squeezed("allkeys-lru");
    // The clock of accesses counts whole seconds.
    wait_until(PATIENCE, || server.int(&["OBJECT", "IDLETIME", "stay:400"]) >= 2);
    let lately: Vec<String> = (0..50).map(|i| format!("stay:{i}")).collect();
    lately.iter().for_each(|k| assert_eq!(server.text(&["GET", k]).len(), 1000));
    limit_memory(&server, 0);
    press(&server, 500);
    let kept = lately.iter().filter(|k| server.int(&["EXISTS", k]) == 1).count();
    assert!(kept >= 45, "{kept} of 50 were kept");
}

#[test]
fn a_replica_evicts_what_its_primary_evicts() {
    let server = squeezed("allkeys-random");
    let replica = ours(&["--maxmemory", "100kb", "--maxmemory-policy", "allkeys-random"]);
    replica.follow(&server);
    limit_memory(&server, 20_000);
    press(&server, 300);
    replica.wait_for_offset_of(&server);
    assert_eq!(replica.number("evicted_keys"), 0);
    crate::support::data::assert_same(&server, &replica);
}
