//! All that is known and chosen: it takes events with their time, and says what is to be done. The screen is drawn from it alone.

use super::error::Error;
use super::failover::{Step, Tracker};
use super::feed::Feed;
use super::info::Info;
use super::nodes::Service;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use std::collections::VecDeque;
use std::time::Duration;

/// Samples that are kept for each sparkline.
const SAMPLES: usize = 120;
/// How often the primary publishes a heartbeat. One that has not come when the next one is due is late.
pub const BEAT_PERIOD: Duration = Duration::from_millis(100);
/// How long after a fail-over some answers of sentinels may be from before it.
const SWITCH_TIME: Duration = Duration::from_secs(2);
/// How long a message stays.
const MESSAGE_TIME: Duration = Duration::from_secs(6);

/// What the threads tell.
#[derive(Debug)]
pub enum Event {
    /// A process has answered INFO, or did not.
    Info { node: usize, info: Option<Info> },
    /// A process has ended.
    Ended { node: usize },
    /// The sentinel on this port has published something.
    Sentinel { by: u16, name: String, text: String },
    /// The primary has published a heartbeat.
    Published { sent: Duration },
    /// A heartbeat has come to a server.
    Beat { node: usize, sent: Duration, delay: Duration },
    /// `count` writes of the load were acknowledged.
    Wrote { count: u64 },
    /// On the new primary, on this port, `lost` acknowledged writes of the load are missing.
    Counted { port: u16, lost: u64 },
    /// A key was pressed.
    Key(KeyEvent),
    /// The size of the terminal has changed.
    Redraw,
    /// A thread has panicked.
    ThreadFailed { what: String },
}

/// What is to be done. Nodes are named by their position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    Kill(usize),
    Freeze(usize),
    Thaw(usize),
    CutOff(usize),
    Reconnect(usize),
    Restart(usize),
    /// The primary hands over to a replica; to this one, where no sentinels choose.
    HandOver(Option<usize>),
    /// The write load is switched on or off.
    Load(bool),
    Quit,
}

/// What was done to a process here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    Running,
    Frozen,
    CutOff,
    Ended,
}

/// One process as it is shown.
#[derive(Debug)]
pub struct Seen {
    pub service: Service,
    pub port: u16,
    pub condition: Condition,
    /// What it answered last; nothing while it does not answer.
    pub info: Option<Info>,
    /// Commands on data each second.
    pub ops: VecDeque<u64>,
    /// How far behind the primary it is, in microseconds.
    pub lags: VecDeque<u64>,
    calls: Option<(Duration, u64)>,
    beat: Option<(Duration, Duration)>,
}

impl Seen {
    fn new(service: Service, port: u16) -> Self {
        Self {
            service,
            port,
            condition: Condition::Running,
            info: None,
            ops: VecDeque::new(),
            lags: VecDeque::new(),
            calls: None,
            beat: None,
        }
    }

    /// The address that clients know.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// A field of INFO, empty where there is none.
    pub fn field(&self, name: &str) -> &str {
        self.info.as_ref().map_or("", |info| info.get(name))
    }

    fn says_primary(&self) -> bool {
        self.service == Service::Server && self.field("role") == "master"
    }
}

/// Adds a sample; the oldest ones go.
fn push(samples: &mut VecDeque<u64>, sample: u64) {
    if samples.len() == SAMPLES {
        samples.pop_front();
    }
    samples.push_back(sample);
}

/// All that is known of the processes, and what the user has chosen.
#[derive(Debug)]
pub struct State {
    pub nodes: Vec<Seen>,
    pub feed: Feed,
    pub tracker: Tracker,
    /// Events that have been scrolled back, in lines of the screen.
    pub scrolled: usize,
    pub shows_help: bool,
    /// The load's rate while it is on.
    pub load: Option<u32>,
    rate: u32,
    /// Acknowledged writes of the load.
    pub written: u64,
    chosen: Option<usize>,
    primary: Option<u16>,
    /// When the primary moved last.
    switched: Option<Duration>,
    published: Duration,
    message: Option<(Duration, String)>,
}

impl State {
    /// Of these processes; the load writes `rate` times a second once it is on.
    pub fn new(planned: &[(Service, u16)], rate: u32, load_is_on: bool) -> Self {
        Self {
            nodes: planned.iter().map(|(service, port)| Seen::new(*service, *port)).collect(),
            feed: Feed::default(),
            tracker: Tracker::default(),
            scrolled: 0,
            shows_help: false,
            load: load_is_on.then_some(rate),
            rate,
            written: 0,
            chosen: None,
            primary: None,
            switched: None,
            published: Duration::ZERO,
            message: None,
        }
    }

