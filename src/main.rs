//! Rekindle, one binary: the server, and (by subcommand or by the name it is started by) its tools.

#![cfg_attr(not(test), deny(clippy::wildcard_enum_match_arm))]

mod benchmark;
mod check_rdb;
mod cli;
mod server;
mod up;
mod uri;
mod wire;

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

const USAGE: &str = "Usage: rekindle COMMAND [options]

Commands:
  server        run a server (redis-server's options and files)
  sentinel      watch primaries and their replicas, and fail over (redis-sentinel's files)
  cli           send commands to a server, interactively or one by one (redis-cli's options)
  benchmark     measure a server's throughput and latency (redis-benchmark's options)
  check-rdb     read an RDB file and say whether it is good
  check-aof     not supported yet
  up            start a primary, two replicas and three sentinels on this machine and show them live

A link to this program named redis-server, valkey-server or rekindle-server acts as the command after the dash;
so do links for the other commands.
Try: rekindle help COMMAND; rekindle --version
";

const COMMANDS: [&str; 9] =
    ["server", "sentinel", "cli", "benchmark", "check-rdb", "check-aof", "up", "help", "version"];

fn main() -> ExitCode {
    let mut args: Vec<String> = std::env::args_os().map(|a| a.to_string_lossy().into_owned()).collect();
    let called = args.first().map_or(String::new(), |a| a.rsplit('/').next().unwrap_or("").to_owned());
    let command =
        ["redis-", "valkey-", "rekindle-"].iter().find_map(|prefix| called.strip_prefix(prefix)).map(str::to_owned);
    let command = match command {
        Some(command) => {
            args.remove(0);
            command
        }
        None if args.len() > 1 => {
            let command = args.remove(1);
            args.remove(0);
            command
        }
        None => {
            print!("{USAGE}");
            return ExitCode::FAILURE;
        }
    };
    // `help COMMAND` is the command's own help.
    match (command.as_str(), args.first()) {
        ("help", Some(about)) if about != "help" => run(&about.clone(), &["--help".to_owned()]),
        _ => run(&command, &args),
    }
}

fn run(command: &str, args: &[String]) -> ExitCode {
    match command {
        "server" => server::main(args),
        "sentinel" => server::sentinel_main(args),
        "cli" => cli::main(args),
        "benchmark" => benchmark::main(args),
        "check-rdb" => check_rdb::main(args),
        "check-aof" => {
            eprintln!("rekindle check-aof: not supported yet");
            ExitCode::FAILURE
        }
        "up" => up::main(args),
        "-h" | "--help" | "help" => {
            print!("{USAGE}");
            ExitCode::SUCCESS
        }
        "-v" | "-V" | "--version" | "version" => {
            println!("rekindle {} (compatible with Redis {})", env!("CARGO_PKG_VERSION"), server::REDIS_VERSION);
            ExitCode::SUCCESS
        }
        other => {
            eprint!("rekindle: '{other}' is not a command");
            match engine::nearest::nearest(other.trim_start_matches('-'), COMMANDS) {
                Some(near) => eprintln!(". Did you mean '{near}'?\nTry: rekindle help"),
                None => eprintln!("\n\n{USAGE}"),
            }
            ExitCode::FAILURE
        }
    }
}
