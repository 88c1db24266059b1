//! Damage to data, and sources and visitors that fail.

use alloc::string::ToString;
use alloc::vec::Vec;

use proptest::prelude::*;

use super::{fixture, read};
use crate::error::{Fault, SourceError};
use crate::fuzz::{Contents, fuzz_rdb};
use crate::reader::{Options, Reader, Source};

#[test]
fn every_truncation_is_noticed() {
    for name in ["redis-7.0-lzf.rdb", "redis-8.0-fields.rdb"] {
        let bytes = fixture(name);
        for len in 0..bytes.len() {
            let error = read(&bytes[..len]).unwrap_err();
            assert!(matches!(error.fault, Fault::Truncated { .. }), "{len}: {error}");
            assert_eq!(error.offset, len as u64);
        }
    }
}

#[test]
fn every_damaged_byte_is_noticed() {
    for name in ["redis-7.0-lzf.rdb", "valkey-9.1-fields.rdb"] {
        let mut bytes = fixture(name);
        for at in 0..bytes.len() {
            bytes[at] ^= 1 << (at % 8);
            assert!(read(&bytes).is_err(), "byte {at} of {name}");
            bytes[at] ^= 1 << (at % 8);
        }
        assert!(read(&bytes).is_ok());
    }
}

#[test]
fn a_wrong_checksum_is_told_from_other_faults() {
    let mut bytes = fixture("redis-7.0-plain.rdb");
    let real = read(&bytes).unwrap().0.checksum.unwrap();
    let end = bytes.len();
    bytes[end - 8..].copy_from_slice(&(real ^ 1).to_le_bytes());
    let error = read(&bytes).unwrap_err();
    assert_eq!((error.offset, error.fault), (end as u64 - 8, Fault::Checksum { stated: real ^ 1, real }));
    let options = Options { checksum: false, ..Options::default() };
    let summary = Reader::new(&bytes[..], options).read(&mut Contents::default()).unwrap();
    assert_eq!(summary.checksum, None);
    bytes[end - 8..].fill(0);
    assert_eq!(read(&bytes).unwrap().0.checksum, None);
}

#[test]
fn announced_lengths_allocate_nothing() {
    // Memory for these lengths cannot be had, so that asking for it would end the process.
    let huge = (1_u64 << 46).to_be_bytes();
    let options = Options { checksum: true, string_bytes_max: u64::MAX };
    for start in [&b"REDIS0011\x00\x01k\x81"[..], b"REDIS0011\x01\x81", b"REDIS0011\x10\x01k\x81", b"REDIS0011\xfa\x81"]
    {
        let bytes = [start, &huge, &[b'x'; 100]].concat();
        let error = Reader::new(&bytes[..], options).read(&mut Contents::default()).unwrap_err();
        assert!(matches!(error.fault, Fault::Truncated { .. }), "{error}");
    }
    for kind in [1, 2, 4, 5, 14, 18, 22, 24] {
        let bytes = [b"REDIS0011", &[kind][..], b"\x01k\x81", &huge, &[0; 100]].concat();
        assert!(Reader::new(&bytes[..], options).read(&mut Contents::default()).is_err());
    }
    let bytes = [b"REDIS0011\x00\x01k\xc3\x02\x81", &huge[..], b"\x00a"].concat();
    let error = Reader::new(&bytes[..], options).read(&mut Contents::default()).unwrap_err();
    assert!(error.to_string().ends_with("compressed string cannot be as long as announced"));
}

#[test]
fn strings_beyond_the_limit_are_refused() {
    let options = Options { checksum: true, string_bytes_max: 9 };
    for value in [&b"\x0a0123456789"[..], b"\xc3\x05\x0a\x00a\xe0\x00\x00"] {
        let bytes = [b"REDIS0003\x00\x01k", value, b"\xff"].concat();
        let error = Reader::new(&bytes[..], options).read(&mut Contents::default()).unwrap_err();
        assert_eq!(error.fault, Fault::TooLong { what: "a string", len: 10, max: 9 });
        assert!(read(&bytes).is_ok());
    }
}

#[test]
fn faults_name_place_and_key() {
    let bytes = b"REDIS0006\x0a\x03foo\x0b\x0b\x00\x00\x00\x0a\x00\x00\x00\x01\x00\xff\xff";
    let text = "at byte 14, in the value of key \"foo\": \
        ziplist is corrupt at byte 8: the number of entries in the header is not the real number";
    assert_eq!(read(bytes).unwrap_err().to_string(), text);
    assert_eq!(
        read(b"REDIS0006\xfe").unwrap_err().to_string(),
        "at byte 10: the data ends where a database number had to come"
    );
}

/// Delivers a few bytes at a time, and then fails.
struct Failing<'a>(&'a [u8], usize);

impl Source for Failing<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, SourceError> {
        let few = buffer.len().min(self.1);
        match self.0.read(&mut buffer[..few])? {
            0 => Err(SourceError::new("connection lost")),
            count => Ok(count),
        }
    }
}

#[test]
fn sources_may_deliver_little_and_fail() {
    let bytes = fixture("redis-7.0-plain.rdb");
    for few in [1, 7, 1000] {
        let mut contents = Contents::default();
        Reader::new(Failing(&bytes, few), Options::default()).read(&mut contents).unwrap();
        assert_eq!(contents, read(&bytes).unwrap().1);
        let cut = &bytes[..bytes.len() - 9];
        let error = Reader::new(Failing(cut, few), Options::default()).read(&mut Contents::default()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "at byte ".to_string() + &cut.len().to_string() + ": cannot read: connection lost"
        );
    }
}

#[test]
fn refusals_of_the_visitor_name_the_key() {
    // The model refuses packed scores that are no numbers.
    let pack = crate::fuzz::listpack([&b"a"[..], b"b"].into_iter());
    let bytes = [b"REDIS0011\x11\x01z", &[pack.byte_len() as u8][..], pack.as_bytes()].concat();
    let error = read(&bytes).unwrap_err();
    assert_eq!(error.to_string(), "at byte 26, in the value of key \"z\": a score is not a number");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn mutations_of_real_files_are_survived(
        name in prop::sample::select(&["redis-7.0-lfu.rdb", "redis-8.0-fields.rdb", "valkey-9.1-fields.rdb"][..]),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..5),
        cut in any::<prop::sample::Index>(),
        removed in 0usize..4,
    ) {
        let mut bytes = fixture(name);
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        let cut = cut.index(bytes.len() - removed);
        bytes.drain(cut..cut + removed);
        fuzz_rdb(&bytes);
    }

    #[test]
    fn any_bytes_after_a_header_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..300), version in 1u8..10) {
        let file: Vec<u8> = [b"REDIS000", &[b'0' + version][..], &bytes].concat();
        fuzz_rdb(&file);
    }
}
