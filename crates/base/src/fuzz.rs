//! Any bytes as packed encodings, and as patterns: what the checks accept reads the same from either end, and goes on doing so whatever is changed.
//!
//! Why a plain `Vec` beside each: bytes that only one direction understands are found where the two walks differ, and most of them only
//! after an element was changed whose bytes the other walk relied on.

use alloc::collections::BTreeSet;
use alloc::vec;
use alloc::vec::Vec;

use crate::elem::encoded_len;
use crate::fields::{FIELDS_MAX_BYTES, Fields, pack};
use crate::glob::glob_matches;
use crate::intset::Intset;
use crate::listpack::{Elem, Listpack, backlen_size, check_listpack};
use crate::num::{I64_TEXT_MAX, format_i64};

/// The entry of the fuzz target `listpack`: a byte that says how long a program of changes is, the program, and the bytes of an encoding,
/// which are also tried within a frame that fits them.
///
/// # Panics
/// If a check accepts what cannot be read or changed.
pub fn fuzz_packed(data: &[u8]) {
    let Some((&len, rest)) = data.split_first() else { return };
    let (program, bytes) = rest.split_at(usize::from(len).min(rest.len()));
    for bytes in [bytes, &as_listpack(bytes)] {
        if let Ok(listpack) = Listpack::validate(bytes) {
            change_listpack(listpack, program);
        }
    }
    for bytes in [bytes, &as_intset(bytes)] {
        if let Ok(intset) = Intset::validate(bytes) {
            change_intset(intset, program);
        }
    }
}

/// The entry of the fuzz target `glob`: a byte that says how long the pattern is, the pattern, and the subject.
///
/// # Panics
/// If the answer differs from what the subject's own form must give.
pub fn fuzz_glob(data: &[u8]) {
    let Some((&len, rest)) = data.split_first() else { return };
    let (pattern, subject) = rest.split_at(usize::from(len).min(rest.len()));
    for ignore_case in [false, true] {
        let matches = glob_matches(pattern, subject, ignore_case);
        // In Redis no pattern but the empty one matches the empty subject.
        if subject.is_empty() {
            assert_eq!(matches, pattern.is_empty());
            continue;
        }
        let anywhere = [b"*", pattern, b"*"].concat();
        // A pattern that ends in a lone backslash takes the star after it for its own.
        let whole = !pattern.contains(&b'\\') && !pattern.contains(&b'[');
        assert!(!(matches && whole) || glob_matches(&anywhere, subject, ignore_case), "a star stands for nothing, too");
        assert!(glob_matches(b"*", subject, ignore_case));
        assert!(matches || ignore_case || pattern != subject || pattern.iter().any(|byte| b"*?[\\".contains(byte)));
        if ignore_case && glob_matches(pattern, subject, false) && !pattern.contains(&b'[') {
            assert!(matches, "what matches exactly does so in any case");
        }
    }
}

/// Entries between a listpack's header and its end mark. The header gives the number of entries that a walk forwards finds.
fn as_listpack(entries: &[u8]) -> Vec<u8> {
    let total = u32::try_from(entries.len() + 7).expect("the fuzzer's bytes are few");
    let (mut at, mut count) = (0, 0u16);
    while let Some(len) = entries.get(at..).and_then(encoded_len) {
        at += len + backlen_size(len);
        count = count.saturating_add(1);
    }
    let mut bytes = total.to_le_bytes().to_vec();
    bytes.extend_from_slice(&count.to_le_bytes());
    bytes.extend_from_slice(entries);
    bytes.push(0xff);
    bytes
}

/// Integers behind an intset's header; the first byte chooses their width.
fn as_intset(bytes: &[u8]) -> Vec<u8> {
    let width = 2u8 << (bytes.first().unwrap_or(&0) % 3);
    let body = bytes.get(1..).unwrap_or_default();
    let count = body.len() / usize::from(width);
    let mut intset = vec![width, 0, 0, 0];
    intset.extend_from_slice(&u32::try_from(count).expect("the fuzzer's bytes are few").to_le_bytes());
    intset.extend_from_slice(&body[..count * usize::from(width)]);
    intset
}

