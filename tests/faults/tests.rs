//! The faults, each over groups of different makers.

use crate::support::Product::{Ours, Redis};
use crate::support::sentinel::NAME;
use crate::support::{PATIENCE, have};
use crate::world::{Plan, SENTINEL, SERVER, World};
use crate::writer::{Outcome, Writer};
use std::time::{Duration, Instant};

/// Our servers under Redis's sentinels.
const THEIR_SENTINELS: Plan = Plan { servers: [Ours; 3], sentinels: [Redis; 3], options: &[] };
/// Everything ours.
const ALL_OURS: Plan = Plan { servers: [Ours; 3], sentinels: [Ours; 3], options: &[] };
/// Redis's servers under our sentinels.
const THEIR_SERVERS: Plan = Plan { servers: [Redis; 3], sentinels: [Ours; 3], options: &[] };
/// Some of each.
const MIXED: Plan = Plan { servers: [Ours, Redis, Ours], sentinels: [Redis, Ours, Ours], options: &[] };
/// Some of each, the other way round.
const MIXED_TOO: Plan = Plan { servers: [Redis, Ours, Redis], sentinels: [Ours, Redis, Redis], options: &[] };

/// What may be lost where a primary dies at once: what it had acknowledged and not sent on yet, which is a few commands.
const SUDDEN_LOSS: usize = 20;

/// Runs a fault over groups of these makers, all at once: mostly they wait.
fn over(plans: &[Plan], fault: impl Fn(World, &str) + Sync) {
    let needs_redis = plans.iter().any(|p| [p.servers, p.sentinels].concat().contains(&Redis));
    if !have("ip") || (needs_redis && !(have("redis-server") && have("redis-sentinel"))) {
        return;
    }
    std::thread::scope(|scope| {
        for plan in plans {
            let fault = &fault;
            scope.spawn(move || {
                let name = format!("servers {:?}, sentinels {:?}", plan.servers, plan.sentinels);
                if let Some(world) = World::start(*plan) {
                    fault(world, &name);
                }
            });
        }
    });
}

/// Prints the figures of a client, and gives how many of its acknowledged writes are lost.
fn count(name: &str, world: &World, outcome: &Outcome, primary: usize) -> usize {
    let lost = outcome.lost(world, primary).len();
    println!(
        "{name}: {} acknowledged, {lost} lost, refused for {} ms at most",
        outcome.writes.len(),
        outcome.longest_gap().as_millis()
    );
    lost
}

/// Waits until all are of one mind. They must have stayed with the primary that they had chosen; only Redis's sentinels may
/// have gone on to another one, as they do when a busy machine keeps them from hearing it for the time that makes it down.
/// What is lost then is their loss, and only printed.
fn settle(name: &str, world: &World, chosen: usize) -> (usize, bool) {
    let settled = world.wait_until_settled();
    let stayed = settled == chosen;
    if !stayed {
        println!("{name}: a second fail-over followed by itself");
        assert!(world.sentinels.iter().any(|s| s.product() == Redis), "{name}: nothing was wrong with the primary");
    }
    (settled, stayed)
}

/// The same, and no more than so many of a client's acknowledged writes may be lost.
fn settle_and_count(name: &str, world: &World, chosen: usize, writer: Writer, loss_max: usize) {
    world.wait_until_settled();
    let outcome = writer.finish();
    let (settled, stayed) = settle(name, world, chosen);
    let lost = count(name, world, &outcome, settled);
    assert!(lost <= loss_max || !stayed, "{name}: {lost} lost");
}

#[test]
fn the_primary_is_killed() {
    over(&[THEIR_SENTINELS, ALL_OURS, THEIR_SERVERS, MIXED], |mut world, name| {
        let writer = Writer::start(&world, 3, "w");
        writer.wait_for_more(200);
        world.servers[0].kill();
        let new = world.wait_for_another(0, &[0, 1, 2]);
        writer.wait_for_more(200);
        world.servers[0].start();
        settle_and_count(&format!("kill -9, {name}"), &world, new, writer, SUDDEN_LOSS);
    });
}

#[test]
fn the_primary_is_frozen_for_ten_seconds() {
    over(&[THEIR_SENTINELS, ALL_OURS, MIXED_TOO], |world, name| {
        let writer = Writer::start(&world, 3, "w");
        writer.wait_for_more(200);
        world.servers[0].signal("STOP");
        let frozen = Instant::now();
        let new = world.wait_for_another(0, &[1, 2]);
        writer.wait_for_more(200);
        world.hold(frozen + Duration::from_secs(10), &[1, 2], new);
        world.servers[0].signal("CONT");
        settle_and_count(&format!("frozen, {name}"), &world, new, writer, SUDDEN_LOSS);
    });
}

