//! The kinds of value that options take: how each is read from words and shown again.

/// A value of an option.
pub trait OptionValue: Clone {
    /// Takes over what the words say; the error is what the operator is told.
    fn parse(&mut self, words: &[&[u8]]) -> Result<(), String>;

    /// As `CONFIG GET` shows it.
    fn show(&self) -> String;

    /// The lines that `CONFIG REWRITE` writes; most options need one.
    fn lines(&self, name: &str) -> Vec<String> {
        vec![format!("{name} {}", file_word(&self.show()))]
    }

    /// Whether it is given as several words in a file.
    fn takes_many(&self) -> bool {
        false
    }
}

/// A word as a configuration file can hold it: in quotes where it would not be read back as it is.
fn file_word(word: &str) -> String {
    let plain = !word.is_empty()
        && !word.bytes().any(|b| b.is_ascii_whitespace() || b"\"'\\#".contains(&b) || !(32..127).contains(&b));
    if plain { word.to_owned() } else { base::text::quoted(word.as_bytes()) }
}

/// Text that comes from outside. Bytes that are no text would be kept as others, and a password or a path must stay what it is.
fn text(word: &[u8]) -> Result<String, String> {
    String::from_utf8(word.to_vec()).map_err(|_| "the value must be valid UTF-8".into())
}

fn one<'a>(words: &[&'a [u8]]) -> Result<&'a [u8], String> {
    match words {
        [word] => Ok(word),
        _ => Err("wrong number of arguments".into()),
    }
}

impl OptionValue for bool {
    fn parse(&mut self, words: &[&[u8]]) -> Result<(), String> {
        let word = one(words)?;
        *self = match () {
            () if word.eq_ignore_ascii_case(b"yes") => true,
            () if word.eq_ignore_ascii_case(b"no") => false,
            () => return Err("argument must be 'yes' or 'no'".into()),
        };
        Ok(())
    }

    fn show(&self) -> String {
        if *self { "yes".into() } else { "no".into() }
    }
}

/// A whole number within bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Int<const MIN: i64, const MAX: i64>(pub i64);

impl<const MIN: i64, const MAX: i64> Int<MIN, MAX> {
    /// The number.
    #[inline]
    pub const fn get(self) -> i64 {
        self.0
    }
}

impl<const MIN: i64, const MAX: i64> OptionValue for Int<MIN, MAX> {
    fn parse(&mut self, words: &[&[u8]]) -> Result<(), String> {
        let n = base::num::parse_i64(one(words)?).ok_or("argument couldn't be parsed into an integer")?;
        if !(MIN..=MAX).contains(&n) {
            return Err(format!("argument must be between {MIN} and {MAX} inclusive"));
        }
        self.0 = n;
        Ok(())
    }

    fn show(&self) -> String {
        self.0.to_string()
    }
}

/// A number in octal: permissions. 0 stands for none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Octal(pub u32);

impl OptionValue for Octal {
    fn parse(&mut self, words: &[&[u8]]) -> Result<(), String> {
        let n =
            u32::from_str_radix(&text(one(words)?)?, 8).map_err(|_| "argument couldn't be parsed into an integer")?;
        if n > 0o777 {
            return Err("argument must be between 0 and 777 inclusive".into());
        }
        self.0 = n;
        Ok(())
    }

    fn show(&self) -> String {
        format!("{:o}", self.0)
    }
}

