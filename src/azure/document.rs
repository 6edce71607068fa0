//! `docs/template.md`: which field of a SpotPool's template becomes which property of Azure.
//!
//! In comes a table; out goes Markdown. Tests hold the table against the definition (every field has its row) and against the bodies
//! that are sent (changing a field changes the property of its row), so that neither can drift.

use std::fmt::Write as _;

use super::difference;

/// A field below `spec.template`, and the property that it becomes: below `properties.virtualMachineProfile`, or at the top of the body
/// where it begins with a `/`.
pub(super) const ROWS: &[(&str, &str)] = &[
    ("os", "osProfile.linuxConfiguration"),
    (
        "image.marketplace.publisher",
        "storageProfile.imageReference.publisher",
    ),
    (
        "image.marketplace.offer",
        "storageProfile.imageReference.offer",
    ),
    ("image.marketplace.sku", "storageProfile.imageReference.sku"),
    (
        "image.marketplace.version",
        "storageProfile.imageReference.version",
    ),
    ("image.id", "storageProfile.imageReference.id"),
    (
        "image.communityGalleryImageID",
        "storageProfile.imageReference.communityGalleryImageId",
    ),
    ("image.plan.name", "/plan.name"),
    ("image.plan.publisher", "/plan.publisher"),
    ("image.plan.product", "/plan.product"),
    ("image.plan.promotionCode", "/plan.promotionCode"),
    ("admin.username", "osProfile.adminUsername"),
    (
        "admin.sshPublicKeys",
        "osProfile.linuxConfiguration.ssh.publicKeys",
    ),
    (
        "admin.sshPublicKeySecretRef",
        "osProfile.linuxConfiguration.ssh.publicKeys",
    ),
    ("admin.passwordSecretRef", "osProfile.adminPassword"),
    ("osDisk.sizeGiB", "storageProfile.osDisk.diskSizeGB"),
    (
        "osDisk.type",
        "storageProfile.osDisk.managedDisk.storageAccountType",
    ),
    ("osDisk.caching", "storageProfile.osDisk.caching"),
    ("osDisk.ephemeral", "storageProfile.osDisk.diffDiskSettings"),
    (
        "osDisk.ephemeral.placement",
        "storageProfile.osDisk.diffDiskSettings.placement",
    ),
    ("dataDisks[].lun", "storageProfile.dataDisks[].lun"),
    (
        "dataDisks[].sizeGiB",
        "storageProfile.dataDisks[].diskSizeGB",
    ),
    (
        "dataDisks[].type",
        "storageProfile.dataDisks[].managedDisk.storageAccountType",
    ),
    ("dataDisks[].caching", "storageProfile.dataDisks[].caching"),
    ("network.subnetID", "IP.subnet.id"),
    (
        "network.acceleratedNetworking",
        "NIC.enableAcceleratedNetworking",
    ),
    (
        "network.networkSecurityGroupID",
        "NIC.networkSecurityGroup.id",
    ),
    ("network.publicIP", "IP.publicIPAddressConfiguration"),
    (
        "network.publicIP.prefixID",
        "IP.publicIPAddressConfiguration.properties.publicIPPrefix.id",
    ),
    (
        "network.loadBalancerBackendPoolIDs",
        "IP.loadBalancerBackendAddressPools[].id",
    ),
    (
        "network.applicationGatewayBackendPoolIDs",
        "IP.applicationGatewayBackendAddressPools[].id",
    ),
    (
        "network.applicationSecurityGroupIDs",
        "IP.applicationSecurityGroups[].id",
    ),
    ("identity.systemAssigned", "/identity.type"),
    ("identity.userAssigned", "/identity.userAssignedIdentities"),
    ("customData", "osProfile.customData"),
    ("userData", "userData"),
    ("extensions[].name", "extensionProfile.extensions[].name"),
    (
        "extensions[].publisher",
        "extensionProfile.extensions[].properties.publisher",
    ),
    (
        "extensions[].type",
        "extensionProfile.extensions[].properties.type",
    ),
    (
        "extensions[].version",
        "extensionProfile.extensions[].properties.typeHandlerVersion",
    ),
    (
        "extensions[].autoUpgradeMinorVersion",
        "extensionProfile.extensions[].properties.autoUpgradeMinorVersion",
    ),
    (
        "extensions[].enableAutomaticUpgrade",
        "extensionProfile.extensions[].properties.enableAutomaticUpgrade",
    ),
    (
        "extensions[].settings",
        "extensionProfile.extensions[].properties.settings",
    ),
    (
        "extensions[].protectedSettingsSecretRef",
        "extensionProfile.extensions[].properties.protectedSettings",
    ),
    (
        "extensions[].provisionAfterExtensions",
        "extensionProfile.extensions[].properties.provisionAfterExtensions",
    ),
    (
        "bootDiagnostics",
        "diagnosticsProfile.bootDiagnostics.enabled",
    ),
    (
        "bootDiagnostics.storageURI",
        "diagnosticsProfile.bootDiagnostics.storageUri",
    ),
    ("security.type", "securityProfile.securityType"),
    (
        "security.secureBoot",
        "securityProfile.uefiSettings.secureBootEnabled",
    ),
    ("security.vTPM", "securityProfile.uefiSettings.vTpmEnabled"),
    (
        "security.encryptionAtHost",
        "securityProfile.encryptionAtHost",
    ),
    ("tags", "/tags"),
    ("overrides", ""),
];

