//! Hosts whose turn comes: asking about them ahead, and taking the next one.

use std::collections::BTreeMap;

use fenix_rolling::consent::{self, Question, Stand};
use fenix_rolling::course;
use fenix_rolling::room::found;
use fenix_rolling::turn::{PATIENCE, Step, Turn};
use fenix_sdk::types::{AskStatus, Decision, HostKind, HostStage, Subject};
use fenix_sdk::workflow::{Candidate, HostInfo, InstanceInfo, ProjectInfo, Readiness, Waiting};

use crate::waits::Waits;
use crate::{lanes, room};

/// Candidates among which the next host is chosen.
const LOOK_AT: u32 = 16;

/// The note that says since when no host may be taken.
const NOT_YET: &str = "not-yet";

/// The note that says how far asking ahead is: [`COMPLETE`], or [`ASKING`] with a host. It spares most decisions a look at
/// the line, which takes longer than everything else: they are made because one of many instances has moved, or one of
/// many owners has answered.
const LINE: &str = "line";

/// The owners of what is on the next hosts have heard: there is nothing to do before one of them has its turn.
const COMPLETE: &str = "complete";

/// Owners of what is on this host have not answered.
const ASKING: &str = "asking ";

/// The note that names the host that is about to be fenced.
const FENCING: &str = "fencing";

/// The note that says from when on a host can be emptied for all that its owners have to hear before; before that,
/// [`ASKED`] with one of those that have not answered.
fn note(host: &str) -> String {
    format!("heard:{host}")
}

/// This owner was asked.
const ASKED: &str = "asked ";

/// From when on hosts can be emptied, of those whose owners have heard what they have to hear before.
type Heard = BTreeMap<String, u32>;

fn heard_already(turn: &Turn<'_>, candidates: &[Candidate]) -> Heard {
    let from = |host: &String| turn.view.note(&note(host)).and_then(|from| from.parse().ok());
    let hosts = candidates.iter().map(|candidate| &candidate.host);
    hosts.filter_map(|host| Some((host.clone(), from(host)?))).collect()
}

/// Asks about the next hosts, and takes one of them if there is a slot for it.
pub(crate) fn next(turn: &mut Turn<'_>, in_hand: &[HostInfo]) -> Step {
    if let Some(host) = being_fenced(turn) {
        return Err(turn.wait(format!("{host} to be fenced")));
    }
    let has_slot = in_hand.len() < turn.terms.hosts_at_once as usize;
    if !has_slot && let Some(step) = nothing_new(turn) {
        return step;
    }
    let candidates = candidates(turn);
    let Some(first) = candidates.first() else {
        return if in_hand.is_empty() { course::end(turn) } else { Ok(()) };
    };
    if turn.is_over() {
        let over = format!("the window is over, and {} hosts have not had their turn", turn.session.waiting);
        return if in_hand.is_empty() { Err(turn.wait(over)) } else { Ok(()) };
    }
    let mut waits = Waits::default();
    let mut heard = heard_already(turn, &candidates);
    let step = ask_ahead(turn, &candidates, &mut heard);
    waits.take(turn, step)?;
    if has_slot {
        let step = match take(turn, &candidates, &heard, in_hand) {
            Taken::Yes(host) => Err(turn.wait_until(format!("{host} to be fenced"), turn.now + 1)),
            Taken::NotYet(waiting) => Err(waiting),
            Taken::NoneIsReady if in_hand.is_empty() => nothing_is_ready(turn, first),
            Taken::NoneIsReady => Ok(()),
        };
        waits.take(turn, step)?;
    }
    waits.all()
}

/// What asking ahead comes to, if that is what it came to before.
fn nothing_new(turn: &Turn<'_>) -> Option<Step> {
    match turn.view.note(LINE)?.strip_prefix(ASKING) {
        None => Some(Ok(())),
        Some(host) => still_asked(turn, host).map(Err),
    }
}

