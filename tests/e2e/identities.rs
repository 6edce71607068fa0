//! An identity for each namespace: pools call Azure as ServiceAccounts of their own, and one that cannot is noticed by nobody else.

use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::machine::{Machine, Settings, condition, manifest};
use crate::harness::{Result, error};

const SOON: Duration = Duration::from_secs(60);
const TENANT: &str = "22222222-2222-2222-2222-222222222222";

/// The operator may do what the chart allows with these settings, and lends its own identity to nobody.
async fn machine(chart: &[&str]) -> Result<Machine> {
    let settings = Settings {
        tls: true,
        log: "info,spotpool=debug",
        controller: vec!["--allow-operator-identity=false".into()],
        ..Settings::default()
    };
    let mut machine = Machine::without_controller(settings).await?;
    let kubeconfig = crate::chart::rendered_rbac(&machine.plane, chart).await?;
    machine.become_user(kubeconfig);
    machine.start_controller().await?;
    Ok(machine)
}

fn of(name: &str, spot: u32, account: &str) -> Value {
    let mut pool = manifest(name, spot, 0);
    pool["spec"]["credentials"] = json!({"serviceAccountName": account});
    pool
}

/// A ServiceAccount that stands for an application of the same name.
async fn account(machine: &Machine, namespace: &str, name: &str) -> Result<()> {
    let account = json!({
        "apiVersion": "v1", "kind": "ServiceAccount",
        "metadata": {"namespace": namespace, "name": name, "annotations": {
            "azure.workload.identity/client-id": name, "azure.workload.identity/tenant-id": TENANT,
        }},
    });
    machine.apply(&account).await?;
    Ok(())
}

async fn finalizers(machine: &Machine, name: &str) -> Result<String> {
    let ask = [
        "get",
        "serviceaccount",
        name,
        "-o",
        "jsonpath={.metadata.finalizers}",
    ];
    machine.kubectl(&ask).await
}