    /// The port of the primary.
    pub fn primary(&self) -> Option<u16> {
        self.primary
    }

    fn primary_position(&self) -> Option<usize> {
        self.nodes.iter().position(|node| node.service == Service::Server && Some(node.port) == self.primary)
    }

    /// The process that keys act upon: the primary until another one is chosen.
    pub fn chosen(&self) -> usize {
        self.chosen.or(self.primary_position()).unwrap_or(0)
    }

    /// What is to be said at the moment.
    pub fn message(&self, now: Duration) -> Option<&str> {
        self.message.as_ref().filter(|(at, _)| now < *at + MESSAGE_TIME).map(|(_, text)| text.as_str())
    }

    /// How far a replica is behind: the age of what it has heard last, which grows while nothing comes.
    pub fn lag(&self, node: usize, now: Duration) -> Option<Duration> {
        let seen = &self.nodes[node];
        let (sent, delay) = seen.beat.filter(|_| Some(seen.port) != self.primary)?;
        let is_late = self.published > sent && now > sent + 2 * BEAT_PERIOD;
        Some(if is_late { now - sent - BEAT_PERIOD } else { delay })
    }

    /// Takes an event in at a time since the start; what it asks for.
    pub fn apply(&mut self, now: Duration, event: Event) -> Option<Action> {
        match event {
            Event::Info { node, info } => self.informed(now, node, info),
            Event::Ended { node } => {
                if self.nodes[node].condition != Condition::Ended {
                    self.lose(now, node, Condition::Ended);
                    self.feed.add(format!("{} has ended", self.nodes[node].address()));
                }
            }
            Event::Sentinel { by, name, text } => {
                let step = Step::of(&name, &text);
                if let Step::Switched(_, to) = step {
                    (self.primary, self.switched) = (Some(to), Some(now));
                }
                self.feed.hear(by, &name, &text);
                self.track(now, step);
            }
            Event::Published { sent } => self.published = sent,
            Event::Beat { node, sent, delay } => self.nodes[node].beat = Some((sent, delay)),
            Event::Wrote { count } => self.written += count,
            Event::Counted { port, lost } => self.track(now, Step::Counted(port, lost)),
            Event::Key(key) => return self.press(now, key),
            Event::Redraw => {}
            Event::ThreadFailed { what } => {
                self.feed.add(format!("the thread that {what} has failed: its news is missing"));
            }
        }
        None
    }

    fn track(&mut self, now: Duration, step: Step<'_>) {
        if self.tracker.apply(now, step)
            && let Some(report) = self.tracker.last()
        {
            self.feed.report(report.to_string());
        }
    }

    fn informed(&mut self, now: Duration, node: usize, info: Option<Info>) {
        let seen = &mut self.nodes[node];
        seen.info = info;
        let Some(info) = &seen.info else { return };
        let calls = info.data_calls();
        if let Some((before, old)) = seen.calls.replace((now, calls))
            && calls >= old
            && now > before
        {
            push(&mut seen.ops, ((calls - old) as f64 / (now - before).as_secs_f64()).round() as u64);
        }
        let (port, says_primary) = (seen.port, seen.says_primary());
        let is_settled = self.switched.is_none_or(|at| now > at + SWITCH_TIME);
        match self.opinion() {
            Some(opinion) if is_settled => self.primary = Some(opinion),
            // The sentinels' answers to INFO are older than what they have published.
            Some(_) => {}
            // Where no sentinels watch it is who says so.
            None => {
                let known = self.primary_position().is_some_and(|known| self.nodes[known].says_primary());
                if says_primary && !known {
                    self.primary = Some(port);
                }
            }
        }
        if says_primary && self.primary == Some(port) {
            self.track(now, Step::Answered(port));
        }
        if let Some(lag) = self.lag(node, now) {
            push(&mut self.nodes[node].lags, lag.as_micros() as u64);
        }
    }

    /// The port of the primary that most sentinels name.
    fn opinion(&self) -> Option<u16> {
        let named = self.nodes.iter().filter(|seen| seen.service == Service::Sentinel).filter_map(|seen| {
            let address = seen.info.as_ref()?.part("master0", "address");
            address.rsplit(':').next()?.parse::<u16>().ok()
        });
        let named: Vec<u16> = named.collect();
        named.iter().copied().max_by_key(|port| named.iter().filter(|other| *other == port).count())
    }

