//! The process's name as `ps` shows it.
//!
//! The kernel reads it from where it has put the arguments at the start; behind them lies the environment. Both
//! together are the room for a title: a longer one is cut. Before the first, the environment is copied elsewhere.

use std::sync::Mutex;
use std::time::Duration;

/// The room for titles.
#[derive(Debug)]
struct Room {
    start: usize,
    len: usize,
}

static ROOM: Mutex<Option<Room>> = Mutex::new(None);

/// Makes room for titles; without it they are not set. That is possible only while no other thread runs, and
/// `std::env::args` gives parts of the title afterwards. False where it was not done.
pub fn prepare() -> bool {
    let Some(room) = room().filter(|_| is_alone()) else { return false };
    for (name, value) in std::env::vars_os().filter(|(name, _)| !name.as_encoded_bytes().contains(&b'=')) {
        // SAFETY: no other thread runs, so none reads the environment meanwhile. Setting a variable copies it into
        // memory of its own, and the old place is not read any more.
        unsafe { std::env::set_var(name, value) };
    }
    *ROOM.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(room);
    true
}

/// Whether no other thread runs that could read the environment: the allocator's own ones do not.
fn is_alone() -> bool {
    // A thread has its name a moment after its birth, and the allocator's are born with the process.
    (0..50).any(|_| {
        let alone = strangers() == Some(0);
        if !alone {
            std::thread::sleep(Duration::from_millis(1));
        }
        alone
    })
}

/// How many threads there are besides the main one and the allocator's.
fn strangers() -> Option<usize> {
    let main = std::process::id().to_string();
    let others = std::fs::read_dir("/proc/self/task").ok()?.flatten().filter(|task| *task.file_name() != *main);
    let is_strange = |task: &std::fs::DirEntry| {
        std::fs::read_to_string(task.path().join("comm")).is_ok_and(|name| name.trim_end() != "jemalloc_bg_thd")
    };
    Some(others.filter(is_strange).count())
}

/// Where the arguments and the environment lie, by the kernel's account of the process (proc(5), fields 48 to 51).
fn room() -> Option<Room> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    // The second field, the program's name in parentheses, may hold spaces.
    let (_, fields) = stat.rsplit_once(") ")?;
    let fields: Vec<usize> = fields.split_ascii_whitespace().skip(45).take(4).flat_map(str::parse).collect();
    let &[arg_start, arg_end, env_start, env_end] = fields.as_slice() else { return None };
    // A kernel that hides the addresses gives zeros.
    let adjacent = arg_start > 0 && arg_start < arg_end && arg_end == env_start && env_start <= env_end;
    let end = if adjacent { env_end } else { arg_end };
    (arg_start > 0 && arg_start < end).then(|| Room { start: arg_start, len: end - arg_start })
}

/// Sets the title, cut to the room that there is.
pub fn set(title: &str) {
    let room = ROOM.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let Some(room) = &*room else { return };
    let len = title.len().min(room.len - 1);
    // SAFETY: the kernel has mapped this range for the arguments and the environment, readable and writable, for the
    // whole life of the process; nothing else refers to it since `prepare`.
    unsafe {
        let start = std::ptr::with_exposed_provenance_mut::<u8>(room.start);
        std::ptr::copy_nonoverlapping(title.as_ptr(), start, len);
        std::ptr::write_bytes(start.add(len), 0, room.len - len);
    }
}
