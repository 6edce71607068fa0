//! Which Azure: the public one, one of the two others that Microsoft runs, or somebody's own.
//!
//! In: a choice on the command line. Out: an [`Environment`], the only hosts that are ever called: Resource Manager, and the login
//! host that gives tokens for it. Both are reached over https; plain http is for a simulator on loopback, which gets a dummy token.

use azure_core_legacy::{authority_hosts as login, resource_manager_endpoint as manager};
use reqwest::Url;

use super::options::{Reach, SetupError, check};

/// Whom a token of Kubernetes is meant for when it is exchanged for one of Azure (learn.microsoft.com: *Configure an application to trust
/// a managed identity*, a value for each cloud).
const EXCHANGE: &str = "api://AzureADTokenExchange";

/// The hosts of one Azure, and whom tokens are for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Environment {
    /// Resource Manager, such as `https://management.azure.com`.
    pub endpoint: Url,
    /// The login host, such as `https://login.microsoftonline.com`.
    pub authority: Url,
    /// For whom tokens are asked: Resource Manager itself, unless the endpoint is a proxy in front of it.
    pub audience: String,
    /// The audience of the tokens of ServiceAccounts.
    pub exchange_audience: String,
}

impl Environment {
    /// The Azure that nearly everybody means.
    pub fn public() -> Self {
        Self::run_by_microsoft(&manager::AZURE_PUBLIC_CLOUD, &login::AZURE_PUBLIC_CLOUD, "")
    }

    /// Azure Government (United States).
    pub fn us_government() -> Self {
        let hosts = (
            &manager::AZURE_US_GOVERNMENT_CLOUD,
            &login::AZURE_US_GOVERNMENT_CLOUD,
        );
        Self::run_by_microsoft(hosts.0, hosts.1, "USGov")
    }

    /// Azure in China, operated by 21Vianet.
    pub fn china() -> Self {
        Self::run_by_microsoft(
            &manager::AZURE_CHINA_CLOUD,
            &login::AZURE_CHINA_CLOUD,
            "China",
        )
    }

    /// Somebody's own Azure, or a way of their own to one of Microsoft's. What is not said is as in the public cloud, but for the audience,
    /// which is then the endpoint.
    ///
    /// # Errors
    /// When a secret must not be sent to one of the hosts.
    pub fn custom(
        endpoint: Url,
        authority: Option<Url>,
        audience: Option<String>,
    ) -> Result<Self, SetupError> {
        check(&endpoint)?;
        let authority = authority.unwrap_or(Self::public().authority);
        check_authority(&authority)?;
        let audience = audience.unwrap_or_else(|| endpoint.origin().ascii_serialization());
        Ok(Self {
            endpoint,
            authority,
            audience: audience.trim_end_matches('/').to_owned(),
            exchange_audience: EXCHANGE.to_owned(),
        })
    }

    fn run_by_microsoft(endpoint: &Url, authority: &Url, suffix: &str) -> Self {
        Self {
            endpoint: endpoint.clone(),
            authority: authority.clone(),
            // Resource Manager lists its own address among its audiences in all three [GET …/metadata/endpoints].
            audience: endpoint.origin().ascii_serialization(),
            exchange_audience: format!("{EXCHANGE}{suffix}"),
        }
    }

    /// The scope of tokens for Resource Manager.
    pub(super) fn scope(&self) -> String {
        format!("{}/.default", self.audience)
    }
}

/// Parses the address of a login host as given on the command line.
///
/// # Errors
/// When it is no URL, or one that a secret must not be sent to.
pub fn parse_authority(text: &str) -> Result<Url, SetupError> {
    let url = Url::parse(text).map_err(|error| SetupError::Authority {
        fact: format!("is no URL: {error}"),
    })?;
    check_authority(&url)?;
    Ok(url)
}

/// Secrets go there, so that not even loopback may be plain.
fn check_authority(authority: &Url) -> Result<(), SetupError> {
    match check(authority) {
        Ok(Reach::Encrypted) => Ok(()),
        Ok(Reach::PlainLoopback) => Err(SetupError::Authority {
            fact: format!("{authority} must use https: secrets are sent to it"),
        }),
        Err(SetupError::Endpoint { fact }) => Err(SetupError::Authority { fact }),
        Err(other) => Err(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_cloud_has_its_own_hosts_and_audiences() {
        for (cloud, endpoint, authority, exchange) in [
            (
                Environment::public(),
                "https://management.azure.com/",
                "https://login.microsoftonline.com/",
                "api://AzureADTokenExchange",
            ),
            (
                Environment::us_government(),
                "https://management.usgovcloudapi.net/",
                "https://login.microsoftonline.us/",
                "api://AzureADTokenExchangeUSGov",
            ),
            (
                Environment::china(),
                "https://management.chinacloudapi.cn/",
                "https://login.chinacloudapi.cn/",
                "api://AzureADTokenExchangeChina",
            ),
        ] {
            assert_eq!(cloud.endpoint.as_str(), endpoint);
            assert_eq!(cloud.authority.as_str(), authority);
            assert_eq!(cloud.scope(), format!("{endpoint}.default"));
            assert_eq!(cloud.exchange_audience, exchange);
        }
    }

    #[test]
    fn secrets_go_to_https_only() {
        for (authority, usable) in [
            ("https://login.example.com", true),
            ("https://127.0.0.1:8443/", true),
            ("http://127.0.0.1:8443", false),
            ("http://login.example.com", false),
            ("https://me:word@login.example.com", false),
            ("https://login.example.com/tenant", false),
            ("login.example.com", false),
        ] {
            assert_eq!(parse_authority(authority).is_ok(), usable, "{authority}");
        }
    }

    #[test]
    fn a_cloud_of_ones_own_defaults_to_itself_as_audience() {
        let url = |text| Url::parse(text).unwrap();
        let stack = Environment::custom(url("https://management.local.azurestack"), None, None);
        assert_eq!(
            stack.unwrap().scope(),
            "https://management.local.azurestack/.default"
        );
        let told = Environment::custom(
            url("https://proxy.example.com"),
            Some(url("https://login.example.com")),
            Some("https://management.azure.com/".to_owned()),
        );
        assert_eq!(
            told.unwrap().scope(),
            "https://management.azure.com/.default"
        );
    }
}
