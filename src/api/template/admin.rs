//! Who may log in.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use super::KeyRef;

/// The administrator's account in an instance. Linux: by SSH keys, and by password only if there is one. Windows: by password.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("has(self.passwordSecretRef) == has(oldSelf.passwordSecretRef)")
        .message("Azure cannot change the password of a scale set: passwordSecretRef can be neither added nor removed later; create another SpotPool instead")
        .field_path(".passwordSecretRef"),
)]
pub struct Admin {
    /// Name of the account, such as azureuser. Azure refuses a few, such as admin and root. Immutable: Azure does not change it.
    #[schemars(length(min = 1, max = 32))]
    #[x_kube(
        validation = Rule::new("self == oldSelf")
            .message("template.admin.username is immutable: create another SpotPool instead"),
    )]
    pub username: String,
    /// SSH public keys in OpenSSH format.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 16), inner(length(min = 1, max = 8192)))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub ssh_public_keys: Vec<String>,
    /// The key of a Secret that holds SSH public keys in OpenSSH format, one a line, in place of sshPublicKeys.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ssh_public_key_secret_ref: Option<KeyRef>,
    /// The key of a Secret that holds the password. It is used when the scale set is created; Azure does not change it later, so a change in the Secret has no effect.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password_secret_ref: Option<KeyRef>,
}
