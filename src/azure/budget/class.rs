//! Which limits a call counts against, by method and path: ARM's for the subscription, Compute's for the subscription and for the resource.
//!
//! In: a request. Out: a [`Call`]. The figures are [DOC request-limits-and-throttling, compute-throttling-limits; azure.md §5]. Azure keeps
//! them per region, which a path does not tell: all regions of a subscription count as one here, and what Azure has left corrects that.

use http::Method;
use reqwest::Url;

use super::bucket::{Rate, UNLIMITED};

/// Which bucket.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum BucketId {
    /// ARM's, for all calls of a kind: `subscription-reads`.
    Arm(&'static str),
    /// Compute's, for the calls of a policy in the whole subscription.
    Subscription(&'static str),
    /// Compute's, for the calls of a policy to one resource.
    Resource(&'static str, String),
}

impl BucketId {
    /// The name in Azure's headers and errors.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Arm(kind) => (*kind).to_owned(),
            Self::Subscription(policy) => format!("{policy}SubscriptionMaximum"),
            Self::Resource(policy, _) => format!("{policy}Resource"),
        }
    }

    /// Whether Azure means this bucket.
    pub(super) fn is_called(&self, name: &str) -> bool {
        let (policy, scope) = match self {
            Self::Arm(kind) => return name.eq_ignore_ascii_case(kind),
            Self::Subscription(policy) => (policy, "SubscriptionMaximum"),
            Self::Resource(policy, _) => (policy, "Resource"),
        };
        // Writes to a scale set are seen under several names [REC cap 1, 2], not all of them written down.
        let policies: &[&str] = match *policy {
            PUT_SET | UPDATE_SET => &[PUT_SET, UPDATE_SET, "CreateVMScaleSet"],
            _ => &[policy],
        };
        let named = |policy: &&str| name.eq_ignore_ascii_case(&format!("{policy}{scope}"));
        policies.iter().any(named)
    }

    /// Whether a call takes one token for each machine it is about, which its answer tells. All others count calls [REC cap 4].
    pub(super) fn counts_machines(&self) -> bool {
        *self == Self::Subscription(BATCHED)
    }

    /// Whether it holds for more than one resource.
    pub(super) fn is_shared(&self) -> bool {
        !matches!(self, Self::Resource(..))
    }
}

const PUT_SET: &str = "PutVMScaleSet";
const BATCHED: &str = "VMScaleSetBatchedVMRequests";
const UPDATE_SET: &str = "UpdateVMScaleSet";

const fn rate(per_minute: u32, depth: u32) -> Rate {
    Rate { per_minute, depth }
}

/// One call, as far as limits go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::azure) struct Call {
    /// Lower case; empty for what belongs to no subscription.
    pub(super) subscription: String,
    /// The same for the same question: whoever waits in line is known by it.
    pub(super) line: String,
    /// The next page of a list that was begun.
    pub(super) goes_on: bool,
    /// What it takes one token from each.
    pub(super) counts: Vec<(BucketId, Rate)>,
}

impl Call {
    /// Any request to ARM.
    pub(in crate::azure) fn of(method: &Method, url: &Url) -> Self {
        let path = url.path().to_ascii_lowercase();
        let segments: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        let subscription = match segments.as_slice() {
            ["subscriptions", id, ..] => (*id).to_owned(),
            _ => String::new(),
        };
        let parameter = |wanted: &str| {
            let mut pairs = url.query_pairs();
            pairs.find_map(|(name, value)| {
                let found = name.eq_ignore_ascii_case(wanted);
                found.then(|| value.to_ascii_lowercase())
            })
        };
        // Lists of machines differ only in their filter. Nothing else of a query is kept: an operation's is signed.
        let filter = parameter("$filter").unwrap_or_default();
        let compute = segments
            .iter()
            .position(|part| *part == "microsoft.compute");
        let tail = compute.map_or(&[][..], |at| &segments[at + 1..]);
        let mut counts = match segments.as_slice() {
            // 15 questions in 5 seconds for each caller [DOC resource-graph/concepts/guidance-for-throttled-requests].
            ["providers", "microsoft.resourcegraph", "resources"] => {
                vec![(BucketId::Arm("user-quota"), rate(180, 15))]
            }
            _ => arm(method, subscription.is_empty()),
        };
        counts.extend(match policy(method, tail) {
            Some(policy) => policy.counts(&segments, tail, &filter),
            None => vec![(BucketId::Resource("Other", path.clone()), UNLIMITED)],
        });
        Self {
            subscription,
            line: format!("{method} {path} {filter}"),
            goes_on: parameter("$skiptoken").is_some(),
            counts,
        }
    }
}