/// A text to be added: around the lengths and numbers at which encodings change.
fn text(choice: u8) -> Vec<u8> {
    const LENGTHS: [usize; 12] = [0, 1, 5, 62, 63, 64, 125, 126, 127, 4095, 4096, 16_382];
    const SHIFTS: [u32; 6] = [7, 12, 15, 23, 31, 63];
    if let Some(&len) = LENGTHS.get(usize::from(choice)) {
        return vec![b'x'; len];
    }
    let limit = 1i64.wrapping_shl(SHIFTS[usize::from(choice) % SHIFTS.len()]);
    let number = match choice % 4 {
        0 => limit,
        1 => limit.wrapping_sub(1),
        2 => limit.wrapping_neg(),
        _ => i64::from(choice),
    };
    format_i64(number, &mut [0; I64_TEXT_MAX]).to_vec()
}

/// Both walks, the header and the check agree with what should be there.
fn assert_listpack(listpack: &Listpack, model: &[Vec<u8>]) {
    assert!(listpack.iter().map(Elem::to_vec).eq(model.iter().cloned()), "walked forwards");
    assert!(listpack.iter().rev().map(Elem::to_vec).eq(model.iter().rev().cloned()), "walked backwards");
    assert_eq!(listpack.len(), model.len());
    assert_eq!(check_listpack(listpack.as_bytes()), Ok(model.len()));
    let mut position = listpack.last();
    for text in model.iter().rev() {
        let at = position.expect("as many elements as were counted");
        assert!(listpack.at(at).is(text), "stepped backwards");
        position = listpack.prev(at);
    }
    assert_eq!(position, None);
}

fn change_listpack(mut listpack: Listpack, program: &[u8]) {
    let mut model: Vec<Vec<u8>> = listpack.iter().map(Elem::to_vec).collect();
    assert_listpack(&listpack, &model);
    packed_fields(&listpack, &model, program);
    for step in program.chunks_exact(3) {
        let new = text(step[2]);
        let (elem, at) = (Elem::from(&new[..]), usize::from(step[1]) % model.len().max(1));
        match step[0] % 9 {
            0 => {
                listpack.push_front(elem);
                model.insert(0, new);
            }
            1 => {
                listpack.push_back(elem);
                model.push(new);
            }
            2 => {
                let popped = listpack.pop_front(|elem| elem.to_vec());
                assert_eq!(popped, (!model.is_empty()).then(|| model.remove(0)));
            }
            3 => assert_eq!(listpack.pop_back(|elem| elem.to_vec()), model.pop()),
            4 => {
                listpack.insert(at, elem);
                model.insert(at, new);
            }
            5 => {
                if let Some(position) = listpack.seek(at) {
                    listpack.replace(position, elem);
                    model[at] = new;
                }
            }
            6 => {
                let count = usize::from(step[2] % 4).min(model.len() - at.min(model.len()));
                assert_eq!(listpack.remove_range(at, count), count);
                model.drain(at..at + count);
            }
            7 => {
                let tail = listpack.split_off(at);
                assert_eq!(check_listpack(tail.as_bytes()), Ok(model.len() - at.min(model.len())));
                listpack.append(&tail);
            }
            _ => {
                let keep = |text: &[u8]| text.len() % 3 != usize::from(step[2] % 3);
                let before = model.len();
                model.retain(|text| keep(text));
                assert_eq!(listpack.retain(|elem| keep(&elem.to_vec())), before - model.len());
            }
        }
        assert_listpack(&listpack, &model);
    }
}

