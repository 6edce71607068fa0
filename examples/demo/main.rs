//! The main job, to watch: a real Kubernetes control plane, the simulated Azure, the controller; a pool applied, a third of
//! its Spot instances evicted, the recovery, and what it took.
//!
//! Azure and the controller run sixty times faster than in reality, in the proportions of their defaults.

#[path = "../../tests/harness/mod.rs"]
mod harness;
mod story;
mod view;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use harness::machine::{Machine, Settings, condition};
use harness::{Result, error};
use story::Story;
use view::View;

const POOL: &str = "render";
const MANIFEST: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/render-farm.yaml");
const SPOT: usize = 18;
const REGULAR: usize = 2;
const EVICTED: usize = 6;
const PATIENCE: Duration = Duration::from_secs(90);

fn main() -> ExitCode {
    let keep = std::env::var("KEEP").is_ok_and(|keep| !keep.is_empty() && keep != "0");
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("demo: {error}");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(demo(keep)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\ndemo: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn demo(keep: bool) -> Result<()> {
    let settings = Settings::default();
    let speed = settings.speed;
    println!(
        "Starting a Kubernetes control plane, a simulated Azure ({speed} times faster than real time) and the controller ..."
    );
    let machine = Machine::start(settings).await?;
    println!("  Azure, to watch in a browser: {}\n", machine.azure.url);

    println!("$ kubectl apply -f examples/render-farm.yaml");
    print!("{}", machine.kubectl(&["apply", "-f", MANIFEST]).await?);
    let mut view = View::new();
    watch(&machine, &mut view, "18 Spot and 2 regular instances run").await?;

    let calls_before = machine.azure.state().await?["calls"].clone();
    println!("\nAzure takes a third of the Spot instances back:");
    println!(
        "$ curl -d '{{\"scaleSet\":\"{POOL}\",\"count\":{EVICTED}}}' {}/control/evict",
        machine.azure.url
    );
    let evicted = machine.azure.evict(POOL, EVICTED).await?;
    println!("{}", evicted.join(" "));
    await_loss(&machine, &mut view, &evicted).await?;
    watch(&machine, &mut view, "the evicted instances are replaced").await?;

    println!("\n$ kubectl get spotpools");
    print!("{}", machine.kubectl(&["get", "spotpools"]).await?);
    let state = machine.azure.state().await?;
    let story = Story::of(&state, &calls_before, POOL, &evicted, speed)?;
    println!("\n{}", story.summary());
    if story.replaced != evicted.len() {
        return Err(error(format!(
            "{} instances were evicted and {} came in their place",
            evicted.len(),
            story.replaced
        )));
    }
    if keep {
        leave(machine)
    } else {
        farewell()
    }
    Ok(())
}

/// Shows the pool until it is as declared and says so.
async fn watch(machine: &Machine, view: &mut View, what: &str) -> Result<()> {
    let started = Instant::now();
    loop {
        let pool = machine.pool(POOL).await.unwrap_or_default();
        let set = machine.azure.set(POOL).await?;
        view.show(&pool, &set);
        let told = (
            pool["status"]["spot"]["running"].as_u64(),
            pool["status"]["regular"]["running"].as_u64(),
        );
        let as_declared = set.running("Spot") == SPOT
            && set.running("Regular") == REGULAR
            && set.held() == SPOT + REGULAR;
        if as_declared
            && told == (Some(SPOT as u64), Some(REGULAR as u64))
            && condition(&pool, "Ready").0 == "True"
        {
            view.end();
            return Ok(());
        }
        if started.elapsed() > PATIENCE {
            view.end();
            return Err(error(format!(
                "this did not happen within {PATIENCE:?}: {what}\n{}",
                machine.controller_log()
            )));
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Shows the pool until the evicted instances are gone.
async fn await_loss(machine: &Machine, view: &mut View, evicted: &[String]) -> Result<()> {
    let started = Instant::now();
    loop {
        let set = machine.azure.set(POOL).await?;
        view.show(&machine.pool(POOL).await?, &set);
        let names = set.names();
        if !evicted.iter().any(|name| names.contains(name)) {
            return Ok(());
        }
        if started.elapsed() > PATIENCE {
            return Err(error("the simulated Azure never took the instances away"));
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

fn farewell() {
    println!("Everything is stopped. Try next:");
    println!(
        "  make demo KEEP=1     leave it up and play: scale, suspend, evict more, take capacity away"
    );
    println!("  docs/getting-started.md     a real cluster and a real subscription");
}

fn leave(machine: Machine) {
    let (azure, programs) = (machine.azure.url.clone(), machine.plane.kubectl_path());
    let left = machine.leave_running();
    let programs = programs
        .parent()
        .map(|path| path.display().to_string())
        .unwrap_or_default();
    let groups: Vec<String> = left.processes.iter().map(|id| format!("-{id}")).collect();
    println!("Everything stays up. Azure, to watch in a browser: {azure}");
    println!(
        "  export KUBECONFIG={} PATH={programs}:$PATH",
        left.kubeconfig.display()
    );
    println!("Try next:");
    println!("  kubectl describe spotpool {POOL}");
    println!("  kubectl scale spotpool/{POOL} --replicas=23 --timeout=5m");
    println!(
        "  curl -d '{{\"vmSize\":\"Standard_D4s_v5\",\"available\":0}}' {azure}/control/capacity     # Azure has none of this size any more"
    );
    println!(
        "  curl -d '{{\"scaleSet\":\"{POOL}\",\"count\":9}}' {azure}/control/evict              # and takes nine back"
    );
    println!("  kubectl delete spotpool {POOL}");
    println!("Stop it:");
    println!(
        "  kill -KILL -- {}; rm -r {}",
        groups.join(" "),
        left.directory.display()
    );
}
