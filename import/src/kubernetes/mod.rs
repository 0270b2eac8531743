//! Kubernetes: pods, their namespaces, NetworkPolicies, AdminNetworkPolicies and the BaselineAdminNetworkPolicy.
//!
//! A policy's allows come first, those of all NetworkPolicies, and behind them one deny for each set of pods that a policy isolates in a
//! direction: so policies add up. Admin policies stand in a tier before, the baseline in one behind.

mod admin;
mod labels;
mod network_policy;
mod objects;
mod pods;
mod workloads;

use std::collections::{BTreeMap, BTreeSet};

use crate::blocks::Owners;
use crate::emit::{Scenario, Tier};
use crate::source::Complaints;
use crate::world::{Entry, Vm, World};
use crate::{Imported, Options, Outcome, Source};

use self::admin::Admin;
use self::network_policy::NetworkPolicy;
use self::objects::Meta;
use self::pods::Pod;
use self::workloads::Workload;

/// The label that every namespace has.
const NAMESPACE: &str = "kubernetes.io/metadata.name";
/// What the keys of a namespace's labels begin with at its pods: no key of a pod's own label holds a colon.
const OF_NAMESPACE: &str = "namespace:";

const ABOUT: [&str; 4] = [
    "Imported from Kubernetes. A VM is a pod, called NAMESPACE.POD; it has the pod's labels, those of its namespace with the prefix",
    "`namespace:`, the number of each named port (`port:tcp/http`), and `in:block-N` where its address lies in a range of the policies.",
    "What is judged as it comes in is judged at the destination alone, what goes out at the source alone.",
    "`elsewhere`, `in-block-N` and `not-in-block-N` are addresses outside the cluster, so that rules about ranges can be asked.",
];

/// All that the files hold.
#[derive(Default)]
struct Cluster {
    namespaces: BTreeMap<String, Meta>,
    pods: Vec<Pod>,
    policies: Vec<NetworkPolicy>,
    admin: Vec<Admin>,
    baseline: Vec<Admin>,
    workloads: Vec<Workload>,
    /// Kinds that have no bearing on who reaches whom, with how many there are.
    bystanders: BTreeMap<String, usize>,
    seen: BTreeSet<(String, String, String)>,
}

/// Makes a scenario of the objects of a cluster.
///
/// # Errors
/// All that is wrong, and all that cannot be carried; nothing where there is no file.
pub fn kubernetes(sources: &[Source], options: Options) -> Outcome {
    let mut complaints = Complaints::new(sources);
    let mut cluster = Cluster::default();
    for (mut document, root) in complaints.documents() {
        objects::read(&root, None, &mut document, &mut cluster);
        complaints.absorb(document);
    }
    cluster.told(&mut complaints);
    let vms = cluster.vms(options, &mut complaints);
    if vms.is_empty() && complaints.is_empty() {
        let help = "give the pods too: kubectl get namespaces,pods,networkpolicies -A -o yaml";
        let message = match cluster.pods.is_empty() {
            true => "there is no pod in these files",
            false => "all pods in these files have ended",
        };
        complaints.wrong(complaints.beginning(), message, help);
    }
    cluster.idle(&vms, &mut complaints);
    let mut world = World { vms, blocks: Vec::new(), complaints: &mut complaints };
    let tiers = cluster.tiers(&mut world);
    let World { vms, blocks, .. } = world;
    if vms.is_empty() || !complaints.is_empty() {
        return Err(complaints.into_errors());
    }
    let name = "imported from Kubernetes";
    let scenario = Scenario { name, about: &ABOUT, vms: &vms, blocks: &blocks, tiers: &tiers, default: "allow" };
    Ok(Imported { scenario: scenario.text(options), notes: complaints.notes })
}

impl Cluster {
    /// What was left out, and what was taken for granted.
    fn told(&self, complaints: &mut Complaints<'_>) {
        for (kind, count) in &self.bystanders {
            complaints.note(format!("left out: {count} {kind}, which no policy speaks of"));
        }
        self.pods.iter().filter(|pod| pod.ended).for_each(|pod| {
            complaints.note(format!("left out: the pod {}, which has ended", pod.meta));
        });
        for workload in &self.workloads {
            workload.check(&self.pods, complaints);
        }
        for namespace in self.pods.iter().map(|pod| &pod.meta.namespace) {
            if !self.namespaces.contains_key(namespace) {
                complaints.note(format!(
                    "no Namespace `{namespace}` in these files: it is taken to have the label {NAMESPACE} alone"
                ));
            }
        }
        let blocks = self.policies.iter().any(NetworkPolicy::names_blocks)
            || self.admin.iter().chain(&self.baseline).any(Admin::names_networks);
        let missing: Vec<&Pod> =
            self.pods.iter().filter(|pod| blocks && !pod.ended && pod.addresses.is_empty()).collect();
        if let [first, ..] = missing.as_slice() {
            let who = match missing.len() {
                1 => format!("the pod {}", first.meta),
                many => format!("{many} pods, such as {}", first.meta),
            };
            complaints.note(format!(
                "no address (status.podIP) is known of {who}: without one, a pod lies in no range of a policy"
            ));
        }
        let unlike = |policy: &&NetworkPolicy| !policy.beside.is_empty();
        for policy in self.policies.iter().filter(unlike) {
            let beside = policy.beside.join(" and ");
            complaints.note(format!("{}: its policyTypes leave out {beside}, whose rules mean nothing", policy.meta));
        }
    }

