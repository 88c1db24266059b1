//! What several sets have in common, have together, or one has more than others.
//!
//! Members are given one after another as they are found; only a stored result is built. A member is looked for in as
//! few sets as possible:
//!
//! ```text
//! intersection   each member of the smallest set, in the others from the next smallest on
//! union          all of the largest set, then of the next largest what is in none before it, …
//! difference     each member of the first set, in the others from the largest on;
//!                or, where that would be more work than reading all sets once, in one set made of all the others
//! ```

use super::bulk_elem;
use super::options::{is, numbered_keys, within};
use crate::engine::Engine;
use crate::error::{self, Result};
use crate::notify::Classes;
use crate::store::Store;
use crate::table::Run;
use base::listpack::Elem;
use base::num::I64_TEXT_MAX;
use keyspace::{Limits, Set, Value};
use resp::Args;
use std::ops::ControlFlow;

/// The handlers of this family.
pub const COMMANDS: super::Family = &[
    ("sdiff", Run::Plain(|e, a| reply(e, a, Operation::Difference))),
    ("sdiffstore", Run::Plain(|e, a| store(e, a, Operation::Difference))),
    ("sinter", Run::Plain(|e, a| reply(e, a, Operation::Intersection))),
    ("sintercard", Run::Plain(sintercard)),
    ("sinterstore", Run::Plain(|e, a| store(e, a, Operation::Intersection))),
    ("sunion", Run::Plain(|e, a| reply(e, a, Operation::Union))),
    ("sunionstore", Run::Plain(|e, a| store(e, a, Operation::Union))),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operation {
    Intersection,
    Union,
    Difference,
}

/// From so many sets on a union is built as one set rather than found by looking into all that came before.
const UNION_SETS_MAX: usize = 4;

/// Looks at every key once, as a read; an error where one holds no set.
fn check<'a>(store: &mut Store, keys: impl Iterator<Item = &'a [u8]>) -> Result {
    for key in keys {
        store.set(key)?;
    }
    Ok(())
}

/// Whether `member`, whose text is `text`, is in a set.
fn holds(set: &Set, member: Elem<'_>, text: &[u8]) -> bool {
    match (set.as_intset(), member) {
        (Some(ints), Elem::Int(n)) => ints.contains(n),
        _ => set.contains(text),
    }
}

fn in_any(sets: &[&Set], member: Elem<'_>) -> bool {
    let buffer = &mut [0; I64_TEXT_MAX];
    let text = member.as_bytes(buffer);
    sets.iter().any(|set| holds(set, member, text))
}

