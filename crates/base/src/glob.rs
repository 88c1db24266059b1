//! Glob patterns of `KEYS`, `SCAN … MATCH`, `PSUBSCRIBE`, `CONFIG GET` and ACL rules, with Redis's own dialect.
//!
//! ```text
//! *        any bytes, also none            [abc]    one of these bytes        \x   the byte x itself
//! ?        exactly one byte                [^a-z]   one byte not in the range
//! ```
//!
//! The dialect has corners that clients can see and that are kept: an unclosed `[` ends with the pattern, a range may be
//! written backwards, `[a-]` is a range up to `]`, bytes in ranges compare as *signed*, and no pattern but the empty one
//! matches the empty string (callers treat the lone `*` before they come here).
//!
//! A star that has failed to lead to a match is never tried again once a later star was reached, so the work is bounded by
//! pattern length × string length whatever the pattern. Where both are long, `search` does it in their sum: hostile patterns
//! cannot stall the server.

mod search;

/// Whether the whole of `text` matches `pattern`. With `ignore_case`, ASCII letters match in both cases.
pub fn glob_matches(pattern: &[u8], text: &[u8], ignore_case: bool) -> bool {
    if text.is_empty() {
        return pattern.is_empty();
    }
    if text.len() >= search::TEXT_BYTES_MIN && pattern.len() >= search::PATTERN_BYTES_MIN {
        return search::matches(pattern, text, ignore_case);
    }
    matches_by_trying(pattern, text, ignore_case)
}

fn matches_by_trying(pattern: &[u8], text: &[u8], ignore_case: bool) -> bool {
    let mut at = 0;
    let mut position = 0;
    // Where to resume when the bytes after the latest star fail: after that star, one byte of text further on.
    let mut resume: Option<(usize, usize)> = None;
    while position < text.len() {
        if pattern.get(at) == Some(&b'*') {
            while pattern.get(at) == Some(&b'*') {
                at += 1;
            }
            if at == pattern.len() {
                return true;
            }
            resume = Some((at, position));
            continue;
        }
        if let Some(next) = match_one(&pattern[at..], text[position], ignore_case) {
            at += next;
            position += 1;
            continue;
        }
        match &mut resume {
            Some((after_star, start)) => {
                *start += 1;
                at = *after_star;
                position = *start;
            }
            None => return false,
        }
    }
    pattern[at..].iter().all(|&byte| byte == b'*')
}

/// Matches one byte against the first item of `pattern`, which is no star; the item's length if it matches.
fn match_one(pattern: &[u8], byte: u8, ignore_case: bool) -> Option<usize> {
    let literal = |expected: u8| {
        if ignore_case { expected.eq_ignore_ascii_case(&byte) } else { expected == byte }
    };
    match pattern {
        [] => None,
        [b'?', ..] => Some(1),
        [b'[', class @ ..] => {
            let (matched, len) = match_class(class, byte, ignore_case);
            matched.then_some(1 + len)
        }
        [b'\\', escaped, ..] => literal(*escaped).then_some(2),
        [expected, ..] => literal(*expected).then_some(1),
    }
}

/// Matches one byte against a class, given from after its `[`; also returns the class's length with its `]` if it has one.
fn match_class(class: &[u8], byte: u8, ignore_case: bool) -> (bool, usize) {
    let negated = class.first() == Some(&b'^');
    let mut at = usize::from(negated);
    let mut matched = false;
    loop {
        match &class[at..] {
            [] => break,
            // An escaped byte in a class is compared as it is, also where case is ignored.
            [b'\\', escaped, ..] => {
                matched |= *escaped == byte;
                at += 2;
            }
            [b']', ..] => {
                at += 1;
                break;
            }
            [from, b'-', to, ..] => {
                matched |= in_range(*from, *to, byte, ignore_case);
                at += 3;
            }
            [single, ..] => {
                matched |= if ignore_case { single.eq_ignore_ascii_case(&byte) } else { *single == byte };
                at += 1;
            }
        }
    }
    (matched != negated, at)
}

