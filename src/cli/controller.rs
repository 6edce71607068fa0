//! `spotpool controller`: the operator itself, the one place where `azure` meets `controller`.
//!
//! In come flags and their environment variables; out comes a running controller, or an error that says what to do next.

use std::io::IsTerminal as _;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, ValueEnum};
use k8s_openapi::api::core::v1::Namespace;
use kube::{Api, Client};
use spotpool_core::planner::Pace;
use spotpool_core::units::Millis;

use crate::azure::{Azure, AzureOptions, SetupError};
use crate::clock::Clock;
use crate::controller::{self, Settings};

use super::azure::{self, AzureArgs};

/// Runs the operator: keeps every SpotPool at its size.
///
/// It finds Kubernetes by the pod it runs in, or else by KUBECONFIG, as kubectl does.
#[derive(Args, Clone, Debug)]
#[command(after_long_help = EXAMPLES)]
pub struct ControllerArgs {
    /// Name of this cluster in the ownership tags of scale sets; must never change. Default: the UID of the namespace kube-system
    #[arg(long, env = "SPOTPOOL_CLUSTER_ID", value_name = "ID", value_parser = cluster_id)]
    cluster_id: Option<String>,
    /// Watch SpotPools in this namespace only. Default: in all
    #[arg(long, env = "SPOTPOOL_NAMESPACE", value_name = "NAMESPACE")]
    namespace: Option<String>,
    /// Where to serve /metrics, /healthz and /readyz
    #[arg(
        long,
        env = "SPOTPOOL_LISTEN",
        default_value = "0.0.0.0:8080",
        value_name = "ADDRESS"
    )]
    listen: SocketAddr,
    /// Time between two surveys of each subscription and location with pools that are as declared: one read for up to 1,000 scale sets. An
    /// eviction is noticed within it, plus up to a minute by which Azure's survey is late. A pool that no survey vouches for is looked
    /// at as often, for 2 reads
    #[arg(long, env = "SPOTPOOL_LOOK_EVERY", default_value = "30s", value_name = "TIME", value_parser = span)]
    look_every: Millis,
    /// How long counts must stand still before they prove anything. Shorter heals sooner, and errs where Azure is slow to tell
    #[arg(long, env = "SPOTPOOL_SETTLE", default_value = "60s", value_name = "TIME", value_parser = span)]
    settle: Millis,
    /// Time between two looks at a pool where something is under way
    #[arg(long, env = "SPOTPOOL_MOTION", default_value = "5s", value_name = "TIME", value_parser = span)]
    motion: Millis,
    /// Ask before more instances than this are taken away at once, by a lower capacity or a deletion: nothing goes until the
    /// SpotPool carries the annotation that its condition names. Default: never ask
    #[arg(long, env = "SPOTPOOL_CONFIRM_ABOVE", value_name = "COUNT")]
    confirm_above: Option<u32>,
    /// How log lines look
    #[arg(
        long,
        env = "SPOTPOOL_LOG_FORMAT",
        value_enum,
        default_value_t = LogFormat::Text,
        value_name = "FORMAT"
    )]
    log_format: LogFormat,
    /// What is logged, such as info, or warn,spotpool=debug to see each call
    #[arg(
        long,
        env = "SPOTPOOL_LOG",
        default_value = "info",
        value_name = "FILTER"
    )]
    log: String,
    // Last: what follows would stand below its heading.
    #[command(flatten)]
    azure: AzureArgs,
}

const EXAMPLES: &str = "\
Examples:
  spotpool controller                                             # in a cluster, with its workload identity
  spotpool controller --credentials developer                     # from a shell, with the login of `az`
  spotpool simulator --listen 127.0.0.1:8081 --speed 60 &
  spotpool controller --azure-endpoint http://127.0.0.1:8081 --listen 127.0.0.1:8080 --settle 2s --motion 500ms --look-every 2s";

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum LogFormat {
    /// For people
    Text,
    /// For machines: one object a line
    Json,
}

