//! What Kubernetes says of flows between pods, written from its documentation over the objects as they are; no code of the importer.

use std::collections::BTreeMap;
use std::net::IpAddr;

use policy::{FlowService, IpNet};
use serde_json::Value;

type Labels = BTreeMap<String, String>;

/// A pod.
#[derive(Clone, Debug)]
pub(crate) struct Pod {
    /// Its namespace.
    pub(crate) namespace: String,
    /// Its name.
    pub(crate) name: String,
    labels: Labels,
    /// The addresses that it says it has.
    pub(crate) ips: Vec<IpAddr>,
    ports: Vec<(String, String, u64)>,
}

/// All objects of a cluster.
#[derive(Debug, Default)]
pub(crate) struct Cluster {
    namespaces: BTreeMap<String, Labels>,
    /// The pods that run.
    pub(crate) pods: Vec<Pod>,
    policies: Vec<Value>,
    admin: Vec<Value>,
    baseline: Option<Value>,
}

/// An end of a flow: a pod, or not; and its address where it is known.
#[derive(Clone, Copy, Debug)]
pub(crate) struct End<'a> {
    /// The pod.
    pub(crate) pod: Option<&'a Pod>,
    /// The address.
    pub(crate) address: Option<IpAddr>,
}

/// The destination of a flow, and what it asks for.
type Asked<'a> = (End<'a>, FlowService);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    In,
    Out,
}

fn list<'v>(value: &'v Value, key: &str) -> &'v [Value] {
    value[key].as_array().map(Vec::as_slice).unwrap_or_default()
}

fn labels(value: &Value) -> Labels {
    // Nothing is an empty text.
    let text = |value: &Value| match value.is_null() {
        true => String::new(),
        false => value.as_str().map_or_else(|| value.to_string(), str::to_owned),
    };
    value.as_object().into_iter().flatten().map(|(key, value)| (key.clone(), text(value))).collect()
}

fn within(address: IpAddr, cidr: &Value) -> bool {
    cidr.as_str().unwrap().parse::<IpNet>().unwrap().contains(&address)
}

/// A missing or empty selector selects all.
fn selects(selector: &Value, labels: &Labels) -> bool {
    let wanted = self::labels(&selector["matchLabels"]);
    let expression = |expression: &Value| {
        let found = labels.get(expression["key"].as_str().unwrap());
        let listed = || found.is_some_and(|found| list(expression, "values").iter().any(|value| value == found));
        match expression["operator"].as_str().unwrap() {
            "In" => listed(),
            "NotIn" => !listed(),
            "Exists" => found.is_some(),
            "DoesNotExist" => found.is_none(),
            other => panic!("{other}"),
        }
    };
    wanted.iter().all(|(key, value)| labels.get(key) == Some(value))
        && list(selector, "matchExpressions").iter().all(expression)
}

impl Cluster {
    /// Takes an object, or all items of a list.
    pub(crate) fn add(&mut self, object: &Value, of_list: &str) {
        let kind = object["kind"].as_str().unwrap_or(of_list);
        if let Some(kind) = kind.strip_suffix("List") {
            list(object, "items").iter().for_each(|item| self.add(item, kind));
            return;
        }
        let name = object["metadata"]["name"].as_str().unwrap().to_owned();
        match kind {
            "Namespace" => drop(self.namespaces.insert(name, labels(&object["metadata"]["labels"]))),
            "Pod" => self.pods.extend(pod(object, name)),
            "NetworkPolicy" => self.policies.push(object.clone()),
            "AdminNetworkPolicy" => self.admin.push(object.clone()),
            "BaselineAdminNetworkPolicy" => self.baseline = Some(object.clone()),
            _ => {}
        }
        let order = |policy: &Value| {
            (policy["spec"]["priority"].as_u64().unwrap(), policy["metadata"]["name"].as_str().unwrap().to_owned())
        };
        self.admin.sort_by_key(order);
    }

