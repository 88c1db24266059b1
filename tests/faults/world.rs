//! A group of servers and sentinels, one of each to a host, each of whichever maker; and what they say of themselves.

use crate::net::{Net, ip};
use crate::support::sentinel::NAME;
use crate::support::{Client, Folder, PATIENCE, Product, client, holds_within, missing, program, wait_until};
use std::collections::BTreeMap;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The port of every server.
pub const SERVER: u16 = 6379;
/// The port of every sentinel.
pub const SENTINEL: u16 = 26379;

/// Who stands on the hosts: host n has the n-th server and the n-th sentinel.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    pub servers: [Product; 3],
    pub sentinels: [Product; 3],
    /// Lines of every server's file.
    pub options: &'static [&'static str],
}

/// A process on a host.
#[derive(Debug)]
pub struct Node {
    product: Product,
    sentinel: bool,
    namespace: String,
    folder: Folder,
    child: Option<Child>,
}

impl Node {
    /// Starts it, for the first time or again: its file is as it was last rewritten.
    pub fn start(&mut self) {
        assert!(self.child.is_none(), "it still runs");
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.namespace]);
        match (self.product, self.sentinel) {
            (Product::Ours, false) => command.args([program(), "server"]),
            (Product::Ours, true) => command.args([program(), "sentinel"]),
            (Product::Redis, false) => command.arg("redis-server"),
            (Product::Redis, true) => command.arg("redis-sentinel"),
        };
        let log = std::fs::OpenOptions::new().create(true).append(true).open(self.folder.file("log")).unwrap();
        command.arg(self.folder.file("conf")).stdin(Stdio::null());
        command.stdout(log.try_clone().unwrap()).stderr(log).current_dir(self.folder.path());
        self.child = Some(command.spawn().unwrap());
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Sends a signal by its name.
    pub fn signal(&self, name: &str) {
        let pid = self.child.as_ref().expect("it runs").id().to_string();
        assert!(Command::new("kill").args([&format!("-{name}"), &pid]).status().unwrap().success());
    }

    /// Asks it to stop, and waits until it has.
    pub fn terminate(&mut self) {
        self.signal("TERM");
        let mut child = self.child.take().expect("it runs");
        let ended = holds_within(PATIENCE, || child.try_wait().unwrap().is_some());
        let _ = child.kill();
        assert!(ended, "it does not stop:\n{}", self.log());
    }

    /// Whose it is.
    pub fn product(&self) -> Product {
        self.product
    }

    pub fn is_running(&self) -> bool {
        self.child.is_some()
    }

    /// What it has logged since it was first started.
    pub fn log(&self) -> String {
        std::fs::read(self.folder.file("log")).map_or(String::new(), |b| String::from_utf8_lossy(&b).into_owned())
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- {:?} {} ---\n{}", self.product, self.namespace, self.log());
        }
        self.kill();
    }
}

/// The group. Processes end before the network does.
#[derive(Debug)]
pub struct World {
    pub servers: Vec<Node>,
    pub sentinels: Vec<Node>,
    pub net: Net,
}

impl World {
    /// A primary on host 0 with two replicas that it streams to, watched, all knowing one another; hosts 3 and 4 are for clients.
    /// Nothing where this machine cannot have it.
    pub fn start(plan: Plan) -> Option<Self> {
        let net = match Net::new(5) {
            Ok(net) => net,
            Err(why) => {
                missing(&format!("network namespaces ({})", why.trim()));
                return None;
            }
        };
        let node = |host: usize, product: Product, sentinel: bool, text: String| {
            let folder = Folder::new();
            std::fs::write(folder.file("conf"), format!("dir {}\n{text}", folder.path().display())).unwrap();
            Node { product, sentinel, namespace: net.namespace(host), folder, child: None }
        };
        let servers = (0..3).map(|host| {
            let follows = if host == 0 { String::new() } else { format!("replicaof {} {SERVER}\n", ip(0)) };
            let options = plan.options.join("\n");
            let text = format!(
                "port {SERVER}\nprotected-mode no\nsave \"\"\nrepl-diskless-sync-delay 0\n{options}\n{follows}"
            );
            node(host, plan.servers[host], false, text)
        });
        let servers: Vec<Node> = servers.collect();
        // Redis's sentinels ask once a second: less than two would be one late answer on a busy machine.
        let down_after = if plan.sentinels.contains(&Product::Redis) { 2000 } else { 1000 };
        let sentinels = (0..3).map(|host| {
            let text = format!(
                "port {SENTINEL}\nsentinel monitor {NAME} {} {SERVER} 2\n\
                 sentinel down-after-milliseconds {NAME} {down_after}\nsentinel failover-timeout {NAME} 3000\n",
                ip(0)
            );
            node(host, plan.sentinels[host], true, text)
        });
        let sentinels: Vec<Node> = sentinels.collect();
        let mut world = Self { servers, sentinels, net };
        world.servers.iter_mut().for_each(Node::start);
        for host in [1, 2] {
            world.wait(|w| w.info(host, "master_link_status").as_deref() == Some("up"), PATIENCE);
        }
        world.sentinels.iter_mut().for_each(Node::start);
        for host in 0..3 {
            world.wait(|w| w.knows_all(host), PATIENCE);
        }
        world.wait(|w| w.is_heard_by_both(0), PATIENCE);
        Some(world)
    }

