//! Watching: links, discovery, what is believed of others.

use crate::bench::{Bench, MONITOR, OTHER};
use sentinel::{Action, Event, Reply};

fn healthy(text: &str) -> Bench {
    let mut bench = Bench::new(text);
    bench.healthy = true;
    for (link, _) in bench.connects() {
        bench.give(Event::LinkOpened { link, local: "10.0.0.9".parse().unwrap() });
    }
    bench
}

#[test]
fn a_link_introduces_itself_and_asks() {
    let text = format!(
        "{MONITOR}sentinel auth-user mymaster me\nsentinel auth-pass mymaster pw\nsentinel rename-command mymaster INFO TELL\n"
    );
    let mut bench = Bench::new(&text);
    let connects = bench.connects();
    assert_eq!(connects.iter().map(|(_, to)| to.as_str()).collect::<Vec<_>>(), ["10.0.0.1:6379", "10.0.0.1:6379"]);
    for (link, _) in &connects {
        bench.give(Event::LinkOpened { link: *link, local: "10.0.0.9".parse().unwrap() });
    }
    let id = bench.sentinel.id()[..8].to_owned();
    let on =
        |i: usize| bench.sent().into_iter().filter(|(l, _)| *l == connects[i].0).map(|(_, c)| c).collect::<Vec<_>>();
    let hello = format!("PUBLISH __sentinel__:hello 10.0.0.9,26379,{},0,mymaster,10.0.0.1,6379,0", bench.sentinel.id());
    assert_eq!(on(0), ["AUTH me pw", &format!("CLIENT SETNAME sentinel-{id}-cmd"), "TELL", "PING", &hello]);
    assert_eq!(on(1), ["AUTH me pw", &format!("CLIENT SETNAME sentinel-{id}-pubsub"), "SUBSCRIBE __sentinel__:hello"]);
}

#[test]
fn a_server_that_refuses_the_subscription_counts_as_disconnected() {
    let mut bench = Bench::new(MONITOR);
    let connects = bench.connects();
    for (link, _) in &connects {
        bench.give(Event::LinkOpened { link: *link, local: "10.0.0.9".parse().unwrap() });
    }
    let refusal = || Reply::Error(b"NOAUTH Authentication required.".to_vec());
    bench.give(Event::Received { link: connects[1].0, reply: refusal() });
    bench.give(Event::Received { link: connects[1].0, reply: refusal() });
    assert!(bench.actions.contains(&Action::Close { link: connects[1].0 }));
    let master = bench.ask("SENTINEL MASTER mymaster");
    assert_eq!(Bench::field(&master, "flags").as_deref(), Some("master,disconnected"));
    // It is tried again, each second.
    bench.run_for(1100);
    assert_eq!(bench.connects().len(), 3);
}

#[test]
fn replicas_and_sentinels_are_found_and_saved() {
    let mut bench = healthy(MONITOR);
    bench.info += "slave0:ip=10.0.0.2,port=6379,state=online,offset=1,lag=0\r\nslave1:10.0.0.3,6379,online\r\n";
    bench.run_for(2000);
    assert_eq!(bench.hello(OTHER, "10.0.1.2", 0, "10.0.0.1,6379", 0), Reply::Int(1));
    let events = bench.events();
    for event in [
        "+monitor master mymaster 10.0.0.1 6379 quorum 2".into(),
        "+slave slave 10.0.0.2:6379 10.0.0.2 6379 @ mymaster 10.0.0.1 6379".into(),
        "+slave slave 10.0.0.3:6379 10.0.0.3 6379 @ mymaster 10.0.0.1 6379".into(),
        format!("+sentinel sentinel {OTHER} 10.0.1.2 26379 @ mymaster 10.0.0.1 6379"),
    ] {
        assert!(events.contains(&event), "{event}: {events:#?}");
    }
    let saved = bench.saved();
    assert!(saved.contains("sentinel known-replica mymaster 10.0.0.2 6379\n"));
    assert!(saved.contains(&format!("sentinel known-sentinel mymaster 10.0.1.2 26379 {OTHER}\n")));
}

