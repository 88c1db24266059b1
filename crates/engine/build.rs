//! Turns `commands.jsonl`, the facts of all commands, into the static table of `spec.rs`.
use serde_json::Value;
use std::fmt::Write as _;

fn main() {
    println!("cargo::rerun-if-changed=commands.jsonl");
    let text = std::fs::read_to_string("commands.jsonl").expect("commands.jsonl lies beside build.rs");
    let mut out = String::from("/// The facts of all commands, by name.\npub static SPECS: &[Spec] = &[\n");
    for line in text.lines().filter(|l| !l.trim().is_empty()) {
        let row: Value = serde_json::from_str(line).expect("each line of commands.jsonl is one JSON object");
        spec(&mut out, &row);
    }
    out.push_str("];\n");
    let folder = std::env::var("OUT_DIR").expect("cargo sets OUT_DIR");
    std::fs::write(std::path::Path::new(&folder).join("specs.rs"), out).expect("OUT_DIR can be written");
}

fn text<'a>(row: &'a Value, key: &str) -> &'a str {
    row[key].as_str().unwrap_or("")
}

fn list<'a>(row: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    row[key].as_array().into_iter().flatten()
}

fn bits(row: &Value, key: &str, ty: &str) -> String {
    let names: Vec<String> = list(row, key).filter_map(Value::as_str).map(|n| format!("{ty}::{n}.0")).collect();
    if names.is_empty() { format!("{ty}(0)") } else { format!("{ty}({})", names.join(" | ")) }
}

fn spec(out: &mut String, row: &Value) {
    let tips: Vec<&str> = list(row, "tips").filter_map(Value::as_str).collect();
    let history: Vec<&str> = list(row, "changed_in").filter_map(Value::as_str).collect();
    write!(
        out,
        "Spec {{ name: {:?}, group: {:?}, since: {:?}, arity: {}, flags: {}, categories: {}, tips: &{:?}, changed_in: &{:?}, deprecated_since: {:?}, replaced_by: {:?}, keys: &[",
        text(row, "command"),
        text(row, "group"),
        text(row, "since"),
        row["arity"],
        bits(row, "flags", "Flags"),
        bits(row, "acl_categories", "Categories"),
        tips,
        history,
        text(row, "deprecated_since"),
        text(row, "replaced_by"),
    )
    .expect("writing to a string does not fail");
    for key in list(row, "key_specs") {
        key_spec(out, key);
    }
    out.push_str("], args: ");
    args(out, row);
    out.push_str(" },\n");
}

fn key_spec(out: &mut String, key: &Value) {
    let (begin, find) = (&key["begin_search"], &key["find_keys"]);
    let begin = if let Some(index) = begin.get("index") {
        format!("Begin::Index({})", index["pos"])
    } else if let Some(word) = begin.get("keyword") {
        format!("Begin::Keyword({}, {})", word["keyword"], word["startfrom"])
    } else {
        "Begin::Unknown".into()
    };
    let find = if let Some(range) = find.get("range") {
        format!("Find::Range {{ last: {}, step: {}, limit: {} }}", range["lastkey"], range["step"], range["limit"])
    } else if let Some(n) = find.get("keynum") {
        format!("Find::Count {{ at: {}, first: {}, step: {} }}", n["keynumidx"], n["firstkey"], n["step"])
    } else {
        "Find::Unknown".into()
    };
    let flags: Vec<&str> = list(key, "flags").filter_map(Value::as_str).collect();
    write!(out, "KeySpec {{ flags: &{flags:?}, begin: {begin}, find: {find} }},")
        .expect("writing to a string does not fail");
}

fn args(out: &mut String, row: &Value) {
    out.push_str("&[");
    for arg in list(row, "arguments") {
        let yes = |key: &str| arg[key].as_bool().unwrap_or(false);
        write!(
            out,
            "Arg {{ name: {:?}, display: {:?}, kind: {:?}, token: {:?}, since: {:?}, deprecated_since: {:?}, key_spec: {}, optional: {}, multiple: {}, multiple_token: {}, args: ",
            text(arg, "name"),
            text(arg, "display"),
            text(arg, "type"),
            text(arg, "token"),
            text(arg, "since"),
            text(arg, "deprecated_since"),
            arg["key_spec_index"].as_i64().map_or("None".into(), |i| format!("Some({i})")),
            yes("optional"),
            yes("multiple"),
            yes("multiple_token"),
        )
        .expect("writing to a string does not fail");
        args(out, arg);
        out.push_str(" },");
    }
    out.push(']');
}
