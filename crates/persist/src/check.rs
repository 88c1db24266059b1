//! Reads a whole file and reports what is in it and what is wrong with it, for `check-rdb`.

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use base::intset::Intset;
use base::listpack::Listpack;
use base::num::{I64_TEXT_MAX, parse_f64};

use crate::reader::{Options, RdbError, Reader, Source, Summary};
use crate::visitor::{KeyMeta, Kind, Visit, VisitError, Visitor};

/// What a file contains, as far as it could be read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    /// The version in the header, or 0 if there is no header.
    pub version: u32,
    /// Names and values of the auxiliary fields, in the file's order.
    pub aux: Vec<(Vec<u8>, Vec<u8>)>,
    /// How many function libraries there are.
    pub functions: u64,
    /// The numbers of the databases, in the file's order.
    pub databases: Vec<u64>,
    /// How many keys there are. The one at which reading stopped is not among them.
    pub keys: u64,
    /// How many keys there are of each type, by the numbers in [`crate::format::kind`].
    pub keys_by_kind: BTreeMap<u8, u64>,
    /// How many keys have an expiry.
    pub expires: u64,
    /// How many keys have an expiry that has passed.
    pub already_expired: u64,
    /// How many keys have no elements; readers skip them.
    pub empty_keys: u64,
    /// The last key that was read or begun, and its type.
    pub last_key: Option<(Vec<u8>, u8)>,
    /// How many bytes were understood.
    pub bytes: u64,
    /// The end of the file, or why it was not reached.
    pub outcome: Option<Result<Summary, Box<RdbError>>>,
}

impl Report {
    /// Whether the file was read to its end.
    pub fn is_good(&self) -> bool {
        matches!(self.outcome, Some(Ok(_)))
    }
}

/// Reads all of `source`. `now_ms`, in milliseconds since 1970, decides which keys have expired.
///
/// Besides what every reader checks, packed sorted sets must have numbers for scores, and packed hashes, sets and sorted sets must
/// not have an element twice.
pub fn check_rdb(source: impl Source, options: Options, now_ms: i64) -> Report {
    let mut reader = Reader::new(source, options);
    let mut checker = Checker { report: Report::default(), now_ms, current: None };
    let outcome = reader.read(&mut checker);
    let mut report = checker.report;
    report.bytes = reader.offset();
    report.outcome = Some(outcome);
    report
}

struct Checker {
    report: Report,
    now_ms: i64,
    /// Type and expiry of the key whose value is being read.
    current: Option<(u8, Option<i64>)>,
}

impl Checker {
    fn complete(&mut self) -> Visit {
        let (kind, expire_ms) = self.current.take().expect("a value comes after its type");
        self.report.keys += 1;
        *self.report.keys_by_kind.entry(kind).or_default() += 1;
        if let Some(expire_ms) = expire_ms {
            self.report.expires += 1;
            self.report.already_expired += u64::from(expire_ms <= self.now_ms);
        }
        Ok(())
    }
}

/// Checks that no element at a multiple of `step` is there twice.
fn distinct(items: &Listpack, step: usize, what: &'static str) -> Visit {
    let mut seen = BTreeSet::new();
    for item in items.iter().step_by(step) {
        if !seen.insert(item.to_vec()) {
            return Err(VisitError::new(what));
        }
    }
    Ok(())
}

impl Visitor for Checker {
    fn version(&mut self, version: u32) -> Visit {
        self.report.version = version;
        Ok(())
    }

    fn aux(&mut self, name: &[u8], value: &[u8]) -> Visit {
        self.report.aux.push((name.to_vec(), value.to_vec()));
        Ok(())
    }

    fn function(&mut self, _source: &[u8]) -> Visit {
        self.report.functions += 1;
        Ok(())
    }

    fn select_db(&mut self, index: u64) -> Visit {
        self.report.databases.push(index);
        Ok(())
    }

    fn resize_db(&mut self, _keys: u64, _expires: u64) -> Visit {
        Ok(())
    }

    fn key_type(&mut self, meta: &KeyMeta<'_>, kind: u8) -> Visit {
        let mut key = self.report.last_key.take().map_or_else(Vec::new, |(key, _)| key);
        key.clear();
        key.extend_from_slice(meta.key);
        self.report.last_key = Some((key, kind));
        self.current = Some((kind, meta.expire_ms));
        Ok(())
    }

    fn string(&mut self, _meta: &KeyMeta<'_>, _value: Cow<'_, [u8]>) -> Visit {
        self.complete()
    }

    fn hash_packed(&mut self, _meta: &KeyMeta<'_>, pairs: Listpack) -> Visit {
        distinct(&pairs, 2, "a field is there twice")?;
        self.complete()
    }

    fn zset_packed(&mut self, _meta: &KeyMeta<'_>, pairs: Listpack) -> Visit {
        distinct(&pairs, 2, "a member is there twice")?;
        for score in pairs.iter().skip(1).step_by(2) {
            if parse_f64(score.as_bytes(&mut [0; I64_TEXT_MAX])).is_none() {
                return Err(VisitError::new("the text of a score is not a number"));
            }
        }
        self.complete()
    }

    fn set_packed(&mut self, _meta: &KeyMeta<'_>, members: Listpack) -> Visit {
        distinct(&members, 1, "a member is there twice")?;
        self.complete()
    }

    fn set_intset(&mut self, _meta: &KeyMeta<'_>, _members: Intset) -> Visit {
        self.complete()
    }

    fn begin(&mut self, _meta: &KeyMeta<'_>, _kind: Kind, _len: u64) -> Visit {
        Ok(())
    }

    fn list_item(&mut self, _item: &[u8]) -> Visit {
        Ok(())
    }

    fn list_chunk(&mut self, _items: Listpack) -> Visit {
        Ok(())
    }

    fn list_plain(&mut self, _item: Vec<u8>) -> Visit {
        Ok(())
    }

    fn set_member(&mut self, _member: &[u8]) -> Visit {
        Ok(())
    }

    fn hash_field(&mut self, _field: &[u8], _value: &[u8], _expire_ms: Option<i64>) -> Visit {
        Ok(())
    }

    fn zset_member(&mut self, _member: &[u8], _score: f64) -> Visit {
        Ok(())
    }

    fn end(&mut self) -> Visit {
        self.complete()
    }

    fn empty_key(&mut self, _meta: &KeyMeta<'_>) -> Visit {
        self.current = None;
        self.report.empty_keys += 1;
        Ok(())
    }
}
