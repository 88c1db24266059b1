//! Scenarios by hand, in the same world as the random ones: what a user does, and what must come of it.

use sentinel::Reply;
use sim::plan::Plan;
use sim::server::address;
use sim::{World, explore::agreement};

/// A world that has found itself.
fn settled(plan: Plan) -> World {
    let mut world = World::new(plan);
    let (sentinels, known) = (world.nodes.len() - 1, world.servers.len() - 1);
    let found = world.run_until_so(5000, |w| {
        (0..w.nodes.len()).all(|n| {
            let view = w.view(n).expect("it runs");
            view.sentinels == sentinels && view.replicas.len() == known
        })
    });
    assert!(found, "they did not find each other");
    world.run_for(2500);
    no_violations(&world);
    world
}

fn no_violations(world: &World) {
    assert!(world.checker.violations.is_empty(), "{:?}", world.checker.violations);
}

/// Waits until all agree on one primary, and says which.
fn agreed(world: &mut World, ms: u64) -> usize {
    let mut last = String::new();
    let so = world.run_until_so(ms, |w| agreement(w).map_err(|e| last = e).is_ok());
    no_violations(world);
    assert!(so, "no agreement in {ms} ms: {last}");
    agreement(world).expect("just seen")
}

/// The names of the events of one sentinel since some time, of those that are asked for.
fn events(world: &World, sentinel: usize, since: u64, but: &[&str]) -> Vec<&'static str> {
    let of = world.emitted.iter().filter(|e| e.sentinel == sentinel && e.at >= since && !but.contains(&e.name));
    of.map(|e| e.name).collect()
}

/// When an event with this text came first, from any sentinel.
fn when(world: &World, name: &str, text: &str) -> Option<u64> {
    world.emitted.iter().find(|e| e.name == name && e.text.contains(text)).map(|e| e.at)
}

fn ok() -> Reply {
    Reply::Status(b"OK".to_vec())
}

/// What a command is answered, waiting for it.
fn ask(world: &mut World, sentinel: usize, words: &[&str]) -> Reply {
    let number = world.command(sentinel, words);
    assert!(world.run_until_so(20_000, |w| w.answer(number).is_some()), "no answer to {words:?}");
    world.answer(number).expect("just seen").clone()
}

#[test]
fn b1_one_sentinel_finds_both_replicas_and_saves_them() {
    let mut world = settled(Plan::quiet(1, 3));
    world.run_for(1000);
    let file = &world.nodes[0].durable;
    let id = world.nodes[0].sentinel.as_ref().unwrap().id();
    for line in [
        format!("sentinel myid {id}"),
        "sentinel known-replica mymaster 10.0.0.2 6379".into(),
        "sentinel known-replica mymaster 10.0.0.3 6379".into(),
        "sentinel current-epoch 0".into(),
        "sentinel monitor mymaster 10.0.0.1 6379 1".into(),
    ] {
        assert!(file.lines().any(|l| l == line), "{line} is missing in\n{file}");
    }
    assert!(file.starts_with("port 26379\nsentinel monitor"), "{file}");
}

#[test]
fn b2_a_replica_dies_and_comes_back() {
    let mut world = settled(Plan::quiet(1, 3));
    let died = world.now;
    world.crash_server(1, true);
    world.run_for(3000);
    let text = "slave 10.0.0.2:6379 10.0.0.2 6379 @ mymaster 10.0.0.1 6379";
    let at = when(&world, "+sdown", text).expect("it is down");
    // Since its last answer to a PING, which is sent each second.
    assert!((died..=died + 1010).contains(&at), "{at}");
    let back = world.now;
    world.start_server(1, false);
    world.run_for(2500);
    let names = events(&world, 0, back, &["-cmd-link-reconnection", "-pubsub-link-reconnection"]);
    assert_eq!(names, ["+reboot", "-sdown"]);
    assert!(world.emitted.iter().any(|e| e.name == "+reboot" && e.text == text));
    no_violations(&world);
}