    fn lose(&mut self, now: Duration, node: usize, condition: Condition) {
        self.nodes[node].condition = condition;
        if self.nodes[node].service == Service::Server {
            self.track(now, Step::Lost(self.nodes[node].port));
        }
    }

    /// What was asked for is done, or could not be.
    pub fn done(&mut self, now: Duration, action: Action, result: Result<(), Error>) {
        let address = |node: usize| self.nodes[node].address();
        let (what, node) = match action {
            Action::Kill(node) => (format!("kill {}", address(node)), Some((node, Condition::Ended))),
            Action::Freeze(node) => (format!("freeze {}", address(node)), Some((node, Condition::Frozen))),
            Action::Thaw(node) => (format!("thaw {}", address(node)), Some((node, Condition::Running))),
            Action::CutOff(node) => (format!("cut {} off", address(node)), Some((node, Condition::CutOff))),
            Action::Reconnect(node) => (format!("reconnect {}", address(node)), Some((node, Condition::Running))),
            Action::Restart(node) => (format!("restart {}", address(node)), Some((node, Condition::Running))),
            Action::HandOver(_) => ("ask for a hand-over".to_owned(), None),
            Action::Load(true) => (format!("switch a load of {} writes a second on", self.rate), None),
            Action::Load(false) => ("switch the load off".to_owned(), None),
            Action::Quit => return,
        };
        if let Err(error) = result {
            self.say(now, format!("can't {what}: {error}"));
            return;
        }
        match node {
            Some((node, Condition::Running)) => {
                self.nodes[node].condition = Condition::Running;
                self.track(now, Step::Back(self.nodes[node].port));
            }
            Some((node, condition @ (Condition::Frozen | Condition::CutOff | Condition::Ended))) => {
                self.lose(now, node, condition);
            }
            None => {}
        }
        match action {
            Action::HandOver(_) => self.track(now, Step::Asked),
            Action::Load(on) => self.load = on.then_some(self.rate),
            Action::Kill(_)
            | Action::Freeze(_)
            | Action::Thaw(_)
            | Action::CutOff(_)
            | Action::Reconnect(_)
            | Action::Restart(_)
            | Action::Quit => {}
        }
        self.feed.add(format!("you {what}"));
    }

