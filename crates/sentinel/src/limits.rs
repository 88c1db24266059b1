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
/// The greatest epoch that a message or a file may name. An epoch can only grow, and one at the end of its range would end all
/// elections. So no message takes a sentinel further than [`EPOCH_LEAP_MAX`], and the greatest epoch stays out of reach: it takes
/// 48 days of such messages, each second one.
pub const EPOCH_MAX: u64 = 1 << 62;
/// How far an epoch may be from ours, for all that fail-overs explain: one by hand takes up to 65,536 at once, and a sentinel may
/// have missed some.
pub const EPOCH_STEP_MAX: u64 = 1 << 20;
/// How far a message about a greater epoch takes us at most, once in [`EPOCH_LEAP_PERIOD_MS`]. A sentinel that joins a group
/// whose epochs somebody has forged comes up to them in such leaps.
pub const EPOCH_LEAP_MAX: u64 = 1 << 40;
/// How long after a leap the next one is taken.
pub const EPOCH_LEAP_PERIOD_MS: u64 = 1000;
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
