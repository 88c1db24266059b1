//! A client that writes key after key to the primary that the sentinels name, as the client libraries do it, and notes each write
//! that was acknowledged, by whom and when.

use crate::net::ip;
use crate::support::sentinel::NAME;
use crate::support::{Client, PATIENCE, client, wait_until};
use crate::world::{SENTINEL, SERVER, World};
use resp::Value;
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// The time between two writes.
const PACE: Duration = Duration::from_millis(2);
/// How long it waits for anything before it looks for the primary again.
const PATIENT: Duration = Duration::from_millis(300);

/// A write that was acknowledged.
#[derive(Clone, Copy, Debug)]
pub struct Write {
    pub number: u64,
    pub at: Instant,
    /// The host that acknowledged it.
    pub host: usize,
}

/// The client, which runs until it is told to stop.
#[derive(Debug)]
pub struct Writer {
    name: String,
    stop: Arc<AtomicBool>,
    acknowledged: Arc<Mutex<Vec<Write>>>,
    thread: Option<JoinHandle<()>>,
}

/// What came of a client's writes.
#[derive(Debug)]
pub struct Outcome {
    name: String,
    pub writes: Vec<Write>,
}

fn reach(host: usize, port: u16) -> io::Result<Client> {
    let socket = TcpStream::connect_timeout(&SocketAddr::from((ip(host), port)), PATIENT)?;
    let client = Client::over(socket);
    client.set_limit(PATIENT);
    Ok(client)
}

/// The host of the primary, by the first sentinel that answers.
fn find_primary(first: usize) -> Option<usize> {
    (0..3).find_map(|n| {
        let mut sentinel = reach((first + n) % 3, SENTINEL).ok()?;
        let reply = sentinel.try_call(&["SENTINEL", "get-master-addr-by-name", NAME]).ok()?;
        let named = client::texts(&reply).first()?.clone();
        (0..3).find(|host| ip(*host).to_string() == named)
    })
}

fn run(name: &str, stop: &AtomicBool, acknowledged: &Mutex<Vec<Write>>) {
    let mut connection: Option<(usize, Client)> = None;
    let mut first = 0;
    for number in 0.. {
        if stop.load(Ordering::Relaxed) {
            return;
        }
        if connection.is_none() {
            first += 1;
            connection = find_primary(first).and_then(|host| Some((host, reach(host, SERVER).ok()?)));
        }
        if let Some((host, client)) = &mut connection {
            let reply = client.try_call(&["SET", &format!("{name}:{number}"), "1"]);
            if matches!(&reply, Ok(Value::Simple(ok)) if ok == b"OK") {
                acknowledged.lock().unwrap().push(Write { number, at: Instant::now(), host: *host });
            } else {
                // Refused or silent: perhaps it is not the primary any more.
                connection = None;
            }
        }
        std::thread::sleep(PACE);
    }
}

impl Writer {
    /// Begins to write from a host; its keys begin with `name`.
    pub fn start(world: &World, host: usize, name: &str) -> Self {
        let (stop, acknowledged) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Vec::new())));
        let (stop_too, acknowledged_too, name_too) = (stop.clone(), acknowledged.clone(), name.to_owned());
        // The thread stays on its host; it is born there, since the test's own thread must not move.
        let thread = std::thread::scope(|scope| {
            let moving = scope.spawn(|| {
                world.net.enter(host);
                std::thread::spawn(move || run(&name_too, &stop_too, &acknowledged_too))
            });
            moving.join().unwrap()
        });
        Self { name: name.to_owned(), stop, acknowledged, thread: Some(thread) }
    }

    /// How many writes have been acknowledged.
    pub fn count(&self) -> usize {
        self.acknowledged.lock().unwrap().len()
    }

    /// Waits until more have been.
    #[track_caller]
    pub fn wait_for_more(&self, more: usize) {
        let enough = self.count() + more;
        wait_until(PATIENCE, || self.count() >= enough);
    }

    /// Stops it.
    pub fn finish(mut self) -> Outcome {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.take().expect("it runs").join().unwrap();
        let writes = std::mem::take(&mut *self.acknowledged.lock().unwrap());
        Outcome { name: self.name.clone(), writes }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Outcome {
    /// Those that the primary on this host does not have.
    pub fn lost(&self, world: &World, primary: usize) -> Vec<Write> {
        let mut client = Client::over(world.net.connect(primary, SERVER).unwrap());
        let mut lost = Vec::new();
        for part in self.writes.chunks(500) {
            let commands: Vec<Vec<Vec<u8>>> = part
                .iter()
                .map(|w| vec![b"EXISTS".to_vec(), format!("{}:{}", self.name, w.number).into_bytes()])
                .collect();
            let replies = client.pipeline(&commands);
            lost.extend(part.iter().zip(replies).filter(|(_, reply)| *reply == Value::Int(0)).map(|(w, _)| *w));
        }
        lost
    }

    /// The longest time without an acknowledged write.
    pub fn longest_gap(&self) -> Duration {
        self.writes.windows(2).map(|pair| pair[1].at - pair[0].at).max().unwrap_or_default()
    }
}
