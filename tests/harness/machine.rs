//! The whole machine: a real control plane, the simulated Azure, and the controller's own program, on loopback.
//!
//! In goes how fast Azure's time runs and how patient the controller is, out comes a handle to apply pools, evict
//! instances, break things and ask both sides what they see. Everything ends with the handle.

use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::azure::{Azure, Set};
use super::control_plane::ControlPlane;
use super::ports::free_port;
use super::process::Process;
use super::spotpool::spotpool_binary;
use super::{Result, error};

/// How the machine runs.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Simulated seconds a second.
    pub speed: f64,
    /// `--look-every`.
    pub look_every: &'static str,
    /// `--settle`.
    pub settle: &'static str,
    /// `--motion`.
    pub motion: &'static str,
    /// `--log`.
    pub log: &'static str,
    /// More arguments for the simulator.
    pub simulator: Vec<String>,
    /// More arguments for the controller.
    pub controller: Vec<String>,
    /// More variables in the controller's environment.
    pub environment: Vec<(&'static str, String)>,
    /// Azure is reached over TLS, and takes no tokens but those of its own login host.
    pub tls: bool,
}

impl Default for Settings {
    /// Azure sixty times faster than in reality; the controller as patient as its defaults, in simulated time.
    fn default() -> Self {
        Self {
            speed: 60.0,
            look_every: "500ms",
            settle: "1s",
            motion: "100ms",
            log: "info,spotpool=debug",
            simulator: Vec::new(),
            controller: Vec::new(),
            environment: Vec::new(),
            tls: false,
        }
    }
}

/// The parts, running.
pub struct Machine {
    /// Kubernetes.
    pub plane: ControlPlane,
    /// Azure.
    pub azure: Azure,
    settings: Settings,
    kubeconfig: PathBuf,
    controller: Option<Process>,
    port: u16,
}

impl Machine {
    /// Everything up: CRD installed, controller running as the administrator.
    ///
    /// # Errors
    /// If a part does not start.
    pub async fn start(settings: Settings) -> Result<Self> {
        let mut machine = Self::without_controller(settings).await?;
        machine.plane.apply_definition().await?;
        machine.start_controller().await?;
        Ok(machine)
    }

    /// Control plane and Azure only.
    ///
    /// # Errors
    /// If a part does not start.
    pub async fn without_controller(settings: Settings) -> Result<Self> {
        let (plane, azure) = tokio::try_join!(ControlPlane::start(), Azure::start(&settings))?;
        let kubeconfig = plane.kubeconfig_path();
        Ok(Self {
            plane,
            azure,
            settings,
            kubeconfig,
            controller: None,
            port: 0,
        })
    }