fn in_range(from: u8, to: u8, byte: u8, ignore_case: bool) -> bool {
    let (low, high) = (from.cast_signed().min(to.cast_signed()), from.cast_signed().max(to.cast_signed()));
    // The ends are put in order before their case is folded, so `[Z-a]` is empty where case is ignored.
    let fold = |value: i8| {
        if ignore_case { value.cast_unsigned().to_ascii_lowercase().cast_signed() } else { value }
    };
    (fold(low)..=fold(high)).contains(&fold(byte.cast_signed()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use alloc::vec::Vec;
    use proptest::prelude::*;

    fn check(pattern: &str, text: &str, expected: bool) {
        assert_eq!(glob_matches(pattern.as_bytes(), text.as_bytes(), false), expected, "{pattern:?} on {text:?}");
    }

    fn check_ignoring_case(pattern: &str, text: &str, expected: bool) {
        assert_eq!(glob_matches(pattern.as_bytes(), text.as_bytes(), true), expected, "{pattern:?} on {text:?}");
    }

    #[test]
    fn ordinary_patterns() {
        check("hello", "hello", true);
        check("hello", "hell", false);
        check("hell", "hello", false);
        check("h?llo", "hallo", true);
        check("h?llo", "hllo", false);
        check("h*llo", "heeeello", true);
        check("h*llo", "hllo", true);
        check("h*llo*", "hllo", true);
        check("*llo", "llo", true);
        check("**a**", "xxa", true);
        check("*ab*ab*abc", "xabyabzababc", true);
        check("*ab*ab*abc", "xabyabzabab", false);
        check("h[ae]llo", "hillo", false);
        check("h[^e]llo", "hbllo", true);
        check("h[a-c]llo", "hbllo", true);
        check("h[c-a]llo", "hbllo", true);
        check("h\\?llo", "h?llo", true);
        check("h\\?llo", "hallo", false);
        check("[\\]]x", "]x", true);
        check("[\\a-z]", "-", true);
        check("[\\a-z]", "m", false);
        check("news.[0-9]*", "news.7.x", true);
    }

    #[test]
    fn corners_of_the_dialect() {
        check("", "", true);
        check("*", "", false);
        check("**", "", false);
        check("", "a", false);
        check("a*", "a", true);
        check("a\\", "a\\", true);
        check("[", "a", false);
        check("[^", "a", true);
        check("[a", "a", true);
        check("[ab", "b", true);
        check("[]", "a", false);
        check("[^]", "a", true);
        check("[a-]", "]", true);
        check("[a-", "-", true);
        check("[a-]b", "b", true);
        assert!(glob_matches(b"[\x80-\xff]", b"\x90", false));
        assert!(glob_matches(b"[\xff-\x01]", b"\x00", false));
        assert!(!glob_matches(b"[a-\xff]", b"z", false));
        assert!(glob_matches(b"[a-\xff]", b"A", false));
    }

    #[test]
    fn case_can_be_ignored() {
        check_ignoring_case("MaxMemory", "maxmemory", true);
        check_ignoring_case("[A-C]x", "bX", true);
        check_ignoring_case("[Z-a]", "z", false);
        check_ignoring_case("[\\A]", "a", false);
        check_ignoring_case("\\A", "a", true);
        check_ignoring_case("a[^B]c", "abc", false);
    }

    #[test]
    fn hostile_patterns_end_soon() {
        let pattern: Vec<u8> = b"a*".repeat(5_000).into_iter().chain(*b"b").collect();
        let text = vec![b'a'; 20_000];
        assert!(!glob_matches(&pattern, &text, false));
    }

    #[test]
    fn a_pattern_costs_its_length_and_that_of_the_text() {
        let long = |middle: &[u8]| [b"L*", &middle.repeat(200_000)[..], b"b"].concat();
        let text = [&b"L"[..], &[b'a'; 1 << 20]].concat();
        for ignore_case in [false, true] {
            assert!(!glob_matches(&long(b"a"), &text, ignore_case));
            assert!(glob_matches(&long(b"a"), &[&text[..], b"b"].concat(), ignore_case));
        }
        // A class and a question mark among the plain bytes, and a class that is long itself.
        let class = [b"L*[", &b"xyz".repeat(60_000)[..], b"]*?", &b"a".repeat(2_000), b"?b"].concat();
        assert!(!glob_matches(&class, &text, false));
    }

    /// The obvious exponential matcher, for literal bytes, `?` and `*` only.
    fn model(pattern: &[u8], text: &[u8]) -> bool {
        match (pattern, text) {
            ([], _) => text.is_empty(),
            ([b'*', rest @ ..], _) => (0..=text.len()).any(|skip| model(rest, &text[skip..])),
            ([b'?', rest @ ..], [_, tail @ ..]) => model(rest, tail),
            ([first, rest @ ..], [byte, tail @ ..]) => first == byte && model(rest, tail),
            (_, []) => false,
        }
    }

    proptest! {
        #[test]
        fn stars_agree_with_the_obvious_matcher(pattern in "[ab?*]{0,10}", text in "[ab]{1,12}") {
            prop_assert_eq!(
                glob_matches(pattern.as_bytes(), text.as_bytes(), false),
                model(pattern.as_bytes(), text.as_bytes())
            );
        }

        #[test]
        fn searching_finds_what_trying_does(
            pattern in proptest::collection::vec(prop_oneof![b'a'..b'd', Just(b'['), Just(b'*'), Just(b'*'), Just(b'?'), Just(b'\\'), Just(b'-'), Just(b']'), Just(b'^'), Just(b'A'), any::<u8>()], 0..14),
            text in proptest::collection::vec(prop_oneof![b'a'..b'd', Just(b'A'), Just(b']'), any::<u8>()], 1..200),
            ignore_case: bool,
        ) {
            prop_assert_eq!(
                search::matches(&pattern, &text, ignore_case),
                matches_by_trying(&pattern, &text, ignore_case)
            );
        }

        #[test]
        fn any_bytes_are_accepted(
            pattern in proptest::collection::vec(prop_oneof![any::<u8>(), Just(b'['), Just(b'*'), Just(b'\\'), Just(b'-'), Just(b']')], 0..30),
            text in proptest::collection::vec(any::<u8>(), 0..30),
            ignore_case: bool,
        ) {
            let _ = glob_matches(&pattern, &text, ignore_case);
            let escaped: Vec<u8> = text.iter().flat_map(|&byte| [b'\\', byte]).collect();
            prop_assert!(glob_matches(&escaped, &text, ignore_case));
        }
    }
}
