//! Azure behind the port [`Cloud`]: looks at a pool's scale set and instances, and carries out one action.
//!
//! ```text
//! look ─▶ operation (one poll) ─▶ scale_set (GET, or by one list of sets for many pools) ─▶ instances (paged list) ─▶ Observed
//! quota ─▶ one list for all pools of a place, kept for seconds ─▶ rows
//! survey ─▶ one question to Resource Graph for all sets of a place ─▶ a line a set
//! act  ─▶ write (bodies ◀─ profile, difference, held) ─▶ azure_mgmt_compute ─▶ policies ─▶ transport ─▶ Azure ─▶ errors ─▶ Answer
//! ```
//!
//! azure_mgmt_compute builds requests and follows pages; login, deadlines, errors and operations are ours (crates.md says why).
//! Its builders are only ever used by `.send()`: awaited, they would send the PUT again as their way of polling. Nothing is retried:
//! what failed, the controller sees on its next look. What Azure's limits do not bear is not sent ([`budget`]).

mod arm_error;
mod bodies;
mod budget;
mod call_error;
mod clouds;
mod difference;
mod document;
mod errors;
mod held;
mod instances;
mod json;
mod lane;
mod login;
mod operation;
mod options;
mod policies;
mod profile;
mod quota;
mod request;
mod restart;
mod scale_set;
mod sessions;
mod sets;
mod sparing;
mod survey;
pub mod tags;
mod transport;
mod wire;
mod write;

#[cfg(test)]
mod tests;

pub use arm_error::ArmError;
pub use call_error::CallError;
pub use clouds::{Environment, parse_authority};
pub use document::document;
pub use login::CredentialKind;
pub use options::{AzureOptions, Now, SetupError};
pub use sessions::Azure;
pub use wire::{Network, Wire, WireError};

use async_trait::async_trait;
use azure_core_legacy as ac;
use azure_mgmt_compute::package_2024_07_01::Client;
use reqwest::Url;
use serde_json::Value;
use spotpool_core::planner::{Action, Answer, Blind, Instance, Observed, Outcome, Provisioning};
use spotpool_core::units::{Millis, Seen, Timestamp};
use std::sync::Arc;
use std::time::Duration;

use crate::cloud::{Look, OperationRef, PoolRef, Receipt, Scope, Shape, Survey, Urgency};
use budget::Claim;
use lane::{Instead, Lane};
use operation::Progress;
use policies::Tap;
use sets::Shown;
use transport::Caller;
use write::{Accepted, Declined};

/// The pages of one list may take as long as this many calls.
const PAGES_DEADLINES: u32 = 4;

/// Azure as one identity sees it: its own tokens, over the transport that all share.
struct Session {
    transport: Arc<Caller>,
    endpoint: Url,
    deadline: Duration,
    now: Now,
    shared_for: Millis,
    groups: sets::Groups,
    spared: sparing::Spared,
    quotas: quota::Quotas,
}

impl Session {
    fn now(&self) -> Timestamp {
        (self.now)()
    }

    /// A client of the crate over our transport, for calls of one claim and perhaps with a policy of ours. It holds no connections;
    /// those belong to the transport.
    fn client(&self, claim: impl Into<Claim>, policy: Option<Arc<dyn ac::Policy>>) -> Client {
        self.over_lane(claim.into(), None, policy)
    }

    /// A client that sends this body, whatever the crate makes of its own.
    fn saying(&self, urgency: Urgency, body: &Value) -> Client {
        let body = Instead(body.to_string().into());
        self.over_lane(urgency.into(), Some(body), None)
    }

    fn over_lane(
        &self,
        claim: Claim,
        instead: Option<Instead>,
        policy: Option<Arc<dyn ac::Policy>>,
    ) -> Client {
        let lane = Lane {
            caller: self.transport.clone(),
            claim,
            instead,
        };
        let options = ac::ClientOptions::new(ac::TransportOptions::new(Arc::new(lane)))
            .retry(ac::RetryOptions::none())
            .per_retry_policies(Vec::from_iter(policy));
        Client::new(
            self.endpoint.clone(),
            Arc::new(Placeholder),
            vec!["placeholder".to_owned()],
            options,
        )
    }

