//! INFO: sections and fields as Redis 7.2 prints them, and what only we can tell.

use super::memory::{Figures, more, ratio};
use crate::server::link::LinkState;
use crate::server::outside::Outside;
use crate::server::{REDIS_VERSION, clock};
use engine::client::{Class, ClientFlags};
use engine::engine::Engine;
use engine::error::Result;
use resp::Args;
use std::fmt::Write;

type Section = (&'static str, fn(&mut Outside, &mut Engine, &mut String));

/// Sections in the order of their output; those after `keyspace` come only when asked for.
const SECTIONS: &[Section] = &[
    ("server", server),
    ("clients", clients),
    ("memory", memory),
    ("persistence", persistence),
    ("stats", stats),
    ("replication", replication),
    ("cpu", cpu),
    ("modules", modules),
    ("errorstats", errorstats),
    ("cluster", cluster),
    ("keyspace", keyspace_section),
    ("commandstats", commandstats),
    ("latencystats", latencystats),
    ("debug", debug),
];
/// Sections that are not part of the default answer.
const ON_REQUEST: &[&str] = &["commandstats", "latencystats", "debug"];

/// What a sentinel tells of itself.
const SENTINEL_SECTIONS: &[Section] =
    &[("server", server), ("clients", clients), ("stats", stats), ("cpu", cpu), ("sentinel", sentinel)];

/// INFO [section …].
pub fn info(o: &mut Outside, e: &mut Engine, a: &Args) -> Result {
    let words: Vec<String> = a.iter_from(1).map(|w| String::from_utf8_lossy(w).to_lowercase()).collect();
    let has = |w: &str| words.iter().any(|x| x == w);
    let all = has("all") || has("everything");
    let default = words.is_empty() || has("default");
    let mut text = String::new();
    let sections = if o.sentinel.is_some() { SENTINEL_SECTIONS } else { SECTIONS };
    for (name, write) in sections {
        // Figures for those who look into the server itself come only under their own name.
        if (all && *name != "debug") || has(name) || (default && !ON_REQUEST.contains(name)) {
            if !text.is_empty() {
                text.push_str("\r\n");
            }
            let title = match *name {
                "cpu" => "CPU".into(),
                other => other[..1].to_uppercase() + &other[1..],
            };
            let _ = write!(text, "# {title}\r\n");
            write(o, e, &mut text);
        }
    }
    e.out.verbatim("txt", text.as_bytes());
    Ok(())
}

macro_rules! fields {
    ($text:ident, $($name:literal: $value:expr),* $(,)?) => {
        $( let _ = write!($text, concat!($name, ":{}\r\n"), $value); )*
    };
}

fn server(o: &mut Outside, e: &mut Engine, text: &mut String) {
    let uptime_s = (e.store.now_ms - o.facts.started_ms) / 1000;
    fields!(text,
        "redis_version": REDIS_VERSION,
        "redis_git_sha1": "00000000",
        "redis_git_dirty": 0,
        "redis_build_id": "0",
        "redis_mode": o.mode(),
        "server_name": "rekindle",
        "rekindle_version": env!("CARGO_PKG_VERSION"),
        "os": operating_system(),
        "arch_bits": 64,
        "monotonic_clock": "POSIX clock_gettime",
        "multiplexing_api": o.facts.backend,
        "atomicvar_api": "rust-atomics",
        "gcc_version": "0.0.0",
        "process_id": std::process::id(),
        "process_supervised": engine::config::values::OptionValue::show(&crate::server::process::supervisor(&e.config)),
        "run_id": o.facts.run_id,
        "tcp_port": e.config.port.get(),
        "server_time_usec": clock::unix_us(),
        "uptime_in_seconds": uptime_s,
        "uptime_in_days": uptime_s / 86400,
        "hz": e.config.hz.get(),
        "configured_hz": e.config.hz.get(),
        "lru_clock": (e.store.now_ms / 1000) & 0xFF_FFFF,
        "executable": o.facts.executable,
        "config_file": e.config.file.as_deref().unwrap_or(""),
        "io_threads_active": 0,
    );
    if let Some(pending) = &o.shutdown {
        fields!(text, "shutdown_in_milliseconds": (pending.deadline_ms - e.store.now_ms).max(0));
    }
    let mut listener = 0;
    if e.config.port.get() > 0 {
        let _ = write!(text, "listener{listener}:name=tcp");
        for bind in &e.config.bind.0 {
            let _ = write!(text, ",bind={bind}");
        }
        let _ = write!(text, ",port={}\r\n", e.config.port.get());
        listener += 1;
    }
    if !e.config.unixsocket.get().is_empty() {
        let _ = write!(text, "listener{listener}:name=unix,bind={}\r\n", e.config.unixsocket.get());
    }
}

/// The system's name, its release and the machine's kind, as `uname` prints them.
fn operating_system() -> String {
    let of = |file: &str| std::fs::read_to_string(format!("/proc/sys/kernel/{file}")).unwrap_or_default();
    format!("{} {} {}", of("ostype").trim(), of("osrelease").trim(), std::env::consts::ARCH)
}

fn sentinel(o: &mut Outside, _: &mut Engine, text: &mut String) {
    if let Some(driver) = &o.sentinel {
        text.push_str(&driver.info_fields());
    }
}

fn clients(o: &mut Outside, e: &mut Engine, text: &mut String) {
    let _ = o;
    let connected = e.count_class(Class::Normal) + e.count_class(Class::PubSub);
    let largest = |f: fn(&engine::client::Client) -> usize| e.clients.iter().map(|(_, c)| f(c)).max().unwrap_or(0);
    fields!(text,
        "connected_clients": connected,
        "cluster_connections": 0,
        "maxclients": e.config.maxclients.get(),
        "client_recent_max_input_buffer": largest(|c| c.traffic.query_capacity),
        "client_recent_max_output_buffer": largest(|c| c.output_bytes()),
        "blocked_clients": e.blocking.len() + e.clients.iter().filter(|(_, c)| c.flags.any(ClientFlags::POSTPONED)).count(),
        "tracking_clients": e.store.tracking.clients,
        "pubsub_clients": e.clients.iter().filter(|(_, c)| c.flags.any(ClientFlags::PUBSUB)).count(),
        "watching_clients": e.clients.iter().filter(|(_, c)| !c.watched.is_empty()).count(),
        "clients_in_timeout_table": usize::from(e.blocking.next_deadline_ms().is_some()),
        "total_watched_keys": e.store.watched_keys(),
        "total_blocking_keys": e.store.awaited_keys(),
        "total_blocking_keys_on_nokey": 0,
    );
}

/// Bytes as people read them.
fn human(bytes: u64) -> String {
    match bytes {
        0..1024 => format!("{bytes}B"),
        1024..1_048_576 => format!("{:.2}K", bytes as f64 / 1024.0),
        1_048_576..1_073_741_824 => format!("{:.2}M", bytes as f64 / 1_048_576.0),
        _ => format!("{:.2}G", bytes as f64 / 1_073_741_824.0),
    }
}

/// Resident memory of this process, bytes.
pub fn resident_bytes() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    statm
        .split(' ')
        .nth(1)
        .and_then(|pages| pages.parse::<u64>().ok())
        .map_or(0, |pages| pages * rustix::param::page_size() as u64)
}

