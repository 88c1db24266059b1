//! Replies: the fields, their order, the texts of errors.

use crate::bench::{Bench, MONITOR, OTHER};
use sentinel::{Action, ClientId, Event, Reply, SaveId};

fn names(reply: &Reply) -> Vec<String> {
    Bench::words(reply).into_iter().step_by(2).collect()
}

#[test]
fn fields_come_in_the_order_of_redis() {
    let mut bench = Bench::new(&format!(
        "{MONITOR}sentinel known-replica mymaster 10.0.0.2 6379\nsentinel known-sentinel mymaster 10.0.1.2 26379 {OTHER}\n"
    ));
    let expected = "name ip port runid flags link-pending-commands link-refcount last-ping-sent last-ok-ping-reply \
        last-ping-reply down-after-milliseconds info-refresh role-reported role-reported-time config-epoch num-slaves \
        num-other-sentinels quorum failover-timeout parallel-syncs";
    let master = bench.ask("SENTINEL MASTER mymaster");
    assert_eq!(names(&master).join(" "), expected);
    let expected = "name ip port runid flags link-pending-commands link-refcount last-ping-sent last-ok-ping-reply \
        last-ping-reply down-after-milliseconds info-refresh role-reported role-reported-time master-link-down-time \
        master-link-status master-host master-port slave-priority slave-repl-offset replica-announced";
    let Reply::Array(replicas) = bench.ask("SENTINEL REPLICAS mymaster") else { panic!("an array") };
    assert_eq!(names(&replicas[0]).join(" "), expected);
    let expected = "name ip port runid flags link-pending-commands link-refcount last-ping-sent last-ok-ping-reply \
        last-ping-reply down-after-milliseconds last-hello-message voted-leader voted-leader-epoch";
    let Reply::Array(sentinels) = bench.ask("SENTINEL SENTINELS mymaster") else { panic!("an array") };
    assert_eq!(names(&sentinels[0]).join(" "), expected);
    for (name, value) in
        [("name", "mymaster"), ("ip", "10.0.0.1"), ("flags", "master,disconnected"), ("num-slaves", "1")]
    {
        assert_eq!(Bench::field(&master, name).as_deref(), Some(value));
    }
    assert_eq!(Bench::field(&replicas[0], "master-host").as_deref(), Some("?"));
    assert_eq!(Bench::field(&replicas[0], "name").as_deref(), Some("10.0.0.2:6379"));
    assert_eq!(Bench::field(&sentinels[0], "voted-leader").as_deref(), Some("?"));
}

