//! Projects that want to hear of maintenance as managers of OpenStack always did: by an event alarm in Aodh.
//!
//! Each such wish becomes a subscription whose messages go onto the bus, where Aodh meets them. It comes and goes
//! with the alarm; a project that a session knows as managed stays so.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use fenix_cloud::openstack::{EventAlarm, OpenStack};
use fenix_core::id::{ProjectId, SubscriptionId};
use fenix_core::message::{Format, Subscription};
use fenix_engine::command::Command;
use tokio::sync::{Mutex, watch};

use crate::bus::BUS;
use crate::shell::desk::Desk;

/// How often alarms are read: Aodh itself may take a minute to know a new one.
const EVERY: Duration = Duration::from_secs(30);

/// Time that a session which is about to be made waits for a look at the alarms.
const LOOK_WITHIN: Duration = Duration::from_secs(5);

/// What the ids of these subscriptions begin with; nobody else may take one.
pub const OWN: &str = "bus.";

/// The event types, and how they stand in an id.
const KINDS: [(&str, &str); 3] = [
    ("maintenance.scheduled", "scheduled"),
    ("maintenance.host", "host"),
    ("maintenance.session", "session"),
];

/// Keeps subscriptions in step with alarms.
pub struct Alarms {
    openstack: Arc<OpenStack>,
    desk: Desk,
    /// Held while they are read: a look that began earlier must not undo what a later one saw.
    reading: Mutex<()>,
}

impl Alarms {
    /// Begins to follow the alarms of that cloud, for as long as the server runs.
    pub fn begin(openstack: Arc<OpenStack>, desk: &Desk, stop: &watch::Receiver<bool>) -> Arc<Alarms> {
        let alarms = Arc::new(Alarms { openstack, desk: desk.clone(), reading: Mutex::new(()) });
        tokio::spawn(alarms.clone().follow(stop.clone()));
        alarms
    }

    async fn follow(self: Arc<Self>, mut stop: watch::Receiver<bool>) {
        let mut fine = true;
        loop {
            let looked = self.refresh().await;
            match &looked {
                Err(why) if fine => tracing::warn!(why, "event alarms cannot be read; those known stay"),
                Ok(()) if !fine => tracing::info!("event alarms are read again"),
                Ok(()) | Err(_) => {}
            }
            fine = looked.is_ok();
            tokio::select! {
                () = tokio::time::sleep(EVERY) => {}
                _ = stop.wait_for(|stop| *stop) => return,
            }
        }
    }

    /// Reads them now, for a session that is about to be made; what cannot be read in time is not waited for.
    pub async fn look(&self) {
        match tokio::time::timeout(LOOK_WITHIN, self.refresh()).await {
            Ok(Ok(())) => {}
            Ok(Err(why)) => tracing::warn!(why, "a session begins without a look at the event alarms"),
            Err(_) => {
                tracing::warn!("a session begins without a look at the event alarms: it takes too long")
            }
        }
    }

    async fn refresh(&self) -> Result<(), String> {
        let _reading = self.reading.lock().await;
        let own = self.openstack.own_project().await?;
        let wanted = wanted(&own, &self.openstack.event_alarms().await?);
        let state = self.desk.state();
        let known = state.subscriptions.iter().filter(|(id, _)| id.as_str().starts_with(OWN));
        let gone = known.map(|(id, _)| id).filter(|id| !wanted.contains_key(*id));
        let mut commands: Vec<Command> = gone.map(|id| Command::Unsubscribe { id: id.clone() }).collect();
        let new = wanted.into_values().filter(|order| state.subscriptions.get(&order.id) != Some(order));
        commands.extend(new.map(|subscription| Command::Subscribe { subscription }));
        for command in commands {
            self.desk.command(None, command).await.map_err(|refused| refused.to_string())?;
        }
        Ok(())
    }
}

/// The subscriptions for these alarms, one for each project and event type however many alarms are for it; and what
/// is told to everybody, in the name of Fenix' own project.
fn wanted(own: &str, alarms: &[EventAlarm]) -> BTreeMap<SubscriptionId, Subscription> {
    let order = |project: &str, (event_type, kind): (&str, &str)| Subscription {
        id: SubscriptionId::from(format!("{OWN}{project}.{kind}")),
        project: ProjectId::from(project),
        event_type: event_type.to_owned(),
        url: BUS.to_owned(),
        format: Format::Aodh,
    };
    let mut wanted = BTreeMap::new();
    for EventAlarm { project, event_type, repeats: _ } in alarms {
        for kind in KINDS {
            let subscription = order(project, kind);
            let wish = Subscription { event_type: event_type.clone(), ..subscription.clone() };
            if wish.wants(kind.0) {
                wanted.insert(subscription.id.clone(), subscription);
            }
        }
    }
    for kind in &KINDS[1..] {
        let subscription = order(own, *kind);
        wanted.insert(subscription.id.clone(), subscription);
    }
    wanted
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(alarms: &[(&str, &str)], expected: &[&str]) {
        let alarm = |(project, event_type): &(&str, &str)| EventAlarm {
            project: (*project).into(),
            event_type: (*event_type).into(),
            repeats: true,
        };
        let alarms: Vec<EventAlarm> = alarms.iter().map(alarm).collect();
        let wanted = wanted("own", &alarms);
        let ids: Vec<&str> = wanted.keys().map(SubscriptionId::as_str).collect();
        assert_eq!(ids, expected, "{alarms:?}");
    }

    #[test]
    fn a_wish_is_one_subscription_for_each_event_type() {
        let own = ["bus.own.host", "bus.own.session"];
        check(&[], &own);
        check(&[("p", "compute.instance.*")], &own);
        check(
            &[("p", "maintenance.scheduled"), ("p", "maintenance.sch*")],
            &[own[0], own[1], "bus.p.scheduled"],
        );
        check(&[("p", "*")], &[own[0], own[1], "bus.p.host", "bus.p.scheduled", "bus.p.session"]);
    }
}
