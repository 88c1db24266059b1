//! The rules of the house that a machine can check: see ARCHITECTURE.md.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Lines that a source file may have.
const LINES_MAX: usize = 800;
/// Crates in which `unsafe` is allowed.
const UNSAFE_ALLOWED: &[&str] = &["crates/keyspace/", "crates/net/", "crates/sys/"];

/// The crates whose imports are checked.
const CRATES: [&str; 10] = ["base", "resp", "persist", "keyspace", "engine", "repl", "sentinel", "sim", "net", "sys"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn sources() -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut folders: Vec<PathBuf> =
        ["src", "crates", "tests", "bench", "fuzz/fuzz_targets"].iter().map(|f| root().join(f)).collect();
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        for entry in entries.flatten() {
            let path = entry.path();
            if path.is_dir() {
                if path.file_name().is_some_and(|n| n != "target") {
                    folders.push(path);
                }
            } else if path.extension().is_some_and(|e| e == "rs") {
                let name = path.strip_prefix(root()).unwrap().display().to_string();
                found.push((name, fs::read_to_string(&path).unwrap()));
            }
        }
    }
    assert!(found.len() > 50, "the sources were not found");
    found
}

fn complain(rule: &str, places: Vec<String>) {
    assert!(places.is_empty(), "{rule}:\n{}", places.join("\n"));
}

#[test]
fn files_are_short() {
    let long = sources().into_iter().map(|(name, text)| (name, text.lines().count())).filter(|(_, n)| *n > LINES_MAX);
    complain("split files of more than 800 lines", long.map(|(name, n)| format!("{name}: {n} lines")).collect());
}

#[test]
fn modules_begin_by_saying_why_they_exist() {
    let bare = sources()
        .into_iter()
        .filter(|(name, text)| !text.starts_with("//!") && !name.ends_with("tests.rs") && !name.contains("/tests/"));
    complain("begin the file with a //! header", bare.map(|(name, _)| name).collect());
}

#[test]
fn nothing_is_left_unfinished() {
    let marks = [
        ["to", "do!"].concat(),
        ["unimplement", "ed!"].concat(),
        ["FIX", "ME"].concat(),
        ["TO", "DO"].concat(),
        ["XX", "X "].concat(),
    ];
    let mut places = Vec::new();
    for (name, text) in sources() {
        for (i, line) in text.lines().enumerate() {
            if marks.iter().any(|m| line.contains(m.as_str())) {
                places.push(format!("{name}:{}: {}", i + 1, line.trim()));
            }
        }
    }
    complain("finish these", places);
}

#[test]
fn doc_lines_stand_alone() {
    let is_doc = |line: &str| line.trim_start().starts_with("///") || line.trim_start().starts_with("//!");
    let leaning = |line: &str| line.to_lowercase().contains(&["like", "wise"].concat());
    let mut places = Vec::new();
    for (name, text) in sources() {
        let lines = text.lines().enumerate().filter(|(_, line)| is_doc(line) && leaning(line));
        places.extend(lines.map(|(i, line)| format!("{name}:{}: {}", i + 1, line.trim())));
    }
    complain("say what it is without the item before it", places);
}

#[test]
fn unsafe_code_is_where_it_is_allowed() {
    let word = ["uns", "afe"].concat();
    let mut places = Vec::new();
    for (name, text) in sources() {
        if UNSAFE_ALLOWED.iter().any(|prefix| name.starts_with(prefix)) {
            continue;
        }
        for (i, line) in text.lines().enumerate() {
            let code = line.split("//").next().unwrap_or("");
            let used = [" {", " fn", " impl"].iter().any(|after| code.contains(&format!("{word}{after}")));
            if used {
                places.push(format!("{name}:{}: {}", i + 1, line.trim()));
            }
        }
    }
    complain("unsafe code belongs into keyspace, net or sys", places);
}

