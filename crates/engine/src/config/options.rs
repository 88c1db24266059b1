//! The table of all options: name, old names, kind, default, whether it may change while
//! the server runs. Options that Redis has and we need not are accepted and kept, so that
//! files written for Redis start Rekindle unchanged. An option marked `lacks FEATURE` asks, with any value but its
//! default, for something that operators rely on and that is not there: [`super::missing`] says what becomes of it.

use super::missing::Missing;
use super::values::*;
use super::{Config, Mutability::*, OptionSpec};

macro_rules! options {
    ($($(#[$doc:meta])* $field:ident: $type:ty = $default:expr, $name:literal $(| $alias:literal)*, $mutability:ident $(, lacks $lack:ident)?;)*) => {
        /// All settings, one field an option; see the table in this module's source.
        #[derive(Clone, Debug)]
        #[allow(missing_docs)]
        pub struct Options {
            $($(#[$doc])* pub $field: $type,)*
        }

        impl Default for Options {
            fn default() -> Self {
                Self { $($field: $default,)* }
            }
        }

        /// The table, in the order in which `CONFIG GET *` shows it.
        pub static OPTIONS: &[OptionSpec] = &[$(OptionSpec {
            name: $name,
            aliases: &[$($alias),*],
            mutability: $mutability,
            lacks: [$(Missing::$lack,)?].first().copied(),
            show: |c| OptionValue::show(&c.options.$field),
            parse: |c, words| OptionValue::parse(&mut c.options.$field, words),
            lines: |c, name| OptionValue::lines(&c.options.$field, name),
            takes_many: || OptionValue::takes_many(&Options::default().$field),
            copy: |from, to| to.options.$field.clone_from(&from.options.$field),
        },)*];
    };
}

type Count = Int<0, { i64::MAX }>;
type Seconds = Int<0, { i32::MAX as i64 }>;
type Size = Bytes<0, { i64::MAX }>;
type Port = Int<0, 65535>;
type Percent = Int<0, { i32::MAX as i64 }>;
type Any = Int<{ i64::MIN }, { i64::MAX }>;

const MB: i64 = 1 << 20;

impl std::ops::Deref for Config {
    type Target = Options;
    fn deref(&self) -> &Options {
        &self.options
    }
}

impl std::ops::DerefMut for Config {
    fn deref_mut(&mut self) -> &mut Options {
        &mut self.options
    }
}

options! {
    rdbchecksum: bool = true, "rdbchecksum", Fixed;
    daemonize: bool = false, "daemonize", Fixed;
    io_threads_do_reads: bool = false, "io-threads-do-reads", Live;
    always_show_logo: bool = false, "always-show-logo", Fixed;
    protected_mode: bool = true, "protected-mode", Live;
    rdbcompression: bool = true, "rdbcompression", Live;
    rdb_del_sync_files: bool = false, "rdb-del-sync-files", Live;
    activerehashing: bool = true, "activerehashing", Live;
    stop_writes_on_bgsave_error: bool = true, "stop-writes-on-bgsave-error", Live;
    set_proc_title: bool = true, "set-proc-title", Fixed;
    dynamic_hz: bool = true, "dynamic-hz", Live;
    // Big values are always freed on another thread, so "yes" is the truth; what "no" changes is
    // only the word that replicas get, DEL in the place of UNLINK.
    lazyfree_lazy_eviction: bool = true, "lazyfree-lazy-eviction", Live;
    lazyfree_lazy_expire: bool = true, "lazyfree-lazy-expire", Live;
    lazyfree_lazy_server_del: bool = true, "lazyfree-lazy-server-del", Live;
    lazyfree_lazy_user_del: bool = true, "lazyfree-lazy-user-del", Live;
    lazyfree_lazy_user_flush: bool = true, "lazyfree-lazy-user-flush", Live;
    repl_disable_tcp_nodelay: bool = false, "repl-disable-tcp-nodelay", Live;
    repl_diskless_sync: bool = true, "repl-diskless-sync", Live;
    aof_rewrite_incremental_fsync: bool = true, "aof-rewrite-incremental-fsync", Live;
    no_appendfsync_on_rewrite: bool = false, "no-appendfsync-on-rewrite", Live;
    cluster_require_full_coverage: bool = true, "cluster-require-full-coverage", Live;
    rdb_save_incremental_fsync: bool = true, "rdb-save-incremental-fsync", Live;
    aof_load_truncated: bool = true, "aof-load-truncated", Live;
    aof_use_rdb_preamble: bool = true, "aof-use-rdb-preamble", Live;
    aof_timestamp_enabled: bool = false, "aof-timestamp-enabled", Live;
    cluster_replica_no_failover: bool = false, "cluster-replica-no-failover" | "cluster-slave-no-failover", Live;
    replica_lazy_flush: bool = false, "replica-lazy-flush" | "slave-lazy-flush", Live;
    replica_serve_stale_data: bool = true, "replica-serve-stale-data" | "slave-serve-stale-data", Live;
    replica_read_only: bool = true, "replica-read-only" | "slave-read-only", Live;
    replica_ignore_maxmemory: bool = true, "replica-ignore-maxmemory" | "slave-ignore-maxmemory", Live;
    jemalloc_bg_thread: bool = true, "jemalloc-bg-thread", Live;
    activedefrag: bool = false, "activedefrag", Live;
    syslog_enabled: bool = false, "syslog-enabled", Fixed;
    cluster_enabled: bool = false, "cluster-enabled", Fixed, lacks Cluster;
    appendonly: bool = false, "appendonly", Live, lacks AppendOnlyFile;
    cluster_allow_reads_when_down: bool = false, "cluster-allow-reads-when-down", Live;
    cluster_allow_pubsubshard_when_down: bool = true, "cluster-allow-pubsubshard-when-down", Live;
    crash_log_enabled: bool = true, "crash-log-enabled", Live;
    crash_memcheck_enabled: bool = true, "crash-memcheck-enabled", Live;
    use_exit_on_panic: bool = false, "use-exit-on-panic", Hidden;
    disable_thp: bool = true, "disable-thp", Fixed;
    cluster_allow_replica_migration: bool = true, "cluster-allow-replica-migration", Live;
    replica_announced: bool = true, "replica-announced" | "slave-announced", Live;
    latency_tracking: bool = true, "latency-tracking", Live;
    aof_disable_auto_gc: bool = false, "aof-disable-auto-gc", Hidden;
    replica_ignore_disk_write_errors: bool = false, "replica-ignore-disk-write-errors", Live;
    enable_debug_assert: bool = false, "enable-debug-assert", Hidden;
    hide_user_data_from_log: bool = true, "hide-user-data-from-log", Live;
    dual_channel_replication_enabled: bool = false, "dual-channel-replication-enabled", Live;
    extended_redis_compatibility: bool = false, "extended-redis-compatibility", Live;
    import_mode: bool = false, "import-mode", Live, lacks ImportMode;
    mptcp: bool = false, "mptcp", Fixed;
    repl_mptcp: bool = false, "repl-mptcp", Fixed;
    cluster_slot_stats_enabled: bool = false, "cluster-slot-stats-enabled", Live;
    io_threads_always_active: bool = false, "io-threads-always-active", Hidden;
    lua_enable_deprecated_api: bool = false, "lua-enable-deprecated-api", FixedHidden;
    lua_enable_insecure_api: bool = false, "lua-enable-insecure-api", Hidden;
    repl_rdb_channel: bool = false, "repl-rdb-channel", Hidden;
    aclfile: Text = "".into(), "aclfile", Fixed, lacks Users;
    unixsocket: Text = "".into(), "unixsocket", Fixed;
    unixsocketgroup: Text = "".into(), "unixsocketgroup", Fixed;
    pidfile: Text = "".into(), "pidfile", Fixed;
    replica_announce_ip: Text = "".into(), "replica-announce-ip" | "slave-announce-ip", Live;
    primaryuser: Text = "".into(), "masteruser" | "primaryuser", Secret;
    primaryauth: Text = "".into(), "masterauth" | "primaryauth", Secret;
    cluster_announce_ip: Text = "".into(), "cluster-announce-ip", Live;
    cluster_announce_hostname: Text = "".into(), "cluster-announce-hostname", Live;
    cluster_announce_human_nodename: Text = "".into(), "cluster-announce-human-nodename", Live;
    cluster_announce_client_ipv4: Text = "".into(), "cluster-announce-client-ipv4", Live;
    cluster_announce_client_ipv6: Text = "".into(), "cluster-announce-client-ipv6", Live;
    availability_zone: Text = "".into(), "availability-zone", Live;
    debug_context: Text = "".into(), "debug-context", Hidden;
    hash_seed: Text = "".into(), "hash-seed", Fixed;
    rdma_bind: Words = Words(Vec::new()), "rdma-bind", Fixed, lacks Rdma;
    cluster_config_file: Text = "nodes.conf".into(), "cluster-config-file", Fixed;
    syslog_ident: Text = "redis".into(), "syslog-ident", Fixed;
    dbfilename: FileName = FileName("dump.rdb".into()), "dbfilename", Live;
    appendfilename: FileName = FileName("appendonly.aof".into()), "appendfilename", Fixed;
    appenddirname: FileName = FileName("appendonlydir".into()), "appenddirname", Fixed;
    server_cpulist: Text = "".into(), "server-cpulist" | "server_cpulist", Fixed;
    bio_cpulist: Text = "".into(), "bio-cpulist" | "bio_cpulist", Fixed;
    aof_rewrite_cpulist: Text = "".into(), "aof-rewrite-cpulist" | "aof_rewrite_cpulist", Fixed;
    bgsave_cpulist: Text = "".into(), "bgsave-cpulist" | "bgsave_cpulist", Fixed;
    ignore_warnings: Text = "".into(), "ignore-warnings", Live;
    proc_title_template: TitleTemplate = TitleTemplate("{title} {listen-addr} {server-mode}".into()), "proc-title-template", Live;
    bind_source_addr: Text = "".into(), "bind-source-addr", Live;
    logfile: Text = "".into(), "logfile", Fixed;
    requirepass: Text = "".into(), "requirepass", Secret;
    locale_collate: Text = "".into(), "locale-collate", Live;
    supervised: Supervised = Supervised::No, "supervised", Fixed;
    syslog_facility: SyslogFacility = SyslogFacility::Local0, "syslog-facility", Fixed;
    repl_diskless_load: DisklessLoad = DisklessLoad::Disabled, "repl-diskless-load", Live;
    loglevel: LogLevel = LogLevel::Notice, "loglevel", Live;
    maxmemory_policy: MaxMemoryPolicy = MaxMemoryPolicy::NoEviction, "maxmemory-policy", Live;
    appendfsync: AppendFsync = AppendFsync::EverySec, "appendfsync", Live;
    oom_score_adj: OomScoreAdj = OomScoreAdj::No, "oom-score-adj", Live;
    acl_pubsub_default: AclPubsubDefault = AclPubsubDefault::ResetChannels, "acl-pubsub-default", Live;
    sanitize_dump_payload: Sanitize = Sanitize::No, "sanitize-dump-payload", Live;
    cluster_preferred_endpoint_type: EndpointType = EndpointType::Ip, "cluster-preferred-endpoint-type", Live;
    propagation_error_behavior: PropagationError = PropagationError::Ignore, "propagation-error-behavior", Live;
    enable_protected_configs: Protected = Protected::No, "enable-protected-configs", Fixed;
    enable_debug_command: Protected = Protected::No, "enable-debug-command", Fixed;
    enable_module_command: Protected = Protected::No, "enable-module-command", Fixed;
    io_backend: IoBackend = IoBackend::Auto, "io-backend", FixedHidden;
    unsupported_options: Unsupported = Unsupported::Refuse, "unsupported-options", Fixed;
    rdb_version_check: RdbVersionCheck = RdbVersionCheck::Strict, "rdb-version-check", Live;
    log_format: LogFormat = LogFormat::Legacy, "log-format", Live;
    log_timestamp_format: LogTimestampFormat = LogTimestampFormat::Legacy, "log-timestamp-format", Live;
    cluster_config_save_behavior: ClusterConfigSave = ClusterConfigSave::Sync, "cluster-config-save-behavior", Live;
    shutdown_on_sigint: ShutdownMode = ShutdownMode::default(), "shutdown-on-sigint", Live;
    shutdown_on_sigterm: ShutdownMode = ShutdownMode::default(), "shutdown-on-sigterm", Live;
    // Each takes memory at the start, so that a slip of the pen must not take all there is.
    databases: Int<1, 65536> = Int(16), "databases", Fixed;
    port: Port = Int(6379), "port", Live;
    tls_port: Port = Int(0), "tls-port", Live, lacks Tls;
    io_threads: Int<1, 128> = Int(1), "io-threads", Fixed;
    auto_aof_rewrite_percentage: Percent = Int(100), "auto-aof-rewrite-percentage", Live;
    cluster_replica_validity_factor: Seconds = Int(10), "cluster-replica-validity-factor" | "cluster-slave-validity-factor", Live;
    list_max_listpack_size: Int<{ i32::MIN as i64 }, { i32::MAX as i64 }> = Int(-2), "list-max-listpack-size" | "list-max-ziplist-size", Live;
    tcp_keepalive: Seconds = Int(300), "tcp-keepalive", Live;
    cluster_migration_barrier: Seconds = Int(1), "cluster-migration-barrier", Live;
    active_defrag_cycle_min: Int<1, 99> = Int(1), "active-defrag-cycle-min", Live;
    active_defrag_cycle_max: Int<1, 99> = Int(25), "active-defrag-cycle-max", Live;
    active_defrag_cycle_us: Int<0, 100_000> = Int(500), "active-defrag-cycle-us", Live;
    active_defrag_threshold_lower: Int<0, 1000> = Int(10), "active-defrag-threshold-lower", Live;
    active_defrag_threshold_upper: Int<0, 1000> = Int(100), "active-defrag-threshold-upper", Live;
    lfu_log_factor: Seconds = Int(10), "lfu-log-factor", Live;
    lfu_decay_time: Seconds = Int(1), "lfu-decay-time", Live;
    replica_priority: Seconds = Int(100), "replica-priority" | "slave-priority", Live;
    repl_diskless_sync_delay: Seconds = Int(0), "repl-diskless-sync-delay", Live;
    maxmemory_samples: Int<1, 64> = Int(5), "maxmemory-samples", Live;
    maxmemory_eviction_tenacity: Int<0, 100> = Int(10), "maxmemory-eviction-tenacity", Live;
    timeout: Seconds = Int(0), "timeout", Live;
    replica_announce_port: Port = Int(0), "replica-announce-port" | "slave-announce-port", Live;
    tcp_backlog: Seconds = Int(511), "tcp-backlog", Fixed;
    cluster_port: Port = Int(0), "cluster-port", Fixed;
    cluster_announce_bus_port: Port = Int(0), "cluster-announce-bus-port", Live;
    cluster_announce_port: Port = Int(0), "cluster-announce-port", Live;
    cluster_announce_tls_port: Port = Int(0), "cluster-announce-tls-port", Live;
    cluster_announce_client_port: Port = Int(0), "cluster-announce-client-port", Live;
    cluster_announce_client_tls_port: Port = Int(0), "cluster-announce-client-tls-port", Live;
    cluster_blacklist_ttl: Int<0, { u32::MAX as i64 }> = Int(60), "cluster-blacklist-ttl", Live;
    cluster_message_gossip_perc: Int<0, 100> = Int(10), "cluster-message-gossip-perc", Hidden;
    cluster_databases: Int<1, { i32::MAX as i64 }> = Int(1), "cluster-databases", Fixed;
    cluster_manual_failover_timeout: Int<1, { i32::MAX as i64 }> = Int(5000), "cluster-manual-failover-timeout", Live;
    cluster_slot_migration_log_max_len: Count = Int(1000), "cluster-slot-migration-log-max-len", Live;
    cluster_compatibility_sample_ratio: Int<0, 100> = Int(0), "cluster-compatibility-sample-ratio", Live;
    rdma_port: Port = Int(0), "rdma-port", Live, lacks Rdma;
    rdma_rx_size: Bytes<{ 64 << 10 }, { 16 * MB }> = Bytes(MB), "rdma-rx-size", Fixed;
    rdma_completion_vector: Int<-1, 1024> = Int(-1), "rdma-completion-vector", Fixed;
    max_new_connections_per_cycle: Int<1, 1000> = Int(10), "max-new-connections-per-cycle", Live;
    max_new_tls_connections_per_cycle: Int<1, 1000> = Int(1), "max-new-tls-connections-per-cycle", Live;
    prefetch_batch_max_size: Int<0, 128> = Int(16), "prefetch-batch-max-size", Live;
    min_io_threads_avoid_copy_reply: Count = Int(7), "min-io-threads-avoid-copy-reply", Hidden;
    min_string_size_avoid_copy_reply: Count = Int(16384), "min-string-size-avoid-copy-reply", Hidden;
    min_string_size_avoid_copy_reply_threaded: Count = Int(65536), "min-string-size-avoid-copy-reply-threaded", Hidden;
    repl_timeout: Int<1, { i32::MAX as i64 }> = Int(60), "repl-timeout", Live;
    repl_ping_replica_period: Int<1, { i32::MAX as i64 }> = Int(10), "repl-ping-replica-period" | "repl-ping-slave-period", Live;
    list_compress_depth: Seconds = Int(0), "list-compress-depth", Live;
    rdb_key_save_delay: Any = Int(0), "rdb-key-save-delay", Hidden;
    key_load_delay: Any = Int(0), "key-load-delay", Hidden;
    active_expire_effort: Int<1, 10> = Int(1), "active-expire-effort", Live;
    hz: Int<0, { i32::MAX as i64 }> = Int(10), "hz", Live;
    min_replicas_to_write: Seconds = Int(0), "min-replicas-to-write" | "min-slaves-to-write", Live;
    min_replicas_max_lag: Seconds = Int(10), "min-replicas-max-lag" | "min-slaves-max-lag", Live;
    watchdog_period: Seconds = Int(0), "watchdog-period", Hidden;
    shutdown_timeout: Seconds = Int(10), "shutdown-timeout", Live;
    repl_diskless_sync_max_replicas: Seconds = Int(0), "repl-diskless-sync-max-replicas", Live;
    maxclients: Int<1, { u32::MAX as i64 }> = Int(10000), "maxclients", Live;
    unixsocketperm: Octal = Octal(0), "unixsocketperm", Fixed;
    socket_mark_id: Int<0, { u32::MAX as i64 }> = Int(0), "socket-mark-id", Fixed, lacks SocketMarks;
    latency_monitor_threshold: Count = Int(0), "latency-monitor-threshold", Live;
    lua_time_limit: Count = Int(5000), "busy-reply-threshold" | "lua-time-limit", Live;
    cluster_node_timeout: Count = Int(15000), "cluster-node-timeout", Live;
    cluster_ping_interval: Count = Int(1000), "cluster-ping-interval", Hidden;
    slowlog_log_slower_than: Int<-1, { i64::MAX }> = Int(10000), "slowlog-log-slower-than" | "commandlog-execution-slower-than", Live;
    slowlog_max_len: Count = Int(128), "slowlog-max-len" | "commandlog-slow-execution-max-len", Live;
    commandlog_request_larger_than: Int<-1, { i64::MAX }> = Int(MB), "commandlog-request-larger-than", Live;
    commandlog_reply_larger_than: Int<-1, { i64::MAX }> = Int(MB), "commandlog-reply-larger-than", Live;
    commandlog_large_request_max_len: Count = Int(128), "commandlog-large-request-max-len", Live;
    commandlog_large_reply_max_len: Count = Int(128), "commandlog-large-reply-max-len", Live;
    acllog_max_len: Count = Int(128), "acllog-max-len", Live;
    maxmemory: Size = Bytes(0), "maxmemory", Live;
    cluster_link_sendbuf_limit: Size = Bytes(0), "cluster-link-sendbuf-limit", Live;
    maxmemory_clients: BytesOrPercent = BytesOrPercent(0), "maxmemory-clients", Live;
    client_query_buffer_limit: Bytes<MB, { i64::MAX }> = Bytes(1024 * MB), "client-query-buffer-limit", Live;
    hash_max_listpack_entries: Count = Int(512), "hash-max-listpack-entries" | "hash-max-ziplist-entries", Live;
    set_max_intset_entries: Count = Int(512), "set-max-intset-entries", Live;
    set_max_listpack_entries: Count = Int(128), "set-max-listpack-entries", Live;
    set_max_listpack_value: Count = Int(64), "set-max-listpack-value", Live;
    zset_max_listpack_entries: Count = Int(128), "zset-max-listpack-entries" | "zset-max-ziplist-entries", Live;
    active_defrag_ignore_bytes: Bytes<1, { i64::MAX }> = Bytes(100 * MB), "active-defrag-ignore-bytes", Live;
    hash_max_listpack_value: Size = Bytes(64), "hash-max-listpack-value" | "hash-max-ziplist-value", Live;
    stream_node_max_bytes: Size = Bytes(4096), "stream-node-max-bytes", Live;
    zset_max_listpack_value: Size = Bytes(64), "zset-max-listpack-value" | "zset-max-ziplist-value", Live;
    hll_sparse_max_bytes: Size = Bytes(3000), "hll-sparse-max-bytes", Live;
    tracking_table_max_keys: Count = Int(1_000_000), "tracking-table-max-keys", Live;
    repl_backlog_ttl: Count = Int(3600), "repl-backlog-ttl", Live;
    auto_aof_rewrite_min_size: Size = Bytes(64 * MB), "auto-aof-rewrite-min-size", Live;
    loading_process_events_interval_bytes: Bytes<1024, { i32::MAX as i64 }> = Bytes(2 * MB), "loading-process-events-interval-bytes", Hidden;
    stream_node_max_entries: Count = Int(100), "stream-node-max-entries", Live;
    active_defrag_max_scan_fields: Int<1, { i64::MAX }> = Int(1000), "active-defrag-max-scan-fields", Live;
    proto_max_bulk_len: Bytes<MB, { i64::MAX }> = Bytes(512 * MB), "proto-max-bulk-len", Live;
    repl_backlog_size: Bytes<1, { i64::MAX }> = Bytes(MB), "repl-backlog-size", Live;
    replica_full_sync_buffer_limit: Size = Bytes(0), "replica-full-sync-buffer-limit", Live;
    slot_migration_max_failover_repl_bytes: Int<-1, { i64::MAX }> = Int(0), "slot-migration-max-failover-repl-bytes", Live;
    tls_cluster: bool = false, "tls-cluster", Live, lacks Tls;
    tls_replication: bool = false, "tls-replication", Live, lacks Tls;
    tls_auth_clients: TlsAuthClients = TlsAuthClients::Yes, "tls-auth-clients", Live;
    tls_auth_clients_user: TlsAuthClientsUser = TlsAuthClientsUser::Off, "tls-auth-clients-user", Live, lacks Tls;
    tls_auto_reload_interval: Seconds = Int(0), "tls-auto-reload-interval", Live;
    tls_prefer_server_ciphers: bool = false, "tls-prefer-server-ciphers", Live;
    tls_session_caching: bool = true, "tls-session-caching", Live;
    tls_session_cache_size: Seconds = Int(20480), "tls-session-cache-size", Live;
    tls_session_cache_timeout: Seconds = Int(300), "tls-session-cache-timeout", Live;
    tls_cert_file: Text = "".into(), "tls-cert-file", Live;
    tls_key_file: Text = "".into(), "tls-key-file", Live;
    tls_key_file_pass: Text = "".into(), "tls-key-file-pass", Secret;
    tls_client_cert_file: Text = "".into(), "tls-client-cert-file", Live;
    tls_client_key_file: Text = "".into(), "tls-client-key-file", Live;
    tls_client_key_file_pass: Text = "".into(), "tls-client-key-file-pass", Secret;
    tls_dh_params_file: Text = "".into(), "tls-dh-params-file", Live;
    tls_ca_cert_file: Text = "".into(), "tls-ca-cert-file", Live;
    tls_ca_cert_dir: Text = "".into(), "tls-ca-cert-dir", Live;
    tls_protocols: Text = "".into(), "tls-protocols", Live;
    tls_ciphers: Text = "".into(), "tls-ciphers", Live;
    tls_ciphersuites: Text = "".into(), "tls-ciphersuites", Live;
    dir: Text = ".".into(), "dir", Live;
    save: SavePoints = SavePoints(vec![(3600, 1), (300, 100), (60, 10000)]), "save", Live;
    client_output_buffer_limit: OutputLimits = OutputLimits([
        OutputLimit { hard_bytes: 0, soft_bytes: 0, soft_seconds: 0 },
        OutputLimit { hard_bytes: 256 * MB, soft_bytes: 64 * MB, soft_seconds: 60 },
        OutputLimit { hard_bytes: 32 * MB, soft_bytes: 8 * MB, soft_seconds: 60 },
    ]), "client-output-buffer-limit", Live;
    oom_score_adj_values: Scores = Scores([0, 200, 800]), "oom-score-adj-values", Live;
    notify_keyspace_events: Events = Events::default(), "notify-keyspace-events", Live;
    bind: Words = Words(vec!["*".into(), "-::*".into()]), "bind", Live;
    replicaof: ReplicaOf = ReplicaOf(None), "replicaof" | "slaveof", Fixed;
    sentinel_hint: SentinelHint = SentinelHint::default(), "sentinel-hint", Live;
    latency_tracking_info_percentiles: Percentiles = Percentiles(vec![50.0, 99.0, 99.9]), "latency-tracking-info-percentiles", Live;
}
