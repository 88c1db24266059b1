//! Who may log in: `requirepass`, and the line `user default …` that Redis and its Sentinel write into the files that they save.
//!
//! There are no users but the default one, and it has all rights. A line that says just that is taken over, with its passwords, which
//! stand there as SHA-256; as in Redis it counts more than `requirepass`, wherever both stand. Whatever else a line says
//! asks for [`super::missing::Missing::Users`].

use super::Config;
use super::values::AclPubsubDefault;
use sha2::{Digest, Sha256};

/// A password as it is kept: its SHA-256.
type Hash = [u8; 32];

/// What a line `user default …` says of logging in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DefaultUser {
    /// Nobody needs a password.
    open: bool,
    /// The passwords that fit; without any, and not open, nobody can log in.
    hashes: Vec<Hash>,
}

/// A line `user default …`, read.
#[derive(Debug)]
pub(super) struct Line {
    pub user: DefaultUser,
    /// It gives all rights and nothing else.
    pub all_rights: bool,
}

/// What is said of a hash that is none.
const NO_HASH: &str =
    "The password hash must be exactly 64 characters and contain only lowercase hexadecimal characters";

fn hash_of(password: &[u8]) -> Hash {
    Sha256::digest(password).into()
}

fn parse_hash(hex: &[u8]) -> Result<Hash, String> {
    let digit = |b: u8| match b {
        b'0'..=b'9' => Ok(b - b'0'),
        b'a'..=b'f' => Ok(b - b'a' + 10),
        _ => Err(NO_HASH.to_owned()),
    };
    let mut hash = Hash::default();
    if hex.len() != 2 * hash.len() {
        return Err(NO_HASH.into());
    }
    for (byte, pair) in hash.iter_mut().zip(hex.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Ok(hash)
}

/// Reads the rules of the default user. They begin with a user who may do nothing.
pub(super) fn parse(rules: &[&[u8]], pubsub: AclPubsubDefault) -> Result<Line, String> {
    let (mut on, mut commands, mut keys, mut others) = (false, false, false, false);
    let mut channels = pubsub == AclPubsubDefault::AllChannels;
    let mut user = DefaultUser::default();
    for rule in rules {
        match rule.to_ascii_lowercase().as_slice() {
            b"on" => on = true,
            b"off" => on = false,
            b"nopass" => user = DefaultUser { open: true, hashes: Vec::new() },
            b"resetpass" => user = DefaultUser::default(),
            b"allkeys" | b"~*" => keys = true,
            b"resetkeys" => keys = false,
            b"allchannels" | b"&*" => channels = true,
            b"resetchannels" => channels = false,
            b"allcommands" | b"+@all" => commands = true,
            b"nocommands" | b"-@all" => commands = false,
            // What is restored is always checked.
            b"sanitize-payload" | b"skip-sanitize-payload" => {}
            b"reset" => {
                (on, commands, keys, channels, others) = (false, false, false, false, false);
                user = DefaultUser::default();
            }
            _ => match (rule.first(), rule.get(1..)) {
                (Some(b'>'), Some(password)) => user.add(hash_of(password)),
                (Some(b'#'), Some(hex)) => user.add(parse_hash(hex)?),
                (Some(b'<'), Some(password)) => user.remove(hash_of(password)),
                (Some(b'!'), Some(hex)) => user.remove(parse_hash(hex)?),
                _ => others = true,
            },
        }
    }
    if !on {
        user = DefaultUser::default();
    }
    Ok(Line { user, all_rights: on && commands && keys && channels && !others })
}

impl DefaultUser {
    fn add(&mut self, hash: Hash) {
        self.open = false;
        if !self.hashes.contains(&hash) {
            self.hashes.push(hash);
        }
    }

    fn remove(&mut self, hash: Hash) {
        self.hashes.retain(|h| *h != hash);
    }
}

impl Config {
    /// Whether clients need no password.
    pub fn is_open(&self) -> bool {
        match &self.default_user {
            Some(user) => user.open,
            None => self.requirepass.get().is_empty(),
        }
    }

    /// Whether this password is right. Where none is needed, any is.
    pub fn password_fits(&self, password: &[u8]) -> bool {
        match &self.default_user {
            Some(user) => user.open || user.hashes.contains(&hash_of(password)),
            None => self.is_open() || same(password, self.requirepass.get().as_bytes()),
        }
    }
}

/// Compares without telling by the time it takes where the difference is.
fn same(given: &[u8], wanted: &[u8]) -> bool {
    given.len() == wanted.len() && given.iter().zip(wanted).fold(0, |sum, (a, b)| sum | (a ^ b)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{find, rewrite};

    // `printf old | sha256sum`
    const OLD: &str = "#cba06b5736faf67e54b07b561eae94395e774c517a7d910a54369e1263ccfbd4";

    fn load(text: &str) -> Result<Config, String> {
        let mut config = Config::default();
        config.load(text.as_bytes(), &mut |_| Err(String::new())).map_err(|e| e.reason)?;
        config.settle().map_err(|e| e.to_string())?;
        Ok(config)
    }

    /// Who gets in, by the lines of a file; tried with Redis 7.0.
    #[test]
    fn passwords_fit_as_in_redis() {
        for (text, open, right, wrong) in [
            ("requirepass new\n".to_owned(), false, &["new"][..], &["old", ""][..]),
            (format!("requirepass new\nuser default on {OLD} ~* &* +@all\n"), false, &["old"], &["new"]),
            (format!("user default on {OLD} ~* &* +@all\nrequirepass new\n"), false, &["old"], &["new"]),
            (format!("user default on sanitize-payload {OLD} ~* &* +@all\n"), false, &["old"], &["new"]),
            (format!("user default on {OLD} >a >b <a ALLKEYS allchannels +@all\n"), false, &["old", "b"], &["a"]),
            ("requirepass new\nuser default on nopass ~* &* +@all\n".into(), true, &["x"], &[]),
            ("user default on nopass sanitize-payload ~* &* +@all\n".into(), true, &["x"], &[]),
            ("user default on ~* &* +@all\n".into(), false, &[], &["", "x"]),
            ("acl-pubsub-default allchannels\nuser default on >a ~* +@all\n".into(), false, &["a"], &["b"]),
        ] {
            let config = load(&text).unwrap();
            assert_eq!(config.is_open(), open, "{text}");
            for (words, fits) in [(right, true), (wrong, false)] {
                assert!(words.iter().all(|word| config.password_fits(word.as_bytes()) == fits), "{text}");
            }
            // Written and read again it is the same.
            let again = load(&rewrite(&text, &config, false)).unwrap();
            assert_eq!(again.default_user, config.default_user, "{text}");
        }
    }

    #[test]
    fn rights_that_are_not_there_end_the_start() {
        for rules in [
            "on nopass",
            "on nopass ~* +@all",
            "on nopass ~* &* +@all -flushall",
            "on nopass ~* ~a &* +@all",
            "on nopass resetkeys ~cache:* &* +@all",
            "on nopass ~* &* +@all (~a +get)",
            "off nopass ~* &* +@all",
            "nopass ~* &* +@all",
        ] {
            let error = load(&format!("user default {rules}\n")).unwrap_err();
            assert!(error.contains("there are no ACL users yet"), "{rules}: {error}");
            assert!(!error.contains("+@all -flushall"), "what may hold passwords is not shown: {error}");
        }
        assert!(
            load("user default on nopass ~* &* +@all\nuser other on\n").unwrap_err().contains(">>> 'user other …'")
        );
        let twice = "user default on >a ~* &* +@all\nuser default on >b ~* &* +@all\n";
        assert!(load(twice).unwrap_err().contains("Duplicate user found"));
        assert_eq!(
            load("user default on #12 ~* &* +@all\n").unwrap_err(),
            format!("Error in user declaration: {NO_HASH}")
        );
    }

    #[test]
    fn who_starts_all_the_same_still_needs_the_password() {
        let config = load("unsupported-options warn\nuser default on >a -@all\n").unwrap();
        assert!(!config.is_open() && config.password_fits(b"a") && !config.password_fits(b"b"));
        let config = load("unsupported-options warn\nuser default off >a ~* &* +@all\n").unwrap();
        assert!(!config.is_open() && !config.password_fits(b"a"));
    }

    #[test]
    fn a_new_requirepass_takes_the_place_of_the_line() {
        let text = format!("user default on {OLD} ~* &* +@all\n");
        let mut config = load(&text).unwrap();
        let (option, mut next) = (find(b"requirepass").unwrap(), config.clone());
        option.parse(&mut next, &[b"new"]).unwrap();
        config.take(option, &next);
        assert!(config.password_fits(b"new") && !config.password_fits(b"old"));
        let again = load(&rewrite(&text, &config, false)).unwrap();
        assert!(again.password_fits(b"new") && !again.password_fits(b"old"));
    }
}