fn total_memory() -> u64 {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = text.lines().find_map(|l| l.strip_prefix("MemTotal:"));
    line.and_then(|l| l.trim().trim_end_matches(" kB").parse::<u64>().ok()).map_or(0, |kb| kb * 1024)
}

/// Bytes that clients take: those of users and the link to our primary, and replicas.
pub fn client_bytes(e: &Engine) -> [usize; 2] {
    let mut bytes = [0, 0];
    for (key, client) in e.clients.iter() {
        bytes[usize::from(client.class() == Class::Replica)] += e.client_memory_bytes(key);
    }
    bytes
}

fn memory(o: &mut Outside, e: &mut Engine, text: &mut String) {
    let f = Figures::of(o, e);
    let a = f.allocator;
    let total = total_memory();
    let limit = e.config.maxmemory.get() as u64;
    fields!(text,
        "used_memory": f.used,
        "used_memory_human": human(f.used),
        "used_memory_rss": f.resident,
        "used_memory_rss_human": human(f.resident),
        "used_memory_peak": f.peak,
        "used_memory_peak_human": human(f.peak),
        "used_memory_peak_perc": format_args!("{:.2}%", 100.0 * ratio(f.used, f.peak)),
        "used_memory_overhead": f.overhead(),
        "used_memory_startup": f.startup,
        "used_memory_dataset": f.dataset(),
        "used_memory_dataset_perc": format_args!("{:.2}%", f.dataset_percentage()),
        "allocator_allocated": a.allocated,
        "allocator_active": a.active,
        "allocator_resident": a.resident,
        "total_system_memory": total,
        "total_system_memory_human": human(total),
        "used_memory_lua": 0,
        "used_memory_vm_eval": 0,
        "used_memory_lua_human": human(0),
        "used_memory_scripts_eval": 0,
        "number_of_cached_scripts": 0,
        "number_of_functions": 0,
        "number_of_libraries": 0,
        "used_memory_vm_functions": 0,
        "used_memory_vm_total": 0,
        "used_memory_vm_total_human": human(0),
        "used_memory_functions": 0,
        "used_memory_scripts": 0,
        "used_memory_scripts_human": human(0),
        "maxmemory": limit,
        "maxmemory_human": human(limit),
        "maxmemory_policy": engine::config::values::OptionValue::show(&e.config.maxmemory_policy),
        "allocator_frag_ratio": format_args!("{:.2}", ratio(a.active, a.allocated)),
        "allocator_frag_bytes": more(a.active, a.allocated),
        "allocator_rss_ratio": format_args!("{:.2}", ratio(a.resident, a.active)),
        "allocator_rss_bytes": more(a.resident, a.active),
        "rss_overhead_ratio": format_args!("{:.2}", ratio(f.resident, a.resident)),
        "rss_overhead_bytes": more(f.resident, a.resident),
        "mem_fragmentation_ratio": format_args!("{:.2}", ratio(f.resident, f.used)),
        "mem_fragmentation_bytes": more(f.resident, f.used),
        "mem_not_counted_for_evict": e.uncounted_bytes,
        "mem_replication_backlog": f.backlog,
        "mem_total_replication_buffers": o.node.log().memory_bytes(),
        "mem_clients_slaves": f.replicas,
        "mem_clients_normal": f.clients,
        "mem_cluster_links": 0,
        "mem_aof_buffer": 0,
        "mem_allocator": "jemalloc",
        "active_defrag_running": 0,
        "lazyfree_pending_objects": o.saving.freed.as_ref().map_or(0, |c| c.pending()),
        "lazyfreed_objects": o.saving.freed.as_ref().map_or(0, |c| c.freed()),
    );
}

