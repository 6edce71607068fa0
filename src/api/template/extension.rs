//! Azure VM extensions.

use std::borrow::Cow;

use kube::KubeSchema;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::KeyRef;

/// An Azure VM extension, as `az vm extension image list` prints it.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Extension {
    /// Its name in the scale set.
    #[schemars(length(min = 1, max = 64))]
    pub name: String,
    /// Publisher, such as Microsoft.Azure.Extensions.
    #[schemars(length(min = 1, max = 128))]
    pub publisher: String,
    /// Type, such as CustomScript.
    #[serde(rename = "type")]
    #[schemars(length(min = 1, max = 128))]
    pub extension_type: String,
    /// Version, such as "2.1".
    #[schemars(length(min = 1, max = 32))]
    pub version: String,
    /// Whether an instance gets the newest minor version at the moment it is made. Unset: Azure's own choice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auto_upgrade_minor_version: Option<bool>,
    /// Whether Azure upgrades it in instances that run. Unset: Azure's own choice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enable_automatic_upgrade: Option<bool>,
    /// What the extension is told. Anybody who may read the scale set in Azure can read it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settings: Option<Settings>,
    /// The key of a Secret that holds what the extension is told in secret: a JSON object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protected_settings_secret_ref: Option<KeyRef>,
    /// Names of extensions that must be done before this one starts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), inner(length(min = 1, max = 64)))]
    pub provision_after_extensions: Vec<String>,
}

/// A JSON object whose members only the extension knows.
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(transparent)]
pub struct Settings(pub Map<String, Value>);

impl JsonSchema for Settings {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Settings".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "object",
            "maxProperties": 64,
            "x-kubernetes-preserve-unknown-fields": true,
            "x-kubernetes-map-type": "atomic",
        })
    }
}
