//! The settings that a start begins with: from a file, the command line and the standard input.
//!
//! Later ones win, whatever they come from. What they ask for and is not there ends the start, unless `unsupported-options warn`
//! says otherwise: then [`warn`] says in the log what the server does without.

use super::files;
use super::log::log;
use engine::config::missing::Missing;
use engine::config::{Config, Source};
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// The settings that these arguments mean, on top of `config`.
///
/// # Errors
/// Text for the operator: which line of what cannot be taken, why, and what to do.
pub fn read(args: &[String], mut config: Config) -> Result<Config, String> {
    let mut args = args;
    if let Some(path) = args.first().filter(|a| !a.starts_with('-')) {
        args = &args[1..];
        read_file(path, &mut config)?;
    }
    let (options, reads_input) = option_lines(args);
    config.source = Source::CommandLine;
    config.load(options.as_bytes(), &mut include).map_err(|e| e.to_string())?;
    if reads_input {
        let mut input = Vec::new();
        io::stdin()
            .read_to_end(&mut input)
            .map_err(|e| format!("Can't read the configuration from standard input: {e}"))?;
        config.source = Source::StandardInput;
        config.load(&input, &mut include).map_err(|e| e.to_string())?;
    }
    if let Some((host, _)) = &config.replicaof.0
        && host.is_empty()
    {
        return Err("replicaof needs a host and a port, such as: replicaof 192.0.2.1 6379".into());
    }
    let append_only = append_only_data(&config);
    config.settle().map_err(|refusal| {
        let is_asked = refusal.0.iter().any(|ask| ask.missing == Missing::AppendOnlyFile);
        match append_only.filter(|_| is_asked) {
            Some(path) => format!("{refusal}\n{}", unread(&path)),
            None => refusal.to_string(),
        }
    })?;
    Ok(config)
}

fn read_file(path: &str, config: &mut Config) -> Result<(), String> {
    let text = fs::read(path).map_err(|e| format!("Fatal error, can't open config file '{path}': {e}"))?;
    let is_sentinel = config.sentinel;
    let mut include = |name: &str| {
        let text = include(name)?;
        if is_sentinel && text.split(|b| *b == b'\n').any(|l| l.trim_ascii().starts_with(b"sentinel ")) {
            return Err(format!(
                "{name}: sentinel lines must stand in the main file, which is rewritten with what changes"
            ));
        }
        Ok(text)
    };
    let absolute = fs::canonicalize(path).map_or_else(|_| path.to_owned(), |p| p.display().to_string());
    config.source = Source::File(absolute.clone());
    config.load(&text, &mut include).map_err(|e| format!("{e}{}", files::hint_at_copy(Path::new(&absolute))))?;
    config.file = Some(absolute);
    Ok(())
}

/// The options of the command line as lines of a file, and whether the standard input is to be read after them. What follows an
/// option's bare name is its value, even if it looks like an option; what begins with two dashes elsewhere begins another
/// option; all else is a further value.
fn option_lines(args: &[String]) -> (String, bool) {
    let mut text = String::new();
    let mut awaits_value = false;
    let mut rest = args.iter().peekable();
    while let Some(arg) = rest.next() {
        if arg == "-" && rest.peek().is_none() {
            return (text, true);
        }
        match arg.strip_prefix("--") {
            // It has been seen already.
            Some("sentinel") => {}
            Some(option) if !awaits_value => {
                text.push('\n');
                text.push_str(option);
                awaits_value = !option.trim().contains(' ');
                if option.trim().eq_ignore_ascii_case("save") && rest.peek().is_none_or(|next| next.starts_with("--")) {
                    text.push_str(" \"\"");
                    awaits_value = false;
                }
            }
            _ => {
                let mut quoted = Vec::new();
                base::text::quote(arg.as_bytes(), &mut quoted);
                text.push(' ');
                text.push_str(&String::from_utf8_lossy(&quoted));
                awaits_value = false;
            }
        }
    }
    (text, false)
}

/// Reads included files; the last part of a name may hold wildcards.
fn include(pattern: &str) -> Result<Vec<u8>, String> {
    let path = Path::new(pattern);
    let name = path.file_name().map_or(String::new(), |n| n.to_string_lossy().into_owned());
    if !name.contains(['*', '?', '[']) {
        return fs::read(path).map_err(|e| format!("Fatal error, can't open config file '{pattern}': {e}"));
    }
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut files: Vec<_> = fs::read_dir(folder)
        .map_err(|e| format!("{}: {e}", folder.display()))?
        .flatten()
        .filter(|f| base::glob::glob_matches(name.as_bytes(), f.file_name().as_encoded_bytes(), false))
        .map(|f| f.path())
        .collect();
    files.sort();
    let mut text = Vec::new();
    for file in files {
        text.extend(fs::read(&file).map_err(|e| format!("{}: {e}", file.display()))?);
        text.push(b'\n');
    }
    Ok(text)
}

/// Where an append-only file with something in it lies, if one does: a folder of Redis 7, or a file of older versions.
fn append_only_data(config: &Config) -> Option<PathBuf> {
    let dir = Path::new(config.dir.get());
    let has_bytes = |path: &Path| fs::metadata(path).is_ok_and(|m| m.is_file() && m.len() > 0);
    let folder = dir.join(&config.appenddirname.0);
    if fs::read_dir(&folder).is_ok_and(|mut files| files.any(|f| f.is_ok_and(|f| has_bytes(&f.path())))) {
        return Some(folder);
    }
    Some(dir.join(&config.appendfilename.0)).filter(|file| has_bytes(file))
}

fn unread(path: &Path) -> String {
    format!(
        "The data in {} is NOT loaded. To take it along, start Redis once with it; there `CONFIG SET appendonly no` and `SAVE` write it into an RDB file, which is loaded.",
        path.display()
    )
}

/// Says in the log what was asked for and is not there, and what data is not loaded. The present folder is the one of the option `dir`.
pub fn warn(config: &Config) {
    for ask in &config.ignored {
        log!(Warning, "WARNING: {}", ask.to_string().replace('\n', " "));
    }
    if config.sentinel {
        return;
    }
    if let Some(path) = append_only_data(config) {
        log!(Warning, "WARNING: {}", unread(&path));
    }
    let wants_file = config.ignored.iter().any(|ask| ask.missing == Missing::AppendOnlyFile);
    if wants_file && config.save.0.is_empty() {
        log!(
            Warning,
            "WARNING: nothing is kept on disk: there is no append-only file, and `save` is empty. Choose save points, such as `save 60 1`."
        );
    }
}
