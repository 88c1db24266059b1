//! What has happened, line by line, the latest last.
//!
//! Sentinels see the same things at nearly the same time: what several of them tell is one line that counts them.

use super::words;

/// Lines that are kept.
const LINES: usize = 500;
/// A sentence that another sentinel has told is looked for among this many of the last lines.
const RECENT: usize = 12;

/// One line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Hours, minutes, seconds, milliseconds.
    clock: String,
    /// The ports of the sentinels that tell it; none where it was done here.
    by: Vec<u16>,
    text: String,
    /// Whether it says how long a fail-over took.
    pub is_report: bool,
}

impl Line {
    /// As it is shown, with its time to the millisecond or, where there is little room, to the second.
    pub fn shown(&self, with_milliseconds: bool) -> String {
        let Self { clock, by, text, .. } = self;
        let clock = if with_milliseconds { clock.as_str() } else { &clock[..8] };
        match by[..] {
            [] => format!("{clock} {text}"),
            [one] => format!("{clock} 127.0.0.1:{one} {text}"),
            [first, ..] => format!("{clock} 127.0.0.1:{first} and {} more: {text}", by.len() - 1),
        }
    }
}

/// All lines, and which of them have been taken.
#[derive(Debug, Default)]
pub struct Feed {
    lines: Vec<Line>,
    taken: usize,
}

impl Feed {
    fn push(&mut self, by: Vec<u16>, text: String, is_report: bool) {
        if self.lines.len() == LINES {
            self.lines.remove(0);
            self.taken = self.taken.saturating_sub(1);
        }
        let clock = jiff::Zoned::now().strftime("%H:%M:%S%.3f").to_string();
        self.lines.push(Line { clock, by, text, is_report });
    }

    /// Something has happened here.
    pub fn add(&mut self, text: String) {
        self.push(Vec::new(), text, false);
    }

    /// How long a fail-over took; a fuller report takes the place of the one before and is the latest line again.
    pub fn report(&mut self, text: String) {
        if let Some(last) = self.lines.iter().rposition(|line| line.is_report)
            && text.starts_with(&self.lines[last].text)
        {
            self.lines.remove(last);
            self.taken -= usize::from(last < self.taken);
        }
        self.push(Vec::new(), text, true);
    }

    /// A sentinel tells something.
    pub fn hear(&mut self, by: u16, name: &str, text: &str) {
        let sentence = words::sentence(name, text);
        let same = |line: &&mut Line| line.text == sentence && !line.by.is_empty() && !line.by.contains(&by);
        if let Some(line) = self.lines.iter_mut().rev().take(RECENT).find(same) {
            line.by.push(by);
            return;
        }
        self.push(vec![by], sentence, false);
    }

    /// How many lines there are.
    pub fn len(&self) -> usize {
        self.lines.len()
    }

    /// All lines.
    pub fn lines(&self) -> &[Line] {
        &self.lines
    }

    /// The lines that have come since the last call.
    pub fn take(&mut self) -> Vec<Line> {
        let new = self.lines[self.taken..].to_vec();
        self.taken = self.lines.len();
        new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_several_sentinels_tell_is_one_line() {
        let mut feed = Feed::default();
        let text = "mymaster 127.0.0.1 7001 127.0.0.1 7002";
        feed.hear(1, "+switch-master", text);
        feed.add("you kill 127.0.0.1:7001".into());
        feed.hear(2, "+switch-master", text);
        feed.hear(3, "+switch-master", text);
        // The same sentinel sees it once more: that is another event.
        feed.hear(3, "+switch-master", text);
        let shown: Vec<String> = feed.lines().iter().map(|line| line.shown(true)[13..].to_owned()).collect();
        let words = "sees the primary move from 127.0.0.1:7001 to 127.0.0.1:7002";
        assert_eq!(
            shown,
            [
                format!("127.0.0.1:1 and 2 more: {words}"),
                "you kill 127.0.0.1:7001".to_owned(),
                format!("127.0.0.1:3 {words}"),
            ]
        );
        assert_eq!(feed.take().len(), 3);
        feed.add("more".into());
        assert_eq!(feed.take().len(), 1);
    }

    #[test]
    fn a_fuller_report_takes_the_place_of_the_one_before() {
        let mut feed = Feed::default();
        feed.report("1 → 2 in 1.00 s".into());
        feed.add("something".into());
        feed.report("1 → 2 in 1.00 s; 0 acknowledged writes lost".into());
        feed.report("2 → 1 in 1.00 s".into());
        let reports: Vec<_> =
            feed.lines().iter().filter(|line| line.is_report).map(|line| line.text.as_str()).collect();
        assert_eq!(reports, ["1 → 2 in 1.00 s; 0 acknowledged writes lost", "2 → 1 in 1.00 s"]);
    }

    #[test]
    fn old_lines_go() {
        let mut feed = Feed::default();
        for n in 0..LINES + 10 {
            feed.add(n.to_string());
        }
        assert_eq!((feed.len(), feed.take().len()), (LINES, LINES));
        feed.add("last".into());
        assert_eq!(feed.take().len(), 1);
    }
}
