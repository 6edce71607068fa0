//! The ground that the other tests here stand on: that the control plane is a real one and behaves as the harness
//! promises.

use std::process::Command;
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use kube::api::{Api, DeleteParams, ObjectMeta, PostParams};

use crate::harness::Result;
use crate::harness::access::client_of;
use crate::harness::control_plane::ControlPlane;
use crate::harness::process::Process;

fn config_map(name: &str) -> ConfigMap {
    ConfigMap {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            ..ObjectMeta::default()
        },
        ..ConfigMap::default()
    }
}

#[tokio::test]
async fn two_start_side_by_side_and_share_nothing() -> Result<()> {
    let start = Instant::now();
    let (one, two) = tokio::join!(ControlPlane::start(), ControlPlane::start());
    let (one, two) = (one?, two?);
    eprintln!(
        "two control planes were ready after {:.1} s",
        start.elapsed().as_secs_f64()
    );
    assert_ne!(one.url(), two.url());

    let in_one: Api<ConfigMap> = Api::namespaced(one.client().await?, "default");
    let in_two: Api<ConfigMap> = Api::namespaced(two.client().await?, "default");
    in_one
        .create(&PostParams::default(), &config_map("only-in-one"))
        .await?;
    assert!(in_one.get_opt("only-in-one").await?.is_some());
    assert!(in_two.get_opt("only-in-one").await?.is_none());
    Ok(())
}

#[tokio::test]
async fn kubectl_and_server_are_the_pinned_release() -> Result<()> {
    let start = Instant::now();
    let plane = ControlPlane::start().await?;
    eprintln!(
        "a control plane was ready after {:.1} s",
        start.elapsed().as_secs_f64()
    );
    let said = plane.kubectl(["version"]).await?.ok()?;
    assert!(said.contains("Client Version: v1.36.2"), "{said}");
    assert!(said.contains("Server Version: v1.36.2"), "{said}");
    Ok(())
}

#[tokio::test]
async fn rbac_denies_whatever_is_not_granted() -> Result<()> {
    let plane = ControlPlane::start().await?;
    let jane = plane.kubeconfig_for("jane", Some("developers"))?;

    let denied = plane.kubectl_as(&jane, ["get", "configmaps"], "").await?;
    assert!(!denied.success);
    assert!(
        denied
            .stderr
            .contains("User \"jane\" cannot list resource \"configmaps\""),
        "{}",
        denied.stderr
    );

    plane
        .kubectl([
            "create",
            "role",
            "reader",
            "--verb=get,list",
            "--resource=configmaps",
        ])
        .await?
        .ok()?;
    plane
        .kubectl([
            "create",
            "rolebinding",
            "readers",
            "--role=reader",
            "--group=developers",
        ])
        .await?
        .ok()?;
    plane
        .kubectl_as(&jane, ["get", "configmaps"], "")
        .await?
        .ok()?;
    let denied = plane
        .kubectl_as(&jane, ["create", "configmap", "mine"], "")
        .await?;
    assert!(
        denied
            .stderr
            .contains("User \"jane\" cannot create resource \"configmaps\""),
        "{}",
        denied.stderr
    );
    Ok(())
}

#[tokio::test]
async fn a_service_account_has_exactly_what_is_bound_to_it() -> Result<()> {
    let plane = ControlPlane::start().await?;
    let manifest = "{apiVersion: v1, kind: ServiceAccount, metadata: {name: robot}}";
    plane
        .kubectl_as(&plane.kubeconfig_path(), ["apply", "-f", "-"], manifest)
        .await?
        .ok()?;
    let robot = client_of(
        &plane
            .kubeconfig_for_service_account("default", "robot")
            .await?,
    )
    .await?;
    let maps: Api<ConfigMap> = Api::namespaced(robot, "default");

    let refused = maps
        .create(&PostParams::default(), &config_map("made-by-robot"))
        .await;
    assert!(
        matches!(&refused, Err(kube::Error::Api(status)) if status.code == 403),
        "{refused:?}"
    );

    plane
        .kubectl([
            "create",
            "role",
            "writer",
            "--verb=create",
            "--resource=configmaps",
        ])
        .await?
        .ok()?;
    plane
        .kubectl([
            "create",
            "rolebinding",
            "writers",
            "--role=writer",
            "--serviceaccount=default:robot",
        ])
        .await?
        .ok()?;
    maps.create(&PostParams::default(), &config_map("made-by-robot"))
        .await?;
    Ok(())
}

#[tokio::test]
async fn a_stopped_api_server_comes_back_at_its_address_with_its_data() -> Result<()> {
    let mut plane = ControlPlane::start().await?;
    let url = plane.url();
    let maps: Api<ConfigMap> = Api::namespaced(plane.client().await?, "default");
    maps.create(&PostParams::default(), &config_map("kept"))
        .await?;

    plane.stop_apiserver()?;
    assert!(
        maps.get("kept").await.is_err(),
        "a stopped API server must not answer"
    );
    let start = Instant::now();
    plane.start_apiserver().await?;
    eprintln!(
        "the API server was back after {:.1} s",
        start.elapsed().as_secs_f64()
    );

    assert_eq!(plane.url(), url);
    assert_eq!(
        maps.get("kept").await?.metadata.name.as_deref(),
        Some("kept")
    );
    Ok(())
}

