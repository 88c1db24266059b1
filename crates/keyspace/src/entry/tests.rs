//! Layouts, changes in place and sharing of single entries.

use super::*;

fn bytes(entry: &Entry) -> Vec<u8> {
    match entry.value() {
        ValueRef::Bytes(bytes) => bytes.to_vec(),
        ValueRef::Int(number) => number.to_string().into_bytes(),
        other => panic!("{other:?} is no string"),
    }
}

#[track_caller]
fn check(entry: &Entry, key: &[u8], value: &[u8], expire: Option<i64>, access: u32) {
    assert_eq!(entry.key(), key);
    assert_eq!(bytes(entry), value);
    assert_eq!(entry.expire_at(), expire);
    assert_eq!(entry.access(), access);
}

const KEYS: [usize; 5] = [0, 16, 255, 256, 70_000];
const VALUES: [usize; 6] = [0, 64, 1023, 1024, 1025, 200_000];

#[test]
fn every_shape_keeps_what_it_is_given() {
    for key_len in KEYS {
        let key = vec![b'k'; key_len];
        for expire in [None, Some(0), Some(i64::MIN), Some(1_700_000_000_123)] {
            for len in VALUES {
                let value: Vec<u8> = (0..len).map(|at| at as u8).collect();
                let mut entry = Entry::new_bytes(&key, &value, expire);
                entry.set_access(0xab_cdef);
                check(&entry, &key, &value, expire, 0xab_cdef);
                for next in VALUES {
                    let twin = entry.clone();
                    let before = bytes(&twin);
                    let value = vec![next as u8; next];
                    entry.set_bytes(&value);
                    check(&entry, &key, &value, expire, 0xab_cdef);
                    assert_eq!(bytes(&twin), before, "the other handle must not see the change");
                    drop(twin);
                    entry.set_bytes(b"short");
                    check(&entry, &key, b"short", expire, 0xab_cdef);
                }
                entry.set_int(-5);
                check(&entry, &key, b"-5", expire, 0xab_cdef);
                entry.set_expire(Some(7));
                check(&entry, &key, b"-5", Some(7), 0xab_cdef);
                entry.set_expire(None);
                let entry = entry.renamed(b"other");
                check(&entry, b"other", b"-5", None, 0xab_cdef);
            }
        }
    }
}

#[test]
fn small_entries_have_small_allocations() {
    assert_eq!(Entry::new_bytes(&[b'k'; 16], &[b'v'; 64], None).memory_usage(), 96);
    assert_eq!(Entry::new_int(&[b'k'; 16], 1, None).memory_usage(), 48);
    assert_eq!(Entry::new_member(b"abcd").memory_usage(), 16);
    assert_eq!(Entry::new_score(b"member:00012", 1.5).memory_usage(), 32);
    assert_eq!(size_of::<Option<Entry>>(), 8);
}

#[test]
fn a_string_of_the_same_class_is_overwritten_in_place() {
    let mut entry = Entry::new_bytes(&[b'k'; 16], &[b'v'; 64], None);
    let place = entry.address();
    entry.set_bytes(&[b'w'; 60]);
    entry.set_bytes(&[b'x'; 68]);
    assert_eq!(entry.address(), place);
    assert_eq!(bytes(&entry), [b'x'; 68]);
    let twin = entry.clone();
    entry.set_bytes(&[b'y'; 64]);
    assert_ne!(entry.address(), place);
    assert_eq!(bytes(&twin), [b'x'; 68]);
}

#[test]
fn appending_and_ranges_work_across_all_forms() {
    let mut entry = Entry::new_int(b"k", 12, Some(9));
    let mut model = b"12".to_vec();
    for step in 0..300usize {
        let twin = (step % 3 == 0).then(|| (entry.clone(), model.clone()));
        if step % 2 == 0 {
            model.extend(vec![step as u8; step % 40]);
            assert_eq!(entry.append(&vec![step as u8; step % 40]), Some(model.len()));
        } else {
            let at = (step * 37) % (model.len() + 20);
            if model.len() < at + 5 {
                model.resize(at + 5, 0);
            }
            model[at..at + 5].copy_from_slice(b"range");
            assert_eq!(entry.set_range(at, b"range"), Some(model.len()));
        }
        assert_eq!(bytes(&entry), model, "step {step}");
        if let Some((twin, then)) = twin {
            assert_eq!(bytes(&twin), then, "step {step}");
        }
    }
    assert!(model.len() > 2 * INLINE_MAX && entry.expire_at() == Some(9));
    assert_eq!(entry.set_range(10, b""), Some(model.len()), "nothing is written, so nothing is padded");
    assert_eq!(entry.bytes_mut(0).map(|bytes| bytes.len()), Some(model.len()));
    assert_eq!(Entry::new_member(b"m").append(b"x"), None);
}

#[test]
fn scores_and_members_are_what_they_are() {
    let mut entry = Entry::new_score(b"m", -0.5);
    let twin = entry.clone();
    entry.set_score(f64::INFINITY);
    assert_eq!((entry.score(), twin.score()), (Some(f64::INFINITY), Some(-0.5)));
    assert!(matches!(Entry::new_member(b"m").value(), ValueRef::None));
}

#[test]
fn only_large_things_are_heavy() {
    assert!(!Entry::new_bytes(b"k", &[0; 1000], None).is_heavy());
    assert!(!Entry::new_bytes(b"k", &[0; 10_000], None).is_heavy());
    assert!(Entry::new_bytes(b"k", &[0; 100_000], None).is_heavy());
}

#[test]
fn the_last_handle_may_be_dropped_anywhere() {
    let entries: Vec<Entry> = (0..100).map(|at| Entry::new_bytes(b"k", &vec![1; at * 40], None)).collect();
    let twins = entries.clone();
    let thread = std::thread::spawn(move || drop(twins));
    drop(entries);
    thread.join().unwrap();
}
