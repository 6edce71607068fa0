//! Ways to talk to a [`ControlPlane`]: kubeconfigs for the administrator, for users and for service accounts, a client,
//! and kubectl.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::api::{Api, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use tokio::io::AsyncWriteExt;

use super::control_plane::ControlPlane;
use super::pki::Certificate;
use super::{Result, error};

/// What a command said.
#[derive(Debug, Clone)]
pub struct Said {
    /// Whether it ended with exit code 0.
    pub success: bool,
    /// Its standard output.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
}

impl Said {
    /// Its standard output.
    ///
    /// # Errors
    /// With its standard error, if it did not succeed.
    pub fn ok(self) -> Result<String> {
        if self.success {
            Ok(self.stdout)
        } else {
            Err(error(format!("kubectl failed: {}", self.stderr.trim())))
        }
    }
}

impl ControlPlane {
    /// The administrator's kubeconfig (`system:masters`).
    pub fn kubeconfig_path(&self) -> PathBuf {
        self.directory().join("admin.kubeconfig")
    }

    /// A kubeconfig with a client certificate for `user`, in `group` (and always in `system:authenticated`).
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn kubeconfig_for(&self, user: &str, group: Option<&str>) -> Result<PathBuf> {
        let file = file_name(&format!(
            "{user}{}",
            group.map(|group| format!("@{group}")).unwrap_or_default()
        ));
        let Certificate { certificate, key } = self.pki.client(&file, user, group)?;
        self.write_kubeconfig(
            &file,
            &format!(
                "client-certificate: {}\n    client-key: {}",
                certificate.display(),
                key.display()
            ),
        )
    }

    /// A kubeconfig with a token of an existing service account, valid for an hour: what a pod would be given.
    ///
    /// # Errors
    /// If the service account does not exist.
    pub async fn kubeconfig_for_service_account(
        &self,
        namespace: &str,
        name: &str,
    ) -> Result<PathBuf> {
        let accounts: Api<ServiceAccount> = Api::namespaced(self.client().await?, namespace);
        let request = TokenRequest {
            spec: TokenRequestSpec {
                expiration_seconds: Some(3600),
                ..TokenRequestSpec::default()
            },
            ..TokenRequest::default()
        };
        let answer = accounts
            .create_token_request(name, &PostParams::default(), &request)
            .await?;
        let token = answer
            .status
            .ok_or("the API server answered without a token")?
            .token;
        self.write_kubeconfig(
            &file_name(&format!("{namespace}.{name}")),
            &format!("token: {token}"),
        )
    }

    /// The administrator's client.
    ///
    /// # Errors
    /// If the client cannot be made; it has not talked to the server yet.
    pub async fn client(&self) -> Result<kube::Client> {
        client_of(&self.kubeconfig_path()).await
    }

    /// The `kubectl` that goes with the server.
    pub fn kubectl_path(&self) -> PathBuf {
        self.programs.join("kubectl")
    }

    /// Runs kubectl as the administrator, and tells what it said whether it succeeded or not.
    ///
    /// # Errors
    /// If it cannot be run at all.
    pub async fn kubectl<I: IntoIterator<Item: AsRef<OsStr>>>(&self, args: I) -> Result<Said> {
        self.kubectl_as(&self.kubeconfig_path(), args, "").await
    }

    /// Runs kubectl with a kubeconfig of this control plane, and `input` as its standard input (for `-f -`).
    ///
    /// # Errors
    /// If it cannot be run at all.
    pub async fn kubectl_as<I>(&self, kubeconfig: &Path, args: I, input: &str) -> Result<Said>
    where
        I: IntoIterator<Item: AsRef<OsStr>>,
    {
        let mut child = tokio::process::Command::new(self.kubectl_path())
            .args(args)
            .env("KUBECONFIG", kubeconfig)
            .env("KUBECACHEDIR", self.directory().join("kubectl-cache"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let mut stdin = child.stdin.take().ok_or("kubectl has no standard input")?;
        // A kubectl that refuses its arguments does not read; what it says is the answer then.
        let (_, output) = tokio::join!(
            async move {
                let written = stdin.write_all(input.as_bytes()).await;
                drop(stdin);
                written
            },
            child.wait_with_output()
        );
        let output = output?;
        Ok(Said {
            success: output.status.success(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        })
    }

    fn write_kubeconfig(&self, name: &str, user: &str) -> Result<PathBuf> {
        let path = self.directory().join(format!("{name}.kubeconfig"));
        let text = format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: spotpool\n\
             clusters:\n- name: spotpool\n  cluster:\n    server: {}\n    certificate-authority: {}\n\
             users:\n- name: {name}\n  user:\n    {user}\n\
             contexts:\n- name: spotpool\n  context: {{cluster: spotpool, user: {name}, namespace: default}}\n",
            self.url(),
            self.pki.authority_file().display()
        );
        std::fs::write(&path, text)?;
        Ok(path)
    }
}

/// A client that uses the given kubeconfig, and no proxy: everything is on loopback.
///
/// # Errors
/// If the file cannot be read or used.
pub async fn client_of(kubeconfig: &Path) -> Result<kube::Client> {
    let file = Kubeconfig::read_from(kubeconfig)?;
    let mut config =
        kube::Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await?;
    config.proxy_url = None;
    Ok(kube::Client::try_from(config)?)
}

/// A user's name as a file name: `system:kube-scheduler` has a colon, others may have worse.
fn file_name(user: &str) -> String {
    user.chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || "-.@".contains(c) {
                c
            } else {
                '_'
            }
        })
        .collect()
}
