//! What the server counts: commands, errors, connections, slow commands, latency events.

use crate::config::Config;
use crate::engine::Engine;
use crate::table::Command;
use resp::Args;
use std::collections::{BTreeMap, VecDeque};

/// What the rounds of the event loop took; a round lasts from the end of a wait to the next one.
#[derive(Debug, Default, Clone, Copy)]
pub struct Rounds {
    /// How many there were.
    pub count: u64,
    /// Nanoseconds in all.
    pub nanos: u64,
    /// Nanoseconds of the longest.
    pub longest_ns: u64,
    /// Nanoseconds in which commands ran.
    pub command_ns: u64,
    /// Nanoseconds of timers.
    pub timer_ns: u64,
    /// Commands of the round that had most.
    pub commands_max: u64,
}

/// Counters of one command.
#[derive(Clone, Debug, Default)]
pub struct CommandStats {
    /// How often it ran.
    pub calls: u64,
    /// Time it took in all, nanoseconds.
    pub nanos: u64,
    /// How often it was refused before it ran.
    pub rejected: u64,
    /// How often it ran and failed.
    pub failed: u64,
    /// How long single calls took: counts by bucket, see [`bucket_of`].
    pub histogram: Option<Box<[u64; BUCKETS]>>,
}

impl CommandStats {
    /// The duration, nanoseconds, that `percent` of the calls did not exceed.
    pub fn percentile_ns(&self, percent: f64) -> u64 {
        let Some(histogram) = &self.histogram else { return 0 };
        let total: u64 = histogram.iter().sum();
        let wanted = (total as f64 * percent / 100.0).ceil() as u64;
        let mut seen = 0;
        for (bucket, count) in histogram.iter().enumerate() {
            seen += count;
            if seen >= wanted.max(1) {
                return bucket_end(bucket);
            }
        }
        0
    }
}

/// Buckets of a latency histogram: four to each doubling, from 1 ns to 17 s.
pub const BUCKETS: usize = 35 * 4;

/// The bucket of a duration.
#[inline]
pub fn bucket_of(nanos: u64) -> usize {
    let n = nanos.max(4);
    let log = 63 - n.leading_zeros() as usize;
    let fraction = (n >> (log - 2)) as usize & 3;
    ((log - 2) * 4 + fraction).min(BUCKETS - 1)
}

/// The longest duration that falls into a bucket, nanoseconds.
pub fn bucket_end(bucket: usize) -> u64 {
    let (log, fraction) = (bucket / 4 + 2, bucket as u64 % 4);
    ((5 + fraction) << (log - 2)) - 1
}

/// One entry of the slow log.
#[derive(Clone, Debug)]
pub struct Slow {
    /// Rises with each entry and never repeats.
    pub id: u64,
    /// When it ran, Unix seconds.
    pub at_s: i64,
    /// How long it took, microseconds.
    pub took_us: u64,
    /// Its arguments, long ones and surplus ones cut.
    pub args: Vec<Box<[u8]>>,
    /// The client's address.
    pub addr: String,
    /// The client's name.
    pub name: Box<[u8]>,
}

/// The latest latency peaks of one kind of event.
#[derive(Clone, Debug, Default)]
pub struct LatencyEvents {
    /// When (Unix seconds) and how long (milliseconds), oldest first, at most one a second.
    pub samples: VecDeque<(i64, u64)>,
    /// The longest ever, milliseconds.
    pub max_ms: u64,
}

/// Latency samples kept of each event.
const LATENCY_SAMPLES_MAX: usize = 160;
/// Arguments kept of a slow command.
const SLOW_ARGS_MAX: usize = 32;
/// Bytes kept of a slow command's argument.
const SLOW_ARG_BYTES_MAX: usize = 128;
/// Kinds of error that are counted apart, against an attack by endless codes.
const ERROR_CODES_MAX: usize = 128;

