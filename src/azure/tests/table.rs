//! The table of `docs/template.md`, held against the definition and against the bodies.

use super::bodies::{everything, shape_of, specialised, uniform, windows};
use super::*;
use crate::azure::document::{ROWS, in_full};
use std::collections::BTreeSet;

/// The fields of a schema that hold something themselves, `[]` after lists of objects.
fn fields(schema: &Value, path: &str, found: &mut BTreeSet<String>) {
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        let path = match path {
            "" => name.clone(),
            path => format!("{path}.{name}"),
        };
        let is = |kind: &str| {
            property["description"]
                .as_str()
                .unwrap_or_default()
                .starts_with(kind)
        };
        // A reference is one thing, and overrides have no fields of their own.
        if is("The key of a Secret")
            || path == "overrides"
            || property["properties"]["secretKeyRef"].is_object()
        {
            found.insert(path);
        } else if property["properties"].is_object() {
            fields(property, &path, found);
        } else if property["items"]["properties"].is_object() {
            fields(&property["items"], &format!("{path}[]"), found);
        } else {
            found.insert(path);
        }
    }
}

#[test]
fn every_field_of_the_template_has_its_row_and_no_row_is_of_another() {
    let crd = serde_json::to_value(crate::api::crd()).unwrap();
    let schema = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/template";
    let mut there = BTreeSet::new();
    fields(crd.pointer(schema).unwrap(), "", &mut there);
    let mut told: BTreeSet<String> = ROWS.iter().map(|(field, _)| (*field).to_owned()).collect();
    // Objects that mean something by being there.
    for object in ["osDisk.ephemeral", "network.publicIP", "bootDiagnostics"] {
        assert!(told.remove(object), "{object}");
    }
    assert_eq!(told, there);
}

/// A place in a document, with the first item for each `[]`.
fn pointer(path: &str) -> String {
    format!("/{}", path.replace("[]", ".0").replace('.', "/"))
}

fn parent(pointer: &str) -> (&str, &str) {
    pointer.rsplit_once('/').unwrap()
}

/// The template with this field another, in all ways that come to mind.
fn with_another(template: &Value, field: &str) -> Vec<Value> {
    let place = pointer(field);
    let (object, member) = parent(&place);
    let mut others = Vec::new();
    let mut try_with = |value: Option<Value>| {
        let mut other = template.clone();
        let object = other.pointer_mut(object).unwrap().as_object_mut().unwrap();
        match value {
            Some(value) => object.insert(member.to_owned(), value),
            None => object.remove(member),
        };
        if serde_json::from_value::<crate::api::InstanceTemplate>(other.clone()).is_ok() {
            others.push(other);
        }
    };
    match &template.pointer(&place).unwrap() {
        Value::String(text) => try_with(Some(json!(format!("{text}x")))),
        Value::Number(number) => try_with(Some(json!(number.as_i64().unwrap() + 1))),
        Value::Bool(yes) => try_with(Some(json!(!yes))),
        _ => {}
    }
    try_with(Some(json!("Linux")));
    try_with(Some(json!("Windows")));
    try_with(Some(json!({})));
    try_with(None);
    others
}

#[test]
fn changing_a_field_changes_the_property_of_its_row() {
    let with_keys = {
        let mut template = everything();
        template["admin"] = json!({"username": "me", "sshPublicKeys": ["ssh-ed25519 AAAA me"]});
        template
    };
    let by_id = json!({"image": {"id": "/images/1"}, "network": {"subnetID": "/subnet"}, "osDisk": {"caching": "None"}});
    let samples = [
        (pool(), everything()),
        (pool(), with_keys),
        (uniform(), windows()),
        (pool(), specialised()),
        (pool(), by_id),
    ];
    for (field, property) in ROWS {
        let full = in_full(property);
        let place = match full.strip_prefix('/') {
            Some(top) => pointer(top),
            None if full.is_empty() => "/properties/virtualMachineProfile".to_owned(),
            None => format!("/properties/virtualMachineProfile{}", pointer(&full)),
        };
        let body_of = |pool: &PoolRef, template: &Value| {
            let shape = shape_of(template.clone());
            let tags = &shape.template.tags;
            crate::azure::bodies::create(pool, &shape, 20, 2, &"S".into(), tags).unwrap()
        };
        let moved = samples.iter().any(|(pool, template)| {
            let there = template.pointer(&pointer(field)).is_some();
            let before = body_of(pool, template).pointer(&place).cloned();
            // What is in a Secret may be the same under another name; what is not read makes no body.
            there
                && before.is_some()
                && with_another(template, field)
                    .iter()
                    .any(|other| body_of(pool, other).pointer(&place) != before.as_ref())
        });
        assert!(moved, "{field} does not become {property}");
    }
}