    /// Waits until this holds.
    #[track_caller]
    pub fn wait(&self, condition: impl Fn(&Self) -> bool, limit: Duration) {
        wait_until(limit, || condition(self));
    }

    /// A reply of the process on a host and port; nothing where it does not answer.
    pub fn call(&self, host: usize, port: u16, words: &[&str]) -> Option<resp::Value> {
        let mut client = Client::over(self.net.connect(host, port).ok()?);
        client.set_limit(Duration::from_secs(1));
        client.try_call(words).ok()
    }

    fn knows_all(&self, host: usize) -> bool {
        let pairs = |value: &resp::Value| -> BTreeMap<String, String> {
            client::texts(value).chunks_exact(2).map(|p| (p[0].clone(), p[1].clone())).collect()
        };
        let Some(master) = self.call(host, SENTINEL, &["SENTINEL", "master", NAME]) else { return false };
        let Some(resp::Value::Array(replicas)) = self.call(host, SENTINEL, &["SENTINEL", "replicas", NAME]) else {
            return false;
        };
        pairs(&master)["num-other-sentinels"] == "2"
            && replicas.len() == 2
            && replicas.iter().map(pairs).all(|r| r["flags"] == "slave" && r["master-link-status"] == "ok")
    }

    /// A field of a server's INFO; nothing where it does not answer.
    pub fn info(&self, host: usize, field: &str) -> Option<String> {
        let value = self.call(host, SERVER, &["INFO", "everything"])?;
        let text = client::text(&value);
        text.lines().find_map(|l| l.strip_prefix(field)?.strip_prefix(':').map(str::to_owned))
    }

    /// The host that a sentinel names as the primary's.
    pub fn named(&self, sentinel: usize) -> Option<usize> {
        let reply = self.call(sentinel, SENTINEL, &["SENTINEL", "get-master-addr-by-name", NAME])?;
        let named = client::texts(&reply).first()?.clone();
        (0..3).find(|host| ip(*host).to_string() == named)
    }

    /// The host that all these sentinels name, if it is one and the same.
    pub fn agreed(&self, sentinels: &[usize]) -> Option<usize> {
        let named: Vec<Option<usize>> = sentinels.iter().map(|s| self.named(*s)).collect();
        named[0].filter(|_| named.iter().all(|n| *n == named[0]))
    }

    /// Lets a fault last, and looks that these sentinels name this primary all the while, as far as they answer.
    #[track_caller]
    pub fn hold(&self, until: Instant, sentinels: &[usize], primary: usize) {
        while Instant::now() < until {
            for sentinel in sentinels {
                let named = self.named(*sentinel);
                assert!(
                    named.is_none_or(|host| host == primary),
                    "sentinel {sentinel} names {named:?} and not {primary}"
                );
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Waits until these sentinels name another primary than this, and gives it.
    #[track_caller]
    pub fn wait_for_another(&self, than: usize, sentinels: &[usize]) -> usize {
        self.wait(|w| w.agreed(sentinels).is_some_and(|host| host != than), Duration::from_secs(60));
        self.agreed(sentinels).expect("they agree")
    }

    /// Whether a primary's two replicas have acknowledged something of its stream. Redis sends a replica nothing before it
    /// has been heard, which can be a second after its full sync; meanwhile it lags too much to be handed the role.
    pub fn is_heard_by_both(&self, primary: usize) -> bool {
        ["slave0", "slave1"].iter().all(|field| {
            self.info(primary, field).is_some_and(|line| line.contains(",offset=") && !line.contains(",offset=0,"))
        })
    }

    /// Waits until everybody is of one mind: one primary, named by all, followed by all others that run.
    #[track_caller]
    pub fn wait_until_settled(&self) -> usize {
        let up: Vec<usize> = (0..3).filter(|host| self.servers[*host].is_running()).collect();
        let follows = |host: usize, primary: usize| {
            self.info(host, "role").as_deref() == Some("slave")
                && self.info(host, "master_host") == Some(ip(primary).to_string())
                && self.info(host, "master_link_status").as_deref() == Some("up")
        };
        let settled = || {
            let primary = self.agreed(&[0, 1, 2])?;
            let one = self.info(primary, "role").as_deref() == Some("master");
            (one && up.iter().all(|host| *host == primary || follows(*host, primary))).then_some(primary)
        };
        wait_until(Duration::from_secs(40), || settled().is_some());
        self.agreed(&[0, 1, 2]).expect("they agree")
    }
}