#[test]
fn replies_and_errors_are_those_of_redis() {
    let mut bench = Bench::new(MONITOR);
    for (command, expected) in [
        (
            "SENTINEL CKQUORUM mymaster",
            "NOQUORUM 1 usable Sentinels. Not enough available Sentinels to reach the specified quorum for this master",
        ),
        ("SENTINEL MASTER nope", "ERR No such master with that name"),
        ("SENTINEL MASTER", "ERR wrong number of arguments for 'sentinel|master' command"),
        ("SENTINEL FOO", "ERR unknown subcommand 'FOO'. Try SENTINEL HELP."),
        ("SENTINEL", "ERR wrong number of arguments for 'sentinel' command"),
        ("SENTINEL GET-MASTER-ADDR-BY-NAME nope", "NullArray"),
        (
            "SENTINEL IS-MASTER-DOWN-BY-ADDR 10.0.0.1 6379 0",
            "ERR wrong number of arguments for 'sentinel|is-master-down-by-addr' command",
        ),
        ("SENTINEL IS-MASTER-DOWN-BY-ADDR 10.0.0.1 x 0 *", "ERR value is not an integer or out of range"),
        ("SENTINEL MONITOR mymaster 127.0.0.1 1 1", "ERR Duplicate master name."),
        ("SENTINEL MONITOR m localhost 1 1", "ERR Invalid IP address or hostname specified"),
        ("SENTINEL MONITOR m 127.0.0.1 99999 1", "ERR Invalid port number."),
        ("SENTINEL MONITOR m 127.0.0.1 1 0", "ERR Quorum must be 1 or greater."),
        ("SENTINEL MONITOR m 127.0.0.1 1 x", "ERR Invalid quorum"),
        ("SENTINEL MONITOR m 127.0.0.1 x 1", "ERR Invalid port"),
        ("SENTINEL SET mymaster quorum 0", "ERR Invalid argument '0' for SENTINEL SET 'quorum'"),
        ("SENTINEL SET mymaster foo bar", "ERR Unknown option or number of arguments for SENTINEL SET 'foo'"),
        ("SENTINEL SET mymaster quorum", "ERR wrong number of arguments for 'sentinel|set' command"),
        (
            "SENTINEL SET mymaster rename-command a",
            "ERR Unknown option or number of arguments for SENTINEL SET 'rename-command'",
        ),
        (
            "SENTINEL SET mymaster notification-script /x",
            "ERR Reconfiguration of scripts path is denied for security reasons. Check the deny-scripts-reconfig configuration directive in your Sentinel configuration",
        ),
        ("SENTINEL SET nope quorum 1", "ERR No such master with that name"),
        ("SENTINEL CONFIG SET foo bar", "ERR Invalid argument 'foo' to SENTINEL CONFIG SET"),
        ("SENTINEL CONFIG SET announce-port x", "ERR Invalid value 'x' to SENTINEL CONFIG SET 'announce-port'"),
        ("SENTINEL DEBUG foo 1", "ERR Unknown option or number of arguments for SENTINEL DEBUG 'foo'"),
        ("SENTINEL DEBUG info-period 0", "ERR Invalid argument '0' for SENTINEL DEBUG 'info-period'"),
        ("SENTINEL DEBUG info-period", "ERR Unknown option or number of arguments for SENTINEL DEBUG 'info-period'"),
        ("SENTINEL SIMULATE-FAILURE foo", "ERR Unknown failure simulation specified"),
        ("SENTINEL REMOVE nope", "ERR No such master with that name"),
        ("SENTINEL FAILOVER nope", "ERR No such master with that name"),
        ("SENTINEL FAILOVER mymaster", "NOGOODSLAVE No suitable replica to promote"),
        ("SENTINEL RESET nope", "0"),
        ("PUBLISH foo bar", "ERR Only HELLO messages are accepted by Sentinel instances."),
        ("PUBLISH __sentinel__:hello bar", "1"),
        ("SENTINEL FLUSHCONFIG", "OK"),
    ] {
        assert_eq!(Bench::words(&bench.ask(command)).join("|"), expected, "{command}");
    }
    for (command, expected) in [
        ("SENTINEL GET-MASTER-ADDR-BY-NAME mymaster", "10.0.0.1|6379"),
        ("SENTINEL GET-PRIMARY-ADDR-BY-NAME mymaster", "10.0.0.1|6379"),
        ("SENTINEL IS-MASTER-DOWN-BY-ADDR 1.1.1.1 1 0 abc", "0|*|0"),
        ("SENTINEL IS-MASTER-DOWN-BY-ADDR 10.0.0.1 6379 0 *", "0|*|0"),
        ("SENTINEL SIMULATE-FAILURE help", "crash-after-election|crash-after-promotion"),
        (
            "SENTINEL DEBUG",
            "INFO-PERIOD|10000|PING-PERIOD|1000|ASK-PERIOD|1000|PUBLISH-PERIOD|2000|DEFAULT-DOWN-AFTER|30000|DEFAULT-FAILOVER-TIMEOUT|180000|TILT-TRIGGER|2000|TILT-PERIOD|30000|SLAVE-RECONF-TIMEOUT|10000|MIN-LINK-RECONNECT-PERIOD|15000|ELECTION-TIMEOUT|10000|SCRIPT-MAX-RUNTIME|60000|SCRIPT-RETRY-DELAY|30000",
        ),
    ] {
        assert_eq!(Bench::words(&bench.ask(command)).join("|"), expected, "{command}");
    }
    assert_eq!(
        bench.ask("ROLE"),
        Reply::Array(vec![Reply::Bulk(b"sentinel".to_vec()), Reply::Array(vec![Reply::Bulk(b"mymaster".to_vec())])])
    );
    assert_eq!(
        bench.sentinel.info_fields().replace("\r\n", "|"),
        "sentinel_masters:1|sentinel_tilt:0|sentinel_tilt_since_seconds:-1|sentinel_running_scripts:0|\
         sentinel_scripts_queue_length:0|sentinel_simulate_failure_flags:0|\
         master0:name=mymaster,status=ok,address=10.0.0.1:6379,slaves=0,sentinels=1|"
    );
    let Reply::Array(help) = bench.ask("SENTINEL HELP") else { panic!("an array") };
    assert!(Bench::word(&help[0]).contains("SENTINEL <subcommand> "));
    assert_eq!(Bench::word(&bench.ask("SENTINEL MYID")), bench.sentinel.id());
}

