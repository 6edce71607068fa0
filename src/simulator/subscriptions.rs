//! What a client asks for before it knows a subscription: which there are, and of which tenant. Both answers name the tenant of
//! the token that asks.

use super::arm::Exchange;
use super::login;
use super::wire::Reply;
use serde_json::{Value, json};

/// GET of the one subscription.
#[must_use]
pub fn one(exchange: &Exchange<'_>) -> Reply {
    Reply::json(200, document(exchange))
}

/// GET /subscriptions
#[must_use]
pub fn all(exchange: &Exchange<'_>) -> Reply {
    let count = json!({"type": "Total", "value": 1});
    Reply::json(200, json!({"value": [document(exchange)], "count": count}))
}

/// GET /tenants
#[must_use]
pub fn tenants(exchange: &Exchange<'_>) -> Reply {
    let tenant = login::tenant_of(exchange.call);
    let named = |t| json!({"id": format!("/tenants/{t}"), "tenantId": t, "displayName": "simulated", "tenantCategory": "Home"});
    let value: Vec<Value> = tenant.map(named).into_iter().collect();
    Reply::json(200, json!({"value": value}))
}

fn document(exchange: &Exchange<'_>) -> Value {
    let id = &exchange.state.subscription;
    let mut document = json!({
        "id": format!("/subscriptions/{id}"), "subscriptionId": id, "displayName": "simulated", "state": "Enabled",
        "authorizationSource": "RoleBased", "managedByTenants": [],
        "subscriptionPolicies": {"locationPlacementId": "Public_2014-09-01", "quotaId": "PayAsYouGo_2014-09-01", "spendingLimit": "Off"},
    });
    if let Some(tenant) = login::tenant_of(exchange.call) {
        document["tenantId"] = json!(tenant);
    }
    document
}
