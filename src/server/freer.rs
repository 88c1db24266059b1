//! Freeing what takes long, on a thread of its own.

use super::log::log;
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{SendError, Sender, channel};

/// How many values wait to be freed, and how many were.
#[derive(Debug, Clone, Default)]
pub struct Counts {
    pending: Arc<AtomicU64>,
    freed: Arc<AtomicU64>,
}

impl Counts {
    /// How many values wait.
    pub fn pending(&self) -> u64 {
        self.pending.load(Ordering::Relaxed)
    }

    /// How many have been freed.
    pub fn freed(&self) -> u64 {
        self.freed.load(Ordering::Relaxed)
    }
}

/// The way to the thread that frees.
#[derive(Debug)]
pub struct Freer {
    sender: Sender<Box<dyn Any + Send>>,
    /// What it has done.
    pub counts: Counts,
}

impl Freer {
    /// Starts the thread, on these processors.
    pub fn start(processors: &str) -> std::io::Result<Self> {
        let processors = processors.to_owned();
        let (sender, receiver) = channel::<Box<dyn Any + Send>>();
        let counts = Counts::default();
        let there = counts.clone();
        std::thread::Builder::new().name("rk-free".into()).spawn(move || {
            let _registered = keyspace::memory::register_thread();
            super::process::bind_to_processors(&processors);
            for value in receiver {
                // A value that cannot be freed is lost; all others still are to be.
                if catch_unwind(AssertUnwindSafe(|| drop(value))).is_err() {
                    log!(Warning, "The thread rk-free has panicked over a value and goes on with the next");
                }
                there.pending.fetch_sub(1, Ordering::Relaxed);
                there.freed.fetch_add(1, Ordering::Relaxed);
            }
        })?;
        Ok(Self { sender, counts })
    }

    /// Frees a value there.
    pub fn free<T: Any + Send>(&self, value: T) {
        self.counts.pending.fetch_add(1, Ordering::Relaxed);
        if let Err(SendError(value)) = self.sender.send(Box::new(value)) {
            drop(value);
            self.counts.pending.fetch_sub(1, Ordering::Relaxed);
            self.counts.freed.fetch_add(1, Ordering::Relaxed);
        }
    }
}
