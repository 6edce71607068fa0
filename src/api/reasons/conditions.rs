//! Conditions and their reasons: the table.
//!
//! A type or a reason can be added any day and never be removed. kstatus (Flux, Argo CD, Helm) reads Reconciling and Stalled before
//! Ready, so these two are absent rather than False and never both present.

use super::words;
use ConditionStatus::{False, True, Unknown};
use ConditionType::{
    CredentialsValid, Deleting, Ready, Reconciling, SpotSatisfied, Stalled, UpToDate,
};

/// The three values of a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ConditionStatus {
    /// It holds.
    True,
    /// It does not hold.
    False,
    /// It is not known.
    Unknown,
}

impl ConditionStatus {
    /// The word as it is written.
    pub const fn as_str(self) -> &'static str {
        match self {
            True => "True",
            False => "False",
            Unknown => "Unknown",
        }
    }
}

/// When a condition is present.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// From the first look on.
    Always,
    /// Only while it applies.
    WhileItApplies,
}

words! {
    /// A condition in `status.conditions`.
    ConditionType on Presence;

    Ready: Presence::Always,
        "At least `minAvailable` instances run.",
        "`kubectl wait --for=condition=Ready spotpool/NAME` waits for it.";
    SpotSatisfied: Presence::Always,
        "As many Spot instances run as `capacity.spot` asks for. False is normal on Azure Spot and is not a failure while Ready is True.",
        "";
    UpToDate: Presence::Always,
        "Every instance was made from the current template and price limit.",
        "";
    CredentialsValid: Presence::Always,
        "The operator gets tokens for Azure, as the identity that this pool uses.",
        "";
    Suspended: Presence::Always,
        "`spec.suspend` is set: the operator observes and reports, but writes nothing to Azure.",
        "";
    Reconciling: Presence::WhileItApplies,
        "The operator is at work on what the spec asks for.",
        "";
    Stalled: Presence::WhileItApplies,
        "The operator cannot go on by itself. It looks again now and then, and the condition ends when its cause does.",
        "";
    Deleting: Presence::WhileItApplies,
        "The pool is being deleted. False: something blocks it, and the message says what unblocks it.",
        "";
}

/// Where a reason that needs a human is written: the pool is stalled and neither Ready nor satisfied.
const HUMAN: &[(ConditionType, ConditionStatus)] =
    &[(Stalled, True), (Ready, False), (SpotSatisfied, False)];
/// The same for what stands between a pool and its token: it also blocks a deletion, and is said on CredentialsValid.
const NO_TOKEN: &[(ConditionType, ConditionStatus)] = &[
    (Stalled, True),
    (Ready, False),
    (SpotSatisfied, False),
    (CredentialsValid, False),
    (Deleting, False),
];
/// The same for other reasons that also block a deletion.
const HUMAN_ALSO_WHEN_DELETING: &[(ConditionType, ConditionStatus)] = &[
    (Stalled, True),
    (Ready, False),
    (SpotSatisfied, False),
    (Deleting, False),
];

