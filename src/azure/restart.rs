//! Starting instances that are deallocated: one call for a Uniform set, one an instance for a Flexible one.
//!
//! In: names. Out: what Azure said, as if it were one call: accepted when any was, else the first no. Starting an instance that runs changes
//! nothing, so whatever was not accepted is simply asked for again. Flexible instances are started one by one because Microsoft's pages
//! contradict each other on whether a Flexible set takes the batch call (azure.md §1.5).

use azure_mgmt_compute::package_2024_07_01::{Client, models};
use futures::future::join_all;
use spotpool_core::units::InstanceName;

use super::call_error::CallError;
use super::{Accepted, instances};
use crate::cloud::{OrchestrationMode, PoolRef};

/// So many starts are under way at once.
const SIDE_BY_SIDE: usize = 5;

/// Asks Azure to start these.
///
/// # Errors
/// When none was accepted: why the first was not.
pub(super) async fn start(
    client: &Client,
    pool: &PoolRef,
    names: &[InstanceName],
) -> Result<Accepted, CallError> {
    if names.is_empty() {
        // An empty list means all instances to Azure.
        return Err(CallError::NotSent {
            fact: "no instance was named".to_owned(),
        });
    }
    match pool.mode {
        OrchestrationMode::Uniform => together(client, pool, names).await,
        OrchestrationMode::Flexible => one_by_one(client, pool, names).await,
    }
}

async fn together(
    client: &Client,
    pool: &PoolRef,
    names: &[InstanceName],
) -> Result<Accepted, CallError> {
    let instance_ids = names
        .iter()
        .map(|name| instances::id_of(pool, name))
        .collect();
    let answer = client
        .virtual_machine_scale_sets_client()
        .start(&pool.resource_group, &pool.scale_set, &pool.subscription)
        .vm_instance_i_ds(models::VirtualMachineScaleSetVmInstanceIDs { instance_ids })
        .send()
        .await?;
    Ok(Accepted::of(&answer.into_raw_response()))
}

async fn one_by_one(
    client: &Client,
    pool: &PoolRef,
    names: &[InstanceName],
) -> Result<Accepted, CallError> {
    let (mut accepted, mut declined) = (None, None);
    for few in names.chunks(SIDE_BY_SIDE) {
        let calls: Vec<_> = few.iter().map(|name| one(client, pool, name)).collect();
        for answer in join_all(calls).await {
            match answer {
                Ok(answer) => accepted = accepted.or(Some(answer)),
                Err(error) => declined = declined.or(Some(error)),
            }
        }
    }
    match (accepted, declined) {
        (Some(accepted), _) => Ok(accepted),
        (None, Some(error)) => Err(error),
        (None, None) => Err(CallError::NotSent {
            fact: "no instance was named".to_owned(),
        }),
    }
}

async fn one(client: &Client, pool: &PoolRef, name: &InstanceName) -> Result<Accepted, CallError> {
    let answer = client
        .virtual_machines_client()
        .start(&pool.resource_group, name.as_str(), &pool.subscription)
        .send()
        .await?;
    Ok(Accepted::of(&answer.into_raw_response()))
}