/// Bytes: a number with an optional unit. `k`, `m`, `g` are powers of 1000; `kb`, `mb`, `gb` of 1024.
pub fn parse_bytes(word: &[u8]) -> Option<i64> {
    let digits = word.iter().take_while(|b| b.is_ascii_digit() || **b == b'-').count();
    let factor = match word[digits..].to_ascii_lowercase().as_slice() {
        b"" | b"b" => 1,
        b"k" => 1000,
        b"kb" => 1 << 10,
        b"m" => 1_000_000,
        b"mb" => 1 << 20,
        b"g" => 1_000_000_000,
        b"gb" => 1 << 30,
        _ => return None,
    };
    // As C reads numbers: leading zeros mean nothing.
    let (sign, number) = word[..digits].strip_prefix(b"-").map_or((1, &word[..digits]), |rest| (-1, rest));
    let zeros = number.iter().take_while(|b| **b == b'0').count().min(number.len().saturating_sub(1));
    base::num::parse_i64(&number[zeros..])?.checked_mul(sign * factor)
}

/// Bytes as a configuration file holds them: in the largest unit that divides them.
fn unit_text(bytes: i64) -> String {
    match bytes {
        0 => "0".into(),
        n if n % (1 << 30) == 0 => format!("{}gb", n >> 30),
        n if n % (1 << 20) == 0 => format!("{}mb", n >> 20),
        n if n % (1 << 10) == 0 => format!("{}kb", n >> 10),
        n => n.to_string(),
    }
}

/// An amount of memory in bytes, within bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bytes<const MIN: i64, const MAX: i64>(pub i64);

impl<const MIN: i64, const MAX: i64> Bytes<MIN, MAX> {
    /// The number of bytes.
    #[inline]
    pub const fn get(self) -> i64 {
        self.0
    }
}

impl<const MIN: i64, const MAX: i64> OptionValue for Bytes<MIN, MAX> {
    fn parse(&mut self, words: &[&[u8]]) -> Result<(), String> {
        let n = parse_bytes(one(words)?).ok_or("argument must be a memory value")?;
        if !(MIN..=MAX).contains(&n) {
            return Err(format!("argument must be between {MIN} and {MAX} inclusive"));
        }
        self.0 = n;
        Ok(())
    }

    fn show(&self) -> String {
        self.0.to_string()
    }

    fn lines(&self, name: &str) -> Vec<String> {
        vec![format!("{name} {}", unit_text(self.0))]
    }
}

/// Bytes, or a percentage of `maxmemory` (kept as a negative number).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BytesOrPercent(pub i64);

impl OptionValue for BytesOrPercent {
    fn parse(&mut self, words: &[&[u8]]) -> Result<(), String> {
        let word = one(words)?;
        self.0 = match word.strip_suffix(b"%") {
            Some(digits) => match base::num::parse_i64(digits) {
                Some(n @ 0..=100) => -n,
                Some(101..) => return Err("percentage argument must be less or equal to 100".into()),
                _ => return Err("argument must be a memory or percent value".into()),
            },
            None => parse_bytes(word).filter(|n| *n >= 0).ok_or("argument must be a memory or percent value")?,
        };
        Ok(())
    }

    fn show(&self) -> String {
        if self.0 < 0 { format!("{}%", -self.0) } else { self.0.to_string() }
    }

    fn lines(&self, name: &str) -> Vec<String> {
        vec![format!("{name} {}", if self.0 < 0 { self.show() } else { unit_text(self.0) })]
    }
}

/// Any text.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Text(pub String);

