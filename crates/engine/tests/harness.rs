//! The harness of the command tests, tried on commands that are simple.

mod support;

use support::{Server, show, sorted, values, words};

#[test]
fn lines_become_words() {
    for (line, expected) in [("a  b", &["a", "b"][..]), ("a \"\" \"b c\"", &["a", "", "b c"]), ("", &[])] {
        assert_eq!(words(line), expected.iter().map(|w| w.as_bytes().to_vec()).collect::<Vec<_>>(), "{line}");
    }
}

#[test]
fn replies_are_shown_as_text() {
    for (bytes, expected) in [
        ("+OK\r\n", "+OK"),
        ("-ERR x\r\n", "-ERR x"),
        (":2\r\n", "2"),
        ("$-1\r\n", "nil"),
        ("*3\r\n$1\r\nb\r\n:2\r\n$1\r\na\r\n", "[\"a\", \"b\", 2]"),
        ("~2\r\n:2\r\n:1\r\n", "~[1, 2]"),
        ("%1\r\n$1\r\na\r\n,1.5\r\n", "{\"a\": ,1.5}"),
    ] {
        assert_eq!(show(&sorted(values(bytes.as_bytes()).remove(0))), expected, "{bytes:?}");
    }
}

#[test]
fn commands_leave_replies_effects_and_events() {
    let mut s = Server::new();
    s.events();
    s.check(&[
        ("SET k v", "+OK"),
        ("GET k", "\"v\""),
        ("GET none", "nil"),
        ("GET", "-ERR wrong number of arguments for 'get' command"),
    ]);
    assert_eq!(s.effects(), ["SET k v"]);
    assert_eq!(s.events(), ["new k", "set k"]);
    assert_eq!((s.take_dirty(), s.take_dirty()), (1, 0));
    assert_eq!(s.raw("GET none"), "$-1");
    let v3 = s.client();
    s.speak_v3(v3);
    s.send(v3, &["GET", "none"]);
    assert_eq!(s.take_output(v3), b"_\r\n");
}
