//! The flags that say which Azure is called, as whom, and whom to trust on the way.
//!
//! In come flags and their environment variables; out come [`AzureOptions`], or an error that says which flag to change.

use std::path::PathBuf;

use clap::{ArgAction, Args, ValueEnum};
use reqwest::Url;

use crate::azure::{AzureOptions, CredentialKind, Environment, Now, SetupError, parse_authority};

/// Where Azure is and who we are to it.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Azure")]
pub struct AzureArgs {
    /// Which Azure. Default: custom where --azure-endpoint is given, public otherwise
    #[arg(long, env = "SPOTPOOL_AZURE_CLOUD", value_enum, value_name = "CLOUD")]
    azure_cloud: Option<Cloud>,
    /// Resource Manager of a custom cloud. Plain http is accepted on loopback only, for the simulator
    #[arg(long, env = "SPOTPOOL_AZURE_ENDPOINT", value_name = "URL", value_parser = AzureOptions::parse_endpoint)]
    azure_endpoint: Option<Url>,
    /// Login host of a custom cloud. Default: AZURE_AUTHORITY_HOST, or that of the public cloud
    #[arg(long, env = "SPOTPOOL_AZURE_AUTHORITY", value_name = "URL", value_parser = parse_authority)]
    azure_authority: Option<Url>,
    /// For whom tokens of a custom cloud are asked. Default: its endpoint
    #[arg(long, env = "SPOTPOOL_AZURE_AUDIENCE", value_name = "URI")]
    azure_audience: Option<String>,
    /// Certificate authorities in PEM that are trusted for Azure's hosts instead of the system's. Read at the start
    #[arg(long, env = "SPOTPOOL_AZURE_CA_FILE", value_name = "FILE")]
    azure_ca_file: Option<PathBuf>,
    /// Where the operator's own Azure identity comes from
    #[arg(long, env = "SPOTPOOL_CREDENTIALS", value_enum, default_value_t = Credentials::Auto, value_name = "KIND")]
    credentials: Credentials,
    /// Whether pools without spec.credentials are looked after with the operator's own identity
    #[arg(long, env = "SPOTPOOL_ALLOW_OPERATOR_IDENTITY", action = ArgAction::Set, default_value_t = true, value_name = "BOOL")]
    allow_operator_identity: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Cloud {
    /// The Azure that nearly everybody means
    Public,
    /// Azure Government (United States)
    Usgovernment,
    /// Azure in China, operated by 21Vianet
    China,
    /// The one that the other --azure flags describe
    Custom,
}

/// Where tokens come from.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Credentials {
    /// By the environment: workload identity, else client secret, else client certificate, else (in a cluster) managed identity, else developer tools
    Auto,
    /// A service account that Entra ID trusts (AZURE_CLIENT_ID, AZURE_TENANT_ID, AZURE_FEDERATED_TOKEN_FILE)
    WorkloadIdentity,
    /// The identity of the node; a user-assigned one by AZURE_CLIENT_ID
    ManagedIdentity,
    /// An application's secret (AZURE_TENANT_ID, AZURE_CLIENT_ID, and AZURE_CLIENT_SECRET_FILE or AZURE_CLIENT_SECRET)
    ClientSecret,
    /// An application's certificate with its RSA key in PEM (AZURE_TENANT_ID, AZURE_CLIENT_ID, AZURE_CLIENT_CERTIFICATE_PATH)
    ClientCertificate,
    /// The login of az or azd
    Developer,
}

