//! Tests of sorted sets against a sorted vector, with the forms that clients can see.

use super::*;
use proptest::collection::vec;
use proptest::prelude::*;
use std::cmp::Ordering;

/// Members and scores, kept in order.
#[derive(Clone, Default)]
struct Model(Vec<(Vec<u8>, f64)>);

impl Model {
    fn insert(&mut self, member: &[u8], score: f64) -> Change {
        let change = match self.score(member) {
            Some(old) if old == score => return Change::Same,
            Some(_) => Change::Updated,
            None => Change::Added,
        };
        self.0.retain(|pair| pair.0 != member);
        self.0.push((member.to_vec(), score));
        self.0.sort_by(|left, right| table::compare((left.1, &left.0), (right.1, &right.0)));
        change
    }

    fn score(&self, member: &[u8]) -> Option<f64> {
        self.0.iter().find(|pair| pair.0 == member).map(|pair| pair.1)
    }

    fn remove(&mut self, member: &[u8]) -> Option<f64> {
        let rank = self.rank(member)?;
        Some(self.0.remove(rank).1)
    }

    fn rank(&self, member: &[u8]) -> Option<usize> {
        self.0.iter().position(|pair| pair.0 == member)
    }
}

fn small_limits() -> Limits {
    Limits { zset_max_listpack_entries: 12, zset_max_listpack_value: 10, ..Limits::default() }
}

fn owned((member, score): (Elem<'_>, f64)) -> (Vec<u8>, f64) {
    (member.to_vec(), score)
}

fn check_equal(zset: &ZSet, model: &Model) {
    let pairs = &model.0;
    assert_eq!((zset.len(), zset.is_empty()), (pairs.len(), pairs.is_empty()));
    assert!(zset.iter().map(owned).eq(pairs.iter().cloned()));
    assert!(zset.iter_back_from(pairs.len().wrapping_sub(1)).map(owned).eq(pairs.iter().rev().cloned()));
    for (rank, (member, score)) in pairs.iter().enumerate() {
        assert_eq!((zset.rank(member), zset.score(member)), (Some(rank), Some(*score)));
        assert_eq!(zset.get(rank).map(owned).as_ref(), Some(&pairs[rank]));
        assert!(zset.iter_from(rank).map(owned).eq(pairs[rank..].iter().cloned()));
        assert!(zset.iter_back_from(rank).map(owned).eq(pairs[..=rank].iter().rev().cloned()));
    }
    assert!(zset.get(pairs.len()).is_none() && zset.rank(b"absent").is_none());
    let (mut cursor, mut scanned) = (0, Vec::new());
    loop {
        cursor = zset.scan(cursor, 5, |member, score| scanned.push((member.to_vec(), score)));
        if cursor == 0 {
            break;
        }
    }
    scanned.sort_by(|left, right| table::compare((left.1, &left.0), (right.1, &right.0)));
    assert_eq!(&scanned, pairs);
    if let Some(listpack) = zset.as_listpack() {
        let again = ZSet::from_listpack(listpack.clone(), &small_limits()).unwrap();
        assert!(again.iter().map(owned).eq(pairs.iter().cloned()));
    }
}

fn member() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        10 => (-9i32..25).prop_map(|number| number.to_string().into_bytes()),
        5 => (0u32..12).prop_map(|number| format!("m{number}").into_bytes()),
        1 => Just(vec![b'x'; 11]),
    ]
}

fn score() -> impl Strategy<Value = f64> {
    prop_oneof![
        4 => (-4i32..4).prop_map(f64::from),
        2 => (-40i32..40).prop_map(|tenths| f64::from(tenths) / 10.0),
        1 => prop_oneof![Just(f64::INFINITY), Just(f64::NEG_INFINITY), Just(1e20), Just(-0.0)],
        1 => any::<f64>().prop_filter("scores are numbers", |score| !score.is_nan()),
    ]
}

fn lex_bounds(member: &[u8]) -> [LexBound<'_>; 4] {
    [LexBound::Min, LexBound::Included(member), LexBound::Excluded(member), LexBound::Max]
}

