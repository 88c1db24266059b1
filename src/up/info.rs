//! An answer to INFO.

use engine::spec::{Flags, SPECS};
use std::collections::BTreeMap;

/// Its fields.
#[derive(Debug, Clone, Default)]
pub struct Info(BTreeMap<String, String>);

impl Info {
    /// Reads `name:value` lines.
    pub fn parse(text: &str) -> Self {
        Self(text.lines().filter_map(|l| l.split_once(':')).map(|(k, v)| (k.to_owned(), v.to_owned())).collect())
    }

    /// A field, empty where there is none.
    pub fn get(&self, field: &str) -> &str {
        self.0.get(field).map_or("", String::as_str)
    }

    /// A number among the fields, 0 where there is none.
    pub fn number(&self, field: &str) -> i64 {
        self.get(field).parse().unwrap_or(0)
    }

    /// One of the values in a field of the form `name=value,name=value`.
    pub fn part(&self, field: &str, name: &str) -> &str {
        part(self.get(field), name)
    }

    /// How many commands that read or write data have run, as the table of commands knows them. The traffic of sentinels and replicas
    /// and this program's own (PING, INFO, PUBLISH, REPLCONF) is not among them.
    pub fn data_calls(&self) -> u64 {
        let on_data =
            |name: &str| SPECS.iter().any(|spec| spec.name == name && spec.flags.any(Flags::WRITE | Flags::READONLY));
        let calls = self.0.iter().filter_map(|(field, value)| Some((field.strip_prefix("cmdstat_")?, value)));
        calls.filter(|(name, _)| on_data(name)).map(|(_, value)| part(value, "calls").parse().unwrap_or(0)).sum()
    }
}

fn part<'a>(text: &'a str, name: &str) -> &'a str {
    text.split(',').filter_map(|p| p.split_once('=')).find_map(|(n, v)| (n == name).then_some(v)).unwrap_or("")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_and_their_parts_are_found() {
        let info = Info::parse("# Server\r\nrole:master\r\ndb0:keys=3,expires=1\r\nmaster_repl_offset:42\r\n");
        assert_eq!((info.get("role"), info.get("none"), info.part("db0", "keys")), ("master", "", "3"));
        assert_eq!((info.number("master_repl_offset"), info.number("role")), (42, 0));
    }

    #[test]
    fn what_sentinels_and_replicas_send_is_no_load() {
        let names = ["ping", "info", "publish", "replconf", "psync", "config|set", "client|kill", "subscribe", "role"];
        let idle: String = names.iter().map(|name| format!("cmdstat_{name}:calls=7,usec=1\r\n")).collect();
        assert_eq!(Info::parse(&idle).data_calls(), 0);
        assert_eq!(
            Info::parse(&(idle + "cmdstat_get:calls=2,usec=1\r\ncmdstat_set:calls=3,usec=1\r\n")).data_calls(),
            5
        );
    }
}
