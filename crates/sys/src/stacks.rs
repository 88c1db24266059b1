//! The stacks of all threads, on demand and when the process crashes.
//!
//! ```text
//!  thread that crashes              reporter (a thread that waits from the start on)
//!  handler: notes signal, address,
//!           its own frames ───────► asks every other thread for its frames (SIGUSR2),
//!           waits                   names the functions, hands the text over
//!  default action of the signal ◄── done, or five seconds have passed
//! ```
//!
//! A handler may interrupt anything, the allocator too, so it takes no lock and allocates nothing: it writes addresses
//! into memory that is there from the start. All else is done by a thread that was not hit. If it hangs on a lock that
//! the crashed thread holds, the report stays short: the process ends after five seconds in any case.
//!
//! A thread that blocks SIGUSR2, or is in the kernel for longer than [`ANSWER_MS`], is shown without frames.

use std::ffi::c_int;
use std::fmt::Write;
use std::io::{self, Read};
use std::os::fd::IntoRawFd;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicUsize, Ordering};
use std::time::Duration;

/// Frames of one thread; further ones are left out.
const FRAMES: usize = 100;
/// How long one thread may take to tell its frames.
const ANSWER_MS: u64 = 200;
/// How long a crashed thread waits for the report.
const REPORT_MS: u64 = 5000;
/// The stack on which handlers run: that of the thread may be what has run out.
const HANDLER_STACK_BYTES: usize = 64 << 10;
/// The signals of a crash.
const CRASHES: [c_int; 7] = [
    libc::SIGSEGV,
    libc::SIGBUS,
    libc::SIGFPE,
    libc::SIGILL,
    libc::SIGABRT,
    // A system call that a filter forbids, and a trap without a debugger.
    libc::SIGSYS,
    libc::SIGTRAP,
];

/// The frames of one thread, written by a handler on it.
struct Frames {
    len: AtomicUsize,
    addresses: [AtomicUsize; FRAMES],
}

impl Frames {
    const fn new() -> Self {
        Self { len: AtomicUsize::new(0), addresses: [const { AtomicUsize::new(0) }; FRAMES] }
    }

    /// Notes the frames of the running thread.
    fn take(&self) {
        let mut len = 0;
        // SAFETY: "unsynchronized" because looking up names is not thread-safe there; walking the frames is, and only
        // that is done.
        unsafe {
            backtrace::trace_unsynchronized(|frame| {
                // The oldest frame may stand for nothing.
                if let Some(slot) = self.addresses.get(len).filter(|_| !frame.ip().is_null()) {
                    slot.store(frame.ip() as usize, Ordering::Relaxed);
                    len += 1;
                }
                len < FRAMES
            });
        }
        self.len.store(len, Ordering::Release);
    }

    fn get(&self) -> Vec<usize> {
        let len = self.len.load(Ordering::Acquire);
        self.addresses[..len].iter().map(|a| a.load(Ordering::Relaxed)).collect()
    }
}

/// Of whom frames are wanted: a thread's number, 0 for nobody.
static ASKED: AtomicI32 = AtomicI32::new(0);
static ANSWERED: AtomicBool = AtomicBool::new(false);
static ANSWER: Frames = Frames::new();
/// Threads are asked one after another.
static ASKING: Mutex<()> = Mutex::new(());

static ENABLED: AtomicBool = AtomicBool::new(false);
/// The crash: its signal, 0 while there is none.
static SIGNAL: AtomicI32 = AtomicI32::new(0);
static CODE: AtomicI32 = AtomicI32::new(0);
static ADDRESS: AtomicUsize = AtomicUsize::new(0);
static CRASHED: AtomicI32 = AtomicI32::new(0);
static CRASH_FRAMES: Frames = Frames::new();
/// The pipe that wakes the reporter: writing to it is one of the few things that a handler may do.
static BELL: AtomicI32 = AtomicI32::new(-1);
static REPORTED: AtomicBool = AtomicBool::new(false);
static REPORTER: AtomicI32 = AtomicI32::new(0);

/// What is known of a crash.
#[derive(Debug, Clone, Copy)]
pub struct Crash {
    /// The signal's number.
    pub signal: i32,
    /// The signal's `si_code`.
    pub code: i32,
    /// The address that was accessed, or for a signal that somebody sent, who did.
    pub address: usize,
}

