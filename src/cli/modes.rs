//! The other special modes: `--pipe`, `--rdb`, `--stat`, `--latency` and its kin, `--intrinsic-latency`.

use super::format::Style;
use super::session::Session;
use crate::wire::{Connection, reason};
use resp::Value;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, IsTerminal, Read, Write};
use std::time::{Duration, Instant};

/// How much of the standard input is read ahead of what the server has taken, in bytes.
const PIPE_CHUNK: usize = 64 << 10;

fn timespec(time: Duration) -> Timespec {
    Timespec::try_from(time).unwrap_or(Timespec { tv_sec: 1, tv_nsec: 0 })
}

/// `--pipe`: sends the standard input as it is, and counts replies until that of a last ECHO comes.
pub fn pipe(session: &mut Session) -> Result<(), String> {
    let fail = |e: io::Error| format!("Error: {}", reason(&e));
    let timeout = session.options.pipe_timeout;
    let connection = session.connection.as_mut().ok_or("Error: not connected")?;
    connection.set_nonblocking(true).map_err(fail)?;
    let mark: [u8; 20] = {
        let mut bytes = [0; 10];
        getrandom::fill(&mut bytes).map_err(|e| format!("Error: {e}"))?;
        let text: String = bytes.iter().map(|b| format!("{b:02x}")).collect();
        text.as_bytes().try_into().expect("ten bytes are twenty digits")
    };
    let (mut out, mut at, mut ended) = (Vec::new(), 0, false);
    let (mut replies, mut errors) = (0u64, 0u64);
    let mut quiet_since = Instant::now();
    let mut stdin = io::stdin().lock();
    let (mut input, mut arrival) = (Vec::new(), resp::Arrival::default());
    let mut done = false;
    while !done {
        if at == out.len() && !ended {
            out.resize(PIPE_CHUNK, 0);
            let n = stdin.read(&mut out).map_err(|e| format!("Error reading from stdin: {e}"))?;
            out.truncate(n);
            at = 0;
            if n == 0 {
                ended = true;
                // An empty line first ends a half-sent inline command.
                out.extend_from_slice(b"\r\n");
                resp::encode_command(&mut out, [&b"ECHO"[..], &mark].into_iter());
                println!("All data transferred. Waiting for the last reply...");
                quiet_since = Instant::now();
            }
        }
        let flags = if at < out.len() { PollFlags::IN | PollFlags::OUT } else { PollFlags::IN };
        let mut fds = [PollFd::from_borrowed_fd(connection.fd(), flags)];
        let _ = poll(&mut fds, Some(&timespec(Duration::from_secs(1))));
        let mut more = [0; 64 << 10];
        loop {
            match connection.read(&mut more) {
                Ok(0) => return Err("Server closed the connection".into()),
                Ok(n) => {
                    input.extend_from_slice(&more[..n]);
                    quiet_since = Instant::now();
                }
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => break,
                Err(e) => return Err(format!("Error reading from the server: {}", reason(&e))),
            }
        }
        let mut parsed = 0;
        while arrival.is_whole(&input[parsed..])
            && let Some((value, len)) = resp::parse_value(&input[parsed..]).map_err(|e| e.to_string())?
        {
            parsed += len;
            match &value {
                Value::Error(text) => {
                    errors += 1;
                    replies += 1;
                    eprintln!("{}", String::from_utf8_lossy(text));
                }
                Value::Bulk(text) if ended && *text == mark => {
                    println!("Last reply received from server.");
                    done = true;
                    break;
                }
                Value::Push(_) => {}
                Value::Null | Value::Int(_) | Value::Double(_) | Value::Bool(_) | Value::BigNumber(_) => replies += 1,
                Value::Simple(_) | Value::Bulk(_) | Value::Verbatim(..) => replies += 1,
                Value::Array(_) | Value::Set(_) | Value::Map(_) => replies += 1,
            }
        }
        input.drain(..parsed);
        while at < out.len() {
            match connection.write(&out[at..]) {
                Ok(n) => at += n,
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => break,
                Err(e) => return Err(format!("Error writing to the server: {}", reason(&e))),
            }
        }
        if ended && !timeout.is_zero() && quiet_since.elapsed() > timeout {
            println!("No replies for {} seconds: exiting.", timeout.as_secs());
            errors += 1;
            break;
        }
    }
    println!("errors: {errors}, replies: {replies}");
    if errors > 0 { Err(String::new()) } else { Ok(()) }
}

