//! The modes that walk over all keys: `--scan`, `--bigkeys`, `--memkeys`, `--hotkeys`.

use super::options::{Mode, Options};
use super::session::Session;
use base::text::quoted;
use resp::Value;
use std::collections::BTreeMap;
use std::io::Write;

/// Runs `visit` on each page of keys.
fn pages(
    session: &mut Session,
    mut visit: impl FnMut(&mut Session, Vec<Vec<u8>>) -> Result<(), String>,
) -> Result<(), String> {
    let Options { pattern, count, interval, .. } = session.options.clone();
    let mut cursor = b"0".to_vec();
    for page in 1.. {
        let count = count.map(|c| c.to_string());
        let mut words: Vec<&[u8]> = vec![b"SCAN", &cursor];
        if let Some(pattern) = &pattern {
            words.extend([&b"MATCH"[..], pattern]);
        }
        if let Some(count) = &count {
            words.extend([&b"COUNT"[..], count.as_bytes()]);
        }
        let reply = session.call(&words)?;
        if let Value::Error(text) = reply {
            return Err(format!("SCAN error: {}", String::from_utf8_lossy(&text)));
        }
        let [next, keys] = reply.elements() else { return Err("Non ARRAY response from SCAN!".into()) };
        let Value::Array(keys) = keys else { return Err("Invalid response from SCAN".into()) };
        let keys = keys.iter().filter_map(|k| k.as_bytes()).map(<[u8]>::to_vec).collect();
        visit(session, keys)?;
        cursor = next.as_bytes().unwrap_or(b"0").to_vec();
        if cursor == b"0" {
            break;
        }
        // --scan pauses after each page, the others after every hundredth.
        if !interval.is_zero() && (session.options.mode == Mode::Scan || page % 100 == 0) {
            std::thread::sleep(interval);
        }
    }
    Ok(())
}

/// `--scan`: prints all keys, quoted for people and bare otherwise.
pub fn scan(session: &mut Session) -> Result<(), String> {
    let people = session.options.style == super::format::Style::People;
    pages(session, |_, keys| {
        let mut out = Vec::new();
        for key in keys {
            if people {
                out.extend_from_slice(quoted(&key).as_bytes())
            } else {
                out.extend_from_slice(&key)
            }
            out.push(b'\n');
        }
        std::io::stdout().write_all(&out).map_err(|e| format!("Error: {e}"))
    })
}

/// Sends one command for each key at once; the replies in order.
fn ask_all(session: &mut Session, commands: &[Vec<Vec<u8>>]) -> Result<Vec<Value>, String> {
    let mut out = Vec::new();
    for words in commands {
        resp::encode_command(&mut out, words.iter().map(Vec::as_slice));
    }
    let connection = session.connection.as_mut().ok_or("Error: not connected")?;
    connection.write_all(&out).map_err(|e| format!("Error: {e}"))?;
    commands.iter().map(|_| connection.reply().map_err(|e| format!("Error: {e}"))).collect()
}

/// The command that tells how big a value of a type is, and what it counts.
fn sizer(kind: &str) -> Option<(&'static str, &'static str)> {
    Some(match kind {
        "string" => ("STRLEN", "bytes"),
        "list" => ("LLEN", "items"),
        "set" => ("SCARD", "members"),
        "hash" => ("HLEN", "fields"),
        "zset" => ("ZCARD", "members"),
        "stream" => ("XLEN", "entries"),
        _ => return None,
    })
}

#[derive(Default)]
struct Tally {
    keys: u64,
    total: u64,
    biggest: Option<(Vec<u8>, u64)>,
}

