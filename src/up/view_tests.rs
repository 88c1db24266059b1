//! What is on screens of several sizes.

use super::super::info::Info;
use super::super::state::{Action, Event};
use super::*;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

const PRIMARY: u16 = 6379;

/// A primary with so many replicas and three sentinels, after a fail-over from a dead primary.
fn state(replicas: u16) -> State {
    let servers = (0..=replicas).map(|n| (Service::Server, PRIMARY + n));
    let sentinels = (0..3).map(|n| (Service::Sentinel, 26379 + n));
    let planned: Vec<_> = servers.chain(sentinels).collect();
    let mut state = State::new(&planned, 1000, true);
    let at = Duration::from_secs;
    for second in 1..60 {
        for (node, (service, port)) in planned.iter().enumerate() {
            let text = match service {
                Service::Server if *port == PRIMARY => "role:master".to_owned(),
                Service::Server => "role:slave\r\nmaster_link_status:up".to_owned(),
                Service::Sentinel => {
                    "master0:name=mymaster,status=ok,address=127.0.0.1:6380,slaves=2,sentinels=3".to_owned()
                }
            };
            let calls = second * 1003;
            let text =
                format!("{text}\r\ncmdstat_set:calls={calls},usec=1\r\ndb0:keys=4711\r\nused_memory_human:1.25M\r\n");
            state.apply(at(second), Event::Info { node, info: Some(Info::parse(&text)) });
            if *service == Service::Server {
                state.apply(at(second), Event::Published { sent: at(second) });
                let delay = Duration::from_micros(1700);
                state.apply(at(second), Event::Beat { node, sent: at(second), delay });
            }
        }
    }
    state.done(at(60), Action::Kill(0), Ok(()));
    state.apply(at(60), Event::Info { node: 0, info: None });
    for (by, name, text) in [
        (26379, "+sdown", "master mymaster 127.0.0.1 6379"),
        (26380, "+sdown", "master mymaster 127.0.0.1 6379"),
        (26380, "+odown", "master mymaster 127.0.0.1 6379 #quorum 2/2"),
        (26380, "+elected-leader", "master mymaster 127.0.0.1 6379"),
        (26380, "+switch-master", "mymaster 127.0.0.1 6379 127.0.0.1 6380"),
    ] {
        state.apply(at(61), Event::Sentinel { by, name: name.into(), text: text.into() });
    }
    let info = "role:master\r\ncmdstat_set:calls=61180,usec=1\r\n";
    state.apply(at(61), Event::Info { node: 1, info: Some(Info::parse(info)) });
    state.apply(at(61), Event::Counted { port: 6380, lost: 3 });
    state
}

fn screen(state: &State, width: u16, height: u16) -> String {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| draw(frame, state, "/some/folder", Duration::from_secs(61))).unwrap();
    terminal.backend().to_string()
}

fn line<'a>(screen: &'a str, needle: &str) -> &'a str {
    screen.lines().find(|line| line.contains(needle)).unwrap_or_else(|| panic!("{needle} is not shown:\n{screen}"))
}

#[test]
fn all_that_matters_is_shown_on_screens_of_every_size() {
    for (width, height) in [(60, 20), (80, 24), (120, 40)] {
        for replicas in [2, 8] {
            let mut state = state(replicas);
            state.done(Duration::from_secs(61), Action::Freeze(2), Ok(()));
            let screen = screen(&state, width, height);
            let squeezed = screen.replace(['"', '\n'], " ").split_whitespace().collect::<Vec<_>>().join(" ");
            let has = |needle: &str| assert!(squeezed.contains(needle), "{needle:?} at {width}x{height}:\n{screen}");
            has("primary 127.0.0.1:6380 · load 1000/s");
            assert!(line(&screen, "127.0.0.1:6379  ").contains("dead"), "{screen}");
            assert!(line(&screen, "127.0.0.1:6380  ").contains("primary"), "{screen}");
            assert!(line(&screen, "127.0.0.1:6381  ").contains("frozen"), "{screen}");
            for port in 6382..=PRIMARY + replicas {
                let line = line(&screen, &format!("127.0.0.1:{port}  "));
                assert!(line.contains("replica") && line.contains("1003"), "{line}");
                assert!(line.contains("1.7") || line.contains("900."), "the lag in milliseconds: {line}");
                assert!(line.contains('█'), "a sparkline: {line}");
                assert_eq!(line.contains("4711") && line.contains("1.25M"), width >= 80, "{line}");
            }
            has("127.0.0.1:6380 ok");
            has("6379 → 6380 in 1.00 s: found dead 1.00, elected 0.00, promoted 0.00; 3 acknowledged writes lost");
            has("you freeze 127.0.0.1:6381");
            has("127.0.0.1:26380 sees the primary move from 127.0.0.1:6379 to 127.0.0.1:6380");
            for key in ["↑↓", "k kill", "f freeze", "c cut off", "h hand over", "r restart", "w load", "?"] {
                has(key);
            }
        }
    }
}

#[test]
fn the_chosen_node_is_marked_wherever_it_is() {
    let mut state = state(8);
    let down = || Event::Key(KeyEvent::new(KeyCode::Down, KeyModifiers::NONE));
    let marked = |state: &State| {
        let screen = screen(state, 60, 20);
        assert_eq!(screen.matches('▸').count(), 1, "{screen}");
        line(&screen, "▸").to_owned()
    };
    assert!(marked(&state).contains("127.0.0.1:6380"), "the primary");
    for node in 2..12 {
        state.apply(Duration::ZERO, down());
        let address = state.nodes[node].address();
        assert!(marked(&state).contains(&address), "{address}");
    }
}

#[test]
fn events_can_be_scrolled_to_the_first_and_back() {
    let mut state = state(2);
    for n in 0..40 {
        state.feed.add(format!("event number {n}."));
    }
    let key = |code| Event::Key(KeyEvent::new(code, KeyModifiers::NONE));
    let has = |state: &State, n: u32| screen(state, 80, 24).contains(&format!("event number {n}."));
    assert!(has(&state, 39) && !has(&state, 0));
    state.apply(Duration::ZERO, key(KeyCode::PageUp));
    assert!(!has(&state, 39) && has(&state, 36));
    for _ in 0..12 {
        state.apply(Duration::ZERO, key(KeyCode::PageUp));
    }
    assert!(has(&state, 0), "{}", screen(&state, 80, 24));
    state.apply(Duration::ZERO, key(KeyCode::End));
    assert!(has(&state, 39));
    state.apply(Duration::ZERO, key(KeyCode::Home));
    assert!(screen(&state, 80, 24).contains("finds primary 127.0.0.1:6379 down"), "{}", screen(&state, 80, 24));
}

#[test]
fn a_terminal_of_any_size_is_drawn_or_told_what_is_missing() {
    let mut state = state(8);
    for help in [false, true] {
        state.shows_help = help;
        for width in 1..70 {
            for height in 1..30 {
                screen(&state, width, height);
            }
        }
    }
    let small = screen(&state, 40, 9).replace(['"', '\n'], " ").split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(small.contains("too small: at least 50 columns and 10 lines"), "{small}");
    assert!(screen(&state, 100, 40).contains("logs and data are in /some/folder"));
}
