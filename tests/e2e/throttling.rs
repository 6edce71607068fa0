//! A storm of 429s in both shapes: nothing is asked before Azure allows it, nothing is lost, nothing is done twice.

use std::time::Duration;

use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::harness::Result;
use crate::harness::machine::{Machine, Settings, condition, manifest};

const POOLS: [&str; 4] = ["blue", "green", "red", "white"];
const SOON: Duration = Duration::from_secs(90);
/// Calls that were on their way when Azure said no.
const UNDER_WAY: Duration = Duration::from_millis(500);

fn set(pool: &str) -> String {
    format!(
        "/subscriptions/11111111-1111-1111-1111-111111111111/resourceGroups/batch-rg/providers/Microsoft.Compute/virtualMachineScaleSets/{pool}"
    )
}

/// One call of the controller as Azure saw it.
#[derive(Debug)]
struct Seen {
    at: OffsetDateTime,
    method: String,
    path: String,
    status: u64,
    retry_after: Option<u64>,
    /// What a 429 was about.
    limit: String,
}

impl Seen {
    fn of(line: &Value) -> Result<Self> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let (request, response) = (&line["request"], &line["response"]);
        let url = text(&request["url"]);
        let path = url.split('?').next().unwrap_or_default().to_lowercase();
        let body = &response["body"];
        let limit = match body["error"]["code"].as_str() {
            Some("SubscriptionRequestsThrottled") => "arm".to_owned(),
            _ => text(&body["details"][0]["target"]),
        };
        Ok(Self {
            at: OffsetDateTime::parse(&text(&line["time"]), &Rfc3339)?,
            method: text(&request["method"]),
            path,
            status: response["statusCode"].as_u64().unwrap_or(0),
            retry_after: text(&response["headers"]["retry-after"]).parse().ok(),
            limit,
        })
    }

    fn policy(&self) -> &'static str {
        match self.method.as_str() {
            "GET" if self.path.contains("/operations/") => "GetOperation",
            "GET" if self.path.ends_with("/virtualmachines") => "HighCostGet",
            "GET" => "LowCostGetVMScaleSet",
            "PUT" | "PATCH" => "UpdateVMScaleSet",
            _ => "DeleteVMScaleSet",
        }
    }

    /// Whether this refusal forbids that call.
    fn forbids(&self, other: &Self) -> bool {
        let same_kind = (self.method == "GET") == (other.method == "GET");
        match self.limit.as_str() {
            "arm" => same_kind,
            limit if limit.ends_with("Resource") => {
                self.policy() == other.policy() && self.path == other.path
            }
            _ => self.policy() == other.policy(),
        }
    }
}

async fn since(machine: &Machine, from: usize) -> Result<Vec<Seen>> {
    machine.azure.log().await?[from..]
        .iter()
        .map(Seen::of)
        .collect()
}

fn refusals(log: &[Seen]) -> Vec<&Seen> {
    log.iter().filter(|one| one.status == 429).collect()
}

/// ARM's and Compute's.
fn in_both_shapes(refused: &[&Seen]) -> bool {
    let told = |wanted: &dyn Fn(&str) -> bool| refused.iter().any(|one| wanted(&one.limit));
    told(&|limit| limit == "arm") && told(&|limit| !["", "arm"].contains(&limit))
}

#[tokio::test(flavor = "multi_thread")]
async fn two_minutes_of_429s_lose_nothing_double_nothing_and_are_obeyed() -> Result<()> {
    let machine = Machine::start(Settings {
        speed: 10.0,
        look_every: "2s",
        settle: "6s",
        motion: "500ms",
        ..Settings::default()
    })
    .await?;
    for pool in POOLS {
        machine.apply(&manifest(pool, 5, 1)).await?;
    }
    for pool in POOLS {
        machine.until_as_declared(pool, 5, 1).await?;
    }
    let from = machine.azure.log().await?.len();

    // A second is ten of Azure's, so this is two minutes and longer: others use up one limit after the other, and each
    // set's own as well, until the operator has met both shapes of a 429.
    let limits = [
        "UpdateVMScaleSet",
        "writes",
        "UpdateVMScaleSet",
        "writes",
        "reads",
        "HighCostGet",
    ];
    for (round, limit) in limits.iter().cycle().take(90).enumerate() {
        if round >= 12 && in_both_shapes(&refusals(&since(&machine, from).await?)) {
            break;
        }
        let exhaust = json!({"limit": limit, "seconds": 9});
        machine.azure.control("limits", &exhaust).await?;
        for pool in POOLS {
            let exhaust = json!({"limit": "UpdateVMScaleSet", "resource": set(pool), "seconds": 9});
            machine.azure.control("limits", &exhaust).await?;
        }
        if round < 2 * POOLS.len() {
            machine.azure.evict(POOLS[round % POOLS.len()], 1).await?;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }

    for pool in POOLS {
        let told = machine
            .until(pool, "both evictions are made good", SOON, |now, set| {
                set.running("Spot") == 5
                    && set.running("Regular") == 1
                    && set.held() == 6
                    && now["status"]["evictions"]["total"] == 2
                    && condition(now, "Ready").0 == "True"
                    && condition(now, "SpotSatisfied").0 == "True"
            })
            .await?;
        let set = machine.azure.set(pool).await?;
        let most = set.0["samples"].as_array().into_iter().flatten();
        let most = most.filter_map(|sample| sample[4].as_u64().max(sample[5].as_u64()));
        assert_eq!(most.max(), Some(6), "never more than declared: {told:#}");
    }

    let log = since(&machine, from).await?;
    let refused = refusals(&log);
    assert!(refused.len() >= 3, "no storm: {refused:?}");
    assert!(in_both_shapes(&refused), "not in both shapes: {refused:?}");
    for no in &refused {
        let until =
            no.at + Duration::from_secs(no.retry_after.ok_or("a 429 that does not say how long")?);
        let early = log
            .iter()
            .find(|one| no.forbids(one) && one.at > no.at + UNDER_WAY && one.at < until);
        assert!(early.is_none(), "{early:?} came although {no:?}");
    }
    let takes = |one: &&Seen| one.method == "DELETE" || one.path.ends_with("/delete");
    let taken: Vec<&Seen> = log.iter().filter(takes).collect();
    assert!(taken.is_empty(), "{taken:?}");

    let metrics = machine.metrics_page("metrics").await?;
    let count = |name: &str| {
        let line = metrics.lines().find(|line| line.starts_with(name));
        line.and_then(|line| line.split_whitespace().nth(1)?.parse::<usize>().ok())
    };
    assert_eq!(
        count("spotpool_azure_throttled_total"),
        Some(refused.len()),
        "{metrics}"
    );
    assert!(
        count("spotpool_azure_held_back_total") > Some(0),
        "{metrics}"
    );
    println!(
        "{} calls, {} refused, {:?} held back",
        log.len(),
        refused.len(),
        count("spotpool_azure_held_back_total")
    );
    Ok(())
}