/// The host that was taken last, while its fence is under way: what it leaves for others shows when it is done.
fn being_fenced(turn: &Turn<'_>) -> Option<String> {
    let host = turn.view.note(FENCING)?;
    let effect = turn.view.in_flight(&Subject::Host(host.clone()))?;
    (effect.kind == "fence").then_some(host)
}

/// The hosts that could be next. Before the first work that is a compute, empty or to be emptied: everything that is in
/// the way shows before anything is touched. After that controllers come first.
fn candidates(turn: &Turn<'_>) -> Vec<Candidate> {
    let mut candidates = turn.view.candidates(LOOK_AT);
    if !lanes::has_begun(turn) {
        let is_compute = |candidate: &Candidate| {
            turn.view.host(&candidate.host).is_some_and(|host| host.kind == HostKind::Compute)
        };
        let (computes, others): (Vec<_>, Vec<_>) = candidates.into_iter().partition(is_compute);
        candidates = computes;
        candidates.extend(others);
    }
    candidates
}

/// No host can be taken, and none is in hand.
fn nothing_is_ready(turn: &mut Turn<'_>, first: &Candidate) -> Step {
    match turn.view.host(&first.host) {
        Some(host) if host.up => room::make(turn, &first.host, &first.why),
        // Those that are down stand behind all others: nothing else is left.
        _ => course::wait_for_host(turn, &first.host),
    }
}

/// Asks about the hosts that are next in line, as many as may be out at once.
fn ask_ahead(turn: &mut Turn<'_>, candidates: &[Candidate], heard: &mut Heard) -> Step {
    let mut waits = Waits::default();
    let (mut projects, mut asking) = (None, None);
    let in_line = candidates.iter().filter(|candidate| candidate.readiness != Readiness::Ready);
    for candidate in in_line.take(turn.terms.hosts_at_once as usize) {
        if heard.contains_key(&candidate.host) {
            continue;
        }
        let step = match still_asked(turn, &candidate.host) {
            Some(waiting) => Err(waiting),
            None => {
                let projects = projects.get_or_insert_with(|| {
                    let all = turn.view.all_projects().into_iter();
                    all.map(|project| (project.id.clone(), project)).collect::<BTreeMap<_, _>>()
                });
                ask_about(turn, &candidate.host, projects)
            }
        };
        if step.is_err() {
            asking = asking.or(Some(candidate.host.as_str()));
        }
        let step = step.map(|from| heard.extend([(candidate.host.clone(), from)]));
        waits.take(turn, step)?;
    }
    match asking {
        Some(host) => remember(turn, LINE, &format!("{ASKING}{host}"), "its owners are being asked"),
        None => remember(turn, LINE, COMPLETE, "the owners of what is on the next hosts have heard"),
    }
    waits.all()
}

/// Writes a note, unless it stands there already.
fn remember(turn: &mut Turn<'_>, key: &str, value: &str, reason: &str) {
    if turn.view.note(key).as_deref() != Some(value) {
        turn.plan.note(key, Some(value), reason);
    }
}

/// What is waited for about a host while the owner that was remembered by [`ask_about`] has not answered: before that not all
/// have, and each answer wakes us.
fn still_asked(turn: &Turn<'_>, host: &str) -> Option<Waiting> {
    let note = turn.view.note(&note(host))?;
    let owner = note.strip_prefix(ASKED)?;
    let ask = consent::last_about(turn, owner, host)?;
    let on = || consent::answers_of(ask.kind, Some(host), &[owner.to_owned()]);
    (ask.status == AskStatus::Open).then(|| turn.wait(format!("{}, and perhaps of others", on())))
}

