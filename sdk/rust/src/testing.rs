//! Stand-ins for the host, for the tests of a plug-in: plain data that answers, and a list of what was wanted.

mod remote;

use std::collections::BTreeMap;

use crate::action::{
    Assignment, Cloud, CloudError, CommandState, HostStatus, Http, HttpError, Kv, KvError, Package,
    PackageError, Packages, Remote, RemoteError, Request, Response,
};
use crate::types::{
    AskDecision, AskId, AskKind, AskStatus, Condition, Decision, HostKind, HostStage, MoveDecision, MoveHow,
    NoteDecision, Phase, Policy, Refusal, Subject, Target,
};
use crate::workflow::{
    AskInfo, Candidate, Decide, EffectInfo, HostInfo, InstanceInfo, MovableKind, PAGE, Placement, Plan,
    ProjectInfo, Readiness, SessionInfo, SessionTerms, Trigger, View, Waiting, Wakeup, WorkState,
};

pub use remote::{Command, FakeRemote};

/// A view made of plain data. Lists may be in any order; they are shown sorted by id, in pages, as by the host.
#[derive(Clone, Debug)]
pub struct FakeView {
    /// The session; its counts are what you write, not what `hosts` has.
    pub session: SessionInfo,
    /// What the session is held to.
    pub terms: SessionTerms,
    /// The session's hosts.
    pub hosts: Vec<HostInfo>,
    /// All instances; one shows on the host that it names.
    pub instances: Vec<InstanceInfo>,
    /// The session's projects.
    pub projects: Vec<ProjectInfo>,
    /// All questions, the latest last.
    pub asks: Vec<AskInfo>,
    /// What managers chose.
    pub consents: BTreeMap<(AskId, String), MoveHow>,
    /// What is in flight.
    pub in_flight: Vec<(Subject, EffectInfo)>,
    /// How actions stand; a target that is not named has none.
    pub work: Vec<(Target, WorkState)>,
    /// Hosts that could be next, the best first.
    pub candidates: Vec<Candidate>,
    /// Where the instances of each host could go; a host that is not named has nothing to place.
    pub places: BTreeMap<String, Result<Vec<Placement>, String>>,
    /// Decisions that the rules refuse; all others are allowed.
    pub refusals: Vec<(Decision, Refusal)>,
    /// Further facts.
    pub attrs: Vec<(Subject, String, String)>,
    /// Further facts about the session.
    pub session_attrs: BTreeMap<String, String>,
    /// Further facts about projects.
    pub project_attrs: BTreeMap<(String, String), String>,
    /// Notes of earlier decisions.
    pub notes: BTreeMap<String, String>,
}

impl Default for FakeView {
    /// A session without hosts, in its first state, under the terms that are the host's defaults.
    fn default() -> Self {
        FakeView {
            session: SessionInfo {
                id: "00000000-0000-0000-0000-000000000001".to_owned(),
                phase: Phase::Maintenance,
                condition: Condition::Running,
                maintenance_at: 0,
                window_end: None,
                metadata: "{}".to_owned(),
                hosts: 0,
                waiting: 0,
                fenced: 0,
                working: 0,
                worked: 0,
                maintained: 0,
                quarantined: 0,
                failures: 0,
            },
            terms: SessionTerms {
                silence: Policy::Retry,
                nack: Policy::Stop,
                unmanaged: Policy::Stop,
                failed_move: Policy::Retry,
                failed_action: Policy::Stop,
                rounds: 3,
                scale_in_rounds: 10,
                hosts_at_once: 1,
                own_action_within: 600,
            },
            hosts: Vec::new(),
            instances: Vec::new(),
            projects: Vec::new(),
            asks: Vec::new(),
            consents: BTreeMap::new(),
            in_flight: Vec::new(),
            work: Vec::new(),
            candidates: Vec::new(),
            places: BTreeMap::new(),
            refusals: Vec::new(),
            attrs: Vec::new(),
            session_attrs: BTreeMap::new(),
            project_attrs: BTreeMap::new(),
            notes: BTreeMap::new(),
        }
    }
}