/// `--rdb` and `--functions-rdb`: fetches a snapshot like a replica does, and writes it to a file (`-`: the standard
/// output).
pub fn rdb(session: &mut Session, path: &str, functions_only: bool) -> Result<(), String> {
    // Both are optional for a server: the first asks for a snapshot only, the second for the marked form.
    for words in [[&b"REPLCONF"[..], b"capa", b"eof"], [b"REPLCONF", b"rdb-only", b"1"]] {
        if let Value::Error(text) = session.call(&words)? {
            eprintln!("REPLCONF {} error: {}", String::from_utf8_lossy(words[1]), String::from_utf8_lossy(&text));
        }
    }
    // Here a refusal counts: the whole data set is not what was asked for.
    if functions_only && let Value::Error(text) = session.call(&[b"REPLCONF", b"rdb-filter-only", b"functions"])? {
        return Err(format!("REPLCONF rdb-filter-only error: {}", String::from_utf8_lossy(&text)));
    }
    let connection = session.connection.as_mut().ok_or("Error: not connected")?;
    let (mark, length) = begin_sync(connection)?;
    match &mark {
        Some(mark) => eprintln!(
            "SYNC sent to master, writing bytes of bulk transfer until EOF marker '{}' to '{path}'",
            String::from_utf8_lossy(mark)
        ),
        None => eprintln!("SYNC sent to master, writing {length} bytes to '{path}'"),
    }
    let mut file: Box<dyn Write> = match path {
        "-" => Box::new(io::stdout()),
        path => Box::new(File::create(path).map_err(|e| format!("Error opening '{path}': {e}"))?),
    };
    copy_snapshot(connection, mark.as_deref(), length, &mut file)?;
    file.flush().map_err(|e| format!("Error writing data to disk: {e}"))?;
    eprintln!("Transfer finished with success.");
    Ok(())
}

/// `--replica`: asks for the replication stream like a replica, passes over the snapshot, and prints the commands.
pub fn replica(session: &mut Session) -> Result<(), String> {
    session.call(&[b"REPLCONF", b"capa", b"eof"])?;
    let connection = session.connection.as_mut().ok_or("Error: not connected")?;
    let (mark, length) = begin_sync(connection)?;
    eprintln!("SYNC with master, discarding the snapshot...");
    copy_snapshot(connection, mark.as_deref(), length, &mut io::sink())?;
    eprintln!("SYNC done. Logging commands from master.");
    if mark.is_some() {
        // A primary that sent the snapshot as it was made begins with the stream when it hears that all has come.
        let mut ack = Vec::new();
        resp::encode_command(&mut ack, [&b"REPLCONF"[..], b"ACK", b"0"].into_iter());
        connection.write_all(&ack).map_err(|e| format!("Error: {}", reason(&e)))?;
    }
    session.options.style = Style::Csv;
    loop {
        session.print_next(false)?;
    }
}

/// Sends SYNC; the mark at the snapshot's end, if it has one, and else its length in bytes.
fn begin_sync(connection: &mut Connection) -> Result<(Option<Vec<u8>>, u64), String> {
    let fail = |e: io::Error| format!("Error: {}", reason(&e));
    connection.write_all(b"SYNC\r\n").map_err(fail)?;
    let header = loop {
        let line = connection.line().map_err(fail)?;
        // While the snapshot is being made the server sends empty lines.
        if !line.is_empty() {
            break line;
        }
    };
    if header.first() == Some(&b'-') {
        return Err(format!("SYNC with master failed: {}", String::from_utf8_lossy(&header)));
    }
    let announced = header
        .strip_prefix(b"$")
        .ok_or_else(|| format!("SYNC: unexpected reply {}", String::from_utf8_lossy(&header)))?;
    let mark = announced.strip_prefix(b"EOF:").map(<[u8]>::to_vec);
    let length = if mark.is_none() {
        base::num::parse_i64(announced).and_then(|n| u64::try_from(n).ok()).ok_or("SYNC: bad length")?
    } else {
        0
    };
    Ok((mark, length))
}

