//! Application managers: how they answer, and what they do in the cloud meanwhile.
//!
//! A manager acts on the cloud as its tenants do, and Fenix hears nothing of it but the answers. What it received
//! and sent is in the simulation's truth, with virtual times.

use std::collections::{BTreeMap, BTreeSet};

use fenix_cloud::sim::{Act, World};
use fenix_core::ask::{Ask, AskKind, MoveHow, Reply};
use fenix_core::id::{AskId, HostId, InstanceId, MessageId, ProjectId, SessionId, SubscriptionId};
use fenix_core::inventory::Instance;
use fenix_core::message::{Content, Subscription};
use fenix_core::time::{Millis, Time};
use fenix_engine::event::Envelope;
use fenix_engine::ports::CloudCall;
use serde::{Deserialize, Serialize};

use crate::coverage::Fault;
use crate::dice::Dice;
use crate::truth::Asked;

/// A receiver of messages.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ManagerSpec {
    /// Whose manager it is.
    pub project: ProjectId,
    /// Which event types it wants: exact text, or a glob with `*`.
    pub event_type: String,
    /// When it subscribes.
    pub from: Millis,
    /// When it cannot be reached: from, until.
    #[serde(default)]
    pub away: Vec<(Millis, Millis)>,
    /// How it answers.
    #[serde(default)]
    pub conduct: Conduct,
}

/// How a manager answers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Conduct {
    /// By kind of question; a kind that is not named gets an ACK.
    pub answers: BTreeMap<AskKind, Answers>,
    /// What it does when it is asked for room.
    pub scale_in: ScaleIn,
    /// What shall happen to its instances.
    pub how: How,
    /// True if it says that it moves its instances by itself, and never does.
    pub idle: bool,
    /// True if it sends every answer twice, as Tacker does.
    pub doubles: bool,
    /// True if it answers from within the request that brings the question.
    pub at_once: bool,
    /// True if it knows a question again that comes again, under whatever message id: it is answered as before, and
    /// nothing is done again. Managers have to (L2 in `docs/MESSAGES.md`), and not all do.
    pub careful: bool,
}

/// What a manager answers to one kind of question, in turn.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Answers {
    /// To the first questions.
    pub first: Vec<Answer>,
    /// To all that follow.
    pub then: Answer,
}

/// How one question is answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// Yes, within seconds.
    #[default]
    Ack,
    /// No, within seconds.
    Nack,
    /// Not at all.
    Silent,
    /// Yes, shortly before the end of its time.
    Slow,
    /// Yes, after the end of its time.
    Late,
}

/// What a manager does when it is asked for room, before it says yes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ScaleIn {
    /// Removes so many of its instances, as long as it keeps one.
    Gives(u32),
    /// Removes one of its instances when it is asked first, as long as it keeps one, and none ever after.
    TooLittle,
    /// Nothing.
    Lies,
}

impl Default for ScaleIn {
    fn default() -> Self {
        ScaleIn::Gives(2)
    }
}

/// What a manager chooses for its instances.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum How {
    /// The same for all.
    All(MoveHow),
    /// Now this, now that.
    #[default]
    Mixed,
}

/// Something that a manager will do.
#[derive(Clone, Debug)]
pub(crate) enum Deed {
    /// Send an answer.
    Answer(Box<AnswerDeed>),
    /// Remove so many instances, then answer.
    GiveBack(u32, Box<AnswerDeed>),
    /// Put something else in an instance's place.
    Replace(InstanceId, Order),
    /// Create what was given back.
    ScaleOut,
}

/// In which order an instance is replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// The new one comes first, if there is room.
    BootFirst,
    /// The old one goes first.
    DeleteFirst,
    /// The old one is gone: the new one is to come, after so many tries in vain.
    BootOnly(u32),
    /// The new one runs: the old one is to go.
    DeleteOnly,
}

/// An answer to be sent.
#[derive(Clone, Debug)]
pub(crate) struct AnswerDeed {
    pub(crate) session: SessionId,
    pub(crate) ask: Asked,
    pub(crate) reply: Reply,
    pub(crate) instance: Option<InstanceId>,
}

