//! Logins: asked once, renewed, remembered in success and failure, and never waited for by more pools than need to.

use super::*;
use crate::azure::login::{CredentialKind, Exchange, Login, Source, Token, source};
use crate::cloud::{Account, Accounts, Assertion, LoginError, Secret};
use spotpool_core::planner::LoginStep;
use std::sync::atomic::AtomicUsize;
use std::time::Instant;

pub(super) const SECRET: &str = "eyJ-a-token-nobody-may-see";

/// Hands out tokens, or a failure, and counts.
#[derive(Clone)]
pub(super) struct Issuer {
    asked: Arc<AtomicUsize>,
    answer: fn(usize) -> Result<Token, LoginError>,
    hangs: bool,
}

#[async_trait]
impl Source for Issuer {
    async fn ask(&self) -> Result<Token, LoginError> {
        let number = self.asked.fetch_add(1, Ordering::SeqCst);
        if self.hangs {
            std::future::pending::<()>().await;
        }
        (self.answer)(number)
    }
}

impl Issuer {
    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

pub(super) fn token_for(minutes: i64) -> Token {
    Token {
        secret: Secret::new(SECRET),
        ends: START + Millis::minutes(minutes),
    }
}

pub(super) fn issuer(answer: fn(usize) -> Result<Token, LoginError>) -> Issuer {
    Issuer {
        asked: Arc::default(),
        answer,
        hangs: false,
    }
}

pub(super) fn login(issuer: &Issuer, hands: &Hands) -> Login {
    Login::with(
        Box::new(issuer.clone()),
        Duration::from_millis(50),
        hands.now(),
    )
}

fn refused() -> LoginError {
    LoginError::lasting(
        LoginStep::Login,
        "AADSTS7000215: Invalid client secret provided.",
    )
}

fn silent() -> LoginError {
    LoginError::passing(LoginStep::Host, "connection refused")
}

#[tokio::test]
async fn a_token_is_asked_for_once_and_renewed_before_it_ends() {
    let issuer = issuer(|asked| Ok(token_for(60 + 60 * i64::try_from(asked).unwrap())));
    let hands = Hands::new();
    let login = login(&issuer, &hands);
    for _ in 0..3 {
        login.token().await.unwrap();
    }
    hands.forward(Millis::minutes(54));
    login.token().await.unwrap();
    assert_eq!(issuer.asked(), 1);
    hands.forward(Millis::minutes(2));
    login.token().await.unwrap();
    assert_eq!(issuer.asked(), 2);
    login.forget();
    login.token().await.unwrap();
    assert_eq!(issuer.asked(), 3);
}

#[tokio::test]
async fn a_short_token_is_renewed_in_its_last_quarter_and_not_at_each_call() {
    let (issuer, hands) = (issuer(|_| Ok(token_for(1))), Hands::new());
    let login = login(&issuer, &hands);
    login.token().await.unwrap();
    hands.forward(Millis::seconds(44));
    login.token().await.unwrap();
    assert_eq!(issuer.asked(), 1);
    hands.forward(Millis::seconds(2));
    login.token().await.unwrap();
    login.token().await.unwrap();
    assert_eq!(issuer.asked(), 2);
}

#[tokio::test]
async fn an_old_token_serves_while_there_is_no_new_one() {
    let first_only = |asked| {
        if asked == 0 {
            Ok(token_for(60))
        } else {
            Err(refused())
        }
    };
    let (issuer, hands) = (issuer(first_only), Hands::new());
    let login = login(&issuer, &hands);
    login.token().await.unwrap();
    hands.forward(Millis::minutes(57));
    assert!(login.token().await.is_ok());
    hands.forward(Millis::minutes(4));
    assert_eq!(login.token().await, Err(refused()));
}

#[tokio::test]
async fn a_login_host_gone_for_an_hour_needs_a_human_when_the_token_ends_and_nobody_when_it_is_back()
 {
    let absent = |asked| {
        if (1..100).contains(&asked) {
            Err(silent())
        } else {
            Ok(token_for(600))
        }
    };
    let issuer = Issuer {
        answer: absent,
        ..issuer(absent)
    };
    let hands = Hands::new();
    let login = Login::with(
        Box::new(Lived(issuer.clone(), hands.now())),
        Duration::from_millis(50),
        hands.now(),
    );
    login.token().await.unwrap();
    let mut story = Vec::new();
    for minute in 1..=120 {
        hands.forward(Millis::minutes(1));
        if minute == 110 {
            issuer.asked.store(100, Ordering::SeqCst);
        }
        let now = match login.token().await {
            Ok(_) => "served".to_owned(),
            Err(error) => format!("{:?} passing={}", error.step, error.passing),
        };
        if story.last().is_none_or(|(_, last)| *last != now) {
            story.push((minute, now));
        }
    }
    let wanted = [(1, "served"), (60, "Host passing=false"), (110, "served")];
    assert_eq!(
        story,
        wanted.map(|(minute, text)| (minute, text.to_owned()))
    );
}

/// Tokens that live for an hour from when they are asked for.
struct Lived(Issuer, Now);

#[async_trait]
impl Source for Lived {
    async fn ask(&self) -> Result<Token, LoginError> {
        let ends = (self.1)() + Millis::minutes(60);
        Ok(Token {
            ends,
            ..self.0.ask().await?
        })
    }
}

#[tokio::test]
async fn silence_is_a_passing_thing_twice_and_then_needs_a_human() {
    let (issuer, hands) = (issuer(|_| Err(silent())), Hands::new());
    let login = login(&issuer, &hands);
    let mut passing = Vec::new();
    for _ in 0..4 {
        passing.push(login.token().await.unwrap_err().passing);
        hands.forward(Millis::seconds(6));
    }
    assert_eq!(passing, [true, true, false, false]);
}

#[tokio::test]
async fn a_failed_login_is_answered_from_memory_for_a_moment() {
    let (issuer, hands) = (issuer(|_| Err(refused())), Hands::new());
    let login = login(&issuer, &hands);
    for _ in 0..5 {
        assert_eq!(login.token().await, Err(refused()));
    }
    assert_eq!(issuer.asked(), 1);
    hands.forward(Millis::seconds(6));
    assert!(login.token().await.is_err());
    assert_eq!(issuer.asked(), 2);
}

#[tokio::test]
async fn a_login_host_that_never_answers_is_not_waited_for() {
    let hanging = Issuer {
        hangs: true,
        ..issuer(|_| Err(refused()))
    };
    let login = login(&hanging, &Hands::new());
    let begun = Instant::now();
    let error = login.token().await.unwrap_err();
    assert!(error.passing && error.step == LoginStep::Host, "{error:?}");
    assert!(begun.elapsed() < Duration::from_secs(2));
}

#[tokio::test(start_paused = true)]
async fn a_hundred_pools_of_one_hanging_login_wait_once_and_then_one_at_a_time() {
    let hanging = Issuer {
        hangs: true,
        ..issuer(|_| Err(refused()))
    };
    let hands = Hands::new();
    let login = Arc::new(Login::of(Box::new(hanging.clone()), hands.now()));
    let hundred = async || {
        let begun = tokio::time::Instant::now();
        let asks = (0..100).map(|_| {
            let login = login.clone();
            async move {
                assert!(login.token().await.is_err());
                begun.elapsed()
            }
        });
        futures::future::join_all(asks).await
    };
    let first = hundred().await;
    assert_eq!(
        first
            .iter()
            .filter(|wait| **wait > Duration::from_secs(3))
            .count(),
        1,
        "{first:?}"
    );
    hands.forward(Millis::seconds(6));
    let second = hundred().await;
    assert_eq!(
        second.iter().filter(|wait| **wait > Duration::ZERO).count(),
        1,
        "{second:?}"
    );
    assert_eq!(hanging.asked(), 2);
}

/// A ServiceAccount for everybody but one.
struct Kubernetes;

#[async_trait]
impl Accounts for Kubernetes {
    async fn assertion(&self, account: &Account, audience: &str) -> Result<Assertion, LoginError> {
        if account.name == "nobody" {
            return Err(LoginError::lasting(
                LoginStep::Account,
                "there is no ServiceAccount batch/nobody",
            ));
        }
        Ok(Assertion {
            client_id: format!("client-of-{}", account.name),
            tenant_id: (account.name != "tenantless").then(|| "tenant-1".to_owned()),
            token: Secret::new(format!("{audience} {account}")),
        })
    }
}

/// An Azure and its login host in one: gives each client a token of its own, and writes down what came.
#[derive(Debug, Default)]
struct Both(Mutex<Vec<String>>);

#[async_trait]
impl Wire for Both {
    async fn exchange(
        &self,
        request: http::Request<bytes::Bytes>,
    ) -> Result<http::Response<bytes::Bytes>, WireError> {
        let (uri, body) = (
            request.uri().to_string(),
            String::from_utf8_lossy(request.body()).into_owned(),
        );
        if uri.starts_with("https://login.microsoftonline.com/") {
            let form: BTreeMap<String, String> = Url::parse(&format!("x:?{body}"))
                .unwrap()
                .query_pairs()
                .into_owned()
                .collect();
            self.0.lock().unwrap().push(format!(
                "{uri} {} {}",
                form["client_id"], form["client_assertion"]
            ));
            let token = json!({"access_token": format!("token-of-{}", form["client_id"]), "expires_in": "3599"});
            return Ok(http::Response::new(token.to_string().into()));
        }
        let bearer = request.headers()["authorization"].to_str().unwrap();
        self.0.lock().unwrap().push(bearer.to_owned());
        let mut answer = http::Response::new(
            json!({"error": {"code": "ResourceNotFound", "message": "none"}})
                .to_string()
                .into(),
        );
        *answer.status_mut() = http::StatusCode::NOT_FOUND;
        Ok(answer)
    }
}

fn of(name: &str) -> PoolRef {
    let account = Account {
        namespace: "batch".into(),
        name: name.into(),
    };
    PoolRef {
        identity: Identity::Account(account),
        ..pool()
    }
}

fn blind(look: &Look) -> (LoginStep, String) {
    match &look.observed.set {
        Seen::Unknown(Blind::CredentialsInvalid { step, fact }) => (*step, fact.clone()),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn each_account_has_a_login_of_its_own_and_no_other_pool_notices_one_that_fails() {
    let (wire, hands) = (Arc::new(Both::default()), Hands::new());
    let options = AzureOptions {
        credential: CredentialKind::Nobody,
        accounts: Some(Arc::new(Kubernetes)),
        ..AzureOptions::towards(Environment::public(), hands.now())
    };
    let azure = Azure::surrounded(wire.clone(), options, &|_| None).unwrap();
    for name in ["team-a", "team-a", "team-b"] {
        let look = azure.look(&of(name), None, Urgency::Looking).await;
        assert!(
            matches!(look.observed.set, Seen::Known { value: None, .. }),
            "{look:?}"
        );
    }
    assert_eq!(
        blind(&azure.look(&of("nobody"), None, Urgency::Looking).await).0,
        LoginStep::Account
    );
    assert_eq!(
        blind(&azure.look(&pool(), None, Urgency::Looking).await).0,
        LoginStep::Choice
    );
    let (step, fact) = blind(&azure.look(&of("tenantless"), None, Urgency::Looking).await);
    assert!(
        step == LoginStep::Annotation && fact.contains("azure.workload.identity/tenant-id"),
        "{fact}"
    );
    let url = "https://login.microsoftonline.com/tenant-1/oauth2/v2.0/token";
    assert_eq!(
        *wire.0.lock().unwrap(),
        [
            &format!("{url} client-of-team-a api://AzureADTokenExchange batch/team-a"),
            "Bearer token-of-client-of-team-a",
            "Bearer token-of-client-of-team-a",
            &format!("{url} client-of-team-b api://AzureADTokenExchange batch/team-b"),
            "Bearer token-of-client-of-team-b",
        ]
    );
}

fn make(kind: CredentialKind, pairs: &[(&str, &str)]) -> Result<(), String> {
    let env = |name: &str| {
        let found = pairs.iter().find(|(key, _)| *key == name);
        found.map(|(_, value)| (*value).to_owned())
    };
    let exchange = Exchange::new(
        Arc::new(Both::default()),
        &Environment::public(),
        Hands::new().now(),
    );
    source(kind, &env, &exchange)
        .map(drop)
        .map_err(|error| error.to_string())
}

#[test]
fn each_credential_says_what_it_needs_and_auto_follows_the_environment() {
    let secret = [
        ("AZURE_TENANT_ID", "11111111-1111-1111-1111-111111111111"),
        ("AZURE_CLIENT_ID", "c"),
        ("AZURE_CLIENT_SECRET", "hunter2"),
    ];
    assert_eq!(make(CredentialKind::ClientSecret, &secret), Ok(()));
    assert_eq!(make(CredentialKind::Auto, &secret), Ok(()));
    assert_eq!(
        make(CredentialKind::Auto, &secret[1..]).unwrap_err(),
        "the credential client-secret needs the environment variable AZURE_TENANT_ID"
    );
    assert_eq!(
        make(CredentialKind::WorkloadIdentity, &secret).unwrap_err(),
        "the credential workload-identity needs the environment variable AZURE_FEDERATED_TOKEN_FILE"
    );
    for name in [
        "AZURE_FEDERATED_TOKEN_FILE",
        "AZURE_CLIENT_SECRET_FILE",
        "AZURE_CLIENT_CERTIFICATE_PATH",
    ] {
        let file = [secret[0], secret[1], (name, "/nowhere/token")];
        let error = make(CredentialKind::Auto, &file).unwrap_err();
        assert!(
            error.starts_with("/nowhere/token cannot be read"),
            "{name}: {error}"
        );
    }
    assert_eq!(
        make(
            CredentialKind::Auto,
            &[("KUBERNETES_SERVICE_HOST", "10.0.0.1")]
        ),
        Ok(())
    );
    let tenant = [("AZURE_TENANT_ID", "not a tenant!"), secret[1], secret[2]];
    let error = make(CredentialKind::ClientSecret, &tenant).unwrap_err();
    assert!(
        error.contains("is no tenant") && !error.contains("hunter2"),
        "{error}"
    );
}

#[test]
fn credentials_are_spelled_as_their_flag_is() {
    for (text, kind) in CredentialKind::ALL {
        assert_eq!(text.parse::<CredentialKind>().unwrap(), kind);
        assert_eq!(kind.to_string(), text);
    }
    assert!(
        "password"
            .parse::<CredentialKind>()
            .unwrap_err()
            .contains("workload-identity")
    );
}