/// All counters.
#[derive(Debug, Default)]
pub struct Stats {
    /// By the command's index in the table.
    pub commands: Vec<CommandStats>,
    /// Errors by code.
    pub errors: BTreeMap<Box<[u8]>, u64>,
    /// All errors.
    pub errors_total: u64,
    /// All commands that ran.
    pub commands_total: u64,
    /// Connections accepted.
    pub connections: u64,
    /// Connections refused for `maxclients`.
    pub refused_connections: u64,
    /// Bytes received and sent, replication apart.
    pub net_in: u64,
    /// See [`Stats::net_in`].
    pub net_out: u64,
    /// Bytes received and sent for replication.
    pub repl_in: u64,
    /// See [`Stats::repl_in`].
    pub repl_out: u64,
    /// Buffers received from clients and sent to them.
    pub reads: u64,
    /// See [`Stats::reads`].
    pub writes: u64,
    /// Clients closed because they left too much unread.
    pub output_limit_closes: u64,
    /// Errors that a primary or a replica of ours was answered with.
    pub unexpected_errors: u64,
    /// Clients closed because they sent too long a request.
    pub query_limit_closes: u64,
    /// Clients closed because clients together took too much memory.
    pub evicted_clients: u64,
    /// Changes since the last successful save began.
    pub dirty: u64,
    /// Slow commands, newest first.
    pub slow: VecDeque<Slow>,
    /// The next slow log id.
    pub slow_next_id: u64,
    /// From how many nanoseconds on a command is slow.
    pub slow_ns: u64,
    slow_log_ns: u64,
    slow_max: usize,
    latency_threshold_ms: u64,
    tracking: bool,
    /// Latency events by name.
    pub latency: BTreeMap<&'static str, LatencyEvents>,
    /// Keys written while loading the last data set, and expired ones left out.
    pub loaded_keys: u64,
    /// See [`Stats::loaded_keys`].
    pub load_expired_keys: u64,
    /// Full resyncs given to replicas.
    pub full_syncs: u64,
    /// Partial resyncs given to replicas.
    pub partial_syncs: u64,
    /// Partial resyncs refused.
    pub partial_sync_refusals: u64,
    /// Commands of the last second, and bytes in and out.
    pub rates: Rates,
    /// What the event loop's rounds took.
    pub rounds: Rounds,
    /// The most memory ever used, bytes.
    pub peak_memory: usize,
    /// When the peak was reached, Unix seconds.
    pub peak_memory_at_s: i64,
}

/// Counters whose rates are taken.
const COUNTERS: usize = 7;

/// Rates over the last 1.6 s, from samples every 100 ms.
#[derive(Debug, Default, Clone)]
pub struct Rates {
    samples: [[u64; 16]; COUNTERS],
    next: usize,
    last: Option<(i64, [u64; COUNTERS])>,
}

impl Rates {
    /// Takes a sample of the counters: commands, bytes in, bytes out, replication bytes in and out,
    /// rounds of the event loop and their nanoseconds.
    pub fn sample(&mut self, now_ms: i64, counters: [u64; COUNTERS]) {
        if let Some((then, before)) = self.last {
            let ms = (now_ms - then).max(1) as u64;
            for (i, slot) in self.samples.iter_mut().enumerate() {
                slot[self.next] = counters[i].saturating_sub(before[i]) * 1000 / ms;
            }
            self.next = (self.next + 1) % 16;
        }
        self.last = Some((now_ms, counters));
    }

    /// The mean of a counter's samples, per second.
    pub fn per_second(&self, counter: usize) -> u64 {
        self.samples[counter].iter().sum::<u64>() / 16
    }
}

impl Stats {
    /// Counters of a table of so many commands.
    pub fn new(commands: usize) -> Self {
        Self { commands: vec![CommandStats::default(); commands], tracking: true, ..Self::default() }
    }

    /// Takes over the thresholds.
    pub fn apply_config(&mut self, config: &Config) {
        self.slow_log_ns =
            u64::try_from(config.slowlog_log_slower_than.get()).map_or(u64::MAX, |us| us.saturating_mul(1000));
        self.latency_threshold_ms = config.latency_monitor_threshold.get() as u64;
        let latency_ns =
            if self.latency_threshold_ms == 0 { u64::MAX } else { self.latency_threshold_ms.saturating_mul(1_000_000) };
        self.slow_ns = self.slow_log_ns.min(latency_ns);
        self.slow_max = config.slowlog_max_len.get() as usize;
        self.slow.truncate(self.slow_max);
        self.tracking = config.latency_tracking;
    }

    /// A command has run.
    #[inline]
    pub fn command_ran(&mut self, index: u16, took_ns: u64, failed: bool) {
        self.commands_total += 1;
        let stats = &mut self.commands[usize::from(index)];
        stats.calls += 1;
        stats.nanos += took_ns;
        stats.failed += u64::from(failed);
        if self.tracking {
            let histogram = stats.histogram.get_or_insert_with(|| Box::new([0; BUCKETS]));
            histogram[bucket_of(took_ns)] += 1;
        }
    }

    /// An error was replied.
    pub fn count_error(&mut self, code: &[u8]) {
        self.errors_total += 1;
        if let Some(n) = self.errors.get_mut(code) {
            *n += 1;
        } else if self.errors.len() < ERROR_CODES_MAX {
            self.errors.insert(code.into(), 1);
        }
    }

    /// Notes a latency event if it took long enough.
    pub fn latency_event(&mut self, name: &'static str, at_s: i64, took_ms: u64) {
        if self.latency_threshold_ms == 0 || took_ms < self.latency_threshold_ms {
            return;
        }
        let events = self.latency.entry(name).or_default();
        events.max_ms = events.max_ms.max(took_ms);
        match events.samples.back_mut() {
            Some((at, ms)) if *at == at_s => *ms = (*ms).max(took_ms),
            _ => {
                if events.samples.len() == LATENCY_SAMPLES_MAX {
                    events.samples.pop_front();
                }
                events.samples.push_back((at_s, took_ms));
            }
        }
    }

