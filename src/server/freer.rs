//! Freeing what takes long, on a thread of its own.

use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Sender, channel};

/// Values on their way to be freed.
pub struct Freer {
    sender: Sender<Box<dyn Any + Send>>,
    pending: Arc<AtomicU64>,
    freed: Arc<AtomicU64>,
}

impl Freer {
    /// Starts the thread.
    pub fn start() -> std::io::Result<Self> {
        let (sender, receiver) = channel::<Box<dyn Any + Send>>();
        let pending = Arc::new(AtomicU64::new(0));
        let freed = Arc::new(AtomicU64::new(0));
        let (pending_there, freed_there) = (pending.clone(), freed.clone());
        std::thread::Builder::new().name("rk-free".into()).spawn(move || {
            let _registered = keyspace::memory::register_thread();
            for value in receiver {
                drop(value);
                pending_there.fetch_sub(1, Ordering::Relaxed);
                freed_there.fetch_add(1, Ordering::Relaxed);
            }
        })?;
        Ok(Self { sender, pending, freed })
    }

    /// Frees a value there.
    pub fn free<T: Any + Send>(&self, value: T) {
        self.pending.fetch_add(1, Ordering::Relaxed);
        // The thread lives as long as its sender; if it is gone the value is freed here.
        let _ = self.sender.send(Box::new(value));
    }

    /// How many values wait.
    pub fn pending(&self) -> u64 {
        self.pending.load(Ordering::Relaxed)
    }

    /// How many have been freed.
    pub fn freed(&self) -> u64 {
        self.freed.load(Ordering::Relaxed)
    }
}