/// `--bigkeys` and `--memkeys`: the biggest key of each type, by elements or by memory.
pub fn big_keys(session: &mut Session, memory: bool, samples: Option<u64>) -> Result<(), String> {
    let reply = session.call(&[b"DBSIZE"])?;
    if let Value::Error(text) = reply {
        return Err(format!("Couldn't determine DBSIZE: {}", String::from_utf8_lossy(&text)));
    }
    let total_keys = reply.as_int().ok_or("Couldn't determine DBSIZE!")?;
    println!("\n# Scanning the entire keyspace to find biggest keys as well as");
    println!("# average sizes per key type.  You can use -i 0.1 to sleep 0.1 sec");
    println!("# per 100 SCAN commands (not usually needed).\n");
    let mut tallies: BTreeMap<String, Tally> = BTreeMap::new();
    let (mut sampled, mut key_bytes) = (0u64, 0u64);
    pages(session, |session, keys| {
        let types: Vec<Vec<Vec<u8>>> = keys.iter().map(|k| vec![b"TYPE".to_vec(), k.clone()]).collect();
        let types: Vec<String> = ask_all(session, &types)?
            .iter()
            .map(|t| String::from_utf8_lossy(t.as_bytes().unwrap_or(b"none")).into_owned())
            .collect();
        let known: Vec<(Vec<u8>, String)> = keys.into_iter().zip(types).filter(|(_, t)| t != "none").collect();
        let commands: Vec<Vec<Vec<u8>>> = known
            .iter()
            .map(|(key, kind)| match (memory, sizer(kind)) {
                (false, Some((command, _))) => vec![command.as_bytes().to_vec(), key.clone()],
                _ => {
                    let mut words = vec![b"MEMORY".to_vec(), b"USAGE".to_vec(), key.clone()];
                    if let Some(samples) = samples {
                        words.extend([b"SAMPLES".to_vec(), samples.to_string().into_bytes()]);
                    }
                    words
                }
            })
            .collect();
        for ((key, kind), size) in known.iter().zip(ask_all(session, &commands)?) {
            if let (Value::Error(text), true) = (&size, memory) {
                return Err(format!("MEMORY USAGE error: {}", String::from_utf8_lossy(text)));
            }
            // Where there is no number the key has gone or changed its type since.
            let size = size.as_int().map_or(0, |n| n.max(0) as u64);
            key_bytes += key.len() as u64;
            let tally = tallies.entry(kind.clone()).or_default();
            tally.keys += 1;
            tally.total += size;
            if tally.biggest.as_ref().is_none_or(|(_, most)| size > *most) {
                tally.biggest = Some((key.clone(), size));
                let percent = sampled as f64 * 100.0 / total_keys.max(1) as f64;
                let unit = if memory { "bytes" } else { sizer(kind).map_or("bytes", |s| s.1) };
                println!("[{percent:05.2}%] Biggest {kind:<6} found so far '{}' with {size} {unit}", quoted(key));
            }
            sampled += 1;
        }
        Ok(())
    })?;
    println!("\n-------- summary -------\n");
    println!("Sampled {sampled} keys in the keyspace!");
    let average = if sampled > 0 { key_bytes as f64 / sampled as f64 } else { 0.0 };
    println!("Total key length in bytes is {key_bytes} (avg len {average:.2})\n");
    let unit = |kind: &str| if memory { "bytes" } else { sizer(kind).map_or("bytes", |s| s.1) };
    for (kind, tally) in &tallies {
        if let Some((key, size)) = &tally.biggest {
            println!("Biggest {kind:>6} found '{}' has {size} {}", quoted(key), unit(kind));
        }
    }
    println!();
    for kind in ["hash", "list", "set", "stream", "string", "zset"] {
        tallies.entry(kind.to_owned()).or_default();
    }
    for (kind, tally) in &tallies {
        let share = if sampled > 0 { 100.0 * tally.keys as f64 / sampled as f64 } else { 0.0 };
        let mean = if tally.keys > 0 { tally.total as f64 / tally.keys as f64 } else { 0.0 };
        println!(
            "{} {kind}s with {} {} ({share:05.2}% of keys, avg size {mean:.2})",
            tally.keys,
            tally.total,
            unit(kind)
        );
    }
    Ok(())
}

/// `--hotkeys`: the keys that are used most, where the server counts uses (an LFU policy).
pub fn hot_keys(session: &mut Session) -> Result<(), String> {
    println!("\n# Scanning the entire keyspace to find hot keys as well as");
    println!("# average sizes per key type.  You can use -i 0.1 to sleep 0.1 sec");
    println!("# per 100 SCAN commands (not usually needed).\n");
    let mut hottest: Vec<(i64, Vec<u8>)> = Vec::new();
    let mut sampled = 0u64;
    pages(session, |session, keys| {
        let commands: Vec<Vec<Vec<u8>>> =
            keys.iter().map(|k| vec![b"OBJECT".to_vec(), b"FREQ".to_vec(), k.clone()]).collect();
        for (key, uses) in keys.into_iter().zip(ask_all(session, &commands)?) {
            sampled += 1;
            if let Value::Error(text) = uses {
                return Err(format!("Error: {}", String::from_utf8_lossy(&text)));
            }
            hottest.extend(uses.as_int().map(|n| (n, key)));
        }
        hottest.sort_by(|a, b| b.cmp(a));
        hottest.truncate(16);
        Ok(())
    })?;
    println!("\n-------- summary -------\n\nSampled {sampled} keys in the keyspace!");
    for (uses, key) in hottest.iter().filter(|(uses, _)| *uses > 0) {
        println!("hot key found with counter: {uses}\tkeyname: {}", quoted(key));
    }
    Ok(())
}
