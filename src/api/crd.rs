//! The CustomResourceDefinition as it is installed.
//!
//! In comes what kube derives from the types; out goes what the API server should get. Three things are corrected, each because
//! the API server was seen to behave badly otherwise: `nullable` is taken out, status gets its default, and status counts lose theirs.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSON, JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};
use kube::CustomResourceExt as _;
use serde_json::{Value, json};

use super::SpotPool;

/// The definition of `SpotPool` for `kubectl apply`.
pub fn crd() -> CustomResourceDefinition {
    let mut crd = SpotPool::crd();
    for version in &mut crd.spec.versions {
        let Some(schema) = version
            .schema
            .as_mut()
            .and_then(|s| s.open_api_v3_schema.as_mut())
        else {
            continue;
        };
        // kube marks every Option as nullable; a stored null would then keep a default from being filled in.
        visit(schema, &mut |schema| schema.nullable = None);
        let Some(status) = schema.properties.as_mut().and_then(|p| p.get_mut("status")) else {
            continue;
        };
        // A count that nobody has written is unknown, not zero. Only a list's key must have a default: `offerings[].zone`.
        visit(status, &mut |schema| {
            schema.default = schema
                .default
                .take()
                .filter(|default| default.0 == Value::String(String::new()));
        });
        // A new object is in progress and never falsely current. (So no `minimum` on it, and nothing required in status.)
        status.default = Some(JSON(json!({"observedGeneration": -1})));
    }
    crd
}

/// Calls `change` on a schema and all schemas in it.
fn visit(schema: &mut JSONSchemaProps, change: &mut impl FnMut(&mut JSONSchemaProps)) {
    change(schema);
    for property in schema
        .properties
        .iter_mut()
        .flat_map(|properties| properties.values_mut())
    {
        visit(property, change);
    }
    match &mut schema.items {
        Some(JSONSchemaPropsOrArray::Schema(items)) => visit(items, change),
        Some(JSONSchemaPropsOrArray::Schemas(all)) => {
            all.iter_mut().for_each(|items| visit(items, change))
        }
        None => {}
    }
    if let Some(JSONSchemaPropsOrBool::Schema(values)) = &mut schema.additional_properties {
        visit(values, change);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads a generated file, which must be what the code says.
    fn committed(path: &str) -> String {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
        std::fs::read_to_string(&path).unwrap_or_default()
    }

    fn schema_of(member: &str) -> Value {
        let schema = serde_json::to_value(crd().spec.versions[0].schema.clone()).unwrap();
        schema["openAPIV3Schema"]["properties"][member].clone()
    }

    /// Every schema node with its path.
    fn nodes(value: &Value, path: &str, found: &mut Vec<(String, Value)>) {
        found.push((path.to_owned(), value.clone()));
        for (name, property) in value["properties"].as_object().into_iter().flatten() {
            nodes(property, &format!("{path}.{name}"), found);
        }
        for (key, suffix) in [("items", "[]"), ("additionalProperties", "{}")] {
            if value[key].is_object() {
                nodes(&value[key], &format!("{path}{suffix}"), found);
            }
        }
    }

    fn spec_nodes() -> Vec<(String, Value)> {
        let mut found = Vec::new();
        nodes(&schema_of("spec"), "spec", &mut found);
        found
    }

    #[test]
    fn the_committed_reasons_are_current() {
        let current = crate::api::reasons::document();
        assert!(
            committed("docs/reasons.md") == current,
            "docs/reasons.md is not what src/api/reasons says: run `make generate`"
        );
    }

    #[test]
    fn nothing_is_nullable() {
        assert!(!serde_json::to_string(&crd()).unwrap().contains("nullable"));
    }

    #[test]
    fn client_side_apply_has_room_for_it() {
        // kubectl keeps a copy in an annotation, and annotations end at 262,144 bytes.
        assert!(serde_json::to_string(&crd()).unwrap().len() < 200_000);
    }

    #[test]
    fn everything_in_spec_has_a_bound() {
        for (path, node) in spec_nodes() {
            let bounded = match node["type"].as_str() {
                Some("string") => node["maxLength"].is_u64() || node["enum"].is_array(),
                Some("array") => node["maxItems"].is_u64(),
                Some("integer") => node["maximum"].is_number(),
                Some("object") => {
                    node["additionalProperties"].is_null() || node["maxProperties"].is_u64()
                }
                _ => true,
            };
            assert!(
                bounded,
                "{path} has no bound, so a CEL rule on it may exceed its budget: {node}"
            );
        }
    }

    #[test]
    fn no_default_stands_inside_a_list_item() {
        for (path, node) in spec_nodes() {
            assert!(
                !path.contains("[]") || node["default"].is_null(),
                "{path}: Argo CD would be out of sync for ever"
            );
        }
    }

    #[test]
    fn every_rule_has_a_message_and_no_reason_that_would_hide_it() {
        for (path, node) in spec_nodes() {
            for rule in node["x-kubernetes-validations"]
                .as_array()
                .into_iter()
                .flatten()
            {
                assert!(
                    rule["message"].is_string() && rule["reason"].is_null(),
                    "{path}: {rule}"
                );
                assert!(
                    !rule["rule"].as_str().unwrap().contains("capacity.spot"),
                    "{path}: what /scale writes could be refused by {rule}"
                );
            }
        }
    }

    #[test]
    fn the_only_rule_at_the_root_is_for_creation() {
        let schema = serde_json::to_value(crd().spec.versions[0].schema.clone()).unwrap();
        let rules = schema["openAPIV3Schema"]["x-kubernetes-validations"]
            .as_array()
            .unwrap()
            .clone();
        assert_eq!(rules.len(), 1);
        assert_eq!(rules[0]["optionalOldSelf"], true);
        assert!(
            rules[0]["rule"]
                .as_str()
                .unwrap()
                .starts_with("oldSelf.hasValue() ||")
        );
    }

    #[test]
    fn a_new_object_is_never_falsely_current() {
        let mut found = Vec::new();
        let status = schema_of("status");
        nodes(&status, "status", &mut found);
        let defaults: Vec<_> = found
            .iter()
            .filter(|(_, node)| !node["default"].is_null())
            .map(|(path, _)| path.as_str())
            .collect();
        assert_eq!(defaults, ["status", "status.offerings[].zone"]);
        assert_eq!(status["default"], json!({"observedGeneration": -1}));
    }
}
