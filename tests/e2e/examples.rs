//! Every file in `examples/`, as somebody would use it who has just read it: applied as it is, Ready with what it declares, made in Azure
//! as it says, healed after an eviction, deleted without a trace. And `docs/examples.md` explains it.

mod promised;

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use crate::harness::azure::Set;
use crate::harness::machine::{Machine, Settings, condition};
use crate::harness::wiretap::Wiretap;
use crate::harness::{Result, error};

const SOON: Duration = Duration::from_secs(60);
const GROUP: &str = "/subscriptions/11111111-1111-1111-1111-111111111111/resourceGroups/batch-rg/providers/Microsoft.Compute";

/// A file, and what it makes in Kubernetes.
struct Example {
    file: String,
    objects: Vec<Value>,
}

impl Example {
    /// Its pools as the API server has them, with all defaults.
    fn pools(&self) -> impl Iterator<Item = &Value> {
        self.objects
            .iter()
            .filter(|object| object["kind"] == "SpotPool")
    }
}

fn files() -> Result<Vec<PathBuf>> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        files.push(entry?.path());
    }
    files.retain(|path| path.extension().is_some_and(|kind| kind == "yaml"));
    files.sort();
    Ok(files)
}

fn text(path: &Path) -> Result<String> {
    Ok(path.to_str().ok_or("a path that is no text")?.to_owned())
}

fn name(pool: &Value) -> &str {
    pool["metadata"]["name"].as_str().unwrap_or_default()
}

fn count(pool: &Value, priority: &str) -> usize {
    let count = pool["spec"]["capacity"][priority].as_u64();
    count.and_then(|n| usize::try_from(n).ok()).unwrap_or(0)
}

