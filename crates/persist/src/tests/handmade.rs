//! Encodings that no current server writes, byte by byte.

use alloc::string::ToString;
use alloc::vec;
use alloc::vec::Vec;

use proptest::prelude::*;

use super::read;
use crate::error::Fault;
use crate::format::{kind, opcode};
use crate::fuzz::{Contents, Entry, Value, listpack};
use crate::reader::{Options, Reader};
use crate::visitor::KeyMeta;
use crate::writer::{Writer, WriterOptions};

/// A string in its plain form.
fn text(bytes: &[u8]) -> Vec<u8> {
    let mut out = vec![0x80];
    out.extend_from_slice(&(bytes.len() as u32).to_be_bytes());
    out.extend_from_slice(bytes);
    out
}

/// A file with one key "k" of this type and value, and without checksum.
fn file(magic: &str, number: u8, value: &[u8]) -> Vec<u8> {
    let mut out = magic.as_bytes().to_vec();
    out.extend_from_slice(&[opcode::SELECT_DB, 0, number, 1, b'k']);
    out.extend_from_slice(value);
    out.push(opcode::EOF);
    if magic > "REDIS0004" {
        out.extend_from_slice(&[0; 8]);
    }
    out
}

fn check(magic: &str, number: u8, value: &[u8], expected: Value) {
    let bytes = file(magic, number, value);
    let (summary, contents) = read(&bytes).unwrap();
    assert_eq!(summary.bytes, bytes.len() as u64);
    let entry = Entry { db: 0, key: b"k".to_vec(), expire_ms: None, idle_s: None, freq: None, value: expected };
    assert_eq!(contents.entries, [entry]);
}

fn check_fault(magic: &str, number: u8, value: &[u8], expected: &str) {
    let error = read(&file(magic, number, value)).unwrap_err();
    assert!(error.to_string().ends_with(expected), "{error}");
    assert_eq!(error.key.as_deref(), Some(&b"k"[..]));
}

fn owned(items: &[&[u8]]) -> Vec<Vec<u8>> {
    items.iter().map(|item| item.to_vec()).collect()
}

fn fields(items: &[(&[u8], &[u8], Option<i64>)]) -> Value {
    Value::Hash(items.iter().map(|(field, value, expire_ms)| (field.to_vec(), value.to_vec(), *expire_ms)).collect())
}

fn members(items: &[(&[u8], f64)]) -> Value {
    Value::Zset(items.iter().map(|(member, score)| (member.to_vec(), score.to_bits())).collect())
}

/// A ziplist of entries given by their encoding and data.
fn ziplist(entries: &[Vec<u8>]) -> Vec<u8> {
    let mut out = vec![0; 10];
    let (mut before, mut last) = (0, 10);
    for entry in entries {
        last = out.len();
        match u8::try_from(before) {
            Ok(before) if before < 254 => out.push(before),
            _ => {
                out.push(254);
                out.extend_from_slice(&(before as u32).to_le_bytes());
            }
        }
        out.extend_from_slice(entry);
        before = out.len() - last;
    }
    out.push(255);
    let len = out.len() as u32;
    out[..4].copy_from_slice(&len.to_le_bytes());
    out[4..8].copy_from_slice(&(last as u32).to_le_bytes());
    out[8..10].copy_from_slice(&(entries.len() as u16).to_le_bytes());
    out
}

fn short(bytes: &[u8]) -> Vec<u8> {
    let mut out = vec![bytes.len() as u8];
    out.extend_from_slice(bytes);
    out
}

#[test]
fn values_in_parts() {
    let list = [&[3][..], b"\x01a", &[0xc0, 0x80], &[0xc2, 0, 0, 0, 0x80]].concat();
    check("REDIS0001", kind::LIST, &list, Value::List(owned(&[b"a", b"-128", b"-2147483648"])));
    check("REDIS0003", kind::SET, b"\x40\x02\x00\x01b", Value::Set(owned(&[b"", b"b"])));
    check("REDIS0003", kind::HASH, b"\x01\x01f\xc1\x2c\x01", fields(&[(b"f", b"300", None)]));
    let zset = b"\x04\x01a\x041e-3\x01b\xfe\x01c\xff\x01d\x0212";
    let expected = [(&b"a"[..], 0.001), (b"b", f64::INFINITY), (b"c", f64::NEG_INFINITY), (b"d", 12.0)];
    check("REDIS0003", kind::ZSET, zset, members(&expected));
    check_fault("REDIS0003", kind::ZSET, b"\x01\x01a\xfd", "a score is not a number");
    check_fault("REDIS0003", kind::ZSET, b"\x01\x01a\x03abc", "the text of a score is not a number");
    let nan = [b"\x01\x01a", &f64::NAN.to_le_bytes()[..]].concat();
    check_fault("REDIS0009", kind::ZSET_2, &nan, "a score is not a number");
}

