//! SCALE_IN: asking for what is missing, of as few managers as may do.

use std::cmp::Reverse;

use fenix_rolling::consent::{self, Question, Stand};
use fenix_rolling::drain::Room;
use fenix_rolling::room::{found, nobody_to_ask};
use fenix_rolling::turn::{Step, Turn};
use fenix_sdk::types::{AskKind, AskStatus, HostStage, Phase, Subject};
use fenix_sdk::workflow::{HostInfo, ProjectInfo};

/// The note that holds how asking for room stands.
const NOTE: &str = "scale-in";

/// The question, as a plan and a view take it.
const ASK: AskKind = AskKind::ScaleIn;

/// Room for hosts in hand.
pub(crate) struct Missing<'a> {
    /// All of them.
    pub(crate) in_hand: &'a [HostInfo],
}

impl Room for Missing<'_> {
    fn is_lacking(&self, turn: &mut Turn<'_>, host: &str, why: &str) -> Step {
        let others = self.in_hand.iter().filter(|other| other.id != host);
        match others.into_iter().find(|other| will_give_room(turn, other)) {
            Some(other) => Err(turn.look_again(format!("{} to give room: {why}", other.id))),
            None => make(turn, host, why),
        }
    }

    fn is_found(&self, turn: &mut Turn<'_>) {
        found(turn);
    }
}

/// True if a host is on its way back into service.
fn will_give_room(turn: &Turn<'_>, host: &HostInfo) -> bool {
    match host.stage {
        HostStage::Working | HostStage::Worked => true,
        HostStage::Fenced => host.instances == 0 || turn.view.place(&host.id).is_ok(),
        HostStage::Waiting | HostStage::Maintained | HostStage::Quarantined => false,
    }
}

/// How asking for room stands.
#[derive(Clone, Copy, Default)]
struct Asking {
    /// The number of the running round; 0 before the first.
    round: u32,
    /// The first question that belongs to it.
    first: u32,
    /// The vcpus that were missing when it began.
    missing: u32,
    /// The vcpus that came of the rounds before it.
    given: u32,
}

fn read(turn: &Turn<'_>) -> Asking {
    let note = turn.view.note(NOTE).unwrap_or_default();
    let mut parts = note.split(':').map(|part| part.parse().unwrap_or(0));
    let mut next = || parts.next().unwrap_or(0);
    Asking { round: next(), first: next(), missing: next(), given: next() }
}

/// True while managers are asked for room and have not all answered.
pub(crate) fn is_asking(turn: &Turn<'_>) -> bool {
    turn.session.phase == Phase::ScaleIn && {
        let Asking { round, first, .. } = read(turn);
        round > 0 && asked(turn, first).iter().any(|(_, status)| *status == AskStatus::Open)
    }
}

/// The projects that were asked in the round that began with that question.
fn asked(turn: &Turn<'_>, first: u32) -> Vec<(ProjectInfo, AskStatus)> {
    let projects = turn.view.all_projects().into_iter().filter(|project| project.managed);
    let last = |project: ProjectInfo| {
        let ask = turn.view.last_ask(&project.id, ASK, None).filter(|ask| ask.id >= first)?;
        Some((project, ask.status))
    };
    projects.filter_map(last).collect()
}

fn before(project: &str) -> String {
    format!("scale-in:{project}")
}

/// There is no room for what is on a host, and nothing under way will make some: has managers asked for it.
pub(crate) fn make(turn: &mut Turn<'_>, host: &str, why: &str) -> Step {
    if turn.is_over() {
        return Err(turn.wait(format!("the window is over, and there is no room: {why}")));
    }
    let mut asking = read(turn);
    if asking.round > 0 {
        answered(turn, asking.first)?;
    }
    // Everybody who was asked has answered, the cloud was read again, and still there is no room.
    let missing = turn.view.attr(&Subject::Host(host.to_owned()), "missing-vcpus");
    let missing = missing.and_then(|missing| missing.parse().ok()).unwrap_or(1).max(1);
    asking.given += asking.missing.saturating_sub(missing);
    let Some(able) = able(turn, why)? else { return nobody_to_ask(turn, why) };
    if able.iter().all(|able| able.asked == 0) {
        // Nobody was asked since the session was continued: the rounds before that are spent and forgotten.
        asking.round = 0;
    }
    if asking.round >= turn.terms.scale_in_rounds {
        return Err(turn.fail(&format!("no room after {} rounds of SCALE_IN: {why}", asking.round)));
    }
    let most = turn.view.session_attr("scale-in-max").and_then(|most| most.parse().ok()).unwrap_or(u32::MAX);
    if asking.given.saturating_add(missing) > most {
        return Err(turn.fail(&format!(
            "no room: {missing} vcpus are missing, managers gave {} back, and scale_in_max is {most}: {why}",
            asking.given
        )));
    }
    begin_round(turn, asking, able, missing, why)
}

