//! Scenario B8, the replies: what our sentinel says and what Debian's says, word by word.
//!
//! Two pairs of sentinels, one of each maker, watch a primary and a replica each. The same commands go to one of each
//! pair; ports and ids are replaced by names, times by `<n>`, and then the replies must be equal. Where they are not on
//! purpose, both replies are named here, with the reason.

use crate::support::client::texts;
use crate::support::sentinel::{Group, NAME, Sentinel};
use crate::support::{Client, PATIENCE, Product, have, wait_until};
use resp::Value;
use std::collections::BTreeSet;

/// Fields whose values are times or numbers of the moment.
const OF_THE_MOMENT: [&str; 12] = [
    "last-ping-sent",
    "last-ok-ping-reply",
    "last-ping-reply",
    "last-hello-message",
    "info-refresh",
    "role-reported-time",
    "master-link-down-time",
    "slave-repl-offset",
    "link-pending-commands",
    "s-down-time",
    "id",
    "version",
];

/// A pair of sentinels of one maker, and a connection to the first.
struct Side {
    group: Group,
    sentinels: [Sentinel; 2],
    client: Client,
}

impl Side {
    fn start(product: Product) -> Self {
        let group = Group::start(Product::Ours, 1, &[]);
        let lines = group.watched(2, 30_000, "");
        let sentinels = [Sentinel::start(product, &lines), Sentinel::start(product, &lines)];
        for sentinel in &sentinels {
            sentinel.hurry();
        }
        for sentinel in &sentinels {
            sentinel.wait_to_know(1, 1);
            sentinel.ok(&["SENTINEL", "DEBUG", "INFO-PERIOD", "10000", "PUBLISH-PERIOD", "2000"]);
        }
        let client = sentinels[0].client();
        Self { group, sentinels, client }
    }

    /// The ports, and what they are called here.
    fn names(&self) -> [(String, &'static str); 4] {
        [
            (self.group.0[0].port.to_string(), "{primary}"),
            (self.group.0[1].port.to_string(), "{replica}"),
            (self.sentinels[0].port.to_string(), "{sentinel}"),
            (self.sentinels[1].port.to_string(), "{other}"),
        ]
    }

    /// Sends a command, written as one would in a shell, and gives the reply as text.
    fn ask(&mut self, line: &str) -> String {
        let names = self.names();
        let mut line = line.to_owned();
        for (port, name) in &names {
            line = line.replace(name, port);
        }
        let words = base::words::split_args(line.as_bytes()).unwrap();
        let words: Vec<&str> = words.iter().map(|w| std::str::from_utf8(w).unwrap()).collect();
        names.iter().fold(shown(&self.client.call(&words)), |reply, (port, name)| with_name(&reply, port, name))
    }
}

/// Replaces a port by its name, but not digits of a longer number.
fn with_name(reply: &str, port: &str, name: &str) -> String {
    let mut replaced = String::new();
    let mut rest = reply;
    while let Some(at) = rest.find(port) {
        let (before, after) = (&rest[..at], &rest[at + port.len()..]);
        let is_part = before.ends_with(|c: char| c.is_ascii_digit()) || after.starts_with(|c: char| c.is_ascii_digit());
        replaced += before;
        replaced += if is_part { port } else { name };
        rest = after;
    }
    replaced + rest
}

/// A reply as text, without what differs from one moment or process to another.
fn shown(value: &Value) -> String {
    let bytes = |bytes: &[u8]| {
        let text = String::from_utf8_lossy(bytes).into_owned();
        let is_id = text.len() == 40 && text.bytes().all(|b| b.is_ascii_hexdigit());
        if is_id { "<id>".to_owned() } else { text }
    };
    match value {
        Value::Simple(text) => format!("+{}", bytes(text)),
        Value::Error(text) => format!("-{}", bytes(text)),
        Value::Int(n) => format!(":{n}"),
        Value::Array(items) => {
            let mut shown_items: Vec<String> = items.iter().map(shown).collect();
            for i in 1..shown_items.len() {
                if OF_THE_MOMENT.contains(&shown_items[i - 1].trim_matches('"')) {
                    shown_items[i] = "<n>".into();
                }
            }
            format!("[{}]", shown_items.join(", "))
        }
        Value::Map(pairs) => {
            let shown_pairs = pairs.iter().map(|(name, value)| {
                let name = shown(name);
                let moment = OF_THE_MOMENT.contains(&name.trim_matches('"'));
                let value = if moment { "<n>".into() } else { shown(value) };
                format!("{name}: {value}")
            });
            format!("{{{}}}", shown_pairs.collect::<Vec<_>>().join(", "))
        }
        other => match other.as_bytes() {
            Some(text) => format!("{:?}", bytes(text)),
            None => format!("{other:?}"),
        },
    }
}

/// Runs the commands on both sides and collects where they differ; blank lines and comments are passed over.
fn compare(sides: &mut [Side; 2], commands: &str) {
    let mut differences = String::new();
    for line in commands.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('#')) {
        let [ours, theirs] = sides.each_mut().map(|side| side.ask(line));
        if ours != theirs {
            differences += &format!("{line}\n  ours  {ours}\n  Redis {theirs}\n");
        }
    }
    assert!(differences.is_empty(), "{differences}");
}

