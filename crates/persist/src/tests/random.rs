//! Random contents, written and read back.

use alloc::string::ToString;
use alloc::vec::Vec;

use proptest::prelude::*;

use super::read;
use crate::fuzz::{Contents, Entry, Value};
use crate::payload::{Payload, PayloadError, check_payload, decode_value, dump_payload, encode_value};
use crate::reader::Options;
use crate::visitor::KeyMeta;
use crate::writer::WriterOptions;

fn text() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..20),
        prop::collection::vec(prop::sample::select(&b"ab"[..]), 0..200),
        any::<i64>().prop_map(|value| (value >> (value & 63)).to_string().into_bytes()),
        (10_000usize..200_000, any::<u8>())
            .prop_map(|(len, byte)| (0..len).map(|at| byte.wrapping_add((at / 7) as u8)).collect()),
    ]
}

fn short_text() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 0..30)
}

fn value() -> impl Strategy<Value = Value> {
    let expire_ms = || prop::option::of(0..i64::MAX);
    let score = any::<f64>().prop_filter("a score is a number", |score| !score.is_nan());
    prop_oneof![
        text().prop_map(Value::String),
        prop::collection::vec(text(), 1..15).prop_map(Value::List),
        prop::collection::vec(short_text(), 1..100).prop_map(Value::Set),
        prop::collection::vec((short_text(), text(), Just(None)), 1..8).prop_map(Value::Hash),
        prop::collection::vec((short_text(), short_text(), Just(None)), 100..120).prop_map(Value::Hash),
        prop::collection::vec((short_text(), short_text(), expire_ms()), 1..50).prop_map(Value::Hash),
        prop::collection::vec((short_text(), score.prop_map(f64::to_bits)), 1..50).prop_map(Value::Zset),
    ]
}

fn entry() -> impl Strategy<Value = Entry> {
    let meta = (0u64..3, text(), any::<Option<i64>>(), any::<Option<u64>>(), any::<Option<u8>>());
    (meta, value()).prop_map(|((db, key, expire_ms, idle_s, freq), value)| Entry {
        db,
        key,
        expire_ms,
        idle_s,
        freq,
        value,
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn written_contents_are_read(
        entries in prop::collection::vec(entry(), 0..10),
        functions in prop::collection::vec(text(), 0..3),
        compress in any::<bool>(),
        checksum in any::<bool>(),
    ) {
        let mut contents = Contents::default();
        contents.entries = entries;
        contents.functions = functions;
        let bytes = contents.write(WriterOptions { version: 12, compress, checksum }).unwrap();
        let (summary, again) = read(&bytes).unwrap();
        prop_assert_eq!(summary.bytes, bytes.len() as u64);
        prop_assert_eq!(summary.checksum.is_some(), checksum);
        prop_assert_eq!(&again.entries, &contents.entries);
        prop_assert_eq!(&again.functions, &contents.functions);
    }

    #[test]
    fn payloads_come_back(entry in entry(), at in any::<prop::sample::Index>(), bit in 0u8..8) {
        let options = WriterOptions { version: 12, ..WriterOptions::default() };
        let mut payload = dump_payload(encode_value(options, |writer| entry.write(writer)).unwrap(), 12);
        let mut contents = Contents::default();
        let meta = KeyMeta { key: &entry.key, ..KeyMeta::default() };
        let checked = check_payload(&payload).unwrap();
        decode_value(checked, &meta, Options::default(), &mut contents).unwrap();
        prop_assert_eq!(&contents.entries[0].value, &entry.value);
        let more = [checked.body, b"x"].concat();
        let more = Payload { body: &more, ..checked };
        prop_assert!(decode_value(more, &meta, Options::default(), &mut Contents::default()).is_err());
        let at = at.index(payload.len());
        payload[at] ^= 1 << bit;
        prop_assert!(check_payload(&payload).is_err());
    }
}

#[test]
fn payloads_of_redis_are_read() {
    // DUMP of SET k 10 on Redis 7.0.15, and of SET k hello.
    let check = |payload: &[u8], expected: &[u8]| {
        let checked = check_payload(payload).unwrap();
        assert_eq!(checked.version, 10);
        let mut contents = Contents::default();
        decode_value(checked, &KeyMeta::default(), Options::default(), &mut contents).unwrap();
        assert_eq!(contents.entries[0].value, Value::String(expected.to_vec()));
    };
    check(DUMP_10, b"10");
    check(DUMP_HELLO, b"hello");
    let ours = |text: &[u8]| {
        let write = |writer: &mut crate::writer::Writer<Vec<u8>>| writer.string(&KeyMeta::default(), text);
        dump_payload(encode_value(WriterOptions::default(), write).unwrap(), 10)
    };
    assert_eq!(ours(b"10"), DUMP_10);
    assert_eq!(ours(b"hello"), DUMP_HELLO);
    assert_eq!(check_payload(b"123456789"), Err(PayloadError::Short));
    assert_eq!(check_payload(&dump_payload(b"\x00\x01a".to_vec(), 13)), Err(PayloadError::Version(13)));
    assert_eq!(check_payload(&[DUMP_10, b"x"].concat()).unwrap_err(), PayloadError::Version(0x6e00));
}

const DUMP_10: &[u8] = b"\x00\xc0\x0a\x0a\x00\x6e\x9f\x57\x45\x0e\xae\x63\xbb";
const DUMP_HELLO: &[u8] = b"\x00\x05hello\x0a\x00\x63\x72\xdf\x76\x65\x34\x20\x0a";
