//! The login host: who gets a token, what is said to whom gets none, and that ARM takes no other.

use super::*;
use crate::simulator::login::Logins;
use crate::simulator::wire::encoded;

const TENANT: &str = "22222222-2222-2222-2222-222222222222";

/// A simulator that takes its own tokens only, as over TLS.
fn strict() -> Simulator {
    let sim = simulator();
    sim.with(|state| state.logins = Logins::new(true));
    sim
}

async fn post(sim: &Simulator, path: &str, form: &[(&str, &str)]) -> (u16, Value) {
    let body: Vec<String> = form
        .iter()
        .map(|(k, v)| format!("{k}={}", encoded(v)))
        .collect();
    let headers = vec![("host".to_owned(), "127.0.0.1:1".to_owned())];
    let call = Call::new("POST", path, headers, body.join("&").into_bytes());
    let reply = sim.exchange(call).await.unwrap();
    (reply.status, reply.body.unwrap_or_default())
}

async fn log_in(sim: &Simulator, proof: &[(&str, &str)]) -> (u16, Value) {
    let form = [
        ("grant_type", "client_credentials"),
        ("client_id", "me"),
        ("scope", "https://127.0.0.1:1/.default"),
    ];
    let path = format!("/{TENANT}/oauth2/v2.0/token");
    post(sim, &path, &[&form, proof].concat()).await
}

fn control(sim: &Simulator, body: Value) {
    let call = Call::new(
        "POST",
        "/control/login",
        vec![],
        body.to_string().into_bytes(),
    );
    let reply = sim.with(|state| control::answer(state, &call)).unwrap();
    assert_eq!(reply.status, 200);
}

/// A token that somebody signed, as far as the simulator can tell.
fn jwt(header: Value, claims: Value) -> String {
    use crate::simulator::login::encode;
    let part = |value: Value| encode(value.to_string().as_bytes());
    format!("{}.{}.{}", part(header), part(claims), encode(b"signature"))
}

const ASSERTION: (&str, &str) = (
    "client_assertion_type",
    "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
);

fn in_an_hour() -> i64 {
    time::OffsetDateTime::now_utc().unix_timestamp() + 3600
}

async fn read_with(sim: &Simulator, token: &str) -> (u16, Value) {
    let headers = vec![
        ("authorization".to_owned(), format!("Bearer {token}")),
        ("host".to_owned(), "127.0.0.1:1".to_owned()),
    ];
    let target = format!("{}?api-version=2024-07-01", set_path("render"));
    let reply = sim
        .exchange(Call::new("GET", &target, headers, vec![]))
        .await
        .unwrap();
    (reply.status, reply.body.unwrap())
}

fn code(answer: &(u16, Value)) -> (u16, &str) {
    (
        answer.0,
        answer.1["error"]["code"].as_str().unwrap_or_default(),
    )
}

#[tokio::test(start_paused = true)]
async fn a_token_opens_arm_until_it_ends_and_no_other_does() {
    let sim = strict();
    let (status, answer) = log_in(&sim, &[("client_secret", "hunter2")]).await;
    assert_eq!(
        (status, answer["token_type"].as_str()),
        (200, Some("Bearer")),
        "{answer}"
    );
    assert_eq!(answer["expires_in"], 3600);
    let token = answer["access_token"].as_str().unwrap();
    assert_eq!(
        code(&read_with(&sim, token).await),
        (404, "ResourceNotFound")
    );
    assert_eq!(
        code(&read_with(&sim, "invented").await),
        (401, "InvalidAuthenticationToken")
    );
    tokio::time::sleep(Duration::from_secs(3601)).await;
    assert_eq!(
        code(&read_with(&sim, token).await),
        (401, "ExpiredAuthenticationToken")
    );
    let (_, answer) = log_in(&sim, &[("client_secret", "hunter2")]).await;
    let token = answer["access_token"].as_str().unwrap();
    control(&sim, json!({"revoke": true}));
    assert_eq!(
        code(&read_with(&sim, token).await),
        (401, "InvalidAuthenticationToken")
    );
    assert_eq!(
        code(&read_with(&simulator(), "invented").await),
        (404, "ResourceNotFound"),
        "without TLS any token opens it"
    );
}

