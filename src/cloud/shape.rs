//! What makes a new instance, counts and size aside, and the fingerprint by which the planner knows it.
//!
//! In comes a template with the contents of the Secrets and ConfigMaps that it names; out goes a fingerprint that moves when new
//! instances would differ. It is written on the scale set as a tag that everybody may read who can see the scale set, so it must not
//! help to guess a secret: see [`Content`] for what stands in it.

use ring::digest::{SHA256, digest};
use serde_json::{Value, json};
use spotpool_core::units::{MicroUsd, ModelHash};

use super::{Contents, EvictionPolicy};
use crate::api::InstanceTemplate;

/// Everything that makes a new instance, counts and size aside. The planner knows it only by its fingerprint.
#[derive(Clone, Debug, PartialEq)]
pub struct Shape {
    /// Zones to spread over, sorted; empty: regional.
    pub zones: Vec<String>,
    /// What becomes of an evicted instance.
    pub eviction: EvictionPolicy,
    /// The most to pay for a Spot instance, per hour; `None`: up to the pay-as-you-go price (Azure's -1).
    pub max_price: Option<MicroUsd>,
    /// The template as declared, in order ([`InstanceTemplate::in_order`]).
    pub template: InstanceTemplate,
    /// What the template refers to.
    pub contents: Contents,
}

impl Shape {
    /// A fingerprint that moves when new instances would differ: the first 128 bits of SHA-256 over canonical JSON, in hexadecimal.
    ///
    /// The administrator's password is no part of it: Azure takes one only when a scale set is created, so that no write could follow.
    pub fn fingerprint(&self) -> ModelHash {
        let mut template = serde_json::to_value(&self.template).unwrap_or_default();
        if let Some(Value::Object(admin)) = template.get_mut("admin") {
            admin.remove("passwordSecretRef");
        }
        let mut read = self.template.clone();
        if let Some(admin) = &mut read.admin {
            admin.password_secret_ref = None;
        }
        let contents: Vec<_> = read
            .references()
            .iter()
            .map(|reference| {
                let digest = self.contents.get(reference).map(super::Content::digest);
                json!([reference.to_string(), digest])
            })
            .collect();
        let whole = json!({
            "zones": self.zones,
            "eviction": self.eviction,
            "maxPrice": self.max_price.map(|price| price.0),
            "template": template,
            "contents": contents,
        });
        let hash = digest(&SHA256, whole.to_string().as_bytes());
        ModelHash(super::contents::hex(&hash.as_ref()[..16]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::Reference;
    use crate::cloud::Content;

    fn template(change: Value) -> InstanceTemplate {
        let mut template = json!({
            "image": {"id": "/images/1"},
            "network": {"subnetID": "/subnet"},
            "admin": {"username": "me", "sshPublicKeys": ["b", "a"], "passwordSecretRef": {"name": "login", "key": "password"}},
            "customData": {"secretKeyRef": {"name": "boot", "key": "init"}},
            "tags": {"team": "vfx"},
        });
        for (field, value) in change.as_object().unwrap() {
            template[field] = value.clone();
        }
        let template: InstanceTemplate = serde_json::from_value(template).unwrap();
        template.in_order()
    }

    fn shape(change: Value, contents: &[(&str, &str, &str)]) -> Shape {
        let contents = contents.iter().map(|(name, key, text)| {
            let reference = Reference {
                kind: crate::api::ReferenceKind::Secret,
                name: (*name).to_owned(),
                key: (*key).to_owned(),
            };
            (
                reference,
                Content::of_secret(text.as_bytes().to_vec(), "uid-of-the-secret"),
            )
        });
        Shape {
            zones: vec!["1".to_owned()],
            eviction: EvictionPolicy::Delete,
            max_price: None,
            template: template(change),
            contents: contents.collect(),
        }
    }

    const READ: &[(&str, &str, &str)] = &[
        ("boot", "init", "#!/bin/sh"),
        ("login", "password", "hunter2"),
    ];

    #[test]
    fn moves_with_everything_that_makes_a_new_instance() {
        let before = shape(json!({}), READ).fingerprint();
        assert_eq!(before.0.len(), 32, "{before:?}");
        for change in [
            json!({"image": {"id": "/images/2"}}),
            json!({"os": "Windows"}),
            json!({"osDisk": {"sizeGiB": 64}}),
            json!({"dataDisks": [{"lun": 0, "sizeGiB": 8}]}),
            json!({"network": {"subnetID": "/subnet", "publicIP": {}}}),
            json!({"identity": {"userAssigned": ["/i"]}}),
            json!({"userData": {"inline": "x"}}),
            json!({"extensions": [{"name": "e", "publisher": "p", "type": "t", "version": "1"}]}),
            json!({"bootDiagnostics": {}}),
            json!({"security": {"encryptionAtHost": true}}),
            json!({"tags": {"team": "film"}}),
            json!({"overrides": {"licenseType": "None"}}),
        ] {
            assert_ne!(
                shape(change.clone(), READ).fingerprint(),
                before,
                "{change}"
            );
        }
        for other in [
            Shape {
                zones: vec![],
                ..shape(json!({}), READ)
            },
            Shape {
                eviction: EvictionPolicy::Deallocate,
                ..shape(json!({}), READ)
            },
            Shape {
                max_price: Some(MicroUsd(1)),
                ..shape(json!({}), READ)
            },
        ] {
            assert_ne!(other.fingerprint(), before);
        }
    }

    #[test]
    fn moves_with_what_a_secret_holds_but_not_with_the_password_that_azure_cannot_change() {
        let before = shape(json!({}), READ).fingerprint();
        let told = |contents: &[(&str, &str, &str)]| shape(json!({}), contents).fingerprint();
        assert_ne!(told(&[("boot", "init", "#!/bin/bash"), READ[1]]), before);
        assert_eq!(told(&[READ[0], ("login", "password", "hunter3")]), before);
        let elsewhere = json!({"admin": {"username": "me", "sshPublicKeys": ["a", "b"], "passwordSecretRef": {"name": "other", "key": "p"}}});
        assert_eq!(shape(elsewhere, READ).fingerprint(), before);
    }

    #[test]
    fn does_not_move_with_the_order_of_sets() {
        let one = shape(
            json!({"overrides": {"b": 1, "a": 2}, "dataDisks": [{"lun": 0, "sizeGiB": 1}, {"lun": 1, "sizeGiB": 2}]}),
            READ,
        );
        let other = shape(
            json!({"overrides": {"a": 2, "b": 1}, "dataDisks": [{"lun": 1, "sizeGiB": 2}, {"lun": 0, "sizeGiB": 1}],
            "admin": {"username": "me", "sshPublicKeys": ["a", "b"], "passwordSecretRef": {"name": "login", "key": "password"}}}),
            READ,
        );
        assert_eq!(one.fingerprint(), other.fingerprint());
    }

    #[test]
    fn shows_no_secret() {
        let shown = format!("{:?}", shape(json!({}), READ));
        assert!(
            !shown.contains("hunter2") && !shown.contains("#!/bin/sh"),
            "{shown}"
        );
    }
}
