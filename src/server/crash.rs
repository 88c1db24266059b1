//! What the log says when the process crashes: the signal or the failed assertion, and the stacks of all threads, in
//! the form that operators and tools know from Redis. The same stacks on SIGALRM and from the watchdog, without a crash.
//!
//! What Redis adds to it (INFO, the clients, registers, a test of the memory) is left out: it would be read
//! beside the thread that owns it.

use super::REDIS_VERSION;
use super::log::{self, log};
use sys::stacks::{self, Crash};

const START: &str = "\n\n=== REDIS BUG REPORT START: Cut & paste starting from here ===\n";
const END: &str = "\n=== REDIS BUG REPORT END. Make sure to include from START to END. ===\n\n";

/// Prepares for crashes; to be called on the main thread.
pub fn prepare(enabled: bool) {
    if let Err(error) = stacks::install(report) {
        log!(Warning, "Crashes cannot be reported: {error}");
    }
    stacks::enable(enabled);
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        usual(panic);
        if stacks::is_enabled() {
            log::raw(START);
            log!(Warning, "=== ASSERTION FAILED ===");
            log!(Warning, "==> {panic}");
            write_stacks(&format!("\nCurrent thread:\n{}", std::backtrace::Backtrace::force_capture()));
            log::raw(END);
        }
    }));
}

/// The process has been hit by a signal that ends it.
fn report(crash: Crash, stacks: Option<&str>) {
    let Crash { signal, code, address } = crash;
    if let Some(stacks) = stacks {
        write_stacks(stacks);
        log::raw(END);
        return;
    }
    log::raw(START);
    log!(Warning, "Redis {REDIS_VERSION} crashed by signal: {signal}, si_code: {code}");
    if code > 0 {
        log!(Warning, "Accessing address: {address:#x}");
    } else {
        // A signal that somebody has sent says who in the place of an address.
        log!(Warning, "Killed by PID: {}, UID: {}", address as u32, (address >> 32) as u32);
    }
}

/// Says where all threads are.
pub fn show_stacks(why: &str) {
    log!(Warning, "--- {why} ---");
    write_stacks(&stacks::all());
    log::raw("--------\n");
}

fn write_stacks(stacks: &str) {
    log::raw("\n------ STACK TRACE ------\n");
    log::raw(stacks);
    log::raw("\n------ STACK TRACE DONE ------\n");
}
