//! Brings a package of the session to a host, installs it, restarts the host if told, and looks whether all is well.
//!
//! Each step is a command on the host, known by its name, or the restart: a call that is repeated finds what is there. A step that
//! failed is begun anew when the session tries the action again, and not before: how often it failed is kept beside the
//! checkpoint, which stays the same.

mod beside;
mod metadata;

use fenix_commands::{SILENT_LOOKS, Seen, look, wait, words};
use fenix_sdk::action::{
    Again, Assignment, Cloud, Failure, Kv, KvError, PackageError, Packages, Progress, Remote,
};
use fenix_sdk::template::fill;
use metadata::Metadata;

pub use beside::{assess, undo};

fenix_sdk::action! {
    name: "ssh-upgrade",
    run: run,
    assess: assess,
    undo: undo,
    remote: ["**"],
}

/// What it uses. It asks for that and nothing else.
pub trait Needs: Cloud + Packages + Remote + Kv {}

impl<T: Cloud + Packages + Remote + Kv> Needs for T {}

/// Attempts to bring the package: a network may be down for a moment.
pub const FETCHES: u32 = 5;

/// A step, as the checkpoint names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// The host fetches the package.
    Fetch,
    /// What it fetched is held against the digest.
    Check,
    /// The package is installed.
    Install,
    /// The host is restarted.
    Reboot,
    /// All is well.
    Verify,
}

/// In their order.
const STEPS: [(Step, &str); 5] = [
    (Step::Fetch, "fetch"),
    (Step::Check, "check"),
    (Step::Install, "install"),
    (Step::Reboot, "reboot"),
    (Step::Verify, "verify"),
];

impl Step {
    fn word(self) -> &'static str {
        STEPS.iter().find(|(step, _)| *step == self).map(|(_, word)| *word).unwrap_or_default()
    }

    /// The first step from this one on that has something to do.
    fn next(self, metadata: &Metadata) -> Option<Step> {
        let after = STEPS.iter().map(|(step, _)| *step).skip_while(|step| *step != self).skip(1);
        after.into_iter().find(|step| step.is_wanted(metadata))
    }

    fn is_wanted(self, metadata: &Metadata) -> bool {
        match self {
            Step::Fetch | Step::Check => metadata.package.is_some(),
            Step::Install => !metadata.install.is_empty(),
            Step::Reboot => metadata.reboot,
            Step::Verify => !metadata.verify.is_empty(),
        }
    }

    /// True if it may be begun again after nobody knows how it ended.
    fn is_harmless(self) -> bool {
        match self {
            Step::Fetch | Step::Check | Step::Verify => true,
            Step::Install | Step::Reboot => false,
        }
    }

    /// Percents at which it begins.
    fn percent(self) -> u8 {
        match self {
            Step::Fetch => 5,
            Step::Check => 25,
            Step::Install => 30,
            Step::Reboot => 60,
            Step::Verify => 90,
        }
    }
}

/// How far it is, as the checkpoint says: `STEP ATTEMPT LOOKS SILENT`, or `reboot` with the checkpoint of the restart behind it.
#[derive(Debug, PartialEq, Eq)]
enum Stand<'a> {
    /// A command; attempts and looks count from 0, `silent` those looks in a row that the host did not answer.
    Command { step: Step, attempt: u32, looks: u32, silent: u32 },
    /// The restart.
    Restart(Option<&'a str>),
}

/// Takes it from where the checkpoint says.
///
/// # Errors
/// A step fails, or cannot be made; or the metadata cannot be understood.
pub fn run(
    host: &mut dyn Needs,
    assignment: &Assignment,
    checkpoint: Option<&str>,
) -> Result<Progress, Failure> {
    let metadata = Metadata::read(&assignment.metadata)?;
    let stand = match checkpoint {
        None => begin(first(&metadata)?),
        Some(checkpoint) => parse(checkpoint)
            .ok_or_else(|| Failure::Failed("the checkpoint is not one of ssh-upgrade's".to_owned()))?,
    };
    match stand {
        Stand::Restart(inner) => restart(host, assignment, &metadata, inner),
        Stand::Command { step, attempt, looks, silent } => {
            command(host, assignment, &metadata, step, (attempt, looks, silent))
        }
    }
}