/// What the short words in [`ROWS`] stand for.
const SHORT: &[(&str, &str)] = &[
    (
        "NIC",
        "networkProfile.networkInterfaceConfigurations[].properties",
    ),
    (
        "IP",
        "networkProfile.networkInterfaceConfigurations[].properties.ipConfigurations[].properties",
    ),
];

/// A property with its short word spelled out.
pub(super) fn in_full(property: &str) -> String {
    let short = SHORT.iter().find_map(|(word, long)| {
        let rest = property.strip_prefix(word)?.strip_prefix('.')?;
        Some(format!("{long}.{rest}"))
    });
    short.unwrap_or_else(|| property.to_owned())
}

/// The text of `docs/template.md`.
pub fn document() -> String {
    let mut text = String::from(INTRODUCTION);
    text.push_str("| `spec.template.…` | Azure's property | a change |\n| --- | --- | --- |\n");
    for (field, property) in ROWS {
        let shown = match *property {
            "" => "anything in `virtualMachineProfile`".to_owned(),
            property => format!("`{property}`"),
        };
        let path = in_full(property).replace("[]", "");
        let change = match *field {
            "os" => "refused",
            _ if difference::is_fixed(&path) => "not possible",
            _ => "reaches new instances",
        };
        let _ = writeln!(text, "| `{field}` | {shown} | {change} |");
    }
    for (word, long) in SHORT {
        let _ = write!(text, "\n`{word}` stands for `{long}`.\n");
    }
    text.push_str(REST);
    text
}

const INTRODUCTION: &str = "\
# What becomes of the template

Generated by `make generate` from `src/azure/document.rs`; do not edit. What each field means says `kubectl explain spotpool.spec.template --recursive`.

`spec.template` says what a new instance is made from. The properties below are those of Azure's API version 2024-07-01: below
`properties.virtualMachineProfile` of the scale set, or at the top of its body where they begin with a `/`. What the template does not
say is not sent, so that Azure's own choice stands, or somebody else's. Beside it, `spec.zones`, `spec.eviction.policy` and
`spec.maxPrice` become `/zones`, `evictionPolicy` and `billingProfile.maxPrice`; `priority` is always `Spot`, and everything that belongs to
an instance is deleted with it.

";

const REST: &str = "
## When it changes

The operator puts a fingerprint of all this on the scale set, the tag `spotpool_model`. When it differs from what is declared, the
operator reads the scale set, compares it, and sends a PATCH with the sections in which something declared is missing. Instances that run
stay as they are; condition `UpToDate` says how many were made from an older model. When nothing is missing, for example because a
newer operator takes the fingerprint in another way, only the tag is written, and no instance counts as outdated.

