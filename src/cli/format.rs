//! How replies are printed: for people, raw, as CSV, as JSON; byte for byte as `redis-cli` prints them.
//!
//! ```text
//! people   1) "a"        raw   a      csv  "a",2    json  ["a",2]
//!          2) (integer) 2      2
//! ```

use base::text::quote;
use resp::Value;

/// The ways to print a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// With types and numbering, for a terminal.
    People,
    /// Bare values, for other programs.
    Raw,
    /// One line of CSV.
    Csv,
    /// One line of JSON.
    Json,
    /// One line of JSON in ASCII: strings are quoted like on a terminal first.
    QuotedJson,
}

/// What stands between values and after a reply in the raw style.
#[derive(Clone, Debug)]
pub struct Delimiters {
    /// Between the elements of a reply.
    pub element: Vec<u8>,
    /// After a reply.
    pub reply: Vec<u8>,
}

/// Prints a reply with its line end; `verbatim` replies, like that of INFO, are printed as they are whatever the style.
pub fn reply(value: &Value, style: Style, verbatim: bool, delimiters: &Delimiters, out: &mut Vec<u8>) {
    if verbatim {
        raw(value, &delimiters.element, out);
        return;
    }
    match style {
        Style::People => people(value, "", out),
        Style::Raw => {
            raw(value, &delimiters.element, out);
            out.extend_from_slice(&delimiters.reply);
        }
        Style::Csv => {
            csv(value, out);
            out.push(b'\n');
        }
        Style::Json | Style::QuotedJson => {
            json(value, style == Style::QuotedJson, out);
            out.push(b'\n');
        }
    }
}

fn double(n: f64) -> Vec<u8> {
    base::num::format_f64(n, &mut [0; base::num::F64_TEXT_MAX]).to_vec()
}

fn people(value: &Value, prefix: &str, out: &mut Vec<u8>) {
    let line = |out: &mut Vec<u8>, before: &str, text: &[u8]| {
        out.extend_from_slice(before.as_bytes());
        out.extend_from_slice(text);
        out.push(b'\n');
    };
    match value {
        Value::Null => line(out, "(nil)", b""),
        Value::Simple(text) => line(out, "", text),
        Value::Error(text) => line(out, "(error) ", text),
        Value::Int(n) => line(out, "(integer) ", n.to_string().as_bytes()),
        Value::Double(n) => line(out, "(double) ", &double(*n)),
        Value::Bool(true) => line(out, "(true)", b""),
        Value::Bool(false) => line(out, "(false)", b""),
        Value::BigNumber(digits) => line(out, "", digits),
        Value::Verbatim(_, text) => line(out, "", text),
        Value::Bulk(bytes) => {
            quote(bytes, out);
            out.push(b'\n');
        }
        Value::Array(items) => list(items, "(empty array)", ')', prefix, out),
        Value::Push(items) => list(items, "(empty push)", ')', prefix, out),
        Value::Set(items) => list(items, "(empty set)", '~', prefix, out),
        Value::Map(pairs) => {
            if pairs.is_empty() {
                return line(out, "(empty hash)", b"");
            }
            let width = pairs.len().to_string().len();
            let inner = format!("{prefix}{:1$}", "", width + 2);
            for (i, (name, value)) in pairs.iter().enumerate() {
                let before = if i == 0 { "" } else { prefix };
                out.extend_from_slice(format!("{before}{:>width$}# ", i + 1).as_bytes());
                people(name, &inner, out);
                out.pop();
                out.extend_from_slice(b" => ");
                let nested = !(value.elements().is_empty() && value.pairs().is_empty());
                if nested {
                    out.push(b'\n');
                    out.extend_from_slice(inner.as_bytes());
                }
                people(value, &inner, out);
            }
        }
    }
}

fn list(items: &[Value], empty: &str, mark: char, prefix: &str, out: &mut Vec<u8>) {
    if items.is_empty() {
        out.extend_from_slice(empty.as_bytes());
        out.push(b'\n');
    }
    let width = items.len().to_string().len();
    let inner = format!("{prefix}{:1$}", "", width + 2);
    for (i, item) in items.iter().enumerate() {
        let before = if i == 0 { "" } else { prefix };
        out.extend_from_slice(format!("{before}{:>width$}{mark} ", i + 1).as_bytes());
        people(item, &inner, out);
    }
}

fn raw(value: &Value, between: &[u8], out: &mut Vec<u8>) {
    match value {
        Value::Null => {}
        Value::Error(text) => {
            out.extend_from_slice(text);
            out.push(b'\n');
        }
        Value::Simple(text) | Value::Bulk(text) | Value::Verbatim(_, text) | Value::BigNumber(text) => {
            out.extend_from_slice(text)
        }
        Value::Int(n) => out.extend_from_slice(n.to_string().as_bytes()),
        Value::Double(n) => out.extend_from_slice(&double(*n)),
        Value::Bool(yes) => out.extend_from_slice(if *yes { b"(true)" } else { b"(false)" }),
        Value::Array(items) | Value::Set(items) | Value::Push(items) => {
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    out.extend_from_slice(between);
                }
                raw(item, between, out);
            }
        }
        Value::Map(pairs) => {
            for (i, (name, value)) in pairs.iter().enumerate() {
                if i > 0 {
                    out.extend_from_slice(between);
                }
                raw(name, between, out);
                out.push(b' ');
                raw(value, between, out);
            }
        }
    }
}

