//! The Kubernetes side: watches SpotPools, lets the planner decide about each, carries out its decisions through a cloud, and says so.
//!
//! ```text
//! watch.rs ──▶ reconcile.rs ──▶ desired.rs ──▶ turn.rs (look, plan, act, remember) ──▶ status.rs ──▶ kubernetes.rs
//!                   │                                                                   ├ conditions.rs: kstatus.rs, capacity.rs, deleting.rs
//!                   ├ objects.rs (Secrets, ConfigMaps)
//!                   ├ unreadable.rs (an object that cannot be parsed)                   └ words.rs, times.rs
//!                   ├ accounts.rs, users.rs (ServiceAccounts as whom pools call Azure)
//!                   ├ surveyor.rs, roster.rs (one survey instead of the looks of all pools at rest)
//!                   └ pools.rs, restore.rs (memory by UID)        events.rs · metrics.rs · serve.rs
//! ```
//!
//! In come a Kubernetes client, a [`Cloud`] and a [`Clock`]; it runs until it is told to stop, and then finishes the turns under way.

mod accounts;
mod capacity;
mod conditions;
mod deleting;
mod desired;
mod events;
mod kstatus;
mod kubernetes;
mod metrics;
mod objects;
mod pools;
mod reconcile;
mod restore;
mod roster;
mod serve;
mod status;
mod surveyor;
mod times;
mod turn;
mod unreadable;
mod urgency;
mod users;
mod watch;
mod words;

#[cfg(test)]
mod fixtures;
#[cfg(test)]
mod tests;

pub use accounts::ServiceAccounts;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use futures::{FutureExt as _, StreamExt as _};
use kube::api::ListParams;
use kube::core::PartialObjectMeta;
use kube::{Api, Client};
use spotpool_core::planner::Pace;
use spotpool_core::units::Count;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::api::SpotPool;
use crate::clock::Clock;
use crate::cloud::Cloud;

/// How long the turns under way may take to end after the signal to stop.
const GRACE: Duration = Duration::from_secs(10);
/// Between two looks for the definition, while it is not installed.
const DEFINITION_PAUSE: Duration = Duration::from_secs(2);

/// What is missing, and the command that brings it.
const DEFINITION_MISSING: &str = "the CustomResourceDefinition of SpotPool is not installed: waiting for it (spotpool crd | kubectl apply --server-side -f -)";

/// The installation's choices.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Watch this namespace only; `None`: all.
    pub namespace: Option<String>,
    /// The first part of the ownership tag: tells clusters that share a subscription apart.
    pub cluster_id: String,
    /// How often to look.
    pub pace: Pace,
    /// More instances than this are not taken away at once without a confirmation; `None`: any number may go.
    pub confirm_above: Option<Count>,
    /// Where to serve metrics and probes.
    pub listen: SocketAddr,
    /// Turns at a time. Each of them is polled when any of them wakes, so more is not better.
    pub concurrency: u16,
}

/// Why the controller cannot run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address for metrics and probes is taken or not ours.
    #[error("cannot listen on {address}: {source}; choose another address with --listen")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        source: std::io::Error,
    },
    /// The Kubernetes API does not let us.
    #[error(
        "not allowed to list SpotPools{scope}: {message}; bind the operator's service account to the role of the chart (verbs get, list, watch, patch on spotpools.spotpool.io)"
    )]
    Forbidden {
        /// In words, where.
        scope: String,
        /// What the API server says.
        message: String,
    },
}

/// What every reconcile shares.
pub struct Context {
    cloud: Arc<dyn Cloud>,
    clock: Clock,
    kubernetes: kubernetes::Kubernetes,
    events: events::Publisher,
    metrics: metrics::Metrics,
    pools: pools::Pools,
    accounts: ServiceAccounts,
    users: users::Users,
    surveyor: surveyor::Surveyor,
    settings: Settings,
    ready: Arc<AtomicBool>,
}

/// Runs until `shutdown` resolves; then the turns under way are given 10 seconds to end.
///
/// # Errors
/// If it cannot start. What goes wrong later is logged, shown and tried again.
pub async fn run(
    settings: Settings,
    client: Client,
    cloud: Arc<dyn Cloud>,
    clock: Clock,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), Error> {
    let shutdown = shutdown.boxed().shared();
    let (metrics, registry) = metrics::Metrics::new(cloud.clone());
    let (surveyor, woken) = surveyor::Surveyor::new();
    let context = Arc::new(Context {
        kubernetes: kubernetes::Kubernetes::new(client.clone()),
        events: events::Publisher::new(client.clone(), clock.clone()),
        pools: pools::Pools::default(),
        accounts: ServiceAccounts::new(client.clone()),
        users: users::Users::default(),
        surveyor,
        ready: Arc::new(AtomicBool::new(false)),
        cloud,
        clock,
        metrics,
        settings,
    });
    let served = serve::Served {
        registry,
        ready: context.ready.clone(),
    };
    let mut tasks = JoinSet::new();
    tasks.spawn(serve::serve(
        listen(context.settings.listen).await?,
        served,
        shutdown.clone(),
    ));

    let definition = wait_for_definition(&client, context.settings.namespace.as_deref());
    tokio::select! {
        biased;
        () = shutdown.clone() => return Ok(()),
        found = definition => found?,
    }
    let api = match &context.settings.namespace {
        Some(namespace) => Api::namespaced(client, namespace),
        None => Api::all(client),
    };
    let surveys = context.clone();
    tasks.spawn(async move {
        surveyor::run(surveys).await;
        Ok(())
    });
    let turns = watch::controller(api, &context, context.settings.concurrency)
        .reconcile_on(woken)
        .graceful_shutdown_on(shutdown.clone())
        .run(reconcile::reconcile, reconcile::on_error, context.clone())
        .for_each(async |_| {});
    tokio::select! {
        biased;
        () = turns => tracing::info!("stopped: no turn is under way"),
        () = shutdown.then(|()| tokio::time::sleep(GRACE)) => tracing::warn!("stopped: turns under way were cut off after {} s; the next look will tell what came of them", GRACE.as_secs()),
    }
    tasks.shutdown().await;
    Ok(())
}

async fn listen(address: SocketAddr) -> Result<TcpListener, Error> {
    let failed = |source| Error::Listen { address, source };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    tracing::info!(%address, "serving /metrics, /healthz and /readyz");
    Ok(listener)
}

/// Waits until SpotPools can be listed, and says what is missing.
async fn wait_for_definition(client: &Client, namespace: Option<&str>) -> Result<(), Error> {
    let pools: Api<PartialObjectMeta<SpotPool>> = match namespace {
        Some(namespace) => Api::namespaced(client.clone(), namespace),
        None => Api::all(client.clone()),
    };
    let mut said = String::new();
    loop {
        let one = ListParams::default().limit(1);
        let message = match kubernetes::bounded("list SpotPools", pools.list_metadata(&one)).await {
            Ok(_) => return Ok(()),
            Err(error) if error.code() == Some(403) => {
                let scope =
                    namespace.map_or_else(String::new, |name| format!(" in namespace {name}"));
                return Err(Error::Forbidden {
                    scope,
                    message: error.to_string(),
                });
            }
            Err(error) if error.code() == Some(404) => DEFINITION_MISSING.to_owned(),
            Err(error) => format!("{error}: waiting for the Kubernetes API"),
        };
        if said != message {
            tracing::warn!("{message}");
            said = message;
        }
        tokio::time::sleep(DEFINITION_PAUSE).await;
    }
}