/// Asks the owners of what is on a host, and remembers one of those that have not answered; once all of them have agreed,
/// from when on it can be emptied.
fn ask_about(
    turn: &mut Turn<'_>,
    host: &str,
    projects: &BTreeMap<String, ProjectInfo>,
) -> Result<u32, Waiting> {
    let mut own: BTreeMap<String, Vec<InstanceInfo>> = BTreeMap::new();
    for instance in turn.view.all_instances(host).into_iter().filter(|instance| instance.host == host) {
        own.entry(instance.project.clone()).or_default().push(instance);
    }
    let (mut asked, mut wait, mut until) = (Vec::new(), None, turn.now);
    for (owner, instances) in own {
        let Some(project) = projects.get(&owner).filter(|project| project.managed && project.told) else {
            continue;
        };
        if !hears_ahead(turn, &instances) {
            continue;
        }
        match consent::stand(turn, project, Question::about_host(lanes::question(turn), host)) {
            Stand::Agreed(_) => until = until.max(notice_until(turn, &instances)),
            Stand::Asked => asked.push(owner),
            Stand::Wait(on, again) => wait = Some(turn.wait_until(on, again)),
            Stand::LeaveOut(reason) => return Err(turn.quarantine(host, &reason)),
            Stand::Stop(reason) => return Err(turn.fail(&reason)),
        }
    }
    if let Some(last) = asked.last() {
        remember(turn, &note(host), &format!("{ASKED}{last}"), "it has not answered");
        let on = consent::answers_of(lanes::question(turn), Some(host), &asked);
        return Err(turn.wait(on));
    }
    if let Some(waiting) = wait {
        return Err(waiting);
    }
    let reason = "its owners have heard, and from then on it can be emptied";
    turn.plan.note(&note(host), Some(&until.to_string()), reason);
    Ok(until)
}

/// True if the owner of these instances is asked before their host is fenced: it has stated something that takes time,
/// or how they are to be moved. Whoever moves its instances by itself is asked when nothing can come to the host any more:
/// it might put them there again.
fn hears_ahead(turn: &Turn<'_>, instances: &[InstanceInfo]) -> bool {
    let mut states = false;
    for instance in instances {
        let attr = |key| turn.view.attr(&Subject::Instance(instance.id.clone()), key);
        match attr("migration-type").as_deref() {
            Some("OWN_ACTION") => return false,
            Some(_) => states = true,
            None => states |= attr("lead-time").is_some_and(|lead| lead != "0"),
        }
    }
    states
}

fn notice_until(turn: &Turn<'_>, instances: &[InstanceInfo]) -> u32 {
    let until = |instance: &InstanceInfo| {
        let until = turn.view.attr(&Subject::Instance(instance.id.clone()), "notice-until")?;
        until.parse::<u32>().ok()
    };
    instances.iter().filter_map(until).max().unwrap_or(0)
}

/// Whether a host was taken.
enum Taken {
    Yes(String),
    NotYet(Waiting),
    NoneIsReady,
}

/// Takes the best host that may be taken now.
fn take(turn: &mut Turn<'_>, candidates: &[Candidate], heard: &Heard, in_hand: &[HostInfo]) -> Taken {
    let ready: Vec<&Candidate> =
        candidates.iter().filter(|candidate| candidate.readiness != Readiness::Blocked).collect();
    if ready.is_empty() {
        return Taken::NoneIsReady;
    }
    let (mut soonest, mut unheard): (Option<u32>, Option<&str>) = (None, None);
    let mut may_be_taken = Vec::new();
    for candidate in ready {
        match candidate.readiness {
            Readiness::Ready => may_be_taken.push(candidate),
            Readiness::CanEmpty | Readiness::Blocked => match heard.get(&candidate.host).copied() {
                Some(from) if from <= turn.now => may_be_taken.push(candidate),
                Some(from) => soonest = Some(soonest.map_or(from, |soonest: u32| soonest.min(from))),
                None => unheard = unheard.or(Some(&candidate.host)),
            },
        }
    }
    let leaving = if may_be_taken.is_empty() { BTreeMap::new() } else { leaving(turn, in_hand) };
    let (mut best, mut refused) = (None, None);
    for candidate in may_be_taken {
        if let Some(why) = refusal(turn, candidate) {
            refused = refused.or(Some(why));
            continue;
        }
        let contended = contended(turn, &candidate.host, &leaving);
        if best.is_none_or(|(least, _)| contended < least) {
            best = Some((contended, candidate));
        }
        if contended == 0 {
            break;
        }
    }
    if let Some((_, candidate)) = best {
        fence(turn, candidate);
        return Taken::Yes(candidate.host.clone());
    }
    match (soonest, refused, unheard) {
        (Some(soonest), ..) => {
            Taken::NotYet(turn.wait_until("the lead time of instances on the next hosts", soonest))
        }
        (None, Some(why), _) => Taken::NotYet(refused_by_a_rule(turn, &why, in_hand)),
        // It is asked about: whoever waits for that is woken.
        (None, None, Some(host)) => {
            Taken::NotYet(turn.look_again(format!("the owners of what is on {host}")))
        }
        (None, None, None) => Taken::NoneIsReady,
    }
}