    /// Whether a flow gets through: out of its source, and into its destination.
    pub(crate) fn passes(&self, source: End<'_>, destination: End<'_>, service: FlowService) -> bool {
        if let (Some(one), Some(other)) = (source.pod, destination.pod)
            && (&one.namespace, &one.name) == (&other.namespace, &other.name)
        {
            return true;
        }
        let out = source.pod.is_none_or(|pod| self.says(pod, destination, Way::Out, (destination, service)));
        out && destination.pod.is_none_or(|pod| self.says(pod, source, Way::In, (destination, service)))
    }

    fn says(&self, pod: &Pod, peer: End<'_>, way: Way, asked: Asked<'_>) -> bool {
        for policy in &self.admin {
            match self.admin_says(policy, pod, (peer, way), asked) {
                Some("Allow") => return true,
                Some("Deny") => return false,
                Some("Pass") => break,
                _ => {}
            }
        }
        let about = self.policies.iter().filter(|policy| self.is_about(policy, pod, way)).collect::<Vec<_>>();
        if !about.is_empty() {
            return about.into_iter().any(|policy| self.lets_through(policy, peer, way, asked));
        }
        let baseline = self.baseline.as_ref().and_then(|policy| self.admin_says(policy, pod, (peer, way), asked));
        baseline != Some("Deny")
    }

    fn is_about(&self, policy: &Value, pod: &Pod, way: Way) -> bool {
        let types = list(&policy["spec"], "policyTypes");
        let typed = match (types, way) {
            ([], Way::In) => true,
            ([], Way::Out) => !list(&policy["spec"], "egress").is_empty(),
            (types, Way::In) => types.iter().any(|word| word == "Ingress"),
            (types, Way::Out) => types.iter().any(|word| word == "Egress"),
        };
        typed && namespace_of(policy) == pod.namespace && selects(&policy["spec"]["podSelector"], &pod.labels)
    }

    fn lets_through(&self, policy: &Value, peer: End<'_>, way: Way, asked: Asked<'_>) -> bool {
        let (rules, whom) = if way == Way::In { ("ingress", "from") } else { ("egress", "to") };
        list(&policy["spec"], rules).iter().any(|rule| {
            let peers = list(rule, whom);
            let meant = peers.is_empty() || peers.iter().any(|one| self.means(one, namespace_of(policy), peer));
            let ports = list(rule, "ports");
            meant && (ports.is_empty() || ports.iter().any(|port| covers(port, asked)))
        })
    }

    fn means(&self, peer: &Value, own: &str, end: End<'_>) -> bool {
        let block = &peer["ipBlock"];
        if !block.is_null() {
            return end.address.is_some_and(|address| {
                within(address, &block["cidr"]) && !list(block, "except").iter().any(|except| within(address, except))
            });
        }
        let Some(pod) = end.pod else { return false };
        let namespaces = &peer["namespaceSelector"];
        let is_own = || pod.namespace == own;
        let namespace = if namespaces.is_null() { is_own() } else { selects(namespaces, &self.namespace(pod)) };
        namespace && selects(&peer["podSelector"], &pod.labels)
    }

    fn namespace(&self, pod: &Pod) -> Labels {
        let mut labels = self.namespaces.get(&pod.namespace).cloned().unwrap_or_default();
        labels.insert("kubernetes.io/metadata.name".to_owned(), pod.namespace.clone());
        labels
    }

    /// The action of the first rule of an admin policy that holds.
    fn admin_says<'v>(
        &self,
        policy: &'v Value,
        pod: &Pod,
        (peer, way): (End<'_>, Way),
        asked: Asked<'_>,
    ) -> Option<&'v str> {
        if !self.selected(&policy["spec"]["subject"], End { pod: Some(pod), address: None }) {
            return None;
        }
        let (rules, whom) = if way == Way::In { ("ingress", "from") } else { ("egress", "to") };
        let rule = list(&policy["spec"], rules).iter().find(|rule| {
            let meant = list(rule, whom).iter().any(|one| self.selected(one, peer));
            meant && (rule["ports"].is_null() || list(rule, "ports").iter().any(|port| admin_covers(port, asked)))
        });
        rule?["action"].as_str()
    }

    /// A subject or a peer of an admin policy.
    fn selected(&self, what: &Value, end: End<'_>) -> bool {
        if !what["networks"].is_null() {
            return end.address.is_some_and(|address| list(what, "networks").iter().any(|net| within(address, net)));
        }
        let Some(pod) = end.pod else { return false };
        let pods = &what["pods"];
        let namespaces = if pods.is_null() { &what["namespaces"] } else { &pods["namespaceSelector"] };
        selects(namespaces, &self.namespace(pod)) && selects(&pods["podSelector"], &pod.labels)
    }
}