/// A manager at work.
#[derive(Debug)]
pub(crate) struct Manager {
    pub(crate) spec: ManagerSpec,
    asked: BTreeMap<AskKind, u32>,
    seen: BTreeSet<(SessionId, MessageId)>,
    /// What a careful one answered to each question; `None` if nothing.
    answered: BTreeMap<(SessionId, AskId, Option<InstanceId>), Option<Box<AnswerDeed>>>,
    given_back: Vec<Instance>,
    replaced: BTreeMap<InstanceId, Instance>,
    made: u32,
    /// What it did wrong since it was last asked.
    wrongs: Vec<Fault>,
}

/// Most tries to create an instance in its old one's place.
const MOST_BOOTS: u32 = 20;

impl Manager {
    pub(crate) fn new(spec: ManagerSpec) -> Manager {
        Manager {
            spec,
            asked: BTreeMap::new(),
            seen: BTreeSet::new(),
            answered: BTreeMap::new(),
            given_back: Vec::new(),
            replaced: BTreeMap::new(),
            made: 0,
            wrongs: Vec::new(),
        }
    }

    /// What it did wrong since this was last called.
    pub(crate) fn take_wrongs(&mut self) -> Vec<Fault> {
        std::mem::take(&mut self.wrongs)
    }

    pub(crate) fn subscription(&self) -> Subscription {
        Subscription {
            id: SubscriptionId::from(format!("to-{}", self.spec.project)),
            project: self.spec.project.clone(),
            event_type: self.spec.event_type.clone(),
            url: format!("http://manager.test/{}", self.spec.project),
            format: fenix_core::message::Format::Aodh,
        }
    }

    /// True if nothing reaches it now.
    pub(crate) fn is_away(&self, now: Time) -> bool {
        let since_start = now.since(crate::scenario::START);
        self.spec.away.iter().any(|(from, until)| (*from..*until).contains(&since_start))
    }

    /// Takes a message; returns what it will do about it, and after how long.
    pub(crate) fn receive(&mut self, now: Time, envelope: &Envelope, dice: &mut Dice) -> Vec<(Millis, Deed)> {
        let first_time = self.seen.insert((envelope.session.clone(), envelope.message.id));
        let (ask, about) = match (&envelope.message.content, &envelope.ask) {
            (Content::Ask(_), Some(ask)) => (ask, None),
            (Content::AskInstance(_, instance), Some(ask)) => (ask, Some(instance)),
            _ => return Vec::new(),
        };
        let question = (envelope.session.clone(), ask.id, about.cloned());
        if let Some(before) = self.answered.get(&question).cloned() {
            let soon = dice.span(50, 1000);
            return before.map_or_else(Vec::new, |before| self.doubled(soon, before, dice));
        }
        let deeds = self.take(now, envelope, (ask, about), first_time, dice);
        if self.spec.conduct.careful {
            let answer = deeds.iter().find_map(|(_, deed)| match deed {
                Deed::Answer(answer) | Deed::GiveBack(_, answer) => Some(answer.clone()),
                Deed::Replace(..) | Deed::ScaleOut => None,
            });
            self.answered.insert(question, answer);
        }
        deeds
    }