#[test]
fn compressed_strings() {
    check("REDIS0006", kind::STRING, b"\xc3\x05\x0a\x00a\xe0\x00\x00", Value::String(b"aaaaaaaaaa".to_vec()));
    check_fault(
        "REDIS0006",
        kind::STRING,
        b"\xc3\x05\x0b\x00a\xe0\x00\x00",
        "compressed string is shorter than announced",
    );
    check_fault("REDIS0006", kind::STRING, b"\xc4\x05", "unknown string encoding 4");
    check_fault("REDIS0006", kind::STRING, b"\x82", "0x82 begins no length");
}

#[test]
fn ziplists() {
    let entries = [
        short(b"hello"),
        vec![0xf1],
        vec![0xfd],
        vec![0xfe, 0x9c],
        vec![0xc0, 0x18, 0xfc],
        vec![0xf0, 0x00, 0x00, 0x80],
        vec![0xd0, 0, 0, 0, 0x80],
        vec![0xe0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f],
        [&[0x41, 0x2c][..], &[b'm'; 300]].concat(),
        [&[0x80, 0, 0, 0x40, 0][..], &[b'l'; 0x4000]].concat(),
        short(b"17"),
        short(b""),
    ];
    let texts = owned(&[
        b"hello",
        b"0",
        b"12",
        b"-100",
        b"-1000",
        b"-8388608",
        b"-2147483648",
        b"9223372036854775807",
        &[b'm'; 300],
        &[b'l'; 0x4000],
        b"17",
        b"",
    ]);
    let bytes = text(&ziplist(&entries));
    check("REDIS0006", kind::LIST_ZIPLIST, &bytes, Value::List(texts.clone()));
    let nodes = [&[3][..], &bytes, &text(&ziplist(&[])), &text(&ziplist(&[vec![0xf2]]))].concat();
    check("REDIS0007", kind::LIST_QUICKLIST, &nodes, Value::List([texts, owned(&[b"1"])].concat()));
    let pairs = text(&ziplist(&[short(b"a"), short(b"1.5"), short(b"b"), vec![0xf3]]));
    check("REDIS0006", kind::ZSET_ZIPLIST, &pairs, members(&[(b"a", 1.5), (b"b", 2.0)]));
    check("REDIS0006", kind::HASH_ZIPLIST, &pairs, fields(&[(b"a", b"1.5", None), (b"b", b"2", None)]));
    check_fault("REDIS0006", kind::HASH_ZIPLIST, &text(&ziplist(&[short(b"a")])), "1 elements do not make pairs");
}

#[test]
fn faults_of_ziplists() {
    let good = ziplist(&[short(b"one"), short(b"two")]);
    let check = |at: usize, value: u8, expected: &str| {
        let mut bad = good.clone();
        bad[at] = value;
        check_fault("REDIS0006", kind::LIST_ZIPLIST, &text(&bad), expected);
    };
    check(0, 0, "ziplist is corrupt at byte 0: the size in the header is not the real size");
    check(4, 11, "ziplist is corrupt at byte 4: the offset of the last entry in the header is not the real one");
    check(8, 3, "ziplist is corrupt at byte 8: the number of entries in the header is not the real number");
    check(15, 4, "ziplist is corrupt at byte 15: the length of the entry before is not the real one");
    check(15, 254, "ziplist is corrupt at byte 15: the length of the entry before is not the real one");
    check(16, 4, "ziplist is corrupt at byte 15: entry has an unknown encoding or runs beyond the end");
    check(16, 0xd1, "ziplist is corrupt at byte 15: entry has an unknown encoding or runs beyond the end");
    check(20, 0, "ziplist is corrupt at byte 20: no end mark");
}

#[test]
fn zipmaps() {
    let long = [b'v'; 300];
    let map = [b"\x02\x03foo\x03\x02bar__\x01k\xfe\x2c\x01\x00\x00\x00", &long[..], b"\xff"].concat();
    check("REDIS0002", kind::HASH_ZIPMAP, &text(&map), fields(&[(b"foo", b"bar", None), (b"k", &long, None)]));
    let cases: [(&[u8], &str); 4] = [
        (b"\x01", "zipmap is corrupt at byte 0: shorter than count and end mark, or no end mark"),
        (b"\x02\x01a\x01\x00b\xff", "zipmap is corrupt at byte 0: the number of fields is not the real number"),
        (b"\x01\x01a\x02\x00b\xff", "zipmap is corrupt at byte 3: field or value runs beyond the end"),
        (b"\x01\x01a\xff", "zipmap is corrupt at byte 3: field or value runs beyond the end"),
    ];
    for (map, expected) in cases {
        check_fault("REDIS0002", kind::HASH_ZIPMAP, &text(map), expected);
    }
}

