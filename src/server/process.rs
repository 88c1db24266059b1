//! What the process tells the system that runs it, and asks of it: syslog, a supervisor, the
//! kernel's choice of victims when memory runs out, processors, a watchdog.
//!
//! All of it is by files and sockets of the system, so that no foreign code is needed. None of it stops the server where it fails.

use super::log::log;
use engine::config::Config;
use engine::config::values::{OomScoreAdj, Supervised, SyslogFacility};
use rustix::thread::{CpuSet, sched_setaffinity};
use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// The way to syslog.
#[derive(Debug)]
pub struct Syslog {
    socket: UnixDatagram,
    ident: String,
    facility: u8,
}

impl Syslog {
    /// Opens it as the settings say, if they do.
    pub fn open(config: &Config) -> Option<io::Result<Self>> {
        config.syslog_enabled.then(|| {
            let socket = UnixDatagram::unbound()?;
            socket.connect("/dev/log")?;
            // A log that nobody reads must not hold the server up.
            socket.set_nonblocking(true)?;
            let facility = match config.syslog_facility {
                SyslogFacility::User => 1,
                SyslogFacility::Local0 => 16,
                SyslogFacility::Local1 => 17,
                SyslogFacility::Local2 => 18,
                SyslogFacility::Local3 => 19,
                SyslogFacility::Local4 => 20,
                SyslogFacility::Local5 => 21,
                SyslogFacility::Local6 => 22,
                SyslogFacility::Local7 => 23,
            };
            Ok(Self { socket, ident: config.syslog_ident.get().to_owned(), facility })
        })
    }

    /// Sends a line of this severity, 0 to 7.
    pub fn send(&self, severity: u8, text: &str) {
        let _ = self.socket.send(self.line(severity, text).as_bytes());
    }

    fn line(&self, severity: u8, text: &str) -> String {
        let now = jiff::Zoned::now().strftime("%b %e %H:%M:%S").to_string();
        let Self { ident, facility, .. } = self;
        format!("<{}>{now} {ident}[{}]: {text}", facility * 8 + severity, std::process::id())
    }
}

/// The supervisor that the settings and the environment name.
pub fn supervisor(config: &Config) -> Supervised {
    let has = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    match config.supervised {
        Supervised::Auto if has("UPSTART_JOB") => Supervised::Upstart,
        Supervised::Auto if has("NOTIFY_SOCKET") => Supervised::Systemd,
        Supervised::Auto => Supervised::No,
        named @ (Supervised::Upstart | Supervised::Systemd | Supervised::No) => named,
    }
}

/// Upstart takes a process for ready when it stops itself.
pub fn stop_for_upstart(config: &Config) {
    if supervisor(config) == Supervised::Upstart {
        log!(Notice, "supervised by upstart, will stop to signal readiness");
        if let Err(error) = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::STOP) {
            log!(Warning, "Can't stop for upstart: {error}");
        }
    }
}

/// Tells systemd a state such as `READY=1`, where it wants to know.
pub fn tell_systemd(config: &Config, state: &str) {
    if supervisor(config) != Supervised::Systemd {
        return;
    }
    let Some(path) = std::env::var_os("NOTIFY_SOCKET") else {
        log!(Warning, "systemd supervision requested but NOTIFY_SOCKET not found");
        return;
    };
    if let Err(error) = notify(&path, state) {
        log!(Warning, "Can't send notification to systemd: {error}");
    }
}

fn notify(path: &OsStr, state: &str) -> io::Result<()> {
    let addr = match path.as_bytes().strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(Path::new(path))?,
    };
    UnixDatagram::unbound()?.send_to_addr(state.as_bytes(), &addr).map(|_| ())
}

const OOM_FILE: &str = "/proc/self/oom_score_adj";

/// The process's place in the kernel's choice of victims.
#[derive(Debug, Default)]
pub struct OomScore {
    /// What it was before we changed it, while it is changed.
    base: Option<i64>,
}

