//! Servers under test: starting them, reading what they cost from `/proc`, and ending them whatever happens.
//!
//! Every started process and its folder are in one list. A [`Server`] that is dropped takes itself out of it;
//! [`end_all`] empties it, and is what an interrupt calls. So nothing is left behind after an error or Ctrl-C
//! either (only after a `kill -9` of the tool).

use crate::resp::Control;
use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use std::collections::HashMap;
use std::ffi::OsString;
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// Processes that are running, with their folders.
static RUNNING: Mutex<Option<HashMap<u32, PathBuf>>> = Mutex::new(None);

/// Ends every server that this tool has started and removes their folders.
pub fn end_all() {
    let all = RUNNING.lock().map(|mut list| list.take()).unwrap_or_default();
    for (id, folder) in all.into_iter().flatten() {
        if let Some(pid) = Pid::from_raw(id as i32) {
            // A failure means that the process has ended already.
            kill_process(pid, Signal::KILL).ok();
        }
        fs::remove_dir_all(folder).ok();
    }
}

/// A server program to be measured.
#[derive(Debug, Clone)]
pub struct Product {
    /// The name in the tables.
    pub name: String,
    /// The program.
    pub path: PathBuf,
}

impl Product {
    /// Starts the program on a free port of the loopback, without saving unless `options` ask for it.
    pub fn start(&self, options: &[&str]) -> Result<Server> {
        self.start_in(folder()?, "server", &[], options)
    }

    /// Starts the program as a sentinel with these lines in its file.
    pub fn start_sentinel(&self, lines: &str) -> Result<Server> {
        let folder = folder()?;
        let file = folder.join("sentinel.conf");
        fs::write(&file, lines)?;
        let file = file.display().to_string();
        self.start_in(folder, "sentinel", &[&file, "--sentinel"], &[])
    }

    fn start_in(&self, folder: PathBuf, role: &str, first: &[&str], options: &[&str]) -> Result<Server> {
        let port = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
        let mut args: Vec<OsString> = Vec::new();
        if self.path.file_name().is_some_and(|n| n == "rekindle") {
            args.push(role.into());
        }
        args.extend(first.iter().map(OsString::from));
        args.extend(["--port", &port.to_string(), "--bind", "127.0.0.1", "--dir"].map(OsString::from));
        args.push(folder.clone().into());
        if role == "server" {
            args.extend(["--save", "", "--appendonly", "no", "--repl-diskless-sync-delay", "0"].map(OsString::from));
        }
        args.extend(options.iter().map(OsString::from));
        let child = spawn(&self.path, &args, &folder)?;
        let mut server = Server { product: self.clone(), args, child, folder, port };
        server.wait_until_up()?;
        Ok(server)
    }
}

fn folder() -> Result<PathBuf> {
    Ok(tempfile::Builder::new().prefix("rekindle-bench-").tempdir()?.keep())
}

/// Starts a process whose output goes to a file in its folder, and puts it on the list.
fn spawn(path: &Path, args: &[OsString], folder: &Path) -> Result<Child> {
    let mut command = Command::new(path);
    let log = fs::OpenOptions::new().create(true).append(true).open(folder.join("log"))?;
    command.args(args).stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).current_dir(folder);
    let child = command.spawn().with_context(|| format!("starting {}", path.display()))?;
    let mut list = RUNNING.lock().expect("no thread panics while it holds the list");
    list.get_or_insert_default().insert(child.id(), folder.to_owned());
    Ok(child)
}

/// A process that helps to measure; dropping it ends it.
#[derive(Debug)]
pub struct Helper {
    child: Child,
    folder: PathBuf,
}

impl Helper {
    /// Starts a program.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(program: &str, args: &[&str]) -> Result<Helper> {
        let folder = folder()?;
        let args: Vec<OsString> = args.iter().map(OsString::from).collect();
        Ok(Helper { child: spawn(Path::new(program), &args, &folder)?, folder })
    }

    /// The id of the process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        end(&mut self.child, &self.folder);
    }
}

/// Ends a process and removes its folder.
fn end(child: &mut Child, folder: &Path) {
    // Each of these may fail only because the process has ended already.
    child.kill().ok();
    child.wait().ok();
    fs::remove_dir_all(folder).ok();
    forget(child);
}

/// Takes a process that has ended off the list.
fn forget(child: &Child) {
    if let Ok(mut list) = RUNNING.lock()
        && let Some(list) = list.as_mut()
    {
        list.remove(&child.id());
    }
}