#[tokio::test]
async fn with_the_controller_manager_a_deleted_namespace_goes_with_its_content() -> Result<()> {
    let mut plane = ControlPlane::start().await?;
    let start = Instant::now();
    plane.start_controller_manager().await?;
    eprintln!(
        "the controller manager worked after {:.1} s",
        start.elapsed().as_secs_f64()
    );

    plane
        .kubectl(["create", "namespace", "short-lived"])
        .await?
        .ok()?;
    plane
        .kubectl(["create", "configmap", "content", "--namespace=short-lived"])
        .await?
        .ok()?;
    let namespaces: Api<Namespace> = Api::all(plane.client().await?);
    namespaces
        .delete("short-lived", &DeleteParams::default())
        .await?;
    let start = Instant::now();
    while namespaces.get_opt("short-lived").await?.is_some() {
        assert!(
            start.elapsed() < Duration::from_secs(60),
            "the namespace is still there after a minute"
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Ok(())
}

#[tokio::test]
async fn nothing_is_left_after_the_handle() -> Result<()> {
    let plane = ControlPlane::start().await?;
    let (url, directory) = (plane.url(), plane.directory().to_owned());
    let address = url.trim_start_matches("https://").to_owned();
    assert!(std::net::TcpStream::connect(&address).is_ok());
    drop(plane);
    assert!(
        std::net::TcpStream::connect(&address).is_err(),
        "the API server outlived its handle"
    );
    assert!(
        !directory.exists(),
        "{} outlived its handle",
        directory.display()
    );
    Ok(())
}

#[tokio::test]
async fn an_error_about_a_program_shows_how_it_ended_and_what_it_wrote_last() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let mut command = Command::new("sh");
    command.args(["-c", "echo the disk is full; exit 3"]);
    let mut process = Process::start("example", command, &directory.path().join("example.log"))?;
    process.wait(Duration::from_secs(10)).await?;
    let shown = process.failure("does not run").to_string();
    assert!(
        shown.starts_with("example does not run (it ended: exit code 3)"),
        "{shown}"
    );
    assert!(shown.ends_with("the disk is full"), "{shown}");
    Ok(())
}

#[tokio::test]
async fn a_terminated_program_may_finish_and_a_killed_one_may_not() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let log = directory.path().join("example.log");
    let script = "trap 'echo finished; exit 0' TERM; echo started; while true; do sleep 0.05; done";
    for polite in [true, false] {
        std::fs::write(&log, "")?;
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        let mut process = Process::start("example", command, &log)?;
        while !process.log_tail().contains("started") {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        if polite {
            process.terminate()?;
        } else {
            process.kill_9()?;
        }
        let status = process.wait(Duration::from_secs(10)).await?;
        assert_eq!(status.success(), polite);
        assert_eq!(process.log_tail().contains("finished"), polite);
    }
    Ok(())
}

/// Whether a process of this number runs; a zombie does not.
fn is_running(id: u32) -> Result<bool> {
    let output = Command::new("ps")
        .args(["-o", "stat=", "-p", &id.to_string()])
        .output()?;
    let state = String::from_utf8(output.stdout)?;
    Ok(!state.trim().is_empty() && !state.starts_with('Z'))
}

async fn ends(id: u32) -> Result<bool> {
    let start = Instant::now();
    while is_running(id)? {
        if start.elapsed() > Duration::from_secs(10) {
            return Ok(false);
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(true)
}

/// Not a test: the victim of the next one, which starts it as a process of its own.
#[test]
#[ignore = "run by a_program_does_not_outlive_a_killed_test"]
#[expect(clippy::disallowed_methods, reason = "it is there to be killed")]
fn a_victim() -> Result<()> {
    let Some(log) = std::env::var_os("VICTIM_LOG") else {
        return Ok(());
    };
    let mut command = Command::new("sleep");
    command.arg("600");
    let process = Process::start("sleep", command, std::path::Path::new(&log))?;
    std::fs::write(
        std::path::Path::new(&log).with_extension("id"),
        process.id().to_string(),
    )?;
    std::thread::sleep(Duration::from_secs(600));
    Ok(())
}

#[tokio::test]
async fn a_program_does_not_outlive_a_killed_test() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let log = directory.path().join("sleep.log");
    let mut command = Command::new(std::env::current_exe()?);
    command
        .args(["--exact", "control_plane_test::a_victim", "--ignored"])
        .env("VICTIM_LOG", &log);
    let mut victim = Process::start("victim", command, &directory.path().join("victim.log"))?;

    let start = Instant::now();
    let id = loop {
        if let Ok(Ok(id)) = std::fs::read_to_string(log.with_extension("id")).map(|id| id.parse()) {
            break id;
        }
        assert!(
            start.elapsed() < Duration::from_secs(30),
            "{}",
            victim.failure("did not start")
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert!(is_running(id)?);
    victim.kill_9()?;
    assert!(ends(id).await?, "process {id} outlived the killed test");
    Ok(())
}

#[tokio::test]
async fn a_program_ends_with_its_handle_unless_it_is_left_running() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let start = || {
        let mut command = Command::new("sleep");
        command.arg("600");
        Process::start("sleep", command, &directory.path().join("sleep.log"))
    };
    let ended = start()?;
    let id = ended.id();
    drop(ended);
    assert!(!is_running(id)?);

    let id = start()?.leave_running();
    assert!(is_running(id)?);
    Command::new("sh")
        .args(["-c", "kill -s KILL \"$0\"", &id.to_string()])
        .status()?;
    assert!(ends(id).await?);
    Ok(())
}
