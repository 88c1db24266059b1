//! Reading `INFO`: the fields that Sentinel needs, from text that may be anything.
//!
//! A field that is missing or does not make sense is as if it were not there. Nothing is believed about lengths; see `limits.rs`.

use crate::addr::{is_host, parse_port};
use crate::limits::{INFO_BYTES_MAX, REPLICAS_MAX};
use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;

/// What a data server is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It takes writes.
    Primary,
    /// It follows one.
    Replica,
    /// It does not say.
    Unknown,
}

/// What one `INFO` reply says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InfoReport {
    /// `run_id`: another one means that it was restarted.
    pub run_id: Option<String>,
    /// `role`.
    pub role: Role,
    /// `slaveN`: host and port of each replica.
    pub replicas: Vec<(String, u16)>,
    /// `master_link_down_since_seconds`, in milliseconds; 0 if it is up.
    pub link_down_ms: u64,
    /// `master_host`.
    pub primary_host: Option<String>,
    /// `master_port`.
    pub primary_port: Option<u16>,
    /// `master_link_status`: whether it is up.
    pub link_up: Option<bool>,
    /// `slave_priority`.
    pub priority: Option<i64>,
    /// `slave_repl_offset`.
    pub replica_offset: Option<u64>,
    /// `replica_announced`.
    pub announced: Option<bool>,
    /// `master_replid`.
    pub replid: Option<String>,
    /// `master_replid2` is all zeros: it has not been a replica since it started.
    pub never_replica: bool,
    /// `master_repl_offset`.
    pub offset: Option<u64>,
}

impl InfoReport {
    /// Reads a reply.
    pub fn parse(text: &[u8]) -> Self {
        let mut report = Self {
            run_id: None,
            role: Role::Unknown,
            replicas: Vec::new(),
            link_down_ms: 0,
            primary_host: None,
            primary_port: None,
            link_up: None,
            priority: None,
            replica_offset: None,
            announced: None,
            replid: None,
            never_replica: false,
            offset: None,
        };
        let text = &text[..text.len().min(INFO_BYTES_MAX)];
        for line in text.split(|b| *b == b'\n') {
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            // All lines that we look for are short; others may be anything.
            let Some((name, value)) = core::str::from_utf8(line).ok().and_then(|l| l.split_once(':')) else { continue };
            report.take(name, value);
        }
        report
    }

    fn take(&mut self, name: &str, value: &str) {
        match name {
            "run_id" => self.run_id = id(value),
            "role" => {
                self.role = match value {
                    "master" => Role::Primary,
                    "slave" => Role::Replica,
                    _ => Role::Unknown,
                }
            }
            "master_link_down_since_seconds" => {
                // -1 means since ever: it has never been connected.
                self.link_down_ms = match value.parse::<i64>() {
                    Ok(seconds) if seconds >= 0 => seconds.unsigned_abs().saturating_mul(1000),
                    Ok(_) => u64::MAX / 2,
                    Err(_) => 0,
                }
            }
            "master_host" => self.primary_host = Some(value.to_owned()).filter(|h| is_host(h)),
            "master_port" => self.primary_port = parse_port(value),
            "master_link_status" => self.link_up = Some(value == "up"),
            "slave_priority" => self.priority = value.parse().ok().filter(|p| (0..=i64::from(i32::MAX)).contains(p)),
            "slave_repl_offset" => self.replica_offset = value.parse().ok(),
            "replica_announced" => self.announced = Some(value != "0"),
            "master_replid" => self.replid = id(value),
            "master_replid2" => self.never_replica = value.len() == 40 && value.bytes().all(|b| b == b'0'),
            "master_repl_offset" => self.offset = value.parse().ok(),
            _ => {
                let number =
                    name.strip_prefix("slave").filter(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()));
                if let (Some(_), Some(replica)) = (number, replica(value))
                    && self.replicas.len() < REPLICAS_MAX
                {
                    self.replicas.push(replica);
                }
            }
        }
    }
}

fn id(value: &str) -> Option<String> {
    let fine = value.len() >= 40 && value.bytes().take(40).all(|b| b.is_ascii_alphanumeric());
    fine.then(|| value[..40].to_owned())
}

/// `ip=127.0.0.1,port=6380,state=online,…`, or of old servers `127.0.0.1,6380,online`.
fn replica(value: &str) -> Option<(String, u16)> {
    let (host, port) = if value.contains("ip=") {
        let field = |name: &str| value.split(',').find_map(|part| part.strip_prefix(name));
        (field("ip=")?, field("port=")?)
    } else {
        let mut parts = value.split(',');
        let (host, port, _state) = (parts.next()?, parts.next()?, parts.next()?);
        (host, port)
    };
    is_host(host).then_some(())?;
    Some((host.to_owned(), parse_port(port)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fields_of_a_primary_are_read() {
        let text = b"# Server\r\nredis_version:7.2.4\r\nrun_id:0123456789abcdef0123456789abcdef01234567\r\n\r\n# Replication\r\n\
            role:master\r\nconnected_slaves:3\r\nslave0:ip=10.0.0.2,port=6380,state=online,offset=14,lag=0\r\n\
            slave1:10.0.0.3,6381,online\r\nslave2:ip=h y,port=1,state=online\r\nslave3:ip=a,port=70000\r\n\
            master_replid:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n\
            master_replid2:0000000000000000000000000000000000000000\r\nmaster_repl_offset:14\r\n";
        let report = InfoReport::parse(text);
        assert_eq!(report.run_id.as_deref(), Some("0123456789abcdef0123456789abcdef01234567"));
        assert_eq!(report.role, Role::Primary);
        assert_eq!(report.replicas, [("10.0.0.2".into(), 6380), ("10.0.0.3".into(), 6381)]);
        assert!(report.never_replica && report.offset == Some(14));
    }

    #[test]
    fn the_fields_of_a_replica_are_read() {
        let text = b"role:slave\r\nmaster_host:10.0.0.1\r\nmaster_port:6379\r\nmaster_link_status:down\r\n\
            slave_repl_offset:77\r\nmaster_link_down_since_seconds:5\r\nslave_priority:25\r\nreplica_announced:0\r\n\
            master_replid2:1111111111111111111111111111111111111111\r\n";
        let report = InfoReport::parse(text);
        assert_eq!(
            (report.role, report.primary_host.as_deref(), report.primary_port),
            (Role::Replica, Some("10.0.0.1"), Some(6379))
        );
        assert_eq!((report.link_up, report.link_down_ms, report.replica_offset), (Some(false), 5000, Some(77)));
        assert_eq!((report.priority, report.announced, report.never_replica), (Some(25), Some(false), false));
    }

    #[test]
    fn nonsense_is_as_if_it_were_not_there() {
        let text = b"role:king\r\nslave_priority:-3\r\nmaster_port:0\r\nmaster_host:a,b\r\nrun_id:short\r\n\xff\xfe:\r\nslave:x\r\n";
        assert_eq!(InfoReport::parse(text), InfoReport::parse(b""));
        assert_eq!(InfoReport::parse(b"master_link_down_since_seconds:-1").link_down_ms, u64::MAX / 2);
    }

    #[test]
    fn a_flood_of_replicas_is_cut() {
        let mut text = Vec::new();
        for i in 0..REPLICAS_MAX * 2 {
            text.extend_from_slice(alloc::format!("slave{i}:ip=h{i},port=1,state=online\r\n").as_bytes());
        }
        assert_eq!(InfoReport::parse(&text).replicas.len(), REPLICAS_MAX);
    }
}
