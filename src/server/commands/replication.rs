//! REPLICAOF, PSYNC, SYNC, REPLCONF, ROLE.

use crate::server::failover::Stage;
use crate::server::log::log;
use crate::server::outside::{Outside, Todo};
use crate::server::replicas::{State, attach};
use engine::blocking::Acknowledgements;
use engine::client::ClientFlags;
use engine::commands::options::{int, is};
use engine::engine::Engine;
use engine::error::{self, Error, Result};
use repl::{Decision, Refusal};
use resp::Args;

/// REPLICAOF host port | NO ONE.
pub fn replicaof(o: &mut Outside, e: &mut Engine, a: &Args) -> Result {
    if e.client().flags.any(ClientFlags::REPLICA) {
        return Err(Error::fixed("ERR Command is not valid when client is a replica."));
    }
    if o.failover.stage != Stage::None {
        return Err(Error::fixed("ERR REPLICAOF not allowed while failing over."));
    }
    if is(&a[1], "NO") && is(&a[2], "ONE") {
        if o.link.is_following() {
            log!(Notice, "MASTER MODE enabled (user request from '{}')", e.client().addr);
            o.stop_following(e);
        }
        e.out.ok();
        return Ok(());
    }
    let port = match base::num::parse_i64(&a[2]) {
        Some(port @ 0..=65535) => port as u16,
        Some(_) | None => return Err(Error::fixed("ERR Invalid master port")),
    };
    let host = String::from_utf8_lossy(&a[1]).into_owned();
    if o.link.primary.as_ref() == Some(&(host.clone(), port)) {
        log!(
            Notice,
            "REPLICAOF would result into synchronization with the master we are already connected with. No operation performed."
        );
        e.out.simple("OK Already connected to specified master");
        return Ok(());
    }
    log!(Notice, "REPLICAOF {host}:{port} enabled (user request from '{}')", e.client().addr);
    o.follow(e, host, port);
    e.out.ok();
    Ok(())
}

/// PSYNC id offset.
pub fn psync(o: &mut Outside, e: &mut Engine, a: &Args) -> Result {
    if e.client().flags.any(ClientFlags::REPLICA) {
        return Ok(());
    }
    if a.get(3).is_some_and(|word| is(word, "failover")) {
        take_role_over(o, e, &a[1])?;
    }
    refuse_without_data(o)?;
    let (ip, port) = o.replicas.address(e.current, e);
    let Some(offset) = base::num::parse_i64(&a[2]) else {
        log!(Warning, "Replica {ip}:{port} asks for synchronization but with a wrong offset");
        return Err(error::NOT_INTEGER);
    };
    o.take_effects(e);
    log!(Notice, "Replica {ip}:{port} asks for synchronization");
    match o.node.decide(&a[1], offset) {
        Decision::Continue { position } => {
            e.stats.partial_syncs += 1;
            let psync2 = o.replicas.about.get(&e.current).is_some_and(|about| about.capabilities.psync2);
            if psync2 {
                e.out.simple(&format!("CONTINUE {}", o.node.history().id));
            } else {
                e.out.simple("CONTINUE");
            }
            log!(
                Notice,
                "Partial resynchronization request from {ip}:{port} accepted. Sending {} bytes of backlog starting from offset {offset}.",
                o.node.offset() - position
            );
            attach(o, e, State::Online { await_ack: false }, position);
        }
        Decision::FullResync(why) => {
            if why != Refusal::NotAsked {
                e.stats.partial_sync_refusals += 1;
                let asked = String::from_utf8_lossy(&a[1]).into_owned();
                match why {
                    Refusal::UnknownId => log!(
                        Notice,
                        "Partial resynchronization not accepted: Replication ID mismatch (Replica asked for '{asked}', my replication IDs are '{}' and '{}')",
                        o.node.history().id,
                        o.node.history().second_id
                    ),
                    Refusal::BeyondSecondId => log!(
                        Notice,
                        "Partial resynchronization not accepted: Requested offset for second ID was {offset}, but I can reply up to {}",
                        o.node.history().second_offset
                    ),
                    Refusal::NotAsked | Refusal::NoBacklog | Refusal::OutsideBacklog => log!(
                        Notice,
                        "Unable to partial resync with replica {ip}:{port} for lack of backlog (Replica request was: {offset})."
                    ),
                }
            }
            full_sync(o, e, false);
        }
    }
    Ok(())
}

/// PSYNC id offset FAILOVER: our primary asks us to take its role, and becomes our replica with this request.
fn take_role_over(o: &mut Outside, e: &mut Engine, id: &[u8]) -> Result {
    log!(Notice, "Failover request received for replid {}.", String::from_utf8_lossy(id));
    if !o.link.is_following() {
        return Err(Error::fixed("ERR PSYNC FAILOVER can't be sent to a master."));
    }
    if !o.node.history().id.as_str().as_bytes().eq_ignore_ascii_case(id) {
        return Err(Error::fixed("ERR PSYNC FAILOVER replid must match my replid."));
    }
    o.stop_following(e);
    log!(Notice, "MASTER MODE enabled (failover request from '{}')", e.client_line(e.current, 0));
    Ok(())
}

/// SYNC: everything, without an answer line.
pub fn sync(o: &mut Outside, e: &mut Engine) -> Result {
    if e.client().flags.any(ClientFlags::REPLICA) {
        return Ok(());
    }
    refuse_without_data(o)?;
    full_sync(o, e, true);
    Ok(())
}

fn refuse_without_data(o: &Outside) -> Result {
    if o.link.is_following() && !o.link.is_up() {
        return Err(Error::fixed("NOMASTERLINK Can't SYNC while not connected with my master"));
    }
    Ok(())
}