    fn say(&mut self, now: Duration, text: String) {
        self.message = Some((now, text));
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "a keyboard has more keys than mean something here")]
    fn press(&mut self, now: Duration, key: KeyEvent) -> Option<Action> {
        let node = self.chosen();
        let condition = self.nodes[node].condition;
        self.message = None;
        match key.code {
            KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => return Some(Action::Quit),
            KeyCode::Esc if self.shows_help => self.shows_help = false,
            KeyCode::Char('q') | KeyCode::Esc => return Some(Action::Quit),
            KeyCode::Char('?') => self.shows_help = !self.shows_help,
            KeyCode::Up | KeyCode::BackTab => self.chosen = Some((node + self.nodes.len() - 1) % self.nodes.len()),
            KeyCode::Down | KeyCode::Tab => self.chosen = Some((node + 1) % self.nodes.len()),
            KeyCode::PageUp => self.scrolled = (self.scrolled + 3).min(self.feed.len()),
            KeyCode::PageDown => self.scrolled = self.scrolled.saturating_sub(3),
            KeyCode::Home => self.scrolled = self.feed.len(),
            KeyCode::End => self.scrolled = 0,
            KeyCode::Char('w') => return Some(Action::Load(self.load.is_none())),
            KeyCode::Char('k') if condition == Condition::Ended => {
                self.say(now, "it has ended already; r restarts it".into())
            }
            KeyCode::Char('k') => return Some(Action::Kill(node)),
            KeyCode::Char('f') => match condition {
                Condition::Frozen => return Some(Action::Thaw(node)),
                Condition::Running | Condition::CutOff => return Some(Action::Freeze(node)),
                Condition::Ended => self.say(now, "it has ended; r restarts it".into()),
            },
            KeyCode::Char('c') if self.nodes[node].service == Service::Sentinel => {
                self.say(now, "a sentinel can't be cut off; f freezes it, which is the same to the others".into());
            }
            KeyCode::Char('c') => match condition {
                Condition::CutOff => return Some(Action::Reconnect(node)),
                Condition::Running => return Some(Action::CutOff(node)),
                Condition::Frozen => self.say(now, "it is frozen; f thaws it".into()),
                Condition::Ended => self.say(now, "it has ended; r restarts it".into()),
            },
            KeyCode::Char('h') => {
                let is_replica =
                    self.nodes[node].service == Service::Server && Some(self.nodes[node].port) != self.primary;
                return Some(Action::HandOver(is_replica.then_some(node)));
            }
            KeyCode::Char('r') => {
                let ended = |node: &usize| self.nodes[*node].condition == Condition::Ended;
                match Some(node).filter(ended).or_else(|| (0..self.nodes.len()).find(ended)) {
                    Some(node) => return Some(Action::Restart(node)),
                    None => self.say(now, "all are running; k kills one".into()),
                }
            }
            _ => {}
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state() -> State {
        let planned =
            [(Service::Server, 7001), (Service::Server, 7002), (Service::Server, 7003), (Service::Sentinel, 27001)];
        let mut state = State::new(&planned, 1000, false);
        for (node, role) in [(0, "master"), (1, "slave"), (2, "slave")] {
            inform(&mut state, 0, node, &format!("role:{role}\r\n"));
        }
        state
    }

    fn inform(state: &mut State, ms: u64, node: usize, info: &str) {
        state.apply(Duration::from_millis(ms), Event::Info { node, info: Some(Info::parse(info)) });
    }

    fn press(state: &mut State, key: char) -> Option<Action> {
        code(state, KeyCode::Char(key))
    }

    fn code(state: &mut State, code: KeyCode) -> Option<Action> {
        state.apply(Duration::ZERO, Event::Key(KeyEvent::new(code, KeyModifiers::NONE)))
    }

    fn act(state: &mut State, ms: u64, action: Action) {
        state.done(Duration::from_millis(ms), action, Ok(()));
    }

    #[test]
    fn keys_act_upon_the_primary_until_another_node_is_chosen() {
        let mut state = state();
        assert_eq!(press(&mut state, 'k'), Some(Action::Kill(0)));
        let text = "mymaster 127.0.0.1 7001 127.0.0.1 7003".to_owned();
        state.apply(Duration::ZERO, Event::Sentinel { by: 27001, name: "+switch-master".into(), text });
        assert_eq!(press(&mut state, 'k'), Some(Action::Kill(2)), "the new primary");
        code(&mut state, KeyCode::Down);
        assert_eq!(press(&mut state, 'k'), Some(Action::Kill(3)));
        code(&mut state, KeyCode::Tab);
        code(&mut state, KeyCode::Tab);
        assert_eq!(press(&mut state, 'k'), Some(Action::Kill(1)));
        code(&mut state, KeyCode::Up);
        code(&mut state, KeyCode::Up);
        assert_eq!(press(&mut state, 'f'), Some(Action::Freeze(3)), "it goes round");
    }

    #[test]
    fn a_key_undoes_what_it_has_done() {
        let mut state = state();
        for (key, there, condition, back) in [
            ('f', Action::Freeze(0), Condition::Frozen, Action::Thaw(0)),
            ('c', Action::CutOff(0), Condition::CutOff, Action::Reconnect(0)),
        ] {
            assert_eq!(press(&mut state, key), Some(there));
            act(&mut state, 0, there);
            assert_eq!(state.nodes[0].condition, condition);
            assert_eq!(press(&mut state, key), Some(back));
            act(&mut state, 0, back);
            assert_eq!(state.nodes[0].condition, Condition::Running);
        }
        assert_eq!(press(&mut state, 'r'), None, "all are running");
        act(&mut state, 0, Action::Kill(0));
        for key in ['k', 'f', 'c'] {
            assert_eq!(press(&mut state, key), None);
            assert!(state.message(Duration::ZERO).is_some_and(|text| text.contains("r restarts it")));
        }
        code(&mut state, KeyCode::Down);
        assert_eq!(press(&mut state, 'r'), Some(Action::Restart(0)), "the chosen one runs, another one has ended");
        assert_eq!(press(&mut state, 'w'), Some(Action::Load(true)));
        act(&mut state, 0, Action::Load(true));
        assert_eq!((state.load, press(&mut state, 'w')), (Some(1000), Some(Action::Load(false))));
    }

    #[test]
    fn what_fails_is_said_and_changes_nothing() {
        let mut state = state();
        state.done(Duration::ZERO, Action::CutOff(1), Err(Error::Refused("no such option".into())));
        assert_eq!(state.nodes[1].condition, Condition::Running);
        assert_eq!(state.message(Duration::ZERO), Some("can't cut 127.0.0.1:7002 off: no such option"));
        assert_eq!(state.message(MESSAGE_TIME), None);
        for _ in 0..3 {
            code(&mut state, KeyCode::Down);
        }
        assert_eq!(press(&mut state, 'c'), None);
        assert!(state.message(Duration::ZERO).is_some_and(|text| text.contains("f freezes it")));
    }

    #[test]
    fn a_hand_over_names_the_chosen_replica() {
        let mut state = state();
        assert_eq!(press(&mut state, 'h'), Some(Action::HandOver(None)));
        code(&mut state, KeyCode::Down);
        assert_eq!(press(&mut state, 'h'), Some(Action::HandOver(Some(1))));
    }

    #[test]
    fn only_commands_on_data_are_counted_as_load() {
        let mut state = state();
        let info = |sets: u64, pings: u64| {
            format!("role:master\r\ncmdstat_set:calls={sets},usec=1\r\ncmdstat_ping:calls={pings},usec=1\r\n")
        };
        inform(&mut state, 1000, 0, &info(10, 100));
        inform(&mut state, 1500, 0, &info(10, 900));
        inform(&mut state, 2000, 0, &info(60, 1000));
        // It was restarted: the counters begin anew.
        inform(&mut state, 2500, 0, &info(1, 1));
        inform(&mut state, 3000, 0, &info(2, 2));
        assert_eq!(state.nodes[0].ops, [10, 0, 100, 2]);
    }

    #[test]
    fn lag_is_the_age_of_what_has_come_and_grows_while_nothing_comes() {
        const fn ms(ms: u64) -> Duration {
            Duration::from_millis(ms)
        }
        let mut state = state();
        assert_eq!(state.lag(1, ms(1000)), None, "nothing is known yet");
        state.apply(ms(1000), Event::Published { sent: ms(999) });
        state.apply(ms(1001), Event::Beat { node: 1, sent: ms(999), delay: ms(2) });
        assert_eq!(state.lag(1, ms(1050)), Some(ms(2)));
        assert_eq!(
            state.lag(1, ms(3000)),
            Some(ms(2)),
            "the primary publishes nothing: there is nothing to be behind of"
        );
        state.apply(ms(3000), Event::Published { sent: ms(3000) });
        assert_eq!(state.lag(1, ms(3001)), Some(ms(1902)));
        assert_eq!(state.lag(0, ms(3001)), None, "the primary");
    }

    #[test]
    fn the_primary_is_who_says_so_until_sentinels_say_another() {
        let mut state = state();
        assert_eq!(state.primary(), Some(7001));
        let text = "mymaster 127.0.0.1 7001 127.0.0.1 7002".to_owned();
        state.apply(Duration::ZERO, Event::Sentinel { by: 27001, name: "+switch-master".into(), text });
        inform(&mut state, 1, 1, "role:master\r\n");
        // The old one is cut off and still takes itself for the primary.
        inform(&mut state, 2, 0, "role:master\r\n");
        assert_eq!(state.primary(), Some(7002));
        // So do sentinels that have not heard of it, for a while.
        let named =
            |port: u16| format!("master0:name=mymaster,status=ok,address=127.0.0.1:{port},slaves=2,sentinels=1\r\n");
        inform(&mut state, 3, 3, &named(7001));
        assert_eq!(state.primary(), Some(7002));
        inform(&mut state, 2500, 3, &named(7002));
        inform(&mut state, 2600, 0, "role:master\r\n");
        assert_eq!(state.primary(), Some(7002));
    }

    #[test]
    fn a_server_that_comes_back_with_an_old_role_is_not_the_primary_of_the_sentinels() {
        let mut state = state();
        inform(&mut state, 300, 3, "master0:name=mymaster,status=ok,address=127.0.0.1:7002,slaves=2,sentinels=1\r\n");
        assert_eq!(state.primary(), Some(7002));
        inform(&mut state, 400, 0, "role:master\r\n");
        assert_eq!(state.primary(), Some(7002));
    }

    #[test]
    fn without_sentinels_a_hand_over_is_seen_by_the_roles() {
        let mut state =
            State::new(&[(Service::Server, 7001), (Service::Server, 7002), (Service::Server, 7003)], 1, false);
        inform(&mut state, 1, 1, "role:master\r\n");
        assert_eq!(state.primary(), Some(7002));
        inform(&mut state, 3, 1, "role:slave\r\n");
        inform(&mut state, 4, 2, "role:master\r\n");
        assert_eq!(state.primary(), Some(7003));
    }
}