    /// What is said of the policies that are about nobody.
    fn idle(&self, vms: &[Vm], complaints: &mut Complaints<'_>) {
        let is_idle = |entries: &[&Entry]| {
            let is_about = |vm: &Vm| entries.iter().any(|entry| entry.subject.matches(&vm.labels));
            !entries.is_empty() && !vms.iter().any(is_about)
        };
        let policies = self.policies.iter().map(|one| (&one.meta, one.allows.iter().chain(&one.isolates).collect()));
        let admin = self.admin.iter().chain(&self.baseline).map(|one| (&one.meta, one.entries.iter().collect()));
        for (meta, entries) in policies.chain(admin) {
            let entries: Vec<&Entry> = entries;
            if is_idle(&entries) {
                complaints.note(format!("{meta}: it is about no pod of these files"));
            }
        }
    }

    /// The pods as VMs, in the order of their names.
    fn vms(&self, options: Options, complaints: &mut Complaints<'_>) -> Vec<Vm> {
        let mut vms: BTreeMap<String, Vm> = BTreeMap::new();
        let mut owners = Owners::default();
        for pod in self.pods.iter().filter(|pod| !pod.ended) {
            let vm = pod.vm(self.namespaces.get(&pod.meta.namespace), options.family);
            if vm.addresses.is_empty() && !pod.addresses.is_empty() {
                complaints.wrong(
                    pod.meta.place,
                    format!("the pod {} has no address of the family", pod.meta),
                    "leave it out, or import the other family",
                );
            }
            if let Some((address, other)) = owners.give(&vm.addresses, &vm.name) {
                let message = format!("the pod {} has the address {address} of `{other}`", pod.meta);
                complaints.wrong(pod.meta.place, message, "take all pods at one time: kubectl get pods -A -o yaml");
            }
            vms.insert(vm.name.clone(), vm);
        }
        vms.into_values().collect()
    }

    /// The rules: one tier where there are NetworkPolicies alone.
    fn tiers(self, world: &mut World<'_, '_>) -> Vec<Tier> {
        let Self { policies, mut admin, baseline, .. } = self;
        let is_single = admin.is_empty() && baseline.is_empty();
        admin.sort_by(|one, other| (one.priority, &one.meta.name).cmp(&(other.priority, &other.meta.name)));
        for pair in admin.windows(2) {
            if let [one, other] = pair
                && one.priority == other.priority
            {
                let note = format!(
                    "the AdminNetworkPolicies {} and {} have one priority, which leaves their order open: they are taken in the order of \
                     their names",
                    one.meta.name, other.meta.name
                );
                world.complaints.note(note);
            }
        }
        let entries = |policies: Vec<Admin>| policies.into_iter().flat_map(|policy| policy.entries).collect::<Vec<_>>();
        let admin = Tier { name: "admin", rules: world.rules(entries(admin)) };
        let middle = Tier { name: "network-policies", rules: world.rules(added_up(policies)) };
        if is_single {
            return vec![middle];
        }
        let last = Tier { name: "baseline", rules: world.rules(entries(baseline)) };
        vec![admin, middle, last]
    }
}

/// The allows of all policies, and behind them what isolates: once for policies that isolate the same pods.
fn added_up(policies: Vec<NetworkPolicy>) -> Vec<Entry> {
    let (mut entries, mut isolating): (Vec<Entry>, Vec<Entry>) = (Vec::new(), Vec::new());
    for NetworkPolicy { allows, isolates, .. } in policies {
        entries.extend(allows);
        for entry in isolates {
            let same = |other: &Entry| (other.direction, &other.subject) == (entry.direction, &entry.subject);
            if !isolating.iter().any(same) {
                isolating.push(entry);
            }
        }
    }
    entries.extend(isolating);
    entries
}
