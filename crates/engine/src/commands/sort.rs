//! SORT and SORT_RO: the elements of a list, set or sorted set in the order of themselves or of
//! what other keys say about them.

use super::options::{c_double, int, is};
use crate::engine::Engine;
use crate::error::{self, Error, Result};
use crate::notify::Classes;
use crate::store::Store;
use crate::table::Run;
use base::listpack::Elem;
use base::num::parse_f64;
use keyspace::{Entry, List, Value, ValueRef};
use resp::Args;
use std::cmp::Ordering;

/// The handlers of this family.
pub const COMMANDS: super::Family = &[("sort", Run::Plain(sort)), ("sort_ro", Run::Plain(sort_ro))];

/// The options of SORT.
#[derive(Default)]
struct Options<'a> {
    descending: bool,
    alpha: bool,
    limit: Option<(i64, i64)>,
    store: Option<&'a [u8]>,
    /// The pattern of keys to sort by; without a star in it nothing is sorted.
    by: Option<&'a [u8]>,
    /// Patterns of what is given in the place of each element.
    get: Vec<&'a [u8]>,
}

impl<'a> Options<'a> {
    fn read(a: &Args<'a>, read_only: bool) -> Result<Self> {
        let mut o = Self::default();
        let mut i = 2;
        while let Some(word) = a.get(i) {
            let value = a.get(i + 1);
            match value {
                _ if is(word, "ASC") => o.descending = false,
                _ if is(word, "DESC") => o.descending = true,
                _ if is(word, "ALPHA") => o.alpha = true,
                Some(offset) if is(word, "LIMIT") && i + 2 < a.len() => {
                    o.limit = Some((int(offset)?, int(&a[i + 2])?));
                    i += 2;
                }
                Some(key) if is(word, "STORE") && !read_only => {
                    o.store = Some(key);
                    i += 1;
                }
                Some(pattern) if is(word, "BY") => {
                    o.by = Some(pattern);
                    i += 1;
                }
                Some(pattern) if is(word, "GET") => {
                    o.get.push(pattern);
                    i += 1;
                }
                _ => return Err(error::SYNTAX),
            }
            i += 1;
        }
        Ok(o)
    }
}

/// An element and what it is sorted by.
struct Item {
    element: Vec<u8>,
    number: f64,
    text: Option<Vec<u8>>,
}

/// What a pattern says about an element: the element itself for `#`, else the string under the
/// key that has the element in the place of the star, or a field of the hash there (`key->field`).
fn resolve(store: &mut Store, pattern: &[u8], element: &[u8]) -> Option<Vec<u8>> {
    if pattern == b"#" {
        return Some(element.to_vec());
    }
    let star = pattern.iter().position(|b| *b == b'*')?;
    let behind = &pattern[star + 1..];
    let arrow = behind.windows(2).position(|pair| pair == b"->").filter(|at| at + 2 < behind.len());
    let (suffix, field) = match arrow {
        Some(at) => (&behind[..at], Some(&behind[at + 2..])),
        None => (behind, None),
    };
    let key = [&pattern[..star], element, suffix].concat();
    match (store.get(&key).map(Entry::value)?, field) {
        (ValueRef::Bytes(bytes), None) => Some(bytes.to_vec()),
        (ValueRef::Int(n), None) => Some(Elem::Int(n).to_vec()),
        (ValueRef::Hash(hash), Some(field)) => hash.get(field).map(Elem::to_vec),
        _ => None,
    }
}

/// The part of `len` elements that LIMIT selects.
fn selected(limit: Option<(i64, i64)>, len: usize) -> std::ops::Range<usize> {
    let (offset, count) = limit.unwrap_or((0, -1));
    let start = usize::try_from(offset).unwrap_or(0).min(len);
    let count = usize::try_from(count).unwrap_or(len).min(len - start);
    start..start + count
}

fn sort(e: &mut Engine, a: &Args) -> Result {
    run(e, a, false)
}

fn sort_ro(e: &mut Engine, a: &Args) -> Result {
    run(e, a, true)
}

