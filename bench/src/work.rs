//! What is asked of a server: commands with random or counted keys, written into a buffer at little cost.
//!
//! A [`Work`] is a command's wire form with holes of ten digits each; writing a request is one copy of the form and
//! a few digits in the holes:
//!
//! ```text
//! *3\r\n$3\r\nSET\r\n$16\r\nkey:00##########\r\n$64\r\nxxxx…\r\n
//!                          ^ hole 0, a random number below 1 000 000
//! ```
//!
//! Limits: numbers below ten milliards; a hole is always ten digits wide, so keys are of one length.

use crate::resp;

/// A small fast source of random numbers (xorshift64*); the same seed gives the same numbers.
#[derive(Debug, Clone)]
pub struct Rng(u64);

impl Rng {
    /// A source that begins at `seed`.
    pub fn new(seed: u64) -> Rng {
        Rng(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// A number below `bound`.
    #[inline]
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let wide = u128::from(self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)) * u128::from(bound);
        (wide >> 64) as u64
    }
}

/// Where the number of a hole comes from.
#[derive(Debug, Clone, Copy)]
pub enum Number {
    /// Random, below this bound.
    Random(u64),
    /// The number of the request, divided by the first and then modulo the second.
    Counted(u64, u64),
}

/// A command to be sent many times.
#[derive(Debug, Clone)]
pub struct Work {
    form: Vec<u8>,
    holes: Vec<(usize, Number)>,
    rng: Rng,
    count: u64,
}

/// The mark of a hole in the words of a command.
const HOLE: &[u8] = b"##########";

impl Work {
    /// A command of words between spaces; each `##########` is a hole, filled from `numbers` in turn,
    /// and the word `@N` is a value of N bytes.
    ///
    /// # Panics
    /// If there are not as many numbers as holes.
    pub fn new(words: &str, numbers: &[Number]) -> Work {
        let args: Vec<Vec<u8>> = words.split(' ').map(arg).collect();
        let parts: Vec<&[u8]> = args.iter().map(Vec::as_slice).collect();
        let mut form = Vec::new();
        resp::command(&mut form, &parts);
        let mut holes = Vec::new();
        let mut at = 0;
        while let Some(found) = memchr::memmem::find(&form[at..], HOLE) {
            holes.push(at + found);
            at += found + HOLE.len();
        }
        assert_eq!(holes.len(), numbers.len(), "numbers and holes of {words}");
        Work { form, holes: holes.into_iter().zip(numbers.iter().copied()).collect(), rng: Rng::new(1), count: 0 }
    }

    /// The same work with other random numbers.
    pub fn seeded(mut self, seed: u64) -> Work {
        self.rng = Rng::new(seed);
        self
    }

    /// Appends the next request.
    #[inline]
    pub fn write(&mut self, out: &mut Vec<u8>) {
        let base = out.len();
        out.extend_from_slice(&self.form);
        for &(at, number) in &self.holes {
            let mut n = match number {
                Number::Random(bound) => self.rng.below(bound),
                Number::Counted(each, bound) => (self.count / each) % bound,
            };
            let mut place = base + at + HOLE.len();
            while n > 0 && place > base + at {
                place -= 1;
                out[place] = b'0' + (n % 10) as u8;
                n /= 10;
            }
            out[base + at..place].fill(b'0');
        }
        self.count += 1;
    }
}

fn arg(word: &str) -> Vec<u8> {
    match word.strip_prefix('@').and_then(|n| n.parse().ok()) {
        Some(len) => vec![b'x'; len],
        None => word.as_bytes().to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holes_are_filled_in_their_order() {
        let mut work = Work::new("SET key:00########## @4", &[Number::Counted(2, 3)]);
        let mut keys = Vec::new();
        for _ in 0..7 {
            let mut out = Vec::new();
            work.write(&mut out);
            let text = String::from_utf8(out).unwrap();
            assert!(text.ends_with("\r\n$4\r\nxxxx\r\n"), "{text}");
            keys.push(text.lines().nth(4).unwrap().to_owned());
        }
        let digits: Vec<&str> = keys.iter().map(|k| k.strip_prefix("key:00000000000").unwrap()).collect();
        assert_eq!(digits, ["0", "0", "1", "1", "2", "2", "0"]);
    }

    #[test]
    fn random_numbers_reach_all_of_their_range() {
        let mut rng = Rng::new(7);
        let mut seen = [0u32; 10];
        for _ in 0..10_000 {
            seen[rng.below(10) as usize] += 1;
        }
        assert!(seen.iter().all(|n| (800..1200).contains(n)), "{seen:?}");
    }
}