/// ARM's own limits: per subscription, caller and kind of call, and fifteen times as much over all regions [REC cap 4, 9].
fn arm(method: &Method, tenant: bool) -> Vec<(BucketId, Rate)> {
    let (names, one) = match (method.as_str(), tenant) {
        ("GET" | "HEAD", true) => (&["tenant-reads"][..], rate(1_500, 250)),
        (_, true) => (&["tenant-writes"][..], rate(600, 200)),
        ("GET" | "HEAD", false) => (
            &["subscription-reads", "subscription-global-reads"][..],
            rate(1_500, 250),
        ),
        ("DELETE", false) => (
            &["subscription-deletes", "subscription-global-deletes"][..],
            rate(600, 200),
        ),
        (_, false) => (
            &["subscription-writes", "subscription-global-writes"][..],
            rate(600, 200),
        ),
    };
    let scaled = [one, rate(15 * one.per_minute, 15 * one.depth)];
    names
        .iter()
        .map(|name| BucketId::Arm(name))
        .zip(scaled)
        .collect()
}

/// One of Compute's policies.
struct Policy {
    name: &'static str,
    resource: Rate,
    subscription: Rate,
    /// The machines it is about are counted as well; scaling a set may count as many [DOC troubleshooting-throttling-errors].
    batch: bool,
}

fn policy(method: &Method, tail: &[&str]) -> Option<Policy> {
    let of = |name, resource, subscription| {
        Some(Policy {
            name,
            resource,
            subscription,
            batch: false,
        })
    };
    let update = of(UPDATE_SET, rate(4, 12), rate(500, 1_500));
    let delete = of("DeleteVMScaleSet", rate(4, 12), rate(175, 525));
    let batch = |policy: Option<Policy>| {
        policy.map(|policy| Policy {
            batch: true,
            ..policy
        })
    };
    const SETS: &str = "virtualmachinescalesets";
    const MACHINES: &str = "virtualmachines";
    match (method.as_str(), tail) {
        ("GET", ["locations", _, "operations", _]) => {
            of("GetOperation", rate(15, 45), rate(5_000, 15_000))
        }
        ("PUT", [SETS, _]) => batch(of(PUT_SET, rate(4, 12), rate(125, 375))),
        ("PATCH", [SETS, _]) => batch(update),
        ("DELETE", [SETS, _]) => delete,
        ("POST", [SETS, _, "delete" | "deallocate" | "poweroff"]) => batch(delete),
        ("POST", [SETS, _, _]) => batch(update),
        ("GET", [SETS, _]) => of("LowCostGetVMScaleSet", rate(12, 36), rate(800, 2_400)),
        ("GET", [SETS, _, MACHINES | "instanceview"]) => {
            of("HighCostGetVMScaleSet", rate(10, 30), rate(360, 1_080))
        }
        ("GET", [SETS]) => of("HighCostGetVMScaleSet", UNLIMITED, rate(360, 1_080)),
        ("GET", [MACHINES]) => of("HighCostGet", UNLIMITED, rate(300, 900)),
        ("POST", [MACHINES, _, "start" | "restart" | "redeploy" | "reapply"]) => {
            of("UpdateVM", rate(4, 12), rate(500, 1_500))
        }
        _ => None,
    }
}

