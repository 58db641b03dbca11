//! What the engine relies on, as checks that every driver must pass.
//!
//! The engine looks, decides and acts through primitive calls, and believes only what it reads afterwards. These
//! checks hold a driver, and the infrastructure behind it, to the facts that make that safe: a read tells the truth
//! about what was accepted before; a move claims both ends; a refusal changes nothing and is told from silence;
//! a repeated fence is idle; another boot has another name. A driver's own tests call [`run`] and expect an empty
//! list.
//!
//! The infrastructure must have three compute hosts that are up and enabled, one of them with room for one more
//! instance, and an instance without a group that can be moved there, cold and live.

use std::fmt;
use std::time::Duration;

use fenix_core::id::{HostId, InstanceId};
use fenix_core::inventory::{Host, Instance, InstanceState, Movable, Resources, Service};
use fenix_engine::ports::{CloudCall, CloudError, CloudReply};

use crate::driver::Cloud;

/// What a driver can do, and how patient the checks are with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Site {
    /// It moves instances cold, in two stages.
    pub cold: bool,
    /// It moves instances live.
    pub live: bool,
    /// It restarts machines.
    pub reboot: bool,
    /// It creates and removes instances.
    pub lifecycle: bool,
    /// How long anything accepted may take.
    pub within: Duration,
    /// How often to look in the meantime.
    pub look_every: Duration,
}

/// A fact that does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The fact.
    pub check: Check,
    /// What was seen instead.
    pub why: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.check, self.why)
    }
}

/// The facts, one by one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Check {
    /// The three reads say the same about the same thing.
    ReadsAgree,
    /// Reads of what is not there say so, changes to it are `NotFound` and name it.
    WhatIsNotThereIsNamed,
    /// Disabling and enabling can be repeated, and the reason is what was said last.
    FencingIsIdempotent,
    /// A cold move claims both ends until it is confirmed, and then frees its source.
    ColdMoveClaimsBothEnds,
    /// A second move, or a confirmation without a move, is refused.
    OneMoveAtATime,
    /// A cold move that arrived can be taken back.
    ColdMoveGoesBack,
    /// A live move ends running at its destination.
    LiveMoveArrives,
    /// A move to where the instance is, or to where it may not go, leaves it where it is.
    BadDestinationsChangeNothing,
    /// A restarted host comes back under another boot, with its instances.
    RebootNamesAnotherBoot,
    /// An instance is there once it was created, once only, and no longer once it was deleted.
    InstancesComeAndGo,
}

impl Check {
    /// All of them.
    pub const ALL: [Check; 10] = [
        Check::ReadsAgree,
        Check::WhatIsNotThereIsNamed,
        Check::FencingIsIdempotent,
        Check::ColdMoveClaimsBothEnds,
        Check::OneMoveAtATime,
        Check::ColdMoveGoesBack,
        Check::LiveMoveArrives,
        Check::BadDestinationsChangeNothing,
        Check::RebootNamesAnotherBoot,
        Check::InstancesComeAndGo,
    ];

    fn is_for(self, site: &Site) -> bool {
        match self {
            Check::ReadsAgree | Check::WhatIsNotThereIsNamed | Check::FencingIsIdempotent => true,
            Check::ColdMoveClaimsBothEnds | Check::OneMoveAtATime | Check::ColdMoveGoesBack => site.cold,
            Check::BadDestinationsChangeNothing => site.cold || site.live,
            Check::LiveMoveArrives => site.live,
            Check::RebootNamesAnotherBoot => site.reboot,
            Check::InstancesComeAndGo => site.lifecycle,
        }
    }

    async fn hold<C: Cloud>(self, bench: &Bench<'_, C>) -> Result<(), String> {
        match self {
            Check::ReadsAgree => reads_agree(bench).await,
            Check::WhatIsNotThereIsNamed => what_is_not_there_is_named(bench).await,
            Check::FencingIsIdempotent => fencing_is_idempotent(bench).await,
            Check::ColdMoveClaimsBothEnds => cold_move_claims_both_ends(bench).await,
            Check::OneMoveAtATime => one_move_at_a_time(bench).await,
            Check::ColdMoveGoesBack => cold_move_goes_back(bench).await,
            Check::LiveMoveArrives => live_move_arrives(bench).await,
            Check::BadDestinationsChangeNothing => bad_destinations_change_nothing(bench).await,
            Check::RebootNamesAnotherBoot => reboot_names_another_boot(bench).await,
            Check::InstancesComeAndGo => instances_come_and_go(bench).await,
        }
    }
}