    /// The scale set as JSON, with its `ETag` header.
    async fn fetch(
        &self,
        pool: &PoolRef,
        claim: impl Into<Claim>,
    ) -> Result<(Vec<u8>, Option<String>), CallError> {
        let client = self.client(claim, None);
        let sets = client.virtual_machine_scale_sets_client();
        let answer = sets
            .get(&pool.resource_group, &pool.scale_set, &pool.subscription)
            .send()
            .await?
            .into_raw_response();
        let (_, headers, body) = answer.deconstruct();
        let etag = headers.get_optional_string(&ac::headers::ETAG);
        Ok((body.collect().await?.to_vec(), etag))
    }

    /// How our operation is going: how it ended, or what to keep asking about. Asked once, and not before its time.
    async fn ask(&self, operation: Option<&OperationRef>) -> Progress {
        match operation {
            None => Progress::Ended(None),
            Some(operation) if operation.not_before > self.now() => {
                Progress::NotAsked(operation.clone())
            }
            Some(operation) => {
                let now = || self.now();
                operation::poll(&self.transport, operation, Claim::Granted, now).await
            }
        }
    }

    /// What a look asks for, in its order, with or without the set.
    fn reads(&self, pool: &PoolRef, operation: Option<&OperationRef>, set: bool) -> Vec<Url> {
        let due = operation.filter(|operation| operation.not_before <= self.now());
        let operation = due.and_then(|operation| self.transport.resolve(&operation.url));
        let set = set.then(|| self.transport.resolve(&pool.scale_set_id()));
        let list = instances::url(&self.endpoint, pool);
        [operation, set.flatten(), list]
            .into_iter()
            .flatten()
            .collect()
    }

    /// All pages of a list. Each has its own deadline; together they must not hold up a pool for an hour.
    async fn whole<T>(
        &self,
        pages: impl Future<Output = Result<T, CallError>>,
    ) -> Result<T, CallError> {
        let longest = self.deadline.saturating_mul(PAGES_DEADLINES);
        let in_time = tokio::time::timeout(longest, pages).await;
        in_time.unwrap_or_else(|_| {
            Err(CallError::NoAnswer {
                fact: format!("the whole list took longer than {longest:?}"),
            })
        })
    }

    async fn look_at_instances(&self, pool: &PoolRef) -> Seen<Vec<Instance>, Blind> {
        self.spared.ends(pool);
        let at = self.now();
        let tap = Tap::default();
        let client = self.client(Claim::Granted, Some(Arc::new(tap.clone())));
        match self.whole(instances::list(&client, &tap, pool)).await {
            Ok(value) => Seen::Known { value, at },
            Err(error) => Seen::Unknown(errors::blind(&error, self.now())),
        }
    }

    async fn look_at_set(&self, pool: &PoolRef) -> Shown {
        let at = self.now();
        match self.fetch(pool, Claim::Granted).await {
            Ok((body, etag)) => match scale_set::read(&body, etag.as_deref()) {
                Ok(set) => Seen::Known {
                    value: Some(set),
                    at,
                },
                Err(fact) => Seen::Unknown(Blind::Unreachable { fact }),
            },
            Err(error) if errors::is_absent(&error) => Seen::Known { value: None, at },
            Err(error) => Seen::Unknown(errors::blind(&error, self.now())),
        }
    }
}

