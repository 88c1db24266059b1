//! Lists: pushing, popping and moving at both ends, and looking and changing in between.

use super::bulk_elem;
use super::options::{count, index_range, int, is, numbered_keys, signed_count, within};
use crate::engine::Engine;
use crate::error::{self, Error, Result};
use crate::notify::Classes;
use crate::store::{KeyKind, Store};
use crate::table::Run;
use keyspace::{Limits, List, Value};
use resp::{Args, Out};

/// The handlers of this family.
pub const COMMANDS: super::Family = &[
    ("lindex", Run::Plain(lindex)),
    ("linsert", Run::Plain(linsert)),
    ("llen", Run::Plain(llen)),
    ("lmove", Run::Plain(lmove)),
    ("lmpop", Run::Plain(lmpop)),
    ("lpop", Run::Plain(|e, a| pop(e, a, End::Left))),
    ("lpos", Run::Plain(lpos)),
    ("lpush", Run::Plain(|e, a| push(e, a, End::Left))),
    ("lpushx", Run::Plain(|e, a| push_if_there(e, a, End::Left))),
    ("lrange", Run::Plain(lrange)),
    ("lrem", Run::Plain(lrem)),
    ("lset", Run::Plain(lset)),
    ("ltrim", Run::Plain(ltrim)),
    ("rpop", Run::Plain(|e, a| pop(e, a, End::Right))),
    ("rpoplpush", Run::Plain(rpoplpush)),
    ("rpush", Run::Plain(|e, a| push(e, a, End::Right))),
    ("rpushx", Run::Plain(|e, a| push_if_there(e, a, End::Right))),
];

/// An end of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Left,
    Right,
}

impl End {
    /// Reads `LEFT` or `RIGHT`.
    pub(super) fn parse(word: &[u8]) -> Result<Self> {
        match () {
            () if is(word, "LEFT") => Ok(Self::Left),
            () if is(word, "RIGHT") => Ok(Self::Right),
            () => Err(error::SYNTAX),
        }
    }

    fn pushed(self) -> &'static str {
        if self == Self::Left { "lpush" } else { "rpush" }
    }

    fn popped(self) -> &'static str {
        if self == Self::Left { "lpop" } else { "rpop" }
    }

    /// The command that pops here, for replicas.
    pub(super) fn pop_command(self) -> &'static [u8] {
        if self == Self::Left { b"LPOP" } else { b"RPOP" }
    }

    #[inline]
    fn push(self, list: &mut List, value: &[u8], limits: &Limits) {
        match self {
            Self::Left => list.push_front(value, limits),
            Self::Right => list.push_back(value, limits),
        }
    }
}

#[inline(always)]
fn push(e: &mut Engine, a: &Args, end: End) -> Result {
    let limits = e.store.limits;
    let list = e.store.list_or_new(&a[1])?;
    let len = push_all(list, a, end, &limits);
    pushed(e, a, end, len);
    Ok(())
}

fn push_if_there(e: &mut Engine, a: &Args, end: End) -> Result {
    let limits = e.store.limits;
    match e.store.list_mut(&a[1])? {
        None => e.out.int(0),
        Some(list) => {
            let len = push_all(list, a, end, &limits);
            pushed(e, a, end, len);
        }
    }
    Ok(())
}

/// Pushes all elements of a request; the length afterwards.
#[inline(always)]
fn push_all(list: &mut List, a: &Args, end: End, limits: &Limits) -> usize {
    if a.len() == 3 {
        end.push(list, &a[2], limits);
        return list.len();
    }
    list.reserve(a.len() - 2, a.iter_from(2).map(<[u8]>::len).sum(), limits);
    for value in a.iter_from(2) {
        end.push(list, value, limits);
    }
    list.len()
}

#[inline(always)]
fn pushed(e: &mut Engine, a: &Args, end: End, len: usize) {
    e.store.changed(Classes::LIST, end.pushed(), &a[1], a.len() as u64 - 2);
    e.out.int(len as i64);
}

