//! What makes pods: the pods themselves must be among the files.

use std::collections::BTreeMap;

use policy::Selector;
use policy::yaml::Fields;

use super::labels::{self, Of};
use super::objects::Meta;
use super::pods::Pod;
use crate::selectors::all;
use crate::source::{Complaints, Document};
use crate::yaml::{given, number, part};

/// A Deployment, a StatefulSet or the like.
pub(super) struct Workload {
    kind: String,
    meta: Meta,
    /// Whom it has made.
    selector: Option<Selector>,
    /// It wants no pod at all.
    is_idle: bool,
}

impl Workload {
    pub(super) fn read(kind: &str, meta: Meta, fields: &Fields<'_>, document: &mut Document) -> Option<Self> {
        let spec = part(fields, "spec", document);
        let is_idle = spec.and_then(|spec| number(&spec, "replicas", document)) == Some(0);
        let node = spec.and_then(|spec| given(&spec, "selector"));
        // The oldest kind selects by labels alone.
        let selector = match node.filter(|_| kind != "ReplicationController") {
            Some(node) => Some(all(labels::selector(node, Of::Pods, document)?)),
            None => None,
        };
        Some(Self { kind: kind.to_owned(), meta, selector, is_idle })
    }

    /// Tells that it is left out; where none of its pods is among the files, it cannot be carried.
    pub(super) fn check(&self, pods: &[Pod], complaints: &mut Complaints<'_>) {
        let none = BTreeMap::new();
        let is_of = |pod: &&Pod| {
            let labels = if pod.meta.namespace == self.meta.namespace { &pod.meta.labels } else { &none };
            self.selector.as_ref().is_some_and(|selector| !labels.is_empty() && selector.matches(labels))
        };
        let Self { kind, meta, .. } = self;
        if self.is_idle {
            complaints.note(format!("left out: the {kind} {meta}, which has no pods"));
        } else if pods.iter().any(|pod| is_of(&pod)) {
            complaints.note(format!("left out: the {kind} {meta}, whose pods are here"));
        } else {
            let message = format!("the {kind} {meta} stands for pods that these files do not show");
            complaints.wrong(meta.place, message, "give the pods themselves: kubectl get pods -A -o yaml");
        }
    }
}
