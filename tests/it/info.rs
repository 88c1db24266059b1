//! INFO and MEMORY STATS have the fields that Redis has, section by section; what is ours alone is named here.

use crate::support::client::text;
use crate::support::{Product, Server, have, ours};
use resp::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Fields by section.
fn sections(server: &Server) -> BTreeMap<String, BTreeSet<String>> {
    let mut sections = BTreeMap::<String, BTreeSet<String>>::new();
    let mut section = String::new();
    for line in server.text(&["INFO", "everything"]).lines() {
        if let Some(title) = line.strip_prefix("# ") {
            section = title.to_owned();
            sections.entry(section.clone()).or_default();
        } else if let Some((field, _)) = line.split_once(':') {
            sections.entry(section.clone()).or_default().insert(field.to_owned());
        }
    }
    sections
}

/// Fields that Redis 7.0 does not have: those of 7.2 first, which we report to be, then our own.
const ONLY_OURS: &[&str] = &[
    "listener0",
    "pubsub_clients",
    "total_blocking_keys",
    "total_blocking_keys_on_nokey",
    "total_watched_keys",
    "watching_clients",
    "acl_access_denied_auth",
    "acl_access_denied_channel",
    "acl_access_denied_cmd",
    "acl_access_denied_key",
    "client_output_buffer_limit_disconnections",
    "client_query_buffer_limit_disconnections",
    "eventloop_cycles",
    "eventloop_duration_cmd_sum",
    "eventloop_duration_sum",
    "instantaneous_eventloop_cycles_per_sec",
    "instantaneous_eventloop_duration_usec",
    "rekindle_version",
    "server_name",
    "repl_log_spilled_bytes",
    "replicas_waiting_psync",
];

#[test]
fn info_has_the_fields_of_redis() {
    if !have("redis-server") {
        return;
    }
    let servers = [ours(&[]), Server::start(Product::Redis, &[])];
    for server in &servers {
        server.ok(&["SET", "k", "v"]);
        server.call(&["GET"]);
    }
    let [ours, theirs] = servers.each_ref().map(sections);
    assert_eq!(ours.keys().collect::<Vec<_>>(), theirs.keys().collect::<Vec<_>>(), "sections");
    for (section, theirs) in &theirs {
        // Their fields are the commands that have run, which differ by what the tests themselves asked.
        if ["Commandstats", "Latencystats"].contains(&section.as_str()) {
            continue;
        }
        let ours: BTreeSet<String> =
            ours[section].iter().filter(|field| !ONLY_OURS.contains(&field.as_str())).cloned().collect();
        assert_eq!(&ours, theirs, "{section}");
    }
}

#[test]
fn info_tells_of_the_system_and_of_the_main_thread() {
    if !have("redis-server") {
        return;
    }
    let servers = [ours(&[]), Server::start(Product::Redis, &[])];
    let [ours, theirs] = servers.each_ref().map(|server| server.info("os"));
    assert_eq!(ours, theirs);
    let seconds = |field: &str| servers[0].info(field).parse::<f64>().unwrap();
    for kind in ["sys", "user"] {
        let (main, all) = (seconds(&format!("used_cpu_{kind}_main_thread")), seconds(&format!("used_cpu_{kind}")));
        assert!(main <= all + 0.05, "{kind}: the main thread took {main} of {all}");
    }
}

/// The names in MEMORY STATS, those of its databases with their database.
fn names(server: &Server) -> Vec<String> {
    fn flat(value: &Value, prefix: &str, names: &mut Vec<String>) {
        let Value::Array(items) = value else { return };
        for pair in items.chunks(2) {
            let name = prefix.to_owned() + &text(&pair[0]);
            flat(&pair[1], &format!("{name}/"), names);
            names.push(name);
        }
    }
    let mut names = Vec::new();
    flat(&server.call(&["MEMORY", "STATS"]), "", &mut names);
    names
}

#[test]
fn memory_stats_has_the_fields_of_redis() {
    if !have("redis-server") {
        return;
    }
    let servers = [ours(&[]), Server::start(Product::Redis, &[])];
    for server in &servers {
        server.ok(&["SET", "k", "v"]);
    }
    let [ours, theirs] = servers.each_ref().map(names);
    assert_eq!(ours, theirs);
}

#[test]
fn the_allocators_figures_are_its_own() {
    let server = ours(&[]);
    for i in 0..200 {
        server.ok(&["SET", &format!("key:{i}"), &"x".repeat(20_000)]);
    }
    let number = |field: &str| server.number(field);
    let (allocated, active, resident) =
        (number("allocator_allocated"), number("allocator_active"), number("allocator_resident"));
    assert!(allocated >= 200 * 20_000, "{allocated}");
    assert!(allocated <= active && active <= resident, "{allocated} {active} {resident}");
    let used = number("used_memory");
    assert!((used - allocated).abs() < allocated / 2, "used {used}, allocated {allocated}");
    assert!(number("used_memory_overhead") >= number("used_memory_startup"));
}