/// Checks every fact that the site can show, each with a driver of its own, and returns those that do not hold.
///
/// A check leaves things as it found them, if it holds: the drivers may all stand before one infrastructure.
pub async fn run<C: Cloud>(site: &Site, driver: impl AsyncFn() -> C) -> Vec<Failure> {
    let mut failures = Vec::new();
    for check in Check::ALL.into_iter().filter(|check| check.is_for(site)) {
        let cloud = driver().await;
        if let Err(why) = check.hold(&Bench { cloud: &cloud, site }).await {
            failures.push(Failure { check, why });
        }
    }
    failures
}

/// A driver under test.
struct Bench<'a, C> {
    cloud: &'a C,
    site: &'a Site,
}

/// Everything at one moment.
struct Seen {
    hosts: Vec<Host>,
    instances: Vec<Instance>,
}

impl Seen {
    fn free(&self, host: &Host) -> Resources {
        let holds = |i: &&Instance| i.host == host.id || i.other_end.as_ref() == Some(&host.id);
        self.instances.iter().filter(holds).fold(host.capacity.clone(), |free, i| free.minus(&i.resources))
    }

    fn is_open(host: &Host) -> bool {
        host.up && host.service == Service::Enabled
    }

    /// An instance that can be moved, and where to.
    fn subject(&self) -> Result<(Instance, HostId), String> {
        let open: Vec<_> = self.hosts.iter().filter(|host| Seen::is_open(host)).collect();
        let movable = |i: &&Instance| i.is_settled() && i.group.is_none() && i.movable == Movable::Any;
        for instance in self.instances.iter().filter(movable) {
            if !open.iter().any(|host| host.id == instance.host) {
                continue;
            }
            let fits = |host: &&&Host| host.id != instance.host && self.free(host).fits(&instance.resources);
            if let Some(to) = open.iter().find(fits) {
                return Ok((instance.clone(), to.id.clone()));
            }
        }
        Err("the infrastructure has no instance to move, or no room for it".to_owned())
    }
}

impl<C: Cloud> Bench<'_, C> {
    async fn all(&self) -> Result<Seen, String> {
        match self.cloud.call(&CloudCall::ReadAll).await {
            Ok(CloudReply::All { hosts, instances, groups: _ }) => Ok(Seen { hosts, instances }),
            other => Err(format!("ReadAll answered {other:?}")),
        }
    }

    async fn subject(&self) -> Result<(Instance, HostId), String> {
        self.all().await?.subject()
    }

    async fn instance(&self, id: &InstanceId) -> Result<Option<Instance>, String> {
        match self.cloud.call(&CloudCall::ReadInstance { instance: id.clone() }).await {
            Ok(CloudReply::Instance(instance)) => Ok(instance),
            other => Err(format!("ReadInstance of {id} answered {other:?}")),
        }
    }

    async fn there(&self, id: &InstanceId) -> Result<Instance, String> {
        self.instance(id).await?.ok_or_else(|| format!("instance {id} is gone"))
    }

    async fn host(&self, id: &HostId) -> Result<(Option<Host>, Vec<Instance>), String> {
        match self.cloud.call(&CloudCall::ReadHost { host: id.clone() }).await {
            Ok(CloudReply::Host { host, instances }) => Ok((host, instances)),
            other => Err(format!("ReadHost of {id} answered {other:?}")),
        }
    }

    async fn holds(&self, host: &HostId, instance: &InstanceId) -> Result<bool, String> {
        Ok(self.host(host).await?.1.iter().any(|seen| seen.id == *instance))
    }

    async fn accepted(&self, call: CloudCall) -> Result<(), String> {
        match self.cloud.call(&call).await {
            Ok(CloudReply::Accepted) => Ok(()),
            other => Err(format!("{call:?} answered {other:?} instead of Accepted")),
        }
    }

    async fn refused(&self, call: CloudCall) -> Result<(), String> {
        match self.cloud.call(&call).await {
            Err(CloudError::Refused(_)) => Ok(()),
            other => Err(format!("{call:?} answered {other:?} instead of Refused")),
        }
    }

    async fn not_found(&self, call: CloudCall, name: &str) -> Result<(), String> {
        match self.cloud.call(&call).await {
            Err(CloudError::NotFound(what)) if what.contains(name) => Ok(()),
            other => Err(format!("{call:?} answered {other:?} instead of NotFound with the name {name}")),
        }
    }

    /// Looks until the instance is as wanted. Gives up at once if it breaks.
    async fn until(&self, id: &InstanceId, is: impl Fn(&Instance) -> bool) -> Result<Instance, String> {
        let look = async {
            loop {
                let seen = self.there(id).await?;
                if is(&seen) || seen.state == InstanceState::Error {
                    return Ok::<_, String>(seen);
                }
                tokio::time::sleep(self.site.look_every).await;
            }
        };
        let seen = match tokio::time::timeout(self.site.within, look).await {
            Ok(seen) => seen?,
            Err(_) => self.there(id).await?,
        };
        match is(&seen) {
            true => Ok(seen),
            false => Err(format!("within {:?} it came only to {seen:?}", self.site.within)),
        }
    }

    async fn until_settled(&self, id: &InstanceId, host: &HostId) -> Result<(), String> {
        self.until(id, |seen| seen.is_settled() && seen.host == *host).await.map(|_| ())
    }
}

