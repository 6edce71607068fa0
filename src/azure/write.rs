//! One action, sent.
//!
//! In: an action and the shape behind it. Out: Azure's yes, or why nothing came of it. Every write is absolute, and guarded by the
//! ETag that it was decided on or idempotent by name.

use azure_core_legacy as ac;
use azure_mgmt_compute::package_2024_07_01::{Client, models};
use http::HeaderMap;
use serde_json::Value;
use spotpool_core::planner::{Action, Refusal, RefusalKind};
use spotpool_core::units::{Count, Etag, ModelHash, VmSize};

use super::call_error::CallError;
use super::difference::difference;
use super::held::Held;
use super::profile::NotRead;
use super::{Session, bodies, instances, restart, scale_set, tags};
use crate::cloud::{PoolRef, Shape, Urgency};

impl Session {
    /// Carries out an action as far as Azure's answer.
    pub(super) async fn send(
        &self,
        pool: &PoolRef,
        shape: &Shape,
        action: &Action,
        urgency: Urgency,
    ) -> Result<Accepted, Declined> {
        let client = self.client(urgency, None);
        let sets = client.virtual_machine_scale_sets_client();
        let (group, name, subscription) =
            (&pool.resource_group, &pool.scale_set, &pool.subscription);
        let answer = match action {
            Action::Create {
                capacity,
                base,
                vm_size,
                model,
            } => {
                let body = self.creation(pool, shape, *capacity, *base, vm_size, model)?;
                put(self.saying(urgency, &body), pool).await?
            }
            Action::Resize {
                capacity,
                base,
                vm_size,
                guard,
                ..
            } => {
                let body = bodies::resize(pool, *capacity, *base, vm_size);
                patch(self.saying(urgency, &body), pool, guard.etag()).await?
            }
            Action::Reshape { base, model, guard } => {
                let live = self.still(pool, guard.etag(), urgency).await?;
                let body = self.reshaping(pool, shape, *base, model, &live)?;
                patch(self.saying(urgency, &body), pool, guard.etag()).await?
            }
            Action::Replace { instances, .. } => {
                let instance_ids = instances
                    .iter()
                    .map(|name| instances::id_of(pool, name))
                    .collect();
                let body = models::VirtualMachineScaleSetVmInstanceRequiredIDs { instance_ids };
                sets.delete_instances(group, name, body, subscription)
                    .send()
                    .await?
                    .into_raw_response()
            }
            Action::Restart { instances, .. } => {
                return Ok(restart::start(&client, pool, instances).await?);
            }
            Action::Remove { .. } => sets
                .delete(group, name, subscription)
                .send()
                .await?
                .into_raw_response(),
        };
        Ok(Accepted::of(&answer))
    }

    fn creation(
        &self,
        pool: &PoolRef,
        shape: &Shape,
        capacity: Count,
        base: Count,
        vm_size: &VmSize,
        model: &ModelHash,
    ) -> Result<Value, Declined> {
        let users = &shape.template.tags;
        let ours = tags::Ours {
            owner: &pool.owner,
            model,
            since: self.now(),
            held: &Held::declared(&bodies::declared(pool, shape)?, users),
        };
        let tags = tags::merged(&Default::default(), users, &ours);
        Ok(bodies::create(pool, shape, capacity, base, vm_size, &tags)?)
    }

    /// The PATCH of what `live` lacks of the shape.
    fn reshaping(
        &self,
        pool: &PoolRef,
        shape: &Shape,
        base: Count,
        model: &ModelHash,
        live: &Value,
    ) -> Result<Value, Declined> {
        // PATCH replaces all tags at once: those that others have put on are sent along.
        let mut there = scale_set::read_tags(live);
        let users = &shape.template.tags;
        let declared = bodies::declared(pool, shape)?;
        let held = Held::declared(&declared, users);
        let former = tags::value(&there, tags::PARTS).map(Held::read);
        let gone = former.unwrap_or_default().without(&held);
        there.retain(|name, _| !gone.has_tag(name));
        let missing = difference(&declared, live, &gone);
        if !missing.fixed.is_empty() {
            return Err(Declined::Fixed(missing.fixed));
        }
        // Instances are outdated by a new model, and not by a new number of regular ones or another way to take a fingerprint.
        let same = tags::value(&there, tags::MODEL) == Some(model.as_str())
            || missing.send.is_empty()
                && users.iter().all(|tag| there.iter().any(|one| one == tag));
        let before = tags::value(&there, tags::MODEL_TIME).and_then(scale_set::timestamp);
        let ours = tags::Ours {
            owner: &pool.owner,
            model,
            since: before.filter(|_| same).unwrap_or_else(|| self.now()),
            held: &held,
        };
        let tags = tags::merged(&there, users, &ours);
        Ok(bodies::reshape(pool, missing.send, base, &tags))
    }