/// Replies with the elements that [`drop_end`] would remove, in the order of popping.
fn reply_end(out: &mut Out, list: &List, end: End, n: usize) {
    out.array(n);
    match end {
        End::Left => list.iter().take(n).for_each(|elem| bulk_elem(out, elem)),
        End::Right => list.iter_back_from(list.len() - 1).take(n).for_each(|elem| bulk_elem(out, elem)),
    }
}

/// Removes `n` elements, at most the list's length, from an end; what is left over may be heavy.
fn drop_end(list: &mut List, end: End, n: usize, limits: &Limits) -> keyspace::list::Offcuts {
    let from = if end == End::Left { 0 } else { list.len() - n };
    list.remove_range(from, n, limits)
}

/// What follows the removal of `n` elements at an end.
pub(super) fn popped(store: &mut Store, key: &[u8], end: End, n: usize, emptied: bool) {
    store.changed(Classes::LIST, end.popped(), key, n as u64);
    if emptied {
        store.delete_if_empty(key);
    }
}

/// Pops one element and replies with it; false where there is no such list.
pub(super) fn pop_one(e: &mut Engine, key: &[u8], end: End, before: impl FnOnce(&mut Out)) -> Result<bool> {
    let limits = e.store.limits;
    let out = &mut e.out;
    let Some(list) = e.store.list_mut(key)? else { return Ok(false) };
    before(out);
    match end {
        End::Left => list.pop_front(&limits, |elem| bulk_elem(out, elem)),
        End::Right => list.pop_back(&limits, |elem| bulk_elem(out, elem)),
    }
    .expect("a list under a key has an element");
    let emptied = list.is_empty();
    popped(&mut e.store, key, end, 1, emptied);
    Ok(true)
}

/// Pops up to `n` elements and replies with them as an array; how many, or nothing where there is no such list.
pub(super) fn pop_many(
    e: &mut Engine,
    key: &[u8],
    end: End,
    n: usize,
    before: impl FnOnce(&mut Out),
) -> Result<Option<usize>> {
    let limits = e.store.limits;
    let Some(list) = e.store.list_mut(key)? else { return Ok(None) };
    let n = n.min(list.len());
    before(&mut e.out);
    reply_end(&mut e.out, list, end, n);
    if n > 0 {
        let offcuts = drop_end(list, end, n, &limits);
        let emptied = list.is_empty();
        offcuts.into_heavy().for_each(|list| e.store.discard_value(Value::List(list)));
        popped(&mut e.store, key, end, n, emptied);
    }
    Ok(Some(n))
}

fn pop(e: &mut Engine, a: &Args, end: End) -> Result {
    match a.len() {
        2 => {
            if !pop_one(e, &a[1], end, |_| {})? {
                e.out.null();
            }
        }
        3 => {
            let n = count(&a[2])?;
            if pop_many(e, &a[1], end, n, |_| {})?.is_none() {
                e.out.null_array();
            }
        }
        _ => return Err(Error::arity(if end == End::Left { "lpop" } else { "rpop" })),
    }
    Ok(())
}

fn llen(e: &mut Engine, a: &Args) -> Result {
    let len = e.store.list(&a[1])?.map_or(0, List::len);
    e.out.int(len as i64);
    Ok(())
}

/// The index that counts from the front, if it can be inside a list of this length at all.
fn absolute(index: i64, len: usize) -> Option<usize> {
    let index = if index < 0 { index.checked_add(len as i64)? } else { index };
    usize::try_from(index).ok()
}

fn lindex(e: &mut Engine, a: &Args) -> Result {
    let Some(list) = e.store.list(&a[1])? else {
        e.out.null();
        return Ok(());
    };
    match absolute(int(&a[2])?, list.len()).and_then(|index| list.get(index)) {
        Some(elem) => bulk_elem(&mut e.out, elem),
        None => e.out.null(),
    }
    Ok(())
}

