//! What the list commands answer, propagate and announce, as Redis documents it.

mod support;

use support::Server;

#[test]
fn pushing_popping_and_looking() {
    Server::new().check(&[
        ("RPUSH l a b c", "3"),
        ("LPUSH l z y", "5"),
        ("LRANGE l 0 -1", r#"["y", "z", "a", "b", "c"]"#),
        ("LRANGE l -3 2", r#"["a"]"#),
        ("LRANGE l 5 10", "[]"),
        ("LRANGE l -100 100", r#"["y", "z", "a", "b", "c"]"#),
        ("LINDEX l -1", r#""c""#),
        ("LINDEX l 5", "nil"),
        ("LLEN l", "5"),
        ("LPOP l", r#""y""#),
        ("RPOP l 2", r#"["c", "b"]"#),
        ("LPOP l 0", "[]"),
        ("LPOP l -1", "-ERR value is out of range, must be positive"),
        ("LPOP l 10", r#"["z", "a"]"#),
        ("LLEN l", "0"),
        ("LPUSHX l a", "0"),
        ("LRANGE l 0 -1", "[]"),
        ("LPOP l 1 2", "-ERR wrong number of arguments for 'lpop' command"),
    ]);
}

#[test]
fn changing_in_between() {
    Server::new().check(&[
        ("RPUSH l a b c", "3"),
        ("LINSERT l BEFORE b x", "4"),
        ("LINSERT l after b y", "5"),
        ("LINSERT l BEFORE none y", "-1"),
        ("LINSERT none BEFORE a y", "0"),
        ("LINSERT l AT a y", "-ERR syntax error"),
        ("LSET l -1 z", "+OK"),
        ("LSET l 5 z", "-ERR index out of range"),
        ("LSET none 0 z", "-ERR no such key"),
        ("LRANGE l 0 -1", r#"["a", "x", "b", "y", "z"]"#),
        ("LTRIM l 1 -2", "+OK"),
        ("RPUSH l x b x", "6"),
        ("LREM l -2 x", "2"),
        ("LRANGE l 0 -1", r#"["x", "b", "y", "b"]"#),
        ("LREM l 0 b", "2"),
        ("LTRIM l 5 9", "+OK"),
        ("LLEN l", "0"),
    ]);
}

#[test]
fn positions() {
    // The example of the LPOS page.
    Server::new().check(&[
        ("RPUSH l a b c d 1 2 3 4 3 3 3", "11"),
        ("LPOS l 3", "6"),
        ("LPOS l 3 COUNT 0 RANK 2", "[8, 9, 10]"),
        ("LPOS l 3 RANK -1", "10"),
        ("LPOS l 3 RANK -2 COUNT 2", "[9, 8]"),
        ("LPOS l 3 MAXLEN 6", "nil"),
        ("LPOS l none COUNT 1", "[]"),
        ("LPOS none 3", "nil"),
        ("LPOS l 3 COUNT -1", "-ERR COUNT can't be negative"),
        (
            "LPOS l 3 RANK 0",
            "-ERR RANK can't be zero: use 1 to start from the first match, 2 from the second ... or use negative to start from the end of the list",
        ),
    ]);
}

#[test]
fn moving() {
    let mut s = Server::new();
    s.events();
    s.check(&[
        ("RPUSH a 1 2", "2"),
        ("LMOVE a b RIGHT LEFT", r#""2""#),
        ("RPOPLPUSH a b", r#""1""#),
        ("LRANGE b 0 -1", r#"["1", "2"]"#),
        ("LMOVE b b LEFT RIGHT", r#""1""#),
        ("LMOVE none b LEFT RIGHT", "nil"),
        ("LMOVE b b LEFT UP", "-ERR syntax error"),
        ("LMPOP 2 none b RIGHT COUNT 5", r#"["b", ["1", "2"]]"#),
        ("LMPOP 1 b LEFT", "nil"),
        ("LMPOP 0 b LEFT", "-ERR numkeys should be greater than 0"),
        ("LMPOP 3 b LEFT", "-ERR syntax error"),
    ]);
    assert_eq!(
        s.effects(),
        ["RPUSH a 1 2", "LMOVE a b RIGHT LEFT", "RPOPLPUSH a b", "LMOVE b b LEFT RIGHT", "RPOP b 2"]
    );
    assert_eq!(
        s.events(),
        [
            "new a", "rpush a", "new b", "lpush b", "rpop a", "lpush b", "rpop a", "del a", "rpush b", "lpop b",
            "rpop b", "del b"
        ]
    );
    assert_eq!(s.take_dirty(), 2 + 1 + 1 + 1 + 2);
}

#[test]
fn other_types_are_refused_and_nothing_is_left_behind() {
    let mut s = Server::new();
    let wrong = "-WRONGTYPE Operation against a key holding the wrong kind of value";
    s.check(&[("SET s v", "+OK"), ("RPUSH l a", "1")]);
    for line in
        ["LPUSH s a", "LPUSHX s a", "LPOP s", "LRANGE s 0 1", "LMOVE l s LEFT LEFT", "LMOVE s l LEFT LEFT", "BLPOP s 0"]
    {
        s.check(&[(line, wrong)]);
    }
    s.check(&[("LRANGE l 0 -1", r#"["a"]"#), ("LPUSHX none a", "0"), ("LPOS none a RANK 0 COUNT", "-ERR RANK can't be zero: use 1 to start from the first match, 2 from the second ... or use negative to start from the end of the list")]);
    assert_eq!(s.engine.store.current().len(), 2);
}

#[test]
fn nulls_of_both_protocols() {
    let mut s = Server::new();
    for (line, v2) in [
        ("LPOP l", "$-1"),
        ("LPOP l 1", "*-1"),
        ("LMPOP 1 l LEFT", "*-1"),
        ("LMOVE l l LEFT LEFT", "$-1"),
        ("LINDEX l 0", "$-1"),
    ] {
        assert_eq!(s.raw(line), v2, "{line}");
    }
    let v3 = s.client();
    s.speak_v3(v3);
    for line in ["LPOP l", "LPOP l 1", "LMPOP 1 l LEFT"] {
        assert_eq!(support::show(&s.run_as(v3, line)), "nil", "{line}");
    }
}

#[test]
fn the_first_to_wait_is_served_first() {
    let mut s = Server::new();
    let (a, b, c) = (s.client(), s.client(), s.client());
    s.blocks(a, "BLPOP l k 0");
    s.blocks(b, "BRPOP k l 0");
    s.blocks(c, "BLMPOP 0 1 l LEFT COUNT 5");
    s.check(&[("RPUSH l 1 2 3 4", "4")]);
    assert_eq!(s.shown_replies(a), [r#"["l", "1"]"#]);
    assert_eq!(s.shown_replies(b), [r#"["l", "4"]"#]);
    assert_eq!(s.shown_replies(c), [r#"["l", ["2", "3"]]"#]);
    assert_eq!(s.effects(), ["RPUSH l 1 2 3 4", "LPOP l", "RPOP l", "LPOP l 2"]);
    assert!(s.engine.blocking.is_empty());
    s.check(&[("LLEN l", "0")]);
}

#[test]
fn a_request_counts_when_its_wait_is_over() {
    let mut s = Server::new();
    let (a, b) = (s.client(), s.client());
    let count = |s: &mut Server, name: &str| {
        let list = s.raw("CLIENT LIST");
        let line = list.lines().find(|line| line.contains(&format!(" name={name} "))).expect("it is listed");
        line.rsplit_once("tot-cmds=").unwrap().1.to_owned()
    };
    s.run_as(a, "CLIENT SETNAME a");
    s.run_as(b, "CLIENT SETNAME b");
    s.blocks(a, "BLPOP l 0");
    s.blocks(b, "BLPOP k 0.1");
    assert_eq!((count(&mut s, "a"), count(&mut s, "b")), ("1".into(), "1".into()));
    s.check(&[("RPUSH l x", "1")]);
    s.pass(100);
    assert_eq!((count(&mut s, "a"), count(&mut s, "b")), ("2".into(), "2".into()));
}

#[test]
fn serving_one_may_serve_the_next() {
    let mut s = Server::new();
    let (a, b) = (s.client(), s.client());
    s.blocks(b, "BLPOP to 0");
    s.blocks(a, "BLMOVE from to RIGHT LEFT 0");
    s.check(&[("LPUSH from x", "1")]);
    assert_eq!((s.shown_replies(a), s.shown_replies(b)), (vec![r#""x""#.into()], vec![r#"["to", "x"]"#.into()]));
    assert_eq!(s.effects(), ["LPUSH from x", "LMOVE from to RIGHT LEFT", "LPOP to"]);
}

#[test]
fn waits_end_in_vain() {
    let mut s = Server::new();
    let (a, b) = (s.client(), s.client());
    s.blocks(a, "BLPOP l 0.1");
    s.blocks(b, "BLMOVE l k LEFT LEFT 0.1");
    s.pass(99);
    assert!(s.take_output(a).is_empty());
    s.pass(1);
    assert_eq!((s.take_output(a), s.take_output(b)), (b"*-1\r\n".to_vec(), b"*-1\r\n".to_vec()));
    s.check(&[("RPUSH l a", "1"), ("LLEN l", "1")]);
    s.check(&[
        ("BLPOP none -1", "-ERR timeout is negative"),
        ("BLPOP none x", "-ERR timeout is not a float or out of range"),
    ]);
    // Inside a transaction nothing waits.
    s.raw("MULTI");
    s.raw("BLPOP none 0");
    s.raw("BLMOVE none k LEFT LEFT 0");
    assert_eq!(s.raw("EXEC"), "*2 *-1 $-1");
}

#[test]
fn another_type_or_a_key_that_is_gone_serves_nobody() {
    let mut s = Server::new();
    let a = s.client();
    s.blocks(a, "BLPOP l 0");
    s.check(&[("SET l v", "+OK"), ("GETDEL l", r#""v""#), ("SADD l x", "1"), ("SREM l x", "1")]);
    s.raw("MULTI");
    s.raw("RPUSH l 1");
    s.raw("LPOP l");
    s.raw("EXEC");
    assert!(s.take_output(a).is_empty());
    s.check(&[("RPUSH l 2", "1")]);
    assert_eq!(s.shown_replies(a), [r#"["l", "2"]"#]);
}