/// Why the flags do not go together.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A flag for a custom cloud, and another cloud.
    #[error("{flag} describes a custom cloud: leave it out, or set --azure-cloud custom")]
    NotCustom {
        /// The flag.
        flag: &'static str,
    },
    /// A custom cloud without an address.
    #[error(
        "--azure-cloud custom needs --azure-endpoint, such as https://management.local.azurestack.external"
    )]
    NoEndpoint,
    /// The authorities cannot be read.
    #[error("--azure-ca-file {file}: {error}", file = file.display())]
    CaFile {
        /// Which file.
        file: PathBuf,
        /// What the system says.
        error: std::io::Error,
    },
    /// An address that cannot be used.
    #[error("{0}")]
    Setup(#[from] SetupError),
    /// The environment's login host cannot be used.
    #[error("AZURE_AUTHORITY_HOST: {0}")]
    AuthorityHost(#[source] SetupError),
}

impl AzureArgs {
    /// What the flags say.
    ///
    /// # Errors
    /// When they do not go together.
    pub fn options(&self, now: Now) -> Result<AzureOptions, Error> {
        let host = std::env::var("AZURE_AUTHORITY_HOST").ok();
        let environment = self.environment(host.as_deref())?;
        let roots = self.azure_ca_file.as_ref().map(|file| {
            std::fs::read(file).map_err(|error| Error::CaFile {
                file: file.clone(),
                error,
            })
        });
        Ok(AzureOptions {
            roots: roots.transpose()?,
            credential: if self.allow_operator_identity {
                self.credentials.into()
            } else {
                CredentialKind::Nobody
            },
            ..AzureOptions::towards(environment, now)
        })
    }

    fn environment(&self, authority_host: Option<&str>) -> Result<Environment, Error> {
        let described = [
            ("--azure-endpoint", self.azure_endpoint.is_some()),
            ("--azure-authority", self.azure_authority.is_some()),
            ("--azure-audience", self.azure_audience.is_some()),
        ];
        let cloud = self.azure_cloud.unwrap_or(match self.azure_endpoint {
            Some(_) => Cloud::Custom,
            None => Cloud::Public,
        });
        if let Some((flag, _)) = described.iter().find(|(_, given)| *given)
            && cloud != Cloud::Custom
        {
            return Err(Error::NotCustom { flag });
        }
        Ok(match cloud {
            Cloud::Public => Environment::public(),
            Cloud::Usgovernment => Environment::us_government(),
            Cloud::China => Environment::china(),
            Cloud::Custom => {
                let endpoint = self.azure_endpoint.clone().ok_or(Error::NoEndpoint)?;
                // What the webhook of Azure Workload Identity sets, and all of Azure's SDKs read.
                let authority = match (&self.azure_authority, authority_host) {
                    (Some(url), _) => Some(url.clone()),
                    (None, Some(host)) if !host.is_empty() => {
                        Some(parse_authority(host).map_err(Error::AuthorityHost)?)
                    }
                    (None, _) => None,
                };
                Environment::custom(endpoint, authority, self.azure_audience.clone())?
            }
        })
    }
}

impl From<Credentials> for CredentialKind {
    fn from(credentials: Credentials) -> Self {
        match credentials {
            Credentials::Auto => Self::Auto,
            Credentials::WorkloadIdentity => Self::WorkloadIdentity,
            Credentials::ManagedIdentity => Self::ManagedIdentity,
            Credentials::ClientSecret => Self::ClientSecret,
            Credentials::ClientCertificate => Self::ClientCertificate,
            Credentials::Developer => Self::DeveloperTools,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Only {
        #[command(flatten)]
        azure: AzureArgs,
    }

    fn environment(flags: &[&str], host: Option<&str>) -> Result<Environment, String> {
        let only = Only::try_parse_from([&["spotpool"], flags].concat());
        let only = only.map_err(|error| error.to_string())?;
        only.azure
            .environment(host)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn a_cloud_has_a_name_or_is_described() {
        let custom = |endpoint, authority: &str| {
            let url = |text| Url::parse(text).unwrap();
            Environment::custom(url(endpoint), Some(url(authority)), None).unwrap()
        };
        for (flags, host, wanted) in [
            (&[][..], None, Environment::public()),
            (
                &["--azure-cloud", "public"],
                Some("https://login.example.com"),
                Environment::public(),
            ),
            (
                &["--azure-cloud", "usgovernment"],
                None,
                Environment::us_government(),
            ),
            (&["--azure-cloud", "china"], None, Environment::china()),
            (
                &["--azure-endpoint", "https://arm.example.com"],
                Some("https://login.example.com/"),
                custom("https://arm.example.com", "https://login.example.com/"),
            ),
            (
                &[
                    "--azure-cloud",
                    "custom",
                    "--azure-endpoint",
                    "https://arm.example.com",
                    "--azure-authority",
                    "https://adfs.example.com",
                ],
                Some("https://login.example.com"),
                custom("https://arm.example.com", "https://adfs.example.com"),
            ),
        ] {
            assert_eq!(environment(flags, host), Ok(wanted), "{flags:?}");
        }
    }

    #[test]
    fn flags_that_contradict_each_other_say_which_to_change() {
        for (flags, host, word) in [
            (
                &[
                    "--azure-cloud",
                    "china",
                    "--azure-endpoint",
                    "https://arm.example.com",
                ][..],
                None,
                "--azure-endpoint describes a custom cloud",
            ),
            (
                &["--azure-authority", "https://login.example.com"],
                None,
                "set --azure-cloud custom",
            ),
            (&["--azure-cloud", "custom"], None, "needs --azure-endpoint"),
            (
                &["--azure-endpoint", "http://arm.example.com"],
                None,
                "must use https",
            ),
            (
                &["--azure-endpoint", "https://arm.example.com"],
                Some("http://login.example.com"),
                "AZURE_AUTHORITY_HOST: the Azure login host",
            ),
        ] {
            let error = environment(flags, host).unwrap_err();
            assert!(error.contains(word), "{flags:?}: {error}");
        }
    }
}
