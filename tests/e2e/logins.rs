//! The operator's own login, over TLS, against a login host that ends tokens, rotates, refuses and vanishes.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::Result;
use crate::harness::machine::{Machine, Settings, condition, manifest};

const SOON: Duration = Duration::from_secs(60);
const TENANT: &str = "22222222-2222-2222-2222-222222222222";
const CLIENT: &str = "33333333-3333-3333-3333-333333333333";

/// Azure six hundred times faster: a token lives for six seconds.
fn settings() -> Settings {
    Settings {
        speed: 600.0,
        tls: true,
        log: "trace",
        ..Settings::default()
    }
}

fn application(variable: &'static str, file: &Path) -> Vec<(&'static str, String)> {
    vec![
        ("AZURE_TENANT_ID", TENANT.to_owned()),
        ("AZURE_CLIENT_ID", CLIENT.to_owned()),
        (variable, file.display().to_string()),
    ]
}

/// A running machine whose operator logs in with the secret `first-secret`, and the file that holds it.
async fn with_secret() -> Result<(Machine, TempDir, PathBuf)> {
    let directory = TempDir::new()?;
    let file = directory.path().join("secret");
    std::fs::write(&file, "first-secret\n")?;
    let mut settings = settings();
    settings.environment = application("AZURE_CLIENT_SECRET_FILE", &file);
    let machine = Machine::without_controller(settings).await?;
    machine.plane.apply_definition().await?;
    Ok((machine, directory, file))
}

/// Why CredentialsValid is as it is, in the operator's words.
fn message(pool: &Value) -> &str {
    let conditions = pool["status"]["conditions"].as_array();
    let found = conditions
        .into_iter()
        .flatten()
        .find(|one| one["type"] == "CredentialsValid");
    found
        .and_then(|one| one["message"].as_str())
        .unwrap_or_default()
}

async fn asked(machine: &Machine) -> Result<u64> {
    Ok(machine.azure.logins().await?["asked"][CLIENT]
        .as_u64()
        .unwrap_or(0))
}

