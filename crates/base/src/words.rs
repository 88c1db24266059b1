//! Splitting a line into arguments, with the quoting rules of inline requests,
//! configuration files and the interactive client.
//!
//! `"…"` understands `\n \r \t \b \a \xHH \\ \"`; `'…'` understands `\'` alone.
//! A closing quote must be followed by a space or the end.

use alloc::vec::Vec;

/// A quote was not closed, or something other than a space followed a closing quote.
#[derive(Debug, PartialEq, Eq, Clone, Copy)]
pub struct UnbalancedQuotes;

/// The arguments of a line.
pub fn split_args(line: &[u8]) -> Result<Vec<Vec<u8>>, UnbalancedQuotes> {
    let mut args = Vec::new();
    let mut rest = line;
    loop {
        rest = rest.trim_ascii_start();
        if rest.is_empty() || rest[0] == 0 {
            return Ok(args);
        }
        let (arg, after) = one(rest)?;
        args.push(arg);
        rest = after;
    }
}

/// One argument from the start of `input`, and what follows it.
fn one(input: &[u8]) -> Result<(Vec<u8>, &[u8]), UnbalancedQuotes> {
    let (mut arg, mut i) = (Vec::new(), 0);
    while let Some(&byte) = input.get(i) {
        match byte {
            b'"' => i = double_quoted(input, i + 1, &mut arg)?,
            b'\'' => i = single_quoted(input, i + 1, &mut arg)?,
            b' ' | b'\n' | b'\r' | b'\t' | 0 => break,
            other => {
                arg.push(other);
                i += 1;
                continue;
            }
        }
        match input.get(i) {
            None => break,
            Some(b) if b.is_ascii_whitespace() => break,
            Some(_) => return Err(UnbalancedQuotes),
        }
    }
    Ok((arg, &input[i..]))
}

fn double_quoted(input: &[u8], mut i: usize, arg: &mut Vec<u8>) -> Result<usize, UnbalancedQuotes> {
    loop {
        match input.get(i).ok_or(UnbalancedQuotes)? {
            b'"' => return Ok(i + 1),
            b'\\' => {
                let escaped = *input.get(i + 1).ok_or(UnbalancedQuotes)?;
                let hex = |at: usize| input.get(at).and_then(|b| (*b as char).to_digit(16));
                if let (b'x', Some(high), Some(low)) = (escaped, hex(i + 2), hex(i + 3)) {
                    arg.push((high * 16 + low) as u8);
                    i += 4;
                    continue;
                }
                arg.push(match escaped {
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    b'b' => 8,
                    b'a' => 7,
                    other => other,
                });
                i += 2;
            }
            &other => {
                arg.push(other);
                i += 1;
            }
        }
    }
}

fn single_quoted(input: &[u8], mut i: usize, arg: &mut Vec<u8>) -> Result<usize, UnbalancedQuotes> {
    loop {
        match (input.get(i).ok_or(UnbalancedQuotes)?, input.get(i + 1)) {
            (b'\'', _) => return Ok(i + 1),
            (b'\\', Some(b'\'')) => {
                arg.push(b'\'');
                i += 2;
            }
            (&other, _) => {
                arg.push(other);
                i += 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str, expected: &[&[u8]]) {
        assert_eq!(split_args(line.as_bytes()).unwrap(), expected);
    }

    #[test]
    fn quoting_rules() {
        check("  set  a b ", &[b"set", b"a", b"b"]);
        check(r#"set "a\x41\n\"" 'b\'c\n'"#, &[b"set", b"aA\n\"", b"b'c\\n"]);
        check(r#""" ''"#, &[b"", b""]);
        check(r#"a"b c""#, &[b"ab c"]);
        check("", &[]);
        for bad in ["\"a", "'a", "\"a\"b", "'a'b", "\"\\"] {
            assert_eq!(split_args(bad.as_bytes()), Err(UnbalancedQuotes), "{bad}");
        }
    }
}