/// Copies the snapshot: `length` bytes, or up to the mark.
fn copy_snapshot(
    connection: &mut Connection,
    mark: Option<&[u8]>,
    length: u64,
    file: &mut dyn Write,
) -> Result<(), String> {
    let written = |e: io::Error| format!("Error writing data to disk: {e}");
    let mut buf = vec![0; 64 << 10];
    let mut held: Vec<u8> = Vec::new();
    let mut left = length;
    loop {
        if mark.is_none() && left == 0 {
            return Ok(());
        }
        let want = if mark.is_none() { usize::try_from(left).unwrap_or(usize::MAX).min(buf.len()) } else { buf.len() };
        let n = connection
            .read(&mut buf[..want])
            .map_err(|e| format!("Error reading RDB payload while SYNCing: {}", reason(&e)))?;
        if n == 0 {
            return Err("Error reading RDB payload while SYNCing: the connection ended".into());
        }
        match mark {
            None => {
                file.write_all(&buf[..n]).map_err(written)?;
                left -= n as u64;
            }
            // The last bytes may be the mark's beginning, so they are held back. Commands may follow it at once.
            Some(mark) => {
                held.extend_from_slice(&buf[..n]);
                if let Some(at) = memchr::memmem::find(&held, mark) {
                    connection.put_back(&held[at + mark.len()..]);
                    return file.write_all(&held[..at]).map_err(written);
                }
                let sure = held.len().saturating_sub(mark.len());
                file.write_all(&held[..sure]).map_err(written)?;
                held.drain(..sure);
            }
        }
    }
}

/// A size in the unit that suits it.
fn human(bytes: i64) -> String {
    let n = bytes as f64;
    match bytes {
        b if b < 1 << 10 => format!("{b}B"),
        b if b < 1 << 20 => format!("{:.2}K", n / 1024.0),
        b if b < 1 << 30 => format!("{:.2}M", n / 1048576.0),
        _ => format!("{:.2}G", n / 1073741824.0),
    }
}

/// `--stat`: a line of figures every interval, for ever.
pub fn stat(session: &mut Session) -> Result<(), String> {
    let interval = if session.options.interval.is_zero() { Duration::from_secs(1) } else { session.options.interval };
    let mut requests_before = 0;
    for row in 0u64.. {
        let text = loop {
            match session.call(&[b"INFO"]) {
                Ok(Value::Error(text)) => return Err(format!("ERROR: {}", String::from_utf8_lossy(&text))),
                Ok(value) => break String::from_utf8_lossy(value.as_bytes().unwrap_or(b"")).into_owned(),
                Err(error) if row == 0 => return Err(error),
                Err(_) => std::thread::sleep(interval),
            }
        };
        let fields: BTreeMap<&str, &str> = text.lines().filter_map(|l| l.split_once(':')).collect();
        let number = |name: &str| fields.get(name).and_then(|v| v.trim().parse::<i64>().ok()).unwrap_or(0);
        let keys: i64 = fields
            .iter()
            .filter(|(name, _)| name.strip_prefix("db").is_some_and(|n| n.bytes().all(|b| b.is_ascii_digit())))
            .filter_map(|(_, v)| v.split(',').find_map(|f| f.strip_prefix("keys=")).and_then(|n| n.parse::<i64>().ok()))
            .sum();
        if row % 20 == 0 {
            println!("------- data ------ --------------------- load -------------------- - child -");
            println!("keys       mem      clients blocked requests            connections          ");
        }
        let requests = number("total_commands_processed");
        let shown =
            if row == 0 { format!("{requests} (+0)") } else { format!("{requests} (+{})", requests - requests_before) };
        requests_before = requests;
        let (saving, rewriting) = (number("rdb_bgsave_in_progress") != 0, number("aof_rewrite_in_progress") != 0);
        let child = match (saving, rewriting, number("loading") != 0) {
            (_, _, true) => "LOAD",
            (true, true, _) => "SAVE + AOF",
            (true, false, _) => "SAVE",
            (false, true, _) => "AOF",
            _ => "",
        };
        println!(
            "{keys:<11}{:<9}{:<8}{:<8}{shown:<20}{:<12}{child}",
            human(number("used_memory")),
            number("connected_clients"),
            number("blocked_clients"),
            number("total_connections_received")
        );
        let _ = io::stdout().flush();
        std::thread::sleep(interval);
    }
    Ok(())
}