/// What a workflow wants at that time, without its notes, which are memory and no deeds; and what it waits for.
///
/// # Panics
/// It gives no verdict, wants something without a reason, or does not say what it waits for as the host takes it.
#[track_caller]
pub fn deeds(decide: Decide, view: &FakeView, now: u32) -> (Vec<Decision>, Waiting) {
    let mut plan = FakePlan::default();
    let waiting = match decide(view, &mut plan, Wakeup { trigger: Trigger::Changed, now }) {
        Ok(waiting) => waiting,
        Err(error) => panic!("no verdict: {error:?}"),
    };
    assert!(plan.planned.iter().all(|planned| !planned.reason.is_empty()), "a decision has no reason");
    assert!((1..=512).contains(&waiting.on.len()), "what is waited for has 1 to 512 bytes: {}", waiting.on);
    let is_deed = |decision: &Decision| !matches!(decision, Decision::Note(_));
    (plan.decisions().into_iter().filter(is_deed).collect(), waiting)
}

/// A compute in such a stage, up, and in service if it is not in hand.
pub fn host(id: &str, stage: HostStage, instances: u32) -> HostInfo {
    HostInfo {
        id: id.to_owned(),
        kind: HostKind::Compute,
        zone: "z".to_owned(),
        stage,
        in_service: matches!(stage, HostStage::Waiting | HostStage::Maintained),
        up: true,
        instances,
        tries: 0,
    }
}

/// An instance in service, of no group, that can be moved any way.
pub fn instance(id: &str, project: &str, on: &str) -> InstanceInfo {
    InstanceInfo {
        id: id.to_owned(),
        name: id.to_owned(),
        project: project.to_owned(),
        group: None,
        host: on.to_owned(),
        settled: true,
        movable: MovableKind::Any,
        tries: 0,
        busy: false,
    }
}

/// A project that has a manager, which was told that maintenance begins.
pub fn project(id: &str) -> ProjectInfo {
    ProjectInfo { id: id.to_owned(), managed: true, told: true }
}

/// A question that was delivered, asked for the first time; at what time is yours to say.
pub fn ask(id: AskId, project: &str, kind: AskKind, host: Option<&str>, status: AskStatus) -> AskInfo {
    AskInfo {
        id,
        project: project.to_owned(),
        kind,
        round: 1,
        host: host.map(str::to_owned),
        status,
        delivered: true,
        opened_at: 0,
        ended_at: Some(0),
    }
}

/// A host that could be next.
pub fn candidate(host: &str, readiness: Readiness) -> Candidate {
    Candidate { host: host.to_owned(), readiness, why: "no room".to_owned() }
}

/// A question that is wanted.
pub fn asking(project: &str, kind: AskKind, host: Option<&str>) -> Decision {
    Decision::Ask(AskDecision { project: project.to_owned(), kind, host: host.map(str::to_owned) })
}

/// Sorts by id and cuts a page out.
fn page<T: Clone>(
    rows: impl Iterator<Item = T>,
    id: impl Fn(&T) -> &String,
    after: Option<&str>,
    limit: u32,
) -> Vec<T> {
    let mut rows: Vec<T> = rows.filter(|row| after.is_none_or(|after| id(row).as_str() > after)).collect();
    rows.sort_by(|a, b| id(a).cmp(id(b)));
    rows.truncate(limit.min(PAGE) as usize);
    rows
}

fn find<K: PartialEq, V: Clone>(rows: &[(K, V)], key: &K) -> Option<V> {
    rows.iter().find(|(k, _)| k == key).map(|(_, value)| value.clone())
}

impl View for FakeView {
    fn session(&self) -> SessionInfo {
        self.session.clone()
    }

    fn terms(&self) -> SessionTerms {
        self.terms
    }

    fn hosts(&self, stage: Option<HostStage>, after: Option<&str>, limit: u32) -> Vec<HostInfo> {
        let of_stage = |host: &&HostInfo| stage.is_none_or(|stage| host.stage == stage);
        page(self.hosts.iter().filter(of_stage).cloned(), |host| &host.id, after, limit)
    }

    fn host(&self, id: &str) -> Option<HostInfo> {
        self.hosts.iter().find(|host| host.id == id).cloned()
    }

    fn instances(&self, host: &str, after: Option<&str>, limit: u32) -> Vec<InstanceInfo> {
        let there = self.instances.iter().filter(|instance| instance.host == host);
        page(there.cloned(), |instance| &instance.id, after, limit)
    }

