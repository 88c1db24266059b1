//! `rekindle check-rdb`: reads a whole RDB file and says whether it is good, and if not, where and what was being read.
//!
//! The reading and judging is `persist::check`, and then the server's own loader, so that no file is called good that a server refuses; this is its command line, with the report in the lines that
//! `redis-check-rdb` prints, so that scripts which look for them keep working. Limit: the file's auxiliary fields
//! are reported without their offsets.

use base::text::quoted;
use clap::Parser;
use engine::config::Config;
use engine::rdb::{LoadOptions, check_names};
use persist::check::check_rdb;
use persist::error::Fault;
use persist::reader::{Options as ReadOptions, Source};
use persist::source::SourceError;
use std::fs::File;
use std::io::Read;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

/// Checks that an RDB file can be read to its end; the exit status is 1 if it can't.
#[derive(Parser, Debug)]
#[command(name = "rekindle check-rdb", version)]
struct Options {
    /// The file to check.
    file: String,
    /// How many databases the server has that is to load it, its option `databases`.
    #[arg(long, default_value_t = 16)]
    databases: usize,
}

/// A file as the reader's source.
struct FileSource(File);

impl Source for FileSource {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, SourceError> {
        loop {
            match self.0.read(buffer) {
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                result => return result.map_err(|e| SourceError::new(e.to_string())),
            }
        }
    }
}

/// Runs the command with these arguments.
pub fn main(args: &[String]) -> ExitCode {
    let options =
        match Options::try_parse_from(std::iter::once("rekindle check-rdb".to_owned()).chain(args.iter().cloned())) {
            Ok(options) => options,
            Err(error) => {
                let _ = error.print();
                return if error.use_stderr() { ExitCode::FAILURE } else { ExitCode::SUCCESS };
            }
        };
    println!("[offset 0] Checking RDB file {}", options.file);
    let open = || File::open(&options.file).map(FileSource);
    let file = match open() {
        Ok(file) => file,
        Err(error) => {
            eprintln!("rekindle check-rdb: can't open {}: {error}", options.file);
            return ExitCode::FAILURE;
        }
    };
    let now_ms =
        SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| i64::try_from(d.as_millis()).unwrap_or(i64::MAX));
    let report = check_rdb(file, ReadOptions::default(), now_ms);
    for (name, value) in &report.aux {
        println!("[info] AUX FIELD {} = '{}'", String::from_utf8_lossy(name), String::from_utf8_lossy(value));
    }
    for db in &report.databases {
        println!("[info] Selecting DB ID {db}");
    }
    if report.functions > 0 {
        println!("[info] {} function libraries read", report.functions);
    }
    let good = match report.outcome.as_ref().expect("the check sets its outcome") {
        Ok(summary) => {
            match summary.checksum {
                Some(_) => println!("[offset {}] Checksum OK", summary.bytes),
                None => println!(
                    "[offset {}] RDB file was saved with checksum disabled: no check performed.",
                    summary.bytes
                ),
            }
            // What can be read need not be what a server can hold: it is asked, too.
            let mut load = LoadOptions::from_config(&Config::default(), now_ms);
            load.databases = options.databases;
            match open()
                .map_err(|error| error.to_string())
                .and_then(|file| check_names(file, &load).map_err(|error| error.to_string()))
            {
                Ok(()) => {
                    println!("[offset {}] \\o/ RDB looks OK! \\o/", summary.bytes);
                    true
                }
                Err(error) => {
                    println!("--- RDB ERROR DETECTED ---");
                    println!("The file is whole, and the server refuses it: {error}");
                    false
                }
            }
        }
        Err(error) => {
            println!("--- RDB ERROR DETECTED ---");
            println!("[offset {}] {}", error.offset, error.fault);
            if let Fault::Truncated { expected } = &error.fault {
                println!("[additional info] While doing: {expected}");
            }
            if let Some(key) = &error.key {
                println!("[additional info] Reading key {}", quoted(key));
            }
            if let Some((_, kind)) = report.last_key.as_ref().filter(|_| error.key.is_some()) {
                println!("[additional info] Reading type {kind} ({})", persist::format::kind_name(*kind));
            }
            false
        }
    };
    println!("[info] {} keys read", report.keys);
    println!("[info] {} expires", report.expires);
    println!("[info] {} already expired", report.already_expired);
    if report.empty_keys > 0 {
        println!("[info] {} empty keys skipped", report.empty_keys);
    }
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