fn lset(e: &mut Engine, a: &Args) -> Result {
    let limits = e.store.limits;
    let list = e.store.list_mut(&a[1])?.ok_or(error::NO_SUCH_KEY)?;
    let index = absolute(int(&a[2])?, list.len()).ok_or(error::INDEX_OUT_OF_RANGE)?;
    if !list.set(index, &a[3], &limits) {
        return Err(error::INDEX_OUT_OF_RANGE);
    }
    e.store.changed(Classes::LIST, "lset", &a[1], 1);
    e.out.ok();
    Ok(())
}

fn linsert(e: &mut Engine, a: &Args) -> Result {
    let after = match () {
        () if is(&a[2], "AFTER") => true,
        () if is(&a[2], "BEFORE") => false,
        () => return Err(error::SYNTAX),
    };
    let limits = e.store.limits;
    let Some(list) = e.store.list_mut(&a[1])? else {
        e.out.int(0);
        return Ok(());
    };
    let inserted = match after {
        true => list.insert_after(&a[3], &a[4], &limits),
        false => list.insert_before(&a[3], &a[4], &limits),
    };
    let len = list.len();
    if inserted {
        e.store.changed(Classes::LIST, "linsert", &a[1], 1);
    }
    e.out.int(if inserted { len as i64 } else { -1 });
    Ok(())
}

fn lrange(e: &mut Engine, a: &Args) -> Result {
    let (start, stop) = (int(&a[2])?, int(&a[3])?);
    let range = e.store.list(&a[1])?.and_then(|list| Some((list, index_range(start, stop, list.len())?)));
    let Some((list, (first, last))) = range else {
        e.out.array(0);
        return Ok(());
    };
    let n = last - first + 1;
    e.out.array(n);
    for elem in list.iter_from(first).take(n) {
        bulk_elem(&mut e.out, elem);
    }
    Ok(())
}

fn ltrim(e: &mut Engine, a: &Args) -> Result {
    let (start, stop) = (int(&a[2])?, int(&a[3])?);
    let limits = e.store.limits;
    if let Some(list) = e.store.list_mut(&a[1])? {
        let before = list.len();
        let (first, end) = index_range(start, stop, before).map_or((0, 0), |(first, last)| (first, last + 1));
        let offcuts = list.trim(first, end, &limits);
        let left = list.len();
        offcuts.into_heavy().for_each(|list| e.store.discard_value(Value::List(list)));
        e.store.changed(Classes::LIST, "ltrim", &a[1], (before - left) as u64);
        if left == 0 {
            e.store.delete_if_empty(&a[1]);
        }
    }
    e.out.ok();
    Ok(())
}

fn lrem(e: &mut Engine, a: &Args) -> Result {
    let count = signed_count(&a[2])?;
    let limits = e.store.limits;
    let mut removed = 0;
    if let Some(list) = e.store.list_mut(&a[1])? {
        removed = list.remove_matching(count, &a[3], &limits);
        let emptied = list.is_empty();
        if removed > 0 {
            e.store.changed(Classes::LIST, "lrem", &a[1], removed as u64);
        }
        if emptied {
            e.store.delete_if_empty(&a[1]);
        }
    }
    e.out.int(removed as i64);
    Ok(())
}

fn lpos(e: &mut Engine, a: &Args) -> Result {
    let (mut rank, mut count, mut looked_at) = (1, None, 0);
    let mut words = a.iter_from(3);
    while let Some(word) = words.next() {
        let number = words.next().ok_or(error::SYNTAX)?;
        match () {
            () if is(word, "RANK") => {
                rank = signed_count(number)?;
                if rank == 0 {
                    return Err(Error::fixed(
                        "ERR RANK can't be zero: use 1 to start from the first match, 2 from the second ... \
                         or use negative to start from the end of the list",
                    ));
                }
            }
            () if is(word, "COUNT") => count = Some(within(number, 0..=i64::MAX, "ERR COUNT can't be negative")?),
            () if is(word, "MAXLEN") => looked_at = within(number, 0..=i64::MAX, "ERR MAXLEN can't be negative")?,
            () => return Err(error::SYNTAX),
        }
    }
    // Both say "all" by 0.
    let or_all = |n: i64| if n == 0 { usize::MAX } else { n as usize };
    let found = match e.store.list(&a[1])? {
        Some(list) => list.positions(&a[2], rank, count.map_or(1, or_all), or_all(looked_at)),
        None => Vec::new(),
    };
    if count.is_some() {
        e.out.array(found.len());
    } else if found.is_empty() {
        e.out.null();
    }
    for index in found {
        e.out.int(index as i64);
    }
    Ok(())
}