fn csv(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Null => out.extend_from_slice(b"NULL"),
        Value::Error(text) => {
            out.extend_from_slice(b"ERROR,");
            quote(text, out);
        }
        Value::Simple(text) | Value::Bulk(text) | Value::Verbatim(_, text) => quote(text, out),
        Value::BigNumber(text) => out.extend_from_slice(text),
        Value::Int(n) => out.extend_from_slice(n.to_string().as_bytes()),
        Value::Double(n) => out.extend_from_slice(&double(*n)),
        Value::Bool(yes) => out.extend_from_slice(yes.to_string().as_bytes()),
        Value::Array(items) | Value::Set(items) | Value::Push(items) => {
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    out.push(b',');
                }
                csv(item, out);
            }
        }
        Value::Map(pairs) => {
            for (i, (name, value)) in pairs.iter().enumerate() {
                if i > 0 {
                    out.push(b',');
                }
                csv(name, out);
                out.push(b',');
                csv(value, out);
            }
        }
    }
}

fn json_string(text: &[u8], ascii: bool, out: &mut Vec<u8>) {
    if ascii {
        let mut shown = Vec::new();
        quote(text, &mut shown);
        for byte in shown {
            if byte == b'\\' {
                out.push(b'\\');
            }
            out.push(byte);
        }
        return;
    }
    out.push(b'"');
    for byte in text {
        match byte {
            b'\\' | b'"' => out.extend_from_slice(&[b'\\', *byte]),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            8 => out.extend_from_slice(b"\\b"),
            12 => out.extend_from_slice(b"\\f"),
            0..=31 => out.extend_from_slice(format!("\\u{byte:04x}").as_bytes()),
            _ => out.push(*byte),
        }
    }
    out.push(b'"');
}

fn json(value: &Value, ascii: bool, out: &mut Vec<u8>) {
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Error(text) => {
            out.extend_from_slice(b"error:");
            json_string(text, ascii, out);
        }
        Value::Simple(text) | Value::Bulk(text) | Value::Verbatim(_, text) => json_string(text, ascii, out),
        Value::BigNumber(text) => out.extend_from_slice(text),
        Value::Int(n) => out.extend_from_slice(n.to_string().as_bytes()),
        Value::Double(n) => out.extend_from_slice(&double(*n)),
        Value::Bool(yes) => out.extend_from_slice(yes.to_string().as_bytes()),
        Value::Array(items) | Value::Set(items) | Value::Push(items) => {
            out.push(b'[');
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    out.push(b',');
                }
                json(item, ascii, out);
            }
            out.push(b']');
        }
        Value::Map(pairs) => {
            out.push(b'{');
            for (i, (name, value)) in pairs.iter().enumerate() {
                if i > 0 {
                    out.push(b',');
                }
                match name.as_bytes() {
                    Some(text) => json_string(text, ascii, out),
                    None => {
                        let mut text = Vec::new();
                        json(name, ascii, &mut text);
                        json_string(&text, ascii, out);
                    }
                }
                out.push(b':');
                json(value, ascii, out);
            }
            out.push(b'}');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(value: &Value, style: Style, want: &str) {
        let mut out = Vec::new();
        let delimiters = Delimiters { element: b"\n".to_vec(), reply: b"\n".to_vec() };
        reply(value, style, false, &delimiters, &mut out);
        assert_eq!(String::from_utf8_lossy(&out), want);
    }

    #[test]
    fn nested_replies_line_up() {
        let bulk = |s: &str| Value::Bulk(s.into());
        let value = Value::Array(vec![
            bulk("a"),
            Value::Array(vec![Value::Int(1), Value::Null]),
            Value::Map(vec![(bulk("k"), Value::Bool(true))]),
        ]);
        check(&value, Style::People, "1) \"a\"\n2) 1) (integer) 1\n   2) (nil)\n3) 1# \"k\" => (true)\n");
        check(&value, Style::Raw, "a\n1\n\nk (true)\n");
        check(&value, Style::Csv, "\"a\",1,NULL,\"k\",true\n");
        check(&value, Style::Json, "[\"a\",[1,null],{\"k\":true}]\n");
        let value = Value::Map(vec![(bulk("k"), Value::Array(vec![Value::Int(1), Value::Int(2)]))]);
        check(&value, Style::People, "1# \"k\" => \n   1) (integer) 1\n   2) (integer) 2\n");
        check(&bulk("é\u{1}\""), Style::Json, "\"é\\u0001\\\"\"\n");
        check(&Value::Bulk(vec![0xf0, b'e']), Style::QuotedJson, "\"\\\\xf0e\"\n");
    }
}