#[test]
fn a_newer_configuration_is_taken_and_an_older_one_is_not() {
    let mut bench = healthy(&format!(
        "{MONITOR}sentinel known-replica mymaster 10.0.0.2 6379\nsentinel client-reconfig-script mymaster /s\n"
    ));
    bench.hello(OTHER, "10.0.1.2", 3, "10.0.0.2,6379", 3);
    assert_eq!(Bench::words(&bench.ask("SENTINEL GET-MASTER-ADDR-BY-NAME mymaster")), ["10.0.0.2", "6379"]);
    let events = bench.events();
    let at = |e: &str| events.iter().position(|x| x == e).unwrap_or_else(|| panic!("{e}: {events:#?}"));
    let update = at(&format!("+config-update-from sentinel {OTHER} 10.0.1.2 26379 @ mymaster 10.0.0.1 6379"));
    assert!(at("+new-epoch 3") < update);
    assert!(update < at("+switch-master mymaster 10.0.0.1 6379 10.0.0.2 6379"));
    at("+slave slave 10.0.0.1:6379 10.0.0.1 6379 @ mymaster 10.0.0.2 6379");
    let script = bench
        .actions
        .iter()
        .find_map(|a| if let Action::RunScript { argv, .. } = a { Some(argv.join(" ")) } else { None });
    assert_eq!(script.as_deref(), Some("/s mymaster observer start 10.0.0.1 6379 10.0.0.2 6379"));
    bench.hello(OTHER, "10.0.1.2", 3, "10.0.0.1,6379", 2);
    assert_eq!(Bench::words(&bench.ask("SENTINEL GET-MASTER-ADDR-BY-NAME mymaster")), ["10.0.0.2", "6379"]);
    let saved = bench.saved();
    for line in [
        "sentinel monitor mymaster 10.0.0.2 6379 2",
        "sentinel config-epoch mymaster 3",
        "sentinel known-replica mymaster 10.0.0.1 6379",
    ] {
        assert!(saved.lines().any(|l| l == line), "{line}: {saved}");
    }
}

#[test]
fn a_forged_epoch_ends_no_election() {
    let ask = |bench: &mut Bench, epoch: u64| {
        Bench::words(&bench.ask(&format!("SENTINEL IS-MASTER-DOWN-BY-ADDR 10.0.0.1 6379 {epoch} {OTHER}"))).join(" ")
    };
    for forged in [1 << 32, 1 << 40, 1 << 48, (1 << 62) - 1, 1 << 62, 1 << 63, u64::MAX] {
        let mut bench = healthy(MONITOR);
        for _ in 0..100 {
            bench.hello(OTHER, "10.0.1.2", forged, "10.0.0.1,6379", forged);
        }
        let next = bench.sentinel.current_epoch() + 1;
        assert!(next < 1 << 50, "no message takes us near the end of the range: {next}");
        assert_eq!(ask(&mut bench, next), format!("0 {OTHER} {next}"));
        // It starts again with what it has saved.
        let mut again = Bench::new(&bench.saved());
        assert_eq!(again.sentinel.current_epoch(), next);
        assert_eq!(ask(&mut again, next + 1), format!("0 {OTHER} {}", next + 1));
    }
}

#[test]
fn a_new_sentinel_comes_up_to_forged_epochs_in_leaps() {
    let mut bench = healthy(MONITOR);
    let far = 5 << 40;
    for leaps in 1..=5 {
        bench.hello(OTHER, "10.0.1.2", far, "10.0.0.2,6379", far);
        assert_eq!(bench.sentinel.current_epoch(), leaps << 40);
        bench.now += 1000;
    }
    bench.hello(OTHER, "10.0.1.2", far, "10.0.0.2,6379", far);
    assert_eq!(bench.sentinel.views()[0].host, "10.0.0.2", "and then takes the group's configuration");
}

#[test]
fn an_impossible_hello_is_refused_and_logged() {
    let mut bench = healthy(MONITOR);
    let before = bench.sentinel.views();
    bench.hello(OTHER, "10.0.1.2", u64::MAX, "10.0.0.2,6379", 1);
    assert!(
        bench.events().iter().any(|e| e.starts_with("-refused hello with an impossible epoch")),
        "{:?}",
        bench.events()
    );
    bench.now += 1500;
    bench.hello(OTHER, "local host".replace(' ', "\u{1}").as_str(), 1, "10.0.0.2,6379", 1);
    assert!(bench.events().iter().any(|e| e.starts_with("-refused hello with an impossible address")));
    bench.now += 1500;
    // Names are not resolved unless the user wants it.
    bench.hello(OTHER, "somewhere", 1, "10.0.0.2,6379", 1);
    assert_eq!(bench.sentinel.views()[0].sentinels, before[0].sentinels);
    assert_eq!(bench.sentinel.views()[0].host, "10.0.0.1");
    // Of a flood of refusals one line a second is logged.
    let logged = bench.events().len();
    for _ in 0..100 {
        bench.hello(OTHER, "10.0.1.2", u64::MAX, "10.0.0.2,6379", 1);
    }
    assert!(bench.events().len() <= logged + 1);
}