fn ensure(holds: bool, why: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(why()) }
}

async fn reads_agree<C: Cloud>(bench: &Bench<'_, C>) -> Result<(), String> {
    let all = bench.all().await?;
    for host in &all.hosts {
        let (seen, instances) = bench.host(&host.id).await?;
        ensure(seen.as_ref() == Some(host), || format!("ReadAll saw {host:?}, ReadHost {seen:?}"))?;
        let mut here: Vec<_> = instances.iter().map(|instance| &instance.id).collect();
        let holding = |i: &&Instance| i.host == host.id || i.other_end.as_ref() == Some(&host.id);
        let mut expected: Vec<_> = all.instances.iter().filter(holding).map(|i| &i.id).collect();
        here.sort();
        expected.sort();
        ensure(here == expected, || format!("on {} ReadAll saw {expected:?}, ReadHost {here:?}", host.id))?;
    }
    for instance in &all.instances {
        let seen = bench.instance(&instance.id).await?;
        ensure(seen.as_ref() == Some(instance), || {
            format!("ReadAll saw {instance:?}, ReadInstance {seen:?}")
        })?;
    }
    Ok(())
}

async fn what_is_not_there_is_named<C: Cloud>(bench: &Bench<'_, C>) -> Result<(), String> {
    const NOBODY: &str = "00000000-0000-4000-8000-nobody";
    let (host, instance) = (HostId::from(NOBODY), InstanceId::from(NOBODY));
    let seen = bench.host(&host).await?;
    ensure(seen == (None, Vec::new()), || format!("ReadHost saw {seen:?}"))?;
    let seen = bench.instance(&instance).await?;
    ensure(seen.is_none(), || format!("ReadInstance saw {seen:?}"))?;
    let reason = "conformance".to_owned();
    bench.not_found(CloudCall::Disable { host: host.clone(), reason }, NOBODY).await?;
    bench.not_found(CloudCall::Enable { host: host.clone() }, NOBODY).await?;
    let (subject, to) = bench.subject().await?;
    if bench.site.cold {
        bench.not_found(CloudCall::Confirm { instance: instance.clone() }, NOBODY).await?;
        bench.not_found(CloudCall::Migrate { instance: instance.clone(), to: to.clone() }, NOBODY).await?;
        bench.not_found(CloudCall::Migrate { instance: subject.id, to: host.clone() }, NOBODY).await?;
    }
    if bench.site.live {
        bench.not_found(CloudCall::LiveMigrate { instance: instance.clone(), to }, NOBODY).await?;
    }
    if bench.site.reboot {
        bench.not_found(CloudCall::Reboot { host, boot: None }, NOBODY).await?;
    }
    if bench.site.lifecycle {
        bench.not_found(CloudCall::Delete { instance }, NOBODY).await?;
    }
    Ok(())
}