#[test]
fn b3_the_events_of_a_fail_over_come_in_order() {
    let mut world = settled(Plan::quiet(1, 3));
    let died = world.now;
    world.crash_server(0, true);
    agreed(&mut world, 10_000);
    world.run_for(2000);
    let names = events(
        &world,
        0,
        died,
        &["-cmd-link-reconnection", "-pubsub-link-reconnection", "-role-change", "+role-change"],
    );
    assert_eq!(
        names,
        [
            "+sdown",
            "+odown",
            "+new-epoch",
            "+try-failover",
            "+vote-for-leader",
            "+elected-leader",
            "+failover-state-select-slave",
            "+selected-slave",
            "+failover-state-send-slaveof-noone",
            "+failover-state-wait-promotion",
            "+promoted-slave",
            "+failover-state-reconf-slaves",
            "+slave-reconf-sent",
            "+slave-reconf-inprog",
            "+slave-reconf-done",
            "+failover-end",
            "+switch-master",
            "+slave",
            "+slave",
            "+sdown",
        ]
    );
    let text = |name: &str| world.emitted.iter().rfind(|e| e.name == name).map(|e| e.text.clone()).unwrap();
    let chosen = world.believed_primary();
    let other = 3 - chosen;
    assert_eq!(text("+odown"), "master mymaster 10.0.0.1 6379 #quorum 1/1");
    assert_eq!(text("+switch-master"), format!("mymaster 10.0.0.1 6379 {} 6379", address(chosen)));
    let promoted = format!("slave {0}:6379 {0} 6379 @ mymaster 10.0.0.1 6379", address(chosen));
    assert_eq!(text("+promoted-slave"), promoted);
    let left = format!("slave {0}:6379 {0} 6379 @ mymaster 10.0.0.1 6379", address(other));
    assert_eq!(text("+slave-reconf-done"), left);
    assert_eq!(text("+sdown"), format!("slave 10.0.0.1:6379 10.0.0.1 6379 @ mymaster {} 6379", address(chosen)));
    let id = world.nodes[0].sentinel.as_ref().unwrap().id();
    assert_eq!(text("+vote-for-leader"), format!("{id} 1"));
    let took = when(&world, "+switch-master", "").unwrap() - died;
    assert!(took < 1500, "it took {took} ms");
    assert_eq!(world.servers[other].full_syncs, 0, "the other replica goes on where it was");
}

#[test]
fn b4_the_old_primary_comes_back_as_a_replica() {
    let mut world = settled(Plan::quiet(3, 3));
    world.crash_server(0, true);
    agreed(&mut world, 10_000);
    world.run_for(5000);
    let back = world.now;
    world.start_server(0, false);
    let followed = world.run_until_so(5000, |w| w.servers[0].follows.is_some());
    assert!(followed && world.now - back < 2200, "{} ms", world.now - back);
    assert!(when(&world, "+convert-to-slave", "slave 10.0.0.1:6379 10.0.0.1 6379 @ mymaster").is_some());
    let heard = world.emitted.iter().find(|e| e.at >= back && e.name == "-role-change").map_or(back, |e| e.at);
    assert!(world.now - heard <= 1000, "told {} ms after it was heard of", world.now - heard);
    let primary = agreed(&mut world, 10_000);
    assert_eq!(world.servers[0].log, world.servers[primary].log);
}

#[test]
fn b5_a_majority_fails_over_once_and_a_minority_does_not() {
    let mut world = settled(Plan::quiet(3, 3));
    world.crash_server(0, true);
    world.crash_sentinel(0, true);
    agreed(&mut world, 20_000);
    let switches = world.emitted.iter().filter(|e| e.name == "+switch-master").count();
    assert_eq!(switches, 2, "once for each sentinel that lives");
    assert_eq!(world.emitted.iter().filter(|e| e.name == "+elected-leader").count(), 1);

    let mut world = settled(Plan::quiet(3, 3));
    world.crash_server(0, true);
    world.crash_sentinel(0, true);
    world.crash_sentinel(1, true);
    world.run_for(60_000);
    no_violations(&world);
    assert!(when(&world, "+sdown", "master mymaster").is_some());
    assert_eq!(when(&world, "+switch-master", ""), None);
}

