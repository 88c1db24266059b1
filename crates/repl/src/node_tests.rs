//! Every transition of a node, and nodes that follow each other at random.

use super::*;
use crate::Refusal;
use alloc::string::ToString;
use alloc::vec;
use proptest::prelude::*;

fn id(n: u8) -> ReplicationId {
    ReplicationId::from_random([n; 20])
}

/// `PSYNC` of a node that has all of `id` up to `offset`.
fn asks(node: &Node, id: ReplicationId, offset: u64) -> Decision {
    node.decide(id.as_str().as_bytes(), offset as i64 + 1)
}

fn recording(n: u8, bytes: usize) -> Node {
    let mut node = Node::new(id(n + 100));
    assert!(node.begin_recording(id(n)));
    node.record(&vec![n; bytes]);
    node
}

#[test]
fn unrecorded_data_has_no_position_and_is_continued_by_nobody() {
    let mut node = Node::new(id(1));
    assert_eq!((node.position(), node.is_recording(), node.has_backlog()), (None, false, false));
    assert_eq!(asks(&node, id(1), 0), Decision::FullResync(Refusal::NoBacklog));
    // Its changes were in no log, so that what is recorded from now on is another history.
    assert!(node.begin_recording(id(2)));
    assert!(!node.begin_recording(id(3)), "it records already");
    assert_eq!(node.position(), Some((id(2), 0)));
    assert_eq!(asks(&node, id(1), 0), Decision::FullResync(Refusal::UnknownId));
    node.record(b"abc");
    assert_eq!(asks(&node, id(2), 1), Decision::Continue { position: 1 });
    node.stop_recording(id(4));
    assert_eq!((node.position(), node.offset(), node.log().len()), (None, 3, 0));
    assert_eq!(asks(&node, id(2), 3), Decision::FullResync(Refusal::UnknownId));
    node.begin_recording(id(5));
    assert_eq!(asks(&node, id(4), 3), Decision::FullResync(Refusal::UnknownId));
}

#[test]
fn a_primary_that_follows_another_one_asks_for_what_follows_its_own_data_if_that_was_recorded() {
    let mut node = Node::new(id(1));
    node.follow();
    assert_eq!((node.position(), node.is_replica()), (None, true));
    let mut node = recording(1, 10);
    node.follow();
    assert_eq!((node.position(), node.is_recording()), (Some((id(1), 10)), false));
    assert!(node.is_of(id(1)) && !node.is_of(id(2)));
}

#[test]
fn a_full_sync_replaces_the_history_and_what_was_received_of_a_transaction() {
    let mut node = recording(1, 10);
    node.follow();
    node.receive(b"*1\r\n$5\r\nMULTI\r\n", true);
    assert_eq!((node.offset(), node.transaction_len()), (10, 15));
    node.lose_data();
    assert_eq!((node.position(), node.transaction_len()), (None, 0));
    node.adopt(id(2), 500);
    assert_eq!(node.position(), Some((id(2), 500)));
    assert_eq!(asks(&node, id(1), 5), Decision::FullResync(Refusal::UnknownId));
    node.receive(b"abc", false);
    assert_eq!(asks(&node, id(2), 500), Decision::Continue { position: 500 });
    assert_eq!(asks(&node, id(2), 499), Decision::FullResync(Refusal::OutsideBacklog));
}

#[test]
fn a_transaction_is_in_the_log_as_a_whole_or_not_at_all() {
    let mut node = recording(1, 0);
    node.follow();
    node.receive(b"MULTI ", true);
    node.receive(b"SET ", true);
    assert_eq!(node.offset(), 0);
    node.receive(b"EXEC ", false);
    assert_eq!((node.offset(), node.log().read(0)), (15, &b"MULTI SET EXEC "[..]));
    node.receive(b"MULTI ", true);
    node.lose_link();
    node.receive(b"SET ", false);
    assert_eq!(node.log().read(15), b"SET ");
}

#[test]
fn a_partial_resync_renames_the_history_and_those_of_the_old_name_may_go_on() {
    let mut node = recording(1, 10);
    node.follow();
    assert!(!node.continue_as(None));
    assert!(!node.continue_as(Some(id(1))));
    assert!(node.continue_as(Some(id(2))));
    assert_eq!(node.position(), Some((id(2), 10)));
    node.receive(b"abc", false);
    assert_eq!(asks(&node, id(1), 10), Decision::Continue { position: 10 });
    assert_eq!(asks(&node, id(1), 11), Decision::FullResync(Refusal::BeyondSecondId));
}

#[test]
fn a_promoted_replica_is_continued_by_those_who_have_no_more_than_it() {
    let mut node = recording(1, 10);
    node.follow();
    assert_eq!(node.promote(id(2)), Some(id(1)));
    assert!(node.is_recording());
    node.record(b"abc");
    assert_eq!(asks(&node, id(1), 10), Decision::Continue { position: 10 });
    assert_eq!(asks(&node, id(1), 11), Decision::FullResync(Refusal::BeyondSecondId));
    assert_eq!(asks(&node, id(2), 12), Decision::Continue { position: 12 });
}