/// A rule says no to every host that is ready: it is waited for, but not for ever if nothing else goes on.
fn refused_by_a_rule(turn: &mut Turn<'_>, why: &str, in_hand: &[HostInfo]) -> Waiting {
    if !in_hand.is_empty() {
        turn.forget(NOT_YET);
        return turn.look_again(why);
    }
    if turn.has_lasted(NOT_YET, PATIENCE) {
        turn.forget(NOT_YET);
        return turn.wait(why);
    }
    turn.look_again(why)
}

/// Why a host may not be taken out of service now; `None` if it may.
fn refusal(turn: &Turn<'_>, candidate: &Candidate) -> Option<String> {
    let refusal = turn.view.check(&Decision::Fence(candidate.host.clone())).err()?;
    Some(format!("leave to take {} out of service: {}: {}", candidate.host, refusal.rule, refusal.why))
}

fn fence(turn: &mut Turn<'_>, candidate: &Candidate) {
    let host = &candidate.host;
    turn.forget(&course::down(host));
    turn.forget(&note(host));
    turn.forget(NOT_YET);
    found(turn);
    let reason = match candidate.readiness {
        Readiness::Ready => "no instance is on it",
        Readiness::CanEmpty | Readiness::Blocked => {
            lanes::show_emptying(turn, host);
            "everything on it fits elsewhere"
        }
    };
    // Even if it was written in this very decision: the line is another one from now on.
    turn.plan.note(LINE, None, "one of the line has its turn");
    turn.plan.note(FENCING, Some(host), "it is next");
    turn.plan.fence(host, reason);
}

/// How many members of each group have yet to leave the hosts in hand.
fn leaving(turn: &Turn<'_>, in_hand: &[HostInfo]) -> BTreeMap<String, u32> {
    let mut leaving: BTreeMap<String, u32> = BTreeMap::new();
    for host in in_hand.iter().filter(|host| host.stage == HostStage::Fenced && host.instances > 0) {
        for instance in turn.view.all_instances(&host.id) {
            if let Some(group) = instance.group.filter(|_| instance.host == host.id && !instance.busy) {
                *leaving.entry(group).or_default() += 1;
            }
        }
    }
    leaving
}

/// How many instances on a host would have to wait for other members of their groups: out of service, and unable to become
/// empty, it would take a slot from one that could.
fn contended(turn: &Turn<'_>, host: &str, leaving: &BTreeMap<String, u32>) -> u32 {
    let mut own: BTreeMap<String, (u32, u32)> = BTreeMap::new();
    for instance in turn.view.all_instances(host) {
        let left = turn.view.attr(&Subject::Instance(instance.id), "impact-left");
        let left = left.and_then(|left| left.parse::<u32>().ok());
        if let (Some(group), Some(left)) = (instance.group, left) {
            let (count, bears) = own.entry(group).or_insert((0, left));
            *count += 1;
            *bears = left.min(*bears);
        }
    }
    let wait = |(group, (count, bears)): (&String, &(u32, u32))| {
        let before = leaving.get(group).copied().unwrap_or(0);
        (before + count).saturating_sub(*bears).min(*count)
    };
    own.iter().map(wait).sum()
}