    /// The scale set as JSON, if it is still the version that the guard names.
    async fn still(
        &self,
        pool: &PoolRef,
        guarded: &Etag,
        urgency: Urgency,
    ) -> Result<Value, Declined> {
        let (body, header) = self.fetch(pool, urgency).await?;
        let set: Value = serde_json::from_slice(&body).map_err(|error| CallError::Unreadable {
            fact: error.to_string(),
        })?;
        let etag = set
            .get("etag")
            .and_then(Value::as_str)
            .or(header.as_deref());
        if etag != Some(guarded.as_str()) {
            return Err(Declined::AlreadyChanged);
        }
        Ok(set)
    }
}

/// Only if there is none. What is handed to the crate is a stand-in: the client has the body.
async fn put(client: Client, pool: &PoolRef) -> ac::Result<ac::Response> {
    let stand_in =
        models::VirtualMachineScaleSet::new(models::Resource::new(pool.location.clone()));
    let sets = client.virtual_machine_scale_sets_client();
    let (group, name, subscription) = (&pool.resource_group, &pool.scale_set, &pool.subscription);
    let request = sets.create_or_update(group, name, stand_in, subscription);
    let answer = request.if_none_match("*").send().await?;
    Ok(answer.into_raw_response())
}

/// Only if it is still the one that was looked at.
async fn patch(client: Client, pool: &PoolRef, etag: &Etag) -> ac::Result<ac::Response> {
    let stand_in = models::VirtualMachineScaleSetUpdate::default();
    let sets = client.virtual_machine_scale_sets_client();
    let (group, name, subscription) = (&pool.resource_group, &pool.scale_set, &pool.subscription);
    let request = sets.update(group, name, stand_in, subscription);
    let answer = request.if_match(etag.as_str()).send().await?;
    Ok(answer.into_raw_response())
}

/// What is kept of an answer that says yes.
pub(super) struct Accepted {
    pub status: u16,
    pub headers: HeaderMap,
}

impl Accepted {
    pub(super) fn of(answer: &ac::Response) -> Self {
        let pairs = answer.headers().iter();
        let headers = pairs.filter_map(|(name, value)| {
            Some((
                http::HeaderName::from_bytes(name.as_str().as_bytes()).ok()?,
                value.as_str().parse().ok()?,
            ))
        });
        Self {
            status: answer.status().into(),
            headers: headers.collect(),
        }
    }
}

/// Why an action came to nothing.
pub(super) enum Declined {
    /// A read before the write showed that its guard no longer holds.
    AlreadyChanged,
    /// These properties would have to change, and Azure has no way to change them.
    Fixed(Vec<String>),
    /// Azure, or the way to it.
    By(CallError),
}

impl From<CallError> for Declined {
    fn from(error: CallError) -> Self {
        Self::By(error)
    }
}

impl From<ac::Error> for Declined {
    fn from(error: ac::Error) -> Self {
        Self::By(error.into())
    }
}

impl From<NotRead> for Declined {
    fn from(error: NotRead) -> Self {
        Self::By(CallError::NotSent {
            fact: error.to_string(),
        })
    }
}

/// A no that is known without asking.
pub(super) fn not_changeable(paths: &[String]) -> Refusal {
    Refusal {
        kind: RefusalKind::TemplateRejected,
        code: "NotChangeable".to_owned(),
        message: format!(
            "Azure cannot change {} of a scale set that exists: take the change back, or create another SpotPool",
            paths.join(", ")
        ),
        request_id: String::new(),
    }
}
