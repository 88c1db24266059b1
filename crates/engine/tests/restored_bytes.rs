//! Packed encodings from outside: what `RESTORE` takes can be read from either end and changed, and what it refuses changes nothing.

use persist::payload::dump_payload;
use support::{Server, show, words};

mod support;

/// `RESTORE`s these bytes, an RDB type and a value, under `key`.
fn restore(server: &mut Server, key: &str, value: &[u8]) -> String {
    let mut request = words(&format!("RESTORE {key} 0"));
    request.push(dump_payload(value.to_vec(), 10));
    let first = server.first;
    show(&server.run_words(first, &request))
}

/// The back length 0x81 of the empty string reads on into the string itself, and further when something has been put before it.
#[test]
fn a_listpack_that_cannot_be_walked_backwards_is_refused() {
    let listpack = b"\x0b\x0b\0\0\0\x02\0\x80\x81\x01\x01\xff";
    let mut server = Server::new();
    for (name, head) in
        [("a sorted set", &b"\x11"[..]), ("a hash", b"\x10"), ("a set", b"\x14"), ("a list", b"\x12\x01\x02")]
    {
        let answer = restore(&mut server, "k", &[head, listpack].concat());
        assert_eq!(answer, "-ERR Bad data format", "{name}");
    }
    server.check(&[("EXISTS k", "0")]);
}

/// The same shape with the right back length is taken, and goes on as it should.
#[test]
fn an_empty_member_in_front_survives_a_longer_one_before_it() {
    let mut server = Server::new();
    let value = b"\x11\x0b\x0b\0\0\0\x02\0\x80\x01\x01\x01\xff";
    assert_eq!(restore(&mut server, "z", value), "+OK");
    let member = "a".repeat(40);
    server.check(&[
        (&format!("ZADD z 0 {member}"), "1"),
        ("ZREVRANGE z 0 -1", &format!(r#"["", "{member}"]"#)),
        ("ZRANGE z 0 -1 WITHSCORES", &format!(r#"["{member}", "0", "", "1"]"#)),
    ]);
}