impl Text {
    /// The text.
    pub fn get(&self) -> &str {
        &self.0
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl OptionValue for Text {
    fn parse(&mut self, words: &[&[u8]]) -> Result<(), String> {
        self.0 = text(one(words)?)?;
        Ok(())
    }

    fn show(&self) -> String {
        self.0.clone()
    }
}

/// A file's name: no folder in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileName(pub String);

impl OptionValue for FileName {
    fn parse(&mut self, words: &[&[u8]]) -> Result<(), String> {
        let name = text(one(words)?)?;
        if name.contains('/') || [".", ".."].contains(&name.as_str()) {
            return Err("it can't be a path, just a filename".into());
        }
        if name.is_empty() {
            return Err("it can't be empty".into());
        }
        self.0 = name;
        Ok(())
    }

    fn show(&self) -> String {
        self.0.clone()
    }
}

/// The process's title, with variables such as `{title}` in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TitleTemplate(pub String);

impl TitleTemplate {
    /// The variables that there are.
    pub const VARIABLES: [&str; 7] =
        ["title", "listen-addr", "server-mode", "port", "tls-port", "unixsocket", "config-file"];

    /// The text with each variable's value in its place; none where it names a variable that there is not.
    pub fn fill(&self, value: impl Fn(&str) -> String) -> Option<String> {
        let mut text = String::new();
        let mut rest = self.0.as_str();
        while let Some((before, after)) = rest.split_once('{') {
            let (name, after) = after.split_once('}')?;
            text.push_str(before);
            text.push_str(&Self::VARIABLES.contains(&name).then(|| value(name))?);
            rest = after;
        }
        text.push_str(rest);
        Some(text.trim_end().to_owned())
    }
}

impl OptionValue for TitleTemplate {
    fn parse(&mut self, words: &[&[u8]]) -> Result<(), String> {
        let template = Self(text(one(words)?)?);
        if template.0.is_empty() || template.fill(|_| String::new()).is_none() {
            return Err("template format is invalid or contains unknown variables".into());
        }
        *self = template;
        Ok(())
    }

    fn show(&self) -> String {
        self.0.clone()
    }
}

/// Several words, such as addresses.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Words(pub Vec<String>);

impl OptionValue for Words {
    fn parse(&mut self, words: &[&[u8]]) -> Result<(), String> {
        let all = words.iter().flat_map(|w| w.split(|b| b.is_ascii_whitespace())).filter(|w| !w.is_empty());
        self.0 = all.map(text).collect::<Result<_, _>>()?;
        Ok(())
    }

    fn show(&self) -> String {
        self.0.join(" ")
    }

    fn lines(&self, name: &str) -> Vec<String> {
        if self.0.is_empty() {
            return vec![format!("{name} \"\"")];
        }
        let words: Vec<String> = self.0.iter().map(|word| file_word(word)).collect();
        vec![format!("{name} {}", words.join(" "))]
    }

    fn takes_many(&self) -> bool {
        true
    }
}

/// Numbers, exactly as many as there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scores(pub [i64; 3]);

impl OptionValue for Scores {
    fn parse(&mut self, words: &[&[u8]]) -> Result<(), String> {
        let all: Vec<&[u8]> = words.iter().flat_map(|w| w.split(|b| *b == b' ')).filter(|w| !w.is_empty()).collect();
        if all.len() != 3 {
            return Err("wrong number of arguments".into());
        }
        let mut scores = [0; 3];
        for (slot, word) in scores.iter_mut().zip(all) {
            *slot = match base::num::parse_i64(word) {
                Some(n @ -2000..=2000) => n,
                _ => return Err("Invalid oom-score-adj-values, elements must be between -2000 and 2000.".into()),
            };
        }
        self.0 = scores;
        Ok(())
    }

    fn show(&self) -> String {
        format!("{} {} {}", self.0[0], self.0[1], self.0[2])
    }

    fn lines(&self, name: &str) -> Vec<String> {
        vec![format!("{name} {}", self.show())]
    }

    fn takes_many(&self) -> bool {
        true
    }
}

/// Percentiles, from 0 to 100.
#[derive(Clone, Debug, PartialEq)]
pub struct Percentiles(pub Vec<f64>);

impl OptionValue for Percentiles {
    fn parse(&mut self, words: &[&[u8]]) -> Result<(), String> {
        let mut all = Vec::new();
        for word in words.iter().flat_map(|w| w.split(|b| *b == b' ')).filter(|w| !w.is_empty()) {
            match base::num::parse_f64(word) {
                Some(p) if (0.0..=100.0).contains(&p) => all.push(p),
                Some(_) => {
                    return Err("latency-tracking-info-percentiles must contain double values between 0 and 100".into());
                }
                None => return Err("Invalid latency-tracking-info-percentiles".into()),
            }
        }
        self.0 = all;
        Ok(())
    }

    fn show(&self) -> String {
        self.0.iter().map(|p| p.to_string()).collect::<Vec<_>>().join(" ")
    }

    fn lines(&self, name: &str) -> Vec<String> {
        if self.0.is_empty() { vec![format!("{name} \"\"")] } else { vec![format!("{name} {}", self.show())] }
    }

    fn takes_many(&self) -> bool {
        true
    }
}

/// When to save by itself: after so many seconds if at least so many changes were made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SavePoints(pub Vec<(i64, u64)>);

impl OptionValue for SavePoints {
    fn parse(&mut self, words: &[&[u8]]) -> Result<(), String> {
        let all: Vec<&[u8]> = words.iter().flat_map(|w| w.split(|b| *b == b' ')).filter(|w| !w.is_empty()).collect();
        if !all.len().is_multiple_of(2) {
            return Err("Invalid save parameters".into());
        }
        let mut points = Vec::new();
        for pair in all.chunks_exact(2) {
            match (base::num::parse_i64(pair[0]), base::num::parse_i64(pair[1])) {
                (Some(seconds @ 1..), Some(changes @ 0..)) => points.push((seconds, changes as u64)),
                _ => return Err("Invalid save parameters".into()),
            }
        }
        self.0 = points;
        Ok(())
    }

    fn show(&self) -> String {
        self.0.iter().map(|(s, c)| format!("{s} {c}")).collect::<Vec<_>>().join(" ")
    }

    fn lines(&self, name: &str) -> Vec<String> {
        if self.0.is_empty() {
            return vec![format!("{name} \"\"")];
        }
        self.0.iter().map(|(s, c)| format!("{name} {s} {c}")).collect()
    }

    fn takes_many(&self) -> bool {
        true
    }
}

/// What a client of one class may leave unread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutputLimit {
    /// More bytes than this close it at once; 0: no limit.
    pub hard_bytes: i64,
    /// More than this for [`OutputLimit::soft_seconds`] close it; 0: no limit.
    pub soft_bytes: i64,
    /// See [`OutputLimit::soft_bytes`].
    pub soft_seconds: i64,
}

/// Output limits of the classes normal, replica, pubsub.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutputLimits(pub [OutputLimit; 3]);

impl OutputLimits {
    const CLASSES: [&'static str; 3] = ["normal", "slave", "pubsub"];
}

impl OptionValue for OutputLimits {
    fn parse(&mut self, words: &[&[u8]]) -> Result<(), String> {
        let all: Vec<&[u8]> = words.iter().flat_map(|w| w.split(|b| *b == b' ')).filter(|w| !w.is_empty()).collect();
        if all.is_empty() || !all.len().is_multiple_of(4) {
            return Err("Wrong number of arguments in buffer limit configuration.".into());
        }
        let mut limits = self.0;
        for group in all.chunks_exact(4) {
            let class = match group[0].to_ascii_lowercase().as_slice() {
                b"normal" => 0,
                b"slave" | b"replica" => 1,
                b"pubsub" => 2,
                _ => return Err("Invalid client class specified in buffer limit configuration.".into()),
            };
            let amount = |word| parse_bytes(word).filter(|n| *n >= 0);
            let seconds = base::num::parse_i64(group[3]).filter(|n| *n >= 0);
            let (Some(hard_bytes), Some(soft_bytes), Some(soft_seconds)) =
                (amount(group[1]), amount(group[2]), seconds)
            else {
                return Err("Error in hard, soft or soft_seconds setting in buffer limit configuration.".into());
            };
            limits[class] = OutputLimit { hard_bytes, soft_bytes, soft_seconds };
        }
        self.0 = limits;
        Ok(())
    }