#[test]
fn the_primary_is_on_the_minority_side_for_fifteen_seconds() {
    const OPTIONS: &[&str] = &["min-replicas-to-write 1", "min-replicas-max-lag 2"];
    let plans = [Plan { options: OPTIONS, ..THEIR_SENTINELS }, Plan { options: OPTIONS, ..ALL_OURS }];
    over(&plans, |world, name| {
        // Host 4 is with the primary, host 3 with the others.
        let (near, far) = (Writer::start(&world, 4, "near"), Writer::start(&world, 3, "far"));
        near.wait_for_more(200);
        far.wait_for_more(200);
        world.net.cut(&[0, 4], &[1, 2, 3]);
        let cut = Instant::now();
        let new = world.wait_for_another(0, &[1, 2]);
        far.wait_for_more(200);
        world.hold(cut + Duration::from_secs(15), &[1, 2], new);
        let before_healing = near.count();
        world.net.heal();
        world.wait_until_settled();
        near.wait_for_more(100);
        let (near, far) = (near.finish(), far.finish());
        let (settled, stayed) = settle(&format!("partition, {name}"), &world, new);
        count(&format!("partition, far side, {name}"), &world, &far, settled);
        count(&format!("partition, near side, {name}"), &world, &near, settled);
        if !stayed {
            return;
        }
        // Two seconds of lag, looked at ten times a second; the rest is for a machine that is busy.
        let bound = Duration::from_millis(2500);
        for outcome in [&near, &far] {
            for write in outcome.lost(&world, new) {
                assert!(write.host == 0 && write.at <= cut + bound, "lost {:?} after the cut", write.at - cut);
            }
        }
        let late: Vec<_> = near.writes[before_healing..].iter().filter(|w| w.host == 0).collect();
        assert!(late.is_empty(), "the old primary took {} writes after healing", late.len());
    });
}

#[test]
fn an_old_primary_stops_within_a_second_of_hearing_of_the_new_one() {
    // No limit of lag stops it here, only the sentinels. When the first of them that reaches it hears of the new epoch depends
    // on the hello that follows the healing, and on how long TCP waits before it sends again what was lost.
    over(&[ALL_OURS], |world, name| {
        let (near, far) = (Writer::start(&world, 4, "near"), Writer::start(&world, 3, "far"));
        near.wait_for_more(200);
        world.net.cut(&[0, 4], &[1, 2, 3]);
        let new = world.wait_for_another(0, &[1, 2]);
        far.wait_for_more(200);
        near.wait_for_more(200);
        world.net.heal();
        let healed = Instant::now();
        world.wait(|w| w.named(0) == Some(new), PATIENCE);
        let heard = Instant::now();
        assert_eq!(world.wait_until_settled(), new);
        near.wait_for_more(100);
        let (near, far) = (near.finish(), far.finish());
        assert!(count(&format!("heal, far side, {name}"), &world, &far, new) <= SUDDEN_LOSS);
        count(&format!("heal, near side, {name}"), &world, &near, new);
        let last = near.writes.iter().rfind(|w| w.host == 0).expect("it wrote there").at;
        println!(
            "heal, {name}: the old primary's last write {} ms after healing, its sentinel heard after {} ms",
            (last.max(healed) - healed).as_millis(),
            (heard - healed).as_millis()
        );
        assert!(last < heard + Duration::from_secs(1), "{:?}", last - heard);
    });
}

#[test]
fn the_primary_is_heard_by_nobody() {
    over(&[THEIR_SENTINELS, ALL_OURS], |world, name| {
        let writer = Writer::start(&world, 3, "w");
        writer.wait_for_more(200);
        world.net.cut_one_way(&[0], &[1, 2, 3, 4]);
        let new = world.wait_for_another(0, &[1, 2]);
        writer.wait_for_more(200);
        world.net.heal();
        settle_and_count(&format!("unheard, {name}"), &world, new, writer, SUDDEN_LOSS);
    });
}

#[test]
fn the_primary_hears_nobody() {
    over(&[THEIR_SENTINELS, ALL_OURS], |world, name| {
        let writer = Writer::start(&world, 3, "w");
        writer.wait_for_more(200);
        world.net.cut_one_way(&[1, 2, 3, 4], &[0]);
        let new = world.wait_for_another(0, &[1, 2]);
        writer.wait_for_more(200);
        world.net.heal();
        settle_and_count(&format!("deaf, {name}"), &world, new, writer, SUDDEN_LOSS);
    });
}

