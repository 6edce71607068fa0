//! The login host: Entra ID as far as an application's own login goes, and what tells clients where it is.
//!
//! ```text
//! GET  /metadata/endpoints?api-version=2022-09-01          where everything is (one object; a list before 2022)
//! GET  /{tenant}/v2.0/.well-known/openid-configuration     where a tenant's tokens come from; without v2.0 for adfs
//! POST /{tenant}/oauth2/v2.0/token                         client_credentials by secret, certificate or federated token
//! ```
//!
//! In: a request and the books ([`Logins`]). Out: a token that ends, or an error in Entra ID's words. Any tenant that is a GUID (or
//! `adfs`) exists, and any application in it, unless a rule of `/control/login` says more. Of signed tokens the claims are checked and
//! not the signatures: the simulator does not know who signs.

mod book;
mod jwt;

pub use book::{Logins, Refused, Rule};

use super::ids;
use super::state::State;
use super::wire::{Call, Reply, decoded};
use jwt::Jwt;
#[cfg(test)]
pub(super) use jwt::encode;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Whom federated tokens must be for; each cloud has its own ending.
const EXCHANGE: &str = "api://AzureADTokenExchange";
const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// What a path of the login host asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Ask {
    Endpoints,
    Configuration { tenant: String },
    Token { tenant: String },
}

/// What becomes of a request.
pub enum Answer {
    /// This is said.
    Said(Reply),
    /// The connection is cut.
    Cut,
    /// Nothing is ever said.
    Silence,
}

/// Whether the login host answers this path rather than ARM.
#[must_use]
pub fn is_asked(call: &Call) -> bool {
    ask(call).is_some()
}

fn ask(call: &Call) -> Option<Ask> {
    let path: Vec<String> = call.segments.iter().map(|s| s.to_lowercase()).collect();
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    let tenant = |name: &str| name.to_owned();
    Some(match path.as_slice() {
        ["metadata", "endpoints"] => Ask::Endpoints,
        [name, "v2.0", ".well-known", "openid-configuration"]
        | [name @ "adfs", ".well-known", "openid-configuration"] => Ask::Configuration {
            tenant: tenant(name),
        },
        [name, "oauth2", "v2.0", "token"] | [name @ "adfs", "oauth2", "token"] => Ask::Token {
            tenant: tenant(name),
        },
        _ => return None,
    })
}

/// Answers at the world's present moment.
pub fn answer(state: &mut State, call: &Call) -> Answer {
    let base = call.base();
    let said = |reply| Answer::Said(reply);
    match ask(call) {
        Some(Ask::Endpoints) => said(endpoints(call, &base)),
        Some(Ask::Configuration { tenant }) if exists(&tenant) => {
            said(configuration(&tenant, &base))
        }
        Some(Ask::Configuration { tenant }) => said(no_tenant(state, &tenant)),
        Some(Ask::Token { tenant }) => {
            let form = form(&call.body);
            let client = form.get("client_id").cloned().unwrap_or_default();
            let rule = state.logins.rule(&client);
            state.logins.asked(&client);
            if rule.hangs {
                return Answer::Silence;
            }
            if rule.offline {
                return Answer::Cut;
            }
            said(
                token(state, &tenant, &form, &rule, &base)
                    .unwrap_or_else(|error| error.reply(state)),
            )
        }
        None => said(Reply::not_simulated("this path of the login host")),
    }
}

fn exists(tenant: &str) -> bool {
    let guid = tenant.split('-').map(str::len).eq([8, 4, 4, 4, 12])
        && tenant.chars().all(|c| c == '-' || c.is_ascii_hexdigit());
    guid || tenant == "adfs"
}

fn endpoints(call: &Call, base: &str) -> Reply {
    let cloud = json!({
        "name": "SpotpoolSimulator",
        "resourceManager": base,
        "authentication": {"loginEndpoint": base, "audiences": [base, format!("{base}/")], "tenant": "common", "identityProvider": "AAD"},
        "portal": base, "gallery": base, "graph": base, "graphAudience": base, "media": base, "batch": base,
        "suffixes": {},
    });
    match call.parameter("api-version") {
        None => Reply::gateway(
            400,
            "MissingApiVersionParameter",
            "The api-version query parameter (?api-version=) is required for all requests.",
        ),
        // One object is what versions before 2022 give without an api-version, and a list of one what they give with it.
        Some(version) if version < "2022" => Reply::json(200, json!([cloud])),
        Some(_) => Reply::json(200, cloud),
    }
}

