//! What servers do: commands, replication, and the faults that befall them.

use crate::faults::FaultKind;
use crate::net::{ConnId, NodeId, Payload};
use crate::server::server_at;
use crate::world::{Happening, World};
use sentinel::Reply;

fn ok() -> Reply {
    Reply::Status(b"OK".to_vec())
}

fn error(text: &str) -> Reply {
    Reply::Error(text.as_bytes().to_vec())
}

impl World {
    /// A command arrives at a server that runs.
    pub(crate) fn serve(&mut self, server: usize, conn: ConnId, args: Vec<Vec<u8>>) {
        // PUBLISH counts as a write: it and all behind it on its connection wait for the end of a pause.
        let paused = self.servers[server].paused(self.now);
        if !self.conns[conn].deferred.is_empty() || (paused && args[0] == b"PUBLISH") {
            self.conns[conn].deferred.push_back(args);
            return;
        }
        let reply = match (args[0].as_slice(), self.conns[conn].multi.is_some()) {
            (b"MULTI", _) => {
                self.conns[conn].multi = Some(Vec::new());
                Some(ok())
            }
            (b"EXEC", true) => {
                let commands = self.conns[conn].multi.take().unwrap_or_default();
                let replies = commands.into_iter().map(|c| self.execute(server, conn, &c).unwrap_or(Reply::Null));
                Some(Reply::Array(replies.collect()))
            }
            (_, true) => {
                self.conns[conn].multi.as_mut().expect("in a transaction").push(args);
                Some(Reply::Status(b"QUEUED".to_vec()))
            }
            (_, false) => self.execute(server, conn, &args),
        };
        if let Some(reply) = reply {
            self.send(conn, true, Payload::Reply(reply));
        }
    }

    fn execute(&mut self, server: usize, conn: ConnId, args: &[Vec<u8>]) -> Option<Reply> {
        let now = self.now;
        let words: Vec<&str> = args.iter().map(|a| std::str::from_utf8(a).unwrap_or("")).collect();
        Some(match words.as_slice() {
            ["PING"] => Reply::Status(b"PONG".to_vec()),
            ["INFO"] => Reply::Bulk(self.servers[server].info(server, now)),
            ["PUBLISH", channel, message] => {
                let (channel, message) = (channel.as_bytes().to_vec(), message.as_bytes().to_vec());
                return Some(self.publish(server, &channel, &message));
            }
            ["SUBSCRIBE", channel] => {
                self.conns[conn].subscribed = true;
                Reply::Array(vec![
                    Reply::Bulk(b"subscribe".to_vec()),
                    Reply::Bulk(channel.as_bytes().to_vec()),
                    Reply::Int(1),
                ])
            }
            ["SLAVEOF", "NO", "ONE"] => {
                self.tell(|| format!("server {server} becomes a primary"));
                self.servers[server].slaveof(None, now, &mut self.rng);
                ok()
            }
            ["SLAVEOF", host, _] => {
                let to = server_at(host);
                self.tell(|| format!("server {server} follows {to:?}"));
                self.servers[server].slaveof(to.filter(|t| *t != server), now, &mut self.rng);
                ok()
            }
            ["CONFIG", "REWRITE"] => {
                self.servers[server].file_follows = self.servers[server].follows;
                ok()
            }
            ["CLIENT", "PAUSE", _, "WRITE"] if self.servers[server].old => error("ERR syntax error"),
            ["CLIENT", "PAUSE", ms, "WRITE"] => {
                let until = now + ms.parse::<u64>().unwrap_or(0);
                self.servers[server].paused_until = until;
                self.plan_at(until, Happening::Unpause { server });
                ok()
            }
            ["CLIENT", "UNPAUSE"] => {
                self.servers[server].paused_until = 0;
                self.plan_at(now, Happening::Unpause { server });
                ok()
            }
            ["FAILOVER", ..] if self.servers[server].old => {
                error("ERR unknown command 'FAILOVER', with args beginning with: ")
            }
            ["FAILOVER", "TO", host, _, "TIMEOUT", ms] => self.begin_failover(server, host, ms.parse().unwrap_or(0)),
            ["FAILOVER", "ABORT"] => {
                self.servers[server].handing_over = None;
                self.plan_at(now, Happening::Unpause { server });
                ok()
            }
            ["SENTINEL" | "REPLICAOF", ..] => error("ERR unknown command"),
            _ => ok(),
        })
    }