#[test]
fn the_leader_is_killed_in_the_middle_of_a_failover() {
    over(&[THEIR_SENTINELS, ALL_OURS, MIXED], |mut world, name| {
        let writer = Writer::start(&world, 3, "w");
        writer.wait_for_more(200);
        world.servers[0].kill();
        let leader = |w: &World| (0..3).find(|s| w.sentinels[*s].log().contains("+try-failover"));
        world.wait(|w| leader(w).is_some(), PATIENCE);
        let leader = leader(&world).expect("one tries");
        world.sentinels[leader].kill();
        let others: Vec<usize> = (0..3).filter(|s| *s != leader).collect();
        let new = world.wait_for_another(0, &others);
        world.sentinels[leader].start();
        writer.wait_for_more(200);
        world.servers[0].start();
        settle_and_count(&format!("leader killed, {name}"), &world, new, writer, SUDDEN_LOSS);
    });
}

#[test]
fn all_nodes_are_restarted_one_after_the_other() {
    over(&[ALL_OURS], |mut world, name| {
        let writer = Writer::start(&world, 3, "w");
        writer.wait_for_more(200);
        for host in [1, 2, 0] {
            if world.named(0) == Some(host) {
                let words = ["SENTINEL", "FAILOVER", NAME, "COORDINATED"];
                // One that has not heard of the replicas for a moment says so, and is asked again.
                let none_fit = |reply: &Option<resp::Value>| matches!(reply, Some(resp::Value::Error(e)) if e.starts_with(b"NOGOODSLAVE"));
                world.wait(|w| !none_fit(&w.call(host, SENTINEL, &words)), PATIENCE);
                world.wait_for_another(host, &[0, 1, 2]);
                world.wait_until_settled();
            }
            world.servers[host].terminate();
            world.servers[host].start();
            world.wait_until_settled();
            world.sentinels[host].terminate();
            world.sentinels[host].start();
            world.wait_until_settled();
            writer.wait_for_more(100);
        }
        let new = world.wait_until_settled();
        let outcome = writer.finish();
        assert_eq!(count(&format!("rolling restart, {name}"), &world, &outcome, new), 0);
        let refused = outcome.longest_gap();
        assert!(refused < Duration::from_secs(2), "{refused:?}");
        assert_ne!(new, 0);
    });
}

#[test]
fn a_primary_that_hands_over_and_is_started_again_at_once_stays_a_replica() {
    const OPTIONS: &[&str] = &["shutdown-on-sigterm failover"];
    let plans = [Plan { options: OPTIONS, ..THEIR_SENTINELS }, Plan { options: OPTIONS, ..ALL_OURS }];
    over(&plans, |mut world, name| {
        let writer = Writer::start(&world, 3, "w");
        writer.wait_for_more(200);
        world.servers[0].terminate();
        world.servers[0].start();
        let new = world.wait_for_another(0, &[0, 1, 2]);
        writer.wait_for_more(200);
        settle_and_count(&format!("hand over and restart, {name}"), &world, new, writer, 0);
    });
}

#[test]
fn mixed_groups_fail_over_with_either_maker_as_leader() {
    over(&[MIXED, MIXED_TOO, THEIR_SERVERS], |world, name| {
        let makers = world.sentinels.iter().map(|s| s.product()).collect::<Vec<_>>();
        for maker in [Ours, Redis] {
            let Some(leader) = makers.iter().position(|m| *m == maker) else { continue };
            let old = world.wait_until_settled();
            world.wait(|w| w.is_heard_by_both(old), PATIENCE);
            let began = Instant::now();
            // Redis's sentinels refuse one that follows another too closely.
            world.wait(
                |w| {
                    let reply = w.call(leader, SENTINEL, &["SENTINEL", "FAILOVER", NAME]);
                    reply == Some(resp::Value::Simple(b"OK".to_vec()))
                },
                PATIENCE,
            );
            let new = world.wait_for_another(old, &[0, 1, 2]);
            println!("by hand, leader {maker:?}, {name}: agreed after {} ms", began.elapsed().as_millis());
            assert!(world.sentinels[leader].log().contains("+elected-leader"), "{}", world.sentinels[leader].log());
            let (settled, _) = settle(name, &world, new);
            assert_eq!(world.call(settled, SERVER, &["SET", "k", "1"]), Some(resp::Value::Simple(b"OK".to_vec())));
        }
    });
}
