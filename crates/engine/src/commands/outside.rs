//! Commands whose work is the server's: they are handed to the [`Host`].

use crate::engine::Engine;
use crate::error::Result;
use crate::host::{Host, HostCommand};
use crate::table::Run;
use resp::Args;

macro_rules! outside {
    ($(#[$doc:meta])* $table:ident: $($name:literal => $command:ident),* $(,)?) => {
        $(#[$doc])*
        pub const $table: super::Family = &[$(
            ($name, Run::Host(|e: &mut Engine, host: &mut dyn Host, a: &Args| -> Result { host.command(HostCommand::$command, e, a) })),
        )*];
    };
}

outside! {
    /// The handlers of this family.
    COMMANDS:
    "bgsave" => BgSave,
    "config|get" => ConfigGet,
    "config|help" => ConfigHelp,
    "config|resetstat" => ConfigResetStat,
    "config|rewrite" => ConfigRewrite,
    "config|set" => ConfigSet,
    "debug" => Debug,
    "failover" => Failover,
    "info" => Info,
    "lastsave" => LastSave,
    "memory|doctor" => MemoryDoctor,
    "memory|malloc-stats" => MemoryMallocStats,
    "memory|purge" => MemoryPurge,
    "memory|stats" => MemoryStats,
    "psync" => Psync,
    "replconf" => ReplConf,
    "replicaof" => ReplicaOf,
    "role" => Role,
    "save" => Save,
    "shutdown" => Shutdown,
    "slaveof" => ReplicaOf,
    "sync" => Sync,
    "wait" => Wait,
}

outside! {
    /// What a sentinel answers in its own way, beside INFO.
    SENTINEL:
    "publish" => Sentinel,
    "role" => Sentinel,
    "sentinel|ckquorum" => Sentinel,
    "sentinel|config" => Sentinel,
    "sentinel|debug" => Sentinel,
    "sentinel|failover" => Sentinel,
    "sentinel|flushconfig" => Sentinel,
    "sentinel|get-master-addr-by-name" => Sentinel,
    "sentinel|get-primary-addr-by-name" => Sentinel,
    "sentinel|help" => Sentinel,
    "sentinel|info-cache" => Sentinel,
    "sentinel|is-master-down-by-addr" => Sentinel,
    "sentinel|is-primary-down-by-addr" => Sentinel,
    "sentinel|master" => Sentinel,
    "sentinel|masters" => Sentinel,
    "sentinel|monitor" => Sentinel,
    "sentinel|myid" => Sentinel,
    "sentinel|pending-scripts" => Sentinel,
    "sentinel|primaries" => Sentinel,
    "sentinel|primary" => Sentinel,
    "sentinel|remove" => Sentinel,
    "sentinel|replicas" => Sentinel,
    "sentinel|reset" => Sentinel,
    "sentinel|sentinels" => Sentinel,
    "sentinel|set" => Sentinel,
    "sentinel|simulate-failure" => Sentinel,
    "sentinel|slaves" => Sentinel,
}