    fn begin_failover(&mut self, server: usize, host: &str, ms: u64) -> Reply {
        let now = self.now;
        if self.servers[server].follows.is_some() {
            return error("ERR FAILOVER is not valid when server is a replica.");
        }
        let target = server_at(host).filter(|t| self.servers[server].replica_seen.get(*t).is_some_and(Option::is_some));
        let Some(target) = target else { return error("ERR FAILOVER target HOST and PORT is not a replica.") };
        self.servers[server].handing_over = Some((target, now + ms));
        self.plan_at(now + ms, Happening::Unpause { server });
        ok()
    }

    /// Passes a hello on to all that listen.
    fn publish(&mut self, server: usize, channel: &[u8], message: &[u8]) -> Reply {
        let (to, run) = (self.nodes.len() + server, self.servers[server].run);
        let mut listeners = 0;
        for conn in 0..self.conns.len() {
            let c = &self.conns[conn];
            if c.to == to && c.subscribed && c.alive && c.to_run == Some(run) {
                listeners += 1;
                let message = [&b"message"[..], channel, message].map(|b| Reply::Bulk(b.to_vec())).to_vec();
                self.send(conn, true, Payload::Reply(Reply::Array(message)));
            }
        }
        Reply::Int(listeners)
    }

    /// A pause may be over: what waited is executed.
    pub(crate) fn unpause(&mut self, server: usize) {
        if let Some((_, until)) = self.servers[server].handing_over
            && self.now >= until
        {
            self.servers[server].handing_over = None;
        }
        if self.servers[server].paused(self.now) || !self.servers[server].runs(self.now) {
            return;
        }
        let (to, run) = (self.nodes.len() + server, self.servers[server].run);
        for conn in 0..self.conns.len() {
            if self.conns[conn].to == to && self.conns[conn].to_run == Some(run) {
                let waiting = std::mem::take(&mut self.conns[conn].deferred);
                for args in waiting {
                    self.serve(server, conn, args);
                }
            }
        }
    }

    /// A replica looks at its primary.
    pub(crate) fn replicate(&mut self, server: usize) {
        let (now, every) = (self.now, self.plan.replication_ms);
        self.plan_at(now + every, Happening::Replicate { server });
        if !self.servers[server].runs(now) {
            return;
        }
        let Some(primary) = self.servers[server].follows else { return };
        let (here, there) = (self.nodes.len() + server, self.nodes.len() + primary);
        let reachable = self.net.connected(here, there);
        let alive = self.servers[primary].alive;
        if reachable && self.servers[primary].runs(now) && primary != server {
            let full = self.plan.full_sync_ms;
            let (a, b) = two(&mut self.servers, server, primary);
            a.replicate(b, server, now, full);
            self.finish_failover(primary, server);
        } else if (reachable && !alive) || now > self.servers[server].heard_at + self.plan.replication_timeout_ms {
            // A dead process resets its connections; silence takes longer to be believed.
            self.servers[server].lose_link(now);
            self.servers[primary].replica_seen[server] = None;
        }
    }

    /// A primary that hands over does it when its replica has everything.
    fn finish_failover(&mut self, primary: usize, replica: usize) {
        let now = self.now;
        let Some((target, _)) = self.servers[primary].handing_over else { return };
        if target == replica && self.servers[replica].log.len() == self.servers[primary].log.len() {
            self.tell(|| format!("server {primary} hands over to {replica}"));
            self.servers[replica].slaveof(None, now, &mut self.rng);
            self.servers[primary].handing_over = None;
            self.servers[primary].slaveof(Some(replica), now, &mut self.rng);
            self.unpause(primary);
        }
    }

    // Faults.

    /// The server that takes writes, by the view of most: the one that sentinels believe in.
    pub fn believed_primary(&self) -> usize {
        let views = (0..self.nodes.len()).filter_map(|n| self.view(n));
        let newest = views.max_by_key(|v| v.config_epoch);
        newest.and_then(|v| server_at(&v.host)).unwrap_or(0)
    }

    /// Kills a server.
    pub fn crash_server(&mut self, server: usize, reset: bool) {
        if !self.servers[server].alive {
            return;
        }
        self.tell(|| format!("server {server} crashes"));
        self.servers[server].alive = false;
        for conn in 0..self.conns.len() {
            let c = &self.conns[conn];
            if c.to == self.nodes.len() + server && c.alive && reset {
                self.send(conn, true, Payload::Fin("connection reset by a crash"));
            }
        }
    }

