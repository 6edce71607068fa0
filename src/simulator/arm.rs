//! ARM's front door: who may come in, what the path names, what every reply carries.

use super::login::Refused;
use super::operations;
use super::route::{Route, route};
use super::state::State;
use super::wire::{Call, Reply};
use super::{
    batches, catalogue, deployments, graph, ids, images, instances, members, resources, scale_sets,
    subscriptions, summary,
};

/// One request with what its handlers need.
pub struct Exchange<'a> {
    /// The books.
    pub state: &'a mut State,
    /// The request.
    pub call: &'a Call,
    /// Its id, and the id of an operation that it starts [REC cap 1].
    pub request_id: String,
}

/// Whether a request may change anything. A question does not, whatever its method.
pub fn changes(call: &Call) -> bool {
    !matches!(call.method.as_str(), "GET" | "HEAD")
        && !matches!(route(&call.segments), Some((_, Route::Graph)))
}

/// Answers a request to ARM at the world's present moment.
pub fn answer(state: &mut State, call: &Call) -> Reply {
    match call.method.as_str() {
        _ if !changes(call) => state.calls.reads += 1,
        "DELETE" => state.calls.deletes += 1,
        _ => state.calls.writes += 1,
    }
    let request_id = state.request_id();
    let mut exchange = Exchange {
        state,
        call,
        request_id: request_id.clone(),
    };
    let reply = exchange.admitted().unwrap_or_else(|refusal| refusal);
    // Reading changes nothing, and what time brought is recorded already.
    if changes(call) {
        state.record();
    }
    stamped(state, reply, &request_id)
}

