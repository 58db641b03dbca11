//! What `fenix store check` says.

use std::path::Path;

use fenix_store::{Checked, Damaged, Hole, check};
use serde_json::{Value, json};

use super::exit::Failure;
use super::text::plain;
use super::{Output, print};

/// Most damaged places that are listed one by one: a disk that is dying has thousands.
const MAX_HOLES: usize = 20;

/// Checks a data directory and says what is hurt.
///
/// # Errors
/// Something is hurt, or the directory cannot be read.
pub(super) fn run(dir: &Path, output: Output) -> Result<(), Failure> {
    let scratch = std::env::temp_dir().join(format!("fenix-check-{}", uuid::Uuid::new_v4()));
    let checked = check(dir, &scratch).map_err(|error| Failure::of(&error))?;
    match output {
        Output::Json => print::json(&as_json(&checked)),
        Output::Text => tell(&checked),
    }
    if checked.is_whole() {
        print::note("nothing is hurt");
        return Ok(());
    }
    Err(hurt(&checked, dir))
}

fn as_json(checked: &Checked) -> Value {
    let Checked {
        refused, records, last_seq, gaps, damage, earlier, mended, holes, misfit, sessions, ..
    } = checked;
    let names = |paths: &[std::path::PathBuf]| -> Vec<String> {
        paths.iter().map(|path| path.display().to_string()).collect()
    };
    let hurt =
        |hurt: &Damaged| json!({ "session_id": hurt.session.as_str(), "record": hurt.seq, "why": hurt.why });
    let hurt = |list: &[Damaged]| list.iter().map(hurt).collect::<Vec<Value>>();
    let hole = |hole: &Hole| json!({ "offset": hole.offset, "bytes": hole.len });
    json!({
        "records": records, "last_seq": last_seq, "gaps": gaps, "sessions": sessions, "hurt": hurt(damage),
        "hurt_before": hurt(earlier), "misfit": misfit, "leftovers": names(&checked.leftovers),
        "kept": names(&checked.kept), "is_made_again": mended,
        "holes": holes.iter().map(hole).collect::<Vec<Value>>(),
        "refused": refused.as_ref().map(|error| Failure::of(error).message),
    })
}

fn tell(checked: &Checked) {
    let Checked { refused, records, last_seq, gaps, earlier, sessions, leftovers, kept, .. } = checked;
    if refused.is_none() {
        print::line(format!("{records} records up to record {last_seq}; sessions: {sessions}"));
    }
    if *gaps > 0 {
        print::line(format!(
            "{gaps} runs of records were left out by `fenix store compact`, or were lost before"
        ));
    }
    for hurt in earlier {
        let Damaged { session, seq, why } = hurt;
        print::line(format!(
            "session {session} lost records from {seq} on before, and was parked: {}",
            plain(why)
        ));
    }
    for leftover in leftovers {
        let leftover = leftover.display();
        print::line(format!("{leftover} is left of a compaction that was cut off; the next one removes it"));
    }
    for kept in kept {
        print::line(format!(
            "{} is a damaged database that was made again; remove it at any time",
            kept.display()
        ));
    }
}

fn hurt(checked: &Checked, dir: &Path) -> Failure {
    let mut failure = Failure::failed(format!("{} is hurt", dir.display()));
    let mut say = |line: String| failure.message.push_str(&format!("\n{line}"));
    let file = dir.join("sled/db");
    for Hole { offset, len, .. } in checked.holes.iter().take(MAX_HOLES) {
        say(format!("{} cannot be read from byte {offset} on, for {len} bytes", file.display()));
    }
    if checked.holes.len() > MAX_HOLES {
        say(format!("and {} more places", checked.holes.len() - MAX_HOLES));
    }
    for Damaged { session, seq, why } in &checked.damage {
        say(format!("session {session} from record {seq} on: {}", plain(why)));
    }
    if let Some(misfit) = &checked.misfit {
        say(plain(misfit));
    }
    if let Some(refused) = &checked.refused {
        say(plain(&Failure::of(refused).message));
        return failure.hint("a server does not start with it");
    }
    let again = if checked.mended {
        "a server that is started makes the database again of all that can be read, and keeps the damaged one; "
    } else {
        ""
    };
    let sessions = if checked.damage.is_empty() {
        "no session loses anything"
    } else {
        "the other sessions go on; check the disk, and restore a backup if these are needed"
    };
    failure.hint(format!("{again}{sessions}"))
}