/// One PING's time, in milliseconds.
fn ping(session: &mut Session) -> Result<f64, String> {
    let start = Instant::now();
    session.call(&[b"PING"])?;
    Ok(start.elapsed().as_secs_f64() * 1000.0)
}

/// `--latency` and `--latency-history`: the time of PINGs, shown live or, where the output is no terminal, once.
pub fn latency(session: &mut Session, history: bool) -> Result<(), String> {
    let live = io::stdout().is_terminal() && session.options.style == Style::People;
    let default = Duration::from_secs(if history { 15 } else { 1 });
    let period = if session.options.interval.is_zero() { default } else { session.options.interval };
    loop {
        let start = Instant::now();
        let (mut least, mut most, mut sum, mut n) = (f64::MAX, 0f64, 0.0, 0u64);
        loop {
            let ms = ping(session)?;
            (least, most, sum, n) = (least.min(ms), most.max(ms), sum + ms, n + 1);
            let mean = sum / n as f64;
            let over = start.elapsed() >= period && (history || !live);
            if live {
                print!("\x1b[0G\x1b[2Kmin: {least:.0}, max: {most:.0}, avg: {mean:.2} ({n} samples)");
                if history {
                    print!(" -- {:.2} seconds range", start.elapsed().as_secs_f64());
                    if over {
                        println!();
                    }
                }
            } else if over {
                match session.options.style {
                    Style::Csv => println!("{least:.0},{most:.0},{mean:.2},{n}"),
                    Style::Json | Style::QuotedJson => {
                        println!("{{\"min\": {least:.0}, \"max\": {most:.0}, \"avg\": {mean:.2}, \"count\": {n}}}")
                    }
                    Style::People | Style::Raw => println!("{least:.0} {most:.0} {mean:.2} {n}"),
                }
            }
            let _ = io::stdout().flush();
            if over {
                break;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        if !history {
            return Ok(());
        }
    }
}

/// `--latency-dist`: the share of PINGs in each range of times, one line per interval.
pub fn latency_dist(session: &mut Session) -> Result<(), String> {
    const BOUNDS_MS: [f64; 10] = [0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 50.0, 100.0, 1000.0];
    let period = if session.options.interval.is_zero() { Duration::from_secs(1) } else { session.options.interval };
    println!("share of PINGs in % by time: {} ms, more", BOUNDS_MS.map(|b| format!("≤{b}")).join(" "));
    loop {
        let start = Instant::now();
        let mut counts = [0u64; BOUNDS_MS.len() + 1];
        while start.elapsed() < period {
            let ms = ping(session)?;
            counts[BOUNDS_MS.iter().position(|b| ms <= *b).unwrap_or(BOUNDS_MS.len())] += 1;
            std::thread::sleep(Duration::from_millis(1));
        }
        let total: u64 = counts.iter().sum();
        println!("{}", counts.map(|c| format!("{:>5.1}", 100.0 * c as f64 / total.max(1) as f64)).join(" "));
        let _ = io::stdout().flush();
    }
}

/// `--intrinsic-latency`: the longest time that the machine itself takes away from a busy process.
pub fn intrinsic(seconds: u64) -> Result<(), String> {
    let end = Instant::now() + Duration::from_secs(seconds);
    let (mut longest, mut runs, mut work) = (Duration::ZERO, 0u64, 1u64);
    let begin = Instant::now();
    loop {
        let start = Instant::now();
        for i in 0..100u64 {
            work = std::hint::black_box(work.wrapping_mul(6364136223846793005).wrapping_add(i));
        }
        let time = start.elapsed();
        runs += 1;
        if time > longest {
            longest = time;
            println!("Max latency so far: {} microseconds.", time.as_micros());
        }
        if Instant::now() >= end {
            break;
        }
    }
    let mean = begin.elapsed().as_secs_f64() / runs as f64 * 1e6;
    println!("\n{runs} total runs (avg latency: {mean:.4} microseconds / {:.2} nanoseconds per run).", mean * 1000.0);
    println!("Worst run took {:.0}x longer than the average latency.", longest.as_secs_f64() * 1e6 / mean);
    Ok(())
}