#[test]
fn a_replica_that_is_promoted_without_its_data_is_continued_by_nobody() {
    let mut node = recording(1, 10);
    node.follow();
    node.lose_data();
    assert_eq!(node.promote(id(2)), None);
    assert_eq!(asks(&node, id(1), 10), Decision::FullResync(Refusal::UnknownId));
    assert_eq!(node.position(), Some((id(2), 10)));
}

#[test]
fn a_data_file_with_a_position_is_gone_on_with_in_both_roles() {
    let mut node = Node::new(id(9));
    node.restore(id(1), 10);
    node.follow();
    assert_eq!(node.position(), Some((id(1), 10)));
    let mut node = Node::new(id(9));
    node.restore(id(1), 10);
    assert_eq!(node.promote(id(2)), Some(id(1)));
    assert_eq!(asks(&node, id(1), 10), Decision::Continue { position: 10 });
    assert_eq!(asks(&node, id(1), 9), Decision::FullResync(Refusal::OutsideBacklog));
    node.rename(id(3));
    assert_eq!(asks(&node, id(1), 10), Decision::FullResync(Refusal::UnknownId));
}

#[test]
#[should_panic = "only a primary whose changes are recorded"]
fn a_replica_has_no_changes_of_its_own() {
    let mut node = recording(1, 10);
    node.follow();
    node.record(b"abc");
}

#[test]
#[should_panic = "a stream continues known data"]
fn a_stream_does_not_continue_data_that_is_gone() {
    let mut node = recording(1, 10);
    node.follow();
    node.lose_data();
    node.receive(b"abc", false);
}

/// A server as far as it matters here: its data is the list of all writes that made it.
struct Server {
    node: Node,
    /// The writes, each one byte long in the stream, named by a number that no other write has.
    data: Vec<u32>,
    follows: Option<usize>,
    linked: bool,
    file: Option<File>,
}

/// A data file.
#[derive(Clone, Default)]
struct File {
    position: Option<(ReplicationId, u64)>,
    data: Vec<u32>,
}

/// What happens in the world.
#[derive(Clone, Copy, Debug)]
enum Happening {
    Write(usize),
    /// One more byte of the stream comes to a replica.
    Feed(usize),
    /// A replica connects to whom it follows, and gets a full sync that fails half-way where that is said.
    Link(usize, bool),
    Unlink(usize),
    Follow(usize, usize),
    Promote(usize),
    Save(usize),
    /// An operator copies the data file of one server to another one.
    CopyFile(usize, usize),
    Restart(usize, bool),
    FreeBacklog(usize),
    BrokenStream(usize),
}

struct World {
    servers: Vec<Server>,
    names: u32,
}

impl World {
    fn new(count: usize) -> Self {
        let mut world = Self { servers: vec![], names: 0 };
        for _ in 0..count {
            let node = Node::new(world.new_id());
            world.servers.push(Server { node, data: vec![], follows: None, linked: false, file: None });
        }
        world
    }

    fn new_id(&mut self) -> ReplicationId {
        self.names += 1;
        let mut bytes = [0; 20];
        bytes[..4].copy_from_slice(&self.names.to_le_bytes());
        ReplicationId::from_random(bytes)
    }

    fn cut_off_followers(&mut self, of: usize) {
        for server in self.servers.iter_mut().filter(|s| s.follows == Some(of)) {
            server.linked = false;
            server.node.lose_link();
        }
    }

    fn apply(&mut self, happening: Happening) {
        match happening {
            Happening::Write(n) if self.servers[n].follows.is_none() => {
                self.names += 1;
                let server = &mut self.servers[n];
                server.data.push(self.names);
                if server.node.is_recording() {
                    server.node.record(b".");
                }
            }
            Happening::Feed(n) if self.servers[n].linked => {
                let primary = &self.servers[self.servers[n].follows.unwrap()];
                let at = self.servers[n].node.offset();
                if at == primary.node.offset() {
                    return;
                }
                // The data is longer than the stream by what was written before anything was recorded.
                let ahead = primary.node.offset() - at;
                let write = primary.data[primary.data.len() - ahead as usize];
                self.servers[n].data.push(write);
                self.servers[n].node.receive(b".", false);
            }
            Happening::Link(n, fails) => self.link(n, fails),
            Happening::Unlink(n) => {
                self.servers[n].linked = false;
                self.servers[n].node.lose_link();
            }
            Happening::Follow(n, whom) if n != whom && !self.leads_to(whom, n) => {
                self.servers[n].node.follow();
                (self.servers[n].follows, self.servers[n].linked) = (Some(whom), false);
            }
            Happening::Promote(n) if self.servers[n].follows.is_some() => {
                let new = self.new_id();
                self.servers[n].node.promote(new);
                (self.servers[n].follows, self.servers[n].linked) = (None, false);
                self.cut_off_followers(n);
            }
            Happening::Save(n) => {
                let server = &mut self.servers[n];
                server.file = Some(File { position: server.node.position(), data: server.data.clone() });
            }
            Happening::CopyFile(from, to) => self.servers[to].file = self.servers[from].file.clone(),
            Happening::Restart(n, as_replica) => self.restart(n, as_replica),
            Happening::FreeBacklog(n)
                if self.servers[n].node.is_recording() && self.servers.iter().all(|s| s.follows != Some(n)) =>
            {
                let new = self.new_id();
                self.servers[n].node.stop_recording(new);
            }
            Happening::BrokenStream(n) if self.servers[n].linked => {
                // Something else than the primary sent has been run. Its own replicas get no more than its log has, but here they
                // are fed from the list of writes.
                self.cut_off_followers(n);
                self.names += 1;
                let server = &mut self.servers[n];
                server.data.push(self.names);
                server.linked = false;
                server.node.lose_data();
            }
            _ => {}
        }
    }

