//! The whole machine: a real control plane, the simulated Azure, and the controller's own program, on loopback.
//!
//! In goes how fast Azure's time runs and how patient the controller is, out comes a handle to apply pools, evict
//! instances, break things and ask both sides what they see. Everything ends with the handle.

use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

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

/// The simulated Azure.
pub struct Azure {
    /// Such as `http://127.0.0.1:4711`.
    pub url: String,
    /// Over TLS, the authority that vouches for it.
    pub authority: Option<PathBuf>,
    process: Process,
    http: reqwest::Client,
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
        let (plane, azure) =
            tokio::try_join!(ControlPlane::start(), Azure::start_somewhere(&settings))?;
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
        Ok(self
            .azure
            .http
            .get(url)
            .send()
            .await?
            .error_for_status()?
            .text()
            .await?)
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

impl Azure {
    async fn start_somewhere(settings: &Settings) -> Result<Self> {
        let directory = tempfile::Builder::new()
            .prefix("spotpool-azure-")
            .tempdir()?
            .keep();
        let port = free_port()?;
        let mut command = Command::new(spotpool_binary()?);
        command
            .arg("simulator")
            .args(["--listen", &format!("127.0.0.1:{port}")])
            .args(["--speed", &settings.speed.to_string()])
            .args(&settings.simulator);
        if let Some(log) = traffic_log(port) {
            command.arg("--log").arg(log);
        }
        if settings.tls {
            command.arg("--tls-dir").arg(&directory);
        }
        let mut process = Process::start(
            "spotpool simulator",
            command,
            &directory.join("simulator.log"),
        )?;
        // reqwest panics when a client is built before a TLS provider is chosen; a second choice is refused and harmless.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let scheme = if settings.tls { "https" } else { "http" };
        let url = format!("{scheme}://127.0.0.1:{port}");
        let authority = settings.tls.then(|| directory.join("ca.pem"));
        let started = Instant::now();
        while authority.as_ref().is_some_and(|file| !file.exists()) {
            if !process.is_running() || started.elapsed() > Duration::from_secs(15) {
                return Err(process.failure("the simulator wrote no certificate"));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let mut http = reqwest::Client::builder().timeout(Duration::from_secs(20));
        if let Some(file) = &authority {
            http = http.tls_certs_only([reqwest::Certificate::from_pem(&std::fs::read(file)?)?]);
        }
        let http = http.build()?;
        while http
            .get(format!("{url}/control/state"))
            .send()
            .await
            .is_err()
        {
            if !process.is_running() || started.elapsed() > Duration::from_secs(15) {
                return Err(process.failure("the simulator is not ready"));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(Self {
            url,
            authority,
            process,
            http,
        })
    }

    /// Leaves it running after the handle is gone; its number for the operating system.
    pub fn leave_running(self) -> u32 {
        self.process.leave_running()
    }

    /// One call of the control API.
    ///
    /// # Errors
    /// If it is refused, with its sentence.
    pub async fn control(&self, path: &str, body: &Value) -> Result<Value> {
        let answer = self
            .http
            .post(format!("{}/control/{path}", self.url))
            .body(body.to_string())
            .send()
            .await?;
        let (status, text) = (answer.status(), answer.text().await?);
        if !status.is_success() {
            return Err(error(format!("/control/{path} {body}: {text}")));
        }
        Ok(serde_json::from_str(&text)?)
    }

    /// No faults any more.
    ///
    /// # Errors
    /// If the simulator does not answer.
    pub async fn clear_faults(&self) -> Result<()> {
        self.http
            .delete(format!("{}/control/faults", self.url))
            .send()
            .await?
            .error_for_status()?;
        Ok(())
    }

    /// What the login host knows: rules, and how often which application asked.
    ///
    /// # Errors
    /// If it does not answer.
    pub async fn logins(&self) -> Result<Value> {
        let url = format!("{}/control/login", self.url);
        Ok(serde_json::from_str(
            &self.http.get(url).send().await?.text().await?,
        )?)
    }

    /// Azure takes so many Spot instances of a set; their names.
    ///
    /// # Errors
    /// If there is no such set.
    pub async fn evict(&self, set: &str, count: usize) -> Result<Vec<String>> {
        let answer = self
            .control("evict", &json!({"scaleSet": set, "count": count}))
            .await?;
        Ok(serde_json::from_value(answer["evicted"].clone())?)
    }

    /// Everything it knows.
    ///
    /// # Errors
    /// If it does not answer.
    pub async fn state(&self) -> Result<Value> {
        let text = self
            .http
            .get(format!("{}/control/state", self.url))
            .send()
            .await?
            .text()
            .await?;
        Ok(serde_json::from_str(&text)?)
    }

    /// The same, with the events after number `since` only.
    ///
    /// # Errors
    /// If it does not answer.
    pub async fn state_since(&self, since: u64) -> Result<Value> {
        let url = format!("{}/control/state?since={since}", self.url);
        Ok(serde_json::from_str(
            &self.http.get(url).send().await?.text().await?,
        )?)
    }

    /// One scale set; empty when there is none.
    ///
    /// # Errors
    /// If the simulator does not answer.
    pub async fn set(&self, name: &str) -> Result<Set> {
        let state = self.state().await?;
        let found = state["scaleSets"]
            .as_array()
            .into_iter()
            .flatten()
            .find(|set| set["name"] == name);
        Ok(Set(found.cloned().unwrap_or(Value::Null)))
    }

    /// How many instances were ever made in a scale set.
    ///
    /// # Errors
    /// If the simulator does not answer.
    pub async fn created(&self, set: &str) -> Result<usize> {
        let state = self.state().await?;
        let made = |event: &&Value| event["scaleSet"] == set && event["kind"] == "InstanceCreating";
        let events = state["events"].as_array().into_iter().flatten();
        Ok(events.filter(made).count())
    }

    /// Every request so far with its answer.
    ///
    /// # Errors
    /// If the simulator does not answer.
    pub async fn log(&self) -> Result<Vec<Value>> {
        let text = self
            .http
            .get(format!("{}/control/log", self.url))
            .send()
            .await?
            .text()
            .await?;
        text.lines()
            .map(|line| Ok(serde_json::from_str(line)?))
            .collect()
    }

    /// A request as any client of ARM would send it; `null` is no body.
    ///
    /// # Errors
    /// If there is no answer.
    pub async fn arm(&self, method: &str, path: &str, body: &Value) -> Result<(u16, Value)> {
        let url = format!("{}{path}?api-version=2024-07-01", self.url);
        let method: reqwest::Method = method.parse()?;
        let mut request = self.http.request(method, url).bearer_auth("test");
        if !body.is_null() {
            request = request
                .header("content-type", "application/json")
                .body(body.to_string());
        }
        let answer = request.send().await?;
        let (status, text) = (answer.status().as_u16(), answer.text().await?);
        Ok((status, serde_json::from_str(&text).unwrap_or(Value::Null)))
    }
}

/// Where the simulator on this port records what it is asked and answers: a file of the test's own in the directory that `SPOTPOOL_TRAFFIC`
/// names, for `make schemas` to read.
fn traffic_log(port: u16) -> Option<PathBuf> {
    let directory = PathBuf::from(std::env::var_os("SPOTPOOL_TRAFFIC")?);
    let thread = std::thread::current();
    let test = thread.name().unwrap_or("main").replace("::", ".");
    Some(directory.join(format!("{test}-{}-{port}.jsonl", std::process::id())))
}

/// A scale set as the simulator's control API tells it.
#[derive(Clone, Debug, PartialEq)]
pub struct Set(pub Value);

impl Set {
    /// Whether it exists.
    pub fn exists(&self) -> bool {
        !self.0.is_null()
    }

    fn instances(&self) -> impl Iterator<Item = &Value> {
        self.0["instances"].as_array().into_iter().flatten()
    }

    /// How many of a priority (`Spot`, `Regular`) run.
    pub fn running(&self, priority: &str) -> usize {
        self.instances()
            .filter(|one| one["priority"] == priority && one["state"] == "running")
            .count()
    }

    /// How many of a priority are being created.
    pub fn starting(&self, priority: &str) -> usize {
        self.instances()
            .filter(|one| one["priority"] == priority && one["state"] == "creating")
            .count()
    }

    /// How many exist and are not on their way out.
    pub fn held(&self) -> usize {
        let leaving = |one: &&Value| matches!(one["state"].as_str(), Some("evicted" | "deleting"));
        self.instances().filter(|one| !leaving(one)).count()
    }

    /// The names of all that exist.
    pub fn names(&self) -> Vec<String> {
        self.instances()
            .filter_map(|one| one["name"].as_str())
            .map(str::to_owned)
            .collect()
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
