//! Client-side caching: who is told of which change, where, and in which order with replies.

mod support;

use engine::client::ClientKey;
use support::Server;

/// A reader that speaks RESP3 and tracks with these options, and a writer.
fn tracking(options: &str) -> (Server, ClientKey, ClientKey) {
    let mut server = Server::new();
    let (reader, writer) = (server.first, server.client());
    server.speak_v3(reader);
    assert_eq!(support::show(&server.run(&format!("CLIENT TRACKING ON {options}"))), "+OK");
    (server, reader, writer)
}

fn id_of(server: &Server, client: ClientKey) -> u64 {
    server.engine.clients[client].id
}

/// What a client has got, after the messages of the batch have been sent.
#[track_caller]
fn gets(server: &mut Server, client: ClientKey, expected: &[&str]) {
    server.engine.broadcast_invalidations();
    assert_eq!(server.shown_replies(client), expected);
}

#[test]
fn a_reader_is_told_once_of_a_change() {
    let (mut server, reader, writer) = tracking("");
    server.run("MGET a b");
    server.run_as(writer, "SET a 1");
    server.run_as(writer, "SET a 2");
    server.run_as(writer, "SET other 1");
    gets(&mut server, reader, &[">[\"invalidate\", [\"a\"]]"]);
    assert_eq!((server.engine.store.tracking.keys(), server.engine.store.tracking.items), (1, 1));
    server.run_as(writer, "SETRANGE b 2 x");
    gets(&mut server, reader, &[">[\"invalidate\", [\"b\"]]"]);
    assert_eq!((server.engine.store.tracking.keys(), server.engine.store.tracking.items), (0, 0));
}

#[test]
fn keys_are_those_that_the_command_reads() {
    let (mut server, reader, writer) = tracking("");
    server.run_as(writer, "ZADD z1 1 a");
    server.run("ZINTER 2 z1 z2");
    // A command that writes reads nothing that is remembered.
    server.run("GETDEL gone");
    server.run("INCR n");
    assert_eq!(server.engine.store.tracking.keys(), 2);
    server.run_as(writer, "ZADD z2 1 a");
    server.run_as(writer, "DEL z1 n");
    gets(&mut server, reader, &[">[\"invalidate\", [\"z2\"]]", ">[\"invalidate\", [\"z1\"]]"]);
}

#[test]
fn time_memory_and_flushes_change_keys() {
    let (mut server, reader, writer) = tracking("NOLOOP");
    server.run_as(writer, "SET k 1 PX 10");
    server.run("GET k");
    server.pass(20);
    server.engine.store.expire_some(0, 10);
    server.engine.settle(0, b"");
    gets(&mut server, reader, &[">[\"invalidate\", [\"k\"]]"]);

    server.run("GET k");
    server.run_as(writer, "FLUSHALL");
    gets(&mut server, reader, &[">[\"invalidate\", nil]"]);
    assert_eq!(server.engine.store.tracking.keys(), 0);

    server.run_as(writer, "SET big xxxxxxxx");
    server.run("GET big");
    server.engine.store.touch_evicted(b"big");
    server.engine.settle(0, b"");
    gets(&mut server, reader, &[">[\"invalidate\", [\"big\"]]"]);
}

#[test]
fn ones_own_change_follows_the_reply_or_is_not_told() {
    let (mut server, reader, _) = tracking("");
    server.run("GET k");
    server.send(reader, &["SET", "k", "1"]);
    gets(&mut server, reader, &["+OK", ">[\"invalidate\", [\"k\"]]"]);

    server.run("GET k");
    server.run("MULTI");
    server.run("INCR k");
    server.run("GET j");
    server.send(reader, &["EXEC"]);
    gets(&mut server, reader, &["[2, nil]", ">[\"invalidate\", [\"k\"]]"]);

    let (mut server, reader, writer) = tracking("NOLOOP");
    server.run("MGET k j");
    server.run("SET k 1");
    server.run_as(writer, "SET j 1");
    gets(&mut server, reader, &[">[\"invalidate\", [\"j\"]]"]);
}

#[test]
fn opting_in_and_out_hold_for_one_command_or_transaction() {
    let (mut server, reader, writer) = tracking("OPTIN");
    server.run("GET a");
    server.run("CLIENT CACHING yes");
    server.run("GET b");
    server.run("GET c");
    server.run("CLIENT CACHING yes");
    for line in ["MULTI", "GET d", "GET e", "EXEC"] {
        server.run(line);
    }
    server.run("GET f");
    server.run_as(writer, "MSET a 1 b 1 c 1 d 1 e 1 f 1");
    let told = |key| format!(">[\"invalidate\", [\"{key}\"]]");
    gets(&mut server, reader, &[&told("b"), &told("d"), &told("e")]);

    let (mut server, reader, writer) = tracking("OPTOUT");
    server.run("CLIENT CACHING no");
    server.run("GET a");
    server.run("GET b");
    server.run_as(writer, "MSET a 1 b 1");
    gets(&mut server, reader, &[&told("b")]);
}

