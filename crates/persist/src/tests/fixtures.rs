//! Files that real servers wrote, against the contents that those servers showed.

use alloc::string::String;
use alloc::vec::Vec;

use super::{check_same, expected_lines, fixture, lines, read, repository};
use crate::check::check_rdb;
use crate::format::kind;
use crate::fuzz::fuzz_rdb;
use crate::reader::Options;

fn check(name: &str, expected: &str, version: u32) -> crate::fuzz::Contents {
    let bytes = fixture(name);
    let (summary, contents) = read(&bytes).unwrap();
    assert_eq!((summary.version, summary.bytes), (version, bytes.len() as u64));
    assert_eq!(contents.version, version);
    check_same(&lines(&contents), &expected_lines(&String::from_utf8(fixture(expected)).unwrap()));
    assert!(contents.empty.is_empty());
    fuzz_rdb(&bytes);
    contents
}

fn aux<'a>(contents: &'a crate::fuzz::Contents, name: &str) -> &'a str {
    let (_, value) = contents.aux.iter().find(|(aux, _)| aux == name.as_bytes()).unwrap();
    std::str::from_utf8(value).unwrap()
}

#[test]
fn redis_7_0_without_compression() {
    let contents = check("redis-7.0-plain.rdb", "redis-7.0.expected", 10);
    assert_eq!(aux(&contents, "redis-ver"), "7.0.15");
    assert_eq!(aux(&contents, "redis-bits"), "64");
    assert_eq!(contents.sizes, [(39, 2), (2, 0)]);
    assert_eq!(contents.functions.len(), 1);
    assert!(contents.functions[0].starts_with(b"#!lua name=mylib\n"));
    assert!(contents.entries.iter().all(|entry| entry.idle_s.is_none() && entry.freq.is_none()));
}

#[test]
fn redis_7_0_with_compression_and_idle_times() {
    let contents = check("redis-7.0-lzf.rdb", "redis-7.0.expected", 10);
    assert!(contents.entries.iter().all(|entry| entry.idle_s.is_some_and(|idle| idle < 60) && entry.freq.is_none()));
}

#[test]
fn redis_7_0_with_use_counters_and_without_checksum() {
    let contents = check("redis-7.0-lfu.rdb", "redis-7.0.expected", 10);
    // New keys start with 5.
    assert!(contents.entries.iter().all(|entry| entry.idle_s.is_none() && entry.freq.is_some_and(|freq| freq >= 5)));
    assert_eq!(read(&fixture("redis-7.0-lfu.rdb")).unwrap().0.checksum, None);
    assert!(read(&fixture("redis-7.0-lzf.rdb")).unwrap().0.checksum.is_some());
}

#[test]
fn redis_8_0_with_expiries_of_fields() {
    let contents = check("redis-8.0-fields.rdb", "redis-8.0-fields.expected", 12);
    assert_eq!(aux(&contents, "redis-ver"), "8.0.6");
}

#[test]
fn valkey_9_1_with_expiries_of_fields() {
    check("valkey-9.1-fields.rdb", "valkey-9.1-fields.expected", 80);
}

#[test]
fn the_report_counts_what_is_there() {
    let bytes = fixture("redis-7.0-plain.rdb");
    let report = check_rdb(&bytes[..], Options::default(), 4_102_444_800_200);
    assert!(report.is_good());
    assert_eq!((report.keys, report.expires, report.already_expired, report.empty_keys), (41, 2, 1, 0));
    assert_eq!((&report.databases[..], report.functions, report.version), (&[0, 3][..], 1, 10));
    assert_eq!(report.bytes, bytes.len() as u64);
    let counts: Vec<_> = report.keys_by_kind.into_iter().collect();
    let expected = [
        (kind::STRING, 26),
        (kind::SET, 2),
        (kind::HASH, 2),
        (kind::ZSET_2, 2),
        (kind::SET_INTSET, 3),
        (kind::HASH_LISTPACK, 1),
        (kind::ZSET_LISTPACK, 1),
        (kind::LIST_QUICKLIST_2, 4),
    ];
    assert_eq!(counts, expected);
}

#[test]
fn the_report_tells_where_a_file_breaks() {
    let mut bytes = fixture("redis-7.0-plain.rdb");
    bytes.truncate(bytes.len() / 2);
    let report = check_rdb(&bytes[..], Options::default(), 0);
    let error = report.outcome.unwrap().unwrap_err();
    assert!(report.keys > 0 && report.keys < 41);
    assert_eq!(error.offset, bytes.len() as u64);
    assert_eq!(error.key, report.last_key.map(|(key, _)| key));
}

#[test]
fn the_fuzzers_corpus_is_survived() {
    let mut files = 0;
    for file in std::fs::read_dir(repository().join("fuzz/corpus/rdb")).unwrap() {
        fuzz_rdb(&std::fs::read(file.unwrap().path()).unwrap());
        files += 1;
    }
    assert!(files >= 10, "the corpus is in its place");
}