fn persistence(o: &mut Outside, e: &mut Engine, text: &mut String) {
    let saving = &o.saving;
    let now_ms = e.store.now_ms;
    fields!(text,
        "loading": u8::from(o.loading_since_ms.is_some() || o.link.is_loading_without_data()),
        "async_loading": u8::from(o.link.is_loading_beside_data()),
        "current_cow_peak": 0,
        "current_cow_size": 0,
        "current_cow_size_age": 0,
        "current_fork_perc": "0.00",
        "current_save_keys_processed": 0,
        "current_save_keys_total": 0,
        "rdb_changes_since_last_save": e.stats.dirty,
        "rdb_bgsave_in_progress": u8::from(saving.running_since_ms.is_some() || o.replicas.writing()),
        "rdb_last_save_time": saving.last_save_s,
        "rdb_last_bgsave_status": if saving.last_failed { "err" } else { "ok" },
        "rdb_last_bgsave_time_sec": saving.last_took_s,
        "rdb_current_bgsave_time_sec": saving.running_since_ms.map_or(-1, |since| (now_ms - since) / 1000),
        "rdb_saves": saving.saves,
        "rdb_last_cow_size": 0,
        "rdb_last_load_keys_expired": e.stats.load_expired_keys,
        "rdb_last_load_keys_loaded": e.stats.loaded_keys,
        "aof_enabled": 0,
        "aof_rewrite_in_progress": 0,
        "aof_rewrite_scheduled": 0,
        "aof_last_rewrite_time_sec": -1,
        "aof_current_rewrite_time_sec": -1,
        "aof_last_bgrewrite_status": "ok",
        "aof_rewrites": 0,
        "aof_rewrites_consecutive_failures": 0,
        "aof_last_write_status": "ok",
        "aof_last_cow_size": 0,
        "module_fork_in_progress": 0,
        "module_fork_last_cow_size": 0,
    );
}

