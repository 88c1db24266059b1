//! Tests of lists against a `VecDeque`, with the forms that clients can see.

use super::chunk::ENTRY_OVERHEAD;
use super::*;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use std::collections::VecDeque;

type Model = VecDeque<Vec<u8>>;

fn limits(size: i32) -> Limits {
    Limits { list_max_listpack_size: size, ..Limits::default() }
}

fn texts(list: &List) -> Vec<Vec<u8>> {
    list.iter().map(Elem::to_vec).collect()
}

fn check_chunks(list: &List, limits: &Limits) {
    let mut total = 0;
    for chunk in list.chunks() {
        total += match chunk {
            ChunkRef::Packed(listpack) => {
                assert_eq!(base::listpack::check_listpack(listpack.as_bytes()), Ok(listpack.len()));
                assert!(!listpack.is_empty());
                listpack.len()
            }
            ChunkRef::Plain(bytes) => {
                assert!(limits.is_large_in_list(bytes.len()));
                1
            }
        };
    }
    assert_eq!(total, list.len());
    assert_eq!(list.chunks().count(), list.chunk_count());
}

fn check_equal(list: &List, model: &Model) {
    assert_eq!(list.len(), model.len());
    assert_eq!(list.is_empty(), model.is_empty());
    assert!(list.iter().map(Elem::to_vec).eq(model.iter().cloned()));
    let last = model.len().wrapping_sub(1);
    assert!(list.iter_back_from(last).map(Elem::to_vec).eq(model.iter().rev().cloned()));
    for index in (0..model.len()).step_by(7) {
        assert!(list.get(index).unwrap().is(&model[index]));
        assert!(list.iter_from(index).map(Elem::to_vec).eq(model.range(index..).cloned()));
        assert!(list.iter_back_from(index).map(Elem::to_vec).eq(model.range(..=index).rev().cloned()));
    }
    assert!(list.get(model.len()).is_none());
}

#[derive(Clone, Debug)]
enum Step {
    Push(bool, Vec<Vec<u8>>),
    Pop(bool, usize),
    Set(Index, Vec<u8>),
    Insert(Index, Vec<u8>),
    Beside(bool, Vec<u8>, Vec<u8>),
    RemoveMatching(i64, Vec<u8>),
    RemoveRange(Index, usize),
    Trim(Index, Index),
    Clone,
}

/// Few different texts, so that searches find something, and now and then a long one.
fn text() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        6 => (0u32..20).prop_map(|number| number.to_string().into_bytes()),
        3 => (0u32..8).prop_map(|number| format!("text {number}").into_bytes()),
        1 => (4000usize..9000).prop_map(|len| vec![b'x'; len]),
    ]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        5 => (any::<bool>(), vec(text(), 1..30)).prop_map(|(front, texts)| Step::Push(front, texts)),
        1 => (any::<bool>(), 1usize..20).prop_map(|(front, count)| Step::Pop(front, count)),
        2 => (any::<Index>(), text()).prop_map(|(at, text)| Step::Set(at, text)),
        4 => (any::<Index>(), text()).prop_map(|(at, text)| Step::Insert(at, text)),
        2 => (any::<bool>(), text(), text()).prop_map(|(after, pivot, text)| Step::Beside(after, pivot, text)),
        1 => (-4i64..4, text()).prop_map(|(count, text)| Step::RemoveMatching(count, text)),
        1 => (any::<Index>(), 0usize..20).prop_map(|(at, count)| Step::RemoveRange(at, count)),
        1 => (any::<Index>(), any::<Index>()).prop_map(|(start, end)| Step::Trim(start, end)),
        1 => Just(Step::Clone),
    ];
    vec(step, 1..60)
}

fn remove_matching(model: &mut Model, count: i64, text: &[u8]) -> usize {
    let mut found: Vec<usize> = (0..model.len()).filter(|&index| model[index] == text).collect();
    if count < 0 {
        found.reverse();
    }
    if count != 0 {
        found.truncate(count.unsigned_abs() as usize);
    }
    found.sort_unstable();
    for &index in found.iter().rev() {
        model.remove(index);
    }
    found.len()
}