    /// Takes a question about all instances or one; returns what it will do about it, and after how long.
    fn take(
        &mut self,
        now: Time,
        envelope: &Envelope,
        (ask, about): (&Ask, Option<&InstanceId>),
        first_time: bool,
        dice: &mut Dice,
    ) -> Vec<(Millis, Deed)> {
        if !first_time && !dice.chance(300) {
            return Vec::new();
        }
        let nth = self.asked.entry(ask.kind).or_default();
        let answers = self.spec.conduct.answers.get(&ask.kind).cloned().unwrap_or_default();
        let answer = answers.first.get(*nth as usize).copied().unwrap_or(answers.then);
        let is_first = *nth == 0;
        *nth += u32::from(first_time);
        let mut asked = asked(ask);
        if let Some(instance) = about {
            asked.instances.retain(|other| other == instance);
        }
        self.wrongs.extend(wrong(answer, answers.then));
        let reply = |agrees, actions| Reply { kind: asked.kind, agrees, actions };
        let deed = |reply: Reply, instance| {
            Box::new(AnswerDeed { session: envelope.session.clone(), ask: asked.clone(), reply, instance })
        };
        let window = envelope.reply_at.unwrap_or(now).since(now).0;
        let soon = if self.spec.conduct.at_once { dice.span(0, 30) } else { dice.span(50, 4000) };
        let wait = match answer {
            Answer::Silent => return Vec::new(),
            Answer::Nack => return self.doubled(soon, deed(reply(false, BTreeMap::new()), None), dice),
            Answer::Ack => soon,
            Answer::Slow => dice.span(window / 2, window * 9 / 10),
            Answer::Late => Millis(window) + dice.span(200, 20_000),
        };
        match asked.kind {
            AskKind::ScaleIn => match self.spec.conduct.scale_in {
                ScaleIn::Lies => {
                    self.wrongs.push(Fault::GaveNothing);
                    self.doubled(wait, deed(reply(true, BTreeMap::new()), None), dice)
                }
                ScaleIn::TooLittle => {
                    self.wrongs.push(Fault::GaveTooLittle);
                    let count = u32::from(is_first);
                    vec![(wait, Deed::GiveBack(count, deed(reply(true, BTreeMap::new()), None)))]
                }
                ScaleIn::Gives(count) => {
                    vec![(wait, Deed::GiveBack(count, deed(reply(true, BTreeMap::new()), None)))]
                }
            },
            AskKind::PrepareMaintenance | AskKind::PlannedMaintenance => {
                let mut deed = deed(reply(true, BTreeMap::new()), None);
                deed.instance = about.cloned();
                self.agree_to_moves(wait, &asked, deed, dice)
            }
            AskKind::MaintenanceComplete => {
                let mut deeds = self.doubled(wait, deed(reply(true, BTreeMap::new()), None), dice);
                deeds.push((wait + dice.span(0, 2000), Deed::ScaleOut));
                deeds
            }
            AskKind::Maintenance => self.doubled(wait, deed(reply(true, BTreeMap::new()), None), dice),
        }
    }

    fn agree_to_moves(
        &mut self,
        wait: Millis,
        asked: &Asked,
        mut deed: Box<AnswerDeed>,
        dice: &mut Dice,
    ) -> Vec<(Millis, Deed)> {
        let mut deeds = Vec::new();
        for instance in &asked.instances {
            let how = match self.spec.conduct.how {
                How::All(how) => how,
                How::Mixed => dice.weighted(&[
                    (3, MoveHow::Migrate),
                    (3, MoveHow::LiveMigrate),
                    (1, MoveHow::OwnAction),
                ]),
            };
            deed.reply.actions.insert(instance.clone(), how);
            if how == MoveHow::OwnAction && self.spec.conduct.idle {
                self.wrongs.push(Fault::OwnActionNever);
            } else if how == MoveHow::OwnAction {
                // Some re-create first and answer then (Tacker), others agree first.
                let after = dice.span(0, wait.0 + 20_000);
                let order = if dice.chance(500) { Order::BootFirst } else { Order::DeleteFirst };
                deeds.push((after, Deed::Replace(instance.clone(), order)));
            }
        }
        if let (1, true) = (asked.instances.len(), dice.chance(300)) {
            deed.instance = asked.instances.first().cloned();
        }
        deeds.extend(self.doubled(wait, deed, dice));
        deeds
    }

    fn doubled(&mut self, wait: Millis, deed: Box<AnswerDeed>, dice: &mut Dice) -> Vec<(Millis, Deed)> {
        let mut deeds = vec![(wait, Deed::Answer(deed.clone()))];
        if self.spec.conduct.doubles {
            self.wrongs.push(Fault::AnswerDoubled);
            deeds.push((wait + dice.span(0, 1500), Deed::Answer(deed)));
        }
        deeds
    }