impl Policy {
    fn counts(self, segments: &[&str], tail: &[&str], filter: &str) -> Vec<(BucketId, Rate)> {
        // What a call does to a set counts for the set; an operation is a resource of its own, and a filtered list that of its set.
        let own = match tail {
            ["locations", ..] | [_] => 0,
            _ => tail.len() - 2,
        };
        let resource = format!("{} {filter}", segments[..segments.len() - own].join("/"));
        let mut counts = vec![
            (BucketId::Subscription(self.name), self.subscription),
            (BucketId::Resource(self.name, resource), self.resource),
        ];
        if self.batch {
            // 6,000 deep [REC cap 4]; how fast it fills is not told, a third a minute like all others [INF].
            counts.push((BucketId::Subscription(BATCHED), rate(2_000, 6_000)));
        }
        counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(method: &str, path: &str) -> Call {
        let url = format!("https://management.azure.com{path}");
        Call::of(&method.parse().unwrap(), &Url::parse(&url).unwrap())
    }

    fn names(call: &Call) -> Vec<String> {
        call.counts.iter().map(|(id, _)| id.name()).collect()
    }

    #[test]
    fn every_call_of_ours_has_its_limits() {
        let table = [
            ("PUT", "/virtualMachineScaleSets/a", "PutVMScaleSet"),
            ("PATCH", "/virtualMachineScaleSets/a", "UpdateVMScaleSet"),
            ("GET", "/virtualMachineScaleSets/a", "LowCostGetVMScaleSet"),
            ("DELETE", "/virtualMachineScaleSets/a", "DeleteVMScaleSet"),
            (
                "POST",
                "/virtualMachineScaleSets/a/delete",
                "DeleteVMScaleSet",
            ),
            (
                "POST",
                "/virtualMachineScaleSets/a/start",
                "UpdateVMScaleSet",
            ),
            (
                "GET",
                "/virtualMachineScaleSets/a/virtualMachines",
                "HighCostGetVMScaleSet",
            ),
            ("GET", "/virtualMachineScaleSets", "HighCostGetVMScaleSet"),
            ("GET", "/virtualMachines?$filter=x", "HighCostGet"),
            ("POST", "/virtualMachines/a_1/start", "UpdateVM"),
            (
                "GET",
                "/locations/eastus/operations/1?s=secret",
                "GetOperation",
            ),
        ];
        for (method, tail, policy) in table {
            let path =
                format!("/subscriptions/S/resourceGroups/G/providers/Microsoft.Compute{tail}");
            let call = call(method, &path);
            assert_eq!(call.subscription, "s");
            assert!(
                names(&call).contains(&format!("{policy}SubscriptionMaximum"))
                    && names(&call).contains(&format!("{policy}Resource")),
                "{method} {tail}: {:?}",
                names(&call)
            );
            assert!(!call.line.contains("secret"), "{}", call.line);
        }
    }

    #[test]
    fn what_is_done_to_one_set_counts_for_that_set_however_it_is_spelt() {
        let set = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Compute/virtualMachineScaleSets/a";
        let (one, two) = (
            call("POST", &format!("{set}/delete?api-version=1")),
            call("DELETE", &set.to_uppercase()),
        );
        assert_eq!(one.counts[3], two.counts[3]);
        let list = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Compute/virtualMachines";
        let (one, two) = (
            call("GET", &format!("{list}?$filter=a")),
            call("GET", &format!("{list}?$filter=b")),
        );
        assert_ne!(one.line, two.line);
        assert_ne!(one.counts[3], two.counts[3]);
        assert!(call("GET", &format!("{list}?$filter=a&$skiptoken=7")).goes_on);
    }

    #[test]
    fn what_belongs_to_no_subscription_or_no_policy_counts_only_for_arm() {
        assert_eq!(
            names(&call(
                "POST",
                "/providers/Microsoft.Management/managementGroups"
            )),
            ["tenant-writes", "OtherResource"]
        );
        assert_eq!(
            names(&call(
                "POST",
                "/providers/Microsoft.ResourceGraph/resources"
            )),
            ["user-quota", "OtherResource"]
        );
        assert_eq!(
            names(&call("DELETE", "/subscriptions/s/resourceGroups/g")),
            [
                "subscription-deletes",
                "subscription-global-deletes",
                "OtherResource"
            ]
        );
    }
}