    /// Whether `from` follows `to`, directly or not.
    fn leads_to(&self, from: usize, to: usize) -> bool {
        let mut at = from;
        loop {
            match self.servers[at].follows {
                _ if at == to => return true,
                Some(next) => at = next,
                None => return false,
            }
        }
    }

    fn link(&mut self, n: usize, fails: bool) {
        let Some(whom) = self.servers[n].follows else { return };
        if self.servers[n].linked || (self.servers[whom].follows.is_some() && !self.servers[whom].linked) {
            return;
        }
        let have = self.servers[n].node.position().map(|(id, offset)| (id, offset + 1));
        let asked = have.map_or(("?".to_string(), -1), |(id, next)| (id.to_string(), next as i64));
        match self.servers[whom].node.decide(asked.0.as_bytes(), asked.1) {
            Decision::Continue { position } => {
                let primary = self.servers[whom].node.history().id;
                let ahead = self.servers[whom].node.offset() - position;
                let server = &mut self.servers[n];
                assert_eq!(server.node.offset(), position);
                server.node.continue_as(Some(primary));
                server.linked = true;
                let expected = self.servers[whom].data.len() - ahead as usize;
                assert_eq!(
                    self.servers[n].data,
                    self.servers[whom].data[..expected],
                    "a partial resync continues other data"
                );
                self.cut_off_followers(n);
            }
            Decision::FullResync(_) => {
                let new = self.new_id();
                self.servers[whom].node.begin_recording(new);
                self.cut_off_followers(n);
                self.servers[n].node.lose_data();
                self.servers[n].data.clear();
                if fails {
                    return;
                }
                let (id, offset) = self.servers[whom].node.position().expect("whoever is followed has a position");
                self.servers[n].data = self.servers[whom].data.clone();
                self.servers[n].node.adopt(id, offset);
                self.servers[n].linked = true;
            }
        }
    }

    fn restart(&mut self, n: usize, as_replica: bool) {
        let new = self.new_id();
        let other = self.new_id();
        self.cut_off_followers(n);
        let server = &mut self.servers[n];
        server.node = Node::new(new);
        server.linked = false;
        let File { position, data } = server.file.clone().unwrap_or_default();
        server.data = data;
        if let Some((id, offset)) = position {
            server.node.restore(id, offset);
        }
        match server.follows {
            Some(_) if as_replica => server.node.follow(),
            _ => {
                server.follows = None;
                if server.node.is_replica() {
                    server.node.promote(other);
                }
            }
        }
    }

    /// Who is linked has a prefix of its primary's data, and who has the same position has the same data.
    fn check(&self) {
        for (n, server) in self.servers.iter().enumerate() {
            if server.linked {
                let primary = &self.servers[server.follows.unwrap()];
                assert!(primary.data.starts_with(&server.data), "{n} has other data than its primary");
            }
            for other in &self.servers[..n] {
                if server.node.position().is_some() && server.node.position() == other.node.position() {
                    assert_eq!(server.data, other.data, "two servers with the same position");
                }
            }
        }
    }
}

fn happening(servers: usize) -> impl Strategy<Value = Happening> {
    let one = move || 0..servers;
    prop_oneof![
        6 => one().prop_map(Happening::Write),
        8 => one().prop_map(Happening::Feed),
        6 => (one(), prop::bool::weighted(0.2)).prop_map(|(n, fails)| Happening::Link(n, fails)),
        1 => one().prop_map(Happening::Unlink),
        4 => (one(), one()).prop_map(|(n, whom)| Happening::Follow(n, whom)),
        2 => one().prop_map(Happening::Promote),
        2 => one().prop_map(Happening::Save),
        2 => (one(), one()).prop_map(|(from, to)| Happening::CopyFile(from, to)),
        3 => (one(), prop::bool::weighted(0.7)).prop_map(|(n, as_replica)| Happening::Restart(n, as_replica)),
        1 => one().prop_map(Happening::FreeBacklog),
        1 => one().prop_map(Happening::BrokenStream),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]
    #[test]
    fn nobody_goes_on_from_data_that_it_does_not_have(happenings in prop::collection::vec(happening(3), 1..200)) {
        let mut world = World::new(3);
        for happening in happenings {
            world.apply(happening);
            world.check();
        }
    }
}