#[test]
fn broadcasts_name_a_batchs_keys_by_prefix() {
    let (mut server, reader, writer) = tracking("BCAST PREFIX user: PREFIX cart: NOLOOP");
    server.run_as(writer, "MSET user:2 1 user:1 1 other 1 cart:1 1");
    server.run_as(writer, "SET user:1 2");
    server.run("SET user:3 own");
    gets(&mut server, reader, &[">[\"invalidate\", [\"cart:1\"]]", ">[\"invalidate\", [\"user:1\", \"user:2\"]]"]);
    gets(&mut server, reader, &[]);
    assert_eq!(server.engine.store.tracking.prefixes(), 2);
    server.check(&[
        ("CLIENT TRACKING ON BCAST PREFIX use", "-ERR Prefix 'use' overlaps with an existing prefix 'user:'. Prefixes for a single client must not overlap."),
        ("CLIENT TRACKING ON BCAST PREFIX ab PREFIX abc", "-ERR Prefix 'ab' overlaps with another provided prefix 'abc'. Prefixes for a single client must not overlap."),
        ("CLIENT TRACKING ON BCAST PREFIX more:", "+OK"),
        ("CLIENT TRACKINGINFO", "{\"flags\": ~[\"on\", \"bcast\"], \"redirect\": 0, \"prefixes\": [\"cart:\", \"more:\", \"user:\"]}"),
        ("CLIENT TRACKING OFF", "+OK"),
        ("CLIENT TRACKINGINFO", "{\"flags\": ~[\"off\"], \"redirect\": -1, \"prefixes\": []}"),
    ]);
    assert_eq!(server.engine.store.tracking.prefixes(), 0);
}

#[test]
fn messages_are_redirected_to_a_subscriber_of_the_channel() {
    let mut server = Server::new();
    let (listener, writer) = (server.client(), server.client());
    server.send(listener, &["SUBSCRIBE", "__redis__:invalidate"]);
    server.take_output(listener);
    let id = id_of(&server, listener);
    server.run(&format!("CLIENT TRACKING ON REDIRECT {id}"));
    server.check(&[("CLIENT GETREDIR", &id.to_string()), ("GET k", "nil")]);
    server.run_as(writer, "SET k 1");
    gets(&mut server, listener, &["[\"message\", \"__redis__:invalidate\", [\"k\"]]"]);
    server.run_as(writer, "FLUSHDB");
    gets(&mut server, listener, &["[\"message\", \"__redis__:invalidate\", nil]"]);

    // The redirected-to client goes; the reader is told when a message is due, if it can be told.
    server.run("GET k");
    server.engine.remove_client(listener);
    let first = server.first;
    server.speak_v3(first);
    server.run_as(writer, "SET k 2");
    gets(&mut server, first, &[&format!(">[\"tracking-redir-broken\", {id}]")]);
    let info = support::show(&server.run("CLIENT TRACKINGINFO"));
    assert!(info.contains("\"broken_redirect\""), "{info}");
    assert!(support::show(&server.run("CLIENT INFO")).contains(" flags=tR "));
}

#[test]
fn options_that_do_not_go_together_are_refused() {
    let mut server = Server::new();
    server.check(&[
        ("CLIENT TRACKING maybe", "-ERR syntax error"),
        ("CLIENT TRACKING ON PREFIX a", "-ERR PREFIX option requires BCAST mode to be enabled"),
        ("CLIENT TRACKING ON REDIRECT 999", "-ERR The client ID you want redirect to does not exist"),
        ("CLIENT TRACKING ON BCAST OPTIN", "-ERR OPTIN and OPTOUT are not compatible with BCAST"),
        ("CLIENT TRACKING ON OPTOUT OPTIN", "-ERR You can't specify both OPTIN mode and OPTOUT mode"),
        ("CLIENT CACHING yes", "-ERR CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or OPTOUT mode enabled"),
        ("CLIENT TRACKING ON OPTIN", "+OK"),
        ("CLIENT CACHING no", "-ERR CLIENT CACHING NO is only valid when tracking is enabled in OPTOUT mode."),
        ("CLIENT CACHING perhaps", "-ERR syntax error"),
        ("CLIENT TRACKING ON OPTOUT", "-ERR You can't switch OPTIN/OPTOUT mode before disabling tracking for this client, and then re-enabling it with a different mode."),
        ("CLIENT TRACKING ON BCAST", "-ERR You can't switch BCAST mode on/off before disabling tracking for this client, and then re-enabling it with a different mode."),
    ]);
}

#[test]
fn the_table_keeps_to_its_limit_and_tells_whom_it_forgets() {
    let (mut server, reader, _) = tracking("");
    server.configure(|c| c.tracking_table_max_keys.0 = 10);
    for i in 0..25 {
        server.send(reader, &["GET", &format!("k{i}")]);
    }
    let told = server.shown_replies(reader).iter().filter(|line| line.contains("invalidate")).count();
    assert_eq!((told, server.engine.store.tracking.keys()), (15, 10));
    server.configure(|c| c.tracking_table_max_keys.0 = 1);
    assert_eq!(server.shown_replies(reader).len(), 9);
    // Nobody tracks any more: nothing is kept.
    server.run("CLIENT TRACKING OFF");
    assert_eq!((server.engine.store.tracking.keys(), server.engine.store.tracking.items), (0, 0));
}

#[test]
fn leaving_and_resetting_end_tracking() {
    let (mut server, _, writer) = tracking("BCAST");
    assert_eq!(server.engine.store.tracking.clients, 1);
    server.run("RESET");
    assert_eq!((server.engine.store.tracking.clients, server.engine.store.tracking.prefixes()), (0, 0));
    server.run_as(writer, "CLIENT TRACKING ON BCAST PREFIX x");
    server.engine.remove_client(writer);
    assert_eq!((server.engine.store.tracking.clients, server.engine.store.tracking.prefixes()), (0, 0));
}
