//! The chart and `deploy/install.yaml`: rendered by a real Helm, taken by a real API server, and enough for the controller,
//! with nothing that it does not need.
//!
//! [`rendered_rbac`] is for the other tests: it makes a user who may do exactly what the chart allows.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::Value;
use tokio::sync::OnceCell;

use crate::harness::Result;
use crate::harness::access::Said;
use crate::harness::control_plane::ControlPlane;

const NAMESPACE: &str = "spotpool-system";

fn in_project(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

async fn run(program: &Path, arguments: &[&str]) -> Result<Said> {
    let output = tokio::process::Command::new(program)
        .args(arguments)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .stdin(Stdio::null())
        .output()
        .await?;
    Ok(Said {
        success: output.status.success(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    })
}

/// Runs the real Helm, which the first call on a machine builds.
async fn helm(arguments: &[&str]) -> Result<Said> {
    static HELM: OnceCell<PathBuf> = OnceCell::const_new();
    let helm = HELM
        .get_or_try_init(|| async {
            let said = run(&in_project("tests/helm/prepare.sh"), &[]).await?;
            Ok::<_, crate::harness::Error>(PathBuf::from(said.ok()?.trim()))
        })
        .await?;
    run(helm, arguments).await
}

/// The chart with these further arguments (`--set`, `--show-only`, …).
async fn template(arguments: &[&str]) -> Result<Said> {
    helm(
        &[
            &[
                "template",
                "spotpool",
                "charts/spotpool",
                "--namespace",
                NAMESPACE,
            ],
            arguments,
        ]
        .concat(),
    )
    .await
}

async fn apply(plane: &ControlPlane, manifest: &str) -> Result<String> {
    let arguments = ["apply", "--server-side", "--filename", "-"];
    plane
        .kubectl_as(&plane.kubeconfig_path(), arguments, manifest)
        .await?
        .ok()
}

/// Installs the definition, the service account and the permissions exactly as the chart renders them with `settings`
/// (`--set` pairs, such as `watchNamespace=batch`), and returns a kubeconfig of that service account: whatever the
/// controller is not allowed to do in production is forbidden to it here too.
///
/// # Errors
/// If Helm or the API server refuses the chart.
pub async fn rendered_rbac(plane: &ControlPlane, settings: &[&str]) -> Result<PathBuf> {
    let parts = ["crd", "serviceaccount", "rbac", "aggregate-roles"]
        .map(|part| format!("templates/{part}.yaml"));
    let mut arguments: Vec<&str> = parts
        .iter()
        .flat_map(|part| ["--show-only", part])
        .collect();
    arguments.extend(settings.iter().flat_map(|setting| ["--set", setting]));
    let rendered = template(&arguments).await?.ok()?;
    apply(
        plane,
        &format!("{{apiVersion: v1, kind: Namespace, metadata: {{name: {NAMESPACE}}}}}"),
    )
    .await?;
    apply(plane, &rendered).await?;
    plane
        .kubectl([
            "wait",
            "--for=condition=Established",
            "crd/spotpools.spotpool.io",
            "--timeout=30s",
        ])
        .await?
        .ok()?;
    plane
        .kubeconfig_for_service_account(NAMESPACE, "spotpool")
        .await
}

#[tokio::test]
async fn the_linter_has_nothing_to_say() -> Result<()> {
    let said = helm(&["lint", "--strict", "charts/spotpool"]).await?;
    assert!(said.success, "{}{}", said.stdout, said.stderr);
    Ok(())
}

#[tokio::test]
async fn a_value_that_does_not_exist_or_cannot_be_is_refused() -> Result<()> {
    for (setting, complaint) in [
        ("imagee.tag=1", "additional properties 'imagee' not allowed"),
        ("image.tagg=1", "additional properties 'tagg' not allowed"),
        (
            "azure.workloadIdentity.clientId=11111111-1111-1111-1111-111111111111",
            "additional properties 'clientId' not allowed",
        ),
        (
            "azure.workloadIdentity.clientID=me",
            "does not match pattern",
        ),
        ("lookEvery=30", "lookEvery"),
        ("logFormat=xml", "value must be one of 'text', 'json'"),
        ("service.port=0", "minimum: got 0, want 1"),
        ("azure.credentialsSecret=azure", "two ways to do one thing"),
        ("azure.cloud=germany", "value must be one of"),
        (
            "azure.cloud=china,azure.endpoint=https://arm.example.com",
            "describe a custom cloud",
        ),
        ("azure.cloud=custom", "needs azure.endpoint"),
        (
            "azure.authority=http://login.example.com",
            "does not match pattern",
        ),
        (
            "serviceAccount.create=false",
            "serviceAccount.name is needed",
        ),
    ] {
        let said = template(&["--set", setting]).await?;
        assert!(
            !said.success && said.stderr.contains(complaint),
            "{setting}: {}",
            said.stderr
        );
    }
    Ok(())
}

#[tokio::test]
async fn generated_files_are_current() -> Result<()> {
    let definition = std::fs::read_to_string(in_project("crds/spotpool.io_spotpools.yaml"))?;
    let in_chart = std::fs::read_to_string(in_project(
        "charts/spotpool/files/spotpool.io_spotpools.yaml",
    ))?;
    assert!(
        definition == in_chart,
        "charts/spotpool/files is not what crds/ has: run `make generate`"
    );
    let rendered = run(&in_project("tests/helm/install-manifest.sh"), &[])
        .await?
        .ok()?;
    let committed = std::fs::read_to_string(in_project("deploy/install.yaml"))?;
    assert!(
        rendered == committed,
        "deploy/install.yaml is not what the chart renders: run `make generate`"
    );
    let chart: Value = serde_saphyr::from_str(&std::fs::read_to_string(in_project(
        "charts/spotpool/Chart.yaml",
    ))?)?;
    assert_eq!(chart["appVersion"], env!("CARGO_PKG_VERSION"));
    Ok(())
}

#[tokio::test]
async fn a_real_api_server_takes_every_way_to_install_it() -> Result<()> {
    let plane = ControlPlane::start().await?;
    // The definition as JSON must fit into the annotation that a client-side apply writes, too.
    plane
        .kubectl(["apply", "--filename", "deploy/install.yaml"])
        .await?
        .ok()?;
    let again = plane
        .kubectl(["apply", "--filename", "deploy/install.yaml"])
        .await?
        .ok()?;
    assert!(
        again.lines().all(|line| line.ends_with(" unchanged")),
        "{again}"
    );
    plane
        .kubectl(["create", "namespace", "batch"])
        .await?
        .ok()?;
    for settings in [
        "watchNamespace=batch",
        "watchNamespace=batch,clusterID=prod-1",
        "clusterID=prod-1,rbac.aggregate=false,service.enabled=false,crds.install=false",
        "azure.workloadIdentity.enabled=false,azure.credentialsSecret=azure,azure.cloud=usgovernment",
        "azure.workloadIdentity.enabled=false,azure.credentialsSecret=azure,azure.credentialsKey=AZURE_CLIENT_CERTIFICATE,azure.caConfigMap=authorities",
        "azure.cloud=custom,azure.endpoint=https://arm.example.com,azure.authority=https://login.example.com,azure.audience=https://arm.example.com/,azure.caConfigMap=authorities",
        "azure.perNamespaceIdentity=true,azure.allowOperatorIdentity=false",
        "azure.workloadIdentity.clientID=11111111-1111-1111-1111-111111111111,fullnameOverride=other,crds.keep=false",
        "image.digest=sha256:0000000000000000000000000000000000000000000000000000000000000000,nodeSelector.disk=ssd,podLabels.a=b,podAnnotations.c=d,priorityClassName=,extraEnv[0].name=RUST_LOG,extraEnv[0].value=debug,imagePullSecrets[0].name=pull",
    ] {
        let rendered = template(&["--set", settings]).await?.ok()?;
        let arguments = ["apply", "--dry-run=server", "--filename", "-"];
        let said = plane
            .kubectl_as(&plane.kubeconfig_path(), arguments, &rendered)
            .await?;
        assert!(said.success, "{settings}: {}", said.stderr);
        assert!(
            !said.stderr.contains("Warning"),
            "{settings}: {}",
            said.stderr
        );
    }
    Ok(())
}

#[tokio::test]
async fn helm_installs_it_and_keeps_the_pools_when_it_is_uninstalled() -> Result<()> {
    let mut plane = ControlPlane::start().await?;
    plane.start_controller_manager().await?;
    let kubeconfig = plane.kubeconfig_path();
    let kubeconfig = kubeconfig
        .to_str()
        .ok_or("the kubeconfig's path is not UTF-8")?;
    let there = ["--namespace", NAMESPACE, "--kubeconfig", kubeconfig];
    let strict = "{apiVersion: v1, kind: Namespace, metadata: {name: spotpool-system, labels: {pod-security.kubernetes.io/enforce: restricted}}}";
    apply(&plane, strict).await?;
    let installed = helm(&[&["install", "spotpool", "charts/spotpool"], &there[..]].concat())
        .await?
        .ok()?;
    assert!(
        installed.contains("az identity federated-credential create"),
        "the notes do not say how to sign in: {installed}"
    );
    helm(
        &[
            &[
                "upgrade",
                "spotpool",
                "charts/spotpool",
                "--set",
                "lookEvery=10s",
            ],
            &there[..],
        ]
        .concat(),
    )
    .await?
    .ok()?;

    // Restricted pod security lets the pod be made. (It stays pending: there is no node.)
    let pod = [
        "wait",
        "--for=create",
        "pod",
        "--selector=app.kubernetes.io/name=spotpool",
        "--namespace",
        NAMESPACE,
        "--timeout=60s",
    ];
    plane.kubectl(pod).await?.ok()?;

    // Whoever may edit a namespace may scale a pool; whoever may view it may not.
    let pool = r#"{apiVersion: spotpool.io/v1alpha1, kind: SpotPool, metadata: {name: kept, namespace: default}, spec: {
        subscriptionID: 11111111-1111-1111-1111-111111111111, resourceGroup: g, location: eastus, vmSizes: [{name: Standard_D4s_v5}],
        template: {image: {id: /subscriptions/11111111-1111-1111-1111-111111111111/resourceGroups/batch-rg/providers/Microsoft.Compute/images/render}, network: {subnetID: /subscriptions/s/resourceGroups/g/providers/Microsoft.Network/virtualNetworks/v/subnets/n}}}}"#;
    apply(&plane, pool).await?;
    plane
        .kubectl([
            "create",
            "rolebinding",
            "edits",
            "--clusterrole=edit",
            "--user=eve",
        ])
        .await?
        .ok()?;
    plane
        .kubectl([
            "create",
            "rolebinding",
            "views",
            "--clusterrole=view",
            "--user=vera",
        ])
        .await?
        .ok()?;
    let (eve, vera) = (
        plane.kubeconfig_for("eve", None)?,
        plane.kubeconfig_for("vera", None)?,
    );
    plane
        .kubectl_as(&eve, ["scale", "spotpool/kept", "--replicas=3"], "")
        .await?
        .ok()?;
    plane
        .kubectl_as(&vera, ["get", "spotpool/kept"], "")
        .await?
        .ok()?;
    let refused = plane
        .kubectl_as(&vera, ["scale", "spotpool/kept", "--replicas=4"], "")
        .await?;
    assert!(
        refused
            .stderr
            .contains("cannot patch resource \"spotpools/scale\""),
        "{}",
        refused.stderr
    );

    helm(&[&["uninstall", "spotpool"], &there[..]].concat())
        .await?
        .ok()?;
    let deployments = plane
        .kubectl([
            "get",
            "deployments",
            "--namespace",
            NAMESPACE,
            "--output=name",
        ])
        .await?
        .ok()?;
    assert_eq!(deployments, "");
    plane.kubectl(["get", "spotpool/kept"]).await?.ok()?;
    Ok(())
}

