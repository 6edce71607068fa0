//! Which resource a path names. ARM does not regard the case of path segments.

/// A path of ARM that the simulator knows.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields are the path's own segments")]
pub enum Route {
    /// Resource Graph, which belongs to no subscription.
    Graph,
    Subscriptions,
    Tenants,
    Subscription,
    ResourceGroup {
        group: String,
    },
    Skus,
    Usages {
        location: String,
    },
    /// What follows `publishers/`.
    Images {
        location: String,
        path: Vec<String>,
    },
    Deployment {
        group: String,
        name: String,
    },
    DeploymentStatus {
        group: String,
        name: String,
        id: String,
    },
    /// What follows `Microsoft.Network/`.
    Network {
        group: Option<String>,
        path: Vec<String>,
    },
    Operation {
        id: String,
    },
    /// Scale sets of a subscription, a location or a resource group.
    Sets {
        group: Option<String>,
        location: Option<String>,
    },
    Set {
        group: String,
        name: String,
    },
    /// `instanceView`, `skus`, `delete`, `start`, …
    SetAction {
        group: String,
        name: String,
        action: String,
    },
    SetMachines {
        group: String,
        name: String,
    },
    /// An instance below its scale set: Uniform ones are at home there.
    SetMachine {
        group: String,
        name: String,
        id: String,
    },
    SetMachineView {
        group: String,
        name: String,
        id: String,
    },
    SetMachineAction {
        group: String,
        name: String,
        id: String,
        action: String,
    },
    Machines {
        group: Option<String>,
        location: Option<String>,
    },
    Machine {
        group: String,
        name: String,
    },
    MachineView {
        group: String,
        name: String,
    },
    MachineAction {
        group: String,
        name: String,
        action: String,
    },
    Unknown,
}

/// The subscription and the resource of a path.
#[must_use]
pub fn route(segments: &[String]) -> Option<(String, Route)> {
    let lower: Vec<String> = segments.iter().map(|s| s.to_lowercase()).collect();
    let lower: Vec<&str> = lower.iter().map(String::as_str).collect();
    let at = |i: usize| segments.get(i).cloned().unwrap_or_default();
    let from = |i: usize| segments.get(i..).unwrap_or_default().to_vec();
    let rest = match lower.as_slice() {
        ["subscriptions"] => return Some((String::new(), Route::Subscriptions)),
        ["providers", "microsoft.resourcegraph", "resources"] => {
            return Some((String::new(), Route::Graph));
        }
        ["tenants"] => return Some((String::new(), Route::Tenants)),
        ["subscriptions", _, rest @ ..] => rest,
        _ => return None,
    };
    let route = match rest {
        [] => Route::Subscription,
        ["resourcegroups", _] => Route::ResourceGroup { group: at(3) },
        [
            "providers",
            "microsoft.compute",
            "locations",
            _,
            "publishers",
            _,
            ..,
        ] => Route::Images {
            location: at(5),
            path: from(7),
        },
        ["providers", "microsoft.network", _, ..] => Route::Network {
            group: None,
            path: from(4),
        },
        ["resourcegroups", _, "providers", "microsoft.network", _, ..] => Route::Network {
            group: Some(at(3)),
            path: from(6),
        },
        [
            "resourcegroups",
            _,
            "providers",
            "microsoft.resources",
            "deployments",
            rest @ ..,
        ] => deployments(rest, at(3), &at),
        ["providers", "microsoft.compute", rest @ ..] => subscription_level(rest, &at),
        [
            "resourcegroups",
            _,
            "providers",
            "microsoft.compute",
            rest @ ..,
        ] => group_level(rest, at(3), &at),
        _ => Route::Unknown,
    };
    Some((at(1), route))
}

fn deployments(rest: &[&str], group: String, at: &dyn Fn(usize) -> String) -> Route {
    match rest {
        [_] => Route::Deployment { group, name: at(7) },
        [_, "operationstatuses", _] => Route::DeploymentStatus {
            group,
            name: at(7),
            id: at(9),
        },
        _ => Route::Unknown,
    }
}

fn subscription_level(rest: &[&str], at: &dyn Fn(usize) -> String) -> Route {
    match rest {
        ["skus"] => Route::Skus,
        ["virtualmachinescalesets"] => Route::Sets {
            group: None,
            location: None,
        },
        ["virtualmachines"] => Route::Machines {
            group: None,
            location: None,
        },
        ["locations", _, "usages"] => Route::Usages { location: at(5) },
        ["locations", _, "operations", _] => Route::Operation { id: at(7) },
        ["locations", _, "virtualmachinescalesets"] => Route::Sets {
            group: None,
            location: Some(at(5)),
        },
        ["locations", _, "virtualmachines"] => Route::Machines {
            group: None,
            location: Some(at(5)),
        },
        _ => Route::Unknown,
    }
}

fn group_level(rest: &[&str], group: String, at: &dyn Fn(usize) -> String) -> Route {
    match rest {
        ["virtualmachinescalesets"] => Route::Sets {
            group: Some(group),
            location: None,
        },
        ["virtualmachinescalesets", _] => Route::Set { group, name: at(7) },
        ["virtualmachinescalesets", _, "virtualmachines"] => {
            Route::SetMachines { group, name: at(7) }
        }
        ["virtualmachinescalesets", _, "virtualmachines", _] => Route::SetMachine {
            group,
            name: at(7),
            id: at(9),
        },
        [
            "virtualmachinescalesets",
            _,
            "virtualmachines",
            _,
            "instanceview",
        ] => Route::SetMachineView {
            group,
            name: at(7),
            id: at(9),
        },
        ["virtualmachinescalesets", _, "virtualmachines", _, _] => Route::SetMachineAction {
            group,
            name: at(7),
            id: at(9),
            action: at(10),
        },
        ["virtualmachinescalesets", _, _] => Route::SetAction {
            group,
            name: at(7),
            action: at(8),
        },
        ["virtualmachines"] => Route::Machines {
            group: Some(group),
            location: None,
        },
        ["virtualmachines", _] => Route::Machine { group, name: at(7) },
        ["virtualmachines", _, "instanceview"] => Route::MachineView { group, name: at(7) },
        ["virtualmachines", _, _] => Route::MachineAction {
            group,
            name: at(7),
            action: at(8),
        },
        _ => Route::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(path: &str) -> Option<(String, Route)> {
        route(
            &path
                .split('/')
                .filter(|s| !s.is_empty())
                .map(str::to_owned)
                .collect::<Vec<_>>(),
        )
    }

    #[test]
    fn case_of_fixed_segments_does_not_matter_and_names_keep_theirs() {
        let path = "/SUBSCRIPTIONS/S/resourcegroups/Rg/Providers/microsoft.Compute/VIRTUALMACHINESCALESETS/Render/Delete";
        let expected = Route::SetAction {
            group: "Rg".into(),
            name: "Render".into(),
            action: "Delete".into(),
        };
        assert_eq!(of(path), Some(("S".into(), expected)));
    }

    #[test]
    fn other_paths_are_not_ours() {
        assert_eq!(of("/control/state"), None);
        assert_eq!(
            of("/subscriptions/s/providers/Microsoft.Storage/x").map(|(_, r)| r),
            Some(Route::Unknown)
        );
    }
}