impl Exchange<'_> {
    fn admitted(&mut self) -> Result<Reply, Reply> {
        let Some((subscription, route)) = route(&self.call.segments) else {
            return Err(Reply::gateway(
                404,
                "NotFound",
                "The requested path is not an Azure Resource Manager path.",
            ));
        };
        let bears = |a: &str| a.to_lowercase().starts_with("bearer ") && a.len() >= 8;
        if !self.call.vouched && !self.call.header("authorization").is_some_and(bears) {
            let message =
                "Authentication failed. The 'Authorization' header is missing or invalid.";
            let challenge = "Bearer authorization_uri=\"https://login.microsoftonline.com/common\", error=\"invalid_token\"";
            return Err(Reply::gateway(401, "AuthenticationFailed", message)
                .with("www-authenticate", challenge));
        }
        self.known()?;
        self.versioned()?;
        let (now, speed) = (self.state.region.now(), self.state.clock.speed());
        let here = |millis: u64| ((millis as f64 / 1000.0 / speed).ceil() as u64).max(1);
        if route == Route::Graph && self.call.method == "POST" {
            return graph::answer(self, here);
        }
        let within = !matches!(route, Route::Subscriptions | Route::Tenants);
        if within && !subscription.eq_ignore_ascii_case(&self.state.subscription) {
            let message = format!("The subscription '{subscription}' could not be found.");
            return Err(Reply::gateway(404, "SubscriptionNotFound", &message));
        }
        let admission = self
            .state
            .limits
            .admit(self.call, &route, &subscription, now, here);
        let limits = match admission {
            Ok(headers) => headers,
            Err(refusal) if self.state.throttle => return Err(refusal),
            Err(_) => Vec::new(),
        };
        let mut reply = self.routed(route).unwrap_or_else(|refusal| refusal);
        reply.headers.extend(limits);
        Ok(reply)
    }

    /// Over TLS, whether the token came from our own login host and has not ended.
    fn known(&self) -> Result<(), Reply> {
        if self.call.vouched {
            return Ok(());
        }
        let logins = &self.state.logins;
        let header = self.call.header("authorization").unwrap_or_default();
        let token = header.split_once(' ').map_or("", |(_, token)| token.trim());
        let (code, message) = match logins.check(token, self.state.region.now()) {
            Ok(()) => return Ok(()),
            Err(Refused::Unknown) => ("InvalidAuthenticationToken", "The access token is invalid."),
            Err(Refused::Ended) => (
                "ExpiredAuthenticationToken",
                "The access token expiry UTC time is earlier than current UTC time.",
            ),
        };
        Err(Reply::gateway(401, code, message))
    }

    pub(super) fn versioned(&self) -> Result<(), Reply> {
        let Some(version) = self.call.parameter("api-version") else {
            let message =
                "The api-version query parameter (?api-version=) is required for all requests.";
            return Err(Reply::gateway(400, "MissingApiVersionParameter", message));
        };
        let date = version
            .split_once("-preview")
            .map_or(version, |(date, _)| date);
        let parts: Vec<&str> = date.split('-').collect();
        let dated = matches!(parts.as_slice(), [y, m, d] if y.len() == 4 && m.len() == 2 && d.len() == 2)
            && parts.iter().all(|p| p.bytes().all(|b| b.is_ascii_digit()));
        if dated {
            return Ok(());
        }
        let message = format!(
            "The api-version '{version}' is invalid. The supported versions are dates such as '2024-07-01'."
        );
        Err(Reply::gateway(400, "InvalidApiVersionParameter", &message))
    }

    pub(super) fn routed(&mut self, route: Route) -> Result<Reply, Reply> {
        let makes_it = matches!(route, Route::ResourceGroup { .. }) && self.call.method == "PUT";
        if let Some(group) = group_of(&route)
            .filter(|g| !makes_it && self.state.missing_groups.contains(&g.to_lowercase()))
        {
            return Err(Reply::gateway(
                404,
                "ResourceGroupNotFound",
                &format!("Resource group '{group}' could not be found."),
            ));
        }
        match (self.call.method.as_str(), &route) {
            ("GET", Route::Subscriptions) => Ok(subscriptions::all(self)),
            ("GET", Route::Tenants) => Ok(subscriptions::tenants(self)),
            ("GET", Route::Subscription) => Ok(subscriptions::one(self)),
            ("GET" | "HEAD", Route::ResourceGroup { group }) => {
                Ok(catalogue::resource_group(self, group))
            }
            ("PUT", Route::ResourceGroup { group }) => catalogue::make_group(self, group),
            ("GET", Route::Skus) => Ok(catalogue::skus(self)),
            ("GET", Route::Usages { location }) => catalogue::usages(self, location),
            ("GET", Route::Images { location, path }) => images::answer(self, location, path),
            ("PUT", Route::Deployment { group, name }) => deployments::put(self, group, name),
            ("GET", Route::Deployment { group, name }) => deployments::get(self, group, name),
            ("GET", Route::DeploymentStatus { group, name, id }) => {
                deployments::poll(self, group, name, id)
            }
            (
                "PUT",
                Route::Network {
                    group: Some(group),
                    path,
                },
            ) => resources::put(self, group, path),
            ("GET", Route::Network { group, path }) => resources::get(self, group.as_deref(), path),
            (
                "DELETE",
                Route::Network {
                    group: Some(group),
                    path,
                },
            ) => resources::delete(self, group, path),
            ("GET", Route::Operation { id }) => operations::poll(self, id),
            ("GET", Route::Sets { group, location }) => {
                scale_sets::list(self, group.as_deref(), location.as_deref())
            }
            ("PUT", Route::Set { group, name }) => scale_sets::put(self, group, name),
            ("PATCH", Route::Set { group, name }) => scale_sets::patch(self, group, name),
            ("GET", Route::Set { group, name }) => scale_sets::get(self, group, name),
            ("DELETE", Route::Set { group, name }) => scale_sets::delete(self, group, name),
            (
                "POST",
                Route::SetAction {
                    group,
                    name,
                    action,
                },
            ) => batches::act(self, group, name, action),
            (
                "GET",
                Route::SetAction {
                    group,
                    name,
                    action,
                },
            ) if action.eq_ignore_ascii_case("instanceView") => summary::view(self, group, name),
            (
                "GET",
                Route::SetAction {
                    group,
                    name,
                    action,
                },
            ) if action.eq_ignore_ascii_case("skus") => summary::skus(self, group, name),
            ("GET", Route::SetMachines { group, name }) => members::list(self, group, name),
            ("GET", Route::SetMachine { group, name, id }) => members::get(self, group, name, id),
            ("DELETE", Route::SetMachine { group, name, id }) => {
                members::delete(self, group, name, id)
            }
            ("GET", Route::SetMachineView { group, name, id }) => {
                members::view(self, group, name, id)
            }
            (
                "POST",
                Route::SetMachineAction {
                    group,
                    name,
                    id,
                    action,
                },
            ) => members::act(self, group, name, id, action),
            ("GET", Route::Machines { group, location }) => {
                instances::list(self, group.as_deref(), location.as_deref())
            }
            ("GET", Route::Machine { group, name }) => instances::get(self, group, name),
            ("DELETE", Route::Machine { group, name }) => instances::delete(self, group, name),
            ("GET", Route::MachineView { group, name }) => instances::view(self, group, name),
            (
                "POST",
                Route::MachineAction {
                    group,
                    name,
                    action,
                },
            ) => instances::act(self, group, name, action),
            (method, _) => Err(Reply::not_simulated(&format!(
                "{method} {}",
                self.call.segments.join("/")
            ))),
        }
    }

    /// Whether instances are to be shown with their states.
    pub fn expands_view(&self) -> bool {
        self.call
            .parameter("$expand")
            .is_some_and(|e| e.to_lowercase().contains("instanceview"))
    }

    /// One page of a list and, when there is more, the link to the next: `after` is the key of the last item before it.
    pub fn page<T>(&self, items: Vec<(String, T)>) -> (Vec<T>, Option<String>) {
        let after = self.call.parameter("$skiptoken").map(str::to_owned);
        let mut rest = items
            .into_iter()
            .skip_while(|(key, _)| after.as_ref().is_some_and(|after| key <= after))
            .peekable();
        let mut page = Vec::new();
        let mut last = String::new();
        while page.len() < self.state.page_size.max(1) {
            let Some((key, item)) = rest.next() else {
                break;
            };
            last = key;
            page.push(item);
        }
        let link = rest.peek().is_some().then(|| {
            let path = self.call.target.split('?').next().unwrap_or_default();
            let kept = self
                .call
                .query
                .iter()
                .filter(|(k, _)| !k.eq_ignore_ascii_case("$skiptoken"));
            let query: String = kept
                .map(|(k, v)| format!("{k}={}&", super::wire::encoded(v)))
                .collect();
            format!(
                "{}{path}?{query}$skiptoken={}",
                self.call.base(),
                super::wire::encoded(&last)
            )
        });
        (page, link)
    }
}

