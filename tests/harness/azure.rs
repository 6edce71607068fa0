//! The simulated Azure: its own program on loopback, and a handle to break it, to ask what it has, and to call it as Resource Manager.

use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::machine::Settings;
use super::ports::free_port;
use super::process::Process;
use super::spotpool::spotpool_binary;
use super::{Result, error};

/// The simulated Azure.
pub struct Azure {
    /// Such as `http://127.0.0.1:4711`.
    pub url: String,
    /// Over TLS, the authority that vouches for it.
    pub authority: Option<PathBuf>,
    process: Process,
    http: reqwest::Client,
}

impl Azure {
    /// Starts it on a free port and waits until it answers.
    ///
    /// # Errors
    /// If it does not start.
    pub async fn start(settings: &Settings) -> Result<Self> {
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

    /// What the control API says of something.
    async fn tells(&self, what: &str) -> Result<String> {
        let url = format!("{}/control/{what}", self.url);
        Ok(self.http.get(url).send().await?.text().await?)
    }

    /// Everything it knows.
    ///
    /// # Errors
    /// If it does not answer.
    pub async fn state(&self) -> Result<Value> {
        Ok(serde_json::from_str(&self.tells("state").await?)?)
    }

    /// The same, with the events after number `since` only.
    ///
    /// # Errors
    /// If it does not answer.
    pub async fn state_since(&self, since: u64) -> Result<Value> {
        let text = self.tells(&format!("state?since={since}")).await?;
        Ok(serde_json::from_str(&text)?)
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
        let text = self.tells("log").await?;
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
