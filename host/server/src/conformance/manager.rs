//! A whole session against a manager: the sequence, and what is looked for in each part of it.

use std::time::Duration;

use fenix_cloud::sim::SimClient;
use fenix_core::ask::{AskKind, MoveHow};
use fenix_core::id::{AskId, HostId, InstanceId, SessionId};
use fenix_core::inventory::Instance;
use fenix_core::message::{Content, Format};
use tokio::time::Instant;

use super::letter::{self, Change};
use super::stage::{Answer, Asked, MOMENT, Stage};
use crate::vnfm::application;

/// Instances that are taken away where the manager cannot do so itself.
const SCALE: usize = 2;

/// Pause between two looks into the cloud.
const LOOK_PAUSE: Duration = Duration::from_millis(100);

/// Why a play cannot go on; its report says what was found until then.
pub(super) enum Stop {
    /// The manager ended it, with what it did.
    Early(String),
    /// The simulated cloud cannot be read.
    Cloud(String),
}

/// A manager's play.
pub(super) struct Play<'a> {
    pub(super) stage: &'a mut Stage,
    pub(super) cloud: SimClient,
    /// True if the manager uses the simulated cloud: then what it says is held against what it does.
    pub(super) shared: bool,
    /// What was taken away in its place.
    pub(super) removed: Vec<Instance>,
}

