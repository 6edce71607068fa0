//! What a template takes from Secrets and ConfigMaps in the namespace of its pool.
//!
//! In comes a pool; out go the contents that its template refers to, or the sentence that says what to create. They are read one by
//! one, by name: watching them would need the right to list all Secrets of a cluster. So a change is seen by reading again, once in a
//! rest interval: each object costs one GET then, and pools without references cost none. While the Kubernetes API is silent, what was
//! read last still holds; what is gone or changed since then is seen later.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use kube::ResourceExt as _;
use serde::Deserialize;
use serde_json::Value;
use spotpool_core::units::{Millis, Timestamp};

use crate::api::{InstanceTemplate, KeyRef, Reason, Reference, ReferenceKind, SpotPool};
use crate::cloud::{Content, Contents};

use super::desired::{Unusable, is_deleting};
use super::kubernetes::{Error, Kubernetes};

/// The most that Azure takes as custom or user data, before Base64 (learn.microsoft.com: *Custom data and cloud-init*).
const LONGEST_DATA: usize = 65_535;

/// What was read of a pool's objects, and when.
#[derive(Debug)]
pub struct Known {
    at: Timestamp,
    contents: Contents,
}

/// What the pool's template refers to, read now or less than `rest` ago.
///
/// # Errors
/// If the Kubernetes API does not answer and never has. An object that is missing or of no use is an answer.
pub async fn contents(
    pool: &SpotPool,
    known: &mut Option<Known>,
    kubernetes: &Kubernetes,
    now: Timestamp,
    rest: Millis,
) -> Result<Result<Contents, Unusable>, Error> {
    let references = pool.spec.template.references();
    let last = known.as_ref().filter(|known| {
        references
            .iter()
            .all(|one| known.contents.get(one).is_some())
    });
    // To take a scale set down needs no template, and in a namespace that is being deleted Secrets go first.
    if references.is_empty() || is_deleting(pool) {
        return Ok(Ok(last
            .map(|known| known.contents.clone())
            .unwrap_or_default()));
    }
    if let Some(last) = last.filter(|last| now < last.at + rest) {
        return Ok(Ok(last.contents.clone()));
    }
    let read = match (read(pool, &references, kubernetes).await, last) {
        (Ok(read), _) => read,
        (Err(error), Some(last)) => {
            tracing::debug!(%error, "what was read before is used");
            return Ok(Ok(last.contents.clone()));
        }
        (Err(error), None) => return Err(error),
    };
    let read = read.and_then(|contents| {
        fitting(&pool.spec.template, &contents)?;
        Ok(contents)
    });
    let contents = read.as_ref().ok().cloned();
    *known = contents.map(|contents| Known { at: now, contents });
    Ok(read)
}

/// One GET an object, however many of its keys are needed.
async fn read(
    pool: &SpotPool,
    references: &BTreeSet<Reference>,
    kubernetes: &Kubernetes,
) -> Result<Result<Contents, Unusable>, Error> {
    let namespace = pool.namespace().unwrap_or_default();
    let mut objects: BTreeMap<(ReferenceKind, &str), Object> = BTreeMap::new();
    for reference in references {
        let (kind, name) = (reference.kind, reference.name.as_str());
        if objects.contains_key(&(kind, name)) {
            continue;
        }
        let what = format!("{} {name} in namespace {namespace}", kind.as_str());
        match kubernetes.read_data(kind, &namespace, name).await {
            Ok(object) => objects.insert((kind, name), object),
            Err(error) if error.code() == Some(404) => {
                return Ok(Err(unusable(format!(
                    "{what} does not exist: create it, with the key {}",
                    reference.key
                ))));
            }
            Err(error) if error.code() == Some(403) => {
                return Ok(Err(unusable(format!(
                    "the operator may not read {what}: bind its service account to a role with the verb get on {}s",
                    kind.as_str().to_lowercase()
                ))));
            }
            Err(error) => return Err(error),
        };
    }
    let contents = references.iter().map(|reference| {
        let object = &objects[&(reference.kind, reference.name.as_str())];
        let content = object.content(reference)?;
        Ok((reference.clone(), content))
    });
    Ok(contents.collect())
}

/// A Secret or a ConfigMap, as far as it matters. No `Debug`: it holds secrets.
#[derive(Deserialize)]
pub struct Object {
    metadata: Metadata,
    #[serde(default)]
    data: BTreeMap<String, String>,
    #[serde(default, rename = "binaryData")]
    binary_data: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct Metadata {
    uid: String,
}

impl Object {
    fn content(&self, reference: &Reference) -> Result<Content, Unusable> {
        let (data, binary) = (
            self.data.get(&reference.key),
            self.binary_data.get(&reference.key),
        );
        let decoded = |text: &String| {
            BASE64_STANDARD
                .decode(text)
                .map_err(|_| unusable(format!("the {reference} is not Base64")))
        };
        match (reference.kind, data, binary) {
            (ReferenceKind::Secret, Some(text), _) => {
                Ok(Content::of_secret(decoded(text)?, &self.metadata.uid))
            }
            (ReferenceKind::ConfigMap, Some(text), _) => {
                Ok(Content::of_config_map(text.clone().into_bytes()))
            }
            (ReferenceKind::ConfigMap, None, Some(text)) => {
                Ok(Content::of_config_map(decoded(text)?))
            }
            _ => Err(unusable(format!(
                "{} {} has no key {}: add it, or name another",
                reference.kind.as_str(),
                reference.name,
                reference.key
            ))),
        }
    }
}

/// Whether each content can be what it is for. What is said about it never quotes it.
fn fitting(template: &InstanceTemplate, contents: &Contents) -> Result<(), Unusable> {
    let holds = |key: &KeyRef, what: &str, fits: fn(&str) -> bool| {
        let reference = Reference::secret(key);
        let bytes = contents.get(&reference).map_or(&[][..], Content::bytes);
        if std::str::from_utf8(bytes).is_ok_and(fits) {
            Ok(())
        } else {
            Err(unusable(format!("the {reference} must hold {what}")))
        }
    };
    if let Some(admin) = &template.admin {
        if let Some(key) = &admin.password_secret_ref {
            holds(key, "a password: one line of text", |text| {
                !text.is_empty() && !text.contains(['\n', '\r'])
            })?;
        }
        if let Some(key) = &admin.ssh_public_key_secret_ref {
            holds(
                key,
                "SSH public keys in OpenSSH format, one a line",
                |text| {
                    let mut lines = text.lines().map(str::trim);
                    lines.any(|line| !line.is_empty() && !line.starts_with('#'))
                },
            )?;
        }
    }
    for extension in &template.extensions {
        if let Some(key) = &extension.protected_settings_secret_ref {
            holds(key, "a JSON object", |text| {
                serde_json::from_str::<Value>(text).is_ok_and(|value| value.is_object())
            })?;
        }
    }
    for (field, source) in [
        ("customData", &template.custom_data),
        ("userData", &template.user_data),
    ] {
        let reference = source.as_ref().and_then(|source| source.reference());
        let length = reference
            .and_then(|one| contents.get(&one))
            .map_or(0, |content| content.bytes().len());
        if length > LONGEST_DATA {
            return Err(unusable(format!(
                "template.{field} is {length} bytes long, and Azure takes at most {LONGEST_DATA}: make it shorter, for example by fetching the rest at boot"
            )));
        }
    }
    Ok(())
}

fn unusable(fact: String) -> Unusable {
    Unusable {
        reason: Reason::ReferenceUnusable,
        fact,
    }
}
