//! The screen, drawn from the state alone.
//!
//! ```text
//!  primary 127.0.0.1:6379 · load 1000/s, 52340 acknowledged · 42 s
//!    address         role     ops/s              lag ms            keys  memory
//!  ▸ 127.0.0.1:6379  primary  ▁▂▅▇▇▇▇▇  1003                         100    1.2M
//!    127.0.0.1:6380  replica  ▁▂▅▇▇▇▇▇  1003     ▁▁▁▂▁▁▁▁   0.2      100    1.2M
//!    127.0.0.1:6381  frozen
//!  3 sentinels see 127.0.0.1:6379 ok
//!  6379 → 6380 in 1.13 s: found dead 1.00, elected 0.02, promoted 0.11; 0 acknowledged writes lost
//!  12:00:01.234 127.0.0.1:26379 and 2 more: …              the latest events
//!  ↑↓ choose k kill f freeze c cut off h hand over r restart w load ? help q quit
//! ```
//! Where there is room sentinels have a line each, and servers more columns. Limits: with fewer than [`WIDTH_MIN`] columns or [`HEIGHT_MIN`]
//! lines it says so instead.

use super::nodes::Service;
use super::state::{Condition, Seen, State};
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style, Stylize};
use ratatui::text::Line;
use ratatui::widgets::{Paragraph, Sparkline};
use std::collections::VecDeque;
use std::time::Duration;

/// The narrowest screen.
const WIDTH_MIN: u16 = 50;
/// The lowest screen.
const HEIGHT_MIN: u16 = 10;
/// From so many columns on there is room for all columns of the table.
const WIDE: u16 = 80;
/// Lines for events that are kept free before sentinels get a line each.
const EVENTS_MIN: u16 = 6;

const HELP: &[&str] = &[
    "↑ ↓ Tab     choose a node; until then it is the primary",
    "k           kill it as a power cut would (SIGKILL)",
    "f           freeze it (SIGSTOP), and let it go on",
    "c           cut a server off the network, and reconnect it",
    "h           hand over: another server becomes the primary, and no write is lost",
    "r           restart the chosen node, or else one that has ended",
    "w           switch a load of writes on or off",
    "PgUp PgDn   scroll the events; Home and End: all the way",
    "q, Ctrl-C   stop all",
    "",
    "ops/s: commands that read or write data, without the traffic of sentinels and replicas",
    "lag: how long the primary's stream takes to come; it grows while nothing comes",
];

/// Draws all of it.
pub fn draw(frame: &mut Frame, state: &State, folder: &str, now: Duration) {
    let area = frame.area();
    if area.width < WIDTH_MIN || area.height < HEIGHT_MIN {
        let text =
            format!("The terminal is too small: at least {WIDTH_MIN} columns and {HEIGHT_MIN} lines, or --plain");
        frame.render_widget(Paragraph::new(wrapped(&text, area.width)), area);
        return;
    }
    let servers = of_service(state, Service::Server);
    let sentinels = of_service(state, Service::Sentinel);
    let keys = wrapped(KEYS[usize::from(area.width < WIDE)], area.width);
    let report = state.tracker.last().map(|report| wrapped(&report.to_string(), area.width)).unwrap_or_default();
    let fixed = 1 + 1 + keys.len() as u16 + report.len() as u16;
    // Where even the servers do not fit, the events keep three lines.
    let server_lines = (servers.len() as u16).min(area.height.saturating_sub(fixed + 1 + 3));
    let left = area.height.saturating_sub(fixed + server_lines);
    let sentinel_lines = match sentinels.len() as u16 {
        0 => 0,
        count if left >= count + EVENTS_MIN => count,
        _ => 1,
    };
    let heights = [1, 1 + server_lines, sentinel_lines, report.len() as u16];
    let [title, top, middle, last, feed, bottom] = Layout::vertical([
        Constraint::Length(heights[0]),
        Constraint::Length(heights[1]),
        Constraint::Length(heights[2]),
        Constraint::Length(heights[3]),
        Constraint::Min(0),
        Constraint::Length(keys.len() as u16),
    ])
    .areas(area);
    frame.render_widget(Paragraph::new(heading(state, now)).bold(), title);
    draw_servers(frame, state, &servers, top, now);
    draw_sentinels(frame, state, &sentinels, middle);
    frame.render_widget(Paragraph::new(report).style(Style::new().fg(Color::Green)), last);
    if state.shows_help {
        let lines = HELP.iter().map(|line| (*line).to_owned()).chain([format!("logs and data are in {folder}")]);
        let text: Vec<Line> = lines.flat_map(|line| wrapped(&line, feed.width)).collect();
        frame.render_widget(Paragraph::new(text), feed);
    } else {
        draw_feed(frame, state, feed);
    }
    let keys = state.message(now).map_or(keys, |text| wrapped(text, area.width));
    frame.render_widget(Paragraph::new(keys).style(Style::new().fg(Color::Cyan)), bottom);
}