    fn show(&self) -> String {
        let one =
            |(class, l): (&&str, &OutputLimit)| format!("{class} {} {} {}", l.hard_bytes, l.soft_bytes, l.soft_seconds);
        Self::CLASSES.iter().zip(&self.0).map(one).collect::<Vec<_>>().join(" ")
    }

    fn lines(&self, name: &str) -> Vec<String> {
        let one = |(class, l): (&&str, &OutputLimit)| {
            let class = if *class == "slave" { "replica" } else { class };
            let (hard, soft) = (unit_text(l.hard_bytes), unit_text(l.soft_bytes));
            format!("{name} {class} {hard} {soft} {}", l.soft_seconds)
        };
        Self::CLASSES.iter().zip(&self.0).map(one).collect()
    }

    fn takes_many(&self) -> bool {
        true
    }
}

/// The primary to follow, if any.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct ReplicaOf(pub Option<(String, u16)>);

impl OptionValue for ReplicaOf {
    fn parse(&mut self, words: &[&[u8]]) -> Result<(), String> {
        let all: Vec<&[u8]> = words.iter().flat_map(|w| w.split(|b| *b == b' ')).filter(|w| !w.is_empty()).collect();
        match all.as_slice() {
            [] => self.0 = None,
            [no, one] if no.eq_ignore_ascii_case(b"no") && one.eq_ignore_ascii_case(b"one") => self.0 = None,
            [host, port] => match base::num::parse_i64(port) {
                Some(port @ 0..=65535) => self.0 = Some((text(host)?, port as u16)),
                _ => return Err("Invalid master port".into()),
            },
            _ => return Err("wrong number of arguments".into()),
        }
        Ok(())
    }