/// Gives each member of the intersection once, until `give` has enough.
fn intersection(sets: &[Option<&Set>], mut give: impl FnMut(Elem<'_>) -> ControlFlow<()>) {
    let Some(mut sets) = sets.iter().copied().collect::<Option<Vec<&Set>>>() else { return };
    sets.sort_by_key(|set| set.len());
    sets.dedup_by(|a, b| std::ptr::eq(*a, *b));
    let Some((smallest, others)) = sets.split_first() else { return };
    for member in smallest.iter() {
        let buffer = &mut [0; I64_TEXT_MAX];
        let text = member.as_bytes(buffer);
        if others.iter().all(|set| holds(set, member, text)) && give(member).is_break() {
            return;
        }
    }
}

/// Gives each member of the union once.
fn union(sets: &[Option<&Set>], limits: &Limits, mut give: impl FnMut(Elem<'_>)) -> Option<Set> {
    let mut sets: Vec<&Set> = sets.iter().flatten().copied().collect();
    sets.sort_by_key(|set| std::cmp::Reverse(set.len()));
    sets.dedup_by(|a, b| std::ptr::eq(*a, *b));
    if sets.len() > UNION_SETS_MAX {
        let all = union_set(&sets, limits);
        all.iter().for_each(give);
        return Some(all);
    }
    for (i, set) in sets.iter().enumerate() {
        set.iter().filter(|member| !in_any(&sets[..i], *member)).for_each(&mut give);
    }
    None
}

/// The union as a set of its own.
fn union_set(sets: &[&Set], limits: &Limits) -> Set {
    let mut all = Set::new();
    for member in sets.iter().flat_map(|set| set.iter()) {
        all.insert(member.as_bytes(&mut [0; I64_TEXT_MAX]), limits);
    }
    all
}

/// Gives each member of the first set that is in none of the others.
fn difference(sets: &[Option<&Set>], limits: &Limits, mut give: impl FnMut(Elem<'_>)) -> Option<Set> {
    let Some((Some(first), others)) = sets.split_first() else { return None };
    let mut others: Vec<&Set> = others.iter().flatten().copied().collect();
    if others.iter().any(|set| std::ptr::eq(*set, *first)) {
        return None;
    }
    others.sort_by_key(|set| std::cmp::Reverse(set.len()));
    let all: usize = first.len() + others.iter().map(|set| set.len()).sum::<usize>();
    // Looking costs less than adding, and often ends with the first set.
    if first.len().saturating_mul(others.len() + 1) / 2 <= all {
        first.iter().filter(|member| !in_any(&others, *member)).for_each(give);
        return None;
    }
    let others = union_set(&others, limits);
    for member in first.iter() {
        if !in_any(&[&others], member) {
            give(member);
        }
    }
    Some(others)
}

/// Gives each member of the result once; a set that was made on the way is returned to be freed.
fn each(operation: Operation, sets: &[Option<&Set>], limits: &Limits, mut give: impl FnMut(Elem<'_>)) -> Option<Set> {
    match operation {
        Operation::Union => union(sets, limits, give),
        Operation::Difference => difference(sets, limits, give),
        Operation::Intersection => {
            intersection(sets, |member| {
                give(member);
                ControlFlow::Continue(())
            });
            None
        }
    }
}

fn reply(e: &mut Engine, a: &Args, operation: Operation) -> Result {
    check(&mut e.store, a.iter_from(1))?;
    let limits = e.store.limits;
    let (store, out) = (&e.store, &mut e.out);
    let sets: Vec<Option<&Set>> = a.iter_from(1).map(|key| store.set_at(key)).collect();
    let mut made = None;
    out.counted(resp::Out::set, |out| {
        let mut n = 0;
        made = each(operation, &sets, &limits, |member| {
            bulk_elem(out, member);
            n += 1;
        });
        n
    });
    if let Some(set) = made {
        e.store.discard_value(Value::Set(set));
    }
    Ok(())
}

/// The set that a *STORE command stores.
fn result(operation: Operation, sets: &[Option<&Set>], limits: &Limits) -> (Set, Option<Set>) {
    let packed = || Set::for_members(b"no integer", 0, limits);
    let mut result = match operation {
        Operation::Union => {
            let sets: Vec<&Set> = sets.iter().flatten().copied().collect();
            return (union_set(&sets, limits), None);
        }
        Operation::Difference => Set::new(),
        Operation::Intersection => {
            let smallest = sets.iter().flatten().min_by_key(|set| set.len());
            if smallest.is_some_and(|set| set.as_intset().is_some()) { Set::new() } else { packed() }
        }
    };
    let made = each(operation, sets, limits, |member| {
        result.insert(member.as_bytes(&mut [0; I64_TEXT_MAX]), limits);
    });
    if operation == Operation::Intersection {
        result.pack_ints(limits);
    }
    (result, made)
}

fn store(e: &mut Engine, a: &Args, operation: Operation) -> Result {
    let to = &a[1];
    check(&mut e.store, a.iter_from(2))?;
    let sets: Vec<Option<&Set>> = a.iter_from(2).map(|key| e.store.set_at(key)).collect();
    let (set, made) = result(operation, &sets, &e.store.limits);
    if let Some(made) = made {
        e.store.discard_value(Value::Set(made));
    }
    let len = set.len();
    if len > 0 {
        let event = match operation {
            Operation::Intersection => "sinterstore",
            Operation::Union => "sunionstore",
            Operation::Difference => "sdiffstore",
        };
        e.store.expire_if_due(to);
        e.store.insert(to, Value::Set(set), None);
        e.store.changed(Classes::SET, event, to, 1);
    } else if e.store.delete_unread(to) {
        e.store.changed(Classes::GENERIC, "del", to, 1);
    }
    e.out.int(len as i64);
    Ok(())
}

fn sintercard(e: &mut Engine, a: &Args) -> Result {
    let keys = numbered_keys(a, 1)?.ok_or(error::NUMKEYS_TOO_LARGE)?;
    let mut limit = 0;
    let mut words = a.iter_from(2 + keys.len());
    while let Some(word) = words.next() {
        let number = words.next().ok_or(error::SYNTAX)?;
        if !is(word, "LIMIT") {
            return Err(error::SYNTAX);
        }
        limit = within(number, 0..=i64::MAX, "ERR LIMIT can't be negative")?;
    }
    check(&mut e.store, keys.iter().copied())?;
    let sets: Vec<Option<&Set>> = keys.iter().map(|key| e.store.set_at(key)).collect();
    let mut n = 0;
    intersection(&sets, |_| {
        n += 1;
        if n == limit { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    e.out.int(n);
    Ok(())
}