- **What others add stays.** Tags, extensions, identities, backend pools and other items of lists that the template does not name are left
  alone, and so are properties that Azure fills in. They are no difference, and cause no write.
- **What the template says no more goes**, if it was there by the template: items of lists, identities, tags, the security group and the
  public address of the interface, custom and user data, boot diagnostics. What was declared is known from the tag `spotpool_parts`,
  by short digests; it has room for 64 of them. Everything else keeps its last value when its field is removed, overrides included:
  write the value that you want instead.
- **What Azure cannot change is not tried.** Where the table says *not possible*, and for every property that Azure's PATCH does not have,
  the pool stalls with `TemplateRejected` and `NotChangeable`, and goes on under the old model. The administrator's password is
  different: a change of its Secret is ignored, as nothing in Azure shows what it was.
- **The kind of image** (marketplace, gallery, community gallery) is Azure's to refuse; it does, for most.

## Secrets and ConfigMaps

`customData`, `userData`, SSH keys, the password and protected settings of extensions can stand in a Secret (the first two also in a
ConfigMap) in the namespace of the SpotPool:

```yaml
apiVersion: spotpool.io/v1alpha1
kind: SpotPool
metadata:
  name: render
  namespace: default
spec:
  subscriptionID: 11111111-1111-1111-1111-111111111111
  resourceGroup: batch-rg
  location: eastus
  vmSizes:
  - name: Standard_D4s_v5
  template:
    image:
      marketplace: {publisher: Canonical, offer: ubuntu-24_04-lts, sku: server, version: latest}
    admin:
      username: azureuser
      sshPublicKeySecretRef: {name: login, key: authorized_keys}
    network:
      subnetID: /subscriptions/11111111-1111-1111-1111-111111111111/resourceGroups/net/providers/Microsoft.Network/virtualNetworks/vnet/subnets/batch
    customData:
      secretKeyRef: {name: cloud-init, key: user-data}
    extensions:
    - name: setup
      publisher: Microsoft.Azure.Extensions
      type: CustomScript
      version: \"2.1\"
      protectedSettingsSecretRef: {name: setup, key: settings.json}
```

- **A change there is a change of the template.** The operator reads each object again once in a rest interval (`--look-every`, 30 s): one GET
  an object, pool and interval, and none for pools that refer to nothing. It does not watch them, since that takes the right to list
  every Secret. `kubectl annotate spotpool NAME reconcile.fluxcd.io/requestedAt=\"$(date)\" --overwrite` has it look now.
- **What is missing is said.** The condition `Stalled` carries `ReferenceUnusable` and the name of what to create. Until then nothing is written
  to Azure. While the Kubernetes API does not answer, what was read last still holds. A pool that is being deleted needs none of them.
- **Whoever may create SpotPools can use every Secret of that namespace**, as whoever may create Pods can.
- **Who can read it in Azure:** custom data, whoever may log in to an instance; user data and the settings of extensions, whoever may read
  the scale set; protected settings and the password, nobody.
- **It appears nowhere else**: the operator writes it in no log at any level, no event, no status and no error. (What a script of yours prints
  when it fails, Azure quotes in its error, and the operator quotes Azure.) The fingerprint is made with a digest of the content and
  the UID of the Secret. The UID is random and stands nowhere in Azure, so that the tag does not help to guess a short secret. The price: a
  Secret that is deleted and made again counts as changed.

## Overrides

`overrides` is laid over the whole `virtualMachineProfile` at last: objects member by member, lists as a whole. It adds and replaces.

```yaml
overrides:
  licenseType: RHEL_BYOS
  scheduledEventsProfile:
    terminateNotificationProfile: {enable: true, notBeforeTimeout: PT5M}
```

Refused, with `InvalidOverrides` or already by `kubectl apply`: `priority`, `evictionPolicy` and `billingProfile` (say `spec.eviction` and
`spec.maxPrice`), `osProfile.adminUsername`, secrets (`osProfile.adminPassword`, `osProfile.customData`, `protectedSettings`), and any null:
overrides never remove.
";
