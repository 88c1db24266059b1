//! Files in the home folder that belong to the interactive session.

use std::path::{Path, PathBuf};

/// The file that a variable names, or else the one of this name in the home folder. `/dev/null` means none.
pub fn dot_file(variable: &str, name: &str) -> Option<PathBuf> {
    match std::env::var_os(variable).filter(|path| !path.is_empty()) {
        Some(path) if path == "/dev/null" => None,
        Some(path) => Some(path.into()),
        None => std::env::var_os("HOME").filter(|home| !home.is_empty()).map(|home| Path::new(&home).join(name)),
    }
}
