//! What of a scale set is there because this pool declared it: so that it can be taken away again when the template says it no more.
//!
//! In: the body that we declare. Out: a tag, with a short digest of each part of it that can be taken away. With that tag, at the next
//! change, whatever is on the scale set, was declared and is not declared any more goes; what others have put there has no digest and
//! stays. Memory would not do: a template may change while the operator is down.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use ring::digest::{SHA256, digest};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

use super::difference::{PROFILE, join, key};

/// Lists whose items can be taken away one by one.
const LISTS: &[&str] = &[
    "extensionProfile.extensions",
    "storageProfile.dataDisks",
    "networkProfile.networkInterfaceConfigurations.properties.ipConfigurations.properties.loadBalancerBackendAddressPools",
    "networkProfile.networkInterfaceConfigurations.properties.ipConfigurations.properties.applicationGatewayBackendAddressPools",
    "networkProfile.networkInterfaceConfigurations.properties.ipConfigurations.properties.applicationSecurityGroups",
];
/// Members of an interface that are gone when its list is sent without them.
const MEMBERS: &[&str] = &[
    "networkProfile.networkInterfaceConfigurations.properties.networkSecurityGroup",
    "networkProfile.networkInterfaceConfigurations.properties.ipConfigurations.properties.publicIPAddressConfiguration",
];
/// What a PATCH cannot leave out, since then it stays, and has to say in an empty way [OSS terraform-provider-azurerm does].
const EMPTIED: &[&str] = &[
    "userData",
    "osProfile.customData",
    "diagnosticsProfile.bootDiagnostics",
];
/// Base64 of a digest of 24 bits. Of a part of somebody else's, one in a quarter of a million is taken for ours in the fullest tag.
const LENGTH: usize = 4;
/// Azure's limit for the value of a tag. What does not fit is not taken away later.
const LONGEST: usize = 256;

/// Parts of a declaration, by their digests.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Held(BTreeSet<String>);

impl Held {
    /// All that is declared.
    pub(super) fn declared(body: &Value, tags: &BTreeMap<String, String>) -> Self {
        let mut parts = Vec::new();
        visit(
            "",
            body.pointer(PROFILE).unwrap_or(&Value::Null),
            &mut parts,
        );
        for id in identities(body) {
            parts.push(part("identity", &id));
        }
        parts.extend(tags.keys().map(|name| tag(name)));
        Self(parts.into_iter().collect())
    }

    /// What the tag of a scale set says.
    pub(super) fn read(text: &str) -> Self {
        let whole = text.as_bytes().chunks(LENGTH);
        Self(
            whole
                .map(|part| String::from_utf8_lossy(part).into_owned())
                .collect(),
        )
    }

    /// The value of the tag.
    pub(super) fn text(&self) -> String {
        let all = self.0.iter().take(LONGEST / LENGTH);
        all.map(String::as_str).collect()
    }

    /// What was held and is no more.
    pub(super) fn without(mut self, now: &Self) -> Self {
        self.0.retain(|part| !now.0.contains(part));
        self
    }

    /// Whether a tag of this name is among it.
    pub(super) fn has_tag(&self, name: &str) -> bool {
        self.0.contains(&tag(name))
    }

    /// Whether a user-assigned identity of this id is among it, or the system's by the name `SystemAssigned`.
    pub(super) fn has_identity(&self, id: &str) -> bool {
        self.0.contains(&part("identity", id))
    }

    /// Takes it away from a scale set as Azure shows it, and says in the declaration what has to be said empty. The sections of the
    /// profile that this touches must be sent although they have all that is declared.
    pub(super) fn take_away(&self, declared: &mut Value, live: &mut Value) -> BTreeSet<String> {
        let mut touched = BTreeSet::new();
        let (Some(profile), Some(live)) = (
            declared.pointer_mut(PROFILE).and_then(Value::as_object_mut),
            live.pointer_mut(PROFILE).and_then(Value::as_object_mut),
        ) else {
            return touched;
        };
        for (name, section) in live.iter_mut() {
            if !self.prune(name, section) {
                continue;
            }
            touched.insert(name.clone());
            let wanted = profile.entry(name.clone()).or_insert_with(|| json!({}));
            for list in LISTS
                .iter()
                .filter_map(|path| path.strip_prefix(name.as_str())?.strip_prefix('.'))
            {
                if section.get(list).is_some() && wanted.get(list).is_none() {
                    wanted[list] = json!([]);
                }
            }
        }
        for path in EMPTIED
            .iter()
            .filter(|path| self.0.contains(&part(path, "")))
        {
            match path.split_once('.') {
                None => profile.insert((*path).to_owned(), json!("")),
                Some(("osProfile", name)) => profile
                    .get_mut("osProfile")
                    .map(|os| std::mem::replace(&mut os[name], json!(""))),
                Some((section, name)) => {
                    profile.insert(section.to_owned(), json!({ name: {"enabled": false} }))
                }
            };
        }
        touched
    }

    /// Whether anything was taken away.
    fn prune(&self, path: &str, value: &mut Value) -> bool {
        match value {
            Value::Object(members) => {
                let before = members.len();
                members.retain(|name, _| {
                    let path = join(path, name);
                    !(MEMBERS.contains(&path.as_str()) && self.0.contains(&part(&path, "")))
                });
                let mut changed = members.len() < before;
                for (name, value) in members.iter_mut() {
                    changed |= self.prune(&join(path, name), value);
                }
                changed
            }
            Value::Array(items) if LISTS.contains(&path) => {
                let before = items.len();
                items
                    .retain(|item| key(item).is_none_or(|key| !self.0.contains(&part(path, &key))));
                items.len() < before
            }
            Value::Array(items) => {
                let mut changed = false;
                for item in items {
                    changed |= self.prune(path, item);
                }
                changed
            }
            _ => false,
        }
    }
}

fn visit(path: &str, value: &Value, parts: &mut Vec<String>) {
    if MEMBERS.contains(&path) || EMPTIED.contains(&path) {
        parts.push(part(path, ""));
    }
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                visit(&join(path, name), value, parts);
            }
        }
        Value::Array(items) if LISTS.contains(&path) => {
            parts.extend(items.iter().filter_map(key).map(|key| part(path, &key)));
        }
        Value::Array(items) => items.iter().for_each(|item| visit(path, item, parts)),
        _ => {}
    }
}

/// The identities of a body: ids, and the word for the system's.
pub(super) fn identities(body: &Value) -> Vec<String> {
    let ids = body
        .pointer("/identity/userAssignedIdentities")
        .and_then(Value::as_object);
    let mut all: Vec<String> = ids
        .into_iter()
        .flatten()
        .map(|(id, _)| id.clone())
        .collect();
    let kind = body
        .pointer("/identity/type")
        .and_then(Value::as_str)
        .unwrap_or_default();
    if kind.split(", ").any(|word| word == SYSTEM) {
        all.push(SYSTEM.to_owned());
    }
    all
}

/// Azure's word for the identity that it makes itself.
pub(super) const SYSTEM: &str = "SystemAssigned";

fn tag(name: &str) -> String {
    part("tags", name)
}

/// Azure compares names and ids without case.
fn part(path: &str, key: &str) -> String {
    let text = format!("{path}\0{key}").to_ascii_lowercase();
    let hash = digest(&SHA256, text.as_bytes());
    BASE64_URL_SAFE_NO_PAD.encode(&hash.as_ref()[..LENGTH * 6 / 8])
}