fn stats(o: &mut Outside, e: &mut Engine, text: &mut String) {
    let _ = o;
    let s = &e.stats;
    let store = &e.store.stats;
    fields!(text,
        "total_connections_received": s.connections,
        "total_commands_processed": s.commands_total,
        "instantaneous_ops_per_sec": s.rates.per_second(0),
        "total_net_input_bytes": s.net_in + s.repl_in,
        "total_net_output_bytes": s.net_out + s.repl_out,
        "total_net_repl_input_bytes": s.repl_in,
        "total_net_repl_output_bytes": s.repl_out,
        "instantaneous_input_kbps": format_args!("{:.2}", s.rates.per_second(1) as f64 / 1024.0),
        "instantaneous_output_kbps": format_args!("{:.2}", s.rates.per_second(2) as f64 / 1024.0),
        "instantaneous_input_repl_kbps": format_args!("{:.2}", s.rates.per_second(3) as f64 / 1024.0),
        "instantaneous_output_repl_kbps": format_args!("{:.2}", s.rates.per_second(4) as f64 / 1024.0),
        "rejected_connections": s.refused_connections,
        "sync_full": s.full_syncs,
        "sync_partial_ok": s.partial_syncs,
        "sync_partial_err": s.partial_sync_refusals,
        "expired_keys": store.expired,
        "expired_stale_perc": format_args!("{:.2}", store.expired_stale_percent),
        "expired_time_cap_reached_count": store.expire_cap_reached,
        "expire_cycle_cpu_milliseconds": 0,
        "evicted_keys": store.evicted,
        "evicted_clients": s.evicted_clients,
        "total_eviction_exceeded_time": 0,
        "current_eviction_exceeded_time": 0,
        "keyspace_hits": store.hits,
        "keyspace_misses": store.misses,
        "pubsub_channels": e.pubsub.channels.len(),
        "pubsub_patterns": e.pubsub.patterns.len(),
        "pubsubshard_channels": e.pubsub.shard.len(),
        "latest_fork_usec": o.saving.snapshot_us,
        "total_forks": 0,
        "migrate_cached_sockets": 0,
        "slave_expires_tracked_keys": e.store.own_expiring.len(),
        "active_defrag_hits": 0,
        "active_defrag_misses": 0,
        "active_defrag_key_hits": 0,
        "active_defrag_key_misses": 0,
        "total_active_defrag_time": 0,
        "current_active_defrag_time": 0,
        "tracking_total_keys": e.store.tracking.keys(),
        "tracking_total_items": e.store.tracking.items,
        "tracking_total_prefixes": e.store.tracking.prefixes(),
        "unexpected_error_replies": s.unexpected_errors,
        "total_error_replies": s.errors_total,
        "dump_payload_sanitizations": 0,
        "total_reads_processed": s.reads,
        "total_writes_processed": s.writes,
        "io_threaded_reads_processed": 0,
        "io_threaded_writes_processed": 0,
        "reply_buffer_shrinks": 0,
        "reply_buffer_expands": 0,
        "client_query_buffer_limit_disconnections": s.query_limit_closes,
        "client_output_buffer_limit_disconnections": s.output_limit_closes,
        "eventloop_cycles": s.rounds.count,
        "eventloop_duration_sum": s.rounds.nanos / 1000,
        "eventloop_duration_cmd_sum": s.rounds.command_ns / 1000,
        "instantaneous_eventloop_cycles_per_sec": s.rates.per_second(5),
        "instantaneous_eventloop_duration_usec": s.rates.per_second(6) / 1000 / s.rates.per_second(5).max(1),
        "acl_access_denied_auth": 0,
        "acl_access_denied_cmd": 0,
        "acl_access_denied_key": 0,
        "acl_access_denied_channel": 0,
    );
}

