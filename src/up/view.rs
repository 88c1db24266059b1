//! The view: a table that is drawn anew, or plain lines.

use super::events::Events;
use super::nodes::{Kind, Node};
use super::{Options, done};
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyModifiers};
use ratatui::layout::{Constraint, Layout};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::Line;
use ratatui::widgets::{Block, Paragraph, Row, Table};
use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// How often the processes are asked.
const PERIOD: Duration = Duration::from_millis(500);

const SERVER_TITLES: [&str; 8] = ["port", "role", "link", "offset", "bytes behind", "ops/s", "keys", "memory"];
const SENTINEL_TITLES: [&str; 5] = ["port", "sees", "primary", "replicas", "sentinels"];

/// What is shown of a server, and whether all is well with it.
fn server_cells(node: &Node, primary_offset: i64) -> ([String; 8], bool) {
    let seen = &node.seen;
    if !seen.up {
        let mut row: [String; 8] = Default::default();
        row[0] = node.port.to_string();
        row[1] = "down".into();
        return (row, false);
    }
    let replica = !seen.is_primary();
    let offset = seen.number("master_repl_offset");
    let link = if replica { seen.get("master_link_status") } else { "-" };
    let behind = if replica { (primary_offset - offset).max(0).to_string() } else { "-".into() };
    let keys = Some(seen.part("db0", "keys")).filter(|k| !k.is_empty()).unwrap_or("0");
    let row = [
        node.port.to_string(),
        if replica { "replica".into() } else { format!("primary of {}", seen.get("connected_slaves")) },
        link.to_owned(),
        offset.to_string(),
        behind,
        seen.get("instantaneous_ops_per_sec").to_owned(),
        keys.to_owned(),
        seen.get("used_memory_human").to_owned(),
    ];
    (row, !replica || link == "up")
}

/// What is shown of a sentinel, and whether it sees a primary that is well.
fn sentinel_cells(node: &Node) -> ([String; 5], bool) {
    let seen = &node.seen;
    if !seen.up {
        return ([node.port.to_string(), "down".into(), String::new(), String::new(), String::new()], false);
    }
    let part = |name: &str| seen.part("master0", name).to_owned();
    let status = if seen.get("sentinel_tilt") == "1" { "tilt".into() } else { part("status") };
    let well = status == "ok";
    ([node.port.to_string(), status, part("address"), part("slaves"), part("sentinels")], well)
}

fn primary_offset(nodes: &[Node]) -> i64 {
    nodes.iter().filter(|n| n.seen.is_primary()).map(|n| n.seen.number("master_repl_offset")).max().unwrap_or(0)
}

fn of_kind(nodes: &[Node], kind: Kind) -> impl Iterator<Item = &Node> {
    nodes.iter().filter(move |n| n.kind == kind)
}

/// One line of `name=value` pairs for each process and second, and one for each event.
pub fn watch_plain(options: &Options, nodes: &mut [Node], events: &Events, stop: &AtomicBool) -> Result<(), String> {
    let started = Instant::now();
    // Whoever read the lines may be gone: that ends the watching, and is no panic that would leave the processes behind.
    let print = |line: String| writeln!(io::stdout(), "{line}").map_err(|e| format!("can't write to the output: {e}"));
    print(format!(
        "primary 127.0.0.1:{}, {} replicas, {} sentinels; Ctrl-C stops them",
        options.port, options.replicas, options.sentinels
    ))?;
    let pairs = |titles: &[&str], row: &[String]| {
        let pair = |(title, cell): (&&str, &String)| format!("{}={}", title.replace(' ', "_"), cell.replace(' ', "_"));
        titles.iter().zip(row).map(pair).collect::<Vec<_>>().join(" ")
    };
    let mut next = Instant::now();
    while !done(options, started, stop) {
        for event in events.take() {
            print(format!("event {event}"))?;
        }
        if Instant::now() < next {
            std::thread::sleep(Duration::from_millis(50));
            continue;
        }
        next += PERIOD * 2;
        nodes.iter_mut().for_each(|n| {
            n.ask();
        });
        let end = primary_offset(nodes);
        for node in nodes.iter() {
            match node.kind {
                Kind::Server => print(pairs(&SERVER_TITLES, &server_cells(node, end).0))?,
                Kind::Sentinel => print(format!("sentinel {}", pairs(&SENTINEL_TITLES, &sentinel_cells(node).0)))?,
            }
        }
    }
    Ok(())
}

/// The table on a terminal, with keys.
pub fn watch_screen(options: &Options, nodes: &mut [Node], events: &Events, stop: &AtomicBool) -> Result<(), String> {
    let mut terminal = ratatui::try_init().map_err(|e| format!("can't use the terminal: {e}; try --plain"))?;
    let result = interact(options, nodes, events, stop, &mut terminal);
    if ratatui::try_restore().is_err() || result.is_err() {
        // The terminal is gone. Its end would complain of that to the same terminal, and panic.
        std::mem::forget(terminal);
    }
    result
}