#[test]
fn the_quorum_is_checked_against_both_conditions() {
    let mut text = MONITOR.replace(" 2\n", " 4\n");
    for i in 1..=4 {
        text += &format!("sentinel known-sentinel mymaster 10.0.1.{i} 26379 {}\n", i.to_string().repeat(40));
    }
    text += "sentinel down-after-milliseconds mymaster 1000\n";
    let mut bench = Bench::new(&text);
    let ok = "OK 5 usable Sentinels. Quorum and failover authorization can be reached";
    assert_eq!(Bench::word(&bench.ask("SENTINEL CKQUORUM mymaster")), ok);
    bench.run_for(2000);
    let both = "NOQUORUM 1 usable Sentinels. Not enough available Sentinels to reach the specified quorum for this master. \
        Not enough available Sentinels to reach the majority and authorize a failover";
    assert_eq!(Bench::word(&bench.ask("SENTINEL CKQUORUM mymaster")), both);
    assert_eq!(Bench::word(&bench.ask("SENTINEL SET mymaster quorum 1")), "OK");
    let majority =
        "NOQUORUM 1 usable Sentinels. Not enough available Sentinels to reach the majority and authorize a failover";
    assert_eq!(Bench::word(&bench.ask("SENTINEL CKQUORUM mymaster")), majority);
}

#[test]
fn options_are_set_shown_and_told() {
    let mut bench = Bench::new(MONITOR);
    let set = |bench: &mut Bench, words: &str| Bench::word(&bench.ask(&format!("SENTINEL SET mymaster {words}")));
    assert_eq!(set(&mut bench, "down-after-milliseconds 5000 parallel-syncs 3 auth-pass secret"), "OK");
    let prefix = "+set master mymaster 10.0.0.1 6379";
    let events = bench.events();
    for more in ["down-after-milliseconds 5000", "parallel-syncs 3", "auth-pass ******"] {
        assert!(events.contains(&format!("{prefix} {more}")), "{more}: {events:?}");
    }
    assert!(bench.saved().contains("sentinel auth-pass mymaster secret\n"));
    let master = bench.ask("SENTINEL MASTER mymaster");
    assert_eq!(Bench::field(&master, "parallel-syncs").as_deref(), Some("3"));
    // Nothing is changed by a command that is wrong in any part.
    assert!(set(&mut bench, "quorum 7 parallel-syncs 0").starts_with("ERR Invalid argument '0'"));
    assert_eq!(Bench::field(&bench.ask("SENTINEL MASTER mymaster"), "quorum").as_deref(), Some("2"));
}

