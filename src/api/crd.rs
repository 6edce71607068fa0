//! The CustomResourceDefinition as it is installed.
//!
//! In comes what kube derives from the types; out goes what the API server should get. Three things are corrected, each because
//! the API server was seen to behave badly otherwise: `nullable` is taken out, status gets its default, and status counts lose theirs.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{CustomResourceDefinition, JSONSchemaProps};
use kube::CustomResourceExt as _;
use serde_json::{Value, json};

use super::SpotPool;

/// The definition of `SpotPool` for `kubectl apply`.
pub fn crd() -> CustomResourceDefinition {
    let mut crd = SpotPool::crd();
    for version in &mut crd.spec.versions {
        let Some(schema) = version.schema.as_mut().and_then(|s| s.open_api_v3_schema.as_mut()) else { continue };
        // kube marks every Option as nullable; a stored null would then keep a default from being filled in.
        visit(schema, &mut |schema| schema.nullable = None);
        let Some(status) = schema.properties.as_mut().and_then(|p| p.get_mut("status")) else { continue };
        // A count that nobody has written is unknown, not zero. Only a list's key must have a default: `offerings[].zone`.
        visit(status, &mut |schema| {
            schema.default = schema.default.take().filter(|default| default.0 == Value::String(String::new()));
        });
        // A new object is in progress and never falsely current. (So no `minimum` on it, and nothing required in status.)
        status.default = Some(k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::JSON(
            json!({"observedGeneration": -1}),
        ));
    }
    crd
}

/// Calls `change` on a schema and all schemas in it.
fn visit(schema: &mut JSONSchemaProps, change: &mut impl FnMut(&mut JSONSchemaProps)) {
    use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
        JSONSchemaPropsOrArray::{Schema, Schemas},
        JSONSchemaPropsOrBool,
    };
    change(schema);
    for property in schema.properties.iter_mut().flat_map(|properties| properties.values_mut()) {
        visit(property, change);
    }
    match &mut schema.items {
        Some(Schema(items)) => visit(items, change),
        Some(Schemas(all)) => all.iter_mut().for_each(|items| visit(items, change)),
        None => {}
    }
    if let Some(JSONSchemaPropsOrBool::Schema(values)) = &mut schema.additional_properties {
        visit(values, change);
    }
}