impl Play<'_> {
    /// Plays the session to its end.
    pub(super) async fn run(&mut self) -> Result<(), Stop> {
        let before = self.instances().await?.len();
        if matches!(self.stage.to.format, Format::CloudEvents { .. }) {
            self.forged().await;
        }
        let begun = self.ask(AskKind::Maintenance, 1, Part::All, Change::None).await?;
        self.doubled(&begun, false).await;
        self.scale_in().await?;
        self.second_round().await?;
        self.host(AskKind::PrepareMaintenance, false).await?;
        self.unknown_state().await;
        self.host(AskKind::PlannedMaintenance, true).await?;
        self.complete(before).await
    }

    async fn instances(&self) -> Result<Vec<Instance>, Stop> {
        let inventory = application::read(&self.cloud).await.map_err(Stop::Cloud)?;
        Ok(inventory.of_project(&self.stage.to.project).cloned().collect())
    }

    /// The instances of one of the hosts.
    async fn on_one_host(&self) -> Result<Vec<InstanceId>, Stop> {
        let all = self.instances().await?;
        let host: Option<HostId> = all.first().map(|instance| instance.host.clone());
        Ok(all.iter().filter(|i| Some(&i.host) == host.as_ref()).map(|i| i.id.clone()).collect())
    }

    /// Puts a question and waits for a yes.
    async fn ask(
        &mut self,
        kind: AskKind,
        round: u32,
        part: Part,
        change: Change,
    ) -> Result<(Asked, Answer), Stop> {
        let instances = match &part {
            Part::All => self.instances().await?.into_iter().map(|instance| instance.id).collect(),
            Part::Of(instances) | Part::Alone(instances) => instances.clone(),
        };
        let alone = matches!(part, Part::Alone(_));
        let asked = self.stage.ask(kind, round, &instances, alone, change).await;
        let asked = asked.ok_or_else(|| Stop::Early(format!("it did not take {}", kind.wire())))?;
        let Some(answer) = self.stage.answer(&asked).await else {
            return Err(Stop::Early(format!("it did not answer {}", asked.during)));
        };
        if !answer.agrees {
            return Err(Stop::Early(format!("it said no to {}, which is its right", asked.during)));
        }
        Ok((asked, answer))
    }

    /// A question that is not signed as agreed has to be refused.
    async fn forged(&mut self) {
        self.stage.report.tried.insert("L6");
        let real = self.stage.session.clone();
        self.stage.session = SessionId::from(uuid::Uuid::new_v4().to_string());
        let ask = letter::question(&self.stage.to, 0, AskKind::Maintenance, 1, Vec::new());
        let envelope = self.stage.message(Content::Ask(AskId(0)), Some(ask));
        let during = "a forged MAINTENANCE";
        match letter::send(&self.stage.client, &self.stage.base, &envelope, Change::Signature).await {
            Ok(401 | 403) => {}
            Ok(status) => self.stage.report.find("L6", during, format!("answered {status}, not 401 or 403")),
            Err(why) => self.stage.report.find("L1", during, why),
        }
        self.stage.nothing_more("L6", during).await;
        self.stage.session = real;
    }

    /// The same question once more: nothing is done again, and no other answer given.
    async fn doubled(&mut self, (asked, first): &(Asked, Answer), under_new_id: bool) {
        self.stage.report.tried.insert("M8");
        if !self.stage.ask_again(asked, under_new_id).await {
            return;
        }
        while let Some(again) = self.stage.answer_until(asked, Instant::now() + MOMENT).await {
            if (again.agrees, &again.actions) != (first.agrees, &first.actions) {
                let what = format!("said {} and then {}", first.body, again.body);
                self.stage.report.find("M8", &asked.during, what);
            }
        }
    }

    async fn scale_in(&mut self) -> Result<(), Stop> {
        let before = self.instances().await?.len();
        let asked = self.ask(AskKind::ScaleIn, 1, Part::All, Change::None).await?;
        if !self.shared {
            let project = self.stage.to.project.clone();
            let removed = application::scale_in(&self.cloud, &project, SCALE, &mut self.removed);
            removed.await.map_err(Stop::Cloud)?;
            self.doubled(&asked, false).await;
            return Ok(());
        }
        self.stage.report.tried.insert("M6");
        let after = self.instances().await?.len();
        if after >= before {
            self.stage.report.find("M6", "SCALE_IN", format!("{before} instances before, {after} after"));
        }
        for under_new_id in [false, true] {
            self.doubled(&asked, under_new_id).await;
        }
        let at_last = self.instances().await?.len();
        if at_last < after {
            let what = format!("{after} instances, and {at_last} after the same question had come again");
            self.stage.report.find("L2", "SCALE_IN", what);
        }
        Ok(())
    }

    /// The same is asked in another round; this time the answer has to be said twice.
    async fn second_round(&mut self) -> Result<(), Stop> {
        self.stage.counter.book().refuse_next = true;
        let asked = self.ask(AskKind::ScaleIn, 2, Part::All, Change::None).await?;
        self.stage.report.tried.insert("M8");
        let until = Instant::now() + self.stage.window;
        if self.stage.answer_until(&asked.0, until).await.is_none() {
            let what = "the answer was answered 503, and not repeated";
            self.stage.report.find("M8", &asked.0.during, what);
        }
        Ok(())
    }

    /// A host's instances: one question about all, or one for each.
    async fn host(&mut self, kind: AskKind, each: bool) -> Result<(), Stop> {
        let instances = self.on_one_host().await?;
        let parts = match each {
            true => instances.iter().map(|id| Part::Alone(vec![id.clone()])).collect(),
            false => vec![Part::Of(instances)],
        };
        let mut chosen = Vec::new();
        for part in parts {
            // From here on messages have a field that nobody has heard of.
            chosen.extend(self.ask(kind, 1, part, Change::Field).await?.1.actions);
        }
        if !each && !self.stage.report.tried.contains("M5") {
            self.stage.report.find("M5", kind.wire(), "the instances were not read");
        }
        for (instance, how) in chosen {
            match how {
                MoveHow::OwnAction => self.own_action(&instance, kind.wire()).await?,
                MoveHow::Migrate => self.notice(Content::ActionDone(instance)).await,
                MoveHow::LiveMigrate => {
                    self.notice(Content::ActionFallback(instance.clone())).await;
                    self.notice(Content::ActionDone(instance)).await;
                }
            }
        }
        Ok(())
    }

    async fn notice(&mut self, content: Content) {
        let during = format!("a notice, {content:?}");
        let envelope = self.stage.message(content, None);
        self.stage.deliver(&envelope, Change::None, &during).await;
    }

    async fn own_action(&mut self, instance: &InstanceId, during: &str) -> Result<(), Stop> {
        let is_found = self.stage.report.findings.iter().any(|found| found.clause == "M7");
        if !self.shared || is_found {
            return Ok(());
        }
        self.stage.report.tried.insert("M7");
        let until = Instant::now() + self.stage.window;
        while self.instances().await?.iter().any(|seen| seen.id == *instance) {
            if Instant::now() > until {
                let secs = self.stage.window.as_secs();
                let what = format!("instance {instance} is still there after {secs} s");
                self.stage.report.find("M7", during, what);
                break;
            }
            tokio::time::sleep(LOOK_PAUSE).await;
        }
        Ok(())
    }

    /// A state that nobody has heard of: it may be refused, and has to be survived.
    async fn unknown_state(&mut self) {
        self.stage.report.tried.insert("L3");
        let envelope = self.stage.message(Content::ActionDone(InstanceId::from("none")), None);
        let during = "an unknown state";
        match letter::send(&self.stage.client, &self.stage.base, &envelope, Change::State).await {
            Ok(200..=299 | 400..=499) => {}
            Ok(status) => self.stage.report.find("L3", during, format!("answered {status}")),
            Err(why) => self.stage.report.find("L3", during, why),
        }
    }

    async fn complete(&mut self, before: usize) -> Result<(), Stop> {
        let ended = self.ask(AskKind::MaintenanceComplete, 1, Part::All, Change::None).await?;
        self.doubled(&ended, false).await;
        if self.shared {
            self.stage.report.tried.insert("M11");
            let after = self.instances().await?.len();
            if after != before {
                let what = format!("{before} instances before the session, {after} after it");
                self.stage.report.find("M11", &ended.0.during, what);
            }
        }
        self.stage.nothing_more("M10", "after the end").await;
        Ok(())
    }
}

/// What a question is about.
enum Part {
    /// All instances.
    All,
    /// These.
    Of(Vec<InstanceId>),
    /// One, by itself.
    Alone(Vec<InstanceId>),
}