#[tokio::test]
async fn a_request_that_entra_id_would_refuse_is_refused_in_its_words() {
    let sim = strict();
    let federated = |audience: &str, end: i64| {
        jwt(
            json!({"alg": "RS256"}),
            json!({"aud": [audience], "sub": "system:serviceaccount:batch:team-a", "exp": end}),
        )
    };
    let signed = |audience: &str| {
        jwt(
            json!({"alg": "PS256", "x5t#S256": "print"}),
            json!({"aud": audience, "iss": "me", "sub": "me", "exp": in_an_hour()}),
        )
    };
    let host = format!("http://127.0.0.1:1/{TENANT}/oauth2/v2.0/token");
    let exchange = "api://AzureADTokenExchange";
    for (rule, proof, wanted) in [
        (json!({}), ("client_secret", "anything".to_owned()), ""),
        (
            json!({"secret": "new"}),
            ("client_secret", "old".to_owned()),
            "AADSTS7000215",
        ),
        (
            json!({"secret": "new"}),
            ("client_secret", "new".to_owned()),
            "",
        ),
        (
            json!({"refuse": "AADSTS7000222: The provided client secret keys are expired."}),
            ("client_secret", "new".to_owned()),
            "AADSTS7000222",
        ),
        (json!({}), ("nothing", "x".to_owned()), "AADSTS7000218"),
        (
            json!({}),
            ("client_assertion", federated(exchange, in_an_hour())),
            "",
        ),
        (
            json!({}),
            (
                "client_assertion",
                federated("https://kubernetes", in_an_hour()),
            ),
            "AADSTS700212",
        ),
        (
            json!({}),
            ("client_assertion", federated(exchange, 1)),
            "AADSTS700024",
        ),
        (
            json!({"subject": "system:serviceaccount:batch:other"}),
            ("client_assertion", federated(exchange, in_an_hour())),
            "AADSTS700213",
        ),
        (json!({}), ("client_assertion", signed(&host)), ""),
        (
            json!({}),
            ("client_assertion", signed("https://login.elsewhere")),
            "AADSTS700021",
        ),
        (
            json!({"certificate": "other"}),
            ("client_assertion", signed(&host)),
            "AADSTS700027",
        ),
        (
            json!({}),
            ("client_assertion", "no.token".to_owned()),
            "AADSTS50027",
        ),
    ] {
        control(&sim, rule.clone());
        let (status, answer) = log_in(&sim, &[ASSERTION, (proof.0, &proof.1)]).await;
        let said = answer["error_description"].as_str().unwrap_or_default();
        assert_eq!(
            (status == 200, said.split(':').next().unwrap()),
            (wanted.is_empty(), wanted),
            "{rule} {}: {answer}",
            proof.0
        );
    }
    let (status, answer) = post(
        &sim,
        "/nowhere/oauth2/v2.0/token",
        &[
            ("grant_type", "client_credentials"),
            ("client_id", "me"),
            ("scope", "a/.default"),
        ],
    )
    .await;
    assert_eq!(
        (status, answer["error"].as_str()),
        (400, Some("invalid_request")),
        "{answer}"
    );
}

#[tokio::test]
async fn clients_are_told_where_the_login_host_is() {
    let sim = simulator();
    let base = "http://127.0.0.1:1";
    let now = get(&sim, "/metadata/endpoints?api-version=2022-09-01").await;
    assert_eq!(
        (
            &now["resourceManager"],
            &now["authentication"]["loginEndpoint"]
        ),
        (&json!(base), &json!(base))
    );
    let before = get(&sim, "/metadata/endpoints?api-version=2019-05-01").await;
    assert_eq!(before[0], now);
    for (path, tenant) in [
        (format!("/{TENANT}/v2.0"), TENANT),
        ("/adfs".to_owned(), "adfs"),
    ] {
        let told = get(&sim, &format!("{path}/.well-known/openid-configuration")).await;
        assert_eq!(
            told["token_endpoint"],
            format!("{base}/{tenant}/oauth2/v2.0/token")
        );
    }
}

#[tokio::test(start_paused = true)]
async fn one_application_can_hang_while_others_go_on() {
    let sim = strict();
    control(&sim, json!({"clientID": "me", "hangs": true}));
    let hanging = tokio::time::timeout(
        Duration::from_secs(600),
        log_in(&sim, &[("client_secret", "x")]),
    )
    .await;
    assert!(hanging.is_err());
    let form = [
        ("grant_type", "client_credentials"),
        ("client_id", "you"),
        ("scope", "a/.default"),
        ("client_secret", "x"),
    ];
    assert_eq!(
        post(&sim, &format!("/{TENANT}/oauth2/v2.0/token"), &form)
            .await
            .0,
        200
    );
    let shown = sim.with(|state| crate::simulator::login::shown(state));
    assert_eq!(
        (&shown["asked"]["me"], &shown["good"]["you"]),
        (&json!(1), &json!(1)),
        "{shown}"
    );
}

#[tokio::test]
async fn the_record_of_requests_holds_neither_secrets_nor_tokens() {
    let sim = strict();
    let (_, answer) = log_in(&sim, &[("client_secret", "hunter2")]).await;
    let text = sim.with(|state| state.log.text());
    assert!(
        text.contains("oauth2/v2.0/token") && !text.contains("hunter2"),
        "{text}"
    );
    assert!(
        !text.contains(answer["access_token"].as_str().unwrap()),
        "{text}"
    );
}