#[tokio::test]
async fn the_controller_may_do_what_it_does_and_nothing_else() -> Result<()> {
    let plane = ControlPlane::start().await?;
    let controller = rendered_rbac(&plane, &[]).await?;
    for (allowed, verb, resource) in [
        (true, "list", "spotpools.spotpool.io"),
        (true, "watch", "spotpools.spotpool.io"),
        (true, "patch", "spotpools.spotpool.io"),
        (true, "patch", "spotpools.spotpool.io/status"),
        (true, "create", "events.events.k8s.io"),
        (true, "patch", "events.events.k8s.io"),
        (true, "get", "namespaces/kube-system"),
        (false, "get", "namespaces/default"),
        (false, "list", "namespaces"),
        (false, "delete", "spotpools.spotpool.io"),
        (false, "create", "spotpools.spotpool.io"),
        (false, "update", "spotpools.spotpool.io/scale"),
        (true, "get", "secrets"),
        (true, "get", "configmaps"),
        (false, "list", "secrets"),
        (false, "watch", "secrets"),
        (false, "list", "configmaps"),
        (false, "list", "pods"),
        (false, "get", "serviceaccounts"),
        (false, "create", "serviceaccounts/token"),
    ] {
        let said = plane
            .kubectl_as(
                &controller,
                ["auth", "can-i", verb, resource, "--all-namespaces"],
                "",
            )
            .await?;
        assert_eq!(
            said.stdout.trim(),
            if allowed { "yes" } else { "no" },
            "{verb} {resource}: {}",
            said.stderr
        );
    }
    Ok(())
}

#[tokio::test]
async fn a_controller_for_one_namespace_sees_no_other() -> Result<()> {
    let plane = ControlPlane::start().await?;
    plane
        .kubectl(["create", "namespace", "batch"])
        .await?
        .ok()?;
    let controller = rendered_rbac(&plane, &["watchNamespace=batch"]).await?;
    plane
        .kubectl_as(&controller, ["get", "spotpools", "--namespace=batch"], "")
        .await?
        .ok()?;
    let refused = plane
        .kubectl_as(&controller, ["get", "spotpools", "--namespace=default"], "")
        .await?;
    assert!(
        refused
            .stderr
            .contains("cannot list resource \"spotpools\""),
        "{}",
        refused.stderr
    );
    Ok(())
}