#[test]
fn global_options_follow_patterns_and_refuse_duplicates() {
    let mut bench = Bench::new(MONITOR);
    let ask = |bench: &mut Bench, words: &str| Bench::words(&bench.ask(&format!("SENTINEL CONFIG {words}"))).join(" ");
    assert_eq!(ask(&mut bench, "SET resolve-hostnames yes announce-port 1234"), "OK");
    assert_eq!(ask(&mut bench, "GET announce-port"), "announce-port 1234");
    assert_eq!(ask(&mut bench, "GET resolve-hostnames resolve-hostnames does-not-exist"), "resolve-hostnames yes");
    assert_eq!(ask(&mut bench, "SET loglevel debug announce-hostnames yes"), "OK");
    assert_eq!(ask(&mut bench, "GET log* *level loglevel"), "loglevel debug");
    assert_eq!(ask(&mut bench, "GET announce*"), "announce-hostnames yes announce-ip  announce-port 1234");
    assert!(bench.actions.contains(&Action::SetLogLevel(sentinel::LogLevel::Debug)));
    assert!(ask(&mut bench, "SET announce-port 1 announce-port 2").contains("Duplicate argument 'announce-port'"));
    assert!(ask(&mut bench, "SET resolve-hostnames yes announce-ip").contains("Missing argument 'announce-ip' value"));
    assert!(ask(&mut bench, "SET announce-port -1 resolve-hostnames no").contains("Invalid value '-1'"));
    assert_eq!(ask(&mut bench, "GET resolve-hostnames"), "resolve-hostnames yes");
    assert!(bench.saved().contains("loglevel debug\n"));
}

#[test]
fn answers_keep_their_order_behind_one_that_waits() {
    let mut bench = Bench::new(MONITOR);
    bench.saves = false;
    let client = ClientId(77);
    let vote = format!("SENTINEL IS-MASTER-DOWN-BY-ADDR 10.0.0.1 6379 5 {OTHER}");
    bench.send_as(client, &vote);
    bench.send_as(client, "SENTINEL MYID");
    bench.send_as(client, "ROLE");
    assert_eq!(bench.answers(client), [], "the vote is not saved");
    // Another client need not wait.
    assert_eq!(bench.ask("SENTINEL RESET nope"), Reply::Int(0));
    let save =
        bench.actions.iter().rev().find_map(|a| if let Action::Save { save, .. } = a { Some(*save) } else { None });
    bench.give(Event::Saved { save: save.unwrap(), error: None });
    let answers = bench.answers(client);
    assert_eq!(answers.len(), 3, "{answers:?}");
    assert_eq!(Bench::words(&answers[0]), ["0", OTHER, "5"]);
    assert_eq!(Bench::word(&answers[1]), bench.sentinel.id());
    // One that has gone is not answered.
    let gone = ClientId(78);
    bench.send_as(gone, &vote.replace(" 5 ", " 6 "));
    bench.give(Event::ClientGone { client: gone });
    bench.saves = true;
    let next = SaveId(save.unwrap().0 + 1);
    bench.give(Event::Saved { save: next, error: None });
    assert_eq!(bench.answers(gone), []);
}

#[test]
fn a_vote_is_given_once_in_an_epoch_and_none_in_an_impossible_one() {
    let mut bench = Bench::new(MONITOR);
    let third = "b".repeat(40);
    let ask = |bench: &mut Bench, epoch: &str, who: &str| {
        Bench::words(&bench.ask(&format!("SENTINEL IS-MASTER-DOWN-BY-ADDR 10.0.0.1 6379 {epoch} {who}"))).join(" ")
    };
    assert_eq!(ask(&mut bench, "3", OTHER), format!("0 {OTHER} 3"));
    assert_eq!(ask(&mut bench, "3", &third), format!("0 {OTHER} 3"), "the first one has it");
    assert_eq!(ask(&mut bench, "2", &third), format!("0 {OTHER} 3"), "the past is over");
    assert_eq!(ask(&mut bench, "4", &third), format!("0 {third} 4"));
    assert_eq!(ask(&mut bench, "9223372036854775807", OTHER), "0 * 0");
    assert_eq!(ask(&mut bench, "-1", OTHER), "ERR Invalid epoch");
    assert_eq!(bench.sentinel.current_epoch(), 4);
    let events = bench.events();
    assert!(events.contains(&"+new-epoch 3".into()) && events.contains(&format!("+vote-for-leader {OTHER} 3")));
    // Not even after a restart, though the file does not say for whom it was.
    let mut again = Bench::new(&bench.saved());
    assert_eq!(ask(&mut again, "4", OTHER), "0 * 4");
}
