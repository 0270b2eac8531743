//! Objects: of which kind they are, and who reads them.

use std::collections::BTreeMap;
use std::fmt;

use policy::Span;
use policy::yaml::{self, Fields, Node};

use super::workloads::Workload;
use super::{Cluster, admin, labels, network_policy, pods};
use crate::source::{Document, Place};
use crate::yaml::{filled, given, is_surely_text, list, part, some, text};

/// Kinds that have no bearing: no policy speaks of them, and they have no address that is judged.
const BYSTANDERS: [&str; 33] = [
    "APIService",
    "CSIDriver",
    "CSINode",
    "ClusterRole",
    "ClusterRoleBinding",
    "ConfigMap",
    "ControllerRevision",
    "CustomResourceDefinition",
    "EndpointSlice",
    "Endpoints",
    "Event",
    "HorizontalPodAutoscaler",
    "Ingress",
    "IngressClass",
    "Lease",
    "LimitRange",
    "MutatingWebhookConfiguration",
    "Node",
    "PersistentVolume",
    "PersistentVolumeClaim",
    "PodDisruptionBudget",
    "PodTemplate",
    "PriorityClass",
    "ResourceQuota",
    "Role",
    "RoleBinding",
    "RuntimeClass",
    "Secret",
    "Service",
    "ServiceAccount",
    "StorageClass",
    "ValidatingWebhookConfiguration",
    "VolumeAttachment",
];
/// Kinds that make pods.
const WORKLOADS: [&str; 7] =
    ["CronJob", "DaemonSet", "Deployment", "Job", "ReplicaSet", "ReplicationController", "StatefulSet"];
/// Kinds that are read, with their API.
const READ: [(&str, &str); 5] = [
    ("Namespace", "v1"),
    ("Pod", "v1"),
    ("NetworkPolicy", "networking.k8s.io/v1"),
    ("AdminNetworkPolicy", "policy.networking.k8s.io/v1alpha1"),
    ("BaselineAdminNetworkPolicy", "policy.networking.k8s.io/v1alpha1"),
];
/// Of these only one of a name is in a cluster.
const OF_CLUSTER: [&str; 3] = ["Namespace", "AdminNetworkPolicy", "BaselineAdminNetworkPolicy"];

/// What an object says of itself.
#[derive(Clone, Debug)]
pub(super) struct Meta {
    pub(super) name: String,
    /// Empty for what stands in no namespace.
    pub(super) namespace: String,
    pub(super) labels: BTreeMap<String, String>,
    pub(super) place: Place,
}

impl fmt::Display for Meta {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.namespace.as_str() {
            "" => f.write_str(&self.name),
            namespace => write!(f, "{namespace}/{}", self.name),
        }
    }
}

/// Reads an object, or a list of them; items of a typed list need not say their kind.
pub(super) fn read(node: &Node, of_list: Option<(&str, &str)>, document: &mut Document, cluster: &mut Cluster) {
    let Some(fields) = some(node, "an object of Kubernetes", document) else { return };
    let version = text(&fields, "apiVersion", document).or(of_list.map(|(version, _)| version));
    let kind = text(&fields, "kind", document).or(of_list.map(|(_, kind)| kind).filter(|kind| !kind.is_empty()));
    let (Some(version), Some(kind)) = (version, kind) else {
        let help =
            "objects come from the cluster by `kubectl get … -o yaml`, or are the files that `kubectl apply` takes";
        document.advise(first(&fields), "this is no object of Kubernetes: it needs `apiVersion` and `kind`", help);
        return;
    };
    if let Some(kind) = kind.strip_suffix("List").filter(|_| fields.get("items").is_some()) {
        let items = whole(&fields, document);
        items.iter().for_each(|item| read(item, Some((version, kind)), document, cluster));
        return;
    }
    match READ.iter().find(|(known, _)| *known == kind) {
        Some((_, known)) if *known == version => object(kind, &fields, document, cluster),
        Some((_, known)) => {
            let message = format!("the kind {kind} of `{version}` cannot be carried");
            document.advise(place_of(&fields, "apiVersion"), message, format!("only that of `{known}` can"));
        }
        None if WORKLOADS.contains(&kind) && is_built_in(version) => {
            if let Some(meta) = meta(&fields, true, document) {
                cluster.workloads.extend(Workload::read(kind, meta, &fields, document));
            }
        }
        None if BYSTANDERS.contains(&kind) && is_built_in(version) => {
            *cluster.bystanders.entry(kind.to_owned()).or_default() += 1
        }
        None => {
            let message = format!("the kind {kind} of `{version}` cannot be carried");
            let help = "where it has no bearing on who reaches whom, leave it out of the files";
            document.advise(place_of(&fields, "kind"), message, help);
        }
    }
}