impl OomScore {
    /// Makes it what the settings say for this role; where they no longer say anything, what it was.
    pub fn apply(&mut self, config: &Config, is_replica: bool) -> io::Result<()> {
        let base = match (config.oom_score_adj, self.base) {
            (OomScoreAdj::No, None) => return Ok(()),
            (_, Some(base)) => base,
            (_, None) => std::fs::read_to_string(OOM_FILE)?.trim().parse().map_err(io::Error::other)?,
        };
        let value = config.oom_score_adj_values.0[usize::from(is_replica)];
        let wanted = match config.oom_score_adj {
            OomScoreAdj::No => base,
            OomScoreAdj::Yes | OomScoreAdj::Relative => base + value,
            OomScoreAdj::Absolute => value,
        };
        std::fs::write(OOM_FILE, wanted.clamp(-1000, 1000).to_string())?;
        self.base = (config.oom_score_adj != OomScoreAdj::No).then_some(base);
        Ok(())
    }
}

/// Binds the calling thread to the processors of a list such as `0-3,6` or `0-7:2`; an empty list binds nothing.
pub fn bind_to_processors(list: &str) {
    if list.is_empty() {
        return;
    }
    let bound = processors(list).and_then(|all| {
        let mut set = CpuSet::new();
        for cpu in all {
            set.set(cpu);
        }
        sched_setaffinity(None, &set).map_err(|e| e.to_string())
    });
    if let Err(error) = bound {
        log!(Warning, "Can't bind a thread to the processors {list}: {error}");
    }
}

fn processors(list: &str) -> Result<Vec<usize>, String> {
    let mut all = Vec::new();
    for part in list.split(',') {
        let (range, step) = part.split_once(':').unwrap_or((part, "1"));
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let number = |text: &str| text.trim().parse::<usize>().map_err(|_| format!("'{text}' is no number"));
        let (first, last, step) = (number(first)?, number(last)?, number(step)?.max(1));
        if last >= CpuSet::MAX_CPU {
            return Err(format!("there is no processor {last}"));
        }
        all.extend((first..=last).step_by(step));
    }
    Ok(all)
}

/// Shows in `ps` what the template says, unless `set-proc-title` forbids it.
pub fn set_title(config: &Config, program: &str) {
    if config.set_proc_title
        && let Some(title) = config.proc_title_template.fill(|name| title_variable(config, program, name))
    {
        sys::title::set(&title);
    }
}

fn title_variable(config: &Config, program: &str, name: &str) -> String {
    match name {
        "title" => program.to_owned(),
        "listen-addr" => listen_addr(config),
        "port" => config.port.get().to_string(),
        "tls-port" => config.tls_port.get().to_string(),
        "unixsocket" => config.unixsocket.get().to_owned(),
        "config-file" => config.file.clone().unwrap_or_default(),
        // `server-mode` is empty outside Sentinel and Cluster.
        _ => String::new(),
    }
}

/// The first address that clients come in by.
fn listen_addr(config: &Config) -> String {
    let port = config.port.get();
    if port == 0 {
        return config.unixsocket.get().to_owned();
    }
    let first = config.bind.0.first().map_or("*", |addr| addr.trim_start_matches('-'));
    if first.contains(':') { format!("[{first}]:{port}") } else { format!("{first}:{port}") }
}

/// The number of a group, given by number or by a name in `/etc/group`.
pub fn group_id(name: &str) -> Option<u32> {
    name.parse().ok().or_else(|| {
        let groups = std::fs::read_to_string("/etc/group").ok()?;
        let line = groups.lines().find(|line| line.split(':').next() == Some(name))?;
        line.split(':').nth(2)?.parse().ok()
    })
}

/// Descriptors that the server needs beside those of its clients: files, listening sockets, links to other servers.
pub const OWN_FILES: i64 = 64;

