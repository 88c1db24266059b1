//! Commands whose work is the server's: they are handed to the [`Host`].

use crate::engine::Engine;
use crate::error::Result;
use crate::host::{Host, HostCommand};
use crate::table::Run;
use resp::Args;

macro_rules! outside {
    ($($name:literal => $command:ident),* $(,)?) => {
        /// The handlers of this family.
        pub const COMMANDS: super::Family = &[$(
            ($name, Run::Host(|e: &mut Engine, host: &mut dyn Host, a: &Args| -> Result { host.command(HostCommand::$command, e, a) })),
        )*];
    };
}

outside! {
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