impl Session {
    /// See [`Cloud::look`](crate::cloud::Cloud::look).
    async fn look(
        &self,
        pool: &PoolRef,
        unfinished: Option<&OperationRef>,
        urgency: Urgency,
    ) -> Look {
        let listed = match self.listed_set(pool, urgency).await {
            Ok(listed) => listed,
            Err(until) => return Look::held_back(until, unfinished),
        };
        let spared = |set: &Shown| self.spares(pool, set);
        let listed = match listed {
            // How our operation goes is plain to see: it goes on.
            Some(set) if spared(&set) => {
                let observed = Observed {
                    set,
                    instances: Seen::Unknown(Blind::NotAsked),
                    outcome: unfinished.map(|_| Outcome::Pending),
                };
                let unfinished = unfinished.cloned();
                return Look {
                    observed,
                    unfinished,
                };
            }
            listed => listed,
        };
        // A set without its instances would be asked for in vain.
        let reads = self.reads(pool, unfinished, listed.is_none());
        let _turn = match self.transport.turn(&reads, urgency) {
            Ok(turn) => turn,
            Err(until) => return Look::held_back(until, unfinished),
        };
        let progress = self.ask(unfinished).await;
        let mut set = match listed {
            Some(listed) => listed,
            None => self.look_at_set(pool).await,
        };
        if matches!(progress, Progress::NotAsked(_))
            && let Seen::Known {
                value: Some(set), ..
            } = &mut set
            && set.state == Provisioning::Failed
        {
            // Only the operation says why, and whoever sees the failure must see the reason with it: until it may be asked, it is not over.
            set.state = Provisioning::Busy;
        }
        let instances = match &set {
            set if spared(set) => Seen::Unknown(Blind::NotAsked),
            Seen::Known { value: Some(_), .. } => self.look_at_instances(pool).await,
            Seen::Known { value: None, .. } | Seen::Unknown(_) => Seen::Unknown(Blind::NotAsked),
        };
        let (outcome, unfinished) = match progress {
            Progress::Ended(outcome) => (outcome, None),
            Progress::Running(operation) | Progress::NotAsked(operation) => {
                (Some(Outcome::Pending), Some(operation))
            }
        };
        Look {
            observed: Observed {
                set,
                instances,
                outcome,
            },
            unfinished,
        }
    }

    /// See [`Cloud::act`](crate::cloud::Cloud::act).
    async fn act(
        &self,
        pool: &PoolRef,
        shape: &Shape,
        action: &Action,
        urgency: Urgency,
    ) -> Receipt {
        match self.send(pool, shape, action, urgency).await {
            Ok(Accepted { status, headers }) => {
                let request_id = arm_error::request_id(&headers);
                let operation = operation::started(&self.transport, &headers, self.now());
                Receipt {
                    answer: Answer::Accepted,
                    operation,
                    request_id,
                    fact: format!("accepted with {status}"),
                }
            }
            Err(Declined::AlreadyChanged) => {
                self.doubt_list(pool);
                Receipt {
                    answer: Answer::Changed,
                    operation: None,
                    request_id: String::new(),
                    fact: "the scale set has changed since it was looked at; nothing was sent"
                        .to_owned(),
                }
            }
            Err(Declined::Fixed(paths)) => {
                let refusal = write::not_changeable(&paths);
                Receipt {
                    fact: refusal.message.clone(),
                    answer: Answer::Refused(refusal),
                    operation: None,
                    request_id: String::new(),
                }
            }
            Err(Declined::By(error)) => {
                let request_id = match &error {
                    CallError::Arm(arm) => arm.request_id.clone(),
                    _ => String::new(),
                };
                let answer =
                    errors::answer(&error, matches!(action, Action::Create { .. }), self.now());
                if answer == Answer::Changed {
                    self.doubt_list(pool);
                }
                Receipt {
                    answer,
                    operation: None,
                    request_id,
                    fact: error.to_string(),
                }
            }
        }
    }

    async fn survey(&self, scope: &Scope) -> Survey {
        let at = self.now();
        let pages = survey::ask(&self.transport, &self.endpoint, scope);
        match self.whole(pages).await {
            Ok(lines) => Survey::Known { at, lines },
            Err(error) => Survey::Unknown(error.to_string()),
        }
    }
}

/// What the crate puts on instead of a token; the transport replaces it (see there).
#[derive(Debug)]
struct Placeholder;

#[async_trait]
impl ac::auth::TokenCredential for Placeholder {
    async fn get_token(&self, _scopes: &[&str]) -> ac::Result<ac::auth::AccessToken> {
        Ok(ac::auth::AccessToken::new(
            "placeholder",
            time::OffsetDateTime::UNIX_EPOCH,
        ))
    }

    async fn clear_cache(&self) -> ac::Result<()> {
        Ok(())
    }
}