/// The keys, for wide screens and for narrow ones.
const KEYS: [&str; 2] = [
    "↑↓ choose k kill f freeze c cut off h hand over r restart w load ? help q quit",
    "↑↓ k kill f freeze c cut off h hand over r restart w load ?",
];

fn heading(state: &State, now: Duration) -> String {
    let primary = state.primary().map_or("no primary".to_owned(), |port| format!("primary 127.0.0.1:{port}"));
    let load = state.load.map_or("load off".to_owned(), |rate| format!("load {rate}/s, {} written", state.written));
    format!("{primary} · {load} · {} s", now.as_secs())
}

fn of_service(state: &State, service: Service) -> Vec<usize> {
    (0..state.nodes.len()).filter(|node| state.nodes[*node].service == service).collect()
}

/// A word for how a process is, and whether all is well with it.
fn condition(state: &State, seen: &Seen) -> (&'static str, Color) {
    match seen.condition {
        Condition::Frozen => return ("frozen", Color::Yellow),
        Condition::Ended => return ("dead", Color::Red),
        Condition::CutOff => return ("cut off", Color::Yellow),
        Condition::Running => {}
    }
    if seen.info.is_none() {
        return ("silent", Color::Red);
    }
    match (seen.field("role"), Some(seen.port) == state.primary()) {
        ("master", true) => ("primary", Color::Green),
        // It takes itself for the primary and has not been told yet.
        ("master", false) => ("stale", Color::Yellow),
        _ if seen.field("master_link_status") == "up" => ("replica", Color::Reset),
        _ => ("no link", Color::Yellow),
    }
}

/// The columns of the table: mark, address, role, ops as a line and a number, lag as a line and a number, keys, memory.
fn columns(row: Rect) -> [Rect; 9] {
    let wide = row.width >= WIDE;
    let extra = |width: u16| Constraint::Length(if wide { width } else { 0 });
    let graph = (row.width.saturating_sub(if wide { 61 } else { 46 }) / 2).clamp(4, 30);
    Layout::horizontal([
        Constraint::Length(2),
        Constraint::Length(16),
        Constraint::Length(8),
        Constraint::Length(graph),
        Constraint::Length(8),
        Constraint::Length(graph),
        Constraint::Length(9),
        extra(9),
        extra(9),
    ])
    .areas(row)
}

fn draw_servers(frame: &mut Frame, state: &State, servers: &[usize], area: Rect, now: Duration) {
    let row = |line: u16| Rect { y: area.y + line, height: 1, ..area };
    let right = |text: &str, width: u16| format!("{text:>width$}", width = usize::from(width));
    let dim = Style::new().add_modifier(Modifier::DIM);
    let header = columns(row(0));
    for (column, title) in [(1, "address"), (2, "role"), (3, "ops/s"), (5, "lag ms")] {
        frame.render_widget(Paragraph::new(title).style(dim), header[column]);
    }
    for (column, title) in [(7, "keys"), (8, "memory")] {
        frame.render_widget(Paragraph::new(right(title, header[column].width)).style(dim), header[column]);
    }
    for (line, node) in (1..area.height).zip(servers) {
        let seen = &state.nodes[*node];
        let cells = columns(row(line));
        let chosen = *node == state.chosen();
        let (word, color) = condition(state, seen);
        let style = Style::new().fg(color);
        let style = if chosen { style.add_modifier(Modifier::BOLD) } else { style };
        frame.render_widget(Paragraph::new(if chosen { "▸" } else { "" }).style(style), cells[0]);
        frame.render_widget(Paragraph::new(seen.address()).style(style), cells[1]);
        frame.render_widget(Paragraph::new(word).style(style), cells[2]);
        if seen.info.is_some() {
            graph(frame, &seen.ops, cells[3]);
            let ops = seen.ops.back().map_or(String::new(), u64::to_string);
            frame.render_widget(Paragraph::new(right(&(ops + " "), cells[4].width)).style(style), cells[4]);
        }
        if let Some(lag) = state.lag(*node, now).filter(|_| seen.condition != Condition::Ended) {
            graph(frame, &seen.lags, cells[5]);
            let text = format!("{:.1} ", lag.as_secs_f64() * 1000.0);
            frame.render_widget(Paragraph::new(right(&text, cells[6].width)).style(style), cells[6]);
        }
        if let Some(info) = &seen.info {
            let keys = Some(info.part("db0", "keys")).filter(|keys| !keys.is_empty()).unwrap_or("0");
            frame.render_widget(Paragraph::new(right(keys, cells[7].width)).style(style), cells[7]);
            let memory = right(info.get("used_memory_human"), cells[8].width);
            frame.render_widget(Paragraph::new(memory).style(style), cells[8]);
        }
    }
}

