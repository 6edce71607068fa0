//! What of a declaration a scale set does not have yet, and how to say it in a PATCH.
//!
//! In: the body that we declare and the scale set as Azure shows it. Out: the parts of the body to send, and what would have to change but
//! cannot. Only what is declared is compared, or was ([`Held`]): whatever Azure fills in and others add is left alone and is no difference. A section of
//! the profile that differs is sent as declared, whole, since Azure misses what is not repeated in some (an `imageReference` that did
//! not change [ISS terraform-provider-azurerm#7957]); in lists whose items have a name, items of others are sent along as they are,
//! since Azure takes a list as a whole. What Azure never shows (custom data, protected settings) always differs. So a PATCH is made only when
//! the fingerprint has changed, under the ETag that the scale set was read with.

use serde_json::{Map, Value, json};

use super::held::{Held, SYSTEM, identities};

/// What the schema of a PATCH does not have, though that of a PUT does [SDK azure-mgmt-compute, 2024-07-01; a test holds the two against each other].
const FIXED: &[&str] = &[
    "evictionPolicy",
    "priority",
    "capacityReservation",
    "applicationProfile",
    "serviceArtifactReference",
    "osProfile.adminPassword",
    "osProfile.adminUsername",
    "osProfile.allowExtensionOperations",
    "osProfile.computerNamePrefix",
    "osProfile.requireGuestProvisionSignal",
    "storageProfile.osDisk.createOption",
    "storageProfile.osDisk.name",
    "storageProfile.osDisk.osType",
    "networkProfile.networkInterfaceConfigurations.properties.ipConfigurations.properties.publicIPAddressConfiguration.sku",
    "networkProfile.networkInterfaceConfigurations.properties.ipConfigurations.properties.publicIPAddressConfiguration.properties.ipTags",
    "networkProfile.networkInterfaceConfigurations.properties.ipConfigurations.properties.publicIPAddressConfiguration.properties.publicIPAddressVersion",
];
/// What only Azure says about an item of a list.
const READ_ONLY: &[&str] = &[
    "extensionProfile.extensions.id",
    "extensionProfile.extensions.type",
    "extensionProfile.extensions.properties.provisioningState",
];
/// Where the profile is in a scale set.
pub(super) const PROFILE: &str = "/properties/virtualMachineProfile";

/// What to do about a declaration.
#[derive(Clone, PartialEq)]
pub(super) struct Difference {
    /// Top-level members of the PATCH; empty when all is as declared.
    pub send: Map<String, Value>,
    /// Properties of the profile that differ and that Azure does not change.
    pub fixed: Vec<String>,
}

/// What is to be sent so that the scale set `live` becomes what is `declared` and has nothing more of what is `gone`.
pub(super) fn difference(declared: &Value, live: &Value, gone: &Held) -> Difference {
    let (mut declared, mut left) = (declared.clone(), live.clone());
    let touched = gone.take_away(&mut declared, &mut left);
    let mut fixed = Vec::new();
    let mut sections = Map::new();
    let nothing = Value::Null;
    let profile = declared.pointer(PROFILE).and_then(Value::as_object);
    let left = left.pointer(PROFILE).unwrap_or(&nothing);
    for (name, wanted) in profile.into_iter().flatten() {
        let there = member(left, name);
        let is_there = holds(name, wanted, there, &mut fixed) && !touched.contains(name);
        if !is_there && !is_fixed(name) {
            sections.insert(name.clone(), whole(name, wanted, there));
        }
    }
    let mut send = Map::new();
    for name in ["zones", "plan"] {
        if let Some(wanted) = declared.get(name)
            && !holds(name, wanted, member(live, name), &mut fixed)
        {
            send.insert(name.to_owned(), wanted.clone());
        }
    }
    send.extend(identity(&declared, live, gone).map(|sent| ("identity".to_owned(), sent)));
    if !sections.is_empty() {
        send.insert(
            "properties".to_owned(),
            json!({"virtualMachineProfile": sections}),
        );
    }
    Difference { send, fixed }
}

/// Whether Azure has no way to change this property of the profile.
pub(super) fn is_fixed(path: &str) -> bool {
    FIXED.contains(&path)
}

/// Whether all that is wanted is there. Says on the way what is different and cannot be changed.
fn holds(path: &str, wanted: &Value, there: Option<&Value>, fixed: &mut Vec<String>) -> bool {
    let there = there.unwrap_or(&Value::Null);
    if is_fixed(path) {
        // What Azure does not show cannot be compared.
        let differs = !there.is_null() && !holds("", wanted, Some(there), fixed);
        if differs {
            fixed.push(path.to_owned());
        }
        return true;
    }
    match (wanted, there) {
        (Value::Object(wanted), _) => {
            let missing = wanted.iter().filter(|(name, value)| {
                !holds(&join(path, name), value, member(there, name), fixed)
            });
            missing.count() == 0 && there.is_object()
        }
        (Value::Array(wanted), Value::Array(there))
            if wanted.iter().all(|item| key(item).is_some()) =>
        {
            let missing = wanted.iter().filter(|item| {
                let there = there.iter().find(|one| key(one) == key(item));
                !holds(path, item, there, fixed)
            });
            missing.count() == 0
        }
        // Sets of words (zones) and lists without names (SSH keys) are ours as a whole.
        (Value::Array(wanted), Value::Array(there)) => {
            wanted.len() == there.len()
                && wanted
                    .iter()
                    .all(|item| there.iter().any(|one| holds(path, item, Some(one), fixed)))
        }
        (Value::Number(wanted), Value::Number(there)) => wanted.as_f64() == there.as_f64(),
        // Azure writes IDs of resources and names of its enums back in its own case.
        (Value::String(wanted), Value::String(there)) if wanted.starts_with('/') => {
            wanted.eq_ignore_ascii_case(there)
        }
        (wanted, there) => wanted == there,
    }
}