fn first(metadata: &Metadata) -> Result<Step, Failure> {
    let mut steps = STEPS.iter().map(|(step, _)| *step);
    let nothing = || Failure::BadMetadata("ssh-upgrade: there is nothing to do in it".to_owned());
    steps.find(|step| step.is_wanted(metadata)).ok_or_else(nothing)
}

fn begin(step: Step) -> Stand<'static> {
    match step {
        Step::Reboot => Stand::Restart(None),
        step => Stand::Command { step, attempt: 0, looks: 0, silent: 0 },
    }
}

/// What follows a step.
fn after(step: Step, assignment: &Assignment, metadata: &Metadata) -> Progress {
    match step.next(metadata) {
        Some(next) => again(0, next.percent(), &begin(next)),
        None => Progress::Done(metadata.report(assignment)),
    }
}

/// Makes one look at a step's command.
fn command(
    host: &mut dyn Needs,
    assignment: &Assignment,
    metadata: &Metadata,
    step: Step,
    (attempt, looks, silent): (u32, u32, u32),
) -> Result<Progress, Failure> {
    let (argv, stdin) = told(host, assignment, metadata, step)?;
    let tries = tries(host, assignment)?;
    let name = format!("{}-{tries}-{attempt}", step.word());
    let failed = |host: &mut dyn Needs, why: String| {
        note_failure(host, assignment, tries)?;
        Err(Failure::Failed(format!("{}: {why}", step.word())))
    };
    let once_more = |host: &mut dyn Needs, why: String| match step.is_harmless() && attempt + 1 < FETCHES {
        true => {
            fenix_sdk::log::warn(&why);
            let stand = Stand::Command { step, attempt: attempt + 1, looks: 0, silent: 0 };
            Ok(again(wait(attempt + 3), step.percent(), &stand))
        }
        false => failed(host, why),
    };
    match look(host, &name, &argv, &stdin)? {
        Seen::Runs => {
            let stand = Stand::Command { step, attempt, looks: looks + 1, silent: 0 };
            Ok(again(wait(looks), step.percent(), &stand))
        }
        Seen::Silent(why) if silent < SILENT_LOOKS => {
            fenix_sdk::log::info(&why);
            let stand = Stand::Command { step, attempt, looks, silent: silent + 1 };
            Ok(again(wait(silent), step.percent(), &stand))
        }
        Seen::Silent(why) => Err(Failure::Failed(format!("{}: {why}", step.word()))),
        Seen::Ended(ending) if ending.status == 0 => Ok(after(step, assignment, metadata)),
        // What was fetched in part, or from an address that is no longer good, is fetched again.
        Seen::Ended(ending) if step == Step::Fetch => once_more(host, words(&argv[0], &ending)),
        Seen::Ended(ending) => failed(host, words(&argv[0], &ending)),
        Seen::Gone(why) => once_more(host, why),
    }
}

/// How often a step failed on this host.
fn tries(host: &mut dyn Needs, assignment: &Assignment) -> Result<u32, Failure> {
    let kept = host.get(&tries_key(assignment)).map_err(unkept)?;
    Ok(kept.and_then(|tries| tries.parse().ok()).unwrap_or(0))
}

/// Has the next try of the action begin the step anew.
fn note_failure(host: &mut dyn Needs, assignment: &Assignment, tries: u32) -> Result<(), Failure> {
    host.set(&tries_key(assignment), Some(&(tries + 1).to_string())).map_err(unkept)
}

fn tries_key(assignment: &Assignment) -> String {
    format!("tries {}", assignment.key)
}

fn unkept(error: KvError) -> Failure {
    match error {
        KvError::NotGranted(what) => Failure::Failed(format!("not granted: {what}")),
        KvError::Invalid(why) | KvError::Unclear(why) => Failure::Failed(why),
    }
}

/// The command of a step, and what it reads.
fn told(
    host: &mut dyn Needs,
    assignment: &Assignment,
    metadata: &Metadata,
    step: Step,
) -> Result<(Vec<String>, String), Failure> {
    let file = |sha256: Option<&str>| metadata.value(assignment, sha256, "file");
    Ok(match step {
        Step::Fetch => {
            let name = metadata.package.as_deref().unwrap_or_default();
            let sha256 = sha256(host, metadata)?;
            let address = host.address(name).map_err(refused)?;
            // Not among the arguments, which everybody on the host may read: whoever knows the address may fetch it.
            (fetching(&file(sha256.as_deref())?), format!("url = \"{address}\"\n"))
        }
        Step::Check => {
            let checking = ["sha256sum", "--check", "--strict", "--quiet", "-"].map(str::to_owned).to_vec();
            let sha256 = sha256(host, metadata)?;
            (checking, format!("{}  {}\n", sha256.clone().unwrap_or_default(), file(sha256.as_deref())?))
        }
        Step::Install => (filled(host, assignment, metadata, &metadata.install)?, String::new()),
        Step::Verify => (filled(host, assignment, metadata, &metadata.verify)?, String::new()),
        Step::Reboot => (Vec::new(), String::new()),
    })
}