#[test]
fn expiries_of_fields_before_the_release_of_7_4() {
    let long = [b"\x02\x81", &5_000_000_000_u64.to_be_bytes()[..], b"\x01a\x01b\x00\x01c\x01d"].concat();
    let expected = fields(&[(b"a", b"b", Some(5_000_000_000)), (b"c", b"d", None)]);
    check("REDIS0012", kind::HASH_2, &long, expected.clone());
    let triples = listpack([&b"a"[..], b"b", b"5000000000", b"c", b"d", b"0"].into_iter());
    check("REDIS0012", kind::HASH_LISTPACK_EX_PRE_GA, &text(triples.as_bytes()), expected.clone());
    let with_least = [&5_000_000_000_u64.to_le_bytes()[..], &text(triples.as_bytes())].concat();
    check("REDIS0012", kind::HASH_LISTPACK_EX, &with_least, expected);
    let negative = listpack([&b"a"[..], b"b", b"-5"].into_iter());
    let fault = "a field's expiry is not a positive number";
    check_fault("REDIS0012", kind::HASH_LISTPACK_EX_PRE_GA, &text(negative.as_bytes()), fault);
    let huge = [&u64::MAX.to_le_bytes()[..], b"\x01\x02\x01a\x01b"].concat();
    check_fault("REDIS0012", kind::HASH_METADATA, &huge, "a field's expiry is out of range");
}

#[test]
fn opcodes_before_keys() {
    let mut bytes = b"REDIS0009".to_vec();
    bytes.extend_from_slice(&[opcode::SLOT_INFO, 1, 0x40, 0x80, 3]);
    let module = [
        &[opcode::MODULE_AUX, 0x81][..],
        &[7; 8],
        b"\x02\x02\x05\x01x\x05\xc3\x02\x03\x00q\x01\x2a\x03____\x04________\x00",
    ];
    bytes.extend_from_slice(&module.concat());
    bytes.extend_from_slice(&[opcode::SELECT_DB, 9, opcode::RESIZE_DB, 2, 1]);
    bytes.extend_from_slice(&[
        opcode::EXPIRE_S,
        0xff,
        0xff,
        0xff,
        0xff,
        opcode::IDLE,
        0x41,
        0,
        opcode::FREQ,
        200,
        0,
        1,
        b'a',
        1,
        b'b',
    ]);
    bytes.extend_from_slice(&[0, 1, b'c', 0xc0, 5, opcode::EOF, 0, 0, 0, 0, 0, 0, 0, 0]);
    let (_, Contents { entries, sizes, .. }) = read(&bytes).unwrap();
    assert_eq!(sizes, [(2, 1)]);
    let entry = |key: &[u8], value: &[u8]| Entry {
        db: 9,
        key: key.to_vec(),
        expire_ms: None,
        idle_s: None,
        freq: None,
        value: Value::String(value.to_vec()),
    };
    let first = Entry { expire_ms: Some(-1000), idle_s: Some(256), freq: Some(200), ..entry(b"a", b"b") };
    assert_eq!(entries, [first, entry(b"c", b"5")]);
}

#[test]
fn what_is_not_supported_says_so() {
    for number in [
        kind::MODULE_PRE_GA,
        kind::MODULE_2,
        kind::STREAM_LISTPACKS,
        kind::STREAM_LISTPACKS_2,
        kind::STREAM_LISTPACKS_3,
    ] {
        let error = read(&file("REDIS0011", number, b"\x00")).unwrap_err();
        assert!(matches!(error.fault, Fault::Unsupported { number: found, .. } if found == number));
        assert_eq!((error.offset, error.key.as_deref()), (11, Some(&b"k"[..])));
    }
    for number in [opcode::FUNCTION_PRE_GA, opcode::SLOT_IMPORT] {
        let error = read(&[b"REDIS0011", &[number][..]].concat()).unwrap_err();
        assert!(matches!(error.fault, Fault::Unsupported { .. }) && error.offset == 9);
    }
    for number in [8, 26, 100, 242] {
        let error = read(&[b"REDIS0011", &[number][..]].concat()).unwrap_err();
        assert_eq!((error.fault, error.offset), (Fault::UnknownType(number), 9));
    }
    for (magic, expected) in [
        ("REDIS0000", Fault::Version(0)),
        ("REDIS0013", Fault::Version(13)),
        ("VALKEY081", Fault::Version(81)),
        ("REDIS001x", Fault::Magic(*b"REDIS001x")),
        ("*1\r\n$4\r\nPI", Fault::Magic(*b"*1\r\n$4\r\nP")),
    ] {
        assert_eq!(read(magic.as_bytes()).unwrap_err().fault, expected);
    }
}