words! {
    /// Why a condition is as it is.
    Reason on &'static [(ConditionType, ConditionStatus)];

    AvailableEnough: &[(Ready, True)],
        "At least `minAvailable` instances run.",
        "";
    BelowMinAvailable: &[(Ready, False), (Reconciling, True)],
        "Fewer than `minAvailable` instances run. The operator is obtaining more; SpotSatisfied says what holds it up.",
        "Nothing, unless it lasts. Then list more VM sizes or zones, or raise `capacity.regular`.";
    ProgressDeadlineExceeded: &[(Stalled, True), (Ready, False)],
        "Fewer than `minAvailable` instances have been running for longer than `progressDeadline`. The operator goes on trying.",
        "See SpotSatisfied for the cause. List more VM sizes or zones, raise `capacity.regular`, or lower `minAvailable`.";
    AzureUnreachable: &[(Ready, Unknown), (SpotSatisfied, Unknown), (UpToDate, Unknown), (CredentialsValid, Unknown), (Deleting, False)],
        "Azure has not answered for some time. The counts in status are the last ones seen. Nothing is removed until Azure has been read again.",
        "Check the network path from the operator's pod to management.azure.com and login.microsoftonline.com, and Azure's status page.";
    AzureNotAsked: &[(UpToDate, Unknown), (CredentialsValid, Unknown)],
        "Nothing is known of it yet: Azure is not asked while the spec, or what it refers to, cannot be used.",
        "See Stalled for what is wrong.";

    AllRunning: &[(SpotSatisfied, True)],
        "As many Spot instances run as `capacity.spot` asks for.",
        "";
    Starting: &[(SpotSatisfied, False)],
        "Azure has accepted the missing Spot instances and is creating or starting them.",
        "";
    Restarting: &[(SpotSatisfied, False)],
        "Azure took Spot instances away and left them deallocated (`eviction.policy: Deallocate`). They are started again, and replaced when that does not work within `restartTimeout`.",
        "";
    Replacing: &[(SpotSatisfied, False)],
        "Azure took Spot instances away, and replacements have been requested.",
        "";
    WaitingForCapacityToSettle: &[(SpotSatisfied, False)],
        "Instances are gone, but the capacity that Azure reports does not say so yet. A larger number written now could buy more than `capacity` asks for, so the operator waits until two looks agree.",
        "";
    NoCapacity: &[(SpotSatisfied, False)],
        "Azure has no Spot capacity for any of the listed VM sizes at the moment. `status.offerings` says which were refused and when each is asked for again.",
        "List more VM sizes (up to five, of several families) or more zones.";
    QuotaExceeded: &[(SpotSatisfied, False)],
        "The subscription's quota in this region does not cover the missing instances.",
        "Request an increase of \"Total Regional Spot vCPUs\" (or of the size's family, for regular instances) in the Azure portal under Quotas, or lower `capacity`.";
    PriceAboveLimit: &[(SpotSatisfied, False)],
        "Azure's Spot price of every listed VM size is above `maxPrice`.",
        "Raise `maxPrice`, remove it (up to the pay-as-you-go price), or list cheaper VM sizes.";
    CoolingDown: &[(SpotSatisfied, False)],
        "Azure refused every listed VM size a moment ago. The operator asks again at the time in the message, so as not to be throttled.",
        "";

    AllInstancesUpToDate: &[(UpToDate, True)],
        "Every instance was made from the current template and price limit.",
        "";
    NewInstancesOnly: &[(UpToDate, False)],
        "The template or `maxPrice` was changed. New instances get the change; the message says how many still run without it.",
        "Nothing: evictions replace them in time. To hurry, delete instances in Azure; the operator replaces them.";

    TokenIssued: &[(CredentialsValid, True)],
        "The operator got a token for Azure.",
        "";
    CredentialsFailed: &[(CredentialsValid, False)],
        "Microsoft Entra ID refused the operator a token. The message carries its error.",
        "Check the client ID and the tenant ID, and that the secret has not ended or that the federated credential names this cluster's issuer, namespace and service account (docs/credentials.md).";
    CredentialsRequired: NO_TOKEN,
        "The pool names no ServiceAccount, and this installation does not lend pools its own identity (`--allow-operator-identity=false`).",
        "Set `spec.credentials.serviceAccountName` to a ServiceAccount of the pool's namespace.";
    ServiceAccountNotFound: NO_TOKEN,
        "The ServiceAccount that `spec.credentials` names does not exist in the pool's namespace.",
        "Create it with the annotation `azure.workload.identity/client-id`, or correct the name.";
    ServiceAccountNotAnnotated: NO_TOKEN,
        "The ServiceAccount does not say which Azure identity it stands for. The message names the missing annotation.",
        "`kubectl annotate serviceaccount NAME azure.workload.identity/client-id=CLIENT_ID`, and `azure.workload.identity/tenant-id` where the tenant is another one than the operator's.";
    NamespaceTerminating: NO_TOKEN,
        "The namespace is being deleted. Kubernetes gives no tokens for its ServiceAccounts any more, and the operator, which remembers the last one, was restarted since.",
        "Remove `spec.credentials`, so that the operator deletes the scale set with its own identity, where that is allowed; or set `deletionPolicy: Orphan` and delete the scale set in Azure.";
    TokenRequestForbidden: NO_TOKEN,
        "Kubernetes does not let the operator read the ServiceAccount or ask for its token.",
        "Install the chart with `azure.perNamespaceIdentity=true`, or give the operator the Role of docs/credentials.md in the pool's namespace.";
    CredentialsUnreadable: NO_TOKEN,
        "A file with the operator's token, secret or certificate cannot be used. The message names it and what is wrong.",
        "Correct the file or its mount. It is read again at each login, so that nothing has to be restarted.";
    LoginUnreachable: NO_TOKEN,
        "The login host (Microsoft Entra ID) does not answer, and no token is left. Nothing is read or written in Azure until it does.",
        "Check the network path from the operator's pod to the login host that the message names: DNS, firewall, proxy, and its certificate authority (`--azure-ca-file`).";

    Suspended: &[(ConditionType::Suspended, True), (SpotSatisfied, False), (Deleting, False)],
        "`spec.suspend` is true. The operator observes and reports, but writes nothing to Azure. A suspended pool does not start to be deleted.",
        "Set `suspend: false`. To delete a suspended pool without touching Azure, set `deletionPolicy: Orphan`.";
    NotSuspended: &[(ConditionType::Suspended, False)],
        "The operator may write to Azure.",
        "";

    Creating: &[(Reconciling, True)],
        "The scale set is being created.",
        "";
    Scaling: &[(Reconciling, True)],
        "The number of instances is being changed to what `capacity` asks for.",
        "";
    GenerationNotActedOn: &[(Reconciling, True)],
        "The spec was changed, and the change has not reached Azure yet.",
        "";

    CredentialsInvalid: HUMAN_ALSO_WHEN_DELETING,
        "The operator has no valid credentials for Azure: it gets no token, or Azure refuses the token (401).",
        "See the condition CredentialsValid. The subscription must belong to the identity's tenant.";
    Forbidden: HUMAN_ALSO_WHEN_DELETING,
        "The operator's identity is not allowed to do this in Azure (403). The message names the missing permission.",
        "Give the identity the role \"Virtual Machine Contributor\" on the resource group, and \"Network Contributor\" (or join on the subnet) on the virtual network.";
    ResourceGroupNotFound: HUMAN,
        "The resource group or the subscription does not exist, or the operator's identity cannot see it.",
        "Create the resource group. If the name is wrong, create another SpotPool: it is immutable.";
    NotOurs: HUMAN,
        "A scale set of that name exists and does not carry this pool's ownership tag. The operator has not touched it and will not.",
        "Choose another `scaleSet.name` for a new SpotPool, or remove that scale set yourself.";
    TemplateRejected: &[(Stalled, True), (Ready, False), (SpotSatisfied, False), (UpToDate, False)],
        "Azure rejected the template: the message carries its error code and text. Instances that run are not affected.",
        "Correct `spec.template` as the message says.";
    VmSizeUnknown: HUMAN,
        "Azure does not know a listed VM size in this region, or does not sell it to this subscription.",
        "Correct `vmSizes`. `az vm list-skus --location REGION --size SIZE` shows what is sold.";
    QuotaIsZero: HUMAN,
        "The subscription's Spot quota in this region is 0, so no Spot instance can ever start.",
        "Request an increase of \"Total Regional Spot vCPUs\" in the Azure portal under Quotas. Some offers (free, student) have none.";
    InvalidSpec: HUMAN,
        "The spec asks for something that cannot be done. The message says what.",
        "Correct the spec as the message says.";
    InvalidOverrides: HUMAN,
        "`template.overrides` says something that it may not say: a null, a secret, or what another field is there for. The message says where.",
        "Write what the message says. What has a field of its own belongs into that field; docs/template.md lists them.";
    ReferenceUnusable: HUMAN,
        "A Secret or ConfigMap that `template` takes something from does not exist, lacks the key, holds something else than is needed, or may not be read. The message says which, and what to create. Nothing is written to Azure until then, not even in place of evicted instances; what runs goes on running.",
        "Create what the message names, in the pool's own namespace. The operator sees it within its rest interval.";
    UnsupportedVersion: &[(Stalled, True), (Ready, False)],
        "This version of the operator cannot read the object: it was written for another version of the definition.",
        "Run the operator and the CustomResourceDefinition in the same version.";

    ConfirmationNeeded: &[(Stalled, True), (Deleting, False)],
        "So many instances would be removed at once that this installation (`--confirm-above`) asks for a confirmation. Nothing is removed until then.",
        "Confirm with the annotation that the message names, or raise `capacity` again.";
    InProgress: &[(Deleting, True)],
        "The scale set and its instances are being deleted.",
        "";
    Locked: &[(Deleting, False)],
        "A management lock in Azure forbids the deletion. The message names it.",
        "Remove the lock, or set `deletionPolicy: Orphan` to leave the scale set.";
}

