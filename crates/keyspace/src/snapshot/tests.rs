//! Snapshots of several databases.

use super::*;
use crate::db::Expiry;

#[test]
fn a_snapshot_gives_each_database_with_its_counts() {
    let mut keyspace = Keyspace::new(4);
    for number in 0..500 {
        let key = format!("key:{number}");
        keyspace.db_mut(1).set(key.as_bytes(), b"one", Expiry::Clear);
        keyspace.db_mut(3).set(key.as_bytes(), b"three", if number < 5 { Expiry::At(9) } else { Expiry::Clear });
    }
    let snapshot = keyspace.snapshot();
    assert_eq!((snapshot.len(), keyspace.snapshots_alive()), (1000, 1));
    keyspace.swap(1, 2);
    keyspace.db_mut(3).clear();
    let mut entries = snapshot.into_entries();
    assert!(entries.next_entry().is_none());
    assert_eq!(entries.next_db(), Some(DbHeader { number: 1, keys: 500, expires: 0 }));
    let mut count = 0;
    while let Some(entry) = entries.next_entry() {
        assert!(entry.expire_at().is_none());
        count += 1;
    }
    assert_eq!(count, 500);
    assert_eq!(entries.next_db(), Some(DbHeader { number: 3, keys: 500, expires: 5 }));
    // The rest may be left unread.
    assert!(entries.next_entry().is_some());
    assert_eq!(entries.next_db(), None);
    assert_eq!(keyspace.snapshots_alive(), 1);
    drop(entries);
    assert_eq!(keyspace.snapshots_alive(), 0);
    assert_eq!((keyspace.db(2).len(), keyspace.db(3).len()), (500, 0));
}

#[test]
fn replacing_everything_returns_the_old_data() {
    let mut keyspace = Keyspace::new(2);
    keyspace.db_mut(0).set(b"old", b"1", Expiry::Clear);
    let mut loaded = Keyspace::new(2);
    loaded.db_mut(1).set(b"new", b"2", Expiry::Clear);
    let old = keyspace.replace(loaded);
    assert!(old[0].get(b"old").is_some());
    assert!(keyspace.db(0).is_empty() && keyspace.db(1).get(b"new").is_some());
}
