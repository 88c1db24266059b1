//! Setting a ring up on old and new kernels, and telling why it cannot be had.

use std::fs;
use std::io;
use std::os::fd::{FromRawFd, OwnedFd};

use io_uring::IoUring;
use rustix::io::Errno;

use super::GROUP;
use super::ring_buffers::RingBuffers;
use crate::{Error, Limits};

/// Makes a ring with the most helpful flags that this kernel knows; beside it, whether task work is deferred (Linux 6.1).
pub(super) fn ring(limits: Limits) -> Result<(IoUring, bool), Error> {
    let try_with = |single_issuer: bool, defer: bool, coop: bool| {
        let mut builder = IoUring::builder();
        builder.setup_cqsize(limits.completions).setup_clamp().dontfork();
        if single_issuer {
            builder.setup_single_issuer();
        }
        if defer {
            builder.setup_defer_taskrun();
        }
        if coop {
            builder.setup_coop_taskrun().setup_submit_all();
        }
        builder.build(limits.submissions)
    };
    // Newest first: 6.1, 6.0, 5.19.
    let mut outcome = try_with(true, true, true).map(|ring| (ring, true));
    for single_issuer in [true, false] {
        if outcome.as_ref().is_err_and(|e| super::is(e, Errno::INVAL)) {
            outcome = try_with(single_issuer, false, true).map(|ring| (ring, false));
        }
    }
    let (ring, deferred) = outcome.map_err(failed("io_uring_setup"))?;
    let params = ring.params();
    if !params.is_feature_ext_arg() || !params.is_feature_nodrop() || !params.is_feature_fast_poll() {
        return Err(failed("io_uring features")(io::ErrorKind::Unsupported.into()));
    }
    Ok((ring, deferred))
}

/// Makes the receive slots known to the kernel.
pub(super) fn register(ring: &IoUring, buffers: &RingBuffers, limits: Limits) -> Result<(), Error> {
    // SAFETY: the memory was allocated for this many entries and is dropped after the ring (order of fields in `Uring`);
    // where it is not, because setting up fails, no operation has been submitted that could use it.
    let outcome = unsafe { ring.submitter().register_buf_ring_with_flags(buffers.ring_addr(), limits.slots, GROUP, 0) };
    outcome.map_err(failed("register a buffer ring"))
}

/// The descriptor of an accepted connection, out of the result of the operation.
pub(super) fn accepted(result: i32) -> io::Result<OwnedFd> {
    if result < 0 {
        return Err(io::Error::from_raw_os_error(-result));
    }
    // SAFETY: a result of accept that is not negative is a new descriptor, which belongs to nobody else; each completion is taken once.
    Ok(unsafe { OwnedFd::from_raw_fd(result) })
}

/// An error of this step, with the likely cause and the cure.
pub(super) fn failed(step: &'static str) -> impl FnOnce(io::Error) -> Error {
    move |source| {
        let switch = fs::read_to_string("/proc/sys/kernel/io_uring_disabled").unwrap_or_default();
        let hint = hint(&source, switch.trim()).to_owned();
        Error { backend: "io_uring", step, source, hint }
    }
}

fn hint(error: &io::Error, switch: &str) -> &'static str {
    let Some(errno) = Errno::from_io_error(error) else {
        return "The kernel is older than 5.19 (see `uname -r`); a newer one is needed.";
    };
    match errno {
        Errno::PERM | Errno::ACCESS if switch == "1" || switch == "2" => {
            "It is switched off on this machine; `sysctl -w kernel.io_uring_disabled=0` on the host allows it."
        }
        Errno::PERM | Errno::ACCESS => {
            "Probably the container's seccomp profile forbids it; `docker run --security-opt seccomp=FILE` with a profile that has the io_uring calls allows it."
        }
        Errno::NOSYS => {
            "The kernel has no io_uring, or a sandbox hides it; Linux 5.19 or newer is needed (see `uname -r`)."
        }
        Errno::INVAL | Errno::OPNOTSUPP => "The kernel is older than 5.19 (see `uname -r`); a newer one is needed.",
        Errno::NOMEM => {
            "Not enough memory may be locked; raise the limit with `ulimit -l`, or in a unit with `LimitMEMLOCK=`."
        }
        Errno::MFILE | Errno::NFILE => "No file descriptors are left; raise the limit with `ulimit -n`.",
        _ => "See `dmesg` and `uname -r`; Linux 5.19 or newer is needed.",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cause_and_the_cure_are_named() {
        let check = |errno: Errno, switch: &str, part: &str| {
            let text = hint(&errno.into(), switch);
            assert!(text.contains(part), "{text}");
        };
        check(Errno::PERM, "2", "sysctl -w kernel.io_uring_disabled=0");
        check(Errno::PERM, "0", "seccomp");
        check(Errno::PERM, "", "seccomp");
        check(Errno::NOSYS, "", "5.19");
        check(Errno::INVAL, "0", "5.19");
        check(Errno::NOMEM, "0", "ulimit -l");
        assert!(hint(&io::ErrorKind::Unsupported.into(), "0").contains("5.19"));
        let text = failed("io_uring_setup")(Errno::NOSYS.into()).to_string();
        assert!(text.starts_with("io_uring cannot be used: io_uring_setup: Function not implemented"), "{text}");
    }
}
