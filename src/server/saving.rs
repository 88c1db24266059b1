//! Data files: saving a snapshot from a thread, loading at the start.
//!
//! A save writes a temporary file, forces it to disk, renames it over the old file and forces
//! the folder to disk: at every moment there is one whole file under the name.

use super::log::log;
use super::notes::Note;
use super::worker::{self, Teller};
use super::{Server, files};
use engine::engine::{Engine, Order};
use engine::rdb::{LoadOptions, Loaded, Position, SaveOptions, Ticket, write_snapshot};
use keyspace::Snapshot;
use std::fs::{self, File};
use std::io::{self, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

/// Saving, as `INFO persistence` and `stop-writes-on-bgsave-error` see it.
#[derive(Default)]
pub struct Saving {
    /// Since when a save is under way, Unix milliseconds.
    pub running_since_ms: Option<i64>,
    /// By which the running save can be cancelled.
    pub ticket: Arc<Ticket>,
    /// The number of the running or last save in the background.
    pub number: u64,
    /// Another one was asked for meanwhile.
    pub scheduled: bool,
    /// When the data was last saved, Unix seconds.
    pub last_save_s: i64,
    /// Whether the last save succeeded.
    pub last_failed: bool,
    /// When the last attempt was made, Unix milliseconds.
    pub last_try_ms: i64,
    /// How long the last save took, seconds; -1 where there was none.
    pub last_took_s: i64,
    /// Changes that the running save does not cover yet are counted from here.
    pub dirty_at_start: u64,
    /// Saves so far.
    pub saves: u64,
    /// Memory in use when the server was ready to start, bytes.
    pub startup_memory: usize,
    /// How long the event loop stood still for the last snapshot and the start of the thread that reads it, microseconds.
    pub snapshot_us: u64,
    /// How many values wait to be freed elsewhere, and how many were.
    pub freed: Option<super::freer::Counts>,
}

impl Saving {
    /// Ends the save that is running, if it is not about to end anyway; whether none is running now.
    fn cancel(&mut self, engine: &Engine) -> bool {
        if self.running_since_ms.is_none() {
            return true;
        }
        if !self.ticket.cancel() {
            return false;
        }
        self.running_since_ms = None;
        // Its thread removes the file too, but we may have ended by then.
        let _ = fs::remove_file(temporary_path(&data_path(engine), Some(self.number)));
        true
    }

    /// Whether writes are refused because saving fails.
    pub fn blocks_writes(&self, engine: &Engine) -> bool {
        self.last_failed && engine.config.stop_writes_on_bgsave_error && !engine.config.save.0.is_empty()
    }
}

/// How long after a failed save the save points try again, milliseconds.
const RETRY_MS: i64 = 5000;

/// The data file's path.
pub fn data_path(engine: &Engine) -> PathBuf {
    Path::new(engine.config.dir.get()).join(&engine.config.dbfilename.0)
}

/// A file as a sink that remembers how far it has been forced to disk.
struct FileSink<'a> {
    file: &'a mut File,
    since_sync: usize,
}

/// After so many bytes a file is forced to disk, so that the last force is short.
const SYNC_BYTES: usize = 4 << 20;

impl persist::Sink for FileSink<'_> {
    fn write(&mut self, bytes: &[u8]) -> Result<(), persist::SinkError> {
        let sync = |sink: &mut Self| -> io::Result<()> {
            sink.file.write_all(bytes)?;
            sink.since_sync += bytes.len();
            if sink.since_sync >= SYNC_BYTES {
                sink.since_sync = 0;
                sink.file.sync_data()?;
            }
            Ok(())
        };
        sync(self).map_err(|e| persist::SinkError::new(e.to_string()))
    }
}

/// Writes a snapshot to a new file that only we may read.
pub fn write_file(snapshot: Snapshot, options: &SaveOptions, path: &Path) -> Result<(), String> {
    let mut file = files::create_private(path).map_err(|e| format!("{}: {e}", path.display()))?;
    write_snapshot(snapshot, &mut FileSink { file: &mut file, since_sync: 0 }, options)
}

/// The file that a save writes before it takes the data file's place: of the save in the background with this number,
/// or of the one on the event loop's thread.
pub fn temporary_path(path: &Path, number: Option<u64>) -> PathBuf {
    let number = number.map_or(String::new(), |n| format!(".{n}"));
    path.with_file_name(format!("temp-{}{number}.rdb", std::process::id()))
}

/// Saves a snapshot under `path`, whole or not at all.
fn save_snapshot(snapshot: Snapshot, options: &SaveOptions, path: &Path, temporary: &Path) -> Result<(), String> {
    let mut replacement =
        files::Replacement::begin(path, temporary.to_owned()).map_err(|e| format!("{}: {e}", temporary.display()))?;
    write_snapshot(snapshot, &mut FileSink { file: replacement.file(), since_sync: 0 }, options)?;
    replacement.file().sync_all().map_err(|e| format!("{}: {e}", temporary.display()))?;
    if options.ticket.as_ref().is_some_and(|ticket| !ticket.commit()) {
        return Err("cancelled".into());
    }
    replacement.finish().map_err(|e| {
        format!("Error moving temp DB file {} on the final destination {}: {e}", temporary.display(), path.display())
    })
}

