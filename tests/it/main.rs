//! Black-box tests: real processes, real sockets, real peers.
//!
//! Every test starts the servers that it needs on free ports in folders of their own, and is
//! independent of all others. Peers that are not installed make their tests print `skipped: …`
//! and pass, or fail where the environment has `REQUIRE_PEERS=1`.

mod admin;
mod cli_terminal;
mod client_memory;
mod clients;
mod crashes;
mod cut_streams;
mod dispatch;
mod failover;
mod flow;
mod hostile_primary;
mod info;
mod links;
mod maxmemory;
mod mounted;
mod positions;
mod process;
mod protocol;
mod receiving;
mod replication_log;
mod reply_shapes;
mod rewritten;
mod saving;
mod scenarios_a;
mod scenarios_a_roles;
mod scenarios_b;
mod scenarios_b7;
mod scenarios_b8;
mod scenarios_b8_options;
mod scenarios_cd;
mod sentinels;
mod settings;
mod signals;
mod stopping;
mod support;
mod threads;
mod tools;
mod unsupported;
mod up;