/// Runs commands whose replies are known to differ: the command, our reply, the beginning of that of Redis 7.0.
fn compare_named(sides: &mut [Side; 2], commands: &[(&str, &str, &str)]) {
    for (line, ours, theirs) in commands {
        let [our_reply, their_reply] = sides.each_mut().map(|side| side.ask(line));
        assert_eq!(our_reply, *ours, "{line}");
        assert!(their_reply.starts_with(theirs), "{line}: Redis says {their_reply}");
    }
}

fn both_sides() -> Option<[Side; 2]> {
    have("redis-sentinel").then(|| [Side::start(Product::Ours), Side::start(Product::Redis)])
}

/// What is shown of instances, in both protocols.
const SHOWN: &str = "
    SENTINEL MASTERS
    SENTINEL MASTER mymaster
    SENTINEL REPLICAS mymaster
    SENTINEL SLAVES mymaster
    SENTINEL SENTINELS mymaster
    SENTINEL GET-MASTER-ADDR-BY-NAME mymaster
    SENTINEL GET-MASTER-ADDR-BY-NAME nosuch
    SENTINEL IS-MASTER-DOWN-BY-ADDR 127.0.0.1 {primary} 0 *
    SENTINEL CKQUORUM mymaster
    SENTINEL CONFIG GET announce-*
    SENTINEL CONFIG GET sentinel-*
    SENTINEL CONFIG GET *hostnames
    SENTINEL CONFIG GET nosuch
    SENTINEL DEBUG
    SENTINEL MYID
    SENTINEL PENDING-SCRIPTS
    SENTINEL INFO-CACHE nosuch
    SENTINEL SIMULATE-FAILURE HELP
    ROLE
";

#[test]
fn b8_what_is_shown() {
    let Some(mut sides) = both_sides() else { return };
    compare(&mut sides, SHOWN);
    compare(&mut sides, "HELLO\nHELLO 3");
    compare(&mut sides, SHOWN);
    // The cache holds what the primary and the replica said, and when.
    for side in &mut sides {
        side.client.call(&["HELLO", "2"]);
        let Value::Array(cache) = side.client.call(&["SENTINEL", "INFO-CACHE", NAME]) else { panic!() };
        let [name, Value::Array(infos)] = cache.as_slice() else { panic!("{cache:?}") };
        assert_eq!((name.as_bytes(), infos.len()), (Some(NAME.as_bytes()), 2));
        for (i, info) in infos.iter().enumerate() {
            let Value::Array(pair) = info else { panic!("{info:?}") };
            let [Value::Int(age), text] = pair.as_slice() else { panic!("{pair:?}") };
            assert!((0..30_000).contains(age), "{age}");
            let role = if i == 0 { "role:master\r\n" } else { "role:slave\r\n" };
            assert!(String::from_utf8_lossy(text.as_bytes().unwrap()).contains(role));
        }
    }
    // Ours knows more options, as 7.2 does; a pattern for all shows them.
    let Value::Array(all) = sides[0].client.call(&["SENTINEL", "CONFIG", "GET", "*"]) else { panic!() };
    let Value::Array(of_redis) = sides[1].client.call(&["SENTINEL", "CONFIG", "GET", "*"]) else { panic!() };
    assert_eq!(all[..of_redis.len()], of_redis[..]);
    assert_eq!(texts(&Value::Array(all[of_redis.len()..].to_vec())), ["loglevel", "notice"]);
    // The words of HELP are ours. It names the same subcommands.
    let names = |side: &mut Side| -> BTreeSet<String> {
        let lines = texts(&side.client.call(&["SENTINEL", "HELP"]));
        let names = lines[1..].iter().filter(|l| !l.starts_with(' ')).map(|l| l.split(' ').next().unwrap().to_owned());
        names.collect()
    };
    let [ours, theirs] = sides.each_mut().map(names);
    assert_eq!(ours, theirs);
}