#[test]
fn a_sentinel_that_moves_or_is_replaced_is_counted_once() {
    let mut bench = healthy(MONITOR);
    bench.hello(OTHER, "10.0.1.2", 0, "10.0.0.1,6379", 0);
    bench.hello(OTHER, "10.0.1.3", 0, "10.0.0.1,6379", 0);
    assert_eq!(bench.sentinel.views()[0].sentinels, 1);
    assert!(bench.events().contains(&format!(
        "+sentinel-address-switch master mymaster 10.0.0.1 6379 ip 10.0.1.3 port 26379 for {OTHER}"
    )));
    // Another run id at the same place: the old one is gone.
    bench.hello(&"c".repeat(40), "10.0.1.3", 0, "10.0.0.1,6379", 0);
    assert_eq!(bench.sentinel.views()[0].sentinels, 1);
    assert!(
        bench
            .events()
            .contains(&format!("+sentinel-invalid-addr sentinel {OTHER} 10.0.1.3 26379 @ mymaster 10.0.0.1 6379"))
    );
}

#[test]
fn a_restarted_primary_that_loads_for_too_long_is_down() {
    let mut bench = healthy(&format!(
        "{MONITOR}sentinel master-reboot-down-after-period mymaster 2000\nsentinel down-after-milliseconds mymaster 1000\n"
    ));
    bench.run_for(1000);
    bench.info = bench.info.replace(&"1".repeat(40), &"2".repeat(40));
    // It answers, but it loads.
    bench.pong = Reply::Error(b"LOADING Redis is loading the dataset in memory".to_vec());
    bench.run_for(1900);
    assert!(bench.events().contains(&"+reboot master mymaster 10.0.0.1 6379".into()), "{:?}", bench.events());
    assert!(!bench.sentinel.views()[0].s_down);
    bench.run_for(2500);
    let master = bench.ask("SENTINEL MASTER mymaster");
    let flags = Bench::field(&master, "flags").unwrap();
    assert!(flags.starts_with("s_down,master") && flags.ends_with("master_reboot"), "{flags}");
}

#[test]
fn a_primary_that_says_it_is_a_replica_is_down_in_the_end() {
    let mut bench = healthy(&format!("{MONITOR}sentinel down-after-milliseconds mymaster 1000\n"));
    bench.ask("SENTINEL DEBUG info-period 1000");
    bench.run_for(2000);
    bench.info = bench.info.replace("role:master", "role:slave\r\nmaster_host:10.0.0.7\r\nmaster_port:6379");
    bench.run_for(3500);
    assert!(!bench.sentinel.views()[0].s_down);
    bench.run_for(1500);
    assert!(bench.sentinel.views()[0].s_down, "{:?}", bench.events());
    assert!(bench.events().contains(&"-role-change master mymaster 10.0.0.1 6379 new reported role is slave".into()));
}

#[test]
fn a_hundred_primaries_cost_what_their_periods_say() {
    let mut text = String::new();
    for i in 1..=100 {
        text += &format!("sentinel monitor p{i} 10.1.{i}.1 6379 2\n");
        for replica in 2..=3 {
            text += &format!("sentinel known-replica p{i} 10.1.{i}.{replica} 6379\n");
        }
        for (n, id) in ["a", "b"].iter().enumerate() {
            text += &format!("sentinel known-sentinel p{i} 10.0.1.{n} 26379 {}\n", id.repeat(40));
        }
    }
    let mut bench = healthy(&text);
    assert_eq!(bench.connects().len(), 100 * 3 * 2 + 2, "two links for each server, one for each sentinel");
    bench.run_for(10_000);
    bench.actions.clear();
    let begin = std::time::Instant::now();
    bench.run_for(20_000);
    let took = begin.elapsed();
    let sent = bench.sent();
    let per_second = |name: &str| sent.iter().filter(|(_, c)| c.starts_with(name)).count() as f64 / 20.0;
    // All answer at once here, so a period is a period; each replica says that it is a primary, so it is asked each second.
    for (name, expected) in [("PING", 302.0), ("PUBLISH", 250.0)] {
        let found = per_second(name);
        assert!((found / expected - 1.0).abs() < 0.05, "{name}: {found} a second, {expected} expected");
    }
    eprintln!("{} commands in 20 s of simulated time took {took:?}", sent.len());
}