/// A running server; dropping it ends it.
#[derive(Debug)]
pub struct Server {
    product: Product,
    args: Vec<OsString>,
    child: Child,
    folder: PathBuf,
    /// Its port on the loopback.
    pub port: u16,
}

impl Drop for Server {
    fn drop(&mut self) {
        end(&mut self.child, &self.folder);
    }
}

impl Server {
    fn wait_until_up(&mut self) -> Result<()> {
        let limit = Instant::now() + Duration::from_secs(20);
        loop {
            match Control::connect(self.port).and_then(|mut c| c.ask("PING")) {
                Ok(_) => return Ok(()),
                Err(e) if Instant::now() > limit || self.child.try_wait()?.is_some() => {
                    bail!("{} does not answer: {e:#}\n{}", self.product.name, self.log())
                }
                Err(_) => std::thread::sleep(Duration::from_millis(20)),
            }
        }
    }

    /// Ends it as a power cut would.
    pub fn kill(&mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        forget(&self.child);
        Ok(())
    }

    /// Starts it again after [`Server::kill`], on the same port and in the same folder.
    pub fn restart(&mut self) -> Result<()> {
        self.child = spawn(&self.product.path, &self.args, &self.folder)?;
        self.wait_until_up()
    }

    /// The id of the process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it has written to its log.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }

    /// A connection for single commands.
    pub fn control(&self) -> Result<Control> {
        Control::connect(self.port)
    }

    /// CPU time used so far by all of its threads, in the kernel and outside, in seconds, in steps of 10 ms.
    pub fn cpu(&self) -> Result<f64> {
        let text = fs::read_to_string(format!("/proc/{}/stat", self.id()))?;
        let after = text.rsplit_once(')').context("the name in /proc/PID/stat")?.1;
        let fields: Vec<&str> = after.split_whitespace().collect();
        let ticks: u64 = fields[11].parse::<u64>()? + fields[12].parse::<u64>()?;
        Ok(ticks as f64 / rustix::param::clock_ticks_per_second() as f64)
    }

    /// Resident memory in bytes.
    pub fn rss(&self) -> Result<u64> {
        rss(self.id())
    }

    /// Resident memory once it has come to rest: unchanged (to a thousandth) for a second, or after fifteen.
    pub fn rss_at_rest(&self) -> Result<u64> {
        let start = Instant::now();
        let (mut last, mut since) = (self.rss()?, Instant::now());
        while since.elapsed() < Duration::from_secs(1) && start.elapsed() < Duration::from_secs(15) {
            std::thread::sleep(Duration::from_millis(100));
            let now = self.rss()?;
            if now.abs_diff(last) > last / 1000 {
                (last, since) = (now, Instant::now());
            }
        }
        Ok(last)
    }

    /// Makes this server a replica of `primary` and waits until its link is up.
    pub fn follow(&self, primary: &Server) -> Result<()> {
        let mut control = self.control()?;
        control.ask(&format!("REPLICAOF 127.0.0.1 {}", primary.port))?;
        let limit = Instant::now() + Duration::from_secs(120);
        while control.info("replication", "master_link_status")? != "up" {
            if Instant::now() > limit {
                bail!("the replica did not come into sync");
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }
}

/// Resident memory of a process in bytes.
pub fn rss(id: u32) -> Result<u64> {
    let text = fs::read_to_string(format!("/proc/{id}/statm"))?;
    let pages: u64 = text.split_whitespace().nth(1).context("/proc/PID/statm")?.parse()?;
    Ok(pages * rustix::param::page_size() as u64)
}

/// Memory that children of a process (a forked writer) have to themselves, in bytes: what copy-on-write has cost.
pub fn children_private(id: u32) -> u64 {
    let Ok(threads) = fs::read_dir(format!("/proc/{id}/task")) else { return 0 };
    let lists = threads.flatten().filter_map(|t| fs::read_to_string(t.path().join("children")).ok());
    let children: Vec<String> =
        lists.flat_map(|l| l.split_whitespace().map(str::to_owned).collect::<Vec<_>>()).collect();
    let mut total = 0;
    for child in children {
        // A child may end between the two looks.
        let Ok(text) = fs::read_to_string(format!("/proc/{child}/smaps_rollup")) else { continue };
        let lines = text.lines().filter(|l| l.starts_with("Private_"));
        let kib: u64 = lines.filter_map(|l| l.split_whitespace().nth(1)?.parse::<u64>().ok()).sum();
        total += kib * 1024;
    }
    total
}
