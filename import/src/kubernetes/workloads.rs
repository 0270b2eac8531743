//! What makes pods: the pods themselves must be among the files.

use std::collections::BTreeMap;

use policy::Selector;
use policy::yaml::Fields;

use super::labels::{self, Of};
use super::objects::Meta;
use super::pods::Pod;
use crate::selectors::all;
use crate::source::{Complaints, Document};
use crate::yaml::{given, number, part, text};

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
        let status = part(fields, "status", document);
        let is_none = |of: Option<Fields<'_>>, key, document: &mut Document| {
            of.and_then(|fields| number(&fields, key, document)) == Some(0)
        };
        let has = |key| status.is_some_and(|status| given(&status, key).is_some());
        // What runs is not stopped by a suspension.
        let is_idle = is_none(spec, "replicas", document)
            || is_none(status, "desiredNumberScheduled", document)
            || has("completionTime")
            || !has("active")
                && (has("failed") || spec.and_then(|spec| text(&spec, "suspend", document)) == Some("true"));
        let node = spec.and_then(|spec| given(&spec, "selector"));
        let selector = match node {
            // The oldest kind selects by labels alone.
            Some(node) if kind == "ReplicationController" => Some(all(labels::equal(node, Of::Pods, document))),
            Some(node) => Some(all(labels::selector(node, Of::Pods, document)?)),
            None => None,
        };
        Some(Self { kind: kind.to_owned(), meta, selector, is_idle })
    }

    fn makes_jobs(&self) -> bool {
        self.kind == "CronJob"
    }

    /// Tells that it is left out; where none of its pods is among the files, it cannot be carried.
    pub(super) fn check(&self, pods: &[Pod], complaints: &mut Complaints<'_>) {
        let none = BTreeMap::new();
        let is_of = |pod: &&Pod| {
            let labels = if pod.meta.namespace == self.meta.namespace { &pod.meta.labels } else { &none };
            let selected = self.selector.as_ref().is_some_and(|selector| selector.matches(labels));
            !labels.is_empty() && (selected || self.makes_jobs() && is_of_job(labels, &self.meta.name))
        };
        let Self { kind, meta, .. } = self;
        if pods.iter().any(|pod| is_of(&pod)) {
            complaints.note(format!("left out: the {kind} {meta}, whose pods are here"));
        } else if self.is_idle {
            complaints.note(format!("left out: the {kind} {meta}, which has no pods"));
        } else {
            let message = format!("the {kind} {meta} stands for pods that these files do not show");
            let help = "give the pods themselves: kubectl get pods -A -o yaml; or leave it out, if it has none now";
            complaints.wrong(meta.place, message, help);
        }
    }
}

/// Whether a pod's labels say that it is of a job of this CronJob's: those are called `NAME-NUMBER`.
fn is_of_job(labels: &BTreeMap<String, String>, name: &str) -> bool {
    let job = ["batch.kubernetes.io/job-name", "job-name"].iter().find_map(|key| labels.get(*key));
    let number = job.and_then(|job| job.strip_prefix(name)).and_then(|rest| rest.strip_prefix('-'));
    number.is_some_and(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
}
