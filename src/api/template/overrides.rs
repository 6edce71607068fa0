//! What the typed fields do not reach: properties of Azure's `virtualMachineProfile`, in Azure's own words, merged over everything else.
//!
//! In comes any JSON object; out goes that object, or the sentence that says what must not stand in it. The schema refuses what can
//! be seen with CEL. The same is checked here once more, because Azure reads names without regard to case and CEL sees only those that
//! the schema knows, and because no rule can see a null: a null would remove, and client-side `kubectl apply` drops it.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

const NOT_HERE: &str = "priority, evictionPolicy and billingProfile belong to spec.eviction and spec.maxPrice and cannot be overridden";
const NO_SECRETS: &str =
    "secrets do not belong in overrides: use template.admin and template.customData";

/// Properties of `virtualMachineProfile` that are merged over the rest of the template.
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(transparent)]
pub struct Overrides(pub Map<String, Value>);

impl Overrides {
    /// What must not be overridden, and where it belongs instead; `None` when all is well.
    pub fn refusal(&self) -> Option<String> {
        let profile = &self.0;
        for name in ["priority", "evictionPolicy", "billingProfile"] {
            if member(profile, name).is_some() {
                return Some(NOT_HERE.to_owned());
            }
        }
        if let Some(Value::Object(os)) = member(profile, "osProfile") {
            if member(os, "adminUsername").is_some() {
                return Some(
                    "osProfile.adminUsername belongs to template.admin.username and cannot be overridden"
                        .to_owned(),
                );
            }
            if ["adminPassword", "customData"]
                .iter()
                .any(|name| member(os, name).is_some())
            {
                return Some(NO_SECRETS.to_owned());
            }
        }
        profile.iter().find_map(|(name, value)| unfit(name, value))
    }
}

/// A null or a secret in the depth.
fn unfit(path: &str, value: &Value) -> Option<String> {
    match value {
        Value::Null => Some(format!(
            "{path} is null, and overrides add and replace but never remove: leave it out, or write the value that you want"
        )),
        Value::Object(members) => members.iter().find_map(|(name, value)| {
            if name.eq_ignore_ascii_case("protectedSettings") {
                return Some("secrets do not belong in overrides: use protectedSettingsSecretRef of template.extensions".to_owned());
            }
            unfit(&format!("{path}.{name}"), value)
        }),
        Value::Array(items) => items
            .iter()
            .enumerate()
            .find_map(|(nth, value)| unfit(&format!("{path}[{nth}]"), value)),
        _ => None,
    }
}

/// Azure reads names of properties without regard to case.
fn member<'a>(object: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    let found = object
        .iter()
        .find(|(key, _)| key.eq_ignore_ascii_case(name));
    found.map(|(_, value)| value)
}

impl JsonSchema for Overrides {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Overrides".into()
    }

    /// The forbidden members are declared, since CEL sees no others.
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "object",
            "maxProperties": 32,
            "x-kubernetes-preserve-unknown-fields": true,
            "x-kubernetes-map-type": "atomic",
            "properties": {
                "priority": {"type": "string", "maxLength": 16},
                "evictionPolicy": {"type": "string", "maxLength": 16},
                "billingProfile": {"type": "object", "maxProperties": 8, "x-kubernetes-preserve-unknown-fields": true},
                "osProfile": {
                    "type": "object",
                    "maxProperties": 16,
                    "x-kubernetes-preserve-unknown-fields": true,
                    "properties": {
                        "adminPassword": {"type": "string", "maxLength": 256},
                        "customData": {"type": "string", "maxLength": 131_072},
                    },
                },
            },
            "x-kubernetes-validations": [
                {
                    "rule": "!has(self.priority) && !has(self.evictionPolicy) && !has(self.billingProfile)",
                    "message": NOT_HERE,
                },
                {
                    "rule": "!has(self.osProfile) || (!has(self.osProfile.adminPassword) && !has(self.osProfile.customData))",
                    "message": NO_SECRETS,
                },
            ],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn refuses_what_belongs_elsewhere_and_says_where() {
        for (overrides, says) in [
            (
                json!({"priority": "Regular"}),
                "belong to spec.eviction and spec.maxPrice",
            ),
            (
                json!({"Priority": "Regular"}),
                "belong to spec.eviction and spec.maxPrice",
            ),
            (
                json!({"billingProfile": {}}),
                "belong to spec.eviction and spec.maxPrice",
            ),
            (
                json!({"osProfile": {"adminpassword": "x"}}),
                "use template.admin and template.customData",
            ),
            (
                json!({"OSPROFILE": {"customData": "x"}}),
                "use template.admin and template.customData",
            ),
            (
                json!({"osProfile": {"adminUsername": "x"}}),
                "belongs to template.admin.username",
            ),
            (
                json!({"extensionProfile": {"extensions": [{"properties": {"protectedSettings": {"a": 1}}}]}}),
                "use protectedSettingsSecretRef of template.extensions",
            ),
            (json!({"licenseType": null}), "licenseType is null"),
            (json!({"a": [{"b": {"c": null}}]}), "a[0].b.c is null"),
        ] {
            let overrides: Overrides = serde_json::from_value(overrides).unwrap();
            let refusal = overrides.refusal().unwrap_or_default();
            assert!(refusal.contains(says), "{overrides:?}: {refusal:?}");
        }
    }

    #[test]
    fn takes_everything_else() {
        let overrides = json!({"licenseType": "None", "osProfile": {"secrets": []}, "storageProfile": {"osDisk": {"writeAcceleratorEnabled": false}}});
        let overrides: Overrides = serde_json::from_value(overrides).unwrap();
        assert_eq!(overrides.refusal(), None);
    }
}
