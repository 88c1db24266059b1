//! How much others can make a sentinel do or remember.

/// Replicas of one primary that are remembered; more are not taken from its `INFO`.
pub const REPLICAS_MAX: usize = 1024;
/// Other sentinels of one primary that are remembered; hellos of more are refused.
pub const SENTINELS_MAX: usize = 256;
/// Bytes of an `INFO` reply that are read and kept.
pub const INFO_BYTES_MAX: usize = 1 << 20;
/// Bytes of a hello message.
pub const HELLO_BYTES_MAX: usize = 2048;
/// Bytes of a host name, as in DNS.
pub const HOST_BYTES_MAX: usize = 255;
/// Bytes of the name of a primary.
pub const NAME_BYTES_MAX: usize = 512;
/// An epoch above this cannot come from counting fail-overs, one per epoch: it is refused, since an epoch can only grow, and one
/// at the end of its range would end all elections.
pub const EPOCH_MAX: u64 = 1 << 48;
/// Commands on one link without reply, for each primary that shares it; periodic commands wait then.
pub const PENDING_MAX: usize = 100;
/// Host names whose addresses are remembered.
pub const NAMES_MAX: usize = 4096;
/// Scripts that wait or run; the oldest waiting one is dropped for a new one.
pub const SCRIPT_QUEUE_MAX: usize = 256;
/// Scripts that run at the same time.
pub const SCRIPTS_RUNNING_MAX: usize = 16;
/// How often a script is started before it is given up.
pub const SCRIPT_TRIES_MAX: u32 = 10;
