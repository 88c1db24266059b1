//! Tests of the listpack against bytes of a real Redis and against a plain `Vec`.

use super::*;
use alloc::string::{String, ToString};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

fn hex(text: &str) -> Vec<u8> {
    text.as_bytes().chunks(2).map(|pair| u8::from_str_radix(core::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

/// Builds from texts, compares with bytes made by Redis, and reads the same texts back in both directions.
fn check(texts: &[&str], expected: &str) {
    let built: Listpack = texts.iter().map(|text| Elem::from(text.as_bytes())).collect();
    assert_eq!(built.as_bytes(), hex(expected));
    let read = Listpack::validate(hex(expected)).unwrap();
    let forwards: Vec<Vec<u8>> = read.iter().map(Elem::to_vec).collect();
    assert_eq!(forwards, texts.iter().map(|text| text.as_bytes().to_vec()).collect::<Vec<_>>());
    let backwards: Vec<Vec<u8>> = read.iter().rev().map(Elem::to_vec).collect();
    assert!(backwards.iter().rev().eq(&forwards));
}

/// Made with Redis 7.0.15, `rdbcompression no`: `RPUSH l …`, `HSET h …` or `ZADD z …`, then the listpack inside `DUMP`.
#[test]
fn bytes_are_those_of_redis() {
    check(&[], "070000000000ff");
    check(
        &[
            "0",
            "1",
            "127",
            "128",
            "-1",
            "4095",
            "-4096",
            "4096",
            "-4097",
            "32767",
            "-32768",
            "32768",
            "-32769",
            "8388607",
            "-8388608",
            "8388608",
            "-8388609",
            "2147483647",
            "-2147483648",
            "2147483648",
            "-2147483649",
            "9223372036854775807",
            "-9223372036854775808",
        ],
        "7d0000001700000101017f01c08002dfff02cfff02d00002f1001003f1ffef03f1ff7f03f1008003f200800004f2ff7fff04f2ffff7f04\
         f200008004f30000800005f3ffff7fff05f3ffffff7f05f30000008005f4000000800000000009f4ffffff7fffffffff09f4ffffffffff\
         ffff7f09f4000000000000008009ff",
    );
    check(
        &["", "a", "hello world", "-0", "01", "9223372036854775808", &"x".repeat(63), &"y".repeat(64)],
        &("ba000000080080018161028b68656c6c6f20776f726c640c822d3003823031039339323233333732303336383534373735383038\
           14bf"
            .to_string()
            + &"78".repeat(63)
            + "40e040"
            + &"79".repeat(64)
            + "42ff"),
    );
    check(
        &["name", "rekindle", "age", "7", "pi", "3.14"],
        "280000000600846e616d65058872656b696e646c6509836167650407018270690384332e313405ff",
    );
    check(
        &["b", "-inf", "a", "1.5", "10", "3", "c", "3", "d", "1e+20"],
        "2b0000000a00816202842d696e660581610283312e35040a01030181630203018164028531652b323006ff",
    );
}

/// Made as above with `HSET h f zzz…`: the sizes around which the length fields grow.
#[test]
fn lengths_grow_where_those_of_redis_do() {
    let check_long = |len: usize, head: &str, tail: &str| {
        let text = "z".repeat(len);
        let head = head.to_string() + "7a7a7a7a";
        let zeds = len - 4;
        check(&["f", &text], &(head + &"7a".repeat(zeds) + tail + "ff"));
    };
    check_long(126, "8c0000000200816602e07e", "0180");
    check_long(127, "8d0000000200816602e07f", "0181");
    check_long(4095, "0d1000000200816602efff", "2081");
    check_long(4096, "111000000200816602f000100000", "2085");
    check_long(16380, "0e4000000200816602f0fc3f0000", "018081");
    check_long(16381, "0f4000000200816602f0fd3f0000", "018082");
    check_long(16383, "114000000200816602f0ff3f0000", "018084");
    check_long(40000, "529c00000200816602f0409c0000", "02b8c5");
}

#[test]
fn faults_are_found_with_their_place() {
    let check = |bytes: &str, offset: usize| {
        assert_eq!(Listpack::validate(hex(bytes)).map_err(|error| error.offset), Err(offset), "{bytes}");
    };
    check("", 0);
    check("070000000000", 0);
    check("080000000000ff", 0);
    check("07000000000000", 6);
    check("0a00000001000101ff", 0);
    check("0900000002000101ff", 4);
    check("0900000001000102ff", 7);
    check("090000000100f001ff", 6);
    check("0900000001008101ff", 6);
    check("090000000100f501ff", 6);
    check("0d0000000100f0ffffffff06ff", 6);
    check("0a0000000100816182ff", 8);
}

#[test]
fn an_unknown_count_is_counted() {
    let mut bytes = [Elem::Int(1), Elem::Int(2)].into_iter().collect::<Listpack>().into_bytes();
    bytes[4..6].copy_from_slice(&[0xff, 0xff]);
    let mut listpack = Listpack::validate(bytes).unwrap();
    assert_eq!(listpack.len(), 2);
    listpack.push_back(Elem::Bytes(b"x"));
    assert_eq!(listpack.len(), 3);
    assert_eq!(listpack.as_bytes()[4..6], [3, 0]);
}

#[test]
fn more_elements_than_the_header_can_say() {
    let text = "ab".repeat(20);
    let one = Listpack::from_iter([Elem::Bytes(text.as_bytes())]);
    let mut listpack = Listpack::new();
    for _ in 0..16 {
        let copy = if listpack.is_empty() { one.clone() } else { listpack.clone() };
        listpack.append(&copy);
    }
    let short = listpack.split_off(1);
    assert_eq!((listpack.len(), short.len()), (1, 32767));
    listpack.append(&short);
    listpack.append(&short);
    assert_eq!(listpack.len(), 65535);
    assert_eq!(listpack.as_bytes()[4..6], [0xff, 0xff]);
    for (pushed, count) in [(false, 65534u16), (true, 0xffff), (false, 65534), (true, 0xffff)] {
        listpack.reserve_back(100);
        if pushed {
            listpack.push_back(Elem::Int(7));
        } else {
            assert!(listpack.pop_back(|_| ()).is_some());
        }
        assert_eq!(listpack.as_bytes()[4..6], count.to_le_bytes());
        assert_eq!(check_listpack(listpack.as_bytes()), Ok(if pushed { 65535 } else { 65534 }));
    }
    listpack.reserve_front(100);
    assert!(listpack.pop_front(|_| ()).is_some());
    listpack.push_front(Elem::Int(7));
    assert_eq!(listpack.as_bytes()[4..6], [0xff, 0xff]);
    assert_eq!(check_listpack(listpack.as_bytes()), Ok(65535));
    assert_eq!(listpack.remove_range(65000, 1000), 535);
    assert_eq!(listpack.len(), 65000);
    assert_eq!(listpack.as_bytes()[4..6], 65000u16.to_le_bytes());
    assert_eq!(check_listpack(listpack.as_bytes()), Ok(65000));
}

#[test]
fn find_looks_only_where_it_should() {
    let listpack: Listpack = ["k", "v", "v", "k", "5", "05"].iter().map(|text| Elem::from(text.as_bytes())).collect();
    let index_of = |text: &str, skip| {
        let found = listpack.find(text.as_bytes(), listpack.first(), skip)?;
        Some(listpack.iter_to(found).count() - 1)
    };
    assert_eq!(index_of("v", 0), Some(1));
    assert_eq!(index_of("v", 1), Some(2));
    assert_eq!(index_of("5", 0), Some(4));
    assert_eq!(index_of("05", 0), Some(5));
    assert_eq!(index_of("05", 1), None);
    assert_eq!(Listpack::new().find(b"x", Listpack::new().first(), 0), None);
}

fn texts() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        vec(any::<u8>(), 0..12),
        any::<i64>().prop_map(|value| value.to_string().into_bytes()),
        (-5000i64..5000).prop_map(|value| value.to_string().into_bytes()),
        (0usize..9000).prop_map(|len| alloc::vec![b'q'; len]),
    ]
}

#[derive(Clone, Debug)]
enum Step {
    Push(bool, Vec<u8>),
    Pop(bool, usize),
    Reserve(bool, usize),
    Insert(Index, bool, Vec<u8>),
    Replace(Index, Vec<u8>),
    Remove(Index, usize),
    Split(Index),
    Retain(u8),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (any::<bool>(), texts()).prop_map(|(front, text)| Step::Push(front, text)),
        2 => (any::<bool>(), 1usize..5).prop_map(|(front, count)| Step::Pop(front, count)),
        2 => (any::<bool>(), 6usize..60).prop_map(|(front, bytes)| Step::Reserve(front, bytes)),
        3 => (any::<Index>(), any::<bool>(), texts()).prop_map(|(at, after, text)| Step::Insert(at, after, text)),
        2 => (any::<Index>(), texts()).prop_map(|(at, text)| Step::Replace(at, text)),
        2 => (any::<Index>(), 0usize..4).prop_map(|(at, count)| Step::Remove(at, count)),
        1 => any::<Index>().prop_map(Step::Split),
        1 => any::<u8>().prop_map(Step::Retain),
    ];
    vec(step, 1..60)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn behaves_as_a_vector(steps in steps()) {
        let mut model: Vec<Vec<u8>> = Vec::new();
        let mut listpack = Listpack::new();
        for step in steps {
            match step {
                Step::Push(true, text) => {
                    listpack.push_front(Elem::from(&text[..]));
                    model.insert(0, text);
                }
                Step::Push(false, text) => {
                    listpack.push_back(Elem::from(&text[..]));
                    model.push(text);
                }
                Step::Pop(front, count) => {
                    for _ in 0..count {
                        let (popped, expected) = if front {
                            (listpack.pop_front(|elem| elem.to_vec()), (!model.is_empty()).then(|| model.remove(0)))
                        } else {
                            (listpack.pop_back(|elem| elem.to_vec()), model.pop())
                        };
                        prop_assert_eq!(popped, expected);
                    }
                }
                Step::Reserve(front, bytes) => {
                    // An entry of exactly so many bytes: encoding, text and backlen.
                    let text = alloc::vec![b'r'; bytes - 2];
                    if front {
                        listpack.reserve_front(bytes);
                        prop_assert!(listpack.try_push_front(Elem::Bytes(&text)));
                        model.insert(0, text);
                    } else {
                        listpack.reserve_back(bytes);
                        prop_assert!(listpack.try_push_back(Elem::Bytes(&text)));
                        prop_assert!(!listpack.try_push_back(Elem::Bytes(&text)), "there was room for one");
                        model.push(text);
                    }
                }
                Step::Insert(at, after, text) if !model.is_empty() => {
                    let at = at.index(model.len());
                    let position = listpack.seek(at).unwrap();
                    if after {
                        listpack.insert_after(position, Elem::from(&text[..]));
                    } else {
                        listpack.insert_before(position, Elem::from(&text[..]));
                    }
                    model.insert(at + usize::from(after), text);
                }
                Step::Replace(at, text) if !model.is_empty() => {
                    let at = at.index(model.len());
                    listpack.replace(listpack.seek(at).unwrap(), Elem::from(&text[..]));
                    model[at] = text;
                }
                Step::Remove(at, count) if !model.is_empty() => {
                    let at = at.index(model.len());
                    let count = count.min(model.len() - at);
                    prop_assert_eq!(listpack.remove_range(at, count), count);
                    model.drain(at..at + count);
                }
                Step::Split(at) if !model.is_empty() => {
                    let at = at.index(model.len());
                    let tail = listpack.split_off(at);
                    prop_assert_eq!(check_listpack(listpack.as_bytes()), Ok(at));
                    prop_assert_eq!(check_listpack(tail.as_bytes()), Ok(model.len() - at));
                    listpack.append(&tail);
                }
                Step::Retain(limit) => {
                    let keep = |text: &[u8]| text.first().is_none_or(|&byte| byte <= limit);
                    let before = model.len();
                    model.retain(|text| keep(text));
                    prop_assert_eq!(listpack.retain(|elem| keep(&elem.to_vec())), before - model.len());
                }
                _ => {}
            }
            prop_assert_eq!(check_listpack(listpack.as_bytes()), Ok(model.len()));
        }
        prop_assert!(listpack.iter().map(Elem::to_vec).eq(model.iter().cloned()));
        prop_assert!(listpack.iter().rev().map(Elem::to_vec).eq(model.iter().rev().cloned()));
        for (index, text) in model.iter().enumerate() {
            let elem = listpack.get(index).unwrap();
            prop_assert!(elem.is(text));
            prop_assert_eq!(elem.text_len(), text.len());
            prop_assert_eq!(elem, Elem::from(&text[..]));
            let first = model.iter().position(|other| other == text);
            let found = listpack.find(text, listpack.first(), 0).map(|found| listpack.iter_to(found).count() - 1);
            prop_assert_eq!(found, first);
        }
        prop_assert_eq!(listpack.get(model.len()), None);
    }

    #[test]
    fn changed_bytes_never_panic(
        texts in vec(texts(), 0..8),
        changes in vec((any::<Index>(), any::<u8>()), 1..4),
        cut in any::<Index>(),
    ) {
        let listpack: Listpack = texts.iter().map(|text| Elem::from(&text[..])).collect();
        let mut bytes = listpack.into_bytes();
        for (index, byte) in changes {
            let index = index.index(bytes.len());
            bytes[index] = byte;
        }
        for bytes in [&bytes[..], &bytes[..cut.index(bytes.len())]] {
            match Listpack::validate(bytes) {
                Ok(mut valid) => {
                    prop_assert_eq!(valid.iter().count(), valid.len());
                    prop_assert_eq!(valid.iter().rev().count(), valid.len());
                    valid.push_front(Elem::Bytes(b"x"));
                    prop_assert!(check_listpack(valid.as_bytes()).is_ok());
                }
                Err(error) => prop_assert!(error.offset <= bytes.len() && error.to_string().contains("byte")),
            }
        }
    }

    #[test]
    fn any_bytes_never_panic(body in vec(any::<u8>(), 0..40)) {
        let mut bytes = Vec::new();
        bytes.extend_from_slice(&(body.len() as u32 + 7).to_le_bytes());
        bytes.extend_from_slice(&[0xff, 0xff]);
        bytes.extend_from_slice(&body);
        bytes.push(0xff);
        if let Ok(valid) = Listpack::validate(bytes) {
            let texts: String = alloc::format!("{valid:?}");
            prop_assert!(!texts.is_empty());
        }
    }
}