/// Saves at once, on the calling thread.
pub fn save_now(outside: &mut super::outside::Outside, engine: &mut Engine) -> Result<(), String> {
    outside.take_effects(engine);
    let options = options(outside, engine);
    let path = data_path(engine);
    let result = save_snapshot(engine.store.keyspace.snapshot(), &options, &path, &temporary_path(&path, None));
    outside.saving.last_try_ms = engine.store.now_ms;
    match &result {
        Ok(()) => {
            engine.stats.dirty = 0;
            outside.saving.last_save_s = engine.store.now_ms / 1000;
            outside.saving.last_failed = false;
            log!(Notice, "DB saved on disk");
        }
        Err(error) => {
            outside.saving.last_failed = true;
            log!(Warning, "Error saving DB on disk: {error}");
        }
    }
    result
}

/// What a data file says besides the data: with a replication id and offset a restarted server can go on.
pub fn options(outside: &super::outside::Outside, engine: &Engine) -> SaveOptions {
    SaveOptions::new(&engine.config, engine.store.now_ms, keyspace::memory::used_memory(), outside.position(engine))
}

impl Server {
    /// Begins a save in the background.
    pub fn begin_save(&mut self) {
        if self.outside.saving.running_since_ms.is_some() {
            self.outside.saving.scheduled = true;
            return;
        }
        self.outside.take_effects(&mut self.engine);
        let now_ms = self.engine.store.now_ms;
        let saving = &mut self.outside.saving;
        saving.running_since_ms = Some(now_ms);
        saving.last_try_ms = now_ms;
        saving.scheduled = false;
        saving.dirty_at_start = self.engine.stats.dirty;
        saving.ticket = Arc::default();
        saving.number += 1;
        let (number, ticket) = (saving.number, saving.ticket.clone());
        // A FLUSHALL of this batch is in the snapshot already.
        self.engine.orders.retain(|order| !matches!(order, Order::Flushed));
        let mut options = options(&self.outside, &self.engine);
        options.ticket = Some(ticket);
        let path = data_path(&self.engine);
        let begun_ns = super::clock::monotonic_ns();
        let snapshot = self.engine.store.keyspace.snapshot();
        log!(Notice, "Background saving started by thread rk-save");
        let processors = self.engine.config.bgsave_cpulist.get().to_owned();
        let temporary = temporary_path(&path, Some(number));
        let left_over = temporary.clone();
        let work = move |teller: &Teller| {
            super::process::bind_to_processors(&processors);
            let _registered = keyspace::memory::register_thread();
            let started = Instant::now();
            let error = save_snapshot(snapshot, &options, &path, &temporary).err();
            teller.tell(Note::Saved { number, error, took_ms: started.elapsed().as_millis() as u64 });
        };
        worker::start("rk-save", self.teller(), work, move |why| {
            let _ = fs::remove_file(left_over);
            vec![Note::Saved { number, error: Some(why.to_owned()), took_ms: 0 }]
        });
        self.outside.saving.snapshot_us = (super::clock::monotonic_ns() - begun_ns) / 1000;
    }

    /// A background save has ended.
    pub fn saved(&mut self, number: u64, error: Option<String>, took_ms: u64) {
        let saving = &mut self.outside.saving;
        if number != saving.number || saving.running_since_ms.is_none() {
            return;
        }
        saving.running_since_ms = None;
        saving.last_took_s = (took_ms / 1000) as i64;
        match error {
            None => {
                saving.saves += 1;
                saving.last_failed = false;
                saving.last_save_s = self.engine.store.now_ms / 1000;
                self.engine.stats.dirty = self.engine.stats.dirty.saturating_sub(saving.dirty_at_start);
                log!(Notice, "DB saved on disk");
                log!(Notice, "Background saving terminated with success");
            }
            Some(error) => {
                saving.last_failed = true;
                log!(Warning, "Background saving error: {error}");
            }
        }
        self.outside.set_gates(&mut self.engine);
        if self.outside.saving.scheduled {
            self.begin_save();
        }
    }

    /// Ends the save that is running, if any; whether none is running now.
    pub fn cancel_save(&mut self) -> bool {
        let was_running = self.outside.saving.running_since_ms.is_some();
        let ended = self.outside.saving.cancel(&self.engine);
        if was_running && ended {
            log!(Notice, "Background saving cancelled");
        }
        ended
    }

    /// After FLUSHALL a save of the old data is of no use. Where there are save points, the file is made anew at once: a
    /// restart shall not bring back what was thrown away.
    pub fn flushed(&mut self) {
        if !self.cancel_save() {
            // It is too late for the old data's file; the next one follows it.
            self.outside.saving.scheduled |= !self.engine.config.save.0.is_empty();
        } else if self.outside.saving.scheduled {
            self.begin_save();
        }
        let wanted = !self.engine.config.save.0.is_empty() && self.outside.saving.running_since_ms.is_none();
        if wanted && !self.outside.link.is_loading() && self.outside.loading_since_ms.is_none() {
            // The error is logged, and refuses writes where that is asked for.
            let _ = save_now(&mut self.outside, &mut self.engine);
            self.outside.set_gates(&mut self.engine);
        }
    }

