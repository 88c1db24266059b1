//! SUBSCRIBE and its like, PUBLISH, PUBSUB.

use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::pubsub::Kind;
use crate::table::Run;
use base::glob::glob_matches;
use resp::Args;

/// The handlers of this family.
pub const COMMANDS: super::Family = &[
    ("psubscribe", Run::Plain(psubscribe)),
    ("publish", Run::Plain(publish)),
    ("pubsub|channels", Run::Plain(channels)),
    ("pubsub|help", Run::Plain(help)),
    ("pubsub|numpat", Run::Plain(numpat)),
    ("pubsub|numsub", Run::Plain(numsub)),
    ("pubsub|shardchannels", Run::Plain(shardchannels)),
    ("pubsub|shardnumsub", Run::Plain(shardnumsub)),
    ("punsubscribe", Run::Plain(punsubscribe)),
    ("spublish", Run::Plain(spublish)),
    ("ssubscribe", Run::Plain(ssubscribe)),
    ("subscribe", Run::Plain(subscribe)),
    ("sunsubscribe", Run::Plain(sunsubscribe)),
    ("unsubscribe", Run::Plain(unsubscribe)),
];

fn begin(e: &mut Engine, a: &Args, kind: Kind) -> Result {
    for name in a.iter_from(1) {
        e.subscribe(kind, name);
    }
    Ok(())
}

fn end(e: &mut Engine, a: &Args, kind: Kind) -> Result {
    if a.len() == 1 {
        e.unsubscribe_all(kind);
    }
    for name in a.iter_from(1) {
        e.unsubscribe(kind, name);
    }
    Ok(())
}

fn subscribe(e: &mut Engine, a: &Args) -> Result {
    begin(e, a, Kind::Channel)
}

fn psubscribe(e: &mut Engine, a: &Args) -> Result {
    begin(e, a, Kind::Pattern)
}

fn ssubscribe(e: &mut Engine, a: &Args) -> Result {
    begin(e, a, Kind::Shard)
}

fn unsubscribe(e: &mut Engine, a: &Args) -> Result {
    end(e, a, Kind::Channel)
}

fn punsubscribe(e: &mut Engine, a: &Args) -> Result {
    end(e, a, Kind::Pattern)
}

fn sunsubscribe(e: &mut Engine, a: &Args) -> Result {
    end(e, a, Kind::Shard)
}

fn publish(e: &mut Engine, a: &Args) -> Result {
    let receivers = e.publish(&a[1], &a[2]);
    e.store.fx.always();
    e.out.int(receivers as i64);
    Ok(())
}

fn spublish(e: &mut Engine, a: &Args) -> Result {
    let receivers = e.publish_sharded(&a[1], &a[2]);
    e.store.fx.always();
    e.out.int(receivers as i64);
    Ok(())
}

fn list(e: &mut Engine, a: &Args, shard: bool) -> Result {
    if a.len() > 3 {
        return Err(Error::subcommand_use("PUBSUB", &a[1]));
    }
    let table = if shard { &e.pubsub.shard } else { &e.pubsub.channels };
    let wanted: Vec<&[u8]> = table
        .keys()
        .map(|name| &**name)
        .filter(|name| a.get(2).is_none_or(|pattern| glob_matches(pattern, name, false)))
        .collect();
    e.out.array(wanted.len());
    for name in wanted {
        e.out.bulk(name);
    }
    Ok(())
}

fn count(e: &mut Engine, a: &Args, shard: bool) {
    let table = if shard { &e.pubsub.shard } else { &e.pubsub.channels };
    // Names and numbers in turn in both protocols: clients pair them themselves.
    e.out.array(2 * (a.len() - 2));
    for name in a.iter_from(2) {
        e.out.bulk(name);
        e.out.int(table.get(name).map_or(0, |subscribers| subscribers.len()) as i64);
    }
}

fn channels(e: &mut Engine, a: &Args) -> Result {
    list(e, a, false)
}

fn shardchannels(e: &mut Engine, a: &Args) -> Result {
    list(e, a, true)
}

fn numsub(e: &mut Engine, a: &Args) -> Result {
    count(e, a, false);
    Ok(())
}

fn shardnumsub(e: &mut Engine, a: &Args) -> Result {
    count(e, a, true);
    Ok(())
}

fn numpat(e: &mut Engine, _: &Args) -> Result {
    e.out.int(e.pubsub.patterns.len() as i64);
    Ok(())
}

fn help(e: &mut Engine, _: &Args) -> Result {
    super::help(
        e,
        "PUBSUB",
        &[
            ("CHANNELS [<pattern>]", "The channels that have subscribers; those matching <pattern> if given."),
            ("NUMPAT", "The number of patterns that have subscribers."),
            ("NUMSUB [<channel> ...]", "The number of subscribers of each channel, patterns apart."),
            (
                "SHARDCHANNELS [<pattern>]",
                "The shard channels that have subscribers; those matching <pattern> if given.",
            ),
            ("SHARDNUMSUB [<shardchannel> ...]", "The number of subscribers of each shard channel."),
        ],
    )
}
