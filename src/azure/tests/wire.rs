//! Bad days of the network: hanging, cut off, refused, and secrets that must not show.

use super::*;
use azure_core::credentials::{AccessToken, TokenCredential, TokenRequestOptions};
use std::sync::atomic::AtomicUsize;
use std::time::Instant;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const SECRET: &str = "eyJ-a-token-nobody-may-see";

/// A server that sends these bytes and then hangs up, or holds the line and says nothing more.
async fn raw(bytes: &'static [u8], holds: bool) -> (Url, JoinSet<()>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = Url::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
    let mut running = JoinSet::new();
    running.spawn(async move {
        let mut held = Vec::new();
        loop {
            let (mut socket, _) = listener.accept().await.unwrap();
            let mut request = [0; 4096];
            let _ = socket.read(&mut request).await;
            let _ = socket.write_all(bytes).await;
            if holds {
                held.push(socket);
            }
        }
    });
    (url, running)
}

fn towards(url: Url) -> Azure {
    Azure::new(AzureOptions {
        deadline: Duration::from_millis(300),
        ..AzureOptions::towards(url, Hands::new().now())
    })
    .unwrap()
}

async fn fact(azure: &Azure) -> String {
    match azure
        .look(&pool(), None, Urgency::Looking)
        .await
        .observed
        .set
    {
        Seen::Unknown(Blind::Unreachable { fact }) => fact,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_server_that_never_answers_costs_no_more_than_the_deadline() {
    let server = Server::start(vec![Reply {
        hangs: true,
        ..reply(200, "")
    }])
    .await;
    let begun = Instant::now();
    assert!(
        fact(&towards(server.url.clone()))
            .await
            .contains("none within 300ms")
    );
    assert!(
        begun.elapsed() < Duration::from_secs(3),
        "{:?}",
        begun.elapsed()
    );
}

#[tokio::test]
async fn a_body_that_stops_half_way_is_bounded_too() {
    let (url, _running) = raw(
        b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"sku\":",
        true,
    )
    .await;
    assert!(fact(&towards(url)).await.contains("none within 300ms"));
}

#[tokio::test]
async fn answers_that_are_no_http_or_cut_off_are_no_answers() {
    for bytes in [
        b"".as_slice(),
        b"220 smtp.example.com ESMTP\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\n{\"sk",
        b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"sku\":",
    ] {
        let (url, _running) = raw(bytes, false).await;
        assert!(
            fact(&towards(url)).await.starts_with("no answer"),
            "{bytes:?}"
        );
    }
}

#[tokio::test]
async fn a_refused_connection_says_so() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = Url::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
    drop(listener);
    let fact = fact(&towards(url)).await;
    assert!(fact.to_lowercase().contains("refused"), "{fact}");
}

#[tokio::test]
async fn posts_without_a_body_say_that_they_have_none() {
    let server = Server::start(vec![reply(200, "")]).await;
    let transport = towards(server.url.clone()).transport;
    let url = server.url.join("/start").unwrap();
    transport
        .exchange(
            http::Method::POST,
            &url,
            HeaderMap::new(),
            bytes::Bytes::new(),
            Urgency::Change,
        )
        .await
        .unwrap();
    assert_eq!(server.arrived()[0].header("content-length"), "0");
}

/// Hands out tokens, or a failure, and counts.
#[derive(Debug)]
struct Issuer {
    asked: AtomicUsize,
    answer: fn(usize) -> azure_core::Result<AccessToken>,
    hangs: bool,
}

#[async_trait]
impl TokenCredential for Issuer {
    async fn get_token(
        &self,
        scopes: &[&str],
        _options: Option<TokenRequestOptions<'_>>,
    ) -> azure_core::Result<AccessToken> {
        assert_eq!(scopes, ["https://management.azure.com/.default"]);
        if self.hangs {
            std::future::pending::<()>().await;
        }
        (self.answer)(self.asked.fetch_add(1, Ordering::SeqCst))
    }
}

fn token_for(minutes: i64) -> AccessToken {
    let ends = time::OffsetDateTime::from_unix_timestamp(START.0 / 1000).unwrap()
        + time::Duration::minutes(minutes);
    AccessToken::new(SECRET, ends)
}

fn issuer(answer: fn(usize) -> azure_core::Result<AccessToken>) -> Arc<Issuer> {
    Arc::new(Issuer {
        asked: AtomicUsize::new(0),
        answer,
        hangs: false,
    })
}

fn login(issuer: &Arc<Issuer>, hands: &Hands) -> Login {
    Login::with(
        issuer.clone(),
        "https://management.azure.com/",
        Duration::from_millis(50),
        hands.now(),
    )
}

fn refused() -> azure_core::Error {
    azure_core::Error::with_message(
        azure_core::error::ErrorKind::Credential,
        "AADSTS7000215: Invalid client secret provided.\r\nTrace ID: 1",
    )
}

#[tokio::test]
async fn a_token_is_asked_for_once_and_renewed_before_it_ends() {
    let (issuer, hands) = (
        issuer(|asked| Ok(token_for(60 + 60 * i64::try_from(asked).unwrap()))),
        Hands::new(),
    );
    let login = login(&issuer, &hands);
    for _ in 0..3 {
        login.token().await.unwrap();
    }
    hands.forward(Millis::minutes(54));
    login.token().await.unwrap();
    assert_eq!(issuer.asked.load(Ordering::SeqCst), 1);
    hands.forward(Millis::minutes(2));
    login.token().await.unwrap();
    assert_eq!(issuer.asked.load(Ordering::SeqCst), 2);
    login.forget();
    login.token().await.unwrap();
    assert_eq!(issuer.asked.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn an_old_token_serves_while_there_is_no_new_one() {
    let (issuer, hands) = (
        issuer(|asked| {
            if asked == 0 {
                Ok(token_for(60))
            } else {
                Err(refused())
            }
        }),
        Hands::new(),
    );
    let login = login(&issuer, &hands);
    login.token().await.unwrap();
    hands.forward(Millis::minutes(57));
    assert!(login.token().await.is_ok());
    hands.forward(Millis::minutes(4));
    assert!(matches!(
        login.token().await,
        Err(LoginError::Invalid { .. })
    ));
}

#[tokio::test]
async fn a_failed_login_is_answered_from_memory_for_a_moment() {
    let (issuer, hands) = (issuer(|_| Err(refused())), Hands::new());
    let login = login(&issuer, &hands);
    for _ in 0..5 {
        assert_eq!(
            login.token().await.unwrap_err(),
            LoginError::Invalid {
                fact: "AADSTS7000215: Invalid client secret provided. Trace ID: 1".into()
            }
        );
    }
    assert_eq!(issuer.asked.load(Ordering::SeqCst), 1);
    hands.forward(Millis::seconds(6));
    assert!(login.token().await.is_err());
    assert_eq!(issuer.asked.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_login_host_that_never_answers_is_not_waited_for() {
    let issuer = Arc::new(Issuer {
        asked: AtomicUsize::new(0),
        answer: |_| Err(refused()),
        hangs: true,
    });
    let login = login(&issuer, &Hands::new());
    let begun = Instant::now();
    assert!(matches!(
        login.token().await,
        Err(LoginError::Unreachable { .. })
    ));
    assert!(begun.elapsed() < Duration::from_secs(2));
}

#[derive(Debug)]
struct Recording(Mutex<Vec<String>>);

#[async_trait]
impl Wire for Recording {
    async fn exchange(
        &self,
        request: http::Request<bytes::Bytes>,
    ) -> Result<http::Response<bytes::Bytes>, WireError> {
        self.0.lock().unwrap().push(
            request.headers()["authorization"]
                .to_str()
                .unwrap()
                .to_owned(),
        );
        assert!(
            !format!("{request:?}").contains(SECRET),
            "the header is marked as sensitive"
        );
        Err(WireError {
            fact: "no network here".into(),
        })
    }
}

/// Collects everything that is logged, at every level, by everybody.
#[derive(Clone, Default)]
struct Ear(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Ear {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn the_token_travels_in_the_request_and_shows_nowhere_else() {
    let ear = Ear::default();
    let ear_for_log = ear.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || ear_for_log.clone())
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);

    let hands = Hands::new();
    let wire = Arc::new(Recording(Mutex::default()));
    let options = AzureOptions::towards(
        Url::parse("https://management.azure.com").unwrap(),
        hands.now(),
    );
    let azure = Azure::assemble(
        wire.clone(),
        login(&issuer(|_| Ok(token_for(60))), &hands),
        options,
    );
    let operation = OperationRef {
        url: "https://management.azure.com/op?s=SIGNATURE".into(),
        not_before: START,
    };
    let look = azure
        .look(&pool(), Some(&operation), Urgency::Looking)
        .await;

    assert_eq!(
        *wire.0.lock().unwrap(),
        [format!("Bearer {SECRET}"), format!("Bearer {SECRET}")]
    );
    let logged = String::from_utf8(ear.0.lock().unwrap().clone()).unwrap();
    assert!(
        logged.contains("azure gave no answer"),
        "our own log was heard"
    );
    assert!(
        logged.contains("Bearer placeholder"),
        "azure_core prints the authorization header; the day it stops, the placeholder may go"
    );
    for shown in [format!("{azure:?} {look:?}"), logged] {
        assert!(!shown.contains(SECRET), "{shown}");
        assert!(!shown.contains("SIGNATURE"), "{shown}");
    }
}

#[test]
fn each_credential_says_what_it_needs_and_auto_follows_the_environment() {
    let make = |kind: CredentialKind, pairs: &[(&str, &str)]| {
        let env = |name: &str| {
            pairs
                .iter()
                .find(|(key, _)| *key == name)
                .map(|(_, value)| (*value).to_owned())
        };
        Login::new(
            kind,
            &env,
            "https://management.azure.com",
            Hands::new().now(),
        )
        .map(|_| ())
        .map_err(|error| error.to_string())
    };
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
    let file = [
        secret[0],
        secret[1],
        ("AZURE_FEDERATED_TOKEN_FILE", "/nowhere/token"),
    ];
    assert!(
        make(CredentialKind::Auto, &file)
            .unwrap_err()
            .contains("/nowhere/token")
    );
    assert_eq!(
        make(
            CredentialKind::Auto,
            &[("KUBERNETES_SERVICE_HOST", "10.0.0.1")]
        ),
        Ok(())
    );
    let tenant = [("AZURE_TENANT_ID", "not a tenant!"), secret[1], secret[2]];
    assert!(
        !make(CredentialKind::ClientSecret, &tenant)
            .unwrap_err()
            .contains("hunter2")
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