    /// Each tick: the save points.
    pub fn saving_cron(&mut self) {
        let saving = &self.outside.saving;
        if saving.running_since_ms.is_some()
            || self.outside.loading_since_ms.is_some()
            || self.outside.shutdown.is_some()
        {
            return;
        }
        let now_ms = self.engine.store.now_ms;
        let dirty = self.engine.stats.dirty;
        let rested = !saving.last_failed || now_ms - saving.last_try_ms > RETRY_MS;
        let since_s = now_ms / 1000 - saving.last_save_s;
        let due = self
            .engine
            .config
            .save
            .0
            .iter()
            .find(|(seconds, changes)| dirty >= (*changes).max(1) && since_s > *seconds);
        if let Some((seconds, changes)) = due.filter(|_| rested) {
            log!(Notice, "{changes} changes in {seconds} seconds. Saving...");
            self.begin_save();
        }
    }

    /// Begins to load the data file, if there is one.
    pub fn begin_start_load(&mut self) {
        let path = data_path(&self.engine);
        if !path.exists() {
            self.start_data(None);
            return;
        }
        self.outside.loading_since_ms = Some(self.engine.store.now_ms);
        self.outside.set_gates(&mut self.engine);
        let mut options = LoadOptions::from_config(&self.engine.config, self.engine.store.now_ms);
        options.name_expired = true;
        log!(Notice, "Loading DB in memory...");
        let work = move |teller: &Teller| {
            let _registered = keyspace::memory::register_thread();
            teller.tell(Note::StartLoaded(load_file(&path, &options).map(Box::new)));
        };
        worker::start("rk-load", self.teller(), work, |why| vec![Note::StartLoaded(Err(why.to_owned()))]);
    }

    /// Replicas that go on from the state in the file still have the keys whose time came before we loaded it.
    fn tell_of_expired(&mut self, expired: &[(usize, Box<[u8]>)]) {
        if !self.engine.stream.enabled {
            return;
        }
        for (db, key) in expired {
            let word = self.engine.store.expire_word;
            self.engine.store.fx.rewrite(*db, &[word, key]);
            self.engine.settle(*db, b"");
        }
        self.outside.take_effects(&mut self.engine);
    }

    /// The data file has been loaded, or is not one.
    pub fn start_loaded(&mut self, result: Result<Box<Loaded>, String>) {
        match result {
            Ok(loaded) => self.start_data(Some(loaded)),
            Err(error) => {
                log!(Warning, "Terminating server after rdb file reading failure.");
                log!(Warning, "Fatal error loading the DB, check server logs. Exiting. {error}");
                log!(
                    Warning,
                    "The file {} was left as it is: mend it, or move it away to start empty.{}",
                    data_path(&self.engine).display(),
                    files::hint_at_copy(&data_path(&self.engine))
                );
                self.exit = Some(std::process::ExitCode::FAILURE);
            }
        }
    }

    /// The role is known and the data is there, if there is any: the start is over.
    pub fn begin_to_serve(&mut self, data: Option<Box<Loaded>>) {
        self.outside.loading_since_ms = None;
        if let Some(loaded) = data {
            self.take_start_data(*loaded);
        }
        self.outside.set_gates(&mut self.engine);
        self.ready();
    }

    fn take_start_data(&mut self, mut loaded: Loaded) {
        if let Some(Position { id, offset, db }) = loaded.replication.clone()
            && let Some(id) = repl::ReplicationId::parse(id.as_bytes())
        {
            // The file says whose data it is and how far it goes, so that we, or those who
            // followed us, can go on from there.
            self.outside.node.restore(id, offset);
            self.outside.link.db = db;
            if !self.outside.link.is_following() {
                self.outside.node.promote(super::outside::new_replication_id());
            }
            self.outside.mirror_node(&mut self.engine);
        }
        let expired = std::mem::take(&mut loaded.expired_names);
        self.take_over(loaded);
        self.tell_of_expired(&expired);
        self.outside.saving.last_save_s = self.engine.store.now_ms / 1000;
    }
}

/// Loads a data file.
pub fn load_file(path: &Path, options: &LoadOptions) -> Result<Loaded, String> {
    struct FileSource(BufReader<File>);
    impl persist::Source for FileSource {
        fn read(&mut self, buf: &mut [u8]) -> Result<usize, persist::SourceError> {
            self.0.read(buf).map_err(|e| persist::SourceError::new(e.to_string()))
        }
    }
    let file = File::open(path).map_err(|e| format!("{}: {e}", path.display()))?;
    let (loaded, _, _) =
        engine::rdb::load(FileSource(BufReader::with_capacity(1 << 20, file)), options).map_err(|e| e.to_string())?;
    Ok(loaded)
}