async fn fencing_is_idempotent<C: Cloud>(bench: &Bench<'_, C>) -> Result<(), String> {
    let (_, id) = bench.subject().await?;
    for reason in ["conformance 1", "conformance 1", "conformance 2"] {
        bench.accepted(CloudCall::Disable { host: id.clone(), reason: reason.to_owned() }).await?;
        let service = bench.host(&id).await?.0.map(|host| host.service);
        let expected = Service::Disabled { reason: reason.to_owned() };
        ensure(service.as_ref() == Some(&expected), || format!("after {reason:?} it was {service:?}"))?;
    }
    for _ in 0..2 {
        bench.accepted(CloudCall::Enable { host: id.clone() }).await?;
        let service = bench.host(&id).await?.0.map(|host| host.service);
        ensure(service == Some(Service::Enabled), || format!("after Enable it was {service:?}"))?;
    }
    Ok(())
}

/// Starts a cold move and waits for its arrival. Returns the instance as it was, and where it is now.
async fn arrive<C: Cloud>(bench: &Bench<'_, C>) -> Result<(Instance, HostId), String> {
    let (before, to) = bench.subject().await?;
    bench.accepted(CloudCall::Migrate { instance: before.id.clone(), to: to.clone() }).await?;
    let arrived = bench.until(&before.id, |seen| seen.state == InstanceState::Moved).await?;
    ensure(arrived.host == to, || format!("it arrived on {} instead of {to}", arrived.host))?;
    let other = &arrived.other_end;
    ensure(other.as_ref() == Some(&before.host), || format!("arrived, its other end is {other:?}"))?;
    Ok((before, to))
}

async fn cold_move_claims_both_ends<C: Cloud>(bench: &Bench<'_, C>) -> Result<(), String> {
    let (before, to) = bench.subject().await?;
    let (id, from) = (&before.id, &before.host);
    bench.accepted(CloudCall::Migrate { instance: id.clone(), to: to.clone() }).await?;
    let seen = bench.there(id).await?;
    ensure(!seen.is_settled(), || format!("right after Accepted it looks untouched: {seen:?}"))?;
    // A scheduler may stand between: until it has looked, nothing is claimed at the destination.
    bench.until(id, |seen| seen.other_end.is_some()).await?;
    for host in [from, &to] {
        ensure(bench.holds(host, id).await?, || format!("on its way, it claims nothing on {host}"))?;
    }
    bench.until(id, |seen| seen.state == InstanceState::Moved && seen.host == to).await?;
    for host in [from, &to] {
        ensure(bench.holds(host, id).await?, || format!("unconfirmed, it claims nothing on {host}"))?;
    }
    bench.accepted(CloudCall::Confirm { instance: id.clone() }).await?;
    bench.until_settled(id, &to).await?;
    ensure(!bench.holds(from, id).await?, || format!("confirmed, it still claims {from}"))?;
    bring_back(bench, &before).await
}

async fn bring_back<C: Cloud>(bench: &Bench<'_, C>, before: &Instance) -> Result<(), String> {
    let (id, to) = (&before.id, &before.host);
    bench.accepted(CloudCall::Migrate { instance: id.clone(), to: to.clone() }).await?;
    bench.until(id, |seen| seen.state == InstanceState::Moved && seen.host == *to).await?;
    bench.accepted(CloudCall::Confirm { instance: id.clone() }).await?;
    bench.until_settled(id, to).await
}

async fn one_move_at_a_time<C: Cloud>(bench: &Bench<'_, C>) -> Result<(), String> {
    let (subject, _) = bench.subject().await?;
    bench.refused(CloudCall::Confirm { instance: subject.id.clone() }).await?;
    bench.refused(CloudCall::Revert { instance: subject.id.clone() }).await?;
    let (before, to) = arrive(bench).await?;
    let third = bench.all().await?;
    let open = |host: &&Host| Seen::is_open(host) && host.id != to && host.id != before.host;
    let third = third.hosts.iter().find(open).ok_or("there is no third host")?.id.clone();
    bench.refused(CloudCall::Migrate { instance: before.id.clone(), to: third }).await?;
    let seen = bench.there(&before.id).await?;
    ensure(seen.state == InstanceState::Moved && seen.host == to, || {
        format!("the refused move left {seen:?}")
    })?;
    bench.accepted(CloudCall::Revert { instance: before.id.clone() }).await?;
    bench.until_settled(&before.id, &before.host).await
}