fn configuration(tenant: &str, base: &str) -> Reply {
    let root = format!("{base}/{tenant}");
    Reply::json(
        200,
        json!({
            "issuer": format!("{root}/v2.0"),
            "authorization_endpoint": format!("{root}/oauth2/v2.0/authorize"),
            "token_endpoint": format!("{root}/oauth2/v2.0/token"),
            "device_authorization_endpoint": format!("{root}/oauth2/v2.0/devicecode"),
            "jwks_uri": format!("{root}/discovery/v2.0/keys"),
            "token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt"],
            "response_types_supported": ["code", "token"],
            "subject_types_supported": ["pairwise"],
            "id_token_signing_alg_values_supported": ["RS256"],
        }),
    )
}

/// A no of Entra ID: its number, its sentence, and what OAuth calls it.
struct No(u32, String);

impl No {
    fn reply(self, state: &mut State) -> Reply {
        let Self(code, sentence) = self;
        refusal(state, &format!("AADSTS{code}: {sentence}"))
    }
}

fn no_tenant(state: &mut State, tenant: &str) -> Reply {
    let sentence = format!(
        "Tenant '{tenant}' not found. Check to make sure you have the correct tenant ID and are signing into the correct cloud."
    );
    No(90002, sentence).reply(state)
}

/// `AADSTS7000215: …` as a reply; a text without a number is somebody's mistake.
fn refusal(state: &mut State, text: &str) -> Reply {
    let number: String = text
        .trim_start_matches("AADSTS")
        .chars()
        .take_while(char::is_ascii_digit)
        .collect();
    let number: u32 = number.parse().unwrap_or(0);
    let (status, error) = match number {
        700016 => (400, "unauthorized_client"),
        90002 | 900144 => (400, "invalid_request"),
        70003 => (400, "unsupported_grant_type"),
        1002012 | 70011 => (400, "invalid_scope"),
        _ => (401, "invalid_client"),
    };
    let time = state.clock.stamp(state.region.now());
    let (trace, correlation) = (state.request_id(), state.request_id());
    let description =
        format!("{text} Trace ID: {trace} Correlation ID: {correlation} Timestamp: {time}");
    Reply::json(
        status,
        json!({
            "error": error, "error_description": description, "error_codes": [number],
            "timestamp": time, "trace_id": trace, "correlation_id": correlation,
        }),
    )
}

fn token(
    state: &mut State,
    tenant: &str,
    form: &BTreeMap<String, String>,
    rule: &Rule,
    base: &str,
) -> Result<Reply, No> {
    let given = |name: &str| form.get(name).filter(|value| !value.is_empty());
    let needed = |name: &str| {
        let sentence = format!("The request body must contain the following parameter: '{name}'.");
        given(name).ok_or(No(900144, sentence))
    };
    if !exists(tenant) {
        return Ok(no_tenant(state, tenant));
    }
    let grant = needed("grant_type")?;
    if grant != "client_credentials" {
        let sentence = format!("The app requested an unsupported grant type '{grant}'.");
        return Err(No(70003, sentence));
    }
    let client = needed("client_id")?;
    let scope = needed("scope")?;
    let audience = scope.strip_suffix("/.default").ok_or_else(|| {
        let sentence = format!("The provided value for scope {scope} is not valid. Client credential flows must have a scope value with /.default suffixed to the resource identifier (application ID URI).");
        No(1002012, sentence)
    })?;
    if let Some(text) = &rule.refuse {
        return Ok(refusal(state, text));
    }
    match (given("client_secret"), given("client_assertion")) {
        (Some(secret), _) => by_secret(client, secret, rule)?,
        (None, Some(assertion)) => {
            if needed("client_assertion_type")? != JWT_BEARER {
                return Err(No(
                    50027,
                    "The client assertion type is not supported.".to_owned(),
                ));
            }
            let host = format!("{base}/{tenant}/");
            by_assertion(state, client, assertion, &host, rule)?;
        }
        (None, None) => {
            let sentence = "The request body must contain the following parameter: 'client_assertion' or 'client_secret'.";
            return Err(No(7000218, sentence.to_owned()));
        }
    }
    let unix = (state.clock.unix_millis(state.region.now()) / 1000) as i64;
    let lives = state.logins.life_here(state.clock.speed());
    let id = ids::guid(state.seed ^ 2, &format!("token/{}", state.logins.next()));
    let claims = json!({
        "aud": audience, "iss": format!("{base}/{tenant}/v2.0"), "tid": tenant, "appid": client, "azp": client, "idtyp": "app",
        "iat": unix, "nbf": unix, "exp": unix + lives, "uti": id,
    });
    let token = jwt::unsigned(&claims);
    let now = state.region.now();
    state.logins.issue(token.clone(), client, now);
    let requests = state.requests;
    state.journal.issued(now, requests, &token, client);
    Ok(Reply::json(
        200,
        json!({"token_type": "Bearer", "expires_in": lives, "ext_expires_in": lives, "access_token": token}),
    ))
}