    fn show(&self) -> String {
        self.0.as_ref().map_or(String::new(), |(host, port)| format!("{host} {port}"))
    }

    fn lines(&self, name: &str) -> Vec<String> {
        self.0.iter().map(|(host, port)| format!("{name} {} {port}", file_word(host))).collect()
    }

    fn takes_many(&self) -> bool {
        true
    }
}

fn is_plain(word: &[u8], others: &[u8]) -> bool {
    !word.is_empty() && word.iter().all(|b| b.is_ascii_alphanumeric() || others.contains(b))
}

/// A primary's name and the sentinels to ask for it, if any.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct SentinelHint(pub Option<(String, Vec<(String, u16)>)>);

impl OptionValue for SentinelHint {
    fn parse(&mut self, words: &[&[u8]]) -> Result<(), String> {
        let mut all = words.iter().flat_map(|w| w.split(|b| b.is_ascii_whitespace())).filter(|w| !w.is_empty());
        let Some(name) = all.next() else {
            self.0 = None;
            return Ok(());
        };
        let mut sentinels = Vec::new();
        for word in all {
            let word = std::str::from_utf8(word).map_err(|_| "a sentinel's address must be host:port")?;
            let (host, port) =
                word.rsplit_once(':').ok_or_else(|| format!("a sentinel's address must be host:port, not '{word}'"))?;
            let port = base::num::parse_i64(port.as_bytes())
                .filter(|port| (1..=65535).contains(port))
                .ok_or_else(|| format!("the port of the sentinel '{word}' must be between 1 and 65535"))?;
            // An IPv6 address stands in brackets or bare: what follows the last colon is the port.
            let host = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
            if !is_plain(host.as_bytes(), b".-_:%") {
                return Err(format!("'{word}' does not name the host of a sentinel"));
            }
            sentinels.push((host.to_owned(), port as u16));
        }
        if !is_plain(name, b".-_") {
            return Err("the primary's name may hold letters, digits and .-_ only".into());
        }
        if sentinels.is_empty() {
            return Err("a primary's name and one or more sentinels as host:port are needed".into());
        }
        if sentinels.len() > Self::SENTINELS_MAX {
            return Err(format!("at most {} sentinels can be asked", Self::SENTINELS_MAX));
        }
        self.0 = Some((text(name)?, sentinels));
        Ok(())
    }

