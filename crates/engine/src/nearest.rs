//! "Did you mean": the word of a list that a mistyped one most likely stands for.

/// The one of `words` that `given` can be turned into by the fewest changes, if it is near: a quarter of its letters and one may be
/// wrong, missing, too many, or two neighbours swapped.
pub fn nearest<'a>(given: &str, words: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // A long word is none that somebody has mistyped.
    if given.len() > 64 {
        return None;
    }
    let given: Vec<char> = given.to_lowercase().chars().collect();
    let found = words.into_iter().map(|word| (changes(&given, &word.chars().collect::<Vec<_>>()), word)).min()?;
    (found.0 <= 1 + given.len() / 4 && found.0 < given.len()).then_some(found.1)
}

/// How many letters must be put in, taken out, changed or swapped with their neighbours.
fn changes(a: &[char], b: &[char]) -> usize {
    let mut rows = vec![(0..=b.len()).collect::<Vec<_>>()];
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let above = &rows[i - 1];
            let mut best = (above[j] + 1).min(row[j - 1] + 1).min(above[j - 1] + usize::from(a[i - 1] != b[j - 1]));
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            row.push(best);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_words_are_found_and_others_are_not() {
        let words = ["server", "sentinel", "cli", "benchmark", "check-rdb", "up"];
        for (given, expected) in [
            ("sever", Some("server")),
            ("Sentinal", Some("sentinel")),
            ("benhcmark", Some("benchmark")),
            ("check-rbd", Some("check-rdb")),
            ("clii", Some("cli")),
            ("pu", Some("up")),
            ("x", None),
            ("", None),
            ("frobnicate", None),
        ] {
            assert_eq!(nearest(given, words), expected, "{given}");
        }
        assert_eq!(nearest(&"s".repeat(1000), words), None);
    }
}