#[test]
fn every_example_is_explained() -> Result<()> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/examples.md");
    let page = std::fs::read_to_string(page)?;
    let files = files()?;
    assert!(files.len() >= 5, "only {files:?} were found");
    for file in files {
        let name = file.file_name().and_then(|name| name.to_str());
        let link = format!("](../examples/{})", name.unwrap_or_default());
        assert!(page.contains(&link), "docs/examples.md has no link {link}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_example_does_what_it_says() -> Result<()> {
    let mut machine = Machine::without_controller(Settings::default()).await?;
    let wiretap = Wiretap::before(&machine.azure.url).await?;
    machine.azure.url.clone_from(&wiretap.url);
    // As whom it is installed: examples must not need more.
    let kubeconfig = crate::chart::rendered_rbac(&machine.plane, &[]).await?;
    machine.become_user(kubeconfig);
    machine.start_controller().await?;

    let mut examples = Vec::new();
    for path in files()? {
        examples.push(applied(&machine, text(&path)?).await?);
    }
    let pools: Vec<&Value> = examples.iter().flat_map(Example::pools).collect();
    for pool in &pools {
        ready(&machine, pool).await?;
    }
    for example in &examples {
        for pool in example.pools() {
            kept_promises(&machine, &wiretap, example, pool).await?;
        }
    }
    let mut victims = Vec::new();
    for pool in &pools {
        let evicted = machine.azure.evict(name(pool), 1).await?;
        let victim = evicted.into_iter().next();
        victims.push(victim.ok_or_else(|| error(format!("{} has no Spot instance", name(pool))))?);
    }
    for (pool, victim) in pools.iter().zip(&victims) {
        healed(&machine, pool, victim).await?;
    }
    for example in &examples {
        deleted(&machine, example).await?;
    }
    Ok(())
}

/// What the start-up file of examples/ci-runners.yaml does after a job: for Azure that is no end, the machine is kept and paid for.
#[tokio::test(flavor = "multi_thread")]
async fn a_runner_that_switches_its_machine_off_gets_another_one() -> Result<()> {
    let machine = Machine::start(Settings::default()).await?;
    let mut files = files()?;
    files.retain(|path| path.ends_with("ci-runners.yaml"));
    let file = files.pop().ok_or("there is no ci-runners.yaml")?;
    let example = applied(&machine, text(&file)?).await?;
    let pool = example.pools().next().ok_or("no pool")?;
    ready(&machine, pool).await?;
    let done = machine.azure.set(name(pool)).await?.names();
    for instance in &done {
        let path = format!("{GROUP}/virtualMachines/{instance}/powerOff");
        let (status, body) = machine.azure.arm("POST", &path, &Value::Null).await?;
        assert_eq!(status, 202, "{path}: {body}");
    }
    let what = format!("all of {done:?} are replaced");
    let (spot, regular) = (count(pool, "spot"), count(pool, "regular"));
    machine
        .until(name(pool), &what, SOON, |_, set| {
            !set.names().iter().any(|name| done.contains(name))
                && (set.running("Spot"), set.running("Regular")) == (spot, regular)
        })
        .await?;
    Ok(())
}

/// Applied twice, as the second time is when a manifest shows that it fights with somebody.
async fn applied(machine: &Machine, file: String) -> Result<Example> {
    machine.kubectl(&["apply", "--filename", &file]).await?;
    let again = machine.kubectl(&["apply", "--filename", &file]).await?;
    let fights = |line: &&str| line.starts_with("spotpool") && !line.ends_with(" unchanged");
    if let Some(line) = again.lines().find(fights) {
        return Err(error(format!("{file} applied again: {line}")));
    }
    let got = machine
        .kubectl(&["get", "--filename", &file, "--output", "json"])
        .await?;
    let got: Value = serde_json::from_str(&got)?;
    let objects = match got["items"].as_array() {
        Some(items) => items.clone(),
        None => vec![got],
    };
    Ok(Example { file, objects })
}

async fn ready(machine: &Machine, pool: &Value) -> Result<()> {
    let (spot, regular) = (count(pool, "spot"), count(pool, "regular"));
    machine.until_as_declared(name(pool), spot, regular).await?;
    let object = format!("spotpool/{}", name(pool));
    machine
        .kubectl(&["wait", "--for=condition=Ready", &object, "--timeout=60s"])
        .await?;
    Ok(())
}

/// What Azure was told when the scale set was made is what the manifest says.
async fn kept_promises(
    machine: &Machine,
    wiretap: &Wiretap,
    example: &Example,
    pool: &Value,
) -> Result<()> {
    let place = format!("/virtualMachineScaleSets/{}?", name(pool));
    let log = machine.azure.log().await?;
    let made = log.iter().find(|line| {
        let request = &line["request"];
        let url = request["url"].as_str().unwrap_or_default();
        request["method"] == "PUT" && url.contains(&place)
    });
    let made = made.ok_or_else(|| error(format!("no PUT of {place}")))?;
    let body = &made["request"]["body"];
    let mut differences = Vec::new();
    for (pointer, promised) in promised::in_body(pool)? {
        let sent = body.pointer(&pointer).unwrap_or(&Value::Null);
        if *sent != promised {
            differences.push(format!("{pointer} is {sent}, the manifest says {promised}"));
        }
    }
    for (field, data) in promised::data(pool, &example.objects)? {
        if !wiretap.has_heard(&format!("\"{field}\":\"{data}\"")) {
            differences.push(format!("{field} did not go out as {data}"));
        }
    }
    if differences.is_empty() {
        return Ok(());
    }
    Err(error(format!(
        "{}: {}\n{body:#}",
        example.file,
        differences.join("\n")
    )))
}

/// Started again under the policy Deallocate, replaced under Delete; as declared in either case.
async fn healed(machine: &Machine, pool: &Value, victim: &str) -> Result<()> {
    let same = pool["spec"]["eviction"]["policy"] == "Deallocate";
    let (spot, regular) = (count(pool, "spot"), count(pool, "regular"));
    let what = format!(
        "one eviction is counted, {victim} is {}, and all run",
        if same { "started again" } else { "replaced" }
    );
    let as_it_was = |now: &Value, set: &Set| {
        now["status"]["evictions"]["total"] == 1
            && set.names().iter().any(|name| name == victim) == same
            && (set.running("Spot"), set.running("Regular")) == (spot, regular)
            && set.held() == spot + regular
            && condition(now, "Ready").0 == "True"
            && condition(now, "SpotSatisfied").0 == "True"
    };
    machine.until(name(pool), &what, SOON, as_it_was).await?;
    let made = machine.azure.created(name(pool)).await?;
    let enough = spot + regular + usize::from(!same);
    if made == enough {
        return Ok(());
    }
    Err(error(format!(
        "{}: {made} instances were made, {enough} are enough",
        name(pool)
    )))
}

async fn deleted(machine: &Machine, example: &Example) -> Result<()> {
    let file = example.file.as_str();
    machine
        .kubectl(&["delete", "--filename", file, "--timeout=60s"])
        .await?;
    let left = machine
        .kubectl(&["get", "--filename", file, "--ignore-not-found"])
        .await?;
    if !left.trim().is_empty() {
        return Err(error(format!("{file} leaves in Kubernetes:\n{left}")));
    }
    for pool in example.pools() {
        let set = machine.azure.set(name(pool)).await?;
        if set.exists() {
            return Err(error(format!("{file} leaves in Azure: {set:?}")));
        }
    }
    Ok(())
}
