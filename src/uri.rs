//! Server addresses: `redis://user:password@host:port/db`, and the options that say the same one by one.

/// Where a server is, and who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Name or address.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// A Unix socket's path, which goes before host and port.
    pub socket: Option<String>,
    /// ACL user name.
    pub user: Option<String>,
    /// Password.
    pub password: Option<String>,
    /// Database number.
    pub db: i64,
}

impl Default for Target {
    fn default() -> Self {
        Self { host: "127.0.0.1".into(), port: 6379, socket: None, user: None, password: None, db: 0 }
    }
}

impl Target {
    /// Takes over what a URI says.
    ///
    /// # Errors
    /// The scheme is not one of ours, or the port is no port; in words.
    pub fn apply_uri(&mut self, uri: &str) -> Result<(), String> {
        let Some(rest) = ["redis://", "valkey://"].iter().find_map(|scheme| uri.strip_prefix(scheme)) else {
            if uri.starts_with("rediss://") || uri.starts_with("valkeys://") {
                return Err("TLS is not supported yet".into());
            }
            return Err("Invalid URI scheme".into());
        };
        let rest = rest.split('?').next().unwrap_or("");
        let (credentials, rest) = rest.rsplit_once('@').map_or((None, rest), |(c, r)| (Some(c), r));
        if let Some(credentials) = credentials {
            match credentials.split_once(':') {
                Some((user, password)) => {
                    self.user = (!user.is_empty()).then(|| decoded(user));
                    self.password = Some(decoded(password));
                }
                None => self.password = Some(decoded(credentials)),
            }
        }
        let (address, db) = rest.split_once('/').map_or((rest, ""), |(a, d)| (a, d));
        let (host, port) = match address.strip_prefix('[').and_then(|a| a.split_once(']')) {
            Some((host, after)) => (host, after.strip_prefix(':')),
            None => address.rsplit_once(':').map_or((address, None), |(h, p)| (h, Some(p))),
        };
        if !host.is_empty() {
            self.host = decoded(host);
        }
        if let Some(port) = port.filter(|p| !p.is_empty()) {
            self.port = port.parse().map_err(|_| "Invalid server port.".to_owned())?;
        }
        if !db.is_empty() {
            self.db = db.parse().map_err(|_| format!("'{db}' is not a database number"))?;
        }
        Ok(())
    }

    /// The address as error messages and prompts show it.
    pub fn shown(&self) -> String {
        match &self.socket {
            Some(path) => path.clone(),
            None if self.host.contains(':') => format!("[{}]:{}", self.host, self.port),
            None => format!("{}:{}", self.host, self.port),
        }
    }
}

/// Percent-decodes; what is no escape stays as it is.
fn decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut i = 0;
    while i < bytes.len() {
        let code = bytes
            .get(i + 1..i + 3)
            .and_then(|h| std::str::from_utf8(h).ok())
            .and_then(|h| u8::from_str_radix(h, 16).ok());
        match code.filter(|_| bytes[i] == b'%') {
            Some(byte) => {
                out.push(byte);
                i += 3;
            }
            None => {
                out.push(bytes[i]);
                i += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uris_are_taken_apart() {
        let mut target = Target::default();
        target.apply_uri("redis://me:p%40ss@host:7000/3").unwrap();
        let want = Target {
            host: "host".into(),
            port: 7000,
            socket: None,
            user: Some("me".into()),
            password: Some("p@ss".into()),
            db: 3,
        };
        assert_eq!(target, want);
        let mut target = Target::default();
        target.apply_uri("valkey://secret@[::1]").unwrap();
        assert_eq!((target.shown().as_str(), target.password.as_deref()), ("[::1]:6379", Some("secret")));
        assert!(Target::default().apply_uri("http://x").is_err());
        assert!(Target::default().apply_uri("redis://x:99999").is_err());
    }
}