/// Neither secrets nor tokens (every one of them begins with `eyJ`) stand in the log, at level trace.
fn assert_silent(machine: &Machine, secrets: &[&str]) {
    let log = machine.controller_log();
    assert!(
        log.contains("azure answered"),
        "the log is not even at debug"
    );
    for secret in secrets {
        let line = log.lines().find(|line| line.contains(secret));
        assert_eq!(line, None, "{secret} is in the log");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_are_renewed_and_a_rotated_secret_is_used_without_a_restart() -> Result<()> {
    let (mut machine, _directory, file) = with_secret().await?;
    let only = |secret: &str| json!({"clientID": CLIENT, "secret": secret});
    machine
        .azure
        .control("login", &only("first-secret"))
        .await?;
    machine.start_controller().await?;
    machine.apply(&manifest("render", 3, 0)).await?;
    machine.until_as_declared("render", 3, 0).await?;

    // Many tokens later nothing has been noticed.
    let started = std::time::Instant::now();
    while asked(&machine).await? < 4 {
        assert!(started.elapsed() < SOON, "tokens are not renewed");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    assert_eq!(
        condition(&machine.pool("render").await?, "CredentialsValid"),
        ("True", "TokenIssued")
    );

    // The secret is another one, and nobody has told the operator.
    machine
        .azure
        .control("login", &only("second-secret"))
        .await?;
    let stalled = machine
        .until(
            "render",
            "the secret is refused, and that is said",
            SOON,
            |now, _| condition(now, "Stalled") == ("True", "CredentialsInvalid"),
        )
        .await?;
    assert_eq!(
        condition(&stalled, "CredentialsValid"),
        ("False", "CredentialsFailed")
    );
    assert!(message(&stalled).contains("AADSTS7000215"), "{stalled:#}");
    std::fs::write(&file, "second-secret")?;
    machine
        .until("render", "it goes on by itself", SOON, |now, _| {
            condition(now, "Stalled") == ("", "")
        })
        .await?;
    machine.azure.evict("render", 1).await?;
    machine.until_as_declared("render", 3, 0).await?;

    // ARM takes none of the tokens any more: one 401, and a new one.
    machine
        .azure
        .control("login", &json!({"revoke": true}))
        .await?;
    machine.azure.evict("render", 1).await?;
    machine.until_as_declared("render", 3, 0).await?;
    assert_silent(&machine, &["first-secret", "second-secret", "eyJ"]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_hour_without_a_login_host_is_borne_by_the_token_and_then_said_and_then_over()
-> Result<()> {
    let (mut machine, _directory, _file) = with_secret().await?;
    machine.start_controller().await?;
    machine.apply(&manifest("render", 3, 0)).await?;
    machine.until_as_declared("render", 3, 0).await?;

    // Begin right after a renewal, so that the token's life is before us.
    let before = asked(&machine).await?;
    while asked(&machine).await? == before {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    machine
        .azure
        .control("login", &json!({"offline": true}))
        .await?;
    let gone = std::time::Instant::now();
    machine.azure.evict("render", 1).await?;
    machine.until_as_declared("render", 3, 0).await?;
    assert_eq!(
        condition(&machine.pool("render").await?, "CredentialsValid"),
        ("True", "TokenIssued"),
        "the old token serves, {:?} after the login host went",
        gone.elapsed()
    );

    let stalled = machine
        .until(
            "render",
            "the hour is over, and it says what is missing",
            SOON,
            |now, _| condition(now, "Stalled") == ("True", "LoginUnreachable"),
        )
        .await?;
    assert!(
        gone.elapsed() > Duration::from_secs(4),
        "{:?}",
        gone.elapsed()
    );
    assert!(message(&stalled).contains("127.0.0.1"), "{stalled:#}");
    assert_eq!(
        stalled["status"]["spot"]["running"], 3,
        "the last counts stay"
    );
    assert_eq!(machine.azure.set("render").await?.held(), 3);

    machine
        .azure
        .control("login", &json!({"offline": false}))
        .await?;
    machine
        .until("render", "it goes on by itself", SOON, |now, _| {
            condition(now, "Stalled") == ("", "")
                && condition(now, "CredentialsValid") == ("True", "TokenIssued")
        })
        .await?;
    assert_silent(&machine, &["first-secret", "eyJ"]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_nobody_known_has_signed_for_gets_no_secret() -> Result<()> {
    let (mut machine, directory, _file) = with_secret().await?;
    // Somebody else's authority: that of the API server.
    let strange = directory.path().join("strange.pem");
    std::fs::copy(machine.plane.directory().join("authority.crt"), &strange)?;
    machine.azure.authority = Some(strange);
    machine.start_controller().await?;
    machine.apply(&manifest("render", 3, 0)).await?;
    let told = machine
        .until(
            "render",
            "it says whom it does not trust",
            SOON,
            |now, _| condition(now, "CredentialsValid") == ("False", "LoginUnreachable"),
        )
        .await?;
    assert!(
        message(&told).contains("UnknownIssuer") && message(&told).contains("--azure-ca-file"),
        "{told:#}"
    );
    assert_eq!(asked(&machine).await?, 0);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_and_a_federated_token_open_azure_too() -> Result<()> {
    let mut machine = Machine::without_controller(settings()).await?;
    machine.plane.apply_definition().await?;

    let certificate =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/credentials/application.pem");
    // openssl x509 -outform DER | openssl dgst -sha256 -binary | base64, of that file.
    let print = "DGqH3Qsx2afk9xHoh5Hkmk6bfofWM9AX0NygFjjYQeg";
    let rule = json!({"clientID": CLIENT, "certificate": print});
    machine.azure.control("login", &rule).await?;
    machine.set_environment(application("AZURE_CLIENT_CERTIFICATE_PATH", &certificate));
    machine.start_controller().await?;
    machine.apply(&manifest("render", 2, 0)).await?;
    machine.until_as_declared("render", 2, 0).await?;
    machine.stop_controller().await?;

    // What the kubelet would mount, first of one account, then of another.
    let directory = TempDir::new()?;
    let file = directory.path().join("token");
    let write = async |account: &str| -> Result<()> {
        let ask = [
            "create",
            "token",
            account,
            "--audience=api://AzureADTokenExchange",
        ];
        std::fs::write(&file, machine.kubectl(&ask).await?)?;
        let subject = format!("system:serviceaccount:default:{account}");
        let rule = json!({"clientID": CLIENT, "subject": subject});
        machine.azure.control("login", &rule).await?;
        Ok(())
    };
    for account in ["one", "two"] {
        machine
            .kubectl(&["create", "serviceaccount", account])
            .await?;
    }
    write("one").await?;
    let environment = application("AZURE_FEDERATED_TOKEN_FILE", &file);
    let mut machine = machine;
    machine.set_environment(environment);
    machine.start_controller().await?;
    machine.azure.evict("render", 1).await?;
    machine.until_as_declared("render", 2, 0).await?;
    let ask = [
        "create",
        "token",
        "two",
        "--audience=api://AzureADTokenExchange",
    ];
    std::fs::write(&file, machine.kubectl(&ask).await?)?;
    let rule = json!({"clientID": CLIENT, "subject": "system:serviceaccount:default:two"});
    machine.azure.control("login", &rule).await?;
    machine
        .azure
        .control("login", &json!({"revoke": true}))
        .await?;
    machine.azure.evict("render", 1).await?;
    machine.until_as_declared("render", 2, 0).await?;
    assert_silent(&machine, &["eyJ", "PRIVATE KEY"]);
    Ok(())
}
