//! Sentinels, ours or Debian's, that watch one primary, in groups of any mix.

use super::{Client, Folder, PATIENCE, Product, Server, client, free_port, holds_within, wait_until};
use std::collections::BTreeMap;
use std::process::{Child, Command, Stdio};

/// The name by which they know the primary.
pub const NAME: &str = "mymaster";

/// A running sentinel. It is killed at the end, and its folder removed.
#[derive(Debug)]
pub struct Sentinel {
    pub product: Product,
    pub port: u16,
    folder: Folder,
    child: Child,
}

/// The command that starts a sentinel, without its file.
pub fn command(product: Product) -> Command {
    match product {
        Product::Ours => {
            let mut command = Command::new(super::program());
            command.arg("sentinel");
            command
        }
        Product::Redis => Command::new("redis-sentinel"),
    }
}

impl Sentinel {
    /// Starts one that watches this primary, down after a second or two.
    #[track_caller]
    pub fn start(product: Product, primary: &Server, quorum: usize) -> Self {
        let (port, folder) = (free_port(), Folder::new());
        // Redis's ask once a second: less than two would be one late answer on a busy machine.
        let down_after = if product == Product::Redis { 2000 } else { 1000 };
        let text = format!(
            "port {port}\ndir {}\nsentinel monitor {NAME} 127.0.0.1 {} {quorum}\n\
             sentinel down-after-milliseconds {NAME} {down_after}\nsentinel failover-timeout {NAME} 3000\n",
            folder.path().display(),
            primary.port
        );
        std::fs::write(folder.file("sentinel.conf"), text).unwrap();
        let log = std::fs::File::create(folder.file("log")).unwrap();
        let child = command(product)
            .arg(folder.file("sentinel.conf"))
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let sentinel = Self { product, port, folder, child };
        let up = holds_within(PATIENCE, || Client::tcp(port).is_ok_and(|mut c| c.answers()));
        assert!(up, "the sentinel {product:?} did not start:\n{}", sentinel.log());
        sentinel
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.file("log")).unwrap_or_default()
    }

    /// A new connection.
    #[track_caller]
    pub fn client(&self) -> Client {
        Client::tcp(self.port).unwrap_or_else(|e| panic!("can't connect to the sentinel: {e}\n{}", self.log()))
    }

    /// The port of the primary that it names.
    #[track_caller]
    pub fn primary(&self) -> u16 {
        let reply = self.client().call(&["SENTINEL", "get-master-addr-by-name", NAME]);
        client::texts(&reply)[1].parse().unwrap()
    }

    /// What it knows of the primary.
    #[track_caller]
    pub fn master(&self) -> BTreeMap<String, String> {
        pairs(&self.client().call(&["SENTINEL", "master", NAME]))
    }

    /// What it knows of the primary's replicas.
    #[track_caller]
    pub fn replicas(&self) -> Vec<BTreeMap<String, String>> {
        let resp::Value::Array(all) = self.client().call(&["SENTINEL", "replicas", NAME]) else { panic!("replicas") };
        all.iter().map(pairs).collect()
    }
}

fn pairs(value: &resp::Value) -> BTreeMap<String, String> {
    client::texts(value).chunks_exact(2).map(|pair| (pair[0].clone(), pair[1].clone())).collect()
}

impl Drop for Sentinel {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- log of the sentinel {:?} on port {} ---\n{}", self.product, self.port, self.log());
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Starts one of each product, quorum a majority, and waits until each knows all others and all replicas as good ones.
#[track_caller]
pub fn group(products: &[Product], primary: &Server, replicas: usize) -> Vec<Sentinel> {
    let quorum = products.len() / 2 + 1;
    let all: Vec<Sentinel> = products.iter().map(|p| Sentinel::start(*p, primary, quorum)).collect();
    for sentinel in &all {
        wait_until(PATIENCE, || {
            let master = sentinel.master();
            let count = |name: &str| master[name].parse::<usize>().unwrap();
            count("num-other-sentinels") == products.len() - 1
                && sentinel.replicas().len() == replicas
                && sentinel.replicas().iter().all(|r| r["flags"] == "slave" && r["master-link-status"] == "ok")
        });
    }
    all
}