    fn instance(&self, id: &str) -> Option<InstanceInfo> {
        self.instances.iter().find(|instance| instance.id == id).cloned()
    }

    fn projects(&self, after: Option<&str>, limit: u32) -> Vec<ProjectInfo> {
        page(self.projects.iter().cloned(), |project| &project.id, after, limit)
    }

    fn last_ask(&self, project: &str, kind: AskKind, host: Option<&str>) -> Option<AskInfo> {
        let wanted =
            |ask: &&AskInfo| ask.project == project && ask.kind == kind && ask.host.as_deref() == host;
        self.asks.iter().rev().find(wanted).cloned()
    }

    fn consent(&self, ask: AskId, instance: &str) -> Option<MoveHow> {
        self.consents.get(&(ask, instance.to_owned())).copied()
    }

    fn in_flight(&self, subject: &Subject) -> Option<EffectInfo> {
        find(&self.in_flight, subject)
    }

    fn work(&self, target: &Target) -> WorkState {
        find(&self.work, target).unwrap_or(WorkState::None)
    }

    fn candidates(&self, limit: u32) -> Vec<Candidate> {
        self.candidates.iter().take(limit.min(PAGE) as usize).cloned().collect()
    }

    fn place(&self, host: &str) -> Result<Vec<Placement>, String> {
        self.places.get(host).cloned().unwrap_or_else(|| Ok(Vec::new()))
    }

    fn check(&self, decision: &Decision) -> Result<(), Refusal> {
        find(&self.refusals, decision).map_or(Ok(()), Err)
    }

    fn attr(&self, subject: &Subject, key: &str) -> Option<String> {
        self.attrs.iter().find(|(s, k, _)| s == subject && k == key).map(|(_, _, value)| value.clone())
    }

    fn session_attr(&self, key: &str) -> Option<String> {
        self.session_attrs.get(key).cloned()
    }

    fn project_attr(&self, project: &str, key: &str) -> Option<String> {
        self.project_attrs.get(&(project.to_owned(), key.to_owned())).cloned()
    }

    fn note(&self, key: &str) -> Option<String> {
        self.notes.get(key).cloned()
    }
}

/// A decision as it was planned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Planned {
    /// What is wanted.
    pub decision: Decision,
    /// Why.
    pub reason: String,
    /// Decisions that follow each other with the same number other than 0 are admitted together or not at all.
    pub group: u32,
}

/// Writes down what is wanted, in order.
#[derive(Clone, Debug, Default)]
pub struct FakePlan {
    /// What was wanted.
    pub planned: Vec<Planned>,
    group: u32,
    groups: u32,
}

impl FakePlan {
    /// What was wanted, without reasons and groups.
    pub fn decisions(&self) -> Vec<Decision> {
        self.planned.iter().map(|planned| planned.decision.clone()).collect()
    }

    fn push(&mut self, decision: Decision, reason: &str) {
        self.planned.push(Planned { decision, reason: reason.to_owned(), group: self.group });
    }
}

impl Plan for FakePlan {
    fn ask(&mut self, project: &str, kind: AskKind, host: Option<&str>, reason: &str) {
        let ask = AskDecision { project: project.to_owned(), kind, host: host.map(str::to_owned) };
        self.push(Decision::Ask(ask), reason);
    }

    fn fence(&mut self, host: &str, reason: &str) {
        self.push(Decision::Fence(host.to_owned()), reason);
    }

    fn release(&mut self, host: &str, reason: &str) {
        self.push(Decision::Release(host.to_owned()), reason);
    }

    fn move_instance(&mut self, instance: &str, to: &str, how: MoveHow, ask: Option<AskId>, reason: &str) {
        let wanted = MoveDecision { instance: instance.to_owned(), to: to.to_owned(), how, ask };
        self.push(Decision::Move(wanted), reason);
    }

    fn work(&mut self, target: &Target, reason: &str) {
        self.push(Decision::Work(target.clone()), reason);
    }

    fn enter(&mut self, phase: Phase, reason: &str) {
        self.push(Decision::Enter(phase), reason);
    }

    fn quarantine(&mut self, host: &str, reason: &str) {
        self.push(Decision::Quarantine(host.to_owned()), reason);
    }

    fn fail(&mut self, reason: &str) {
        self.push(Decision::Fail, reason);
    }