fn group_of(route: &Route) -> Option<&str> {
    match route {
        Route::Sets { group, .. }
        | Route::Machines { group, .. }
        | Route::Network { group, .. } => group.as_deref(),
        Route::ResourceGroup { group }
        | Route::Set { group, .. }
        | Route::SetAction { group, .. }
        | Route::SetMachines { group, .. }
        | Route::SetMachine { group, .. }
        | Route::SetMachineView { group, .. }
        | Route::SetMachineAction { group, .. }
        | Route::Machine { group, .. }
        | Route::MachineView { group, .. }
        | Route::MachineAction { group, .. }
        | Route::Deployment { group, .. }
        | Route::DeploymentStatus { group, .. } => Some(group),
        Route::Graph
        | Route::Subscription
        | Route::Subscriptions
        | Route::Tenants
        | Route::Images { .. }
        | Route::Skus
        | Route::Usages { .. }
        | Route::Operation { .. }
        | Route::Unknown => None,
    }
}

/// The headers that every reply carries [REC cap 1].
fn stamped(state: &State, reply: Reply, request_id: &str) -> Reply {
    let correlation = ids::guid(state.seed ^ 1, request_id);
    let stamp: String = state
        .clock
        .stamp(state.region.now())
        .chars()
        .filter(|c| c.is_ascii_digit() || *c == 'T')
        .take(15)
        .collect();
    let routing = format!(
        "{}:{stamp}Z:{correlation}",
        state.region.location.to_uppercase()
    );
    let mut reply = reply
        .with("cache-control", "no-cache")
        .with("pragma", "no-cache")
        .with("expires", "-1")
        .with(
            "strict-transport-security",
            "max-age=31536000; includeSubDomains",
        )
        .with("x-content-type-options", "nosniff")
        .with("x-ms-request-id", request_id)
        .with("x-ms-correlation-request-id", correlation)
        .with("x-ms-routing-request-id", routing);
    if reply.body.is_some() {
        reply = reply.with("content-type", "application/json; charset=utf-8");
    }
    reply
}