/// The items of a list, which must be all that there are.
fn whole<'n>(fields: &Fields<'n>, document: &mut Document) -> &'n [Node] {
    let more = part(fields, "metadata", document).and_then(|metadata| filled(&metadata, "continue"));
    if let Some(node) = more {
        document.advise(
            node.span,
            "this list ends before the last object",
            "take it as a whole: kubectl get --chunk-size=0",
        );
    }
    list(fields, "items", document)
}

/// Whether a kind is of Kubernetes itself: others may make pods of theirs.
fn is_built_in(version: &str) -> bool {
    match version.split_once('/') {
        None => true,
        Some((group, _)) => group.ends_with(".k8s.io") || ["apps", "autoscaling", "batch", "policy"].contains(&group),
    }
}

fn object(kind: &str, fields: &Fields<'_>, document: &mut Document, cluster: &mut Cluster) {
    let Some(meta) = meta(fields, !OF_CLUSTER.contains(&kind), document) else { return };
    if !cluster.seen.insert((kind.to_owned(), meta.namespace.clone(), meta.name.clone())) {
        document.wrong(first(fields), format!("the {kind} {meta} stands here a second time"));
        return;
    }
    match kind {
        "Namespace" => drop(cluster.namespaces.insert(meta.name.clone(), meta)),
        "Pod" => cluster.pods.extend(pods::read(meta, fields, document)),
        "NetworkPolicy" => cluster.policies.extend(network_policy::read(meta, fields, document)),
        "AdminNetworkPolicy" => cluster.admin.extend(admin::read(meta, fields, true, document)),
        _ if meta.name != "default" => {
            let message = format!("the baseline is named `default`, and this is `{}`", meta.name);
            document.wrong(first(fields), message);
        }
        _ => cluster.baseline.extend(admin::read(meta, fields, false, document)),
    }
}

/// What an object says of itself.
fn meta(fields: &Fields<'_>, namespaced: bool, document: &mut Document) -> Option<Meta> {
    let Some(metadata) = part(fields, "metadata", document) else {
        document.wrong(first(fields), "an object needs `metadata` with a name");
        return None;
    };
    let Some(name) = given(&metadata, "name") else {
        let help = "names are given by the cluster where `generateName` stands: kubectl get … -o yaml tells them";
        document.advise(first(fields), "this object has no name", help);
        return None;
    };
    let name = named(name, true, document)?;
    let namespace = match filled(&metadata, "namespace").filter(|_| namespaced) {
        Some(node) => named(node, false, document)?,
        None if namespaced => "default".to_owned(),
        None => String::new(),
    };
    let labels = given(&metadata, "labels").map(|node| labels::pairs(node, document)).unwrap_or_default();
    Some(Meta { name, namespace, labels: labels.into_iter().collect(), place: document.place(first(fields)) })
}

/// A name as Kubernetes has them: those of namespaces have no dots.
fn named(node: &Node, dots: bool, document: &mut Document) -> Option<String> {
    let text = yaml::text(node, "a name", &mut document.problems)?;
    if !is_surely_text(text, document) {
        return None;
    }
    let name = text.as_str();
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let inner = |c: char| plain(c) || c == '-' || (dots && c == '.');
    let longest = if dots { 253 } else { 63 };
    let right = name.starts_with(plain) && name.ends_with(plain) && name.chars().all(inner) && name.len() <= longest;
    if !right {
        document.wrong(node.span, format!("`{name}` is no name of Kubernetes"));
    }
    right.then(|| name.to_owned())
}

/// The begin of an object: a report need not underline all of it.
pub(super) fn first(fields: &Fields<'_>) -> Span {
    fields
        .entry("kind")
        .or(fields.entries().first())
        .map_or(fields.span(), |entry| entry.key.span().to(entry.value.span))
}

fn place_of(fields: &Fields<'_>, key: &str) -> Span {
    fields.get(key).map_or_else(|| first(fields), |node| node.span)
}
