//! The processor's time stamp counter: a look at it costs a few nanoseconds, a third of what the system's clock costs.
//!
//! Limits: x86-64. It counts at one rate only where the processor promises so ([`is_steady`]), and it knows no unit.

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::{__cpuid, _rdtsc};

    /// The leaf of CPUID that tells of power management, and its bit for a counter that never changes its rate
    /// (Intel SDM volume 3, "Invariant TSC"; AMD APM volume 3, Fn8000_0007).
    const POWER_LEAF: u32 = 0x8000_0007;
    const INVARIANT: u32 = 1 << 8;

    pub fn is_steady() -> bool {
        __cpuid(0x8000_0000).eax >= POWER_LEAF && __cpuid(POWER_LEAF).edx & INVARIANT != 0
    }

    #[inline(always)]
    pub fn read() -> u64 {
        // SAFETY: every x86-64 processor has the instruction, and it only reads.
        unsafe { _rdtsc() }
    }
}

/// Whether there is a counter that runs at one rate whatever the processor does.
pub fn is_steady() -> bool {
    #[cfg(target_arch = "x86_64")]
    return x86::is_steady();
    #[cfg(not(target_arch = "x86_64"))]
    return false;
}

/// The counter; 0 where there is none.
#[inline(always)]
pub fn read() -> u64 {
    #[cfg(target_arch = "x86_64")]
    return x86::read();
    #[cfg(not(target_arch = "x86_64"))]
    return 0;
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_steady_counter_goes_on() {
        if super::is_steady() {
            let before = super::read();
            std::thread::sleep(std::time::Duration::from_millis(1));
            assert!(super::read() > before);
        }
    }
}