fn replication(o: &mut Outside, e: &mut Engine, text: &mut String) {
    o.take_effects(e);
    let now_ms = e.store.now_ms;
    fields!(text, "role": if o.link.is_following() { "slave" } else { "master" });
    if let Some((host, port)) = &o.link.primary {
        let end = o.node.offset();
        fields!(text,
            "master_host": host,
            "master_port": port,
            "master_link_status": if o.link.is_up() { "up" } else { "down" },
            "master_last_io_seconds_ago": if o.link.is_up() { (now_ms - o.link.heard_ms) / 1000 } else { -1 },
            "master_sync_in_progress": u8::from(matches!(o.link.state, LinkState::Loading(_))),
            "slave_read_repl_offset": end + o.node.transaction_len() as u64 + o.link.unapplied_bytes(e),
            "slave_repl_offset": end,
        );
        if let LinkState::Loading(transfer) = &o.link.state {
            let read = transfer.received.load(std::sync::atomic::Ordering::Relaxed);
            fields!(text,
                "master_sync_total_bytes": -1,
                "master_sync_read_bytes": read,
                "master_sync_left_bytes": -(read as i64) - 1,
                "master_sync_perc": "-0.00",
                "master_sync_last_io_seconds_ago": (now_ms - transfer.since_ms) / 1000,
            );
        }
        if !o.link.is_up() {
            let since = o.link.down_since_ms;
            fields!(text, "master_link_down_since_seconds": if since == 0 { -1 } else { (now_ms - since) / 1000 });
        }
        fields!(text,
            "slave_priority": e.config.replica_priority.get(),
            "slave_read_only": u8::from(e.config.replica_read_only),
            "replica_announced": u8::from(e.config.replica_announced),
        );
    }
    fields!(text, "connected_slaves": o.replicas.table.len());
    let wanted = e.config.min_replicas_to_write.get();
    if wanted > 0 {
        fields!(text, "min_slaves_good_slaves": o.replicas.good(now_ms, e.config.min_replicas_max_lag.get()));
    }
    for (i, (key, replica)) in o.replicas.table.iter().enumerate() {
        let (ip, port) = o.replicas.address(*key, e);
        let lag = if replica.is_online() { (now_ms - replica.ack_ms) / 1000 } else { 0 };
        let _ = write!(
            text,
            "slave{i}:ip={ip},port={port},state={},offset={},lag={lag}\r\n",
            replica.state_name(),
            replica.ack_offset
        );
    }
    let backlog = o.node.has_backlog();
    let first = if backlog { o.node.log().first() + 1 } else { 0 };
    fields!(text,
        "master_failover_state": o.failover.stage.name(),
        "master_replid": o.node.history().id,
        "master_replid2": o.node.history().second_id,
        "master_repl_offset": o.node.offset(),
        "second_repl_offset": o.node.history().second_offset,
        "repl_backlog_active": u8::from(backlog),
        "repl_backlog_size": e.config.repl_backlog_size.get(),
        "repl_backlog_first_byte_offset": first,
        "repl_backlog_histlen": if backlog { o.node.log().len() } else { 0 },
        // Valkey counts those between the two connections of its own way of syncing here; nobody takes that way.
        "replicas_waiting_psync": 0,
        "repl_log_spilled_bytes": super::super::spill::Spill::bytes(o.node.log()),
    );
}