#[test]
fn b8_what_is_changed_and_refused() {
    let Some(mut sides) = both_sides() else { return };
    compare(
        &mut sides,
        r#"
        SENTINEL
        SENTINEL nosuch
        SENTINEL nosuch a b
        SENTINEL MASTERS x
        SENTINEL MASTER nosuch
        SENTINEL MASTER
        SENTINEL REPLICAS nosuch
        SENTINEL SLAVES
        SENTINEL SENTINELS nosuch
        SENTINEL GET-MASTER-ADDR-BY-NAME
        SENTINEL MYID x
        SENTINEL INFO-CACHE
        SENTINEL PENDING-SCRIPTS x
        SENTINEL HELP x
        SENTINEL FLUSHCONFIG
        SENTINEL FLUSHCONFIG x
        SENTINEL CKQUORUM nosuch
        SENTINEL CKQUORUM
        SENTINEL FAILOVER nosuch
        SENTINEL FAILOVER
        SENTINEL RESET nosuch
        SENTINEL RESET

        # Votes: one in each epoch, for the first who asks.
        SENTINEL IS-MASTER-DOWN-BY-ADDR 127.0.0.1 x 0 *
        SENTINEL IS-MASTER-DOWN-BY-ADDR 127.0.0.1 {primary} x *
        SENTINEL IS-MASTER-DOWN-BY-ADDR 127.0.0.1 1 0 *
        SENTINEL IS-MASTER-DOWN-BY-ADDR 127.0.0.1 {primary} 0
        SENTINEL IS-MASTER-DOWN-BY-ADDR 127.0.0.1 {primary} 5 AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAx
        SENTINEL IS-MASTER-DOWN-BY-ADDR 127.0.0.1 {primary} 5 BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBx
        SENTINEL IS-MASTER-DOWN-BY-ADDR 127.0.0.1 {primary} 4 BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBx
        SENTINEL IS-MASTER-DOWN-BY-ADDR 127.0.0.1 {primary} 6 *
        SENTINEL IS-MASTER-DOWN-BY-ADDR 127.0.0.1 {primary} 6 BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBx

        SENTINEL MONITOR other 127.0.0.1 {replica} 0
        SENTINEL MONITOR other 127.0.0.1 {replica} x
        SENTINEL MONITOR other 127.0.0.1 x 1
        SENTINEL MONITOR other 127.0.0.1 70000 1
        SENTINEL MONITOR other localhost {replica} 1
        SENTINEL MONITOR other 127.0.0.1 {replica}
        SENTINEL MONITOR mymaster 127.0.0.1 {primary} 1
        SENTINEL MONITOR other 127.0.0.1 {replica} 1
        SENTINEL GET-MASTER-ADDR-BY-NAME other
        SENTINEL REMOVE other
        SENTINEL REMOVE other
        SENTINEL REMOVE

        SENTINEL SET nosuch quorum 1
        SENTINEL SET mymaster
        SENTINEL SET mymaster quorum
        SENTINEL SET mymaster quorum 1
        SENTINEL SET mymaster quorum 0
        SENTINEL SET mymaster quorum x
        SENTINEL SET mymaster down-after-milliseconds 31000
        SENTINEL SET mymaster down-after-milliseconds 0
        SENTINEL SET mymaster down-after-milliseconds -1
        SENTINEL SET mymaster down-after-milliseconds x
        SENTINEL SET mymaster failover-timeout 60000
        SENTINEL SET mymaster failover-timeout 0
        SENTINEL SET mymaster parallel-syncs 2
        SENTINEL SET mymaster parallel-syncs 0
        SENTINEL SET mymaster notification-script /no/such
        SENTINEL SET mymaster notification-script /bin/true
        SENTINEL SET mymaster notification-script ""
        SENTINEL SET mymaster client-reconfig-script /no/such
        SENTINEL SET mymaster client-reconfig-script /bin/true
        SENTINEL SET mymaster rename-command CONFIG cfg
        SENTINEL SET mymaster rename-command CONFIG
        SENTINEL SET mymaster rename-command CONFIG ""
        SENTINEL SET mymaster rename-command "" x
        SENTINEL SET mymaster rename-command CONFIG CONFIG
        SENTINEL SET mymaster master-reboot-down-after-period 5000
        SENTINEL SET mymaster master-reboot-down-after-period -1
        SENTINEL SET mymaster master-reboot-down-after-period 0
        SENTINEL SET mymaster nosuch 1
        SENTINEL SET mymaster quorum 2 down-after-milliseconds 32000
        SENTINEL SET mymaster quorum 2 down-after-milliseconds
        SENTINEL MASTER mymaster

        SENTINEL CONFIG
        SENTINEL CONFIG SET announce-port x
        SENTINEL CONFIG SET announce-port 70000
        SENTINEL CONFIG SET announce-port 7000
        SENTINEL CONFIG SET announce-ip 127.0.0.2
        SENTINEL CONFIG SET resolve-hostnames maybe
        SENTINEL CONFIG SET resolve-hostnames yes
        SENTINEL CONFIG SET announce-hostnames maybe
        SENTINEL CONFIG SET announce-hostnames yes
        SENTINEL CONFIG SET sentinel-user me
        SENTINEL CONFIG SET sentinel-pass secret
        SENTINEL CONFIG SET nosuch 1
        SENTINEL CONFIG GET *hostnames
        SENTINEL CONFIG GET announce-*
        SENTINEL CONFIG GET sentinel-*
        SENTINEL MONITOR other no.such.host.invalid {primary} 1
        SENTINEL CONFIG SET announce-port 0
        SENTINEL CONFIG SET announce-ip ""
        SENTINEL CONFIG SET resolve-hostnames no
        SENTINEL CONFIG SET announce-hostnames no
        SENTINEL CONFIG SET sentinel-user ""
        SENTINEL CONFIG SET sentinel-pass ""

        SENTINEL DEBUG INFO-PERIOD 9000
        SENTINEL DEBUG info-period 10000 ping-period 900
        SENTINEL DEBUG nosuch
        SENTINEL DEBUG nosuch 1
        SENTINEL DEBUG INFO-PERIOD
        SENTINEL DEBUG INFO-PERIOD x
        SENTINEL DEBUG INFO-PERIOD 0
        SENTINEL DEBUG
        SENTINEL SIMULATE-FAILURE
        SENTINEL SIMULATE-FAILURE nosuch
        SENTINEL SIMULATE-FAILURE crash-after-election
        SENTINEL SIMULATE-FAILURE crash-after-promotion CRASH-AFTER-ELECTION

        PUBLISH channel message
        PUBLISH __sentinel__:hello garbage
        PUBLISH __sentinel__:hello a,b,c,d,e,f,g,h
        PUBLISH __sentinel__:hello
        ROLE x
        SENTINEL RESET my*
        "#,
    );
    compare_named(
        &mut sides,
        &[
            // Epochs only grow from 0; a port 0 is nobody's; a name must fit into hellos and lines of the file.
            ("SENTINEL IS-MASTER-DOWN-BY-ADDR 127.0.0.1 {primary} -1 ab", "-ERR Invalid epoch", "[:0, "),
            ("SENTINEL MONITOR other 127.0.0.1 0 1", "-ERR Invalid port number.", "+OK"),
            (r#"SENTINEL MONITOR "a b" 127.0.0.1 {replica} 1"#, "-ERR Invalid master name.", "+OK"),
            (r#"SENTINEL MONITOR "" 127.0.0.1 {replica} 1"#, "-ERR Invalid master name.", "+OK"),
            // Of 7.2: several options at a time, and the log level.
            ("SENTINEL CONFIG GET", "-ERR wrong number of arguments for 'sentinel|config' command", "-ERR Only"),
            (
                "SENTINEL CONFIG GET announce-ip announce-port",
                r#"["announce-ip", "", "announce-port", "0"]"#,
                "-ERR Only",
            ),
            (
                "SENTINEL CONFIG NOSUCH x",
                "-ERR Only SENTINEL CONFIG GET <param> [<param> <param> ...] / SET <param> <value> [<param> <value> ...] \
                 are supported.",
                "-ERR Only SENTINEL CONFIG GET <option> / SET",
            ),
            (
                "SENTINEL CONFIG SET announce-port",
                "-ERR Only SENTINEL CONFIG GET <param> [<param> <param> ...] / SET <param> <value> [<param> <value> ...] \
                 are supported.",
                "-ERR Only SENTINEL CONFIG GET <option> / SET",
            ),
            ("SENTINEL CONFIG SET announce-port 0 announce-ip 127.0.0.1", "+OK", "-ERR Only"),
            (
                "SENTINEL CONFIG SET announce-port 0 announce-port 0",
                "-ERR Duplicate argument 'announce-port' to SENTINEL CONFIG SET",
                "-ERR Only",
            ),
            (
                "SENTINEL CONFIG SET announce-port 0 announce-ip",
                "-ERR Missing argument 'announce-ip' value",
                "-ERR Only",
            ),
            ("SENTINEL CONFIG SET loglevel verbose", "+OK", "-ERR Invalid argument"),
            ("SENTINEL CONFIG GET loglevel", r#"["loglevel", "verbose"]"#, "[]"),
            (
                "SENTINEL CONFIG SET loglevel nosuch",
                "-ERR Invalid value 'nosuch' to SENTINEL CONFIG SET 'loglevel'",
                "-ERR Invalid argument",
            ),
            ("SENTINEL CONFIG SET loglevel notice", "+OK", "-ERR Invalid argument"),
            // A command with a wrong part changes nothing.
            (
                "SENTINEL SET mymaster quorum 7 nosuch 3",
                "-ERR Unknown option or number of arguments for SENTINEL SET 'nosuch'",
                "-ERR Unknown option or number of arguments for SENTINEL SET 'nosuch'",
            ),
        ],
    );
    let [ours, theirs] = sides.each_mut().map(|side| side.sentinels[0].primary("quorum"));
    assert_eq!((ours.as_str(), theirs.as_str()), ("2", "7"));
    // What was changed stands in the file.
    for side in &sides {
        let file = side.sentinels[0].file();
        for (option, value) in
            [("down-after-milliseconds", "32000"), ("failover-timeout", "60000"), ("parallel-syncs", "2")]
        {
            let line = format!("sentinel {option} {NAME} {value}");
            assert!(file.lines().any(|l| l == line), "{line} is not in\n{file}");
        }
    }
}

#[test]
fn b8_a_fail_over_by_hand() {
    let Some(mut sides) = both_sides() else { return };
    for side in &mut sides {
        let primary = side.group.0[0].port;
        side.group.0[1].ok(&["CONFIG", "SET", "replica-priority", "0"]);
        let priority = || side.sentinels[0].list("REPLICAS")[0]["slave-priority"].clone();
        side.sentinels[0].ok(&["SENTINEL", "DEBUG", "INFO-PERIOD", "200"]);
        wait_until(PATIENCE, || priority() == "0");
        assert_eq!(side.ask("SENTINEL FAILOVER mymaster"), "-NOGOODSLAVE No suitable replica to promote");
        side.group.0[1].ok(&["CONFIG", "SET", "replica-priority", "100"]);
        let priority = || side.sentinels[0].list("REPLICAS")[0]["slave-priority"].clone();
        wait_until(PATIENCE, || priority() == "100");
        // Both in one write, so that the first is still under way.
        let failover: Vec<Vec<u8>> = ["SENTINEL", "FAILOVER", NAME].map(|w| w.into()).into();
        let replies = side.client.pipeline(&[failover.clone(), failover]);
        let shown_replies: Vec<String> = replies.iter().map(shown).collect();
        assert_eq!(shown_replies, ["+OK", "-INPROG Failover already in progress"]);
        assert_eq!(side.sentinels[0].wait_for_switch_from(primary), side.group.0[1].port);
        assert_eq!(side.sentinels[1].wait_for_switch_from(primary), side.group.0[1].port);
        let events: Vec<String> = side.sentinels[0].logged_events().into_iter().map(|(name, _)| name).collect();
        assert!(events.iter().all(|name| name != "+sdown" && name != "+odown"), "{events:?}");
        // The old primary follows the new one, and nobody has lost anything.
        wait_until(PATIENCE, || side.group.0[0].info("master_port") == side.group.0[1].port.to_string());
        side.group.0[0].wait_for_link();
    }
}

/// Commands of data, and others that a sentinel has no use for.
#[test]
fn b8_the_commands_of_a_sentinel() {
    let Some(mut sides) = both_sides() else { return };
    compare(
        &mut sides,
        r#"
        GET k
        SET k v
        DEL k
        FLUSHALL
        REPLICAOF NO ONE
        SELECT 1
        ECHO x
        CONFIG GET port
        DEBUG SLEEP 0
        SAVE
        TIME
        OBJECT HELP
        CLUSTER INFO
        MULTI
        EVAL "return 1" 0
        MONITOR
        DBSIZE
        PSYNC ? -1
        SPUBLISH a b
        RESET
        PUBSUB CHANNELS
        PING
        PING x
        INFO nosuch
        COMMAND INFO get
        COMMAND INFO ping role subscribe
        COMMAND GETKEYS get a
        CLIENT GETNAME
        CLIENT SETNAME me
        CLIENT GETNAME
        CLIENT REPLY ON
        CLIENT PAUSE 1
        CLIENT NO-EVICT on
        AUTH x
        AUTH a b
        HELLO
        HELLO 9
        HELLO 2 SETNAME x
        SHUTDOWN nosuch
        "#,
    );
    let list = |side: &mut Side| -> BTreeSet<String> {
        let all = texts(&side.client.call(&["COMMAND", "LIST"])).into_iter();
        // ACL users are to come, for servers and sentinels alike.
        all.filter(|name| !name.starts_with("acl")).collect()
    };
    let [ours, theirs] = sides.each_mut().map(list);
    assert_eq!(theirs.difference(&ours).count(), 0, "{ours:?} {theirs:?}");
    let more: Vec<&String> = ours.difference(&theirs).collect();
    assert_eq!(
        more,
        [
            // Of 7.2; QUIT, which 7.0 knows without a line in its table; names that Valkey has added.
            "client|setinfo",
            "quit",
            "sentinel|get-primary-addr-by-name",
            "sentinel|is-primary-down-by-addr",
            "sentinel|primaries",
            "sentinel|primary",
        ]
    );
    // The sections of INFO, and the fields of the one that is a sentinel's own.
    let sections = |side: &mut Side| -> Vec<String> {
        let text = side.client.text(&["INFO"]);
        text.lines().filter(|l| l.starts_with("# ")).map(str::to_owned).collect()
    };
    let [ours, theirs] = sides.each_mut().map(sections);
    assert_eq!(ours, theirs);
    for side in &mut sides {
        let info = side.client.text(&["INFO", "sentinel"]);
        let expected = format!(
            "# Sentinel\r\nsentinel_masters:1\r\nsentinel_tilt:0\r\nsentinel_tilt_since_seconds:-1\r\n\
             sentinel_running_scripts:0\r\nsentinel_scripts_queue_length:0\r\nsentinel_simulate_failure_flags:0\r\n\
             master0:name={NAME},status=ok,address=127.0.0.1:{},slaves=1,sentinels=2\r\n",
            side.group.0[0].port
        );
        assert_eq!(info, expected);
        let server = side.client.text(&["INFO", "server"]);
        assert!(server.contains("redis_mode:sentinel\r\n"), "{server}");
        let file = side.sentinels[0].folder.file("sentinel.conf");
        assert!(server.contains(&format!("config_file:{file}\r\n")), "{server}");
        let clients = side.client.text(&["CLIENT", "LIST"]);
        assert!(clients.contains(" cmd=client|list "), "{clients}");
    }
    for mut side in sides {
        let sentinel = &mut side.sentinels[0];
        sentinel.client().send(&["SHUTDOWN"]);
        assert!(sentinel.wait_for_end().success(), "{}", sentinel.log());
    }
}