    /// From its next start on, the controller has these variables in its environment.
    pub fn set_environment(&mut self, environment: Vec<(&'static str, String)>) {
        self.settings.environment = environment;
    }

    /// From now on the controller is this user.
    pub fn become_user(&mut self, kubeconfig: PathBuf) {
        self.kubeconfig = kubeconfig;
    }

    /// Starts the controller and waits until it says that it is ready.
    ///
    /// # Errors
    /// If it ends or is not ready within half a minute.
    pub async fn start_controller(&mut self) -> Result<()> {
        self.port = free_port()?;
        let mut command = Command::new(spotpool_binary()?);
        command
            .arg("controller")
            .args(["--azure-endpoint", &self.azure.url])
            .args(["--listen", &format!("127.0.0.1:{}", self.port)])
            .args(["--look-every", self.settings.look_every])
            .args(["--settle", self.settings.settle])
            .args(["--motion", self.settings.motion])
            .args(["--log", self.settings.log])
            .args(&self.settings.controller)
            .envs(self.settings.environment.iter().cloned())
            .env("KUBECONFIG", &self.kubeconfig);
        if let Some(authority) = &self.azure.authority {
            command.args(["--azure-authority", &self.azure.url]);
            command.arg("--azure-ca-file").arg(authority);
        }
        let log = self.plane.directory().join("controller.log");
        let mut process = Process::start("spotpool controller", command, &log)?;
        let started = Instant::now();
        loop {
            if self.metrics_page("readyz").await.is_ok() {
                break;
            }
            if !process.is_running() || started.elapsed() > Duration::from_secs(30) {
                return Err(process.failure("the controller is not ready"));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        self.controller = Some(process);
        Ok(())
    }

    /// The controller dies at once, without a chance to say goodbye.
    ///
    /// # Errors
    /// If there is none.
    pub fn kill_controller(&mut self) -> Result<()> {
        let mut process = self.controller.take().ok_or("there is no controller")?;
        process.kill_9()?;
        Ok(())
    }

    /// The controller is asked to end, and does.
    ///
    /// # Errors
    /// If it takes longer than its own deadline.
    pub async fn stop_controller(&mut self) -> Result<std::process::ExitStatus> {
        let mut process = self.controller.take().ok_or("there is no controller")?;
        process.terminate()?;
        process.wait(Duration::from_secs(20)).await
    }

    /// Leaves everything running after the handle is gone.
    pub fn leave_running(self) -> super::control_plane::LeftRunning {
        let mut left = self.plane.leave_running();
        left.processes.push(self.azure.leave_running());
        left.processes
            .extend(self.controller.map(Process::leave_running));
        left
    }

    /// Its number for the operating system.
    pub fn controller_pid(&self) -> Option<u32> {
        self.controller.as_ref().map(Process::id)
    }

    /// All that the controller has logged.
    pub fn controller_log(&self) -> String {
        std::fs::read_to_string(self.plane.directory().join("controller.log")).unwrap_or_default()
    }

    /// A page of the controller's own server: `metrics`, `healthz`, `readyz`.
    ///
    /// # Errors
    /// If it does not answer 200.
    pub async fn metrics_page(&self, page: &str) -> Result<String> {
        let url = format!("http://127.0.0.1:{}/{page}", self.port);
        let answer = reqwest::get(url).await?;
        Ok(answer.error_for_status()?.text().await?)
    }

    /// kubectl as the administrator; what it printed, or what went wrong.
    ///
    /// # Errors
    /// If it did not succeed.
    pub async fn kubectl(&self, args: &[&str]) -> Result<String> {
        self.plane.kubectl(args).await?.ok()
    }

    /// Applies a pool and returns what kubectl said.
    ///
    /// # Errors
    /// If it was refused.
    pub async fn apply(&self, manifest: &Value) -> Result<String> {
        let said = self
            .plane
            .kubectl_as(
                &self.plane.kubeconfig_path(),
                ["apply", "-f", "-"],
                &manifest.to_string(),
            )
            .await?;
        said.ok()
    }

    /// A pool as the API server has it.
    ///
    /// # Errors
    /// If there is none.
    pub async fn pool(&self, name: &str) -> Result<Value> {
        Ok(serde_json::from_str(
            &self
                .kubectl(&["get", "spotpool", name, "-o", "json"])
                .await?,
        )?)
    }

    /// Waits until `holds` says yes for the pool and its scale set, and shows both when it never does.
    ///
    /// # Errors
    /// If it does not within the deadline.
    pub async fn until(
        &self,
        pool: &str,
        what: &str,
        within: Duration,
        holds: impl Fn(&Value, &Set) -> bool,
    ) -> Result<Value> {
        let started = Instant::now();
        loop {
            let now = self.pool(pool).await.unwrap_or(Value::Null);
            let set = self.azure.set(pool).await?;
            if holds(&now, &set) {
                return Ok(now);
            }
            if started.elapsed() > within {
                let status = serde_json::to_string_pretty(&now["status"])?;
                let log = super::process::tail(&self.plane.directory().join("controller.log"));
                return Err(error(format!(
                    "{pool} did not come to this within {within:?}: {what}\nscale set: {set:?}\nstatus: {status}\ncontroller:\n{log}"
                )));
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Waits until the pool is Ready and exactly as declared.
    ///
    /// # Errors
    /// If it is not within a minute.
    pub async fn until_as_declared(
        &self,
        pool: &str,
        spot: usize,
        regular: usize,
    ) -> Result<Value> {
        let what = format!(
            "{spot} Spot and {regular} regular instances run, nothing else, and the status says so"
        );
        self.until(pool, &what, Duration::from_secs(60), |now, set| {
            let told = (
                now["status"]["spot"]["running"].as_u64(),
                now["status"]["regular"]["running"].as_u64(),
            );
            set.running("Spot") == spot
                && set.running("Regular") == regular
                && set.held() == spot + regular
                && told == (Some(spot as u64), Some(regular as u64))
        })
        .await
    }
}

impl ControlPlane {
    /// Installs the definition of SpotPools and waits until it is served.
    ///
    /// # Errors
    /// If it is refused.
    pub async fn apply_definition(&self) -> Result<()> {
        let file = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/crds/spotpool.io_spotpools.yaml"
        );
        self.kubectl(["apply", "--server-side", "-f", file])
            .await?
            .ok()?;
        let crd = "crd/spotpools.spotpool.io";
        self.kubectl(["wait", "--for=condition=Established", crd, "--timeout=30s"])
            .await?
            .ok()?;
        Ok(())
    }
}

/// A pool that the API server accepts.
pub fn manifest(name: &str, spot: u32, regular: u32) -> Value {
    json!({
        "apiVersion": "spotpool.io/v1alpha1", "kind": "SpotPool",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {
            "subscriptionID": "11111111-1111-1111-1111-111111111111", "resourceGroup": "batch-rg", "location": "eastus",
            "capacity": {"spot": spot, "regular": regular},
            "vmSizes": [{"name": "Standard_D4s_v5"}],
            "template": {
                "image": {"marketplace": {"publisher": "Canonical", "offer": "ubuntu-24_04-lts", "sku": "server", "version": "latest"}},
                "admin": {"username": "azureuser", "sshPublicKeys": ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ2rAMuZ8NQUhRU6Md4TJtvzuQEFvY3TqyH0YqU0WcMt render@example"]},
                "network": {"subnetID": "/subscriptions/11111111-1111-1111-1111-111111111111/resourceGroups/net/providers/Microsoft.Network/virtualNetworks/vnet/subnets/batch"},
            },
        },
    })
}

/// The status (`True`, `False`, `Unknown`) and reason of a condition; both empty when it is absent.
pub fn condition<'a>(pool: &'a Value, kind: &str) -> (&'a str, &'a str) {
    let found = pool["status"]["conditions"]
        .as_array()
        .into_iter()
        .flatten()
        .find(|one| one["type"] == kind);
    found.map_or(("", ""), |one| {
        (
            one["status"].as_str().unwrap_or(""),
            one["reason"].as_str().unwrap_or(""),
        )
    })
}
