//! Emptying a fenced host: its owners are asked, then every instance goes the way its manager chose.

use std::collections::{BTreeMap, BTreeSet};

use fenix_sdk::types::{AskKind, Decision, MoveDecision, MoveHow, Subject};
use fenix_sdk::workflow::{AskInfo, HostInfo, InstanceInfo, MovableKind, ProjectInfo, Waiting};

use crate::consent::{self, Question, Stand};
use crate::turn::{PATIENCE, Step, Turn};

/// Seconds before an instance is sent again to a host to which its last move failed, for each try: an infrastructure may
/// know something that does not show and passes. Nova's scheduler, for one, keeps a server off a host for up to two minutes
/// (`scheduler_instance_sync_interval`) that another member of its group has left.
const SAME_AGAIN: u32 = 45;

/// What a workflow does about room.
pub trait Room {
    /// There is none for what is on a host; `why` names what does not fit.
    ///
    /// # Errors
    /// Room is waited for.
    fn is_lacking(&self, turn: &mut Turn<'_>, host: &str, why: &str) -> Step;

    /// There is some.
    fn is_found(&self, turn: &mut Turn<'_>);
}

/// The note that says since when a host does not get emptier.
pub fn note(host: &str) -> String {
    format!("restless:{host}")
}

/// Takes the next steps to empty a fenced host: `kind` is what its owners are asked.
///
/// # Errors
/// It is not empty yet.
pub fn empty(turn: &mut Turn<'_>, host: &HostInfo, kind: AskKind, room: &dyn Room) -> Step {
    let count = |key| turn.view.attr(&Subject::Host(host.id.clone()), key)?.parse::<u32>().ok();
    if let (Some(0), Some(left @ 1..)) = (count("resting"), count("leaving")) {
        // Most decisions meet hosts on which everything is on its way: they need no closer look.
        return Err(all_on_their_way(turn, host, left));
    }
    let leaving: Vec<InstanceInfo> =
        turn.view.all_instances(&host.id).into_iter().filter(|instance| instance.host == host.id).collect();
    if leaving.is_empty() {
        return restless(turn, host, "instances on their way from or to it to come to rest", None, None);
    }
    if leaving.iter().all(|instance| instance.busy) {
        return Err(all_on_their_way(turn, host, leaving.len() as u32));
    }
    let agreed = owners_agree(turn, host, kind, &leaving)?;
    let places = places(turn, host, &leaving, room)?;
    room.is_found(turn);
    move_all(turn, host, &leaving, &agreed, &places)
}

fn all_on_their_way(turn: &Turn<'_>, host: &HostInfo, left: u32) -> Waiting {
    turn.look_again(format!("{} to become empty, instances left: {left}", host.id))
}

/// Ends the decision if there is no room for what is on the host.
///
/// # Errors
/// There is none, and `room` says what is waited for.
pub fn has_places(turn: &mut Turn<'_>, host: &HostInfo, room: &dyn Room) -> Step {
    let leaving: Vec<InstanceInfo> =
        turn.view.all_instances(&host.id).into_iter().filter(|instance| instance.host == host.id).collect();
    if leaving.is_empty() {
        return Ok(());
    }
    places(turn, host, &leaving, room).map(|_| ())
}

/// Every owner of an instance on the host is asked, all at once; nothing moves before all of them agreed.
fn owners_agree(
    turn: &mut Turn<'_>,
    host: &HostInfo,
    kind: AskKind,
    leaving: &[InstanceInfo],
) -> Result<BTreeMap<String, Option<AskInfo>>, Waiting> {
    let owners: BTreeSet<&str> = leaving.iter().map(|instance| instance.project.as_str()).collect();
    let known: BTreeMap<String, ProjectInfo> =
        turn.view.all_projects().into_iter().map(|project| (project.id.clone(), project)).collect();
    let mut agreed = BTreeMap::new();
    let (mut asked, mut wait) = (Vec::new(), None);
    for owner in owners {
        let Some(project) = known.get(owner) else {
            wait = Some(turn.look_again(format!("project {owner} to be known")));
            continue;
        };
        let stand = match consent::stand(turn, project, Question::about_host(kind, &host.id)) {
            Stand::Agreed(Some(ask)) => covers(turn, project, ask, leaving),
            stand => stand,
        };
        match stand {
            Stand::Agreed(ask) => {
                agreed.insert(owner.to_owned(), ask);
            }
            Stand::Asked => asked.push(owner.to_owned()),
            Stand::Wait(on, until) => wait = Some(turn.wait_until(on, until)),
            Stand::LeaveOut(reason) => return Err(turn.quarantine(&host.id, &reason)),
            Stand::Stop(reason) => return Err(turn.fail(&reason)),
        }
    }
    if !asked.is_empty() {
        return Err(turn.wait(consent::answers_of(kind, Some(&host.id), &asked)));
    }
    wait.map_or(Ok(agreed), Err)
}

/// An answer that says nothing about an instance that is there now does not cover it: the manager is asked again.
fn covers(turn: &mut Turn<'_>, project: &ProjectInfo, ask: AskInfo, leaving: &[InstanceInfo]) -> Stand {
    let acked = ask.status == fenix_sdk::types::AskStatus::Acked;
    let missed = leaving
        .iter()
        .filter(|instance| instance.project == project.id && !instance.busy)
        .find(|instance| acked && turn.view.consent(ask.id, &instance.id).is_none());
    match missed {
        None => Stand::Agreed(Some(ask)),
        Some(instance) => {
            let why = format!("instance {} came since it was asked", instance.id);
            consent::ask_again(turn, project, &ask, &why)
        }
    }
}

/// Where everything that is not on its way yet could go.
fn places(
    turn: &mut Turn<'_>,
    host: &HostInfo,
    leaving: &[InstanceInfo],
    room: &dyn Room,
) -> Result<BTreeMap<String, String>, Waiting> {
    match turn.view.place(&host.id) {
        Ok(places) => Ok(places.into_iter().map(|place| (place.instance, place.to)).collect()),
        Err(why) => {
            if let Some(fixed) = leaving.iter().find(|instance| instance.movable == MovableKind::No) {
                let reason = format!("instance {} on {} cannot be moved: {why}", fixed.id, host.id);
                let policy = turn.terms.failed_move;
                return Err(turn.give_up_on(&host.id, policy, &reason));
            }
            if leaving.iter().any(|instance| instance.busy) {
                return Err(turn.wait(format!("moves off {} to end: {why}", host.id)));
            }
            match room.is_lacking(turn, &host.id, &why) {
                Err(waiting) => Err(waiting),
                Ok(()) => Err(turn.look_again("room")),
            }
        }
    }
}

/// What keeps an instance from being moved now.
enum Held {
    /// It is on its way, or its manager moves it.
    OnItsWay,
    /// A rule says not yet; perhaps it will say something else at that time.
    NotYet(String, Option<u32>),
    /// It does not rest, so nobody can move it.
    Restless(String),
    /// It cannot be moved, and the terms say what then.
    Lost(String),
}

fn move_all(
    turn: &mut Turn<'_>,
    host: &HostInfo,
    leaving: &[InstanceInfo],
    agreed: &BTreeMap<String, Option<AskInfo>>,
    places: &BTreeMap<String, String>,
) -> Step {
    let (mut planned, mut not_yet, mut restless_one) = (0, None, None);
    let mut soonest = None;
    for instance in leaving {
        let ask = agreed.get(&instance.project).and_then(Option::as_ref);
        match one(turn, instance, ask, places) {
            Ok(()) => planned += 1,
            Err(Held::OnItsWay) => planned += 1,
            Err(Held::NotYet(why, until)) => {
                not_yet = Some(why);
                soonest = [soonest, until].into_iter().flatten().min();
            }
            Err(Held::Restless(why)) => restless_one = Some(why),
            Err(Held::Lost(reason)) => {
                let policy = turn.terms.failed_move;
                return Err(turn.give_up_on(&host.id, policy, &reason));
            }
        }
    }
    if planned > 0 {
        turn.forget(&note(&host.id));
        let on = format!("{} to become empty, instances left: {planned}", host.id);
        return Err(turn.look_again_at(on, soonest));
    }
    match (not_yet, restless_one) {
        (Some(why), _) => restless(turn, host, &why, Some(PATIENCE), soonest),
        (None, Some(why)) => restless(turn, host, &why, None, None),
        (None, None) => Err(turn.look_again(format!("{} to be empty", host.id))),
    }
}

/// Moves one instance, or tells what keeps it.
fn one(
    turn: &mut Turn<'_>,
    instance: &InstanceInfo,
    ask: Option<&AskInfo>,
    places: &BTreeMap<String, String>,
) -> Result<(), Held> {
    if instance.busy {
        return Err(Held::OnItsWay);
    }
    let Some(to) = places.get(&instance.id) else {
        return Err(Held::Restless(format!("instance {} to rest", instance.id)));
    };
    let chosen = ask.and_then(|ask| turn.view.consent(ask.id, &instance.id));
    let how = match (chosen, instance.movable) {
        (Some(MoveHow::OwnAction), _) => return own_action(turn, instance, ask),
        (Some(MoveHow::Migrate), _) | (_, MovableKind::ColdOnly | MovableKind::No) => MoveHow::Migrate,
        // A live move that failed is tried cold; the host tells the manager.
        (Some(MoveHow::LiveMigrate) | None, MovableKind::Any) if instance.tries > 0 => MoveHow::Migrate,
        (Some(MoveHow::LiveMigrate) | None, MovableKind::Any) => MoveHow::LiveMigrate,
    };
    if instance.tries >= turn.terms.rounds {
        return Err(Held::Lost(format!(
            "instance {} could not be moved off its host: {} tries",
            instance.id, instance.tries
        )));
    }
    // What failed live and is to be tried cold is something else.
    let is_fallback =
        instance.movable == MovableKind::Any && chosen != Some(MoveHow::Migrate) && instance.tries == 1;
    if let Some(until) = declined_until(turn, instance, to).filter(|_| !is_fallback) {
        return Err(Held::NotYet(format!("{to} to take {}: it declined it", instance.id), Some(until)));
    }
    let ask = ask.map(|ask| ask.id);
    let wanted = MoveDecision { instance: instance.id.clone(), to: to.clone(), how, ask };
    if let Err(refusal) = turn.view.check(&Decision::Move(wanted)) {
        return Err(match refusal.rule.as_str() {
            "R11" => Held::Restless(format!("{}: {}", refusal.rule, refusal.why)),
            rule => {
                let fact = |key| turn.view.attr(&Subject::Instance(instance.id.clone()), key)?.parse().ok();
                let until = match rule {
                    "R2" => fact("recovered-at"),
                    "R3" => fact("notice-until"),
                    _ => None,
                };
                Held::NotYet(format!("leave to move {}: {rule}: {}", instance.id, refusal.why), until)
            }
        });
    }
    if !turn.may_leave(instance) {
        return Err(Held::NotYet(format!("other members of its group before {}", instance.id), None));
    }
    let reason = match chosen {
        Some(_) => "its manager agreed",
        None => "the terms say to go on without its manager",
    };
    turn.plan.move_instance(&instance.id, to, how, ask, reason);
    Ok(())
}

/// Until when an instance is not sent to a host again to which its last move failed; `None` if it may be.
fn declined_until(turn: &Turn<'_>, instance: &InstanceInfo, to: &str) -> Option<u32> {
    if instance.tries == 0 {
        return None;
    }
    let fact = |key| turn.view.attr(&Subject::Instance(instance.id.clone()), key);
    fact("declined-by").filter(|by| by == to)?;
    let at: u32 = fact("declined-at")?.parse().ok()?;
    let until = at.saturating_add(SAME_AGAIN * instance.tries);
    (turn.now < until).then_some(until)
}

/// The manager moves it by itself, in its own time, which is not endless.
fn own_action(turn: &Turn<'_>, instance: &InstanceInfo, ask: Option<&AskInfo>) -> Result<(), Held> {
    let since = ask.and_then(|ask| ask.ended_at).unwrap_or(turn.now);
    let until = since.saturating_add(turn.terms.own_action_within);
    if turn.now < until {
        return Err(Held::OnItsWay);
    }
    Err(Held::Lost(format!(
        "the manager of {} said OWN_ACTION and did not move it in {} s",
        instance.id, turn.terms.own_action_within
    )))
}

/// Nothing moves, and nobody can move what is left: waits, but not for ever. Without a limit it is the time that a
/// manager has to move something by itself.
fn restless(turn: &mut Turn<'_>, host: &HostInfo, why: &str, limit: Option<u32>, until: Option<u32>) -> Step {
    let limit = limit.unwrap_or(turn.terms.own_action_within);
    if turn.has_lasted(&note(&host.id), limit) {
        let reason = format!("{} did not become empty in {limit} s: {why}", host.id);
        let policy = turn.terms.failed_move;
        return Err(turn.give_up_on(&host.id, policy, &reason));
    }
    Err(turn.look_again_at(why, until))
}