#[test]
fn b6_several_primaries_are_handled_each_by_itself() {
    let mut world = settled(Plan::quiet(3, 3));
    for node in 0..3 {
        // The second server is watched as a primary of its own kind: it says that it is a replica, and that stays its matter.
        let reply = ask(&mut world, node, &["SENTINEL", "MONITOR", "other", "10.0.0.2", "6379", "2"]);
        assert_eq!(reply, ok());
        assert_eq!(ask(&mut world, node, &["SENTINEL", "SET", "other", "down-after-milliseconds", "600000"]), ok());
    }
    world.run_for(5000);
    let views = world.nodes[0].sentinel.as_ref().unwrap().views();
    assert_eq!(views.iter().map(|v| v.name.as_str()).collect::<Vec<_>>(), ["mymaster", "other"]);
    assert!(views.iter().all(|v| v.sentinels == 2 && !v.s_down), "{views:?}");
    let Reply::Array(sentinels) = ask(&mut world, 0, &["SENTINEL", "SENTINELS", "other"]) else { panic!("an array") };
    for sentinel in sentinels {
        let Reply::Map(fields) = sentinel else { panic!("fields") };
        let links = fields.iter().find(|(name, _)| *name == Reply::Bulk(b"link-refcount".to_vec()));
        assert_eq!(links.map(|(_, v)| v.clone()), Some(Reply::Bulk(b"2".to_vec())), "both share one link");
    }
    for node in 0..3 {
        assert_eq!(ask(&mut world, node, &["SENTINEL", "REMOVE", "other"]), ok());
    }
    world.crash_server(0, true);
    agreed(&mut world, 10_000);
}

#[test]
fn b10_a_primary_in_the_minority_stops_and_follows_after_healing() {
    let mut plan = Plan::quiet(3, 3);
    (plan.write_ms, plan.min_replicas) = (20, (1, 2000));
    let mut world = settled(plan);
    // The primary is alone with its client; the sentinels and replicas are on the other side.
    let mask = 1 << 3;
    let cut = world.now;
    world.net.partition(mask, false, false);
    world.run_for(15_000);
    let last = world.acknowledged.iter().rev().find(|(n, _)| world.servers[0].log.contains(n)).unwrap().1;
    assert!(last <= cut + 2100, "it went on for {} ms", last - cut);
    let healed = world.now;
    world.net.partition(mask, false, true);
    world.net.heal();
    let followed = world.run_until_so(5000, |w| w.servers[0].follows.is_some());
    assert!(followed);
    // A link may take a second to be tried again; from the first word on it must be at once.
    assert!(world.now - healed < 2200, "told after {} ms", world.now - healed);
    let primary = agreed(&mut world, 10_000);
    let lost = world.lost_on(primary);
    let limit = 2100 / 20 + 2;
    assert!(lost <= limit, "{lost} acknowledged writes are lost; the lag limit allows {limit}");
}

#[test]
fn a_plain_manual_fail_over_loses_nothing() {
    for seed in 1..20 {
        let mut plan = Plan::quiet(3, 3);
        (plan.seed, plan.write_ms, plan.replication_ms) = (seed, 1, 40);
        let mut world = settled(plan);
        let begin = world.now;
        assert_eq!(ask(&mut world, 0, &["SENTINEL", "FAILOVER", "mymaster"]), ok());
        assert_eq!(
            ask(&mut world, 0, &["SENTINEL", "FAILOVER", "mymaster"]),
            Reply::Error(b"INPROG Failover already in progress".to_vec())
        );
        let primary = agreed(&mut world, 10_000);
        assert_ne!(primary, 0);
        world.run_for(1000);
        assert_eq!(world.lost_on(primary), 0, "seed {seed}");
        // No longer than the hand-over takes.
        let times: Vec<u64> = world.acknowledged.iter().map(|(_, at)| *at).filter(|at| *at >= begin).collect();
        let longest = times.windows(2).map(|w| w[1] - w[0]).max().unwrap();
        assert!(longest <= 200, "seed {seed}: writers waited {longest} ms");
        assert_eq!(world.servers[0].full_syncs, 0, "the old primary goes on where it was");
        assert!(when(&world, "-failover-abort-slave-timeout", "").is_none());
    }
}

#[test]
fn a_manual_fail_over_to_a_replica_that_lags_is_given_up_and_writes_go_on() {
    let mut plan = Plan::quiet(3, 2);
    (plan.write_ms, plan.down_after_ms) = (10, 2000);
    let mut world = settled(plan);
    // The replica answers, but takes nothing over.
    world.plan.replication_ms = 60_000;
    world.run_for(100);
    let before = world.now;
    assert_eq!(ask(&mut world, 0, &["SENTINEL", "FAILOVER", "mymaster"]), ok());
    world.run_for(4000);
    assert!(when(&world, "-failover-abort-slave-timeout", "master mymaster 10.0.0.1 6379").is_some());
    assert_eq!(world.servers[0].follows, None, "it stays the primary");
    assert!(world.acknowledged.iter().any(|(_, at)| *at > before + 2000), "writes go on");
    no_violations(&world);
}

