//! What the sentinels publish, in words with whole addresses.
//!
//! ```text
//!   +sdown   "slave 127.0.0.1:6380 127.0.0.1 6380 @ mymaster 127.0.0.1 6379"
//!            └─► finds replica 127.0.0.1:6380 down (sdown)
//! ```
//! An event that has no sentence here is shown as it came.

/// A sentence for each event. `{who}` is the instance that the event is about, `{more}` what follows it, `{text}` the whole text.
const SENTENCES: &[(&str, &str)] = &[
    ("+monitor", "watches {who}, {more}"),
    ("-monitor", "does not watch {who} any longer"),
    ("+reset-master", "forgets what it knows of {who}"),
    ("+set", "has an option changed: {text}"),
    ("+slave", "finds {who}"),
    ("+sentinel", "finds {who}"),
    ("+sentinel-address-switch", "sees a sentinel at another address: {text}"),
    ("+sentinel-address-update", "sees a sentinel at another address: {text}"),
    ("+sentinel-invalid-addr", "hears of a sentinel with an invalid address: {text}"),
    ("+reboot", "sees that {who} has been restarted"),
    ("-cmd-link-reconnection", "connects anew to {who}"),
    ("-pubsub-link-reconnection", "subscribes anew to {who}"),
    ("+sdown", "finds {who} down (sdown)"),
    ("-sdown", "finds {who} up again"),
    ("+odown", "agrees with others that {who} is down (odown, {more})"),
    ("-odown", "does not agree any longer that {who} is down"),
    ("+new-epoch", "enters epoch {text}"),
    ("+try-failover", "wants to fail over {who}"),
    ("+vote-for-leader", "votes for {text}"),
    ("+elected-leader", "is elected to fail over {who}"),
    ("-failover-abort-not-elected", "gives up failing over {who}: it was not elected"),
    ("-failover-abort-no-good-slave", "gives up failing over {who}: no replica is fit"),
    ("-failover-abort-slave-timeout", "gives up failing over {who}: the replica did not become a primary in time"),
    ("+failover-state-select-slave", "chooses among the replicas of {who}"),
    ("+selected-slave", "chooses {who}"),
    ("+failover-state-send-slaveof-noone", "makes {who} a primary"),
    ("+failover-state-wait-promotion", "waits until {who} is a primary"),
    ("+promoted-slave", "sees that {who} is a primary"),
    ("+failover-state-reconf-slaves", "has the other replicas of {who} follow the new primary"),
    ("+slave-reconf-sent", "tells {who} to follow the new primary"),
    ("+slave-reconf-sent-be", "tells {who} to follow the new primary, without waiting for it"),
    ("-slave-reconf-sent-timeout", "hears nothing of {who} following the new primary"),
    ("+slave-reconf-inprog", "sees {who} follow the new primary"),
    ("+slave-reconf-done", "sees {who} in step with the new primary"),
    ("+failover-end", "has finished failing over {who}"),
    ("+failover-end-for-timeout", "ends failing over {who}: some replicas are late"),
    ("+switch-master", "sees the primary move from {old} to {new}"),
    ("+config-update-from", "learns from {who} who the primary is"),
    ("+convert-to-slave", "makes {who} a replica"),
    ("+fix-slave-config", "has {who} follow the right primary"),
    ("+role-change", "sees the expected role of {who} again: {more}"),
    ("-role-change", "sees that the role of {who} has changed: {more}"),
    ("+tilt", "finds its clock odd and only watches for a while (tilt)"),
    ("-tilt", "trusts its clock again"),
    ("+script-child", "runs a script: {text}"),
    ("-script-child", "has run a script: {text}"),
    ("-script-error", "cannot run a script: {text}"),
    ("-script-timeout", "has stopped a script that took too long: {text}"),
    ("-refused", "refuses what it was told: {text}"),
];

/// The instance that an event is about.
#[derive(Debug, PartialEq, Eq)]
struct Subject<'a> {
    /// Its role and its address.
    who: String,
    /// What the event says beyond it.
    more: &'a str,
}