#[tokio::test(flavor = "multi_thread")]
async fn every_step_towards_a_token_has_its_reason_and_ends_by_itself() -> Result<()> {
    let machine = machine(&["azure.perNamespaceIdentity=true"]).await?;
    account(&machine, "default", "team-a").await?;
    machine.apply(&of("good", 3, "team-a")).await?;
    machine.until_as_declared("good", 3, 0).await?;

    machine
        .kubectl(&["create", "serviceaccount", "bare"])
        .await?;
    account(&machine, "default", "refused").await?;
    let rule = json!({"clientID": "refused", "refuse": "AADSTS700016: Application with identifier 'refused' was not found in the directory."});
    machine.azure.control("login", &rule).await?;
    machine.apply(&manifest("nobody", 1, 0)).await?;
    machine.apply(&of("missing", 1, "later")).await?;
    machine.apply(&of("bare", 1, "bare")).await?;
    machine.apply(&of("refused", 1, "refused")).await?;
    for (pool, stalled, valid, word) in [
        (
            "nobody",
            "CredentialsRequired",
            "CredentialsRequired",
            "names no ServiceAccount",
        ),
        (
            "missing",
            "ServiceAccountNotFound",
            "ServiceAccountNotFound",
            "default/later",
        ),
        (
            "bare",
            "ServiceAccountNotAnnotated",
            "ServiceAccountNotAnnotated",
            "azure.workload.identity/client-id",
        ),
        (
            "refused",
            "CredentialsInvalid",
            "CredentialsFailed",
            "AADSTS700016",
        ),
    ] {
        let told = machine
            .until(
                pool,
                &format!("it is Stalled because of {stalled}"),
                SOON,
                |now, _| condition(now, "Stalled") == ("True", stalled),
            )
            .await?;
        assert_eq!(
            condition(&told, "CredentialsValid"),
            ("False", valid),
            "{told:#}"
        );
        assert!(
            told["status"]["conditions"].to_string().contains(word),
            "{told:#}"
        );
    }

    // The others do not notice.
    machine.azure.evict("good", 1).await?;
    let good = machine.until_as_declared("good", 3, 0).await?;
    assert_eq!(
        condition(&good, "CredentialsValid"),
        ("True", "TokenIssued")
    );

    // Each mistake corrected, each pool goes on.
    account(&machine, "default", "later").await?;
    account(&machine, "default", "bare").await?;
    machine
        .azure
        .control("login", &json!({"clientID": "refused"}))
        .await?;
    let choose = r#"{"spec":{"credentials":{"serviceAccountName":"team-a"}}}"#;
    machine
        .kubectl(&["patch", "spotpool", "nobody", "--type=merge", "-p", choose])
        .await?;
    for pool in ["nobody", "missing", "bare", "refused"] {
        machine.until_as_declared(pool, 1, 0).await?;
    }
    let log = machine.controller_log();
    let token = log.lines().find(|line| line.contains("eyJ"));
    assert_eq!(token, None, "a token is in the log");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_permission_it_says_which_is_missing() -> Result<()> {
    let machine = machine(&[]).await?;
    account(&machine, "default", "team-a").await?;
    machine.apply(&of("render", 1, "team-a")).await?;
    let told = machine
        .until("render", "the permission is missing", SOON, |now, _| {
            condition(now, "Stalled") == ("True", "TokenRequestForbidden")
        })
        .await?;
    let text = told["status"]["conditions"].to_string();
    assert!(text.contains("azure.perNamespaceIdentity=true"), "{told:#}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_account_and_the_role_of_the_documents_are_enough_and_for_no_other_account()
-> Result<()> {
    let machine = machine(&[]).await?;
    let page = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/credentials.md");
    let page = std::fs::read_to_string(page)?;
    machine.kubectl(&["create", "namespace", "team-a"]).await?;
    let blocks = page.split("```yaml\n").skip(1);
    for block in blocks.filter(|block| block.starts_with("apiVersion")) {
        let manifest = block.split("```").next().unwrap_or_default();
        let admin = machine.plane.kubeconfig_path();
        let said = machine
            .plane
            .kubectl_as(&admin, ["apply", "-f", "-"], manifest);
        said.await?.ok()?;
    }
    account(&machine, "team-a", "other").await?;
    for name in ["team-a-azure", "other"] {
        let mut pool = of(name, 1, name);
        pool["metadata"]["namespace"] = json!("team-a");
        machine.apply(&pool).await?;
    }
    let wait = [
        "wait",
        "spotpool/team-a-azure",
        "-n",
        "team-a",
        "--for=condition=Ready",
        "--timeout=60s",
    ];
    machine.kubectl(&wait).await?;
    let forbidden =
        r#"--for=jsonpath={.status.conditions[?(@.type=="Stalled")].reason}=TokenRequestForbidden"#;
    let wait = [
        "wait",
        "spotpool/other",
        "-n",
        "team-a",
        forbidden,
        "--timeout=60s",
    ];
    machine.kubectl(&wait).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_that_hangs_holds_up_its_own_pools_only() -> Result<()> {
    let machine = machine(&["azure.perNamespaceIdentity=true"]).await?;
    for team in ["team-a", "team-b"] {
        account(&machine, "default", team).await?;
    }
    machine
        .azure
        .control("login", &json!({"clientID": "team-a", "hangs": true}))
        .await?;
    // More than there are turns at a time.
    for number in 0..80 {
        machine
            .apply(&of(&format!("hangs-{number}"), 1, "team-a"))
            .await?;
    }
    machine.apply(&of("render", 3, "team-b")).await?;
    machine.until_as_declared("render", 3, 0).await?;
    for _ in 0..3 {
        let begun = std::time::Instant::now();
        machine.azure.evict("render", 1).await?;
        machine.until_as_declared("render", 3, 0).await?;
        assert!(
            begun.elapsed() < Duration::from_secs(20),
            "healing took {:?}",
            begun.elapsed()
        );
    }
    machine
        .until("hangs-0", "it says that nobody answers", SOON, |now, _| {
            condition(now, "Stalled") == ("True", "LoginUnreachable")
        })
        .await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_is_kept_for_as_long_as_a_pool_needs_it() -> Result<()> {
    let machine = machine(&["azure.perNamespaceIdentity=true"]).await?;
    for team in ["team-a", "team-b"] {
        account(&machine, "default", team).await?;
    }
    machine.apply(&of("one", 1, "team-a")).await?;
    machine.apply(&of("two", 1, "team-a")).await?;
    for pool in ["one", "two"] {
        machine.until_as_declared(pool, 1, 0).await?;
    }
    assert!(
        finalizers(&machine, "team-a")
            .await?
            .contains("spotpool.io/in-use")
    );
    machine
        .kubectl(&["delete", "spotpool", "one", "--timeout=60s"])
        .await?;
    assert!(
        finalizers(&machine, "team-a")
            .await?
            .contains("spotpool.io/in-use"),
        "two still uses it"
    );
    machine.apply(&of("two", 2, "team-b")).await?;
    machine.until_as_declared("two", 2, 0).await?;
    assert_eq!(
        finalizers(&machine, "team-a").await?,
        "",
        "nobody uses it any more"
    );
    machine
        .kubectl(&["delete", "spotpool", "two", "--timeout=60s"])
        .await?;
    assert_eq!(finalizers(&machine, "team-b").await?, "");
    Ok(())
}

/// Two pools in a namespace of their own, running, and the namespace being deleted while Azure does not answer.
async fn going() -> Result<Machine> {
    let mut machine = machine(&["azure.perNamespaceIdentity=true"]).await?;
    machine.plane.start_controller_manager().await?;
    machine.kubectl(&["create", "namespace", "batch"]).await?;
    account(&machine, "batch", "team-a").await?;
    for name in ["one", "two"] {
        let mut pool = of(name, 2, "team-a");
        pool["metadata"]["namespace"] = json!("batch");
        machine.apply(&pool).await?;
    }
    machine
        .kubectl(&[
            "wait",
            "spotpools",
            "--all",
            "-n",
            "batch",
            "--for=condition=Ready",
            "--timeout=60s",
        ])
        .await?;
    machine
        .azure
        .control("offline", &json!({"offline": true}))
        .await?;
    machine
        .kubectl(&["delete", "namespace", "batch", "--wait=false"])
        .await?;
    let terminating = "--for=jsonpath={.metadata.deletionTimestamp}";
    machine
        .kubectl(&[
            "wait",
            "spotpools",
            "--all",
            "-n",
            "batch",
            terminating,
            "--timeout=60s",
        ])
        .await?;
    Ok(machine)
}

async fn gone(machine: &Machine) -> Result<()> {
    let wait = ["wait", "namespace/batch", "--for=delete", "--timeout=90s"];
    if let Err(problem) = machine.kubectl(&wait).await {
        let ask = [
            "get",
            "spotpools,serviceaccounts",
            "-n",
            "batch",
            "-o",
            "yaml",
        ];
        return Err(error(format!(
            "{problem}\n{}",
            machine.kubectl(&ask).await?
        )));
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_is_deleted_with_its_account_and_its_pools_and_their_scale_sets() -> Result<()>
{
    let machine = going().await?;
    // Kubernetes gives no tokens in this namespace any more, and Azure takes none of those that were given.
    machine
        .azure
        .control("login", &json!({"revoke": true}))
        .await?;
    machine
        .azure
        .control("offline", &json!({"offline": false}))
        .await?;
    gone(&machine).await?;
    for name in ["one", "two"] {
        assert!(
            !machine.azure.set(name).await?.exists(),
            "{name} is left in Azure"
        );
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_restarted_while_a_namespace_goes_says_what_is_lost_and_how_to_go_on()
-> Result<()> {
    let mut machine = going().await?;
    machine.kill_controller()?;
    machine
        .azure
        .control("offline", &json!({"offline": false}))
        .await?;
    machine.start_controller().await?;
    let blocked =
        r#"--for=jsonpath={.status.conditions[?(@.type=="Deleting")].reason}=NamespaceTerminating"#;
    machine
        .kubectl(&[
            "wait",
            "spotpools",
            "--all",
            "-n",
            "batch",
            blocked,
            "--timeout=60s",
        ])
        .await?;
    for name in ["one", "two"] {
        let orphan = r#"{"spec":{"deletionPolicy":"Orphan"}}"#;
        machine
            .kubectl(&[
                "patch",
                "spotpool",
                name,
                "-n",
                "batch",
                "--type=merge",
                "-p",
                orphan,
            ])
            .await?;
    }
    gone(&machine).await?;
    assert_eq!(machine.azure.set("one").await?.held(), 2, "left as it is");
    Ok(())
}