fn run(e: &mut Engine, a: &Args, read_only: bool) -> Result {
    let mut o = Options::read(a, read_only)?;
    let mut sorted = o.by.is_none_or(|pattern| pattern.contains(&b'*'));
    let value = e.store.get(&a[1]).map(Entry::value);
    if matches!(value, Some(ValueRef::Set(_))) && !sorted && o.store.is_some() {
        // What is stored is replicated by running the command there, and a set has no order of its own.
        (sorted, o.alpha, o.by) = (true, true, None);
    }
    let item = |element: Elem<'_>| Item { element: element.to_vec(), number: 0.0, text: None };
    let mut part = None;
    let mut items: Vec<Item> = match value {
        None => Vec::new(),
        Some(ValueRef::Set(set)) => set.iter().map(item).collect(),
        Some(ValueRef::List(list)) if sorted => list.iter().map(item).collect(),
        Some(ValueRef::ZSet(zset)) if sorted => zset.iter().map(|(member, _)| item(member)).collect(),
        // In the order of their own, only the elements that are wanted are read.
        Some(ValueRef::List(list)) => {
            let wanted = selected(o.limit, list.len());
            part = Some(0..wanted.len());
            match list.len().checked_sub(wanted.start + 1) {
                Some(from) if o.descending => list.iter_back_from(from).take(wanted.len()).map(item).collect(),
                _ => list.iter_from(wanted.start).take(wanted.len()).map(item).collect(),
            }
        }
        Some(ValueRef::ZSet(zset)) => {
            let wanted = selected(o.limit, zset.len());
            part = Some(0..wanted.len());
            match zset.len().checked_sub(wanted.start + 1) {
                Some(from) if o.descending => {
                    zset.iter_back_from(from).take(wanted.len()).map(|(member, _)| item(member)).collect()
                }
                _ => zset.iter_from(wanted.start).take(wanted.len()).map(|(member, _)| item(member)).collect(),
            }
        }
        Some(_) => return Err(error::WRONG_TYPE),
    };
    if sorted {
        rank_and_sort(&mut e.store, &mut items, &o)?;
    }
    let part = part.unwrap_or_else(|| selected(o.limit, items.len()));
    let chosen = &items[part];
    let n = chosen.len() * o.get.len().max(1);
    match o.store {
        None => {
            e.out.array(n);
            for item in chosen {
                if o.get.is_empty() {
                    e.out.bulk(&item.element);
                }
                for pattern in &o.get {
                    match resolve(&mut e.store, pattern, &item.element) {
                        Some(text) => e.out.bulk(&text),
                        None => e.out.null(),
                    }
                }
            }
        }
        Some(destination) => {
            let limits = e.store.limits;
            let mut list = List::new();
            for item in chosen {
                if o.get.is_empty() {
                    list.push_back(&item.element, &limits);
                }
                for pattern in &o.get {
                    let text = resolve(&mut e.store, pattern, &item.element).unwrap_or_default();
                    list.push_back(&text, &limits);
                }
            }
            if n > 0 {
                e.store.expire_if_due(destination);
                e.store.insert(destination, Value::List(list), None);
                e.store.changed(Classes::LIST, "sortstore", destination, n as u64);
            } else if e.store.delete_unread(destination) {
                e.store.changed(Classes::GENERIC, "del", destination, 1);
            }
            e.out.int(n as i64);
        }
    }
    Ok(())
}

/// Finds what each element is sorted by, and sorts.
fn rank_and_sort(store: &mut Store, items: &mut [Item], o: &Options<'_>) -> Result {
    let mut unreadable = false;
    for item in items.iter_mut() {
        let by = match o.by {
            Some(pattern) => resolve(store, pattern, &item.element),
            None => None,
        };
        if o.alpha {
            item.text = by;
            continue;
        }
        let text = match (&by, o.by) {
            (Some(text), _) => text,
            (None, None) => &item.element,
            (None, Some(_)) => continue,
        };
        match c_double(text, parse_f64) {
            Some(number) => item.number = number,
            None => unreadable = true,
        }
    }
    if unreadable {
        return Err(Error::fixed("ERR One or more scores can't be converted into double"));
    }
    let compare = |x: &Item, y: &Item| match (o.alpha, o.by) {
        (false, _) => {
            let numbers = x.number.partial_cmp(&y.number).unwrap_or(Ordering::Equal);
            // Equal weights are told apart by the elements, so that the order is always the same.
            numbers.then_with(|| x.element.cmp(&y.element))
        }
        (true, Some(_)) => x.text.cmp(&y.text),
        (true, None) => x.element.cmp(&y.element),
    };
    items.sort_by(|x, y| if o.descending { compare(y, x) } else { compare(x, y) });
    Ok(())
}
