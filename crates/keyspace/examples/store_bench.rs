//! Measures the store: time for each SET and GET at a million keys, bytes for each key, the cost of a snapshot.
//!
//! Run with `cargo run --release -p keyspace --example store_bench [KEYS]`. It prints nanoseconds (the best of three rounds) and bytes.

use keyspace::{Expiry, Keyspace, ValueRef, hash, memory};
use std::hint::black_box;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

const BATCH: usize = 64;

fn key(number: usize) -> [u8; 16] {
    let mut key = *b"key:000000000000";
    let mut rest = number;
    for digit in key[4..].iter_mut().rev() {
        *digit = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    key
}

/// Resident bytes of the process, from the kernel.
fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    statm.split(' ').nth(1).and_then(|pages| pages.parse::<usize>().ok()).unwrap_or(0) * 4096
}

fn random(state: &mut u64) -> usize {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    (*state >> 16) as usize
}

/// The best time of three rounds of `ops` operations, in nanoseconds for each.
fn timed(name: &str, ops: usize, mut round: impl FnMut()) {
    let mut best = f64::MAX;
    for _ in 0..3 {
        let start = Instant::now();
        round();
        best = best.min(start.elapsed().as_nanos() as f64 / ops as f64);
    }
    println!("{name:<44} {best:8.1} ns");
}

fn main() {
    let keys: usize = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(1_000_000);
    let meter = memory::Meter::new();
    let mut keyspace = Keyspace::new(16);
    let value = [b'x'; 64];
    let ops = 1_000_000;
    // The order is drawn beforehand, so that drawing is not measured.
    let mut state = 0x9e37_79b9_7f4a_7c15;
    let order: Vec<[u8; 16]> = (0..ops).map(|_| key(random(&mut state) % keys)).collect();

    let (resident_before, used_before) = (resident(), meter.used());
    let start = Instant::now();
    for number in 0..keys {
        keyspace.db_mut(0).set(&key(number), &value, Expiry::Clear);
    }
    println!("{:<44} {:8.1} ns", "SET, new keys", start.elapsed().as_nanos() as f64 / keys as f64);
    println!("{:<44} {:8.1}", "bytes for each key, allocated", (meter.used() - used_before) as f64 / keys as f64);
    println!("{:<44} {:8.1}", "bytes for each key, resident", (resident() - resident_before) as f64 / keys as f64);

    timed("hash of 16 bytes", ops, || {
        for key in &order {
            black_box(hash(key));
        }
    });
    timed("used memory", ops, || {
        for _ in 0..ops {
            black_box(meter.used());
        }
    });
    timed("GET, random", ops, || {
        for key in &order {
            let entry = keyspace.db(0).get(key).expect("all keys were set");
            black_box(matches!(entry.value(), ValueRef::Bytes(bytes) if bytes[63] == b'x'));
        }
    });
    timed("SET, random, overwriting", ops, || {
        for key in &order {
            keyspace.db_mut(0).set(key, black_box(&value), Expiry::Clear);
        }
    });
    let mut hashes = [0; BATCH];
    timed("GET, random, prefetched batches of 64", ops, || {
        for batch in order.chunks_exact(BATCH) {
            hashes.iter_mut().zip(batch).for_each(|(slot, key)| *slot = hash(key));
            keyspace.db(0).prefetch(&hashes, &());
            for (key, hash) in batch.iter().zip(hashes) {
                let entry = keyspace.db(0).get_hashed(hash, key).expect("all keys were set");
                black_box(matches!(entry.value(), ValueRef::Bytes(bytes) if bytes[63] == b'x'));
            }
        }
    });
    timed("SET, random, prefetched batches of 64", ops, || {
        for batch in order.chunks_exact(BATCH) {
            hashes.iter_mut().zip(batch).for_each(|(slot, key)| *slot = hash(key));
            keyspace.db(0).prefetch(&hashes, &());
            for (key, hash) in batch.iter().zip(hashes) {
                keyspace.db_mut(0).set_hashed(hash, key, black_box(&value), Expiry::Clear);
            }
        }
    });

    timed("snapshot taken and dropped", 1, || drop(black_box(keyspace.snapshot())));

    overwrite_beside_a_reader(&mut keyspace, &meter, &order);

    let hits = &order[..ops / 4];
    let start = Instant::now();
    let mut removed = 0usize;
    for key in hits {
        removed += usize::from(keyspace.db_mut(0).delete(key));
    }
    println!("{:<44} {:8.1} ns", "DEL, random", start.elapsed().as_nanos() as f64 / hits.len() as f64);
    assert_eq!(keyspace.db(0).len(), keys - removed);
}

/// A background thread reads a snapshot to its end while this one overwrites keys as fast as it can.
fn overwrite_beside_a_reader(keyspace: &mut Keyspace, meter: &memory::Meter, order: &[[u8; 16]]) {
    let other = [b'y'; 64];
    meter.refresh();
    let before = meter.used();
    let (mut peak, mut writes, mut longest) = (before, 0usize, 0);
    let done = AtomicBool::new(false);
    let snapshot = keyspace.snapshot();
    let start = Instant::now();
    std::thread::scope(|scope| {
        let done = &done;
        scope.spawn(move || {
            let _registered = memory::register_thread();
            let mut entries = snapshot.into_entries();
            let (mut count, mut sum) = (0usize, 0u64);
            while entries.next_db().is_some() {
                while let Some(entry) = entries.next_entry() {
                    count += 1;
                    if let ValueRef::Bytes(bytes) = entry.value() {
                        sum += bytes.iter().map(|byte| u64::from(*byte)).sum::<u64>();
                    }
                }
            }
            assert!(sum == count as u64 * 64 * u64::from(b'x'), "the snapshot shows a later write");
            done.store(true, Ordering::Release);
        });
        let mut last = Instant::now();
        for batch in order.chunks(BATCH).cycle() {
            if done.load(Ordering::Acquire) {
                break;
            }
            for key in batch {
                keyspace.db_mut(0).set(key, &other, Expiry::Clear);
            }
            writes += batch.len();
            meter.refresh();
            peak = peak.max(meter.used());
            let now = Instant::now();
            longest = longest.max((now - last).as_micros());
            last = now;
        }
    });
    let elapsed = start.elapsed();
    println!("{:<44} {:8.1} ms", "snapshot read by another thread", elapsed.as_secs_f64() * 1e3);
    println!("{:<44} {:8.1} ns", "SET meanwhile", elapsed.as_nanos() as f64 / writes as f64);
    println!("{:<44} {:8} us", "longest batch of 64 meanwhile", longest);
    println!("{:<44} {:8.1} %", "more memory at the peak", (peak - before) as f64 / before as f64 * 100.0);
}
