//! Watching a server from outside while something happens to it: how long it does not answer, how much memory it takes.
//!
//! A [`Watch`] is two threads: one sends `PING` after `PING` over one connection and records how long each took, one
//! reads the resident memory every 5 ms (and every 50 ms that of forked children, which asks the kernel to walk their
//! pages, not the server's). [`Watch::cut`] ends a phase and begins the next:
//!
//! ```text
//! pings   ..........!....!!.......    a pause of the event loop is one long ping
//! phases  [ before ][   during   ]
//! ```
//!
//! Limits: the threads compete for the cores with everything else, so a ping measures the scheduler too. They ask for
//! a higher priority, which only root gets; what is measured before gives the floor.

use crate::load::histogram;
use crate::server::{Server, children_private, rss};
use anyhow::{Result, anyhow};
use hdrhistogram::Histogram;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// What was seen in a phase.
#[derive(Debug)]
pub struct Seen {
    /// Times of pings in nanoseconds.
    pub pings: Histogram<u64>,
    /// The most memory at one moment, children included, in bytes.
    pub peak: u64,
    /// How long the phase was.
    pub took: Duration,
}

impl Seen {
    /// The longest ping in milliseconds.
    pub fn max_ms(&self) -> f64 {
        self.pings.max() as f64 / 1e6
    }

    /// The ping that only one in a thousand exceeds, in milliseconds.
    pub fn p999_ms(&self) -> f64 {
        self.pings.value_at_quantile(0.999) as f64 / 1e6
    }
}

#[derive(Debug)]
struct Shared {
    seen: Mutex<(Histogram<u64>, u64, Instant)>,
    stop: AtomicBool,
}

/// A running watch.
#[derive(Debug)]
pub struct Watch {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<Result<()>>>,
}

impl Watch {
    /// Begins to watch a server.
    pub fn start(server: &Server) -> Result<Watch> {
        let seen = Mutex::new((histogram(), 0, Instant::now()));
        let shared = Arc::new(Shared { seen, stop: AtomicBool::new(false) });
        let (pinging, looking) = (shared.clone(), shared.clone());
        let (mut control, id) = (server.control()?, server.id());
        let pings = std::thread::spawn(move || {
            // Without the right to it the figures are noisier, not wrong.
            rustix::process::nice(-10).ok();
            while !pinging.stop.load(Ordering::Relaxed) {
                let start = Instant::now();
                control.ask("PING")?;
                let took = start.elapsed().as_nanos() as u64;
                pinging.seen.lock().map_err(|_| anyhow!("a watching thread failed"))?.0.saturating_record(took);
                std::thread::sleep(Duration::from_micros(50));
            }
            Ok(())
        });
        let memory = std::thread::spawn(move || {
            rustix::process::nice(-5).ok();
            let (mut turn, mut private) = (0u32, 0);
            while !looking.stop.load(Ordering::Relaxed) {
                if turn.is_multiple_of(10) {
                    private = children_private(id);
                }
                turn += 1;
                let now = rss(id)? + private;
                let mut seen = looking.seen.lock().map_err(|_| anyhow!("a watching thread failed"))?;
                seen.1 = seen.1.max(now);
                drop(seen);
                std::thread::sleep(Duration::from_millis(5));
            }
            Ok(())
        });
        Ok(Watch { shared, threads: vec![pings, memory] })
    }

    /// Ends a phase: gives what was seen since the last cut.
    pub fn cut(&self) -> Result<Seen> {
        let mut seen = self.shared.seen.lock().map_err(|_| anyhow!("a watching thread failed"))?;
        let (pings, peak, since) = std::mem::replace(&mut *seen, (histogram(), 0, Instant::now()));
        Ok(Seen { pings, peak, took: since.elapsed() })
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            match thread.join() {
                Ok(Ok(())) => {}
                Ok(Err(e)) => eprintln!("bench: watching ended early: {e:#}"),
                Err(_) => eprintln!("bench: a watching thread failed"),
            }
        }
    }
}
