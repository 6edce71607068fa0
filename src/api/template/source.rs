//! Where a part of the template comes from when it does not stand in the manifest: a key of a Secret or a ConfigMap in the pool's namespace.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

/// A key of a Secret or a ConfigMap in the namespace of the SpotPool.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-map-type" = "atomic"))]
pub struct KeyRef {
    /// Name of the object.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// Key in its data.
    #[schemars(length(min = 1, max = 253))]
    pub key: String,
}

/// Text that stands here, or under a key of a Secret or a ConfigMap in the namespace of the SpotPool. A change there is a change of the template.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("[has(self.inline), has(self.secretKeyRef), has(self.configMapKeyRef)].exists_one(x, x)")
        .message("set exactly one of inline, secretKeyRef and configMapKeyRef"),
)]
pub struct Source {
    /// The text itself. It is encoded in Base64 for Azure by the operator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 65535))]
    pub inline: Option<String>,
    /// The key of a Secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_key_ref: Option<KeyRef>,
    /// The key of a ConfigMap.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_map_key_ref: Option<KeyRef>,
}

impl Source {
    /// What has to be read; `None` when the text stands in the manifest.
    pub fn reference(&self) -> Option<Reference> {
        let secret = self.secret_key_ref.as_ref().map(Reference::secret);
        let config_map = self.config_map_key_ref.as_ref();
        secret.or_else(|| config_map.map(Reference::config_map))
    }
}

/// What holds a part of a template.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ReferenceKind {
    /// A Secret.
    Secret,
    /// A ConfigMap.
    ConfigMap,
}

impl ReferenceKind {
    /// The kind's name in Kubernetes.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Secret => "Secret",
            Self::ConfigMap => "ConfigMap",
        }
    }
}

/// A key of an object that has to be read before the template is complete.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reference {
    /// What kind of object.
    pub kind: ReferenceKind,
    /// Its name, in the namespace of the pool.
    pub name: String,
    /// The key in its data.
    pub key: String,
}

impl Reference {
    /// The key of a Secret.
    pub fn secret(key: &KeyRef) -> Self {
        Self::of(ReferenceKind::Secret, key)
    }

    /// The key of a ConfigMap.
    pub fn config_map(key: &KeyRef) -> Self {
        Self::of(ReferenceKind::ConfigMap, key)
    }

    fn of(kind: ReferenceKind, key: &KeyRef) -> Self {
        Self {
            kind,
            name: key.name.clone(),
            key: key.key.clone(),
        }
    }
}

impl std::fmt::Display for Reference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "key {} of {} {}",
            self.key,
            self.kind.as_str(),
            self.name
        )
    }
}