/// A command with its names filled in.
fn filled(
    host: &mut dyn Needs,
    assignment: &Assignment,
    metadata: &Metadata,
    argv: &[String],
) -> Result<Vec<String>, Failure> {
    let sha256 = sha256(host, metadata)?;
    let names = |name: &str| metadata.value(assignment, sha256.as_deref(), name);
    let wrong = |why: String| Failure::BadMetadata(format!("ssh-upgrade: {why}"));
    argv.iter().map(|text| fill(text, names, wrong)).collect()
}

/// The digest of the package, if there is one to bring.
fn sha256(host: &mut dyn Needs, metadata: &Metadata) -> Result<Option<String>, Failure> {
    let Some(name) = &metadata.package else { return Ok(None) };
    find(host, name).map(|package| Some(package.sha256))
}

/// What fetches: it goes on where it stopped, makes the folder, and takes an answer for a file only if it is one.
fn fetching(file: &str) -> Vec<String> {
    let words = ["curl", "--config", "-", "--fail", "--silent", "--show-error", "--create-dirs", "--output"];
    words.iter().map(|&word| word.to_owned()).chain([file.to_owned()]).collect()
}

fn find(host: &mut dyn Needs, name: &str) -> Result<fenix_sdk::action::Package, Failure> {
    let all = host.packages().map_err(refused)?;
    let known: Vec<String> = all.iter().map(|package| package.name.clone()).collect();
    all.into_iter().find(|package| package.name == name).ok_or_else(|| {
        let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        Failure::BadMetadata(format!(
            "ssh-upgrade: the session brought no package {name:?}; it brought {known}"
        ))
    })
}

fn refused(error: PackageError) -> Failure {
    match error {
        PackageError::NotGranted(what) => Failure::Failed(format!("not granted: {what}")),
        PackageError::NotFound(what) => Failure::BadMetadata(format!("ssh-upgrade: {what}")),
    }
}

/// Takes the restart from where its checkpoint says.
fn restart(
    host: &mut dyn Needs,
    assignment: &Assignment,
    metadata: &Metadata,
    inner: Option<&str>,
) -> Result<Progress, Failure> {
    Ok(match fenix_restart::run(host, assignment, inner)? {
        Progress::Done(_) => after(Step::Reboot, assignment, metadata),
        Progress::Again(inner) => Progress::Again(Again {
            checkpoint: format!("reboot {}", inner.checkpoint),
            // The part of the whole that lies between its beginning and the next step.
            percent: Step::Reboot.percent() + inner.percent.min(100) * 3 / 10,
            ..inner
        }),
    })
}

fn parse(checkpoint: &str) -> Option<Stand<'_>> {
    let (word, rest) = checkpoint.split_once(' ').unwrap_or((checkpoint, ""));
    let step = STEPS.iter().find(|(_, known)| *known == word).map(|(step, _)| *step)?;
    if step == Step::Reboot {
        return Some(Stand::Restart(Some(rest).filter(|rest| !rest.is_empty())));
    }
    let numbers = rest.split(' ').map(|number| number.parse().ok()).collect::<Option<Vec<u32>>>()?;
    let [attempt, looks, silent] = numbers[..] else { return None };
    Some(Stand::Command { step, attempt, looks, silent })
}

fn again(after_ms: u32, percent: u8, stand: &Stand<'_>) -> Progress {
    let checkpoint = match stand {
        Stand::Command { step, attempt, looks, silent } => {
            format!("{} {attempt} {looks} {silent}", step.word())
        }
        Stand::Restart(None) => "reboot".to_owned(),
        Stand::Restart(Some(inner)) => format!("reboot {inner}"),
    };
    Progress::Again(Again { after_ms, checkpoint, percent })
}

#[cfg(test)]
mod tests;