#[test]
fn a_coordinated_fail_over_is_done_by_the_primary() {
    for seed in 1..20 {
        let mut plan = Plan::quiet(3, 3);
        (plan.seed, plan.write_ms, plan.replication_ms) = (seed, 1, 40);
        let mut world = settled(plan);
        assert_eq!(ask(&mut world, 1, &["SENTINEL", "FAILOVER", "mymaster", "COORDINATED"]), ok());
        let primary = agreed(&mut world, 10_000);
        assert_ne!(primary, 0);
        world.run_for(1000);
        assert_eq!(world.lost_on(primary), 0, "seed {seed}");
        assert!(when(&world, "+promoted-slave", "").is_some());
    }
}

#[test]
fn a_primary_that_has_handed_over_by_itself_is_followed_soon() {
    let mut world = settled(Plan::quiet(3, 3));
    // By the rules the other one would be chosen, but it lacks what was written since.
    world.servers[2].priority = 1;
    world.run_for(11_000);
    let begin = world.now;
    world.servers[0].handing_over = Some((1, begin + 5000));
    let followed = world.run_until_so(14_000, |w| agreement(w) == Ok(1));
    no_violations(&world);
    assert!(followed, "{:?}", agreement(&world));
    // INFO comes each ten seconds; from then on it takes little more than `down-after-milliseconds`.
    assert_eq!(when(&world, "+convert-to-slave", ""), None);
    let lost = world.servers[1].log.len() < world.servers[0].log.len();
    assert!(!lost, "the new primary has everything");
}

#[test]
fn a_primary_that_cannot_hand_over_says_so() {
    let mut plan = Plan::quiet(3, 3);
    plan.old_servers = true;
    let mut world = settled(plan);
    let reply = ask(&mut world, 0, &["SENTINEL", "FAILOVER", "mymaster", "COORDINATED"]);
    let Reply::Error(text) = &reply else { panic!("{reply:?}") };
    let text = String::from_utf8_lossy(text);
    assert!(text.contains("the primary cannot hand over: ERR unknown command 'FAILOVER'"), "{text}");
    world.run_for(3000);
    assert_eq!(world.believed_primary(), 0, "nothing has changed");
    // A plain one works there, too.
    assert_eq!(ask(&mut world, 0, &["SENTINEL", "FAILOVER", "mymaster"]), ok());
    assert_ne!(agreed(&mut world, 10_000), 0);
    let wrong = ask(&mut world, 0, &["SENTINEL", "FAILOVER", "mymaster", "SOMEHOW"]);
    assert_eq!(wrong, Reply::Error(b"ERR Unknown failover option specified: SOMEHOW".to_vec()));
}

#[test]
fn replicas_are_chosen_by_priority_then_offset_then_run_id() {
    let mut plan = Plan::quiet(1, 4);
    plan.priorities = vec![100, 100, 10, 50];
    let mut world = settled(plan);
    world.crash_server(0, true);
    assert_eq!(agreed(&mut world, 10_000), 2, "the lowest priority first");

    let mut plan = Plan::quiet(1, 4);
    plan.write_ms = 50;
    let mut world = settled(plan);
    // The third one is behind.
    world.servers[2].log.truncate(1);
    world.servers[1].log.truncate(1);
    world.crash_server(0, true);
    assert_eq!(agreed(&mut world, 10_000), 3, "then the greatest offset");

    let mut world = settled(Plan::quiet(1, 4));
    let first = (1..4).min_by_key(|i| world.servers[*i].run_id.clone()).unwrap();
    world.crash_server(0, true);
    assert_eq!(agreed(&mut world, 10_000), first, "then the smallest run id");
}

#[test]
fn a_replica_with_priority_0_is_never_promoted() {
    let mut plan = Plan::quiet(3, 3);
    plan.priorities = vec![100, 0, 0];
    let mut world = settled(plan);
    let reply = ask(&mut world, 0, &["SENTINEL", "FAILOVER", "mymaster"]);
    assert_eq!(reply, Reply::Error(b"NOGOODSLAVE No suitable replica to promote".to_vec()));
    world.crash_server(0, true);
    world.run_for(20_000);
    no_violations(&world);
    assert!(when(&world, "-failover-abort-no-good-slave", "").is_some());
    assert_eq!(when(&world, "+promoted-slave", ""), None);
}

