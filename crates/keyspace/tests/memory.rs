//! The memory counters of several threads. A binary of its own, as only here jemalloc is the allocator.

use keyspace::memory::{Meter, register_thread, used_memory};

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Room for the small things that the test itself allocates.
const NOISE: usize = 64 << 10;

fn near(got: usize, want: usize) -> bool {
    got.abs_diff(want) < NOISE
}

#[test]
fn own_others_and_ended_threads_are_counted() {
    const BIG: usize = 8 << 20;
    let meter = Meter::new();
    let start = meter.used();
    let own = vec![1u8; BIG];
    assert!(near(meter.used(), start + BIG), "own memory counts at once");
    drop(own);
    assert!(near(meter.used(), start));

    let (to_thread, orders) = std::sync::mpsc::channel::<()>();
    let (from_thread, reports) = std::sync::mpsc::channel::<Vec<u8>>();
    let thread = std::thread::spawn(move || {
        let _registered = register_thread();
        from_thread.send(vec![2u8; BIG]).unwrap();
        orders.recv().unwrap();
    });
    let gift = reports.recv().unwrap();
    assert!(near(meter.used(), start), "others count after a refresh only");
    meter.refresh();
    assert!(near(meter.used(), start + BIG));
    to_thread.send(()).unwrap();
    thread.join().unwrap();
    meter.refresh();
    assert!(near(meter.used(), start + BIG), "what an ended thread allocated is still there");
    assert!(used_memory().abs_diff(meter.used()) < NOISE);
    drop(gift);
    assert!(near(meter.used(), start), "freed here, allocated there: the sum is right");
}