    /// Does something in the cloud; returns what follows. Answers are not for here.
    pub(crate) fn act(
        &mut self,
        now: Time,
        deed: Deed,
        world: &mut World,
        dice: &mut Dice,
    ) -> Vec<(Millis, Deed)> {
        match deed {
            Deed::Answer(answer) => vec![(Millis::ZERO, Deed::Answer(answer))],
            Deed::GiveBack(count, answer) => {
                self.give_back(now, count, world);
                self.doubled(dice.span(100, 3000), answer, dice)
            }
            Deed::Replace(instance, order) => self.replace(now, instance, order, world, dice),
            Deed::ScaleOut => {
                for instance in std::mem::take(&mut self.given_back) {
                    self.boot(now, &instance, world);
                }
                Vec::new()
            }
        }
    }

    fn give_back(&mut self, now: Time, count: u32, world: &mut World) {
        let own: Vec<Instance> =
            world.instances().filter(|instance| instance.project == self.spec.project).cloned().collect();
        // Whoever backs another one up stays; so does the last one.
        let spare = own.iter().filter(|instance| instance.group.is_none());
        let most = (own.len().saturating_sub(1)).min(count as usize);
        for instance in spare.take(most) {
            let delete = Act::Call(CloudCall::Delete { instance: instance.id.clone() });
            if world.third_party(now, &delete).is_ok() {
                self.given_back.push(instance.clone());
            }
        }
    }

    fn replace(
        &mut self,
        now: Time,
        id: InstanceId,
        order: Order,
        world: &mut World,
        dice: &mut Dice,
    ) -> Vec<(Millis, Deed)> {
        let seen = world.instances().find(|instance| instance.id == id).cloned();
        let Some(old) = seen.or_else(|| self.replaced.get(&id).cloned()) else { return Vec::new() };
        self.replaced.insert(id.clone(), old.clone());
        let later = |dice: &mut Dice, order| vec![(dice.span(500, 5000), Deed::Replace(id.clone(), order))];
        match order {
            Order::BootFirst if self.boot(now, &old, world) => later(dice, Order::DeleteOnly),
            Order::BootFirst | Order::DeleteFirst => {
                delete(now, &id, world);
                later(dice, Order::BootOnly(0))
            }
            Order::BootOnly(tries) if self.boot(now, &old, world) || tries >= MOST_BOOTS => Vec::new(),
            Order::BootOnly(tries) => later(dice, Order::BootOnly(tries + 1)),
            Order::DeleteOnly => {
                delete(now, &id, world);
                Vec::new()
            }
        }
    }

    /// Creates an instance like that one, wherever there is room.
    fn boot(&mut self, now: Time, like: &Instance, world: &mut World) -> bool {
        self.made += 1;
        let id = InstanceId::from(format!("{}-new-{}", self.spec.project, self.made));
        let name = like.name.clone();
        let instance = Instance { id, name, host: HostId::from(""), other_end: None, ..like.clone() };
        world.third_party(now, &Act::Call(CloudCall::Boot { instance })).is_ok()
    }
}

/// What is wrong with an answer, of a manager that gives that one for ever in the end.
fn wrong(answer: Answer, then: Answer) -> Vec<Fault> {
    match answer {
        Answer::Ack => Vec::new(),
        Answer::Nack if then == Answer::Nack => vec![Fault::Nack, Fault::NackForEver],
        Answer::Nack => vec![Fault::Nack],
        Answer::Silent if then == Answer::Silent => vec![Fault::Silent, Fault::SilentForEver],
        Answer::Silent => vec![Fault::Silent],
        Answer::Slow => vec![Fault::SlowAnswer],
        Answer::Late => vec![Fault::LateAnswer],
    }
}

fn delete(now: Time, id: &InstanceId, world: &mut World) {
    // Refused if it is gone already, which is as good.
    let delete = Act::Call(CloudCall::Delete { instance: id.clone() });
    drop(world.third_party(now, &delete));
}

/// A question as its receiver reads it.
pub(crate) fn asked(ask: &fenix_core::ask::Ask) -> Asked {
    Asked {
        id: ask.id,
        kind: ask.kind,
        host: ask.host.clone(),
        instances: ask.instances.clone(),
        round: ask.round,
    }
}