impl Reason {
    /// Whether the table lets this reason stand on that condition with that status.
    pub fn fits(self, condition: ConditionType, status: ConditionStatus) -> bool {
        self.row().on.contains(&(condition, status))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_condition_has_reasons() {
        for &condition in ConditionType::ALL {
            let reasons = Reason::ALL
                .iter()
                .filter(|r| r.row().on.iter().any(|on| on.0 == condition))
                .count();
            assert!(reasons > 0, "{condition}");
        }
    }

    #[test]
    fn reconciling_and_stalled_are_absent_rather_than_false() {
        for reason in Reason::ALL {
            for &(condition, status) in reason.row().on {
                if matches!(condition, Reconciling | Stalled) {
                    assert_eq!(status, True, "{reason} on {condition}");
                }
            }
        }
    }

    #[test]
    fn whatever_needs_a_human_says_what_to_do() {
        for reason in Reason::ALL.iter().filter(|r| {
            r.fits(Stalled, True) || r.fits(Deleting, False) && **r != Reason::Suspended
        }) {
            assert!(!reason.row().advice.is_empty(), "{reason}");
        }
    }

    #[test]
    fn every_word_is_one_that_a_condition_may_carry() {
        for reason in Reason::ALL {
            assert!(
                reason.as_str().bytes().all(|b| b.is_ascii_alphanumeric()),
                "{reason}"
            );
            assert!(
                reason
                    .as_str()
                    .starts_with(|c: char| c.is_ascii_uppercase()),
                "{reason}"
            );
            assert!(
                !reason.row().meaning.is_empty() && !reason.row().on.is_empty(),
                "{reason}"
            );
        }
    }
}