fn score_bound() -> impl Strategy<Value = ScoreBound> {
    (score(), any::<bool>()).prop_map(
        |(score, included)| {
            if included { ScoreBound::Included(score) } else { ScoreBound::Excluded(score) }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn behaves_as_a_sorted_vector(
        steps in vec((0u8..16, member(), score(), 0usize..20, 0usize..5), 1..100),
        packed: bool,
        bounds in vec((score_bound(), score_bound()), 8),
    ) {
        let limits = if packed { Limits::default() } else { small_limits() };
        let mut zset = ZSet::new();
        let mut model = Model::default();
        let mut clones = Vec::new();
        for (step, member, score, rank, count) in steps {
            match step {
                0..9 => prop_assert_eq!(zset.insert(&member, score, &limits), model.insert(&member, score)),
                9..11 => prop_assert_eq!(zset.remove(&member), model.remove(&member)),
                11 => {
                    let lowest = (!model.0.is_empty()).then(|| model.0.remove(0));
                    prop_assert_eq!(zset.pop_min(|member, score| (member.to_vec(), score)), lowest);
                }
                12 => {
                    prop_assert_eq!(zset.pop_max(|member, score| (member.to_vec(), score)), model.0.pop());
                }
                13 => {
                    let mut removed = Vec::new();
                    let len = zset.remove_ranks(rank..rank + count, |member, score| removed.push((member.to_vec(), score)));
                    let range = rank.min(model.0.len())..(rank + count).min(model.0.len());
                    prop_assert_eq!(len, range.len());
                    prop_assert_eq!(removed, model.0.drain(range).collect::<Vec<_>>());
                }
                14 => zset.pack(&limits),
                _ => clones.push((zset.clone(), model.clone())),
            }
            prop_assert_eq!(zset.len(), model.0.len());
        }
        clones.push((zset, model));
        for (zset, model) in &clones {
            check_equal(zset, model);
            for &(min, max) in &bounds {
                let ranks = zset.ranks_by_score(min, max);
                for (rank, pair) in model.0.iter().enumerate() {
                    let inside = !min.is_above(pair.1) && !max.is_below(pair.1);
                    prop_assert_eq!(ranks.contains(&rank), inside);
                }
            }
        }
    }

    #[test]
    fn members_of_one_score_are_found_by_their_bytes(
        members in proptest::collection::btree_set(member(), 0..40),
        (low, high) in (member(), member()),
    ) {
        for limits in [small_limits(), Limits::default()] {
            let mut zset = ZSet::new();
            for member in &members {
                zset.insert(member, 1.5, &limits);
            }
            for min in lex_bounds(&low) {
                for max in lex_bounds(&high) {
                    let ranks = zset.ranks_by_lex(min, max);
                    for (rank, member) in members.iter().enumerate() {
                        let above = match min {
                            LexBound::Min => true,
                            LexBound::Included(min) => member[..] >= *min,
                            LexBound::Excluded(min) => member[..] > *min,
                            LexBound::Max => false,
                        };
                        let below = match max {
                            LexBound::Min => false,
                            LexBound::Included(max) => member[..] <= *max,
                            LexBound::Excluded(max) => member[..] < *max,
                            LexBound::Max => true,
                        };
                        prop_assert_eq!(ranks.contains(&rank), above && below);
                    }
                }
            }
        }
    }
}

/// Made with Redis 7.0.15: `ZADD z 1.5 a -inf b 3 c 1e20 d 3 10`, then the listpack inside `DUMP`.
#[test]
fn packed_bytes_are_those_of_redis() {
    let expected = "2b0000000a00816202842d696e660581610283312e35040a01030181630203018164028531652b323006ff";
    let mut zset = ZSet::new();
    for (score, member) in [(1.5, "a"), (f64::NEG_INFINITY, "b"), (3.0, "c"), (1e20, "d"), (3.0, "10")] {
        assert_eq!(zset.insert(member.as_bytes(), score, &Limits::default()), Change::Added);
    }
    let bytes: String = zset.as_listpack().unwrap().as_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(bytes, expected);
}

#[test]
fn forms_change_where_those_of_redis_do() {
    let limits = small_limits();
    let with = |count: usize| {
        let mut zset = ZSet::new();
        for number in 0..count {
            zset.insert(number.to_string().as_bytes(), number as f64, &limits);
        }
        zset
    };
    assert_eq!(with(12).encoding(), "listpack");
    let mut big = with(13);
    assert_eq!(big.encoding(), "skiplist");
    big.pack(&limits);
    assert_eq!(big.encoding(), "skiplist");
    big.remove(b"3");
    assert_eq!(big.encoding(), "skiplist");
    big.pack(&limits);
    assert_eq!((big.encoding(), big.len()), ("listpack", 12));
    let mut long = with(1);
    long.insert(&[b'x'; 10], 1.0, &limits);
    assert_eq!(long.encoding(), "listpack");
    long.insert(&[b'x'; 11], 1.0, &limits);
    assert_eq!(long.encoding(), "skiplist");
    long.pack(&limits);
    assert_eq!(long.encoding(), "skiplist");
    let mut hinted = ZSet::new();
    hinted.reserve(12, 10, &limits);
    assert_eq!(hinted.encoding(), "listpack");
    hinted.reserve(12, 11, &limits);
    assert_eq!(hinted.encoding(), "skiplist");
}

#[test]
fn packed_bytes_from_outside_are_checked() {
    let limits = small_limits();
    let load =
        |elems: &[&str]| ZSet::from_listpack(elems.iter().map(|text| Elem::from(text.as_bytes())).collect(), &limits);
    assert_eq!(load(&["a", "1", "b"]).err(), Some(PackedError::Odd));
    assert_eq!(load(&["a", "1", "a", "2"]).err(), Some(PackedError::Double));
    assert_eq!(load(&["a", "1", "b", "x"]).err(), Some(PackedError::Score { index: 3 }));
    assert_eq!(load(&["a", "nan"]).err(), Some(PackedError::Score { index: 1 }));
    let unordered = load(&["c", "3", "b", "-inf", "d", "3", "a", "1.5"]).unwrap();
    let members: Vec<_> = unordered.iter().map(|(member, _)| member.to_vec()).collect();
    assert_eq!(members, [b"b", b"a", b"c", b"d"]);
    let many: Vec<String> = (0..26).map(|number| number.to_string()).collect();
    assert_eq!(load(&many.iter().map(String::as_str).collect::<Vec<_>>()).unwrap().encoding(), "skiplist");
}

#[test]
fn a_clone_keeps_the_old_scores_through_thousands_of_writes() {
    let limits = Limits::default();
    let mut zset = ZSet::new();
    for number in 0..10_000u32 {
        zset.insert(format!("member:{number}").as_bytes(), f64::from(number % 100), &limits);
    }
    let before: Vec<_> = zset.iter().map(owned).collect();
    let snapshot = zset.clone();
    for number in 0..10_000u32 {
        let member = format!("member:{number}");
        if number % 3 == 0 {
            assert!(zset.remove(member.as_bytes()).is_some());
        } else {
            assert_eq!(zset.insert(member.as_bytes(), f64::from(number) + 0.5, &limits), Change::Updated);
        }
    }
    assert!(snapshot.iter().map(owned).eq(before));
    assert_eq!(snapshot.score(b"member:250"), Some(50.0));
    assert_eq!(zset.score(b"member:250"), Some(250.5));
    assert_eq!(zset.rank(b"member:1"), Some(0));
    assert!(
        zset.iter().map(|(_, score)| score).is_sorted_by(|left, right| left.partial_cmp(right) == Some(Ordering::Less))
    );
    assert!(zset.memory_usage() > 6_666 * 32);
}

#[test]
fn random_members_reach_all() {
    let mut zset = ZSet::new();
    for number in 0..200u32 {
        zset.insert(number.to_string().as_bytes(), 1.0, &Limits::default());
    }
    let seen: std::collections::BTreeSet<Vec<u8>> =
        (0..200u64).map(|part| zset.random(|| part * (u64::MAX / 200) + 1000).unwrap().0.to_vec()).collect();
    assert_eq!(seen.len(), 200);
    assert!(ZSet::new().random(|| 7).is_none());
}