/// Seconds that a process or thread has spent: in user space and in the kernel, and what its ended children have spent in each.
fn cpu_seconds(stat_file: &str) -> [f64; 4] {
    let stat = std::fs::read_to_string(stat_file).unwrap_or_default();
    // The fields after the command's name, which may hold spaces; the times are in hundredths of a second, as the kernel
    // fixes them for user space.
    let mut fields = stat.rsplit(") ").next().unwrap_or("").split(' ').skip(11);
    [(); 4].map(|()| fields.next().and_then(|f| f.parse::<f64>().ok()).unwrap_or(0.0) / 100.0)
}

fn cpu(_: &mut Outside, _: &mut Engine, text: &mut String) {
    let [user, sys, children_user, children_sys] = cpu_seconds("/proc/self/stat");
    // Commands run on the main thread, and INFO is one.
    let [main_user, main_sys, ..] = cpu_seconds("/proc/thread-self/stat");
    fields!(text,
        "used_cpu_sys": format_args!("{sys:.6}"),
        "used_cpu_user": format_args!("{user:.6}"),
        "used_cpu_sys_children": format_args!("{children_sys:.6}"),
        "used_cpu_user_children": format_args!("{children_user:.6}"),
        "used_cpu_sys_main_thread": format_args!("{main_sys:.6}"),
        "used_cpu_user_main_thread": format_args!("{main_user:.6}"),
    );
}

/// Modules that are loaded; there is nothing that could load one.
fn modules(_: &mut Outside, _: &mut Engine, _: &mut String) {}

fn debug(_: &mut Outside, e: &mut Engine, text: &mut String) {
    let rounds = &e.stats.rounds;
    fields!(text,
        "eventloop_duration_aof_sum": 0,
        "eventloop_duration_cron_sum": rounds.timer_ns / 1000,
        "eventloop_duration_max": rounds.longest_ns / 1000,
        "eventloop_cmd_per_cycle_max": rounds.commands_max,
    );
}

fn errorstats(_: &mut Outside, e: &mut Engine, text: &mut String) {
    for (code, count) in &e.stats.errors {
        let _ = write!(text, "errorstat_{}:count={count}\r\n", String::from_utf8_lossy(code));
    }
}

fn cluster(_: &mut Outside, _: &mut Engine, text: &mut String) {
    fields!(text, "cluster_enabled": 0);
}

fn keyspace_section(_: &mut Outside, e: &mut Engine, text: &mut String) {
    let now_ms = e.store.now_ms;
    for (i, db) in e.store.keyspace.iter().enumerate() {
        if !db.is_empty() {
            let rng = &mut e.rng;
            let ttl = db.avg_ttl(now_ms, || rng.next_u64());
            let _ = write!(text, "db{i}:keys={},expires={},avg_ttl={ttl}\r\n", db.len(), db.expires_len());
        }
    }
}

fn commandstats(_: &mut Outside, e: &mut Engine, text: &mut String) {
    for command in e.table.iter_all() {
        let s = &e.stats.commands[usize::from(command.index)];
        if s.calls == 0 && s.rejected == 0 && s.failed == 0 {
            continue;
        }
        let usec = s.nanos / 1000;
        let per_call = if s.calls == 0 { 0.0 } else { s.nanos as f64 / 1000.0 / s.calls as f64 };
        let _ = write!(
            text,
            "cmdstat_{}:calls={},usec={usec},usec_per_call={per_call:.2},rejected_calls={},failed_calls={}\r\n",
            command.spec.name, s.calls, s.rejected, s.failed
        );
    }
}

fn latencystats(_: &mut Outside, e: &mut Engine, text: &mut String) {
    for command in e.table.iter_all() {
        let s = &e.stats.commands[usize::from(command.index)];
        if s.calls == 0 || s.histogram.is_none() {
            continue;
        }
        let parts: Vec<String> = e
            .config
            .latency_tracking_info_percentiles
            .0
            .iter()
            .map(|p| format!("p{p}={:.3}", s.percentile_ns(*p) as f64 / 1000.0))
            .collect();
        let _ = write!(text, "latency_percentiles_usec_{}:{}\r\n", command.spec.name, parts.join(","));
    }
}