/// Moves an element from one end of a list to an end of another (or the same) and replies with it; false where there
/// is nothing to move.
pub(super) fn move_one(e: &mut Engine, from: &[u8], to: &[u8], from_end: End, to_end: End) -> Result<bool> {
    if !e.store.holds(from, KeyKind::List)? {
        return Ok(false);
    }
    e.store.holds(to, KeyKind::List)?;
    let limits = e.store.limits;
    let list = e.store.list_mut(from)?.expect("it was just seen");
    let value = match from_end {
        End::Left => list.pop_front(&limits, |elem| elem.to_vec()),
        End::Right => list.pop_back(&limits, |elem| elem.to_vec()),
    }
    .expect("a list under a key has an element");
    let emptied = list.is_empty() && from != to;
    let target = if from == to { list } else { e.store.list_or_new(to)? };
    to_end.push(target, &value, &limits);
    // The change is counted once, as the pop.
    e.store.changed(Classes::LIST, to_end.pushed(), to, 0);
    popped(&mut e.store, from, from_end, 1, emptied);
    e.out.bulk(&value);
    Ok(true)
}

fn lmove(e: &mut Engine, a: &Args) -> Result {
    let (from_end, to_end) = (End::parse(&a[3])?, End::parse(&a[4])?);
    if !move_one(e, &a[1], &a[2], from_end, to_end)? {
        e.out.null();
    }
    Ok(())
}

fn rpoplpush(e: &mut Engine, a: &Args) -> Result {
    if !move_one(e, &a[1], &a[2], End::Right, End::Left)? {
        e.out.null();
    }
    Ok(())
}

/// What LMPOP and BLMPOP are asked for, from the count of keys (argument `at`) on.
pub(super) fn mpop_options<'a>(a: &Args<'a>, at: usize) -> Result<(Vec<&'a [u8]>, End, usize)> {
    let keys = numbered_keys(a, at)?.ok_or(error::SYNTAX)?;
    let mut words = a.iter_from(at + 1 + keys.len());
    let end = End::parse(words.next().ok_or(error::SYNTAX)?)?;
    let mut n = None;
    while let Some(word) = words.next() {
        let number = words.next().ok_or(error::SYNTAX)?;
        if !is(word, "COUNT") || n.is_some() {
            return Err(error::SYNTAX);
        }
        n = Some(within(number, 1..=i64::MAX, "ERR count should be greater than 0")? as usize);
    }
    Ok((keys, end, n.unwrap_or(1)))
}

/// Pops up to `n` elements from the first of `keys` that has any, replies with the key and them, and propagates it
/// as a plain pop; false where all are empty.
pub(super) fn mpop(e: &mut Engine, keys: &[&[u8]], end: End, n: usize) -> Result<bool> {
    for key in keys {
        let before = |out: &mut Out| {
            out.array(2);
            out.bulk(key);
        };
        if let Some(n) = pop_many(e, key, end, n, before)? {
            let db = e.store.db;
            e.store.fx.rewrite(db, &[end.pop_command(), key, itoa::Buffer::new().format(n).as_bytes()]);
            return Ok(true);
        }
    }
    Ok(false)
}

fn lmpop(e: &mut Engine, a: &Args) -> Result {
    let (keys, end, n) = mpop_options(a, 1)?;
    if !mpop(e, &keys, end, n)? {
        e.out.null_array();
    }
    Ok(())
}
