//! Threads for one piece of work each, whose end the event loop hears of in any case.
//!
//! Why: who waits for a save, a full sync or a load waits for a note. A thread that panics, or that the system does not give us, would
//! leave it waiting for ever; so the note of a failure is made before there is a thread, and is sent by dropping it.

use super::Server;
use super::log::log;
use super::notes::Note;
use net::Waker;
use std::sync::mpsc::Sender;
use std::sync::{Mutex, PoisonError};
use std::thread;

/// The way to the event loop.
#[derive(Clone)]
pub struct Teller {
    sender: Sender<Note>,
    waker: Waker,
}

impl Teller {
    /// Tells the event loop. It is gone only when the process is about to end.
    pub fn tell(&self, note: Note) {
        let _ = self.sender.send(note);
        self.waker.wake();
    }
}

/// What tells of the failure unless the work was done.
struct Report<F: FnOnce(&str) -> Vec<Note>> {
    teller: Teller,
    failed: Option<F>,
}

impl<F: FnOnce(&str) -> Vec<Note>> Report<F> {
    fn work_is_done(mut self) {
        self.failed = None;
    }
}

impl<F: FnOnce(&str) -> Vec<Note>> Drop for Report<F> {
    fn drop(&mut self) {
        let Some(failed) = self.failed.take() else { return };
        let why = if thread::panicking() { "its thread has panicked" } else { "its thread could not be started" };
        failed(why).into_iter().for_each(|note| self.teller.tell(note));
    }
}

/// Starts a thread that does `work`, which tells of its own end. Where it is not started, or panics, `failed` makes the notes of the end
/// from the reason.
pub fn start<W, F>(name: &str, teller: Teller, work: W, failed: F)
where
    W: FnOnce(&Teller) + Send + 'static,
    F: FnOnce(&str) -> Vec<Note> + Send + 'static,
{
    let fault = take_fault(name);
    let mut builder = thread::Builder::new().name(name.to_owned());
    if fault == Some(Fault::Start) {
        builder = builder.stack_size(STACK_TOO_LARGE);
    }
    let report = Report { teller, failed: Some(failed) };
    let spawned = builder.spawn(move || {
        assert!(fault != Some(Fault::Panic), "asked for by DEBUG FAIL-THREAD");
        work(&report.teller);
        report.work_is_done();
    });
    if let Err(error) = spawned {
        log!(Warning, "Can't start the thread {name}: {error}");
    }
}

impl Server {
    /// The way to this event loop, for a thread.
    pub fn teller(&self) -> Teller {
        Teller { sender: self.notes_sender.clone(), waker: self.net.waker() }
    }
}

/// What is to go wrong with a thread, for tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The system does not start it.
    Start,
    /// It panics before it has done anything.
    Panic,
}

/// A stack larger than any address space: the system refuses it.
const STACK_TOO_LARGE: usize = 1 << 50;

static FAULT: Mutex<Option<(String, Fault)>> = Mutex::new(None);

/// Makes the next thread with this name fail.
pub fn inject(name: &str, fault: Fault) {
    *FAULT.lock().unwrap_or_else(PoisonError::into_inner) = Some((name.to_owned(), fault));
}

fn take_fault(name: &str) -> Option<Fault> {
    let mut fault = FAULT.lock().unwrap_or_else(PoisonError::into_inner);
    fault.take_if(|(wanted, _)| wanted == name).map(|(_, fault)| fault)
}
