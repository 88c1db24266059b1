//! Resident memory per key or element: the growth of a fresh server that is filled with one shape of data.
//!
//! Memory is read when it has come to rest, since tables that are being resized and pages that the allocator has not
//! given back yet belong to the filling and not to the data.

use super::{Plan, note};
use crate::load::fill;
use crate::server::Product;
use crate::table::{Table, ratio};
use crate::work::{Number, Work};
use anyhow::{Result, bail};

/// Data of one shape.
struct Shape {
    name: &'static str,
    work: Work,
    /// Requests that make it.
    ops: u64,
    /// Whether the requests make one key, which must then have as many elements.
    one_key: bool,
}

fn shapes(n: u64) -> Vec<Shape> {
    use Number::Counted;
    let key = Counted(1, n);
    let (owner, member) = (Counted(5, n), Counted(1, 5));
    let shape = |name, words: &str, numbers: &[Number], one_key| Shape {
        name,
        work: Work::new(words, numbers),
        ops: n,
        one_key,
    };
    vec![
        shape("strings, 16 B key, 64 B value", "SET key:00########## @64", &[key], false),
        shape("strings, integers", "SET key:00########## ##########", &[key, Counted(1, 1 << 30)], false),
        shape("strings, 64 B, with TTL", "SET key:00########## @64 EX 1000000", &[key], false),
        shape("hashes of 5 fields, per field", "HSET hash:########## field:########## @64", &[owner, member], false),
        shape("one hash, per field", "HSET hash field:########## @64", &[key], true),
        shape("sets of 5 members, per member", "SADD set:########## member:##########", &[owner, member], false),
        shape("one set, per member", "SADD set member:##########", &[key], true),
        shape(
            "zsets of 5 members, per member",
            "ZADD zset:########## ########## member:##########",
            &[owner, key, member],
            false,
        ),
        shape("one zset, per member", "ZADD zset ########## member:##########", &[key, key], true),
        shape("lists of 5 elements, per element", "RPUSH list:########## @64", &[owner], false),
        shape("one list, per element", "RPUSH list @64", &[], true),
        shape("one list from the front, per element", "LPUSH list @64", &[], true),
    ]
}

fn one(product: &Product, shape: &Shape) -> Result<f64> {
    let server = product.start(&[])?;
    // The connections' buffers and the allocator's first blocks are not the data's: they are filled first.
    fill(server.port, 100_000, Work::new("ECHO @100", &[]))?;
    let before = server.rss_at_rest()?;
    // One connection at a time keeps the requests in order.
    let load = crate::load::Load {
        port: server.port,
        clients: 1,
        pipeline: 64,
        rate: None,
        ops: shape.ops,
        work: shape.work.clone(),
    };
    load.run(&std::sync::atomic::AtomicBool::new(false))?;
    let keys: u64 = server.control()?.ask("DBSIZE")?.parse()?;
    if shape.one_key != (keys == 1) {
        bail!("{} made {keys} keys of “{}”", product.name, shape.name);
    }
    let after = server.rss_at_rest()?;
    Ok((after as f64 - before as f64) / shape.ops as f64)
}

/// Measures and prints. One round is enough: the figures repeat to a percent.
pub fn run(plan: &Plan) -> Result<()> {
    let n = plan.scaled(1_000_000);
    let ratios = plan.ratio_names();
    let mut columns = plan.columns(&["shape"], &ratios);
    let inverse: Vec<String> =
        plan.products[1..].iter().map(|p| format!("{} / {}", plan.products[0].name, p.name)).collect();
    columns.truncate(1 + plan.products.len());
    columns.extend(inverse.iter().map(String::as_str));
    let mut table = Table::new(&format!("Resident bytes per key or element, {n} of them"), &columns);
    for shape in shapes(n) {
        note(&format!("memory, {}", shape.name));
        let mut found = Vec::new();
        for product in &plan.products {
            found.push(one(product, &shape)?);
        }
        let mut row = vec![shape.name.to_owned()];
        row.extend(found.iter().map(|v| format!("{v:.1}")));
        row.extend(found[1..].iter().map(|v| format!("{:.2}", ratio(&[found[0]], &[*v]))));
        table.row(row);
    }
    table.print(plan.csv);
    Ok(())
}