/// The latest samples as a line of bars.
fn graph(frame: &mut Frame, samples: &VecDeque<u64>, area: Rect) {
    let skipped = samples.len().saturating_sub(usize::from(area.width.saturating_sub(1)));
    let samples: Vec<u64> = samples.iter().skip(skipped).copied().collect();
    let area = Rect { width: area.width.saturating_sub(1), ..area };
    frame.render_widget(Sparkline::default().data(&samples).style(Style::new().fg(Color::Blue)), area);
}

/// What a sentinel says of the primary.
fn opinion(seen: &Seen) -> (String, Color) {
    match seen.condition {
        Condition::Frozen => return ("frozen".into(), Color::Yellow),
        Condition::Ended => return ("dead".into(), Color::Red),
        Condition::CutOff | Condition::Running => {}
    }
    let Some(info) = &seen.info else { return ("silent".into(), Color::Red) };
    let part = |name: &str| info.part("master0", name);
    if info.get("sentinel_tilt") == "1" {
        return ("in tilt".into(), Color::Yellow);
    }
    let color = if part("status") == "ok" { Color::Reset } else { Color::Yellow };
    let others = info.part("master0", "sentinels").parse::<u16>().unwrap_or(1).saturating_sub(1);
    let text = format!("{} {}, {} replicas, {others} other sentinels", part("address"), part("status"), part("slaves"));
    (text, color)
}

fn draw_sentinels(frame: &mut Frame, state: &State, sentinels: &[usize], area: Rect) {
    if usize::from(area.height) < sentinels.len() {
        // One line for all: how many of them see what.
        let mut opinions: Vec<(String, usize)> = Vec::new();
        for node in sentinels {
            let (text, _) = opinion(&state.nodes[*node]);
            let short = text.split(',').next().unwrap_or_default().to_owned();
            match opinions.iter_mut().find(|(known, _)| *known == short) {
                Some((_, count)) => *count += 1,
                None => opinions.push((short, 1)),
            }
        }
        let parts: Vec<String> = opinions.iter().map(|(text, count)| format!("{count}: {text}")).collect();
        let chosen = sentinels.iter().find(|node| **node == state.chosen());
        let mark = chosen.map_or(String::from("  "), |node| format!("▸ {} of ", state.nodes[*node].address()));
        frame.render_widget(Paragraph::new(format!("{mark}sentinels {}", parts.join(", "))), area);
        return;
    }
    for (line, node) in (0..area.height).zip(sentinels) {
        let seen = &state.nodes[*node];
        let (text, color) = opinion(seen);
        let mark = if *node == state.chosen() { "▸" } else { " " };
        let text = format!("{mark} {} sentinel: {text}", seen.address());
        frame.render_widget(
            Paragraph::new(text).style(Style::new().fg(color)),
            Rect { y: area.y + line, height: 1, ..area },
        );
    }
}

fn draw_feed(frame: &mut Frame, state: &State, area: Rect) {
    let feed = state.feed.lines();
    let end = feed.len().saturating_sub(state.scrolled);
    // The last report has a line of its own above.
    let last = feed.iter().rposition(|line| line.is_report);
    let (mut lines, mut bottom) = (Vec::new(), 0);
    for (position, line) in feed.iter().enumerate().filter(|(position, _)| Some(*position) != last) {
        let style = if line.is_report { Style::new().fg(Color::Green) } else { Style::new() };
        lines.extend(wrapped(&line.shown(false), area.width).into_iter().map(|part| part.style(style)));
        if position < end {
            bottom = lines.len();
        }
    }
    let height = usize::from(area.height);
    let bottom = bottom.max(height.min(lines.len()));
    let shown: Vec<Line> = lines.drain(bottom.saturating_sub(height)..bottom).collect();
    frame.render_widget(Paragraph::new(shown), area);
}

/// The text in lines of at most `width` characters, broken between words; the second line and those after it are indented.
fn wrapped(text: &str, width: u16) -> Vec<Line<'static>> {
    let width = usize::from(width).max(1);
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in text.split(' ') {
        let len = line.chars().count();
        if len > 0 && len + 1 + word.chars().count() > width {
            lines.push(Line::from(std::mem::replace(&mut line, "   ".to_owned())));
        }
        if !line.trim().is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    lines.push(Line::from(line));
    lines
}

#[cfg(test)]
#[path = "view_tests.rs"]
mod tests;
