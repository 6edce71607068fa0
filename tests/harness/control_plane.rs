//! A real Kubernetes control plane on loopback: etcd, kube-apiserver and, when asked for, kube-controller-manager.
//!
//! Nothing goes in: the programs come from `make control-plane`, the ports are free ones, the certificates are made
//! here. Out comes a [`ControlPlane`] that answers as a cluster without nodes does: RBAC decides, nobody but
//! `system:masters` may do everything. Any number can run side by side; each ends with its handle.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::{ConfigMap, Namespace, ServiceAccount};
use kube::api::Api;
use tempfile::TempDir;
use tokio::sync::OnceCell;

use super::Result;
use super::pki::{Certificate, Pki};
use super::ports::free_port;
use super::process::Process;

/// How long a start may take. On two idle cores it takes about four seconds; tests share the machine with compilers.
const PATIENCE: Duration = Duration::from_secs(90);
/// Starts with other ports, when somebody else has taken one in between.
const TRIES: u32 = 4;

/// What the controller manager runs: what makes namespaces, service accounts and owner references work, and what
/// turns a Deployment into pods (which stay pending: there is no scheduler and no node).
const CONTROLLERS: &str = "namespace-controller,garbage-collector-controller,serviceaccount-controller,\
    serviceaccount-token-controller,root-ca-certificate-publisher-controller,clusterrole-aggregation-controller,\
    deployment-controller,replicaset-controller";

/// A running control plane.
pub struct ControlPlane {
    // In the order in which they end: clients before servers, the files last.
    controller_manager: Option<Process>,
    apiserver: Option<Process>,
    etcd: Process,
    port: u16,
    pub(super) pki: Pki,
    pub(super) programs: PathBuf,
    directory: TempDir,
}

/// What [`ControlPlane::leave_running`] leaves.
#[derive(Debug, Clone)]
pub struct LeftRunning {
    /// The administrator's kubeconfig.
    pub kubeconfig: PathBuf,
    /// Data, certificates and logs: to be removed after the programs have ended.
    pub directory: PathBuf,
    /// The operating system's numbers of the programs, in the order in which to end them.
    pub processes: Vec<u32>,
}