    fn note(&mut self, key: &str, value: Option<&str>, reason: &str) {
        let note = NoteDecision { key: key.to_owned(), value: value.map(str::to_owned) };
        self.push(Decision::Note(note), reason);
    }

    fn together_begin(&mut self) {
        self.groups += 1;
        self.group = self.groups;
    }

    fn together_end(&mut self) {
        self.group = 0;
    }
}

/// What an action is told about `compute-1` in session `s`, with that metadata.
pub fn assignment(metadata: &impl ToString) -> Assignment {
    Assignment {
        key: "s/compute-1/0".to_owned(),
        session: "s".to_owned(),
        stage: "host".to_owned(),
        host: Some("compute-1".to_owned()),
        metadata: metadata.to_string(),
    }
}

/// One host of a cloud, and what an action did to it.
#[derive(Clone, Debug)]
pub struct FakeCloud {
    /// The host; the only one there is.
    pub host: HostStatus,
    /// How often it was restarted.
    pub reboots: u32,
    /// How the next calls fail, the first one first; `None` lets a call through.
    pub errors: std::collections::VecDeque<Option<CloudError>>,
    /// True if a restart leaves the host down until the test sets `up`.
    pub slow: bool,
    /// True if a call that fails with `unclear` is carried out all the same.
    pub applied_when_unclear: bool,
    /// The boots that orders without an answer are to end, and that were not carried out: see [`FakeCloud::arrive_late`].
    pub late: Vec<String>,
}

impl FakeCloud {
    /// A cloud with that host, running its first boot.
    pub fn new(id: &str) -> Self {
        FakeCloud {
            host: HostStatus { id: id.to_owned(), up: true, boot: "boot-0".to_owned(), in_service: false },
            reboots: 0,
            errors: std::collections::VecDeque::new(),
            slow: false,
            applied_when_unclear: false,
            late: Vec::new(),
        }
    }

    /// Has the orders arrive now that never seemed to.
    pub fn arrive_late(&mut self) {
        for boot in std::mem::take(&mut self.late) {
            self.restart(&boot);
        }
    }

    fn next(&mut self, id: &str) -> Option<CloudError> {
        match self.errors.pop_front().flatten() {
            Some(error) => Some(error),
            None if id != self.host.id => Some(CloudError::NotGranted(format!("host {id}"))),
            None => None,
        }
    }

    /// Restarts the host, unless another boot runs than the one meant.
    fn restart(&mut self, boot: &str) {
        if boot == self.host.boot {
            self.reboots += 1;
            self.host.boot = format!("boot-{}", self.reboots);
            self.host.up = !self.slow;
        }
    }
}

impl Cloud for FakeCloud {
    fn host(&mut self, id: &str) -> Result<HostStatus, CloudError> {
        self.next(id).map_or_else(|| Ok(self.host.clone()), Err)
    }

    fn reboot(&mut self, id: &str, boot: &str) -> Result<(), CloudError> {
        match self.next(id) {
            Some(error @ CloudError::Unclear(_)) => {
                match self.applied_when_unclear {
                    true => self.restart(boot),
                    false => self.late.push(boot.to_owned()),
                }
                Err(error)
            }
            Some(error) => Err(error),
            None if boot != self.host.boot => {
                Err(CloudError::Refused(format!("boot {} runs, not {boot}", self.host.boot)))
            }
            None => {
                self.restart(boot);
                Ok(())
            }
        }
    }
}

/// What a session brought, and a host that fetches it: a cloud of one host, too.
#[derive(Clone, Debug)]
pub struct FakeHost {
    /// The host.
    pub cloud: FakeCloud,
    /// The packages.
    pub packages: Vec<Package>,
    /// The names of those whose addresses were asked for.
    pub asked: Vec<String>,
    /// The calls that were made.
    pub sent: Vec<Request>,
    /// How the next calls are answered, the first one first; with none left nobody is reached.
    pub answers: std::collections::VecDeque<Result<Response, HttpError>>,
    /// Its commands.
    pub remote: FakeRemote,
    /// What is kept.
    pub values: std::collections::BTreeMap<String, String>,
}