#[test]
fn epochs_that_differ_are_made_one_and_the_newer_configuration_wins() {
    let mut world = settled(Plan::quiet(3, 3));
    // One of them misses a fail-over.
    world.net.partition(1, false, false);
    world.run_for(3000);
    world.crash_server(0, true);
    let switched = world.run_until_so(20_000, |w| (1..3).all(|n| w.view(n).unwrap().host != address(0)));
    assert!(switched);
    assert_eq!(world.view(0).unwrap().host, address(0));
    let epoch = world.nodes[1].sentinel.as_ref().unwrap().current_epoch();
    world.net.heal();
    world.flush();
    let healed = world.now;
    assert!(world.run_until_so(5000, |w| w.view(0).unwrap().host == w.view(1).unwrap().host));
    assert!(world.nodes[0].sentinel.as_ref().unwrap().current_epoch() >= epoch);
    let names = events(&world, 0, healed, &[]);
    let of = |name: &str| names.iter().position(|n| *n == name);
    assert!(of("+config-update-from") < of("+switch-master") && of("+config-update-from").is_some(), "{names:?}");
    agreed(&mut world, 20_000);
}

#[test]
fn in_tilt_it_watches_and_does_not_act() {
    let mut plan = Plan::quiet(1, 3);
    plan.tilt_ms = 10_000;
    let mut world = settled(plan);
    world.nodes[0].wall_offset += 60_000;
    world.run_for(1100);
    assert!(world.emitted.iter().any(|e| e.name == "+tilt" && e.text == "#tilt mode entered"));
    assert!(world.nodes[0].sentinel.as_ref().unwrap().info_fields().contains("sentinel_tilt:1\r\n"));
    world.crash_server(0, true);
    world.run_for(8000);
    assert_eq!(when(&world, "+sdown", "master"), None, "it does not act");
    let left = world.now;
    agreed(&mut world, 10_000);
    assert!(when(&world, "-tilt", "#tilt mode exited").unwrap() > left);

    // Standing still for long is the same.
    let mut world = settled(Plan::quiet(1, 3));
    world.nodes[0].hung_until = world.now + 5000;
    world.run_for(5500);
    assert!(world.nodes[0].sentinel.as_ref().unwrap().in_tilt());
}

#[test]
fn a_chain_is_kept_and_its_middle_may_be_promoted() {
    let mut plan = Plan::quiet(3, 3);
    plan.follows = vec![None, Some(0), Some(1)];
    let mut world = World::new(plan);
    world.run_for(8000);
    assert_eq!(world.view(0).unwrap().replicas.len(), 1, "only what the primary lists");
    world.crash_server(0, true);
    assert_eq!(agreed(&mut world, 10_000), 1);
    assert_eq!(world.servers[2].follows, Some(1));
}

#[test]
fn a_vote_waits_for_the_disk() {
    let mut world = settled(Plan::quiet(3, 3));
    world.nodes[0].slow_disk_ms = Some(700);
    let id = world.nodes[1].sentinel.as_ref().unwrap().id().to_owned();
    let words = ["SENTINEL", "IS-MASTER-DOWN-BY-ADDR", "10.0.0.1", "6379", "99", &id];
    let asked = world.now;
    let reply = ask(&mut world, 0, &words);
    assert!(world.now - asked >= 700, "answered after {} ms", world.now - asked);
    assert_eq!(reply, Reply::Array(vec![Reply::Int(0), Reply::Bulk(id.clone().into_bytes()), Reply::Int(99)]));
    assert!(world.nodes[0].durable.contains("sentinel leader-epoch mymaster 99\n"));
    // Without a disk there is no vote.
    world.nodes[0].disk_fails = true;
    let words = ["SENTINEL", "IS-MASTER-DOWN-BY-ADDR", "10.0.0.1", "6379", "100", &id];
    let reply = ask(&mut world, 0, &words);
    assert_eq!(reply, Reply::Array(vec![Reply::Int(0), Reply::Bulk(b"*".to_vec()), Reply::Int(0)]));
    no_violations(&world);
}