impl ControlPlane {
    /// Starts etcd and kube-apiserver and waits until they serve. The first call on a machine makes the programs,
    /// which takes minutes and says so on standard error.
    ///
    /// # Errors
    /// If the programs cannot be made, or are not ready in time; then with the end of their logs.
    pub async fn start() -> Result<Self> {
        // Two of our libraries bring rustls without saying which cryptography it shall use. Another test may have
        // said it already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let programs = programs().await?;
        let mut tries = 0;
        loop {
            tries += 1;
            let mut this = Self::launch(programs.clone())?;
            match this.ready().await {
                Ok(()) => return Ok(this),
                Err(error)
                    if tries < TRIES && error.to_string().contains("address already in use") => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Starts kube-controller-manager too, for tests that need a namespace or an owned object to disappear, or a
    /// service account to appear by itself, and waits until it works.
    ///
    /// # Errors
    /// If it does not work in time, with the end of its log.
    pub async fn start_controller_manager(&mut self) -> Result<()> {
        let user = self.kubeconfig_for("system:kube-controller-manager", None)?;
        let mut command = self.command("kube-controller-manager");
        command
            .arg(format!("--kubeconfig={}", user.display()))
            .arg(format!(
                "--root-ca-file={}",
                self.pki.authority_file().display()
            ))
            .arg(format!(
                "--service-account-private-key-file={}",
                self.pki.token_signing_key_file().display()
            ))
            .arg(format!("--controllers={CONTROLLERS}"))
            .args([
                "--use-service-account-credentials=true",
                "--leader-elect=false",
                "--secure-port=0",
            ]);
        let log = self.directory.path().join("kube-controller-manager.log");
        let mut process = Process::start("kube-controller-manager", command, &log)?;

        let client = self.client().await?;
        let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), "default");
        let maps: Api<ConfigMap> = Api::namespaced(client, "default");
        let start = Instant::now();
        while !(matches!(accounts.get_opt("default").await, Ok(Some(_)))
            && matches!(maps.get_opt("kube-root-ca.crt").await, Ok(Some(_))))
        {
            if !process.is_running() || start.elapsed() > PATIENCE {
                return Err(process.failure("did not make the service account `default`"));
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        self.controller_manager = Some(process);
        Ok(())
    }

    /// Ends the API server at once (SIGKILL): from now on its port refuses connections.
    ///
    /// # Errors
    /// If it is stopped already.
    pub fn stop_apiserver(&mut self) -> Result<()> {
        let mut process = self
            .apiserver
            .take()
            .ok_or("the API server is stopped already")?;
        process.kill_9()?;
        Ok(())
    }

    /// Starts the API server again, on the same port and with the same data, and waits until it serves.
    ///
    /// # Errors
    /// If it runs already, or is not ready in time.
    pub async fn start_apiserver(&mut self) -> Result<()> {
        if self.apiserver.is_some() {
            return Err("the API server runs already".into());
        }
        self.apiserver = Some(self.launch_apiserver()?);
        self.ready().await
    }

    /// The address of the API server.
    pub fn url(&self) -> String {
        format!("https://{}:{}", Ipv4Addr::LOCALHOST, self.port)
    }

    /// Data, certificates and logs; removed with the handle.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Lets everything outlive the handle and the calling program.
    pub fn leave_running(self) -> LeftRunning {
        let kubeconfig = self.kubeconfig_path();
        let processes = [self.controller_manager, self.apiserver, Some(self.etcd)];
        LeftRunning {
            kubeconfig,
            directory: self.directory.keep(),
            processes: processes
                .into_iter()
                .flatten()
                .map(Process::leave_running)
                .collect(),
        }
    }

    /// Starts etcd and the API server, without waiting: the API server does that for etcd.
    fn launch(programs: PathBuf) -> Result<Self> {
        let directory = TempDir::with_prefix("spotpool-")?;
        let pki = Pki::new(directory.path())?;
        let etcd = launch_etcd(&programs, directory.path())?;
        let mut this = Self {
            controller_manager: None,
            apiserver: None,
            etcd,
            port: free_port()?,
            pki,
            programs,
            directory,
        };
        this.apiserver = Some(this.launch_apiserver()?);
        let admin = this.kubeconfig_for("admin", Some("system:masters"))?;
        std::fs::rename(admin, this.kubeconfig_path())?;
        Ok(this)
    }

    fn launch_apiserver(&self) -> Result<Process> {
        let Certificate { certificate, key } = self.pki.server("kube-apiserver")?;
        let authority = self.pki.authority_file();
        let mut command = self.command("kube-apiserver");
        command
            .arg(format!(
                "--etcd-servers={}",
                etcd_url(self.directory.path())
            ))
            .arg(format!("--secure-port={}", self.port))
            .arg(format!("--tls-cert-file={}", certificate.display()))
            .arg(format!("--tls-private-key-file={}", key.display()))
            .arg(format!("--client-ca-file={}", authority.display()))
            .arg(format!(
                "--service-account-key-file={}",
                self.pki.token_checking_key_file().display()
            ))
            .arg(format!(
                "--service-account-signing-key-file={}",
                self.pki.token_signing_key_file().display()
            ))
            .args([
                "--bind-address=127.0.0.1",
                // Otherwise it looks for a default route, which a machine need not have.
                "--advertise-address=127.0.0.1",
                "--authorization-mode=RBAC",
                "--service-account-issuer=https://kubernetes.default.svc",
                "--service-cluster-ip-range=10.0.0.0/24",
                // There is no network in which pods could reach it.
                "--endpoint-reconciler-type=none",
                "--profiling=false",
            ]);
        Process::start(
            "kube-apiserver",
            command,
            &self.directory.path().join("kube-apiserver.log"),
        )
    }

    /// Waits until the API server says that it is ready and has made the namespace `default`, which it does a moment
    /// later.
    async fn ready(&mut self) -> Result<()> {
        let client = self.client().await?;
        let namespaces: Api<Namespace> = Api::all(client.clone());
        let start = Instant::now();
        loop {
            let request = http::Request::get("/readyz").body(Vec::new())?;
            if client.request_text(request).await.is_ok() && namespaces.get("default").await.is_ok()
            {
                return Ok(());
            }
            if !self.etcd.is_running() {
                return Err(self.etcd.failure("does not run"));
            }
            let apiserver = self.apiserver.as_mut().ok_or("the API server is stopped")?;
            if !apiserver.is_running() {
                return Err(apiserver.failure("does not run"));
            }
            if start.elapsed() > PATIENCE {
                let etcd = self.etcd.log_tail();
                return Err(super::error(format!(
                    "{}\n--- end of etcd's log\n{etcd}",
                    apiserver.failure("is not ready")
                )));
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.programs.join(program));
        command.current_dir(self.directory.path());
        command
    }
}

/// etcd behind sockets in the directory rather than on ports: fewer to collide, and nobody else
/// can write to it. It insists on advertising addresses; its only client and it alone know better.
fn launch_etcd(programs: &Path, directory: &Path) -> Result<Process> {
    let nowhere = "http://127.0.0.1:1";
    let mut command = Command::new(programs.join("etcd"));
    command
        .current_dir(directory)
        .arg(format!("--data-dir={}", directory.join("etcd").display()))
        .arg(format!("--listen-client-urls={}", etcd_url(directory)))
        .arg(format!(
            "--listen-peer-urls=unix://{}/etcd-peer.sock",
            directory.display()
        ))
        .arg(format!("--advertise-client-urls={nowhere}"))
        .arg(format!("--initial-advertise-peer-urls={nowhere}"))
        .arg(format!("--initial-cluster=default={nowhere}"))
        // The data need not survive a power cut.
        .args(["--unsafe-no-fsync", "--log-level=warn"]);
    Process::start("etcd", command, &directory.join("etcd.log"))
}

fn etcd_url(directory: &Path) -> String {
    format!("unix://{}/etcd.sock", directory.display())
}

/// The directory with the programs, asked for once in a process.
async fn programs() -> Result<PathBuf> {
    static PROGRAMS: OnceCell<PathBuf> = OnceCell::const_new();
    let found = PROGRAMS.get_or_try_init(|| async {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/control-plane/prepare.sh");
        let output = tokio::process::Command::new(&script)
            .stdin(Stdio::null())
            .stderr(Stdio::inherit())
            .output()
            .await
            .map_err(|error| format!("cannot run {}: {error}", script.display()))?;
        if output.status.success() {
            Ok(PathBuf::from(
                String::from_utf8_lossy(&output.stdout).trim(),
            ))
        } else {
            Err(super::error(format!(
                "{} failed; it says above why",
                script.display()
            )))
        }
    });
    Ok(found.await?.clone())
}