impl FakeHost {
    /// A host of that name, and packages of these, which are all one KiB of nothing.
    pub fn new(id: &str, packages: &[&str]) -> Self {
        let package = |name: &&str| Package { name: (*name).to_owned(), sha256: "00".repeat(32), kib: 1 };
        let packages = packages.iter().map(package).collect();
        let (asked, sent) = (Vec::new(), Vec::new());
        FakeHost {
            cloud: FakeCloud::new(id),
            packages,
            asked,
            sent,
            answers: std::collections::VecDeque::new(),
            remote: FakeRemote::default(),
            values: std::collections::BTreeMap::new(),
        }
    }

    /// The next call gets this answer, with a body of text and no headers.
    pub fn answer(&mut self, status: u16, body: &str) {
        self.answers.push_back(Ok(Response { status, headers: Vec::new(), body: body.into() }));
    }
}

impl Cloud for FakeHost {
    fn host(&mut self, id: &str) -> Result<HostStatus, CloudError> {
        self.cloud.host(id)
    }

    fn reboot(&mut self, id: &str, boot: &str) -> Result<(), CloudError> {
        self.cloud.reboot(id, boot)
    }
}

impl Http for FakeHost {
    fn send(&mut self, request: &Request) -> Result<Response, HttpError> {
        self.sent.push(request.clone());
        let nobody = || Err(HttpError::Unreachable("nobody is there".to_owned()));
        self.answers.pop_front().unwrap_or_else(nobody)
    }
}

impl Remote for FakeHost {
    fn start(&mut self, name: &str, argv: &[String], stdin: &str) -> Result<(), RemoteError> {
        self.remote.start(name, argv, stdin)
    }

    fn poll(&mut self, name: &str) -> Result<CommandState, RemoteError> {
        self.remote.poll(name)
    }

    fn kill(&mut self, name: &str) -> Result<(), RemoteError> {
        self.remote.kill(name)
    }
}

impl Kv for FakeHost {
    fn get(&mut self, key: &str) -> Result<Option<String>, KvError> {
        Ok(self.values.get(key).cloned())
    }

    fn set(&mut self, key: &str, value: Option<&str>) -> Result<(), KvError> {
        match value {
            Some(value) => self.values.insert(key.to_owned(), value.to_owned()),
            None => self.values.remove(key),
        };
        Ok(())
    }
}

impl Packages for FakeHost {
    fn packages(&mut self) -> Result<Vec<Package>, PackageError> {
        Ok(self.packages.clone())
    }

    fn address(&mut self, name: &str) -> Result<String, PackageError> {
        if !self.packages.iter().any(|package| package.name == name) {
            return Err(PackageError::NotFound(format!("package {name}")));
        }
        self.asked.push(name.to_owned());
        Ok(format!("http://fenix.example/{name}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::HostKind;

    fn host(number: usize) -> HostInfo {
        HostInfo {
            id: format!("compute-{number:04}"),
            kind: HostKind::Compute,
            zone: "z".to_owned(),
            stage: if number.is_multiple_of(2) { HostStage::Waiting } else { HostStage::Maintained },
            in_service: true,
            up: true,
            instances: 0,
            tries: 0,
        }
    }

    #[test]
    fn all_pages_are_read_once_whatever_their_number() {
        for hosts in [0, 1, 255, 256, 257, 512, 700] {
            let view = FakeView { hosts: (0..hosts).rev().map(host).collect(), ..FakeView::default() };
            let ids: Vec<String> = view.all_hosts(None).into_iter().map(|host| host.id).collect();
            assert_eq!(ids, (0..hosts).map(|number| host(number).id).collect::<Vec<_>>());
            assert_eq!(view.all_hosts(Some(HostStage::Waiting)).len(), hosts.div_ceil(2));
        }
    }

    #[test]
    fn groups_are_numbered_and_do_not_nest() {
        let mut plan = FakePlan::default();
        plan.fail("alone");
        plan.together_begin();
        plan.fail("first");
        plan.together_begin();
        plan.fail("second");
        plan.together_end();
        plan.together_end();
        plan.fail("alone again");
        let groups: Vec<u32> = plan.planned.iter().map(|planned| planned.group).collect();
        assert_eq!(groups, [0, 1, 2, 0]);
    }

    #[test]
    fn lines_are_kept_for_the_thread_that_wrote_them() {
        crate::log::warn("look");
        assert_eq!(crate::log::take(), [(crate::log::Level::Warn, "look".to_owned())]);
        assert!(crate::log::take().is_empty());
    }
}