    /// Sets the counters of `CONFIG RESETSTAT` back.
    pub fn reset(&mut self) {
        let fresh = Self::new(self.commands.len());
        let old = std::mem::replace(self, fresh);
        self.dirty = old.dirty;
        self.slow = old.slow;
        self.slow_next_id = old.slow_next_id;
        self.latency = old.latency;
        self.slow_ns = old.slow_ns;
        self.slow_log_ns = old.slow_log_ns;
        self.slow_max = old.slow_max;
        self.latency_threshold_ms = old.latency_threshold_ms;
        self.tracking = old.tracking;
        self.peak_memory = old.peak_memory;
        self.peak_memory_at_s = old.peak_memory_at_s;
    }
}

impl Engine {
    /// Enters a slow command into the slow log and the latency events.
    #[cold]
    pub(crate) fn command_was_slow(&mut self, command: &Command, args: &Args, took_ns: u64) {
        let at_s = self.store.now_ms / 1000;
        let event = if command.flags.has(crate::spec::Flags::FAST) { "fast-command" } else { "command" };
        self.stats.latency_event(event, at_s, took_ns / 1_000_000);
        if took_ns < self.stats.slow_log_ns
            || command.flags.has(crate::spec::Flags::SKIP_SLOWLOG)
            || self.stats.slow_max == 0
        {
            return;
        }
        let client = self.clients.get(self.current);
        let entry = Slow {
            id: self.stats.slow_next_id,
            at_s,
            took_us: took_ns / 1000,
            args: cut_args(command, args),
            addr: client.map_or(String::new(), |c| c.addr.clone()),
            name: client.map_or(Box::default(), |c| c.name.clone()),
        };
        self.stats.slow_next_id += 1;
        self.stats.slow.push_front(entry);
        self.stats.slow.truncate(self.stats.slow_max);
    }
}

/// A request's arguments with passwords blotted out, for the slow log and MONITOR. The command is known by its own
/// name, whatever `rename-command` calls it; the options say themselves which are secret.
pub(crate) fn without_secrets<'a>(command: &Command, args: &Args<'a>) -> Vec<&'a [u8]> {
    use crate::commands::options::is;
    let mut words: Vec<&[u8]> = args.iter().collect();
    let secret: Vec<usize> = match command.spec.name {
        "auth" => (1..words.len()).collect(),
        // User and password follow the word AUTH.
        "hello" => words.iter().position(|word| is(word, "auth")).map_or(Vec::new(), |at| vec![at + 1, at + 2]),
        "config|set" => {
            let is_secret = |name: &[u8]| crate::config::find(name).is_some_and(|option| option.mutability.is_secret());
            (3..words.len()).step_by(2).filter(|i| is_secret(words[i - 1])).collect()
        }
        _ => Vec::new(),
    };
    for i in secret {
        if let Some(word) = words.get_mut(i) {
            *word = b"(redacted)";
        }
    }
    words
}

fn cut_args(command: &Command, args: &Args) -> Vec<Box<[u8]>> {
    let shown = if args.len() > SLOW_ARGS_MAX { SLOW_ARGS_MAX - 1 } else { args.len() };
    let cut = |arg: &[u8]| -> Box<[u8]> {
        if arg.len() <= SLOW_ARG_BYTES_MAX {
            return arg.into();
        }
        let mut kept = arg[..SLOW_ARG_BYTES_MAX].to_vec();
        kept.extend_from_slice(format!("... ({} more bytes)", arg.len() - SLOW_ARG_BYTES_MAX).as_bytes());
        kept.into()
    };
    // By reference: collected from the vector itself, the few that are kept would go on living in the room for all.
    let mut kept: Vec<Box<[u8]>> = without_secrets(command, args).iter().take(shown).map(|arg| cut(arg)).collect();
    if shown < args.len() {
        kept.push(format!("... ({} more arguments)", args.len() - shown).into_bytes().into());
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slow_log_keeps_little_of_a_long_request() {
        let words = vec![&b"x"[..]; 10_000];
        let mut bytes = Vec::new();
        resp::encode_command(&mut bytes, words.iter().copied());
        let mut spans = Vec::new();
        let limits = resp::Limits { bulk_bytes_max: 1 << 20, authenticated: true };
        resp::RequestParser::default().parse(&bytes, limits, &mut spans).unwrap();
        let get = crate::table::CommandTable::get().find(b"mget").expect("there is MGET");
        let kept = cut_args(get, &Args::new(&bytes, &spans));
        assert_eq!(kept.len(), SLOW_ARGS_MAX);
        assert_eq!(*kept[SLOW_ARGS_MAX - 1], *b"... (9969 more arguments)");
        assert!(kept.capacity() < 100, "{}", kept.capacity());
    }

    #[test]
    fn buckets_hold_what_lies_between_their_ends() {
        for nanos in [0, 1, 4, 5, 7, 8, 100, 1000, 123_456, 5_000_000_000] {
            let bucket = bucket_of(nanos);
            assert!(nanos <= bucket_end(bucket), "{nanos}");
            assert!(bucket == 0 || nanos > bucket_end(bucket - 1), "{nanos}");
        }
    }
}