fn apply(step: Step, list: &mut List, model: &mut Model, limits: &Limits) {
    match step {
        Step::Push(front, texts) => {
            let bytes = texts.iter().map(Vec::len).sum();
            list.reserve(texts.len(), bytes, limits);
            for text in texts {
                if front {
                    list.push_front(&text, limits);
                    model.push_front(text);
                } else {
                    list.push_back(&text, limits);
                    model.push_back(text);
                }
            }
        }
        Step::Pop(front, count) => {
            for _ in 0..count {
                let (popped, expected) = if front {
                    (list.pop_front(limits, |elem| elem.to_vec()), model.pop_front())
                } else {
                    (list.pop_back(limits, |elem| elem.to_vec()), model.pop_back())
                };
                assert_eq!(popped, expected);
            }
        }
        Step::Set(at, text) => {
            let at = at.index(model.len() + 1);
            assert_eq!(list.set(at, &text, limits), at < model.len());
            if let Some(old) = model.get_mut(at) {
                *old = text;
            }
        }
        Step::Insert(at, text) => {
            let at = at.index(model.len() + 1);
            list.insert(at, &text, limits);
            model.insert(at, text);
        }
        Step::Beside(after, pivot, text) => {
            let found = model.iter().position(|other| *other == pivot);
            let inserted = if after {
                list.insert_after(&pivot, &text, limits)
            } else {
                list.insert_before(&pivot, &text, limits)
            };
            assert_eq!(inserted, found.is_some());
            if let Some(at) = found {
                model.insert(at + usize::from(after), text);
            }
        }
        Step::RemoveMatching(count, text) => {
            assert_eq!(list.remove_matching(count, &text, limits), remove_matching(model, count, &text));
        }
        Step::RemoveRange(at, count) => {
            let at = at.index(model.len() + 1);
            list.remove_range(at, count, limits);
            model.drain(at..(at + count).min(model.len()));
        }
        Step::Trim(start, end) => {
            let start = start.index(model.len() / 4 + 1);
            let end = model.len() - end.index(model.len() / 4 + 1);
            list.trim(start, end, limits);
            model.truncate(end);
            model.drain(..start.min(end));
        }
        Step::Clone => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn behaves_as_a_deque(size in prop_oneof![Just(-1), Just(-2), Just(1), Just(4), Just(40)], steps in steps()) {
        let limits = limits(size);
        let mut list = List::new();
        let mut model = Model::new();
        let mut clones = Vec::new();
        for step in steps {
            if matches!(step, Step::Clone) {
                clones.push((list.clone(), model.clone()));
            }
            apply(step, &mut list, &mut model, &limits);
            check_chunks(&list, &limits);
            prop_assert_eq!(list.len(), model.len());
        }
        clones.push((list, model));
        for (list, model) in &clones {
            check_equal(list, model);
        }
    }

    #[test]
    fn positions_are_those_of_a_search(
        texts in vec(0u8..4, 0..60),
        rank in prop_oneof![-5i64..0, 1i64..5],
        count in 0usize..6,
        looked_at in 0usize..80,
        size in prop_oneof![Just(-2), Just(5)],
    ) {
        let limits = limits(size);
        let mut list = List::new();
        for text in &texts {
            list.push_back(&[b'a' + text], &limits);
        }
        let all: Vec<usize> = if rank > 0 { (0..texts.len()).collect() } else { (0..texts.len()).rev().collect() };
        let expected: Vec<usize> = all
            .into_iter()
            .take(looked_at)
            .filter(|&index| texts[index] == 1)
            .skip(rank.unsigned_abs() as usize - 1)
            .take(count)
            .collect();
        prop_assert_eq!(list.positions(b"b", rank, count, looked_at), expected);
    }
}

#[test]
fn a_clone_keeps_the_old_elements_through_thousands_of_writes() {
    let limits = limits(-1);
    let mut list = List::new();
    for number in 0..20_000 {
        list.push_back(format!("element {number}").as_bytes(), &limits);
    }
    let before = texts(&list);
    let snapshot = list.clone();
    for number in 0..20_000usize {
        list.set(number * 7919 % 20_000, b"changed", &limits);
    }
    for _ in 0..5_000 {
        list.pop_front(&limits, |_| ());
        list.push_back(b"new", &limits);
    }
    assert_eq!(texts(&snapshot), before);
    assert!(texts(&list).iter().all(|text| text == b"changed" || text == b"new"));
}

/// The rules of Redis 7.2 for `OBJECT ENCODING` of lists.
#[test]
fn forms_change_where_those_of_redis_do() {
    let limits = limits(4);
    let mut list = List::new();
    for _ in 0..4 {
        list.push_back(b"a", &limits);
    }
    assert_eq!(list.encoding(), "listpack");
    list.push_back(b"a", &limits);
    assert_eq!((list.encoding(), list.chunk_count()), ("quicklist", 2));
    // Down to one chunk of half the limit.
    for left in [4, 3] {
        list.pop_back(&limits, |_| ());
        assert_eq!((list.len(), list.encoding()), (left, "quicklist"));
    }
    list.pop_back(&limits, |_| ());
    assert_eq!((list.len(), list.encoding()), (2, "listpack"));

    let bytes = Limits::default();
    let mut list = List::new();
    list.push_back(&[b'x'; 8185], &bytes);
    assert_eq!(list.encoding(), "listpack");
    list.push_front(b"y", &bytes);
    assert_eq!(list.encoding(), "quicklist");
    list.set(1, b"z", &bytes);
    assert_eq!(list.encoding(), "quicklist");
    list.pop_front(&bytes, |_| ());
    assert_eq!(list.encoding(), "listpack");

    let mut list = List::new();
    list.push_back(&[b'x'; 8193], &bytes);
    assert!(matches!(list.chunks().next(), Some(ChunkRef::Plain(_))));
    list.push_back(b"y", &bytes);
    assert_eq!((list.encoding(), list.chunk_count()), ("quicklist", 2));
    list.set(0, b"short", &bytes);
    assert_eq!((list.encoding(), list.chunk_count()), ("listpack", 1));

    // Many elements at once make a list long before the first of them is added.
    let mut list = List::new();
    list.reserve(2, 9000, &bytes);
    assert_eq!((list.encoding(), list.chunk_count(), list.is_empty()), ("quicklist", 0, true));
}

#[test]
fn loading_chooses_the_form() {
    let pack = |count: usize| base::listpack::Listpack::from_iter((0..count as i64).map(Elem::Int));
    let limits = limits(4);
    let load = |chunks: &[usize]| {
        let mut list = List::new();
        for &count in chunks {
            list.push_chunk(&pack(count));
        }
        list.loaded(&limits);
        (list.encoding(), list.chunk_count(), list.len())
    };
    assert_eq!(load(&[4]), ("listpack", 1, 4));
    assert_eq!(load(&[5]), ("quicklist", 1, 5));
    assert_eq!(load(&[2, 0, 1]), ("quicklist", 2, 3));
    assert_eq!(List::from_listpack(&pack(4), &limits).encoding(), "listpack");
    assert_eq!(List::from_listpack(&pack(5), &limits).encoding(), "quicklist");
    let mut plain = List::new();
    plain.push_plain(vec![b'x'; 10_000]);
    plain.loaded(&limits);
    assert_eq!((plain.encoding(), plain.len()), ("quicklist", 1));
    assert!(plain.get(0).unwrap().is(&[b'x'; 10_000]));
}

#[test]
fn inserting_in_the_middle_keeps_chunks_full() {
    let limits = limits(8);
    let mut list = List::new();
    for _ in 0..16 {
        list.push_back(b"a", &limits);
    }
    for _ in 0..400 {
        list.insert(list.len() / 2, b"b", &limits);
    }
    let long = vec![b'x'; 8193];
    list.insert(100, &long, &limits);
    assert!(list.get(100).unwrap().is(&long));
    assert_eq!(list.len(), 417);
    assert!(list.chunk_count() <= 417 / 4, "{} chunks", list.chunk_count());
}

#[test]
fn memory_follows_the_elements() {
    let limits = Limits::default();
    let mut list = List::new();
    let empty = list.memory_usage();
    for number in 0..100_000 {
        list.push_back(format!("element:{number:08}").as_bytes(), &limits);
    }
    let full = list.memory_usage();
    assert!(empty < 64 && full > 1_800_000 && full < 2_500_000, "{empty} {full}");
}

#[test]
fn a_chunk_never_takes_more_than_its_size_and_wastes_little_of_it() {
    let limits = Limits::default();
    for len in (1..=300).chain([1000, 2000, 4000]) {
        let (mut fronts, mut backs) = (List::new(), List::new());
        let value = vec![b'v'; len];
        for _ in 0..(40_000 / len).max(50) {
            fronts.push_front(&value, &limits);
            backs.push_back(&value, &limits);
        }
        for list in [&fronts, &backs] {
            let Form::Long(chunks) = &list.0 else { panic!("a list of this size has chunks") };
            let sizes: Vec<usize> = chunks.iter().map(Chunk::memory_usage).collect();
            // The oldest was the whole list once, and the newest is not full yet.
            let between = &sizes[1..sizes.len() - 1];
            assert!(between.iter().all(|&size| size <= 8192), "{len}: {sizes:?}");
            assert!(between.iter().all(|&size| size + len + 2 * ENTRY_OVERHEAD > 8192), "{len}: {sizes:?}");
        }
    }
}

#[test]
fn lists_can_be_sent_to_other_threads() {
    fn check<T: Send + Sync>() {}
    check::<List>();
    check::<Offcuts>();
}

#[test]
fn only_large_offcuts_are_left_to_others() {
    let limits = Limits { list_max_listpack_size: 4, ..Limits::default() };
    let check = |removed: usize, heavy: &[usize]| {
        let mut list = List::new();
        (0..1000).for_each(|n: i32| list.push_back(n.to_string().as_bytes(), &limits));
        let offcuts = list.remove_range(8, removed, &limits);
        assert_eq!(list.len(), 1000 - removed);
        assert_eq!(offcuts.into_heavy().map(|list| list.len()).collect::<Vec<_>>(), heavy, "{removed}");
    };
    check(1, &[]);
    check(100, &[]);
    check(400, &[400]);
}
