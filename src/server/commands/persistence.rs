//! SAVE, BGSAVE, LASTSAVE, SHUTDOWN.

use crate::server::outside::{Outside, Todo};
use crate::server::saving::save_now;
use crate::server::shutdown::Shutdown;
use engine::commands::options::is;
use engine::config::values::ShutdownMode;
use engine::engine::Engine;
use engine::error::{self, Error, Result};
use resp::Args;

/// SAVE: on the event loop's own thread, as asked for.
pub fn save(o: &mut Outside, e: &mut Engine) -> Result {
    if o.saving.running_since_ms.is_some() {
        return Err(Error::fixed("ERR Background save already in progress"));
    }
    let result = save_now(o, e);
    o.set_gates(e);
    match result {
        Ok(()) => {
            e.out.ok();
            Ok(())
        }
        Err(error) => Err(Error::new(format!("ERR {error}"))),
    }
}

/// BGSAVE [SCHEDULE].
pub fn bgsave(o: &mut Outside, e: &mut Engine, a: &Args) -> Result {
    // SCHEDULE puts a save off while the append-only file is being rewritten, and only then.
    if !(a.len() == 1 || (a.len() == 2 && is(&a[1], "SCHEDULE"))) {
        return Err(error::SYNTAX);
    }
    if o.saving.running_since_ms.is_some() {
        return Err(Error::fixed("ERR Background save already in progress"));
    }
    o.todos.push(Todo::BackgroundSave);
    e.out.simple("Background saving started");
    Ok(())
}

/// LASTSAVE.
pub fn lastsave(o: &mut Outside, e: &mut Engine) -> Result {
    e.out.int(o.saving.last_save_s);
    Ok(())
}

/// SHUTDOWN [NOSAVE|SAVE] [NOW] [FORCE] [ABORT].
pub fn shutdown(o: &mut Outside, e: &mut Engine, a: &Args) -> Result {
    let (mut mode, mut abort) = (ShutdownMode::default(), false);
    for word in a.iter_from(1) {
        match () {
            () if is(word, "NOSAVE") => mode.nosave = true,
            () if is(word, "SAVE") => mode.save = true,
            () if is(word, "NOW") => mode.now = true,
            () if is(word, "FORCE") => mode.force = true,
            () if is(word, "ABORT") => abort = true,
            () => return Err(error::SYNTAX),
        }
    }
    if (abort && a.len() > 2) || (mode.nosave && mode.save) {
        return Err(error::SYNTAX);
    }
    if abort {
        if o.shutdown.is_none() {
            return Err(Error::fixed("ERR No shutdown in progress."));
        }
        crate::server::log::log!(Warning, "Shutdown manually aborted.");
        o.cancel_shutdown(e);
        e.out.ok();
        return Ok(());
    }
    if e.in_exec {
        return Err(Error::fixed("ERR Can not execute SHUTDOWN inside a transaction"));
    }
    e.block_for_shutdown(a);
    o.todos.push(Todo::Shutdown(Shutdown { mode }));
    Ok(())
}