    fn show(&self) -> String {
        let Some((name, sentinels)) = &self.0 else { return String::new() };
        let mut text = name.clone();
        for (host, port) in sentinels {
            text += &if host.contains(':') { format!(" [{host}]:{port}") } else { format!(" {host}:{port}") };
        }
        text
    }

    fn lines(&self, name: &str) -> Vec<String> {
        match &self.0 {
            None => vec![format!("{name} \"\"")],
            Some(_) => vec![format!("{name} {}", self.show())],
        }
    }

    fn takes_many(&self) -> bool {
        true
    }
}

impl SentinelHint {
    /// Each is asked by a thread of its own.
    const SENTINELS_MAX: usize = 64;
}

/// Which keyspace events are published.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Events(pub crate::notify::Classes);

impl OptionValue for Events {
    fn parse(&mut self, words: &[&[u8]]) -> Result<(), String> {
        self.0 = crate::notify::Classes::parse(one(words)?)
            .ok_or("Invalid event class character. Use 'Ag$lshzxeKEtmdn'.")?;
        Ok(())
    }

    fn show(&self) -> String {
        self.0.show()
    }
}

macro_rules! choices {
    ($($(#[$doc:meta])* $type:ident { $first:ident = $first_word:literal $(, $variant:ident = $word:literal)* $(,)? })*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[allow(missing_docs)]
        pub enum $type { $first, $($variant),* }

        impl $type {
            const WORDS: &'static [(&'static str, $type)] = &[($first_word, $type::$first) $(, ($word, $type::$variant))*];
        }

        impl OptionValue for $type {
            fn parse(&mut self, words: &[&[u8]]) -> Result<(), String> {
                let word = one(words)?;
                match Self::WORDS.iter().find(|(name, _)| name.as_bytes().eq_ignore_ascii_case(word)) {
                    Some((_, value)) => *self = *value,
                    None => {
                        let names: Vec<&str> = Self::WORDS.iter().map(|(name, _)| *name).collect();
                        return Err(format!("argument(s) must be one of the following: {}", names.join(", ")));
                    }
                }
                Ok(())
            }

            fn show(&self) -> String {
                Self::WORDS.iter().find(|(_, v)| v == self).map_or(String::new(), |(name, _)| (*name).into())
            }
        }
    )*};
}

choices! {
    /// Which keys are evicted when memory is used up.
    MaxMemoryPolicy {
        VolatileLru = "volatile-lru", VolatileLfu = "volatile-lfu", VolatileRandom = "volatile-random", VolatileTtl = "volatile-ttl",
        AllKeysLru = "allkeys-lru", AllKeysLfu = "allkeys-lfu", AllKeysRandom = "allkeys-random", NoEviction = "noeviction",
    }
    /// When the append-only file is forced to disk.
    AppendFsync { EverySec = "everysec", Always = "always", No = "no" }
    /// How much is logged.
    LogLevel { Debug = "debug", Verbose = "verbose", Notice = "notice", Warning = "warning", Nothing = "nothing" }
    /// Who supervises the process.
    Supervised { Upstart = "upstart", Systemd = "systemd", Auto = "auto", No = "no" }
    /// How a replica loads what comes over the socket.
    DisklessLoad { Disabled = "disabled", OnEmptyDb = "on-empty-db", SwapDb = "swapdb", FlushBeforeLoad = "flush-before-load" }
    /// Whether payloads from outside are checked in depth.
    Sanitize { No = "no", Yes = "yes", Clients = "clients" }
    /// Who may use a dangerous command.
    Protected { No = "no", Yes = "yes", Local = "local" }
    /// Whether the kernel's out-of-memory score is changed.
    OomScoreAdj { No = "no", Yes = "yes", Relative = "relative", Absolute = "absolute" }
    /// Whether default channels are open to new users.
    AclPubsubDefault { AllChannels = "allchannels", ResetChannels = "resetchannels" }
    /// Which facility of syslog is used.
    SyslogFacility {
        User = "user", Local0 = "local0", Local1 = "local1", Local2 = "local2", Local3 = "local3", Local4 = "local4", Local5 = "local5", Local6 = "local6", Local7 = "local7",
    }
    /// How cluster clients are redirected.
    EndpointType { Ip = "ip", Hostname = "hostname", Unknown = "unknown-endpoint" }
    /// What happens when a replica cannot apply what its primary sends.
    PropagationError { Ignore = "ignore", Panic = "panic", PanicOnReplicas = "panic-on-replicas" }
    /// What becomes of a start that asks for what is not there.
    Unsupported { Refuse = "refuse", Warn = "warn" }
    /// Whether files of a newer RDB version are tried.
    RdbVersionCheck { Strict = "strict", Relaxed = "relaxed" }
    /// How a line of the log looks.
    LogFormat { Legacy = "legacy", Logfmt = "logfmt", Json = "json" }
    /// How the time in a line of the log looks.
    LogTimestampFormat { Legacy = "legacy", Iso8601 = "iso8601", Milliseconds = "milliseconds" }
    /// What a failure to save the file of a cluster's nodes leads to.
    ClusterConfigSave { Sync = "sync", BestEffort = "best-effort" }
    /// Whether clients over TLS must have a certificate.
    TlsAuthClients { No = "no", Yes = "yes", Optional = "optional" }
    /// Which field of a client's certificate names its user.
    TlsAuthClientsUser { Cn = "CN", Uri = "URI", Off = "off" }
    /// The I/O backend.
    IoBackend { Auto = "auto", IoUring = "io_uring", Epoll = "epoll" }
}

/// What is said of a word that is none of those.
pub const SHUTDOWN_WORDS: &str =
    "argument(s) must be one of the following: default, save, nosave, now, force, failover";

/// What a signal to stop does: words that SHUTDOWN takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct ShutdownMode {
    /// Do not save.
    pub nosave: bool,
    /// Save even without save points.
    pub save: bool,
    /// Do not wait for replicas.
    pub now: bool,
    /// Stop even if saving fails.
    pub force: bool,
    /// Hand the role of primary to a replica first.
    pub failover: bool,
}