    /// Starts it again.
    pub fn start_server(&mut self, server: usize, lose_data: bool) {
        if self.servers[server].alive || self.servers[server].dead_for_good {
            return;
        }
        self.tell(|| format!("server {server} starts"));
        self.servers[server].restart(&mut self.rng, lose_data);
    }

    pub(crate) fn fault(&mut self, kind: FaultKind, ms: u64, ends: bool) {
        let (now, over) = (self.now, self.now + ms);
        let healed = now >= self.plan.heal_at;
        if healed && !ends {
            return;
        }
        self.tell(|| format!("fault {kind:?} for {ms} ms, ends: {ends}"));
        let mut end_later = false;
        match kind.clone() {
            FaultKind::CrashServer { server, reset, lose_data } => {
                let server = server.unwrap_or_else(|| self.believed_primary());
                self.crash_server(server, reset);
                self.plan_at(over, Happening::StartServer { server, lose_data });
            }
            FaultKind::HangServer { server } => {
                let server = server.unwrap_or_else(|| self.believed_primary());
                self.servers[server].hung_until = self.servers[server].hung_until.max(over);
                self.plan_at(over, Happening::Unpause { server });
            }
            FaultKind::CrashSentinel { sentinel, reset } => {
                self.crash_sentinel(sentinel, reset);
                self.plan_at(over, Happening::StartSentinel { node: sentinel });
            }
            FaultKind::HangSentinel { sentinel } => {
                self.nodes[sentinel].hung_until = self.nodes[sentinel].hung_until.max(over);
            }
            FaultKind::Partition { mask, one_way } => {
                self.net.partition(mask, one_way, ends);
                end_later = true;
                if ends {
                    self.flush();
                }
            }
            FaultKind::SlowDisk { sentinel, save_ms } => {
                self.nodes[sentinel].slow_disk_ms = (!ends).then_some(save_ms);
                end_later = true;
            }
            FaultKind::FailingDisk { sentinel } => {
                self.nodes[sentinel].disk_fails = !ends;
                end_later = true;
            }
            FaultKind::ClockJump { sentinel, by_ms } => self.nodes[sentinel].wall_offset += by_ms,
            FaultKind::ClockStop { sentinel } => {
                self.nodes[sentinel].wall_stopped = (!ends).then_some(self.nodes[sentinel].millis(now).wall);
                end_later = true;
            }
            FaultKind::ResetLinks { sentinel } => self.reset_links(sentinel),
            FaultKind::Failover { sentinel, coordinated } => {
                let words: &[&str] = if coordinated {
                    &["SENTINEL", "FAILOVER", "mymaster", "COORDINATED"]
                } else {
                    &["SENTINEL", "FAILOVER", "mymaster"]
                };
                if self.nodes[sentinel].runs(now) {
                    self.command(sentinel, words);
                }
            }
            FaultKind::Meddle { server, follows } => {
                if self.servers[server].runs(now) {
                    self.servers[server].slaveof(follows, now, &mut self.rng);
                }
            }
        }
        if end_later && !ends {
            self.plan_at(over, Happening::Fault { kind, ms, ends: true });
        }
    }

    fn reset_links(&mut self, node: NodeId) {
        for conn in 0..self.conns.len() {
            if self.conns[conn].from == node && self.conns[conn].alive {
                self.send(conn, true, Payload::Fin("reset"));
            }
        }
    }

    /// Ends all faults. Whoever is down starts again, except `but`; who is stopped goes on when its time has come.
    pub fn heal(&mut self, but: Option<usize>) {
        self.tell(|| "everything is healed".into());
        self.net.heal();
        self.flush();
        for node in 0..self.nodes.len() {
            let n = &mut self.nodes[node];
            (n.slow_disk_ms, n.disk_fails, n.wall_stopped) = (None, false, None);
            self.start_sentinel(node);
        }
        if let Some(server) = but {
            self.servers[server].dead_for_good = true;
            self.crash_server(server, true);
        }
        for server in 0..self.servers.len() {
            self.start_server(server, false);
            self.unpause(server);
        }
    }
}

fn two(
    servers: &mut [crate::server::Server],
    a: usize,
    b: usize,
) -> (&mut crate::server::Server, &mut crate::server::Server) {
    debug_assert_ne!(a, b);
    if a < b {
        let (left, right) = servers.split_at_mut(b);
        (&mut left[a], &mut right[0])
    } else {
        let (left, right) = servers.split_at_mut(a);
        (&mut right[0], &mut left[b])
    }
}