fn by_secret(client: &str, secret: &str, rule: &Rule) -> Result<(), No> {
    if rule.secret.as_ref().is_none_or(|right| right == secret) {
        return Ok(());
    }
    let sentence = format!(
        "Invalid client secret provided. Ensure the secret being sent in the request is the client secret value, not the client secret ID, for a secret added to app '{client}'."
    );
    Err(No(7000215, sentence))
}

fn by_assertion(
    state: &State,
    client: &str,
    assertion: &str,
    host: &str,
    rule: &Rule,
) -> Result<(), No> {
    let malformed = || No(50027, "JWT token is invalid or malformed.".to_owned());
    let jwt = Jwt::read(assertion).ok_or_else(malformed)?;
    let now = state.clock.unix_millis(state.region.now()) as i64 / 1000;
    if !jwt.holds_at(now) {
        let sentence = "Client assertion is not within its valid time range. Please refer to the documentation to learn how to use client assertions.";
        return Err(No(700024, sentence.to_owned()));
    }
    match jwt.thumbprint() {
        Some(thumbprint) => {
            let own = jwt.claim("iss") == Some(client) && jwt.claim("sub") == Some(client);
            if !own || !jwt.is_for(|audience| audience.starts_with(host)) {
                let sentence =
                    "Client assertion contains an invalid signature, issuer, subject or audience.";
                return Err(No(700021, sentence.to_owned()));
            }
            let known = rule.certificate.as_ref();
            if known.is_some_and(|right| right != thumbprint) {
                let sentence = format!(
                    "The certificate with identifier used to sign the client assertion is not registered on application. [Thumbprint of key used by client: '{thumbprint}']"
                );
                return Err(No(700027, sentence));
            }
        }
        None => {
            if !jwt.is_for(|audience| audience.starts_with(EXCHANGE)) {
                let sentence = format!(
                    "No matching federated identity record found for presented assertion audience '{}'. Please check your federated identity credential Subject, Audience and Issuer against the presented assertion.",
                    jwt.audiences().join(", ")
                );
                return Err(No(700212, sentence));
            }
            let subject = jwt.claim("sub").unwrap_or_default();
            if rule.subject.as_ref().is_some_and(|right| right != subject) {
                let sentence = format!(
                    "No matching federated identity record found for presented assertion subject '{subject}'. Please check your federated identity credential Subject, Audience and Issuer against the presented assertion."
                );
                return Err(No(700213, sentence));
            }
        }
    }
    Ok(())
}

fn form(body: &[u8]) -> BTreeMap<String, String> {
    let text = String::from_utf8_lossy(body);
    let pairs = text.split('&').filter_map(|pair| pair.split_once('='));
    pairs
        .map(|(name, value)| (decoded(name, true), decoded(value, true)))
        .collect()
}

/// The tenant that the bearer token of a request names.
#[must_use]
pub fn tenant_of(call: &Call) -> Option<String> {
    let (_, token) = call.header("authorization")?.split_once(' ')?;
    Jwt::read(token.trim())?.claim("tid").map(str::to_owned)
}

/// What the control API shows: rules, how often each application asked, and how many of its tokens are good.
#[must_use]
pub fn shown(state: &State) -> Value {
    state.logins.shown(state.region.now())
}
