//! Any bytes as what the command line reads: a line that is typed, a server's replies, its documentation, the files in a home folder.
//!
//! The fuzz target `cli` includes this file and those that it calls by their paths, since they are parts of a program.

use super::format::{self, Delimiters, Style};
use super::hints::Docs;
use super::history;
use super::preferences::Preferences;
use crate::uri::Target;
use resp::Value;
use std::sync::OnceLock;

/// A hint or a help text may be so many times longer than the server's documentation.
const GROWTH_MAX: usize = 2000;

/// The entry of the fuzz target `cli`: a byte that says how long the line is, the line, and what the server answers, or the bytes of a file.
///
/// # Panics
/// If what is printed does not keep the form of its style, or what is read is not bounded by what was sent.
pub fn fuzz_cli(data: &[u8]) {
    let Some((&len, rest)) = data.split_first() else { return };
    let (line, told) = rest.split_at(usize::from(len).min(rest.len()));
    if let Ok(Some((value, _))) = resp::parse_value(told) {
        print_in_all_styles(&value);
        learn(&value, line, told.len());
    }
    let _ = Preferences::default().run_all(told);
    let (entries, _) = history::entries(told);
    assert!(entries.iter().all(|entry| !entry.is_empty() && !entry.contains('\n')));
    if let Ok(words) = resp::split_args(line) {
        let _ = history::is_secret(&words);
    }
    let _ = Target::default().apply_uri(&String::from_utf8_lossy(line));
}

fn print_in_all_styles(value: &Value) {
    let delimiters = Delimiters { element: b"\n".to_vec(), reply: b"\n".to_vec() };
    for style in [Style::People, Style::Raw, Style::Csv, Style::Json, Style::QuotedJson] {
        let mut out = Vec::new();
        format::reply(value, style, false, &delimiters, &mut out);
        assert!(out.ends_with(b"\n"), "{style:?} has no line end");
        let lines = out.iter().filter(|byte| **byte == b'\n').count();
        match style {
            Style::People | Style::Raw => {}
            Style::Csv | Style::Json => assert_eq!(lines, 1, "{style:?} is one line"),
            Style::QuotedJson => assert!(lines == 1 && out.is_ascii(), "{style:?} is one line of ASCII"),
        }
        format::reply(value, style, true, &delimiters, &mut out);
    }
}

fn learn(told: &Value, line: &[u8], told_len: usize) {
    static OWN: OnceLock<Docs> = OnceLock::new();
    let own = OWN.get_or_init(Docs::own);
    let line = String::from_utf8_lossy(line);
    let mut docs = Docs::default();
    docs.learn(told);
    for command in docs.completions("").iter().take(3) {
        assert!(docs.hint(&format!("{command} ")).len() <= GROWTH_MAX * told_len);
        assert!(docs.hint(&format!("{command} {line}")).len() <= GROWTH_MAX * told_len);
        assert!(!docs.help(command).is_empty(), "{command} has a help");
    }
    let _ = docs.hint(&line);
    let _ = (own.hint(&line), own.completions(&line), own.help(&line));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_corpus_runs() {
        let folder = format!("{}/fuzz/corpus/cli", env!("CARGO_MANIFEST_DIR"));
        let mut files = 0;
        for file in std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{folder}: {error}")) {
            fuzz_cli(&std::fs::read(file.unwrap().path()).unwrap());
            files += 1;
        }
        assert!(files > 0, "{folder} is empty");
    }
}