async fn cold_move_goes_back<C: Cloud>(bench: &Bench<'_, C>) -> Result<(), String> {
    let (before, to) = arrive(bench).await?;
    bench.accepted(CloudCall::Revert { instance: before.id.clone() }).await?;
    bench.until_settled(&before.id, &before.host).await?;
    ensure(!bench.holds(&to, &before.id).await?, || format!("taken back, it still claims {to}"))
}

async fn live_move_arrives<C: Cloud>(bench: &Bench<'_, C>) -> Result<(), String> {
    let (before, to) = bench.subject().await?;
    let id = &before.id;
    bench.refused(CloudCall::AbortLive { instance: id.clone() }).await?;
    bench.refused(CloudCall::CompleteLive { instance: id.clone() }).await?;
    for (from, to) in [(&before.host, &to), (&to, &before.host)] {
        bench.accepted(CloudCall::LiveMigrate { instance: id.clone(), to: to.clone() }).await?;
        bench.until_settled(id, to).await?;
        ensure(!bench.holds(from, id).await?, || format!("arrived on {to}, it still claims {from}"))?;
    }
    Ok(())
}

async fn bad_destinations_change_nothing<C: Cloud>(bench: &Bench<'_, C>) -> Result<(), String> {
    let (before, to) = bench.subject().await?;
    let id = &before.id;
    let reason = "conformance".to_owned();
    bench.accepted(CloudCall::Disable { host: to.clone(), reason }).await?;
    if bench.site.cold {
        bench.refused(CloudCall::Migrate { instance: id.clone(), to: before.host.clone() }).await?;
        bench.refused(CloudCall::Migrate { instance: id.clone(), to: to.clone() }).await?;
    }
    if bench.site.live {
        // This one may be refused at once, or accepted and never begun.
        let call = CloudCall::LiveMigrate { instance: id.clone(), to: to.clone() };
        match bench.cloud.call(&call).await {
            Ok(CloudReply::Accepted) | Err(CloudError::Refused(_)) => {}
            other => return Err(format!("{call:?} answered {other:?}")),
        }
    }
    bench.until_settled(id, &before.host).await?;
    ensure(!bench.holds(&to, id).await?, || format!("it claims {to}, where it may not go"))?;
    bench.accepted(CloudCall::Enable { host: to }).await
}

async fn reboot_names_another_boot<C: Cloud>(bench: &Bench<'_, C>) -> Result<(), String> {
    let (before, _) = bench.subject().await?;
    let id = &before.host;
    let boot = bench.host(id).await?.0.map(|host| host.boot);
    let another = Some("conformance-boot".to_owned());
    bench.refused(CloudCall::Reboot { host: id.clone(), boot: another }).await?;
    let order = CloudCall::Reboot { host: id.clone(), boot: boot.clone() };
    bench.accepted(order.clone()).await?;
    let look = async {
        loop {
            let (host, _) = bench.host(id).await?;
            match host {
                Some(host) if host.up && Some(&host.boot) != boot.as_ref() => return Ok::<_, String>(()),
                _ => tokio::time::sleep(bench.site.look_every).await,
            }
        }
    };
    match tokio::time::timeout(bench.site.within, look).await {
        Ok(result) => result?,
        Err(_) => return Err(format!("host {id} was not up with another boot than {boot:?} in time")),
    }
    // As it would arrive late: what it was to end has ended.
    bench.refused(order).await?;
    bench.until_settled(&before.id, id).await
}

async fn instances_come_and_go<C: Cloud>(bench: &Bench<'_, C>) -> Result<(), String> {
    let (like, host) = bench.subject().await?;
    let id = InstanceId::from("conformance-guest");
    let wanted = Instance { id: id.clone(), name: id.to_string(), host: host.clone(), ..like };
    bench.accepted(CloudCall::Boot { instance: wanted.clone() }).await?;
    let seen = bench.there(&id).await?;
    ensure(seen.host == host && bench.holds(&host, &id).await?, || format!("just created, it is {seen:?}"))?;
    bench.refused(CloudCall::Boot { instance: wanted }).await?;
    bench.until_settled(&id, &host).await?;
    bench.accepted(CloudCall::Delete { instance: id.clone() }).await?;
    let look = async {
        while bench.instance(&id).await?.is_some() {
            tokio::time::sleep(bench.site.look_every).await;
        }
        Ok(())
    };
    let gone = tokio::time::timeout(bench.site.within, look).await;
    gone.unwrap_or_else(|_| Err("deleted, it is still there".to_owned()))
}