/// The elements as the fields of a packed hash, where they make pairs.
fn packed_fields(listpack: &Listpack, model: &[Vec<u8>], program: &[u8]) {
    let mut elems = listpack.iter();
    let pairs: Vec<_> = core::iter::from_fn(|| Some((elems.next()?, elems.next()?))).collect();
    let Some(mut bytes) = pack(pairs.iter().copied()) else { return };
    assert_eq!(Fields::new(&bytes).len(), model.len() / 2);
    let names: BTreeSet<&[u8]> = model.chunks_exact(2).map(|pair| &pair[0][..]).collect();
    if names.len() != pairs.len() {
        return;
    }
    for pair in model.chunks_exact(2) {
        assert!(Fields::new(&bytes).get(&pair[0]).is_some_and(|value| value.is(&pair[1])));
    }
    for step in program.chunks_exact(3) {
        let (field, value) = (text(step[1]), text(step[2]));
        let known = model.get(2 * usize::from(step[1])).filter(|_| step[0] & 2 != 0);
        let field = known.unwrap_or(&field);
        let fields = Fields::new(&bytes);
        let edit = if step[0] & 1 == 0 { Some(fields.set(field, &value)) } else { fields.unset(field) };
        if let Some(edit) = edit.filter(|edit| edit.new_len() <= FIELDS_MAX_BYTES) {
            let count = edit.count();
            edit.apply(&mut bytes);
            assert_eq!((Fields::new(&bytes).len(), Fields::new(&bytes).iter().count()), (count, count));
        }
    }
    let packed = Fields::new(&bytes).to_listpack();
    assert_eq!(check_listpack(packed.as_bytes()), Ok(2 * Fields::new(&bytes).len()));
}

