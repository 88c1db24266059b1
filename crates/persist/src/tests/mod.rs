//! Tests of the codec as a whole: files of real servers, hand-made encodings, faults, random contents, and real servers that load what
//! is written here.
mod faults;
mod fixtures;
mod handmade;
mod peers;
mod random;

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use std::path::{Path, PathBuf};

use base::num::parse_f64;

use crate::error::RdbError;
use crate::fuzz::{Contents, Value};
use crate::reader::{Options, Reader, Summary};

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn fixture(name: &str) -> Vec<u8> {
    let path = repository().join("tests/fixtures/rdb").join(name);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn read(bytes: &[u8]) -> Result<(Summary, Contents), Box<RdbError>> {
    let mut contents = Contents::default();
    let summary = Reader::new(bytes, Options::default()).read(&mut contents)?;
    Ok((summary, contents))
}

fn hex(text: &[u8]) -> String {
    text.iter().fold(String::from("x"), |text, byte| text + &format!("{byte:02x}"))
}

/// The contents as `contents.lua` prints them, except that scores are the bits of the double.
fn lines(contents: &Contents) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for entry in &contents.entries {
        let sorted = |mut items: Vec<String>| {
            items.sort();
            items
        };
        let (kind, items) = match &entry.value {
            Value::String(text) => ("string", [hex(text)].into()),
            Value::List(items) => ("list", items.iter().map(|item| hex(item)).collect()),
            Value::Set(members) => ("set", sorted(members.iter().map(|member| hex(member)).collect())),
            Value::Hash(fields) => {
                let item = |(field, value, expire_ms): &(Vec<u8>, Vec<u8>, Option<i64>)| match expire_ms {
                    Some(expire_ms) => format!("{}={}@{expire_ms}", hex(field), hex(value)),
                    None => format!("{}={}", hex(field), hex(value)),
                };
                ("hash", sorted(fields.iter().map(item).collect()))
            }
            Value::Zset(members) => {
                let mut members: Vec<_> =
                    members.iter().map(|(member, score)| (f64::from_bits(*score), member)).collect();
                members.sort_by(|a, b| a.partial_cmp(b).unwrap());
                let item = |(score, member): (f64, &Vec<u8>)| format!("{}={:016x}", hex(member), score.to_bits());
                ("zset", members.into_iter().map(item).collect())
            }
        };
        let (db, key, expire_ms) = (entry.db, hex(&entry.key), entry.expire_ms.unwrap_or(-1));
        lines.push(format!("{db} {key} {kind} {expire_ms} {}", items.join(" ")));
    }
    lines.sort();
    lines
}

/// The output of `contents.lua` with scores as the bits of the double.
fn expected_lines(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for line in text.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        if words[2] != "zset" {
            lines.push(line.into());
            continue;
        }
        let mut words: Vec<String> = words.into_iter().map(String::from).collect();
        for item in &mut words[4..] {
            let (member, score) = item.split_once('=').unwrap();
            *item = format!("{member}={:016x}", parse_f64(score.as_bytes()).unwrap().to_bits());
        }
        lines.push(words.join(" "));
    }
    lines.sort();
    lines
}

fn check_same(got: &[String], expected: &[String]) {
    for (got, expected) in got.iter().zip(expected) {
        // Lines may be long; the first difference says enough.
        for (got, expected) in got.split(' ').zip(expected.split(' ')) {
            assert_eq!(got, expected);
        }
        assert_eq!(got.len(), expected.len());
    }
    assert_eq!(got.len(), expected.len());
}