#[expect(clippy::wildcard_enum_match_arm, reason = "a keyboard has more keys than mean something here")]
fn interact(
    options: &Options,
    nodes: &mut [Node],
    events: &Events,
    stop: &AtomicBool,
    terminal: &mut ratatui::DefaultTerminal,
) -> Result<(), String> {
    let started = Instant::now();
    let keys = read_keys();
    while !done(options, started, stop) {
        nodes.iter_mut().for_each(|n| {
            n.ask();
        });
        terminal
            .draw(|frame| draw(frame, options, nodes, events, started))
            .map_err(|e| format!("can't draw on the terminal: {e}; try --plain"))?;
        let next = Instant::now() + PERIOD;
        while let Some(left) = next.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) {
            if stop.load(Ordering::Relaxed) {
                return Ok(());
            }
            let Ok(key) = keys.recv_timeout(left.min(Duration::from_millis(100))) else { continue };
            match key.code {
                KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => return Ok(()),
                KeyCode::Char('q') | KeyCode::Esc => return Ok(()),
                KeyCode::Char('k') => {
                    if let Some(primary) = nodes.iter_mut().find(|n| n.kind == Kind::Server && n.seen.is_primary()) {
                        primary.kill();
                    }
                    break;
                }
                KeyCode::Char('r') => {
                    for node in nodes.iter_mut() {
                        node.restart()?;
                    }
                    break;
                }
                _ => {}
            }
        }
    }
    Ok(())
}

/// The keys that are pressed, read by a thread of their own: reading from a terminal that has been closed may never come back.
fn read_keys() -> Receiver<KeyEvent> {
    let (sender, keys) = channel();
    std::thread::spawn(move || {
        while let Ok(event) = event::read() {
            if let Event::Key(key) = event
                && sender.send(key).is_err()
            {
                return;
            }
        }
    });
    keys
}

fn draw(frame: &mut ratatui::Frame, options: &Options, nodes: &[Node], events: &Events, started: Instant) {
    let end = primary_offset(nodes);
    let color = |up: bool, well: bool| match (up, well) {
        (true, true) => Color::Reset,
        (true, false) => Color::Yellow,
        (false, _) => Color::Red,
    };
    let bold = Style::new().add_modifier(Modifier::BOLD);
    let servers: Vec<Row> = of_kind(nodes, Kind::Server)
        .map(|node| {
            let (row, well) = server_cells(node, end);
            Row::new(row).style(Style::new().fg(color(node.seen.up, well)))
        })
        .collect();
    let sentinels: Vec<Row> = of_kind(nodes, Kind::Sentinel)
        .map(|node| {
            let (row, well) = sentinel_cells(node);
            Row::new(row).style(Style::new().fg(color(node.seen.up, well)))
        })
        .collect();
    let heights = [servers.len() as u16 + 3, if sentinels.is_empty() { 0 } else { sentinels.len() as u16 + 3 }];
    let [top, middle, feed, bottom] = Layout::vertical([
        Constraint::Length(heights[0]),
        Constraint::Length(heights[1]),
        Constraint::Min(0),
        Constraint::Length(5),
    ])
    .areas(frame.area());
    let title = format!(" Rekindle: a primary and {} replicas, {} s ", options.replicas, started.elapsed().as_secs());
    let table = Table::new(servers, [7, 14, 6, 16, 14, 10, 12, 10].map(Constraint::Length))
        .header(Row::new(SERVER_TITLES).style(bold))
        .block(Block::bordered().title(title));
    frame.render_widget(table, top);
    if !sentinels.is_empty() {
        let table = Table::new(sentinels, [7, 8, 24, 10, 10].map(Constraint::Length))
            .header(Row::new(SENTINEL_TITLES).style(bold))
            .block(Block::bordered().title(format!(" {} sentinels, quorum {} ", options.sentinels, options.quorum())));
        frame.render_widget(table, middle);
        let lines: Vec<Line> =
            events.last(usize::from(feed.height.saturating_sub(2))).into_iter().map(Line::from).collect();
        frame.render_widget(Paragraph::new(lines).block(Block::bordered().title(" events ")), feed);
    }
    let primary = of_kind(nodes, Kind::Server).find(|n| n.seen.is_primary()).map(|n| n.port);
    let primary = primary.unwrap_or(options.port);
    let replica = of_kind(nodes, Kind::Server).find(|n| n.seen.up && !n.seen.is_primary()).map_or(primary, |n| n.port);
    let folder = nodes.first().and_then(|n| n.folder.parent()).map_or(String::new(), |p| p.display().to_string());
    let help = vec![
        Line::from(format!("write to the primary:   redis-cli -p {primary} set greeting hello")),
        Line::from(format!("read from a replica:    redis-cli -p {replica} get greeting")),
        Line::from(format!("logs and data are in:   {folder}")),
        Line::from("k kills the primary, r restarts who is dead"),
        Line::from("Ctrl-C or q stops all"),
    ];
    frame.render_widget(Paragraph::new(help), bottom);
}