/// Sees to it that so many clients can be served.
///
/// # Errors
/// How many can be, for want of descriptors; at least one.
pub fn make_room_for_clients(clients: i64) -> Result<(), i64> {
    let wanted = u64::try_from(clients.saturating_add(OWN_FILES)).unwrap_or(0);
    let granted = net::raise_nofile(wanted);
    if granted >= wanted { Ok(()) } else { Err((i64::try_from(granted).unwrap_or(i64::MAX) - OWN_FILES).max(1)) }
}

/// How often the event loop has come round, and how long it may take for one round, milliseconds; 0 for ever.
static ROUNDS: AtomicU64 = AtomicU64::new(0);
static PERIOD_MS: AtomicU64 = AtomicU64::new(0);
static WATCHED: AtomicBool = AtomicBool::new(false);
/// The shortest period that makes sense, since the event loop sleeps up to its tick.
const PERIOD_MIN_MS: u64 = 200;

/// The event loop comes round.
#[inline]
pub fn round() {
    ROUNDS.fetch_add(1, Ordering::Relaxed);
}

/// `watchdog-period`: another thread says so when the event loop does not come round for so long.
pub fn set_watchdog(period_ms: i64) {
    let period_ms = u64::try_from(period_ms).unwrap_or(0);
    PERIOD_MS.store(if period_ms > 0 { period_ms.max(PERIOD_MIN_MS) } else { 0 }, Ordering::Relaxed);
    if period_ms == 0 || WATCHED.swap(true, Ordering::Relaxed) {
        return;
    }
    let spawned = std::thread::Builder::new().name("rk-watchdog".into()).spawn(|| {
        let mut seen = (0, 0);
        loop {
            let period_ms = PERIOD_MS.load(Ordering::Relaxed);
            if period_ms == 0 {
                WATCHED.store(false, Ordering::Relaxed);
                return;
            }
            std::thread::sleep(Duration::from_millis(period_ms));
            let rounds = ROUNDS.load(Ordering::Relaxed);
            // Each standstill is reported once.
            if rounds == seen.0 && rounds != seen.1 {
                log!(Warning, "--- WATCHDOG TIMER EXPIRED ---");
                log!(
                    Warning,
                    "The event loop has not come round for {period_ms} ms: a command or the system holds it up."
                );
                super::crash::show_stacks("Where all threads are");
                seen.1 = rounds;
            }
            seen.0 = rounds;
        }
    });
    if let Err(error) = spawned {
        WATCHED.store(false, Ordering::Relaxed);
        log!(Warning, "Can't start a thread for the watchdog: {error}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_processors() {
        for (list, expected) in [
            ("3", Ok(vec![3])),
            ("0-2,5", Ok(vec![0, 1, 2, 5])),
            ("0-6:3", Ok(vec![0, 3, 6])),
            ("x", Err("'x' is no number".to_owned())),
            ("0-99999999999", Err("there is no processor 99999999999".to_owned())),
        ] {
            assert_eq!(processors(list), expected, "{list}");
        }
    }

    #[test]
    fn lines_for_syslog() {
        let socket = UnixDatagram::unbound().unwrap();
        let line = Syslog { socket, ident: "redis".into(), facility: 16 }.line(4, "hello");
        let end = format!(" redis[{}]: hello", std::process::id());
        assert!(line.starts_with("<132>") && line.ends_with(&end), "{line}");
    }

    #[test]
    fn systemd_is_told_over_its_socket() {
        let folder = std::env::temp_dir().join(format!("rekindle-notify-{}", std::process::id()));
        let socket = UnixDatagram::bind(&folder).unwrap();
        notify(folder.as_os_str(), "READY=1\n").unwrap();
        let mut buf = [0; 64];
        let n = socket.recv(&mut buf).unwrap();
        std::fs::remove_file(&folder).unwrap();
        assert_eq!(&buf[..n], b"READY=1\n");
    }

    #[test]
    fn groups_by_number_and_name() {
        assert_eq!((group_id("123"), group_id("root"), group_id("no such group")), (Some(123), Some(0), None));
    }
}
