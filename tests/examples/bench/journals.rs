//! Journals of many sessions in mid-run: one session is played in virtual time and copied under other names.

use std::path::Path;

use fenix_core::record::Record;
use fenix_core::state::State;
use fenix_engine::ports::Journal;
use fenix_store::SledJournal;
use fenix_wasm::Plugins;

use crate::Any;
use crate::stage::{Kept, Size, Stage, session_id};

/// Copies whose records share a batch of the journal: those that happened to be busy at a time.
const TOGETHER: u32 = 100;

/// The batches of one session, each with its records.
pub(crate) struct Original(Vec<Vec<Record>>);

impl Original {
    /// Plays a session until `enough` says so.
    pub(crate) fn play(
        plugins: &Plugins,
        size: Size,
        enough: impl FnMut(&State) -> bool,
    ) -> Result<Original, Any> {
        let workflow = plugins.named("default").ok_or("the workflow default is not shipped")?.pin();
        let mut kept = Kept::default();
        Stage::set(size, &workflow, &mut kept)?.play(plugins, &mut kept, enough)?;
        Ok(Original(kept.0))
    }

    /// What there was of it before the session was made: the infrastructure, and who wants messages.
    pub(crate) fn without_session(&self) -> Original {
        let before = self.0.iter().take_while(|batch| batch.iter().all(|record| record.session.is_none()));
        Original(before.cloned().collect())
    }

    /// All its records.
    pub(crate) fn records(&self) -> impl Iterator<Item = &Record> {
        self.0.iter().flatten()
    }

    /// Writes so many copies into a new data directory, their batches among each other; returns the number of records.
    pub(crate) fn write(&self, dir: &Path, copies: u32) -> Result<u64, Any> {
        let (mut journal, _) = SledJournal::open(dir)?;
        let mut seq = 0;
        for batch in &self.0 {
            let texts: Result<Vec<String>, _> = batch.iter().map(serde_json::to_string).collect();
            let texts = texts?;
            for from in (0..copies).step_by(TOGETHER as usize) {
                let mut together = Vec::new();
                for copy in from..copies.min(from + TOGETHER) {
                    for text in &texts {
                        seq += 1;
                        together.push(Record { seq, ..serde_json::from_str(&renamed(text, copy))? });
                    }
                }
                journal.append(&together)?;
            }
        }
        Ok(seq)
    }
}

/// A record's text as it would be in another session.
fn renamed(text: &str, copy: u32) -> String {
    text.replace("compute-0-", &format!("compute-{copy}-"))
        .replace("i-0-", &format!("i-{copy}-"))
        .replace("app-0", &format!("app-{copy}"))
        .replace(session_id(0).as_str(), session_id(copy).as_str())
}

/// True once a session has so many records, or so many hosts are done.
pub(crate) fn has(records: u64, hosts_done: usize) -> impl FnMut(&State) -> bool {
    let mut first = None;
    move |state| match state.sessions.values().next() {
        None => false,
        Some(session) => {
            let first = *first.get_or_insert(state.seq);
            state.seq >= first + records || session.hosts.count("maintained") >= hosts_done
        }
    }
}