/// Why the controller did not start, and what to do.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error(
        "no Kubernetes: {0}. Set KUBECONFIG to a file that `kubectl` works with, or run in a pod"
    )]
    NoKubernetes(#[from] kube::config::InferConfigError),
    #[error("no Kubernetes client: {0}. Check the certificates and the user in the kubeconfig")]
    Client(#[source] Box<kube::Error>),
    #[error(
        "cannot read the namespace kube-system for the cluster's identity: {0}. Check that the cluster can be reached (kubectl get namespace kube-system), or pass --cluster-id"
    )]
    ClusterId(#[source] Box<kube::Error>),
    #[error("the namespace kube-system has no UID: pass --cluster-id")]
    NoUid,
    #[error("{0}")]
    Azure(#[from] SetupError),
    #[error("{0}")]
    AzureArgs(#[from] azure::Error),
    #[error("--log: {0}")]
    Log(#[from] tracing_subscriber::filter::ParseError),
    #[error("{0}")]
    Controller(#[from] controller::Error),
}

/// Runs until SIGTERM or ctrl-c.
pub async fn run(args: ControllerArgs) -> ExitCode {
    match start(args).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn start(args: ControllerArgs) -> Result<(), Error> {
    log(&args)?;
    // Two of our dependencies each bring their own idea of a default; another one may have been chosen already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let clock = Clock::system();
    let client = kubernetes().await?;
    let cluster_id = match args.cluster_id {
        Some(id) => id,
        None => uid_of_kube_system(&client).await?,
    };
    let now = clock.clone();
    let accounts = Arc::new(controller::ServiceAccounts::new(client.clone()));
    let options = AzureOptions {
        accounts: Some(accounts),
        // Two seconds of the five between two looks of a pool in motion.
        shared_for: Millis(args.motion.0 * 2 / 5),
        ..args.azure.options(Arc::new(move || now.now()))?
    };
    let environment = options.environment.clone();
    let azure = Azure::new(options)?;
    let settings = Settings {
        namespace: args.namespace,
        cluster_id,
        pace: Pace {
            rest: args.look_every,
            motion: args.motion,
            settle: args.settle,
        },
        confirm_above: args.confirm_above,
        listen: args.listen,
        concurrency: CONCURRENCY,
    };
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        azure = %environment.endpoint,
        login = %environment.authority,
        cluster_id = settings.cluster_id,
        namespace = settings.namespace.as_deref().unwrap_or("all"),
        "spotpool controller"
    );
    controller::run(settings, client, Arc::new(azure), clock, stop_signal()).await?;
    Ok(())
}

/// Turns at a time: each running one is polled when any of them wakes, so that unbounded would be quadratic.
const CONCURRENCY: u16 = 64;
/// Above the 290 s after which the API server ends a watch, so that only a dead connection runs into it.
const READ_TIMEOUT: Duration = Duration::from_secs(295);

async fn kubernetes() -> Result<Client, Error> {
    let mut config = kube::Config::infer().await?;
    config.read_timeout = Some(READ_TIMEOUT);
    config.reset_reader_on_write = true;
    // Ours bound each call and come back in a later turn; kube's would wait up to a quarter of an hour inside of one.
    config.default_retry = false;
    Client::try_from(config).map_err(|error| Error::Client(Box::new(error)))
}

/// The usual identity of a cluster: it is there from the first moment and never changes.
async fn uid_of_kube_system(client: &Client) -> Result<String, Error> {
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let found = namespaces.get_metadata("kube-system").await;
    let found = found.map_err(|error| Error::ClusterId(Box::new(error)))?;
    found.metadata.uid.ok_or(Error::NoUid)
}

async fn stop_signal() {
    use tokio::signal::unix::{SignalKind, signal};
    let terminated = async {
        match signal(SignalKind::terminate()) {
            Ok(mut signal) => {
                signal.recv().await;
            }
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        biased;
        () = terminated => {}
        _ = tokio::signal::ctrl_c() => {}
    }
    tracing::info!("asked to stop: no new turns; those under way may end");
}

fn log(args: &ControllerArgs) -> Result<(), Error> {
    // kube's own spans repeat on every line what ours say, and its warnings are about our own answers.
    let filter = format!("kube=warn,kube_runtime=error,hyper=warn,{}", args.log);
    let filter = tracing_subscriber::EnvFilter::builder().parse(filter)?;
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    match args.log_format {
        LogFormat::Text => lines
            .with_target(false)
            .with_ansi(std::io::stderr().is_terminal())
            .init(),
        LogFormat::Json => lines.json().flatten_event(true).init(),
    }
    Ok(())
}

/// `500ms`, `30s`, `2m` or `1h`.
fn span(text: &str) -> Result<Millis, String> {
    let wrong = || format!("'{text}' is no time: write for example 500ms, 30s or 2m");
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit: i64 = match &text[digits.len()..] {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return Err(wrong()),
    };
    let number: i64 = digits.parse().map_err(|_| wrong())?;
    let millis = number.checked_mul(unit).ok_or_else(wrong)?;
    if (10..=86_400_000).contains(&millis) {
        Ok(Millis(millis))
    } else {
        Err(format!("'{text}' is not between 10ms and 24h"))
    }
}

/// It becomes the first part of a tag value of at most 256 characters, whose parts are divided by `/`.
fn cluster_id(text: &str) -> Result<String, String> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if (1..=64).contains(&text.len()) && text.chars().all(allowed) {
        Ok(text.to_owned())
    } else {
        Err("1 to 64 letters, digits, '-', '_' or '.' are needed, such as prod-eastus".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_times_and_refuses_what_would_never_or_always_look() {
        for (text, wanted) in [
            ("500ms", 500),
            ("30s", 30_000),
            ("2m", 120_000),
            ("1h", 3_600_000),
        ] {
            assert_eq!(span(text), Ok(Millis(wanted)), "{text}");
        }
        for text in [
            "",
            "30",
            "0s",
            "-5s",
            "1.5s",
            "s",
            "25h",
            "99999999999999999999s",
            "5 s",
        ] {
            assert!(span(text).is_err(), "{text:?} passed");
        }
    }

    #[test]
    fn a_cluster_id_fits_into_the_ownership_tag() {
        assert!(cluster_id("prod-eastus.1").is_ok());
        for text in ["", "a/b", "a b", &"x".repeat(65)] {
            assert!(cluster_id(text).is_err(), "{text:?} passed");
        }
    }
}
