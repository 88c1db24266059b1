//! Files that are written whole or not at all: the configuration of a server and of a sentinel, and the data file.
//!
//! ```text
//!   temporary file, 0600 ─► written, forced to disk ─► renamed over the file ─► the folder forced to disk
//!                                                └ refused: the temporary file stays as a copy while the file is written in place
//! ```
//!
//! A rename is refused where the file is mounted by itself, as containers do it (EBUSY). Then the file is written in place: until
//! that is on disk, a whole copy lies beside it. A file of text is written by one call, padded to its old length, so that
//! no reader and no crash of the process finds half of it.

use super::log::log;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

/// Bytes that are copied at a time.
const COPY_BYTES: usize = 1 << 20;

/// A new file that only we may read, whatever was there before under the name.
///
/// # Errors
/// As of the operating system.
pub fn create_private(path: &Path) -> io::Result<File> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(path)
}

/// A temporary file that takes the place of another one. It is removed unless it has.
#[derive(Debug)]
pub struct Replacement {
    path: PathBuf,
    temporary: PathBuf,
    file: File,
    done: bool,
}

impl Replacement {
    /// Begins to replace `path`, by way of `temporary` in the same folder.
    ///
    /// # Errors
    /// The temporary file cannot be created.
    pub fn begin(path: &Path, temporary: PathBuf) -> io::Result<Self> {
        let file = create_private(&temporary)?;
        Ok(Self { path: path.to_owned(), temporary, file, done: false })
    }

    /// The temporary file, to be written.
    pub fn file(&mut self) -> &mut File {
        &mut self.file
    }

    /// Puts it in its place; it is on disk when this returns.
    ///
    /// # Errors
    /// The file is as it was, unless it had to be written in place and that broke off: then the error names the copy.
    pub fn finish(mut self) -> io::Result<()> {
        self.file.sync_all()?;
        match fs::metadata(&self.path) {
            Ok(old) => {
                // Root may write a file that is another one's, and it stays that.
                let own = self.file.metadata()?;
                if (own.uid(), own.gid()) != (old.uid(), old.gid())
                    && let Err(error) = fchown(&self.file, Some(old.uid()), Some(old.gid()))
                {
                    log!(Verbose, "{} changes its owner: {error}", self.path.display());
                }
                self.file.set_permissions(old.permissions())?;
            }
            Err(_) => self.file.set_permissions(Permissions::from_mode(0o666 & !umask()))?,
        }
        match fs::rename(&self.temporary, &self.path) {
            Ok(()) => {
                self.done = true;
                // The new name must survive a crash too.
                File::open(folder_of(&self.path))?.sync_all()
            }
            Err(error) if error.kind() == io::ErrorKind::ResourceBusy => self.write_in_place(),
            Err(error) => Err(error),
        }
    }

    fn write_in_place(mut self) -> io::Result<()> {
        let copy = copy_of(&self.path);
        fs::rename(&self.temporary, &copy)?;
        self.temporary.clone_from(&copy);
        File::open(folder_of(&self.path))?.sync_all()?;
        self.overwrite().map_err(|error| {
            self.done = true;
            io::Error::new(
                error.kind(),
                format!("{error} while it was written in place; the whole new file is {}", copy.display()),
            )
        })
    }

    fn overwrite(&mut self) -> io::Result<()> {
        let mut target = OpenOptions::new().write(true).open(&self.path)?;
        let (new_len, old_len) = (self.file.metadata()?.len(), target.metadata()?.len());
        self.file.rewind()?;
        let mut buffer = Vec::new();
        (&mut self.file).take(COPY_BYTES as u64).read_to_end(&mut buffer)?;
        if new_len == buffer.len() as u64 && buffer.ends_with(b"\n") && old_len <= COPY_BYTES as u64 {
            // Text, and short: empty lines cover what was there.
            buffer.resize(buffer.len().max(old_len as usize), b'\n');
        }
        while !buffer.is_empty() {
            target.write_all(&buffer)?;
            buffer.clear();
            (&mut self.file).take(COPY_BYTES as u64).read_to_end(&mut buffer)?;
        }
        target.set_len(new_len)?;
        target.sync_all()
    }
}

impl Drop for Replacement {
    fn drop(&mut self) {
        if !self.done {
            let _ = fs::remove_file(&self.temporary);
        }
    }
}

/// Writes a file whole or not at all; it is on disk when this returns.
///
/// # Errors
/// As of [`Replacement::finish`].
pub fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.tmp", std::process::id()));
    let mut replacement = Replacement::begin(path, path.with_file_name(name))?;
    replacement.file().write_all(bytes)?;
    replacement.finish()
}

/// The copy that lies beside a file while it is written in place. It stays if that breaks off.
pub fn copy_of(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".rekindle-copy");
    path.with_file_name(name)
}

/// What to say of the copy of a file that cannot be read, if there is one.
pub fn hint_at_copy(path: &Path) -> String {
    let copy = copy_of(path);
    if copy.exists() {
        format!(" Writing it was broken off: the whole file is {}. Put it in its place.", copy.display())
    } else {
        String::new()
    }
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// The permissions that new files shall not have. To ask the system by its call would change them for a moment.
fn umask() -> u32 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let umask = status.lines().find_map(|line| line.strip_prefix("Umask:"));
    umask.and_then(|text| u32::from_str_radix(text.trim(), 8).ok()).unwrap_or(0o077)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("rekindle-files-{}-{name}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        folder
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().mode() & 0o777
    }

    fn names(folder: &Path) -> Vec<String> {
        fs::read_dir(folder).unwrap().map(|f| f.unwrap().file_name().to_string_lossy().into_owned()).collect()
    }

    #[test]
    fn a_replaced_file_keeps_its_permissions_and_leaves_nothing_behind() {
        let folder = folder("mode");
        let path = folder.join("a.conf");
        replace(&path, b"first\n").unwrap();
        assert_eq!(mode(&path), 0o666 & !umask());
        fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        replace(&path, b"second\n").unwrap();
        assert_eq!((fs::read(&path).unwrap(), mode(&path)), (b"second\n".to_vec(), 0o640));
        assert_eq!(names(&folder), ["a.conf"]);
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_temporary_file_is_private_and_goes_if_it_is_not_wanted() {
        let folder = folder("private");
        let (path, temporary) = (folder.join("a"), folder.join("t"));
        // Somebody else's file under that name, or a link, is not written to.
        std::os::unix::fs::symlink("/dev/null", &temporary).unwrap();
        let replacement = Replacement::begin(&path, temporary.clone()).unwrap();
        assert_eq!(mode(&temporary), 0o600);
        drop(replacement);
        // A folder cannot be replaced by a file.
        fs::create_dir(&path).unwrap();
        assert!(replace(&path, b"x").is_err());
        assert_eq!(names(&folder), ["a"]);
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_file_that_is_written_in_place_holds_what_is_new_and_no_more() {
        let folder = folder("place");
        let path = folder.join("a.conf");
        for (old, new) in [
            (&b"a long one\nof two lines\n"[..], &b"short\n"[..]),
            (b"short\n", b"a long one\nof two lines\n"),
            (b"binary", b"b\0"),
            (b"", b""),
            (b"x\n", &[b'y'; COPY_BYTES + 10]),
        ] {
            fs::write(&path, old).unwrap();
            let mut replacement = Replacement::begin(&path, folder.join("t")).unwrap();
            replacement.file().write_all(new).unwrap();
            replacement.write_in_place().unwrap();
            assert!(fs::read(&path).unwrap() == new);
            assert_eq!(names(&folder), ["a.conf"]);
        }
        fs::remove_dir_all(folder).unwrap();
    }
}
