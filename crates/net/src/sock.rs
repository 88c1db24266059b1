//! Making sockets, their options and the text forms of their addresses, as Redis users know them.

use std::fs;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::Path;
use std::time::Duration;

use rustix::event::Timespec;
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrAny, SocketAddrUnix, SocketFlags, SocketType, ipproto, sockopt};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Probes without an answer after which a connection counts as dead; see [`set_keepalive`].
const KEEPALIVE_PROBES: u32 = 3;

fn tcp_socket(addr: SocketAddr) -> io::Result<OwnedFd> {
    let family = if addr.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    Ok(rustix::net::socket_with(family, SocketType::STREAM, flags, Some(ipproto::TCP))?)
}

/// A listening TCP socket: non-blocking, closed on exec, its address free for reuse; an IPv6 one takes only IPv6.
///
/// # Errors
/// Those of `socket`, `bind` and `listen`, such as an address in use.
pub fn listen_tcp(addr: SocketAddr, backlog: i32) -> io::Result<OwnedFd> {
    let fd = tcp_socket(addr)?;
    sockopt::set_socket_reuseaddr(&fd, true)?;
    if addr.is_ipv6() {
        sockopt::set_ipv6_v6only(&fd, true)?;
    }
    rustix::net::bind(&fd, &addr)?;
    rustix::net::listen(&fd, backlog)?;
    Ok(fd)
}

/// A listening Unix socket at `path` with the permission bits `perm`, if given. A socket that an earlier process left there is removed;
/// a file of another kind is not.
///
/// # Errors
/// Those of `socket`, `bind` and `listen`, of removing the old socket and of setting the permissions; a path that is too long.
pub fn listen_unix(path: &Path, perm: Option<u32>, backlog: i32) -> io::Result<OwnedFd> {
    if fs::symlink_metadata(path).is_ok_and(|m| m.file_type().is_socket()) {
        fs::remove_file(path)?;
    }
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let fd = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    rustix::net::bind(&fd, &SocketAddrUnix::new(path)?)?;
    if let Some(perm) = perm {
        fs::set_permissions(path, fs::Permissions::from_mode(perm))?;
    }
    rustix::net::listen(&fd, backlog)?;
    Ok(fd)
}

/// A socket that is connecting or already connected to `addr`; it becomes writable when that has come to an end.
pub(crate) fn start_connect(addr: SocketAddr, source: Option<IpAddr>) -> io::Result<OwnedFd> {
    let fd = tcp_socket(addr)?;
    if let Some(source) = source {
        sockopt::set_socket_reuseaddr(&fd, true)?;
        rustix::net::bind(&fd, &SocketAddr::new(source, 0))?;
    }
    match rustix::net::connect(&fd, &addr) {
        Ok(()) | Err(Errno::INPROGRESS | Errno::INTR) => Ok(fd),
        Err(error) => Err(error.into()),
    }
}

/// The error that is pending on a socket, which is the outcome of connecting it.
pub(crate) fn take_error(fd: impl AsFd) -> io::Result<()> {
    Ok(sockopt::socket_error(fd)??)
}

/// A time to wait in whole milliseconds, rounded up so that nothing wakes before its time, and at most about 24 days.
pub(crate) fn whole_millis(timeout: Duration) -> Timespec {
    let millis = timeout.as_nanos().div_ceil(1_000_000).min(i32::MAX as u128) as i64;
    Timespec { tv_sec: millis / 1000, tv_nsec: millis % 1000 * 1_000_000 }
}

/// Sends small segments at once (`TCP_NODELAY`).
///
/// # Errors
/// On a socket that is not TCP.
pub fn set_nodelay(fd: impl AsFd, on: bool) -> io::Result<()> {
    Ok(sockopt::set_tcp_nodelay(fd, on)?)
}

/// Notices a dead peer: the first probe after `secs` seconds of silence, then one each third of that, three in all.
/// 0 turns probing off.
///
/// # Errors
/// On a socket that is not TCP, or a time that the kernel does not take (above 32767 s).
pub fn set_keepalive(fd: impl AsFd, secs: u64) -> io::Result<()> {
    let fd = fd.as_fd();
    sockopt::set_socket_keepalive(fd, secs > 0)?;
    if secs > 0 {
        sockopt::set_tcp_keepidle(fd, Duration::from_secs(secs))?;
        sockopt::set_tcp_keepintvl(fd, Duration::from_secs((secs / 3).max(1)))?;
        sockopt::set_tcp_keepcnt(fd, KEEPALIVE_PROBES)?;
    }
    Ok(())
}

