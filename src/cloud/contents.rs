//! What Secrets and ConfigMaps hold, on the way from Kubernetes to a body for Azure: never shown, and known by a digest.
//!
//! The digest ends up in a tag that everybody may read who can see the scale set. A plain hash of a short password could be found by
//! trying; so the content of a Secret is hashed together with the UID of the Secret: 122 random bits that only those can read who may
//! read the Secret itself, and that stand nowhere in Azure. Without them there is nothing to try against. The price: a Secret that is
//! deleted and made again with the same content counts as changed.

use std::collections::BTreeMap;
use std::fmt;

use ring::digest::{Context, SHA256};

use crate::api::Reference;

/// What one key of a Secret or ConfigMap holds.
#[derive(Clone, PartialEq, Eq)]
pub struct Content {
    bytes: Vec<u8>,
    digest: String,
}

impl Content {
    /// Of a Secret with this UID.
    pub fn of_secret(bytes: Vec<u8>, uid: &str) -> Self {
        Self::new(bytes, uid)
    }

    /// Of a ConfigMap, which is no secret.
    pub fn of_config_map(bytes: Vec<u8>) -> Self {
        Self::new(bytes, "")
    }

    fn new(bytes: Vec<u8>, salt: &str) -> Self {
        let mut context = Context::new(&SHA256);
        context.update(salt.as_bytes());
        context.update(b"\0");
        context.update(&bytes);
        Self {
            digest: hex(context.finish().as_ref()),
            bytes,
        }
    }

    /// The content itself.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// What it is known by where it must not be seen.
    pub fn digest(&self) -> &str {
        &self.digest
    }
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// All that a template refers to, by what it says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Contents(BTreeMap<Reference, Content>);

impl Contents {
    /// What stands there, if it has been read.
    pub fn get(&self, reference: &Reference) -> Option<&Content> {
        self.0.get(reference)
    }
}

impl FromIterator<(Reference, Content)> for Contents {
    fn from_iter<I: IntoIterator<Item = (Reference, Content)>>(all: I) -> Self {
        Self(all.into_iter().collect())
    }
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_content_of_another_secret_has_another_digest() {
        let one = Content::of_secret(b"hunter2".to_vec(), "uid-1");
        assert_eq!(
            one.digest(),
            Content::of_secret(b"hunter2".to_vec(), "uid-1").digest()
        );
        assert_ne!(
            one.digest(),
            Content::of_secret(b"hunter2".to_vec(), "uid-2").digest()
        );
        assert_ne!(
            one.digest(),
            Content::of_secret(b"hunter3".to_vec(), "uid-1").digest()
        );
        // SHA-256 of "hunter2", which any table of passwords has.
        assert_ne!(
            one.digest(),
            "f52fbd32b2b3b86ff88ef6c490628285f482af15ddcb29541f94bcf526a3f6c7"
        );
    }

    #[test]
    fn is_not_shown() {
        assert_eq!(
            format!("{:?}", Content::of_secret(b"hunter2".to_vec(), "u")),
            "***"
        );
    }
}