fn full_sync(o: &mut Outside, e: &mut Engine, old_sync: bool) {
    e.stats.full_syncs += 1;
    o.create_backlog(e);
    let (ip, port) = o.replicas.address(e.current, e);
    log!(Notice, "Full resync requested by replica {ip}:{port}");
    let since_ms = e.store.now_ms;
    let end = o.node.offset();
    attach(o, e, State::WaitSync { since_ms, old_sync }, end);
}

/// REPLCONF option value …
pub fn replconf(o: &mut Outside, e: &mut Engine, a: &Args) -> Result {
    if a.len().is_multiple_of(2) {
        return Err(error::SYNTAX);
    }
    for i in (1..a.len()).step_by(2) {
        let (option, value) = (&a[i], &a[i + 1]);
        let number = || base::num::parse_i64(value).ok_or(error::NOT_INTEGER);
        let key = e.current;
        match () {
            () if is(option, "listening-port") => {
                let port = number()?;
                o.replicas.about.entry(key).or_default().port = u16::try_from(port).map_err(|_| error::NOT_INTEGER)?;
            }
            () if is(option, "ip-address") => {
                if value.len() > 46 {
                    return Err(Error::new(format!(
                        "ERR REPLCONF ip-address provided by replica instance is too long: {} bytes",
                        value.len()
                    )));
                }
                o.replicas.about.entry(key).or_default().ip = String::from_utf8_lossy(value).into_owned();
            }
            () if is(option, "capa") => {
                let capabilities = &mut o.replicas.about.entry(key).or_default().capabilities;
                capabilities.eof |= is(value, "eof");
                capabilities.psync2 |= is(value, "psync2");
            }
            () if is(option, "version") => {}
            () if is(option, "rdb-only") => o.replicas.about.entry(key).or_default().rdb_only = number()? != 0,
            () if is(option, "rdb-filter-only") => {
                if !value.is_empty() {
                    return Err(Error::fixed("ERR rdb-filter-only is not supported: ask for the whole data set"));
                }
            }
            () if is(option, "ack") => {
                acknowledged(o, e, number()?);
                return Ok(());
            }
            () if is(option, "getack") => {
                if o.link.is_following() && e.client().flags.any(ClientFlags::PRIMARY) {
                    o.todos.push(Todo::Acknowledge);
                }
                return Ok(());
            }
            () => {
                return Err(Error::quoting("ERR Unrecognized REPLCONF option: ", option, ""));
            }
        }
    }
    e.out.ok();
    Ok(())
}

/// A replica says how far it is; it gets no reply.
fn acknowledged(o: &mut Outside, e: &mut Engine, offset: i64) {
    let now_ms = e.store.now_ms;
    let end = o.node.offset();
    if let Some(replica) = o.replicas.table.get_mut(&e.current) {
        replica.ack_offset = replica.ack_offset.max((offset.max(0) as u64).min(end));
        replica.ack_ms = now_ms;
        if let State::Online { await_ack } = &mut replica.state {
            *await_ack = false;
        }
    }
    if !e.blocking.is_empty() {
        e.replicas_acknowledged(&o.replicas.acknowledged());
    }
}

/// WAIT numreplicas timeout: until so many replicas have what this client has written.
pub fn wait(o: &mut Outside, e: &mut Engine, a: &Args) -> Result {
    if o.link.is_following() {
        return Err(Error::fixed(
            "ERR WAIT cannot be used with replica instances. Please also note that since Redis 4.0 if a replica is configured to be writable (which is not the default) writes to replicas are just local and are not propagated.",
        ));
    }
    let replicas = int(&a[1])?.max(0) as usize;
    let timeout_ms = base::num::parse_i64(&a[2]).ok_or(error::TIMEOUT_NOT_INTEGER)?;
    if timeout_ms < 0 {
        return Err(error::TIMEOUT_NEGATIVE);
    }
    if timeout_ms.checked_add(e.store.now_ms).is_none() {
        return Err(Error::fixed("ERR timeout is out of range"));
    }
    let offset = e.client().write_offset;
    let have = o.replicas.acknowledged().into_iter().filter(|ack| *ack >= offset).count();
    if have >= replicas || e.in_exec {
        e.out.int(have as i64);
        return Ok(());
    }
    e.block_for_replicas(a, Acknowledgements { offset, replicas, have }, timeout_ms);
    if !o.todos.contains(&Todo::AskReplicas) {
        o.todos.push(Todo::AskReplicas);
    }
    Ok(())
}

/// ROLE.
pub fn role(o: &mut Outside, e: &mut Engine) -> Result {
    if let Some((host, port)) = o.link.primary.clone() {
        e.out.array(5);
        e.out.bulk(b"slave");
        e.out.bulk(host.as_bytes());
        e.out.int(i64::from(port));
        e.out.bulk(o.link.role_state().as_bytes());
        e.out.int(if o.link.is_up() { o.node.offset() as i64 } else { -1 });
        return Ok(());
    }
    o.take_effects(e);
    let online: Vec<_> =
        o.replicas.table.iter().filter(|(_, r)| r.is_online()).map(|(k, r)| (*k, r.ack_offset)).collect();
    e.out.array(3);
    e.out.bulk(b"master");
    e.out.int(o.node.offset() as i64);
    e.out.array(online.len());
    for (key, offset) in online {
        let (ip, port) = o.replicas.address(key, e);
        e.out.array(3);
        e.out.bulk(ip.as_bytes());
        e.out.bulk(port.to_string().as_bytes());
        e.out.bulk(offset.to_string().as_bytes());
    }
    Ok(())
}
