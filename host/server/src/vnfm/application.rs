//! The application that a manager looks after, as it stands in the simulated cloud.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::time::Duration;

use fenix_cloud::Cloud;
use fenix_cloud::sim::SimClient;
use fenix_core::id::{HostId, InstanceId, ProjectId};
use fenix_core::inventory::{Change, Host, Instance, InstanceState, Inventory, Service};
use fenix_engine::ports::{CloudCall, CloudError, CloudReply};
use uuid::Uuid;

/// Pause between two looks while something is awaited.
const LOOK_PAUSE: Duration = Duration::from_millis(200);

/// Looks until something that is awaited counts as failed: two minutes of [`LOOK_PAUSE`].
const MAX_LOOKS: usize = 600;

/// Attempts to get an answer from a cloud that gives none: it may just be restarting.
const MAX_TRIES: usize = 100;

/// What went wrong in the cloud, for people.
pub(crate) type Trouble = String;

fn trouble(error: &CloudError) -> Trouble {
    error.to_string()
}

/// Everything in the cloud.
pub(crate) async fn read(cloud: &SimClient) -> Result<Inventory, Trouble> {
    match answer(cloud, &CloudCall::ReadAll).await.map_err(|error| trouble(&error))? {
        CloudReply::All { hosts, instances, groups } => {
            let mut inventory = Inventory::default();
            let changes =
                hosts.into_iter().map(Change::Host).chain(instances.into_iter().map(Change::Instance));
            for change in changes.chain(groups.into_iter().map(Change::Group)) {
                inventory.apply(&change);
            }
            Ok(inventory)
        }
        other => Err(format!("the cloud answered something else: {other:?}")),
    }
}

/// Instances that no other backs up: those that may be scaled.
fn single<'a>(inventory: &'a Inventory, project: &'a ProjectId) -> impl Iterator<Item = &'a Instance> {
    inventory.of_project(project).filter(|instance| instance.group.is_none())
}

/// Removes up to `count` instances that no other backs up, and notes each in `removed` as it was, before it goes: of one
/// that is noted nobody may know whether it is gone.
///
/// They are taken from as few hosts as possible, so that they make room for a whole host's instances.
pub(crate) async fn scale_in(
    cloud: &SimClient,
    project: &ProjectId,
    count: usize,
    removed: &mut Vec<Instance>,
) -> Result<(), Trouble> {
    let inventory = read(cloud).await?;
    let mut chosen: Vec<Instance> =
        single(&inventory, project).filter(|instance| instance.is_settled()).cloned().collect();
    let shared = |host: &HostId| inventory.holding(host).any(|instance| instance.group.is_some());
    chosen.sort_by_key(|i| (shared(&i.host), Reverse(i.host.clone()), Reverse(i.id.clone())));
    chosen.truncate(count);
    for instance in chosen {
        let id = instance.id.clone();
        removed.push(instance);
        remove(cloud, &id).await?;
    }
    Ok(())
}

/// Creates instances like these again, wherever the scheduler puts them, and takes each off the list.
pub(crate) async fn scale_out(cloud: &SimClient, removed: &mut Vec<Instance>) -> Result<(), Trouble> {
    while let Some(old) = removed.last() {
        if look(cloud, &old.id).await?.is_none() {
            create(cloud, old, HostId::from("")).await?;
        }
        removed.pop();
    }
    Ok(())
}

/// Re-creates an instance on another host that is in service, and removes it where it is.
pub(crate) async fn move_away(cloud: &SimClient, id: &InstanceId) -> Result<InstanceId, Trouble> {
    let inventory = read(cloud).await?;
    let old = inventory.instance(id).ok_or_else(|| format!("instance {id} is gone"))?;
    let avoid: BTreeSet<&HostId> = match &old.group {
        Some(group) => inventory.members(group).map(|member| &member.host).collect(),
        None => [&old.host].into(),
    };
    let fits = |host: &&Host| {
        host.up
            && host.service == Service::Enabled
            && !avoid.contains(&host.id)
            && inventory.unused(host).fits(&old.resources)
    };
    let to = inventory.hosts().find(fits).ok_or_else(|| format!("no host has room for instance {id}"))?;
    let made = create(cloud, old, to.id.clone()).await?;
    remove(cloud, id).await?;
    Ok(made)
}

async fn create(cloud: &SimClient, like: &Instance, host: HostId) -> Result<InstanceId, Trouble> {
    let id = InstanceId::from(Uuid::new_v4().to_string());
    let instance =
        Instance { id: id.clone(), host, state: InstanceState::Building, other_end: None, ..like.clone() };
    if let Err(trouble) = change(cloud, CloudCall::Boot { instance }).await {
        // The name is new: if it is there, an earlier try was heard and its answer lost.
        look(cloud, &id).await?.ok_or(trouble)?;
    }
    for _ in 0..MAX_LOOKS {
        match look(cloud, &id).await?.map(|instance| instance.state) {
            Some(InstanceState::Active) => return Ok(id),
            Some(InstanceState::Error) => return Err(format!("instance {id} broke while it was created")),
            Some(_) | None => tokio::time::sleep(LOOK_PAUSE).await,
        }
    }
    Err(format!("instance {id} was not created in time"))
}

async fn remove(cloud: &SimClient, id: &InstanceId) -> Result<(), Trouble> {
    change(cloud, CloudCall::Delete { instance: id.clone() }).await?;
    for _ in 0..MAX_LOOKS {
        if look(cloud, id).await?.is_none() {
            return Ok(());
        }
        tokio::time::sleep(LOOK_PAUSE).await;
    }
    Err(format!("instance {id} was not removed in time"))
}

/// Makes a change. May be sent several times: what was done already is refused, or not found, the second time.
async fn change(cloud: &SimClient, call: CloudCall) -> Result<(), Trouble> {
    match answer(cloud, &call).await {
        Ok(_) => Ok(()),
        Err(CloudError::NotFound(_)) if matches!(call, CloudCall::Delete { .. }) => Ok(()),
        Err(error) => Err(trouble(&error)),
    }
}

async fn look(cloud: &SimClient, id: &InstanceId) -> Result<Option<Instance>, Trouble> {
    match answer(cloud, &CloudCall::ReadInstance { instance: id.clone() }).await {
        Ok(CloudReply::Instance(instance)) => Ok(instance),
        Ok(other) => Err(format!("the cloud answered something else: {other:?}")),
        Err(CloudError::NotFound(_)) => Ok(None),
        Err(error) => Err(trouble(&error)),
    }
}

/// Calls until there is an answer, or nobody would wait for one any more.
async fn answer(cloud: &SimClient, call: &CloudCall) -> Result<CloudReply, CloudError> {
    for _ in 1..MAX_TRIES {
        match cloud.call(call).await {
            Err(CloudError::Unclear(_)) => tokio::time::sleep(LOOK_PAUSE).await,
            clear => return clear,
        }
    }
    cloud.call(call).await
}
