//! Programs of commands from bytes: any bytes are one, and most of its requests have words that a command understands.
//!
//! ```text
//! step:  command u8, how u8, argument u8 …      how: which client (1 bit), how many optional arguments (4 bits)
//! 0xff   a step that lets time pass: u8 × u8 milliseconds
//! ```
//! An argument is a key, a number, a word that is an option somewhere, or a string, chosen by its one byte; [`RAW`] is followed by a
//! length and so many bytes of its own.

use crate::spec::SPECS;
use crate::table::CommandTable;
use std::sync::OnceLock;

/// The argument that is spelled out: a length, and its bytes.
const RAW: u8 = 0xff;
/// The longest of these.
const RAW_MAX: usize = 64;
/// The most steps of a program.
const STEPS_MAX: usize = 200;

/// Numbers around which something changes. The large ones are too large to be lengths that are allocated.
const NUMBERS: &[&str] = &[
    "0",
    "1",
    "2",
    "3",
    "-1",
    "-2",
    "-3",
    "5",
    "10",
    "16",
    "100",
    "127",
    "128",
    "129",
    "1000",
    "32768",
    "65536",
    "1.5",
    "-0",
    "-0.0",
    "inf",
    "-inf",
    "nan",
    "3.0e3",
    "1e400",
    "0.1",
    "4294967296",
    "9223372036854775807",
    "-9223372036854775808",
    "9223372036854775808",
    "1700000000",
    "1700000000500",
    "(1",
    "(5",
    "+inf",
    "007",
    " 1",
    "1 ",
];

/// Words that mean something to some command.
const WORDS: &[&str] = &[
    "EX",
    "PX",
    "EXAT",
    "PXAT",
    "NX",
    "XX",
    "GT",
    "LT",
    "GET",
    "KEEPTTL",
    "PERSIST",
    "CH",
    "INCR",
    "WITHSCORES",
    "WITHSCORE",
    "LIMIT",
    "BYSCORE",
    "BYLEX",
    "REV",
    "COUNT",
    "MATCH",
    "TYPE",
    "ASC",
    "DESC",
    "ALPHA",
    "STORE",
    "BY",
    "REPLACE",
    "ABSTTL",
    "IDLETIME",
    "FREQ",
    "DB",
    "LEFT",
    "RIGHT",
    "BEFORE",
    "AFTER",
    "RANK",
    "MAXLEN",
    "WEIGHTS",
    "AGGREGATE",
    "SUM",
    "MIN",
    "MAX",
    "WITHVALUES",
    "MIN",
    "IDX",
    "MINMATCHLEN",
    "WITHMATCHLEN",
    "LEN",
    "ASYNC",
    "SYNC",
    "nosort",
    "*",
    "k*",
    "k?->f*",
    "#",
    "-",
    "+",
    "[a",
    "(a",
    "[b",
    "ENCODING",
    "string",
    "list",
    "ON",
    "OFF",
    "RESET",
    "NOVALUES",
];

/// Settings that a program may change, so that small values meet both encodings.
const SETTINGS: &[(&str, &str)] = &[
    ("hash-max-listpack-entries", "3"),
    ("hash-max-listpack-value", "6"),
    ("set-max-intset-entries", "3"),
    ("set-max-listpack-entries", "3"),
    ("zset-max-listpack-entries", "3"),
    ("zset-max-listpack-value", "6"),
    ("list-max-listpack-size", "2"),
    ("list-max-listpack-size", "-1"),
];

/// One step of a program.
pub(super) enum Step {
    /// A client sends a request.
    Send { client: usize, request: Vec<Vec<u8>> },
    /// Time passes: milliseconds.
    Pass(i64),
}

/// The names of all commands, subcommands as two words, with the fewest arguments that each takes and the most.
fn commands() -> &'static [(Vec<&'static str>, usize, usize)] {
    static COMMANDS: OnceLock<Vec<(Vec<&'static str>, usize, usize)>> = OnceLock::new();
    COMMANDS.get_or_init(|| {
        let implemented = |name: &str| CommandTable::get().find_full(name.as_bytes()).is_some();
        let specs = SPECS.iter().filter(|spec| implemented(spec.name));
        let all = specs.map(|spec| {
            let words: Vec<_> = spec.name.split('|').collect();
            let given = words.len();
            let least = usize::try_from(spec.arity.unsigned_abs()).expect("arities are small").saturating_sub(given);
            (words, least, if spec.arity < 0 { least + 15 } else { least })
        });
        all.collect()
    })
}

/// The bytes of a program, read one after the other.
struct Bytes<'a>(&'a [u8]);

impl Bytes<'_> {
    fn next(&mut self) -> Option<u8> {
        let (&first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(first)
    }

    fn argument(&mut self) -> Option<Vec<u8>> {
        let choice = self.next()?;
        let index = usize::from(choice);
        Some(match choice {
            0..48 => format!("k{}", index % 6).into_bytes(),
            48..112 => NUMBERS[(index - 48) % NUMBERS.len()].into(),
            112..192 => WORDS[(index - 112) % WORDS.len()].into(),
            192..224 => format!("f{}", index % 12).into_bytes(),
            224..240 => vec![b'a' + choice % 3; [0, 1, 6, 7, 63, 64, 65, 130][index % 8]],
            240..248 => vec![b'x'; 1000 + index],
            248..RAW => vec![choice],
            RAW => {
                let len = usize::from(self.next()?) % RAW_MAX;
                let (text, rest) = self.0.split_at(len.min(self.0.len()));
                self.0 = rest;
                text.to_vec()
            }
        })
    }

    fn step(&mut self) -> Option<Step> {
        let command = self.next()?;
        let how = self.next()?;
        if command == 0xff {
            return Some(Step::Pass(i64::from(how) * i64::from(self.next()?)));
        }
        let client = usize::from(how & 1);
        if command == 0xfe {
            let (name, value) = SETTINGS[usize::from(how) % SETTINGS.len()];
            let request = ["CONFIG", "SET", name, value].map(|word| word.as_bytes().to_vec()).to_vec();
            return Some(Step::Send { client, request });
        }
        let all = commands();
        // Twice as many commands as there are bytes: a bit of `how` says which half.
        let index = (usize::from(command) + 254 * usize::from(how >> 1 & 1)) % all.len();
        let (words, least, most) = &all[index];
        let len = (least + usize::from(how >> 4)).min(*most);
        let mut request: Vec<Vec<u8>> = words.iter().map(|word| word.as_bytes().to_vec()).collect();
        for _ in 0..len {
            request.push(self.argument()?);
        }
        Some(Step::Send { client, request })
    }
}

/// The program that these bytes are.
pub(super) fn program(bytes: &[u8]) -> impl Iterator<Item = Step> {
    let mut bytes = Bytes(bytes);
    std::iter::from_fn(move || bytes.step()).take(STEPS_MAX)
}