impl OptionValue for ShutdownMode {
    fn parse(&mut self, words: &[&[u8]]) -> Result<(), String> {
        let mut mode = Self::default();
        let words: Vec<&[u8]> = words.iter().flat_map(|w| w.split(|b| *b == b' ')).filter(|w| !w.is_empty()).collect();
        if words.is_empty() {
            return Err(SHUTDOWN_WORDS.into());
        }
        for word in words {
            match word.to_ascii_lowercase().as_slice() {
                b"default" => {}
                b"nosave" => mode.nosave = true,
                b"save" => mode.save = true,
                b"now" => mode.now = true,
                b"force" => mode.force = true,
                b"failover" => mode.failover = true,
                _ => return Err(SHUTDOWN_WORDS.into()),
            }
        }
        if mode.save && mode.nosave {
            return Err("save and nosave cannot be combined".into());
        }
        if mode.now && mode.failover {
            return Err("now and failover cannot be combined: handing over takes until a replica has everything".into());
        }
        *self = mode;
        Ok(())
    }

    fn show(&self) -> String {
        let words = [
            (self.save, "save"),
            (self.nosave, "nosave"),
            (self.now, "now"),
            (self.force, "force"),
            (self.failover, "failover"),
        ];
        let words: Vec<&str> = words.iter().filter(|(on, _)| *on).map(|(_, w)| *w).collect();
        if words.is_empty() { "default".into() } else { words.join(" ") }
    }

    fn lines(&self, name: &str) -> Vec<String> {
        vec![format!("{name} {}", self.show())]
    }

    fn takes_many(&self) -> bool {
        true
    }
}
