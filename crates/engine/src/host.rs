//! What commands need from outside the engine: files, sockets, the replication log.
//!
//! The engine owns none of these; the server implements this trait and lends itself to the
//! handlers of such commands.

use crate::engine::Engine;
use crate::error::Result;
use resp::Args;

/// Commands whose work is the server's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum HostCommand {
    BgSave,
    ConfigGet,
    ConfigHelp,
    ConfigSet,
    ConfigRewrite,
    ConfigResetStat,
    Debug,
    Failover,
    Info,
    LastSave,
    MemoryDoctor,
    MemoryMallocStats,
    MemoryPurge,
    MemoryStats,
    Psync,
    ReplConf,
    ReplicaOf,
    Role,
    Save,
    Sentinel,
    Shutdown,
    Sync,
    Wait,
}

/// The outside, as commands see it.
pub trait Host {
    /// Carries out a command whose arity has been checked; the reply goes to `engine.out`.
    fn command(&mut self, command: HostCommand, engine: &mut Engine, args: &Args) -> Result;
}