/// Takes a text apart that begins with a type, a name, an address and a port.
fn subject(text: &str) -> Option<Subject<'_>> {
    let mut words = text.splitn(5, ' ');
    let role = match words.next()? {
        "master" => "primary",
        "slave" => "replica",
        "sentinel" => "sentinel",
        _ => return None,
    };
    let (_, ip, port) = (words.next()?, words.next()?, words.next()?);
    let mut more = words.next().unwrap_or("");
    if let Some(owner) = more.strip_prefix("@ ") {
        more = owner.splitn(4, ' ').nth(3).unwrap_or("");
    }
    Some(Subject { who: format!("{role} {ip}:{port}"), more })
}

/// Old and new address of a primary that has moved: `name ip port ip port`.
pub fn moved(text: &str) -> Option<(String, String)> {
    let words: Vec<&str> = text.split(' ').collect();
    let [_, old_ip, old_port, ip, port] = words[..] else { return None };
    Some((format!("{old_ip}:{old_port}"), format!("{ip}:{port}")))
}

/// The event as a sentence whose subject, the sentinel, is left out.
pub fn sentence(name: &str, text: &str) -> String {
    let Some((_, sentence)) = SENTENCES.iter().find(|(known, _)| *known == name) else {
        return format!("{name} {text}");
    };
    let subject = subject(text);
    let (old, new) = moved(text).unwrap_or_default();
    let (who, more) = subject.map_or((text.to_owned(), ""), |subject| (subject.who, subject.more));
    sentence
        .replace("{who}", &who)
        .replace("{more}", more.trim_start_matches('#'))
        .replace("{old}", &old)
        .replace("{new}", &new)
        .replace("{text}", text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_sentences_with_whole_addresses() {
        let of_replica = "slave 127.0.0.1:7002 127.0.0.1 7002 @ mymaster 127.0.0.1 7001";
        for (name, text, words) in [
            ("+sdown", of_replica, "finds replica 127.0.0.1:7002 down (sdown)"),
            (
                "+odown",
                "master mymaster 127.0.0.1 7001 #quorum 2/2",
                "agrees with others that primary 127.0.0.1:7001 is down (odown, quorum 2/2)",
            ),
            (
                "+switch-master",
                "mymaster 127.0.0.1 7001 127.0.0.1 7002",
                "sees the primary move from 127.0.0.1:7001 to 127.0.0.1:7002",
            ),
            ("+new-epoch", "3", "enters epoch 3"),
            ("+sentinel", "sentinel 5c1f 127.0.0.1 27001 @ mymaster 127.0.0.1 7001", "finds sentinel 127.0.0.1:27001"),
            (
                "-role-change",
                &format!("{of_replica} new reported role is slave"),
                "sees that the role of replica 127.0.0.1:7002 has changed: new reported role is slave",
            ),
            ("+unheard-of", "some text", "+unheard-of some text"),
            ("+sdown", "", "finds  down (sdown)"),
        ] {
            assert_eq!(sentence(name, text), words);
        }
    }

    /// The names of events in the sentinel's sources.
    #[test]
    fn every_event_that_our_sentinel_publishes_has_a_sentence() {
        let mut folders = vec![format!("{}/crates/sentinel/src", env!("CARGO_MANIFEST_DIR"))];
        let mut names = Vec::new();
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path.display().to_string());
                    continue;
                }
                let text = std::fs::read_to_string(path).unwrap();
                let literals = text.split('"').skip(1).step_by(1).filter(|literal| {
                    literal.len() > 3
                        && literal.starts_with(['+', '-'])
                        && literal[1..].bytes().all(|b| b.is_ascii_lowercase() || b == b'-')
                });
                names.extend(literals.map(str::to_owned));
            }
        }
        assert!(names.len() > 40, "{names:?}");
        let without: Vec<_> = names.iter().filter(|n| !SENTENCES.iter().any(|(known, _)| known == n)).collect();
        assert!(without.is_empty(), "{without:?}");
    }
}