#[test]
fn containers_without_elements_are_reported() {
    let nodes = [&[2][..], &text(&ziplist(&[])), &text(&ziplist(&[]))].concat();
    let empty_pack = text(listpack([].into_iter()).as_bytes());
    let packed_nodes = [&[1, 2][..], &empty_pack].concat();
    let cases: [(u8, &[u8]); 12] = [
        (kind::LIST, b"\x00"),
        (kind::SET, b"\x00"),
        (kind::HASH, b"\x00"),
        (kind::ZSET_2, b"\x00"),
        (kind::LIST_QUICKLIST, b"\x00"),
        (kind::LIST_QUICKLIST, &nodes),
        (kind::LIST_QUICKLIST_2, &packed_nodes),
        (kind::LIST_ZIPLIST, &text(&ziplist(&[]))),
        (kind::HASH_LISTPACK, &empty_pack),
        (kind::SET_LISTPACK, &empty_pack),
        (kind::SET_INTSET, b"\x08\x02\x00\x00\x00\x00\x00\x00\x00"),
        (kind::HASH_ZIPMAP, b"\x02\x00\xff"),
    ];
    for (number, value) in cases {
        let (_, contents) = read(&file("REDIS0011", number, value)).unwrap();
        assert_eq!((contents.entries.len(), contents.empty), (0, owned(&[b"k"])), "type {number}");
    }
}

#[test]
fn long_chunks_of_lists_are_split_and_cannot_be_written() {
    let texts: Vec<Vec<u8>> = (0..70_000).map(|number: u32| number.to_string().into_bytes()).collect();
    let pack = listpack(texts.iter().map(Vec::as_slice));
    let mut writer = Writer::new(Vec::new(), WriterOptions::default()).unwrap();
    writer.list_begin(&KeyMeta::default(), 1).unwrap();
    let error = writer.list_packed_node(pack.as_bytes()).unwrap_err();
    assert_eq!(error.to_string(), "a node of a list has more than 65534 elements");
    let node = [b"\x01\x02", &text(pack.as_bytes())[..]].concat();
    // The model refuses chunks of more than 32768 elements.
    check("REDIS0010", kind::LIST_QUICKLIST_2, &node, Value::List(texts));
}

#[test]
fn what_follows_the_data_is_given_back() {
    let mut bytes = file("REDIS0009", kind::STRING, b"\x01v");
    bytes.extend_from_slice(b"*1\r\n$4\r\nPING\r\n");
    let mut reader = Reader::new(&bytes[..], Options::default());
    reader.read(&mut Contents::default()).unwrap();
    let (left, ahead) = reader.into_parts();
    assert_eq!([&ahead, left].concat(), b"*1\r\n$4\r\nPING\r\n");
}

proptest! {
    #[test]
    fn ziplists_keep_all_texts(texts in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 1..20)) {
        let entry = |text: &Vec<u8>| match text.len() {
            len @ ..64 => [&[len as u8], &text[..]].concat(),
            len => [&[0x40 | (len >> 8) as u8, len as u8], &text[..]].concat(),
        };
        let list = ziplist(&texts.iter().map(entry).collect::<Vec<_>>());
        check("REDIS0009", kind::LIST_ZIPLIST, &text(&list), Value::List(texts));
    }

    #[test]
    fn broken_ziplists_are_survived(
        texts in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..70), 0..6),
        at in any::<prop::sample::Index>(),
        value in any::<u8>(),
    ) {
        let mut list = ziplist(&texts.iter().filter(|text| text.len() < 64).map(|text| short(text)).collect::<Vec<_>>());
        let at = at.index(list.len());
        list[at] = value;
        for number in [kind::LIST_ZIPLIST, kind::HASH_ZIPLIST, kind::HASH_ZIPMAP, kind::SET_INTSET, kind::SET_LISTPACK] {
            crate::fuzz::fuzz_rdb(&file("REDIS0011", number, &text(&list)));
        }
    }
}
