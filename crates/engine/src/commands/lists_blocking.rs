//! The list commands that wait until there is something to pop.
//!
//! A handler tries what its plain form does; where that finds nothing it waits, and is run again from the start when
//! one of its keys has come to be. What it did is propagated as the plain form, which never waits.

use super::lists::{End, move_one, mpop, mpop_options, pop_one};
use super::options::timeout_ms;
use crate::blocking::InVain;
use crate::engine::Engine;
use crate::error::Result;
use crate::store::KeyKind;
use crate::table::Run;
use resp::{Args, Out};

/// The handlers of this family.
pub const COMMANDS: super::Family = &[
    ("blmove", Run::Plain(blmove)),
    ("blmpop", Run::Plain(blmpop)),
    ("blpop", Run::Plain(|e, a| bpop(e, a, End::Left))),
    ("brpop", Run::Plain(|e, a| bpop(e, a, End::Right))),
    ("brpoplpush", Run::Plain(brpoplpush)),
];

fn bpop(e: &mut Engine, a: &Args, end: End) -> Result {
    let last = a.len() - 1;
    let timeout = timeout_ms(&a[last])?;
    let keys = || a.iter_from(1).take(last - 1);
    for key in keys() {
        let before = |out: &mut Out| {
            out.array(2);
            out.bulk(key);
        };
        if pop_one(e, key, end, before)? {
            let db = e.store.db;
            e.store.fx.rewrite(db, &[end.pop_command(), key]);
            return Ok(());
        }
    }
    let keys: Vec<&[u8]> = keys().collect();
    e.block(a, &keys, KeyKind::List, timeout, InVain::NullArray);
    Ok(())
}

fn blmpop(e: &mut Engine, a: &Args) -> Result {
    let (keys, end, n) = mpop_options(a, 2)?;
    let timeout = timeout_ms(&a[1])?;
    if !mpop(e, &keys, end, n)? {
        e.block(a, &keys, KeyKind::List, timeout, InVain::NullArray);
    }
    Ok(())
}

fn blmove(e: &mut Engine, a: &Args) -> Result {
    let (from_end, to_end) = (End::parse(&a[3])?, End::parse(&a[4])?);
    let timeout = timeout_ms(&a[5])?;
    if move_one(e, &a[1], &a[2], from_end, to_end)? {
        let db = e.store.db;
        e.store.fx.rewrite(db, &[b"LMOVE", &a[1], &a[2], &a[3], &a[4]]);
    } else {
        e.block(a, &[&a[1]], KeyKind::List, timeout, InVain::Null);
    }
    Ok(())
}

fn brpoplpush(e: &mut Engine, a: &Args) -> Result {
    let timeout = timeout_ms(&a[3])?;
    if move_one(e, &a[1], &a[2], End::Right, End::Left)? {
        let db = e.store.db;
        e.store.fx.rewrite(db, &[b"RPOPLPUSH", &a[1], &a[2]]);
    } else {
        e.block(a, &[&a[1]], KeyKind::List, timeout, InVain::Null);
    }
    Ok(())
}