fn change_intset(mut intset: Intset, program: &[u8]) {
    let mut model: BTreeSet<i64> = intset.iter().collect();
    let same = |intset: &Intset, model: &BTreeSet<i64>| {
        assert!(intset.iter().eq(model.iter().copied()), "walked forwards");
        assert!(intset.iter().rev().eq(model.iter().rev().copied()), "walked backwards");
        assert_eq!(
            (intset.len(), intset.min(), intset.max()),
            (model.len(), model.first().copied(), model.last().copied())
        );
        assert!(Intset::validate(intset.as_bytes()).is_ok_and(|again| again == *intset));
    };
    same(&intset, &model);
    for step in program.chunks_exact(3) {
        let known = model.iter().nth(usize::from(step[1])).copied();
        let value = known.filter(|_| step[0] & 2 != 0).or_else(|| Elem::Bytes(&text(step[2])).as_int()).unwrap_or(-1);
        assert_eq!(intset.contains(value), model.contains(&value));
        if step[0] & 1 == 0 {
            assert_eq!(intset.insert(value), model.insert(value));
        } else {
            assert_eq!(intset.remove(value), model.remove(&value));
        }
        same(&intset, &model);
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use super::*;
    use proptest::collection::vec as many;
    use proptest::prelude::*;
    use proptest::sample::Index;

    #[test]
    fn the_corpus_runs() {
        let mut listpack = Listpack::new();
        for elem in [Elem::Int(1), Elem::Int(-70_000), Elem::Bytes(b"text"), Elem::Bytes(&[7; 5000])] {
            listpack.push_back(elem);
        }
        let mut intset = Intset::new();
        for n in [1, -40_000, 1 << 40] {
            intset.insert(n);
        }
        let program = [0, 0, 20, 5, 1, 11, 8, 0, 1, 3, 0, 0, 7, 1, 0, 6, 0, 2];
        for seed in [&b""[..], listpack.as_bytes(), intset.as_bytes(), &[7, 0, 0, 0, 0, 0, 0xFF]] {
            fuzz_packed(&[&[program.len() as u8], &program[..], seed].concat());
        }
        fuzz_packed(b"");
    }

    #[test]
    fn the_corpora_run() {
        for (target, run) in [("listpack", fuzz_packed as fn(&[u8])), ("glob", fuzz_glob)] {
            let folder = alloc::format!("{}/../../fuzz/corpus/{target}", env!("CARGO_MANIFEST_DIR"));
            let mut files = 0;
            for file in std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{folder}: {error}")) {
                run(&std::fs::read(file.unwrap().path()).unwrap());
                files += 1;
            }
            assert!(files > 0, "{folder} is empty");
        }
    }

    /// An encoding of an element that a strict writer may not choose: any form that can carry it. Bytes that mean nothing to a reader of
    /// backlens are common, as that is what a backlen may run into.
    fn data() -> impl Strategy<Value = Vec<u8>> {
        let byte = || prop_oneof![Just(0u8), Just(0x80), any::<u8>()];
        let string = |header: fn(usize) -> Vec<u8>, max: usize| {
            prop_oneof![many(byte(), 0..2), many(byte(), 0..max)]
                .prop_map(move |text| [header(text.len()), text].concat())
        };
        prop_oneof![
            (0u8..0x80).prop_map(|byte| vec![byte]),
            (0xc0u8..0xe0, byte()).prop_map(|(first, second)| vec![first, second]),
            (0xf1u8..=0xf4, many(byte(), 8)).prop_map(|(first, value)| {
                let width = if first == 0xf4 { 8 } else { usize::from(first - 0xf1) + 2 };
                [&[first], &value[..width]].concat()
            }),
            string(|len| vec![0x80 | len as u8], 64),
            string(|len| vec![0xe0 | (len >> 8) as u8, len as u8], 300),
            string(|len| [&[0xf0], &(len as u32).to_le_bytes()[..]].concat(), 300),
        ]
    }

    /// What is done to a backlen.
    #[derive(Clone, Debug)]
    enum Fault {
        None,
        /// Its first byte says that another one stands before it.
        Continued,
        /// It has more groups than it needs.
        Longer(usize),
        Changed(Index, u8),
    }

    fn backlen(len: usize, fault: Fault) -> Vec<u8> {
        let longer = if let Fault::Longer(groups) = fault { groups } else { 0 };
        let groups = if len < 128 { 1 } else { 2 } + longer;
        let mut bytes: Vec<u8> = (0..groups).rev().map(|group| (len >> (7 * group) & 0x7f) as u8 | 0x80).collect();
        bytes[0] &= 0x7f;
        match fault {
            Fault::None | Fault::Longer(_) => {}
            Fault::Continued => bytes[0] |= 0x80,
            Fault::Changed(index, byte) => {
                let index = index.index(bytes.len());
                bytes[index] = byte;
            }
        }
        bytes
    }

    fn entry() -> impl Strategy<Value = Vec<u8>> {
        let fault = prop_oneof![
            20 => Just(Fault::None),
            2 => Just(Fault::Continued),
            1 => (1usize..4).prop_map(Fault::Longer),
            1 => any::<(Index, u8)>().prop_map(|(index, byte)| Fault::Changed(index, byte)),
        ];
        (data(), fault).prop_map(|(data, fault)| {
            let end = backlen(data.len(), fault);
            [data, end].concat()
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn what_is_accepted_reads_the_same_from_both_ends(
            entries in many(entry(), 0..6),
            program in many(any::<u8>(), 0..30),
        ) {
            let bytes = entries.concat();
            fuzz_packed(&[&[program.len() as u8], &program[..], &bytes].concat());
        }

        #[test]
        fn what_is_accepted_of_damaged_encodings_reads_the_same_from_both_ends(
            texts in many(any::<u8>(), 0..12),
            changes in many(any::<(Index, u8)>(), 0..4),
            program in many(any::<u8>(), 0..30),
            ints: bool,
        ) {
            let mut bytes = if ints {
                let mut intset = Intset::new();
                texts.iter().filter_map(|&choice| Elem::Bytes(&text(choice)).as_int()).for_each(|n| { intset.insert(n); });
                intset.as_bytes().to_vec()
            } else {
                let texts: Vec<_> = texts.into_iter().map(text).collect();
                texts.iter().map(|text| Elem::from(&text[..])).collect::<Listpack>().into_bytes()
            };
            for (index, byte) in changes {
                let index = index.index(bytes.len());
                bytes[index] = byte;
            }
            fuzz_packed(&[&[program.len() as u8], &program[..], &bytes].concat());
        }
    }

    /// `RESTORE z 0` of this and `ZADD z 0 aaaa…` stopped a server at `ZREVRANGE z 0 -1`: the backlen 0x81 of the empty string has a
    /// continuation bit, so a walk backwards reads on into the string's own first byte, and further when that entry has moved.
    #[test]
    fn a_backlen_that_reads_on_into_the_data_is_refused() {
        let bytes = b"\x0b\0\0\0\x02\0\x80\x81\x01\x01\xff";
        assert_eq!(Listpack::validate(&bytes[..]).map_err(|error| error.offset), Err(7));
        for (data, backlen) in
            [(&b"\x81a"[..], &b"\x82"[..]), (b"\x81\0", b"\x82"), (b"\0", b"\x80\x81"), (b"\x81a", b"\0\x82")]
        {
            let bytes = as_listpack(&[data, backlen].concat());
            assert!(Listpack::validate(bytes).is_err(), "{data:?} {backlen:?}");
        }
    }
}