/// The text of an address; `None` for a Unix socket without a name.
fn text(addr: SocketAddrAny) -> Option<String> {
    match addr.address_family() {
        AddressFamily::UNIX => {
            let addr = SocketAddrUnix::try_from(addr).ok()?;
            let path = addr.path()?;
            Some(format!("{}:0", path.to_string_lossy()))
        }
        // `SocketAddr` prints the scope of a link-local address, which Redis leaves out.
        _ => match SocketAddr::try_from(addr).ok()? {
            SocketAddr::V4(a) => Some(format!("{}:{}", a.ip(), a.port())),
            SocketAddr::V6(a) => Some(format!("[{}]:{}", a.ip(), a.port())),
        },
    }
}

/// This end's address: `127.0.0.1:6379`, `[::1]:6379`, or `/path/of/socket:0` (of whichever end has a path).
///
/// # Errors
/// On a descriptor that is no socket.
pub fn local_addr(fd: impl AsFd) -> io::Result<String> {
    let fd = fd.as_fd();
    let own = rustix::net::getsockname(fd)?;
    let other = || rustix::net::getpeername(fd).ok().flatten().and_then(text);
    Ok(text(own).or_else(other).unwrap_or_else(|| ":0".to_owned()))
}

/// The other end's address, in the form of [`local_addr`].
///
/// # Errors
/// On a socket that is not connected (any more).
pub fn peer_addr(fd: impl AsFd) -> io::Result<String> {
    let fd = fd.as_fd();
    let other = rustix::net::getpeername(fd)?.and_then(text);
    let own = || rustix::net::getsockname(fd).ok().and_then(text);
    Ok(other.or_else(own).unwrap_or_else(|| ":0".to_owned()))
}

/// Raises the number of descriptors that this process may open to `limit`, or as near as it is allowed to; returns the number it now has.
pub fn raise_nofile(limit: u64) -> u64 {
    let now = getrlimit(Resource::Nofile);
    let Some(soft) = now.current else {
        return u64::MAX;
    };
    if soft >= limit {
        return soft;
    }
    let allowed = now.maximum.map_or(limit, |hard| hard.min(limit));
    // Beyond the hard limit only a privileged process may go; without the privilege, the hard limit has to do.
    let tries = [
        Rlimit { current: Some(limit), maximum: now.maximum.map(|hard| hard.max(limit)) },
        Rlimit { current: Some(allowed), maximum: now.maximum },
    ];
    for wanted in tries {
        let given = wanted.current;
        if setrlimit(Resource::Nofile, wanted).is_ok() {
            return given.unwrap_or(u64::MAX);
        }
    }
    soft
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_have_the_usual_text() {
        let check = |addr: &str| {
            let parsed: SocketAddr = addr.parse().unwrap();
            assert_eq!(text(parsed.into()).unwrap(), addr);
        };
        check("127.0.0.1:6379");
        check("[::1]:6379");
        let scoped: SocketAddr = "[fe80::1%3]:1".parse().unwrap();
        assert_eq!(text(scoped.into()).unwrap(), "[fe80::1]:1");
    }

    #[test]
    fn waits_are_rounded_up() {
        let check = |nanos: u64, secs: i64, rest: i64| {
            let t = whole_millis(Duration::from_nanos(nanos));
            assert_eq!((t.tv_sec, t.tv_nsec), (secs, rest));
        };
        check(0, 0, 0);
        check(1, 0, 1_000_000);
        check(1_000_000, 0, 1_000_000);
        check(1_999_000_001, 2, 0);
        assert_eq!(whole_millis(Duration::MAX).tv_sec, i64::from(i32::MAX) / 1000);
    }

    #[test]
    fn keepalive_is_set_as_asked() {
        let fd = tcp_socket("127.0.0.1:0".parse().unwrap()).unwrap();
        set_keepalive(&fd, 300).unwrap();
        assert!(sockopt::socket_keepalive(&fd).unwrap());
        assert_eq!(sockopt::tcp_keepidle(&fd).unwrap(), Duration::from_secs(300));
        assert_eq!(sockopt::tcp_keepintvl(&fd).unwrap(), Duration::from_secs(100));
        assert_eq!(sockopt::tcp_keepcnt(&fd).unwrap(), 3);
        set_keepalive(&fd, 1).unwrap();
        assert_eq!(sockopt::tcp_keepintvl(&fd).unwrap(), Duration::from_secs(1));
        set_keepalive(&fd, 0).unwrap();
        assert!(!sockopt::socket_keepalive(&fd).unwrap());
        set_nodelay(&fd, true).unwrap();
        assert!(sockopt::tcp_nodelay(&fd).unwrap());
    }

    #[test]
    fn the_descriptor_limit_is_never_lowered() {
        let before = getrlimit(Resource::Nofile).current.unwrap();
        assert_eq!(raise_nofile(10), before);
        assert_eq!(getrlimit(Resource::Nofile).current.unwrap(), before);
    }
}