/// A new variant of an enum must not fall into an arm that was written for the others: clippy refuses `_` where each crate asks it to.
#[test]
fn matches_on_enums_name_every_variant() {
    let attribute = "#![cfg_attr(not(test), deny(clippy::wildcard_enum_match_arm))]";
    let roots = CRATES.iter().map(|name| format!("crates/{name}/src/lib.rs")).chain(["src/main.rs".to_owned()]);
    let without =
        roots.filter(|name| !fs::read_to_string(root().join(name)).unwrap().lines().any(|line| line == attribute));
    complain(&format!("add {attribute}"), without.collect());
}

/// Names of the workspace's crates in a section of a manifest.
fn imports(manifest: &str) -> Vec<String> {
    let text = fs::read_to_string(root().join(manifest)).unwrap();
    let section = text.split("\n[dependencies]\n").nth(1).unwrap_or("").split("\n[").next().unwrap_or("");
    let ours = CRATES;
    section
        .lines()
        .filter_map(|l| l.split(['.', ' ', '=']).next())
        .filter(|n| ours.contains(n))
        .map(str::to_owned)
        .collect()
}

#[test]
fn crates_import_only_what_the_architecture_allows() {
    let text = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let mut allowed: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for line in
        text.lines().skip_while(|l| !l.starts_with("| crate | may import")).skip(2).take_while(|l| l.starts_with('|'))
    {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        allowed.insert(cells[1].into(), cells[2].split(", ").map(str::to_owned).collect());
    }
    assert!(allowed.len() >= 9, "the table of imports was not found");
    let mut wrong = Vec::new();
    for name in CRATES {
        let may = allowed.get(name).cloned().unwrap_or_default();
        for import in imports(&format!("crates/{name}/Cargo.toml")) {
            if !may.contains(&import) {
                wrong.push(format!("{name} imports {import}"));
            }
        }
    }
    complain("these imports go against the table in ARCHITECTURE.md", wrong);
}

#[test]
fn every_dependency_has_its_reason() {
    let reasons = fs::read_to_string(root().join("DEPENDENCIES.md")).unwrap();
    let mut missing = Vec::new();
    let mut manifests = vec![root().join("Cargo.toml")];
    manifests.extend(fs::read_dir(root().join("crates")).unwrap().flatten().map(|e| e.path().join("Cargo.toml")));
    for manifest in manifests {
        let text = fs::read_to_string(&manifest).unwrap();
        let mut in_dependencies = false;
        for line in text.lines() {
            if line.starts_with('[') {
                in_dependencies = line.ends_with("dependencies]");
                continue;
            }
            let Some(name) =
                line.split(['.', ' ', '=']).next().filter(|n| in_dependencies && !n.is_empty() && !n.starts_with('#'))
            else {
                continue;
            };
            let ours = root().join("crates").join(name).exists();
            if !ours && !reasons.contains(name) {
                missing.push(format!("{name} (in {})", manifest.strip_prefix(root()).unwrap().display()));
            }
        }
    }
    complain("say in DEPENDENCIES.md why these are needed", missing);
}

#[test]
fn nothing_in_the_tree_tells_of_a_machine() {
    let Ok(listed) = std::process::Command::new("git").arg("ls-files").current_dir(root()).output() else { return };
    // A tree that is no clone, an unpacked archive for example, lists nothing.
    let files = String::from_utf8_lossy(&listed.stdout).into_owned();
    let marks = [["/ro", "ot/"].concat(), ["/ho", "me/"].concat(), [".cargo", "/registry"].concat()];
    let mut places = Vec::new();
    for name in files.lines() {
        let Ok(text) = fs::read_to_string(root().join(name)) else { continue };
        for (i, line) in text.lines().enumerate() {
            if marks.iter().any(|m| line.contains(m.as_str())) {
                places.push(format!("{name}:{}: {}", i + 1, line.trim()));
            }
        }
    }
    complain("take out the paths of a machine", places);
}