/// Waits for the answers of a round.
fn answered(turn: &mut Turn<'_>, first: u32) -> Step {
    let (mut open, mut wait) = (Vec::new(), None);
    for (project, _) in asked(turn, first) {
        let earlier = turn.view.note(&before(&project.id)).and_then(|earlier| earlier.parse().ok());
        let question = Question { kind: ASK, host: None, after: first, earlier: earlier.unwrap_or(0) };
        match consent::stand(turn, &project, question) {
            Stand::Agreed(_) | Stand::LeaveOut(_) => {}
            Stand::Asked => open.push(project.id),
            Stand::Wait(on, until) => wait = Some(turn.wait_until(on, until)),
            Stand::Stop(reason) => return Err(turn.fail(&reason)),
        }
    }
    if !open.is_empty() {
        return Err(turn.wait(consent::answers_of(ASK, None, &open)));
    }
    wait.map_or(Ok(()), Err)
}

/// A project that can be asked for room.
struct Able {
    project: String,
    /// How often it was asked.
    asked: u32,
    /// Whether it has but one instance, which it will hardly give.
    is_last: bool,
    vcpus: u32,
    /// What it gives back at a time, for all that is known: an instance.
    gives: u32,
    /// The number of its last question.
    last: u32,
}

/// Those that can be asked now, whoever is best asked first; `None` if there is nobody ever.
fn able(turn: &mut Turn<'_>, why: &str) -> Result<Option<Vec<Able>>, fenix_sdk::workflow::Waiting> {
    let (mut able, mut busy) = (Vec::new(), None);
    for project in turn.view.all_projects().into_iter().filter(|project| project.managed && project.told) {
        let number = |key| turn.view.project_attr(&project.id, key).and_then(|number| number.parse().ok());
        if let Some(until) = number("busy-until") {
            busy = Some(busy.map_or(until, |earliest: u32| earliest.min(until)));
            continue;
        }
        let (vcpus, instances) = (number("vcpus").unwrap_or(0), number("instances").unwrap_or(0));
        let last = turn.view.last_ask(&project.id, ASK, None);
        able.push(Able {
            asked: last.as_ref().map_or(0, |ask| ask.round),
            is_last: instances < 2,
            vcpus,
            gives: vcpus.checked_div(instances).unwrap_or(0).max(1),
            last: last.map_or(0, |ask| ask.id),
            project: project.id,
        });
    }
    able.sort_by_key(|able| (able.is_last, able.asked, Reverse(able.vcpus)));
    match (able.is_empty(), busy) {
        (false, _) => Ok(Some(able)),
        (true, Some(until)) => {
            Err(turn.wait_until(format!("the busy hours of every application to end: {why}"), until))
        }
        (true, None) => Ok(None),
    }
}

/// Asks as few as may do.
fn begin_round(turn: &mut Turn<'_>, asking: Asking, able: Vec<Able>, missing: u32, why: &str) -> Step {
    let first = able.iter().map(|able| able.last).max().unwrap_or(0) + 1;
    let Asking { round, given, .. } = asking;
    let note = format!("{}:{first}:{missing}:{given}", round + 1);
    turn.plan.note(NOTE, Some(&note), "a round of SCALE_IN begins");
    turn.enter(Phase::ScaleIn, why);
    let reason = format!("{missing} vcpus are missing: {why}");
    let mut expected = 0;
    for one in able {
        if expected >= missing {
            break;
        }
        expected += one.gives;
        if one.asked > 0 {
            let earlier = one.asked.to_string();
            turn.plan.note(&before(&one.project), Some(&earlier), "how often it was asked before this round");
        }
        turn.plan.ask(&one.project, ASK, None, &reason);
    }
    Err(turn.wait(format!("room: {reason}")))
}