fn thread_number() -> i32 {
    // SAFETY: the call has no arguments and cannot fail.
    unsafe { libc::gettid() }
}

type Handler = extern "C" fn(c_int, *mut libc::siginfo_t, *mut libc::c_void);

fn handle(signal: c_int, handler: Handler, flags: c_int) -> io::Result<()> {
    // SAFETY: an all-zero `sigaction` is a valid value; its handler and flags are set before it is used.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = handler as *const () as usize;
    action.sa_flags = libc::SA_SIGINFO | libc::SA_RESTART | flags;
    // SAFETY: `action` is filled in, its handler keeps to what a handler may do (see this module's header).
    let result = unsafe { libc::sigaction(signal, &raw const action, std::ptr::null_mut()) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Gives the calling thread a stack for handlers, so that a stack that has run out can be reported.
fn give_handler_stack() -> io::Result<()> {
    let stack = Box::leak(vec![0u8; HANDLER_STACK_BYTES].into_boxed_slice());
    let described = libc::stack_t { ss_sp: stack.as_mut_ptr().cast(), ss_flags: 0, ss_size: HANDLER_STACK_BYTES };
    // SAFETY: the memory is never freed and belongs to this thread's handlers alone.
    let result = unsafe { libc::sigaltstack(&raw const described, std::ptr::null_mut()) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Prepares for crashes and for [`all`]: to be called once, on the main thread. When the process crashes, `report` is
/// called on a thread of its own, first with no stacks, then with the text of all of them.
pub fn install(report: fn(Crash, Option<&str>)) -> io::Result<()> {
    give_handler_stack()?;
    handle(libc::SIGUSR2, answer, 0)?;
    let (mut crashes, bell) = io::pipe()?;
    BELL.store(bell.into_raw_fd(), Ordering::Relaxed);
    std::thread::Builder::new().name("rk-reporter".into()).spawn(move || {
        REPORTER.store(thread_number(), Ordering::Relaxed);
        if crashes.read_exact(&mut [0]).is_err() {
            return;
        }
        let crash = Crash {
            signal: SIGNAL.load(Ordering::Relaxed),
            code: CODE.load(Ordering::Relaxed),
            address: ADDRESS.load(Ordering::Relaxed),
        };
        report(crash, None);
        report(crash, Some(&all()));
        REPORTED.store(true, Ordering::Release);
    })?;
    CRASHES.iter().try_for_each(|signal| handle(*signal, crashed, libc::SA_ONSTACK))
}

/// Whether crashes are reported; without that, they end the process as if there were no handlers.
pub fn enable(enabled: bool) {
    ENABLED.store(enabled, Ordering::Relaxed);
}

/// Whether crashes are reported.
pub fn is_enabled() -> bool {
    ENABLED.load(Ordering::Relaxed)
}

extern "C" fn crashed(signal: c_int, info: *mut libc::siginfo_t, _: *mut libc::c_void) {
    let first = SIGNAL.compare_exchange(0, signal, Ordering::Relaxed, Ordering::Relaxed).is_ok();
    if ENABLED.load(Ordering::Relaxed) && first {
        if !info.is_null() {
            // SAFETY: the kernel hands over a valid `siginfo_t`; every signal's has these two.
            let (code, address) = unsafe { ((*info).si_code, (*info).si_addr() as usize) };
            CODE.store(code, Ordering::Relaxed);
            ADDRESS.store(address, Ordering::Relaxed);
        }
        CRASHED.store(thread_number(), Ordering::Relaxed);
        CRASH_FRAMES.take();
        // SAFETY: one byte of static memory is written to a pipe.
        unsafe { libc::write(BELL.load(Ordering::Relaxed), b"!".as_ptr().cast(), 1) };
    }
    // Whoever crashes while a report is being made waits for its end, unless it is the reporter itself.
    if ENABLED.load(Ordering::Relaxed) && thread_number() != REPORTER.load(Ordering::Relaxed) {
        for _ in 0..REPORT_MS / 10 {
            if REPORTED.load(Ordering::Acquire) {
                break;
            }
            // Sleeping is one system call: no lock, no memory.
            std::thread::sleep(Duration::from_millis(10));
        }
    }
    // SAFETY: both calls are among those that a handler may make. The signal is blocked until the handler returns; then
    // its default action ends the process.
    unsafe {
        libc::signal(signal, libc::SIG_DFL);
        libc::raise(signal);
    }
}

extern "C" fn answer(_: c_int, _: *mut libc::siginfo_t, _: *mut libc::c_void) {
    if ASKED.load(Ordering::Acquire) == thread_number() {
        ANSWER.take();
        ANSWERED.store(true, Ordering::Release);
    }
}

/// The frames of another thread of this process, or none if it does not answer in time.
fn ask(thread: i32) -> Vec<usize> {
    ANSWERED.store(false, Ordering::Relaxed);
    ASKED.store(thread, Ordering::Release);
    // SAFETY: the signal has a handler that does no harm, and goes to a thread of our own process.
    let sent = unsafe { libc::syscall(libc::SYS_tgkill, libc::getpid(), thread, libc::SIGUSR2) } == 0;
    for _ in 0..ANSWER_MS {
        if !sent || ANSWERED.load(Ordering::Acquire) {
            break;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    // One that answers from now on finds that it is no longer asked.
    ASKED.store(0, Ordering::Release);
    if ANSWERED.load(Ordering::Acquire) { ANSWER.get() } else { Vec::new() }
}

/// The stacks of all threads as text; the one that has crashed comes first.
pub fn all() -> String {
    let _one_at_a_time = ASKING.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let me = thread_number();
    let crashed = CRASHED.load(Ordering::Relaxed);
    let tasks = std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let mut threads: Vec<i32> = tasks.filter_map(|task| task.file_name().to_str()?.parse().ok()).collect();
    threads.sort_by_key(|thread| (*thread != crashed, *thread));
    let mut text = String::new();
    for thread in threads.into_iter().filter(|thread| *thread != me) {
        let name = std::fs::read_to_string(format!("/proc/self/task/{thread}/comm")).unwrap_or_default();
        let mark = if thread == crashed { " *" } else { "" };
        let _ = writeln!(text, "\n{thread} {}{mark}", name.trim_end());
        let frames = if thread == crashed { CRASH_FRAMES.get() } else { ask(thread) };
        if frames.is_empty() {
            text.push_str("(no answer)\n");
        }
        frames.into_iter().for_each(|address| describe(address, &mut text));
    }
    text
}

fn describe(address: usize, text: &mut String) {
    let mut named = false;
    backtrace::resolve(address as *mut _, |symbol| {
        let Some(name) = symbol.name() else { return };
        named = true;
        let _ = write!(text, "{address:#x} {name:#}");
        if let (Some(file), Some(line)) = (symbol.filename(), symbol.lineno()) {
            let _ = write!(text, " ({}:{line})", file.display());
        }
        text.push('\n');
    });
    if !named {
        let _ = writeln!(text, "{address:#x}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;

    /// A function with a name of its own, to be found in a stack.
    #[inline(never)]
    fn a_thread_that_waits_for_the_test(wait: &std::sync::mpsc::Receiver<()>) -> bool {
        wait.recv().is_ok()
    }

    #[test]
    fn stacks_show_where_other_threads_are() {
        handle(libc::SIGUSR2, answer, 0).unwrap();
        let (go, wait) = channel();
        let (ready, is_ready) = channel();
        let body = move || {
            ready.send(()).unwrap();
            a_thread_that_waits_for_the_test(&wait)
        };
        let thread = std::thread::Builder::new().name("waits".into()).spawn(body).unwrap();
        is_ready.recv().unwrap();
        let mut text = all();
        // Between the message and the call a thread may be interrupted; it does not stay there.
        for _ in 0..100 {
            if text.contains("a_thread_that_waits_for_the_test") {
                break;
            }
            std::thread::sleep(Duration::from_millis(20));
            text = all();
        }
        go.send(()).unwrap();
        assert!(thread.join().unwrap(), "a thread that was asked goes on as before");
        assert!(text.contains(" waits\n"), "{text}");
        assert!(text.contains("a_thread_that_waits_for_the_test"), "{text}");
    }
}