/// What is wanted, as it is sent.
fn whole(path: &str, wanted: &Value, there: Option<&Value>) -> Value {
    let there = there.unwrap_or(&Value::Null);
    match (wanted, there) {
        (Value::Object(wanted), _) => {
            let members = wanted.iter().filter(|(name, _)| is_sent(&join(path, name)));
            let mut sent: Map<String, Value> = members
                .map(|(name, value)| {
                    (
                        name.clone(),
                        whole(&join(path, name), value, member(there, name)),
                    )
                })
                .collect();
            if path == "storageProfile.imageReference" {
                // Another kind of image: the old kind's words must go.
                let old = there.as_object().into_iter().flatten();
                let old = old.filter(|(name, _)| *name != "exactVersion");
                for (name, _) in old {
                    sent.entry(name.clone()).or_insert(Value::Null);
                }
            }
            sent.into()
        }
        (Value::Array(wanted), _) if wanted.iter().all(|item| key(item).is_some()) => {
            let there = there.as_array().map_or(&[][..], Vec::as_slice);
            let others = there
                .iter()
                .filter(|one| wanted.iter().all(|item| key(item) != key(one)));
            let mut items: Vec<Value> = others.map(|one| writable(path, one)).collect();
            items.extend(wanted.iter().map(|item| {
                let same = there.iter().find(|one| key(one) == key(item));
                let mut sent = same.map_or(Value::Null, |one| writable(path, one));
                lay_over(&mut sent, whole(path, item, same));
                sent
            }));
            items.into()
        }
        (wanted, _) => wanted.clone(),
    }
}

/// Without what a PATCH does not take.
fn writable(path: &str, value: &Value) -> Value {
    match value {
        Value::Object(members) => members
            .iter()
            .filter(|(name, value)| !value.is_null() && is_sent(&join(path, name)))
            .map(|(name, value)| (name.clone(), writable(&join(path, name), value)))
            .collect::<Map<_, _>>()
            .into(),
        Value::Array(items) => items.iter().map(|item| writable(path, item)).collect(),
        other => other.clone(),
    }
}

/// Lays an item as we want it over the same item as it is there: what others added to it stays.
fn lay_over(there: &mut Value, wanted: Value) {
    match (there, wanted) {
        (Value::Object(there), Value::Object(wanted)) => {
            for (name, value) in wanted {
                lay_over(there.entry(name).or_insert(Value::Null), value);
            }
        }
        (there, wanted) => *there = wanted,
    }
}

/// Identities are added and taken away one by one (a null takes one away); the kinds of all that are there then stand in one word.
fn identity(declared: &Value, live: &Value, gone: &Held) -> Option<Value> {
    let (ours, theirs) = (identities(declared), identities(live));
    let same = |one: &String, other: &String| one.eq_ignore_ascii_case(other);
    let new = ours
        .iter()
        .filter(|id| !theirs.iter().any(|one| same(one, id)));
    let new: Vec<&String> = new.collect();
    let (old, kept): (Vec<&String>, _) = theirs.iter().partition(|id| gone.has_identity(id));
    if new.is_empty() && old.is_empty() {
        return None;
    }
    let (system, users): (Vec<&String>, _) = kept
        .into_iter()
        .chain(new.iter().copied())
        .partition(|id| *id == SYSTEM);
    let kind = match (system.is_empty(), users.is_empty()) {
        (false, false) => "SystemAssigned, UserAssigned",
        (false, true) => "SystemAssigned",
        (true, false) => "UserAssigned",
        (true, true) => "None",
    };
    let of_users = |ids: Vec<&String>, value: Value| {
        let ids = ids.into_iter().filter(|id| *id != SYSTEM);
        ids.map(|id| (id.clone(), value.clone()))
            .collect::<Vec<_>>()
    };
    let mut ids: Map<String, Value> = of_users(new, json!({})).into_iter().collect();
    ids.extend(of_users(old, Value::Null));
    let mut sent = json!({ "type": kind });
    if !ids.is_empty() {
        sent["userAssignedIdentities"] = ids.into();
    }
    Some(sent)
}

fn is_sent(path: &str) -> bool {
    !is_fixed(path) && !READ_ONLY.contains(&path)
}

/// What tells the items of a list apart, for the lists that Azure keeps by name.
pub(super) fn key(item: &Value) -> Option<String> {
    let object = item.as_object()?;
    let key = ["name", "lun", "id"]
        .iter()
        .find_map(|name| object.get(*name))?;
    Some(key.to_string().to_ascii_lowercase())
}

/// Azure reads names without regard to case, and writes IDs in maps in its own.
fn member<'a>(value: &'a Value, name: &str) -> Option<&'a Value> {
    let object = value.as_object()?;
    object.get(name).or_else(|| {
        let found = object
            .iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value)
    })
}

pub(super) fn join(path: &str, name: &str) -> String {
    if path.is_empty() {
        name.to_owned()
    } else {
        format!("{path}.{name}")
    }
}