/// A text, or what an empty one or none stands for.
fn said<'v>(value: &'v Value, otherwise: &'v str) -> &'v str {
    value.as_str().filter(|text| !text.is_empty()).unwrap_or(otherwise)
}

fn namespace_of(policy: &Value) -> &str {
    said(&policy["metadata"]["namespace"], "default")
}

fn pod(object: &Value, name: String) -> Option<Pod> {
    let status = &object["status"];
    if matches!(status["phase"].as_str(), Some("Succeeded" | "Failed")) {
        return None;
    }
    let mut ips: Vec<IpAddr> =
        list(status, "podIPs").iter().map(|ip| ip["ip"].as_str().unwrap().parse().unwrap()).collect();
    if ips.is_empty() {
        ips.extend(status["podIP"].as_str().map(|ip| ip.parse::<IpAddr>().unwrap()));
    }
    let staying = list(&object["spec"], "initContainers").iter().filter(|one| one["restartPolicy"] == "Always");
    let mut ports = Vec::new();
    for port in list(&object["spec"], "containers").iter().chain(staying).flat_map(|one| list(one, "ports")) {
        let protocol = said(&port["protocol"], "TCP").to_owned();
        let name = port["name"].as_str().unwrap_or_default().to_owned();
        ports.push((name, protocol, port["containerPort"].as_u64().unwrap()));
    }
    let namespace = namespace_of(object).to_owned();
    Some(Pod { namespace, name, labels: labels(&object["metadata"]["labels"]), ips, ports })
}

/// The protocol of a service in Kubernetes' words, and its port.
fn asked_for(service: FlowService) -> (&'static str, Option<u64>) {
    match service {
        FlowService::Tcp(port) => ("TCP", Some(port.into())),
        FlowService::Udp(port) => ("UDP", Some(port.into())),
        FlowService::Proto(132) => ("SCTP", None),
        FlowService::Icmp(_) | FlowService::Icmpv6(_) | FlowService::Proto(_) => ("", None),
    }
}

fn is_named(end: End<'_>, name: &str, protocol: &str, port: Option<u64>) -> bool {
    let ports = end.pod.map(|pod| pod.ports.as_slice()).unwrap_or_default();
    ports.iter().any(|one| one.0 == name && one.1 == protocol && Some(one.2) == port)
}

fn covers(item: &Value, (destination, service): Asked<'_>) -> bool {
    let (protocol, port) = asked_for(service);
    if said(&item["protocol"], "TCP") != protocol {
        return false;
    }
    let wanted = &item["port"];
    if let Some(name) = wanted.as_str() {
        return is_named(destination, name, protocol, port);
    }
    let Some(first) = wanted.as_u64() else { return true };
    port.is_some_and(|port| (first..=item["endPort"].as_u64().unwrap_or(first)).contains(&port))
}

fn admin_covers(item: &Value, (destination, service): Asked<'_>) -> bool {
    let (protocol, port) = asked_for(service);
    if let Some(name) = item["namedPort"].as_str() {
        return is_named(destination, name, protocol, port);
    }
    let number = &item["portNumber"];
    let (range, first, last) =
        if number.is_null() { (&item["portRange"], "start", "end") } else { (number, "port", "port") };
    let bounds = range[first].as_u64().unwrap()..=range[last].as_u64().unwrap();
    // A flow of SCTP is asked about without its port: only what covers every port says something of it.
    let covered = port.map_or(bounds == (1..=65535), |port| bounds.contains(&port));
    said(&range["protocol"], "TCP") == protocol && covered
}
