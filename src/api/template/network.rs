//! The network interface of an instance, and what reaches it.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use super::super::rules;

/// The network interface of an instance.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Network {
    /// Resource ID of the subnet.
    #[serde(rename = "subnetID")]
    #[schemars(length(max = 512))]
    #[x_kube(validation = rules::subnet_id())]
    pub subnet_id: String,
    /// Accelerated networking. Unset: Azure's own choice for the size.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accelerated_networking: Option<bool>,
    /// Resource ID of a network security group for the interface. Unset: the subnet's own, if it has one.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        rename = "networkSecurityGroupID"
    )]
    #[schemars(length(max = 512))]
    #[x_kube(validation = rules::resource_id("Microsoft.Network/networkSecurityGroups/nsg"))]
    pub network_security_group_id: Option<String>,
    /// A public IP address for every instance, of Azure's Standard SKU. Unset: none.
    #[serde(default, skip_serializing_if = "Option::is_none", rename = "publicIP")]
    pub public_ip: Option<PublicIp>,
    /// Resource IDs of backend pools of load balancers that instances join.
    #[serde(
        default,
        skip_serializing_if = "Vec::is_empty",
        rename = "loadBalancerBackendPoolIDs"
    )]
    #[schemars(length(max = 16), inner(length(min = 1, max = 512)))]
    #[x_kube(
        merge_strategy = ListMerge::Set,
        validation = rules::resource_ids("Microsoft.Network/loadBalancers/lb/backendAddressPools/pool"),
    )]
    pub load_balancer_backend_pool_ids: Vec<String>,
    /// Resource IDs of backend pools of application gateways that instances join.
    #[serde(
        default,
        skip_serializing_if = "Vec::is_empty",
        rename = "applicationGatewayBackendPoolIDs"
    )]
    #[schemars(length(max = 16), inner(length(min = 1, max = 512)))]
    #[x_kube(
        merge_strategy = ListMerge::Set,
        validation = rules::resource_ids("Microsoft.Network/applicationGateways/gateway/backendAddressPools/pool"),
    )]
    pub application_gateway_backend_pool_ids: Vec<String>,
    /// Resource IDs of application security groups that instances join.
    #[serde(
        default,
        skip_serializing_if = "Vec::is_empty",
        rename = "applicationSecurityGroupIDs"
    )]
    #[schemars(length(max = 20), inner(length(min = 1, max = 512)))]
    #[x_kube(
        merge_strategy = ListMerge::Set,
        validation = rules::resource_ids("Microsoft.Network/applicationSecurityGroups/asg"),
    )]
    pub application_security_group_ids: Vec<String>,
}

/// A public IP address of an instance.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct PublicIp {
    /// Resource ID of a public IP prefix that addresses are taken from. Unset: any of Azure's.
    #[serde(default, skip_serializing_if = "Option::is_none", rename = "prefixID")]
    #[schemars(length(max = 512))]
    #[x_kube(validation = rules::resource_id("Microsoft.Network/publicIPPrefixes/prefix"))]
    pub prefix_id: Option<String>,
}
